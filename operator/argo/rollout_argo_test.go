//go:build argo

package argo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/template"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/internal/testbed"
	"github.com/narudata/naru/internal/testbed/cluster"
	"github.com/narudata/naru/internal/testbed/gitops"
	"github.com/narudata/naru/logstash/witness"
)

// What is released: docs/canary.md, with shorter times.
var manifests = template.Must(template.New("").Parse(`
apiVersion: v1
kind: Namespace
metadata: {name: pipes}
---
apiVersion: v1
kind: Secret
metadata: {name: naru-kafka, namespace: pipes}
stringData: {brokers: "{{.Brokers}}"}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: web-shadow, namespace: pipes}
spec:
  metrics:
    - name: difference
      initialDelay: 2s
      interval: 3s
      count: 3
      failureLimit: 0
      inconclusiveLimit: 2
      successCondition: result.share <= 0.001
      provider:
        plugin:
          narudata/naru:
            measure: difference
            group: web
            kafka: {secretRef: {name: naru-kafka}}
            opensearch: {url: "{{.Search}}"}
            index: logs-*
            ignore: ["@timestamp", "team"]
    - name: outputs
      initialDelay: 2s
      interval: 3s
      count: 3
      failureLimit: 0
      inconclusiveLimit: 2
      successCondition: result.share <= 0.001
      provider:
        plugin:
          narudata/naru: {measure: outputs, group: web, kafka: {secretRef: {name: naru-kafka}}, ignore: ["@timestamp", "team"], least: 20}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: web-live, namespace: pipes}
spec:
  metrics:
    - name: lag
      initialDelay: 2s
      interval: 3s
      count: 2
      failureLimit: 1
      inconclusiveLimit: 1
      successCondition: result.canary <= 30
      provider:
        plugin:
          narudata/naru: {measure: lag, group: web, kafka: {secretRef: {name: naru-kafka}}}
    - name: dead-letters
      initialDelay: 2s
      interval: 3s
      count: 2
      failureLimit: 0
      inconclusiveLimit: 1
      successCondition: result.canary <= result.stable + 0.001
      provider:
        plugin:
          narudata/naru: {measure: dead-letters, group: web, kafka: {secretRef: {name: naru-kafka}}, window: 3s, least: 10}
    - name: yield
      initialDelay: 2s
      interval: 3s
      count: 2
      failureLimit: 0
      inconclusiveLimit: 1
      successCondition: result.ratio >= 0.9 && result.ratio <= 1.1
      provider:
        plugin:
          narudata/naru: {measure: yield, group: web, kafka: {secretRef: {name: naru-kafka}}, window: 3s, least: 10}
    - name: cost
      initialDelay: 2s
      interval: 3s
      count: 2
      failureLimit: 0
      inconclusiveLimit: 1
      successCondition: result.canary < 1
      provider:
        plugin:
          narudata/naru: {measure: cost, group: web, kafka: {secretRef: {name: naru-kafka}}, window: 3s, least: 10}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: "web-{{.Revision}}", namespace: pipes}
immutable: true
data:
  pipe.conf: |
    input { kafka { bootstrap_servers => "{{.Brokers}}" topics => ["web"] group_id => "web" auto_offset_reset => "earliest" codec => json
      auto_commit_interval_ms => 200 heartbeat_interval_ms => 500 } }
    filter { {{.Filter}} }
    output {
      opensearch { hosts => ["{{.Search}}"] index => "logs-%{part}" manage_template => false }
      kafka { bootstrap_servers => "{{.Brokers}}" topic_id => "out" codec => json }
    }
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web, namespace: pipes}
spec:
  replicas: 4
  progressDeadlineSeconds: 300
  selector: {matchLabels: {app: web}}
  strategy:
    canary:
      maxSurge: 0
      maxUnavailable: 1
      dynamicStableScale: true
      trafficRouting:
        managedRoutes: [{name: shadow}]
        plugins:
          narudata/naru: {group: web, topic: web, partitions: 8, kafka: {secretRef: {name: naru-kafka}}}
      steps:
        - setCanaryScale: {replicas: 1}
        - setMirrorRoute: {name: shadow, percentage: 100, match: [{path: {prefix: /}}]}
        - plugin: {name: narudata/naru, config: {wait: {lagSeconds: 30}, group: web, kafka: {secretRef: {name: naru-kafka}}}}
        - analysis: {templates: [{templateName: web-shadow}]}
        - setMirrorRoute: {name: shadow}
        - setWeight: 25
        - setCanaryScale: {matchTrafficWeight: true}
        - analysis: {templates: [{templateName: web-live}]}
        - setWeight: 50
        - pause: {duration: 2s}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 30
      containers:
        - name: naru
          image: proc/naru
          args: [logstash, -f, /pipeline, --route, --api.http.host, $(POD_IP), --api.http.port, "9600", --path.data, /data, -w, "1"]
          env:
            - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
            - {name: GOMAXPROCS, value: "1"}
            - name: NARU_ROUTE_HASH
              valueFrom: {fieldRef: {fieldPath: "metadata.labels['rollouts-pod-template-hash']"}}
          ports: [{name: api, containerPort: 9600}]
          readinessProbe: {httpGet: {path: /ready, port: api}, periodSeconds: 1}
          volumeMounts: [{name: pipeline, mountPath: /pipeline}, {name: data, mountPath: /data}]
      volumes:
        - {name: pipeline, configMap: {name: "web-{{.Revision}}"}}
        - {name: data, emptyDir: {}}
`))

// release is a pipeline under Argo Rollouts.
type release struct {
	t       *testing.T
	kube    *cluster.Kube
	dynamic dynamic.Interface
	client  kubernetes.Interface
	admin   *kafka.Admin
	brokers []string
	search  *osfake.Server
	kafka   *kgo.Client
	sent    atomic.Int64
}

// apply commits a revision.
func (r *release) apply(revision, filter string) {
	r.t.Helper()
	var text bytes.Buffer
	if err := manifests.Execute(&text, map[string]string{"Brokers": r.brokers[0], "Search": r.search.URL(), "Revision": revision, "Filter": filter}); err != nil {
		r.t.Fatal(err)
	}
	r.kube.Apply(r.t, "pipes", text.Bytes())
}

func (r *release) rollout() (phase, message, hash string, step int64, stable string) {
	r.t.Helper()
	o, err := r.rollouts().Get(r.t.Context(), "web", metav1.GetOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	phase, _, _ = unstructured.NestedString(o.Object, "status", "phase")
	message, _, _ = unstructured.NestedString(o.Object, "status", "message")
	hash, _, _ = unstructured.NestedString(o.Object, "status", "currentPodHash")
	stable, _, _ = unstructured.NestedString(o.Object, "status", "stableRS")
	step, _, _ = unstructured.NestedInt64(o.Object, "status", "currentStepIndex")
	// What was seen last must be of what was applied last.
	if seen, _, _ := unstructured.NestedString(o.Object, "status", "observedGeneration"); seen != fmt.Sprint(o.GetGeneration()) {
		phase = "Unobserved"
	}
	return phase, message, hash, step, stable
}

// await waits until the Rollout is in a phase, and says how long each step took, and who read what meanwhile.
func (r *release) await(what, want string, within time.Duration) (message string) {
	r.t.Helper()
	began, since := time.Now(), time.Now()
	last := int64(-1)
	var steps []string
	for end := time.Now().Add(within); ; time.Sleep(100 * time.Millisecond) {
		phase, message, _, step, _ := r.rollout()
		if step != last {
			steps = append(steps, fmt.Sprintf("step %d after %.1fs (the one before took %.1fs)", step, time.Since(began).Seconds(), time.Since(since).Seconds()))
			last, since = step, time.Now()
		}
		if phase == want && time.Since(began) > time.Second {
			r.t.Logf("%s: %s after %.1fs: %s\n  %s", what, phase, time.Since(began).Seconds(), message, strings.Join(steps, "\n  "))
			return message
		}
		if time.Now().After(end) {
			status, err := r.admin.RouteStatus(r.t.Context(), "web")
			text, _ := json.MarshalIndent(status, "", " ")
			r.t.Fatalf("%s: the Rollout is %s (%s), want %s\n  %s\n%s %v\n%s", what, phase, message, want, strings.Join(steps, "\n  "), text, err, r.analyses())
		}
	}
}

// analyses says what was measured.
func (r *release) analyses() string {
	list, err := r.dynamic.Resource(schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "analysisruns"}).
		Namespace("pipes").List(r.t.Context(), metav1.ListOptions{})
	if err != nil {
		return err.Error()
	}
	var out strings.Builder
	for _, a := range list.Items {
		text, _ := json.Marshal(a.Object["status"])
		fmt.Fprintf(&out, "%s: %s\n", a.GetName(), text)
	}
	return out.String()
}

// cost asks pods of a version for CPU seconds and events.
func (r *release) cost(hash string) (cpu, events float64, pods int) {
	list, err := r.client.CoreV1().Pods("pipes").List(r.t.Context(), metav1.ListOptions{LabelSelector: "rollouts-pod-template-hash=" + hash})
	if err != nil {
		r.t.Fatal(err)
	}
	for i := range list.Items {
		if list.Items[i].Status.Phase != corev1.PodRunning {
			continue
		}
		req, err := witness.NewRequest(r.t.Context(), "http://"+net.JoinHostPort(list.Items[i].Status.PodIP, "9600"), "", "")
		if err != nil {
			r.t.Fatal(err)
		}
		if f, err := ask(req); err == nil {
			cpu, events, pods = cpu+f.CPU, events+f.In, pods+1
		}
	}
	return cpu, events, pods
}

func TestArgoPromotesAGoodCanaryAndAbortsABadOne(t *testing.T) {
	gitops.Need(t)
	naru := filepath.Join(t.TempDir(), "naru")
	if text, err := exec.CommandContext(t.Context(), "go", "build", "-o", naru, testbed.Root(t)).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	r := &release{t: t, search: osfake.Start(t, osfake.Options{})}
	if ok, _ := testbed.CanStartKafka(t, testbed.KafkaVersions[0]); ok {
		r.brokers = []string{testbed.StartKafka(t, testbed.KafkaVersions[0], testbed.KafkaOptions{}).Plain}
	} else {
		c, err := kfake.NewCluster(kfake.NumBrokers(1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		r.brokers = c.ListenAddrs()
	}
	var err error
	if r.kafka, err = kgo.NewClient(kgo.SeedBrokers(r.brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.kafka.Close)
	if created, err := kadm.NewClient(r.kafka).CreateTopics(t.Context(), 8, 1, nil, "web", "out"); err != nil || created.Error() != nil {
		t.Fatal(err, created.Error())
	}
	if r.admin, err = (&kafka.Config{Brokers: r.brokers}).Admin(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.admin.Close)
	r.kube = cluster.StartKube(t, cluster.KubeOptions{Images: map[string]string{"proc/naru": naru}})
	plugins := map[string]map[string]string{}
	for _, key := range []string{"metricProviderPlugins", "stepPlugins", "trafficRouterPlugins"} {
		plugins[key] = map[string]string{Name: naru}
	}
	argo := gitops.StartArgo(t, r.kube, gitops.Options{WithoutArgoCD: true, Plugins: plugins, RolloutsEnvironment: []string{"KUBECONFIG=" + r.kube.Kubeconfig()}})
	defer func() {
		if t.Failed() {
			log := argo.Log("rollouts")
			t.Log(log[max(0, len(log)-6000):])
		}
	}()
	if r.dynamic, err = dynamic.NewForConfig(r.kube.Config()); err != nil {
		t.Fatal(err)
	}
	if r.client, err = kubernetes.NewForConfig(r.kube.Config()); err != nil {
		t.Fatal(err)
	}

	stop := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
			var recs []*kgo.Record
			for range 20 {
				n := r.sent.Add(1) - 1
				recs = append(recs, &kgo.Record{Topic: "web", Partition: int32(n % 8), Value: fmt.Appendf(nil, `{"n":%d,"part":%d,"status":"200"}`, n, n%3)}) //nolint:gosec // small
			}
			if err := r.kafka.ProduceSync(context.Background(), recs...).FirstErr(); err != nil {
				t.Error(err)
				return
			}
		}
	})
	halt := sync.OnceFunc(func() { close(stop); writing.Wait() })
	defer halt()

	r.apply("a", `mutate { remove_field => ["event"] }`)
	r.await("the first version", "Healthy", 2*time.Minute)
	_, _, first, _, _ := r.rollout()

	// A canary's overhead is seen while it reads in shadow.
	r.apply("b", `mutate { remove_field => ["event"] add_field => { "team" => "x" } }`)
	var overhead string
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for range 600 {
			route, err := r.admin.Route(t.Context(), "web")
			if err == nil && route != nil && route.Mirror && route.Canary != "" {
				time.Sleep(2 * time.Second)
				cpuA, eventsA, _ := r.cost(route.Canary)
				stableA, _, _ := r.cost(route.Stable)
				time.Sleep(3 * time.Second)
				cpuB, eventsB, _ := r.cost(route.Canary)
				stableB, _, pods := r.cost(route.Stable)
				overhead = fmt.Sprintf("in shadow the canary's pod takes %.3f CPU seconds a second for %.0f records/s; the %d pods of the stable version take %.3f",
					(cpuB-cpuA)/3, (eventsB-eventsA)/3, pods, (stableB-stableA)/3)
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	r.await("a good commit", "Healthy", 4*time.Minute)
	<-watched
	t.Log(overhead)
	_, _, second, _, stable := r.rollout()
	if second == first || stable != second {
		t.Errorf("%s was promoted, and %s is the stable version", second, stable)
	}

	r.apply("c", `mutate { remove_field => ["event"] convert => { "status" => "integer" } }`)
	message := r.await("a bad commit", "Degraded", 4*time.Minute)
	for _, want := range []string{"difference", "status"} {
		if !strings.Contains(message, want) {
			t.Errorf("the Rollout's message does not say why: %q lacks %s", message, want)
		}
	}
	if _, _, _, _, stable := r.rollout(); stable != second {
		t.Errorf("the stable version is %s, and was %s", stable, second)
	}
	r.everythingIsStable(second)

	r.apply("b", `mutate { remove_field => ["event"] add_field => { "team" => "x" } }`)
	r.await("the revert", "Healthy", 2*time.Minute)

	// One that somebody aborts while it has a share of the partitions.
	r.apply("d", `mutate { remove_field => ["event"] add_field => { "team" => "y" } }`)
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		s, err := r.admin.RouteStatus(t.Context(), "web")
		if err == nil && s.Settled && s.Route.Weight == 25 && s.Canary == 2 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the canary does not get its share: %+v, %v", s, err)
		}
	}
	if _, err := r.rollouts().Patch(t.Context(), "web", types.MergePatchType, []byte(`{"status":{"abort":true}}`), metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
	r.await("an abort at 25 %", "Degraded", time.Minute)
	r.everythingIsStable(second)
	r.apply("b", `mutate { remove_field => ["event"] add_field => { "team" => "x" } }`)
	r.await("the revert", "Healthy", 2*time.Minute)

	halt()
	r.balance()
	r.nothingIsLeft()
}

// nothingIsLeft waits until what the canaries have made in shadow is gone, and says what was measured of them.
func (r *release) nothingIsLeft() {
	r.t.Helper()
	var left []string
	for end := time.Now().Add(time.Minute); ; time.Sleep(500 * time.Millisecond) {
		left = left[:0]
		for _, name := range r.search.Indices() {
			if strings.HasPrefix(name, "shadow-") {
				left = append(left, name)
			}
		}
		groups, err := kadm.NewClient(r.kafka).ListGroups(r.t.Context())
		if err != nil {
			r.t.Fatal(err)
		}
		for name := range groups {
			if strings.Contains(name, ".shadow-") {
				left = append(left, name)
			}
		}
		if len(left) == 0 {
			break
		}
		if time.Now().After(end) {
			r.t.Errorf("of shadows that are over there is left: %q", left)
			break
		}
	}
	if said := r.analyses(); !strings.Contains(said, `"outputs"`) {
		r.t.Errorf("outputs were not compared: %s", said)
	}
}

// everythingIsStable waits until a version has all partitions.
func (r *release) everythingIsStable(hash string) {
	r.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		s, err := r.admin.RouteStatus(r.t.Context(), "web")
		if err == nil && s.Settled && s.Canary == 0 && s.Stable == 8 && s.Route.Stable == hash {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("after the abort: %+v, %v", s, err)
		}
	}
}

// rollouts are the Rollouts of the test.
func (r *release) rollouts() dynamic.ResourceInterface {
	return r.dynamic.Resource(schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "rollouts"}).Namespace("pipes")
}

// balance looks that each record became one document and one record.
func (r *release) balance() {
	r.t.Helper()
	sent := int(r.sent.Load())
	consumer, err := kgo.NewClient(kgo.SeedBrokers(r.brokers...), kgo.ConsumeTopics("out"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		r.t.Fatal(err)
	}
	defer consumer.Close()
	got := map[int]int{}
	records := 0
	for end := time.Now().Add(30 * time.Second); len(got) < sent && time.Now().Before(end); {
		ctx, cancel := context.WithTimeout(r.t.Context(), time.Second)
		fetches := consumer.PollFetches(ctx)
		cancel()
		fetches.EachRecord(func(rec *kgo.Record) {
			var v struct{ N int }
			if err := json.Unmarshal(rec.Value, &v); err != nil {
				r.t.Error(err)
			}
			got[v.N]++
			records++
		})
	}
	twice := 0
	for _, n := range got {
		if n > 1 {
			twice++
		}
	}
	var answer struct{ Count int }
	resp, err := http.Get(r.search.URL() + "/logs-*/_count") //nolint:noctx // a test
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		r.t.Fatal(err)
	}
	r.t.Logf("%d records in, %d out (%d of them twice), %d documents", sent, len(got), twice, answer.Count)
	if len(got) != sent || twice > 0 || answer.Count != sent {
		r.t.Errorf("records in are not records out")
	}
}

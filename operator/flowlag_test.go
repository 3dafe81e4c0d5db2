package operator

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/narudata/naru/internal/testbed"
	"github.com/narudata/naru/operator/v1alpha1"
)

// TestTheLagOfAPipelineIsInItsStatusAndInAMetric has pods that read Kafka, and an output that is away.
func TestTheLagOfAPipelineIsInItsStatusAndInAMetric(t *testing.T) {
	t.Parallel()
	b := kubeTest(t)
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, "web"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka.ListenAddrs()...), kgo.DefaultProduceTopic("web"), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const records = 50_000
	began := time.Now().Add(-time.Hour)
	for i := range records {
		r := kgo.StringRecord(fmt.Sprintf(`{"n": %d, "text": %q}`, i, strings.Repeat("x", 200)))
		r.Timestamp = began.Add(time.Duration(i) * time.Millisecond)
		client.Produce(t.Context(), r, nil)
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	away := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	t.Cleanup(away.Close)
	b.operate(Options{})
	b.flow("web", fmt.Sprintf(`
pipeline:
  config: |
    input { kafka { bootstrap_servers => "${BROKERS}" topics => ["web"] group_id => "web" auto_offset_reset => "earliest" } }
    output { http { url => "%s" http_method => "post" } }
replicas: 2
env: [{name: BROKERS, value: %q}]
`, away.URL, strings.Join(kafka.ListenAddrs(), ",")))
	f := b.awaitFlow("web", "True Running")
	b.await("the lag is known", func() string {
		if b.get(f, "web"); f.Status.Lag == nil || f.Status.Lag.Records < records/2 {
			return fmt.Sprintf("%+v", f.Status.Lag)
		}
		return ""
	})
	if f.Status.Lag.Records > records || f.Status.Records == nil || f.Status.Records.Read == 0 {
		t.Errorf("lag %+v, records %+v", f.Status.Lag, f.Status.Records)
	}
	const hour = 3600
	if s := f.Status.Lag.Seconds; s == nil || *s < hour || *s > hour+600 {
		t.Errorf("the oldest record waits since an hour, and the status says %v", s)
	}
	for selector, right := range map[string]func(float64) bool{
		"naru_kafka_lag_records": func(v float64) bool { return v >= records/2 && v <= records },
		"naru_kafka_lag_seconds": func(v float64) bool { return v >= hour && v <= hour+600 },
	} {
		if v := exported(t, fmt.Sprintf(`%s{flow_namespace=%q,flow="web",group="web",topic="web"}`, selector, b.namespace)); len(v) != 1 || !right(v[0]) {
			t.Errorf("%s is %v", selector, v)
		}
	}
	for _, selector := range documented(t) {
		if v := exported(t, strings.Replace(selector, `flow_namespace="flows"`, fmt.Sprintf("flow_namespace=%q", b.namespace), 1)); len(v) != 1 {
			t.Errorf("what the documentation names as %s are %d series", selector, len(v))
		}
	}
	change(b, f, func(f *v1alpha1.Flow) { f.Spec.Suspend = true })
	b.await("suspended, its pods go", func() string {
		if b.get(f, "web"); f.Status.Replicas > 0 || f.Status.Lag != nil {
			return fmt.Sprint(f.Status.Replicas, f.Status.Lag)
		}
		return ""
	})
}

// exported are the values of the operator's metrics that a selector of PromQL with = only fits, as who asks /metrics reads them.
func exported(t *testing.T, selector string) (values []float64) {
	t.Helper()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(metrics.Registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	name, labels, _ := strings.Cut(strings.TrimSuffix(selector, "}"), "{")
	for line := range strings.Lines(w.Body.String()) {
		line, ok := strings.CutPrefix(strings.TrimSpace(line), name+"{")
		if !ok {
			continue
		}
		fits := true
		for label := range strings.SplitSeq(labels, ",") {
			fits = fits && strings.Contains(","+line, ","+label)
		}
		if fits {
			v, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, v)
		}
	}
	return values
}

// documented are the selectors that the documentation and the examples for KEDA name.
func documented(t *testing.T) (selectors []string) {
	t.Helper()
	root := testbed.Root(t)
	files, err := filepath.Glob(filepath.Join(root, "deploy/keda/*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`naru_kafka_[a-z_]+\{[^}]*\}`)
	for _, file := range append(files, filepath.Join(root, "docs/operator.md"), filepath.Join(root, "docs/kubernetes.md")) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		selectors = append(selectors, named.FindAllString(string(text), -1)...)
	}
	if len(selectors) < 5 {
		t.Errorf("the documentation names %q only", selectors)
	}
	return selectors
}

func TestTheLagOfSeveralPodsIsTheSumOfRecordsAndTheWorstAge(t *testing.T) {
	s := func(x float64) *float64 { return &x }
	for _, c := range []struct {
		pods []lag
		want lag
	}{
		{[]lag{{5, s(3)}, {7, s(9)}, {0, s(0)}}, lag{12, s(9)}},
		{[]lag{{0, s(0)}, {0, s(0)}}, lag{0, s(0)}},
		{[]lag{{5, s(3)}, {7, nil}, {1, s(8)}}, lag{13, nil}},
		{[]lag{{5, s(3)}, {0, nil}}, lag{5, s(3)}},
	} {
		for turned := range 2 {
			l := lags{}
			for i, x := range c.pods {
				l.add(reading{"g", fmt.Sprint(i * turned)}, x)
			}
			if diff := cmp.Diff(c.want, l.total(), cmp.AllowUnexported(lag{})); diff != "" {
				t.Errorf("%v, topics %d: %s", c.pods, turned, diff)
			}
		}
	}
}

func TestAPodThatNamesTopicsWithoutEndIsBounded(t *testing.T) {
	var f podFigures
	for i := range 5 * mostTopics {
		f.behind(reading{"g", fmt.Sprint(i)}, lag{1, nil})
	}
	if sum := f.lags.total(); len(f.lags) > mostTopics+1 || sum.records != 5*mostTopics {
		t.Errorf("%d topics, %d records", len(f.lags), sum.records)
	}
}

func TestAPodIsAskedWithItsPasswordAndNobodyElse(t *testing.T) {
	asked := 0
	pod := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if _, password, _ := r.BasicAuth(); password != "right" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"pipelines": [{"figures": {"inputs": [{"messages": 7}], "outputs": [{"delivered": 5, "dead": 1}], "lost": 1}, "lags": {"a": 10, "b": -1}, "topics": {"a": [{"group": "g", "topic": "t", "records": 10, "seconds": 1.5}]}}]}`)
	}))
	defer pod.Close()
	address := strings.TrimPrefix(pod.URL, "http://")
	f, err := figuresOf(t.Context(), podClient(), address, apiAccess{username: "naru", password: "right"})
	if want := (podFigures{v1alpha1.Records{Read: 7, Delivered: 5, DeadLetters: 2}, lags{{"g", "t"}: {10, new(1.5)}, {}: {0, nil}}}); err != nil || !reflect.DeepEqual(f, want) {
		t.Errorf("%+v, %v; want %+v", f, err, want)
	}
	if _, err := figuresOf(t.Context(), podClient(), address, apiAccess{password: "wrong"}); err == nil || !strings.Contains(err.Error(), "401") {
		t.Error(err)
	}
	for _, answer := range []string{"", "{", `{"pipelines": 7}`, "<html>"} {
		liar := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answer) }))
		if _, err := figuresOf(t.Context(), podClient(), strings.TrimPrefix(liar.URL, "http://"), apiAccess{}); err == nil {
			t.Errorf("%q is an answer", answer)
		}
		liar.Close()
	}
	elsewhere := httptest.NewServer(http.RedirectHandler(pod.URL, http.StatusFound))
	defer elsewhere.Close()
	before := asked
	if _, err := figuresOf(t.Context(), podClient(), strings.TrimPrefix(elsewhere.URL, "http://"), apiAccess{password: "right"}); err == nil || asked != before {
		t.Errorf("a pod sent the operator elsewhere, with the password: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := figuresOf(ctx, podClient(), address, apiAccess{}); err == nil {
		t.Error("it was asked after the end")
	}
}

func TestWhyPodsDoNotRunIsSaid(t *testing.T) {
	pod := func(s corev1.ContainerStatus) corev1.Pod {
		return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Labels: map[string]string{v1alpha1.RevisionLabel: "r"}}, Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{s}}}
	}
	for _, c := range []struct {
		status corev1.ContainerStatus
		want   string
	}{
		{corev1.ContainerStatus{Ready: true}, ""},
		{corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}}, ""},
		{corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "no such\nimage"}}}, "p: ErrImagePull: no such image"},
		{corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
			LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Message: `{"command": "naru logstash", "exit": 1, "reason": "why"}`}}}, "p ended with status 1: why"},
		{corev1.ContainerStatus{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"}}}, "p ended with status 137: OOMKilled"},
		{corev1.ContainerStatus{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 2, Message: "one\ntwo\n"}}}, "p ended with status 2: two"},
		{corev1.ContainerStatus{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}}, ""},
	} {
		if got := trouble([]corev1.Pod{pod(c.status)}, "r"); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
		if got := trouble([]corev1.Pod{pod(c.status)}, "another"); got != "" {
			t.Errorf("of another revision: %q", got)
		}
	}
}

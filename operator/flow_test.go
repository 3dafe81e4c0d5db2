package operator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/narudata/naru/operator/v1alpha1"
)

func jsonOf(o any) ([]byte, error) { return json.Marshal(o) }

// beats is a pipeline that does something, and not much.
const beats = `pipeline: {config: 'input { heartbeat { interval => 1 } } output { stdout { codec => json_lines } }'}`

func TestThePodsOfAPipelineAreReadyAndItsRevisionsStayAsLongAsTheyAreUsed(t *testing.T) {
	t.Parallel()
	b := kubeTest(t)
	b.operate(Options{Keep: time.Second})
	b.flow("web", beats+`
replicas: 2
resources: {limits: {memory: 256Mi}}
podLabels: {team: search}`)
	f := b.awaitFlow("web", "True Running")
	first := f.Status.Revision
	if f.Status.ReadyReplicas != 2 || f.Status.Replicas != 2 || !strings.HasPrefix(message(f), "2 of 2 pods are ready") {
		t.Errorf("%d of %d pods are ready: %s", f.Status.ReadyReplicas, f.Status.Replicas, message(f))
	}
	var m corev1.ConfigMap
	if !b.get(&m, "flow-web-"+first) || m.Immutable == nil || !*m.Immutable || !metav1.IsControlledBy(&m, f) {
		t.Fatalf("the ConfigMap of revision %s: %+v", first, m)
	}
	var budget policyv1.PodDisruptionBudget
	if !b.get(&budget, "web") || budget.Spec.MaxUnavailable.IntValue() != 1 {
		t.Errorf("PodDisruptionBudget: %+v", budget.Spec)
	}
	b.await("pods say how far they are", func() string {
		b.get(f, "web")
		if f.Status.Records == nil || f.Status.Records.Read == 0 || f.Status.Records.Delivered == 0 {
			return fmt.Sprintf("records: %+v", f.Status.Records)
		}
		return ""
	})

	// A mistake changes nothing that runs, and is said with its place.
	change(b, f, func(f *v1alpha1.Flow) {
		f.Spec.Pipeline.Config = "input { heartbeat { interval => 1 } }\nfilter { mutate { renam => {} } }"
	})
	f = b.awaitFlow("web", "False InvalidPipeline")
	if !holds(f.Status.Conditions, v1alpha1.Stalled) || !strings.Contains(message(f), "pipeline.conf:2:19: ") || !strings.Contains(message(f), "rename") {
		t.Errorf("the mistake is: %s", message(f))
	}
	var d appsv1.Deployment
	if b.get(&d, "web"); d.Spec.Template.Labels[v1alpha1.RevisionLabel] != first || d.Status.Replicas != 2 {
		t.Errorf("revision %s, and %d pods", d.Spec.Template.Labels[v1alpha1.RevisionLabel], d.Status.Replicas)
	}
	// It is scaled all the same.
	change(b, f, func(f *v1alpha1.Flow) { f.Spec.Replicas = new(int32(1)) })
	b.await("a pod goes", func() string {
		if b.get(&d, "web"); d.Status.Replicas != 1 {
			return fmt.Sprintf("there are %d pods", d.Status.Replicas)
		}
		return ""
	})

	// Another revision.
	change(b, f, func(f *v1alpha1.Flow) {
		f.Spec.Pipeline.Config = "input { heartbeat { interval => 1 } } filter { mutate { add_tag => [two] } } output { stdout {} }"
		f.Spec.Pipeline.Settings = map[string]v1alpha1.SettingValue{"pipeline.workers": "1"}
	})
	f = b.awaitFlow("web", "True Running")
	second := f.Status.Revision
	if second == first || !b.get(&m, "flow-web-"+second) {
		t.Fatalf("revisions %s and %s", first, second)
	}
	if b.get(&budget, "web") {
		t.Error("one pod has a PodDisruptionBudget: its node could never be emptied")
	}
	if !b.get(&m, "flow-web-"+first) {
		t.Error("the configuration of the revision before is gone, and its ReplicaSet is there")
	}
	// Two revisions later no ReplicaSet has the first.
	for _, tag := range []string{"three", "four"} {
		change(b, f, func(f *v1alpha1.Flow) {
			f.Spec.Pipeline.Config = "input { heartbeat { interval => 1 } } filter { mutate { add_tag => [" + tag + "] } } output { stdout {} }"
		})
		f = b.awaitFlow("web", "True Running")
	}
	b.await("the first configuration goes", func() string {
		if b.get(&m, "flow-web-"+first) {
			return "it is there"
		}
		return ""
	})
	if !b.get(&m, "flow-web-"+f.Status.Revision) {
		t.Error("the present configuration is gone")
	}

	// The annotation that Argo CD's action sets.
	change(b, f, func(f *v1alpha1.Flow) { f.Annotations = map[string]string{v1alpha1.SuspendedAnnotation: "true"} })
	b.awaitFlow("web", "False Suspended")
	b.await("all pods go", func() string {
		if b.get(&d, "web"); d.Status.Replicas != 0 {
			return fmt.Sprintf("there are %d", d.Status.Replicas)
		}
		return ""
	})
	change(b, f, func(f *v1alpha1.Flow) { delete(f.Annotations, v1alpha1.SuspendedAnnotation) })
	b.awaitFlow("web", "True Running")
	got := b.events("web")
	for _, want := range []string{"RollingOut", "Running", "InvalidPipeline", "Suspended"} {
		if !slices.Contains(got, want) {
			t.Errorf("there is no event %s among %v", want, got)
		}
	}
	if len(got) > 25 {
		t.Errorf("%d events: %v", len(got), got)
	}
}

func TestWhatOthersSetOnAChildStaysAndWhatIsNarusIsPutBack(t *testing.T) {
	t.Parallel()
	b := kubeTest(t)
	b.operate(Options{})
	b.flow("web", beats+"\nreplicas: 1\nenv: [{name: LEVEL, value: one}]")
	f := b.awaitFlow("web", "True Running")
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: b.namespace}}
	// kubectl edit: another field manager, with a field of its own and one of naru's.
	change(b, d, func(d *appsv1.Deployment) {
		d.Annotations["example.com/theirs"] = "yes"
		for i := range d.Spec.Template.Spec.Containers[0].Env {
			if e := &d.Spec.Template.Spec.Containers[0].Env[i]; e.Name == "LEVEL" {
				e.Value = "by hand"
			}
		}
	})
	b.await("the variable is put back", func() string {
		b.get(d, "web")
		for _, e := range d.Spec.Template.Spec.Containers[0].Env {
			if e.Name == "LEVEL" && e.Value != "one" {
				return e.Value
			}
		}
		return ""
	})
	if d.Annotations["example.com/theirs"] != "yes" {
		t.Errorf("somebody else's annotation is gone: %v", d.Annotations)
	}
	// A variable that is taken away goes, whoever wrote it last.
	change(b, f, func(f *v1alpha1.Flow) { f.Spec.Env = nil })
	b.await("the variable goes", func() string {
		b.get(d, "web")
		if slices.ContainsFunc(d.Spec.Template.Spec.Containers[0].Env, func(e corev1.EnvVar) bool { return e.Name == "LEVEL" }) {
			return "it is there"
		}
		return ""
	})

	// An autoscaler of the Flow: by its scale subresource.
	b.awaitFlow("web", "True Running")
	scale := &autoscalingv1.Scale{}
	if err := b.client.SubResource("scale").Get(t.Context(), f, scale); err != nil || scale.Status.Replicas != 1 || scale.Status.Selector != "naru.dev/flow=web" {
		t.Fatalf("scale: %+v, %v", scale, err)
	}
	scale.Spec.Replicas = 2
	if err := b.client.SubResource("scale").Update(t.Context(), f, client.WithSubResourceBody(scale)); err != nil {
		t.Fatal(err)
	}
	b.await("there are two pods", func() string {
		if b.get(f, "web"); f.Status.ReadyReplicas != 2 {
			return fmt.Sprint(f.Status.ReadyReplicas)
		}
		return ""
	})
	var pods corev1.PodList
	if b.list(&pods, client.MatchingLabels{"naru.dev/flow": "web"}); len(pods.Items) < 2 {
		t.Errorf("the selector of the scale finds %d pods", len(pods.Items))
	}

	// An autoscaler of the Deployment: naru does not fight with it.
	if err := b.client.SubResource("scale").Get(t.Context(), d, scale); err != nil {
		t.Fatal(err)
	}
	scale.Spec.Replicas = 3
	if err := b.client.SubResource("scale").Update(t.Context(), d, client.WithSubResourceBody(scale), client.FieldOwner("autoscaler")); err != nil {
		t.Fatal(err)
	}
	change(b, f, func(f *v1alpha1.Flow) { f.Annotations = map[string]string{v1alpha1.ReconcileAtAnnotation: "now"} })
	b.await("three pods are ready", func() string {
		if b.get(f, "web"); f.Status.ReadyReplicas != 3 || !holds(f.Status.Conditions, v1alpha1.Ready) {
			return message(f)
		}
		return ""
	})
	if !strings.Contains(message(f), "whose number autoscaler sets") {
		t.Errorf("the message is: %s", message(f))
	}
	change(b, f, func(f *v1alpha1.Flow) { f.Spec.Suspend = true })
	b.awaitFlow("web", "False Suspended")
	b.await("suspended is suspended", func() string {
		if b.get(d, "web"); *d.Spec.Replicas != 0 {
			return fmt.Sprint(*d.Spec.Replicas)
		}
		return ""
	})
}

func TestAPipelineInAConfigMapFollowsIt(t *testing.T) {
	t.Parallel()
	b := kubeTest(t)
	b.operate(Options{})
	b.flow("web", "pipeline: {configMapRef: {name: pipelines, key: web.conf}}")
	f := b.awaitFlow("web", "False ConfigMapMissing")
	if holds(f.Status.Conditions, v1alpha1.Stalled) {
		t.Error("it is stalled, and the ConfigMap may come")
	}
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "pipelines", Namespace: b.namespace}, Data: map[string]string{"web.conf": "input { heartbeat {} }"}}
	if err := b.client.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	first := b.awaitFlow("web", "True Running").Status.Revision
	change(b, m, func(m *corev1.ConfigMap) { m.Data["web.conf"] = "input { heartbeat { interval => 2 } }" })
	b.await("there is another revision", func() string {
		if b.get(f, "web"); f.Status.Revision == first {
			return "it is the same"
		}
		return ""
	})
	b.awaitFlow("web", "True Running")
}

func TestARolloutTakesThePodsAndNotTheOperator(t *testing.T) {
	t.Parallel()
	b := kubeTest(t)
	b.operate(Options{})
	b.flow("web", beats+`
workload: Rollout
replicas: 3
route: {group: shop, topic: orders}`)
	f := b.awaitFlow("web", "True Rendered")
	var d appsv1.Deployment
	if b.get(&d, "web"); *d.Spec.Replicas != 0 {
		t.Errorf("the Deployment has %d replicas", *d.Spec.Replicas)
	}
	c := d.Spec.Template.Spec.Containers[0]
	i := slices.IndexFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == "NARU_ROUTE_HASH" })
	if i < 0 || c.Env[i].ValueFrom.FieldRef.FieldPath != "metadata.labels['rollouts-pod-template-hash']" || !slices.Contains(c.Args, "--route") {
		t.Errorf("%v %v", c.Args, c.Env)
	}
	// What Argo Rollouts would make of the template.
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-1", Namespace: b.namespace, Labels: d.Spec.Template.Labels}, Spec: d.Spec.Template.Spec}
	p.Spec.Containers[0].Args = slices.DeleteFunc(slices.Clone(c.Args), func(a string) bool { return a == "--route" }) // there is no Kafka
	if err := b.client.Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	b.await("its pods are counted", func() string {
		if b.get(f, "web"); f.Status.ReadyReplicas != 1 || !strings.Contains(message(f), "1 pods of it ready") {
			return message(f)
		}
		return ""
	})
}

func TestWrongSpecsAreRefused(t *testing.T) {
	t.Parallel()
	b := kubeTest(t)
	for _, c := range []struct{ spec, why string }{
		{"replicas: 1", "exactly one of pipeline"},
		{beats + "\nflow: {source: {}}", "exactly one of pipeline"},
		{"pipeline: {}", "exactly one of config"},
		{"pipeline: {config: x, configMapRef: {name: a, key: b}}", "exactly one of config"},
		{"flow: {source: {}}\nworkload: Rollout", "a flow that ends runs as a Job"},
		{"flow: {source: {}}\nroute: {group: a, topic: b}", "a route is for pipelines"},
		{beats + "\nreplicas: -1", "greater than or equal to 0"},
		{beats + "\nreplicas: 1001", "less than or equal to 1000"},
		{beats + "\nworkload: DaemonSet", "Unsupported value"},
		{beats + "\nterminationGracePeriodSeconds: 0", "greater than or equal to 1"},
		{"flow: {}", "at least 1 properties"},
	} {
		if _, err := b.create("wrong", c.spec); err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s\n  gives %v\n  want %s", c.spec, err, c.why)
		}
	}
	if _, err := b.create(strings.Repeat("a", 49), beats); err == nil || !strings.Contains(err.Error(), "more than 48 characters") {
		t.Errorf("a name of 49 characters: %v", err)
	}
	if _, err := b.create("a.b", beats); err == nil || !strings.Contains(err.Error(), "has a dot") {
		t.Errorf("a name with a dot: %v", err)
	}
	f := b.flow("right", beats)
	f.Spec.Pipeline, f.Spec.Flow = nil, &flowJSON
	if err := b.client.Update(t.Context(), f); err == nil || !strings.Contains(err.Error(), "cannot become") {
		t.Errorf("a pipeline became a flow: %v", err)
	}
	m := &v1alpha1.Migration{ObjectMeta: metav1.ObjectMeta{Name: "m", Namespace: b.namespace}, Spec: v1alpha1.MigrationSpec{From: flowJSON, To: flowJSON}}
	if err := b.client.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	m.Spec.Parallelism = new(int32(3))
	if err := b.client.Update(t.Context(), m); err != nil {
		t.Error(err)
	}
	m.Spec.From.Raw = []byte(`{"archive": {"dir": "/other"}}`)
	if err := b.client.Update(t.Context(), m); err == nil || !strings.Contains(err.Error(), "the source of a Migration is what it was begun with") {
		t.Errorf("a Migration's source was changed: %v", err)
	}
	e := &v1alpha1.Environment{ObjectMeta: metav1.ObjectMeta{Name: "e", Namespace: b.namespace}, Spec: v1alpha1.EnvironmentSpec{Environment: "prod"}}
	if err := b.client.Create(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	e.Spec.Environment = "dev"
	if err := b.client.Update(t.Context(), e); err == nil || !strings.Contains(err.Error(), "the name of an environment stays") {
		t.Errorf("an Environment's name was changed: %v", err)
	}
}

func TestWhatCannotRunIsSaidAndBreaksNothing(t *testing.T) {
	t.Parallel()
	b := kubeTest(t)
	b.operate(Options{})
	for name, c := range map[string]struct{ spec, want, why string }{
		"secret":   {beats + "\nenv: [{name: KAFKA_PASSWORD, value: hunter2}]", "False SecretInTheClear", "KAFKA_PASSWORD"},
		"settings": {`pipeline: {config: 'input { heartbeat {} }', settings: {path.data: /x}}`, "False InvalidPipeline", "path.data is set by the operator"},
		"stdin":    {`pipeline: {config: 'input { stdin {} }'}`, "False InvalidPipeline", "pipeline.conf:1:9: a pod has no standard input"},
		"noinput":  {`pipeline: {config: 'output { stdout {} }'}`, "False InvalidPipeline", "no input"},
		"variable": {`pipeline: {config: 'input { heartbeat { message => "${NOBODY}" } }'}`, "False InvalidPipeline", "NOBODY"},
		"flow":     {"flow: {source: {archive: {dir: /a}}, sink: {opensearch: {urls: [x]}}, more: 1}", "False InvalidFlow", "more"},
		"relative": {"flow: {source: {archive: {dir: /a}}, sink: {ndjson: {dir: out}}}", "False InvalidFlow", "absolute path"},
		"stream":   {"flow: {source: {archive: {dir: /a}}, sink: {ndjson: {dir: '-'}}}", "False InvalidFlow", "standard output"},
		"mount":    {beats + "\nvolumeMounts: [{name: nowhere, mountPath: /x}]", "False Refused", "nowhere"},
		"hostpath": {beats + "\nvolumes: [{name: host, hostPath: {path: /etc}}]\nvolumeMounts: [{name: host, mountPath: /x}]", "False PodsRefused", "hostPath"},
	} {
		t.Run(name, func(t *testing.T) {
			b := *b
			b.T = t
			b.flow(name, c.spec)
			f := b.awaitFlow(name, c.want)
			if !holds(f.Status.Conditions, v1alpha1.Stalled) || !strings.Contains(message(f), c.why) {
				t.Errorf("%s", message(f))
			}
		})
	}
	// Somebody else's Deployment has the name.
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "taken", Namespace: b.namespace}}
	d.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "x"}}
	d.Spec.Template.Labels = map[string]string{"app": "x"}
	d.Spec.Replicas = new(int32(0))
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "x", Image: "x"}}
	if err := b.client.Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	b.flow("taken", beats)
	f := b.awaitFlow("taken", "False NameTaken")
	if !holds(f.Status.Conditions, v1alpha1.Stalled) {
		t.Error(message(f))
	}
}

// TestAPodThatCannotRunTakesNobodysPlace has the mistake where the operator cannot see it: in a file of the pod.
func TestAPodThatCannotRunTakesNobodysPlace(t *testing.T) {
	t.Parallel()
	b := kubeTest(t)
	b.operate(Options{})
	b.flow("web", beats)
	f := b.awaitFlow("web", "True Running")
	change(b, f, func(f *v1alpha1.Flow) {
		f.Spec.Pipeline.Config = `input { heartbeat {} } filter { translate { source => "a" target => "b" dictionary_path => "/nonexistent/x.yml" } }`
	})
	f = b.awaitFlow("web", "False PodsFail")
	if !strings.Contains(message(f), "/nonexistent/x.yml") || f.Status.ReadyReplicas != 1 {
		t.Errorf("%d pods are ready; %s", f.Status.ReadyReplicas, message(f))
	}
	change(b, f, func(f *v1alpha1.Flow) { f.Spec.Pipeline.Config = "input { heartbeat {} }" })
	b.awaitFlow("web", "True Running")
}

func TestANamespaceThatIsDeletedEnds(t *testing.T) {
	t.Parallel()
	b := kubeTest(t)
	b.operate(Options{})
	b.flow("web", beats+"\nterminationGracePeriodSeconds: 5")
	b.flow("broken", "pipeline: {config: 'input {'}")
	b.awaitFlow("web", "True Running")
	b.awaitFlow("broken", "False InvalidPipeline")
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: b.namespace}}
	if err := b.client.Delete(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	b.await("the namespace ends", func() string {
		err := b.client.Get(t.Context(), client.ObjectKey{Name: b.namespace}, n)
		if apierrors.IsNotFound(err) {
			return ""
		}
		return fmt.Sprint(err, n.Status.Conditions)
	})
}

func TestMetricsAreForWhoeverShowsTheToken(t *testing.T) {
	t.Parallel()
	s := &metricsServer{token: "right"}
	h := s.guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	for given, want := range map[string]int{"": 401, "Bearer wrong": 401, "right": 401, "Bearer right": 200} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", given)
		if got := answered(h, r); got != want {
			t.Errorf("%q gives %d, want %d", given, got, want)
		}
	}
}

// outside is a folder of the test that pods have at the same place.
func (b *kubeBed) outside(name string) (dir string) {
	b.Helper()
	dir = filepath.Join(b.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	return dir
}

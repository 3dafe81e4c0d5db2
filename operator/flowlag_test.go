package operator

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

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
	for i := range records {
		client.Produce(t.Context(), kgo.StringRecord(fmt.Sprintf(`{"n": %d, "text": %q}`, i, strings.Repeat("x", 200))), nil)
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
	value := func() float64 {
		families, err := metrics.Registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			for _, m := range family.GetMetric() {
				if family.GetName() == "naru_kafka_lag_records" && strings.Contains(m.String(), `"`+b.namespace+`"`) {
					return m.GetGauge().GetValue()
				}
			}
		}
		return -1
	}
	if v := value(); v < records/2 || v > records {
		t.Errorf("the metric is %v", v)
	}
	change(b, f, func(f *v1alpha1.Flow) { f.Spec.Suspend = true })
	b.await("suspended, its pods go", func() string {
		if b.get(f, "web"); f.Status.Replicas > 0 || f.Status.Lag != nil {
			return fmt.Sprint(f.Status.Replicas, f.Status.Lag)
		}
		return ""
	})
}

func TestAPodIsAskedWithItsPasswordAndNobodyElse(t *testing.T) {
	asked := 0
	pod := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if _, password, _ := r.BasicAuth(); password != "right" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"pipelines": [{"figures": {"inputs": [{"messages": 7}], "outputs": [{"delivered": 5, "dead": 1}], "lost": 1}, "lags": {"a": 10, "b": -1}}]}`)
	}))
	defer pod.Close()
	address := strings.TrimPrefix(pod.URL, "http://")
	f, err := figuresOf(t.Context(), podClient(), address, apiAccess{username: "naru", password: "right"})
	if want := (podFigures{v1alpha1.Records{Read: 7, Delivered: 5, DeadLetters: 2}, 10, true}); err != nil || f != want {
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

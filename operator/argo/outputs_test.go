package argo

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/utils/plugin/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/logstash/witness"
)

// witnessPod is a pod that has read records 0 to 100 of partitions, and what it made of each; nil: nothing.
func witnessPod(t *testing.T, hash string, from int64, partitions []int32, made func(partition int32, offset int64) map[string]any) corev1.Pod {
	t.Helper()
	w := &witness.Witness{}
	w.Keep(true)
	for _, p := range partitions {
		w.Read("t", p, from, 101, true)
		for o := from; o < 101; o++ {
			if doc := made(p, o); doc != nil {
				text, err := json.Marshal(doc)
				if err != nil {
					t.Fatal(err)
				}
				w.Made(kafka.EventID("c", "t", p, o), 0, "kafka", &flow.Record{Index: "out", Key: []byte("k"), Body: text})
			}
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if user, _, _ := r.BasicAuth(); user != "naru" || r.URL.Path != witness.Path {
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(rw).Encode(w.Report(hash, 0))
	}))
	t.Cleanup(server.Close)
	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
	var n int32
	_, _ = fmt.Sscan(port, &n)
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(hash, port)}, Status: corev1.PodStatus{PodIP: "127.0.0.1"},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "api", ContainerPort: n}}}}},
	}
}

func TestOutputsThatCannotBeReadBackAreComparedByWhatTheyMade(t *testing.T) {
	b := startBrokers(t)
	b.shadowed(800)
	plain := newPlatform(slog.New(slog.DiscardHandler))
	plain.secret = func(context.Context, string, string) (map[string][]byte, error) {
		return map[string][]byte{"username": []byte("naru")}, nil
	}
	var pods map[string][]corev1.Pod
	plain.pods = func(_ context.Context, _, hash string) ([]corev1.Pod, error) { return pods[hash], nil }
	all := []int32{0, 1, 2, 3, 4, 5, 6, 7}
	stable := func(p int32, o int64) map[string]any { return map[string]any{"n": o, "status": "200", "@timestamp": 1} }
	canary := func(change func(map[string]any) map[string]any) func(p int32, o int64) map[string]any {
		return func(p int32, o int64) map[string]any {
			doc := stable(p, o)
			doc["@timestamp"] = 2
			return change(doc)
		}
	}
	same := canary(func(d map[string]any) map[string]any { return d })
	number := canary(func(d map[string]any) map[string]any { d["status"] = 200; return d })
	nothing := func(int32, int64) map[string]any { return nil }
	lossy := func(p int32, o int64) map[string]any {
		if p == 3 {
			return nil
		}
		return same(p, o)
	}
	split := []corev1.Pod{witnessPod(t, "v1", 0, all[:4], stable), witnessPod(t, "v1", 0, all[4:], stable)}
	late := []corev1.Pod{witnessPod(t, "v1", 95, all, stable)}
	config := fmt.Sprintf(`{"measure":"outputs","group":"g","kafka":{"brokers":"%s"},"api":{"secretRef":{"name":"naru-api"}}`, b.config.Brokers[0])
	run := &v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{Namespace: "pipes"}}
	for _, c := range []struct {
		name   string
		stable []corev1.Pod
		canary []corev1.Pod
		more   string
		phase  v1alpha1.AnalysisPhase
		says   string
	}{
		{"nothing differs", split, []corev1.Pod{witnessPod(t, "v2", 0, all, same)}, "", v1alpha1.AnalysisPhaseSuccessful, ""},
		{"the time counts when it is asked for", split, []corev1.Pod{witnessPod(t, "v2", 0, all, same)}, `,"ignore":[]`, v1alpha1.AnalysisPhaseFailed, "@timestamp"},
		{"a field has another type", split, []corev1.Pod{witnessPod(t, "v2", 0, all, number)}, "", v1alpha1.AnalysisPhaseFailed, "status: string → number"},
		{"that is meant", split, []corev1.Pod{witnessPod(t, "v2", 0, all, number)}, `,"ignore":["@timestamp","status"]`, v1alpha1.AnalysisPhaseSuccessful, ""},
		{"a partition is dropped silently", split, []corev1.Pod{witnessPod(t, "v2", 0, all, lossy)}, "", v1alpha1.AnalysisPhaseFailed, "onlyStable 100"},
		{"all is dropped silently", split, []corev1.Pod{witnessPod(t, "v2", 0, all, nothing)}, "", v1alpha1.AnalysisPhaseFailed, "share 1"},
		{"neither makes anything", []corev1.Pod{witnessPod(t, "v1", 0, all, nothing)}, []corev1.Pod{witnessPod(t, "v2", 0, all, nothing)}, "", v1alpha1.AnalysisPhaseInconclusive, "neither version"},
		{"the stable version keeps too few of them", late, []corev1.Pod{witnessPod(t, "v2", 0, all, same)}, "", v1alpha1.AnalysisPhaseInconclusive, "48 records"},
		{"one of two pods of the stable version is not asked", split[:1], []corev1.Pod{witnessPod(t, "v2", 0, all, same)}, "", v1alpha1.AnalysisPhaseSuccessful, ""},
		{"no pods", split, nil, "", v1alpha1.AnalysisPhaseInconclusive, "0 records"},
		{"pods of another version", split, []corev1.Pod{witnessPod(t, "v9", 0, all, same)}, "", v1alpha1.AnalysisPhaseInconclusive, "0 records"},
	} {
		t.Run(c.name, func(t *testing.T) {
			pods = map[string][]corev1.Pod{"v1": c.stable, "v2": c.canary}
			m := (&provider{plain}).Run(run, metric("result.share <= 0.001", config+c.more+"}"))
			if m.Phase != c.phase || !strings.Contains(m.Message, c.says) || m.FinishedAt == nil {
				t.Errorf("%s, want %s with %q: %s\n%s %v", m.Phase, c.phase, c.says, m.Message, m.Value, m.Metadata)
			}
		})
	}

	// The step does the same.
	ro := rollout(b.routing(), 0)
	ro.Status.CurrentPodHash = "v2"
	step := &step{plain}
	for want, of := range map[types.StepPhase]func(int32, int64) map[string]any{types.PhaseSuccessful: same, types.PhaseFailed: number} {
		pods = map[string][]corev1.Pod{"v1": split, "v2": {witnessPod(t, "v2", 0, all, of)}}
		r, err := step.Run(ro, &types.RpcStepContext{Config: json.RawMessage(fmt.Sprintf(
			`{"group":"g","kafka":{"brokers":"%s"},"compare":{"outputs":true,"records":800,"api":{"secretRef":{"name":"naru-api"}}}}`, b.config.Brokers[0]))})
		if must(t, err); r.Phase != want {
			t.Errorf("%+v, want %s", r, want)
		}
	}
	if _, err := b.admin.SetRoute(t.Context(), "g", "", func(r *kafka.Route) { r.Mirror = false }); err != nil {
		t.Fatal(err)
	}
	if m := (&provider{plain}).Run(run, metric("result.share <= 0.001", config+"}")); m.Phase != v1alpha1.AnalysisPhaseInconclusive || !strings.Contains(m.Message, "does not read in shadow") {
		t.Errorf("after the shadow: %s %s", m.Phase, m.Message)
	}
}

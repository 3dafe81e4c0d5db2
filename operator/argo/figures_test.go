package argo

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/narudata/naru/connect/kafka"
)

func TestRatesAreOfWhatPodsHaveCountedMeanwhile(t *testing.T) {
	b := startBrokers(t)
	if _, err := b.admin.SetRoute(t.Context(), "g", "t", func(r *kafka.Route) { *r = kafka.Route{Stable: "v1", Canary: "v2", Weight: 50} }); err != nil {
		t.Fatal(err)
	}
	var grown atomic.Int64
	taken, writes := map[string]float64{"v1": 1, "v2": 1}, map[string]float64{"v1": 1, "v2": 1} // for each record
	pod := func(hash string, in, dead, cpu float64, restarts bool) corev1.Pod {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if user, pass, _ := r.BasicAuth(); user != "naru" || pass != "x" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			k, began := float64(grown.Load()), 1000.0
			if restarts {
				began += k
			}
			fmt.Fprintf(w, "# HELP x y\nnaru_pipeline_events_in_total{pipeline=\"a}b\"} %v\nnaru_pipeline_events_in_total{pipeline=\"b\"} %v\nnaru_output_dead_total{plugin=\"o\",name=\"n\"} %v\nprocess_cpu_seconds_total %v\nprocess_start_time_seconds %v\n",
				in*k, in*k, dead*k, cpu*k, began)
			fmt.Fprintf(w, "naru_pipeline_events_filtered_total{pipeline=\"b\"} %v\nnaru_pipeline_events_unrouted_total{pipeline=\"b\"} %v\nnaru_output_writes_total %v\n",
				2*in*k, 2*in*k*(1-taken[hash]), 2*in*k*writes[hash])
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
	p := newPlatform(slog.New(slog.DiscardHandler))
	pods := map[string][]corev1.Pod{
		"v1": {pod("v1", 500, 1, 2, false), pod("v1", 1e9, 1e9, 1e9, true)},
		"v2": {pod("v2", 250, 50, 2, false)},
	}
	p.pods = func(_ context.Context, namespace, hash string) ([]corev1.Pod, error) { return pods[hash], nil }
	p.secret = func(context.Context, string, string) (map[string][]byte, error) {
		return map[string][]byte{"username": []byte("naru"), "password": []byte("x")}, nil
	}
	run := &v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{Namespace: "pipes"}}
	measure := func(what, condition string) v1alpha1.Measurement {
		t.Helper()
		mp := &provider{p}
		m := metric(condition, fmt.Sprintf(`{"measure":"%s","group":"g","kafka":{"brokers":"%s"},"api":{"secretRef":{"name":"naru-api"}},"window":"1s"}`, what, b.config.Brokers[0]))
		grown.Add(1)
		first := mp.Run(run, m)
		if first.Phase != v1alpha1.AnalysisPhaseRunning || first.ResumeAt == nil {
			return first
		}
		grown.Add(1)
		return mp.Resume(run, m, first)
	}
	for _, c := range []struct {
		what, condition string
		phase           v1alpha1.AnalysisPhase
		value           string
	}{
		{"dead-letters", "result.canary <= result.stable + 0.001", v1alpha1.AnalysisPhaseFailed, `"canary":0.1,`},
		{"cost", "result.ratio <= 2.1", v1alpha1.AnalysisPhaseSuccessful, `"ratio":2,`},
		{"cost", "result.ratio <= 1.3", v1alpha1.AnalysisPhaseFailed, `"stable":0.002`},
		{"errors", "result.canary == 0", v1alpha1.AnalysisPhaseSuccessful, `"ratio":1,`},
		{"cost", "result.nothing > 1", v1alpha1.AnalysisPhaseError, ""},
	} {
		if m := measure(c.what, c.condition); m.Phase != c.phase || !strings.Contains(m.Value, c.value) {
			t.Errorf("%s, %s: %s %s %s", c.what, c.condition, m.Phase, m.Value, m.Message)
		}
	}
	// A canary that drops events silently has no dead letters, and costs less.
	if m := measure("yield", "result.ratio >= 0.98 && result.ratio <= 1.02"); m.Phase != v1alpha1.AnalysisPhaseSuccessful || !strings.Contains(m.Value, `"canary":1,`) {
		t.Errorf("as many events: %s %s %s", m.Phase, m.Value, m.Message)
	}
	taken["v2"] = 0.7
	if m := measure("yield", "result.ratio >= 0.98 && result.ratio <= 1.02"); m.Phase != v1alpha1.AnalysisPhaseFailed || !strings.Contains(m.Message, "ratio 0.7") {
		t.Errorf("fewer events: %s %s", m.Phase, m.Message)
	}
	writes["v2"] = 0
	if m := measure("errors", "result.canary == 0"); m.Phase != v1alpha1.AnalysisPhaseInconclusive || !strings.Contains(m.Message, "written nothing") {
		t.Errorf("no writes are no errors: %s %s", m.Phase, m.Message)
	}
	run.Labels = map[string]string{v1alpha1.DefaultRolloutUniqueLabelKey: "v3"}
	if m := measure("cost", "result.ratio <= 9"); m.Phase != v1alpha1.AnalysisPhaseInconclusive || !strings.Contains(m.Message, "still v2") {
		t.Errorf("an analysis of v3 while the route has v2: %s %s", m.Phase, m.Message)
	}
	run.Labels = nil
	pods["v2"] = nil
	if m := measure("cost", "result.ratio <= 1"); m.Phase != v1alpha1.AnalysisPhaseInconclusive || !strings.Contains(m.Message, "0 pods of v2") {
		t.Errorf("no pods: %s %s", m.Phase, m.Message)
	}
}

func TestAPodCannotHaveTheControllerAskOthers(t *testing.T) {
	asked := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer other.Close()
	pod := httptest.NewServer(http.RedirectHandler(other.URL+"/metrics", http.StatusFound))
	defer pod.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, pod.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := ask(req); err == nil || asked {
		t.Errorf("the redirect was followed (%t): %+v", asked, f)
	}
}

func FuzzMetricsOfPods(f *testing.F) {
	f.Add("naru_output_dead_total{a=\"}\"} 3\nprocess_cpu_seconds_total 1e3 17\n")
	f.Add("naru_output_dead_total{")
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := parseFigures(strings.NewReader(s)); err != nil && got != (figures{}) && !strings.Contains(err.Error(), "too long") {
			t.Errorf("%q: %+v with %v", s, got, err)
		}
	})
}

package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/narudata/naru/logstash/monitor"
	"github.com/narudata/naru/operator/v1alpha1"
)

// podFigures are what a pod of a pipeline has said.
type podFigures struct {
	records v1alpha1.Records
	lag     int64
	lagging bool // the lag is known
}

// Bounds of asking pods.
const (
	podPatience    = time.Second
	podsAtATime    = 8
	mostSilence    = 4 // doublings of the interval
	mostOfAnAnswer = 8 << 20
)

// Metrics of the operator about Flows, which autoscalers ask Prometheus for. The label is not "namespace": Prometheus puts the operator's there.
var (
	lagOf = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "naru_kafka_lag_records", Help: "Records of its topics that the pods of a Flow have still to read, where that is known.",
	}, []string{"flow_namespace", "flow"})
	registered = sync.OnceFunc(func() { metrics.Registry.MustRegister(lagOf) })
)

// podClient asks pods: short, without proxies, and never anywhere else.
func podClient() *http.Client {
	registered()
	return &http.Client{
		Timeout:       podPatience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("a pod sends elsewhere") },
		Transport: &http.Transport{
			DialContext: (&net.Dialer{Timeout: podPatience}).DialContext, MaxIdleConns: 256, MaxIdleConnsPerHost: 1, IdleConnTimeout: 90 * time.Second,
			ResponseHeaderTimeout: podPatience,
		},
	}
}

// measure asks the pods of a pipeline how far they are, if it is time. What cannot be reached leaves the status as it was; where no pod
// answers (a network policy, say), it is tried less and less often.
func (l *look) measure(ctx context.Context) {
	s := &l.flow.Status
	if s.ReadyReplicas == 0 {
		s.Lag = nil
		lagOf.DeleteLabelValues(l.flow.Namespace, l.flow.Name)
		return
	}
	now := time.Now()
	if now.Sub(l.memory.measured) < l.Interval<<min(l.memory.silent, mostSilence)*9/10 {
		return
	}
	l.memory.measured = now
	to, err := l.access(ctx, l.flow.Namespace)
	if err != nil {
		l.Log.Warn("pods cannot be asked how far they are", "flow", l.flow.Namespace+"/"+l.flow.Name, "error", err)
		return
	}
	answers := l.ask(ctx, to)
	if len(answers) == 0 {
		l.doubt(l.flow.Namespace)
		if l.memory.silent++; l.memory.silent == 2 {
			l.Log.Warn("no pod says how far it is: may the operator reach them?", "flow", l.flow.Namespace+"/"+l.flow.Name, "port", apiPort)
		}
		return
	}
	l.memory.silent = 0
	var records v1alpha1.Records
	lag, lagging, missing := int64(0), false, int(s.ReadyReplicas)-len(answers)
	for _, a := range answers {
		records.Read += a.records.Read
		records.Delivered += a.records.Delivered
		records.DeadLetters += a.records.DeadLetters
		lag += a.lag
		lagging = lagging || a.lagging
	}
	switch {
	case lagging && missing <= 0:
		lagOf.WithLabelValues(l.flow.Namespace, l.flow.Name).Set(float64(lag))
	case !lagging:
		lagOf.DeleteLabelValues(l.flow.Namespace, l.flow.Name)
	}
	if at := s.MeasuredAt; at != nil && now.Sub(at.Time) < 2*l.Interval && l.before.Status.ObservedGeneration == l.flow.Generation {
		return // a write of the status is a write of the whole object: metrics are for those who want it sooner
	}
	s.Records, s.MeasuredAt = &records, new(metav1.NewTime(now.Truncate(time.Second)))
	switch {
	case lagging && missing <= 0:
		s.Lag = &v1alpha1.Lag{Records: lag}
	case !lagging:
		s.Lag = nil
	}
}

// ask asks all pods that are ready, some at a time.
func (l *look) ask(ctx context.Context, to apiAccess) map[types.UID]podFigures {
	var mu sync.Mutex // guards out
	out := map[types.UID]podFigures{}
	var all sync.WaitGroup
	slots := make(chan struct{}, podsAtATime)
	for i := range l.pods {
		p := &l.pods[i]
		if !podReady(p) || p.Status.PodIP == "" || !p.DeletionTimestamp.IsZero() {
			continue
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			f, err := figuresOf(ctx, l.HTTP, net.JoinHostPort(p.Status.PodIP, strconv.Itoa(apiPort)), to)
			if err != nil {
				l.Log.Debug("a pod does not say how far it is", "pod", p.Namespace+"/"+p.Name, "error", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			out[p.UID] = f
		})
	}
	all.Wait()
	return out
}

// figuresOf asks a pod of a pipeline.
func figuresOf(ctx context.Context, c *http.Client, address string, to apiAccess) (f podFigures, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/naru/figures", http.NoBody)
	if err != nil {
		return f, err
	}
	request.SetBasicAuth(to.username, to.password)
	answer, err := c.Do(request)
	if err != nil {
		return f, err
	}
	defer answer.Body.Close() //nolint:errcheck // only read
	if answer.StatusCode != http.StatusOK {
		return f, fmt.Errorf("status %d", answer.StatusCode)
	}
	var report monitor.Report
	if err := json.NewDecoder(io.LimitReader(answer.Body, mostOfAnAnswer)).Decode(&report); err != nil {
		return f, err
	}
	for i := range report.Pipelines {
		p := &report.Pipelines[i]
		f.records.DeadLetters += p.Figures.Lost
		for j := range p.Figures.Inputs {
			f.records.Read += p.Figures.Inputs[j].Messages
		}
		for j := range p.Figures.Outputs {
			f.records.Delivered += p.Figures.Outputs[j].Delivered
			f.records.DeadLetters += p.Figures.Outputs[j].Dead
		}
		for _, n := range p.Lags {
			f.lag += max(n, 0)
			f.lagging = true
		}
	}
	return f, nil
}

// lastLines is the end of what a container wrote.
func (r *Flows) lastLines(ctx context.Context, p *corev1.Pod) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, podPatience)
	defer cancel()
	return r.Pods.CoreV1().Pods(p.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{Container: containerIs, TailLines: new(int64(20)), LimitBytes: new(int64(1 << 20))}).DoRaw(ctx)
}

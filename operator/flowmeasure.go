package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/narudata/naru/logstash/monitor"
	"github.com/narudata/naru/operator/v1alpha1"
)

// podFigures are what a pod of a pipeline has said.
type podFigures struct {
	records v1alpha1.Records
	lags    lags // nil: it is not known
}

// mostTopics is of how many topics the lag is kept apart: a pod may say anything.
const mostTopics = 1000

func (f *podFigures) behind(r reading, x lag) {
	if f.lags == nil {
		f.lags = lags{}
	}
	if _, there := f.lags[r]; !there && len(f.lags) >= mostTopics {
		r = reading{}
	}
	f.lags.add(r, x)
}

// A reading is who reads what: a group of consumers and a topic.
type reading struct{ group, topic string }

// lags are how far a pipeline is behind.
type lags map[reading]lag

// A lag is what waits: so many records, of which the oldest is so many seconds old; nil: that is not known.
type lag struct {
	records int64
	seconds *float64
}

// add adds what another pod has still to read: the sum of the records, and the worst of the ages.
func (l lags) add(r reading, more lag) {
	have, there := l[r]
	if !there {
		l[r] = more
		return
	}
	l[r] = lag{have.records + more.records, worse(have, more)}
}

// worse is the larger age of two; nil: of some of the records it is not known.
func worse(a, b lag) *float64 {
	switch {
	case a.seconds == nil && a.records > 0, b.seconds == nil && b.records > 0:
		return nil
	case a.seconds == nil:
		return b.seconds
	case b.seconds == nil || *a.seconds > *b.seconds:
		return a.seconds
	}
	return b.seconds
}

// total is the lag in all topics together.
func (l lags) total() (sum lag) {
	sum.seconds = new(float64)
	for _, x := range l {
		sum = lag{sum.records + x.records, worse(sum, x)}
	}
	return sum
}

// Bounds of asking pods.
const (
	podPatience    = time.Second
	podsAtATime    = 8
	mostSilence    = 4  // doublings of the interval
	staleAfter     = 10 // intervals, after which a lag that not all pods have confirmed is not known any more
	mostOfAnAnswer = 8 << 20
)

// Metrics of the operator about Flows, which autoscalers ask for. The label is not "namespace": Prometheus puts the operator's there.
var (
	lagLabels  = []string{"flow_namespace", "flow", "group", "topic"}
	lagRecords = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "naru_kafka_lag_records", Help: "Records of a topic that the pods of a Flow have still to deliver, where that is known.",
	}, lagLabels)
	lagSeconds = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "naru_kafka_lag_seconds", Help: "Age of the oldest of them, by its timestamp in the topic; 0 if there are none.",
	}, lagLabels)
	registered = sync.OnceFunc(func() { metrics.Registry.MustRegister(lagRecords, lagSeconds) })
)

// unexport takes the lag of a Flow out of the metrics.
func unexport(flow types.NamespacedName) {
	of := prometheus.Labels{"flow_namespace": flow.Namespace, "flow": flow.Name}
	lagRecords.DeletePartialMatch(of)
	lagSeconds.DeletePartialMatch(of)
}

func (l *look) unexport(flow types.NamespacedName) {
	unexport(flow)
	l.memory.lags = nil
}

// export makes the metrics of a Flow say the lag. before is what they said.
func (l lags) export(flow types.NamespacedName, before lags) {
	for r, x := range l {
		labels := []string{flow.Namespace, flow.Name, r.group, r.topic}
		lagRecords.WithLabelValues(labels...).Set(float64(x.records))
		if x.seconds != nil {
			lagSeconds.WithLabelValues(labels...).Set(*x.seconds)
		} else {
			lagSeconds.DeleteLabelValues(labels...)
		}
	}
	for r := range before {
		if _, still := l[r]; !still {
			lagRecords.DeleteLabelValues(flow.Namespace, flow.Name, r.group, r.topic)
			lagSeconds.DeleteLabelValues(flow.Namespace, flow.Name, r.group, r.topic)
		}
	}
}

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
	s, name := &l.flow.Status, client.ObjectKeyFromObject(l.flow)
	if s.ReadyReplicas == 0 {
		s.Lag = nil
		l.unexport(name)
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
	if now.Sub(l.memory.knew) > staleAfter*l.Interval { // an autoscaler must not go by it any more
		s.Lag = nil
		l.unexport(name)
	}
	if len(answers) == 0 {
		l.doubt(l.flow.Namespace)
		if l.memory.silent++; l.memory.silent == 2 {
			l.Log.Warn("no pod says how far it is: may the operator reach them?", "flow", l.flow.Namespace+"/"+l.flow.Name, "port", apiPort)
		}
		return
	}
	l.memory.silent = 0
	var records v1alpha1.Records
	behind, lagging, missing := lags{}, false, int(s.ReadyReplicas)-len(answers)
	for _, a := range answers {
		records.Read += a.records.Read
		records.Delivered += a.records.Delivered
		records.DeadLetters += a.records.DeadLetters
		for r, x := range a.lags {
			behind.add(r, x)
			lagging = true
		}
	}
	switch {
	case lagging && missing <= 0:
		behind.export(name, l.memory.lags)
		l.memory.lags, l.memory.knew = behind, now
	case !lagging:
		l.unexport(name)
	}
	if at := s.MeasuredAt; at != nil && now.Sub(at.Time) < 2*l.Interval && l.before.Status.ObservedGeneration == l.flow.Generation {
		return // a write of the status is a write of the whole object: metrics are for those who want it sooner
	}
	s.Records, s.MeasuredAt = &records, new(metav1.NewTime(now.Truncate(time.Second)))
	switch {
	case lagging && missing <= 0:
		sum := behind.total()
		s.Lag = &v1alpha1.Lag{Records: sum.records}
		if sum.seconds != nil {
			s.Lag.Seconds = new(int64(math.Ceil(min(max(*sum.seconds, 0), math.MaxInt32))))
		}
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
		for _, topics := range p.Topics {
			for _, t := range topics {
				f.behind(reading{t.Group, t.Topic}, lag{max(t.Records, 0), t.Seconds})
			}
		}
		for id, n := range p.Lags {
			if _, told := p.Topics[id]; !told { // by a naru that is older
				f.behind(reading{}, lag{max(n, 0), nil})
			}
		}
	}
	return f, nil
}

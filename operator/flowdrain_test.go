package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/narudata/naru/operator/v1alpha1"
)

// TestScalingAPipelineDownAndUpAndAwayLosesAndDoublesNothing scales a Deployment of real processes while records come, and deletes it in the
// end. What arrives is counted by a server that knows no ids: what came twice would be counted twice.
func TestScalingAPipelineDownAndUpAndAwayLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	b := kubeTest(t)
	const partitions, grace = 6, 40
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, "web"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	brokers := kgo.SeedBrokers(kafka.ListenAddrs()...)
	seen := &arrivals{n: map[int]int{}}
	sink := httptest.NewServer(seen)
	t.Cleanup(sink.Close)
	ends := b.watchEnds()
	b.operate(Options{})
	f := b.flow("web", fmt.Sprintf(`
pipeline:
  config: |
    input { kafka { bootstrap_servers => "${BROKERS}" topics => ["web"] group_id => "web" auto_offset_reset => "earliest" codec => json {} } }
    output { http { url => "%s" http_method => "post" format => "json" } }
  settings: {pipeline.batch.size: "20", pipeline.workers: "1"}
replicas: 3
terminationGracePeriodSeconds: %d
env: [{name: BROKERS, value: %q}]
`, sink.URL, grace, strings.Join(kafka.ListenAddrs(), ",")))
	b.awaitFlow("web", "True Running")
	produced := b.produce(brokers)
	more := func(what string) {
		t.Helper()
		from := seen.count()
		b.await("records arrive "+what, func() string {
			if n := seen.count() - from; n < 300 {
				return fmt.Sprintf("%d since then, %d in all", n, seen.count())
			}
			return ""
		})
	}
	more("with three pods")
	pods := map[string]bool{}
	for _, replicas := range []int32{1, 2} {
		change(b, f, func(f *v1alpha1.Flow) { f.Spec.Replicas = &replicas })
		b.await(fmt.Sprintf("there are %d pods", replicas), func() string {
			var l corev1.PodList
			b.list(&l)
			ready := int32(0)
			for i := range l.Items {
				pods[l.Items[i].Name] = true
				if podReady(&l.Items[i]) {
					ready++
				}
			}
			if ready != replicas || len(l.Items) != int(replicas) {
				return fmt.Sprintf("%d are ready, of %d", ready, len(l.Items))
			}
			return ""
		})
		more(fmt.Sprintf("with %d pods", replicas))
	}
	if err := b.client.Delete(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	b.await("the pods are gone", func() string {
		var l corev1.PodList
		b.list(&l)
		if len(l.Items) > 0 {
			return fmt.Sprintf("%d pods are there", len(l.Items))
		}
		return ""
	})
	all := produced()
	for name, end := range ends() {
		if delete(pods, name); end.ExitCode != 0 || end.late > 0 {
			t.Errorf("pod %s ended with status %d, %v after its time: %s", name, end.ExitCode, end.late, end.Message)
		}
	}
	if len(pods) > 0 {
		t.Errorf("nobody knows how these pods ended: %v", pods)
	}

	// What the last pods had not read yet is in the topic behind what is committed, and nothing else is.
	adm := kadm.NewClient(kafkaClient(t, brokers))
	lags, err := adm.Lag(t.Context(), "web")
	lag := lags["web"]
	if err = errors.Join(err, lag.Error()); err != nil {
		t.Fatal(err)
	}
	left := int(lag.Lag.Total())
	t.Logf("%d records were written, %d arrived, %d are behind what is committed", all, seen.count(), left)
	if seen.count()+left != all {
		t.Errorf("%d records arrived, %d are not read yet, and %d were written", seen.count(), left, all)
	}
	for n, times := range seen.snapshot() {
		if times != 1 || n < 0 || n >= all {
			t.Errorf("record %d arrived %d times", n, times)
		}
	}
}

func kafkaClient(t *testing.T, o ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(o...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// produce writes records {"n": 0}, {"n": 1} … until stop is called, which says how many there are.
func (b *kubeBed) produce(brokers kgo.Opt) (stop func() int) {
	b.Helper()
	c := kafkaClient(b.T, brokers, kgo.DefaultProduceTopic("web"), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan int, 1)
	go func() {
		n := 0
		defer func() { over <- n }()
		for tick := time.NewTicker(10 * time.Millisecond); ; {
			for range 4 {
				if err := c.ProduceSync(context.Background(), kgo.StringRecord(fmt.Sprintf(`{"n": %d}`, n))).FirstErr(); err != nil {
					b.Errorf("produce: %v", err)
					return
				}
				n++
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	stop = sync.OnceValue(func() int { cancel(); return <-over })
	b.Cleanup(func() { stop() })
	return stop
}

// arrivals is a server that counts how often each record comes.
type arrivals struct {
	mu sync.Mutex // guards n
	n  map[int]int
}

func (a *arrivals) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var e struct{ N *int }
	if err != nil || json.Unmarshal(body, &e) != nil || e.N == nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	time.Sleep(time.Millisecond) // there is something on its way when a pod is to end
	a.mu.Lock()
	defer a.mu.Unlock()
	a.n[*e.N]++
}

func (a *arrivals) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.n)
}

func (a *arrivals) snapshot() map[int]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.n
}

// A podEnd is how a pod's container ended, and how long after the time that it had.
type podEnd struct {
	corev1.ContainerStateTerminated
	late time.Duration
}

// watchEnds notes how containers of pods that are deleted end, until ends is called.
func (b *kubeBed) watchEnds() (ends func() map[string]podEnd) {
	b.Helper()
	c, err := client.NewWithWatch(b.kube.Config(), client.Options{})
	if err != nil {
		b.Fatal(err)
	}
	w, err := c.Watch(b.Context(), &corev1.PodList{}, client.InNamespace(b.namespace))
	if err != nil {
		b.Fatal(err)
	}
	out, over := map[string]podEnd{}, make(chan struct{})
	go func() {
		defer close(over)
		for e := range w.ResultChan() {
			p, ok := e.Object.(*corev1.Pod)
			if !ok || p.DeletionTimestamp == nil {
				continue
			}
			if t := ended(p); t != nil {
				end := podEnd{ContainerStateTerminated: *t}
				if late := t.FinishedAt.Sub(p.DeletionTimestamp.Time); late > time.Second { // DeletionTimestamp is when the time is over
					end.late = late
				}
				out[p.Name] = end
			}
		}
	}()
	return func() map[string]podEnd { w.Stop(); <-over; return out }
}

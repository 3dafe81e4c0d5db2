package operator

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/narudata/naru/operator/v1alpha1"
)

// TestManyFlowsNeedFewCalls counts what the operator asks of the API server: NARU_TEST_FLOWS=1000 gives the figures of docs/operator.md.
// Their pods are said to be ready, and run nothing.
func TestManyFlowsNeedFewCalls(t *testing.T) {
	flows := 40
	if n, err := strconv.Atoi(os.Getenv("NARU_TEST_FLOWS")); err == nil {
		flows = n
	} else {
		t.Parallel()
	}
	b := kubeTest(t)
	calls := &callCounter{}
	b.user = rest.CopyConfig(b.user)
	b.user.Wrap(calls.wrap)
	stop := b.operate(Options{Image: "example.com/naru:1", Interval: 30 * time.Second})
	made := time.Now()
	for i := range flows {
		b.flow(fmt.Sprintf("f%d", i), beats)
	}
	creating := time.Since(made)
	allReady := func() string {
		var l v1alpha1.FlowList
		b.list(&l)
		n := 0
		for i := range l.Items {
			if holds(l.Items[i].Status.Conditions, v1alpha1.Ready) {
				n++
			}
		}
		if n < flows {
			return fmt.Sprintf("%d of %d are ready", n, flows)
		}
		return ""
	}
	for deadline := time.Now().Add(10 * time.Minute); allReady() != ""; {
		if time.Now().After(deadline) {
			t.Fatal(allReady())
		}
		pause(t, 250*time.Millisecond)
	}
	took := time.Since(made)
	first := calls.take()
	t.Logf("%d Flows are made in %v and ready after %v; %d calls, %.1f for each: %v", flows, creating.Round(10*time.Millisecond), took.Round(10*time.Millisecond),
		total(first), float64(total(first))/float64(flows), first)
	if each := float64(total(first)) / float64(flows); each > 20 {
		t.Errorf("%.1f calls for each Flow", each)
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	t.Logf("heap of the test with the operator: %.1f MB", float64(m.HeapAlloc)/1e6)

	pause(t, 2*time.Second)
	calls.take()
	pause(t, 5*time.Second)
	if quiet := calls.take(); total(quiet) > 5+flows/20 {
		t.Errorf("in 5 s without any change there are %d calls: %v", total(quiet), quiet)
	} else {
		t.Logf("in 5 s without any change: %d calls", total(quiet))
	}

	// Another operator finds everything as it is to be.
	stop()
	calls.take()
	again := time.Now()
	b.operate(Options{Image: "example.com/naru:1", Interval: 30 * time.Second})
	for last := -1; ; {
		pause(t, time.Second)
		if n := total(calls.peek()); n == last {
			break
		} else {
			last = n
		}
	}
	second := calls.take()
	t.Logf("an operator that starts anew is quiet after %v; %d calls, %.1f for each: %v", time.Since(again).Round(100*time.Millisecond), total(second), float64(total(second))/float64(flows), second)
	for call := range second {
		if strings.HasPrefix(call, "POST") || strings.HasPrefix(call, "DELETE") {
			t.Errorf("it makes or deletes something: %s", call)
		}
	}
	// A field that all Flows change.
	began := time.Now()
	f := &v1alpha1.Flow{ObjectMeta: metav1.ObjectMeta{Name: "f0", Namespace: b.namespace}}
	change(b, f, func(f *v1alpha1.Flow) { f.Spec.PodLabels = map[string]string{"changed": "yes"} })
	b.await("the change arrives", func() string {
		b.get(f, "f0")
		if f.Status.ObservedGeneration != f.Generation || !holds(f.Status.Conditions, v1alpha1.Ready) {
			return message(f)
		}
		return ""
	})
	t.Logf("a change is rolled out after %v", time.Since(began).Round(time.Millisecond))
}

func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	case <-time.After(d):
	}
}

// A callCounter counts requests by method and resource.
type callCounter struct {
	mu sync.Mutex // guards n
	n  map[string]int
}

func (c *callCounter) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
		i := slices.Index(parts, "namespaces")
		name := parts[len(parts)-1]
		if i >= 0 && i+2 < len(parts) {
			name = parts[i+2]
			if i+4 < len(parts) {
				name += "/" + parts[i+4]
			}
		}
		if r.URL.Query().Get("watch") == "" {
			c.mu.Lock()
			if c.n == nil {
				c.n = map[string]int{}
			}
			c.n[r.Method+" "+name]++
			c.mu.Unlock()
		}
		return next.RoundTrip(r)
	})
}

func (c *callCounter) peek() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.n)
}

func (c *callCounter) take() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.n
	c.n = nil
	return out
}

func total(n map[string]int) (sum int) {
	for _, v := range n {
		sum += v
	}
	return sum
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

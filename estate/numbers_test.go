package estate_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/estate/cost"
	"github.com/narudata/naru/estate/measure"
)

// quick measures in a second.
func quick() *estate.Measuring {
	ms := func(n int) measure.Duration { return measure.Duration(time.Duration(n) * time.Millisecond) }
	return &estate.Measuring{Settings: measure.Settings{Before: ms(1000), After: ms(1000), Every: ms(100)}}
}

func (b *bench) measured(m *estate.Measuring, p *estate.Plan) (*estate.Applied, error) {
	b.t.Helper()
	return m.Apply(b.t.Context(), &estate.Applier{Target: b.target(), By: "tester", Now: time.Now}, p)
}

func TestTheLagOfConsumerGroupsIsMeasured(t *testing.T) {
	b := newKafkaBench(t, 1)
	b.file("base/kafka-topics/orders.yaml", "partitions: 1\nreplicationFactor: 1\n")
	b.apply(b.plan())
	b.produce("orders", 1, 50)
	b.commit("indexer", "orders", map[int32]int64{0: 20})
	b.commit("other", "orders", map[int32]int64{0: 50})
	b.file("base/kafka-topics/orders.yaml", "partitions: 1\nreplicationFactor: 1\nconfigs: {retention.ms: 3600000}\n")
	m := quick()
	m.Groups = []string{"ind*"}
	run, err := b.measured(m, b.plan())
	if err != nil {
		t.Fatal(err)
	}
	// A group that lags is not idle, even if OpenSearch is.
	lag := run.Numbers.Before.Values["lag"]
	if len(lag) < 3 || slices.Min(lag) != 30 || slices.Max(lag) != 30 || run.Numbers.Last() == nil {
		t.Fatalf("%+v", run.Numbers)
	}
	d, _ := b.observe()
	f, err := d.Facts(t.Context(), b.target(), b.now)
	if err != nil || f.Kafka == nil || len(f.Missing) > 0 {
		t.Fatalf("%+v, %v", f, err)
	}
	i := slices.IndexFunc(f.Kafka.Topics, func(x cost.Topic) bool { return x.Name == "orders" })
	if x := f.Kafka.Topics[i]; x.Records != 50 || len(x.Groups) != 2 || x.Partitions != 1 || x.Days != 1.0/24 || x.Span <= 0 {
		t.Errorf("%+v", x)
	}
}

// TestAnApplyThatIsCutOffKeepsItsNumbersFromBefore cuts the records' writes off once the changes are done.
func TestAnApplyThatIsCutOffKeepsItsNumbersFromBefore(t *testing.T) {
	b := newBench(t)
	b.send("PUT", "/busy", `{}`)
	b.file("base/ingest-pipelines/web.json", `{"processors": []}`)
	p := b.plan()
	var writes, fail atomic.Int64
	b.fake.SetHook(func(r *osfake.Request) osfake.Fault {
		if r.API == "nodes_stats" { // something happens in the cluster
			go func() {
				resp, err := http.Post(b.url+"/busy/_search", "application/json", strings.NewReader("{}")) //nolint:noctx // it ends with the test
				if err == nil {
					_ = resp.Body.Close()
				}
			}()
		}
		if r.API == "put_pipeline" {
			fail.Store(1)
		}
		if fail.Load() > 0 && r.Method == http.MethodPut && strings.Contains(r.Path, "/_doc/apply-") {
			writes.Add(1)
			return osfake.Fault{Status: http.StatusForbidden}
		}
		return osfake.Fault{}
	})
	if _, err := b.measured(quick(), p); err == nil || writes.Load() == 0 {
		t.Fatalf("%v after %d writes", err, writes.Load())
	}
	b.fake.SetHook(nil)
	d, _ := b.observe()
	history, err := estate.History(t.Context(), b.target(), d)
	if err != nil || len(history) != 1 || history[0].Numbers == nil || history[0].Numbers.Before == nil || history[0].Numbers.Last() != nil {
		t.Fatalf("%+v, %v", history, err)
	}
	m := quick()
	run, look, err := m.Look(t.Context(), b.target(), d, history[0].ID)
	if err != nil || look == nil || len(run.Numbers.Looks) != 1 {
		t.Errorf("%+v, %v", run, err)
	}
}

func TestTwoLooksAtTheSameTimeAreBothKept(t *testing.T) {
	b := newBench(t)
	b.send("PUT", "/busy", `{}`)
	b.file("base/ingest-pipelines/web.json", `{"processors": []}`)
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				resp, err := http.Post(b.url+"/busy/_search", "application/json", strings.NewReader("{}")) //nolint:noctx // it ends with the test
				if err == nil {
					_ = resp.Body.Close()
				}
			}
		}
	}()
	defer func() { close(stop); <-ended }()
	run, err := b.measured(quick(), b.plan())
	if err != nil || run.Numbers.Last() == nil {
		t.Fatalf("%+v, %v", run, err)
	}
	d, _ := b.observe()
	results := make(chan error, 3)
	for range 3 {
		go func() {
			_, _, err := quick().Look(t.Context(), b.target(), d, run.ID)
			results <- err
		}()
	}
	err = nil
	for range 3 {
		err = errors.Join(err, <-results)
	}
	kept, ferr := estate.Find(t.Context(), b.target(), d, run.ID)
	if err = errors.Join(err, ferr); err != nil || len(kept.Numbers.Looks) != 4 {
		t.Errorf("%v: %d looks", err, len(kept.Numbers.Looks))
	}
	other := *d
	other.Environment = "dev"
	if _, err := estate.Find(t.Context(), b.target(), &other, run.ID); err == nil || !strings.Contains(err.Error(), "is of the environment prod") {
		t.Error(err)
	}
}

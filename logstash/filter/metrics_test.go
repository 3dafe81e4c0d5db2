package filter

import (
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/narudata/naru/logstash/event"
)

// timedChain is a chain whose clock stands still until it is set forward.
func timedChain(t *testing.T, config string) (c *chain, pass func(time.Duration)) {
	t.Helper()
	c = chainOf(t, config, "")
	now := time.Date(2024, 5, 6, 12, 0, 0, 0, time.UTC)
	c.x.Now = func() time.Time { return now }
	return c, func(d time.Duration) { now = now.Add(d) }
}

// figuresOf gives the fields of the only event that is flushed; nil if there is none.
func figuresOf(t *testing.T, c *chain) map[string]any {
	t.Helper()
	made := c.flushed(false)
	if len(made) == 0 {
		return nil
	}
	if len(made) > 1 {
		t.Fatalf("%d events", len(made))
	}
	fields := plain(t, made[0].AppendJSON(nil))
	for _, name := range []string{"message", "@timestamp"} {
		if fields[name] == nil {
			t.Errorf("the event has no %s", name)
		}
		delete(fields, name)
	}
	return fields
}

func expectFigures(t *testing.T, what string, got map[string]any, want string) {
	t.Helper()
	var wanted map[string]any
	if want != "" {
		wanted = plain(t, []byte(want))
	}
	if d := cmp.Diff(wanted, got); d != "" {
		t.Errorf("%s: (-want +got)\n%s", what, d)
	}
}

func TestMetricsCountsUnderTheNamesThatEventsGive(t *testing.T) {
	c, _ := timedChain(t, `metrics { meter => ["http_%{status}", "[all][events]"] rates => [1] add_tag => ["metric"] add_field => { "by" => "%{message}" } }`)
	expectFigures(t, "before any event", figuresOf(t, c), "")
	compareEvents(t, "events go through as they are", c.change(t, `{"status":200}`, `{"status":200}`, `{"status":404}`, `{}`),
		`{"status":200}`, `{"status":200}`, `{"status":404}`, `{}`)
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"http_200":{"count":2,"rate_1m":0.0},"http_404":{"count":1,"rate_1m":0.0},"http_%{status}":{"count":1,"rate_1m":0.0},
		"all":{"events":{"count":4,"rate_1m":0.0}},"tags":["metric"],"by":"` + host + `"}`
	expectFigures(t, "first", figuresOf(t, c), want)
	expectFigures(t, "counts stay", figuresOf(t, c), want)
}

func TestMetricsMeasuresValues(t *testing.T) {
	c, _ := timedChain(t, `metrics { timer => { "t" => "%{ms}" "u" => "%{none}" "v" => 7 } rates => [] percentiles => [0, 25, 50, 99.9, 100] }`)
	c.change(t, `{"ms":10}`, `{"ms":"20.0 ms"}`, `{"ms":30}`, `{"ms":-1}`, `{"ms":"1e999"}`)
	// The root of the standard deviation, 10, and not this itself.
	expectFigures(t, "figures", figuresOf(t, c), `{
		"t":{"count":3,"min":10.0,"max":30.0,"mean":20.0,"stddev":3.1622776601683795,"p0":10.0,"p25":10.0,"p50":20.0,"p99.9":30.0,"p100":30.0},
		"u":{"count":5,"min":0.0,"max":0.0,"mean":0.0,"stddev":0.0,"p0":0.0,"p25":0.0,"p50":0.0,"p99.9":0.0,"p100":0.0},
		"v":{"count":5,"min":7.0,"max":7.0,"mean":7.0,"stddev":0.0,"p0":7.0,"p25":7.0,"p50":7.0,"p99.9":7.0,"p100":7.0}}`)
	c, _ = timedChain(t, `metrics { timer => ["t", "%{ms}"] rates => [] percentiles => [50] }`)
	c.change(t, `{"ms":-5}`)
	expectFigures(t, "no value that counts", figuresOf(t, c), `{"t":{"count":0,"min":0.0,"max":0.0,"mean":0.0,"stddev":0.0,"p50":0.0}}`)
	c.change(t, `{"ms":1}`, `{"ms":2}`)
	expectFigures(t, "between two values", figuresOf(t, c), `{"t":{"count":2,"min":1.0,"max":2.0,"mean":1.5,"stddev":`+
		string(event.AppendJSON(nil, event.FloatValue(math.Sqrt(math.Sqrt(0.5)))))+`,"p50":1.5}}`)
}

func TestMetricsRatesFollowInStepsOfFiveSeconds(t *testing.T) {
	c, pass := timedChain(t, `metrics { meter => "m" timer => { "t" => "1" } }`)
	c.change(t, slices.Repeat([]string{`{}`}, 10)...)
	rates := func(name string) []float64 {
		t.Helper()
		e := c.flushed(false)[0]
		var out []float64
		for _, key := range []string{"rate_1m", "rate_5m", "rate_15m"} {
			r, err := event.ParseRef("[" + name + "][" + key + "]")
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, e.Get(r).Float())
		}
		return out
	}
	check := func(what string, want ...float64) {
		t.Helper()
		for _, name := range []string{"m", "t"} {
			if d := cmp.Diff(want, rates(name), cmpopts.EquateApprox(0, 1e-12)); d != "" {
				t.Errorf("%s: %s: (-want +got)\n%s", what, name, d)
			}
		}
	}
	weights := []float64{1 - math.Exp(-1.0/12), 1 - math.Exp(-1.0/60), 1 - math.Exp(-1.0/180)}
	want := []float64{2, 2, 2}
	pass(5 * time.Second)
	check("just five seconds are no step", 0, 0, 0)
	pass(time.Millisecond)
	check("ten events in five seconds", want...)
	c.change(t, slices.Repeat([]string{`{}`}, 20)...)
	pass(6 * time.Second)
	for i, w := range weights {
		want[i] += w * (4 - want[i])
	}
	check("twenty more", want...)
	pass(16 * time.Second) // three steps without events
	for i, w := range weights {
		want[i] *= (1 - w) * (1 - w) * (1 - w)
	}
	check("none for a while", want...)
}

func TestMetricsMakesEventsAtItsInterval(t *testing.T) {
	c, _ := timedChain(t, `metrics { meter => "m" flush_interval => 15 }`)
	c.change(t, `{}`)
	var made []int
	for range 6 {
		made = append(made, len(c.flushed(false)))
	}
	if d := cmp.Diff([]int{0, 0, 1, 0, 0, 1}, made); d != "" {
		t.Error(d)
	}
}

func TestMetricsForgetsAtItsInterval(t *testing.T) {
	c, pass := timedChain(t, `metrics { meter => "m" timer => { "t" => "%{n}" } rates => [1] percentiles => [50] clear_interval => 10 }`)
	c.change(t, `{"n":4}`)
	want := `{"m":{"count":1,"rate_1m":0.0},"t":{"count":1,"rate_1m":0.0,"min":4.0,"max":4.0,"mean":4.0,"stddev":0.0,"p50":4.0}}`
	expectFigures(t, "after 5 s", figuresOf(t, c), want)
	expectFigures(t, "after 10 s", figuresOf(t, c), want)
	expectFigures(t, "cleared", figuresOf(t, c), "")
	pass(4 * time.Second)
	c.change(t, `{"n":6}`)
	pass(2 * time.Second)
	// The steps of rates go on from when all was cleared, not from the first event.
	expectFigures(t, "anew", figuresOf(t, c), `{"m":{"count":1,"rate_1m":0.2},"t":{"count":1,"rate_1m":0.2,"min":6.0,"max":6.0,"mean":6.0,"stddev":0.0,"p50":6.0}}`)
}

func TestMetricsLeavesOutOldEvents(t *testing.T) {
	c, _ := timedChain(t, `metrics { meter => "m" rates => [] ignore_older_than => 10 }`)
	c.change(t, `{"@timestamp":"2024-05-06T11:59:49.999Z"}`, `{"@timestamp":"2024-05-06T11:59:50.000Z"}`, `{"@timestamp":"2024-05-06T13:00:00.000Z"}`)
	expectFigures(t, "two of three", figuresOf(t, c), `{"m":{"count":2}}`)
}

func TestMetricsLeavesOutNamesThatCannotBeFields(t *testing.T) {
	c, _ := timedChain(t, `metrics { meter => ["%{n}", "tags", "good"] rates => [] }`)
	c.change(t, `{"n":""}`, `{"n":"a]"}`)
	expectFigures(t, "the good one", figuresOf(t, c), `{"good":{"count":2}}`)
}

func TestMetricsRefusesWhatItCannotMake(t *testing.T) {
	got := refuses(t, `filter { metrics { rates => [1, 90] percentiles => [50, 100.5] timer => { "t" => ["a", "b"] } } }`)
	for _, want := range []string{"rates: ", "found 90", "percentiles: ", "found 100.5", "timer: ", `"t"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %s", want, got)
		}
	}
}

func TestMetricsOfSeveralWorkersAddUp(t *testing.T) {
	c, _ := timedChain(t, `metrics { meter => "%{m}" timer => { "t" => "%{n}" } rates => [] percentiles => [] }`)
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			x := newContext()
			for i := range 1000 {
				e := event.New()
				_ = e.SetField("m", event.StringValue([]string{"a", "b"}[i%2]))
				_ = e.SetField("n", event.IntValue(int64(i)))
				c.filters[0].Filter(x, e)
			}
		})
	}
	workers.Wait()
	got := figuresOf(t, c)
	delete(got["t"].(map[string]any), "stddev")
	want := plain(t, []byte(`{"a":{"count":2000},"b":{"count":2000},"t":{"count":4000,"min":0.0,"max":999.0,"mean":499.5}}`))
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestTheSampleOfATimerKeepsTheNewerValues(t *testing.T) {
	start := time.Date(2024, 5, 6, 12, 0, 0, 0, time.UTC)
	m := measured{begun: start}
	for range 5000 {
		m.add(1, start)
	}
	if len(m.sample) != sampleSize {
		t.Fatalf("the sample has %d values", len(m.sample))
	}
	const later = time.Hour // far beyond what an old value's luck can make up for
	for range sampleSize {
		m.add(2, start.Add(later))
	}
	if values := m.sorted(); values[0] != 2 || len(values) != sampleSize {
		t.Errorf("%d values from %v on", len(values), values[0])
	}
	if m.count != 5000+sampleSize || m.least != 1 || m.most != 2 {
		t.Errorf("%d values from %v to %v: not those of all", m.count, m.least, m.most)
	}
}

func TestAMetricsValueIsTheNumberThatATextBeginsWith(t *testing.T) {
	for text, want := range map[string]float64{
		"": 0, "x": 0, "%{ms}": 0, " 12ms": 12, "1.5": 1.5, "1.": 1, "-2.5e1x": -25, "+3": 3, "1_000.5": 1000.5, "4e": 4, "4e+": 4, "NaN": 0, "Infinity": 0, "0x10": 0, "-": 0, ".": 0,
	} {
		if got := metricValue([]byte(text)); got != want {
			t.Errorf("%q is %v, not %v", text, got, want)
		}
	}
}

func TestMetricsAllocatesNothingForNamesItKnows(t *testing.T) {
	c, _ := timedChain(t, `metrics { meter => ["all", "s_%{s}"] }`)
	e := event.New()
	_ = e.SetField("s", event.IntValue(200))
	f := c.filters[0]
	f.Filter(c.x, e)
	if n := testing.AllocsPerRun(100, func() { f.Filter(c.x, e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

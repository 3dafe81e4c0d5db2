package cli

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/narudata/naru/connect/opensearch/osfake"
)

// load writes and searches until the test ends. A query takes about as many microseconds as the result says.
func (b *estateBench) load() *atomic.Int64 {
	stop, ended := make(chan struct{}), make(chan struct{})
	var queries atomic.Int64
	queries.Store(3000)
	go func() {
		defer close(ended)
		for i := int64(0); ; i++ {
			b.fake.SetStats(osfake.Stats{HeapPercent: 40, QueryMicros: queries.Load() * (90 + i*7%20) / 100, CPUPercent: 20})
			select {
			case <-stop:
				return
			case <-time.After(4 * time.Millisecond):
			}
			for path, body := range map[string]string{"/web-1/_bulk": strings.Repeat("{\"index\":{}}\n{\"a\":1}\n", 20), "/web-1/_search": "{}"} {
				resp, err := http.Post(b.fake.URL()+path, "application/x-ndjson", strings.NewReader(body)) //nolint:noctx // it ends with the test
				if err != nil {
					b.t.Error(err)
					return
				}
				if err := resp.Body.Close(); err != nil || resp.StatusCode >= 300 {
					b.t.Errorf("%s: %s", path, resp.Status)
				}
			}
		}
	}()
	b.t.Cleanup(func() { close(stop); <-ended })
	return &queries
}

func TestAnApplyIsMeasuredAndLookedAtLater(t *testing.T) {
	b := newEstateBench(t)
	b.put("/web-1", `{}`)
	b.file("d/base/env.yaml", "estate: shop\nvariables: {shards: 1}\nmeasure: {every: 100ms}\n")
	b.file("d/prices.yaml", "currency: ZZD\nvalid: 2026-11-24\nsource: invented\ninstance_hour: {big: 2}\nenvironments: {default: {data: big}}\n")
	queries := b.load()
	b.fake.SetHook(func(r *osfake.Request) osfake.Fault { // the apply makes queries slow
		if r.API == "put_index_template" {
			queries.Store(30000)
		}
		return osfake.Fault{}
	})
	out, errs := b.naru(0, "apply", "-f", "d", "-e", "prod", "--yes", "--measure", "3s")
	b.has(errs, "measuring before: ", "measuring after: ")
	b.has(out, "Measured: ", "query time +", "(worse)", "All numbers: naru env numbers 20")
	_, rest, _ := strings.Cut(out, "naru env numbers ")
	id, _, _ := strings.Cut(rest, " ")

	out, _ = b.naru(0, "env", "numbers", id, "-f", "d", "-e", "prod")
	b.has(out, "Apply "+id+" of prod", "right after it (look 1 of 1)", "METRIC", "query time", "worse", "│", "documents  ", "cost  1460.00 → 1460.00 ZZD a month")
	if line := lineOf(out, "heap"); !strings.Contains(line, "no change") || !strings.Contains(line, "40 %") {
		t.Errorf("%q", line)
	}
	out, _ = b.naru(0, "env", "numbers", id, "-f", "d", "-e", "prod", "-o", "markdown")
	b.has(out, "| query time | ", "**worse**")
	out, _ = b.naru(0, "env", "numbers", id, "-f", "d", "-e", "prod", "-o", "html")
	b.has(out, "<svg", `class="worse"`, "query time")
	var parsed struct {
		Looks   int
		Numbers json.RawMessage
		Before  struct{ Values map[string][]float64 }
	}
	out, _ = b.naru(0, "env", "numbers", id, "-f", "d", "-e", "prod", "-o", "json")
	if err := json.Unmarshal([]byte(out), &struct {
		Before *struct{ Values map[string][]float64 }
	}{&parsed.Before}); err != nil || len(parsed.Before.Values["ingest"]) < 10 {
		t.Errorf("%v, %s", err, out)
	}
	out, _ = b.naru(0, "env", "log", "-f", "d", "-e", "prod")
	b.has(out, id, "MEASURED")
	out, _ = b.naru(0, "env", "log", "-f", "d", "-e", "prod", "-o", "json")
	if strings.Contains(out, `"values"`) {
		t.Error("the list has all values in it")
	}

	out, _ = b.naru(0, "env", "measure", id, "-f", "d", "-e", "prod", "--for", "3s")
	b.has(out, "(look 2 of 2)", "query time")
	out, _ = b.naru(0, "env", "numbers", id, "-f", "d", "-e", "prod", "--look", "1")
	b.has(out, "(look 1 of 2)")
	_, errs = b.naru(1, "env", "numbers", id, "-f", "d", "-e", "prod", "--look", "3")
	b.has(errs, "there is no look 3")
	_, errs = b.naru(1, "env", "numbers", "20200101-000000-abcdef", "-f", "d", "-e", "prod")
	b.has(errs, "there is no apply 20200101-000000-abcdef; `naru env log` lists them")
	_, errs = b.naru(1, "env", "measure", "x/../../_search", "-f", "d", "-e", "prod")
	b.has(errs, "there is no apply")
}

func lineOf(text, begins string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, begins) {
			return line
		}
	}
	return ""
}

// interrupted runs a command that is interrupted when the cluster gets its nth request for statistics.
func (b *estateBench) interrupted(nth, want int, args ...string) (stdout, stderr string) {
	b.t.Helper()
	signals := make(chan os.Signal, 1)
	n := 0
	b.fake.SetHook(func(r *osfake.Request) osfake.Fault {
		if r.API == "nodes_stats" {
			if n++; n == nth {
				signals <- os.Interrupt
			}
		}
		return osfake.Fault{}
	})
	var out, errs bytes.Buffer
	env := Process()
	env.Stdin, env.Stdout, env.Stderr = strings.NewReader(""), &out, &errs
	env.Getenv = func(string) string { return "" }
	env.Interrupts = func() (<-chan os.Signal, func()) { return signals, func() {} }
	if got := Main(b.t.Context(), env, args); got != want {
		b.t.Errorf("naru %s: exit status %d, want %d\n%s%s", strings.Join(args, " "), got, want, &out, &errs)
	}
	b.fake.SetHook(nil)
	return out.String(), errs.String()
}

func TestAnInterruptBeforeAnApplyChangesNothingAndOneAfterItKeepsWhatThereIs(t *testing.T) {
	b := newEstateBench(t)
	b.put("/web-1", `{}`)
	b.file("d/base/env.yaml", "estate: shop\nvariables: {shards: 1}\nmeasure: {every: 100ms, before: 1s, after: 1m}\n")
	b.load()
	_, errs := b.interrupted(4, exitInterrupted, "apply", "-f", "d", "-e", "prod", "--yes")
	b.has(errs, "nothing was changed")
	if n := b.fake.Count("put_index_template") + b.fake.Count("put_pipeline"); n > 0 {
		t.Errorf("%d changes", n)
	}
	began := time.Now()
	out, _ := b.interrupted(14, exitOK, "apply", "-f", "d", "-e", "prod", "--yes") // of a window of a minute
	if took := time.Since(began); took > 50*time.Second {
		t.Errorf("it took %v", took)
	}
	b.has(out, "Applied 2 changes", "Measured: ")
	id := strings.TrimSuffix(strings.Fields(out[strings.Index(out, "as apply ")+9:])[0], ".")
	out, _ = b.naru(0, "env", "numbers", id, "-f", "d", "-e", "prod")
	b.has(out, "right after it", "stopped")
}

func TestAnIdleClusterIsAppliedToWithoutWaiting(t *testing.T) {
	b := newEstateBench(t)
	b.file("d/base/env.yaml", "estate: shop\nvariables: {shards: 1}\nmeasure: {every: 100ms}\n")
	began := time.Now()
	out, _ := b.naru(0, "apply", "-f", "d", "-e", "prod", "--yes")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	b.has(out, "Measured: not measured: nothing was indexed or searched")
	id := strings.Fields(out[strings.Index(out, "as apply ")+9:])[0]
	id = strings.TrimSuffix(id, ".")
	_, errs := b.naru(1, "env", "measure", id, "-f", "d", "-e", "prod")
	b.has(errs, "there is nothing to compare with")
	out, _ = b.naru(0, "env", "numbers", id, "-f", "d", "-e", "prod")
	b.has(out, "Nothing was indexed or searched, so there was nothing to measure.")
}

func TestMeasuringIsLeftOutWhereItIsAskedFor(t *testing.T) {
	b := newEstateBench(t)
	b.file("d/base/env.yaml", "estate: shop\nvariables: {shards: 1}\n")
	out, errs := b.naru(0, "apply", "-f", "d", "-e", "prod", "--yes", "--measure", "0")
	if strings.Contains(out+errs, "easur") {
		t.Errorf("%s%s", out, errs)
	}
	if n := b.fake.Count("nodes_stats"); n > 0 {
		t.Errorf("%d requests for statistics", n)
	}
	b.file("d/base/ingest-pipelines/web.json", "")
	if err := os.Remove("d/base/ingest-pipelines/web.json"); err != nil {
		t.Fatal(err)
	}
	_, errs = b.naru(1, "apply", "-f", "d", "-e", "prod", "--yes", "--measure", "2h")
	b.has(errs, "--measure 2h0m0s is not between 0s and 1h0m0s")
	_, errs = b.naru(1, "apply", "-f", "d", "-e", "prod", "--yes", "--prices", "nowhere.yaml")
	b.has(errs, "nowhere.yaml")
	if n := b.fake.Count("delete_pipeline"); n > 0 {
		t.Error("something was changed")
	}
}

func TestAClusterThatCannotBeMeasuredIsAppliedToAllTheSame(t *testing.T) {
	b := newEstateBench(t)
	b.file("d/base/env.yaml", "estate: shop\nvariables: {shards: 1}\nmeasure: {every: 100ms}\n")
	b.fake.SetHook(func(r *osfake.Request) osfake.Fault {
		if r.API == "nodes_stats" {
			return osfake.Fault{Status: http.StatusForbidden, Type: "security_exception", Reason: "no permissions for monitor"}
		}
		return osfake.Fault{}
	})
	out, _ := b.naru(0, "apply", "-f", "d", "-e", "prod", "--yes")
	b.has(out, "Applied 2 changes", "not measured before: the cluster cannot be measured", "no permissions for monitor")
}

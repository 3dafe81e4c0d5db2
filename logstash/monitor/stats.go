package monitor

import (
	"io/fs"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/narudata/naru/logstash"
)

// stats answers /_node/stats and its sections: several of them, with commas between.
func (m *Monitor) stats(w http.ResponseWriter, r *http.Request) {
	v := m.look()
	sections := map[string]func() any{
		"jvm":       func() any { return m.machine.jvm(v.at, m.began) },
		"process":   func() any { return m.machine.process() },
		"events":    func() any { return v.total.object() },
		"flow":      func() any { return flow(m.history.spans(all, m.began, v.counters(all))) },
		"pipelines": func() any { return m.statsOf(v, v.pipelines) },
		"reloads":   func() any { return object{"successes": v.node.Reloads.Successes, "failures": v.node.Reloads.Failures} },
		"os":        func() any { return m.machine.os() },
		"queue":     func() any { return object{"events_count": v.queuedEvents()} },
	}
	wanted := sectionsOf(r, slices.Collect(maps.Keys(sections)))
	if len(wanted) == 0 {
		notFound(w, r)
		return
	}
	out := m.metadata(v)
	for _, name := range wanted {
		out[name] = sections[name]()
	}
	answer(w, r, http.StatusOK, out)
}

// sectionsOf gives those that a request names, or all.
func sectionsOf(r *http.Request, known []string) []string {
	text := r.PathValue("section")
	if text == "" {
		return known
	}
	var out []string
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); slices.Contains(known, name) {
			out = append(out, name)
		}
	}
	return out
}

func (v *view) queuedEvents() (n int64) {
	for _, p := range v.pipelines {
		n += p.queued().Events
	}
	return n
}

func (m *Monitor) statsPipeline(w http.ResponseWriter, r *http.Request) {
	v := m.look()
	p := v.find(r.PathValue("id"))
	if p == nil {
		notFound(w, r)
		return
	}
	out := m.metadata(v)
	out["pipelines"] = m.statsOf(v, []*seen{p})
	answer(w, r, http.StatusOK, out)
}

func (m *Monitor) statsOf(v *view, list []*seen) object {
	out := object{}
	for _, p := range list {
		out[p.ID] = m.pipeline(v, p)
	}
	return out
}

func (e Events) object() object {
	return object{
		"in": e.In, "filtered": e.Filtered, "out": e.Out,
		"duration_in_millis": e.Busy.Milliseconds(), "queue_push_duration_in_millis": e.Blocked.Milliseconds(),
	}
}

// pipeline gives what there is to say of one.
func (m *Monitor) pipeline(v *view, p *seen) object {
	spans := m.history.spans(p.Run, p.started(v.at), p.counters(v.at))
	rates := flow(spans)
	rates["worker_utilization"] = utilization(spans, p.Workers)
	if len(p.queues) > 0 {
		rates["queue_persisted_growth_bytes"] = each(spans, func(c *counters) int64 { return c.queueBytes })
		rates["queue_persisted_growth_events"] = each(spans, func(c *counters) int64 { return c.queueEvents })
	}
	out := object{
		"events": p.events.object(),
		"flow":   rates,
		"plugins": object{
			"inputs": p.inputs(spans), "codecs": p.codecs(), "filters": p.filters(spans), "outputs": p.outputs(spans),
		},
		"reloads":      p.Reloads.object(),
		"queue":        p.queue(),
		"pipeline":     object{"workers": p.Workers, "batch_size": p.BatchSize, "batch_delay": batchDelay},
		"hash":         p.Hash,
		"ephemeral_id": p.Run,
	}
	if p.Dead != "" {
		out["dead_letter_queue"] = object{
			"queue_size_in_bytes": sizeOf(p.Dead), "max_queue_size_in_bytes": 0, "dropped_events": 0, "expired_events": 0,
			"storage_policy": "drop_newer", "last_error": "no errors",
		}
	}
	return out
}

// batchDelay is what there is for pipeline.batch.delay, which has no meaning here.
const batchDelay = 50

func (p *seen) started(now time.Time) time.Time {
	if p.Now == nil {
		return now
	}
	return p.figures.Started
}

func utilization(spans map[string]span, workers int) rate {
	return rates(spans, func(s *span) (float64, float64) {
		return 100 * (s.to.workers - s.from.workers).Seconds(), s.seconds() * float64(max(workers, 1))
	})
}

func (r Reloads) object() object {
	out := object{"successes": r.Successes, "failures": r.Failures, "last_success_timestamp": stamp(r.LastSuccess), "last_failure_timestamp": stamp(r.LastFailure), "last_error": nil}
	if r.LastError != "" {
		out["last_error"] = object{"message": r.LastError, "backtrace": []string{}}
	}
	return out
}

// stamp gives a time as JSON; nil if there is none.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000000Z")
}

func (p *seen) queue() object {
	if len(p.queues) == 0 {
		return object{"type": "memory", "events_count": 0, "queue_size_in_bytes": 0, "max_queue_size_in_bytes": 0}
	}
	sum := p.queued()
	return object{
		"type": "persisted", "events": sum.Events, "events_count": sum.Events,
		"queue_size_in_bytes": sum.Bytes, "max_queue_size_in_bytes": sum.MaxBytes,
		"capacity": object{
			"queue_size_in_bytes": sum.Bytes, "max_queue_size_in_bytes": sum.MaxBytes, "max_unread_events": 0,
			"page_capacity_in_bytes": pageBytes,
		},
	}
}

// pageBytes is Logstash's queue.page_capacity, and the size of a segment of a queue unless it is small.
const pageBytes = 64 << 20

func (p *seen) inputs(spans map[string]span) []object {
	out := []object{}
	for i := range p.figures.Inputs {
		in := &p.figures.Inputs[i]
		out = append(out, object{
			"id": in.ID, "name": in.Name,
			"events": object{"out": in.Events, "queue_push_duration_in_millis": in.Blocked.Milliseconds()},
			"flow":   object{"throughput": each(spans, func(c *counters) int64 { return at(c.inputs, i) })},
		})
	}
	return out
}

func (p *seen) codecs() []object {
	out := []object{}
	add := func(plugin, codec string, decode, encode object) {
		out = append(out, object{"id": codec + "_" + plugin, "name": codec, "decode": decode, "encode": encode})
	}
	none := func() object { return object{"writes_in": 0, "duration_in_millis": 0} }
	for i := range p.figures.Inputs {
		x := &p.figures.Inputs[i]
		add(x.ID, p.Of.Inputs[i].Codec(), object{"writes_in": x.Messages, "out": x.Events, "duration_in_millis": x.Codec.Milliseconds()}, none())
	}
	for i := range p.figures.Outputs {
		x := &p.figures.Outputs[i]
		decode := none()
		decode["out"] = 0
		add(x.ID, p.Of.Outputs[i].Codec(), decode, object{"writes_in": x.Events, "duration_in_millis": x.Codec.Milliseconds()})
	}
	return out
}

func (p *seen) filters(spans map[string]span) []object {
	out := []object{}
	for i := range p.figures.Filters {
		f := &p.figures.Filters[i]
		out = append(out, object{
			"id": f.ID, "name": f.Name,
			"events": object{"in": f.In, "out": f.Out, "duration_in_millis": f.Time.Milliseconds()},
			"flow":   pluginFlow(spans, p.Workers, func(c *counters) worked { return at(c.filters, i) }),
		})
	}
	return out
}

func (p *seen) outputs(spans map[string]span) []object {
	out := []object{}
	for i := range p.figures.Outputs {
		x := &p.figures.Outputs[i]
		o := object{
			"id": x.ID, "name": x.Name,
			"events": object{"in": x.Events, "out": x.Events - x.Waiting - x.Dead, "duration_in_millis": x.Time.Milliseconds()},
			"flow":   pluginFlow(spans, p.Workers, func(c *counters) worked { return at(c.outputs, i) }),
		}
		if x.Name == "opensearch" || x.Name == "elasticsearch" {
			o["documents"], o["bulk_requests"] = documents(x), bulks(x)
		}
		out = append(out, o)
	}
	return out
}

func documents(x *logstash.OutputFigures) object {
	return object{"successes": x.Delivered, "retryable_failures": x.Retries, "non_retryable_failures": x.Dead}
}

func bulks(x *logstash.OutputFigures) object {
	return object{"successes": x.Writes - x.Failures, "with_errors": x.Partly, "failures": x.Failures - x.Partly}
}

// mostFiles bounds how many files of dead letters are looked at.
const mostFiles = 10_000

// sizeOf adds up the sizes of files. What cannot be read counts nothing.
func sizeOf(dir string) (n int64) {
	files := 0
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // a folder that is not there has no files
		}
		if files++; files > mostFiles {
			return fs.SkipAll
		}
		if info, err := d.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return n
}

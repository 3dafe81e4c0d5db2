package monitor

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/narudata/naru/logstash"
)

// A metric is one with a value for each pipeline, or each plugin, that read gives.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(v *view, p *seen, give func(value float64, labels ...string))
}

// collector makes metrics of a view. Their labels are ids of pipelines and plugins: there are as many as configurations have.
type collector struct {
	look    func() *view
	metrics []metric
}

// metrics answers /metrics.
func (m *Monitor) metrics() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(newCollector(m.look), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

func newCollector(look func() *view) *collector {
	c := &collector{look: look}
	c.pipelines()
	c.inputs()
	c.filters()
	c.outputs()
	c.queues()
	return c
}

func (c *collector) add(name, help string, kind prometheus.ValueType, labels []string, read func(v *view, p *seen, give func(float64, ...string))) {
	c.metrics = append(c.metrics, metric{prometheus.NewDesc("naru_"+name, help, append([]string{"pipeline"}, labels...), nil), kind, read})
}

const (
	counts = prometheus.CounterValue
	gauge  = prometheus.GaugeValue
)

// pipeline adds a metric that a pipeline has one value of.
func (c *collector) pipeline(name, help string, kind prometheus.ValueType, value func(p *seen) float64) {
	c.add(name, help, kind, nil, func(_ *view, p *seen, give func(float64, ...string)) { give(value(p)) })
}

func (c *collector) pipelines() {
	type seenInt = func(p *seen) int64
	for _, x := range []struct {
		name, help string
		value      seenInt
	}{
		{"in", "Events that inputs made.", func(p *seen) int64 { return p.figures.In }},
		{"made", "Events that filters made beside those that came to them.", func(p *seen) int64 { return p.figures.Made }},
		{"dropped", "Events that filters dropped.", func(p *seen) int64 { return p.figures.Dropped }},
		{"lost", "Events that became dead letters as a condition could not be evaluated for them.", func(p *seen) int64 { return p.figures.Lost }},
		{"filtered", "Events that came past the filters: in + made - dropped - lost.", func(p *seen) int64 { return p.figures.Filtered }},
		{"unrouted", "Of the filtered events, those that no output took.", func(p *seen) int64 { return p.figures.Unrouted }},
		{"out", "Of the filtered events, those that are safe in every output that took them.", func(p *seen) int64 { return p.figures.Out }},
	} {
		c.pipeline("pipeline_events_"+x.name+"_total", x.help, counts, func(p *seen) float64 { return float64(x.value(p)) })
	}
	c.add("route_info", "1: the part that the process has in the route of a consumer group.", gauge, []string{"group", "version", "role"},
		func(v *view, _ *seen, give func(float64, ...string)) {
			if r := v.node.Route; r != nil {
				give(1, r.Group, r.Hash, r.Role)
			}
		})
	c.pipeline("pipeline_workers", "Workers that run filters.", gauge, func(p *seen) float64 { return float64(p.Workers) })
	c.pipeline("pipeline_worker_busy_seconds_total", "Seconds that workers were busy, added up.", counts, func(p *seen) float64 { return p.figures.Busy.Seconds() })
	c.pipeline("pipeline_up", "1 while the pipeline runs.", gauge, func(p *seen) float64 {
		if p.State == Running || p.State == Loading {
			return 1
		}
		return 0
	})
	c.pipeline("pipeline_start_time_seconds", "When the pipeline began to run, in seconds since 1970.", gauge, func(p *seen) float64 { return unix(p.figures.Started) })
	c.add("pipeline_reloads_total", "How often the configuration was loaded anew, by the result.", counts, []string{"result"}, func(_ *view, p *seen, give func(float64, ...string)) {
		give(float64(p.Reloads.Successes), "success")
		give(float64(p.Reloads.Failures), "failure")
	})
}

func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

// plugin labels are those of metrics of a plugin.
var plugin = []string{"plugin", "name"}

// input adds a metric of inputs.
func (c *collector) input(name, help string, kind prometheus.ValueType, value func(p *seen, i int) float64) {
	c.add("input_"+name, help, kind, plugin, func(_ *view, p *seen, give func(float64, ...string)) {
		for i := range p.figures.Inputs {
			give(value(p, i), p.figures.Inputs[i].ID, p.figures.Inputs[i].Name)
		}
	})
}

func (c *collector) inputs() {
	c.input("messages_total", "Messages that the input read.", counts, func(p *seen, i int) float64 { return float64(p.figures.Inputs[i].Messages) })
	c.input("bytes_total", "Bytes of the messages.", counts, func(p *seen, i int) float64 { return float64(p.figures.Inputs[i].Bytes) })
	c.input("acknowledged_total", "Messages of which all that came is safe.", counts, func(p *seen, i int) float64 { return float64(p.figures.Inputs[i].Acknowledged) })
	c.input("events_total", "Events that the codec made of the messages.", counts, func(p *seen, i int) float64 { return float64(p.figures.Inputs[i].Events) })
	c.input("streams", "Connections, partitions or files that are open.", gauge, func(p *seen, i int) float64 { return float64(p.figures.Inputs[i].Streams) })
	c.input("blocked_seconds_total", "Seconds in which the input had messages and there was no room for them.", counts, func(p *seen, i int) float64 { return p.figures.Inputs[i].Blocked.Seconds() })
	c.input("codec_seconds_total", "Seconds that the codec took, estimated from one batch of 32.", counts, func(p *seen, i int) float64 { return p.figures.Inputs[i].Codec.Seconds() })
	lag := func(name, help string, value func(logstash.Lag) *float64) {
		c.add("input_lag_"+name, help, gauge, append(slices.Clone(plugin), "group", "topic"), func(_ *view, p *seen, give func(float64, ...string)) {
			for i := range p.figures.Inputs {
				in := &p.figures.Inputs[i]
				for _, l := range p.lags[in.ID] {
					if v := value(l); v != nil {
						give(*v, in.ID, in.Name, l.Group, l.Topic)
					}
				}
			}
		})
	}
	lag("records", "Records of a topic that the input has still to read, of the partitions it has, where that is known.", func(l logstash.Lag) *float64 { return new(float64(l.Records)) })
	lag("seconds", "Age of the oldest of them, by its timestamp in the topic; 0 if there are none.", func(l logstash.Lag) *float64 { return l.Seconds })
}

// filter adds a metric of filters.
func (c *collector) filter(name, help string, value func(p *seen, i int) float64) {
	c.add("filter_"+name, help, counts, plugin, func(_ *view, p *seen, give func(float64, ...string)) {
		for i := range p.figures.Filters {
			give(value(p, i), p.figures.Filters[i].ID, p.figures.Filters[i].Name)
		}
	})
}

func (c *collector) filters() {
	c.filter("events_in_total", "Events that came to the filter.", func(p *seen, i int) float64 { return float64(p.figures.Filters[i].In) })
	c.filter("events_out_total", "Events that went on: in + made - dropped.", func(p *seen, i int) float64 { return float64(p.figures.Filters[i].Out) })
	c.filter("events_dropped_total", "Events that the filter dropped.", func(p *seen, i int) float64 { return float64(p.figures.Filters[i].Dropped) })
	c.filter("events_made_total", "Events that the filter made beside those that came.", func(p *seen, i int) float64 { return float64(p.figures.Filters[i].Made) })
	c.filter("seconds_total", "Seconds that the filter took, estimated from one batch of 32.", func(p *seen, i int) float64 { return p.figures.Filters[i].Time.Seconds() })
}

// output adds a metric of outputs.
func (c *collector) output(name, help string, kind prometheus.ValueType, value func(p *seen, i int) float64) {
	c.add("output_"+name, help, kind, plugin, func(_ *view, p *seen, give func(float64, ...string)) {
		for i := range p.figures.Outputs {
			give(value(p, i), p.figures.Outputs[i].ID, p.figures.Outputs[i].Name)
		}
	})
}

func (c *collector) outputs() {
	c.output("events_total", "Events that came to the output.", counts, func(p *seen, i int) float64 { return float64(p.figures.Outputs[i].Events) })
	c.output("delivered_total", "Records that are written, or were there already.", counts, func(p *seen, i int) float64 { return float64(p.figures.Outputs[i].Delivered) })
	c.output("there_total", "Of these, records that were there already.", counts, func(p *seen, i int) float64 { return float64(p.figures.Outputs[i].There) })
	c.output("dead_total", "Events that became dead letters: they were refused for good.", counts, func(p *seen, i int) float64 { return float64(p.figures.Outputs[i].Dead) })
	c.output("retries_total", "Records that were written again.", counts, func(p *seen, i int) float64 { return float64(p.figures.Outputs[i].Retries) })
	c.output("bytes_total", "Bytes of the records that came to be written.", counts, func(p *seen, i int) float64 { return float64(p.figures.Outputs[i].Bytes) })
	c.output("writes_total", "Writes: requests, or what the output writes at a time.", counts, func(p *seen, i int) float64 { return float64(p.figures.Outputs[i].Writes) })
	c.output("write_failures_total", "Of the writes, those that failed, in whole or in part.", counts, func(p *seen, i int) float64 { return float64(p.figures.Outputs[i].Failures) })
	c.output("write_seconds_total", "Seconds that writes took, added up.", counts, func(p *seen, i int) float64 { return p.figures.Outputs[i].Time.Seconds() })
	c.output("codec_seconds_total", "Seconds that making records of events took, estimated from one batch of 32.", counts, func(p *seen, i int) float64 { return p.figures.Outputs[i].Codec.Seconds() })
	c.output("writing", "Writes that are on their way.", gauge, func(p *seen, i int) float64 { return float64(p.figures.Outputs[i].Writing) })
	c.output("waiting", "Records that are not safe yet.", gauge, func(p *seen, i int) float64 { return float64(p.figures.Outputs[i].Waiting) })
}

func (c *collector) queues() {
	add := func(name, help string, kind prometheus.ValueType, value func(v *view, p *seen, id string) float64) {
		c.add("queue_"+name, help, kind, []string{"plugin"}, func(v *view, p *seen, give func(float64, ...string)) {
			for _, id := range slices.Sorted(maps.Keys(p.queues)) {
				give(value(v, p, id), id)
			}
		})
	}
	add("bytes", "Bytes of the input's queue on the disk.", gauge, func(_ *view, p *seen, id string) float64 { return float64(p.queues[id].Bytes) })
	add("max_bytes", "Their bound.", gauge, func(_ *view, p *seen, id string) float64 { return float64(p.queues[id].MaxBytes) })
	add("events", "Messages in the queue that are not acknowledged.", gauge, func(_ *view, p *seen, id string) float64 { return float64(p.queues[id].Events) })
	add("oldest_seconds", "Age of the oldest message in the queue; 0 if it is empty.", gauge, func(v *view, p *seen, id string) float64 {
		if oldest := p.queues[id].Oldest; !oldest.IsZero() {
			return max(v.at.Sub(oldest).Seconds(), 0)
		}
		return 0
	})
	add("blocked", "1 while messages wait in front of the queue, as it or its disk is full.", gauge, func(_ *view, p *seen, id string) float64 {
		if p.queues[id].Waiting {
			return 1
		}
		return 0
	})
	add("blocked_seconds_total", "Seconds in which messages waited in front of the queue.", counts, func(_ *view, p *seen, id string) float64 { return p.queues[id].WaitedFor.Seconds() })
	add("appended_total", "Messages that were put into the queue.", counts, func(_ *view, p *seen, id string) float64 { return float64(p.queues[id].Appended) })
	add("damaged_bytes_total", "Bytes of the queue that could not be read.", counts, func(_ *view, p *seen, id string) float64 { return float64(p.queues[id].DamagedBytes) })
	add("lost_total", "Messages that are missing in the queue.", counts, func(_ *view, p *seen, id string) float64 { return float64(p.queues[id].LostEvents) })
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for i := range c.metrics {
		out <- c.metrics[i].desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	v := c.look()
	for _, p := range v.pipelines {
		for i := range c.metrics {
			x := &c.metrics[i]
			x.read(v, p, func(value float64, labels ...string) {
				m, err := prometheus.NewConstMetric(x.desc, x.kind, value, append([]string{p.ID}, labels...)...)
				if err != nil {
					m = prometheus.NewInvalidMetric(x.desc, err)
				}
				out <- m
			})
		}
	}
}

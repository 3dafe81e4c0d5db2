package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/narudata/naru/flow/queue"
	"github.com/narudata/naru/logstash"
	"github.com/narudata/naru/logstash/monitor"
)

// A topView is what pipelines did between two looks. Rates are per second; what ends in total counts from the start.
type topView struct {
	Time      time.Time     `json:"time"`
	Address   string        `json:"address"`
	Uptime    time.Duration `json:"uptime_ns"`
	Pipelines []topPipeline `json:"pipelines"`
	Plugins   []topPlugin   `json:"plugins"` // filters and codecs, those that take most of the time first
	Inputs    []topInput    `json:"inputs"`
	Outputs   []topOutput   `json:"outputs"`
}

type topPipeline struct {
	Pipeline string        `json:"pipeline"`
	State    monitor.State `json:"state"`
	Status   string        `json:"status"`
	Reasons  []string      `json:"reasons,omitempty"`
	In       float64       `json:"in"`
	Out      float64       `json:"out"`
	Busy     float64       `json:"busy"` // of the workers, 0 to 1
	Waiting  int64         `json:"waiting"`
	Queued   int64         `json:"queued"`
	Bytes    int64         `json:"queue_bytes"`
	Age      time.Duration `json:"queue_age_ns"`
	Dropped  int64         `json:"dropped_total"`
	Retries  int64         `json:"retries_total"`
	Dead     int64         `json:"dead_total"`
	Reloads  int64         `json:"reloads_total"`
}

type topPlugin struct {
	Pipeline string        `json:"pipeline"`
	Plugin   string        `json:"plugin"`
	Name     string        `json:"name"`
	Share    float64       `json:"share"` // of the time of all
	Each     time.Duration `json:"each_ns"`
	Events   float64       `json:"events"`
	Dropped  float64       `json:"dropped"`
}

type topInput struct {
	Pipeline string  `json:"pipeline"`
	Plugin   string  `json:"plugin"`
	Name     string  `json:"name"`
	Messages float64 `json:"messages"`
	Bytes    float64 `json:"bytes"`
	Streams  int64   `json:"streams"`
	Blocked  float64 `json:"blocked"`       // of the time, 0 to 1
	Lag      *int64  `json:"lag,omitempty"` // records to read; absent: it is not known
}

type topOutput struct {
	Pipeline string        `json:"pipeline"`
	Plugin   string        `json:"plugin"`
	Name     string        `json:"name"`
	Events   float64       `json:"events"`
	Bytes    float64       `json:"bytes"`
	Latency  time.Duration `json:"latency_ns"` // of a write
	Waiting  int64         `json:"waiting"`
	Failures int64         `json:"failures_total"`
	Retries  int64         `json:"retries_total"`
	Dead     int64         `json:"dead_total"`
}

// viewOf compares two reports; without an earlier one it is since each pipeline began.
func viewOf(before, now *monitor.Report) *topView {
	v := &topView{Time: now.Time, Address: now.Address, Uptime: now.Time.Sub(now.Began)}
	old := map[string]*monitor.PipelineReport{}
	if before != nil {
		for i := range before.Pipelines {
			old[before.Pipelines[i].Run] = &before.Pipelines[i]
		}
	}
	for i := range now.Pipelines {
		p := &now.Pipelines[i]
		from, since := &monitor.PipelineReport{}, p.Figures.Started
		if o := old[p.Run]; o != nil && sameShape(o, p) {
			from, since = o, before.Time
		}
		v.pipeline(from, p, now.Time.Sub(since).Seconds(), now.Time)
	}
	total := time.Duration(0)
	spent := func(p *topPlugin) time.Duration { return time.Duration(float64(p.Each) * p.Events) }
	for i := range v.Plugins {
		total += spent(&v.Plugins[i])
	}
	for i := range v.Plugins {
		v.Plugins[i].Share = shareOf(spent(&v.Plugins[i]), total)
	}
	slices.SortStableFunc(v.Plugins, func(a, b topPlugin) int { return cmp.Compare(b.Share, a.Share) })
	return v
}

func sameShape(a, b *monitor.PipelineReport) bool {
	return len(a.Figures.Inputs) == len(b.Figures.Inputs) && len(a.Figures.Filters) == len(b.Figures.Filters) && len(a.Figures.Outputs) == len(b.Figures.Outputs)
}

// per is how much a counter grew in a second.
func per(from, to int64, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return max(float64(to-from)/seconds, 0)
}

// eachOf divides a time by what it was for.
func eachOf(took time.Duration, n int64) time.Duration {
	if n <= 0 || took <= 0 {
		return 0
	}
	return took / time.Duration(n)
}

// element is one of a list that may be empty.
func element[T any](list []T, i int) T {
	if i < len(list) {
		return list[i]
	}
	var none T
	return none
}

func (v *topView) pipeline(from, to *monitor.PipelineReport, s float64, now time.Time) {
	a, b := &from.Figures, &to.Figures
	p := topPipeline{
		Pipeline: to.ID, State: to.State, Status: to.Status, Reasons: to.Reasons, Reloads: to.Reloads,
		In: per(a.In, b.In, s), Out: per(a.Out, b.Out, s), Dropped: b.Dropped, Dead: b.Lost,
	}
	if to.Workers > 0 {
		p.Busy = per(int64(a.Busy), int64(b.Busy), s) / 1e9 / float64(to.Workers)
	}
	for _, id := range slices.Sorted(maps.Keys(to.Queues)) {
		p.queue(to.Queues[id], now)
	}
	for i := range b.Inputs {
		v.input(to, element(a.Inputs, i), &b.Inputs[i], s)
	}
	for i := range b.Filters {
		x, y := element(a.Filters, i), &b.Filters[i]
		v.Plugins = append(v.Plugins, topPlugin{
			Pipeline: to.ID, Plugin: y.ID, Name: y.Name, Events: per(x.In, y.In, s), Dropped: per(x.Dropped, y.Dropped, s),
			Each: eachOf(y.Time-x.Time, y.In-x.In),
		})
	}
	for i := range b.Outputs {
		y := &b.Outputs[i]
		p.Waiting, p.Retries, p.Dead = p.Waiting+y.Waiting, p.Retries+y.Retries, p.Dead+y.Dead
		v.output(to, element(a.Outputs, i), y, s)
	}
	v.Pipelines = append(v.Pipelines, p)
}

func (p *topPipeline) queue(q queue.Stats, now time.Time) {
	p.Queued, p.Bytes = p.Queued+q.Events, p.Bytes+q.Bytes
	if !q.Oldest.IsZero() {
		p.Age = max(p.Age, now.Sub(q.Oldest))
	}
}

func (v *topView) input(p *monitor.PipelineReport, x logstash.InputFigures, y *logstash.InputFigures, s float64) {
	in := topInput{
		Pipeline: p.ID, Plugin: y.ID, Name: y.Name, Messages: per(x.Messages, y.Messages, s), Bytes: per(x.Bytes, y.Bytes, s),
		Streams: y.Streams, Blocked: min(per(int64(x.Blocked), int64(y.Blocked), s)/1e9, 1),
	}
	if lag, ok := p.Lags[y.ID]; ok {
		in.Lag = &lag
	}
	v.Inputs = append(v.Inputs, in)
	v.Plugins = append(v.Plugins, topPlugin{
		Pipeline: p.ID, Plugin: y.ID, Name: "codec of " + y.Name, Events: per(x.Messages, y.Messages, s), Each: eachOf(y.Codec-x.Codec, y.Messages-x.Messages),
	})
}

func (v *topView) output(p *monitor.PipelineReport, x logstash.OutputFigures, y *logstash.OutputFigures, s float64) {
	v.Outputs = append(v.Outputs, topOutput{
		Pipeline: p.ID, Plugin: y.ID, Name: y.Name, Events: per(x.Events-x.Waiting, y.Events-y.Waiting, s), Bytes: per(x.Bytes, y.Bytes, s),
		Latency: eachOf(y.Time-x.Time, y.Writes-x.Writes), Waiting: y.Waiting, Failures: y.Failures, Retries: y.Retries, Dead: y.Dead,
	})
	v.Plugins = append(v.Plugins, topPlugin{
		Pipeline: p.ID, Plugin: y.ID, Name: "codec of " + y.Name, Events: per(x.Events, y.Events, s), Each: eachOf(y.Codec-x.Codec, y.Events-x.Events),
	})
}

// headline says who is looked at.
func (v *topView) headline() string {
	return fmt.Sprintf("naru logstash at %s, up %s; %s", v.Address, elapsed(v.Uptime), v.Time.Local().Format("15:04:05"))
}

// A topSection is a table of a view.
type topSection struct {
	name  string
	table table
}

// wholePercent writes a share: 12 %.
func wholePercent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

// durationOr writes a duration, or a dash for none.
func durationOr(d time.Duration, write func(time.Duration) string) string {
	if d <= 0 {
		return "-"
	}
	return write(d)
}

// pluginName names a plugin: its name, and its id unless that is made of its name.
func pluginName(name, id string) string { return name + " " + printable(id) }

// sections gives the tables.
func (v *topView) sections() []topSection {
	pipelines := table{columns: []column{
		{title: "PIPELINE", shrink: true}, {title: "STATE"}, {title: "IN/S", right: true}, {title: "OUT/S", right: true}, {title: "BUSY", right: true},
		{title: "WAITING", right: true}, {title: "DEAD", right: true}, {title: "RETRIES", right: true}, {title: "QUEUED", right: true, optional: true},
		{title: "AGE", right: true, optional: true}, {title: "QUEUE", right: true, optional: true}, {title: "RELOADS", right: true, optional: true},
	}}
	for i := range v.Pipelines {
		p := &v.Pipelines[i]
		state := string(p.State)
		if p.Status != "green" && p.State == monitor.Running {
			state = strings.ToUpper(p.Status) // it is running all the same
		}
		queue := "-"
		if p.Bytes > 0 {
			queue = size(p.Bytes)
		}
		pipelines.row(printable(p.Pipeline), state, perSecond(p.In), perSecond(p.Out), wholePercent(p.Busy), short(p.Waiting), short(p.Dead), short(p.Retries),
			short(p.Queued), durationOr(p.Age, elapsed), queue, count(p.Reloads))
	}
	inputs := table{columns: []column{
		{title: "INPUT", shrink: true}, {title: "PIPELINE", shrink: true}, {title: "MESSAGES/S", right: true}, {title: "BYTES/S", right: true},
		{title: "STREAMS", right: true}, {title: "BLOCKED", right: true}, {title: "LAG", right: true, optional: true},
	}}
	for i := range v.Inputs {
		x := &v.Inputs[i]
		lag := "-"
		if x.Lag != nil {
			lag = short(*x.Lag)
		}
		inputs.row(pluginName(x.Name, x.Plugin), printable(x.Pipeline), perSecond(x.Messages), size(int64(x.Bytes)), short(x.Streams), wholePercent(x.Blocked), lag)
	}
	outputs := table{columns: []column{
		{title: "OUTPUT", shrink: true}, {title: "PIPELINE", shrink: true}, {title: "EVENTS/S", right: true}, {title: "A WRITE", right: true},
		{title: "WAITING", right: true}, {title: "DEAD", right: true}, {title: "RETRIES", right: true}, {title: "FAILURES", right: true}, {title: "BYTES/S", right: true},
	}}
	for i := range v.Outputs {
		x := &v.Outputs[i]
		outputs.row(pluginName(x.Name, x.Plugin), printable(x.Pipeline), perSecond(x.Events), durationOr(x.Latency, nanos), short(x.Waiting),
			short(x.Dead), short(x.Retries), short(x.Failures), size(int64(x.Bytes)))
	}
	plugins := table{columns: []column{
		{title: "PLUGIN", shrink: true}, {title: "PIPELINE", shrink: true}, {title: "SHARE", right: true}, {title: "AN EVENT", right: true},
		{title: "EVENTS/S", right: true}, {title: "DROPPED/S", right: true, optional: true},
	}}
	for i := range v.Plugins {
		x := &v.Plugins[i]
		plugins.row(pluginName(x.Name, x.Plugin), printable(x.Pipeline), sharePercent(x.Share), durationOr(x.Each, nanos), perSecond(x.Events), perSecond(x.Dropped))
	}
	return []topSection{{"pipelines", pipelines}, {"inputs", inputs}, {"outputs", outputs}, {"plugins", plugins}}
}

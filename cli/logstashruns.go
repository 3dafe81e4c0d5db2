package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/narudata/naru/logstash"
	"github.com/narudata/naru/logstash/input"
	"github.com/narudata/naru/logstash/monitor"
)

// logstashRuns are the pipelines that run, by their names.
type logstashRuns struct {
	*common
	stdin     io.Reader
	stdout    io.Writer
	addresses input.Addresses
	reloads   bool               // pipelines may come and go
	route     *logstashRoute     // nil: none
	refused   []logstashPipeline // what was found wrong last
	folders   heldFolders        // that pipelines keep something in

	mu       sync.Mutex // guards what follows, and reloads of each run
	running  map[string]*logstashRun
	past     monitor.Events  // of runs that are over and not among running
	reloaded monitor.Reloads // of all pipelines
}

// A logstashRun is a pipeline that runs.
type logstashRun struct {
	spec     logstashPipeline
	pipeline *logstash.Pipeline
	name     string                           // another one for each run
	hash     string                           // of the configuration
	now      atomic.Pointer[logstash.Running] // nil: it has not begun
	reloads  monitor.Reloads
	cancel   context.CancelFunc
	ended    chan struct{}
	err      error // read once it has ended
}

func (c *common) newLogstashRuns(stdin io.Reader) *logstashRuns {
	return &logstashRuns{common: c, stdin: stdin, stdout: &lockedWriter{w: c.Stdout}, running: map[string]*logstashRun{}, folders: heldFolders{}}
}

// runLogstash runs pipelines until their inputs have ended, or it is interrupted.
func (c *common) runLogstash(ctx context.Context, api *logstashAPI, pipelines []logstashPipeline) (err error) {
	r := c.newLogstashRuns(c.Stdin)
	defer func() { err = errors.Join(err, r.folders.release()) }()
	r.route = api.route
	stopAPI, err := api.serve(c, r.node)
	if err != nil {
		return err
	}
	defer stopAPI()
	ctx, asked, release := c.endOnSignal(ctx)
	defer release()
	if err := r.change(pipelines); err != nil {
		return err
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for _, run := range r.list() {
			<-run.ended
		}
	}()
	select {
	case <-over:
	case <-ctx.Done():
	}
	if err := r.stop(r.list()); err != nil {
		return err
	}
	<-over
	return asked()
}

// reloadLogstash runs pipelines, and those that have changed anew, until it is interrupted. A pipeline whose new configuration
// is wrong goes on as it was.
func (c *common) reloadLogstash(ctx context.Context, api *logstashAPI, load func() ([]logstashPipeline, error), every time.Duration) (err error) {
	first, err := load()
	if err != nil {
		return err
	}
	r := c.newLogstashRuns(input.Share(c.Stdin))
	defer func() { err = errors.Join(err, r.folders.release()) }()
	r.reloads = true
	r.route = api.route
	stopAPI, err := api.serve(c, r.node)
	if err != nil {
		return err
	}
	defer stopAPI()
	ctx, asked, release := c.endOnSignal(ctx)
	defer release()
	if err := r.change(first); err != nil {
		return err
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	complained := ""
	for {
		select {
		case <-ctx.Done():
			return errors.Join(r.stop(r.list()), asked())
		case <-tick.C:
		}
		specs, err := load()
		if err == nil {
			err = r.change(specs)
		}
		if err != nil && err.Error() != complained {
			fmt.Fprintf(c.Stderr, "%v; what runs goes on\n", err)
		}
		complained = ""
		if err != nil {
			complained = err.Error()
		}
	}
}

// list gives what runs, by name.
func (r *logstashRuns) list() []*logstashRun {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]*logstashRun, 0, len(r.running))
	for _, id := range slices.Sorted(maps.Keys(r.running)) {
		out = append(out, r.running[id])
	}
	return out
}

// change stops what is not there any more, and starts what is new or has changed, unless one of the changes is wrong.
func (r *logstashRuns) change(specs []logstashPipeline) error {
	if r.refused != nil && reflect.DeepEqual(specs, r.refused) {
		return nil // all is said
	}
	before := map[string]*logstashRun{}
	for _, run := range r.list() {
		before[run.spec.id] = run
	}
	var changed []logstashPipeline
	for _, s := range specs {
		if old, ok := before[s.id]; !ok || !reflect.DeepEqual(old.spec, s) {
			changed = append(changed, s)
		}
	}
	r.refused = nil
	compiled, err := r.compileLogstash(changed)
	if err == nil {
		if err = errors.Join(oneStdin(compiled), r.inspect(specs, changed, compiled), r.folders.take(changed, compiled)); err != nil {
			err = errors.Join(err, closePipelines(compiled))
		}
	}
	if err != nil {
		r.refused = specs
		r.refuse(changed, err)
		return err
	}
	var stop []*logstashRun
	for _, run := range before {
		if !slices.ContainsFunc(specs, func(s logstashPipeline) bool { return s.id == run.spec.id && reflect.DeepEqual(s, run.spec) }) {
			stop = append(stop, run)
		}
	}
	if err = r.stop(stop); errors.Is(err, logstash.ErrUndelivered) {
		err = nil // it is logged; the new one goes on with what is left
	}
	for i, p := range compiled {
		run := &logstashRun{spec: changed[i], pipeline: p, name: newRunName(), hash: hashOf(changed[i].files), ended: make(chan struct{})}
		if old := before[run.spec.id]; old != nil {
			r.after(run, old)
		}
		r.start(run)
	}
	if !r.reloads {
		r.endWithSenders()
	}
	return err
}

// inspect looks for what the pipelines would fail at, beside those that go on as they are.
func (r *logstashRuns) inspect(specs, changed []logstashPipeline, compiled []*logstash.Pipeline) error {
	var plans []logstash.Planned
	for _, run := range r.list() {
		if slices.ContainsFunc(specs, func(s logstashPipeline) bool { return reflect.DeepEqual(s, run.spec) }) {
			plans = append(plans, logstash.Planned{Pipeline: run.pipeline, ID: run.spec.id})
		}
	}
	for i, p := range compiled {
		plans = append(plans, logstash.Planned{Pipeline: p, ID: changed[i].id})
	}
	return r.inspectLogstash(plans)
}

func (r *logstashRuns) start(run *logstashRun) {
	ctx, cancel := context.WithCancel(context.Background())
	run.cancel = cancel
	r.mu.Lock()
	r.running[run.spec.id] = run
	r.mu.Unlock()
	o := run.spec.runOptions(r.stdin, r.stdout)
	o.Addresses, o.Running = &r.addresses, func(now logstash.Running) { run.now.Store(&now) }
	go func() {
		defer close(run.ended)
		err := run.run(ctx, o)
		if err != nil {
			err = fmt.Errorf("pipeline %s: %w", run.spec.id, err)
			if r.reloads || len(r.list()) > 1 {
				r.log().Error("a pipeline has failed", "pipeline", run.spec.id, "error", err)
			}
		}
		run.err = errors.Join(err, run.pipeline.Close())
	}()
}

// run runs the pipeline, with the topic of its dead letters if it has one.
func (run *logstashRun) run(ctx context.Context, o logstash.RunOptions) (err error) {
	if run.spec.deadTopic != "" && !run.spec.role.InShadow() { // those of a shadow are files
		topic, err := run.pipeline.DeadTopic(ctx, run.spec.deadTopic, run.spec.id)
		if err != nil {
			return err
		}
		o.Dead = topic
		defer func() { err = errors.Join(err, topic.Close()) }()
	}
	_, err = run.pipeline.Run(ctx, o)
	return err
}

// stop stops pipelines once what they have read is written: those that send to others before those others.
func (r *logstashRuns) stop(runs []*logstashRun) error {
	var all sync.WaitGroup
	for _, run := range runs {
		all.Go(func() {
			for _, from := range senders(run, runs) {
				<-from.ended
			}
			run.cancel()
			<-run.ended
		})
	}
	all.Wait()
	failures := make([]error, len(runs))
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, run := range runs {
		failures[i] = run.err
		if r.running[run.spec.id] == run {
			delete(r.running, run.spec.id)
			r.past = r.past.Plus(run.events())
		}
	}
	return errors.Join(failures...)
}

// endWithSenders lets pipelines that only get events of others end when those have ended.
func (r *logstashRuns) endWithSenders() {
	runs := r.list()
	for _, run := range runs {
		if _, only := run.pipeline.Addresses(); !only {
			continue
		}
		if from := senders(run, runs); len(from) > 0 {
			go func() {
				for _, f := range from {
					<-f.ended
				}
				run.cancel()
			}()
		}
	}
}

// senders gives those of runs that send to a pipeline, but for those that it sends to in turn.
func senders(to *logstashRun, runs []*logstashRun) []*logstashRun {
	var out []*logstashRun
	for _, run := range runs {
		if run != to && reaches(run, to, runs, nil) && !reaches(to, run, runs, nil) {
			out = append(out, run)
		}
	}
	return out
}

// reaches reports that events of one pipeline come to another, directly or by others.
func reaches(from, to *logstashRun, runs, seen []*logstashRun) bool {
	for _, address := range from.pipeline.SendsTo() {
		for _, next := range runs {
			names, _ := next.pipeline.Addresses()
			if !slices.Contains(names, address) || slices.Contains(seen, next) {
				continue
			}
			if next == to || reaches(next, to, runs, append(seen, next)) {
				return true
			}
		}
	}
	return false
}

// stopPatience is shorter than Kubernetes' 30 seconds and systemd's 90, after which the process would be killed.
const stopPatience = 20 * time.Second

// runOptions are what a pipeline runs with.
func (s *logstashPipeline) runOptions(stdin io.Reader, stdout io.Writer) logstash.RunOptions {
	o := logstash.RunOptions{
		ID: s.id, Stdin: stdin, Stdout: stdout, Workers: s.workers, BatchSize: s.batch, Data: s.data,
		Ordered:  s.ordered.value == "true" || s.ordered.value == "auto" && s.workers == 1,
		Patience: stopPatience, Queue: logstash.QueueOptions{Off: s.queue.value == "memory", MaxBytes: s.queueBytes, Dir: s.queueDir},
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if s.ordered.value == "true" {
		o.Workers = 1
	}
	return o
}

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
	"time"

	"github.com/narudata/naru/logstash"
	"github.com/narudata/naru/logstash/input"
)

// logstashRuns are the pipelines that run, by their names.
type logstashRuns struct {
	*common
	stdin   io.Reader
	stdout  io.Writer
	running map[string]*logstashRun
	refused []logstashPipeline // what was found wrong last
}

type logstashRun struct {
	spec   logstashPipeline
	cancel context.CancelFunc
	done   chan error
}

// reloadLogstash runs pipelines, and those that have changed anew, until it is interrupted. A pipeline whose new configuration
// is wrong goes on as it was.
func (c *common) reloadLogstash(ctx context.Context, load func() ([]logstashPipeline, error), every time.Duration) error {
	first, err := load()
	if err != nil {
		return err
	}
	r := &logstashRuns{common: c, stdin: input.Share(c.Stdin), stdout: &lockedWriter{w: c.Stdout}, running: map[string]*logstashRun{}}
	ctx, _, release := c.endOnSignal(ctx)
	defer release()
	if err := r.change(ctx, first); err != nil {
		return err
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	complained := ""
	for {
		select {
		case <-ctx.Done():
			err := r.change(ctx, nil)
			return errors.Join(err, &exitError{code: exitInterrupted})
		case <-tick.C:
		}
		specs, err := load()
		if err == nil {
			err = r.change(ctx, specs)
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

// change stops what is not there any more, and starts what is new or has changed, unless one of the changes is wrong.
func (r *logstashRuns) change(ctx context.Context, specs []logstashPipeline) error {
	if r.refused != nil && reflect.DeepEqual(specs, r.refused) {
		return nil // all is said
	}
	var changed []logstashPipeline
	for _, s := range specs {
		if old, ok := r.running[s.id]; !ok || !reflect.DeepEqual(old.spec, s) {
			changed = append(changed, s)
		}
	}
	r.refused = nil
	compiled, err := r.compileLogstash(changed)
	if err == nil {
		if err = oneStdin(compiled); err != nil {
			err = errors.Join(err, closePipelines(compiled))
		}
	}
	if err != nil {
		r.refused = specs
		return err
	}
	var all []error
	for _, id := range slices.Sorted(maps.Keys(r.running)) {
		same := func(s logstashPipeline) bool { return s.id == id && reflect.DeepEqual(s, r.running[id].spec) }
		if !slices.ContainsFunc(specs, same) {
			all = append(all, r.stop(id))
		}
	}
	for i, p := range compiled {
		r.start(ctx, changed[i], p)
	}
	return errors.Join(all...)
}

func (r *logstashRuns) start(ctx context.Context, spec logstashPipeline, p *logstash.Pipeline) {
	ctx, cancel := context.WithCancel(ctx)
	run := &logstashRun{spec: spec, cancel: cancel, done: make(chan error, 1)}
	r.running[spec.id] = run
	go func() {
		_, err := p.Run(ctx, spec.runOptions(r.stdin, r.stdout))
		if err != nil {
			err = fmt.Errorf("pipeline %s: %w", spec.id, err)
			r.log().Error("a pipeline has failed", "pipeline", spec.id, "error", err)
		}
		run.done <- errors.Join(err, p.Close())
	}()
}

// stop stops a pipeline once what it has read is written.
func (r *logstashRuns) stop(id string) error {
	run := r.running[id]
	delete(r.running, id)
	run.cancel()
	return <-run.done
}

// runOptions are what a pipeline runs with.
func (s *logstashPipeline) runOptions(stdin io.Reader, stdout io.Writer) logstash.RunOptions {
	o := logstash.RunOptions{Stdin: stdin, Stdout: stdout, Workers: s.workers, BatchSize: s.batch}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	return o
}

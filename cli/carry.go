package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/connect"
	"github.com/narudata/naru/connect/snapshot"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stage"
)

// carryExits are the statuses of whatever runs a flow.
var carryExits = []exit{
	{exitOK, "every document has arrived whole, and was compared; or had before"},
	{exitFailed, "stopped by an error; the same command goes on"},
	{exitMismatch, "what arrived is not what was read"},
	{exitPartial, "done, but something could not be carried whole: the report says what"},
	{exitInterrupted, "interrupted; the same command goes on"},
}

// runFlags are the flags of whatever runs a flow.
type runFlags struct {
	plan     bool
	verify   bool
	all      bool
	workers  int
	progress choice
	listen   string
	output   *choice
}

func addRunFlags(cmd *cobra.Command) *runFlags {
	f := &runFlags{progress: progressChoice(), output: outputFlag(cmd)}
	flags := cmd.Flags()
	flags.BoolVar(&f.plan, "plan", false, "say what would be done, write nothing")
	flags.BoolVar(&f.verify, "verify", true, "read back what was written and compare")
	flags.BoolVar(&f.all, "all", false, "show every index, however many there are")
	flags.IntVar(&f.workers, "workers", 0, "read `N` parts at a time; 0: one per processor")
	flags.Var(&f.progress, "progress", "show progress on standard error as `HOW` auto, bar, line, json or none")
	flags.StringVar(&f.listen, "listen", "", "serve metrics for Prometheus (/metrics) and profiles (/debug/pprof/) at `ADDRESS` 127.0.0.1:9400")
	complete(cmd, "progress", f.progress.of...)
	return f
}

// limit is how many rows a list has.
func (f *runFlags) limit() int {
	if f.all {
		return 0
	}
	return defaultRows
}

// sourceFlags choose what of a source is read, and how it is changed.
type sourceFlags struct {
	access   accessFlags
	indices  []string
	snapshot string
	sample   string
	by       string
	mask     []string
	maskKey  string
}

func addSourceFlags(cmd *cobra.Command) *sourceFlags {
	f := &sourceFlags{}
	flags := cmd.Flags()
	flags.StringSliceVarP(&f.indices, "index", "i", nil, "only indices that match `PATTERN` (logs-*); one that begins with - or ! excludes, the last that matches decides; repeatable")
	flags.StringVar(&f.snapshot, "snapshot", "", "the snapshot `NAME`, a pattern, or latest; the default is latest")
	flags.StringVar(&f.sample, "sample", "", "only `RATE` of the documents (1%), always the same ones")
	flags.StringVar(&f.by, "by", "", "sample by the value of `FIELD` (trace.id): all documents with one value, or none; those without it by their ids")
	flags.StringSliceVar(&f.mask, "mask", nil, "replace the values of `FIELD` by a keyed hash; the key is in NARU_MASK_KEY; repeatable")
	flags.StringVar(&f.maskKey, "mask-key-file", "", "read the key for --mask from `FILE`")
	f.access.add(cmd)
	return f
}

// source is the configuration of the source at arg.
func (f *sourceFlags) source(arg string) (connect.Source, error) {
	p, err := sourcePlace(arg)
	if err != nil {
		return connect.Source{}, err
	}
	if p.kind == kindCluster {
		return connect.Source{OpenSearch: &connect.ClusterSource{Access: f.access.to(p.path), Indices: f.indices}}, nil
	}
	if p.kind == kindSnapshot {
		return connect.Source{Snapshot: &connect.Snapshot{URL: p.path, Snapshot: f.snapshot, Indices: f.indices}}, nil
	}
	if f.snapshot != "" {
		return connect.Source{}, fmt.Errorf("--snapshot is for snapshot repositories, and %s is an archive", p.path)
	}
	return connect.Source{Archive: &connect.Archive{Dir: p.path, Indices: f.indices}}, nil
}

// stages is the configuration of the stages that the flags ask for.
func (f *sourceFlags) stages() ([]connect.Stage, error) {
	var out []connect.Stage
	if f.sample != "" {
		s := &stage.Sample{By: f.by}
		err := s.Rate.UnmarshalText([]byte(f.sample))
		if err == nil {
			err = s.Validate()
		}
		if err != nil {
			return nil, fmt.Errorf("--sample: %w", err)
		}
		out = append(out, connect.Stage{Sample: s})
	} else if f.by != "" {
		return nil, errors.New("--by is of use only with --sample RATE")
	}
	if len(f.mask) > 0 {
		out = append(out, connect.Stage{Mask: &stage.Mask{Fields: f.mask, KeyFile: f.maskKey}})
	} else if f.maskKey != "" {
		return nil, errors.New("--mask-key-file is of use only with --mask FIELD")
	}
	return out, nil
}

// flow is the flow that the arguments FROM TO and the flags describe.
func (f *sourceFlags) flow(from, to string) (*connect.Flow, error) {
	source, err := f.source(from)
	if err != nil {
		return nil, err
	}
	stages, err := f.stages()
	if err != nil {
		return nil, err
	}
	p, err := sinkPlace(to)
	if err != nil {
		return nil, err
	}
	if p.kind == kindCluster {
		sink := connect.Sink{OpenSearch: &connect.ClusterSink{Access: f.access.to(p.path)}}
		return &connect.Flow{Source: source, Stages: stages, Sink: sink}, nil
	}
	sink, err := connect.SinkAt(p.kind, p.path)
	if err != nil {
		return nil, err
	}
	return &connect.Flow{Source: source, Stages: stages, Sink: sink}, nil
}

func newCarryCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "carry FROM TO",
		short: "carry documents from one place to another, and compare them",
		long: `Reads every live document at FROM and writes it to TO, byte for byte. FROM is a
snapshot repository (its directory, or s3://bucket/prefix), the directory of an
archive, or a cluster (https://host:9200, several nodes by comma); TO is ndjson:DIR,
parquet:DIR, ndjson:- for standard output, or a cluster. NARU_USERNAME and
NARU_PASSWORD say who asks a cluster. The first Ctrl-C finishes what is on its way
and stops, the second stops at once; the same command goes on where it was, also
after a crash, and carries nothing twice; into a cluster any number of processes may
work on the same carry. At the end what was written is read back and compared. What
cannot be carried whole is in the report, with the reason.`,
		examples: []example{
			{"naru carry /backups/es parquet:/archive", "the latest snapshot, all indices"},
			{"naru carry 's3://backups/es?region=eu-central-1' parquet:/archive", "out of a bucket; credentials as AWS's tools find them"},
			{"naru carry /backups/es ndjson:/archive -i 'logs-*' -i '!logs-test'", "some indices"},
			{"naru carry /backups/es parquet:/archive --snapshot nightly-2024.01.31 --plan", "what would be done"},
			{"naru carry /backups/es ndjson:- --sample 1% | head", "look at some documents"},
			{"naru carry https://a:9200 https://b:9200 --sample 1% --by trace.id", "whole traces, over all indices"},
			{"naru carry s3://backups/es https://node-1:9200 --rate 5k/s", "from S3 into OpenSearch, gently"},
			{"NARU_MASK_KEY=… naru carry /backups/es ndjson:/test --mask user.email", "data for tests, without addresses"},
		},
		exits: carryExits,
	})
	cmd.Args = exactArgs("FROM", "TO")
	choose, run := addSourceFlags(cmd), addRunFlags(cmd)
	var pace connect.ClusterSink
	cmd.Flags().StringVar(&pace.Rate, "rate", "", "write at most `RATE` documents a second into a cluster (5k/s)")
	cmd.Flags().StringVar(&pace.Window, "window", "", "write into a cluster only at the `TIME` of day 22:00-06:00, or 22:00-06:00 Asia/Seoul")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f, err := choose.flow(args[0], args[1])
		if err != nil {
			return err
		}
		if s := f.Sink.OpenSearch; s != nil {
			s.Rate, s.Window = pace.Rate, pace.Window
			if err := s.Validate(); err != nil {
				return err
			}
		} else if pace.Rate != "" || pace.Window != "" {
			return errors.New("--rate and --window are for clusters, and TO is none")
		}
		if run.plan {
			return c.explain(cmd.Context(), f, run)
		}
		return c.carry(cmd.Context(), f, run)
	}
	return cmd
}

// carry runs a flow, verifies what it wrote and reports.
func (c *common) carry(ctx context.Context, f *connect.Flow, run *runFlags) error {
	result, flowErr, err := c.carried(ctx, f, run)
	if err != nil {
		return err
	}
	c.leaveCarry(result)
	if err := c.printCarry(f, result, run); err != nil {
		return err
	}
	switch code := result.code(); code {
	case exitOK:
		return nil
	case exitFailed:
		return &exitError{code, flowErr}
	default:
		return &exitError{code: code}
	}
}

// carried runs a flow and verifies what it wrote. flowErr is what stopped the flow, if anything did, and in the
// report.
func (c *common) carried(ctx context.Context, f *connect.Flow, run *runFlags) (result *carryReport, flowErr, err error) {
	if run.workers < 0 {
		return nil, nil, fmt.Errorf("--workers %d: want at least 0", run.workers)
	}
	o := f.Engine()
	o.Workers = cmp.Or(run.workers, o.Workers)
	messages := *c
	runner := newRunner(&messages)
	w := c.watchHeld(ctx, runner.snapshot, runner.held, run.progress.value)
	messages.Stderr = w
	o.Log = messages.log()
	opened, err := f.Open(ctx, connect.Env{Getenv: c.Getenv, Stdout: c.Stdout, Log: o.Log})
	if err != nil {
		w.stop()
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	if c.wrap != nil {
		opened.Source = c.wrap(opened.Source)
	}
	if run.listen != "" {
		at, stop, err := listen(ctx, run.listen, newMetrics(runner.snapshot, opened.State))
		if err != nil {
			w.stop()
			return nil, nil, err
		}
		defer func() { err = errors.Join(err, stop()) }()
		o.Log.Info("metrics and profiles are served", "address", at)
	}
	ctx, drain, release := messages.heed(ctx)
	defer release()
	o.Drain = drain
	report, flowErr := runner.run(ctx, opened, o)
	w.stop()
	if errors.Is(context.Cause(ctx), errStopped) {
		flowErr, report.Drained = nil, true
	}
	var undrained error
	if errors.Is(flowErr, flow.ErrUndrained) {
		undrained, flowErr, report.Drained = flowErr, nil, true
	}
	if err := opened.CloseSink(); err != nil && flowErr == nil {
		if report.Drained && f.Sink.OpenSearch != nil {
			o.Log.Warn("the sink could not be left as it should be; the same command sees to it", "err", err)
		} else {
			flowErr = err
		}
	}
	result = newCarryReport(f.Source.String(), f.Sink.String(), &report, flowErr)
	if undrained != nil {
		result.Error = undrained.Error()
	}
	result.Notes = append(notes(opened.Source), opened.Notes()...)
	if run.verify && worthReadingBack(f, result, &report) {
		reading, stop := until(ctx, drain)
		v, err := c.verifyWritten(reading, f, opened, &report, run)
		interrupted := reading.Err() != nil
		stop()
		switch {
		case interrupted:
			result.State = stateInterrupted
		case err != nil:
			release()
			return nil, nil, fmt.Errorf("everything was carried, but reading it back failed: %w", err)
		default:
			result.verified(v)
		}
	}
	release()
	result.Next = next(f, result)
	return result, flowErr, nil
}

// worthReadingBack reports that what was written is all there will be for now.
func worthReadingBack(f *connect.Flow, result *carryReport, r *flow.Report) bool {
	return !f.Sink.Stream() && result.State != stateStopped && (r.Complete() || result.State == stateFailed)
}

// until gives a context that ends also when c is closed.
func until(parent context.Context, c <-chan struct{}) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-c:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		cancel()
		wg.Wait()
	}
}

// printCarry prints the report, to standard error where standard output has the documents.
func (c *common) printCarry(f *connect.Flow, result *carryReport, run *runFlags) error {
	env := c.Env
	if f.Sink.Stream() {
		env.Stdout = c.Stderr
	}
	return env.print(run.output, result, func(w io.Writer, width int) error {
		return result.write(w, width, run.limit())
	})
}

var errStopped = errors.New("stopped at once")

// heed makes the first signal close drain and the second end the context, until release is called.
func (c *common) heed(parent context.Context) (ctx context.Context, drain <-chan struct{}, release func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals, stop := c.Interrupts()
	first, over := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case s := <-signals:
			fmt.Fprintf(c.Stderr, "%v: finishing what is on its way; the same command goes on later (once more: stop at once)\n", s)
			close(first)
		case <-over:
			return
		}
		select {
		case s := <-signals:
			fmt.Fprintf(c.Stderr, "%v: stopping at once; the same command goes on from what is saved\n", s)
			cancel(errStopped)
		case <-over:
		}
	})
	return ctx, first, sync.OnceFunc(func() {
		stop()
		close(over)
		wg.Wait()
		cancel(nil)
	})
}

// notes says what else there is to know of the source.
func notes(s flow.Source) []string {
	if repository, ok := s.(*snapshot.Source); ok {
		return snapshotNotes(repository)
	}
	return nil
}

// next says what to look at, or do, after a carry.
func next(f *connect.Flow, r *carryReport) []string {
	var out []string
	dir := f.Sink.Dir()
	switch r.State {
	case stateInterrupted, stateStopped:
		if dir != "" || f.Sink.OpenSearch != nil {
			return []string{"the same command goes on where this one was"}
		}
		return []string{"standard output keeps no position: the same command begins again"}
	case stateFailed:
		out = append(out, "once what is named above can be read, the same command carries what is missing")
	case stateTaken:
		return []string{"wait for the other process, then run the same command again to verify"}
	case stateMismatch:
		if len(r.Verification.Failed) > 0 && dir != "" {
			return []string{"what is written there is damaged: carry into another directory, on a disk that keeps what it is given"}
		}
		return []string{again(f) + "   # names the documents that differ"}
	}
	if f.Source.DeadLetters != nil {
		return append(out, "naru dlq ls "+quote(f.Source.Path())+"   # what is still open")
	}
	if f.Sink.OpenSearch != nil && r.State != stateFailed {
		return append(out, again(f)+"   # compare once more, document by document")
	}
	if dir == "" {
		return out
	}
	if f.Sink.NDJSON != nil && len(r.Indices) > 0 {
		out = append(out, fmt.Sprintf("zstdcat %s/*/*.ndjson.zst | head   # look at the documents", quote(dir)))
	}
	if f.Sink.Parquet != nil && len(r.Indices) > 0 {
		out = append(out, fmt.Sprintf(`duckdb -c "select _index, count(*) from '%s/*/*.parquet' group by 1"`, dir))
	}
	if r.State != stateFailed {
		out = append(out, again(f)+"   # compare once more, document by document")
	}
	return out
}

// again is the command that compares what f has carried.
func again(f *connect.Flow) string {
	to := f.Sink.Dir()
	if f.Sink.OpenSearch != nil {
		to = f.Sink.OpenSearch.Access.String()
	}
	line := "naru verify " + quote(f.Source.Path()) + " " + quote(to)
	if s := f.Source.Snapshot; s != nil && s.Snapshot != "" {
		line += " --snapshot " + quote(s.Snapshot)
	}
	for _, p := range f.Source.Patterns() {
		line += " -i " + quote(p)
	}
	switch {
	case f.Sink.OpenSearch != nil:
		line += accessOf(&f.Sink.OpenSearch.Access)
	case f.Source.OpenSearch != nil:
		line += accessOf(&f.Source.OpenSearch.Access)
	}
	for _, s := range f.Stages {
		switch {
		case s.Sample != nil:
			line += " --sample " + s.Sample.Rate.String()
			if s.Sample.By != "" {
				line += " --by " + quote(s.Sample.By)
			}
		case s.Mask != nil:
			line += " --mask " + quote(strings.Join(s.Mask.Fields, ","))
			if s.Mask.KeyFile != "" {
				line += " --mask-key-file " + quote(s.Mask.KeyFile)
			}
		}
	}
	return line
}

// quote makes s one word for a shell.
func quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-,:@%+=", r) || r >= 0x80
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

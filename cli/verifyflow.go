package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/narudata/naru/connect"
	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/migrate/verify"
)

// verifyFlow compares what the source of a flow has with what its sink has by now. It writes nothing, and carries nothing.
func (c *common) verifyFlow(ctx context.Context, f *connect.Flow, run *runFlags) (err error) {
	if f.Sink.Stream() {
		return errors.New("the flow writes to standard output, and what was written there cannot be read back")
	}
	source, closeSource, err := f.Source.Open(ctx, c.Getenv)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeSource()) }()
	stages, err := connect.OpenStages(f.Stages, c.Getenv)
	if err != nil {
		return err
	}
	p := newReadBack(nil)
	w := c.watch(ctx, p.snapshot, run.progress.value)
	messages := *c
	messages.Stderr = w
	o := verify.Options{Stages: stages, Workers: run.workers, Progress: p.add, Log: messages.log()}
	var report verify.Report
	if f.Sink.OpenSearch != nil {
		report, err = c.compareWithCluster(ctx, f, source, o)
	} else {
		report, err = c.compareWithArchive(ctx, f, source, o)
	}
	w.stop()
	if err != nil {
		return err
	}
	return c.compared(&comparison{A: f.Source.String(), B: f.Sink.String(), Report: report}, run)
}

// compareWithArchive reads both sides.
func (c *common) compareWithArchive(ctx context.Context, f *connect.Flow, source flow.Source, o verify.Options) (_ verify.Report, err error) {
	archive := connect.Archive{Dir: f.Sink.Dir()}
	written, closer, err := archive.Open(ctx)
	if err != nil {
		var cerr error
		if written, closer, cerr = archive.OpenCommitted(ctx); cerr != nil {
			return verify.Report{}, err
		}
		fmt.Fprintf(c.Stderr, "note: %s is not complete; what is committed so far is compared\n", archive.Dir)
	}
	defer func() { err = errors.Join(err, closer()) }()
	return verify.Compare(ctx, source, written, o)
}

// compareWithCluster holds the cluster's indices against what the ledger says was read and delivered, and where that is
// not the same against the source.
func (c *common) compareWithCluster(ctx context.Context, f *connect.Flow, source flow.Source, o verify.Options) (_ verify.Report, err error) {
	sink := f.Sink.OpenSearch
	client, err := sink.Connect(ctx, c.Getenv)
	if err != nil {
		return verify.Report{}, err
	}
	status, err := opensearch.StatusOf(ctx, client, sink.Ledger, f.Identity(source, o.Stages), nil)
	if errors.Is(err, opensearch.ErrNoCarry) {
		return verify.Report{}, fmt.Errorf("%s was not carried into %s, or not by this flow: naru run does it", f.Source, sink.Access.String())
	}
	if err != nil {
		return verify.Report{}, err
	}
	if status.Done < status.Parts {
		return verify.Report{}, fmt.Errorf("the carry is not complete: %d of %s done; naru run goes on with it", status.Done, plural(int64(status.Parts), "part"))
	}
	want := make(map[string]flow.Tally, len(status.Groups))
	names := make([]string, 0, len(status.Groups))
	for _, g := range status.Groups {
		if g.Parts == 0 && g.Records > 0 {
			return verify.Report{}, fmt.Errorf("the carry is not complete: nothing of %s was carried yet; naru run goes on with it", g.Name)
		}
		want[g.Name] = g.Tally
		names = append(names, g.Name)
	}
	written, closer, err := sink.Written(ctx, c.Getenv, names)
	if err != nil {
		return verify.Report{}, err
	}
	defer func() { err = errors.Join(err, closer()) }()
	o.Extra = verify.IgnoreExtra
	return verify.CompareCarried(ctx, want, source, written, o)
}

package connect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/connect/archive"
	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/flow"
)

// Engine gives what flow.Run takes. What the options leave open follows from the source and the sink; what that does, is
// the engine's to decide.
func (f *Flow) Engine() flow.Options {
	o := flow.Options{
		Workers: f.Options.Workers, InFlight: f.Options.InFlight, BatchRecords: f.Options.BatchRecords, BatchBytes: f.Options.BatchBytes,
		MemoryBytes: f.Options.MemoryBytes, SaveInterval: f.Options.SaveInterval, AwaitTaken: true,
	}
	if blob.Remote(f.Source.Path()) && o.Workers == 0 {
		o.Workers = max(4, runtime.GOMAXPROCS(0)) // reading there is mostly waiting
	}
	if f.Sink.OpenSearch != nil {
		// The sink finds out how many requests are worth while: more batches would only wait in memory. Requests
		// are cut out of batches.
		o.InFlight = cmp.Or(o.InFlight, 2)
		o.BatchBytes = cmp.Or(o.BatchBytes, 4<<20)
		o.LedgerPatience = cmp.Or(f.Sink.OpenSearch.Patience, sinkPatience)
	}
	return o
}

// Path is where the source is.
func (s *Source) Path() string {
	switch {
	case s.Snapshot != nil:
		return s.Snapshot.URL
	case s.Archive != nil:
		return s.Archive.Dir
	case s.OpenSearch != nil:
		return s.OpenSearch.Access.String()
	case s.DeadLetters != nil:
		return s.DeadLetters.Dir
	}
	return ""
}

// Patterns choose the source's indices.
func (s *Source) Patterns() flow.Patterns {
	switch {
	case s.Snapshot != nil:
		return s.Snapshot.Indices
	case s.Archive != nil:
		return s.Archive.Indices
	case s.OpenSearch != nil:
		return s.OpenSearch.Indices
	case s.DeadLetters != nil:
		return s.DeadLetters.Indices
	}
	return nil
}

// Dir is the directory that the sink writes; "" for standard output.
func (s *Sink) Dir() string {
	dir := ""
	switch {
	case s.NDJSON != nil:
		dir = s.NDJSON.Dir
	case s.Parquet != nil:
		dir = s.Parquet.Dir
	}
	if dir == "-" {
		return ""
	}
	return dir
}

// Stream reports that the sink is standard output, which can be neither continued nor read back.
func (s *Sink) Stream() bool { return s.NDJSON != nil && s.NDJSON.Dir == "-" }

func (s Source) String() string {
	switch {
	case s.Snapshot != nil:
		return "snapshot:" + s.Snapshot.URL
	case s.Archive != nil:
		return "archive:" + s.Archive.Dir
	case s.OpenSearch != nil:
		return "opensearch:" + s.OpenSearch.Access.String()
	case s.DeadLetters != nil:
		return "dead letters:" + s.DeadLetters.Dir
	}
	return ""
}

func (s Sink) String() string {
	switch {
	case s.NDJSON != nil:
		return "ndjson:" + s.NDJSON.Dir
	case s.Parquet != nil:
		return "parquet:" + s.Parquet.Dir
	case s.OpenSearch != nil:
		return "opensearch:" + s.OpenSearch.Access.String()
	}
	return ""
}

// SinkAt is the sink of a kind ("ndjson", "parquet"; "archive": the format of the one that is there) at dir.
func SinkAt(kind, dir string) (Sink, error) {
	if kind == "archive" {
		m, err := archive.ReadManifest(dir)
		if errors.Is(err, archive.ErrIncomplete) {
			return Sink{}, fmt.Errorf("%s: an archive was begun there; say in which format: ndjson:%s or parquet:%s", dir, dir, dir)
		}
		if err != nil {
			return Sink{}, err
		}
		kind = m.Format
	}
	switch kind {
	case archive.NDJSON:
		return Sink{NDJSON: &NDJSON{Dir: dir}}, nil
	case archive.Parquet:
		return Sink{Parquet: &Parquet{Dir: dir}}, nil
	}
	return Sink{}, fmt.Errorf("%s: there is no sink of the kind %q", dir, kind)
}

// An Opened flow is ready to run, once.
type Opened struct {
	flow.Flow
	closeSource, closeSink func() error
	notes                  func() []string

	// Shared is the ledger, if other processes may work on the same carry.
	Shared *opensearch.Ledger
	// State is what the sink does to the cluster now; nil if it is none.
	State func() opensearch.State
}

// Env is what opening a flow takes from outside.
type Env struct {
	Getenv func(string) string
	Stdout io.Writer
	Log    *slog.Logger
}

// Notes are what there is to know of how the sink took the flow.
func (o *Opened) Notes() []string {
	if o.notes == nil {
		return nil
	}
	return o.notes()
}

// Identity names the flow by what it carries, given its opened source and stages: checkpoints are kept under this name, and
// go on under it.
func (f *Flow) Identity(source flow.Source, stages []flow.Stage) string {
	identity := f.Source.identity(source)
	for _, s := range stages {
		identity += "; " + named(s)
	}
	return identity
}

// Open opens the source, builds the stages and opens the sink; nothing is written yet but the sink's own books.
func (f *Flow) Open(ctx context.Context, e Env) (_ *Opened, err error) {
	if dir := f.Sink.Dir(); dir != "" && f.Source.OpenSearch == nil && !blob.Remote(f.Source.Path()) && inside(dir, f.Source.Path()) {
		return nil, fmt.Errorf("%s lies inside of %s, which is read; write to another directory", dir, f.Source.Path())
	}
	o := &Opened{closeSource: nothing, closeSink: nothing}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.Close())
		}
	}()
	if o.Source, o.closeSource, err = f.Source.Open(ctx, e.Getenv); err != nil {
		return nil, err
	}
	if f.Through != nil {
		o.Source = f.Through(o.Source)
	}
	if o.Stages, err = OpenStages(f.Stages, e.Getenv); err != nil {
		return nil, err
	}
	identity := f.Identity(o.Source, o.Stages)
	switch {
	case f.Sink.Stream():
		o.Sink = archive.Stream(e.Stdout)
		return o, nil
	case f.Sink.OpenSearch != nil:
		return o, f.Sink.OpenSearch.open(ctx, o, identity, &e)
	}
	var c archive.Config
	if f.Sink.NDJSON != nil {
		c = f.Sink.NDJSON.config()
	} else {
		c = f.Sink.Parquet.config()
	}
	c.Flow = identity
	sink, err := archive.OpenSink(c)
	if err != nil {
		return nil, err
	}
	o.Sink, o.Ledger, o.DeadLetters = sink, sink, sink
	o.closeSink = func() error { return sink.Close(context.WithoutCancel(ctx)) }
	return o, nil
}

// CloseSink closes the sink, so that what it wrote can be read.
func (o *Opened) CloseSink() error {
	f := o.closeSink
	o.closeSink = nothing
	return f()
}

// Close closes what is still open.
func (o *Opened) Close() error {
	f := o.closeSource
	o.closeSource = nothing
	return errors.Join(o.CloseSink(), f())
}

func nothing() error { return nil }

// inside reports that path is dir or lies in it.
func inside(path, dir string) bool {
	rel, err := filepath.Rel(absolute(dir), absolute(path))
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// absolute makes a path the same from everywhere.
func absolute(path string) string {
	path = strings.TrimPrefix(path, "file://")
	if a, err := filepath.Abs(path); err == nil {
		return a
	}
	return path
}

// Promise says for people with which grade records are delivered, what that means, and what is written.
func (s *Sink) Promise() (grade, means, writes string) {
	const transactional = "files and checkpoints become visible in one step; after a crash the same command goes on, and nothing is lost or doubled"
	switch {
	case s.Stream():
		return "at least once", "there are no checkpoints, an interrupted carry begins again", "a line of JSON for each document, to standard output"
	case s.NDJSON != nil:
		return "transactional", transactional, "<index>/*.ndjson.zst, a line of JSON for each document; manifest.json when it is complete"
	case s.OpenSearch != nil:
		return "idempotent", "documents are created by their ids, and one that is there already is not touched; after a crash the same command goes on, and nothing is lost or doubled",
			"indices of the same names, created with what the cluster accepts of mappings, settings and aliases"
	}
	return "transactional", transactional, "<index>/*.parquet, with typed columns from the mapping; manifest.json when it is complete"
}

package flow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A Flow is what Run runs. Run closes what it opens (readers, branches); Source and Sink are the caller's to
// close.
type Flow struct {
	Source Source
	Stages []Stage // in this order
	Sink   Sink
	// Ledger keeps the checkpoints and lends the parts. For a Committer it must be the one that its Commit
	// writes to. Nil: nothing is kept, and every part is read from its beginning.
	Ledger Ledger
	// DeadLetters take what the sink refuses, unless the sink (or branch) is DeadLetters itself. Bury is then
	// called concurrently. Nil, and the sink is none: the first such record stops the flow.
	DeadLetters DeadLetters
}

// Options say how a flow is run. The zero value works.
type Options struct {
	Workers      int           // parts read at a time; 0: GOMAXPROCS. A Committer that is no Brancher has one
	InFlight     int           // writes at a time for each part, unless the sink is a Brancher or Committer; 0: 4
	BatchRecords int           // bound of a batch; 0: 10,000
	BatchBytes   int           // bound of a batch, exceeded by its last record; 0: 1 MiB, which stays in a processor's cache
	MemoryBytes  int64         // bound of all batches alive; a larger one is alone with those read before it; 0: 256 MiB
	SaveInterval time.Duration // at most this long between checkpoints; 0: 10 s

	// AwaitTaken: come back to parts that other workers have, until they are done, by them or, if they died, by
	// this run. Otherwise such parts are left to them, and the report counts them as taken.
	AwaitTaken bool
	TakenPause time.Duration // between two tries; 0: 2 s

	Retry Retry // of reads, writes, dead letters, claims and saves
	// LedgerPatience is how long claims and saves may fail before the flow stops, if Retry would give up earlier: where
	// the ledger is kept by who takes the records, it should be waited for as long as they are.
	LedgerPatience time.Duration

	Drain <-chan struct{} // closed: stop reading, deliver and save what is on its way, return
	// DrainPatience: once Drain is closed, nothing may be delivered or saved for so long before what is on its way is
	// given up, with ErrUndrained, and for a third of it if tries fail; 0: 10 s. A Committer is waited for.
	DrainPatience time.Duration

	Log      *slog.Logger // nil: nowhere
	Progress *Progress    // filled while the flow runs; nil: not wanted
}

// mostUncommitted bounds the parts that a worker has finished and not committed: their readers are open.
const mostUncommitted = 64

func (o Options) withDefaults() Options {
	set := func(n *int, to int) {
		if *n <= 0 {
			*n = to
		}
	}
	set(&o.Workers, runtime.GOMAXPROCS(0))
	set(&o.InFlight, 4)
	set(&o.BatchRecords, 10_000)
	set(&o.BatchBytes, 1<<20)
	if o.MemoryBytes <= 0 {
		o.MemoryBytes = 256 << 20
	}
	if o.SaveInterval <= 0 {
		o.SaveInterval = 10 * time.Second
	}
	if o.TakenPause <= 0 {
		o.TakenPause = 2 * time.Second
	}
	if o.DrainPatience <= 0 {
		o.DrainPatience = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = new(Progress)
	}
	return o
}

// Run carries every part of the source to the sink, and returns when all are done, nothing more can be, the
// flow is told to drain, or it stops with an error. A part that fails is in the report and no error of Run:
// see Report.Complete. The report is valid also beside an error.
//
// Cancelling ctx stops at once: what is on its way is given up, and carried again by the next run from
// the last checkpoint. Run returns as soon as the connectors' methods do, so they must heed their contexts.
func Run(ctx context.Context, f Flow, o Options) (Report, error) {
	started := time.Now()
	r, err := newRun(ctx, f, o)
	if err != nil {
		return Report{}, err
	}
	defer r.stop(nil)
	err = r.run()
	report := r.books.report()
	report.Planned = r.o.Progress.planned.Load()
	report.Drained = r.cut.Load() && err == nil
	if err == nil && report.Complete() {
		if finisher, ok := f.Sink.(Finisher); ok {
			err = r.finish(finisher)
		}
	}
	report.Elapsed = time.Since(started)
	return report, err
}

// A run is one call of Run.
type run struct {
	Flow
	o   Options
	log *slog.Logger

	parent  context.Context         // the caller's
	ctx     context.Context         // ends when the flow stops
	stop    context.CancelCauseFunc // stops it; the first error counts
	reading context.Context         // ends also when the flow drains

	parts   chan Part
	await   awaiting
	cut     atomic.Bool // draining left something undone
	drain   draining
	memory  budget
	batches batches
	hashers sync.Pool // of *Hasher
	books   books
}

func newRun(ctx context.Context, f Flow, o Options) (*run, error) {
	if f.Source == nil || f.Sink == nil {
		return nil, errors.New("a flow needs a source and a sink")
	}
	for _, s := range f.Stages {
		_, holds := s.(Flusher)
		if _, forks := s.(Forker); holds && !forks {
			return nil, fmt.Errorf("stage %T holds records back and cannot be forked for each part", s)
		}
	}
	if f.Ledger == nil {
		f.Ledger = forgetful{}
	}
	o = o.withDefaults()
	_, branches := f.Sink.(Brancher)
	if _, commits := f.Sink.(Committer); commits && !branches {
		o.Workers = 1
	}
	r := &run{Flow: f, o: o, log: o.Log, parent: ctx, parts: make(chan Part), memory: budget{limit: o.MemoryBytes}}
	r.ctx, r.stop = context.WithCancelCause(ctx)
	r.hashers.New = func() any { return new(Hasher) }
	return r, nil
}

func (r *run) run() error {
	var stopReading context.CancelFunc
	r.reading, stopReading = context.WithCancel(r.ctx)
	defer stopReading()
	select {
	case <-r.o.Drain:
		stopReading() // before anything is read
	default:
	}
	var watch sync.WaitGroup
	defer watch.Wait()
	over := make(chan struct{})
	defer close(over)
	watch.Go(func() { r.heedDrain(stopReading, over) })
	if err := r.prepare(); err != nil {
		return err
	}
	var all sync.WaitGroup
	all.Go(r.plan)
	for range r.o.Workers {
		all.Go(func() { newWorker(r).work() })
	}
	all.Wait()
	return context.Cause(r.ctx)
}

// prepare tells the books and the sink what will come. A drain cuts it short: nothing is on its way yet.
func (r *run) prepare() error {
	var groups []Group
	if d, ok := r.Source.(Describer); ok {
		var err error
		if groups, err = d.Groups(r.reading); err != nil && !r.drained() {
			return fmt.Errorf("describe the source: %w", err)
		}
	}
	r.books.describe(groups)
	r.o.Progress.describe(groups)
	r.o.Progress.started.Store(time.Now().UnixNano())
	if p, ok := r.Sink.(Preparer); ok && !r.drained() {
		if err := p.Prepare(r.reading, groups); err != nil && !r.drained() {
			return fmt.Errorf("prepare the sink: %w", err)
		}
	}
	return nil
}

// plan gives the source's parts to the workers, one when it is asked for.
func (r *run) plan() {
	defer close(r.parts)
	for p, err := range r.Source.Parts(r.reading) {
		switch {
		case r.reading.Err() != nil:
			r.cut.Store(true)
			r.comeBack()
			return
		case err != nil && p.ID == "" && p.Group == "":
			r.stop(fmt.Errorf("plan parts: %w", err))
			return
		case IsFatal(err):
			r.stop(fmt.Errorf("plan part %s: %w", p.ID, err))
			return
		}
		c := r.o.Progress.group(p.Group)
		c.seen(&p)
		r.books.seen(&p)
		if err != nil {
			r.log.Error("part cannot be planned", "part", p.ID, "group", p.Group, "err", err)
			c.failed.Add(1)
			r.books.fail(&p, err)
			r.books.settle(&p, Tally{}, Tally{}, outcomeFailed)
			continue
		}
		if !r.give(p) {
			break
		}
	}
	if r.reading.Err() != nil {
		r.cut.Store(true) // the source may have stopped for it
	} else {
		r.o.Progress.planned.Store(true)
	}
	r.comeBack()
}

// batch gives an empty batch, once there is room for a full one, and what the budget is charged for it.
func (r *run) batch(ctx context.Context) (*Batch, int64, error) {
	weight, err := r.memory.acquire(ctx, int64(r.o.BatchBytes))
	if err != nil {
		return nil, 0, err
	}
	return r.emptyBatch(), weight, nil
}

func (r *run) emptyBatch() *Batch {
	b := r.batches.take()
	b.MaxRecords, b.MaxBytes = r.o.BatchRecords, r.o.BatchBytes
	return b
}

// reweigh corrects what the budget is charged for the ticket's batch.
func (r *run) reweigh(t *ticket) {
	now := int64(t.batch.Bytes())
	r.memory.charge(now - t.weight)
	t.weight = now
}

// recycle lets go of the ticket's batch.
func (r *run) recycle(t *ticket) {
	r.batches.giveBack(t.batch)
	r.memory.charge(-t.weight)
	t.batch, t.weight, t.rejected, t.why = nil, 0, nil, nil
}

// batches are those that are empty and waiting to be filled anew. There are never more than were once alive at
// the same time, which a sync.Pool does not see to.
type batches struct {
	mu   sync.Mutex // guards idle
	idle []*Batch
}

func (p *batches) take() *Batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		return new(Batch)
	}
	b := p.idle[last]
	p.idle = p.idle[:last]
	return b
}

func (p *batches) giveBack(b *Batch) {
	b.Reset()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, b)
}

// forgetful is the ledger of a flow that has none.
type forgetful struct{}

func (forgetful) Claim(_ context.Context, p Part) (Checkpoint, error) {
	return Checkpoint{Part: p.ID, Group: p.Group}, nil
}

func (forgetful) Save(context.Context, ...Checkpoint) error { return nil }

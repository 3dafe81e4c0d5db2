package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/narudata/naru/flow"
)

// A Pipe is what Run runs.
type Pipe struct {
	Sources []Input
	// Stage gives a worker its program. The first worker's has to do what is to be done once for all of them.
	Stage func(first bool) Stage
	// Sinks are named by the ports of records.
	Sinks []Output
	// Dead takes what sinks refuse for good. It is called concurrently. Nil: the first such record stops the pipe.
	Dead flow.DeadLetters
}

// An Input is a source with a name for logs and figures.
type Input struct {
	ID string
	Source
}

// An Output is a sink with a name for logs and figures.
type Output struct {
	ID string
	Sink
}

// A Stage is a worker's program: it makes records for sinks of records of sources. One goroutine uses it. Failures that it
// returns are dead letters; any other error stops the pipe. Bytes of what comes in stay as they are until the batch is delivered.
type Stage interface {
	// Process replaces the records of a batch of a stream. Streams have numbers from 1 on. Failures are indices into the
	// records as it left them.
	Process(ctx context.Context, b *flow.Batch, stream uint64) error
	// End appends what was held back of a stream that has ended to a batch without records.
	End(b *flow.Batch, stream uint64) error
	// Flush appends what is due from time to time to a batch without records; final: for the last time.
	Flush(b *flow.Batch, final bool) error
	// Held is how many calls of Process for a stream ago the oldest record came that is held back: 1 is the last one. 0: none
	// is. What came since is not acknowledged before it is given.
	Held(stream uint64) int
	// Holds reports that Held may be other than 0, and End gives something: then there is one worker.
	Holds() bool
	// Flushes reports that Flush gives something before the end.
	Flushes() bool
}

// Options say how a pipe is run. The zero value works.
type Options struct {
	Workers     int   // 0: one
	MemoryBytes int64 // bound of what is on its way, exceeded by what was read last; 0: 16 MiB: what waits at a slow sink makes everything late
	// MaxRecords and MaxBytes bound a batch where its stream heeds that; 0: 2048, 256 KiB.
	MaxRecords int
	MaxBytes   int
	FlushEvery time.Duration   // how often stages are flushed; 0: 1 s
	Drain      <-chan struct{} // closed: read nothing new, deliver and acknowledge what was read, return
	// Patience bounds draining: when sinks have taken nothing for so long, Run gives up with ErrUndelivered. 0: it does not.
	Patience time.Duration
	Log      *slog.Logger // nil: nowhere
	Stats    *Stats       // filled while the pipe runs; nil: not wanted
}

func (o Options) withDefaults() Options {
	if o.Workers <= 0 {
		o.Workers = 1
	}
	if o.MemoryBytes <= 0 {
		o.MemoryBytes = 16 << 20
	}
	if o.MaxRecords <= 0 {
		o.MaxRecords = 2048
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 256 << 10
	}
	if o.FlushEvery <= 0 {
		o.FlushEvery = time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Run reads all streams of all sources until they have ended, or the pipe is told to drain; then what was read is delivered
// and acknowledged, and the sinks are closed. Whatever the number of workers, sinks get the records of one stream in the order
// in which they were read, and those that are InOrder write them so.
//
// Cancelling ctx stops at once: what is on its way is given up, and not acknowledged.
func Run(ctx context.Context, p Pipe, o Options) error {
	o = o.withDefaults()
	if o.Stats == nil {
		o.Stats = NewStats(p)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()
	r := &run{
		Pipe: p, o: o, ctx: ctx, reading: reading, stop: stop,
		pool:  newPool(o.MemoryBytes, p.mostJobs(o.Workers), 3*o.Workers+2*len(p.Sources), len(p.Sources)),
		todo:  make(chan *job, o.Workers),
		order: make(chan *job, mostJobs+2*o.Workers),
	}
	over, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-o.Drain:
			stopReading()
			r.lose(o.Patience, over)
		case <-over:
		}
	}()
	err := r.run()
	r.tellAll()
	close(over)
	<-watched
	return err
}

// ErrUndelivered is why a pipe that was to drain has given up. What is not delivered is not acknowledged: it comes again.
var ErrUndelivered = errors.New("not all that was read could be delivered: outputs have taken nothing for too long; what is left is not acknowledged")

// lose stops the pipe when nothing was delivered for as long as patience, unless it is over before that.
func (r *run) lose(patience time.Duration, over <-chan struct{}) {
	if patience <= 0 {
		return
	}
	tick := time.NewTicker(patience / 20)
	defer tick.Stop()
	last, since := r.progress(), time.Now()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
		}
		if now := r.progress(); now != last {
			last, since = now, time.Now()
		} else if time.Since(since) >= patience {
			r.stop(ErrUndelivered)
			return
		}
	}
}

// progress changes with every record that is processed, delivered or a dead letter.
func (r *run) progress() int64 {
	n := r.o.Stats.Failed.Get()
	for i := range r.o.Stats.Outputs {
		o := &r.o.Stats.Outputs[i]
		n += o.Records.Get() + o.Delivered.Get() + o.Dead.Get()
	}
	return n
}

// mostJobs bounds the batches on their way.
const mostJobs = 1024

// mostJobs bounds the batches on their way where all sinks write one after the other: more would only wait.
func (p *Pipe) mostJobs(workers int) int {
	for _, s := range p.Sinks {
		if !s.InOrder {
			return mostJobs
		}
	}
	return 3*workers + 2*len(p.Sources)
}

// A run is one call of Run.
type run struct {
	Pipe
	o       Options
	ctx     context.Context // ends when the pipe stops
	reading context.Context // ends also when it drains
	stop    context.CancelCauseFunc
	pool    *pool
	todo    chan *job // read, for the workers
	order   chan *job // the same, in the order they were read, for the writer

	enqueue  sync.Mutex // guards the two channels: a job has the same place in both
	flushing sync.Mutex // guards Flush of all workers
	feeds    sync.WaitGroup
	numbers  Counter // of streams
	outlets  []*outlet
	holds    bool // stages hold records back

	dead   sync.Mutex // guards graves
	graves map[string]*grave
}

// A job is a batch on its way.
type job struct {
	batch     flow.Batch
	weight    int64 // what the pool counts for it
	input     int   // of the source; -1: none, it is a flush
	stream    uint64
	ended     bool          // there are no records: the stream has ended
	processed chan struct{} // has room for one

	token   *token
	frees   []*token        // held back until this job is delivered
	pending Counter         // parts that are not written yet
	parts   [][]flow.Record // the records of each port
	room    [][]flow.Record // for parts that are copies
	failed  []flow.Record   // by the stage
	why     []error
}

func (r *run) run() error {
	for i := range r.Sinks {
		r.outlets = append(r.outlets, newOutlet(r, i))
	}
	var writer, workers, sources sync.WaitGroup
	writer.Go(r.write)
	stages := make([]Stage, r.o.Workers)
	for i := range stages {
		stages[i] = r.Stage(i == 0)
	}
	r.holds = stages[0].Holds()
	for i := range stages {
		workers.Go(func() { newWorker(r, stages[i]).work() })
	}
	for i := range r.Sources {
		sources.Go(func() {
			err := r.Sources[i].Run(r.reading, func(s Stream) { r.open(i, s) })
			if err != nil && (r.reading.Err() == nil || !errors.Is(err, context.Canceled)) {
				r.stop(fmt.Errorf("input %s: %w", r.Sources[i].ID, err))
			}
		})
	}
	sources.Wait()
	r.feeds.Wait()
	close(r.todo)
	workers.Wait()
	for _, s := range stages {
		r.flush(s, true, nil)
	}
	close(r.order)
	writer.Wait()
	var all []error
	for _, o := range r.outlets {
		close(o.queue)
	}
	for _, o := range r.outlets {
		all = append(all, o.close())
	}
	if err := context.Cause(r.ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return errors.Join(all...)
}

// put gives a filled job to the workers and to the writer.
func (r *run) put(j *job) {
	r.enqueue.Lock()
	defer r.enqueue.Unlock()
	select {
	case r.order <- j:
	case <-r.ctx.Done():
		return
	}
	select {
	case r.todo <- j:
	case <-r.ctx.Done():
		j.processed <- struct{}{}
	}
}

// flush gives the writer what a stage makes from time to time. The token is settled once that is safe.
func (r *run) flush(s Stage, final bool, t *token) {
	j := newJob() // none of the pool: inputs may hold them all
	j.token = t
	r.flushing.Lock()
	err := s.Flush(&j.batch, final)
	r.flushing.Unlock()
	r.processed(j, err)
	j.processed <- struct{}{}
	select {
	case r.order <- j:
	case <-r.ctx.Done():
	}
}

// write gives the sinks what the workers made, in the order in which it was read.
func (r *run) write() {
	for j := range r.order {
		select {
		case <-j.processed:
		case <-r.ctx.Done():
			continue
		}
		r.pool.reweigh(j)
		r.give(j)
	}
}

// give hands the records of a job to the outlets.
func (r *run) give(j *job) {
	parts := j.split(len(r.outlets))
	n := 1 // until all are handed over
	for _, recs := range parts {
		if len(recs) > 0 {
			n++
		}
	}
	j.pending.set(int64(n))
	if len(j.failed) > 0 {
		if !r.bury(nil, j.failed, j.why) {
			return
		}
	}
	for port, recs := range parts {
		if len(recs) == 0 {
			continue
		}
		select {
		case r.outlets[port].queue <- part{j, recs}:
		case <-r.ctx.Done():
			return
		}
	}
	r.settle(j)
}

// settle notes that a part of a job is safe.
func (r *run) settle(j *job) {
	if j.pending.add(-1) > 0 {
		return
	}
	for _, t := range j.frees {
		t.settle()
	}
	if j.token != nil {
		j.token.settle()
	}
	r.pool.put(j)
}

// bury keeps dead letters; it reports that they are safe.
func (r *run) bury(o *outlet, recs []flow.Record, why []error) bool {
	name := "filters"
	if o != nil {
		name = r.Sinks[o.port].ID
	}
	if r.Dead == nil {
		r.stop(fmt.Errorf("output %s: a record cannot be delivered and there is nowhere for dead letters: %w", name, why[0]))
		return false
	}
	for i := range recs {
		if recs[i].Index == "" {
			recs[i].Index = name
		}
	}
	for failures := 1; ; failures++ {
		err := r.Dead.Bury(r.ctx, recs, why)
		if err == nil {
			r.mourn(name, len(recs), why[0])
			return true
		}
		if r.ctx.Err() != nil {
			return false
		}
		if flow.IsPermanent(err) {
			r.stop(fmt.Errorf("output %s: dead letters: %w", name, err))
			return false
		}
		r.complain(failures, "dead letters cannot be kept, trying again", "output", name, "records", len(recs), "error", err)
		if (flow.Retry{}).Wait(r.ctx, failures) != nil {
			return false
		}
	}
}

// complain logs the first, the second, the fourth … failure.
func (r *run) complain(failures int, message string, args ...any) {
	if failures&(failures-1) == 0 {
		r.o.Log.Warn(message, append(args, "failures", failures)...) //nolint:sloglint // messages of the callers
	}
}

// split sorts the records of a job by their ports.
func (j *job) split(ports int) [][]flow.Record {
	for len(j.parts) < ports {
		j.parts, j.room = append(j.parts, nil), append(j.room, nil)
	}
	clear(j.parts)
	recs := j.batch.Records
	if one := onePort(recs); one >= 0 {
		if int(one) < ports {
			j.parts[one] = recs
		}
		return j.parts
	}
	for i := range recs {
		if p := recs[i].Port; p >= 0 && int(p) < ports {
			if j.parts[p] == nil {
				j.parts[p] = j.room[p][:0]
			}
			j.parts[p] = append(j.parts[p], recs[i])
		}
	}
	for p := range j.parts {
		if j.parts[p] != nil {
			j.room[p] = j.parts[p]
		}
	}
	return j.parts
}

// onePort is the port of all records; -1 if they have several.
func onePort(recs []flow.Record) int32 {
	if len(recs) == 0 {
		return -1
	}
	for i := range recs {
		if recs[i].Port != recs[0].Port {
			return -1
		}
	}
	return recs[0].Port
}

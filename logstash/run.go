package logstash

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/narudata/naru/flow"
)

// RunOptions say how a pipeline runs. The zero RunOptions are one worker, without standard input and output.
type RunOptions struct {
	// Stdin is read by the input stdin. After a run that was ended by its context, perhaps something of it is lost, unless it
	// is a *Shared.
	Stdin   io.Reader
	Stdout  io.Writer
	Workers int // 0: one
	// BatchSize is how many messages of a generator are a batch; 0: a thousand. A stream's batch is what was there to be
	// read, up to 64 KiB.
	BatchSize int
}

// A Tally is what a run has done.
type Tally struct {
	Messages int64 // that inputs read
	Records  int64 // that outputs wrote
}

// blockBytes is how much is read of a stream at a time.
const blockBytes = 64 << 10

// Run reads the inputs and writes to the outputs until the inputs end or ctx is done; then what was read is worked off.
// Whatever the number of workers, what one input gives is written in its order.
func (p *Pipeline) Run(ctx context.Context, o RunOptions) (Tally, error) {
	if most := p.MaxWorkers(); most > 0 && o.Workers > most {
		p.o.Log.Warn("a filter or codec of this pipeline sees all events: there are fewer workers than asked for", "workers", most)
		o.Workers = most
	}
	o.Workers = max(o.Workers, 1)
	if o.Stdin == nil {
		o.Stdin = bytes.NewReader(nil)
	}
	if o.Stdout == nil {
		o.Stdout = io.Discard
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	jobs := 3*o.Workers + 2*len(p.Inputs)
	r := &runner{
		p: p, o: o, cancel: cancel,
		free: make(chan *job, jobs),
		todo: make(chan *job, o.Workers),
		// There is room for all of them, and for a flush of each worker: nobody ever waits for the writer but an input.
		order: make(chan *job, jobs+2*o.Workers),
	}
	for range jobs {
		r.free <- &job{done: make(chan struct{}, 1)}
	}
	return r.run(ctx)
}

// A job is a batch on its way from an input over a worker to the outputs.
type job struct {
	batch flow.Batch
	block []byte // what the messages are parts of

	done chan struct{}
}

// runner is a run of a pipeline: inputs fill jobs, workers take them from todo, and the writer takes the same jobs from order,
// as soon as each is done.
type runner struct {
	p      *Pipeline
	o      RunOptions
	cancel context.CancelCauseFunc
	free   chan *job
	todo   chan *job
	order  chan *job

	enqueue  sync.Mutex // guards the two channels: a job has the same place in both
	flushing sync.Mutex // guards Flush of all workers
	messages atomic.Int64
	records  int64
}

func (r *runner) run(ctx context.Context) (Tally, error) {
	sink := r.p.NewSink(r.o.Stdout)
	written := make(chan error, 1)
	go func() { written <- r.write(ctx, sink) }()

	stages := make([]*Stage, r.o.Workers)
	var workers sync.WaitGroup
	for i := range stages {
		stages[i] = r.p.NewStage(i == 0)
		workers.Go(func() { r.work(ctx, stages[i]) })
	}
	var readers sync.WaitGroup
	for n, in := range r.p.Inputs {
		readers.Go(func() {
			if err := r.read(ctx, n, in); err != nil {
				r.cancel(fmt.Errorf("%s input %s: %w", in.Name, in.ID, err))
			}
		})
	}
	readers.Wait()
	close(r.todo)
	workers.Wait()
	for _, s := range stages {
		r.flush(s, true)
	}
	close(r.order)
	err := errors.Join(<-written, sink.Close(ctx))
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return Tally{r.messages.Load(), r.records}, err
}

// put gives a filled job to the workers and to the writer.
func (r *runner) put(j *job) {
	r.messages.Add(int64(len(j.batch.Records)))
	r.enqueue.Lock()
	defer r.enqueue.Unlock()
	r.order <- j
	r.todo <- j
}

// get gives an empty job.
func (r *runner) get() *job {
	j := <-r.free
	j.batch.Reset()
	j.block = j.block[:0]
	return j
}

// work takes jobs until there are none, and flushes the filters from time to time.
func (r *runner) work(ctx context.Context, s *Stage) {
	tick := time.NewTicker(FlushInterval)
	defer tick.Stop()
	for {
		select {
		case j, ok := <-r.todo:
			if !ok {
				return
			}
			if err := s.Process(ctx, &j.batch); err != nil {
				r.cancel(err)
			}
			j.done <- struct{}{}
		case <-tick.C:
			r.flush(s, false)
		}
	}
}

// flush gives the writer what the filters of a worker make from time to time.
func (r *runner) flush(s *Stage, final bool) {
	if !final && !s.flushes() {
		return
	}
	j := &job{done: make(chan struct{}, 1)} // none of the others: an input may hold them all
	r.flushing.Lock()
	s.Flush(&j.batch, final)
	r.flushing.Unlock()
	j.done <- struct{}{}
	r.order <- j
}

// write writes jobs in their order. After an error it goes on taking them, so that nobody waits.
func (r *runner) write(ctx context.Context, sink *Sink) error {
	var failed error
	for j := range r.order {
		<-j.done
		if failed == nil {
			if failed = sink.Write(ctx, j.batch.Records); failed != nil {
				r.cancel(failed)
			}
			r.records += int64(len(j.batch.Records))
		}
		select {
		case r.free <- j:
		default: // it was made for a flush
		}
	}
	return failed
}

// read reads an input to its end.
func (r *runner) read(ctx context.Context, n int, in *Input) error {
	switch o := in.Options.(type) {
	case *Generator:
		if o.Message == "stdin" && len(o.Lines) == 0 {
			line, err := io.ReadAll(r.o.Stdin)
			if err != nil {
				return err
			}
			o.Message = string(bytes.TrimRight(line, "\n"))
		}
		r.generate(ctx, n, o)
		return nil
	default:
		return r.lines(ctx, n, r.o.Stdin, []byte(cmp.Or(in.Decoder.Delimiter(), "\n")))
	}
}

func (r *runner) generate(ctx context.Context, n int, o *Generator) {
	lines := o.Lines
	if len(lines) == 0 {
		lines = []string{o.Message}
	}
	messages := make([][]byte, len(lines))
	for i := range lines {
		messages[i] = []byte(lines[i])
	}
	size := cmp.Or(r.o.BatchSize, 1000)
	for range o.Threads {
		j := r.get()
		for count := int64(0); (o.Count == 0 || count < o.Count) && ctx.Err() == nil; count++ {
			for _, m := range messages {
				j.batch.Records = append(j.batch.Records, flow.Record{Index: index(n), Body: m, Version: count + 1})
			}
			if len(j.batch.Records) >= size {
				r.put(j)
				j = r.get()
			}
		}
		r.put(j)
	}
}

// lines cuts a stream into messages. A block is read, and goes to a worker with all the messages that end in it; what is left
// is the beginning of the next block.
func (r *runner) lines(ctx context.Context, n int, in io.Reader, delimiter []byte) error {
	var reads interface {
		read(ctx context.Context, room []byte) (int, error)
	}
	shared, isShared := in.(*Shared)
	if isShared {
		reads = shared
	} else {
		own := startReading(in)
		defer close(own.ask)
		reads = own
	}
	j := r.get()
	size := blockBytes
	for {
		if cap(j.block) < size {
			j.block = append(make([]byte, 0, size), j.block...)
		}
		got, err := reads.read(ctx, j.block[len(j.block):size])
		from := max(0, len(j.block)-len(delimiter)+1)
		j.block = j.block[:len(j.block)+got]
		if ctx.Err() != nil && isShared {
			shared.giveBack(j.block)
			return nil
		}
		if ctx.Err() != nil {
			// Perhaps the read still writes into the block: it is left, but for what it had before.
			j.block = bytes.Clone(j.block)
			err = io.EOF
		}
		if last := bytes.LastIndex(j.block[from:], delimiter); last >= 0 || err != nil {
			end := len(j.block)
			if last >= 0 {
				end = from + last + len(delimiter)
			}
			rest := j.block[end:]
			next := r.get()
			if err == nil {
				size = max(blockBytes, 2*len(rest))
				if cap(next.block) < size {
					next.block = make([]byte, 0, size)
				}
				next.block = append(next.block, rest...)
			}
			j.cut(n, j.block[:end], delimiter)
			if err != nil && len(rest) > 0 {
				j.batch.Records = append(j.batch.Records, flow.Record{Index: index(n), Body: rest})
			}
			r.put(j)
			j = next
		} else if len(j.block) == size {
			size *= 2
		}
		switch {
		case errors.Is(err, io.EOF):
			r.put(j)
			return nil
		case err != nil:
			r.put(j)
			return err
		}
	}
}

// reading reads from a stream in a goroutine of its own, so that nobody has to wait for a terminal that says nothing. The
// goroutine ends with the read that it is in.
type reading struct {
	ask  chan []byte
	got  chan int
	fail chan error
}

func startReading(in io.Reader) *reading {
	r := &reading{ask: make(chan []byte), got: make(chan int, 1), fail: make(chan error, 1)}
	go func() {
		for room := range r.ask {
			n, err := in.Read(room)
			r.fail <- err
			r.got <- n
		}
	}()
	return r
}

// read reads into room. When ctx is done it gives up, and room may still be written to.
func (r *reading) read(ctx context.Context, room []byte) (int, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	r.ask <- room
	select {
	case n := <-r.got:
		return n, <-r.fail
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// cut makes records of the messages in a text.
func (j *job) cut(n int, text, delimiter []byte) {
	for len(text) > 0 {
		end := bytes.Index(text, delimiter)
		if end < 0 {
			j.batch.Records = append(j.batch.Records, flow.Record{Index: index(n), Body: text})
			return
		}
		j.batch.Records = append(j.batch.Records, flow.Record{Index: index(n), Body: text[:end:end]})
		text = text[end+len(delimiter):]
	}
}

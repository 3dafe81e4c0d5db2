package logstash

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/narudata/naru/connect/archive"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/queue"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/input"
	"github.com/narudata/naru/logstash/output"
)

// RunOptions say how a pipeline runs. The zero RunOptions are one worker, without standard input and output.
type RunOptions struct {
	ID string // of the pipeline; "" is main
	// Stdin is read by the input stdin. After a run that was ended by its context, perhaps something of it is lost, unless it
	// is a *input.Shared.
	Stdin   io.Reader
	Stdout  io.Writer
	Workers int // 0: one
	// BatchSize is how many messages of a generator are a batch; 0: a thousand.
	BatchSize int
	// Ordered: outputs keep the order in which events were read. It goes with one worker.
	Ordered bool
	// Data is the folder for what must outlive the process: how far files were read, dead letters, queues. "" is the folder
	// of the user's state.
	Data string
	// Addresses are those that pipelines of the process send to.
	Addresses *input.Addresses
	// Dead takes what cannot be delivered; nil: a store of the pipeline's own in Data.
	Dead flow.DeadLetters
	// Queue is where what sources cannot give again is kept until it is delivered.
	Queue QueueOptions
	// Patience is how long outputs may take nothing, once ctx is done, until the run ends with ErrUndelivered; 0: for ever.
	Patience time.Duration
	// Running is told of the run as it begins.
	Running func(Running)
}

// Running is a run that goes on: what may be looked at meanwhile, and after it.
type Running struct {
	Stats  *stream.Stats
	Queues map[string]*queue.Queue // of inputs, by their ids
	// Lags gives, of inputs that know it, how far they are behind; by their ids.
	Lags func() map[string][]Lag
	Dead string // the folder of the dead letters; "": they are elsewhere
}

// QueueOptions say how a pipeline keeps what its sources cannot give again.
type QueueOptions struct {
	Off      bool   // it is not kept: what is on its way when the process dies is lost
	MaxBytes int64  // 0: 1 GiB
	Dir      string // "": the folder queue in Data
}

// ErrUndelivered says that a run was to end and its outputs took nothing. What is left comes again from its source, or from the
// queue.
var ErrUndelivered = stream.ErrUndelivered

// A Tally is what a run has done.
type Tally struct {
	Messages int64 // that inputs read
	Records  int64 // that outputs wrote, or that were there already
	Dead     int64 // dead letters
}

// Run reads the inputs and writes to the outputs until the inputs end or ctx is done; then what was read is worked off.
// Whatever the number of workers, outputs that print or write files get what one input gives in its order.
func (p *Pipeline) Run(ctx context.Context, o RunOptions) (tally Tally, err error) {
	if most := p.MaxWorkers(); most > 0 && o.Workers > most {
		p.o.Log.Warn("a filter or codec of this pipeline sees all events: there are fewer workers than asked for", "workers", most)
		o.Workers = most
	}
	o.Workers = max(o.Workers, 1)
	if o.ID == "" {
		o.ID = "main"
	}
	if o.Data == "" {
		o.Data = StateDir()
	}
	if p.o.Role.InShadow() {
		o.Data = filepath.Join(o.Data, p.o.Role.Prefix()+"data") // dead letters of a shadow are not those of the pipeline
	}
	pipe := stream.Pipe{Stage: func(first bool) stream.Stage { return p.NewStage(first) }, Dead: o.Dead}
	if err := p.openCodecs(ctx); err != nil {
		return Tally{}, err
	}
	for n, out := range p.Outputs {
		sink, err := out.made.Open(&output.Run{
			ID: out.ID, Pipeline: o.ID, Stdout: o.Stdout, Data: o.Data, Log: p.o.Log, Ordered: o.Ordered, Addresses: o.Addresses,
		})
		if err != nil {
			return Tally{}, errors.Join(fmt.Errorf("%s output %s: %w", out.Name, p.Outputs[n].ID, err), closeSinks(pipe.Sinks))
		}
		pipe.Sinks = append(pipe.Sinks, stream.Output{ID: out.ID, Sink: sink})
	}
	running := Running{Queues: map[string]*queue.Queue{}}
	pipe.Sources, err = p.sources(&o, running.Queues)
	defer func() {
		for _, q := range running.Queues {
			err = errors.Join(err, q.Close())
		}
	}()
	if err != nil {
		return Tally{}, errors.Join(err, closeSinks(pipe.Sinks))
	}
	if pipe.Dead == nil {
		running.Dead = filepath.Join(o.Data, "dead", o.ID)
		store, err := archive.OpenDeadStore(running.Dead)
		if err != nil {
			return Tally{}, errors.Join(err, closeSinks(pipe.Sinks))
		}
		defer func() { err = errors.Join(err, store.Close()) }()
		pipe.Dead = store
	}
	running.Stats, running.Lags = stream.NewStats(pipe), lagsOf(pipe.Sources)
	if o.Running != nil {
		o.Running(running)
	}
	err = stream.Run(context.WithoutCancel(ctx), pipe, stream.Options{Workers: o.Workers, Drain: ctx.Done(), Patience: o.Patience, Log: p.o.Log, Stats: running.Stats})
	return tallyOf(running.Stats), err
}

// A Lag is how far an input is behind in a topic.
type Lag = input.Lag

// openCodecs gets codecs what they need.
func (p *Pipeline) openCodecs(ctx context.Context) error {
	open := func(c codec.Codec, id string) error {
		if o, ok := c.(codec.Opener); ok {
			if err := o.Open(ctx); err != nil {
				return fmt.Errorf("codec of %s: %w", id, err)
			}
		}
		return nil
	}
	for _, in := range p.Inputs {
		if err := open(in.codec, in.ID); err != nil {
			return err
		}
	}
	for _, out := range p.Outputs {
		if err := open(out.Encoder, out.ID); err != nil {
			return err
		}
	}
	return nil
}

// A lagging source knows how far it is behind in its topics, as far as it knows now.
type lagging interface {
	Lags() []Lag
}

// lagsOf asks sources how far they are behind.
func lagsOf(sources []stream.Input) func() map[string][]Lag {
	behind := map[string]lagging{}
	for _, s := range sources {
		if l, ok := s.Source.(lagging); ok {
			behind[s.ID] = l
		}
	}
	return func() map[string][]Lag {
		out := map[string][]Lag{}
		for id, l := range behind {
			if lags := l.Lags(); len(lags) > 0 {
				out[id] = lags
			}
		}
		return out
	}
}

// sources opens the inputs, and a queue for each that cannot be read again.
func (p *Pipeline) sources(o *RunOptions, queues map[string]*queue.Queue) ([]stream.Input, error) {
	var sources []stream.Input
	volatile := 0
	for n, in := range p.Inputs {
		s, err := in.made.Open(&input.Run{
			Port: int32(n), ID: in.ID, Pipeline: o.ID, Delimiter: []byte(in.Decoder.Delimiter()), Stdin: o.Stdin, //nolint:gosec // inputs are few
			Data: o.Data, Log: p.o.Log, BatchSize: o.BatchSize, Addresses: o.Addresses,
		})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s input %s: %w", in.Name, in.ID, err), closeSources(sources))
		}
		sources = append(sources, stream.Input{ID: in.ID, Source: s})
		if isVolatile(s) {
			volatile++
		}
	}
	if o.Queue.Off {
		return sources, nil
	}
	same := map[string]int{}
	for n := range sources {
		name := p.Inputs[n].Name
		same[name]++
		if !isVolatile(sources[n].Source) {
			continue
		}
		// The name must be the same after a change of the configuration elsewhere, so it is no place.
		dir := filepath.Join(cmp.Or(o.Queue.Dir, filepath.Join(o.Data, "queue")), o.ID, fmt.Sprintf("%s-%d", name, same[name]))
		q, err := queue.Open(dir, queue.Options{MaxBytes: cmp.Or(o.Queue.MaxBytes, defaultQueueBytes) / int64(volatile), Log: p.o.Log})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s input %s: %w", name, p.Inputs[n].ID, err), closeSources(sources))
		}
		queues[sources[n].ID] = q
		sources[n].Source = ported{q.Before(sources[n].Source), int32(n)} //nolint:gosec // inputs are few
	}
	return sources, nil
}

// defaultQueueBytes bounds the queues of a pipeline.
const defaultQueueBytes = 1 << 30

func isVolatile(s stream.Source) bool {
	v, ok := s.(stream.Volatile)
	return ok && v.Volatile()
}

// ported gives records the port of their input: what is in a queue may be of a time when it had another one.
type ported struct {
	stream.Source
	port int32
}

// Run implements stream.Source.
func (p ported) Run(ctx context.Context, open func(stream.Stream)) error {
	return p.Source.Run(ctx, func(s stream.Stream) { open(portedStream{s, p.port}) })
}

type portedStream struct {
	stream.Stream
	port int32
}

// Read implements stream.Stream.
func (p portedStream) Read(ctx context.Context, b *flow.Batch) error {
	err := p.Stream.Read(ctx, b)
	for i := range b.Records {
		b.Records[i].Port = p.port
	}
	return err
}

// closeSources lets sources go that were opened and will not run.
func closeSources(sources []stream.Input) error {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	var all []error
	for _, s := range sources {
		if err := s.Run(over, func(s stream.Stream) { all = append(all, s.Close()) }); !errors.Is(err, context.Canceled) {
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

func closeSinks(sinks []stream.Output) error {
	var all []error
	for _, s := range sinks {
		all = append(all, s.Close(context.Background()))
	}
	return errors.Join(all...)
}

func tallyOf(s *stream.Stats) Tally {
	t := Tally{Dead: s.Failed.Get()}
	for i := range s.Inputs {
		t.Messages += s.Inputs[i].Records.Get()
	}
	for i := range s.Outputs {
		t.Records += s.Outputs[i].Delivered.Get()
		t.Dead += s.Outputs[i].Dead.Get()
	}
	return t
}

// StateDir is the folder of the user's state for pipelines: RunOptions.Data where none is given.
//
// Source: the XDG Base Directory Specification.
func StateDir() string {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "naru", "logstash")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return filepath.Join(".", "naru-data")
	}
	return filepath.Join(home, ".local", "state", "naru", "logstash")
}

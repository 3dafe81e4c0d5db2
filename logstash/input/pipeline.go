package input

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/option"
)

// Pipeline takes the events that outputs called pipeline of other pipelines of the process send to its address. An event is
// acknowledged to the sender once this pipeline has delivered it.
//
// Source: org.logstash.plugins.pipeline.PipelineBus, LogStash::Plugins::Builtin::Pipeline::Input.
type Pipeline struct {
	Options
	Address string `ls:"address,required" doc:"the name that others send to"`
}

// Traits implements Plugin.
func (*Pipeline) Traits() Traits { return Traits{Codec: "plain"} }

// Setup implements Plugin.
func (p *Pipeline) Setup(*Setup) (Input, error) {
	if p.Address == "" {
		return nil, option.Errorf("address", "expected a name, found none")
	}
	return p, nil
}

// Decoder implements Decoder: what is sent are events, whatever the codec.
func (*Pipeline) Decoder(of codec.Decoder) codec.Decoder { return sent{of} }

// sent decodes events that other pipelines sent.
type sent struct{ codec.Decoder }

// Decode implements codec.Decoder.
func (sent) Decode(x *codec.Context, message []byte) {
	e := x.New()
	if err := e.ParseBinary(message); err != nil {
		x.Log.Error("an event of another pipeline cannot be read", "error", err)
		return
	}
	x.Emit(e)
}

// Open implements Input.
func (p *Pipeline) Open(r *Run) (stream.Source, error) {
	if r.Addresses == nil {
		return nil, fmt.Errorf("there are no other pipelines to send to the address %q", p.Address)
	}
	a, err := r.Addresses.listen(p.Address, r.Port)
	if err != nil {
		return nil, err
	}
	return a, nil
}

// Claims implements Claimer.
func (p *Pipeline) Claims(string, string) []Claim {
	return []Claim{{Option: "address", What: fmt.Sprintf("the address %q", p.Address), Key: "address " + p.Address}}
}

var _ Decoder = (*Pipeline)(nil)

// Addresses connects the pipelines of a process: what one sends to an address, the one that has it takes. The zero value is
// ready.
type Addresses struct {
	mu      sync.Mutex // guards what follows
	taken   map[string]*address
	changed chan struct{} // closed when the next address is taken; nil: nobody waits
}

// ErrNobody says that no pipeline has an address now.
var ErrNobody = errors.New("no pipeline has the address")

func (a *Addresses) listen(name string, port int32) (*address, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.taken == nil {
		a.taken = map[string]*address{}
	}
	if _, ok := a.taken[name]; ok {
		return nil, fmt.Errorf("another pipeline has the address %q: each needs its own", name)
	}
	l := &address{of: a, name: name, port: port, parcels: make(chan *parcel), gone: make(chan struct{}), closed: make(chan struct{})}
	a.taken[name] = l
	if a.changed != nil {
		close(a.changed)
		a.changed = nil
	}
	return l, nil
}

// patience is how long Send waits for an address to be taken: pipelines that start together do so one after the other.
const patience = time.Second

// holder gives who has an address; nil if nobody takes it in time.
func (a *Addresses) holder(ctx context.Context, name string) *address {
	over := time.NewTimer(patience)
	defer over.Stop()
	for {
		a.mu.Lock()
		l := a.taken[name]
		if l == nil && a.changed == nil {
			a.changed = make(chan struct{})
		}
		changed := a.changed
		a.mu.Unlock()
		if l != nil {
			return l
		}
		select {
		case <-changed:
		case <-over.C:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// Send gives the records (each an event in its binary form) to the pipeline that has the address, and waits until all that
// came of them there is safe. ErrNobody: nobody has the address; nothing was sent.
func (a *Addresses) Send(ctx context.Context, name string, recs []flow.Record) error {
	l := a.holder(ctx, name)
	if l == nil {
		return fmt.Errorf("send to %q: %w", name, ErrNobody)
	}
	p := &parcel{recs: recs, done: make(chan error, 1)}
	select {
	case l.parcels <- p:
	case <-l.gone:
		return fmt.Errorf("send to %q: %w", name, ErrNobody)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	// The parcel is read by the other pipeline as long as it is on its way, so nothing ends the wait but its end.
	return <-p.done
}

// A parcel is what was sent at once.
type parcel struct {
	recs []flow.Record
	done chan error // has room
}

// address is the source, and the stream, of an input.
type address struct {
	of      *Addresses
	name    string
	port    int32
	parcels chan *parcel
	gone    chan struct{} // nobody may send any more
	closed  chan struct{} // the stream is

	next *parcel // taken by Wait

	mu    sync.Mutex // guards what follows
	on    []*parcel  // on their way
	first uint64     // the number of the first one
}

// Run implements stream.Source.
func (l *address) Run(ctx context.Context, open func(stream.Stream)) error {
	open(l)
	select {
	case <-ctx.Done():
		l.leave()
		<-l.closed
	case <-l.closed:
	}
	return nil
}

// leave gives the address back.
func (l *address) leave() {
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	if l.of.taken[l.name] == l {
		delete(l.of.taken, l.name)
		close(l.gone)
	}
}

// Wait implements stream.Stream.
func (l *address) Wait(ctx context.Context) error {
	if l.next != nil {
		return nil
	}
	select {
	case l.next = <-l.parcels:
		return nil
	case <-l.gone:
		return io.EOF
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Read implements stream.Stream.
func (l *address) Read(_ context.Context, b *flow.Batch) error {
	p := l.next
	l.next = nil
	for i := range p.recs {
		b.Records = append(b.Records, flow.Record{Port: l.port, Body: b.Copy(p.recs[i].Body)})
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.on = append(l.on, p)
	b.Next = flow.Position(fmt.Append(nil, l.first+uint64(len(l.on))))
	return nil
}

// Ack implements stream.Stream.
func (l *address) Ack(_ context.Context, next flow.Position) error {
	var upTo uint64
	if _, err := fmt.Sscan(string(next), &upTo); err != nil {
		return fmt.Errorf("position %q: %w", next, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.on) > 0 && l.first < upTo {
		l.on[0].done <- nil
		l.on, l.first = l.on[1:], l.first+1
	}
	return nil
}

// errStopped is why what was sent is not safe.
var errStopped = errors.New("the pipeline that it was sent to has stopped")

// Close implements stream.Stream.
func (l *address) Close() error {
	l.leave()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next != nil {
		l.next.done <- errStopped
	}
	for _, p := range l.on {
		p.done <- errStopped
	}
	l.on = nil
	close(l.closed)
	return nil
}

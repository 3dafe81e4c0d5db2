package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/narudata/naru/flow"
)

// texts is a source of streams that give the numbers below a bound, a few in a batch.
type texts struct {
	streams []*text
	endless bool // its streams wait for more when all is read
}

type text struct {
	name  string
	bound int
	size  int // of a batch
	wait  bool

	at     int
	mu     sync.Mutex
	acked  int
	acks   []int
	closed chan struct{}
}

func newText(name string, bound, size int) *text {
	return &text{name: name, bound: bound, size: size, closed: make(chan struct{})}
}

func (s *texts) Run(_ context.Context, open func(Stream)) error {
	for _, t := range s.streams {
		t.wait = s.endless
		open(t)
	}
	for _, t := range s.streams {
		<-t.closed
	}
	return nil
}

func (t *text) Wait(ctx context.Context) error {
	if t.at < t.bound {
		return nil
	}
	if !t.wait {
		return io.EOF
	}
	<-ctx.Done()
	return ctx.Err()
}

func (t *text) Read(_ context.Context, b *flow.Batch) error {
	for range t.size {
		if t.at == t.bound {
			break
		}
		b.Records = append(b.Records, flow.Record{Body: b.Copy(fmt.Appendf(nil, "%s-%d", t.name, t.at)), Version: int64(t.at)})
		t.at++
	}
	b.Next = flow.Position(strconv.Itoa(t.at))
	return nil
}

func (t *text) Ack(_ context.Context, next flow.Position) error {
	n, err := strconv.Atoi(string(next))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.acked = n
	t.acks = append(t.acks, n)
	return err
}

func (t *text) Close() error { close(t.closed); return nil }

func (t *text) acknowledged() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.acked
}

// program is a stage that sends each record to the port that port gives.
type program struct {
	port func(r *flow.Record) int32
	fail func(r *flow.Record) error
}

func (p *program) Process(_ context.Context, b *flow.Batch, _ uint64) error {
	var failures flow.Failures
	for i := range b.Records {
		if p.port != nil {
			b.Records[i].Port = p.port(&b.Records[i])
		}
		if p.fail != nil {
			if err := p.fail(&b.Records[i]); err != nil {
				failures = append(failures, flow.Failure{Index: i, Err: err})
			}
		}
	}
	if failures != nil {
		return failures
	}
	return nil
}
func (*program) End(*flow.Batch, uint64) error { return nil }
func (*program) Flush(*flow.Batch, bool) error { return nil }
func (*program) Held(uint64) int               { return 0 }
func (*program) Holds() bool                   { return false }
func (*program) Flushes() bool                 { return false }
func plain(bool) Stage                         { return &program{} }

// written is a sink that keeps what it is given.
type written struct {
	mu     sync.Mutex
	bodies []string
	closed int
	before func(recs []flow.Record) error // nil, or what it says of a write; failed records are not kept
}

func (w *written) Write(_ context.Context, recs []flow.Record) error {
	var err error
	if w.before != nil {
		err = w.before(recs)
	}
	failed := map[int]bool{}
	if some, ok := errors.AsType[flow.Failures](err); ok {
		for _, f := range some {
			failed[f.Index] = true
		}
	} else if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range recs {
		if !failed[i] {
			w.bodies = append(w.bodies, string(recs[i].Body))
		}
	}
	return err
}

func (w *written) Close(context.Context) error { w.closed++; return nil }

// graves keeps dead letters.
type graves struct {
	mu   sync.Mutex
	dead map[string]string
}

func (g *graves) Bury(_ context.Context, recs []flow.Record, why []error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dead == nil {
		g.dead = map[string]string{}
	}
	for i := range recs {
		g.dead[string(recs[i].Body)] = why[i].Error()
	}
	return nil
}

func TestEachStreamIsDeliveredInItsOrderAndAcknowledged(t *testing.T) {
	for _, workers := range []int{1, 4} {
		source := &texts{streams: []*text{newText("a", 5000, 7), newText("b", 3000, 100), newText("c", 0, 1)}}
		sink := &written{}
		o := Options{Workers: workers}
		p := Pipe{Sources: []Input{{"in", source}}, Stage: plain, Sinks: []Output{{"out", Sink{Sink: sink, InOrder: true}}}}
		o.Stats = NewStats(p)
		if err := Run(t.Context(), p, o); err != nil {
			t.Fatal(err)
		}
		next := map[string]int{}
		for _, b := range sink.bodies {
			name, number, _ := strings.Cut(b, "-")
			if n, _ := strconv.Atoi(number); n != next[name] {
				t.Fatalf("%s follows %s-%d", b, name, next[name]-1)
			}
			next[name]++
		}
		if want := map[string]int{"a": 5000, "b": 3000}; !maps.Equal(next, want) {
			t.Errorf("got %v, want %v", next, want)
		}
		for _, s := range source.streams {
			if s.acked != s.bound || !slices.IsSorted(s.acks) {
				t.Errorf("%s: acknowledged up to %d of %d", s.name, s.acked, s.bound)
			}
		}
		if in, out := &o.Stats.Inputs[0], &o.Stats.Outputs[0]; in.Records.Get() != 8000 || in.Acknowledged.Get() != 8000 || out.Delivered.Get() != 8000 || in.Streams.Get() != 0 {
			t.Errorf("the figures are %d %d %d", in.Records.Get(), in.Acknowledged.Get(), out.Delivered.Get())
		}
		if sink.closed != 1 {
			t.Errorf("the sink was closed %d times", sink.closed)
		}
	}
}

func TestNothingIsAcknowledgedBeforeEverySinkHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &texts{streams: []*text{newText("a", 10, 5)}, endless: true}
		var open atomic.Bool
		slow := &written{before: func([]flow.Record) error {
			if !open.Load() {
				return errors.New("not now")
			}
			return nil
		}}
		fast := &written{}
		p := Pipe{
			Sources: []Input{{"in", source}},
			Stage:   func(bool) Stage { return &program{port: func(r *flow.Record) int32 { return int32(r.Version % 2) }} },
			Sinks:   []Output{{"fast", Sink{Sink: fast}}, {"slow", Sink{Sink: slow}}},
		}
		drain := make(chan struct{})
		ended := make(chan error)
		go func() { ended <- Run(t.Context(), p, Options{Drain: drain}) }()
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := source.streams[0].acknowledged(); n != 0 || len(fast.bodies) != 5 {
			t.Errorf("%d are acknowledged, and %d written", n, len(fast.bodies))
		}
		open.Store(true)
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := source.streams[0].acknowledged(); n != 10 {
			t.Errorf("%d are acknowledged", n)
		}
		close(drain)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if len(slow.bodies) != 5 {
			t.Errorf("%q", slow.bodies)
		}
	})
}

func TestDrainingDeliversWhatWasReadAndStoppingGivesItUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, hard := range []bool{false, true} {
			source := &texts{streams: []*text{newText("a", 1000, 5)}, endless: true}
			sink := &written{before: func([]flow.Record) error { time.Sleep(time.Second); return nil }}
			p := Pipe{Sources: []Input{{"in", source}}, Stage: plain, Sinks: []Output{{"out", Sink{Sink: sink, InOrder: true, MaxRecords: 5}}}}
			drain := make(chan struct{})
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- Run(ctx, p, Options{Drain: drain}) }()
			time.Sleep(3500 * time.Millisecond)
			synctest.Wait()
			if hard {
				cancel()
			} else {
				close(drain)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
			read, acked := source.streams[0].at, source.streams[0].acked
			if hard && (acked > len(sink.bodies) || acked == 1000) || !hard && (acked != read || len(sink.bodies) != read) {
				t.Errorf("hard %v: %d were read, %d written, %d acknowledged", hard, read, len(sink.bodies), acked)
			}
			cancel()
		}
	})
}

func TestAPipeThatDrainsGivesUpWhenItsSinksTakeNothingAndWaitsWhileTheyDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, down := range []bool{false, true} {
			source := &texts{streams: []*text{newText("a", 1000, 1)}, endless: true}
			sink := &written{before: func(recs []flow.Record) error {
				if down && recs[0].Version >= 2 {
					return errors.New("the connection is refused")
				}
				time.Sleep(15 * time.Second)
				return nil
			}}
			p := Pipe{Sources: []Input{{"in", source}}, Stage: plain, Sinks: []Output{{"out", Sink{Sink: sink, InOrder: true, MaxRecords: 1}}}}
			drain, ended := make(chan struct{}), make(chan error)
			go func() { ended <- Run(t.Context(), p, Options{Drain: drain, Patience: 20 * time.Second}) }()
			time.Sleep(time.Second)
			began := time.Now()
			close(drain)
			err := <-ended
			read, acked := source.streams[0].at, source.streams[0].acked
			switch took := time.Since(began); {
			case down && (!errors.Is(err, ErrUndelivered) || acked != 2 || took > time.Minute):
				t.Errorf("the sink is down: %v after %v; %d acknowledged", err, took, acked)
			case !down && (err != nil || acked != read || took < time.Minute):
				t.Errorf("the sink is slow: %v after %v; %d of %d acknowledged", err, took, acked, read)
			}
		}
	})
}

func TestWhatASinkRefusesIsADeadLetterAndTheRestIsDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 1))
		var mu sync.Mutex
		sink := &written{before: func(recs []flow.Record) error {
			mu.Lock()
			defer mu.Unlock()
			if random.IntN(5) == 0 {
				return errors.New("the connection is reset")
			}
			var some flow.Failures
			for i := range recs {
				switch {
				case recs[i].Version%10 == 3:
					some = append(some, flow.Failure{Index: i, Err: flow.Permanent(errors.New("poison"))})
				case recs[i].Version%10 == 4 && bytes.HasPrefix(recs[i].Body, []byte("b")):
					some = append(some, flow.Failure{Index: i, Err: flow.ErrThere})
				case random.IntN(4) == 0:
					some = append(some, flow.Failure{Index: i, Err: errors.New("too many requests")})
				}
			}
			if some == nil {
				return nil
			}
			return some
		}}
		dead := &graves{}
		source := &texts{streams: []*text{newText("a", 500, 7), newText("b", 500, 30)}}
		p := Pipe{
			Sources: []Input{{"in", source}}, Dead: dead, Sinks: []Output{{"out", Sink{Sink: sink, MaxRecords: 20}}},
			Stage: func(bool) Stage {
				return &program{fail: func(r *flow.Record) error {
					if r.Version%10 == 7 {
						return errors.New("no condition")
					}
					return nil
				}}
			},
		}
		o := Options{Workers: 3, Stats: NewStats(p)}
		if err := Run(t.Context(), p, o); err != nil {
			t.Fatal(err)
		}
		if len(dead.dead) != 200 || dead.dead["a-13"] != "poison" || dead.dead["b-27"] != "no condition" {
			t.Errorf("%d dead letters", len(dead.dead))
		}
		slices.Sort(sink.bodies)
		if len(sink.bodies) != 750 || len(slices.Compact(sink.bodies)) != 750 {
			t.Errorf("%d are written", len(sink.bodies))
		}
		out := &o.Stats.Outputs[0]
		if out.Records.Get() != 900 || out.Delivered.Get() != 800 || out.There.Get() != 50 || out.Dead.Get() != 100 || o.Stats.Failed.Get() != 100 || out.Waiting.Get() != 0 {
			t.Errorf("records %d, delivered %d, there %d, dead %d, failed %d", out.Records.Get(), out.Delivered.Get(), out.There.Get(), out.Dead.Get(), o.Stats.Failed.Get())
		}
		for _, s := range source.streams {
			if s.acked != 500 {
				t.Errorf("%s: %d are acknowledged", s.name, s.acked)
			}
		}
	})
}

func TestDeadLettersAndOutputsThatWriteAgainAreLoggedButNotOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, failures := time.Now(), 0
		sink := &written{before: func(recs []flow.Record) error {
			if recs[0].Version >= 900 && time.Since(start) < 3*time.Minute {
				failures++
				return errors.New("the connection is refused")
			}
			time.Sleep(100 * time.Millisecond)
			var some flow.Failures
			for i := range recs {
				if recs[i].Version < 900 {
					some = append(some, flow.Failure{Index: i, Err: flow.Permanent(fmt.Errorf("poison %d", recs[i].Version))})
				}
			}
			if some == nil {
				return nil
			}
			return some
		}}
		var log strings.Builder
		p := Pipe{
			Sources: []Input{{"in", &texts{streams: []*text{newText("a", 910, 1)}}}}, Dead: &graves{},
			Sinks: []Output{{"out", Sink{Sink: sink, MaxRecords: 1, InOrder: true}}}, Stage: func(bool) Stage { return &program{} },
		}
		if err := Run(t.Context(), p, Options{Log: slog.New(slog.NewTextHandler(&log, nil))}); err != nil {
			t.Fatal(err)
		}
		var dead []int
		again := 0
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, "are dead letters") {
				_, rest, _ := strings.Cut(line, " records=")
				n := 0
				if _, err := fmt.Sscan(rest, &n); err != nil {
					t.Fatal(line)
				}
				dead = append(dead, n)
			}
			if strings.Contains(line, "writes again") {
				again++
			}
		}
		sum := 0
		for _, n := range dead {
			sum += n
		}
		if sum != 900 || dead[0] != 1 || len(dead) > 5 || !strings.Contains(log.String(), `error="poison 0"`) {
			t.Errorf("logged dead letters: %d, of 900", dead)
		}
		if failures < 3 || again != 1 {
			t.Errorf("%d failures; %d times an output writes again\n%s", failures, again, log.String())
		}
	})
}

func TestAPipeStopsWithItsSourceItsSinkAndWhereThereIsNoPlaceForTheDead(t *testing.T) {
	broken := errors.New("broken")
	permanent := func(recs []flow.Record) error { return flow.Failures{{Index: 0, Err: flow.Permanent(broken)}} }
	for name, p := range map[string]Pipe{
		"sink":    {Sources: []Input{{"in", &texts{streams: []*text{newText("a", 100, 1)}}}}, Sinks: []Output{{"out", Sink{Sink: &written{before: func([]flow.Record) error { return flow.Permanent(broken) }}}}}},
		"no dead": {Sources: []Input{{"in", &texts{streams: []*text{newText("a", 100, 1)}}}}, Sinks: []Output{{"out", Sink{Sink: &written{before: permanent}}}}},
		"source":  {Sources: []Input{{"in", failingSource{broken}}, {"other", &texts{streams: []*text{newText("a", 10, 1)}, endless: true}}}, Sinks: []Output{{"out", Sink{Sink: &written{}}}}},
	} {
		p.Stage = plain
		if err := Run(t.Context(), p, Options{Workers: 2}); !errors.Is(err, broken) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

type failingSource struct{ err error }

func (f failingSource) Run(context.Context, func(Stream)) error { return f.err }

func TestWhatIsOnItsWayIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &texts{streams: []*text{newText("a", 1_000_000, 100)}, endless: true}
		p := Pipe{Sources: []Input{{"in", source}}, Stage: plain, Sinks: []Output{{"out", Sink{Sink: &written{before: func([]flow.Record) error {
			return errors.New("not now")
		}}}}}}
		drain := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- Run(ctx, p, Options{Drain: drain, MemoryBytes: 1 << 20}) }()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := source.streams[0].at; n < 1000 || n > 20_000 {
			t.Errorf("%d records are read", n)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// joiner is a stage that gives two records as one: the first is held back.
type joiner struct {
	program
	held map[uint64][]byte
	age  map[uint64]int
}

func (j *joiner) Process(_ context.Context, b *flow.Batch, stream uint64) error {
	var out []flow.Record
	if j.held[stream] != nil {
		j.age[stream]++
	}
	for _, r := range b.Records {
		if first := j.held[stream]; first != nil {
			out = append(out, flow.Record{Body: fmt.Appendf(nil, "%s+%s", first, r.Body)})
			delete(j.held, stream)
		} else {
			j.held[stream], j.age[stream] = bytes.Clone(r.Body), 1
		}
	}
	b.Records = append(b.Records[:0], out...)
	return nil
}

func (j *joiner) End(b *flow.Batch, stream uint64) error {
	if first := j.held[stream]; first != nil {
		b.Records = append(b.Records, flow.Record{Body: first})
		delete(j.held, stream)
	}
	return nil
}

func (j *joiner) Held(stream uint64) int {
	if j.held[stream] == nil {
		return 0
	}
	return j.age[stream]
}
func (*joiner) Holds() bool { return true }

func TestWhatIsHeldBackIsNotAcknowledgedUntilItIsDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &texts{streams: []*text{newText("a", 7, 1), newText("b", 4, 3)}, endless: true}
		sink := &written{}
		p := Pipe{Sources: []Input{{"in", source}}, Sinks: []Output{{"out", Sink{Sink: sink, InOrder: true}}}, Stage: func(bool) Stage {
			return &joiner{held: map[uint64][]byte{}, age: map[uint64]int{}}
		}}
		drain := make(chan struct{})
		ended := make(chan error)
		go func() { ended <- Run(t.Context(), p, Options{Drain: drain}) }()
		time.Sleep(time.Minute)
		synctest.Wait()
		if a, b := source.streams[0].acknowledged(), source.streams[1].acknowledged(); a != 6 || b != 4 {
			t.Errorf("%d and %d are acknowledged", a, b)
		}
		close(drain)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if a := source.streams[0].acked; a != 7 {
			t.Errorf("%d are acknowledged in the end", a)
		}
		slices.Sort(sink.bodies)
		if got, want := strings.Join(sink.bodies, " "), "a-0+a-1 a-2+a-3 a-4+a-5 a-6 b-0+b-1 b-2+b-3"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestAFloodAtOneInputDoesNotHoldUpTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flood := &texts{streams: []*text{newText("flood", 1_000_000, 100)}, endless: true}
		calm := &texts{streams: []*text{newText("calm", 50, 1)}, endless: true}
		p := Pipe{Sources: []Input{{"flood", flood}, {"calm", calm}}, Stage: plain, Sinks: []Output{{"out", Sink{MaxRecords: 200, Sink: &written{before: func([]flow.Record) error {
			time.Sleep(100 * time.Millisecond)
			return nil
		}}}}}}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- Run(ctx, p, Options{MemoryBytes: 1 << 20}) }()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n := calm.streams[0].acknowledged(); n != 50 {
			t.Errorf("%d of 50 are acknowledged, and %d of the flood", n, flood.streams[0].acknowledged())
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

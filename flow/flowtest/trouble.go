package flowtest

import (
	"context"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/narudata/naru/flow"
)

// Seed gives the seed of a random test, from the variable NARU_SEED if it is set, and prints it.
func Seed(t testing.TB) uint64 {
	seed := rand.Uint64() //nolint:gosec // a test that can be repeated
	if text := os.Getenv("NARU_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("NARU_SEED: %v", err)
		}
		seed = n
	}
	t.Logf("NARU_SEED=%d", seed)
	return seed
}

// ErrTrouble is what a Trouble makes fail.
var ErrTrouble = errors.New("trouble")

// Trouble makes sources, sinks and ledgers slow and fail at random, as the contract lets them.
type Trouble struct {
	Slow      time.Duration // a call takes up to this long
	Ambiguous bool          // calls that fail may have done their work: at-least-once sinks, commits and saves

	mu   sync.Mutex // guards what follows
	rng  *rand.Rand
	rate float64 // of calls that fail
}

// NewTrouble makes trouble of that rate, from 0 to 1.
func NewTrouble(seed uint64, rate float64) *Trouble {
	return &Trouble{rng: rand.New(rand.NewPCG(seed, 0)), rate: rate} //nolint:gosec // a test that can be repeated
}

func (x *Trouble) intN(n int) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.rng.IntN(n)
}

func (x *Trouble) strikes() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.rng.Float64() < x.rate
}

// pass takes its time, and fails at random.
func (x *Trouble) pass(ctx context.Context) error {
	if x.Slow > 0 {
		t := time.NewTimer(time.Duration(x.intN(int(x.Slow))))
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if x.strikes() {
		return ErrTrouble
	}
	return nil
}

// Refuses reports whether troubled sinks refuse the record for good. It depends on its id only.
func Refuses(r *flow.Record) bool {
	h := fnv.New32a()
	h.Write(r.Key)
	return h.Sum32()%23 == 0
}

// Source makes trouble for a source.
func (x *Trouble) Source(s flow.Source) flow.Source {
	t := troubledSource{s, x}
	if d, ok := s.(flow.Describer); ok {
		return struct {
			troubledSource
			flow.Describer
		}{t, d}
	}
	return t
}

type troubledSource struct {
	flow.Source
	x *Trouble
}

func (s troubledSource) Open(ctx context.Context, p flow.Part, from flow.Position) (flow.Reader, error) {
	if err := s.x.pass(ctx); err != nil {
		return nil, err
	}
	r, err := s.Source.Open(ctx, p, from)
	if err != nil {
		return nil, err
	}
	return troubledReader{r, s.x}, nil
}

type troubledReader struct {
	flow.Reader
	x *Trouble
}

func (r troubledReader) Read(ctx context.Context, b *flow.Batch) error {
	if err := r.x.pass(ctx); err != nil {
		return err
	}
	most := b.MaxRecords
	b.MaxRecords = 1 + r.x.intN(max(1, most))
	err := r.Reader.Read(ctx, b)
	b.MaxRecords = most
	if err == nil && r.x.strikes() {
		b.Records = append(b.Records, flow.Record{Index: "broken", Key: []byte("half a record")})
		return ErrTrouble // the batch must be thrown away
	}
	return err
}

func (r troubledReader) Ack(ctx context.Context, next flow.Position) error {
	if err := r.x.pass(ctx); err != nil {
		return err
	}
	return r.Reader.Ack(ctx, next)
}

// Ledger makes trouble for a ledger.
func (x *Trouble) Ledger(l flow.Ledger) flow.Ledger {
	t := troubledLedger{l, x}
	if r, ok := l.(flow.Releaser); ok {
		return struct {
			troubledLedger
			flow.Releaser
		}{t, r}
	}
	return t
}

type troubledLedger struct {
	flow.Ledger
	x *Trouble
}

func (l troubledLedger) Claim(ctx context.Context, p flow.Part) (flow.Checkpoint, error) {
	if err := l.x.pass(ctx); err != nil {
		return flow.Checkpoint{}, err
	}
	return l.Ledger.Claim(ctx, p)
}

func (l troubledLedger) Save(ctx context.Context, cs ...flow.Checkpoint) error {
	if err := l.x.pass(ctx); err != nil {
		return err
	}
	err := l.Ledger.Save(ctx, cs...)
	done := false
	for _, cp := range cs {
		done = done || cp.Done // which ends the claim, so that the save cannot be repeated
	}
	if err == nil && !done && l.x.Ambiguous && l.x.strikes() {
		return ErrTrouble // all the same it is saved
	}
	return err
}

// Sink makes trouble for a sink: writes fail for now, for all or for some records, and for good for those
// that Refuses names; commits fail, which stops the flow.
func (x *Trouble) Sink(s flow.Sink) flow.Sink {
	base := troubledSink{s, x}
	b, branches := s.(flow.Brancher)
	c, commits := s.(flow.Committer)
	d, buries := s.(flow.DeadLetters)
	switch {
	case branches:
		return troubledBrancher{base, b}
	case commits && buries:
		return struct {
			troubledCommitter
			flow.DeadLetters
		}{troubledCommitter{base, c}, d}
	case commits:
		return troubledCommitter{base, c}
	case buries:
		return struct {
			troubledSink
			flow.DeadLetters
		}{base, d}
	}
	return base
}

type troubledSink struct {
	flow.Sink
	x *Trouble
}

func (s troubledSink) Prepare(ctx context.Context, groups []flow.Group) error {
	if p, ok := s.Sink.(flow.Preparer); ok {
		return p.Prepare(ctx, groups)
	}
	return nil
}

func (s troubledSink) Finish(ctx context.Context) error {
	if f, ok := s.Sink.(flow.Finisher); ok {
		return f.Finish(ctx)
	}
	return nil
}

func (s troubledSink) Write(ctx context.Context, recs []flow.Record) error {
	if err := s.x.pass(ctx); err != nil {
		return err
	}
	var taken []flow.Record
	var failures flow.Failures
	some := s.x.strikes()
	for i := range recs {
		switch {
		case Refuses(&recs[i]):
			failures = append(failures, flow.Failure{Index: i, Err: flow.Permanent(errors.New("refused"))})
		case some && s.x.intN(3) == 0:
			failures = append(failures, flow.Failure{Index: i, Err: ErrTrouble})
		default:
			taken = append(taken, recs[i])
		}
	}
	if len(taken) > 0 {
		if err := s.Sink.Write(ctx, taken); err != nil {
			return err
		}
	}
	if _, commits := s.Sink.(flow.Committer); !commits && s.x.Ambiguous && s.x.strikes() {
		return ErrTrouble // all the same they are written
	}
	if len(failures) > 0 {
		return failures
	}
	return nil
}

type troubledCommitter struct {
	troubledSink
	committer flow.Committer
}

func (c troubledCommitter) Due() bool { return c.committer.Due() || c.x.strikes() }

func (c troubledCommitter) Commit(ctx context.Context, cs []flow.Checkpoint) error {
	if err := c.x.pass(ctx); err != nil {
		return err
	}
	err := c.committer.Commit(ctx, cs)
	if err == nil && c.x.Ambiguous && c.x.strikes() {
		return ErrTrouble // all the same it is committed
	}
	return err
}

type troubledBrancher struct {
	troubledSink
	brancher flow.Brancher
}

func (b troubledBrancher) Branch(ctx context.Context) (flow.Sink, error) {
	s, err := b.brancher.Branch(ctx)
	if err != nil {
		return nil, err
	}
	return b.x.Sink(s), nil
}

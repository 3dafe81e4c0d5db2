package flow_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/flowtest"
)

// hoarder is a stage that holds records back until it has more than it keeps, then lets all of them go, or if
// it lags all but those, mostly.
type hoarder struct {
	keep int
	lags bool
	held []flow.Record
}

func (h *hoarder) Fork() flow.Stage { return &hoarder{keep: h.keep, lags: h.lags} }
func (h *hoarder) Held() int        { return len(h.held) }

func (h *hoarder) Process(ctx context.Context, b *flow.Batch) error {
	for _, r := range b.Records {
		h.held = append(h.held, flowtest.Clone(r))
	}
	b.Records = b.Records[:0]
	if len(h.held) <= h.keep {
		return nil
	}
	if last := h.held[len(h.held)-1]; !h.lags || last.Key[len(last.Key)-1]%5 == 0 {
		return h.Flush(ctx, b)
	}
	kept := slices.Clone(h.held[len(h.held)-h.keep:])
	h.held = h.held[:len(h.held)-h.keep]
	err := h.Flush(ctx, b)
	h.held = kept
	return err
}

func (h *hoarder) Flush(_ context.Context, b *flow.Batch) error {
	for _, r := range h.held {
		r.Key, r.Body = b.Copy(r.Key), b.Copy(r.Body)
		b.Records = append(b.Records, r)
	}
	h.held = nil
	return nil
}

// stage is a stage that is a function.
type stage func(ctx context.Context, b *flow.Batch) error

func (s stage) Process(ctx context.Context, b *flow.Batch) error { return s(ctx, b) }

// hooks is a source whose methods are intercepted.
type hooks struct {
	*flowtest.Feed
	open func(p flow.Part, from flow.Position) error
	// read gets what the feed's reader would do.
	read func(ctx context.Context, p flow.Part, b *flow.Batch, read func() error) error
	ack  func(p flow.Part, next flow.Position) error
}

func (h *hooks) Open(ctx context.Context, p flow.Part, from flow.Position) (flow.Reader, error) {
	if h.open != nil {
		if err := h.open(p, from); err != nil {
			return nil, err
		}
	}
	r, err := h.Feed.Open(ctx, p, from)
	if err != nil {
		return nil, err
	}
	return &hookedReader{r, h, p}, nil
}

type hookedReader struct {
	flow.Reader
	hooks *hooks
	part  flow.Part
}

func (r *hookedReader) Read(ctx context.Context, b *flow.Batch) error {
	read := func() error { return r.Reader.Read(ctx, b) }
	if r.hooks.read == nil {
		return read()
	}
	return r.hooks.read(ctx, r.part, b, read)
}

func (r *hookedReader) Ack(ctx context.Context, next flow.Position) error {
	if r.hooks.ack != nil {
		if err := r.hooks.ack(r.part, next); err != nil {
			return err
		}
	}
	return r.Reader.Ack(ctx, next)
}

// diary is a ledger that writes down what it is asked, and can be made to fail.
type diary struct {
	flow.Ledger
	fail func(cs []flow.Checkpoint) error // before a Save

	mu    sync.Mutex // guards what follows
	saves []entry
}

type entry struct {
	at time.Time
	cs []flow.Checkpoint
}

func (d *diary) Save(ctx context.Context, cs ...flow.Checkpoint) error {
	if d.fail != nil {
		if err := d.fail(cs); err != nil {
			return err
		}
	}
	d.mu.Lock()
	d.saves = append(d.saves, entry{time.Now(), slices.Clone(cs)})
	d.mu.Unlock()
	return d.Ledger.Save(ctx, cs...)
}

// Release implements flow.Releaser.
func (d *diary) Release(ctx context.Context, part string) error {
	if r, ok := d.Ledger.(flow.Releaser); ok {
		return r.Release(ctx, part)
	}
	return nil
}

func (d *diary) all() []entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.saves)
}

// sole hides all of a sink but that it is a sink.
type sole struct{ flow.Sink }

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func run(t *testing.T, f flow.Flow, o flow.Options) flow.Report {
	t.Helper()
	report, err := flow.Run(t.Context(), f, o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func wantRecords(t *testing.T, want, got []flow.Record) {
	t.Helper()
	if diff := flowtest.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

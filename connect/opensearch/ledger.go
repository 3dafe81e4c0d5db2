package opensearch

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/narudata/naru/flow"
)

// Ledger keeps the checkpoints of one carry in an index of a cluster, so that any number of processes on any number of
// machines can work on the carry: each part has a document, and who writes it says which state of it he has seen
// (_seq_no and _primary_term); the cluster refuses all but the first.
//
// A claim is a lease: the worker's name in the part's document, renewed by every Save. A part is taken over when its
// document has not changed for as long as its lease says, measured from when this ledger first saw that state of
// it. No clock is compared with another machine's, so clocks may be wrong; the price is that a worker which has just
// been started waits a whole lease before it takes over from a dead one. On Linux it does not wait if the dead one was a
// process beside it (the same boot, the same PID namespace) that is no more.
//
// A checkpoint is saved on its own: of several that are given to Save together, some may be kept when it fails. That is
// right for sinks whose writes may be repeated, and wrong for a flow.Committer.
type Ledger struct {
	client *Client
	o      LedgerOptions
	carry  string
	id     string // of the carry's document, and what the parts' begin with
	now    func() time.Time
	self   origin

	mu      sync.Mutex // guards what follows; never held while the cluster is asked
	parts   map[string]*holding
	synced  time.Time // when all parts were last read
	stale   bool      // something was not as it was then
	syncing bool
	heeded  time.Time // when the carry's document was last read
	paused  bool
	pausing chan struct{}           // closed while paused
	reasons map[string]*flow.Reason // of dead letters, in what was reported
}

var (
	_ flow.Ledger   = (*Ledger)(nil)
	_ flow.Releaser = (*Ledger)(nil)
)

// LedgerOptions say how a ledger is kept. The zero value works.
type LedgerOptions struct {
	Index   string          // .naru unless told
	Worker  string          // the name of this worker, for people; the host's unless told
	Lease   time.Duration   // how long a claim lasts that is not renewed; 60 s unless told. Saves come more often
	Options json.RawMessage // how the carry was asked for, kept for people; an object
	Groups  []flow.Group    // what is to be carried, for progress seen from elsewhere
	Log     *slog.Logger    // nil: nowhere
}

// DefaultLedgerIndex is where ledgers are unless told.
const DefaultLedgerIndex = ".naru"

// What a ledger waits for and how often it tries.
const (
	defaultLease  = time.Minute
	syncInterval  = 5 * time.Second // between readings of all parts, at least
	pauseInterval = 2 * time.Second // between looks at whether the carry is paused, at least
	ledgerTries   = 8               // of one write that others, or earlier writes of one's own, get in the way of
)

// A holding is what this process knows about a part.
type holding struct {
	mu      sync.Mutex // held by who asks the cluster about the part; guards what follows
	claimed bool       // by somebody in this process
	known   bool       // there is a document
	doc     ledgerPart
	at      ledgerState
	seen    time.Time // when doc was first seen like this
	asked   time.Time // when it was last seen so
}

// OpenLedger opens the ledger of a carry, and makes its index if there is none. The carry is whatever names it: the same
// string is the same carry.
func OpenLedger(ctx context.Context, c *Client, carry string, o LedgerOptions) (*Ledger, error) {
	if o.Index == "" {
		o.Index = DefaultLedgerIndex
	}
	if o.Lease <= 0 {
		o.Lease = defaultLease
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	self := thisProcess()
	if o.Worker == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("name of this machine: %w", err)
		}
		o.Worker = host
	}
	var nonce [6]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return nil, err
	}
	// The same name is never given twice: it tells a worker's own writes from those of its earlier lives.
	o.Worker = fmt.Sprintf("%s/%d/%s", o.Worker, os.Getpid(), hex.EncodeToString(nonce[:]))
	l := &Ledger{
		client: c, o: o, carry: carry, id: carryID(carry), now: time.Now, self: self, parts: map[string]*holding{}, pausing: make(chan struct{}),
	}
	if err := l.open(ctx); err != nil {
		return nil, fmt.Errorf("ledger %s at %s: %w", o.Index, c, err)
	}
	return l, nil
}

func (l *Ledger) open(ctx context.Context) error {
	if err := patiently(ctx, func() error { return ensureLedgerIndex(ctx, l.client, l.o.Index) }); err != nil {
		return err
	}
	if err := patiently(ctx, func() error { return l.enrol(ctx) }); err != nil {
		return err
	}
	return patiently(ctx, func() error { return l.sync(ctx) })
}

// Worker is this worker's name in the ledger.
func (l *Ledger) Worker() string { return l.o.Worker }

// Claim implements flow.Ledger. While the carry is paused every part is taken.
func (l *Ledger) Claim(ctx context.Context, p flow.Part) (flow.Checkpoint, error) {
	if err := ctx.Err(); err != nil {
		return flow.Checkpoint{}, err
	}
	if !utf8.ValidString(p.ID) || !utf8.ValidString(p.Group) { // JSON would change it
		return flow.Checkpoint{}, flow.Permanent(fmt.Errorf("part %q of %q: a name in a ledger must be UTF-8", p.ID, p.Group))
	}
	if l.heed(ctx) {
		return flow.Checkpoint{}, fmt.Errorf("the carry is paused: %w", flow.ErrTaken)
	}
	l.freshen(ctx)
	h := l.holding(p.ID)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.claimed {
		return flow.Checkpoint{}, flow.ErrTaken
	}
	for range ledgerTries {
		switch {
		case h.known && h.doc.Done:
			return h.checkpoint(p), flow.ErrDone
		case h.known && !l.free(h) && l.now().Sub(h.asked) < time.Second:
			return flow.Checkpoint{}, flow.ErrTaken
		case h.known && !l.free(h):
			if err := l.look(ctx, h, p.ID); err != nil {
				return flow.Checkpoint{}, ledgerError("claim", p.ID, err)
			}
			continue
		}
		doc := l.document(h, p)
		at, err := l.put(ctx, h, doc)
		switch {
		case err == nil:
			h.adopt(doc, at, l.now())
			h.known, h.claimed = true, true
			return h.checkpoint(p), nil
		case statusOf(err) != http.StatusConflict:
			return flow.Checkpoint{}, ledgerError("claim", p.ID, err)
		}
		l.mark()
		if err := l.look(ctx, h, p.ID); err != nil {
			return flow.Checkpoint{}, ledgerError("claim", p.ID, err)
		}
	}
	return flow.Checkpoint{}, flow.ErrTaken // others are after it
}

// document is what a claim writes.
func (l *Ledger) document(h *holding, p flow.Part) ledgerPart {
	doc := h.doc
	if !h.known {
		doc = ledgerPart{Checkpoint: flow.Checkpoint{Part: p.ID, Group: p.Group}}
	}
	doc.Kind, doc.Carry, doc.Key, doc.Part, doc.Group = "part", l.id, l.key(p.ID), p.ID, p.Group
	doc.Records, doc.Bytes = p.Records, p.Bytes
	l.sign(&doc)
	return doc
}

// sign makes a document this worker's.
func (l *Ledger) sign(doc *ledgerPart) {
	doc.Worker, doc.Origin, doc.PID = l.o.Worker, l.self.place, l.self.pid
	doc.LeaseMillis, doc.Updated = l.o.Lease.Milliseconds(), l.now().UnixMilli()
}

// free reports that a part may be claimed: nobody has it, an earlier claim of this worker's does of which no answer came
// back, or the one that has it is dead.
func (l *Ledger) free(h *holding) bool {
	d := &h.doc
	switch {
	case d.Worker == "" || d.Worker == l.o.Worker:
		return true
	case l.self.sawDie(d.Origin, d.PID):
		return true
	}
	return l.now().Sub(h.seen) >= time.Duration(d.LeaseMillis)*time.Millisecond
}

// Save implements flow.Ledger: one request, in which each checkpoint is refused if its part has another owner by now.
func (l *Ledger) Save(ctx context.Context, cs ...flow.Checkpoint) error {
	if err := ctx.Err(); err != nil || len(cs) == 0 {
		return err
	}
	saves := make([]*ledgerSave, len(cs))
	for i, cp := range cs {
		if !utf8.ValidString(cp.Part) || !utf8.ValidString(cp.Group) {
			return flow.Permanent(fmt.Errorf("part %q of %q: a name in a ledger must be UTF-8", cp.Part, cp.Group))
		}
		saves[i] = &ledgerSave{cp: cp, h: l.holding(cp.Part)}
	}
	locked := slices.Clone(saves)
	slices.SortFunc(locked, func(a, b *ledgerSave) int { return cmp.Compare(a.cp.Part, b.cp.Part) })
	for i, s := range locked {
		if i > 0 && s.h == locked[i-1].h {
			return flow.Permanent(fmt.Errorf("part %s is saved twice at once", s.cp.Part))
		}
		s.h.mu.Lock()
		defer s.h.mu.Unlock()
	}
	for _, s := range saves {
		if !s.h.claimed {
			return fmt.Errorf("part %s is not claimed: %w", s.cp.Part, flow.ErrLost)
		}
	}
	err := l.save(ctx, saves)
	l.heed(ctx)
	return err
}

// A ledgerSave is a checkpoint on its way.
type ledgerSave struct {
	cp   flow.Checkpoint
	h    *holding
	doc  ledgerPart
	kept bool
}

// save writes until all are kept or lost. What is refused may be so because an earlier write of this worker's was done
// and its answer lost; then the document has this worker's name, and is written again.
func (l *Ledger) save(ctx context.Context, all []*ledgerSave) error {
	saves := all
	var lost []string
	for range ledgerTries {
		for _, s := range saves {
			s.doc = s.h.doc
			s.doc.Checkpoint, s.doc.Done, s.doc.Group = clonePosition(s.cp), s.cp.Done, s.cp.Group
			l.sign(&s.doc)
		}
		refused, err := l.putAll(ctx, saves)
		if err != nil {
			return ledgerError("save", saves[0].cp.Part, err)
		}
		if len(refused) > 0 {
			if err := l.lookAll(ctx, refused); err != nil {
				return ledgerError("save", refused[0].cp.Part, err)
			}
		}
		saves = saves[:0:0]
		for _, s := range refused {
			switch mine := s.h.known && s.h.doc.Worker == l.o.Worker; {
			case mine && s.h.doc.Done && s.cp.Done:
				s.kept = true // the first time
			case mine && !s.h.doc.Done:
				saves = append(saves, s)
			default:
				s.h.claimed = false
				lost = append(lost, fmt.Sprintf("part %s is now with %s", s.cp.Part, cmp.Or(s.h.doc.Worker, "nobody")))
			}
		}
		if len(saves) == 0 {
			break
		}
	}
	for _, s := range all {
		if s.kept && s.cp.Done {
			s.h.claimed = false
		}
	}
	switch {
	case len(lost) > 0:
		l.mark()
		return fmt.Errorf("%s: %w", lost[0], flow.ErrLost)
	case len(saves) > 0:
		return fmt.Errorf("save part %s: refused %d times though nobody else has it", saves[0].cp.Part, ledgerTries)
	}
	return nil
}

// Release implements flow.Releaser.
func (l *Ledger) Release(ctx context.Context, part string) error {
	h := l.holding(part)
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.claimed {
		return nil
	}
	h.claimed = false // also if the cluster does not hear of it: then the lease has to end, or this worker claims it again
	for range ledgerTries {
		doc := h.doc
		doc.Worker, doc.Origin, doc.PID, doc.Updated = "", "", 0, l.now().UnixMilli()
		at, err := l.put(ctx, h, doc)
		if err == nil {
			h.adopt(doc, at, l.now())
			return nil
		}
		if statusOf(err) != http.StatusConflict {
			return ledgerError("release", part, err)
		}
		if err := l.look(ctx, h, part); err != nil {
			return ledgerError("release", part, err)
		}
		if h.doc.Worker != l.o.Worker || h.doc.Done {
			return nil
		}
	}
	return fmt.Errorf("release part %s: refused %d times though nobody else has it", part, ledgerTries)
}

// Close gives back what is claimed, so that others need not wait for the leases to end.
func (l *Ledger) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	l.mu.Lock()
	parts := slices.Collect(maps.Keys(l.parts))
	l.mu.Unlock()
	var errs []error
	for _, part := range parts {
		errs = append(errs, l.Release(ctx, part))
	}
	return errors.Join(errs...)
}

// AwaitFree returns when it makes sense to run the flow again after others had some of its parts: one of them has become
// free, or all are done. While the carry is paused it waits.
func (l *Ledger) AwaitFree(ctx context.Context) error {
	for {
		if err := patiently(ctx, func() error { return l.sync(ctx) }); err != nil {
			return fmt.Errorf("ledger %s at %s: %w", l.o.Index, l.client, err)
		}
		left, free := 0, 0
		for _, h := range l.holdings() {
			h.mu.Lock()
			if h.known && !h.doc.Done && !h.claimed {
				left++
				if l.free(h) {
					free++
				}
			}
			h.mu.Unlock()
		}
		if !l.heed(ctx) && (free > 0 || left == 0) {
			return nil
		}
		select {
		case <-time.After(min(pauseInterval, l.o.Lease/4)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Checkpoints gives the last one of each part that this process knows, by group and part.
func (l *Ledger) Checkpoints() []flow.Checkpoint {
	var out []flow.Checkpoint
	for _, h := range l.holdings() {
		h.mu.Lock()
		if h.known {
			out = append(out, clonePosition(h.doc.Checkpoint))
		}
		h.mu.Unlock()
	}
	slices.SortFunc(out, func(a, b flow.Checkpoint) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Part, b.Part))
	})
	return out
}

func (l *Ledger) holding(part string) *holding {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.parts[part]
	if h == nil {
		h = new(holding)
		l.parts[part] = h
	}
	return h
}

func (l *Ledger) holdings() []*holding {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]*holding, 0, len(l.parts))
	for _, h := range l.parts {
		out = append(out, h)
	}
	return out
}

// mark notes that what was read of the parts is no longer so.
func (l *Ledger) mark() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stale = true
}

// freshen reads all parts again if others have worked on them, at intervals: one page for a thousand parts is cheaper
// than a refused claim for each.
func (l *Ledger) freshen(ctx context.Context) {
	l.mu.Lock()
	due := l.stale && !l.syncing && l.now().Sub(l.synced) >= syncInterval
	if due {
		l.syncing = true
	}
	l.mu.Unlock()
	if !due {
		return
	}
	if err := l.sync(ctx); err != nil {
		l.o.Log.Debug("ledger not read again", "err", err) // claims find out by themselves
	}
	l.mu.Lock()
	l.syncing = false
	l.mu.Unlock()
}

// adopt takes over what a part's document is.
func (h *holding) adopt(doc ledgerPart, at ledgerState, now time.Time) {
	if !h.known || h.at != at {
		h.seen = now
	}
	h.known, h.doc, h.at, h.asked = true, doc, at, now
}

func (h *holding) checkpoint(p flow.Part) flow.Checkpoint {
	cp := clonePosition(h.doc.Checkpoint)
	cp.Part = p.ID
	if cp.Group == "" {
		cp.Group = p.Group
	}
	return cp
}

func clonePosition(cp flow.Checkpoint) flow.Checkpoint {
	cp.Position = slices.Clone(cp.Position)
	return cp
}

// ledgerError says what was tried, and whether trying again can help.
func ledgerError(what, part string, err error) error {
	wrapped := fmt.Errorf("%s part %s: %w", what, part, err)
	if e, ok := errors.AsType[*StatusError](err); ok && !e.Temporary() {
		return flow.Permanent(wrapped)
	}
	return wrapped
}

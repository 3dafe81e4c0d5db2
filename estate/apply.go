package estate

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/narudata/naru/estate/measure"
	"github.com/narudata/naru/internal/words"
)

// A MovedError is that a cluster is not any more what a plan was made from. Nothing was changed.
type MovedError struct{ Moved []Key }

func (e *MovedError) Error() string {
	names := make([]string, len(e.Moved))
	for i, k := range e.Moved {
		names[i] = k.String()
	}
	return fmt.Sprintf("the cluster has moved since the plan was made: %s changed; make a new plan", shortList(names))
}

// ErrStopped is that an apply was asked to stop, and began no further change.
var ErrStopped = errors.New("stopped as asked")

// An Applier applies plans.
type Applier struct {
	Target *Target
	By     string // who applies, for the record
	Now    func() time.Time
	// Step is told of each change once it is done, of one at a time; nil: nobody is. Changes of a level are done in any order.
	Step func(done int, ch *Change)
	// Stop, once it is closed, ends an apply after the changes that are under way.
	Stop <-chan struct{}
	// Numbers are what was measured before, for the record; see Measuring.
	Numbers *measure.Numbers
}

// Apply does what the plan says, in its order, and nothing else; those of a level (see levels) are done several at a time. It
// first looks whether all is still as the plan saw it, and refuses with a MovedError if not; it looks at each object again
// right before it is changed. Before the first change it writes down what was there, for Undo, and what it means to do. Once a
// change fails, those under way are finished and no more is begun. If it is cut short, the next plan has the rest. It gives
// the record of the apply, also with an error, unless nothing was begun.
func (a *Applier) Apply(ctx context.Context, p *Plan) (*Applied, error) {
	c := a.Target.Search
	if got := c.Info().UUID; got != p.Cluster.UUID {
		return nil, fmt.Errorf("the plan is for the cluster %s (%s), and %s is %s (%s)", p.Cluster.Name, p.Cluster.UUID, c, c.Info().Name, got)
	}
	if n := p.Problems(); n > 0 {
		return nil, fmt.Errorf("the plan has %s; solve them first: nothing was changed", words.Of(n, "change that cannot be applied", "changes that cannot be applied"))
	}
	o, err := a.again(ctx, p)
	if err != nil {
		return nil, err
	}
	if o.Kafka != p.Cluster.Kafka {
		return nil, fmt.Errorf("the plan is for the Kafka cluster %q, and the environment's is %q now", p.Cluster.Kafka, o.Kafka)
	}
	if err := ensureRecordIndex(ctx, c); err != nil {
		return nil, fmt.Errorf("make the index %s: %w", RecordIndex, err)
	}
	run := &Applied{
		ID: newID(a.Now()), Plan: p.ID, Estate: p.Estate, Environment: p.Environment, What: p.What, Undoes: p.Undoes, Commit: p.Commit, By: a.By,
		Started: a.Now().UTC(), Changes: len(p.Changes), Numbers: a.Numbers,
	}
	if err := run.put(ctx, c); err != nil {
		return nil, err
	}
	if err := writeJournal(ctx, c, run, entriesOf(p, o, run)); err != nil {
		return run, err
	}
	begun, err := a.begin(ctx, run, o, p)
	if err != nil {
		err = fmt.Errorf("%w; nothing was changed, make a new plan", err)
		run.Failed = err.Error()
		return run, errors.Join(err, run.put(ctx, c))
	}
	w := &work{Applier: a, run: run, changes: p.Changes, records: begun, failed: map[int]error{}}
	if err = w.all(ctx); err != nil {
		err = fmt.Errorf("%w; %d of %s done, the next plan has the rest", err, run.Done, words.Of(len(p.Changes), "change", "changes"))
		run.Failed = err.Error()
	}
	run.Finished = a.Now().UTC()
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience) // also of one that was interrupted
	defer cancel()
	return run, errors.Join(err, writeRecords(ctx, c, w.unwritten), run.put(ctx, c))
}

// begin writes down what is meant to be done, all of it before anything is: of two applies at the same time, one finds
// that the other was there.
func (a *Applier) begin(ctx context.Context, run *Applied, o *Observed, p *Plan) ([]*Record, error) {
	all := make([]*Record, len(p.Changes))
	var intents []write
	for i := range p.Changes {
		ch := &p.Changes[i]
		r := &Record{Key: ch.Key, Estate: run.Estate, Environment: run.Environment}
		if known := o.Records[ch.Key]; known != nil {
			copied := *known
			r = &copied
		}
		if all[i] = r; ch.Action != Adopt && ch.Action != Forget {
			r.Pending = &Pending{Apply: run.ID, Action: ch.Action, Declared: ch.Declared}
			intents = append(intents, write{Record: r})
		}
	}
	return all, writeRecords(ctx, a.Target.Search, intents)
}

// newID names an apply: when it began, so that they can be sorted and told apart by people, and something random.
func newID(now time.Time) string {
	var b [3]byte
	_, _ = rand.Read(b[:]) // it does not fail
	return now.UTC().Format("20060102-150405-") + hex.EncodeToString(b[:])
}

// again observes what the plan is about, and compares it with what the plan saw.
func (a *Applier) again(ctx context.Context, p *Plan) (*Observed, error) {
	recorded, err := records(ctx, a.Target.Search)
	if err != nil {
		return nil, err
	}
	wanted := map[Kind]wants{}
	for i := range p.Changes {
		ch := &p.Changes[i]
		want(wanted, ch.Key, ch.bodies(recorded[ch.Key])...)
	}
	o, err := observe(ctx, a.Target, wanted)
	if err != nil {
		return nil, err
	}
	o.Records = recorded
	moved := &MovedError{}
	for i := range p.Changes {
		ch := &p.Changes[i]
		now := Change{Key: ch.Key}
		now.see(o.view(ch.Key, ch.bodies(o.Records[ch.Key])...))
		if r := o.Records[ch.Key]; r != nil {
			now.Before.Record = r.state
		}
		if now.Before != ch.Before {
			moved.Moved = append(moved.Moved, ch.Key)
		}
	}
	if len(moved.Moved) > 0 {
		return nil, moved
	}
	return o, nil
}

// bodies are those that say which part of the cluster's settings the object is.
func (ch *Change) bodies(r *Record) []Body {
	all := []Body{decoded(ch.Body), decoded(ch.Declared), pendingBody(r)}
	if r != nil {
		all = append(all, decoded(r.Declared))
	}
	return all
}

func entriesOf(p *Plan, o *Observed, run *Applied) []*journalEntry {
	entries := make([]*journalEntry, len(p.Changes))
	for i := range p.Changes {
		ch := &p.Changes[i]
		e := &journalEntry{Apply: run.ID, N: i, Change: ch, Record: o.Records[ch.Key]}
		if live := o.view(ch.Key, ch.bodies(e.Record)...); live != nil {
			e.Before = text(canonical(ch.Key, live.Body))
			if keep := kinds[ch.Kind].keep; keep != nil {
				e.Kept = text(keep(live))
			}
		}
		entries[i] = e
	}
	return entries
}

// change does one change: the look, the deed, the look at what became of it. r, which is to be written, is what was found
// with the intent, and becomes the new record.
func (a *Applier) change(ctx context.Context, run *Applied, r *Record, ch *Change) error {
	if ch.Action == Forget {
		return nil
	}
	t := a.Target
	bodies := ch.bodies(r)
	live, err := look(ctx, t, ch.Key, bodies...)
	if err != nil {
		return err
	}
	now := Change{Key: ch.Key}
	now.see(live)
	if now.Before.Hash != ch.Before.Hash || now.Before.SeqNo != ch.Before.SeqNo || now.Before.Term != ch.Before.Term {
		return errMoved
	}
	switch ch.Action {
	case Delete:
		return kinds[ch.Kind].remove(ctx, t, ch.Name, live)
	case Create, Update:
		if len(ch.Body) > 0 {
			if err := kinds[ch.Kind].put(ctx, t, ch.Name, decoded(ch.Body), live); err != nil {
				return err
			}
		}
		if live, err = look(ctx, t, ch.Key, bodies...); err != nil {
			return err
		}
		if live == nil {
			return errors.New("the cluster accepted it and does not have it")
		}
		if ch.ChangeManaged {
			if err := changeManaged(ctx, t, ch.Name, live); err != nil {
				return err
			}
		}
	case Adopt, Forget:
	}
	a.record(run, r, ch, live)
	return nil
}

// record makes r say what is there now.
func (a *Applier) record(run *Applied, r *Record, ch *Change, live *Live) {
	if ch.Then != nil {
		state := r.state
		*r = *ch.Then
		r.Pending, r.state = nil, state
		return
	}
	r.Estate, r.Environment, r.Pending = run.Estate, run.Environment, nil
	r.Declared, r.Observed = ch.Declared, text(canonical(ch.Key, live.Body))
	r.Apply, r.Commit, r.By, r.At = run.ID, run.Commit, run.By, a.Now().UTC()
}

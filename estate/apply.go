package estate

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/narudata/naru/estate/measure"
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

// ErrStopped is that an apply was asked to stop, and did so between two changes.
var ErrStopped = errors.New("stopped as asked")

// An Applier applies plans.
type Applier struct {
	Target *Target
	By     string // who applies, for the record
	Now    func() time.Time
	// Step is told of each change once it is done; nil: nobody is.
	Step func(done int, ch *Change)
	// Stop, once it is closed, ends an apply after the change that is under way.
	Stop <-chan struct{}
	// Numbers are what was measured before, for the record; see Measuring.
	Numbers *measure.Numbers
}

// Apply does what the plan says, in its order, and nothing else. It first looks whether all is still as the plan saw
// it, and refuses with a MovedError if not; it looks at each object again right before it is changed. Before the first
// change it writes down what was there, for Undo, and what it means to do. If it is cut short, the next plan has
// the rest. It gives the record of the apply, also with an error, unless nothing was begun.
func (a *Applier) Apply(ctx context.Context, p *Plan) (*Applied, error) {
	c := a.Target.Search
	if got := c.Info().UUID; got != p.Cluster.UUID {
		return nil, fmt.Errorf("the plan is for the cluster %s (%s), and %s is %s (%s)", p.Cluster.Name, p.Cluster.UUID, c, c.Info().Name, got)
	}
	if n := p.Problems(); n > 0 {
		return nil, fmt.Errorf("the plan has %s; solve them first: nothing was changed", things(n, "change that cannot be applied", "changes that cannot be applied"))
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
	var done []write // changes whose records are still to be written
	for i := range p.Changes {
		ch := &p.Changes[i]
		if err = a.next(ctx, run, begun[i], ch); err == nil {
			run.Done++
			done = append(done, write{begun[i], ch.Action == Delete || ch.Action == Forget})
			if len(done) == recordsAtOnce {
				err, done = writeRecords(ctx, c, done), nil
			}
		}
		if err != nil {
			err = fmt.Errorf("%s %s: %w; %d of %s done, the next plan has the rest", ch.Action, ch.Key, err, run.Done, things(len(p.Changes), "change", "changes"))
			run.Failed = err.Error()
			break
		}
		if a.Step != nil {
			a.Step(run.Done, ch)
		}
	}
	run.Finished = a.Now().UTC()
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience) // also of one that was interrupted
	defer cancel()
	return run, errors.Join(err, writeRecords(ctx, c, done), run.put(ctx, c))
}

// recordsAtOnce is how many changes are done before their records are written. The intents of those in between say
// enough should the process die.
const recordsAtOnce = 50

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

func (a *Applier) next(ctx context.Context, run *Applied, r *Record, ch *Change) error {
	select {
	case <-a.Stop:
		return ErrStopped
	default:
		return a.change(ctx, run, r, ch)
	}
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

// NewUndo makes a plan that brings back what was there before an apply. What somebody changed since is a problem of that
// change, and the plan cannot be applied.
func NewUndo(ctx context.Context, t *Target, d *Desired, apply string, now time.Time) (*Plan, error) {
	entries, err := journal(ctx, t.Search, apply)
	if err != nil {
		return nil, err
	}
	history, err := History(ctx, t, d)
	if err != nil {
		return nil, err
	}
	var run *Applied
	for i := range history {
		if history[i].ID == apply {
			run = &history[i]
		}
	}
	switch {
	case run == nil:
		return nil, fmt.Errorf("no apply %s of the environment %s; `naru env log` lists them", apply, d.Environment)
	case run.What == "undo":
		return nil, fmt.Errorf("apply %s is itself an undo; a new plan and `naru apply` bring back what is declared", apply)
	}
	recorded, err := records(ctx, t.Search)
	if err != nil {
		return nil, err
	}
	wanted := map[Kind]wants{}
	for _, e := range entries {
		if e.Change != nil {
			want(wanted, e.Change.Key, e.bodies(recorded[e.Change.Key])...)
		}
	}
	o, err := observe(ctx, t, wanted)
	if err != nil {
		return nil, err
	}
	o.Records = recorded
	p := newPlan("undo", d, o, now)
	p.Undoes = apply
	for _, e := range entries {
		if e.Change != nil && o.Missing[e.Change.Kind] != nil {
			return nil, fmt.Errorf("%s: %w", e.Change.Key, o.Missing[e.Change.Kind])
		}
		if e.Change == nil || kinds[e.Change.Kind] == nil {
			return nil, fmt.Errorf("entry %d of apply %s is of no kind that naru knows", e.N, apply)
		}
		ch := e.undo(o)
		if ch == nil {
			p.Unchanged++
			continue
		}
		p.Changes = append(p.Changes, *ch)
	}
	if err := o.inquire(ctx, t, p.Changes, now); err != nil {
		return nil, err
	}
	for i := range p.Changes {
		ch := &p.Changes[i]
		if f := o.inquired.topics[ch.Name]; ch.Kind == KafkaTopics && ch.Action == Delete && f != nil {
			ch.Effects = append(ch.Effects, "deletes "+contents(f))
			ch.readers(f)
		}
		if ch.Problem != "" {
			ch.Risk = High
		}
	}
	p.order()
	p.finish()
	return p, nil
}

// bodies are those that say which part of a whole the object was before and after.
func (e *journalEntry) bodies(r *Record) []Body {
	return []Body{decoded(e.Before), decoded(e.Change.Body), pendingBody(r), r.declared()}
}

// undo is the change that takes back what the entry did; nil: it did nothing that lasts.
func (e *journalEntry) undo(o *Observed) *Change {
	key, before := e.Change.Key, decoded(e.Before)
	r := o.Records[key]
	ch := &Change{Key: key, Risk: Low, Body: e.Before, Declared: e.Before, Then: e.Record}
	live := o.view(key, e.bodies(r)...)
	ch.see(live)
	if r != nil {
		ch.Before.Record = r.state
	}
	is := canonical(key, bodyOf(live))
	removed := e.Change.Action == Delete || e.Change.Action == Forget
	switch {
	case r != nil && r.Apply == e.Apply && r.Pending == nil:
		if !equal(is, decoded(r.Observed)) {
			ch.Problem = "somebody changed it since"
		}
	case r != nil && r.Pending != nil && r.Pending.Apply == e.Apply: // it was begun; what is there is what was, or what was meant
	case r == nil && removed && (live == nil || e.Change.Action == Forget):
	case r == nil && e.Record == nil, r != nil && e.Record != nil && sameRecord(r, e.Record):
		return nil // it was never begun, or is undone
	case r != nil && r.Apply != e.Apply:
		ch.Problem = fmt.Sprintf("apply %s changed it since; undo that one first", r.Apply)
	default:
		ch.Problem = "somebody changed it since"
	}
	switch {
	case ch.Problem != "":
		ch.Action = Update
	case e.Change.Action == Forget:
		return nil
	case before == nil && live == nil:
		ch.Action = Forget
	case before == nil:
		ch.Action, ch.Body, ch.Declared = Delete, nil, nil
		ch.Risk = Medium
		ch.Effects = []string{"the apply made it"}
	case live == nil:
		ch.Action = Create
		ch.Effects = []string{"the apply deleted it"}
	case equal(is, before) && e.sameKept(live):
		if ch.Action = Adopt; e.Record == nil {
			ch.Action = Forget
			ch.Effects = []string{"it stays as it is, and is nobody's again"}
		}
		ch.Body = nil
	default:
		ch.Action, ch.ChangeManaged = Update, e.Change.ChangeManaged
		ch.Fields = compare(before, is, nil, nil)
	}
	if len(e.Kept) > 0 && len(ch.Body) > 0 {
		ch.Body = e.Kept
	}
	if undo := kinds[key.Kind].undo; undo != nil && ch.Problem == "" {
		undo(ch, live)
	}
	if kinds[key.Kind].view != nil && ch.Action == Update && len(ch.Body) > 0 {
		// what the apply added is taken away: it is in the view, and not in the body
		ch.Declared = e.Change.Declared
	}
	return ch
}

// sameKept reports that what the canonical body does not say is as it was, too.
func (e *journalEntry) sameKept(live *Live) bool {
	keep := kinds[e.Change.Kind].keep
	return keep == nil || len(e.Kept) == 0 || equal(decoded(e.Kept), decoded(text(keep(live))))
}

func sameRecord(a, b *Record) bool {
	return a.Apply == b.Apply && equal(decoded(a.Observed), decoded(b.Observed)) && (a.Pending == nil) == (b.Pending == nil)
}

package estate

import (
	"context"
	"fmt"
	"time"
)

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

package estate

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
)

const (
	// atOnce is how many changes of a level are under way at a time. A cluster makes its states one after the other, so this cannot
	// make it faster at that; it has the way there and back, and the looks before and after, cost nothing.
	atOnce = 8
	// recordsAtOnce is how many changes are done before their records are written. The intents of those in between say
	// enough should the process die.
	recordsAtOnce = 50
)

// levels cuts changes, which are in the order of a plan, into those that may be done at the same time, and gives the first of
// each and the one after its last. They are of one kind, all put or all removed, and none calls another.
func levels(changes []Change) iter.Seq2[int, int] {
	return func(yield func(from, to int) bool) {
		for from := 0; from < len(changes); {
			first := &changes[from]
			names, called := map[string]bool{}, map[string]bool{}
			to := from
			for ; to < len(changes); to++ {
				ch := &changes[to]
				if ch.Kind != first.Kind || ch.removes() != first.removes() || called[ch.Name] {
					break
				}
				calls := ch.calls()
				if slices.ContainsFunc(calls, func(name string) bool { return names[name] }) {
					break
				}
				names[ch.Name] = true
				for _, name := range calls {
					called[name] = true
				}
			}
			if !yield(from, to) {
				return
			}
			from = to
		}
	}
}

// removes reports that the object, or its record, goes.
func (ch *Change) removes() bool { return ch.Action == Delete || ch.Action == Forget }

// calls names the objects of its own kind that have to be there before it is put.
func (ch *Change) calls() []string {
	if ch.Kind != IngestPipelines || ch.removes() {
		return nil
	}
	return pipelinesIn(decoded(ch.Body))
}

// work is the changes of an apply on their way. Its own goroutine alone has it: those that do a change see nothing but that one.
type work struct {
	*Applier
	run     *Applied
	changes []Change
	records []*Record // of the changes, with their intents

	unwritten []write       // records of changes that are done
	failed    map[int]error // by the index of the change
	err       error         // why no more is begun, if no change is to blame
}

// all does the changes, level after level.
func (w *work) all(ctx context.Context) error {
	for from, to := range levels(w.changes) {
		if err := w.level(ctx, from, to); err != nil {
			return err
		}
	}
	return nil
}

// level does the changes from from to before to, several at a time, and waits for all that it began.
func (w *work) level(ctx context.Context, from, to int) error {
	type outcome struct {
		i   int
		err error
	}
	most := 1
	if kinds[w.changes[from].Kind].many {
		most = atOnce
	}
	outcomes := make(chan outcome)
	begun, running := from, 0
	for {
		for ; begun < to && running < most && w.goesOn(begun); begun++ {
			i := begun
			go func() { outcomes <- outcome{i, w.change(ctx, w.run, w.records[i], &w.changes[i])} }()
			running++
		}
		if len(w.unwritten) >= recordsAtOnce && w.err == nil { // while others are under way
			w.err = writeRecords(ctx, w.Target.Search, w.unwritten)
			w.unwritten = nil
			continue
		}
		if running == 0 {
			break
		}
		o := <-outcomes
		running--
		if o.err != nil {
			w.failed[o.i] = o.err
			continue
		}
		ch := &w.changes[o.i]
		w.run.Done++
		w.unwritten = append(w.unwritten, write{w.records[o.i], ch.removes()})
		if w.Step != nil {
			w.Step(w.run.Done, ch)
		}
	}
	return w.failure(ctx)
}

// goesOn reports that change i may be begun.
func (w *work) goesOn(i int) bool {
	if len(w.failed) > 0 || w.err != nil {
		return false
	}
	select {
	case <-w.Stop:
		w.failed[i] = ErrStopped
		return false
	default:
		return true
	}
}

// failure says why no more is begun, nil: it is. The changes that failed are named in their order; what they say once the
// context is over is the same of each.
func (w *work) failure(ctx context.Context) error {
	all := w.err
	for _, i := range slices.Backward(slices.Sorted(maps.Keys(w.failed))) {
		ch := &w.changes[i]
		err := fmt.Errorf("%s %s: %w", ch.Action, ch.Key, w.failed[i])
		if all == nil || ctx.Err() != nil && errors.Is(all, ctx.Err()) {
			all = err
		} else {
			all = fmt.Errorf("%w; %w", err, all)
		}
	}
	return all
}

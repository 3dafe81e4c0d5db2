package estate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/estate/measure"
	"github.com/narudata/naru/flow"
)

// Measuring says how an apply is measured: for a while before it, and for a while after it.
type Measuring struct {
	measure.Settings
	// Cost gives what a sample's cluster costs in a month; nil: there are no prices.
	Cost func(*measure.Sample) (float64, string)
	// Step is told of each sample; nil: nobody is.
	Step func(when string, taken, of int)
	// Stop, once it is closed, ends a window. Before an apply that is the end of it all, after one what there is is kept.
	Stop <-chan struct{}
}

func (m *Measuring) source(t *Target) measure.Source {
	s := measure.Source{Search: t.Search, Cost: m.Cost}
	if t.Kafka != nil {
		which := kafka.Which{Patterns: flow.Patterns(m.Groups)}
		s.Lag = func(ctx context.Context) (map[string]int64, error) { return t.Kafka.Behind(ctx, which) }
	}
	return s
}

func (m *Measuring) take(ctx context.Context, t *Target, when string, length measure.Duration, whole bool) (*measure.Window, error) {
	o := measure.Options{For: time.Duration(length), Every: time.Duration(m.Every), Stop: m.Stop, Whole: whole}
	if m.Step != nil {
		o.Step = func(taken, of int) { m.Step(when, taken, of) }
	}
	return measure.Take(ctx, m.source(t), o)
}

// worth reports that the plan does something that can be measured.
func (m *Measuring) worth(p *Plan) bool {
	return !m.Off && p.Problems() == 0 && p.Count(Create)+p.Count(Update)+p.Count(Delete) > 0
}

// Apply applies the plan as a.Apply does, and measures before and after. What cannot be measured is a note in the record,
// and no reason not to apply. The numbers from before are in the record from its beginning, so that also one that was cut
// short can be looked at later.
func (m *Measuring) Apply(ctx context.Context, a *Applier, p *Plan) (*Applied, error) {
	if !m.worth(p) {
		return a.Apply(ctx, p)
	}
	before, err := m.take(ctx, a.Target, "before", m.Before, false)
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%w; nothing was changed", ctx.Err())
	case before != nil && before.Cut, errors.Is(err, measure.ErrStopped):
		return nil, fmt.Errorf("%w while the cluster was measured; nothing was changed", ErrStopped)
	}
	numbers := &measure.Numbers{Before: before}
	if err != nil {
		numbers.Before, numbers.Notes = nil, []string{"not measured before: " + err.Error()}
	}
	a.Numbers = numbers
	run, err := a.Apply(ctx, p)
	if run == nil || err != nil || numbers.Before == nil || before.Idle {
		return run, err
	}
	after, err := m.take(ctx, a.Target, "after", m.After, true)
	if err == nil {
		_, err = numbers.Add(after, run.Finished, run.ID)
	}
	if err != nil {
		numbers.Notes = append(numbers.Notes, "not measured after: "+err.Error())
	}
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience) // also of one that was interrupted
	defer cancel()
	kept, err := keepNumbers(ctx, a.Target, run.ID, func(kept *Applied) error { kept.Numbers = numbers; return nil })
	if err != nil {
		return run, fmt.Errorf("all is applied, but the numbers could not be kept: %w", err)
	}
	return kept, nil
}

// Look measures once more what an apply did, and adds it to its record. Without m.After the window is as long as that before
// the apply was.
func (m *Measuring) Look(ctx context.Context, t *Target, d *Desired, apply string) (*Applied, *measure.Look, error) {
	run, _, err := applied(ctx, t, apply)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case run.Estate != d.Estate || run.Environment != d.Environment:
		return nil, nil, fmt.Errorf("apply %s is of the environment %s of the estate %s", apply, run.Environment, run.Estate)
	case run.Numbers == nil || run.Numbers.Before == nil || run.Numbers.Before.Idle:
		return nil, nil, fmt.Errorf("there is nothing to compare with: %s", run.Numbers.Summary())
	}
	length := cmp.Or(m.After, measure.Duration(run.Numbers.Before.To.Sub(run.Numbers.Before.From).Round(time.Second)))
	w, err := m.take(ctx, t, "now", length, true)
	if err != nil {
		return nil, nil, err
	}
	var look *measure.Look
	run, err = keepNumbers(ctx, t, apply, func(kept *Applied) (err error) {
		look, err = kept.Numbers.Add(w, cmp.Or(kept.Finished, kept.Started), apply)
		return err
	})
	return run, look, err
}

// Find gives one apply of the environment, by its id.
func Find(ctx context.Context, t *Target, d *Desired, apply string) (*Applied, error) {
	run, _, err := applied(ctx, t, apply)
	if err == nil && (run.Estate != d.Estate || run.Environment != d.Environment) {
		err = fmt.Errorf("apply %s is of the environment %s of the estate %s", apply, run.Environment, run.Estate)
	}
	return run, err
}

func applied(ctx context.Context, t *Target, apply string) (*Applied, seenState, error) {
	var h struct {
		hit
		Found bool `json:"found"`
	}
	err := sendJSON(ctx, t.Search, http.MethodGet, "/"+RecordIndex+"/_doc/apply-"+url.PathEscape(apply), nil, &h)
	if isMissing(err) || err == nil && !h.Found {
		return nil, seenState{}, fmt.Errorf("there is no apply %s; `naru env log` lists them", apply)
	}
	if err != nil {
		return nil, seenState{}, fmt.Errorf("read the record of apply %s: %w", apply, err)
	}
	run := new(Applied)
	if err := json.Unmarshal(h.Source.Body, run); err != nil {
		return nil, seenState{}, fmt.Errorf("the record of apply %s: %w", apply, err)
	}
	return run, seenState{h.SeqNo, h.Term}, nil
}

// keepNumbers changes the record of an apply. If somebody else changes it at the same time, it is read and changed anew.
func keepNumbers(ctx context.Context, t *Target, apply string, change func(*Applied) error) (*Applied, error) {
	const tries = 5
	for try := 1; ; try++ {
		run, seen, err := applied(ctx, t, apply)
		if err != nil {
			return nil, err
		}
		if err := change(run); err != nil {
			return nil, err
		}
		err = run.write(ctx, t.Search, fmt.Sprintf("?if_seq_no=%d&if_primary_term=%d", seen.SeqNo, seen.Term))
		if e, ok := errors.AsType[*opensearch.StatusError](err); ok && e.Status == http.StatusConflict && try < tries {
			continue
		}
		return run, err
	}
}

package clone

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/estate"
)

// A Removal is what goes when a clone is taken away.
type Removal struct {
	Record  *Record  `json:"record"`
	Indices []string `json:"indices"` // and data streams
	Objects []Object `json:"objects"`
	Bytes   int64    `json:"bytes"`           // of the primary shards
	Left    []string `json:"left,omitempty"`  // what stays, with the reason
	Notes   []string `json:"notes,omitempty"` // of what was done

	made      []*Made
	structure *estate.Plan
}

// NewRemoval says what of a clone is there: only what bears its mark, or is its own among the estate's records, and is as it
// was applied.
func NewRemoval(ctx context.Context, to Side, r *Record, now time.Time) (*Removal, error) {
	out := &Removal{Record: r, Indices: []string{}, Objects: []Object{}}
	all, err := sizesOf(ctx, to.Search)
	if err != nil {
		return nil, err
	}
	for _, m := range r.Made {
		ours, err := r.marked(ctx, to.Search, m)
		if err != nil {
			return nil, err
		}
		if _, there := all[m.Name]; !ours && !there {
			continue
		} else if !ours {
			out.Left = append(out.Left, fmt.Sprintf("index %s: the clone did not make it", m.Name))
			continue
		}
		out.made, out.Indices = append(out.made, m), append(out.Indices, m.Name)
		out.Bytes += all.of(m)
	}
	d := r.desired(to)
	o, err := estate.Observe(ctx, to.Target, d)
	if err != nil {
		return nil, err
	}
	if out.structure, err = estate.NewPlan(ctx, to.Target, d, o, false, now); err != nil {
		return nil, err
	}
	for _, ch := range out.structure.Changes {
		out.Objects = append(out.Objects, Object{Key: ch.Key, Action: string(ch.Action), Why: ch.Problem})
	}
	return out, nil
}

// Remove takes the clone away: its indices first, then its templates, policies and pipelines, its record last, so that after an error
// the rest is found again.
func (x *Removal) Remove(ctx context.Context, to Side, now func() time.Time) error {
	var errs []error
	for _, m := range x.made {
		path := "/" + url.PathEscape(m.Name)
		if m.Stream {
			path = "/_data_stream" + path
		}
		_, err := to.Search.Do(ctx, opensearch.Request{Method: http.MethodDelete, Path: path})
		if err != nil && !isMissing(err) {
			errs = append(errs, fmt.Errorf("delete %s: %w", m.Name, err))
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	if len(x.structure.Changes) > 0 {
		applier := estate.Applier{Target: to.Target, By: estate.Who(), Now: now}
		if _, err := applier.Apply(ctx, x.structure); err != nil {
			return err
		}
	}
	if err := opensearch.Forget(ctx, to.Search, "", x.Record.identity()); err != nil {
		return err
	}
	return x.Record.note.Remove(ctx, to.Target)
}

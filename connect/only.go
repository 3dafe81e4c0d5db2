package connect

import (
	"context"
	"iter"

	"github.com/narudata/naru/flow"
)

// only gives the groups of a source whose names match patterns.
type only struct {
	flow.Source
	patterns flow.Patterns
}

var _ flow.Describer = only{}

// Parts implements flow.Source.
func (o only) Parts(ctx context.Context) iter.Seq2[flow.Part, error] {
	return func(yield func(flow.Part, error) bool) {
		for p, err := range o.Source.Parts(ctx) {
			if p.Group != "" && !o.patterns.Match(p.Group) {
				continue
			}
			if !yield(p, err) {
				return
			}
		}
	}
}

// Groups implements flow.Describer.
func (o only) Groups(ctx context.Context) ([]flow.Group, error) {
	d, ok := o.Source.(flow.Describer)
	if !ok {
		return nil, nil
	}
	groups, err := d.Groups(ctx)
	chosen := groups[:0]
	for _, g := range groups {
		if o.patterns.Match(g.Name) {
			chosen = append(chosen, g)
		}
	}
	return chosen, err
}

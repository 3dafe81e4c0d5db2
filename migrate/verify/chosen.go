package verify

import (
	"context"
	"iter"

	"github.com/narudata/naru/flow"
)

// chosen is a source of which only some groups are read.
type chosen struct {
	flow.Source
	choose func(group string) bool
}

var _ flow.Describer = chosen{}

// Parts implements flow.Source.
func (c chosen) Parts(ctx context.Context) iter.Seq2[flow.Part, error] {
	return func(yield func(flow.Part, error) bool) {
		for p, err := range c.Source.Parts(ctx) {
			if (p.Group == "" || c.choose(p.Group)) && !yield(p, err) {
				return
			}
		}
	}
}

// Groups implements flow.Describer; a source that describes nothing has none.
func (c chosen) Groups(ctx context.Context) ([]flow.Group, error) {
	d, ok := c.Source.(flow.Describer)
	if !ok {
		return nil, nil
	}
	groups, err := d.Groups(ctx)
	var out []flow.Group
	for _, g := range groups {
		if c.choose(g.Name) {
			out = append(out, g)
		}
	}
	return out, err
}

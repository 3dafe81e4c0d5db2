package testbed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"

	"github.com/narudata/naru/flow"
)

// Drain reads all parts of a source to their ends and gives the records by index. Batches have random sizes, and now
// and then a part is closed and opened again at the position of its last batch, as after a restart: each record must
// come once all the same. Drain fails where the source breaks its contract: a part twice, a record of another index
// than its part's group, more or fewer records than a group (flow.Describer) promised.
func Drain(ctx context.Context, src flow.Source, rng *rand.Rand) (map[string][]Line, error) {
	lines := map[string][]Line{}
	seen := map[string]bool{}
	for part, err := range src.Parts(ctx) {
		if err != nil {
			return nil, fmt.Errorf("part %q: %w", part.ID, err)
		}
		if part.ID == "" || seen[part.ID] {
			return nil, fmt.Errorf("part %q comes twice or has no name", part.ID)
		}
		seen[part.ID] = true
		if err := drainPart(ctx, src, part, rng, lines); err != nil {
			return nil, fmt.Errorf("part %s: %w", part.ID, err)
		}
	}
	return lines, checkPromises(ctx, src, lines)
}

func checkPromises(ctx context.Context, src flow.Source, lines map[string][]Line) error {
	describer, ok := src.(flow.Describer)
	if !ok {
		return nil
	}
	groups, err := describer.Groups(ctx)
	if err != nil {
		return err
	}
	promised := map[string]bool{}
	for _, g := range groups {
		promised[g.Name] = true
		if n := int64(len(lines[g.Name])); g.Records >= 0 && n != g.Records {
			return fmt.Errorf("%s was said to have %d records and gave %d", g.Name, g.Records, n)
		}
		if g.Grade == flow.Lossless {
			for _, l := range lines[g.Name] {
				if l.Source == nil {
					return fmt.Errorf("%s was said to be %s and has a record without a body: %v", g.Name, g.Grade, l)
				}
			}
		}
	}
	for name := range lines {
		if !promised[name] {
			return fmt.Errorf("%s has records and was not among the groups", name)
		}
	}
	return nil
}

func drainPart(ctx context.Context, src flow.Source, part flow.Part, rng *rand.Rand, lines map[string][]Line) error {
	var at flow.Position
	for {
		r, err := src.Open(ctx, part, at)
		if err != nil {
			return err
		}
		next, err := drainSome(ctx, r, part, at, rng, lines)
		if err = errors.Join(err, r.Close()); err != nil || next == nil {
			return err
		}
		at = next
	}
}

// drainSome reads to the end of the part (next is nil then) or, at random, only up to next.
func drainSome(ctx context.Context, r flow.Reader, part flow.Part, from flow.Position, rng *rand.Rand, lines map[string][]Line) (next flow.Position, err error) {
	var b flow.Batch
	at := slices.Clone(from)
	for {
		b.Reset()
		b.MaxRecords, b.MaxBytes = 1+rng.IntN(300), 1<<uint(10+rng.IntN(12))
		err := r.Read(ctx, &b)
		last := errors.Is(err, io.EOF)
		if err != nil && !last {
			return nil, err
		}
		for i := range b.Records {
			line, err := lineOf(&b.Records[i])
			if err != nil {
				return nil, err
			}
			if line.Index != part.Group {
				return nil, fmt.Errorf("%v is not of the group %s", line, part.Group)
			}
			lines[line.Index] = append(lines[line.Index], line)
		}
		if last {
			return nil, nil
		}
		if len(b.Next) == 0 || bytes.Equal(b.Next, at) {
			return nil, fmt.Errorf("a batch of %d records, not the last, that does not move on from position %x", len(b.Records), at)
		}
		at = append(at[:0], b.Next...)
		if rng.IntN(20) == 0 {
			return at, nil
		}
	}
}

func lineOf(r *flow.Record) (Line, error) {
	l := Line{Index: r.Index, Type: r.Type, ID: string(r.Key), Routing: string(r.Routing)}
	if r.Routing != nil && len(r.Routing) == 0 {
		return l, fmt.Errorf("%v: an empty routing that is not nil", l)
	}
	if l.Type == "_doc" {
		l.Type = ""
	}
	if r.Body != nil {
		l.Source = append([]byte{}, r.Body...)
	}
	return l, nil
}

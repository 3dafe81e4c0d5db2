package witness

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/narudata/naru/flow"
)

// Sides are what two versions have made of the same records.
type Sides struct {
	Records int64 // that were compared, with those of which neither made anything
	Level   int   // of one of 2^level records
	A, B    Side
}

// A Side is what one version has made, as documents by ids that both versions give alike. It is a source of compare.Compare.
type Side []flow.Record

// Read gives all of them at once.
func (s Side) Read(_ context.Context, visit func([]flow.Record) error) error {
	for part := range slices.Chunk(s, 1000) {
		if err := visit(part); err != nil {
			return err
		}
	}
	return nil
}

// Pair brings together what the processes of two versions have made of the records that both have delivered: those of delivered of
// which a process of each version has everything. At most so many records, the newest of each partition.
func Pair(a, b []*Report, delivered []Span, most int64) *Sides {
	out := &Sides{}
	for _, r := range slices.Concat(a, b) {
		out.Level = max(out.Level, r.Level)
	}
	both := common(common(union(a), union(b)), delivered)
	chosen := map[place]map[int64]bool{}
	for i := range both {
		left := (most - out.Records) / int64(len(both)-i) // each partition its part of what is left
		s := &both[i]
		at := place{s.Topic, s.Partition}
		if chosen[at] == nil {
			chosen[at] = map[int64]bool{}
		}
		for offset := s.To - 1; offset >= s.From && left > 0; offset-- {
			if sampled(at, offset, out.Level) {
				chosen[at][offset] = true
				left--
				out.Records++
			}
		}
	}
	out.A, out.B = side(a, chosen), side(b, chosen)
	return out
}

// union are the spans of all reports of a version, those of a partition one behind the other.
func union(reports []*Report) []Span {
	var all []Span
	for _, r := range reports {
		all = append(all, r.Spans...)
	}
	return merged(all)
}

func merged(all []Span) []Span {
	slices.SortFunc(all, func(a, b Span) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.From, b.From))
	})
	var out []Span
	for _, s := range all {
		if n := len(out); n > 0 && out[n-1].Topic == s.Topic && out[n-1].Partition == s.Partition && s.From <= out[n-1].To {
			out[n-1].To = max(out[n-1].To, s.To)
			continue
		}
		out = append(out, s)
	}
	return out
}

// common is what is in spans of both.
func common(a, b []Span) []Span {
	var out []Span
	for _, x := range a {
		for _, y := range b {
			if x.Topic != y.Topic || x.Partition != y.Partition {
				continue
			}
			if from, to := max(x.From, y.From), min(x.To, y.To); from < to {
				out = append(out, Span{Topic: x.Topic, Partition: x.Partition, From: from, To: to})
			}
		}
	}
	return merged(out)
}

// side gives the documents of chosen records, each once: what was read again, after a partition had moved, was made again.
func side(reports []*Report, chosen map[place]map[int64]bool) Side {
	seen := map[string]bool{}
	var out Side
	for _, r := range reports {
		for i := len(r.Made) - 1; i >= 0; i-- { // the last one counts
			e := &r.Made[i]
			if !chosen[place{e.Topic, e.Partition}][e.Offset] {
				continue
			}
			id := fmt.Sprintf("%s:%d:%d %s:%d", e.Topic, e.Partition, e.Offset, e.Output, e.Nth)
			if seen[id] {
				continue
			}
			seen[id] = true
			out = append(out, flow.Record{Key: []byte(id), Body: e.Document})
		}
	}
	return out
}

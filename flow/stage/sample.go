// Package stage has the stages of a carry: Sample lets a part of the records through, Mask hides what stands
// in fields.
package stage

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"

	"github.com/zeebo/xxh3"

	"github.com/narudata/naru/document"
	"github.com/narudata/naru/flow"
)

// Sample lets a share of the records through. What happens to a record is a matter of its id alone (of its
// body, if it has no id): it is the same in every run, in every index and whatever the source's order, and
// what a lower rate keeps, a higher one keeps too. The hash is no secret: who chooses ids can choose who is
// kept.
//
// With By it is a matter of the value of that field instead, so that all records of one value are kept, or none:
// 1 and "1" are one value. A record with several values (a list) is kept with any of them, so that what is kept
// of a value is whole. A record without one (no field, null, an empty text) is sampled by its id, as without By. One
// whose body is no JSON is refused, as what it belongs to cannot be known.
type Sample struct {
	Rate Rate   `json:"rate" doc:"how many: 1%, or 0.01"`
	By   string `json:"by,omitempty" doc:"path of a field like trace.id: all records with one value of it are let through, or none; records without it go by their ids"`
}

var _ flow.Stage = (*Sample)(nil)

// Validate says what is wrong with the rate or the field.
func (s *Sample) Validate() error {
	if !(s.Rate > 0 && s.Rate <= 1) {
		return fmt.Errorf("rate %v: want more than 0 and at most 1, or 100%%", float64(s.Rate))
	}
	if strings.Contains(s.By, "*") {
		return fmt.Errorf("by %q: want the path of one field, without *", s.By)
	}
	return nil
}

func (s *Sample) String() string {
	if s.By != "" {
		return "sample " + s.Rate.String() + " by " + s.By
	}
	return "sample " + s.Rate.String()
}

// Process removes the records that are not in the sample.
func (s *Sample) Process(_ context.Context, b *flow.Batch) error {
	if err := s.Validate(); err != nil {
		return err
	}
	if s.Rate == 1 {
		return nil
	}
	limit := uint64(math.Ldexp(float64(s.Rate), 64))
	var find *finder
	if s.By != "" {
		find = finderOf(s.By)
		defer finders.Put(find)
	}
	kept := b.Records[:0]
	var failures flow.Failures
	for i := range b.Records {
		r := &b.Records[i]
		if find != nil && r.Body != nil {
			has, in, err := find.in(r.Body, limit)
			if err != nil { // it stays, as a dead letter
				failures = append(failures, flow.Failure{Index: len(kept), Err: flow.Permanent(fmt.Errorf("sample by %s: %w", s.By, err))})
				has, in = true, true
			}
			if has {
				if in {
					kept = append(kept, *r)
				}
				continue
			}
		}
		what := r.Key
		if len(what) == 0 {
			what = r.Body
		}
		if xxh3.Hash(what) < limit {
			kept = append(kept, *r)
		}
	}
	clear(b.Records[len(kept):])
	b.Records = kept
	if len(failures) > 0 {
		return failures
	}
	return nil
}

// A finder looks for the values of a field. It is for one goroutine at a time.
type finder struct {
	by    string
	scan  document.Replacer
	limit uint64
	text  []byte
	has   bool // there is a value
	kept  bool // one of them is in the sample
}

// finders keeps finders from batch to batch; nothing depends on which one is had.
var finders sync.Pool

func finderOf(by string) *finder {
	if f, ok := finders.Get().(*finder); ok && f.by == by {
		return f
	}
	paths, err := document.ParsePaths([]string{by})
	if err != nil {
		panic("BUG: " + err.Error()) // it is not empty
	}
	f := &finder{by: by}
	f.scan = document.Replacer{Paths: paths, Visit: f.visit}
	return f
}

// in reports that body has a value of the field, and that one of them is in the sample. The hash is that of an id with
// the same text.
func (f *finder) in(body []byte, limit uint64) (has, kept bool, err error) {
	f.limit, f.has, f.kept = limit, false, false
	_, _, err = f.scan.Apply(nil, body)
	return f.has, f.kept, err
}

func (f *finder) visit(v document.Value) {
	switch v.Kind {
	case document.Null:
		return
	case document.Number:
		f.text = append(f.text[:0], canonicalNumber(v.Raw)...)
	case document.Bool, document.String:
		f.text = v.AppendText(f.text[:0])
	}
	if len(f.text) > 0 {
		f.has = true
		f.kept = f.kept || xxh3.Hash(f.text) < f.limit
	}
}

// A Rate is a share between 0 and 1. Its text is "0.01" or "1%".
type Rate float64

// UnmarshalText reads a share or a percentage.
func (r *Rate) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	digits, percent := strings.CutSuffix(s, "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return fmt.Errorf("rate %.40q: want a share like 0.01, or a percentage like 1%%", s)
	}
	if percent {
		f /= 100
	}
	*r = Rate(f)
	return nil
}

// UnmarshalJSON reads a number, or a string as UnmarshalText does.
func (r *Rate) UnmarshalJSON(text []byte) error {
	if s := string(text); len(s) > 1 && s[0] == '"' {
		return r.UnmarshalText(text[1 : len(text)-1])
	}
	return r.UnmarshalText(text)
}

// MarshalText writes a percentage.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// String gives a percentage that reads back as the same rate.
func (r Rate) String() string {
	percent := strconv.FormatFloat(float64(r)*100, 'f', -1, 64)
	if f, err := strconv.ParseFloat(percent, 64); err != nil || f/100 != float64(r) {
		return strconv.FormatFloat(float64(r), 'f', -1, 64)
	}
	return percent + "%"
}

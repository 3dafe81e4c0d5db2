// Package stage has the stages of a carry: Sample lets a part of the records through, Mask hides what stands
// in fields.
package stage

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/narudata/naru/flow"
)

// Sample lets a share of the records through. What happens to a record is a matter of its id alone (of its
// body, if it has no id): it is the same in every run, in every index and whatever the source's order, and
// what a lower rate keeps, a higher one keeps too. The hash is no secret: who chooses ids can choose who is
// kept.
type Sample struct {
	Rate Rate `json:"rate" doc:"how many: 1%, or 0.01"`
}

var _ flow.Stage = (*Sample)(nil)

// Validate says what is wrong with the rate.
func (s *Sample) Validate() error {
	if !(s.Rate > 0 && s.Rate <= 1) {
		return fmt.Errorf("rate %v: want more than 0 and at most 1, or 100%%", float64(s.Rate))
	}
	return nil
}

func (s *Sample) String() string { return "sample " + s.Rate.String() }

// Process removes the records that are not in the sample.
func (s *Sample) Process(_ context.Context, b *flow.Batch) error {
	if err := s.Validate(); err != nil {
		return err
	}
	if s.Rate == 1 {
		return nil
	}
	limit := uint64(math.Ldexp(float64(s.Rate), 64))
	kept := b.Records[:0]
	for i := range b.Records {
		r := &b.Records[i]
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
	return nil
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

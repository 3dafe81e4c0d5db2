package flowtest

import (
	"bytes"
	"context"
	"errors"
	"sync"

	"github.com/narudata/naru/flow"
)

// A Shelf is a sink in memory that keeps every record it is given, as often as it is given it, and dead
// letters.
type Shelf struct {
	// Before, if set, is asked before each Write; what it returns is returned by Write. Records without a
	// Failure of theirs are kept when it returns Failures, none with any other error.
	Before func(ctx context.Context, recs []flow.Record) error

	mu   sync.Mutex // guards what follows
	recs []flow.Record
	dead []flow.Record
	why  []error
}

var (
	_ flow.Sink        = (*Shelf)(nil)
	_ flow.DeadLetters = (*Shelf)(nil)
)

// Write implements flow.Sink.
func (s *Shelf) Write(ctx context.Context, recs []flow.Record) error {
	err := ctx.Err()
	if err != nil {
		return err
	}
	if s.Before != nil {
		err = s.Before(ctx, recs)
	}
	failed := make(map[int]bool)
	if fs, ok := errors.AsType[flow.Failures](err); ok {
		for _, f := range fs {
			failed[f.Index] = true
		}
	} else if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range recs {
		if !failed[i] {
			s.recs = append(s.recs, Clone(recs[i]))
		}
	}
	return err
}

// Bury implements flow.DeadLetters.
func (s *Shelf) Bury(_ context.Context, recs []flow.Record, why []error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range recs {
		s.dead, s.why = append(s.dead, Clone(recs[i])), append(s.why, why[i])
	}
	return nil
}

// Close implements flow.Sink.
func (s *Shelf) Close(context.Context) error { return nil }

// Records gives what was written, in that order.
func (s *Shelf) Records() []flow.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]flow.Record(nil), s.recs...)
}

// Dead gives the dead letters with their reasons.
func (s *Shelf) Dead() ([]flow.Record, []error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]flow.Record(nil), s.dead...), append([]error(nil), s.why...)
}

// Clone returns a copy of r that does not share its batch's memory.
func Clone(r flow.Record) flow.Record {
	r.Key, r.Routing, r.Body = bytes.Clone(r.Key), bytes.Clone(r.Routing), bytes.Clone(r.Body)
	return r
}

// Digest gives the digest of records.
func Digest(recs []flow.Record) flow.Digest {
	var h flow.Hasher
	for i := range recs {
		h.Add(&recs[i])
	}
	return h.Sum
}

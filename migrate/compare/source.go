package compare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// A Source gives the records of one side, once.
type Source interface {
	// Read gives all records to visit, which is called concurrently; they are valid until it returns. Its error ends the
	// reading.
	Read(ctx context.Context, visit func([]flow.Record) error) error
}

const (
	batchRecords = 1000
	batchBytes   = 4 << 20
	retries      = 3 // of a part that gives no record meanwhile
	firstPause   = 200 * time.Millisecond
)

// Flow reads a bounded source of flows, some parts at a time, after stages. What fails is tried again; what fails again is the
// error of the whole.
type Flow struct {
	Source  flow.Source
	Stages  []flow.Stage
	Workers int // 0: 2
}

var _ Source = (*Flow)(nil)

// Read implements Source.
func (f *Flow) Read(ctx context.Context, visit func([]flow.Record) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	parts := make(chan flow.Part)
	var workers sync.WaitGroup
	n := f.Workers
	if n <= 0 {
		n = 2
	}
	for range n {
		workers.Go(func() {
			b := &flow.Batch{MaxRecords: batchRecords, MaxBytes: batchBytes}
			for p := range parts {
				if err := f.part(ctx, p, b, visit); err != nil {
					cancel(fmt.Errorf("%s: %w", p.ID, err))
				}
			}
		})
	}
	for p, err := range f.Source.Parts(ctx) {
		if err != nil {
			cancel(fmt.Errorf("%s: %w", p.ID, err))
			break
		}
		select {
		case parts <- p:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
	}
	close(parts)
	workers.Wait()
	return context.Cause(ctx)
}

// part reads a part to its end.
func (f *Flow) part(ctx context.Context, p flow.Part, b *flow.Batch, visit func([]flow.Record) error) (err error) {
	var next flow.Position
	var reader flow.Reader
	defer func() {
		if reader != nil {
			err = errors.Join(err, reader.Close())
		}
	}()
	for failures := 0; ; {
		b.Reset()
		end, err := false, error(nil)
		if reader == nil {
			if reader, err = f.Source.Open(ctx, p, next); err != nil {
				reader = nil
			}
		}
		if err == nil {
			err = reader.Read(ctx, b)
			end = err == io.EOF //nolint:errorlint // itself: a wrapped one is a connection that broke
			if end {
				err = nil
			}
		}
		if err == nil {
			failures = 0
			if len(b.Next) > 0 {
				next = slices.Clone(b.Next)
			}
			for _, s := range f.Stages {
				if err := s.Process(ctx, b); err != nil {
					return err
				}
			}
			if err := visit(b.Records); err != nil || end {
				return err
			}
			continue
		}
		if failures++; ctx.Err() != nil || flow.IsPermanent(err) || failures > retries {
			return err
		}
		if reader != nil {
			_ = reader.Close() // it has failed
			reader = nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(firstPause << (failures - 1)):
		}
	}
}

// Stream reads a source of streams that ends.
type Stream struct{ Source stream.Source }

var _ Source = (*Stream)(nil)

// Read implements Source.
func (s *Stream) Read(ctx context.Context, visit func([]flow.Record) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var streams sync.WaitGroup
	err := s.Source.Run(ctx, func(st stream.Stream) {
		streams.Go(func() {
			if err := errors.Join(readStream(ctx, st, visit), st.Close()); err != nil {
				cancel(err)
			}
		})
	})
	streams.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func readStream(ctx context.Context, st stream.Stream, visit func([]flow.Record) error) error {
	b := &flow.Batch{MaxRecords: batchRecords, MaxBytes: batchBytes}
	for {
		if err := st.Wait(ctx); err != nil {
			if err == io.EOF { //nolint:errorlint // the contract
				return nil
			}
			return err
		}
		b.Reset()
		err := st.Read(ctx, b)
		if err != nil && err != io.EOF { //nolint:errorlint // the contract
			return err
		}
		if visited := visit(b.Records); visited != nil {
			return visited
		}
		if len(b.Next) > 0 {
			if err := st.Ack(ctx, b.Next); err != nil {
				return err
			}
		}
		if err != nil {
			return nil //nolint:nilerr // io.EOF: it is read to its end
		}
	}
}

package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/narudata/naru/flow"
)

// A reading is one side and how it is read.
type reading struct {
	side   Side
	source flow.Source
	stages []flow.Stage
}

// A visitor is what the records are read for.
type visitor interface {
	// visit takes the records of a batch, which are valid until it returns. It is called concurrently, by one
	// goroutine for each worker.
	visit(worker int, side Side, g *group, recs []flow.Record)
}

const (
	batchRecords = 1000
	batchBytes   = 4 << 20
	retries      = 3 // of a part that gives no record meanwhile
	firstPause   = 200 * time.Millisecond
)

// scan reads the parts of the groups that choose names (nil: all) of all sides once. A part that fails is noted
// with its group.
func (c *comparison) scan(ctx context.Context, sides []*reading, choose map[*group]bool, v visitor) error {
	c.passes++
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	type job struct {
		r    *reading
		g    *group
		part flow.Part
	}
	jobs := make(chan job)
	var workers sync.WaitGroup
	for w := range c.o.Workers {
		workers.Go(func() {
			b := &flow.Batch{MaxRecords: batchRecords, MaxBytes: batchBytes}
			for j := range jobs {
				err := c.readPart(ctx, w, b, j.r, j.g, j.part, v)
				if err == nil || ctx.Err() != nil {
					continue
				}
				if _, ok := errors.AsType[stageError](err); ok {
					cancel(err)
					continue
				}
				c.fail(j.r.side, j.g, j.part, err)
			}
		})
	}
	for _, r := range sides {
		if ctx.Err() != nil {
			break
		}
		for part, err := range r.source.Parts(ctx) {
			if part.ID == "" && part.Group == "" && err != nil {
				cancel(fmt.Errorf("%s: %w", r.side, err))
				break
			}
			if !c.o.Indices.Match(part.Group) {
				continue
			}
			g := c.group(part.Group)
			if choose != nil && !choose[g] {
				continue
			}
			g.known[r.side] = true
			if err != nil {
				c.fail(r.side, g, part, err)
				continue
			}
			select {
			case jobs <- job{r, g, part}:
			case <-ctx.Done():
			}
			if ctx.Err() != nil {
				break
			}
		}
	}
	close(jobs)
	workers.Wait()
	return context.Cause(ctx)
}

// A stageError stops the comparison: with a stage that does not work, everything would differ.
type stageError struct{ error }

func (e stageError) Unwrap() error { return e.error }

// readPart reads a part to its end. Errors that are not permanent are tried again from where the last batch
// ended.
func (c *comparison) readPart(ctx context.Context, worker int, b *flow.Batch, r *reading, g *group, part flow.Part, v visitor) error {
	stages := forked(r.stages)
	hand := func(end bool) {
		if len(b.Records) > 0 {
			v.visit(worker, r.side, g, b.Records)
		}
		if c.o.Progress != nil {
			c.o.Progress(Progress{Pass: c.passes, Side: r.side, Group: g.name, Part: part.ID, Records: len(b.Records), Bytes: bodyBytes(b.Records), End: end})
		}
	}
	var next flow.Position
	var reader flow.Reader
	closeReader := func() {
		if reader != nil {
			if err := reader.Close(); err != nil {
				c.o.Log.Warn("closing a part failed", "side", r.side.String(), "part", part.ID, "err", err)
			}
			reader = nil
		}
	}
	defer closeReader()
	for failures := 0; ; {
		b.Reset()
		end, err := false, error(nil)
		if reader == nil {
			if reader, err = r.source.Open(ctx, part, next); err != nil {
				err, reader = fmt.Errorf("open: %w", err), nil
			}
		}
		if err == nil {
			err = reader.Read(ctx, b)
			end = err == io.EOF //nolint:errorlint // itself: a wrapped one is a connection that broke
			switch {
			case end:
				err = nil
			case err == nil && len(b.Records) > 0 && len(b.Next) == 0:
				err = flow.Permanent(errors.New("the source gave records without a position after them"))
			}
		}
		if err == nil {
			failures = 0
			if len(b.Next) > 0 {
				next = slices.Clone(b.Next)
			}
			if err := c.stage(ctx, stages, g, b); err != nil {
				return err
			}
			hand(false)
			if !end {
				continue
			}
			b.Reset()
			if err := c.flush(ctx, stages, g, b); err != nil {
				return err
			}
			hand(true)
			return nil
		}
		if failures++; ctx.Err() != nil || flow.IsPermanent(err) || failures > retries {
			return err
		}
		c.o.Log.Warn("reading failed, trying again", "side", r.side.String(), "part", part.ID, "failures", failures, "err", err)
		closeReader()
		select {
		case <-ctx.Done():
		case <-time.After(firstPause << (failures - 1)):
		}
	}
}

func forked(stages []flow.Stage) []flow.Stage {
	stages = slices.Clone(stages)
	for i, s := range stages {
		if f, ok := s.(flow.Forker); ok {
			stages[i] = f.Fork()
		}
	}
	return stages
}

// stage takes a batch through the stages, as the engine does.
func (c *comparison) stage(ctx context.Context, stages []flow.Stage, g *group, b *flow.Batch) error {
	for _, s := range stages {
		if err := c.process(ctx, s, g, b); err != nil {
			return err
		}
	}
	return nil
}

func (c *comparison) process(ctx context.Context, s flow.Stage, g *group, b *flow.Batch) error {
	err := s.Process(ctx, b)
	if err == nil {
		return nil
	}
	fs, ok := errors.AsType[flow.Failures](err)
	if !ok {
		return stageError{fmt.Errorf("stage %T: %w", s, err)}
	}
	refused := make([]bool, len(b.Records))
	for _, f := range fs {
		if f.Index < 0 || f.Index >= len(refused) {
			return stageError{fmt.Errorf("stage %T: record %d of %d is said to have failed: %w", s, f.Index, len(refused), f.Err)}
		}
		refused[f.Index] = true
	}
	kept := b.Records[:0]
	for i, r := range b.Records {
		if !refused[i] {
			kept = append(kept, r)
		}
	}
	if c.passes == 1 {
		g.mu.Lock()
		g.refused += int64(len(b.Records) - len(kept))
		g.mu.Unlock()
	}
	clear(b.Records[len(kept):])
	b.Records = kept
	return nil
}

// flush brings what the stages hold back into b.
func (c *comparison) flush(ctx context.Context, stages []flow.Stage, g *group, b *flow.Batch) error {
	for _, s := range stages {
		if len(b.Records) > 0 {
			if err := c.process(ctx, s, g, b); err != nil {
				return err
			}
		}
		f, ok := s.(flow.Flusher)
		if !ok {
			continue
		}
		if err := f.Flush(ctx, b); err != nil {
			return stageError{fmt.Errorf("flush stage %T: %w", s, err)}
		}
	}
	return nil
}

func (c *comparison) fail(side Side, g *group, part flow.Part, err error) {
	g.mu.Lock()
	if c.passes == 1 {
		g.broken = true
	} else {
		g.blind = true
	}
	g.mu.Unlock()
	f := Failure{Side: side, Group: part.Group, Part: part.ID, Error: err.Error(), Err: err}
	c.mu.Lock()
	defer c.mu.Unlock()
	same := func(o Failure) bool { return o.Side == f.Side && o.Group == f.Group && o.Part == f.Part }
	if !slices.ContainsFunc(c.failed, same) {
		c.failed = append(c.failed, f)
	}
}

func compareFailures(a, b Failure) int {
	return cmp.Or(cmp.Compare(a.Side, b.Side), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Part, b.Part))
}

func bodyBytes(recs []flow.Record) int {
	n := 0
	for i := range recs {
		n += len(recs[i].Body)
	}
	return n
}

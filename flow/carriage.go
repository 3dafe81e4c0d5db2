package flow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// A carriage is one part on its way from the source to the sink.
type carriage struct {
	*worker
	part     Part
	counters *counters
	earlier  Tally // by earlier runs
	stages   []Stage

	ctx     context.Context         // ends when the flow stops or the part is lost
	lose    context.CancelCauseFunc // gives the part up
	reading context.Context         // ends also when the flow drains

	reader Reader   // nil: to be opened
	next   Position // where reading goes on
	told   Position // what the source was told last
	failed error    // why the part could not be carried to its end

	writers sync.WaitGroup
	slots   chan struct{} // one for each write at a time; nil: writes are inline

	mu    sync.Mutex // guards what follows
	queue []*ticket  // in the order they were read; the first one is not delivered yet
	tally Tally      // by this run, of all that was delivered without a gap
	mark  mark       // the last place in it that can be saved
	saved mark       // the last place that was
	work  int64      // in the measure of Part.Bytes, as shown by the progress
}

// A mark is a place in a part, and what this run did up to there.
type mark struct {
	position Position
	tally    Tally
	tickets  int  // delivered up to there
	done     bool // the part ends there
}

var errDrained = errors.New("the flow drains")

func newCarriage(w *worker, p Part, cp Checkpoint, counters *counters) *carriage {
	c := &carriage{worker: w, part: p, counters: counters, earlier: cp.Tally, next: cp.Position}
	c.mark.position, c.told = cp.Position, cp.Position
	c.saved = c.mark
	c.work = share(&p, cp.Tally.Read)
	for _, s := range w.Stages {
		if f, ok := s.(Forker); ok {
			s = f.Fork()
		}
		c.stages = append(c.stages, s)
	}
	if !w.out.inline {
		c.slots = make(chan struct{}, w.o.InFlight)
	}
	return c
}

// carry reads the part to its end, or as far as possible, and sees to it that all is delivered and saved.
func (c *carriage) carry() {
	c.ctx, c.lose = context.WithCancelCause(c.worker.ctx)
	defer c.lose(nil)
	var stopReading context.CancelFunc
	c.reading, stopReading = context.WithCancel(c.ctx)
	defer stopReading()
	defer context.AfterFunc(c.worker.reading, stopReading)()

	var saver sync.WaitGroup
	ended := make(chan struct{})
	if c.out.committer == nil {
		saver.Go(func() { c.saveAtIntervals(ended) })
	}
	err := c.readAll()
	if c.ctx.Err() == nil {
		c.flush()
	}
	c.writers.Wait()
	close(ended)
	saver.Wait()

	switch {
	case c.worker.ctx.Err() != nil:
		c.saveLast()
		c.settle()
		return
	case c.ctx.Err() != nil: // lost
		c.log.Warn("part is lost", "part", c.part.ID, "err", context.Cause(c.ctx))
		c.settle()
		return
	case IsFatal(err):
		if c.out.committer != nil {
			c.commit(c) // what was read need not be read again
		}
		c.stop(fmt.Errorf("part %s: %w", c.part.ID, err))
		c.saveLast()
		c.settle()
		return
	case errors.Is(err, errDrained):
		c.cut.Store(true)
	case err != nil:
		c.fail(err)
	default:
		c.mu.Lock()
		c.mark.done = true
		c.mu.Unlock()
	}
	if err := c.balance(); err != nil {
		c.stop(err)
		c.settle()
		return
	}
	if c.out.committer != nil {
		c.finished = append(c.finished, c)
		if c.due() {
			c.commit(nil)
		}
		return
	}
	if err := c.save(c.ctx); err != nil {
		c.settle()
		return
	}
	c.finish()
}

// readAll reads batches and sends them on. It returns nil when the part is read to its end, errDrained, the
// error that the part fails with, or any when the flow stops.
func (c *carriage) readAll() error {
	failures := 0
	for {
		t, end, err := c.read()
		switch {
		case err == nil:
			failures = 0
			if err := c.pass(t, end); err != nil {
				return err
			}
			if end {
				return nil
			}
			if c.out.committer != nil && c.due() && !c.held() && !c.commit(c) {
				return context.Cause(c.ctx)
			}
			continue
		case c.ctx.Err() != nil:
			return context.Cause(c.ctx)
		case c.reading.Err() != nil:
			return errDrained
		}
		c.closeReader()
		failures++
		if IsPermanent(err) || IsFatal(err) || c.o.Retry.spent(failures) {
			return err
		}
		c.log.Warn("reading failed, trying again", "part", c.part.ID, "failures", failures, "err", err)
		if c.o.Retry.Wait(c.reading, failures) != nil && c.ctx.Err() == nil {
			return errDrained
		}
	}
}

// read gives the next batch, from where the last one ended, and reports that it is the last. It tells the
// source before what was saved since.
func (c *carriage) read() (t *ticket, end bool, err error) {
	if err := c.reading.Err(); err != nil {
		return nil, false, err
	}
	if c.reader == nil {
		r, err := c.Source.Open(c.reading, c.part, c.next)
		if err != nil {
			return nil, false, fmt.Errorf("open: %w", err)
		}
		c.reader = r
	}
	if err := c.ack(c.reading); err != nil {
		return nil, false, err
	}
	b, weight, err := c.batch(c.reading)
	if err != nil {
		return nil, false, err
	}
	t = &ticket{batch: b, weight: weight}
	err = c.reader.Read(c.reading, b)
	end = err == io.EOF //nolint:errorlint // itself: a wrapped one is a connection that broke, not the end of the part
	if err == nil && len(b.Records) > 0 && len(b.Next) == 0 {
		err = Permanent(errors.New("the source gave records without a position after them"))
	}
	if err != nil && !end {
		c.recycle(t)
		return nil, false, err
	}
	if len(b.Next) > 0 && !bytes.Equal(b.Next, c.next) {
		c.next = slices.Clone(b.Next)
		t.moved = true
	}
	t.next = c.next
	t.tally.Read = int64(len(b.Records))
	c.reweigh(t)
	return t, end, nil
}

// pass takes a batch through the stages and sends it to the sink. An error has stopped the flow.
func (c *carriage) pass(t *ticket, end bool) error {
	if len(t.batch.Records) == 0 && !t.moved && !end {
		c.recycle(t) // the source is waiting for records
		return nil
	}
	for i := range c.stages {
		if err := c.process(i, t); err != nil {
			return c.giveUp(t, err)
		}
	}
	return c.send(t)
}

// process takes a batch through one stage.
func (c *carriage) process(i int, t *ticket) error {
	b := t.batch
	before := len(b.Records)
	err := c.stages[i].Process(c.ctx, b)
	t.tally.Dropped += int64(before - len(b.Records))
	if err == nil {
		return nil
	}
	fs, ok := errors.AsType[Failures](err)
	if !ok {
		return fmt.Errorf("stage %T, part %s: %w", c.stages[i], c.part.ID, err)
	}
	why := make([]error, len(b.Records))
	for _, f := range fs {
		if f.Index < 0 || f.Index >= len(b.Records) {
			return fmt.Errorf("stage %T: record %d of %d is said to have failed: %w", c.stages[i], f.Index, len(b.Records), reasonOf(f.Err))
		}
		why[f.Index] = reasonOf(f.Err)
	}
	kept := b.Records[:0]
	for j, r := range b.Records {
		if why[j] == nil {
			kept = append(kept, r)
		} else {
			t.rejected, t.why = append(t.rejected, r), append(t.why, why[j])
		}
	}
	b.Records = kept
	return nil
}

// flush brings what the stages hold back to the sink. An error has stopped the flow.
func (c *carriage) flush() {
	if !slices.ContainsFunc(c.stages, func(s Stage) bool { _, ok := s.(Flusher); return ok }) {
		return
	}
	t := &ticket{batch: c.emptyBatch(), next: c.next}
	for i, s := range c.stages {
		if err := c.process(i, t); err != nil {
			_ = c.giveUp(t, err)
			return
		}
		f, ok := s.(Flusher)
		if !ok {
			continue
		}
		before := len(t.batch.Records)
		if err := f.Flush(c.ctx, t.batch); err != nil {
			_ = c.giveUp(t, fmt.Errorf("flush stage %T, part %s: %w", s, c.part.ID, err))
			return
		}
		t.tally.Dropped += int64(before - len(t.batch.Records))
		if n := f.Held(); n != 0 {
			_ = c.giveUp(t, fmt.Errorf("stage %T still holds %d records of part %s when it is flushed", s, n, c.part.ID))
			return
		}
	}
	_ = c.send(t) // an error has stopped the flow
}

// held reports that a stage holds records back.
func (c *carriage) held() bool {
	for _, s := range c.stages {
		if f, ok := s.(Flusher); ok && f.Held() != 0 {
			return true
		}
	}
	return false
}

// send has the batch written, at once or beside others, in a place in the queue. An error has stopped the
// flow.
func (c *carriage) send(t *ticket) error {
	t.savable = !c.held()
	c.reweigh(t)
	if c.slots != nil {
		select {
		case c.slots <- struct{}{}:
		case <-c.ctx.Done():
			return c.giveUp(t, context.Cause(c.ctx))
		}
	}
	c.mu.Lock()
	c.queue = append(c.queue, t)
	c.mu.Unlock()
	if c.slots == nil {
		return c.deliver(t)
	}
	c.writers.Go(func() {
		defer func() { <-c.slots }()
		_ = c.deliver(t)
	})
	return nil
}

// deliver writes a batch and advances over it once all before it are delivered. An error has stopped the
// flow.
func (c *carriage) deliver(t *ticket) error {
	if err := c.out.deliver(c.ctx, t); err != nil {
		err = fmt.Errorf("part %s: %w", c.part.ID, err)
		if c.ctx.Err() == nil {
			c.stop(err)
		}
		return err
	}
	c.drain.step()
	c.mu.Lock()
	defer c.mu.Unlock()
	t.done = true
	n := 0
	for n < len(c.queue) && c.queue[n].done {
		q := c.queue[n]
		n++
		c.tally.Add(q.tally)
		c.counters.advance(&q.tally)
		if q.savable {
			c.mark = mark{position: q.next, tally: c.tally, tickets: c.mark.tickets + 1}
		}
	}
	c.queue = slices.Delete(c.queue, 0, n)
	now := share(&c.part, c.earlier.Read+c.tally.Read)
	c.counters.bytes.Add(now - c.work)
	c.work = now
	return nil
}

// giveUp lets go of a batch that was not sent, and stops the flow unless it is lost or stopping anyway.
func (c *carriage) giveUp(t *ticket, err error) error {
	c.recycle(t)
	if c.ctx.Err() == nil {
		c.stop(err)
	}
	return err
}

// balance checks the books once nothing is on its way any more.
func (c *carriage) balance() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.earlier
	t.Add(c.tally)
	if len(c.queue) != 0 || c.mark.tally != c.tally || t.Read != t.Delivered+t.Dead+t.Dropped {
		return fmt.Errorf("the books of part %s do not add up: %d records read, %d delivered, %d dead letters, %d dropped, %d batches open",
			c.part.ID, t.Read, t.Delivered, t.Dead, t.Dropped, len(c.queue))
	}
	return nil
}

// reached gives the last place that can be saved.
func (c *carriage) reached() mark {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mark
}

// unsaved reports that there is something to save.
func (c *carriage) unsaved() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mark.tickets != c.saved.tickets || c.mark.done != c.saved.done
}

func (c *carriage) setSaved(m mark) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.saved = m
}

func (c *carriage) checkpoint(m mark) Checkpoint {
	cp := Checkpoint{Part: c.part.ID, Group: c.part.Group, Position: m.position, Done: m.done, Tally: c.earlier}
	cp.Tally.Add(m.tally)
	return cp
}

// save saves the last place that can be. After an error the part is lost or the flow has stopped.
func (c *carriage) save(ctx context.Context) error {
	m := c.reached()
	again := func(err error) {
		c.drain.hindered(err)
		c.log.Warn("save failed, trying again", "part", c.part.ID, "err", err)
	}
	err := c.ledgerRetry().do(ctx, again, func() error { return c.Ledger.Save(ctx, c.checkpoint(m)) })
	switch {
	case err == nil:
		if c.unsaved() {
			c.drain.step() // what is only renewed gets nothing on
		}
		c.setSaved(m)
	case errors.Is(err, ErrLost):
		c.lose(err)
	case c.ctx.Err() == nil:
		c.stop(fmt.Errorf("save the checkpoint of part %s: %w", c.part.ID, err))
	}
	return err
}

func (c *carriage) saveAtIntervals(ended <-chan struct{}) {
	t := time.NewTicker(c.o.SaveInterval)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if c.save(c.ctx) != nil {
				return
			}
		case <-ended:
			return
		case <-c.ctx.Done():
			return
		}
	}
}

// saveLast saves what was delivered before the flow stopped for an error elsewhere, so that less is carried
// twice. After a hard stop there is no time for that.
func (c *carriage) saveLast() {
	if c.parent.Err() != nil || c.out.committer != nil || !c.unsaved() || errors.Is(context.Cause(c.ctx), ErrLost) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), closeTimeout)
	defer cancel()
	m := c.reached()
	if err := c.Ledger.Save(ctx, c.checkpoint(m)); err != nil {
		c.log.Warn("last checkpoint not saved", "part", c.part.ID, "err", err)
		return
	}
	c.setSaved(m)
}

// ack tells the source what was saved since it was last told.
func (c *carriage) ack(ctx context.Context) error {
	c.mu.Lock()
	position := c.saved.position
	c.mu.Unlock()
	if bytes.Equal(position, c.told) {
		return nil
	}
	if err := c.reader.Ack(ctx, position); err != nil {
		return fmt.Errorf("acknowledge: %w", err)
	}
	c.told = position
	return nil
}

// finish tells the source that all is saved, and settles the part.
func (c *carriage) finish() {
	if c.reader != nil {
		again := func(err error) { c.log.Warn("acknowledging failed, trying again", "part", c.part.ID, "err", err) }
		ctx := c.worker.ctx
		if err := c.o.Retry.do(ctx, again, func() error { return c.ack(ctx) }); err != nil && ctx.Err() == nil {
			c.fail(err)
		}
	}
	c.settle()
}

// fail books the part as failed.
func (c *carriage) fail(err error) {
	if c.failed != nil {
		return
	}
	c.failed = err
	c.log.Error("part failed", "part", c.part.ID, "group", c.part.Group, "err", err)
	c.books.fail(&c.part, err)
	c.counters.failed.Add(1)
}

// settle ends the carriage: the reader is closed, the claim given back, and what was saved is in the books.
func (c *carriage) settle() {
	c.closeReader()
	c.mu.Lock()
	saved := c.saved
	c.mu.Unlock()
	o := outcomeLeft
	switch {
	case errors.Is(context.Cause(c.ctx), ErrLost):
		o = outcomeTaken
		c.counters.taken.Add(1)
	case c.failed != nil:
		o = outcomeFailed
	case saved.done:
		o = outcomeDone
		c.counters.done.Add(1)
		c.counters.bytes.Add(max(0, c.part.Bytes) - c.work)
	}
	if !saved.done && o != outcomeTaken {
		c.release(&c.part)
	}
	if o == outcomeTaken && c.o.AwaitTaken {
		// What was saved is in the checkpoint that the part ends with, whoever carries it there.
		c.books.carried(&c.part, saved.tally)
		c.await.later(c.part)
		return
	}
	c.books.settle(&c.part, c.earlier, saved.tally, o)
}

func (c *carriage) closeReader() {
	if c.reader == nil {
		return
	}
	if err := c.reader.Close(); err != nil {
		c.log.Warn("reader not closed", "part", c.part.ID, "err", err)
	}
	c.reader = nil
}

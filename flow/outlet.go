package flow

import (
	"context"
	"errors"
	"fmt"
)

// An outlet is where a worker's records go: its branch, or the flow's sink.
type outlet struct {
	*run
	sink      Sink
	committer Committer   // the sink, if it is one
	dead      DeadLetters // nil: there are none
	own       bool        // the sink is the worker's branch, and closed with it
	inline    bool        // one write at a time, by the worker
}

// A ticket is a batch on its way to the sink.
type ticket struct {
	batch    *Batch
	weight   int64    // what the budget is charged for it
	next     Position // where reading goes on after it
	moved    bool     // next is not where it began
	savable  bool     // no stage held anything back after it
	rejected []Record // by stages
	why      []error
	tally    Tally // of this batch; complete when it is delivered
	done     bool
}

// deliver brings every record of the ticket to the sink or among the dead letters, completes its tally and
// lets go of its batch. An error stops the flow.
func (o *outlet) deliver(ctx context.Context, t *ticket) error {
	defer o.recycle(t)
	h := o.hashers.Get().(*Hasher)
	defer o.hashers.Put(h)
	h.Sum = Digest{}
	recs := t.batch.Records
	for i := range recs {
		r := &recs[i]
		h.Add(r)
		t.tally.Bytes += int64(len(r.Body))
		if r.Body == nil {
			t.tally.Bodiless++
		}
	}
	t.tally.Digest = h.Sum
	t.tally.Delivered = int64(len(recs))

	refused, why, there, err := o.write(ctx, recs)
	if err != nil {
		return err
	}
	t.tally.There = there
	for i := range refused {
		r := &refused[i]
		t.tally.Delivered--
		t.tally.Digest.remove(h.Hash(r))
		t.tally.Bytes -= int64(len(r.Body))
		if r.Body == nil {
			t.tally.Bodiless--
		}
	}
	refused, why = append(refused, t.rejected...), append(why, t.why...)
	if len(refused) == 0 {
		return nil
	}
	t.tally.Dead = int64(len(refused))
	return o.bury(ctx, refused, why)
}

// write brings recs into the sink, as often as it takes, and returns those that it refuses for good, and how many
// it had before.
func (o *outlet) write(ctx context.Context, recs []Record) (refused []Record, why []error, there int64, err error) {
	for failures := 1; len(recs) > 0; failures++ {
		err := o.sink.Write(ctx, recs)
		if err == nil {
			return refused, why, there, nil
		}
		if fs, ok := errors.AsType[Failures](err); ok {
			left, err := sift(recs, fs, func(r Record, reason error) {
				if errors.Is(reason, ErrThere) {
					there++
					return
				}
				refused, why = append(refused, r), append(why, reason)
			})
			if err != nil {
				return nil, nil, 0, err
			}
			if len(left) == 0 {
				return refused, why, there, nil
			}
			if len(left) < len(recs) {
				failures = 1 // it is getting on
			}
			recs = left
		}
		if ctx.Err() != nil || IsPermanent(err) || o.o.Retry.spent(failures) {
			return nil, nil, 0, fmt.Errorf("write %d records: %w", len(recs), err)
		}
		o.drain.hindered(err)
		o.log.Warn("write failed, trying again", "records", len(recs), "failures", failures, "err", err)
		if werr := o.o.Retry.Wait(ctx, failures); werr != nil {
			return nil, nil, 0, fmt.Errorf("write %d records: %w", len(recs), errors.Join(werr, err))
		}
	}
	return refused, why, there, nil
}

// sift gives each record that failed for good, or did not need to be written, to settle, and returns those that
// failed for now, in order.
func sift(recs []Record, fs Failures, settle func(Record, error)) ([]Record, error) {
	failed := make([]error, len(recs))
	for _, f := range fs {
		if f.Index < 0 || f.Index >= len(recs) {
			return nil, fmt.Errorf("record %d of %d is said to have failed: %w", f.Index, len(recs), reasonOf(f.Err))
		}
		failed[f.Index] = reasonOf(f.Err)
	}
	var left []Record
	for i, err := range failed {
		switch {
		case err == nil:
		case IsPermanent(err), errors.Is(err, ErrThere):
			settle(recs[i], err)
		default:
			left = append(left, recs[i])
		}
	}
	return left, nil
}

var errNoReason = errors.New("no reason was given")

func reasonOf(err error) error {
	if err == nil {
		return errNoReason
	}
	return err
}

// bury brings recs among the dead letters.
func (o *outlet) bury(ctx context.Context, recs []Record, why []error) error {
	if o.dead == nil {
		return fmt.Errorf("record %s/%s cannot be delivered and there is nowhere for dead letters: %w",
			recs[0].Index, recs[0].Key, why[0])
	}
	again := func(err error) {
		o.drain.hindered(err)
		o.log.Warn("burying dead letters failed, trying again", "err", err)
	}
	err := o.o.Retry.do(ctx, again, func() error { return o.dead.Bury(ctx, recs, why) })
	if err != nil {
		return fmt.Errorf("bury %d dead letters, the first %s/%s (%w): %w", len(recs), recs[0].Index, recs[0].Key, why[0], err)
	}
	o.books.buried(recs, why)
	return nil
}

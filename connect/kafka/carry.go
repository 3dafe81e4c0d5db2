package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/narudata/naru/flow"
)

// A Carry moves records from topics to topics of the same cluster, through stages, exactly once: what comes of a batch and the
// offsets behind it are one transaction. Who reads committed records only sees each result once, whatever dies when.
type Carry struct {
	From Group   `json:"from" doc:"what is read, and by which group"`
	To   Writing `json:"to" doc:"how it is written; topic is needed unless stages give every record one"`
	// ID is the transactional id.
	ID         string        `json:"id" doc:"a name that each running copy has for itself and keeps over restarts: the one that starts with it ends what was left open under it"`
	DeadTopic  string        `json:"deadTopic,omitempty" doc:"where records go that cannot be processed or written, with the reason in headers, as naru kafka dlq reads them; without it they stop the carry"`
	MaxRecords int           `json:"maxRecords,omitempty" doc:"most records of a transaction; the default is 5000"`
	Timeout    time.Duration `json:"timeout,omitempty" doc:"how long a transaction may take before brokers abort it; the default is 40s"`

	// Stages change the records, whose Index is empty: a stage may name a topic there.
	Stages []flow.Stage `json:"-"`
}

// Validate says what is wrong with c.
func (c *Carry) Validate() error {
	errs := []error{c.From.Validate()}
	if _, err := c.To.options(); err != nil {
		errs = append(errs, err)
	}
	if c.ID == "" {
		errs = append(errs, errors.New("id is missing: a name that each running copy has for itself"))
	}
	if c.To.NotIdempotent || c.To.Acks != "" && c.To.Acks != "all" {
		errs = append(errs, errors.New("transactions need acks all, and idempotence"))
	}
	if c.From.ReadUncommitted {
		errs = append(errs, errors.New("transactions must not read what is not committed"))
	}
	if c.DeadTopic != "" && !validTopic(c.DeadTopic) {
		errs = append(errs, fmt.Errorf("deadTopic %q is no name of a topic", c.DeadTopic))
	}
	if c.MaxRecords < 0 || c.Timeout < 0 {
		errs = append(errs, errors.New("maxRecords and timeout must not be negative"))
	}
	return errors.Join(errs...)
}

// Run carries until ctx is done; the transaction that is open then is finished. It returns an error if there is no use in going
// on.
func (c *Carry) Run(ctx context.Context) error {
	if err := c.Validate(); err != nil {
		return err
	}
	log := c.From.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	cluster, err := c.From.clusterID(ctx, log)
	if err != nil {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was told to stop
		}
		return err
	}
	r := &carrying{c: c, log: log, cluster: cluster, letters: &DeadLetterTopic{topic: c.DeadTopic, now: time.Now}, poison: map[string]error{}, prefixes: map[tp][]byte{}, reader: newReader(&c.From.Reading, cluster, log)}
	for wait := 100 * time.Millisecond; ctx.Err() == nil; wait = min(2*wait, 10*time.Second) {
		err := r.session(ctx)
		if flow.IsFatal(err) {
			return err
		}
		if err != nil && ctx.Err() == nil {
			log.Warn("kafka: transactions are begun anew with another client", "error", err)
			sleep(ctx, wait)
		}
	}
	return nil
}

// carrying is one run of a Carry.
type carrying struct {
	c        *Carry
	log      *slog.Logger
	cluster  string
	reader   *reader // for its complaints
	letters  *DeadLetterTopic
	poison   map[string]error // ids of records that cannot be written, and why
	prefixes map[tp][]byte
	batch    flow.Batch
}

// session runs transactions with one client until something goes wrong with it.
func (r *carrying) session(ctx context.Context) error {
	options, err := r.c.From.options(time.Now())
	if err != nil {
		return flow.Fatal(err)
	}
	more, err := r.c.To.options()
	if err != nil {
		return flow.Fatal(err)
	}
	s, err := kgo.NewGroupTransactSession(append(append(options, more...),
		kgo.TransactionalID(r.c.ID), kgo.TransactionTimeout(orElse(r.c.Timeout, 40*time.Second)), kgo.FetchIsolationLevel(kgo.ReadCommitted()))...)
	if err != nil {
		return flow.Fatal(fmt.Errorf("kafka: %w", err))
	}
	defer s.Close()
	for ctx.Err() == nil {
		fetches := s.PollRecords(ctx, orElse(r.c.MaxRecords, 5000))
		for _, f := range fetches.Errors() {
			if errors.Is(f.Err, context.Canceled) || errors.Is(f.Err, context.DeadlineExceeded) {
				continue
			}
			if err := r.reader.complain(f); err != nil {
				return flow.Fatal(err)
			}
		}
		if fetches.NumRecords() == 0 {
			continue
		}
		if err := r.transact(ctx, s, fetches); err != nil {
			return err
		}
	}
	return nil
}

// transact carries what was fetched in one transaction. When it is aborted, the session goes back to the last that was not.
func (r *carrying) transact(ctx context.Context, s *kgo.GroupTransactSession, fetches kgo.Fetches) error {
	// A transaction that has begun is ended also when there is no more time.
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), orElse(r.c.Timeout, 40*time.Second))
	defer cancel()
	if err := s.Begin(); err != nil {
		return err
	}
	dead, err := r.fill(ending, fetches)
	if err == nil {
		err = r.produce(ending, s, dead)
	}
	if err != nil {
		_, aborted := s.End(ending, kgo.TryAbort)
		if flow.IsFatal(err) || aborted != nil {
			return errors.Join(err, aborted)
		}
		r.log.Warn("kafka: a transaction is aborted, and carried again", "error", err)
		return nil
	}
	if _, err := s.End(ending, kgo.TryCommit); err != nil {
		return err
	}
	return nil
}

// fill puts what was fetched through the stages. It gives the records that are dead.
func (r *carrying) fill(ctx context.Context, fetches kgo.Fetches) (dead []*kgo.Record, err error) {
	b := &r.batch
	b.Reset()
	fetches.EachRecord(func(rec *kgo.Record) {
		at := tp{rec.Topic, rec.Partition}
		prefix := r.prefixes[at]
		if prefix == nil {
			prefix = appendPrefix(nil, r.cluster, rec.Topic, rec.Partition)
			r.prefixes[at] = prefix
		}
		meta, _ := appendRecord(append([]byte(nil), prefix...), rec)
		out := flow.Record{Key: rec.Key, Body: rec.Value, Meta: meta, Version: rec.Offset + 1, Time: rec.Timestamp}
		why := r.poison[EventID(r.cluster, rec.Topic, rec.Partition, rec.Offset)]
		if why == nil {
			b.Records = append(b.Records, out)
			return
		}
		letter, bad := r.dead(&out, why)
		dead, err = append(dead, letter), errors.Join(err, bad)
	})
	if err != nil {
		return nil, flow.Fatal(err)
	}
	for _, stage := range r.c.Stages {
		err := stage.Process(ctx, b)
		var failures flow.Failures
		if !errors.As(err, &failures) {
			if err != nil {
				return nil, flow.Fatal(err)
			}
			continue
		}
		for _, f := range failures {
			letter, err := r.dead(&b.Records[f.Index], f.Err)
			if err != nil {
				return nil, err
			}
			dead = append(dead, letter)
		}
		b.Records = without(b.Records, failures)
	}
	return dead, nil
}

// without removes the records that failed.
func without(recs []flow.Record, failures flow.Failures) []flow.Record {
	failed := make(map[int]bool, len(failures))
	for _, f := range failures {
		failed[f.Index] = true
	}
	kept := recs[:0]
	for i := range recs {
		if !failed[i] {
			kept = append(kept, recs[i])
		}
	}
	return kept
}

// dead makes the dead letter of a record.
func (r *carrying) dead(rec *flow.Record, why error) (*kgo.Record, error) {
	if r.c.DeadTopic == "" {
		return nil, flow.Fatal(fmt.Errorf("a record cannot be carried, and there is no deadTopic: %w", why))
	}
	letter := r.letters.letter(rec, why)
	out, err := r.c.To.record(&letter)
	if err != nil {
		return nil, flow.Fatal(err)
	}
	return out, nil
}

// produce writes what is in the batch, and what is dead. What cannot be written is poison: the transaction is aborted, and the
// record will go to the dead topic when it comes again.
func (r *carrying) produce(ctx context.Context, s *kgo.GroupTransactSession, dead []*kgo.Record) error {
	var all sync.WaitGroup
	recs := r.batch.Records
	errs := make([]error, len(recs))
	for i := range recs {
		out, err := r.c.To.record(&recs[i])
		if err != nil {
			errs[i] = err
			continue
		}
		all.Add(1)
		s.Produce(ctx, out, func(_ *kgo.Record, err error) {
			if err != nil {
				errs[i] = r.c.To.classify(err, out)
			}
			all.Done()
		})
	}
	var mu sync.Mutex
	var failed error // of dead letters
	for _, d := range dead {
		all.Add(1)
		s.Produce(ctx, d, func(_ *kgo.Record, err error) {
			defer all.Done()
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = fmt.Errorf("deadTopic: %w", r.c.To.classify(err, d))
			}
		})
	}
	all.Wait()
	if failed != nil {
		if flow.IsPermanent(failed) {
			return flow.Fatal(failed)
		}
		return failed
	}
	var first error
	for i, err := range errs {
		if err == nil {
			continue
		}
		if first == nil {
			first = err
		}
		if !flow.IsPermanent(err) {
			continue
		}
		if r.c.DeadTopic == "" {
			return flow.Fatal(fmt.Errorf("a record cannot be written, and there is no deadTopic: %w", err))
		}
		m, bad := ParseMeta(recs[i].Meta)
		if bad != nil {
			return flow.Fatal(errors.Join(err, bad)) // a stage has taken what says where it is from
		}
		if len(r.poison) > mostPoison {
			clear(r.poison)
		}
		r.poison[m.ID()] = err
	}
	return first
}

// mostPoison bounds how many records are remembered that could not be written.
const mostPoison = 100_000

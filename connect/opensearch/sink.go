package opensearch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/narudata/naru/flow"
)

// Options say how records are written. The zero value works.
type Options struct {
	MaxRequests  int           // under way at a time; 0: 16
	RequestBytes int           // most of a request, before compression; 0: 10 MiB
	Compress     *bool         // gzip; nil: unless the target is on this machine
	Patience     time.Duration // how long the target may take nothing before the flow stops; 0: 30 min
	Wait         time.Duration // bound of the first wait before trying again, doubled up to 30 s; 0: 200 ms
	Rate         float64       // records a second, at most; 0: no bound
	Window       Window        // when records may be written; zero: always
	Guard        Guard
	// Admit is asked about records before they are written, also concurrently; an error stops the flow, with these
	// records not written. nil: all are.
	Admit func(ctx context.Context, recs []flow.Record) error
	// Unprocessed keeps records out of the pipelines that their indices have by default: they have been through them.
	Unprocessed bool
	Log         *slog.Logger // nil: nowhere
}

// A Sink writes records by _bulk requests. It adapts their size and number to what the cluster takes, tries again
// what may succeed later, and says of each record that cannot be written why.
type Sink struct {
	client  *Client
	o       Options
	pace    *pace
	rate    *bucket
	buffers sync.Pool // of *[]byte
	guard   *guardian
	prepare preparation
}

var (
	_ flow.Sink     = (*Sink)(nil)
	_ flow.Preparer = (*Sink)(nil)
	_ flow.Finisher = (*Sink)(nil)
)

// NewSink writes through client.
func NewSink(client *Client, o Options) *Sink {
	if o.MaxRequests <= 0 {
		o.MaxRequests = 16
	}
	if o.RequestBytes <= 0 {
		o.RequestBytes = 10 << 20
	}
	if o.Compress == nil {
		remote := !client.loopback()
		o.Compress = &remote
	}
	if o.Patience <= 0 {
		o.Patience = 30 * time.Minute
	}
	if o.Wait <= 0 {
		o.Wait = 200 * time.Millisecond
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Sink{client: client, o: o, pace: newPace(o.MaxRequests, o.RequestBytes), rate: newBucket(o.Rate)}
	s.buffers.New = func() any { return new([]byte) }
	s.guard = startGuard(s)
	return s
}

// State is what the sink does to the target now.
func (s *Sink) State() State { return s.pace.state() }

// Close implements flow.Sink: indices that were prepared for loading get their settings back.
func (s *Sink) Close(ctx context.Context) error {
	s.guard.stop()
	return s.restore(ctx, false)
}

// errNoSource is why a record without a body is refused.
var errNoSource = errors.New("the source does not keep the document, only its id")

// Write implements flow.Sink. It returns when each record is written, was there already, or cannot be written.
func (s *Sink) Write(ctx context.Context, recs []flow.Record) error {
	if s.o.Admit != nil {
		if err := s.o.Admit(ctx, recs); err != nil {
			return flow.Permanent(err)
		}
	}
	w := writing{sink: s, recs: recs, since: time.Now()}
	left := make([]int, 0, len(recs))
	for i := range recs {
		if recs[i].Body == nil {
			w.fail(i, flow.Permanent(errNoSource))
			continue
		}
		left = append(left, i)
	}
	if err := w.all(ctx, left); err != nil {
		return err
	}
	if len(w.failures) > 0 {
		return w.failures
	}
	return nil
}

// writing is one call of Write.
type writing struct {
	sink     *Sink
	recs     []flow.Record
	failures flow.Failures
	since    time.Time // when something was last taken
	tries    int       // in vain since then
}

func (w *writing) fail(i int, why error) {
	w.failures = append(w.failures, flow.Failure{Index: i, Err: why})
}

// all writes the records with the given indices, as often as it takes.
func (w *writing) all(ctx context.Context, left []int) error {
	for len(left) > 0 {
		size, err := w.sink.pace.acquire(ctx)
		if err != nil {
			return err
		}
		now, rest := w.cut(left, size)
		again, err := w.send(ctx, now)
		if err != nil {
			return err
		}
		if len(again) < len(now) {
			w.since, w.tries = time.Now(), 0
		}
		left = append(again, rest...)
	}
	return nil
}

// cut gives as many of the records as fit in a request, at least one, and the rest.
func (w *writing) cut(left []int, size int) (now, rest []int) {
	n, bytes := 0, 0
	for n < len(left) {
		r := &w.recs[left[n]]
		if bytes += actionSize(r, r.Index); bytes > size && n > 0 {
			break
		}
		n++
	}
	return left[:n:n], left[n:]
}

// send writes records in one request, whose place has been acquired, and returns those to try again, after having
// waited. An error stops the flow.
func (w *writing) send(ctx context.Context, now []int) (again []int, err error) {
	s := w.sink
	buffer := s.buffers.Get().(*[]byte)
	body := (*buffer)[:0]
	for _, i := range now {
		body = appendAction(body, &w.recs[i], w.recs[i].Index)
	}
	defer func() {
		if cap(body) <= 2*s.o.RequestBytes {
			*buffer = body
			s.buffers.Put(buffer)
		}
	}()
	if err := s.rate.take(ctx, len(now)); err != nil {
		s.pace.release(broke, 0, 0)
		return nil, err
	}
	start := time.Now()
	items, err := s.client.bulk(ctx, body, len(now), s.o.Unprocessed, *s.o.Compress)
	took := time.Since(start)
	if err != nil {
		return w.failed(ctx, now, body, took, err)
	}
	how := went
	var last error
	var taken []int
	for k := range items {
		switch verdict := items[k].verdict(); {
		case verdict == nil:
		case errors.Is(verdict, flow.ErrThere) && s.severalTypes(w.recs[now[k]].Index):
			taken = append(taken, now[k])
		case errors.Is(verdict, flow.ErrThere), flow.IsPermanent(verdict):
			w.fail(now[k], verdict)
		default:
			how, last = refused, verdict
			again = append(again, now[k])
		}
	}
	s.pace.release(how, len(body), took)
	if undecided, why := w.settle(ctx, taken); why != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		again, last = append(again, undecided...), why
	}
	if last == nil {
		return nil, nil
	}
	if len(again) < len(now) {
		w.since, w.tries = time.Now(), 0
	}
	return again, w.wait(ctx, last)
}

// failed decides what to do after a request that failed as a whole.
func (w *writing) failed(ctx context.Context, now []int, body []byte, took time.Duration, err error) ([]int, error) {
	s := w.sink
	status, _ := errors.AsType[*StatusError](err)
	switch {
	case ctx.Err() != nil:
		s.pace.release(broke, 0, took)
		return nil, context.Cause(ctx)
	case status == nil: // not reached, or the answer was lost: what was written is found to be there
		s.pace.release(broke, 0, took)
		return now, w.wait(ctx, err)
	case status.Temporary():
		s.pace.release(refused, len(body), took)
		return now, w.wait(ctx, err)
	case status.Status == http.StatusRequestEntityTooLarge && len(now) > 1:
		s.pace.release(tooLarge, len(body), took)
		return now, nil // smaller, by what the pace has learnt
	case status.Status == http.StatusUnauthorized || status.Status == http.StatusForbidden || status.Status == http.StatusNotFound:
		s.pace.release(broke, 0, took)
		return nil, flow.Permanent(fmt.Errorf("write to %s: %w", s.client, err))
	}
	s.pace.release(broke, 0, took)
	if len(now) == 1 {
		w.fail(now[0], flow.Permanent(err))
		return nil, nil
	}
	// One of them spoils the request. Halving finds it.
	s.o.Log.Warn("a request was refused as a whole, looking for the record", "records", len(now), "err", err)
	half := len(now) / 2
	for _, part := range [][]int{now[:half:half], now[half:]} {
		if _, err := s.pace.acquire(ctx); err != nil {
			return nil, err
		}
		again, err := w.send(ctx, part)
		if err != nil {
			return nil, err
		}
		if err := w.all(ctx, again); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// wait waits before the next try, longer each time that nothing was taken, or gives up.
func (w *writing) wait(ctx context.Context, why error) error {
	s := w.sink
	if time.Since(w.since) > s.o.Patience {
		return flow.Permanent(fmt.Errorf("%s has taken nothing for %s: %w", s.client, s.o.Patience, why))
	}
	bound := min(30*time.Second, s.o.Wait<<min(w.tries, 10))
	w.tries++
	if w.tries == 1 || w.tries%10 == 0 {
		s.o.Log.Warn("the target does not take records, waiting", "target", s.client.String(), "tries", w.tries, "err", why)
	}
	t := time.NewTimer(bound/2 + rand.N(bound/2+1)) //nolint:gosec // spreads workers, keeps no secret
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

package opensearch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// querySlice is a stream of a run's hits.
type querySlice struct {
	r      *queryRun
	id, of int

	pit    string // as the last answer gave it; "": a scroll is used
	scroll string // its id; "": not begun
	after  []byte // sort values of the last hit
	page   *answer
	body   io.Closer
	got    int  // hits of the page
	ended  bool // there are no more pages
	cuts   int  // answers in a row that were cut before they had a hit
	hit    hit
	index  string
	count  int64           // records
	latest json.RawMessage // the cursor's field in the last record

	closed chan struct{}
	mu     sync.Mutex // guards what follows
	acked  int64      // records
	last   int64      // records in all; -1: not known yet
	cursor json.RawMessage
	err    error
}

var _ stream.Stream = (*querySlice)(nil)

func newSlice(r *queryRun, id, of int) *querySlice {
	s := &querySlice{r: r, id: id, of: of, pit: r.pit, closed: make(chan struct{}), last: -1}
	s.hit.wanted = r.o.Members
	s.hit.others = make([][]byte, len(r.o.Members))
	return s
}

// Wait implements stream.Stream: it asks for the next page.
func (s *querySlice) Wait(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case s.ended:
		return io.EOF
	case s.page != nil || s.r.o.Aggregations:
		return nil
	}
	if err := s.turn(ctx); err != nil {
		return s.fail(ctx, err)
	}
	return nil
}

func (s *querySlice) fail(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s.of > 1 {
		err = fmt.Errorf("slice %d of %d: %w", s.id, s.of, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	return err
}

// turn asks for the next page, again where that is without danger.
func (s *querySlice) turn(ctx context.Context) error {
	if s.pit == "" && s.scroll != "" {
		return s.ask(ctx, "/_search/scroll", encoded(map[string]string{"scroll": s.r.o.KeepAlive, "scroll_id": s.scroll}))
	}
	return s.r.again(ctx, func() error {
		return s.ask(ctx, s.r.search(s.pit), s.r.request(s.id, s.of, s.pit, s.after))
	})
}

func (s *querySlice) ask(ctx context.Context, path string, body []byte) error {
	ctx, cancel := context.WithCancelCause(ctx)
	patience := cmp.Or(s.r.client.timeout, time.Minute)
	watch := time.AfterFunc(patience, func() { cancel(errSlow) })
	answer, err := s.r.client.stream(ctx, Request{Method: http.MethodPost, Path: path, Body: body})
	watch.Stop()
	if err != nil {
		if errors.Is(context.Cause(ctx), errSlow) {
			err = errSlow
		}
		cancel(nil)
		return err
	}
	w := &watched{answer: answer, cancel: cancel, timer: watch, patience: patience}
	s.page, s.body, s.got = newAnswer(w), w, 0
	if s.pit == "" && s.scroll == "" { // without its id a scroll that is left could not be closed
		if err := s.page.begin(); err != nil {
			s.endPage()
			return err
		}
		s.scroll = s.page.context
	}
	return nil
}

// watched is an answer that is given up when nothing more of it comes while it is wanted.
type watched struct {
	answer   io.ReadCloser
	cancel   context.CancelCauseFunc
	timer    *time.Timer
	patience time.Duration
}

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	w.timer.Reset(w.patience)
	defer w.timer.Stop()
	return w.answer.Read(p)
}

// Close implements io.Closer.
func (w *watched) Close() error {
	w.timer.Stop()
	err := w.answer.Close()
	w.cancel(nil)
	return err
}

func (s *querySlice) endPage() {
	if s.body != nil {
		s.body.Close() //nolint:errcheck,gosec // it was read
	}
	s.page, s.body = nil, nil
}

// Read implements stream.Stream.
func (s *querySlice) Read(ctx context.Context, b *flow.Batch) error {
	if s.r.o.Aggregations {
		return s.aggregate(ctx, b)
	}
	var err error
	for err == nil && s.page != nil && !b.Full() {
		err = s.next(b)
	}
	b.Next = flow.Position(strconv.AppendInt(nil, s.count, 10))
	s.mu.Lock()
	s.cursor = s.latest
	if s.ended {
		s.last = s.count
	}
	s.mu.Unlock()
	switch {
	case err != nil:
		return s.fail(ctx, err)
	case s.ended:
		return io.EOF
	}
	return nil
}

// next reads a hit, or the end of the page.
func (s *querySlice) next(b *flow.Batch) error {
	switch err := s.page.next(&s.hit); {
	case err == io.EOF: //nolint:errorlint // next gives it as it is
		return s.turned()
	case err != nil:
		return s.lost(err)
	}
	if s.page.shards.Failed > 0 {
		return failedShards(&s.page.shards)
	}
	h := &s.hit
	s.got++
	s.count++
	if s.pit != "" {
		if s.after = append(s.after[:0], h.sort...); !json.Valid(s.after) {
			return fmt.Errorf("%w: hit %q has no sort values", errAnswer, h.id)
		}
	}
	if string(h.index) != s.index {
		s.index = string(h.index)
	}
	rec := flow.Record{Port: s.r.o.Port, Index: s.index, Key: b.Copy(h.id)}
	if h.source != nil {
		rec.Body = b.Copy(h.source)
	}
	if len(h.wanted) > 0 {
		rec.Meta = b.Copy(h.members(nil))
	}
	if s.r.o.Cursor != nil {
		if v := s.r.o.Cursor.value(h.source); v != nil {
			s.latest = v
		}
	}
	b.Records = append(b.Records, rec)
	return nil
}

// lost is why an answer ended in its middle. With a point in time the page is asked for again from the last hit that was read.
func (s *querySlice) lost(err error) error {
	const most = 10
	if s.cuts++; s.got > 0 {
		s.cuts = 0
	}
	if s.pit == "" || errors.Is(err, errAnswer) || s.cuts > most {
		return fmt.Errorf("the answer was cut: %w", err)
	}
	s.r.o.Log.Warn("an answer was cut, asking for the rest of it", "error", err)
	s.endPage()
	return nil
}

// turned ends a page.
func (s *querySlice) turned() error {
	if s.page.shards.Failed > 0 {
		return failedShards(&s.page.shards)
	}
	if id := s.page.context; id != "" && s.pit != "" {
		s.pit = id
	} else if id != "" {
		s.scroll = id
	}
	s.ended = s.got == 0
	s.endPage()
	return nil
}

// members gives the members of a hit that are wanted, as a JSON object.
func (h *hit) members(dst []byte) []byte {
	dst = append(dst, '{')
	for i, name := range h.wanted {
		if h.others[i] == nil {
			continue
		}
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = append(append(appendString(dst, name), ':'), h.others[i]...)
	}
	return append(dst, '}')
}

// aggregate reads the only record of a query for aggregations.
func (s *querySlice) aggregate(ctx context.Context, b *flow.Batch) error {
	var answer struct {
		Aggregations json.RawMessage `json:"aggregations"`
		Shards       shardsOf        `json:"_shards"`
	}
	err := s.r.again(ctx, func() error {
		text, err := s.r.client.Do(ctx, Request{Method: http.MethodPost, Path: s.r.search(""), Body: s.r.request(0, 1, "", nil)})
		if err == nil {
			err = json.Unmarshal(text, &answer)
		}
		if err == nil && answer.Shards.Failed > 0 {
			err = failedShards(&answer.Shards)
		}
		return err
	})
	if err != nil {
		return s.fail(ctx, err)
	}
	if answer.Aggregations == nil {
		return s.fail(ctx, errors.New("the answer has no aggregations: the query asks for none"))
	}
	s.ended, s.count = true, 1
	b.Records = append(b.Records, flow.Record{Port: s.r.o.Port, Body: answer.Aggregations})
	b.Next = flow.Position("1")
	s.mu.Lock()
	s.last = 1
	s.mu.Unlock()
	return io.EOF
}

// Ack implements stream.Stream.
func (s *querySlice) Ack(_ context.Context, next flow.Position) error {
	n, err := strconv.ParseInt(string(next), 10, 64)
	if err != nil {
		return fmt.Errorf("position %q: %w", next, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acked = max(s.acked, n)
	return nil
}

// Close implements stream.Stream.
func (s *querySlice) Close() error {
	defer close(s.closed)
	s.endPage()
	if s.scroll != "" {
		s.r.forget("/_search/scroll", map[string][]string{"scroll_id": {s.scroll}})
	}
	return nil
}

func (s *querySlice) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// complete reports that all hits were read and are safe.
func (s *querySlice) complete() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last >= 0 && s.acked >= s.last
}

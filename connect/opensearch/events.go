package opensearch

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/narudata/naru/flow"
)

// EventsOptions say how events are written. The zero value works.
type EventsOptions struct {
	// Path is that of _bulk with its query; "": /_bulk, with as short an answer as there can be.
	Path         string
	RequestBytes int // most of a request, before compression; a record may be larger; 0: 9 MiB
	MaxRequests  int // under way at a time; 0: 64, so that it is up to the engine
	Compression  int // level of gzip, 1 to 9; 0: none
	// Dead are statuses of items that are dead letters beside 400 and 404.
	Dead []int
	// Dropped are types of errors whose records are neither tried again nor dead letters: logged, counted, gone.
	Dropped []string
	// Silent are types of errors that are not logged.
	Silent []string
	// Counted adds what proxies for metered clusters want to know of a request: the headers X-Elastic-Event-Count and
	// X-Elastic-Uncompressed-Request-Length.
	Counted bool
	// Begin is done before the first record is written, as often as it takes: it installs a template, say. A Permanent error
	// stops the pipeline.
	Begin func(ctx context.Context, c *Client) error
	Log   *slog.Logger // nil: nowhere
}

// Events is a sink for events that are operations of _bulk of any kind: the Body of a record is an action's line and, but for
// delete, the line of what it is done with, each with its line break.
//
// Write joins as many records as fit into a request, and tries nothing again itself: a record that the cluster did not take for
// now is a failure that may be tried again. What the answer says of an item decides:
//
//	2xx                  written; so is a delete of what is not there
//	409                  flow.ErrThere where the operation says that it is there already: a create, or an external version.
//	                     For others (an update that lost every race) it is dropped: logged, counted, and flow.ErrThere as well
//	Dropped              the same
//	400, 404, Dead       Permanent: a dead letter
//	anything else        for now: 429, 5xx, 403 of an index that is blocked, 401 …
//
// A request that is too large (413) is halved until it fits; a record that is too large alone is a dead letter. So is a request
// that needs more memory by itself than the target allows for all (429, see MostOversize). A request that
// is refused as unreadable (400) is halved until the record that spoils it is found. If it is refused whatever is in it, and
// nothing was ever taken, the fault is not the record's, and nothing is given up. Everything else that happens to a request
// (no connection, no answer in time, an answer that does not add up, any other status) is for now.
//
// It is at least once: after an answer that was lost, records are written again. With ids that is the same as once.
type Events struct {
	client *Client
	o      EventsOptions
	pace   *pace
	room   sync.Pool // of *[]byte
	zips   sync.Pool // of *gzip.Writer

	beginning sync.Mutex // guards begun while it is false
	begun     atomic.Bool
	taken     atomic.Bool // a request was taken
	refusals  alone

	stats EventsStats
}

// EventsStats are the figures of a sink. They may be read at any time.
type EventsStats struct {
	Requests  atomic.Int64
	Refused   atomic.Int64 // requests that failed as a whole
	Bytes     atomic.Int64 // of requests, as they were sent
	Written   atomic.Int64 // records
	There     atomic.Int64 // records that were there already
	Conflicts atomic.Int64 // records dropped because the document had changed meanwhile
	Dropped   atomic.Int64 // records dropped because of EventsOptions.Dropped
	Dead      atomic.Int64 // records refused for good
	Again     atomic.Int64 // records refused for now
	Alone     atomic.Int64 // refusals of a record that had a request to itself, for lack of memory; it is tried again
}

var _ flow.Sink = (*Events)(nil)

// DefaultBulk is the path of _bulk with what is read of its answer.
const DefaultBulk = bulkPath

// ErrConflict says of a record that its document was changed or removed by others meanwhile, so that the operation no longer
// fits. It is a flow.ErrThere: there is nothing left to do.
var ErrConflict = fmt.Errorf("the document has changed meanwhile: dropped: %w", flow.ErrThere)

// ErrDropped says of a record that it was refused with an error whose records are to be dropped. It is a flow.ErrThere.
var ErrDropped = fmt.Errorf("refused with an error whose records are dropped: %w", flow.ErrThere)

// NewEvents writes through a client, which it closes.
func NewEvents(c *Client, o EventsOptions) *Events {
	o.Path = cmp.Or(o.Path, DefaultBulk)
	o.RequestBytes = cmp.Or(o.RequestBytes, 9<<20)
	o.MaxRequests = cmp.Or(o.MaxRequests, 64)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Events{client: c, o: o, pace: newPace(o.MaxRequests, o.RequestBytes)}
	s.room.New = func() any { return new([]byte) }
	s.zips.New = func() any {
		w, err := gzip.NewWriterLevel(nil, o.Compression)
		if err != nil {
			panic("BUG: " + err.Error())
		}
		return w
	}
	return s
}

// Stats gives the figures.
func (s *Events) Stats() *EventsStats { return &s.stats }

// State is what the sink does to the target now.
func (s *Events) State() State { return s.pace.state() }

// Close implements flow.Sink.
func (s *Events) Close(context.Context) error {
	s.client.Close()
	return nil
}

// begin does what is to be done before the first record.
func (s *Events) begin(ctx context.Context) error {
	if s.begun.Load() || s.o.Begin == nil {
		return nil
	}
	s.beginning.Lock()
	defer s.beginning.Unlock()
	if s.begun.Load() {
		return nil
	}
	if err := s.o.Begin(ctx, s.client); err != nil {
		return err
	}
	s.begun.Store(true)
	return nil
}

// Write implements flow.Sink.
func (s *Events) Write(ctx context.Context, recs []flow.Record) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	w := eventWriting{Events: s, recs: recs}
	why := w.all(ctx, 0, len(recs))
	switch {
	case len(w.failures) == 0:
		return nil
	case why != nil && w.lostAll == len(recs): // all for the same reason
		return why
	}
	slices.SortFunc(w.failures, func(a, b flow.Failure) int { return cmp.Compare(a.Index, b.Index) })
	return w.failures
}

// eventWriting is one call of Write.
type eventWriting struct {
	*Events
	recs     []flow.Record
	failures flow.Failures
	lostAll  int // records that were not tried, or whose request failed as a whole for now
	alone    int // records that were refused as unreadable, each in a request of its own
}

// lose says of records that they are to be tried again, all for the same reason.
func (w *eventWriting) lose(from, to int, why error) {
	for i := from; i < to; i++ {
		w.failures = append(w.failures, flow.Failure{Index: i, Err: why})
	}
	w.lostAll += to - from
	w.stats.Again.Add(int64(to - from))
}

// all writes records. An error is why it was of no use to go on: the records that were not written are lost with it.
func (w *eventWriting) all(ctx context.Context, from, to int) error {
	for from < to {
		size, err := w.pace.acquire(ctx)
		if err != nil {
			w.lose(from, to, err)
			return err
		}
		end := w.cut(from, to, size)
		if err := w.send(ctx, from, end); err != nil {
			w.lose(end, to, err)
			return err
		}
		from = end
	}
	return nil
}

// cut says how far a request goes that begins with a record: one at least.
func (w *eventWriting) cut(from, to, size int) int {
	bytes := len(w.recs[from].Body)
	for end := from + 1; end < to; end++ {
		if bytes += len(w.recs[end].Body); bytes > size {
			return end
		}
	}
	return to
}

// part is all with a place of its own for the first request.
func (w *eventWriting) part(ctx context.Context, from, to int) error {
	if _, err := w.pace.acquire(ctx); err != nil {
		w.lose(from, to, err)
		return err
	}
	return w.send(ctx, from, to)
}

// send writes records in one request, whose place has been acquired, or in several if it must be cut. An error is why the
// target takes nothing now.
func (w *eventWriting) send(ctx context.Context, from, to int) error {
	recs := w.recs[from:to]
	e := exchange{recs: recs}
	start := time.Now()
	err := w.exchange(ctx, &e)
	took := time.Since(start)
	if err == nil {
		var how outcome
		how, err = w.judge(from, to, e.answer)
		w.pace.release(how, e.bytes, took)
		w.give(&e)
		if err != nil { // what became of which record is not known
			w.lose(from, to, err)
		}
		return err
	}
	w.stats.Refused.Add(1)
	status := statusOf(err)
	switch status {
	case http.StatusRequestEntityTooLarge:
		w.pace.release(tooLarge, e.bytes, took)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if oversize(err) {
			w.pace.release(tooLarge, e.bytes, took)
		} else {
			w.pace.release(refused, e.bytes, took)
		}
	default:
		w.pace.release(broke, 0, took)
	}
	half := from + len(recs)/2
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case len(recs) > 1 && (status == http.StatusRequestEntityTooLarge || oversize(err)):
		if w.loud(err) {
			w.o.Log.Info("a request is too large for the target, halving it", "records", len(recs), "bytes", e.bytes, "error", err)
		}
		if err := w.part(ctx, from, half); err != nil {
			w.lose(half, to, err)
			return err
		}
		return w.part(ctx, half, to)
	case status == http.StatusRequestEntityTooLarge:
		w.bury(from, fmt.Errorf("an event of %d bytes is too large for the target: %w", len(recs[0].Body), err))
		return nil
	case oversize(err):
		w.single(from, err)
		return nil // others are smaller
	case status == http.StatusTooManyRequests && len(recs) == 1:
		w.single(from, err)
		w.lostAll++
		return err
	case status == http.StatusBadRequest && len(recs) > 1:
		return w.bisect(ctx, from, half, to, err)
	case status == http.StatusBadRequest && w.taken.Load():
		w.bury(from, err)
		return nil
	}
	w.lose(from, to, err)
	return err
}

// mostAlone is how many records may be refused as unreadable one after the other before it is held that the request is wrong,
// whatever is in it.
const mostAlone = 16

// bisect looks for the records that spoil a request.
func (w *eventWriting) bisect(ctx context.Context, from, half, to int, why error) error {
	if w.loud(why) {
		w.o.Log.Info("a request was refused as unreadable, looking for the record", "records", to-from, "error", why)
	}
	first := len(w.failures)
	for _, part := range [][2]int{{from, half}, {half, to}} {
		err := w.part(ctx, part[0], part[1])
		if err == nil {
			continue
		}
		if statusOf(err) != http.StatusBadRequest || part[1]-part[0] > 1 && w.alone >= mostAlone {
			if part[0] == from {
				w.lose(half, to, err)
			}
			return err
		}
		// A record that was refused alone, and nothing has been taken yet to show that the fault is the record's.
		if w.alone++; w.alone >= mostAlone {
			if part[0] == from {
				w.lose(half, to, err)
			}
			return err
		}
	}
	if w.taken.Load() {
		w.condemn(first)
	}
	return nil
}

// condemn makes dead letters of the records that were refused as unreadable before it was known that others are taken.
func (w *eventWriting) condemn(first int) {
	for i := range w.failures[first:] {
		f := &w.failures[first+i]
		if statusOf(f.Err) == http.StatusBadRequest && !flow.IsPermanent(f.Err) {
			f.Err = flow.Permanent(f.Err)
			w.lostAll--
			w.stats.Again.Add(-1)
			w.stats.Dead.Add(1)
		}
	}
}

func (w *eventWriting) bury(i int, why error) {
	w.stats.Dead.Add(1)
	w.failures = append(w.failures, flow.Failure{Index: i, Err: flow.Permanent(why)})
}

// judge says of each record what its item means.
func (w *eventWriting) judge(from, to int, answer []byte) (outcome, error) {
	if !w.taken.Load() {
		w.taken.Store(true)
	}
	if allWell(answer, to-from) {
		w.stats.Written.Add(int64(to - from))
		return went, nil
	}
	n := 0
	err := eachItem(answer, func(itemSaid) { n++ })
	if err == nil && n != to-from {
		err = fmt.Errorf("answer to _bulk: it is about %d records, not %d", n, to-from)
	}
	if err != nil {
		return broke, err
	}
	how, i := went, from
	_ = eachItem(answer, func(it itemSaid) { // it was read before
		if !w.settle(i, it) {
			how = refused
		}
		i++
	})
	return how, nil
}

// settle says what an item means for its record. It reports false if the target is under pressure.
func (w *eventWriting) settle(i int, it itemSaid) bool {
	switch {
	case it.status >= 200 && it.status < 300, it.status == http.StatusNotFound && it.raw == nil && string(it.action) == "delete":
		w.stats.Written.Add(1)
	case it.status == http.StatusConflict && w.there(it.action, i):
		w.stats.There.Add(1)
		w.failures = append(w.failures, flow.Failure{Index: i, Err: flow.ErrThere})
	case it.status == http.StatusConflict:
		w.stats.Conflicts.Add(1)
		w.dropped(i, it, ErrConflict)
	case len(w.o.Dropped) > 0 && slices.Contains(w.o.Dropped, string(it.errorType)):
		w.stats.Dropped.Add(1)
		w.dropped(i, it, ErrDropped)
	case it.status == http.StatusBadRequest, it.status == http.StatusNotFound, slices.Contains(w.o.Dead, it.status):
		w.bury(i, it.err())
	case it.status == http.StatusTooManyRequests && oversize(it.err()):
		w.single(i, it.err())
	default:
		w.stats.Again.Add(1)
		err := it.err()
		w.failures = append(w.failures, flow.Failure{Index: i, Err: err})
		if w.loud(err) {
			w.o.Log.Info("an event was not taken, it is tried again", "status", it.status, "error", err)
		}
		return it.status != http.StatusTooManyRequests && it.status != http.StatusServiceUnavailable
	}
	return true
}

func (w *eventWriting) dropped(i int, it itemSaid, why error) {
	w.failures = append(w.failures, flow.Failure{Index: i, Err: why})
	if !slices.Contains(w.o.Silent, string(it.errorType)) {
		w.o.Log.Warn("an event was refused and is dropped", "status", it.status, "error", it.err())
	}
}

// loud reports that an error may be logged: its type is not silent.
func (w *eventWriting) loud(err error) bool {
	s, ok := errors.AsType[*StatusError](err)
	return !ok || !slices.Contains(w.o.Silent, s.Type)
}

// there reports that a conflict shows that what was to be written is there already: it was to be created, or has an external
// version.
func (w *eventWriting) there(action []byte, i int) bool {
	if string(action) == "create" {
		return true
	}
	line, _, _ := bytes.Cut(w.recs[i].Body, []byte("\n"))
	return bytes.Contains(line, []byte(`"version_type":"external`)) // in a text the quotes had backslashes
}

// An exchange is a request and its answer.
type exchange struct {
	recs   []flow.Record
	body   *[]byte // what is sent; nil: the records as they are
	bytes  int     // before compression
	sent   atomic.Bool
	tries  atomic.Int32 // how often it was begun to be sent
	room   *[]byte      // what the answer lies in
	answer []byte
}

// give takes the memory of an exchange back, if nobody has it any more.
func (s *Events) give(e *exchange) {
	if e.body != nil && e.sent.Load() && e.tries.Load() == 1 && cap(*e.body) <= 2*s.o.RequestBytes {
		s.room.Put(e.body)
	}
	if e.room != nil && cap(*e.room) <= 4<<20 {
		s.room.Put(e.room)
	}
	e.body, e.room, e.answer = nil, nil, nil
}

// exchange sends records and reads the answer, which is valid until give.
func (s *Events) exchange(ctx context.Context, e *exchange) error {
	s.stats.Requests.Add(1)
	for i := range e.recs {
		e.bytes += len(e.recs[i].Body)
	}
	if s.o.Compression > 0 || s.client.signs() {
		if err := s.compose(e); err != nil {
			return err
		}
		s.stats.Bytes.Add(int64(len(*e.body)))
	} else {
		s.stats.Bytes.Add(int64(e.bytes))
	}
	lent := &lent{recs: e.recs}
	defer lent.takeBack()
	_, err := someHost(ctx, s.client, &Request{Method: http.MethodPost, Path: s.o.Path}, func(h *host) (struct{}, error) {
		return struct{}{}, s.post(ctx, h, e, lent)
	})
	return err
}

// compose makes the body.
func (s *Events) compose(e *exchange) error {
	e.body, _ = s.room.Get().(*[]byte)
	b := (*e.body)[:0]
	if s.o.Compression == 0 {
		b = slices.Grow(b, e.bytes)
		for i := range e.recs {
			b = append(b, e.recs[i].Body...)
		}
		*e.body = b
		return nil
	}
	out := bytes.NewBuffer(slices.Grow(b, e.bytes/8+512))
	z, _ := s.zips.Get().(*gzip.Writer)
	defer s.zips.Put(z)
	z.Reset(out)
	for i := range e.recs {
		if _, err := z.Write(e.recs[i].Body); err != nil {
			return fmt.Errorf("compress: %w", err)
		}
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("compress: %w", err)
	}
	*e.body = out.Bytes()
	return nil
}

// eventsPatience is how long a request may take with a client that has no bound of its own.
const eventsPatience = 5 * time.Minute

// post sends a body to a host and reads the answer.
func (s *Events) post(ctx context.Context, h *host, e *exchange, lent *lent) error {
	patience := cmp.Or(s.client.timeout, eventsPatience)
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errSlow)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.client.url(h, s.o.Path), http.NoBody)
	if err != nil {
		return err
	}
	var body []byte
	open := func() io.ReadCloser { return &lentBody{of: lent} }
	req.ContentLength = int64(e.bytes)
	if e.body != nil {
		body = *e.body
		req.ContentLength = int64(len(body))
		open = func() io.ReadCloser {
			e.tries.Add(1)
			return &wholeBody{b: body, sent: &e.sent}
		}
	}
	req.Body = open()
	req.GetBody = func() (io.ReadCloser, error) { return open(), nil } // when the connection turns out to be dead before anything was sent
	req.Header["Accept"] = acceptJSON
	req.Header["User-Agent"] = userAgent
	req.Header["Content-Type"] = ndjson
	if s.o.Compression > 0 {
		req.Header["Content-Encoding"] = gzipEncoding
	}
	if s.o.Counted {
		req.Header.Set("X-Elastic-Event-Count", fmt.Sprint(len(e.recs)))
		req.Header.Set("X-Elastic-Uncompressed-Request-Length", fmt.Sprint(e.bytes))
	}
	if err := s.client.authorize(h, req, body); err != nil {
		return err
	}
	resp, err := s.client.http.Do(req)
	if err != nil {
		if context.Cause(ctx) == errSlow { //nolint:errorlint // it is set above
			err = fmt.Errorf("%s: %w (%s)", h.url, errSlow, patience)
		}
		return explain(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode >= 300 {
		return s.client.refusal(resp)
	}
	if e.room == nil {
		e.room, _ = s.room.Get().(*[]byte)
	}
	if *e.room, err = readInto((*e.room)[:0], resp.Body, resp.ContentLength); err != nil {
		return fmt.Errorf("%s: the answer was cut: %w", h.url, err)
	}
	e.answer = *e.room
	return nil
}

// The values of headers that do not change; net/http does not change them either.
var (
	acceptJSON   = []string{"application/json"}
	userAgent    = []string{"naru"}
	ndjson       = []string{"application/x-ndjson"}
	gzipEncoding = []string{"gzip"}
)

// readInto reads all of r behind b; size is how much is said to come, or -1. More than maxAnswer is an error.
func readInto(b []byte, r io.Reader, size int64) ([]byte, error) {
	if size > maxAnswer {
		return b, fmt.Errorf("an answer of more than %d bytes", maxAnswer)
	}
	b = slices.Grow(b, int(max(size, 0))+bytes.MinRead)
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case err == io.EOF: //nolint:errorlint // as io.Reader says
			return b, nil
		case err != nil:
			return b, err
		case len(b) > maxAnswer:
			return b, fmt.Errorf("an answer of more than %d bytes", maxAnswer)
		case len(b) == cap(b):
			b = slices.Grow(b, len(b))
		}
	}
}

// WithShortAnswer gives a path of _bulk that asks for as little of the answer as is needed, unless the path says itself what it
// wants.
func WithShortAnswer(path string) string {
	_, filter, _ := strings.Cut(DefaultBulk, "?")
	switch {
	case strings.Contains(path, "filter_path="):
		return path
	case strings.Contains(path, "?"):
		return path + "&" + filter
	}
	return path + "?" + filter
}

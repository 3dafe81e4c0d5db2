package opensearch

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/narudata/naru/document"
	"github.com/narudata/naru/flow"
)

// A place is a position: a document of a shard, after which reading goes on.
type place struct {
	Context string          `json:"pit,omitempty"`   // point in time
	After   json.RawMessage `json:"after,omitempty"` // sort values of the document in it
	Records int64           `json:"records"`         // documents up to it
	Chain   uint64          `json:"chain,string"`    // hash of their ids
	Total   int64           `json:"total"`           // documents of the point in time; -1: not known
}

func parsePlace(p flow.Position) (place, error) {
	var at place
	d := json.NewDecoder(bytes.NewReader(p))
	d.DisallowUnknownFields()
	err := d.Decode(&at)
	if err == nil && (at.Records < 0 || (at.Context == "") != (at.After == nil) || d.More()) {
		err = errors.New("it makes no sense")
	}
	if err != nil {
		return at, fmt.Errorf("position %.60q is none of a cluster's: %w", p, err)
	}
	return at, nil
}

// seed begins the hash of a shard's ids, so that an index of the same name is another one.
func seed(uuid string, shard int) uint64 { return xxh3.HashString(uuid + "/" + strconv.Itoa(shard)) }

func link(chain uint64, id []byte) uint64 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(len(id)))
	return xxh3.HashSeed(id, xxh3.HashSeed(b[:], chain))
}

// A reader reads a shard page by page, each as it comes.
type reader struct {
	s    *Source
	part string
	spec spec

	ctx    context.Context // of the requests: it ends with the reader
	cancel context.CancelFunc
	err    error // after one, the reader cannot go on

	context string // point in time or scroll; "": none yet
	scroll  bool
	after   []byte // sort values of the last document
	count   int64  // documents so far
	chain   uint64 // and the hash of their ids
	total   int64  // documents in all; -1: not known
	size    int    // documents of the next page

	skipTo    int64 // documents that are passed over
	skipChain uint64

	page  *answer // nil: none
	body  io.Closer
	asked int   // documents of it
	got   int   // of these, read
	last  bool  // there is no page after the last one
	began int64 // count before the page

	hit     *hit
	scratch []byte
	index   string
	typ     string
	closed  bool
}

// resume has the reader go on at a position.
func (r *reader) resume(at place) {
	if at.Context == "" {
		r.skipTo, r.skipChain = at.Records, at.Chain
		return
	}
	r.s.take(at.Context)
	r.context, r.after, r.count, r.chain, r.total = at.Context, slices.Clone(at.After), at.Records, at.Chain, at.Total
}

func (r *reader) position() flow.Position {
	at := place{Records: r.count, Chain: r.chain, Total: r.total}
	if !r.scroll && r.after != nil {
		at.Context, at.After = r.context, r.after
	}
	p, err := json.Marshal(at)
	if err != nil {
		panic("BUG: a position is not JSON: " + err.Error())
	}
	return p
}

// Read implements flow.Reader.
func (r *reader) Read(ctx context.Context, b *flow.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.err != nil {
		return r.err
	}
	stop := context.AfterFunc(ctx, r.cancel)
	defer stop()
	err := r.read(b)
	if err != nil && err != io.EOF { //nolint:errorlint // read gives it as it is
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		r.err = fmt.Errorf("shard %s: %w", r.part, classify(err))
		r.endPage()
		return r.err
	}
	b.Next = r.position()
	return err
}

func (r *reader) read(b *flow.Batch) error {
	for !b.Full() {
		if r.page == nil {
			if r.last {
				return io.EOF
			}
			if err := r.turn(); err != nil {
				return err
			}
		}
		switch err := r.page.next(r.hit); {
		case err == io.EOF: //nolint:errorlint // next gives it as it is
			if err := r.turned(); err != nil {
				return err
			}
			continue
		case errors.Is(err, errAnswer):
			return flow.Permanent(err)
		case err != nil:
			return fmt.Errorf("the answer was cut: %w", err)
		}
		if r.page.shards.Failed > 0 {
			return failedShards(&r.page.shards)
		}
		r.got++
		r.count++
		r.chain = link(r.chain, r.hit.id)
		if r.after = append(r.after[:0], r.hit.sort...); !r.scroll && !json.Valid(r.after) {
			return flow.Permanent(fmt.Errorf("%w: document %q has no sort values", errAnswer, r.hit.id))
		}
		if r.count <= r.skipTo {
			if r.count == r.skipTo && r.chain != r.skipChain {
				return r.moved()
			}
			continue
		}
		if err := r.add(b); err != nil {
			return err
		}
	}
	return nil
}

func failedShards(s *shardsOf) error {
	why := "without a reason"
	if len(s.Failures) > 0 {
		why = s.Failures[0].Reason.Type + ": " + s.Failures[0].Reason.text()
	}
	return fmt.Errorf("the shard cannot be read: %s", why)
}

func (r *reader) moved() error {
	return flow.Permanent(fmt.Errorf("the point in time of the position is gone and documents of the shard have moved or changed since: "+
		"which of its %d documents were read cannot be told; begin again, into an empty place", r.skipTo))
}

// add makes a record of the hit.
func (r *reader) add(b *flow.Batch) error {
	h := r.hit
	if string(h.index) != r.index {
		r.index = string(h.index)
	}
	if string(h.typ) != r.typ {
		r.typ = string(h.typ)
	}
	rec := flow.Record{Index: cmp.Or(r.spec.Stream, r.index), Key: b.Copy(h.id)}
	if r.typ != "_doc" {
		rec.Type = r.typ
	}
	if h.routing != nil {
		rec.Routing = b.Copy(h.routing)
	}
	if r.s.o.Versions {
		rec.Version = h.version
	}
	if h.source != nil {
		line, err := document.OneLine(r.scratch, h.source)
		if err != nil {
			return flow.Permanent(fmt.Errorf("document %q: %w", h.id, err))
		}
		rec.Body = b.Copy(line)
		if bytes.IndexByte(h.source, '\n') >= 0 && cap(line) <= 8<<20 {
			r.scratch = line[:0]
		}
	}
	b.Records = append(b.Records, rec)
	return nil
}

// turn asks for the next page.
func (r *reader) turn() error {
	for renewed := false; ; {
		if r.context == "" {
			if err := r.enter(); err != nil {
				return err
			}
			if r.page != nil { // a scroll comes with its first page
				return nil
			}
		}
		err := r.ask()
		s, _ := errors.AsType[*StatusError](err)
		switch {
		case err == nil:
			return nil
		case s == nil:
			return err
		case s.Type == "circuit_breaking_exception" && r.size > 1 && !r.scroll:
			r.size = max(1, r.size/4) // the answer would be too large for the node
		case gone(s) && !r.scroll && !renewed:
			// Another point in time shows the same documents in the same order, unless the shard has changed.
			renewed = true
			r.context, r.after, r.total = "", nil, -1
			r.skipTo, r.skipChain = r.count, r.chain
			r.count, r.chain = 0, seed(r.spec.UUID, r.spec.Shard)
		default:
			return err
		}
	}
}

// gone reports that a point in time is not there, or that its id is of no use to this cluster.
func gone(s *StatusError) bool {
	return s.Status == http.StatusNotFound && s.Type != "index_not_found_exception" ||
		s.Status == http.StatusBadRequest && s.Type == "illegal_argument_exception"
}

// turned ends a page.
func (r *reader) turned() error {
	bytes, asked, got := r.page.read, r.asked, r.got
	if r.page.shards.Failed > 0 {
		return failedShards(&r.page.shards)
	}
	if r.page.context != "" {
		r.context = r.page.context
	}
	if r.page.total >= 0 && r.total < 0 && r.began == 0 {
		r.total = r.page.total
	}
	r.endPage()
	if got > 0 && r.count > r.skipTo && !r.scroll { // a scroll cannot change; pages of ids say nothing about documents
		per := max(bytes/int64(got), 1)
		r.size = int(min(max(int64(r.s.o.PageBytes)/per, 1), 2*int64(r.size), int64(r.spec.Window)))
	}
	if got == asked && got > 0 {
		return nil
	}
	r.last = true
	switch {
	case got > asked:
		return fmt.Errorf("%d documents were asked for, and %d came", asked, got)
	case r.count < r.skipTo:
		return r.moved()
	case r.total >= 0 && r.count != r.total:
		return fmt.Errorf("the shard has %d documents, and %d came", r.total, r.count)
	}
	return nil
}

func (r *reader) endPage() {
	if r.body != nil {
		r.body.Close() //nolint:errcheck,gosec // it was read
	}
	r.page, r.body, r.got, r.asked = nil, nil, 0, 0
}

func (r *reader) keepAlive() string {
	return strconv.FormatInt(int64(r.s.o.KeepAlive/time.Millisecond), 10) + "ms"
}

// enter opens a point in time, or a scroll if there is none.
func (r *reader) enter() error {
	preference := "_shards:" + strconv.Itoa(r.spec.Shard)
	if r.spec.Replicas > 0 {
		node, err := r.s.client.home(r.ctx, r.spec.Index, r.spec.Shard)
		if err != nil {
			return err
		}
		if node != "" {
			preference += "|_prefer_nodes:" + node
		}
	}
	r.s.mu.Lock()
	r.scroll = r.s.scroll
	r.s.mu.Unlock()
	if !r.scroll {
		err := r.openPIT(preference)
		if s, ok := errors.AsType[*StatusError](err); !ok || !noPIT(s) {
			return err
		}
		r.s.o.Log.Info("no points in time here, scrolls are used", "cluster", r.s.client.String(), "err", err)
		r.s.mu.Lock()
		r.s.scroll = true
		r.s.mu.Unlock()
		r.scroll = true
	}
	return r.openScroll(preference)
}

// noPIT reports an answer by which a cluster shows that it has no points in time, or none for this user.
func noPIT(s *StatusError) bool {
	switch s.Status {
	case http.StatusMethodNotAllowed, http.StatusForbidden:
		return true
	case http.StatusBadRequest: // it took it for something else: a document, an index
		return s.Type == "" || s.Type == "parse_exception" || s.Type == "invalid_index_name_exception"
	case http.StatusNotFound:
		return s.Type == ""
	}
	return false
}

func (r *reader) openPIT(preference string) error {
	path := "/_pit"
	if r.s.client.Info().OpenSearch() {
		path = "/_search/point_in_time"
	}
	query := url.Values{"keep_alive": {r.keepAlive()}, "preference": {preference}}
	var answer struct {
		ID  string `json:"id"`     // Elasticsearch
		PIT string `json:"pit_id"` // OpenSearch
	}
	err := r.s.client.JSON(r.ctx, http.MethodPost, "/"+url.PathEscape(r.spec.Index)+path+"?"+query.Encode(), nil, &answer)
	if err != nil {
		return err
	}
	if r.context = answer.ID + answer.PIT; r.context == "" {
		return errors.New("the cluster opened a point in time without an id")
	}
	return nil
}

// A search is the body of a request.
type search struct {
	Size    int             `json:"size"`
	Sort    []string        `json:"sort"`
	After   json.RawMessage `json:"search_after,omitempty"`
	Source  *bool           `json:"_source,omitempty"`
	Version bool            `json:"version,omitempty"`
	Total   bool            `json:"track_total_hits"`
	PIT     *pit            `json:"pit,omitempty"`
}

type pit struct {
	ID        string `json:"id"`
	KeepAlive string `json:"keep_alive"`
}

var documentOrder = []string{"_doc"}

// ask sends the request for a page.
func (r *reader) ask() error {
	if r.scroll {
		return r.send("/_search/scroll", map[string]string{"scroll": r.keepAlive(), "scroll_id": r.context}, r.size)
	}
	q := search{
		Size: r.size, Sort: documentOrder, After: r.after, Version: r.s.o.Versions, Total: r.count == 0,
		PIT: &pit{r.context, r.keepAlive()},
	}
	if left := r.skipTo - r.count; left > 0 {
		q.Source = new(bool) // ids are enough
		q.Size = int(min(left, int64(r.spec.Window)))
	}
	return r.send("/_search?allow_partial_search_results=false", q, q.Size)
}

func (r *reader) openScroll(preference string) error {
	query := url.Values{"scroll": {r.keepAlive()}, "preference": {preference}, "allow_partial_search_results": {"false"}}
	q := search{Size: r.size, Sort: documentOrder, Version: r.s.o.Versions, Total: true}
	if err := r.send("/"+url.PathEscape(r.spec.Index)+"/_search?"+query.Encode(), q, r.size); err != nil {
		return err
	}
	// The scroll's id comes before the hits; without it a scroll that is left could not be closed.
	if err := r.page.begin(); err != nil {
		return fmt.Errorf("the answer was cut: %w", err)
	}
	if r.context = r.page.context; r.context == "" {
		return errors.New("the cluster opened a scroll without an id")
	}
	return nil
}

func (r *reader) send(path string, body any, size int) error {
	raw, err := json.Marshal(body)
	if err != nil {
		panic("BUG: a search is not JSON: " + err.Error())
	}
	stream, err := r.s.client.stream(r.ctx, Request{Method: http.MethodPost, Path: path, Body: raw})
	if err != nil {
		return err
	}
	r.page, r.body, r.asked, r.got, r.began = newAnswer(stream), stream, size, 0, r.count
	return nil
}

// Ack implements flow.Reader: the cluster need not know.
func (r *reader) Ack(context.Context, flow.Position) error { return nil }

// Close implements flow.Reader.
func (r *reader) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	r.cancel()
	r.endPage()
	switch {
	case r.context == "":
	case r.scroll || r.last:
		r.s.forget(r.context, r.scroll)
	default:
		r.s.keep(r.context)
	}
	r.err = errors.New("the reader is closed")
	return nil
}

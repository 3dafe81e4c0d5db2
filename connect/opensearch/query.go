package opensearch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/narudata/naru/flow/stream"
)

// QueryOptions say what a Query asks for, and when.
type QueryOptions struct {
	Index  string // names and patterns of indices, by comma
	Body   string // of the search: a JSON object
	Size   int    // hits of a page; 0: 1000
	Slices int    // how many streams share the hits; 0: 1
	// KeepAlive is how long the target keeps what it reads from between two pages, in its own words; "": 1m.
	KeepAlive string
	// SearchAfter reads by points in time, where the target's order of equal hits is such that none is missed between two pages:
	// Elasticsearch from 7.12. Elsewhere, and without it, by scrolls.
	SearchAfter bool
	// Aggregations has one record: the aggregations of the answer.
	Aggregations bool
	// Members of hits that are kept in a record's Meta, a JSON object.
	Members []string
	// Next says when the query is run next; nil: once, at once. The zero time: never again.
	Next func(after time.Time) time.Time
	// Overlap lets a run begin while the one before is not done.
	Overlap bool
	Retries int     // how often a run that failed is begun anew
	Cursor  *Cursor // nil: none
	Port    int32   // of the records
	Log     *slog.Logger
}

// A Query is a source of the hits of a search: a stream for each slice of each run. A record is a hit: its Body is the document as
// the target keeps it, nil if it does not; Index and Key are its place.
//
// A page that cannot be had for now is asked for again for as long as Patience, where that is without danger: with a point in time.
// A scroll goes on or is lost. A run that is lost is begun anew as often as Retries says, so that records come twice; after that it
// is an error if the query is run once only, and otherwise left until its next time.
type Query struct {
	client *Client
	o      QueryOptions
	// Patience bounds how long a page is tried again; 0: 5 min.
	Patience time.Duration
}

var _ stream.Source = (*Query)(nil)

// NewQuery asks through a client, which it closes when Run returns.
func NewQuery(c *Client, o QueryOptions) *Query {
	o.Size, o.Slices, o.KeepAlive = cmp.Or(o.Size, 1000), cmp.Or(o.Slices, 1), cmp.Or(o.KeepAlive, "1m")
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Query{client: c, o: o}
}

// Run implements stream.Source.
func (q *Query) Run(ctx context.Context, open func(stream.Stream)) error {
	defer q.client.Close()
	if q.o.Next == nil {
		return q.attempts(ctx, open)
	}
	var runs sync.WaitGroup
	defer runs.Wait()
	run := func() {
		if err := q.attempts(ctx, open); err != nil && ctx.Err() == nil {
			q.o.Log.Error("a query failed and is left until its next time", "error", err)
		}
	}
	for at := q.o.Next(time.Now()); !at.IsZero(); {
		t := time.NewTimer(time.Until(at))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil
		}
		if q.o.Overlap {
			runs.Go(run)
		} else {
			run()
		}
		now := time.Now()
		if now.Before(at) {
			now = at
		}
		at = q.o.Next(now)
	}
	return nil
}

// attempts runs the query until it succeeds or no attempt is left.
func (q *Query) attempts(ctx context.Context, open func(stream.Stream)) error {
	for attempt := 0; ; attempt++ {
		err := q.once(ctx, open)
		if ctx.Err() != nil {
			err = nil // the pipeline stops
		}
		if err == nil {
			return nil
		}
		if attempt >= q.o.Retries {
			return fmt.Errorf("query %s of %s: %w", q.o.Index, q.client, err)
		}
		q.o.Log.Warn("a query failed and is begun anew", "attempt", attempt+1, "error", err)
		if !pause(ctx, time.Second<<min(attempt, 5)) {
			return nil
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// once runs the query. It returns when its streams are closed.
func (q *Query) once(ctx context.Context, open func(stream.Stream)) error {
	var info Info
	err := q.again(ctx, func() (err error) {
		info, err = q.client.Ask(ctx)
		return err
	})
	if err != nil {
		return err
	}
	r := &queryRun{Query: q}
	text := q.o.Body
	if q.o.Cursor != nil {
		if text, err = q.o.Cursor.inject(text, time.Now()); err != nil {
			return err
		}
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&r.body); err != nil || r.body == nil {
		return fmt.Errorf("the query is no JSON object: %w", err)
	}
	if q.o.SearchAfter && !q.o.Aggregations && steady(info) {
		if err := r.openPIT(ctx); err != nil {
			return err
		}
		defer q.forget("/_pit", map[string]string{"id": r.pit})
	}
	slices := make([]*querySlice, q.o.Slices)
	if q.o.Aggregations {
		slices = slices[:1]
	}
	for i := range slices {
		slices[i] = newSlice(r, i, len(slices))
		open(slices[i])
	}
	complete := true
	var first error
	for _, s := range slices {
		<-s.closed
		first = cmp.Or(first, s.failed())
		complete = complete && s.complete()
	}
	if q.o.Cursor != nil && first == nil && complete {
		return q.o.Cursor.save(slices)
	}
	return first
}

// steady reports that pages of a point in time miss nothing: hits that are equal have an order. OpenSearch orders those of a shard
// only, also by _shard_doc (3.3): of hits that are equal in two shards some are missed.
func steady(i Info) bool { return !i.OpenSearch() && (i.Major > 7 || i.Major == 7 && i.Minor >= 12) }

// again does what changes nothing until it succeeds, fails for good, or patience ends.
func (q *Query) again(ctx context.Context, do func() error) error {
	began := time.Now()
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 30*time.Second) {
		err := do()
		if err == nil || ctx.Err() != nil || time.Since(began) > cmp.Or(q.Patience, 5*time.Minute) {
			return err
		}
		if s, ok := errors.AsType[*StatusError](err); ok && !s.Temporary() && s.Status < 500 {
			return err
		}
		q.o.Log.Warn("the target does not answer a query for now, asking again", "target", q.client.String(), "error", err)
		if !pause(ctx, wait) {
			return err
		}
	}
}

// forget closes a point in time or scroll; if that fails, the target does so when it is not used.
func (q *Query) forget(path string, body any) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := q.client.JSON(ctx, http.MethodDelete, path, body, nil); err != nil {
		q.o.Log.Debug("closing a point in time or scroll failed", "error", err)
	}
}

// queryRun is one run.
type queryRun struct {
	*Query
	body map[string]any // of the search
	pit  string         // the point in time when it was opened; "": scrolls are used
}

func (r *queryRun) openPIT(ctx context.Context) error {
	var answer struct {
		ID string `json:"id"`
	}
	err := r.again(ctx, func() error {
		return r.client.JSON(ctx, http.MethodPost, r.at("/_pit")+"?"+url.Values{"keep_alive": {r.o.KeepAlive}}.Encode(), nil, &answer)
	})
	if err != nil {
		return fmt.Errorf("open a point in time: %w", err)
	}
	if r.pit = answer.ID; r.pit == "" {
		return errors.New("the target opened a point in time without an id")
	}
	order, _ := r.body["sort"].([]any)
	if r.body["sort"] == nil || len(order) == 1 && order[0] == "_doc" { // what documents of two shards may have in common
		r.body["sort"] = []any{"_shard_doc"} // else the target adds it
	}
	return nil
}

func encoded(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("BUG: what was JSON no longer is: " + err.Error())
	}
	return b
}

// at is the path of a call for the indices.
func (r *queryRun) at(call string) string {
	names := strings.Split(r.o.Index, ",")
	for i, n := range names {
		names[i] = url.PathEscape(strings.TrimSpace(n))
	}
	return "/" + strings.Join(names, ",") + call
}

// request is the body of the request for a page.
func (r *queryRun) request(id, of int, pit string, after []byte) []byte {
	body := make(map[string]any, len(r.body)+4)
	for k, v := range r.body {
		body[k] = v
	}
	if of > 1 {
		body["slice"] = map[string]int{"id": id, "max": of}
	}
	if pit != "" {
		body["pit"] = map[string]string{"id": pit, "keep_alive": r.o.KeepAlive}
		if after != nil {
			body["search_after"] = json.RawMessage(after)
		}
	}
	return encoded(body)
}

// search is the path of the request for the first page of a scroll, or for any of a point in time.
func (r *queryRun) search(pit string) string {
	size := "size=" + strconv.Itoa(r.o.Size)
	switch {
	case r.o.Aggregations:
		return r.at("/_search?size=0")
	case pit != "":
		return "/_search?" + size
	}
	return r.at("/_search?" + size + "&" + url.Values{"scroll": {r.o.KeepAlive}}.Encode())
}

package estate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"time"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/estate/measure"
)

// RecordIndex is where a cluster keeps what naru applied to it. It has one document for each object that an estate owns
// (Record), one for each apply (Applied), and one for each change that an apply began (journalEntry).
const RecordIndex = ".naru-estate"

// A Record says who owns an object, what was declared when it was last applied, and what the system made of that. Bodies
// are canonical.
type Record struct {
	Key
	Estate      string          `json:"estate"`
	Environment string          `json:"environment"`
	Declared    json.RawMessage `json:"declared,omitempty"` // none: it was never applied to its end
	Observed    json.RawMessage `json:"observed,omitempty"`
	Apply       string          `json:"apply,omitempty"` // the id of the apply that wrote Observed
	Commit      Commit          `json:"commit,omitzero"`
	By          string          `json:"by,omitempty"`
	At          time.Time       `json:"at,omitzero"`
	// Pending is what an apply began and did not say to have finished.
	Pending *Pending `json:"pending,omitempty"`

	state seenState
}

// ownedBy reports that the record is the environment's. Two environments of an estate in one cluster own different objects.
func (r *Record) ownedBy(d *Desired) bool {
	return r.Estate == d.Estate && r.Environment == d.Environment
}

// declared is what was applied last; nil: nothing was.
func (r *Record) declared() Body {
	if r == nil {
		return nil
	}
	return decoded(r.Declared)
}

// Pending is an intent: written before the object is changed.
type Pending struct {
	Apply    string          `json:"apply"`
	Action   Action          `json:"action"`
	Declared json.RawMessage `json:"declared,omitempty"`
}

// seenState is the state of a document that was seen: what compare-and-set compares. Term 0: there was none.
type seenState struct {
	SeqNo int64 `json:"seq_no"`
	Term  int64 `json:"term"`
}

// Applied is one apply.
type Applied struct {
	ID          string    `json:"apply"`
	Plan        string    `json:"plan"`
	Estate      string    `json:"estate"`
	Environment string    `json:"environment"`
	What        string    `json:"what"` // apply, undo, repair
	Undoes      string    `json:"undoes,omitempty"`
	Commit      Commit    `json:"commit,omitzero"`
	By          string    `json:"by"`
	Started     time.Time `json:"started"`
	Finished    time.Time `json:"finished,omitzero"`
	Changes     int       `json:"changes"`
	Done        int       `json:"done"`
	Failed      string    `json:"failed,omitempty"`
	// Numbers are what was measured before and after; nil: nothing was.
	Numbers *measure.Numbers `json:"numbers,omitempty"`
}

// journalEntry is what one change of an apply found, from which it can be undone.
type journalEntry struct {
	Apply  string          `json:"apply"`
	N      int             `json:"n"`
	Change *Change         `json:"change"`
	Before json.RawMessage `json:"before,omitempty"` // canonical; none: there was none
	Kept   json.RawMessage `json:"kept,omitempty"`   // the body that brings back what Before does not say; none: Before says all
	Record *Record         `json:"record,omitempty"` // as it was
}

// document is how all three are kept: what is searched for beside what is only kept.
type document struct {
	Type        string          `json:"type"` // object, apply, change
	Sort        string          `json:"sort"`
	Estate      string          `json:"estate"`
	Environment string          `json:"environment"`
	Apply       string          `json:"apply,omitempty"`
	Kind        Kind            `json:"kind,omitempty"`
	Name        string          `json:"name,omitempty"`
	Body        json.RawMessage `json:"body"`
}

func keyword() map[string]any { return map[string]any{"type": "keyword", "ignore_above": 8191} }

func ensureRecordIndex(ctx context.Context, c *opensearch.Client) error {
	// not HEAD: to who may not ask, its answer does not say which permission is missing
	_, err := send(ctx, c, opensearch.Request{Method: http.MethodGet, Path: "/" + RecordIndex + "/_settings"})
	if err == nil || !isMissing(err) {
		return err
	}
	err = sendJSON(ctx, c, http.MethodPut, "/"+RecordIndex, map[string]any{
		"settings": map[string]any{"index": map[string]any{"number_of_shards": 1, "auto_expand_replicas": "0-1", "hidden": true}},
		"mappings": map[string]any{"dynamic": false, "properties": map[string]any{
			"type": keyword(), "sort": keyword(), "estate": keyword(), "environment": keyword(), "apply": keyword(), "kind": keyword(), "name": keyword(),
			"body": map[string]any{"type": "object", "enabled": false},
		}},
	}, nil)
	if e, ok := errors.AsType[*opensearch.StatusError](err); ok && e.Type == "resource_already_exists_exception" {
		return nil
	}
	return err
}

// objectID is the id of an object's document: one, whoever owns it.
func objectID(key Key) string {
	sum := sha256.Sum256([]byte(key.String()))
	return "object-" + hex.EncodeToString(sum[:16])
}

func changeID(apply string, n int) string { return fmt.Sprintf("change-%s-%05d", apply, n) }

// records reads all objects' documents, whoever owns them.
func records(ctx context.Context, c *opensearch.Client) (map[Key]*Record, error) {
	all := map[Key]*Record{}
	err := each(ctx, c, map[string]any{"term": map[string]any{"type": "object"}}, func(h *hit) error {
		r, err := h.record()
		if err == nil {
			all[r.Key] = r
		}
		return err
	})
	return all, err
}

// hit is one document as the cluster gives it.
type hit struct {
	ID     string   `json:"_id"`
	SeqNo  int64    `json:"_seq_no"`
	Term   int64    `json:"_primary_term"`
	Source document `json:"_source"`
	Sort   []any    `json:"sort"`
}

func (h *hit) record() (*Record, error) {
	r := &Record{state: seenState{h.SeqNo, h.Term}}
	if err := json.Unmarshal(h.Source.Body, r); err != nil {
		return nil, fmt.Errorf("document %s of %s: %w", h.ID, RecordIndex, err)
	}
	return r, nil
}

const (
	recordPage  = 2000 // documents of one answer
	historyPage = 200  // of applies, whose numbers may be 100 kB and more
)

// each reads the documents that query finds, in pages. An index that is not there has none.
func each(ctx context.Context, c *opensearch.Client, query any, f func(*hit) error) error {
	return eachOf(ctx, c, query, recordPage, f)
}

func eachOf(ctx context.Context, c *opensearch.Client, query any, page int, f func(*hit) error) error {
	err := sendJSON(ctx, c, http.MethodPost, "/"+RecordIndex+"/_refresh", nil, nil)
	if isMissing(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("refresh %s: %w", RecordIndex, err)
	}
	search := map[string]any{
		"size": page, "sort": []any{map[string]any{"sort": "asc"}}, "seq_no_primary_term": true, "track_total_hits": false,
		"query": map[string]any{"bool": map[string]any{"filter": []any{query}}},
	}
	for {
		var answer struct {
			TimedOut bool `json:"timed_out"`
			Shards   struct {
				Failed int `json:"failed"`
			} `json:"_shards"`
			Hits struct {
				Hits []hit `json:"hits"`
			} `json:"hits"`
		}
		if err := sendJSON(ctx, c, http.MethodPost, "/"+RecordIndex+"/_search", search, &answer); err != nil {
			return fmt.Errorf("read %s: %w", RecordIndex, err)
		}
		if answer.TimedOut || answer.Shards.Failed > 0 {
			return fmt.Errorf("read %s: a search gave a part of the answer only", RecordIndex)
		}
		hits := answer.Hits.Hits
		for i := range hits {
			if err := f(&hits[i]); err != nil {
				return err
			}
		}
		if len(hits) < page {
			return nil
		}
		search["search_after"] = hits[len(hits)-1].Sort
	}
}

// errMoved is that somebody else changed a record or an object since it was looked at.
var errMoved = errors.New("somebody else changed it since")

// A write is a record to be written, or removed.
type write struct {
	*Record
	drop bool
}

// pages cuts n documents into requests: at most 500 documents, and about 8 MB unless one alone is larger.
func pages(n int, size func(i int) int) iter.Seq2[int, int] {
	const most, bytes = 500, 8 << 20
	return func(yield func(from, to int) bool) {
		for from := 0; from < n; {
			to, sum := from, 0
			for to < n && to-from < most && (to == from || sum+size(to) <= bytes) {
				sum += size(to)
				to++
			}
			if !yield(from, to) {
				return
			}
			from = to
		}
	}
}

// writeRecords writes and removes records, each only if its document is still as it was seen; then its state is the new
// one. With an error some may have been written. If a document is not as it was seen, it is errMoved.
func writeRecords(ctx context.Context, c *opensearch.Client, all []write) error {
	size := func(i int) int { return len(all[i].Declared) + len(all[i].Observed) + 1000 }
	for from, to := range pages(len(all), size) {
		some := all[from:to]
		err := patiently(ctx, func() (err error) {
			some, err = writeSome(ctx, c, some)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// writeSome writes records by one request, and gives those for which the cluster was too busy. If that is all that was wrong, its
// error says so.
func writeSome(ctx context.Context, c *opensearch.Client, some []write) ([]write, error) {
	var body bytes.Buffer
	lines := json.NewEncoder(&body)
	for _, w := range some {
		meta := map[string]any{"_id": objectID(w.Key)}
		action := "create"
		if w.state.Term != 0 {
			action, meta["if_seq_no"], meta["if_primary_term"] = "index", w.state.SeqNo, w.state.Term
		}
		if w.drop {
			action = "delete"
		}
		if err := lines.Encode(map[string]any{action: meta}); err != nil {
			return some, err
		}
		if w.drop {
			continue
		}
		doc := document{Type: "object", Sort: w.Key.String(), Estate: w.Estate, Environment: w.Environment, Apply: w.Apply, Kind: w.Kind, Name: w.Name, Body: text(w.Record)}
		if err := lines.Encode(doc); err != nil {
			return some, err
		}
	}
	items, err := sendBulk(ctx, c, body.Bytes(), len(some))
	if err != nil {
		return some, fmt.Errorf("write records: %w", err)
	}
	var errs []error
	var left []write
	var tooBusy error
	for i, w := range some {
		item := &items[i]
		err := item.err()
		switch {
		case item.Status == http.StatusConflict:
			errs = append(errs, fmt.Errorf("the record of %s: %w", w.Key, errMoved))
		case w.drop && item.Status == http.StatusNotFound:
		case busy(err):
			left, tooBusy = append(left, w), fmt.Errorf("write the record of %s: %w", w.Key, err)
		case err != nil:
			errs = append(errs, fmt.Errorf("write the record of %s: %w", w.Key, err))
		default:
			w.state = seenState{item.SeqNo, item.Term}
		}
	}
	if len(errs) > 0 {
		return left, errors.Join(errs...)
	}
	return left, tooBusy
}

// bulkItem is the answer to one action of a _bulk.
type bulkItem struct {
	Status int   `json:"status"`
	SeqNo  int64 `json:"_seq_no"`
	Term   int64 `json:"_primary_term"`
	Error  *struct {
		Type   string `json:"type"`
		Reason string `json:"reason"`
	} `json:"error"`
}

// err is why it was not done; nil: it was.
func (i *bulkItem) err() error {
	if i.Status/100 == 2 && i.Error == nil {
		return nil
	}
	e := &opensearch.StatusError{Status: i.Status}
	if i.Error != nil {
		e.Type, e.Reason = i.Error.Type, i.Error.Reason
	}
	return e
}

// sendBulk sends a _bulk of n actions on RecordIndex, once, and gives the answers to them.
func sendBulk(ctx context.Context, c *opensearch.Client, body []byte, n int) ([]bulkItem, error) {
	b, err := c.Do(ctx, opensearch.Request{Method: http.MethodPost, Path: "/" + RecordIndex + "/_bulk", Type: "application/x-ndjson", Body: body})
	if err != nil {
		return nil, err
	}
	var answer struct {
		Items []map[string]bulkItem `json:"items"`
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return nil, fmt.Errorf("answer to _bulk: %w", err)
	}
	if len(answer.Items) != n {
		return nil, fmt.Errorf("the answer to _bulk has %d items, not %d", len(answer.Items), n)
	}
	items := make([]bulkItem, n)
	for i, item := range answer.Items {
		for _, x := range item {
			items[i] = x
		}
	}
	return items, nil
}

func (a *Applied) put(ctx context.Context, c *opensearch.Client) error { return a.write(ctx, c, "") }

func (a *Applied) write(ctx context.Context, c *opensearch.Client, condition string) error {
	doc := document{Type: "apply", Sort: a.Started.Format(time.RFC3339Nano), Estate: a.Estate, Environment: a.Environment, Apply: a.ID, Body: text(a)}
	if err := sendJSON(ctx, c, http.MethodPut, "/"+RecordIndex+"/_doc/apply-"+url.PathEscape(a.ID)+condition, doc, nil); err != nil {
		return fmt.Errorf("write the record of apply %s: %w", a.ID, err)
	}
	return nil
}

// writeJournal writes all entries, durably, before the first change.
func writeJournal(ctx context.Context, c *opensearch.Client, a *Applied, entries []*journalEntry) error {
	size := func(i int) int { return 3*len(entries[i].Change.Body) + 2*len(entries[i].Before) + 1000 }
	for from, to := range pages(len(entries), size) {
		some := entries[from:to]
		err := patiently(ctx, func() (err error) {
			some, err = writeEntries(ctx, c, a, some)
			return err
		})
		if err != nil {
			return fmt.Errorf("write the journal of apply %s: %w", a.ID, err)
		}
	}
	return nil
}

// writeEntries writes entries by one request, and gives those for which the cluster was too busy, as writeSome does.
func writeEntries(ctx context.Context, c *opensearch.Client, a *Applied, some []*journalEntry) ([]*journalEntry, error) {
	var body bytes.Buffer
	lines := json.NewEncoder(&body)
	for _, e := range some {
		id := changeID(e.Apply, e.N)
		doc := document{Type: "change", Sort: id, Estate: a.Estate, Environment: a.Environment, Apply: e.Apply, Kind: e.Change.Kind, Name: e.Change.Name, Body: text(e)}
		if err := errors.Join(lines.Encode(map[string]any{"index": map[string]any{"_id": id}}), lines.Encode(doc)); err != nil {
			return some, err
		}
	}
	items, err := sendBulk(ctx, c, body.Bytes(), len(some))
	if err != nil {
		return some, err
	}
	var left []*journalEntry
	var tooBusy error
	for i, e := range some {
		switch err := items[i].err(); {
		case err == nil:
		case busy(err):
			left, tooBusy = append(left, e), err
		default:
			return nil, err
		}
	}
	return left, tooBusy
}

// journal reads the entries of an apply, in order.
func journal(ctx context.Context, c *opensearch.Client, apply string) ([]*journalEntry, error) {
	var out []*journalEntry
	query := map[string]any{"bool": map[string]any{"filter": []any{
		map[string]any{"term": map[string]any{"type": "change"}}, map[string]any{"term": map[string]any{"apply": apply}},
	}}}
	err := each(ctx, c, query, func(h *hit) error {
		e := new(journalEntry)
		if err := json.Unmarshal(h.Source.Body, e); err != nil {
			return fmt.Errorf("document %s of %s: %w", h.ID, RecordIndex, err)
		}
		out = append(out, e)
		return nil
	})
	return out, err
}

// History lists the applies of an environment, the last one first.
func History(ctx context.Context, t *Target, d *Desired) ([]Applied, error) {
	var out []Applied
	query := map[string]any{"bool": map[string]any{"filter": []any{
		map[string]any{"term": map[string]any{"type": "apply"}}, map[string]any{"term": map[string]any{"estate": d.Estate}},
		map[string]any{"term": map[string]any{"environment": d.Environment}},
	}}}
	err := eachOf(ctx, t.Search, query, historyPage, func(h *hit) error {
		var a Applied
		if err := json.Unmarshal(h.Source.Body, &a); err != nil {
			return fmt.Errorf("document %s of %s: %w", h.ID, RecordIndex, err)
		}
		out = append([]Applied{a}, out...)
		return nil
	})
	return out, err
}

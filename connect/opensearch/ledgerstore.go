package opensearch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/narudata/naru/flow"
)

// A ledger's index has, for each carry, one document with the carry's id as its own, and one for each part that was ever
// claimed, with the id CARRY-PART. Both ids are hashes: what they stand for may be longer than an id can be.

// ledgerCarry is the document of a carry.
type ledgerCarry struct {
	Kind     string          `json:"kind"` // "carry"
	Carry    string          `json:"carry"`
	Identity string          `json:"identity"`
	Started  int64           `json:"started"` // by the first worker's clock, as all times here: for people
	Paused   bool            `json:"paused"`
	Options  json.RawMessage `json:"options,omitempty"`
	Groups   []ledgerGroup   `json:"groups,omitempty"`
}

type ledgerGroup struct {
	Name    string `json:"name"`
	Records int64  `json:"records"`
	Bytes   int64  `json:"bytes"`
}

// ledgerPart is the document of a part.
type ledgerPart struct {
	Kind        string          `json:"kind"` // "part"
	Carry       string          `json:"carry"`
	Key         string          `json:"key"` // its id: what pages of parts are sorted by
	Part        string          `json:"part"`
	Group       string          `json:"group"`
	Records     int64           `json:"records"`
	Bytes       int64           `json:"bytes"`
	Worker      string          `json:"worker"` // who has it, or finished it; "": nobody
	Origin      string          `json:"origin,omitempty"`
	PID         int             `json:"pid,omitempty"`
	LeaseMillis int64           `json:"lease_ms"`
	Updated     int64           `json:"updated"`
	Done        bool            `json:"done"`
	Checkpoint  flow.Checkpoint `json:"checkpoint"`
}

// ledgerState names one state of a document: what compare-and-set compares.
type ledgerState struct{ seqNo, term int64 }

// ledgerMapping: fields that a later version adds are kept and not indexed.
var ledgerMapping = map[string]any{
	"dynamic": false,
	"properties": map[string]any{
		"kind": keyword, "carry": keyword, "key": keyword, "group": keyword, "worker": keyword, "origin": unindexed("keyword"),
		"identity": unindexed("keyword"), "part": unindexed("keyword"), "paused": map[string]any{"type": "boolean"}, "done": map[string]any{"type": "boolean"},
		"started": date, "updated": date, "lease_ms": unindexed("long"), "pid": unindexed("long"), "records": unindexed("long"), "bytes": unindexed("long"),
		"options": opaque, "groups": opaque, "checkpoint": opaque,
	},
}

var (
	keyword = map[string]any{"type": "keyword"}
	date    = map[string]any{"type": "date", "format": "epoch_millis"}
	opaque  = map[string]any{"type": "object", "enabled": false}
)

func unindexed(typ string) map[string]any {
	return map[string]any{"type": typ, "index": false, "doc_values": false}
}

// ensureLedgerIndex makes the index if there is none; somebody else may be faster.
func ensureLedgerIndex(ctx context.Context, c *Client, index string) error {
	// not HEAD: to who may not ask, its answer does not say which permission is missing
	_, err := c.Do(ctx, Request{Method: http.MethodGet, Path: "/" + url.PathEscape(index) + "/_settings"})
	if err == nil || statusOf(err) != http.StatusNotFound {
		return err
	}
	err = c.JSON(ctx, http.MethodPut, "/"+url.PathEscape(index), map[string]any{
		"settings": map[string]any{"index": map[string]any{"number_of_shards": 1, "auto_expand_replicas": "0-1", "hidden": true}},
		"mappings": ledgerMapping,
	}, nil)
	if e, ok := errors.AsType[*StatusError](err); ok && e.Type == "resource_already_exists_exception" {
		return nil
	}
	return err
}

func carryID(carry string) string {
	sum := sha256.Sum256([]byte(carry))
	return hex.EncodeToString(sum[:16])
}

// key is the id of a part's document.
func (l *Ledger) key(part string) string {
	sum := sha256.Sum256([]byte(part))
	return l.id + "-" + hex.EncodeToString(sum[:16])
}

func (l *Ledger) path(rest string) string { return "/" + url.PathEscape(l.o.Index) + rest }

// enrol writes the carry's document if there is none.
func (l *Ledger) enrol(ctx context.Context) error {
	doc := ledgerCarry{Kind: "carry", Carry: l.id, Identity: l.carry, Started: l.now().UnixMilli(), Options: l.o.Options}
	for _, g := range l.o.Groups {
		doc.Groups = append(doc.Groups, ledgerGroup{g.Name, g.Records, g.Bytes})
	}
	err := l.client.JSON(ctx, http.MethodPut, l.path("/_create/"+l.id), doc, nil)
	if statusOf(err) == http.StatusConflict {
		return nil
	}
	return err
}

// got is one document as the cluster gives it.
type got[T any] struct {
	ID     string `json:"_id"`
	SeqNo  int64  `json:"_seq_no"`
	Term   int64  `json:"_primary_term"`
	Found  bool   `json:"found"`
	Source T      `json:"_source"`
	Sort   []any  `json:"sort"`
}

func (g *got[T]) state() ledgerState { return ledgerState{g.SeqNo, g.Term} }

// look reads a part's document as it is now.
func (l *Ledger) look(ctx context.Context, h *holding, part string) error {
	var doc got[ledgerPart]
	err := l.client.JSON(ctx, http.MethodGet, l.path("/_doc/"+l.key(part)), nil, &doc)
	if statusOf(err) == http.StatusNotFound && !isIndexMissing(err) {
		h.known, h.doc = false, ledgerPart{}
		return nil
	}
	if err != nil {
		return err
	}
	h.adopt(doc.Source, doc.state(), l.now())
	return nil
}

func isIndexMissing(err error) bool {
	e, ok := errors.AsType[*StatusError](err)
	return ok && e.Type == "index_not_found_exception"
}

// lookAll reads the documents of several parts as they are now.
func (l *Ledger) lookAll(ctx context.Context, saves []*ledgerSave) error {
	byID := map[string]*ledgerSave{}
	var ids []string
	for _, s := range saves {
		byID[l.key(s.cp.Part)] = s
		ids = append(ids, l.key(s.cp.Part))
	}
	var answer struct {
		Docs []struct {
			got[ledgerPart]
			Error *reason `json:"error"`
		} `json:"docs"`
	}
	if err := l.client.JSON(ctx, http.MethodPost, l.path("/_mget"), map[string]any{"ids": ids}, &answer); err != nil {
		return err
	}
	for _, d := range answer.Docs {
		s := byID[d.ID]
		switch {
		case s == nil:
			return fmt.Errorf("the answer to _mget names %q, which was not asked for", d.ID)
		case d.Error != nil:
			return fmt.Errorf("read part %s: %w", s.cp.Part, &StatusError{Status: http.StatusServiceUnavailable, Type: d.Error.Type, Reason: d.Error.text()})
		case !d.Found:
			s.h.known, s.h.doc = false, ledgerPart{}
		default:
			s.h.adopt(d.Source, d.state(), l.now())
		}
		delete(byID, d.ID)
	}
	if len(byID) > 0 {
		return fmt.Errorf("the answer to _mget is short of %d documents", len(byID))
	}
	return nil
}

// put writes a part's document if it is still as it was seen.
func (l *Ledger) put(ctx context.Context, h *holding, doc ledgerPart) (ledgerState, error) {
	path := l.path("/_create/" + doc.Key)
	if h.known {
		path = l.path(fmt.Sprintf("/_doc/%s?if_seq_no=%d&if_primary_term=%d", doc.Key, h.at.seqNo, h.at.term))
	}
	var answer got[struct{}]
	err := l.client.JSON(ctx, http.MethodPut, path, doc, &answer)
	return answer.state(), err
}

// putAll writes several in one request, and gives those that are no longer as they were seen. With an error some may
// have been written.
func (l *Ledger) putAll(ctx context.Context, saves []*ledgerSave) (refused []*ledgerSave, err error) {
	var body bytes.Buffer
	lines := json.NewEncoder(&body)
	type action struct {
		ID    string `json:"_id"`
		SeqNo int64  `json:"if_seq_no"`
		Term  int64  `json:"if_primary_term"`
	}
	for _, s := range saves {
		if err := lines.Encode(map[string]action{"index": {s.doc.Key, s.h.at.seqNo, s.h.at.term}}); err != nil {
			return nil, err
		}
		if err := lines.Encode(&s.doc); err != nil {
			return nil, err
		}
	}
	answer, err := l.client.Do(ctx, Request{Method: http.MethodPost, Path: l.path("/_bulk"), Type: "application/x-ndjson", Body: body.Bytes()})
	if err != nil {
		return nil, err
	}
	var result struct {
		Items []struct {
			Index struct {
				Status int     `json:"status"`
				SeqNo  int64   `json:"_seq_no"`
				Term   int64   `json:"_primary_term"`
				Error  *reason `json:"error"`
			} `json:"index"`
		} `json:"items"`
	}
	if err := json.Unmarshal(answer, &result); err != nil {
		return nil, fmt.Errorf("answer to _bulk: %w", err)
	}
	if len(result.Items) != len(saves) {
		return nil, fmt.Errorf("the answer to _bulk has %d items, not %d", len(result.Items), len(saves))
	}
	for i, s := range saves {
		switch item := &result.Items[i].Index; {
		case item.Status == http.StatusConflict:
			refused = append(refused, s)
		case item.Status >= 300 || item.Error != nil:
			why := &StatusError{Status: item.Status}
			if item.Error != nil {
				why.Type, why.Reason = item.Error.Type, item.Error.text()
			}
			err = errors.Join(err, fmt.Errorf("part %s: %w", s.cp.Part, why))
		default:
			s.h.adopt(s.doc, ledgerState{item.SeqNo, item.Term}, l.now())
			s.kept = true
		}
	}
	if err != nil {
		return nil, err
	}
	return refused, nil
}

// ledgerPage is how many documents are read at a time.
const ledgerPage = 1000

// eachPart reads the documents of a carry's parts, in pages.
func eachPart(ctx context.Context, c *Client, index, carry string, f func(*got[ledgerPart])) error {
	base := "/" + url.PathEscape(index)
	if err := c.JSON(ctx, http.MethodPost, base+"/_refresh", nil, nil); err != nil {
		return fmt.Errorf("refresh: %w", err)
	}
	query := map[string]any{
		"size": ledgerPage, "sort": []any{map[string]any{"key": "asc"}}, "seq_no_primary_term": true, "track_total_hits": false,
		"query": map[string]any{"bool": map[string]any{"filter": []any{
			map[string]any{"term": map[string]any{"carry": carry}}, map[string]any{"term": map[string]any{"kind": "part"}},
		}}},
	}
	for {
		var answer struct {
			TimedOut bool `json:"timed_out"`
			Shards   struct {
				Failed int `json:"failed"`
			} `json:"_shards"`
			Hits struct {
				Hits []got[ledgerPart] `json:"hits"`
			} `json:"hits"`
		}
		if err := c.JSON(ctx, http.MethodPost, base+"/_search", query, &answer); err != nil {
			return err
		}
		if answer.TimedOut || answer.Shards.Failed > 0 {
			return errors.New("a search of the ledger gave a part of the answer only")
		}
		hits := answer.Hits.Hits
		for i := range hits {
			f(&hits[i])
		}
		if len(hits) < ledgerPage {
			return nil
		}
		query["search_after"] = hits[len(hits)-1].Sort
	}
}

// sync reads all parts. What a search sees may be older than what is known.
func (l *Ledger) sync(ctx context.Context) error {
	l.mu.Lock()
	l.stale = false
	l.mu.Unlock()
	err := eachPart(ctx, l.client, l.o.Index, l.id, func(d *got[ledgerPart]) {
		h := l.holding(d.Source.Part)
		if !h.mu.TryLock() {
			return // somebody is just finding out better
		}
		defer h.mu.Unlock()
		if h.claimed || h.known && d.Term <= h.at.term && d.SeqNo < h.at.seqNo {
			return
		}
		h.adopt(d.Source, d.state(), l.now())
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.synced = l.now()
	return err
}

// patiently tries again what fails for now.
func patiently(ctx context.Context, f func() error) error {
	const most = 6
	wait := 100 * time.Millisecond
	for n := 1; ; n++ {
		err := f()
		if err == nil || n == most || ctx.Err() != nil {
			return err
		}
		if e, ok := errors.AsType[*StatusError](err); ok && !e.Temporary() {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
		wait *= 2
	}
}

package opensearch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/narudata/naru/flow"
)

// Up to Elasticsearch 5 an index could have several mapping types, and documents of different types the same id. On the
// target they would be one document. The first to come is created; the next finds an id that is taken, which for any
// other index means that it is there already. So for these indices what has the id is looked at: it is the record
// itself, from an earlier attempt, only if it is the same byte for byte.

// errOtherType is why a record whose id is taken by another type's document is refused.
var errOtherType = errors.New("another document of the index has this id already: in the source they are of different mapping types, which the target does not have")

// Bounds of a request that looks at what is there.
const (
	lookRecords = 64
	lookBytes   = 4 << 20 // of the records themselves; what is there may be larger
)

// severalTypes reports that documents of the index may share ids, as their types differ.
func (s *Sink) severalTypes(index string) bool {
	s.prepare.mu.Lock()
	defer s.prepare.mu.Unlock()
	p := s.prepare.indices[index]
	return p != nil && p.types > 1
}

// settle decides of records whose ids are taken what that means. It returns those that it could not decide on, with the
// reason.
func (w *writing) settle(ctx context.Context, taken []int) (again []int, why error) {
	for len(taken) > 0 {
		n, size := 0, 0
		for n < len(taken) && n < lookRecords {
			if size += len(w.recs[taken[n]].Body); size > lookBytes && n > 0 {
				break
			}
			n++
		}
		if err := w.look(ctx, taken[:n]); err != nil {
			return taken, err
		}
		taken = taken[n:]
	}
	return nil, nil
}

// look compares records with what the target has under their ids.
func (w *writing) look(ctx context.Context, taken []int) error {
	body := []byte(`{"docs":[`)
	for k, i := range taken {
		r := &w.recs[i]
		if k > 0 {
			body = append(body, ',')
		}
		body = appendString(append(body, `{"_index":`...), r.Index)
		body = appendString(append(body, `,"_id":`...), r.Key)
		if r.Routing != nil {
			body = appendString(append(body, `,"routing":`...), r.Routing)
		}
		body = append(body, '}')
	}
	body = append(body, `]}`...)
	answer, err := w.sink.client.Do(ctx, Request{Method: http.MethodPost, Path: "/_mget", Body: body})
	if err != nil {
		return err
	}
	var verdicts []error
	err = eachDocument(answer, func(h *hit) error {
		if len(verdicts) == len(taken) {
			return fmt.Errorf("%w: more than the %d documents asked for", errAnswer, len(taken))
		}
		r := &w.recs[taken[len(verdicts)]]
		switch {
		case !bytes.Equal(h.id, r.Key):
			return fmt.Errorf("%w: document %q in the place of %q", errAnswer, h.id, r.Key)
		case h.source == nil:
			return fmt.Errorf("document %q has been there and is not", r.Key)
		case bytes.Equal(trimSpace(h.source), trimSpace(r.Body)) && bytes.Equal(h.routing, r.Routing):
			verdicts = append(verdicts, flow.ErrThere)
		default:
			verdicts = append(verdicts, flow.Permanent(errOtherType))
		}
		return nil
	})
	if err == nil && len(verdicts) != len(taken) {
		err = fmt.Errorf("%w: %d documents of %d", errAnswer, len(verdicts), len(taken))
	}
	if err != nil {
		return fmt.Errorf("look at the documents that are there: %w", err)
	}
	for k, i := range taken {
		w.fail(i, verdicts[k])
	}
	return nil
}

// eachDocument gives the documents of the answer to _mget, {"docs":[DOCUMENT,DOCUMENT,…]}, in order. A document is
// valid until do returns; one that is not there has no source.
func eachDocument(answer []byte, do func(*hit) error) error {
	bad := fmt.Errorf("%w: to _mget: %.200q", errAnswer, answer)
	var h hit
	var failed error
	end := eachMember(answer, max(0, skipSpace(answer, 0)), func(key []byte, i int) int {
		if string(key) != "docs" {
			return skipValueAfterSpace(answer, i, true)
		}
		if i = skipSpace(answer, i); i < 0 || i >= len(answer) || answer[i] != '[' {
			return malformed
		}
		for i++; ; i++ {
			if i = skipSpace(answer, i); i < 0 || i >= len(answer) {
				return malformed
			}
			if answer[i] == ']' {
				return i + 1
			}
			start := i
			if i = h.parse(answer, start); i < 0 {
				return malformed
			}
			if failed = documentError(answer[start:i], &h); failed == nil {
				failed = do(&h)
			}
			if failed != nil {
				return malformed
			}
			if i = skipSpace(answer, i); i < 0 || i >= len(answer) {
				return malformed
			}
			if answer[i] == ']' {
				return i + 1
			}
			if answer[i] != ',' {
				return malformed
			}
		}
	})
	if failed != nil {
		return failed
	}
	if end < 0 {
		return bad
	}
	return nil
}

// documentError gives why a document of the answer to _mget could not be looked up.
func documentError(raw []byte, h *hit) error {
	if h.source != nil {
		return nil
	}
	var d struct {
		Error *reason `json:"error"`
	}
	if json.Unmarshal(raw, &d) == nil && d.Error != nil {
		return errors.New(d.Error.text())
	}
	return nil
}

package estate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/narudata/naru/connect/opensearch"
)

// A Note is a document that another package keeps in RecordIndex, beside the estate's own.
type Note struct {
	Type        string // not one of the estate's: object, apply, change
	ID          string // of its document, begins with the type
	Estate      string
	Environment string
	Body        json.RawMessage

	state seenState
}

// ErrNoteMoved is that somebody else wrote a note since it was read.
var ErrNoteMoved = fmt.Errorf("the note: %w", errMoved)

// Notes reads the notes of a type, in the order of their ids.
func Notes(ctx context.Context, t *Target, typ string) ([]*Note, error) {
	var out []*Note
	err := each(ctx, t.Search, map[string]any{"term": map[string]any{"type": typ}}, func(h *hit) error {
		out = append(out, &Note{
			Type: typ, ID: h.ID, Estate: h.Source.Estate, Environment: h.Source.Environment, Body: h.Source.Body, state: seenState{h.SeqNo, h.Term},
		})
		return nil
	})
	return out, err
}

// Write creates the note, or changes it if it is still as it was read or written by n; else it is ErrNoteMoved.
func (n *Note) Write(ctx context.Context, t *Target) error {
	if err := ensureRecordIndex(ctx, t.Search); err != nil {
		return fmt.Errorf("make the index %s: %w", RecordIndex, err)
	}
	path := "/" + RecordIndex + "/_create/" + url.PathEscape(n.ID)
	if n.state.Term != 0 {
		path = n.path()
	}
	doc := document{Type: n.Type, Sort: n.ID, Estate: n.Estate, Environment: n.Environment, Body: n.Body}
	var answer struct {
		SeqNo int64 `json:"_seq_no"`
		Term  int64 `json:"_primary_term"`
	}
	if err := sendJSON(ctx, t.Search, http.MethodPut, path, doc, &answer); err != nil {
		return n.failed("write", err)
	}
	n.state = seenState{answer.SeqNo, answer.Term}
	return nil
}

// Remove deletes the note if it is still as it was read.
func (n *Note) Remove(ctx context.Context, t *Target) error {
	_, err := send(ctx, t.Search, opensearch.Request{Method: http.MethodDelete, Path: n.path()})
	if isMissing(err) {
		return nil
	}
	return n.failed("remove", err)
}

func (n *Note) path() string {
	return fmt.Sprintf("/%s/_doc/%s?if_seq_no=%d&if_primary_term=%d", RecordIndex, url.PathEscape(n.ID), n.state.SeqNo, n.state.Term)
}

func (n *Note) failed(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case isConflict(err):
		return ErrNoteMoved
	}
	return fmt.Errorf("%s the note %s: %w", what, n.ID, err)
}

func isConflict(err error) bool {
	e, ok := errors.AsType[*opensearch.StatusError](err)
	return ok && e.Status == http.StatusConflict
}

package output

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/logstash/input"
)

// What a shadow makes in a cluster says of itself that it is a shadow's: [mappings][_meta][naru][shadow] of an index, [_meta] of a composable
// template, and that of the mappings of a legacy one. Only what says so is ever removed, each by its own name. So an index that is
// called like a shadow's, and was made by somebody else, stays, and so does a copy under another name.

// shadowMark is what it says.
type shadowMark struct {
	Group string `json:"group"`          // the consumer group of the route
	Hash  string `json:"hash"`           // of the version
	Name  string `json:"name,omitempty"` // of the index or template; of an index with date math, which the cluster resolves, the expression
}

func (m shadowMark) meta() object { return object{"naru": object{"shadow": m}} }

// metaOf is where a mark is.
type metaOf struct {
	Meta struct {
		Naru struct {
			Shadow *shadowMark `json:"shadow"`
		} `json:"naru"`
	} `json:"_meta"`
}

// ours gives the hash of the version whose shadow made what has a name, if its mark says so.
func (m *metaOf) ours(group, name string) (hash string, ok bool) {
	s := m.Meta.Naru.Shadow
	if s == nil || s.Group != group || !strings.HasPrefix(name, input.ShadowPrefix(s.Hash)) {
		return "", false
	}
	return s.Hash, s.Name == name || strings.HasPrefix(s.Name, "<")
}

// marking makes the indices of a shadow, before anything is written to them, so that they have a mark. What cannot be made is written to as it
// is: the cluster makes it, without a mark, and it stays.
type marking struct {
	flow.Sink
	client *opensearch.Client
	begin  func(ctx context.Context, c *opensearch.Client) error // templates, which an index takes up when it is made
	mark   shadowMark
	log    *slog.Logger

	mu    sync.Mutex // guards what follows
	begun bool
	known map[string]bool
}

// Write implements flow.Sink.
func (m *marking) Write(ctx context.Context, recs []flow.Record) error {
	if err := m.prepare(ctx, recs); err != nil {
		return err
	}
	return m.Sink.Write(ctx, recs)
}

func (m *marking) prepare(ctx context.Context, recs []flow.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.begun {
		if err := m.begin(ctx, m.client); err != nil {
			return err
		}
		m.begun = true
	}
	for i := range recs {
		name, ok := indexOf(recs[i].Body)
		if !ok || m.known[string(name)] {
			continue
		}
		if err := m.make(ctx, string(name)); err != nil {
			return err
		}
		if len(m.known) >= mostNames {
			clear(m.known)
		}
		m.known[string(name)] = true
	}
	return nil
}

// make makes an index if there is none of that name.
func (m *marking) make(ctx context.Context, name string) error {
	if !strings.HasPrefix(strings.TrimPrefix(name, "<"), input.ShadowPrefix(m.mark.Hash)) {
		return nil // nothing else is a shadow's
	}
	at := "/" + url.PathEscape(name)
	// An alias or a data stream of that name is not made again, either; and what is there takes documents as it is.
	there, err := exists(ctx, m.client, at)
	if err == nil && there {
		return nil
	}
	mark := m.mark
	mark.Name = name
	if err == nil {
		err = m.client.JSON(ctx, http.MethodPut, at, object{"mappings": object{"_meta": mark.meta()}}, nil)
	}
	s, refused := errors.AsType[*opensearch.StatusError](err)
	switch {
	case err == nil:
		m.log.Info("made an index of the shadow", "index", name)
		return nil
	case !refused || s.Temporary() || s.Status >= 500 || s.Status == http.StatusUnauthorized:
		return fmt.Errorf("make the index %s: %w", name, err)
	case strings.Contains(err.Error(), "resource_already_exists_exception"): // another process was faster
		return nil
	}
	m.log.Warn("an index of the shadow cannot be marked: it is not removed when the shadow is over", "index", name, "error", err)
	return nil
}

// indexOf gives the index that a line of _bulk names.
func indexOf(body []byte) ([]byte, bool) {
	const before = `{"_index":"`
	at := bytes.Index(body[:min(len(body), 32)], []byte(before)) // the action is before it
	if at < 0 {
		return nil, false
	}
	name := body[at+len(before):]
	end := bytes.IndexByte(name, '"')
	if end < 0 || bytes.IndexByte(name[:end], '\\') >= 0 { // no index has such a name
		return nil, false
	}
	return name[:end], true
}

// marked gives a template a mark. Legacy templates whose mappings have types have none, and stay.
func (m shadowMark) marked(body object, composable bool) {
	at := body
	if !composable {
		of, ok := body["mappings"].(object)
		if body["mappings"] == nil {
			of, ok = object{}, true
			body["mappings"] = of
		}
		if !ok {
			return
		}
		for name := range of {
			switch name {
			case "properties", "dynamic", "dynamic_templates", "date_detection", "numeric_detection", "dynamic_date_formats", "_source", "_routing", "_meta":
			default:
				return
			}
		}
		at = of
	}
	meta, ok := at["_meta"].(object)
	if !ok {
		meta = object{}
	}
	meta["naru"] = m.meta()["naru"]
	at["_meta"] = meta
}

// A Sweeper removes what shadows have left where an output writes.
type Sweeper interface {
	// Sweep removes what versions of a group have made in shadow, of those of which over says so. It gives the names of what it has
	// removed. Errors of one thing do not keep it from the others.
	Sweep(ctx context.Context, group string, over func(hash string) bool) (removed []string, err error)
}

var _ Sweeper = (*bulkOutput)(nil)

// Sweep implements Sweeper.
func (b *bulkOutput) Sweep(ctx context.Context, group string, over func(hash string) bool) (removed []string, err error) {
	c, err := b.dial()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var errs []error
	for _, of := range []struct {
		what, list, path string
		read             func([]byte) (map[string]metaOf, error)
	}{
		{"index ", "/shadow-*/_mapping?allow_no_indices=true&ignore_unavailable=true&expand_wildcards=all&filter_path=*.mappings._meta", "/", readMappings},
		{"template ", "/_index_template/shadow-*", "/_index_template/", readComposable},
		{"template ", "/_template/shadow-*", "/_template/", readMappings},
	} {
		answer, err := c.Do(ctx, opensearch.Request{Method: http.MethodGet, Path: of.list})
		if s := statusOf(err); s == http.StatusNotFound || s == http.StatusMethodNotAllowed || s == http.StatusBadRequest {
			continue // there is none, or the target does not have such things
		}
		var found map[string]metaOf
		if err == nil {
			found, err = of.read(answer)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("what shadows have left in %s: %w", c, err))
			continue
		}
		for name, m := range found {
			hash, ok := m.ours(group, name)
			if !ok || !over(hash) {
				continue
			}
			switch err := c.JSON(ctx, http.MethodDelete, of.path+url.PathEscape(name), nil, nil); {
			case err == nil:
				removed = append(removed, of.what+name)
			case statusOf(err) != http.StatusNotFound: // another process was faster
				errs = append(errs, fmt.Errorf("remove %s%s: %w", of.what, name, err))
			}
		}
	}
	return removed, errors.Join(errs...)
}

// readMappings reads what is under [mappings] of indices, or of legacy templates.
func readMappings(answer []byte) (map[string]metaOf, error) {
	var all map[string]struct {
		Mappings json.RawMessage `json:"mappings"`
	}
	if err := json.Unmarshal(answer, &all); err != nil {
		return nil, err
	}
	out := map[string]metaOf{}
	for name, of := range all {
		var m metaOf
		if json.Unmarshal(of.Mappings, &m) == nil { // else it is somebody else's
			out[name] = m
		}
	}
	return out, nil
}

func readComposable(answer []byte) (map[string]metaOf, error) {
	var all struct {
		Templates []struct {
			Name string          `json:"name"`
			Of   json.RawMessage `json:"index_template"`
		} `json:"index_templates"`
	}
	if err := json.Unmarshal(answer, &all); err != nil {
		return nil, err
	}
	out := map[string]metaOf{}
	for _, t := range all.Templates {
		var m metaOf
		if json.Unmarshal(t.Of, &m) == nil {
			out[t.Name] = m
		}
	}
	return out, nil
}

package clone

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/flow"
)

// A Run makes what a plan says.
type Run struct {
	*Plan
	From, To Side
	Now      func() time.Time
	Step     func(what string) // is told what is done; nil: nobody is
	Stop     <-chan struct{}   // once it is closed, Begin ends between two steps with estate.ErrStopped
}

func (r *Run) step(format string, args ...any) {
	if r.Step != nil {
		r.Step(fmt.Sprintf(format, args...))
	}
}

func (r *Run) stopped() bool {
	select {
	case <-r.Stop:
		return true
	default:
		return false
	}
}

// Begin makes the indices, templates, policies, pipelines and data streams, all of them empty. It may be called again after
// it was cut short.
func (r *Run) Begin(ctx context.Context) error {
	if n := len(r.Problems); n > 0 {
		return fmt.Errorf("the clone cannot be made: %s", r.Problems[0])
	}
	c, rec := r.To.Search, r.Record
	if err := rec.write(ctx, r.To.Target); errors.Is(err, estate.ErrNoteMoved) {
		return errors.New("somebody else has begun, or goes on with, this clone in the meantime: look at it with a new plan")
	} else if err != nil {
		return err
	}
	if err := r.makeIndices(ctx, c); err != nil {
		return err
	}
	if r.stopped() {
		return estate.ErrStopped
	}
	if p := r.structure; p != nil && len(p.Changes) > 0 {
		applier := estate.Applier{Target: r.To.Target, By: estate.Who(), Now: r.Now, Stop: r.Stop, Step: func(_ int, ch *estate.Change) { r.step("%s %s", ch.Action, ch.Key) }}
		if _, err := applier.Apply(ctx, p); err != nil {
			return err
		}
	}
	for _, m := range rec.Made {
		if r.stopped() {
			return estate.ErrStopped
		}
		if m.Stream && !m.There {
			if err := r.makeStream(ctx, c, m); err != nil {
				return fmt.Errorf("data stream %s: %w", m.Name, err)
			}
		}
	}
	if rec.Policy != "" {
		if err := r.attach(ctx, c); err != nil {
			return err
		}
	}
	return rec.write(ctx, r.To.Target)
}

// makeIndices creates those that are not there, with the clone's mark from their first moment.
func (r *Run) makeIndices(ctx context.Context, c *opensearch.Client) error {
	sink := opensearch.NewSink(c, opensearch.Options{Guard: opensearch.Guard{Off: true}}) // prepares, writes nothing
	for i := range r.groups {
		g := r.groups[i]
		m := r.made(g.Name)
		if m == nil || m.Stream || m.There {
			continue
		}
		if r.stopped() {
			return estate.ErrStopped
		}
		renamed, err := r.Record.group(g)
		if err != nil {
			return err
		}
		if err := sink.Prepare(ctx, []flow.Group{renamed}); err != nil {
			return err
		}
		if ours, err := r.Record.marked(ctx, c, m); err != nil {
			return err
		} else if !ours {
			return fmt.Errorf("index %s came to be in the meantime, and is not the clone's", m.Name)
		}
		for _, p := range sink.Prepared() {
			for _, what := range p.LeftOut {
				r.Notes = append(r.Notes, fmt.Sprintf("left out of %s: %s", p.Index, what))
			}
		}
		var meta sourceMeta
		if err := json.Unmarshal(g.Meta, &meta); err != nil {
			return err
		}
		if err := r.quiet(ctx, c, m, &meta); err != nil {
			return fmt.Errorf("index %s: %w", m.Name, err)
		}
		r.step("create index %s", m.Name)
	}
	return nil
}

// made is what is made of an index of the other environment.
func (r *Run) made(of string) *Made {
	for _, m := range r.Record.Made {
		if m.Of == of {
			return m
		}
	}
	return nil
}

// quiet keeps the pipelines of an index away from what is carried into it, and notes which settings it is to have after
// that: those of theirs, or what it has by its template.
func (r *Run) quiet(ctx context.Context, c *opensearch.Client, m *Made, theirs *sourceMeta) error {
	path := "/" + url.PathEscape(m.Name) + "/_settings"
	var answer map[string]struct {
		Settings map[string]any `json:"settings"`
	}
	if err := c.JSON(ctx, http.MethodGet, path+"?flat_settings=true&expand_wildcards=all", nil, &answer); err != nil {
		return err
	}
	has := map[string]any{}
	for _, x := range answer {
		has = x.Settings
	}
	const final, none = "index.final_pipeline", "_none"
	if m.Later == nil {
		m.Later = map[string]string{}
		for _, name := range []string{"index.default_pipeline", final} {
			want, is := text(has[name]), text(has[name])
			if theirs != nil {
				want = text(theirs.Settings[name])
			}
			if want != is || name == final && is != "" && is != none {
				m.Later[name] = want
			}
		}
		if theirs != nil {
			for name, v := range theirs.Settings {
				if s, ok := v.(string); ok && isLater(name) && !strings.HasSuffix(name, "_pipeline") {
					m.Later[name] = s
				}
			}
		}
	}
	m.There = true
	if err := r.Record.write(ctx, r.To.Target); err != nil {
		return err
	}
	if is := text(has[final]); is != "" && is != none {
		return c.JSON(ctx, http.MethodPut, path, map[string]any{final: none}, nil)
	}
	return nil
}

func text(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return ""
}

// makeStream creates a data stream and marks it. One that is there without a mark is taken for what a run that was cut short
// made, if it is empty.
func (r *Run) makeStream(ctx context.Context, c *opensearch.Client, m *Made) error {
	path := "/" + url.PathEscape(m.Name)
	_, err := c.Do(ctx, opensearch.Request{Method: http.MethodPut, Path: "/_data_stream" + path})
	if e, ok := errors.AsType[*opensearch.StatusError](err); ok && (e.Type == "resource_already_exists_exception" || strings.Contains(e.Reason, "already exists")) {
		ours, err := r.Record.marked(ctx, c, m)
		if err != nil {
			return err
		}
		var n struct{ Count int64 }
		if err := c.JSON(ctx, http.MethodGet, path+"/_count", nil, &n); err != nil {
			return err
		}
		if !ours && n.Count > 0 {
			return fmt.Errorf("it has %d documents, and the clone did not make it", n.Count)
		}
	} else if err != nil {
		return err
	}
	var answer map[string]struct {
		Mappings struct {
			Meta map[string]any `json:"_meta"`
		} `json:"mappings"`
	}
	if err := c.JSON(ctx, http.MethodGet, path+"/_mapping", nil, &answer); err != nil {
		return err
	}
	for index, x := range answer {
		meta := x.Mappings.Meta
		if meta == nil {
			meta = map[string]any{}
		}
		meta[markName] = r.Record.mark()
		if err := c.JSON(ctx, http.MethodPut, "/"+url.PathEscape(index)+"/_mapping", map[string]any{"_meta": meta}, nil); err != nil {
			return err
		}
	}
	if n := r.Record.Replicas; n >= 0 {
		settings := map[string]any{"index.auto_expand_replicas": nil, "index.number_of_replicas": strconv.Itoa(n)}
		if err := c.JSON(ctx, http.MethodPut, path+"/_settings", settings, nil); err != nil {
			return err
		}
	}
	r.step("create data stream %s", m.Name)
	return r.quiet(ctx, c, m, nil)
}

// marked reports that an index, or one behind a data stream, bears the clone's mark. One that is not there does not.
func (r *Record) marked(ctx context.Context, c *opensearch.Client, m *Made) (bool, error) {
	var answer map[string]struct {
		Mappings struct {
			Meta map[string]json.RawMessage `json:"_meta"`
		} `json:"mappings"`
	}
	err := c.JSON(ctx, http.MethodGet, "/"+url.PathEscape(m.Name)+"/_mapping", nil, &answer)
	if isMissing(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", m.Name, err)
	}
	for index, x := range answer {
		var mark struct{ ID string }
		if m.Stream == strings.HasPrefix(index, ".ds-") && json.Unmarshal(x.Mappings.Meta[markName], &mark) == nil && mark.ID == r.ID {
			return true, nil
		}
	}
	return false, nil
}

func isMissing(err error) bool {
	e, ok := errors.AsType[*opensearch.StatusError](err)
	return ok && e.Status == http.StatusNotFound
}

// attach puts the clone's indices under its policy, those of data streams not: ISM may not delete the index that is written
// to, and would try for ever.
func (r *Run) attach(ctx context.Context, c *opensearch.Client) error {
	policies, err := estate.List(ctx, r.To.Target, estate.ISMPolicies)
	if err != nil {
		return err
	}
	policy := policies[r.Record.Policy]
	if policy == nil {
		return fmt.Errorf("the policy %s is not there", r.Record.Policy)
	}
	for some := range slices.Chunk(slices.DeleteFunc(slices.Clone(r.Record.Made), func(m *Made) bool { return m.Stream || !m.There }), 50) {
		if err := r.attachSome(ctx, c, some, policy.SeqNo); err != nil {
			return err
		}
	}
	return nil
}

func (r *Run) attachSome(ctx context.Context, c *opensearch.Client, some []*Made, seqNo int64) error {
	names := make([]string, len(some))
	for i, m := range some {
		names[i] = url.PathEscape(m.Name)
	}
	var explained map[string]json.RawMessage
	if err := c.JSON(ctx, http.MethodGet, "/_plugins/_ism/explain/"+strings.Join(names, ",")+"?size=1000", nil, &explained); err != nil && !isMissing(err) {
		return fmt.Errorf("which policies manage the clone's indices: %w", err)
	}
	var add, change []string
	for i, m := range some {
		var is struct {
			Policy string `json:"policy_id"`
			SeqNo  *int64 `json:"policy_seq_no"`
		}
		_ = json.Unmarshal(explained[m.Name], &is) // none: it has no policy
		switch {
		case is.Policy == "":
			add = append(add, names[i])
		case is.Policy != r.Record.Policy || is.SeqNo != nil && *is.SeqNo != seqNo:
			change = append(change, names[i])
		}
	}
	for _, x := range []struct {
		call  string
		names []string
	}{{"add", add}, {"change_policy", change}} {
		if len(x.names) == 0 {
			continue
		}
		var answer struct {
			Failed []struct {
				Index  string `json:"index_name"`
				Reason string `json:"reason"`
			} `json:"failed_indices"`
		}
		body := map[string]string{"policy_id": r.Record.Policy}
		if x.call == "change_policy" {
			body["state"] = "kept"
		}
		if err := c.JSON(ctx, http.MethodPost, "/_plugins/_ism/"+x.call+"/"+strings.Join(x.names, ","), body, &answer); err != nil {
			return fmt.Errorf("put the clone's indices under the policy %s: %w", r.Record.Policy, err)
		}
		for _, f := range answer.Failed {
			r.Notes = append(r.Notes, fmt.Sprintf("%s is not under the policy that would delete it: %s; `naru env expire` does", f.Index, f.Reason))
		}
	}
	return nil
}

// Finish ends a clone whose documents are all carried and compared: its indices get the rest of their settings, and the
// record says that it is done.
func (r *Run) Finish(ctx context.Context, documents int64) error {
	c := r.To.Search
	for _, m := range r.Record.Made {
		if !m.There || len(m.Later) == 0 {
			continue
		}
		settings := map[string]any{}
		for name, v := range m.Later {
			settings[name] = v
			if v == "" {
				settings[name] = nil
			}
		}
		err := c.JSON(ctx, http.MethodPut, "/"+url.PathEscape(m.Name)+"/_settings?expand_wildcards=all", settings, nil)
		if e, ok := errors.AsType[*opensearch.StatusError](err); ok && e.Status == http.StatusBadRequest {
			r.Notes = append(r.Notes, fmt.Sprintf("settings left out of %s: %s", m.Name, e.Reason))
		} else if err != nil {
			return fmt.Errorf("settings of %s: %w", m.Name, err)
		}
	}
	r.Record.Done, r.Record.Documents = r.Now().UTC(), cmp.Or(documents, r.Record.Documents)
	err := r.Record.write(ctx, r.To.Target)
	if errors.Is(err, estate.ErrNoteMoved) { // by another process that carried with this one
		return nil
	}
	return err
}

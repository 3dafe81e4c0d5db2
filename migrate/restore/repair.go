package restore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/narudata/naru/connect/opensearch"
)

// marks are what _meta.naru in the mapping of a restored index says of its repairs.
type marks struct {
	meta map[string]any // all of _meta
	done map[string]bool
}

const (
	markKey    = "naru"
	repairsKey = "repaired" // a list of the fields, "" for all documents
)

func (m *marks) all(repairs []Repair) bool {
	return !slices.ContainsFunc(repairs, func(r Repair) bool { return !m.done[r.Field] })
}

func (r *runner) marks(ctx context.Context, name string) (*marks, error) {
	var answer map[string]struct {
		Mappings map[string]any
	}
	path := "/" + url.PathEscape(name) + "/_mapping"
	if err := r.get(ctx, path, &answer); err != nil {
		return nil, fmt.Errorf("what was repaired: %w", err)
	}
	m := &marks{done: map[string]bool{}}
	m.meta, _ = answer[name].Mappings["_meta"].(map[string]any)
	naru, _ := m.meta[markKey].(map[string]any)
	fields, _ := naru[repairsKey].([]any)
	for _, f := range fields {
		if text, ok := f.(string); ok {
			m.done[text] = true
		}
	}
	return m, nil
}

// mark notes in the mapping that a field is repaired; the rest of _meta stays.
func (r *runner) mark(ctx context.Context, name, field string, m *marks) error {
	m.done[field] = true
	meta := maps.Clone(m.meta)
	if meta == nil {
		meta = map[string]any{}
	}
	naru := map[string]any{}
	if old, ok := meta[markKey].(map[string]any); ok {
		naru = maps.Clone(old)
	}
	naru[repairsKey] = slices.Sorted(maps.Keys(m.done))
	meta[markKey] = naru
	m.meta = meta
	if err := r.call(ctx, http.MethodPut, "/"+url.PathEscape(name)+"/_mapping", map[string]any{"_meta": meta}, nil); err != nil {
		return fmt.Errorf("note that it is repaired: %w", err)
	}
	return nil
}

// writeBlocks are the blocks under which documents cannot be indexed, or mappings changed.
var writeBlocks = []string{"index.blocks.write", "index.blocks.read_only", "index.blocks.metadata", "index.blocks.read_only_allow_delete", "index.blocks.read"}

// repair does what is not done yet, and reports whether that was something. Blocks on writing are lifted meanwhile and set
// again, also when ctx ends; a process that is killed leaves them lifted.
func (r *runner) repair(ctx context.Context, x *Index, out *Outcome, settings map[string]string) (mended bool, err error) {
	if len(x.Repairs) == 0 {
		return false, nil
	}
	m, err := r.marks(ctx, out.Target)
	if err != nil {
		return false, err
	}
	lifted, back := map[string]any{}, map[string]any{}
	for _, block := range writeBlocks {
		if settings[block] == "true" {
			lifted[block], back[block] = nil, true
		}
	}
	if len(lifted) > 0 && !m.all(x.Repairs) {
		path := "/" + url.PathEscape(out.Target) + "/_settings"
		if err := r.call(ctx, http.MethodPut, path, lifted, nil); err != nil {
			return false, fmt.Errorf("lift blocks to repair it: %w", err)
		}
		defer func() {
			after, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.o.Patience)
			defer cancel()
			if e := r.call(after, http.MethodPut, path, back, nil); e != nil {
				err = errors.Join(err, fmt.Errorf("set %s again: %w", strings.Join(slices.Sorted(maps.Keys(back)), ", "), e))
			}
		}()
	}
	for _, repair := range x.Repairs {
		done := Repaired{Repair: repair}
		if m.done[repair.Field] {
			done.Done, done.Before = true, true
			out.Repaired = append(out.Repaired, done)
			continue
		}
		mended = true
		if err := r.byQuery(ctx, out, &done); err != nil {
			done.Problem = err.Error()
			out.Repaired = append(out.Repaired, done)
			if ctx.Err() != nil {
				return mended, err
			}
			continue
		}
		if done.Done {
			if err := r.mark(ctx, out.Target, repair.Field, m); err != nil {
				done.Problem = err.Error() // repaired it is; the next run does it again
			}
		}
		out.Repaired = append(out.Repaired, done)
	}
	return mended, nil
}

// taskStatus is how far an _update_by_query is.
type taskStatus struct {
	Total     int64
	Updated   int64
	Conflicts int64 `json:"version_conflicts"`
}

// maxAttempts bounds how often a repair is begun: a node that goes away takes its tasks with it.
const maxAttempts = 5

var errTaskLost = errors.New("the cluster has lost the task: a node was started again")

// byQuery indexes the documents that have a field again, each out of its source.
func (r *runner) byQuery(ctx context.Context, out *Outcome, done *Repaired) error {
	query := map[string]any{"match_all": map[string]any{}}
	if done.Field != "" {
		query = map[string]any{"exists": map[string]any{"field": done.Field}}
	}
	path := "/" + url.PathEscape(out.Target) + "/_update_by_query?wait_for_completion=false&conflicts=proceed&refresh=true&slices=auto"
	if r.o.RepairRate > 0 {
		path += fmt.Sprintf("&requests_per_second=%d", r.o.RepairRate)
	}
	var err error
	for range maxAttempts {
		var started struct{ Task string }
		if err = r.call(ctx, http.MethodPost, path, map[string]any{"query": query}, &started); err != nil {
			return err
		}
		if err = r.await(ctx, started.Task, out, done); !errors.Is(err, errTaskLost) {
			return err
		}
		r.o.Log.Info("a repair is begun again", "index", out.Target, "why", err)
	}
	return err
}

// await follows a task to its end. If ctx ends first, the task is cancelled.
func (r *runner) await(ctx context.Context, task string, out *Outcome, done *Repaired) error {
	path := "/_tasks/" + url.PathEscape(task)
	wait := max(r.o.Poll/20, time.Millisecond)
	for {
		var answer struct {
			Completed bool
			Task      struct {
				Status taskStatus
			}
			Error *struct {
				Type, Reason string
			}
			Response struct {
				taskStatus
				Canceled string
				Failures []struct {
					ID    string
					Cause struct{ Type, Reason string }
				}
			}
		}
		err := r.get(ctx, path, &answer)
		if statusOf(err) == http.StatusNotFound {
			return errTaskLost
		}
		if err == nil && !answer.Completed {
			s := answer.Task.Status
			r.progress(Progress{Index: out.Index, Step: Repairing, Bytes: out.Bytes, AllBytes: out.Bytes, Documents: s.Updated, AllToMend: s.Total})
			err = sleep(ctx, wait)
			wait = min(wait*3/2, r.o.Poll)
		}
		if err != nil {
			if ctx.Err() != nil {
				r.cancel(ctx, path)
			}
			return err
		}
		if !answer.Completed {
			continue
		}
		if answer.Error != nil {
			return &opensearch.StatusError{Status: http.StatusInternalServerError, Type: answer.Error.Type, Reason: answer.Error.Reason}
		}
		s := answer.Response
		done.Documents, done.Updated, done.Conflicts, done.Failures = s.Total, s.Updated, s.Conflicts, len(s.Failures)
		switch {
		case len(s.Failures) > 0:
			done.Problem = fmt.Sprintf("document %s: %s: %s", s.Failures[0].ID, s.Failures[0].Cause.Type, s.Failures[0].Cause.Reason)
		case s.Canceled != "":
			done.Problem = "somebody cancelled it: " + s.Canceled
		case s.Updated+s.Conflicts < s.Total:
			done.Problem = fmt.Sprintf("it ended after %d of %d documents", s.Updated+s.Conflicts, s.Total)
		default:
			done.Done = true
		}
		return nil
	}
}

// cancel takes a task back, if the cluster answers soon.
func (r *runner) cancel(ctx context.Context, path string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := r.client.JSON(ctx, http.MethodPost, path+"/_cancel", nil, nil); err != nil {
		r.o.Log.Info("a repair could not be cancelled; it is done again by the next run", "err", err)
	}
}

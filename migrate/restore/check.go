package restore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// check compares a restored index with what is known of its segments. What an earlier run restored may have been written
// since: then a difference says nothing.
func (r *runner) check(ctx context.Context, x *Index, out *Outcome, before, blocked bool) error {
	r.progress(Progress{Index: out.Index, Step: Checking, Bytes: out.Bytes, AllBytes: out.Bytes, Shards: x.Shards, AllShards: x.Shards})
	docs, err := r.documents(ctx, out.Target)
	if err != nil {
		return err
	}
	c := Check{"documents", Holds, fmt.Sprintf("%d, nested ones too, as in the segments", docs)}
	switch {
	case x.Live < 0:
		c = Check{"documents", Unknown, fmt.Sprintf("%d, nested ones too; what the segments have is not known", docs)}
	case docs != x.Live && before:
		c = Check{"documents", Unknown, fmt.Sprintf("%d, nested ones too; the segments have %d; an earlier run restored it, it may have been written since", docs, x.Live)}
	case docs != x.Live:
		c = Check{"documents", Differs, fmt.Sprintf("%d, nested ones too; the segments have %d", docs, x.Live)}
	}
	out.Checks = append(out.Checks, c)
	if blocked {
		out.Checks = append(out.Checks, Check{"count", Unknown, "index.blocks.read is set: it cannot be searched"})
		return nil
	}
	roots, err := r.roots(ctx, out.Target)
	if err != nil {
		return err
	}
	children := int64(0)
	for _, path := range x.Nested {
		c, n, err := r.nested(ctx, out.Target, path)
		if err != nil {
			return err
		}
		children += n
		out.Checks = append(out.Checks, c)
	}
	c = Check{"count", Holds, fmt.Sprintf("%d documents and %d nested ones", roots, children)}
	if roots+children != docs {
		c.Result, c.Found = Differs, fmt.Sprintf("%d documents and %d nested ones do not make %d", roots, children, docs)
		if before { // these were not counted at one moment
			c.Result = Unknown
		}
	}
	out.Checks = append(out.Checks, c)
	return nil
}

// recheck counts again after repairs, which must not change how many documents there are.
func (r *runner) recheck(ctx context.Context, x *Index, out *Outcome) error {
	if x.Live < 0 || out.State == WasThere {
		return nil
	}
	docs, err := r.documents(ctx, out.Target)
	if err != nil {
		return err
	}
	c := Check{"documents after repairs", Holds, fmt.Sprint(docs)}
	if docs != x.Live {
		c.Result, c.Found = Differs, fmt.Sprintf("%d; the segments had %d", docs, x.Live)
	}
	out.Checks = append(out.Checks, c)
	return nil
}

// noteVerified notes that Lucene's CheckIndex has read all shards of an index.
func (o *Outcome) noteVerified(asked bool, took int64, there, shards int) {
	if !asked || o.State == WasThere || there < shards || shards == 0 {
		return
	}
	for _, c := range o.Checks {
		if c.Name == "segments" {
			return
		}
	}
	o.Checks = append(o.Checks, Check{"segments", Holds, fmt.Sprintf("CheckIndex found nothing in %v", time.Duration(took)*time.Millisecond)})
}

// documents counts Lucene's: roots and nested ones.
func (r *runner) documents(ctx context.Context, name string) (int64, error) {
	var rows []struct {
		Count *string `json:"docs.count"`
	}
	err := r.get(ctx, "/_cat/indices/"+url.PathEscape(name)+"?format=json&h=docs.count", &rows)
	if err == nil && (len(rows) != 1 || rows[0].Count == nil) {
		err = errors.New("the cluster does not say")
	}
	if err != nil {
		return 0, fmt.Errorf("count its documents: %w", err)
	}
	return number(*rows[0].Count), nil
}

func (r *runner) roots(ctx context.Context, name string) (int64, error) {
	var answer struct {
		Count  int64
		Shards struct{ Failed int } `json:"_shards"`
	}
	err := r.get(ctx, "/"+url.PathEscape(name)+"/_count", &answer)
	if err == nil && answer.Shards.Failed > 0 {
		err = fmt.Errorf("%d shards failed", answer.Shards.Failed)
	}
	if err != nil {
		return 0, fmt.Errorf("count its documents: %w", err)
	}
	return answer.Count, nil
}

// nested compares what a nested query finds with what a nested aggregation does, and gives how many children there are.
// An index whose setting index.version.created says another generation than its segments are from answers the first
// rightly and the second with nothing.
func (r *runner) nested(ctx context.Context, name, path string) (Check, int64, error) {
	type counted struct {
		Count int64 `json:"doc_count"`
	}
	var answer struct {
		TimedOut bool                 `json:"timed_out"`
		Shards   struct{ Failed int } `json:"_shards"`
		Hits     struct {
			Total struct{ Value int64 }
		}
		Aggregations struct {
			Children struct {
				counted
				Roots counted
			}
		}
	}
	body := map[string]any{
		"size": 0, "track_total_hits": true,
		"query": map[string]any{"nested": map[string]any{"path": path, "query": map[string]any{"match_all": map[string]any{}}}},
		"aggs": map[string]any{"children": map[string]any{
			"nested": map[string]any{"path": path},
			"aggs":   map[string]any{"roots": map[string]any{"reverse_nested": map[string]any{}}},
		}},
	}
	err := r.call(ctx, http.MethodPost, "/"+url.PathEscape(name)+"/_search", body, &answer)
	if err == nil && (answer.Shards.Failed > 0 || answer.TimedOut) {
		err = fmt.Errorf("%d shards failed, timed out: %t", answer.Shards.Failed, answer.TimedOut)
	}
	if err != nil {
		return Check{}, 0, fmt.Errorf("nested documents at %s: %w", path, err)
	}
	found, children := answer.Hits.Total.Value, answer.Aggregations.Children
	c := Check{"nested " + path, Holds, fmt.Sprintf("%d documents have %d nested ones, by query and by aggregation", found, children.Count)}
	if found != children.Roots.Count {
		c.Result, c.Found = Differs, fmt.Sprintf("a query finds %d documents that have some, an aggregation %d: its nested documents are not marked as this version of the cluster expects", found, children.Roots.Count)
	}
	return c, children.Count, nil
}

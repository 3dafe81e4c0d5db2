package compare

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/flow"
)

// Window is a span of time: from Since on, before Until. A zero end is open.
type Window struct{ Since, Until time.Time }

// IsZero reports that all times are inside.
func (w Window) IsZero() bool { return w.Since.IsZero() && w.Until.IsZero() }

func (w Window) has(t time.Time) bool {
	return (w.Since.IsZero() || !t.Before(w.Since)) && (w.Until.IsZero() || t.Before(w.Until))
}

// Cluster gives the documents of indices of a cluster: names, aliases and patterns, separated by commas. With a window the
// cluster is asked for the documents whose field is in it, and no others are read.
func Cluster(ctx context.Context, c *opensearch.Client, indices, field string, w Window) (Source, func() error, error) {
	patterns := flow.Patterns(strings.Split(indices, ","))
	if err := patterns.Validate(); err != nil {
		return nil, nil, err
	}
	if w.IsZero() {
		source, err := opensearch.NewSource(ctx, c, opensearch.SourceOptions{Indices: patterns, Aliases: true})
		if err != nil {
			return nil, nil, err
		}
		return &Flow{Source: source}, source.Close, nil
	}
	bounds := map[string]string{"format": "strict_date_optional_time"}
	if !w.Since.IsZero() {
		bounds["gte"] = w.Since.UTC().Format(time.RFC3339Nano)
	}
	if !w.Until.IsZero() {
		bounds["lt"] = w.Until.UTC().Format(time.RFC3339Nano)
	}
	body, err := json.Marshal(map[string]any{"query": map[string]any{"range": map[string]any{field: bounds}}, "sort": []string{"_doc"}})
	if err != nil {
		return nil, nil, err
	}
	// What was written last is to be seen.
	if err := c.JSON(ctx, http.MethodPost, "/"+url.PathEscape(indices)+"/_refresh", nil, nil); err != nil {
		return nil, nil, err
	}
	q := opensearch.NewQuery(c, opensearch.QueryOptions{Index: indices, Body: string(body), Slices: 2, SearchAfter: true, KeepAlive: "5m"})
	return &Stream{Source: q}, func() error { return nil }, nil
}

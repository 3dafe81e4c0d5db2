package compare

import (
	"context"
	"encoding/json"
	"log/slog"
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

// queryPatience is how long a cluster is asked again that does not answer.
const queryPatience = time.Minute

// Cluster gives the documents of indices of a cluster: names, aliases and patterns, separated by commas. With a window and
// a field that is mapped as a date, the cluster is asked for the documents whose field is in it, and no others are read; with
// any other field all are read.
func Cluster(ctx context.Context, c *opensearch.Client, indices, field string, w Window, log *slog.Logger) (Source, func() error, error) {
	patterns := flow.Patterns(strings.Split(indices, ","))
	if err := patterns.Validate(); err != nil {
		return nil, nil, err
	}
	if w.IsZero() {
		source, err := opensearch.NewSource(ctx, c, opensearch.SourceOptions{Indices: patterns, Aliases: true, Log: log})
		if err != nil {
			return nil, nil, err
		}
		return &Flow{Source: source}, source.Close, nil
	}
	typ, err := typeOf(ctx, c, indices, field)
	if err != nil {
		return nil, nil, err
	}
	if typ != "date" && typ != "date_nanos" { // the cluster cannot compare it as a time
		return Cluster(ctx, c, indices, field, Window{}, log)
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
	if err := c.JSON(ctx, http.MethodPost, at(indices)+"/_refresh", nil, nil); err != nil {
		return nil, nil, err
	}
	q := opensearch.NewQuery(c, opensearch.QueryOptions{Index: indices, Body: string(body), Slices: 2, SearchAfter: true, KeepAlive: "5m", Log: log})
	q.Patience = queryPatience
	return &Stream{Source: q}, func() error { return nil }, nil
}

// at is the path of indices.
func at(indices string) string {
	names := strings.Split(indices, ",")
	for i, n := range names {
		names[i] = url.PathEscape(strings.TrimSpace(n))
	}
	return "/" + strings.Join(names, ",")
}

// mapped is a mapping, or a field in one.
type mapped struct {
	Type       string            `json:"type"`
	Properties map[string]mapped `json:"properties"`
}

// typeOf gives the type that a field has in all of the indices; "" if they do not agree, or not all of them have it.
func typeOf(ctx context.Context, c *opensearch.Client, indices, field string) (string, error) {
	var answer map[string]struct {
		Mappings mapped `json:"mappings"`
	}
	if err := c.JSON(ctx, http.MethodGet, at(indices)+"/_mapping", nil, &answer); err != nil {
		return "", err
	}
	typ := ""
	for _, index := range answer {
		found := index.Mappings
		for name := range strings.SplitSeq(field, ".") {
			found = found.Properties[name]
		}
		if found.Type == "" || typ != "" && typ != found.Type {
			return "", nil
		}
		typ = found.Type
	}
	return typ, nil
}

package estate

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// askTemplate has the cluster compose the template by itself: it refuses what it would refuse later, and its answer has
// the mappings without what says the default. Component templates are left out, since they may be of the same plan, and
// so are the patterns: the cluster compares them with those of the template that this one is to replace. conflicts does that.
func askTemplate(ctx context.Context, t *Target, body Body) (any, error) {
	asked := clone(body)
	delete(asked, "composed_of")
	if asked["index_patterns"] != nil {
		asked["index_patterns"] = []any{nobodys}
	}
	answer, err := call(ctx, t.Search, http.MethodPost, "/_index_template/_simulate", asked)
	if err != nil {
		return nil, err
	}
	return answer["template"], nil
}

const nobodys = "naru-simulated-*" // a pattern of indices that nobody has

// askComponent has it composed as if it were an index template.
func askComponent(ctx context.Context, t *Target, body Body) (any, error) {
	asked := Body{"index_patterns": []any{nobodys}}
	if t := body["template"]; t != nil {
		asked["template"] = t
	}
	return askTemplate(ctx, t, asked)
}

// askPipeline has the pipeline made and one empty document sent through it. What becomes of the document is of no
// interest; the answer to an impossible pipeline is an error.
func askPipeline(ctx context.Context, t *Target, body Body) (any, error) {
	_, err := call(ctx, t.Search, http.MethodPost, "/_ingest/pipeline/_simulate", map[string]any{
		"pipeline": body, "docs": []any{map[string]any{"_source": map[string]any{}}},
	})
	return nil, err
}

// conflicts names a template that has the same priority as a declared one and a pattern that overlaps with one of its
// own: the cluster has no such two. "": there is none.
func conflicts(name string, body Body, d *Desired, o *Observed) string {
	priority := func(b Body) string {
		if n, ok := canonical(Key{IndexTemplates, ""}, b)["priority"].(json.Number); ok {
			return n.String()
		}
		return "0"
	}
	own, mine := texts(body["index_patterns"]), priority(body)
	check := func(other string, b Body) string {
		if other == name {
			return ""
		}
		for _, p := range texts(b["index_patterns"]) {
			for _, q := range own {
				if overlap(p, q) && priority(b) == mine {
					return fmt.Sprintf("index template %s has the same priority, %s, and the pattern %s, which overlaps with %s: give one of them another priority", other, mine, p, q)
				}
			}
		}
		return ""
	}
	for key, obj := range d.Objects {
		if key.Kind == IndexTemplates {
			if why := check(key.Name, obj.Body); why != "" {
				return why
			}
		}
	}
	for other, live := range o.live[IndexTemplates] {
		key := Key{IndexTemplates, other}
		if r := o.Records[key]; d.Objects[key] != nil || r != nil && r.ownedBy(d) {
			continue // as it will be, or about to go
		}
		if why := check(other, live.Body); why != "" {
			return why
		}
	}
	return ""
}

// overlap reports that some name matches both patterns, in which * stands for any text.
func overlap(a, b string) bool {
	const longest = 500
	if len(a) > longest || len(b) > longest {
		return false
	}
	// reach[j]: what is read of a so far, and b[:j], can be the same text.
	reach := make([]bool, len(b)+1)
	reach[0] = true
	for j := range b {
		reach[j+1] = reach[j] && b[j] == '*'
	}
	for i := range a {
		next := make([]bool, len(b)+1)
		next[0] = reach[0] && a[i] == '*'
		for j := range b {
			switch {
			case a[i] == '*', b[j] == '*':
				next[j+1] = reach[j+1] || next[j]
			default:
				next[j+1] = reach[j] && a[i] == b[j]
			}
		}
		reach = next
	}
	return reach[len(b)]
}

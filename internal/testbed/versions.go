package testbed

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// A Version is a document with all that a server says of it and keeps in the index.
type Version struct {
	Version     int64  `json:"_version"`
	SeqNo       int64  `json:"_seq_no"`
	PrimaryTerm int64  `json:"_primary_term"`
	Routing     string `json:"_routing,omitempty"`
	Source      string `json:"_source,omitempty"` // byte for byte; empty: the index does not keep it
}

// Versions reads every live document of an index, by id.
func (n *Node) Versions(tb testing.TB, index string) map[string]Version {
	tb.Helper()
	n.Call(tb, "POST", "/"+url.PathEscape(index)+"/_refresh", nil)
	documents := map[string]Version{}
	text := n.Call(tb, "POST", "/"+url.PathEscape(index)+"/_search?scroll=1m", map[string]any{
		"size": 1000, "sort": []string{"_doc"}, "version": true, "seq_no_primary_term": true})
	for {
		var page struct {
			Scroll string `json:"_scroll_id"`
			Shards struct{ Failed int }
			Hits   struct {
				Hits []struct {
					ID          string          `json:"_id"`
					Version     int64           `json:"_version"`
					SeqNo       int64           `json:"_seq_no"`
					PrimaryTerm int64           `json:"_primary_term"`
					Routing     string          `json:"_routing"`
					Source      json.RawMessage `json:"_source"`
				}
			}
		}
		if err := json.Unmarshal(text, &page); err != nil || page.Shards.Failed > 0 {
			tb.Fatalf("read %s: %d shards failed (%v)", index, page.Shards.Failed, err)
		}
		for _, h := range page.Hits.Hits {
			if _, twice := documents[h.ID]; twice {
				tb.Errorf("%s has %s twice", index, h.ID)
			}
			documents[h.ID] = Version{h.Version, h.SeqNo, h.PrimaryTerm, h.Routing, string(h.Source)}
		}
		if len(page.Hits.Hits) == 0 {
			n.Call(tb, "DELETE", "/_search/scroll", map[string]any{"scroll_id": []string{page.Scroll}})
			return documents
		}
		text = n.Call(tb, "POST", "/_search/scroll", map[string]any{"scroll": "1m", "scroll_id": page.Scroll})
	}
}

// DiffVersions says how got differs from want; it is empty when they are equal.
func DiffVersions(want, got map[string]Version) string {
	var out strings.Builder
	differ := 0
	say := func(format string, args ...any) {
		if differ++; differ <= shownDifferences {
			fmt.Fprintf(&out, format, args...)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(want)) {
		if g, ok := got[id]; !ok {
			say("missing: %q\n", id)
		} else if g != want[id] {
			say("%q: want %+v\n  got %+v\n", id, want[id], g)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[id]; !ok {
			say("too many: %q\n", id)
		}
	}
	if differ > 0 {
		fmt.Fprintf(&out, "%d documents wanted, %d there, %d differences\n", len(want), len(got), differ)
	}
	return out.String()
}

package testbed

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// UseIt does to an index of a node what its users will: writes, changes and deletes by the sequence numbers that documents had before,
// changes and deletes by query, another field, a merge into one segment, closing and opening, and a snapshot of it that is
// restored under another name. Every step is checked by what can be read afterwards. The index has two documents fewer then; what
// it holds is returned, for a look after a restart. The index must have some documents and keep their `_source`, and not be
// that of a data stream.
func UseIt(tb testing.TB, n *Node, index string) map[string]Version {
	tb.Helper()
	u := &user{tb: tb, n: n, index: index}
	before := n.Versions(tb, index)
	ids := slices.Sorted(maps.Keys(before))
	if len(ids) < 4 {
		tb.Fatalf("%s has %d documents: too few to use it", index, len(ids))
	}
	u.call("PUT", "/_mapping", map[string]any{"properties": map[string]any{"afterlife": props("keyword")}})

	// New ones, in a routing that an index may require.
	for i := range 5 {
		u.written(http.StatusCreated, "PUT", u.doc("_doc", "afterlife-"+strconv.Itoa(i), "after")+"&op_type=create", map[string]any{"afterlife": "new", "n": 100_000 + i})
	}
	u.count("written", len(before)+5, nil)
	u.count("written, found by the new field", 5, map[string]any{"term": map[string]any{"afterlife": "new"}})

	// Changed, and deleted, by what the source knew of them.
	changed, deleted, other := ids[0], ids[1], ids[2]
	old := before[changed]
	u.written(http.StatusOK, "POST", u.doc("_update", changed, old.Routing)+u.seen(old), map[string]any{"doc": map[string]any{"afterlife": "changed"}})
	if now := u.get(changed, old.Routing); now.Version != old.Version+1 || now.SeqNo <= old.SeqNo {
		tb.Errorf("%s: %q was %+v, and is %+v after a change", index, changed, old, now)
	}
	u.written(http.StatusConflict, "POST", u.doc("_update", changed, old.Routing)+u.seen(old), map[string]any{"doc": map[string]any{"afterlife": "again"}})
	u.written(http.StatusOK, "DELETE", u.doc("_doc", deleted, before[deleted].Routing)+u.seen(before[deleted]), nil)
	wrong := before[other]
	wrong.SeqNo += 1000
	u.written(http.StatusConflict, "DELETE", u.doc("_doc", other, wrong.Routing)+u.seen(wrong), nil)
	u.count("deleted one", len(before)+4, nil)

	// By query: everything is written anew, then some are deleted.
	u.byQuery("_update_by_query", "updated", len(before)+4, nil)
	u.count("updated by query", len(before)+4, nil)
	if now := u.get(other, before[other].Routing); now.Version != before[other].Version+1 || now.Source != before[other].Source {
		tb.Errorf("%s: %q was %+v, and is %+v after an update by query", index, other, before[other], now)
	}
	u.byQuery("_delete_by_query", "deleted", 5, map[string]any{"term": map[string]any{"afterlife": "new"}})
	u.written(http.StatusOK, "DELETE", u.doc("_doc", ids[3], before[ids[3]].Routing), nil)
	u.count("deleted by query", len(before)-2, nil)

	u.call("POST", "/_forcemerge?max_num_segments=1", nil)
	u.count("merged", len(before)-2, nil)
	u.call("POST", "/_close", nil)
	u.call("POST", "/_open", nil)
	n.WaitGreen(tb, index)
	u.count("closed and opened", len(before)-2, nil)

	after := n.Versions(tb, index)
	for id, was := range before {
		now, there := after[id]
		if gone := id == deleted || id == ids[3]; gone == there {
			tb.Errorf("%s: %q is there: %v", index, id, there)
		}
		if there && id != changed && (now.Routing != was.Routing || now.Source != was.Source) {
			tb.Errorf("%s: %q was %+v and is %+v", index, id, was, now)
		}
	}
	u.again(after)
	return after
}

type user struct {
	tb    testing.TB
	n     *Node
	index string
}

func (u *user) path(rest string) string { return "/" + url.PathEscape(u.index) + rest }

func (u *user) call(method, rest string, body any) {
	u.tb.Helper()
	u.n.Call(u.tb, method, u.path(rest), body)
}

// doc is the path of a document; its query may go on with &.
func (u *user) doc(api, id, routing string) string {
	path := "/" + api + "/" + url.PathEscape(id) + "?refresh=true"
	if routing != "" {
		path += "&routing=" + url.QueryEscape(routing)
	}
	return path
}

func (u *user) seen(v Version) string {
	return fmt.Sprintf("&if_seq_no=%d&if_primary_term=%d", v.SeqNo, v.PrimaryTerm)
}

// written expects that status of a write.
func (u *user) written(want int, method, rest string, body any) {
	u.tb.Helper()
	status, reply, err := u.n.Send(u.tb.Context(), method, u.path(rest), "application/json", body)
	if err != nil || status != want {
		u.tb.Errorf("%s %s: status %d, want %d: %.500s (%v)", method, u.path(rest), status, want, reply, err)
	}
}

func (u *user) get(id, routing string) Version {
	u.tb.Helper()
	var v struct {
		Version
		Source json.RawMessage `json:"_source"`
	}
	if err := json.Unmarshal(u.n.Call(u.tb, "GET", u.path(u.doc("_doc", id, routing)), nil), &v); err != nil {
		u.tb.Fatal(err)
	}
	v.Version.Source = string(v.Source)
	return v.Version
}

func (u *user) count(when string, want int, query any) {
	u.tb.Helper()
	if got := u.n.Count(u.tb, u.index, query); got != want {
		u.tb.Errorf("%s, %s: %d documents, want %d", u.index, when, got, want)
	}
}

// byQuery expects that many documents to be concerned, none with a conflict or failure.
func (u *user) byQuery(api, what string, want int, query map[string]any) {
	u.tb.Helper()
	body := map[string]any{}
	if query != nil {
		body["query"] = query
	}
	text := u.n.Call(u.tb, "POST", u.path("/"+api+"?refresh=true"), body)
	var reply map[string]any
	if err := json.Unmarshal(text, &reply); err != nil || reply[what] != float64(want) || reply["version_conflicts"] != 0.0 {
		u.tb.Errorf("%s of %s: %.500s, want %s %d (%v)", api, u.index, text, what, want, err)
	}
}

// again takes a snapshot of the index into a new repository, restores it under another name and compares.
func (u *user) again(want map[string]Version) {
	u.tb.Helper()
	repo, copied := "again-"+u.index, u.index+"-again"
	u.n.Call(u.tb, "PUT", "/_snapshot/"+url.PathEscape(repo), map[string]any{"type": "fs", "settings": map[string]any{"location": filepath.Join(u.n.Repo, repo)}})
	at := "/_snapshot/" + url.PathEscape(repo) + "/s"
	var taken struct{ Snapshot struct{ State string } }
	text := u.n.Call(u.tb, "PUT", at+"?wait_for_completion=true", map[string]any{"indices": u.index, "include_global_state": false})
	if err := json.Unmarshal(text, &taken); err != nil || taken.Snapshot.State != "SUCCESS" {
		u.tb.Fatalf("snapshot of %s: %.1000s (%v)", u.index, text, err)
	}
	u.n.Call(u.tb, "POST", at+"/_restore?wait_for_completion=true", map[string]any{"indices": u.index, "include_global_state": false,
		"include_aliases": false, "rename_pattern": "(.+)", "rename_replacement": "$1-again"})
	u.n.WaitGreen(u.tb, copied)
	if diff := DiffVersions(want, u.n.Versions(u.tb, copied)); diff != "" {
		u.tb.Errorf("%s, restored from a new snapshot as %s:\n%s", u.index, copied, diff)
	}
	u.n.Call(u.tb, "DELETE", "/"+url.PathEscape(copied), nil)
}

// UseStream writes to a data stream, rolls it over, and writes again; each is checked by counting. The stream has ten more then.
func UseStream(tb testing.TB, n *Node, stream string) {
	tb.Helper()
	before := n.Count(tb, stream, nil)
	for i := range 10 {
		if i == 5 {
			n.Call(tb, "POST", "/"+url.PathEscape(stream)+"/_rollover", nil)
		}
		n.Call(tb, "POST", "/"+url.PathEscape(stream)+"/_doc?refresh=true", map[string]any{"@timestamp": "2030-01-01T00:00:00Z", "n": 100_000 + i})
	}
	if got := n.Count(tb, stream, nil); got != before+10 {
		tb.Errorf("%s has %d documents, want %d", stream, got, before+10)
	}
}

// Count refreshes an index and counts its documents that match a query, all if it is nil.
func (n *Node) Count(tb testing.TB, index string, query any) int {
	tb.Helper()
	n.Call(tb, "POST", "/"+url.PathEscape(index)+"/_refresh", nil)
	var body any
	if query != nil {
		body = map[string]any{"query": query}
	}
	var reply struct{ Count int }
	if err := json.Unmarshal(n.Call(tb, "POST", "/"+url.PathEscape(index)+"/_count", body), &reply); err != nil {
		tb.Fatal(err)
	}
	return reply.Count
}

// WaitGreen waits until all shards of an index are there.
func (n *Node) WaitGreen(tb testing.TB, index string) {
	tb.Helper()
	n.Call(tb, "GET", "/_cluster/health/"+url.PathEscape(index)+"?wait_for_status=green&timeout=60s", nil)
}

package testbed

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A GraftCorpus is what FillGraft wrote: three repositories below the node's Repo.
type GraftCorpus struct {
	Main  string // snapshots snap-1, half (PARTIAL: of the index `half` a shard is missing) and snap-2, which has everything
	Parts string // snapshot parts, of some indices, in blobs of 4 kB at most
	// Snapshots has, by the names above, what is in each.
	Snapshots map[string]GraftSnapshot
}

// A GraftSnapshot is what the server held when it took it, by index.
type GraftSnapshot struct {
	State   string // SUCCESS or PARTIAL
	Indices map[string]GraftIndex
	Cluster json.RawMessage `json:"-"` // templates, pipelines, data streams, aliases: see clusterState
}

// A GraftIndex is an index of the corpus: what a restored one must equal.
type GraftIndex struct {
	Why       string // what it is there for
	Special   bool   // it has what OpenSearch does not know by that name, or cannot have at all: answers may be lost with it
	Closed    bool
	Stream    string             // the data stream that it backs
	Documents map[string]Version `json:"-"` // by id
	Answers   Answers            // to GraftQuestions of its name
}

// GraftStream is the corpus's data stream, with two backing indices.
const GraftStream = "logs-web-default"

// graftDocs is how many documents `types` has.
const graftDocs = 66

type filler struct {
	tb     testing.TB
	n      *Node
	rng    *rand.Rand
	kinds  []kind // that this node has
	bloom  bool   // the node writes bloom filters
	shut   GraftIndex
	corpus *GraftCorpus
}

// FillGraft fills a fresh Elasticsearch node with indices of every field type and feature that it has, and takes snapshots of
// them. The documents are the same every time. Where the server writes bloom filters for `_id` (8.5 to 8.11), all indices but
// `bloomed` and data streams go without.
func FillGraft(tb testing.TB, n *Node) *GraftCorpus {
	tb.Helper()
	f := &filler{tb: tb, n: n, rng: rand.New(rand.NewPCG(7, 17)), corpus: &GraftCorpus{Snapshots: map[string]GraftSnapshot{},
		Main: filepath.Join(n.Repo, "main"), Parts: filepath.Join(n.Repo, "parts")}}
	n.Call(tb, "PUT", "/_snapshot/main", map[string]any{"type": "fs", "settings": map[string]any{"location": f.corpus.Main, "compress": true}})
	n.Call(tb, "PUT", "/_snapshot/parts", map[string]any{"type": "fs", "settings": map[string]any{"location": f.corpus.Parts, "chunk_size": "4kb", "compress": false}})
	f.bloom = !n.OpenSearch && n.Major == 8 && n.takes(tb, map[string]any{}, map[string]any{bloom: false})
	f.templates()
	f.create()
	for _, k := range f.kinds {
		f.write(k, 0, k.docs*2/3)
	}
	f.take("main", "snap-1", "")
	f.half()
	for _, k := range f.kinds {
		f.write(k, k.docs*2/3, k.docs)
	}
	f.stream()
	f.close()
	f.take("main", "snap-2", "")
	f.take("parts", "parts", "nested,best,churn")
	return f.corpus
}

// create makes the indices, those left out that the server does not have.
func (f *filler) create() {
	f.tb.Helper()
	lower := map[string]any{"index.analysis": map[string]any{"normalizer": map[string]any{"lower": map[string]any{"type": "custom", "filter": []string{"lowercase"}}}}}
	properties := map[string]any{}
	known := f.n.known(f.tb, typeFields, lower)
	for _, field := range known {
		properties[field.name] = field.mapping
	}
	types := kind{name: "types", why: "every field type that both have", shards: 2, docs: graftDocs, settings: merged(unmerged, lower),
		mapping: map[string]any{"properties": properties}, document: func(n int, rng *rand.Rand) map[string]any {
			doc := map[string]any{}
			for i, field := range known {
				if field.value == nil {
					continue
				}
				if value := field.value(n, rng); field.name == "n" || (n+i)%9 > 0 {
					doc[field.name] = value
				}
			}
			return doc
		}}
	for _, k := range append([]kind{types, {name: "web-2024", why: "mappings, settings and aliases of a template", shards: 1, docs: 60, document: simple}}, kinds...) {
		if k.since > f.n.Major || k.until > 0 && k.until < f.n.Major || k.name == "bloomed" && !f.bloom {
			continue
		}
		settings := merged(map[string]any{"index.number_of_shards": k.shards, "index.number_of_replicas": 0}, k.settings)
		if _, said := settings[bloom]; f.bloom && !said {
			settings[bloom] = false
		}
		if _, said := settings["index.merge.policy.segments_per_tier"]; said && f.n.Major >= 7 {
			settings["index.merge.policy.deletes_pct_allowed"] = 50
		}
		body := map[string]any{"settings": settings}
		if k.mapping != nil {
			body["mappings"] = f.n.typed(k.mapping)
		}
		status, reply, err := f.n.Send(f.tb.Context(), "PUT", "/"+k.name, "application/json", body)
		if err != nil || status >= 300 && !(k.options && status == http.StatusBadRequest) {
			f.tb.Fatalf("create %s: %d %.1000s (%v)", k.name, status, reply, err)
		}
		if status >= 300 {
			f.tb.Logf("%s has no index %s: %.300s", f.n.Version, k.name, reply)
			continue
		}
		f.kinds = append(f.kinds, k)
	}
	f.n.Call(f.tb, "POST", "/_aliases", map[string]any{"actions": []any{
		map[string]any{"add": map[string]any{"index": "sorted", "alias": "picked", "filter": map[string]any{"term": map[string]any{"kw": "error"}}}},
		map[string]any{"add": map[string]any{"index": "churn", "alias": "through", "routing": "a", "search_routing": "a,b"}},
		map[string]any{"add": map[string]any{"index": "best", "alias": "picked"}}}})
}

// write indexes the documents from..to of an index in a few segments, and changes and deletes some that are there.
func (f *filler) write(k kind, from, to int) {
	f.tb.Helper()
	var body bytes.Buffer
	add := func(op string, n int, doc any) {
		meta := map[string]any{"_index": k.name, "_id": strconv.Itoa(n)}
		if k.name == "tsdb" {
			delete(meta, "_id") // made out of the dimensions
		}
		if f.n.Major < 7 {
			meta["_type"] = "_doc"
		}
		if k.routing != nil {
			meta["routing"] = k.routing(n, nil)
		} else if k.churn && n%4 == 0 {
			meta["routing"] = []string{"a", "b", "부산"}[n/4%3]
		}
		appendJSON(&body, map[string]any{op: meta})
		if doc != nil {
			appendJSON(&body, doc)
		}
	}
	flush := func() {
		f.bulk(&body)
		f.n.Call(f.tb, "POST", "/"+k.name+"/_flush", nil)
	}
	for i := from; i < to; i++ {
		add("index", i, k.document(i, f.rng))
		if k.docs > 60 && i == (from+to)/2 {
			flush()
		}
	}
	flush()
	if !k.churn {
		return
	}
	for i := 1; i < to; i += 5 {
		switch i % 3 {
		case 0:
			add("index", i, k.document(i+1000, f.rng))
		case 1:
			add("update", i, map[string]any{"doc": map[string]any{"n": i + 2000}, "doc_as_upsert": true})
		default:
			add("delete", i, nil)
		}
	}
	flush()
}

func appendJSON(b *bytes.Buffer, value any) {
	line, err := json.Marshal(value)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	b.Write(append(line, '\n'))
}

// bulk sends what must not fail, but for deletions of what is not there.
func (f *filler) bulk(body *bytes.Buffer) {
	f.tb.Helper()
	if body.Len() == 0 {
		return
	}
	status, reply, err := f.n.Send(f.tb.Context(), "POST", "/_bulk", "application/x-ndjson", body.Bytes())
	body.Reset()
	var result struct {
		Items []map[string]struct {
			Status int
			Error  json.RawMessage
		}
	}
	if err != nil || status >= 300 || json.Unmarshal(reply, &result) != nil {
		f.tb.Fatalf("_bulk: %d %.1000s (%v)", status, reply, err)
	}
	for _, item := range result.Items {
		for op, r := range item {
			if r.Status >= 300 && !(op == "delete" && r.Status == http.StatusNotFound) {
				f.tb.Fatalf("%s: %s", op, r.Error)
			}
		}
	}
}

// templates puts templates of all forms, pipelines and cluster settings.
func (f *filler) templates() {
	f.tb.Helper()
	f.n.Call(f.tb, "PUT", "/_template/web", map[string]any{"index_patterns": []string{"web-*"}, "order": 3, "version": 4,
		"settings": map[string]any{"index.number_of_replicas": 0}, "aliases": map[string]any{"web": map[string]any{}},
		"mappings": f.n.typed(simpleMapping)})
	f.n.Call(f.tb, "PUT", "/_ingest/pipeline/empty", map[string]any{"description": "no processors", "version": 2, "processors": []any{}})
	f.n.Call(f.tb, "PUT", "/_cluster/settings", map[string]any{"persistent": map[string]any{"cluster.routing.allocation.node_concurrent_recoveries": 4}})
	for _, optional := range []struct {
		path string
		body map[string]any
	}{
		{"/_ingest/pipeline/tidy", map[string]any{"processors": []any{map[string]any{"set": map[string]any{"field": "seen", "value": true}}}}},
		{"/_scripts/found", map[string]any{"script": map[string]any{"lang": "mustache", "source": `{"query":{"match":{"text":"{{word}}"}}}`}}},
		{"/_component_template/base", map[string]any{"version": 1, "_meta": map[string]any{"by": "testbed"},
			"template": map[string]any{"settings": map[string]any{"index.number_of_replicas": 0}}}},
		{"/_index_template/metrics", map[string]any{"index_patterns": []string{"metrics-*"}, "priority": 300, "composed_of": []string{"base"},
			"template": map[string]any{"mappings": map[string]any{"properties": map[string]any{"v": props("float")}}, "aliases": map[string]any{"m": map[string]any{}}}}},
		{"/_index_template/streams", map[string]any{"index_patterns": []string{"logs-*-*"}, "data_stream": map[string]any{}, "priority": 300, "composed_of": []string{"base"},
			"template": map[string]any{"mappings": map[string]any{"properties": map[string]any{"kw": props("keyword"), "n": props("long")}}}}},
	} {
		status, reply, err := f.n.Send(f.tb.Context(), "PUT", optional.path, "application/json", optional.body)
		if err != nil {
			f.tb.Fatal(err)
		}
		if status >= 300 {
			f.tb.Logf("%s has no %s: %.200s", f.n.Version, optional.path, reply)
		}
	}
}

// stream makes a data stream with two backing indices and an alias of its own, where the server has them.
func (f *filler) stream() {
	f.tb.Helper()
	if f.n.Major < 7 {
		return
	}
	var body bytes.Buffer
	for i := range 50 {
		appendJSON(&body, map[string]any{"create": map[string]any{"_index": GraftStream, "_id": strconv.Itoa(i)}})
		appendJSON(&body, map[string]any{"@timestamp": time.Date(2024, 5, 1, 0, i, 0, 0, time.UTC), "n": i, "kw": words[i%5], "message": sentence(i, f.rng)})
		if i == 30 {
			f.bulk(&body)
			f.n.Call(f.tb, "POST", "/"+GraftStream+"/_rollover", nil)
		}
	}
	f.bulk(&body)
	f.n.Call(f.tb, "POST", "/_aliases", map[string]any{"actions": []any{
		map[string]any{"add": map[string]any{"index": GraftStream, "alias": "all-web", "is_write_index": true}}}})
	f.n.Call(f.tb, "POST", "/"+GraftStream+"/_flush", nil)
}

// half takes a snapshot of an index of which one shard has nowhere to be.
func (f *filler) half() {
	f.tb.Helper()
	f.n.Call(f.tb, "PUT", "/half?wait_for_active_shards=0&timeout=2s", map[string]any{"settings": map[string]any{
		"number_of_shards": 2, "number_of_replicas": 0, "routing.allocation.total_shards_per_node": 1}, "mappings": f.n.typed(simpleMapping)})
	for i := range 12 {
		status, reply, err := f.n.Send(f.tb.Context(), "PUT", "/half/_doc/"+strconv.Itoa(i)+"?timeout=200ms", "application/json", simple(i, f.rng))
		if err != nil || status >= 300 && status != http.StatusServiceUnavailable {
			f.tb.Fatalf("%d %.500s (%v)", status, reply, err)
		}
	}
	f.take("main", "half", "half,best")
	f.n.Call(f.tb, "DELETE", "/half", nil)
}

// close closes `shut`, after a look at what it holds.
func (f *filler) close() {
	f.tb.Helper()
	if !slices.ContainsFunc(f.kinds, func(k kind) bool { return k.name == "shut" }) {
		return
	}
	f.shut = f.index("shut")
	f.shut.Closed = true
	f.n.Call(f.tb, "POST", "/shut/_close", nil)
	f.n.Call(f.tb, "GET", "/_cluster/health/shut?wait_for_status=green&timeout=60s", nil)
}

// index is what the server holds of an index now.
func (f *filler) index(name string) GraftIndex {
	f.tb.Helper()
	ix := GraftIndex{Documents: f.n.Versions(f.tb, name), Answers: f.n.Ask(f.tb, name, GraftQuestions(name))}
	for _, k := range f.kinds {
		if k.name == name {
			ix.Why, ix.Special = k.why, k.special
		}
	}
	return ix
}

// take takes a snapshot of those indices, all if none are named.
func (f *filler) take(repo, name, indices string) {
	f.tb.Helper()
	modern := f.n.Major >= 7
	body := map[string]any{"partial": name == "half"}
	if indices != "" {
		body["indices"] = indices
	}
	if modern {
		body["expand_wildcards"] = "all"
	}
	var reply struct {
		Snapshot struct {
			State       string
			Indices     []string
			DataStreams []string `json:"data_streams"`
		}
	}
	text := f.n.Call(f.tb, "PUT", "/_snapshot/"+repo+"/"+name+"?wait_for_completion=true", body)
	if err := json.Unmarshal(text, &reply); err != nil {
		f.tb.Fatal(err)
	}
	s := GraftSnapshot{State: reply.Snapshot.State, Indices: map[string]GraftIndex{}}
	if want := map[bool]string{true: "PARTIAL", false: "SUCCESS"}[name == "half"]; s.State != want {
		f.tb.Fatalf("snapshot %s: %.1000s", name, text)
	}
	for _, index := range reply.Snapshot.Indices {
		switch {
		case index == "shut" && f.shut.Closed:
			s.Indices[index] = f.shut
		case index == "half": // what it can answer is not all that it holds
			s.Indices[index] = GraftIndex{Why: "a shard of it is not in the snapshot"}
		case strings.HasPrefix(index, ".ds-"):
			ix := f.index(index)
			ix.Why, ix.Stream = "backs a data stream", GraftStream
			s.Indices[index] = ix
		default:
			s.Indices[index] = f.index(index)
		}
	}
	s.Cluster = f.clusterState(slices.Sorted(maps.Keys(s.Indices)))
	f.corpus.Snapshots[name] = s
	f.tb.Logf("%s: %s, %d indices, data streams %v", name, s.State, len(s.Indices), reply.Snapshot.DataStreams)
}

// clusterState is a JSON object like that of TruthCluster: indices, templates, pipelines, persistent_settings and, where the
// server has them, _index_template, _component_template and data_stream, the last as the cluster state has it.
func (f *filler) clusterState(indices []string) json.RawMessage {
	f.tb.Helper()
	all := map[string]json.RawMessage{}
	byName := map[string]json.RawMessage{}
	for _, index := range indices {
		var one map[string]json.RawMessage
		if err := json.Unmarshal(f.n.Call(f.tb, "GET", "/"+url.PathEscape(index)+"?expand_wildcards=all", nil), &one); err != nil {
			f.tb.Fatal(err)
		}
		byName[index] = one[index]
	}
	all["indices"] = mustJSON(byName)
	all["templates"] = f.n.Call(f.tb, "GET", "/_template", nil)
	all["pipelines"] = f.n.Call(f.tb, "GET", "/_ingest/pipeline", nil)
	all["persistent_settings"] = f.n.Call(f.tb, "GET", "/_cluster/settings?filter_path=persistent", nil)
	all["stored_scripts"] = f.n.Call(f.tb, "GET", "/_cluster/state/metadata?filter_path=metadata.stored_scripts", nil)
	for key, path := range map[string]string{"_index_template": "/_index_template", "_component_template": "/_component_template",
		"data_stream": "/_cluster/state/metadata?filter_path=metadata.data_stream"} {
		status, reply, err := f.n.Send(f.tb.Context(), "GET", path, "application/json", nil)
		if err != nil {
			f.tb.Fatal(err)
		}
		if status == http.StatusOK {
			all[key] = reply
		}
	}
	return mustJSON(all)
}

func mustJSON(value any) json.RawMessage {
	text, err := json.Marshal(value)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return text
}

package testbed

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A Recipe is the size of a random corpus.
type Recipe struct {
	Seed      uint64
	Indices   int // how many
	Rounds    int // of writing, with flushes, refreshes and merges in between
	Documents int // written to an index in a round, at most
	Large     int // documents of up to 3 MB in the whole corpus: several compressed pieces each
}

// A Taken is a snapshot, and what the server had when it took it.
type Taken struct {
	Repo     string // the folder of the repository
	Snapshot string
	Truth    map[string][]Line // by index
	Bodiless map[string]bool   // indices that keep no `_source`
}

// Write fills a fresh node with a random corpus and takes snapshots of it: one half way, and two of the end state in
// repositories with different settings. The choices follow the seed; when the server merges does not.
func Write(tb testing.TB, n *Node, r Recipe) []Taken {
	tb.Helper()
	rng := rand.New(rand.NewPCG(r.Seed, 0))
	c := &corpus{tb: tb, n: n, rng: rng, w: writer{rng: rng}, large: r.Large}
	for i := range r.Indices {
		c.create(i)
	}
	c.repository("first")
	c.repository("second")
	var taken []Taken
	for round := range r.Rounds {
		for _, ix := range c.indices {
			c.write(ix, 1+rng.IntN(r.Documents), round)
		}
		if round == (r.Rounds-1)/2 {
			taken = append(taken, c.snapshot("first", "snap-1"))
		}
	}
	c.reshape()
	truth := c.truth()
	for _, ix := range c.indices {
		if c.closedInSnapshots() && c.w.chance(15) {
			tb.Logf("%s is closed", ix.name)
			n.Call(tb, "POST", ix.path("/_close"), nil)
			n.Call(tb, "GET", "/_cluster/health/"+url.PathEscape(ix.name)+"?wait_for_status=green&timeout=60s", nil) // else there is nothing to snapshot
		}
	}
	for _, s := range []struct{ repo, name string }{{"first", "snap-2"}, {"second", "snap-3"}} {
		taken = append(taken, c.take(s.repo, s.name, truth))
	}
	return taken
}

type corpus struct {
	tb      testing.TB
	n       *Node
	rng     *rand.Rand
	w       writer
	indices []*index
	large   int // still to be written
	serial  int
}

type index struct {
	name     string
	types    []string // of the documents; one but for Elasticsearch 5
	named    bool     // its type stands in the API
	required bool     // each document has a routing
	nested   bool
	bodiless bool
	shards   int
	docs     []key // written and perhaps deleted since
}

type key struct{ typ, id, routing string }

func (ix *index) path(rest string) string { return "/" + url.PathEscape(ix.name) + rest }

// modern: no mapping types, indices made out of others; from 7.0 on and in OpenSearch.
func (c *corpus) modern() bool { return c.n.OpenSearch || c.n.Major >= 7 }

// closedInSnapshots: from 7.2 on, when closed indices began to be replicated.
func (c *corpus) closedInSnapshots() bool {
	return c.n.OpenSearch || c.n.Major >= 8 || c.n.Major == 7 && c.n.Minor >= 2
}

// create makes an index with random settings. Some of them are options: what this version refuses is left out.
func (c *corpus) create(i int) {
	c.tb.Helper()
	kind := c.w.pick([]string{"plain", "plain", "plain", "sorted", "nested", "nested", "excluded", "disabled", "typed", "synthetic"})
	ix := &index{name: fmt.Sprintf("%s-%02d-%s", c.w.pick([]string{"logs", "shop", "로그", "x.y_z"}), i, kind), shards: 1 + c.rng.IntN(3), types: []string{"_doc"}}
	text := "text"
	mapping := map[string]any{"dynamic": false, "properties": properties(text)}
	props := mapping["properties"].(map[string]any)
	settings := map[string]any{"index.number_of_shards": ix.shards, "index.number_of_replicas": 0}
	codecs := []string{"default", "best_compression"}
	if c.n.OpenSearch && c.n.Major >= 2 {
		codecs = append(codecs, "zstd", "zstd_no_dict")
	}
	options := map[string]any{
		"index.codec":               c.w.pick(codecs),
		"index.refresh_interval":    c.w.pick([]string{"-1", "1s", "100ms"}),
		"index.compound_format":     c.w.pick([]string{"true", "false", "0.5"}),
		"index.translog.durability": "async",
	}
	if c.w.chance(40) {
		options["index.soft_deletes.enabled"] = c.w.chance(50)
	}
	if c.w.chance(40) {
		options["index.soft_deletes.retention.operations"] = c.rng.IntN(500)
	}
	if c.w.chance(50) { // keep small segments with deletions as they are
		options["index.merge.policy.segments_per_tier"] = 50
		options["index.merge.policy.max_merge_at_once"] = 50
	}
	if c.w.chance(25) {
		ix.required = true
		mapping["_routing"] = map[string]any{"required": true}
	}
	switch kind {
	case "sorted":
		if c.n.OpenSearch || c.n.Major >= 6 {
			settings["index.sort.field"] = []string{"n", "d"}
			settings["index.sort.order"] = []string{c.w.pick([]string{"asc", "desc"}), "asc"}
		}
	case "nested":
		ix.nested = true
		props["items"] = map[string]any{"type": "nested", "properties": map[string]any{
			"by": map[string]any{"type": "keyword"}, "stars": map[string]any{"type": "byte"}}}
	case "excluded":
		mapping["_source"] = map[string]any{"excludes": []string{"secret", "free.*"}}
	case "disabled":
		ix.bodiless = true
		mapping["_source"] = map[string]any{"enabled": false}
	case "synthetic": // `_source` is made up out of doc values
		switch {
		case !c.n.OpenSearch && c.n.Major == 8 && c.n.Minor < 16: // said in the mapping; fewer fields can be made up
			ix.bodiless = true
			mapping["_source"] = map[string]any{"mode": "synthetic"}
			props["t"] = map[string]any{"type": "keyword"}
			delete(props, "free")
		case !c.n.OpenSearch && c.n.Major >= 8:
			ix.bodiless = true
			settings["index.mapping.source.mode"] = "synthetic"
			props["t"] = map[string]any{"type": "keyword", "ignore_above": 100}
		case c.n.OpenSearch && (c.n.Major > 3 || c.n.Major == 3 && c.n.Minor >= 2): // earlier ones do not know it
			ix.bodiless = true
			settings["index.derived_source.enabled"] = true
			for _, name := range []string{"t", "secret", "free"} {
				delete(props, name)
			}
		}
	}
	query := ""
	mappings := any(mapping)
	switch {
	case !c.n.OpenSearch && c.n.Major == 5:
		ix.named, ix.types = true, []string{"doc"}
		if kind == "typed" {
			ix.types = []string{"user", "order", "주문-x"}
		}
		byType := map[string]any{}
		for _, t := range ix.types {
			byType[t] = mapping
		}
		mappings = byType
	case !c.n.OpenSearch && c.n.Major == 6:
		names := []string{"_doc", "doc", "event"}
		if c.n.Minor < 2 {
			names = names[1:] // no name may begin with `_` yet
		}
		ix.named, ix.types = true, []string{c.w.pick(names)}
		mappings = map[string]any{ix.types[0]: mapping}
	case kind == "typed" && (c.n.OpenSearch && c.n.Major == 1 || !c.n.OpenSearch && c.n.Major == 7):
		query = "?include_type_name=true"
		ix.named, ix.types = true, []string{"event"}
		mappings = map[string]any{"event": mapping}
	}
	for { // leaves out the options that replies name
		body := map[string]any{"mappings": mappings, "settings": merged(settings, options)}
		status, reply, err := c.n.Send(c.tb.Context(), "PUT", ix.path(query), "application/json", body)
		if err != nil {
			c.tb.Fatalf("create %s: %v", ix.name, err)
		}
		if status < 300 {
			c.tb.Logf("%s: routing required %v, %v", ix.name, ix.required, body["settings"])
			break
		}
		refused := slices.DeleteFunc(slices.Sorted(maps.Keys(options)), func(o string) bool { return !bytes.Contains(reply, []byte(o)) })
		if status != http.StatusBadRequest || len(refused) == 0 {
			c.tb.Fatalf("create %s: %d %.1000s", ix.name, status, reply)
		}
		for _, o := range refused {
			c.tb.Logf("%s: refused, so without %s=%v", ix.name, o, options[o])
			delete(options, o)
		}
	}
	c.indices = append(c.indices, ix)
}

func merged(a, b map[string]any) map[string]any {
	m := maps.Clone(a)
	maps.Copy(m, b)
	return m
}

// write makes a round of n operations on an index.
func (c *corpus) write(ix *index, n, round int) {
	c.tb.Helper()
	var body bytes.Buffer
	for range n {
		if round == 0 && c.w.chance(4) || c.w.chance(1) {
			c.flush(ix, &body)
			c.single(ix)
			continue
		}
		c.operation(ix, &body)
		if body.Len() > 4<<20 || c.w.chance(1) {
			c.flush(ix, &body)
		}
	}
	c.flush(ix, &body)
	c.n.Call(c.tb, "POST", ix.path("/_flush"), nil)
	switch c.rng.IntN(8) {
	case 0:
		c.n.Call(c.tb, "POST", ix.path("/_forcemerge?max_num_segments="+strconv.Itoa(1+c.rng.IntN(3))), nil)
	case 1:
		c.n.Call(c.tb, "POST", ix.path("/_forcemerge?only_expunge_deletes=true"), nil)
	}
}

// operation appends one to a _bulk body: mostly new documents, and changes and deletions of old ones.
func (c *corpus) operation(ix *index, body *bytes.Buffer) {
	c.serial++
	c.w.line = true
	k := key{typ: ix.types[c.rng.IntN(len(ix.types))]}
	old := len(ix.docs) > 0 && c.w.chance(35)
	op := "index"
	if old {
		k = ix.docs[c.rng.IntN(len(ix.docs))]
		op = c.w.pick([]string{"index", "update", "delete", "delete"})
	} else {
		if ix.required || c.w.chance(20) {
			k.routing = c.w.pick([]string{"a", "b", "7", "서울", "r/1"})
		}
		if c.w.chance(85) {
			k.id = c.w.id(c.serial)
			ix.docs = append(ix.docs, k)
		}
	}
	meta := map[string]any{"_index": ix.name}
	if ix.named {
		meta["_type"] = k.typ
	}
	if k.id != "" {
		meta["_id"] = k.id
	}
	if k.routing != "" {
		meta["routing"] = k.routing
	}
	action, err := json.Marshal(map[string]any{op: meta})
	if err != nil {
		panic("BUG: " + err.Error())
	}
	body.Write(append(action, '\n'))
	switch op {
	case "index":
		size := 0
		if c.large > 0 && c.rng.IntN(25) == 0 {
			c.large--
			size = 100<<10 + c.rng.IntN(3<<20)
		} else if c.w.chance(2) {
			size = 1 + c.rng.IntN(40<<10)
		}
		body.Write(append(c.w.document(c.serial, ix.nested, size), '\n'))
	case "update":
		fmt.Fprintf(body, `{"doc":{"n":%d,"free":{"patched":%s}}}`+"\n", c.rng.IntN(1000), c.w.pick([]string{"true", `"가"`, "[1,2.5]"}))
	}
}

// flush sends a _bulk body. Updates and deletions of what is no longer there fail, as they should.
func (c *corpus) flush(ix *index, body *bytes.Buffer) {
	c.tb.Helper()
	if body.Len() == 0 {
		return
	}
	status, reply, err := c.n.Send(c.tb.Context(), "POST", "/_bulk", "application/x-ndjson", body.Bytes())
	if err != nil || status >= 300 {
		c.tb.Fatalf("write to %s: %d %.1000s (%v)", ix.name, status, reply, err)
	}
	body.Reset()
	var result struct {
		Items []map[string]struct {
			ID     string `json:"_id"`
			Status int
			Error  json.RawMessage
		}
	}
	if err := json.Unmarshal(reply, &result); err != nil {
		c.tb.Fatal(err)
	}
	for _, item := range result.Items {
		for op, r := range item {
			updateOfNothing := op == "update" && (ix.bodiless || r.Status == http.StatusNotFound)
			if r.Status >= 300 && !updateOfNothing && !(op == "delete" && r.Status == http.StatusNotFound) {
				c.tb.Fatalf("%s %q in %s: %s", op, r.ID, ix.name, r.Error)
			}
		}
	}
	if c.w.chance(30) {
		c.n.Call(c.tb, "POST", ix.path("/"+c.w.pick([]string{"_flush", "_refresh", "_refresh"})), nil)
	}
}

// single writes one document in a request of its own: with line breaks between its tokens, or not as JSON.
func (c *corpus) single(ix *index) {
	c.tb.Helper()
	c.serial++
	c.w.line = false
	k := key{typ: ix.types[0], id: c.w.id(c.serial)}
	path := ix.path("/" + url.PathEscape(k.typ) + "/" + url.PathEscape(k.id))
	if ix.required || c.w.chance(20) {
		k.routing = "one"
		path += "?routing=one"
	}
	contentType, doc := "application/json", c.w.document(c.serial, ix.nested, 0)
	if c.w.chance(50) {
		contentType, doc = c.w.foreign()
	}
	status, reply, err := c.n.Send(c.tb.Context(), "PUT", path, contentType, doc)
	if err != nil || status >= 300 {
		c.tb.Fatalf("PUT %s (%s) %q: %d %.500s (%v)", path, contentType, doc, status, reply, err)
	}
	ix.docs = append(ix.docs, k)
}

// reshape makes new indices out of others by _split, _shrink and _clone, whose segments were made without the
// documents' being written again: _split deletes with .liv files even where deletes are soft.
func (c *corpus) reshape() {
	c.tb.Helper()
	if !c.modern() {
		return
	}
	for _, ix := range slices.Clone(c.indices) {
		if !c.w.chance(25) {
			continue
		}
		how, shards := "_split", ix.shards*2
		if ix.shards > 1 && c.w.chance(50) {
			how, shards = "_shrink", 1
		}
		c.n.Call(c.tb, "PUT", ix.path("/_settings"), map[string]any{"index.blocks.write": true})
		made := *ix
		made.name, made.shards = ix.name+how, shards
		c.tb.Logf("%s: %d shards", made.name, shards)
		c.n.Call(c.tb, "POST", ix.path("/"+how+"/"+url.PathEscape(made.name)), map[string]any{"settings": map[string]any{
			"index.number_of_shards": shards, "index.number_of_replicas": 0, "index.blocks.write": nil}})
		status, _, err := c.n.Send(c.tb.Context(), "GET", "/_cluster/health/"+url.PathEscape(made.name)+"?wait_for_status=green&timeout=20s", "", nil)
		if err != nil {
			c.tb.Fatal(err)
		}
		if status != http.StatusOK { // the server cannot split every index that it takes to
			_, why, err := c.n.Send(c.tb.Context(), "GET", "/_cluster/allocation/explain", "", nil)
			c.tb.Logf("%s: the server failed, so without: %.2000s (%v)", made.name, why, err)
			c.n.Call(c.tb, "DELETE", made.path(""), nil)
			c.n.Call(c.tb, "PUT", ix.path("/_settings"), map[string]any{"index.blocks.write": nil})
			continue
		}
		c.indices = append(c.indices, &made)
	}
}

// repository registers one with random settings.
func (c *corpus) repository(name string) {
	c.tb.Helper()
	settings := map[string]any{"location": filepath.Join(c.n.Repo, name), "max_snapshot_bytes_per_sec": "400mb"}
	if c.w.chance(60) {
		settings["compress"] = c.w.chance(50)
	}
	if c.n.OpenSearch && (c.n.Major > 2 || c.n.Major == 2 && c.n.Minor >= 10) && c.w.chance(50) {
		settings["compress"], settings["compression_type"] = true, "zstd"
	}
	if c.w.chance(50) {
		settings["chunk_size"] = c.w.pick([]string{"2kb", "10kb", "100kb", "1mb"})
	}
	c.tb.Logf("repository %s: %v", name, settings)
	c.n.Call(c.tb, "PUT", "/_snapshot/"+name, map[string]any{"type": "fs", "settings": settings})
}

func (c *corpus) snapshot(repo, name string) Taken {
	c.tb.Helper()
	return c.take(repo, name, c.truth())
}

func (c *corpus) truth() map[string][]Line {
	c.tb.Helper()
	truth := map[string][]Line{}
	for _, ix := range c.indices {
		lines := c.n.Dump(c.tb, ix.name)
		if ix.bodiless { // what a server makes up out of its index is not what was written
			for i := range lines {
				lines[i].Source = nil
			}
		}
		truth[ix.name] = lines
	}
	return truth
}

func (c *corpus) take(repo, name string, truth map[string][]Line) Taken {
	c.tb.Helper()
	var names []string
	bodiless := map[string]bool{}
	for _, ix := range c.indices {
		names = append(names, ix.name)
		bodiless[ix.name] = ix.bodiless
	}
	body := map[string]any{"indices": strings.Join(names, ",")}
	if c.modern() {
		body["expand_wildcards"] = "all"
	}
	var reply struct {
		Snapshot struct {
			State  string
			Shards struct{ Total, Failed int }
		}
	}
	text := c.n.Call(c.tb, "PUT", "/_snapshot/"+repo+"/"+name+"?wait_for_completion=true", body)
	if err := json.Unmarshal(text, &reply); err != nil || reply.Snapshot.State != "SUCCESS" {
		c.tb.Fatalf("snapshot %s: %.1000s (%v)", name, text, err)
	}
	documents := 0
	for _, lines := range truth {
		documents += len(lines)
	}
	c.tb.Logf("%s in %s: %d indices, %d shards, %d documents", name, repo, len(names), reply.Snapshot.Shards.Total, documents)
	return Taken{filepath.Join(c.n.Repo, repo), name, truth, bodiless}
}

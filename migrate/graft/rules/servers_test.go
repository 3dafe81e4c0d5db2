//go:build servers

package rules

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/narudata/naru/format/snapshot"
	"github.com/narudata/naru/format/tree"
	"github.com/narudata/naru/internal/testbed"
)

func start(t *testing.T, server string) *testbed.Node {
	t.Helper()
	ok, missing := testbed.CanStart(t, server)
	testbed.Need(t, ok, missing)
	return testbed.Start(t, server, testbed.Options{HeapMB: 512})
}

// required are parameters that a field of a type cannot do without; values are one that each parameter may have.
var (
	required = map[string]string{"scaled_float": `"scaling_factor":100`, "token_count": `"analyzer":"standard"`, "alias": `"path":"base"`, "join": `"relations":{"q":"a"}`, "constant_keyword": `"value":"x"`}
	values   = map[string]string{
		"null_value": `"1"`, "ignore_above": `100`, "normalizer": `"lowercase"`, "similarity": `"BM25"`, "index_options": `"docs"`, "copy_to": `"base"`, "norms": `false`,
		"fields": `{"raw":{"type":"keyword"}}`, "meta": `{"unit":"s"}`, "boost": `2.0`, "analyzer": `"standard"`, "search_analyzer": `"standard"`,
		"search_quote_analyzer": `"standard"`, "position_increment_gap": `50`, "fielddata_frequency_filter": `{"min":0.1,"max":0.2,"min_segment_size":10}`,
		"index_prefixes": `{"min_chars":2,"max_chars":3}`, "term_vector": `"yes"`, "format": `"epoch_millis"`, "locale": `"en"`, "max_shingle_size": `3`,
		"max_input_length": `20`, "contexts": `[{"name":"c","type":"category"}]`, "orientation": `"right"`, "dynamic": `"strict"`, "properties": `{}`,
		"scaling_factor": `10`, "relations": `{"q":"a"}`, "path": `"base"`, "value": `"x"`,
	}
	nulls = map[string]string{"boolean": `true`, "date": `"2020-01-01"`, "date_nanos": `"2020-01-01"`, "ip": `"127.0.0.1"`, "geo_point": `"1,2"`}
	needs = map[string]string{"search_analyzer": `"analyzer":"standard"`, "search_quote_analyzer": `"analyzer":"standard","search_analyzer":"standard"`}
)

// puts makes an index with a field, and gives what the server has against it.
func puts(t *testing.T, n *testbed.Node, field string) string {
	t.Helper()
	body := `{"settings":{"number_of_shards":1,"number_of_replicas":0},"mappings":{"properties":{"base":{"type":"keyword"},"f":` + field + `}}}`
	return creates(t, n, body)
}

func creates(t *testing.T, n *testbed.Node, body string) string {
	t.Helper()
	status, reply, err := n.Send(t.Context(), "PUT", "/probe", "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	if status >= 300 {
		return string(reply)
	}
	n.Call(t, "DELETE", "/probe", nil)
	return ""
}

// notInTestbed are types whose module is not among the jars of every real server here.
var notInTestbed = set("geo_shape")

// TestServersTakeWhatTheTablesSay asks real servers for each type, parameter, setting, kind of analysis and processor.
func TestServersTakeWhatTheTablesSay(t *testing.T) {
	for _, server := range testbed.Asked("os13", "os29", "os219", "os3") {
		t.Run(server, func(t *testing.T) {
			n := start(t, server)
			to := Target{n.Major, n.Minor}
			for _, typ := range slices.Sorted(maps.Keys(fieldTypes)) {
				asksType(t, n, to, typ)
			}
			asksSettings(t, n, to)
			asksAnalysis(t, n, to)
			asksProcessors(t, n)
		})
	}
}

func asksType(t *testing.T, n *testbed.Node, to Target, typ string) {
	field := `"type":"` + typ + `"`
	if r := required[typ]; r != "" {
		field += "," + r
	}
	why := puts(t, n, "{"+field+"}")
	if notInTestbed[typ] && strings.Contains(why, "No handler") {
		return
	}
	if (why == "") != to.has(typ) {
		t.Errorf("the type %s: %t by the table, and the server says %.200s", typ, to.has(typ), why)
		return
	}
	if why != "" {
		return
	}
	params := maps.Clone(fieldTypes[typ].params)
	for p := range paramFrom {
		if of, name, _ := strings.Cut(p, "."); of == typ {
			params[name] = true
		}
	}
	for _, p := range slices.Sorted(maps.Keys(params)) {
		value := values[p]
		if p == "null_value" && nulls[typ] != "" {
			value = nulls[typ]
		}
		if value == "" {
			value = "true"
		}
		if p == "type" || strings.Contains(required[typ], `"`+p+`"`) {
			continue
		}
		if typ == "search_as_you_type" && p == "doc_values" {
			value = "false" // all that it may be
		}
		with := field + `,"` + p + `":` + value
		if before := needs[p]; before != "" {
			with += "," + before
		}
		why := puts(t, n, "{"+with+"}")
		if to.takes(typ, p) && why != "" {
			t.Errorf("the type %s takes %s by the table, and the server says %.300s", typ, p, why)
		}
		if _, later := paramFrom[typ+"."+p]; later && !to.takes(typ, p) && why == "" {
			t.Errorf("the server takes %s of the type %s, which is later by the table", p, typ)
		}
	}
}

func asksSettings(t *testing.T, n *testbed.Node, to Target) {
	internal := set("provided_name uuid creation_date history.uuid version.created")
	for _, s := range settingsSince {
		for _, name := range slices.Sorted(maps.Keys(s.names)) {
			if strings.HasSuffix(name, ".") || internal[name] {
				continue
			}
			why := creates(t, n, `{"settings":{"index.`+name+`":"no value of it"}}`)
			unknown := strings.Contains(why, "unknown setting")
			if known := to.knows("index." + name); known == unknown {
				t.Errorf("the setting %s: %t by the table, and the server says %.200s", name, known, why)
			}
		}
	}
}

func asksAnalysis(t *testing.T, n *testbed.Node, to Target) {
	for _, kind := range []string{"analyzer", "tokenizer", "filter", "char_filter"} {
		for _, name := range slices.Sorted(maps.Keys(builtIn[kind])) {
			if plugin, ok := to.provides(kind, name); !ok || plugin != "" || name == "custom" {
				continue
			}
			// by its type, or by its name where there is nothing to set
			byType := creates(t, n, fmt.Sprintf(`{"settings":{"analysis":{%q:{"x":{"type":%q}}}}}`, kind, name))
			byName := "no"
			if kind == "analyzer" {
				byName = puts(t, n, `{"type":"text","analyzer":"`+name+`"}`)
			} else if kind == "filter" || kind == "tokenizer" {
				tokenizer, filter := "standard", "lowercase"
				if kind == "filter" {
					filter = name
				} else {
					tokenizer = name
				}
				byName = creates(t, n, fmt.Sprintf(`{"settings":{"analysis":{"analyzer":{"x":{"tokenizer":%q,"filter":[%q]}}}}}`, tokenizer, filter))
			}
			if strings.Contains(byType, "Unknown ") && byName != "" {
				t.Errorf("the %s %s: the server says %.200s", kind, name, byType)
			}
		}
	}
}

func asksProcessors(t *testing.T, n *testbed.Node) {
	var info struct {
		Nodes map[string]struct {
			Ingest struct {
				Processors []struct{ Type string }
			}
		}
	}
	if err := json.Unmarshal(n.Call(t, "GET", "/_nodes/ingest", nil), &info); err != nil {
		t.Fatal(err)
	}
	has := make(map[string]bool)
	for _, node := range info.Nodes {
		for _, p := range node.Ingest.Processors {
			has[p.Type] = true
		}
	}
	modules := set("user_agent geoip") // not among the jars of the servers here
	for _, name := range slices.Sorted(maps.Keys(processors)) {
		if !has[name] && !modules[name] && processors[name].plugin == "" {
			t.Errorf("the server has no processor %s", name)
		}
	}
}

// TestServersWriteToShadowedFields shows the principle of package rules at work: a field that segments hold in a form that the new
// mapping does not make can be written if the mapping makes no Lucene field of its name, and its subfield is searched after
// an update by query; mapped to what contradicts the segments, documents are rejected.
func TestServersWriteToShadowedFields(t *testing.T) {
	shadow := `{"type":"keyword","index":false,"doc_values":false,"fields":{"keyword":{"type":"keyword","ignore_above":8191}}}`
	for _, server := range testbed.Asked("os219", "os3") {
		t.Run(server, func(t *testing.T) {
			n := start(t, server)
			// doc values of the type BINARY, as Elasticsearch's wildcard has them
			n.Call(t, "PUT", "/i", `{"settings":{"number_of_shards":1,"number_of_replicas":0},"mappings":{"properties":{"w":{"type":"binary","doc_values":true},"v":{"type":"binary","doc_values":true}}}}`)
			for id := range 20 {
				n.Call(t, "PUT", fmt.Sprintf("/i/_doc/%d", id), fmt.Sprintf(`{"w":"AAA%d","v":"AAAA"}`, id%10))
			}
			n.Call(t, "PUT", "/_snapshot/r", fmt.Sprintf(`{"type":"fs","settings":{"location":%q}}`, filepath.Join(n.Repo, "r")))
			n.Call(t, "PUT", "/_snapshot/r/s?wait_for_completion=true", `{"indices":"i"}`)
			n.Call(t, "DELETE", "/i", nil)
			remap(t, filepath.Join(n.Repo, "r"), map[string]string{"w": shadow, "v": `{"type":"object","enabled":false}`, "l": `{"type":"alias","path":"w.keyword"}`})
			n.Call(t, "POST", "/_snapshot/r/s/_restore?wait_for_completion=true", `{"indices":"i"}`)

			n.Call(t, "PUT", "/i/_doc/20?refresh=true", `{"w":"AAA0","v":[1.5,{"a":1}]}`)
			if got := count(t, n, "w.keyword"); got != 1 {
				t.Errorf("%d documents are found before the update, of 1", got)
			}
			n.Call(t, "POST", "/i/_update_by_query?refresh=true", nil)
			if got := count(t, n, "w.keyword"); got != 3 {
				t.Errorf("%d documents are found after the update, of 3", got)
			}
			if got := count(t, n, "l"); got != 3 {
				t.Errorf("%d documents are found by the alias, of 3", got)
			}
			n.Call(t, "POST", "/i/_forcemerge?max_num_segments=1", nil)
			n.Call(t, "POST", "/i/_refresh", nil)
			if got := count(t, n, "w.keyword"); got != 3 {
				t.Errorf("%d documents are found after the merge, of 3", got)
			}
			if status, reply, err := n.Send(t.Context(), "POST", "/i/_search", "application/json", `{"query":{"term":{"w":"AAA0"}}}`); err != nil || status < 400 {
				t.Errorf("a query on the field itself is answered, and not refused: %v %.200s", err, reply)
			}

			n.Call(t, "DELETE", "/i", nil)
			remap(t, filepath.Join(n.Repo, "r"), map[string]string{"w": `{"type":"keyword"}`, "l": `{"type":"keyword"}`})
			n.Call(t, "POST", "/_snapshot/r/s/_restore?wait_for_completion=true", `{"indices":"i"}`)
			status, reply, err := n.Send(t.Context(), "PUT", "/i/_doc/21", "application/json", `{"w":"AAA0"}`)
			if err != nil {
				t.Fatal(err)
			}
			if status < 400 || !strings.Contains(string(reply), "cannot change field") {
				t.Errorf("a document that contradicts the segments is taken: %d %.300s", status, reply)
			}
		})
	}
}

func count(t *testing.T, n *testbed.Node, field string) int {
	t.Helper()
	var r struct{ Count int }
	if err := json.Unmarshal(n.Call(t, "POST", "/i/_count", `{"query":{"term":{"`+field+`":"AAA0"}}}`), &r); err != nil {
		t.Fatal(err)
	}
	return r.Count
}

// remap gives fields of the one index of a repository other mappings.
func remap(t *testing.T, repo string, fields map[string]string) {
	t.Helper()
	blobs, err := filepath.Glob(filepath.Join(repo, "indices", "*", "meta-*.dat"))
	if err != nil || len(blobs) != 1 {
		t.Fatalf("%v, %v", blobs, err)
	}
	raw, err := os.ReadFile(blobs[0])
	if err != nil {
		t.Fatal(err)
	}
	b, err := snapshot.OpenBlob(snapshot.IndexCodec, raw)
	if err != nil {
		t.Fatal(err)
	}
	index := b.Body.Object("i")
	types, err := snapshot.Mappings(index)
	if err != nil {
		t.Fatal(err)
	}
	root := types.Object("_doc")
	properties := root.Object("properties")
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		properties.Set(name, tree.Clone(parse(t, fields[name])))
	}
	root.Set("properties", properties)
	types.Set("_doc", root)
	snapshot.SetMappings(&index, types)
	b.Body.Set("i", index)
	if raw, err = b.Encode(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(blobs[0], raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

package estate_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/narudata/naru/estate"
)

// A dashboardsFake answers as the saved objects API of OpenSearch Dashboards 2 is documented, and rewrites what it is given: it adds
// versions, times and migration versions, turns references round, writes JSON in texts with blanks, and reads the fields of index
// patterns anew. There is no OpenSearch Dashboards among the test beds.
type dashboardsFake struct {
	t       *testing.T
	mu      sync.Mutex // guards the rest
	objects map[string]map[string]any
	version int
	tenants map[string]bool
	calls   []string
	fail    func(call string) bool // answer 503
}

func startDashboards(t *testing.T) (*dashboardsFake, string) {
	f := &dashboardsFake{t: t, objects: map[string]map[string]any{}, tenants: map[string]bool{}}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return f, s.URL
}

func (f *dashboardsFake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	call := r.Method + " " + r.URL.Path
	f.calls = append(f.calls, call)
	f.tenants[r.Header.Get("securitytenant")] = true
	path, ok := strings.CutPrefix(r.URL.Path, "/base")
	answer := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		if err := json.NewEncoder(w).Encode(v); err != nil {
			f.t.Error(err)
		}
	}
	switch {
	case !ok:
		answer(404, map[string]any{"statusCode": 404, "error": "Not Found", "message": "Not Found"})
	case r.Method != http.MethodGet && r.Header.Get("osd-xsrf") == "":
		answer(400, map[string]any{"statusCode": 400, "error": "Bad Request", "message": "Request must contain a osd-xsrf header."})
	case f.fail != nil && f.fail(call):
		answer(503, map[string]any{"statusCode": 503, "error": "Service Unavailable", "message": "not ready"})
	case path == "/api/status":
		answer(200, map[string]any{"name": "fake", "version": map[string]any{"number": "2.19.5"}})
	case path == "/api/saved_objects/_bulk_get":
		f.bulkGet(r, answer)
	case path == "/api/saved_objects/_import":
		f.load(r, answer)
	case path == "/api/saved_objects/_find":
		f.find(r, answer)
	case r.Method == http.MethodDelete:
		key := strings.TrimPrefix(path, "/api/saved_objects/")
		if f.objects[key] == nil {
			answer(404, map[string]any{"statusCode": 404, "error": "Not Found", "message": "Saved object [" + key + "] not found"})
			return
		}
		delete(f.objects, key)
		answer(200, map[string]any{})
	default:
		answer(404, map[string]any{"statusCode": 404, "error": "Not Found", "message": "Not Found"})
	}
}

func (f *dashboardsFake) bulkGet(r *http.Request, answer func(int, any)) {
	var asked []struct{ Type, ID string }
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		answer(400, map[string]any{"statusCode": 400, "error": "Bad Request", "message": err.Error()})
		return
	}
	list := []any{}
	for _, a := range asked {
		if o := f.objects[a.Type+"/"+a.ID]; o != nil {
			list = append(list, o)
			continue
		}
		list = append(list, map[string]any{"type": a.Type, "id": a.ID, "error": map[string]any{"statusCode": 404, "error": "Not Found", "message": "not found"}})
	}
	answer(200, map[string]any{"saved_objects": list})
}

func (f *dashboardsFake) load(r *http.Request, answer func(int, any)) {
	file, _, err := r.FormFile("file")
	if err != nil || r.URL.Query().Get("overwrite") != "true" {
		answer(400, map[string]any{"statusCode": 400, "error": "Bad Request", "message": fmt.Sprint(err)})
		return
	}
	data, err := io.ReadAll(file)
	if err != nil {
		f.t.Error(err)
	}
	all := map[string]map[string]any{}
	for line := range bytes.Lines(data) {
		var o map[string]any
		if err := json.Unmarshal(line, &o); err != nil {
			answer(400, map[string]any{"statusCode": 400, "error": "Bad Request", "message": err.Error()})
			return
		}
		if attributes, _ := o["attributes"].(map[string]any); attributes["panelsJSON"] != nil {
			if _, text := attributes["panelsJSON"].(string); !text {
				answer(400, map[string]any{"statusCode": 400, "error": "Bad Request", "message": "mapper_parsing_exception"})
				return
			}
		}
		all[fmt.Sprintf("%s/%s", o["type"], o["id"])] = o
	}
	var errs []any
	for key, o := range all {
		list, _ := o["references"].([]any)
		for _, x := range list {
			ref, _ := x.(map[string]any)
			to := fmt.Sprintf("%s/%s", ref["type"], ref["id"])
			if ref["type"] == "index-pattern" && all[to] == nil && f.objects[to] == nil {
				errs = append(errs, map[string]any{"id": o["id"], "type": o["type"], "error": map[string]any{"type": "missing_references", "references": []any{ref}}})
			}
		}
		_ = key
	}
	if len(errs) > 0 {
		answer(200, map[string]any{"success": false, "successCount": 0, "errors": errs})
		return
	}
	for key, o := range all {
		f.version++
		o["version"], o["updated_at"] = fmt.Sprintf("Wz%dsMV0=", f.version), fmt.Sprintf("2026-11-24T10:00:%02dZ", f.version%60)
		o["migrationVersion"], o["namespaces"] = map[string]any{o["type"].(string): "7.9.3"}, []any{"default"}
		list, _ := o["references"].([]any)
		slices.Reverse(list)
		attributes, _ := o["attributes"].(map[string]any)
		for name, v := range attributes {
			if s, ok := v.(string); ok && (strings.HasPrefix(s, "{") || strings.HasPrefix(s, "[")) {
				var out bytes.Buffer
				if json.Indent(&out, []byte(s), "", " ") == nil {
					attributes[name] = out.String()
				}
			}
		}
		if strings.HasPrefix(key, "index-pattern/") {
			f.refresh(o)
		}
		f.objects[key] = o
	}
	answer(200, map[string]any{"success": true, "successCount": len(all)})
}

// refresh reads the fields of an index pattern anew, as opening it does.
func (f *dashboardsFake) refresh(o map[string]any) {
	attributes, _ := o["attributes"].(map[string]any)
	fields := []any{map[string]any{"name": fmt.Sprintf("f%d", f.version), "type": "string", "count": f.version, "aggregatable": true, "searchable": true}}
	var old []map[string]any
	if s, ok := attributes["fields"].(string); ok && json.Unmarshal([]byte(s), &old) == nil {
		for _, x := range old {
			if x["scripted"] == true {
				x["count"] = f.version
				fields = append(fields, x)
			}
		}
	}
	text, err := json.Marshal(fields)
	if err != nil {
		f.t.Error(err)
	}
	attributes["fields"] = string(text)
}

func (f *dashboardsFake) find(r *http.Request, answer func(int, any)) {
	var ref struct{ Type, ID string }
	if err := json.Unmarshal([]byte(r.URL.Query().Get("has_reference")), &ref); err != nil {
		answer(400, map[string]any{"statusCode": 400, "error": "Bad Request", "message": err.Error()})
		return
	}
	list := []any{}
	for _, key := range slices.Sorted(maps.Keys(f.objects)) {
		o := f.objects[key]
		references, _ := o["references"].([]any)
		if slices.Contains(r.URL.Query()["type"], o["type"].(string)) && slices.ContainsFunc(references, func(x any) bool {
			m, _ := x.(map[string]any)
			return m["type"] == ref.Type && m["id"] == ref.ID
		}) {
			list = append(list, o)
		}
	}
	answer(200, map[string]any{"total": len(list), "saved_objects": list})
}

// change does something to an object as somebody else does.
func (f *dashboardsFake) change(key string, do func(attributes map[string]any)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	attributes, _ := f.objects[key]["attributes"].(map[string]any)
	do(attributes)
}

func (f *dashboardsFake) names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.objects))
}

const webBundle = `{"id":"web","type":"index-pattern","version":"WzEsMV0=","updated_at":"2026-01-01T00:00:00Z","attributes":{"title":"${prefix}-*","timeFieldName":"@timestamp","fields":"[{\"name\":\"a\",\"count\":3,\"aggregatable\":true},{\"name\":\"kb\",\"type\":\"number\",\"scripted\":true,\"script\":\"doc['bytes'].value/1024\",\"lang\":\"painless\",\"count\":1}]","fieldFormatMap":"{}"},"references":[],"migrationVersion":{"index-pattern":"7.6.0"}}
{"id":"v1","type":"visualization","attributes":{"title":"status","visState":"{\"title\":\"status\",\"type\":\"pie\",\"params\":{\"addLegend\":true},\"aggs\":[]}","uiStateJSON":"{}","description":"","version":1,"kibanaSavedObjectMeta":{"searchSourceJSON":"{\"query\":{\"query\":\"${x} > 1\",\"language\":\"kuery\"},\"indexRefName\":\"kibanaSavedObjectMeta.searchSourceJSON.index\"}"}},"references":[{"name":"kibanaSavedObjectMeta.searchSourceJSON.index","type":"index-pattern","id":"web"}]}
{"id":"d1","type":"dashboard","attributes":{"title":"Web","hits":0,"panelsJSON":"[{\"version\":\"2.19.0\",\"gridData\":{\"x\":0,\"y\":0,\"w\":24,\"h\":15,\"i\":\"1\"},\"panelIndex\":\"1\",\"embeddableConfig\":{},\"panelRefName\":\"panel_0\"}]","optionsJSON":"{\"hidePanelTitles\":false}","timeRestore":false},"references":[{"name":"panel_1","type":"search","id":"gone"},{"name":"panel_0","type":"visualization","id":"v1"}]}
{"exportedCount":3,"missingRefCount":0,"missingReferences":[]}
`

func newDashboardsBench(t *testing.T) (*bench, *dashboardsFake) {
	t.Helper()
	b := newBench(t)
	f, at := startDashboards(t)
	b.file("overlays/prod/env.yaml", fmt.Sprintf("estate: shop\ntarget: {urls: [%q]}\ndashboards: {url: %q, tenant: shop}\nvariables: {prefix: web}\ndrift: {repair: [dashboards]}\n", b.url, at+"/base/"))
	d, err := (&estate.DashboardsTarget{URL: at + "/base/", Tenant: "shop"}).Connect(t.Context(), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	b.dashboards = d
	return b, f
}

func TestDashboardsAreNoDifferenceHoweverTheyAreRewritten(t *testing.T) {
	b, f := newDashboardsBench(t)
	b.file("base/dashboards/web.ndjson", webBundle)
	p := b.plan()
	b.wants(p, "create dashboards/web")
	first := b.apply(p)
	b.wants(b.plan())
	if d := b.drift(); len(d) > 0 {
		t.Errorf("drift of what nobody touched: %q", d)
	}
	if len(f.tenants) != 1 || !f.tenants["shop"] {
		t.Errorf("tenants %v", f.tenants)
	}
	f.change("index-pattern/web", func(a map[string]any) {
		if a["title"] != "web-*" || !strings.Contains(fmt.Sprint(a["fields"]), "painless") {
			t.Errorf("%v", a)
		}
		a["fields"] = strings.ReplaceAll(a["fields"].(string), `"count":1`, `"count":99`)
	})
	f.change("visualization/v1", func(a map[string]any) {
		if meta := fmt.Sprint(a["kibanaSavedObjectMeta"]); !strings.Contains(meta, "${x} > 1") {
			t.Errorf("what is no variable of env.yaml stays: %s", meta)
		}
	})
	b.wants(b.plan())
	if d := b.drift(); len(d) > 0 {
		t.Errorf("drift: %q", d)
	}

	// Somebody changes a dashboard; it is put back.
	f.change("dashboard/d1", func(a map[string]any) {
		a["panelsJSON"] = strings.ReplaceAll(a["panelsJSON"].(string), `"w": 24`, `"w": 48`)
	})
	if d := b.drift(); !slices.Equal(d, []string{"dashboards/web objects.dashboard/d1.attributes.panelsJSON.$json[0].gridData.w"}) {
		t.Errorf("drift: %q", d)
	}
	d, o := b.observe()
	b.apply(estate.NewRepair(d, o, estate.FindDrift(d, o), b.now))
	if d := b.drift(); len(d) > 0 {
		t.Errorf("drift after the repair: %q", d)
	}
	b.wants(b.plan())

	// An overlay changes one thing in it, and removes an object.
	b.file("overlays/prod/dashboards/web.patch.yaml", "objects:\n  dashboard/d1: {attributes: {title: \"Web of ${prefix}\", optionsJSON: {$json: {hidePanelTitles: true}}}}\n  visualization/v1: null\n")
	p = b.plan()
	b.wants(p, "change dashboards/web")
	if text := fields(p); !strings.Contains(text, "objects.dashboard/d1.attributes.optionsJSON.$json.hidePanelTitles: false -> true") || !strings.Contains(text, `"Web" -> "Web of web"`) {
		t.Errorf("%s", text)
	}
	run := b.apply(p)
	b.wants(b.plan())
	if got := f.names(); !slices.Equal(got, []string{"dashboard/d1", "index-pattern/web"}) {
		t.Errorf("%v", got)
	}
	undo := func(id string) *estate.Plan {
		d, _ := b.observe()
		p, err := estate.NewUndo(t.Context(), b.target(), d, id, b.now)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	b.apply(undo(run.ID))
	if got := f.names(); !slices.Equal(got, []string{"dashboard/d1", "index-pattern/web", "visualization/v1"}) {
		t.Errorf("%v", got)
	}
	b.wants(b.plan(), "change dashboards/web")
	if p := undo(first.ID); p.Problems() != 1 || !strings.Contains(p.Changes[0].Problem, "undo that one first") { // the repair came after it
		t.Errorf("%+v", p.Changes)
	}
	b.file("overlays/prod/dashboards/web.patch.yaml", "")
	b.apply(b.plan())
	if err := os.RemoveAll(filepath.Join(b.dir, "base")); err != nil {
		t.Fatal(err)
	}
	b.wants(b.plan(), "delete dashboards/web")
	b.apply(b.plan())
	b.wants(b.plan())
	if got := f.names(); len(got) > 0 {
		t.Errorf("%v", got)
	}
}

func TestOthersSavedObjectsAreAdoptedAndThoseThatReferToOneAreNamed(t *testing.T) {
	b, f := newDashboardsBench(t)
	f.objects["dashboard/theirs"] = map[string]any{"type": "dashboard", "id": "theirs", "attributes": map[string]any{"title": "x"}, "references": []any{map[string]any{"name": "p", "type": "visualization", "id": "v1"}}}
	f.objects["dashboard/d1"] = map[string]any{"type": "dashboard", "id": "d1", "attributes": map[string]any{"title": "by hand"}, "references": []any{}}
	b.file("base/dashboards/web.ndjson", webBundle)
	b.wants(b.plan(), "adopt dashboards/web")
	b.apply(b.plan())
	f.change("dashboard/d1", func(a map[string]any) {
		if a["title"] != "by hand" {
			t.Error("adopting changed it")
		}
	})
	b.wants(b.plan(), "change dashboards/web")
	b.apply(b.plan())
	b.wants(b.plan())
	lines := strings.SplitAfter(webBundle, "\n")
	b.file("base/dashboards/web.ndjson", lines[0]+lines[2])
	p := b.plan()
	b.wants(p, "change dashboards/web")
	if text := strings.Join(p.Changes[0].Effects, "\n"); !strings.Contains(text, "dashboard/theirs loses visualization/v1, to which it refers") || p.Changes[0].Risk != estate.High {
		t.Errorf("%s %s", text, p.Changes[0].Risk)
	}
}

func TestAnImportThatFailsSaysOfWhat(t *testing.T) {
	b, f := newDashboardsBench(t)
	lines := strings.SplitAfter(webBundle, "\n")
	b.file("base/dashboards/web.ndjson", lines[1])
	if _, err := b.try(t.Context(), b.plan()); err == nil || !strings.Contains(err.Error(), "visualization/v1: it refers to what is not there: index-pattern/web") {
		t.Errorf("%v", err)
	}
	b.file("base/dashboards/web.ndjson", webBundle)
	deletes := 0
	b.apply(b.plan())
	b.file("base/dashboards/web.ndjson", lines[0])
	f.fail = func(call string) bool { // between the import and the deletions
		if strings.HasPrefix(call, http.MethodDelete) {
			deletes++
			return deletes < 20 // however often it is tried
		}
		return false
	}
	if _, err := b.try(t.Context(), b.plan()); err == nil {
		t.Error("done")
	}
	f.fail = nil
	b.apply(b.plan())
	b.wants(b.plan())
	if got := f.names(); !slices.Equal(got, []string{"index-pattern/web"}) {
		t.Errorf("%v", got)
	}
}

func TestMistakesInExportsAreSaidWithTheirPlace(t *testing.T) {
	for _, c := range []struct{ file, content, want string }{
		{"a.ndjson", "{\"id\":\"x\",\"type\":\"search\",\"attributes\":{}}\n{\"id\": 1}\n", "base/dashboards/a.ndjson:2: want a saved object"},
		{"a.ndjson", "{\"id\":\"x\",\"type\":\"search\",\"attributes\":{}}\n\n  {\"id\": }\n", "base/dashboards/a.ndjson:3:9: invalid character"},
		{"a.ndjson", "{\"id\":\"x\",\"type\":\"search\",\"attributes\":{}}\n{\"id\":\"x\",\"type\":\"search\",\"attributes\":{}}\n", "a.ndjson:2: search/x stands twice"},
		{"a.ndjson", "{\"id\":\"x\",\"type\":\"search\"}\n", "search/x has no attributes"},
		{"a.ndjson", "{\"exportedCount\":0,\"missingReferences\":[{\"id\":\"x\",\"type\":\"search\"}]}\n", "lacks objects that others refer to"},
		{"a.ndjson", "\n", "there is no saved object in it"},
		{"a.json", "{}", "want the lines of an export of saved objects"},
	} {
		b := &bench{t: t, dir: t.TempDir()}
		b.file("overlays/prod/env.yaml", "target: {urls: [\"http://127.0.0.1:1\"]}\ndashboards: {url: \"http://127.0.0.1:1\"}\n")
		b.file("base/dashboards/"+c.file, c.content)
		if _, err := estate.Read(t.Context(), b.dir, "prod", noEnv); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\ngot  %v\nwant %s", c.content, err, c.want)
		}
	}
	b := &bench{t: t, dir: t.TempDir()}
	b.file("overlays/prod/env.yaml", "target: {urls: [\"http://127.0.0.1:1\"], auth: {username: u}}\ndashboards: {url: \"http://u:p@127.0.0.1:1\"}\n")
	if _, err := estate.Read(t.Context(), b.dir, "prod", noEnv); err == nil || !strings.Contains(err.Error(), "a name and password in a URL") {
		t.Errorf("%v", err)
	}
	b.file("overlays/prod/env.yaml", "target: {urls: [\"http://127.0.0.1:1\"], auth: {username: u}}\ndashboards: {url: \"http://127.0.0.1:1\"}\n")
	b.file("base/dashboards/a.ndjson", webBundle)
	b.file("base/dashboards/b.ndjson", webBundle)
	if _, err := estate.Read(t.Context(), b.dir, "prod", noEnv); err == nil || !strings.Contains(err.Error(), "base/dashboards/b.ndjson: base/dashboards/a.ndjson has the saved object dashboard/d1 too") {
		t.Errorf("%v", err)
	}
	b.file("base/dashboards/b.ndjson", "")
	d, err := estate.Read(t.Context(), b.dir, "prod", noEnv)
	if err != nil || d.Dashboards.Auth.Username != "u" {
		t.Errorf("%+v %v", d, err)
	}
}

func FuzzParseSaved(f *testing.F) {
	f.Add([]byte(webBundle))
	f.Add([]byte("{\"type\":\"a\",\"id\":\"b\",\"attributes\":{\"x\":\"[1,\",\"y\":{\"z\":\"{\\\"$json\\\":1}\"}}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		body, err := estate.ParseSaved("f", data, nil)
		if err != nil {
			return
		}
		key := estate.Key{Kind: estate.SavedObjects, Name: "f"}
		once := estate.Canonical(key, body)
		if fields := estate.Compare(once, estate.Canonical(key, once), nil, nil); len(fields) > 0 {
			t.Errorf("canonical twice is something else: %+v", fields)
		}
	})
}

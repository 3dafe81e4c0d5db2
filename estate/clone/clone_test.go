package clone_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/connect"
	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/estate/clone"
	"github.com/narudata/naru/flow"
)

const key = "0123456789abcdef0123456789abcdef"

func environment(name string) string {
	if name == "NARU_MASK_KEY" {
		return key
	}
	return ""
}

// A bench is two environments with a cluster each; the second may be the first's.
type bench struct {
	t        *testing.T
	dir      string
	from, to clone.Side
	fromFake *osfake.Server // nil: real ones
	toFake   *osfake.Server
	now      time.Time
	ledger   string // "": the default one
}

func newBench(t *testing.T) *bench {
	t.Helper()
	plugins := []string{osfake.IndexManagement}
	a := osfake.Start(t, osfake.Options{Cluster: "a", Sizes: true, Plugins: plugins})
	b := osfake.Start(t, osfake.Options{Cluster: "b", Sizes: true, Plugins: plugins})
	x := benchAt(t, a.URL(), b.URL())
	x.fromFake, x.toFake = a, b
	return x
}

func benchAt(t *testing.T, from, to string) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), now: time.Now().Truncate(time.Second)}
	t.Chdir(b.dir) // dead letters
	b.file("base/env.yaml", "estate: shop\n")
	b.file("overlays/prod/env.yaml", "target: {urls: [\""+from+"\"]}\n")
	b.file("overlays/staging/env.yaml", "target: {urls: [\""+to+"\"]}\n")
	b.file("overlays/beside/env.yaml", "target: {urls: [\""+from+"\"]}\n")
	b.from, b.to = b.side("prod"), b.side("staging")
	return b
}

func (b *bench) file(name, content string) {
	b.t.Helper()
	path := filepath.Join(b.dir, filepath.FromSlash(name))
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o750), os.WriteFile(path, []byte(content), 0o600)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) side(name string) clone.Side {
	b.t.Helper()
	d, err := estate.Read(b.t.Context(), b.dir, name, environment)
	if err != nil {
		b.t.Fatal(err)
	}
	target, err := d.Connect(b.t.Context(), environment)
	if err != nil {
		b.t.Fatal(err)
	}
	return clone.Side{Desired: d, Target: target}
}

func (b *bench) send(s clone.Side, method, path, body string) {
	b.t.Helper()
	r := opensearch.Request{Method: method, Path: path, Body: []byte(body)}
	if strings.HasSuffix(path, "_bulk") {
		r.Type = "application/x-ndjson"
	}
	if _, err := s.Search.Do(b.t.Context(), r); err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
}

func (b *bench) get(s clone.Side, path string) map[string]any {
	b.t.Helper()
	var out map[string]any
	if err := s.Search.JSON(b.t.Context(), "GET", path, nil, &out); err != nil {
		b.t.Fatalf("GET %s: %v", path, err)
	}
	return out
}

// fill gives prod an environment: two plain indices, a data stream, one whose mapping names nothing, templates, a pipeline.
func (b *bench) fill(each int) {
	b.t.Helper()
	p := b.from
	b.send(p, "PUT", "/_ingest/pipeline/stamp", `{"processors": [{"append": {"field": "stamps", "value": "x"}}]}`)
	b.send(p, "PUT", "/_component_template/common", `{"template": {"mappings": {"properties": {
		"@timestamp": {"type": "date"}, "trace": {"properties": {"id": {"type": "keyword"}}}, "message": {"type": "text"}, "stamps": {"type": "keyword"},
		"user": {"properties": {"email": {"type": "keyword"}, "name": {"type": "keyword"}}}, "client": {"properties": {"ip": {"type": "ip"}}}}}}}`)
	b.send(p, "PUT", "/_index_template/events", `{"index_patterns": ["events"], "priority": 10, "composed_of": ["common"], "data_stream": {}, "template": {"settings": {"index.final_pipeline": "stamp", "index.number_of_replicas": "0"}}}`)
	b.send(p, "PUT", "/_data_stream/events", ``)
	mapping := `"mappings": {"_meta": {"owner": "shop"}, "properties": {"@timestamp": {"type": "date"}, "trace": {"properties": {"id": {"type": "keyword"}}}, "message": {"type": "text"}, "stamps": {"type": "keyword"},
		"user": {"properties": {"email": {"type": "keyword"}, "name": {"type": "keyword"}}}, "client": {"properties": {"ip": {"type": "ip"}}}}}`
	for i, alias := range []string{`{"web": {"is_write_index": false}}`, `{"web": {"is_write_index": true}}`} {
		b.send(p, "PUT", fmt.Sprintf("/web-%d", i), `{"settings": {"index.number_of_shards": "2", "index.number_of_replicas": "0", "index.default_pipeline": "stamp", "index.refresh_interval": "7s"}, `+mapping+`, "aliases": `+alias+`}`)
	}
	b.send(p, "PUT", "/audit", `{"settings": {"index.number_of_replicas": "0"}, "mappings": {"dynamic": false, "properties": {"n": {"type": "long"}}}}`)
	var lines bytes.Buffer
	add := func(index, id, body string) {
		fmt.Fprintf(&lines, "{\"create\":{\"_index\":%q,\"_id\":%q}}\n%s\n", index, id, body)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range each {
		trace, user := fmt.Sprintf("t%d", rng.IntN(max(1, each/5))), fmt.Sprintf("u%d", rng.IntN(30))
		doc := fmt.Sprintf(`{"@timestamp":"2026-11-01T10:00:00Z","trace":{"id":%q},"user":{"email":"%s@example.com","name":%q},"client":{"ip":"10.0.0.%d"},"message":"m%d"}`, trace, user, user, rng.IntN(250), i)
		for _, index := range []string{"web-0", "web-1", "events"} {
			if rng.IntN(3) > 0 {
				add(index, fmt.Sprintf("%s-%d", index, i), doc)
			}
		}
		add("audit", fmt.Sprintf("audit-%d", i), fmt.Sprintf(`{"n":%d,"trace.id":%q,"who":{"email":"%s@example.com"}}`, i, trace, user))
	}
	b.send(p, "POST", "/_bulk", lines.String())
	b.send(p, "POST", "/_refresh", ``)
}

func options() clone.Options {
	return clone.Options{Rate: 0.2, By: "trace.id", Mask: []string{"user.email", "user.name", "client.ip", "who.email"}, Replicas: -1}
}

func (b *bench) plan(o clone.Options) *clone.Plan {
	b.t.Helper()
	p, err := clone.NewPlan(b.t.Context(), b.from, b.to, o, environment, b.now)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// clone does all that `naru env clone` does, but for reading back.
func (b *bench) clone(ctx context.Context, o clone.Options) (*clone.Plan, error) {
	p, err := clone.NewPlan(ctx, b.from, b.to, o, environment, b.now)
	if err != nil || !p.Record.Done.IsZero() {
		return p, err
	}
	run := clone.Run{Plan: p, From: b.from, To: b.to, Now: func() time.Time { return b.now }}
	if err := run.Begin(ctx); err != nil {
		return p, err
	}
	f := p.Flow(b.from, b.to)
	f.Sink.OpenSearch.Ledger = b.ledger
	opened, err := f.Open(ctx, connect.Env{Getenv: environment})
	if err != nil {
		return p, err
	}
	engine := f.Engine()
	engine.Workers, engine.BatchRecords = 2, 20
	report, err := flow.Run(ctx, opened.Flow, engine)
	if err = errors.Join(err, opened.Close()); err != nil {
		return p, err
	}
	if !report.Complete() || report.Total.Tally.Dead > 0 {
		return p, fmt.Errorf("not complete: %+v", report)
	}
	return p, run.Finish(ctx, report.Total.Tally.Delivered)
}

func (b *bench) cloned(o clone.Options) *clone.Plan {
	b.t.Helper()
	p, err := b.clone(b.t.Context(), o)
	if err != nil {
		b.t.Fatal(err)
	}
	if len(p.Problems) > 0 {
		b.t.Fatalf("problems: %q", p.Problems)
	}
	return p
}

// documents reads all documents of an index: the sources by id.
func (b *bench) documents(s clone.Side, index string) map[string]map[string]any {
	b.t.Helper()
	b.send(s, "POST", "/"+index+"/_refresh", ``)
	hits, _ := b.get(s, "/"+index+"/_search?size=10000")["hits"].(map[string]any)
	list, _ := hits["hits"].([]any)
	out := map[string]map[string]any{}
	for _, x := range list {
		hit, _ := x.(map[string]any)
		id, _ := hit["_id"].(string)
		if out[id] != nil {
			b.t.Errorf("%s has the document %s twice", index, id)
		}
		out[id], _ = hit["_source"].(map[string]any)
	}
	return out
}

func traceOf(source map[string]any) string {
	if id, ok := source["trace.id"].(string); ok {
		return id
	}
	trace, _ := source["trace"].(map[string]any)
	id, _ := trace["id"].(string)
	return id
}

var all = []string{"audit", "events", "web-0", "web-1"}

// coherent checks that staging has all documents of some traces of prod, and of others none; it gives how many.
func (b *bench) coherent() (documents int) {
	b.t.Helper()
	in := map[string]bool{}
	copies := map[string]map[string]map[string]any{}
	for _, index := range all {
		copies[index] = b.documents(b.to, index)
		for _, source := range copies[index] {
			in[traceOf(source)] = true
		}
	}
	traces := map[string]bool{}
	for _, index := range all {
		for id, source := range b.documents(b.from, index) {
			traces[traceOf(source)] = true
			if _, there := copies[index][id]; there != in[traceOf(source)] {
				b.t.Errorf("%s/%s of trace %s: in the clone is %t", index, id, traceOf(source), there)
			}
		}
		documents += len(copies[index])
	}
	if len(in) < len(traces)/12 || len(in) > len(traces)/2 {
		b.t.Errorf("%d of %d traces are in", len(in), len(traces))
	}
	return documents
}

func TestACloneHasTheStructureInFullAndASampleThatBelongsTogether(t *testing.T) {
	b := newBench(t)
	b.fill(400)
	checkClone(t, b)
}

// checkClone clones and checks all that a clone is.
func checkClone(t *testing.T, b *bench) {
	t.Helper()
	o := options()
	o.TTL = 7 * 24 * time.Hour
	p := b.cloned(o)
	if n := b.coherent(); int64(n) != p.Record.Documents {
		t.Errorf("%d documents, the record says %d", n, p.Record.Documents)
	}
	masks := map[string]string{} // of emails, by those of prod
	for _, index := range all {
		theirs := b.documents(b.from, index)
		for id, source := range b.documents(b.to, index) {
			was, is := theirs[id], source
			for _, at := range []string{"user", "who"} {
				w, _ := was[at].(map[string]any)
				i, _ := is[at].(map[string]any)
				if w == nil {
					continue
				}
				email, mask := fmt.Sprint(w["email"]), fmt.Sprint(i["email"])
				if strings.Contains(mask, "@") || masks[email] != "" && masks[email] != mask {
					t.Fatalf("%s/%s: the mask of %s is %s, elsewhere %s", index, id, email, mask, masks[email])
				}
				masks[email] = mask
			}
			if diff := cmp.Diff(was["stamps"], is["stamps"]); diff != "" {
				t.Errorf("%s/%s went through a pipeline again: %s", index, id, diff)
			}
			if is["message"] != was["message"] {
				t.Errorf("%s/%s: %v", index, id, is)
			}
		}
	}
	if len(masks) < 10 {
		t.Errorf("%d masks", len(masks))
	}
	for _, path := range []string{"/_ingest/pipeline/stamp", "/_component_template/common", "/_index_template/events"} {
		if diff := cmp.Diff(b.get(b.from, path), b.get(b.to, path)); diff != "" {
			t.Errorf("%s:\n%s", path, diff)
		}
	}
	web := describe(b, b.to, "web-1")
	want := describe(b, b.from, "web-1")
	meta, _ := web.mappings["_meta"].(map[string]any)
	mark, _ := meta["naru_clone"].(map[string]any)
	if mark["id"] != p.Record.ID || meta["owner"] != "shop" || meta["naru"] != nil {
		t.Errorf("its _meta is %v", meta)
	}
	delete(meta, "naru_clone")
	if diff := cmp.Diff(want.mappings, web.mappings); diff != "" {
		t.Errorf("mappings:\n%s", diff)
	}
	if diff := cmp.Diff(want.aliases, web.aliases); diff != "" {
		t.Errorf("aliases:\n%s", diff)
	}
	for _, name := range []string{"index.number_of_shards", "index.number_of_replicas", "index.default_pipeline", "index.refresh_interval"} {
		if web.settings[name] != want.settings[name] {
			t.Errorf("%s is %v, in prod %v", name, web.settings[name], want.settings[name])
		}
	}
	stream := describe(b, b.to, ".ds-events-000001")
	if stream.settings["index.final_pipeline"] != "stamp" {
		t.Errorf("the data stream's pipeline is %v", stream.settings["index.final_pipeline"])
	}
	if b.toFake != nil {
		if policy, _ := b.toFake.ISMPolicy("web-1"); policy != p.Record.Policy || policy == "" {
			t.Errorf("web-1 is under %q", policy)
		}
		if policy, _ := b.toFake.ISMPolicy(".ds-events-000001"); policy != "" {
			t.Errorf("the data stream is under %q, which cannot delete it", policy)
		}
	}
	again := b.plan(o)
	if again.Record.Done.IsZero() || again.Record.ID != p.Record.ID {
		t.Errorf("a second plan does not know that it is done: %+v", again.Record)
	}
	if d := b.plan(options()); d.Record.Until.IsZero() {
		t.Error("without --ttl the clone stays for ever now")
	}
}

type described struct{ mappings, settings, aliases map[string]any }

func describe(b *bench, s clone.Side, index string) described {
	b.t.Helper()
	x, _ := b.get(s, "/"+index+"?flat_settings=true&expand_wildcards=all")[index].(map[string]any)
	part := func(name string) map[string]any { m, _ := x[name].(map[string]any); return m }
	return described{part("mappings"), part("settings"), part("aliases")}
}

func TestACloneThatDiesAnywhereGoesOnWithTheSameCommand(t *testing.T) {
	requests := 0
	for at := 1; ; at++ {
		done := false
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			b := newBench(t)
			b.fill(60)
			o := options()
			o.TTL, o.Budget = time.Hour, 1<<30
			ctx, cancel := context.WithCancel(t.Context())
			n := 0
			b.toFake.SetHook(func(*osfake.Request) osfake.Fault {
				if n++; n == at {
					cancel()
					return []osfake.Fault{osfake.LostRequest, osfake.LostAnswer}[at%2]
				}
				return osfake.Fault{}
			})
			_, err := b.clone(ctx, o)
			cancel()
			b.toFake.SetHook(nil)
			if done = err == nil && n < at; done {
				requests = n
				return
			}
			// What the dead one had claimed is waited for, for a minute, as the process lives. So this one begins all parts anew.
			b.ledger = ".naru-anew"
			p := b.cloned(o)
			if got := b.coherent(); int64(got) != p.Record.Documents {
				t.Errorf("%d documents, the record says %d", got, p.Record.Documents)
			}
			if d := describe(b, b.to, "web-1"); d.settings["index.default_pipeline"] != "stamp" || d.settings["index.refresh_interval"] != "7s" {
				t.Errorf("settings %v", d.settings)
			}
			if d := describe(b, b.to, ".ds-events-000001"); d.settings["index.final_pipeline"] != "stamp" {
				t.Errorf("settings of the data stream %v", d.settings)
			}
			if left := b.removed(); left != 0 {
				t.Errorf("%d indices are left", left)
			}
		})
		if done || t.Failed() {
			break
		}
	}
	if requests < 40 && !t.Failed() {
		t.Errorf("only %d requests were tried", requests)
	}
}

// removed takes all clones away, and gives how many indices are left beside naru's own.
func (b *bench) removed() int {
	b.t.Helper()
	records, err := clone.Records(b.t.Context(), b.to)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, r := range records {
		x, err := clone.NewRemoval(b.t.Context(), b.to, r, b.now)
		if err == nil {
			err = x.Remove(b.t.Context(), b.to, func() time.Time { return b.now })
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
	n := 0
	for name := range b.get(b.to, "/_alias?expand_wildcards=all") {
		if !strings.HasPrefix(name, ".naru") {
			n++
		}
	}
	return n
}

func TestWhatTheCloneDidNotMakeIsNeitherWrittenNorRemoved(t *testing.T) {
	b := newBench(t)
	b.fill(50)
	b.send(b.to, "PUT", "/web-0", `{}`)
	b.send(b.to, "PUT", "/other", `{"aliases": {"web": {"is_write_index": true}}}`)
	b.send(b.to, "PUT", "/_ingest/pipeline/stamp", `{"processors": []}`)
	b.send(b.to, "PUT", "/_component_template/common", `{"template": {"mappings": {"properties": {"@timestamp": {"type": "date"}}}}}`)
	p := b.plan(options())
	wantProblem(t, p, "staging has an index web-0 that this clone did not make", "the alias web, whose write index is web-1 in prod, is that of other in staging")
	if err := (&clone.Run{Plan: p, From: b.from, To: b.to, Now: time.Now}).Begin(t.Context()); err == nil {
		t.Error("it is begun all the same")
	}
	b.send(b.to, "DELETE", "/web-0", ``)
	b.send(b.to, "DELETE", "/other", ``)
	p = b.cloned(options())
	stays := map[string]bool{}
	for _, x := range p.Structure {
		if x.Action == "there" {
			stays[x.Key.String()] = true
		}
	}
	if !maps.Equal(stays, map[string]bool{"ingest-pipelines/stamp": true, "component-templates/common": true}) {
		t.Errorf("what stays: %v", stays)
	}
	// Somebody puts an index of their own where one of the clone's was.
	b.send(b.to, "DELETE", "/web-0", ``)
	b.send(b.to, "PUT", "/web-0", `{}`)
	if left := b.removed(); left != 1 {
		t.Errorf("%d indices are left, not somebody else's alone", left)
	}
	b.get(b.to, "/_ingest/pipeline/stamp")
	if err := b.to.Search.JSON(t.Context(), "GET", "/_index_template/events", nil, nil); err == nil {
		t.Error("the clone's template is left")
	}
	if records, err := clone.Records(t.Context(), b.to); err != nil || len(records) > 0 {
		t.Errorf("records: %v, %v", records, err)
	}
	if carries, err := opensearch.Carries(t.Context(), b.to.Search, ""); err != nil || len(carries) > 0 {
		t.Errorf("the ledger: %v, %v", carries, err)
	}
}

func wantProblem(t *testing.T, p *clone.Plan, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !slices.ContainsFunc(p.Problems, func(s string) bool { return strings.Contains(s, part) }) {
			t.Errorf("no problem %q among %q", part, p.Problems)
		}
	}
	if len(parts) == 0 && len(p.Problems) > 0 {
		t.Errorf("problems: %q", p.Problems)
	}
}

func TestTheRateIsLoweredToTheBudgetAndTheSameCommandKeepsIt(t *testing.T) {
	b := newBench(t)
	b.fill(300)
	whole := b.plan(clone.Options{Rate: 1, Replicas: -1})
	o := clone.Options{Rate: 0.9, Replicas: 1, Budget: whole.Bytes / 2} // one replica: twice as much
	p := b.plan(o)
	if p.Record.Rate > 0.26 || p.Record.Rate < 0.2 || p.Record.Asked != 0.9 || !slices.ContainsFunc(p.Notes, func(s string) bool { return strings.Contains(s, "the rate is lowered to") }) {
		t.Fatalf("rate %v, asked %v, notes %q", p.Record.Rate, p.Record.Asked, p.Notes)
	}
	if p.Bytes > o.Budget || p.Bytes < o.Budget*8/10 {
		t.Errorf("it takes %d of %d", p.Bytes, o.Budget)
	}
	run := clone.Run{Plan: p, From: b.from, To: b.to, Now: time.Now}
	if err := run.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.fill2("more") // there is more now, and another rate would fit
	again := b.cloned(o)
	if again.Record.ID != p.Record.ID || again.Record.Rate != p.Record.Rate {
		t.Errorf("the second run has the rate %v", again.Record.Rate)
	}
	o.Rate = 0.5
	if _, err := clone.NewPlan(t.Context(), b.from, b.to, o, environment, b.now); err == nil || !strings.Contains(err.Error(), "--sample was 90%, and is 50%") {
		t.Errorf("%v", err)
	}
}

// fill2 adds an index to prod.
func (b *bench) fill2(name string) {
	b.t.Helper()
	b.send(b.from, "PUT", "/"+name, `{"settings": {"index.number_of_replicas": "0"}}`)
	var lines strings.Builder
	for i := range 200 {
		fmt.Fprintf(&lines, "{\"create\":{\"_index\":%q,\"_id\":\"%d\"}}\n{\"n\":%d,\"pad\":%q}\n", name, i, i, strings.Repeat("x", 500))
	}
	b.send(b.from, "POST", "/_bulk", lines.String())
	b.send(b.from, "POST", "/"+name+"/_refresh", ``)
}

func TestACloneEndsAtItsBudgetAndGoesOnWithALargerOne(t *testing.T) {
	b := newBench(t)
	b.fill2("big")
	b.fromFake.SetSize("big", osfake.Size{PrimaryBytes: 30_000}) // as if it were compressed well, and less so in the clone
	o := clone.Options{Rate: 1, Replicas: 0, Budget: 35_000}
	_, err := b.clone(t.Context(), o)
	over, ok := errors.AsType[*clone.BudgetError](err)
	if !ok || over.Budget != 35_000 || over.Takes <= 35_000 || over.Takes > 80_000 {
		t.Fatalf("%v", err)
	}
	if p := b.plan(o); !p.Record.Done.IsZero() {
		t.Error("it counts as done")
	}
	o.Budget = 1 << 20
	p := b.cloned(o)
	if n := len(b.documents(b.to, "big")); n != 200 || p.Record.Documents != 200 {
		t.Errorf("%d documents, the record says %d", n, p.Record.Documents)
	}
}

func TestTheSameClusterIsClonedOnlyUnderOtherNames(t *testing.T) {
	b := newBench(t)
	b.fill(100)
	b.to = b.side("beside")
	o := options()
	if _, err := clone.NewPlan(t.Context(), b.from, b.to, o, environment, b.now); err == nil || !strings.Contains(err.Error(), "--prefix beside-") {
		t.Fatalf("%v", err)
	}
	before := describe(b, b.from, "web-1")
	o.Prefix = "beside-"
	o.TTL = time.Hour
	b.cloned(o)
	if diff := cmp.Diff(before, describe(b, b.from, "web-1"), cmp.AllowUnexported(described{})); diff != "" {
		t.Errorf("prod's own index changed:\n%s", diff)
	}
	names := slices.Sorted(maps.Keys(b.get(b.from, "/_alias?expand_wildcards=all")))
	for _, want := range []string{"beside-audit", "beside-events", "beside-web-0", "beside-web-1"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not among %v", want, names)
		}
	}
	if a := describe(b, b.to, "beside-web-1").aliases; a["beside-web"] == nil || a["web"] != nil {
		t.Errorf("aliases %v", a)
	}
	if n := len(b.documents(b.to, "beside-events")); n == 0 || n > 60 {
		t.Errorf("%d documents of the data stream", n)
	}
	if policy, _ := b.fromFake.ISMPolicy("beside-audit"); policy == "" {
		t.Error("it does not vanish")
	}
	if left := b.removed(); left != 4 {
		t.Errorf("%d indices are left, not prod's own 4", left)
	}
}

func TestACloneGoesWhenItsTimeIsOver(t *testing.T) {
	b := newBench(t)
	b.fill(50)
	o := options()
	o.TTL = 90 * time.Minute
	p := b.cloned(o)
	policy := b.get(b.to, "/_plugins/_ism/policies/"+p.Record.Policy)
	if text, err := json.Marshal(policy); err != nil || !strings.Contains(string(text), `"min_index_age":"90m"`) {
		t.Errorf("%s, %v", text, err)
	}
	records, err := clone.Records(t.Context(), b.to)
	if err != nil || len(records) != 1 || records[0].Expired(b.now.Add(89*time.Minute)) || !records[0].Expired(b.now.Add(90*time.Minute)) {
		t.Fatalf("%+v, %v", records, err)
	}
	b.now = b.now.Add(2 * time.Hour)
	if _, err := b.clone(t.Context(), o); err == nil || !strings.Contains(err.Error(), "whose time was over") {
		t.Errorf("%v", err)
	}
	b.send(b.to, "DELETE", "/web-0", ``) // as ISM does
	if left := b.removed(); left != 0 {
		t.Errorf("%d indices are left", left)
	}
	if err := b.to.Search.JSON(t.Context(), "GET", "/_plugins/_ism/policies/"+p.Record.Policy, nil, nil); err == nil {
		t.Error("the policy is left")
	}
}

func TestALongerLifeReachesTheIndicesThatAreThere(t *testing.T) {
	b := newBench(t)
	b.fill(50)
	o := options()
	o.TTL = time.Hour
	p := b.plan(o)
	run := clone.Run{Plan: p, From: b.from, To: b.to, Now: func() time.Time { return b.now }}
	if err := run.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, first := b.toFake.ISMPolicy("audit")
	if first == 0 {
		t.Fatal("audit is under no policy")
	}
	o.TTL = 48 * time.Hour
	b.cloned(o)
	if policy, second := b.toFake.ISMPolicy("audit"); policy != p.Record.Policy || second == first {
		t.Errorf("audit is under %s, version %d, as before", policy, second)
	}
}

func TestFieldsThatAreMaskedOrSampledByMustBeThere(t *testing.T) {
	b := newBench(t)
	b.fill(20)
	b.send(b.from, "PUT", "/shop", `{"mappings": {"properties": {"phone": {"type": "keyword"}, "born": {"type": "date"}, "code": {"type": "short"}}}}`)
	for _, c := range []struct {
		by   string
		mask []string
		want []string
	}{
		{"", []string{"user.emial"}, []string{"no mapping has the field user.emial that is to be masked; did you mean user.email?"}},
		{"", []string{"user"}, nil},
		{"", []string{"*.email"}, nil},
		{"", []string{"born", "code"}, []string{"born is a date in shop: a mask is no date", "code is a short in shop"}},
		{"", []string{"@timestamp"}, []string{"@timestamp is a date"}},
		{"", []string{"who.email"}, nil}, // of an index whose mapping does not name it
		{"trace.id", nil, nil},
	} {
		p := b.plan(clone.Options{Rate: 0.5, By: c.by, Mask: c.mask, Replicas: -1})
		wantProblem(t, p, c.want...)
	}
	o := clone.Options{Rate: 0.5, By: "trase.id", Mask: []string{"phone", "ema"}, Replicas: -1, Indices: flow.Patterns{"web-*", "shop"}}
	p := b.plan(o)
	wantProblem(t, p, "no mapping has the field trase.id that is sampled by; did you mean trace.id?", "no mapping has the field ema that is to be masked")
	if !slices.Equal(p.Unmasked, []string{"client.ip", "user.email", "user.name"}) || !slices.Equal(p.FreeTexts, []string{"message"}) {
		t.Errorf("unmasked %v, free %v", p.Unmasked, p.FreeTexts)
	}
}

func TestWhatAnEnvironmentDeclaresOfSamplesAndMasksIsDoneInItsClones(t *testing.T) {
	b := newBench(t)
	b.fill(50)
	b.file("overlays/staging/env.yaml", "target: {urls: [\""+b.toFake.URL()+"\"]}\nsampling: {rate: 20%, by: trace.id}\nmasking: {fields: [user.email, client.ip]}\n")
	b.to = b.side("staging")
	p := b.plan(clone.Options{Replicas: -1, Mask: []string{"user.name"}})
	r := p.Record
	if r.Rate != 0.2 || r.By != "trace.id" || !slices.Equal(r.Mask, []string{"user.name", "user.email", "client.ip"}) {
		t.Errorf("%+v", r)
	}
	if r := b.plan(clone.Options{Replicas: -1, Rate: 0.5}).Record; r.Rate != 0.5 || r.By != "" || len(r.Mask) != 2 {
		t.Errorf("with another rate: %+v", r)
	}
}

func TestAnotherKeyIsAnotherClone(t *testing.T) {
	b := newBench(t)
	b.fill(20)
	b.cloned(options())
	_, err := clone.NewPlan(t.Context(), b.from, b.to, options(), func(string) string { return "another key of sixteen bytes" }, b.now)
	if err == nil || !strings.Contains(err.Error(), "the key of --mask was") || strings.Contains(err.Error(), "another key of") {
		t.Errorf("%v", err)
	}
}

func TestWrongOptionsAreSaidAtOnce(t *testing.T) {
	for want, o := range map[string]clone.Options{
		"neither a sample nor a budget": {},
		"want more than 0":              {Rate: 2},
		"only with fields":              {Rate: 1, KeyFile: "x"},
		"at least 1m":                   {Rate: 1, TTL: time.Second},
		"lower case":                    {Rate: 1, Prefix: "Try-"},
		"path of one field":             {Rate: 1, By: "trace.*"},
	} {
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestEachOfTwoEnvironmentsMayHaveItsPassword(t *testing.T) {
	getenv := func(name string) string {
		return map[string]string{"NARU_USERNAME_PR_7": "seven", "NARU_PASSWORD_PR_7": "secret"}[name]
	}
	d := &estate.Desired{Environment: "pr-7"}
	clone.Authorize(d, getenv)
	if d.Target.Auth.Username != "seven" || d.Target.Auth.PasswordEnv != "NARU_PASSWORD_PR_7" {
		t.Errorf("%+v", d.Target.Auth)
	}
	other := &estate.Desired{Environment: "prod"}
	clone.Authorize(other, getenv)
	if other.Target.Auth != (opensearch.Auth{}) {
		t.Errorf("%+v", other.Target.Auth)
	}
}

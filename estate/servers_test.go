//go:build servers

package estate_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/internal/testbed"
)

// servers that the long tests plan for: the core calls. The plugins are not on them.
var servers = []string{"os219", "os3"}

func TestServersHaveNoDifferenceAfterAnApply(t *testing.T) {
	for _, name := range testbed.Asked(servers...) {
		t.Run(name, func(t *testing.T) {
			ok, missing := testbed.CanStart(t, name)
			testbed.Need(t, ok, missing)
			b := benchAt(t, testbed.Start(t, name, testbed.Options{}).URL)
			b.send("PUT", "/logs-1", `{}`)
			lifecycle(t, b, b.everything(false))
			rewritten(t, b)
		})
	}
}

// rewritten declares what the server writes in its own way, adopts what is there in another, and asks it whether two
// mappings mean the same.
func rewritten(t *testing.T, b *bench) {
	b.file("base/index-templates/odd.yaml", `
index_patterns: odd-*
priority: 7
version: 3
_meta: {}
template:
  settings: {index: {sort: {field: [a, b]}}, number_of_replicas: 0, index.hidden: true}
  mappings: {dynamic: false, properties: {a: {type: keyword, index: true}, b: {type: long}, o: {type: object, properties: {x.y: {type: date}}}}}
  aliases: {odd: {filter: {bool: {must: {term: {a: {value: b}}}}}, routing: 7, is_write_index: false}}
`)
	b.file("base/ingest-pipelines/odd.yaml", "version: 4\nprocessors: [{grok: {field: m, patterns: ['%{WORD:w}']}}]\non_failure: [{set: {field: e, value: '{{_ingest.on_failure_message}}'}}]\n")
	b.file("base/aliases/odd.yaml", "indices: {logs-1: {filter: {bool: {must: {term: {a: {value: b}}}}}, routing: 1}}\n")
	b.apply(b.plan())
	b.wants(b.plan())
	if d := b.drift(); len(d) > 0 {
		t.Errorf("drift of what nobody touched: %q", d)
	}
	// The same mapping with its defaults left out is the same to the server, and so to a plan.
	b.file("overlays/prod/index-templates/odd.patch.yaml", "template: {mappings: {properties: {a: {index: null}, o: {type: null}}}}\n")
	b.wants(b.plan())
	b.file("overlays/prod/index-templates/odd.patch.yaml", "template: {mappings: {properties: {a: {index: false}}}}\n")
	b.wants(b.plan(), "change index-templates/odd")
	b.file("overlays/prod/index-templates/odd.patch.yaml", "template: {mappings: {properties: {a: {type: keyworf}}}}\n")
	if p := b.plan(); p.Problems() != 1 || !strings.Contains(p.Changes[0].Problem, "keyworf") {
		t.Errorf("%+v", p.Changes)
	}
	b.file("overlays/prod/index-templates/odd.patch.yaml", "null\n")
	b.apply(b.plan())
	b.send("PUT", "/_component_template/theirs", `{"template": {"settings": {"number_of_shards": "2", "index.codec": "default"}, "mappings": {"properties": {"a": {"type": "text", "norms": true}}}}}`)
	b.file("base/component-templates/theirs.yaml", "template: {settings: {index: {number_of_shards: 2, codec: default}}, mappings: {properties: {a: {type: text, norms: true}}}}\n")
	p := b.plan()
	b.wants(p, "adopt component-templates/theirs")
	if f := p.Changes[0].Fields; len(f) > 0 {
		t.Errorf("the same in another form: %+v", f)
	}
	b.apply(p)
	b.wants(b.plan())
}

// TestServersPlanTwoThousandObjectsQuickly reports how long a plan takes where all is applied, and where nothing is.
func TestServersPlanTwoThousandObjectsQuickly(t *testing.T) {
	for _, name := range testbed.Asked(servers[0]) {
		ok, missing := testbed.CanStart(t, name)
		testbed.Need(t, ok, missing)
		b := benchAt(t, testbed.Start(t, name, testbed.Options{HeapMB: 1024}).URL)
		for i := range 1000 {
			b.file(fmt.Sprintf("base/component-templates/c%04d.json", i), fmt.Sprintf(`{"template": {"settings": {"number_of_replicas": 1}, "mappings": {"properties": {"f%d": {"type": "keyword"}}}}}`, i))
		}
		for i := range 500 {
			b.file(fmt.Sprintf("base/index-templates/t%04d.json", i), fmt.Sprintf(`{"index_patterns": ["t%04d-*"], "priority": 5, "composed_of": ["c%04d", "c%04d"], "template": {"settings": {"number_of_shards": 1}}}`, i, i, 999-i))
			b.file(fmt.Sprintf("base/ingest-pipelines/p%04d.json", i), `{"processors": [{"set": {"field": "a", "value": 1}}]}`)
		}
		began := time.Now()
		first := b.plan()
		took := time.Since(began)
		t.Logf("plan of 2,000 to create: %v", took.Round(time.Millisecond))
		const most = 2 * time.Second
		if took > most && os.Getenv("CI") == "" || len(first.Notes) > 0 {
			t.Errorf("the plan took %v, want at most %v; notes %q", took, most, first.Notes)
		}
		putAgain(t, b, first, 8) // the JVM warms up
		putAgain(t, b, &estate.Plan{}, 1)
		began = time.Now()
		run := b.apply(first)
		t.Logf("apply of 2,000: %v", time.Since(began).Round(time.Millisecond))
		if run.Done != 2000 {
			t.Errorf("%+v", run)
		}
		defer func() {
			for _, n := range []int{8, 1} {
				t.Logf("the same 2,000 requests, sent by %d at a time and nothing beside them: %v", n, putAgain(t, b, first, n).Round(time.Millisecond))
			}
		}()
		for range 3 {
			began = time.Now()
			p := b.plan()
			took := time.Since(began)
			t.Logf("plan of 2,000 that are as declared: %v", took.Round(time.Millisecond))
			if len(p.Changes) > 0 {
				t.Errorf("%s", p.Summary())
			}
			if took > most && os.Getenv("CI") == "" {
				t.Errorf("a plan took %v, more than %v", took, most)
			}
		}
		if err := os.Remove(filepath.Join(b.dir, "base", "ingest-pipelines", "p0001.json")); err != nil {
			t.Fatal(err)
		}
		if p := b.plan(); p.Count(estate.Delete) != 1 || len(p.Changes) != 1 {
			t.Errorf("%s", p.Summary())
		}
	}
}

// putAgain deletes what the plan of the test made, and sends its requests again, so many at a time. It gives how long the sending took.
func putAgain(t *testing.T, b *bench, p *estate.Plan, atOnce int) time.Duration {
	t.Helper()
	paths := map[estate.Kind]string{estate.IngestPipelines: "/_ingest/pipeline/", estate.ComponentTemplates: "/_component_template/", estate.IndexTemplates: "/_index_template/"}
	for _, kind := range []estate.Kind{estate.IndexTemplates, estate.ComponentTemplates, estate.IngestPipelines} {
		b.send("DELETE", paths[kind]+"*", "")
	}
	began := time.Now()
	for _, kind := range estate.Kinds {
		g, ctx := errgroup.WithContext(t.Context())
		g.SetLimit(atOnce)
		for i := range p.Changes {
			if ch := &p.Changes[i]; ch.Kind == kind {
				g.Go(func() error {
					_, err := b.client.Do(ctx, opensearch.Request{Method: http.MethodPut, Path: paths[kind] + ch.Name, Body: ch.Body})
					return err
				})
			}
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	return time.Since(began)
}

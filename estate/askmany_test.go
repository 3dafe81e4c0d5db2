package estate_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/estate"
)

// refused gives the names of those of a plan's changes that the cluster would refuse.
func refused(p *estate.Plan) []string {
	var out []string
	for i := range p.Changes {
		if p.Changes[i].Problem != "" {
			out = append(out, p.Changes[i].Key.String())
		}
	}
	slices.Sort(out)
	return out
}

func TestThoseThatTheClusterWouldRefuseAreFoundAmongManyThatItIsAskedAboutTogether(t *testing.T) {
	b := newBench(t)
	for i := range 200 {
		b.file(fmt.Sprintf("base/component-templates/c%03d.json", i), fmt.Sprintf(`{"template": {"settings": {"number_of_replicas": %d}, "mappings": {"properties": {"f%d": {"type": "keyword"}, "same": {"type": "long"}}}}}`, i%2, i))
		b.file(fmt.Sprintf("base/index-templates/t%03d.json", i), fmt.Sprintf(`{"index_patterns": ["t%03d-*"], "priority": %d, "template": {"settings": {"number_of_shards": 1}, "aliases": {"a%d": {}}}}`, i, i, i))
		b.file(fmt.Sprintf("base/ingest-pipelines/p%03d.json", i), `{"processors": [{"set": {"field": "a", "value": 1}}], "on_failure": [{"set": {"field": "b", "value": 2}}]}`)
	}
	b.createsAll(b.plan(), 600)
	if n := len(b.fake.Requests()); n > 40 {
		t.Errorf("%d requests", n)
	}
	b.file("base/component-templates/c013.json", `{"template": {"mappings": {"properties": {"x": {"type": "keyword", "fields": {"y": {"type": "long", "no_such": 1}}}}}}}`)
	b.file("base/component-templates/c113.json", `{"template": {"settings": {"number_of_replicas": "many"}}}`)
	b.file("base/index-templates/t050.json", `{"index_patterns": ["t050-*"], "template": {"settings": {"no_such_setting": 1}}}`)
	b.file("base/index-templates/t051.json", `{"index_patterns": ["t051-*"], "template": {"mappings": {"properties": {"f": {"type": "keyworf"}}}}}`)
	b.fake.SetHook(func(r *osfake.Request) osfake.Fault {
		if r.API == "simulate_pipeline" && strings.Contains(string(r.Body), "no_such_processor") {
			return osfake.Fault{Status: 400, Type: "parse_exception", Reason: "No processor type exists with name [no_such_processor]"}
		}
		return osfake.Fault{}
	})
	b.file("base/ingest-pipelines/p111.json", `{"processors": [], "on_failure": [{"no_such_processor": {}}]}`)
	p := b.plan()
	want := []string{"component-templates/c013", "index-templates/t050", "index-templates/t051", "ingest-pipelines/p111"}
	if !slices.Equal(refused(p), want) {
		t.Errorf("refused are %v, want %v", refused(p), want)
	}
	for _, ch := range p.Changes {
		if ch.Key.Name == "p111" && !strings.Contains(ch.Problem, "no_such_processor") {
			t.Errorf("the reason is %q", ch.Problem)
		}
	}
}

// createsAll checks that a plan creates so many, and has no problem.
func (b *bench) createsAll(p *estate.Plan, n int) {
	b.t.Helper()
	if p.Count(estate.Create) != n || p.Problems() != 0 || len(p.Notes) > 0 {
		b.t.Errorf("%s, problems with %v, notes %q", p.Summary(), refused(p), p.Notes)
	}
}

func TestWhatMayNeedItsOwnSurroundingsIsAskedAboutAlone(t *testing.T) {
	b := newBench(t)
	for i := range 120 {
		b.file(fmt.Sprintf("base/component-templates/c%03d.json", i), fmt.Sprintf(`{"template": {"settings": {"analysis": {"analyzer": {"a%d": {"type": "standard"}}}}, "mappings": {"properties": {"f%d": {"type": "text", "analyzer": "a%d"}}}}}`, i, i, i))
	}
	p := b.plan()
	if n := b.fake.Count("simulate_template"); n != estate.MostAsked || len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "not asked about 20 of 120 changes") {
		t.Errorf("asked %d times, notes %q", n, p.Notes)
	}
}

func TestQuestionsEndWhereTooMuchIsRefused(t *testing.T) {
	b := newBench(t)
	for i := range 400 {
		b.file(fmt.Sprintf("base/ingest-pipelines/p%03d.json", i), `{"processors": [{"set": {"field": "a", "value": 1}}]}`)
	}
	b.fake.SetHook(func(r *osfake.Request) osfake.Fault {
		if r.API == "simulate_pipeline" {
			return osfake.Fault{Status: 400, Type: "parse_exception", Reason: "no"}
		}
		return osfake.Fault{}
	})
	p := b.plan()
	if n := b.fake.Count("simulate_pipeline"); n > estate.MostAsked+10 || len(p.Notes) != 1 || p.Problems() == 0 {
		t.Errorf("asked %d times, notes %q, %d problems", n, p.Notes, p.Problems())
	}
}

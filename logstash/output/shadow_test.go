package output

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/input"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/syntax"
)

// inRole sets an output up for a role.
func inRole(t *testing.T, text string, role *input.Role) Output {
	t.Helper()
	config, err := syntax.Parse("test.conf", []byte("output { "+text+" }"))
	if err != nil {
		t.Fatal(err)
	}
	for plugin := range syntax.Plugins(config.Statements(syntax.Output)) {
		p := Table()[plugin.Name]()
		for _, problem := range option.Decode(plugin, p, option.Env{Section: syntax.Output, Dir: t.TempDir()}) {
			if !problem.Warning {
				t.Fatal(problem)
			}
		}
		o, err := p.Setup(&Setup{
			ECS: "v8", Log: slog.New(slog.DiscardHandler), Now: time.Now, Where: "test.conf:1:1", Getenv: func(string) string { return "" }, Role: role,
		})
		if err != nil {
			t.Fatal(err)
		}
		return Beside(o, plugin.Name, "test.conf:1:1", role)
	}
	t.Fatal("no plugin")
	return nil
}

func TestDocumentsOfARouteAreToldByWhereTheirRecordsAreFrom(t *testing.T) {
	live, shadow := &input.Role{Hash: "v2"}, &input.Role{Hash: "v2", Shadow: true}
	from := func(id string) func(*event.Event) {
		return func(e *event.Event) {
			m := event.MapValue()
			m.Map().Set("id", event.StringValue(id))
			e.Metadata().Set("kafka", m)
		}
	}
	for _, c := range []struct {
		output string
		role   *input.Role
		from   []func(*event.Event)
		want   []string
	}{
		{
			`opensearch { index => "logs" }`, live, []func(*event.Event){from("c:t:0:7"), from("c:t:0:7"), from("c:t:0:8"), func(*event.Event) {}},
			[]string{`{"index":{"_index":"logs","_id":"c:t:0:7"}}`, `{"index":{"_index":"logs","_id":"c:t:0:7:1"}}`, `{"index":{"_index":"logs","_id":"c:t:0:8"}}`, `{"index":{"_index":"logs"}}`},
		},
		{`opensearch { index => "logs" document_id => "x" }`, live, []func(*event.Event){from("c:t:0:7")}, []string{`{"index":{"_index":"logs","_id":"x"}}`}},
		{`opensearch { index => "logs" document_id => "x" action => delete }`, shadow, []func(*event.Event){from("c:t:0:7")}, []string{`{"delete":{"_index":"shadow-v2-logs","_id":"x"}}`}},
		{`opensearch { index => "logs" }`, nil, []func(*event.Event){from("c:t:0:7")}, []string{`{"index":{"_index":"logs"}}`}},
		{`opensearch { index => "logs-%{n}" }`, shadow, []func(*event.Event){from("c:t:0:7")}, []string{`{"index":{"_index":"shadow-v2-logs-1","_id":"c:t:0:7"}}`}},
		{`opensearch { index => "<logs-{now/d}>" }`, shadow, []func(*event.Event){from("c:t:0:7")}, []string{`{"index":{"_index":"<shadow-v2-logs-{now/d}>","_id":"c:t:0:7"}}`}},
		{`elasticsearch { }`, shadow, []func(*event.Event){from("c:t:0:7")}, []string{`{"create":{"_index":"shadow-v2-logs-generic-default","_id":"c:t:0:7"}}`}},
		{`elasticsearch { ilm_rollover_alias => "web" }`, shadow, []func(*event.Event){from("c:t:0:7")}, []string{`{"index":{"_index":"shadow-v2-web","_id":"c:t:0:7"}}`}},
	} {
		f := inRole(t, c.output, c.role).Former(nil)
		for i, mark := range c.from {
			e := eventOf(t, `{"n":1}`)
			mark(e)
			var r flow.Record
			if _, err := f.Form(nil, &r, e); err != nil {
				t.Fatalf("%s: %v", c.output, err)
			}
			if line, _, _ := strings.Cut(string(r.Body), "\n"); line != c.want[i] {
				t.Errorf("%s: %s, want %s", c.output, line, c.want[i])
			}
		}
	}
}

func TestAShadowBringsATemplateOfItsOwn(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	for _, role := range []*input.Role{nil, {Hash: "v2", Shadow: true}} {
		o := inRole(t, `opensearch { hosts => ["`+fake.URL()+`"] }`, role)
		s := openBulk(t, o, nil)
		if err := s.Write(t.Context(), form(t, o, `{"n":1}`)); err != nil {
			t.Fatal(err)
		}
	}
	var paths []string
	for _, r := range fake.Requests() {
		if strings.Contains(r.Path, "_template/") && r.Method == http.MethodPut {
			paths = append(paths, r.Path)
		}
	}
	if len(paths) != 2 || !strings.Contains(paths[1], "/_template/shadow-v2-ecs-logstash") {
		t.Errorf("installed: %q", paths)
	}
}

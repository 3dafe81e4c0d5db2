package output

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/internal/testbed"
	"github.com/narudata/naru/logstash/input"
)

func TestARealServerDoesWhatTheOptionsSay(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	doesWhatTheOptionsSay(t, "os219")
}

// writeEvents writes events through an output as often as it takes, and gives the reasons of dead letters.
func writeEvents(t *testing.T, o Output, s stream.Sink, events ...string) (dead []error) {
	t.Helper()
	recs := form(t, o, events...)
	for began := time.Now(); len(recs) > 0; time.Sleep(50 * time.Millisecond) {
		err := s.Write(t.Context(), recs)
		if err == nil {
			return dead
		}
		if time.Since(began) > time.Minute || flow.IsPermanent(err) {
			t.Fatal(err)
		}
		fs, some := errors.AsType[flow.Failures](err)
		if !some {
			continue
		}
		var again []flow.Record
		for _, f := range fs {
			switch {
			case flow.IsPermanent(f.Err):
				dead = append(dead, f.Err)
			case !errors.Is(f.Err, flow.ErrThere):
				again = append(again, recs[f.Index])
			}
		}
		recs = again
	}
	return dead
}

// found gives the documents of an index by id, without what every event has.
func found(t *testing.T, node *testbed.Node, index string) map[string]string {
	t.Helper()
	node.Call(t, "POST", "/"+index+"/_refresh", nil)
	var answer struct {
		Hits struct {
			Hits []struct {
				ID     string         `json:"_id"`
				Source map[string]any `json:"_source"`
			} `json:"hits"`
		} `json:"hits"`
	}
	if err := json.Unmarshal(node.Call(t, "GET", "/"+index+"/_search?size=1000", nil), &answer); err != nil {
		t.Fatal(err)
	}
	docs := map[string]string{}
	for _, h := range answer.Hits.Hits {
		delete(h.Source, "@timestamp")
		text, err := json.Marshal(h.Source)
		if err != nil {
			t.Fatal(err)
		}
		docs[h.ID] = string(text)
	}
	return docs
}

// removesShadows looks whether a cluster keeps marks, and what they are on is removed by them. The core of Elasticsearch 8 does not take the
// template: it has not all types of fields.
func removesShadows(t *testing.T, node *testbed.Node, plugin string, managed bool) {
	t.Helper()
	options, want := " manage_template => false", 0
	if managed {
		options, want = " manage_template => true", 1
	}
	if plugin == "elasticsearch" {
		options += " data_stream => false ilm_enabled => false"
	}
	for _, index := range []string{plugin + "-%{n}", "<" + plugin + "-{now/d}>"} {
		o := inRole(t, plugin+` { hosts => "`+node.URL+`"`+options+` index => "`+index+`" }`, &input.Role{Group: "g", Hash: plugin, Shadow: true})
		if dead := writeEvents(t, o, openBulk(t, o, nil), `{"n":1,"message":"x"}`, `{"n":2,"message":"y"}`); len(dead) > 0 {
			t.Error(dead)
		}
	}
	mine := "shadow-" + plugin + "-mine"
	node.Call(t, "PUT", "/"+mine, nil)
	o, ok := inRole(t, plugin+` { hosts => "`+node.URL+`"`+options+` index => "x" }`, &input.Role{Group: "g", Hash: "live"}).(Sweeper)
	if !ok {
		t.Fatal("the output sweeps nothing")
	}
	removed, err := o.Sweep(t.Context(), "g", func(hash string) bool { return hash == plugin })
	if err != nil {
		t.Fatal(err)
	}
	indices, templates := 0, 0
	for _, name := range removed {
		if strings.HasPrefix(name, "index shadow-"+plugin+"-"+plugin+"-") {
			indices++
		}
		if strings.HasPrefix(name, "template shadow-"+plugin+"-") {
			templates++
		}
	}
	if indices != 3 || templates != want || len(removed) != 3+want {
		t.Errorf("removed are %q", removed)
	}
	var left map[string]any
	if err := json.Unmarshal(node.Call(t, "GET", "/shadow-"+plugin+"-*", nil), &left); err != nil || len(left) != 1 || left[mine] == nil {
		t.Errorf("left are %v, %v", left, err)
	}
}

func doesWhatTheOptionsSay(t *testing.T, name string) {
	ok, missing := testbed.CanStart(t, name)
	testbed.Need(t, ok, missing)
	node := testbed.Start(t, name, testbed.Options{HeapMB: 512})
	output := func(text string) (Output, stream.Sink) {
		o := mustBulk(t, strings.ReplaceAll(text, "HOSTS", `hosts => "`+node.URL+`"`), "disabled")
		return o, openBulk(t, o, nil)
	}
	plugins := []string{"opensearch", "elasticsearch"}
	// A node of Elasticsearch for tests is its core: no scripts, no processors, no ILM, no data streams, and not all types of fields.
	bare := !node.OpenSearch

	for _, plugin := range plugins {
		t.Run(plugin+": what a shadow made is removed", func(t *testing.T) { removesShadows(t, node, plugin, name != "es8") })
		t.Run(plugin+": updates and scripts", func(t *testing.T) {
			index := "u-" + plugin
			for _, step := range []struct{ options, event string }{
				{`action => index`, `{"id":"1","n":1}`},
				{`action => update`, `{"id":"1","m":2}`},
				{`action => update doc_as_upsert => true`, `{"id":"2","n":2}`},
				{`action => update upsert => '{"n":%{n}}'`, `{"id":"3","n":3}`},
				{`action => update script => "ctx._source.n += params.event.n"`, `{"id":"1","n":10}`},
				{`action => update script => "ctx._source.total = (ctx._source.total == null ? 0 : ctx._source.total) + params.e.n" script_var_name => "e" scripted_upsert => true`, `{"id":"4","n":4}`},
				{`action => update script => "ctx._source.x = 1" doc_as_upsert => true`, `{"id":"5","n":5}`},
				{`action => "%{do}"`, `{"id":"6","do":"create"}`},
				{`action => "%{do}"`, `{"id":"2","do":"delete"}`},
				{`action => index version => "%{v}" version_type => external`, `{"id":"7","v":5}`},
				{`action => index version => "%{v}" version_type => external`, `{"id":"7","v":4,"old":true}`},
				{`action => index routing => "%{r}"`, `{"id":"8","r":"x"}`},
			} {
				if bare && strings.Contains(step.options, "script") {
					continue
				}
				o, s := output(plugin + ` { HOSTS manage_template => false index => "` + index + `" document_id => "%{id}" ` + step.options + ` }`)
				if dead := writeEvents(t, o, s, step.event); len(dead) > 0 {
					t.Errorf("%s: %v", step.options, dead)
				}
			}
			want := map[string]string{
				"1": `{"id":"1","m":2,"n":11}`, "3": `{"n":3}`, "4": `{"total":4}`, "6": `{"do":"create","id":"6"}`, "7": `{"id":"7","v":5}`, "8": `{"id":"8","r":"x"}`,
			}
			got := found(t, node, index)
			if bare {
				want["1"] = `{"id":"1","m":2,"n":1}`
				delete(want, "4")
			}
			var five map[string]any
			if !bare && (json.Unmarshal([]byte(got["5"]), &five) != nil || five["id"] != "5") {
				t.Errorf("upserted: %s", got["5"])
			}
			delete(got, "5")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})

		for _, ecs := range []string{"disabled", "v8"} {
			if bare && ecs == "v8" {
				continue
			}
			t.Run(plugin+": the template has its effect, ECS "+ecs, func(t *testing.T) {
				prefix := map[string]string{"disabled": "logstash", "v8": "ecs-logstash"}[ecs]
				index := prefix + "-" + plugin
				o, s := output(plugin + ` { HOSTS index => "` + index + `" ecs_compatibility => ` + ecs + ` template_overwrite => true }`) // of the old kind, then composable
				if dead := writeEvents(t, o, s, `{"message":"text","verb":"GET","geoip":{"location":{"lat":1,"lon":2}},"source":{"ip":"192.0.2.1","port":"80"},"event":{"created":"2026-01-01T00:00:00Z"}}`); len(dead) > 0 {
					t.Fatal(dead)
				}
				mapping := string(node.Call(t, "GET", "/"+index+"/_mapping", nil))
				wants := []string{`"geo_point"`, `"ignore_above":256`, `"message":{"type":"text","norms":false}`}
				if ecs == "v8" {
					wants = []string{`"ip":{"type":"ip"}`, `"port":{"type":"long"}`, `"verb":{"type":"keyword","ignore_above":1024}`, `"created":{"type":"date"}`}
				}
				for _, want := range wants {
					if !strings.Contains(mapping, want) {
						t.Errorf("there is no %s in the mapping %s", want, mapping[:min(len(mapping), 3000)])
					}
				}
			})
		}
	}

	t.Run("a parent", func(t *testing.T) {
		node.Call(t, "PUT", "/family", `{"mappings":{"properties":{"j":{"type":"object"}}}}`) // nodes of tests lack the module for join
		o, s := output(`opensearch { HOSTS manage_template => false index => "family" document_id => "c" join_field => "j" parent => "%{p}" }`)
		if dead := writeEvents(t, o, s, `{"j":"child","p":"1"}`); len(dead) > 0 {
			t.Fatal(dead)
		}
		if diff := cmp.Diff(map[string]string{"c": `{"j":{"name":"child","parent":"1"},"p":"1"}`}, found(t, node, "family")); diff != "" {
			t.Error(diff)
		}
	})
	if bare {
		return
	}

	t.Run("a rollover alias", func(t *testing.T) {
		o, s := output(`elasticsearch { HOSTS ilm_rollover_alias => "al" template_overwrite => true document_id => "%{id}" }`)
		if dead := writeEvents(t, o, s, `{"id":"1"}`, `{"id":"2"}`); len(dead) > 0 {
			t.Fatal(dead)
		}
		aliases := string(node.Call(t, "GET", "/_alias/al", nil))
		if want := fmt.Sprintf(`"al-%s-000001"`, time.Now().UTC().Format("2006.01.02")); !strings.Contains(aliases, want) && !strings.Contains(aliases, "-000001") || !strings.Contains(aliases, `"is_write_index":true`) {
			t.Errorf("%s", aliases)
		}
		if got := found(t, node, "al"); len(got) != 2 {
			t.Errorf("%v", got)
		}
	})

	t.Run("a data stream", func(t *testing.T) {
		o := mustBulk(t, `elasticsearch { hosts => "`+node.URL+`" ecs_compatibility => v8 }`, "disabled")
		s := openBulk(t, o, nil)
		if dead := writeEvents(t, o, s, `{"message":"a"}`, `{"message":"b","data_stream":{"type":"metrics","dataset":"cpu"}}`); len(dead) > 0 {
			t.Fatal(dead)
		}
		for _, stream := range []string{"logs-generic-default", "metrics-cpu-default"} {
			if text := string(node.Call(t, "GET", "/_data_stream/"+stream, nil)); !strings.Contains(text, stream) {
				t.Errorf("%s", text)
			}
			if got := found(t, node, stream); len(got) != 1 {
				t.Errorf("%s: %v", stream, got)
			}
		}
	})

	t.Run("what the event's metadata say", func(t *testing.T) {
		node.Call(t, "PUT", "/_ingest/pipeline/mark", `{"processors":[{"set":{"field":"marked","value":true}}]}`)
		o, s := output(`elasticsearch { HOSTS manage_template => false }`)
		e := eventOf(t, `{"a":1,"@metadata":{"_ingest_document":{"index":"placed","id":"9","pipeline":"mark"}}}`)
		var r flow.Record
		if _, err := o.Former(nil).Form(nil, &r, e); err != nil {
			t.Fatal(err)
		}
		if err := s.Write(t.Context(), []flow.Record{r}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]string{"9": `{"a":1,"marked":true}`}, found(t, node, "placed")); diff != "" {
			t.Error(diff)
		}
	})
}

package logstash

import (
	"cmp"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/filter"
	"github.com/narudata/naru/logstash/syntax"
)

// All tests of the package overwrite the events of a batch when it ends, so that who keeps something of them is seen; but for
// those that measure how long something takes.
func TestMain(m *testing.M) {
	spoil = true
	os.Exit(m.Run())
}

// unspoiled lets the batches of a test be.
func unspoiled(t testing.TB) {
	spoil = false
	t.Cleanup(func() { spoil = true })
}

// batched takes messages through the first input of a pipeline, size of them at a time. It gives what the outputs get, a line
// for each record that is not lost. The bytes of a batch are overwritten when it is done, as a source does with its next one.
func batched(t *testing.T, p *Pipeline, messages []string, size int) []string {
	t.Helper()
	s := p.NewStage(true)
	var out []string
	collect := func(b *flow.Batch, err error) {
		lost, ok := errors.AsType[flow.Failures](err)
		if err != nil && !ok {
			t.Errorf("a batch failed: %v", err)
		}
		for i, r := range b.Records {
			if slices.ContainsFunc(lost, func(f flow.Failure) bool { return f.Index == i }) {
				continue
			}
			out = append(out, strings.TrimRight(string(r.Body), "\n"))
		}
		b.Records = nil
	}
	for some := range slices.Chunk(messages, size) {
		b, bytes := new(flow.Batch), [][]byte{}
		for _, m := range some {
			body := []byte(m)
			bytes = append(bytes, body)
			b.Records = append(b.Records, flow.Record{Body: body})
		}
		collect(b, s.Process(t.Context(), b, 1))
		for _, body := range bytes {
			for i := range body {
				body[i] = '#'
			}
		}
	}
	b := new(flow.Batch)
	collect(b, s.End(b, 1))
	collect(b, s.Flush(b, true))
	return out
}

// keepers are filters and codecs that know something of earlier events when a later one comes, with events for them.
var keepers = map[string]struct {
	filter, codec string
	events        []string
}{
	"aggregate": {`aggregate { task_id => "%{id}" code => "
			map['all'] ||= []; map['all'] << event.get('deep'); map['k'] ||= {}; map['k'][event.get('name')] = event.get('[deep][list]'); map['first'] ||= event.get('name')
			event.set('sofar', map['all']); event.set('k', map['k'])"
			push_map_as_event_on_timeout => true timeout_task_id_field => "id" timeout_tags => ["%{first}"] push_previous_map_as_event => true }`, "json", nil},
	"aggregate that ends": {`aggregate { task_id => "%{id}" code => "map.merge!(event.to_hash); event.set('was', map)" end_of_task => true }
		aggregate { task_id => "x%{name}" code => "map['e'] ||= event.get('deep'); event.set('e', map['e'])" }`, "json", nil},
	"elapsed": {`if [n] < 4 { mutate { add_tag => ["s"] } } else { mutate { add_tag => ["e"] } }
		elapsed { start_tag => "s" end_tag => "e" unique_id_field => "[deep][id]" new_event_on_match => true }`, "json", nil},
	"throttle": {`throttle { key => "%{id}-%{name}" after_count => 1 period => "3600" max_age => 7200 add_tag => ["many"] }`, "json", nil},
	"ruby": {`ruby { init => "@seen = {}; @all = []" code => "
			@seen[event.get('name')] = event.get('deep'); @all << event.get('[deep][list]'); event.set('seen', @seen); event.set('all', @all)
			event.set('hash', @last); @last = event.to_hash" }`, "json", nil},
	"ruby that clones": {`ruby { code => "c = event.clone; c.set('copy', event.get('deep')); new_event_block.call(c); event.set('[deep][more]', event.get('deep'))" }`, "json", nil},
	"split and clone":  {`split { field => "[deep][list]" target => "one" } clone { clones => ["a", "b"] } mutate { add_field => { "[deep][%{type}]" => "%{one}" } }`, "json", nil},
	"fields that move": {`mutate { rename => { "[deep]" => "[@metadata][deep]" } } mutate { copy => { "[@metadata][deep]" => "again" } }
		mutate { merge => { "[again][list]" => "[@metadata][deep][list]" } add_field => { "[again][x][y]" => "%{name}" } }
		mutate { rename => { "[again][x]" => "[@metadata][deep][x]" } } mutate { copy => { "[@metadata][deep]" => "end" } }`, "json", nil},
	"json": {`mutate { add_field => { "text" => '{"name":"%{name}","e":"a\nb%{n}","deep":{"new":[{"a":"%{name}\t"}]}}' } } json { source => "text" } json { source => "text" target => "[deep][into]" }`, "json", nil},
	"translate and fingerprint": {`translate { source => "name" target => "t" dictionary => { "anna" => "A" "bert" => "B" } fallback => "%{id}!" }
		fingerprint { source => ["name", "deep"] concatenate_sources => true target => "[deep][print]" method => "SHA1" }
		translate { iterate_on => "[deep][list]" source => "[deep][list]" target => "[deep][l]" dictionary => { "1" => "one" } fallback => "%{name}" }`, "json", nil},
	"kv, dissect, xml, csv": {`mutate { add_field => { "kv" => "a=%{name} b=[c=%{n}] a=2" "xml" => "<r><a n='%{n}'>%{name}</a><a>2</a></r>" "csv" => "%{n},%{name}" } }
		kv { source => "kv" target => "[deep][kv]" } xml { source => "xml" target => "[deep][xml]" xpath => ["/r/a/text()", "[deep][path]"] }
		dissect { mapping => { "kv" => "a=%{[deep][d]} %{?k}=%{+[deep][d]}" } } csv { source => "csv" target => "[deep][csv]" }`, "json", nil},
	"csv with a header": {`csv { autodetect_column_names => true target => "[row]" }`, "plain", []string{"name,n,[x][y]", "anna,1,a", "bert,2,b", "carl,3,c"}},
	"grok, date, useragent": {`grok { match => { "message" => "^%{WORD:[who][name]} %{NUMBER:[who][n]:int} %{WORD:[who][name]} %{GREEDYDATA:[ua][text]}$" } }
		useragent { source => "[ua][text]" target => "[ua]" } date { match => ["[who][n]", "UNIX"] target => "[who][at]" }`, "plain",
		[]string{"anna 1 bert Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0", "carl 2 dora curl/8.4.0", "anna 3 bert Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0", "no"}},
	"prune, de_dot, truncate, urldecode": {`mutate { add_field => { "a.b" => "%{name}%20x" } } de_dot { nested => true } urldecode { all_fields => true } truncate { length_bytes => 3 fields => ["[a][b]"] } prune { blacklist_names => ["^id$"] }`, "json", nil},
	"metrics":                            {`metrics { meter => ["%{name}"] timer => { "t%{name}" => "%{n}" } flush_interval => 5 add_tag => ["figures"] rates => [] }`, "json", nil},
	"multiline":                          {"", `multiline { pattern => "^\s" what => "previous" }`, []string{"a", " b", " c", "d", " e"}},
	"multiline, next":                    {"", `multiline { pattern => "\\$" what => "next" ecs_compatibility => "v8" }`, []string{`a\`, `b`, `c\`, `d\`, "e"}},
	"es_bulk":                            {`mutate { copy => { "@metadata" => "action" } }`, "es_bulk", []string{`{"index":{"_index":"one","_id":"1"}}`, `{"a":{"b":[1,"x\n"]}}`, `{"delete":{"_id":"2"}}`, `{"create":{"_index":"two"}}`, `{"a":{"b":[]}}`}},
	"the codec csv":                      {"", `csv { autodetect_column_names => true }`, []string{"name,n", "anna,1", "bert,2"}},
	"cef":                                {"", "cef", []string{`CEF:0|v|p|1|2|n\|x|3|src=1.2.3.4 msg=a\=b cs1=x cs1Label=l`, `CEF:0|v|q|1|2|n|3|msg=c`}},
	"json with a target":                 {"", `json { target => "[in][side]" }`, []string{`{"a":{"b":"c\n"},"d":[1,[2]]}`, `{"a":{"b":"d"}}`, `[{"x":{"y":"z\t"}},{"x":{}}]`}},
}

var keptEventsOf = []string{
	`{"id":"one","n":1,"name":"anna","deep":{"id":{"a":["x\ty"]},"list":[1,"two",{"three":"3\n"}]},"tags":["t\u0031"]}`,
	`{"id":"two","n":2,"name":"bert","deep":{"id":{"a":["z"]},"list":["b"]},"@metadata":{"m":{"n":"o\n"}}}`,
	`{"id":"one","n":3,"name":"carl\n","deep":{"id":{"a":["q\\"]},"list":["c",{"d":{"e":"f\\"}}]}}`,
	`{"id":"one","n":4,"name":"anna","deep":{"id":{"a":["x\ty"]},"list":[[1],["2\n"]]}}`,
	`{"id":"two","n":5,"name":"dora","deep":{"id":{"a":["q\\"]},"list":["e"]}}`,
	`{"id":"one","n":6,"name":"emil","deep":{"id":{"a":["none"]},"list":["f"]}}`,
}

// TestNothingIsKeptOfABatch runs filters and codecs with all events in one batch, and with each in one of its own that is
// overwritten: the same comes out.
func TestNothingIsKeptOfABatch(t *testing.T) {
	for name, k := range keepers {
		t.Run(name, func(t *testing.T) {
			events := k.events
			if events == nil {
				events = keptEventsOf
			}
			made := func(size int) []string {
				p, problems := Read([]syntax.File{{Name: "a.conf", Text: []byte(
					"input { stdin { codec => " + cmp.Or(k.codec, "plain") + " } } filter { " + k.filter + " } output { stdout { codec => json_lines } }")}},
					syntax.Options{}, Options{ECS: filter.ECSDisabled, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return time.Unix(1.7e9, 0) }})
				if err := problems.Err(); err != nil {
					t.Fatal(err)
				}
				return batched(t, p, events, size)
			}
			spoil = false
			want := made(len(events))
			spoil = true
			got := made(1)
			if len(want) == 0 || strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("one by one:\n%s\ntogether:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			for _, line := range got {
				if strings.Contains(line, event.Spoiled) || strings.Contains(line, "##") {
					t.Errorf("it has something of an earlier batch: %s", line)
				}
			}
		})
	}
}

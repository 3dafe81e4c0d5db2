package agent

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/format/filebeat"
	"github.com/narudata/naru/format/tree"
)

var update = flag.Bool("update", false, "write testdata/*.txt anew")

func TestWhatIsSaidOfConfigurations(t *testing.T) {
	all, err := filepath.Glob("testdata/*.yml")
	if err != nil || len(all) < 5 {
		t.Fatalf("%d files of testdata: %v", len(all), err)
	}
	for _, name := range all {
		t.Run(filepath.Base(name), func(t *testing.T) {
			variables := map[string]string{"LOGSTASH_HOSTS": "ls-1:5044, ls-2", "NODE_NAME": "node-1"}
			c, err := Load(name, LoadOptions{Check: true, Lookup: func(n string) (string, bool) { v, ok := variables[n]; return v, ok }})
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			for _, p := range c.Problems {
				b.WriteString(strings.TrimPrefix(p.Error(), "testdata/") + "\n")
			}
			for _, in := range c.Inputs {
				fmt.Fprintf(&b, "input %s: %d steps, %d JSON, %d processors, delimiter %q, identity %s, from %s, at most %d files\n",
					in.name(), len(in.Reading.Steps), len(in.JSON), len(in.Processors), in.Files.Delimiter, in.Files.Identity, in.Files.StartAt, in.Files.MaxOpen)
			}
			switch o := c.Output.(type) {
			case *Logstash:
				fmt.Fprintf(&b, "logstash %q balance %t workers %d window %d level %d tls %t\n", o.Hosts, o.Balance, o.Workers, o.BulkMax, o.Compression, o.TLS != nil)
			case *Search:
				fmt.Fprintf(&b, "search %q index %s, %d rules, %d pipelines\n", o.Endpoint.URLs, o.Index.usual.text, len(o.Index.rules), len(o.Pipeline.rules))
			case *Kafka:
				fmt.Fprintf(&b, "kafka %q %s %s acks %q\n", o.Sink.Brokers, o.Sink.Compression, o.Sink.Partitioner, o.Sink.Acks)
			default:
				fmt.Fprintf(&b, "output %s\n", c.OutputName)
			}
			fmt.Fprintf(&b, "verdict %q\n", c.Worst())
			golden := strings.TrimSuffix(name, ".yml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(b.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), b.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// testEnvironment is one that nothing depends on.
func testEnvironment() *environment {
	return &environment{now: func() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }, log: discardLog(), name: "box", checking: true}
}

// processed puts an event through the processors of a YAML list.
func processed(t *testing.T, yaml, event string) string {
	t.Helper()
	d := filebeat.NewDocument(nil)
	s := d.Section(d.Read("p.yml", []byte("processors:\n"+yaml)), "")
	all := readProcessors(s.Sections("processors"), testEnvironment())
	if len(d.Problems) > 0 {
		return d.Problems[0].Error()
	}
	o, err := tree.ObjectFromJSON([]byte(event))
	if err != nil {
		t.Fatal(err)
	}
	e := &Event{Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Fields: o}
	before, err := e.AppendJSON(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	shared := *e
	kept := process(e, all)
	after, err := shared.AppendJSON(nil, nil)
	if err != nil || string(before) != string(after) {
		t.Errorf("what events share has changed: %s becomes %s, %v", before, after, err)
	}
	if !kept {
		return "dropped"
	}
	out, err := e.AppendJSON(nil, e.Meta)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(string(out), `"@timestamp":"2026-01-02T03:04:05.000Z",`, "", 1)
}

func TestProcessors(t *testing.T) {
	for _, c := range []struct{ yaml, in, want string }{
		{"- add_fields: {target: project, fields: {name: x, a.b: 1}}", `{"m":1}`, `{"m":1,"project":{"a":{"b":1},"name":"x"}}`},
		{"- add_fields: {target: '', fields: {a.c: true}}", `{"a":{"b":1}}`, `{"a":{"b":1,"c":true}}`},
		{"- add_fields: {fields: {id: '007'}}", `{"m":1}`, `{"m":1,"fields":{"id":"007"}}`},
		{"- add_fields: {target: '@metadata', fields: {pipeline: p}}", `{"m":1}`, `{"@metadata":{"pipeline":"p"},"m":1}`},
		{"- add_tags: {tags: [web, prod]}", `{"tags":["a"]}`, `{"tags":["a","web","prod"]}`},
		{"- add_tags: {tags: [x], target: environment}", `{"m":1}`, `{"m":1,"environment":["x"]}`},
		{"- add_labels: {labels: {a: {b: 1}, c: [x]}}", `{"m":1}`, `{"m":1,"labels":{"a.b":1,"c.0":"x"}}`},
		{"- drop_fields: {fields: [a.b, c], ignore_missing: true}", `{"a":{"b":1,"d":2},"m":1}`, `{"a":{"d":2},"m":1}`},
		{"- drop_fields: {fields: ['/^a\\.x/']}", `{"a":{"x1":1,"y":2},"m":1}`, `{"a":{"y":2},"m":1}`},
		{"- include_fields: {fields: [a.b]}", `{"a":{"b":1,"d":2},"m":1}`, `{"a":{"b":1}}`},
		{"- rename: {fields: [{from: a.b, to: c.d}]}", `{"a":{"b":1,"e":2}}`, `{"a":{"e":2},"c":{"d":1}}`},
		{"- rename: {fields: [{from: m, to: n}, {from: none, to: x}]}", `{"m":1}`, `{"m":1,"error":{"message":"no field none to take for x"}}`},
		{"- rename: {fields: [{from: none, to: x}, {from: m, to: n}], ignore_missing: true}", `{"m":1}`, `{"n":1}`},
		{"- rename: {fields: [{from: m, to: n}]}", `{"m":1,"n":2}`, `{"m":1,"n":2,"error":{"message":"the field n is there already: m does not become it"}}`},
		{"- copy_fields: {fields: [{from: m, to: n.o}], fail_on_error: false}", `{"m":1}`, `{"m":1,"n":{"o":1}}`},
		{"- drop_event: {when: {equals: {level: debug}}}", `{"level":"debug"}`, "dropped"},
		{"- drop_event: {when: {equals: {level: debug}}}", `{"level":"info"}`, `{"level":"info"}`},
		{"- drop_event: {when.equals.code: 200}", `{"code":200}`, "dropped"},
		{"- drop_event: {when.contains.message: DBG}", `{"message":"a DBG b"}`, "dropped"},
		{"- drop_event: {when.contains.tags: x}", `{"tags":["ax"]}`, "dropped"},
		{"- drop_event: {when.regexp.message: '^DBG:'}", `{"message":"DBG: x"}`, "dropped"},
		{"- drop_event: {when.range: {code.gte: 400, code.lt: 500}}", `{"code":404}`, "dropped"},
		{"- drop_event: {when.range: {code: {gte: 400, lt: 500}}}", `{"code":500}`, `{"code":500}`},
		{"- drop_event: {when.has_fields: [a.b]}", `{"a":{"b":0}}`, "dropped"},
		{"- drop_event: {when.network.ip: private}", `{"ip":"10.1.2.3"}`, "dropped"},
		{"- drop_event: {when.network.ip: ['192.0.2.0/24', loopback]}", `{"ip":"192.0.2.9"}`, "dropped"},
		{"- drop_event: {when.not.has_fields: [a]}", `{"b":1}`, "dropped"},
		{"- drop_event: {when.or: [{equals.a: 1}, {equals.b: 2}]}", `{"b":2}`, "dropped"},
		{"- drop_event: {when.and: [{equals.a: 1}, {equals.b: 2}]}", `{"b":2}`, `{"b":2}`},
		{"- if: {equals.a: 1}\n  then: [{add_tags: {tags: [one]}}]\n  else: [{add_tags: {tags: [other]}}]", `{"a":2}`, `{"a":2,"tags":["other"]}`},
		{"- decode_json_fields: {fields: [message], target: ''}", `{"message":"{\"a\":1,\"message\":\"x\"}"}`, `{"message":"{\"a\":1,\"message\":\"x\"}","a":1}`},
		{"- decode_json_fields: {fields: [message], target: '', overwrite_keys: true}", `{"message":"{\"@timestamp\":\"2020-01-01T00:00:00Z\",\"message\":\"x\"}"}`, `{"@timestamp":"2020-01-01T00:00:00.000Z","message":"x"}`},
		{"- decode_json_fields: {fields: [message], target: json, max_depth: 2}", `{"message":"{\"a\":\"{\\\"b\\\":1}\"}"}`, `{"message":"{\"a\":\"{\\\"b\\\":1}\"}","json":{"a":{"b":1}}}`},
		{"- decode_json_fields: {fields: [message], expand_keys: true}", `{"message":"{\"a.b\":1,\"a\":{\"c\":2}}"}`, `{"message":{"a":{"b":1,"c":2}}}`},
		{"- decode_json_fields: {fields: [message], target: j, add_error_key: true}", `{"message":"[1"}`, `{"message":"[1","error":{"message":"no JSON in message: corrupt JSON: EOF","type":"json"}}`},
		{"- dissect: {tokenizer: '%{a} - %{b|integer}', target_prefix: ''}", `{"message":"x - 12"}`, `{"message":"x - 12","a":"x","b":12}`},
		{"- dissect: {tokenizer: '[%{+t/2} %{+t/1}] %{?skip} %{*k}=%{&k} %{}'}", `{"message":"[b a] s k=v end"}`, `{"message":"[b a] s k=v end","dissect":{"k":"v","t":"a b"}}`},
		{"- dissect: {tokenizer: '%{a->} %{b}', trim_values: all}", `{"message":"x    y "}`, `{"message":"x    y ","dissect":{"a":"x","b":"y"}}`},
		{"- dissect: {tokenizer: '%{a}|%{b}'}", `{"message":"x"}`, `{"message":"x","log":{"flags":["dissect_parsing_error"]},"error":{"message":"dissect: the field message is of another shape"}}`},
		{"- timestamp: {field: t, layouts: ['2006-01-02 15:04:05'], timezone: Europe/Berlin}", `{"t":"2026-07-01 12:00:00"}`, `{"@timestamp":"2026-07-01T10:00:00.000Z","t":"2026-07-01 12:00:00"}`},
		{"- timestamp: {field: t, layouts: [UNIX_MS], target_field: event.created}", `{"t":1700000000123}`, `{"t":1700000000123,"event":{"created":"2023-11-14T22:13:20.123Z"}}`},
		{"- timestamp: {field: t, layouts: ['Jan _2 15:04:05']}", `{"t":"Dec 31 23:59:59"}`, `{"@timestamp":"2025-12-31T23:59:59.000Z","t":"Dec 31 23:59:59"}`},
		{"- convert: {fields: [{from: a, type: integer}, {from: b, to: c, type: boolean}]}", `{"a":"12","b":"true"}`, `{"a":12,"b":"true","c":true}`},
		{"- convert: {fields: [{from: a, type: ip}]}", `{"a":"x"}`, `{"a":"x","error":{"message":"a: \"x\" is no ip"}}`},
		{"- replace: {fields: [{field: message, pattern: 'pw=\\S+', replacement: 'pw=***'}]}", `{"message":"a pw=x b"}`, `{"message":"a pw=*** b"}`},
		{"- truncate_fields: {fields: [message], max_bytes: 3}", `{"message":"aüüb"}`, `{"message":"aü","log":{"flags":["truncated"]}}`},
		{"- lowercase: {values: [a]}", `{"a":"XyZ"}`, `{"a":"xyz"}`},
		{"- drop_evnt: ~", `{}`, "p.yml:2:3: wrong: processors.0.drop_evnt: there is no such processor; do you mean drop_event?"},
		{"- script: {lang: javascript}", `{}`, "p.yml:2:3: unsupported: processors.0.script: naru has no such processor; do it where the events go (an ingest pipeline, or naru logstash), and remove it here"},
		{"- drop_event:\n  when: {has_fields: [a]}", `{}`, "p.yml:2:3: wrong: processors.0: expected one processor in each item of the list; settings of a processor are two columns further right than its name"},
		{"- dissect: {tokenizer: '%{a}%{b}'}", `{}`, "p.yml:2:13: wrong: processors.0.dissect.tokenizer: %{a} is followed by another field: there must be a delimiter between them"},
		{"- drop_event: {when.regexp.message: '('}", `{}`, "p.yml:2:37: wrong: regexp.message: error parsing regexp: missing closing ): `(`"},
	} {
		if diff := cmp.Diff(c.want, processed(t, c.yaml, c.in)); diff != "" {
			t.Errorf("%s\n%s", c.yaml, diff)
		}
	}
}

func TestHostMetadataDescribeThisMachine(t *testing.T) {
	got := processed(t, "- add_host_metadata: {netinfo.enabled: false, geo.name: here}", `{"m":1}`)
	for _, want := range []string{`"host":{"name":"box"`, `"os":{"type":"`, `"geo":{"name":"here"}`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
}

func TestFormatsOfNames(t *testing.T) {
	e := &Event{Time: time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC), Fields: tree.Object{{Name: "agent", Value: tree.Object{{Name: "version", Value: "8.19.0"}}}, {Name: "n", Value: int64(7)}}}
	for _, c := range []struct{ format, want string }{
		{"logs", "logs"},
		{"filebeat-%{[agent.version]}-%{+yyyy.MM.dd}", "filebeat-8.19.0-2026.01.02"},
		{"%{[agent][version]}-%{[n]}", "8.19.0-7"},
		{"x-%{[none]:all}", "x-all"},
		{"%{+xxxx.ww}", "2026.01"},
		{"%{+yy/M/d HH:mm:ss.SSS 'at' DDD E MMM}", "26/1/2 03:04:05.678 at 002 Fri Jan"},
		{"%{[none]}", "error"}, {"%{[agent]}", "error"}, {"%{none}", "error"}, {"%{[x", "error"}, {"%{+QQ}", "error"},
	} {
		got := "error"
		if f, err := ParseFormat(c.format); err == nil {
			if s, err := f.Of(e); err == nil {
				got = s
			}
		}
		if got != c.want {
			t.Errorf("%s gives %q, want %q", c.format, got, c.want)
		}
	}
}

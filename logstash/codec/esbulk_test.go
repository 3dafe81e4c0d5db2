package codec

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/logstash/event"
)

// bulkStream keeps events with their metadata.
func bulkStream() *stream {
	s := &stream{}
	s.x = Context{New: func() *event.Event { return new(event.Event) }, Now: time.Unix(0, 0), Log: slog.New(slog.DiscardHandler)}
	s.x.Emit = func(e *event.Event) {
		e.RemoveField("@version")
		e.RemoveField("@timestamp")
		s.events = append(s.events, string(e.AppendJSON(nil))+" "+string(event.AppendJSON(nil, e.GetField("@metadata"))))
	}
	return s
}

const bulkBody = `{"index":{"_index":"test","_id":"1"}}
{"field1":"value1"}
{"delete":{"_index":"test","_id":"2"}}

{"create":{"_index":"test","_id":"3"}}
{"field1":"value3"}
{"update":{"_id":"1","_index":"test"}}
{"doc":{"field2":"value2"}}`

func TestABulkRequestBecomesEvents(t *testing.T) {
	for _, c := range []struct {
		name, options string
		messages      []string
		want          []string
	}{
		{"a whole request", `ecs_compatibility => disabled`, []string{bulkBody}, []string{
			`{"field1":"value1"} {"_index":"test","_id":"1","action":"index"}`,
			`{} {"_index":"test","_id":"2","action":"delete"}`,
			`{"field1":"value3"} {"_index":"test","_id":"3","action":"create"}`,
			`{"doc":{"field2":"value2"}} {"_id":"1","_index":"test","action":"update"}`,
		}},
		{"line by line", `ecs_compatibility => disabled`, strings.Split(bulkBody, "\n")[:2], []string{`{"field1":"value1"} {"_index":"test","_id":"1","action":"index"}`}},
		{"with the schema", ``, []string{"{\"index\":{}}\r\n{\"a\":1}\r\n"}, []string{`{"a":1} {"codec":{"es_bulk":{"action":"index"}}}`}},
		{"into a target", `target => "t"`, []string{"{\"index\":{}}\n{\"a\":1}\n{\"delete\":{\"_id\":\"1\"}}"}, []string{
			`{"t":{"a":1}} {"codec":{"es_bulk":{"action":"index"}}}`, `{"t":{}} {"codec":{"es_bulk":{"_id":"1","action":"delete"}}}`}},
		{"lines that are no JSON, or no action", ``, []string{"no json\n7\n{}\n{\"index\":1}\n{\"index\":{}}\n[\n{\"@metadata\":1}\n{\"a\":1}"}, []string{`{"a":1} {"codec":{"es_bulk":{"action":"index"}}}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			forker, ok := made(t, "es_bulk { "+c.options+" }", false).(Forker)
			if !ok {
				t.Fatal("streams share an action")
			}
			d, ok := forker.Fork().(Decoder)
			if !ok {
				t.Fatal("it does not decode")
			}
			s := bulkStream()
			for _, m := range c.messages {
				in := []byte(m)
				d.Decode(&s.x, in)
				clear(in)
			}
			if d := cmp.Diff(c.want, s.events); d != "" {
				t.Error(d)
			}
		})
	}
}

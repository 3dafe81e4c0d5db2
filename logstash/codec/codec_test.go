package codec

import (
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/syntax"
)

// made makes a codec of its text: json { target => "a" }.
func made(t testing.TB, text string, stream bool) Codec {
	t.Helper()
	config, err := syntax.Parse("a.conf", []byte("filter { "+text+" }"))
	if err != nil {
		t.Fatal(err)
	}
	for p := range syntax.Plugins(config.Statements(syntax.Filter)) {
		plugin := Table()[p.Name]()
		for _, problem := range option.Decode(p, plugin, option.Env{}) {
			t.Fatal(problem)
		}
		c, err := plugin.Setup(&Setup{ECS: "v8", Log: slog.New(slog.DiscardHandler), Stream: stream})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	t.Fatal("there is no codec")
	return nil
}

// decoded gives the events of a message as JSON, without @version and @timestamp.
func decoded(t testing.TB, c Codec, message string) []string {
	t.Helper()
	d, ok := c.(Decoder)
	if !ok {
		t.Fatalf("%T does not decode", c)
	}
	var out []string
	d.Decode(&Context{
		New: func() *event.Event { return new(event.Event) },
		Emit: func(e *event.Event) {
			e.RemoveField("@version")
			e.RemoveField("@timestamp")
			out = append(out, string(e.AppendJSON(nil)))
		},
		Now: time.Unix(0, 0), Log: slog.New(slog.DiscardHandler),
	}, []byte(message))
	return out
}

func TestMessagesBecomeEvents(t *testing.T) {
	for _, c := range []struct {
		codec, in string
		want      []string
	}{
		{`plain { }`, "a\nb", []string{`{"message":"a\nb"}`}},
		{`plain { }`, "", []string{`{"message":""}`}},
		{`line { }`, "ü", []string{`{"message":"ü"}`}},
		{`plain { }`, "a\xe9\"#{", []string{`{"message":"a\\xE9\\\"\\#{"}`}}, // as Ruby inspects it
		{`plain { charset => "ISO-8859-1" }`, "a\xe9", []string{`{"message":"aé"}`}},
		{`plain { charset => "CP1252" }`, "\x80\x81", []string{`{"message":"€` + "\uFFFD" + `"}`}},
		{`plain { charset => "ISO-8859-15" }`, "\xa4", []string{`{"message":"€"}`}},
		{`plain { charset => "US-ASCII" }`, "a\xe9", []string{`{"message":"a` + "\uFFFD" + `"}`}},
		{`json { }`, `{"a":1.50,"tags":"t"}`, []string{`{"a":1.5,"tags":"t"}`}},
		{`json { }`, ` [{"a":1},{"a":2}]`, []string{`{"a":1}`, `{"a":2}`}},
		{`json { }`, `[]`, nil},
		{`json { }`, " \t\n", nil},
		{`json { }`, `{"a":`, []string{`{"message":"{\"a\":","tags":["_jsonparsefailure"]}`}},
		{`json { }`, `5`, []string{`{"message":"5","tags":["_jsonparsefailure"]}`}},
		{`json { }`, `[1]`, []string{`{"message":"[1]","tags":["_jsonparsefailure"]}`}},
		{`json { }`, `{"@metadata":1}`, []string{`{"message":"{\"@metadata\":1}","tags":["_jsonparsefailure"]}`}},
		{`json { }`, `{"@timestamp":"x","tags":5}`, []string{`{"tags":["_tagsparsefailure","_timestampparsefailure"],"_tags":[5],"_@timestamp":"x"}`}},
		{`json { target => "[o][p]" }`, `{"a":1,"@timestamp":"x"}`, []string{`{"o":{"p":{"a":1,"@timestamp":"x"}}}`}},
		{`json_lines { target => "o" }`, `[{"a":1}]`, []string{`{"o":{"a":1}}`}},
	} {
		plugin := strings.Replace(c.codec, "{", "{ ecs_compatibility => disabled", 1)
		if diff := cmp.Diff(c.want, decoded(t, made(t, plugin, false), c.in)); diff != "" {
			t.Errorf("%s of %q: %s", c.codec, c.in, diff)
		}
	}
}

func TestMessagesAreKeptAsTheyCameWithTheSchema(t *testing.T) {
	for _, c := range []struct {
		codec, in string
		want      []string
	}{
		{`plain { }`, "a\nb", []string{`{"message":"a\nb","event":{"original":"a\nb"}}`}},
		{`line { }`, "ü", []string{`{"message":"ü","event":{"original":"ü"}}`}},
		{`line { charset => "ISO-8859-1" ecs_compatibility => v1 }`, "\xe9", []string{`{"message":"é","event":{"original":"é"}}`}},
		{`line { ecs_compatibility => disabled }`, "a", []string{`{"message":"a"}`}},
		{`json { }`, `{"a":1}`, []string{`{"a":1,"event":{"original":"{\"a\":1}"}}`}},
		{`json { }`, ` [{"a":1}]`, []string{`{"a":1,"event":{"original":" [{\"a\":1}]"}}`}},
		{`json { }`, `[{"a":1},{"a":2}]`, []string{`{"a":1}`, `{"a":2}`}},
		{`json { }`, `{"event":{"original":"o"}}`, []string{`{"event":{"original":"o"}}`}},
		{`json { }`, `{"event":{"original":null}}`, []string{`{"event":{"original":null}}`}},
		{`json { }`, `{"event":{"kind":"k"}}`, []string{`{"event":{"kind":"k","original":"{\"event\":{\"kind\":\"k\"}}"}}`}},
		{`json { }`, `{"event":"e"}`, []string{`{"message":"{\"event\":\"e\"}","tags":["_jsonparsefailure"]}`}}, // as in the original
		{`json { }`, `{"a":`, []string{`{"message":"{\"a\":","tags":["_jsonparsefailure"]}`}},
		{`json { target => "event" }`, `{"a":1}`, []string{`{"event":{"a":1,"original":"{\"a\":1}"}}`}},
		{`json { ecs_compatibility => disabled }`, `{"a":1}`, []string{`{"a":1}`}},
		{`json_lines { }`, `{"a":1}`, []string{`{"a":1}`}}, // this codec never does it
	} {
		if diff := cmp.Diff(c.want, decoded(t, made(t, c.codec, false), c.in)); diff != "" {
			t.Errorf("%s of %q: %s", c.codec, c.in, diff)
		}
	}
}

func TestWhereMessagesEndIsTheCodecsBusiness(t *testing.T) {
	for _, c := range []struct {
		codec  string
		stream bool
		want   string
	}{
		{`plain { }`, false, ""}, {`plain { }`, true, "\n"}, {`json { }`, false, ""}, {`json { }`, true, "\n"},
		{`line { }`, false, "\n"}, {`json_lines { delimiter => "|" }`, true, "|"},
	} {
		d, ok := made(t, c.codec, c.stream).(Decoder)
		if !ok || d.Delimiter() != c.want {
			t.Errorf("%s: %v", c.codec, d)
		}
	}
}

func TestEventsAreWritten(t *testing.T) {
	const in = `{"@timestamp":"2020-01-02T03:04:05.5Z","@version":"1","message":"say \"hi\"\n#{x}","list":[1.0,[],null,{"a":true}],
		"map":{},"big":123456789012345678901,"@metadata":{"k":"v"}}`
	for _, c := range []struct{ codec, want string }{
		{`plain { }`, "2020-01-02T03:04:05.500Z %{host} say \"hi\"\n#{x}"},
		{`line { format => "%{@version}-%{no}" }`, "1-%{no}\n"},
		{`line { format => "%{@version}" delimiter => "|" }`, "1|"},
		{`dots { }`, "."},
		{`json { }`, `{"@timestamp":"2020-01-02T03:04:05.500Z","@version":"1","message":"say \"hi\"\n#{x}","list":[1.0,[],null,{"a":true}],"map":{},"big":123456789012345678901}`},
		{`rubydebug { metadata => true }`, `{
    "@timestamp" => 2020-01-02T03:04:05.500Z,
      "@version" => "1",
       "message" => "say \"hi\"\n\#{x}",
          "list" => [
        [0] 1.0,
        [1] [],
        [2] nil,
        [3] {
            "a" => true
        }
    ],
           "map" => {},
           "big" => 123456789012345678901,
     "@metadata" => {
        "k" => "v"
    }
}
`},
	} {
		v, err := event.ParseJSON([]byte(in), event.JSONOptions{})
		if err != nil {
			t.Fatal(err)
		}
		e := event.FromMap(v)
		codec := made(t, c.codec, false)
		got := string(codec.(Encoder).Encode([]byte("before "), e)) //nolint:forcetypeassert // all of them are
		if diff := cmp.Diff("before "+c.want, got); diff != "" {
			t.Errorf("%s: %s", c.codec, diff)
		}
	}
}

func TestACharsetThatNaruDoesNotKnowIsRefused(t *testing.T) {
	if _, err := (&Plain{Charset: "KOI8-R"}).Setup(&Setup{}); err == nil || !strings.Contains(err.Error(), "KOI8-R") {
		t.Errorf("got %v", err)
	}
}

func TestJSONLinesAreDecodedAndEncodedWithoutAllocating(t *testing.T) {
	d, ok := made(t, `json_lines { }`, true).(*JSON)
	if !ok {
		t.Fatal("it is another type")
	}
	e := new(event.Event)
	var out []byte
	x := &Context{
		New:  func() *event.Event { e.Reset(); return e },
		Emit: func(e *event.Event) { out = d.Encode(out[:0], e) },
		Now:  time.Unix(0, 0),
	}
	line := []byte(`{"a":"text","n":5,"f":1.5,"t":true}`)
	d.Decode(x, line)
	if n := testing.AllocsPerRun(100, func() { d.Decode(x, line) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzCodecsTakeAllBytes(f *testing.F) {
	for _, seed := range []string{`{"a":1}`, `[{"a":[1,{"b":null}]},{}]`, `{"tags":5,"@timestamp":"x","@metadata":{}}`, "a\xe9#{\x00", `{"a":"\ud800"}`} {
		f.Add([]byte(seed))
	}
	codecs := []Codec{
		made(f, `json { }`, false), made(f, `json { target => "[a][b]" charset => "CP1252" }`, false),
		made(f, `plain { }`, false), made(f, `line { charset => "ISO-8859-1" }`, true),
	}
	debug := made(f, `rubydebug { metadata => true }`, false)
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, c := range codecs {
			d, ok := c.(Decoder)
			if !ok {
				t.Fatal("no decoder")
			}
			d.Decode(&Context{
				New: func() *event.Event { return new(event.Event) },
				Emit: func(e *event.Event) {
					out, ok := debug.(Encoder)
					if !ok {
						t.Fatal("no encoder")
					}
					out.Encode(nil, e)
					if text := e.AppendJSON(nil); !utf8.Valid(text) {
						t.Errorf("an event is not UTF-8: %q", text)
					}
				},
				Now: time.Unix(0, 0), Log: slog.New(slog.DiscardHandler),
			}, in)
		}
	})
}

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
)

func TestRowsBecomeEvents(t *testing.T) {
	for _, c := range []struct {
		codec string
		in    []string
		want  []string
	}{
		{``, []string{"big,bird,\"sesame, street\""}, []string{`{"column1":"big","column2":"bird","column3":"sesame, street"}`}},
		{`columns => ["a", "b"]`, []string{"1,,3", "1\r"}, []string{`{"a":"1","b":null,"column3":"3"}`, `{"a":"1"}`}},
		{`columns => ["a", "b"] autogenerate_column_names => false skip_empty_columns => true`, []string{`1,,3`, `"",2`}, []string{`{"a":"1"}`, `{"b":"2"}`}},
		{`columns => ["[a][b]", "a", "a"]`, []string{"1,2,3"}, []string{`{"[a][b]":"1","a":"3"}`}}, // names, not references
		{`separator => ";" quote_char => "'"`, []string{"a,b;'c;d'"}, []string{`{"column1":"a,b","column2":"c;d"}`}},
		{`quote_char => "\x00"`, []string{`a,"b" c`}, []string{`{"column1":"a","column2":"\"b\" c"}`}},
		{`convert => { "column1" => "integer" "x" => "float" "column3" => "boolean" }`, []string{"12,5,FALSE", ",a,maybe"},
			[]string{`{"column1":12,"column2":"5","column3":false}`, `{"column1":null,"column2":"a","column3":"maybe"}`}},
		{`convert => { "column1" => "boolean" }`, []string{",a"}, []string{`{"message":",a","tags":["_csvparsefailure"]}`}},
		{`target => "[csv][row]"`, []string{"a,b"}, []string{`{"csv":{"row":{"column1":"a","column2":"b"}}}`}},
		{`autodetect_column_names => true`, []string{"", "size,,movie", "big,bird,street,4", "size,,movie"},
			[]string{`{"message":"","tags":["_csvparsefailure"]}`, `{"size":"big","column2":"bird","movie":"street","column4":"4"}`, `{"size":"size","column2":null,"movie":"movie"}`}},
		{`autodetect_column_names => true columns => ["a"]`, []string{"x"}, []string{`{"a":"x"}`}},
		{`charset => "ISO-8859-1"`, []string{"\xe4,b"}, []string{`{"column1":"ä","column2":"b"}`}},
		{``, []string{`a,"b`, `a,b"c`}, []string{`{"message":"a,\"b","tags":["_csvparsefailure"]}`, `{"message":"a,b\"c","tags":["_csvparsefailure"]}`}},
		{``, []string{"a\nb", "\n"}, []string{`{"column1":"a"}`, `{}`}},
		{`columns => ["@metadata"]`, []string{"a"}, []string{`{"message":"a","tags":["_csvparsefailure"]}`}},
		{`ecs_compatibility => v1`, []string{"a,b"}, []string{`{"column1":"a","column2":"b","event":{"original":"a,b"}}`}},
		{`ecs_compatibility => v1 columns => ["event"]`, []string{"a"}, []string{`{"event":"a"}`}},
	} {
		if !strings.Contains(c.codec, "ecs_") {
			c.codec += " ecs_compatibility => disabled"
		}
		codec, got := made(t, "csv { "+c.codec+" }", false), []string(nil)
		for _, in := range c.in {
			got = append(got, decoded(t, codec, in)...)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s of %q: %s", c.codec, c.in, diff)
		}
	}
}

func TestEachStreamOfCSVHasNamesOfItsOwn(t *testing.T) {
	made, ok := made(t, `csv { autodetect_column_names => true ecs_compatibility => disabled }`, true).(*csvCodec)
	if !ok {
		t.Fatal("it is another type")
	}
	if made.Delimiter() != "\n" || !made.Alone() {
		t.Error("rows of a stream are lines, and the first one has the names")
	}
	one, two := made.Fork(), made.Fork()
	got := append(decoded(t, one, "a,b"), decoded(t, two, "c,d")...)
	got = append(got, decoded(t, one, "1,2")...)
	got = append(got, decoded(t, two, "3,4")...)
	if diff := cmp.Diff([]string{`{"a":"1","b":"2"}`, `{"c":"3","d":"4"}`}, got); diff != "" {
		t.Error(diff)
	}
}

func TestEventsBecomeRows(t *testing.T) {
	const in = `{"@timestamp":"2020-01-02T03:04:05.5Z","@version":"1","a":"say \"hi\"","n":1e20,"list":[1.0,null,"x",{"k":true}],"empty":"","no":null,
		"@metadata":{"k":"v"}}`
	for _, c := range []struct{ codec, want string }{
		{`columns => ["a", "n", "missing", "[list][2]", "empty", "no", "@timestamp", "[@metadata][k]", "a[b"]`,
			`"say ""hi""",1.0e+20,,x,"",,2020-01-02T03:04:05.500Z,v,` + "\n"},
		{`include_headers => true columns => ["@version", "list"] separator => ";"`, "@version;list\n" + `1;"[1.0, nil, ""x"", {""k""=>true}]"` + "\n"},
		{`include_headers => true`, "@timestamp,@version,a,n,list,empty,no\n" +
			`2020-01-02T03:04:05.500Z,1,"say ""hi""",1.0e+20,"[1.0, nil, ""x"", {""k""=>true}]","",` + "\n"},
	} {
		v, err := event.ParseJSON([]byte(in), event.JSONOptions{})
		if err != nil {
			t.Fatal(err)
		}
		e := event.FromMap(v)
		codec, ok := made(t, "csv { "+c.codec+" }", false).(*csvCodec)
		if !ok {
			t.Fatal("it is another type")
		}
		if diff := cmp.Diff("before "+c.want, string(codec.Encode([]byte("before "), e))); diff != "" {
			t.Errorf("%s: %s", c.codec, diff)
		}
		header, row, _ := strings.Cut(c.want, "\n")
		if !codec.IncludeHeaders {
			row = header + "\n"
		}
		if diff := cmp.Diff(row, string(codec.Encode(nil, e))); diff != "" {
			t.Errorf("%s, the second event: %s", c.codec, diff)
		}
	}
}

func TestOptionsOfCSVThatCannotBeUsedAreRefused(t *testing.T) {
	for _, c := range []struct {
		codec CSV
		want  string
	}{
		{CSV{Separator: "", QuoteChar: `"`}, "separator"},
		{CSV{Separator: ",", QuoteChar: `''`}, "quote"},
		{CSV{Separator: ",", QuoteChar: `"`, Charset: "KOI8-R"}, "KOI8-R"},
		{CSV{Separator: ",", QuoteChar: `"`, Convert: option.Hash{{Key: "a", Value: "complex"}}}, "complex"},
	} {
		if c.codec.Charset == "" {
			c.codec.Charset = "UTF-8"
		}
		if _, err := c.codec.Setup(&Setup{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, not one about %s", err, c.want)
		}
	}
}

func TestRowsAreDecodedAndEncodedWithoutAllocating(t *testing.T) {
	c, ok := made(t, `csv { columns => ["a", "b"] convert => { "b" => "integer" } ecs_compatibility => disabled }`, true).(*csvCodec)
	if !ok {
		t.Fatal("it is another type")
	}
	e := new(event.Event)
	var out []byte
	x := &Context{
		New:  func() *event.Event { e.Reset(); return e },
		Emit: func(e *event.Event) { out = c.Encode(out[:0], e) },
		Now:  time.Unix(0, 0),
	}
	line := []byte(`text,5,"more text"`)
	c.Decode(x, line)
	if n := testing.AllocsPerRun(100, func() { c.Decode(x, line) }); n > 0 || string(out) != "text,5\n" {
		t.Errorf("%v allocations, %q", n, out)
	}
}

// A row that was written is read as the same texts.
func FuzzCSVTakesAllBytes(f *testing.F) {
	for _, seed := range []string{"a,b", "\"a\"\"\",", "a\r\nb", "\xe9,\"", "@metadata,tags,@timestamp\nx"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		c, ok := made(t, `csv { target => "t" ecs_compatibility => disabled }`, true).(*csvCodec)
		if !ok {
			t.Fatal("it is another type")
		}
		var last []string
		x := &Context{
			New: func() *event.Event { return new(event.Event) },
			Emit: func(e *event.Event) {
				if text := e.AppendJSON(nil); !utf8.Valid(text) {
					t.Errorf("an event is not UTF-8: %q", text)
				}
				row := new(event.Event)
				last = nil
				if v := e.GetField("t"); v.Kind() == event.Map {
					for _, m := range v.Map().Entries() {
						row.Fields().Set(m.Key, m.Value)
					}
				}
				if row.Fields().Len() > 0 {
					last = append(last, string(row.AppendJSON(nil)), string(c.Encode(nil, row)))
				}
			},
			Now: time.Unix(0, 0), Log: slog.New(slog.DiscardHandler),
		}
		c.Decode(x, in)
		if len(last) == 0 {
			return
		}
		first := last
		c.Decode(x, []byte(first[1]))
		if diff := cmp.Diff(first, last); diff != "" && strings.Trim(first[1], "\r\n") != "" && !strings.Contains(first[1], "\r") {
			t.Errorf("%q is read as something else: %s", first[1], diff)
		}
	})
}

package archive

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/document"
	"github.com/narudata/naru/flow"
)

var kindNames = map[kind]string{
	kindText: "text", kindKeyword: "keyword", kindLong: "long", kindUnsigned: "unsigned", kindDouble: "double",
	kindBoolean: "boolean", kindDate: "date", kindNanos: "nanos",
}

func describe(c columns) []string {
	s := []string{}
	for _, col := range c.list {
		s = append(s, col.name+" "+kindNames[col.kind])
	}
	return s
}

func TestAMappingGivesColumnsForItsPlainFields(t *testing.T) {
	for _, c := range []struct {
		name, mappings string
		limit          int
		want           []string
		omitted        int
	}{
		{"every type", `{"properties":{"t":{"type":"text","fields":{"raw":{"type":"keyword"}}},"k":{"type":"keyword"},"kept":{"type":"keyword","index":false,"doc_values":false},"ip":{"type":"ip"},
			"l":{"type":"long"},"b":{"type":"byte"},"u":{"type":"unsigned_long"},"f":{"type":"scaled_float","scaling_factor":10},"x":{"type":"boolean"},
			"d":{"type":"date"},"n":{"type":"date_nanos"},"g":{"type":"geo_point"},"v":{"type":"dense_vector"},"a":{"type":"alias","path":"k"}}}`, 100,
			[]string{"b long", "d date", "f double", "ip keyword", "k keyword", "kept text", "l long", "n nanos", "t text", "u unsigned", "x boolean"}, 0},
		{"objects", `{"properties":{"o":{"properties":{"a":{"type":"long"},"p":{"type":"object","properties":{"b":{"type":"keyword"}}}}},
			"nested":{"type":"nested","properties":{"c":{"type":"long"}}},"off":{"enabled":false,"properties":{"d":{"type":"long"}}},
			"off2":{"type":"object","enabled":"false","properties":{"d":{"type":"long"}}},"q.r":{"type":"long"}}}`, 100,
			[]string{"o.a long", "o.p.b keyword", "q.r long"}, 0},
		{"types", `{"user":{"properties":{"a":{"type":"long"},"b":{"type":"string"}}},"order":{"dynamic":"strict","properties":{"a":{"type":"keyword"},"c":{"type":"date"}}},"_default_":{}}`, 100,
			[]string{"a text", "b text", "c date"}, 0},
		{"dates", `{"properties":{"a":{"type":"date","format":"yyyy-MM-dd HH:mm:ss||epoch_second"},"b":{"type":"date","format":"EEE MMM dd"},"c":{"type":"date_nanos","format":"week_date"}}}`, 100,
			[]string{"a date", "b keyword", "c keyword"}, 0},
		{"clashes", `{"properties":{"_id":{"type":"keyword"},"_SOURCE":{"type":"keyword"},"Host":{"type":"keyword"},"host":{"type":"long"}}}`, 100,
			[]string{"Host keyword"}, 3},
		{"too many", `{"properties":{"c":{"type":"long"},"b":{"type":"long"},"a":{"type":"long"}}}`, 2, []string{"a long", "b long"}, 1},
		{"none", `{}`, 100, []string{}, 0},
		{"null", `null`, 100, []string{}, 0},
		{"strange", `{"properties":{"a":7,"b":[],"c":{"type":"long","properties":3},"d":{"properties":"x"},"e":{"type":[]}}}`, 100, []string{"c long"}, 0},
	} {
		got := columnsOf(json.RawMessage(`{"mappings":`+c.mappings+`,"settings":{}}`), c.limit)
		if diff := cmp.Diff(c.want, describe(got)); diff != "" || got.omitted != c.omitted {
			t.Errorf("%s: %d omitted\n%s", c.name, got.omitted, diff)
		}
	}
	for _, meta := range []string{"", "{", "[]", "7"} {
		if c := columnsOf(json.RawMessage(meta), 1); len(c.list) != 0 {
			t.Errorf("%q gives %v", meta, describe(c))
		}
	}
	s := openTest(t, Config{Dir: t.TempDir(), Format: Parquet})
	if err := s.Prepare(t.Context(), []flow.Group{{Name: "broken", Meta: json.RawMessage("{")}}); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("what is not JSON is taken: %v", err)
	}
}

// at finds a column by name, -1: there is none.
func (c *columns) at(name string) int {
	return slices.IndexFunc(c.list, func(col column) bool { return col.name == name })
}

const findMeta = `{"mappings":{"properties":{"a":{"type":"keyword"},"o":{"properties":{"a":{"type":"long"},"p":{"properties":{"b":{"type":"keyword"}}}}},"":{"properties":{"e":{"type":"long"}}},"ä":{"type":"long"}}}}`

func TestValuesAreFoundWhereverTheyStand(t *testing.T) {
	c := columnsOf(json.RawMessage(findMeta), 100)
	for doc, want := range map[string]string{
		`{"a":"x","o":{"a":1,"p":{"b":"y"}}}`:           `a="x" o.a=1 o.p.b="y"`,
		`{"o.a":1,"o.p.b":2,"a":3}`:                     `o.a=1 o.p.b=2 a=3`,
		`{"o.p":{"b":1},"o":{"a":2}}`:                   `o.p.b=1 o.a=2`,
		`{"o":{"p.b":1}}`:                               `o.p.b=1`,
		`{"a":1,"a":2}`:                                 `a=2`,
		`{"a":1,"a":[2]}`:                               ``,
		`{"a":1,"a":null}`:                              ``,
		`{"o":{"a":1,"p":{"b":2}},"o":{"p":{"b":3}}}`:   `o.p.b=3`,
		`{"o":{"a":1},"o":5}`:                           ``,
		`{"o":[{"a":1}],"a":["x"]}`:                     ``,
		`{"\u0061":true,"\u00e4":-1.5e3}`:               `a=true ä=-1.5e3`,
		`{"x":{"a":1},"y":[{"a":2},"}"],"a" : "\"\\" }`: `a="\"\\"`,
		`{".e":1}`:  `.e=1`,
		`[{"a":1}]`: ``,
		`"a"`:       ``,
		` {} `:      ``,
	} {
		f := newFinder(&c)
		must(t, f.find([]byte(doc)))
		for _, pair := range strings.Fields(want) {
			name, value, _ := strings.Cut(pair, "=")
			i := c.at(name)
			if string(f.values[i]) != value {
				t.Errorf("%s: %s is %s, want %s", doc, name, f.values[i], value)
			}
			f.values[i] = nil
		}
		for i, v := range f.values {
			if v != nil {
				t.Errorf("%s: %s is %s", doc, c.list[i].name, v)
			}
		}
	}
}

// findSlowly says the same by another way.
func findSlowly(found map[string]string, seen map[string]bool, known map[string]bool, prefix string, doc []byte) {
	dec := json.NewDecoder(bytes.NewReader(doc))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return
	}
	for dec.More() {
		key, _ := dec.Token()
		var raw json.RawMessage
		if dec.Decode(&raw) != nil {
			return
		}
		name := prefix + fmt.Sprint(key)
		if !known[name] {
			continue
		}
		if seen[name] {
			for other := range found {
				if other == name || strings.HasPrefix(other, name+".") {
					delete(found, other)
				}
			}
		}
		seen[name] = true
		switch raw[0] {
		case '{':
			findSlowly(found, seen, known, name+".", raw)
		case '[', 'n':
		default:
			found[name] = string(raw)
		}
	}
}

func FuzzFindValues(f *testing.F) {
	for _, s := range []string{
		`{"a":"x","o":{"a":1,"p":{"b":"y\n\u0041"}},"z":[{"a":"]"}]}`,
		`{"o.p":{"b":1},"o":{"a":2},"o":{"a":null},"":{"e":-1E5}}`,
		`{"\u0061":true, "a":1.5e+3,"o":{"p.b":"\\"},"o.p.b":0}`,
		`{"o":{"p":`, `[1`, `{"a":1}}`, "{\"a\":\n1}",
	} {
		f.Add([]byte(s))
	}
	c := columnsOf(json.RawMessage(findMeta), 100)
	known := map[string]bool{}
	for _, col := range c.list {
		for i := range col.name {
			if col.name[i] == '.' {
				known[col.name[:i]] = true
			}
		}
		known[col.name] = true
	}
	w := &parquetFile{typed: c.list}
	f.Fuzz(func(t *testing.T, doc []byte) {
		finder := newFinder(&c)
		err := finder.find(doc)
		for i, raw := range finder.values {
			if err == nil && raw != nil {
				w.value(&c.list[i], raw)
			}
		}
		if !json.Valid(doc) || !utf8.Valid(doc) || bytes.IndexByte(doc, '\n') >= 0 {
			return
		}
		if err != nil {
			t.Fatalf("%q: %v", doc, err)
		}
		if !isOneValue(doc) {
			t.Fatalf("%q is not seen as one value", doc)
		}
		want := map[string]string{}
		findSlowly(want, map[string]bool{}, known, "", bytes.TrimSpace(doc))
		got := map[string]string{}
		for i, raw := range finder.values {
			if raw != nil {
				got[c.list[i].name] = string(raw)
				if s := ""; raw[0] == '"' && json.Unmarshal(raw, &s) == nil {
					if text, ok := document.Unescape(nil, raw[1:len(raw)-1]); !ok || string(text) != s {
						t.Fatalf("%s is %q, want %q", raw, text, s)
					}
				}
			}
		}
		for name := range want {
			if c.at(name) < 0 {
				delete(want, name) // an object in the mapping, and something else in the document
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q:\n%s", doc, diff)
		}
	})
}

func TestTheManifestSaysHowManyFieldsGotNoColumn(t *testing.T) {
	for columns, want := range map[int]int{1: 4, 0: 0, -1: 5} {
		s := openTest(t, Config{Dir: t.TempDir(), Format: Parquet, Columns: columns})
		must(t, s.Prepare(t.Context(), []flow.Group{{Name: "i", Meta: json.RawMessage(findMeta)}}))
		must(t, write(s, "p", rec{"i", "", "1", "-", `{"a":"x"}`}))
		must(t, s.Finish(t.Context()))
		m, err := ReadManifest(s.cfg.Dir)
		must(t, err)
		if got := m.Indices[0].OmittedColumns; got != want {
			t.Errorf("columns %d: %d fields are left out, want %d", columns, got, want)
		}
	}
}

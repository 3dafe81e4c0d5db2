package connect

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type sample struct {
	Name  string        `json:"name"`
	Count int           `json:"count"`
	Wait  time.Duration `json:"wait"`
	On    bool          `json:"on"`
	List  []string      `json:"list"`
	Inner *inner        `json:"inner"`
	Many  []inner       `json:"many"`
	Level level         `json:"level"`
	Not   string
}

type inner struct {
	Rate float64 `json:"rate"`
}

func (i *inner) Validate() error {
	if i.Rate < 0 {
		return errors.New("rate: want at least 0")
	}
	return nil
}

type level string

func (l *level) UnmarshalText(b []byte) error {
	if string(b) != "high" {
		return errors.New(`want "high"`)
	}
	*l = level(b)
	return nil
}

func TestDecodeFillsTheStruct(t *testing.T) {
	var got sample
	err := Decode("f.yaml", []byte(`
name: 2024
count: 12
wait: 1m30s
on: true
list: [a, 'b', "*"]
inner:
many:
  - rate: 0.5
  - {rate: 2}
level: high
`), &got)
	if err != nil {
		t.Fatal(err)
	}
	want := sample{
		Name: "2024", Count: 12, Wait: 90 * time.Second, On: true, List: []string{"a", "b", "*"}, Inner: &inner{},
		Many: []inner{{0.5}, {2}}, Level: "high",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeSaysWhereAndWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"unknown key", "name: a\ncuont: 1\n", `f.yaml:2:1: unknown key "cuont"; did you mean "count"?`},
		{"unknown key without a neighbour", "zzzzzz: 1\n", `f.yaml:1:1: unknown key "zzzzzz"; the keys here are name, count, wait, on, list, inner, many, level`},
		{"a field that is no key", "Not: 1\n", `f.yaml:1:1: unknown key "Not"; the keys here are name, count, wait, on, list, inner, many, level`},
		{"deep unknown key", "many:\n  - rate: 1\n  - raet: 1\n", `f.yaml:3:5: many[1]: unknown key "raet"; did you mean "rate"?`},
		{"key twice", "name: a\nname: b\n", `f.yaml:2:1: the key "name" stands twice`},
		{"wrong scalar", "count: many\n", `f.yaml:1:8: count: want a whole number, found "many"`},
		{"too large", "count: 99999999999999999999\n", `f.yaml:1:8: count: want a whole number, found "99999999999999999999"`},
		{"bad duration", "wait: 10\n", `f.yaml:1:7: wait: want a duration like 30s, found "10"`},
		{"list for a text", "name: [a]\n", `f.yaml:1:7: name: want a text, found a list`},
		{"text for a list", "list: a\n", `f.yaml:1:7: list: want a list, found "a"`},
		{"text for keys", "inner: a\n", `f.yaml:1:8: inner: want keys with values, found "a"`},
		{"nothing for a number", "count:\n", `f.yaml:1:7: count: want a whole number, found nothing`},
		{"validate", "inner:\n  rate: -1\n", `f.yaml:2:3: inner: rate: want at least 0`},
		{"text unmarshaler", "level: low\n", `f.yaml:1:8: level: want "high"`},
		{"alias", "name: &a x\n", `f.yaml:1:7: anchors and aliases are not allowed; write the value out`},
		{"second document", "name: a\n---\nname: b\n", `f.yaml:2:1: a second document; a file holds one`},
		{"empty", "", `f.yaml: the file is empty`},
		{"syntax", "name: [a\n", `f.yaml:1: did not find expected ',' or ']'`},
		{"not keys", "- a\n", `f.yaml:1:1: want keys with values, found a list`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s sample
			err := Decode("f.yaml", []byte(c.in), &s)
			if err == nil {
				t.Fatalf("decoded to %+v", s)
			}
			if err.Error() != c.want {
				t.Errorf("got  %s\nwant %s", err, c.want)
			}
		})
	}
}

func TestTheNearestNameIsTheOneThatWasMeant(t *testing.T) {
	known := []string{"snapshot", "archive", "ndjson", "parquet", "sample", "mask"}
	for in, want := range map[string]string{
		"snapshto": "snapshot", "snaphot": "snapshot", "archives": "archive", "json": "ndjson", "parq": "parquet",
		"msak": "mask", "kafka": "", "x": "", "SNAPSHOT": "snapshot",
	} {
		if got := Nearest(in, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("name: a\nmany: [{rate: 1}]\n")
	f.Add("inner: {rate: -1}\nlist: [&a x, *a]\n")
	f.Add("a: &a [*a]\n")
	f.Fuzz(func(t *testing.T, in string) {
		var s sample
		if err := Decode("f.yaml", []byte(in), &s); err != nil && !strings.HasPrefix(err.Error(), "f.yaml:") {
			t.Errorf("the error does not name the file: %v", err)
		}
	})
}

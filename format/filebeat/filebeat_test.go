package filebeat

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func lookup(name string) (string, bool) {
	v, ok := map[string]string{"HOSTS": "a:1, b:2", "EMPTY": "", "N": "7"}[name]
	return v, ok
}

func read(t testing.TB, text string) (*Document, *Section) {
	t.Helper()
	d := NewDocument(lookup)
	return d, d.Section(d.Read("f.yml", []byte(text)), "")
}

func said(d *Document) string {
	d.Sort()
	var out []string
	for _, p := range d.Problems {
		out = append(out, p.Error())
	}
	return strings.Join(out, "\n")
}

func TestNamesWithDotsAreNamesWithinNames(t *testing.T) {
	d, s := read(t, "a.b.c: 1\na:\n  b: {d: 2}\n  'e.f': x\nlist: [{g.h: true}]\n")
	want := map[string]any{"a": map[string]any{"b": map[string]any{"c": int64(1), "d": int64(2)}, "e": map[string]any{"f": "x"}}, "list": []any{map[string]any{"g": map[string]any{"h": true}}}}
	if diff := cmp.Diff(want, s.Node.Value()); diff != "" || len(d.Problems) > 0 {
		t.Error(diff, said(d))
	}
	for text, want := range map[string]string{
		"a: 1\na: 2\n":   "f.yml:2:1: wrong: a: a is given twice, the first time in line 1",
		"a: 1\na.b: 2\n": "f.yml:1:1: wrong: line 2: a is given, and a.b, too",
		"a: [\n":         "f.yml:1:1: wrong: no YAML: did not find expected node content",
		"- a\n":          "f.yml:1:1: wrong: expected settings, found a list",
	} {
		if d, _ := read(t, text); said(d) != want {
			t.Errorf("%q: %s", text, said(d))
		}
	}
}

func TestVariablesArePutIn(t *testing.T) {
	for text, want := range map[string]string{
		"x: ${N}": "7", "x: a-${N}-b": "a-7-b", "x: ${NONE:d}": "d", "x: ${NONE:${N}}": "7", "x: '${EMPTY}'": "", "x: ${y.z}\ny.z: other": "other",
		"x: ${NONE}": "!the variable NONE is not set", "x: ${NONE:?it is needed}": "!the variable NONE is not set: it is needed", "x: ${N": "!expected } after ${",
		"x: ${y}\ny: ${x}": "!without an end",
	} {
		d, s := read(t, text)
		got := s.Text("x", "")
		if len(d.Problems) > 0 {
			got = "!" + d.Problems[0].Text
		}
		if got != want && !(strings.HasPrefix(want, "!") && strings.Contains(got, want[1:])) {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
	if _, s := read(t, "hosts: ['${HOSTS}', c]"); !cmp.Equal(s.Texts("hosts"), []string{"a:1", "b:2", "c"}) {
		t.Errorf("hosts %q", s.Texts("hosts"))
	}
}

func TestValuesAreReadAndWhatIsWrongHasItsPlace(t *testing.T) {
	d, s := read(t, "b: yes\nd: 1m30s\nn: 5\nsize: 2KiB\nr: ['a+', '(']\nbad: x\nc: red\nunknownn: 1\nsub:\n  inner: 1\n  other: 2\n")
	if !s.Bool("b", false) || s.Duration("d", 0) != 90*time.Second || s.Duration("n", 0) != 5*time.Second || s.Int("n", 0, 1, 9) != 5 || s.Bytes("size", 0) != 2048 {
		t.Error("a value is read wrongly")
	}
	if len(s.Regexps("r")) != 1 || s.Int("bad", 3, 0, 9) != 3 || s.Bool("bad", true) != true || s.Choice("c", "blue", "blue", "green") != "blue" {
		t.Error("a wrong value is not replaced by the usual one")
	}
	s.Text("unknown", "")
	s.Text("sub.inner", "")
	s.Done()
	want := strings.Join([]string{
		"f.yml:5:11: wrong: r: error parsing regexp: missing closing ): `(`",
		`f.yml:6:1: wrong: bad: expected a number from 0 to 9, found "x"`,
		`f.yml:6:1: wrong: bad: expected true or false, found "x"`,
		`f.yml:7:1: wrong: c: expected one of blue, green, found "red"`,
		"f.yml:8:1: different: unknownn: naru does not know this setting, and goes without it; do you mean unknown?",
		"f.yml:11:3: different: sub.other: naru does not know this setting, and goes without it; do you mean sub.inner?",
	}, "\n")
	if diff := cmp.Diff(want, said(d)); diff != "" {
		t.Error(diff)
	}
}

func TestSettingsOfTheCommandLineCount(t *testing.T) {
	d, s := read(t, "output.console.enabled: true\nx: [1]\n")
	d.Set(s.Node, "output.console.enabled=false")
	d.Set(s.Node, "x=[2, 3]")
	d.Set(s.Node, "new.one=a=b")
	want := map[string]any{"output": map[string]any{"console": map[string]any{"enabled": false}}, "x": []any{int64(2), int64(3)}, "new": map[string]any{"one": "a=b"}}
	if diff := cmp.Diff(want, s.Node.Value()); diff != "" {
		t.Error(diff)
	}
	d.Set(s.Node, "nothing")
	if said(d) == "" {
		t.Error("a setting without a value is taken")
	}
}

func FuzzConfigurations(f *testing.F) {
	f.Add("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: ${N:${M}}}\n")
	f.Add("a.b: 1\na: {b.c: 2}\n")
	f.Add("a: &a [*a]\n")
	f.Fuzz(func(t *testing.T, text string) {
		d := NewDocument(lookup)
		n := d.Read("f", []byte(text))
		if n == nil {
			if d.Worst() != Wrong {
				t.Error("it cannot be read, and nothing is said of it")
			}
			return
		}
		s := d.Section(n, "")
		s.Texts("a")
		s.Sections("b")
		s.Done()
		n.Value()
	})
}

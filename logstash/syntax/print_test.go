package syntax

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

var ignorePos = cmpopts.IgnoreTypes(Pos{})

func TestPrintedConfigurationsAreReadAsTheSameTree(t *testing.T) {
	for _, c := range cases(t) {
		first, err := Parse("f", []byte(c.config))
		if err != nil {
			continue
		}
		text := first.Print()
		second, err := Parse("f", []byte(text))
		if err != nil {
			t.Errorf("%s: %v\n%s", c.name, err, text)
			continue
		}
		if diff := cmp.Diff(first.Sections, second.Sections, ignorePos); diff != "" {
			t.Errorf("%s (-before +after printing):\n%s", c.name, diff)
		}
		if again := second.Print(); again != text {
			t.Errorf("%s is printed anew as\n%s\nand was\n%s", c.name, again, text)
		}
	}
}

func TestPrintIndents(t *testing.T) {
	c, err := Parse("f", []byte(`input{stdin{}}filter{if[a]==1 and([b]or![c]){mutate{add_field=>{"x"=>[1,two]} 'q'=>"v"}}else if [d]in["x",'y']{}else{drop{}}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := `input {
  stdin {}
}

filter {
  if [a] == 1 and ([b] or ![c]) {
    mutate {
      add_field => {
        "x" => [1, two]
      }
      "q" => "v"
    }
  } else if [d] in ["x", 'y'] {} else {
    drop {}
  }
}
`
	if diff := cmp.Diff(want, c.Print()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	branch := c.Sections[1].Body[0].(*Branch)
	if got := Print(branch.Arms[1].Cond); got != `[d] in ["x", 'y']` {
		t.Error(got)
	}
	if got := Print(branch.Arms[0].Body[0].(*Plugin).Attributes[1]); got != `"q" => "v"` {
		t.Error(got)
	}
}

func TestStringsAreQuotedSoThatTheyAreReadBack(t *testing.T) {
	for s, want := range map[string]string{
		"": `""`, "a b": `"a b"`, `say "hi"`: `'say "hi"'`, "it's": `"it's"`, `say \"hi\"`: `"say \"hi\""`, "l\n": "\"l\n\"",
	} {
		if raw, ok := Quote(s); raw != want || !ok {
			t.Errorf("%q: %s, %t", s, raw, ok)
		}
	}
	for _, s := range []string{`both " and '`, `end\`} {
		if raw, ok := Quote(s); ok {
			t.Errorf("%q: %s", s, raw)
		}
	}
}

func TestAnyTreeIsReadBackAsItWasPrinted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := generator{t}
		want := []*Section{}
		for range rapid.IntRange(0, 3).Draw(t, "sections") {
			want = append(want, &Section{Kind: rapid.SampledFrom([]Kind{Input, Filter, Output}).Draw(t, "kind"), Body: g.body(3)})
		}
		text := (&Config{Sections: want}).Print()
		got, err := Parse("f", []byte(text))
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if diff := cmp.Diff(want, got.Sections, ignorePos, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-want +got):\n%s\n%s", diff, text)
		}
		agrees(t, text)
	})
}

// generator makes trees; n is how deep they may still become.
type generator struct{ t *rapid.T }

func (g generator) pick(n int) int { return rapid.IntRange(0, n-1).Draw(g.t, "pick") }

func (g generator) body(n int) []Statement {
	var out []Statement
	for range g.pick(4) {
		if n == 0 || g.pick(2) == 0 {
			out = append(out, g.plugin(n))
			continue
		}
		b := &Branch{}
		for range 1 + g.pick(3) {
			b.Arms = append(b.Arms, &Arm{Cond: g.cond(3), Body: g.body(n - 1)})
		}
		if g.pick(2) == 0 {
			b.Else = &Block{Body: g.body(n - 1)}
		}
		out = append(out, b)
	}
	return out
}

func (g generator) plugin(n int) *Plugin {
	p := &Plugin{Name: rapid.StringMatching(`[a-z0-9_-]{1,6}`).Draw(g.t, "name")}
	if strings.HasPrefix(p.Name, "if") || strings.HasPrefix(p.Name, "else") {
		p.Name = "x" + p.Name
	}
	for range g.pick(3) {
		a := &Attribute{Name: rapid.StringMatching(`[a-z0-9_-]{1,3}`).Draw(g.t, "option"), Quoted: g.pick(4) == 0, Value: g.value(n)}
		p.Attributes = append(p.Attributes, a)
	}
	return p
}

func (g generator) string() *String {
	raw := rapid.StringMatching(`"([^"\\]|\\[a-z"])*"|'([^'\\]|\\[a-z'])*'`).Draw(g.t, "string")
	return &String{Raw: raw, Value: raw[1 : len(raw)-1]}
}

func (g generator) number() *Number {
	if g.pick(2) == 0 {
		return &Number{Raw: "-3.50", IsFloat: true, Float: -3.5}
	}
	return &Number{Raw: "42", Int: 42}
}

func (g generator) bareword() *Bareword {
	return &Bareword{Text: rapid.StringMatching(`[A-Za-z_][A-Za-z0-9_]{1,4}`).Draw(g.t, "word")}
}

func (g generator) value(n int) Value {
	k := g.pick(6)
	if n == 0 {
		k %= 3
	}
	switch k {
	case 0:
		return g.string()
	case 1:
		return g.number()
	case 2:
		return g.bareword()
	case 3:
		return g.array(n)
	case 4:
		return g.plugin(n - 1)
	}
	h, seen := &Hash{}, map[string]bool{}
	for range g.pick(3) {
		var key Value = g.string()
		if g.pick(2) == 0 {
			key = g.bareword()
		}
		if e := (&Entry{Key: key, Value: g.value(n - 1)}); !seen[Print(key)] {
			seen[Print(key)] = true
			h.Entries = append(h.Entries, e)
		}
	}
	return h
}

func (g generator) array(n int) *Array {
	a := &Array{}
	for range g.pick(3) {
		a.Values = append(a.Values, g.value(max(0, n-1)))
	}
	return a
}

func (g generator) operand() Value {
	switch g.pick(7) {
	case 0:
		return g.string()
	case 1:
		return g.number()
	case 2:
		return &Regexp{Pattern: rapid.StringMatching(`([a-z"'{}#]|\\/|\\d)*`).Draw(g.t, "regexp")}
	case 3: // what has a bracket before the first comma is a selector
		return &Array{Values: []Value{g.number(), g.value(1)}}
	case 4:
		return &Call{Name: "sprintf", Args: []Value{g.string()}}
	}
	return g.selector()
}

func (g generator) selector() *Selector {
	return &Selector{Text: rapid.StringMatching(`(\[[a-z0-9@ .'"-]+\]){1,3}`).Draw(g.t, "selector")}
}

func (g generator) cond(n int) Cond {
	k := g.pick(6)
	if n == 0 {
		k = 2 + k%4
	}
	switch k {
	case 0:
		return &Logic{Op: rapid.SampledFrom([]LogicOp{And, And, Or, Or, Xor, Nand}).Draw(g.t, "op"), Left: g.cond(n - 1), Right: g.cond(n - 1)}
	case 1:
		return &Not{Cond: g.cond(n - 1)}
	case 2:
		return &Compare{Op: rapid.SampledFrom(compareOps).Draw(g.t, "op"), Left: g.operand(), Right: g.operand()}
	case 3:
		return &In{Negated: g.pick(2) == 0, Item: g.operand(), List: g.operand()}
	case 4:
		var pattern Value = g.string()
		if g.pick(2) == 0 {
			pattern = &Regexp{Pattern: `^\/x"`}
		}
		return &Match{Negated: g.pick(2) == 0, Left: g.operand(), Pattern: pattern}
	}
	return &Truth{Value: g.operand()}
}

package agent

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/narudata/naru/format/tree"
)

// A tokenizer cuts texts at delimiters, as the dissect processor of Beats does: "%{day} [%{level}] %{text}".
//
//	%{name}    the text up to what follows   %{name->}  what follows may stand several times
//	%{}, %{?name}  it is left out            %{+name}, %{+name/2}  it is appended to what name has, in the order of the numbers
//	%{*name} %{&name}  the text of * is the name of what & has    %{name|integer}  it is converted
type tokenizer struct {
	before string // the first field
	keys   []key
}

type key struct {
	kind    byte // 0, '?', '+', '*', '&'
	name    string
	order   int
	convert string
	after   string // what ends it; "": nothing, it is the last one
	greedy  bool
}

func compileDissect(text string) (*tokenizer, error) {
	t := &tokenizer{}
	before, rest, ok := strings.Cut(text, "%{")
	if !ok {
		return nil, errors.New("expected %{name} in the tokenizer")
	}
	t.before = before
	for {
		inner, after, ok := strings.Cut(rest, "}")
		if !ok {
			return nil, errors.New("expected } after %{ in the tokenizer")
		}
		k, err := parseKey(inner)
		if err != nil {
			return nil, err
		}
		var more bool
		k.after, rest, more = strings.Cut(after, "%{")
		if more && k.after == "" {
			return nil, fmt.Errorf("%%{%s} is followed by another field: there must be a delimiter between them", inner)
		}
		t.keys = append(t.keys, k)
		if !more {
			break
		}
	}
	for _, k := range t.keys {
		other := byte('&')
		if k.kind == '&' {
			other = '*'
		}
		if (k.kind == '*' || k.kind == '&') && !slices.ContainsFunc(t.keys, func(o key) bool { return o.kind == other && o.name == k.name }) {
			return nil, fmt.Errorf("%%{%c%s} needs %%{%c%s}", k.kind, k.name, other, k.name)
		}
	}
	return t, nil
}

func parseKey(s string) (key, error) {
	k := key{}
	if s, k.convert, _ = strings.Cut(s, "|"); k.convert != "" && !slices.Contains(conversions, k.convert) {
		return k, fmt.Errorf("expected one of %s after |, found %q", strings.Join(conversions, ", "), k.convert)
	}
	s, k.greedy = strings.CutSuffix(s, "->")
	if s != "" && strings.IndexByte("?+*&", s[0]) >= 0 {
		k.kind, s = s[0], s[1:]
	}
	if k.kind == '+' {
		name, order, ok := strings.Cut(s, "/")
		if ok {
			n, err := strconv.Atoi(order)
			if err != nil {
				return k, fmt.Errorf("expected a number after / in %%{+%s}", s)
			}
			k.order = n
		}
		s = name
	}
	if k.name = s; s == "" {
		if k.kind != 0 && k.kind != '?' {
			return k, fmt.Errorf("%%{%c} needs a name", k.kind)
		}
		k.kind = '?'
	}
	return k, nil
}

// cut gives the fields of a text, in the order of the tokenizer; false: it is of another shape.
func (t *tokenizer) cut(text, trim, trimChars string) (tree.Object, bool) {
	rest, ok := strings.CutPrefix(text, t.before)
	if !ok {
		return nil, false
	}
	values := make([]string, len(t.keys))
	for i, k := range t.keys {
		if k.after == "" {
			values[i], rest = rest, ""
			continue
		}
		values[i], rest, ok = strings.Cut(rest, k.after)
		if !ok {
			return nil, false
		}
		for k.greedy && strings.HasPrefix(rest, k.after) {
			rest = rest[len(k.after):]
		}
	}
	for i := range values {
		switch trim {
		case "left":
			values[i] = strings.TrimLeft(values[i], trimChars)
		case "right":
			values[i] = strings.TrimRight(values[i], trimChars)
		case "all":
			values[i] = strings.Trim(values[i], trimChars)
		}
	}
	var out tree.Object
	appended := map[string][]int{}
	for i, k := range t.keys {
		switch k.kind {
		case 0:
			out = put1(out, k.name, convertOr(values[i], k.convert))
		case '+':
			appended[k.name] = append(appended[k.name], i)
		case '&':
			for j, o := range t.keys {
				if o.kind == '*' && o.name == k.name {
					out = put1(out, values[j], convertOr(values[i], k.convert))
				}
			}
		}
	}
	for _, k := range t.keys {
		at := appended[k.name]
		if k.kind != '+' || len(at) == 0 {
			continue
		}
		delete(appended, k.name)
		slices.SortStableFunc(at, func(a, b int) int { return t.keys[a].order - t.keys[b].order })
		v, _ := out.Get(k.name)
		joined, has := v.(string)
		for _, j := range at {
			if has {
				joined += " "
			}
			joined, has = joined+values[j], true
		}
		out = put1(out, k.name, joined)
	}
	return out, true
}

var conversions = []string{"boolean", "double", "float", "integer", "ip", "long", "string"}

func convertOr(s, to string) any {
	if to == "" {
		return s
	}
	if v, err := convert(s, to); err == nil {
		return v
	}
	return s
}

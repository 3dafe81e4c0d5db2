package option

import (
	"slices"
	"strings"

	"github.com/narudata/naru/logstash/syntax"
)

// A given is what one option was given: the value of its attributes put together.
type given struct {
	at    *syntax.Attribute // the first
	value any
	wrong bool // a variable in it has no value
}

// reader makes raw values of a plugin's attributes.
type reader struct {
	env      Env
	problems []Problem
}

func (r *reader) problem(pos syntax.Pos, message string) {
	r.problems = append(r.problems, Problem{Pos: pos, Message: message})
}

func (r *reader) warn(pos syntax.Pos, message string) {
	r.problems = append(r.problems, Problem{Pos: pos, Message: message, Warning: true})
}

// attributes puts the attributes of a plugin together, by name and in the order of their first places.
func (r *reader) attributes(p *syntax.Plugin) []given {
	var all []given
	for _, a := range p.Attributes {
		if a.Value == nil {
			continue // beside a syntax error
		}
		v := r.raw(a.Value)
		i := slices.IndexFunc(all, func(g given) bool { return g.at.Name == a.Name })
		if i < 0 {
			all = append(all, given{at: a, value: v})
			continue
		}
		all[i].value = r.merge(a, all[i].value, v)
	}
	for i := range all {
		before := len(r.problems)
		all[i].value = r.expand(all[i].at.Value.At(), all[i].value)
		all[i].wrong = len(r.problems) > before
	}
	return all
}

// raw gives a value as it is written.
func (r *reader) raw(v syntax.Value) any {
	switch v := v.(type) {
	case *syntax.Bareword:
		return v.Text
	case *syntax.String:
		return v.Value
	case *syntax.Number:
		if v.IsFloat {
			return v.Float
		}
		return v.Int
	case *syntax.Array:
		list := make([]any, len(v.Values))
		for i, e := range v.Values {
			list[i] = r.raw(e)
		}
		return list
	case *syntax.Hash:
		hash := make(Hash, 0, len(v.Entries))
		for _, e := range v.Entries {
			hash = hash.set(e.Name(), r.raw(e.Value)) // a key with and without quotes is one key
		}
		return hash
	case *syntax.Plugin:
		return Codec{Name: v.Name, Plugin: v, Pos: v.Pos}
	}
	return nil
}

// merge is what an option is that stands twice. A text and then a list is the text and the list as one element, in the
// original, too.
func (r *reader) merge(a *syntax.Attribute, old, more any) any {
	switch old := old.(type) {
	case Hash:
		hash, ok := more.(Hash)
		if !ok {
			r.problem(a.Pos, a.Name+" was given as a hash before: give the rest as a hash, too")
			return old
		}
		return mergeHash(old, hash)
	case []any:
		switch more := more.(type) {
		case []any:
			return append(old, more...)
		case Hash:
			r.problem(a.Pos, a.Name+" was given as a list before: give the rest as a list, too")
			return old
		}
		return append(old, more)
	case Codec:
		r.problem(a.Pos, a.Name+" was given before: a plugin has one codec")
		return old
	}
	if equal(old, more) {
		return old
	}
	if _, ok := more.([]any); ok {
		r.warn(a.Pos, a.Name+" was given without brackets before; Logstash takes this list for one text: write both in brackets")
	}
	return []any{old, more}
}

// mergeHash is LogStash::Util.hash_merge_with_dups.
func mergeHash(into, more Hash) Hash {
	for _, e := range more {
		old, ok := into.Get(e.Key)
		if !ok {
			into = append(into, e)
			continue
		}
		into = into.set(e.Key, mergeValues(old, e.Value))
	}
	return into
}

func mergeValues(old, more any) any {
	oldList, oldIsList := old.([]any)
	switch more := more.(type) {
	case Hash:
		if oldHash, ok := old.(Hash); ok {
			return mergeHash(oldHash, more)
		}
	case []any:
		if oldIsList {
			return append(oldList, more...)
		}
		return append([]any{old}, more...)
	}
	switch {
	case oldIsList && slices.ContainsFunc(oldList, func(v any) bool { return equal(v, more) }):
		return oldList
	case oldIsList:
		return append(oldList, more)
	case equal(old, more):
		return old
	}
	return []any{old, more}
}

// equal is Ruby's == between raw values.
func equal(a, b any) bool {
	switch a := a.(type) {
	case string, int64, float64:
		return a == b
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equal)
	case Hash:
		b, ok := b.(Hash)
		return ok && len(a) == len(b) && !slices.ContainsFunc(a, func(e Pair) bool {
			v, ok := b.Get(e.Key)
			return !ok || !equal(e.Value, v)
		})
	}
	return false
}

// expand replaces variables in a value, deep.
func (r *reader) expand(pos syntax.Pos, v any) any {
	switch v := v.(type) {
	case string:
		return r.variables(pos, v)
	case []any:
		for i := range v {
			v[i] = r.expand(pos, v[i])
		}
	case Hash:
		for i := range v {
			v[i].Value = r.expand(pos, v[i].Value)
		}
	}
	return v
}

// variables replaces ${NAME} in a text. Where there is more than one reference around it, what comes out is refined: quotes
// at both ends go, and a text in brackets becomes a list.
func (r *reader) variables(pos syntax.Pos, s string) any {
	if !strings.Contains(s, "${") {
		return s
	}
	used := false
	out, err := syntax.Expand(s, func(name string) (string, bool) {
		used = true
		if r.env.Lookup == nil {
			return "", false
		}
		return r.env.Lookup(name)
	})
	if err != nil {
		r.problem(pos, err.Error())
		return s
	}
	if !used || Variable(s) {
		return out
	}
	out = unquote(out)
	if !strings.HasPrefix(out, "[") || !strings.HasSuffix(out, "]") || len(out) < 2 {
		return out
	}
	var list []any
	for e := range strings.SplitSeq(out[1:len(out)-1], ",") {
		list = append(list, unquote(strings.TrimSpace(e)))
	}
	return list
}

// Variable reports that a text is one ${…} and nothing else.
func Variable(s string) bool {
	return strings.HasPrefix(s, "${") && strings.IndexByte(s, '}') == len(s)-1
}

func unquote(s string) string {
	for _, q := range []string{"'", `"`} {
		if len(s) >= 2 && strings.HasPrefix(s, q) && strings.HasSuffix(s, q) {
			s = s[1 : len(s)-1]
		}
	}
	return s
}

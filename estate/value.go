package estate

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
)

// decodeBody decodes JSON with numbers as they are written.
func decodeBody(b []byte) (Body, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var body Body
	if err := d.Decode(&body); err != nil {
		return nil, err
	}
	return body, nil
}

// hash names a body; nil, an absent one, is "absent".
func hash(body Body) string {
	if body == nil {
		return "absent"
	}
	sum := sha256.Sum256(text(body))
	return hex.EncodeToString(sum[:16])
}

// clone copies v and all below it.
func clone[T any](v T) T {
	var copied any
	switch v := any(v).(type) {
	case map[string]any:
		if v == nil {
			return any(v).(T) //nolint:errcheck,forcetypeassert // it is what it was
		}
		m := make(map[string]any, len(v))
		for k, x := range v {
			m[k] = clone(x)
		}
		copied = m
	case []any:
		l := make([]any, len(v))
		for i, x := range v {
			l[i] = clone(x)
		}
		copied = l
	default:
		copied = v
	}
	if copied == nil {
		var none T
		return none
	}
	return copied.(T) //nolint:errcheck,forcetypeassert // the same type as v
}

// mergePatch applies a JSON merge patch (RFC 7386).
func mergePatch(target, patch any) any {
	p, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	t, ok := target.(map[string]any)
	if !ok {
		t = map[string]any{}
	}
	out := maps.Clone(t)
	for k, v := range p {
		if v == nil {
			delete(out, k)
			continue
		}
		out[k] = mergePatch(out[k], v)
	}
	return out
}

// equal compares values as JSON: numbers by value.
func equal(a, b any) bool {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for k, v := range x {
			w, ok := y[k]
			if !ok || !equal(v, w) {
				return false
			}
		}
		return true
	case []any:
		y, ok := b.([]any)
		return ok && slices.EqualFunc(x, y, equal)
	case json.Number:
		y, ok := b.(json.Number)
		return ok && (x == y || sameNumber(x, y))
	default:
		return a == b
	}
}

// sameNumber compares 1, 1.0 and 1e0. Exponents that would make it slow are compared as texts.
func sameNumber(a, b json.Number) bool {
	const longest = 40
	if len(a) > longest || len(b) > longest || strings.ContainsAny(string(a)+string(b), "eE") && tooLarge(a, b) {
		return a == b
	}
	x, ok := new(big.Rat).SetString(string(a))
	y, ok2 := new(big.Rat).SetString(string(b))
	return ok && ok2 && x.Cmp(y) == 0
}

func tooLarge(numbers ...json.Number) bool {
	for _, n := range numbers {
		if _, exponent, ok := strings.Cut(strings.ToLower(string(n)), "e"); ok && len(strings.TrimLeft(exponent, "+-0")) > 2 {
			return true
		}
	}
	return false
}

// scalarText is how a setting's value is written: true, 5 and "5" are texts to the server.
func scalarText(v any) any {
	switch v := v.(type) {
	case bool:
		return fmt.Sprint(v)
	case json.Number:
		return v.String()
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = scalarText(x)
		}
		return out
	}
	return v
}

// scalarsAsText does that to all values below v.
func scalarsAsText(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			v[k] = scalarsAsText(x)
		}
		return v
	case []any:
		for i, x := range v {
			v[i] = scalarsAsText(x)
		}
		return v
	}
	return scalarText(v)
}

// flat writes nested settings as one level: {"index":{"codec":"x"}} is {"index.codec":"x"}. Null values are left out.
func flat(settings map[string]any, prefix string, into map[string]any) {
	for k, v := range settings {
		name := k
		if prefix != "" {
			name = prefix + "." + k
		}
		switch v := v.(type) {
		case map[string]any:
			flat(v, name, into)
		case nil:
		default:
			into[name] = scalarText(v)
		}
	}
}

// dropEmpty removes the named members where they say nothing: null, {}, [] or "".
func dropEmpty(body map[string]any, names ...string) {
	for _, name := range names {
		switch v := body[name].(type) {
		case nil:
			delete(body, name)
		case map[string]any:
			if len(v) == 0 {
				delete(body, name)
			}
		case []any:
			if len(v) == 0 {
				delete(body, name)
			}
		}
	}
}

// listOf makes a list of what may be written as one text.
func listOf(v any) any {
	if s, ok := v.(string); ok {
		return []any{s}
	}
	return v
}

// sorted orders a list of texts, for those whose order means nothing.
func sorted(v any) any {
	list, ok := v.([]any)
	if !ok {
		return v
	}
	if slices.ContainsFunc(list, func(x any) bool { _, ok := x.(string); return !ok }) {
		return v
	}
	out := slices.Clone(list)
	slices.SortFunc(out, func(a, b any) int { return strings.Compare(a.(string), b.(string)) }) //nolint:errcheck,forcetypeassert // looked at above
	return slices.CompactFunc(out, func(a, b any) bool { return a == b })
}

// object gives the member as an object; nil if it is none.
func object(body map[string]any, path ...string) map[string]any {
	for _, name := range path {
		next, ok := body[name].(map[string]any)
		if !ok {
			return nil
		}
		body = next
	}
	return body
}

// texts gives the texts of a list.
func texts(v any) []string {
	var out []string
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, x := range v {
			if s, ok := x.(string); ok {
				out = append(out, s)
			}
		}
	}
	return out
}

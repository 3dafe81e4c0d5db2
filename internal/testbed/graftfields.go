package testbed

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
)

// A field of the index `types`.
type field struct {
	name    string
	mapping map[string]any
	maybe   bool // not every server has it
	value   func(n int, rng *rand.Rand) any
}

// typeFields are all kinds of fields that both Elasticsearch and OpenSearch have, each with the parameters by which the way it is
// stored changes. A document lacks each field now and then.
var typeFields = []field{
	{"n", props("integer"), false, func(n int, _ *rand.Rand) any { return n }},
	{"text", with("text", "term_vector", "with_positions_offsets", "copy_to", "everything", "fields", map[string]any{
		"raw": with("keyword", "ignore_above", 30), "length": map[string]any{"type": "text", "norms": false}}), false, sentence},
	{"prose", with("text", "index_options", "offsets", "store", true, "position_increment_gap", 3), false, func(n int, rng *rand.Rand) any {
		return []any{sentence(n, rng), sentence(n+1, rng)}
	}},
	{"prefixed", with("text", "index_prefixes", map[string]any{"min_chars": 2, "max_chars": 6}, "index_phrases", true), true, sentence},
	{"docs_only", with("text", "index_options", "docs", "norms", false, "fielddata", true), false, sentence},
	{"everything", props("text"), false, nil},
	{"kw", props("keyword"), false, func(n int, _ *rand.Rand) any { return words[n%len(words)] }},
	{"tags", props("keyword"), false, func(_ int, rng *rand.Rand) any {
		tags := []string{}
		for range rng.IntN(4) {
			tags = append(tags, words[rng.IntN(len(words))])
		}
		return tags
	}},
	{"kw_normal", with("keyword", "normalizer", "lower"), true, func(n int, _ *rand.Rand) any { return []string{"ALPHA", "Beta", "gamma"}[n%3] }},
	{"kw_short", with("keyword", "ignore_above", 8), false, func(n int, _ *rand.Rand) any { return fmt.Sprintf("v%0*d", 1+n%12, n) }},
	{"kw_null", with("keyword", "null_value", "NULL"), false, func(n int, _ *rand.Rand) any {
		if n%3 == 0 {
			return nil
		}
		return korean[n%len(korean)]
	}},
	{"kw_nodv", with("keyword", "doc_values", false), false, func(n int, _ *rand.Rand) any { return words[n*7%len(words)] }},
	{"kw_dvonly", with("keyword", "index", false), false, func(n int, _ *rand.Rand) any { return words[n*5%len(words)] }},
	{"kw_stored", with("keyword", "store", true, "eager_global_ordinals", true), false, func(n int, _ *rand.Rand) any { return "s" + strconv.Itoa(n%20) }},
	{"byte", props("byte"), false, func(n int, _ *rand.Rand) any { return n%200 - 100 }},
	{"short", with("short", "doc_values", false), false, func(n int, _ *rand.Rand) any { return n * 13 % 30000 }},
	{"long", with("long", "store", true), false, func(n int, rng *rand.Rand) any { return rng.Int64() >> (n % 60) }},
	{"longs", with("long", "null_value", 7), false, func(n int, _ *rand.Rand) any { return []any{n, nil, -n * 1e9} }},
	{"half", props("half_float"), false, func(n int, _ *rand.Rand) any { return float64(n%64) / 4 }},
	{"float", props("float"), false, func(n int, _ *rand.Rand) any { return float64(n) / 8 }},
	{"double", props("double"), false, func(_ int, rng *rand.Rand) any { return rng.NormFloat64() * 1e6 }},
	{"scaled", with("scaled_float", "scaling_factor", 100), true, func(n int, _ *rand.Rand) any { return float64(n)*1.25 + 0.01 }},
	{"lenient", with("integer", "ignore_malformed", true), false, func(n int, _ *rand.Rand) any {
		if n%4 == 0 {
			return "not a number"
		}
		return n
	}},
	{"date", props("date"), false, func(n int, _ *rand.Rand) any {
		return fmt.Sprintf("20%02d-%02d-%02dT%02d:30:00.%03dZ", 18+n%5, 1+n%12, 1+n%28, n%24, n%1000)
	}},
	{"day", with("date", "format", "yyyy-MM-dd||epoch_second"), false, func(n int, _ *rand.Rand) any {
		if n%2 == 0 {
			return 1_500_000_000 + n*86_400
		}
		return fmt.Sprintf("1969-%02d-%02d", 1+n%12, 1+n%28)
	}},
	{"nanos", props("date_nanos"), true, func(n int, _ *rand.Rand) any {
		return fmt.Sprintf("2023-05-01T12:00:%02d.%09dZ", n%60, n*1_234_567%1_000_000_000)
	}},
	{"bool", props("boolean"), false, func(n int, _ *rand.Rand) any { return []any{true, false, "true", ""}[n%4] }},
	{"ip", props("ip"), false, func(n int, _ *rand.Rand) any {
		if n%3 == 0 {
			return fmt.Sprintf("2001:db8::%x", n)
		}
		return fmt.Sprintf("10.%d.%d.%d", n%3, n%7, n%251)
	}},
	{"int_range", props("integer_range"), false, func(n int, _ *rand.Rand) any { return map[string]any{"gte": n, "lt": n + 10} }},
	{"long_range", props("long_range"), false, func(n int, _ *rand.Rand) any { return map[string]any{"gt": n * 1e10} }},
	{"float_range", props("float_range"), false, func(n int, _ *rand.Rand) any { return map[string]any{"gte": float64(n) / 2, "lte": n} }},
	{"double_range", props("double_range"), false, func(n int, _ *rand.Rand) any { return map[string]any{"gte": float64(n) / 4, "lte": float64(n) / 2} }},
	{"date_range", with("date_range", "format", "yyyy-MM-dd"), false, func(n int, _ *rand.Rand) any {
		return map[string]any{"gte": fmt.Sprintf("2020-01-%02d", 1+n%28), "lte": fmt.Sprintf("2020-02-%02d", 1+n%28)}
	}},
	{"ip_range", props("ip_range"), false, func(n int, _ *rand.Rand) any { return fmt.Sprintf("10.%d.0.0/%d", n%9, 16+n%8) }},
	{"point", props("geo_point"), false, func(n int, _ *rand.Rand) any {
		lat, lon := float64(n%140)-70, float64(n*7%340)-170
		switch n % 4 {
		case 0:
			return map[string]any{"lat": lat, "lon": lon}
		case 1:
			return []any{lon, lat}
		case 2:
			return fmt.Sprintf("%g,%g", lat, lon)
		default:
			return []any{map[string]any{"lat": lat, "lon": lon}, map[string]any{"lat": lat + 1, "lon": lon + 1}}
		}
	}},
	{"blob", with("binary", "doc_values", true), false, randomBytes},
	{"blob_stored", with("binary", "store", true), false, randomBytes},
	{"suggest", props("completion"), false, func(n int, _ *rand.Rand) any {
		return map[string]any{"input": []string{words[n%len(words)] + " " + strconv.Itoa(n), korean[n%len(korean)]}, "weight": n}
	}},
	{"suggest_in", with("completion", "contexts", []any{map[string]any{"name": "where", "type": "category"}}), false, func(n int, _ *rand.Rand) any {
		return map[string]any{"input": words[n%len(words)] + strconv.Itoa(n%30), "contexts": map[string]any{"where": []string{"here", "there"}[n%2]}}
	}},
	{"typed", props("search_as_you_type"), true, sentence},
	{"rank", props("rank_feature"), true, func(n int, _ *rand.Rand) any { return float64(n%50) + 1 }},
	{"ranks", props("rank_features"), true, func(n int, _ *rand.Rand) any { return map[string]any{"a": n%10 + 1, words[n%len(words)]: 2.5} }},
	{"tokens", with("token_count", "analyzer", "standard", "store", true), true, sentence},
	{"kw_alias", with("alias", "path", "kw"), false, nil},
	{"object", map[string]any{"properties": map[string]any{
		"a": props("keyword"), "deep": map[string]any{"properties": map[string]any{"b": props("long")}}}}, false, func(n int, _ *rand.Rand) any {
		return map[string]any{"a": words[n%5], "deep": map[string]any{"b": n * n}}
	}},
	{"opaque", map[string]any{"type": "object", "enabled": false}, false, func(n int, _ *rand.Rand) any {
		return []any{map[string]any{"any": n}, "thing", nil}[n%3]
	}},
}

// props is a mapping of that type, with is one with parameters: key, value, …
func props(typ string) map[string]any { return map[string]any{"type": typ} }

func with(typ string, parameters ...any) map[string]any {
	m := props(typ)
	for i := 0; i < len(parameters); i += 2 {
		m[parameters[i].(string)] = parameters[i+1]
	}
	return m
}

func sentence(n int, rng *rand.Rand) any {
	text := words[n%len(words)]
	for range 2 + rng.IntN(8) {
		text += " " + words[rng.IntN(len(words))]
	}
	return text + " " + korean[n%len(korean)]
}

func randomBytes(n int, rng *rand.Rand) any {
	raw := make([]byte, 1+n%40)
	for i := range raw {
		raw[i] = byte(rng.Uint32())
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// known are those of fields that the node takes: it is asked about each that not every server has.
func (n *Node) known(tb testing.TB, fields []field, settings map[string]any) []field {
	tb.Helper()
	var known []field
	for _, f := range fields {
		if !f.maybe || n.takes(tb, map[string]any{"properties": map[string]any{f.name: f.mapping}}, settings) {
			known = append(known, f)
		}
	}
	return known
}

// takes reports whether the node creates an index with these mappings and settings; it does not keep the index.
func (n *Node) takes(tb testing.TB, mappings, settings map[string]any) bool {
	tb.Helper()
	status, reply, err := n.Send(tb.Context(), "PUT", "/probe", "application/json", map[string]any{
		"settings": merged(settings, map[string]any{"index.number_of_shards": 1, "index.number_of_replicas": 0}), "mappings": n.typed(mappings)})
	if err != nil {
		tb.Fatal(err)
	}
	if status >= 300 {
		var said struct{ Error struct{ Reason string } }
		if err := json.Unmarshal(reply, &said); err != nil || status >= 500 {
			tb.Fatalf("%d %.500s", status, reply)
		}
		tb.Logf("%s does without: %s", n.Version, said.Error.Reason)
		return false
	}
	n.Call(tb, "DELETE", "/probe", nil)
	return true
}

// typed wraps a mapping in its type where the API has types.
func (n *Node) typed(mappings map[string]any) map[string]any {
	if n.OpenSearch || n.Major >= 7 {
		return mappings
	}
	return map[string]any{"_doc": mappings}
}

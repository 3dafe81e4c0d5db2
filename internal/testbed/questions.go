package testbed

import "strings"

// o is a JSON object.
type o = map[string]any

// GraftQuestions are what FillGraft asks of an index of its corpus, and what a restored one is asked: nested aggregations, say, of
// `nested`, and all field types of `types`. Of any index it asks what any can answer.
func GraftQuestions(index string) []Question {
	questions := []Question{
		{Name: "count", API: "_count"},
		{Name: "values", Body: o{"size": 0, "aggs": o{"n": o{"stats": o{"field": "n"}}, "kw": o{"terms": o{"field": "kw", "size": 50}},
			"without": o{"missing": o{"field": "n"}}, "by": o{"date_range": o{"field": "date", "ranges": []any{o{"to": "2024-06-01"}, o{"from": "2024-06-01"}}}}}}},
		{Name: "by n", Body: o{"size": 20, "sort": []any{o{"n": o{"order": "desc", "unmapped_type": "long"}}}, "_source": false}},
		{Name: "found", Body: o{"size": 1000, "_source": false, "query": o{"range": o{"n": o{"gte": 10, "lt": 60}}}}},
	}
	if strings.HasPrefix(index, ".ds-") || index == GraftStream {
		return append(questions, ask("stream days", o{"size": 0, "aggs": o{"days": o{"date_histogram": o{"field": "@timestamp", "calendar_interval": "minute"}}}}),
			ask("stream newest", o{"size": 5, "sort": []any{o{"@timestamp": "desc"}}, "_source": false}))
	}
	return append(questions, ofKind[index]...)
}

func ask(name string, body o) Question { return Question{Name: name, Body: body} }

// find asks for all that match.
func find(name string, query o) Question {
	return ask(name, o{"size": 1000, "_source": false, "query": query})
}

// count asks for an aggregation alone.
func count(name string, agg o) Question { return ask(name, o{"size": 0, "aggs": o{"a": agg}}) }

// order asks for the first by a sort, of all that have the field.
func order(name string, sort ...any) Question {
	return ask(name, o{"size": 30, "_source": false, "sort": append(sort, o{"n": "asc"})})
}

func terms(field string) o { return o{"terms": o{"field": field, "size": 100}} }

var ofKind = map[string][]Question{
	"types": ofTypes(),
	"nested": {
		find("nested query", o{"nested": o{"path": "lines", "query": o{"term": o{"lines.by": korean[1]}}}}),
		find("nested query, both", o{"nested": o{"path": "lines", "query": o{"bool": o{"must": []any{o{"term": o{"lines.by": korean[1]}}, o{"range": o{"lines.stars": o{"gte": 3}}}}}}}}),
		find("nested in nested", o{"nested": o{"path": "lines.replies", "query": o{"term": o{"lines.replies.by": words[2]}}}}),
		find("nested scored", o{"nested": o{"path": "lines", "score_mode": "max", "query": o{"match": o{"lines.say": "timeout order"}}}}),
		find("nested exists", o{"bool": o{"must_not": o{"nested": o{"path": "lines", "query": o{"exists": o{"field": "lines.by"}}}}}}),
		find("nested in parent", o{"term": o{"shared.k": words[1]}}),
		ask("nested inner hits", o{"size": 20, "_source": false, "sort": []any{o{"n": "asc"}}, "query": o{"nested": o{"path": "lines", "inner_hits": o{"_source": true, "sort": []any{o{"lines.stars": "desc"}}},
			"query": o{"term": o{"lines.by": korean[2]}}}}}),
		count("nested aggregation", o{"nested": o{"path": "lines"}, "aggs": o{"by": terms("lines.by"), "stars": o{"stats": o{"field": "lines.stars"}}}}),
		count("nested aggregation in nested", o{"nested": o{"path": "lines.replies"}, "aggs": o{"by": terms("lines.replies.by")}}),
		count("nested aggregation and back", o{"nested": o{"path": "lines"}, "aggs": o{"by": o{"terms": o{"field": "lines.by"}, "aggs": o{"back": o{"reverse_nested": o{}, "aggs": o{"n": o{"max": o{"field": "n"}}}}}}}}),
		ask("nested sort", o{"size": 50, "_source": false, "sort": []any{o{"lines.stars": o{"order": "desc", "mode": "max", "nested": o{"path": "lines"}}}, o{"n": "asc"}}}),
	},
	"joined": {
		find("has_child", o{"has_child": o{"type": "answer", "query": o{"term": o{"kw": words[1]}}}}),
		find("has_parent", o{"has_parent": o{"parent_type": "question", "query": o{"range": o{"n": o{"lt": 30}}}}}),
		find("parent_id", o{"parent_id": o{"type": "comment", "id": "30"}}),
		ask("children found with parents", o{"size": 20, "_source": false, "sort": []any{o{"n": "asc"}}, "query": o{"has_child": o{"type": "answer", "query": o{"match_all": o{}}, "inner_hits": o{"_source": false}}}}),
		count("children", o{"children": o{"type": "answer"}, "aggs": o{"kw": terms("kw")}}),
		count("joins", terms("join")),
	},
	"shapes": {
		find("shape intersects", o{"geo_shape": o{"shape": o{"relation": "intersects", "shape": o{"type": "envelope", "coordinates": []any{[]any{-60, 30}, []any{20, -20}}}}}}),
		find("shape within", o{"geo_shape": o{"shape": o{"relation": "within", "shape": o{"type": "envelope", "coordinates": []any{[]any{-60, 30}, []any{20, -20}}}}}}),
		find("shape disjoint", o{"geo_shape": o{"shape": o{"relation": "disjoint", "shape": o{"type": "envelope", "coordinates": []any{[]any{-60, 30}, []any{20, -20}}}}}}),
		find("shape exists", o{"exists": o{"field": "shape"}}),
	},
	"sorted": {
		ask("first of a sorted index", o{"size": 15, "_source": false, "track_total_hits": false, "sort": []any{o{"kw": "desc"}, o{"n": "asc"}}}),
		ask("sorted text", o{"size": 15, "_source": false, "query": o{"match": o{"text": "payment"}}, "sort": []any{o{"kw": "desc"}, o{"n": "asc"}}}),
	},
	"routed": {
		{Name: "one routing", Query: "routing=" + "%EC%8A%A4%EB%83%85%EC%83%B7", Body: o{"size": 100, "_source": false, "sort": []any{o{"n": "asc"}}}},
		count("routings", o{"terms": o{"field": "_routing"}}),
	},
	"analysed": {
		find("shingles", o{"match_phrase": o{"text": o{"query": "cart shipping", "analyzer": "own"}}}),
		find("not stopped", o{"match": o{"text": "error"}}),
		find("own similarity", o{"match": o{"flat": "login cart"}}),
		{Name: "analysis", API: "_analyze", Body: o{"analyzer": "own", "text": "Login ERROR of a User, twice"}},
		ask("terms", o{"size": 3, "_source": false, "sort": []any{o{"n": "asc"}}, "docvalue_fields": []string{"n"}}),
	},
	"synonyms": {
		find("synonym", o{"match": o{"text": "signin"}}),
		find("replaced", o{"match": o{"text": "basket"}}),
		find("stem", o{"match": o{"text": "connections"}}),
		find("folded", o{"match": o{"text": "cafe"}}),
		find("beginning", o{"match": o{"text.prefix": "ship"}}),
		{Name: "analysis", API: "_analyze", Body: o{"analyzer": "own", "text": "<i>Signins</i> & cafés"}},
	},
	"dynamic": {
		count("dynamic ids", terms("user_id")),
		count("dynamic numbers", o{"sum": o{"field": "number"}}),
		count("dynamic dates", o{"date_histogram": o{"field": "when", "calendar_interval": "day"}}),
		find("dynamic text", o{"match": o{"free": "login"}}),
		ask("stored by template", o{"size": 10, "sort": []any{o{"stats.a": "asc"}}, "stored_fields": []string{"stats.a", "stats.b"}}),
	},
	"counted":  {count("counted", terms("kw"))},
	"bodiless": {find("text without source", o{"match": o{"text": "payment"}}), ask("values without source", o{"size": 10, "sort": []any{o{"n": "asc"}}, "docvalue_fields": []string{"n", "kw"}})},
	"best":     {find("text", o{"match": o{"text": "payment order"}}), find("in a filter", o{"bool": o{"filter": []any{o{"term": o{"kw": "error"}}}}})},
	"excluded": {find("excluded text", o{"match": o{"text": "payment"}}), ask("what is left", o{"size": 50, "sort": []any{o{"n": "asc"}}})},
	"flat": {
		find("flattened key", o{"term": o{"flat.level": words[1]}}),
		find("flattened any", o{"term": o{"flat": "h3"}}),
		find("flattened exists", o{"exists": o{"field": "flat"}}),
		find("flattened deep", o{"prefix": o{"flat.deep.host": "h"}}),
		count("flattened values", terms("flat.level")),
	},
	"runtime": {find("runtime", o{"term": o{"late": "l1"}}), count("runtime values", terms("surprise"))},
	"vectors": {find("vectors", o{"exists": o{"field": "v"}})},
	"series":  {count("hosts", o{"terms": o{"field": "host"}, "aggs": o{"cpu": o{"avg": o{"field": "cpu"}}}})},
	"tsdb":    {count("hosts", o{"terms": o{"field": "host"}, "aggs": o{"cpu": o{"avg": o{"field": "cpu"}}}})},
	"dotted":  {count("dotted", o{"max": o{"field": "time.max"}})},
}

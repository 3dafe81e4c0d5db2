package testbed

import (
	"fmt"
	"math/rand/v2"
	"strconv"
)

// A kind is an index of the graft corpus, and what it is there for.
type kind struct {
	name     string
	why      string
	special  bool // it has what OpenSearch does not know by that name, or cannot have at all
	since    int  // Elasticsearch's major version, 0: any
	until    int  // the last that has it, 0: any
	shards   int
	docs     int
	settings map[string]any
	mapping  map[string]any
	options  bool // if the server refuses it, it is left out
	document func(n int, rng *rand.Rand) map[string]any
	routing  func(n int, doc map[string]any) string
	churn    bool // updated and deleted, with flushes in between, unmerged
}

func simple(n int, rng *rand.Rand) map[string]any {
	return map[string]any{"n": n, "kw": words[n%len(words)], "text": sentence(n, rng), "date": fmt.Sprintf("2024-%02d-%02dT10:00:00Z", 1+n%12, 1+n%28)}
}

var simpleMapping = map[string]any{"properties": map[string]any{
	"n": props("integer"), "kw": props("keyword"), "text": props("text"), "date": props("date")}}

// unmerged keeps segments with deletions as they are: documents that are deleted and not merged away count in scores.
var unmerged = map[string]any{"index.merge.policy.segments_per_tier": 50, "index.merge.policy.max_merge_at_once": 50}

// kinds are the indices besides `types`, data streams and what templates make.
var kinds = []kind{
	{name: "nested", why: "nested objects in nested objects: Lucene documents of their own", shards: 2, docs: 90, settings: unmerged,
		mapping: map[string]any{"properties": map[string]any{"n": props("integer"), "lines": with("nested", "properties", map[string]any{
			"by": props("keyword"), "stars": props("byte"), "say": props("text"),
			"replies": with("nested", "properties", map[string]any{"by": props("keyword")})}),
			"shared": with("nested", "include_in_parent", true, "properties", map[string]any{"k": props("keyword")})}},
		document: func(n int, rng *rand.Rand) map[string]any {
			lines := []any{}
			for i := range n % 5 {
				replies := []any{}
				for range rng.IntN(3) {
					replies = append(replies, map[string]any{"by": words[rng.IntN(4)]})
				}
				lines = append(lines, map[string]any{"by": korean[(n+i)%5], "stars": (n + i) % 6, "say": sentence(n+i, rng), "replies": replies})
			}
			return map[string]any{"n": n, "lines": lines, "shared": map[string]any{"k": words[n%3]}}
		}, churn: true},
	{name: "joined", why: "parents and children of a join field, routed together", shards: 2, docs: 90, options: true,
		mapping: map[string]any{"properties": map[string]any{"n": props("integer"), "kw": props("keyword"),
			"join": with("join", "relations", map[string]any{"question": []string{"answer", "comment"}, "answer": "vote"})}},
		document: func(n int, _ *rand.Rand) map[string]any {
			doc := map[string]any{"n": n, "kw": words[n%5], "join": "question"}
			if n%3 > 0 {
				doc["join"] = map[string]any{"name": []string{"", "answer", "comment"}[n%3], "parent": strconv.Itoa(n - n%3)}
			}
			return doc
		},
		routing: func(n int, _ map[string]any) string { return strconv.Itoa(n - n%3) }},
	{name: "shapes", why: "geo_shape", shards: 1, docs: 40, options: true,
		mapping: map[string]any{"properties": map[string]any{"n": props("integer"), "shape": props("geo_shape")}},
		document: func(n int, _ *rand.Rand) map[string]any {
			x, y := float64(n%20)*8-80, float64(n%10)*8-40
			shapes := []any{
				map[string]any{"type": "point", "coordinates": []any{x, y}},
				map[string]any{"type": "polygon", "coordinates": []any{[]any{[]any{x, y}, []any{x + 5, y}, []any{x + 5, y + 5}, []any{x, y + 5}, []any{x, y}}}},
				map[string]any{"type": "linestring", "coordinates": []any{[]any{x, y}, []any{x + 9, y + 9}}}}
			return map[string]any{"n": n, "shape": shapes[n%3]}
		}},
	{name: "sorted", why: "segments sorted by fields", shards: 1, docs: 120,
		settings: map[string]any{"index.sort.field": []string{"kw", "n"}, "index.sort.order": []string{"desc", "asc"}},
		mapping:  simpleMapping, document: simple},
	{name: "routed", why: "a required routing, spread over two of four shards", shards: 4, docs: 80,
		settings: merged(unmerged, map[string]any{"index.routing_partition_size": 2}),
		mapping:  map[string]any{"_routing": map[string]any{"required": true}, "properties": simpleMapping["properties"]},
		document: simple, routing: func(n int, _ map[string]any) string { return korean[n%4] }, churn: true},
	{name: "analysed", why: "analyzers of its own, of what every server has", shards: 1, docs: 60,
		settings: map[string]any{"index.analysis": map[string]any{
			"filter": map[string]any{"pairs": map[string]any{"type": "shingle", "min_shingle_size": 2, "max_shingle_size": 3},
				"no": map[string]any{"type": "stop", "stopwords": []string{"error", "user"}}},
			"analyzer": map[string]any{"own": map[string]any{"type": "custom", "tokenizer": "standard", "filter": []string{"lowercase", "no", "pairs"}},
				"default": map[string]any{"type": "custom", "tokenizer": "standard", "filter": []string{"lowercase"}}}},
			"index.similarity.flatter": map[string]any{"type": "BM25", "b": 0.1, "k1": 0.9}},
		mapping: map[string]any{"properties": map[string]any{"n": props("integer"), "text": with("text", "analyzer", "own", "search_analyzer", "default"),
			"flat": with("text", "similarity", "flatter")}},
		document: func(n int, rng *rand.Rand) map[string]any {
			return map[string]any{"n": n, "text": sentence(n, rng), "flat": sentence(n, rng)}
		}},
	{name: "synonyms", why: "analyzers of the module analysis-common", shards: 1, docs: 60, options: true,
		settings: map[string]any{"index.analysis": map[string]any{
			"char_filter": map[string]any{"signs": map[string]any{"type": "mapping", "mappings": []string{"& => and"}}},
			"tokenizer":   map[string]any{"grams": map[string]any{"type": "edge_ngram", "min_gram": 2, "max_gram": 5, "token_chars": []string{"letter"}}},
			"filter": map[string]any{"alike": map[string]any{"type": "synonym", "synonyms": []string{"login, signin", "cart => basket"}},
				"stem": map[string]any{"type": "stemmer", "language": "english"}},
			"analyzer": map[string]any{
				"own":    map[string]any{"type": "custom", "tokenizer": "standard", "char_filter": []string{"signs", "html_strip"}, "filter": []string{"lowercase", "asciifolding", "alike", "stem"}},
				"prefix": map[string]any{"type": "custom", "tokenizer": "grams", "filter": []string{"lowercase"}}}}},
		mapping: map[string]any{"properties": map[string]any{"n": props("integer"), "text": with("text", "analyzer", "own", "fields", map[string]any{
			"prefix": with("text", "analyzer", "prefix", "search_analyzer", "standard")})}},
		document: func(n int, rng *rand.Rand) map[string]any {
			return map[string]any{"n": n, "text": "<b>" + sentence(n, rng).(string) + "</b> & Café"}
		}},
	{name: "churn", why: "many versions of documents: updates and deletions, kept as soft deletes from 7.0 on", shards: 2, docs: 100,
		settings: merged(unmerged, map[string]any{"index.soft_deletes.retention.operations": 200}), mapping: simpleMapping, document: simple, churn: true},
	{name: "churn-hard", why: "the same with .liv files", shards: 1, docs: 60, options: true, until: 7,
		settings: merged(unmerged, map[string]any{"index.soft_deletes.enabled": false}), mapping: simpleMapping, document: simple, churn: true},
	{name: "best", why: "best_compression, in compound files", shards: 1, docs: 120, settings: map[string]any{"index.codec": "best_compression", "index.compound_format": true},
		mapping: simpleMapping, document: simple},
	{name: "dynamic", why: "fields made by dynamic templates", shards: 1, docs: 60,
		mapping: map[string]any{"dynamic_templates": []any{
			map[string]any{"ids": map[string]any{"match": "*_id", "match_mapping_type": "string", "mapping": props("keyword")}},
			map[string]any{"counts": map[string]any{"path_match": "stats.*", "mapping": with("long", "store", true)}}},
			"numeric_detection": true, "date_detection": true},
		document: func(n int, rng *rand.Rand) map[string]any {
			return map[string]any{"user_id": "u" + strconv.Itoa(n%9), "stats": map[string]any{"a": n, "b": n * 2}, "free": sentence(n, rng), "number": strconv.Itoa(n), "when": "2024-05-01"}
		}},
	{name: "bodiless", why: "no _source: what only a graft can move", shards: 1, docs: 40,
		mapping:  map[string]any{"_source": map[string]any{"enabled": false}, "properties": simpleMapping["properties"]},
		document: simple},
	{name: "excluded", why: "a _source without some fields", shards: 1, docs: 40,
		mapping:  map[string]any{"_source": map[string]any{"excludes": []string{"text"}}, "properties": simpleMapping["properties"]},
		document: simple},
	{name: "counted", why: "documents that stand for several", shards: 1, docs: 40, options: true, since: 7,
		mapping: simpleMapping,
		document: func(n int, rng *rand.Rand) map[string]any {
			doc := simple(n, rng)
			doc["_doc_count"] = n%7 + 1
			return doc
		}},
	{name: "shut", why: "a closed index", shards: 1, docs: 30, since: 7, mapping: simpleMapping, document: simple},

	{name: "flat", why: "flattened", special: true, shards: 1, docs: 80, settings: unmerged, options: true, churn: true,
		mapping: map[string]any{"properties": map[string]any{"n": props("integer"), "flat": with("flattened", "ignore_above", 50, "depth_limit", 5)}},
		document: func(n int, rng *rand.Rand) map[string]any {
			return map[string]any{"n": n, "flat": map[string]any{"level": words[n%4], "n": n % 10, "deep": map[string]any{"host": "h" + strconv.Itoa(n%6)}, "list": []any{korean[n%3], "x"}}}
		}},
	{name: "runtime", why: "fields computed at query time", special: true, shards: 1, docs: 40, options: true,
		mapping: map[string]any{"dynamic": "runtime", "runtime": map[string]any{"late": props("keyword")}, "properties": map[string]any{"n": props("integer"), "kw": props("keyword")}},
		document: func(n int, _ *rand.Rand) map[string]any {
			return map[string]any{"n": n, "kw": words[n%5], "late": "l" + strconv.Itoa(n%4), "surprise": "s" + strconv.Itoa(n%3)}
		}},
	{name: "vectors", why: "dense_vector without an index", special: true, shards: 1, docs: 30, options: true,
		mapping: map[string]any{"properties": map[string]any{"n": props("integer"), "v": with("dense_vector", "dims", 4, "index", false)}},
		document: func(n int, rng *rand.Rand) map[string]any {
			return map[string]any{"n": n, "v": []float64{rng.Float64(), rng.Float64(), float64(n%3) + 0.5, 1}}
		}},
	{name: "knn", why: "dense_vector with a graph", special: true, shards: 1, docs: 30, options: true,
		mapping: map[string]any{"properties": map[string]any{"n": props("integer"), "v": with("dense_vector", "dims", 4, "index", true, "similarity", "l2_norm")}},
		document: func(n int, rng *rand.Rand) map[string]any {
			return map[string]any{"n": n, "v": []float64{rng.Float64(), rng.Float64(), float64(n%3) + 0.5, 1}}
		}},
	{name: "series", why: "parameters of time series in an ordinary index", special: true, shards: 1, docs: 40, options: true,
		mapping: map[string]any{"properties": map[string]any{"@timestamp": props("date"), "host": with("keyword", "time_series_dimension", true),
			"cpu": with("double", "time_series_metric", "gauge")}},
		document: series},
	{name: "tsdb", why: "index.mode time_series", special: true, shards: 1, docs: 40, options: true,
		settings: map[string]any{"index.mode": "time_series", "index.routing_path": []string{"host"},
			"index.time_series.start_time": "2024-01-01T00:00:00Z", "index.time_series.end_time": "2025-01-01T00:00:00Z"},
		mapping: map[string]any{"properties": map[string]any{"@timestamp": props("date"), "host": with("keyword", "time_series_dimension", true),
			"cpu": with("double", "time_series_metric", "gauge")}},
		document: series},
	{name: "synthetic", why: "a _source made up out of doc values", special: true, shards: 1, docs: 40, options: true,
		mapping:  map[string]any{"_source": map[string]any{"mode": "synthetic"}, "properties": map[string]any{"n": props("integer"), "kw": props("keyword"), "date": props("date")}},
		document: func(n int, rng *rand.Rand) map[string]any { d := simple(n, rng); delete(d, "text"); return d }},
	{name: "dotted", why: "names with dots and no objects", special: true, shards: 1, docs: 30, options: true,
		mapping: map[string]any{"subobjects": false, "properties": map[string]any{"time": props("long"), "time.max": props("long")}},
		document: func(n int, _ *rand.Rand) map[string]any {
			return map[string]any{"time": n, "time.max": n * 2}
		}},
	{name: "bloomed", why: "a bloom filter for _id, as indices of 8.5 to 8.11 have it unless told otherwise", special: true, since: 8, shards: 1, docs: 40, options: true,
		settings: map[string]any{bloom: true}, mapping: simpleMapping, document: simple},
}

// bloom is the setting, dynamic, of the bloom filter that Elasticsearch 8.5 and later write for `_id`.
const bloom = "index.bloom_filter_for_id_field.enabled"

func series(n int, rng *rand.Rand) map[string]any {
	return map[string]any{"@timestamp": fmt.Sprintf("2024-03-01T10:%02d:00Z", n), "host": "h" + strconv.Itoa(n%4), "cpu": float64(rng.IntN(1000)) / 10}
}

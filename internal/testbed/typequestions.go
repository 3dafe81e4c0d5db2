package testbed

// ofTypes are the questions for each field type: how it is searched, sorted and aggregated, and what is shown of it.
func ofTypes() []Question {
	exist := o{}
	for _, f := range typeFields {
		exist[f.name] = o{"exists": o{"field": f.name}}
	}
	q := []Question{
		count("exists", o{"filters": o{"filters": exist}}),
		// text
		find("match", o{"match": o{"text": "payment cart"}}),
		find("match, all terms", o{"match": o{"text": o{"query": "payment cart", "operator": "and"}}}),
		find("match_phrase", o{"match_phrase": o{"text": o{"query": "error timeout", "slop": 4}}}),
		find("match_phrase across values", o{"match_phrase": o{"prose": o{"query": "login payment", "slop": 6}}}),
		find("match_phrase_prefix", o{"match_phrase_prefix": o{"text": o{"query": "error t", "slop": 4}}}),
		find("match_bool_prefix", o{"match_bool_prefix": o{"text": "order ship"}}),
		find("multi_match", o{"multi_match": o{"query": "merge flush", "fields": []string{"text^2", "prose", "everything"}}}),
		find("cross_fields", o{"multi_match": o{"query": "merge flush", "type": "cross_fields", "fields": []string{"text", "docs_only"}}}),
		find("copied", o{"match": o{"everything": "shipping"}}),
		find("without norms", o{"match": o{"docs_only": "shipping index"}}),
		find("query_string", o{"query_string": o{"query": "text:(pay* AND -cart) OR kw:login OR n:[150 TO *]"}}),
		find("simple_query_string", o{"simple_query_string": o{"query": "payment +cart | \"order shard\"~5", "fields": []string{"text", "prose"}}}),
		find("fuzzy", o{"fuzzy": o{"text": o{"value": "paymetn", "fuzziness": 2}}}),
		find("fuzzy match", o{"match": o{"prose": o{"query": "shiping", "fuzziness": "AUTO"}}}),
		find("span_near", o{"span_near": o{"slop": 5, "in_order": false, "clauses": []any{o{"span_term": o{"prose": "login"}}, o{"span_term": o{"prose": "error"}}}}}),
		find("intervals", o{"intervals": o{"prose": o{"all_of": o{"max_gaps": 4, "intervals": []any{o{"match": o{"query": "order"}}, o{"match": o{"query": "cart"}}}}}}}),
		find("more_like_this", o{"more_like_this": o{"fields": []string{"prose"}, "like": "order cart order shipping payment", "min_term_freq": 1, "min_doc_freq": 1}}),
		find("indexed prefixes", o{"prefix": o{"prefixed": "ship"}}),
		find("indexed phrases", o{"match_phrase": o{"prefixed": "error timeout"}}),
		find("dis_max", o{"dis_max": o{"tie_breaker": 0.3, "queries": []any{o{"match": o{"text": "login"}}, o{"match": o{"prose": "login"}}}}}),
		find("boosting", o{"boosting": o{"positive": o{"match": o{"text": "login"}}, "negative": o{"term": o{"kw": "error"}}, "negative_boost": 0.2}}),
		find("search_as_you_type", o{"multi_match": o{"query": "order shi", "type": "bool_prefix", "fields": []string{"typed", "typed._2gram", "typed._3gram"}}}),
		find("token_count", o{"range": o{"tokens": o{"gte": 6, "lte": 8}}}),
		find("ignore_above", o{"exists": o{"field": "text.raw"}}),
		// keyword
		find("term", o{"term": o{"kw": "error"}}), find("term, unindexed doc values", o{"term": o{"kw_nodv": "error"}}),
		find("terms", o{"terms": o{"tags": []string{"login", "cart"}}}), find("normalizer", o{"term": o{"kw_normal": "ALPHA"}}),
		find("null_value", o{"term": o{"kw_null": "NULL"}}), find("prefix", o{"prefix": o{"kw_stored": "s1"}}),
		find("wildcard", o{"wildcard": o{"kw": "*p*n?"}}), find("regexp", o{"regexp": o{"kw": "[a-f].*"}}), find("keyword range", o{"range": o{"kw": o{"gte": "m"}}}),
		find("alias", o{"term": o{"kw_alias": "login"}}), find("object", o{"term": o{"object.a": words[3]}}), find("ids", o{"ids": o{"values": []string{"3", "7", "999"}}}),
		// numbers, dates, addresses, ranges, places
		find("byte", o{"range": o{"byte": o{"lt": -80}}}), find("short", o{"term": o{"short": 130}}), find("long", o{"range": o{"long": o{"gt": 1 << 40}}}),
		find("half_float", o{"range": o{"half": o{"gte": 2.25, "lt": 3}}}), find("float", o{"range": o{"float": o{"gt": 12.5}}}), find("double", o{"range": o{"double": o{"lt": -1e6}}}),
		find("scaled_float", o{"range": o{"scaled": o{"gte": 12.5, "lte": 30.01}}}), find("ignore_malformed", o{"exists": o{"field": "lenient"}}),
		find("date math", o{"range": o{"date": o{"gte": "2021-01-01||+1y/M", "time_zone": "+09:00"}}}), find("date before 1970", o{"range": o{"day": o{"lt": "1969-06-15"}}}),
		find("date_nanos", o{"range": o{"nanos": o{"gte": "2023-05-01T12:00:30.000000001Z"}}}),
		find("boolean", o{"term": o{"bool": true}}), find("address", o{"term": o{"ip": "2001:db8::1e"}}), find("network", o{"term": o{"ip": "10.1.0.0/16"}}),
		find("integer_range", o{"range": o{"int_range": o{"gte": 20, "lte": 40, "relation": "within"}}}), find("long_range", o{"term": o{"long_range": 300000000000}}),
		find("float_range", o{"range": o{"float_range": o{"gte": 10, "lte": 12, "relation": "contains"}}}), find("double_range", o{"range": o{"double_range": o{"gte": 10, "lte": 12}}}),
		find("date_range", o{"range": o{"date_range": o{"gte": "2020-01-20", "lte": "2020-01-21", "relation": "intersects"}}}), find("ip_range", o{"term": o{"ip_range": "10.3.0.1"}}),
		find("geo_distance", o{"geo_distance": o{"distance": "2000km", "point": o{"lat": 10, "lon": 20}}}),
		find("geo_bounding_box", o{"geo_bounding_box": o{"point": o{"top_left": o{"lat": 50, "lon": -100}, "bottom_right": o{"lat": -10.5, "lon": 60}}}}),
		// scores
		find("function_score", o{"function_score": o{"query": o{"match": o{"text": "order"}}, "field_value_factor": o{"field": "float", "modifier": "log1p", "missing": 1}}}),
		find("decay", o{"function_score": o{"query": o{"match_all": o{}}, "gauss": o{"n": o{"origin": 50, "scale": 20}}}}),
		find("distance_feature", o{"distance_feature": o{"field": "date", "pivot": "90d", "origin": "2021-01-01"}}),
		find("rank_feature", o{"rank_feature": o{"field": "rank", "saturation": o{"pivot": 8}}}), find("rank_features", o{"rank_feature": o{"field": "ranks.a", "log": o{"scaling_factor": 2}}}),
		find("constant_score", o{"constant_score": o{"filter": o{"term": o{"kw": "login"}}, "boost": 2.5}}),
		ask("rescore", o{"size": 50, "_source": false, "query": o{"match": o{"text": "order"}}, "rescore": o{"window_size": 50, "query": o{"rescore_query": o{"match_phrase": o{"text": o{"query": "order cart", "slop": 3}}}}}}),
		// suggestions and highlights
		ask("completion", o{"_source": false, "suggest": o{"s": o{"prefix": "ship", "completion": o{"field": "suggest", "size": 20}}}}),
		ask("completion, fuzzy", o{"_source": false, "suggest": o{"s": o{"prefix": "shup", "completion": o{"field": "suggest", "size": 20, "fuzzy": o{}}}}}),
		ask("completion in a context", o{"_source": false, "suggest": o{"s": o{"prefix": "c", "completion": o{"field": "suggest_in", "size": 20, "contexts": o{"where": "here"}}}}}),
		ask("term suggest", o{"size": 0, "suggest": o{"s": o{"text": "paymnet ordr", "term": o{"field": "text"}}}}),
		ask("phrase suggest", o{"size": 0, "suggest": o{"s": o{"text": "paymnet ordr", "phrase": o{"field": "text", "max_errors": 2}}}}),
		highlight("unified", "text"), highlight("fvh", "text"), highlight("plain", "text"), highlight("unified", "prose"),
		// sorts
		order("sort keyword", o{"kw": "desc"}), order("sort missing first", o{"kw_short": o{"order": "asc", "missing": "_first"}}), order("sort by the least tag", o{"tags": o{"order": "asc", "mode": "min"}}),
		order("sort byte", o{"byte": "asc"}), order("sort long", o{"long": "desc"}), order("sort half_float", o{"half": "desc"}), order("sort double", o{"double": "asc"}),
		order("sort scaled_float", o{"scaled": "desc"}), order("sort date", o{"date": "desc"}), order("sort day", o{"day": "asc"}), order("sort date_nanos", o{"nanos": "desc"}),
		order("sort boolean", o{"bool": "asc"}), order("sort address", o{"ip": "asc"}), order("sort by fielddata", o{"docs_only": "asc"}),
		order("sort distance", o{"_geo_distance": o{"point": o{"lat": 0, "lon": 0}, "order": "asc", "unit": "km"}}),
		ask("search_after", o{"size": 20, "_source": false, "sort": []any{o{"kw": "asc"}, o{"n": "asc"}}, "search_after": []any{"index", 40}}),
		ask("collapse", o{"size": 50, "_source": false, "query": o{"range": o{"n": o{"gte": 20}}}, "sort": []any{o{"n": "asc"}}, "collapse": o{"field": "kw"}}),
		// aggregations
		count("terms aggregation", terms("kw")), count("terms of many", terms("tags")), count("terms by a sub-aggregation", o{"terms": o{"field": "kw", "order": o{"m": "desc"}}, "aggs": o{"m": o{"max": o{"field": "double"}}}}),
		count("terms of an alias", terms("kw_alias")), count("terms of unindexed", terms("kw_dvonly")), count("terms of numbers", terms("byte")), count("terms of booleans", terms("bool")), count("terms of addresses", terms("ip")),
		count("terms of fielddata", terms("docs_only")), count("rare_terms", o{"rare_terms": o{"field": "tags", "max_doc_count": 100}}),
		ask("significant_terms", o{"size": 0, "query": o{"match": o{"text": "login"}}, "aggs": o{"a": o{"significant_terms": o{"field": "kw", "min_doc_count": 1}}}}),
		ask("significant_text", o{"size": 0, "query": o{"match": o{"text": "login"}}, "aggs": o{"a": o{"significant_text": o{"field": "text", "min_doc_count": 2}}}}),
		count("histogram", o{"histogram": o{"field": "double", "interval": 500000}}), count("histogram of ranges", o{"histogram": o{"field": "int_range", "interval": 25}}),
		count("date_histogram", o{"date_histogram": o{"field": "date", "calendar_interval": "month", "time_zone": "Asia/Seoul"}}), count("date_histogram, interval", o{"date_histogram": o{"field": "date", "interval": "quarter"}}),
		count("date_histogram of nanos", o{"date_histogram": o{"field": "nanos", "fixed_interval": "10s"}}), count("auto_date_histogram", o{"auto_date_histogram": o{"field": "date", "buckets": 8}}),
		count("range aggregation", o{"range": o{"field": "half", "ranges": []any{o{"to": 3}, o{"from": 3, "to": 9}, o{"from": 9}}}}),
		count("ip_range aggregation", o{"ip_range": o{"field": "ip", "ranges": []any{o{"mask": "10.1.0.0/16"}, o{"from": "2001:db8::"}}}}),
		count("composite", o{"composite": o{"size": 100, "sources": []any{o{"k": o{"terms": o{"field": "kw"}}}, o{"d": o{"date_histogram": o{"field": "date", "calendar_interval": "year"}}}}}}),
		count("adjacency_matrix", o{"adjacency_matrix": o{"filters": o{"a": o{"term": o{"kw": "login"}}, "b": o{"range": o{"n": o{"lt": 50}}}}}}),
		count("global and top hits", o{"terms": o{"field": "kw", "size": 5}, "aggs": o{"t": o{"top_hits": o{"size": 2, "sort": []any{o{"n": "desc"}}, "_source": []string{"n", "object"}}}}}),
		count("cardinality", o{"cardinality": o{"field": "kw_stored"}}), count("extended_stats", o{"extended_stats": o{"field": "float"}}), count("value_count", o{"value_count": o{"field": "longs"}}),
		count("percentiles", o{"percentiles": o{"field": "double"}}), count("percentile_ranks", o{"percentile_ranks": o{"field": "n", "values": []int{20, 80}}}),
		count("median_absolute_deviation", o{"median_absolute_deviation": o{"field": "float"}}), count("hdr percentiles", o{"percentiles": o{"field": "n", "hdr": o{"number_of_significant_value_digits": 3}}}),
		count("weighted_avg", o{"weighted_avg": o{"value": o{"field": "float"}, "weight": o{"field": "half"}}}),
		count("geo_bounds", o{"geo_bounds": o{"field": "point"}}), count("geo_centroid", o{"geo_centroid": o{"field": "point"}}),
		count("geohash_grid", o{"geohash_grid": o{"field": "point", "precision": 2}}), count("geotile_grid", o{"geotile_grid": o{"field": "point", "precision": 3}}),
		// what is shown
		ask("stored_fields", o{"size": 30, "sort": []any{o{"n": "asc"}}, "stored_fields": []string{"prose", "kw_stored", "long", "tokens"}}),
		ask("stored binary", o{"size": 10, "sort": []any{o{"n": "asc"}}, "stored_fields": []string{"blob_stored"}}),
		shown("keyword docvalues", "kw", "tags", "kw_short", "kw_null", "kw_normal", "kw_alias"), shown("number docvalues", "byte", "long", "longs", "half", "float", "double", "scaled", "lenient", "tokens"),
		shown("date docvalues", "date", "day"), shown("date_nanos docvalues", "nanos"), shown("other docvalues", "bool", "ip", "point"), shown("binary docvalues", "blob"),
		ask("fields", o{"size": 20, "sort": []any{o{"n": "asc"}}, "_source": false, "fields": []string{"kw*", "date", "object.*", "point", "int_range"}}),
		ask("explained values", o{"size": 20, "sort": []any{o{"n": "asc"}}, "_source": []string{"object", "opaque", "ranks"}}),
		{Name: "term vectors", API: "_termvectors/11", Body: o{"fields": []string{"text"}, "term_statistics": true}},
	}
	return q
}

func highlight(kind, field string) Question {
	return ask("highlight "+kind+" "+field, o{"size": 20, "_source": false, "sort": []any{o{"n": "asc"}}, "query": o{"match": o{field: "payment login"}},
		"highlight": o{"fields": o{field: o{"type": kind, "fragment_size": 40, "number_of_fragments": 2}}}})
}

func shown(name string, fields ...string) Question {
	return ask(name, o{"size": 30, "_source": false, "sort": []any{o{"n": "asc"}}, "docvalue_fields": fields})
}

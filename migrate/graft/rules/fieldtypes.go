package rules

import "strings"

// A fieldType is what a target's mapper of that name takes.
type fieldType struct {
	from   Target // the first version that has it, of those that were asked
	params map[string]bool
}

// Every mapper of a field takes these; the older ones ignore those that mean nothing to them.
const common = "type index doc_values store index_options similarity fields copy_to meta boost "

const (
	numeric = common + "null_value coerce ignore_malformed"
	dated   = common + "null_value ignore_malformed format locale"
	ranged  = common + "coerce locale"
	analyse = common + "analyzer search_analyzer search_quote_analyzer norms term_vector "
	full    = analyse + "eager_global_ordinals position_increment_gap fielddata fielddata_frequency_filter "
	objects = "type dynamic enabled properties include_in_parent include_in_root include_in_all"
)

func takes(from Target, params string) fieldType {
	t := fieldType{from, make(map[string]bool)}
	for p := range strings.FieldsSeq(params) {
		t.params[p] = true
	}
	return t
}

var always = Target{1, 0}

// fieldTypes are the types that OpenSearch has and Elasticsearch may have written fields of, with the parameters that each
// takes. Source: mappings put to OpenSearch 1.3.14, 2.0.0, 2.4.1, 2.9.0, 2.19.5, 3.0.0 and 3.8.0, a type and a parameter at a
// time; the releases in between from the documentation of the types. TestServersTakeWhatTheTablesSay asks again.
var fieldTypes = map[string]fieldType{
	"keyword": takes(always, common+"null_value ignore_above normalizer norms eager_global_ordinals split_queries_on_whitespace"),
	"text":    takes(always, full+"index_prefixes index_phrases"),
	"long":    takes(always, numeric), "integer": takes(always, numeric), "short": takes(always, numeric), "byte": takes(always, numeric),
	"double": takes(always, numeric), "float": takes(always, numeric), "half_float": takes(always, numeric),
	"scaled_float":  takes(always, numeric+" scaling_factor"),
	"boolean":       takes(always, common+"null_value"),
	"date":          takes(always, dated),
	"date_nanos":    takes(always, dated),
	"ip":            takes(always, common+"null_value ignore_malformed"),
	"binary":        takes(always, common),
	"integer_range": takes(always, ranged), "long_range": takes(always, ranged), "float_range": takes(always, ranged),
	"double_range": takes(always, ranged), "ip_range": takes(always, ranged), "date_range": takes(always, ranged+" format"),
	"object":             takes(always, objects),
	"nested":             takes(always, objects),
	"geo_point":          takes(always, common+"null_value ignore_malformed ignore_z_value"),
	"geo_shape":          takes(always, common+"coerce ignore_malformed ignore_z_value orientation"),
	"completion":         takes(always, common+"analyzer search_analyzer preserve_separators preserve_position_increments max_input_length contexts"),
	"search_as_you_type": takes(always, analyse+"max_shingle_size"),
	"token_count":        takes(always, common+"null_value analyzer enable_position_increments"),
	"rank_feature":       takes(always, common+"positive_score_impact"),
	"rank_features":      takes(always, common),
	"alias":              takes(always, "type path"),
	"join":               takes(always, "type eager_global_ordinals relations"),

	"flat_object":      takes(Target{2, 7}, "type"),
	"unsigned_long":    takes(Target{2, 8}, numeric),
	"match_only_text":  takes(Target{2, 12}, full),
	"constant_keyword": takes(Target{2, 14}, "type value"),
	"wildcard":         takes(Target{2, 15}, common+"null_value ignore_above normalizer"),
}

// pluginTypes are the types of plugins that come with OpenSearch's release, whose fields are made as Elasticsearch's plugin of
// the same name makes them: the code has not changed since they parted.
var pluginTypes = map[string]struct {
	plugin string
	fieldType
}{
	"murmur3":        {"mapper-murmur3", takes(always, common)},
	"annotated_text": {"mapper-annotated-text", takes(always, full)},
}

// paramFrom are the parameters that came later than their type.
var paramFrom = map[string]Target{
	"integer_range.ignore_malformed":      {2, 0},
	"long_range.ignore_malformed":         {2, 0},
	"float_range.ignore_malformed":        {2, 0},
	"double_range.ignore_malformed":       {2, 0},
	"ip_range.ignore_malformed":           {2, 0},
	"date_range.ignore_malformed":         {2, 0},
	"rank_features.positive_score_impact": {2, 4},
	"object.disable_objects":              {3, 8},
	"nested.disable_objects":              {3, 8},
	"keyword.use_similarity":              {3, 0},
	"long.skip_list":                      {3, 8}, "integer.skip_list": {3, 8}, "short.skip_list": {3, 8}, "byte.skip_list": {3, 8},
	"double.skip_list": {3, 8}, "float.skip_list": {3, 8}, "half_float.skip_list": {3, 8}, "scaled_float.skip_list": {3, 8},
	"unsigned_long.skip_list": {3, 8}, "date.skip_list": {3, 8}, "date_nanos.skip_list": {3, 8}, "token_count.skip_list": {3, 8},
}

// has reports whether the target has a type, itself or by a plugin.
func (t Target) has(name string) bool {
	ft, ok := fieldTypes[name]
	if p, plugin := pluginTypes[name]; plugin {
		ft, ok = p.fieldType, true
	}
	return ok && t.since(ft.from.Major, ft.from.Minor)
}

// takes reports whether the target's mapper of a type takes a parameter.
func (t Target) takes(typ, param string) bool {
	if from, later := paramFrom[typ+"."+param]; later {
		return t.since(from.Major, from.Minor)
	}
	if p, ok := pluginTypes[typ]; ok {
		return p.params[param]
	}
	return fieldTypes[typ].params[param]
}

// dropped are parameters of Elasticsearch's that a field can do without, and what is lost. What an index holds does not
// change; where later documents are indexed otherwise, it says so.
var droppedParams = map[string]string{
	"script":                      "the field was computed from the document when it was indexed; what was computed stays, later documents do not have it, and a document that is updated loses it",
	"on_script_error":             "it belongs to the script, which OpenSearch does not know",
	"time_series_dimension":       "it marks dimensions of a time series and does not change how the field is indexed",
	"time_series_dimensions":      "it marks dimensions of a time series and does not change how the field is indexed",
	"time_series_metric":          "it marks metrics of a time series and does not change how the field is indexed",
	"synthetic_source_keep":       "it matters to documents without a stored _source only",
	"ignore_malformed":            "OpenSearch does not know it for this type: later documents with a malformed value are rejected, which Elasticsearch took",
	"ignore_above":                "OpenSearch does not know it for this type: later documents have longer values indexed too",
	"coerce":                      "OpenSearch does not know it for this type: later documents must have values of the right type",
	"null_value":                  "OpenSearch does not know it for this type: later documents with null have no value",
	"split_queries_on_whitespace": "OpenSearch does not know it for this type: it changes how queries are split, not what is indexed",
	"eager_global_ordinals":       "OpenSearch does not know it for this type: it is about when ordinals are loaded",
	"boost":                       "OpenSearch does not know it for this type: boosts in mappings are deprecated, queries have them",
	"meta":                        "OpenSearch does not keep notes on fields of this type",
	"index":                       "OpenSearch does not know it for this type, and it does not change what was indexed",
	"doc_values":                  "OpenSearch does not know it for this type, and it does not change what was indexed",
	"depth_limit":                 "OpenSearch does not limit the depth of this type",
}

// unsearchable are types whose values OpenSearch keeps in documents only: no type of its own, with or without reindexing,
// takes their place.
var unsearchable = map[string]string{
	"dense_vector":            "vectors of OpenSearch are a plugin's, with other formats",
	"rank_vectors":            "OpenSearch has no such vectors",
	"sparse_vector":           "OpenSearch has no such type",
	"histogram":               "OpenSearch has no such type",
	"aggregate_metric_double": "OpenSearch has no such type",
	"exponential_histogram":   "OpenSearch has no such type",
	"semantic_text":           "the models that made its vectors are Elasticsearch's",
	"point":                   "OpenSearch has cartesian points as a plugin's xy_point, which are indexed otherwise",
	"shape":                   "OpenSearch has cartesian shapes as a plugin's xy_shape, which are indexed otherwise",
}

package osfake

import (
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Field types and parameters that both distributions know.
var (
	commonTypes = []string{
		"alias", "binary", "boolean", "byte", "completion", "constant_keyword", "date", "date_nanos", "date_range", "double", "double_range", "float",
		"float_range", "geo_point", "geo_shape", "half_float", "integer", "integer_range", "ip", "ip_range", "join", "keyword", "long", "long_range",
		"nested", "object", "percolator", "rank_feature", "rank_features", "scaled_float", "search_as_you_type", "short", "text", "token_count",
		"unsigned_long", "wildcard", "match_only_text",
	}
	openSearchTypes    = []string{"flat_object", "knn_vector", "derived", "semver", "star_tree"}
	elasticsearchTypes = []string{
		"flattened", "dense_vector", "sparse_vector", "histogram", "version", "point", "shape", "aggregate_metric_double", "annotated_text", "semantic_text",
	}
	commonParameters = []string{
		"type", "fields", "properties", "dynamic", "enabled", "index", "store", "doc_values", "meta", "boost", "null_value", "ignore_above", "ignore_malformed",
		"coerce", "copy_to", "similarity", "analyzer", "search_analyzer", "search_quote_analyzer", "normalizer", "norms", "index_options", "index_prefixes",
		"index_phrases", "fielddata", "fielddata_frequency_filter", "eager_global_ordinals", "term_vector", "position_increment_gap", "format", "locale",
		"scaling_factor", "path", "relations", "include_in_parent", "include_in_root", "split_queries_on_whitespace", "ignore_z_value", "orientation",
		"strategy", "tree", "precision", "tree_levels", "distance_error_pct", "points_only", "value", "positive_score_impact", "max_shingle_size",
		"enable_position_increments", "preserve_separators", "preserve_position_increments", "max_input_length", "contexts", "dims", "depth_limit",
	}
	openSearchParameters    = []string{"dimension", "method", "model_id", "skip_list", "derived"}
	elasticsearchParameters = []string{"script", "on_script_error", "time_series_dimension", "time_series_metric", "subobjects", "index_options", "metrics", "default_metric", "element_type"}
	rootParameters          = []string{"properties", "dynamic", "_source", "_routing", "_meta", "dynamic_templates", "date_detection", "numeric_detection", "dynamic_date_formats", "_field_names", "_data_stream_timestamp", "_size", "_index"}
)

// checkMappings says what the server refuses of mappings.
func (s *Server) checkMappings(m object) *apiError {
	if len(m) == 1 && m[0].name == "_doc" {
		if s.version.es(7) {
			return illegal("The mapping definition cannot be nested under a type [_doc] unless include_type_name is set to true.")
		}
		return illegal("The mapping definition cannot be nested under a type")
	}
	var unknown []string
	for _, f := range m {
		known := slices.Contains(rootParameters, f.name) || !s.version.OpenSearch && (f.name == "runtime" || f.name == "subobjects" || f.name == "enabled" || f.name == "_tier") ||
			s.version.OpenSearch && f.name == "derived"
		if !known || slices.Contains(s.o.RefusedParameters, f.name) {
			unknown = append(unknown, fmt.Sprintf("[%s : %s]", f.name, javaText(f.value)))
		}
	}
	if len(unknown) > 0 {
		return s.badMapping("Root mapping definition has unsupported parameters:  " + strings.Join(unknown, " "))
	}
	props, ok := m.get("properties").(object)
	if m.has("properties") && !ok {
		return s.badMapping("Expected map for property [properties] on field [_doc] but got a class java.lang.String")
	}
	return s.checkProperties(props)
}

func (s *Server) checkProperties(props object) *apiError {
	for _, f := range props {
		def, ok := f.value.(object)
		if !ok {
			return s.badMapping(fmt.Sprintf("Expected map for property [fields] on field [%s] but got a class java.lang.String", f.name))
		}
		typ := typeOf(def)
		if typ == "" && !def.has("properties") {
			return s.badMapping(fmt.Sprintf("No type specified for field [%s]", f.name))
		}
		if typ != "" && !s.knowsType(typ) {
			return s.badMapping(fmt.Sprintf("No handler for type [%s] declared on field [%s]", typ, f.name))
		}
		var unknown []field
		for _, p := range def {
			if !s.knowsParameter(p.name) {
				unknown = append(unknown, p)
			}
		}
		if len(unknown) > 0 {
			if typ == "" || typ == "object" || typ == "nested" {
				return s.badMapping(fmt.Sprintf("Mapping definition for [%s] has unsupported parameters:  [%s : %s]", f.name, unknown[0].name, javaText(unknown[0].value)))
			}
			return s.badMapping(fmt.Sprintf("unknown parameter [%s] on mapper [%s] of type [%s]", unknown[0].name, f.name, typ))
		}
		for _, below := range []string{"properties", "fields"} {
			sub, _ := def.get(below).(object)
			if err := s.checkProperties(sub); err != nil {
				return err
			}
		}
	}
	return nil
}

func typeOf(def object) string {
	t, _ := def.get("type").(string)
	return t
}

func (s *Server) knowsType(t string) bool {
	if slices.Contains(s.o.RefusedTypes, t) {
		return false
	}
	own := elasticsearchTypes
	if s.version.OpenSearch {
		own = openSearchTypes
	}
	return slices.Contains(commonTypes, t) || slices.Contains(own, t)
}

func (s *Server) knowsParameter(p string) bool {
	if slices.Contains(s.o.RefusedParameters, p) {
		return false
	}
	own := elasticsearchParameters
	if s.version.OpenSearch {
		own = openSearchParameters
	}
	return slices.Contains(commonParameters, p) || slices.Contains(own, p)
}

func (s *Server) badMapping(reason string) *apiError {
	root := &apiError{typ: "mapper_parsing_exception", reason: reason}
	text := "Failed to parse mapping [_doc]: " + reason
	if s.version.es(8) {
		text = "Failed to parse mapping: " + reason
	}
	return &apiError{status: http.StatusBadRequest, typ: "mapper_parsing_exception", reason: text, root: root, causedBy: root}
}

// javaText is a value as Java prints it.
func javaText(v any) string {
	switch v := v.(type) {
	case object:
		var parts []string
		for _, f := range v {
			parts = append(parts, f.name+"="+javaText(f.value))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		var parts []string
		for _, e := range v {
			parts = append(parts, javaText(e))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case string:
		return v
	}
	return string(appendJSON(nil, v))
}

// merge puts what is new in mappings beside what is there.
func merge(old, add object) (object, *apiError) {
	out := slices.Clone(old)
	for _, f := range add {
		if f.name != "properties" {
			out = out.with(f.name, f.value)
			continue
		}
		have, _ := out.get("properties").(object)
		more, _ := f.value.(object)
		props, err := mergeProperties(have, more, "")
		if err != nil {
			return nil, err
		}
		out = out.with("properties", props)
	}
	return out, nil
}

func mergeProperties(old, add object, path string) (object, *apiError) {
	out := slices.Clone(old)
	for _, f := range add {
		def, _ := f.value.(object)
		have, ok := out.get(f.name).(object)
		if !ok {
			out = out.with(f.name, def)
			continue
		}
		was, is := typeOf(have), typeOf(def)
		isObject := func(t string, d object) bool { return t == "object" || t == "" && d.has("properties") }
		switch {
		case isObject(was, have) && isObject(is, def), was == "nested" && is == "nested":
			a, _ := have.get("properties").(object)
			b, _ := def.get("properties").(object)
			props, err := mergeProperties(a, b, path+f.name+".")
			if err != nil {
				return nil, err
			}
			have = have.with("properties", props)
		case was != is:
			if is == "" {
				is = "object"
			}
			return nil, illegal("mapper [%s%s] cannot be changed from type [%s] to [%s]", path, f.name, was, is)
		default:
			have = def
		}
		out = out.with(f.name, have)
	}
	return out, nil
}

// A fitting is one document's way into an index's mappings.
type fitting struct {
	s  *Server
	ix *index
	id string
}

// fit says why a document is refused by the mappings, and extends them by what is new in it.
func (s *Server) fit(ix *index, id string, tree object) *apiError {
	f := fitting{s: s, ix: ix, id: id}
	props, _ := ix.mappings.get("properties").(object)
	added, err := f.object(tree, props, dynamicOf(ix.mappings, "true"), "")
	if err != nil || len(added) == 0 {
		return err
	}
	merged, err := merge(ix.mappings, object{{"properties", added}})
	if err != nil {
		return err
	}
	limit, err := positive(ix.settings, "index.mapping.total_fields.limit", 1000, 0)
	if err != nil {
		return err
	}
	all, _ := merged.get("properties").(object)
	if countFields(all) <= limit {
		ix.mappings = merged
		return nil
	}
	if s.version.OpenSearch {
		return illegal("Limit of total fields [%d] has been exceeded", limit)
	}
	why := illegal("Limit of total fields [%d] has been exceeded while adding new fields [%d]", limit, limit-countFields(props)+1)
	if s.version.es(8) {
		return f.failed("failed to parse: "+why.reason, why)
	}
	return f.failed("failed to parse", why)
}

func countFields(props object) int {
	n := 0
	for _, f := range props {
		def, _ := f.value.(object)
		n++
		for _, below := range []string{"properties", "fields"} {
			sub, _ := def.get(below).(object)
			n += countFields(sub)
		}
	}
	return n
}

func dynamicOf(def object, otherwise string) string {
	switch d := def.get("dynamic").(type) {
	case bool:
		return strconv.FormatBool(d)
	case string:
		return d
	}
	return otherwise
}

func (f *fitting) failed(reason string, cause *apiError) *apiError {
	typ := "mapper_parsing_exception"
	if f.s.version.es(8) {
		typ = "document_parsing_exception"
		reason = "[1:1] " + reason
	}
	return &apiError{status: http.StatusBadRequest, typ: typ, reason: reason, causedBy: cause}
}

// object fits the fields of an object, and gives the properties that are new.
func (f *fitting) object(o, props object, dynamic, path string) (added object, err *apiError) {
	for _, e := range o {
		def, known := props.get(e.name).(object)
		at := path + e.name
		if !known {
			if strings.Contains(e.name, ".") || e.value == nil {
				continue // dots are not resolved here
			}
			if dynamic == "strict" || dynamic == "strict_allow_templates" {
				within := "_doc"
				if path != "" {
					within = strings.TrimSuffix(path, ".")
				}
				reason := fmt.Sprintf("mapping set to strict, dynamic introduction of [%s] within [%s] is not allowed", e.name, within)
				if f.s.version.es(8) {
					reason = "[1:1] " + reason
				}
				return nil, &apiError{status: http.StatusBadRequest, typ: "strict_dynamic_mapping_exception", reason: reason}
			}
			if dynamic != "true" {
				continue
			}
			if def = f.detect(e.value); def == nil {
				continue
			}
		}
		values, isList := e.value.([]any)
		if !isList {
			values = []any{e.value}
		}
		for _, v := range values {
			sub, err := f.value(v, def, dynamic, at)
			if err != nil {
				return nil, err
			}
			if len(sub) > 0 {
				have, _ := def.get("properties").(object)
				if sub, err = mergeProperties(have, sub, at+"."); err != nil {
					return nil, err
				}
				def = def.with("properties", sub)
				known = false
			}
		}
		if !known {
			added = append(added, field{e.name, def})
		}
	}
	return added, nil
}

func (f *fitting) value(v any, def object, dynamic, path string) (added object, err *apiError) {
	typ := typeOf(def)
	if def.get("enabled") == false || v == nil {
		return nil, nil
	}
	below, isObject := v.(object)
	if typ == "" || typ == "object" || typ == "nested" {
		if !isObject {
			if _, ok := v.([]any); ok {
				return nil, nil
			}
			return nil, f.failed(fmt.Sprintf("object mapping for [%s] tried to parse field [%s] as object, but found a concrete value", path, path[strings.LastIndexByte(path, '.')+1:]), nil)
		}
		props, _ := def.get("properties").(object)
		return f.object(below, props, dynamicOf(def, dynamic), path+".")
	}
	if def.get("ignore_malformed") == true || f.ix.setting("index.mapping.ignore_malformed") == "true" {
		return nil, nil
	}
	if why := f.s.refuses(typ, v, def); why != nil {
		if why.typ == "" {
			return nil, illegal("%s", fmt.Sprintf(why.reason, path))
		}
		return nil, f.failed(fmt.Sprintf("failed to parse field [%s] of type [%s] in document with id '%s'. Preview of field's value: '%s'", path, typ, f.id, javaText(v)), why)
	}
	return nil, nil
}

// detect is what a field becomes that the mappings do not have.
func (f *fitting) detect(v any) object {
	switch v := v.(type) {
	case bool:
		return object{{"type", "boolean"}}
	case number:
		if strings.ContainsAny(string(v), ".eE") {
			return object{{"type", "float"}}
		}
		return object{{"type", "long"}}
	case string:
		if f.ix.mappings.get("date_detection") != false && dateLike.MatchString(v) {
			return object{{"type", "date"}}
		}
		return object{{"type", "text"}, {"fields", object{{"keyword", object{{"type", "keyword"}, {"ignore_above", 256}}}}}}
	case object:
		return object{{"properties", object{}}}
	case []any:
		for _, e := range v {
			if d := f.detect(e); d != nil {
				return d
			}
		}
	}
	return nil
}

var dateLike = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}([.,]\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$|^\d{4}/\d{2}/\d{2}( \d{2}:\d{2}:\d{2})?( Z)?$`)

// maxTerm is the longest term that Lucene takes, in bytes.
const maxTerm = 32766

// refuses says why a field of that type does not take a value; nil if it does. With an empty type it is a reason for
// the document as a whole, with %s for the field's path.
func (s *Server) refuses(typ string, v any, def object) *apiError {
	_, isObject := v.(object)
	notNumeric := &apiError{typ: "json_parse_exception", reason: "Current token (START_OBJECT) not numeric, can not use numeric value accessors"}
	if s.version.openSearch3() {
		inner := *notNumeric
		inner.typ = "input_coercion_exception"
		notNumeric = &apiError{typ: inner.typ, reason: inner.reason, causedBy: &inner}
	}
	if s.version.es(8) {
		notNumeric = &apiError{typ: "illegal_argument_exception", reason: "Cannot parse object as number"}
	}
	text := ""
	switch v := v.(type) {
	case string:
		text = v
	case number:
		text = string(v)
	case bool:
		text = strconv.FormatBool(v)
	}
	badNumber := &apiError{typ: "number_format_exception", reason: fmt.Sprintf("For input string: %q", text)}
	if typ == "long" {
		badNumber.typ = "illegal_argument_exception"
	}
	switch typ {
	case "long", "integer", "short", "byte":
		if isObject {
			return notNumeric
		}
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return badNumber
		}
		bits := map[string]int{"long": 63, "integer": 31, "short": 15, "byte": 7}[typ]
		most := float64(uint64(1) << bits)
		if _, isNumber := v.(number); isNumber && bits >= 31 && (n >= most || n < -most) {
			kind := map[string]string{"long": "long", "integer": "int"}[typ]
			why := &apiError{typ: "input_coercion_exception", reason: fmt.Sprintf("Numeric value (%s) out of range of %s (%d - %d)", text, kind, int64(-1)<<bits, int64(1)<<bits-1)}
			if s.version.es(8) {
				return &apiError{typ: "x_content_parse_exception", reason: why.reason, causedBy: why}
			}
			if s.version.openSearch3() {
				return &apiError{typ: why.typ, reason: why.reason, causedBy: why}
			}
			return why
		}
		if n >= most || n < -most {
			return &apiError{typ: "illegal_argument_exception", reason: fmt.Sprintf("Value [%s] is out of range for a %s", text, typ)}
		}
	case "double", "float", "half_float", "scaled_float":
		if isObject {
			return notNumeric
		}
		if _, err := strconv.ParseFloat(text, 64); err != nil {
			return badNumber
		}
	case "boolean":
		if isObject || text != "true" && text != "false" && text != "" {
			return &apiError{typ: "illegal_argument_exception", reason: fmt.Sprintf("Failed to parse value [%s] as only [true] or [false] are allowed.", text)}
		}
	case "date":
		if format, ok := def.get("format").(string); ok && format != "strict_date_optional_time||epoch_millis" {
			return nil // formats of one's own are not looked at
		}
		_, err := strconv.ParseInt(text, 10, 64)
		if isObject || err != nil && !dateLike.MatchString(text) {
			return &apiError{
				typ: "illegal_argument_exception", reason: "failed to parse date field [" + javaText(v) + "] with format [strict_date_optional_time||epoch_millis]",
				causedBy: &apiError{typ: "date_time_parse_exception", reason: "Failed to parse with all enclosed parsers"},
			}
		}
	case "ip":
		if _, err := netip.ParseAddr(text); err != nil {
			return &apiError{typ: "illegal_argument_exception", reason: "'" + text + "' is not an IP string literal."}
		}
	case "keyword", "text":
		if isObject {
			return &apiError{typ: "illegal_state_exception", reason: "Can't get text on a START_OBJECT at 1:1"}
		}
		kept := def.get("index") != false || def.get("doc_values") != false
		if typ == "keyword" && kept && !def.has("ignore_above") && len(text) > maxTerm {
			return &apiError{reason: "Document contains at least one immense term in field=\"%s\" (whose UTF8 encoding is longer than the max length 32766), all of which were skipped. Please correct the analyzer to not produce such tokens."}
		}
	}
	return nil
}

// values gives what a document has at a path, for queries and sorting.
func values(tree object, path string) []any {
	if v, ok := tree.get(path).([]any); ok {
		return v
	}
	if tree.has(path) {
		return []any{tree.get(path)}
	}
	name, rest, ok := strings.Cut(path, ".")
	if !ok {
		return nil
	}
	switch v := tree.get(name).(type) {
	case object:
		return values(v, rest)
	case []any:
		var all []any
		for _, e := range v {
			if o, ok := e.(object); ok {
				all = append(all, values(o, rest)...)
			}
		}
		return all
	}
	return nil
}

// fieldType finds the type of the field at a path; "" if the mappings do not have it.
func fieldType(mappings object, path string) string {
	props, _ := mappings.get("properties").(object)
	for {
		if def, ok := props.get(path).(object); ok {
			return typeOf(def)
		}
		name, rest, ok := strings.Cut(path, ".")
		def, isObject := props.get(name).(object)
		if !ok || !isObject {
			return ""
		}
		below, ok := def.get("properties").(object)
		if !ok {
			below, _ = def.get("fields").(object)
		}
		props, path = below, rest
	}
}

// millis is a date as the servers compare it.
func millis(text string) (int64, bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && len(text) > 4 {
		return n, true
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02", "2006-01", "2006"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UnixMilli(), true
		}
	}
	return 0, false
}

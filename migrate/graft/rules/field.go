package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/narudata/naru/format/tree"
)

// longestTerm is how many characters a term surely holds: Lucene takes 32766 bytes, four for a character at most.
const longestTerm = 8191

// graftedFrom marks, in the notes on a field ("meta"), the subfields that shadow makes: what is under their names is OpenSearch's.
const graftedFrom = "grafted_from"

// notEnabled is the mapping of values that stay in documents only. It makes no Lucene field.
func notEnabled() tree.Object {
	return tree.Object{{Name: "type", Value: "object"}, {Name: "enabled", Value: false}}
}

// field rewrites the mapping of a field; nil: it is no more. The name changes for subfields (inside of "fields") only.
func (m *mapper) field(name string, o tree.Object, path string, sub bool) (string, tree.Object) {
	full := path + name
	where := m.where("field " + full)
	typ := o.Text("type")
	if typ == "" {
		typ = "object"
	}
	switch typ {
	case "object", "nested":
		if typ == "nested" && m.c.nestedByType && m.t.Major >= 3 && !m.fresh {
			m.refuseNested(full)
		}
		if sub {
			m.v.refuse("mapping-shape", where, "a subfield is an object", "")
		}
		return name, m.object(o, full+".", o.Text("subobjects") == "false", false)
	case "flattened":
		return name, m.flattened(o, full, sub)
	case "wildcard", "version", "unsigned_long":
		if fresh := m.fresh || m.unused(full) || o.Object("meta").Has(graftedFrom); fresh && m.t.has(typ) {
			break
		} else if fresh {
			o = m.nearest(o, where, "keyword")
			typ = "keyword"
			break
		}
		return m.shadow(name, o, path, sub)
	case "constant_keyword":
		_, value := o.Get("value")
		switch {
		case !value:
			m.v.change("constant-keyword-empty", where, "constant_keyword becomes keyword", "it has no value yet; later documents may have different ones")
			typ, o = "keyword", retyped(o, "keyword")
		case !m.t.has(typ) && m.fresh:
			o = m.nearest(o, where, "keyword")
			o.Delete("value")
			typ = "keyword"
		case !m.t.has(typ):
			m.v.refuse("constant-keyword", where, fmt.Sprintf("its value %q stands in the mapping only, documents do not have it, and OpenSearch %s has no such type", o.Text("value"), m.t), "OpenSearch 2.14 and later have it")
			return name, o
		}
	case "match_only_text":
		if m.t.has(typ) {
			break
		}
		m.v.change("match-only-text", where, "match_only_text becomes text without frequencies, positions and norms", "OpenSearch has the type from 2.12 on; phrase queries on the field fail")
		typ, o = "text", retyped(o, "text")
		o.Set("index_options", "docs")
		o.Set("norms", false)
	case "geo_shape":
		if o = m.geoShape(o, full); o == nil {
			return name, tree.Object{{Name: "type", Value: typ}}
		}
	case "rank_features":
		if o.Text("positive_score_impact") == "false" && !m.t.takes(typ, "positive_score_impact") {
			m.v.refuse("rank-features-impact", where, "OpenSearch "+m.t.String()+" does not know positive_score_impact", "")
			return name, o
		}
	case "percolator", "icu_collation_keyword":
		if m.fresh {
			if typ == "icu_collation_keyword" {
				m.v.plugin("analysis-icu")
			}
			return name, o
		}
		m.v.refuse("field-type-opaque", where, "what is indexed for the type "+typ+" only the release that wrote it reads for sure", "")
		return name, o
	}
	if why, ok := unsearchable[typ]; ok {
		if sub {
			m.v.change(Unsearchable, where, "dropped", why)
			return name, nil
		}
		m.v.change(Unsearchable, where, typ+" becomes an object that is not enabled", why+": the values stay in the documents and are not searched")
		m.objects[full], m.rewritten[full] = true, true
		return name, notEnabled()
	}
	if p, ok := pluginTypes[typ]; ok {
		m.v.plugin(p.plugin)
	} else if !m.t.has(typ) {
		m.v.refuse("field-type", where, fmt.Sprintf("OpenSearch %s has no type %q", m.t, typ), "")
		return name, o
	}
	m.schema(o, typ, full)
	return name, m.parameters(o, typ, full)
}

// parameters keeps what the target takes.
func (m *mapper) parameters(o tree.Object, typ, full string) tree.Object {
	out := make(tree.Object, 0, len(o))
	for _, p := range o {
		where := m.where("field " + full + ": " + p.Name)
		if !m.t.takes(typ, p.Name) {
			if p := m.parameter(typ, p, where); p != nil {
				out = append(out, *p)
			}
			continue
		}
		switch p.Name {
		case "fields":
			fields, ok := p.Value.(tree.Object)
			if !ok {
				m.v.refuse("mapping-shape", where, "it is no object", "")
				break
			}
			p.Value = m.fields(fields, full+".")
		case "analyzer", "search_analyzer", "search_quote_analyzer":
			m.names(p.Value, "analyzer", where)
		case "normalizer":
			m.names(p.Value, "normalizer", where)
		case "similarity":
			m.names(p.Value, "similarity", where)
		}
		out = append(out, p)
	}
	return out
}

// names refuses the name of an analyzer, a normalizer or a similarity that is not there. A template may have them elsewhere.
func (m *mapper) names(v any, kind, where string) {
	if m.index == nil || m.fresh {
		return
	}
	m.t.named(settingsOf(m.index.Body), m.c, kind, tree.Text(v), where, m.v)
}

// fields rewrites subfields.
func (m *mapper) fields(fields tree.Object, path string) tree.Object {
	out := make(tree.Object, 0, len(fields))
	for _, f := range fields {
		o, ok := f.Value.(tree.Object)
		if !ok {
			m.v.refuse("mapping-shape", m.where("field "+path+f.Name), "its mapping is no object", "")
			out = append(out, f)
			continue
		}
		name, mapped := m.field(f.Name, o, path, true)
		if mapped == nil {
			m.removed[path+f.Name] = true
			continue
		}
		if name != f.Name {
			name = free(name, append(slices.Clone(fields), out...))
			m.moved(path+f.Name, path+name)
		}
		out = append(out, tree.Member{Name: name, Value: mapped})
	}
	return out
}

// free gives a name that no member has.
func free(name string, o tree.Object) string {
	for n := 1; ; n++ {
		candidate := name
		if n > 1 {
			candidate = name + "_" + strconv.Itoa(n)
		}
		if !o.Has(candidate) {
			return candidate
		}
	}
}

// parameter judges a parameter that the target's mapper of the type does not take: nil if it is dropped.
func (m *mapper) parameter(typ string, p tree.Member, where string) *tree.Member {
	if why, ok := droppedParams[p.Name]; ok {
		m.v.change("field-parameter", where, "dropped", why)
		return nil
	}
	m.v.refuse("mapping-parameter", where, fmt.Sprintf("OpenSearch %s does not know it for the type %s", m.t, typ), "")
	return &p
}

func retyped(o tree.Object, typ string) tree.Object {
	o = slices.Clone(o)
	o.Set("type", typ)
	return o
}

// nearest gives a field of a template the type that is nearest to its own.
func (m *mapper) nearest(o tree.Object, where, typ string) tree.Object {
	m.v.change("fresh-type", where, o.Text("type")+" becomes "+typ, "OpenSearch "+m.t.String()+" does not have the type")
	return retyped(o, typ)
}

// unused reports whether it is known that no segment has a Lucene field of that name.
func (m *mapper) unused(name string) bool {
	if m.index == nil || len(m.index.Segments) == 0 {
		return false
	}
	for _, s := range m.index.Segments {
		if s.Fields == nil || slices.ContainsFunc(s.Fields, func(f Field) bool { return f.Name == name }) {
			return false
		}
	}
	return true
}

// strict reports whether Lucene insists on one schema for a field, even where one of them lacks terms, points or doc values: in
// indices created by Lucene 9 or later, and Lucene 10 does in all.
func (m *mapper) strict() bool {
	return m.t.Major >= 3 || m.c.openSearch && m.c.major >= 2 || !m.c.openSearch && m.c.major >= 8
}

func (m *mapper) flattened(o tree.Object, full string, sub bool) tree.Object {
	where := m.where("field " + full)
	m.rewritten[full] = true
	partial := o.Text("index") == "false" || o.Text("doc_values") == "false"
	switch {
	case sub:
		m.v.change("flattened-unsearchable", where, "dropped", "OpenSearch has no subfields of this kind")
		return nil
	case !m.t.has("flat_object"):
		m.v.change("flattened-unsearchable", where, "flattened becomes an object that is not enabled", "OpenSearch has flat_object from 2.7 on: the values stay in the documents and are not searched")
	case partial && m.strict() && !m.fresh && !m.unused(full):
		m.v.change("flattened-unsearchable", where, "flattened becomes an object that is not enabled", "flat_object is indexed and has doc values, which contradicts what the segments hold: the values stay in the documents and are not searched")
	default:
		m.v.change("flattened", where, "flattened becomes flat_object", "OpenSearch calls it so; it has no parameters, so ignore_above, null_value and the like are dropped")
		if !m.fresh && !m.unused(full) {
			m.v.repair("flattened", m.where(full), "queries on the paths below it find nothing until every document is updated")
		}
		return tree.Object{{Name: "type", Value: "flat_object"}}
	}
	m.objects[full] = true
	return notEnabled()
}

// shadow maps a field to nothing of its own name and to a subfield that is searched.
func (m *mapper) shadow(name string, o tree.Object, path string, sub bool) (string, tree.Object) {
	full, typ := path+name, o.Text("type")
	m.rewritten[full] = true
	to := "keyword"
	if m.t.has(typ) {
		to = typ
	}
	searched := tree.Object{{Name: "type", Value: to}}
	if v, ok := o.Get("null_value"); ok {
		searched.Set("null_value", v)
	}
	if v, ok := o.Get("ignore_above"); ok && typ == "wildcard" {
		searched.Set("ignore_above", v)
	} else if to == "keyword" {
		searched.Set("ignore_above", int64(longestTerm))
	}
	searched.Set("meta", tree.Object{{Name: graftedFrom, Value: typ}})
	const why = "what the segments hold under this name is of another form than OpenSearch's: "
	if sub {
		at := m.where("field " + full)
		m.v.change("shadowed", at, fmt.Sprintf("the subfield becomes %s, of the type %s", name+"_"+to, to), why+"queries must name the new subfield")
		return name + "_" + to, searched
	}
	out := tree.Object{{Name: "type", Value: "keyword"}, {Name: "index", Value: false}, {Name: "doc_values", Value: false}}
	if v, ok := o.Get("copy_to"); ok {
		out.Set("copy_to", v)
	}
	fields := m.fields(o.Object("fields"), full+".")
	to = free(to, fields)
	out.Set("fields", append(fields, tree.Member{Name: to, Value: searched}))
	m.v.change("shadowed", m.where("field "+full), fmt.Sprintf("%s becomes a keyword that is not indexed, with the subfield %s", typ, full+"."+to), why+"queries must name the subfield")
	m.moved(full, full+"."+to)
	return name, out
}

// moved notes that what was found by a field is found by another, after a repair.
func (m *mapper) moved(from, to string) {
	m.subfields[from] = to
	m.v.repair("shadowed", m.where(to), fmt.Sprintf("it is made from the values of %s when documents are updated", from))
}

// geoShape gives what becomes of a geo_shape; nil if it is refused.
func (m *mapper) geoShape(o tree.Object, full string) tree.Object {
	where := m.where("field " + full)
	for _, p := range []string{"strategy", "tree", "precision", "tree_levels", "distance_error_pct", "points_only"} {
		if o.Has(p) {
			m.v.refuse("geo-shape-strategy", where+": "+p, "it is indexed as a prefix tree", "")
			return nil
		}
	}
	if m.fresh {
		return o
	}
	has := o.Text("doc_values") != "false"
	if known, dv := m.docValues(full); known {
		has = dv != ""
	}
	if has && m.strict() {
		m.v.refuse("geo-shape-doc-values", where, "its doc values are of Elasticsearch's form, and later documents, without, would be rejected", "")
		return nil
	}
	if v, ok := o.Get("doc_values"); ok && tree.Text(v) != "false" {
		o = slices.Clone(o)
		o.Delete("doc_values")
		m.v.change("field-parameter", where+": doc_values", "dropped", "OpenSearch's doc values of shapes are of another form: aggregations on the field are not possible, queries are")
	}
	return o
}

// docValues gives the type of doc values that segments have under a name; known is whether all say what fields they have.
func (m *mapper) docValues(name string) (known bool, typ string) {
	if m.index == nil || len(m.index.Segments) == 0 {
		return false, ""
	}
	known = true
	for _, s := range m.index.Segments {
		known = known && s.Fields != nil
		for _, f := range s.Fields {
			if f.Name == name && f.DocValues != "" {
				typ = f.DocValues
			}
		}
	}
	return known, typ
}

// docValuesOf is which doc values OpenSearch's mappers make. Source: field infos of indices that OpenSearch wrote with a field of
// each type; those of Elasticsearch 7.17 and 8.4 are the same.
var docValuesOf = map[string]string{
	"keyword": "SORTED_SET", "ip": "SORTED_SET", "join": "SORTED",
	"long": "SORTED_NUMERIC", "integer": "SORTED_NUMERIC", "short": "SORTED_NUMERIC", "byte": "SORTED_NUMERIC", "double": "SORTED_NUMERIC",
	"float": "SORTED_NUMERIC", "half_float": "SORTED_NUMERIC", "scaled_float": "SORTED_NUMERIC", "boolean": "SORTED_NUMERIC",
	"date": "SORTED_NUMERIC", "date_nanos": "SORTED_NUMERIC", "geo_point": "SORTED_NUMERIC", "token_count": "SORTED_NUMERIC",
	"integer_range": "BINARY", "long_range": "BINARY", "float_range": "BINARY", "double_range": "BINARY", "date_range": "BINARY", "ip_range": "BINARY",
}

// schema refuses a field whose doc values the target would make otherwise than the segments have them.
func (m *mapper) schema(o tree.Object, typ, full string) {
	want, ok := docValuesOf[typ]
	if !ok || m.fresh {
		return
	}
	if o.Text("doc_values") == "false" {
		want = ""
	}
	known, have := m.docValues(full)
	if !known || m.unused(full) || have == want || !m.strict() && (have == "" || want == "") {
		return
	}
	m.v.refuse("schema", m.where("field "+full), fmt.Sprintf("segments have doc values of the type %q for it, and OpenSearch makes %q for the type %s: later documents would be rejected", have, want, typ), "")
}

// aliases mends what leads to fields that are no more, or have moved.
func (m *mapper) aliases(o tree.Object, path string) tree.Object {
	for n := range o {
		if o[n].Name != "properties" && o[n].Name != "fields" {
			continue
		}
		fields, _ := o[n].Value.(tree.Object)
		out := make(tree.Object, 0, len(fields))
		for _, f := range fields {
			field, ok := f.Value.(tree.Object)
			if !ok {
				out = append(out, f)
				continue
			}
			full := path + f.Name
			if field.Text("type") == "alias" {
				to := field.Text("path")
				if m.objects[to] || m.removed[to] {
					m.v.change("field-alias", m.where("field "+full), "dropped", fmt.Sprintf("the field %s, to which it leads, is not searched", to))
					continue
				}
				if moved, ok := m.subfields[to]; ok {
					field.Set("path", moved)
					m.v.change("field-alias", m.where("field "+full), "it leads to "+moved, "the field "+to+" is found by that name")
				}
			}
			field = m.copies(field, full)
			f.Value = m.aliases(field, full+".")
			out = append(out, f)
		}
		o[n].Value = out
	}
	return o
}

// copies leaves out fields that cannot be copied to.
func (m *mapper) copies(field tree.Object, full string) tree.Object {
	v, ok := field.Get("copy_to")
	if !ok {
		return field
	}
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	kept := slices.DeleteFunc(slices.Clone(list), func(to any) bool { return m.objects[tree.Text(to)] })
	if len(kept) == len(list) {
		return field
	}
	m.v.change("copy-to", m.where("field "+full+": copy_to"), "fields that are not searched are left out", "an object cannot be copied to")
	if len(kept) == 0 {
		field.Delete("copy_to")
	} else {
		field.Set("copy_to", kept)
	}
	return field
}

// dynamicTemplates rewrites the dynamic templates of a mapping. Those that cannot be kept are dropped.
func (m *mapper) dynamicTemplates(v any) []any {
	list, ok := v.([]any)
	if !ok {
		m.v.refuse("mapping-shape", m.where("mapping dynamic_templates"), "it is no list", "")
		return nil
	}
	out := make([]any, 0, len(list))
	for _, entry := range list {
		o, _ := entry.(tree.Object)
		if len(o) != 1 {
			m.v.refuse("mapping-shape", m.where("mapping dynamic_templates"), "an entry is no object with one name", "")
			continue
		}
		where := m.where("dynamic template " + o[0].Name)
		body, _ := o[0].Value.(tree.Object)
		if why := m.dynamicTemplate(&body, where); why != "" {
			m.v.change("dynamic-template", where, "dropped", why+"; fields of later documents that it would match get the default mapping")
			continue
		}
		out = append(out, tree.Object{{Name: o[0].Name, Value: body}})
	}
	return out
}

func (m *mapper) dynamicTemplate(body *tree.Object, where string) (why string) {
	for n, p := range *body {
		switch p.Name {
		case "match", "unmatch", "path_match", "path_unmatch", "match_mapping_type", "match_pattern":
			if _, list := p.Value.([]any); list {
				return p.Name + " is a list, which OpenSearch does not read"
			}
		case "mapping":
			mapping, ok := p.Value.(tree.Object)
			if !ok {
				return "its mapping is no object"
			}
			var v Verdict
			fresh := m.t.newMapper(m.index, m.c, &v)
			fresh.fresh, fresh.at = true, where+", "
			var out tree.Object
			if typ := mapping.Text("type"); typ == "" || strings.Contains(typ, "{") {
				out = fresh.untyped(mapping, where)
			} else if _, out = fresh.field("", mapping, "", false); out == nil {
				return "its type is not known"
			}
			if !v.OK() {
				return v.Refusals[0].Why
			}
			m.v.Changes = append(m.v.Changes, v.Changes...)
			for _, p := range v.Plugins {
				m.v.plugin(p)
			}
			(*body)[n].Value = out
		case "runtime":
			return "it makes runtime fields"
		default:
			return fmt.Sprintf("OpenSearch does not know %q", p.Name)
		}
	}
	if !body.Has("mapping") {
		return "it has no mapping"
	}
	return ""
}

// untyped keeps the parameters that some type of the target takes: the type is told by the document.
func (m *mapper) untyped(mapping tree.Object, where string) tree.Object {
	out := make(tree.Object, 0, len(mapping))
	for _, p := range mapping {
		known := false
		for typ := range fieldTypes {
			known = known || m.t.has(typ) && m.t.takes(typ, p.Name)
		}
		if known {
			out = append(out, p)
		} else if p := m.parameter("{dynamic_type}", p, where+": "+p.Name); p != nil {
			out = append(out, *p)
		}
	}
	return out
}

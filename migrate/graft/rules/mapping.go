package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/narudata/naru/format/tree"
)

var mappingRules = []Rule{
	{"mapping-type", "The name of the mapping type becomes _doc", "OpenSearch 2 and later have no mapping types; the name is not in the segments."},
	{"mapping-types", "An index with several mapping types is refused", "OpenSearch has one type."},
	{"mapping-shape", "A mapping that is not an object where it must be is refused", "It cannot be judged."},
	{"mapping-parameter", "A parameter of a mapping that is on no list is refused", "What it means to the segments and to later documents is not known."},
	{"metadata-field", "A metadata field that is on no list is refused", "What it means is not known."},
	{"metadata-field-parameter", "A parameter of a metadata field that the target does not know is dropped", "It has no effect there, or says what is so anyway."},
	{"source-synthetic", "An index without stored documents (synthetic _source, time series, logsdb) is refused", "OpenSearch would have documents without content."},
	{"size-field", "An index with _size needs the plugin mapper-size", "The field is the plugin's."},
	{"field-type", "A field of a type that is on no list is refused", "What its segments hold is not known."},
	{"field-type-plugin", "A field of a plugin's type needs that plugin", "The types murmur3 and annotated_text are indexed alike in both."},
	{"field-type-opaque", "A field of a type whose indexed form only Elasticsearch reads is refused", "Percolators are queries in Elasticsearch's own bytes; collation keys depend on the release of ICU."},
	{"field-parameter", "A parameter that the target does not know is dropped, where the segments do not depend on it", "What is indexed stays as it is; where later documents are indexed otherwise, the change says so."},
	{Unsearchable, "A field of a type that OpenSearch has nothing for becomes an object that is not enabled", "Its values stay in the documents and are not searched. Such an object makes no Lucene field, so it cannot contradict what the segments hold under that name; reindexing would not make it searchable either."},
	{"flattened", "flattened becomes flat_object, and documents are updated", "The Lucene field of the name has the same schema in both, and the paths below it are in fields of other names; these are filled by updating every document."},
	{"flattened-unsearchable", "flattened becomes an object that is not enabled", "OpenSearch has flat_object from 2.7 on, and fields that are not indexed or have no doc values contradict it."},
	{"shadowed", "wildcard, version and unsigned_long become a keyword that is not indexed, with a subfield that is", "Both servers have types of these names that put different things into the Lucene field of the name. So the field makes none, and a subfield of another name is filled by updating every document; queries must name the subfield. Reindexing keeps the name."},
	{"fresh-type", "Where there is no data yet, a type that the target lacks becomes the nearest one", "In templates and dynamic templates there are no segments to contradict."},
	{"constant-keyword", "constant_keyword is refused before OpenSearch 2.14", "Its value stands in the mapping only: documents do not have it."},
	{"constant-keyword-empty", "constant_keyword without a value becomes keyword", "No document has a value for it yet, and OpenSearch wants one in the mapping."},
	{"match-only-text", "match_only_text becomes text without positions before OpenSearch 2.12", "The same terms, without frequencies, positions and norms. Phrase queries on the field fail."},
	{"geo-shape-doc-values", "A geo_shape with Elasticsearch's doc values is refused where Lucene wants one schema for a field", "They are of another form than OpenSearch's, and Lucene 9's indices refuse later documents without."},
	{"geo-shape-strategy", "A geo_shape that is indexed as a prefix tree is refused", "It was not tried."},
	{"rank-features-impact", "rank_features with a negative impact is refused where the target does not know it", "Values would be read upside down."},
	{"field-alias", "A field alias that has lost its field is dropped; one to a field with a subfield leads to the subfield", "An alias must lead to a field."},
	{"copy-to", "A field is no longer copied to one that became an object", "Documents could not be written."},
	{"subobjects", "subobjects: false is dropped, or becomes disable_objects", "OpenSearch makes objects of dotted names; the Lucene fields have the same names."},
	{"subobjects-conflict", "subobjects: false is refused where a field's name begins another's", "OpenSearch would need a field and an object of the same name."},
	{"runtime-fields", "Runtime fields are dropped", "They are computed when queried, and OpenSearch has none; the values they are computed from stay in the documents."},
	{"dynamic-runtime", "dynamic: runtime becomes true", "OpenSearch has no runtime fields. Later documents have new fields indexed; those in the index are found by them after an update by query only."},
	{"dynamic-value", "A value of dynamic that the target does not know is refused", "What becomes of unknown fields is not known."},
	{"dynamic-template", "A dynamic template that the target cannot read is dropped", "Fields of later documents that it would have matched get the default mapping."},
	{"repair-needs-source", "A field that must be repaired is refused where documents are not stored whole", "Updating every document would lose what _source leaves out."},
	{"schema", "A field is refused whose Lucene field the target would make otherwise", "Lucene wants one schema for a field."},
}

// A mapper rewrites one mapping.
type mapper struct {
	t     Target
	c     created
	v     *Verdict
	index *Index // nil for a template: there are no segments
	fresh bool   // in a dynamic template: there are no segments of these fields
	at    string // what messages begin with, for a template

	objects   map[string]bool   // paths that became objects that are not enabled
	subfields map[string]string // paths whose values are found in a subfield
	removed   map[string]bool   // paths that are no more
	rewritten map[string]bool   // paths of another type than before
}

func (t Target) newMapper(i *Index, c created, v *Verdict) *mapper {
	return &mapper{t: t, c: c, v: v, index: i, fresh: i == nil, objects: map[string]bool{}, subfields: map[string]string{}, removed: map[string]bool{}, rewritten: map[string]bool{}}
}

// mappings judges and rewrites the mapping of an index.
func (t Target) mappings(i *Index, c created, v *Verdict) {
	if i.Mappings == nil || len(*i.Mappings) == 0 {
		return
	}
	m := t.newMapper(i, c, v)
	types := *i.Mappings
	if t.Major >= 2 && len(types) > 1 {
		types.Delete("_default_") // a template for types, of Elasticsearch 6
	}
	if len(types) > 1 && t.Major >= 2 || len(types) > 2 {
		v.refuse("mapping-types", "mapping", "it has "+strconv.Itoa(len(types))+" types", "")
		return
	}
	for n := range types {
		root, ok := types[n].Value.(tree.Object)
		if !ok {
			v.refuse("mapping-shape", "mapping", "that of the type "+strconv.Quote(types[n].Name)+" is no object", "")
			return
		}
		if types[n].Name != "_doc" && t.Major >= 2 {
			v.change("mapping-type", "mapping", fmt.Sprintf("the type %q becomes _doc", types[n].Name), "OpenSearch "+t.String()+" has no types")
			types[n].Name = "_doc"
		}
		types[n].Value = m.rewrite(root)
	}
	*i.Mappings = types
	m.sorted()
}

// rewrite gives what becomes of a mapping.
func (m *mapper) rewrite(root tree.Object) tree.Object {
	root = tree.Clone(root).(tree.Object)
	if m.c.native {
		if m.c.nestedByType && m.t.Major >= 3 {
			m.nested(root, "")
		}
		return root
	}
	repairs := len(m.v.Repairs)
	root = m.root(root)
	root = m.aliases(root, "")
	if len(m.v.Repairs) > repairs && !wholeSource(root) {
		m.v.refuse("repair-needs-source", m.where("field "+m.v.Repairs[repairs].Field), "the field is found after an update of every document only, and _source does not have all of them whole", "")
	}
	return root
}

func (m *mapper) where(s string) string { return m.at + s }

// wholeSource reports whether documents are stored with all that is in them.
func wholeSource(root tree.Object) bool {
	source := root.Object("_source")
	return source.Text("enabled") != "false" && len(source.List("includes")) == 0 && len(source.List("excludes")) == 0
}

// metadataFields are the metadata fields of a mapping, with the parameters that OpenSearch takes.
var metadataFields = map[string]string{
	"_source": "enabled includes excludes", "_routing": "required", "_field_names": "enabled", "_size": "enabled",
	"_data_stream_timestamp": "enabled", "_all": "enabled", "_id": "", "_index": "", "_type": "", "_version": "", "_seq_no": "",
	"_ignored": "", "_doc_count": "", "_nested_path": "",
}

// root rewrites what only the root of a mapping has, then its fields.
func (m *mapper) root(root tree.Object) tree.Object {
	out := make(tree.Object, 0, len(root))
	for _, member := range root {
		name, where := member.Name, m.where("mapping "+member.Name)
		switch name {
		case "properties", "dynamic", "enabled", "subobjects", "include_in_all":
			out = append(out, member) // as in any object
		case "_meta", "date_detection", "numeric_detection", "dynamic_date_formats", "date_formats":
			out = append(out, member)
		case "disable_objects":
			if m.t.takes("object", name) {
				out = append(out, member)
				break
			}
			m.v.refuse("mapping-parameter", where, "OpenSearch "+m.t.String()+" does not know it", "")
		case "dynamic_templates":
			if list := m.dynamicTemplates(member.Value); list != nil {
				out = append(out, tree.Member{Name: name, Value: list})
			}
		case "runtime":
			m.runtime(member.Value, "")
		default:
			params, ok := metadataFields[name]
			switch {
			case ok:
				if v, keep := m.metadataField(name, params, member.Value); keep {
					out = append(out, tree.Member{Name: name, Value: v})
				}
			case strings.HasPrefix(name, "_"):
				m.v.refuse("metadata-field", where, "it is not known", "")
			default:
				m.v.refuse("mapping-parameter", where, "it is not known", "")
			}
		}
	}
	return m.object(out, "", out.Text("subobjects") == "false", true)
}

func (m *mapper) metadataField(name, params string, v any) (any, bool) {
	where := m.where("mapping " + name)
	o, ok := v.(tree.Object)
	if !ok {
		m.v.refuse("mapping-shape", where, "it is no object", "")
		return v, true
	}
	if name == "_all" && m.t.Major >= 2 || name == "_type" && m.t.Major >= 2 {
		m.v.change("metadata-field-parameter", where, "dropped", "OpenSearch "+m.t.String()+" does not have the field")
		return nil, false
	}
	if name == "_size" && o.Text("enabled") == "true" {
		m.v.plugin("mapper-size")
	} else if name == "_size" {
		m.v.change("metadata-field-parameter", where, "dropped", "it is not enabled, and known to a plugin only")
		return nil, false
	}
	out := make(tree.Object, 0, len(o))
	for _, p := range o {
		switch {
		case slices.Contains(strings.Fields(params), p.Name):
			out = append(out, p)
		case name == "_source" && p.Name == "mode":
			switch mode := tree.Text(p.Value); mode {
			case "stored":
				m.v.change("metadata-field-parameter", where+".mode", "dropped", "documents are stored anyway")
			case "disabled":
				m.v.change("metadata-field-parameter", where+".mode", "disabled becomes enabled: false", "OpenSearch says it so")
				out.Set("enabled", false)
			default:
				m.v.refuse("source-synthetic", where+".mode", fmt.Sprintf("it is %q: documents are not stored", mode), "")
			}
		case name == "_source" && strings.HasPrefix(p.Name, "compress"):
			m.v.change("metadata-field-parameter", where+"."+p.Name, "dropped", "it has had no effect since Elasticsearch 2")
		default:
			m.v.refuse("mapping-parameter", where+"."+p.Name, "it is not known", "")
			out = append(out, p)
		}
	}
	if len(out) == 0 && len(o) > 0 {
		return nil, false
	}
	return out, true
}

// runtime drops the runtime fields of a mapping.
func (m *mapper) runtime(v any, path string) {
	fields, _ := v.(tree.Object)
	for _, f := range fields {
		m.v.change("runtime-fields", m.where("runtime field "+path+f.Name), "dropped", "OpenSearch has no runtime fields: queries and aggregations no longer find this name")
	}
}

// object rewrites the parameters and fields of an object, a nested one or the root.
func (m *mapper) object(o tree.Object, path string, flat, root bool) tree.Object {
	typ := "object"
	if t := o.Text("type"); t == "nested" && !root {
		typ = t
	}
	out := make(tree.Object, 0, len(o))
	for _, p := range o {
		where := m.where("field " + strings.TrimSuffix(path, ".") + ": " + p.Name)
		if root {
			where = m.where("mapping " + p.Name)
		}
		switch {
		case p.Name == "properties":
			fields, ok := p.Value.(tree.Object)
			if list, empty := p.Value.([]any); empty && len(list) == 0 {
				fields, ok = nil, true
			}
			if !ok {
				m.v.refuse("mapping-shape", where, "it is no object", "")
				continue
			}
			out = append(out, tree.Member{Name: p.Name, Value: m.properties(fields, path, flat)})
		case p.Name == "dynamic":
			out = append(out, tree.Member{Name: p.Name, Value: m.dynamic(p.Value, where)})
		case p.Name == "subobjects":
			switch v := tree.Text(p.Value); {
			case v == "false" && m.t.takes("object", "disable_objects"):
				m.v.change("subobjects", where, "becomes disable_objects: true", "OpenSearch calls it so")
				out = append(out, tree.Member{Name: "disable_objects", Value: true})
			case v == "false":
				m.v.change("subobjects", where, "dropped", "OpenSearch makes objects of dotted names; a later document that has a name both as a value and as an object is rejected")
			case v == "true":
				m.v.change("subobjects", where, "dropped", "it is so anyway")
			default:
				m.v.refuse("mapping-parameter", where, fmt.Sprintf("the value %q is not known", v), "")
			}
		case root: // judged by root
			out = append(out, p)
		case m.t.takes(typ, p.Name):
			out = append(out, p)
		default:
			if p := m.parameter(typ, p, where); p != nil {
				out = append(out, *p)
			}
		}
	}
	return out
}

func (m *mapper) dynamic(v any, where string) any {
	switch text := strings.ToLower(tree.Text(v)); text {
	case "true", "false", "strict":
		return v
	case "runtime":
		m.v.change("dynamic-runtime", where, "runtime becomes true", "OpenSearch has no runtime fields: new fields of later documents are indexed; documents that are here already are found by such a field only after they are updated")
		return true
	case "strict_allow_templates":
		if m.t.since(2, 19) {
			return v
		}
	case "false_allow_templates":
		if m.t.since(3, 8) {
			return v
		}
	}
	m.v.refuse("dynamic-value", where, fmt.Sprintf("the value %q is not known", tree.Text(v)), "")
	return v
}

// properties rewrites fields. With flat their names may have dots.
func (m *mapper) properties(fields tree.Object, path string, flat bool) tree.Object {
	if flat && !m.t.takes("object", "disable_objects") {
		m.prefixes(fields, path)
	}
	out := make(tree.Object, 0, len(fields))
	for _, f := range fields {
		o, ok := f.Value.(tree.Object)
		if !ok {
			m.v.refuse("mapping-shape", m.where("field "+path+f.Name), "its mapping is no object", "")
			out = append(out, f)
			continue
		}
		name, mapped := m.field(f.Name, o, path, false)
		if mapped == nil {
			m.removed[path+f.Name] = true
			continue
		}
		out = append(out, tree.Member{Name: name, Value: mapped})
	}
	return out
}

// prefixes refuses fields whose name is where another's ends.
func (m *mapper) prefixes(fields tree.Object, path string) {
	names := make([]string, 0, len(fields))
	for _, f := range fields {
		names = append(names, f.Name)
	}
	for _, a := range names {
		for i := range len(a) {
			if a[i] == '.' && slices.Contains(names, a[:i]) {
				m.v.refuse("subobjects-conflict", m.where("field "+path+a), fmt.Sprintf("%q is a field too, and OpenSearch %s would make an object of it", path+a[:i], m.t), "")
			}
		}
	}
}

// nested refuses nested fields, whose documents are marked otherwise than the target expects.
func (m *mapper) nested(o tree.Object, path string) {
	for _, f := range o.Object("properties") {
		child, _ := f.Value.(tree.Object)
		if child.Text("type") == "nested" {
			m.refuseNested(path + f.Name)
		}
		m.nested(child, path+f.Name+".")
	}
}

func (m *mapper) refuseNested(path string) {
	m.v.refuse("nested-marker", m.where("field "+path), "it is nested, and its documents are marked as in Elasticsearch 7: OpenSearch "+m.t.String()+" would find nothing in aggregations on them", "")
}

// sorted refuses an index sort by a field that is no longer what the segments are sorted by.
func (m *mapper) sorted() {
	settings := settingsOf(m.index.Body)
	v, _ := settings.Get("index.sort.field")
	names, list := v.([]any)
	if s, ok := v.(string); ok && !list {
		for n := range strings.SplitSeq(s, ",") {
			names = append(names, n)
		}
	}
	for _, n := range names {
		if name := strings.TrimSpace(tree.Text(n)); m.rewritten[name] || m.removed[name] {
			m.v.refuse("sort-field", "setting index.sort.field", fmt.Sprintf("segments are sorted by %q, which is of a type that OpenSearch does not have", name), "")
		}
	}
}

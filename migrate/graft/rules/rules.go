// Package rules says what a version of OpenSearch knows of an index that Elasticsearch wrote – Lucene formats, field
// types and their parameters, settings, analysis, templates, data streams – and rewrites metadata for it. It works on
// trees and does no I/O. Everything is denied that is not on a list: a name that no list has is a Refusal that
// names it, and the index has to be reindexed.
//
// One principle decides what of a mapping may be rewritten in place: a field may be mapped otherwise only if the Lucene
// field that the new mapping makes does not contradict what the segments hold under that name. Lucene keeps one schema
// for a field (index options, doc-values type, points, vectors; FieldInfo.verifySameSchema) and refuses documents that
// contradict it; a reader that expects another doc-values type fails, or reads nonsense. So a field of a type that
// OpenSearch does not have either makes no Lucene field of its name at all after the rewriting (an object that is not
// enabled, a keyword that is neither indexed nor in doc values), or is made of fields of other names, which are filled
// by updating every document (a Repair).
package rules

import (
	"cmp"
	"slices"

	"github.com/narudata/naru/format/tree"
)

// A Change is what was rewritten, and what the reader should know of it.
type Change struct {
	Rule  string `json:"rule"`  // ID of the rule
	Where string `json:"where"` // "field a.b", "setting index.sort.field", …
	What  string `json:"what"`  // what was done: "flattened becomes flat_object"
	Why   string `json:"why"`   // why it had to be, and what is lost by it
}

// A Repair is what must be done in the cluster after the restore.
type Repair struct {
	Rule  string `json:"rule"`
	Field string `json:"field"` // the field that is wrong, or not searchable, until then
	Why   string `json:"why"`
	How   string `json:"how"` // UpdateByQuery
}

// UpdateByQuery writes every document of the index again: POST INDEX/_update_by_query.
const UpdateByQuery = "update-by-query"

// A Refusal is why an index cannot be grafted.
type Refusal struct {
	Rule  string `json:"rule"`
	Where string `json:"where"`
	Why   string `json:"why"`
	Way   string `json:"way,omitempty"` // what would free the index; "" if only reindexing does
}

// A Verdict is what the rules say of an index, or of the cluster's metadata. Without Refusals the rewritten metadata are what the
// target takes.
type Verdict struct {
	Changes  []Change  `json:"changes,omitempty"`
	Repairs  []Repair  `json:"repairs,omitempty"`
	Refusals []Refusal `json:"refusals,omitempty"`
	Plugins  []string  `json:"plugins,omitempty"` // that the target must have: "analysis-icu"; sorted
}

// OK reports whether nothing is refused.
func (v Verdict) OK() bool { return len(v.Refusals) == 0 }

func (v *Verdict) change(rule, where, what, why string) {
	v.Changes = append(v.Changes, Change{rule, where, what, why})
}

func (v *Verdict) repair(rule, field, why string) {
	v.Repairs = append(v.Repairs, Repair{rule, field, why, UpdateByQuery})
}

// refuse adds a refusal, once.
func (v *Verdict) refuse(rule, where, why, way string) {
	r := Refusal{rule, where, why, way}
	if !slices.Contains(v.Refusals, r) {
		v.Refusals = append(v.Refusals, r)
	}
}

func (v *Verdict) plugin(name string) {
	if i, found := slices.BinarySearch(v.Plugins, name); !found {
		v.Plugins = slices.Insert(v.Plugins, i, name)
	}
}

// An Index is what the rules judge and rewrite.
type Index struct {
	Name       string
	Body       *tree.Object // of the index's metadata: settings, aliases, …; its mappings are not looked at
	Mappings   *tree.Object // type → mapping
	Segments   []Segment    // of all shards
	DataStream string       // whose backing index it is; "" if none
	OpenSearch bool         // OpenSearch took the snapshot: mappings and settings are its own, whoever created the index
	TwoHop     bool         // the guard of Lucene's against indices of two major versions ago is to be passed
}

// A Segment is what a reader needs to open a segment of Lucene's.
type Segment struct {
	Name       string   // for messages: "shard 0, segment _3"
	Codec      string   // "Lucene912"
	Lucene     string   // version that wrote it: "9.12.0"
	MinVersion string   // oldest version of what was merged into it; "" if it does not say
	Created    int      // major version of Lucene that created the index, of the commit; 0 if it does not say
	Postings   []string // names of formats
	DocValues  []string
	Vectors    []string
	Sort       []string // providers of the sort fields: "SortedSetSortField"
	Fields     []Field  // nil if they are not known
}

// A Field is what a segment's field infos say of a Lucene field.
type Field struct {
	Name      string
	Indexed   bool   // has terms
	DocValues string // "" for none, else "NUMERIC", "BINARY", "SORTED", "SORTED_NUMERIC" or "SORTED_SET"
	Points    bool
	Vectors   bool
}

// Index judges an index for a target and rewrites its body and mappings. Where it refuses, they are rewritten
// as far as that is possible, and must not be used. What it has rewritten it does not change again.
func (t Target) Index(i *Index) Verdict {
	var v Verdict
	if i.Body == nil || i.Mappings == nil {
		v.refuse("index-shape", "index", "it has no metadata", "")
		return v
	}
	if s, ok := i.Body.Get("settings"); ok {
		if _, object := s.(tree.Object); !object {
			v.refuse("index-shape", "settings", "they are no object", "")
			return v
		}
	}
	c := t.created(i, &v)
	t.segments(i, c, &v)
	t.settings(i, c, &v)
	t.mappings(i, c, &v)
	t.body(i, c, &v)
	return v
}

// Unsearchable is the rule of the changes by which a field is not searched any more, and stays in the documents.
const Unsearchable = "field-unsearchable"

// A Rule is a decision that changes, repairs and refusals name.
type Rule struct {
	ID    string // kebab-case; it never changes
	Title string // what is done
	Why   string
}

// All lists the rules, by id.
func All() []Rule {
	all := slices.Concat(formatRules, versionRules, mappingRules, settingRules, analysisRules, indexRules, clusterRules)
	slices.SortFunc(all, func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

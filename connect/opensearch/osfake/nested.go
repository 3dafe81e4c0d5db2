package osfake

// nestedPaths gives the full paths of all nested fields of mappings.
func nestedPaths(mappings object, prefix string) []string {
	var paths []string
	props, _ := mappings.get("properties").(object)
	for _, f := range props {
		def, ok := f.value.(object)
		if !ok {
			continue
		}
		if typeOf(def) == "nested" {
			paths = append(paths, prefix+f.name)
		}
		paths = append(paths, nestedPaths(def, prefix+f.name+".")...)
	}
	return paths
}

// children counts a document's nested documents at a path.
func children(v *version, path string) int {
	n := 0
	for _, e := range values(v.tree, path) {
		if _, ok := e.(object); ok {
			n++
		}
	}
	return n
}

// luceneDocs counts what a search sees of ix as Lucene does: with nested documents.
func (ix *index) luceneDocs() int {
	paths := nestedPaths(ix.mappings, "")
	n := 0
	for _, sh := range ix.shards {
		n += len(sh.order) - sh.gone
		if len(paths) == 0 {
			continue
		}
		for _, v := range sh.visible() {
			for _, path := range paths {
				n += children(v, path)
			}
		}
	}
	return n
}

// nestedQuery finds the documents that have nested ones at a path; only match_all can be asked of those.
func nestedQuery(body object) (func(ix *index, v *version) bool, *apiError) {
	inner, _ := body.get("query").(object)
	path := scalar(body.get("path"))
	if len(inner) != 1 || inner[0].name != "match_all" || path == "" {
		return nil, parsing("the fake knows nested queries with match_all only")
	}
	return func(ix *index, v *version) bool {
		return fieldType(ix.mappings, path) == "nested" && children(v, path) > 0
	}, nil
}

// An aggregation counts nested documents, and below that the documents that they are of.
type aggregation struct {
	name, path string
	reverse    string // the name of a reverse_nested one below; "": none
}

// aggregations understands nested aggregations; others the fake has not.
func aggregations(v any) ([]aggregation, *apiError) {
	o, _ := v.(object)
	var all []aggregation
	for _, f := range o {
		def, _ := f.value.(object)
		nested, ok := def.get("nested").(object)
		if !ok {
			return nil, parsing("the fake knows nested aggregations only, not [%s]", f.name)
		}
		a := aggregation{name: f.name, path: scalar(nested.get("path"))}
		below, _ := def.get("aggs").(object)
		for _, g := range below {
			if inner, _ := g.value.(object); !inner.has("reverse_nested") {
				return nil, parsing("the fake knows reverse_nested below nested aggregations only, not [%s]", g.name)
			}
			a.reverse = g.name
		}
		all = append(all, a)
	}
	return all, nil
}

// aggregate counts over hits.
func aggregate(all []aggregation, hits []hit) object {
	answer := object{}
	for _, a := range all {
		roots, inner := 0, 0
		for _, h := range hits {
			if h.ix.unmarked || fieldType(h.ix.mappings, a.path) != "nested" {
				continue
			}
			if n := children(h.v, a.path); n > 0 {
				roots, inner = roots+1, inner+n
			}
		}
		counts := object{{"doc_count", inner}}
		if a.reverse != "" {
			counts = append(counts, field{a.reverse, object{{"doc_count", roots}}})
		}
		answer = append(answer, field{a.name, counts})
	}
	return answer
}

package rules

import (
	"fmt"
	"slices"
)

// A span is the versions of Lucene that find a name: from one up to, but not with, another.
type span struct {
	from, until luceneVersion // until is zero if all later ones have it
}

func (s span) has(v luceneVersion) bool {
	return !s.from.newer(v) && (s.until == luceneVersion{} || s.until.newer(v))
}

// The names that Lucene finds by SPI in lucene-core, -backward-codecs, -suggest and -sandbox.
// Source: Codec.availableCodecs and the like, called with the jars of OpenSearch 1.3.14 (Lucene 8.10.1), 2.0.0 (9.1.0), 2.4.1 (9.4.2),
// 2.9.0 (9.7.0), 2.19.5 (9.12.3), 3.0.0 (10.1.0) and 3.8.0 (10.5.0), and META-INF/services of Lucene 9.2, 9.3 and 9.8;
// a name carries the version that brought it.
var (
	codecs = map[string]span{
		"Lucene70": {luceneVersion{7, 0, 0}, luceneVersion{10, 0, 0}},
		"Lucene80": {from: luceneVersion{8, 0, 0}}, "Lucene84": {from: luceneVersion{8, 4, 0}},
		"Lucene86": {from: luceneVersion{8, 6, 0}}, "Lucene87": {from: luceneVersion{8, 7, 0}},
		"Lucene90": {from: luceneVersion{9, 0, 0}}, "Lucene91": {from: luceneVersion{9, 1, 0}},
		"Lucene92": {from: luceneVersion{9, 2, 0}}, "Lucene94": {from: luceneVersion{9, 4, 0}},
		"Lucene95": {from: luceneVersion{9, 5, 0}}, "Lucene99": {from: luceneVersion{9, 9, 0}},
		"Lucene912": {from: luceneVersion{9, 12, 0}}, "Lucene100": {from: luceneVersion{10, 0, 0}},
		"Lucene101": {from: luceneVersion{10, 1, 0}}, "Lucene103": {from: luceneVersion{10, 3, 0}},
		"Lucene104": {from: luceneVersion{10, 4, 0}},
	}
	postings = map[string]span{
		"Lucene50": {from: luceneVersion{5, 0, 0}}, "Lucene84": {from: luceneVersion{8, 4, 0}},
		"Lucene90": {from: luceneVersion{9, 0, 0}}, "Lucene99": {from: luceneVersion{9, 9, 0}},
		"Lucene912": {from: luceneVersion{9, 12, 0}}, "Lucene101": {from: luceneVersion{10, 1, 0}},
		"Lucene103": {from: luceneVersion{10, 3, 0}}, "Lucene104": {from: luceneVersion{10, 4, 0}},
		"completion":    {from: luceneVersion{5, 0, 0}}, // Completion50PostingsFormat
		"Completion84":  {from: luceneVersion{8, 4, 0}},
		"Completion90":  {from: luceneVersion{9, 0, 0}},
		"Completion99":  {from: luceneVersion{9, 9, 0}},
		"Completion912": {from: luceneVersion{9, 12, 0}},
		"Completion101": {from: luceneVersion{10, 1, 0}},
		"Completion104": {from: luceneVersion{10, 5, 0}}, // seen with 10.5
	}
	docValues = map[string]span{
		"Lucene70": {luceneVersion{7, 0, 0}, luceneVersion{10, 0, 0}},
		"Lucene80": {from: luceneVersion{8, 0, 0}},
		"Lucene90": {from: luceneVersion{9, 0, 0}},
	}
	vectors = map[string]span{
		"Lucene90HnswVectorsFormat":                 {from: luceneVersion{9, 0, 0}},
		"Lucene91HnswVectorsFormat":                 {from: luceneVersion{9, 1, 0}},
		"lucene92HnswVectorsFormat":                 {from: luceneVersion{9, 2, 0}}, // so it is spelt
		"Lucene94HnswVectorsFormat":                 {from: luceneVersion{9, 4, 0}},
		"Lucene95HnswVectorsFormat":                 {from: luceneVersion{9, 5, 0}},
		"Lucene99HnswVectorsFormat":                 {from: luceneVersion{9, 9, 0}},
		"Lucene99HnswScalarQuantizedVectorsFormat":  {from: luceneVersion{9, 12, 0}}, // seen with 9.12
		"Lucene99ScalarQuantizedVectorsFormat":      {from: luceneVersion{9, 12, 0}},
		"Lucene102BinaryQuantizedVectorsFormat":     {from: luceneVersion{10, 5, 0}}, // seen with 10.5
		"Lucene102HnswBinaryQuantizedVectorsFormat": {from: luceneVersion{10, 5, 0}},
		"Lucene104ScalarQuantizedVectorsFormat":     {from: luceneVersion{10, 5, 0}},
		"Lucene104HnswBinaryQuantizedVectorsFormat": {from: luceneVersion{10, 5, 0}},
	}
	sortProviders = map[string]span{ // providers came with Lucene 8.6; older segments name none
		"SortField":              {from: luceneVersion{8, 0, 0}},
		"SortedNumericSortField": {from: luceneVersion{8, 0, 0}},
		"SortedSetSortField":     {from: luceneVersion{8, 0, 0}},
		"BinarySortField":        {from: luceneVersion{10, 5, 0}},
	}
)

// measured are the pairs of a target and a newer Lucene whose segments it was seen to read.
var measured = map[Target]luceneVersion{
	{1, 3}: {8, 11, 0}, // OpenSearch 1.3.14 with segments of Elasticsearch 7.17
}

var formatRules = []Rule{
	{"lucene-unknown", "A segment that does not say which Lucene wrote it is refused", "What it needs cannot be told."},
	{"lucene-newer", "A segment written by a newer Lucene than the target's is refused", "Lucene reads what it and earlier releases wrote. The one exception is a pair that was tried: Lucene 8.11, of Elasticsearch 7.17, in OpenSearch 1.3."},
	{"lucene-older", "A segment older than the target's Lucene takes is refused", "Lucene reads the segments of its own major version and the one before."},
	{"lucene-created", "An index that was created by a Lucene two major versions ago is refused", "Lucene opens an index only if its first segment was written by its own major version or the one before, however often it was merged since."},
	{"codec", "A segment whose codec the target does not have is refused", "Lucene finds codecs by name and fails without."},
	{"postings-format", "A segment with a postings format that the target does not have is refused", "Elasticsearch has own formats from 8.5 on: bloom filters of _id, which can be got rid of, and from 8.12 on one for all terms, which cannot."},
	{"doc-values-format", "A segment with a doc-values format that the target does not have is refused", "Elasticsearch has own formats for time series and logsdb."},
	{"vectors-format", "A segment with a vectors format that the target does not have is refused", "Elasticsearch has own formats from 8.13 on."},
	{"sort-provider", "A segment that is sorted by what the target does not know is refused", "Lucene finds the kinds of sort fields by name and fails without."},
	{"doc-count-field", "An index with documents that have _doc_count is refused", "Elasticsearch keeps _doc_count as a term's frequency, OpenSearch in doc values: the target would count each of these documents once and say nothing."},
}

// segments refuses what the target's Lucene cannot open.
func (t Target) segments(i *Index, c created, v *Verdict) {
	own, first := luceneOf[t], len(v.Refusals)
	for _, s := range i.Segments {
		where := "segment " + s.Name
		lucene, ok := parseLucene(s.Lucene)
		if !ok {
			v.refuse("lucene-unknown", where, fmt.Sprintf("it says it was written by Lucene %q", s.Lucene), "")
			continue
		}
		if tried := measured[t]; lucene.newer(own) && (tried == luceneVersion{} || lucene.newer(tried)) {
			v.refuse("lucene-newer", where, fmt.Sprintf("Lucene %s wrote it, and OpenSearch %s has Lucene %s", lucene, t, own), t.newerTarget(lucene))
		}
		oldest := lucene
		if m, ok := parseLucene(s.MinVersion); ok && !c.twoHop {
			oldest = m
		}
		if oldest[0] < own[0]-1 {
			way := ""
			if lucene[0] >= own[0]-1 || c.twoHop {
				way = twoHopWay
			}
			v.refuse("lucene-older", where, fmt.Sprintf("it has documents that Lucene %s wrote, and OpenSearch %s, with Lucene %s, reads those of Lucene %d and later", oldest, t, own, own[0]-1), way)
		} else if s.Created != 0 && s.Created < own[0]-1 && !c.twoHop {
			v.refuse("lucene-created", "index", fmt.Sprintf("Lucene %d created it, and OpenSearch %s opens what Lucene %d and later created", s.Created, t, own[0]-1), "")
		}
		for _, names := range []struct {
			rule, what string
			known      map[string]span
			names      []string
		}{
			{"codec", "the codec", codecs, []string{s.Codec}},
			{"postings-format", "the postings format", postings, s.Postings},
			{"doc-values-format", "the doc-values format", docValues, s.DocValues},
			{"vectors-format", "the vectors format", vectors, s.Vectors},
			{"sort-provider", "the sort field", sortProviders, s.Sort},
		} {
			for _, name := range names.names {
				if known, ok := names.known[name]; ok && known.has(t.reads()) {
					continue
				}
				v.refuse(names.rule, where, fmt.Sprintf("%s %q is not in OpenSearch %s", names.what, name, t), formatWay(name))
			}
		}
		if slices.ContainsFunc(s.Fields, func(f Field) bool { return f.Name == "_doc_count" && f.Indexed }) {
			v.refuse("doc-count-field", where, "it has documents with _doc_count as Elasticsearch keeps it; OpenSearch would not see it and count wrong", "")
		}
	}
	onlyBlooms(v.Refusals[first:])
}

// onlyBlooms takes back the way to be rid of bloom filters where something else is in the way too.
func onlyBlooms(refusals []Refusal) {
	if !slices.ContainsFunc(refusals, func(r Refusal) bool { return r.Way != bloomWay }) {
		return
	}
	for n := range refusals {
		if refusals[n].Way == bloomWay {
			refusals[n].Way = ""
		}
	}
}

// reads is the newest Lucene whose names the target finds.
func (t Target) reads() luceneVersion {
	if v, ok := measured[t]; ok {
		return v
	}
	return luceneOf[t]
}

// newerTarget names the first target that has a Lucene, if one has.
func (t Target) newerTarget(lucene luceneVersion) string {
	for _, other := range Targets() {
		if own := luceneOf[other]; own[0] == lucene[0] && !lucene.newer(own) {
			return fmt.Sprintf("OpenSearch %s has Lucene %s", other, own)
		}
	}
	return ""
}

// bloomWay is how segments get rid of Elasticsearch's bloom filters.
const bloomWay = "in the source: set index.bloom_filter_for_id_field.enabled to false, force-merge the index to one segment, and snapshot it again"

// formatWay says how segments get rid of a format; "" if they do not.
func formatWay(name string) string {
	if name == "ES85BloomFilter" || name == "ES87BloomFilter" {
		return bloomWay
	}
	return ""
}

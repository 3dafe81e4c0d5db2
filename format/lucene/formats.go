package lucene

import (
	"maps"
	"slices"
	"strings"
)

// Formats are the names that Lucene must know to open a segment, and what of the segment's formats is said beside
// them. Lucene finds most by SPI, in META-INF/services of its jars: where no jar has a name, the segment does not
// open. Lists are sorted, each name once. A format may look up others, by names in its own files: a bloom filter the
// format that it stands before.
type Formats struct {
	Segment    string   // its name, "_0"
	Codec      string   // of the commit; Codec.forName
	Postings   []string // PostingsFormat.forName
	DocValues  []string // DocValuesFormat.forName
	Vectors    []string // KnnVectorsFormat.forName
	Sort       []string // SortFieldProvider.forName; see IndexSort
	SortFields int      // how many fields the segment is sorted by
	SortErr    error    // why Sort may lack names

	Lucene     string // version that wrote the segment
	MinVersion string // of what was merged into it; "" if it does not say
	MaxDoc     int    // documents, deleted ones and nested children among them
	Compound   bool

	// What follows is not looked up: the class that Codec names knows which it reads.
	SegmentInfo      string // codec of the .si file's header, and its version: "Lucene90SegmentInfo/0"
	FieldInfos       string // the same of the .fnm file
	StoredFields     string // "Lucene90StoredFieldsFormat", as far as an attribute of the segment says
	StoredFieldsMode string // the attribute's value: "BEST_SPEED", "BEST_COMPRESSION", "ZSTD", …

	Fields []FieldFormats // in the order of the field infos
}

// FieldFormats is what a segment has of a field, and in which formats. A format's name is "" if the field has no
// data of that kind; one with data and without a name is in the codec's own.
type FieldFormats struct {
	Name             string
	Index            IndexOptions // not NotIndexed: it has terms, and so postings
	Norms            bool
	DocValues        string // "", "NUMERIC", "BINARY", "SORTED", "SORTED_SET", "SORTED_NUMERIC", as DocValuesType
	Points           int    // dimensions; 0: none
	Vectors          int    // dimensions; 0: none
	PostingsFormat   string
	DocValuesFormats []string // usually one; another if the doc values were updated in another
	VectorsFormat    string
}

// Attributes of fields (org.apache.lucene.codecs.perfield.PerFieldPostingsFormat and its siblings).
const (
	postingsFormat  = "PerFieldPostingsFormat.format"
	docValuesFormat = "PerFieldDocValuesFormat.format"
	vectorsFormat   = "PerFieldKnnVectorsFormat.format"
)

var docValuesTypes = [...]string{
	docValuesNone: "", docValuesNumeric: "NUMERIC", docValuesBinary: "BINARY", docValuesSorted: "SORTED",
	docValuesSortedSet: "SORTED_SET", docValuesSortedNumeric: "SORTED_NUMERIC",
}

// Formats gives the names that Lucene looks up for the segment. After an update of doc values Lucene reads the field
// infos that the segment was written with and the current ones, so the formats of both count.
func (s *Segment) Formats() Formats {
	f := Formats{
		Segment: s.Name, Codec: s.Codec, Sort: distinct(s.Info.Sort.Providers), SortFields: s.Info.Sort.Fields, SortErr: s.Info.Sort.Err,
		Lucene: s.Info.Lucene, MinVersion: s.Info.MinVersion, MaxDoc: s.Info.MaxDoc, Compound: s.Info.Compound,
		SegmentInfo: s.Info.Format, FieldInfos: s.Fields.Format,
		Fields: make([]FieldFormats, 0, len(s.Fields.Fields)),
	}
	for _, name := range slices.Sorted(maps.Keys(s.Info.Attributes)) {
		if format, ok := strings.CutSuffix(name, ".mode"); ok && strings.HasSuffix(format, "StoredFieldsFormat") {
			f.StoredFields, f.StoredFieldsMode = format, s.Info.Attributes[name]
		}
	}
	for i := range s.Fields.Fields {
		now := &s.Fields.Fields[i]
		own := s.flushed.named(now.Name)
		field := FieldFormats{
			Name: now.Name, Index: now.Index, Norms: now.Index != NotIndexed && !now.NoNorms, DocValues: docValuesTypes[now.DocValues],
			Points: now.Points, Vectors: now.Vectors, PostingsFormat: now.Attributes[postingsFormat], VectorsFormat: now.Attributes[vectorsFormat],
			DocValuesFormats: distinct([]string{now.Attributes[docValuesFormat], own.Attributes[docValuesFormat]}),
		}
		f.Postings = append(f.Postings, field.PostingsFormat, own.Attributes[postingsFormat])
		f.DocValues = append(f.DocValues, field.DocValuesFormats...)
		f.Vectors = append(f.Vectors, field.VectorsFormat, own.Attributes[vectorsFormat])
		f.Fields = append(f.Fields, field)
	}
	f.Postings, f.DocValues, f.Vectors = distinct(f.Postings), distinct(f.DocValues), distinct(f.Vectors)
	return f
}

// named gives the field called name, or one without anything.
func (fi *FieldInfos) named(name string) *FieldInfo {
	if fi != nil {
		if i, ok := fi.byName[name]; ok {
			return &fi.Fields[i]
		}
	}
	return &FieldInfo{}
}

// distinct sorts names and drops empty and equal ones; nil if none is left.
func distinct(names []string) []string {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	if len(names) > 0 && names[0] == "" {
		names = names[1:]
	}
	if len(names) == 0 {
		return nil
	}
	return names
}

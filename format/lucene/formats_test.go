package lucene

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// realFile gives a file of a real server out of the corpus of FuzzFile: "es717", "SegmentInfo".
func realFile(t testing.TB, server, codec string) []byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "fuzz", "FuzzFile", server+"-*"+codec))
	if err != nil || len(paths) != 1 {
		t.Fatalf("files of %s called %s: %v, %v", server, codec, paths, err)
	}
	text, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	quoted, _ := strings.CutPrefix(strings.Split(string(text), "\n")[1], "[]byte(")
	b, err := strconv.Unquote(strings.TrimSuffix(quoted, ")"))
	if err != nil {
		t.Fatal(err)
	}
	return []byte(b)
}

var servers = []string{"es56", "es68", "es710", "es717", "es8", "os13", "os29", "os219", "os3"}

func TestTheFormatsOfRealSegmentsAreNamed(t *testing.T) {
	for server, want := range map[string]Formats{
		"es56":  {Postings: []string{"Lucene50"}, DocValues: []string{"Lucene54"}, Lucene: "6.6.1", SegmentInfo: "Lucene62SegmentInfo/1", FieldInfos: "Lucene60FieldInfos/0", StoredFields: "Lucene50StoredFieldsFormat"},
		"es68":  {Postings: []string{"Lucene50"}, DocValues: []string{"Lucene70"}, Lucene: "7.7.3", SegmentInfo: "Lucene70SegmentInfo/0", FieldInfos: "Lucene60FieldInfos/2", StoredFields: "Lucene50StoredFieldsFormat"},
		"es710": {Postings: []string{"Lucene84"}, DocValues: []string{"Lucene80"}, Lucene: "8.7.0", SegmentInfo: "Lucene86SegmentInfo/0", FieldInfos: "Lucene60FieldInfos/2", StoredFields: "Lucene87StoredFieldsFormat"},
		"es717": {Postings: []string{"Lucene84"}, DocValues: []string{"Lucene80"}, Lucene: "8.11.3", SegmentInfo: "Lucene86SegmentInfo/0", FieldInfos: "Lucene60FieldInfos/2", StoredFields: "Lucene87StoredFieldsFormat"},
		"es8":   {Postings: []string{"ES87BloomFilter"}, DocValues: []string{"Lucene90"}, Lucene: "9.12.1", SegmentInfo: "Lucene90SegmentInfo/0", FieldInfos: "Lucene94FieldInfos/1", StoredFields: "Zstd814StoredFieldsFormat"},
		"os13":  {Postings: []string{"Lucene84"}, DocValues: []string{"Lucene80"}, Lucene: "8.10.1", SegmentInfo: "Lucene86SegmentInfo/0", FieldInfos: "Lucene60FieldInfos/2", StoredFields: "Lucene87StoredFieldsFormat"},
		"os29":  {Postings: []string{"Lucene90"}, DocValues: []string{"Lucene90"}, Lucene: "9.7.0", SegmentInfo: "Lucene90SegmentInfo/0", FieldInfos: "Lucene94FieldInfos/0", StoredFields: "Lucene90StoredFieldsFormat"},
		"os219": {Postings: []string{"Lucene912"}, DocValues: []string{"Lucene90"}, Lucene: "9.12.3", SegmentInfo: "Lucene90SegmentInfo/0", FieldInfos: "Lucene94FieldInfos/1", StoredFields: "Lucene90StoredFieldsFormat"},
		"os3":   {Postings: []string{"Lucene104"}, DocValues: []string{"Lucene90"}, Lucene: "10.5.0", SegmentInfo: "Lucene90SegmentInfo/0", FieldInfos: "Lucene94FieldInfos/2", StoredFields: "Lucene90StoredFieldsFormat"},
	} {
		dir := memory{"_0.si": realFile(t, server, "SegmentInfo"), "_0.fnm": realFile(t, server, "FieldInfos")}
		var err error
		seg := &Segment{CommitSegment: CommitSegment{Name: "_0", Codec: "X"}}
		if seg.Info, err = readSegmentInfo(dir, "_0", ID{}); err != nil {
			t.Fatal(err)
		}
		if seg.Fields, err = readFieldInfos(dir, "_0.fnm", ID{}); err != nil {
			t.Fatal(err)
		}
		got := seg.Formats()
		if len(got.Fields) < 5 || got.MaxDoc == 0 {
			t.Errorf("%s: %+v", server, got)
		}
		for _, f := range got.Fields {
			if (f.Index != NotIndexed) != (f.PostingsFormat != "") || (f.DocValues != "") != (len(f.DocValuesFormats) > 0) || f.Vectors != 0 || f.VectorsFormat != "" {
				t.Errorf("%s: %+v", server, f)
			}
			if f.Name == "_id" && (f.Index != IndexedDocs || f.Norms || f.DocValues != "") {
				t.Errorf("%s: %+v", server, f)
			}
			if f.Name == "_version" && f.DocValues != "NUMERIC" {
				t.Errorf("%s: %+v", server, f)
			}
		}
		want.Segment, want.Codec, want.MaxDoc, want.Compound, want.Fields = "_0", "X", got.MaxDoc, got.Compound, got.Fields
		want.StoredFieldsMode = "BEST_COMPRESSION" // the corpus of Elasticsearch is of an index that asked for it
		if strings.HasPrefix(server, "os") {
			want.StoredFieldsMode = "BEST_SPEED"
		}
		if want.Lucene != "6.6.1" { // Lucene 7 began to say it
			want.MinVersion = want.Lucene
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", server, diff)
		}
	}
}

// body appends what field infos and sorts are made of.
type body []byte

func (b *body) str(s string) *body {
	*b = append(append(*b, byte(len(s))), s...)
	return b
}

func (b *body) le(v int32) *body {
	*b = binary.LittleEndian.AppendUint32(*b, uint32(v))
	return b
}

func (b *body) raw(c ...byte) *body {
	*b = append(*b, c...)
	return b
}

// field appends one of Lucene94FieldInfos, version 0.
func (b *body) field(name string, number, bits, index, docValues byte, gen int64, points, vectors byte, attributes ...string) {
	b.str(name).raw(number, bits, index, docValues)
	*b = binary.LittleEndian.AppendUint64(*b, uint64(gen))
	b.raw(byte(len(attributes) / 2))
	for _, a := range attributes {
		b.str(a)
	}
	if b.raw(points); points != 0 {
		b.raw(points, 8)
	}
	b.raw(vectors, 1, 2)
}

func TestFormatsBeforeAndAfterAnUpdateOfDocValuesBothCount(t *testing.T) {
	id := ID{1}
	si := body{9, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 1, 9, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0xff, 0, 0, 0}
	si.raw(1).str("Lucene99CustomStoredFieldsFormat.mode").str("ZSTD").raw(2)
	si.str("SortedSetSortField").str("host").le(0).le(1).le(0)
	si.str("SortField").str("n").str("LONG").le(1).le(1).raw(1, 2, 3, 4, 5, 6, 7, 8)
	own := body{4}
	own.field("text", 0, 0, 3, 0, -1, 0, 0, postingsFormat, "Lucene90")
	own.field("quiet", 1, 2, 1, 3, -1, 0, 0, postingsFormat, "ES87BloomFilter", docValuesFormat, "Lucene90")
	own.field("v", 2, 0, 0, 0, -1, 2, 64, vectorsFormat, "Lucene99HnswVectorsFormat")
	own.field("deleted", 3, 8, 0, 1, -1, 0, 0, docValuesFormat, "Lucene80")
	now := body{5}
	now.field("text", 0, 0, 3, 0, -1, 0, 0, postingsFormat, "Lucene90")
	now.field("quiet", 1, 2, 1, 3, -1, 0, 0, postingsFormat, "ES87BloomFilter", docValuesFormat, "Lucene90")
	now.field("v", 2, 0, 0, 0, -1, 2, 64, vectorsFormat, "Lucene99HnswVectorsFormat")
	now.field("deleted", 3, 8, 0, 1, 1, 0, 0, docValuesFormat, "Lucene90")
	now.field("new", 4, 0, 0, 1, 1, 0, 0, docValuesFormat, "ES87TSDB")
	dir := memory{
		"_0.si":    written("Lucene90SegmentInfo", 0, id, si),
		"_0.fnm":   written("Lucene94FieldInfos", 0, id, own),
		"_0_2.fnm": written("Lucene94FieldInfos", 0, id, now),
	}
	seg, err := OpenSegment(dir, CommitSegment{Name: "_0", ID: id, Codec: "Lucene912", FieldInfosGen: 2}, new(Checker))
	if err != nil {
		t.Fatal(err)
	}
	want := Formats{
		Segment: "_0", Codec: "Lucene912", Postings: []string{"ES87BloomFilter", "Lucene90"}, DocValues: []string{"ES87TSDB", "Lucene80", "Lucene90"},
		Vectors: []string{"Lucene99HnswVectorsFormat"}, Sort: []string{"SortField", "SortedSetSortField"}, SortFields: 2,
		Lucene: "9.12.0", MinVersion: "9.7.0", MaxDoc: 3, SegmentInfo: "Lucene90SegmentInfo/0", FieldInfos: "Lucene94FieldInfos/0",
		StoredFields: "Lucene99CustomStoredFieldsFormat", StoredFieldsMode: "ZSTD",
		Fields: []FieldFormats{
			{Name: "text", Index: IndexedPositions, Norms: true, PostingsFormat: "Lucene90"},
			{Name: "quiet", Index: IndexedDocs, DocValues: "SORTED", PostingsFormat: "ES87BloomFilter", DocValuesFormats: []string{"Lucene90"}},
			{Name: "v", Points: 2, Vectors: 64, VectorsFormat: "Lucene99HnswVectorsFormat"},
			{Name: "deleted", DocValues: "NUMERIC", DocValuesFormats: []string{"Lucene80", "Lucene90"}},
			{Name: "new", DocValues: "NUMERIC", DocValuesFormats: []string{"ES87TSDB"}},
		},
	}
	if diff := cmp.Diff(want, seg.Formats()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	delete(dir, "_0.fnm")
	if _, err := OpenSegment(dir, CommitSegment{Name: "_0", ID: id, FieldInfosGen: 2}, new(Checker)); err == nil {
		t.Error("a segment opens without the field infos that it was written with")
	}
}

func TestEveryKindOfSortIsReadToItsEnd(t *testing.T) {
	named := func(fill func(b *body)) body {
		b := body{1}
		fill(&b)
		return b
	}
	type providers = []string
	for what, c := range map[string]struct {
		named bool
		b     body
		want  IndexSort
	}{
		"none":               {true, body{0}, IndexSort{}},
		"a number":           {true, named(func(b *body) { b.str("SortField").str("a").str("INT").le(0).le(1).le(7) }), IndexSort{Fields: 1, Providers: providers{"SortField"}}},
		"a number, no value": {true, named(func(b *body) { b.str("SortField").str("a").str("DOUBLE").le(0).le(0) }), IndexSort{Fields: 1, Providers: providers{"SortField"}}},
		"text":               {true, named(func(b *body) { b.str("SortField").str("a").str("STRING").le(0).le(1).le(1) }), IndexSort{Fields: 1, Providers: providers{"SortField"}}},
		"numbers": {true, named(func(b *body) {
			b.str("SortedNumericSortField").str("a").str("FLOAT").le(1).le(0).le(1).le(9)
		}), IndexSort{Fields: 1, Providers: providers{"SortedNumericSortField"}}},
		"a set":                    {true, named(func(b *body) { b.str("SortedSetSortField").str("a").le(1).le(0).le(2) }), IndexSort{Fields: 1, Providers: providers{"SortedSetSortField"}}},
		"bytes":                    {true, named(func(b *body) { b.str("BinarySortField").str("a").le(1).le(0) }), IndexSort{Fields: 1, Providers: providers{"BinarySortField"}}},
		"Lucene 7: text":           {false, named(func(b *body) { b.str("a").raw(0, 1, 2) }), IndexSort{Fields: 1}},
		"Lucene 7: a set":          {false, named(func(b *body) { b.str("a").raw(5, 1, 1, 1) }), IndexSort{Fields: 1}},
		"Lucene 7: numbers":        {false, named(func(b *body) { b.str("a").raw(6, 3, 0, 1, 1, 1, 2, 3, 4) }), IndexSort{Fields: 1}},
		"Lucene 7: longs":          {false, named(func(b *body) { b.str("a").raw(6, 0, 0, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8) }), IndexSort{Fields: 1}},
		"Lucene 7: a double":       {false, named(func(b *body) { b.str("a").raw(3, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8) }), IndexSort{Fields: 1}},
		"Lucene 7: no value given": {false, named(func(b *body) { b.str("a").raw(4, 1, 0) }), IndexSort{Fields: 1}},
	} {
		in := input{b: c.b, le: true}
		if diff := cmp.Diff(c.want, in.indexSort(c.named)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", what, diff)
		}
		in = input{b: append(c.b, 0), le: true}
		if s := in.indexSort(c.named); !errors.Is(s.Err, ErrCorrupt) {
			t.Errorf("%s, and a byte more: %+v", what, s)
		}
	}
	for what, c := range map[string]struct {
		named bool
		b     body
		want  error
	}{
		"a provider that is not known": {true, named(func(b *body) { b.str("ShapeSortField").le(1) }), ErrUnsupported},
		"a kind that is not known":     {false, named(func(b *body) { b.str("a").raw(7, 1, 0) }), ErrCorrupt},
		"a value of no kind":           {true, named(func(b *body) { b.str("SortField").str("a").str("DOC").le(0).le(1) }), ErrCorrupt},
		"numbers of no kind":           {false, named(func(b *body) { b.str("a").raw(6, 9, 0, 1, 1) }), ErrCorrupt},
		"cut":                          {true, named(func(b *body) { b.str("SortField").str("a") }), ErrCorrupt},
	} {
		in := input{b: c.b, le: true}
		if s := in.indexSort(c.named); !errors.Is(s.Err, c.want) || s.Fields != 1 || c.want == ErrUnsupported && len(s.Providers) != 1 {
			t.Errorf("%s: %+v, want %v", what, s, c.want)
		}
	}
}

package snapshot

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"iter"
	"math"
	"runtime"
	"sort"
	"strings"
	"testing"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/format/lucene"
	format "github.com/narudata/naru/format/snapshot"
)

// giant is a segment of many documents, whose stored fields are made up as they are read: a file of any length
// that takes no memory. Each chunk holds one document.
type giant struct {
	docs  int
	like  []byte // what all chunks are like, but for the number in front
	ids   [2]int // where the id stands in it
	head  []byte
	doc   string // its source, but for the number in front
	crc   uint32
	small map[string][]byte
	most  int64 // the longest read of the stored fields; not synchronised: the test reads in one goroutine
}

func frame(codec string, version uint32, body []byte) []byte {
	b := indexHeader(codec, version)
	b = append(b, body...)
	b = binary.BigEndian.AppendUint32(b, 0xC02893E8)
	b = binary.BigEndian.AppendUint32(b, 0)
	return binary.BigEndian.AppendUint64(b, uint64(crc32.ChecksumIEEE(b)))
}

func indexHeader(codec string, version uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, 0x3FD76C17)
	b = append(append(b, byte(len(codec))), codec...)
	b = binary.BigEndian.AppendUint32(b, version)
	return append(b, make([]byte, 17)...) // id and suffix
}

func newGiant(docs, size int) *giant {
	g := &giant{docs: docs, doc: strings.Repeat("x", size), small: map[string][]byte{}}
	g.like = g.firstChunk()
	first := bytes.Index(g.like, []byte("000000000"))
	g.ids = [2]int{first, bytes.LastIndex(g.like, []byte("000000000"))}
	// .si: version 7.7.3, oldest version none, documents, not compound, no maps
	si := binary.BigEndian.AppendUint32(nil, 7)
	si = append(si, 0, 0, 0, 7, 0, 0, 0, 3, 0)
	si = binary.BigEndian.AppendUint32(si, uint32(docs))
	g.small["_0.si"] = frame("Lucene70SegmentInfo", 0, append(si, 0xff, 0, 0, 0, 0))
	var fnm []byte
	fnm = append(fnm, 2)
	for i, name := range []string{"_id", "_source"} {
		fnm = append(append(fnm, byte(len(name))), name...)
		fnm = append(fnm, byte(i), 0, 0, 0)
		fnm = append(fnm, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0)
	}
	g.small["_0.fnm"] = frame("Lucene60FieldInfos", 2, fnm)
	g.head = append(indexHeader("Lucene50StoredFieldsFastData", 1), 0x80, 0x80, 1, 2) // chunks of 16384; packed ints
	b := make([]byte, 1<<20)
	for off, end := int64(0), g.Size()-8; off < end; {
		n, err := g.ReadAt(b[:min(int64(len(b)), end-off)], off)
		if err != nil {
			panic(err)
		}
		g.crc = crc32.Update(g.crc, crc32.IEEETable, b[:n])
		off += int64(n)
	}
	return g
}

// chunk is the i-th chunk: its head, and an LZ4 block of literals alone.
func (g *giant) chunk(i int) []byte {
	b := append(binary.AppendUvarint(nil, uint64(i)), g.like...)
	id := fmt.Sprintf("%09d", i)
	for _, at := range g.ids {
		copy(b[len(b)-len(g.like)+at:], id)
	}
	return b
}

// firstChunk is what all chunks are like: the first, without its number.
func (g *giant) firstChunk() []byte {
	source := fmt.Sprintf(`{"n":"000000000","x":%q}`, g.doc)
	doc := append([]byte{0<<3 | 1, 10, 0xff}, "000000000"...)
	doc = append(doc, 1<<3|1)
	doc = append(binary.AppendUvarint(doc, uint64(len(source))), source...)
	b := binary.AppendUvarint([]byte{1 << 1, 2}, uint64(len(doc)))
	b = append(b, 0xf0)
	n := len(doc) - 15
	for ; n >= 255; n -= 255 {
		b = append(b, 255)
	}
	return append(append(b, byte(n)), doc...)
}

// offset is where the i-th chunk begins.
func (g *giant) offset(i int) int64 {
	vints := int64(i)
	for limit := 1 << 7; limit < 1<<28; limit <<= 7 {
		vints += int64(max(0, i-limit))
	}
	return int64(len(g.head)) + int64(len(g.like)*i) + vints
}

func (g *giant) Size() int64 { return g.offset(g.docs) + 2 + 16 }

func (g *giant) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	put := func(at int64, b []byte) {
		if skip := off + int64(n) - at; n < len(p) && skip >= 0 && skip < int64(len(b)) {
			n += copy(p[n:], b[skip:])
		}
	}
	put(0, g.head)
	for i := sort.Search(g.docs, func(i int) bool { return g.offset(i+1) > off }); i < g.docs && n < len(p); i++ {
		put(g.offset(i), g.chunk(i))
	}
	tail := []byte{0, 0, 0xC0, 0x28, 0x93, 0xE8, 0, 0, 0, 0}
	put(g.offset(g.docs), binary.BigEndian.AppendUint64(tail, uint64(g.crc)))
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (g *giant) Open(_ context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if name == "d/fdt" {
		g.most = max(g.most, n)
		return io.NopCloser(io.NewSectionReader(g, off, n)), nil
	}
	return nil, fs.ErrNotExist
}

func (g *giant) List(context.Context, string) iter.Seq2[blob.Entry, error] { return nil }

func (g *giant) String() string { return "giant" }

// source gives a source whose only shard is g.
func (g *giant) source() (*Source, flow.Part) {
	sh := &shard{store: g, dir: "d", files: map[string]*format.File{
		"_0.fdt": {Name: "fdt", Physical: "_0.fdt", Length: g.Size(), PartSize: math.MaxInt64},
	}, commit: &lucene.Commit{Segments: []lucene.CommitSegment{{Name: "_0", DelGen: -1, FieldInfosGen: -1, DocValuesGen: -1}}}}
	for name, b := range g.small {
		sh.files[name] = &format.File{Name: "v__" + name, Physical: name, Length: int64(len(b)), PartSize: math.MaxInt64, Meta: b}
	}
	s := &Source{config: Config{Window: defaultWindow}, repo: &Repository{Store: g}}
	s.shards.shards = map[string]*cachedShard{"d u": {shard: sh}}
	raw, err := json.Marshal(spec{Index: "giant", Dir: "d", Snapshot: "u", Segment: "_0"})
	if err != nil {
		panic(err)
	}
	return s, flow.Part{ID: "giant/0/_0", Group: "giant", Spec: raw}
}

func TestMemoryIsBoundedByTheBatchNotByTheSegment(t *testing.T) {
	const size, docs, budget = 8 << 10, 32_000, 24 << 20 // 260 MB of stored fields
	g := newGiant(docs, size)
	if g.Size() < 10*budget {
		t.Fatalf("a file of %d bytes proves nothing", g.Size())
	}
	src, part := g.source()
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, peak := m.HeapAlloc, uint64(0)
	r, err := src.Open(t.Context(), part, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := flow.Batch{MaxBytes: 1 << 20}
	n := 0
	for {
		b.Reset()
		err := r.Read(t.Context(), &b)
		for i := range b.Records {
			if want := fmt.Sprintf("%09d", n); string(b.Records[i].Key) != want || len(b.Records[i].Body) != size+24 {
				t.Fatalf("record %d is %s, %d bytes", n, b.Records[i].Key, len(b.Records[i].Body))
			}
			n++
		}
		if n%1000 < len(b.Records) {
			runtime.GC() // what is left is held
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n != docs {
		t.Errorf("%d documents, not %d", n, docs)
	}
	if grown := int64(peak) - int64(before); grown > budget {
		t.Errorf("the heap grew by %d bytes, more than %d, for a file of %d", grown, budget, g.Size())
	}
	if g.most > 2*defaultWindow {
		t.Errorf("one read asked for %d bytes", g.most)
	}
}

package lucene

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// memory is a directory of files in memory.
type memory map[string][]byte

func (m memory) Open(name string) (File, error) {
	if b, ok := m[name]; ok {
		return bytes.NewReader(b), nil
	}
	return nil, fs.ErrNotExist
}

// sealed gives b with a footer that fits it, so that the fuzzer gets past the checksum.
func sealed(b []byte) []byte {
	b = bytes.Clone(b[:max(0, len(b)-footerLength)])
	b = binary.BigEndian.AppendUint32(b, footerMagic)
	b = binary.BigEndian.AppendUint32(b, 0)
	return binary.BigEndian.AppendUint64(b, uint64(crc32.ChecksumIEEE(b)))
}

// written gives a file: an index header, the body, a footer.
func written(codec string, version int32, id ID, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, headerMagic)
	b = append(b, byte(len(codec)))
	b = append(b, codec...)
	b = binary.BigEndian.AppendUint32(b, uint32(version))
	b = append(b, id[:]...)
	b = append(b, 0)
	b = append(b, body...)
	return sealed(append(b, make([]byte, footerLength)...))
}

// anyFields are fields of every kind, so that doc-values metadata find theirs.
func anyFields() *FieldInfos {
	fi := &FieldInfos{byNumber: map[int]int{}, byName: map[string]int{}}
	names := []string{"_id", "_uid", "_source", "_routing", "_recovery_source", "_parent", "__soft_deletes"}
	for i := range 64 {
		f := FieldInfo{Name: string(rune('a' + i)), Number: i, DocValues: docValuesNumeric, DocValuesGen: -1}
		if i < len(names) {
			f.Name = names[i]
		}
		if i%5 == 0 {
			f.SkipIndex = 1
		}
		f.Attributes = map[string]string{"Lucene80DocValuesFormat.mode": []string{"BEST_SPEED", "BEST_COMPRESSION"}[i%2]}
		fi.byNumber[i], fi.byName[f.Name] = i, i
		fi.Fields = append(fi.Fields, f)
	}
	return fi
}

// FuzzFile reads any kind of file, by its header. The corpus are files of real servers.
func FuzzFile(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte, maxDoc uint16) {
		b = sealed(b)
		h, err := ReadIndexHeader(b)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%v", err)
			}
			return
		}
		err = readAny(h, b, int(maxDoc))
		if err != nil && !isVerdict(err) {
			t.Errorf("neither corrupt nor unsupported: %v", err)
		}
	})
}

func readAny(h Header, b []byte, maxDoc int) error {
	dir := memory{"_0.si": b, "_0.cfe": b, "_0.cfs": make([]byte, 1<<16), "_0.fnm": b, "_0_1.liv": b, "_0.dvm": b, "_0.dvd": make([]byte, 1<<14)}
	seg := &Segment{
		CommitSegment: CommitSegment{Name: "_0", ID: h.ID, DelGen: 1, FieldInfosGen: -1},
		Info:          &SegmentInfo{MaxDoc: maxDoc}, Fields: anyFields(), dir: dir, files: dir, checker: new(Checker),
	}
	switch {
	case h.Codec == "segments":
		_, err := ReadCommit("segments_"+h.Suffix, b)
		return err
	case strings.HasSuffix(h.Codec, "SegmentInfo"):
		_, err := readSegmentInfo(dir, "_0", h.ID)
		return err
	case strings.HasSuffix(h.Codec, "CompoundEntries"):
		_, err := openCompound(dir, "_0", h.ID)
		return err
	case strings.HasSuffix(h.Codec, "FieldInfos"):
		_, err := readFieldInfos(dir, "_0.fnm", h.ID)
		return err
	case strings.HasSuffix(h.Codec, "LiveDocs"):
		_, err := seg.LiveDocs(0, maxDoc)
		return err
	case strings.HasSuffix(h.Codec, "DocValuesMetadata"):
		var errs []error
		dir["_0.dvd"] = sealed(make([]byte, 1<<14))
		for i := range seg.Fields.Fields {
			errs = append(errs, seg.docsWithValue(&seg.Fields.Fields[i], func(int, *[1024]uint64) {}))
		}
		for _, err := range errs {
			if err != nil && !isVerdict(err) {
				return err
			}
		}
		return nil
	case strings.HasSuffix(h.Codec, "FieldsIndexMeta"):
		return readIndexOf(h, b, written("Lucene90FieldsIndexIdx", 1, h.ID, make([]byte, 500)))
	case strings.HasSuffix(h.Codec, "FieldsIndexIdx"):
		body := append([]byte{0x80, 0x80, 5}, make([]byte, 4*3+8+21+8+21+16)...)
		body[3+4], body[3+8] = 10, 20 // block shift, chunks, little-endian
		return readIndexOf(h, written("Lucene90FieldsIndexMeta", 1, h.ID, body), b)
	case strings.HasSuffix(h.Codec, "Index"):
		in := input{b: b[:len(b)-footerLength], p: h.Length}
		index, err := in.blockIndex()
		if err == nil {
			index(func(ChunkAt) bool { return true })
		}
		return err
	}
	dir["_0.fdt"] = b
	dir["_0.fdm"] = written("Lucene90FieldsIndexMeta", 1, h.ID, []byte{0x80, 0x80, 5})
	sf, err := seg.OpenStoredFields()
	if err != nil {
		return err
	}
	return scanAll(sf, maxDoc, func(*Document) {})
}

func readIndexOf(h Header, meta, index []byte) error {
	for _, le := range []bool{true, false} {
		in := input{b: index[:len(index)-footerLength], le: le}
		m := input{b: meta[:len(meta)-footerLength], le: le}
		m.indexHeader()
		m.vint()
		if !le {
			m.vint()
		}
		chunks, err := monotonicIndex(&m, &in)
		if err != nil {
			if !isVerdict(err) {
				return err
			}
			continue
		}
		n := 0
		chunks(func(ChunkAt) bool { n++; return n < 1000 })
	}
	return nil
}

func scanAll(sf *StoredFields, maxDoc int, yield func(*Document)) error {
	sc, err := sf.Scan(sf.First(), maxDoc, 512)
	if err != nil {
		return err
	}
	var d Document
	for {
		chunk, err := sc.Next(func(n int) []byte { return make([]byte, n) })
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for i := range chunk.Len() {
			if err := sf.Document(chunk, i, &d); err != nil {
				return err
			}
			if d.ID != nil {
				if _, err := AppendID(nil, d.ID); err != nil {
					return err
				}
			}
			yield(&d)
		}
	}
}

// modes are all ways to compress a chunk, with what writes them.
func modes(t testing.TB) []struct {
	name string
	mode decompressor
	put  func(rng *rand.Rand, data []byte) []byte
} {
	vints := func(b []byte, v ...int) []byte {
		for _, v := range v {
			b = binary.AppendUvarint(b, uint64(v))
		}
		return b
	}
	preset := func(data []byte) (dict, block int) {
		if len(data) == 0 {
			return 0, 0
		}
		dict = len(data) / 20
		return dict, (len(data) - dict + 9) / 10
	}
	zstded := func(data []byte, options ...zstd.EOption) []byte {
		if len(data) == 0 {
			return nil
		}
		w, err := zstd.NewWriter(nil, append(options, zstd.WithEncoderConcurrency(1))...)
		if err != nil {
			t.Fatal(err)
		}
		return w.EncodeAll(data, nil)
	}
	withLength := func(b, compressed []byte) []byte { return append(vints(b, len(compressed)), compressed...) }
	presets := func(data []byte, one func(dict, data []byte) []byte) []byte {
		d, n := preset(data)
		b := withLength(vints(nil, d, n), one(nil, data[:d]))
		for at := d; at < len(data); at += n {
			b = withLength(b, one(data[:d], data[at:min(len(data), at+n)]))
		}
		return b
	}
	return []struct {
		name string
		mode decompressor
		put  func(rng *rand.Rand, data []byte) []byte
	}{
		{"LZ4", lz4Plain{}, func(rng *rand.Rand, data []byte) []byte { return compressLZ4(rng, nil, data) }},
		{"LZ4 with dictionary", new(lz4Dict), func(rng *rand.Rand, data []byte) []byte {
			d, n := preset(data)
			streams := [][]byte{compressLZ4(rng, nil, data[:d])}
			for at := d; at < len(data); at += n {
				streams = append(streams, compressLZ4(rng, data[:d], data[at:min(len(data), at+n)]))
			}
			b := vints(nil, d, n)
			for _, s := range streams {
				b = vints(b, len(s))
			}
			return append(b, bytes.Join(streams, nil)...)
		}},
		{"DEFLATE", new(deflate), func(_ *rand.Rand, data []byte) []byte {
			if len(data) == 0 {
				return []byte{0}
			}
			return withLength(nil, deflated(t, 6, nil, data))
		}},
		{"DEFLATE with dictionary", new(deflateDict), func(_ *rand.Rand, data []byte) []byte {
			return presets(data, func(dict, data []byte) []byte {
				if len(data) == 0 {
					return nil
				}
				return deflated(t, 6, dict, data)
			})
		}},
		{"zstd", new(zstdOne), func(_ *rand.Rand, data []byte) []byte {
			if len(data) == 0 {
				return nil
			}
			return withLength(nil, zstded(data))
		}},
		{"zstd in blocks", new(zstdBlocks), func(_ *rand.Rand, data []byte) []byte {
			n := max(1, (len(data)+9)/10)
			b := vints(nil, n)
			for at := 0; at < len(data); at += n {
				b = withLength(b, zstded(data[at:min(len(data), at+n)]))
			}
			return b
		}},
		{"zstd with dictionary", new(zstdDict), func(_ *rand.Rand, data []byte) []byte {
			return presets(data, func(dict, data []byte) []byte {
				if len(dict) == 0 {
					return zstded(data)
				}
				return zstded(data, zstd.WithEncoderDictRaw(0, dict))
			})
		}},
	}
}

func TestEveryModeDecodesWhatItsWriterWrote(t *testing.T) {
	for _, m := range modes(t) {
		t.Run(m.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(10, 11))
			for range 150 {
				data := words(rng, rng.IntN(20_000)*rng.IntN(2))
				src := m.put(rng, data)
				after := bytes.Repeat([]byte{7}, rng.IntN(40))
				dst := make([]byte, len(data)+rng.IntN(3))
				took, err := m.mode.decode(dst, len(data), append(bytes.Clone(src), after...))
				if err != nil || took != len(src) || !bytes.Equal(dst[:len(data)], data) {
					t.Fatalf("%d bytes in %d: took %d, %v", len(data), len(src), took, err)
				}
				if len(src) > 0 {
					cut := rng.IntN(len(src))
					if _, err := m.mode.decode(dst, len(data), src[:cut]); err != errShort && (m.name == "LZ4" || err == nil) {
						t.Fatalf("%d of %d bytes: %v", cut, len(src), err)
					}
				}
			}
		})
	}
}

func FuzzMode(f *testing.F) {
	all := modes(f)
	rng := rand.New(rand.NewPCG(12, 13))
	for i, m := range all {
		for _, n := range []int{0, 10, 900} {
			data := words(rng, n)
			f.Add(uint8(i), uint16(n), m.put(rng, data))
		}
	}
	f.Fuzz(func(t *testing.T, i uint8, n uint16, src []byte) {
		m := all[int(i)%len(all)]
		dst := bytes.Repeat([]byte{0xa5}, int(n)+64)
		took, err := m.mode.decode(dst[:n], int(n), src)
		for _, c := range dst[n:] {
			if c != 0xa5 {
				t.Fatalf("%s wrote past its output", m.name)
			}
		}
		if err == nil && took > len(src) || err != nil && err != errShort && !isVerdict(err) {
			t.Errorf("%s: took %d of %d, %v", m.name, took, len(src), err)
		}
	})
}

package lucene

import (
	"bytes"
	"compress/flate"
	"io"
	"math/rand/v2"
	"testing"
)

func deflated(t testing.TB, level int, dict, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriterDict(&b, level, dict)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestInflateDecodesWhatACompressorWrote(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var z inflater
	for i := range 2000 {
		dict, data := words(rng, rng.IntN(3)*rng.IntN(3000)), words(rng, rng.IntN(1+i*20))
		if rng.IntN(4) == 0 {
			dict = nil            // compress/flate would store it too
			for i := range data { // does not compress: stored blocks
				data[i] = byte(rng.Uint32())
			}
		}
		level := []int{flate.HuffmanOnly, flate.NoCompression, 1, 6, 9}[rng.IntN(5)]
		if level <= 0 {
			dict = nil
		}
		src := deflated(t, level, dict, data)
		got, err := decodeInside(t, dict, len(data), func(dst []byte, base, start, end int) error {
			return z.inflate(dst, base, start, end, src)
		})
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d bytes, level %d, with a dictionary of %d: %v", len(data), level, len(dict), err)
		}
		if err := z.inflate(make([]byte, len(dict)+len(data)), 0, len(dict), len(dict)+len(data), src[:rng.IntN(len(src))]); err == nil {
			t.Fatal("a part of a stream gives no error")
		}
		if n := len(data); n > 0 && z.inflate(make([]byte, n+len(dict)), 0, len(dict), len(dict)+n-1, src) == nil {
			t.Fatal("a stream longer than expected gives no error")
		}
		if z.inflate(make([]byte, len(data)+len(dict)), 0, len(dict), len(dict)+len(data), append(src, 0)) == nil {
			t.Fatal("bytes after the stream give no error")
		}
	}
}

func FuzzInflate(f *testing.F) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, level := range []int{flate.HuffmanOnly, 0, 1, 6, 9} {
		f.Add([]byte("etaoin shrdlu"), deflated(f, level, nil, words(rng, 3000)))
	}
	var z inflater
	f.Fuzz(func(t *testing.T, dict, src []byte) {
		dict = dict[:min(len(dict), 32<<10)]
		in := bytes.NewReader(src)
		want, wantErr := io.ReadAll(io.LimitReader(flate.NewReaderDict(in, dict), 1<<20))
		if len(want) == 1<<20 {
			return
		}
		if wantErr == nil && in.Len() > 0 {
			wantErr = io.ErrUnexpectedEOF // bytes after the stream
		}
		got, err := decodeInside(t, dict, len(want), func(dst []byte, base, start, end int) error {
			return z.inflate(dst, base, start, end, src)
		})
		if wantErr == nil && (err != nil || !bytes.Equal(got, want)) {
			t.Errorf("%v for %d bytes", err, len(want))
		}
		if wantErr != nil && err == nil {
			t.Errorf("no error, should be %v", wantErr)
		}
	})
}

func BenchmarkInflate(b *testing.B) {
	data := words(rand.New(rand.NewPCG(9, 9)), 48<<10)
	src := deflated(b, 6, nil, data)
	dst := make([]byte, len(data))
	var z inflater
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := z.inflate(dst, 0, 0, len(dst), src); err != nil {
			b.Fatal(err)
		}
	}
}

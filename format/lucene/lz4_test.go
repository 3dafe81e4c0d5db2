package lucene

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

// plainLZ4 is the format as its description has it, byte by byte, to compare with.
func plainLZ4(dict []byte, n int, src []byte) (out []byte, took int, err error) {
	out = append(out, dict...)
	end := len(dict) + n
	s := 0
	next := func() int {
		if s >= len(src) {
			err = errShort
			return 0
		}
		s++
		return int(src[s-1])
	}
	length := func(n int) int {
		for c := 255; n >= 15 && c == 255 && err == nil; {
			c = next()
			n += c
		}
		return n
	}
	for {
		token := next()
		literals := length(token >> 4)
		if err != nil {
			return nil, 0, err
		}
		if literals > end-len(out) {
			return nil, 0, ErrCorrupt
		}
		for range literals {
			out = append(out, byte(next()))
		}
		if err != nil || len(out) == end {
			return out[len(dict):], s, err
		}
		off := next()
		off |= next() << 8
		match := length(token&15) + 4
		switch {
		case err != nil:
			return nil, 0, err
		case match > end-len(out) || off == 0 || off > len(out):
			return nil, 0, ErrCorrupt
		}
		for range match {
			out = append(out, out[len(out)-off])
		}
		if len(out) == end {
			return out[len(dict):], s, nil
		}
	}
}

// compressLZ4 writes what a compressor that tries every match at a random distance would.
func compressLZ4(rng *rand.Rand, dict, data []byte) []byte {
	all := append(bytes.Clone(dict), data...)
	var out []byte
	lengths := func(n int) {
		for n -= 15; n >= 255; n -= 255 {
			out = append(out, 255)
		}
		out = append(out, byte(n))
	}
	at := len(dict)
	anchor := at
	emit := func(match, off int) {
		literals := at - anchor
		token := byte(min(literals, 15) << 4)
		if match > 0 {
			token |= byte(min(match-4, 15))
		}
		out = append(out, token)
		if literals >= 15 {
			lengths(literals)
		}
		out = append(out, all[anchor:at]...)
		if match > 0 {
			out = append(out, byte(off), byte(off>>8))
			if match-4 >= 15 {
				lengths(match - 4)
			}
		}
	}
	for at < len(all) {
		best, off := 0, 0
		for range 4 {
			if o := 1 + rng.IntN(min(max(at, 1), 65535)); at > 0 {
				n := 0
				for at+n < len(all)-5 && all[at+n] == all[at+n-o] {
					n++
				}
				if n > best {
					best, off = n, o
				}
			}
		}
		if best >= 4 {
			emit(best, off)
			at += best
			anchor = at
		} else {
			at++
		}
	}
	emit(0, 0)
	return out
}

// words gives text with repetitions near and far.
func words(rng *rand.Rand, n int) []byte {
	var b []byte
	for len(b) < n {
		switch k := rng.IntN(10); {
		case k == 0:
			b = append(b, bytes.Repeat([]byte{byte(rng.IntN(256))}, 1+rng.IntN(300))...)
		case k < 3 && len(b) > 0:
			from := rng.IntN(len(b))
			b = append(b, b[from:min(len(b), from+rng.IntN(80))]...)
		default:
			for range 1 + rng.IntN(20) {
				b = append(b, "etaoin shrdlu"[rng.IntN(13)])
			}
		}
	}
	return b[:n]
}

// decodeInside decodes into the middle of a larger buffer and fails if anything around is touched.
func decodeInside(t *testing.T, dict []byte, n int, decode func(dst []byte, base, start, end int) error) ([]byte, error) {
	t.Helper()
	const margin = 70
	dst := bytes.Repeat([]byte{0xa5}, margin+len(dict)+n+margin)
	copy(dst[margin:], dict)
	start := margin + len(dict)
	err := decode(dst, margin, start, start+n)
	for i, c := range dst {
		if c != 0xa5 && (i < margin || i >= start+n) || i >= margin && i < start && c != dict[i-margin] {
			t.Fatalf("byte %d outside of the output is written", i-start)
		}
	}
	return dst[start : start+n], err
}

func TestLZ4DecodesWhatACompressorWrote(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		dict, data := words(rng, rng.IntN(3)*rng.IntN(300)), words(rng, rng.IntN(2000))
		src := compressLZ4(rng, dict, data)
		src = append(src, make([]byte, rng.IntN(30))...) // what follows the block in the file
		took := 0
		got, err := decodeInside(t, dict, len(data), func(dst []byte, base, start, end int) (err error) {
			took, err = lz4Decode(dst, base, start, end, src)
			return err
		})
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d bytes with a dictionary of %d: %v", len(data), len(dict), err)
		}
		if _, want, _ := plainLZ4(dict, len(data), src); took != want {
			t.Fatalf("took %d bytes, not %d", took, want)
		}
		if _, err := lz4Decode(make([]byte, len(data)), 0, 0, len(data), src[:rng.IntN(max(took, 1))]); err == nil && len(data) > 0 && len(dict) == 0 {
			t.Fatal("a part of a block gives no error")
		}
	}
}

func FuzzLZ4(f *testing.F) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 8 {
		data := words(rng, 400)
		f.Add([]byte("etaoin"), compressLZ4(rng, nil, data), uint16(len(data)))
	}
	f.Fuzz(func(t *testing.T, dict, src []byte, n uint16) {
		want, wantTook, wantErr := plainLZ4(dict, int(n), src)
		took := 0
		got, err := decodeInside(t, dict, int(n), func(dst []byte, base, start, end int) (err error) {
			took, err = lz4Decode(dst, base, start, end, src)
			return err
		})
		switch {
		case wantErr == nil && (err != nil || !bytes.Equal(got, want) || took != wantTook):
			t.Errorf("took %d of %d bytes, %v", took, wantTook, err)
		case wantErr != nil && err == nil:
			t.Errorf("no error, should be %v", wantErr)
		case errors.Is(wantErr, ErrCorrupt) && err == errShort:
			t.Error("a damaged block looks like a short one")
		}
	})
}

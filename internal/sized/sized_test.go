package sized

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

func TestWhatIsWrittenIsReadAndEveryCutIsNoticed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, raw := rapid.String().Draw(t, "text"), rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")
		u, i, n := rapid.Uint64().Draw(t, "uvarint"), rapid.Int64().Draw(t, "varint"), rapid.Uint16().Draw(t, "uint16")
		b := Append(Append(nil, text), raw)
		b = binary.BigEndian.AppendUint16(binary.AppendVarint(binary.AppendUvarint(b, u), i), n)
		read := func(r *Reader) bool {
			return r.Text() == text && string(r.Sized()) == string(raw) && r.Uvarint() == u && r.Varint() == i && r.Uint16() == n
		}
		whole := &Reader{Left: b}
		if !read(whole) || !whole.Done() {
			t.Fatalf("%x was not read as it was written", b)
		}
		cut := &Reader{Left: b[:rapid.IntRange(0, len(b)-1).Draw(t, "cut")]}
		read(cut)
		for range 2 { // it stays so
			if _, _, _, _, _ = cut.Text(), cut.Sized(), cut.Uvarint(), cut.Varint(), cut.Uint16(); !cut.Short || cut.Done() {
				t.Fatal("a cut was not noticed")
			}
		}
		if more := (&Reader{Left: append(b, 0)}); !read(more) || more.Done() {
			t.Fatal("more than was read is done")
		}
	})
	if r := (&Reader{Left: []byte{0}}); r.Sized() == nil || !r.Done() {
		t.Error("no bytes are nil")
	}
	for _, b := range []string{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x02a"} {
		if r := (&Reader{Left: []byte(b)}); r.Sized() != nil || !r.Short {
			t.Errorf("%x: a length that cannot be was taken", b)
		}
	}
}

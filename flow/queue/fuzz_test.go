package queue

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/narudata/naru/flow"
)

// FuzzSegment opens a queue whose segment has any bytes, and reads it to its end.
func FuzzSegment(f *testing.F) {
	name := segmentName{first: 3, salt: 0x1122334455667788}
	for _, c := range []Compression{Uncompressed, S2, Zstd} {
		d := newMemory()
		q := opened(f, d, Options{Compression: c})
		q.commit.seg.salt = name.salt
		for i := range 3 {
			if err := q.Append(f.Context(), []flow.Record{event(i), {Index: "index", Type: "t", Key: []byte{}, Routing: []byte("r"), Meta: bytes.Repeat([]byte("meta "), 60)}}); err != nil {
				f.Fatal(err)
			}
		}
		f.Add(d.files[segmentsOf(d)[0]].now[segmentHeader:], uint8(1))
		f.Add(d.files[segmentsOf(d)[0]].now[segmentHeader:], uint8(0))
	}
	f.Fuzz(func(t *testing.T, frames []byte, mend uint8) {
		data := append(appendSegmentHeader(nil, name, q0), frames...)
		if mend&1 != 0 {
			mendSums(data, name.salt)
		}
		d := newMemory()
		d.files[name.String()] = &contents{now: data}
		q := opened(t, d, Options{})
		defer q.Close()
		s, done := streamOf(t, q)
		defer done()
		recs, next := readAll(t, s)
		if next != nil {
			if err := s.Ack(t.Context(), next); err != nil {
				t.Fatal(err)
			}
		}
		if q.Stats().Events != 0 {
			t.Fatalf("%d were read, %+v", len(recs), q.Stats())
		}
		if q.end >= 1<<62 {
			return
		}
		if err := q.Append(t.Context(), events(0, 2)); err != nil {
			t.Fatal(err)
		}
		got, _ := readAll(t, s)
		same(t, got, events(0, 2))
	})
}

// mendSums makes the checksums right, so that what they protect is reached.
func mendSums(b []byte, salt uint64) {
	for at := segmentHeader; at+frameHeader <= len(b); {
		h := b[at:]
		copy(h, frameMagic)
		stored := int(binary.LittleEndian.Uint32(h[20:]))
		if stored > len(h)-frameHeader {
			stored = len(h) - frameHeader
			binary.LittleEndian.PutUint32(h[20:], uint32(stored))
		}
		if raw := binary.LittleEndian.Uint32(h[24:]); raw > 1<<20 {
			binary.LittleEndian.PutUint32(h[24:], raw%(1<<20))
		}
		binary.LittleEndian.PutUint32(h[28:], checksum(h[frameHeader:frameHeader+stored]))
		binary.LittleEndian.PutUint32(h[4:], frameSum(h, salt))
		at += frameHeader + stored
	}
}

func FuzzRecord(f *testing.F) {
	r := flow.Record{Index: "i", Type: "t", Key: []byte("k"), Routing: []byte{}, Body: []byte("{}"), Version: -5, Time: q0, Meta: []byte("m"), Port: 7}
	f.Add(appendRecord(nil, &r))
	f.Add(appendRecord(nil, &flow.Record{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		record, _, err := cutRecord(b)
		if err != nil {
			return
		}
		var n names
		var r, again flow.Record
		if decodeRecord(record, &n, &r) != nil {
			return
		}
		b = appendRecord(nil, &r)
		record, rest, err := cutRecord(b)
		if err != nil || len(rest) > 0 || len(b) > sizeOf(&r) {
			t.Fatalf("%x: %v", b, err)
		}
		if err := decodeRecord(record, &n, &again); err != nil {
			t.Fatal(err)
		}
		same(t, []flow.Record{again}, []flow.Record{r})
	})
}

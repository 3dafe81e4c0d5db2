package snapshot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/narudata/naru/format/tree"
)

// resealed gives b with a checksum that fits it, so that the fuzzer gets past it.
func resealed(b []byte) []byte {
	if len(b) < 16 {
		return b
	}
	b = append([]byte(nil), b[:len(b)-16]...)
	b = binary.BigEndian.AppendUint32(b, 0xC02893E8)
	b = binary.BigEndian.AppendUint32(b, 0)
	return binary.BigEndian.AppendUint64(b, uint64(crc32.ChecksumIEEE(b)))
}

// FuzzBlob decodes blobs of every kind. The corpus are blobs of real servers.
func FuzzBlob(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		b = resealed(b)
		_, err1 := ReadSnapshot(b)
		_, err2 := ReadShard(b)
		m, err3 := DecodeBlob(IndexCodec, b)
		errs := []error{err1, err2, err3}
		for name := range m {
			index, err := ReadIndex(b, name)
			if err == nil {
				_, err = index.Meta()
			}
			errs = append(errs, err)
		}
		if blob, err := OpenBlob("", b); err == nil {
			rewrite(t, blob)
		} else {
			errs = append(errs, err)
		}
		for _, err := range errs {
			if err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnsupported) {
				t.Errorf("neither corrupt nor unsupported: %v", err)
			}
		}
	})
}

// rewrite checks that a blob is the same after it was written, and edited by what leaves it as it is.
func rewrite(t *testing.T, blob *Blob) {
	for _, m := range blob.Body {
		if index, ok := tree.Clone(m.Value).(tree.Object); ok { // a mapping in JSON may have numbers that SMILE has not
			if types, err := Mappings(index); err == nil {
				SetMappings(&index, types)
				if again, err := Mappings(index); err != nil || mustJSON(t, again) != mustJSON(t, types) {
					t.Errorf("mappings %s come back as %s, %v", mustJSON(t, types), mustJSON(t, again), err)
				}
			} else if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnsupported) {
				t.Errorf("neither corrupt nor unsupported: %v", err)
			}
		}
	}
	err := EditFiles(blob.Body, func(f File, element *tree.Object) error {
		if f.Inline() && strings.HasPrefix(f.Name, virtual) {
			return SetContents(element, f.Meta, "0")
		}
		return nil
	})
	if err != nil && !errors.Is(err, ErrCorrupt) {
		t.Errorf("not corrupt: %v", err)
	}
	b, err := blob.Encode()
	if err != nil {
		t.Fatal(err)
	}
	once, err := OpenBlob(blob.Codec, b)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := once.Encode()
	if err != nil || !bytes.Equal(b, twice) {
		t.Errorf("%x is written as %x, %v", b, twice, err)
	}
}

// FuzzRepository decodes an index-N blob. The corpus are those of real servers.
func FuzzRepository(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ReadRepository(b)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("not corrupt: %v", err)
			}
			return
		}
		for i := range r.Indices {
			for k := range r.Snapshots {
				if id := r.Snapshots[k].MetaID(&r.Indices[i]); !validName(id) {
					t.Errorf("metadata at %q", id)
				}
			}
		}
	})
}

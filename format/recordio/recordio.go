// Package recordio reads the segments of Logstash's dead letter queue: files of records, the entries in them, and the events
// in those, which are CBOR as Jackson writes it with the types of Java.
package recordio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// A segment is the byte '1' and then blocks of 32 KiB (the last one may be shorter), each of records that do not cross its end;
// where less than 14 bytes are left, it is padded. Integers are big-endian.
//
//	byte    type: 'c' a whole event; 's' 'm' 'e' the start, the middle and the end of one
//	int32   size of the data
//	int32   size of the whole event in a start; -1 in others
//	int32   CRC-32 of the data
//	        data
//
// Source: org.logstash.common.io.RecordIOWriter, RecordIOReader, RecordHeader.
const (
	version    = '1'
	blockBytes = 32 << 10
	headBytes  = 13

	// Begin is the offset of the first event.
	Begin = 1
)

// ErrCorrupt says that bytes are not as Logstash writes them.
var ErrCorrupt = errors.New("the dead letter queue is damaged")

// A Reader reads the events of a segment, which may be growing.
type Reader struct {
	from io.ReaderAt
	off  int64
	buf  []byte
}

// NewReader reads a segment from an offset that Offset gave, or Begin. It returns io.EOF if the segment is still empty.
func NewReader(from io.ReaderAt, off int64) (*Reader, error) {
	var v [1]byte
	if _, err := from.ReadAt(v[:], 0); err != nil {
		return nil, err
	}
	if v[0] != version {
		return nil, fmt.Errorf("version %q of the format: only %q is known", v[0], version)
	}
	if off < Begin {
		return nil, fmt.Errorf("no event begins at offset %d", off)
	}
	return &Reader{from: from, off: off}, nil
}

// Offset is where the next event begins.
func (r *Reader) Offset() int64 { return r.off }

// Next gives the bytes of the next event, valid until the next call. io.EOF says that there is no whole one yet: what is
// written later is read by another call. ErrCorrupt says what is wrong and where; the next call goes on with the next block that
// an event begins in.
func (r *Reader) Next() ([]byte, error) {
	at, event, total := r.off, r.buf[:0], int64(-1)
	for first := true; ; first = false {
		at = padded(at)
		var h [headBytes]byte
		if _, err := r.from.ReadAt(h[:], at); err != nil {
			return nil, r.short(err)
		}
		kind, size := h[0], int64(int32(binary.BigEndian.Uint32(h[1:])))
		switch {
		case kind != 'c' && kind != 's' && kind != 'm' && kind != 'e':
			return nil, r.damage(at, fmt.Sprintf("no record of the type %q", kind))
		case first != (kind == 'c' || kind == 's'):
			return nil, r.damage(at, fmt.Sprintf("a record of the type %q is out of its order", kind))
		case size < 0 || size > left(at)-headBytes:
			return nil, r.damage(at, fmt.Sprintf("a record of %d bytes crosses the end of its block", size))
		case kind == 's':
			if total = int64(int32(binary.BigEndian.Uint32(h[5:]))); total < size {
				return nil, r.damage(at, fmt.Sprintf("an event of %d bytes begins with %d", total, size))
			}
		}
		was := len(event)
		event = append(event, make([]byte, size)...)
		if n, err := r.from.ReadAt(event[was:], at+headBytes); n < int(size) {
			return nil, r.short(err)
		}
		if crc32.ChecksumIEEE(event[was:]) != binary.BigEndian.Uint32(h[9:]) {
			return nil, r.damage(at, "a checksum does not match")
		}
		at += headBytes + size
		// What fills its block to the last byte is a start or a middle, also if nothing comes after it.
		whole := kind == 'c' || int64(len(event)) == total
		if kind != 'c' && (int64(len(event)) > total || kind == 'e' && !whole) {
			return nil, r.damage(at, fmt.Sprintf("an event has %d bytes and was to have %d", len(event), total))
		}
		if whole {
			r.off = padded(at)
			if r.buf = event; cap(event) > 1<<20 {
				r.buf = nil
			}
			return event, nil
		}
	}
}

// left is how many bytes of its block are left at an offset.
func left(at int64) int64 { return blockBytes - (at-Begin)%blockBytes }

// padded is where the record is that comes next.
func padded(at int64) int64 {
	if l := left(at); l < headBytes+1 {
		return at + l
	}
	return at
}

func (r *Reader) short(err error) error {
	if errors.Is(err, io.EOF) || err == nil {
		return io.EOF
	}
	return err
}

// damage goes to the next block that has the start of an event.
func (r *Reader) damage(at int64, why string) error {
	err := fmt.Errorf("%w: at offset %d: %s", ErrCorrupt, at, why)
	for block := at + left(at); ; block += blockBytes {
		// Rests of an event come before the first one that begins in the block.
		for at := block; ; {
			var h [headBytes]byte
			if n, _ := r.from.ReadAt(h[:], at); n < headBytes || h[0] == 'c' || h[0] == 's' {
				r.off = at
				return err
			}
			size := int64(int32(binary.BigEndian.Uint32(h[1:])))
			if h[0] != 'e' || size < 0 || size > left(at)-headBytes {
				break
			}
			if at += headBytes + size; padded(at) != at {
				break
			}
		}
	}
}

// An Entry is an event that could not be delivered, and why.
type Entry struct {
	Time       string // when it came, as ISO 8601
	PluginType string
	PluginID   string
	Reason     string
	Data, Meta Map // the fields and the metadata of the event
}

// ParseEntry reads the bytes of an event of a segment:
//
//	5 × (int32 length, bytes): time, event, type of the plugin, its id, reason
//
// Source: org.logstash.DLQEntry.
func ParseEntry(b []byte) (*Entry, error) {
	var parts [5][]byte
	for i := range parts {
		if len(b) < 4 {
			return nil, fmt.Errorf("%w: an entry ends within its %d. part", ErrCorrupt, i+1)
		}
		n := binary.BigEndian.Uint32(b)
		if uint64(n) > uint64(len(b)-4) {
			return nil, fmt.Errorf("%w: a part of %d bytes in an entry that has %d", ErrCorrupt, n, len(b)-4)
		}
		parts[i], b = b[4:4+n], b[4+n:]
	}
	e := &Entry{Time: string(parts[0]), PluginType: string(parts[2]), PluginID: string(parts[3]), Reason: string(parts[4])}
	v, err := parseTyped(parts[1])
	if err != nil {
		return nil, err
	}
	root, _ := v.(Map)
	data, ok := root.Get("DATA").(Map)
	if !ok {
		return nil, fmt.Errorf("%w: an event without DATA", ErrCorrupt)
	}
	e.Data = data
	e.Meta, _ = root.Get("META").(Map)
	return e, nil
}

package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/internal/sized"
)

// A record in a frame, integers as varints of encoding/binary:
//
//	uvarint  length of what follows
//	2 bytes  which fields follow, little-endian: has… below, each in this order
//	Index    uvarint length, bytes
//	Type     uvarint length, bytes
//	Key      uvarint length, bytes; a field of bytes that is there and empty is not the same as one that is not there
//	Routing  uvarint length, bytes
//	Body     uvarint length, bytes
//	Version  varint
//	Time     varint seconds since 1970, uvarint nanoseconds
//	Meta     uvarint length, bytes
//	Port     varint
const (
	hasIndex = 1 << iota
	hasType
	hasKey
	hasRouting
	hasBody
	hasVersion
	hasTime
	hasMeta
	hasPort
	hasUnknown // this bit and those above it are of no version known
)

// recordOverhead is more than what a record needs beside the bytes of its fields.
const recordOverhead = 2 + 12*binary.MaxVarintLen64

// sizeOf is at least the size of r in a frame.
func sizeOf(r *flow.Record) int {
	return recordOverhead + len(r.Index) + len(r.Type) + len(r.Key) + len(r.Routing) + len(r.Body) + len(r.Meta)
}

func uvarintLen(n int) int {
	l := 1
	for n >= 0x80 {
		n >>= 7
		l++
	}
	return l
}

// appendRecord appends r as it stands in a frame.
func appendRecord(b []byte, r *flow.Record) []byte {
	// The length is written in as many bytes as the longest that it may be, which is nearly always what it needs.
	width := uvarintLen(sizeOf(r))
	start := len(b)
	b = append(b, make([]byte, width+2)...)
	fields := 0
	if r.Index != "" {
		fields |= hasIndex
		b = append(binary.AppendUvarint(b, uint64(len(r.Index))), r.Index...)
	}
	if r.Type != "" {
		fields |= hasType
		b = append(binary.AppendUvarint(b, uint64(len(r.Type))), r.Type...)
	}
	b, fields = appendField(b, r.Key, fields, hasKey)
	b, fields = appendField(b, r.Routing, fields, hasRouting)
	b, fields = appendField(b, r.Body, fields, hasBody)
	if r.Version != 0 {
		fields |= hasVersion
		b = binary.AppendVarint(b, r.Version)
	}
	if !r.Time.IsZero() {
		fields |= hasTime
		b = binary.AppendVarint(b, r.Time.Unix())
		b = binary.AppendUvarint(b, uint64(r.Time.Nanosecond()))
	}
	b, fields = appendField(b, r.Meta, fields, hasMeta)
	if r.Port != 0 {
		fields |= hasPort
		b = binary.AppendVarint(b, int64(r.Port))
	}
	putUvarint(b[start:start+width], uint64(len(b)-start-width))
	binary.LittleEndian.PutUint16(b[start+width:], uint16(fields))
	return b
}

// putUvarint writes n in all of b.
func putUvarint(b []byte, n uint64) {
	for i := range len(b) - 1 {
		b[i] = byte(n) | 0x80
		n >>= 7
	}
	b[len(b)-1] = byte(n)
}

func appendField(b, field []byte, fields, has int) ([]byte, int) {
	if field == nil {
		return b, fields
	}
	b = binary.AppendUvarint(b, uint64(len(field)))
	return append(b, field...), fields | has
}

var errRecord = errors.New("a record does not fit its frame")

// cutRecord gives the bytes of the first record of a frame's payload, without their length, and those after it.
func cutRecord(b []byte) (record, rest []byte, err error) {
	n, width := binary.Uvarint(b)
	if width <= 0 || n < 2 || n > uint64(len(b)-width) {
		return nil, nil, errRecord
	}
	return b[width : width+int(n)], b[width+int(n):], nil
}

// decodeRecord reads what cutRecord gave. Bytes of r are parts of b.
func decodeRecord(b []byte, names *names, r *flow.Record) error {
	*r = flow.Record{}
	if len(b) < 2 {
		return errRecord
	}
	d := sized.Reader{Left: b[2:]}
	fields := int(binary.LittleEndian.Uint16(b))
	if fields >= hasUnknown {
		return fmt.Errorf("%w: unknown fields %#x", errRecord, fields)
	}
	if fields&hasIndex != 0 {
		r.Index = names.of(d.Sized())
	}
	if fields&hasType != 0 {
		r.Type = names.of(d.Sized())
	}
	if fields&hasKey != 0 {
		r.Key = d.Sized()
	}
	if fields&hasRouting != 0 {
		r.Routing = d.Sized()
	}
	if fields&hasBody != 0 {
		r.Body = d.Sized()
	}
	if fields&hasVersion != 0 {
		r.Version = d.Varint()
	}
	if fields&hasTime != 0 {
		sec := d.Varint()
		nsec := d.Uvarint()
		if nsec >= 1e9 {
			return fmt.Errorf("%w: %d nanoseconds", errRecord, nsec)
		}
		r.Time = time.Unix(sec, int64(nsec)).UTC()
	}
	if fields&hasMeta != 0 {
		r.Meta = d.Sized()
	}
	if fields&hasPort != 0 {
		port := d.Varint()
		if port != int64(int32(port)) {
			return fmt.Errorf("%w: port %d", errRecord, port)
		}
		r.Port = int32(port)
	}
	if !d.Done() {
		return errRecord
	}
	return nil
}

// names keeps strings that come again, so that each is allocated once.
type names struct {
	known map[string]string
	bytes int
}

// Beyond so many bytes, names are forgotten.
const knownNames = 64 << 10

func (n *names) of(b []byte) string {
	if s, ok := n.known[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(s) > knownNames/16 {
		return s
	}
	if n.known == nil || n.bytes+len(s) > knownNames {
		n.known, n.bytes = make(map[string]string), 0
	}
	n.known[s] = s
	n.bytes += len(s) + 32
	return s
}

package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/narudata/naru/internal/sized"
)

// Meta is what Kafka tells of a record beside its value. Key and the headers are parts of what was parsed.
type Meta struct {
	Cluster   string // the cluster's id; "" if it has none
	Topic     string
	Partition int32
	Offset    int64
	Timestamp time.Time // zero: none
	// Appended says that the timestamp is when the broker got the record, not when it was made.
	Appended bool
	// Tombstone says that the record has no value at all, which deletes its key in a compacted topic. An empty value is none.
	Tombstone bool
	Key       []byte // nil: none

	headers []byte
	count   uint64
}

// The form of Meta in bytes. Numbers are varints as in encoding/binary, u unsigned; texts have their length (u) before them;
// keys and values of headers that may be missing have their length + 1, and 0 is missing.
//
//	magic 0xCA 'K' 1 | cluster | topic | partition u | offset u | timestamp, ms | flags u | key | headers u | (name | value)…
//
// What stands before the offset is the same in all records of a partition.
const metaMagic = "\xcaK\x01"

const (
	flagTombstone = 1 << iota
	flagAppended
	flagNoTime
)

// errMeta is why something is no Meta.
var errMeta = errors.New("these are not the bytes of a record's Kafka metadata")

// appendPrefix appends what records of a partition have in common.
func appendPrefix(dst []byte, cluster, topic string, partition int32) []byte {
	dst = append(dst, metaMagic...)
	dst = appendText(dst, cluster)
	dst = appendText(dst, topic)
	return binary.AppendUvarint(dst, uint64(uint32(partition))) //nolint:gosec // partitions are not negative
}

// appendRecord appends what stands behind the prefix, and says where the key ends, if there is one.
func appendRecord(dst []byte, r *kgo.Record) (appended []byte, key int) {
	dst = binary.AppendUvarint(dst, uint64(r.Offset)) //nolint:gosec // offsets are not negative
	flags := uint64(0)
	if r.Value == nil {
		flags |= flagTombstone
	}
	if r.Attrs.TimestampType() == 1 {
		flags |= flagAppended
	}
	ms := r.Timestamp.UnixMilli()
	if ms == -1 {
		flags |= flagNoTime
	}
	dst = binary.AppendVarint(dst, ms)
	dst = binary.AppendUvarint(dst, flags)
	dst = appendMaybe(dst, r.Key)
	key = len(dst)
	dst = binary.AppendUvarint(dst, uint64(len(r.Headers)))
	for i := range r.Headers {
		dst = appendText(dst, r.Headers[i].Key)
		dst = appendMaybe(dst, r.Headers[i].Value)
	}
	return dst, key
}

// recordSize is a bound of what appendRecord appends.
func recordSize(r *kgo.Record) int {
	n := 5*binary.MaxVarintLen64 + len(r.Key)
	for i := range r.Headers {
		n += 2*binary.MaxVarintLen64 + len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return n
}

// A Header is a name and a value, which is nil where there is none.
type Header struct {
	Name  string
	Value []byte
}

// AppendHeaders appends a Meta with nothing but headers: for records that a Sink is to write with them.
func AppendHeaders(dst []byte, headers []Header) []byte {
	dst = appendPrefix(dst, "", "", 0)
	dst = binary.AppendUvarint(dst, 0)
	dst = binary.AppendVarint(dst, -1)
	dst = binary.AppendUvarint(dst, flagNoTime)
	dst = appendMaybe(dst, nil)
	dst = binary.AppendUvarint(dst, uint64(len(headers)))
	for i := range headers {
		dst = appendText(dst, headers[i].Name)
		dst = appendMaybe(dst, headers[i].Value)
	}
	return dst
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendMaybe(dst, b []byte) []byte {
	if b == nil {
		return append(dst, 0)
	}
	return append(binary.AppendUvarint(dst, uint64(len(b))+1), b...)
}

// ParseMeta reads a record's Meta as a Group or a Range gave it.
func ParseMeta(meta []byte) (Meta, error) {
	var m Meta
	r := sized.Reader{Left: meta}
	if string(r.Bytes(uint64(len(metaMagic)))) != metaMagic {
		return m, errMeta
	}
	m.Cluster = string(r.Sized())
	m.Topic = string(r.Sized())
	m.Partition = int32(uint32(r.Uvarint())) //nolint:gosec // as it was written
	m.Offset = int64(r.Uvarint())            //nolint:gosec // as it was written
	ms := r.Varint()
	flags := r.Uvarint()
	if flags&flagNoTime == 0 {
		m.Timestamp = time.UnixMilli(ms).UTC()
	}
	m.Tombstone, m.Appended = flags&flagTombstone != 0, flags&flagAppended != 0
	m.Key = maybe(&r)
	m.count = r.Uvarint()
	m.headers = r.Left
	for range m.count {
		r.Sized()
		maybe(&r)
		if r.Short {
			break
		}
	}
	if r.Short || len(r.Left) > 0 {
		return Meta{}, errMeta
	}
	return m, nil
}

// Identity is the part of a record's Meta that all records of its partition, and no others, have; nil if it has none.
func Identity(meta []byte) []byte {
	r := sized.Reader{Left: meta}
	if string(r.Bytes(uint64(len(metaMagic)))) != metaMagic {
		return nil
	}
	r.Sized()
	r.Sized()
	r.Uvarint()
	if r.Short {
		return nil
	}
	return meta[:len(meta)-len(r.Left)]
}

// Headers gives the headers in their order; a name may come several times.
func (m *Meta) Headers() iter.Seq[Header] {
	return func(yield func(Header) bool) {
		r := sized.Reader{Left: m.headers}
		for range m.count {
			if !yield(Header{string(r.Sized()), maybe(&r)}) {
				return
			}
		}
	}
}

// ID is an id that no other record of any cluster has, the same each time the record is read: CLUSTER:TOPIC:PARTITION:OFFSET.
// None of the parts can have a colon.
func (m *Meta) ID() string { return string(m.AppendID(nil)) }

// AppendID appends ID.
func (m *Meta) AppendID(dst []byte) []byte {
	return appendEventID(dst, m.Cluster, m.Topic, m.Partition, m.Offset)
}

// EventID is Meta.ID of a record that is told by where it is.
func EventID(cluster, topic string, partition int32, offset int64) string {
	return string(appendEventID(nil, cluster, topic, partition, offset))
}

func appendEventID(dst []byte, cluster, topic string, partition int32, offset int64) []byte {
	dst = append(append(dst, cluster...), ':')
	dst = append(append(dst, topic...), ':')
	dst = append(strconv.AppendInt(dst, int64(partition), 10), ':')
	return strconv.AppendInt(dst, offset, 10)
}

// maybe takes what appendMaybe appended.
func maybe(r *sized.Reader) []byte {
	n := r.Uvarint()
	if n == 0 {
		return nil
	}
	return r.Bytes(n - 1)
}

// A mark is a position in a partition: where reading goes on, and the leader's epoch of the record before it.
type mark struct {
	next  int64
	epoch int32
}

func (p mark) position() []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(make([]byte, 0, 12), uint64(p.next)), uint32(p.epoch)) //nolint:gosec // bits
}

func parseMark(b []byte) (mark, error) {
	if len(b) != 12 {
		return mark{}, fmt.Errorf("position %x: want 12 bytes", b)
	}
	return mark{int64(binary.BigEndian.Uint64(b)), int32(binary.BigEndian.Uint32(b[8:]))}, nil //nolint:gosec // bits
}

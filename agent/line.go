package agent

import (
	"encoding/binary"
	"errors"
	"time"
)

// Flags of a line.
const (
	joined    = 1 << iota // several lines make it
	truncated             // it was longer than it may be
	unread                // its container's format is not understood: it is as it was
	timed                 // nanos is when it was written
)

// A line is one of a file, or what was made of several.
type line struct {
	file   uint64 // which file, for good
	path   []byte
	offset int64 // where its first byte is
	body   []byte
	nanos  int64 // since 1970, if it is timed
	stream byte  // of a container: 1 stdout, 2 stderr
	flags  byte
	fields []byte // a JSON object that it was cut out of; nil: none
}

var streams = [...]string{"", "stdout", "stderr"}

// appendMeta appends what a line is beside its body, as a record keeps it:
//
//	flags stream file(8) nanos(8) length-of-path(uvarint) path fields
func (l *line) appendMeta(dst []byte) []byte {
	dst = append(dst, l.flags, l.stream)
	dst = binary.BigEndian.AppendUint64(dst, l.file)
	dst = binary.BigEndian.AppendUint64(dst, uint64(l.nanos)) //nolint:gosec // the same bits
	dst = binary.AppendUvarint(dst, uint64(len(l.path)))
	dst = append(dst, l.path...)
	return append(dst, l.fields...)
}

var errMeta = errors.New("what is kept beside a line is damaged")

// parseMeta is the reverse; parts of the line are parts of meta.
func (l *line) parseMeta(meta []byte) error {
	const head = 18
	if len(meta) < head {
		return errMeta
	}
	l.flags, l.stream = meta[0], meta[1]
	l.file = binary.BigEndian.Uint64(meta[2:])
	l.nanos = int64(binary.BigEndian.Uint64(meta[10:])) //nolint:gosec // the same bits
	n, size := binary.Uvarint(meta[head:])
	if size <= 0 || n > uint64(len(meta)-head-size) || int(l.stream) >= len(streams) {
		return errMeta
	}
	meta = meta[head+size:]
	l.path, l.fields = meta[:n:n], nil
	if rest := meta[n:]; len(rest) > 0 {
		l.fields = rest
	}
	return nil
}

func (l *line) setTime(t time.Time) {
	l.nanos, l.flags = t.UnixNano(), l.flags|timed
}

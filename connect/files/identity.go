package files

import (
	"crypto/sha256"
	"errors"
	"hash/crc32"
	"io"
	"strings"
)

// An ID is what a file system knows a file by. The zero ID is none.
type ID struct {
	Device uint64 `json:"device"` // st_dev as the system gives it
	Inode  uint64 `json:"inode"`
}

// state is what is known of a file by looking at it from outside.
type state struct {
	id    ID
	size  int64
	mtime int64 // unix nanoseconds
	links uint64
}

// A Head is the SHA-256 of a piece at the beginning of a file: Bytes of them behind From. Bytes is 0 where nothing is known.
type Head struct {
	From  int64             `json:"from,omitempty"`
	Bytes int64             `json:"bytes"`
	Sum   [sha256.Size]byte `json:"sum"`
}

// tailBytes is how many bytes before a position a Before is of, if there are as many.
const tailBytes = 64

// Before is the CRC-32C of the bytes right before a position. Bytes is 0 where nothing is known. It tells a file that has
// grown from one that was truncated and written anew.
type Before struct {
	Bytes int    `json:"bytes"`
	Sum   uint32 `json:"sum"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// before gives the tail of what ends with b.
func before(b []byte) Before {
	b = b[max(0, len(b)-tailBytes):]
	return Before{Bytes: len(b), Sum: crc32.Checksum(b, castagnoli)}
}

// A Position is a place in a file, in bytes of its (decompressed) content.
type Position struct {
	Offset int64  `json:"offset"`
	Before Before `json:"before"`
}

// readHead gives the head of what r has behind from, of at most limit bytes. room is used if it is large enough.
func readHead(r io.ReaderAt, from, limit int64, room []byte) (Head, error) {
	if limit <= 0 || limit > maxHead {
		return Head{}, errors.New("a head of that length cannot be read")
	}
	if int64(len(room)) < limit {
		room = make([]byte, limit)
	}
	n, err := r.ReadAt(room[:limit], from)
	if err != nil && !errors.Is(err, io.EOF) {
		return Head{}, err
	}
	if n == 0 {
		return Head{From: from}, nil
	}
	return Head{From: from, Bytes: int64(n), Sum: sha256.Sum256(room[:n])}, nil
}

// verdict is what a comparison says.
type verdict int

const (
	unknown   verdict = iota // nothing to compare
	different                // it is another content
	same
)

// hasHead compares the beginning of a file with a head that it had.
func hasHead(r io.ReaderAt, h Head, room []byte) (verdict, error) {
	if h.Bytes == 0 {
		return unknown, nil
	}
	now, err := readHead(r, h.From, h.Bytes, room)
	if err != nil {
		return unknown, err
	}
	if now != h {
		return different, nil
	}
	return same, nil
}

// hasBefore compares what stands before a position with what stood there.
func hasBefore(r io.ReaderAt, p Position) (verdict, error) {
	n := p.Before.Bytes
	if n == 0 {
		return unknown, nil
	}
	if n > tailBytes || int64(n) > p.Offset {
		return different, nil
	}
	var room [tailBytes]byte
	got, err := r.ReadAt(room[:n], p.Offset-int64(n))
	if got < n {
		if err == nil || errors.Is(err, io.EOF) {
			return different, nil
		}
		return unknown, err
	}
	if before(room[:n]) != p.Before {
		return different, nil
	}
	return same, nil
}

// positionAt gives a position with what stands before it.
func positionAt(r io.ReaderAt, offset int64) (Position, error) {
	n := min(offset, tailBytes)
	var room [tailBytes]byte
	if got, err := r.ReadAt(room[:n], offset-n); got < int(n) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return Position{}, err
	}
	return Position{Offset: offset, Before: before(room[:n])}, nil
}

// rotatedName reports that a path looks like another one's rotated: app.log.1, app.log-20261124, app.log.3.
func rotatedName(path, of string) bool { return len(path) > len(of) && strings.HasPrefix(path, of) }

package files

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// compression is how a file is packed.
type compression int

const (
	plain compression = iota
	gzipped
	zstandard
)

// maxWindow bounds what a Zstandard frame may make its decoder hold, in bytes: what zstd's own tool takes by default.
const maxWindow = 128 << 20

// compressionOf says how a file is packed, by its name or its first bytes.
func compressionOf(how, path string, r io.ReaderAt) compression {
	switch how {
	case BySuffix:
		switch {
		case strings.HasSuffix(path, ".gz"), strings.HasSuffix(path, ".gzip"):
			return gzipped
		case strings.HasSuffix(path, ".zst"), strings.HasSuffix(path, ".zstd"):
			return zstandard
		}
	case ByContent:
		var magic [4]byte
		if n, _ := r.ReadAt(magic[:], 0); n == len(magic) { // a file that cannot be read is found out when it is read
			switch {
			case bytes.Equal(magic[:3], []byte{0x1f, 0x8b, 8}):
				return gzipped
			case bytes.Equal(magic[:], []byte{0x28, 0xb5, 0x2f, 0xfd}):
				return zstandard
			}
		}
	}
	return plain
}

// An unpacker gives what a compressed file holds.
type unpacker struct {
	from   *bufio.Reader
	out    io.Reader
	close  func()
	offset int64 // given so far
	gzip   bool
	err    error // what it ended with
}

// unpack begins to unpack a file, at an offset of what it holds.
func unpack(f *os.File, kind compression, offset int64) (*unpacker, error) {
	u := &unpacker{from: bufio.NewReaderSize(io.NewSectionReader(f, 0, 1<<62), 64<<10), close: func() {}}
	switch kind {
	case gzipped:
		r, err := gzip.NewReader(u.from)
		if err != nil {
			return nil, whatOfEnd(err)
		}
		u.out, u.gzip = r, true
	case zstandard:
		r, err := zstd.NewReader(u.from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		u.out, u.close = r, r.Close
	case plain:
		return nil, errors.New("the file is not compressed")
	}
	if n, err := io.CopyN(io.Discard, u, offset); err != nil {
		u.close()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("it holds %d bytes, and %d were read of it before: %w", n, offset, errOther)
		}
		return nil, err
	}
	return u, nil
}

// errOther says that a file is not the one that was read before.
var errOther = errors.New("it is another file")

// Read implements io.Reader. io.EOF comes only at the end of a whole archive.
func (u *unpacker) Read(room []byte) (int, error) {
	n, err := u.out.Read(room)
	u.offset += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		if u.gzip && u.offset > 0 && errors.Is(err, gzip.ErrHeader) {
			return n, io.EOF // as gzip, which leaves out what is behind the last member
		}
		err = whatOfEnd(err)
	}
	return n, err
}

// fill reads as much as there is room for. What the archive ends with comes when there is nothing else.
func (u *unpacker) fill(room []byte) (n int, err error) {
	for n < len(room) && u.err == nil {
		var m int
		m, u.err = u.Read(room[n:])
		n += m
	}
	if n > 0 {
		return n, nil
	}
	return 0, u.err
}

// whatOfEnd makes sure that an archive that is cut off does not look like one that ends.
func whatOfEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// verify reads a compressed file through.
func verify(f *os.File, kind compression) error {
	u, err := unpack(f, kind, 0)
	if err != nil {
		return err
	}
	defer u.close()
	_, err = io.Copy(io.Discard, u)
	return err
}

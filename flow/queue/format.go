package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// A queue is a directory:
//
//	lock                                     held by the process that has the queue open
//	checkpoint                               what is acknowledged
//	NUMBER-FIRST-SALT.segment                events, in the order of NUMBER (10 hexadecimal digits, from 0 on)
//	NUMBER-FIRST-SALT.segment.OFFSET.damaged bytes of a segment that could not be read, moved aside
//	NUMBER-FIRST-SALT.segment.damaged        a whole segment of which bytes could not be moved aside
//
// Events have sequence numbers from 0 on. FIRST (16 hexadecimal digits) is at most the sequence number of the segment's first
// event, and none before it is in later segments. SALT (16 hexadecimal digits) is random: it enters the checksums of the
// segment's frames, so that bytes which an event brings along are never taken for one. Integers are little-endian; checksums
// are CRC-32C.
//
// A segment begins with a header; the name has the same numbers, so a damaged header costs nothing:
//
//	 0  8 bytes  "naruqseg"
//	 8  uint32   version of the format: 1
//	12  uint32   checksum of the bytes before it and those after it
//	16  uint64   FIRST
//	24  uint64   SALT
//	32  int64    when it was begun, in nanoseconds since 1970
//
// and goes on with frames, each of events that were written together:
//
//	 0  4 bytes  9d 6e 71 66
//	 4  uint32   checksum of SALT (8 bytes) and bytes 8 to 39
//	 8  uint64   sequence number of its first event
//	16  uint32   how many events it has, at least 1
//	20  uint32   length of the payload in bytes
//	24  uint32   length of the payload when it is decompressed
//	28  uint32   checksum of the payload
//	32  byte     compression: 0 none, 1 S2 block, 2 Zstandard
//	33  7 bytes  0
//	40           payload: records (record.go)
//
// The checkpoint has two slots, at 0 and 4096, which are written in turns, so that one is whole after a crash; the one with
// the higher generation counts:
//
//	 0  8 bytes  "naruqack"
//	 8  uint32   version of the format: 1
//	12  uint32   checksum of the bytes before it and those after it
//	16  uint64   generation
//	24  uint64   sequence number before which everything is acknowledged
const (
	segmentMagic    = "naruqseg"
	checkpointMagic = "naruqack"
	frameMagic      = "\x9dnqf"

	version        = 1
	segmentHeader  = 40
	frameHeader    = 40
	slotBytes      = 32
	slotAt         = 4096
	checkpointSize = slotAt + slotBytes

	// maxFrame bounds a payload, and so a record.
	maxFrame = 1 << 30
)

// ErrCorrupt says that bytes in a queue are not what was written.
var ErrCorrupt = errors.New("the queue is damaged")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A Compression says how events are compressed on the disk.
type Compression string

// The compressions. What is on the disk is read whatever is set now.
const (
	Uncompressed Compression = ""
	S2           Compression = "s2"   // fast, like LZ4
	Zstd         Compression = "zstd" // small
)

// The numbers of compressions in frames.
const (
	codeNone = iota
	codeS2
	codeZstd
)

// headSum gives the checksum of a header whose checksum is at 12.
func headSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:12], castagnoli), castagnoli, b[16:])
}

// A segmentName is what the name of a segment says.
type segmentName struct {
	number uint64
	first  uint64
	salt   uint64
}

func (n segmentName) String() string {
	return fmt.Sprintf("%010x-%016x-%016x%s", n.number, n.first, n.salt, segmentSuffix)
}

const segmentSuffix = ".segment"

// parseSegmentName reports whether name is a segment's.
func parseSegmentName(name string) (n segmentName, ok bool) {
	stem, ok := strings.CutSuffix(name, segmentSuffix)
	parts := strings.Split(stem, "-")
	if !ok || len(parts) != 3 {
		return n, false
	}
	for i, to := range []*uint64{&n.number, &n.first, &n.salt} {
		v, err := strconv.ParseUint(parts[i], 16, 64)
		if err != nil {
			return n, false
		}
		*to = v
	}
	return n, n.String() == name
}

func appendSegmentHeader(b []byte, n segmentName, begun time.Time) []byte {
	start := len(b)
	b = append(b, segmentMagic...)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, n.first)
	b = binary.LittleEndian.AppendUint64(b, n.salt)
	b = binary.LittleEndian.AppendUint64(b, uint64(begun.UnixNano()))
	binary.LittleEndian.PutUint32(b[start+12:], headSum(b[start:]))
	return b
}

// parseSegmentHeader gives when a segment was begun. ErrCorrupt says that the header is not whole.
func parseSegmentHeader(b []byte, n segmentName) (time.Time, error) {
	if len(b) < segmentHeader || string(b[:8]) != segmentMagic || binary.LittleEndian.Uint32(b[12:]) != headSum(b[:segmentHeader]) {
		return time.Time{}, fmt.Errorf("the header of %s: %w", n, ErrCorrupt)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != version {
		return time.Time{}, fmt.Errorf("%s has version %d of the format; this program knows version %d", n, v, version)
	}
	if first, salt := binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:]); first != n.first || salt != n.salt {
		return time.Time{}, fmt.Errorf("%s was made under another name, with %016x-%016x; give it that name back", n, first, salt)
	}
	return time.Unix(0, int64(binary.LittleEndian.Uint64(b[32:]))), nil
}

// A frame is what the header of a frame says.
type frame struct {
	first  uint64
	count  uint32
	stored uint32
	raw    uint32
	sum    uint32
	code   byte
}

// end is the sequence number after the last event.
func (f *frame) end() uint64 { return f.first + uint64(f.count) }

// size is that of the frame in its file.
func (f *frame) size() int64 { return frameHeader + int64(f.stored) }

func putFrameHeader(b []byte, f *frame, salt uint64) {
	b = b[:frameHeader]
	clear(b)
	copy(b, frameMagic)
	binary.LittleEndian.PutUint64(b[8:], f.first)
	binary.LittleEndian.PutUint32(b[16:], f.count)
	binary.LittleEndian.PutUint32(b[20:], f.stored)
	binary.LittleEndian.PutUint32(b[24:], f.raw)
	binary.LittleEndian.PutUint32(b[28:], f.sum)
	b[32] = f.code
	binary.LittleEndian.PutUint32(b[4:], frameSum(b, salt))
}

func frameSum(b []byte, salt uint64) uint32 {
	var s [8]byte
	binary.LittleEndian.PutUint64(s[:], salt)
	return crc32.Update(crc32.Checksum(s[:], castagnoli), castagnoli, b[8:frameHeader])
}

// parseFrameHeader reads the header of a frame of the segment with that salt.
func parseFrameHeader(b []byte, salt uint64) (f frame, ok bool) {
	if len(b) < frameHeader || string(b[:4]) != frameMagic || binary.LittleEndian.Uint32(b[4:]) != frameSum(b, salt) {
		return f, false
	}
	f = frame{
		first:  binary.LittleEndian.Uint64(b[8:]),
		count:  binary.LittleEndian.Uint32(b[16:]),
		stored: binary.LittleEndian.Uint32(b[20:]),
		raw:    binary.LittleEndian.Uint32(b[24:]),
		sum:    binary.LittleEndian.Uint32(b[28:]),
		code:   b[32],
	}
	sane := f.count > 0 && f.stored <= maxFrame && f.raw <= maxFrame && f.first <= f.end() && f.end() < 1<<63 && f.code <= codeZstd
	return f, sane
}

func checksum(payload []byte) uint32 { return crc32.Checksum(payload, castagnoli) }

// A packer compresses and decompresses payloads. It is used by one goroutine.
type packer struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

// pack appends the payload to b as c compresses it, and says how it did: not at all if that is no gain.
func (p *packer) pack(b, payload []byte, c Compression) ([]byte, byte, error) {
	start := len(b)
	code := byte(codeNone)
	switch c {
	case S2:
		n := s2.MaxEncodedLen(len(payload))
		if n < 0 {
			break
		}
		b = append(b, make([]byte, n)...)
		b = b[:start+len(s2.Encode(b[start:], payload))]
		code = codeS2
	case Zstd:
		if p.enc == nil {
			var err error
			if p.enc, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
				zstd.WithEncoderCRC(false), zstd.WithWindowSize(1<<20)); err != nil {
				return b, 0, err
			}
		}
		b = p.enc.EncodeAll(payload, b)
		code = codeZstd
	case Uncompressed:
	}
	if code == codeNone || len(b)-start >= len(payload) {
		return append(b[:start], payload...), codeNone, nil
	}
	return b, code, nil
}

// unpack gives the payload of a frame as it was before it was compressed, in room if that is large enough.
func (p *packer) unpack(room, stored []byte, f *frame) ([]byte, error) {
	switch f.code {
	case codeNone:
		if f.raw != f.stored {
			return nil, errUnpack
		}
		return stored, nil
	case codeS2:
		if n, err := s2.DecodedLen(stored); err != nil || n != int(f.raw) {
			return nil, errUnpack
		}
		out, err := s2.Decode(room[:cap(room)], stored)
		if err != nil {
			return nil, errors.Join(errUnpack, err)
		}
		return out, nil
	default:
		if p.dec == nil {
			var err error
			if p.dec, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxFrame), zstd.WithDecodeAllCapLimit(true)); err != nil {
				return nil, err
			}
		}
		if cap(room) < int(f.raw) {
			room = make([]byte, 0, f.raw)
		}
		out, err := p.dec.DecodeAll(stored, room[:0:f.raw]) // not beyond its capacity
		if err != nil {
			return nil, errors.Join(errUnpack, err)
		}
		if len(out) != int(f.raw) {
			return nil, errUnpack
		}
		return out, nil
	}
}

var errUnpack = errors.New("the payload does not decompress to its length")

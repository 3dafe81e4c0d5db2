package lucene

import (
	"encoding/binary"
	"hash/crc32"
	"strconv"
)

// Every file is framed so (org.apache.lucene.codecs.CodecUtil; all big-endian, in every version):
//
//	header  int 0x3FD76C17, string codec, int version
//	        index header adds: 16 bytes id, byte n, n bytes suffix
//	…
//	footer  int 0xC02893E8, int 0, long CRC-32 (IEEE) of all before it
const (
	headerMagic  = 0x3FD76C17
	footerMagic  = 0xC02893E8
	footerLength = 16
	idLength     = 16
)

// ID is what the files of one segment have in common, and the commits of an index.
type ID [idLength]byte

// A Header says what a file is.
type Header struct {
	Codec   string
	Version int32
	ID      ID     // zero in a plain header
	Suffix  string // "" in a plain header
	Length  int    // bytes
}

// ReadHeader reads a plain header; ReadIndexHeader one with an id and a suffix.
func ReadHeader(b []byte) (Header, error) {
	in := input{b: b}
	h := in.header()
	return h, in.err
}

// ReadIndexHeader reads the header of a segment's or commit's file.
func ReadIndexHeader(b []byte) (Header, error) {
	in := input{b: b}
	h := in.indexHeader()
	return h, in.err
}

func (in *input) header() Header {
	magic := uint32(in.beI32())
	if in.err == nil && magic != headerMagic {
		in.fail(corruptf("not a Lucene file: it begins with %#08x", magic))
	}
	h := Header{Codec: in.string(), Version: in.beI32()}
	h.Length = in.p
	return h
}

func (in *input) indexHeader() Header {
	h := in.header()
	copy(h.ID[:], in.take(idLength))
	h.Suffix = string(in.take(int(in.byte())))
	h.Length = in.p
	return h
}

func (in *input) beI32() int32 {
	le := in.le
	in.le = false
	v := in.i32()
	in.le = le
	return v
}

// footer gives the CRC that a file's last 16 bytes hold.
func footer(last []byte) (uint32, error) {
	if len(last) < footerLength {
		return 0, corruptf("no footer: too short")
	}
	last = last[len(last)-footerLength:]
	if m := binary.BigEndian.Uint32(last); m != footerMagic {
		return 0, corruptf("no footer: %#08x in its place; the file is cut or overwritten", m)
	}
	if alg := binary.BigEndian.Uint32(last[4:]); alg != 0 {
		return 0, unsupportedf("checksum algorithm %d", alg)
	}
	crc := binary.BigEndian.Uint64(last[8:])
	if crc>>32 != 0 {
		return 0, corruptf("checksum %#x has more than 32 bits", crc)
	}
	return uint32(crc), nil
}

// CheckBytes checks the footer and checksum of a whole file in memory, and returns its body without the footer.
func CheckBytes(b []byte) ([]byte, error) {
	want, err := footer(b)
	if err != nil {
		return nil, err
	}
	if got := crc32.ChecksumIEEE(b[:len(b)-8]); got != want {
		return nil, checksumError(want, got)
	}
	return b[:len(b)-footerLength], nil
}

// CheckFile checks the footer and checksum of a file, reading it once in order through a small buffer. It
// returns the checksum.
func CheckFile(f File) (uint32, error) {
	size := f.Size()
	if size < footerLength {
		return 0, corruptf("no footer: too short")
	}
	buf := make([]byte, min(size, 1<<20))
	var crc uint32
	for off := int64(0); ; {
		p := buf[:min(int64(len(buf)), size-off)]
		if err := readFull(f, off, p); err != nil {
			return 0, err
		}
		if end := off + int64(len(p)); end >= size-8 {
			// The last read holds the end of what the checksum covers, and perhaps not all of the footer.
			if cover := size - 8 - off; cover > 0 {
				crc = crc32.Update(crc, crc32.IEEETable, p[:cover])
			}
			var last [footerLength]byte
			if err := readFull(f, size-footerLength, last[:]); err != nil {
				return 0, err
			}
			want, err := footer(last[:])
			if err == nil && want != crc {
				err = checksumError(want, crc)
			}
			return crc, err
		}
		crc = crc32.Update(crc, crc32.IEEETable, p)
		off += int64(len(p))
	}
}

// Checksum gives the checksum that a file's footer claims, without reading the rest, in base 36 as snapshot
// metadata write it.
func Checksum(f File) (string, error) {
	var last [footerLength]byte
	if f.Size() < footerLength {
		return "", corruptf("no footer: too short")
	}
	if err := readFull(f, f.Size()-footerLength, last[:]); err != nil {
		return "", err
	}
	crc, err := footer(last[:])
	return strconv.FormatUint(uint64(crc), 36), err
}

// ChecksumBytes checks a whole file in memory, and gives its checksum as Checksum does.
func ChecksumBytes(b []byte) (string, error) {
	if _, err := CheckBytes(b); err != nil {
		return "", err
	}
	crc, err := footer(b)
	return strconv.FormatUint(uint64(crc), 36), err
}

// seal gives a file its footer.
func seal(body []byte) []byte {
	body = binary.BigEndian.AppendUint32(body, footerMagic)
	body = binary.BigEndian.AppendUint32(body, 0)
	return binary.BigEndian.AppendUint64(body, uint64(crc32.ChecksumIEEE(body)))
}

func checksumError(want, got uint32) error {
	return corruptf("checksum is %08x, should be %08x", got, want)
}

// maxSmallFile bounds the files that are read whole: segment and field infos, live documents, doc-values
// metadata, fields indices. A field infos file of a hundred thousand fields has some 20 MB.
const maxSmallFile = 512 << 20

// readSmall reads a whole file, checks it, and positions an input after its index header.
func readSmall(dir Directory, name string) (input, Header, error) {
	f, err := dir.Open(name)
	if err != nil {
		return input{}, Header{}, fileError(name, err)
	}
	if f.Size() > maxSmallFile {
		return input{}, Header{}, fileError(name, unsupportedf("%d bytes, more than %d", f.Size(), maxSmallFile))
	}
	b := make([]byte, f.Size())
	if err := readFull(f, 0, b); err != nil {
		return input{}, Header{}, fileError(name, err)
	}
	body, err := CheckBytes(b)
	if err != nil {
		return input{}, Header{}, fileError(name, err)
	}
	in := input{b: body}
	h := in.indexHeader()
	return in, h, fileError(name, in.err)
}

// check says whether h is one of codec's versions from lo to hi, and belongs to the segment id.
func (h Header) check(codec string, lo, hi int32, id ID) error {
	if h.Codec != codec {
		return corruptf("codec is %q, should be %q", h.Codec, codec)
	}
	if h.Version < lo || h.Version > hi {
		return unsupportedf("%s version %d (known: %d to %d)", codec, h.Version, lo, hi)
	}
	return h.checkID(id)
}

// checkID catches files that do not belong together. Segments of old commits have no id.
func (h Header) checkID(id ID) error {
	if id != (ID{}) && h.ID != id {
		return corruptf("id is %x, the segment's is %x: the file belongs to another segment", h.ID, id)
	}
	return nil
}

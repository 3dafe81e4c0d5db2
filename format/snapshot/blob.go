package snapshot

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"

	"github.com/narudata/naru/format/smile"
	"github.com/narudata/naru/format/tree"
)

// Names of the codecs in the frames of blobs.
const (
	SnapshotCodec = "snapshot"       // snap-S.dat: a snapshot; in a shard's folder, the files of the shard in it
	MetadataCodec = "metadata"       // meta-S.dat: metadata of the cluster
	IndexCodec    = "index-metadata" // meta-M.dat in an index's folder
	ShardsCodec   = "snapshots"      // index-G in a shard's folder: the files of the shard in all snapshots
)

// Compression is how a blob's contents are compressed.
type Compression uint8

// Compressions. Zstd is OpenSearch's only.
const (
	None Compression = iota
	Deflate
	Zstd
)

// prefixes are what compressed contents begin with, of org.elasticsearch.common.compress.DeflateCompressor and
// OpenSearch's ZstdCompressor.
var prefixes = [...]string{None: "", Deflate: "DFL\x00", Zstd: "ZSTD\x00"}

func (c Compression) String() string {
	switch c {
	case None:
		return "none"
	case Deflate:
		return "deflate"
	case Zstd:
		return "zstd"
	}
	return fmt.Sprintf("compression %d", uint8(c))
}

// A Blob is a blob of metadata. What is not changed in Body is the same when it is written again, but for the
// bytes: names may have been shared, and the compressor was another.
type Blob struct {
	Codec       string
	Compression Compression
	Body        tree.Object
}

const (
	headerMagic = 0x3FD76C17
	footerMagic = 0xC02893E8
	footerBytes = 16
	blobVersion = 1
)

// OpenBlob decodes a blob's frame and its contents. If codec is "", the blob may be of any; Codec says of which.
// Layout (ChecksumBlobStoreFormat, org.apache.lucene.codecs.CodecUtil; integers big-endian):
//
//	int 0x3FD76C17; vInt n, n bytes codec; int version 1
//	SMILE, or "DFL\0" and it in raw DEFLATE, or "ZSTD\0" and it in a zstd frame
//	int 0xC02893E8; int 0; long CRC-32 (IEEE) of all before it
//
// The bodies, as far as naru needs them (… stands for more members, which differ between versions):
//
//	snapshot, of a repository  {"snapshot":{"name","uuid","version_id","indices":[name],"state",…}}
//	snapshot, of a shard       {"name","index_version",…,"files":[file]}; see EditFiles
//	snapshots                  {"files":[file],"snapshots":{name:{"files":[name of a file's blob],…}}}
//	index-metadata             {index:{"settings":{"index.…"},"mappings":…,"aliases":{…},…}}; see Mappings
//	metadata                   {"meta-data":{"templates":{…},"index_template":{…},…}}
func OpenBlob(codec string, b []byte) (*Blob, error) {
	name, plain, compression, err := unframe(codec, b)
	if err != nil {
		return nil, err
	}
	body, err := smileObject(plain)
	if err != nil {
		return nil, err
	}
	return &Blob{name, compression, body}, nil
}

func smileObject(plain []byte) (tree.Object, error) {
	v, err := smile.DecodeTree(plain)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	object, ok := v.(tree.Object)
	if !ok {
		return nil, corruptf("metadata are %T, not an object", v)
	}
	return object, nil
}

// unframe gives a blob's codec and its contents, decompressed.
func unframe(codec string, b []byte) (name string, plain []byte, c Compression, err error) {
	if len(b) < 4+1+4+footerBytes {
		return "", nil, None, corruptf("%d bytes, too short", len(b))
	}
	body, foot := b[:len(b)-footerBytes], b[len(b)-footerBytes:]
	if m := binary.BigEndian.Uint32(foot); m != footerMagic {
		return "", nil, None, corruptf("no footer: %#08x in its place; the blob is cut or overwritten", m)
	}
	want := binary.BigEndian.Uint64(foot[8:])
	if got := crc32.ChecksumIEEE(b[:len(b)-8]); uint64(got) != want {
		return "", nil, None, corruptf("checksum is %08x, should be %08x", got, want)
	}
	if m := binary.BigEndian.Uint32(body); m != headerMagic {
		return "", nil, None, corruptf("not a metadata blob: it begins with %#08x", m)
	}
	n := int(body[4])
	if n == 0 || n >= 0x80 || len(body) < 5+n+4 {
		return "", nil, None, corruptf("a codec name of %d bytes", n)
	}
	name = string(body[5 : 5+n])
	version, rest := binary.BigEndian.Uint32(body[5+n:]), body[5+n+4:]
	if codec != "" && name != codec {
		return "", nil, None, corruptf("codec is %q, should be %q", name, codec)
	}
	if version != blobVersion {
		return "", nil, None, fmt.Errorf("%w: %s version %d", ErrUnsupported, name, version)
	}
	plain, c, err = decompress(rest)
	return name, plain, c, err
}

// Encode gives the blob's bytes, compressed as Compression says. An error is about what the blob holds, or one
// of the compressor.
func (b *Blob) Encode() ([]byte, error) {
	if n := len(b.Codec); n == 0 || n >= 0x80 {
		return nil, fmt.Errorf("encode a blob: a codec name of %d bytes", n)
	}
	plain, err := smile.Append(nil, b.Body)
	if err != nil {
		return nil, fmt.Errorf("encode a blob of codec %s: %w", b.Codec, err)
	}
	if len(plain) > maxMetadata {
		return nil, fmt.Errorf("encode a blob of codec %s: %w: metadata of more than %d bytes", b.Codec, ErrUnsupported, maxMetadata)
	}
	out := binary.BigEndian.AppendUint32(nil, headerMagic)
	out = append(append(out, byte(len(b.Codec))), b.Codec...)
	out = binary.BigEndian.AppendUint32(out, blobVersion)
	if out, err = appendCompressed(out, b.Compression, plain); err != nil {
		return nil, fmt.Errorf("encode a blob of codec %s: %w", b.Codec, err)
	}
	out = binary.BigEndian.AppendUint32(out, footerMagic)
	out = binary.BigEndian.AppendUint32(out, 0)
	return binary.BigEndian.AppendUint64(out, uint64(crc32.ChecksumIEEE(out))), nil
}

func appendCompressed(dst []byte, c Compression, plain []byte) ([]byte, error) {
	if int(c) >= len(prefixes) {
		return nil, fmt.Errorf("%w: %s", ErrUnsupported, c)
	}
	dst = append(dst, prefixes[c]...)
	switch c {
	case Deflate:
		out := bytes.NewBuffer(dst)
		w, err := flate.NewWriter(out, flate.DefaultCompression)
		if err == nil {
			_, err = w.Write(plain)
		}
		if err == nil {
			err = w.Close()
		}
		return out.Bytes(), err
	case Zstd:
		w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		return w.EncodeAll(plain, dst), w.Close()
	default:
		return append(dst, plain...), nil
	}
}

// decompress undoes what org.elasticsearch.common.compress and OpenSearch's successor of it did.
func decompress(b []byte) ([]byte, Compression, error) {
	if deflated, ok := bytes.CutPrefix(b, []byte(prefixes[Deflate])); ok {
		plain, err := bounded(flate.NewReader(bytes.NewReader(deflated)), "DEFLATE")
		return plain, Deflate, err
	}
	if compressed, ok := bytes.CutPrefix(b, []byte(prefixes[Zstd])); ok {
		r, err := zstd.NewReader(bytes.NewReader(compressed), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxMetadata))
		if err != nil {
			return nil, Zstd, fmt.Errorf("zstd: %w", err)
		}
		defer r.Close()
		plain, err := bounded(r, "zstd")
		return plain, Zstd, err
	}
	return b, None, nil
}

func bounded(r io.Reader, what string) ([]byte, error) {
	plain, err := io.ReadAll(io.LimitReader(r, maxMetadata+1))
	if err != nil {
		return nil, corruptf("%s: %w", what, err)
	}
	if len(plain) > maxMetadata {
		return nil, fmt.Errorf("%w: metadata of more than %d bytes", ErrUnsupported, maxMetadata)
	}
	return plain, nil
}

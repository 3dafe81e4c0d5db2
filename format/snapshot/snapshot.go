// Package snapshot decodes the metadata of snapshot repositories, as Elasticsearch 5 to 8 and OpenSearch 1 to 3
// write them into a directory or a bucket.
//
//	index-N            the repository: snapshots and indices (JSON); the highest N counts
//	index.latest       N, a big-endian long, for stores that cannot be listed
//	snap-S.dat         snapshot S                                  ┐
//	meta-S.dat         cluster metadata of snapshot S              │ SMILE in a frame
//	indices/I/meta-M.dat       metadata of index I                 │ with a checksum, see
//	indices/I/n/snap-S.dat     files of shard n in snapshot S      ┘ DecodeBlob
//	indices/I/n/__…[.partK]    Lucene's files, in parts if large
//
// Source: org.elasticsearch.repositories.RepositoryData, org.elasticsearch.repositories.blobstore
// (ChecksumBlobStoreFormat, BlobStoreRepository), org.elasticsearch.index.snapshots.blobstore
// (BlobStoreIndexShardSnapshot), org.elasticsearch.cluster.metadata.IndexMetadata, and OpenSearch's of the same names.
// Unknown keys are ignored, and the version that a repository claims decides nothing.
package snapshot

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"

	"github.com/narudata/naru/format/smile"
)

// ErrCorrupt marks damage, for errors.Is.
var ErrCorrupt = errors.New("corrupt")

// ErrUnsupported marks what this package does not know, for errors.Is.
var ErrUnsupported = errors.New("unsupported")

func corruptf(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrCorrupt, fmt.Errorf(format, args...))
}

// Names of the codecs in the frames of blobs.
const (
	snapshotCodec = "snapshot" // snapshots, and files of a shard
	indexCodec    = "index-metadata"
	globalCodec   = "metadata"
)

// maxMetadata bounds a blob's metadata, decompressed. Global metadata of large clusters have some 100 MB.
const maxMetadata = 1 << 30

// DecodeBlob decodes a blob's frame and its SMILE contents. Layout (ChecksumBlobStoreFormat; integers
// big-endian):
//
//	int 0x3FD76C17; vInt n, n bytes codec; int version 1
//	SMILE, or "DFL\0" and it in raw DEFLATE, or "ZSTD\0" and it in a zstd frame
//	int 0xC02893E8; int 0; long CRC-32 (IEEE) of all before it
func DecodeBlob(codec string, b []byte) (map[string]any, error) {
	const footer = 16
	if len(b) < 4+1+4+footer {
		return nil, corruptf("%d bytes, too short", len(b))
	}
	body, foot := b[:len(b)-footer], b[len(b)-footer:]
	if m := binary.BigEndian.Uint32(foot); m != 0xC02893E8 {
		return nil, corruptf("no footer: %#08x in its place; the blob is cut or overwritten", m)
	}
	want := binary.BigEndian.Uint64(foot[8:])
	if got := crc32.ChecksumIEEE(b[:len(b)-8]); uint64(got) != want {
		return nil, corruptf("checksum is %08x, should be %08x", got, want)
	}
	if m := binary.BigEndian.Uint32(body); m != 0x3FD76C17 {
		return nil, corruptf("not a metadata blob: it begins with %#08x", m)
	}
	n := int(body[4])
	if n >= 0x80 || len(body) < 5+n+4 {
		return nil, corruptf("a codec name of %d bytes", n)
	}
	name, version, rest := string(body[5:5+n]), binary.BigEndian.Uint32(body[5+n:]), body[5+n+4:]
	if name != codec {
		return nil, corruptf("codec is %q, should be %q", name, codec)
	}
	if version != 1 {
		return nil, fmt.Errorf("%w: %s version %d", ErrUnsupported, codec, version)
	}
	plain, err := decompress(rest)
	if err != nil {
		return nil, err
	}
	v, err := smile.Decode(plain)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, corruptf("metadata are %T, not an object", v)
	}
	return object, nil
}

// decompress undoes what org.elasticsearch.common.compress and OpenSearch's successor of it did.
func decompress(b []byte) ([]byte, error) {
	if deflated, ok := bytes.CutPrefix(b, []byte("DFL\x00")); ok {
		return bounded(flate.NewReader(bytes.NewReader(deflated)), "DEFLATE")
	}
	if compressed, ok := bytes.CutPrefix(b, []byte("ZSTD\x00")); ok {
		r, err := zstd.NewReader(bytes.NewReader(compressed), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxMetadata))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		defer r.Close()
		return bounded(r, "zstd")
	}
	return b, nil
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

// object gives typed access to decoded metadata. A value of another type is as if absent, and noted in bad.
type object struct {
	m   map[string]any
	bad *error
}

func (o object) note(key string, v any) {
	if *o.bad == nil {
		*o.bad = corruptf("%s is %T", key, v)
	}
}

func (o object) string(key string) string {
	switch v := o.m[key].(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		o.note(key, v)
		return ""
	}
}

func (o object) int(key string) int64 {
	switch v := o.m[key].(type) {
	case nil:
		return 0
	case int64:
		return v
	case int32:
		return int64(v)
	default:
		o.note(key, v)
		return 0
	}
}

func (o object) list(key string) []any {
	switch v := o.m[key].(type) {
	case nil:
		return nil
	case []any:
		return v
	default:
		o.note(key, v)
		return nil
	}
}

func (o object) strings(key string) []string {
	var s []string
	for _, v := range o.list(key) {
		t, ok := v.(string)
		if !ok {
			o.note(key, v)
			return nil
		}
		s = append(s, t)
	}
	return s
}

func (o object) object(key string) object {
	switch v := o.m[key].(type) {
	case nil:
	case map[string]any:
		return object{v, o.bad}
	default:
		o.note(key, v)
	}
	return object{nil, o.bad}
}

// validName reports whether a name from metadata may be used as an element of a blob's path.
func validName(s string) bool {
	return s != "" && s != "." && s != ".." && len(s) <= 255 && !strings.ContainsAny(s, "/\\\x00")
}

// toJSON prints decoded metadata as JSON.
func toJSON(v any) (json.RawMessage, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("metadata as JSON: %w", err)
	}
	return b, nil
}

// Package snapshot decodes the metadata of snapshot repositories, as Elasticsearch 5 to 8 and OpenSearch 1 to 3
// write them into a directory or a bucket, and encodes them again after a change.
//
//	index-N            the repository: snapshots and indices (JSON); the highest N counts
//	index.latest       N, a big-endian long, for stores that cannot be listed
//	snap-S.dat         snapshot S                                  ┐
//	meta-S.dat         cluster metadata of snapshot S              │ SMILE in a frame
//	indices/I/meta-M.dat       metadata of index I                 │ with a checksum, see
//	indices/I/n/snap-S.dat     files of shard n in snapshot S      │ OpenBlob
//	indices/I/n/index-G        files of shard n in all snapshots   ┘
//	indices/I/n/__…[.partK]    Lucene's files, in parts if large
//
// Source: org.elasticsearch.repositories.RepositoryData, org.elasticsearch.repositories.blobstore
// (ChecksumBlobStoreFormat, BlobStoreRepository), org.elasticsearch.index.snapshots.blobstore
// (BlobStoreIndexShardSnapshot), org.elasticsearch.cluster.metadata.IndexMetadata, and OpenSearch's of the same names.
// Unknown keys are ignored, and the version that a repository claims decides nothing.
package snapshot

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/narudata/naru/format/smile"
)

// ErrCorrupt marks damage, for errors.Is.
var ErrCorrupt = errors.New("corrupt")

// ErrUnsupported marks what this package does not know, for errors.Is.
var ErrUnsupported = errors.New("unsupported")

func corruptf(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrCorrupt, fmt.Errorf(format, args...))
}

// maxMetadata bounds a blob's metadata, decompressed. Global metadata of large clusters have some 100 MB.
const maxMetadata = 1 << 30

// DecodeBlob decodes a blob's frame and its contents, see OpenBlob. Of equal keys in an object the last counts.
func DecodeBlob(codec string, b []byte) (map[string]any, error) {
	_, plain, _, err := unframe(codec, b)
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

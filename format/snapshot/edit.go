package snapshot

import (
	"fmt"
	"strings"

	"github.com/narudata/naru/format/tree"
)

// Mappings gives the mappings in an index's metadata by their type, each as {"properties":…}, in their order. They
// are the value of "mappings" (org.elasticsearch.cluster.metadata.IndexMetadata):
//
//	[mapping]   one for each type, either {type:{…}}, or that as JSON or SMILE in bytes, perhaps compressed
//	{type:{…}}  in place of the list
//
// What is not compressed is shared with index.
func Mappings(index tree.Object) (tree.Object, error) {
	types := tree.Object{}
	add := func(v any) error {
		if raw, ok := v.([]byte); ok {
			var err error
			if v, err = embeddedTree(raw); err != nil {
				return fmt.Errorf("mapping: %w", err)
			}
		}
		o, ok := v.(tree.Object)
		if !ok {
			return corruptf("a mapping is %T", v)
		}
		for _, m := range o {
			if _, ok := m.Value.(tree.Object); !ok {
				return corruptf("the mapping of type %q is %T", m.Name, m.Value)
			}
			types.Set(m.Name, m.Value)
		}
		return nil
	}
	v, _ := index.Get("mappings")
	switch v := v.(type) {
	case nil:
	case []any:
		for _, element := range v {
			if err := add(element); err != nil {
				return nil, err
			}
		}
	case tree.Object, []byte:
		if err := add(v); err != nil {
			return nil, err
		}
	default:
		return nil, corruptf("mappings are %T", v)
	}
	return types, nil
}

// SetMappings puts mappings, as Mappings gives them, into an index's metadata: as a list of one object for each type,
// not compressed, which every version of both servers reads.
func SetMappings(index *tree.Object, types tree.Object) {
	list := make([]any, 0, len(types))
	for _, m := range types {
		list = append(list, tree.Object{m})
	}
	index.Set("mappings", list)
}

// embeddedTree decodes what embedded does, as an ordered tree.
func embeddedTree(raw []byte) (tree.Object, error) {
	plain, _, err := decompress(raw)
	if err != nil {
		return nil, err
	}
	if isSmile(plain) {
		return smileObject(plain)
	}
	o, err := tree.ObjectFromJSON(plain)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return o, nil
}

// EditFiles calls edit for each element of "files" in the body of a shard's blob, of SnapshotCodec or ShardsCodec, with
// the file that it stands for. What edit makes of the element takes its place in the body. An error of edit ends
// it and is returned. Layout of an element (org.elasticsearch.index.snapshots.blobstore.BlobStoreIndexShardSnapshot.FileInfo):
//
//	name           of the file's blob, "__…"; "v__…" if there is none, and meta_hash is the whole file
//	physical_name  of the file in the shard
//	length         bytes, of the file
//	checksum       of the file's footer, in base 36
//	part_size      bytes of a part, if the file is in several blobs
//	written_by     version of Lucene
//	meta_hash      bytes: of segments_N, and of .si, .liv and other small files, the file
//	writer_uuid    bytes: from Elasticsearch 7.16 on
//
// The same file stands in the blob of each snapshot that has it and in index-G, under the same name: whoever changes
// what "v__…" holds changes it in all of them.
func EditFiles(shard tree.Object, edit func(f File, element *tree.Object) error) error {
	v, _ := shard.Get("files")
	list, ok := v.([]any)
	if !ok && v != nil {
		return corruptf("files is %T", v)
	}
	for i, v := range list {
		element, ok := v.(tree.Object)
		if !ok {
			return corruptf("a file is %T", v)
		}
		m := make(map[string]any, len(element))
		for _, member := range element {
			m[member.Name] = member.Value
		}
		f, err := readFile(m)
		if err != nil {
			return err
		}
		if err := edit(f, &element); err != nil {
			return err
		}
		list[i] = element
	}
	return nil
}

// SetContents replaces the contents of a file that has no blob, in its element of a shard's files. The checksum is
// that of the contents' footer, in base 36 (lucene.Checksum). A file that lies in a blob is refused.
func SetContents(element *tree.Object, contents []byte, checksum string) error {
	if name := element.Text("name"); !strings.HasPrefix(name, virtual) {
		return fmt.Errorf("%w: file %q lies in blob %q, not in the metadata", ErrUnsupported, element.Text("physical_name"), name)
	}
	if len(contents) == 0 || checksum == "" {
		return fmt.Errorf("file %q: no contents, or no checksum of them", element.Text("physical_name"))
	}
	element.Set("length", int64(len(contents)))
	element.Set("checksum", checksum)
	element.Set("meta_hash", contents)
	return nil
}

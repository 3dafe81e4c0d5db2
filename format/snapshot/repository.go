package snapshot

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A Repository is what index-N holds.
type Repository struct {
	UUID      string // "" before 7.12, and in OpenSearch
	Snapshots []Ref
	Indices   []IndexRef // by name
}

// A Ref is a snapshot, as its repository lists it.
type Ref struct {
	Name    string
	UUID    string
	State   string            // "SUCCESS", "PARTIAL", "FAILED", …; "" in repositories that do not say
	Version string            // what the writer says; from Elasticsearch 8.11 on it is not the server's version
	metaIDs map[string]string // index id → id of the index's metadata; nil before 7.9
}

// An IndexRef is an index, as its repository lists it.
type IndexRef struct {
	Name      string
	ID        string
	Snapshots []string // UUIDs of the snapshots that have it
	PathType  int64    // OpenSearch: where shards lie; 0: under indices/ID
}

// states are the values of org.elasticsearch.snapshots.SnapshotState.
var states = []string{"IN_PROGRESS", "SUCCESS", "FAILED", "PARTIAL", "INCOMPATIBLE"}

// ReadRepository decodes an index-N blob.
func ReadRepository(b []byte) (*Repository, error) {
	var raw struct {
		UUID      string `json:"uuid"`
		Snapshots []struct {
			Name    string            `json:"name"`
			UUID    string            `json:"uuid"`
			State   *int              `json:"state"`
			Version string            `json:"version"`
			Lookup  map[string]string `json:"index_metadata_lookup"`
		} `json:"snapshots"`
		Indices map[string]struct {
			ID        string            `json:"id"`
			Snapshots []json.RawMessage `json:"snapshots"`
			PathType  int64             `json:"shard_path_type"`
		} `json:"indices"`
		Identifiers map[string]string `json:"index_metadata_identifiers"`
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	r := &Repository{UUID: raw.UUID}
	seen := map[string]bool{}
	for _, s := range raw.Snapshots {
		ref := Ref{Name: s.Name, UUID: s.UUID, Version: s.Version}
		if !validName(ref.UUID) || seen[ref.UUID] {
			return nil, corruptf("snapshot %q has UUID %q", ref.Name, ref.UUID)
		}
		seen[ref.UUID] = true
		if s.State != nil {
			if *s.State < 0 || *s.State >= len(states) {
				return nil, corruptf("snapshot %q is in state %d", ref.Name, *s.State)
			}
			ref.State = states[*s.State]
		}
		if s.Lookup != nil {
			ref.metaIDs = make(map[string]string, len(s.Lookup))
			for index, key := range s.Lookup {
				id := raw.Identifiers[key]
				if !validName(id) {
					return nil, corruptf("snapshot %q: metadata of index %s are at %q, which has id %q", ref.Name, index, key, id)
				}
				ref.metaIDs[index] = id
			}
		}
		r.Snapshots = append(r.Snapshots, ref)
	}
	for name, index := range raw.Indices {
		ref := IndexRef{Name: name, ID: index.ID, PathType: index.PathType}
		if !validName(ref.ID) {
			return nil, corruptf("index %q has id %q", name, ref.ID)
		}
		for _, s := range index.Snapshots {
			// A string; for a while in 5.x and 6.x also {"name":…,"uuid":…}.
			var uuid string
			if json.Unmarshal(s, &uuid) != nil {
				var object struct {
					UUID string `json:"uuid"`
				}
				if err := json.Unmarshal(s, &object); err != nil {
					return nil, fmt.Errorf("%w: index %q: %w", ErrCorrupt, name, err)
				}
				uuid = object.UUID
			}
			ref.Snapshots = append(ref.Snapshots, uuid)
		}
		r.Indices = append(r.Indices, ref)
	}
	slices.SortFunc(r.Indices, func(a, b IndexRef) int { return strings.Compare(a.Name, b.Name) })
	return r, nil
}

// In reports whether the snapshot with the UUID has the index.
func (i *IndexRef) In(uuid string) bool { return slices.Contains(i.Snapshots, uuid) }

// MetaID is the id of an index's metadata blob in the snapshot.
func (r *Ref) MetaID(index *IndexRef) string {
	if id, ok := r.metaIDs[index.ID]; ok {
		return id
	}
	return r.UUID
}

// ReadLatest decodes an index.latest blob: the N of index-N.
func ReadLatest(b []byte) (int64, error) {
	if len(b) != 8 {
		return 0, corruptf("index.latest has %d bytes, not 8", len(b))
	}
	n := int64(binary.BigEndian.Uint64(b))
	if n < 0 {
		return 0, corruptf("index.latest is %d", n)
	}
	return n, nil
}

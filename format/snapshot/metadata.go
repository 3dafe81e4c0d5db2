package snapshot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/narudata/naru/format/smile"
)

// A Snapshot is what a snap-S.dat blob at a repository's root holds.
type Snapshot struct {
	Name        string
	UUID        string
	State       string // "SUCCESS", "PARTIAL", "FAILED", …
	VersionID   int64  // see ServerVersion
	Start, End  time.Time
	Indices     []string
	DataStreams []string
	Failures    []ShardFailure
	Shallow     bool // OpenSearch: shards may be on a remote store, outside of the repository
	GlobalState bool // metadata of the cluster are in the snapshot
}

// A ShardFailure says why a shard is not in a snapshot.
type ShardFailure struct {
	Index  string
	Shard  int
	Reason string
}

// ReadSnapshot decodes a snapshot's own blob.
func ReadSnapshot(b []byte) (*Snapshot, error) {
	m, err := DecodeBlob(SnapshotCodec, b)
	if err != nil {
		return nil, err
	}
	var bad error
	o := object{m, &bad}.object("snapshot")
	s := &Snapshot{
		Name: o.string("name"), UUID: o.string("uuid"), State: o.string("state"), VersionID: o.int("version_id"),
		Start: time.UnixMilli(o.int("start_time")).UTC(), End: time.UnixMilli(o.int("end_time")).UTC(),
		Indices: o.strings("indices"), DataStreams: o.strings("data_streams"),
		Shallow:     o.m["remote_store_index_shallow_copy"] == true,
		GlobalState: o.m["include_global_state"] == true,
	}
	for _, v := range o.list("failures") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, corruptf("a failure is %T", v)
		}
		f := object{m, &bad}
		s.Failures = append(s.Failures, ShardFailure{f.string("index"), int(f.int("shard_id")), f.string("reason")})
	}
	if bad != nil {
		return nil, bad
	}
	if s.Name == "" {
		return nil, corruptf("the snapshot has no name")
	}
	return s, nil
}

// openSearchMask is what OpenSearch flips in the ids of its versions.
const openSearchMask = 0x08000000

// ServerVersion names the version that wrote a snapshot, as far as version_id tells. From Elasticsearch 8.11
// on it is the version of the index format.
func (s *Snapshot) ServerVersion() string {
	id, product := s.VersionID, "Elasticsearch"
	if id <= 0 {
		return ""
	}
	if id >= openSearchMask {
		id, product = id^openSearchMask, "OpenSearch"
	}
	if product == "Elasticsearch" && id >= 8_500_000 {
		return fmt.Sprintf("Elasticsearch 8.11 or later (index version %d)", id)
	}
	return fmt.Sprintf("%s %d.%d.%d", product, id/1_000_000, id/10_000%100, id/100%100)
}

// An Index is what an index's meta-M.dat blob holds.
type Index struct {
	Name     string
	Shards   int
	Closed   bool
	Types    []string        // names of the mapping types
	Settings map[string]any  // flat, "index.number_of_shards"; values are strings or lists of strings
	Mappings json.RawMessage // {"type":{"properties":…},…}
	Aliases  json.RawMessage // {"name":{…},…}
	Source   SourceMode
	Nested   bool // a field of type nested: documents have children
}

// ReadIndex decodes an index's metadata blob.
func ReadIndex(b []byte, name string) (*Index, error) {
	m, err := DecodeBlob(IndexCodec, b)
	if err != nil {
		return nil, err
	}
	body, ok := m[name].(map[string]any)
	if !ok {
		return nil, corruptf("metadata of %q, not of %q", keys(m), name)
	}
	var bad error
	o := object{body, &bad}
	index := &Index{Name: name, Closed: o.string("state") == "close", Settings: o.object("settings").m}
	shards, err := strconv.Atoi(index.setting("index.number_of_shards"))
	if err != nil || shards < 1 || shards > 1<<16 {
		return nil, corruptf("index.number_of_shards is %q", index.setting("index.number_of_shards"))
	}
	index.Shards = shards

	mappings := map[string]any{}
	for _, v := range o.list("mappings") {
		m, err := mapping(v)
		if err != nil {
			return nil, err
		}
		for typ, body := range m {
			mappings[typ] = body
		}
	}
	index.Types = keys(mappings)
	index.Source = index.sourceMode(mappings)
	index.Nested = hasNested(mappings)
	if index.Mappings, err = toJSON(mappings); err != nil {
		return nil, err
	}
	aliases := o.object("aliases").m
	for _, v := range aliases {
		// A filter is stored as an object, or as compressed bytes.
		if a, ok := v.(map[string]any); ok {
			if raw, ok := a["filter"].([]byte); ok {
				if a["filter"], err = embedded(raw); err != nil {
					return nil, fmt.Errorf("filter of an alias: %w", err)
				}
			}
		}
	}
	if aliases == nil {
		aliases = map[string]any{}
	}
	if index.Aliases, err = toJSON(aliases); err != nil {
		return nil, err
	}
	return index, bad
}

// mapping gives one element of "mappings": an object, or its compressed bytes.
func mapping(v any) (map[string]any, error) {
	if raw, ok := v.([]byte); ok {
		var err error
		if v, err = embedded(raw); err != nil {
			return nil, fmt.Errorf("mapping: %w", err)
		}
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, corruptf("a mapping is %T", v)
	}
	return m, nil
}

// embedded decodes JSON or SMILE in bytes, perhaps compressed (CompressedXContent).
func embedded(raw []byte) (any, error) {
	plain, _, err := decompress(raw)
	if err != nil {
		return nil, err
	}
	if isSmile(plain) {
		return smile.Decode(plain)
	}
	var v any
	if err := json.Unmarshal(plain, &v); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return v, nil
}

func isSmile(plain []byte) bool { return bytes.HasPrefix(plain, []byte(smile.Header)) }

func keys(m map[string]any) []string {
	k := make([]string, 0, len(m))
	for key := range m {
		k = append(k, key)
	}
	slices.Sort(k)
	return k
}

func (i *Index) setting(key string) string {
	switch v := i.Settings[key].(type) {
	case string:
		return v
	case nil:
		return ""
	default:
		return fmt.Sprint(v)
	}
}

// Type is the mapping type that documents without a _uid have: "" where there is none, or the default.
func (i *Index) Type() string {
	for _, t := range i.Types {
		if t != "_doc" && t != "_default_" {
			return t
		}
	}
	return ""
}

// CreatedVersion names the version that created the index, or "".
func (i *Index) CreatedVersion() string {
	id, err := strconv.ParseInt(i.setting("index.version.created"), 10, 64)
	if err != nil {
		return ""
	}
	return (&Snapshot{VersionID: id}).ServerVersion()
}

// SourceMode says what of its documents' sources an index keeps.
type SourceMode struct {
	Kept     bool   // a _source is stored, if not whole
	Filtered bool   // fields of it are left out
	Why      string // what says so, if it is not stored whole: "_source.excludes"
}

// Modes of sources.
var (
	sourceStored    = SourceMode{Kept: true}
	sourceDisabled  = SourceMode{Why: "_source.enabled: false"}
	sourceSynthetic = SourceMode{Why: "synthetic _source"}
	sourceDerived   = SourceMode{Why: "derived _source"}
)

// sourceMode reads the mode out of mappings and settings: the worst of all types.
func (i *Index) sourceMode(mappings map[string]any) SourceMode {
	mode := sourceStored
	said := false
	for _, typ := range keys(mappings) {
		body, _ := mappings[typ].(map[string]any)
		source, _ := body["_source"].(map[string]any)
		if source == nil {
			continue
		}
		if v, ok := source["enabled"]; ok && fmt.Sprint(v) == "false" {
			return sourceDisabled
		}
		switch v := strings.ToLower(fmt.Sprint(source["mode"])); v {
		case "synthetic":
			return sourceSynthetic
		case "disabled":
			return sourceDisabled
		case "stored":
			said = true
		}
		for _, key := range []string{"includes", "excludes", "include", "exclude"} {
			if list, ok := source[key].([]any); ok && len(list) > 0 {
				mode = SourceMode{Kept: true, Filtered: true, Why: "_source." + key}
			}
		}
	}
	switch setting := strings.ToLower(i.setting("index.mapping.source.mode")); {
	case said:
	case setting == "synthetic":
		return sourceSynthetic
	case setting == "disabled":
		return sourceDisabled
	case setting == "stored":
	case strings.EqualFold(i.setting("index.mode"), "logsdb"), strings.EqualFold(i.setting("index.mode"), "time_series"):
		return sourceSynthetic
	}
	if i.setting("index.derived_source.enabled") == "true" {
		return sourceDerived
	}
	return mode
}

func hasNested(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		if v["type"] == "nested" {
			return true
		}
		for _, child := range v {
			if hasNested(child) {
				return true
			}
		}
	}
	return false
}

// Meta is the index's metadata as a flow's group carries them: {"mappings":…,"settings":…,"aliases":…}.
func (i *Index) Meta() (json.RawMessage, error) {
	settings := i.Settings
	if settings == nil {
		settings = map[string]any{}
	}
	return toJSON(map[string]any{"mappings": i.Mappings, "settings": settings, "aliases": i.Aliases})
}

// A Shard is what a shard's snap-S.dat blob holds: the Lucene files.
type Shard struct {
	Files []File
}

// A File is a file of a shard.
type File struct {
	Name     string // of its blob
	Physical string // as Lucene calls it
	Length   int64  // bytes
	Checksum string // as the file's footer has it, in base 36; "" if not said
	PartSize int64  // bytes of a part
	Meta     []byte // the file itself, if there is no blob for it, or a copy of a small file; else nil
}

// Inline reports whether the file's bytes are Meta.
func (f *File) Inline() bool { return int64(len(f.Meta)) == f.Length && len(f.Meta) > 0 }

// Virtual reports that there is no blob for the file: its bytes are Meta alone. Before Elasticsearch 7 a small file is in Meta
// and in a blob, which a restore reads.
func (f *File) Virtual() bool { return strings.HasPrefix(f.Name, virtual) }

// Parts is how many blobs the file is in.
func (f *File) Parts() int64 {
	if f.Length <= f.PartSize {
		return 1
	}
	return (f.Length + f.PartSize - 1) / f.PartSize
}

// Part is the name of the k-th blob.
func (f *File) Part(k int64) string {
	if f.Parts() == 1 {
		return f.Name
	}
	return f.Name + ".part" + strconv.FormatInt(k, 10)
}

// ReadShard decodes a shard's blob.
func ReadShard(b []byte) (*Shard, error) {
	m, err := DecodeBlob(SnapshotCodec, b)
	if err != nil {
		return nil, err
	}
	var bad error
	s := &Shard{}
	seen := map[string]bool{}
	for _, v := range (object{m, &bad}).list("files") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, corruptf("a file is %T", v)
		}
		f, err := readFile(m)
		if err != nil {
			return nil, err
		}
		if seen[f.Physical] {
			return nil, corruptf("file %q in blob %q", f.Physical, f.Name)
		}
		seen[f.Physical] = true
		s.Files = append(s.Files, f)
	}
	return s, bad
}

// virtual is what the name of a file begins with that has no blob.
const virtual = "v__"

// readFile decodes a file's element, see EditFiles.
func readFile(m map[string]any) (File, error) {
	var bad error
	o := object{m, &bad}
	f := File{
		Name: o.string("name"), Physical: o.string("physical_name"), Length: o.int("length"),
		Checksum: o.string("checksum"), PartSize: math.MaxInt64,
	}
	if _, ok := m["part_size"]; ok {
		f.PartSize = o.int("part_size")
	}
	switch meta := m["meta_hash"].(type) {
	case nil:
	case []byte:
		f.Meta = meta
	default:
		o.note("meta_hash", meta)
	}
	switch {
	case bad != nil:
		return File{}, bad
	case !validName(f.Name) || !validName(f.Physical):
		return File{}, corruptf("file %q in blob %q", f.Physical, f.Name)
	case f.Length < 0 || f.PartSize <= 0:
		return File{}, corruptf("file %q has %d bytes in parts of %d", f.Physical, f.Length, f.PartSize)
	case strings.HasPrefix(f.Name, virtual) && int64(len(f.Meta)) != f.Length:
		return File{}, corruptf("file %q has %d bytes, and %d of them here", f.Physical, f.Length, len(f.Meta))
	}
	return f, nil
}

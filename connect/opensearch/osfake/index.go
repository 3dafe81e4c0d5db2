package osfake

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math/bits"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// An index is guarded by the server's mutex.
type index struct {
	name     string
	uuid     string
	created  time.Time
	settings map[string]any // flat: a string, or []any of strings
	mappings object
	aliases  map[string]object
	closed   bool
	shards   []*shard
	routing  int // number of routing shards

	restored *restored // out of a snapshot; nil: it was not
	unmarked bool      // see SnapshotIndex

	sized     bool      // it takes on the disk what its documents have
	refreshed time.Time // when it last was
	writes    int64     // items that reached it
	counted   int64     // of these, those of an earlier process
	queries   int64     // of its shards
	size      Size      // that a test gave it
}

type shard struct {
	docs  map[string]*entry
	seqNo int64 // the next
	term  int64
	dirty []*entry   // changed since the last refresh
	order []*version // what a search sees, in the order of writing; replaced ones among them
	gone  int        // of those
}

// An entry is an id of a shard: what it is now, and what a search sees.
type entry struct {
	live, seen *version
}

// A version of a document. It is never changed.
type version struct {
	id      string
	routing string
	source  []byte
	version int64
	seqNo   int64
	term    int64
	deleted bool
	tree    object // of the source
	shard   int
	ordinal int64 // of its index: in the order of writing
	gone    bool  // a search no longer sees it
}

func (s *Server) newIndex(name string) *index {
	s.serial++
	return &index{
		name: name, uuid: fmt.Sprintf("fake%018d", s.serial), created: time.Now(), settings: map[string]any{},
		aliases: map[string]object{}, refreshed: time.Now(), sized: s.o.Sizes,
	}
}

// open gives a new index its shards, as its settings say.
func (ix *index) open(v Version) *apiError {
	n, err := positive(ix.settings, "index.number_of_shards", 1, 1)
	if err != nil {
		return err
	}
	if _, err := positive(ix.settings, "index.number_of_replicas", 1, 0); err != nil {
		return err
	}
	ix.settings["index.number_of_shards"] = strconv.Itoa(n)
	if ix.settings["index.auto_expand_replicas"] != nil {
		ix.settings["index.number_of_replicas"] = "0"
	}
	if ix.settings["index.number_of_replicas"] == nil {
		ix.settings["index.number_of_replicas"] = "1"
	}
	ix.settings["index.provided_name"] = ix.name
	ix.settings["index.uuid"] = ix.uuid
	ix.settings["index.creation_date"] = strconv.FormatInt(ix.created.UnixMilli(), 10)
	ix.settings["index.version.created"] = v.created()
	if v.OpenSearch {
		if _, ok := ix.settings["index.replication.type"]; !ok {
			ix.settings["index.replication.type"] = "DOCUMENT"
		}
	}
	splits := max(1, 10-bits.Len(uint(n-1)))
	ix.routing = n << splits
	for range n {
		ix.shards = append(ix.shards, &shard{docs: map[string]*entry{}, term: 1})
	}
	return nil
}

func positive(settings map[string]any, name string, otherwise, least int) (int, *apiError) {
	text, ok := settings[name].(string)
	if !ok {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		e := illegal("Failed to parse value [%s] for setting [%s]", text, name)
		e.causedBy = &apiError{typ: "number_format_exception", reason: fmt.Sprintf("For input string: %q", text)}
		return 0, e
	}
	if n < least {
		return 0, illegal("Failed to parse value [%s] for setting [%s] must be >= %d", text, name, least)
	}
	return n, nil
}

func (ix *index) setting(name string) string {
	s, _ := ix.settings[name].(string)
	return s
}

// shardOf is where a document belongs: by its routing, or its id.
func (ix *index) shardOf(id, routing string) int {
	if routing == "" {
		routing = id
	}
	h := int32(murmur3(routing))
	m := int(h) % ix.routing
	if m < 0 {
		m += ix.routing
	}
	return m / (ix.routing / len(ix.shards))
}

// murmur3 is the 32-bit variant over UTF-16, little endian.
func murmur3(s string) uint32 {
	var data []byte
	for _, u := range utf16.Encode([]rune(s)) {
		data = binary.LittleEndian.AppendUint16(data, u)
	}
	const c1, c2 = 0xcc9e2d51, 0x1b873593
	h, n := uint32(0), len(data)
	for len(data) >= 4 {
		k := binary.LittleEndian.Uint32(data) * c1
		h ^= bits.RotateLeft32(k, 15) * c2
		h = bits.RotateLeft32(h, 13)*5 + 0xe6546b64
		data = data[4:]
	}
	if len(data) > 0 {
		var last [4]byte
		copy(last[:], data)
		h ^= bits.RotateLeft32(binary.LittleEndian.Uint32(last[:])*c1, 15) * c2
	}
	h ^= uint32(n)
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	return h ^ h>>16
}

// put makes v what the document is now.
func (ix *index) put(e *entry, v *version, sh *shard) {
	ix.writes++
	v.ordinal = ix.writes
	v.seqNo, v.term = sh.seqNo, sh.term
	sh.seqNo++
	if e.live == e.seen {
		sh.dirty = append(sh.dirty, e)
	}
	e.live = v
}

// refresh has searches see what was written.
func (ix *index) refresh() {
	ix.refreshed = time.Now()
	for _, sh := range ix.shards {
		slices.SortFunc(sh.dirty, func(a, b *entry) int { return cmp.Compare(a.live.ordinal, b.live.ordinal) })
		for _, e := range sh.dirty {
			if e.seen != nil && !e.seen.gone {
				if !e.seen.deleted {
					sh.gone++
				}
				// Open scrolls hold the version itself: they must go on seeing it, so gone is of the order only.
				e.seen.gone = true
			}
			e.seen = e.live
			if !e.live.deleted {
				sh.order = append(sh.order, e.live)
			}
		}
		sh.dirty = nil
		if sh.gone > len(sh.order)/2 {
			sh.order = slices.DeleteFunc(slices.Clone(sh.order), func(v *version) bool { return v.gone })
			sh.gone = 0
		}
	}
}

// refreshIfDue refreshes as the index's interval says: one second unless told, never if it is -1. The fake does so when
// somebody looks, not in the background.
func (ix *index) refreshIfDue() {
	interval := time.Second
	if text := ix.setting("index.refresh_interval"); text != "" {
		d, ok := duration(text)
		if !ok || d < 0 {
			return
		}
		interval = d
	}
	if time.Since(ix.refreshed) >= interval {
		ix.refresh()
	}
}

// visible gives what a search sees of a shard.
func (sh *shard) visible() []*version {
	out := make([]*version, 0, len(sh.order)-sh.gone)
	for _, v := range sh.order {
		if !v.gone {
			out = append(out, v)
		}
	}
	return out
}

// duration parses the servers' way to write one: 500ms, 1s, 5m, -1.
func duration(text string) (time.Duration, bool) {
	if text == "-1" || text == "0" {
		n, err := strconv.Atoi(text)
		return time.Duration(n), err == nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		return time.Duration(n) * 24 * time.Hour, err == nil
	}
	d, err := time.ParseDuration(strings.Replace(strings.Replace(text, "micros", "us", 1), "nanos", "ns", 1))
	return d, err == nil
}

// blocked says why an index cannot be written.
func (ix *index) blocked() *apiError {
	block := func(status int, what string) *apiError {
		return &apiError{status: status, typ: "cluster_block_exception", reason: "index [" + ix.name + "] blocked by: [" + what + "];"}
	}
	switch {
	case ix.closed:
		return ix.closedError()
	case ix.setting("index.blocks.read_only_allow_delete") == "true":
		return block(http.StatusTooManyRequests, "TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block")
	case ix.setting("index.blocks.read_only") == "true":
		return block(http.StatusForbidden, "FORBIDDEN/5/index read-only (api)")
	case ix.setting("index.blocks.write") == "true":
		return block(http.StatusForbidden, "FORBIDDEN/8/index write (api)")
	}
	return nil
}

func (ix *index) closedError() *apiError {
	return &apiError{status: http.StatusBadRequest, typ: "index_closed_exception", reason: "closed", extra: object{{"index", ix.name}, {"index_uuid", ix.uuid}}}
}

func (ix *index) hidden() bool { return ix.setting("index.hidden") == "true" }

// copies is how many there are of each shard, as far as one node lets: total, and those that are there.
func (ix *index) copies() (total, successful int) {
	replicas, err := strconv.Atoi(ix.setting("index.number_of_replicas"))
	if err != nil {
		panic("BUG: number_of_replicas is checked when it is set")
	}
	return 1 + replicas, 1
}

// named finds the indices that a comma-separated expression of names, aliases and patterns stands for.
func (s *Server) named(expression string, c *call) ([]*index, *apiError) {
	if expression == "" {
		expression = "_all"
	}
	missingOK := c.query.Get("ignore_unavailable") == "true"
	hidden := strings.Contains(c.query.Get("expand_wildcards"), "all") || strings.Contains(c.query.Get("expand_wildcards"), "hidden")
	found := map[string]*index{}
	for part := range strings.SplitSeq(expression, ",") {
		if part == "_all" {
			part = "*"
		}
		if strings.Contains(part, "*") {
			for name, ix := range s.indices {
				hit := matches(part, name) || slices.ContainsFunc(slices.Collect(maps.Keys(ix.aliases)), func(a string) bool { return matches(part, a) })
				if hit && (hidden || !ix.hidden() || strings.HasPrefix(part, ".") && strings.HasPrefix(name, ".")) {
					found[name] = ix
				}
			}
			continue
		}
		direct := s.lookup(part)
		if len(direct) == 0 && !missingOK {
			return nil, noSuchIndex(part, "index_or_alias")
		}
		for _, ix := range direct {
			found[ix.name] = ix
		}
	}
	return sortedIndices(found), nil
}

func sortedIndices(m map[string]*index) []*index {
	return slices.SortedFunc(maps.Values(m), func(a, b *index) int { return cmp.Compare(a.name, b.name) })
}

// sourceBytes is what its documents have, those that no search sees yet too.
func (ix *index) sourceBytes() int {
	n := 0
	for _, sh := range ix.shards {
		for _, e := range sh.docs {
			if e.live != nil && !e.live.deleted {
				n += len(e.live.source)
			}
		}
	}
	return n
}

// lookup finds an index by its name, those of the data stream, or those that have the alias.
func (s *Server) lookup(name string) []*index {
	if ix := s.indices[name]; ix != nil {
		return []*index{ix}
	}
	if s.streams[name] != nil {
		return s.behind(name)
	}
	found := map[string]*index{}
	for _, ix := range s.indices {
		if _, ok := ix.aliases[name]; ok {
			found[ix.name] = ix
		}
	}
	return sortedIndices(found)
}

// writable finds the index to write to, and creates it if that is done.
func (s *Server) writable(name string, create, requireAlias bool) (*index, *apiError) {
	if ix := s.indices[name]; ix != nil {
		if requireAlias {
			return nil, notAnAlias(name)
		}
		return ix, nil
	}
	if behind := s.behind(name); len(behind) > 0 {
		return behind[len(behind)-1], nil
	}
	found := s.lookup(name)
	switch {
	case len(found) == 1:
		if writes, ok := found[0].aliases[name].get("is_write_index").(bool); !ok || writes {
			return found[0], nil
		}
	case len(found) == 0 && requireAlias:
		return nil, notAnAlias(name)
	case len(found) == 0 && !create:
		return nil, noSuchIndex(name, s.version.expression())
	case len(found) == 0 && s.setting("action.auto_create_index") == "false":
		e := noSuchIndex(name, "index_or_alias")
		e.reason += " and [action.auto_create_index] is [false]"
		e.extra = object{{"index", name}, {"index_uuid", "_na_"}}
		return nil, e
	case len(found) == 0:
		if err := s.nameAllowed(name); err != nil {
			return nil, err
		}
		ix := s.newIndex(name)
		if err := ix.open(s.version); err != nil {
			panic("BUG: " + err.Error())
		}
		s.indices[name] = ix
		return ix, nil
	}
	for _, ix := range found {
		if ix.aliases[name].get("is_write_index") == true {
			return ix, nil
		}
	}
	return nil, illegal("no write index is defined for alias [%s]. The write index may be explicitly disabled using is_write_index=false or the alias points to multiple indices without one being designated as a write index", name)
}

func notAnAlias(name string) *apiError {
	return &apiError{
		status: http.StatusNotFound, typ: "index_not_found_exception", extra: object{{"index", name}, {"index_uuid", "_na_"}},
		reason: "no such index [" + name + "] and [require_alias] request flag is [true] and [" + name + "] is not an alias",
	}
}

// nameAllowed says what is wrong with the name of a new index.
func (s *Server) nameAllowed(name string) *apiError {
	var why string
	switch {
	case strings.ContainsAny(name, ` "*\<|,>/?`):
		why = `must not contain the following characters [ , ", *, \, <, |, ,, >, /, ?]`
		if s.version.es(8) {
			why = `must not contain the following characters ['"',' ','\','/',',','|','>','?','*','<']`
		}
	case strings.ContainsAny(name, "#:"):
		why = "must not contain '" + name[strings.IndexAny(name, "#:"):][:1] + "'"
	case strings.ContainsRune("_-+", rune(name[0])):
		why = "must not start with '_', '-', or '+'"
	case name != strings.ToLower(name):
		why = "must be lowercase"
	case len(name) > 255:
		why = fmt.Sprintf("index name is too long, (%d > 255)", len(name))
	case name == "." || name == "..":
		why = "must not be '.' or '..'"
	case s.indices[name] == nil && len(s.lookup(name)) > 0:
		why = "already exists as alias"
	default:
		return nil
	}
	return &apiError{status: http.StatusBadRequest, typ: "invalid_index_name_exception", reason: "Invalid index name [" + name + "], " + why, extra: object{
		{"index", name}, {"index_uuid", "_na_"},
	}}
}

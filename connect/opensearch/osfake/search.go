package osfake

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A finding is a search that has been understood.
type finding struct {
	query   func(ix *index, v *version) bool
	sort    []sortKey
	after   []any
	from    int
	size    int
	source  bool
	seqNo   bool
	version bool
	track   int // up to so many hits are counted; -1: none, and the answer has no total
	slice   int
	slices  int
	pit     string
	aggs    []aggregation
	implied bool // Elasticsearch has added _shard_doc
}

type sortKey struct {
	field   string
	desc    bool
	missing string
}

// A hit is a document that was found.
type hit struct {
	ix   *index
	v    *version
	keys []any
	doc  int64 // its place among all that a search looks at
}

// A cursor is a scroll or a point in time: what a search saw when it began.
type cursor struct {
	hits    []hit
	at      int // of a scroll
	find    finding
	indices []*index
	until   time.Time
	shards  int
}

func (s *Server) search(c *call) (int, any, *apiError) {
	body, err := s.searchBody(c)
	if err != nil {
		return 0, nil, err
	}
	if body.has("pit") && c.param("index") != "" {
		hint := ""
		if s.version.es(7) {
			hint = ". Do not specify any index with point in time."
		}
		return 0, nil, invalid("1: [indices] cannot be used with point in time%s;", hint)
	}
	f, err := s.find(body, c)
	if err != nil {
		return 0, nil, err
	}
	if why := s.preference(c); why != nil {
		return 0, nil, why
	}
	scroll := c.query.Get("scroll")
	if f.pit != "" {
		return s.searchPIT(f)
	}
	found, err := s.named(c.param("index"), c)
	if err != nil {
		return 0, nil, err
	}
	all, shards, err := s.seen(c, found)
	if err != nil {
		return 0, nil, err
	}
	for _, ix := range found {
		ix.queries += int64(len(ix.shards))
	}
	s.searches++
	window := 10000
	if len(found) > 0 {
		if window, err = positive(found[0].settings, "index.max_result_window", 10000, 1); err != nil {
			return 0, nil, err
		}
	}
	switch {
	case scroll != "" && f.size == 0:
		return 0, nil, invalid("1: [size] cannot be [0] in a scroll context;")
	case scroll != "" && f.from > 0:
		return 0, nil, invalid("1: using [from] is not allowed in a scroll context;")
	case f.slices > 0 && scroll == "":
		return 0, nil, &apiError{status: http.StatusBadRequest, typ: "search_phase_execution_exception", reason: "[slice] can only be used with [scroll] or [point-in-time] requests"}
	case f.from+f.size > window && scroll == "" && len(found) > 0:
		return 0, nil, s.version.allShards(illegal("Result window is too large, from + size must be less than or equal to: [%d] but was [%d]. See the scroll api for a more efficient way to request large data sets. This limit can be set by changing the [index.max_result_window] index level setting.", window, f.from+f.size), found[0].name)
	case f.size > window && len(found) > 0:
		return 0, nil, s.version.allShards(illegal("Batch size is too large, size must be less than or equal to: [%d] but was [%d]. Scroll batch sizes cost as much memory as result windows so they are controlled by the [index.max_result_window] index level setting.", window, f.size), found[0].name)
	}
	hits, err := s.hits(all, f)
	if err != nil {
		return 0, nil, err
	}
	if s.version.OpenSearch { // Elasticsearch asks all, most of them in vain
		shards = f.shards(shards)
	}
	if scroll == "" {
		return http.StatusOK, s.page(f, hits, shards, "", ""), nil
	}
	keep, ok := duration(scroll)
	if !ok {
		return 0, nil, illegal("failed to parse setting [scroll] with value [%s] as a time value: unit is missing or unrecognized", scroll)
	}
	id := s.keep("scroll", &cursor{hits: hits, find: *f, until: time.Now().Add(keep), shards: shards})
	return s.turn(id)
}

// keep stores a cursor, and gives its id.
func (s *Server) keep(kind string, cur *cursor) string {
	s.serial++
	id := base64.URLEncoding.EncodeToString(fmt.Appendf(nil, "fake %s %d", kind, s.serial))
	s.contexts[id] = cur
	return id
}

// turn gives the next page of a scroll.
func (s *Server) turn(id string) (int, any, *apiError) {
	cur := s.contexts[id]
	page := cur.hits[cur.at:min(cur.at+cur.find.size, len(cur.hits))]
	f := cur.find
	f.from = 0
	o := s.page(&f, page, cur.shards, id, "")
	cur.at += len(page)
	inner, _ := o.get("hits").(object)
	return http.StatusOK, o.with("hits", inner.with("total", object{{"value", len(cur.hits)}, {"relation", "eq"}})), nil
}

func (s *Server) scroll(c *call) (int, any, *apiError) {
	body, err := s.body(c)
	if err != nil {
		return 0, nil, err
	}
	id := scalar(body.get("scroll_id"))
	if id == "" {
		id = c.query.Get("scroll_id")
	}
	cur := s.contexts[id]
	if cur == nil {
		if decoded, err := base64.URLEncoding.DecodeString(id); err != nil || !strings.HasPrefix(string(decoded), "fake scroll ") {
			e := illegal("Cannot parse scroll id")
			e.causedBy = &apiError{typ: "e_o_f_exception", reason: "attempting to read 3655 bytes but only 0 bytes are available"}
			return 0, nil, e
		}
	}
	if cur == nil || time.Now().After(cur.until) {
		delete(s.contexts, id)
		return 0, nil, s.version.noContext("query")
	}
	for _, text := range []string{scalar(body.get("scroll")), c.query.Get("scroll")} {
		if d, ok := duration(text); ok {
			cur.until = time.Now().Add(d)
		}
	}
	return s.turn(id)
}

func (s *Server) clearScroll(c *call) (int, any, *apiError) {
	body, err := s.body(c)
	if err != nil {
		return 0, nil, err
	}
	ids := listOf(body.get("scroll_id"))
	freed := 0
	for _, id := range ids {
		if cur := s.contexts[id]; cur != nil {
			freed += cur.shards
			delete(s.contexts, id)
		}
	}
	return foundOr404(freed), object{{"succeeded", true}, {"num_freed", freed}}, nil
}

func foundOr404(n int) int {
	if n == 0 {
		return http.StatusNotFound
	}
	return http.StatusOK
}

func listOf(v any) []string {
	if s, ok := v.(string); ok {
		return []string{s}
	}
	list, _ := v.([]any)
	var out []string
	for _, e := range list {
		out = append(out, scalar(e))
	}
	return out
}

func (s *Server) openPIT(c *call) (int, any, *apiError) {
	text := c.query.Get("keep_alive")
	keep, ok := duration(text)
	if text == "" {
		return 0, nil, invalid("1: keep alive not specified;")
	}
	if !ok {
		return 0, nil, illegal("failed to parse setting [keep_alive] with value [%s] as a time value: unit is missing or unrecognized", text)
	}
	found, err := s.named(c.param("index"), c)
	if err != nil {
		return 0, nil, err
	}
	all, shards, err := s.seen(c, found)
	if err != nil {
		return 0, nil, err
	}
	id := s.keep("pit", &cursor{hits: all, until: time.Now().Add(keep), shards: shards, indices: found})
	counts := object{{"total", shards}, {"successful", shards}, {"skipped", 0}, {"failed", 0}}
	if s.version.OpenSearch {
		return http.StatusOK, object{{"pit_id", id}, {"_shards", counts}, {"creation_time", time.Now().UnixMilli()}}, nil
	}
	if s.version.Major == 7 {
		return http.StatusOK, object{{"id", id}}, nil
	}
	return http.StatusOK, object{{"id", id}, {"_shards", counts}}, nil
}

func (s *Server) closePIT(c *call) (int, any, *apiError) {
	body, err := s.body(c)
	if err != nil {
		return 0, nil, err
	}
	if !s.version.OpenSearch {
		id := scalar(body.get("id"))
		cur, freed := s.contexts[id], 0
		if cur != nil {
			freed = cur.shards
			delete(s.contexts, id)
		}
		return foundOr404(freed), object{{"succeeded", freed > 0}, {"num_freed", freed}}, nil
	}
	pits := []any{}
	for _, id := range listOf(body.get("pit_id")) {
		delete(s.contexts, id)
		pits = append(pits, object{{"successful", true}, {"pit_id", id}})
	}
	return http.StatusOK, object{{"pits", pits}}, nil
}

func (s *Server) searchPIT(f *finding) (int, any, *apiError) {
	cur := s.contexts[f.pit]
	if cur == nil || time.Now().After(cur.until) {
		delete(s.contexts, f.pit)
		return 0, nil, s.version.noContext("can_match")
	}
	for i := range cur.hits {
		cur.hits[i].keys = nil
	}
	if !s.version.OpenSearch && len(f.sort) > 0 && !slices.ContainsFunc(f.sort, func(k sortKey) bool { return k.field == "_shard_doc" }) {
		f.sort = append(f.sort, sortKey{field: "_shard_doc"})
		f.implied = true
	}
	hits, err := s.hits(cur.hits, f)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, s.page(f, hits, cur.shards, "", f.pit), nil
}

func (s *Server) count(c *call) (int, any, *apiError) {
	body, err := s.body(c)
	if err != nil {
		return 0, nil, err
	}
	f := finding{query: func(*index, *version) bool { return true }}
	for _, e := range body {
		if e.name != "query" {
			return 0, nil, &apiError{status: http.StatusBadRequest, typ: "parsing_exception", reason: "request does not support [" + e.name + "]"}
		}
		if f.query, err = s.query(e.value); err != nil {
			return 0, nil, err
		}
	}
	found, err := s.named(c.param("index"), c)
	if err != nil {
		return 0, nil, err
	}
	all, shards, err := s.seen(c, found)
	if err != nil {
		return 0, nil, err
	}
	n := 0
	for _, h := range all {
		if f.query(h.ix, h.v) {
			n++
		}
	}
	return http.StatusOK, object{{"count", n}, {"_shards", object{{"total", shards}, {"successful", shards}, {"skipped", 0}, {"failed", 0}}}}, nil
}

// seen gives all that a search of these indices sees, in their shards' order.
func (s *Server) seen(c *call, found []*index) (all []hit, shards int, err *apiError) {
	for _, ix := range found {
		if ix.closed {
			return nil, 0, ix.closedError()
		}
		ix.refreshIfDue()
		for n, sh := range ix.shards {
			if !preferred(c, n) {
				continue
			}
			shards++
			for _, v := range sh.visible() {
				all = append(all, hit{ix: ix, v: v, doc: int64(len(all))})
			}
		}
	}
	return all, shards, nil
}

// preferred reports that a search looks at the n-th shard: the preference _shards:0,2 leaves others out.
func preferred(c *call, n int) bool {
	list, ok := strings.CutPrefix(c.query.Get("preference"), "_shards:")
	if !ok {
		return true
	}
	list, _, _ = strings.Cut(list, "|")
	return slices.Contains(strings.Split(list, ","), strconv.Itoa(n))
}

// hits picks and sorts.
func (s *Server) hits(all []hit, f *finding) ([]hit, *apiError) {
	if s.version.es(8) && s.setting("indices.id_field_data.enabled") != "true" && slices.ContainsFunc(f.sort, func(k sortKey) bool { return k.field == "_id" }) {
		return nil, s.version.allShards(illegal("Fielddata access on the _id field is disallowed, you can re-enable it by updating the dynamic cluster setting: indices.id_field_data.enabled"), "")
	}
	var out []hit
	for _, h := range all {
		if !f.inSlice(h.ix, h.v) || !f.query(h.ix, h.v) {
			continue
		}
		for _, k := range f.sort {
			key, err := s.key(&h, k)
			if err != nil {
				return nil, s.version.allShards(err, h.ix.name)
			}
			h.keys = append(slices.Clip(h.keys), key)
		}
		out = append(out, h)
	}
	slices.SortStableFunc(out, func(a, b hit) int { return f.compare(a.keys, b.keys) })
	return out, nil
}

// inSlice reports that a document is in the slice that is asked for: slices go by shard, and within one by id.
func (f *finding) inSlice(ix *index, v *version) bool {
	shards := len(ix.shards)
	switch {
	case f.slices == 0:
		return true
	case f.slices <= shards:
		return v.shard%f.slices == f.slice
	case v.shard != f.slice%shards:
		return false
	}
	each := f.slices / shards
	if f.slices%shards > v.shard {
		each++
	}
	return each == 1 || int(murmur3(v.id)%uint32(each)) == f.slice/shards
}

// shards is how many of them a slice looks at.
func (f *finding) shards(all int) int {
	if f.slices == 0 {
		return all
	}
	n := 0
	for i := range all {
		if f.slices <= all && i%f.slices == f.slice || f.slices > all && i == f.slice%all {
			n++
		}
	}
	return n
}

// key is what a hit is sorted by: an int64, a float64 or a string.
func (s *Server) key(h *hit, k sortKey) (any, *apiError) {
	switch k.field {
	case "_doc":
		return h.doc, nil
	case "_id":
		return h.v.id, nil
	case "_score":
		return 1.0, nil
	case "_index":
		return h.ix.name, nil
	case "_seq_no":
		return h.v.seqNo, nil
	}
	typ := fieldType(h.ix.mappings, k.field)
	switch {
	case k.field == "_shard_doc" && s.version.shardDoc():
		return h.doc, nil
	case typ == "":
		return nil, &apiError{
			status: http.StatusBadRequest, typ: "query_shard_exception", reason: "No mapping found for [" + k.field + "] in order to sort on",
			extra: object{{"index", h.ix.name}, {"index_uuid", h.ix.uuid}},
		}
	case typ == "text":
		return nil, illegal("Text fields are not optimised for operations that require per-document field data like aggregations and sorting, so these operations are disabled by default. Please use a keyword field instead. Alternatively, set fielddata=true on [%s] in order to load field data by uninverting the inverted index. Note that this can use significant memory.", k.field)
	}
	first := k.missing == "_first"
	for _, v := range values(h.v.tree, strings.TrimSuffix(k.field, ".keyword")) {
		if c := comparable(typ, v); c != nil {
			return c, nil
		}
	}
	if typ == "keyword" || typ == "ip" {
		return nil, nil
	}
	if first == k.desc {
		return int64(math.MaxInt64), nil
	}
	return int64(math.MinInt64), nil
}

// comparable is a field's value as it is sorted and compared.
func comparable(typ string, v any) any {
	text := scalar(v)
	switch typ {
	case "long", "integer", "short", "byte", "unsigned_long":
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
		if x, err := strconv.ParseFloat(text, 64); err == nil {
			return int64(x)
		}
		return nil
	case "double", "float", "half_float", "scaled_float":
		if x, err := strconv.ParseFloat(text, 64); err == nil {
			return x
		}
		return nil
	case "date", "date_nanos":
		if n, ok := millis(text); ok {
			return n
		}
		return nil
	case "boolean":
		if text == "true" {
			return int64(1)
		}
		return int64(0)
	}
	if v == nil {
		return nil
	}
	return text
}

func compareValues(a, b any) int {
	switch a := a.(type) {
	case int64:
		switch b := b.(type) {
		case int64:
			return cmp.Compare(a, b)
		case float64:
			return cmp.Compare(float64(a), b)
		}
	case float64:
		switch b := b.(type) {
		case float64:
			return cmp.Compare(a, b)
		case int64:
			return cmp.Compare(a, float64(b))
		}
	case string:
		if b, ok := b.(string); ok {
			return strings.Compare(a, b)
		}
	}
	return 0
}

func (f *finding) compare(a, b []any) int {
	for i, k := range f.sort {
		if i >= len(b) {
			break
		}
		x, y := a[i], b[i]
		switch {
		case x == nil && y == nil:
			continue
		case x == nil || y == nil: // the missing ones come last unless told
			n := -1
			if (x == nil) != (k.missing == "_first") {
				n = 1
			}
			return n
		}
		if n := compareValues(x, y); n != 0 {
			if k.desc {
				return -n
			}
			return n
		}
	}
	return 0
}

// page is the answer with what of the hits is asked for.
func (s *Server) page(f *finding, all []hit, shards int, scroll, pit string) object {
	total, counted := len(all), aggregate(f.aggs, all)
	if len(f.after) > 0 {
		n := slices.IndexFunc(all, func(h hit) bool { return f.compare(h.keys, f.after) > 0 })
		if n < 0 {
			n = len(all)
		}
		all = all[n:]
	}
	all = all[min(f.from, len(all)):]
	all = all[:min(f.size, len(all))]
	hits := make([]any, len(all))
	for i, h := range all {
		hits[i] = s.hit(f, &h)
	}
	inner := object{}
	switch {
	case f.track < 0:
	case total > f.track:
		inner = append(inner, field{"total", object{{"value", f.track}, {"relation", "gte"}}})
	default:
		inner = append(inner, field{"total", object{{"value", total}, {"relation", "eq"}}})
	}
	var best any
	switch {
	case shards == 0:
		best = 0.0
	case len(f.sort) == 0 && len(hits) > 0:
		best = 1.0
	}
	inner = append(inner, field{"max_score", best}, field{"hits", hits})
	answer := object{}
	if scroll != "" {
		answer = append(answer, field{"_scroll_id", scroll})
	}
	if pit != "" {
		answer = append(answer, field{"pit_id", pit})
	}
	answer = append(answer,
		field{"took", 1}, field{"timed_out", false},
		field{"_shards", object{{"total", shards}, {"successful", shards}, {"skipped", 0}, {"failed", 0}}}, field{"hits", inner},
	)
	if len(f.aggs) > 0 {
		answer = append(answer, field{"aggregations", counted})
	}
	return answer
}

func (s *Server) hit(f *finding, h *hit) object {
	o := object{{"_index", h.ix.name}}
	if s.version.typed() {
		o = append(o, field{"_type", "_doc"})
	}
	o = append(o, field{"_id", h.v.id})
	if f.version {
		o = append(o, field{"_version", h.v.version})
	}
	if f.seqNo {
		o = append(o, field{"_seq_no", h.v.seqNo}, field{"_primary_term", h.v.term})
	}
	var score any
	if len(f.sort) == 0 {
		score = 1.0
	}
	o = append(o, field{"_score", score})
	if h.v.routing != "" {
		o = append(o, field{"_routing", h.v.routing})
	}
	if f.source {
		o = append(o, field{"_source", raw(h.v.source)})
	}
	if len(f.sort) > 0 {
		o = append(o, field{"sort", slices.Clone(h.keys)})
	}
	return o
}

// extend keeps a point in time for longer.
func (s *Server) extend(id string, keep time.Duration) {
	if cur := s.contexts[id]; cur != nil {
		cur.until = time.Now().Add(keep)
	}
}

// preference says why a server does not know one.
func (s *Server) preference(c *call) *apiError {
	p := c.query.Get("preference")
	if !strings.HasPrefix(p, "_") {
		return nil
	}
	known := []string{"_local", "_only_local", "_shards", "_prefer_nodes", "_only_nodes"}
	if s.version.OpenSearch {
		known = append(known, "_primary", "_primary_first", "_replica", "_replica_first")
	}
	name, _, _ := strings.Cut(p, ":")
	if !slices.Contains(known, name) {
		return illegal("no Preference for [%s]", p)
	}
	return nil
}

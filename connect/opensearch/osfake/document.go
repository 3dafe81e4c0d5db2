package osfake

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// An op is one write of a document.
type op struct {
	kind         string // index, create, update, delete
	index        string
	id           string
	hasID        bool
	routing      string
	source       []byte
	version      int64 // matchAny: none given
	versionType  string
	seqNo, term  int64 // unset, 0: no condition
	requireAlias bool
	docAsUpsert  bool
}

const (
	matchAny = -3
	unset    = -2
)

// An outcome is what became of it.
type outcome struct {
	index  *index
	name   string // of the index
	id     string
	v      *version
	result string
	status int
	err    *apiError
}

// check says what is wrong with an op whatever is in the index.
func (o *op) check() string {
	external := o.versionType == "external" || o.versionType == "external_gte"
	switch {
	case o.kind == "create" && (o.version != matchAny || external):
		return "create operations only support internal versioning. use index instead"
	case o.kind == "create" && o.seqNo != unset:
		return "create operations do not support compare and set. use index instead"
	case o.kind == "update" && (o.version != matchAny || external):
		return "internal versioning can not be used for optimistic concurrency control. Please use `if_seq_no` and `if_primary_term` instead"
	case external && o.version < 0:
		return fmt.Sprintf("illegal version value [%d] for version type [%s]", o.version, strings.ToUpper(o.versionType))
	case !external && o.version != matchAny:
		return "internal versioning can not be used for optimistic concurrency control. Please use `if_seq_no` and `if_primary_term` instead"
	case o.seqNo != unset && o.term == 0:
		return "ifSeqNo is set, but primary term is [0]"
	case o.seqNo == unset && o.term != 0:
		return fmt.Sprintf("ifSeqNo is unassigned, but primary term is [%d]", o.term)
	case o.seqNo != unset && external:
		return "compare and write operations can not use versioning"
	case len(o.id) > 512:
		return fmt.Sprintf("id [%s] is too long, must be no longer than 512 bytes but was: %d", o.id, len(o.id))
	}
	return ""
}

// apply does an op.
func (s *Server) apply(o *op) outcome {
	out := outcome{name: o.index, id: o.id}
	fail := func(err *apiError) outcome {
		out.err, out.status = err, err.status
		return out
	}
	if s.streams[o.index] != nil && o.kind != "create" {
		return fail(illegal("only write ops with an op_type of create are allowed in data streams"))
	}
	ix, err := s.writable(o.index, o.kind != "delete" || strings.HasPrefix(o.versionType, "external"), o.requireAlias)
	if err != nil {
		return fail(err)
	}
	out.index, out.name = ix, ix.name
	if !o.hasID {
		s.serial++
		o.id, o.hasID = fmt.Sprintf("auto%016d", s.serial), true
		out.id = o.id
	}
	if o.id == "" {
		return fail(illegal("if _id is specified it must not be empty"))
	}
	if routing, _ := ix.mappings.get("_routing").(object); routing.get("required") == true && o.routing == "" {
		return fail(&apiError{
			status: http.StatusBadRequest, typ: "routing_missing_exception", reason: fmt.Sprintf("routing is required for [%s]/%s[%s]", ix.name, s.version.typeSegment(), o.id),
			extra: object{{"index", ix.name}, {"index_uuid", "_na_"}},
		})
	}
	if err := ix.blocked(); err != nil {
		return fail(err)
	}
	n := ix.shardOf(o.id, o.routing)
	sh := ix.shards[n]
	e := sh.docs[o.id]
	if e == nil {
		e = new(entry)
	}
	var was *version // the current one, if it is there
	if e.live != nil && !e.live.deleted {
		was = e.live
	}
	conflict := func(format string, args ...any) outcome {
		return fail(&apiError{
			status: http.StatusConflict, typ: "version_conflict_engine_exception", reason: "[" + o.id + "]: version conflict, " + fmt.Sprintf(format, args...),
			extra: object{{"index", ix.name}, {"shard", strconv.Itoa(n)}, {"index_uuid", ix.uuid}},
		})
	}
	if o.kind == "update" {
		done, err := s.update(o, ix, was, &out, n)
		if err != nil {
			return fail(err)
		}
		if done {
			return out
		}
	}
	v := &version{id: o.id, routing: o.routing, shard: n, deleted: o.kind == "delete"}
	if !v.deleted { // before anything is compared, as the servers do
		tree, err := s.parseSource(ix, o.id, o.source)
		if err != nil {
			return fail(err)
		}
		v.source, v.tree = o.source, tree
	}
	v.version = 1
	if e.live != nil {
		v.version = e.live.version + 1
	}
	switch {
	case o.seqNo != unset && was == nil:
		return conflict("required seqNo [%d], primary term [%d]. but no document was found", o.seqNo, o.term)
	case o.seqNo != unset && (was.seqNo != o.seqNo || was.term != o.term):
		return conflict("required seqNo [%d], primary term [%d]. current document has seqNo [%d] and primary term [%d]", o.seqNo, o.term, was.seqNo, was.term)
	case o.kind == "create" && was != nil:
		return conflict("document already exists (current version [%d])", was.version)
	case o.versionType == "external" && e.live != nil && e.live.version >= o.version:
		return conflict("current version [%d] is higher or equal to the one provided [%d]", e.live.version, o.version)
	case o.versionType == "external_gte" && e.live != nil && e.live.version > o.version:
		return conflict("current version [%d] is higher than the one provided [%d]", e.live.version, o.version)
	case strings.HasPrefix(o.versionType, "external"):
		v.version = o.version
	}
	sh.docs[o.id] = e
	ix.put(e, v, sh)
	out.v = v
	switch {
	case v.deleted && was != nil:
		out.result, out.status = "deleted", http.StatusOK
	case v.deleted:
		out.result, out.status = "not_found", http.StatusNotFound
	case was != nil:
		out.result, out.status = "updated", http.StatusOK
	default:
		out.result, out.status = "created", http.StatusCreated
	}
	return out
}

// parseSource says why a document is refused.
func (s *Server) parseSource(ix *index, id string, source []byte) (object, *apiError) {
	f := fitting{s: s, ix: ix, id: id}
	v, err := parse(source)
	tree, ok := v.(object)
	first := strings.TrimLeft(string(source[:min(len(source), 64)]), " \t\r\n")
	switch {
	case !strings.HasPrefix(first, "{"):
		why := &apiError{status: http.StatusInternalServerError, typ: "not_x_content_exception", reason: "Compressor detection can only be called on some xcontent bytes or compressed xcontent bytes"}
		if s.version.es(8) {
			return nil, why
		}
		return nil, f.failed("failed to parse", why)
	case err != nil && s.version.es(8):
		return nil, f.failed("failed to parse: "+err.Error(), s.version.notJSON(err))
	case err != nil:
		return nil, f.failed("failed to parse", s.version.notJSON(err))
	case !ok:
		panic("BUG: JSON that begins with { is no object")
	}
	return tree, s.fit(ix, id, tree)
}

// update makes an index operation of an update, unless it is done with it.
func (s *Server) update(o *op, ix *index, was *version, out *outcome, shard int) (done bool, err *apiError) {
	body, perr := parse(o.source)
	tree, ok := body.(object)
	if perr != nil || !ok {
		e := s.version.notJSON(&jsonError{reason: "not an object"})
		if perr != nil {
			e = s.version.notJSON(perr)
		}
		return false, e
	}
	if tree.has("script") {
		return false, illegal("the fake knows no scripts")
	}
	doc, _ := tree.get("doc").(object)
	if tree.get("doc_as_upsert") == true {
		o.docAsUpsert = true
	}
	switch {
	case was == nil && o.docAsUpsert:
		o.source, o.kind = appendJSON(nil, doc), "create"
		return false, nil
	case was == nil && tree.has("upsert"):
		o.source, o.kind = appendJSON(nil, tree.get("upsert")), "create"
		return false, nil
	case was == nil:
		return false, &apiError{
			status: http.StatusNotFound, typ: "document_missing_exception", reason: s.version.typePrefix() + "[" + o.id + "]: document missing",
			extra: object{{"index", ix.name}, {"shard", strconv.Itoa(shard)}, {"index_uuid", ix.uuid}},
		}
	}
	merged := patch(was.tree, doc)
	if tree.get("detect_noop") != false && slices.Equal(appendJSON(nil, merged), appendJSON(nil, was.tree)) {
		if o.seqNo != unset && (o.seqNo != was.seqNo || o.term != was.term) {
			return false, nil // the conflict is found below
		}
		out.v, out.result, out.status = was, "noop", http.StatusOK
		return true, nil
	}
	o.source, o.kind = appendJSON(nil, merged), "index"
	return false, nil
}

// patch merges objects, as an update does.
func patch(old, add object) object {
	out := slices.Clone(old)
	for _, f := range add {
		have, a := out.get(f.name).(object)
		more, b := f.value.(object)
		if a && b {
			out = out.with(f.name, patch(have, more))
		} else {
			out = out.with(f.name, f.value)
		}
	}
	return out
}

func (v Version) typeSegment() string {
	if v.typed() {
		return "[_doc]/"
	}
	return ""
}

// typePrefix is how Elasticsearch 7 names the type before an id.
func (v Version) typePrefix() string {
	if v.typed() {
		return "[_doc]"
	}
	return ""
}

// answer is what is said of a write that was done.
func (out *outcome) answer(s *Server, refreshed bool) object {
	o := object{{"_index", out.name}}
	if s.version.typed() {
		o = append(o, field{"_type", "_doc"})
	}
	o = append(o, field{"_id", out.id})
	if out.err != nil {
		return append(o, field{"status", out.status}, field{"error", out.err.cause()})
	}
	total, successful := out.index.copies()
	o = append(o, field{"_version", out.v.version}, field{"result", out.result})
	if refreshed {
		o = append(o, field{"forced_refresh", true})
	}
	return append(o,
		field{"_shards", object{{"total", total}, {"successful", successful}, {"failed", 0}}},
		field{"_seq_no", out.v.seqNo}, field{"_primary_term", out.v.term},
	)
}

// found is what _doc and _mget say of a document.
func (s *Server) found(ix *index, id, routing string, c *call) (object, bool) {
	o := object{{"_index", ix.name}}
	if s.version.typed() {
		o = append(o, field{"_type", "_doc"})
	}
	o = append(o, field{"_id", id})
	e := ix.shards[ix.shardOf(id, routing)].docs[id]
	if e == nil || e.live == nil || e.live.deleted {
		return append(o, field{"found", false}), false
	}
	v := e.live
	o = append(o, field{"_version", v.version}, field{"_seq_no", v.seqNo}, field{"_primary_term", v.term})
	if v.routing != "" {
		o = append(o, field{"_routing", v.routing})
	}
	o = append(o, field{"found", true})
	if c.query.Get("_source") != "false" {
		o = append(o, field{"_source", raw(v.source)})
	}
	return o, true
}

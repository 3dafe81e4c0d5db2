package osfake

import (
	"fmt"
	"net/http"
)

// An apiError is an answer that says no, of a request or of an item in a _bulk.
type apiError struct {
	status   int
	typ      string
	reason   string
	extra    object
	causedBy *apiError
	root     *apiError // its root cause, when that is not itself
	suppress []*apiError
	text     string // instead of an object
	noStatus bool
}

func (e *apiError) Error() string { return e.typ + ": " + e.reason }

// cause is the error as an object.
func (e *apiError) cause() object {
	o := append(object{{"type", e.typ}, {"reason", e.reason}}, e.extra...)
	if e.causedBy != nil {
		o = append(o, field{"caused_by", e.causedBy.cause()})
	}
	if len(e.suppress) > 0 {
		var list []any
		for _, s := range e.suppress {
			list = append(list, s.cause())
		}
		o = append(o, field{"suppressed", list})
	}
	return o
}

// body is the answer to a request that failed with it.
func (e *apiError) body() object {
	if e.text != "" {
		if e.noStatus {
			return object{{"error", e.text}}
		}
		return object{{"error", e.text}, {"status", e.status}}
	}
	root := e.root
	if root == nil {
		root = &apiError{typ: e.typ, reason: e.reason, extra: e.extra}
	}
	return object{{"error", append(object{{"root_cause", []any{root.cause()}}}, e.cause()...)}, {"status", e.status}}
}

func illegal(format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, typ: "illegal_argument_exception", reason: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, typ: "action_request_validation_exception", reason: "Validation Failed: " + fmt.Sprintf(format, args...)}
}

func noSuchIndex(name, resource string) *apiError {
	return &apiError{status: http.StatusNotFound, typ: "index_not_found_exception", reason: "no such index [" + name + "]", extra: object{
		{"index", name}, {"resource.id", name}, {"resource.type", resource}, {"index_uuid", "_na_"},
	}}
}

func (v Version) noContext(phase string) *apiError {
	missing := &apiError{typ: "search_context_missing_exception", reason: "No search context found for id [1]"}
	e := &apiError{
		status: http.StatusNotFound, typ: "search_phase_execution_exception", reason: "all shards failed",
		extra: object{{"phase", phase}, {"grouped", true}, {"failed_shards", []any{}}}, root: missing,
	}
	if v.OpenSearch || phase != "can_match" {
		e.causedBy = missing
	}
	return e
}

// allShards is how a search says that each shard refused it.
func (v Version) allShards(why *apiError, index string) *apiError {
	var cause *apiError
	switch {
	case why.typ == "illegal_argument_exception": // named twice, one in the other
		twice := *why
		twice.causedBy = why
		cause = &twice
	case v.OpenSearch:
		cause = why
	}
	return &apiError{
		status: why.status, typ: "search_phase_execution_exception", reason: "all shards failed", root: why, causedBy: cause,
		extra: object{{"phase", "query"}, {"grouped", true}, {"failed_shards", []any{object{{"shard", 0}, {"index", index}, {"node", nodeID}, {"reason", why.cause()}}}}},
	}
}

// notJSON is why a document or body could not be parsed.
func (v Version) notJSON(err error) *apiError {
	e, ok := err.(*jsonError) //nolint:errorlint // parse gives no other
	if !ok {
		panic("BUG: " + err.Error())
	}
	typ := "json_parse_exception"
	switch {
	case v.es(8) && e.end:
		typ = "x_content_e_o_f_exception"
	case v.es(8):
		typ = "x_content_parse_exception"
	case e.end:
		typ = "json_e_o_f_exception"
	}
	why := &apiError{status: http.StatusBadRequest, typ: typ, reason: fmt.Sprintf("%s\n at [line: 1, column: %d]", e.reason, e.at+1)}
	if v.openSearch3() {
		why.causedBy = &apiError{typ: "stream_read_exception", reason: why.reason}
		if e.end {
			why.typ, why.causedBy.typ = "unexpected_end_of_input_exception", "unexpected_end_of_input_exception"
		}
	}
	if v.es(8) {
		why.causedBy = &apiError{typ: "json_parse_exception", reason: why.reason}
		if e.end {
			why.causedBy.typ = "json_e_o_f_exception"
		}
	}
	return why
}

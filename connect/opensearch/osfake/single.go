package osfake

import (
	"net/http"
	"strconv"
	"strings"
)

// write is _doc, _create, _update and DELETE of one document.
func (s *Server) write(c *call) (int, any, *apiError) {
	o := &op{
		kind: "index", index: c.param("index"), id: c.param("id"), hasID: c.param("id") != "", routing: c.query.Get("routing"),
		source: c.Body, version: matchAny, versionType: "internal", seqNo: unset, requireAlias: c.query.Get("require_alias") == "true",
	}
	switch {
	case c.API == "create" || c.query.Get("op_type") == "create":
		o.kind = "create"
	case c.API == "delete" || c.API == "update":
		o.kind = c.API
	}
	for name, to := range map[string]*int64{"version": &o.version, "if_seq_no": &o.seqNo, "if_primary_term": &o.term} {
		if text := c.query.Get(name); text != "" {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return 0, nil, illegal("Failed to parse long parameter [%s] with value [%s]", name, text)
			}
			*to = n
		}
	}
	if t := c.query.Get("version_type"); t != "" {
		o.versionType = strings.TrimSuffix(t, "_gt")
	}
	if o.kind != "delete" && len(c.Body) == 0 {
		return 0, nil, &apiError{status: http.StatusBadRequest, typ: "parse_exception", reason: "request body is required"}
	}
	if why := o.check(); why != "" {
		return 0, nil, invalid("1: %s;", why)
	}
	out := s.apply(o)
	if out.err != nil {
		return 0, nil, out.err
	}
	refresh := c.query.Has("refresh") && c.query.Get("refresh") != "false"
	if refresh {
		out.index.refresh()
	}
	answer := out.answer(s, refresh && c.query.Get("refresh") != "wait_for")
	if out.result == "noop" {
		answer = answer.with("_shards", object{{"total", 0}, {"successful", 0}, {"failed", 0}})
	}
	return out.status, answer, nil
}

// expression is what a missing index is called when one document is wanted of it.
func (v Version) expression() string {
	if v.es(8) {
		return "index_or_alias"
	}
	return "index_expression"
}

// one finds the one index that a document is read from.
func (s *Server) one(name string) (*index, *apiError) {
	found := s.lookup(name)
	switch {
	case len(found) == 0:
		return nil, noSuchIndex(name, s.version.expression())
	case len(found) > 1:
		var names []string
		for _, ix := range found {
			names = append(names, ix.name)
		}
		return nil, illegal("alias [%s] has more than one index associated with it [%s], can't execute a single index op", name, strings.Join(names, ", "))
	case found[0].closed:
		return nil, found[0].closedError()
	}
	return found[0], nil
}

func (s *Server) get(c *call) (int, any, *apiError) {
	ix, err := s.one(c.param("index"))
	if err != nil {
		return 0, nil, err
	}
	o, ok := s.found(ix, c.param("id"), c.query.Get("routing"), c)
	if !ok {
		return http.StatusNotFound, o, nil
	}
	return http.StatusOK, o, nil
}

func (s *Server) source(c *call) (int, any, *apiError) {
	ix, err := s.one(c.param("index"))
	if err != nil {
		return 0, nil, err
	}
	o, ok := s.found(ix, c.param("id"), c.query.Get("routing"), c)
	if !ok {
		return 0, nil, &apiError{status: http.StatusNotFound, typ: "resource_not_found_exception", reason: "Document not found [" + ix.name + "]/[" + c.param("id") + "]"}
	}
	return http.StatusOK, o.get("_source"), nil
}

func (s *Server) mget(c *call) (int, any, *apiError) {
	body, err := s.body(c)
	if err != nil {
		return 0, nil, err
	}
	var docs []object
	ids, _ := body.get("ids").([]any)
	for _, id := range ids {
		docs = append(docs, object{{"_id", id}})
	}
	list, _ := body.get("docs").([]any)
	for _, d := range list {
		o, _ := d.(object)
		docs = append(docs, o)
	}
	if len(docs) == 0 {
		return 0, nil, invalid("1: no documents to get;")
	}
	answers := []any{}
	for _, d := range docs {
		name, id, routing := c.param("index"), scalar(d.get("_id")), scalar(d.get("routing"))
		if n := scalar(d.get("_index")); n != "" {
			name = n
		}
		ix, err := s.one(name)
		if err != nil {
			failed := object{{"_index", name}}
			if s.version.typed() {
				failed = append(failed, field{"_type", nil})
			}
			answers = append(answers, append(failed, field{"_id", id}, field{"error", err.body().get("error")}))
			continue
		}
		o, _ := s.found(ix, id, routing, c)
		if d.get("_source") == false {
			o = o.without("_source")
		}
		answers = append(answers, o)
	}
	return http.StatusOK, object{{"docs", answers}}, nil
}

func (o object) without(name string) object {
	var out object
	for _, f := range o {
		if f.name != name {
			out = append(out, f)
		}
	}
	return out
}

// scalar is a string, or how a number or boolean is written.
func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case number:
		return string(v)
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

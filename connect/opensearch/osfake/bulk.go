package osfake

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// bulk is _bulk: a request whose action lines cannot be read is refused as a whole; items fail each on its own.
func (s *Server) bulk(c *call) (int, any, *apiError) {
	ops, err := s.parseBulk(c)
	if err != nil {
		return 0, nil, err
	}
	var refresh bool
	switch c.query.Get("refresh") {
	case "true":
		refresh = true
	case "":
		refresh = c.query.Has("refresh")
	}
	touched := map[*index]bool{}
	items := make([]any, len(ops))
	failed := false
	for i, o := range ops {
		action := o.kind
		var out outcome
		if r := s.refusal(c, o); r != nil {
			out = outcome{name: o.index, id: o.id, status: r.status, err: r}
		} else {
			out = s.apply(o)
		}
		failed = failed || out.err != nil
		if out.index != nil {
			touched[out.index] = true
		}
		answer := out.answer(s, refresh && out.err == nil)
		if out.err == nil {
			answer = append(answer, field{"status", out.status})
		}
		items[i] = object{{action, answer}}
	}
	for ix := range touched {
		if refresh || c.query.Get("refresh") == "wait_for" {
			ix.refresh()
		}
	}
	return http.StatusOK, object{{"took", 1}, {"errors", failed}, {"items", items}}, nil
}

func (s *Server) refusal(c *call, o *op) *apiError {
	if c.refuse == nil {
		return nil
	}
	r := c.refuse(o.index, o.kind, o.id, o.source)
	if r == nil {
		return nil
	}
	return &apiError{status: r.Status, typ: s.version.dialect(r.Type), reason: r.Reason}
}

func (s *Server) parseBulk(c *call) ([]*op, *apiError) {
	body := c.Body
	if len(body) == 0 {
		return nil, &apiError{status: http.StatusBadRequest, typ: "parse_exception", reason: "request body is required"}
	}
	var ops []*op
	var wrong []string
	for line := 1; len(body) > 0; line++ {
		text, rest, ok := bytes.Cut(body, []byte("\n"))
		if !ok {
			return nil, illegal("The bulk request must be terminated by a newline [\\n]")
		}
		body = rest
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		o, err := s.action(text, line, c)
		if err != nil {
			return nil, err
		}
		if o == nil {
			continue
		}
		if o.kind != "delete" {
			source, rest, ok := bytes.Cut(body, []byte("\n"))
			if len(body) == 0 {
				break
			}
			if !ok {
				return nil, illegal("The bulk request must be terminated by a newline [\\n]")
			}
			o.source, body = bytes.TrimSuffix(source, []byte("\r")), rest
			line++
		}
		if o.index == "" {
			wrong = append(wrong, "index is missing")
		}
		if o.kind == "update" && !o.hasID {
			wrong = append(wrong, "id is missing")
		}
		if why := o.check(); why != "" {
			wrong = append(wrong, why)
		}
		ops = append(ops, o)
	}
	if len(ops) == 0 {
		wrong = append(wrong, "no requests added")
	}
	if len(wrong) > 0 {
		var text strings.Builder
		for i, why := range wrong {
			fmt.Fprintf(&text, "%d: %s;", i+1, why)
		}
		return nil, invalid("%s", text.String())
	}
	return ops, nil
}

var actions = []string{"create", "delete", "index", "update"}

func (s *Server) action(text []byte, line int, c *call) (*op, *apiError) {
	v, err := parse(text)
	if err != nil {
		return nil, s.version.notJSON(err)
	}
	o, ok := v.(object)
	if !ok {
		return nil, illegal("Malformed action/metadata line [%d], expected START_OBJECT but found [%s]", line, tokenName(v))
	}
	if len(o) == 0 {
		return nil, illegal("Malformed action/metadata line [%d], expected FIELD_NAME but found [END_OBJECT]", line)
	}
	meta, ok := o[0].value.(object)
	if !slices.Contains(actions, o[0].name) && s.version.typed() && !s.version.OpenSearch {
		return nil, nil // it is deprecated, and passed over
	}
	if !slices.Contains(actions, o[0].name) {
		if s.version.es(8) {
			return nil, illegal("Malformed action/metadata line [%d], expected field [create], [delete], [index] or [update] but found [%s]", line, o[0].name)
		}
		return nil, illegal("Malformed action/metadata line [%d], expected one of [create, delete, index, update] but found [%s]", line, o[0].name)
	}
	if !ok {
		return nil, illegal("Malformed action/metadata line [%d], expected START_OBJECT or END_OBJECT but found [%s]", line, tokenName(o[0].value))
	}
	p := &op{kind: o[0].name, index: c.param("index"), version: matchAny, versionType: "internal", seqNo: unset}
	p.routing, p.requireAlias = c.query.Get("routing"), c.query.Get("require_alias") == "true"
	for _, f := range meta {
		if err := p.set(f, line, s.version); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (o *op) set(f field, line int, v Version) *apiError {
	text := ""
	switch v := f.value.(type) {
	case string:
		text = v
	case number:
		text = string(v)
	case bool:
		text = strconv.FormatBool(v)
	case nil:
	default:
		if f.name != "dynamic_templates" && f.name != "_source" {
			return illegal("Malformed action/metadata line [%d], expected a simple value for field [%s] but found [%s]", line, f.name, tokenName(v))
		}
	}
	var err error
	integer := func(to *int64) { *to, err = strconv.ParseInt(text, 10, 64) }
	switch f.name {
	case "_index":
		o.index = text
	case "_id":
		o.id, o.hasID = text, f.value != nil
	case "routing":
		o.routing = text
	case "version":
		integer(&o.version)
	case "version_type":
		o.versionType = text
		if text != "internal" && text != "external" && text != "external_gte" && text != "external_gt" {
			return illegal("No version type match [%s]", text)
		}
		o.versionType = strings.TrimSuffix(text, "_gt")
	case "if_seq_no":
		integer(&o.seqNo)
	case "if_primary_term":
		integer(&o.term)
	case "require_alias":
		o.requireAlias = text == "true"
	case "op_type":
		if text != "create" && text != "index" {
			return illegal("opType must be 'create' or 'index', found: [%s]", text)
		}
		o.kind = text
	case "pipeline", "retry_on_conflict", "_source":
	case "_type":
		if !v.typed() {
			return illegal("Action/metadata line [%d] contains an unknown parameter [_type]", line)
		}
	case "dynamic_templates":
		if v.OpenSearch {
			return illegal("Action/metadata line [%d] contains an unknown parameter [%s]", line, f.name)
		}
	default:
		return illegal("Action/metadata line [%d] contains an unknown parameter [%s]", line, f.name)
	}
	if err != nil {
		return illegal("For input string: %q", text)
	}
	return nil
}

func tokenName(v any) string {
	switch v.(type) {
	case string:
		return "VALUE_STRING"
	case number:
		return "VALUE_NUMBER"
	case bool:
		return "VALUE_BOOLEAN"
	case nil:
		return "VALUE_NULL"
	case []any:
		return "START_ARRAY"
	}
	return "START_OBJECT"
}

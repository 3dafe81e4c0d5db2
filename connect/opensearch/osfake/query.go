package osfake

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
)

func (s *Server) searchBody(c *call) (object, *apiError) {
	if len(c.Body) == 0 {
		return nil, nil
	}
	v, err := parse(c.Body)
	if err != nil {
		return nil, s.version.notJSON(err)
	}
	o, ok := v.(object)
	if !ok {
		return nil, parsing("Expected [START_OBJECT] but found [%s]", tokenName(v))
	}
	return o, nil
}

func parsing(format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, typ: "parsing_exception", reason: fmt.Sprintf(format, args...), extra: object{{"line", 1}, {"col", 1}}}
}

// find understands the body and the parameters of a search.
func (s *Server) find(body object, c *call) (*finding, *apiError) {
	f := &finding{size: 10, source: true, track: 10000, query: func(*index, *version) bool { return true }}
	if c.query.Get("scroll") != "" {
		f.track = math.MaxInt
	}
	for name, to := range map[string]*int{"size": &f.size, "from": &f.from} {
		if text := c.query.Get(name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil {
				return nil, illegal("Failed to parse int parameter [%s] with value [%s]", name, text)
			}
			*to = n
		}
	}
	if t := c.query.Get("track_total_hits"); t != "" {
		body = body.with("track_total_hits", t)
	}
	if c.query.Get("_source") == "false" {
		f.source = false
	}
	f.seqNo = c.query.Get("seq_no_primary_term") == "true"
	f.version = c.query.Get("version") == "true"
	for _, e := range body {
		if err := s.part(f, e); err != nil {
			return nil, err
		}
	}
	if len(f.after) > 0 && len(f.after) != len(f.sort) && !(f.pit != "" && !s.version.OpenSearch && len(f.after) == len(f.sort)+1) {
		return nil, s.version.allShards(illegal("search_after has %d value(s) but sort has %d.", len(f.after), len(f.sort)), "")
	}
	return f, nil
}

func (s *Server) part(f *finding, e field) *apiError {
	var err *apiError
	switch e.name {
	case "query":
		f.query, err = s.query(e.value)
	case "size", "from":
		n, aerr := strconv.Atoi(scalar(e.value))
		if aerr != nil || n < 0 {
			return illegal("[%s] parameter cannot be negative, found [%s]", e.name, scalar(e.value))
		}
		if e.name == "size" {
			f.size = n
		} else {
			f.from = n
		}
	case "sort":
		f.sort, err = s.sortKeys(e.value)
	case "search_after":
		list, ok := e.value.([]any)
		if !ok || len(list) == 0 {
			return parsing("Values must contain at least one value.")
		}
		for _, v := range list {
			f.after = append(f.after, cursorValue(v))
		}
	case "_source":
		switch e.value {
		case true:
		case false:
			f.source = false
		default:
			return illegal("the fake does not filter the source")
		}
	case "seq_no_primary_term":
		f.seqNo = e.value == true
	case "version":
		f.version = e.value == true
	case "track_total_hits":
		switch t := scalar(e.value); t {
		case "true":
			f.track = math.MaxInt
		case "false":
			f.track = -1
		default:
			n, aerr := strconv.Atoi(t)
			if aerr != nil {
				return illegal("[track_total_hits] parameter must be positive or equals to -1, got %s", t)
			}
			f.track = n
		}
	case "slice":
		o, _ := e.value.(object)
		id, err1 := strconv.Atoi(scalar(o.get("id")))
		most, err2 := strconv.Atoi(scalar(o.get("max")))
		if err1 != nil || err2 != nil || most <= 1 || id < 0 || id >= most {
			why := "max must be greater than id"
			if most <= 1 {
				why = "max must be greater than 1"
			}
			return &apiError{status: http.StatusBadRequest, typ: "x_content_parse_exception", reason: "[1:1] [slice] failed to parse field [max]", causedBy: illegal("%s", why)}
		}
		f.slice, f.slices = id, most
	case "pit":
		o, _ := e.value.(object)
		f.pit = scalar(o.get("id"))
		if keep, ok := duration(scalar(o.get("keep_alive"))); ok {
			s.extend(f.pit, keep)
		}
	case "aggs", "aggregations":
		f.aggs, err = aggregations(e.value)
	case "stored_fields", "docvalue_fields", "timeout", "track_scores", "profile":
	default:
		return parsing("Unknown key for a %s in [%s].", tokenName(e.value), e.name)
	}
	return err
}

func cursorValue(v any) any {
	switch v := v.(type) {
	case number:
		if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return n
		}
		x, err := strconv.ParseFloat(string(v), 64)
		if err != nil {
			return nil
		}
		return x
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	}
	return v
}

func (s *Server) sortKeys(v any) ([]sortKey, *apiError) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var keys []sortKey
	for _, e := range list {
		switch e := e.(type) {
		case string:
			keys = append(keys, sortKey{field: e, desc: e == "_score"})
		case object:
			for _, f := range e {
				k := sortKey{field: f.name}
				switch how := f.value.(type) {
				case string:
					k.desc = how == "desc"
				case object:
					k.desc = scalar(how.get("order")) == "desc"
					k.missing = scalar(how.get("missing"))
				}
				keys = append(keys, k)
			}
		default:
			return nil, illegal("malformed sort format, within the sort array, an object, or an actual string are allowed")
		}
	}
	return keys, nil
}

// query makes a predicate of a query.
func (s *Server) query(v any) (func(ix *index, v *version) bool, *apiError) {
	o, ok := v.(object)
	if !ok || len(o) != 1 {
		return nil, parsing("[query] malformed query, expected one query in an object")
	}
	body, _ := o[0].value.(object)
	one := func() (field, bool) {
		for _, f := range body {
			if f.name != "boost" && f.name != "_name" {
				return f, true
			}
		}
		return field{}, false
	}
	switch o[0].name {
	case "match_all":
		return func(*index, *version) bool { return true }, nil
	case "match_none":
		return func(*index, *version) bool { return false }, nil
	case "ids":
		ids := listOf(body.get("values"))
		return func(_ *index, v *version) bool { return slices.Contains(ids, v.id) }, nil
	case "exists":
		name := scalar(body.get("field"))
		return func(_ *index, v *version) bool {
			return slices.ContainsFunc(values(v.tree, name), func(x any) bool { return x != nil })
		}, nil
	case "term", "terms":
		f, ok := one()
		if !ok {
			return nil, parsing("[%s] query requires a field", o[0].name)
		}
		wanted, isList := f.value.([]any)
		if o[0].name == "terms" && !isList {
			return nil, parsing("[terms] query does not support [%s]", f.name)
		}
		if !isList {
			wanted = []any{f.value}
			if inner, ok := f.value.(object); ok {
				wanted = []any{inner.get("value")}
			}
		}
		return func(ix *index, v *version) bool {
			return has(ix, v, f.name, func(typ string, x any) bool {
				return slices.ContainsFunc(wanted, func(w any) bool { w = comparable(typ, w); return w != nil && x != nil && compareValues(x, w) == 0 })
			})
		}, nil
	case "range":
		f, _ := one()
		bounds, ok := f.value.(object)
		if !ok {
			return nil, parsing("[range] query malformed, no start_object after query name")
		}
		for _, b := range bounds {
			if !slices.Contains([]string{"gt", "gte", "lt", "lte", "format", "boost", "time_zone", "from", "to", "include_lower", "include_upper"}, b.name) {
				return nil, parsing("[range] query does not support [%s]", b.name)
			}
		}
		return func(ix *index, v *version) bool {
			return has(ix, v, f.name, func(typ string, x any) bool {
				for _, b := range bounds {
					if !slices.Contains([]string{"gt", "gte", "lt", "lte"}, b.name) {
						continue
					}
					w := comparable(typ, b.value)
					if x == nil || w == nil {
						return false
					}
					n := compareValues(x, w)
					if b.name == "gt" && n <= 0 || b.name == "gte" && n < 0 || b.name == "lt" && n >= 0 || b.name == "lte" && n > 0 {
						return false
					}
				}
				return true
			})
		}, nil
	case "bool":
		return s.boolean(body)
	case "nested":
		return nestedQuery(body)
	}
	return nil, &apiError{
		status: http.StatusBadRequest, typ: "parsing_exception", reason: "unknown query [" + o[0].name + "]", extra: object{{"line", 1}, {"col", 1}},
		causedBy: &apiError{typ: "named_object_not_found_exception", reason: "[1:1] unknown field [" + o[0].name + "]"},
	}
}

func has(ix *index, v *version, path string, ok func(typ string, x any) bool) bool {
	if path == "_id" {
		return ok("keyword", v.id)
	}
	if path == "_index" {
		return ok("keyword", ix.name)
	}
	if path == "_seq_no" {
		return ok("long", v.seqNo)
	}
	typ := fieldType(ix.mappings, path)
	if typ == "" {
		return false
	}
	return slices.ContainsFunc(values(v.tree, path), func(x any) bool { return ok(typ, comparable(typ, x)) })
}

func (s *Server) boolean(body object) (func(ix *index, v *version) bool, *apiError) {
	clauses := map[string][]func(*index, *version) bool{}
	for _, f := range body {
		if f.name == "minimum_should_match" || f.name == "boost" {
			continue
		}
		if !slices.Contains([]string{"must", "filter", "must_not", "should"}, f.name) {
			return nil, parsing("[bool] query does not support [%s]", f.name)
		}
		list, ok := f.value.([]any)
		if !ok {
			list = []any{f.value}
		}
		for _, e := range list {
			q, err := s.query(e)
			if err != nil {
				return nil, err
			}
			clauses[f.name] = append(clauses[f.name], q)
		}
	}
	return func(ix *index, v *version) bool {
		is := func(q func(*index, *version) bool) bool { return q(ix, v) }
		isNot := func(q func(*index, *version) bool) bool { return !q(ix, v) }
		must := append(slices.Clip(clauses["must"]), clauses["filter"]...)
		if slices.ContainsFunc(must, isNot) || slices.ContainsFunc(clauses["must_not"], is) {
			return false
		}
		return len(clauses["should"]) == 0 || len(must) > 0 || slices.ContainsFunc(clauses["should"], is)
	}, nil
}

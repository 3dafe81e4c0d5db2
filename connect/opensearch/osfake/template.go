package osfake

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// A shelf keeps bodies by name: templates of three kinds, ingest pipelines, stored scripts. The fake keeps what it is given
// and does not apply it.
type shelf map[string]object

// shelfOf is the shelf that a path names.
func (s *Server) shelfOf(c *call) (kind string, on shelf) {
	kind = strings.Split(strings.Trim(c.Path, "/"), "/")[0]
	if s.shelves[kind] == nil {
		s.shelves[kind] = shelf{}
	}
	return kind, s.shelves[kind]
}

func (s *Server) putOnShelf(c *call) (int, any, *apiError) {
	body, err := s.body(c)
	if err != nil {
		return 0, nil, err
	}
	kind, on := s.shelfOf(c)
	name := c.param("name")
	switch kind {
	case "_template", "_index_template":
		if len(listOf(body.get("index_patterns"))) == 0 {
			if kind == "_template" {
				return 0, nil, invalid("1: index patterns are missing;")
			}
			return 0, nil, illegal("Required [index_patterns]")
		}
		for _, component := range listOf(body.get("composed_of")) {
			if s.shelves["_component_template"][component] == nil {
				return 0, nil, &apiError{status: http.StatusBadRequest, typ: "invalid_index_template_exception", reason: "index_template [" + name + "] invalid, cause [index template [" + name + "] specifies component templates [" + component + "] that do not exist]"}
			}
		}
		if kind == "_template" {
			if settings, ok := body.get("settings").(object); ok {
				body = body.with("settings", nest(flatten(settings, "")))
			}
			if !body.has("order") {
				body = body.with("order", 0)
			}
		}
	case "_ingest":
		if _, ok := body.get("processors").([]any); !ok {
			return 0, nil, &apiError{status: http.StatusBadRequest, typ: "parse_exception", reason: "[processors] required property is missing", extra: object{{"property_name", "processors"}}}
		}
	case "_scripts":
		if _, ok := body.get("script").(object); !ok {
			return 0, nil, illegal("must specify <script>")
		}
	}
	on[name] = body
	return http.StatusOK, object{{"acknowledged", true}}, nil
}

func (s *Server) getFromShelf(c *call) (int, any, *apiError) {
	kind, on := s.shelfOf(c)
	wanted := c.param("name")
	lists := map[string][2]string{"_index_template": {"index_templates", "index_template"}, "_component_template": {"component_templates", "component_template"}}
	answer, list := object{}, []any{}
	for _, name := range slices.Sorted(maps.Keys(on)) {
		if wanted == "" || matches(wanted, name) {
			answer = append(answer, field{name, on[name]})
			list = append(list, object{{"name", name}, {lists[kind][1], on[name]}})
		}
	}
	missing := len(answer) == 0 && wanted != "" && !strings.Contains(wanted, "*")
	if names, ok := lists[kind]; ok {
		if missing {
			what := strings.ReplaceAll(names[1], "_", " ")
			return 0, nil, &apiError{status: http.StatusNotFound, typ: "resource_not_found_exception", reason: what + " matching [" + wanted + "] not found"}
		}
		return http.StatusOK, object{{names[0], list}}, nil
	}
	if kind == "_scripts" {
		if missing {
			return http.StatusNotFound, object{{"_id", wanted}, {"found", false}}, nil
		}
		return http.StatusOK, object{{"_id", wanted}, {"found", true}, {"script", on[wanted].get("script")}}, nil
	}
	if missing || kind == "_ingest" && len(answer) == 0 && wanted == "" {
		return http.StatusNotFound, object{}, nil
	}
	return http.StatusOK, answer, nil
}

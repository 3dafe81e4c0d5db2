package osfake

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
)

// Data streams are made by a call, out of the index template that matches their name, and have one index; they are not
// made by writing, and do not roll over.

// streamRoutes are the calls about data streams.
func streamRoutes() []route {
	return []route{
		{"PUT", "/_data_stream/{stream}", "create_data_stream", patience, nil, (*Server).createStream},
		{"DELETE", "/_data_stream/{stream}", "delete_data_stream", patience + " expand_wildcards", nil, (*Server).deleteStream},
	}
}

// streamTemplate is the name of the template with the highest priority that matches, if it is one of data streams.
func (s *Server) streamTemplate(stream string) (name string, body object) {
	best := -1
	for _, n := range slices.Sorted(maps.Keys(s.shelves["_index_template"])) {
		t := s.shelves["_index_template"][n]
		if !slices.ContainsFunc(listOf(t.get("index_patterns")), func(p string) bool { return matches(p, stream) }) {
			continue
		}
		priority, err := strconv.Atoi(scalar(t.get("priority")))
		if err != nil {
			priority = 0
		}
		if priority > best {
			best, name, body = priority, n, t
		}
	}
	if !body.has("data_stream") {
		return "", nil
	}
	return name, body
}

func (s *Server) createStream(c *call) (int, any, *apiError) {
	stream := c.param("stream")
	if s.streams[stream] != nil {
		return 0, nil, &apiError{status: http.StatusBadRequest, typ: "resource_already_exists_exception", reason: "data_stream [" + stream + "] already exists"}
	}
	template, body := s.streamTemplate(stream)
	if template == "" {
		return 0, nil, illegal("no matching index template found for data stream [%s]", stream)
	}
	ix := s.newIndex(fmt.Sprintf(".ds-%s-%06d", stream, 1))
	ix.settings["index.hidden"] = "true"
	mappings := object{{"_data_stream_timestamp", object{{"enabled", true}}}, {"properties", object{{"@timestamp", object{{"type", "date"}}}}}}
	parts := []object{}
	for _, name := range listOf(body.get("composed_of")) {
		parts = append(parts, s.shelves["_component_template"][name])
	}
	for _, part := range append(parts, body) {
		t, _ := part.get("template").(object)
		settings, _ := t.get("settings").(object)
		flat := flatten(settings, "")
		if err := s.checkSettings(flat, true); err != nil {
			return 0, nil, err
		}
		maps.Copy(ix.settings, flat)
		add, _ := t.get("mappings").(object)
		merged, err := merge(mappings, add)
		if err != nil {
			return 0, nil, err
		}
		mappings = merged
	}
	ix.mappings = mappings
	if err := ix.open(s.version); err != nil {
		return 0, nil, err
	}
	s.indices[ix.name] = ix
	s.streams[stream] = []string{ix.name}
	return http.StatusOK, object{{"acknowledged", true}}, nil
}

func (s *Server) deleteStream(c *call) (int, any, *apiError) {
	stream := c.param("stream")
	if s.streams[stream] == nil {
		return 0, nil, noSuchIndex(stream, "index_or_alias")
	}
	for _, name := range s.streams[stream] {
		delete(s.indices, name)
	}
	delete(s.streams, stream)
	return http.StatusOK, object{{"acknowledged", true}}, nil
}

// behind gives the indices of a data stream, the one that is written to last.
func (s *Server) behind(stream string) []*index {
	var out []*index
	for _, name := range s.streams[stream] {
		if ix := s.indices[name]; ix != nil {
			out = append(out, ix)
		}
	}
	return out
}

func (s *Server) templateOf(stream string) string {
	name, _ := s.streamTemplate(stream)
	return name
}

package osfake

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (s *Server) info(*call) (int, any, *apiError) {
	v := object{{"number", s.version.Number}, {"build_type", "unknown"}, {"build_hash", "0"}, {"build_date", "2026-01-01T00:00:00Z"}, {"build_snapshot", false}, {"lucene_version", "9.12.3"}}
	tagline := "You Know, for Search"
	if s.version.OpenSearch {
		v = append(object{{"distribution", "opensearch"}}, v...)
		tagline = "The OpenSearch Project: https://opensearch.org/"
	} else {
		v = append(v, field{"build_flavor", "default"})
	}
	return http.StatusOK, object{{"name", "fake"}, {"cluster_name", cmp.Or(s.o.Cluster, "fake")}, {"cluster_uuid", "fakeClusterU42-6j_RKWao" + s.o.Cluster}, {"version", v}, {"tagline", tagline}}, nil
}

// dated replaces the date in a name of the form <…{now/d}…>, as the server does before anything else.
func dated(name string) string {
	if inner, ok := strings.CutPrefix(name, "<"); ok {
		if inner, ok = strings.CutSuffix(inner, ">"); ok {
			return strings.ReplaceAll(inner, "{now/d}", time.Now().UTC().Format("2006.01.02"))
		}
	}
	return name
}

func (s *Server) createIndex(c *call) (int, any, *apiError) {
	name := dated(c.param("index"))
	if err := s.nameAllowed(name); err != nil {
		return 0, nil, err
	}
	if old := s.indices[name]; old != nil {
		return 0, nil, &apiError{
			status: http.StatusBadRequest, typ: "resource_already_exists_exception", reason: fmt.Sprintf("index [%s/%s] already exists", name, old.uuid),
			extra: object{{"index", name}, {"index_uuid", old.uuid}},
		}
	}
	body, err := s.body(c)
	if err != nil {
		return 0, nil, err
	}
	ix := s.newIndex(name)
	for _, f := range body {
		o, isObject := f.value.(object)
		switch {
		case f.name == "settings" && isObject:
			flat := flatten(o, "")
			if err := s.checkSettings(flat, true); err != nil {
				return 0, nil, err
			}
			for k, v := range flat {
				if v != nil {
					ix.settings[k] = v
				}
			}
		case f.name == "mappings" && isObject:
			if err := s.checkMappings(o); err != nil {
				return 0, nil, err
			}
			ix.mappings = o
		case f.name == "aliases" && isObject:
			for _, a := range o {
				def, _ := a.value.(object)
				ix.aliases[a.name] = def
			}
		default:
			return 0, nil, &apiError{status: http.StatusBadRequest, typ: "parse_exception", reason: "unknown key [" + f.name + "] for create index"}
		}
	}
	if err := ix.open(s.version); err != nil {
		return 0, nil, err
	}
	s.indices[name] = ix
	return http.StatusOK, object{{"acknowledged", true}, {"shards_acknowledged", true}, {"index", name}}, nil
}

func (s *Server) deleteIndex(c *call) (int, any, *apiError) {
	if name := c.param("index"); s.indices[name] == nil && len(s.lookup(name)) > 0 {
		return 0, nil, illegal("The provided expression [%s] matches an alias, specify the corresponding concrete indices instead.", name)
	}
	found, err := s.named(c.param("index"), c)
	if err != nil {
		return 0, nil, err
	}
	for _, ix := range found {
		if stream := s.writer(ix.name); stream != "" {
			return 0, nil, illegal("index [%s] is the write index for data stream [%s] and cannot be deleted", ix.name, stream)
		}
	}
	for _, ix := range found {
		delete(s.indices, ix.name)
	}
	return http.StatusOK, object{{"acknowledged", true}}, nil
}

// each answers with something of each index that the call names.
func (s *Server) each(c *call, what func(ix *index) object) (int, any, *apiError) {
	found, err := s.named(c.param("index"), c)
	if err != nil {
		return 0, nil, err
	}
	answer := object{}
	for _, ix := range found {
		answer = append(answer, field{ix.name, what(ix)})
	}
	return http.StatusOK, answer, nil
}

func (s *Server) getIndex(c *call) (int, any, *apiError) {
	return s.each(c, func(ix *index) object {
		return object{{"aliases", ix.aliasObject("")}, {"mappings", mappingsOf(ix)}, {"settings", settingsOf(ix.settings, c)}}
	})
}

func mappingsOf(ix *index) object {
	if ix.mappings == nil {
		return object{}
	}
	return ix.mappings
}

func (s *Server) getMapping(c *call) (int, any, *apiError) {
	return s.each(c, func(ix *index) object { return object{{"mappings", mappingsOf(ix)}} })
}

func (s *Server) putMapping(c *call) (int, any, *apiError) {
	body, err := s.body(c)
	if err != nil {
		return 0, nil, err
	}
	if err := s.checkMappings(body); err != nil {
		return 0, nil, err
	}
	found, err := s.named(c.param("index"), c)
	if err != nil {
		return 0, nil, err
	}
	for _, ix := range found {
		merged, err := merge(ix.mappings, body)
		if err != nil {
			return 0, nil, err
		}
		ix.mappings = merged
	}
	return http.StatusOK, object{{"acknowledged", true}}, nil
}

func (s *Server) refresh(c *call) (int, any, *apiError) {
	found, err := s.named(c.param("index"), c)
	if err != nil {
		return 0, nil, err
	}
	total, successful := 0, 0
	for _, ix := range found {
		if c.API != "flush" {
			ix.refresh()
		}
		all, there := ix.copies()
		total += all * len(ix.shards)
		successful += there * len(ix.shards)
	}
	return http.StatusOK, object{{"_shards", object{{"total", total}, {"successful", successful}, {"failed", 0}}}}, nil
}

func (s *Server) closeIndex(c *call) (int, any, *apiError) {
	found, err := s.named(c.param("index"), c)
	if err != nil {
		return 0, nil, err
	}
	for _, ix := range found {
		if s.writer(ix.name) != "" {
			return 0, nil, illegal("cannot close the following data stream write indices [%s]", ix.name)
		}
	}
	closed := object{}
	for _, ix := range found {
		ix.closed = true
		closed = append(closed, field{ix.name, object{{"closed", true}}})
	}
	return http.StatusOK, object{{"acknowledged", true}, {"shards_acknowledged", true}, {"indices", closed}}, nil
}

func (s *Server) openIndex(c *call) (int, any, *apiError) {
	found, err := s.named(c.param("index"), c)
	if err != nil {
		return 0, nil, err
	}
	for _, ix := range found {
		ix.closed = false
		ix.reopened()
	}
	return http.StatusOK, object{{"acknowledged", true}, {"shards_acknowledged", true}}, nil
}

// aliasObject is an index's aliases that fit a comma-separated list of patterns.
func (ix *index) aliasObject(expression string) object {
	o := object{}
	for _, name := range slices.Sorted(maps.Keys(ix.aliases)) {
		if expression == "" || slices.ContainsFunc(strings.Split(expression, ","), func(p string) bool { return matches(p, name) }) {
			def := ix.aliases[name]
			if def == nil {
				def = object{}
			}
			o = append(o, field{name, def})
		}
	}
	return o
}

func (s *Server) getAlias(c *call) (int, any, *apiError) {
	found, err := s.named(c.param("index"), c)
	if err != nil {
		return 0, nil, err
	}
	wanted := c.param("alias")
	answer := object{}
	seen := map[string]bool{}
	for _, ix := range found {
		o := ix.aliasObject(wanted)
		for _, f := range o {
			seen[f.name] = true
		}
		if wanted == "" || len(o) > 0 {
			answer = append(answer, field{ix.name, object{{"aliases", o}}})
		}
	}
	var missing []string
	if wanted != "" {
		for name := range strings.SplitSeq(wanted, ",") {
			if !strings.Contains(name, "*") && !seen[name] {
				missing = append(missing, name)
			}
		}
	}
	switch {
	case len(missing) == 1:
		return http.StatusNotFound, append(object{{"error", "alias [" + missing[0] + "] missing"}, {"status", http.StatusNotFound}}, answer...), nil
	case len(missing) > 1:
		return http.StatusNotFound, append(object{{"error", "aliases [" + strings.Join(missing, ",") + "] missing"}, {"status", http.StatusNotFound}}, answer...), nil
	}
	return http.StatusOK, answer, nil
}

func (s *Server) putAlias(c *call) (int, any, *apiError) {
	def, err := s.body(c)
	if err != nil {
		return 0, nil, err
	}
	return s.alias([]any{object{{"add", append(object{{"index", c.param("index")}, {"alias", c.param("alias")}}, def...)}}})
}

func (s *Server) deleteAlias(c *call) (int, any, *apiError) {
	return s.alias([]any{object{{"remove", object{{"index", c.param("index")}, {"alias", c.param("alias")}}}}})
}

func (s *Server) aliases(c *call) (int, any, *apiError) {
	body, err := s.body(c)
	if err != nil {
		return 0, nil, err
	}
	actions, _ := body.get("actions").([]any)
	if len(actions) == 0 {
		return 0, nil, invalid("1: Must specify at least one alias action;")
	}
	return s.alias(actions)
}

// alias does all of the actions, or none.
func (s *Server) alias(actions []any) (int, any, *apiError) {
	var do []func()
	for _, a := range actions {
		o, _ := a.(object)
		if len(o) != 1 {
			return 0, nil, &apiError{status: http.StatusBadRequest, typ: "parse_exception", reason: "[aliases] failed to parse an action"}
		}
		body, _ := o[0].value.(object)
		expression, alias := scalar(body.get("index")), scalar(body.get("alias"))
		if list, ok := body.get("indices").([]any); ok {
			var names []string
			for _, n := range list {
				names = append(names, scalar(n))
			}
			expression = strings.Join(names, ",")
		}
		found, err := s.named(expression, &call{})
		if err != nil {
			return 0, nil, err
		}
		switch o[0].name {
		case "add":
			if s.indices[alias] != nil {
				return 0, nil, &apiError{status: http.StatusBadRequest, typ: "invalid_alias_name_exception", reason: "Invalid alias name [" + alias + "]: an index or data stream exists with the same name as the alias", extra: object{{"index", alias}, {"index_uuid", s.indices[alias].uuid}}}
			}
			def := body.without("index").without("indices").without("alias").without("aliases")
			if r := def.get("routing"); r != nil {
				def = append(object{{"index_routing", r}, {"search_routing", r}}, def.without("routing")...)
			}
			for _, ix := range found {
				do = append(do, func() { ix.aliases[alias] = def })
			}
		case "remove":
			hit := false
			for _, ix := range found {
				for name := range ix.aliases {
					if matches(alias, name) {
						hit = true
						do = append(do, func() { delete(ix.aliases, name) })
					}
				}
			}
			if !hit {
				return 0, nil, &apiError{status: http.StatusNotFound, typ: "aliases_not_found_exception", reason: "aliases [" + alias + "] missing", extra: object{{"resource.id", alias}, {"resource.type", "aliases"}}}
			}
		case "remove_index":
			for _, ix := range found {
				do = append(do, func() { delete(s.indices, ix.name) })
			}
		default:
			return 0, nil, illegal("[alias_action] unknown field [%s]", o[0].name)
		}
	}
	for _, f := range do {
		f()
	}
	if s.version.es(8) {
		return http.StatusOK, object{{"acknowledged", true}, {"errors", false}}, nil
	}
	return http.StatusOK, object{{"acknowledged", true}}, nil
}

var colours = []string{"green", "yellow", "red"}

// colour is an index's health: no replica ever finds a node.
func (ix *index) colour() string {
	yellow := false
	for n := range ix.shards {
		red, waiting := ix.unready(n)
		if red {
			return "red"
		}
		yellow = yellow || waiting
	}
	if yellow {
		return "yellow"
	}
	if total, there := ix.copies(); total > there {
		return "yellow"
	}
	return "green"
}

func (s *Server) health(c *call) (int, any, *apiError) {
	found, err := s.named(c.param("index"), &call{query: map[string][]string{"expand_wildcards": {"all"}}})
	status, timedOut := "green", false
	primaries, unassigned, initializing := 0, 0, 0
	each := object{}
	if err != nil {
		status, timedOut = "red", true
	}
	for _, ix := range found {
		colour := ix.colour()
		if slices.Index(colours, colour) > slices.Index(colours, status) {
			status = colour
		}
		o := ix.health(c.query.Get("level"))
		count := func(name string) int { n, _ := o.get(name).(int); return n }
		primaries += count("active_primary_shards")
		unassigned += count("unassigned_shards")
		initializing += count("initializing_shards")
		each = append(each, field{ix.name, o})
		if r := ix.restored; r != nil && r.looks > 0 {
			r.looks--
		}
	}
	if wanted := c.query.Get("wait_for_status"); wanted != "" {
		if !slices.Contains(colours, wanted) {
			if s.version.es(7) {
				return 0, nil, illegal("No enum constant org.elasticsearch.cluster.health.ClusterHealthStatus.%s", strings.ToUpper(wanted))
			}
			return 0, nil, illegal("No enum constant org.opensearch.cluster.health.ClusterHealthStatus.%s", strings.ToUpper(wanted))
		}
		timedOut = timedOut || slices.Index(colours, status) > slices.Index(colours, wanted)
	}
	code := http.StatusOK
	if timedOut {
		code = http.StatusRequestTimeout
		if d, ok := duration(c.query.Get("timeout")); ok {
			// What is waited for does not come: a fake has no other node. It is locked meanwhile, so not for long.
			<-time.After(min(d, 50*time.Millisecond))
		}
	}
	o := object{{"cluster_name", "fake"}, {"status", status}, {"timed_out", timedOut}, {"number_of_nodes", 1}, {"number_of_data_nodes", 1}}
	if s.version.OpenSearch {
		o = append(o, field{"discovered_master", true}, field{"discovered_cluster_manager", true})
	}
	percent := 100.0
	if primaries+unassigned > 0 {
		percent = 100 * float64(primaries) / float64(primaries+unassigned)
	}
	o = append(o,
		field{"active_primary_shards", primaries}, field{"active_shards", primaries}, field{"relocating_shards", 0}, field{"initializing_shards", initializing},
		field{"unassigned_shards", unassigned}, field{"delayed_unassigned_shards", 0}, field{"number_of_pending_tasks", 0}, field{"number_of_in_flight_fetch", 0},
		field{"task_max_waiting_in_queue_millis", 0}, field{"active_shards_percent_as_number", percent},
	)
	if level := c.query.Get("level"); level == "indices" || level == "shards" {
		o = append(o, field{"indices", each})
	}
	return code, o, nil
}

// health is an index's, with its shards if level says so.
func (ix *index) health(level string) object {
	total, there := ix.copies()
	active, initializing, unassigned := 0, 0, 0
	shards := object{}
	for n := range ix.shards {
		red, waiting := ix.unready(n)
		colour, a, i := "green", 1, 0
		switch {
		case red:
			colour, a = "red", 0
		case waiting:
			colour, a, i = "yellow", 0, 1
		case total > there:
			colour = "yellow"
		}
		active, initializing, unassigned = active+a, initializing+i, unassigned+total-a-i
		shards = append(shards, field{strconv.Itoa(n), object{
			{"status", colour}, {"primary_active", a == 1}, {"active_shards", a}, {"relocating_shards", 0}, {"initializing_shards", i}, {"unassigned_shards", total - a - i},
		}})
	}
	o := object{
		{"status", ix.colour()}, {"number_of_shards", len(ix.shards)}, {"number_of_replicas", total - 1}, {"active_primary_shards", active}, {"active_shards", active},
		{"relocating_shards", 0}, {"initializing_shards", initializing}, {"unassigned_shards", unassigned},
	}
	if level == "shards" {
		o = append(o, field{"shards", shards})
	}
	return o
}

func (s *Server) nodesPlugins(*call) (int, any, *apiError) {
	plugins := []any{}
	for _, name := range s.o.Plugins {
		plugins = append(plugins, object{{"name", name}, {"version", s.version.Number}})
	}
	node := object{{"name", "fake"}, {"transport_address", "127.0.0.1:9300"}, {"host", "127.0.0.1"}, {"ip", "127.0.0.1"}, {"version", s.version.Number}, {"roles", []string{"data", "ingest"}}, {"plugins", plugins}, {"modules", []any{}}}
	return http.StatusOK, object{{"_nodes", object{{"total", 1}, {"successful", 1}, {"failed", 0}}}, {"cluster_name", "fake"}, {"nodes", object{{nodeID, node}}}}, nil
}

func (s *Server) catPlugins(*call) (int, any, *apiError) {
	rows := []any{}
	for _, name := range s.o.Plugins {
		rows = append(rows, object{{"name", "fake"}, {"component", name}, {"version", s.version.Number}})
	}
	return http.StatusOK, rows, nil
}

func (s *Server) resolve(c *call) (int, any, *apiError) {
	lenient := *c
	lenient.query = maps.Clone(c.query)
	lenient.query.Set("ignore_unavailable", "true")
	found, err := s.named(c.param("index"), &lenient)
	if err != nil {
		return 0, nil, err
	}
	if len(found) == 0 && s.version.es(8) && !strings.Contains(c.param("index"), "*") {
		return 0, nil, noSuchIndex(c.param("index"), "index_or_alias")
	}
	indices, aliases := []any{}, []any{}
	owners := map[string][]string{}
	for _, ix := range found {
		o := object{{"name", ix.name}}
		if names := slices.Sorted(maps.Keys(ix.aliases)); len(names) > 0 {
			o = append(o, field{"aliases", names})
		}
		state := []string{"open"}
		if ix.closed {
			state = []string{"closed"}
		}
		if ix.hidden() {
			state = append(state, "hidden")
			slices.Sort(state)
		}
		for name := range ix.aliases {
			for p := range strings.SplitSeq(c.param("index"), ",") {
				if matches(p, name) {
					owners[name] = append(owners[name], ix.name)
				}
			}
		}
		indices = append(indices, append(o, field{"attributes", state}))
	}
	for _, name := range slices.Sorted(maps.Keys(owners)) {
		aliases = append(aliases, object{{"name", name}, {"indices", owners[name]}})
	}
	return http.StatusOK, object{{"indices", indices}, {"aliases", aliases}, {"data_streams", []any{}}}, nil
}

package osfake

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The plugins whose calls the fake answers if Options.Plugins names them.
const (
	IndexManagement = "opensearch-index-management" // _plugins/_ism, _plugins/_sm
	Security        = "opensearch-security"         // roles, rolesmapping, actiongroups and tenants of _plugins/_security/api
)

// A policy is a document of the index management plugin.
type policy struct {
	body        object
	seqNo, term int64
	version     int
}

// pluginRoutes are the calls of plugins, as opensearch-project/index-management and opensearch-project/security document them.
func pluginRoutes() []route {
	const compare = " if_seq_no if_primary_term refresh"
	const page = " size from sortField sortOrder queryString"
	ism, sm := with(IndexManagement), with(Security)
	return []route{
		{"GET", "/_plugins/_ism/policies", "ism_list", page, openSearchOnly, ism((*Server).listISM)},
		{"GET", "/_plugins/_ism/policies/{policy}", "ism_get", page, openSearchOnly, ism((*Server).getISM)},
		{"PUT", "/_plugins/_ism/policies/{policy}", "ism_put", compare, openSearchOnly, ism((*Server).putISM)},
		{"DELETE", "/_plugins/_ism/policies/{policy}", "ism_delete", " refresh", openSearchOnly, ism((*Server).deleteISM)},
		{"GET", "/_plugins/_ism/explain/{target}", "ism_explain", page + " show_policy", openSearchOnly, ism((*Server).explainISM)},
		{"GET", "/_plugins/_sm/policies", "sm_list", page, openSearchOnly, ism((*Server).listSM)},
		{"GET", "/_plugins/_sm/policies/{policy}", "sm_get", page, openSearchOnly, ism((*Server).getSM)},
		{"POST|PUT", "/_plugins/_sm/policies/{policy}", "sm_put", compare, openSearchOnly, ism((*Server).putSM)},
		{"DELETE", "/_plugins/_sm/policies/{policy}", "sm_delete", " refresh", openSearchOnly, ism((*Server).deleteSM)},
		{"GET", "/_plugins/_security/api/{shelf}", "security_list", "", openSearchOnly, sm((*Server).listSecurity)},
		{"GET", "/_plugins/_security/api/{shelf}/{name}", "security_get", "", openSearchOnly, sm((*Server).listSecurity)},
		{"PUT", "/_plugins/_security/api/{shelf}/{name}", "security_put", "", openSearchOnly, sm((*Server).putSecurity)},
		{"DELETE", "/_plugins/_security/api/{shelf}/{name}", "security_delete", "", openSearchOnly, sm((*Server).deleteSecurity)},

		{"DELETE", "/_component_template/{name}", "delete_component_template", patience, nil, (*Server).takeOffShelf},
		{"DELETE", "/_index_template/{name}", "delete_index_template", patience, nil, (*Server).takeOffShelf},
		{"DELETE", "/_ingest/pipeline/{name}", "delete_pipeline", patience, nil, (*Server).takeOffShelf},
		{"POST", "/_index_template/_simulate", "simulate_template", patience + " create cause", nil, (*Server).simulateTemplate},
		{"POST|GET", "/_ingest/pipeline/_simulate", "simulate_pipeline", " verbose", nil, (*Server).simulatePipeline},
	}
}

type handler = func(s *Server, c *call) (int, any, *apiError)

// with is a handler of a plugin: without it there is none.
func with(plugin string) func(handler) handler {
	return func(h handler) handler {
		return func(s *Server, c *call) (int, any, *apiError) {
			if !slices.Contains(s.o.Plugins, plugin) {
				return 0, nil, &apiError{status: http.StatusBadRequest, noStatus: true, text: fmt.Sprintf("no handler found for uri [%s] and method [%s]", c.Path, c.Method)}
			}
			return h(s, c)
		}
	}
}

func (s *Server) policies(kind string) map[string]*policy {
	if s.kept == nil {
		s.kept = map[string]map[string]*policy{}
	}
	if s.kept[kind] == nil {
		s.kept[kind] = map[string]*policy{}
	}
	return s.kept[kind]
}

func (s *Server) listPolicies(c *call, kind, suffix string) (int, any, *apiError) {
	number := func(name string, otherwise int) int {
		if n, err := strconv.Atoi(c.query.Get(name)); err == nil {
			return n
		}
		return otherwise
	}
	all := s.policies(kind)
	names := slices.Sorted(maps.Keys(all))
	from := min(number("from", 0), len(names))
	list := []any{}
	for _, name := range names[from:min(from+number("size", 20), len(names))] {
		p := all[name]
		list = append(list, object{{"_id", name + suffix}, {"_seq_no", p.seqNo}, {"_primary_term", p.term}, {kind, p.body}})
	}
	return http.StatusOK, object{{"policies", list}, {"total_policies", len(names)}}, nil
}

func (s *Server) getPolicy(c *call, kind, suffix, missing string) (int, any, *apiError) {
	name := c.param("policy")
	p := s.policies(kind)[name]
	if p == nil {
		return 0, nil, &apiError{status: http.StatusNotFound, typ: "status_exception", reason: missing}
	}
	return http.StatusOK, p.answer(name+suffix, kind), nil
}

func (p *policy) answer(id, kind string) object {
	return object{{"_id", id}, {"_version", p.version}, {"_seq_no", p.seqNo}, {"_primary_term", p.term}, {kind, p.body}}
}

// keepPolicy writes a policy by compare-and-set; without a state to compare it must be new.
func (s *Server) keepPolicy(c *call, kind, suffix string, body object) (int, any, *apiError) {
	name := c.param("policy")
	all := s.policies(kind)
	old := all[name]
	state := c.query.Get("if_seq_no") + "/" + c.query.Get("if_primary_term")
	if state == "/" && old != nil || state != "/" && (old == nil || state != fmt.Sprintf("%d/%d", old.seqNo, old.term)) {
		return 0, nil, &apiError{status: http.StatusConflict, typ: "version_conflict_engine_exception", reason: "[" + name + "]: version conflict, document already exists, or is not as it was seen"}
	}
	s.serial++
	p := &policy{body: body, seqNo: int64(s.serial), term: 1, version: 1}
	status := http.StatusCreated
	if old != nil {
		p.version, status = old.version+1, http.StatusOK
	}
	all[name] = p
	return status, p.answer(name+suffix, kind), nil
}

func (s *Server) deletePolicy(c *call, kind, missing string) (int, any, *apiError) {
	name := c.param("policy")
	if s.policies(kind)[name] == nil {
		return 0, nil, &apiError{status: http.StatusNotFound, typ: "status_exception", reason: missing}
	}
	delete(s.policies(kind), name)
	return http.StatusOK, object{{"_id", name}, {"result", "deleted"}}, nil
}

func (s *Server) listISM(c *call) (int, any, *apiError) { return s.listPolicies(c, "policy", "") }
func (s *Server) getISM(c *call) (int, any, *apiError) {
	return s.getPolicy(c, "policy", "", "Policy not found")
}

func (s *Server) deleteISM(c *call) (int, any, *apiError) {
	return s.deletePolicy(c, "policy", "Policy not found")
}

// putISM keeps a policy as the plugin does: with what it adds, defaults written out, ism_template as a list.
func (s *Server) putISM(c *call) (int, any, *apiError) {
	body, err := s.body(c)
	if err != nil {
		return 0, nil, err
	}
	given, ok := body.get("policy").(object)
	if !ok {
		return 0, nil, &apiError{status: http.StatusBadRequest, typ: "parsing_exception", reason: "Failed to parse object: expecting field with name [policy]"}
	}
	states, ok := given.get("states").([]any)
	if !ok || len(states) == 0 {
		return 0, nil, illegal("Policy must contain at least one State")
	}
	kept := object{
		{"policy_id", c.param("policy")}, {"description", given.get("description")}, {"last_updated_time", time.Now().UnixMilli()}, {"schema_version", 21},
		{"error_notification", given.get("error_notification")}, {"default_state", given.get("default_state")},
	}
	names := []string{}
	var out []any
	for _, x := range states {
		state, _ := x.(object)
		names = append(names, scalar(state.get("name")))
		out = append(out, completeState(state))
	}
	if !slices.Contains(names, scalar(given.get("default_state"))) {
		return 0, nil, illegal("Policy must have a valid default state")
	}
	kept = append(kept, field{"states", out})
	var templates []any
	switch t := given.get("ism_template").(type) {
	case object:
		templates = []any{t}
	case []any:
		templates = t
	}
	if templates != nil {
		list := []any{}
		for _, x := range templates {
			t, _ := x.(object)
			priority := t.get("priority")
			if priority == nil {
				priority = 0
			}
			list = append(list, object{{"index_patterns", listed(t.get("index_patterns"))}, {"priority", priority}, {"last_updated_time", time.Now().UnixMilli()}})
		}
		kept = append(kept, field{"ism_template", list})
	}
	return s.keepPolicy(c, "policy", "", kept)
}

func listed(v any) []any {
	out := []any{}
	for _, p := range listOf(v) {
		out = append(out, p)
	}
	return out
}

// completeState writes out what a state's actions and transitions have when nothing is said.
func completeState(state object) object {
	actions, _ := state.get("actions").([]any)
	out := []any{}
	for _, x := range actions {
		action, _ := x.(object)
		retry, _ := action.get("retry").(object)
		full := object{{"count", 3}, {"backoff", "exponential"}, {"delay", "1m"}}
		for _, f := range retry {
			full = full.with(f.name, f.value)
		}
		completed := object{{"retry", full}}
		for _, f := range action {
			if f.name == "retry" {
				continue
			}
			if f.name == "timeout" { // a text beside the action
				completed = append(completed, f)
				continue
			}
			inner, _ := f.value.(object)
			if f.name == "rollover" && !inner.has("copy_alias") {
				inner = inner.with("copy_alias", false)
			}
			completed = append(completed, field{f.name, inner})
		}
		out = append(out, completed)
	}
	transitions, _ := state.get("transitions").([]any)
	if transitions == nil {
		transitions = []any{}
	}
	return object{{"name", state.get("name")}, {"actions", out}, {"transitions", transitions}}
}

func (s *Server) listSM(c *call) (int, any, *apiError) {
	return s.listPolicies(c, "sm_policy", "-sm-policy")
}

func (s *Server) getSM(c *call) (int, any, *apiError) {
	return s.getPolicy(c, "sm_policy", "-sm-policy", "Snapshot management policy not found")
}

func (s *Server) deleteSM(c *call) (int, any, *apiError) {
	return s.deletePolicy(c, "sm_policy", "Snapshot management policy not found")
}

func (s *Server) putSM(c *call) (int, any, *apiError) {
	body, err := s.body(c)
	if err != nil {
		return 0, nil, err
	}
	if _, ok := body.get("snapshot_config").(object); !ok {
		return 0, nil, illegal("snapshot_config field must not be null")
	}
	if (c.Method == http.MethodPut) != (c.query.Get("if_seq_no") != "") {
		return 0, nil, illegal("Sequence number and primary term are for updates, which need them")
	}
	kept := object{{"name", c.param("policy")}}
	for _, name := range []string{"description", "creation", "deletion", "snapshot_config", "notification"} {
		v := body.get(name)
		if deletion, ok := v.(object); ok && name == "deletion" && !deletion.has("schedule") {
			if creation, ok := body.get("creation").(object); ok {
				v = append(object{{"schedule", creation.get("schedule")}}, deletion...)
			}
		}
		if v != nil {
			kept = append(kept, field{name, v})
		}
	}
	now := time.Now().UnixMilli()
	enabled := body.get("enabled")
	if enabled == nil {
		enabled = true
	}
	kept = append(kept,
		field{"schema_version", 21}, field{"schedule", object{{"interval", object{{"start_time", now}, {"period", 1}, {"unit", "Minutes"}}}}},
		field{"enabled", enabled}, field{"last_updated_time", now}, field{"enabled_time", now})
	return s.keepPolicy(c, "sm_policy", "-sm-policy", kept)
}

func (s *Server) securityShelf(c *call) (shelf, *apiError) {
	kind := c.param("shelf")
	if kind != "roles" && kind != "rolesmapping" && kind != "actiongroups" && kind != "tenants" {
		return nil, &apiError{status: http.StatusBadRequest, noStatus: true, text: fmt.Sprintf("no handler found for uri [%s] and method [%s]", c.Path, c.Method)}
	}
	return s.security(kind), nil
}

// security gives the shelf of a kind, with what is always there.
func (s *Server) security(kind string) shelf {
	if s.shelves[kind] != nil {
		return s.shelves[kind]
	}
	on := shelf{}
	s.shelves[kind] = on
	switch kind {
	case "roles":
		for _, name := range []string{"all_access", "kibana_server", "kibana_user", "logstash", "manage_snapshots", "own_index", "readall", "readall_and_monitor"} {
			on[name] = object{{"reserved", true}, {"hidden", false}, {"static", true}, {"cluster_permissions", []any{"*"}}}
		}
	case "tenants":
		on["global_tenant"] = object{{"reserved", true}, {"hidden", false}, {"static", true}, {"description", "Global tenant"}}
	}
	return on
}

func (s *Server) listSecurity(c *call) (int, any, *apiError) {
	on, err := s.securityShelf(c)
	if err != nil {
		return 0, nil, err
	}
	wanted, answer := c.param("name"), object{}
	for _, name := range slices.Sorted(maps.Keys(on)) {
		if wanted == "" || wanted == name {
			answer = append(answer, field{name, on[name]})
		}
	}
	if wanted != "" && len(answer) == 0 {
		return http.StatusNotFound, object{{"status", "NOT_FOUND"}, {"message", strings.TrimSuffix(c.param("shelf"), "s") + " '" + wanted + "' not found."}}, nil
	}
	return http.StatusOK, answer, nil
}

// securityKeys are what the plugin takes of each, a mandatory one first.
var securityKeys = map[string][]string{
	"roles":        {"", "cluster_permissions", "index_permissions", "tenant_permissions", "description"},
	"rolesmapping": {"", "users", "backend_roles", "and_backend_roles", "hosts", "description"},
	"actiongroups": {"allowed_actions", "type", "description"},
	"tenants":      {"", "description"},
}

// putSecurity keeps a role or mapping as the plugin gives it back: flags, and what was left out as empty. Source of what it refuses, and
// how: the plugin 2.19.1.0 on a node.
func (s *Server) putSecurity(c *call) (int, any, *apiError) {
	on, err := s.securityShelf(c)
	if err != nil {
		return 0, nil, err
	}
	body, err := s.body(c)
	if err != nil {
		return 0, nil, err
	}
	if len(body) == 0 {
		return http.StatusBadRequest, object{{"status", "error"}, {"reason", "Request body required for this action."}}, nil
	}
	keys := securityKeys[c.param("shelf")]
	if must := keys[0]; must != "" && !body.has(must) {
		return http.StatusBadRequest, object{{"status", "error"}, {"reason", "Invalid configuration"}, {"missing_mandatory_keys", object{{"keys", must}}}}, nil
	}
	for _, f := range body {
		if !slices.Contains(keys, f.name) {
			return http.StatusBadRequest, object{{"status", "error"}, {"reason", "Invalid configuration"}, {"invalid_keys", object{{"keys", f.name}}}}, nil
		}
	}
	name := c.param("name")
	if status, answer := protected(on, name); answer != nil {
		return status, answer, nil
	}
	if c.param("shelf") == "rolesmapping" && s.security("roles")[name] == nil {
		return http.StatusNotFound, object{{"status", "NOT_FOUND"}, {"message", "role '" + name + "' not found."}}, nil
	}
	lists := []string{"cluster_permissions", "index_permissions", "tenant_permissions"}
	kept := object{{"reserved", false}, {"hidden", false}, {"static", false}}
	switch c.param("shelf") {
	case "rolesmapping":
		lists, kept = []string{"hosts", "users", "backend_roles", "and_backend_roles"}, kept[:2]
	case "actiongroups", "tenants":
		lists = nil
	}
	kept = append(slices.Clone(kept), body...)
	for _, l := range lists {
		if !kept.has(l) {
			kept = append(kept, field{l, []any{}})
		}
	}
	status := http.StatusOK
	if on[name] == nil {
		status = http.StatusCreated
	}
	on[name] = kept
	return status, object{{"status", "OK"}, {"message", "'" + name + "' updated."}}, nil
}

func (s *Server) deleteSecurity(c *call) (int, any, *apiError) {
	on, err := s.securityShelf(c)
	if err != nil {
		return 0, nil, err
	}
	name := c.param("name")
	if on[name] == nil {
		return http.StatusNotFound, object{{"status", "NOT_FOUND"}, {"message", "'" + name + "' not found."}}, nil
	}
	if status, answer := protected(on, name); answer != nil {
		return status, answer, nil
	}
	delete(on, name)
	return http.StatusOK, object{{"status", "OK"}, {"message", "'" + name + "' deleted."}}, nil
}

// protected is the refusal to change what is the system's own.
func protected(on shelf, name string) (int, object) {
	for _, flag := range []string{"static", "reserved"} {
		if on[name].get(flag) == true {
			return http.StatusForbidden, object{{"status", "FORBIDDEN"}, {"message", "Resource '" + name + "' is " + flag + "."}}
		}
	}
	return 0, nil
}

// takeOffShelf deletes a template or pipeline; a component that a template names stays.
func (s *Server) takeOffShelf(c *call) (int, any, *apiError) {
	kind, on := s.shelfOf(c)
	name := c.param("name")
	if on[name] == nil {
		return 0, nil, &apiError{status: http.StatusNotFound, typ: "resource_not_found_exception", reason: "[" + name + "] missing"}
	}
	if kind == "_component_template" {
		for t, body := range s.shelves["_index_template"] {
			if slices.Contains(listOf(body.get("composed_of")), name) {
				return 0, nil, illegal("component templates [%s] cannot be removed as they are still in use by index templates [%s]", name, t)
			}
		}
	}
	delete(on, name)
	return http.StatusOK, object{{"acknowledged", true}}, nil
}

// simulateTemplate gives what the template says by itself, its settings as texts.
func (s *Server) simulateTemplate(c *call) (int, any, *apiError) {
	body, err := s.body(c)
	if err != nil {
		return 0, nil, err
	}
	t, _ := body.get("template").(object)
	if settings, ok := t.get("settings").(object); ok {
		flat := flatten(settings, "")
		if err := s.checkSettings(flat, true); err != nil {
			return 0, nil, err
		}
		t = t.with("settings", nest(flat))
	}
	if mappings, ok := t.get("mappings").(object); ok {
		if err := s.checkMappings(mappings); err != nil {
			return 0, nil, err
		}
	}
	return http.StatusOK, object{{"template", t}, {"overlapping", []any{}}}, nil
}

func (s *Server) simulatePipeline(c *call) (int, any, *apiError) {
	body, err := s.body(c)
	if err != nil {
		return 0, nil, err
	}
	pipeline, _ := body.get("pipeline").(object)
	if _, ok := pipeline.get("processors").([]any); !ok {
		return 0, nil, &apiError{status: http.StatusBadRequest, typ: "parse_exception", reason: "[processors] required property is missing", extra: object{{"property_name", "processors"}}}
	}
	return http.StatusOK, object{{"docs", []any{}}}, nil
}

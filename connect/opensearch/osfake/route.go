package osfake

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A route is one call of the API.
type route struct {
	method  string // several with "|"
	path    string // {x} is a parameter; one that is not {index} does not begin with `_`
	api     string // what hooks and counts know it by
	params  string // of the query, beside those that every call has
	version func(Version) bool
	handle  func(s *Server, c *call) (int, any, *apiError)
}

const (
	everywhere = "pretty human error_trace filter_path format source source_content_type"
	options    = " ignore_unavailable allow_no_indices expand_wildcards ignore_throttled"
	patience   = " timeout master_timeout cluster_manager_timeout"
	writing    = " routing timeout refresh version version_type if_seq_no if_primary_term op_type pipeline wait_for_active_shards require_alias"
	reading    = " routing preference realtime refresh _source _source_includes _source_excludes stored_fields version version_type"
	searching  = options + " scroll size from sort q routing preference search_type batched_reduce_size track_total_hits rest_total_hits_as_int request_cache allow_partial_search_results seq_no_primary_term version _source _source_includes _source_excludes max_concurrent_shard_requests pre_filter_shard_size terminate_after timeout typed_keys ccs_minimize_roundtrips cancel_after_time_interval"
)

// measured are the parameters of _stats.
const measured = options + patience + " level types groups completion_fields fielddata_fields fields include_segment_file_sizes include_unloaded_segments forbid_closed_indices"

func openSearchOnly(v Version) bool    { return v.OpenSearch }
func elasticsearchOnly(v Version) bool { return !v.OpenSearch }

// routes is what the fake answers. The first that fits counts.
func routes() []route {
	return append(slices.Concat(pluginRoutes(), ismRoutes(), streamRoutes()), []route{
		{"GET|HEAD", "/", "info", "", nil, (*Server).info},

		{"POST|PUT", "/_bulk", "bulk", writing + " _source", nil, (*Server).bulk},
		{"POST|PUT", "/{index}/_bulk", "bulk", writing + " _source", nil, (*Server).bulk},
		{"GET|HEAD", "/{index}/_doc/{id}", "get", reading, nil, (*Server).get},
		{"GET|HEAD", "/{index}/_source/{id}", "source", reading, nil, (*Server).source},
		{"PUT|POST", "/{index}/_doc/{id}", "index", writing, nil, (*Server).write},
		{"POST", "/{index}/_doc", "index", writing, nil, (*Server).write},
		{"PUT|POST", "/{index}/_create/{id}", "create", writing, nil, (*Server).write},
		{"DELETE", "/{index}/_doc/{id}", "delete", writing, nil, (*Server).write},
		{"POST", "/{index}/_update/{id}", "update", writing + " retry_on_conflict _source lang", nil, (*Server).write},
		{"GET|POST", "/_mget", "mget", reading, nil, (*Server).mget},
		{"GET|POST", "/{index}/_mget", "mget", reading, nil, (*Server).mget},

		{"GET|POST", "/_search/scroll", "scroll", " scroll scroll_id rest_total_hits_as_int", nil, (*Server).scroll},
		{"DELETE", "/_search/scroll", "clear_scroll", " scroll_id", nil, (*Server).clearScroll},
		{"POST", "/{index}/_search/point_in_time", "open_pit", options + " keep_alive routing preference allow_partial_pit_creation", openSearchOnly, (*Server).openPIT},
		{"DELETE", "/_search/point_in_time", "close_pit", "", openSearchOnly, (*Server).closePIT},
		{"POST", "/{index}/_pit", "open_pit", options + " keep_alive routing preference", elasticsearchOnly, (*Server).openPIT},
		{"DELETE", "/_pit", "close_pit", "", elasticsearchOnly, (*Server).closePIT},
		{"GET|POST", "/_search", "search", searching, nil, (*Server).search},
		{"GET|POST", "/{index}/_search", "search", searching, nil, (*Server).search},
		{"GET|POST", "/_count", "count", options + " routing preference q", nil, (*Server).count},
		{"GET|POST", "/{index}/_count", "count", options + " routing preference q", nil, (*Server).count},

		{"GET|POST", "/_refresh", "refresh", options, nil, (*Server).refresh},
		{"GET|POST", "/{index}/_refresh", "refresh", options, nil, (*Server).refresh},
		{"GET|POST", "/{index}/_flush", "flush", options + " force wait_if_ongoing", nil, (*Server).refresh},
		{"POST", "/{index}/_forcemerge", "forcemerge", options + " max_num_segments only_expunge_deletes flush wait_for_completion primary_only", nil, (*Server).refresh},
		{"POST", "/{index}/_close", "close", options + patience + " wait_for_active_shards", nil, (*Server).closeIndex},
		{"POST", "/{index}/_open", "open", options + patience + " wait_for_active_shards", nil, (*Server).openIndex},

		{"GET", "/_settings", "get_settings", options + patience + " flat_settings include_defaults local", nil, (*Server).getSettings},
		{"GET", "/{index}/_settings", "get_settings", options + patience + " flat_settings include_defaults local", nil, (*Server).getSettings},
		{"GET", "/{index}/_settings/{name}", "get_settings", options + patience + " flat_settings include_defaults local", nil, (*Server).getSettings},
		{"PUT", "/{index}/_settings", "put_settings", options + patience + " flat_settings preserve_existing", nil, (*Server).putSettings},
		{"GET", "/_mapping", "get_mapping", options + patience + " local", nil, (*Server).getMapping},
		{"GET", "/{index}/_mapping", "get_mapping", options + patience + " local", nil, (*Server).getMapping},
		{"PUT|POST", "/{index}/_mapping", "put_mapping", options + patience + " write_index_only", nil, (*Server).putMapping},
		{"GET|HEAD", "/_alias", "get_alias", options + " local", nil, (*Server).getAlias},
		{"GET|HEAD", "/_alias/{alias}", "get_alias", options + " local", nil, (*Server).getAlias},
		{"GET|HEAD", "/{index}/_alias", "get_alias", options + " local", nil, (*Server).getAlias},
		{"GET|HEAD", "/{index}/_alias/{alias}", "get_alias", options + " local", nil, (*Server).getAlias},
		{"PUT|POST", "/{index}/_alias/{alias}", "put_alias", patience, nil, (*Server).putAlias},
		{"DELETE", "/{index}/_alias/{alias}", "delete_alias", patience, nil, (*Server).deleteAlias},
		{"POST", "/_aliases", "aliases", patience, nil, (*Server).aliases},

		{"GET", "/_cluster/health", "health", options + patience + healthy, nil, (*Server).health},
		{"GET", "/_cluster/health/{index}", "health", options + patience + healthy, nil, (*Server).health},
		{"GET", "/_cluster/settings", "get_cluster_settings", patience + " flat_settings include_defaults local", nil, (*Server).clusterSettings},
		{"PUT", "/_cluster/settings", "put_cluster_settings", patience + " flat_settings", nil, (*Server).putClusterSettings},
		{"GET", "/_nodes/stats", "nodes_stats", patience + " level types groups completion_fields fielddata_fields fields include_segment_file_sizes", nil, (*Server).nodesStats},
		{"GET", "/_nodes/stats/{metric}", "nodes_stats", patience + " level types groups completion_fields fielddata_fields fields include_segment_file_sizes", nil, (*Server).nodesStats},
		{"GET", "/_nodes/plugins", "nodes_plugins", patience + " flat_settings", nil, (*Server).nodesPlugins},
		{"GET", "/_nodes/{metric}", "nodes_info", patience + " flat_settings", nil, (*Server).nodesInfo},
		{"GET", "/_stats", "stats", measured, nil, (*Server).indicesStats},
		{"GET", "/_stats/{metric}", "stats", measured, nil, (*Server).indicesStats},
		{"GET", "/_cat/shards", "cat_shards", options + patience + " h s v bytes time local", nil, (*Server).catShards},
		{"GET", "/_cat/indices", "cat_indices", options + patience + " h s v bytes time health pri local include_unloaded_segments", nil, (*Server).catIndices},
		{"GET", "/_cat/indices/{index}", "cat_indices", options + patience + " h s v bytes time health pri local include_unloaded_segments", nil, (*Server).catIndices},
		{"GET", "/_resolve/index/{index}", "resolve", options, nil, (*Server).resolve},

		{"GET", "/_snapshot", "get_repository", patience + " local", nil, (*Server).getRepository},
		{"GET", "/_snapshot/{repository}", "get_repository", patience + " local", nil, (*Server).getRepository},
		{"PUT|POST", "/_snapshot/{repository}", "put_repository", patience + " verify", nil, (*Server).putRepository},
		{"DELETE", "/_snapshot/{repository}", "delete_repository", patience, nil, (*Server).deleteRepository},
		{"POST", "/_snapshot/{repository}/_verify", "verify_repository", patience, nil, (*Server).verifyRepository},
		{"GET", "/_snapshot/{repository}/{snapshot}", "get_snapshots", patience + " ignore_unavailable verbose", nil, (*Server).getSnapshots},
		{"POST", "/_snapshot/{repository}/{snapshot}/_restore", "restore", patience + " wait_for_completion", nil, (*Server).restore},
		{"GET", "/_recovery", "recovery", options + " detailed active_only", nil, (*Server).recovery},
		{"GET", "/{index}/_recovery", "recovery", options + " detailed active_only", nil, (*Server).recovery},
		{"GET|POST", "/_cluster/allocation/explain", "explain", " include_yes_decisions include_disk_info", nil, (*Server).explain},
		{"GET", "/_data_stream", "get_data_stream", "", openSearchOnly, (*Server).dataStreams},
		{"GET", "/_data_stream/{stream}", "get_data_stream", "", openSearchOnly, (*Server).dataStreams},
		{"GET", "/_data_stream", "get_data_stream", options, elasticsearchOnly, (*Server).dataStreams},
		{"GET", "/_data_stream/{stream}", "get_data_stream", options, elasticsearchOnly, (*Server).dataStreams},
		{"POST", "/{index}/_update_by_query", "update_by_query", options + " conflicts refresh slices requests_per_second wait_for_completion scroll_size timeout routing", nil, (*Server).updateByQuery},
		{"GET", "/_tasks/{task}", "get_task", " wait_for_completion timeout", nil, (*Server).getTask},
		{"POST", "/_tasks/{task}/_cancel", "cancel_task", "", nil, (*Server).cancelTask},
		{"GET", "/_cat/plugins", "cat_plugins", patience + " h s v local", nil, (*Server).catPlugins},
		{"GET", "/_template", "get_template", patience + " local flat_settings", nil, (*Server).getFromShelf},
		{"GET|HEAD", "/_template/{name}", "get_template", patience + " local flat_settings", nil, (*Server).getFromShelf},
		{"PUT|POST", "/_template/{name}", "put_template", patience + " create order cause", nil, (*Server).putOnShelf},
		{"DELETE", "/_template/{name}", "delete_template", patience, nil, (*Server).takeOffShelf},
		{"GET", "/_component_template", "get_component_template", patience + " local flat_settings", nil, (*Server).getFromShelf},
		{"GET|HEAD", "/_component_template/{name}", "get_component_template", patience + " local flat_settings", nil, (*Server).getFromShelf},
		{"PUT|POST", "/_component_template/{name}", "put_component_template", patience + " create order cause", nil, (*Server).putOnShelf},
		{"GET", "/_index_template", "get_index_template", patience + " local flat_settings", nil, (*Server).getFromShelf},
		{"GET|HEAD", "/_index_template/{name}", "get_index_template", patience + " local flat_settings", nil, (*Server).getFromShelf},
		{"PUT|POST", "/_index_template/{name}", "put_index_template", patience + " create order cause", nil, (*Server).putOnShelf},
		{"GET", "/_ingest/pipeline", "get_pipeline", patience + " local flat_settings", nil, (*Server).getFromShelf},
		{"GET|HEAD", "/_ingest/pipeline/{name}", "get_pipeline", patience + " local flat_settings", nil, (*Server).getFromShelf},
		{"PUT|POST", "/_ingest/pipeline/{name}", "put_pipeline", patience + " create order cause", nil, (*Server).putOnShelf},
		{"GET", "/_scripts/{name}", "get_script", patience, nil, (*Server).getFromShelf},
		{"PUT|POST", "/_scripts/{name}", "put_script", patience + " context", nil, (*Server).putOnShelf},

		{"GET|HEAD", "/{index}", "get_index", options + patience + " flat_settings include_defaults local features", nil, (*Server).getIndex},
		{"PUT", "/{index}", "create_index", patience + " wait_for_active_shards", nil, (*Server).createIndex},
		{"DELETE", "/{index}", "delete_index", options + patience, nil, (*Server).deleteIndex},
	}...)
}

const healthy = " wait_for_status wait_for_no_relocating_shards wait_for_no_initializing_shards wait_for_active_shards wait_for_nodes wait_for_events level local awareness_attribute"

func (c *call) param(name string) string {
	for i := 0; i+1 < len(c.params); i += 2 {
		if c.params[i] == name {
			return c.params[i+1]
		}
	}
	return ""
}

// route finds what a request asks for, or says what is wrong with it.
func (s *Server) route(c *call, r *http.Request) (*route, *apiError) {
	var segments []string
	for part := range strings.SplitSeq(strings.Trim(r.URL.EscapedPath(), "/"), "/") {
		decoded, err := url.PathUnescape(part)
		if err != nil {
			return nil, illegal("%s", err.Error())
		}
		if decoded != "" {
			segments = append(segments, decoded)
		}
	}
	var allowed []string
	for _, rt := range routes() {
		params, ok := rt.fits(segments)
		if !ok || rt.version != nil && !rt.version(s.version) {
			continue
		}
		methods := strings.Split(rt.method, "|")
		if !slices.Contains(methods, r.Method) {
			allowed = append(allowed, methods...)
			continue
		}
		c.params = params
		return &rt, s.wellFormed(&rt, c, r)
	}
	if len(allowed) > 0 {
		slices.Sort(allowed)
		allowed = slices.Compact(allowed)
		return nil, &apiError{status: http.StatusMethodNotAllowed, text: fmt.Sprintf("Incorrect HTTP method for uri [%s] and method [%s], allowed: [%s]", r.URL.Path, r.Method, strings.Join(allowed, ", "))}
	}
	return nil, &apiError{status: http.StatusBadRequest, noStatus: true, text: fmt.Sprintf("no handler found for uri [%s] and method [%s]", r.URL.Path, r.Method)}
}

func (rt *route) fits(segments []string) (params []string, ok bool) {
	var want []string
	if rt.path != "/" {
		want = strings.Split(rt.path[1:], "/")
	}
	if len(want) != len(segments) {
		return nil, false
	}
	for i, w := range want {
		name, isParam := strings.CutPrefix(w, "{")
		switch {
		case !isParam && w != segments[i]:
			return nil, false
		case isParam:
			name = strings.TrimSuffix(name, "}")
			if name == "index" && strings.HasPrefix(segments[i], "_") && segments[i] != "_all" && len(want) > 1 && i == 0 {
				return nil, false
			}
			params = append(params, name, segments[i])
		}
	}
	return params, true
}

// wellFormed checks the query's parameters and the content type.
func (s *Server) wellFormed(rt *route, c *call, r *http.Request) *apiError {
	known := strings.Fields(everywhere + rt.params)
	for name := range c.query {
		if !slices.Contains(known, name) || name == "cluster_manager_timeout" && !s.version.OpenSearch {
			return illegal("request [%s] contains unrecognized parameter: [%s]", r.URL.Path, name)
		}
	}
	if len(c.Body) > 0 {
		t, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
		if !slices.Contains([]string{"application/json", "application/x-ndjson", "application/vnd.elasticsearch+json", "application/vnd.elasticsearch+x-ndjson"}, t) {
			return &apiError{status: http.StatusNotAcceptable, text: "Content-Type header [" + r.Header.Get("Content-Type") + "] is not supported"}
		}
	}
	return nil
}

// body parses a request's body, which must be an object if there is one.
func (s *Server) body(c *call) (object, *apiError) {
	if len(c.Body) == 0 {
		return nil, nil
	}
	v, err := parse(c.Body)
	if err != nil {
		why := s.version.notJSON(err)
		if s.version.es(8) {
			return nil, why
		}
		return nil, &apiError{status: http.StatusBadRequest, typ: "parse_exception", reason: "Failed to parse content to map", causedBy: why}
	}
	o, ok := v.(object)
	if !ok {
		return nil, &apiError{status: http.StatusBadRequest, typ: "parsing_exception", reason: "Expected [START_OBJECT] but found [" + tokenName(v) + "]"}
	}
	return o, nil
}

package osfake

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Index settings that both distributions know; one that ends with a dot stands for all below it.
var (
	knownSettings = []string{
		"number_of_shards", "number_of_replicas", "auto_expand_replicas", "refresh_interval", "codec", "hidden", "priority", "number_of_routing_shards",
		"routing_partition_size", "max_result_window", "max_inner_result_window", "max_rescore_window", "max_docvalue_fields_search", "max_script_fields",
		"max_ngram_diff", "max_shingle_diff", "max_terms_count", "max_regex_length", "max_slices_per_scroll", "max_refresh_listeners", "default_pipeline",
		"final_pipeline", "gc_deletes", "load_fixed_bitset_filters_eagerly", "optimize_auto_generated_id", "shard.check_on_startup", "compound_format",
		"write.wait_for_active_shards", "soft_deletes.enabled", "soft_deletes.retention.operations", "soft_deletes.retention_lease.period", "force_memory_term_dictionary",
		"allocation.max_retries", "highlight.max_analyzed_offset", "query.default_field", "query.parse.allow_unmapped_fields", "query_string.lenient",
		"queries.cache.enabled", "requests.cache.enabled", "fielddata.cache", "warmer.enabled", "data_path", "flush_after_merge", "format",
		"mapping.total_fields.limit", "mapping.depth.limit", "mapping.nested_fields.limit", "mapping.nested_objects.limit", "mapping.field_name_length.limit",
		"mapping.coerce", "mapping.ignore_malformed", "blocks.read_only", "blocks.read_only_allow_delete", "blocks.write", "blocks.read", "blocks.metadata",
		"search.idle.after", "search.throttled", "sort.field", "sort.order", "sort.mode", "sort.missing", "store.type", "store.preload", "store.stats_refresh_interval", "store.fs.fs_lock",
		"analysis.", "similarity.", "routing.", "merge.", "translog.", "search.slowlog.", "indexing.slowlog.", "unassigned.", "analyze.",
	}
	openSearchSettings = []string{
		"replication.type", "knn", "knn.", "plugins.", "opendistro.", "remote_store.", "derived_source.enabled", "append_only.enabled", "codec.compression_level", "codec.qatmode",
		"search.concurrent_segment_search.enabled", "search.concurrent.", "composite_index.", "query.max_nested_depth", "search.default_pipeline",
		"searchable_snapshot.", "check_pending_flush.enabled", "merge_on_flush.", "fielddata.", "doc_id_fuzzy_set.", "optimize_doc_id_lookup.",
	}
	elasticsearchSettings = []string{
		"lifecycle.", "mode", "time_series.", "routing_path", "mapping.dimension_fields.limit", "mapping.source.", "look_ahead_time", "look_back_time", "xpack.", "bloom_filter_for_id_field.enabled", "fast_refresh", "mapping.field_name_length.ignore_dynamic_beyond_limit",
		"mapping.total_fields.ignore_dynamic_beyond_limit", "dense_vector.", "mapper.dynamic", "frozen", "verified_before_close",
	}
	privateSettings = []string{"index.version.created"} // others are unknown to who creates an index
	staticSettings  = []string{"index.codec", "index.sort.", "index.soft_deletes.enabled", "index.store.type", "index.replication.type", "index.analysis.", "index.similarity.", "index.shard.check_on_startup", "index.knn", "index.number_of_routing_shards", "index.routing_partition_size", "index.mode", "index.data_path"}
)

func known(name string, list []string) bool {
	return slices.ContainsFunc(list, func(k string) bool { return k == name || strings.HasSuffix(k, ".") && strings.HasPrefix(name, k) })
}

// settingsType is the error's that a setting is not known.
func (v Version) settingsType() string {
	if v.openSearch3() {
		return "settings_exception"
	}
	return "illegal_argument_exception"
}

func (s *Server) knowsSetting(name string) bool {
	own := elasticsearchSettings
	if s.version.OpenSearch {
		own = openSearchSettings
	}
	short := strings.TrimPrefix(name, "index.")
	if s.version.openSearch3() && short == "creation_date" {
		return true
	}
	return !slices.Contains(s.o.RefusedSettings, name) && (known(short, knownSettings) || known(short, own))
}

// checkSettings says what the server refuses of settings: unknown ones, private ones, values that cannot be.
func (s *Server) checkSettings(flat map[string]any, creating bool) *apiError {
	var unknown []*apiError
	var private []string
	for _, name := range slices.Sorted(maps.Keys(flat)) {
		switch {
		case slices.Contains(privateSettings, name):
			private = append(private, name)
		case !s.knowsSetting(name):
			unknown = append(unknown, &apiError{
				status: http.StatusBadRequest, typ: s.version.settingsType(),
				reason: "unknown setting [" + name + "] please check that any required plugins are installed, or check the breaking changes documentation for removed settings",
			})
		}
	}
	if len(unknown) > 0 {
		unknown[0].suppress = unknown[1:]
		return unknown[0]
	}
	if len(private) > 0 {
		var text strings.Builder
		for i, name := range private {
			fmt.Fprintf(&text, "%d: private index setting [%s] can not be set explicitly;", i+1, name)
		}
		return &apiError{status: http.StatusBadRequest, typ: "validation_exception", reason: "Validation Failed: " + text.String()}
	}
	codecs := []string{"default", "best_compression"}
	if s.version.OpenSearch {
		codecs = []string{"default", "lz4", "best_compression", "zlib", "zstd", "zstd_no_dict", "qat_lz4", "qat_deflate"}
	}
	if codec, ok := flat["index.codec"].(string); ok && creating && !slices.Contains(codecs, codec) {
		some := "default, lz4, best_compression, zlib"
		if s.version.es(7) {
			some = "default, best_compression"
		}
		return illegal("unknown value for [index.codec] must be one of [%s] but was: %s", some, codec)
	}
	if s.version.es(8) && flat["index.soft_deletes.enabled"] == "false" {
		return illegal("Creating indices with soft-deletes disabled is no longer supported. Please do not specify a value for setting [index.soft_deletes.enabled].")
	}
	for _, name := range []string{"index.refresh_interval", "index.gc_deletes", "index.translog.sync_interval"} {
		if text, ok := flat[name].(string); ok {
			if _, ok := duration(text); !ok {
				return illegal("failed to parse setting [%s] with value [%s] as a time value: unit is missing or unrecognized", name, text)
			}
		}
	}
	return nil
}

// flatten makes names with dots of settings; null is nil.
func flatten(o object, prefix string) map[string]any {
	flat := map[string]any{}
	for _, f := range o {
		name := prefix + f.name
		switch v := f.value.(type) {
		case object:
			maps.Copy(flat, flatten(v, name+"."))
			continue
		case []any:
			list := []any{}
			for _, e := range v {
				list = append(list, scalar(e))
			}
			flat[name] = list
			continue
		case nil:
			flat[name] = nil
			continue
		}
		flat[name] = scalar(f.value)
	}
	if prefix != "" {
		return flat
	}
	named := map[string]any{}
	for k, v := range flat {
		if !strings.HasPrefix(k, "index.") {
			k = "index." + k
		}
		named[k] = v
	}
	return named
}

// nest is the other way round.
func nest(flat map[string]any) map[string]any {
	root := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(flat)) {
		at, parts := root, strings.Split(name, ".")
		for i, p := range parts {
			below, isMap := at[p].(map[string]any)
			switch {
			case i == len(parts)-1:
				at[p] = flat[name]
			case at[p] == nil:
				below = map[string]any{}
				at[p] = below
			case !isMap: // a value and something below it
				at[strings.Join(parts[i:], ".")] = flat[name]
			}
			if below == nil {
				break
			}
			at = below
		}
	}
	return root
}

func settingsOf(flat map[string]any, c *call) any {
	if c.query.Get("flat_settings") == "true" {
		return flat
	}
	return nest(flat)
}

func (s *Server) getSettings(c *call) (int, any, *apiError) {
	wanted := c.param("name")
	return s.each(c, func(ix *index) object {
		flat := maps.Clone(ix.settings)
		if wanted != "" && wanted != "_all" {
			maps.DeleteFunc(flat, func(k string, _ any) bool {
				return !slices.ContainsFunc(strings.Split(wanted, ","), func(p string) bool { return matches(p, k) })
			})
		}
		return object{{"settings", settingsOf(flat, c)}}
	})
}

func (s *Server) putSettings(c *call) (int, any, *apiError) {
	body, err := s.body(c)
	if err != nil {
		return 0, nil, err
	}
	if inner, ok := body.get("settings").(object); ok && len(body) == 1 {
		body = inner
	}
	flat := flatten(body, "")
	found, err := s.named(c.param("index"), c)
	if err != nil {
		return 0, nil, err
	}
	if err := s.checkSettings(flat, false); err != nil {
		return 0, nil, err
	}
	for _, ix := range found {
		var static []string
		for _, name := range slices.Sorted(maps.Keys(flat)) {
			if name == "index.number_of_shards" || !ix.closed && known(name, staticSettings) {
				static = append(static, name)
			}
		}
		if len(static) > 0 && ix.closed {
			return 0, nil, illegal("final %s setting [%s], not updateable", ix.name, static[0])
		}
		if len(static) > 0 {
			hint := ""
			if s.version.es(8) {
				hint = " unless the `reopen` query parameter is set to true. Alternatively, close the indices, apply the settings changes, and reopen the indices"
			}
			return 0, nil, illegal("Can't update non dynamic settings [[%s]] for open indices [[%s/%s]]%s", strings.Join(static, ", "), ix.name, ix.uuid, hint)
		}
		if _, err := positive(flat, "index.number_of_replicas", 1, 0); err != nil {
			return 0, nil, err
		}
	}
	for _, ix := range found {
		for name, v := range flat {
			switch {
			case v != nil:
				ix.settings[name] = v
			case name == "index.number_of_replicas":
				ix.settings[name] = "1"
			default:
				delete(ix.settings, name)
			}
		}
		if flat["index.refresh_interval"] != nil {
			ix.refresh()
		}
	}
	return http.StatusOK, object{{"acknowledged", true}}, nil
}

var clusterPrefixes = []string{"cluster.", "indices.", "action.", "search.", "network.", "ingest.", "script.", "thread_pool.", "logger.", "snapshot.", "transport.", "discovery.", "plugins.", "xpack.", "persistent_tasks."}

// clusterDefaults are some of OpenSearch 2.19's.
var clusterDefaults = map[string]any{
	"cluster.max_shards_per_node": "1000", "indices.recovery.max_bytes_per_sec": "40mb", "cluster.routing.allocation.disk.threshold_enabled": "true",
	"cluster.routing.allocation.disk.watermark.low": "85%", "cluster.routing.allocation.disk.watermark.high": "90%", "cluster.routing.allocation.disk.watermark.flood_stage": "95%",
}

func (s *Server) clusterSettings(c *call) (int, any, *apiError) {
	answer := object{{"persistent", settingsOf(s.cluster["persistent"], c)}, {"transient", settingsOf(s.cluster["transient"], c)}}
	if c.query.Get("include_defaults") == "true" {
		answer = append(answer, field{"defaults", settingsOf(clusterDefaults, c)})
	}
	return http.StatusOK, answer, nil
}

func (s *Server) putClusterSettings(c *call) (int, any, *apiError) {
	body, err := s.body(c)
	if err != nil {
		return 0, nil, err
	}
	changed := map[string]map[string]any{"persistent": {}, "transient": {}}
	for _, f := range body {
		o, ok := f.value.(object)
		if !ok || changed[f.name] == nil {
			return 0, nil, illegal("[cluster_update_settings_request] unknown field [%s]", f.name)
		}
		for name, v := range flatten(o, "") {
			name = strings.TrimPrefix(name, "index.")
			if !known(name, clusterPrefixes) {
				e := illegal("%s setting [%s], not recognized", f.name, name)
				e.typ = s.version.settingsType()
				return 0, nil, e
			}
			changed[f.name][name] = v
		}
	}
	answer := object{{"acknowledged", true}}
	for _, kind := range []string{"persistent", "transient"} {
		for name, v := range changed[kind] {
			if v == nil {
				delete(s.cluster[kind], name)
			} else {
				s.cluster[kind][name] = v
			}
		}
		answer = append(answer, field{kind, settingsOf(changed[kind], c)})
	}
	return http.StatusOK, answer, nil
}

// setting is a cluster setting.
func (s *Server) setting(name string) string {
	for _, kind := range []string{"transient", "persistent"} {
		if v, ok := s.cluster[kind][name].(string); ok {
			return v
		}
	}
	return ""
}

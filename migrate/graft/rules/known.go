package rules

import "strings"

// settingsSince are the settings of an index that OpenSearch has, without "index.", by the first version that has them, of those
// that were asked; one that ends in a dot stands for all that begin so. They are kept to this day, but for settingsUntil.
// Source: IndexScopedSettings.BUILT_IN_INDEX_SETTINGS of OpenSearch 1.3.14, 2.0.0, 2.4.1, 2.9.0, 2.19.5, 3.0.0 and 3.8.0, and
// what metadata hold beside them (IndexMetadata). TestServersTakeWhatTheTablesSay asks again.
var settingsSince = []struct {
	from  Target
	names map[string]bool
}{
	{Target{1, 0}, set(`
		allocation.existing_shards_allocator allocation.max_retries analysis. analyze.max_token_count auto_expand_replicas
		blocks.metadata blocks.read blocks.read_only blocks.read_only_allow_delete blocks.write codec compound_format
		creation_date data_path default_pipeline fielddata.cache final_pipeline flush_after_merge
		force_memory_term_dictionary format gc_deletes hidden highlight.max_analyzed_offset history.uuid
		indexing.slowlog.level indexing.slowlog.reformat indexing.slowlog.source indexing.slowlog.threshold.index.debug
		indexing.slowlog.threshold.index.info indexing.slowlog.threshold.index.trace indexing.slowlog.threshold.index.warn
		load_fixed_bitset_filters_eagerly mapper.dynamic mapping.coerce mapping.depth.limit mapping.field_name_length.limit
		mapping.ignore_malformed mapping.nested_fields.limit mapping.nested_objects.limit mapping.total_fields.limit
		max_adjacency_matrix_filters max_docvalue_fields_search max_inner_result_window max_ngram_diff max_refresh_listeners
		max_regex_length max_rescore_window max_result_window max_script_fields max_shingle_diff max_slices_per_scroll
		max_terms_count merge.policy.deletes_pct_allowed merge.policy.expunge_deletes_allowed merge.policy.floor_segment
		merge.policy.max_merge_at_once merge.policy.max_merged_segment merge.policy.reclaim_deletes_weight
		merge.policy.segments_per_tier merge.scheduler.auto_throttle merge.scheduler.max_merge_count
		merge.scheduler.max_thread_count number_of_replicas number_of_routing_shards number_of_shards
		optimize_auto_generated_id priority provided_name queries.cache.enabled query.default_field
		query.parse.allow_unmapped_fields query_string.lenient recovery.type refresh_interval requests.cache.enable
		resize.source. routing.allocation.enable routing.allocation.exclude. routing.allocation.include.
		routing.allocation.initial_recovery. routing.allocation.require. routing.allocation.total_shards_per_node
		routing.rebalance.enable routing_partition_size search.idle.after search.slowlog.level
		search.slowlog.threshold.fetch.debug search.slowlog.threshold.fetch.info search.slowlog.threshold.fetch.trace
		search.slowlog.threshold.fetch.warn search.slowlog.threshold.query.debug search.slowlog.threshold.query.info
		search.slowlog.threshold.query.trace search.slowlog.threshold.query.warn search.throttled shard.check_on_startup
		shrink.source. similarity. soft_deletes.enabled soft_deletes.retention.operations
		soft_deletes.retention_lease.period sort.field sort.missing sort.mode sort.order split.source. store.fs.fs_lock
		store.preload store.stats_refresh_interval store.type translog.durability translog.flush_threshold_size
		translog.generation_threshold_size translog.retention.age translog.retention.size translog.sync_interval
		unassigned.node_left.delayed_timeout uuid verified_before_close version.created warmer.enabled
		write.wait_for_active_shards
	`)},
	{Target{2, 4}, set(`
		max_slices_per_pit merge_on_flush.enabled merge_on_flush.max_full_flush_merge_wait_time merge_on_flush.policy
	`)},
	{Target{2, 9}, set(`
		codec.compression_level remote_store.translog.buffer_interval replication.type search.default_pipeline
		searchable_snapshot.index.id searchable_snapshot.repository searchable_snapshot.snapshot_id.name
		searchable_snapshot.snapshot_id.uuid
	`)},
	{Target{2, 19}, set(`
		append_only.enabled check_pending_flush.enabled composite_index composite_index.star_tree.default.max_leaf_docs
		composite_index.star_tree.field.default.date_intervals composite_index.star_tree.field.default.metrics
		composite_index.star_tree.field.max_base_metrics composite_index.star_tree.field.max_date_intervals
		composite_index.star_tree.field.max_dimensions composite_index.star_tree.max_fields context.created_version
		context.current_version merge.log_byte_size_policy.max_merge_segment
		merge.log_byte_size_policy.max_merge_segment_forced_merge merge.log_byte_size_policy.max_merged_docs
		merge.log_byte_size_policy.merge_factor merge.log_byte_size_policy.min_merge merge.log_byte_size_policy.no_cfs_ratio
		merge.policy optimize_doc_id_lookup.fuzzy_set.enabled optimize_doc_id_lookup.fuzzy_set.false_positive_probability
		query.derived_field.enabled query.max_nested_depth remote_store.enabled remote_store.segment.repository
		remote_store.translog.keep_extra_gen remote_store.translog.repository search.concurrent.max_slice_count
		search.concurrent_segment_search.enabled search.concurrent_segment_search.mode searchable_snapshot.shard_path_type
		store.hybrid.nio.extensions unreferenced_file_cleanup.enabled use_compound_file
	`)},
	{Target{3, 0}, set(`
		auto_expand_search_replicas blocks.search_only ingestion_source.error_strategy
		ingestion_source.num_processor_threads ingestion_source.param. ingestion_source.pointer.init.reset
		ingestion_source.pointer.init.reset.value ingestion_source.poll.max_batch_size ingestion_source.poll.timeout
		ingestion_source.type number_of_search_replicas routing.allocation.total_primary_shards_per_node
	`)},
	{Target{3, 8}, set(`
		aggregation.streaming.min_segment_size auto_force_merge.enabled bulk.adaptive_shard_selection.enabled
		composite_store.type context_aware.enabled context_aware.max_retry_on_lookup_map_acquisition_exception
		derived_source.enabled derived_source.translog.enabled ingestion_source.all_active
		ingestion_source.internal_queue_size ingestion_source.mapper_settings. ingestion_source.mapper_type
		ingestion_source.pointer_based_lag_update_interval ingestion_source.warmup.lag_threshold
		ingestion_source.warmup.timeout mapping.dynamic_properties.lucene_field.limit
		merge.scheduler.max_force_merge_mb_per_sec number_of_virtual_shards periodic_flush_interval pluggable.dataformat
		pluggable.dataformat.enabled routing.allocation.total_remote_capable_primary_shards_per_node
		routing.allocation.total_remote_capable_shards_per_node search.star_tree_index.enabled
		segment_replication.publish_referenced_segments_interval store.data_locality store.factory
		tiered.storage.slowlog.enabled tiered.storage.slowlog.level tiered.storage.slowlog.threshold.fetch.debug
		tiered.storage.slowlog.threshold.fetch.info tiered.storage.slowlog.threshold.fetch.trace
		tiered.storage.slowlog.threshold.fetch.warn tiered.storage.slowlog.threshold.query.debug
		tiered.storage.slowlog.threshold.query.info tiered.storage.slowlog.threshold.query.trace
		tiered.storage.slowlog.threshold.query.warn tiering.state translog.read_forward warm
	`)},
}

// settingsUntil are those that a version no longer has.
var settingsUntil = map[string]Target{
	"merge.policy.max_merge_at_once_explicit": {2, 0},
	"store.hybrid.mmap.extensions":            {3, 0}, // and not before 2.4
}

// pluginSettings begin the settings of plugins that come with OpenSearch's release.
var pluginSettings = []string{"index.plugins.", "index.opendistro.", "index.knn", "index.opensearch."}

func set(names string) map[string]bool {
	m := make(map[string]bool)
	for n := range strings.FieldsSeq(names) {
		m[n] = true
	}
	return m
}

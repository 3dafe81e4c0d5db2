package rules

var asOpenSearch2 = []string{"created-as-opensearch-2: setting index.version.created"}

var judgedIndices = []judged{
	// Lucene.
	{name: "Elasticsearch 7 goes to OpenSearch 2 as it is", to: "2.19", created: es717, mapping: `{"properties":{"a":{"type":"keyword","ignore_above":256}}}`},
	{name: "Elasticsearch 7 goes to OpenSearch 1.3, which was tried", to: "1.3", created: es717},
	{name: "Elasticsearch 7.17 does not go to OpenSearch 1.2, which was not", to: "1.2", created: es717, refusals: []string{"lucene-newer: segment _0"}},
	{name: "Elasticsearch 6 goes to OpenSearch 1", to: "1.3", created: es68},
	{
		name: "Elasticsearch 6 does not go to OpenSearch 2", to: "2.19", created: es68,
		refusals: []string{"created-too-old: setting index.version.created", "lucene-older: segment _0"},
	},
	{name: "Elasticsearch 5 goes nowhere", to: "1.3", created: es5, refusals: []string{"created-too-old: setting index.version.created", "lucene-newer: segment _0", "codec: segment _0", "postings-format: segment _0", "doc-values-format: segment _0"}},
	{name: "Elasticsearch 8 becomes OpenSearch 2.0.0 for OpenSearch 2", to: "2.19", created: es84, changes: asOpenSearch2},
	{name: "Elasticsearch 8 becomes OpenSearch 2.0.0 for OpenSearch 3", to: "3.8", created: es84, changes: asOpenSearch2},
	{
		name: "Elasticsearch 8 does not go to OpenSearch 1", to: "1.3", created: es84,
		refusals: []string{"created-newer: setting index.version.created", "lucene-newer: segment _0", "codec: segment _0", "postings-format: segment _0", "doc-values-format: segment _0"},
	},
	{name: "Elasticsearch 9 goes nowhere", to: "3.8", created: es9, refusals: []string{"created-newer: setting index.version.created"}},
	{name: "what does not say who created it is refused", to: "3.8", created: "x", refusals: []string{"created-unknown: setting index.version.created"}},
	{name: "Lucene 9.3 does not go to OpenSearch 2.0", to: "2.0", created: es84, refusals: []string{"lucene-newer: segment _0", "codec: segment _0"}},
	{name: "a segment that does not say who wrote it is refused", to: "2.19", created: es717, segment: func(s *Segment) { s.Lucene = "" }, refusals: []string{"lucene-unknown: segment _0"}},
	{name: "a segment with documents of Lucene 7 is refused by Lucene 9", to: "2.19", created: es717, segment: func(s *Segment) { s.MinVersion = "7.7.3" }, refusals: []string{"lucene-older: segment _0"}},
	{name: "an index that Lucene 7 created is refused by Lucene 9, although merged", to: "2.19", created: es717, segment: func(s *Segment) { s.Created = 7 }, refusals: []string{"lucene-created: index"}},
	{name: "the codec of Elasticsearch 8.16 is refused", to: "2.19", created: es84, segment: func(s *Segment) { s.Codec = "Elasticsearch816" }, refusals: []string{"codec: segment _0"}},
	{name: "the bloom filter of _id is refused", to: "2.19", created: es84, segment: func(s *Segment) { s.Postings = []string{"ES87BloomFilter", "Lucene90"} }, refusals: []string{"postings-format: segment _0"}},
	{name: "the doc values of time series are refused", to: "2.19", created: es84, segment: func(s *Segment) { s.DocValues = []string{"ES87TSDB"} }, refusals: []string{"doc-values-format: segment _0"}},
	{name: "vectors of Elasticsearch 8.13 are refused", to: "2.19", created: es84, segment: func(s *Segment) { s.Vectors = []string{"ES813FlatVectorFormat"} }, refusals: []string{"vectors-format: segment _0"}},
	{name: "a segment that is sorted by something unknown is refused", to: "2.19", created: es84, segment: func(s *Segment) { s.Sort = []string{"BinarySortField"} }, refusals: []string{"sort-provider: segment _0"}},
	{name: "documents that count as several are refused", to: "2.19", created: es84, segment: func(s *Segment) { s.Fields = []Field{{Name: "_doc_count", Indexed: true}} }, refusals: []string{"doc-count-field: segment _0"}},

	// Versions.
	{
		name: "Elasticsearch 7 goes to OpenSearch 3 by two hops only", to: "3.8", created: es717,
		refusals: []string{"created-two-hop: setting index.version.created", "lucene-older: segment _0"},
	},
	{
		name: "two hops need segments that Lucene 9 wrote", to: "3.8", created: es717, twoHop: true,
		changes: []string{"created-two-hop: setting index.version.created"}, refusals: []string{"lucene-older: segment _0"},
	},
	{
		name: "Elasticsearch 7 goes to OpenSearch 3 after a merge by Lucene 9", to: "3.8", created: es717, twoHop: true,
		segment: func(s *Segment) { *s = lucene9(); s.MinVersion, s.Created = "8.11.1", 8 },
		changes: []string{"created-two-hop: setting index.version.created"},
	},
	{
		name: "nested documents of Elasticsearch 7 do not go to OpenSearch 3", to: "3.8", created: es717, twoHop: true,
		segment: func(s *Segment) { *s = lucene9(); s.MinVersion, s.Created = "8.11.1", 8 },
		mapping: `{"properties":{"a":{"properties":{"b":{"type":"nested"}}}}}`,
		changes: []string{"created-two-hop: setting index.version.created"}, refusals: []string{"nested-marker: field a.b"},
	},
	{name: "nested documents of Elasticsearch 7 go to OpenSearch 2", to: "2.19", created: es717, mapping: `{"properties":{"b":{"type":"nested","include_in_parent":true}}}`},
	{name: "nested documents of Elasticsearch 8 go to OpenSearch 3", to: "3.8", created: es84, mapping: `{"properties":{"b":{"type":"nested"}}}`, changes: asOpenSearch2},
	{name: "OpenSearch's own go to the next major version as they are", to: "3.8", created: os219, mapping: `{"properties":{"v":{"type":"knn_vector"}}}`},
	{name: "OpenSearch's own do not go back", to: "2.9", created: os219, refusals: []string{"created-newer: setting index.version.created"}},
	{name: "OpenSearch 3's do not go to OpenSearch 2", to: "2.19", created: os38, refusals: []string{"created-newer: setting index.version.created"}},
	{
		name: "nested documents of OpenSearch 1 do not go to OpenSearch 3", to: "3.8", created: os13, twoHop: true,
		segment: func(s *Segment) { *s = lucene9(); s.MinVersion, s.Created = "8.11.1", 8 },
		mapping: `{"properties":{"b":{"type":"nested"}}}`,
		changes: []string{"created-two-hop: setting index.version.created"}, refusals: []string{"nested-marker: field b"},
	},

	{
		name: "what OpenSearch snapshotted means what OpenSearch means", to: "3.8", created: es717, twoHop: true, openSearch: true,
		segment: func(s *Segment) { *s = lucene9(); s.MinVersion, s.Created = "8.11.1", 8 },
		mapping: `{"properties":{"w":{"type":"wildcard"},"k":{"type":"knn_vector"}}}`, setting: `"index.replication.type":"DOCUMENT"`,
		changes: []string{"created-two-hop: setting index.version.created"},
	},

	// Mappings as a whole.
	{name: "a custom type is renamed", to: "2.19", created: es717, types: `{"event":{"properties":{"a":{"type":"long"}}}}`, changes: []string{"mapping-type: mapping"}},
	{name: "several types are refused", to: "2.19", created: es717, types: `{"a":{},"b":{}}`, refusals: []string{"mapping-types: mapping"}},
	{name: "a mapping that is no object is refused", to: "2.19", created: es717, mapping: `{"properties":{"a":1}}`, refusals: []string{"mapping-shape: field a"}},
	{name: "an unknown parameter of the root is refused", to: "2.19", created: es717, mapping: `{"new":true}`, refusals: []string{"mapping-parameter: mapping new"}},
	{name: "an unknown metadata field is refused", to: "2.19", created: es717, mapping: `{"_new":{}}`, refusals: []string{"metadata-field: mapping _new"}},
	{
		name: "what OpenSearch says of its own accord is dropped", to: "2.19", created: es717, mapping: `{"_source":{"mode":"stored"},"_all":{"enabled":false},"_size":{"enabled":false},"date_detection":false}`,
		changes: []string{"metadata-field-parameter: mapping _source.mode", "metadata-field-parameter: mapping _all", "metadata-field-parameter: mapping _size"},
		becomes: `{"date_detection":false}`,
	},
	{name: "_source that is off stays off", to: "2.19", created: es717, mapping: `{"_source":{"mode":"disabled"}}`, changes: []string{"metadata-field-parameter: mapping _source.mode"}, becomes: `{"_source":{"enabled":false}}`},
	{name: "synthetic _source is refused", to: "2.19", created: es84, mapping: `{"_source":{"mode":"synthetic"}}`, refusals: []string{"source-synthetic: mapping _source.mode"}},
	{name: "sizes need their plugin", to: "2.19", created: es717, mapping: `{"_size":{"enabled":true}}`, plugins: []string{"mapper-size"}, shows: "size-field"},
	{
		name: "metadata fields that both have are kept", to: "2.19", created: es717,
		mapping: `{"_source":{"excludes":["a"]},"_routing":{"required":true},"_meta":{"x":{"y":1}},"_data_stream_timestamp":{"enabled":true},"_field_names":{"enabled":false},"dynamic":"strict","numeric_detection":true,"dynamic_date_formats":["yyyy"]}`,
	},
	{name: "dynamic runtime becomes true", to: "2.19", created: es717, mapping: `{"dynamic":"runtime"}`, changes: []string{"dynamic-runtime: mapping dynamic"}, becomes: `{"dynamic":true}`},
	{name: "an unknown value of dynamic is refused", to: "2.19", created: es717, mapping: `{"dynamic":"maybe"}`, refusals: []string{"dynamic-value: mapping dynamic"}},
	{name: "runtime fields are dropped", to: "2.19", created: es717, mapping: `{"runtime":{"d":{"type":"long","script":{"source":"emit(1)"}}}}`, changes: []string{"runtime-fields: runtime field d"}, becomes: `{}`},
	{
		name: "dotted names without objects are made objects of", to: "2.19", created: es84, mapping: `{"subobjects":false,"properties":{"a.b":{"type":"long"},"a.c":{"type":"long"}}}`,
		changes: []string{"subobjects: mapping subobjects"}, becomes: `{"properties":{"a.b":{"type":"long"},"a.c":{"type":"long"}}}`,
	},
	{name: "OpenSearch 3.8 has such objects itself", to: "3.8", created: es84, mapping: `{"properties":{"o":{"type":"object","subobjects":false,"properties":{"a":{"type":"long"},"a.c":{"type":"long"}}}}}`, changes: []string{"subobjects: field o: subobjects"}, becomes: `{"properties":{"o":{"type":"object","disable_objects":true,"properties":{"a":{"type":"long"},"a.c":{"type":"long"}}}}}`},
	{
		name: "a name that is a field and begins others is refused", to: "2.19", created: es84, mapping: `{"properties":{"o":{"subobjects":false,"properties":{"a":{"type":"long"},"a.b.c":{"type":"long"}}}}}`,
		changes: []string{"subobjects: field o: subobjects"}, refusals: []string{"subobjects-conflict: field o.a.b.c"},
	},
	{
		name: "dynamic templates get types that the target has", to: "2.19", created: es717,
		mapping: `{"dynamic_templates":[{"w":{"match":"w*","mapping":{"type":"wildcard"}}},{"v":{"match":"v*","mapping":{"type":"version"}}},{"f":{"path_match":"f.*","mapping":{"type":"flattened"}}},{"n":{"match":"*","mapping":{"type":"{dynamic_type}","doc_values":false}}}]}`,
		changes: []string{"fresh-type: dynamic template v, field ", "flattened: dynamic template f, field "},
		becomes: `{"dynamic_templates":[{"w":{"match":"w*","mapping":{"type":"wildcard"}}},{"v":{"match":"v*","mapping":{"type":"keyword"}}},{"f":{"path_match":"f.*","mapping":{"type":"flat_object"}}},{"n":{"match":"*","mapping":{"type":"{dynamic_type}","doc_values":false}}}]}`,
	},
	{
		name: "dynamic templates that OpenSearch cannot read are dropped", to: "2.19", created: es84,
		mapping: `{"dynamic_templates":[{"a":{"match":["x","y"],"mapping":{"type":"long"}}},{"b":{"match":"x","runtime":{}}},{"c":{"match":"x","mapping":{"type":"unheard-of"}}}]}`,
		changes: []string{"dynamic-template: dynamic template a", "dynamic-template: dynamic template b", "dynamic-template: dynamic template c"},
		becomes: `{"dynamic_templates":[]}`,
	},

	// Fields.
	{name: "an unknown type is refused", to: "2.19", created: es717, mapping: `{"properties":{"a":{"type":"unheard-of"}}}`, refusals: []string{"field-type: field a"}},
	{name: "an unknown type of a subfield is refused", to: "2.19", created: es717, mapping: `{"properties":{"a":{"type":"text","fields":{"b":{"type":"unheard-of"}}}}}`, refusals: []string{"field-type: field a.b"}},
	{name: "an unknown parameter is refused", to: "2.19", created: es717, mapping: `{"properties":{"a":{"type":"long","unheard-of":1}}}`, refusals: []string{"mapping-parameter: field a: unheard-of"}},
	{name: "plugins' types need their plugins", to: "2.19", created: es717, mapping: `{"properties":{"a":{"type":"murmur3"},"b":{"type":"annotated_text"}}}`, plugins: []string{"mapper-annotated-text", "mapper-murmur3"}, shows: "field-type-plugin"},
	{name: "percolators are refused", to: "2.19", created: es717, mapping: `{"properties":{"q":{"type":"percolator"},"c":{"type":"icu_collation_keyword"}}}`, refusals: []string{"field-type-opaque: field q", "field-type-opaque: field c"}},
	{
		name: "parameters that segments do not depend on are dropped", to: "2.19", created: es84,
		mapping: `{"properties":{"a":{"type":"keyword","time_series_dimension":true},"b":{"type":"long","time_series_metric":"gauge"},"c":{"type":"boolean","ignore_malformed":true},"d":{"type":"long","script":"emit(1)","on_script_error":"fail"}}}`,
		changes: []string{"field-parameter: field a: time_series_dimension", "field-parameter: field b: time_series_metric", "field-parameter: field c: ignore_malformed", "field-parameter: field d: script", "field-parameter: field d: on_script_error"},
		becomes: `{"properties":{"a":{"type":"keyword"},"b":{"type":"long"},"c":{"type":"boolean"},"d":{"type":"long"}}}`,
	},
	{
		name: "a range keeps ignore_malformed where it is known", to: "2.19", created: es84, mapping: `{"properties":{"a":{"type":"ip_range","ignore_malformed":true}}}`, changes: asOpenSearch2,
	},
	{name: "flattened becomes flat_object", to: "2.7", created: es717, mapping: `{"properties":{"a":{"type":"flattened","ignore_above":10}}}`, changes: []string{"flattened: field a"}, repairs: []string{"flattened: a"}, becomes: `{"properties":{"a":{"type":"flat_object"}}}`},
	{name: "before OpenSearch 2.7 flattened is not searched", to: "2.6", created: es717, mapping: `{"properties":{"a":{"type":"flattened"}}}`, changes: []string{"flattened-unsearchable: field a"}, becomes: `{"properties":{"a":{"type":"object","enabled":false}}}`},
	{name: "flattened without doc values contradicts flat_object in indices of Lucene 9", to: "2.19", created: es84, mapping: `{"properties":{"a":{"type":"flattened","doc_values":false}}}`, changes: []string{"flattened-unsearchable: field a"}, becomes: `{"properties":{"a":{"type":"object","enabled":false}}}`},
	{
		name: "a repair needs whole documents", to: "2.19", created: es717, mapping: `{"_source":{"excludes":["b"]},"properties":{"a":{"type":"flattened"}}}`,
		changes: []string{"flattened: field a"}, repairs: []string{"flattened: a"}, refusals: []string{"repair-needs-source: field a"},
	},
	{
		name: "what OpenSearch has nothing for stays in the documents", to: "3.8", created: es84,
		mapping: `{"properties":{"v":{"type":"dense_vector","dims":3,"index":true,"similarity":"cosine"},"h":{"type":"histogram"},"t":{"type":"text","copy_to":["v","o"]},"l":{"type":"alias","path":"h"},"o":{"type":"keyword"}}}`,
		changes: []string{"field-unsearchable: field v", "field-unsearchable: field h", "copy-to: field t: copy_to", "field-alias: field l"},
		becomes: `{"properties":{"v":{"type":"object","enabled":false},"h":{"type":"object","enabled":false},"t":{"type":"text","copy_to":["o"]},"o":{"type":"keyword"}}}`,
	},
	{
		name: "a wildcard is searched by a subfield of its own", to: "2.19", created: es717, mapping: `{"properties":{"w":{"type":"wildcard","null_value":"-","ignore_above":100,"fields":{"t":{"type":"text"}}},"l":{"type":"alias","path":"w"}}}`,
		changes: []string{"shadowed: field w", "field-alias: field l"}, repairs: []string{"shadowed: w.wildcard"},
		becomes: `{"properties":{"w":{"type":"keyword","index":false,"doc_values":false,"fields":{"t":{"type":"text"},"wildcard":{"type":"wildcard","null_value":"-","ignore_above":100,"meta":{"grafted_from":"wildcard"}}}},"l":{"type":"alias","path":"w.wildcard"}}}`,
	},
	{
		name: "versions and unsigned numbers too", to: "2.4", created: es717, mapping: `{"properties":{"v":{"type":"version","fields":{"keyword":{"type":"keyword"}}},"u":{"type":"unsigned_long"}}}`,
		changes: []string{"shadowed: field v", "shadowed: field u"}, repairs: []string{"shadowed: v.keyword_2", "shadowed: u.keyword"},
		becomes: `{"properties":{"v":{"type":"keyword","index":false,"doc_values":false,"fields":{"keyword":{"type":"keyword"},"keyword_2":{"type":"keyword","ignore_above":8191,"meta":{"grafted_from":"version"}}}},"u":{"type":"keyword","index":false,"doc_values":false,"fields":{"keyword":{"type":"keyword","ignore_above":8191,"meta":{"grafted_from":"unsigned_long"}}}}}}`,
	},
	{
		name: "a subfield gets another name", to: "2.19", created: es717, mapping: `{"properties":{"a":{"type":"text","fields":{"w":{"type":"wildcard"},"h":{"type":"histogram"},"f":{"type":"flattened"}}}}}`,
		changes: []string{"shadowed: field a.w", "field-unsearchable: field a.h", "flattened-unsearchable: field a.f"}, repairs: []string{"shadowed: a.w_wildcard"},
		becomes: `{"properties":{"a":{"type":"text","fields":{"w_wildcard":{"type":"wildcard","meta":{"grafted_from":"wildcard"}}}}}}`,
	},
	{
		name: "a wildcard that no document has keeps its type", to: "2.19", created: es717, mapping: `{"properties":{"w":{"type":"wildcard"}}}`,
		segment: func(s *Segment) { s.Fields = []Field{{Name: "_id", Indexed: true}} },
	},
	{name: "constant_keyword has its value in the mapping", to: "2.14", created: es717, mapping: `{"properties":{"c":{"type":"constant_keyword","value":"x"}}}`},
	{name: "which older versions do not read", to: "2.13", created: es717, mapping: `{"properties":{"c":{"type":"constant_keyword","value":"x"}}}`, refusals: []string{"constant-keyword: field c"}},
	{name: "without a value it is a keyword", to: "2.19", created: es717, mapping: `{"properties":{"c":{"type":"constant_keyword"}}}`, changes: []string{"constant-keyword-empty: field c"}, becomes: `{"properties":{"c":{"type":"keyword"}}}`},
	{name: "match_only_text is text without positions", to: "2.11", created: es717, mapping: `{"properties":{"m":{"type":"match_only_text"}}}`, changes: []string{"match-only-text: field m"}, becomes: `{"properties":{"m":{"type":"text","index_options":"docs","norms":false}}}`},
	{name: "until OpenSearch has it", to: "2.12", created: es717, mapping: `{"properties":{"m":{"type":"match_only_text"}}}`},
	{name: "shapes with Elasticsearch's doc values are refused by Lucene 9", to: "2.19", created: es84, mapping: `{"properties":{"g":{"type":"geo_shape"}}}`, refusals: []string{"geo-shape-doc-values: field g"}},
	{
		name: "shapes without are taken", to: "2.19", created: es84, mapping: `{"properties":{"g":{"type":"geo_shape","orientation":"left"}}}`,
		segment: func(s *Segment) { s.Fields = []Field{{Name: "g", Points: true}} }, changes: asOpenSearch2,
	},
	{name: "shapes of Elasticsearch 7 are taken without doc values", to: "2.19", created: es717, mapping: `{"properties":{"g":{"type":"geo_shape","doc_values":true}}}`, changes: []string{"field-parameter: field g: doc_values"}, becomes: `{"properties":{"g":{"type":"geo_shape"}}}`},
	{name: "prefix trees are refused", to: "2.19", created: es717, mapping: `{"properties":{"g":{"type":"geo_shape","strategy":"recursive"}}}`, refusals: []string{"geo-shape-strategy: field g: strategy"}},
	{name: "features that count against are refused where not known", to: "2.0", created: es717, mapping: `{"properties":{"r":{"type":"rank_features","positive_score_impact":false}}}`, refusals: []string{"rank-features-impact: field r"}},
	{
		name: "a field whose Lucene field the target makes otherwise is refused", to: "2.19", created: es84, mapping: `{"properties":{"k":{"type":"keyword"}}}`,
		segment:  func(s *Segment) { s.Fields = []Field{{Name: "k", Indexed: true, DocValues: "BINARY"}} },
		refusals: []string{"schema: field k"},
	},
	{
		name: "types that both have are kept", to: "1.3", created: es717,
		mapping: `{"properties":{"t":{"type":"text","analyzer":"english","index_prefixes":{"min_chars":2}},"d":{"type":"date","format":"epoch_millis"},"n":{"type":"date_nanos"},"i":{"type":"ip"},"r":{"type":"date_range"},"j":{"type":"join","relations":{"q":"a"}},"c":{"type":"completion"},"s":{"type":"search_as_you_type"},"f":{"type":"rank_feature"},"g":{"type":"geo_point"},"b":{"type":"binary"},"o":{"enabled":false},"l":{"type":"alias","path":"t"}}}`,
	},

	// Settings.
	{name: "an unknown setting is refused", to: "2.19", created: es717, setting: `"index.unheard-of":"1"`, refusals: []string{"setting-unknown: setting index.unheard-of"}},
	{
		name: "what an index can do without is dropped", to: "2.19", created: es84,
		setting: `"index.lifecycle.name":"p","index.routing.allocation.include._tier_preference":"data_hot","index.bloom_filter_for_id_field.enabled":"false","index.mode":"standard","index.data_path":"/d","index.store.type":"simplefs"`,
		changes: []string{"setting-lifecycle: setting index.lifecycle.name", "setting-tier: setting index.routing.allocation.include._tier_preference", "setting-dropped: setting index.bloom_filter_for_id_field.enabled", "setting-dropped: setting index.mode", "data-path: setting index.data_path", "store-type: setting index.store.type"},
	},
	{name: "settings that both have are kept", to: "2.19", created: es717, setting: `"index.number_of_replicas":"1","index.hidden":"true","index.priority":"5","index.codec":"best_compression","index.routing.allocation.require.box":"hot","index.provided_name":"i","index.uuid":"u"`},
	{name: "time series are refused", to: "2.19", created: es84, setting: `"index.mode":"time_series","index.routing_path":["a"]`, refusals: []string{"index-mode: setting index.mode", "index-mode: setting index.routing_path"}},
	{name: "synthetic source by a setting is refused", to: "2.19", created: es84, setting: `"index.mapping.source.mode":"SYNTHETIC"`, refusals: []string{"source-mode-setting: setting index.mapping.source.mode"}},
	{name: "mounted snapshots are refused", to: "2.19", created: es717, setting: `"index.store.type":"snapshot","index.store.snapshot.index_name":"i"`, refusals: []string{"searchable-snapshot: setting index.store.type", "searchable-snapshot: setting index.store.snapshot.index_name"}},
	{name: "frozen indices are refused", to: "2.19", created: es717, setting: `"index.frozen":"true"`, refusals: []string{"frozen: setting index.frozen"}},
	{name: "following indices are refused", to: "2.19", created: es717, setting: `"index.xpack.ccr.following_index":"true"`, refusals: []string{"follower: setting index.xpack.ccr.following_index"}},
	{name: "an unknown codec is refused", to: "2.19", created: es717, setting: `"index.codec":"zstd"`, refusals: []string{"codec-setting: setting index.codec"}},
	{
		name: "an index sorted by what has changed is refused", to: "2.19", created: es717, setting: `"index.sort.field":["v"]`, mapping: `{"properties":{"v":{"type":"version"}}}`,
		changes: []string{"shadowed: field v"}, repairs: []string{"shadowed: v.keyword"}, refusals: []string{"sort-field: setting index.sort.field"},
	},
	{name: "a sorted index with nested documents is refused", to: "2.19", created: es717, setting: `"index.sort.field":"a"`, mapping: `{"properties":{"a":{"type":"long"},"n":{"type":"nested"}}}`, refusals: []string{"sort-nested: setting index.sort.field"}},

	// Analysis.
	{
		name: "analysis that both have is kept", to: "2.19", created: es717, mapping: `{"properties":{"t":{"type":"text","analyzer":"a","search_analyzer":"standard"},"k":{"type":"keyword","normalizer":"n"}}}`,
		setting: `"index.analysis.analyzer.a.tokenizer":"standard","index.analysis.analyzer.a.filter":["lowercase","f"],"index.analysis.filter.f.type":"stemmer","index.analysis.filter.f.language":"light_german","index.analysis.normalizer.n.filter":["asciifolding"],"index.similarity.s.type":"BM25"`,
	},
	{name: "plugins' analysis needs the plugins", to: "2.19", created: es717, setting: `"index.analysis.analyzer.a.type":"icu_analyzer","index.analysis.analyzer.b.tokenizer":"nori_tokenizer"`, plugins: []string{"analysis-icu", "analysis-nori"}, shows: "analysis-plugin"},
	{name: "an unknown filter is refused", to: "2.19", created: es717, setting: `"index.analysis.filter.f.type":"unheard-of"`, refusals: []string{"analysis-type: filter f"}},
	{name: "an analyzer that is not defined is refused", to: "2.19", created: es717, mapping: `{"properties":{"t":{"type":"text","analyzer":"a"}}}`, refusals: []string{"analysis-name: field t: analyzer"}},
	{name: "files must be on every node", to: "2.19", created: es717, setting: `"index.analysis.filter.f.type":"synonym","index.analysis.filter.f.synonyms_path":"a.txt"`, changes: []string{"analysis-file: filter f: synonyms_path"}},
	{name: "sets of synonyms are refused", to: "2.19", created: es84, setting: `"index.analysis.filter.f.type":"synonym_graph","index.analysis.filter.f.synonyms_set":"s"`, refusals: []string{"analysis-synonyms-set: filter f"}},
	{name: "an unknown stemmer is refused", to: "2.19", created: es84, setting: `"index.analysis.filter.f.type":"stemmer","index.analysis.filter.f.language":"klingon"`, refusals: []string{"analysis-stemmer: filter f"}},
	{name: "an unknown similarity is refused", to: "2.19", created: es84, setting: `"index.similarity.s.type":"unheard-of"`, refusals: []string{"similarity-type: similarity s"}},

	// Metadata.
	{name: "notes of Elasticsearch's are dropped", to: "2.19", created: es717, body: `"timestamp_range":{"unknown":true},"state":"open","ilm":{"phase":"hot"}`, changes: []string{"index-key-dropped: metadata timestamp_range", "index-key-dropped: metadata ilm"}},
	{name: "unknown metadata are refused", to: "2.19", created: es717, body: `"unheard-of":1`, refusals: []string{"index-key-unknown: metadata unheard-of"}},
	{name: "settings that are no object are refused", to: "2.19", created: es717, body: `"settings":1`, refusals: []string{"index-shape: settings"}},
}

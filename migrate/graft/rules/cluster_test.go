package rules

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A judgedCluster is a cluster's metadata and what becomes of them.
type judgedCluster struct {
	name    string
	to      string
	meta    string
	changes []string
	plugins []string
	becomes string
}

var judgedClusters = []judgedCluster{
	{
		name: "what Elasticsearch keeps for itself is dropped", to: "2.19",
		meta:    `{"version":1,"cluster_uuid":"u","index_lifecycle":{"policies":{}},"persistent_tasks":{},"reserved_state":{},"settings":{"search.max_buckets":"10","xpack.monitoring.enabled":"true","cluster.routing.allocation.exclude._name":"n1"}}`,
		changes: []string{"cluster-part: cluster index_lifecycle", "cluster-part: cluster persistent_tasks", "cluster-part: cluster reserved_state", "cluster-setting: cluster setting xpack.monitoring.enabled", "cluster-setting: cluster setting cluster.routing.allocation.exclude._name"},
		becomes: `{"version":1,"cluster_uuid":"u","settings":{"search.max_buckets":"10"}}`,
	},
	{
		name: "templates are rewritten by the rules for indices", to: "2.19",
		meta: `{"templates":{"l":{"order":1,"index_patterns":["l-*"],"settings":{"index":{"lifecycle":{"name":"p"},"number_of_shards":"2"}},"mappings":[{"log":{"properties":{"a":{"type":"flattened"},"w":{"type":"wildcard"},"v":{"type":"version"}}}}],"aliases":{}}},` +
			`"component_template":{"component_template":{"c":{"template":{"settings":{"index":{"mode":"time_series"}}}},"d":{"template":{"mappings":{"properties":{"x":{"type":"dense_vector","dims":3}}},"lifecycle":{}},"version":1,"deprecated":true},"m":{"template":{},"_meta":{"managed":true}}}},` +
			`"index_template":{"index_template":{"t":{"index_patterns":["t-*"],"composed_of":["c"]},"u":{"index_patterns":["u-*"],"composed_of":["d","gone"],"ignore_missing_component_templates":["gone"],"data_stream":{"hidden":false,"allow_custom_routing":false},"template":{"mappings":{"_doc":{"dynamic":"runtime"}}}}}}}`,
		changes: []string{
			"template-refused: component template c", "template-key: component template d: deprecated", "template-key: component template d: lifecycle",
			"field-unsearchable: component template d, field x", "template-managed: component template m",
			"setting-lifecycle: template l, setting index.lifecycle.name", "mapping-type: template l", "flattened: template l, field a", "fresh-type: template l, field v",
			"template-component: index template t", "template-key: index template u: ignore_missing_component_templates", "template-key: index template u: composed_of",
			"template-key: index template u, data_stream: hidden", "template-key: index template u, data_stream: allow_custom_routing", "dynamic-runtime: index template u, mapping dynamic",
		},
		becomes: `{"templates":{"l":{"order":1,"index_patterns":["l-*"],"settings":{"index.number_of_shards":"2"},"mappings":[{"_doc":{"properties":{"a":{"type":"flat_object"},"w":{"type":"wildcard"},"v":{"type":"keyword"}}}}],"aliases":{}}},` +
			`"component_template":{"component_template":{"d":{"template":{"mappings":{"properties":{"x":{"type":"object","enabled":false}}}},"version":1}}},` +
			`"index_template":{"index_template":{"u":{"index_patterns":["u-*"],"composed_of":["d"],"data_stream":{},"template":{"mappings":{"_doc":{"dynamic":true}}}}}}}`,
	},
	{
		name: "data streams keep what OpenSearch reads", to: "2.19",
		meta:    `{"data_stream":{"data_stream":{"s":{"name":"s","timestamp_field":{"name":"@timestamp"},"indices":[],"generation":2,"hidden":false}},"data_stream_aliases":{"a":{"name":"a"}}}}`,
		changes: []string{"data-stream-aliases: data stream alias a", "data-stream-key: data stream s: hidden"},
		becomes: `{"data_stream":{"data_stream":{"s":{"name":"s","timestamp_field":{"name":"@timestamp"},"indices":[],"generation":2}}}}`,
	},
	{
		name: "pipelines with what OpenSearch does not have are dropped", to: "2.19",
		meta: `{"ingest":{"pipeline":[{"id":"a","config":{"description":"d","processors":[{"set":{"field":"x","value":1,"tag":"t"}},{"foreach":{"field":"l","processor":{"attachment":{"field":"f"}}}}],"_meta":{}}},` +
			`{"id":"b","config":{"processors":[{"enrich":{"policy_name":"p"}}]}},{"id":"c","config":{"processors":[{"set":{"field":"x","copy_from":"y"}}]}},{"id":"d","config":{"processors":[{"drop":{"on_failure":[{"inference":{}}]}}]}},{"id":"e","config":{"processors":[],"_meta":{"managed":true}}}]}}`,
		changes: []string{"pipeline-key: pipeline a: _meta", "pipeline-processor: pipeline b", "pipeline-processor: pipeline c", "pipeline-processor: pipeline d", "template-managed: pipeline e"},
		plugins: []string{"ingest-attachment"},
		becomes: `{"ingest":{"pipeline":[{"id":"a","config":{"description":"d","processors":[{"set":{"field":"x","value":1,"tag":"t"}},{"foreach":{"field":"l","processor":{"attachment":{"field":"f"}}}}]}}]}}`,
	},
	{
		name: "scripts in other languages are dropped", to: "2.19",
		meta:    `{"stored_scripts":{"a":{"lang":"painless","source":"1"},"b":{"lang":"js","source":"1"}}}`,
		changes: []string{"stored-script: stored script b"}, becomes: `{"stored_scripts":{"a":{"lang":"painless","source":"1"}}}`,
	},
}

func TestClusterMetadataAreRewrittenAndNeverRefused(t *testing.T) {
	for _, j := range judgedClusters {
		t.Run(strings.ReplaceAll(j.name, " ", "_"), func(t *testing.T) {
			o := parse(t, j.meta)
			v := target(t, j.to).Cluster(&o)
			changes, _, refusals := said(v)
			if diff := cmp.Diff(j.changes, changes); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(j.plugins, v.Plugins); diff != "" || len(refusals) > 0 {
				t.Errorf("%s, refused: %v", diff, refusals)
			}
			if diff := cmp.Diff(text(t, parse(t, j.becomes)), text(t, o)); diff != "" {
				t.Errorf("metadata (-want +got):\n%s", diff)
			}
			if again := target(t, j.to).Cluster(&o); len(again.Changes) > 0 {
				t.Errorf("changed again: %v", again.Changes)
			}
		})
	}
}

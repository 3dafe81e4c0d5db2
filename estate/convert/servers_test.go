//go:build servers

package convert_test

import (
	"testing"

	"github.com/narudata/naru/internal/testbed"
)

// A real cluster: what it has is converted, adopted without a change, and still what it was.
func TestServersBecomeFilesThatChangeNothing(t *testing.T) {
	for _, name := range testbed.Asked("os219", "os3") {
		t.Run(name, func(t *testing.T) {
			ok, missing := testbed.CanStart(t, name)
			testbed.Need(t, ok, missing)
			c := clusterAt(t, testbed.Start(t, name, testbed.Options{}).URL)
			c.send("PUT", "/_component_template/common", `{"version": 2, "_meta": {"a": [1]}, "template": {"settings": {"number_of_replicas": 0, "index.refresh_interval": "30s"}, "mappings": {"dynamic": false, "properties": {"trace": {"properties": {"id": {"type": "keyword", "index": true}}}, "m": {"type": "text", "norms": true}}}, "aliases": {"made": {"routing": 7}}}}`)
			c.send("PUT", "/_index_template/web", `{"index_patterns": "web-*", "priority": 7, "composed_of": ["common"], "data_stream": {}, "template": {"settings": {"index": {"sort": {"field": ["m2", "n"]}, "number_of_shards": 2}}, "mappings": {"properties": {"m2": {"type": "keyword"}, "n": {"type": "long"}}}}}`)
			c.send("PUT", "/_index_template/plain", `{"index_patterns": ["a-*", "b-*"], "template": {"aliases": {"all": {"filter": {"bool": {"must": {"term": {"a": {"value": "b"}}}}}, "is_write_index": false}}}}`)
			c.send("PUT", "/_ingest/pipeline/web", `{"description": "web ${not_a_variable}", "version": 4, "processors": [{"grok": {"field": "m", "patterns": ["%{WORD:w} %{NUMBER:n}"]}}, {"script": {"source": "ctx.a = 'b';\nctx.c = 1.0"}}], "on_failure": [{"set": {"field": "e", "value": "{{_ingest.on_failure_message}}"}}]}`)
			c.send("PUT", "/_cluster/settings", `{"persistent": {"cluster": {"max_shards_per_node": 1500, "routing.allocation.awareness.force.zone.values": ["a", "b"]}, "action.auto_create_index": "+a*,-*"}, "transient": {"search.default_search_timeout": "10m"}}`)
			c.send("PUT", "/_cluster/settings", `{"persistent": {"action.auto_create_index": null}}`)
			c.send("PUT", "/logs-1", `{"aliases": {"logs": {"filter": {"term": {"a": 1}}, "routing": "r"}, "rolling": {"is_write_index": true}}}`)
			c.send("PUT", "/logs-2", `{"aliases": {"logs": {}}}`)
			c.send("PUT", "/a-1", `{}`)
			c.send("PUT", "/_data_stream/web-stream", "")
			r := c.live()
			wants(t, keys(r), "cluster-settings/cluster", "ingest-pipelines/web", "component-templates/common", "index-templates/plain", "index-templates/web", "aliases/logs")
			c.adopts(r)
			wants(t, keys(c.live()), keys(r)...)
		})
	}
}

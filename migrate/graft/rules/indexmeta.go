package rules

import (
	"fmt"

	"github.com/narudata/naru/format/tree"
)

var indexRules = []Rule{
	{"index-key-dropped", "What Elasticsearch notes of an index and OpenSearch does not know is dropped", "OpenSearch refuses some of it, and uses none."},
	{"index-key-unknown", "An index with metadata that are on no list is refused", "What they mean is not known."},
	{"index-shape", "An index whose metadata are not of the form that they should have is refused", "They cannot be judged."},
}

// indexKeys are the keys of an index's metadata that OpenSearch reads. Source: IndexMetadata.Builder.fromXContent of OpenSearch
// 1.3.14, 2.19.5 and 3.8.0.
var indexKeys = []struct {
	from  Target
	names map[string]bool
}{
	{always, set("version mapping_version settings_version aliases_version routing_num_shards state settings mappings aliases primary_terms in_sync_allocations rollover_info system")},
	{Target{2, 19}, set("context")},
	{Target{3, 8}, set("split_shards_metadata ingestion_status primary_terms_map")},
}

// droppedKeys are those of Elasticsearch's, and why they are not needed.
var droppedKeys = map[string]string{
	"timestamp_range":              "it is computed from the data",
	"event_ingested_range":         "it is computed from the data",
	"stats":                        "it foretells the load of writing",
	"write_load_forecast":          "it foretells the load of writing",
	"shard_size_forecast":          "it foretells the size of shards",
	"shard_size_in_bytes_forecast": "it foretells the size of shards",
	"mappings_updated_version":     "it says which version wrote the mapping last",
	"ilm":                          "it says how far a lifecycle policy has got, and policies are not carried over",
	"lifecycle":                    "it says how far a lifecycle policy has got, and policies are not carried over",
	"rollup":                       "it says what the index was made from",
	"rollup_v2":                    "it says what the index was made from",
	"inference_fields":             "OpenSearch has no such fields",
	"warmers":                      "there have been none since Elasticsearch 5",
	"mapping_hash":                 "OpenSearch keeps mappings whole",
	"transport_version":            "it belongs to Elasticsearch's cluster",
}

// body judges and rewrites the keys of an index's metadata.
func (t Target) body(i *Index, c created, v *Verdict) {
	if i.Body == nil || c.native {
		return
	}
	out := make(tree.Object, 0, len(*i.Body))
	for _, m := range *i.Body {
		if t.indexKey(m.Name) {
			out = append(out, m)
			continue
		}
		if why, ok := droppedKeys[m.Name]; ok {
			v.change("index-key-dropped", "metadata "+m.Name, "dropped", why)
			continue
		}
		if m.Name == "ccr" {
			v.refuse("follower", "metadata "+m.Name, "the index follows another", "in the source: pause, close and unfollow it (POST INDEX/_ccr/unfollow), and snapshot it again")
		} else {
			v.refuse("index-key-unknown", "metadata "+m.Name, fmt.Sprintf("OpenSearch %s does not know it, and what it means is not known", t), "")
		}
		out = append(out, m)
	}
	*i.Body = out
}

func (t Target) indexKey(name string) bool {
	for _, k := range indexKeys {
		if t.since(k.from.Major, k.from.Minor) && k.names[name] {
			return true
		}
	}
	return false
}

package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/narudata/naru/format/tree"
)

var settingRules = []Rule{
	{"setting-unknown", "A setting that is on no list is refused", "What it means to the segments is not known."},
	{"setting-dropped", "A setting of Elasticsearch's that the index can do without is dropped", "The target would keep it as an archived setting, which forbids changes of others until it is removed."},
	{"setting-lifecycle", "index.lifecycle.* is dropped", "Lifecycle policies are not carried over: OpenSearch has others, of a plugin."},
	{"setting-tier", "Allocation to data tiers is dropped", "OpenSearch's nodes have no tiers of these names; with the setting no shard would be allocated."},
	{"index-mode", "An index of time series or logsdb is refused", "Its documents are not stored as they were sent, and its formats are Elasticsearch's."},
	{"searchable-snapshot", "An index that is mounted from a snapshot is refused", "Its data are in another repository."},
	{"frozen", "A frozen index is refused", "OpenSearch does not have that state."},
	{"follower", "A following index of cross-cluster replication is refused", "It has an engine of its own, which waits for its leader."},
	{"codec-setting", "A codec that the target does not have by name is refused", "Lucene would not write a segment."},
	{"store-type", "A kind of store that the target does not have is dropped", "The target chooses one."},
	{"sort-field", "An index that is sorted by a field of another type than before is refused", "Segments are sorted by what Elasticsearch put into the field."},
	{"sort-nested", "A sorted index with nested fields is refused", "OpenSearch does not sort them."},
	{"data-path", "index.data_path is dropped", "It is a folder of the source's machines."},
	{"source-mode-setting", "index.mapping.source.mode other than stored is refused", "Documents are not stored."},
}

// droppedSettings are settings of Elasticsearch's that OpenSearch does not know, and what is lost; one that ends in a dot
// stands for all that begin so.
var droppedSettings = []struct{ name, rule, why string }{
	{"index.lifecycle.", "setting-lifecycle", "lifecycle policies are not carried over"},
	{"index.bloom_filter_for_id_field.enabled", "setting-dropped", "OpenSearch has no such filter"},
	{"index.version.upgraded", "setting-dropped", "it says which version of Elasticsearch opened the index last"},
	{"index.version.compatibility", "setting-dropped", "it belongs to Elasticsearch's archive indices"},
	{"index.version.minimum_compatible", "setting-dropped", "it says which Lucene wrote the oldest segment, which the segments say themselves"},
	{"index.shard_limit.group", "setting-dropped", "OpenSearch counts all shards alike"},
	{"index.mapping.dimension_fields.limit", "setting-dropped", "it limits dimensions of time series"},
	{"index.mapping.total_fields.ignore_dynamic_beyond_limit", "setting-dropped", "later documents with too many new fields are rejected, which Elasticsearch took without them"},
	{"index.mapping.nested_parents.limit", "setting-dropped", "OpenSearch does not limit it"},
	{"index.mapping.synthetic_source_keep", "setting-dropped", "it matters to documents that are not stored only"},
	{"index.mapping.single_type", "setting-dropped", "it is so anyway"},
	{"index.highlight.weight_matches_mode.enabled", "setting-dropped", "OpenSearch highlights without this mode"},
	{"index.merge.policy.type", "setting-dropped", "OpenSearch merges by its own policy"},
	{"index.merge.policy.merge_factor", "setting-dropped", "OpenSearch merges by its own policy"},
	{"index.merge.policy.max_merge_at_once_explicit", "setting-dropped", "Lucene 9 has no such limit"},
	{"index.merge.policy.min_merge", "setting-dropped", "OpenSearch merges by its own policy"},
	{"index.translog.flush_threshold_age", "setting-dropped", "OpenSearch does not know it"},
	{"index.translog.retention.check_interval", "setting-dropped", "OpenSearch does not know it"},
	{"index.routing.allocation.disk.watermark.ignore", "setting-dropped", "OpenSearch does not know it"},
	{"index.fast_refresh", "setting-dropped", "OpenSearch does not know it"},
	{"index.rollup.", "setting-dropped", "it says what the index was made from"},
	{"index.downsample.", "setting-dropped", "it says what the index was made from"},
	{"index.search.slowlog.include.user", "setting-dropped", "slow logs of OpenSearch do not name users"},
	{"index.indexing.slowlog.include.user", "setting-dropped", "slow logs of OpenSearch do not name users"},
	{"index.xpack.version", "setting-dropped", "it belongs to a system index of Elasticsearch's"},
	{"index.xpack.watcher.", "setting-dropped", "it belongs to Elasticsearch's watcher"},
	{"index.look_ahead_time", "setting-dropped", "it matters to time series only"},
	{"index.look_back_time", "setting-dropped", "it matters to time series only"},
	{"index.time_series.es87tsdb_codec.enabled", "setting-dropped", "it matters to time series only"},
	{"index.prefer_ilm", "setting-lifecycle", "lifecycle policies are not carried over"},
	{"index.store.hybrid.mmap.extensions", "setting-dropped", "the target chooses which files it maps"},
	{"index.routing_path_hash", "setting-dropped", "it matters to time series only"},
	{"index.max_slices_per_pit", "setting-dropped", "the target does not know it"},
	{"index.write.wait_for_completed_shards", "setting-dropped", "the target does not know it"},
}

// refusedSettings are settings of Elasticsearch's that tell of what OpenSearch cannot open.
var refusedSettings = []struct{ name, rule, why, way string }{
	{"index.routing_path", "index-mode", "it is a time series", ""},
	{"index.dimensions", "index-mode", "it is a time series", ""},
	{"index.time_series.", "index-mode", "it is a time series", ""},
	{"index.store.snapshot.", "searchable-snapshot", "it is mounted from a snapshot", "graft the snapshot that it is mounted from"},
	{"index.frozen", "frozen", "the index is frozen", "in the source: POST INDEX/_unfreeze, and snapshot it again"},
	{"index.xpack.ccr.", "follower", "the index follows another", "in the source: pause, close and unfollow it (POST INDEX/_ccr/unfollow), and snapshot it again"},
}

func matches(pattern, name string) bool {
	return pattern == name || strings.HasSuffix(pattern, ".") && strings.HasPrefix(name, pattern)
}

// knows reports whether a target has a setting.
func (t Target) knows(name string) bool {
	short, ok := strings.CutPrefix(name, "index.")
	if !ok {
		return false
	}
	if until, ok := settingsUntil[short]; ok && t.since(until.Major, until.Minor) {
		return false
	}
	if slices.ContainsFunc(pluginSettings, func(p string) bool { return strings.HasPrefix(name, p) }) {
		return true
	}
	for _, s := range settingsSince {
		if !t.since(s.from.Major, s.from.Minor) {
			break
		}
		if s.names[short] {
			return true
		}
		for i := range len(short) {
			if short[i] == '.' && s.names[short[:i+1]] {
				return true
			}
		}
	}
	return short == "version.created" || settingsUntil[short] != (Target{}) && short != "store.hybrid.mmap.extensions"
}

// settings judges and rewrites the settings of an index.
func (t Target) settings(i *Index, c created, v *Verdict) {
	settings := settingsOf(i.Body)
	if settings == nil || c.native {
		return
	}
	out := t.rewriteSettings(settings, "", v)
	t.analysis(out, c, "", v)
	if out.Has("index.sort.field") && i.Mappings != nil {
		for _, typ := range *i.Mappings {
			mapping, _ := typ.Value.(tree.Object)
			if hasNested(mapping) {
				v.refuse("sort-nested", "setting index.sort.field", "the index is sorted and has nested fields", "")
			}
		}
	}
	i.Body.Set("settings", out)
}

func hasNested(o tree.Object) bool {
	for _, f := range o.Object("properties") {
		if child, _ := f.Value.(tree.Object); child.Text("type") == "nested" || hasNested(child) {
			return true
		}
	}
	return false
}

// rewriteSettings gives what becomes of flat settings. Messages begin with at.
func (t Target) rewriteSettings(settings tree.Object, at string, v *Verdict) tree.Object {
	out := make(tree.Object, 0, len(settings))
	for _, s := range settings {
		value, where := tree.Text(s.Value), at+"setting "+s.Name
		decided := t.special(s.Name, value, where, v)
		if decided == keep || decided == byName && t.knows(s.Name) {
			out = append(out, s)
			continue
		}
		if decided == drop {
			continue
		}
		if n := slices.IndexFunc(droppedSettings, func(d struct{ name, rule, why string }) bool { return matches(d.name, s.Name) }); n >= 0 {
			v.change(droppedSettings[n].rule, where, "dropped", droppedSettings[n].why)
			continue
		}
		if n := slices.IndexFunc(refusedSettings, func(r struct{ name, rule, why, way string }) bool { return matches(r.name, s.Name) }); n >= 0 {
			v.refuse(refusedSettings[n].rule, where, refusedSettings[n].why, refusedSettings[n].way)
		} else {
			v.refuse("setting-unknown", where, fmt.Sprintf("OpenSearch %s does not know it, and what it means is not known", t), "")
		}
		out = append(out, s)
	}
	return out
}

// What special says of a setting.
const (
	byName = iota // it is judged by its name
	keep
	drop
)

// special judges settings by their value.
func (t Target) special(name, value, where string, v *Verdict) int {
	dropped := func(rule, why string) int {
		v.change(rule, where, "dropped", why)
		return drop
	}
	refused := func(rule, why, way string) int {
		v.refuse(rule, where, why, way)
		return keep
	}
	if strings.HasPrefix(name, "index.routing.allocation.") && strings.Contains(name, "._tier") {
		return dropped("setting-tier", "OpenSearch has no data tiers: no shard could be allocated")
	}
	switch name {
	case "index.mode":
		if value == "standard" {
			return dropped("setting-dropped", "standard is what OpenSearch has")
		}
		return refused("index-mode", fmt.Sprintf("it is %q", value), "")
	case "index.mapping.source.mode":
		if strings.EqualFold(value, "stored") {
			return dropped("setting-dropped", "documents are stored anyway")
		}
		return refused("source-mode-setting", fmt.Sprintf("it is %q", value), "")
	case "index.frozen", "index.search.throttled":
		if value == "false" {
			return dropped("setting-dropped", "it is not set")
		}
		return refused("frozen", "the index is frozen", "in the source: POST INDEX/_unfreeze, and snapshot it again")
	case "index.codec":
		if value != "default" && value != "best_compression" && (value != "lucene_default" || !t.since(2, 9)) {
			return refused("codec-setting", fmt.Sprintf("OpenSearch %s does not have the codec %q", t, value), "")
		}
	case "index.store.type":
		switch value {
		case "fs", "niofs", "mmapfs", "hybridfs", "":
		case "simplefs":
			if t.Major >= 2 {
				return dropped("store-type", "Lucene 9 does not have simplefs")
			}
		case "snapshot", "remote_snapshot":
			return refused("searchable-snapshot", "it is mounted from a snapshot", "graft the snapshot that it is mounted from")
		default:
			return refused("setting-unknown", fmt.Sprintf("the kind %q is not known", value), "")
		}
	case "index.allocation.existing_shards_allocator":
		if value != "gateway_allocator" {
			return refused("searchable-snapshot", fmt.Sprintf("it is %q", value), "")
		}
	case "index.data_path":
		return dropped("data-path", "it is a folder of the source's machines")
	}
	return byName
}

// flat gives settings with dotted names, from the nested form that templates may have; names without "index." get it.
func flat(settings tree.Object) tree.Object {
	var out tree.Object
	var walk func(o tree.Object, path string)
	walk = func(o tree.Object, path string) {
		for _, m := range o {
			if child, ok := m.Value.(tree.Object); ok {
				walk(child, path+m.Name+".")
				continue
			}
			name := path + m.Name
			if !strings.HasPrefix(name, "index.") {
				name = "index." + name
			}
			out.Set(name, m.Value)
		}
	}
	walk(settings, "")
	return out
}

package rules

import (
	"fmt"
	"strconv"

	"github.com/narudata/naru/format/tree"
)

// openSearchBit is set in the version ids of OpenSearch: id = (major*1000000 + minor*10000 + patch*100 + 99) ^ 0x08000000.
const openSearchBit = 0x08000000

// openSearch2 is the id of OpenSearch 2.0.0, the oldest with the semantics that Elasticsearch 8 has too.
const openSearch2 = "136217827"

// createdSetting holds the version that created an index, which selects semantics: whether nested documents are marked by
// _type or by _nested_path, whether a geo_shape has doc values (OpenSearch from 2.9 on), what a date format means.
const createdSetting = "index.version.created"

const twoHopWay = "two hops: graft and restore it into OpenSearch 2.x, have it write all segments anew there (POST INDEX/_upgrade), snapshot that, and graft the snapshot with the flag " +
	"for two hops. It sets aside a guard of Lucene's, which nobody supports; reindexing is the safe way"

// created is what the version that created an index means for a target.
type created struct {
	openSearch   bool
	major, minor int
	twoHop       bool // the index was created two major versions of Lucene ago, and that is to be set aside
	nestedByType bool // nested documents are marked by _type, not _nested_path
	native       bool // mappings and settings are OpenSearch's own
}

var versionRules = []Rule{
	{"created-unknown", "An index that does not say which version created it is refused", "The version selects semantics."},
	{"created-too-old", "An index that a too old version created is refused", "Elasticsearch 6 indices open in OpenSearch 1 only, older ones nowhere; those of Elasticsearch 7 and OpenSearch 1 in OpenSearch 1 and 2."},
	{"created-newer", "An index that a newer version created than the target is refused", "An older version does not know what a newer one's index means."},
	{"created-two-hop", "An index of Elasticsearch 7 or OpenSearch 1 goes to OpenSearch 3 only with the flag for two hops", "OpenSearch 3 refuses the version, and Lucene 10 the segments that are derived from Lucene 8. After a force merge in OpenSearch 2 the bytes are Lucene 9's, and only numbers in metadata say otherwise."},
	{"created-as-opensearch-2", "index.version.created becomes OpenSearch 2.0.0", "OpenSearch does not know the numbers of Elasticsearch 8, and takes them for an old index: nested aggregations would find nothing. 2.0.0 has the same semantics, and is below 2.9, where geo_shape got doc values."},
	{"nested-marker", "An index of Elasticsearch 7 or OpenSearch 1 with nested fields is not taken to OpenSearch 3", "Its nested documents are marked in another way than an OpenSearch 2 index's: aggregations on them would find nothing, without an error."},
}

// created judges index.version.created, and rewrites it.
func (t Target) created(i *Index, v *Verdict) created {
	settings := settingsOf(i.Body)
	text := settingText(settings, createdSetting)
	id, err := strconv.Atoi(text)
	var c created
	where := "setting " + createdSetting
	if err != nil || id <= 0 {
		v.refuse("created-unknown", where, fmt.Sprintf("it is %q", text), "")
		return c
	}
	product := "Elasticsearch"
	if id&openSearchBit != 0 {
		c.openSearch, product = true, "OpenSearch"
		id ^= openSearchBit
	}
	c.native = c.openSearch || i.OpenSearch
	c.major, c.minor = id/1000000, id/10000%100
	c.nestedByType = c.openSearch && c.major < 2 || !c.openSearch && c.major < 8
	version := fmt.Sprintf("%s %d.%d", product, c.major, c.minor)
	if !c.openSearch && c.major >= 8 {
		version = fmt.Sprintf("%s %d", product, c.major) // from 8.11 on the number is not the server's version
	}
	generation := c.major // by the OpenSearch that has the same Lucene
	if !c.openSearch {
		generation = c.major - 6
	}
	switch {
	case !c.openSearch && c.major >= 9, generation > t.Major, c.openSearch && c.major == t.Major && c.minor > t.Minor:
		v.refuse("created-newer", where, fmt.Sprintf("%s created the index", version), "")
	case generation == t.Major-2 && generation > 0 && t.Major == 3:
		c.twoHop = i.TwoHop
		if !i.TwoHop {
			v.refuse("created-two-hop", where, fmt.Sprintf("%s created the index, and OpenSearch %s takes what OpenSearch 2 and Elasticsearch 8 created", version, t), twoHopWay)
			break
		}
		setSetting(i.Body, createdSetting, openSearch2)
		v.change("created-two-hop", where, fmt.Sprintf("%s becomes %s (OpenSearch 2.0.0)", text, openSearch2),
			"OpenSearch 3 takes no index of "+version+"; the segments were written anew by Lucene 9")
	case generation < t.Major-1:
		v.refuse("created-too-old", where, fmt.Sprintf("%s created the index, which is too old for OpenSearch %s", version, t), "")
	case !c.openSearch && c.major == 8:
		setSetting(i.Body, createdSetting, openSearch2)
		v.change("created-as-opensearch-2", where, fmt.Sprintf("%s becomes %s (OpenSearch 2.0.0)", text, openSearch2),
			"OpenSearch does not know the versions of Elasticsearch 8; as an older one nested aggregations would find nothing")
	}
	return c
}

// settingsOf gives the settings of an index's metadata; nil if there are none.
func settingsOf(body *tree.Object) tree.Object {
	if body == nil {
		return nil
	}
	return body.Object("settings")
}

// settingText gives a setting, flat as metadata have them.
func settingText(settings tree.Object, name string) string { return settings.Text(name) }

func setSetting(body *tree.Object, name, value string) {
	settings := body.Object("settings")
	settings.Set(name, value)
	body.Set("settings", settings)
}

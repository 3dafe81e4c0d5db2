package testbed

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// EngineDifferences are all the answers in which a target may differ from its source for the very same segments, with the reason.
// Where it says more than that the target does not understand, the reason was seen on indices of the target's own, too.
var EngineDifferences = []EngineDifference{
	{0, []string{"percentiles", "median_absolute_deviation"}, "t-digests of different versions interpolate differently, most between few values", numbersWithin(0.25)},
	{0, []string{"hdr percentiles"}, "HdrHistograms of different versions round ranks differently: the next value may be given", numbersWithin(0.05)},
	{0, []string{"phrase suggest", "term suggest", "completion, fuzzy"}, "suggestions are scored and limited differently", suggestsAny},
	{0, []string{"match_phrase_prefix"}, "a prefix is expanded to the first terms of each segment or shard: scores differ", sameHits},
	{0, []string{"binary docvalues", "stored binary"}, "Base64 with or without padding", equalAfter(func(text string) string {
		return strings.NewReplacer("=", "", "-", "+", "_", "/").Replace(text)
	})},
	{0, []string{"date_nanos docvalues"}, "OpenSearch formats date_nanos with milliseconds unless told otherwise", equalAfter(func(text string) string {
		return fractions.ReplaceAllString(text, "${1}Z")
	})},
	{0, []string{"sort scaled_float"}, "OpenSearch 2 and 3 skip documents when they sort by scaled_float: they compare points, which are scaled, with values, which are not",
		answered},
	{0, []string{"highlight unified*"}, "the unified highlighter cuts fragments elsewhere in other versions", sameHits},
	{0, []string{"flattened key", "flattened any", "flattened deep", "flattened exists"}, "flat_object is written anew by the repair: deleted documents count in scores", sameHits},
	{0, []string{"flattened values"}, "flat_object is not aggregated below its root: no buckets, or one without meaning in OpenSearch 3", answered},
	{0, []string{"date_histogram, interval"}, "interval is gone from OpenSearch 3", refused},
	// What changed between Lucene 7 or Elasticsearch 6 and their successors.
	{0, []string{"values"}, "the sum of nothing is null or 0", equalAfter(func(text string) string { return strings.ReplaceAll(text, `"sum":null`, `"sum":0`) })},
	{0, []string{"nested exists", "shape *"}, "what only filters scores 1 or 0", exceptScores},
	{0, []string{"cross_fields", "fuzzy", "without norms"}, "Lucene 8 scores blended terms and fields without norms differently", exceptScores},
	{0, []string{"date docvalues", "other docvalues"}, "Elasticsearch 6 shows dates in ISO 8601 whatever their format is, places as objects", sameHits},
	{0, []string{"extended_stats"}, "later versions say more", saysMore},
	{0, []string{"geo_centroid"}, "sums are rounded differently", numbersWithin(1e-6)},
	{3, []string{"*"}, "OpenSearch 3 scores by Lucene's BM25 without the factor k1+1, and matches of keywords by their boost alone", exceptScores},
}

var fractions = regexp.MustCompile(`(\.\d{3})\d{1,6}Z`)

// equalAfter: the same text after a change to both.
func equalAfter(change func(string) string) func(want, got json.RawMessage) bool {
	return func(want, got json.RawMessage) bool { return change(string(want)) == change(string(got)) }
}

// answered: nothing is compared but that there is an answer.
func answered(_, got json.RawMessage) bool { return got != nil }

// saysMore: all that the source says, and perhaps more.
func saysMore(want, got json.RawMessage) bool {
	var w, g any
	return json.Unmarshal(want, &w) == nil && json.Unmarshal(got, &g) == nil && contains(g, w)
}

func contains(all, part any) bool {
	if m, ok := part.(map[string]any); ok {
		of, ok := all.(map[string]any)
		for k, v := range m {
			ok = ok && contains(of[k], v)
		}
		return ok
	}
	return reflect.DeepEqual(all, part)
}

// suggestsAny: the same best suggestion, if there is one at all.
func suggestsAny(want, got json.RawMessage) bool {
	best := func(raw json.RawMessage) (texts []string) {
		var answer struct {
			Suggest map[string][]struct{ Options []struct{ Text string } }
		}
		if json.Unmarshal(raw, &answer) != nil {
			return nil
		}
		for _, entry := range answer.Suggest["s"] {
			if len(entry.Options) > 0 {
				texts = append(texts, entry.Options[0].Text)
			}
		}
		return texts
	}
	return got != nil && slices.Equal(best(want), best(got))
}

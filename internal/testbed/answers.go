package testbed

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A Question is a search, or another request to an index, with a name by which its answers are compared.
type Question struct {
	Name  string
	API   string // after the index: "_search" if empty
	Query string // of the URL
	Body  any
}

// Answers are what a server said, by question. Those that it does not understand have no answer.
type Answers map[string]json.RawMessage

// Ask puts questions to an index, an alias or a data stream. What depends on the moment, the place or the version is not in
// the answers: times, shards, names of indices, max_score. Scores have four significant digits, other fractions nine; hits and
// suggestions with equal scores and sort values are in the order of their ids.
func (n *Node) Ask(tb testing.TB, index string, questions []Question) Answers {
	tb.Helper()
	n.Call(tb, "POST", "/"+url.PathEscape(index)+"/_refresh", nil)
	answers := Answers{}
	for _, q := range questions {
		path := "/" + url.PathEscape(index) + "/" + cmp.Or(q.API, "_search")
		query := q.Query
		if q.API == "" {
			if query != "" {
				query += "&"
			}
			query += "rest_total_hits_as_int=true"
		}
		status, reply, err := n.Send(tb.Context(), "POST", path+"?"+query, "application/json", q.Body)
		if err != nil || status >= 500 && status != http.StatusNotImplemented {
			tb.Fatalf("%s of %s: %d %.500s (%v)", q.Name, index, status, reply, err)
		}
		if status >= 300 {
			tb.Logf("%s of %s: %s does not understand: %.300s", q.Name, index, n.Version, reply)
			continue
		}
		answer, err := normal(reply)
		if err != nil {
			tb.Fatalf("%s of %s: %v", q.Name, index, err)
		}
		answers[q.Name] = answer
	}
	return answers
}

// passing are the keys of an answer, at any depth, that say nothing of what an index holds.
var passing = map[string]bool{"took": true, "timed_out": true, "_shards": true, "max_score": true, "_index": true, "_type": true,
	"terminated_early": true, "num_reduce_phases": true, "_ignored": true, "ignored_field_values": true}

func normal(reply []byte) (json.RawMessage, error) {
	in := json.NewDecoder(bytes.NewReader(reply))
	in.UseNumber()
	var answer any
	if err := in.Decode(&answer); err != nil {
		return nil, err
	}
	return json.Marshal(normalised("", answer))
}

func normalised(key string, value any) any {
	switch v := value.(type) {
	case map[string]any:
		for k := range passing {
			delete(v, k)
		}
		if meta, ok := v["meta"].(map[string]any); ok && len(meta) == 0 { // of an aggregation: OpenSearch says so in few
			delete(v, "meta")
		}
		for k, inner := range v {
			v[k] = normalised(k, inner)
		}
		return v
	case []any:
		for i, inner := range v {
			v[i] = normalised(key, inner)
		}
		if key == "hits" || key == "options" {
			tiesInOrder(v)
		}
		return v
	case json.Number:
		digits := 9
		if key == "_score" || key == "score" {
			digits = 4
		}
		if x, err := v.Float64(); err == nil && strings.ContainsAny(v.String(), ".eE") {
			return json.Number(strconv.FormatFloat(x, 'g', digits, 64))
		}
	}
	return value
}

// tiesInOrder sorts those hits that follow each other with the same score and sort values by their id or text.
func tiesInOrder(hits []any) {
	part := func(hit any, keys ...string) string {
		var out []any
		if m, ok := hit.(map[string]any); ok {
			for _, k := range keys {
				out = append(out, m[k])
			}
		}
		text, err := json.Marshal(out)
		if err != nil {
			panic("BUG: " + err.Error()) // it was JSON
		}
		return string(text)
	}
	for i := 0; i < len(hits); {
		end := i + 1
		for end < len(hits) && part(hits[end], "_score", "score", "sort") == part(hits[i], "_score", "score", "sort") {
			end++
		}
		slices.SortStableFunc(hits[i:end], func(a, b any) int {
			return cmp.Or(strings.Compare(part(a, "_id"), part(b, "_id")), strings.Compare(part(a, "text"), part(b, "text")))
		})
		i = end
	}
}

// A Comparison is of a target's answers with the source's.
type Comparison struct {
	Equal   []string
	Excused map[string]string // question: why engines answer it differently
	Wrong   map[string]string // question: how the answers differ
}

// String names what is wrong, and is empty if nothing is.
func (c Comparison) String() string {
	var out strings.Builder
	for _, q := range slices.Sorted(maps.Keys(c.Wrong)) {
		fmt.Fprintf(&out, "  %s: %s\n", q, c.Wrong[q])
	}
	return out.String()
}

// CompareAnswers compares what got has with what want has. A question that only one of them understands counts as wrong if it is
// the source, so that nothing goes uncompared in silence; what is new in the target is not looked at. The target is OpenSearch of
// that major version.
func CompareAnswers(want, got Answers, major int) Comparison {
	c := Comparison{Excused: map[string]string{}, Wrong: map[string]string{}}
	for _, q := range slices.Sorted(maps.Keys(want)) {
		w, g := again(want[q]), again(got[q]) // a fixture's may be of an earlier form
		if bytes.Equal(w, g) {
			c.Equal = append(c.Equal, q)
			continue
		}
		why, excused := "", false
		for _, d := range EngineDifferences {
			if excused = d.Since <= major && d.covers(q, w, g); excused {
				why = d.Why
				break
			}
		}
		switch {
		case excused:
			c.Excused[q] = why
		case g == nil:
			c.Wrong[q] = "the target does not understand it"
		default:
			c.Wrong[q] = strings.TrimSpace(where(w, g))
		}
	}
	return c
}

func again(answer json.RawMessage) json.RawMessage {
	if form, err := normal(answer); err == nil {
		return form
	}
	return answer
}

// An EngineDifference is what servers of different versions answer differently for one and the same index.
type EngineDifference struct {
	Since     int      // the major version of OpenSearch from which it is so; 0: any
	Questions []string // names, or beginnings of names that end with *
	Why       string
	// Same says whether the answers are equal but for that. A target that does not understand the question gives nil.
	Same func(want, got json.RawMessage) bool
}

func (d EngineDifference) covers(question string, want, got json.RawMessage) bool {
	for _, q := range d.Questions {
		if prefix, ok := strings.CutSuffix(q, "*"); q == question || ok && strings.HasPrefix(question, prefix) {
			return d.Same(want, got)
		}
	}
	return false
}

// The ways in which answers may differ and still be of the same index.

// refused: the target does not understand the question.
func refused(_, got json.RawMessage) bool { return got == nil }

// sameHits: the same documents, whatever their scores, order and rendering.
func sameHits(want, got json.RawMessage) bool {
	ids := func(raw json.RawMessage) []string {
		var answer struct {
			Hits struct {
				Hits []struct {
					ID string `json:"_id"`
				}
			}
		}
		if json.Unmarshal(raw, &answer) != nil {
			return nil
		}
		var ids []string
		for _, h := range answer.Hits.Hits {
			ids = append(ids, h.ID)
		}
		slices.Sort(ids)
		return ids
	}
	return got != nil && slices.Equal(ids(want), ids(got))
}

// exceptScores: the same answers but for scores, and for the order of hits that follows from them.
func exceptScores(want, got json.RawMessage) bool {
	unscored := func(raw json.RawMessage) string {
		var answer any
		if json.Unmarshal(raw, &answer) != nil {
			return ""
		}
		return string(mustJSON(withoutScores(answer)))
	}
	return got != nil && unscored(want) == unscored(got)
}

func withoutScores(value any) any {
	switch v := value.(type) {
	case map[string]any:
		delete(v, "_score")
		for k, inner := range v {
			v[k] = withoutScores(inner)
		}
	case []any:
		for i, inner := range v {
			v[i] = withoutScores(inner)
		}
		if len(v) > 0 {
			if hit, ok := v[0].(map[string]any); ok && hit["_id"] != nil && hit["sort"] == nil {
				tiesInOrder(v)
			}
		}
	}
	return value
}

// numbersWithin: the same answers but for numbers, which differ by that part of the largest of them at most.
func numbersWithin(part float64) func(want, got json.RawMessage) bool {
	return func(want, got json.RawMessage) bool {
		w, wantNumbers := numbersApart(want)
		g, gotNumbers := numbersApart(got)
		if w != g || len(wantNumbers) != len(gotNumbers) {
			return false
		}
		largest := 0.0
		for _, x := range wantNumbers {
			largest = max(largest, x, -x)
		}
		for i, x := range wantNumbers {
			if y := gotNumbers[i]; max(x-y, y-x) > part*largest {
				return false
			}
		}
		return true
	}
}

// numbersApart is an answer with its numbers replaced, and the numbers.
func numbersApart(raw json.RawMessage) (shape string, numbers []float64) {
	var answer any
	if json.Unmarshal(raw, &answer) != nil {
		return "", nil
	}
	var walk func(any) any
	walk = func(value any) any {
		switch v := value.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				v[k] = walk(v[k])
			}
			return v
		case []any:
			for i := range v {
				v[i] = walk(v[i])
			}
			return v
		case float64:
			numbers = append(numbers, v)
			return "number"
		}
		return value
	}
	return string(mustJSON(walk(answer))), numbers
}

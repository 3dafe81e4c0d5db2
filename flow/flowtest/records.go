package flowtest

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/narudata/naru/flow"
)

// Diff says how two sets of records differ, in any order, each as often as it is there; empty: they do not.
// The time of a record is not compared.
func Diff(want, got []flow.Record) string {
	count := make(map[string]int)
	for i := range want {
		count[show(&want[i])]++
	}
	for i := range got {
		count[show(&got[i])]--
	}
	var lines []string
	missing, extra := 0, 0
	for text, n := range count {
		switch {
		case n > 0:
			missing += n
			lines = append(lines, fmt.Sprintf("missing %d×: %s", n, text))
		case n < 0:
			extra -= n
			lines = append(lines, fmt.Sprintf("too many %d×: %s", -n, text))
		}
	}
	if len(lines) == 0 {
		return ""
	}
	slices.SortFunc(lines, func(a, b string) int { return cmp.Compare(a, b) })
	const most = 10
	if len(lines) > most {
		lines = append(lines[:most], "…")
	}
	return fmt.Sprintf("want %d records, got %d: %d missing, %d too many\n%s", len(want), len(got), missing, extra, strings.Join(lines, "\n"))
}

// show prints a record so that different ones differ.
func show(r *flow.Record) string {
	routing, body := "none", "none"
	if r.Routing != nil {
		routing = fmt.Sprintf("%q", r.Routing)
	}
	if r.Body != nil {
		body = fmt.Sprintf("%q", r.Body)
	}
	return fmt.Sprintf("index %q type %q id %q routing %s body %s", r.Index, r.Type, r.Key, routing, body)
}

// Samples gives n different records of a few indices: short and long, with and without routing, with ids and
// bodies in several scripts.
func Samples(n int) []flow.Record {
	recs := make([]flow.Record, n)
	for i := range recs {
		r := flow.Record{
			Index: fmt.Sprintf("sample-%d", i%3),
			Key:   fmt.Appendf(nil, "id-%d", i),
			Body:  fmt.Appendf(nil, `{"n":%d,"text":%q}`, i, strings.Repeat("나루 ferry ", i%50)),
		}
		switch i % 10 {
		case 3:
			r.Routing = fmt.Appendf(nil, "shard %d", i)
		case 5:
			r.Key = fmt.Appendf(nil, "키 \"%d\" / ä", i)
		case 7:
			r.Body = []byte(`{}`)
		case 9:
			r.Body = fmt.Appendf(nil, `{"n":%d,"long":%q}`, i, strings.Repeat("x", 20_000))
		}
		recs[i] = r
	}
	return recs
}

// clones copies records out of their batch.
func clones(recs []flow.Record) []flow.Record {
	out := make([]flow.Record, len(recs))
	for i := range recs {
		out[i] = Clone(recs[i])
	}
	return out
}

// poison overwrites the records' bytes, as a batch that is filled anew does.
func poison(recs []flow.Record) {
	for _, r := range recs {
		for _, p := range [][]byte{r.Key, r.Routing, r.Body} {
			for i := range p {
				p[i] = 0xdb
			}
		}
	}
}

// unlike shows two values if they differ.
func unlike(want, got any) string {
	if reflect.DeepEqual(want, got) {
		return ""
	}
	return fmt.Sprintf("want %+v\n got %+v", want, got)
}

package opensearch_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/flow"
)

const theirPassword = "their-password"

// asBob connects to a cluster that asks who is there.
func asBob(t *testing.T, fake *osfake.Server) *opensearch.Client {
	t.Helper()
	c, err := opensearch.Target{URLs: fake.URLs, Auth: opensearch.Auth{Username: "bob", Password: theirPassword}}.Connect(t.Context(), noEnvironment)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWhoMaySeeSomeIndicesReadsThoseThatHisPatternsMean(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{Username: "bob", Password: theirPassword})
	c := asBob(t, fake)
	fill(t, c)
	put(t, c, "PUT", "/odd[1]", `{}`)
	forbidden := osfake.Fault{Status: http.StatusForbidden, Type: "security_exception", Reason: "no permissions for [indices:monitor/settings/get] and User [name=bob]"}
	fake.SetHook(func(r *osfake.Request) osfake.Fault {
		// As the plugin: what is asked about all indices is refused, as bob may not see .hidden.
		if strings.HasPrefix(r.Path, "/_settings") || r.Path == "/_cat/indices" || strings.HasPrefix(r.Path, "/_alias") || r.Path == "/_data_stream" {
			return forbidden
		}
		if len(r.Path)+len(r.Query) > 4000 {
			t.Errorf("a line of %d bytes", len(r.Path)+len(r.Query))
		}
		return osfake.Fault{}
	})
	for _, c2 := range []struct {
		patterns flow.Patterns
		want     string
	}{
		{flow.Patterns{"logs-*"}, "logs-1"},
		{flow.Patterns{"logs-?", "로그", "-nothing"}, "logs-1 로그"},
		{flow.Patterns{"l*", "empty", "!logs-*"}, "empty"},
		{append(flow.Patterns{"-*"}, append(slices.Repeat([]string{"a-long-name-of-nothing"}, 1000), `odd\[1]`, "empty")...), "empty odd[1]"}, // as what was written is read back
	} {
		s := open(t, c, opensearch.SourceOptions{Indices: c2.patterns, Absent: true, Aliases: true})
		groups, err := s.Groups(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, g := range groups {
			got = append(got, g.Name)
			if g.Grade != flow.Lossless || g.Name == "logs-1" && (g.Records != 120 || g.Bytes == 0) {
				t.Errorf("%+v", g)
			}
		}
		if strings.Join(got, " ") != c2.want {
			t.Errorf("%q: %q, want %q", c2.patterns, got, c2.want)
		}
	}
	for _, patterns := range []flow.Patterns{nil, {"!logs-*"}, {"logs-[1]"}} { // all, and what cannot be asked about
		if _, err := opensearch.NewSource(t.Context(), c, opensearch.SourceOptions{Indices: patterns}); err == nil || !strings.Contains(err.Error(), "indices:monitor/settings/get") || !strings.Contains(err.Error(), "by name or pattern") {
			t.Errorf("%q: %v", patterns, err)
		}
	}
	if _, err := opensearch.NewSource(t.Context(), c, opensearch.SourceOptions{Indices: flow.Patterns{"nowhere"}}); err == nil || !strings.Contains(err.Error(), "there is no index nowhere") {
		t.Errorf("%v", err)
	}
}

func TestAnIndexOfWhichRolesHideDocumentsIsNotSaidToBeLossless(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{Username: "bob", Password: theirPassword})
	c := asBob(t, fake)
	fill(t, c)
	put(t, c, "POST", "/_refresh", "")
	seen := func(counts ...string) func(*osfake.Request) osfake.Fault {
		return func(r *osfake.Request) osfake.Fault {
			if r.Path != "/logs-1/_count" {
				return osfake.Fault{}
			}
			n := counts[0]
			counts = counts[min(1, len(counts)-1):]
			return osfake.Fault{Status: http.StatusOK, Body: `{"count": ` + n + `, "_shards": {"total": 3, "successful": 3, "failed": 0}}`}
		}
	}
	for _, c2 := range []struct {
		counts []string
		want   flow.Grade
	}{
		{[]string{"120"}, flow.Lossless},
		{[]string{"7"}, flow.Partial},
		{[]string{"119", "120"}, flow.Lossless}, // what was written came into sight in between
	} {
		fake.SetHook(seen(c2.counts...))
		groups, err := open(t, c, opensearch.SourceOptions{Indices: flow.Patterns{"logs-1"}}).Groups(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if g := groups[0]; g.Grade != c2.want || (g.Grade == flow.Partial) != strings.Contains(g.Why, "document-level security") {
			t.Errorf("%q: %s, %q; want %s", c2.counts, g.Grade, g.Why, c2.want)
		}
	}
	fake.SetHook(nil)
	put(t, c, "PUT", "/nested", `{"mappings": {"properties": {"n": {"type": "nested"}}}}`)
	put(t, c, "PUT", "/nested/_doc/1?refresh=true", `{"n": [{"a": 1}]}`)
	fake.SetHook(func(r *osfake.Request) osfake.Fault {
		if strings.HasPrefix(r.Path, "/_cat/indices") { // each nested object is a document of Lucene
			return osfake.Fault{Status: http.StatusOK, Body: `[{"index": "nested", "status": "open", "health": "green", "docs.count": "2", "pri.store.size": "100"}]`}
		}
		return osfake.Fault{}
	})
	groups, err := open(t, c, opensearch.SourceOptions{Indices: flow.Patterns{"nested"}}).Groups(t.Context())
	if err != nil || groups[0].Grade != flow.Lossless || groups[0].Records != 1 {
		t.Errorf("%+v, %v", groups, err)
	}
}

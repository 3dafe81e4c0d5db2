package cost_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/estate/cost"
)

func connect(t testing.TB, url string) *opensearch.Client {
	t.Helper()
	c, err := (opensearch.Target{URLs: []string{url}}).Connect(t.Context(), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func send(t testing.TB, c *opensearch.Client, method, path, body string) {
	t.Helper()
	r := opensearch.Request{Method: method, Path: path, Body: []byte(body)}
	if strings.Contains(path, "_bulk") {
		r.Type = "application/x-ndjson"
	}
	if _, err := c.Do(t.Context(), r); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
}

// looked is what a cluster has after some indices, a template and a few searches.
func looked(t *testing.T, c *opensearch.Client) *cost.Facts {
	t.Helper()
	send(t, c, "PUT", "/_component_template/base", `{"template": {"settings": {"number_of_replicas": 0, "codec": "best_compression"}}}`)
	send(t, c, "PUT", "/_index_template/logs", `{"index_patterns": ["logs-*"], "composed_of": ["base"], "template": {"settings": {"number_of_shards": 2}}}`)
	for _, day := range []string{"20", "21", "22"} {
		// By hand what the template has: the fake does not apply it.
		send(t, c, "PUT", "/logs-2026.11."+day, `{"settings": {"number_of_shards": 2, "number_of_replicas": 0, "codec": "best_compression"}}`)
		send(t, c, "POST", "/logs-2026.11."+day+"/_bulk?refresh=true", strings.Repeat("{\"index\":{}}\n{\"a\":1}\n", 10))
	}
	send(t, c, "PUT", "/plain", `{"settings": {"number_of_shards": 3, "number_of_replicas": 1}}`)
	send(t, c, "POST", "/logs-2026.11.20/_search", `{}`)
	f, err := cost.Look(t.Context(), c, "prod", time.Now().Add(time.Second)) // rates need a while
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// sees says what Look must have seen, of a fake and of real servers.
func sees(t *testing.T, f *cost.Facts) {
	t.Helper()
	if len(f.Missing) > 0 || len(f.Nodes) != 1 || f.MaxShards != 1000 || f.Managed {
		t.Errorf("%+v", f)
	}
	if n := f.Nodes[0]; !n.Data || n.CPUs == 0 || n.Heap == 0 || n.Disk == 0 || n.Free == 0 || n.Started.IsZero() || n.Shards < 9 {
		t.Errorf("%+v", n)
	}
	by := map[string]*cost.Index{}
	for _, x := range f.Indices {
		by[x.Name] = x
	}
	if x := by["logs-2026.11.20"]; x == nil || x.Primaries != 2 || x.Replicas != 0 || x.Documents != 10 || x.Written != 10 || x.Queries != 2 || x.Codec != "best_compression" || x.Primary == 0 ||
		time.Since(x.Counting) > time.Hour || time.Since(x.Created) > time.Hour || x.Begins().Day() != 20 {
		t.Errorf("%+v", x)
	}
	if x := by["plain"]; x == nil || x.Shards() != 6 || x.Unassigned != 3 || x.Queries != 0 || x.Codec != "default" {
		t.Errorf("%+v", x)
	}
	if l := cost.LifeOf(f.Objects, "logs-2026.11.22"); l.Template != "logs" || l.Primaries != 2 || l.Replicas != 0 || l.Codec != "best_compression" {
		t.Errorf("%+v", l)
	}
	if f.Documents <= 0 || f.Searches <= 0 {
		t.Errorf("%v documents, %v searches a second", f.Documents, f.Searches)
	}
}

func TestLookSeesWhatAClusterHas(t *testing.T) {
	s := osfake.Start(t, osfake.Options{Plugins: []string{osfake.IndexManagement}})
	c := connect(t, s.URL())
	send(t, c, "PUT", "/_cluster/settings", `{"persistent": {"cluster.max_shards_per_node": 1000}}`)
	send(t, c, "PUT", "/_plugins/_ism/policies/logs", policy)
	f := looked(t, c)
	sees(t, f)
	if l := cost.LifeOf(f.Objects, "logs-2026.11.22"); l.Retention != 30 {
		t.Errorf("%+v", l)
	}
	before := len(s.Requests())
	if _, err := cost.Look(t.Context(), c, "prod", time.Now()); err != nil || len(s.Requests())-before > 10 {
		t.Errorf("%d requests, %v", len(s.Requests())-before, err)
	}
}

func TestWhatMayNotBeAskedIsSaidAndTheRestCounted(t *testing.T) {
	refused := "cat_shards"
	s := osfake.Start(t, osfake.Options{Hook: func(r *osfake.Request) osfake.Fault {
		if r.API == refused {
			return osfake.Fault{Status: http.StatusForbidden, Type: "security_exception", Reason: "no permissions"}
		}
		return osfake.Fault{}
	}})
	c := connect(t, s.URL())
	send(t, c, "PUT", "/logs-2026.11.20", `{}`)
	f, err := cost.Look(t.Context(), c, "prod", time.Now())
	if err != nil || len(f.Indices) != 1 || !slices.ContainsFunc(f.Missing, func(m string) bool { return strings.Contains(m, "shards") && strings.Contains(m, "no permissions") }) {
		t.Errorf("%+v, %v", f, err)
	}
	for _, s := range (&cost.Model{}).Estimate(f, nil, nil, cost.Limits{}).Suggestions {
		if s.What == "never searched" {
			t.Errorf("of what may not be asked: %+v", s)
		}
	}
	refused = "cat_indices"
	if _, err := cost.Look(t.Context(), c, "prod", time.Now()); err == nil {
		t.Error("without indices there is nothing to count")
	}
}

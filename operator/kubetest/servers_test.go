//go:build servers

package kubetest

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/internal/testbed"
	"github.com/narudata/naru/operator/v1alpha1"
)

func TestServersAnEnvironmentAndAMigrationIntoARealCluster(t *testing.T) {
	for _, name := range testbed.Asked("os219") {
		t.Run(name, func(t *testing.T) {
			ok, missing := testbed.CanStart(t, name)
			testbed.Need(t, ok, missing)
			node := testbed.Start(t, name, testbed.Options{})
			c, err := opensearch.Target{URLs: []string{node.URL}}.Connect(t.Context(), func(string) string { return "" })
			if err != nil {
				t.Fatal(err)
			}
			b := kube(t)
			ns := b.namespace(t)
			b.apply(t, ns, `
apiVersion: naru.dev/v1alpha1
kind: Environment
metadata: {name: prod}
spec:
  environment: prod
  target: {urls: [%q]}
  deletionPolicy: Delete
  interval: 1s
  drift: {repair: [ingest-pipelines]}
  variables: {replicas: 0}
  objects:
    ingest-pipelines: {web: {processors: [{set: {field: a, value: x}}]}}
    component-templates: {few: {template: {settings: {index.number_of_replicas: "${replicas}"}}}}
    index-templates: {all: {index_patterns: ["joined", "best", "logs-*"], composed_of: [few]}}
`, node.URL)
			begun := time.Now()
			e := b.environmentIs(t, ns, "prod", "Ready/Applied")
			t.Logf("ready after %s", time.Since(begun).Round(time.Millisecond))
			if e.Status.LastApplied.Changes != 3 {
				t.Errorf("last applied: %s", asJSON(t, e.Status.LastApplied))
			}
			by := map[string]any{"processors": []any{map[string]any{"set": map[string]any{"field": "hand", "value": "x"}}}}
			if err := c.JSON(t.Context(), http.MethodPut, "/_ingest/pipeline/web", by, nil); err != nil {
				t.Fatal(err)
			}
			within(t, 20*time.Second, func() (bool, string) { got := sets(t, c, "web"); return got == "a", "it sets " + got })

			b.apply(t, ns, `
apiVersion: naru.dev/v1alpha1
kind: Migration
metadata: {name: move}
spec:
  from: {snapshot: {url: %q, snapshot: snap-2}}
  to: {opensearch: {urls: [%q]}}
  indices: [logs-2019, best, joined]
  parallelism: 3
  cutover: {approval: Automatic, aliases: {logs: "logs-*,best"}}
`, filepath.Join(testbed.Fixture(t, "os29"), "main"), node.URL)
			var m *v1alpha1.Migration
			within(t, 2*time.Minute, func() (bool, string) {
				m = b.migration(t, ns, "move")
				is := conditions(m.Status.Conditions)
				return is == "Ready/Completed", is + ": " + message(m.Status.Conditions)
			})
			if p := m.Status.Progress; p.Records.Delivered != 2790 || m.Status.Verification.Compared != 2790 {
				t.Errorf("status: %s", asJSON(t, m.Status))
			}
			var aliases map[string]any
			if err := c.JSON(t.Context(), http.MethodGet, "/_alias/logs", nil, &aliases); err != nil || len(aliases) != 2 {
				t.Errorf("aliases: %v, %v", aliases, err)
			}

			if err := b.client.Delete(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			within(t, 20*time.Second, func() (bool, string) { got := sets(t, c, "web"); return got == "", "the pipeline sets " + got })
			if n := documents(t, c, "logs-2019"); n != 2100 {
				t.Errorf("logs-2019 has %d documents after the Environment is gone", n)
			}
		})
	}
}

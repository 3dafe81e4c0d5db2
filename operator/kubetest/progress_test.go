package kubetest

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/operator/v1alpha1"
)

// TestProgressMovesWhereTheOperatorCannotAskTheTarget carries into an archive, and into a cluster that signed requests reach only: an index
// arrives, and another one is held up until the progress was seen.
func TestProgressMovesWhereTheOperatorCannotAskTheTarget(t *testing.T) {
	t.Parallel()
	b := kube(t)
	fill := func(t *testing.T, c *opensearch.Client) {
		t.Helper()
		for i := range 100 {
			for _, index := range []string{"first", "second"} {
				if err := c.JSON(t.Context(), http.MethodPut, fmt.Sprintf("/%s/_doc/%d", index, i), map[string]any{"n": i}, nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, index := range []string{"first", "second"} {
			if err := c.JSON(t.Context(), http.MethodPost, "/"+index+"/_refresh", nil, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, to := range []string{"archive", "sigv4"} {
		t.Run(to, func(t *testing.T) {
			t.Parallel()
			source, c := search(t, osfake.Options{})
			fill(t, c)
			ns := b.namespace(t)
			target, held := fmt.Sprintf("{ndjson: {dir: %q}}", filepath.Join(t.TempDir(), "archive")), source
			holds := func(r *osfake.Request) bool { return r.API == "open_pit" && strings.Contains(r.Path, "/second/") }
			if to == "sigv4" {
				held, _ = search(t, osfake.Options{})
				target = fmt.Sprintf("{opensearch: {urls: [%q], auth: {sigv4: es, region: eu-central-1}}}", held.URL())
				holds = func(r *osfake.Request) bool { return r.API == "bulk" && strings.Contains(string(r.Body), `"second"`) }
			}
			held.SetHook(func(r *osfake.Request) osfake.Fault {
				if holds(r) {
					return osfake.Fault{Status: http.StatusTooManyRequests, Type: "rejected_execution_exception", Reason: "not yet"}
				}
				return osfake.Fault{}
			})
			b.apply(t, ns, `
apiVersion: v1
kind: Secret
metadata: {name: aws}
stringData: {id: AKIDEXAMPLE, key: wJalrXUtnFEMIK7MDENG}
---
apiVersion: naru.dev/v1alpha1
kind: Migration
metadata: {name: move}
spec:
  from: {opensearch: {urls: [%q]}}
  to: %s
  indices: [first, second]
  template:
    env:
    - {name: AWS_ACCESS_KEY_ID, valueFrom: {secretKeyRef: {name: aws, key: id}}}
    - {name: AWS_SECRET_ACCESS_KEY, valueFrom: {secretKeyRef: {name: aws, key: key}}}
`, source.URL(), target)
			var m *v1alpha1.Migration
			within(t, patience, func() (bool, string) {
				m = b.migration(t, ns, "move")
				p := m.Status.Progress
				return m.Status.Phase == v1alpha1.MigrationCarrying && p != nil && p.Parts.Done > 0 && p.Parts.Done < p.Parts.Total && p.Records.Delivered == 100,
					string(m.Status.Phase) + ": " + message(m.Status.Conditions) + " " + asJSON(t, p)
			})
			if got := message(m.Status.Conditions); !strings.Contains(got, "100 of 200 records") || m.Status.Progress.MeasuredAt == nil {
				t.Errorf("%s; %s", got, asJSON(t, m.Status.Progress))
			}
			held.SetHook(nil)
			m = b.becomes(t, ns, "move", v1alpha1.MigrationCompleted, "Ready/Completed")
			if p := m.Status.Progress; p.Records.Delivered != 200 || p.Parts.Done != p.Parts.Total {
				t.Errorf("progress: %s", asJSON(t, p))
			}
		})
	}
}

package operator

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/operator/v1alpha1"
)

// TestAPlanHasTheSameIDForWhoMakesItAndInTheStatus makes the plan as `naru plan` does, of a directory with the same objects.
func TestAPlanHasTheSameIDForWhoMakesItAndInTheStatus(t *testing.T) {
	b := newEnvBed(t)
	dir := t.TempDir()
	write := func(name string, body any) {
		t.Helper()
		text, err := json.MarshalIndent(body, "", "\t") // however it is written
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("overlays/prod/env.yaml", map[string]any{"estate": "shop", "target": map[string]any{"urls": b.search.URLs}})
	plan := func() *estate.Plan {
		t.Helper()
		none := func(string) string { return "" }
		d, err := estate.Read(t.Context(), dir, "prod", none)
		if err != nil {
			t.Fatal(err)
		}
		target, err := d.Connect(t.Context(), none)
		if err != nil {
			t.Fatal(err)
		}
		defer target.Close()
		o, err := estate.Observe(t.Context(), target, d)
		if err != nil {
			t.Fatal(err)
		}
		p, err := estate.NewPlan(t.Context(), target, d, o, false, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	objects := func(field string) map[string]any {
		template := map[string]any{"index_patterns": []any{"web-*"}, "priority": 3, "template": map[string]any{"settings": map[string]any{"number_of_shards": 2}}}
		write("base/index-templates/web.json", template)
		write("base/ingest-pipelines/web.json", pipeline(field))
		return map[string]any{"ingest-pipelines": map[string]any{"web": pipeline(field)}, "index-templates": map[string]any{"web": template}}
	}
	e := b.environment("shop", func(s *v1alpha1.EnvironmentSpec) {
		s.Mode = v1alpha1.PlanMode
		s.Objects = raw(objects("a"))
	})
	got, _ := b.look("shop")
	first := plan()
	if len(first.Changes) != 2 || first.Approval == "" || got.Status.Plan.ID != first.Approval {
		t.Fatalf("the status has %+v, the plan %q: %s", got.Status.Plan, first.Approval, first.Summary())
	}

	// Applied by the one who approves it, it is changed, and needs another approval.
	b.update(e, func(e *v1alpha1.Environment) { e.Spec.Mode = v1alpha1.ApplyMode })
	b.look("shop")
	if p := plan(); p.Approval != "" || len(p.Changes) > 0 {
		t.Errorf("what is applied: %q, %s", p.Approval, p.Summary())
	}
	b.update(e, func(e *v1alpha1.Environment) {
		e.Spec.Objects = raw(objects("b"))
		e.Spec.Approval = &v1alpha1.PlanApproval{AboveRisk: "none"}
	})
	seen := plan().Approval // what a reader of the pull request saw
	got, _ = b.look("shop")
	b.is(got, "-/AwaitingApproval")
	if seen == "" || seen == first.Approval || got.Status.Plan.ID != seen || !strings.Contains(readyMessage(got.Status.Conditions), "naru.dev/approve-plan="+seen) {
		t.Fatalf("the status has %+v, the plan %q: %s", got.Status.Plan, seen, readyMessage(got.Status.Conditions))
	}
	b.update(e, func(e *v1alpha1.Environment) { e.Annotations[v1alpha1.ApprovePlanAnnotation] = seen })
	got, _ = b.look("shop")
	b.is(got, "Ready/Applied")
	if b.field("web") != "b" {
		t.Errorf("web sets %q", b.field("web"))
	}
}

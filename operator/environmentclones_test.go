package operator

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/estate/clone"
	"github.com/narudata/naru/operator/v1alpha1"
)

// cloned makes a clone of another cluster in the bed's, that is to live for an hour.
func (b *envBed) cloned() {
	b.Helper()
	other := osfake.Start(b, osfake.Options{Cluster: "other", Sizes: true})
	at, err := opensearch.Target{URLs: other.URLs}.Connect(b.Context(), func(string) string { return "" })
	if err != nil {
		b.Fatal(err)
	}
	if err := at.JSON(b.Context(), http.MethodPut, "/web-1", map[string]any{"mappings": map[string]any{"properties": map[string]any{"a": map[string]any{"type": "keyword"}}}}, nil); err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	side := func(name, url string) clone.Side {
		file := filepath.Join(dir, "overlays", name, "env.yaml")
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("estate: shop\ntarget: {urls: ['"+url+"']}\n"), 0o600); err != nil {
			b.Fatal(err)
		}
		d, err := estate.Read(b.Context(), dir, name, func(string) string { return "" })
		if err != nil {
			b.Fatal(err)
		}
		t, err := d.Connect(b.Context(), func(string) string { return "" })
		if err != nil {
			b.Fatal(err)
		}
		return clone.Side{Desired: d, Target: t}
	}
	from, to := side("source", other.URL()), side("prod", b.search.URL())
	now := func() time.Time { return b.clock }
	p, err := clone.NewPlan(b.Context(), from, to, clone.Options{TTL: time.Hour, Budget: 1 << 30}, func(string) string { return "" }, b.clock)
	if err != nil {
		b.Fatal(err)
	}
	if err := (&clone.Run{Plan: p, From: from, To: to, Now: now}).Begin(b.Context()); err != nil {
		b.Fatal(err)
	}
}

func (b *envBed) has(index string) bool {
	_, err := b.at.Do(b.Context(), opensearch.Request{Method: http.MethodHead, Path: "/" + index})
	return err == nil
}

func TestAClonesTimeIsOverWithoutACronJob(t *testing.T) {
	b := newEnvBed(t)
	b.cloned()
	b.environment("shop", func(s *v1alpha1.EnvironmentSpec) { s.Estate = "shop" })
	got, _ := b.look("shop")
	b.is(got, "Ready/NothingToApply")
	if !b.has("web-1") {
		t.Fatal("the clone is gone before its time")
	}
	b.clock = b.clock.Add(time.Hour - time.Minute)
	if _, result := b.look("shop"); result.RequeueAfter > time.Minute {
		t.Errorf("it is looked at again in %s, when the clone's time is over in less than a minute", result.RequeueAfter)
	}
	b.clock = b.clock.Add(time.Minute)
	got, _ = b.look("shop")
	b.is(got, "Ready/NothingToApply")
	if b.has("web-1") {
		t.Error("the clone is still there")
	}
	b.wasTold("Normal CloneExpired the clone of source")
}

func TestDeletingAnEnvironmentTakesItsClones(t *testing.T) {
	b := newEnvBed(t)
	b.cloned()
	e := b.environment("shop", func(s *v1alpha1.EnvironmentSpec) { s.DeletionPolicy = v1alpha1.DeleteObjects })
	b.look("shop")
	if err := b.at.JSON(t.Context(), http.MethodPut, "/others", map[string]any{}, nil); err != nil {
		t.Fatal(err)
	}
	if err := b.kube.Delete(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	b.look("shop")
	if b.has("web-1") || !b.has("others") {
		t.Errorf("the clone is there: %t, what is others': %t", b.has("web-1"), b.has("others"))
	}
}

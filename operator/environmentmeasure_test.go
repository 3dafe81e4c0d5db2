package operator

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/narudata/naru/operator/v1alpha1"
)

func TestAnApplyIsMeasuredBesideLooksAndNotInThem(t *testing.T) {
	b := newEnvBed(t)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	b.r.Window, b.r.Now = 600*time.Millisecond, nil
	all.Go(func() {
		if err := b.r.Start(ctx); err != nil {
			t.Error(err)
		}
	})
	all.Go(func() { // somebody indexes
		for i := 0; ctx.Err() == nil; i++ {
			err := b.at.JSON(ctx, http.MethodPut, fmt.Sprintf("/logs/_doc/%d", i), map[string]any{"message": "x"}, nil)
			if err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	e := b.environment("shop", func(s *v1alpha1.EnvironmentSpec) {
		s.Objects = raw(map[string]any{"ingest-pipelines": map[string]any{"web": pipeline("a")}})
	})
	b.r.Gap = time.Nanosecond
	name := types.NamespacedName{Namespace: envNamespace, Name: "shop"}
	until := func(f func(*acquaintance) bool) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			ok := false
			b.r.acquainted(name, func(a *acquaintance) { ok = f(a) })
			if ok {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal("not within 10 s")
			}
		}
	}
	for range 100 {
		if b.r.mu.Lock(); b.r.base != nil {
			b.r.mu.Unlock()
			break
		}
		b.r.mu.Unlock()
		time.Sleep(10 * time.Millisecond)
	}
	begun := time.Now()
	got, _ := b.look("shop")
	b.is(got, "Ready/Applied")
	if took := time.Since(begun); took > 500*time.Millisecond {
		t.Errorf("a look took %s", took)
	}
	until(func(a *acquaintance) bool { return a.before != nil && !a.measuring })
	b.update(e, func(e *v1alpha1.Environment) {
		e.Spec.Objects = raw(map[string]any{"ingest-pipelines": map[string]any{"web": pipeline("b")}})
	})
	begun = time.Now()
	got, _ = b.look("shop")
	b.is(got, "Ready/Applied")
	if took := time.Since(begun); took > 500*time.Millisecond || got.Status.LastApplied.Numbers != nil {
		t.Errorf("a look that applies took %s, and has %v", took, got.Status.LastApplied.Numbers)
	}
	select {
	case <-b.r.wakes():
	case <-time.After(10 * time.Second):
		t.Fatal("nobody was told that it is measured")
	}
	got, _ = b.look("shop")
	if got.Status.LastApplied.Numbers == nil {
		t.Fatal("there are no numbers")
	}
	var numbers map[string]shortNumber
	if err := json.Unmarshal(got.Status.LastApplied.Numbers.Raw, &numbers); err != nil || len(numbers) == 0 {
		t.Fatalf("%s, %v", got.Status.LastApplied.Numbers.Raw, err)
	}
	for metric, n := range numbers {
		if n.Verdict == "" {
			t.Errorf("%s: %+v", metric, n)
		}
	}
}

func TestDashboardsAreAskedAsTheirOwnSecretSays(t *testing.T) {
	asked := make(chan string, 100)
	dashboards := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Get("Authorization") + " " + r.Header.Get("securitytenant")
		fmt.Fprint(w, `{"version": {"number": "2.19.1"}}`)
	}))
	t.Cleanup(dashboards.Close)
	b := newEnvBed(t, secret("dash", map[string]string{"username": "ann", "password": "hunter2"}))
	b.environment("shop", func(s *v1alpha1.EnvironmentSpec) {
		s.Dashboards = &v1alpha1.DashboardsTarget{URL: dashboards.URL, Tenant: "shop", Auth: &v1alpha1.Auth{SecretRef: &v1alpha1.SecretRef{Name: "dash"}}}
	})
	got, _ := b.look("shop")
	b.is(got, "Ready/NothingToApply")
	if is, want := <-asked, "Basic "+base64.StdEncoding.EncodeToString([]byte("ann:hunter2"))+" shop"; is != want {
		t.Errorf("it was asked with %q, want %q", is, want)
	}
}

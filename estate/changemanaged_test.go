package estate_test

import (
	"strings"
	"testing"

	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/estate"
)

const oldPolicy = `
default_state: hot
states:
  - {name: hot, transitions: [{state_name: warm, conditions: {min_index_age: 5d}}]}
  - {name: warm, transitions: [{state_name: gone, conditions: {min_index_age: 30d}}]}
  - {name: gone, actions: [{delete: {}}]}
`

// managing declares a policy and puts three indices under it, one of them in a state that the next version does not have.
func managing(t *testing.T, declares bool) *bench {
	t.Helper()
	b := newBench(t)
	if declares {
		b.file("base/env.yaml", "ism: {changeManaged: true}\n")
	}
	b.file("base/ism-policies/web.yaml", oldPolicy)
	b.apply(b.plan())
	for _, name := range []string{"web-1", "web-2", "web-3"} {
		b.send("PUT", "/"+name, `{}`)
		b.send("POST", "/_plugins/_ism/add/"+name, `{"policy_id": "web"}`)
	}
	b.fake.SetISMState("web-2", "warm")
	b.fake.SetISMState("web-3", "gone")
	b.file("base/ism-policies/web.yaml", strings.NewReplacer("gone", "over", "30d", "20d").Replace(oldPolicy))
	return b
}

func (b *bench) versions() [3]int64 {
	var out [3]int64
	for i, name := range []string{"web-1", "web-2", "web-3"} {
		_, out[i] = b.fake.ISMPolicy(name)
	}
	return out
}

func TestIndicesThatAPolicyManagesGetItsNewVersionWhereThatIsDeclared(t *testing.T) {
	b := managing(t, true)
	was := b.versions()
	p := b.plan()
	effects := strings.Join(p.Changes[0].Effects, "\n")
	for _, want := range []string{"then gives this version to 2 indices that it manages: 1 in hot, 1 in warm", "this version has no state gone: 1 index in it keep"} {
		if !strings.Contains(effects, want) {
			t.Errorf("%q is not among\n%s", want, effects)
		}
	}
	run := b.apply(p)
	is := b.versions()
	if is[0] == was[0] || is[1] == was[1] || is[2] != was[2] {
		t.Errorf("versions were %v, are %v", was, is)
	}
	b.wants(b.plan())
	d, _ := b.observe()
	undo, err := estate.NewUndo(t.Context(), b.target(), d, run.ID, b.now)
	if err != nil {
		t.Fatal(err)
	}
	b.apply(undo)
	if back := b.versions(); back[0] == is[0] || back[1] == is[1] {
		t.Errorf("after the undo versions are %v, as before", back)
	}
}

func TestIndicesKeepTheirVersionOfAPolicyUnlessToldOtherwise(t *testing.T) {
	b := managing(t, false)
	was := b.versions()
	p := b.plan()
	if effects := strings.Join(p.Changes[0].Effects, "\n"); !strings.Contains(effects, "until change_policy") {
		t.Errorf("%s", effects)
	}
	b.apply(p)
	if is := b.versions(); is != was {
		t.Errorf("versions were %v, are %v", was, is)
	}
}

func TestAnApplyThatDiesBeforeIndicesGotTheNewVersionLeavesThatToTheNextPlan(t *testing.T) {
	b := managing(t, true)
	was := b.versions()
	b.fake.SetHook(func(r *osfake.Request) osfake.Fault {
		if r.API == "ism_change" {
			return osfake.Fault{Status: 500, Type: "status_exception", Reason: "no"}
		}
		return osfake.Fault{}
	})
	a := estate.Applier{Target: b.target(), By: "tester", Now: timeNow}
	if _, err := a.Apply(t.Context(), b.plan()); err == nil || !strings.Contains(err.Error(), "give the new version to the indices") {
		t.Fatalf("%v", err)
	}
	b.fake.SetHook(nil)
	p := b.plan()
	b.wants(p, "change ism-policies/web")
	b.apply(p)
	if is := b.versions(); is[0] == was[0] || is[1] == was[1] {
		t.Errorf("versions were %v, are %v", was, is)
	}
	b.wants(b.plan())
}

package kafka

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func routeAdmin(t testing.TB, brokers []string) *Admin {
	t.Helper()
	a, err := (&Config{Brokers: brokers}).Admin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

func setRoute(t testing.TB, a *Admin, r Route) *Route {
	t.Helper()
	is, err := a.SetRoute(t.Context(), "g", "t", func(x *Route) { x.Canary, x.Stable, x.Weight, x.Mirror = r.Canary, r.Stable, r.Weight, r.Mirror })
	if err != nil {
		t.Fatal(err)
	}
	return is
}

func TestARouteIsKeptInKafka(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	a := routeAdmin(t, c.ListenAddrs())
	if r, err := a.Route(t.Context(), "g"); r != nil || err != nil {
		t.Fatalf("before there was any: %v, %v", r, err)
	}
	if _, err := a.SetRoute(t.Context(), "g", "", func(r *Route) { r.Stable = "a" }); err == nil {
		t.Error("nobody said which topic carries it, and it was written")
	}
	first := setRoute(t, a, Route{Stable: "a"})
	again := setRoute(t, a, Route{Stable: "a"})
	if first.Version != again.Version {
		t.Errorf("nothing changed, and the version went from %d to %d", first.Version, again.Version)
	}
	second := setRoute(t, a, Route{Stable: "a", Canary: "b", Weight: 25})
	if second.Version <= first.Version {
		t.Errorf("version %d follows %d", second.Version, first.Version)
	}
	r, err := a.Route(t.Context(), "g")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(second, r); d != "" {
		t.Error(d)
	}
	if _, err := a.SetRoute(t.Context(), "g", "", func(r *Route) { r.Weight = 101 }); err == nil {
		t.Error("a weight of 101 was written")
	}
	if _, err := a.SetRoute(t.Context(), "g", "", func(r *Route) { r.Canary = "Über/../x" }); err == nil {
		t.Error("a version that is no name was written")
	}
	if err := a.ClearRoute(t.Context(), "g"); err != nil {
		t.Fatal(err)
	}
	if r, err := a.Route(t.Context(), "g"); err != nil || !r.free() || r.Version <= second.Version {
		t.Errorf("after it was cleared: %+v, %v", r, err)
	}
}

func TestWhatIsNoRouteIsSaidAndNotTaken(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	a := routeAdmin(t, c.ListenAddrs())
	for _, metadata := range []string{"x", `{"weight":101}`, `{"stable":"A B"}`, strings.Repeat(" ", mostRoute+1), `{"version":-1}`, `[]`} {
		o := kadm.Offsets{}
		o.Add(kadm.Offset{Topic: "t", At: 1, LeaderEpoch: -1, Metadata: metadata})
		if err := a.adm.CommitAllOffsets(t.Context(), RouteGroup("g"), o); err != nil {
			t.Fatal(err)
		}
		if r, err := a.Route(t.Context(), "g"); r != nil || !errors.Is(err, errRoute) {
			t.Errorf("%.20s: %v, %v", metadata, r, err)
		}
	}
	if err := a.ClearRoute(t.Context(), "g"); err != nil {
		t.Error(err)
	}
	if r, err := a.Route(t.Context(), "g"); r != nil || err != nil {
		t.Errorf("cleared: %v, %v", r, err)
	}
}

func TestARouteOutlivesWhatIsSetByItsCopy(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	a := routeAdmin(t, c.ListenAddrs())
	set := setRoute(t, a, Route{Stable: "a", Canary: "b", Weight: 10})
	watch := a.WatchRoute("g", newReader(&Reading{}, "", nil).log)
	watch.jitter = 0
	if _, err := watch.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	drop := func(group string) {
		t.Helper()
		if _, err := a.adm.DeleteGroup(t.Context(), group); err != nil {
			t.Fatal(err)
		}
	}
	drop(RouteGroup("g")) // as offsets.retention.minutes does
	r, err := watch.Look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(set, r); d != "" {
		t.Error(d)
	}
	// The copy is older than what is set later.
	later := setRoute(t, a, Route{Stable: "b"})
	if r, err := watch.Look(t.Context()); err != nil || r.Version != later.Version {
		t.Errorf("%+v, %v", r, err)
	}
	drop(RouteGroup("g"))
	drop(keptGroup("g"))
	for i := range lostAfter + 1 {
		r, err := watch.Look(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if lost := i >= lostAfter-1; lost != (r.Version != later.Version) || r.Stable != "b" {
			t.Errorf("look %d: %+v", i, r)
		}
	}
	if r, err := a.WatchRoute("g", nil).Look(t.Context()); r != nil || err != nil {
		t.Errorf("who never knew it sees %v, %v", r, err)
	}
	if again := setRoute(t, a, Route{Stable: "c"}); again.Version <= later.Version+1 {
		t.Errorf("version %d after a loss: those who knew %d pass it over", again.Version, later.Version)
	}
}

// keepRoute looks that brokers take a route and its copy.
func keepRoute(t *testing.T, brokers []string, topic string) {
	a := routeAdmin(t, brokers)
	set, err := a.SetRoute(t.Context(), "kept", topic, func(r *Route) { r.Stable = "a" })
	if err != nil {
		t.Fatal(err)
	}
	watch := a.WatchRoute("kept", newReader(&Reading{}, "", nil).log)
	watch.jitter = 0
	if _, err := watch.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	f, err := fetchStored(t.Context(), a.adm, "kept", keptGroup("kept"))
	if err != nil || f.storedRoute == nil || f.Version != set.Version || f.Kept.IsZero() {
		t.Errorf("the copy is not there: %+v, %v", f, err)
	}
}

func TestRolesOfVersions(t *testing.T) {
	r := func(canary, stable string, weight int, mirror bool) *Route {
		return &Route{Canary: canary, Stable: stable, Weight: weight, Mirror: mirror}
	}
	for _, x := range []struct {
		route *Route
		hash  string
		want  RouteRole
	}{
		{nil, "a", RouteAlone}, {r("", "", 0, false), "a", RouteAlone}, {r("a", "", 0, false), "a", RouteAlone},
		{r("", "a", 0, false), "a", RouteStable}, {r("b", "a", 50, false), "a", RouteStable}, {r("a", "a", 0, true), "a", RouteStable},
		{r("b", "a", 0, true), "b", RouteShadow}, {r("b", "a", 0, false), "b", RouteCanary}, {r("b", "a", 10, true), "b", RouteCanary},
		{r("b", "a", 10, true), "c", RouteWaits}, {r("", "a", 0, false), "b", RouteWaits},
	} {
		if got := x.route.Role(x.hash); got != x.want {
			t.Errorf("%+v: %s is %s, want %s", x.route, x.hash, got, x.want)
		}
	}
}

func TestSharesAreRounded(t *testing.T) {
	for _, x := range []struct{ all, weight, want int }{
		{8, 0, 0}, {8, 25, 2}, {8, 50, 4}, {8, 100, 8}, {8, 1, 1}, {8, 99, 7}, {3, 50, 2}, {1, 1, 0}, {1, 49, 0}, {1, 50, 1}, {1, 100, 1}, {0, 50, 0}, {1000, 1, 10},
		{2, 1, 1}, {2, 99, 1},
	} {
		r := &Route{Stable: "a", Canary: "b", Weight: x.weight}
		if got := r.CanaryShare(x.all); got != x.want {
			t.Errorf("%d %% of %d partitions: %d, want %d", x.weight, x.all, got, x.want)
		}
	}
}

func TestAMirrorBeginsWhereTheLiveGroupIs(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(2, "t"))
	a := routeAdmin(t, c.ListenAddrs())
	commit := func(group string, at int64) {
		t.Helper()
		o := kadm.Offsets{}
		o.Add(kadm.Offset{Topic: "t", Partition: 0, At: at, LeaderEpoch: -1})
		if err := a.adm.CommitAllOffsets(t.Context(), group, o); err != nil {
			t.Fatal(err)
		}
	}
	begin := func(want int64) {
		t.Helper()
		shadow, err := a.BeginShadow(t.Context(), "g", "b", nil)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(map[string]int64{"t/0": want}, committed(t, c.ListenAddrs(), shadow)); d != "" {
			t.Error(d)
		}
	}
	if _, err := a.BeginShadow(t.Context(), "g", "b", nil); err != nil {
		t.Errorf("the live group has read nothing: %v", err)
	}
	commit("g", 5)
	begin(5)
	commit("g", 9)
	begin(5) // another process of the same version, or the same one again
	setRoute(t, a, Route{Stable: "a", Canary: "b", Mirror: true})
	begin(9) // a new mirror
	commit("g", 30)
	commit(ShadowGroup("g", "b"), 20)
	for most, want := range map[int64][]OffsetSpan{100: {{"t", 0, 9, 20}}, 5: {{"t", 0, 15, 20}}, 0: {}} {
		if got, err := a.ShadowSpan(t.Context(), "g", "b", most); err != nil || !slices.Equal(got, want) {
			t.Errorf("at most %d: %v, %v", most, got, err)
		}
	}
	setRoute(t, a, Route{Stable: "a", Canary: "b"})
	commit("g", 12)
	setRoute(t, a, Route{Stable: "a", Canary: "b", Mirror: true})
	begin(12)
}

func FuzzRoutesOfOthers(f *testing.F) {
	f.Add(`{"version":1,"canary":"b","stable":"a","weight":25,"mirror":true,"at":"2026-11-24T10:00:00Z"}`)
	f.Add(`{"weight":-1}`)
	f.Add(`{"hash":"a","route":{"stable":"b"}}`)
	f.Fuzz(func(t *testing.T, s string) {
		if r, err := parseRoute(s); err == nil {
			again, err := parseRoute(r.encode())
			if err != nil && len(r.encode()) <= mostRoute {
				t.Errorf("%q: %v", s, err)
			}
			if err == nil && again.Version != r.Version {
				t.Errorf("%q: another version", s)
			}
		}
		if n, ok := parseNote([]byte(s)); ok && n.Route != nil && n.Route.Validate() != nil {
			t.Errorf("%q is taken", s)
		}
	})
}

func TestOnlyGroupsThatAShadowBeganWithAreRemoved(t *testing.T) {
	c, ctx := newCluster(t, kfake.SeedTopics(2, "t")), t.Context()
	a := routeAdmin(t, c.ListenAddrs())
	commit := func(group, note string) {
		t.Helper()
		o := kadm.Offsets{}
		o.Add(kadm.Offset{Topic: "t", At: 7, LeaderEpoch: -1, Metadata: note})
		if err := a.adm.CommitAllOffsets(ctx, group, o); err != nil {
			t.Fatal(err)
		}
	}
	commit("g", "what the consumer says")
	for _, hash := range []string{"v2", "v3", "v4"} {
		if _, err := a.BeginShadow(ctx, "g", hash, nil); err != nil {
			t.Fatal(err)
		}
	}
	commit("g.shadow-v2", "") // its members commit
	if _, err := a.adm.DeleteGroup(ctx, "g.shadow-v4"); err != nil {
		t.Fatal(err) // somebody died between the two
	}
	// Called alike, by others; and another group's shadow.
	commit("g.shadow-v2.mine", "")
	commit("g.shadow-v9.from", "somebody's")
	commit("g.shadow-v9", "")
	commit("h", "")
	if _, err := a.BeginShadow(ctx, "h", "v2", nil); err != nil {
		t.Fatal(err)
	}
	removed, err := a.RemoveShadows(ctx, "g", func(hash string) bool { return hash != "v3" })
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"g.shadow-v2", "g.shadow-v2.from", "g.shadow-v4.from"}, removed); d != "" {
		t.Error(d)
	}
	listed, err := a.adm.ListGroups(ctx)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"g", "g.shadow-v2.mine", "g.shadow-v3", "g.shadow-v3.from", "g.shadow-v9", "g.shadow-v9.from", "h", "h.shadow-v2", "h.shadow-v2.from"}
	if d := cmp.Diff(want, slices.Sorted(maps.Keys(listed))); d != "" {
		t.Error(d)
	}
	// Who reads still is not cut off, and what says that it was a shadow stays until then.
	member, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumerGroup("g.shadow-v3"), kgo.ConsumeTopics("t"))
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n == 0; {
		if n, err = a.ShadowReaders(ctx, "g", "v3"); err != nil {
			t.Fatal(err)
		}
	}
	if removed, err := a.RemoveShadows(ctx, "g", func(string) bool { return true }); err == nil || len(removed) > 0 {
		t.Errorf("removed %q under a member (%v)", removed, err)
	}
	member.Close()
	if n, err := a.ShadowReaders(ctx, "g", "never"); n != 0 || err != nil {
		t.Errorf("%d members of a group that is not there, %v", n, err)
	}
	if removed, err := a.RemoveShadows(ctx, "g", func(string) bool { return true }); err != nil || len(removed) != 2 {
		t.Errorf("removed %q, %v", removed, err)
	}
}

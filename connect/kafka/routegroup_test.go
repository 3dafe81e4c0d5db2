package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/narudata/naru/flow/stream"
)

// owners watches that no partition has two streams at a time.
type owners struct {
	mu     sync.Mutex // guards what follows
	now    map[tp]string
	double []string
	taken  map[string]int // by version: streams opened
}

func (o *owners) owned(hash string) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, h := range o.now {
		if h == hash {
			n++
		}
	}
	return n
}

// watched is a Group whose streams are counted.
type watched struct {
	*Group
	o *owners
}

func (w watched) Run(ctx context.Context, open func(stream.Stream)) error {
	return w.Group.Run(ctx, func(s stream.Stream) {
		p, ok := s.(*partition)
		if !ok {
			panic("BUG: a group has other streams")
		}
		w.o.mu.Lock()
		if other, taken := w.o.now[p.tp]; taken {
			w.o.double = append(w.o.double, fmt.Sprintf("%s/%d: %s and %s", p.tp.topic, p.tp.partition, other, w.Route.Hash))
		}
		w.o.now[p.tp] = w.Route.Hash
		w.o.taken[w.Route.Hash]++
		w.o.mu.Unlock()
		open(watchedStream{s, p.tp, w.o})
	})
}

type watchedStream struct {
	stream.Stream
	at tp
	o  *owners
}

func (w watchedStream) Close() error {
	w.o.mu.Lock()
	delete(w.o.now, w.at)
	w.o.mu.Unlock()
	return w.Stream.Close()
}

// routes is a group under a route whose members come and go while records are written.
type routes struct {
	t       *testing.T
	brokers []string
	admin   *Admin
	books   *ledger
	owners  *owners
	e       *engine
	total   atomic.Int64
	stop    chan struct{}
	writing sync.WaitGroup
	members map[string][]*running
}

func newRoutes(t *testing.T, brokers []string) *routes {
	t.Helper()
	r := &routes{
		t: t, brokers: brokers, admin: routeAdmin(t, brokers), books: &ledger{}, owners: &owners{now: map[tp]string{}, taken: map[string]int{}},
		stop: make(chan struct{}), members: map[string][]*running{},
	}
	r.e = &engine{to: r.books, maxRecords: 20, inFlight: 2, delay: func() time.Duration { return 2 * time.Millisecond }}
	r.writing.Go(func() {
		for {
			select {
			case <-r.stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
			produce(t, brokers, "t", int(r.total.Load()), 20)
			r.total.Add(20)
		}
	})
	return r
}

func (r *routes) member(hash string) *Group {
	g := quick(r.brokers, "t")
	g.Route = &Routing{Hash: hash, Every: 100 * time.Millisecond}
	return g
}

func (r *routes) start(hash string, n int) {
	for range n {
		r.members[hash] = append(r.members[hash], start(r.e, watched{r.member(hash), r.owners}))
	}
}

func (r *routes) end(hash string) {
	for _, m := range r.members[hash] {
		m.end(r.t)
	}
	delete(r.members, hash)
}

func (r *routes) set(route Route) { setRoute(r.t, r.admin, route) }

// settled waits until the group is divided as its route says, with so many partitions of the canary.
func (r *routes) settled(canary int) *RouteStatus {
	r.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		s, err := r.admin.RouteStatus(r.t.Context(), "g")
		if err != nil {
			r.t.Fatal(err)
		}
		if s.Settled && s.Canary == canary {
			return s
		}
		if time.Now().After(end) {
			r.t.Fatalf("the canary has %d partitions, want %d; %s: %+v", s.Canary, canary, s.Why, s)
		}
	}
}

func (r *routes) finish() {
	r.t.Helper()
	close(r.stop)
	r.writing.Wait()
	total := int(r.total.Load())
	r.books.waitFor(r.t, total, 30*time.Second)
	for _, hash := range slices.Sorted(maps.Keys(r.members)) {
		r.end(hash)
	}
	if doubled := r.books.check(r.t, total); doubled > 0 {
		r.t.Errorf("%d of %d records came twice", doubled, total)
	}
	if len(r.owners.double) > 0 {
		r.t.Errorf("at two members at a time: %v", r.owners.double)
	}
	if c := r.e.complaints(); len(c) > 0 {
		r.t.Error(c)
	}
	r.t.Logf("%d records, streams of versions: %v", total, r.owners.taken)
}

// canary is one release by weights: what a rollout does.
func (r *routes) canary(partitions int) {
	r.t.Helper()
	r.set(Route{Stable: "a"})
	r.start("a", 2)
	r.settled(0)
	r.set(Route{Stable: "a", Canary: "b"})
	r.start("b", 2)
	r.settled(0)
	for _, weight := range []int{25, 50, 100} {
		r.set(Route{Stable: "a", Canary: "b", Weight: weight})
		r.settled(partitions * weight / 100)
	}
	r.set(Route{Stable: "b", Canary: "b"}) // promoted: nothing moves
	before := r.taken()
	r.settled(0)
	if after := r.taken(); after != before {
		r.t.Errorf("%d partitions moved at the promotion", after-before)
	}
	r.end("a")
}

func (r *routes) taken() (n int) {
	r.owners.mu.Lock()
	defer r.owners.mu.Unlock()
	for _, k := range r.owners.taken {
		n += k
	}
	return n
}

func TestACanaryTakesItsShareUnderLoadAndNothingIsLostOrDoubled(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(8, "t"))
	release(t, c.ListenAddrs())
}

// release takes a canary to the end, and aborts the next one; the topic t has eight partitions.
func release(t *testing.T, brokers []string) {
	r := newRoutes(t, brokers)
	r.canary(8)
	// The next release is aborted.
	r.set(Route{Stable: "b", Canary: "c", Weight: 0})
	r.start("c", 1)
	r.set(Route{Stable: "b", Canary: "c", Weight: 50})
	r.settled(4)
	r.set(Route{Stable: "b", Canary: "c", Weight: 0})
	r.settled(0)
	if n := r.owners.owned("c"); n > 0 {
		t.Errorf("aborted, and it has %d partitions", n)
	}
	r.end("c")
	r.finish()
}

func TestMembersOfACanaryThatDieGiveTheirShareToTheStableVersion(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(8, "t"))
	r := newRoutes(t, c.ListenAddrs())
	r.set(Route{Stable: "a", Canary: "b", Weight: 50})
	r.start("a", 1)
	r.start("b", 1)
	r.settled(4)
	r.end("b")
	waitOwned(t, r, "a", 8)
	r.start("b", 2)
	r.settled(4)
	r.end("a") // the leader, too
	waitOwned(t, r, "b", 8)
	r.start("a", 1)
	r.settled(4)
	r.finish()
}

func waitOwned(t *testing.T, r *routes, hash string, n int) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); r.owners.owned(hash) != n; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s has %d partitions, want %d", hash, r.owners.owned(hash), n)
		}
	}
}

func TestAVersionThatTheRouteDoesNotNameWaits(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(4, "t"))
	r := newRoutes(t, c.ListenAddrs())
	r.set(Route{Stable: "a"})
	r.start("b", 1) // before anybody has told the route of it
	time.Sleep(time.Second)
	if n := r.owners.owned("b"); n > 0 {
		t.Errorf("it has %d partitions", n)
	}
	r.start("a", 1)
	waitOwned(t, r, "a", 4)
	if err := r.admin.ClearRoute(t.Context(), "g"); err != nil {
		t.Fatal(err)
	}
	waitOwned(t, r, "b", 2)
	r.finish()
}

func TestALostRouteGivesEverythingToTheStableVersion(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(4, "t"))
	r := newRoutes(t, c.ListenAddrs())
	r.set(Route{Stable: "a", Canary: "b", Weight: 50})
	r.start("a", 1)
	r.start("b", 1)
	r.settled(2)
	for _, group := range []string{RouteGroup("g"), keptGroup("g")} {
		if _, err := r.admin.adm.DeleteGroup(t.Context(), group); err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
			t.Fatal(err)
		}
	}
	waitOwned(t, r, "a", 4)
	r.set(Route{Stable: "a", Canary: "b", Weight: 50})
	r.settled(2)
	r.finish()
}

func TestARouteThatIsSetAfterALossCountsWhoeversClockWasAhead(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(4, "t"))
	r := newRoutes(t, c.ListenAddrs())
	ahead := time.Now().Add(time.Hour)
	if err := writeRoute(t.Context(), r.admin.adm, RouteGroup("g"), "t", &storedRoute{Route: Route{Version: ahead.UnixMicro(), Stable: "a", At: ahead}}); err != nil {
		t.Fatal(err)
	}
	r.start("a", 1)
	waitOwned(t, r, "a", 4)
	for _, name := range []string{RouteGroup("g"), keptGroup("g")} {
		if _, err := r.admin.adm.DeleteGroup(t.Context(), name); err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
			t.Fatal(err)
		}
	}
	r.set(Route{Stable: "a", Canary: "b", Weight: 50})
	r.start("b", 1)
	r.settled(2)
	r.finish()
}

func TestNeverMoreReadersThanPartitions(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(2, "t"))
	r := newRoutes(t, c.ListenAddrs())
	r.set(Route{Stable: "a", Canary: "b", Weight: 50})
	r.start("a", 3)
	r.start("b", 2)
	s := r.settled(1)
	reading := 0
	for _, m := range s.Members {
		if m.Partitions > 0 {
			reading++
		}
	}
	if reading != 2 || len(s.Members) != 5 {
		t.Errorf("%d of %d members read 2 partitions", reading, len(s.Members))
	}
	r.finish()
}

// A group goes over to routes by a rolling update: while old members are there, all divide as those do.
func TestAGroupGoesOverToRoutesWithoutLosingOrDoublingAnything(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(4, "t"))
	r := newRoutes(t, c.ListenAddrs())
	r.set(Route{Stable: "a", Canary: "b", Weight: 0})
	old := start(r.e, quick(r.brokers, "t"))
	time.Sleep(500 * time.Millisecond)
	r.start("a", 1)
	r.start("b", 1)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		s, err := r.admin.RouteStatus(t.Context(), "g")
		if err != nil {
			t.Fatal(err)
		}
		if s.Protocol == "cooperative-sticky" && len(s.Members) == 3 && s.State == "Stable" {
			if s.Settled || !strings.Contains(s.Why, "do not know routes") {
				t.Errorf("it is taken for settled, or not said: %s", s.Why)
			}
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%+v", s)
		}
	}
	old.end(t)
	s := r.settled(0)
	if s.Protocol != routeProtocol {
		t.Errorf("the group divides by %s", s.Protocol)
	}
	r.finish()
}

func TestWhatDoesNotGoWithARouteIsRefused(t *testing.T) {
	for want, change := range map[string]func(*Group){
		"leaves it to the brokers":         func(g *Group) { g.Protocol = "consumer" },
		"goes with cooperative-sticky":     func(g *Group) { g.Assignors = []string{"range"} },
		"want up to 63 lower-case letters": func(g *Group) { g.Route.Hash = "" },
	} {
		g := quick([]string{"127.0.0.1:1"}, "t")
		g.Route = &Routing{Hash: "a"}
		change(g)
		if err := g.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

package opensearch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/flowtest"
	"github.com/narudata/naru/internal/testbed"
)

func connected(t testing.TB, url string) *Client {
	t.Helper()
	var c *Client
	err := patiently(t.Context(), func() (err error) {
		c, err = Target{URLs: []string{url}}.Connect(t.Context(), func(string) string { return "" })
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func opened(t testing.TB, url, carry string, o LedgerOptions) *Ledger {
	t.Helper()
	l, err := OpenLedger(t.Context(), connected(t, url), carry, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A clock is moved by hand.
type clock struct {
	mu sync.Mutex
	t  time.Time // guarded by mu
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// timed opens a ledger with a clock of its own, which is wrong by that much.
func timed(t testing.TB, url string, wrong time.Duration) (*Ledger, *clock) {
	t.Helper()
	l := opened(t, url, "carry", LedgerOptions{Lease: time.Minute})
	c := &clock{t: time.Now().Add(wrong)}
	l.now = c.now
	return l, c
}

func TestTheLedgerPassesTheSuiteOnEachServer(t *testing.T) {
	for _, v := range []osfake.Version{osfake.OpenSearch2, osfake.OpenSearch3, osfake.Elasticsearch7, osfake.Elasticsearch8} {
		t.Run(fmt.Sprintf("%t-%s", v.OpenSearch, v.Number), func(t *testing.T) {
			fake := osfake.Start(t, osfake.Options{Version: v})
			flowtest.Ledger(t, true, func(t *testing.T, dir string) flow.Ledger { return opened(t, fake.URL(), dir, LedgerOptions{}) })
		})
	}
}

func TestTheLedgerPassesTheSuiteOnARealServer(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	keepsALedger(t, "os219")
}

func keepsALedger(t *testing.T, name string) {
	t.Helper()
	ok, missing := testbed.CanStart(t, name)
	testbed.Need(t, ok, missing)
	node := testbed.Start(t, name, testbed.Options{})
	t.Run("Suite", func(t *testing.T) {
		flowtest.Ledger(t, true, func(t *testing.T, dir string) flow.Ledger { return opened(t, node.URL, dir, LedgerOptions{}) })
	})
	t.Run("Workers", func(t *testing.T) { manyWorkers(t, node.URL, flowtest.NewFeed(100, 3, 150), 10*time.Second) })
}

func TestSeveralWorkersMayMakeTheIndexAtOnce(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	c := connected(t, fake.URL())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := OpenLedger(t.Context(), c, "carry", LedgerOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	settings := fake.Settings(DefaultLedgerIndex)
	if settings["index.hidden"] != "true" || settings["index.number_of_shards"] != "1" || settings["index.auto_expand_replicas"] != "0-1" {
		t.Errorf("settings: %v", settings)
	}
	if docs := fake.Documents(DefaultLedgerIndex); len(docs) != 1 {
		t.Errorf("%d documents for one carry", len(docs))
	}
}

func TestCarriesDoNotMeet(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	p := flow.Part{ID: "p", Group: "g"}
	for _, carry := range []string{"one", "two"} {
		l := opened(t, fake.URL(), carry, LedgerOptions{})
		if cp, err := l.Claim(t.Context(), p); err != nil || len(cp.Position) > 0 {
			t.Errorf("%s: %+v, %v", carry, cp, err)
		}
		if err := l.Save(t.Context(), flow.Checkpoint{Part: "p", Group: "g", Position: flow.Position(carry)}); err != nil {
			t.Error(err)
		}
	}
}

func TestClocksThatAreWrongTakeNoPartFromALiveWorker(t *testing.T) {
	for _, wrong := range []time.Duration{-24 * time.Hour, -time.Minute, 0, time.Minute, 24 * time.Hour} {
		fake := osfake.Start(t, osfake.Options{})
		a, clockA := timed(t, fake.URL(), wrong)
		b, clockB := timed(t, fake.URL(), -wrong)
		p := flow.Part{ID: "p", Group: "g"}
		if _, err := a.Claim(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		pass := func(d time.Duration) { clockA.pass(d); clockB.pass(d) }
		for n := range 18 { // a saves each 30 s, b tries each 10 s
			if _, err := b.Claim(t.Context(), p); !errors.Is(err, flow.ErrTaken) {
				t.Fatalf("wrong by %v: claim of a live worker's part: %v", wrong, err)
			}
			pass(10 * time.Second)
			if n%3 == 2 {
				if err := a.Save(t.Context(), flow.Checkpoint{Part: "p", Group: "g", Position: flow.Position(fmt.Sprint(n))}); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range 6 { // a has died
			if _, err := b.Claim(t.Context(), p); !errors.Is(err, flow.ErrTaken) {
				t.Fatalf("wrong by %v: claim before the lease has ended: %v", wrong, err)
			}
			pass(9 * time.Second)
		}
		pass(10 * time.Second)
		if cp, err := b.Claim(t.Context(), p); err != nil || string(cp.Position) != "17" {
			t.Fatalf("wrong by %v: claim of a dead worker's part: %q, %v", wrong, cp.Position, err)
		}
		if err := a.Save(t.Context(), flow.Checkpoint{Part: "p", Group: "g", Position: flow.Position("late")}); !errors.Is(err, flow.ErrLost) {
			t.Errorf("wrong by %v: the dead one saves: %v", wrong, err)
		}
		if err := b.Save(t.Context(), flow.Checkpoint{Part: "p", Group: "g", Position: flow.Position("mine")}); err != nil {
			t.Errorf("wrong by %v: the new one saves: %v", wrong, err)
		}
	}
}

func TestAWorkerKnowsItsOwnWritesWhoseAnswersWereLost(t *testing.T) {
	for _, cut := range []osfake.Cut{osfake.CutAfter, osfake.CutMiddle} {
		fake := osfake.Start(t, osfake.Options{})
		a := opened(t, fake.URL(), "carry", LedgerOptions{})
		b, now := timed(t, fake.URL(), 0)
		losing := func(f func() error) error {
			fake.SetHook(func(r *osfake.Request) osfake.Fault {
				if r.Method == http.MethodPut || r.API == "bulk" {
					return osfake.Fault{Cut: cut}
				}
				return osfake.Fault{}
			})
			err := f()
			fake.SetHook(nil)
			return err
		}
		p := flow.Part{ID: "p", Group: "g"}
		claim := func(l *Ledger) error { _, err := l.Claim(t.Context(), p); return err }
		save := func(position string, done bool) func() error {
			return func() error {
				return a.Save(t.Context(), flow.Checkpoint{Part: "p", Group: "g", Position: flow.Position(position), Done: done})
			}
		}
		if err := losing(func() error { return claim(a) }); err == nil || errors.Is(err, flow.ErrTaken) {
			t.Fatalf("cut %v: claim without an answer: %v", cut, err)
		}
		if err := claim(b); !errors.Is(err, flow.ErrTaken) {
			t.Errorf("cut %v: another claims it: %v", cut, err)
		}
		if err := claim(a); err != nil {
			t.Fatalf("cut %v: claim again: %v", cut, err)
		}
		for _, s := range []func() error{save("1", false), save("2", true)} {
			if err := losing(s); err == nil || errors.Is(err, flow.ErrLost) {
				t.Fatalf("cut %v: save without an answer: %v", cut, err)
			}
			if err := s(); err != nil {
				t.Fatalf("cut %v: save again: %v", cut, err)
			}
		}
		now.pass(2 * time.Second)
		if err := claim(b); !errors.Is(err, flow.ErrDone) {
			t.Errorf("cut %v: claim of a done part: %v", cut, err)
		}
	}
}

func TestPartsThatAreDoneCostNoRequestEach(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	l := opened(t, fake.URL(), "carry", LedgerOptions{})
	const parts = 2500
	for i := range parts {
		id := fmt.Sprintf("part-%d", i)
		if _, err := l.Claim(t.Context(), flow.Part{ID: id, Group: "g"}); err != nil {
			t.Fatal(err)
		}
		if err := l.Save(t.Context(), flow.Checkpoint{Part: id, Group: "g", Done: true, Tally: flow.Tally{Read: int64(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	before := len(fake.Requests())
	again := opened(t, fake.URL(), "carry", LedgerOptions{})
	for i := range parts {
		cp, err := again.Claim(t.Context(), flow.Part{ID: fmt.Sprintf("part-%d", i), Group: "g"})
		if !errors.Is(err, flow.ErrDone) || cp.Tally.Read != int64(i) {
			t.Fatalf("part %d: %+v, %v", i, cp, err)
		}
	}
	if n := len(fake.Requests()) - before; n > 12 {
		t.Errorf("%d requests for %d parts that are done", n, parts)
	}
}

func TestWhatOthersHaveDoneIsReadInPagesToo(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	a, b := opened(t, fake.URL(), "carry", LedgerOptions{}), opened(t, fake.URL(), "carry", LedgerOptions{})
	late := &clock{t: time.Now()}
	b.now = late.now
	part := func(i int) flow.Part { return flow.Part{ID: fmt.Sprintf("part-%d", i), Group: "g"} }
	for i := range 300 {
		if _, err := a.Claim(t.Context(), part(i)); err != nil {
			t.Fatal(err)
		}
		if err := a.Save(t.Context(), flow.Checkpoint{Part: part(i).ID, Group: "g", Done: true}); err != nil {
			t.Fatal(err)
		}
	}
	late.pass(syncInterval)
	before := len(fake.Requests())
	for i := range 300 {
		if _, err := b.Claim(t.Context(), part(i)); !errors.Is(err, flow.ErrDone) {
			t.Fatal(err)
		}
	}
	if n := len(fake.Requests()) - before; n > 12 {
		t.Errorf("%d requests to find out that 300 parts are done", n)
	}
}

func TestAPausedCarryDrainsAndGivesNothingOut(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	l, now := timed(t, fake.URL(), 0)
	c := connected(t, fake.URL())
	p, q := flow.Part{ID: "p", Group: "g"}, flow.Part{ID: "q", Group: "g"}
	if _, err := l.Claim(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	paused := l.Paused()
	if err := SetPaused(t.Context(), c, "", "carry", true); err != nil {
		t.Fatal(err)
	}
	now.pass(pauseInterval)
	if err := l.Save(t.Context(), flow.Checkpoint{Part: "p", Group: "g", Position: flow.Position("1")}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-paused:
	default:
		t.Error("a save did not tell that the carry is paused")
	}
	if _, err := l.Claim(t.Context(), q); !errors.Is(err, flow.ErrTaken) {
		t.Errorf("claim while paused: %v", err)
	}
	if err := l.Save(t.Context(), flow.Checkpoint{Part: "p", Group: "g", Position: flow.Position("2")}); err != nil {
		t.Errorf("what is on its way cannot be saved: %v", err)
	}
	if err := SetPaused(t.Context(), c, "", "carry", false); err != nil {
		t.Fatal(err)
	}
	if err := l.AwaitResume(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-l.Paused():
		t.Error("still paused")
	default:
	}
	if _, err := l.Claim(t.Context(), q); err != nil {
		t.Errorf("claim when resumed: %v", err)
	}
	if err := SetPaused(t.Context(), c, "", "another", true); !errors.Is(err, ErrNoCarry) {
		t.Errorf("pausing what is not there: %v", err)
	}
}

func TestTheStatusOfACarryIsSeenFromElsewhere(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	groups := []flow.Group{{Name: "a", Records: 100}, {Name: "b", Records: 50}}
	l := opened(t, fake.URL(), "s3://x", LedgerOptions{Worker: "w1", Groups: groups, Options: []byte(`{"from":"s3://x"}`)})
	for _, part := range []flow.Part{{ID: "a/0", Group: "a"}, {ID: "a/1", Group: "a"}, {ID: "b/0", Group: "b"}} {
		if _, err := l.Claim(t.Context(), part); err != nil {
			t.Fatal(err)
		}
	}
	save := func(part, group string, read int64, done bool) {
		t.Helper()
		if err := l.Save(t.Context(), flow.Checkpoint{Part: part, Group: group, Done: done, Tally: flow.Tally{Read: read, Delivered: read - 1, Dead: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	save("a/0", "a", 60, true)
	save("a/1", "a", 10, false)
	c := connected(t, fake.URL())
	first, err := StatusOf(t.Context(), c, "", "s3://x", nil)
	if err != nil {
		t.Fatal(err)
	}
	if first.Parts != 3 || first.Done != 1 || first.Taken != 2 || first.Records != 150 || first.Total.Read != 70 || first.Total.Dead != 2 || string(first.Options) != `{"from":"s3://x"}` {
		t.Errorf("%+v", first)
	}
	if len(first.Groups) != 2 || first.Groups[0].Tally.Delivered != 68 || first.Groups[0].Parts != 2 || first.Groups[0].Done != 1 || first.Groups[1].Records != 50 {
		t.Errorf("groups: %+v", first.Groups)
	}
	if len(first.Workers) != 1 || first.Workers[0].Name != l.Worker() || !slices.Equal(slices.Sorted(slices.Values(first.Workers[0].Parts)), []string{"a/1", "b/0"}) || !first.Workers[0].Alive {
		t.Errorf("workers: %+v", first.Workers)
	}
	second, err := StatusOf(t.Context(), c, "", "s3://x", first)
	if err != nil {
		t.Fatal(err)
	}
	if second.Workers[0].Alive {
		t.Error("a worker that has saved nothing since is called alive")
	}
	save("a/1", "a", 40, false)
	third, err := StatusOf(t.Context(), c, "", "s3://x", second)
	if err != nil {
		t.Fatal(err)
	}
	third.At = second.At.Add(2 * time.Second)
	if rate := third.Rate(second); !third.Workers[0].Alive || rate != 15 {
		t.Errorf("alive %t, %v records/s", third.Workers[0].Alive, rate)
	}
	if _, err := StatusOf(t.Context(), c, "", "nothing", nil); !errors.Is(err, ErrNoCarry) {
		t.Errorf("status of nothing: %v", err)
	}
	if names, err := Carries(t.Context(), c, ""); err != nil || !slices.Equal(names, []string{"s3://x"}) {
		t.Errorf("carries: %v, %v", names, err)
	}
	if names, err := Carries(t.Context(), c, ".other"); err != nil || len(names) > 0 {
		t.Errorf("carries of a ledger that is not there: %v, %v", names, err)
	}
}

func TestAWorkerWaitsForWhatOthersHave(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	o := LedgerOptions{Lease: 200 * time.Millisecond}
	a, b := opened(t, fake.URL(), "carry", o), opened(t, fake.URL(), "carry", o)
	waits := func(what string, end func()) {
		t.Helper()
		returned := make(chan error, 1)
		go func() { returned <- b.AwaitFree(t.Context()) }()
		select {
		case err := <-returned:
			t.Errorf("%s: did not wait: %v", what, err)
			return
		case <-time.After(80 * time.Millisecond):
		}
		end()
		select {
		case err := <-returned:
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s: still waiting", what)
		}
	}
	p := flow.Part{ID: "p", Group: "g"}
	claim := func() {
		t.Helper()
		if _, err := a.Claim(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	claim()
	waits("released", func() {
		if err := a.Release(t.Context(), "p"); err != nil {
			t.Error(err)
		}
	})
	claim()
	waits("dead", func() {})
	if err := a.Save(t.Context(), flow.Checkpoint{Part: "p", Group: "g"}); err != nil { // it was not dead after all
		t.Fatal(err)
	}
	waits("done", func() {
		if err := a.Save(t.Context(), flow.Checkpoint{Part: "p", Group: "g", Done: true}); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.AwaitFree(ctx); err == nil {
		t.Error("an ended context is not heeded")
	}
}

func TestWhatFailedIsSeenFromElsewhere(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	a, b := opened(t, fake.URL(), "carry", LedgerOptions{}), opened(t, fake.URL(), "carry", LedgerOptions{})
	report := func(l *Ledger, count int64, failed ...string) {
		t.Helper()
		r := flow.Report{Reasons: []flow.Reason{{Message: "mapping", Count: count}, {Message: "only " + l.Worker(), Count: 1}}}
		for _, part := range failed {
			r.Failed = append(r.Failed, flow.PartFailure{Part: part, Group: "g", Error: "corrupt"})
		}
		if err := l.Report(t.Context(), &r); err != nil {
			t.Fatal(err)
		}
	}
	report(a, 5, "p", "q")
	report(a, 7, "p", "q")
	report(b, 100, "q", "r")
	if _, err := a.Claim(t.Context(), flow.Part{ID: "q", Group: "g"}); err != nil {
		t.Fatal(err)
	}
	if err := a.Save(t.Context(), flow.Checkpoint{Part: "q", Group: "g", Done: true}); err != nil {
		t.Fatal(err)
	}
	s, err := StatusOf(t.Context(), connected(t, fake.URL()), "", "carry", nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Failed) != 2 || s.Failed[0].Part != "p" || s.Failed[1].Part != "r" || s.Failed[0].Error != "corrupt" {
		t.Errorf("failed: %+v", s.Failed)
	}
	if len(s.Reasons) != 3 || s.Reasons[0].Count != 112 || s.Reasons[0].Message != "mapping" || s.Reasons[1].Count != 2 || s.Reasons[2].Count != 1 {
		t.Errorf("reasons: %+v", s.Reasons)
	}
	if s.Parts != 1 || len(a.Checkpoints()) != 1 {
		t.Errorf("a report counts as a part: %+v", s)
	}
}

func TestAPausedFlowGivesItsPartsBackAndGoesOnWhenResumed(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	c := connected(t, fake.URL())
	l := opened(t, fake.URL(), "carry", LedgerOptions{Lease: 10 * time.Minute})
	began := time.Now()
	l.now = func() time.Time { return began.Add(100 * time.Since(began)) } // so that it looks for the pause often
	feed, shelf := flowtest.NewFeed(6, 2, 200), new(flowtest.Shelf)
	slow := flowtest.NewTrouble(1, 0)
	slow.Slow = 6 * time.Millisecond
	run := func() flow.Report {
		t.Helper()
		report, err := flow.Run(t.Context(), flow.Flow{Source: slow.Source(feed), Sink: shelf, Ledger: l}, flow.Options{
			Workers: 3, BatchRecords: 10, SaveInterval: 5 * time.Millisecond, Drain: l.Paused(),
		})
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	time.AfterFunc(20*time.Millisecond, func() {
		if err := SetPaused(context.Background(), c, "", "carry", true); err != nil {
			t.Error(err)
		}
	})
	if report := run(); !report.Drained || report.Complete() {
		t.Fatalf("a paused flow came to its end: %+v", report)
	}
	s, err := StatusOf(t.Context(), c, "", "carry", nil)
	if err != nil || !s.Paused || s.Taken != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if err := SetPaused(t.Context(), c, "", "carry", false); err != nil {
		t.Fatal(err)
	}
	if err := l.AwaitResume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if report := run(); !report.Complete() || report.Total.Tally.Read != int64(len(feed.All())) {
		t.Errorf("after it was resumed: %+v", report)
	}
	if diff := flowtest.Diff(feed.All(), shelf.Records()); diff != "" {
		t.Error(diff)
	}
}

func TestADeadProcessBesideIsSeenAtOnce(t *testing.T) {
	self := thisProcess()
	testbed.Need(t, self.place != "", "this system does not say where a process runs")
	gone := exec.Command("true")
	err := gone.Run()
	testbed.Need(t, err == nil, "there is no command true")
	pid := gone.Process.Pid
	switch {
	case !self.sawDie(self.place, pid):
		t.Error("a process that has ended counts as alive")
	case self.sawDie(self.place, os.Getppid()):
		t.Error("the parent counts as dead")
	case self.sawDie(self.place, os.Getpid()):
		t.Error("this process counts as dead")
	case self.sawDie("elsewhere", pid):
		t.Error("a process elsewhere counts as dead")
	}
	fake := osfake.Start(t, osfake.Options{})
	a, b := opened(t, fake.URL(), "carry", LedgerOptions{}), opened(t, fake.URL(), "carry", LedgerOptions{})
	a.self.pid = pid
	p := flow.Part{ID: "p", Group: "g"}
	if _, err := a.Claim(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Claim(t.Context(), p); err != nil {
		t.Errorf("claim of what a dead process had: %v", err)
	}
}

func TestALedgerThatMayNotBeWrittenStopsTheFlow(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	l := opened(t, fake.URL(), "carry", LedgerOptions{})
	p := flow.Part{ID: "p", Group: "g"}
	fake.SetHook(osfake.Sometimes(1, 1, []osfake.Fault{osfake.Forbidden}))
	if _, err := l.Claim(t.Context(), p); !flow.IsPermanent(err) {
		t.Errorf("claim: %v", err)
	}
	fake.SetHook(osfake.Sometimes(1, 1, []osfake.Fault{osfake.FloodStage}))
	if _, err := l.Claim(t.Context(), p); err == nil || flow.IsPermanent(err) {
		t.Errorf("claim with a full disk: %v", err)
	}
	fake.SetHook(nil)
	if _, err := l.Claim(t.Context(), p); err != nil {
		t.Errorf("claim when there is room again: %v", err)
	}
}

func TestChaosLosesNothingWithALedgerInAnIndex(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	fake.SetHook(osfake.Sometimes(flowtest.Seed(t), 0.03, troubles))
	const lease = 20 * time.Millisecond
	shelf := new(flowtest.Shelf)
	flowtest.Chaos(t, flowtest.World{
		Feed: flowtest.NewFeed(8, 3, 60),
		Open: func(t *testing.T) (flow.Sink, flow.Ledger, flow.DeadLetters) {
			l := opened(t, fake.URL(), "carry", LedgerOptions{Lease: lease})
			<-time.After(lease) // those of the process that died
			return shelf, l, nil
		},
		Crash:   func(*testing.T, flow.Sink, flow.Ledger) {},
		Records: func(*testing.T) []flow.Record { return shelf.Records() },
		Dead: func(*testing.T) []flow.Record {
			dead, _ := shelf.Dead()
			return dead
		},
	})
}

// troubles are what the network and the server do to a ledger.
var troubles = []osfake.Fault{
	osfake.Busy, osfake.Unavailable, osfake.LostAnswer, osfake.LostRequest, osfake.TornAnswer, osfake.FloodStage, osfake.NoMaster,
	{Latency: 10 * time.Millisecond}, {Slow: 10 * time.Millisecond},
}

func TestWorkersThatAreKilledAgainAndAgainLoseNothing(t *testing.T) {
	for _, v := range []osfake.Version{osfake.OpenSearch2, osfake.Elasticsearch8} {
		fake := osfake.Start(t, osfake.Options{Version: v})
		fake.SetHook(osfake.Sometimes(flowtest.Seed(t), 0.05, troubles))
		manyWorkers(t, fake.URL(), flowtest.NewFeed(160, 3, 150), 10*time.Second)
	}
}

// mortal is a ledger whose process can be killed: then nothing of what it is told reaches the cluster.
type mortal struct {
	*Ledger
	dead     atomic.Bool
	finished *sync.Map // *atomic.Int64 by part
}

var errKilled = flow.Permanent(errors.New("killed"))

func (m *mortal) Claim(ctx context.Context, p flow.Part) (flow.Checkpoint, error) {
	if m.dead.Load() {
		return flow.Checkpoint{}, errKilled
	}
	return m.Ledger.Claim(ctx, p)
}

func (m *mortal) Save(ctx context.Context, cs ...flow.Checkpoint) error {
	if m.dead.Load() {
		return errKilled
	}
	err := m.Ledger.Save(ctx, cs...)
	for _, cp := range cs {
		if err == nil && cp.Done {
			n, _ := m.finished.LoadOrStore(cp.Part, new(atomic.Int64))
			n.(*atomic.Int64).Add(1)
		}
	}
	return err
}

func (m *mortal) Release(ctx context.Context, part string) error {
	if m.dead.Load() {
		return errKilled
	}
	return m.Ledger.Release(ctx, part)
}

// manyWorkers has four workers carry a feed. Two of them are killed at random moments for a while, and replaced.
func manyWorkers(t *testing.T, url string, feed *flowtest.Feed, while time.Duration) {
	t.Helper()
	seed := flowtest.Seed(t)
	rng := rand.New(rand.NewPCG(seed, 3))
	const lease = 400 * time.Millisecond
	carry := fmt.Sprintf("carry-%d", seed)
	shelf := new(flowtest.Shelf)
	var finished sync.Map
	var kills, runs atomic.Int64
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	quiet := time.Now().Add(while)

	// live is one life of a worker: it runs until all is done, or it is killed.
	live := func(life uint64, killedAfter time.Duration) (complete bool) {
		life1, stop := context.WithCancel(ctx)
		defer stop()
		client, err := Target{URLs: []string{url}}.Connect(life1, func(string) string { return "" })
		if err != nil {
			return false
		}
		l, err := OpenLedger(life1, client, carry, LedgerOptions{Lease: lease})
		if err != nil {
			t.Logf("worker cannot begin: %v", err)
			return false
		}
		m := &mortal{Ledger: l, finished: &finished}
		if killedAfter > 0 {
			timer := time.AfterFunc(killedAfter, func() { m.dead.Store(true); kills.Add(1); stop() })
			defer timer.Stop()
		}
		slow := flowtest.NewTrouble(life, 0)
		slow.Slow = 8 * time.Millisecond
		for life1.Err() == nil {
			runs.Add(1)
			report, err := flow.Run(life1, flow.Flow{Source: slow.Source(feed), Sink: slow.Sink(shelf), Ledger: m, DeadLetters: shelf}, flow.Options{
				Workers: 2, InFlight: 2, BatchRecords: 20, SaveInterval: 40 * time.Millisecond,
				Retry: flow.Retry{Attempts: 8, First: time.Millisecond, Max: 20 * time.Millisecond},
			})
			if err == nil && report.Complete() {
				return true
			}
			if err != nil && life1.Err() == nil {
				t.Logf("a worker stops: %v", err)
				return false
			}
			if err := l.AwaitFree(life1); err != nil && life1.Err() == nil { // others have what is left
				t.Logf("a worker stops: %v", err)
				return false
			}
		}
		return false
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	draw := func() (uint64, time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		return rng.Uint64(), time.Duration(20+rng.IntN(500)) * time.Millisecond
	}
	for w := range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				life, after := draw()
				if w >= 2 || time.Now().After(quiet) {
					after = 0
				}
				if live(life, after) {
					return
				}
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		t.Fatalf("not complete after %d kills and %d runs", kills.Load(), runs.Load())
	}
	t.Logf("complete after %d kills and %d runs", kills.Load(), runs.Load())

	var want, refused []flow.Record
	for _, r := range feed.All() {
		if flowtest.Refuses(&r) {
			refused = append(refused, r)
		} else {
			want = append(want, r)
		}
	}
	dead, _ := shelf.Dead()
	for _, c := range []struct {
		what      string
		want, got []flow.Record
	}{{"records", want, shelf.Records()}, {"dead letters", refused, dead}} {
		seen := map[string]flow.Record{}
		for _, r := range c.got {
			seen[string(r.Key)] = r
		}
		var unique []flow.Record
		for _, r := range seen {
			unique = append(unique, r)
		}
		if diff := flowtest.Diff(c.want, unique); diff != "" {
			t.Errorf("%s: %s", c.what, diff)
		}
	}
	final := opened(t, url, carry, LedgerOptions{})
	var total flow.Tally
	checkpoints := final.Checkpoints()
	for _, cp := range checkpoints {
		if !cp.Done {
			t.Errorf("part %s is not done", cp.Part)
		}
		total.Add(cp.Tally)
	}
	if len(checkpoints) != len(feed.Pieces) {
		t.Errorf("%d parts are in the ledger, %d there are", len(checkpoints), len(feed.Pieces))
	}
	if total.Read != int64(len(want)+len(refused)) || total.Delivered != int64(len(want)) || total.Dead != int64(len(refused)) || total.Digest != flowtest.Digest(want) {
		t.Errorf("the books say %+v; want %d delivered, %d dead, digest %v", total, len(want), len(refused), flowtest.Digest(want))
	}
	finished.Range(func(part, n any) bool {
		if n := n.(*atomic.Int64).Load(); n > 1 {
			t.Errorf("part %v was finished %d times", part, n)
		}
		return true
	})
}

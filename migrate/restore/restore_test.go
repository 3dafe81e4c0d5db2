package restore_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/migrate/restore"
)

const location = "/backups/grafted"

var repo = restore.Repository{Name: "grafted", Type: "fs", Settings: map[string]any{"location": location}}

// quick is how tests wait.
var quick = restore.Options{Poll: 4 * time.Millisecond, Patience: 10 * time.Second}

// index makes one of ten documents for a snapshot, and what is known of it.
func index(name string, change ...func(*osfake.SnapshotIndex, *restore.Index)) (osfake.SnapshotIndex, restore.Index) {
	in := osfake.SnapshotIndex{
		Name: name, Bytes: 1000, Looks: 3, Mappings: `{"properties":{"tag":{"type":"keyword"}}}`,
		Settings: map[string]string{"index.number_of_shards": "2", "index.creation_date": "1600000000000"},
	}
	for i := range 10 {
		in.Docs = append(in.Docs, osfake.Doc{ID: fmt.Sprint(i), Source: fmt.Appendf(nil, `{"tag":"t%d","c":[{"n":1},{"n":2}]}`, i)})
	}
	x := restore.Index{Name: name, Snapshot: "s", Shards: 2, Bytes: 1000, Created: 1600000000000, Live: 10}
	for _, f := range change {
		f(&in, &x)
	}
	return in, x
}

func nested(in *osfake.SnapshotIndex, x *restore.Index) {
	in.Mappings = `{"properties":{"tag":{"type":"keyword"},"c":{"type":"nested"}}}`
	x.Nested, x.Live = []string{"c"}, 30
}

func mend(_ *osfake.SnapshotIndex, x *restore.Index) {
	x.Repairs = []restore.Repair{{Kind: restore.UpdateByQuery, Field: "tag", Why: "its values are not indexed"}}
}

// A bench is a fake cluster with a repository that it can read.
type bench struct {
	fake    *osfake.Server
	client  *opensearch.Client
	held    *osfake.Snapshot
	indices []restore.Index
}

func (b *bench) add(in osfake.SnapshotIndex, x restore.Index) {
	b.held.Indices = append(b.held.Indices, in)
	b.indices = append(b.indices, x)
}

func newBench(t *testing.T, o osfake.Options) *bench {
	t.Helper()
	b := &bench{fake: osfake.Start(t, o), held: &osfake.Snapshot{Name: "s", Streams: map[string][]string{}}}
	b.fake.SetSnapshots(func(place string) []osfake.Snapshot {
		if place != location {
			return nil
		}
		return []osfake.Snapshot{*b.held}
	})
	var err error
	if b.client, err = (opensearch.Target{URLs: b.fake.URLs}).Connect(t.Context(), func(string) string { return "" }); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) run(t *testing.T, o restore.Options) map[string]*restore.Outcome {
	t.Helper()
	report, err := restore.Run(t.Context(), b.client, repo, b.indices, o)
	if err != nil {
		t.Fatal(err)
	}
	return outcomes(&report)
}

func (b *bench) must(t *testing.T, method, path, body string) {
	t.Helper()
	if _, err := b.client.Do(t.Context(), opensearch.Request{Method: method, Path: path, Body: []byte(body)}); err != nil {
		t.Fatal(err)
	}
}

// result gives what a check found; "" if it was not made.
func result(o *restore.Outcome, name string) restore.Result {
	for _, c := range o.Checks {
		if c.Name == name {
			return c.Result
		}
	}
	return ""
}

func TestIndicesAreRestoredRepairedAndChecked(t *testing.T) {
	for _, v := range []osfake.Version{osfake.OpenSearch2, osfake.OpenSearch3, osfake.Elasticsearch7, osfake.Elasticsearch8} {
		t.Run(fmt.Sprint(v.Number, v.OpenSearch), func(t *testing.T) { restoresRepairsAndChecks(t, v) })
	}
}

func restoresRepairsAndChecks(t *testing.T, v osfake.Version) {
	b := newBench(t, osfake.Options{Version: v})
	b.add(index("plain", func(in *osfake.SnapshotIndex, _ *restore.Index) { in.Aliases = []string{"all", "some"} }))
	b.add(index("children", nested))
	b.add(index("mended", nested, mend))
	b.add(index("shut", func(_ *osfake.SnapshotIndex, x *restore.Index) { x.Closed = true }))
	var last sync.Map
	o := quick
	o.Progress = func(p restore.Progress) { last.Store(p.Index, p) }
	for name, out := range b.run(t, o) {
		if out.State != restore.Restored || !out.Right() || out.Bytes != 1000 || result(out, "documents") != restore.Holds || result(out, "count") != restore.Holds {
			t.Errorf("%s: %s", name, told(out))
		}
		if p, _ := last.Load(name); p.(restore.Progress).FinalState != restore.Restored || p.(restore.Progress).Bytes != 1000 {
			t.Errorf("%s: last progress %+v", name, p)
		}
		switch name {
		case "plain":
			if !slices.Equal(out.Aliases, []string{"all", "some"}) || result(out, "health") != restore.Holds {
				t.Errorf("%s", told(out))
			}
		case "children", "mended":
			if result(out, "nested c") != restore.Holds {
				t.Errorf("%s", told(out))
			}
		}
		if name == "mended" && (len(out.Repaired) != 1 || !out.Repaired[0].Done || out.Repaired[0].Updated != 10 || result(out, "documents after repairs") != restore.Holds) {
			t.Errorf("%s", told(out))
		}
	}
	if d := b.fake.Documents("mended")["3"]; d.Version != 2 {
		t.Errorf("repaired document %+v", d)
	}
	status, err := b.client.Do(t.Context(), opensearch.Request{Method: "GET", Path: "/_cat/indices/shut?format=json&h=status"})
	if err != nil || string(status) != `[{"status":"close"}]` {
		t.Errorf("what was closed is %s, %v", status, err)
	}

	restores, changes := b.fake.Count("restore"), b.fake.Count("put_mapping")+b.fake.Count("update_by_query")+b.fake.Count("close")+b.fake.Count("put_settings")
	for _, restarted := range []bool{false, true} {
		if restarted { // then no recovery says where indices are from
			b.fake.StopNode(0)
			b.fake.StartNode(0)
		}
		for name, out := range b.run(t, quick) {
			if out.State != restore.WasThere || !out.Right() || len(out.Notes) == 0 {
				t.Errorf("second run, %s: %s", name, told(out))
			}
			if name == "mended" && (len(out.Repaired) != 1 || !out.Repaired[0].Before) {
				t.Errorf("second run: %s", told(out))
			}
		}
	}
	if again := b.fake.Count("put_mapping") + b.fake.Count("update_by_query") + b.fake.Count("close") + b.fake.Count("put_settings"); b.fake.Count("restore") != restores || again != changes {
		t.Errorf("a second run changed something: %d restores, %d changes", b.fake.Count("restore")-restores, again-changes)
	}
}

func TestFaultsThatPassAreLivedWith(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, osfake.Options{Nodes: 2})
			for i := range 6 {
				b.add(index(fmt.Sprint("i", i), nested, mend, func(_ *osfake.SnapshotIndex, x *restore.Index) { x.Closed = i == 3 }))
			}
			b.fake.SetHook(osfake.Sometimes(seed, 0.25, osfake.Passing))
			one := 1
			o := quick
			o.Replicas = &one
			report, err := restore.Run(t.Context(), b.client, repo, b.indices, o)
			if err != nil {
				t.Fatal(err)
			}
			if !report.Right() || report.Count(restore.Restored) != 6 {
				t.Error(told(report))
			}
			for i := range 6 {
				if d := b.fake.Documents(fmt.Sprint("i", i)); len(d) != 10 {
					t.Errorf("i%d has %d documents", i, len(d))
				}
				if got := b.fake.Settings(fmt.Sprint("i", i))["index.number_of_replicas"]; got != "1" {
					t.Errorf("i%d has %v replicas", i, got)
				}
			}
		})
	}
}

func TestALostAnswerToARestoreIsNotTakenForANameThatIsTaken(t *testing.T) {
	b := newBench(t, osfake.Options{})
	b.add(index("a"))
	lost := 0
	b.fake.SetHook(func(r *osfake.Request) osfake.Fault {
		if r.API == "restore" && lost == 0 {
			lost++
			return osfake.LostAnswer
		}
		return osfake.Fault{}
	})
	if out := b.run(t, quick)["a"]; out.State != restore.Restored || !out.Right() {
		t.Errorf("%s", told(out))
	}
	if n := b.fake.Count("restore"); n != 1 {
		t.Errorf("asked for %d times", n)
	}
}

func TestWhatCannotBeRestoredIsTakenAwayAgainAndKeepsNobodyBack(t *testing.T) {
	const why = "CorruptIndexException[checksum failed (hardware problem?) : expected=1 actual=2]"
	for _, keep := range []bool{false, true} {
		b := newBench(t, osfake.Options{})
		b.add(index("good"))
		b.add(index("broken", func(in *osfake.SnapshotIndex, _ *restore.Index) { in.Broken = map[int]string{1: why} }))
		b.add(index("homeless", func(in *osfake.SnapshotIndex, _ *restore.Index) { in.Homeless = "the disk is too full" }))
		b.add(index("unreadable", func(in *osfake.SnapshotIndex, _ *restore.Index) {
			in.Refused = &osfake.Refusal{Status: 500, Type: "corrupt_state_exception", Reason: "checksum failed"}
		}))
		b.add(index("stuck", func(in *osfake.SnapshotIndex, x *restore.Index) { in.Looks, in.Bytes = 1<<30, 0 }))
		o := quick
		o.KeepFailed, o.Patience = keep, 300*time.Millisecond
		found := b.run(t, o)
		if !found["good"].Right() {
			t.Errorf("%s", told(found["good"]))
		}
		for name, says := range map[string]string{
			"broken": "shard 1: " + why, "homeless": "shard 0: fake: the disk is too full", "unreadable": "corrupt_state_exception: checksum failed", "stuck": "has not moved for 300ms",
		} {
			out := found[name]
			if out.State != restore.Failed || !strings.Contains(out.Why, says) || out.Deleted == (keep || name == "unreadable") {
				t.Errorf("%s: %s", name, told(out))
			}
			if there := b.fake.Documents(name) != nil; there != (keep && name != "unreadable") {
				t.Errorf("%s is there: %t", name, there)
			}
		}
	}
}

func TestWhatHasTheNameIsNeverTouched(t *testing.T) {
	b := newBench(t, osfake.Options{Plugins: []string{"analysis-icu"}})
	other := func(_ *osfake.SnapshotIndex, x *restore.Index) { x.Created = 1 } // not known to be the one there
	b.add(index("open", other))
	b.add(index("closed", other))
	b.add(index("new", func(_ *osfake.SnapshotIndex, x *restore.Index) { x.Plugins = []string{"analysis-icu"} }))
	b.add(index("lacking", func(_ *osfake.SnapshotIndex, x *restore.Index) { x.Plugins = []string{"analysis-nori"} }))
	b.add(index("elsewhere", func(_ *osfake.SnapshotIndex, x *restore.Index) { x.Snapshot = "gone" }))
	b.indices = append(b.indices, restore.Index{Name: "never", Snapshot: "s"})
	for _, name := range []string{"open", "closed"} {
		b.must(t, "PUT", "/"+name+"/_doc/mine?refresh=true", `{"mine":true}`)
	}
	b.must(t, "POST", "/closed/_close", "")

	o := quick
	o.Existing = restore.Refuse
	report, err := restore.Run(t.Context(), b.client, repo, b.indices, o)
	if err == nil || !strings.Contains(err.Error(), "open, closed") || b.fake.Count("restore") != 0 || !report.Unregistered {
		t.Errorf("refused: %v, %s", err, told(report))
	}
	found := b.run(t, quick)
	for name, want := range map[string]struct {
		state restore.State
		why   string
	}{
		"open": {restore.Skipped, "already"}, "closed": {restore.Skipped, "already"}, "new": {restore.Restored, ""}, "lacking": {restore.Failed, "needs the plugin analysis-nori; without it: node fake"},
		"elsewhere": {restore.Failed, "no snapshot gone"}, "never": {restore.Failed, "has no index never"},
	} {
		if out := found[name]; out.State != want.state || !strings.Contains(out.Why, want.why) {
			t.Errorf("%s: %s", name, told(out))
		}
	}
	for _, name := range []string{"open", "closed"} {
		if d := b.fake.Documents(name); len(d) != 1 || d["mine"].Version != 1 {
			t.Errorf("%s has %v", name, d)
		}
	}
}

func TestDataStreamsAreRestoredWholeOrNotAtAll(t *testing.T) {
	stream := func(b *bench, name string, change ...func(*osfake.SnapshotIndex, *restore.Index)) {
		for i, f := range append(change, func(*osfake.SnapshotIndex, *restore.Index) {}) {
			backing := fmt.Sprintf(".ds-%s-%06d", name, i+1)
			b.add(index(backing, func(_ *osfake.SnapshotIndex, x *restore.Index) { x.DataStream = name }, f))
			b.held.Streams[name] = append(b.held.Streams[name], backing)
		}
	}
	broken := func(in *osfake.SnapshotIndex, _ *restore.Index) {
		in.Broken = map[int]string{0: "CorruptIndexException[x]"}
	}
	b := newBench(t, osfake.Options{})
	stream(b, "good", func(*osfake.SnapshotIndex, *restore.Index) {})
	stream(b, "halved", broken)
	b.add(index(".ds-taken-000007", func(_ *osfake.SnapshotIndex, x *restore.Index) { x.DataStream = "taken" }))
	b.held.Streams["taken"] = []string{".ds-taken-000007"}
	other := osfake.Snapshot{Name: "other", Streams: map[string][]string{"taken": {".ds-taken-000001"}}}
	in, _ := index(".ds-taken-000001")
	other.Indices = append(other.Indices, in)
	b.fake.SetSnapshots(func(string) []osfake.Snapshot { return []osfake.Snapshot{*b.held, other} })
	b.must(t, "PUT", "/_snapshot/grafted?verify=false", `{"type":"fs","settings":{"location":"`+location+`","readonly":true}}`)
	b.must(t, "POST", "/_snapshot/grafted/other/_restore", `{"indices":"taken"}`)

	found := b.run(t, quick)
	if n := b.fake.Count("restore"); n != 3 {
		t.Errorf("%d restores: one for each data stream, and the test's", n)
	}
	for name, want := range map[string]restore.State{
		".ds-good-000001": restore.Restored, ".ds-good-000002": restore.Restored, ".ds-halved-000001": restore.Failed, ".ds-halved-000002": restore.Restored, ".ds-taken-000007": restore.Skipped,
	} {
		if out := found[name]; out.State != want || want == restore.Failed && !out.Deleted {
			t.Errorf("%s: %s", name, told(out))
		}
	}

	b = newBench(t, osfake.Options{})
	stream(b, "ends", func(*osfake.SnapshotIndex, *restore.Index) {}, broken)
	b.held.Streams["ends"], b.held.Indices, b.indices = b.held.Streams["ends"][:2], b.held.Indices[:2], b.indices[:2]
	out := b.run(t, quick)[".ds-ends-000002"]
	if out.State != restore.Failed || out.Deleted || !strings.Contains(out.Why, "roll that over (POST /ends/_rollover)") {
		t.Errorf("the index that is written to: %s", told(out))
	}
}

func TestInterruptedRestoresArePickedUp(t *testing.T) {
	b := newBench(t, osfake.Options{})
	for i := range 6 {
		b.add(index(fmt.Sprint("i", i), mend, func(in *osfake.SnapshotIndex, _ *restore.Index) { in.Looks = 40 }))
	}
	ctx, cancel := context.WithCancel(t.Context())
	o := quick
	o.Concurrency = 2
	o.Unregister = true
	o.Progress = func(p restore.Progress) {
		if p.Step == restore.Copying && p.Bytes > 0 {
			cancel()
		}
	}
	report, err := restore.Run(ctx, b.client, repo, b.indices, o)
	if !errors.Is(err, context.Canceled) || report.Count(restore.UnderWay) == 0 || report.Count(restore.NotBegun) < 3 || report.Count(restore.Failed) > 0 || report.Unregistered {
		t.Fatalf("%v: %s", err, told(report))
	}
	begun := b.fake.Count("restore")
	found := b.run(t, quick)
	if n := b.fake.Count("restore"); n < 6 || n > 7 { // one may have been asked for and not answered
		t.Errorf("%d restores before, %d in all", begun, n)
	}
	for name, out := range found {
		if !out.Right() || len(out.Repaired) != 1 || out.Repaired[0].Updated != 10 {
			t.Errorf("%s: %s", name, told(out))
		}
	}
}

func TestAnInterruptedRepairIsCancelledAndDoneAgain(t *testing.T) {
	b := newBench(t, osfake.Options{})
	b.add(index("a", mend, func(in *osfake.SnapshotIndex, _ *restore.Index) { in.Settings["index.blocks.write"] = "true" }))
	b.fake.SetTaskLooks(1 << 30)
	ctx, cancel := context.WithCancel(t.Context())
	o := quick
	o.Progress = func(p restore.Progress) {
		if p.Step == restore.Repairing {
			cancel()
		}
	}
	report, err := restore.Run(ctx, b.client, repo, b.indices, o)
	if out := outcomes(&report)["a"]; !errors.Is(err, context.Canceled) || out.State != restore.UnderWay || b.fake.Count("cancel_task") != 1 {
		t.Fatalf("%v: %s", err, told(out))
	}
	if b.fake.Settings("a")["index.blocks.write"] != "true" {
		t.Error("the block is not set again")
	}
	b.fake.SetTaskLooks(3)
	out := b.run(t, quick)["a"]
	if out.State != restore.WasThere || !out.Right() || out.Repaired[0].Before || out.Repaired[0].Updated != 10 || !strings.Contains(fmt.Sprint(out.Notes), "index.blocks.write is set") {
		t.Errorf("%s", told(out))
	}
	if b.fake.Settings("a")["index.blocks.write"] != "true" {
		t.Error("the block is not set again")
	}
}

func TestATaskThatIsLostIsBegunAgain(t *testing.T) {
	b := newBench(t, osfake.Options{Nodes: 2})
	b.add(index("a", mend))
	b.fake.SetTaskLooks(20)
	var once sync.Once
	o := quick
	o.Progress = func(p restore.Progress) {
		if p.Step == restore.Repairing {
			once.Do(func() {
				b.fake.StopNode(1)
				b.fake.StartNode(1)
			})
		}
	}
	if out := b.run(t, o)["a"]; !out.Right() || len(out.Repaired) != 1 || !out.Repaired[0].Done || b.fake.Count("update_by_query") != 2 {
		t.Errorf("%d tasks: %s", b.fake.Count("update_by_query"), told(out))
	}
}

func TestRepairsThatDoNotSucceedAreNotTakenForDone(t *testing.T) {
	b := newBench(t, osfake.Options{})
	b.add(index("a", mend))
	b.fake.SetTaskLooks(2)
	b.fake.SetHook(func(r *osfake.Request) osfake.Fault {
		if r.API == "update_by_query" {
			return osfake.Fault{Status: http.StatusForbidden, Type: "security_exception", Reason: "no permissions for [indices:data/write/update/byquery]"}
		}
		return osfake.Fault{}
	})
	out := b.run(t, quick)["a"]
	if out.State != restore.Restored || out.Right() || out.Repaired[0].Done || !strings.Contains(out.Repaired[0].Problem, "no permissions") {
		t.Errorf("%s", told(out))
	}
	b.fake.SetHook(nil)
	if out := b.run(t, quick)["a"]; !out.Right() || out.Repaired[0].Before || !out.Repaired[0].Done {
		t.Errorf("the next run: %s", told(out))
	}
}

func TestChecksFindWhatIsNotSo(t *testing.T) {
	b := newBench(t, osfake.Options{})
	b.add(index("unmarked", nested, func(in *osfake.SnapshotIndex, _ *restore.Index) { in.Unmarked = true }))
	b.add(index("fewer", func(_ *osfake.SnapshotIndex, x *restore.Index) { x.Live = 11 }))
	b.add(index("unknown", func(_ *osfake.SnapshotIndex, x *restore.Index) { x.Live = -1 }))
	b.add(index("written"))
	found := b.run(t, quick)
	if out := found["unmarked"]; result(out, "nested c") != restore.Differs || result(out, "documents") != restore.Holds || out.Right() {
		t.Errorf("%s", told(out))
	}
	if out := found["fewer"]; result(out, "documents") != restore.Differs || out.Right() || out.State != restore.Restored {
		t.Errorf("%s", told(out))
	}
	if out := found["unknown"]; result(out, "documents") != restore.Unknown || !out.Right() {
		t.Errorf("%s", told(out))
	}
	b.must(t, "PUT", "/written/_doc/new?refresh=true", `{}`)
	if out := b.run(t, quick)["written"]; out.State != restore.WasThere || result(out, "documents") != restore.Unknown || !out.Right() {
		t.Errorf("written since: %s", told(out))
	}
}

func TestARepositoryIsRegisteredOnceAndForOnePlace(t *testing.T) {
	b := newBench(t, osfake.Options{})
	b.add(index("a"))
	o := quick
	o.Unregister, o.MaxBytesPerSec = true, 1<<20
	var settings string
	o.Progress = func(restore.Progress) {
		if settings == "" {
			answer, err := b.client.Do(t.Context(), opensearch.Request{Method: "GET", Path: "/_snapshot/grafted"})
			settings = fmt.Sprint(string(answer), err)
		}
	}
	report, err := restore.Run(t.Context(), b.client, repo, b.indices, o)
	if err != nil || !report.Registered || !report.Unregistered || !strings.Contains(settings, `"readonly":"true"`) || !strings.Contains(settings, `"max_restore_bytes_per_sec":"1048576b"`) {
		t.Errorf("%v %s %s", err, settings, told(report))
	}
	for _, c := range []struct {
		why   string
		known string // body of a registration that is there
		repo  restore.Repository
		want  string
	}{
		{why: "another type", known: `{"type":"url","settings":{"url":"http://x/"}}`, repo: repo, want: "of type url, not fs"},
		{why: "another place", known: `{"type":"fs","settings":{"location":"/backups/other"}}`, repo: repo, want: `location "/backups/other", not "/backups/grafted"`},
		{why: "the same with a slash", known: `{"type":"fs","settings":{"location":"` + location + `/","readonly":"true"}}`, repo: repo},
		{why: "outside", repo: restore.Repository{Name: "x", Type: "fs", Settings: map[string]any{"location": "/etc/x"}}, want: "must be below one of path.repo"},
		{why: "a URL that is not allowed", repo: restore.Repository{Name: "x", Type: "url", Settings: map[string]any{"url": "http://forbidden/"}}, want: "allow it by repositories.url.allowed_urls"},
		{why: "no such plugin", repo: restore.Repository{Name: "x", Type: "hdfs"}, want: "the nodes lack the plugin"},
		{why: "nothing there", repo: restore.Repository{Name: "x", Type: "fs", Settings: map[string]any{"location": "/backups/nothing"}}, want: "every node must reach it"},
		{why: "no name", repo: restore.Repository{Type: "fs"}, want: "needs both"},
	} {
		if c.known != "" {
			b.must(t, "PUT", "/_snapshot/grafted?verify=false", c.known)
		}
		report, err := restore.Run(t.Context(), b.client, c.repo, b.indices, quick)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.why, err, c.want)
		}
		if _, err := b.client.Do(t.Context(), opensearch.Request{Method: "GET", Path: "/_snapshot/x"}); err == nil {
			t.Errorf("%s: it stays registered: %s", c.why, told(report))
		}
	}
}

func TestARestoreThatDoesNotFitIsNotBegun(t *testing.T) {
	b := newBench(t, osfake.Options{})
	b.add(index("a", func(in *osfake.SnapshotIndex, x *restore.Index) { x.Bytes = 600 }))
	b.fake.SetStats(osfake.Stats{DiskTotal: 10_000, DiskAvailable: 2_000}) // 1,500 must stay free
	o := quick
	report, err := restore.Run(t.Context(), b.client, repo, b.indices, o)
	if err == nil || !strings.Contains(err.Error(), "room for 500") || b.fake.Count("restore") > 0 || report.Count(restore.NotBegun) != 1 {
		t.Errorf("%v %s", err, told(report))
	}
	o.IgnoreDisk = true
	if report, err = restore.Run(t.Context(), b.client, repo, b.indices, o); err != nil || report.Count(restore.Restored) != 1 || !strings.Contains(fmt.Sprint(report.Notes), "room for 500") {
		t.Errorf("%v %s", err, told(report))
	}
}

func TestShardsAreCheckedOnceButNotThoseOfDataStreams(t *testing.T) {
	b := newBench(t, osfake.Options{})
	b.add(index("a"))
	b.add(index("shut", func(_ *osfake.SnapshotIndex, x *restore.Index) { x.Closed = true }))
	b.add(index(".ds-x-000001", func(_ *osfake.SnapshotIndex, x *restore.Index) { x.DataStream = "x" }))
	b.held.Streams["x"] = []string{".ds-x-000001"}
	asked := false
	o := quick
	o.CheckOnStartup = true
	o.Progress = func(p restore.Progress) {
		asked = asked || p.Index == "a" && b.fake.Settings("a")["index.shard.check_on_startup"] == "true"
	}
	for name, out := range b.run(t, o) {
		want := restore.Holds
		if name == ".ds-x-000001" {
			want = restore.Unknown
		}
		if !out.Right() || result(out, "segments") != want {
			t.Errorf("%s: %s", name, told(out))
		}
		if left := b.fake.Settings(name)["index.shard.check_on_startup"]; left != nil {
			t.Errorf("%s still has the setting: %v", name, left)
		}
	}
	if !asked {
		t.Error("the setting was never there")
	}
}

func TestIndicesCanBeRenamed(t *testing.T) {
	b := newBench(t, osfake.Options{})
	b.add(index("a.b"))
	b.add(index("axb"))
	o := quick
	o.Rename = func(name string) string { return "new$1-" + name }
	for name, out := range b.run(t, o) {
		if out.Target != "new$1-"+name || !out.Right() || b.fake.Documents(out.Target) == nil {
			t.Errorf("%s: %s", name, told(out))
		}
	}
	o.Rename = func(string) string { return "one" }
	if _, err := restore.Run(t.Context(), b.client, repo, b.indices, o); err == nil || !strings.Contains(err.Error(), "would both be restored as one") {
		t.Error(err)
	}
	o.Rename = func(string) string { return "*" }
	if _, err := restore.Run(t.Context(), b.client, repo, b.indices, o); err == nil {
		t.Error("a pattern is taken for a name")
	}
}

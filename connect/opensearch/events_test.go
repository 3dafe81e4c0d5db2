package opensearch_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/flow"
)

func dialEvents(t testing.TB, e opensearch.Endpoint, o opensearch.EventsOptions) *opensearch.Events {
	t.Helper()
	c, err := e.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := opensearch.NewEvents(c, o)
	t.Cleanup(func() {
		if err := s.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return s
}

func lines(texts ...string) []flow.Record {
	recs := make([]flow.Record, len(texts))
	for i, text := range texts {
		recs[i].Body = []byte(text + "\n")
	}
	return recs
}

// creates makes records that create documents with the ids 0, 1, …
func creates(n int) []flow.Record {
	recs := make([]flow.Record, n)
	for i := range recs {
		recs[i].Body = fmt.Appendf(nil, `{"create":{"_index":"a","_id":"%d"}}`+"\n"+`{"n":%d}`+"\n", i, i)
	}
	return recs
}

// deliver writes as the engine does: what failed for now is written again. It gives what failed for good, by index, what was
// there, and how many writes it took.
func deliver(t *testing.T, s flow.Sink, recs []flow.Record) (dead map[int]error, there []int, writes int) {
	t.Helper()
	dead = map[int]error{}
	at := make([]int, len(recs))
	for i := range at {
		at[i] = i
	}
	for len(at) > 0 {
		if writes++; writes > 500 {
			t.Fatalf("%d records are still not delivered", len(at))
		}
		now := make([]flow.Record, len(at))
		for i, n := range at {
			now[i] = recs[n]
		}
		err := s.Write(t.Context(), now)
		if err == nil {
			return dead, there, writes
		}
		fs, ok := errors.AsType[flow.Failures](err)
		if !ok {
			if flow.IsPermanent(err) {
				t.Fatal(err)
			}
			continue
		}
		var again []int
		for i, f := range fs {
			if f.Err == nil || f.Index < 0 || f.Index >= len(at) || i > 0 && fs[i-1].Index >= f.Index {
				t.Fatalf("failure %d of %d records is of record %d: %v", i, len(at), f.Index, f.Err)
			}
			switch {
			case errors.Is(f.Err, flow.ErrThere):
				there = append(there, at[f.Index])
			case flow.IsPermanent(f.Err):
				dead[at[f.Index]] = f.Err
			default:
				again = append(again, at[f.Index])
			}
		}
		at = again
	}
	return dead, there, writes
}

func TestEveryActionDoesWhatItsLinesSay(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	s := dialEvents(t, opensearch.Endpoint{URLs: fake.URLs}, opensearch.EventsOptions{})
	dead, there, _ := deliver(t, s, lines(
		`{"index":{"_index":"a","_id":"1"}}`+"\n"+`{"v":1}`,
		`{"create":{"_index":"a","_id":"2","routing":"r"}}`+"\n"+`{"v":2}`,
		`{"update":{"_index":"a","_id":"1","retry_on_conflict":1}}`+"\n"+`{"doc":{"w":1}}`,
		`{"update":{"_index":"a","_id":"3"}}`+"\n"+`{"doc":{"v":3},"doc_as_upsert":true}`,
		`{"update":{"_index":"a","_id":"4"}}`+"\n"+`{"doc":{"v":3},"upsert":{"v":4}}`,
		`{"index":{"_index":"a","_id":"5"}}`+"\n"+`{"v":5}`,
		`{"delete":{"_index":"a","_id":"5"}}`,
		`{"delete":{"_index":"a","_id":"not there"}}`,
		`{"create":{"_index":"a","_id":"2","routing":"r"}}`+"\n"+`{"v":9}`,
		`{"update":{"_index":"a","_id":"not there"}}`+"\n"+`{"doc":{"w":1}}`,
		`{"index":{"_index":"a","_id":"6","version":7,"version_type":"external"}}`+"\n"+`{"v":7}`,
		`{"index":{"_index":"a","_id":"6","version":6,"version_type":"external"}}`+"\n"+`{"v":6}`,
	))
	got := map[string]string{}
	for id, d := range fake.Documents("a") {
		got[id] = string(d.Source)
	}
	want := map[string]string{"1": `{"v":1,"w":1}`, "2": `{"v":2}`, "3": `{"v":3}`, "4": `{"v":4}`, "6": `{"v":7}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !slices.Equal(there, []int{8, 11}) {
		t.Errorf("there already: %v", there)
	}
	if len(dead) != 1 || dead[9] == nil || !strings.Contains(dead[9].Error(), "document_missing_exception") {
		t.Errorf("dead: %v", dead)
	}
	if n := s.Stats().Written.Load(); n != 9 {
		t.Errorf("%d are counted as written, not 9", n)
	}
}

func TestItemsThatAreRefusedForNowAreTriedAgainAndNoOthers(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{Hook: osfake.Pressed(1, 0.3)})
	s := dialEvents(t, opensearch.Endpoint{URLs: fake.URLs}, opensearch.EventsOptions{})
	dead, there, writes := deliver(t, s, creates(500))
	if len(dead) > 0 || len(there) > 0 || writes < 3 {
		t.Errorf("dead %v, there %v, %d writes", dead, there, writes)
	}
	if n := len(fake.Documents("a")); n != 500 {
		t.Errorf("%d documents arrived, not 500", n)
	}
}

func TestWhatIsRefusedForGoodIsADeadLetterAndTheRestArrives(t *testing.T) {
	hook := osfake.Any(osfake.Pressed(2, 0.2), osfake.Poison(func(id string) bool { return strings.HasSuffix(id, "7") }))
	fake := osfake.Start(t, osfake.Options{Hook: hook})
	s := dialEvents(t, opensearch.Endpoint{URLs: fake.URLs}, opensearch.EventsOptions{Compression: 1})
	dead, _, _ := deliver(t, s, creates(300))
	if len(dead) != 30 || len(fake.Documents("a")) != 270 {
		t.Errorf("%d dead, %d documents", len(dead), len(fake.Documents("a")))
	}
	for i, err := range dead {
		if i%10 != 7 || !strings.Contains(err.Error(), "mapper_parsing_exception") {
			t.Errorf("record %d: %v", i, err)
		}
	}
}

func TestAFaultThatPassesLosesNothingAndWithIDsDoublesNothing(t *testing.T) {
	for seed := range uint64(4) {
		fake := osfake.Start(t, osfake.Options{Nodes: 2, Hook: osfake.Sometimes(seed, 0.4, osfake.Passing, "bulk")})
		s := dialEvents(t, opensearch.Endpoint{URLs: fake.URLs, Resurrect: time.Millisecond}, opensearch.EventsOptions{RequestBytes: 4 << 10})
		var all sync.WaitGroup
		recs := creates(2000)
		for from := 0; from < len(recs); from += 500 {
			all.Go(func() {
				if dead, _, _ := deliver(t, s, recs[from:from+500]); len(dead) > 0 {
					t.Errorf("seed %d: dead: %v", seed, dead)
				}
			})
		}
		all.Wait()
		docs := fake.Documents("a")
		if len(docs) != len(recs) {
			t.Errorf("seed %d: %d documents arrived, not %d", seed, len(docs), len(recs))
		}
		for id, d := range docs {
			if d.Version != 1 {
				t.Errorf("seed %d: document %s was written %d times", seed, id, d.Version)
			}
		}
	}
}

func TestARequestThatIsTooLargeIsHalvedAndARecordThatIsTooLargeAloneIsADeadLetter(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{Hook: osfake.Above(5_000)})
	s := dialEvents(t, opensearch.Endpoint{URLs: fake.URLs}, opensearch.EventsOptions{})
	recs := creates(1000)
	recs[123].Body = fmt.Appendf(nil, `{"create":{"_index":"a","_id":"123"}}`+"\n"+`{"x":%q}`+"\n", strings.Repeat("y", 6_000))
	dead, _, writes := deliver(t, s, recs)
	if len(dead) != 1 || dead[123] == nil || !strings.Contains(dead[123].Error(), "too large") || writes != 1 {
		t.Errorf("%v, %d writes", dead, writes)
	}
	if n := len(fake.Documents("a")); n != 999 {
		t.Errorf("%d documents arrived, not 999", n)
	}
}

func TestARecordThatNeedsMoreMemoryThanATargetEverGivesIsADeadLetterAfterSomeTries(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{Hook: osfake.Memory(5_000)})
	var said bytes.Buffer
	s := dialEvents(t, opensearch.Endpoint{URLs: fake.URLs}, opensearch.EventsOptions{Log: slog.New(slog.NewTextHandler(&said, nil))})
	recs := creates(1000)
	recs[123].Body = fmt.Appendf(nil, `{"create":{"_index":"a","_id":"123"}}`+"\n"+`{"x":%q}`+"\n", strings.Repeat("y", 6_000))
	// The others do not wait for it: the first write delivers all of them.
	fs, _ := errors.AsType[flow.Failures](s.Write(t.Context(), recs))
	if len(fs) != 1 || fs[0].Index != 123 || flow.IsPermanent(fs[0].Err) {
		t.Fatalf("%v", fs)
	}
	if n := len(fake.Documents("a")); n != 999 {
		t.Errorf("%d documents arrived, not 999", n)
	}
	dead, _, writes := deliver(t, s, recs[123:124])
	if len(dead) != 1 || dead[0] == nil || !strings.Contains(dead[0].Error(), "max_coordinating_and_primary_bytes=5000") || writes != opensearch.MostOversize-1 {
		t.Errorf("%v, %d writes", dead, writes)
	}
	if n := s.Stats().Alone.Load(); n != opensearch.MostOversize-1 {
		t.Errorf("%d refusals are counted", n)
	}
	if n := strings.Count(said.String(), "level=ERROR"); n != 3 { // at the 1st, 2nd and 4th
		t.Errorf("said %d times:\n%s", n, &said)
	}
}

func TestARecordThatIsRefusedAloneByATargetThatIsFullIsTriedAgainForEver(t *testing.T) {
	refuse := 50
	fake := osfake.Start(t, osfake.Options{Hook: func(r *osfake.Request) osfake.Fault {
		if refuse--; r.API == "bulk" && refuse > 0 {
			return osfake.Busy
		}
		return osfake.Fault{}
	}})
	var said bytes.Buffer
	s := dialEvents(t, opensearch.Endpoint{URLs: fake.URLs}, opensearch.EventsOptions{Log: slog.New(slog.NewTextHandler(&said, nil))})
	if dead, _, writes := deliver(t, s, creates(1)); len(dead) > 0 || writes < 40 {
		t.Errorf("%v, %d writes", dead, writes)
	}
	if n := s.Stats().Alone.Load(); n < 40 || len(fake.Documents("a")) != 1 {
		t.Errorf("%d refusals are counted; %d documents", n, len(fake.Documents("a")))
	}
	if n := strings.Count(said.String(), "level=ERROR"); n != 4 { // at the 4th, 8th, 16th and 32nd
		t.Errorf("said %d times:\n%s", n, &said)
	}
}

func TestARecordWhoseLineCannotBeReadIsFound(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	s := dialEvents(t, opensearch.Endpoint{URLs: fake.URLs}, opensearch.EventsOptions{})
	recs := creates(300)
	for _, i := range []int{0, 1, 77, 299} {
		recs[i].Body = []byte(`{"index":{"_index":"a","_id":"x","version":"one"}}` + "\n{}\n")
	}
	dead, _, writes := deliver(t, s, recs)
	if len(dead) != 4 || writes != 1 {
		t.Errorf("%v, %d writes", dead, writes)
	}
	if n := len(fake.Documents("a")); n != 296 {
		t.Errorf("%d documents arrived, not 296", n)
	}
}

func TestWhateverHappensEveryRecordIsDeliveredOrDead(t *testing.T) {
	for seed := range uint64(6) {
		fake := osfake.Start(t, osfake.Options{Hook: osfake.Any(
			osfake.Above(3_000), osfake.Sometimes(seed, 0.1, append(slices.Clone(osfake.Passing), osfake.Forbidden, osfake.Fault{Status: 404}), "bulk"),
			osfake.Pressed(seed, 0.05), osfake.Poison(func(id string) bool { return strings.HasSuffix(id, "9") }),
		)})
		s := dialEvents(t, opensearch.Endpoint{URLs: fake.URLs, Resurrect: time.Millisecond}, opensearch.EventsOptions{Compression: int(seed % 3)})
		recs := creates(400)
		want := 400
		for i := range recs {
			switch {
			case i%10 == 9:
				want--
			case i%37 == 5:
				recs[i].Body = fmt.Appendf(nil, `{"create":{"_index":"a","_id":"%d","version":"one"}}`+"\n{}\n", i)
				want--
			case i%50 == 3:
				recs[i].Body = fmt.Appendf(nil, `{"create":{"_index":"a","_id":"%d"}}`+"\n"+`{"x":%q}`+"\n", i, strings.Repeat("y", 4_000))
				want--
			}
		}
		dead, _, _ := deliver(t, s, recs)
		docs := fake.Documents("a")
		if len(docs) != want || len(dead) != 400-want {
			t.Errorf("seed %d: %d documents and %d dead, not %d and %d", seed, len(docs), len(dead), want, 400-want)
		}
		for id, d := range docs {
			if d.Version != 1 {
				t.Errorf("seed %d: document %s was written %d times", seed, id, d.Version)
			}
		}
	}
}

func TestAWrongSettingBuriesNothing(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	s := dialEvents(t, opensearch.Endpoint{URLs: fake.URLs}, opensearch.EventsOptions{Path: "/_bulk?no_such_parameter=1"})
	for _, n := range []int{1, 5, 300} {
		before := fake.Count("bulk")
		err := s.Write(t.Context(), creates(n))
		if err == nil || flow.IsPermanent(err) {
			t.Errorf("%d records: %v", n, err)
		}
		if fs, ok := errors.AsType[flow.Failures](err); ok {
			for _, f := range fs {
				if flow.IsPermanent(f.Err) {
					t.Errorf("%d records: record %d is given up: %v", n, f.Index, f.Err)
				}
			}
		}
		if requests := fake.Count("bulk") - before; requests > 60 {
			t.Errorf("%d records took %d requests to find out", n, requests)
		}
	}
}

func TestRefusalsOfTheWholeRequestAreForNow(t *testing.T) {
	for _, fault := range []osfake.Fault{osfake.Unauthorized, osfake.Forbidden, osfake.Busy, osfake.Unavailable, osfake.BadGateway, osfake.ReadOnly, {Status: 404, Body: "not here"}} {
		left := 2
		fake := osfake.Start(t, osfake.Options{Hook: func(r *osfake.Request) osfake.Fault {
			if left--; left >= 0 {
				return fault
			}
			return osfake.Fault{}
		}})
		s := dialEvents(t, opensearch.Endpoint{URLs: fake.URLs}, opensearch.EventsOptions{})
		err := s.Write(t.Context(), creates(10))
		if _, some := errors.AsType[flow.Failures](err); some || err == nil || flow.IsPermanent(err) {
			t.Errorf("%d: %v", fault.Status, err)
		}
		if dead, _, writes := deliver(t, s, creates(10)); len(dead) > 0 || writes != 2 {
			t.Errorf("%d: %v, %d writes", fault.Status, dead, writes)
		}
	}
}

func TestAnAnswerAboutAnotherNumberOfItemsSettlesNothing(t *testing.T) {
	for _, answer := range []string{
		``, `{}`, `[]`, `{"errors":false}`, `{"errors":false,"items":[{"index":{"status":201}}]}`,
		`{"errors":false,"items":[{"index":{"status":201}},{"index":{"status":201}},{"index":{"status":201}}]}`,
		`{"errors":true,"items":[{"index":{"status":201}},{"index":{"status":400,"error":{"type":"x"}}},{"index":{"status":400}}]}`,
		`{"errors":false,"items":[{"index":{"status":201}},{}]}`, `{"errors":true,"items":[{"index":{"status":201}},{"index":{"status":"4`,
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) })
		s := dialEvents(t, opensearch.Endpoint{URLs: []string{url}}, opensearch.EventsOptions{})
		err := s.Write(t.Context(), creates(2))
		if _, some := errors.AsType[flow.Failures](err); some || err == nil || flow.IsPermanent(err) {
			t.Errorf("%s: %v", answer, err)
		}
	}
}

func TestConflictsThatAreNoRepetitionsAreDroppedAndCounted(t *testing.T) {
	answer := `{"took":3,"errors":true,"items":[
		{"update":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"r"}}},
		{"index":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"r"}}},
		{"index":{"_index":"a","status":409,"error":{"type":"version_conflict_engine_exception","reason":"r"}}},
		{"index":{"status":500,"error":{"type":"ugly_exception","reason":"r"}}},
		{"index":{"status":418,"error":{"type":"teapot_exception","reason":"r","caused_by":{"type":"x","reason":"why"}}}},
		{"index":{"status":201}}]}`
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) })
	var logged bytes.Buffer
	s := dialEvents(t, opensearch.Endpoint{URLs: []string{url}}, opensearch.EventsOptions{
		Dead: []int{418}, Dropped: []string{"ugly_exception"}, Silent: []string{"version_conflict_engine_exception"},
		Log: slog.New(slog.NewTextHandler(&logged, nil)),
	})
	fs, _ := errors.AsType[flow.Failures](s.Write(t.Context(), lines(
		`{"update":{"_index":"a","_id":"1"}}`+"\n{}", `{"index":{"_index":"a","_id":"version_type"}}`+"\n{}",
		`{"index":{"_index":"a","_id":"1","version":1,"version_type":"external_gte"}}`+"\n{}",
		`{"index":{"_index":"a"}}`+"\n{}", `{"index":{"_index":"a"}}`+"\n{}", `{"index":{"_index":"a"}}`+"\n{}")))
	if len(fs) != 5 {
		t.Fatalf("%v", fs)
	}
	for i, want := range []error{opensearch.ErrConflict, opensearch.ErrConflict, flow.ErrThere, opensearch.ErrDropped} {
		if !errors.Is(fs[i].Err, want) || !errors.Is(fs[i].Err, flow.ErrThere) {
			t.Errorf("record %d: %v", i, fs[i].Err)
		}
	}
	if !flow.IsPermanent(fs[4].Err) || !strings.Contains(fs[4].Err.Error(), "why") {
		t.Errorf("%v", fs[4].Err)
	}
	st := s.Stats()
	if got := []int64{st.Conflicts.Load(), st.There.Load(), st.Dropped.Load(), st.Dead.Load(), st.Written.Load()}; !slices.Equal(got, []int64{2, 1, 1, 1, 1}) {
		t.Errorf("conflicts, there, dropped, dead, written: %v", got)
	}
	if text := logged.String(); strings.Contains(text, "version_conflict") || !strings.Contains(text, "ugly_exception") {
		t.Errorf("logged: %s", text)
	}
}

func TestARequestHasWhatTheEndpointSays(t *testing.T) {
	var got *http.Request
	var body []byte
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		z, err := gzip.NewReader(r.Body)
		if err == nil {
			body, err = io.ReadAll(z)
		}
		if err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, `{"errors":false,"items":[{"index":{"status":201}}]}`)
	})
	for _, c := range []struct {
		e    opensearch.Endpoint
		auth string
	}{
		{opensearch.Endpoint{Username: "u", Password: "p:q"}, "Basic dTpwOnE="},
		{opensearch.Endpoint{APIKey: "a2V5"}, "ApiKey a2V5"},
		{opensearch.Endpoint{}, ""},
		{opensearch.Endpoint{URLs: []string{strings.Replace(url, "http://", "http://n:w%2F@", 1) + "/prefix/"}, Username: "u", Password: "p"}, "Basic bjp3Lw=="},
		{opensearch.Endpoint{AWS: opensearch.AWS{Service: "es", Region: "eu-west-1", AccessKey: "AKIA", SecretKey: "s"}}, "AWS4-HMAC-SHA256 Credential=AKIA/"},
	} {
		if c.e.URLs == nil {
			c.e.URLs = []string{url + "/prefix"}
		}
		c.e.Headers = http.Header{"X-Own": {"yes"}}
		c.e.Parameters = map[string][]string{"pipeline": {"p"}}
		s := dialEvents(t, c.e, opensearch.EventsOptions{Compression: 1, Path: opensearch.WithShortAnswer("/_bulk"), Counted: true})
		if err := s.Write(t.Context(), lines(`{"index":{"_index":"a"}}`+"\n{}")); err != nil {
			t.Fatal(err)
		}
		if got.URL.Path != "/prefix/_bulk" || got.URL.Query().Get("pipeline") != "p" || !strings.Contains(got.URL.Query().Get("filter_path"), "errors") {
			t.Errorf("it went to %s", got.URL)
		}
		if h := got.Header; h.Get("X-Own") != "yes" || !strings.HasPrefix(h.Get("Authorization"), c.auth) || c.auth == "" && h.Get("Authorization") != "" ||
			h.Get("Content-Type") != "application/x-ndjson" || h.Get("X-Elastic-Event-Count") != "1" {
			t.Errorf("headers: %v", h)
		}
		if string(body) != `{"index":{"_index":"a"}}`+"\n{}\n" {
			t.Errorf("%q", body)
		}
	}
}

func TestAHostThatIsAwayIsPassedOverAndAskedBeforeItIsUsedAgain(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{Nodes: 2})
	s := dialEvents(t, opensearch.Endpoint{URLs: fake.URLs, Resurrect: 20 * time.Millisecond}, opensearch.EventsOptions{})
	if _, _, writes := deliver(t, s, creates(3)); writes != 1 {
		t.Errorf("%d writes", writes)
	}
	fake.StopNode(0)
	for range 10 {
		if dead, _, writes := deliver(t, s, creates(3)); writes != 1 || len(dead) > 0 {
			t.Errorf("%d writes, dead %v", writes, dead)
		}
	}
	fake.StartNode(0)
	time.Sleep(30 * time.Millisecond)
	for range 4 {
		deliver(t, s, creates(3))
	}
	log := fake.Requests()
	var after []string
	for _, r := range log[len(log)-5:] {
		after = append(after, r.API)
	}
	if slices.Index(after, "info") < 0 {
		t.Errorf("the host was not asked: %v", after)
	}
	if !slices.ContainsFunc(log[len(log)-5:], func(r osfake.Request) bool { return r.API == "bulk" && r.Node == 0 }) {
		t.Error("the host is not used again")
	}
}

func TestATargetThatDoesNotAnswerIsGivenUpInTime(t *testing.T) {
	release := make(chan struct{})
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-release
	})
	defer close(release)
	s := dialEvents(t, opensearch.Endpoint{URLs: []string{url}, Timeout: 100 * time.Millisecond}, opensearch.EventsOptions{})
	err := s.Write(t.Context(), creates(1))
	if err == nil || flow.IsPermanent(err) || !strings.Contains(err.Error(), "no answer within the time allowed") {
		t.Errorf("%v", err)
	}
}

func TestTheBeginningIsDoneOnceBeforeTheFirstRecord(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	var begun atomic.Int32
	s := dialEvents(t, opensearch.Endpoint{URLs: fake.URLs}, opensearch.EventsOptions{Begin: func(ctx context.Context, c *opensearch.Client) error {
		if begun.Add(1) == 1 {
			return errors.New("not yet")
		}
		if fake.Count("bulk") > 0 {
			t.Error("records came first")
		}
		info, err := c.Ask(ctx)
		if err == nil && !info.OpenSearch() {
			t.Errorf("%+v", info)
		}
		return err
	}})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { deliver(t, s, creates(3)) })
	}
	all.Wait()
	if begun.Load() != 2 {
		t.Errorf("it was begun %d times", begun.Load())
	}
}

func TestBodiesAreSentWholeWhateverTheirSize(t *testing.T) {
	var got int
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = 0
		for line := range bytes.Lines(b) {
			if !json.Valid(line) {
				t.Errorf("a broken line of %d bytes", len(line))
			}
			got++
		}
		_, _ = io.WriteString(w, `{"errors":false,"items":[`+strings.Repeat(`{"index":{"status":201}},`, got/2-1)+`{"index":{"status":201}}]}`)
	})
	s := dialEvents(t, opensearch.Endpoint{URLs: []string{url}}, opensearch.EventsOptions{RequestBytes: 64 << 20})
	for _, size := range []int{1, 100, 3_900, 4_096, 70_000, 3 << 20} {
		rec := fmt.Appendf(nil, `{"index":{"_index":"a"}}`+"\n"+`{"x":%q}`+"\n", strings.Repeat("z", size))
		for range 3 {
			if err := s.Write(t.Context(), []flow.Record{{Body: rec}, {Body: rec}}); err != nil {
				t.Fatal(err)
			}
			if size < 1<<20 && got != 4 {
				t.Errorf("%d lines of %d bytes arrived", got, size)
			}
		}
	}
}

package input

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// withDocuments starts a fake with three documents.
func withDocuments(t *testing.T, v osfake.Version) *osfake.Server {
	t.Helper()
	fake := osfake.Start(t, osfake.Options{Version: v})
	var body strings.Builder
	for i := range 3 {
		fmt.Fprintf(&body, `{"create":{"_index":"logs","_id":"%d","routing":"r"}}`+"\n"+`{"n":%d,"@timestamp":"2026-01-0%dT00:00:00Z"}`+"\n", i, i, i+1)
	}
	resp, err := http.Post(fake.URL()+"/_bulk?refresh=true", "application/x-ndjson", strings.NewReader(body.String()))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(text), `"errors":false`) {
		t.Fatalf("%s %v", text, err)
	}
	return fake
}

func TestAHitBecomesAnEventWithWhatIsSaidOfIt(t *testing.T) {
	for _, c := range []struct {
		options, ecs string
		event, meta  string // of the first
	}{
		{``, "disabled", `{"n":0,"@timestamp":"2026-01-01T00:00:00.000Z","@version":"1"}`, `{}`},
		{`docinfo => true docinfo_fields => ["_index", "_id", "_type"]`, "disabled", `{"n":0,"@timestamp":"2026-01-01T00:00:00.000Z","@version":"1"}`, `{"_index":"logs","_id":"0","_type":null}`},
		{`docinfo => true docinfo_fields => "_id"`, "v8", `{"n":0,"@timestamp":"2026-01-01T00:00:00.000Z","@version":"1"}`, `{"input":{"PLUGIN":{"_id":"0"}}}`},
		{`docinfo => true docinfo_fields => ["_routing"] docinfo_target => "[doc]" target => "[es]"`, "v1",
			`{"@version":"1","@timestamp":"2026-01-02T03:04:05.000Z","es":{"n":0,"@timestamp":"2026-01-01T00:00:00Z"},"doc":{"_routing":"r"}}`, `{}`},
		{`docinfo => true docinfo_target => "n"`, "disabled", `{"n":0,"@timestamp":"2026-01-01T00:00:00.000Z","@version":"1","tags":["_PLUGIN_input_failure"]}`, `{}`},
	} {
		for plugin, v := range map[string]osfake.Version{"opensearch": osfake.OpenSearch2, "elasticsearch": osfake.Elasticsearch8} {
			fake := withDocuments(t, v)
			r := runInput(t, plugin+` { hosts => "`+fake.URL()+`" index => "logs" query => '{"sort":[{"n":"asc"}]}' `+c.options+` }`, setting{ecs: c.ecs})
			events, metas := r.got(3)
			want := [2]string{strings.ReplaceAll(c.event, "PLUGIN", plugin), strings.ReplaceAll(c.meta, "PLUGIN", plugin)}
			if diff := cmp.Diff(want, [2]string{events[0], metas[0]}); diff != "" || len(events) != 3 {
				t.Errorf("%s { %s } (%s): %s", plugin, c.options, c.ecs, diff)
			}
		}
	}
}

func TestAScheduledSearchWithATrackingFieldReadsWhatIsNew(t *testing.T) {
	fake := withDocuments(t, osfake.Elasticsearch8)
	dir := t.TempDir()
	file := filepath.Join(dir, "last")
	r := runInput(t, `elasticsearch { hosts => "`+fake.URL()+`" index => "logs" schedule => "* * * * * * UTC" tracking_field => "[es][n]" target => "[es]"
		tracking_field_seed => "0" last_run_metadata_path => "`+file+`" query => '{"query":{"range":{"n":{"gt":":last_value"}}},"sort":[{"n":"asc"}]}' }`, setting{})
	events, _ := r.got(2)
	if !strings.Contains(events[0], `"n":1`) {
		t.Errorf("%q", events)
	}
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if kept, err := os.ReadFile(file); err == nil && string(kept) == "2" {
			break
		}
		if time.Since(began) > 10*time.Second {
			t.Fatal("the value is not kept")
		}
	}
	before := fake.Count("search")
	for began := time.Now(); fake.Count("search") == before; time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatal("it is not run again")
		}
	}
	if events, _ := r.got(2); len(events) != 2 {
		t.Errorf("read twice: %q", events)
	}
}

func TestASearchThatFailsEndsThePipelineWithAnError(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	_, in, err := setUp(t, `opensearch { hosts => "`+fake.URL()+`" index => "none" }`, setting{})
	if err != nil {
		t.Fatal(err)
	}
	source, err := in.Open(&Run{Log: discard(), Data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	err = source.Run(t.Context(), func(s stream.Stream) {
		go func() {
			for err := s.Wait(t.Context()); err == nil; err = s.Wait(t.Context()) {
				if err := s.Read(t.Context(), &flow.Batch{}); err != nil {
					break
				}
			}
			_ = s.Close()
		}()
	})
	if err == nil || !strings.Contains(err.Error(), "index_not_found") {
		t.Errorf("%v", err)
	}
}

func TestWrongOptionsOfASearchAreFoundBeforeItRuns(t *testing.T) {
	for _, c := range []struct{ input, want string }{
		{`opensearch { query => "all" }`, "expected a JSON object"},
		{`opensearch { query => "null" }`, "expected a JSON object"},
		{`opensearch { slices => 0 }`, "slices"},
		{`opensearch { slices => 2 query => '{"slice":{}}' }`, "slices"},
		{`opensearch { size => 0 }`, "size"},
		{`opensearch { schedule => "every day" }`, "schedule"},
		{`opensearch { hosts => "http://x" ssl => true }`, "encrypted"},
		{`opensearch { user => "u" }`, "come together"},
		{`opensearch { request_timeout_seconds => 0 }`, "request_timeout_seconds"},
		{`elasticsearch { query_type => esql query => "FROM x" }`, "ES|QL"},
		{`elasticsearch { retries => -1 }`, "retries"},
		{`elasticsearch { api_key => "a:b" }`, "anyone can read it"},
		{`elasticsearch { response_type => aggregations tracking_field => "x" }`, "no last hit"},
		{`elasticsearch { query => '{"a":":last_value"}' }`, "no tracking_field"},
		{`elasticsearch { cloud_id => "x" }`, "cloud_id"},
	} {
		if got := wrong(t, c.input, setting{}); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %q", c.input, got, c.want)
		}
	}
}

func TestAScheduleComesWhenItsLineSays(t *testing.T) {
	for _, c := range []struct {
		line, after string
		want        []string
	}{
		{"* * * * * UTC", "2026-01-31T23:58:30Z", []string{"2026-01-31T23:59:00Z", "2026-02-01T00:00:00Z"}},
		{"*/20 * * * * * UTC", "2026-01-31T23:59:30Z", []string{"2026-01-31T23:59:40Z", "2026-02-01T00:00:00Z"}},
		{"30 4 1,15 * 5 UTC", "2026-01-01T05:00:00Z", []string{"2026-01-02T04:30:00Z", "2026-01-09T04:30:00Z", "2026-01-15T04:30:00Z"}},
		{"0 9-17/4 * jan-mar mon-fri UTC", "2026-03-30T18:00:00Z", []string{"2026-03-31T09:00:00Z", "2026-03-31T13:00:00Z", "2026-03-31T17:00:00Z", "2027-01-01T09:00:00Z"}},
		{"0 0 29 2 * UTC", "2026-01-01T00:00:00Z", []string{"2028-02-29T00:00:00Z"}},
		{"0 12 * * 7 UTC", "2026-01-01T00:00:00Z", []string{"2026-01-04T12:00:00Z"}},
		{"0 6 * * * Asia/Seoul", "2026-01-01T00:00:00Z", []string{"2026-01-01T21:00:00Z"}},
		{"30 2 * * * Europe/Berlin", "2026-03-28T12:00:00Z", []string{"2026-03-30T00:30:00Z"}}, // there is no half past two that night
		{"@hourly UTC", "2026-01-01T00:00:00Z", []string{"2026-01-01T01:00:00Z"}},
		{"@weekly UTC", "2026-01-01T00:00:00Z", []string{"2026-01-04T00:00:00Z"}},
		{"5/15 * * * * UTC", "2026-01-01T00:00:00Z", []string{"2026-01-01T00:05:00Z", "2026-01-01T00:20:00Z"}},
	} {
		s, err := parseSchedule(c.line)
		if err != nil {
			t.Errorf("%s: %v", c.line, err)
			continue
		}
		at, err := time.Parse(time.RFC3339, c.after)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for range c.want {
			at = s.next(at)
			got = append(got, at.UTC().Format(time.RFC3339))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.line, got, c.want)
		}
	}
	for _, line := range []string{"", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "5-1 * * * *", "*/0 * * * *", "x * * * *", "0 0 30 2 *", "* * * * * Nowhere/At_All", "@often"} {
		if s, err := parseSchedule(line); err == nil {
			t.Errorf("%q is fine: %+v", line, s)
		}
	}
}

func FuzzSchedule(f *testing.F) {
	f.Add("*/5 1-4 * jan mon,tue UTC")
	f.Add("@daily Europe/Berlin")
	f.Fuzz(func(t *testing.T, line string) {
		s, err := parseSchedule(line)
		if err != nil {
			return
		}
		at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		if next := s.next(at); !next.After(at) {
			t.Errorf("%q: %v is not after %v", line, next, at)
		}
	})
}

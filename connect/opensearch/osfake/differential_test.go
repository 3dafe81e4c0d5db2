package osfake_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/internal/testbed"
)

func TestTheFakeAnswersLikeTheRealServer(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	answersLike(t, "os219")
}

// answersLike sends the calls of testdata/calls.txt to a server and to the fake, one after the other, and compares status
// and answer but for what differs from server to server: ids, times, sizes, and Jackson's words for bad JSON.
func answersLike(t *testing.T, name string) {
	t.Helper()
	ok, missing := testbed.CanStart(t, name)
	testbed.Need(t, ok, missing)
	node := testbed.Start(t, name, testbed.Options{})
	fake := osfake.Start(t, osfake.Options{Version: osfake.Version{OpenSearch: node.OpenSearch, Number: node.Version, Major: node.Major, Minor: node.Minor}})
	a, b := &side{url: node.URL, openSearch: node.OpenSearch}, &side{url: fake.URL(), openSearch: node.OpenSearch}
	for _, c := range calls(t) {
		if c.only == "opensearch" && !node.OpenSearch || c.only == "before3" && node.OpenSearch && node.Major >= 3 {
			continue
		}
		want, err := a.send(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		got, err := b.send(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:%d: %s %s %.200s\n%s", callsFile, c.line, c.method, c.path, c.body, diff)
		}
	}
}

const callsFile = "testdata/calls.txt"

// A wire is one call in the file: [ONLY] METHOD PATH [CONTENT-TYPE], then the body's lines, then an empty line.
type wire struct {
	line         int
	only         string // "opensearch"; "before3": not OpenSearch 3; "": all
	method, path string
	contentType  string
	body         string
}

func calls(t *testing.T) []wire {
	t.Helper()
	text, err := os.ReadFile(callsFile)
	if err != nil {
		t.Fatal(err)
	}
	var out []wire
	line := 1
	for block := range strings.SplitSeq(string(text), "\n\n") {
		at := line
		line += strings.Count(block, "\n") + 2
		block = strings.TrimLeft(block, "\n")
		head, body, _ := strings.Cut(block, "\n")
		if strings.HasPrefix(head, "#") || head == "" {
			continue
		}
		c := wire{line: at, contentType: "application/json"}
		fields := strings.Fields(head)
		if fields[0] == "opensearch" || fields[0] == "before3" {
			c.only, fields = fields[0], fields[1:]
		}
		c.method, c.path = fields[0], fields[1]
		if strings.Contains(c.path, "_bulk") {
			c.contentType = "application/x-ndjson"
			if body != "" {
				body += "\n"
			}
		}
		if len(fields) > 2 {
			c.contentType = fields[2]
		}
		body = strings.Replace(body, "<empty line>", "", 1)
		c.body = strings.Replace(body, "<no newline>\n", "", 1)
		out = append(out, c)
	}
	if len(out) < 150 {
		t.Fatalf("only %d calls in %s", len(out), callsFile)
	}
	return out
}

// A side is one of the two servers, with what its answers gave to later calls.
type side struct {
	url         string
	openSearch  bool
	scroll, pit string
}

type answer struct {
	Status int
	Body   any
}

func (s *side) send(ctx context.Context, c wire) (answer, error) {
	method, path := c.method, c.path
	body := strings.ReplaceAll(strings.ReplaceAll(c.body, "SCROLL", s.scroll), `"PIT"`, `"`+s.pit+`"`)
	switch {
	case method == "OPENPIT" && s.openSearch:
		method, path = "POST", strings.Replace(path, "?", "/_search/point_in_time?", 1)
	case method == "OPENPIT":
		method, path = "POST", strings.Replace(path, "?", "/_pit?", 1)
	case method == "CLOSEPIT" && s.openSearch:
		method, body = "DELETE", `{"pit_id":["`+s.pit+`"]}`
		path = "/_search/point_in_time"
	case method == "CLOSEPIT":
		method, body = "DELETE", `{"id":"`+s.pit+`"}`
		path = "/_pit"
	}
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", c.contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{Status: resp.StatusCode}
	if len(text) == 0 {
		return a, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return answer{resp.StatusCode, string(text)}, nil
	}
	if m, ok := v.(map[string]any); ok {
		if id, ok := m["_scroll_id"].(string); ok {
			s.scroll = id
		}
		for _, name := range []string{"pit_id", "id"} {
			if id, ok := m[name].(string); ok && strings.HasPrefix(c.method, "OPENPIT") {
				s.pit = id
			}
		}
	}
	a.Body = plain(v)
	return a, nil
}

// differing are what servers and runs differ in.
var differing = []string{
	"took", "index_uuid", "uuid", "index.uuid", "creation_date", "index.creation_date", "index.version.created", "version", "cluster_name", "cluster_uuid", "name", "node",
	"failed_shards", "_scroll_id", "pit_id", "creation_time", "store.size", "pri.store.size", "dataset.size", "line", "col", "stack_trace", "active_shards_percent_as_number",
	"unassigned_primary_shards", "suppressed", "phase", "terminated_early", "id", "index.routing.allocation.include._tier_preference", "routing",
}

var (
	uuids      = regexp.MustCompile(`/[\w-]{20,24}\]`)
	places     = regexp.MustCompile(`\[\d+:\d+\] |\n at \[[^\]]*\](; line: \d+, column: \d+\])?| at \d+:\d+|(?s:\n at \[.*$)`)
	advice     = regexp.MustCompile(`; for more information, see [^\]]*`)
	verbose    = regexp.MustCompile(`(?s)^failed to parse: .*|^Unrecognized token.*|did you mean .*|please check that any required plugins .*`)
	methods    = regexp.MustCompile(`allowed: \[.*\]|following characters \[.*\]|associated with it \[.*?\]`)
	contextIDs = regexp.MustCompile(`context found for id \[\d+\]`)
	autoID     = regexp.MustCompile(`^(auto\d+|[\w-]{20})$`)
)

// plain takes out of an answer what may differ.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			if slices.Contains(differing, k) && !(k == "name" && v["aliases"] != nil) {
				continue
			}
			out[k] = plain(e)
		}
		if typ, _ := v["type"].(string); words(typ) {
			delete(out, "reason")
		}
		if list, ok := out["root_cause"].([]any); ok {
			out["root_cause"] = list[:1]
		}
		if id, ok := v["_id"].(string); ok && autoID.MatchString(id) {
			out["_id"] = "automatic"
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		slices.SortStableFunc(out, func(a, b any) int { return strings.Compare(row(a), row(b)) })
		return out
	case string:
		v = uuids.ReplaceAllString(v, "/uuid]")
		v = places.ReplaceAllString(v, "")
		v = advice.ReplaceAllString(v, "")
		v = verbose.ReplaceAllString(v, "failed to parse: in its words")
		v = methods.ReplaceAllString(v, "allowed: [in any order]")
		return contextIDs.ReplaceAllString(v, "context found for id [n]")
	}
	return v
}

// row is what rows of _cat are sorted by, which the servers do not do.
func row(v any) string {
	m, _ := v.(map[string]any)
	if m["_id"] != nil {
		return ""
	}
	name, _ := m["index"].(string)
	return name
}

// words reports that the reason of such an error is a parser's own words.
func words(typ string) bool {
	for _, part := range []string{"json_", "x_content", "e_o_f", "named_object_not_found", "input_coercion", "stream_read", "unexpected_end"} {
		if strings.Contains(typ, part) {
			return true
		}
	}
	return false
}

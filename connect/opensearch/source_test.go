package opensearch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/flowtest"
)

func noEnvironment(string) string { return "" }

func dial(t *testing.T, urls ...string) *opensearch.Client {
	t.Helper()
	c, err := opensearch.Target{URLs: urls}.Connect(t.Context(), noEnvironment)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func put(t *testing.T, c *opensearch.Client, method, path, body string) {
	t.Helper()
	r := opensearch.Request{Method: method, Path: path, Body: []byte(body)}
	if strings.HasSuffix(path, "_bulk") {
		r.Type = "application/x-ndjson"
	}
	if _, err := c.Do(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

// fill writes two indices and gives what a source must give.
func fill(t *testing.T, c *opensearch.Client) []flow.Record {
	t.Helper()
	var want []flow.Record
	put(t, c, "PUT", "/logs-1", `{"settings":{"index.number_of_shards":3,"index.number_of_replicas":0}}`)
	put(t, c, "PUT", "/로그", `{"settings":{"index.number_of_shards":1,"index.number_of_replicas":0}}`)
	put(t, c, "PUT", "/empty", `{}`)
	put(t, c, "PUT", "/.hidden", `{}`)
	put(t, c, "PUT", "/hidden", `{"settings":{"index.hidden":true}}`)
	var bulk bytes.Buffer
	add := func(index, id, routing, body string) {
		meta := map[string]string{"_index": index, "_id": id}
		r := flow.Record{Index: index, Key: []byte(id), Body: []byte(body)}
		if routing != "" {
			meta["routing"], r.Routing = routing, []byte(routing)
		}
		action, err := json.Marshal(map[string]any{"index": meta})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&bulk, "%s\n%s\n", action, body)
		if index[0] != '.' && index != "hidden" {
			want = append(want, r)
		}
	}
	for i := range 120 {
		add("logs-1", fmt.Sprint("id-", i), "", fmt.Sprintf(`{"n":%d,"text":"\u0041 \"}{\\"}`, i))
	}
	for i := range 40 {
		add("로그", fmt.Sprintf("가/%d \"x\"", i), fmt.Sprint("r", i%3), fmt.Sprintf(` { "n" : %d, "e":1.0E+2 } `, i))
	}
	add("로그", "large", "", `{"a":"`+strings.Repeat("나", 50_000)+`"}`)
	add(".hidden", "h", "", `{}`)
	add("hidden", "h", "", `{}`)
	put(t, c, "POST", "/_bulk", bulk.String())
	put(t, c, "PUT", "/로그/_doc/lines", "{\n \"a\" :\r\n1}")
	want = append(want, flow.Record{Index: "로그", Key: []byte("lines"), Body: []byte("{  \"a\" :\r 1}")})
	return want
}

func open(t *testing.T, c *opensearch.Client, o opensearch.SourceOptions) *opensearch.Source {
	t.Helper()
	s, err := opensearch.NewSource(t.Context(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var versions = []osfake.Version{
	osfake.OpenSearch2, osfake.OpenSearch3, osfake.Elasticsearch7, osfake.Elasticsearch8,
	{OpenSearch: true, Number: "1.3.14", Major: 1, Minor: 3}, // scrolls
}

func TestASourceKeepsItsContractWithEachVersion(t *testing.T) {
	for _, v := range versions {
		t.Run(v.Number, func(t *testing.T) {
			server := osfake.Start(t, osfake.Options{Version: v})
			c := dial(t, server.URL())
			want := fill(t, c)
			flowtest.Source(t, func(t *testing.T) flow.Source {
				return open(t, c, opensearch.SourceOptions{PageBytes: 4 << 10})
			}, want)
		})
	}
}

// drain reads all parts and gives the records, and the errors of parts by their ids.
func drain(t *testing.T, s flow.Source) (records []flow.Record, failed map[string]error) {
	t.Helper()
	failed = map[string]error{}
	for p, err := range s.Parts(t.Context()) {
		if err == nil {
			var some []flow.Record
			some, err = readPart(t.Context(), s, p, nil)
			records = append(records, some...)
		}
		if err != nil {
			failed[p.ID] = err
		}
	}
	return records, failed
}

func readPart(ctx context.Context, s flow.Source, p flow.Part, from flow.Position) ([]flow.Record, error) {
	r, err := s.Open(ctx, p, from)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var records []flow.Record
	for {
		b := flow.Batch{MaxRecords: 50}
		err := r.Read(ctx, &b)
		if err == nil || err == io.EOF { //nolint:errorlint // a reader returns it unwrapped
			records = append(records, b.Records...)
		}
		if err == io.EOF { //nolint:errorlint // a reader returns it unwrapped
			return records, nil
		}
		if err != nil {
			return records, err
		}
	}
}

func groupNames(t *testing.T, s flow.Describer) []string {
	t.Helper()
	groups, err := s.Groups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, g := range groups {
		names = append(names, g.Name)
	}
	return names
}

func TestHiddenIndicesAreReadOnlyWhenNamed(t *testing.T) {
	server := osfake.Start(t, osfake.Options{})
	c := dial(t, server.URL())
	fill(t, c)
	put(t, c, "PUT", "/logs-1/_alias/today", `{}`)
	for _, test := range []struct {
		o    opensearch.SourceOptions
		want string
	}{
		{opensearch.SourceOptions{}, "empty logs-1 로그"},
		{opensearch.SourceOptions{Indices: flow.Patterns{"*"}}, "empty logs-1 로그"},
		{opensearch.SourceOptions{Indices: flow.Patterns{"-empty"}}, "logs-1 로그"},
		{opensearch.SourceOptions{Indices: flow.Patterns{".*"}}, ".hidden"},
		{opensearch.SourceOptions{Indices: flow.Patterns{"hid*", "logs-*"}}, "logs-1"},
		{opensearch.SourceOptions{Indices: flow.Patterns{"hidden", "logs-*"}}, "hidden logs-1"},
		{opensearch.SourceOptions{Indices: flow.Patterns{"*", "-logs-*"}}, "empty 로그"},
		{opensearch.SourceOptions{Indices: flow.Patterns{"today"}, Aliases: true}, "logs-1"},
	} {
		if got := strings.Join(groupNames(t, open(t, c, test.o)), " "); got != test.want {
			t.Errorf("%v gives %s, want %s", test.o.Indices, got, test.want)
		}
	}
}

func TestWhatIsNotThereIsAnError(t *testing.T) {
	server := osfake.Start(t, osfake.Options{})
	c := dial(t, server.URL())
	fill(t, c)
	for _, patterns := range []flow.Patterns{{"nowhere"}, {"logs-*", "nowhere"}, {"no*"}, {"today"}, {"["}} {
		if _, err := opensearch.NewSource(t.Context(), c, opensearch.SourceOptions{Indices: patterns}); err == nil {
			t.Errorf("%v: no error", patterns)
		}
	}
}

func TestAClosedIndexIsAPartThatFailsAndTheOthersAreRead(t *testing.T) {
	server := osfake.Start(t, osfake.Options{})
	c := dial(t, server.URL())
	want := fill(t, c)
	put(t, c, "POST", "/logs-1/_close", "")
	s := open(t, c, opensearch.SourceOptions{})
	got, failed := drain(t, s)
	want = slices.DeleteFunc(want, func(r flow.Record) bool { return r.Index == "logs-1" })
	if diff := flowtest.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(failed) != 1 || failed["logs-1"] == nil || !strings.Contains(failed["logs-1"].Error(), "_open") {
		t.Errorf("%v", failed)
	}
}

func TestReadingGoesOnAfterThePointInTimeIsGone(t *testing.T) {
	for _, v := range versions {
		server := osfake.Start(t, osfake.Options{Version: v})
		c := dial(t, server.URL())
		fill(t, c)
		s := open(t, c, opensearch.SourceOptions{Indices: flow.Patterns{"로그"}, PageBytes: 2 << 10})
		part := onlyPart(t, s)
		whole, err := readPart(t.Context(), s, part, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Open(t.Context(), part, nil)
		if err != nil {
			t.Fatal(err)
		}
		b := flow.Batch{MaxRecords: 15}
		if err := r.Read(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		server.StopNode(0)
		server.StartNode(0)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		rest, err := readPart(t.Context(), s, part, b.Next)
		if err != nil {
			t.Fatalf("%s: %v", v.Number, err)
		}
		if diff := flowtest.Diff(whole[15:], rest); diff != "" {
			t.Errorf("%s: %s", v.Number, diff)
		}
		put(t, c, "DELETE", "/로그/_doc/large", "")
		put(t, c, "PUT", "/"+url.PathEscape("로그")+"/_doc/"+url.PathEscape("가/3 \"x\"")+"?routing=r0", `{"moved":true}`)
		server.StopNode(0)
		server.StartNode(0)
		if some, err := readPart(t.Context(), s, part, b.Next); !flow.IsPermanent(err) {
			t.Errorf("%s: the shard has changed: %d records and error %v", v.Number, len(some), err)
		}
	}
}

func onlyPart(t *testing.T, s flow.Source) (part flow.Part) {
	t.Helper()
	n := 0
	for p, err := range s.Parts(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		part = p
		n++
	}
	if n != 1 {
		t.Fatalf("%d parts", n)
	}
	return part
}

func TestPagesAdaptToTheSizeOfDocuments(t *testing.T) {
	server := osfake.Start(t, osfake.Options{})
	c := dial(t, server.URL())
	put(t, c, "PUT", "/mixed", `{"settings":{"index.number_of_shards":1,"index.max_result_window":200}}`)
	var bulk bytes.Buffer
	for i := range 3000 {
		size := 100
		if i >= 2000 {
			size = 20_000
		}
		fmt.Fprintf(&bulk, "{\"index\":{\"_index\":\"mixed\",\"_id\":\"%d\"}}\n{\"a\":%q}\n", i, strings.Repeat("x", size))
	}
	put(t, c, "POST", "/_bulk", bulk.String())
	const page = 256 << 10
	var largest, pages atomic.Int64
	proxy := httpProxy(t, server.URL(), func(path string, answer []byte) {
		if strings.HasPrefix(path, "/_search") && len(answer) > 1000 {
			pages.Add(1)
			largest.Store(max(largest.Load(), int64(len(answer))))
		}
	})
	s := open(t, dial(t, proxy), opensearch.SourceOptions{PageBytes: page})
	got, failed := drain(t, s)
	if len(got) != 3000 || len(failed) > 0 {
		t.Fatalf("%d records, %v", len(got), failed)
	}
	// The page on which large documents begin is one of small ones by its number: 200 here.
	if largest.Load() > 200*21_000 || pages.Load() < 20_000_000/page/2 || pages.Load() > 4*20_000_000/page {
		t.Errorf("%d pages, the largest of %d bytes", pages.Load(), largest.Load())
	}
}

// httpProxy passes requests on and shows the answers.
func httpProxy(t *testing.T, to string, show func(path string, answer []byte)) string {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), r.Method, to+r.URL.RequestURI(), r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		req.Header = r.Header
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		show(r.URL.Path, b)
		w.WriteHeader(resp.StatusCode)
		w.Write(b) //nolint:errcheck // the reader may have gone
	})
}

func TestAnAnswerThatBreaksOffIsReadAgainWithoutLossOrDoubling(t *testing.T) {
	for _, v := range versions {
		server := osfake.Start(t, osfake.Options{Version: v})
		want := fill(t, dial(t, server.URL()))
		var n atomic.Int64
		cut := serve(t, func(w http.ResponseWriter, r *http.Request) {
			req, err := http.NewRequestWithContext(r.Context(), r.Method, server.URL()+r.URL.RequestURI(), r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			req.Header = r.Header
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			w.WriteHeader(resp.StatusCode)
			if strings.Contains(r.URL.Path, "_search") && r.Method == http.MethodPost && len(b) > 2000 && n.Add(1)%5 == 0 {
				w.Write(b[:len(b)*2/3]) //nolint:errcheck // it is to break
				panic(http.ErrAbortHandler)
			}
			w.Write(b) //nolint:errcheck // the reader may have gone
		})
		s := open(t, dial(t, cut), opensearch.SourceOptions{PageBytes: 4 << 10})
		var got []flow.Record
		broken := 0
		for p, err := range s.Parts(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			var at flow.Position
			for end := false; !end; {
				r, err := s.Open(t.Context(), p, at)
				if err != nil {
					t.Fatal(err)
				}
				for {
					b := flow.Batch{MaxRecords: 10}
					err = r.Read(t.Context(), &b)
					if err != nil && err != io.EOF { //nolint:errorlint // a reader returns it unwrapped
						if broken++; flow.IsPermanent(err) || broken > 500 {
							t.Fatalf("%s: %v", v.Number, err)
						}
						break
					}
					got, at = append(got, b.Records...), b.Next
					if err != nil {
						end = true
						break
					}
				}
				r.Close()
			}
		}
		if diff := flowtest.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", v.Number, diff)
		}
		if broken == 0 {
			t.Errorf("%s: nothing broke", v.Number)
		}
	}
}

package osfake_test

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/narudata/naru/connect/opensearch/osfake"
)

func call(t *testing.T, s *osfake.Server, method, path, body string) (int, map[string]any) {
	t.Helper()
	status, text, err := try(t, s, method, path, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	var v map[string]any
	if len(text) > 0 {
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatalf("%s %s: %v in %q", method, path, err, text)
		}
	}
	return status, v
}

func try(t *testing.T, s *osfake.Server, method, path, body string) (int, []byte, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, text, err
}

const one = `{"index":{"_index":"x","_id":"1"}}` + "\n" + `{"a":1}` + "\n"

func TestCutsHappenBeforeOrAfterTheEffect(t *testing.T) {
	for _, c := range []struct {
		fault osfake.Fault
		docs  int
	}{{osfake.LostRequest, 0}, {osfake.LostAnswer, 1}, {osfake.TornAnswer, 1}} {
		s := osfake.Start(t, osfake.Options{})
		s.SetHook(func(*osfake.Request) osfake.Fault { return c.fault })
		if status, text, err := try(t, s, "POST", "/_bulk", one); err == nil {
			t.Errorf("cut %v: %d %s", c.fault.Cut, status, text)
		}
		if docs := s.Documents("x"); len(docs) != c.docs {
			t.Errorf("cut %v: %d documents, want %d", c.fault.Cut, len(docs), c.docs)
		}
	}
}

func TestRefusalsHaveNoEffectAndTheServersWords(t *testing.T) {
	for _, c := range []struct {
		version osfake.Version
		fault   osfake.Fault
		status  int
		typ     string
	}{
		{osfake.OpenSearch2, osfake.Busy, 429, "rejected_execution_exception"},
		{osfake.Elasticsearch8, osfake.Busy, 429, "es_rejected_execution_exception"},
		{osfake.OpenSearch2, osfake.NoMaster, 503, "cluster_manager_not_discovered_exception"},
		{osfake.Elasticsearch7, osfake.NoMaster, 503, "master_not_discovered_exception"},
		{osfake.OpenSearch2, osfake.Forbidden, 403, "security_exception"},
	} {
		s := osfake.Start(t, osfake.Options{Version: c.version, Hook: func(*osfake.Request) osfake.Fault { return c.fault }})
		status, v := call(t, s, "POST", "/_bulk", one)
		failed, _ := v["error"].(map[string]any)
		if status != c.status || failed["type"] != c.typ || s.Documents("x") != nil {
			t.Errorf("%s: %d %v", c.typ, status, v)
		}
	}
}

func TestItemsFailEachOnItsOwn(t *testing.T) {
	s := osfake.Start(t, osfake.Options{})
	var body strings.Builder
	for i := range 200 {
		fmt.Fprintf(&body, `{"index":{"_index":"x","_id":"%d"}}`+"\n"+`{"a":1}`+"\n", i)
	}
	s.SetHook(osfake.Any(osfake.Pressed(7, 0.5), osfake.Poison(func(id string) bool { return strings.HasSuffix(id, "3") })))
	_, v := call(t, s, "POST", "/_bulk", body.String())
	counts := map[float64]int{}
	for _, item := range v["items"].([]any) {
		counts[item.(map[string]any)["index"].(map[string]any)["status"].(float64)]++
	}
	if v["errors"] != true || counts[429] < 60 || counts[400] < 3 || counts[400] > 20 || counts[201] != 200-counts[429]-counts[400] {
		t.Errorf("statuses: %v", counts)
	}
	if n := len(s.Documents("x")); n != counts[201] {
		t.Errorf("%d documents, %d were created", n, counts[201])
	}
}

func TestTheSameSeedGivesTheSameFaults(t *testing.T) {
	run := func(seed uint64) string {
		s := osfake.Start(t, osfake.Options{Hook: osfake.Sometimes(seed, 0.3, []osfake.Fault{osfake.Busy, osfake.Unavailable}, "count")})
		var text strings.Builder
		for range 40 {
			status, _, err := try(t, s, "GET", "/_count", "")
			fmt.Fprint(&text, status, err, " ")
		}
		if status, _ := call(t, s, "GET", "/", ""); status != 200 {
			t.Error("a fault of another API")
		}
		return text.String()
	}
	first, again, other := run(1), run(1), run(2)
	if first != again {
		t.Error("the same seed gives other faults")
	}
	if first == other || !strings.Contains(first, "429") || !strings.Contains(first, "503") || !strings.Contains(first, "200") {
		t.Errorf("faults: %s", first)
	}
}

func TestBodiesThatAreTooLargeAreRefused(t *testing.T) {
	s := osfake.Start(t, osfake.Options{MaxBytes: 1000})
	if status, _, err := try(t, s, "POST", "/_bulk", strings.Repeat(one, 30)); err != nil || status != 413 {
		t.Errorf("%d, %v", status, err)
	}
	s.SetHook(osfake.Above(100))
	if status, v := call(t, s, "POST", "/_bulk", strings.Repeat(one, 3)); status != 413 || v["Message"] == nil {
		t.Errorf("%d, %v", status, v)
	}
	if status, _ := call(t, s, "POST", "/_bulk", one); status != 200 {
		t.Errorf("%d for a small one", status)
	}
}

func TestBodiesMayBeCompressed(t *testing.T) {
	s := osfake.Start(t, osfake.Options{})
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	fmt.Fprint(w, one)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/_bulk", &b)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Encoding", "gzip")
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if docs := s.Documents("x"); resp.StatusCode != http.StatusOK || string(docs["1"].Source) != `{"a":1}` {
		t.Errorf("%d, %v", resp.StatusCode, docs)
	}
}

func TestSlownessTakesItsTime(t *testing.T) {
	s := osfake.Start(t, osfake.Options{})
	for _, f := range []osfake.Fault{{Latency: 60 * time.Millisecond}, {Slow: 60 * time.Millisecond}} {
		s.SetHook(func(*osfake.Request) osfake.Fault { return f })
		began := time.Now()
		call(t, s, "GET", "/", "")
		if took := time.Since(began); took < 55*time.Millisecond {
			t.Errorf("%+v took %v", f, took)
		}
	}
}

func TestAFullDiskBlocksWritesUntilItIsFreed(t *testing.T) {
	s := osfake.Start(t, osfake.Options{})
	call(t, s, "PUT", "/x", "")
	s.Set("x", "index.blocks.read_only_allow_delete", "true")
	_, v := call(t, s, "POST", "/_bulk", one)
	if text := fmt.Sprint(v); v["errors"] != true || !strings.Contains(text, "flood-stage") || !strings.Contains(text, "status:429") {
		t.Error(text)
	}
	s.Set("x", "index.blocks.read_only_allow_delete", "")
	if _, v := call(t, s, "POST", "/_bulk", one); v["errors"] != false {
		t.Error(v)
	}
}

func TestSearchesSeeWhatWasRefreshed(t *testing.T) {
	s := osfake.Start(t, osfake.Options{})
	call(t, s, "PUT", "/x", `{"settings":{"refresh_interval":"-1"}}`)
	call(t, s, "POST", "/_bulk", one)
	count := func() any { _, v := call(t, s, "GET", "/x/_count", ""); return v["count"] }
	if n := count(); n != 0.0 {
		t.Errorf("%v before", n)
	}
	if status, v := call(t, s, "GET", "/x/_doc/1", ""); status != 200 {
		t.Errorf("a get does not see it: %v", v)
	}
	call(t, s, "POST", "/x/_refresh", "")
	if n := count(); n != 1.0 {
		t.Errorf("%v after", n)
	}
	call(t, s, "PUT", "/x/_settings", `{"index.refresh_interval":"20ms"}`)
	call(t, s, "DELETE", "/x/_doc/1", "")
	<-time.After(30 * time.Millisecond)
	if n := count(); n != 0.0 {
		t.Errorf("%v after the interval", n)
	}
}

func TestAScrollSeesWhatWasThereWhenItBegan(t *testing.T) {
	s := osfake.Start(t, osfake.Options{})
	var body strings.Builder
	for i := range 25 {
		fmt.Fprintf(&body, `{"index":{"_index":"x","_id":"%d"}}`+"\n"+`{"n":%d}`+"\n", i, i)
	}
	call(t, s, "POST", "/_bulk?refresh=true", body.String())
	_, v := call(t, s, "POST", "/x/_search?scroll=1m", `{"size":10,"sort":["_doc"]}`)
	call(t, s, "POST", "/_bulk?refresh=true", `{"delete":{"_index":"x","_id":"20"}}`+"\n"+`{"index":{"_index":"x","_id":"new"}}`+"\n{}\n"+`{"index":{"_index":"x","_id":"24"}}`+"\n"+`{"n":7}`+"\n")
	seen := 0
	for {
		hits := v["hits"].(map[string]any)["hits"].([]any)
		for _, h := range hits {
			if want := fmt.Sprintf("map[n:%d]", seen); fmt.Sprint(h.(map[string]any)["_source"]) != want {
				t.Errorf("hit %d: %v, want %s", seen, h, want)
			}
			seen++
		}
		if len(hits) == 0 {
			break
		}
		_, v = call(t, s, "POST", "/_search/scroll", fmt.Sprintf(`{"scroll":"1m","scroll_id":%q}`, v["_scroll_id"]))
	}
	if seen != 25 {
		t.Errorf("%d hits", seen)
	}
}

func TestARestartedServerHasItsDocumentsAndAnotherPrimaryTerm(t *testing.T) {
	s := osfake.Start(t, osfake.Options{Nodes: 2})
	call(t, s, "POST", "/_bulk", one)
	_, v := call(t, s, "POST", "/x/_search?scroll=1m", `{"size":1}`)
	s.StopNode(0)
	if _, _, err := try(t, s, "GET", "/", ""); err == nil {
		t.Error("a node that is down answers")
	}
	if resp, err := http.Get(s.URLs[1] + "/"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("the other node: %v", err)
	}
	s.StartNode(0)
	if _, v := call(t, s, "GET", "/x/_doc/1", ""); v["_primary_term"] != 2.0 && v["_primary_term"] != 1.0 || v["found"] != true {
		t.Error(v)
	}
	if _, v := call(t, s, "PUT", "/x/_doc/1", "{}"); v["_primary_term"] != 2.0 {
		t.Error(v)
	}
	if status, _ := call(t, s, "POST", "/_search/scroll", fmt.Sprintf(`{"scroll_id":%q}`, v["_scroll_id"])); status != 404 {
		t.Errorf("a scroll from before: %d", status)
	}
}

func TestWhoIsAskedForANameNeedsOne(t *testing.T) {
	s := osfake.Start(t, osfake.Options{Username: "u", Password: "p"})
	if status, _, err := try(t, s, "GET", "/", ""); err != nil || status != 401 {
		t.Errorf("%d, %v", status, err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("u", "p")
	if resp, err := http.DefaultClient.Do(req); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("with the right one: %v", err)
	}
}

func TestRefusedSettingsTypesAndParametersAreTheTestsChoice(t *testing.T) {
	s := osfake.Start(t, osfake.Options{RefusedSettings: []string{"index.priority"}, RefusedTypes: []string{"ip"}, RefusedParameters: []string{"boost"}})
	for _, body := range []string{
		`{"settings":{"priority":1}}`, `{"mappings":{"properties":{"a":{"type":"ip"}}}}`, `{"mappings":{"properties":{"a":{"type":"text","boost":2}}}}`,
	} {
		if status, v := call(t, s, "PUT", "/x", body); status != 400 {
			t.Errorf("%s: %d %v", body, status, v)
		}
	}
	if status, v := call(t, s, "PUT", "/x", `{"settings":{"codec":"zstd"},"mappings":{"properties":{"a":{"type":"text"}}}}`); status != 200 {
		t.Errorf("%d %v", status, v)
	}
}

func TestManyWriteAtOnceAndEachRequestIsCounted(t *testing.T) {
	s := osfake.Start(t, osfake.Options{})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 20 {
				body := fmt.Sprintf(`{"create":{"_index":"x","_id":"%d"}}`+"\n{}\n", w/2*20+i)
				if _, _, err := try(t, s, "POST", "/_bulk", body); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if docs, n := s.Documents("x"), s.Count("bulk"); len(docs) != 80 || n != 160 || len(s.Requests()) != 160 {
		t.Errorf("%d documents, %d requests of %d", len(docs), n, len(s.Requests()))
	}
}

func TestTheStatsAreTheTestsChoice(t *testing.T) {
	s := osfake.Start(t, osfake.Options{})
	s.SetStats(osfake.Stats{HeapPercent: 91, WriteThreads: 4, WriteQueue: 1234, WriteRejected: 5})
	_, v := call(t, s, "GET", "/_nodes/stats/jvm,thread_pool?filter_path=nodes.*.jvm.mem.heap_used_percent,nodes.*.thread_pool.write", "")
	text := fmt.Sprint(v)
	for _, want := range []string{"heap_used_percent:91", "queue:1234", "rejected:5", "threads:4"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	if strings.Contains(text, "indices") {
		t.Errorf("what was not asked for is in %s", text)
	}
}

func TestWithTLSItIsKnownByItsCertificate(t *testing.T) {
	s := osfake.Start(t, osfake.Options{TLS: true, Nodes: 2})
	text, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatalf("no certificate in %s", text)
	}
	for _, url := range s.URLs {
		if resp, err := http.Get(url + "/"); err == nil {
			t.Errorf("a client that does not know it: %d", resp.StatusCode)
		}
		client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
		resp, err := client.Get(url + "/")
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("a client that knows it: %v", err)
		}
		resp.Body.Close()
	}
}

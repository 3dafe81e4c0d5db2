package cli

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/flow"
)

func TestMetricsSayHowFarAFlowIs(t *testing.T) {
	progress := func() flow.Snapshot {
		return flow.Snapshot{Groups: []flow.GroupProgress{{Name: "logs", Parts: 5, Done: 2, Failed: 1, Records: 100, Delivered: 90, Dead: 10, BodyBytes: 4096}}}
	}
	sink := func() opensearch.State {
		return opensearch.State{Running: 3, Limit: 8, Size: 1 << 20, Held: "the heap is full"}
	}
	at, stop, err := listen(t.Context(), "127.0.0.1:0", newMetrics(progress, sink))
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+at+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d, %v", path, resp.StatusCode, err)
		}
		return string(b)
	}
	page := get("/metrics")
	for _, want := range []string{
		`naru_parts{index="logs",state="done"} 2`, `naru_parts{index="logs",state="open"} 2`, `naru_records_read_total{index="logs"} 100`,
		`naru_records_delivered_total{index="logs"} 90`, `naru_records_dead_total{index="logs"} 10`, `naru_body_bytes_delivered_total{index="logs"} 4096`,
		`naru_target_requests 3`, `naru_target_requests_limit 8`, `naru_target_held 1`, `go_goroutines`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
	if !strings.Contains(get("/debug/pprof/"), "goroutine") {
		t.Error("no profiles")
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestMetricsAreServedToThisMachineAlone(t *testing.T) {
	for _, address := range []string{":9400", "0.0.0.0:9400", "192.0.2.1:9400", "example.com:9400", "9400"} {
		if _, _, err := listen(t.Context(), address, newMetrics(func() flow.Snapshot { return flow.Snapshot{} }, nil)); err == nil {
			t.Errorf("%s: no error", address)
		}
	}
}

package opensearch_test

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/internal/testbed/proc"
)

// nullServer starts bench/nullbulk, in a process of its own so that its work is not counted, and gives its address.
func nullServer(tb testing.TB) string {
	tb.Helper()
	program := filepath.Join(tb.TempDir(), "nullbulk")
	if out, err := exec.CommandContext(tb.Context(), "go", "build", "-o", program, "github.com/narudata/naru/bench/nullbulk").CombinedOutput(); err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	server := exec.CommandContext(tb.Context(), program, "-addr", "127.0.0.1:0")
	out, err := server.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := server.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	var line [64]byte
	n, err := out.Read(line[:])
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(string(line[:n]))
}

// BenchmarkEvents writes events of about 500 bytes to a server that only counts them. cpu-ns/event is all that this process needs
// for an event, system calls and net/http included.
func BenchmarkEvents(b *testing.B) {
	url := nullServer(b)
	rng := rand.New(rand.NewPCG(1, 2))
	const batch = 4096
	recs := make([]flow.Record, batch)
	size := 0
	for i := range recs {
		ip, path, agent := rng.Uint32(), rng.Uint64(), rng.IntN(50)
		message := fmt.Sprintf(`%d.%d.%d.%d - - [24/Nov/2026:12:%02d:%02d +0000] \"GET /articles/%x?page=%d HTTP/1.1\" 200 %d \"-\" \"Mozilla/5.0 (X11; Linux x86_64) Agent/%d\"`,
			ip>>24, ip>>16&255, ip>>8&255, ip&255, rng.IntN(60), rng.IntN(60), path, rng.IntN(100), rng.IntN(90000), agent)
		recs[i].Body = fmt.Appendf(nil, `{"index":{"_index":"logstash-2026.11.24"}}`+"\n"+
			`{"message":"%s","clientip":"%d.%d.%d.%d","verb":"GET","request":"/articles/%x","httpversion":"1.1","response":"200","referrer":"-","agent":"Mozilla/5.0 (X11; Linux x86_64) Agent/%d","@timestamp":"2026-11-24T12:00:00.000Z","@version":"1","host":"web-%d.example.com","pad":"%s"}`+"\n",
			message, ip>>24, ip>>16&255, ip>>8&255, ip&255, path, agent, rng.IntN(9), "0123456789abcdef0123456789"[:rng.IntN(26)])
		size += len(recs[i].Body)
	}
	for _, level := range []int{0, 1} {
		b.Run(fmt.Sprintf("gzip=%d", level), func(b *testing.B) {
			c, err := opensearch.Endpoint{URLs: []string{url}}.Dial(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			s := opensearch.NewEvents(c, opensearch.EventsOptions{Compression: level})
			defer s.Close(b.Context()) //nolint:errcheck // it only ends connections
			b.ReportAllocs()
			b.SetBytes(int64(size))
			before := proc.CPU()
			for b.Loop() {
				if err := s.Write(b.Context(), recs); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(proc.CPU()-before)/float64(b.N*batch), "cpu-ns/event")
		})
	}
}

package opensearch_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/flow"
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

func cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkEvents writes events of 600 bytes to a server that only counts them. cpu-ns/event is all that this process needs
// for an event, system calls and net/http included.
func BenchmarkEvents(b *testing.B) {
	url := nullServer(b)
	line := []byte(`{"index":{"_index":"logstash-2026.11.24"}}` + "\n" + `{"message":"`)
	line = append(line, bytes.Repeat([]byte("x7 GET /a/b "), (600-len(line)-3)/12)...)
	line = append(line, "\"}\n"...)
	for _, level := range []int{0, 1} {
		b.Run(fmt.Sprintf("gzip=%d", level), func(b *testing.B) {
			c, err := opensearch.Endpoint{URLs: []string{url}}.Dial(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			s := opensearch.NewEvents(c, opensearch.EventsOptions{Compression: level})
			defer s.Close(b.Context()) //nolint:errcheck // it only ends connections
			const batch = 4096
			recs := make([]flow.Record, batch)
			for i := range recs {
				recs[i].Body = bytes.Clone(line)
			}
			b.ReportAllocs()
			b.SetBytes(int64(batch * len(line)))
			before := cpu(b)
			for b.Loop() {
				if err := s.Write(b.Context(), recs); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpu(b)-before)/float64(b.N*batch), "cpu-ns/event")
		})
	}
}

package beats

import (
	"io"
	"log/slog"
	"net"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/format/lumberjack"
)

// FuzzConnection gives what clients send, in two pieces, and acknowledges each batch.
func FuzzConnection(f *testing.F) {
	v1 := lumberjack.AppendData(lumberjack.AppendWindow(nil, lumberjack.V1, 1), 1, []lumberjack.Pair{{Key: "line", Value: "text"}})
	f.Add(packed(f, 0, 20), 30)
	f.Add(slices.Concat(windowOf(2), frame(1, 0), frame(2, 1), windowOf(0), packed(f, 0, 3)), 20)
	f.Add(slices.Concat(v1, v1, windowOf(9), frame(7, 7), windowOf(1), frame(1, 1)), 5)
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), 3)
	c := Config{KeepAlive: time.Millisecond, Limits: lumberjack.Limits{Window: 1 << 16, Event: 1 << 16, Compressed: 1 << 16, Inflated: 1 << 20}}.withDefaults()
	c.MaxReceiving = 1 << 18
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		s := &Source{c: c, log: slog.New(slog.DiscardHandler), receiving: semaphore.NewWeighted(c.MaxReceiving)}
		s.enter()
		ours, theirs := net.Pipe()
		cut = min(max(cut, 0), len(in))
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		go func() {
			_, _ = theirs.Write(in[:cut])
			_, _ = theirs.Write(in[cut:])
			_ = theirs.Close()
		}()
		stream := newConn(s, ours, Peer{})
		b := &flow.Batch{MaxRecords: 3}
		read := 0
		for stream.Wait(t.Context()) == nil {
			b.Reset()
			if err := stream.Read(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			if len(b.Records) > 0 && len(b.Next) == 0 {
				t.Fatal("events without a position")
			}
			for _, r := range b.Records {
				read += len(r.Body)
			}
			if len(b.Next) > 0 {
				_ = stream.Ack(t.Context(), b.Next) // the client may be gone
			}
		}
		if err := stream.Wait(t.Context()); err == nil {
			t.Error("it ends twice")
		}
		_ = stream.Close()
		s.all.Wait()
		if !s.receiving.TryAcquire(c.MaxReceiving) {
			t.Error("what was reserved is not given back")
		}
		if most := 1100 * (len(in) + 1); read > most {
			t.Errorf("%d bytes of events came of %d", read, len(in))
		}
	})
}

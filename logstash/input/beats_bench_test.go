package input

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	lumber "github.com/narudata/naru/connect/beats"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/format/lumberjack"
	"github.com/narudata/naru/internal/testbed/proc"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
)

// benchWindow is a window of documents as Filebeat sends them, and how many bytes they are.
func benchWindow(b *testing.B, events int) (frames []byte, size int) {
	b.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	for i := range events {
		document := fmt.Appendf(nil, `{"@timestamp":"2026-01-02T03:04:%02d.%03dZ","@metadata":{"beat":"filebeat","type":"_doc","version":"8.19.0"},"log":{"offset":%d,"file":{"path":"/var/log/nginx/access.log"}},"message":"10.%d.%d.%d - - \"GET /%x HTTP/1.1\" 200 %d","input":{"type":"filestream"},"host":{"name":"web1"},"ecs":{"version":"8.0.0"}}`,
			r.IntN(60), r.IntN(1000), 100*i, r.IntN(256), r.IntN(256), r.IntN(256), r.Uint64(), r.IntN(100_000))
		size += len(document)
		frames = lumberjack.AppendJSON(frames, uint32(i+1), document)
	}
	return frames, size
}

// BenchmarkBeats measures what it takes from the socket of a client that sends windows of 2048 events to events. The client,
// who has compressed its window before, is in the figures.
func BenchmarkBeats(b *testing.B) {
	const events = 2048
	frames, size := benchWindow(b, events)
	compressed, err := (&lumberjack.Deflater{Level: 3}).Append(nil, lumberjack.V2, frames)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		body   []byte
		decode bool
	}{
		{"compressed/records", compressed, false}, {"compressed/events", compressed, true}, {"plain/records", frames, false}, {"plain/events", frames, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			l, problem := newLumberInput(b, `beats { port => 0 host => "127.0.0.1" }`, "disabled", silent)
			if problem != "" {
				b.Fatal(problem)
			}
			s, err := l.in.Open(&Run{Log: silent})
			if err != nil {
				b.Fatal(err)
			}
			source, _ := s.(*lumber.Source)
			ctx, cancel := context.WithCancel(b.Context())
			done := make(chan error, 1)
			read := 0
			go func() {
				done <- source.Run(ctx, func(s stream.Stream) { read = l.drain(ctx, b, s, c.decode) })
			}()
			client, err := new(net.Dialer).DialContext(ctx, "tcp", source.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			window := append(lumberjack.AppendWindow(nil, lumberjack.V2, events), c.body...)
			ends := lumberjack.AppendAck(nil, lumberjack.V2, events)
			var ack [6]byte
			sent := 0
			b.ReportAllocs()
			b.SetBytes(int64(size))
			before := proc.CPU()
			for b.Loop() {
				if _, err := client.Write(window); err != nil {
					b.Fatal(err)
				}
				for sent += events; !bytes.Equal(ack[:], ends); {
					if _, err := io.ReadFull(client, ack[:]); err != nil {
						b.Fatal(err)
					}
				}
				ack = [6]byte{}
			}
			spent := proc.CPU() - before
			_ = client.Close()
			cancel()
			if err := <-done; err != nil || read != sent {
				b.Fatal(err, read, sent)
			}
			b.ReportMetric(float64(sent)/spent.Seconds(), "events/CPU-s")
			b.ReportMetric(float64(len(window))/events, "wire-B/event")
			b.ReportMetric(float64(size)/events, "B/event")
		})
	}
}

// drain reads a stream to its end.
func (l *lumberInput) drain(ctx context.Context, tb testing.TB, s stream.Stream, decode bool) (records int) {
	var pool []*event.Event
	used := 0
	x := &codec.Context{Log: silent, Now: time.Now(), New: func() *event.Event {
		if used == len(pool) {
			pool = append(pool, new(event.Event))
		}
		used++
		pool[used-1].Reset()
		return pool[used-1]
	}}
	describer, _ := l.in.(Describer)
	b := &flow.Batch{MaxRecords: 2048, MaxBytes: 256 << 10}
	x.Emit = func(e *event.Event) { describer.Describe(e, &b.Records[used-1]) }
	for {
		if err := s.Wait(ctx); err != nil {
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				tb.Error(err)
			}
			_ = s.Close()
			return records
		}
		b.Reset()
		used = 0
		if err := s.Read(ctx, b); err != nil {
			tb.Error(err)
		}
		if records += len(b.Records); decode {
			for i := range b.Records {
				l.decoder.Decode(x, b.Records[i].Body)
			}
		}
		if err := s.Ack(ctx, b.Next); err != nil {
			tb.Error(err)
		}
	}
}

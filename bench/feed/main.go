// Feed sends events to what is measured, as other programs do, or looks how many have arrived:
//
//	feed kafka -to BROKER -topic NAME [-partitions 8] [-n 0] FILE   the lines of a file as records of a new topic
//	feed count -to BROKER -topic NAME                               prints how many records a topic has; 0 if it does not exist
//	feed topic -to BROKER -topic NAME [-partitions 8]               a new, empty topic
//	feed beats -to HOST:PORT [-n 1000000] [-conns 4]                as Filebeat does: compressed windows of 2048 events, each acknowledged
//	feed tcp   -to HOST:PORT [-n 1000000] [-conns 4]                JSON, a line each
//	feed http  -to URL       [-n 1000000] [-conns 4] [-batch 100]   JSON, a line each, in requests of so many; each must be answered by 200
//
// Whoever listens is waited for. The seconds that it took from the first byte to the last answer are printed.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/narudata/naru/format/lumberjack"
)

// window is how many events Filebeat sends at a time.
const window = 2048

// patience is for how long somebody who should listen is waited for.
const patience = 30 * time.Second

type feed struct {
	to, topic       string
	n, conns, batch int
	partitions      int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "feed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	kinds := map[string]func(*feed, context.Context, []string) error{
		"kafka": (*feed).intoKafka, "count": (*feed).count, "topic": (*feed).create,
		"beats": (*feed).overBeats, "tcp": (*feed).overTCP, "http": (*feed).overHTTP,
	}
	if len(args) == 0 || kinds[args[0]] == nil {
		return errors.New("usage: feed kafka|count|topic|beats|tcp|http -to ADDRESS …")
	}
	var f feed
	flags := flag.NewFlagSet(args[0], flag.ExitOnError)
	flags.StringVar(&f.to, "to", "", "where events go")
	flags.StringVar(&f.topic, "topic", "", "the topic")
	flags.IntVar(&f.n, "n", 1_000_000, "how many events; of kafka, no more than so many lines")
	flags.IntVar(&f.conns, "conns", 4, "connections")
	flags.IntVar(&f.batch, "batch", 100, "events in a request")
	flags.IntVar(&f.partitions, "partitions", 8, "partitions of a new topic")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	return kinds[args[0]](&f, ctx, flags.Args())
}

func (f *feed) client(o ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append(o, kgo.SeedBrokers(f.to))...)
}

func (f *feed) create(ctx context.Context, _ []string) error {
	client, err := f.client()
	if err != nil {
		return err
	}
	defer client.Close()
	_, err = kadm.NewClient(client).CreateTopic(ctx, int32(f.partitions), 1, nil, f.topic)
	return err
}

// intoKafka fills a topic, whose records are spread evenly in batches as clients send them.
func (f *feed) intoKafka(ctx context.Context, files []string) (err error) {
	if len(files) != 1 {
		return errors.New("kafka wants a file")
	}
	if err := f.create(ctx, nil); err != nil {
		return err
	}
	in, err := os.Open(files[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	client, err := f.client(kgo.DefaultProduceTopic(f.topic), kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.ProducerLinger(5*time.Millisecond),
		kgo.RecordPartitioner(kgo.UniformBytesPartitioner(64<<10, false, false, nil)), kgo.MaxBufferedRecords(100_000))
	if err != nil {
		return err
	}
	defer client.Close()
	start, n := time.Now(), 0
	var failed kgo.FirstErrPromise
	for lines := bufio.NewScanner(in); lines.Scan() && n < f.n; n++ {
		client.Produce(ctx, &kgo.Record{Value: bytes.Clone(lines.Bytes())}, failed.Promise())
	}
	if err := errors.Join(failed.Err(), client.Flush(ctx)); err != nil {
		return err
	}
	if n != f.n {
		return fmt.Errorf("%s has %d lines only", files[0], n)
	}
	took(start)
	return nil
}

func (f *feed) count(ctx context.Context, _ []string) error {
	client, err := f.client()
	if err != nil {
		return err
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, f.topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
		return err
	}
	records := int64(0)
	ends.Each(func(o kadm.ListedOffset) {
		if o.Err == nil {
			records += o.Offset
		}
	})
	fmt.Println(records)
	return nil
}

func took(start time.Time) { fmt.Printf("%.3f\n", time.Since(start).Seconds()) }

// dial connects to somebody who may not listen yet.
func dial(ctx context.Context, address string) (net.Conn, error) {
	var d net.Dialer
	for begun := time.Now(); ; {
		c, err := d.DialContext(ctx, "tcp", address)
		if err == nil || ctx.Err() != nil || time.Since(begun) > patience {
			return c, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// each gives every connection its part of the events, once all are there.
func (f *feed) each(ctx context.Context, address string, send func(ctx context.Context, c net.Conn, from, n int) error) error {
	conns := make([]net.Conn, f.conns)
	for i := range conns {
		c, err := dial(ctx, address)
		if err != nil {
			return err
		}
		conns[i] = c
	}
	start := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for i, c := range conns {
		from, to := f.n*i/f.conns, f.n*(i+1)/f.conns
		context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })
		group.Go(func() error { return errors.Join(send(ctx, c, from, to-from), c.Close()) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	took(start)
	return nil
}

// overBeats sends the same few windows again and again, so that it takes little itself.
func (f *feed) overBeats(ctx context.Context, _ []string) error {
	whole, err := windowOf(0, window)
	if err != nil {
		return err
	}
	return f.each(ctx, f.to, func(_ context.Context, c net.Conn, from, n int) error {
		for ; n > 0; n -= window {
			frames, size := whole, window
			if n < window {
				size = n
				if frames, err = windowOf(from, n); err != nil {
					return err
				}
			}
			if _, err := c.Write(frames); err != nil {
				return err
			}
			for ack, ends := [6]byte{}, lumberjack.AppendAck(nil, lumberjack.V2, uint32(size)); !bytes.Equal(ack[:], ends); {
				if _, err := io.ReadFull(c, ack[:]); err != nil {
					return fmt.Errorf("no acknowledgement: %w", err)
				}
			}
		}
		return nil
	})
}

func windowOf(from, n int) ([]byte, error) {
	var frames []byte
	for i := range n {
		frames = lumberjack.AppendJSON(frames, uint32(i+1), fmt.Appendf(nil, `{"@timestamp":"2026-01-02T03:04:%02d.%03dZ",`+
			`"@metadata":{"beat":"filebeat","type":"_doc","version":"8.19.0"},"log":{"offset":%d,"file":{"path":"/var/log/nginx/access.log"}},`+
			`"message":"10.%d.%d.%d - - [02/Jan/2026:03:04:%02d +0000] \"GET /products/%d?from=home HTTP/1.1\" 200 %d \"-\" \"curl/8.4.0\"",`+
			`"input":{"type":"filestream"},"ecs":{"version":"8.0.0"},"host":{"name":"web-%d"},"agent":{"type":"filebeat","version":"8.19.0","name":"web-%d"}}`,
			i%60, i%1000, (from+i)*120, i%223, i*7%256, i*31%256, i%60, i*7919%100_000, i*104729%60_000, i%4, i%4))
	}
	head := lumberjack.AppendWindow(nil, lumberjack.V2, uint32(n))
	return (&lumberjack.Deflater{Level: 3}).Append(head, lumberjack.V2, frames)
}

func eventOf(dst []byte, n int) []byte {
	return fmt.Appendf(dst, `{"n":%d,"level":"INFO","service":"orders-%d","took_ms":%d.%d,"user":{"id":"u%d","country":"KR"},`+
		`"message":"order %d was paid, and is handed to the warehouse"}`+"\n", n, n%8, n%900, n%10, n*7919%100_000, n*104729%1_000_000)
}

func (f *feed) overTCP(ctx context.Context, _ []string) error {
	return f.each(ctx, f.to, func(_ context.Context, c net.Conn, from, n int) error {
		w := bufio.NewWriterSize(c, 64<<10)
		var line []byte
		for i := range n {
			line = eventOf(line[:0], from+i)
			if _, err := w.Write(line); err != nil {
				return err
			}
		}
		return w.Flush()
	})
}

func (f *feed) overHTTP(ctx context.Context, _ []string) error {
	first, err := http.NewRequestWithContext(ctx, http.MethodPost, f.to, nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: f.conns}}
	return f.each(ctx, first.URL.Host, func(ctx context.Context, _ net.Conn, from, n int) error {
		var body []byte
		for done := 0; done < n; {
			body = body[:0]
			for range min(f.batch, n-done) {
				body = eventOf(body, from+done)
				done++
			}
			if err := post(ctx, client, f.to, body); err != nil {
				return err
			}
		}
		return nil
	})
}

// post sends a request until it is taken: 429 and 503 ask for a moment.
func post(ctx context.Context, client *http.Client, url string, body []byte) error {
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/x-ndjson")
		answer, err := client.Do(r)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, answer.Body)
		if err := errors.Join(err, answer.Body.Close()); err != nil {
			return err
		}
		switch answer.StatusCode {
		case http.StatusOK:
			return nil
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			time.Sleep(5 * time.Millisecond)
		default:
			return fmt.Errorf("POST %s: %s", url, answer.Status)
		}
	}
}

// Ceiling measures what a cluster takes by _bulk when nothing else has to be done: the bodies are ready before.
//
//	ceiling -build docs.bulk <docs.ndjson        makes them, out of what naru carry … ndjson:- prints
//	ceiling -url http://127.0.0.1:9200 docs.bulk sends them, refreshes, and prints documents and seconds
//
// The file is a row of bodies, each after its length and its number of documents on a line of their own.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sync/errgroup"
)

func main() {
	build := flag.String("build", "", "write the bodies to this file")
	url := flag.String("url", "", "the node")
	size := flag.Int("size", 5<<20, "bytes of a body")
	connections := flag.Int("connections", 3, "requests at a time")
	most := flag.Int("most", 0, "stop after so many bodies; 0: all")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	var err error
	if *build != "" {
		err = write(*build, os.Stdin, *size)
	} else {
		err = send(ctx, *url, flag.Arg(0), *connections, *most)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(path string, from io.Reader, size int) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out := bufio.NewWriter(f)
	var body bytes.Buffer
	count := 0
	flush := func() error {
		_, err := fmt.Fprintf(out, "%d %d\n", body.Len(), count)
		if err == nil {
			_, err = out.Write(body.Bytes())
		}
		body.Reset()
		count = 0
		return err
	}
	in := bufio.NewScanner(from)
	in.Buffer(make([]byte, 1<<20), 64<<20)
	for in.Scan() {
		var d struct {
			Index  string          `json:"_index"`
			ID     json.RawMessage `json:"_id"`
			Source json.RawMessage `json:"_source"`
		}
		if err := json.Unmarshal(in.Bytes(), &d); err != nil {
			return err
		}
		fmt.Fprintf(&body, `{"create":{"_index":%q,"_id":%s}}`+"\n%s\n", d.Index, d.ID, d.Source)
		if count++; body.Len() >= size {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := in.Err(); err != nil {
		return err
	}
	if count > 0 {
		if err := flush(); err != nil {
			return err
		}
	}
	return out.Flush()
}

func send(ctx context.Context, url, path string, connections, most int) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	start, total := time.Now(), 0
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(connections)
	free := make(chan []byte, connections+1)
	for range cap(free) {
		free <- nil
	}
	in := bufio.NewReaderSize(f, 1<<20)
	for n := 0; ctx.Err() == nil && (most == 0 || n < most); n++ {
		var length, count int
		if _, err := fmt.Fscanf(in, "%d %d\n", &length, &count); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return errors.Join(err, group.Wait())
		}
		body := <-free
		if cap(body) < length {
			body = make([]byte, length)
		}
		body = body[:length]
		if _, err := io.ReadFull(in, body); err != nil {
			return errors.Join(err, group.Wait())
		}
		total += count
		group.Go(func() error {
			defer func() { free <- body }()
			return post(ctx, url+"/_bulk?filter_path=errors", body)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := post(context.WithoutCancel(ctx), url+"/bench-*/_refresh", nil); err != nil {
		return err
	}
	fmt.Printf("%d %.3f\n", total, time.Since(start).Seconds())
	return nil
}

func post(ctx context.Context, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	reply, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(reply.Body)
	if err = errors.Join(err, reply.Body.Close()); err != nil {
		return err
	}
	if reply.StatusCode >= 300 || bytes.Contains(text, []byte(`"errors":true`)) {
		return fmt.Errorf("%s: %d %.300s", url, reply.StatusCode, text)
	}
	return nil
}

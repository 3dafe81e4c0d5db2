// Load fills a fresh Elasticsearch 7.17 node with the documents of a file (one JSON object per line), once in
// the index bench-lz4 and once in bench-deflate (codec best_compression), takes a snapshot of both, and prints
// a line "name uuid" for each.
//
//	load -url http://127.0.0.1:9200 -repo /path/under/path.repo docs.ndjson
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

const mapping = `{"properties":{"@timestamp":{"type":"date"},"clientip":{"type":"ip"},"verb":{"type":"keyword"},
"request":{"type":"keyword"},"response":{"type":"integer"},"bytes":{"type":"long"},"agent":{"type":"text"},
"host":{"type":"keyword"},"took_ms":{"type":"double"},"message":{"type":"text"},"tags":{"type":"keyword"}}}`

func main() {
	url := flag.String("url", "", "the node")
	repo := flag.String("repo", "", "where the node writes the repository")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *url, *repo, flag.Arg(0))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, url, repo, docs string) error {
	for _, index := range []struct{ name, codec string }{{"bench-lz4", "default"}, {"bench-deflate", "best_compression"}} {
		settings := fmt.Sprintf(`{"settings":{"number_of_shards":4,"number_of_replicas":0,"refresh_interval":"30s","codec":%q},"mappings":%s}`,
			index.codec, mapping)
		if _, err := call(ctx, "PUT", url+"/"+index.name, []byte(settings)); err != nil {
			return err
		}
		if err := bulk(ctx, url+"/"+index.name+"/_bulk?filter_path=errors", docs); err != nil {
			return err
		}
	}
	if err := settle(ctx, url); err != nil {
		return err
	}
	location := fmt.Sprintf(`{"type":"fs","settings":{"location":%q,"max_snapshot_bytes_per_sec":"400mb"}}`, repo)
	if _, err := call(ctx, "PUT", url+"/_snapshot/bench", []byte(location)); err != nil {
		return err
	}
	if _, err := call(ctx, "PUT", url+"/_snapshot/bench/snap-1?wait_for_completion=true", nil); err != nil {
		return err
	}
	names, err := call(ctx, "GET", url+"/_cat/indices/bench-*?h=index,uuid", nil)
	fmt.Print(names)
	return err
}

// settle flushes until there is nothing to merge: then the last commit in the node's data folder stays what the
// snapshot has.
func settle(ctx context.Context, url string) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for quiet := 0; quiet < 4; {
		if _, err := call(ctx, "POST", url+"/bench-*/_flush?wait_if_ongoing=true", nil); err != nil {
			return err
		}
		merges, err := call(ctx, "GET", url+"/bench-*/_stats/merge?filter_path=_all.total.merges.current", nil)
		if err != nil {
			return err
		}
		if strings.Contains(merges, `"current":0`) {
			quiet++
		} else {
			quiet = 0
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// bulk sends the documents in requests of 5 MB over three connections.
func bulk(ctx context.Context, url, docs string) (err error) {
	f, err := os.Open(docs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	start, count, size := time.Now(), 0, int64(0)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(3)
	var body bytes.Buffer
	send := func() {
		request := bytes.Clone(body.Bytes())
		body.Reset()
		group.Go(func() error {
			_, err := call(ctx, "POST", url, request)
			return err
		})
	}
	in := bufio.NewScanner(f)
	in.Buffer(make([]byte, 1<<20), 16<<20)
	for in.Scan() {
		body.WriteString("{\"index\":{}}\n")
		body.Write(in.Bytes())
		body.WriteByte('\n')
		count, size = count+1, size+int64(len(in.Bytes()))
		if body.Len() >= 5<<20 {
			send()
		}
		if ctx.Err() != nil {
			break
		}
	}
	if body.Len() > 0 {
		send()
	}
	if err := errors.Join(in.Err(), group.Wait()); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s: %d documents, %.1f MB, %.0f docs/s\n", url, count, float64(size)/1e6, float64(count)/time.Since(start).Seconds())
	return nil
}

func call(ctx context.Context, method, url string, body []byte) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	reply, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(reply.Body)
	err = errors.Join(err, reply.Body.Close())
	if err == nil && (reply.StatusCode >= 300 || strings.Contains(string(text), `"errors":true`)) {
		err = fmt.Errorf("%s %s: %d %.500s", method, url, reply.StatusCode, text)
	}
	return string(text), err
}

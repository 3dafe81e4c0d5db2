// Nullbulk answers _bulk requests as OpenSearch does when all goes well, and keeps nothing: what it costs to produce the
// requests can be measured beside it. It counts the operations; GET /_count tells how many there were, with their bytes.
//
//	nullbulk [-addr 127.0.0.1:19600] [-latency 0] [-version 2.19.5]
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/klauspost/compress/gzip"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:19600", "where to listen; port 0: any, the address is printed")
	latency := flag.Duration("latency", 0, "how long an answer takes")
	version := flag.String("version", "2.19.5", "the version to pass for")
	flag.Parse()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", *addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "nullbulk:", err)
		os.Exit(1)
	}
	fmt.Println("http://" + l.Addr().String())
	s := &server{latency: *latency, version: *version}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stop
		fmt.Printf("%d operations, %d bytes, %d requests\n", s.operations.Load(), s.bytes.Load(), s.requests.Load())
		os.Exit(0)
	}()
	err = (&http.Server{Handler: s, ReadHeaderTimeout: time.Minute}).Serve(l)
	fmt.Fprintln(os.Stderr, "nullbulk:", err)
	os.Exit(1)
}

type server struct {
	latency                     time.Duration
	version                     string
	operations, bytes, requests atomic.Int64
}

// rooms are what bodies are read into, and answers written in.
var rooms = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	switch {
	case strings.HasSuffix(r.URL.Path, "/_bulk"):
		s.bulk(w, r)
	case r.URL.Path == "/_count":
		fmt.Fprintf(w, "{\"count\":%d,\"bytes\":%d,\"requests\":%d}\n", s.operations.Load(), s.bytes.Load(), s.requests.Load())
	case r.URL.Path == "/":
		fmt.Fprintf(w, `{"name":"null","cluster_name":"null","cluster_uuid":"null","version":{"distribution":"opensearch","number":%q}}`, s.version)
	case r.Method == http.MethodHead:
	default:
		fmt.Fprint(w, `{"acknowledged":true}`)
	}
}

func (s *server) bulk(w http.ResponseWriter, r *http.Request) {
	room, _ := rooms.Get().(*[]byte)
	defer rooms.Put(room)
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	var c counter
	for {
		n, err := body.Read(*room)
		c.add((*room)[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	s.operations.Add(int64(len(c.actions)))
	s.bytes.Add(c.bytes)
	s.requests.Add(1)
	if s.latency > 0 {
		time.Sleep(s.latency)
	}
	answer := append((*room)[:0], `{"errors":false,"items":[`...)
	for i, a := range c.actions {
		if i > 0 {
			answer = append(answer, ',')
		}
		answer = append(answer, items[a]...)
	}
	answer = append(answer, "]}"...)
	*room = answer[:cap(answer)]
	w.Header().Set("Content-Length", fmt.Sprint(len(answer)))
	_, _ = w.Write(answer)
}

// items are what is answered of an operation.
var items = [...]string{`{"index":{"status":201}}`, `{"create":{"status":201}}`, `{"update":{"status":200}}`, `{"delete":{"status":200}}`}

// What items are about.
const (
	index = iota
	create
	update
	deletion
)

// A counter counts the operations of a body that it sees in pieces.
type counter struct {
	actions []byte // see items
	bytes   int64
	source  bool   // the next line is a source
	line    []byte // the beginning of an action's line
}

// longest is how much of an action's line is looked at: {"delete"
const longest = 9

func (c *counter) add(b []byte) {
	c.bytes += int64(len(b))
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n')
		piece := b
		if end >= 0 {
			piece = b[:end]
		}
		if !c.source && len(c.line) < longest {
			c.line = append(c.line, piece[:min(len(piece), longest-len(c.line))]...)
		}
		if end < 0 {
			return
		}
		b = b[end+1:]
		switch {
		case c.source:
			c.source = false
		case len(c.line) > 0:
			c.action()
		}
		c.line = c.line[:0]
	}
}

func (c *counter) action() {
	switch {
	case bytes.HasPrefix(c.line, []byte(`{"delete`)):
		c.actions = append(c.actions, deletion)
		return
	case bytes.HasPrefix(c.line, []byte(`{"create`)):
		c.actions = append(c.actions, create)
	case bytes.HasPrefix(c.line, []byte(`{"update`)):
		c.actions = append(c.actions, update)
	default:
		c.actions = append(c.actions, index)
	}
	c.source = true
}

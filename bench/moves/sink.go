//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
)

// A sink is an OpenSearch that takes everything, and remembers which events it has been given.
type sink struct {
	address string

	mu     sync.Mutex // guards what follows
	server *http.Server
	parts  []part
	first  map[int]time.Time // of each member: when it wrote first
	last   map[int]time.Time // and last
	came   time.Time         // when something was written last
	breaks []gap             // between requests, of all partitions together
	twice  int64
	once   int64
}

// A part is what is known of a partition.
type part struct {
	seen []uint64 // a bit for each number
	last time.Time
	gaps []gap // that are long
}

type gap struct{ from, to time.Time }

// An arrived event.
type arrived struct {
	P int   `json:"p"`
	N int64 `json:"n"`
}

func listen() (*sink, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{address: l.Addr().String()}
	s.serve(l)
	return s, nil
}

func (s *sink) url() string { return "http://" + s.address }

// open listens again where it did before.
func (s *sink) open() error {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", s.address)
	if err != nil {
		return err
	}
	s.serve(l)
	return nil
}

func (s *sink) serve(l net.Listener) {
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	s.mu.Lock()
	s.server = server
	s.mu.Unlock()
	go func() { _ = server.Serve(l) }()
}

// close goes away as a process that is killed does: requests are not answered.
func (s *sink) close() {
	s.mu.Lock()
	server := s.server
	s.mu.Unlock()
	_ = server.Close()
}

func (s *sink) reset(partitions int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts, s.first, s.last, s.breaks = make([]part, partitions), map[int]time.Time{}, map[int]time.Time{}, nil
	s.twice, s.once, s.came = 0, 0, time.Time{}
}

// ServeHTTP implements http.Handler. Paths begin with the number of the member.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	number, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	member, err := strconv.Atoi(number)
	switch {
	case err == nil && path == "_bulk":
		events, err := eventsOf(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.add(member, events)
		answer := []byte(`{"errors":false,"items":[`)
		for i := range events {
			if i > 0 {
				answer = append(answer, ',')
			}
			answer = append(answer, `{"index":{"status":201}}`...)
		}
		_, _ = w.Write(append(answer, "]}"...))
	case r.Method == http.MethodHead:
	default:
		fmt.Fprint(w, `{"name":"moves","cluster_name":"moves","cluster_uuid":"moves","version":{"distribution":"opensearch","number":"2.19.5"},"acknowledged":true}`)
	}
}

func eventsOf(r *http.Request) (events []arrived, err error) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(r.Body); err != nil {
			return nil, err
		}
	}
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 64<<10), 16<<20)
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		if !lines.Scan() {
			return nil, errors.New("an action without a source")
		}
		e := arrived{P: -1}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, lines.Err()
}

func (s *sink) add(member int, events []arrived) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range events {
		if e.P < 0 || e.P >= len(s.parts) || e.N < 0 || e.N > 1<<32 {
			continue // of the experiment before
		}
		p := &s.parts[e.P]
		for int(e.N/64) >= len(p.seen) {
			p.seen = append(p.seen, 0)
		}
		if p.seen[e.N/64]&(1<<(e.N%64)) != 0 {
			s.twice++
			continue
		}
		p.seen[e.N/64] |= 1 << (e.N % 64)
		s.once++
		if !p.last.IsZero() && now.Sub(p.last) > standstill/5 {
			p.gaps = append(p.gaps, gap{p.last, now})
		}
		p.last = now
	}
	if len(events) == 0 {
		return
	}
	if !s.came.IsZero() && now.Sub(s.came) > standstill/5 {
		s.breaks = append(s.breaks, gap{s.came, now})
	}
	s.came, s.last[member] = now, now
	if s.first[member].IsZero() {
		s.first[member] = now
	}
}

func (s *sink) firstOf(member int) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first[member]
}

func (s *sink) doubled() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.twice
}

func (s *sink) distinct() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.once
}

// A flow is what partitions did since something happened.
type flow struct {
	all   bool          // every partition moves, and every member reads
	again time.Duration // after which no partition stood still any more; 0: none did
	pause time.Duration // the longest standstill of a partition
}

func (s *sink) flow(since time.Time, members []int) flow {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	f := flow{all: true}
	for i := range s.parts {
		p := &s.parts[i]
		if p.last.IsZero() || now.Sub(p.last) > standstill {
			f.all = false
		}
		for _, g := range p.gaps {
			if g.to.Before(since) {
				continue
			}
			length := g.to.Sub(g.from)
			f.pause = max(f.pause, length)
			if length > standstill {
				f.again = max(f.again, g.to.Sub(since))
			}
		}
	}
	for _, m := range members {
		if now.Sub(s.last[m]) > standstill {
			f.all = false
		}
	}
	return f
}

// still gives the longest time since then that nothing arrived, and when something did last.
func (s *sink) still(since time.Time) (longest time.Duration, last time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.breaks {
		if g.to.After(since) {
			longest = max(longest, g.to.Sub(g.from))
		}
	}
	return longest, s.came
}

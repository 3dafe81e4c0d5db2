// Package osfake is OpenSearch and Elasticsearch at the protocol: an HTTP server on the loopback interface that
// keeps indices in memory and answers the calls that naru makes as the real servers do, in status, error type and shape,
// and fails as told. It is for tests. What it does not have: scripts, scoring (every hit has 1.0), analysis of text,
// data streams that roll over, ingest, replicas, more than one node's worth of state.
package osfake

import (
	"bytes"
	"compress/gzip"
	"crypto/subtle"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Version is what the fake passes for.
type Version struct {
	OpenSearch bool // else Elasticsearch
	Number     string
	Major      int
	Minor      int
}

// Versions that the fake passes for.
var (
	OpenSearch2    = Version{true, "2.19.5", 2, 19}
	OpenSearch3    = Version{true, "3.3.0", 3, 3}
	Elasticsearch7 = Version{false, "7.17.29", 7, 17}
	Elasticsearch8 = Version{false, "8.17.3", 8, 17}
)

// es reports that it is Elasticsearch of that version or a later one.
func (v Version) es(major int) bool { return !v.OpenSearch && v.Major >= major }

// typed reports that answers name the mapping type.
func (v Version) typed() bool { return v.OpenSearch && v.Major == 1 || !v.OpenSearch && v.Major == 7 }

// shardDoc reports that a point in time can be sorted by _shard_doc.
func (v Version) shardDoc() bool {
	return v.OpenSearch && (v.Major > 3 || v.Major == 3 && v.Minor >= 3) || !v.OpenSearch && (v.Major > 7 || v.Minor >= 12)
}

// openSearch3 reports that it is OpenSearch 3 or a later one.
func (v Version) openSearch3() bool { return v.OpenSearch && v.Major >= 3 }

// created is what indices have as index.version.created.
func (v Version) created() string {
	id := v.Major*1_000_000 + v.Minor*10_000 + 99
	if v.OpenSearch {
		id ^= 0x08000000
	}
	return fmt.Sprint(id)
}

// Options of a Server; the zero value works.
type Options struct {
	Version  Version // OpenSearch2 unless told
	Nodes    int     // addresses of it; 1 unless told
	MaxBytes int     // of a request's body, decompressed, above which the answer is 413; 100 MB unless told
	TLS      bool    // speak TLS, with the certificate of CAFile

	Username, Password string // asked for if there is a name

	// Beside what it refuses anyway.
	RefusedSettings, RefusedTypes, RefusedParameters []string

	Plugins []string // that its nodes have

	Cluster string // its name, which its UUID is made of; "fake" unless told
	Sizes   bool   // indices take on the disk what their documents have; else 208 bytes a shard

	// Hook is asked about each request; nil: all is done as it should be.
	Hook Hook
}

// A Server is a fake. Its methods may be called concurrently.
type Server struct {
	URLs   []string // of its nodes
	CAFile string   // with TLS: a PEM file with the authority that vouches for them

	o       Options
	version Version
	tb      testing.TB
	nodes   []*node

	mu       sync.Mutex // guards what follows
	indices  map[string]*index
	cluster  map[string]map[string]any // persistent and transient settings, flat
	contexts map[string]*cursor        // scrolls and points in time
	stats    Stats
	began    time.Time // the process that the stats are of
	searches int64     // since then
	settled  settled   // of these
	serial   int
	log      []Request
	counts   map[string]int
	hook     Hook

	repositories map[string]*repository
	snapshots    func(place string) []Snapshot
	streams      map[string][]string // data streams: their indices, in order
	tasks        map[string]*task
	taskLooks    int
	shelves      map[string]shelf              // by the first part of their path
	kept         map[string]map[string]*policy // ISM and snapshot policies, by the name of their member and their own
	managed      map[string]*managed           // indices under ISM policies, by UUID
}

type node struct {
	addr   string
	server *httptest.Server // nil while it is down
}

const nodeID = "fakeNodeD0hhIwI5S7y5Ya"

// Start starts a fake that ends with the test.
func Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	if o.Version.Number == "" {
		o.Version = OpenSearch2
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 100 << 20
	}
	s := &Server{
		o: o, version: o.Version, tb: tb, hook: o.Hook, indices: map[string]*index{}, contexts: map[string]*cursor{}, counts: map[string]int{}, began: time.Now(),
		cluster: map[string]map[string]any{"persistent": {}, "transient": {}}, stats: Stats{HeapPercent: 30, WriteThreads: 2},
		repositories: map[string]*repository{}, streams: map[string][]string{}, tasks: map[string]*task{}, shelves: map[string]shelf{},
	}
	for i := range max(1, o.Nodes) {
		s.nodes = append(s.nodes, new(node))
		s.StartNode(i)
		scheme := "http://"
		if o.TLS {
			scheme = "https://"
		}
		s.URLs = append(s.URLs, scheme+s.nodes[i].addr)
	}
	tb.Cleanup(func() {
		for i := range s.nodes {
			s.StopNode(i)
		}
	})
	return s
}

// URL is the first node's.
func (s *Server) URL() string { return s.URLs[0] }

// StopNode takes node i away: its connections are cut, and nobody listens at its address. What the fake knows stays.
func (s *Server) StopNode(i int) {
	n := s.nodes[i]
	if n.server == nil {
		return
	}
	n.server.CloseClientConnections()
	n.server.Close()
	n.server = nil
}

// StartNode has node i listen again, at the same address. Like a restarted server it has another primary term, and
// scrolls and points in time are gone.
func (s *Server) StartNode(i int) {
	s.tb.Helper()
	n := s.nodes[i]
	if n.server != nil {
		return
	}
	restarted := n.addr != ""
	if !restarted {
		n.addr = "127.0.0.1:0"
	}
	l, err := (&net.ListenConfig{}).Listen(s.tb.Context(), "tcp4", n.addr)
	if err != nil {
		s.tb.Fatalf("osfake: %v", err)
	}
	n.addr = l.Addr().String()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, i) }))
	if err := server.Listener.Close(); err != nil {
		s.tb.Fatalf("osfake: %v", err)
	}
	server.Listener = l
	if !s.o.TLS {
		server.Start()
	} else {
		server.StartTLS()
		s.CAFile = filepath.Join(s.tb.TempDir(), "ca.pem")
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
		if err := os.WriteFile(s.CAFile, text, 0o600); err != nil {
			s.tb.Fatalf("osfake: %v", err)
		}
	}
	n.server = server
	if restarted {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.restarted()
	}
}

func (s *Server) restarted() {
	clear(s.contexts)
	for name, t := range s.tasks {
		if t.response == nil {
			delete(s.tasks, name)
		}
	}
	for _, ix := range s.indices {
		for _, sh := range ix.shards {
			sh.term++
		}
		ix.reopened()
		ix.refresh()
	}
}

// A call is one request on its way.
type call struct {
	*Request
	query  url.Values
	params []string // of the path
	refuse func(index, action, id string, source []byte) *Refusal
}

// serve answers a request, unless a fault has it otherwise.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, node int) {
	body, err := s.read(r)
	c := &call{query: r.URL.Query(), Request: &Request{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Body: body, Node: node, Header: r.Header.Clone()}}
	route, failed := s.route(c, r)
	if route != nil {
		c.API = route.api
	}
	fault := s.record(c.Request)
	if fault.Latency > 0 {
		select {
		case <-time.After(fault.Latency):
		case <-r.Context().Done():
			return
		}
	}
	c.refuse = fault.Items
	var status int
	var answer any
	switch {
	case fault.Cut == CutBefore:
		hangUp(w)
		return
	case fault.Status != 0:
		status, answer = fault.Status, fault.answer(s.version)
	case errors.Is(err, errTooLarge):
		w.Header().Set("Connection", "close")
		status = http.StatusRequestEntityTooLarge
	case err != nil:
		failed = illegal("%s", err.Error())
		status, answer = failed.status, failed.body()
	case !s.allowed(r):
		w.Header().Set("WWW-Authenticate", `Basic realm="OpenSearch Security"`)
		status, answer = http.StatusUnauthorized, raw("Unauthorized")
	case failed != nil:
		status, answer = failed.status, failed.body()
	default:
		status, answer = s.do(route, c)
	}
	if fault.Cut == CutAfter {
		hangUp(w)
		return
	}
	s.reply(w, c, status, answer, fault)
}

// do runs a handler with everything locked.
func (s *Server) do(route *route, c *call) (int, any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	status, answer, failed := route.handle(s, c)
	if failed != nil {
		return failed.status, failed.body()
	}
	return status, answer
}

func (s *Server) reply(w http.ResponseWriter, c *call, status int, answer any, fault Fault) {
	if paths := c.query.Get("filter_path"); paths != "" && answer != nil {
		var split [][]string
		for p := range strings.SplitSeq(paths, ",") {
			split = append(split, strings.Split(p, "."))
		}
		kept, ok := filter(answer, split)
		if !ok {
			kept = object{}
		}
		answer = kept
	}
	var text []byte
	if answer != nil {
		text = appendJSON(nil, answer)
	}
	if s.version.es(7) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.Header().Set("Content-Type", "application/json")
	} else {
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(text)))
	w.WriteHeader(status)
	if c.Method == http.MethodHead {
		return
	}
	if fault.Cut == CutMiddle {
		_, _ = w.Write(text[:len(text)/2])
		_ = http.NewResponseController(w).Flush()
		hangUp(w)
		return
	}
	if fault.Slow <= 0 {
		_, _ = w.Write(text) // the client may be gone
		return
	}
	const pieces = 20
	for i := range pieces {
		if _, err := w.Write(text[i*len(text)/pieces : (i+1)*len(text)/pieces]); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		<-time.After(fault.Slow / pieces)
	}
}

// hangUp cuts the connection.
func hangUp(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.Close() // the client is to see an error
	}
}

var errTooLarge = errors.New("too large")

func (s *Server) read(r *http.Request) ([]byte, error) {
	var in io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, fmt.Errorf("decompress: %w", err)
		}
		in = z
	}
	var b bytes.Buffer
	if n := r.ContentLength; n > 0 && n < int64(s.o.MaxBytes) {
		b.Grow(int(n) + bytes.MinRead)
	}
	if _, err := io.Copy(&b, io.LimitReader(in, int64(s.o.MaxBytes)+1)); err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	if b.Len() > s.o.MaxBytes {
		return nil, errTooLarge
	}
	return b.Bytes(), nil
}

func (s *Server) allowed(r *http.Request) bool {
	if s.o.Username == "" {
		return true
	}
	name, password, ok := r.BasicAuth()
	return ok && subtle.ConstantTimeCompare([]byte(name+"\n"+password), []byte(s.o.Username+"\n"+s.o.Password)) == 1
}

// A Doc is a document as it is now, refreshed or not.
type Doc struct {
	ID, Routing string
	Source      []byte
	Version     int64
	SeqNo       int64
	PrimaryTerm int64
	Shard       int
}

// Documents gives what an index has, by id; nil if there is no such index. An id can be in several shards, with several
// routings: all but the first are under id + "#" + routing.
func (s *Server) Documents(name string) map[string]Doc {
	s.mu.Lock()
	defer s.mu.Unlock()
	ix := s.indices[name]
	if ix == nil {
		return nil
	}
	docs := map[string]Doc{}
	for n, sh := range ix.shards {
		for _, id := range slices.Sorted(maps.Keys(sh.docs)) {
			v := sh.docs[id].live
			if v == nil || v.deleted {
				continue
			}
			key := id
			if _, twice := docs[id]; twice {
				key += "#" + v.routing
			}
			docs[key] = Doc{ID: id, Routing: v.routing, Source: bytes.Clone(v.source), Version: v.version, SeqNo: v.seqNo, PrimaryTerm: v.term, Shard: n}
		}
	}
	return docs
}

// Indices gives the names of all indices.
func (s *Server) Indices() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.indices))
}

// Settings gives an index's settings, flat; nil if there is no such index. Values are a string or a list of them.
func (s *Server) Settings(name string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ix := s.indices[name]; ix != nil {
		return maps.Clone(ix.settings)
	}
	return nil
}

// Set changes a setting of an index whatever the API would say, as a cluster does of its own accord when a disk is full
// ("index.blocks.read_only_allow_delete", "true"). An empty value removes it.
func (s *Server) Set(index, name, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ix := s.indices[index]
	switch {
	case ix == nil:
		s.tb.Errorf("osfake: no index %s", index)
	case value == "":
		delete(ix.settings, name)
	default:
		ix.settings[name] = value
	}
}

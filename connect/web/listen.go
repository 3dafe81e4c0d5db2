// Package web has a source that is an HTTP server, whose clients are answered once what they sent is safe, and a sink that
// makes HTTP requests.
package web

import (
	"cmp"
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/narudata/naru/flow/stream"
)

// Listen says how requests are received. The zero value of all but Address works.
type Listen struct {
	Address string      // host:port
	TLS     *tls.Config // nil: none
	// User and Password: whom to answer; both empty: everybody.
	User, Password string
	Realm          string // what clients are told that they need a password for
	MaxBody        int64  // a longer body is refused with 413, in bytes, after it is decompressed; 0: 100 MiB
	MaxPending     int    // more requests at a time are refused with 429; 0: 200
	// Memory bounds the bodies of all requests that are not answered yet, in bytes; more are refused with 429. 0: 256 MiB.
	Memory int64
	Status int         // of the answer when all is safe; 0: 200
	Header http.Header // of that answer
	// Kind gives a byte for a media type ("application/json"; empty: none), which is put before the body; nil: nothing is.
	Kind func(mediaType string) byte
	// Stall is how long a client may send nothing in the middle of a request; 0: a minute.
	Stall     time.Duration
	Handshake time.Duration // how long TLS may take; 0: 10 s
	Port      int32         // of the records
	Log       *slog.Logger  // nil: nowhere
}

const (
	defaultMaxBody = 100 << 20
	defaultPending = 200
	defaultMemory  = 256 << 20
)

// Requests is the source of a Listen. It has one stream for all requests.
type Requests struct {
	Listen
	listener net.Listener
	line     *line
	pending  chan struct{} // one for each request that is being answered
	bytes    atomic.Int64  // of bodies
}

var _ stream.Volatile = (*Requests)(nil)

// Open listens, so that a port that is taken is known at once.
func (c Listen) Open() (*Requests, error) {
	c.MaxBody = cmp.Or(c.MaxBody, defaultMaxBody)
	c.MaxPending = cmp.Or(c.MaxPending, defaultPending)
	c.Memory = max(cmp.Or(c.Memory, defaultMemory), c.MaxBody+c.MaxBody/4) // allocations are a little larger
	c.Status = cmp.Or(c.Status, http.StatusOK)
	c.Stall = cmp.Or(c.Stall, time.Minute)
	c.Handshake = cmp.Or(c.Handshake, 10*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", c.Address)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", c.Address, err)
	}
	return &Requests{Listen: c, listener: l, line: newLine(c.Port), pending: make(chan struct{}, c.MaxPending)}, nil
}

// Addr is where it listens.
func (s *Requests) Addr() net.Addr { return s.listener.Addr() }

// Volatile implements stream.Volatile.
func (*Requests) Volatile() bool { return true }

// goodbye is how long clients may take for their answers when the source stops.
const goodbye = 5 * time.Second

// Run implements stream.Source. When ctx is done, new requests and those that nobody has read are refused with 503; the others are
// answered when they are safe.
func (s *Requests) Run(ctx context.Context, open func(stream.Stream)) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	server := &http.Server{
		Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: s.Stall, IdleTimeout: 5 * time.Minute, MaxHeaderBytes: 64 << 10,
		Protocols: protocols, ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	served := make(chan struct{})
	var err error
	go func() {
		defer close(served)
		if s.TLS == nil {
			err = server.Serve(s.listener)
			return
		}
		server.TLSConfig, server.ReadHeaderTimeout = s.TLS, s.Handshake // which bounds the handshake, too
		err = server.ServeTLS(s.listener, "", "")
	}()
	open(s.line)
	failed := false
	select {
	case <-ctx.Done():
	case <-s.line.closed:
	case <-served:
		failed = true
	}
	s.line.refuse()
	_ = s.listener.Close()
	<-s.line.closed
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	if server.Shutdown(leaving) != nil {
		_ = server.Close()
	}
	<-served
	if failed {
		return fmt.Errorf("serve at %s: %w", s.Address, err)
	}
	return nil
}

// serve answers a request.
func (s *Requests) serve(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.Stall)) // what is refused is read a little, too
	if !s.authorized(w, r) {
		return
	}
	if s.line.stopped() {
		unavailable(w)
		return
	}
	select {
	case s.pending <- struct{}{}:
		defer func() { <-s.pending }()
	default:
		refuse(w, http.StatusTooManyRequests)
		return
	}
	b := &body{of: s}
	defer b.free()
	decoded, err := b.read(w, r)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	p := &parcel{done: make(chan error, 1)}
	p.body = b.data
	if s.Kind != nil {
		mediaType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
		b.data[0] = s.Kind(strings.ToLower(strings.TrimSpace(mediaType)))
	}
	remote, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		remote = r.RemoteAddr
	}
	p.meta = appendMeta(nil, r, remote, len(b.data)-b.reserved, decoded)
	if !s.line.put(p) {
		unavailable(w)
		return
	}
	select {
	case err = <-p.done:
	case <-r.Context().Done():
		if s.line.takeBack(p) {
			return // nobody has seen it, and the client cannot think that we have it
		}
		// It is on its way, and holds its place until it is delivered.
		<-p.done //nolint:errcheck // nobody is there to be told
		return
	}
	if err != nil {
		unavailable(w)
		return
	}
	for name, values := range s.Header {
		w.Header()[name] = values
	}
	if s.Status == http.StatusNoContent {
		w.WriteHeader(s.Status)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Content-Length", "2")
	w.WriteHeader(s.Status)
	_, _ = w.Write([]byte("ok"))
}

// authorized checks the password. Who has shown none is asked for it.
func (s *Requests) authorized(w http.ResponseWriter, r *http.Request) bool {
	if s.User == "" && s.Password == "" {
		return true
	}
	user, password, ok := r.BasicAuth()
	if ok && subtle.ConstantTimeCompare([]byte(user), []byte(s.User))&subtle.ConstantTimeCompare([]byte(password), []byte(s.Password)) == 1 {
		return true
	}
	if r.Header.Get("Authorization") == "" {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf("Basic realm=%q", s.Realm))
	}
	refuse(w, http.StatusUnauthorized)
	return false
}

func (s *Requests) failed(w http.ResponseWriter, r *http.Request, err error) {
	s.Log.Debug("a request is refused", "peer", r.RemoteAddr, "error", err)
	var status statusError
	if errors.As(err, &status) {
		refuse(w, int(status))
		return
	}
	refuse(w, http.StatusBadRequest)
}

// refuse answers without a body. What the client still sends is not waited for.
func refuse(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(status)
}

// unavailable sends the client elsewhere.
func unavailable(w http.ResponseWriter) {
	w.Header().Set("Connection", "close")
	refuse(w, http.StatusServiceUnavailable)
}

// Package bucket starts S3 servers for tests: two buckets in memory, whose server checks every signature and makes
// as much trouble as a test asks for.
package bucket

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// What the server is called, and who may use it.
const (
	Name      = "backups"
	Other     = "archive" // another bucket
	Region    = "ap-northeast-2"
	Domain    = "s3.naru.test" // requests to backups.s3.naru.test name the bucket by the host
	AccessKey = "AKIDNARUTEST"
	secretKey = "a secret+that/nobody=guesses"
)

// A Server is an S3 server.
type Server struct {
	URL string // http://127.0.0.1:port

	http     *httptest.Server
	upstream http.Handler
	objects  gofakes3.Backend // nil: upstream's own

	writes    sync.Mutex   // held while something is written
	copyLimit atomic.Int64 // see CopyLimit

	mu       sync.Mutex           // guards what follows
	requests []Request            // all, in order
	refuse   func(Request) *Error // nil: nothing
	trouble  *Trouble             // nil: none
	latency  time.Duration        // of each answer
	clock    time.Duration        // how far the server's clock is before ours
	conns    map[net.Conn]bool    // that were ever open
	open     atomic.Int64         // answers under way
}

// A Request is one that the server got.
type Request struct {
	List     bool // of keys; else about an object
	Bucket   string
	Key      string // of the object, or the prefix of a listing
	HostName bool   // the host names the bucket, rather than the path
	Range    string
	IfMatch  string
	Token    string // of the session
	Payer    string
	Method   string
	Copy     string // what is copied, as bucket/key
	Upload   string // in parts, that is meant
	Part     string // the number of the part
	New      bool   // the object must not exist (If-None-Match)
}

// An Error is an answer of S3's kind.
type Error struct {
	Status  int
	Code    string
	Message string
	Region  string // told as the bucket's, if it is not empty
}

// Start starts a server that ends with the test. Objects are served by upstream, which is asked as if requests named
// the bucket in their paths, or, if it is nil, from memory: see Put. Only that can be written.
func Start(tb testing.TB, upstream http.Handler) *Server {
	tb.Helper()
	s := &Server{upstream: upstream, conns: map[net.Conn]bool{}}
	if upstream == nil {
		backend := s3mem.New()
		for _, name := range []string{Name, Other} {
			if err := backend.CreateBucket(name); err != nil {
				tb.Fatal(err)
			}
		}
		s.upstream, s.objects = gofakes3.New(backend, gofakes3.WithTimeSkewLimit(0)).Server(), backend
	}
	s.copyLimit.Store(5 << 30)
	s.http = httptest.NewUnstartedServer(s)
	s.http.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.mu.Lock()
			s.conns[c] = true
			s.mu.Unlock()
		}
	}
	s.http.Start()
	s.URL = s.http.URL
	tb.Cleanup(s.http.Close)
	return s
}

// Credentials sets the environment so that the SDK finds the server's credentials, with a session token if it is not
// empty, and nothing else.
func Credentials(tb testing.TB, token string) {
	for name, value := range Environment(tb.TempDir(), token) {
		tb.Setenv(name, value)
	}
}

// Environment is what Credentials sets; dir is an empty folder.
func Environment(dir, token string) map[string]string {
	return map[string]string{
		"AWS_ACCESS_KEY_ID": AccessKey, "AWS_SECRET_ACCESS_KEY": secretKey, "AWS_SESSION_TOKEN": token,
		"AWS_CONFIG_FILE": filepath.Join(dir, "config"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(dir, "credentials"),
		"AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_PROFILE": "", "AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "",
		"AWS_WEB_IDENTITY_TOKEN_FILE": "", "AWS_ROLE_ARN": "", "AWS_CA_BUNDLE": "",
	}
}

// Profile is a credentials file with the server's credentials and a session token.
func Profile(token string) string {
	return fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\naws_session_token = %s\n", AccessKey, secretKey, token)
}

// RoleCredentials is the Credentials element of an answer of AWS STS, with the server's credentials.
func RoleCredentials(token string, until time.Time) string {
	return "<Credentials><AccessKeyId>" + AccessKey + "</AccessKeyId><SecretAccessKey>" + secretKey + "</SecretAccessKey><SessionToken>" + token +
		"</SessionToken><Expiration>" + until.UTC().Format(time.RFC3339) + "</Expiration></Credentials>"
}

// Place is the s3:// URL of a prefix.
func (s *Server) Place(prefix string) string {
	return (&url.URL{Scheme: "s3", Host: Name, Path: "/" + prefix}).String() + "?region=" + Region + "&endpoint=" + url.QueryEscape(s.URL)
}

// Transport leads every request to the server, whatever its host.
func (s *Server) Transport() *http.Transport {
	address := s.http.Listener.Addr().String()
	return &http.Transport{MaxIdleConnsPerHost: 64, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
}

// Put stores objects under a prefix.
func (s *Server) Put(tb testing.TB, prefix string, files map[string][]byte) {
	tb.Helper()
	for name, data := range files {
		key := path.Join(prefix, name)
		if _, err := s.objects.PutObject(Name, key, map[string]string{}, bytes.NewReader(data), int64(len(data)), nil); err != nil {
			tb.Fatalf("put %s: %v", key, err)
		}
	}
}

// PutDir stores a directory's files under a prefix.
func (s *Server) PutDir(tb testing.TB, prefix, dir string) {
	tb.Helper()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		s.Put(tb, prefix, map[string][]byte{filepath.ToSlash(rel): data})
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// Requests are those so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Connections is how many there have been.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Open is how many requests are being answered.
func (s *Server) Open() int { return int(s.open.Load()) }

// Refuse has requests answered with an error where refuse, which is called concurrently, gives one.
func (s *Server) Refuse(refuse func(Request) *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = refuse
}

// Trouble makes trouble from now on; nil: none.
func (s *Server) Trouble(t *Trouble) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = t
}

// Latency delays every answer.
func (s *Server) Latency(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latency = d
}

// Clock sets the server's clock before ours, or behind.
func (s *Server) Clock(before time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = before
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.open.Add(1)
	defer s.open.Add(-1)
	req := Request{
		Range: r.Header.Get("Range"), IfMatch: r.Header.Get("If-Match"), Token: r.Header.Get("X-Amz-Security-Token"),
		Payer: r.Header.Get("X-Amz-Request-Payer"), Method: r.Method,
		Upload: r.URL.Query().Get("uploadId"), Part: r.URL.Query().Get("partNumber"), New: r.Header.Get("If-None-Match") == "*",
	}
	req.Copy, _ = url.QueryUnescape(r.Header.Get("X-Amz-Copy-Source"))
	key := strings.TrimPrefix(r.URL.Path, "/")
	bucket, ok := strings.CutSuffix(r.Host, "."+Domain)
	if req.HostName = ok; !ok {
		bucket, key, _ = strings.Cut(key, "/")
	}
	req.Bucket, req.Key = bucket, key
	if req.List = r.URL.Query().Get("list-type") == "2"; req.List {
		req.Key = r.URL.Query().Get("prefix")
	}
	s.mu.Lock()
	s.requests = append(s.requests, req)
	refuse, trouble, latency, now := s.refuse, s.trouble, s.latency, time.Now().Add(s.clock)
	s.mu.Unlock()

	if !sleep(r.Context(), latency) {
		return
	}
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	if err := checkSignature(r, now); err != nil {
		err.write(w)
		return
	}
	if refuse != nil {
		if err := refuse(req); err != nil {
			err.write(w)
			return
		}
	}
	body, ok := trouble.body(w, r)
	if !ok {
		return
	}
	if err := checkBody(r, body); err != nil {
		err.write(w)
		return
	}
	var answer *httptest.ResponseRecorder
	if s.objects != nil && (r.Method == http.MethodPut || r.Method == http.MethodPost) {
		answer = s.write(r, bucket, key, body)
	} else {
		answer = s.ask(r, bucket, key, body)
	}
	if tag := answer.Header().Get("ETag"); req.IfMatch != "" && answer.Code < 300 && req.IfMatch != tag {
		(&Error{http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the preconditions did not hold", ""}).write(w)
		return
	}
	trouble.answer(w, r, answer)
}

// ask has upstream answer.
func (s *Server) ask(r *http.Request, bucket, key string, body []byte) *httptest.ResponseRecorder {
	q := r.Clone(r.Context())
	q.URL = &url.URL{Path: "/" + bucket + "/" + key, RawQuery: r.URL.RawQuery}
	q.Host, q.RequestURI = "127.0.0.1", ""
	q.Body, q.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	w := httptest.NewRecorder()
	s.upstream.ServeHTTP(w, q)
	return w
}

func (e *Error) write(w http.ResponseWriter) {
	if e.Region != "" {
		w.Header().Set("X-Amz-Bucket-Region", e.Region)
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(e.Status)
	_, _ = io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>`+e.Code+"</Code><Message>"+e.Message+"</Message></Error>")
}

func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

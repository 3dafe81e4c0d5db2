// Package opensearch carries records into OpenSearch, and into Elasticsearch 7 and 8, and reads them back. It
// speaks the few calls that this takes over plain HTTP; it is no general client.
package opensearch

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Target says which cluster, and who asks.
type Target struct {
	URLs []string `json:"urls" doc:"the cluster's nodes, like https://node-1:9200; requests are spread over them"`
	Auth Auth     `json:"auth,omitzero" doc:"who asks; without it the environment variables NARU_USERNAME and NARU_PASSWORD, if they are set"`
	TLS  TLS      `json:"tls,omitzero" doc:"how the cluster is known, and naru to it"`
}

// Auth says who asks. Secrets come from files or the environment, never from a flow file or a flag.
type Auth struct {
	Username     string `json:"username,omitempty" doc:"name for basic authentication"`
	PasswordFile string `json:"passwordFile,omitempty" doc:"file with the password; without it the environment variable NARU_PASSWORD"`
	PasswordEnv  string `json:"passwordEnv,omitempty" doc:"another environment variable with the password, where two clusters have two"`
	SigV4        string `json:"sigv4,omitempty" doc:"sign requests for this AWS service: es (Amazon OpenSearch Service) or aoss (Serverless)"`
	Region       string `json:"region,omitempty" doc:"AWS region for sigv4; without it the environment's"`

	Password Password `json:"-"` // for configurations of others, which have it in them: instead of the file and the variable
}

// A Password is a text that does not print.
type Password string

// String hides the password.
func (Password) String() string { return "***" }

// GoString hides the password.
func (Password) GoString() string { return "***" }

// TLS says which certificates count.
type TLS struct {
	CAFile   string `json:"caFile,omitempty" doc:"PEM file with the authorities that vouch for the cluster; without it the system's"`
	CertFile string `json:"certFile,omitempty" doc:"PEM file with naru's own certificate"`
	KeyFile  string `json:"keyFile,omitempty" doc:"PEM file with its key"`
	Insecure bool   `json:"insecure,omitempty" doc:"do not check the cluster's certificate: anyone can read and change what is carried"`

	// For configurations of others, which have them in them: instead of the files.
	CAPEM, CertPEM, KeyPEM []byte `json:"-"`
}

// Validate says what is wrong with t.
func (t *Target) Validate() error {
	var errs []error
	if len(t.URLs) == 0 {
		errs = append(errs, errors.New("urls is missing: like https://node-1:9200"))
	}
	for _, raw := range t.URLs {
		u, err := url.Parse(raw)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("url: %w", err))
		case u.User != nil:
			errs = append(errs, fmt.Errorf("url %s: a name and password in a URL end up in histories and logs; set NARU_USERNAME and NARU_PASSWORD", u.Redacted()))
		case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
			errs = append(errs, fmt.Errorf("url %q: want something like https://node-1:9200", raw))
		}
	}
	if (t.TLS.CertFile == "") != (t.TLS.KeyFile == "") {
		errs = append(errs, errors.New("tls: certFile and keyFile come together"))
	}
	if s := t.Auth.SigV4; s != "" && s != "es" && s != "aoss" {
		errs = append(errs, fmt.Errorf("auth: sigv4 %q: want es or aoss", s))
	}
	if t.Auth.PasswordEnv != "" && t.Auth.PasswordFile != "" {
		errs = append(errs, errors.New("auth: either passwordFile or passwordEnv"))
	}
	if t.Auth.SigV4 != "" && t.Auth.Username != "" {
		errs = append(errs, errors.New("auth: either username or sigv4"))
	}
	return errors.Join(errs...)
}

// A signer signs requests, whose bodies it is given.
type signer interface {
	sign(r *http.Request, body []byte) error
}

// A Client sends requests to one cluster. It may be used concurrently.
type Client struct {
	target Target
	hosts  []*host
	next   atomic.Uint32
	http   *http.Client
	auth   signer
	info   Info

	headers http.Header   // of every request
	query   string        // of every request, encoded; "": none
	hint    string        // what to do when the cluster does not know who asks
	health  string        // path that is asked of a host that was passed over, before it is sent anything; "": none
	timeout time.Duration // of a request and its answer; 0: none
}

// host is one node's address.
type host struct {
	url  string
	user *url.Userinfo // who asks there; nil: as everywhere
	// resurrect is how long it is passed over; 0: longer each time.
	resurrect time.Duration
	mu        sync.Mutex
	// down is until when the host is passed over, after it could not be reached. Guarded by mu.
	down     time.Time
	failures int // in a row; guarded by mu
}

// Info is what the cluster says of itself.
type Info struct {
	Name         string // of the cluster
	UUID         string
	Distribution string // "opensearch" or "elasticsearch"
	Version      string
	Major, Minor int
}

// OpenSearch reports that the cluster is one of OpenSearch, not Elasticsearch.
func (i Info) OpenSearch() bool { return i.Distribution == "opensearch" }

func (i Info) String() string {
	name := "Elasticsearch"
	if i.OpenSearch() {
		name = "OpenSearch"
	}
	return name + " " + i.Version
}

// Bounds of answers, in bytes.
const (
	maxAnswer      = 64 << 20
	maxErrorAnswer = 64 << 10
)

// Connect opens the target and asks what it is.
func (t Target) Connect(ctx context.Context, getenv func(string) string) (*Client, error) {
	c, err := t.Open(ctx, getenv, nil)
	if err != nil {
		return nil, err
	}
	return c, c.ask(ctx)
}

// Open makes a client that sends the headers with each request, and sends nothing: what answers may be something else than a
// cluster that takes the same users, like OpenSearch Dashboards.
func (t Target) Open(ctx context.Context, getenv func(string) string, headers http.Header) (*Client, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	config, err := t.TLS.config()
	if err != nil {
		return nil, err
	}
	c := &Client{target: t, headers: headers}
	for _, raw := range t.URLs {
		c.hosts = append(c.hosts, &host{url: strings.TrimSuffix(raw, "/")})
	}
	c.http = &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			TLSClientConfig:       config,
			MaxIdleConnsPerHost:   64,
			IdleConnTimeout:       60 * time.Second,
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: 5 * time.Minute, // a node may think long about a large request
			DisableCompression:    true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if c.auth, err = t.Auth.signer(ctx, getenv); err != nil {
		return nil, err
	}
	switch auth := c.auth.(type) {
	case anonymous:
		c.hint = "set NARU_USERNAME and NARU_PASSWORD"
	case basic:
		c.hint = fmt.Sprintf("it does not take the name %q with the password given; NARU_USERNAME, %s and the target's auth say who asks", auth.username, cmp.Or(t.Auth.PasswordEnv, "NARU_PASSWORD"))
	}
	return c, nil
}

func (t *TLS) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.Insecure} //nolint:gosec // only when told so
	pem := t.CAPEM
	if t.CAFile != "" && pem == nil {
		var err error
		if pem, err = os.ReadFile(t.CAFile); err != nil {
			return nil, fmt.Errorf("tls: caFile: %w", err)
		}
	}
	if pem != nil {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls: caFile %s: no certificate in it", t.CAFile)
		}
	}
	if t.CertFile == "" && t.CertPEM == nil {
		return config, nil
	}
	load := func() (tls.Certificate, error) { return tls.LoadX509KeyPair(t.CertFile, t.KeyFile) }
	if t.CertPEM != nil {
		load = func() (tls.Certificate, error) { return tls.X509KeyPair(t.CertPEM, t.KeyPEM) }
	}
	cert, err := load()
	if err != nil {
		return nil, fmt.Errorf("tls: certFile: %w", err)
	}
	config.Certificates = []tls.Certificate{cert}
	return config, nil
}

// basic is basic authentication.
type basic struct{ username, password string }

func (b basic) sign(r *http.Request, _ []byte) error {
	r.SetBasicAuth(b.username, b.password)
	return nil
}

// anonymous is none.
type anonymous struct{}

func (anonymous) sign(*http.Request, []byte) error { return nil }

// nobody reports that requests do not say who asks.
func (c *Client) nobody() bool {
	_, is := c.auth.(anonymous)
	return is && c.target.TLS.CertFile == "" && c.target.TLS.CertPEM == nil
}

func (a *Auth) signer(ctx context.Context, getenv func(string) string) (signer, error) {
	if a.SigV4 != "" {
		return newSigV4(ctx, a.SigV4, a.Region)
	}
	name, password := a.Username, getenv(cmp.Or(a.PasswordEnv, "NARU_PASSWORD"))
	if name == "" {
		name = getenv("NARU_USERNAME")
	}
	if a.PasswordFile != "" {
		b, err := os.ReadFile(a.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("auth: passwordFile: %w", err)
		}
		password = strings.TrimRight(string(b), "\r\n")
	}
	if a.Password != "" {
		password = string(a.Password)
	}
	switch {
	case name == "" && password == "":
		return anonymous{}, nil
	case name == "" || password == "":
		return nil, fmt.Errorf("auth: a name without a password, or the other way round: set NARU_USERNAME and %s", cmp.Or(a.PasswordEnv, "NARU_PASSWORD"))
	}
	return basic{name, password}, nil
}

// ask finds out what the cluster is.
func (c *Client) ask(ctx context.Context) error {
	info, err := c.Ask(ctx)
	if err != nil {
		return err
	}
	c.info = info
	if !info.OpenSearch() && (info.Major < 7 || info.Major > 8) {
		return fmt.Errorf("%s is %s; naru writes to OpenSearch, and to Elasticsearch 7 and 8", c, info)
	}
	return nil
}

// Ask asks the cluster what it is.
func (c *Client) Ask(ctx context.Context) (Info, error) {
	var answer struct {
		Cluster string `json:"cluster_name"`
		UUID    string `json:"cluster_uuid"`
		Version struct {
			Number       string `json:"number"`
			Distribution string `json:"distribution"`
		} `json:"version"`
	}
	if err := c.JSON(ctx, http.MethodGet, "/", nil, &answer); err != nil {
		if errors.Is(err, io.EOF) && strings.HasPrefix(c.target.URLs[0], "http:") {
			err = fmt.Errorf("%w; a node that speaks TLS ends such a connection: then it is https://", err)
		}
		return Info{}, fmt.Errorf("ask %s what it is: %w", c, err)
	}
	info := Info{answer.Cluster, answer.UUID, answer.Version.Distribution, answer.Version.Number, 0, 0}
	if info.Distribution == "" {
		info.Distribution = "elasticsearch"
	}
	if _, err := fmt.Sscanf(info.Version, "%d.%d", &info.Major, &info.Minor); err != nil {
		return Info{}, fmt.Errorf("%s calls itself version %q; is it OpenSearch or Elasticsearch?", c, info.Version)
	}
	return info, nil
}

// Info gives what the cluster said of itself.
func (c *Client) Info() Info { return c.info }

// String names the cluster's addresses.
func (c *Client) String() string { return strings.Join(c.target.URLs, ",") }

// A Request is one call.
type Request struct {
	Method string
	Path   string // with its query
	Body   []byte
	Type   string // content type; "" is JSON
	Gzip   bool   // compress the body
}

// A StatusError is an answer that says no.
type StatusError struct {
	Status int
	Type   string // "index_not_found_exception"
	Reason string
}

func (e *StatusError) Error() string {
	if e.Type == "" && e.Reason == "" {
		return fmt.Sprintf("HTTP status %d (%s)", e.Status, http.StatusText(e.Status))
	}
	if e.Type == "" {
		return fmt.Sprintf("%s (HTTP status %d)", e.Reason, e.Status)
	}
	return fmt.Sprintf("%s: %s (HTTP status %d)", e.Type, e.Reason, e.Status)
}

// Temporary reports that the same request may succeed later.
func (e *StatusError) Temporary() bool {
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout, http.StatusRequestTimeout:
		return true
	}
	return blockedForNow(e.Type, e.Reason)
}

// statusOf gives the HTTP status of an error, or 0.
func statusOf(err error) int {
	if e, ok := errors.AsType[*StatusError](err); ok {
		return e.Status
	}
	return 0
}

// JSON sends in, if it is not nil, as JSON, and decodes the answer into out, if it is not nil.
func (c *Client) JSON(ctx context.Context, method, path string, in, out any) error {
	r := Request{Method: method, Path: path}
	if in != nil {
		var err error
		if r.Body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	answer, err := c.Do(ctx, r)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("answer to %s %s: %w", method, pathOnly(path), err)
	}
	return nil
}

func pathOnly(path string) string {
	path, _, _ = strings.Cut(path, "?")
	return path
}

// Do sends a request to one of the hosts, and gives the whole answer. A host that cannot be reached is passed over
// for a while; the request goes to the next one if it cannot have had an effect.
func (c *Client) Do(ctx context.Context, r Request) ([]byte, error) {
	body := r.Body
	if r.Gzip {
		var err error
		if body, err = gzipped(body); err != nil {
			return nil, err
		}
	}
	return someHost(ctx, c, &r, func(h *host) ([]byte, error) { return c.send(ctx, h, &r, body) })
}

// someHost tries one host after the other until one answers, be it with a refusal.
func someHost[T any](ctx context.Context, c *Client, r *Request, try func(h *host) (T, error)) (T, error) {
	var none T
	var last error
	for range c.hosts {
		h := c.pick()
		if err := c.check(ctx, h); err != nil {
			h.reached(false)
			last = err
			continue
		}
		answer, err := try(h)
		if err == nil {
			h.reached(true)
			return answer, nil
		}
		if _, ok := errors.AsType[*StatusError](err); ok {
			h.reached(true)
			return none, fmt.Errorf("%s %s: %w", r.Method, pathOnly(r.Path), err)
		}
		if ctx.Err() != nil {
			return none, err
		}
		h.reached(false)
		last = err
	}
	return none, last
}

// pick gives the next host in turn that is not passed over, or the one that has been for longest.
func (c *Client) pick() *host {
	n := int(c.next.Add(1))
	var best *host
	var until time.Time
	for i := range c.hosts {
		h := c.hosts[(n+i)%len(c.hosts)]
		h.mu.Lock()
		down := h.down
		h.mu.Unlock()
		if !time.Now().Before(down) {
			return h
		}
		if best == nil || down.Before(until) {
			best, until = h, down
		}
	}
	return best
}

func (h *host) reached(ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ok {
		h.down, h.failures = time.Time{}, 0
		return
	}
	h.failures = min(h.failures+1, 6)
	wait := time.Second << (h.failures - 1)
	if h.resurrect > 0 {
		wait = h.resurrect
	}
	h.down = time.Now().Add(wait)
}

func (c *Client) send(ctx context.Context, h *host, r *Request, body []byte) ([]byte, error) {
	if c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.timeout, errSlow)
		defer cancel()
	}
	req, err := c.request(ctx, h, r, body)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, explain(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode >= 300 {
		return nil, c.refusal(resp)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("%s: the answer was cut: %w", h.url, err)
	}
	if len(answer) > maxAnswer {
		return nil, fmt.Errorf("%s: an answer of more than %d bytes", h.url, maxAnswer)
	}
	return answer, nil
}

// errSlow is why a request is given up.
var errSlow = errors.New("no answer within the time allowed")

// request makes a request to a host. Its body can be sent anew when the connection that it goes by turns out to be dead.
func (c *Client) request(ctx context.Context, h *host, r *Request, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, c.url(h, r.Path), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "naru")
	if len(body) > 0 {
		contentType := r.Type
		if contentType == "" {
			contentType = "application/json"
		}
		req.Header.Set("Content-Type", contentType)
	}
	if r.Gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	return req, c.authorize(h, req, body)
}

// authorize adds what every request has, and who asks.
func (c *Client) authorize(h *host, req *http.Request, body []byte) error {
	for name, values := range c.headers {
		req.Header[name] = values
	}
	if h.user != nil {
		password, _ := h.user.Password()
		req.SetBasicAuth(h.user.Username(), password)
		return nil
	}
	if err := c.auth.sign(req, body); err != nil {
		return fmt.Errorf("sign the request: %w", err)
	}
	return nil
}

// signs reports that requests need their whole body to be authorized.
func (c *Client) signs() bool {
	_, ok := c.auth.(*sigV4)
	return ok
}

// url gives a path's address at a host.
func (c *Client) url(h *host, path string) string {
	switch {
	case c.query == "":
		return h.url + path
	case strings.Contains(path, "?"):
		return h.url + path + "&" + c.query
	}
	return h.url + path + "?" + c.query
}

// check asks a host that was passed over whether it is there again.
func (c *Client) check(ctx context.Context, h *host) error {
	h.mu.Lock()
	failures := h.failures
	h.mu.Unlock()
	if c.health == "" || failures == 0 {
		return nil
	}
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errSlow)
	defer cancel()
	_, err := c.send(ctx, h, &Request{Method: http.MethodHead, Path: c.health}, nil)
	if _, ok := errors.AsType[*StatusError](err); ok {
		return nil // it answers
	}
	return err
}

// blockedForNow reports that an index or cluster cannot be written for a reason that may pass: a full disk that is
// being freed, a master that is being elected, shards that are moving.
func blockedForNow(typ, reason string) bool {
	switch typ {
	case "cluster_block_exception":
		return strings.Contains(reason, "read-only / allow delete") || strings.Contains(reason, "flood-stage") ||
			strings.Contains(reason, "no master") || strings.Contains(reason, "no cluster manager") || strings.Contains(reason, "state not recovered")
	case "es_rejected_execution_exception", "opensearch_rejected_execution_exception", "rejected_execution_exception",
		"circuit_breaking_exception", "unavailable_shards_exception", "no_shard_available_action_exception",
		"master_not_discovered_exception", "cluster_manager_not_discovered_exception", "process_cluster_event_timeout_exception",
		"node_closed_exception", "node_disconnected_exception", "node_not_connected_exception", "receive_timeout_transport_exception",
		"index_primary_shard_not_allocated_exception", "shard_not_in_primary_mode_exception", "timeout_exception":
		return true
	}
	return false
}

var gzips = sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return w
}}

func gzipped(b []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzips.Get().(*gzip.Writer)
	defer gzips.Put(w)
	w.Reset(&out)
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

package web

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/internal/sized"
)

// Send says how records are sent as HTTP requests: each by itself, its Key being the URL, its Meta the header (AppendHeader), or
// several together as a JSON list, to one URL.
type Send struct {
	Client *http.Client
	Method string
	// Together: records are sent as lists of so many at most, to URL and with Header; 0: each by itself.
	Together int
	URL      string
	Header   http.Header // of all requests; that of a record adds to it
	Parallel int         // requests at a time of one Write; 0: one
	Gzip     bool        // compress bodies
	// AtOnce is how often a request that got no answer is made again at once, before the failure is the engine's.
	AtOnce int
	// Success and Retry say of a status that the request is done, or that it may succeed later; nil: 2xx, and 429 and 5xx.
	Success, Retry func(status int) bool
	Once           bool // what has failed is not tried again
}

// Requester is the sink of a Send. Its Write may be called concurrently.
type Requester struct{ Send }

var _ flow.Sink = (*Requester)(nil)

// Open makes the sink.
func (s Send) Open() *Requester {
	s.Parallel = max(1, s.Parallel)
	if s.Client == nil {
		s.Client = http.DefaultClient
	}
	if s.Success == nil {
		s.Success = func(status int) bool { return status/100 == 2 }
	}
	if s.Retry == nil {
		s.Retry = func(status int) bool { return status == http.StatusTooManyRequests || status/100 == 5 }
	}
	return &Requester{s}
}

// AppendHeader appends a line of a header to the Meta of a record: name and value, each an uvarint length and bytes.
func AppendHeader(dst []byte, name, value string) []byte {
	return sized.Append(sized.Append(dst, name), value)
}

// header gives the lines of a Meta on top of those of all requests.
func (s *Requester) header(meta []byte) (http.Header, error) {
	h := s.Header.Clone()
	if h == nil {
		h = http.Header{}
	}
	r := sized.Reader{Left: meta}
	for len(r.Left) > 0 {
		name, value := r.Sized(), r.Sized()
		h.Set(string(name), string(value))
	}
	if r.Short {
		return nil, errors.New("the header of a record is cut off")
	}
	return h, nil
}

// Write implements flow.Sink.
func (s *Requester) Write(ctx context.Context, recs []flow.Record) error {
	each := max(1, s.Together)
	var mu sync.Mutex // guards failed
	var failed flow.Failures
	slots := make(chan struct{}, s.Parallel)
	var requests sync.WaitGroup
	for first := 0; first < len(recs); first += each {
		slots <- struct{}{}
		requests.Go(func() {
			defer func() { <-slots }()
			some := recs[first:min(first+each, len(recs))]
			if err := s.request(ctx, some); err != nil {
				mu.Lock()
				defer mu.Unlock()
				for i := range some {
					failed = append(failed, flow.Failure{Index: first + i, Err: err})
				}
			}
		})
	}
	requests.Wait()
	if len(failed) == 0 {
		return nil
	}
	slices.SortFunc(failed, func(a, b flow.Failure) int { return cmp.Compare(a.Index, b.Index) })
	return failed
}

// request sends records by one request. Its error is permanent unless they should be sent again.
func (s *Requester) request(ctx context.Context, recs []flow.Record) error {
	target, header, body := s.URL, s.Header.Clone(), recs[0].Body
	if s.Together > 0 {
		body = []byte{'['}
		for i := range recs {
			if i > 0 {
				body = append(body, ',')
			}
			body = append(body, recs[i].Body...)
		}
		body = append(body, ']')
	} else {
		var err error
		target = string(recs[0].Key)
		if header, err = s.header(recs[0].Meta); err != nil {
			return flow.Permanent(err)
		}
	}
	if header == nil {
		header = http.Header{}
	}
	u, err := url.Parse(target)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return flow.Permanent(fmt.Errorf("%q is no URL of HTTP", target))
	}
	if s.Gzip {
		header.Set("Content-Encoding", "gzip")
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, err := z.Write(body)
		if err := errors.Join(err, z.Close()); err != nil {
			return flow.Permanent(err)
		}
		body = b.Bytes()
	}
	for tries := 0; ; tries++ {
		err = s.once(ctx, target, header, body)
		if _, answered := errors.AsType[*StatusError](err); err == nil || answered || flow.IsPermanent(err) || tries >= s.AtOnce || ctx.Err() != nil {
			break
		}
	}
	if err != nil && s.Once && ctx.Err() == nil {
		return flow.Permanent(err)
	}
	return err
}

// A StatusError is an answer that says no.
type StatusError struct {
	Status int
	Text   string // the beginning of the answer
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("the answer is %d %s", e.Status, http.StatusText(e.Status))
	if e.Text != "" {
		text += ": " + e.Text
	}
	return text
}

func (s *Requester) once(ctx context.Context, target string, header http.Header, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, s.Method, target, bytes.NewReader(body))
	if err != nil {
		return flow.Permanent(err)
	}
	r.Header = header
	if host := header.Get("Host"); host != "" {
		r.Host = host
	}
	res, err := s.Client.Do(r)
	if err != nil {
		return withoutSecrets(err)
	}
	defer func() { _ = res.Body.Close() }()
	if s.Success(res.StatusCode) {
		_, _ = io.CopyN(io.Discard, res.Body, 256<<10) // so that the connection can be used again
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(res.Body, 500))
	_, _ = io.CopyN(io.Discard, res.Body, 256<<10)
	err = &StatusError{res.StatusCode, strings.ToValidUTF8(strings.TrimSpace(string(text)), "?")}
	if s.Retry(res.StatusCode) {
		return err
	}
	return flow.Permanent(err)
}

// withoutSecrets takes the query, where there may be a token, out of an error.
func withoutSecrets(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		if parsed, perr := url.Parse(u.URL); perr == nil {
			parsed.RawQuery, parsed.User = "", nil
			return fmt.Errorf("%s %s: %w", u.Op, parsed, u.Err)
		}
	}
	return err
}

// Close implements flow.Sink.
func (s *Requester) Close(context.Context) error {
	s.Client.CloseIdleConnections()
	return nil
}

package blob_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/internal/testbed/bucket"
)

// roundTrip is a transport that a test stands in.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestALostAnswerIsNoFailureWithoutConditionsEither(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	s.Refuse(func(r bucket.Request) *bucket.Error {
		if r.New {
			return &bucket.Error{Status: 501, Code: "NotImplemented"}
		}
		return nil
	})
	var lost atomic.Int64
	to := openS3(t, s, "to", func(c *blob.S3Config) {
		c.PartBytes = 100
		inner := c.Transport
		c.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			response, err := inner.RoundTrip(r)
			if err == nil && r.Method == http.MethodPost && r.URL.Query().Has("uploadId") && r.Header.Get("If-None-Match") == "" && lost.Add(1) == 1 {
				response.Body.Close()
				return nil, errors.New("the answer was lost")
			}
			return response, err
		})
	})
	data := random(1, 250)
	from := openDir(t, map[string][]byte{"x": data})
	if how, err := to.Take(t.Context(), from, "x", 250); how != blob.Streamed || err != nil {
		t.Errorf("%v, %v", how, err)
	}
	if got := s.Stored(t, bucket.Name, "to"); !bytes.Equal(got["x"], data) || lost.Load() != 2 {
		t.Errorf("%d bytes after %d requests", len(got["x"]), lost.Load())
	}
}

func TestAnEmptyAnswerToACopyIsNoSuccess(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	data := random(1, 1000)
	s.Put(t, "from", map[string][]byte{"whole": data, "parts": append(data, data...)})
	var empty atomic.Int64
	to := openS3(t, s, "to", func(c *blob.S3Config) {
		c.CopyBytes = 1000
		inner := c.Transport
		c.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("X-Amz-Copy-Source") != "" && empty.Add(1)%2 == 1 { // it never gets there
				return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
			}
			return inner.RoundTrip(r)
		})
	})
	for name, size := range map[string]int64{"whole": 1000, "parts": 2000} {
		if how, err := to.Take(t.Context(), openS3(t, s, "from", nil), name, size); how != blob.CopiedThere || err != nil {
			t.Errorf("%s: %v, %v", name, how, err)
		}
	}
	if got := s.Stored(t, bucket.Name, "to"); len(got["whole"]) != 1000 || len(got["parts"]) != 2000 {
		t.Errorf("%d and %d bytes", len(got["whole"]), len(got["parts"]))
	}
}

func TestABlobThatIsOverwrittenIsNotCopied(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	for name, size := range map[string]int{"whole": 1000, "parts": 2000} {
		s.Put(t, "from", map[string][]byte{name: random(1, size)})
		from := openS3(t, s, "from", func(c *blob.S3Config) {
			inner := c.Transport
			c.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				response, err := inner.RoundTrip(r)
				s.Put(t, "from", map[string][]byte{name: random(2, size)})
				return response, err
			})
		})
		to := openS3(t, s, "to", func(c *blob.S3Config) { c.CopyBytes = 1000 })
		how, err := to.Take(t.Context(), from, name, int64(size))
		if !errors.Is(err, blob.ErrChanged) || !strings.Contains(err.Error(), "s3://backups/from/"+name) {
			t.Errorf("%s: %v, %v", name, how, err)
		}
	}
	if got := s.Stored(t, bucket.Name, "to"); len(got) != 0 {
		t.Errorf("%d are there", len(got))
	}
}

// drip gives a body slowly.
type drip struct {
	io.ReadCloser
	each time.Duration
}

func (d drip) Read(p []byte) (int, error) {
	<-time.After(d.each)
	return d.ReadCloser.Read(p[:min(len(p), 1000)])
}

func TestASlowUploadIsNotGivenUpWhileItGetsOn(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	to := openS3(t, s, "to", func(c *blob.S3Config) {
		c.Idle, c.Attempts = 300*time.Millisecond, -1
		inner := c.Transport
		c.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.Body != nil && r.Method == http.MethodPut {
				r.Body = drip{r.Body, 40 * time.Millisecond}
			}
			return inner.RoundTrip(r)
		})
	})
	started := time.Now()
	if err := to.Replace(t.Context(), "x", make([]byte, 12_000)); err != nil {
		t.Error(err)
	}
	if d := time.Since(started); d < 400*time.Millisecond {
		t.Errorf("it took only %v", d)
	}
}

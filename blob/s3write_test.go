package blob_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/flow/flowtest"
	"github.com/narudata/naru/internal/testbed/bucket"
)

// count is how many requests there are that a test is about.
func count(s *bucket.Server, about func(bucket.Request) bool) int {
	n := 0
	for _, r := range s.Requests() {
		if about(r) {
			n++
		}
	}
	return n
}

// inOther has a store in the server's other bucket.
func inOther(c *blob.S3Config) { c.Bucket = bucket.Other }

// odd are blobs to copy, some with names that need escapes.
func odd() map[string][]byte {
	return map[string][]byte{"i/0/__a": random(1, 100_000), "i/0/__b+c d%25e": random(2, 30_001), "나루/?#&=": []byte("x"), "empty": {}}
}

func TestTheServerCopiesWithinABucketAndFromAnother(t *testing.T) {
	bucket.Credentials(t, "")
	for _, c := range []struct {
		name   string
		change func(*blob.S3Config)
	}{{"same", func(*blob.S3Config) {}}, {"other", inOther}} {
		t.Run(c.name, func(t *testing.T) {
			s := bucket.Start(t, nil)
			s.CopyLimit(40_000)
			files := odd()
			s.Put(t, "from/a+b", files)
			from := openS3(t, s, "from/a+b", func(o *blob.S3Config) { o.RequesterPays = true })
			to := openS3(t, s, "to here", func(o *blob.S3Config) { o.CopyBytes = 40_000; c.change(o) })
			for _, source := range []blob.Store{from, blob.NewAhead(from, blob.AheadConfig{})} {
				for name, data := range files {
					want := blob.CopiedThere
					if source != blob.Store(from) {
						want = blob.Kept
					}
					if how, err := to.Take(t.Context(), source, name, int64(len(data))); how != want || err != nil {
						t.Errorf("%s: %v, %v", name, how, err)
					}
				}
			}
			where := bucket.Name
			if c.name == "other" {
				where = bucket.Other
			}
			got := s.Stored(t, where, "to here")
			for name, data := range files {
				if !bytes.Equal(got[name], data) {
					t.Errorf("%s has %d bytes, not %d", name, len(got[name]), len(data))
				}
			}
			for _, r := range s.Requests() {
				if r.Method == http.MethodGet {
					t.Errorf("it read %s", r.Key)
				}
				if r.Copy != "" && r.Payer != "requester" {
					t.Errorf("a copy for which nobody pays: %+v", r)
				}
			}
			whole := count(s, func(r bucket.Request) bool { return r.Copy != "" && r.Part == "" })
			parts := count(s, func(r bucket.Request) bool { return r.Copy != "" && r.Part != "" })
			if whole != 3 || parts != 3 || s.Unfinished(t, where) != 0 {
				t.Errorf("%d copies, %d of parts, %d uploads are left", whole, parts, s.Unfinished(t, where))
			}
		})
	}
}

func TestCopiesOutlastTrouble(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	files := map[string][]byte{}
	for i := range 30 {
		files[fmt.Sprintf("i/%d/__x", i)] = random(uint64(i), i*5000)
	}
	s.Put(t, "from", files)
	s.Trouble(bucket.NewTrouble(flowtest.Seed(t), 0.3))
	from := openS3(t, s, "from", func(c *blob.S3Config) { c.Attempts = 100 })
	to := openS3(t, s, "to", func(c *blob.S3Config) { c.CopyBytes, c.Attempts = 40_000, 100 })
	var wg sync.WaitGroup
	for name, data := range files {
		for range 2 {
			wg.Go(func() {
				if how, err := to.Take(t.Context(), from, name, int64(len(data))); err != nil || how == blob.Streamed {
					t.Errorf("%s: %v, %v", name, how, err)
				}
			})
		}
	}
	wg.Wait()
	s.Trouble(nil)
	got := s.Stored(t, bucket.Name, "to")
	for name, data := range files {
		if !bytes.Equal(got[name], data) {
			t.Errorf("%s has %d bytes, not %d", name, len(got[name]), len(data))
		}
	}
}

func TestWhatTheServerDoesNotCopyIsStreamed(t *testing.T) {
	bucket.Credentials(t, "")
	for _, e := range []bucket.Error{
		{Status: 501, Code: "NotImplemented", Message: "A header you provided implies functionality that is not implemented"},
		{Status: 403, Code: "AccessDenied", Message: "Access Denied"},
	} {
		s := bucket.Start(t, nil)
		files := odd()
		s.Put(t, "from", files)
		s.Refuse(func(r bucket.Request) *bucket.Error {
			if r.Copy != "" {
				return &e
			}
			return nil
		})
		from := openS3(t, s, "from", nil)
		to := openS3(t, s, "to", func(c *blob.S3Config) { c.CopyBytes, c.PartBytes = 40_000, 40_000 })
		for name, data := range files {
			if how, err := to.Take(t.Context(), from, name, int64(len(data))); how != blob.Streamed || err != nil {
				t.Errorf("%s: %s: %v, %v", e.Code, name, how, err)
			}
		}
		got := s.Stored(t, bucket.Name, "to")
		for name, data := range files {
			if !bytes.Equal(got[name], data) {
				t.Errorf("%s: %s has %d bytes, not %d", e.Code, name, len(got[name]), len(data))
			}
		}
		if n := count(s, func(r bucket.Request) bool { return r.Copy != "" }); e.Status == 501 && n > 3 {
			t.Errorf("a server that does not copy was asked %d times", n)
		}
		if n := s.Unfinished(t, bucket.Name); n != 0 {
			t.Errorf("%s: %d uploads are left", e.Code, n)
		}
	}
}

func TestBetweenServersAndDirectoriesBlobsAreStreamed(t *testing.T) {
	bucket.Credentials(t, "")
	a, b := bucket.Start(t, nil), bucket.Start(t, nil)
	files := odd()
	a.Put(t, "from", files)
	for _, s := range []*bucket.Server{a, b} {
		s.Trouble(bucket.NewTrouble(flowtest.Seed(t), 0.2))
	}
	from := openS3(t, a, "from", func(c *blob.S3Config) { c.Attempts = 100 })
	there := openS3(t, b, "to", func(c *blob.S3Config) { c.Attempts, c.PartBytes = 100, 40_000 })
	here := createDir(t, t.TempDir())
	back := openS3(t, a, "back", func(c *blob.S3Config) { c.Attempts, c.PartBytes = 100, 40_000 })
	for name, data := range files {
		for _, step := range []struct {
			to   blob.Writer
			from blob.Store
		}{{there, from}, {here, blob.NewAhead(there, blob.AheadConfig{})}, {back, here}} {
			if how, err := step.to.Take(t.Context(), step.from, name, int64(len(data))); how != blob.Streamed || err != nil {
				t.Errorf("%s from %s to %s: %v, %v", name, step.from, step.to, how, err)
			}
		}
	}
	a.Trouble(nil)
	got, local := a.Stored(t, bucket.Name, "back"), tree(t, here.String())
	for name, data := range files {
		if !bytes.Equal(got[name], data) || local[name] != string(data) {
			t.Errorf("%s has %d bytes here, %d after the way around, not %d", name, len(local[name]), len(got[name]), len(data))
		}
	}
}

func TestAServerWithoutConditionsIsAskedBefore(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	s.Refuse(func(r bucket.Request) *bucket.Error {
		if r.New {
			return &bucket.Error{Status: 501, Code: "NotImplemented", Message: "A header you provided implies functionality that is not implemented"}
		}
		return nil
	})
	to := openS3(t, s, "p", func(c *blob.S3Config) { c.PartBytes = 100 })
	big := random(1, 250)
	from := openDir(t, map[string][]byte{"big": big})
	if how, err := to.Take(t.Context(), from, "big", 250); how != blob.Streamed || err != nil {
		t.Errorf("%v, %v", how, err)
	}
	for _, name := range []string{"x", "y"} {
		if err := to.Put(t.Context(), name, []byte("one")); err != nil {
			t.Error(err)
		}
		if err := to.Put(t.Context(), name, []byte("two")); !errors.Is(err, fs.ErrExist) {
			t.Errorf("a second time: %v", err)
		}
	}
	if got := s.Stored(t, bucket.Name, "p"); string(got["x"]) != "one" || !bytes.Equal(got["big"], big) {
		t.Errorf("there is %q", got)
	}
	if n := count(s, func(r bucket.Request) bool { return r.New }); n != 1 {
		t.Errorf("%d conditional requests", n)
	}
}

// lossy loses the answers to some requests: the server has done what they ask.
type lossy struct {
	http.RoundTripper
	lose func(*http.Request) bool
}

func (l lossy) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := l.RoundTripper.RoundTrip(r)
	if err == nil && l.lose(r) {
		response.Body.Close()
		return nil, errors.New("the answer was lost")
	}
	return response, err
}

func TestALostAnswerIsNoFailure(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	data := random(1, 1000)
	from := openDir(t, map[string][]byte{"small": data[:50], "big": data})
	s.Put(t, "from", map[string][]byte{"copied": data[:300], "whole": data[:100]})
	remote := openS3(t, s, "from", nil)
	var mu sync.Mutex
	lost := map[string]int{}
	to := openS3(t, s, "to", func(c *blob.S3Config) {
		c.PartBytes, c.CopyBytes = 100, 100
		c.Transport = lossy{c.Transport, func(r *http.Request) bool { // the first of each kind, but for reads
			kind := r.Method + " " + path.Base(r.URL.Path) + " " + r.URL.Query().Get("partNumber")
			if r.URL.Query().Has("uploadId") && r.Method == http.MethodPost {
				kind += "complete"
			}
			mu.Lock()
			defer mu.Unlock()
			lost[kind]++
			return lost[kind] == 1 && r.Method != http.MethodHead && r.Method != http.MethodGet
		}}
	})
	ctx := t.Context()
	if err := to.Put(ctx, "put", []byte("data")); err != nil {
		t.Errorf("put: %v", err)
	}
	if err := to.Put(ctx, "put", []byte("data")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("put again: %v", err)
	}
	for _, c := range []struct {
		from blob.Store
		name string
		size int64
		how  blob.How
	}{{from, "small", 50, blob.Streamed}, {from, "big", 1000, blob.Streamed}, {remote, "copied", 300, blob.CopiedThere}, {remote, "whole", 100, blob.CopiedThere}} {
		if how, err := to.Take(ctx, c.from, c.name, c.size); how != c.how || err != nil {
			t.Errorf("%s: %v, %v", c.name, how, err)
		}
	}
	got := s.Stored(t, bucket.Name, "to")
	if len(got) != 5 || !bytes.Equal(got["big"], data) || !bytes.Equal(got["copied"], data[:300]) || string(got["put"]) != "data" {
		t.Errorf("there are %d", len(got))
	}
	if lost["POST big complete"] < 2 || lost["PUT put "] < 2 || lost["POST copied complete"] < 2 {
		t.Errorf("nothing was lost: %v", lost)
	}
}

func TestAnUploadThatFailsIsAborted(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	data := random(1, 1000)
	from := openDir(t, map[string][]byte{"big": data})
	s.Put(t, "from", map[string][]byte{"big": data})
	to := openS3(t, s, "to", func(c *blob.S3Config) { c.PartBytes, c.CopyBytes, c.Attempts = 100, 100, 2 })
	for _, source := range []blob.Store{from, openS3(t, s, "from", nil)} {
		for what, refused := range map[string]func(bucket.Request) bool{
			"a part":  func(r bucket.Request) bool { return r.Part == "7" },
			"the end": func(r bucket.Request) bool { return r.Upload != "" && r.Method == http.MethodPost },
		} {
			s.Refuse(func(r bucket.Request) *bucket.Error {
				if refused(r) {
					return &bucket.Error{Status: 500, Code: "InternalError", Message: "We encountered an internal error. Please try again."}
				}
				return nil
			})
			how, err := to.Take(t.Context(), source, "big", 1000)
			if err == nil || !strings.Contains(err.Error(), "InternalError") {
				t.Errorf("%s is refused: %v, %v", what, how, err)
			}
			if n, stored := s.Unfinished(t, bucket.Name), s.Stored(t, bucket.Name, "to"); n != 0 || len(stored) != 0 {
				t.Errorf("%s is refused: %d uploads and %d objects are left", what, n, len(stored))
			}
		}
		// Neither is a part left when the context ends.
		ctx, cancel := context.WithCancel(t.Context())
		s.Refuse(func(r bucket.Request) *bucket.Error {
			if r.Part == "7" {
				cancel()
				return &bucket.Error{Status: 503, Code: "SlowDown"}
			}
			return nil
		})
		if how, err := to.Take(ctx, source, "big", 1000); !errors.Is(err, context.Canceled) {
			t.Errorf("interrupted: %v, %v", how, err)
		}
		if n, stored := s.Unfinished(t, bucket.Name), s.Stored(t, bucket.Name, "to"); n != 0 || len(stored) != 0 {
			t.Errorf("interrupted: %d uploads and %d objects are left", n, len(stored))
		}
		cancel()
	}
	s.Refuse(func(r bucket.Request) *bucket.Error {
		if r.Upload != "" {
			return &bucket.Error{Status: 403, Code: "AccessDenied", Message: "no"}
		}
		return nil
	})
	_, err := to.Take(t.Context(), from, "big", 1000)
	if !errors.Is(err, blob.ErrDenied) || !strings.Contains(err.Error(), "s3:PutObject on arn:aws:s3:::backups/to/*") ||
		!strings.Contains(err.Error(), "s3:AbortMultipartUpload") || !strings.Contains(err.Error(), "are left") {
		t.Errorf("an upload that cannot be aborted: %v", err)
	}
}

func TestACopyThatFailsAfterItsStatusIsTriedAgain(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	data := random(1, 1000)
	s.Put(t, "from", map[string][]byte{"x": data, "y": data[:500]})
	var n atomic.Int64
	s.Refuse(func(r bucket.Request) *bucket.Error {
		if (r.Copy != "" || r.Upload != "" && r.Method == http.MethodPost) && n.Add(1)%2 == 1 {
			return &bucket.Error{Status: 200, Code: "InternalError", Message: "We encountered an internal error. Please try again."}
		}
		return nil
	})
	to := openS3(t, s, "to", func(c *blob.S3Config) { c.CopyBytes = 600 })
	for name, size := range map[string]int64{"x": 1000, "y": 500} {
		if how, err := to.Take(t.Context(), openS3(t, s, "from", nil), name, size); how != blob.CopiedThere || err != nil {
			t.Errorf("%s: %v, %v", name, how, err)
		}
	}
	if got := s.Stored(t, bucket.Name, "to"); !bytes.Equal(got["x"], data) || !bytes.Equal(got["y"], data[:500]) {
		t.Errorf("%d and %d bytes", len(got["x"]), len(got["y"]))
	}
}

func TestAServerThatFallsSilentIsAskedAgain(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	trouble := bucket.NewTrouble(flowtest.Seed(t), 0.5)
	trouble.Silent = true
	s.Trouble(trouble)
	data := random(1, 5000)
	from := openDir(t, map[string][]byte{"x": data})
	for i := range 20 {
		to := openS3(t, s, fmt.Sprint(i), func(c *blob.S3Config) { c.PartBytes, c.Idle, c.Attempts = 1000, 50*time.Millisecond, 200 })
		if how, err := to.Take(t.Context(), from, "x", 5000); how != blob.Streamed || err != nil {
			t.Errorf("%v, %v", how, err)
		}
	}
	s.Trouble(nil)
	for i := range 20 {
		if got := s.Stored(t, bucket.Name, fmt.Sprint(i)); !bytes.Equal(got["x"], data) {
			t.Errorf("%d: %d bytes", i, len(got["x"]))
		}
	}
	t.Logf("trouble: %v", trouble.Made())
}

func TestWhatIsRefusedSaysWhichRightIsMissing(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	s.Put(t, "from", map[string][]byte{"x": []byte("x")})
	to := openS3(t, s, "to", nil)
	ctx := t.Context()
	refuse := func(code string, methods ...string) {
		s.Refuse(func(r bucket.Request) *bucket.Error {
			for _, m := range methods {
				if r.Method == m {
					return &bucket.Error{Status: 403, Code: code, Message: "no"}
				}
			}
			return nil
		})
	}
	refuse("AccessDenied", http.MethodPut, http.MethodDelete)
	_, taken := to.Take(ctx, openS3(t, s, "from", nil), "x", 1)
	for what, c := range map[string]struct {
		err   error
		right string
	}{
		"put": {to.Put(ctx, "x", nil), "s3:PutObject on arn:aws:s3:::backups/to/*"}, "replace": {to.Replace(ctx, "x", nil), "s3:PutObject"},
		"take": {taken, "s3:PutObject"}, "remove": {to.Remove(ctx, "x"), "s3:DeleteObject on arn:aws:s3:::backups/to/*"},
	} {
		if !errors.Is(c.err, blob.ErrDenied) || !blob.Refused(c.err) || !strings.Contains(c.err.Error(), c.right) {
			t.Errorf("%s: %v", what, c.err)
		}
	}
	refuse("ExpiredToken", http.MethodPut, http.MethodHead, http.MethodGet)
	if err := to.Put(ctx, "x", nil); !errors.Is(err, blob.ErrExpired) {
		t.Errorf("expired: %v", err)
	}
	if _, err := to.Stat(ctx, "x"); !errors.Is(err, blob.ErrExpired) {
		t.Errorf("expired: %v", err)
	}
	// Who may not list is told of what is absent that it is denied.
	refuse("AccessDenied", http.MethodHead, http.MethodGet)
	if err := to.Put(ctx, "x", []byte("data")); err != nil {
		t.Errorf("without the right to list: %v", err)
	}
	if err := to.Put(ctx, "x", []byte("data")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("without the right to list, again: %v", err)
	}
}

func TestCreateLooksForTheBucket(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	w, err := blob.Create(t.Context(), s.Place("p"))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Put(t.Context(), "x", []byte("data")); err != nil {
		t.Error(err)
	}
	if got := s.Stored(t, bucket.Name, "p"); string(got["x"]) != "data" {
		t.Errorf("there is %q", got)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if _, err := blob.Create(t.Context(), strings.Replace(s.Place("p"), bucket.Name, "nowhere", 1)); !errors.Is(err, blob.ErrNoBucket) {
		t.Errorf("a bucket that is absent: %v", err)
	}
	for code, want := range map[string]error{"AccessDenied": nil, "InvalidAccessKeyId": blob.ErrDenied, "ExpiredToken": blob.ErrExpired} {
		s.Refuse(func(bucket.Request) *bucket.Error { return &bucket.Error{Status: 403, Code: code} })
		w, err := blob.Create(t.Context(), s.Place("p"))
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", code, err)
		}
		if err == nil {
			w.Close()
		}
	}
}

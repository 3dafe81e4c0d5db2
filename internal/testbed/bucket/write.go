package bucket

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strconv"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
)

// checkBody checks a body against what its request says of it.
func checkBody(r *http.Request, body []byte) *Error {
	if want := r.Header.Get("X-Amz-Content-Sha256"); len(want) == 2*sha256.Size {
		if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != want {
			return &Error{http.StatusBadRequest, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.", ""}
		}
	}
	if want := r.Header.Get("X-Amz-Checksum-Crc32"); want != "" && want != sum32(body) {
		return &Error{http.StatusBadRequest, "BadDigest", "The CRC32 you specified did not match the calculated checksum.", ""}
	}
	return nil
}

func sum32(b []byte) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)))
}

// write has upstream answer a request that writes, and does what it cannot: conditions of copies and uploads, and copies
// into parts.
func (s *Server) write(r *http.Request, bucket, key string, body []byte) *httptest.ResponseRecorder {
	s.writes.Lock()
	defer s.writes.Unlock()
	w := httptest.NewRecorder()
	if r.Header.Get("If-None-Match") == "*" {
		if _, err := s.objects.HeadObject(bucket, key); err == nil {
			(&Error{http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the preconditions did not hold", ""}).write(w)
			return w
		}
	}
	source := r.Header.Get("X-Amz-Copy-Source")
	if source == "" {
		return s.ask(r, bucket, key, body)
	}
	unescaped, err := url.QueryUnescape(source)
	from, sourceKey, ok := strings.Cut(strings.TrimPrefix(unescaped, "/"), "/")
	if err != nil || !ok {
		(&Error{http.StatusBadRequest, "InvalidArgument", "Copy Source must mention the source bucket and key", ""}).write(w)
		return w
	}
	o, err := s.objects.GetObject(from, sourceKey, nil)
	if err != nil {
		(&Error{http.StatusNotFound, "NoSuchKey", "The specified key does not exist.", ""}).write(w)
		return w
	}
	data, err := io.ReadAll(o.Contents)
	if cerr := o.Contents.Close(); err != nil || cerr != nil {
		(&Error{http.StatusInternalServerError, "InternalError", "", ""}).write(w)
		return w
	}
	if want := r.Header.Get("X-Amz-Copy-Source-If-Match"); want != "" && want != gofakes3.FormatETag(o.Hash) {
		(&Error{http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the preconditions did not hold", ""}).write(w)
		return w
	}
	if r.URL.Query().Get("uploadId") == "" {
		if int64(len(data)) > s.copyLimit.Load() {
			(&Error{http.StatusBadRequest, "InvalidRequest", "The specified copy source is larger than the maximum allowable size for a copy source", ""}).write(w)
			return w
		}
		return s.ask(r, bucket, key, nil)
	}
	if span := r.Header.Get("X-Amz-Copy-Source-Range"); span != "" {
		first, last, ok := strings.Cut(strings.TrimPrefix(span, "bytes="), "-")
		a, err := strconv.Atoi(first)
		b, err2 := strconv.Atoi(last)
		if !ok || err != nil || err2 != nil || a > b || b >= len(data) {
			(&Error{http.StatusBadRequest, "InvalidArgument", "Range specified is not valid for source object", ""}).write(w)
			return w
		}
		data = data[a : b+1]
	}
	q := r.Clone(r.Context())
	for name := range q.Header {
		if strings.HasPrefix(name, "X-Amz-Copy-Source") {
			q.Header.Del(name)
		}
	}
	q.Header.Set("Content-Length", strconv.Itoa(len(data)))
	put := s.ask(q, bucket, key, data)
	if put.Code != http.StatusOK {
		return put
	}
	_ = xml.NewEncoder(w).Encode(struct {
		XMLName xml.Name `xml:"CopyPartResult"`
		ETag    string
	}{ETag: put.Header().Get("ETag")})
	return w
}

// CopyLimit is the size in bytes of the largest object that is copied in one piece; without it there is none.
func (s *Server) CopyLimit(n int64) { s.copyLimit.Store(n) }

// Stored is every object in a bucket under a prefix, by what its key has behind it.
func (s *Server) Stored(tb testing.TB, bucket, prefix string) map[string][]byte {
	tb.Helper()
	list, err := s.objects.ListBucket(bucket, &gofakes3.Prefix{HasPrefix: true, Prefix: path.Clean(prefix) + "/"}, gofakes3.ListBucketPage{})
	if err != nil {
		tb.Fatal(err)
	}
	out := map[string][]byte{}
	for _, c := range list.Contents {
		o, err := s.objects.GetObject(bucket, c.Key, nil)
		if err != nil {
			tb.Fatal(err)
		}
		var b bytes.Buffer
		if _, err := b.ReadFrom(o.Contents); err != nil {
			tb.Fatal(err)
		}
		out[strings.TrimPrefix(c.Key, path.Clean(prefix)+"/")] = b.Bytes()
	}
	return out
}

// Unfinished is how many uploads in parts were begun, and neither completed nor aborted.
func (s *Server) Unfinished(tb testing.TB, bucket string) int {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "/?uploads", nil)
	w := s.ask(r, bucket, "", nil)
	var list struct{ Upload []struct{ Key string } }
	if err := xml.Unmarshal(w.Body.Bytes(), &list); err != nil && w.Code == http.StatusOK {
		tb.Fatalf("%v: %s", err, w.Body)
	}
	return len(list.Upload)
}

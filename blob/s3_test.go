package blob_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/flow/flowtest"
	"github.com/narudata/naru/internal/testbed/bucket"
)

// openS3 opens a prefix of the server's bucket. Attempts come quickly after each other.
func openS3(t testing.TB, s *bucket.Server, prefix string, change func(*blob.S3Config)) *blob.S3 {
	t.Helper()
	transport := s.Transport()
	c := blob.S3Config{Bucket: bucket.Name, Prefix: prefix, Endpoint: s.URL, Region: bucket.Region, Transport: transport, FirstWait: time.Microsecond}
	if change != nil {
		change(&c)
	}
	store, err := c.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func TestS3IsAStore(t *testing.T) {
	bucket.Credentials(t, "")
	open := func(prefix string, troubled bool, wrap func(t *testing.T, s blob.Store) blob.Store) func(*testing.T, map[string][]byte) blob.Store {
		return func(t *testing.T, files map[string][]byte) blob.Store {
			s := bucket.Start(t, nil)
			s.Put(t, prefix, files)
			s.Put(t, "a neighbour", map[string][]byte{"x": []byte("secret")})
			if troubled {
				s.Trouble(bucket.NewTrouble(flowtest.Seed(t), 0.3))
			}
			return wrap(t, openS3(t, s, prefix, func(c *blob.S3Config) { c.Attempts = 100 }))
		}
	}
	plain := func(_ *testing.T, s blob.Store) blob.Store { return s }
	ahead := func(t *testing.T, s blob.Store) blob.Store {
		v := blob.InOrder(blob.NewAhead(s, blob.AheadConfig{PageBytes: 1000, MemoryBytes: 20_000}))
		t.Cleanup(func() { v.Close() })
		return v
	}
	t.Run("Plain", func(t *testing.T) { flowtest.Store(t, open("a/b c", false, plain)) })
	t.Run("Troubled", func(t *testing.T) { flowtest.Store(t, open("p", true, plain)) })
	t.Run("ReadAhead", func(t *testing.T) { flowtest.Store(t, open("p+q=r", false, ahead)) })
	t.Run("ReadAheadTroubled", func(t *testing.T) { flowtest.Store(t, open("p", true, ahead)) })
}

func TestAWholeBucketIsAStoreToo(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	s.Put(t, "", map[string][]byte{"index-1": []byte("{}"), "indices/x": nil})
	store := openS3(t, s, "", nil)
	var names []string
	for e, err := range store.List(t.Context(), ".") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, fmt.Sprint(e))
	}
	slices.Sort(names)
	if want := []string{"{index-1 false 2}", "{indices true 0}"}; !slices.Equal(names, want) {
		t.Errorf("listed %q, want %q", names, want)
	}
	if b, err := blob.ReadAll(t.Context(), store, "index-1", 10); err != nil || string(b) != "{}" {
		t.Errorf("%q, %v", b, err)
	}
	if store.String() != "s3://backups" {
		t.Errorf("it is called %s", store)
	}
}

func TestALongListingIsReadToItsEnd(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	files := map[string][]byte{}
	for i := range 2500 {
		files[fmt.Sprintf("snap-%d.dat", i)] = nil
	}
	s.Put(t, "many", files)
	n := map[string]bool{}
	for e, err := range openS3(t, s, "many", nil).List(t.Context(), ".") {
		if err != nil {
			t.Fatal(err)
		}
		n[e.Name] = true
	}
	if len(n) != 2500 || len(s.Requests()) != 3 {
		t.Errorf("%d names in %d requests", len(n), len(s.Requests()))
	}
}

func TestAListingThatIsCutShortIsAskedForAgain(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	files := map[string][]byte{}
	for i := range 30 {
		files[fmt.Sprintf("snap-%d.dat", i)] = nil
	}
	s.Put(t, "p", files)
	trouble := bucket.NewTrouble(flowtest.Seed(t), 0.7)
	s.Trouble(trouble)
	store := openS3(t, s, "p", func(c *blob.S3Config) { c.Attempts = 1000 })
	for range 150 {
		n := 0
		for _, err := range store.List(t.Context(), ".") {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != 30 {
			t.Fatalf("%d names of 30; trouble: %v", n, trouble.Made())
		}
	}
	empty := bucket.Start(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, err := range openS3(t, empty, "p", nil).List(t.Context(), ".") {
		if err == nil || !strings.Contains(err.Error(), "ended early") {
			t.Errorf("an empty answer: %v", err)
		}
	}
}

func TestABucketIsNamedByThePathOrTheHost(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	s.Put(t, "나루/a b", map[string][]byte{"x+y": []byte("data")})
	for _, c := range []struct {
		style    blob.Style
		endpoint string
		host     bool
	}{
		{blob.AutoStyle, "http://" + bucket.Domain, false},
		{blob.PathStyle, "http://" + bucket.Domain, false},
		{blob.HostStyle, "http://" + bucket.Domain, true},
	} {
		store := openS3(t, s, "나루/a b", func(o *blob.S3Config) { o.PathStyle, o.Endpoint = c.style, c.endpoint })
		before := len(s.Requests())
		if b, err := blob.ReadAll(t.Context(), store, "x+y", 10); err != nil || string(b) != "data" {
			t.Errorf("%v: %q, %v", c, b, err)
		}
		for e, err := range store.List(t.Context(), ".") {
			if err != nil || e.Name != "x+y" {
				t.Errorf("%v: %v, %v", c, e, err)
			}
		}
		got := s.Requests()[before:]
		if len(got) != 2 || got[0].HostName != c.host || got[1].HostName != c.host || got[0].Key != "나루/a b/x+y" || got[1].Key != "나루/a b/" {
			t.Errorf("%v: the server saw %+v", c, got)
		}
	}
}

func TestTheEnvironmentGivesEndpointAndRegion(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	s.Put(t, "p", map[string][]byte{"x": []byte("data")})
	t.Setenv("AWS_ENDPOINT_URL_S3", s.URL)
	t.Setenv("AWS_REGION", bucket.Region)
	store, err := blob.Open(t.Context(), "s3://backups/p/")
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if b, err := blob.ReadAll(t.Context(), store, "x", 10); err != nil || string(b) != "data" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestTheBucketTellsItsRegion(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	s.Put(t, "p", map[string][]byte{"x": []byte("data")})
	for _, region := range []string{"", "eu-central-1"} {
		store := openS3(t, s, "p", func(c *blob.S3Config) { c.Region = region })
		before := len(s.Requests())
		for range 3 {
			if b, err := blob.ReadAll(t.Context(), store, "x", 10); err != nil || string(b) != "data" {
				t.Errorf("%q, %v", b, err)
			}
		}
		if n := len(s.Requests()) - before; n != 4 {
			t.Errorf("region %q: %d requests for 3 reads", region, n)
		}
	}
}

func TestAReadIsOneBoundedGetOfOneConnection(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	s.Put(t, "p", map[string][]byte{"x": make([]byte, 100_000)})
	store := openS3(t, s, "p", func(c *blob.S3Config) { c.RequesterPays = true })
	b := make([]byte, 5000)
	for i := range int64(20) {
		if err := blob.ReadAt(t.Context(), store, "x", b, i*5000); err != nil {
			t.Fatal(err)
		}
	}
	got := s.Requests()
	if len(got) != 20 || got[3].Range != "bytes=15000-19999" || got[3].Payer != "requester" || got[3].Method != http.MethodGet {
		t.Errorf("%d requests, such as %+v", len(got), got[min(3, len(got)-1)])
	}
	if n := s.Connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestWhateverCutsAReadShortItIsResumed(t *testing.T) {
	bucket.Credentials(t, "")
	seed := flowtest.Seed(t)
	rng := rand.New(rand.NewPCG(seed, 0))
	data := make([]byte, 3<<20)
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	s := bucket.Start(t, nil)
	s.Put(t, "p", map[string][]byte{"x": data})
	trouble := bucket.NewTrouble(seed, 0.6)
	trouble.Silent = true
	s.Trouble(trouble)
	store := openS3(t, s, "p", func(c *blob.S3Config) { c.Attempts, c.Idle = 200, 50*time.Millisecond })
	for len(trouble.Made()) < 10 {
		off, n := rng.Int64N(int64(len(data))), rng.Int64N(int64(len(data)))
		r, err := store.Open(t.Context(), "x", off, n)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if want := data[off:min(int64(len(data)), off+n)]; err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes from %d on: %d bytes, %v", n, off, len(got), err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("trouble: %v, %d requests", trouble.Made(), len(s.Requests()))
	resumed := false
	for _, r := range s.Requests() {
		resumed = resumed || r.IfMatch != ""
	}
	if !resumed {
		t.Error("no request asked for the same version")
	}
}

func TestAServerThatNeverGetsOnIsGivenUp(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	s.Put(t, "p", map[string][]byte{"x": make([]byte, 10_000)})
	store := openS3(t, s, "p", func(c *blob.S3Config) { c.Attempts = 4 })
	var n atomic.Int64
	s.Refuse(func(bucket.Request) *bucket.Error {
		n.Add(1)
		return &bucket.Error{Status: 503, Code: "SlowDown", Message: "Please reduce your request rate."}
	})
	_, err := store.Open(t.Context(), "x", 0, -1)
	if err == nil || blob.Refused(err) || n.Load() != 5 || !strings.Contains(err.Error(), "SlowDown") || !strings.Contains(err.Error(), "tried 5 times") {
		t.Errorf("%v after %d requests", err, n.Load())
	}
	s.Refuse(nil)
	trouble := bucket.NewTrouble(1, 1)
	s.Trouble(trouble)
	if _, err := blob.ReadAll(t.Context(), openS3(t, s, "p", func(c *blob.S3Config) { c.Attempts = -1 }), "x", 1<<20); err == nil {
		t.Error("no error where every answer is trouble")
	}
}

func TestAServerThatIsNotThereIsSaidSoon(t *testing.T) {
	bucket.Credentials(t, "")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	store, err := blob.Open(t.Context(), "s3://backups/p?endpoint=http://"+address)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	_, err = store.Open(t.Context(), "x", 0, -1)
	want := "s3://backups/p/x: dial tcp " + address + ": connect: connection refused (tried 5 times)"
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	s.Put(t, "p", map[string][]byte{"x": make([]byte, 10_000)})
	store := openS3(t, s, "p", func(c *blob.S3Config) { c.FirstWait = time.Hour })
	ctx, cancel := context.WithCancel(t.Context())
	s.Refuse(func(bucket.Request) *bucket.Error {
		time.AfterFunc(10*time.Millisecond, cancel)
		return &bucket.Error{Status: 500, Code: "InternalError"}
	})
	if _, err := store.Open(ctx, "x", 0, -1); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestABlobThatIsOverwrittenIsNotPatchedTogether(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	s.Put(t, "p", map[string][]byte{"x": bytes.Repeat([]byte("a"), 1<<20)})
	trouble := bucket.NewTrouble(flowtest.Seed(t), 1)
	s.Trouble(trouble)
	store := openS3(t, s, "p", func(c *blob.S3Config) { c.Attempts = 1000 })
	r, err := store.Open(t.Context(), "x", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s.Put(t, "p", map[string][]byte{"x": bytes.Repeat([]byte("b"), 1<<20)})
	got, err := io.ReadAll(r)
	if n := bytes.IndexByte(got, 'b'); n >= 0 {
		t.Errorf("after %d bytes of the old version come those of the new", n)
	}
	if len(got) != 1<<20 && !errors.Is(err, blob.ErrChanged) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestRefusalsSayWhatIsMissing(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	s.Put(t, "p", map[string][]byte{"x": []byte("x"), "y": []byte("y")})
	for _, c := range []struct {
		status int
		code   string
		mark   error
		says   []string
	}{
		{403, "AccessDenied", blob.ErrDenied, []string{"s3://backups/p/x", "s3:GetObject on arn:aws:s3:::backups/p/*", "kms:Decrypt"}},
		{403, "InvalidAccessKeyId", blob.ErrDenied, []string{"the access key is unknown"}},
		{403, "SignatureDoesNotMatch", blob.ErrDenied, []string{"the secret does not belong"}},
		{400, "ExpiredToken", blob.ErrExpired, []string{"renew them", "the same command again; it goes on"}},
		{400, "InvalidToken", blob.ErrExpired, []string{"renew them"}},
		{403, "RequestTimeTooSkewed", blob.ErrExpired, []string{"the clock of this machine"}},
		{404, "NoSuchBucket", blob.ErrNoBucket, []string{"the name of the bucket"}},
		{404, "NoSuchKey", fs.ErrNotExist, []string{"s3://backups/p/x"}},
		{403, "InvalidObjectState", blob.ErrArchived, []string{"restored"}},
	} {
		store := openS3(t, s, "p", nil)
		var n atomic.Int64
		s.Refuse(func(bucket.Request) *bucket.Error {
			n.Add(1)
			return &bucket.Error{Status: c.status, Code: c.code, Message: "what the server says"}
		})
		_, err := store.Open(t.Context(), "x", 0, -1)
		refused := errors.Is(c.mark, blob.ErrDenied) || errors.Is(c.mark, blob.ErrExpired) || errors.Is(c.mark, blob.ErrNoBucket)
		if !errors.Is(err, c.mark) || blob.Refused(err) != refused || n.Load() > 2 {
			t.Errorf("%s: %v after %d requests", c.code, err, n.Load())
			continue
		}
		for _, text := range append(c.says, "s3://backups/p/x") {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v does not say %q", c.code, err, text)
			}
		}
	}
}

func TestAListingThatIsDeniedIsNoRefusal(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	s.Put(t, "p", map[string][]byte{"index.latest": []byte("7")})
	listing := func(code string) error {
		s.Refuse(func(r bucket.Request) *bucket.Error {
			if r.List {
				return &bucket.Error{Status: 403, Code: code, Message: "no s3:ListBucket"}
			}
			return nil
		})
		for _, err := range openS3(t, s, "p", nil).List(t.Context(), ".") {
			if err != nil {
				return err
			}
		}
		return nil
	}
	if err := listing("AccessDenied"); !errors.Is(err, blob.ErrNoListing) || blob.Refused(err) {
		t.Errorf("denied: %v", err)
	}
	if err := listing("SignatureDoesNotMatch"); errors.Is(err, blob.ErrNoListing) || !errors.Is(err, blob.ErrDenied) {
		t.Errorf("wrong secret: %v", err)
	}
}

func TestADeniedKeyAmongOthersIsAboutThatKey(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	s.Put(t, "p", map[string][]byte{"x": []byte("x")})
	var all atomic.Bool
	s.Refuse(func(r bucket.Request) *bucket.Error { // as S3 answers those who may not list
		if all.Load() || !strings.HasSuffix(r.Key, "/x") {
			return &bucket.Error{Status: 403, Code: "AccessDenied", Message: "Access Denied"}
		}
		return nil
	})
	store := openS3(t, s, "p", nil)
	if _, err := store.Open(t.Context(), "absent", 0, -1); !errors.Is(err, blob.ErrDenied) {
		t.Errorf("before anything could be read: %v", err)
	}
	if _, err := blob.ReadAll(t.Context(), store, "x", 10); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), "absent", 0, -1); !errors.Is(err, fs.ErrNotExist) || blob.Refused(err) {
		t.Errorf("after x could be read: %v", err)
	}
	all.Store(true)
	if _, err := store.Open(t.Context(), "absent", 0, -1); !errors.Is(err, blob.ErrDenied) {
		t.Errorf("when x is denied too: %v", err)
	}
}

func TestExpiredCredentialsAreLookedForAgain(t *testing.T) {
	bucket.Credentials(t, "")
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		t.Setenv(name, "")
	}
	profile := filepath.Join(t.TempDir(), "credentials")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", profile)
	write := func(token string) {
		if err := os.WriteFile(profile, []byte(bucket.Profile(token)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := bucket.Start(t, nil)
	s.Put(t, "p", map[string][]byte{"x": make([]byte, 1000)})
	var valid atomic.Value
	valid.Store("first")
	s.Refuse(func(r bucket.Request) *bucket.Error {
		if r.Token != valid.Load() {
			return &bucket.Error{Status: 400, Code: "ExpiredToken", Message: "The provided token has expired."}
		}
		return nil
	})
	write("first")
	store := openS3(t, s, "p", nil)
	read := func() error {
		_, err := blob.ReadAll(t.Context(), store, "x", 1000)
		return err
	}
	if err := read(); err != nil {
		t.Fatal(err)
	}
	valid.Store("second")
	blob.Age(store)
	if err := read(); !errors.Is(err, blob.ErrExpired) {
		t.Errorf("with a token that has expired: %v", err)
	}
	write("second")
	blob.Age(store)
	if err := read(); err != nil {
		t.Errorf("after the profile was renewed: %v", err)
	}
}

func TestAClockThatIsOffIsAllowedFor(t *testing.T) {
	bucket.Credentials(t, "")
	for _, off := range []time.Duration{-3 * time.Hour, 3 * time.Hour} {
		s := bucket.Start(t, nil)
		s.Put(t, "p", map[string][]byte{"x": []byte("data")})
		s.Clock(off)
		store := openS3(t, s, "p", nil)
		blob.Age(store)
		for range 3 {
			if b, err := blob.ReadAll(t.Context(), store, "x", 10); err != nil || string(b) != "data" {
				t.Errorf("server's clock %v before ours: %q, %v", off, b, err)
			}
		}
		if n := len(s.Requests()); n != 4 {
			t.Errorf("server's clock %v before ours: %d requests for 3 reads", off, n)
		}
	}
}

func TestAWebIdentityGivesCredentials(t *testing.T) {
	bucket.Credentials(t, "")
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("a token of the pod"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", file)
	t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/backups")
	var refuse atomic.Bool
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		if refuse.Load() || r.FormValue("WebIdentityToken") != "a token of the pod" {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredTokenException</Code><Message>Token expired</Message></Error></ErrorResponse>")
			return
		}
		_, _ = io.WriteString(w, "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult>"+
			bucket.RoleCredentials("of the role", time.Now().Add(time.Hour))+"</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>")
	}))
	defer sts.Close()
	t.Setenv("AWS_ENDPOINT_URL_STS", sts.URL)
	s := bucket.Start(t, nil)
	s.Put(t, "p", map[string][]byte{"x": []byte("data")})
	store, err := blob.Open(t.Context(), s.Place("p"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if b, err := blob.ReadAll(t.Context(), store, "x", 10); err != nil || string(b) != "data" || s.Requests()[0].Token != "of the role" {
		t.Errorf("%q, %v; %+v", b, err, s.Requests())
	}
	refuse.Store(true)
	if _, err := blob.Open(t.Context(), s.Place("p")); !errors.Is(err, blob.ErrExpired) || !strings.Contains(err.Error(), "ExpiredTokenException") {
		t.Errorf("when the pod's token has expired: %v", err)
	}
}

func TestMissingCredentialsAreSaid(t *testing.T) {
	bucket.Credentials(t, "")
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	_, err := blob.Open(t.Context(), "s3://backups/p")
	if !errors.Is(err, blob.ErrExpired) || !strings.Contains(err.Error(), "AWS_ACCESS_KEY_ID") || !strings.HasPrefix(err.Error(), "s3://backups/p: ") {
		t.Errorf("%v", err)
	}
}

func TestAServerThatIgnoresRangesIsNotBelieved(t *testing.T) {
	bucket.Credentials(t, "")
	body := []byte("0123456789")
	for name, header := range map[string]string{"whole": "", "another": "bytes 0-9/10", "nonsense": "bytes 3"} {
		s := bucket.Start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if header != "" {
				w.Header().Set("Content-Range", header)
				w.WriteHeader(http.StatusPartialContent)
			}
			_, _ = w.Write(body)
		}))
		store := openS3(t, s, "p", nil)
		if r, err := store.Open(t.Context(), "x", 3, 4); err == nil {
			b, _ := io.ReadAll(r)
			t.Errorf("%s: read %q", name, b)
		}
		if name != "whole" {
			continue
		}
		r, err := store.Open(t.Context(), "x", 0, 4)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(r); string(b) != "0123" || err != nil {
			t.Errorf("from the beginning: %q, %v", b, err)
		}
	}
}

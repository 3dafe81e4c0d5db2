package objects

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/internal/testbed/bucket"
)

func openBucket(t *testing.T, s *bucket.Server, name, prefix string) *blob.S3 {
	t.Helper()
	store, err := blob.S3Config{Bucket: name, Prefix: prefix, Endpoint: s.URL, Region: bucket.Region, Attempts: 2, FirstWait: time.Millisecond}.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func newBucket(t *testing.T) (*bucket.Server, *blob.S3) {
	t.Helper()
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	return s, openBucket(t, s, bucket.Name, "")
}

// take reads all streams of a source, and acknowledges the batches that ack allows.
func take(t *testing.T, s *Objects, ack func(stream int, records []string) bool) (texts []string, metas []Origin) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var mu sync.Mutex
	var feeds sync.WaitGroup
	streams := 0
	err := s.Run(ctx, func(x stream.Stream) {
		streams++
		number := streams
		feeds.Go(func() {
			stuck := false // what comes behind a batch that is not safe is not acknowledged either
			for {
				err := x.Wait(ctx)
				if err == nil {
					b := flow.Batch{MaxRecords: 3}
					if err = x.Read(ctx, &b); err == nil {
						var got []string
						mu.Lock()
						for _, r := range b.Records {
							o, err := ParseOrigin(r.Meta)
							if err != nil {
								t.Error(err)
							}
							got, texts, metas = append(got, string(r.Body)), append(texts, string(r.Body)), append(metas, o)
						}
						mu.Unlock()
						if stuck = stuck || ack != nil && !ack(number, got); !stuck {
							if err := x.Ack(ctx, b.Next); err != nil {
								t.Error(err)
							}
						}
					}
				}
				if err != nil {
					if !errors.Is(err, io.EOF) {
						t.Log(err)
					}
					break
				}
			}
			if err := x.Close(); err != nil {
				t.Error(err)
			}
		})
	})
	feeds.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return texts, metas
}

func reading(t *testing.T, r Read) *Objects {
	t.Helper()
	s, err := r.Open()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func zipped(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.Bytes()
}

func isGzip(name string) bool { return strings.HasSuffix(name, ".gz") }

func TestObjectsAreReadOnceLineByLine(t *testing.T) {
	server, store := newBucket(t)
	var many strings.Builder
	for i := range 10 {
		fmt.Fprintf(&many, "%d\n", i)
	}
	server.Put(t, "logs", map[string][]byte{"a/1": []byte("one\n\ntwo"), "b.gz": zipped("#Version: 1.0\n#Fields: x y\nthree\n"), "c": []byte(many.String()), "skip/x": []byte("no")})
	server.Put(t, "other", map[string][]byte{"x": []byte("no")})
	r := Read{Store: store, Begin: "logs/", Gzip: isGzip, Skip: func(name string) bool { return strings.Contains(name, "skip") }, Ledger: filepath.Join(t.TempDir(), "since", "db"), AtATime: 1}
	texts, metas := take(t, reading(t, r), nil)
	if got := slices.Sorted(slices.Values(texts)); !slices.Equal(got, slices.Sorted(slices.Values(append(strings.Fields(many.String()), "one", "", "two", "three")))) {
		t.Errorf("got %q", got)
	}
	for i, m := range metas {
		if texts[i] == "three" && (m.Name != "logs/b.gz" || m.Version != "1.0" || m.Fields != "x y" || m.ETag == "" || m.Modified.IsZero()) {
			t.Errorf("%+v", m)
		}
		if texts[i] == "one" && (m.Name != "logs/a/1" || m.Size != 8 || m.Version != "") {
			t.Errorf("%+v", m)
		}
	}
	if texts, _ := take(t, reading(t, r), nil); len(texts) != 0 {
		t.Errorf("read again: %q", texts)
	}
	// What is changed is read again, and what is new.
	server.Put(t, "logs", map[string][]byte{"a/1": []byte("changed"), "d": []byte("new")})
	texts, _ = take(t, reading(t, r), nil)
	slices.Sort(texts)
	if diff := cmp.Diff([]string{"changed", "new"}, texts); diff != "" {
		t.Error(diff)
	}
}

func TestAnObjectIsDoneWhenAllOfItIsSafe(t *testing.T) {
	server, store := newBucket(t)
	server.Put(t, "p", map[string][]byte{"x": []byte("1\n2\n3\n4\n5\n6\n")})
	r := Read{Store: store, Begin: "p/", Ledger: filepath.Join(t.TempDir(), "db"), Delete: true, Backup: openBucket(t, server, bucket.Other, "kept"), BackupTo: t.TempDir()}
	stored := func() map[string][]byte { return server.Stored(t, bucket.Name, "p") }
	// The last batch is not safe.
	take(t, reading(t, r), func(_ int, got []string) bool { return !slices.Contains(got, "6") })
	if len(stored()) != 1 || len(server.Stored(t, bucket.Other, "kept")) != 0 {
		t.Fatal("it was put away before it was safe")
	}
	texts, _ := take(t, reading(t, r), nil)
	if len(texts) != 6 {
		t.Errorf("got %q", texts)
	}
	if len(stored()) != 0 {
		t.Error("it is still there")
	}
	if got := server.Stored(t, bucket.Other, "kept")["p/x"]; string(got) != "1\n2\n3\n4\n5\n6\n" {
		t.Errorf("the copy is %q", got)
	}
	if got, err := os.ReadFile(filepath.Join(r.BackupTo, "x")); err != nil || len(got) != 12 {
		t.Errorf("the copy here is %q, %v", got, err)
	}
}

func TestWhatWasNotPutAwayBeforeACrashIsPutAwayLater(t *testing.T) {
	server, store := newBucket(t)
	server.Put(t, "p", map[string][]byte{"x": []byte("1\n")})
	r := Read{Store: store, Begin: "p/", Ledger: filepath.Join(t.TempDir(), "db"), Delete: true}
	server.Refuse(func(q bucket.Request) *bucket.Error {
		if q.Method == http.MethodDelete || q.Method == http.MethodPost {
			return &bucket.Error{Status: 403, Code: "AccessDenied", Message: "no"}
		}
		return nil
	})
	take(t, reading(t, r), nil)
	if len(server.Stored(t, bucket.Name, "p")) != 1 {
		t.Fatal("it could be deleted")
	}
	server.Refuse(nil)
	if texts, _ := take(t, reading(t, r), nil); len(texts) != 0 {
		t.Errorf("read again: %q", texts)
	}
	if len(server.Stored(t, bucket.Name, "p")) != 0 {
		t.Error("it was not put away")
	}
}

func TestADamagedObjectIsReadOnceAsFarAsPossibleAndStays(t *testing.T) {
	server, store := newBucket(t)
	whole := zipped(strings.Repeat("line\n", 3) + string(make([]byte, 100)) + "\n")
	server.Put(t, "p", map[string][]byte{"cut.gz": whole[:len(whole)-6], "none.gz": []byte("this is no gzip"), "good": []byte("x\n")})
	r := Read{Store: store, Begin: "p/", Gzip: isGzip, Ledger: filepath.Join(t.TempDir(), "db"), Delete: true}
	texts, _ := take(t, reading(t, r), nil)
	if !slices.Contains(texts, "line") || !slices.Contains(texts, "x") {
		t.Errorf("got %q", texts)
	}
	if texts, _ := take(t, reading(t, r), nil); len(texts) != 0 {
		t.Errorf("read again: %q", texts)
	}
	left := server.Stored(t, bucket.Name, "p")
	if _, ok := left["good"]; ok || len(left) != 2 {
		t.Errorf("%d objects are left", len(left))
	}
}

func TestLogstashsSincedbIsHeeded(t *testing.T) {
	server, store := newBucket(t)
	server.Put(t, "p", map[string][]byte{"x": []byte("1\n")})
	path := filepath.Join(t.TempDir(), "sincedb")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(time.Now().Add(time.Hour).UTC().Format("2006-01-02 15:04:05 UTC"))
	r := Read{Store: store, Begin: "p/", Ledger: path}
	if texts, _ := take(t, reading(t, r), nil); len(texts) != 0 {
		t.Errorf("got %q", texts)
	}
	write("2020-01-01 00:00:00 +0200\n")
	if texts, _ := take(t, reading(t, r), nil); len(texts) != 1 {
		t.Errorf("got %q", texts)
	}
	write("yesterday")
	if _, err := r.Open(); err == nil || !strings.Contains(err.Error(), "expected a time") {
		t.Errorf("%v", err)
	}
}

func TestTheLedgerForgetsWhatItNeedNotKnow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	l, err := openLedger(path)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	old := now.Add(-48 * time.Hour)
	for i := range 2000 {
		o := blob.Object{Name: fmt.Sprint(i), ETag: "e", Modified: old.Add(time.Duration(i) * time.Second)}
		if err := l.done(&o, i == 7, i == 8); err != nil {
			t.Fatal(err)
		}
	}
	l.begin()
	for i := range 2000 {
		l.isDone(&blob.Object{Name: fmt.Sprint(i)})
	}
	l.hold(old.Add(1500 * time.Second)) // one that is not done
	if err := l.forget(now); err != nil {
		t.Fatal(err)
	}
	l.close()
	// A crash cuts off the last line.
	f, err := os.OpenFile(path+".done", os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.WriteString(`{"name":"half`)
	f.Close()
	if l, err = openLedger(path); err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if n := len(l.entries); n < 400 || n > 600 {
		t.Errorf("%d entries", n)
	}
	for i := range 2000 {
		o := blob.Object{Name: fmt.Sprint(i), ETag: "e", Modified: old.Add(time.Duration(i) * time.Second)}
		if !l.isDone(&o) {
			t.Fatalf("%d is not done any more", i)
		}
	}
	if l.isDone(&blob.Object{Name: "new", Modified: old.Add(1500 * time.Second)}) {
		t.Error("what was not done is done now")
	}
	if !l.isHere(&blob.Object{Name: "8"}) {
		t.Error("what is to be put away is forgotten")
	}
	if err := l.done(&blob.Object{Name: "after"}, false, false); err != nil {
		t.Error(err)
	}
}

package objects

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/internal/testbed/bucket"
)

func writing(t *testing.T, c Write) *Files {
	t.Helper()
	if c.Name == nil {
		ending := ".txt"
		if c.Gzip {
			ending += ".gz"
		}
		id := time.Now().UnixNano()
		c.Name = func(_ time.Time, part int) string { return fmt.Sprintf("ls.%d.part%d%s", id, part, ending) }
	}
	s, err := c.Open()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func at(prefix string, lines ...string) []flow.Record {
	var recs []flow.Record
	for _, l := range lines {
		recs = append(recs, flow.Record{Key: []byte(prefix), Body: []byte(l + "\n")})
	}
	return recs
}

// contents joins what objects have under each folder.
func contents(t *testing.T, stored map[string][]byte) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, data := range stored {
		if strings.HasSuffix(name, ".gz") {
			z, err := gzip.NewReader(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if data, err = io.ReadAll(z); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		all[filepath.Dir(name)] += string(data)
	}
	return all
}

func filesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it goes while we look
		}
		if err == nil && !d.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestRecordsBecomeObjectsBySizeAndAge(t *testing.T) {
	server, _ := newBucket(t)
	for _, zip := range []bool{false, true} {
		prefix := fmt.Sprint("p", zip)
		dir := t.TempDir()
		s := writing(t, Write{Store: openBucket(t, server, bucket.Name, prefix), Dir: dir, Size: 100, Age: time.Hour, Gzip: zip, Pause: time.Millisecond})
		if err := s.Write(t.Context(), append(at("a", "small"), at("b/c", strings.Repeat("x", 30), rand.Text()+rand.Text()+rand.Text()+rand.Text()+rand.Text()+rand.Text())...)); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(10 * time.Second); len(server.Stored(t, bucket.Name, prefix)) < 1; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("no object came")
			}
		}
		if err := s.Write(t.Context(), at("a", "more")); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := contents(t, server.Stored(t, bucket.Name, prefix))
		if got["a"] != "small\nmore\n" || !strings.HasPrefix(got["b/c"], strings.Repeat("x", 30)+"\n") || len(got) != 2 {
			t.Errorf("%v: %q", zip, got)
		}
		if left := filesIn(t, dir); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
	}
	s := writing(t, Write{Store: openBucket(t, server, bucket.Name, "age"), Dir: t.TempDir(), Age: 30 * time.Millisecond})
	if err := s.Write(t.Context(), at(".", "x")); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); len(server.Stored(t, bucket.Name, "age")) < 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no object came")
		}
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// crash copies a folder as it is on the disk, as a crash leaves it: the sink goes on in the old one.
func crash(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestNothingIsLostByACrash(t *testing.T) {
	server, _ := newBucket(t)
	for _, zip := range []bool{false, true} {
		prefix := fmt.Sprint("p", zip)
		store := openBucket(t, server, bucket.Name, prefix)
		s := writing(t, Write{Store: store, Dir: t.TempDir(), Gzip: zip})
		if err := s.Write(t.Context(), at("a", "one", "two")); err != nil {
			t.Fatal(err)
		}
		if err := s.Write(t.Context(), at("a", "three")); err != nil {
			t.Fatal(err)
		}
		dir := crash(t, s.c.Dir)
		// In the middle of a write.
		for _, name := range filesIn(t, dir) {
			f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = f.WriteString("half a li")
			f.Close()
		}
		again := writing(t, Write{Store: store, Dir: dir, Gzip: zip, Restore: true})
		for deadline := time.Now().Add(10 * time.Second); len(filesIn(t, dir)) > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("left: %q", filesIn(t, dir))
			}
		}
		if err := again.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(map[string]string{"a": "one\ntwo\nthree\n"}, contents(t, server.Stored(t, bucket.Name, prefix))); diff != "" {
			t.Errorf("%v: %s", zip, diff)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestFilesThatAreInUseAreLeftAlone(t *testing.T) {
	server, _ := newBucket(t)
	dir := t.TempDir()
	s := writing(t, Write{Store: openBucket(t, server, bucket.Name, "p"), Dir: dir})
	if err := s.Write(t.Context(), at("a", "one")); err != nil {
		t.Fatal(err)
	}
	other := writing(t, Write{Store: openBucket(t, server, bucket.Name, "q"), Dir: dir, Restore: true})
	if err := other.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if n := len(server.Stored(t, bucket.Name, "q")); n != 0 {
		t.Errorf("%d files of another were taken", n)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if n := len(server.Stored(t, bucket.Name, "p")); n != 1 {
		t.Errorf("%d objects", n)
	}
}

func TestABucketThatDoesNotAnswerLeavesTheFilesForTheNextRun(t *testing.T) {
	server, _ := newBucket(t)
	store, err := blob.S3Config{Bucket: bucket.Name, Prefix: "p", Endpoint: server.URL, Region: bucket.Region, Attempts: -1}.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	server.Refuse(func(bucket.Request) *bucket.Error {
		return &bucket.Error{Status: 503, Code: "SlowDown", Message: "later"}
	})
	dir := t.TempDir()
	s := writing(t, Write{Store: store, Dir: dir, Size: 1, Pause: time.Millisecond})
	if err := s.Write(t.Context(), at("a", "one")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
	if n := len(filesIn(t, dir)); n != 1 {
		t.Fatalf("%d files", n)
	}
	server.Refuse(nil)
	again := writing(t, Write{Store: store, Dir: dir, Restore: true, Pause: time.Millisecond})
	for deadline := time.Now().Add(10 * time.Second); len(filesIn(t, dir)) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it was not uploaded")
		}
	}
	if err := again.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(map[string]string{"a": "one\n"}, contents(t, server.Stored(t, bucket.Name, "p"))); diff != "" {
		t.Error(diff)
	}
}

func TestAFailedWriteIsTakenBack(t *testing.T) {
	server, _ := newBucket(t)
	names := 0
	s := writing(t, Write{Store: openBucket(t, server, bucket.Name, "p"), Dir: t.TempDir(), Name: func(time.Time, int) string {
		if names++; names == 2 {
			return "no\x00name"
		}
		return fmt.Sprint(names)
	}})
	if err := s.Write(t.Context(), at("a", "one")); err != nil {
		t.Fatal(err)
	}
	// The second file cannot be made, after something was written to the first.
	if err := s.Write(t.Context(), append(at("a", "two"), at("b", "x")...)); err == nil || flow.IsPermanent(err) {
		t.Fatal(err)
	}
	if err := s.Write(t.Context(), at("a", "three")); err != nil {
		t.Fatal(err)
	}
	// What can never be a name is a dead letter, and nothing else.
	err := s.Write(t.Context(), append(append(append(at("a", "four"), at("../b", "x")...), at(strings.Repeat("n", 300), "x")...), at("a", "five")...))
	failed, ok := errors.AsType[flow.Failures](err)
	if !ok || len(failed) != 2 || failed[0].Index != 1 || failed[1].Index != 2 || !flow.IsPermanent(failed[0].Err) {
		t.Errorf("%v", err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(map[string]string{"a": "one\nthree\nfour\nfive\n"}, contents(t, server.Stored(t, bucket.Name, "p"))); diff != "" {
		t.Error(diff)
	}
}

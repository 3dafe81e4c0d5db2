package blob_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/narudata/naru/blob"
)

func createDir(t testing.TB, path string) *blob.Dir {
	t.Helper()
	d, err := blob.CreateDir(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// tree is every file under a directory with its contents, directories with a slash at their end.
func tree(t testing.TB, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil || e.IsDir() {
			out[filepath.ToSlash(rel)+"/"] = ""
			return err
		}
		b, err := os.ReadFile(p)
		out[filepath.ToSlash(rel)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func sameFile(t *testing.T, a, b string) bool {
	t.Helper()
	x, err := os.Stat(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.Stat(b)
	if err != nil {
		t.Fatal(err)
	}
	return os.SameFile(x, y)
}

func TestCreateMakesTheDirectory(t *testing.T) {
	for _, place := range []string{filepath.Join(t.TempDir(), "a", "b"), "file://" + filepath.Join(t.TempDir(), "c")} {
		for range 2 {
			w, err := blob.Create(t.Context(), place)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Replace(t.Context(), "x/y", []byte("data")); err != nil {
				t.Error(err)
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		}
		if got := tree(t, strings.TrimPrefix(place, "file://")); got["x/y"] != "data" || len(got) != 2 {
			t.Errorf("there is %q", got)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{"https://example.com/x", file, file + "/x"} {
		if _, err := blob.Create(t.Context(), place); err == nil {
			t.Errorf("%s was created", place)
		}
	}
}

func TestALinkedBlobIsTheSameFile(t *testing.T) {
	from := openDir(t, map[string][]byte{"indices/x/0/__a": []byte("data"), "__b": nil})
	to := createDir(t, t.TempDir())
	for name, size := range map[string]int64{"indices/x/0/__a": 4, "__b": 0} {
		for _, want := range []blob.How{blob.Linked, blob.Kept} {
			if how, err := to.Take(t.Context(), from, name, size); err != nil || how != want {
				t.Errorf("%s: %v, %v, want %v", name, how, err, want)
			}
		}
		if !sameFile(t, filepath.Join(from.String(), name), filepath.Join(to.String(), name)) {
			t.Errorf("%s is another file", name)
		}
	}
	if err := to.Sync(t.Context()); err != nil {
		t.Error(err)
	}
	// A blob that is replaced here stays there what it was.
	if err := to.Replace(t.Context(), "__b", []byte("new")); err != nil {
		t.Fatal(err)
	}
	if b, err := blob.ReadAll(t.Context(), from, "__b", 10); err != nil || len(b) != 0 {
		t.Errorf("the source has %q, %v", b, err)
	}
}

func TestTakeSeesThroughWhatReadsAhead(t *testing.T) {
	from := openDir(t, map[string][]byte{"a": []byte("data")})
	ahead := blob.NewAhead(from, blob.AheadConfig{})
	view := blob.InOrder(ahead)
	defer view.Close()
	for _, s := range []blob.Store{ahead, view, blob.InOrder(from)} {
		to := createDir(t, t.TempDir())
		if how, err := to.Take(t.Context(), s, "a", 4); how != blob.Linked || err != nil {
			t.Errorf("%T: %v, %v", s, how, err)
		}
	}
}

// opaque hides what kind of store it is, so that blobs are streamed.
type opaque struct {
	blob.Store
	wrap func(io.Reader) io.Reader
}

func (o opaque) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	r, err := o.Store.Open(ctx, name, off, n)
	if err != nil || o.wrap == nil {
		return r, err
	}
	return struct {
		io.Reader
		io.Closer
	}{o.wrap(r), r}, nil
}

// failing fails after some bytes.
type failing struct {
	r    io.Reader
	left int64
	err  error
}

func (f *failing) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, f.err
	}
	n, err := f.r.Read(p[:min(int64(len(p)), f.left)])
	f.left -= int64(n)
	return n, err
}

func TestAReadThatFailsLeavesNothing(t *testing.T) {
	data := bytes.Repeat([]byte("x"), 1<<20)
	from := openDir(t, map[string][]byte{"i/a": data})
	broken := errors.New("the disk is broken")
	for _, after := range []int64{0, 1, 1 << 19, 1 << 20} {
		to := createDir(t, t.TempDir())
		source := opaque{from, func(r io.Reader) io.Reader { return &failing{r, after, broken} }}
		if _, err := to.Take(t.Context(), source, "i/a", 1<<20); !errors.Is(err, broken) {
			t.Errorf("after %d bytes: %v", after, err)
		}
		if got := tree(t, to.String()); len(got) > 1 {
			t.Errorf("after %d bytes there is %d files", after, len(got)-1)
		}
		if how, err := to.Take(t.Context(), opaque{Store: from}, "i/a", 1<<20); err != nil || how != blob.Streamed {
			t.Errorf("the next time: %v, %v", how, err)
		}
	}
}

func TestABlobOfAnotherSizeIsNotTaken(t *testing.T) {
	from := openDir(t, map[string][]byte{"a": []byte("data")})
	to := createDir(t, t.TempDir())
	for _, source := range []blob.Store{from, opaque{Store: from}} {
		for _, size := range []int64{0, 3, 5} {
			if how, err := to.Take(t.Context(), source, "a", size); !errors.Is(err, blob.ErrSize) {
				t.Errorf("%d bytes: %v, %v", size, how, err)
			}
		}
		if _, err := to.Take(t.Context(), source, "absent", 3); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("absent: %v", err)
		}
	}
	if got := tree(t, to.String()); len(got) != 0 {
		t.Errorf("there is %q", got)
	}
	if err := to.Put(t.Context(), "a", []byte("another")); err != nil {
		t.Fatal(err)
	}
	if how, err := to.Take(t.Context(), from, "a", 4); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "7 bytes") {
		t.Errorf("over another: %v, %v", how, err)
	}
	if got := tree(t, to.String()); got["a"] != "another" {
		t.Errorf("there is %q", got)
	}
}

func TestPutNeverOverwritesAndReplaceDoes(t *testing.T) {
	ctx := t.Context()
	d := createDir(t, t.TempDir())
	if err := d.Put(ctx, "i/x", []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := d.Put(ctx, "i/x", []byte("two")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second time: %v", err)
	}
	if err := d.Put(ctx, "i", []byte("two")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a directory: %v", err)
	}
	if err := d.Put(ctx, "i/x/y", []byte("two")); err == nil {
		t.Error("under a file")
	}
	if n, err := d.Stat(ctx, "i/x"); n != 3 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	for _, name := range []string{"i", "i/y", "i/x/y"} {
		if n, err := d.Stat(ctx, name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
	}
	if err := d.Replace(ctx, "i/x", []byte("three")); err != nil {
		t.Error(err)
	}
	if got := tree(t, d.String()); got["i/x"] != "three" || len(got) != 2 {
		t.Errorf("there is %q", got)
	}
}

func TestOfManyWhoPutOneSucceeds(t *testing.T) {
	for name, put := range map[string]func(context.Context, *blob.Dir, string, []byte) error{
		"Linked":   func(ctx context.Context, d *blob.Dir, name string, b []byte) error { return d.Put(ctx, name, b) },
		"Unlinked": blob.PutUnlinked, // only within a process
	} {
		t.Run(name, func(t *testing.T) {
			d := createDir(t, t.TempDir())
			others := []*blob.Dir{d, d}
			if name == "Linked" {
				others[1] = createDir(t, d.String())
			}
			var wg sync.WaitGroup
			won := make(chan int, 40)
			for i := range 40 {
				wg.Go(func() {
					switch err := put(t.Context(), others[i%2], "a/b/x", fmt.Append(nil, i)); {
					case err == nil:
						won <- i
					case !errors.Is(err, fs.ErrExist):
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if len(won) != 1 {
				t.Fatalf("%d have put", len(won))
			}
			if got, want := tree(t, d.String()), fmt.Sprint(<-won); got["a/b/x"] != want || len(got) != 3 {
				t.Errorf("there is %q, want %s", got, want)
			}
		})
	}
}

func TestAReaderSeesTheOldOrTheNewBlob(t *testing.T) {
	d := createDir(t, t.TempDir())
	blobs := [][]byte{bytes.Repeat([]byte("a"), 100_000), bytes.Repeat([]byte("b"), 50_000)}
	if err := d.Put(t.Context(), "x", blobs[0]); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 50 {
			if err := d.Replace(t.Context(), "x", blobs[(i+1)%2]); err != nil {
				t.Error(err)
			}
		}
	}()
	for n := 0; ; n++ {
		b, err := blob.ReadAll(t.Context(), d, "x", 1<<20)
		if err != nil || !bytes.Equal(b, blobs[0]) && !bytes.Equal(b, blobs[1]) {
			t.Fatalf("%d bytes, %v", len(b), err)
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

func TestManyTakeTheSameBlobs(t *testing.T) {
	files := map[string][]byte{}
	for i := range 50 {
		files[fmt.Sprintf("indices/%d/0/__%d", i%7, i)] = fmt.Append(nil, i)
	}
	from := openDir(t, files)
	for _, source := range []blob.Store{from, opaque{Store: from}} {
		to := createDir(t, t.TempDir())
		var mu sync.Mutex
		made := map[blob.How]int{}
		var wg sync.WaitGroup
		for range 4 {
			for name, data := range files {
				wg.Go(func() {
					how, err := to.Take(t.Context(), source, name, int64(len(data)))
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					made[how]++
				})
			}
		}
		wg.Wait()
		if err := to.Sync(t.Context()); err != nil {
			t.Error(err)
		}
		if made[blob.Linked]+made[blob.Streamed] != 50 || made[blob.Kept] != 150 {
			t.Errorf("%v", made)
		}
		got := tree(t, to.String())
		for name, data := range files {
			if got[name] != string(data) {
				t.Errorf("%s is %q", name, got[name])
			}
		}
		for name := range got {
			if blob.Pending(name) {
				t.Errorf("%s was left", name)
			}
		}
	}
}

func TestNoNameThatIsWrittenLeadsOutside(t *testing.T) {
	ctx := t.Context()
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	from := openDir(t, map[string][]byte{"inside": []byte("inside"), "d/x": []byte("x")})
	to := createDir(t, t.TempDir())
	for _, d := range []*blob.Dir{from, to} {
		for name, target := range map[string]string{"file": filepath.Join(outside, "secret"), "dir": outside} {
			if err := os.Symlink(target, filepath.Join(d.String(), name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Symlink("inside", filepath.Join(from.String(), "near")); err != nil {
		t.Fatal(err)
	}
	before := tree(t, outside)
	clean := createDir(t, t.TempDir())
	for _, source := range []blob.Store{from, opaque{Store: from}} {
		for _, name := range []string{"file", "dir/secret", "../x", "/etc/passwd", ".", "", "d/../inside", "d//x"} {
			if how, err := clean.Take(ctx, source, name, 6); err == nil {
				t.Errorf("%q was taken: %v", name, how)
			}
		}
	}
	if got := tree(t, clean.String()); len(got) != 0 {
		t.Errorf("there is %q", got)
	}
	if how, err := clean.Take(ctx, from, "near", 6); err != nil {
		t.Errorf("a link to the inside: %v, %v", how, err)
	}
	if info, err := os.Lstat(filepath.Join(clean.String(), "near")); err != nil || !info.Mode().IsRegular() {
		t.Errorf("a link to the inside was taken as %v, %v", info, err)
	}
	for _, name := range []string{"dir/x", "../x", "/x", ".", "", "a/../../x"} {
		if err := to.Put(ctx, name, nil); err == nil {
			t.Errorf("%q was put", name)
		}
		if err := to.Replace(ctx, name, nil); err == nil {
			t.Errorf("%q was replaced", name)
		}
		if _, err := to.Stat(ctx, name); err == nil {
			t.Errorf("%q is there", name)
		}
	}
	if err := to.Remove(ctx, "dir/secret"); err == nil {
		t.Error("dir/secret was removed")
	}
	if err := to.Remove(ctx, "file"); err != nil {
		t.Errorf("the link itself: %v", err)
	}
	if got := tree(t, outside); len(got) != 1 || got["secret"] != before["secret"] {
		t.Errorf("outside there is %q", got)
	}
}

func TestRemovedBlobsTakeEmptyDirectoriesAlong(t *testing.T) {
	ctx := t.Context()
	d := createDir(t, t.TempDir())
	for _, name := range []string{"a/b/c/x", "a/b/y", "z"} {
		if err := d.Put(ctx, name, nil); err != nil {
			t.Fatal(err)
		}
	}
	names := func() []string {
		out := []string{}
		for name := range tree(t, d.String()) {
			out = append(out, name)
		}
		slices.Sort(out)
		return out
	}
	if err := d.Remove(ctx, "a/b/c/x", "absent", "no/such/dir", "z/under/a/file"); err != nil {
		t.Error(err)
	}
	if got, want := names(), []string{"a/", "a/b/", "a/b/y", "z"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if err := d.Remove(ctx, "a/b"); err == nil {
		t.Error("a directory was removed")
	}
	for range 2 {
		if err := d.Remove(ctx, "a/b/y", "z"); err != nil {
			t.Error(err)
		}
	}
	if got := names(); len(got) != 0 {
		t.Errorf("%q is left", got)
	}
	if err := d.Sync(ctx); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(d.String()); err != nil {
		t.Error(err)
	}
}

func TestWritingEndsWithTheContext(t *testing.T) {
	from := openDir(t, map[string][]byte{"a": []byte("data")})
	to := createDir(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, taken := to.Take(ctx, from, "a", 4)
	_, stat := to.Stat(ctx, "a")
	for what, err := range map[string]error{
		"take": taken, "stat": stat, "put": to.Put(ctx, "x", nil), "replace": to.Replace(ctx, "x", nil), "remove": to.Remove(ctx, "x"),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got := tree(t, to.String()); len(got) != 0 {
		t.Errorf("there is %q", got)
	}
}

package blob_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/flow/flowtest"
	"github.com/narudata/naru/internal/testbed/bucket"
)

// random is bytes that no part of another is equal to.
func random(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// testWriter tests a Writer that is empty.
func testWriter(t *testing.T, open func(t *testing.T) blob.Writer) {
	ctx := t.Context()
	has := func(t *testing.T, s blob.Store, name string, want []byte) {
		t.Helper()
		if got, err := blob.ReadAll(ctx, s, name, 1<<20); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, len(want))
		}
	}
	files := map[string][]byte{
		"index.latest": {0, 0, 0, 0, 0, 0, 0, 7}, "empty": {}, "indices/나루/0/__x y%z+1": []byte("odd names"),
		"indices/a/0/__big": random(1, 300_000), "indices/a/1/__edge": random(2, 50_000),
	}
	from := openDir(t, files)

	t.Run("ABlobThatIsPutIsThere", func(t *testing.T) {
		w := open(t)
		for name, data := range files {
			if err := w.Put(ctx, name, data); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			has(t, w, name, data)
			if n, err := w.Stat(ctx, name); n != int64(len(data)) || err != nil {
				t.Errorf("%s has %d bytes, %v", name, n, err)
			}
		}
		if n, err := w.Stat(ctx, "absent"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("absent: %d bytes, %v", n, err)
		}
	})
	t.Run("PutRefusesWhatReplaceReplaces", func(t *testing.T) {
		w := open(t)
		if err := w.Replace(ctx, "a/x", []byte("one")); err != nil {
			t.Fatal(err)
		}
		for _, b := range []string{"one", "two", ""} {
			if err := w.Put(ctx, "a/x", []byte(b)); !errors.Is(err, fs.ErrExist) {
				t.Errorf("put %q: %v", b, err)
			}
		}
		has(t, w, "a/x", []byte("one"))
		if err := w.Replace(ctx, "a/x", []byte("three")); err != nil {
			t.Error(err)
		}
		has(t, w, "a/x", []byte("three"))
	})
	t.Run("OfManyWhoPutOneSucceeds", func(t *testing.T) {
		w := open(t)
		won := make(chan []byte, 20)
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				b := fmt.Append(nil, i)
				if err := w.Put(ctx, "a/x", b); err == nil {
					won <- b
				} else if !errors.Is(err, fs.ErrExist) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(won) != 1 {
			t.Fatalf("%d have put", len(won))
		}
		has(t, w, "a/x", <-won)
	})
	t.Run("WhatIsTakenIsTheSameAndKeptAfterwards", func(t *testing.T) {
		w := open(t)
		how := map[blob.How]int{}
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 3 {
			for name, data := range files {
				wg.Go(func() {
					h, err := w.Take(ctx, opaque{Store: from}, name, int64(len(data)))
					if err != nil {
						t.Errorf("%s: %v", name, err)
					}
					mu.Lock()
					defer mu.Unlock()
					how[h]++
				})
			}
		}
		wg.Wait()
		if err := w.Sync(ctx); err != nil {
			t.Error(err)
		}
		if how[blob.Streamed] < len(files) || how[blob.Kept]+how[blob.Streamed] != 3*len(files) {
			t.Errorf("%v", how)
		}
		for name, data := range files {
			has(t, w, name, data)
			if h, err := w.Take(ctx, from, name, int64(len(data))); h != blob.Kept || err != nil {
				t.Errorf("%s again: %v, %v", name, h, err)
			}
			if h, err := w.Take(ctx, from, name, int64(len(data))+1); !errors.Is(err, fs.ErrExist) {
				t.Errorf("%s of another size: %v, %v", name, h, err)
			}
			has(t, w, name, data)
		}
	})
	t.Run("WhatCannotBeReadLeavesNothing", func(t *testing.T) {
		w := open(t)
		broken := errors.New("the disk is broken")
		for name, data := range map[string][]byte{"indices/a/0/__big": files["indices/a/0/__big"], "index.latest": files["index.latest"]} {
			size := int64(len(data))
			for _, after := range []int64{0, size / 2, size - 1, size} {
				source := opaque{from, func(r io.Reader) io.Reader { return &failing{r, after, broken} }}
				if h, err := w.Take(ctx, source, name, size); !errors.Is(err, broken) {
					t.Errorf("%s, broken after %d bytes: %v, %v", name, after, h, err)
				}
			}
			for _, other := range []int64{size - 1, size + 1, 0} {
				if h, err := w.Take(ctx, opaque{Store: from}, name, other); !errors.Is(err, blob.ErrSize) {
					t.Errorf("%s as if it had %d bytes: %v, %v", name, other, h, err)
				}
			}
			if n, err := w.Stat(ctx, name); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is there, with %d bytes, %v", name, n, err)
			}
		}
		if h, err := w.Take(ctx, from, "absent", 1); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("absent: %v, %v", h, err)
		}
		for e, err := range w.List(ctx, ".") {
			if err == nil && !e.Dir {
				t.Errorf("%s is left", e.Name)
			}
		}
	})
	t.Run("RemovedBlobsAreAbsent", func(t *testing.T) {
		w := open(t)
		var names []string
		for i := range 30 {
			names = append(names, fmt.Sprintf("a/%d", i))
			if err := w.Put(ctx, names[i], nil); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if err := w.Remove(ctx, names[1:]...); err != nil {
				t.Error(err)
			}
		}
		for i, name := range names {
			if _, err := w.Stat(ctx, name); i > 0 && !errors.Is(err, fs.ErrNotExist) || i == 0 && err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("WhatIsNoNameIsRefused", func(t *testing.T) {
		w := open(t)
		for _, name := range []string{"", ".", "..", "/x", "../x", "a/../x", "a//x", "a/"} {
			_, taken := w.Take(ctx, from, name, 1)
			_, stat := w.Stat(ctx, name)
			for what, err := range map[string]error{"put": w.Put(ctx, name, nil), "replace": w.Replace(ctx, name, nil), "take": taken, "stat": stat, "remove": w.Remove(ctx, name)} {
				if !errors.Is(err, fs.ErrInvalid) {
					t.Errorf("%s %q: %v", what, name, err)
				}
			}
		}
		if h, err := w.Take(ctx, from, "empty", -1); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("of a negative size: %v, %v", h, err)
		}
	})
}

func TestDirIsAWriter(t *testing.T) {
	testWriter(t, func(t *testing.T) blob.Writer { return createDir(t, t.TempDir()) })
}

func TestS3IsAWriter(t *testing.T) {
	bucket.Credentials(t, "")
	open := func(rate float64, change func(*blob.S3Config)) func(t *testing.T) blob.Writer {
		return func(t *testing.T) blob.Writer {
			s := bucket.Start(t, nil)
			t.Cleanup(func() {
				// With trouble, the answer that tells the name of an upload may be lost, and the upload with it.
				if n := s.Unfinished(t, bucket.Name); n != 0 && rate == 0 {
					t.Errorf("%d uploads are left", n)
				}
			})
			if rate > 0 {
				trouble := bucket.NewTrouble(flowtest.Seed(t), rate)
				s.Trouble(trouble)
				t.Cleanup(func() { t.Logf("trouble: %v", trouble.Made()) })
			}
			return openS3(t, s, "a/b c", func(c *blob.S3Config) { c.Attempts, c.PartBytes = 100, 50_000; change(c) })
		}
	}
	t.Run("Plain", func(t *testing.T) { testWriter(t, open(0, func(*blob.S3Config) {})) })
	t.Run("OnePart", func(t *testing.T) { testWriter(t, open(0, func(c *blob.S3Config) { c.PartBytes = 0 })) })
	t.Run("Troubled", func(t *testing.T) { testWriter(t, open(0.3, func(*blob.S3Config) {})) })
}

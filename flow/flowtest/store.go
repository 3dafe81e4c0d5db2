package flowtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/narudata/naru/blob"
)

// Store tests a blob.Store. open makes one that holds exactly these files, by slash-separated name.
func Store(t *testing.T, open func(t *testing.T, files map[string][]byte) blob.Store) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
	files := map[string][]byte{
		"index.latest":       {0, 0, 0, 0, 0, 0, 0, 7},
		"empty":              {},
		"indices/AbC-d_e/0":  []byte("zero"),
		"indices/AbC-d_e/10": big,
		"indices/나루/__x y%z": []byte("odd names"),
	}
	s := open(t, files)
	read := func(ctx context.Context, name string, off, n int64) ([]byte, error) {
		r, err := s.Open(ctx, name, off, n)
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(r)
		return data, errors.Join(err, r.Close())
	}

	t.Run("ABlobIsReadWhole", func(t *testing.T) {
		for name, want := range files {
			if got, err := read(t.Context(), name, 0, -1); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, len(want))
			}
		}
	})
	t.Run("ARangeIsCutShortAtTheEnd", func(t *testing.T) {
		size := int64(len(big))
		for _, r := range [][2]int64{{0, 0}, {0, 1}, {0, size}, {0, size + 1}, {5, 100}, {100_000, 70_000}, {size - 1, 1}, {size - 1, 9}, {size, 1}, {size, -1}, {size - 3, -1}, {size + 100, 5}, {size + 100, -1}, {1, 1 << 62}} {
			off, n := r[0], r[1]
			from := min(off, size)
			to := size
			if n >= 0 && n < size-from {
				to = from + n
			}
			if got, err := read(t.Context(), "indices/AbC-d_e/10", off, n); err != nil || !bytes.Equal(got, big[from:to]) {
				t.Errorf("%d bytes from %d on: got %d, %v; want %d", n, off, len(got), err, to-from)
			}
		}
	})
	t.Run("AnAbsentBlobDoesNotExist", func(t *testing.T) {
		for _, name := range []string{"absent", "indices/absent/0", "index.latest/0", "indices/AbC-d_e/1"} {
			_, err := read(t.Context(), name, 0, -1)
			if name == "index.latest/0" && err != nil {
				continue // a name below a blob: some stores know that it cannot be
			}
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v, want fs.ErrNotExist", name, err)
			}
		}
	})
	t.Run("ADirectoryIsNoBlob", func(t *testing.T) {
		for _, name := range []string{"indices", ".", "indices/AbC-d_e"} {
			if _, err := read(t.Context(), name, 0, -1); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
	})
	t.Run("NoNameLeadsOutside", func(t *testing.T) {
		for _, name := range []string{"../x", "..", "indices/../../x", "/etc/passwd", "indices/../../../../../../../etc/passwd"} {
			if _, err := read(t.Context(), name, 0, -1); err == nil {
				t.Errorf("%s: no error", name)
			}
			if _, err := list(t.Context(), s, name); err == nil {
				t.Errorf("list %s: no error", name)
			}
		}
	})
	t.Run("AListingHasWhatIsDirectlyInIt", func(t *testing.T) {
		for dir, want := range map[string][]blob.Entry{
			".":               {{Name: "empty"}, {Name: "index.latest", Size: 8}, {Name: "indices", Dir: true}},
			"indices":         {{Name: "AbC-d_e", Dir: true}, {Name: "나루", Dir: true}},
			"indices/AbC-d_e": {{Name: "0", Size: 4}, {Name: "10", Size: int64(len(big))}},
		} {
			got, err := list(t.Context(), s, dir)
			if errors.Is(err, blob.ErrNoListing) {
				t.Skip("the store cannot be listed")
			}
			if err != nil {
				t.Errorf("%s: %v", dir, err)
			}
			if diff := unlike(want, got); diff != "" {
				t.Errorf("%s: %s", dir, diff)
			}
		}
		for _, err := range s.List(t.Context(), ".") {
			if err != nil {
				t.Error(err)
			}
			break // must not go on, nor panic
		}
	})
	t.Run("ManyReadAtOnce", func(t *testing.T) {
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				for i := range 20 {
					off := int64(w*1000 + i*7)
					if got, err := read(t.Context(), "indices/AbC-d_e/10", off, 5000); err != nil || !bytes.Equal(got, big[off:off+5000]) {
						t.Errorf("%d bytes from %d on, %v", len(got), off, err)
					}
				}
			})
		}
		wg.Wait()
	})
	t.Run("AnEndedContextIsHeeded", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		within(t, "Open", func() {
			if _, err := read(ctx, "index.latest", 0, -1); !errors.Is(err, context.Canceled) {
				t.Errorf("open gives %v, want the context's error", err)
			}
		})
	})
	t.Run("ItHasAName", func(t *testing.T) {
		if s.String() == "" {
			t.Error("no name")
		}
	})
}

func list(ctx context.Context, s blob.Store, dir string) ([]blob.Entry, error) {
	var entries []blob.Entry
	for e, err := range s.List(ctx, dir) {
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b blob.Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries, nil
}

package blob_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/flow/flowtest"
)

// far is a store in memory that takes its time.
type far struct {
	files   map[string][]byte
	latency time.Duration
	fail    func(name string, off int64) error // before a blob is opened; nil: never
	sized   bool                               // readers say how long the blob is

	mu             sync.Mutex // guards what follows
	opened         []string   // name:off
	open, mostOpen int
	cancelled      int
}

func (f *far) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	f.mu.Lock()
	f.opened = append(f.opened, fmt.Sprintf("%s:%d", name, off))
	f.open++
	f.mostOpen = max(f.mostOpen, f.open)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.open--
		if ctx.Err() != nil {
			f.cancelled++
		}
		f.mu.Unlock()
	}()
	if f.latency > 0 {
		select {
		case <-time.After(f.latency):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if f.fail != nil {
		if err := f.fail(name, off); err != nil {
			return nil, err
		}
	}
	data, ok := f.files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	size := int64(len(data))
	data = data[min(off, size):]
	if n >= 0 {
		data = data[:min(n, int64(len(data)))]
	}
	r := io.NopCloser(bytes.NewReader(data))
	if f.sized {
		return sizedReader{r, size}, nil
	}
	return r, nil
}

type sizedReader struct {
	io.ReadCloser
	size int64
}

func (r sizedReader) Size() int64 { return r.size }

func (f *far) List(context.Context, string) iter.Seq2[blob.Entry, error] {
	return func(yield func(blob.Entry, error) bool) { yield(blob.Entry{}, blob.ErrNoListing) }
}

func (f *far) String() string { return "far" }

func (f *far) counts() (opened, open, mostOpen, cancelled int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.opened), f.open, f.mostOpen, f.cancelled
}

func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = rng.Read(b)
	return b
}

// readInOrder reads a blob in pieces, and compares it.
func readInOrder(t *testing.T, s blob.Store, name string, want []byte, piece int) {
	t.Helper()
	p := make([]byte, piece)
	for off := 0; off < len(want); off += piece {
		q := p[:min(piece, len(want)-off)]
		if err := blob.ReadAt(t.Context(), s, name, q, int64(off)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(q, want[off:off+len(q)]) {
			t.Fatalf("%d bytes at %d are others", len(q), off)
		}
	}
}

func TestAViewThatReadsAheadIsAStore(t *testing.T) {
	for _, room := range []int64{1, 5000, 1 << 20} { // for no page, a few, all
		t.Run(fmt.Sprint(room), func(t *testing.T) {
			flowtest.Store(t, func(t *testing.T, files map[string][]byte) blob.Store {
				v := blob.InOrder(blob.NewAhead(openDir(t, files), blob.AheadConfig{PageBytes: 1000, MemoryBytes: room}))
				t.Cleanup(func() { v.Close() })
				return v
			})
		})
	}
}

func TestReadingInOrderHidesTheLatency(t *testing.T) {
	const page, pages, latency = 1 << 10, 100, 30 * time.Millisecond
	data := noise(1, page*pages+17)
	took := func(ahead bool) (d time.Duration, opened int) {
		synctest.Test(t, func(t *testing.T) {
			f := &far{files: map[string][]byte{"x": data}, latency: latency, sized: true}
			var s blob.Store = f
			if ahead {
				v := blob.InOrder(blob.NewAhead(f, blob.AheadConfig{PageBytes: page}))
				defer v.Close()
				s = v
			}
			started := time.Now()
			readInOrder(t, s, "x", data, page)
			d = time.Since(started)
			opened, _, _, _ = f.counts()
		})
		return d, opened
	}
	without, _ := took(false)
	with, opened := took(true)
	t.Logf("%v without, %v with", without, with)
	if without != 101*latency || with > without/5 {
		t.Errorf("%v without, %v with", without, with)
	}
	if opened != 101 {
		t.Errorf("%d requests for 101 pages", opened)
	}
}

func TestASmallBlobIsOneRequest(t *testing.T) {
	f := &far{files: map[string][]byte{"x": noise(1, 900)}}
	v := blob.InOrder(blob.NewAhead(f, blob.AheadConfig{PageBytes: 1000}))
	defer v.Close()
	p := make([]byte, 16)
	for _, off := range []int64{0, 884, 0, 16, 32, 500} {
		if err := blob.ReadAt(t.Context(), v, "x", p, off); err != nil {
			t.Fatal(err)
		}
	}
	if opened, _, _, _ := f.counts(); opened != 1 {
		t.Errorf("%d requests", opened)
	}
}

func TestWhatIsExpectedIsFetchedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &far{files: map[string][]byte{}, latency: time.Second}
		var names []string
		for i := range 6 {
			names = append(names, fmt.Sprint(i))
			f.files[names[i]] = noise(uint64(i), 500)
		}
		v := blob.InOrder(blob.NewAhead(f, blob.AheadConfig{PageBytes: 1000}))
		defer v.Close()
		started := time.Now()
		blob.Expect(v, append(names, "absent")...)
		for _, name := range names {
			readInOrder(t, v, name, f.files[name], 100)
		}
		if _, err := blob.ReadAll(t.Context(), v, "absent", 10); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("absent: %v", err)
		}
		// One round for all, and one more for what was expected and is absent.
		if opened, _, _, _ := f.counts(); opened != 8 || time.Since(started) != 2*time.Second {
			t.Errorf("%d requests took %v", opened, time.Since(started))
		}
		blob.Expect(f, names...) // nothing
	})
}

func TestWhatIsReadAheadIsGivenUpWhenTheReaderGoesElsewhereOrCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which ends only when no goroutine is left
		const page = 1 << 10
		data := noise(1, 100*page)
		f := &far{files: map[string][]byte{"x": data, "y": data}, latency: time.Hour}
		v := blob.InOrder(blob.NewAhead(f, blob.AheadConfig{PageBytes: page}))
		readInOrder(t, v, "x", data[:6*page], page)
		synctest.Wait()
		if _, open, _, cancelled := f.counts(); open == 0 || cancelled != 0 {
			t.Errorf("%d under way, %d given up while reading in order", open, cancelled)
		}
		readInOrder(t, v, "y", data[:page], page)
		synctest.Wait()
		_, open, _, cancelled := f.counts()
		if open != 0 || cancelled == 0 {
			t.Errorf("%d under way, %d given up after going elsewhere", open, cancelled)
		}
		readInOrder(t, v, "y", data[:6*page], page)
		if err := v.Close(); err != nil {
			t.Error(err)
		}
		if _, open, _, more := f.counts(); open != 0 || more <= cancelled {
			t.Errorf("%d under way, %d given up after closing", open, more)
		}
		if _, err := v.Open(t.Context(), "x", 0, 1); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("open after close: %v", err)
		}
	})
}

func TestAllReadersTogetherKeepToTheMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const page, room, readers = 1 << 10, 20, 8
		data := noise(1, 200*page)
		f := &far{files: map[string][]byte{"x": data}, latency: time.Second}
		a := blob.NewAhead(f, blob.AheadConfig{PageBytes: page, MemoryBytes: room * page})
		var wg sync.WaitGroup
		for range readers {
			wg.Go(func() {
				v := blob.InOrder(a)
				defer v.Close()
				readInOrder(t, v, "x", data, 700)
			})
		}
		wg.Wait()
		// Beside the pages each reader may have one read of its own, past them.
		if _, _, most, _ := f.counts(); most > room+readers || most <= readers {
			t.Errorf("%d requests at a time with room for %d pages", most, room)
		}
		if made := blob.PagesMade(a); made > room {
			t.Errorf("%d pages were made, there is room for %d", made, room)
		}
	})
}

func TestAPageThatCouldNotBeReadAheadIsReadWhenItIsWanted(t *testing.T) {
	const page = 1 << 10
	data := noise(1, 50*page)
	var mu sync.Mutex
	failed := map[int64]bool{}
	f := &far{files: map[string][]byte{"x": data}, fail: func(_ string, off int64) error {
		mu.Lock()
		defer mu.Unlock()
		if off > 2*page && !failed[off] { // the first page of a run is asked for because it is wanted
			failed[off] = true
			return errors.New("not now")
		}
		return nil
	}}
	v := blob.InOrder(blob.NewAhead(f, blob.AheadConfig{PageBytes: page, MemoryBytes: 64 * page}))
	defer v.Close()
	readInOrder(t, v, "x", data[:3*page], page)
	p := make([]byte, page)
	fine := 0
	for off := int64(3 * page); off < int64(len(data)); off += page {
		if blob.ReadAt(t.Context(), v, "x", p, off) == nil {
			fine++
		}
	}
	if fine != 47 {
		t.Errorf("%d of 47 pages could be read", fine)
	}
}

func TestWhateverIsReadInWhateverOrderIsRight(t *testing.T) {
	files := map[string][]byte{"a": noise(1, 10_000), "b": noise(2, 777), "c": {}}
	names := []string{"a", "b", "c", "absent"}
	rapid.Check(t, func(t *rapid.T) {
		var mu sync.Mutex
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		f := &far{files: files, sized: rapid.Bool().Draw(t, "sized"), fail: func(string, int64) error {
			mu.Lock()
			defer mu.Unlock()
			if rng.IntN(10) == 0 {
				return errTrouble
			}
			return nil
		}}
		a := blob.NewAhead(f, blob.AheadConfig{
			PageBytes: rapid.IntRange(1, 300).Draw(t, "page"), Pages: rapid.IntRange(1, 9).Draw(t, "pages"),
			MemoryBytes: int64(rapid.IntRange(1, 5000).Draw(t, "memory")),
		})
		v := blob.InOrder(a)
		at := map[string]int64{}
		var open []io.ReadCloser
		for range rapid.IntRange(1, 60).Draw(t, "reads") {
			name := rapid.SampledFrom(names).Draw(t, "name")
			off := at[name]
			if rapid.IntRange(0, 4).Draw(t, "jump") == 0 {
				off = int64(rapid.IntRange(0, 11_000).Draw(t, "off"))
			}
			n := int64(rapid.IntRange(-1, 700).Draw(t, "n"))
			r, err := v.Open(context.Background(), name, off, n)
			if err != nil {
				if _, there := files[name]; !errors.Is(err, errTrouble) && (there || !errors.Is(err, fs.ErrNotExist)) {
					t.Fatalf("open %s: %v", name, err)
				}
				continue
			}
			want := files[name]
			want = want[min(off, int64(len(want))):]
			if n >= 0 {
				want = want[:min(n, int64(len(want)))]
			}
			if rapid.IntRange(0, 9).Draw(t, "leave") == 0 { // read a little, close later
				p := make([]byte, 10)
				k, _ := r.Read(p)
				if !bytes.Equal(p[:k], want[:k]) {
					t.Fatalf("%s from %d on begins with others", name, off)
				}
				open = append(open, r)
				continue
			}
			got, err := io.ReadAll(r)
			if !bytes.Equal(got, want[:min(len(got), len(want))]) || err == nil && len(got) != len(want) || err != nil && !errors.Is(err, errTrouble) {
				t.Fatalf("%d bytes of %s from %d on: %d bytes, %v; want %d", n, name, off, len(got), err, len(want))
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			at[name] = off + int64(len(got))
		}
		for _, r := range open {
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
		if made, idle := blob.PagesMade(a), blob.PagesIdle(a); made != idle {
			t.Fatalf("%d of %d pages did not come back", made-idle, made)
		}
	})
}

var errTrouble = errors.New("trouble")

package files

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func entry(key uint64, path string, offset int64) Entry {
	return Entry{
		Key: key, ID: ID{2049, key * 7}, Path: path, Head: Head{Bytes: 12, Sum: [32]byte{1, byte(key)}},
		Position: Position{Offset: offset, Before: Before{Bytes: int(min(offset, tailBytes)), Sum: 0xdeadbeef}}, Seen: time.Unix(1_700_000_000, 0),
	}
}

func loaded(t testing.TB, path string) ([]Entry, bool, *RegistryFile) {
	t.Helper()
	r := NewRegistryFile(path, nil)
	entries, fresh, err := r.Load()
	if err != nil {
		t.Fatal(err)
	}
	return entries, fresh, r
}

func TestARegistryKeepsWhatWasSaved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "registry")
	_, fresh, r := loaded(t, path)
	if !fresh {
		t.Error("a new registry is not fresh")
	}
	odd := entry(2, "/var/log/\xff \"odd\"\nname", 5)
	odd.Done, odd.Noted, odd.Archive, odd.Imported, odd.Size = true, true, true, true, 99
	steps := []error{
		r.Save([]Entry{entry(1, "/a", 10), odd, entry(3, "/c", 0)}, nil),
		r.Save([]Entry{entry(1, "/a", 20)}, []uint64{3}),
		r.Save([]Entry{entry(1, "/a.1", 20)}, nil),
		r.Save(nil, nil),
		r.Close(),
	}
	if err := errors.Join(steps...); err != nil {
		t.Fatal(err)
	}
	want := []Entry{entry(1, "/a.1", 20), odd}
	got, fresh, r := loaded(t, path)
	if diff := cmp.Diff(want, got); diff != "" || fresh {
		t.Errorf("fresh %v\n%s", fresh, diff)
	}
	read, err := ReadRegistry(path)
	if diff := cmp.Diff(want, read); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestARegistryIsFreshUntilSomethingIsSaved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry")
	for range 2 { // a crash before the first save
		_, fresh, r := loaded(t, path)
		if !fresh {
			t.Error("it is not fresh, and nothing was saved")
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, _, r := loaded(t, path)
	if err := errors.Join(r.Save(nil, nil), r.Close()); err != nil {
		t.Fatal(err)
	}
	_, fresh, r := loaded(t, path)
	if fresh {
		t.Error("it is fresh, and nothing was saved on purpose")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestARegistryHasOneUser(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry")
	_, _, r := loaded(t, path)
	if _, _, err := NewRegistryFile(path, nil).Load(); !errors.Is(err, ErrInUse) {
		t.Errorf("error %v, want ErrInUse", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	_, _, r = loaded(t, path)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAnotherFileIsNotTakenForARegistry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry")
	const text = "something that somebody needs\n"
	write(t, path, text)
	if _, _, err := NewRegistryFile(path, nil).Load(); err == nil || !strings.Contains(err.Error(), "no registry") {
		t.Errorf("error %v", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != text {
		t.Errorf("it was changed: %q, %v", got, err)
	}
}

func TestARegistryThatIsCutOffAnywhereHasAllSavesBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry")
	_, _, r := loaded(t, path)
	sizes, states := []int64{r.size}, []int64{0}
	for i := int64(1); i <= 5; i++ {
		if err := r.Save([]Entry{entry(1, "/a", i*100)}, nil); err != nil {
			t.Fatal(err)
		}
		sizes, states = append(sizes, r.size), append(states, i*100)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) + 1 {
		cut := filepath.Join(t.TempDir(), "registry")
		write(t, cut, string(whole[:n]))
		want := int64(0)
		for i, size := range sizes {
			if int64(n) >= size {
				want = states[i]
			}
		}
		entries, _, r := loaded(t, cut)
		got := int64(0)
		if len(entries) > 0 {
			got = entries[0].Offset
		}
		if got != want {
			t.Fatalf("cut at %d: position %d, want %d", n, got, want)
		}
		// And what is saved then is not hidden by what was torn.
		if err := errors.Join(r.Save([]Entry{entry(1, "/a", 777)}, nil), r.Close()); err != nil {
			t.Fatal(err)
		}
		if entries, err := ReadRegistry(cut); err != nil || len(entries) != 1 || entries[0].Offset != 777 {
			t.Fatalf("cut at %d: %+v, %v", n, entries, err)
		}
	}
}

func TestABitThatFlipsMakesNoPositionThatNeverWas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry")
	_, _, r := loaded(t, path)
	valid := map[int64]bool{0: true}
	for i := int64(1); i <= 5; i++ {
		if err := r.Save([]Entry{entry(1, "/a", i*100)}, nil); err != nil {
			t.Fatal(err)
		}
		valid[i*100] = true
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := len(registryMagic); at < len(whole); at++ {
		for bit := range 8 {
			flipped := bytes.Clone(whole)
			flipped[at] ^= 1 << bit
			p, err := parseRegistry(flipped)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range p.entries {
				if !valid[e.Offset] || e.Path != "/a" {
					t.Fatalf("byte %d, bit %d: %+v", at, bit, e)
				}
			}
		}
	}
}

func TestARegistryStaysSmall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry")
	_, _, r := loaded(t, path)
	var all []Entry
	for key := uint64(1); key <= 100; key++ {
		all = append(all, entry(key, "/var/log/some/path", 1))
	}
	for i := range int64(600) {
		for k := range all {
			all[k].Offset = i
		}
		if err := r.Save(all, nil); err != nil {
			t.Fatal(err)
		}
	}
	if r.size > 2*compactFrom {
		t.Errorf("%d bytes for 100 entries", r.size)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := ReadRegistry(path)
	if diff := cmp.Diff(all, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if leftover, _ := filepath.Glob(path + ".new*"); len(leftover) > 0 {
		t.Errorf("left over: %v", leftover)
	}
}

func TestASaveThatFailsDoesNotHideLaterOnes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry")
	_, _, r := loaded(t, path)
	if err := r.Save([]Entry{entry(1, "/a", 10)}, nil); err != nil {
		t.Fatal(err)
	}
	good := r.file
	readOnly, err := os.Open(path) // writing fails, as on a full disk
	if err != nil {
		t.Fatal(err)
	}
	r.file = readOnly
	if err := r.Save([]Entry{entry(1, "/a", 20)}, nil); err == nil {
		t.Fatal("no error")
	}
	if err := errors.Join(good.Close(), r.Save([]Entry{entry(1, "/a", 30), entry(2, "/b", 1)}, nil), r.Close()); err != nil {
		t.Fatal(err)
	}
	got, err := ReadRegistry(path)
	if diff := cmp.Diff([]Entry{entry(1, "/a", 30), entry(2, "/b", 1)}, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestARegistryIsWhatItsSavesMakeOfIt(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		path := filepath.Join(dir, "registry")
		_ = os.Remove(path)
		want := map[uint64]Entry{}
		r := NewRegistryFile(path, nil)
		if _, _, err := r.Load(); err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 5).Draw(t, "saves") {
			var changed []Entry
			for _, key := range rapid.SliceOfNDistinct(rapid.Uint64Range(1, 6), 0, 4, rapid.ID).Draw(t, "changed") {
				e := entry(key, rapid.String().Draw(t, "path"), rapid.Int64Range(0, 1<<60).Draw(t, "offset"))
				e.Done = rapid.Bool().Draw(t, "done")
				changed = append(changed, e)
				want[e.Key] = e
			}
			gone := rapid.SliceOfN(rapid.Uint64Range(1, 6), 0, 2).Draw(t, "gone")
			for _, key := range gone {
				delete(want, key)
			}
			if err := r.Save(changed, gone); err != nil {
				t.Fatal(err)
			}
			if rapid.IntRange(0, 3).Draw(t, "again") == 0 {
				if err := r.Close(); err != nil {
					t.Fatal(err)
				}
				r = NewRegistryFile(path, nil)
				if _, _, err := r.Load(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := ReadRegistry(path)
		m := Memory{entries: want}
		if diff := cmp.Diff(m.Entries(), got); diff != "" && len(want)+len(got) > 0 || err != nil {
			t.Fatalf("%v\n%s", err, diff)
		}
	})
}

func FuzzRegistriesAreReadWithoutHarm(f *testing.F) {
	path := filepath.Join(f.TempDir(), "registry")
	_, _, r := loaded(f, path)
	if err := errors.Join(r.Save([]Entry{entry(1, "/a", 10), entry(2, "/b", 10)}, nil), r.Save([]Entry{entry(1, "/a", 12)}, []uint64{2}), r.Close()); err != nil {
		f.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(append(slices.Clone(text), "= 1 3 0 0 0 0 .\n. 00000000\n"...))
	f.Add([]byte("+ 1 2 3 0 0 " + strings.Repeat("0", 64) + " ai \"/a\"\n= 1 5 5 ffffffff 1 0 dn\n- 7\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := parseRegistry(text)
		if err != nil { // then it is the lines of a group
			whole := append([]byte(registryMagic), text...)
			if p, err = parseRegistry(endGroup(whole, len(registryMagic))); err != nil {
				t.Fatal(err)
			}
			text = append(whole, "............"...)
		}
		if p.good > int64(len(text)) {
			t.Fatalf("%d good bytes of %d", p.good, len(text))
		}
		again := []byte(registryMagic)
		from := len(again)
		for key, e := range p.entries {
			if key == 0 || key != e.Key || e.Offset < 0 || e.Before.Bytes > tailBytes || e.Head.Bytes > maxHead {
				t.Fatalf("entry %d: %+v", key, e)
			}
			again = e.appendPosition(e.appendFile(again))
		}
		q, err := parseRegistry(endGroup(again, from))
		if err != nil || q.damaged > 0 {
			t.Fatalf("what was read cannot be written: %v, %d damaged", err, q.damaged)
		}
		if diff := cmp.Diff(p.entries, q.entries); diff != "" {
			t.Fatal(diff)
		}
	})
}

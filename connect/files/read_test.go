package files

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/narudata/naru/flow"
)

func TestLongLinesAreCutIntoPiecesWithoutLosingAByte(t *testing.T) {
	p := filepath.Join(t.TempDir(), "a.log")
	long := strings.Repeat("ä", 1000) // two bytes each: pieces of 63 bytes would end within one
	write(t, p, "one\n"+long+"\n"+strings.Repeat("x", 126)+"\nlast\n")
	c := quick(p)
	c.MaxLineBytes = 63
	d := start(t, c, Options{}, 7)
	d.wait("the last line", func() bool { got := d.texts(); return len(got) > 0 && got[len(got)-1] == "last" })
	d.stop()
	got := d.texts()
	if joined := strings.Join(got, ""); joined != "one"+long+strings.Repeat("x", 126)+"last" {
		t.Errorf("joined %q", joined)
	}
	for _, l := range got {
		if len(l) > 63 || len(l) == 0 || strings.ToValidUTF8(l, "") != l {
			t.Errorf("piece %q", l)
		}
	}
	if n := d.source.Stats().LongLines; n != 2 {
		t.Errorf("%d long lines are counted, want 2", n)
	}
}

func TestLongLinesAreLeftOutAndCounted(t *testing.T) {
	p := filepath.Join(t.TempDir(), "a.log")
	write(t, p, "one\n"+strings.Repeat("x", 3<<20)+"\ntwo\n"+strings.Repeat("y", 65)+"\n"+strings.Repeat("z", 64)+"\n")
	c := quick(p)
	c.MaxLineBytes, c.LongLines, c.TurnBytes = 64, Skip, 300<<10
	d := start(t, c, Options{})
	d.expect("one", "two", strings.Repeat("z", 64))
	write(t, p, strings.Repeat("w", 1<<20)) // begun, and not ended
	d.still()
	write(t, p, strings.Repeat("w", 1<<20)+"\nend\n")
	d.expect("one", "two", strings.Repeat("z", 64), "end")
	d.stop()
	if st := d.source.Stats(); st.LongLines != 3 || st.Skipped != 3 {
		t.Errorf("%+v, want 3 long lines that are left out", st)
	}
}

func TestALongLineThatGrowsSlowlyIsNotReadAgainAndAgain(t *testing.T) {
	p := filepath.Join(t.TempDir(), "a.log")
	write(t, p, "one\n")
	d := start(t, quick(p), Options{})
	d.expect("one")
	var long strings.Builder
	for i := range 40 {
		piece := strings.Repeat(string(rune('a'+i%26)), 50<<10)
		long.WriteString(piece)
		write(t, p, piece)
		time.Sleep(6 * time.Millisecond)
	}
	d.still()
	write(t, p, "\ntwo\n")
	d.expect("one", long.String(), "two")
	d.stop()
}

func TestDelimitersMayBeOfSeveralBytesAndLieAcrossBlocks(t *testing.T) {
	p := filepath.Join(t.TempDir(), "a.log")
	var want []string
	var text strings.Builder
	for i := range 3000 {
		l := strings.Repeat("-", i%397) + "|"
		want = append(want, l)
		text.WriteString(l + "||\r\n")
	}
	write(t, p, text.String()+"rest||\r")
	c := quick(p)
	c.Delimiter = "||\r\n"
	d := start(t, c, Options{}, 500, 64<<10)
	d.wait("all lines", func() bool { return len(d.texts()) == len(want) })
	d.still()
	write(t, p, "\n")
	want = append(want, "rest")
	d.wait("the last line", func() bool { return len(d.texts()) == len(want) })
	d.stop()
	if got := d.texts(); !slices.Equal(got, want) {
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("line %d is %q, want %q", i, got[i], want[i])
			}
		}
	}
}

func TestBoundsOfBatchesChangeNothing(t *testing.T) {
	p := filepath.Join(t.TempDir(), "a.log")
	text, lines := numbered("a line", 0, 5000)
	write(t, p, text)
	for _, bounds := range [][]int{nil, {1}, {3, 10}, {1000, 100}, {0, 1}, {0, 70000}} {
		d := start(t, quick(p), Options{MaxRecords: 77, MaxBytes: 1000}, bounds...)
		d.wait("all lines", func() bool { return len(d.texts()) >= len(lines) })
		d.stop()
		if got := d.texts(); !slices.Equal(got, lines) {
			t.Errorf("bounds %v: %d lines, which are not those", bounds, len(got))
		}
	}
}

func gzipOf(t *testing.T, texts ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, text := range texts {
		w := gzip.NewWriter(&b)
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func zstdOf(t *testing.T, text string) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll([]byte(text), nil)
}

func TestCompressedFilesAreReadWhole(t *testing.T) {
	dir := t.TempDir()
	long, lines := numbered("packed", 0, 100000)
	write(t, filepath.Join(dir, "a.log.gz"), string(gzipOf(t, long, "second member\r\nno end")))
	write(t, filepath.Join(dir, "b.log.zst"), string(zstdOf(t, "z1\nz2\n")))
	write(t, filepath.Join(dir, "c.log"), "plain\r\n")
	c := quick(filepath.Join(dir, "*"))
	c.Compressed, c.TrimCR = BySuffix, InCompressed
	want := append(slices.Clone(lines), "second member", "no end", "z1", "z2", "plain\r")
	reg := new(Memory)
	d := start(t, c, Options{Registry: reg}, 1000)
	d.expect(want...)
	d.stop()
	done := 0
	for _, e := range reg.Entries() {
		if e.Done {
			done++
		}
	}
	if done != 2 {
		t.Errorf("%d files are done, want 2: %+v", done, reg.Entries())
	}
	c.Compressed = ByContent
	d = start(t, c, Options{Registry: reg})
	d.still()
	if len(d.texts()) > 0 {
		t.Errorf("read again: %d lines", len(d.texts()))
	}
	d.stop()
}

func TestACompressedFileGoesOnWhereItWasAcknowledged(t *testing.T) {
	p := filepath.Join(t.TempDir(), "a.log.gz")
	long, lines := numbered("packed", 0, 3000)
	write(t, p, string(gzipOf(t, long)))
	c := quick(p)
	c.Compressed = BySuffix
	reg := new(Memory)
	d := startHolding(t, c, Options{Registry: reg}, 1000)
	d.wait("all lines", func() bool { return len(d.texts()) == len(lines) })
	d.ackHeld(2)
	d.stop()
	d = start(t, c, Options{Registry: reg})
	d.expect(lines[2000:]...)
	d.stop()
}

func TestACompressedFileThatIsCutOffIsReadOnWhenItIsWhole(t *testing.T) {
	p := filepath.Join(t.TempDir(), "a.log.gz")
	long, lines := numbered("packed with something that does not compress too well", 0, 30000)
	packed := gzipOf(t, long)
	write(t, p, string(packed[:len(packed)/2]))
	c := quick(p)
	c.Compressed = BySuffix
	d := start(t, c, Options{})
	d.wait("the damage to be noticed", func() bool { return d.source.Stats().Damaged == 1 })
	d.still()
	write(t, p, string(packed[len(packed)/2:]))
	d.expect(lines...)
	d.stop()
}

func TestADamagedCompressedFileGivesNothingIfItIsVerified(t *testing.T) {
	dir := t.TempDir()
	long, _ := numbered("packed", 0, 30000)
	packed := gzipOf(t, long)
	packed[len(packed)/2] ^= 1
	write(t, filepath.Join(dir, "a.gz"), string(packed))
	c := quick(filepath.Join(dir, "*"))
	c.Compressed, c.Verify = BySuffix, true
	d := start(t, c, Options{})
	d.wait("the damage to be noticed", func() bool { return d.source.Stats().Damaged == 1 })
	d.still()
	d.stop()
	if n := len(d.texts()); n > 0 {
		t.Errorf("%d lines", n)
	}
}

// told collects the paths that Options.Completed is told.
type told struct {
	mu    sync.Mutex
	paths []string
	fail  bool
}

func (c *told) completed(path string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail {
		return errors.New("not now")
	}
	c.paths = append(c.paths, path)
	return nil
}

func (c *told) list() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.paths)
}

func TestAFileIsCompleteOnceAllOfItIsAcknowledged(t *testing.T) {
	dir := t.TempDir()
	p := filepath.Join(dir, "a.csv")
	text, lines := numbered("row", 0, 100)
	write(t, p, text+"no end")
	var c told
	conf := quick(filepath.Join(dir, "*"))
	conf.Mode = Read
	reg := new(Memory)
	d := startHolding(t, conf, Options{Registry: reg, Completed: c.completed}, 30)
	d.expect(append(lines, "no end")...)
	d.ackHeld(3)
	d.still()
	if got := c.list(); len(got) > 0 {
		t.Fatalf("told of %q before it is acknowledged", got)
	}
	d.mu.Lock()
	left := len(d.held)
	d.mu.Unlock()
	d.ackHeld(left)
	d.wait("the file to be complete", func() bool { return slices.Equal(c.list(), []string{p}) })
	d.stop()
	d = start(t, conf, Options{Registry: reg, Completed: c.completed})
	d.still()
	d.stop()
	if got := c.list(); len(got) != 1 || len(d.texts()) > 0 {
		t.Errorf("told of %q again, lines %q", got[1:], d.texts())
	}
}

func TestWhatIsToBeDoneWithACompleteFileIsDoneAfterACrash(t *testing.T) {
	dir := t.TempDir()
	p := filepath.Join(dir, "a.csv")
	write(t, p, "one\n")
	c := told{fail: true}
	conf := quick(filepath.Join(dir, "*"))
	conf.Mode = Read
	reg := new(Memory)
	d := start(t, conf, Options{Registry: reg, Completed: c.completed})
	d.expect("one")
	d.wait("the file to be done", func() bool { e := reg.Entries(); return len(e) == 1 && e[0].Done && !e[0].Noted })
	d.kill()
	c.fail = false
	d = start(t, conf, Options{Registry: reg, Completed: func(path string) error {
		return errors.Join(c.completed(path), os.Remove(path))
	}})
	d.wait("the file to be complete", func() bool { return slices.Equal(c.list(), []string{p}) })
	d.wait("the registry to be empty", func() bool { return len(reg.Entries()) == 0 })
	if len(d.texts()) > 0 {
		t.Errorf("lines %q came again", d.texts())
	}
	d.stop()
}

func TestASourceThatReadsOnceEnds(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		write(t, filepath.Join(dir, name), name+"1\n"+name+"2")
	}
	write(t, filepath.Join(dir, "empty"), "")
	write(t, filepath.Join(dir, "bad.gz"), "this is no archive")
	c := quick(filepath.Join(dir, "*"))
	c.Mode, c.Once, c.Compressed, c.MaxOpen = Read, true, BySuffix, 2
	var done told
	d := start(t, c, Options{Completed: done.completed})
	d.over()
	d.expect("a1", "a2", "b1", "b2", "c1", "c2")
	if got := done.list(); len(got) != 4 {
		t.Errorf("told of %q, want four files", got)
	}
	c.Paths = []string{filepath.Join(dir, "none*")}
	start(t, c, Options{}).over()
}

func TestFilesThatAreFoundTogetherAreReadInOrder(t *testing.T) {
	dir := t.TempDir()
	for i, name := range []string{"c", "a", "b"} {
		p := filepath.Join(dir, name)
		write(t, p, name+"\n")
		then := time.Now().Add(time.Duration(i-10) * time.Hour)
		if err := os.Chtimes(p, then, then); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		by         string
		descending bool
		want       string
	}{{ByTime, false, "cab"}, {ByTime, true, "bac"}, {ByPath, false, "abc"}, {ByPath, true, "cba"}} {
		conf := quick(filepath.Join(dir, "*"))
		conf.Mode, conf.Once, conf.SortBy, conf.Descending = Read, true, c.by, c.descending
		d := start(t, conf, Options{})
		d.over()
		if got := strings.Join(d.texts(), ""); got != c.want {
			t.Errorf("%s, descending %v: %s, want %s", c.by, c.descending, got, c.want)
		}
	}
}

func TestFilesAreKnownByContentWhereverTheyAre(t *testing.T) {
	dir := t.TempDir()
	p := filepath.Join(dir, "a.log")
	c := quick(filepath.Join(dir, "*.log"))
	c.Identity, c.FingerprintBytes = ByContent, 16
	write(t, p, "0123456789")
	reg := new(Memory)
	d := start(t, c, Options{Registry: reg})
	d.still() // too short to be known
	write(t, p, "abcdef\n")
	d.expect("0123456789abcdef")
	// A copy in its place, and the old one gone: another inode, the same file.
	write(t, filepath.Join(dir, "new"), "0123456789abcdef\nmore\n")
	rename(t, filepath.Join(dir, "new"), p)
	d.expect("0123456789abcdef", "more")
	d.stop()
	rename(t, p, filepath.Join(dir, "z.log"))
	write(t, filepath.Join(dir, "z.log"), "last\n")
	d = start(t, c, Options{Registry: reg})
	d.expect("last")
	d.stop()
}

func TestFilesAreKnownByPathWhateverTheirInode(t *testing.T) {
	dir := t.TempDir()
	p := filepath.Join(dir, "a.log")
	c := quick(p)
	c.Identity = ByPath
	write(t, p, "one\n")
	reg := new(Memory)
	d := start(t, c, Options{Registry: reg})
	d.expect("one")
	d.stop()
	write(t, filepath.Join(dir, "new"), "one\ntwo\n")
	rename(t, filepath.Join(dir, "new"), p)
	d = start(t, c, Options{Registry: reg})
	d.expect("two")
	write(t, filepath.Join(dir, "new"), "other\n")
	rename(t, filepath.Join(dir, "new"), p)
	d.expect("two", "other")
	d.stop()
}

func TestPositionsOfOthersAreNotTaken(t *testing.T) {
	s, err := New(Config{Paths: []string{"/nowhere/*"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	l := newLines(s)
	for _, p := range []flow.Position{nil, {1}, {0, 0, 0, 0, 0, 0, 0, 9}} {
		if err := l.Ack(t.Context(), p); err == nil {
			t.Errorf("position %x is taken", []byte(p))
		}
	}
}

func TestALineThatIsLongerThanATurnIsReadToItsEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	long := strings.Repeat("a", 3<<20)
	write(t, path, "one\n"+long+"\ntwo\n")
	c := quick(path)
	c.TurnBytes = 1 << 20
	d := start(t, c, Options{})
	d.expect("one", long, "two")
	d.stop()
}

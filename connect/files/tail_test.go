package files

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/internal/testbed/proc"
)

func TestLinesHaveTheirOffsetAndPath(t *testing.T) {
	p := filepath.Join(t.TempDir(), "a.log")
	write(t, p, "one\r\n\nthree \xff\n")
	d := start(t, quick(p), Options{Port: 3})
	d.expect("one\r", "", "three \xff")
	d.stop()
	want := []line{{p, "one\r", 0}, {p, "", 5}, {p, "three \xff", 6}}
	if diff := cmp.Diff(want, d.lines, cmp.AllowUnexported(line{})); diff != "" {
		t.Error(diff)
	}
}

func TestALineIsHeldBackUntilItsDelimiterComes(t *testing.T) {
	p := filepath.Join(t.TempDir(), "a.log")
	write(t, p, "one\ntw")
	d := start(t, quick(p), Options{})
	d.expect("one")
	d.still()
	write(t, p, "o")
	d.still()
	write(t, p, "\nthree\n")
	d.expect("one", "two", "three")
	d.stop()
}

func TestALineWithoutDelimiterIsGivenWhenNothingComesForAWhile(t *testing.T) {
	p := filepath.Join(t.TempDir(), "a.log")
	write(t, p, "one\ntwo")
	c := quick(p)
	c.PartialAfter = 30 * time.Millisecond
	d := start(t, c, Options{})
	d.expect("one", "two")
	write(t, p, "\nthree\n") // the delimiter that comes late ends nothing new
	d.expect("one", "two", "three")
	d.still()
	d.stop()
}

func TestAFileThatIsRenamedIsReadToItsEndAndTheNewOneFromItsBeginning(t *testing.T) {
	dir := t.TempDir()
	p := filepath.Join(dir, "a.log")
	write(t, p, "one\n")
	d := start(t, quick(p), Options{})
	d.expect("one")
	f, err := os.OpenFile(p, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	rename(t, p, filepath.Join(dir, "kept"))
	write(t, p, "new\n")
	d.expect("one", "new")
	if _, err := f.WriteString("two\nlast"); err != nil { // its writer has not noticed yet
		t.Fatal(err)
	}
	_ = f.Close()
	d.expect("one", "new", "two", "last")
	d.stop()
}

func TestAChainOfRotationsLosesAndDoublesNothing(t *testing.T) {
	dir := t.TempDir()
	p := filepath.Join(dir, "a.log")
	d := start(t, quick(p+"*"), Options{})
	var want []string
	for round := range 12 {
		text, lines := numbered(strings.Repeat("r", round+1), 0, 50)
		want = append(want, lines...)
		write(t, p, text)
		if round%3 == 0 {
			d.expect(want...)
		}
		for i := 3; i > 0; i-- {
			from := p
			if i > 1 {
				from += "." + string(rune('0'+i-1))
			}
			if i == 3 { // the last one is deleted only when it was read
				d.wait("what is deleted next", func() bool { return len(d.texts()) >= len(want)-150 })
			}
			if err := os.Rename(from, p+"."+string(rune('0'+i))); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		}
	}
	d.expect(want...)
	d.still()
	d.stop()
}

func TestAFileThatIsDeletedWhileItIsReadIsReadToItsEnd(t *testing.T) {
	p := filepath.Join(t.TempDir(), "a.log")
	text, lines := numbered("line", 0, 50000)
	write(t, p, text)
	d := start(t, quick(p), Options{}, 100)
	d.wait("the first lines", func() bool { return len(d.texts()) > 100 })
	if err := os.Remove(p); err != nil {
		t.Fatal(err)
	}
	d.expect(lines...)
	d.wait("the file to be closed and forgotten", func() bool {
		return d.source.Stats().Open == 0 && len(d.reg.Registry.(*Memory).Entries()) == 0
	})
	d.stop()
}

func TestATruncatedFileIsReadFromItsBeginning(t *testing.T) {
	p := filepath.Join(t.TempDir(), "a.log")
	write(t, p, "one\ntwo\n")
	d := start(t, quick(p), Options{})
	d.expect("one", "two")
	if err := os.Truncate(p, 0); err != nil {
		t.Fatal(err)
	}
	write(t, p, "x\n")
	d.expect("one", "two", "x")
	if n := d.source.Stats().Truncated; n != 1 {
		t.Errorf("truncated %d times, want 1", n)
	}
	d.stop()
}

func TestAFileThatIsTruncatedAndGrowsBeyondItsPositionBetweenTwoLooksIsReadFromItsBeginning(t *testing.T) {
	p := filepath.Join(t.TempDir(), "a.log")
	write(t, p, "old 1\nold 2\n")
	c := quick(p)
	d := start(t, c, Options{})
	d.expect("old 1", "old 2")
	// In one step, so that no look sees the file short.
	f, err := os.OpenFile(p, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("new 1\nnew 2\nnew 3\n"), 0); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	d.expect("old 1", "old 2", "new 1", "new 2", "new 3")
	d.stop()
}

func TestAnInodeThatIsUsedAgainIsAnotherFile(t *testing.T) {
	dir := t.TempDir()
	p, q := filepath.Join(dir, "a.log"), filepath.Join(dir, "b.log")
	reg := new(Memory)
	write(t, p, "of a 1\nof a 2\n")
	d := start(t, quick(filepath.Join(dir, "*.log")), Options{Registry: reg})
	d.expect("of a 1", "of a 2")
	d.stop()
	// The same inode with other content under another name, as when it is given to a new file.
	rename(t, p, q)
	if err := os.WriteFile(q, []byte("of b 1\nof b 2\nof b 3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	d = start(t, quick(filepath.Join(dir, "*.log")), Options{Registry: reg})
	d.expect("of b 1", "of b 2", "of b 3")
	d.stop()
	if n := len(reg.Entries()); n != 1 {
		t.Errorf("the registry has %d entries, want 1: %+v", n, reg.Entries())
	}
}

func TestAFileThatWasRenamedWhileNobodyLookedGoesOn(t *testing.T) {
	dir := t.TempDir()
	p := filepath.Join(dir, "a.log")
	reg := new(Memory)
	write(t, p, "one\n")
	c := quick(p + "*")
	c.StartAt = End
	d := start(t, c, Options{Registry: reg})
	d.wait("the first look", func() bool { return len(reg.Entries()) == 1 })
	write(t, p, "two\n")
	d.expect("two")
	d.stop()
	write(t, p, "three\n")
	rename(t, p, p+".1")
	write(t, p, "four\n")
	d = start(t, c, Options{Registry: reg})
	d.expect("three", "four") // four from its beginning: it came meanwhile
	d.stop()
}

func TestAnInodeThatChangesUnderAFileIsTheSameFileIfMuchContentIs(t *testing.T) {
	dir := t.TempDir()
	p := filepath.Join(dir, "a.log")
	text, lines := numbered("a line that is long enough", 0, 200)
	write(t, p, text)
	reg := new(Memory)
	d := start(t, quick(p), Options{Registry: reg})
	d.expect(lines...)
	copyOf := filepath.Join(dir, "copy")
	write(t, copyOf, text+"more\n")
	rename(t, copyOf, p)
	d.expect(append(lines, "more")...)
	d.still()
	d.stop()
	// And when nobody looks.
	write(t, copyOf, text+"more\nyet more\n")
	rename(t, copyOf, p)
	d = start(t, quick(p), Options{Registry: reg})
	d.expect("yet more")
	d.still()
	d.stop()
}

func TestASmallFileThatReplacesAnotherThatBeganLikeItIsReadFromItsBeginning(t *testing.T) {
	dir := t.TempDir()
	p := filepath.Join(dir, "a.log")
	write(t, p, "started\n")
	reg := new(Memory)
	d := start(t, quick(p), Options{Registry: reg})
	d.expect("started")
	d.stop()
	write(t, filepath.Join(dir, "new"), "started\nand more\n")
	rename(t, filepath.Join(dir, "new"), p)
	d = start(t, quick(p), Options{Registry: reg})
	d.expect("started", "and more")
	d.stop()
}

func TestALinkThatLeadsElsewhereIsANewFileAndTheOldOneIsReadToItsEnd(t *testing.T) {
	// As the kubelet does: containers/x.log leads to pods/…/N.log, which is rotated by name, and N grows with each restart.
	dir := t.TempDir()
	pods, link := filepath.Join(dir, "pods"), filepath.Join(dir, "containers", "x.log")
	write(t, filepath.Join(pods, "0.log"), "zero 1\n")
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		t.Fatal(err)
	}
	relink := func(to string) {
		t.Helper()
		if err := os.Symlink(filepath.Join(pods, to), link+".new"); err != nil {
			t.Fatal(err)
		}
		rename(t, link+".new", link)
	}
	relink("0.log")
	d := start(t, quick(filepath.Join(dir, "containers", "*.log")), Options{})
	d.expect("zero 1")
	write(t, filepath.Join(pods, "0.log"), "zero 2\n")
	write(t, filepath.Join(pods, "1.log"), "one 1\n")
	relink("1.log")
	d.expect("zero 1", "zero 2", "one 1")
	rename(t, filepath.Join(pods, "1.log"), filepath.Join(pods, "1.log.20261124"))
	write(t, filepath.Join(pods, "1.log.20261124"), "one 2\n")
	write(t, filepath.Join(pods, "1.log"), "one 3\n")
	d.expect("zero 1", "zero 2", "one 1", "one 2", "one 3")
	d.stop()
	for _, l := range d.lines {
		if l.path != link {
			t.Errorf("line %q has the path %s, want the link's", l.text, l.path)
		}
	}
}

func TestTwoNamesOfAFileAreReadOnce(t *testing.T) {
	dir := t.TempDir()
	p := filepath.Join(dir, "a.log")
	write(t, p, "one\n")
	if err := os.Link(p, filepath.Join(dir, "b.log")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(p, filepath.Join(dir, "c.log")); err != nil {
		t.Fatal(err)
	}
	d := start(t, quick(filepath.Join(dir, "*.log")), Options{})
	d.expect("one")
	write(t, p, "two\n")
	d.expect("one", "two")
	d.still()
	d.stop()
}

func TestFilesBeginAtTheirEndOnlyAtTheFirstLook(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.log"), "before\n")
	c := quick(filepath.Join(dir, "*.log"))
	c.StartAt = End
	reg := new(Memory)
	d := start(t, c, Options{Registry: reg})
	d.wait("the first look", func() bool { return len(reg.Entries()) == 1 })
	write(t, filepath.Join(dir, "a.log"), "after\n")
	write(t, filepath.Join(dir, "b.log"), "new\n")
	d.expect("after", "new")
	d.stop()
}

func TestOldFilesAreLeftOutUntilTheyGrow(t *testing.T) {
	dir := t.TempDir()
	p := filepath.Join(dir, "a.log")
	write(t, p, "old\n")
	then := time.Now().Add(-time.Hour)
	if err := os.Chtimes(p, then, then); err != nil {
		t.Fatal(err)
	}
	c := quick(p)
	c.IgnoreOlder = time.Minute
	d := start(t, c, Options{})
	d.still()
	write(t, p, "new\n")
	d.expect("new")
	d.stop()
}

func TestFilesThatDoNotGrowAreClosedAndOpenedAgain(t *testing.T) {
	p := filepath.Join(t.TempDir(), "a.log")
	write(t, p, "one\n")
	c := quick(p)
	c.CloseInactive = 20 * time.Millisecond
	d := start(t, c, Options{})
	d.expect("one")
	d.wait("the file to be closed", func() bool { return d.source.Stats().Open == 0 })
	write(t, p, "two\n")
	d.expect("one", "two")
	d.stop()
}

func TestMoreFilesThanMayBeOpenAreReadInTurns(t *testing.T) {
	dir := t.TempDir()
	var want []string
	for i := range 60 {
		text, lines := numbered("file "+string(rune('A'+i)), 0, 20)
		write(t, filepath.Join(dir, string(rune('A'+i))+".log"), text)
		want = append(want, lines...)
	}
	c := quick(filepath.Join(dir, "*.log"))
	c.MaxOpen = 3
	d := start(t, c, Options{}, 10)
	d.expect(want...)
	if n := d.source.Stats().Open; n > 3 {
		t.Errorf("%d files are open, want 3 at most", n)
	}
	for i := range 60 {
		write(t, filepath.Join(dir, string(rune('A'+i))+".log"), "more\n")
		want = append(want, "more")
	}
	d.expect(want...)
	d.still()
	d.stop()
}

func TestABigFileDoesNotKeepOthersWaiting(t *testing.T) {
	dir := t.TempDir()
	text, _ := numbered("big", 0, 200000)
	write(t, filepath.Join(dir, "a.log"), text)
	write(t, filepath.Join(dir, "b.log"), "small\n")
	c := quick(filepath.Join(dir, "*.log"))
	c.TurnBytes, c.SortBy = 64<<10, ByPath
	d := start(t, c, Options{}, 100)
	d.wait("the small file", func() bool {
		for i, l := range d.texts() {
			if l == "small" {
				return i < 100000
			}
		}
		return false
	})
	d.stop()
}

func TestAFileOfOtherNatureIsNotRead(t *testing.T) {
	dir := t.TempDir()
	if err := proc.Fifo(filepath.Join(dir, "a.log")); errors.Is(err, errors.ErrUnsupported) {
		t.Skip("this system has no named pipes")
	} else if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "b.log"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "c.log"), "one\n")
	d := start(t, quick(filepath.Join(dir, "*.log"), filepath.Join(dir, "a.log")), Options{})
	d.expect("one")
	d.stop()
}

func TestATruncatedFileGetsAnotherKeySoThatItsLinesAreNotTakenForThoseBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	write(t, path, "head\none\n")
	registry := new(Memory)
	c := quick(path)
	s, err := New(c, Options{Keys: true, Registry: registry})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	type seen struct {
		key    string
		offset int64
	}
	all := map[seen]string{}
	next := make(chan struct{}, 10)
	ran := make(chan error, 1)
	go func() {
		ran <- s.Run(ctx, func(l stream.Stream) {
			go func() {
				defer l.Close()
				for l.Wait(ctx) == nil {
					var b flow.Batch
					if l.Read(ctx, &b) != nil {
						return
					}
					for _, r := range b.Records {
						if len(r.Key) != 8 {
							t.Errorf("key %x of a record: want 8 bytes", r.Key)
						}
						all[seen{string(r.Key), r.Version}] += string(r.Body)
						next <- struct{}{}
					}
					if err := l.Ack(ctx, b.Next); err != nil {
						t.Error(err)
					}
				}
			}()
		})
	}()
	<-next
	<-next
	if err := os.WriteFile(path, []byte("head\n"), 0o600); err != nil { // as copytruncate does
		t.Fatal(err)
	}
	<-next
	cancel()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	if len(all) != 3 {
		t.Errorf("lines by key and offset: %v, want 3", all)
	}
	if e := registry.Entries(); len(e) != 1 || e[0].Key == 1 || e[0].Offset != 5 {
		t.Errorf("registry: %+v, want the file under its new key only", e)
	}
}

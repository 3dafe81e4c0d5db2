package archive

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/flow"
)

func TestADirectoryThatIsNoArchiveIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, "letters.txt")
	must(t, os.WriteFile(foreign, []byte("dear"), 0o600))
	_, err := OpenSink(Config{Dir: dir, Format: NDJSON})
	if !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), "letters.txt") {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff([]string{"letters.txt"}, tree(t, dir)); diff != "" {
		t.Error(diff)
	}
	if _, err := OpenSink(Config{Dir: foreign, Format: NDJSON}); err == nil {
		t.Error("a file is an archive")
	}
	if _, err := OpenSource(t.Context(), dir); err == nil || errors.Is(err, ErrIncomplete) {
		t.Errorf("as a source: %v", err)
	}
}

func TestOnlyTheFlowThatBeganAnArchiveGoesOnWithIt(t *testing.T) {
	dir := t.TempDir()
	must(t, openTest(t, Config{Dir: dir, Format: NDJSON, Flow: "from repo-a"}).Close(t.Context()))
	_, err := OpenSink(Config{Dir: dir, Format: NDJSON, Flow: "from repo-b"})
	if !errors.Is(err, ErrOtherFlow) || !strings.Contains(err.Error(), "repo-a") || !strings.Contains(err.Error(), "repo-b") {
		t.Errorf("got %v", err)
	}
	if _, err := OpenSink(Config{Dir: dir, Format: Parquet, Flow: "from repo-a"}); !errors.Is(err, ErrOtherFlow) {
		t.Errorf("in another format: %v", err)
	}
	must(t, openTest(t, Config{Dir: dir, Format: NDJSON, Flow: "from repo-a"}).Close(t.Context()))
}

func TestAnArchiveIsWrittenByOneAtATime(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), Format: NDJSON}
	s := openTest(t, cfg)
	if _, err := OpenSink(cfg); !errors.Is(err, ErrLocked) {
		t.Errorf("got %v", err)
	}
	must(t, s.Close(t.Context()))
	must(t, s.Close(t.Context()))
	must(t, openTest(t, cfg).Close(t.Context()))
	if err := s.Write(t.Context(), records(awkward[:1])); err == nil {
		t.Error("a closed archive takes records")
	}
}

func TestForeignFilesWithinAnArchiveSurvive(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, Config{Dir: dir, Format: NDJSON})
	must(t, write(s, "p", rec{"i", "", "1", "-", "{}"}))
	mark := s.mark
	must(t, s.Close(t.Context()))
	keep := []string{"i/mine.txt", "i/00000007-deadbeef.ndjson.zst", "i/7-" + mark + ".ndjson.zst", "notes/x.parquet", ".naru/tmp/mine"}
	gone := []string{"i/00000007-" + mark + ".ndjson.zst", "other/00000008-" + mark + ".parquet", "_dead/00000009-" + mark + ".ndjson.zst", ".naru/tmp/00000010-" + mark + ".parquet", ".naru/tmp/manifest.json"}
	for _, name := range append(keep[:len(keep):len(keep)], gone...) {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600))
	}
	must(t, openTest(t, Config{Dir: dir, Format: NDJSON}).Close(t.Context()))
	left := strings.Join(tree(t, dir), "\n") + "\n"
	for _, name := range keep {
		if !strings.Contains(left, name+"\n") {
			t.Errorf("%s is gone", name)
		}
	}
	for _, name := range gone {
		if strings.Contains(left, name+"\n") {
			t.Errorf("%s is there", name)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "other")); err == nil {
		t.Error("an empty directory is left over")
	}
}

func TestADamagedJournalIsAnErrorUnlessItsEndIsTorn(t *testing.T) {
	build := func(t *testing.T, finish bool) (Config, []byte) {
		cfg := Config{Dir: t.TempDir(), Format: NDJSON}
		s := openTest(t, cfg)
		for i := range 3 {
			must(t, write(s, fmt.Sprint("p", i), rec{"i", "", fmt.Sprint(i), "-", "{}"}))
		}
		if finish {
			must(t, s.Finish(t.Context()))
		}
		must(t, s.Close(t.Context()))
		b, err := os.ReadFile(filepath.Join(cfg.Dir, journalName))
		must(t, err)
		return cfg, b
	}
	put := func(t *testing.T, cfg Config, b []byte) {
		must(t, os.WriteFile(filepath.Join(cfg.Dir, journalName), b, 0o600))
	}
	t.Run("every byte flipped", func(t *testing.T) {
		cfg, b := build(t, false)
		last := bytes.LastIndexByte(b[:len(b)-1], '\n') + 1
		for i := range last - 1 {
			bad := bytes.Clone(b)
			bad[i] ^= 1 << (i % 8)
			if bad[i] == b[i] {
				continue
			}
			put(t, cfg, bad)
			if s, err := OpenSink(cfg); err == nil {
				s.Close(t.Context())
				t.Fatalf("byte %d (%q): no error", i, b[i])
			}
			if files := tree(t, cfg.Dir); len(files) != 4 {
				t.Fatalf("byte %d: files are gone: %v", i, files)
			}
		}
		put(t, cfg, append(bytes.Clone(b), b[last:]...)) // a line twice
		if _, err := readJournal(filepath.Join(cfg.Dir, journalName)); err != nil {
			t.Errorf("a repeated last line: %v; want it cut off", err)
		}
	})
	t.Run("every length", func(t *testing.T) {
		_, b := build(t, false)
		path := filepath.Join(t.TempDir(), "journal")
		for n := range len(b) + 1 {
			must(t, os.WriteFile(path, b[:n], 0o600))
			h, err := readJournal(path)
			must(t, err)
			if want := int64(bytes.LastIndexByte(b[:n], '\n') + 1); h.size != want || h.torn != (h.size < int64(n)) {
				t.Fatalf("of %d bytes %d are sound, want %d; torn %v", n, h.size, want, h.torn)
			}
		}
	})
	t.Run("of a complete archive", func(t *testing.T) {
		cfg, b := build(t, true)
		for _, bad := range [][]byte{b[:len(b)-5], nil} {
			put(t, cfg, bad)
			if _, err := OpenSink(cfg); !errors.Is(err, ErrDamaged) {
				t.Errorf("%d bytes of %d: %v", len(bad), len(b), err)
			}
		}
	})
	t.Run("a committed file is missing or short", func(t *testing.T) {
		cfg, _ := build(t, false)
		for _, name := range tree(t, cfg.Dir) {
			if strings.HasPrefix(name, "i/") {
				must(t, os.Truncate(filepath.Join(cfg.Dir, name), 3))
				if _, err := OpenSink(cfg); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), name) {
					t.Errorf("short: %v", err)
				}
				must(t, os.Remove(filepath.Join(cfg.Dir, name)))
				if _, err := OpenSink(cfg); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), name) {
					t.Errorf("missing: %v", err)
				}
				break
			}
		}
	})
}

func TestAChangedFileIsRefusedBeforeItsFirstRecord(t *testing.T) {
	for _, format := range []string{NDJSON, Parquet} {
		dir := t.TempDir()
		s := openTest(t, Config{Dir: dir, Format: format})
		must(t, write(s, "p", awkward...))
		must(t, s.Finish(t.Context()))
		src, err := OpenSource(t.Context(), dir)
		must(t, err)
		defer src.Close()
		for p := range src.Parts(t.Context()) {
			name := filepath.Join(dir, p.ID)
			b, err := os.ReadFile(name)
			must(t, err)
			for _, bad := range [][]byte{append(bytes.Clone(b), 0), b[:len(b)-1], flip(b, len(b)/2)} {
				must(t, os.WriteFile(name, bad, 0o600))
				if _, err := src.Open(t.Context(), p, nil); !errors.Is(err, ErrDamaged) || !flow.IsPermanent(err) || !strings.Contains(err.Error(), p.ID) {
					t.Errorf("%s: %v", p.ID, err)
				}
			}
			must(t, os.Remove(name))
			if _, err := src.Open(t.Context(), p, nil); !errors.Is(err, ErrDamaged) || !flow.IsPermanent(err) || !strings.Contains(err.Error(), p.ID) {
				t.Errorf("%s is gone: %v", p.ID, err)
			}
		}
	}
}

func flip(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 0x10
	return b
}

func TestAManifestReachesNoFileOutside(t *testing.T) {
	for _, path := range []string{"../x.ndjson.zst", "/etc/x.parquet", "i/../../x.parquet", "i/x", ""} {
		if _, err := parseManifest(fmt.Appendf(nil, `{"version":1,"indices":[{"name":"i","files":[{"path":%q}]}]}`, path)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestMoreAfterTheEndTakesTheManifestAway(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), Format: NDJSON}
	s := openTest(t, cfg)
	must(t, write(s, "p", rec{"i", "", "1", "-", "{}"}))
	must(t, s.Finish(t.Context()))
	must(t, write(s, "q", rec{"i", "", "2", "-", "{}"}))
	if _, err := OpenSource(t.Context(), cfg.Dir); !errors.Is(err, ErrIncomplete) {
		t.Errorf("got %v", err)
	}
	must(t, s.Finish(t.Context()))
	src, err := OpenSource(t.Context(), cfg.Dir)
	must(t, err)
	defer src.Close()
	if got := readAll(t, src, 10); len(got) != 2 {
		t.Errorf("%d records", len(got))
	}
}

func TestSmallIndicesMakeOneFileForEachCommit(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), Format: NDJSON}
	s := openTest(t, cfg)
	for range 5 {
		for i := range 300 { // more than may have a file handle
			must(t, s.Write(t.Context(), records([]rec{{fmt.Sprint("i", i), "", "1", "-", "{}"}})))
		}
	}
	if !s.Due() {
		t.Error("300 open files and no commit is due")
	}
	must(t, s.Commit(t.Context(), nil))
	if n := len(s.history.files); n != 300 || s.Due() {
		t.Errorf("%d files, due %v", n, s.Due())
	}
}

func TestFilesAndMemoryAreBounded(t *testing.T) {
	for _, format := range []string{NDJSON, Parquet} {
		cfg := Config{Dir: t.TempDir(), Format: format, FileBytes: 200 << 10, BufferBytes: 300 << 10}
		s := openTest(t, cfg)
		w, err := s.Branch(t.Context())
		must(t, err)
		b := w.(*Branch)
		recs := records(logs(10_000))
		due := false
		for i := 0; i < len(recs); i += 100 {
			must(t, b.Write(t.Context(), recs[i:i+100]))
			if b.held > cfg.BufferBytes {
				t.Fatalf("%s: %d bytes are held", format, b.held)
			}
			due = due || b.Due()
		}
		if !due {
			t.Errorf("%s: no commit was due", format)
		}
		must(t, b.Commit(t.Context(), nil))
		must(t, s.Finish(t.Context()))
		for _, f := range s.history.files {
			if f.Bytes > 3*cfg.FileBytes {
				t.Errorf("%s: a file of %d bytes", format, f.Bytes)
			}
		}
		if len(s.history.files) < 3 {
			t.Errorf("%s: %d files", format, len(s.history.files))
		}
		src, err := OpenSource(t.Context(), cfg.Dir)
		must(t, err)
		if n := len(readAll(t, src, 1000)); n != len(recs) {
			t.Errorf("%s: %d records", format, n)
		}
		must(t, src.Close())
		must(t, b.Close(t.Context()))
	}
}

// killDir, in the environment, makes the test binary run the flow of the crash tests in a directory, slowly.
const killDir = "NARU_TEST_ARCHIVE_DIR"

func TestMain(m *testing.M) {
	dir := os.Getenv(killDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	d := &disk{root: dir, fault: func(o op, name string) (int, error) {
		fmt.Println(o, name)
		time.Sleep(200 * time.Microsecond) // so that kills fall between steps, too
		return 0, nil
	}}
	if err := runCrash(Config{Dir: dir, Format: NDJSON, FileBytes: 600, Flow: "crash"}, d); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func TestAKilledProcessLosesAndDoublesNothing(t *testing.T) {
	self, err := os.Executable()
	must(t, err)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 4 {
		cfg := Config{Dir: t.TempDir(), Format: NDJSON, FileBytes: 600, Flow: "crash"}
		for kills := 0; ; kills++ {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			cmd := exec.CommandContext(ctx, self)
			cmd.Env = append(os.Environ(), killDir+"="+cfg.Dir)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.StdoutPipe()
			must(t, err)
			must(t, cmd.Start())
			steps := bufio.NewScanner(out)
			more := true
			for n := random.IntN(60); n >= 0 && more && kills < 8; n-- {
				more = steps.Scan()
			}
			if more && kills < 8 {
				must(t, cmd.Process.Kill())
			}
			io.Copy(io.Discard, out) // until it is gone
			err = cmd.Wait()
			cancel()
			if err == nil {
				break
			}
			if stderr.Len() > 0 {
				t.Fatalf("it does not go on: %s", &stderr)
			}
		}
		checkCrash(t, cfg)
	}
}

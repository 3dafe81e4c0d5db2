package blob_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/internal/testbed"
)

// otherFileSystem makes a directory on another device than path is on.
func otherFileSystem(t *testing.T, path string) string {
	t.Helper()
	device := func(path string) uint64 {
		info, err := os.Stat(path)
		if err != nil {
			testbed.Need(t, false, "no other file system: "+err.Error())
		}
		return info.Sys().(*syscall.Stat_t).Dev
	}
	if device(path) == device("/dev/shm") {
		testbed.Need(t, false, "/dev/shm and the temporary directory are one file system")
	}
	dir, err := os.MkdirTemp("/dev/shm", "naru-blob-")
	if err != nil {
		testbed.Need(t, false, "no other file system: "+err.Error())
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestAnotherFileSystemIsStreamedTo(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	from := openDir(t, map[string][]byte{"i/__a": data, "i/empty": nil})
	to := createDir(t, otherFileSystem(t, from.String()))
	for name, size := range map[string]int64{"i/__a": int64(len(data)), "i/empty": 0} {
		if how, err := to.Take(t.Context(), from, name, size); err != nil || how != blob.Streamed {
			t.Errorf("%s: %v, %v", name, how, err)
		}
		if how, err := to.Take(t.Context(), from, name, size); err != nil || how != blob.Kept {
			t.Errorf("%s again: %v, %v", name, how, err)
		}
	}
	if got := tree(t, to.String()); got["i/__a"] != string(data) || len(got) != 3 {
		t.Errorf("%d files, %d bytes", len(got), len(got["i/__a"]))
	}
	if err := to.Sync(t.Context()); err != nil {
		t.Error(err)
	}
}

// The process that TestAKilledWriterLeavesNoHalfBlob kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("NARU_TEST_WRITE_INTO"); dir != "" {
		if err := writeForEver(dir); err != nil {
			fmt.Println(err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

const killedBytes = 3 << 20

// killedBlob is what the process writes: every byte says which blob it is of.
func killedBlob(i int) []byte { return bytes.Repeat([]byte{byte(i)}, killedBytes) }

// slow reads in small pieces, so that a process is killed within a blob.
type slow struct{ r io.Reader }

func (s slow) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), 1000)]) }

func writeForEver(dir string) error {
	from, err := blob.OpenDir(filepath.Join(dir, "from"))
	if err != nil {
		return err
	}
	to, err := blob.CreateDir(filepath.Join(dir, "to"))
	if err != nil {
		return err
	}
	source := opaque{from, func(r io.Reader) io.Reader { return slow{r} }}
	for i := 0; ; i++ {
		fmt.Println(i)
		name := fmt.Sprintf("i/%d", i%4)
		if _, err := to.Take(context.Background(), source, name, killedBytes); err != nil {
			return err
		}
		if err := to.Replace(context.Background(), "latest", killedBlob(i%4)); err != nil {
			return err
		}
		if err := to.Remove(context.Background(), name); err != nil {
			return err
		}
		if err := to.Put(context.Background(), name, killedBlob(i%4)); err != nil {
			return err
		}
		if err := to.Remove(context.Background(), name); err != nil {
			return err
		}
	}
}

func TestAKilledWriterLeavesNoHalfBlob(t *testing.T) {
	dir := t.TempDir()
	from := createDir(t, filepath.Join(dir, "from"))
	for i := range 4 {
		if err := from.Put(t.Context(), fmt.Sprintf("i/%d", i), killedBlob(i)); err != nil {
			t.Fatal(err)
		}
	}
	pending := 0
	for round := range 12 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), "NARU_TEST_WRITE_INTO="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; n <= round%5 && lines.Scan(); n++ {
		}
		// It is in a blob now: it cannot have read it through in the time that this takes.
		for range round * round * 100 {
			syscall.Getppid()
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			if strings.ContainsAny(lines.Text(), ":") {
				t.Error(lines.Text())
			}
		}
		_ = cmd.Wait() // it was killed

		for name, data := range tree(t, filepath.Join(dir, "to")) {
			switch {
			case strings.HasSuffix(name, "/"):
			case blob.Pending(name):
				pending++
			case len(data) != killedBytes || strings.Count(data, data[:1]) != killedBytes:
				t.Errorf("round %d: %s has %d bytes", round, name, len(data))
			}
		}
	}
	if pending == 0 {
		t.Error("the process was never killed within a blob: nothing was tested")
	}
	to := createDir(t, filepath.Join(dir, "to"))
	for i := range 4 {
		if how, err := to.Take(t.Context(), from, fmt.Sprintf("i/%d", i), killedBytes); err != nil {
			t.Errorf("the next run: %v, %v", how, err)
		}
	}
}

func TestAFullDiskLeavesNothing(t *testing.T) {
	// A limit on the size of files fails like a full disk does: in the middle of a write.
	if os.Getenv("NARU_TEST_LIMITED") == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAFullDiskLeavesNothing$", "-test.v")
		cmd.Env = append(os.Environ(), "NARU_TEST_LIMITED=1")
		if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS")) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	from := openDir(t, map[string][]byte{"i/a": make([]byte, 1<<20)})
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = 100_000
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	to := createDir(t, t.TempDir())
	if how, err := to.Take(t.Context(), opaque{Store: from}, "i/a", 1<<20); !errors.Is(err, syscall.EFBIG) {
		t.Errorf("taken: %v, %v", how, err)
	}
	if err := to.Put(t.Context(), "i/a", make([]byte, 1<<20)); !errors.Is(err, syscall.EFBIG) {
		t.Errorf("put: %v", err)
	}
	if err := to.Put(t.Context(), "i/b", []byte("old")); err != nil {
		t.Error(err)
	}
	if err := to.Replace(t.Context(), "i/b", make([]byte, 1<<20)); !errors.Is(err, syscall.EFBIG) {
		t.Errorf("replaced: %v", err)
	}
	if _, err := to.Stat(t.Context(), "i/a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a half blob: %v", err)
	}
	if got := tree(t, to.String()); len(got) != 2 || got["i/b"] != "old" {
		t.Errorf("there are %d files", len(got))
	}
}

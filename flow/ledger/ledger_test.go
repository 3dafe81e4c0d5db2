package ledger_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/flowtest"
	"github.com/narudata/naru/flow/ledger"
)

func TestMemoryIsALedger(t *testing.T) {
	flowtest.Ledger(t, false, func(*testing.T, string) flow.Ledger { return new(ledger.Memory) })
}

func TestFileIsALedger(t *testing.T) {
	flowtest.Ledger(t, true, func(t *testing.T, dir string) flow.Ledger { return open(t, filepath.Join(dir, "ledger")) })
}

func open(t *testing.T, path string) *ledger.File {
	t.Helper()
	l, err := ledger.Open(path, "from a to b")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// written makes a ledger with a few lines, and returns its path and bytes.
func written(t *testing.T, saves int) (string, []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger")
	l := open(t, path)
	for i := range saves {
		p := flow.Part{ID: fmt.Sprintf("part-%d", i), Group: "g"}
		if _, err := l.Claim(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		cp := flow.Checkpoint{Part: p.ID, Group: "g", Position: flow.Position{byte(i)}, Tally: flow.Tally{Read: int64(i)}}
		if err := l.Save(t.Context(), cp); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, data
}

func TestATornLastLineIsDroppedWhereverItTore(t *testing.T) {
	path, data := written(t, 3)
	for cut := range len(data) + 1 {
		if err := os.WriteFile(path, data[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := ledger.Open(path, "from a to b")
		if err != nil {
			t.Fatalf("cut after %d bytes: %v", cut, err)
		}
		want := max(0, bytes.Count(data[:cut], []byte("\n"))-1)
		if got := len(l.Checkpoints()); got != want {
			t.Errorf("cut after %d bytes: %d checkpoints, want %d", cut, got, want)
		}
		// What is saved now must not end up in the torn line.
		p := flow.Part{ID: "later"}
		if _, err := l.Claim(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if err := l.Save(t.Context(), flow.Checkpoint{Part: "later", Position: flow.Position("x")}); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		cs, err := ledger.Read(path)
		if err != nil || len(cs) != want+1 {
			t.Errorf("cut after %d bytes: %d checkpoints after another save, %v", cut, len(cs), err)
		}
	}
}

func TestADamagedLineBeforeTheLastIsAnError(t *testing.T) {
	path, data := written(t, 3)
	ends := bytes.LastIndexByte(data[:len(data)-1], '\n') // of the last line but one
	for at := range ends {
		broken := bytes.Clone(data)
		broken[at] ^= 1
		if err := os.WriteFile(path, broken, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := ledger.Open(path, "from a to b")
		if err == nil {
			t.Errorf("byte %d of %q: no error", at, broken[at])
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			continue
		}
		if !errors.Is(err, ledger.ErrCorrupt) || !strings.Contains(err.Error(), path) {
			t.Errorf("byte %d: %v", at, err)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, broken) {
			t.Fatalf("byte %d: the damaged file was changed (%v)", at, err)
		}
	}
}

func TestAFileThatIsNoLedgerIsLeftAlone(t *testing.T) {
	for _, text := range []string{"hello", "precious data\nand more\n", "{}\n", "00000000 x", "12345678"[:7] + "z", "\x00"} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ledger.Open(path, ""); !errors.Is(err, ledger.ErrCorrupt) {
			t.Errorf("%q: %v", text, err)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != text {
			t.Errorf("%q became %q (%v)", text, after, err)
		}
	}
}

func TestASecondUserIsToldThatTheLedgerIsInUse(t *testing.T) {
	path, _ := written(t, 1)
	first := open(t, path)
	if _, err := ledger.Open(path, ""); !errors.Is(err, ledger.ErrInUse) {
		t.Errorf("second open: %v", err)
	}
	if cs, err := ledger.Read(path); err != nil || len(cs) != 1 {
		t.Errorf("reading beside a writer: %v, %v", cs, err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, path)
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestALedgerServesOneSubject(t *testing.T) {
	path, _ := written(t, 1)
	if _, err := ledger.Open(path, "from a to c"); err == nil || !strings.Contains(err.Error(), "from a to b") {
		t.Errorf("open for another subject: %v", err)
	}
	l, err := ledger.Open(path, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestALedgerThatHasGrownIsCompacted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	l := open(t, path)
	parts := make([]flow.Checkpoint, 20)
	for i := range parts {
		parts[i] = flow.Checkpoint{Part: fmt.Sprintf("part-%d", i), Group: "g"}
		if _, err := l.Claim(t.Context(), flow.Part{ID: parts[i].Part, Group: "g"}); err != nil {
			t.Fatal(err)
		}
	}
	shrunk, before := 0, int64(0)
	for n := range 800 {
		for i := range parts {
			parts[i].Position = fmt.Appendf(nil, "%d", n)
			parts[i].Tally.Read = int64(n)
		}
		if err := l.Save(t.Context(), parts...); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() < before {
			shrunk++
			if _, err := ledger.Open(path, ""); !errors.Is(err, ledger.ErrInUse) {
				t.Errorf("the compacted file is not locked: %v", err)
			}
		}
		before = info.Size()
		if before > 2<<20 {
			t.Fatalf("%d bytes after %d saves", before, n)
		}
	}
	if shrunk == 0 {
		t.Fatal("never compacted")
	}
	want := l.Checkpoints()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, path)
	if diff := cmp.Diff(want, l.Checkpoints()); diff != "" || len(want) != 20 || want[0].Tally.Read != 799 {
		t.Errorf("%d checkpoints; %s", len(want), diff)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestANameThatTheFileCannotKeepIsRefused(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "ledger"))
	defer l.Close()
	if _, err := l.Claim(t.Context(), flow.Part{ID: "caf\xe9/0", Group: "caf\xe9"}); !flow.IsPermanent(err) {
		t.Errorf("claim: %v", err)
	}
}

func TestAnUnchangedCheckpointCostsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	l := open(t, path)
	defer l.Close()
	if _, err := l.Claim(t.Context(), flow.Part{ID: "p"}); err != nil {
		t.Fatal(err)
	}
	var sizes []int64
	for range 3 {
		if err := l.Save(t.Context(), flow.Checkpoint{Part: "p", Position: flow.Position("here")}); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, info.Size())
	}
	if sizes[0] != sizes[2] {
		t.Errorf("sizes %v", sizes)
	}
}

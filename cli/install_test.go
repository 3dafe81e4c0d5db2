package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAProgramIsInstalledWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	self := filepath.Join(dir, "self")
	for _, text := range []string{"first", "the second one"} {
		if err := os.WriteFile(self, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		folder := filepath.Join(dir, "plugins")
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		done, err := install(self, folder)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(folder, "naru"))
		if err != nil || string(got) != text || done.Bytes != int64(len(text)) {
			t.Errorf("installed %q of %d bytes (%v), want %q", got, done.Bytes, err, text)
		}
		info, err := os.Stat(done.Path)
		if err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("it cannot be run: %v (%v)", info, err)
		}
		if left, _ := filepath.Glob(filepath.Join(folder, ".naru-*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	// A folder where its name is taken by another folder: nothing is changed, and nothing is left.
	taken := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(taken, "naru", "inside"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := install(self, taken); err == nil {
		t.Error("a folder is taken for a program")
	}
	if left, _ := filepath.Glob(filepath.Join(taken, ".naru-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := install(self, filepath.Join(dir, "nowhere")); err == nil || !strings.Contains(err.Error(), "there is no such folder: make it") {
		t.Errorf("got error %v, want one that says what to do", err)
	}
}

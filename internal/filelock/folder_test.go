package filelock

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAFolderIsOneProcesssUntilItIsReleased(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	// One that died has left its name, longer than the next one's.
	if err := os.WriteFile(filepath.Join(dir, folderLock), []byte("99999999999 a.host.that.has.a.long.name\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	release, err := Folder(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Folder(dir)
	held, ok := errors.AsType[*HeldFolder](err)
	if !ok {
		if err == nil {
			t.Skip("this system has no such locks")
		}
		t.Fatal(err)
	}
	host, _ := os.Hostname()
	if want := fmt.Sprintf("process %d on %s", os.Getpid(), host); held.By != want || !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), dir) {
		t.Errorf("%v, want one that is by %q", err, want)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if release, err = Folder(dir); err != nil {
		t.Fatal(err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
}

package filelock

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestALockIsTheOpenFilesUntilItIsClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		t.Helper()
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	first, second, third := open(), open(), open()
	if err := Exclusive(first); errors.Is(err, errors.ErrUnsupported) {
		t.Skip("this system has no such locks")
	} else if err != nil {
		t.Fatal(err)
	}
	if err := Exclusive(second); !errors.Is(err, ErrHeld) {
		t.Errorf("locked twice: %v", err)
	}
	if err := Shared(second); !errors.Is(err, ErrHeld) {
		t.Errorf("shared with one that has it alone: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(Shared(second), Shared(third)); err != nil {
		t.Errorf("shared: %v", err)
	}
	if err := Exclusive(third); !errors.Is(err, ErrHeld) {
		t.Errorf("alone beside one that shares: %v", err)
	}
}

package ledger

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/narudata/naru/flow"
)

// fullDisk is a file on a disk with so much room.
type fullDisk struct {
	*os.File
	room      int
	syncFails error
}

func (d *fullDisk) Write(p []byte) (int, error) {
	if len(p) <= d.room {
		d.room -= len(p)
		return d.File.Write(p)
	}
	n, err := d.File.Write(p[:d.room])
	d.room = 0
	return n, errors.Join(err, syscall.ENOSPC)
}

func (d *fullDisk) Sync() error { return errors.Join(d.syncFails, d.File.Sync()) }

func onFullDisk(t *testing.T, room int) (*File, *fullDisk) {
	t.Helper()
	l, err := Open(filepath.Join(t.TempDir(), "ledger"), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	d := &fullDisk{File: l.file.(*os.File), room: room}
	l.file = d
	if _, err := l.Claim(t.Context(), flow.Part{ID: "p"}); err != nil {
		t.Fatal(err)
	}
	return l, d
}

func TestAFullDiskLeavesNoHalfLine(t *testing.T) {
	for room := range 60 {
		l, d := onFullDisk(t, room)
		cp := flow.Checkpoint{Part: "p", Position: flow.Position("far")}
		if err := l.Save(t.Context(), cp); !errors.Is(err, syscall.ENOSPC) || flow.IsPermanent(err) {
			t.Fatalf("save with room for %d bytes: %v", room, err)
		}
		if got := l.Checkpoints(); len(got) != 0 {
			t.Fatalf("what was not saved is known: %+v", got)
		}
		d.room = 1 << 20 // somebody has tidied up
		if err := l.Save(t.Context(), cp); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(l.path)
		if err != nil || bytes.Count(data, []byte("\n")) != 2 {
			t.Fatalf("room for %d bytes: %q, %v", room, data, err)
		}
		if cs, err := Read(l.path); err != nil || len(cs) != 1 || string(cs[0].Position) != "far" {
			t.Fatalf("room for %d bytes: %+v, %v", room, cs, err)
		}
	}
}

func TestAfterAFailedSyncNothingIsSaidToBeSaved(t *testing.T) {
	l, d := onFullDisk(t, 1<<20)
	d.syncFails = syscall.EIO
	cp := flow.Checkpoint{Part: "p", Position: flow.Position("far")}
	for range 2 {
		if err := l.Save(t.Context(), cp); !errors.Is(err, syscall.EIO) || !flow.IsPermanent(err) {
			t.Errorf("save: %v", err)
		}
		d.syncFails = nil // a later sync that succeeds says nothing about the earlier one
	}
}

func FuzzReplay(f *testing.F) {
	head, err := appendLine(nil, header{magic, version, "a to b"})
	if err != nil {
		f.Fatal(err)
	}
	body, err := appendLine(nil, []flow.Checkpoint{{Part: "p", Group: "g", Position: flow.Position("x"), Done: true}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("")
	f.Add(string(head))
	f.Add(string(head) + string(body))
	f.Add(string(head) + string(body[:len(body)-9]))
	f.Add(string(head) + "00000000 []\n" + string(body))
	f.Fuzz(func(t *testing.T, text string) {
		var first, second table
		_, good, err := replay(strings.NewReader(text), "f", func(cs []flow.Checkpoint, _ int) { first.apply(cs) })
		if good < 0 || good > int64(len(text)) {
			t.Fatalf("good up to %d of %d", good, len(text))
		}
		if err != nil {
			return
		}
		// What is good reads the same, to its end.
		_, again, err := replay(io.LimitReader(strings.NewReader(text), good), "f", func(cs []flow.Checkpoint, _ int) { second.apply(cs) })
		if err != nil || again != good || len(first.last) != len(second.last) {
			t.Fatalf("good up to %d, then %d, %v", good, again, err)
		}
	})
}

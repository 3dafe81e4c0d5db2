package files

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

func TestAfterACrashAtMostWhatWasNotAcknowledgedIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	c := quick(filepath.Join(dir, "*.log"))
	c.Registry = filepath.Join(dir, "registry")
	text, lines := numbered("a line", 0, 1000)
	write(t, filepath.Join(dir, "a.log"), text)
	d := startHolding(t, c, Options{}, 100)
	d.expect(lines...)
	d.ackHeld(4)
	d.wait("the save", func() bool {
		e, err := ReadRegistry(c.Registry)
		return err == nil && len(e) == 1 && e[0].Offset > 0
	})
	d.kill()
	d = start(t, c, Options{}, 100)
	d.expect(lines[400:]...)
	d.wait("the save", func() bool {
		e, err := ReadRegistry(c.Registry)
		return err == nil && e[0].Offset == int64(len(text))
	})
	d.kill()
	// The registry's last save is torn: what it said is read again, and no more.
	info, err := os.Stat(c.Registry)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(c.Registry, info.Size()-3); err != nil {
		t.Fatal(err)
	}
	d = start(t, c, Options{})
	d.wait("the lines behind the save before", func() bool { got := d.texts(); return len(got) > 0 && got[len(got)-1] == lines[999] })
	d.stop()
	if got := d.texts(); !slices.Equal(got, lines[1000-len(got):]) || len(got) > 600 {
		t.Errorf("%d lines, from %q", len(got), got[0])
	}
}

func TestWhatCouldNotBeSavedIsSavedLater(t *testing.T) {
	dir := t.TempDir()
	reg := new(Memory)
	write(t, filepath.Join(dir, "a.log"), "one\n")
	d := start(t, quick(filepath.Join(dir, "*.log")), Options{Registry: reg})
	d.expect("one")
	d.wait("the save", func() bool { e := reg.Entries(); return len(e) == 1 && e[0].Offset == 4 })
	alive := func(alive bool) {
		d.reg.mu.Lock()
		defer d.reg.mu.Unlock()
		d.reg.dead = !alive
	}
	alive(false) // as when the disk is full
	write(t, filepath.Join(dir, "a.log"), "two\n")
	d.expect("one", "two")
	d.wait("a save to fail", func() bool { return d.source.Stats().SaveFails > 0 })
	alive(true)
	d.wait("the save", func() bool { return reg.Entries()[0].Offset == 8 })
	d.stop()
}

func TestFilesThatAreRotatedAndDeletedWhileNobodyReadsAreNotLost(t *testing.T) {
	dir := t.TempDir()
	p := filepath.Join(dir, "a.log")
	write(t, p, "0\n")
	s, err := New(quick(p), Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	streams, done := make(chan stream.Stream, 1), make(chan error, 1)
	go func() { done <- s.Run(ctx, func(st stream.Stream) { streams <- st }) }()
	st := <-streams
	want := "0"
	for i := 1; i <= 5; i++ { // the pipeline is stuck: nobody waits, nobody reads
		for s.Stats().Open < int64(i) {
			time.Sleep(time.Millisecond)
		}
		if i%2 == 0 {
			rename(t, p, filepath.Join(dir, "elsewhere"))
		} else if err := os.Remove(p); err != nil {
			t.Fatal(err)
		}
		write(t, p, fmt.Sprintln(i))
		want += fmt.Sprint(" ", i)
	}
	for s.Stats().Open < 6 {
		time.Sleep(time.Millisecond)
	}
	var got []string
	for len(got) < 6 {
		var b flow.Batch
		if err := st.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		if err := st.Read(ctx, &b); err != nil {
			t.Fatal(err)
		}
		for _, r := range b.Records {
			got = append(got, string(r.Body))
		}
		if err := st.Ack(ctx, b.Next); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(got)
	if strings.Join(got, " ") != want {
		t.Errorf("lines %q, want %s", got, want)
	}
	stop()
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := s.Stats().Open; n != 0 {
		t.Errorf("%d files are open after the end", n)
	}
}

func TestASourceWaitsForTheOneThatHasTheRegistry(t *testing.T) {
	dir := t.TempDir()
	p := filepath.Join(dir, "a.log")
	c := quick(p)
	c.Registry = filepath.Join(dir, "registry")
	write(t, p, "one\n")
	first := start(t, c, Options{})
	first.expect("one")
	second := start(t, c, Options{})
	second.still()
	first.stop()
	write(t, p, "two\n")
	second.expect("two")
	second.stop()
}

func TestTheRegistryForgetsFilesThatAreGone(t *testing.T) {
	dir := t.TempDir()
	reg := new(Memory)
	c := quick(filepath.Join(dir, "*.log"))
	c.Expire, c.CloseInactive = 100*time.Millisecond, 10*time.Millisecond
	for i := range 5 {
		write(t, filepath.Join(dir, fmt.Sprintf("%d.log", i)), fmt.Sprintf("line of %d\n", i))
	}
	d := start(t, c, Options{Registry: reg})
	d.wait("all lines", func() bool { return len(d.texts()) == 5 })
	d.wait("the files to be closed", func() bool { return d.source.Stats().Open == 0 })
	for i := range 4 {
		rename(t, filepath.Join(dir, fmt.Sprintf("%d.log", i)), filepath.Join(dir, fmt.Sprintf("%d.gone", i)))
	}
	d.wait("them to be forgotten", func() bool { return len(reg.Entries()) == 1 })
	time.Sleep(2 * c.Expire)
	if e := reg.Entries(); len(e) != 1 || !strings.HasSuffix(e[0].Path, "4.log") {
		t.Errorf("%+v, want the one that is there", e)
	}
	d.stop()

	c.Expire, c.MaxGone = time.Hour, 2
	var many []Entry
	for i := range 10 {
		many = append(many, Entry{Key: uint64(i + 100), ID: ID{1, uint64(i + 1)}, Path: fmt.Sprintf("/gone/%d", i), Seen: time.Now().Add(time.Duration(i-10) * time.Minute)})
	}
	if err := reg.Save(many, nil); err != nil {
		t.Fatal(err)
	}
	d = start(t, c, Options{Registry: reg})
	d.wait("the oldest to be forgotten", func() bool { return len(reg.Entries()) == 3 })
	d.stop()
	for _, e := range reg.Entries() {
		if e.Key >= 100 && e.Key < 108 {
			t.Errorf("%+v is kept, and newer ones are not", e)
		}
	}
}

func TestAFileThatMayNotBeReadIsTriedAgain(t *testing.T) {
	if os.Geteuid() == 0 {
		// Root may read all files: a link to nothing stands for one that cannot be opened.
		dir := t.TempDir()
		if err := os.Symlink(filepath.Join(dir, "later"), filepath.Join(dir, "a.log")); err != nil {
			t.Fatal(err)
		}
		d := start(t, quick(filepath.Join(dir, "*.log")), Options{})
		d.still()
		write(t, filepath.Join(dir, "later"), "one\n")
		d.expect("one")
		d.stop()
		return
	}
	p := filepath.Join(t.TempDir(), "a.log")
	write(t, p, "one\n")
	if err := os.Chmod(p, 0); err != nil {
		t.Fatal(err)
	}
	d := start(t, quick(p), Options{})
	d.wait("the failure", func() bool { return d.source.Stats().Failures > 0 })
	if err := os.Chmod(p, 0o600); err != nil {
		t.Fatal(err)
	}
	d.expect("one")
	d.stop()
}

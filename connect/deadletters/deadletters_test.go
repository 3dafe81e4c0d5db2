package deadletters

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// entry is one with the time of second n, and nothing else that is looked at here.
func entry(n int) []byte {
	came := time.Unix(int64(n), 0).UTC().Format("2006-01-02T15:04:05.000Z")
	b := binary.BigEndian.AppendUint32(nil, uint32(len(came)))
	return append(append(b, came...), fmt.Sprintf("entry %d", n)...)
}

// segment is a file of entries, all of them in one block.
func segment(from, to int) []byte {
	b := []byte{'1'}
	for n := from; n < to; n++ {
		e := entry(n)
		b = binary.BigEndian.AppendUint32(append(b, 'c'), uint32(len(e)))
		b = binary.BigEndian.AppendUint32(b, 0xffffffff)
		b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(e))
		b = append(b, e...)
	}
	return b
}

func put(t *testing.T, dir, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// start runs a source. read gives the numbers of what is there now; done closes the stream.
func start(t *testing.T, c Config) (s stream.Stream, read func() ([]int, flow.Position), done func()) {
	t.Helper()
	opened := make(chan stream.Stream, 1)
	ended := make(chan error, 1)
	go func() { ended <- New(c).Run(context.Background(), func(s stream.Stream) { opened <- s }) }()
	select {
	case s = <-opened:
	case err := <-ended:
		t.Fatal(err)
	}
	read = func() (got []int, next flow.Position) {
		t.Helper()
		b := &flow.Batch{}
		if err := s.Read(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		for _, r := range b.Records {
			n := int(r.Time.Unix())
			if string(r.Body) != string(entry(n)) || r.Port != c.Port {
				t.Errorf("%q, port %d", r.Body, r.Port)
			}
			got = append(got, n)
		}
		return got, b.Next
	}
	return s, read, func() {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func numbers(from, to int) (all []int) {
	for n := from; n < to; n++ {
		all = append(all, n)
	}
	return all
}

func TestSegmentsAreReadInTheirOrderFromWhereTheLastRunHasStopped(t *testing.T) {
	dir, sincedb := t.TempDir(), filepath.Join(t.TempDir(), "a", "sincedb")
	put(t, dir, "9.log", segment(1, 4))
	put(t, dir, "10.log", segment(4, 6))
	put(t, dir, "11.log.tmp", segment(100, 101))
	put(t, dir, "x.log", segment(100, 101))
	c := Config{Dir: dir, Sincedb: sincedb, Port: 4}
	_, read, done := start(t, c)
	got, _ := read()
	if diff := cmp.Diff(numbers(1, 6), got); diff != "" {
		t.Error(diff)
	}
	done() // nothing was acknowledged

	s, read, done := start(t, c)
	got, next := read()
	if diff := cmp.Diff(numbers(1, 6), got); diff != "" {
		t.Error(diff)
	}
	if err := s.Ack(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "11.log", segment(6, 8))
	if err := s.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, _ = read()
	if diff := cmp.Diff(numbers(6, 8), got); diff != "" {
		t.Error(diff)
	}
	done()

	_, read, done = start(t, c)
	got, _ = read()
	if diff := cmp.Diff(numbers(6, 8), got); diff != "" {
		t.Error(diff)
	}
	done()

	c.Start = time.Unix(5, 0)
	_, read, done = start(t, c)
	got, _ = read()
	if diff := cmp.Diff(numbers(5, 8), got); diff != "" {
		t.Error(diff)
	}
	done()
}

func TestAPositionOfLogstashIsTakenOver(t *testing.T) {
	dir, sincedb := t.TempDir(), filepath.Join(t.TempDir(), "sincedb")
	put(t, dir, "1.log", segment(1, 9))
	path := "/var/lib/logstash/dead_letter_queue/main/1.log"
	b := append([]byte{0, '1', 0, 0, 0, byte(len(path))}, path...)
	b = binary.BigEndian.AppendUint64(b, uint64(len(segment(1, 5))))
	put(t, filepath.Dir(sincedb), "sincedb", b)
	_, read, done := start(t, Config{Dir: dir, Sincedb: sincedb})
	got, _ := read()
	if diff := cmp.Diff(numbers(5, 9), got); diff != "" {
		t.Error(diff)
	}
	done()
	for n := 1; n < len(b); n++ {
		put(t, filepath.Dir(sincedb), "sincedb", b[:n])
		if err := New(Config{Dir: dir, Sincedb: sincedb}).Run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "move it away") {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestSegmentsAreDeletedWhenTheyAreDelivered(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "1.log", segment(1, 3))
	put(t, dir, "2.log", segment(3, 5))
	put(t, dir, "3.log", segment(5, 7))
	s, read, done := start(t, Config{Dir: dir, Sincedb: filepath.Join(t.TempDir(), "sincedb"), Clean: true})
	got, next := read()
	if diff := cmp.Diff(numbers(1, 7), got); diff != "" {
		t.Error(diff)
	}
	if all, _ := filepath.Glob(filepath.Join(dir, "*")); len(all) != 3 {
		t.Errorf("%v are left before anything is acknowledged", all)
	}
	if err := s.Ack(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if all, _ := filepath.Glob(filepath.Join(dir, "*")); len(all) != 1 || filepath.Base(all[0]) != "3.log" {
		t.Errorf("%v are left", all)
	}
	done()
}

func TestDamageAndTornEndsAreLogged(t *testing.T) {
	dir := t.TempDir()
	bad := segment(1, 4)
	bad[60] ^= 1
	put(t, dir, "1.log", bad)
	whole := segment(4, 7)
	put(t, dir, "2.log", whole[:len(whole)-3])
	put(t, dir, "3.log", []byte("1"))
	put(t, dir, "4.log", segment(7, 9))
	var log strings.Builder
	_, read, done := start(t, Config{Dir: dir, Log: slog.New(slog.NewTextHandler(&log, nil))})
	got, _ := read()
	done()
	if diff := cmp.Diff(append([]int{1}, 4, 5, 7, 8), got); diff != "" {
		t.Error(diff)
	}
	if text := log.String(); strings.Count(text, "level=ERROR") != 2 || !strings.Contains(text, "1.log") || !strings.Contains(text, "within an entry") {
		t.Error(text)
	}
}

func TestADirectoryThatIsNotThereYetIsWaitedFor(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "main")
	s, read, done := start(t, Config{Dir: dir})
	defer done()
	if got, next := read(); got != nil || next != nil {
		t.Error(got, next)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "1.log", segment(1, 3))
	if err := s.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, _ := read(); len(got) != 2 {
		t.Error(got)
	}
	ctx, stop := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, stop)
	if err := s.Wait(ctx); err == nil {
		t.Error("there is nothing more")
	}
}

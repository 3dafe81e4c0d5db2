package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// A driver does with a source what the engine does: it reads its stream and acknowledges.
type driver struct {
	t      *testing.T
	source *Source
	reg    *mortal
	cancel context.CancelFunc
	ran    chan error

	mu    sync.Mutex
	lines []line
	hold  bool            // nothing is acknowledged
	held  []flow.Position // what could be
	err   error
	at    stream.Stream
}

type line struct {
	path, text string
	offset     int64
}

// mortal is a registry that can die: nothing is saved any more.
type mortal struct {
	Registry
	mu   sync.Mutex
	dead bool
}

func (m *mortal) Save(changed []Entry, gone []uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return errors.New("killed")
	}
	return m.Registry.Save(changed, gone)
}

// quick gives a configuration with short times.
func quick(paths ...string) Config {
	return Config{
		Paths: paths, ScanInterval: 5 * time.Millisecond, DiscoverInterval: 10 * time.Millisecond, SaveInterval: 5 * time.Millisecond,
		CloseRemoved: 50 * time.Millisecond, CloseInactive: time.Minute,
	}
}

func start(t *testing.T, c Config, o Options, bounds ...int) *driver {
	t.Helper()
	return drive(t, c, o, false, bounds...)
}

// startHolding is start, and nothing is acknowledged but by ackHeld.
func startHolding(t *testing.T, c Config, o Options, bounds ...int) *driver {
	t.Helper()
	return drive(t, c, o, true, bounds...)
}

func drive(t *testing.T, c Config, o Options, hold bool, bounds ...int) *driver {
	t.Helper()
	if o.Registry == nil {
		if c.Registry != "" {
			o.Registry = NewRegistryFile(c.Registry, nil)
		} else {
			o.Registry = new(Memory)
		}
	}
	reg := &mortal{Registry: o.Registry}
	o.Registry = reg
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	s, err := New(c, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	d := &driver{t: t, source: s, reg: reg, cancel: cancel, ran: make(chan error, 1), hold: hold}
	go func() {
		var all sync.WaitGroup
		err := s.Run(ctx, func(st stream.Stream) {
			d.mu.Lock()
			d.at = st
			d.mu.Unlock()
			all.Go(func() { d.read(ctx, st, bounds) })
		})
		all.Wait()
		d.ran <- err
	}()
	t.Cleanup(cancel)
	return d
}

func (d *driver) read(ctx context.Context, st stream.Stream, bounds []int) {
	var b flow.Batch
	if len(bounds) > 0 {
		b.MaxRecords = bounds[0]
	}
	if len(bounds) > 1 {
		b.MaxBytes = bounds[1]
	}
	for {
		if err := st.Wait(ctx); err != nil {
			if ctx.Err() == nil && !errors.Is(err, io.EOF) {
				d.fail(err)
			}
			break
		}
		b.Reset()
		if err := st.Read(ctx, &b); err != nil {
			d.fail(err)
			break
		}
		d.mu.Lock()
		for _, r := range b.Records {
			d.lines = append(d.lines, line{string(r.Meta), string(r.Body), r.Version})
		}
		next := slices.Clone(b.Next)
		if d.hold {
			d.held = append(d.held, next)
			next = nil
		}
		d.mu.Unlock()
		if next != nil {
			if err := st.Ack(ctx, next); err != nil {
				d.fail(err)
			}
		}
	}
	if err := st.Close(); err != nil {
		d.fail(err)
	}
}

func (d *driver) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = errors.Join(d.err, err)
}

// ackHeld acknowledges the first n of what was held.
func (d *driver) ackHeld(n int) {
	d.t.Helper()
	d.mu.Lock()
	next := d.held[n-1]
	d.held = d.held[n:]
	d.mu.Unlock()
	if err := d.at.Ack(context.Background(), next); err != nil {
		d.t.Fatal(err)
	}
}

func (d *driver) texts() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []string
	for _, l := range d.lines {
		all = append(all, l.text)
	}
	return all
}

// wait waits until f holds.
func (d *driver) wait(what string, f func() bool) {
	d.t.Helper()
	end := time.Now().Add(20 * time.Second)
	for !f() {
		if time.Now().After(end) {
			d.t.Fatalf("waited for %s; lines: %.2000q; stats %+v", what, d.texts(), d.source.Stats())
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// expect waits until the lines are these, in any order between files but as often.
func (d *driver) expect(want ...string) {
	d.t.Helper()
	d.wait(fmt.Sprintf("%d lines", len(want)), func() bool { return len(d.texts()) >= len(want) })
	if got := d.texts(); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
		d.t.Fatalf("lines %q, want %q", got, want)
	}
}

// still makes sure that nothing more comes for a while.
func (d *driver) still() {
	d.t.Helper()
	n := len(d.texts())
	time.Sleep(80 * time.Millisecond)
	if got := d.texts(); len(got) != n {
		d.t.Fatalf("lines %q came, and nothing was expected", got[n:])
	}
}

// stop ends the source in order, after all that was acknowledged is saved.
func (d *driver) stop() {
	d.t.Helper()
	d.cancel()
	d.over()
}

func (d *driver) over() {
	d.t.Helper()
	select {
	case err := <-d.ran:
		d.mu.Lock()
		defer d.mu.Unlock()
		if err = errors.Join(err, d.err); err != nil {
			d.t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		d.t.Fatal("the source does not end")
	}
}

// kill ends the source as kill -9 does: nothing is saved any more.
func (d *driver) kill() {
	d.t.Helper()
	d.reg.mu.Lock()
	d.reg.dead = true
	d.reg.mu.Unlock()
	d.cancel()
	select {
	case <-d.ran:
	case <-time.After(20 * time.Second):
		d.t.Fatal("the source does not end")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// numbered gives lines with numbers.
func numbered(prefix string, from, to int) (text string, lines []string) {
	var b strings.Builder
	for i := from; i < to; i++ {
		l := fmt.Sprintf("%s %d", prefix, i)
		lines = append(lines, l)
		b.WriteString(l + "\n")
	}
	return b.String(), lines
}

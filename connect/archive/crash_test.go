package archive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/flow"
)

// The tests here carry a small flow into an archive, make its n-th step on the disk fail in some way, for
// each n, open the archive again on a sound disk, run the same flow to its end, and compare.

// faults makes the steps of a disk fail, from the n-th on.
type faults struct {
	disk *disk
	at   int // which step, from 0
	mode string
	n    int // steps so far
	hit  bool

	// What a power cut would undo: see cut.
	synced  map[string]int64  // by name, of files: the bytes that are durable
	entries map[string]string // by name, of new names in directories not yet synced: what they were before
	newDir  bool              // the directory about to be made is not there
	dirs    map[string]bool   // new directories whose parents are not yet synced
}

var errFault = errors.New("fault")

// Ways to fail.
const (
	modeOnce  = "one step fails"
	modeFull  = "the disk is full"
	modeCrash = "the process is killed"
	modeTorn  = "the process is killed within a write"
	modePower = "the power fails"
	modeZeros = "the power fails and leaves names of zeros"
)

func newFaults(root, mode string, at int) *faults {
	f := &faults{mode: mode, at: at, synced: map[string]int64{}, entries: map[string]string{}, dirs: map[string]bool{}}
	f.disk = &disk{root: root, fault: f.fault, after: f.after}
	return f
}

func (f *faults) fault(o op, name string) (n int, err error) {
	if o == opMkdir {
		_, err := os.Stat(f.disk.path(name))
		f.newDir = err != nil
	}
	f.n++
	if f.n-1 < f.at {
		return 0, nil
	}
	first := !f.hit
	defer func() { f.hit = f.hit || err != nil }()
	switch f.mode {
	case modeOnce:
		if first {
			return 3, errFault
		}
		return 0, nil
	case modeFull:
		if o == opCreate || o == opWrite || o == opMkdir || o == opSync {
			return 7, syscall.ENOSPC
		}
		return 0, nil
	case modeTorn:
		if first && o == opWrite {
			return 25, errFault
		}
	}
	return 0, errFault
}

func (f *faults) size(name string) int64 {
	info, err := os.Stat(f.disk.path(name))
	if err != nil {
		return 0
	}
	return info.Size()
}

func (f *faults) after(o op, name, to string) {
	switch o {
	case opWrite: // not durable before it is synced
	case opCreate:
		if _, known := f.synced[name]; !known && f.size(name) == 0 {
			f.synced[name] = 0
			f.entries[name] = ""
		}
	case opSync:
		f.synced[name] = f.size(name)
	case opTruncate:
		f.synced[name] = min(f.synced[name], f.size(name))
	case opRename:
		f.synced[to] = f.synced[name]
		f.entries[to] = name
		delete(f.synced, name)
		delete(f.entries, name)
	case opRemove:
		delete(f.synced, name)
		delete(f.entries, name)
	case opMkdir:
		if f.newDir {
			f.dirs[name] = true
		}
	case opSyncDir:
		for entry := range f.entries {
			if path.Dir(entry) == name {
				delete(f.entries, entry)
			}
		}
		for dir := range f.dirs {
			if path.Dir(dir) == name {
				delete(f.dirs, dir)
			}
		}
	}
}

// cut undoes what a power cut may undo.
func (f *faults) cut(t *testing.T) {
	t.Helper()
	for name, size := range f.synced {
		file := f.disk.path(name)
		now := f.size(name)
		if now <= size {
			continue
		}
		must(t, os.Truncate(file, size))
		if f.mode == modeZeros {
			must(t, os.Truncate(file, now))
		}
	}
	if f.mode == modeZeros {
		return // the directories happen to be on disk already
	}
	for name, before := range f.entries {
		if before == "" {
			must(t, os.Remove(f.disk.path(name)))
		} else {
			must(t, os.Rename(f.disk.path(name), f.disk.path(before)))
		}
	}
	for dir := range f.dirs {
		must(t, os.RemoveAll(f.disk.path(dir)))
	}
}

// The flow: parts of a few batches, each batch with records of two indices and every fifth with a dead letter;
// committed after every second batch.
const (
	crashParts   = 3
	crashBatches = 4
)

func crashBatch(part, batch int) (recs []rec, dead bool) {
	for i := range 3 {
		recs = append(recs, rec{
			Index: fmt.Sprintf("index-%d", (part+i)%2), Key: fmt.Sprintf("%d/%d/%d", part, batch, i), Routing: "-",
			Body: fmt.Sprintf(`{"n":%d,"text":%q}`, i, strings.Repeat("naru ", 20*i)),
		})
	}
	return recs, (part*crashBatches+batch)%5 == 0
}

// runCrash runs the flow on d from where it stands.
func runCrash(cfg Config, d *disk) (err error) {
	ctx := context.Background()
	s, err := openSink(cfg, d)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close(ctx)) }()
	if err := s.Prepare(ctx, []flow.Group{{Name: "index-0", Meta: []byte(`{"mappings":{"properties":{"n":{"type":"long"}}}}`)}}); err != nil {
		return err
	}
	w, err := s.Branch(ctx)
	if err != nil {
		return err
	}
	b := w.(*Branch)
	defer func() { err = errors.Join(err, b.Close(ctx)) }()
	for p := range crashParts {
		cp, err := s.Claim(ctx, flow.Part{ID: fmt.Sprint("part-", p)})
		if errors.Is(err, flow.ErrDone) {
			continue
		}
		if err != nil {
			return err
		}
		batch := 0
		if len(cp.Position) > 0 {
			fmt.Sscan(string(cp.Position), &batch)
		}
		cp.Part = fmt.Sprint("part-", p)
		for ; batch < crashBatches; batch++ {
			recs, dead := crashBatch(p, batch)
			if err := b.Write(ctx, records(recs)); err != nil {
				return err
			}
			if dead {
				if err := b.Bury(ctx, records(recs[:1]), []error{errors.New("because")}); err != nil {
					return err
				}
			}
			cp.Tally.Read += int64(len(recs))
			cp.Position = fmt.Append(nil, batch+1)
			if batch%2 == 1 {
				cp.Done = batch == crashBatches-1
				if err := b.Commit(ctx, []flow.Checkpoint{cp}); err != nil {
					return err
				}
			}
		}
	}
	return s.Finish(ctx)
}

// checkCrash compares a finished archive with the flow, and the directory with the books.
func checkCrash(t *testing.T, cfg Config) {
	t.Helper()
	var want []rec
	wantDead := 0
	for p := range crashParts {
		for n := range crashBatches {
			recs, dead := crashBatch(p, n)
			want = append(want, recs...)
			if dead {
				wantDead++
			}
		}
	}
	src, err := OpenSource(t.Context(), cfg.Dir)
	must(t, err)
	defer src.Close()
	if diff := cmp.Diff(sorted(want), sorted(readAll(t, src, 100))); diff != "" {
		t.Fatal(diff)
	}
	m := src.Manifest()
	wantFiles := []string{journalName, manifestName}
	dead := 0
	for _, f := range m.Dead.Files {
		wantFiles = append(wantFiles, f.Path)
		dead += len(deadLines(t, cfg.Dir, f))
	}
	if dead != wantDead || m.Dead.Records != int64(wantDead) {
		t.Fatalf("%d dead letters, booked %d, want %d", dead, m.Dead.Records, wantDead)
	}
	for _, x := range m.Indices {
		for _, f := range x.Files {
			wantFiles = append(wantFiles, f.Path)
		}
	}
	// The same command finds nothing to do.
	if err := runCrash(cfg, newFaults(cfg.Dir, modeCrash, 1000).disk); err != nil {
		t.Fatalf("once more: %v", err)
	}
	slices.Sort(wantFiles)
	got := tree(t, cfg.Dir)
	slices.Sort(got)
	if diff := cmp.Diff(wantFiles, got); diff != "" {
		t.Fatalf("files:\n%s", diff)
	}
}

// memoryDir is a directory that costs nothing to sync, if the system has one.
func memoryDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "archive-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestAFaultAtAnyStepLosesAndDoublesNothing(t *testing.T) {
	base := memoryDir(t)
	for _, format := range []string{NDJSON, Parquet} {
		for i, mode := range []string{modeOnce, modeFull, modeCrash, modeTorn, modePower, modeZeros} {
			t.Run(format+"/"+mode, func(t *testing.T) {
				t.Parallel()
				stride := 1
				if format == Parquet { // the steps are the same, and each run costs more
					stride = 3
				}
				failed := 0
				for at := 0; ; at += stride {
					cfg := Config{Dir: filepath.Join(base, fmt.Sprintf("%s-%d-%d", format, i, at)), Format: format, FileBytes: 600, Flow: "crash"}
					must(t, os.MkdirAll(cfg.Dir, 0o755))
					f := newFaults(cfg.Dir, mode, at)
					err := runCrash(cfg, f.disk)
					if f.hit && err == nil {
						t.Fatalf("step %d failed and nobody said so", at)
					}
					if !f.hit {
						must(t, err)
						checkCrash(t, cfg)
						if failed < 40/stride {
							t.Errorf("only %d steps", failed)
						}
						return
					}
					failed++
					if mode == modePower || mode == modeZeros {
						f.cut(t)
					}
					if err := runCrash(cfg, &disk{root: cfg.Dir}); err != nil {
						t.Fatalf("after step %d (%v) the flow does not go on: %v", at, err, err)
					}
					checkCrash(t, cfg)
					if t.Failed() {
						t.Fatalf("after step %d: %v", at, err)
					}
					must(t, os.RemoveAll(cfg.Dir))
				}
			})
		}
	}
}

func TestASecondFaultWhileRecoveringLosesAndDoublesNothing(t *testing.T) {
	base := memoryDir(t)
	for first := 10; first < 70; first += 6 {
		for second := 0; second < 60; second += 5 {
			cfg := Config{Dir: filepath.Join(base, fmt.Sprint(first, "-", second)), Format: NDJSON, FileBytes: 600, Flow: "crash"}
			must(t, os.MkdirAll(cfg.Dir, 0o755))
			for _, at := range []int{first, second} {
				f := newFaults(cfg.Dir, modePower, at)
				runCrash(cfg, f.disk) // meant to fail
				if f.hit {
					f.cut(t)
				}
			}
			if err := runCrash(cfg, &disk{root: cfg.Dir}); err != nil {
				t.Fatalf("after steps %d and %d: %v", first, second, err)
			}
			checkCrash(t, cfg)
		}
	}
}

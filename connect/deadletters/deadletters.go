// Package deadletters reads the dead letter queue that a Logstash keeps of a pipeline: its segments as they come, from where
// the last run has stopped.
package deadletters

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/format/recordio"
)

// Config says what is read.
type Config struct {
	Dir     string    // of the pipeline: PATH/PIPELINE_ID; it need not be there yet
	Start   time.Time // if set, reading begins with the first entry that is not older, wherever the last run has stopped
	Sincedb string    // the file that keeps how far it is read, in Logstash's own form; empty: it is not kept
	Clean   bool      // delete segments of which every entry is acknowledged
	Port    int32     // of the records
	Log     *slog.Logger
}

// pollEvery is how often the directory is looked at.
const pollEvery = 500 * time.Millisecond

// saveEvery is how often the sincedb is written, at most.
const saveEvery = time.Second

// Source is a source of one stream. A record's Body is an entry (recordio.ParseEntry), its Time the entry's.
type Source struct{ c Config }

var _ stream.Source = (*Source)(nil)

// New makes a source.
func New(c Config) *Source {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Source{c}
}

// Run implements stream.Source.
func (s *Source) Run(_ context.Context, open func(stream.Stream)) error {
	r := &reading{c: s.c, started: s.c.Start.IsZero(), closed: make(chan struct{})}
	if s.c.Sincedb != "" && s.c.Start.IsZero() {
		at, err := readSincedb(s.c.Sincedb)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("read the sincedb: %w", err)
		}
		r.at, r.acked, r.saved = at, at, at
	}
	open(r)
	<-r.closed
	return nil
}

// A place is where an entry begins.
type place struct {
	segment int64 // 0: before the first one
	offset  int64
}

type reading struct {
	c       Config
	started bool // the first entry that is wanted has come
	missing bool // it was said that the directory is not there
	file    *os.File
	reader  *recordio.Reader
	at      place
	entry   []byte // that was read and not given; nil: none

	mu      sync.Mutex // guards what follows
	acked   place
	saved   place
	savedAt time.Time

	once   sync.Once
	closed chan struct{}
}

// Wait implements stream.Stream.
func (r *reading) Wait(ctx context.Context) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := r.fill(); err != nil {
			return err
		}
		if r.entry != nil {
			return nil
		}
		t := time.NewTimer(pollEvery)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
	}
}

// Read implements stream.Stream.
func (r *reading) Read(ctx context.Context, b *flow.Batch) error {
	for !b.Full() && len(b.Records) < 1000 && b.Bytes() < 1<<20 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := r.fill(); err != nil {
			return err
		}
		if r.entry == nil {
			return nil
		}
		came, _ := entryTime(r.entry)
		b.Records = append(b.Records, flow.Record{Port: r.c.Port, Body: b.Copy(r.entry), Time: came})
		r.entry, r.at.offset = nil, r.reader.Offset()
		b.Next = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(r.at.segment)), uint64(r.at.offset))
	}
	return nil
}

// fill reads the next entry, unless there is none yet.
func (r *reading) fill() error {
	for r.entry == nil {
		if r.reader == nil {
			if more, err := r.open(); !more {
				return err
			}
			continue
		}
		entry, err := r.reader.Next()
		if err == io.EOF { //nolint:errorlint // itself
			if more, err := r.leave(); !more {
				return err
			}
			continue
		}
		if errors.Is(err, recordio.ErrCorrupt) {
			r.c.Log.Error("dead letter queue is damaged: entries are lost, and reading goes on behind them", "file", r.file.Name(), "err", err)
			continue
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", r.file.Name(), err)
		}
		if !r.started {
			if came, ok := entryTime(entry); ok && came.Before(r.c.Start) {
				continue
			}
			r.started = true
		}
		r.entry = bytes.Clone(entry)
	}
	return nil
}

// entryTime gives the time of an entry, its first part.
func entryTime(b []byte) (time.Time, bool) {
	if len(b) < 4 {
		return time.Time{}, false
	}
	n := binary.BigEndian.Uint32(b)
	if uint64(n) > uint64(len(b)-4) {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, string(b[4:4+n]))
	return t, err == nil
}

// segments gives the numbers of the segments, in their order. Those that are still being written have another name.
func (r *reading) segments() ([]int64, error) {
	entries, err := os.ReadDir(r.c.Dir)
	if errors.Is(err, os.ErrNotExist) {
		if !r.missing {
			r.c.Log.Warn("dead letter queue is not there yet", "dir", r.c.Dir)
		}
		r.missing = true
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r.missing = false
	var numbers []int64
	for _, e := range entries {
		if n, ok := number(e.Name()); ok {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return slices.Compact(numbers), nil
}

func number(name string) (int64, bool) {
	stem, ok := strings.CutSuffix(name, ".log")
	n, err := strconv.ParseInt(stem, 10, 32)
	return n, ok && err == nil && n > 0
}

func (r *reading) path(segment int64) string {
	return filepath.Join(r.c.Dir, strconv.FormatInt(segment, 10)+".log")
}

// open opens the segment of the place, or the one after it.
func (r *reading) open() (bool, error) {
	numbers, err := r.segments()
	if err != nil {
		return false, err
	}
	for _, n := range numbers {
		if n < r.at.segment {
			continue
		}
		offset := int64(recordio.Begin)
		if n == r.at.segment {
			offset = max(offset, r.at.offset)
		}
		f, err := os.Open(r.path(n))
		if errors.Is(err, os.ErrNotExist) {
			continue // its writer deletes old ones
		}
		if err != nil {
			return false, err
		}
		reader, err := recordio.NewReader(f, offset)
		if err == io.EOF { //nolint:errorlint // itself
			_ = f.Close()
			continue // nothing is in it yet
		}
		if err != nil {
			return false, errors.Join(fmt.Errorf("read %s: %w", f.Name(), err), f.Close())
		}
		r.file, r.reader, r.at = f, reader, place{n, offset}
		return true, nil
	}
	return false, nil
}

// leave goes on to the segment after one that is read to its end. It reports whether there is one, or more in this one.
func (r *reading) leave() (bool, error) {
	numbers, err := r.segments()
	if err != nil {
		return false, err
	}
	i, _ := slices.BinarySearch(numbers, r.at.segment+1)
	if i == len(numbers) {
		return false, nil
	}
	// Nothing more is written to this one. It may have been after it was read last.
	entry, err := r.reader.Next()
	if errors.Is(err, recordio.ErrCorrupt) {
		r.c.Log.Error("dead letter queue is damaged: entries are lost, and reading goes on behind them", "file", r.file.Name(), "err", err)
		return true, nil
	}
	if err == nil {
		if came, ok := entryTime(entry); r.started || !ok || !came.Before(r.c.Start) {
			r.started, r.entry = true, bytes.Clone(entry)
		}
		return true, nil
	}
	if info, err := r.file.Stat(); err == nil && info.Size() > r.reader.Offset() {
		r.c.Log.Error("segment of the dead letter queue ends within an entry, which is lost", "file", r.file.Name(), "offset", r.reader.Offset(),
			"bytes", info.Size()-r.reader.Offset())
	}
	r.at = place{numbers[i], recordio.Begin}
	r.shut()
	return true, nil
}

func (r *reading) shut() {
	if r.file != nil {
		_ = r.file.Close() // it was only read
	}
	r.file, r.reader = nil, nil
}

// Ack implements stream.Stream.
func (r *reading) Ack(_ context.Context, next flow.Position) error {
	if len(next) != 16 {
		return fmt.Errorf("a place in a dead letter queue has 16 bytes, not %d", len(next))
	}
	p := place{int64(binary.BigEndian.Uint64(next)), int64(binary.BigEndian.Uint64(next[8:]))}
	r.mu.Lock()
	defer r.mu.Unlock()
	newer := p.segment > r.acked.segment
	r.acked = p
	if !newer && time.Since(r.savedAt) < saveEvery {
		return nil
	}
	if err := r.save(); err != nil {
		return err
	}
	if newer && r.c.Clean {
		return r.clean()
	}
	return nil
}

// save writes the sincedb. r.mu is held.
func (r *reading) save() error {
	r.savedAt = time.Now()
	if r.c.Sincedb == "" || r.acked == r.saved {
		return nil
	}
	if err := writeSincedb(r.c.Sincedb, r.path(r.acked.segment), r.acked.offset); err != nil {
		return fmt.Errorf("write the sincedb: %w", err)
	}
	r.saved = r.acked
	return nil
}

// clean deletes the segments before the one that is acknowledged last. r.mu is held.
func (r *reading) clean() error {
	entries, err := os.ReadDir(r.c.Dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if n, ok := number(e.Name()); ok && n < r.acked.segment {
			if err := os.Remove(filepath.Join(r.c.Dir, e.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// Close implements stream.Stream.
func (r *reading) Close() (err error) {
	r.once.Do(func() {
		r.shut()
		r.mu.Lock()
		defer r.mu.Unlock()
		err = r.save()
		close(r.closed)
	})
	return err
}

// A sincedb is as Logstash's own input writes it, big-endian: char '1', int32 length and bytes of the segment's path, int64
// offset in it.
//
// Source: org.logstash.input.SinceDB of logstash-input-dead_letter_queue 2.0.
func readSincedb(path string) (place, error) {
	b, err := os.ReadFile(path)
	if err != nil || len(b) == 0 {
		return place{}, err
	}
	if len(b) < 6 || binary.BigEndian.Uint16(b) != '1' {
		return place{}, fmt.Errorf("%s is no sincedb of version 1; move it away to begin anew", path)
	}
	n := uint64(binary.BigEndian.Uint32(b[2:]))
	if n+14 != uint64(len(b)) {
		return place{}, fmt.Errorf("%s is damaged; move it away to begin anew", path)
	}
	name := string(b[6 : 6+n])
	segment, ok := number(name[strings.LastIndexAny(name, `/\`)+1:])
	offset := int64(binary.BigEndian.Uint64(b[6+n:]))
	if !ok || offset < 0 {
		return place{}, fmt.Errorf("%s is damaged: it leads to %q, offset %d; move it away to begin anew", path, name, offset)
	}
	return place{segment, max(offset, recordio.Begin)}, nil
}

// writeSincedb replaces a sincedb.
func writeSincedb(path, segment string, offset int64) error {
	if absolute, err := filepath.Abs(segment); err == nil {
		segment = absolute
	}
	b := binary.BigEndian.AppendUint16(nil, '1')
	b = binary.BigEndian.AppendUint32(b, uint32(len(segment)))
	b = append(b, segment...)
	b = binary.BigEndian.AppendUint64(b, uint64(offset))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(cmp.Or(err, f.Sync()), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

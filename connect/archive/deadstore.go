package archive

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/narudata/naru/flow"
)

// A DeadStore keeps dead letters in a directory, for sinks that have no place of their own:
//
//	DIR/<when>-<mark>.ndjson.zst   dead letters, one line each, as in the _dead folder of an archive
//	DIR/done                       which of them were carried again since
//
// Each process writes a file of its own, begun with its first letter, so that any number of them may write at the same
// time. A line has the record whole, then what has become of it:
//
//	{"_index":…,"_type":…,"_id":…,"_routing":…,"_source":{…},"_version":3,"reason":"…","reasonType":"…","at":"2024-05-01T10:11:12Z"}
//
// A body that is not one line of JSON is in _source_base64 instead. When Bury returns, the letters are on the disk; a
// file that breaks off in the middle of a letter ends before it.
type DeadStore struct {
	dir string

	mu   sync.Mutex // guards the rest
	f    *os.File   // nil: none yet
	name string
	zstd *zstd.Encoder
	env  envelope
	buf  []byte
	out  []byte
	err  error // after one, what is behind in the file cannot be relied on
}

var _ flow.DeadLetters = (*DeadStore)(nil)

// OpenDeadStore opens a store for writing. The directory is made with the first letter.
func OpenDeadStore(dir string) (*DeadStore, error) {
	if dir == "" {
		return nil, errors.New("dead letters: a directory is missing")
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(windowBytes), zstd.WithZeroFrames(true))
	if err != nil {
		return nil, err
	}
	return &DeadStore{dir: dir, zstd: enc}, nil
}

// Bury implements flow.DeadLetters. It may be called concurrently.
func (s *DeadStore) Bury(ctx context.Context, recs []flow.Record, why []error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(recs) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		// What is behind a broken write cannot be read: go on in another file.
		if err := s.end(); err != nil {
			return fmt.Errorf("dead letters: %w", err)
		}
	}
	at := now().Format(time.RFC3339)
	s.buf, s.out = s.buf[:0], s.out[:0]
	for i := range recs {
		var reason error
		if i < len(why) {
			reason = why[i]
		}
		s.buf = s.env.appendLetter(s.buf, &recs[i], reason, at)
		if len(s.buf) >= frameBytes {
			s.out = s.zstd.EncodeAll(s.buf, s.out)
			s.buf = s.buf[:0]
		}
	}
	if len(s.buf) > 0 {
		s.out = s.zstd.EncodeAll(s.buf, s.out)
	}
	if cap(s.buf) > 8<<20 {
		s.buf = nil
	}
	if err := s.begin(); err != nil {
		return fmt.Errorf("dead letters: %w", err)
	}
	if _, s.err = s.f.Write(s.out); s.err == nil {
		s.err = s.f.Sync()
	}
	if s.err != nil {
		return fmt.Errorf("dead letters: %w", s.err)
	}
	return nil
}

// begin sees to it that there is a file.
func (s *DeadStore) begin() error {
	if s.f != nil {
		return nil
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil { //nolint:gosec // like the directories of archives
		return err
	}
	var mark [4]byte
	if _, err := rand.Read(mark[:]); err != nil {
		return err
	}
	s.name = time.Now().UTC().Format("20060102T150405") + "-" + hex.EncodeToString(mark[:]) + ndjsonSuffix
	f, err := os.OpenFile(filepath.Join(s.dir, s.name), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o644) //nolint:gosec // like the files of archives
	if err != nil {
		return err
	}
	s.f = f
	return syncDir(s.dir)
}

func (s *DeadStore) end() error {
	if s.f == nil {
		return nil
	}
	err := s.f.Close()
	s.f, s.err = nil, nil
	return err
}

// File is the name of the file that this process writes; "" before the first letter.
func (s *DeadStore) File() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.name
}

// Close ends the file.
func (s *DeadStore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end()
}

// appendLetter appends the line of a dead letter.
func (e *envelope) appendLetter(dst []byte, r *flow.Record, why error, at string) []byte {
	start := len(dst)
	whole := *r
	exact := r.Body == nil || isOneValue(r.Body)
	if !exact {
		whole.Body = nil
	}
	line := e.appendHead(nil, &whole)
	dst = append(append(dst[:start], line...), whole.Body...)
	if !exact {
		dst = append(dst, `,"_source_base64":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, r.Body)
		dst = append(dst, '"')
	}
	if r.Version > 0 {
		dst = append(dst, `,"_version":`...)
		dst = strconv.AppendInt(dst, r.Version, 10)
	}
	reason := "unknown"
	if why != nil {
		reason = why.Error()
	}
	dst = appendMember(dst, "reason", reason)
	if t, ok := errors.AsType[interface {
		error
		ErrorType() string
	}](why); ok && t.ErrorType() != "" {
		dst = appendMember(dst, "reasonType", t.ErrorType())
	}
	dst = appendMember(dst, "at", at)
	return append(dst, '}', '\n')
}

// deadFiles gives the files with dead letters at a place: a store, an archive, or the _dead folder of one. closed says
// that they are complete, as the books of an archive say.
func deadFiles(dir string) (root string, names []string, closed bool, err error) {
	if filepath.Base(dir) == deadDir {
		if _, err := os.Stat(filepath.Join(filepath.Dir(dir), filepath.FromSlash(journalName))); err == nil {
			dir = filepath.Dir(dir)
		}
	}
	h, err := readJournal(filepath.Join(dir, filepath.FromSlash(journalName)))
	if err != nil {
		return "", nil, false, err
	}
	if h.seq > 0 {
		for i := range h.files {
			if !h.files[i].Dead {
				continue
			}
			if err := checkFile(&h.files[i]); err != nil {
				return "", nil, false, err
			}
			names = append(names, filepath.Base(filepath.FromSlash(h.files[i].Path)))
		}
		return filepath.Join(dir, deadDir), names, true, nil
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, false, fmt.Errorf("%s: there are no dead letters, as there is no such directory", dir)
	}
	if err != nil {
		return "", nil, false, err
	}
	for _, e := range entries {
		if e.Type().IsRegular() && filepath.Ext(e.Name()) == ".zst" {
			names = append(names, e.Name())
		}
	}
	return dir, names, false, nil
}

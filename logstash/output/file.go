package output

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/input"
	"github.com/narudata/naru/logstash/option"
)

// File writes events to files, whose names may have parts of the events.
//
// Source: LogStash::Outputs::File of logstash-output-file 4.3.
type File struct {
	Options
	Path                 *event.Format `ls:"path,required" doc:"the file's name; it may have references to fields, but for its first folder"`
	FlushInterval        int64         `ls:"flush_interval" default:"2" doc:"after how many seconds written events are in the file; 0: after every event"`
	Gzip                 bool          `ls:"gzip" default:"false" doc:"whether the file is compressed with gzip"`
	FilenameFailure      string        `ls:"filename_failure" default:"_filepath_failures" doc:"the file that gets events whose path lies outside of the first folder"`
	CreateIfDeleted      bool          `ls:"create_if_deleted" default:"true" doc:"whether a file that was deleted is made again"`
	DirMode              int64         `ls:"dir_mode" default:"-1" doc:"the access rights of folders that are made; -1: those of the system"`
	FileMode             int64         `ls:"file_mode" default:"-1" doc:"the access rights of files that are made; -1: those of the system"`
	WriteBehavior        string        `ls:"write_behavior" enum:"append|overwrite" default:"append" doc:"whether events are written behind what is there"`
	StaleCleanupInterval int64         `ls:"stale_cleanup_interval" default:"10" doc:"after how many seconds without an event a file is closed"`
}

// DefaultCodec implements Plugin.
func (*File) DefaultCodec() string { return "json_lines" }

// Obsolete lists options that there were once.
func (*File) Obsolete() map[string]string {
	return map[string]string{"max_size": "rotate the files with logrotate", "message_format": "use codec => line { format => … }"}
}

// Setup implements Plugin.
func (f *File) Setup(s *Setup) (Output, error) {
	if text, ok := f.Path.Static(); ok && (text == "" || strings.HasSuffix(text, "/")) {
		return nil, option.Errorf("path", "expected the name of a file, found %q", text)
	}
	return &fileOutput{f, s.Now}, nil
}

type fileOutput struct {
	*File
	now func() time.Time
}

// Former implements Output.
func (f *fileOutput) Former(e codec.Encoder) Former { return &filed{Encoder: e, path: f.Path} }

// filed gives records whose key is the file's name.
type filed struct {
	Encoder codec.Encoder
	path    *event.Format
	last    []byte // the name of the record before; a new slice for each name, so that bodies of the same file lie side by side
	room    []byte
}

// Form implements Former.
func (f *filed) Form(dst []byte, r *flow.Record, e *event.Event) ([]byte, error) {
	start := len(dst)
	dst, err := codec.Encode(f.Encoder, dst, e)
	if err != nil {
		dst = e.AppendJSON(dst)
		r.Body = dst[start:len(dst):len(dst)]
		return dst, err
	}
	r.Body = dst[start:] // with the room behind it, see together
	if named, err := f.path.Append(f.room[:0], e); err == nil {
		if f.room = named; f.last == nil || !bytes.Equal(named, f.last) {
			f.last = bytes.Clone(named)
		}
		r.Key = f.last
	}
	return dst, nil
}

// Inspect implements input.Inspector.
func (f *fileOutput) Inspect(in *input.Inspection) {
	pattern := f.Path.String()
	if name, ok := f.Path.Static(); ok {
		in.File("path", name, true)
	} else if i := strings.Index(pattern, "%{"); i >= 0 {
		in.Folder("path", filepath.Dir(pattern[:i]+"x"))
	}
}

// Open implements Output.
func (f *fileOutput) Open(r *Run) (stream.Sink, error) {
	return stream.Sink{Sink: &files{o: f.File, now: f.now, log: r.Log, open: map[string]*openFile{}, swept: f.now()}, InOrder: true}, nil
}

// files is the sink of a file output: each record goes to the file that its key names.
type files struct {
	o     *File
	now   func() time.Time
	log   *slog.Logger
	open  map[string]*openFile
	swept time.Time
}

// Write implements flow.Sink. What it took is in the files when it returns; if it fails, as on a full disk, the files are
// as long as they were before, so that trying again doubles nothing.
func (s *files) Write(_ context.Context, recs []flow.Record) error {
	now := s.now()
	err := s.write(recs, now)
	if err != nil {
		for _, f := range s.open {
			err = errors.Join(err, f.rollBack())
		}
		return err
	}
	s.sweep(now)
	return nil
}

func (s *files) write(recs []flow.Record, now time.Time) error {
	for i := 0; i < len(recs); {
		f, err := s.file(recs[i].Key)
		if err != nil {
			return err
		}
		f.used, f.dirty = now, true
		body, n := together(recs[i:])
		if _, err := f.to.Write(body); err != nil {
			return err
		}
		i += n
	}
	for _, f := range s.open {
		if f.dirty {
			if err := f.flush(); err != nil {
				return err
			}
		}
	}
	for _, f := range s.open {
		if f.dirty {
			if err := f.settle(); err != nil {
				return err
			}
		}
	}
	return nil
}

// together gives the bodies of the first records that go to the same file and lie side by side in memory, as one.
func together(recs []flow.Record) (body []byte, n int) {
	body, n = recs[0].Body, 1
	for n < len(recs) && sameSlice(recs[n].Key, recs[0].Key) && isBehind(body, recs[n].Body) {
		body = body[:len(body)+len(recs[n].Body)]
		n++
	}
	return body, n
}

func sameSlice(a, b []byte) bool { return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) }

// isBehind reports that b begins where a ends, and that a can grow over it.
func isBehind(a, b []byte) bool {
	end := len(a)
	return len(b) > 0 && cap(a)-end >= len(b) && &a[:end+1][end] == &b[0]
}

// sweep closes files that had no event for a while.
func (s *files) sweep(now time.Time) {
	if now.Sub(s.swept) <= time.Second {
		return
	}
	s.swept = now
	for name, f := range s.open {
		if now.Sub(f.used) > time.Duration(s.o.StaleCleanupInterval)*time.Second {
			delete(s.open, name)
			if err := f.close(); err != nil {
				s.log.Warn("a file that had no event for a while cannot be closed", "file", name, "error", err)
			}
		}
	}
}

// file gives the file of a name. One outside of the folder that the path begins with is not written; events for it go to
// the file filename_failure in that folder.
func (s *files) file(key []byte) (*openFile, error) {
	if f, ok := s.open[string(key)]; ok && (!s.o.CreateIfDeleted || f.exists(string(key))) {
		return f, nil
	}
	name := string(key)
	if f, ok := s.open[name]; ok {
		delete(s.open, name)
		if err := f.close(); err != nil {
			return nil, err
		}
	}
	if pattern := s.o.Path.String(); strings.Contains(pattern, "%{") {
		root := filepath.Dir(pattern[:strings.Index(pattern, "%{")] + "x")
		if rel, err := filepath.Rel(root, filepath.Clean(name)); err != nil || name == "" || !filepath.IsLocal(rel) {
			name = filepath.Join(root, s.o.FilenameFailure)
		}
	}
	if f, ok := s.open[name]; ok {
		return f, nil
	}
	f, err := s.create(name)
	if err != nil {
		return nil, err
	}
	s.open[name] = f
	return f, nil
}

func (s *files) create(name string) (*openFile, error) {
	dirMode, fileMode := fs.FileMode(0o755), fs.FileMode(0o644)
	if s.o.DirMode >= 0 {
		dirMode = fs.FileMode(s.o.DirMode) & fs.ModePerm
	}
	if s.o.FileMode >= 0 {
		fileMode = fs.FileMode(s.o.FileMode) & fs.ModePerm
	}
	if err := os.MkdirAll(filepath.Dir(name), dirMode); err != nil {
		return nil, err
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	if s.o.WriteBehavior == "overwrite" {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	file, err := os.OpenFile(name, flags, fileMode)
	if err != nil {
		return nil, err
	}
	f := &openFile{file: file, to: bufio.NewWriterSize(file, 64<<10)}
	if s.o.Gzip {
		f.gzip = gzip.NewWriter(file)
		f.to.Reset(f.gzip)
	}
	return f, f.settle()
}

// Close implements flow.Sink.
func (s *files) Close(context.Context) error {
	var all []error
	for name, f := range s.open {
		delete(s.open, name)
		all = append(all, f.close())
	}
	return errors.Join(all...)
}

// openFile is a file that events are written to.
type openFile struct {
	file  *os.File
	gzip  *gzip.Writer // nil without compression
	to    *bufio.Writer
	used  time.Time
	dirty bool  // it has events of the write that is going on
	size  int64 // after the last write that succeeded; -1: it is no plain file, which cannot be rolled back
}

// exists reports that the file's name still is that file's.
func (f *openFile) exists(name string) bool {
	if f.dirty {
		return true // it was looked at for this write
	}
	info, err := os.Stat(name)
	if err != nil {
		return false
	}
	own, err := f.file.Stat()
	return err == nil && os.SameFile(info, own)
}

func (f *openFile) flush() error {
	if err := f.to.Flush(); err != nil {
		return err
	}
	if f.gzip != nil {
		return f.gzip.Flush()
	}
	return nil
}

// settle notes that all that is in the file stays there.
func (f *openFile) settle() error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	f.size, f.dirty = -1, false
	if info.Mode().IsRegular() {
		f.size = info.Size()
	}
	return nil
}

// rollBack takes back what was written since settle.
func (f *openFile) rollBack() error {
	if !f.dirty {
		return nil
	}
	f.dirty = false
	if f.gzip != nil {
		f.gzip.Reset(f.file) // the next member of the file
		f.to.Reset(f.gzip)
	} else {
		f.to.Reset(f.file)
	}
	if f.size < 0 {
		return nil
	}
	if err := f.file.Truncate(f.size); err != nil {
		return err
	}
	_, err := f.file.Seek(f.size, io.SeekStart)
	return err
}

func (f *openFile) close() error {
	err := f.to.Flush()
	if f.gzip != nil {
		err = errors.Join(err, f.gzip.Close())
	}
	return errors.Join(err, f.file.Close())
}

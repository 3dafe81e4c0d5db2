package logstash

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/narudata/naru/flow"
)

// A Sink writes what a pipeline's stages give: each record to the output that its Index names. It is used by one
// goroutine at a time.
type Sink struct {
	p      *Pipeline
	stdout *bufio.Writer
	files  []map[string]*openFile // of each output
	swept  time.Time
}

var _ flow.Sink = (*Sink)(nil)

// NewSink makes the sink of a pipeline; its stdout outputs write to stdout.
func (p *Pipeline) NewSink(stdout io.Writer) *Sink {
	return &Sink{p: p, stdout: bufio.NewWriterSize(stdout, 64<<10), files: make([]map[string]*openFile, len(p.Outputs)), swept: p.o.Now()}
}

// openFile is a file that events are written to.
type openFile struct {
	file *os.File
	gzip *gzip.Writer // nil without compression
	to   *bufio.Writer
	used time.Time
}

// Write implements flow.Sink. What it took is in the files, or was handed to standard output, when it returns.
func (s *Sink) Write(_ context.Context, recs []flow.Record) error {
	for i := 0; i < len(recs); {
		n := number(recs[i].Index)
		if n < 0 || n >= len(s.p.Outputs) {
			return flow.Permanent(fmt.Errorf("write: there is no output %d", n))
		}
		end := i + 1
		for end < len(recs) && recs[end].Index == recs[i].Index {
			end++
		}
		var err error
		if f, ok := s.p.Outputs[n].Options.(*File); ok {
			err = s.toFiles(n, f, recs[i:end])
		} else {
			err = s.toStdout(recs[i:end])
		}
		if err != nil {
			return fmt.Errorf("%s output %s: %w", s.p.Outputs[n].Name, s.p.Outputs[n].ID, err)
		}
		i = end
	}
	return s.flush()
}

func (s *Sink) toStdout(recs []flow.Record) error {
	for i := range recs {
		if _, err := s.stdout.Write(recs[i].Body); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sink) toFiles(n int, o *File, recs []flow.Record) error {
	if s.files[n] == nil {
		s.files[n] = map[string]*openFile{}
	}
	for i := range recs {
		f, err := s.open(s.files[n], o, string(recs[i].Key))
		if err != nil {
			return err
		}
		f.used = s.p.o.Now()
		if _, err := f.to.Write(recs[i].Body); err != nil {
			return err
		}
	}
	return nil
}

// open gives the file of a name. One outside of the folder that the path begins with is not written; events for it go to
// the file filename_failure in that folder.
func (s *Sink) open(files map[string]*openFile, o *File, name string) (*openFile, error) {
	if f, ok := files[name]; ok && (!o.CreateIfDeleted || f.exists(name)) {
		return f, nil
	} else if ok {
		delete(files, name)
		if err := f.close(); err != nil {
			return nil, err
		}
	}
	if pattern := o.Path.String(); strings.Contains(pattern, "%{") {
		root := filepath.Dir(pattern[:strings.Index(pattern, "%{")] + "x")
		if rel, err := filepath.Rel(root, filepath.Clean(name)); err != nil || name == "" || !filepath.IsLocal(rel) {
			name = filepath.Join(root, o.FilenameFailure)
		}
	}
	if f, ok := files[name]; ok {
		return f, nil
	}
	dirMode, fileMode := fs.FileMode(0o755), fs.FileMode(0o644)
	if o.DirMode >= 0 {
		dirMode = fs.FileMode(o.DirMode) & fs.ModePerm
	}
	if o.FileMode >= 0 {
		fileMode = fs.FileMode(o.FileMode) & fs.ModePerm
	}
	if err := os.MkdirAll(filepath.Dir(name), dirMode); err != nil {
		return nil, err
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	if o.WriteBehavior == "overwrite" {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	file, err := os.OpenFile(name, flags, fileMode)
	if err != nil {
		return nil, err
	}
	f := &openFile{file: file, to: bufio.NewWriterSize(file, 64<<10)}
	if o.Gzip {
		f.gzip = gzip.NewWriter(file)
		f.to.Reset(f.gzip)
	}
	files[name] = f
	return f, nil
}

// exists reports that the file's name still is that file's.
func (f *openFile) exists(name string) bool {
	if f.to.Buffered() > 0 {
		return true // it was looked at for this batch
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

func (f *openFile) close() error {
	err := f.to.Flush()
	if f.gzip != nil {
		err = errors.Join(err, f.gzip.Close())
	}
	return errors.Join(err, f.file.Close())
}

// flush writes what is buffered, and closes files that had no event for a while.
func (s *Sink) flush() error {
	if err := s.stdout.Flush(); err != nil {
		return err
	}
	now := s.p.o.Now()
	sweep := now.Sub(s.swept) > time.Second
	if sweep {
		s.swept = now
	}
	for n, files := range s.files {
		o, ok := s.p.Outputs[n].Options.(*File)
		if !ok {
			continue
		}
		for name, f := range files {
			if f.to.Buffered() > 0 {
				if err := f.flush(); err != nil {
					return err
				}
			}
			if sweep && now.Sub(f.used) > time.Duration(o.StaleCleanupInterval)*time.Second {
				delete(files, name)
				if err := f.close(); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Close implements flow.Sink.
func (s *Sink) Close(context.Context) error {
	var all []error
	for _, files := range s.files {
		for name, f := range files {
			delete(files, name)
			all = append(all, f.close())
		}
	}
	return errors.Join(all...)
}

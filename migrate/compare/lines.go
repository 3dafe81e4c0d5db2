package compare

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/narudata/naru/flow"
)

// Lines are files with a JSON object in each line, as they are or compressed with gzip or Zstandard. A line is a document, or
// a hit around one, with _id and _source. A record's Meta is the number of its line, behind the name of its file if there are
// several.
type Lines struct {
	Files   []string  // regular files
	Stdin   io.Reader // instead of Files
	Workers int       // files read at a time; 0: 2
}

var _ Source = (*Lines)(nil)

// LinesAt are the lines of a file, or of all files under a folder whose names do not begin with a dot.
func LinesAt(path string) (*Lines, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return &Lines{Files: []string{path}}, nil
	}
	l := &Lines{}
	err = filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if hidden := strings.HasPrefix(d.Name(), ".") && name != path; hidden {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.Type().IsRegular() {
			l.Files = append(l.Files, name)
		}
		return nil
	})
	if err == nil && len(l.Files) == 0 {
		err = fmt.Errorf("%s: there is no file in it", path)
	}
	return l, err
}

// mostLine is how long a line may be, in bytes.
const mostLine = 64 << 20

// Read implements Source.
func (l *Lines) Read(ctx context.Context, visit func([]flow.Record) error) error {
	if l.Stdin != nil {
		return readLines(ctx, "standard input", "", l.Stdin, visit)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	files := make(chan string)
	var workers sync.WaitGroup
	n := l.Workers
	if n <= 0 {
		n = 2
	}
	for range min(n, len(l.Files)) {
		workers.Go(func() {
			for name := range files {
				if err := l.file(ctx, name, visit); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, name := range slices.Sorted(slices.Values(l.Files)) {
		select {
		case files <- name:
		case <-ctx.Done():
		}
	}
	close(files)
	workers.Wait()
	return context.Cause(ctx)
}

func (l *Lines) file(ctx context.Context, name string, visit func([]flow.Record) error) (err error) {
	if ctx.Err() != nil {
		return nil
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	prefix := ""
	if len(l.Files) > 1 {
		prefix = filepath.Base(name) + ":"
	}
	return readLines(ctx, name, prefix, f, visit)
}

func readLines(ctx context.Context, name, prefix string, from io.Reader, visit func([]flow.Record) error) error {
	in := bufio.NewReaderSize(from, 256<<10)
	switch magic, _ := in.Peek(4); {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(in)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		in = bufio.NewReaderSize(z, 256<<10)
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		defer z.Close()
		in = bufio.NewReaderSize(z, 256<<10)
	}
	b := &flow.Batch{MaxRecords: batchRecords, MaxBytes: batchBytes}
	var line []byte
	for number := int64(1); ; number++ {
		line = line[:0]
		var err error
		for {
			var piece []byte
			piece, err = in.ReadSlice('\n')
			if len(line)+len(piece) > mostLine {
				return fmt.Errorf("%s:%d: a line is longer than %d MiB: these are no lines of JSON", name, number, mostLine>>20)
			}
			line = append(line, piece...)
			if !errors.Is(err, bufio.ErrBufferFull) {
				break
			}
		}
		if err != nil && err != io.EOF { //nolint:errorlint // itself: a wrapped one is damage
			return fmt.Errorf("%s:%d: %w", name, number, err)
		}
		if doc := bytes.TrimSpace(line); len(doc) > 0 {
			b.Records = append(b.Records, lineRecord(b, doc, prefix, number))
		}
		if b.Full() || err != nil {
			if visited := visit(b.Records); visited != nil {
				return visited
			}
			b.Reset()
		}
		if err != nil {
			return ctx.Err()
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// lineRecord makes a record of a line, which is copied.
func lineRecord(b *flow.Batch, doc []byte, prefix string, number int64) flow.Record {
	r := flow.Record{Body: b.Copy(doc), Meta: b.Copy(strconv.AppendInt([]byte(prefix), number, 10))}
	if !bytes.Contains(doc, []byte(`"_source"`)) {
		return r
	}
	hit, err := parse(r.Body)
	if err != nil {
		return r
	}
	id, source := hit.get("_id"), hit.get("_source")
	if id == nil || source == nil || source.kind != object {
		return r
	}
	r.Body, r.Key = source.raw, b.Copy([]byte(id.text()))
	if source.raw == nil { // dotted names were put where they belong
		r.Body = b.Copy(source.json())
	}
	if n := hit.get("_index"); n != nil {
		r.Index = n.text()
	}
	if n := hit.get("_routing"); n != nil {
		r.Routing = b.Copy([]byte(n.text()))
	}
	return r
}

package agent

import (
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
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

type nowhere struct{}

func (nowhere) Write(context.Context, []flow.Record) error { return nil }
func (nowhere) Close(context.Context) error                { return nil }

// Console writes events to standard output.
type Console struct{ Codec Codec }

func (o *Console) form(dst []byte, _ *flow.Record, e *Event, _ *Input) ([]byte, error) {
	dst, err := o.Codec.append(dst, e, e.metadata(beatName))
	return append(dst, '\n'), err
}

func (o *Console) open(x *Options) (stream.Sink, error) {
	if x.Stdout == nil {
		return stream.Sink{}, errors.New("output.console: there is no standard output")
	}
	return stream.Sink{Sink: console{x.Stdout}, InOrder: true}, nil
}

type console struct{ w io.Writer }

func (c console) Write(_ context.Context, recs []flow.Record) error {
	n := 0
	for i := range recs {
		n += len(recs[i].Body)
	}
	all := make([]byte, 0, n)
	for i := range recs {
		all = append(all, recs[i].Body...)
	}
	_, err := c.w.Write(all)
	return err
}

func (console) Close(context.Context) error { return nil }

// Files writes events to files: Dir/Name-20261124.ndjson, then Name-20261124-1.ndjson when that has grown to its size …
type Files struct {
	Dir, Name string
	Bytes     int64 // of a file
	Keep      int   // files; older ones are deleted
	Mode      fs.FileMode
	Fresh     bool // begin a new one at each start
	Codec     Codec
}

func (o *Files) form(dst []byte, _ *flow.Record, e *Event, _ *Input) ([]byte, error) {
	dst, err := o.Codec.append(dst, e, e.metadata(beatName))
	return append(dst, '\n'), err
}

func (o *Files) open(x *Options) (stream.Sink, error) {
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return stream.Sink{}, err
	}
	return stream.Sink{Sink: &fileSink{o: *o, now: x.now(), fresh: o.Fresh}, InOrder: true}, nil
}

// fileSink is where Files go.
type fileSink struct {
	o     Files
	now   func() time.Time
	fresh bool // the next one is new
	f     *os.File
	size  int64
}

// Write implements flow.Sink. If it fails, as on a full disk, the file is as long as it was before.
func (s *fileSink) Write(_ context.Context, recs []flow.Record) error {
	if s.f == nil || s.size >= s.o.Bytes {
		if err := s.next(); err != nil {
			return err
		}
	}
	var all []byte
	for i := range recs {
		all = append(all, recs[i].Body...)
	}
	if _, err := s.f.Write(all); err != nil {
		return errors.Join(err, s.f.Truncate(s.size))
	}
	s.size += int64(len(all))
	return nil
}

// next opens the file that is written to now: the last one that has room, or a new one.
func (s *fileSink) next() error {
	if s.f != nil {
		if err := s.f.Close(); err != nil {
			return err
		}
		s.f = nil
	}
	stem := s.o.Name + "-" + s.now().UTC().Format("20060102")
	all, err := s.mine()
	if err != nil {
		return err
	}
	name := stem + ".ndjson"
	if n := len(all); n > 0 && (all[n-1] == name || strings.HasPrefix(all[n-1], stem+"-")) {
		name = all[n-1]
		number, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(name, stem+"-"), ".ndjson")) // the first has none
		info, err := os.Stat(filepath.Join(s.o.Dir, name))
		if err != nil || info.Size() >= s.o.Bytes || s.fresh {
			name = stem + "-" + strconv.Itoa(number+1) + ".ndjson"
		}
	}
	s.fresh = false
	f, err := os.OpenFile(filepath.Join(s.o.Dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, s.o.Mode)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	s.f, s.size = f, info.Size()
	if !slices.Contains(all, name) {
		all = append(all, name)
	}
	for len(all) > s.o.Keep {
		if err := os.Remove(filepath.Join(s.o.Dir, all[0])); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		all = all[1:]
	}
	return nil
}

// mine lists the files of this output, the oldest first.
func (s *fileSink) mine() ([]string, error) {
	entries, err := os.ReadDir(s.o.Dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		middle, ok := strings.CutPrefix(e.Name(), s.o.Name+"-")
		if middle, ok2 := strings.CutSuffix(middle, ".ndjson"); ok && ok2 {
			if day, number, _ := strings.Cut(middle, "-"); len(day) == 8 && allDigits(day) && allDigits(number) {
				out = append(out, e.Name())
			}
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		key := func(n string) string {
			day, number, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(n, s.o.Name+"-"), ".ndjson"), "-")
			return fmt.Sprintf("%s-%10s", day, number)
		}
		return strings.Compare(key(a), key(b))
	})
	return out, nil
}

func allDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// Close implements flow.Sink.
func (s *fileSink) Close(context.Context) error {
	if s.f == nil {
		return nil
	}
	return errors.Join(s.f.Sync(), s.f.Close())
}

package objects

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/flow"
)

// Write says how records are put into objects. Each goes into a file in Dir, which is an object's once it is large or old enough.
// What a Write has taken is in such a file, on the disk. After a crash, files that were left are made objects by the next run.
type Write struct {
	Store blob.Writer
	Dir   string // of one pipeline, or of several: files that are in use are known
	// Name gives the name of a new object below the prefix that a record's Key is; part counts from 0 on.
	Name func(now time.Time, part int) string
	// Size and Age are when a file is an object: it has that many bytes, it is that old; 0: this does not count.
	Size    int64
	Age     time.Duration
	Gzip    bool
	Uploads int // at a time; 0: 2
	// Waiting is how many files may wait for their upload before no more records are taken; 0: 16.
	Waiting int
	Pause   time.Duration // between tries of an upload that fails; 0: 1 s
	Tries   int           // how often an upload is tried again, before its file is left for the next run; 0: without an end
	Restore bool          // make objects of files that were left
	Now     func() time.Time
	Log     *slog.Logger // nil: nowhere
}

// Files is the sink of a Write. One Write at a time.
type Files struct {
	c       Write
	ctx     context.Context //nolint:containedctx // of the uploads, which outlive each Write
	stop    context.CancelFunc
	local   *blob.Dir
	uploads chan string // names of files in Dir
	workers sync.WaitGroup
	ticks   sync.WaitGroup
	closing chan struct{}

	mu    sync.Mutex // guards what follows
	open  map[string]*file
	parts map[string]int // of each prefix
	over  bool
}

var _ flow.Sink = (*Files)(nil)

// mostOpen is how many files there are at a time; the oldest becomes an object when there are more.
const mostOpen = 512

// Open makes the folder, and begins to upload what was left in it.
func (c Write) Open() (*Files, error) {
	c.Uploads, c.Waiting, c.Pause = cmp.Or(c.Uploads, 2), cmp.Or(c.Waiting, 16), cmp.Or(c.Pause, time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(c.Dir, 0o750); err != nil {
		return nil, err
	}
	local, err := blob.OpenDir(c.Dir)
	if err != nil {
		return nil, err
	}
	s := &Files{c: c, local: local, uploads: make(chan string, c.Waiting), closing: make(chan struct{}), open: map[string]*file{}, parts: map[string]int{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	var left []string
	if c.Restore {
		if left, err = s.left(); err != nil {
			return nil, errors.Join(fmt.Errorf("look for what was left in %s: %w", c.Dir, err), local.Close())
		}
	}
	for range c.Uploads {
		s.workers.Go(func() {
			for name := range s.uploads {
				s.upload(name)
			}
		})
	}
	s.ticks.Go(func() {
		for _, name := range left {
			if !s.queue(name) {
				return
			}
		}
		s.rotateOld()
	})
	return s, nil
}

// queue hands a file to the uploads; false: the sink is closed first.
func (s *Files) queue(name string) bool {
	select {
	case s.uploads <- name:
		return true
	case <-s.closing:
		return false
	}
}

// rotateOld makes objects of files that are old enough, until the sink is closed.
func (s *Files) rotateOld() {
	if s.c.Age <= 0 {
		return
	}
	tick := time.NewTicker(max(10*time.Millisecond, min(s.c.Age/10, 5*time.Second)))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.closing:
			return
		}
		s.mu.Lock()
		var old []*file
		for _, f := range s.open {
			if s.c.Now().Sub(f.made) >= s.c.Age {
				old = append(old, f)
			}
		}
		names := s.rotate(old)
		s.mu.Unlock()
		for _, name := range names {
			if !s.queue(name) {
				return // the file stays, and is uploaded by Close or by the next run
			}
		}
	}
}

// rotate ends files and gives their names. s.mu is held.
func (s *Files) rotate(files []*file) []string {
	var names []string
	for _, f := range files {
		delete(s.open, f.prefix)
		name, err := f.finish()
		if err != nil {
			s.c.Log.Error("a file cannot be ended: it is left for the next run", "file", f.name, "error", err)
			continue
		}
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}

// Write implements flow.Sink. If it fails, on a full disk, say, the files are as they were before. A record whose Key cannot begin the
// name of an object has failed for good.
func (s *Files) Write(ctx context.Context, recs []flow.Record) error {
	var failed flow.Failures
	for i := range recs {
		if err := checkPrefix(string(recs[i].Key)); err != nil {
			failed = append(failed, flow.Failure{Index: i, Err: flow.Permanent(err)})
		}
	}
	if len(failed) == 0 {
		return s.take(ctx, recs)
	}
	good := make([]flow.Record, 0, len(recs))
	n := 0
	for i := range recs {
		if n < len(failed) && failed[n].Index == i {
			n++
			continue
		}
		good = append(good, recs[i])
	}
	if err := s.take(ctx, good); err != nil {
		return err
	}
	return failed
}

// checkPrefix says why a text cannot begin the name of an object, which is one of a file, too.
func checkPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	if !fs.ValidPath(path.Join(prefix, "x")) || strings.ContainsRune(prefix, 0) || len(prefix) > 700 {
		return fmt.Errorf("%.100q cannot begin the name of an object", prefix)
	}
	for part := range strings.SplitSeq(prefix, "/") {
		if len(part) > 255 {
			return fmt.Errorf("%.100q… is too long for a part of a name", part)
		}
	}
	return nil
}

// take writes records whose keys are good.
func (s *Files) take(ctx context.Context, recs []flow.Record) error {
	s.mu.Lock()
	err := s.write(recs)
	var full []*file
	if err == nil {
		for _, f := range s.open {
			if s.c.Size > 0 && f.size >= s.c.Size || s.c.Age > 0 && s.c.Now().Sub(f.made) >= s.c.Age {
				full = append(full, f)
			}
		}
		for len(s.open)-len(full) > mostOpen {
			full = append(full, s.oldest(full))
		}
	}
	names := s.rotate(full)
	s.mu.Unlock()
	for i, name := range names {
		select {
		case s.uploads <- name:
		case <-ctx.Done():
			// What was written is safe; the next run uploads it.
			s.c.Log.Info("files are left for the next run", "files", len(names)-i)
			return err
		}
	}
	return err
}

func (s *Files) oldest(but []*file) *file {
	var oldest *file
	for _, f := range s.open {
		taken := false
		for _, b := range but {
			taken = taken || b == f
		}
		if !taken && (oldest == nil || f.made.Before(oldest.made)) {
			oldest = f
		}
	}
	return oldest
}

// write appends records to their files, and syncs these.
func (s *Files) write(recs []flow.Record) (err error) {
	used := map[*file]bool{}
	defer func() {
		if err == nil {
			return
		}
		for f := range used {
			if rerr := f.rollBack(); rerr != nil {
				// It cannot be gone on with; what it has is safe, and perhaps something more.
				delete(s.open, f.prefix)
				err = errors.Join(err, rerr, f.abandon())
			}
		}
	}()
	if s.over {
		return fs.ErrClosed
	}
	for i := range recs {
		f := s.open[string(recs[i].Key)]
		if f == nil {
			if f, err = s.create(string(recs[i].Key)); err != nil {
				return err
			}
			s.open[f.prefix] = f
		}
		used[f] = true
		if err := f.write(recs[i].Body); err != nil {
			return fmt.Errorf("write %s: %w", f.name, err)
		}
	}
	for f := range used {
		if err := f.sync(); err != nil {
			return fmt.Errorf("write %s: %w", f.name, err)
		}
	}
	for f := range used {
		f.settle()
	}
	return nil
}

// create makes the file of a prefix. Its path below the folder of its own is the object's name.
func (s *Files) create(prefix string) (*file, error) {
	part := s.parts[prefix]
	name := path.Join(prefix, s.c.Name(s.c.Now(), part))
	if !fs.ValidPath(name) {
		return nil, fmt.Errorf("%q: %w", name, fs.ErrInvalid)
	}
	own, err := os.MkdirTemp(s.c.Dir, "naru-")
	if err != nil {
		return nil, err
	}
	f, err := newFile(s.c.Dir, path.Join(filepath.Base(own), name), s.c.Gzip)
	if err != nil {
		return nil, err
	}
	if len(s.parts) > 10*mostOpen {
		clear(s.parts) // names are different anyway
	}
	s.parts[prefix] = part + 1
	f.prefix, f.made = prefix, s.c.Now()
	return f, nil
}

// upload makes an object of a file, and removes it.
func (s *Files) upload(name string) {
	own, object, _ := strings.Cut(name, "/")
	for tries := 1; ; tries++ {
		err := s.put(own, object)
		if err == nil {
			if err := s.local.Remove(context.WithoutCancel(s.ctx), name); err != nil {
				s.c.Log.Warn("a file that was uploaded cannot be removed", "file", name, "error", err)
			}
			return
		}
		if errors.Is(err, fs.ErrExist) {
			// Another object has the name: one that was cut off by a crash while it was uploaded by another program, say.
			other := again(object)
			if rerr := os.Rename(filepath.Join(s.c.Dir, own, filepath.FromSlash(object)), filepath.Join(s.c.Dir, own, filepath.FromSlash(other))); rerr == nil {
				object, name = other, path.Join(own, other)
				continue
			}
		}
		if s.ctx.Err() != nil || s.c.Tries > 0 && tries > s.c.Tries {
			s.c.Log.Error("a file cannot be uploaded: it is left for the next run", "file", name, "store", s.c.Store, "error", err)
			return
		}
		if tries&(tries-1) == 0 {
			s.c.Log.Warn("a file cannot be uploaded, trying again", "file", name, "store", s.c.Store, "error", err, "failures", tries)
		}
		t := time.NewTimer(s.c.Pause)
		select {
		case <-t.C:
		case <-s.ctx.Done():
			t.Stop()
		}
	}
}

// again is another name for an object: with a time before its ending.
func again(object string) string {
	dir, base := path.Split(object)
	stem, ending := base, ""
	for _, e := range []string{".gz", ".txt"} {
		if s, ok := strings.CutSuffix(stem, e); ok {
			stem, ending = s, e+ending
		}
	}
	return dir + stem + ".again" + strconv.FormatInt(time.Now().UnixNano(), 36) + ending
}

// put uploads what is called object in the folder of its own. One that is there already with another size is of somebody else: as
// names are never given twice, that is a fault, and the file stays.
func (s *Files) put(own, object string) error {
	dir, err := blob.OpenDir(filepath.Join(s.c.Dir, own))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another process, which has restored it, was faster
	}
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	size, err := dir.Stat(s.ctx, object)
	if errors.Is(err, fs.ErrNotExist) || err == nil && size == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = s.c.Store.Take(s.ctx, dir, object, size)
	return err
}

// Close implements flow.Sink: what there is becomes objects, as far as there is time. The rest is left for the next run.
func (s *Files) Close(ctx context.Context) error {
	close(s.closing)
	s.ticks.Wait()
	s.mu.Lock()
	s.over = true
	var all []*file
	for _, f := range s.open {
		all = append(all, f)
	}
	names := s.rotate(all)
	s.mu.Unlock()
	defer context.AfterFunc(ctx, s.stop)()
	for _, name := range names {
		select {
		case s.uploads <- name:
		case <-ctx.Done():
			s.c.Log.Info("a file is left for the next run", "file", name)
		}
	}
	close(s.uploads)
	s.workers.Wait()
	s.stop()
	return s.local.Close()
}

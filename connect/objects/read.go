// Package objects has a source that reads the objects of a bucket line by line as they come, and a sink that writes records into
// objects.
package objects

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/flow/stream"
)

// Read says which objects are read, and what becomes of them. The zero value of all but Store and Ledger works.
type Read struct {
	Store  *blob.S3 // the bucket
	Begin  string   // what names of objects begin with
	Skip   func(name string) bool
	Gzip   func(name string) bool // which objects are compressed; nil: none
	Ledger string                 // the file that says what is done; see ledger
	Settle time.Duration          // objects that have changed since are left for the next time
	Every  time.Duration          // how often it is looked for new ones; 0: once
	// What is done with an object when all of it is safe, in this order.
	Backup   *blob.S3 // copied to; nil: not
	BackupTo string   // copied into this folder; empty: not
	Delete   bool
	// KeepEnds: lines are given with their ends, but for those of compressed objects; this is what Logstash does.
	KeepEnds bool
	MaxLine  int // a longer line is cut into several, in bytes; 0: 16 MiB
	AtATime  int // objects that are read and not yet safe; 0: 4
	Port     int32
	Log      *slog.Logger // nil: nowhere
}

// Objects is the source of a Read. It is not volatile: what is not done is read again.
type Objects struct {
	Read
	ledger *ledger
	done   sync.WaitGroup // objects on their way

	mu sync.Mutex // guards on
	on map[string]bool
}

var _ stream.Source = (*Objects)(nil)

// Open reads the ledger.
func (r Read) Open() (*Objects, error) {
	r.MaxLine = cmp.Or(r.MaxLine, 16<<20)
	r.AtATime = cmp.Or(r.AtATime, 4)
	if r.Log == nil {
		r.Log = slog.New(slog.DiscardHandler)
	}
	l, err := openLedger(r.Ledger)
	if err != nil {
		return nil, err
	}
	return &Objects{Read: r, ledger: l, on: map[string]bool{}}, nil
}

// Run implements stream.Source. What cannot be listed or read is tried again the next time.
func (s *Objects) Run(ctx context.Context, open func(stream.Stream)) error {
	defer s.ledger.close()
	defer s.done.Wait()
	slots := make(chan struct{}, s.AtATime)
	for failures := 0; ; {
		err := s.round(ctx, open, slots)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			failures++
			s.Log.Warn("the objects of a bucket cannot be listed, trying again", "store", s.Store, "error", err, "failures", failures)
		} else {
			failures = 0
		}
		wait := s.Every
		if wait <= 0 {
			if err == nil {
				return nil
			}
			wait = min(time.Duration(failures)*time.Second, time.Minute)
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil
		}
	}
}

// round opens a stream for each object that is to be read, the oldest first.
func (s *Objects) round(ctx context.Context, open func(stream.Stream), slots chan struct{}) error {
	began := time.Now()
	found, err := s.list(ctx)
	if err != nil {
		return err
	}
	for _, o := range found {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		s.mu.Lock()
		busy := s.on[o.Name]
		s.on[o.Name] = true
		s.mu.Unlock()
		if busy {
			<-slots
			continue
		}
		s.done.Add(1)
		open(newObject(s, o, func(complete bool) {
			defer s.done.Done()
			if complete {
				s.finish(context.WithoutCancel(ctx), o)
			}
			s.mu.Lock()
			delete(s.on, o.Name)
			s.mu.Unlock()
			<-slots
		}))
	}
	if s.Every <= 0 {
		s.done.Wait()
	}
	return s.ledger.forget(began)
}

// list gives the objects that are to be read. Those that are done already, and whose end was cut off by a crash, are ended now.
func (s *Objects) list(ctx context.Context) ([]blob.Object, error) {
	var found []blob.Object
	s.ledger.begin()
	now := time.Now()
	for o, err := range s.Store.Objects(ctx, s.Begin) {
		if err != nil {
			return nil, err
		}
		switch {
		case o.Name == s.Begin, o.Name == "", o.Name[len(o.Name)-1] == '/', s.Skip != nil && s.Skip(o.Name), o.Size <= 0:
		case !fs.ValidPath(o.Name):
			s.Log.Warn("an object is left alone because of its name", "object", o.Name)
		case s.ledger.isDone(&o):
			if s.ledger.isHere(&o) {
				s.finish(ctx, o)
			}
		case o.Archived():
			s.Log.Debug("an object is archived", "object", o.Name)
		case s.Settle > 0 && o.Modified.After(now.Add(-s.Settle)):
			s.ledger.hold(o.Modified)
		default:
			s.ledger.hold(o.Modified)
			found = append(found, o)
		}
	}
	slices.SortStableFunc(found, func(a, b blob.Object) int { return a.Modified.Compare(b.Modified) })
	return found, nil
}

// finish notes that an object is done, and then puts it away. If that fails, or a crash comes between, it is put away when it is
// listed the next time.
func (s *Objects) finish(ctx context.Context, o blob.Object) {
	here := s.Backup != nil || s.BackupTo != "" || s.Delete
	if err := s.ledger.done(&o, false, here); err != nil {
		s.Log.Error("it cannot be noted that an object is done: it will be read again", "object", o.Name, "error", err)
		return
	}
	if !here {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, putAwayTime)
	defer cancel()
	err := s.putAway(ctx, &o)
	if err == nil {
		err = s.ledger.done(&o, false, false)
	}
	if err != nil {
		s.Log.Warn("an object is done and cannot be put away: it is tried again", "object", o.Name, "error", err)
	}
}

// putAwayTime bounds what is done with an object that is done; a shutdown may have to wait for it.
const putAwayTime = time.Minute

func (s *Objects) putAway(ctx context.Context, o *blob.Object) error {
	if s.Backup != nil {
		_, err := s.Backup.Take(ctx, s.Store, o.Name, o.Size)
		if errors.Is(err, fs.ErrExist) { // of another size: from before it was changed
			if err = s.Backup.Remove(ctx, o.Name); err == nil {
				_, err = s.Backup.Take(ctx, s.Store, o.Name, o.Size)
			}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("copy it to %s: %w", s.Backup, err)
		}
	}
	if s.BackupTo != "" {
		if err := s.download(ctx, o); err != nil {
			return fmt.Errorf("copy it into %s: %w", s.BackupTo, err)
		}
	}
	if !s.Delete {
		return nil
	}
	// One that was changed in the meantime is read again.
	size, err := s.Store.Stat(ctx, o.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || size != o.Size {
		return err
	}
	return s.Store.Remove(ctx, o.Name)
}

// download copies an object into a folder, by the last part of its name.
func (s *Objects) download(ctx context.Context, o *blob.Object) error {
	if err := os.MkdirAll(s.BackupTo, 0o700); err != nil {
		return err
	}
	r, err := s.Store.Open(ctx, o.Name, 0, -1)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	f, err := os.CreateTemp(s.BackupTo, ".naru-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(s.BackupTo, path.Base(o.Name)))
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

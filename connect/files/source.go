package files

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// Options are what a source has of its surroundings. The zero value works.
type Options struct {
	Port int32 // of the records
	Log  *slog.Logger
	// Registry is used instead of the file that Config.Registry names. The source closes it.
	Registry Registry
	// Import gives what other programs knew of the files. It is asked once, when the registry is new; keys are given by the
	// source. An error stops the source: to go on without would read twice, or skip.
	Import func() ([]Entry, error)
	// Completed is told of a file (Mode Read, and compressed files) of which all is acknowledged, which is saved, and which is
	// as long as it was when it was read. It is called again if it fails, or if the process dies before that it was called is
	// saved. Never concurrently.
	Completed func(path string) error
	// Keys gives records a Key: the 8 bytes (big-endian) of Entry.Key of their file. With the offset it names a line for good: a
	// file that was truncated gets a new one.
	Keys bool
	// Skip leaves files out, beside Config.Exclude.
	Skip func(path string) bool
	// MaxRecords and MaxBytes bound batches that have no bounds of their own; 0: 4096, 1 MiB.
	MaxRecords, MaxBytes int
	Now                  func() time.Time
}

// Stats are figures of a source since it was made.
type Stats struct {
	Files     int64 // known and there
	Open      int64 // open now
	Lines     int64 // given
	Bytes     int64 // of given lines
	LongLines int64 // lines longer than Config.MaxLineBytes: cut, or left out
	Skipped   int64 // of them, left out
	Truncated int64 // how often a file was found truncated
	Lost      int64 // bytes that were seen to be there and truncated before they were read; others may be unseen
	Rotated   int64 // how often a path led to another file
	Failures  int64 // reads and opens that failed
	Damaged   int64 // compressed files that could not be unpacked
	SaveFails int64 // saves of the registry that failed
}

type figures struct {
	files, open, lines, bytes, longLines, skipped, truncated, lost, rotated, failures, damaged, saveFails atomic.Int64
}

// A Source reads files. It is a stream.Source with one stream, which gives the lines of all files in turns: Body is the line
// without its delimiter, Version the offset where it begins, Meta the path, which the records of a file share.
type Source struct {
	c      Config
	o      Options
	log    *slog.Logger
	now    func() time.Time
	find   *finder
	saving sync.Mutex // held by who uses the registry; taken before mu
	stats  figures

	registry Registry

	// Of the scan alone.
	files      map[*file]struct{}
	at         map[string]*file // by the path that leads to them now
	last       map[string]*file // by the last path that led to them
	byID       map[ID]*file
	byHead     map[Head]*file // those that are known by content alone
	shapes     map[Head]int   // From and Bytes of the keys of byHead
	away       map[*file]struct{}
	vacant     map[string]time.Time // paths that led to a file a moment ago
	born       bool                 // what is found is new: not at the first look
	since      int64                // unix nanoseconds: what changed later, and is not known, came while nobody looked; 0: not known
	idle       []*file              // open, and could be closed
	room       []byte               // for heads
	discovered time.Time
	swept      time.Time
	troubled   time.Time
	crowded    time.Time

	mu         sync.Mutex // guards what follows, and parts of files
	ready      queue
	packed     queue // compressed ones
	dirty      []*file
	forget     []uint64
	completing []*file
	nextKey    uint64
	seq        uint64 // of the last batch
	flying     []flight
	spare      [][]advance
	unfinished int  // files that are not finished; counts with Once
	started    bool // the first look is over
	starving   bool // files wait for others to be closed
	fresh      bool // there are files that the registry does not know

	wake chan struct{} // the stream: there is something
	kick chan struct{} // the scan: somebody waits
}

var _ stream.Source = (*Source)(nil)

// New gives the source of c, which must be valid.
func New(c Config, o Options) (*Source, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &Source{
		c: c.withDefaults(), o: o, log: o.Log, now: o.Now,
		files: map[*file]struct{}{}, at: map[string]*file{}, last: map[string]*file{}, byID: map[ID]*file{}, byHead: map[Head]*file{},
		shapes: map[Head]int{}, away: map[*file]struct{}{}, vacant: map[string]time.Time{}, nextKey: 1,
		wake: make(chan struct{}, 1), kick: make(chan struct{}, 1), registry: o.Registry,
	}
	s.room = make([]byte, max(s.c.FingerprintBytes, 1024))
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.o.MaxRecords <= 0 {
		s.o.MaxRecords = 4096
	}
	if s.o.MaxBytes <= 0 {
		s.o.MaxBytes = 1 << 20
	}
	if s.registry == nil {
		if c.Registry != "" {
			s.registry = NewRegistryFile(c.Registry, s.log)
		} else {
			s.registry = new(Memory)
		}
	}
	var err error
	s.find, err = newFinder(&s.c, o.Skip)
	return s, err
}

// Stats gives the source's figures. It may be called at any time.
func (s *Source) Stats() Stats {
	f := &s.stats
	return Stats{
		Files: f.files.Load(), Open: f.open.Load(), Lines: f.lines.Load(), Bytes: f.bytes.Load(), LongLines: f.longLines.Load(),
		Skipped: f.skipped.Load(), Truncated: f.truncated.Load(), Lost: f.lost.Load(), Rotated: f.rotated.Load(),
		Failures: f.failures.Load(), Damaged: f.damaged.Load(), SaveFails: f.saveFails.Load(),
	}
}

// Run implements stream.Source. It fails if the registry cannot be used.
func (s *Source) Run(ctx context.Context, open func(stream.Stream)) (err error) {
	entries, fresh, err := s.load(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.registry.Close()) }()
	if fresh && s.o.Import != nil {
		if entries, err = s.o.Import(); err != nil {
			return fmt.Errorf("take over what another program knew of the files: %w", err)
		}
		all := len(entries)
		entries = slices.DeleteFunc(entries, func(e Entry) bool { return !e.sound() })
		if n := all - len(entries); n > 0 {
			s.log.Warn("what another program knew of some files makes no sense: they are read as new ones", "files", n)
		}
		for i := range entries {
			entries[i].Key, entries[i].Imported = uint64(i+1), true
			if entries[i].Seen.IsZero() {
				entries[i].Seen = s.now()
			}
		}
	}
	if fresh { // also if there is nothing: it is not asked for again, when it is out of date
		if err := s.registry.Save(entries, nil); err != nil {
			return err
		}
	}
	s.restore(entries, fresh)
	s.discover(s.now())
	s.born = true
	// Where files begin that are found now must be known before anything is read: after a crash it would be another place.
	if err := s.save(); err != nil {
		s.log.Warn("the registry of files cannot be saved", "error", err)
	}
	s.mu.Lock()
	s.started = true
	s.mu.Unlock()

	l := newLines(s)
	open(l)
	var all sync.WaitGroup
	stop := make(chan struct{})
	all.Go(func() { s.saveNowAndThen(stop) })
	s.scan(ctx, l.closed)
	<-l.closed
	close(stop)
	all.Wait()
	err = s.save()
	if s.complete() {
		err = errors.Join(err, s.save())
	}
	for f := range s.files {
		s.closeFile(f)
	}
	return err
}

// inUsePatience is how long a source waits for another one to let go of the registry: when a pipeline is loaded anew, the one
// before may still be on its way out.
const inUsePatience = 10 * time.Second

// load loads the registry.
func (s *Source) load(ctx context.Context) ([]Entry, bool, error) {
	patience := time.NewTimer(inUsePatience)
	defer patience.Stop()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		entries, fresh, err := s.registry.Load()
		if !errors.Is(err, ErrInUse) {
			return entries, fresh, err
		}
		select {
		case <-again.C:
		case <-patience.C:
			return nil, false, err
		case <-ctx.Done():
			return nil, false, err
		}
	}
}

// scan looks after files until ctx is done or the stream is closed.
func (s *Source) scan(ctx context.Context, closed <-chan struct{}) {
	tick := time.NewTicker(s.c.ScanInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-closed:
			return
		case <-tick.C:
		case <-s.kick:
		}
		now := s.now()
		s.poll(now)
		if !s.c.Once && now.Sub(s.discovered) >= s.c.DiscoverInterval {
			s.discover(now)
		}
		if err := s.saveNew(); err != nil {
			s.log.Warn("the registry of files cannot be saved", "error", err)
		}
		s.sweep(now)
	}
}

func (s *Source) saveNowAndThen(stop <-chan struct{}) {
	tick := time.NewTicker(s.c.SaveInterval)
	defer tick.Stop()
	var warned time.Time
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		err := s.save()
		s.complete()
		if now := s.now(); err != nil && now.Sub(warned) > time.Minute {
			warned = now
			s.log.Warn("the registry of files cannot be saved: after a crash, what is delivered meanwhile is read again", "error", err)
		}
	}
}

// save makes durable what has changed.
func (s *Source) save() error {
	s.saving.Lock()
	defer s.saving.Unlock()
	s.mu.Lock()
	dirty, forget := s.dirty, s.forget
	s.dirty, s.forget = nil, nil
	entries := make([]Entry, 0, len(dirty))
	for _, f := range dirty {
		f.dirty = false
		if !f.lost {
			entries = append(entries, f.entry())
		}
	}
	s.mu.Unlock()
	if len(entries) == 0 && len(forget) == 0 {
		return nil
	}
	err := s.registry.Save(entries, forget)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.stats.saveFails.Add(1)
		for _, f := range dirty {
			s.soil(f)
		}
		s.forget = append(s.forget, forget...)
		return err
	}
	if s.o.Completed != nil {
		saved := entries
		for _, f := range dirty {
			if f.lost {
				continue
			}
			if e := saved[0]; e.Done && !e.Noted {
				s.completing = append(s.completing, f)
			}
			saved = saved[1:]
		}
	}
	return nil
}

// saveNew saves at once if there are files that the registry does not know: their beginning must not be found anew.
func (s *Source) saveNew() error {
	s.mu.Lock()
	fresh := s.fresh
	s.fresh = false
	s.mu.Unlock()
	if !fresh {
		return nil
	}
	return s.save()
}

// complete tells of files that are complete. It reports that it has told of any.
func (s *Source) complete() (told bool) {
	s.mu.Lock()
	todo := s.completing
	s.completing = nil
	s.mu.Unlock()
	for _, f := range todo {
		s.mu.Lock()
		path, id, size, ok := f.name, f.id, f.size, f.done && !f.noted && !f.lost
		s.mu.Unlock()
		if !ok {
			continue // it has grown, or was told of
		}
		st, _, err := statPath(path)
		if err != nil || st.id != id || st.size != size {
			continue // what is at the path is not what was read
		}
		err = s.o.Completed(path)
		s.mu.Lock()
		if err == nil {
			f.noted, told = true, true
			s.soil(f)
		} else {
			s.completing = append(s.completing, f)
			if now := s.now(); now.Sub(f.complained) > time.Minute {
				f.complained = now
				s.log.Warn("a file is read, but what is to be done with it fails", "path", path, "error", err)
			}
		}
		s.mu.Unlock()
	}
	return told
}

// soil notes that the registry is behind. mu is held.
func (s *Source) soil(f *file) {
	if !f.dirty && !f.lost {
		f.dirty = true
		s.dirty = append(s.dirty, f)
	}
}

// An advance says how far a batch reads a file.
type advance struct {
	file *file
	life uint32
	to   Position
	done bool  // the file is complete
	size int64 // then: its size
}

// A flight is a batch that is not acknowledged.
type flight struct {
	seq      uint64
	advances []advance
}

func (s *Source) ack(next flow.Position) error {
	if len(next) != 8 {
		return fmt.Errorf("position %x: expected 8 bytes", []byte(next))
	}
	upTo := binary.BigEndian.Uint64(next)
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if upTo > s.seq {
		return fmt.Errorf("batch %d is acknowledged, and %d was the last one", upTo, s.seq)
	}
	n := 0
	for ; n < len(s.flying) && s.flying[n].seq <= upTo; n++ {
		for i := range s.flying[n].advances {
			a := &s.flying[n].advances[i]
			a.file.pending--
			if a.life != a.file.life {
				continue // it was truncated meanwhile
			}
			a.file.acked, a.file.done, a.file.noted, a.file.size, a.file.lastSeen = a.to, a.done, false, a.size, now
			a.file.imported = false
			s.soil(a.file)
		}
		clear(s.flying[n].advances)
		if len(s.spare) < 16 {
			s.spare = append(s.spare, s.flying[n].advances[:0])
		}
	}
	if n > 0 {
		left := copy(s.flying, s.flying[n:])
		clear(s.flying[left:])
		s.flying = s.flying[:left]
	}
	return nil
}

// tell wakes who waits on c.
func tell(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

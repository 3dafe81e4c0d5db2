package flowtest_test

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"iter"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/flowtest"
)

// broken are implementations that break their contracts, each with the test of a suite that must find it.
var broken = map[string]struct {
	finds string
	test  func(t *testing.T)
}{
	"a source that resumes a record too far": {"ReadingGoesOnAtEveryBoundary", source(func(r *bent, b *flow.Batch) error {
		err := r.Reader.Read(r.ctx, b)
		if r.resumed && len(b.Records) > 0 {
			b.Records = b.Records[1:]
			r.resumed = false
		}
		return err
	})},
	"a source that resumes at the beginning": {"ReadingGoesOnAtEveryBoundary", forgetfulSource},
	"a source that doubles a part":           {"PartsAreStableAndUnique", doubledParts},
	"a source that loses its last record": {"EveryRecordIsReadOnce", source(func(r *bent, b *flow.Batch) error {
		err := r.Reader.Read(r.ctx, b)
		if n := len(b.Records); n > 0 && string(b.Records[n-1].Key) == "1-29" {
			b.Records = b.Records[:n-1]
		}
		return err
	})},
	"a source that reuses a batch's memory": {"ABatchDoesNotChangeWhileTheNextIsRead", source(func(r *bent, b *flow.Batch) error {
		err := r.Reader.Read(r.ctx, b)
		for i := range b.Records {
			r.buf = append(r.buf[:0], b.Records[i].Body...)
			b.Records[i].Body = r.buf
			break
		}
		return err
	})},
	"a source that ignores its context": {"AnEndedContextEndsReading", source(func(r *bent, b *flow.Batch) error {
		return r.Reader.Read(context.Background(), b)
	})},
	"a source that loses records between small batches": {"BoundsChangeNothingButBatches", source(func(r *bent, b *flow.Batch) error {
		err := r.Reader.Read(r.ctx, b)
		if b.MaxBytes == 100 && len(b.Records) > 1 {
			b.Records = b.Records[1:]
		}
		return err
	})},
	"a source that takes any position": {"AForeignPositionIsAnError", forgetfulSource},

	"a sink that loses a record": {"WhatIsWrittenIsThere", sink(func(s *flowtest.Shelf, recs []flow.Record) []flow.Record {
		return recs[:max(0, len(recs)-1)]
	})},
	"a sink that changes what it is given": {"TheCallersRecordsAreNeitherKeptNorChanged", sink(func(_ *flowtest.Shelf, recs []flow.Record) []flow.Record {
		own := append([]flow.Record(nil), recs...)
		for i := range recs {
			recs[i].Body = nil
		}
		return own
	})},

	"a transactional sink that does not wait for its commit": {"WhatIsWrittenAndNotCommittedIsAsIfItHadNeverBeenWritten",
		committer(func(s flow.Sink, _ *[]flow.Checkpoint) flow.Sink { return s })},
	"a transactional sink that forgets checkpoints": {"ACommitCoversExactlyWhatWasWritten",
		committer(func(s flow.Sink, cs *[]flow.Checkpoint) flow.Sink { *cs = nil; return s })},

	"a ledger that lends a part twice": {"APartIsLentToOneWorkerOnly", brokenLedger(func(l *looseLedger) { l.lendsTwice = true })},
	"a ledger that lets anybody save":  {"WhoHasNoClaimCannotSave", brokenLedger(func(l *looseLedger) { l.letsAnybodySave = true })},
	"a ledger that forgets":            {"WhatIsSavedOutlastsTheProcess", brokenLedger(func(*looseLedger) {})},

	"a store that reads past a range": {"ARangeIsCutShortAtTheEnd", store(func(s *looseStore) { s.readsPast = true })},
	"a store that leads outside":      {"NoNameLeadsOutside", store(func(s *looseStore) { s.leadsOutside = true })},
	"a store that lists all below":    {"AListingHasWhatIsDirectlyInIt", store(func(s *looseStore) { s.listsAll = true })},
}

// TestTheSuitesBite runs the suites on each of the broken in a process of its own, where they must fail.
func TestTheSuitesBite(t *testing.T) {
	if name := os.Getenv("NARU_BROKEN"); name != "" {
		broken[name].test(t)
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range broken {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestTheSuitesBite$", "-test.timeout=60s")
			cmd.Env = append(os.Environ(), "NARU_BROKEN="+name)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestTheSuitesBite/"+b.finds) {
				t.Errorf("%s did not fail: %v\n%s", b.finds, err, out)
			}
		})
	}
}

// bentSource is a feed with another way of reading.
type bentSource struct {
	*flowtest.Feed
	read func(r *bent, b *flow.Batch) error
}

type bent struct {
	flow.Reader
	read    func(r *bent, b *flow.Batch) error
	ctx     context.Context
	resumed bool
	buf     []byte
}

func (s *bentSource) Open(ctx context.Context, p flow.Part, from flow.Position) (flow.Reader, error) {
	r, err := s.Feed.Open(ctx, p, from)
	return &bent{Reader: r, read: s.read, resumed: len(from) > 0}, err
}

func (r *bent) Read(ctx context.Context, b *flow.Batch) error {
	r.ctx = ctx
	return r.read(r, b)
}

func source(read func(r *bent, b *flow.Batch) error) func(*testing.T) {
	return func(t *testing.T) {
		feed := flowtest.NewFeed(3, 2, 30)
		flowtest.Source(t, func(*testing.T) flow.Source { return &bentSource{feed, read} }, feed.All())
	}
}

type forgetting struct{ *flowtest.Feed }

func (s forgetting) Open(ctx context.Context, p flow.Part, _ flow.Position) (flow.Reader, error) {
	return s.Feed.Open(ctx, p, nil)
}

func forgetfulSource(t *testing.T) {
	feed := flowtest.NewFeed(3, 2, 30)
	flowtest.Source(t, func(*testing.T) flow.Source { return forgetting{feed} }, feed.All())
}

type doubling struct{ *flowtest.Feed }

func (s doubling) Parts(ctx context.Context) iter.Seq2[flow.Part, error] {
	return func(yield func(flow.Part, error) bool) {
		for p, err := range s.Feed.Parts(ctx) {
			for range 2 {
				if !yield(p, err) {
					return
				}
			}
		}
	}
}

func doubledParts(t *testing.T) {
	feed := flowtest.NewFeed(3, 2, 30)
	flowtest.Source(t, func(*testing.T) flow.Source { return doubling{feed} }, feed.All())
}

// bentSink is a shelf that is given something else than was written.
type bentSink struct {
	*flowtest.Shelf
	bend func(s *flowtest.Shelf, recs []flow.Record) []flow.Record
}

func (s bentSink) Write(ctx context.Context, recs []flow.Record) error {
	return s.Shelf.Write(ctx, s.bend(s.Shelf, recs))
}

func sink(bend func(s *flowtest.Shelf, recs []flow.Record) []flow.Record) func(*testing.T) {
	return func(t *testing.T) {
		flowtest.Sink(t, func(*testing.T) (flow.Sink, func(*testing.T) []flow.Record) {
			s := new(flowtest.Shelf)
			return bentSink{s, bend}, func(*testing.T) []flow.Record { return s.Records() }
		})
	}
}

// hasty is a transactional sink whose records are visible when they are written.
type hasty struct {
	*flowtest.Shelf
	books *flowtest.Books
	bend  func(s flow.Sink, cs *[]flow.Checkpoint) flow.Sink
}

func (s *hasty) Due() bool { return false }

func (s *hasty) Commit(ctx context.Context, cs []flow.Checkpoint) error {
	s.bend(s, &cs)
	return s.books.Save(ctx, cs...)
}

func committer(bend func(s flow.Sink, cs *[]flow.Checkpoint) flow.Sink) func(*testing.T) {
	return func(t *testing.T) {
		sinks := make(map[string]*hasty)
		flowtest.Committer(t, flowtest.Transactional{
			Open: func(_ *testing.T, dir string) (flow.Sink, flow.Ledger) {
				if sinks[dir] == nil {
					sinks[dir] = &hasty{Shelf: new(flowtest.Shelf), books: new(flowtest.Books), bend: bend}
				}
				return sinks[dir], sinks[dir].books
			},
			Abandon: func(t *testing.T, s flow.Sink) {
				for _, p := range []string{"sample/0/a", "sample/0/b"} {
					if err := s.(*hasty).books.Release(t.Context(), p); err != nil {
						t.Error(err)
					}
				}
			},
			Records: func(_ *testing.T, dir string) []flow.Record { return sinks[dir].Records() },
		})
	}
}

type looseLedger struct {
	flowtest.Books
	lendsTwice, letsAnybodySave bool
}

func (l *looseLedger) Claim(ctx context.Context, p flow.Part) (flow.Checkpoint, error) {
	cp, err := l.Books.Claim(ctx, p)
	if l.lendsTwice && err == flow.ErrTaken { //nolint:errorlint // as the ledger returns it
		return cp, nil
	}
	return cp, err
}

func (l *looseLedger) Save(ctx context.Context, cs ...flow.Checkpoint) error {
	if l.letsAnybodySave {
		return ctx.Err()
	}
	return l.Books.Save(ctx, cs...)
}

func brokenLedger(bend func(*looseLedger)) func(*testing.T) {
	return func(t *testing.T) {
		flowtest.Ledger(t, true, func(*testing.T, string) flow.Ledger {
			l := new(looseLedger)
			bend(l)
			return l
		})
	}
}

// looseStore is a store in memory.
type looseStore struct {
	files                             fstest.MapFS
	readsPast, leadsOutside, listsAll bool
}

func (s *looseStore) String() string { return "memory" }

func (s *looseStore) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.leadsOutside && strings.Contains(name, "..") {
		return io.NopCloser(strings.NewReader("outside")), nil
	}
	data, err := fs.ReadFile(s.files, name)
	if err != nil {
		return nil, err
	}
	data = data[min(off, int64(len(data))):]
	if n >= 0 && !s.readsPast {
		data = data[:min(n, int64(len(data)))]
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (s *looseStore) List(_ context.Context, dir string) iter.Seq2[blob.Entry, error] {
	return func(yield func(blob.Entry, error) bool) {
		err := fs.WalkDir(s.files, dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || path == dir {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			if !yield(blob.Entry{Name: d.Name(), Dir: d.IsDir(), Size: info.Size()}, nil) {
				return fs.SkipAll
			}
			if d.IsDir() && !s.listsAll {
				return fs.SkipDir
			}
			return nil
		})
		if err != nil {
			yield(blob.Entry{}, err)
		}
	}
}

func store(bend func(*looseStore)) func(*testing.T) {
	return func(t *testing.T) {
		flowtest.Store(t, func(_ *testing.T, files map[string][]byte) blob.Store {
			s := &looseStore{files: make(fstest.MapFS)}
			for name, data := range files {
				s.files[name] = &fstest.MapFile{Data: data}
			}
			bend(s)
			return s
		})
	}
}

func TestAStoreInMemoryIsAStore(t *testing.T) { store(func(*looseStore) {})(t) }

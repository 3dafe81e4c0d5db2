package archive

import (
	"bytes"
	"context"
	"errors"
	"io"
	"syscall"
	"testing"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/flowtest"
)

func TestTheSourceKeepsTheContractOfSources(t *testing.T) {
	for _, format := range []string{NDJSON, Parquet} {
		t.Run(format, func(t *testing.T) {
			dir := t.TempDir()
			want := flowtest.Samples(300)
			s := openTest(t, Config{Dir: dir, Format: format, FileBytes: 1500})
			for i := range want {
				must(t, s.Write(t.Context(), want[i:i+1]))
				if i%100 == 99 {
					must(t, s.Commit(t.Context(), nil))
				}
			}
			must(t, s.Finish(t.Context()))
			flowtest.Source(t, func(t *testing.T) flow.Source {
				src, err := OpenSource(t.Context(), dir)
				must(t, err)
				return src
			}, want)
		})
	}
}

// ledgerSink is a Sink that the suite can close.
type ledgerSink struct{ *Sink }

func (l ledgerSink) Close() error { return l.Sink.Close(context.Background()) }

func TestTheJournalKeepsTheContractOfLedgers(t *testing.T) {
	flowtest.Ledger(t, true, func(t *testing.T, dir string) flow.Ledger {
		s, err := OpenSink(Config{Dir: dir, Format: NDJSON})
		must(t, err)
		return ledgerSink{s}
	})
}

func TestTheStreamKeepsTheContractOfSinks(t *testing.T) {
	flowtest.Sink(t, func(t *testing.T) (flow.Sink, func(t *testing.T) []flow.Record) {
		var buf bytes.Buffer
		return Stream(&buf), func(t *testing.T) []flow.Record { return parseLines(t, buf.Bytes()) }
	})
}

func parseLines(t *testing.T, text []byte) []flow.Record {
	t.Helper()
	l := &lines{buf: text, eof: true}
	var b flow.Batch
	for {
		err := l.read(&b)
		if errors.Is(err, io.EOF) {
			return b.Records
		}
		must(t, err)
	}
}

type brokenPipe struct{ calls, whole int }

func (w *brokenPipe) Write(p []byte) (int, error) {
	w.calls++
	if w.calls > 1 {
		return 0, syscall.EPIPE
	}
	if bytes.HasSuffix(p, []byte("}\n")) {
		w.whole++
	}
	return len(p), nil
}

func TestABrokenPipeStopsAStreamForGood(t *testing.T) {
	w := new(brokenPipe)
	s := Stream(w)
	recs := flowtest.Samples(200)
	err := s.Write(t.Context(), recs)
	if !flow.IsPermanent(err) || !errors.Is(err, syscall.EPIPE) || w.calls != 2 || w.whole != 1 {
		t.Errorf("%v after %d calls, %d of whole lines", err, w.calls, w.whole)
	}
	if err := s.Write(t.Context(), recs); !errors.Is(err, syscall.EPIPE) || w.calls != 2 {
		t.Errorf("then %v after %d calls", err, w.calls)
	}
	must(t, s.Close(t.Context()))
}

func TestAFlowArrivesInAnArchiveAndOutOfIt(t *testing.T) {
	for _, format := range []string{NDJSON, Parquet} {
		t.Run(format, func(t *testing.T) {
			dir := t.TempDir()
			feed := flowtest.NewFeed(12, 3, 300)
			run := func() flow.Report {
				s, err := OpenSink(Config{Dir: dir, Format: format, FileBytes: 4000, Flow: "feed"})
				must(t, err)
				report, err := flow.Run(t.Context(), flow.Flow{Source: feed, Sink: s, Ledger: s}, flow.Options{Workers: 3, BatchRecords: 17})
				if err != nil || !report.Complete() {
					t.Fatalf("%+v, %v", report, err)
				}
				must(t, s.Close(t.Context()))
				return report
			}
			run()
			files := tree(t, dir)
			run() // nothing to do
			if again := tree(t, dir); len(again) != len(files) {
				t.Errorf("a second run made %d files of %d", len(again), len(files))
			}
			src, err := OpenSource(t.Context(), dir)
			must(t, err)
			defer src.Close()
			var out bytes.Buffer
			report, err := flow.Run(t.Context(), flow.Flow{Source: src, Sink: Stream(&out)}, flow.Options{Workers: 2, BatchRecords: 40})
			if err != nil || !report.Complete() {
				t.Fatalf("%+v, %v", report, err)
			}
			if diff := flowtest.Diff(feed.All(), parseLines(t, out.Bytes())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheSinkKeepsTheContractOfCommitters(t *testing.T) {
	for _, format := range []string{NDJSON, Parquet} {
		t.Run(format, func(t *testing.T) {
			flowtest.Committer(t, flowtest.Transactional{
				Open: func(t *testing.T, dir string) (flow.Sink, flow.Ledger) {
					s, err := OpenSink(Config{Dir: dir, Format: format, FileBytes: 3000})
					must(t, err)
					return s, s
				},
				Abandon: func(t *testing.T, s flow.Sink) { must(t, s.(*Sink).release()) },
				Records: func(t *testing.T, dir string) []flow.Record {
					src, err := OpenCommitted(t.Context(), dir)
					must(t, err)
					defer src.Close()
					return records(readAll(t, src, 100))
				},
			})
		})
	}
}

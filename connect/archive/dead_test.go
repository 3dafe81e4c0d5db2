package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/flowtest"
	"github.com/narudata/naru/flow/ledger"
)

type typedError struct{ typ, text string }

func (e typedError) Error() string     { return e.text }
func (e typedError) ErrorType() string { return e.typ }

// letters are records of all sorts, with the errors that they are buried with.
func letters(n int) (recs []flow.Record, why []error) {
	for i := range n {
		r := flow.Record{Index: fmt.Sprint("logs-", i%3), Key: fmt.Appendf(nil, "id \"%d\"\xff", i), Version: int64(i % 4)}
		switch i % 5 {
		case 0:
			r.Body = fmt.Appendf(nil, ` {"n": %d, "reason":"none"} `, i)
		case 1:
			r.Body, r.Routing = []byte("{not\nJSON"), []byte("r")
		case 2:
			r.Type, r.Body = "event", []byte(`{"a":{"_source":{"b":"}"}}}`)
		case 3:
			r.Body = []byte{}
		}
		recs = append(recs, r)
		why = append(why, fmt.Errorf("bulk: %w", typedError{"mapper_parsing_exception", fmt.Sprintf("field [n] of '%d' is \"no\" number", i)}))
	}
	return recs, why
}

func bury(t *testing.T, dir string, recs []flow.Record, why []error, step int) {
	t.Helper()
	s, err := OpenDeadStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(recs); i += step {
		end := min(i+step, len(recs))
		if err := s.Bury(t.Context(), recs[i:end], why[i:end]); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func openDead(t *testing.T, dir string, o DeadOptions) *DeadLetters {
	t.Helper()
	d, err := OpenDead(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func lettersOf(t *testing.T, d *DeadLetters) (all []Letter) {
	t.Helper()
	for l, err := range d.Letters(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}

func recordsOf(letters []Letter) (recs []flow.Record) {
	for _, l := range letters {
		recs = append(recs, l.Record)
	}
	return recs
}

func TestALetterIsKeptWholeWithItsReason(t *testing.T) {
	dir := t.TempDir()
	recs, why := letters(40)
	bury(t, dir, recs[:25], why[:25], 7)
	bury(t, dir, recs[25:], why[25:], 100)
	got := lettersOf(t, openDead(t, dir, DeadOptions{}))
	if diff := flowtest.Diff(recs, recordsOf(got)); diff != "" {
		t.Fatal(diff)
	}
	addresses := map[string]bool{}
	for _, l := range got {
		addresses[l.Address] = true
		if l.ReasonType != "mapper_parsing_exception" || !strings.HasPrefix(l.Reason, "bulk: field [n] of '") || l.At.IsZero() || l.Done {
			t.Errorf("%+v", l)
		}
		for i := range recs {
			if string(recs[i].Key) == string(l.Key) && recs[i].Version != l.Version {
				t.Errorf("%+v: version %d", l, recs[i].Version)
			}
		}
	}
	if len(addresses) != len(recs) {
		t.Errorf("%d addresses of %d letters", len(addresses), len(recs))
	}
}

func TestDeadLettersAreASource(t *testing.T) {
	dir := t.TempDir()
	recs, why := letters(90)
	bury(t, dir, recs[:50], why[:50], 20)
	bury(t, dir, recs[50:], why[50:], 20)
	flowtest.Source(t, func(t *testing.T) flow.Source {
		d, err := OpenDead(dir, DeadOptions{Done: true})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}, recs)
}

func TestTheDeadLettersOfAnArchiveAreReadInItsPlaceAndByTheirFolder(t *testing.T) {
	dir := t.TempDir()
	recs, why := letters(30)
	s, err := OpenSink(Config{Dir: dir, Format: NDJSON})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Bury(t.Context(), recs, why); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range recs {
		recs[i].Version = 0 // archives do not keep it
	}
	for _, at := range []string{dir, filepath.Join(dir, deadDir)} {
		got := lettersOf(t, openDead(t, at, DeadOptions{}))
		if diff := flowtest.Diff(recs, recordsOf(got)); diff != "" {
			t.Fatal(diff)
		}
		if got[0].Reason == "" {
			t.Errorf("%+v", got[0])
		}
	}
}

func redrive(t *testing.T, dir string, o DeadOptions, sink flow.Sink, dead flow.DeadLetters) flow.Report {
	t.Helper()
	d := openDead(t, dir, o)
	r, err := flow.Run(t.Context(), flow.Flow{Source: d, Sink: sink, Ledger: new(ledger.Memory), DeadLetters: dead}, flow.Options{BatchRecords: 7})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWhatWasCarriedAgainIsDoneAndASecondTimeDoesNothing(t *testing.T) {
	dir := t.TempDir()
	recs, why := letters(60)
	bury(t, dir, recs, why, 9)
	shelf := new(flowtest.Shelf)
	if r := redrive(t, dir, DeadOptions{Indices: flow.Patterns{"logs-1"}}, shelf, nil); r.Total.Tally.Delivered != 20 {
		t.Fatalf("%+v", r.Total)
	}
	if r := redrive(t, dir, DeadOptions{}, shelf, nil); r.Total.Tally.Delivered != 40 {
		t.Fatalf("%+v", r.Total)
	}
	if r := redrive(t, dir, DeadOptions{}, shelf, nil); r.Total.Tally.Read != 0 {
		t.Fatalf("a third time: %+v", r.Total)
	}
	if diff := flowtest.Diff(recs, shelf.Records()); diff != "" {
		t.Error(diff)
	}
	for _, l := range lettersOf(t, openDead(t, dir, DeadOptions{Done: true})) {
		if !l.Done {
			t.Errorf("%s is not done", l.Address)
		}
	}
}

// refusing refuses records of an index.
type refusing struct {
	flow.Sink
	index string
}

func (r refusing) Write(ctx context.Context, recs []flow.Record) error {
	var fs flow.Failures
	var rest []flow.Record
	for i := range recs {
		if recs[i].Index == r.index {
			fs = append(fs, flow.Failure{Index: i, Err: flow.Permanent(errors.New("still no"))})
			continue
		}
		rest = append(rest, recs[i])
	}
	if err := r.Sink.Write(ctx, rest); err != nil || len(fs) == 0 {
		return err
	}
	return fs
}

func TestWhatIsRefusedAgainIsAnotherLetter(t *testing.T) {
	dir := t.TempDir()
	recs, why := letters(30)
	bury(t, dir, recs, why, 9)
	store, err := OpenDeadStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := redrive(t, dir, DeadOptions{}, refusing{new(flowtest.Shelf), "logs-2"}, store)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if r.Total.Tally.Delivered != 20 || r.Total.Tally.Dead != 10 {
		t.Fatalf("%+v", r.Total)
	}
	open := lettersOf(t, openDead(t, dir, DeadOptions{}))
	if len(open) != 10 || open[0].Reason != "still no" || open[0].Index != "logs-2" {
		t.Errorf("%d letters, %+v", len(open), open)
	}
}

func TestAFileThatBreaksOffEndsBeforeTheLetterThatDoes(t *testing.T) {
	dir := t.TempDir()
	recs, why := letters(12)
	bury(t, dir, recs, why, 3)
	files, err := filepath.Glob(filepath.Join(dir, "*"+ndjsonSuffix))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for n := range whole {
		if err := os.WriteFile(files[0], whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		got := lettersOf(t, openDead(t, dir, DeadOptions{}))
		seen[len(got)] = true
		if len(got) > len(recs) || len(got) < n*len(recs)/len(whole)-3 {
			t.Fatalf("%d of %d bytes: %d letters", n, len(whole), len(got))
		}
	}
	if len(seen) < 4 {
		t.Errorf("numbers of letters seen: %v", seen)
	}
}

func TestAMarkThatBreaksOffIsNone(t *testing.T) {
	dir := t.TempDir()
	recs, why := letters(12)
	bury(t, dir, recs, why, 12)
	redrive(t, dir, DeadOptions{Indices: flow.Patterns{"logs-0"}}, new(flowtest.Shelf), nil)
	name := filepath.Join(dir, doneName)
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, append(text, `{"file":"x","from":0,"t`...), 0o600); err != nil {
		t.Fatal(err)
	}
	redrive(t, dir, DeadOptions{Indices: flow.Patterns{"logs-1"}}, new(flowtest.Shelf), nil)
	if open := lettersOf(t, openDead(t, dir, DeadOptions{})); len(open) != 4 {
		t.Errorf("%d letters are open", len(open))
	}
}

func TestAReaderThatComesLaterMarksWhatAnEarlierOneGave(t *testing.T) {
	dir := t.TempDir()
	recs, why := letters(30)
	bury(t, dir, recs, why, 30)
	d := openDead(t, dir, DeadOptions{Indices: flow.Patterns{"logs-0"}})
	for p, err := range d.Parts(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		var at flow.Position
		for _, most := range []int{4, 100} {
			r, err := d.Open(t.Context(), p, at)
			if err != nil {
				t.Fatal(err)
			}
			b := flow.Batch{MaxRecords: most}
			if err := r.Read(t.Context(), &b); err != nil && err != io.EOF { //nolint:errorlint // a reader returns it unwrapped
				t.Fatal(err)
			}
			if at = b.Next; most == 100 {
				if err := r.Ack(t.Context(), at); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if open := lettersOf(t, openDead(t, dir, DeadOptions{})); len(open) != 20 {
		t.Errorf("%d letters are open, want the 20 of other indices", len(open))
	}
}

func FuzzLetter(f *testing.F) {
	recs, why := letters(10)
	for i := range recs {
		var e envelope
		f.Add(e.appendLetter(nil, &recs[i], why[i], "2024-05-01T10:11:12Z"))
	}
	f.Add([]byte(`{"_index":"i","_id":"1","_version":x,"at":"never","_source_base64":"*"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var l line
		if l.parse(text) != nil {
			return
		}
		var letter Letter
		if err := letter.about(text); err != nil {
			return
		}
		if again := (&Letter{}); again.about(text) != nil || again.Reason != letter.Reason || again.Version != letter.Version {
			t.Fatalf("%+v, then %+v", letter, again)
		}
	})
}

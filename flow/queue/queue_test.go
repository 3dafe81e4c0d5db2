package queue

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/narudata/naru/flow"
)

func event(i int) flow.Record {
	return flow.Record{Body: fmt.Appendf(nil, "event %d", i), Port: int32(i + 1)}
}

func events(from, to int) []flow.Record {
	var out []flow.Record
	for i := from; i < to; i++ {
		out = append(out, event(i))
	}
	return out
}

func same(t testing.TB, got, want []flow.Record) {
	t.Helper()
	if slices.EqualFunc(got, want, func(a, b flow.Record) bool { return reflect.DeepEqual(a, b) }) {
		return
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" && (len(got) > 0 || len(want) > 0) {
		t.Errorf("records differ (-want +got):\n%s", diff)
	}
}

func anyRecord(t *rapid.T) flow.Record {
	field := func(name string) []byte {
		switch rapid.IntRange(0, 3).Draw(t, name+" kind") {
		case 0:
			return nil
		case 1:
			return []byte{}
		}
		return rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, name)
	}
	r := flow.Record{
		Index: rapid.String().Draw(t, "index"), Type: rapid.SampledFrom([]string{"", "_doc", "_doc", "x"}).Draw(t, "type"),
		Key: field("key"), Routing: field("routing"), Body: field("body"), Meta: field("meta"),
		Version: rapid.Int64().Draw(t, "version"), Port: rapid.Int32().Draw(t, "port"),
	}
	if rapid.Bool().Draw(t, "timed") {
		r.Time = time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "sec"), rapid.Int64Range(0, 999_999_999).Draw(t, "nsec")).UTC()
	}
	return r
}

func TestRecordsAreKeptWhole(t *testing.T) {
	for _, c := range []Compression{Uncompressed, S2, Zstd} {
		rapid.Check(t, func(rt *rapid.T) {
			d := newMemory()
			q := opened(t, d, Options{Compression: c, MaxBytes: rapid.SampledFrom([]int64{0, 1 << 14}).Draw(rt, "max")})
			defer q.Close()
			s, done := streamOf(t, q)
			defer done()
			for range 3 {
				recs := rapid.SliceOfN(rapid.Custom(anyRecord), 0, 12).Draw(rt, "records")
				if err := q.Append(t.Context(), recs); err != nil {
					rt.Fatal(err)
				}
				got, next := readAll(t, s)
				if diff := cmp.Diff(recs, got); diff != "" && len(recs)+len(got) > 0 {
					rt.Fatalf("%s", diff)
				}
				if next != nil {
					if err := s.Ack(t.Context(), next); err != nil {
						rt.Fatal(err)
					}
				}
			}
		})
	}
}

func TestWhatIsNotAcknowledgedComesAgainAfterClosing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	o := Options{SegmentBytes: 300}
	q, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Append(t.Context(), events(0, 100)); err != nil {
		t.Fatal(err)
	}
	s, done := streamOf(t, q)
	b := &flow.Batch{MaxRecords: 33}
	if err := s.Read(t.Context(), b); err != nil || len(b.Records) != 33 {
		t.Fatal(len(b.Records), err)
	}
	if err := s.Ack(t.Context(), b.Next); err != nil {
		t.Fatal(err)
	}
	rest, _ := readAll(t, s)
	same(t, rest, events(33, 100))
	done()

	s, done = streamOf(t, q) // a pipeline that is loaded anew
	rest, _ = readAll(t, s)
	same(t, rest, events(33, 100))
	done()
	if st := q.Stats(); st.Events != 67 || st.Oldest.IsZero() || st.Segments < 2 || st.Acked != 33 || st.Appended != 100 {
		t.Errorf("%+v", st)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}

	q, err = Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if st := q.Stats(); st.Events != 67 || st.Oldest.IsZero() {
		t.Errorf("%+v", st)
	}
	s, done = streamOf(t, q)
	rest, next := readAll(t, s)
	same(t, rest, events(33, 100))
	if err := s.Ack(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	done()
	if err := q.Append(t.Context(), events(100, 110)); err != nil {
		t.Fatal(err)
	}
	if st := q.Stats(); st.Events != 10 {
		t.Errorf("%+v", st)
	}
	if err := errors.Join(q.Close(), q.Close()); err != nil {
		t.Fatal(err)
	}
	if err := q.Append(t.Context(), events(0, 1)); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestAnAcknowledgedQueueIsSmall(t *testing.T) {
	dir := t.TempDir()
	q, err := Open(dir, Options{SegmentBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(strings.Repeat("x", 1000))
	s, done := streamOf(t, q)
	for range 30 {
		recs := make([]flow.Record, 100)
		for i := range recs {
			recs[i].Body = body
		}
		if err := q.Append(t.Context(), recs); err != nil {
			t.Fatal(err)
		}
	}
	recs, next := readAll(t, s)
	if len(recs) != 3000 {
		t.Error(len(recs))
	}
	if err := s.Ack(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	done()
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if total > 10_000 || len(entries) != 3 {
		t.Errorf("%d bytes in %d files", total, len(entries))
	}
	if q, err = Open(dir, Options{}); err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if err := q.Append(t.Context(), events(0, 5)); err != nil {
		t.Fatal(err)
	}
	s, done = streamOf(t, q)
	defer done()
	got, _ := readAll(t, s)
	same(t, got, events(0, 5))
}

func TestOneProcessAtATimeHasAQueueOpen(t *testing.T) {
	dir := t.TempDir()
	q, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrInUse) {
		t.Errorf("opened twice: %v", err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	q, err = Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOneStreamAtATimeReadsAQueue(t *testing.T) {
	q := opened(t, newMemory(), Options{})
	_, done := streamOf(t, q)
	if err := q.Run(t.Context(), nil); err == nil {
		t.Error("a second one was opened")
	}
	done()
}

func TestOnlyWhatWasReadCanBeAcknowledged(t *testing.T) {
	q := opened(t, newMemory(), Options{})
	if err := q.Append(t.Context(), events(0, 3)); err != nil {
		t.Fatal(err)
	}
	s, done := streamOf(t, q)
	defer done()
	for _, p := range []flow.Position{position(2), nil, {1, 2}, position(1 << 63)} {
		if err := s.Ack(t.Context(), p); err == nil {
			t.Errorf("acknowledged up to %x", []byte(p))
		}
	}
	if st := q.Stats(); st.Events != 3 {
		t.Errorf("%+v", st)
	}
}

func TestAFinishedQueueEndsWhenAllIsRead(t *testing.T) {
	q := opened(t, newMemory(), Options{})
	if err := q.Append(t.Context(), events(0, 3)); err != nil {
		t.Fatal(err)
	}
	q.Finish()
	s, done := streamOf(t, q)
	defer done()
	if err := s.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	readAll(t, s)
	if err := s.Wait(t.Context()); err != io.EOF {
		t.Error(err)
	}
}

func TestARecordLargerThanTheQueueGetsThroughAlone(t *testing.T) {
	q := opened(t, newMemory(), Options{MaxBytes: 4000})
	s, done := streamOf(t, q)
	defer done()
	large := flow.Record{Body: []byte(strings.Repeat("large", 4000))}
	for i := range 3 {
		appended := make(chan error, 1)
		go func() { appended <- q.Append(t.Context(), []flow.Record{event(i), large, event(i)}) }()
		var got []flow.Record
		for len(got) < 3 {
			if err := s.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			recs, next := readAll(t, s)
			got = append(got, recs...)
			if err := s.Ack(t.Context(), next); err != nil {
				t.Fatal(err)
			}
		}
		same(t, got, []flow.Record{event(i), large, event(i)})
		if err := <-appended; err != nil {
			t.Fatal(err)
		}
	}
	if st := q.Stats(); st.Bytes > 30_000 {
		t.Errorf("%+v", st)
	}
}

func TestAnUnknownCompressionIsAnError(t *testing.T) {
	if _, err := open(newMemory(), Options{Compression: "lzma"}); err == nil {
		t.Error("no error")
	}
}

func TestASegmentOfANewerVersionIsRefused(t *testing.T) {
	d := newMemory()
	q := opened(t, d, Options{})
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range d.files {
		if strings.HasSuffix(name, segmentSuffix) {
			c.now[8] = 2
			sum := headSum(c.now[:segmentHeader])
			copy(c.now[12:], []byte{byte(sum), byte(sum >> 8), byte(sum >> 16), byte(sum >> 24)})
		}
	}
	if _, err := open(d, Options{}); err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Error(err)
	}
}

// segmentsOf gives the names of segments, oldest first.
func segmentsOf(d *memory) []string {
	var names []string
	for name := range d.files {
		if strings.HasSuffix(name, segmentSuffix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func TestWhatWasBeingWrittenIsCutOffAtAnyByte(t *testing.T) {
	d := newMemory()
	q := opened(t, d, Options{})
	for i := range 3 {
		if err := q.Append(t.Context(), events(i, i+1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	name := segmentsOf(d)[0]
	whole := d.files[name].now
	frameSize := (len(whole) - segmentHeader) / 3
	for size := range whole {
		c := d.copy()
		c.files[name].now = slices.Clone(whole[:size])
		log := &logged{}
		q := opened(t, c, Options{Log: slog.New(log)})
		s, done := streamOf(t, q)
		got, _ := readAll(t, s)
		n := max(size-segmentHeader, 0) / frameSize
		same(t, got, events(0, n))
		torn := size > segmentHeader && (size-segmentHeader)%frameSize != 0
		if torn != (len(log.warnings()) == 1) || q.Stats().DamagedBytes != 0 || torn != (q.Stats().TornBytes > 0) {
			t.Errorf("cut at %d: %v, %+v", size, log.warnings(), q.Stats())
		}
		if err := q.Append(t.Context(), events(50, 52)); err != nil {
			t.Fatal(err)
		}
		got, _ = readAll(t, s)
		same(t, got, events(50, 52))
		done()
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		q = opened(t, c, Options{})
		s, done = streamOf(t, q)
		got, _ = readAll(t, s)
		same(t, got, append(events(0, n), events(50, 52)...))
		done()
	}
}

func TestAnyByteThatIsChangedGivesTheRightEventsOrIsToldOf(t *testing.T) {
	for _, c := range []Compression{Uncompressed, S2, Zstd} {
		t.Run("compression "+string(c), func(t *testing.T) { flipEveryByte(t, c) })
	}
}

func flipEveryByte(t *testing.T, c Compression) {
	d := newMemory()
	o := Options{SegmentBytes: 150, Compression: c}
	q := opened(t, d, o)
	const per, appends = 6, 8
	for i := range appends {
		if err := q.Append(t.Context(), events(i*per, i*per+per)); err != nil {
			t.Fatal(err)
		}
	}
	s, done := streamOf(t, q)
	b := &flow.Batch{MaxRecords: 2 * per}
	if err := s.Read(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := s.Ack(t.Context(), b.Next); err != nil {
		t.Fatal(err)
	}
	done()
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if len(segmentsOf(d)) < 3 {
		t.Fatalf("%d segments", len(segmentsOf(d)))
	}
	for name, content := range d.files {
		for i := range content.now {
			if name == checkpointName && i > slotBytes+3 && i < slotAt-3 {
				continue // nothing is there
			}
			for _, flip := range []byte{1, 0x80} {
				m := d.copy()
				m.files[name].now[i] ^= flip
				log := &logged{}
				o := o
				o.Log = slog.New(log)
				q, err := open(m, o)
				if err != nil {
					t.Fatalf("%s, byte %d: %v", name, i, err)
				}
				s, done := streamOf(t, q)
				got, _ := readAll(t, s)
				seen := map[int]int{}
				last := -1
				for _, r := range got {
					n := int(r.Port) - 1
					if string(r.Body) != string(event(n).Body) || n <= last {
						t.Fatalf("%s, byte %d: %q after %d", name, i, r.Body, last)
					}
					seen[n]++
					last = n
				}
				missing := 0
				for n := 2 * per; n < per*appends; n++ {
					if seen[n] == 0 {
						missing++
					}
				}
				st := q.Stats()
				if missing > per || missing > 0 && (st.DamagedBytes == 0 && st.TornBytes == 0 || len(log.warnings()) == 0) {
					t.Errorf("%s, byte %d: %d events are missing, %+v, %v", name, i, missing, st, log.warnings())
				}
				if missing > 0 && int64(missing) != st.LostEvents && st.TornBytes == 0 && name != segmentsOf(d)[len(segmentsOf(d))-1] {
					t.Errorf("%s, byte %d: %d events are missing, %d are said to be", name, i, missing, st.LostEvents)
				}
				if st.DamagedBytes > segmentHeader {
					aside := 0
					for file, c := range m.files {
						if strings.HasSuffix(file, damagedSuffix) {
							aside += len(c.now)
						}
					}
					if aside != int(st.DamagedBytes) {
						t.Errorf("%s, byte %d: %d bytes were moved aside of %d", name, i, aside, st.DamagedBytes)
					}
				}
				// The queue goes on.
				if err := q.Append(t.Context(), events(1000, 1003)); err != nil {
					t.Fatal(err)
				}
				got, next := readAll(t, s)
				same(t, got, events(1000, 1003))
				if err := s.Ack(t.Context(), next); err != nil {
					t.Errorf("%s, byte %d: %v", name, i, err)
				}
				done()
				if err := q.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func TestBytesThatAnEventBringsAreNoFrames(t *testing.T) {
	d := newMemory()
	q := opened(t, d, Options{})
	if err := q.Append(t.Context(), events(0, 3)); err != nil {
		t.Fatal(err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	stolen := slices.Clone(d.files[segmentsOf(d)[0]].now)

	d = newMemory()
	q = opened(t, d, Options{})
	if err := q.Append(t.Context(), []flow.Record{{Body: stolen}}); err != nil {
		t.Fatal(err)
	}
	if err := q.Append(t.Context(), events(7, 9)); err != nil {
		t.Fatal(err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	d.files[segmentsOf(d)[0]].now[segmentHeader] ^= 1 // the first frame
	q = opened(t, d, Options{})
	s, done := streamOf(t, q)
	defer done()
	got, _ := readAll(t, s)
	same(t, got, events(7, 9))
	if st := q.Stats(); st.LostEvents != 1 {
		t.Errorf("%+v", st)
	}
}

func TestASegmentThatIsGoneIsToldOf(t *testing.T) {
	d := newMemory()
	o := Options{SegmentBytes: 200}
	q := opened(t, d, o)
	for i := range 20 {
		if err := q.Append(t.Context(), events(i, i+1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	names := segmentsOf(d)
	if len(names) < 4 {
		t.Fatal(names)
	}
	delete(d.files, names[1])
	log := &logged{}
	o.Log = slog.New(log)
	q = opened(t, d, o)
	s, done := streamOf(t, q)
	defer done()
	got, _ := readAll(t, s)
	if st := q.Stats(); int(st.LostEvents) != 20-len(got) || st.LostEvents == 0 || len(log.warnings()) != 1 {
		t.Errorf("%d events, %+v, %v", len(got), st, log.warnings())
	}
}

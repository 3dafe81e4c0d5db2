package recordio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// segment writes events as RecordIOWriter does.
func segment(events ...[]byte) []byte {
	out := []byte{'1'}
	inBlock := 0
	for _, e := range events {
		rest, kind := e, byte(0)
		for len(rest) > 0 {
			if inBlock+14 > 32768 {
				out = append(out, make([]byte, 32768-inBlock)...)
				inBlock = 0
			}
			fits := len(rest)+13 < 32768-inBlock
			total := int32(-1)
			switch {
			case kind == 0 && fits:
				kind = 'c'
			case kind == 0:
				kind, total = 's', int32(len(e))
			case fits:
				kind = 'e'
			default:
				kind = 'm'
			}
			n := min(32768-inBlock-13, len(rest))
			out = append(out, kind)
			out = binary.BigEndian.AppendUint32(out, uint32(n))
			out = binary.BigEndian.AppendUint32(out, uint32(total))
			out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(rest[:n]))
			out = append(out, rest[:n]...)
			inBlock += 13 + n
			rest = rest[n:]
		}
	}
	return out
}

// all reads every event, and what was wrong on the way.
func all(t testing.TB, b []byte, from int64) (events [][]byte, offsets []int64, wrong []error) {
	r, err := NewReader(bytes.NewReader(b), from)
	if err != nil {
		return nil, nil, []error{err}
	}
	for {
		e, err := r.Next()
		if err == io.EOF {
			return events, offsets, wrong
		}
		if err != nil {
			wrong = append(wrong, err)
			if len(wrong) > len(b) {
				t.Fatal("it does not end")
			}
			continue
		}
		events, offsets = append(events, bytes.Clone(e)), append(offsets, r.Offset())
	}
}

func TestEventsAreReadFromAnyOffset(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var want [][]byte
		for i := range rapid.IntRange(0, 6).Draw(rt, "events") {
			want = append(want, bytes.Repeat([]byte{byte('a' + i)}, rapid.OneOf(rapid.IntRange(1, 300), rapid.IntRange(32700, 32800), rapid.IntRange(1, 120_000)).Draw(rt, "size")))
		}
		b := segment(want...)
		got, offsets, wrong := all(t, b, Begin)
		if len(wrong) > 0 || !slices.EqualFunc(got, want, bytes.Equal) {
			rt.Fatalf("%d of %d events, %v", len(got), len(want), wrong)
		}
		for i, off := range offsets {
			r, err := NewReader(bytes.NewReader(b), off)
			if err != nil {
				rt.Fatal(err)
			}
			if e, err := r.Next(); i+1 < len(want) && (err != nil || !bytes.Equal(e, want[i+1])) || i+1 == len(want) && err != io.EOF {
				rt.Fatalf("from %d: %d bytes, %v", off, len(e), err)
			}
		}
	})
}

func TestAnEventThatIsBeingWrittenIsWaitedFor(t *testing.T) {
	want := [][]byte{bytes.Repeat([]byte("a"), 40_000), []byte("b"), bytes.Repeat([]byte("c"), 70_000), []byte("d")}
	b := segment(want...)
	for size := 1; size < len(b); size += 37 {
		r, err := NewReader(bytes.NewReader(b[:size]), Begin)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for ; err == nil; n++ {
			_, err = r.Next()
		}
		n--
		if err != io.EOF {
			t.Fatalf("%d bytes: %v", size, err)
		}
		r.from = bytes.NewReader(b) // it has grown
		for ; n < len(want); n++ {
			if e, err := r.Next(); err != nil || !bytes.Equal(e, want[n]) {
				t.Fatalf("%d bytes, event %d: %v", size, n, err)
			}
		}
	}
	if _, err := NewReader(bytes.NewReader(nil), Begin); err != io.EOF {
		t.Error(err)
	}
	if _, err := NewReader(strings.NewReader("2"), Begin); err == nil {
		t.Error("version 2 is read")
	}
}

func TestDamageIsToldOfAndTheNextBlocksAreRead(t *testing.T) {
	var want [][]byte
	for i := range 40 {
		want = append(want, bytes.Repeat([]byte{byte(i)}, 5000))
	}
	b := segment(want...)
	for at := 1; at < len(b); at += 2113 {
		bad := bytes.Clone(b)
		bad[at] ^= 0x41
		got, _, wrong := all(t, bad, Begin)
		for _, e := range got {
			if len(e) != 5000 || !bytes.Equal(e, want[e[0]]) {
				t.Fatalf("byte %d: an event that was not written", at)
			}
		}
		if len(got) < len(want)-8 || len(got) < len(want) && len(wrong) == 0 {
			t.Errorf("byte %d: %d events, %v", at, len(got), wrong)
		}
		for _, err := range wrong {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("byte %d: %v", at, err)
			}
		}
	}
}

// writer writes CBOR as Jackson does with STRINGREF, without WRITE_MINIMAL_INTS and with default typing.
type writer struct {
	b    []byte
	seen map[string]int
}

func (w *writer) text(s string) {
	if i, ok := w.seen[s]; ok {
		w.b = append(w.b, 0xd8, 25)
		w.uint(0, uint64(i))
		return
	}
	w.uint(3, uint64(len(s)))
	w.b = append(w.b, s...)
	n := len(w.seen)
	if n < 24 && len(s) >= 3 || n >= 24 && n < 256 && len(s) >= 4 || len(s) >= 5 {
		w.seen[s] = n
	}
}

func (w *writer) uint(major byte, n uint64) {
	switch {
	case n < 24:
		w.b = append(w.b, major<<5|byte(n))
	case n < 256:
		w.b = append(w.b, major<<5|24, byte(n))
	case n < 65536:
		w.b = binary.BigEndian.AppendUint16(append(w.b, major<<5|25), uint16(n))
	default:
		w.b = binary.BigEndian.AppendUint64(append(w.b, major<<5|27), n)
	}
}

func (w *writer) class(name string, value func()) {
	w.b = append(w.b, 0x9f)
	w.text(name)
	value()
	w.b = append(w.b, 0xff)
}

func (w *writer) value(v any) {
	switch v := v.(type) {
	case nil:
		w.class("org.jruby.RubyNil", func() { w.b = append(w.b, 0xf6) })
	case bool:
		if v {
			w.b = append(w.b, 0xf5)
		} else {
			w.b = append(w.b, 0xf4)
		}
	case int64:
		if v < 0 {
			w.b = binary.BigEndian.AppendUint64(append(w.b, 0x3b), uint64(-1-v))
		} else {
			w.b = binary.BigEndian.AppendUint64(append(w.b, 0x1b), uint64(v))
		}
	case float64:
		w.b = binary.BigEndian.AppendUint64(append(w.b, 0xfb), math.Float64bits(v))
	case *big.Int:
		w.b = append(w.b, 0xc2)
		w.uint(2, uint64(len(v.Bytes())))
		w.b = append(w.b, v.Bytes()...)
		w.seen[string(v.Bytes())] = len(w.seen)
	case Decimal: // of the form 12.34
		digits, fraction, _ := strings.Cut(string(v), ".")
		n, _ := new(big.Int).SetString(digits+fraction, 10)
		w.b = append(w.b, 0xc4, 0x82)
		w.uint(1, uint64(len(fraction)-1))
		w.uint(0, n.Uint64())
	case Timestamp:
		w.class("org.logstash.Timestamp", func() { w.text(string(v)) })
	case string:
		w.class("org.jruby.RubyString", func() { w.text(v) })
	case []any:
		w.class("org.logstash.ConvertedList", func() {
			w.b = append(w.b, 0x9f)
			for _, e := range v {
				w.value(e)
			}
			w.b = append(w.b, 0xff)
		})
	case Map:
		w.class("org.logstash.ConvertedMap", func() { w.object(v) })
	}
}

func (w *writer) object(m Map) {
	w.b = append(w.b, 0xbf)
	for _, e := range m {
		w.text(e.Key)
		w.value(e.Value)
	}
	w.b = append(w.b, 0xff)
}

// entry writes an Entry as DLQEntry does.
func entry(e *Entry) []byte {
	w := &writer{b: []byte{0xd9, 1, 0}, seen: map[string]int{}}
	w.class("java.util.HashMap", func() { w.object(Map{{"DATA", e.Data}, {"META", e.Meta}}) })
	var out []byte
	for _, part := range [][]byte{[]byte(e.Time), w.b, []byte(e.PluginType), []byte(e.PluginID), []byte(e.Reason)} {
		out = binary.BigEndian.AppendUint32(out, uint32(len(part)))
		out = append(out, part...)
	}
	return out
}

func example() *Entry {
	huge, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
	many := []any{}
	for i := range 300 {
		many = append(many, fmt.Sprintf("text number %d", i), "host")
	}
	return &Entry{
		Time: "2026-11-24T10:15:00.123Z", PluginType: "elasticsearch", PluginID: "out", Reason: "Could not index event: status 400",
		Data: Map{
			{"@timestamp", Timestamp("2026-11-24T10:14:59.000Z")}, {"@version", "1"}, {"message", "grüße 😀"}, {"host", Map{{"name", "host"}}},
			{"n", int64(-5)}, {"large", int64(math.MaxInt64)}, {"huge", huge}, {"price", Decimal("12.34")}, {"f", 1.5}, {"t", true}, {"none", nil},
			{"tags", []any{"a", "_grokparsefailure", "_grokparsefailure", []any{}}}, {"many", many},
		},
		Meta: Map{{"target", "host"}},
	}
}

func TestAnEntryIsReadWithAllItsKindsOfValues(t *testing.T) {
	want := example()
	got, err := ParseEntry(entry(want))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b *big.Int) bool { return a.Cmp(b) == 0 })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAnEntryThatEndsTooEarlyIsAnError(t *testing.T) {
	b := entry(example())
	for n := range b {
		if _, err := ParseEntry(b[:n]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
}

func TestDecimalsAreWrittenPlainly(t *testing.T) {
	for _, c := range []struct {
		digits   string
		exponent int
		want     string
	}{{"1234", -2, "12.34"}, {"-1234", -4, "-0.1234"}, {"5", -3, "0.005"}, {"5", -9, "5E-9"}, {"5", 3, "5E3"}, {"0", 0, "0"}, {"7", 0, "7"}, {"15", -7, "0.0000015"}} {
		if got := plain(c.digits, c.exponent); got != c.want {
			t.Errorf("%s, %d: %s, want %s", c.digits, c.exponent, got, c.want)
		}
	}
}

func FuzzEntry(f *testing.F) {
	f.Add(entry(example()))
	f.Add(entry(&Entry{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := ParseEntry(b); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Error(err)
		}
	})
}

func FuzzSegment(f *testing.F) {
	f.Add(segment([]byte("a"), bytes.Repeat([]byte("b"), 33_000), []byte("c")))
	f.Add(segment())
	f.Fuzz(func(t *testing.T, b []byte) { all(t, b, Begin) })
}

// The file was written by Jackson itself: testdata/Event.java.
func TestWhatJacksonWritesIsRead(t *testing.T) {
	b, err := os.ReadFile("testdata/event.cbor")
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseTyped(b)
	if err != nil {
		t.Fatal(err)
	}
	huge, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
	many := []any{}
	for i := range 400 {
		many = append(many, fmt.Sprintf("number %d", i), fmt.Sprint(i), "host", fmt.Sprintf("number %d", i/2))
	}
	want := Map{
		{"DATA", Map{
			{"@timestamp", Timestamp("2026-11-24T10:14:59.000Z")}, {"message", "grüße 😀"}, {"n", int64(-5)}, {"i", int64(7)}, {"huge", huge},
			{"debt", new(big.Int).Neg(huge)}, {"price", Decimal("12.34")}, {"exact", Decimal("-123456789012345678901234567890.12")},
			{"f", 1.5}, {"t", true}, {"none", nil}, {"host", Map{{"name", "host"}}}, {"long", strings.Repeat("x", 20_000)},
			{"medium", strings.Repeat("y", 300)}, {"many", many},
		}},
		{"META", Map{{"target", "number 399"}}},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b *big.Int) bool { return a.Cmp(b) == 0 })); diff != "" {
		t.Errorf("(-want +got):\n%.2000s", diff)
	}
}

package network

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// cutAll gives data to a splitter in pieces of a size.
func cutAll(f Framing, most int, data []byte, piece int) (messages []string, dropped int) {
	s := &splitter{Framing: f, max: most}
	var have []byte
	for {
		end := len(data) == 0
		n := min(piece, len(data))
		have, data = append(have, data[:n]...), data[n:]
		for {
			m, used := s.next(have, end)
			if used == 0 {
				break
			}
			if m != nil {
				messages = append(messages, string(m))
			}
			dropped += used - len(m)
			have = have[used:]
		}
		if end {
			return messages, dropped + len(have)
		}
	}
}

func TestFramesAreFound(t *testing.T) {
	counted := Framing{Counted: true}
	for _, c := range []struct {
		name string
		f    Framing
		max  int
		in   string
		want []string
	}{
		{"lines", lines, 100, "a\nbb\n\nccc", []string{"a", "bb", "", "ccc"}},
		{"a delimiter of two bytes", Framing{Delimiter: []byte("\r\n")}, 100, "a\r\nb\rc\nd\r\n", []string{"a", "b\rc\nd"}},
		{"kept", Framing{Delimiter: []byte("\n"), KeepDelimiter: true}, 100, "a\n\nb", []string{"a\n", "\n", "b"}},
		{"long lines", lines, 3, "abcdefg\nhi\nabc\n", []string{"abc", "def", "g", "hi", "abc"}},
		{"counted", counted, 100, "4 <1>a5 <2>bc3 <3>", []string{"<1>a", "<2>bc", "<3>"}},
		{"counted with line feeds inside and behind", counted, 100, "6 <1>a\nb\n4 <2>c\n", []string{"<1>a\nb", "<2>c"}},
		{"mixed", counted, 100, "<1>a\n4 <2>b<3>c\n5 eggs\n4 <4>d", []string{"<1>a", "<2>b", "<3>c", "5 eggs", "<4>d"}},
		{"no length", counted, 100, "0 <1>\n007 <1>\n12345678901 <1>\n7\n8", []string{"0 <1>", "007 <1>", "12345678901 <1>", "7", "8"}},
		{"a length that is a lie", counted, 100, "99 <1>short", []string{"<1>short"}},
		{"a counted message in pieces", counted, 4, "10 <1>abcdefg3 <2>", []string{"<1>a", "bcde", "fg", "<2>"}},
		{"the rest of a long line is no length", counted, 8, "<1>01234567 <2>\n4 <3>x", []string{"<1>01234", "567 <2>", "<3>x"}},
	} {
		for piece := 1; piece <= len(c.in); piece++ {
			got, _ := cutAll(c.f, c.max, []byte(c.in), piece)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s, %d bytes at a time: %s", c.name, piece, diff)
			}
		}
	}
}

func TestWithoutADelimiterAllThatIsReadIsAMessage(t *testing.T) {
	got, _ := cutAll(Framing{}, 4, []byte("abcdefghi"), 5)
	if diff := cmp.Diff([]string{"abcd", "e", "fghi"}, got); diff != "" {
		t.Error(diff)
	}
}

// FuzzFraming: however bytes come in, the messages are the same, none is too long, and no byte but those of frames is lost.
func FuzzFraming(f *testing.F) {
	for _, text := range []string{"a\nb\n", "4 <1>a5 <2>bc\n", "99 <1>", "1 <\n2 <3>\n\n", "<13>x\n999999999 <1>", strings.Repeat("long ", 30)} {
		f.Add([]byte(text), uint8(3), true)
		f.Add([]byte(text), uint8(1), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, piece uint8, counted bool) {
		framing := Framing{Delimiter: []byte("\n"), Counted: counted}
		const most = 64
		whole, dropped := cutAll(framing, most, data, len(data)+1)
		bytesOf := 0
		for _, m := range whole {
			if len(m) > most {
				t.Fatalf("a message of %d bytes", len(m))
			}
			bytesOf += len(m)
		}
		if bytesOf+dropped != len(data) {
			t.Fatalf("%d bytes of %d", bytesOf+dropped, len(data))
		}
		if !counted && dropped != bytes.Count(data, []byte("\n")) {
			t.Fatalf("%d bytes are no part of a message, there are %d line feeds", dropped, bytes.Count(data, []byte("\n")))
		}
		pieces, _ := cutAll(framing, most, data, int(piece)+1)
		if diff := cmp.Diff(whole, pieces); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestWhatIsCutForWantOfRoomIsCutInsideOfItsFrame(t *testing.T) {
	s := &splitter{Framing: Framing{Counted: true}, max: 100}
	if m, n := s.cut([]byte("20 <1>abc")); string(m) != "<1>abc" || n != 9 || s.left != 14 {
		t.Errorf("%q, %d, %d left", m, n, s.left)
	}
	if m, n := s.next([]byte("0123456789abcd3 <2>"), false); string(m) != "0123456789abcd" || n != 14 {
		t.Errorf("%q, %d", m, n)
	}
	if m, n := s.next([]byte("3 <2>"), false); string(m) != "<2>" || n != 5 {
		t.Errorf("%q, %d", m, n)
	}
}

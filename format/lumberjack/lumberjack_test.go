package lumberjack

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

func TestFramesAreCutAsTheyWereAppended(t *testing.T) {
	var in []byte
	in = AppendWindow(in, V2, 2)
	in = AppendJSON(in, 1, []byte(`{"a":1}`))
	in = AppendData(in, 2, []Pair{{"line", "text"}, {"file", ""}})
	in = AppendAck(in, V1, 7)
	in, err := new(Deflater).Append(in, V2, []byte("whatever"))
	if err != nil {
		t.Fatal(err)
	}
	var l Limits
	var got []string
	for rest := in; len(rest) > 0; {
		f, size, ok, err := l.Cut(rest)
		if err != nil || !ok {
			t.Fatal(f, ok, err)
		}
		for n := range size { // any piece of it is told to be one, and asks for more than there is
			if _, more, ok, err := l.Cut(rest[:n]); ok || err != nil || more <= n || more > size {
				t.Fatalf("%s frame, %d of %d bytes: wants %d, ok %t, error %v", f.Kind, n, size, more, ok, err)
			}
		}
		body := string(f.Body)
		switch f.Kind {
		case Data:
			body = string(AppendObject(nil, f))
		case Compressed:
			body = "zlib"
		}
		got = append(got, fmt.Sprintf("%c %s %d %s", f.Version, f.Kind, f.N, body))
		rest = rest[size:]
	}
	want := []string{"2 window 2 ", `2 JSON 1 {"a":1}`, `1 data 2 {"line":"text","file":""}`, "1 acknowledgement 7 ", "2 compressed 0 zlib"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestWhatIsNoFrameIsRefused(t *testing.T) {
	l := Limits{Window: 10, Event: 20, Pairs: 2, Compressed: 30}
	u := func(head string, n ...uint32) []byte {
		b := []byte(head)
		for _, n := range n {
			b = binary.BigEndian.AppendUint32(b, n)
		}
		return b
	}
	for _, c := range []struct {
		in   []byte
		want error
		text string
	}{
		{[]byte("GET / HTTP/1.1"), ErrFrame, `'G'`},
		{[]byte{0x16, 3, 1}, ErrFrame, `'\x16'`},
		{[]byte{0x80}, ErrFrame, "0x80"},
		{[]byte("2Z...."), ErrFrame, "'Z'"},
		{u("2W", 11), ErrLimit, "11 events"},
		{u("2J", 1, 0), ErrFrame, "no bytes"},
		{u("2J", 1, 21), ErrLimit, "21 bytes"},
		{u("2J", 1, 1<<32-1), ErrLimit, "4294967295 bytes"},
		{u("2C", 0), ErrFrame, "no bytes"},
		{u("2C", 31), ErrLimit, "31 bytes"},
		{u("1D", 1, 0), ErrFrame, "no pairs"},
		{u("1D", 1, 3), ErrLimit, "3 pairs"},
		{u("1D", 1, 1, 1<<32-1), ErrLimit, "more than 20 bytes"},
	} {
		_, _, ok, err := l.Cut(c.in)
		if ok || !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%q: ok %t, %v", c.in, ok, err)
		}
	}
}

func TestTextsOfVersion1BecomeJSON(t *testing.T) {
	f, _, ok, err := new(Limits).Cut(AppendData(nil, 1, []Pair{{"a\"\\\n\x01", "ä€𝄞"}, {"bad", "x\xffy\xc3"}}))
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	var got map[string]string
	if err := json.Unmarshal(AppendObject(nil, f), &got); err != nil {
		t.Fatal(err)
	}
	if got["a\"\\\n\x01"] != "ä€𝄞" || got["bad"] != "x\uFFFDy\uFFFD" || len(got) != 2 {
		t.Errorf("%q", got)
	}
}

// compressed gives the body of a compressed frame.
func compressed(t testing.TB, frames []byte) []byte {
	t.Helper()
	b, err := (&Deflater{Level: 9}).Append(nil, V2, frames)
	if err != nil {
		t.Fatal(err)
	}
	return b[shortHead:]
}

func inflated(i *Inflater, body []byte, l *Limits) (bodies []string, err error) {
	if err := i.Open(body, l); err != nil {
		return nil, err
	}
	for {
		f, err := i.Next()
		if err != nil {
			return bodies, err
		}
		bodies = append(bodies, string(f.Body))
	}
}

func TestCompressedFramesAreGivenOneByOne(t *testing.T) {
	var frames []byte
	var want []string
	for n := range 3000 {
		body := strings.Repeat("x", 1+n*n%5000) + fmt.Sprint(n)
		if n == 1500 {
			body = strings.Repeat("large", 100_000)
		}
		want = append(want, body)
		frames = AppendJSON(frames, uint32(n+1), []byte(body))
	}
	var i Inflater
	for range 2 { // it can be used again
		got, err := inflated(&i, compressed(t, frames), new(Limits))
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Fatal("the events are not those that were compressed")
		}
		i.Close()
	}
}

func TestCompressedFramesAreBounded(t *testing.T) {
	event := AppendJSON(nil, 1, bytes.Repeat([]byte("a"), 1000))
	for name, c := range map[string]struct {
		body []byte
		l    Limits
		want error
	}{
		"too much of it":        {compressed(t, bytes.Repeat(event, 1000)), Limits{Inflated: 100_000}, ErrLimit},
		"a large event":         {compressed(t, event), Limits{Event: 999}, ErrLimit},
		"nested":                {compressed(t, append(AppendWindow(nil, V2, 1), "2C\x00\x00\x00\x01a"...)), Limits{}, ErrFrame},
		"nested and unfinished": {compressed(t, []byte("2C")), Limits{}, ErrFrame},
		"half an event":         {compressed(t, event[:500]), Limits{}, ErrFrame},
		"half a stream":         {compressed(t, event)[:15], Limits{}, ErrFrame},
		"no zlib":               {[]byte("no zlib"), Limits{}, ErrFrame},
		"more behind":           {append(compressed(t, event), "more"...), Limits{}, ErrFrame},
		"a wrong checksum":      {append(compressed(t, event)[:len(compressed(t, event))-1], 'x'), Limits{}, ErrFrame},
		"zeros":                 {compressed(t, make([]byte, 10<<20)), Limits{}, ErrFrame},
	} {
		if _, err := inflated(new(Inflater), c.body, &c.l); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestALieAboutALengthTakesNoMemory(t *testing.T) {
	body := compressed(t, append(binary.BigEndian.AppendUint32([]byte("2J\x00\x00\x00\x01"), DefaultEvent), "short"...))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := inflated(new(Inflater), body, new(Limits))
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrFrame) {
		t.Error(err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes were allocated for 5 that came", n)
	}
}

func FuzzCut(f *testing.F) {
	f.Add(AppendJSON(AppendWindow(nil, V2, 1), 1, []byte(`{}`)))
	f.Add(AppendData(nil, 1, []Pair{{"line", "text"}}))
	f.Add(append([]byte("2C\x00\x00\x00\x20"), compressed(f, AppendJSON(nil, 1, []byte(`{"a":"b"}`)))...))
	f.Add(AppendAck(nil, V2, 0))
	f.Fuzz(func(t *testing.T, in []byte) {
		l := Limits{Window: 1 << 10, Event: 1 << 10, Pairs: 8, Compressed: 1 << 12, Inflated: 1 << 16}
		for len(in) > 0 {
			frame, size, ok, err := l.Cut(in)
			if err != nil {
				if ok || !errors.Is(err, ErrFrame) && !errors.Is(err, ErrLimit) {
					t.Fatal(ok, err)
				}
				return
			}
			if !ok {
				if size <= len(in) || size > 1<<12+MostHead {
					t.Fatalf("wants %d bytes, has %d", size, len(in))
				}
				return
			}
			if size < shortHead || size > len(in) {
				t.Fatalf("a frame of %d bytes in %d", size, len(in))
			}
			switch frame.Kind {
			case Data:
				if object := AppendObject(nil, frame); !json.Valid(object) {
					t.Fatalf("%q", object)
				}
			case Compressed:
				if _, err := inflated(new(Inflater), frame.Body, &l); !errors.Is(err, io.EOF) && !errors.Is(err, ErrFrame) && !errors.Is(err, ErrLimit) {
					t.Fatal(err)
				}
			case Window, JSON, Ack:
			}
			in = in[size:]
		}
	})
}

func FuzzInflate(f *testing.F) {
	f.Add(compressed(f, AppendJSON(AppendWindow(nil, V2, 1), 1, []byte(`{}`))))
	f.Add(compressed(f, bytes.Repeat(AppendJSON(nil, 1, []byte(`{"a":"b"}`)), 100)))
	f.Fuzz(func(t *testing.T, in []byte) {
		l := Limits{Event: 1 << 16, Inflated: 1 << 20}
		if _, err := inflated(new(Inflater), in, &l); !errors.Is(err, io.EOF) && !errors.Is(err, ErrFrame) && !errors.Is(err, ErrLimit) {
			t.Fatal(err)
		}
	})
}

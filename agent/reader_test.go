package agent

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/narudata/naru/flow"
)

// A tape is a stream of given reads: each is lines of files, "a|text". After them it waits, or ends.
type tape struct {
	reads   [][]string
	offsets map[string]int64
	n       int
	ends    bool
	acked   uint64
}

func (s *tape) Wait(ctx context.Context) error {
	if s.n < len(s.reads) {
		return nil
	}
	if s.ends {
		return io.EOF
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s *tape) Read(_ context.Context, b *flow.Batch) error {
	if s.n < len(s.reads) {
		for _, l := range s.reads[s.n] {
			name, text, _ := strings.Cut(l, "|")
			b.Records = append(b.Records, flow.Record{
				Body: b.Copy([]byte(text)), Meta: []byte(name), Key: binary.BigEndian.AppendUint64(nil, uint64(name[0])), Version: s.offsets[name], Port: 3,
			})
			s.offsets[name] += int64(len(text)) + 1
		}
		s.n++
	}
	b.Next = binary.BigEndian.AppendUint64(nil, uint64(s.n))
	return nil
}

func (s *tape) Ack(_ context.Context, next flow.Position) error {
	s.acked = binary.BigEndian.Uint64(next)
	return nil
}

func (s *tape) Close() error { return nil }

// clock is a time that tests move.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newTape(ends bool, reads ...[]string) *tape {
	return &tape{reads: reads, offsets: map[string]int64{}, ends: ends}
}

// readAll gives all lines of a tape: "file offset stream flags text".
func readAll(t testing.TB, r Reading, in *tape) []string {
	t.Helper()
	c := &clock{time.Unix(1000, 0)}
	s := newLineStream(in, r, c.now)
	var out []string
	for {
		if err := s.Wait(t.Context()); err != nil {
			if err != io.EOF {
				t.Fatal(err)
			}
			return out
		}
		got, err := readOne(t, s)
		out = append(out, got...)
		if err == io.EOF {
			return out
		}
	}
}

func readOne(t testing.TB, s *lineStream) ([]string, error) {
	t.Helper()
	var b flow.Batch
	err := s.Read(t.Context(), &b)
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	var out []string
	for _, r := range b.Records {
		var l line
		if err := l.parseMeta(r.Meta); err != nil {
			t.Fatal(err)
		}
		if r.Port != 3 {
			t.Errorf("port %d, want 3", r.Port)
		}
		flags := ""
		for i, f := range []string{"j", "t", "u"} {
			if l.flags&(1<<i) != 0 {
				flags += f
			}
		}
		out = append(out, fmt.Sprintf("%s %d %s%s|%s", l.path, r.Version, streams[l.stream], flags, r.Body))
	}
	if len(b.Next) == 8 {
		if err := s.Ack(t.Context(), b.Next); err != nil {
			t.Fatal(err)
		}
	}
	return out, err
}

func multilineStep(m Multiline) Reading { return Reading{Steps: []Step{{Multiline: &m}}} }

func TestLinesAreJoinedAsFilebeatJoinsThem(t *testing.T) {
	in := func(lines ...string) *tape {
		for i := range lines {
			lines[i] = "f|" + lines[i]
		}
		return newTape(true, lines)
	}
	for _, c := range []struct {
		name string
		m    Multiline
		in   *tape
		want []string
	}{
		{"a stack trace belongs to the line before", Multiline{Kind: "pattern", Pattern: regexp.MustCompile(`^\s`), MaxLines: 500},
			in("one", " at x", " at y", "two"), []string{"f 0 j|one\n at x\n at y", "f 16 |two"}},
		{"what does not begin with a date belongs to the line before", Multiline{Kind: "pattern", Pattern: regexp.MustCompile(`^\[`), Negate: true, MaxLines: 500},
			in("[1] a", "b", "[2] c"), []string{"f 0 j|[1] a\nb", "f 8 |[2] c"}},
		{"a backslash continues in the next line", Multiline{Kind: "pattern", Pattern: regexp.MustCompile(`\\$`), Before: true, MaxLines: 500},
			in(`a \`, `b \`, "c", "d"), []string{"f 0 j|a \\\nb \\\nc", "f 10 |d"}},
		{"negate and before: lines go on until one matches", Multiline{Kind: "pattern", Pattern: regexp.MustCompile(`;$`), Negate: true, Before: true, MaxLines: 500},
			in("select", "1;", "select 2;"), []string{"f 0 j|select\n1;", "f 10 |select 2;"}},
		{"flush_pattern ends an event", Multiline{Kind: "pattern", Pattern: regexp.MustCompile(`^start`), Negate: true, Flush: regexp.MustCompile(`^end`), MaxLines: 500},
			in("start", "x", "end", "y"), []string{"f 0 j|start\nx\nend", "f 12 |y"}},
		{"lines beyond max_lines are left out", Multiline{Kind: "pattern", Pattern: regexp.MustCompile(`^\s`), MaxLines: 2},
			in("a", " b", " c", "d"), []string{"f 0 jt|a\n b", "f 8 |d"}},
		{"so many lines each", Multiline{Kind: "count", MaxLines: 2}, in("a", "b", "c"), []string{"f 0 j|a\nb", "f 4 |c"}},
		{"without line feeds", Multiline{Kind: "count", MaxLines: 2, Bare: true}, in("a", "b"), []string{"f 0 j|ab"}},
		{"while_pattern: those that match, and others alone", Multiline{Kind: "while_pattern", Pattern: regexp.MustCompile(`^\{`), MaxLines: 500},
			in("{a", "{b", "c", "d", "{e"), []string{"f 0 j|{a\n{b", "f 6 |c", "f 8 |d", "f 10 |{e"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, readAll(t, multilineStep(c.m), c.in)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPiecesOfContainersAreJoinedInEachStream(t *testing.T) {
	const at = "2026-11-24T10:00:00.123456789Z"
	for _, c := range []struct {
		name string
		c    Container
		in   []string
		want []string
	}{
		{"cri", Container{Format: "auto"}, []string{
			at + " stdout P one ", at + " stderr F between", at + " stdout P and ", at + " stdout F two", at + " stdout F ",
		}, []string{"f 45 stderr|between", "f 0 stdout|one and two", "f 182 stdout|"}},
		{"docker", Container{Format: "auto"}, []string{
			`{"log":"one ","stream":"stdout","time":"` + at + `"}`, `{"log":"err\n","stream":"stderr","time":"` + at + `"}`, `{"log":"two\r\n","stream":"stdout","time":"` + at + `"}`,
		}, []string{"f 73 stderr|err", "f 0 stdout|one two"}},
		{"one stream", Container{Format: "cri", Stream: 2}, []string{at + " stdout F no", at + " stderr F yes"}, []string{"f 43 stderr|yes"}},
		{"tags beside F", Container{Format: "cri"}, []string{at + " stdout F:x yes"}, []string{"f 0 stdout|yes"}},
		{"no tags, as in old versions", Container{Format: "cri"}, []string{at + " stdout all of it"}, []string{"f 0 stdout|all of it"}},
		{"what is none is kept as it is", Container{Format: "auto"}, []string{"no format", `{"x":1}`}, []string{"f 0 u|no format", `f 10 u|{"x":1}`}},
		{"a piece that nothing follows is given at the end", Container{Format: "cri"}, []string{at + " stdout P one"}, []string{"f 0 stdout|one"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i := range c.in {
				c.in[i] = "f|" + c.in[i]
			}
			if diff := cmp.Diff(c.want, readAll(t, Reading{Steps: []Step{{Container: &c.c}}}, newTape(true, c.in))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatIsHeldBackIsNotAcknowledgedAndGivenWhenNothingFollows(t *testing.T) {
	in := newTape(false, []string{"a|one"}, []string{"b|x", "b|y"}, []string{"b|z"})
	c := &clock{time.Unix(1000, 0)}
	s := newLineStream(in, multilineStep(Multiline{Kind: "pattern", Pattern: regexp.MustCompile(`^\s`)}), c.now)
	var got []string
	for range 3 {
		out, _ := readOne(t, s)
		got = append(got, out...)
	}
	if diff := cmp.Diff([]string{"b 0 |x", "b 2 |y"}, got); diff != "" {
		t.Error(diff)
	}
	if in.acked != 0 {
		t.Errorf("read %d is acknowledged while a line of the first is held back", in.acked)
	}
	c.t = c.t.Add(4 * time.Second)
	in.reads = append(in.reads, []string{"b| more"})
	if out, _ := readOne(t, s); len(out) > 0 {
		t.Errorf("given too early: %q", out)
	}
	c.t = c.t.Add(time.Second)
	if err := s.Wait(t.Context()); err != nil { // it is due now
		t.Fatal(err)
	}
	out, _ := readOne(t, s)
	if diff := cmp.Diff([]string{"a 0 |one"}, out); diff != "" {
		t.Error(diff)
	}
	if in.acked != 2 {
		t.Errorf("read %d is acknowledged, want 2: what is held back since is of the third", in.acked)
	}
	c.t = c.t.Add(5 * time.Second)
	if out, _ = readOne(t, s); len(out) != 1 || in.acked != 4 {
		t.Errorf("at last: %q, acknowledged %d, want all of it and 4", out, in.acked)
	}
	if len(s.states) > 0 || s.heldSize != 0 || len(s.nexts) > 1 {
		t.Errorf("left behind: %d files, %d bytes, %d reads", len(s.states), s.heldSize, len(s.nexts))
	}
}

func TestJoinedTextIsBounded(t *testing.T) {
	in := newTape(true, []string{"a|1234567", "a| 234567", "a| 2"})
	r := multilineStep(Multiline{Kind: "pattern", Pattern: regexp.MustCompile(`^ `)})
	r.MaxBytes = 10
	if diff := cmp.Diff([]string{"a 0 jt|1234567\n 2"}, readAll(t, r, in)); diff != "" {
		t.Error(diff)
	}
	var many []string
	for i := range 90 {
		many = append(many, fmt.Sprintf("%c|%s", 33+i, strings.Repeat("x", 1000)))
	}
	r.MaxBytes, r.MaxHeld = 10_000, 5000
	s := newLineStream(newTape(false, many), r, time.Now)
	if out, _ := readOne(t, s); len(out) < 84 || s.heldSize > 7000 {
		t.Errorf("%d lines are given, %d bytes held back of at most 5000", len(out), s.heldSize)
	}
}

func TestJoinedInAnyPiecesItIsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.SampledFrom([]string{"a|x", "a| y", "b|x", "b| y", "b|z"}), 0, 30).Draw(t, "lines")
		r := multilineStep(Multiline{Kind: "pattern", Pattern: regexp.MustCompile(`^ `), MaxLines: 3})
		collect := func(reads ...[]string) []string {
			s := newLineStream(newTape(true, reads...), r, func() time.Time { return time.Unix(0, 0) })
			var out []string
			for s.Wait(context.Background()) == nil {
				var b flow.Batch
				err := s.Read(context.Background(), &b)
				for _, rec := range b.Records {
					var l line
					if err := l.parseMeta(rec.Meta); err != nil {
						t.Fatal(err)
					}
					out = append(out, fmt.Sprintf("%s %d %d %q", l.path, rec.Version, l.flags, rec.Body))
				}
				if err != nil {
					break
				}
			}
			slices.Sort(out)
			return out
		}
		var pieces [][]string
		for rest := lines; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			pieces = append(pieces, rest[:n])
			rest = rest[n:]
		}
		if diff := cmp.Diff(collect(lines), collect(pieces...)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestEncodings(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"utf-8", "\ufeffgr\xc3\xbc\xc3\x9fe\xff", "grüße\uFFFD"},
		{"utf-16le", "\xff\xfea\x00\xfc\x00", "aü"},
		{"utf-16be-bom", "\xfe\xff\x00a\x00\xfc", "aü"},
		{"latin1", "\xfc", "ü"},
		{"iso8859-15", "\xa4", "€"},
		{"windows-1252", "\x80", "€"},
		{"shift-jis", "\x82\xa0", "あ"},
		{"gbk", "\xc4\xe3", "你"},
		{"cp850", "\x81", "ü"},
	} {
		e, err := encodingOf(c.name)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := string(e.decode([]byte(c.in), true)); got != c.want {
			t.Errorf("%s: %q becomes %q, want %q", c.name, c.in, got, c.want)
		}
	}
	if _, err := encodingOf("klingon"); err == nil {
		t.Error("an encoding that there is not is known")
	}
}

func FuzzLinesOfContainers(f *testing.F) {
	for _, s := range []string{
		"2026-11-24T10:00:00.1Z stdout P text", `{"log":"x\n","stream":"stderr","time":"2026-11-24T10:00:00Z"}`, `{"log":null}`, "", " ", "2026-11-24T10:00:00Z stdout ",
	} {
		f.Add([]byte(s), []byte("2026-11-24T10:00:00Z stdout F end"))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		in := newTape(true, []string{"f|" + string(a), "f|" + string(b)})
		r := Reading{Steps: []Step{{Container: &Container{Format: "auto"}}, {Multiline: &Multiline{Kind: "pattern", Pattern: regexp.MustCompile(`^\s`), MaxLines: 5}}}}
		for _, l := range readAll(t, r, in) {
			if len(l) > len(a)*3+len(b)*3+200 {
				t.Errorf("a line of %d bytes of lines of %d and %d", len(l), len(a), len(b))
			}
		}
	})
}

func FuzzLineMeta(f *testing.F) {
	l := line{file: 7, path: []byte("/a"), nanos: 12, stream: 1, flags: timed, fields: []byte(`{"a":1}`)}
	f.Add(l.appendMeta(nil))
	f.Fuzz(func(t *testing.T, meta []byte) {
		var l line
		if l.parseMeta(meta) != nil {
			return
		}
		var again line
		if err := again.parseMeta(l.appendMeta(nil)); err != nil || string(again.path) != string(l.path) || string(again.fields) != string(l.fields) || again.nanos != l.nanos {
			t.Errorf("%+v becomes %+v: %v", l, again, err)
		}
	})
}

func someRecords(bodies ...string) []flow.Record {
	var out []flow.Record
	for _, b := range bodies {
		out = append(out, flow.Record{Body: []byte(`{"message":"` + b + `"}`)})
	}
	return out
}

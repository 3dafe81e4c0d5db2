package logstash

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// running runs a configuration over a text.
func running(t *testing.T, text string, in io.Reader, workers int) (string, Tally) {
	t.Helper()
	p, problems := compileText(t, text)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	tally, err := p.Run(t.Context(), RunOptions{Stdin: in, Stdout: &out, Workers: workers})
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), tally
}

const echo = `input { stdin { codec => line { %s } } } output { stdout { codec => line { format => "%%{message}" } } }`

func TestMessagesAreWrittenInTheirOrder(t *testing.T) {
	var in strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&in, "%d %s\n", i, strings.Repeat("x", i%97))
	}
	for _, workers := range []int{1, 2, 5} {
		out, tally := running(t, fmt.Sprintf(echo, ""), strings.NewReader(in.String()), workers)
		if out != in.String() {
			t.Errorf("with %d workers the output is another", workers)
		}
		if tally != (Tally{Messages: 20_000, Records: 20_000}) {
			t.Errorf("the tally is %+v", tally)
		}
	}
}

func TestAStreamIsCutAtItsDelimiter(t *testing.T) {
	long := strings.Repeat("y", 200_017)
	for _, c := range []struct{ options, in, want string }{
		{"", "", ""},
		{"", "a", "a\n"},
		{"", "a\n", "a\n"},
		{"", "a\n\nb", "a\n\nb\n"},
		{"", "\n", "\n"},
		{"", "ü\r\nb\n", "ü\r\nb\n"},
		{"", long + "\nb\n" + long, long + "\nb\n" + long + "\n"},
		{`delimiter => "--"`, "a--b-c--d-", "a\nb-c\nd-\n"},
	} {
		for name, in := range map[string]io.Reader{
			"at once":               strings.NewReader(c.in),
			"halves":                iotest.HalfReader(strings.NewReader(c.in)),
			"bytes":                 iotest.OneByteReader(strings.NewReader(c.in)),
			"the end with the last": iotest.DataErrReader(strings.NewReader(c.in)),
		} {
			if name == "bytes" && len(c.in) > 1000 {
				continue
			}
			if got, _ := running(t, fmt.Sprintf(echo, c.options), in, 2); got != c.want {
				t.Errorf("%.20q, %s: %.40q, want %.40q", c.in, name, got, c.want)
			}
		}
	}
}

func TestARunEndsWhileItsInputSaysNothing(t *testing.T) {
	p, problems := compileText(t, fmt.Sprintf(echo, ""))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	in, feed := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	var out lineSignal
	out.seen = make(chan string, 10)
	ended := make(chan error, 1)
	go func() {
		_, err := p.Run(ctx, RunOptions{Stdin: in, Stdout: &out})
		ended <- err
	}()
	if _, err := feed.Write([]byte("first\n")); err != nil {
		t.Fatal(err)
	}
	if got := <-out.seen; got != "first\n" { // written before the next is read
		t.Errorf("got %q", got)
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
	if err := feed.Close(); err != nil {
		t.Error(err)
	}
}

type lineSignal struct{ seen chan string }

func (l *lineSignal) Write(p []byte) (int, error) {
	l.seen <- string(p)
	return len(p), nil
}

func TestARunFailsWithItsOutputAndItsInput(t *testing.T) {
	full := errors.New("the disk is full")
	p, problems := compileText(t, `input { generator { } } output { stdout { codec => line } }`)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Run(t.Context(), RunOptions{Stdout: failing{full}, Workers: 2}); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	p, _ = compileText(t, fmt.Sprintf(echo, ""))
	broken := errors.New("the pipe is broken")
	if _, err := p.Run(t.Context(), RunOptions{Stdin: iotest.ErrReader(broken)}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestInputsAddTheirTypeTagsAndFields(t *testing.T) {
	out, _ := running(t, `input { stdin { codec => json_lines type => "a" tags => ["x", "%{b}"] add_field => { "c" => "d" } } }
		output { stdout { codec => line { format => "%{type} %{tags} %{c}" } } }`, strings.NewReader(`{"b":1}`+"\n"+`{"type":"own","tags":["y"]}`), 1)
	if want := "a x,1 d\nown y,x,%{b} d\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestOutputsHaveConditions(t *testing.T) {
	dir := t.TempDir()
	out, _ := running(t, `output {
		if [a] > 5 { file { path => "`+dir+`/large" } } else if [a] { file { path => "`+dir+`/%{a}" codec => line { format => "small" } } }
		stdout { codec => dots }
		null { }
	}`, strings.NewReader("{\"a\":1}\n{\"b\":1}\n{\"a\":7}\n"), 1)
	if out != ".." { // the second event is lost: it has no a
		t.Errorf("got %q", out)
	}
	for name, want := range map[string]string{"large": `{"a":7`, "1": "small\n"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.HasPrefix(string(text), want) {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

func BenchmarkConditionsAndMutates(b *testing.B) {
	p, problems := compileText(b, `input { stdin { codec => line } } filter {
		if [message] =~ /Chrome/ and [type] != "x" { mutate { add_field => { "a" => "b" } } } else { drop { } }
		if [a] == "b" { mutate { add_tag => ["t"] } }
		if "t" in [tags] { mutate { remove_field => ["a"] } }
	} output { null { } }`)
	if err := problems.Err(); err != nil {
		b.Fatal(err)
	}
	line := strings.Repeat("x", 150) + " Chrome " + strings.Repeat("y", 40) + "\n"
	in := []byte(strings.Repeat(line, 1000))
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if _, err := p.Run(b.Context(), RunOptions{Stdin: bytes.NewReader(in)}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestLinesOfOneEventStayTogetherHoweverManyWorkersThereAre(t *testing.T) {
	const conf = `input { stdin { codec => multiline { pattern => "^ " what => "previous" } } } output { stdout { codec => line { format => "%{message}|" } } }`
	var in, want strings.Builder
	for n := range 20_000 {
		fmt.Fprintf(&in, "event %d\n at line one of %d\n at line two\n", n, n)
		fmt.Fprintf(&want, "event %d\n at line one of %d\n at line two|\n", n, n)
	}
	out, _ := running(t, conf, strings.NewReader(in.String()), 4)
	if out != want.String() {
		t.Errorf("%d bytes came out, want %d: %.200q", len(out), want.Len(), out)
	}
}

// TestHeldLinesAreWrittenWhenAPipelineIsToldToEnd is of a file that is followed: its last event waits for more lines, and is written
// and acknowledged when the pipeline ends.
func TestHeldLinesAreWrittenWhenAPipelineIsToldToEnd(t *testing.T) {
	dir := t.TempDir()
	log, out := filepath.Join(dir, "a.log"), filepath.Join(dir, "out")
	conf := fmt.Sprintf(`input { file { path => %q start_position => "beginning" codec => multiline { pattern => "^\s" what => "previous" } } }
		output { file { path => %q codec => line { format => "%%{message}|" } flush_interval => 0 } }`, log, out)
	read, want := "", ""
	for run, more := range [][2]string{{"one\n a\ntwo\n b\n", "one\n a|\ntwo\n b|\n"}, {"three\nfour\n", "three|\nfour|\n"}} { // the second run reads on
		before := len(want)
		read, want = read+more[0], want+more[1]
		if err := os.WriteFile(log, []byte(read), 0o600); err != nil {
			t.Fatal(err)
		}
		p, problems := compileText(t, conf)
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := p.Run(ctx, RunOptions{Data: filepath.Join(dir, "data")})
			done <- err
		}()
		for range 1000 { // until the first event is there; the second one is held
			if text, err := os.ReadFile(out); err == nil && len(text) > before {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(out); err != nil || string(text) != want {
			t.Errorf("run %d: %q, %v; want %q", run+1, text, err, want)
		}
	}
}

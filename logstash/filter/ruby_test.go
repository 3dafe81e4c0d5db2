package filter

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/pattern/csv"
	"github.com/narudata/naru/logstash/pattern/number"
	"github.com/narudata/naru/logstash/pattern/regex"
)

// recordedLines calls do with each line of what testdata/ruby/record.rb wrote with the JRuby of Logstash 8.19.
func recordedLines(t *testing.T, name string, do func(line []any)) {
	t.Helper()
	f, err := os.Open("testdata/ruby/" + name + ".jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // it is only read
	n := 0
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var line []any
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		n++
		do(line)
	}
	if s.Err() != nil || n < 20 {
		t.Fatalf("%d lines, %v", n, s.Err())
	}
}

func text(v any) string {
	s, ok := v.(string)
	if !ok {
		return fmt.Sprint(v)
	}
	return s
}

func rowOf(values []event.Value) any {
	row := make([]any, len(values))
	for i, v := range values {
		if !v.Nil() {
			row[i] = v.Str()
		}
	}
	return row
}

func TestCSVIsReadAsRubyReadsIt(t *testing.T) {
	recordedLines(t, "csv", func(line []any) {
		format, in := csv.NewFormat(text(line[0]), text(line[1])), text(line[2])
		var all any = []any{}
		var first any
		rows, err := csv.Read(format, in)
		for n := 0; err == nil; n++ {
			row, ok, readErr := rows.Next(nil)
			if err = readErr; err != nil || !ok {
				break
			}
			if n == 0 {
				first = rowOf(row)
			}
			all = append(all.([]any), rowOf(row))
		}
		if err != nil {
			if all = "error"; first == nil {
				first = "error"
			}
		}
		if d := cmp.Diff(line[3], first); d != "" {
			t.Errorf("the first row of %q with %q and %q: (-want +got)\n%s", in, format.Separator, format.Quote, d)
		}
		if d := cmp.Diff(line[4], all); d != "" {
			t.Errorf("the rows of %q with %q and %q: (-want +got)\n%s", in, format.Separator, format.Quote, d)
		}
	})
}

func TestNumbersAreReadAsRubyReadsThem(t *testing.T) {
	shown := func(v event.Value, err error) string {
		if err != nil {
			return "error"
		}
		s := rubyText(v)
		return s
	}
	recordedLines(t, "numbers", func(line []any) {
		in := text(line[0])
		got := shown(toInteger(event.StringValue(in)))
		if got = got[:min(len(got), 40)]; got != line[1] && line[1] != "any" {
			t.Errorf("%q as an integer: %s, not %s", in, got, line[1])
		}
		if got := shown(toFloat(event.StringValue(in))); got != line[2] && line[2] != "any" {
			t.Errorf("%q as a float: %s, not %s", in, got, line[2])
		}
		if got := shown(number.Integer(in)); got != line[3] && line[3] != "any" {
			t.Errorf("Integer(%q): %s, not %s", in, got, line[3])
		}
	})
}

func TestLettersChangeTheirCaseAsInRuby(t *testing.T) {
	recordedLines(t, "letters", func(line []any) {
		s := text(line[0])
		for i, change := range []func([]byte, string) []byte{appendUpper, appendLower, appendCapitalized} {
			if got := string(change(nil, s)); got != line[i+1] {
				t.Errorf("%q (%U): %q, not %q", s, []rune(s), got, line[i+1])
			}
		}
	})
}

func TestTextsAreSplitAndStrippedAsInRuby(t *testing.T) {
	recordedLines(t, "split", func(line []any) {
		separator, s := text(line[0]), text(line[1])
		if d := cmp.Diff(line[2], rowOf(rubySplit(s, separator))); d != "" {
			t.Errorf("%q split at %q: (-want +got)\n%s", s, separator, d)
		}
		if got := rubyStrip(s); got != line[4] {
			t.Errorf("%q stripped: %q, not %q", s, got, line[4])
		}
		all, _ := line[3].([]any)
		f := &split{Split: &Split{Terminator: separator}}
		if got, want := f.single(s), len(all) == 1; got != want {
			t.Errorf("%q with %q is one part: %v, not %v", s, separator, got, want)
		}
	})
}

func TestMatchesAreReplacedAsInRuby(t *testing.T) {
	recordedLines(t, "gsub", func(line []any) {
		pattern, with, in, want := text(line[0]), text(line[1]), text(line[2]), text(line[3])
		n, err := compileNeedle(pattern)
		if err != nil {
			t.Fatal(err)
		}
		var m regex.Match
		out, found, err := n.replaceAll(nil, in, with, &m)
		got := string(out)
		switch {
		case err != nil:
			got = "error"
		case !found:
			got = in
		}
		if got != want {
			t.Errorf("%q with %q for %q: %q, not %q", in, with, pattern, got, want)
		}
	})
}

func TestYAMLHasTheTypesOfPsych(t *testing.T) {
	recordedLines(t, "yaml", func(line []any) {
		in, class, want := text(line[0]), text(line[1]), text(line[2])
		if want == "error" || class == "Date" || class == "Symbol" {
			return // a text here
		}
		kinds := map[string][]event.Kind{
			"Integer": {event.Int, event.BigInt}, "Float": {event.Float}, "String": {event.String},
			"TrueClass": {event.Bool}, "FalseClass": {event.Bool}, "NilClass": {event.Null},
		}
		if v := psychScalar(in); !slices.Contains(kinds[class], v.Kind()) || rubyText(v) != want {
			t.Errorf("%s is %s %s, not %s %s", in, v.Kind(), rubyText(v), class, want)
		}
	})
}

func TestCSVConvertsDatesAsRuby(t *testing.T) {
	before := time.Local
	time.Local = time.UTC
	defer func() { time.Local = before }()
	shown := func(v event.Value) string {
		if v.Kind() != event.Time {
			return "text"
		}
		return v.Time().Truncate(time.Millisecond).Format("2006-01-02T15:04:05.000Z")
	}
	recordedLines(t, "dates", func(line []any) {
		in := text(line[0])
		if got := shown(csv.Date(in)); got != line[1] {
			t.Errorf("%q as a date: %s, not %s", in, got, line[1])
		}
		if got := shown(csv.DateTime(in)); got != line[2] {
			t.Errorf("%q as a time: %s, not %s", in, got, line[2])
		}
	})
}

func TestTextsAreInspectedAsInRuby(t *testing.T) {
	recordedLines(t, "inspect", func(line []any) {
		if got := string(appendQuoted(nil, text(line[0]))); got != line[1] {
			t.Errorf("%q: %s, not %s", line[0], got, line[1])
		}
	})
}

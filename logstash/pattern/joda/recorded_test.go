package joda

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// recorded is one line of testdata/*.tsv: what a class of Java 17 or of Joda-Time 2.12.7 did.
//
//	parse  pattern locale zone text   → milliseconds of DateTimeFormat.forPattern(pattern).parseMillis
//	print  pattern locale zone millis → its text
//	date   format  locale zone text   → milliseconds of the date filter's parser
//	java   pattern -      -    s.n    → text of java.time's DateTimeFormatter.ofPattern for seconds and nanoseconds in UTC
//	zone   -       -      -    id     → identifier of DateTimeZone.forID
//
// A result in capitals is an exception.
type recorded struct {
	op, pattern, locale, zone, input, want string
	now                                    time.Time
	line                                   string
}

// readRecorded reads a file; its first line is "# now " and the milliseconds at which the clock stood.
func readRecorded(t *testing.T, path string) []recorded {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var cases []recorded
	var now time.Time
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		if rest, ok := strings.CutPrefix(lines.Text(), "# now "); ok {
			ms, err := strconv.ParseInt(rest, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			now = time.UnixMilli(ms).UTC()
			continue
		}
		c := strings.Split(lines.Text(), "\t")
		if len(c) != 6 {
			t.Fatalf("%s:%d: %d columns, want 6", path, n, len(c))
		}
		cases = append(cases, recorded{c[0], c[1], c[2], c[3], c[4], c[5], now, fmt.Sprintf("%s:%d", filepath.Base(path), n)})
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return cases
}

// failures are the results that stand for an exception.
var failures = map[string]bool{"ERR": true, "UNSUP": true, "INDEX": true, "ARITH": true, "DTE": true}

func (c recorded) run() (string, error) {
	o := Options{Locale: c.locale, Clock: func() time.Time { return c.now }}
	if c.zone != "" {
		zone, err := LoadZone(c.zone)
		if err != nil {
			return "", err
		}
		o.Zone = zone
	}
	var got time.Time
	switch c.op {
	case "parse":
		f, err := Compile(c.pattern, o)
		if err != nil {
			return "", err
		}
		if got, err = f.Parse([]byte(c.input)); err != nil {
			return "", err
		}
	case "date":
		p, err := NewParser(c.pattern, o)
		if err != nil {
			return "", err
		}
		if got, err = p.Parse([]byte(c.input)); err != nil {
			return "", err
		}
	case "print":
		f, err := Compile(c.pattern, o)
		if err != nil {
			return "", err
		}
		ms, err := strconv.ParseInt(c.input, 10, 64)
		if err != nil {
			return "", err
		}
		at := time.UnixMilli(ms).UTC()
		if o.Zone != nil {
			at = at.In(time.FixedZone(o.Zone.String(), int(o.Zone.offsetAt(ms)/msSecond)))
		}
		return string(f.Append(nil, at)), nil
	case "java":
		f, err := CompileJava(c.pattern)
		if err != nil {
			return "", err
		}
		seconds, nanos, _ := strings.Cut(c.input, ".")
		s, err := strconv.ParseInt(seconds, 10, 64)
		if err != nil {
			return "", err
		}
		n, err := strconv.ParseInt(nanos, 10, 64)
		if err != nil {
			return "", err
		}
		return string(f.Append(nil, time.Unix(s, n).UTC())), nil
	case "zone":
		zone, err := LoadZone(c.input)
		if err != nil {
			return "", err
		}
		return zone.String(), nil
	default:
		return "", fmt.Errorf("unknown operation %q", c.op)
	}
	return strconv.FormatInt(got.UnixMilli(), 10), nil
}

func TestPatternsDoWhatJodaTimeAndJavaDo(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.tsv")
	if err != nil {
		t.Fatal(err)
	}
	if more := os.Getenv("JODA_RECORDED"); more != "" {
		paths = append(paths, strings.Split(more, ",")...)
	}
	count := 0
	for _, path := range paths {
		for _, c := range readRecorded(t, path) {
			count++
			got, err := c.run()
			switch {
			case failures[c.want]:
				if err == nil {
					t.Errorf("%s: %s %q %s %s %q: got %s, want an error", c.line, c.op, c.pattern, c.locale, c.zone, c.input, got)
				}
			case err != nil:
				t.Errorf("%s: %s %q %s %s %q: %v, want %s", c.line, c.op, c.pattern, c.locale, c.zone, c.input, err, c.want)
			case got != c.want:
				t.Errorf("%s: %s %q %s %s %q: got %q, want %q", c.line, c.op, c.pattern, c.locale, c.zone, c.input, got, c.want)
			}
		}
	}
	if count < 100 {
		t.Errorf("only %d recorded cases", count)
	}
}

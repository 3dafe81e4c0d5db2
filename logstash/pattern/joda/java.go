package joda

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// JavaFormat prints with a pattern of java.time's DateTimeFormatter.ofPattern, in UTC and English (en-US), to the nanosecond.
type JavaFormat struct {
	pattern string
	steps   []javaStep
}

type javaStep struct {
	letter byte // 0 for literal text
	count  int
	pad    int // width to fill with spaces on the left
	text   string
}

// CompileJava compiles a pattern of java.time: letters G u y M L d D e E c a B h H k K m s S n N A Q q w W Y F g V v z O X x Z p,
// text in single quotes, optional sections in brackets, which are always printed, and any other character as itself.
// As in Java, wrong letters and wrong counts are errors.
func CompileJava(pattern string) (*JavaFormat, error) {
	steps, err := javaSteps(pattern)
	if err != nil {
		return nil, fmt.Errorf("date format %q: %w", pattern, err)
	}
	return &JavaFormat{pattern, steps}, nil
}

// String gives the pattern.
func (f *JavaFormat) String() string { return f.pattern }

func javaSteps(pattern string) ([]javaStep, error) {
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("a date format has at most %d bytes, this one has %d", maxPattern, len(pattern))
	}
	var steps []javaStep
	open := 0
	for i := 0; i < len(pattern); {
		c := pattern[i]
		switch {
		case isLetter(c):
			s := javaStep{letter: c, count: run(pattern, i)}
			i += s.count
			if c == 'p' {
				if i >= len(pattern) || !isLetter(pattern[i]) || pattern[i] == 'p' {
					return nil, errors.New("the pad letter p must be followed by another pattern letter")
				}
				s = javaStep{letter: pattern[i], count: run(pattern, i), pad: s.count}
				i += s.count
			}
			if err := s.check(); err != nil {
				return nil, err
			}
			steps = append(steps, s)
		case c == '\'':
			text, next, err := javaQuote(pattern, i)
			if err != nil {
				return nil, err
			}
			steps = append(steps, javaStep{text: text})
			i = next
		case c == '[':
			open++
			i++
		case c == ']':
			if open == 0 {
				return nil, errors.New("a ] without a [ before it")
			}
			open--
			i++
		case c == '{' || c == '}' || c == '#':
			return nil, fmt.Errorf("the character %q is reserved, it needs single quotes", c)
		default:
			steps = append(steps, javaStep{text: pattern[i : i+1]})
			i++
		}
	}
	return steps, nil
}

// run counts how often the letter at i is repeated.
func run(pattern string, i int) int {
	n := 1
	for i+n < len(pattern) && pattern[i+n] == pattern[i] {
		n++
	}
	return n
}

// javaQuote reads quoted text; two quotes are one, inside and outside.
func javaQuote(pattern string, i int) (string, int, error) {
	var text strings.Builder
	for j := i + 1; j < len(pattern); j++ {
		if pattern[j] != '\'' {
			text.WriteByte(pattern[j])
			continue
		}
		if j+1 < len(pattern) && pattern[j+1] == '\'' {
			text.WriteByte('\'')
			j++
			continue
		}
		if j == i+1 {
			return "'", j + 1, nil
		}
		return text.String(), j + 1, nil
	}
	return "", 0, errors.New("a single quote is not closed")
}

// javaMost is how often each letter may stand in a row.
var javaMost = map[byte]int{
	'G': 5, 'u': 19, 'y': 19, 'M': 5, 'L': 5, 'Q': 5, 'q': 5, 'E': 5, 'e': 5, 'c': 5, 'D': 3,
	'd': 2, 'H': 2, 'h': 2, 'k': 2, 'K': 2, 'm': 2, 's': 2, 'w': 2, 'W': 1, 'F': 1, 'a': 1,
	'S': 9, 'A': 19, 'n': 19, 'N': 19, 'g': 19, 'Y': math.MaxInt, 'B': 5, 'V': 2, 'v': 4, 'z': 4, 'O': 4, 'X': 5, 'x': 5, 'Z': 5,
}

func (s javaStep) check() error {
	most, ok := javaMost[s.letter]
	if !ok {
		return fmt.Errorf("unknown pattern letter %q", s.letter)
	}
	bad := s.count > most
	switch s.letter {
	case 'c':
		bad = bad || s.count == 2
	case 'V':
		bad = bad || s.count != 2
	case 'v', 'O':
		bad = bad || s.count != 1 && s.count != 4
	case 'B':
		bad = bad || s.count != 1 && s.count < 4
	}
	if bad {
		return fmt.Errorf("the letter %q cannot stand %d times in a row", s.letter, s.count)
	}
	return nil
}

// Append prints a time in UTC behind dst.
func (f *JavaFormat) Append(dst []byte, t time.Time) []byte {
	seconds := t.Unix()
	days := floorDiv(seconds, 86400)
	p := javaParts{parts: parts{days: days, ms: (seconds - days*86400) * msSecond}, nanos: int64(t.Nanosecond())}
	p.clock()
	p.year, p.month, p.day = civil(days)
	for i := range f.steps {
		s := &f.steps[i]
		if s.letter == 0 {
			dst = append(dst, s.text...)
			continue
		}
		start := len(dst)
		dst = p.append(dst, s)
		if missing := s.pad - (len(dst) - start); missing > 0 {
			dst = slices.Insert(dst, start, spaces(missing)...)
		}
	}
	return dst
}

func spaces(n int) []byte { return bytes.Repeat([]byte{' '}, n) }

type javaParts struct {
	parts
	nanos int64 // of the second
}

var (
	javaQuarters = []string{"1st quarter", "2nd quarter", "3rd quarter", "4th quarter"}
	javaEras     = []string{"Before Christ", "Anno Domini"}
)

// append prints one step.
func (p *javaParts) append(dst []byte, s *javaStep) []byte {
	n := s.count
	english := localeNames("en")
	switch s.letter {
	case 'G':
		return appendName(dst, n, javaEras[p.get(fieldEra)], english.eras[p.get(fieldEra)])
	case 'u':
		return appendYear(dst, p.year, n)
	case 'y':
		return appendYear(dst, p.get(fieldYearOfEra), n)
	case 'Y':
		year, _ := p.sundayWeek()
		return appendYear(dst, year, n)
	case 'M', 'L':
		if n <= 2 {
			return appendPadded(dst, int64(p.month), n)
		}
		return appendName(dst, n, english.months[p.month-1], english.shortMonths[p.month-1])
	case 'Q', 'q':
		quarter := (p.month - 1) / 3
		switch n {
		case 3:
			return append(dst, 'Q', byte('1'+quarter))
		case 4:
			return append(dst, javaQuarters[quarter]...)
		case 5:
			n = 1
		}
		return appendPadded(dst, int64(quarter+1), n)
	case 'E', 'e', 'c':
		if n <= 2 && s.letter != 'E' {
			return appendPadded(dst, weekday(p.days)%7+1, n)
		}
		i := weekday(p.days) - 1
		return appendName(dst, n, english.weekdays[i], english.shortWeekdays[i])
	case 'w':
		_, week := p.sundayWeek()
		return appendPadded(dst, week, n)
	case 'W':
		first := weekday(p.days-int64(p.day)+1) % 7
		return appendPadded(dst, (int64(p.day)-1+first)/7+1, n)
	case 'F':
		return appendPadded(dst, int64(p.day-1)%7+1, n)
	case 'g':
		return appendPadded(dst, p.days+40587, n)
	case 'a':
		return append(dst, english.halfdays[p.get(fieldHalfday)]...)
	case 'B':
		return append(dst, p.dayPeriod(n)...)
	case 'S':
		return appendPadded(dst, p.nanos/pow10[9-n], n)
	case 'n':
		return appendPadded(dst, p.nanos, n)
	case 'N':
		return appendPadded(dst, p.ms*1e6+p.nanos, n)
	case 'A':
		return appendPadded(dst, p.ms+p.nanos/1e6, n)
	case 'D':
		return appendPadded(dst, p.get(fieldDayOfYear), n)
	case 'd', 'H', 'k', 'K', 'h', 'm', 's':
		return appendPadded(dst, p.get(javaFields[s.letter-'A']), n)
	case 'V', 'v', 'z', 'X':
		return append(dst, 'Z')
	case 'O':
		return append(dst, "GMT"...)
	case 'x':
		return append(dst, [...]string{"+00", "+0000", "+00:00", "+0000", "+00:00"}[n-1]...)
	}
	return append(dst, [...]string{"+0000", "+0000", "+0000", "GMT", "Z"}[n-1]...) // Z
}

var javaFields = [...]field{'d' - 'A': fieldDay, 'H' - 'A': fieldHour, 'k' - 'A': fieldClockHour, 'K' - 'A': fieldHourOfHalfday,
	'h' - 'A': fieldClockHourOfHalf, 'm' - 'A': fieldMinute, 's' - 'A': fieldSecond}

// appendName prints a name in full (4 letters), its first letter (5) or its short form.
func appendName(dst []byte, n int, long, short string) []byte {
	switch n {
	case 4:
		return append(dst, long...)
	case 5:
		return append(dst, long[0])
	}
	return append(dst, short...)
}

// appendYear prints a year: two letters are its last two digits; from four on a longer year has a plus.
func appendYear(dst []byte, year int64, n int) []byte {
	if n == 2 {
		return appendPadded(dst, abs(year)%100, 2)
	}
	if n >= 4 && n < len(pow10) && year >= pow10[n] {
		dst = append(dst, '+')
	}
	return appendPadded(dst, year, n)
}

// sundayWeek gives the week year and week of weeks that begin on Sunday; the first has 1 January.
func (p *javaParts) sundayWeek() (year, week int64) {
	sunday := p.days - weekday(p.days)%7
	year, _, _ = civil(sunday + 6)
	first := dayNumber(year, 1, 1)
	first -= weekday(first) % 7
	return year, (sunday-first)/7 + 1
}

// dayPeriod names the part of the day as CLDR does in English.
func (p *javaParts) dayPeriod(n int) string {
	minute := p.ms / msMinute
	narrow := n == 5
	switch hour := minute / 60; {
	case minute == 0:
		if narrow {
			return "mi"
		}
		return "midnight"
	case minute == 12*60:
		if narrow {
			return "n"
		}
		return "noon"
	case hour < 6 || hour >= 21:
		return "at night"
	case hour < 12:
		return "in the morning"
	case hour < 18:
		return "in the afternoon"
	}
	return "in the evening"
}

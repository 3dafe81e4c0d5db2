package agent

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/narudata/naru/format/tree"
)

// A Format is a text with fields and dates in it, as Beats have it: %{[agent.version]}, %{[fields.team]:none}, %{+yyyy.MM.dd}.
type Format struct {
	text   string
	pieces []formatPiece
}

type formatPiece struct {
	text     string // as it is, if the others are empty
	field    string
	fallback string
	has      bool // a fallback
	date     []datePiece
}

type datePiece struct {
	letter byte // 0: text
	n      int
	text   string
}

// ParseFormat reads one.
func ParseFormat(text string) (*Format, error) {
	f := &Format{text: text}
	rest := text
	for {
		before, after, ok := strings.Cut(rest, "%{")
		if before != "" {
			f.pieces = append(f.pieces, formatPiece{text: before})
		}
		if !ok {
			return f, nil
		}
		inner, more, ok := strings.Cut(after, "}")
		if !ok {
			return nil, fmt.Errorf("expected } after %%{ in %q", text)
		}
		rest = more
		switch {
		case strings.HasPrefix(inner, "+"):
			d, err := parseDate(inner[1:])
			if err != nil {
				return nil, err
			}
			f.pieces = append(f.pieces, formatPiece{date: d})
		case strings.HasPrefix(inner, "["):
			name, fallback, has := cutFallback(inner)
			if !strings.HasSuffix(name, "]") || len(name) < 3 {
				return nil, fmt.Errorf("expected %%{[field]} in %q, found %%{%s}", text, inner)
			}
			f.pieces = append(f.pieces, formatPiece{field: strings.ReplaceAll(name[1:len(name)-1], "][", "."), fallback: fallback, has: has})
		default:
			return nil, fmt.Errorf("expected %%{[field]} or %%{+date} in %q, found %%{%s}", text, inner)
		}
	}
}

func cutFallback(inner string) (name, fallback string, has bool) {
	end := strings.LastIndexByte(inner, ']')
	if end >= 0 && end+1 < len(inner) && inner[end+1] == ':' {
		return inner[:end+1], inner[end+2:], true
	}
	return inner, "", false
}

// Static gives the text if it depends on nothing.
func (f *Format) Static() (string, bool) {
	if len(f.pieces) == 0 {
		return "", true
	}
	return f.pieces[0].text, len(f.pieces) == 1 && f.pieces[0].field == "" && f.pieces[0].date == nil
}

var errNoSuchField = errors.New("the event has no such field")

// Of gives the text of an event.
func (f *Format) Of(e *Event) (string, error) {
	if s, ok := f.Static(); ok {
		return s, nil
	}
	var b strings.Builder
	for _, p := range f.pieces {
		switch {
		case p.date != nil:
			appendDate(&b, p.date, e.Time.UTC())
		case p.field == "":
			b.WriteString(p.text)
		default:
			v, ok := e.Get(p.field)
			text := tree.Text(v)
			if text == "" {
				if !p.has {
					if !ok {
						return "", fmt.Errorf("%s: %s: %w", f.text, p.field, errNoSuchField)
					}
					return "", fmt.Errorf("%s: %s is no text", f.text, p.field)
				}
				text = p.fallback
			}
			b.WriteString(text)
		}
	}
	return b.String(), nil
}

// parseDate reads a format of dates with the letters of Joda-Time that indices are named by.
func parseDate(s string) ([]datePiece, error) {
	var out []datePiece
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '\'':
			end := strings.IndexByte(s[i+1:], '\'')
			if end < 0 {
				return nil, fmt.Errorf("expected another ' in the date %q", s)
			}
			out = append(out, datePiece{text: s[i+1 : i+1+end]})
			i += end + 2
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			n := 1
			for i+n < len(s) && s[i+n] == c {
				n++
			}
			if strings.IndexByte("yYxMdDHhmsSwEeaZ", c) < 0 {
				return nil, fmt.Errorf("the letter %c of the date %q is not known: yyyy, MM, dd, HH, mm, ss, SSS, xxxx, ww, DDD are", c, s)
			}
			out = append(out, datePiece{letter: c, n: n})
			i += n
		default:
			out = append(out, datePiece{text: s[i : i+1]})
			i++
		}
	}
	if len(out) == 0 {
		return nil, errors.New("expected a date after %{+, as yyyy.MM.dd")
	}
	return out, nil
}

func appendDate(b *strings.Builder, pieces []datePiece, t time.Time) {
	year, week := t.ISOWeek()
	padded := func(v, n int) {
		s := strconv.Itoa(v)
		for i := len(s); i < n; i++ {
			b.WriteByte('0')
		}
		b.WriteString(s)
	}
	years := func(v, n int) {
		if n == 2 {
			v %= 100
		}
		padded(v, n)
	}
	for _, p := range pieces {
		switch p.letter {
		case 0:
			b.WriteString(p.text)
		case 'y', 'Y':
			years(t.Year(), p.n)
		case 'x':
			years(year, p.n)
		case 'w':
			padded(week, p.n)
		case 'M':
			switch {
			case p.n >= 4:
				b.WriteString(t.Month().String())
			case p.n == 3:
				b.WriteString(t.Month().String()[:3])
			default:
				padded(int(t.Month()), p.n)
			}
		case 'd':
			padded(t.Day(), p.n)
		case 'D':
			padded(t.YearDay(), p.n)
		case 'H':
			padded(t.Hour(), p.n)
		case 'h':
			padded((t.Hour()+11)%12+1, p.n)
		case 'm':
			padded(t.Minute(), p.n)
		case 's':
			padded(t.Second(), p.n)
		case 'S':
			nanos := fmt.Sprintf("%09d", t.Nanosecond())
			b.WriteString(nanos[:min(p.n, 9)])
		case 'e':
			padded((int(t.Weekday())+6)%7+1, p.n)
		case 'E':
			name := t.Weekday().String()
			if p.n < 4 {
				name = name[:3]
			}
			b.WriteString(name)
		case 'a':
			b.WriteString(t.Format("PM"))
		case 'Z':
			b.WriteString("+0000")
		}
	}
}

// A selector gives a text of an event by the first rule that fits, and one for all others.
type selector struct {
	rules []rule
	usual *Format
}

type rule struct {
	when     Condition // nil: always
	format   *Format
	mappings map[string]string
	fallback string
}

// of gives the text; "": none.
func (s *selector) of(e *Event) (string, error) {
	for _, r := range s.rules {
		if r.when != nil && !r.when(e) {
			continue
		}
		text, err := r.format.Of(e)
		if r.mappings != nil {
			mapped, ok := r.mappings[text]
			if !ok || err != nil {
				mapped = r.fallback
			}
			text, err = mapped, nil
		}
		if errors.Is(err, errNoSuchField) || text == "" && err == nil {
			continue
		}
		return text, err
	}
	if s.usual == nil {
		return "", nil
	}
	return s.usual.Of(e)
}

package event

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/narudata/naru/logstash/pattern/joda"
)

// A Format is a text with references to fields and with dates, compiled. It is safe for concurrent use.
//
//	%{field}, %{[a][b]}   the field's value, see AppendText; the reference itself if the field is missing or null
//	%{+FORMAT}            @timestamp in UTC, by a pattern of Joda-Time; empty without @timestamp
//	%{{FORMAT}}           the same by a pattern of java.time
//	%{{TIME_NOW}}         the time of day, as timestamps print
//	%{+%s}, %{}           @timestamp in whole seconds since 1970
//
// The first } closes. Values are not looked through again.
//
// Source: org.logstash.StringInterpolation.
type Format struct {
	text  string
	parts []formatPart
	err   error // the first of the parts
}

// A formatPart is text, or one of the others.
type formatPart struct {
	text string // itself; of a reference what stands for a missing field
	ref  *Ref
	date datePrinter
	what formatKind
	err  error // of what cannot be evaluated
}

type formatKind uint8

const (
	partText formatKind = iota
	partRef
	partDate
	partEpoch
	partNow
	partBad     // fails
	partBadDate // fails if there is a @timestamp
)

type datePrinter interface {
	Append(dst []byte, t time.Time) []byte
}

// ParseFormat compiles a text. It never fails: what is illegal in the text fails when it is evaluated, see Err.
func ParseFormat(s string) *Format { return None.ParseFormat(s) }

// ParseFormat compiles a text with references whose parts are escaped.
func (s EscapeStyle) ParseFormat(text string) *Format {
	f := &Format{text: text}
	pos := 0
	for {
		open := indexFrom(text, "%{", pos)
		if open < 0 {
			break
		}
		end := indexFrom(text, "}", open)
		if end < 0 {
			break
		}
		f.addText(text[pos:open])
		inner := text[open+2 : end]
		switch {
		case strings.HasPrefix("+%s", inner): // with nothing inside as well, as the original compares it
			f.parts = append(f.parts, formatPart{what: partEpoch})
		case inner[0] == '{' && end+1 == len(text):
			f.addBad(partBad, fmt.Errorf(`%w: the text ends inside of %q`, ErrFormat, text[open:]))
		case inner[0] == '{' && text[end+1] == '}':
			end++
			f.addJava(inner[1:])
		case inner[0] == '+':
			f.addJoda(inner[1:])
		default:
			f.addRef(s, inner, text[open:end+1])
		}
		pos = end + 1
	}
	f.addText(text[pos:])
	return f
}

// ErrFormat says that a text cannot be evaluated because of how it is written.
var ErrFormat = fmt.Errorf("illegal format")

func indexFrom(s, substr string, from int) int {
	if i := strings.Index(s[from:], substr); i >= 0 {
		return from + i
	}
	return -1
}

func (f *Format) addText(s string) {
	if s != "" {
		f.parts = append(f.parts, formatPart{text: s})
	}
}

func (f *Format) addBad(what formatKind, err error) {
	f.parts = append(f.parts, formatPart{what: what, err: err})
	if f.err == nil {
		f.err = err
	}
}

func (f *Format) addRef(s EscapeStyle, inner, verbatim string) {
	r, err := s.Parse(inner)
	if err != nil {
		f.addBad(partBad, err)
		return
	}
	f.parts = append(f.parts, formatPart{what: partRef, ref: r, text: verbatim})
}

func (f *Format) addJoda(pattern string) {
	date, err := joda.Compile(pattern, joda.Options{})
	if err != nil {
		f.addBad(partBadDate, fmt.Errorf("%w: %w", ErrFormat, err))
		return
	}
	f.parts = append(f.parts, formatPart{what: partDate, date: date})
}

func (f *Format) addJava(pattern string) {
	if pattern == "TIME_NOW" {
		f.parts = append(f.parts, formatPart{what: partNow})
		return
	}
	date, err := joda.CompileJava(pattern)
	if err != nil {
		f.addBad(partBadDate, fmt.Errorf("%w: %w", ErrFormat, err))
		return
	}
	f.parts = append(f.parts, formatPart{what: partDate, date: date})
}

// String gives the text as it was written.
func (f *Format) String() string { return f.text }

// Err says what is illegal in the text: an ErrSyntax for a reference, an ErrFormat for others. Append fails with it.
func (f *Format) Err() error { return f.err }

// Refs gives the fields that the text refers to.
func (f *Format) Refs() []*Ref {
	var refs []*Ref
	for i := range f.parts {
		if f.parts[i].ref != nil {
			refs = append(refs, f.parts[i].ref)
		}
	}
	return refs
}

// Static gives a text that is the same for all events; false if it is not.
func (f *Format) Static() (string, bool) {
	switch {
	case len(f.parts) == 0:
		return "", true
	case len(f.parts) == 1 && f.parts[0].what == partText:
		return f.parts[0].text, true
	}
	return "", false
}

// Append appends the text for an event. If it fails, dst is as it was.
func (f *Format) Append(dst []byte, e *Event) ([]byte, error) {
	from := len(dst)
	for i := range f.parts {
		p := &f.parts[i]
		switch p.what {
		case partText:
			dst = append(dst, p.text...)
		case partRef:
			v := e.Get(p.ref)
			switch v.kind {
			case String:
				dst = append(dst, v.s...)
			case Absent, Null:
				dst = append(dst, p.text...)
			default:
				dst = v.AppendText(dst)
			}
		case partDate:
			if t, ok := e.Timestamp(); ok {
				dst = p.date.Append(dst, t)
			}
		case partEpoch:
			if t, ok := e.Timestamp(); ok {
				dst = strconv.AppendInt(dst, t.Unix(), 10)
			}
		case partNow:
			dst = AppendTime(dst, time.Now())
		case partBadDate:
			if _, ok := e.Timestamp(); ok {
				return dst[:from], p.err
			}
		case partBad:
			return dst[:from], p.err
		}
	}
	return dst, nil
}

// textRoom is how much longer than the format its text is thought to be.
const textRoom = 32

// Text gives the text for an event. It may be a string of the event or of f.
func (f *Format) Text(e *Event) (string, error) {
	if s, ok := f.Static(); ok {
		return s, nil
	}
	if len(f.parts) == 1 && f.parts[0].what == partRef {
		v := e.Get(f.parts[0].ref)
		if v.Nil() {
			return f.parts[0].text, nil
		}
		return v.Text(), nil
	}
	out, err := f.Append(make([]byte, 0, len(f.text)+textRoom), e)
	if err != nil {
		return "", err
	}
	return textOf(out), nil // out is kept nowhere else
}

package archive

import (
	"bytes"
	"strings"
	"time"
)

// A dateFormat is the format of a date field: alternatives that are tried in order. Only formats whose
// meaning is the same in every version are known here.
type dateFormat []datePattern

// A datePattern is one alternative: a named one, or a sequence of elements.
type datePattern struct {
	named    func(s []byte) (time.Time, bool)
	elements []dateElement
}

// A dateElement is a run of one letter, or a literal.
type dateElement struct {
	letter   byte // 0: literal
	min, max int  // digits; of 'S' fractions of a second, of 'X' and 'Z' not used
	literal  string
}

// defaultDates is the format of a date field that names none.
const defaultDates = "strict_date_optional_time||epoch_millis"

var namedDates = map[string]datePattern{
	"date_optional_time":              {named: parseISO},
	"strict_date_optional_time":       {named: parseISO},
	"strict_date_optional_time_nanos": {named: parseISO},
	"iso8601":                         {named: parseISO},
	"epoch_millis":                    {named: func(s []byte) (time.Time, bool) { return parseEpoch(s, time.Millisecond) }},
	"epoch_second":                    {named: func(s []byte) (time.Time, bool) { return parseEpoch(s, time.Second) }},
}

// datePatterns are named formats that are short for a pattern; "strict_" before the name changes only what is
// refused.
var datePatterns = map[string]string{
	"date":                       "yyyy-MM-dd",
	"year_month_day":             "yyyy-MM-dd",
	"year_month":                 "yyyy-MM",
	"year":                       "yyyy",
	"date_time":                  "yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
	"date_time_no_millis":        "yyyy-MM-dd'T'HH:mm:ssXXX",
	"date_hour":                  "yyyy-MM-dd'T'HH",
	"date_hour_minute":           "yyyy-MM-dd'T'HH:mm",
	"date_hour_minute_second":    "yyyy-MM-dd'T'HH:mm:ss",
	"basic_date":                 "yyyyMMdd",
	"basic_date_time":            "yyyyMMdd'T'HHmmss.SSSXXX",
	"basic_date_time_no_millis":  "yyyyMMdd'T'HHmmssXXX",
	"date_hour_minute_second_ms": "yyyy-MM-dd'T'HH:mm:ss.SSS",
}

// parseDateFormat reads the format of a mapping. ok is false when an alternative of it is not known.
func parseDateFormat(format string) (f dateFormat, ok bool) {
	if format == "" {
		format = defaultDates
	}
	for name := range strings.SplitSeq(format, "||") {
		name = strings.TrimPrefix(name, "8") // in 6.8: a pattern of the later kind
		if p, found := namedDates[name]; found {
			f = append(f, p)
			continue
		}
		pattern, found := datePatterns[strings.TrimPrefix(name, "strict_")]
		if !found {
			pattern = name
		}
		elements, ok := parseDatePattern(pattern)
		if !ok {
			return nil, false
		}
		f = append(f, datePattern{elements: elements})
	}
	return f, true
}

// parseDatePattern reads a pattern of letters that name a date and time by numbers.
func parseDatePattern(p string) (elements []dateElement, ok bool) {
	var has [256]bool
	for i := 0; i < len(p); {
		c := p[i]
		n := 1
		for i+n < len(p) && p[i+n] == c {
			n++
		}
		e := dateElement{letter: c, min: n, max: n}
		switch c {
		case 'y', 'u':
			e.letter = 'y'
			if n != 4 {
				return nil, false
			}
		case 'M', 'd', 'H', 'm', 's':
			if n > 2 { // names of months
				return nil, false
			}
			e.max = 2
		case 'S':
			if n > 9 {
				return nil, false
			}
		case 'X', 'x', 'Z':
			e.letter = 'Z'
		case '\'':
			end := strings.IndexByte(p[i+1:], '\'')
			if n > 1 || end <= 0 {
				return nil, false
			}
			e = dateElement{literal: p[i+1 : i+1+end]}
			n = end + 2
		case '-', '/', ':', '.', ',', ' ', '_':
			e = dateElement{literal: p[i : i+n]}
		default:
			return nil, false
		}
		if e.letter != 0 && has[e.letter] {
			return nil, false
		}
		has[e.letter] = true
		elements = append(elements, e)
		i += n
	}
	return elements, has['y']
}

// parse tries the alternatives. A time without a zone is UTC.
func (f dateFormat) parse(s []byte) (time.Time, bool) {
	for i := range f {
		p := &f[i]
		var t time.Time
		var ok bool
		if p.named != nil {
			t, ok = p.named(s)
		} else {
			t, ok = parseElements(p.elements, s)
		}
		if ok {
			return t, true
		}
	}
	return time.Time{}, false
}

// A moment gathers what a date says; absent parts are the least they can be.
type moment struct {
	year, month, day, hour, minute, second, nanos int
	offset                                        int // seconds east
}

func (m *moment) time() (time.Time, bool) {
	if m.month < 1 || m.month > 12 || m.day < 1 || m.hour > 23 || m.minute > 59 || m.second > 59 {
		return time.Time{}, false
	}
	t := time.Date(m.year, time.Month(m.month), m.day, m.hour, m.minute, m.second, m.nanos, time.UTC)
	if t.Day() != m.day { // 31 February
		return time.Time{}, false
	}
	return t.Add(-time.Duration(m.offset) * time.Second), true
}

func parseElements(elements []dateElement, s []byte) (time.Time, bool) {
	m := moment{month: 1, day: 1}
	for i := range elements {
		e := &elements[i]
		ok := true
		switch e.letter {
		case 0:
			if !bytes.HasPrefix(s, []byte(e.literal)) {
				return time.Time{}, false
			}
			s = s[len(e.literal):]
		case 'y':
			m.year, s, ok = digits(s, e.min, e.max)
		case 'M':
			m.month, s, ok = digits(s, e.min, e.max)
		case 'd':
			m.day, s, ok = digits(s, e.min, e.max)
		case 'H':
			m.hour, s, ok = digits(s, e.min, e.max)
		case 'm':
			m.minute, s, ok = digits(s, e.min, e.max)
		case 's':
			m.second, s, ok = digits(s, e.min, e.max)
		case 'S':
			var rest []byte
			if m.nanos, rest, ok = digits(s, e.min, e.max); ok {
				m.nanos = scaleNanos(m.nanos, len(s)-len(rest))
				s = rest
			}
		case 'Z':
			m.offset, s, ok = zone(s)
		}
		if !ok {
			return time.Time{}, false
		}
	}
	if len(s) > 0 {
		return time.Time{}, false
	}
	return m.time()
}

// parseISO reads yyyy[-MM[-dd]][THH[:mm[:ss[.fraction]]][zone]]; a comma before the fraction is as good, and
// of a fraction nine digits count.
func parseISO(s []byte) (time.Time, bool) {
	m := moment{month: 1, day: 1}
	var ok bool
	if m.year, s, ok = digits(s, 4, 4); !ok {
		return time.Time{}, false
	}
	if next, found := after(s, '-'); found {
		if m.month, s, ok = digits(next, 2, 2); !ok {
			return time.Time{}, false
		}
		if next, found := after(s, '-'); found {
			if m.day, s, ok = digits(next, 2, 2); !ok {
				return time.Time{}, false
			}
		}
	}
	if next, found := after(s, 'T'); found && len(next) == 0 {
		s = next // date_optional_time has it so
	} else if found {
		if m.hour, s, ok = digits(next, 2, 2); !ok {
			return time.Time{}, false
		}
		if next, found := after(s, ':'); found {
			if m.minute, s, ok = digits(next, 2, 2); !ok {
				return time.Time{}, false
			}
			if next, found := after(s, ':'); found {
				if m.second, s, ok = digits(next, 2, 2); !ok {
					return time.Time{}, false
				}
				if len(s) > 0 && (s[0] == '.' || s[0] == ',') {
					frac := s[1:]
					n, rest, ok := digits(frac, 1, 9)
					if !ok {
						return time.Time{}, false
					}
					m.nanos = scaleNanos(n, len(frac)-len(rest))
					s = rest
				}
			}
		}
		if len(s) > 0 {
			if m.offset, s, ok = zone(s); !ok {
				return time.Time{}, false
			}
		}
	}
	if len(s) > 0 {
		return time.Time{}, false
	}
	return m.time()
}

func after(s []byte, c byte) ([]byte, bool) {
	if len(s) > 0 && s[0] == c {
		return s[1:], true
	}
	return s, false
}

// digits reads a number of at least least and at most most digits.
func digits(s []byte, least, most int) (n int, rest []byte, ok bool) {
	i := 0
	for i < len(s) && i < most && s[i] >= '0' && s[i] <= '9' {
		n = n*10 + int(s[i]-'0')
		i++
	}
	return n, s[i:], i >= least
}

func scaleNanos(n, digits int) int {
	for ; digits < 9; digits++ {
		n *= 10
	}
	return n
}

// zone reads Z, ±HH, ±HHmm or ±HH:mm.
func zone(s []byte) (offset int, rest []byte, ok bool) {
	if len(s) == 0 {
		return 0, s, false
	}
	sign := 1
	switch s[0] {
	case 'Z':
		return 0, s[1:], true
	case '+':
	case '-':
		sign = -1
	default:
		return 0, s, false
	}
	hours, rest, ok := digits(s[1:], 2, 2)
	if !ok || hours > 18 {
		return 0, s, false
	}
	minutes := 0
	next, colon := after(rest, ':')
	if n, r, found := digits(next, 2, 2); found && n < 60 {
		minutes, rest = n, r
	} else if colon {
		return 0, s, false
	}
	return sign * (hours*3600 + minutes*60), rest, true
}

// parseEpoch reads a whole number of units since 1970, with an optional fraction.
func parseEpoch(s []byte, unit time.Duration) (time.Time, bool) {
	sign := int64(1)
	if next, minus := after(s, '-'); minus {
		s, sign = next, -1
	}
	whole, rest, ok := digits(s, 1, 16)
	if !ok {
		return time.Time{}, false
	}
	nanos := 0
	if next, dot := after(rest, '.'); dot {
		n, r, ok := digits(next, 1, 9)
		if !ok {
			return time.Time{}, false
		}
		nanos, rest = scaleNanos(n, len(next)-len(r)), r
	}
	if len(rest) > 0 {
		return time.Time{}, false
	}
	perSecond := int64(time.Second / unit)
	seconds := int64(whole) / perSecond
	part := (int64(whole)%perSecond)*int64(unit) + int64(nanos)*int64(unit)/int64(time.Second)
	return time.Unix(sign*seconds, sign*part).UTC(), true
}

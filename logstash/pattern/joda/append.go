package joda

import (
	"math"
	"strconv"
	"time"
)

// printKind is what one step of printing writes.
type printKind uint8

const (
	printText printKind = iota // literal text
	printName                  // the name of a number
	printNumber
	printTwo       // a direct number below 100 with two digits
	printTwoDigits // the last two digits of a year
	printFraction
	printOffset
	printZoneName
	printZoneID
)

type printStep struct {
	kind  printKind
	field field
	width int // digits at least
	text  string
	names []string
	first int64 // the value of the first name
}

// needs are the parts of a time that a format prints.
type needs struct{ date, week bool }

// parts are a moment taken apart.
type parts struct {
	ms         int64                             // local time of the day
	direct     [fieldFractionOfSecond + 1]uint32 // month, day, hour, minute and second
	days       int64
	year       int64
	month, day int
	weekyear   int64
	week       int64
}

func compilePrint(items []item, names *names) ([]printStep, needs) {
	var n needs
	steps := make([]printStep, 0, len(items))
	for _, it := range items {
		s := printStep{kind: printNumber, width: it.count}
		switch it.letter {
		case 0:
			s.kind, s.text = printText, it.text
		case 'G':
			s.kind, s.field, s.names = printName, fieldEra, names.eras
		case 'C':
			s.field = fieldCentury
		case 'x', 'y', 'Y':
			s.field = map[byte]field{'x': fieldWeekyear, 'y': fieldYear, 'Y': fieldYearOfEra}[it.letter]
			if it.count == 2 {
				s.kind = printTwoDigits
				if it.letter == 'Y' {
					s.field = fieldYear // two digits are never those of the era
				}
			}
		case 'M':
			s.field = fieldMonth
			if it.count >= 3 {
				s.kind, s.first, s.names = printName, 1, names.shortMonths
				if it.count >= 4 {
					s.names = names.months
				}
			}
		case 'E':
			s.kind, s.field, s.first, s.names = printName, fieldDayOfWeek, 1, names.shortWeekdays
			if it.count >= 4 {
				s.names = names.weekdays
			}
		case 'a':
			s.kind, s.field, s.names = printName, fieldHalfday, names.halfdays
		case 'S':
			s.kind = printFraction
		case 'z':
			s.kind, s.names = printZoneName, names.utc
		case 'Z':
			s.kind = printOffset
			if it.count >= 3 {
				s.kind = printZoneID
			}
		default:
			s.field = map[byte]field{'d': fieldDay, 'e': fieldDayOfWeek, 'w': fieldWeek, 'D': fieldDayOfYear, 'H': fieldHour,
				'k': fieldClockHour, 'K': fieldHourOfHalfday, 'h': fieldClockHourOfHalf, 'm': fieldMinute, 's': fieldSecond}[it.letter]
		}
		switch s.field {
		case fieldMonth, fieldDay, fieldHour, fieldMinute, fieldSecond:
			if s.kind == printNumber && s.width == 2 {
				s.kind = printTwo
			}
		}
		if s.kind == printTwo || s.kind == printNumber || s.kind == printName || s.kind == printTwoDigits {
			n.date = n.date || s.field <= fieldDay && s.field != fieldWeek && s.field != fieldWeekyear
			n.week = n.week || s.field == fieldWeek || s.field == fieldWeekyear
		}
		steps = append(steps, s)
	}
	return steps, n
}

// Append prints a time in its own location behind dst.  Fractions beyond the millisecond are cut off.
func (f *Format) Append(dst []byte, t time.Time) []byte {
	offset := 0
	loc := t.Location()
	if loc != time.UTC {
		_, offset = t.Zone()
	}
	seconds := t.Unix() + int64(offset)
	days := floorDiv(seconds, 86400)
	p := parts{days: days, ms: (seconds-days*86400)*msSecond + int64(t.Nanosecond()/1e6)}
	p.clock()
	if f.needs.date {
		p.year, p.month, p.day = civil(days)
		p.direct[fieldMonth], p.direct[fieldDay] = uint32(p.month), uint32(p.day)
	}
	if f.needs.week {
		p.weekyear, p.week = isoWeek(days)
	}
	for i := range f.print {
		s := &f.print[i]
		switch s.kind {
		case printText:
			if len(s.text) == 1 {
				dst = append(dst, s.text[0])
				continue
			}
			dst = append(dst, s.text...)
		case printNumber:
			dst = appendPadded(dst, p.get(s.field), s.width)
		case printTwo:
			v := p.direct[s.field]
			t := byte(v * 103 >> 10) // v/10
			dst = append(dst, '0'+t, '0'+byte(v)-10*t)
		case printName:
			dst = append(dst, s.names[p.get(s.field)-s.first]...)
		case printTwoDigits:
			dst = appendPadded(dst, abs(p.get(s.field))%100, 2)
		case printFraction:
			dst = appendFraction(dst, p.ms%msSecond, s.width)
		case printOffset:
			form := offsetShort
			if s.width == 2 {
				form = offsetColon
			}
			dst = appendOffset(dst, int32(offset)*msSecond, form)
		case printZoneName:
			dst = appendZoneName(dst, t, offset, s)
		case printZoneID:
			dst = append(dst, loc.String()...)
		}
	}
	return dst
}

// clock takes the time of the day apart.
func (p *parts) clock() {
	s := uint32(p.ms) / msSecond
	m := s / 60
	p.direct[fieldHour], p.direct[fieldMinute], p.direct[fieldSecond] = m/60, m%60, s%60
}

// get gives the value of a field.
func (p *parts) get(f field) int64 {
	switch f {
	case fieldEra:
		if p.year > 0 {
			return 1
		}
		return 0
	case fieldCentury:
		return abs(p.year) / 100
	case fieldYear:
		return p.year
	case fieldYearOfEra:
		if p.year <= 0 {
			return 1 - p.year
		}
		return p.year
	case fieldWeekyear:
		return p.weekyear
	case fieldMonth:
		return int64(p.month)
	case fieldWeek:
		return p.week
	case fieldDayOfYear:
		return p.days - dayNumber(p.year, 1, 1) + 1
	case fieldDay:
		return int64(p.day)
	case fieldDayOfWeek:
		return weekday(p.days)
	case fieldHour:
		return int64(p.direct[fieldHour])
	case fieldMinute:
		return int64(p.direct[fieldMinute])
	case fieldSecond:
		return int64(p.direct[fieldSecond])
	case fieldHalfday:
		return p.ms / msHalfday
	case fieldClockHour:
		return clock(p.ms/msHour, 24)
	case fieldHourOfHalfday:
		return p.ms / msHour % 12
	case fieldClockHourOfHalf:
		return clock(p.ms/msHour%12, 12)
	}
	return 0
}

// clock is the hour of a clock that shows most where the others show 0.
func clock(hour, most int64) int64 {
	if hour == 0 {
		return most
	}
	return hour
}

// appendPadded writes a number with at least width digits.
func appendPadded(dst []byte, v int64, width int) []byte {
	if v < 0 {
		dst = append(dst, '-')
		v = -v
	}
	switch {
	case width == 2 && v < 100:
		return append(dst, byte('0'+v/10), byte('0'+v%10))
	case width <= 4 && v >= 1000 && v < 10000:
		high, low := uint32(v)/100, uint32(v)%100
		return append(dst, byte('0'+high/10), byte('0'+high%10), byte('0'+low/10), byte('0'+low%10))
	}
	for ; width > 1 && (width > len(pow10) || v < pow10[width-1]); width-- {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(dst, v, 10)
}

var pow10 = func() (p [19]int64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

// appendFraction writes the digits of milliseconds behind a decimal point.  Joda-Time computes 15 of them at most,
// but writes as many zeros as are asked for when the fraction is zero.
func appendFraction(dst []byte, ms int64, width int) []byte {
	if ms != 0 {
		width = min(width, 15)
	}
	if width == 3 {
		v := uint32(ms)
		return append(dst, byte('0'+v/100), byte('0'+v/10%10), byte('0'+v%10))
	}
	for i := range width {
		d := int64(0)
		if i < 3 {
			d = ms / pow10[2-i] % 10
		}
		dst = append(dst, byte('0'+d))
	}
	return dst
}

// offsetForm is how an offset is written.
type offsetForm uint8

const (
	offsetShort    offsetForm = iota // +hhmm
	offsetColon                      // +hh:mm
	offsetAsNeeded                   // +hh:mm[:ss[.SSS]]
)

// appendOffset writes an offset in milliseconds.
func appendOffset(dst []byte, offset int32, form offsetForm) []byte {
	if offset == 0 {
		if form == offsetShort {
			return append(dst, "+0000"...)
		}
		return append(dst, "+00:00"...)
	}
	sign := byte('+')
	v := int64(offset)
	if v < 0 {
		sign, v = '-', -v
	}
	dst = appendPadded(append(dst, sign), v/msHour, 2)
	if form != offsetShort {
		dst = append(dst, ':')
	}
	dst = appendPadded(dst, v/msMinute%60, 2)
	if rest := v % msMinute; rest != 0 && form == offsetAsNeeded {
		dst = appendPadded(append(dst, ':'), rest/msSecond, 2)
		if rest%msSecond != 0 {
			dst = appendPadded(append(dst, '.'), rest%msSecond, 3)
		}
	}
	return dst
}

// appendZoneName writes the name of a zone: that of UTC in the language of the format, else the abbreviation of the time zone
// database, or the offset for a long name or where there is no abbreviation.
func appendZoneName(dst []byte, t time.Time, offset int, s *printStep) []byte {
	long := s.width >= 4
	if t.Location() == time.UTC {
		if long {
			return append(dst, s.names[0]...)
		}
		return append(dst, "UTC"...)
	}
	name, _ := t.Zone()
	if long || name == "" || name[0] == '+' || name[0] == '-' {
		return appendOffset(dst, int32(min(max(offset, math.MinInt32/msSecond), math.MaxInt32/msSecond))*msSecond, offsetAsNeeded)
	}
	return append(dst, name...)
}

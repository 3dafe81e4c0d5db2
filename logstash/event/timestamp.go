package event

import (
	"strings"
	"time"
)

// AppendTime appends a time as Logstash prints timestamps: ISO 8601 in UTC with 3, 6 or 9 decimals. Years beyond four digits
// have a sign. Source: org.logstash.Timestamp.toString, java.time.format.DateTimeFormatter.ISO_INSTANT.
func AppendTime(dst []byte, t time.Time) []byte {
	return appendTime(dst, t.Unix(), uint32(t.Nanosecond()))
}

func appendTime(dst []byte, seconds int64, nanos uint32) []byte {
	days, rest := seconds/86400, seconds%86400
	if rest < 0 {
		days, rest = days-1, rest+86400
	}
	year, month, day := civil(days)
	if year >= 0 && year <= 9999 {
		dst = append(dst, byte('0'+year/1000), byte('0'+year/100%10), byte('0'+year/10%10), byte('0'+year%10))
	} else {
		dst = appendLongYear(dst, year)
	}
	second := int(rest)
	hour, minute := second/3600, second/60%60
	second %= 60
	millis := nanos / 1e6
	dst = append(dst,
		'-', byte('0'+month/10), byte('0'+month%10), '-', byte('0'+day/10), byte('0'+day%10),
		'T', byte('0'+hour/10), byte('0'+hour%10), ':', byte('0'+minute/10), byte('0'+minute%10),
		':', byte('0'+second/10), byte('0'+second%10),
		'.', byte('0'+millis/100), byte('0'+millis/10%10), byte('0'+millis%10))
	if rest := nanos % 1e6; rest != 0 {
		dst = appendThree(dst, rest/1000)
		if rest%1000 != 0 {
			dst = appendThree(dst, rest%1000)
		}
	}
	return append(dst, 'Z')
}

func appendThree(dst []byte, n uint32) []byte {
	return append(dst, byte('0'+n/100), byte('0'+n/10%10), byte('0'+n%10))
}

func appendLongYear(dst []byte, year int64) []byte {
	sign := byte('+')
	if year < 0 {
		sign, year = '-', -year
	}
	var digits [20]byte
	i := len(digits)
	for year > 0 || i > len(digits)-4 {
		i--
		digits[i] = byte('0' + year%10)
		year /= 10
	}
	return append(append(dst, sign), digits[i:]...)
}

// civil gives the date of a day after 1970-01-01, in the Gregorian calendar without an end in either direction.
func civil(days int64) (year int64, month, day int) {
	days += 719468 // since 0000-03-01
	era := days / 146097
	if days%146097 < 0 {
		era--
	}
	inEra := uint64(days - era*146097)
	yearOfEra := (inEra - inEra/1460 + inEra/36524 - inEra/146096) / 365
	dayOfYear := int(inEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100))
	m := (5*dayOfYear + 2) / 153 // from March
	day = dayOfYear - (153*m+2)/5 + 1
	month = m + 3
	if month > 12 {
		month -= 12
	}
	year = int64(yearOfEra) + era*400
	if month <= 2 {
		year++
	}
	return year, month, day
}

// dayOf gives the day after 1970-01-01 of a date.
func dayOf(year int64, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	if year%400 < 0 {
		era--
	}
	yearOfEra := year - era*400
	dayOfYear := int64((153*(month-3)+2)/5 + day - 1)
	return era*146097 + yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear - 719468
}

func daysIn(year int64, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	default:
		return 31
	}
}

// ParseTimestamp reads a text as LogStash::Timestamp does: a date, yyyy-MM-dd, which may be followed by T and a time,
// HH:mm[:ss[.fraction]], and by a zone: Z, +HH:mm[:ss], +HH[mm[ss]] or a name. Without a zone it is the local one of the
// machine. Letters may be lower case. A day behind the end of its month, up to the 31st, is the last one; 24:00 is the next
// day. The result is in UTC.
//
// Source: org.logstash.Timestamp, LENIENT_ISO_DATE_TIME_FORMATTER.
func ParseTimestamp(s string) (time.Time, bool) {
	p := timeText{s: s, ok: true}
	year := p.year()
	p.expect('-')
	month := p.number(2)
	p.expect('-')
	day := p.number(2)
	if !p.ok || month < 1 || month > 12 || day < 1 || day > 31 {
		return time.Time{}, false
	}
	var hour, minute, second int
	var nanos int64
	if p.next() == 'T' {
		p.at++
		hour = p.number(2)
		p.expect(':')
		minute = p.number(2)
		if p.next() == ':' {
			p.at++
			second = p.number(2)
			if p.next() == '.' {
				p.at++
				nanos = p.fraction()
			}
		}
	}
	endOfDay := hour == 24 && minute == 0 && second == 0 && nanos == 0
	if !p.ok || hour > 23 && !endOfDay || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	days := dayOf(year, month, min(day, daysIn(year, month)))
	seconds := days*86400 + int64(hour*3600+minute*60+second)
	if offset, ok := zoneOffset(s[p.at:], seconds); ok {
		return time.Unix(seconds-offset, nanos).UTC(), true
	}
	return time.Time{}, false
}

// zoneOffset gives the seconds that a zone is before UTC at a local time, in seconds since 1970.
func zoneOffset(zone string, local int64) (int64, bool) {
	if zone == "" {
		return localOffset(time.Local, local), true
	}
	if len(zone) == 1 && (zone[0] == 'Z' || zone[0] == 'z') {
		return 0, true
	}
	if zone[0] == '+' || zone[0] == '-' {
		return parseOffset(zone)
	}
	for _, prefix := range []string{"UTC", "GMT", "UT"} {
		if len(zone) >= len(prefix) && strings.EqualFold(zone[:len(prefix)], prefix) {
			if zone = zone[len(prefix):]; zone == "" {
				return 0, true
			}
			return parseOffset(zone)
		}
	}
	if c := zone[0] | 0x20; c < 'a' || c > 'z' || strings.EqualFold(zone, "local") {
		return 0, false
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return 0, false
	}
	return localOffset(loc, local), true
}

// localOffset gives the offset of a local time: of one that is there twice the earlier, of one that is skipped that of
// before the gap, as java.time does.
func localOffset(loc *time.Location, local int64) int64 {
	t := time.Unix(local, 0).UTC()
	at := time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, loc)
	_, before := at.Add(-24 * time.Hour).Zone()
	if _, offset := time.Unix(local-int64(before), 0).In(loc).Zone(); offset == before {
		return int64(before)
	}
	_, after := at.Add(24 * time.Hour).Zone()
	if _, offset := time.Unix(local-int64(after), 0).In(loc).Zone(); offset == after {
		return int64(after)
	}
	return int64(before)
}

// parseOffset reads +HH:mm, +HH:mm:ss, +HH, +HHmm or +HHmmss.
func parseOffset(s string) (int64, bool) {
	p := timeText{s: s, ok: true}
	negative := p.next() == '-'
	if p.next() != '+' && !negative {
		return 0, false
	}
	p.at++
	hours := p.number(2)
	var minutes, seconds int
	colon := p.next() == ':'
	part := func() int {
		if p.at == len(s) {
			return 0
		}
		if colon {
			p.expect(':')
		}
		return p.number(2)
	}
	minutes = part()
	seconds = part()
	if !p.ok || p.at != len(s) || hours > 18 || minutes > 59 || seconds > 59 {
		return 0, false
	}
	offset := int64(hours*3600 + minutes*60 + seconds)
	if offset > 18*3600 {
		return 0, false
	}
	if negative {
		offset = -offset
	}
	return offset, true
}

// timeText is a text that is read from left to right; ok is false once something was not there.
type timeText struct {
	s  string
	at int
	ok bool
}

// next gives the next character in upper case; 0 at the end.
func (p *timeText) next() byte {
	if p.at == len(p.s) {
		return 0
	}
	c := p.s[p.at]
	if c >= 'a' && c <= 'z' {
		c -= 'a' - 'A'
	}
	return c
}

func (p *timeText) expect(c byte) {
	if p.next() != c {
		p.ok = false
		return
	}
	p.at++
}

func (p *timeText) number(digits int) int {
	n := 0
	for range digits {
		c := p.next()
		if c < '0' || c > '9' {
			p.ok = false
			return 0
		}
		n = n*10 + int(c-'0')
		p.at++
	}
	return n
}

// year reads four digits, or with a sign four to nine; a plus has to have five or more.
func (p *timeText) year() int64 {
	sign := p.next()
	if sign != '+' && sign != '-' {
		return int64(p.number(4))
	}
	p.at++
	var year int64
	digits := 0
	for p.next() >= '0' && p.next() <= '9' && digits < 9 {
		year = year*10 + int64(p.next()-'0')
		p.at++
		digits++
	}
	if digits < 4 || sign == '+' && digits == 4 {
		p.ok = false
	}
	if sign == '-' {
		year = -year
	}
	return year
}

// fraction reads up to nine digits as nanoseconds.
func (p *timeText) fraction() int64 {
	var nanos int64
	unit := int64(1e9)
	for unit > 1 && p.next() >= '0' && p.next() <= '9' {
		unit /= 10
		nanos += int64(p.next()-'0') * unit
		p.at++
	}
	return nanos
}

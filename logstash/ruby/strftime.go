package ruby

import (
	"strconv"
	"strings"
	"time"
)

// pad fills a number on the left.
func pad(n int64, width int, with byte) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	if missing := width - len(s) - len(sign); missing > 0 {
		if with == ' ' {
			return strings.Repeat(" ", missing) + sign + s
		}
		s = strings.Repeat(string(with), missing) + s
	}
	return sign + s
}

// strftime is Time#strftime.
func (x *exec) strftime(t *timeValue, f string) string {
	var b strings.Builder
	for i := 0; i < len(f); i++ {
		if f[i] != '%' {
			b.WriteByte(f[i])
			continue
		}
		begin := i
		padding, upper, swap, colons, size := byte(0), false, false, 0, -1
	flags:
		for i++; i < len(f); i++ {
			switch c := f[i]; {
			case c == '-' || c == '_':
				padding = c
			case c == '0' && size < 0:
				padding = '0'
			case c == '^':
				upper = true
			case c == '#':
				swap = true
			case c == ':':
				colons++
			case c >= '0' && c <= '9':
				size = min(max(size, 0)*10+int(c-'0'), 1000)
			default:
				break flags
			}
		}
		if i >= len(f) {
			b.WriteString(f[begin:])
			break
		}
		text, ok := x.timeDirective(t, f[i], padding, colons, size)
		if !ok {
			b.WriteString(f[begin : i+1])
			continue
		}
		if upper || swap && f[i] != 'p' && f[i] != 'Z' {
			text = strings.ToUpper(text)
		} else if swap {
			text = strings.ToLower(text)
		}
		if n := size - len(text); n > 0 && f[i] != 'N' && f[i] != 'L' && padding != '-' {
			with := " "
			if padding == '0' {
				with = "0"
			}
			text = strings.Repeat(with, n) + text
		}
		x.alloc(len(text))
		b.WriteString(text)
	}
	return b.String()
}

// timeDirective gives the text of one directive; false if there is none of that letter.
func (x *exec) timeDirective(v *timeValue, c byte, padding byte, colons, size int) (string, bool) {
	t := v.t
	number := func(n, width int, with byte) (string, bool) {
		switch padding {
		case '-':
			return strconv.Itoa(n), true
		case '_':
			with = ' '
		case '0':
			with = '0'
		}
		return pad(int64(n), max(width, size), with), true
	}
	combined := func(f string) (string, bool) { return x.strftime(v, f), true }
	switch c {
	case 'Y':
		if t.Year() < 0 {
			return number(t.Year(), 5, '0')
		}
		return number(t.Year(), 4, '0')
	case 'C':
		return number(t.Year()/100, 2, '0')
	case 'y':
		return number((t.Year()%100+100)%100, 2, '0')
	case 'm':
		return number(int(t.Month()), 2, '0')
	case 'B':
		return t.Month().String(), true
	case 'b', 'h':
		return t.Month().String()[:3], true
	case 'd':
		return number(t.Day(), 2, '0')
	case 'e':
		return number(t.Day(), 2, ' ')
	case 'j':
		return number(t.YearDay(), 3, '0')
	case 'H':
		return number(t.Hour(), 2, '0')
	case 'k':
		return number(t.Hour(), 2, ' ')
	case 'I':
		return number((t.Hour()+11)%12+1, 2, '0')
	case 'l':
		return number((t.Hour()+11)%12+1, 2, ' ')
	case 'M':
		return number(t.Minute(), 2, '0')
	case 'S':
		return number(t.Second(), 2, '0')
	case 'L', 'N':
		digits := 9
		if c == 'L' {
			digits = 3
		}
		if size > 0 {
			digits = size
		}
		s := pad(int64(t.Nanosecond()), 9, '0')
		if digits > 9 {
			return s + strings.Repeat("0", digits-9), true
		}
		return s[:digits], true
	case 'P':
		return strings.ToLower(t.Format("PM")), true
	case 'p':
		return t.Format("PM"), true
	case 'A':
		return t.Weekday().String(), true
	case 'a':
		return t.Weekday().String()[:3], true
	case 'u':
		return number((int(t.Weekday())+6)%7+1, 1, '0')
	case 'w':
		return number(int(t.Weekday()), 1, '0')
	case 'G':
		y, _ := t.ISOWeek()
		return number(y, 4, '0')
	case 'g':
		y, _ := t.ISOWeek()
		return number(y%100, 2, '0')
	case 'V':
		_, w := t.ISOWeek()
		return number(w, 2, '0')
	case 'U':
		return number((t.YearDay()+6-int(t.Weekday()))/7, 2, '0')
	case 'W':
		return number((t.YearDay()+6-(int(t.Weekday())+6)%7)/7, 2, '0')
	case 's':
		return strconv.FormatInt(t.Unix(), 10), true
	case 'z':
		switch colons {
		case 1:
			return t.Format("-07:00"), true
		case 2:
			return t.Format("-07:00:00"), true
		}
		return t.Format("-0700"), true
	case 'Z':
		if v.utc() {
			return "UTC", true
		}
		name, _ := t.Zone()
		return name, true
	case 'n':
		return "\n", true
	case 't':
		return "\t", true
	case '%':
		return "%", true
	case 'F':
		return combined("%Y-%m-%d")
	case 'T', 'X':
		return combined("%H:%M:%S")
	case 'D', 'x':
		return combined("%m/%d/%y")
	case 'R':
		return combined("%H:%M")
	case 'r':
		return combined("%I:%M:%S %p")
	case 'c':
		return combined("%a %b %e %H:%M:%S %Y")
	case 'v':
		return combined("%e-%^b-%Y")
	case '+':
		return combined("%a %b %e %H:%M:%S %Z %Y")
	}
	return "", false
}

// strptime is Time.strptime for the directives of numbers, names and zones.
func (x *exec) strptime(s, f string) any {
	year, month, day, hour, minute, second, nanos := x.now().Year(), 1, 1, 0, 0, 0, 0
	given := func() { x.raise(classArgumentError, "invalid date or strptime format - `"+s+"' `"+f+"'") }
	loc, pm, epoch, fraction := time.Local, -1, int64(-1), -1
	i := 0
	number := func(most int) int {
		from := i
		for i < len(s) && i-from < most && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		n, err := strconv.Atoi(s[from:i])
		if err != nil {
			given()
		}
		return n
	}
	word := func(names func(int) string, n int) int {
		for k := range n {
			name := names(k)
			for _, w := range []string{name, name[:3]} {
				if len(s)-i >= len(w) && strings.EqualFold(s[i:i+len(w)], w) {
					i += len(w)
					return k
				}
			}
		}
		given()
		return 0
	}
	for _, short := range [][2]string{{"%F", "%Y-%m-%d"}, {"%T", "%H:%M:%S"}, {"%X", "%H:%M:%S"}, {"%R", "%H:%M"}, {"%D", "%m/%d/%y"}, {"%c", "%a %b %e %H:%M:%S %Y"}} {
		f = strings.ReplaceAll(f, short[0], short[1])
	}
	for k := 0; k < len(f); k++ {
		if f[k] == ' ' || f[k] == '\t' || f[k] == '\n' {
			for i < len(s) && strings.IndexByte(space, s[i]) >= 0 {
				i++
			}
			continue
		}
		if f[k] != '%' || k+1 == len(f) {
			if i >= len(s) || s[i] != f[k] {
				given()
			}
			i++
			continue
		}
		for k++; k < len(f)-1 && strings.IndexByte("-0^:", f[k]) >= 0; k++ {
		}
		if strings.IndexByte("mdeHklIMSj", f[k]) >= 0 {
			for i < len(s) && s[i] == ' ' {
				i++
			}
		}
		switch f[k] {
		case 'Y':
			year = number(4)
		case 'y':
			if year = number(2) + 1900; year < 1969 {
				year += 100
			}
		case 'm':
			month = number(2)
		case 'd', 'e':
			day = number(2)
		case 'j':
			day, month = number(3), 1
		case 'H', 'k':
			hour = number(2)
		case 'I', 'l':
			hour = number(2) % 12
		case 'M':
			minute = number(2)
		case 'S':
			second = number(2)
		case 'L', 'N':
			from := i
			n := number(9)
			fraction = n
			for d := i - from; d < 9; d++ {
				fraction *= 10
			}
			for i < len(s) && s[i] >= '0' && s[i] <= '9' {
				i++
			}
		case 'b', 'B', 'h':
			month = word(func(n int) string { return time.Month(n + 1).String() }, 12) + 1
		case 'a', 'A':
			word(func(n int) string { return time.Weekday(n).String() }, 7)
		case 'p', 'P':
			if len(s)-i < 2 {
				given()
			}
			pm = map[string]int{"am": 0, "pm": 1}[strings.ToLower(s[i:i+2])]
			i += 2
		case 's':
			epoch = int64(number(12))
		case 'z', 'Z':
			from := i
			for i < len(s) && strings.IndexByte(space, s[i]) < 0 {
				i++
			}
			loc = x.parsedZone(s[from:i], given)
		case '%':
			i++
		default:
			x.raise(classArgumentError, "the directive %"+f[k:k+1]+" of strptime is not known")
		}
	}
	if i < len(s) || month < 1 || month > 12 || day < 1 || day > 366 || hour > 24 || minute > 59 || second > 60 {
		given()
	}
	if pm == 1 {
		hour += 12
	}
	if fraction >= 0 {
		nanos = fraction
	}
	if epoch >= 0 {
		return &timeValue{time.Unix(epoch, int64(nanos)).In(loc)}
	}
	return &timeValue{time.Date(year, time.Month(month), day, hour, minute, second, nanos, loc)}
}

func (x *exec) parsedZone(s string, bad func()) *time.Location {
	switch strings.ToUpper(s) {
	case "Z", "UTC", "GMT":
		return time.UTC
	case "EST":
		return time.FixedZone("EST", -5*3600)
	case "EDT":
		return time.FixedZone("EDT", -4*3600)
	case "CST":
		return time.FixedZone("CST", -6*3600)
	case "CDT", "MST":
		return time.FixedZone(s, -5*3600-map[bool]int{true: 2 * 3600}[strings.EqualFold(s, "MST")])
	case "PDT":
		return time.FixedZone("PDT", -7*3600)
	case "PST":
		return time.FixedZone("PST", -8*3600)
	}
	digits := strings.ReplaceAll(s, ":", "")
	if len(digits) == 3 {
		digits += "00"
	}
	if len(digits) != 5 || digits[0] != '+' && digits[0] != '-' {
		bad()
	}
	return x.zone(newStr(digits))
}

// parseTime is Time.parse, of the forms that logs have.
func (x *exec) parseTime(s string) any {
	text := strings.TrimSpace(s)
	for _, f := range []string{
		"%Y-%m-%dT%H:%M:%S.%N%z", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%N", "%Y-%m-%dT%H:%M:%S",
		"%Y-%m-%d %H:%M:%S.%N %z", "%Y-%m-%d %H:%M:%S %z", "%Y-%m-%d %H:%M:%S.%N%z", "%Y-%m-%d %H:%M:%S%z", "%Y-%m-%d %H:%M:%S.%N", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d",
		"%Y/%m/%d %H:%M:%S.%N", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d", "%d/%b/%Y:%H:%M:%S %z", "%a, %d %b %Y %H:%M:%S %z", "%d %b %Y %H:%M:%S %z", "%d %b %Y %H:%M:%S",
		"%a %b %e %H:%M:%S %Z %Y", "%a %b %e %H:%M:%S %Y", "%b %e %H:%M:%S %Y", "%b %e %Y %H:%M:%S", "%Y%m%dT%H%M%S%z", "%Y%m%d%H%M%S", "%Y%m%d", "%d %b %Y", "%b %e, %Y",
	} {
		var t any
		_, exc := x.try(func(x *exec) any { t = x.strptime(text, f); return nil })
		if exc == nil {
			return t
		}
	}
	x.raise(classArgumentError, "no time information in "+quote(s))
	return nil
}

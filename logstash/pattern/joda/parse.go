package joda

import (
	"math"
	"slices"
	"unicode"
	"unicode/utf8"
)

// stepKind is what one step of a parse program reads.
type stepKind uint8

const (
	stepNumber   stepKind = iota // digits, at most max; with a sign when signed
	stepTwoYear                  // a year of two digits, or of any number when lenient
	stepFraction                 // digits behind a decimal point, in milliseconds
	stepText                     // a name out of a table
	stepByte                     // one ASCII byte, in either case
	stepString                   // literal text, in either case
	stepOffset                   // Z or ±hh[[:]mm[[:]ss[(.|,)SSS]]]
	stepZoneName                 // a short zone name (z)
	stepZoneID                   // a zone identifier (ZZZ)
)

// step is one instruction of a parse program.
type step struct {
	kind    stepKind
	slot    uint8 // of the values
	signed  bool
	lenient bool
	lit     byte  // stepByte: lower case; after a number: the ASCII literal that follows, which is then part of this step
	max     int32 // digits; stepTwoYear: the pivot year
	text    string
	names   *nameTable
}

// program is a compiled parser.  Every field of a pattern is read whenever the pattern matches, so the order in which
// fields are applied is known when it is compiled.
type program struct {
	steps     []step
	fields    []field // by slot, in the order of rank; general programs only
	simple    bool    // the fields are an ordinary date and time: values have the fixed slots below
	weekdays  bool    // simple, with a day of the week
	halfdays  bool    // simple, with a half of the day and an hour of 1–12
	hasYear   bool    // no default year is needed
	printOnly bool
	year      int32 // the default year
	least     int64 // the least year of a simple program
}

// Slots of simple programs.
const (
	slotYear = iota
	slotMonth
	slotDay
	slotHour
	slotMinute
	slotSecond
	slotMillis
	slotHalfday
	slotWeekday
	simpleSlots
)

// zoneFound is what a text says about its zone; the offset wins over the zone.
type zoneFound struct {
	offset    int32 // milliseconds east of UTC
	hasOffset bool
	zone      *Zone
}

// instant gives the moment of a local time, in the zone of the text or else in the one given.
func (z zoneFound) instant(local int64, zone *Zone) (int64, error) {
	if z.hasOffset {
		return local - int64(z.offset), nil
	}
	if z.zone != nil {
		zone = z.zone
	}
	return zone.instant(local)
}

const maxFixedSlots = 16

// compileParse makes the parser of a pattern; pivot is the middle of the hundred years that two digits can mean.
func compileParse(items []item, names *names, pivot, defaultYear int) (program, error) {
	p := program{year: int32(defaultYear)}
	var fields []field
	for i, it := range items {
		lenient := i+1 >= len(items) || !items[i+1].numeric()
		s := step{kind: stepNumber, max: int32(max(2, it.count))}
		var f field
		hasField := true
		switch it.letter {
		case 0:
			p.literal(it.text)
			continue
		case 'z':
			hasField = false
			s.kind = stepZoneName
			p.printOnly = p.printOnly || it.count >= 4
		case 'Z':
			hasField = false
			s.kind = stepOffset
			if it.count >= 3 {
				s.kind = stepZoneID
			}
		case 'G':
			f, s.kind, s.names = fieldEra, stepText, names.eraTable
		case 'a':
			f, s.kind, s.names = fieldHalfday, stepText, names.halfdayTable
		case 'E':
			f, s.kind, s.names = fieldDayOfWeek, stepText, names.weekdayTable
		case 'C':
			f, s.signed, s.max = fieldCentury, true, int32(it.count)
		case 'x', 'y', 'Y':
			f = map[byte]field{'x': fieldWeekyear, 'y': fieldYear, 'Y': fieldYearOfEra}[it.letter]
			s.signed = it.letter != 'Y'
			switch {
			case it.count == 2:
				if it.letter == 'Y' {
					f = fieldYear
				}
				s.kind, s.lenient, s.max = stepTwoYear, lenient, int32(pivot)
			case lenient:
				s.max = int32(max(9, it.count))
			default:
				s.max = int32(it.count)
			}
		case 'M':
			f = fieldMonth
			if it.count >= 3 {
				s.kind, s.names = stepText, names.monthTable
			}
		case 'D':
			f, s.max = fieldDayOfYear, int32(max(3, it.count))
		case 'e':
			f, s.max = fieldDayOfWeek, int32(it.count)
		case 'S':
			f, s.kind, s.max = fieldFractionOfSecond, stepFraction, int32(min(18, it.count))
		default:
			f = map[byte]field{'d': fieldDay, 'w': fieldWeek, 'H': fieldHour, 'k': fieldClockHour, 'K': fieldHourOfHalfday,
				'h': fieldClockHourOfHalf, 'm': fieldMinute, 's': fieldSecond}[it.letter]
		}
		if hasField {
			if len(fields) == math.MaxUint8-1 {
				return p, errTooManyFields
			}
			s.slot = uint8(len(fields))
			fields = append(fields, f)
		}
		p.steps = append(p.steps, s)
	}
	p.layOut(fields)
	p.fuse()
	return p, nil
}

// literal adds a step for literal text.
func (p *program) literal(text string) {
	if len(text) == 1 && text[0] < utf8.RuneSelf {
		p.steps = append(p.steps, step{kind: stepByte, lit: lower(text[0])})
		return
	}
	p.steps = append(p.steps, step{kind: stepString, text: text})
}

// layOut gives every field its slot.
func (p *program) layOut(fields []field) {
	if p.simple = isSimple(fields); p.simple {
		p.weekdays = slices.Contains(fields, fieldDayOfWeek)
		p.halfdays = slices.Contains(fields, fieldHalfday)
		p.hasYear = slices.Contains(fields, fieldYear) || slices.Contains(fields, fieldYearOfEra)
		p.least = minYear - 1
		if slices.Contains(fields, fieldYearOfEra) {
			p.least = 1
		}
		for i := range p.steps {
			if s := &p.steps[i]; s.hasField() {
				s.slot = simpleSlot(fields[s.slot])
			}
		}
		if !p.hasYear && !slices.ContainsFunc(fields, needsYear) {
			p.year = 1970
		}
		return
	}
	// A stable order of the slots by rank; the default year comes in front.
	order := make([]int, len(fields))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return fields[a].rank() - fields[b].rank() })
	slots := make([]uint8, len(fields))
	first := 0
	if len(order) > 0 && needsYear(fields[order[0]]) {
		p.fields = append(p.fields, fieldYear)
		first = 1
	} else {
		p.hasYear = true
	}
	for at, i := range order {
		slots[i] = uint8(first + at)
		p.fields = append(p.fields, fields[i])
	}
	for i := range p.steps {
		if s := &p.steps[i]; s.hasField() {
			s.slot = slots[s.slot]
		}
	}
}

func (s *step) hasField() bool { return s.kind <= stepText }

func simpleSlot(f field) uint8 {
	switch f {
	case fieldMonth:
		return slotMonth
	case fieldDay:
		return slotDay
	case fieldDayOfWeek:
		return slotWeekday
	case fieldHour:
		return slotHour
	case fieldMinute:
		return slotMinute
	case fieldSecond:
		return slotSecond
	case fieldFractionOfSecond:
		return slotMillis
	case fieldHalfday:
		return slotHalfday
	case fieldClockHourOfHalf:
		return slotHour
	}
	return slotYear
}

// isSimple tells whether fields can be put together without the general rules: each at most once, no weeks, eras and
// centuries, a day of the week only beside a whole date, half days only with the hours 1–12.
func isSimple(fields []field) bool {
	var seen [fieldFractionOfSecond + 1]bool
	for _, f := range fields {
		switch f {
		case fieldYear, fieldYearOfEra, fieldMonth, fieldDay, fieldDayOfWeek, fieldHalfday, fieldHour, fieldClockHourOfHalf, fieldMinute, fieldSecond, fieldFractionOfSecond:
		default:
			return false
		}
		if seen[f] {
			return false
		}
		seen[f] = true
	}
	if seen[fieldYear] && seen[fieldYearOfEra] {
		return false
	}
	if seen[fieldDayOfWeek] && !(seen[fieldMonth] && seen[fieldDay]) {
		return false
	}
	return seen[fieldHalfday] == seen[fieldClockHourOfHalf] && !(seen[fieldHour] && seen[fieldHalfday])
}

// fuse puts an ASCII literal that follows a number into the number's step.
func (p *program) fuse() {
	steps := p.steps[:0]
	for _, s := range p.steps {
		if n := len(steps); s.kind == stepByte && n > 0 && steps[n-1].lit == 0 && (steps[n-1].kind == stepNumber || steps[n-1].kind == stepText) {
			steps[n-1].lit = s.lit
			continue
		}
		steps = append(steps, s)
	}
	p.steps = steps
}

// local reads a text and gives its local time in milliseconds since 1970 and what it says about its zone.
func (p *program) local(text []byte) (int64, zoneFound, error) {
	var found zoneFound
	if p.printOnly {
		return 0, found, ErrPrintOnly
	}
	if p.simple {
		v := [maxFixedSlots]int32{slotYear: p.year, slotMonth: 1, slotDay: 1}
		end := p.run(text, v[:], &found)
		if end != len(text) {
			return 0, found, ErrNoMatch
		}
		ms, ok := p.assemble(&v)
		if !ok {
			return 0, found, ErrRange
		}
		return ms, found, nil
	}
	ms, err := p.general(text, &found)
	return ms, found, err
}

// general puts fields together by the general rules.
func (p *program) general(text []byte, found *zoneFound) (int64, error) {
	var vs [maxFixedSlots]int32
	var fs [maxFixedSlots]fieldValue
	v, fields := vs[:], fs[:0]
	if len(p.fields) > maxFixedSlots {
		v = make([]int32, len(p.fields))
	}
	if !p.hasYear && len(p.fields) > 0 {
		v[0] = p.year
	}
	if p.run(text, v, found) != len(text) {
		return 0, ErrNoMatch
	}
	for i, f := range p.fields {
		fields = append(fields, fieldValue{f, v[i]})
	}
	return resolve(fields)
}

// assemble checks the values of a simple program and puts them together.
func (p *program) assemble(v *[maxFixedSlots]int32) (int64, bool) {
	year, month, day := int64(v[slotYear]), int(v[slotMonth]), int(v[slotDay])
	if year < p.least || year > maxYear+1 || month < 1 || month > 12 || day < 1 || day > 28 && day > daysInMonth(year, month) {
		return 0, false
	}
	hour, minute, second := v[slotHour], v[slotMinute], v[slotSecond]
	if p.halfdays {
		if hour < 1 || hour > 12 {
			return 0, false
		}
		hour = hour%12 + 12*v[slotHalfday]
	}
	if uint32(hour) > 23 || uint32(minute) > 59 || uint32(second) > 59 {
		return 0, false
	}
	days := dayNumber(year, month, day)
	if p.weekdays {
		days += int64(v[slotWeekday]) - weekday(days)
	}
	return days*msDay + (int64(hour)*3600+int64(minute)*60+int64(second))*msSecond + int64(v[slotMillis]), true
}

// run reads the text into the values and gives the position behind it, or -1.
func (p *program) run(text []byte, v []int32, found *zoneFound) int {
	pos := 0
	for i := range p.steps {
		s := &p.steps[i]
		switch s.kind {
		case stepNumber:
			// The usual numbers first: two digits of two, and four digits of more.
			if s.max == 2 && !s.signed && len(text)-pos >= 2 {
				if a, b := text[pos]-'0', text[pos+1]-'0'; a <= 9 && b <= 9 {
					v[s.slot] = int32(a)*10 + int32(b)
					pos += 2
					break
				}
			} else if s.max >= 4 && len(text)-pos > 4 {
				t := text[pos : pos+5]
				if a, b, c, d := t[0]-'0', t[1]-'0', t[2]-'0', t[3]-'0'; a <= 9 && b <= 9 && c <= 9 && d <= 9 && (t[4]-'0' > 9 || s.max == 4) {
					v[s.slot] = int32(a)*1000 + int32(b)*100 + int32(c)*10 + int32(d)
					pos += 4
					break
				}
			}
			value, end := number(text, pos, int(s.max), s.signed)
			if end < 0 {
				return -1
			}
			v[s.slot] = value
			pos = end
		case stepText:
			value, end := s.names.match(text, pos)
			if end < 0 {
				return -1
			}
			v[s.slot] = value
			pos = end
		case stepByte:
			if pos >= len(text) || !sameByte(text, pos, s.lit) {
				return -1
			}
			pos++
			continue
		case stepOffset:
			if pos = found.readOffset(text, pos, true); pos < 0 {
				return -1
			}
		default:
			if pos = s.rare(text, pos, v, found); pos < 0 {
				return -1
			}
		}
		if s.lit != 0 {
			if pos >= len(text) || text[pos] != s.lit && lower(text[pos]) != s.lit {
				return -1
			}
			pos++
		}
	}
	return pos
}

// rare runs the steps that few formats have.
func (s *step) rare(text []byte, pos int, v []int32, found *zoneFound) int {
	var value int32
	switch s.kind {
	case stepTwoYear:
		if value, pos = twoDigitYear(text, pos, s.max, s.lenient); pos >= 0 {
			v[s.slot] = value
		}
	case stepFraction:
		if value, pos = fraction(text, pos, int(s.max), msSecond); pos >= 0 {
			v[s.slot] = value
		}
	case stepString:
		return matchFold(text, pos, s.text)
	case stepZoneName:
		var zone *Zone
		if zone, pos = matchZoneName(text, pos); pos >= 0 {
			found.zone = zone
		}
	case stepZoneID:
		var zone *Zone
		if zone, pos = matchZoneID(text, pos); pos >= 0 {
			found.zone = zone
		}
	}
	return pos
}

// number reads up to most digits, with a sign before them when signed; end is -1 when there is none.
func number(text []byte, pos, most int, signed bool) (value int32, end int) {
	if pos >= len(text) {
		return 0, -1
	}
	negative := false
	if c := text[pos]; c-'0' > 9 {
		if !signed || c != '-' && c != '+' || most < 2 {
			return 0, -1
		}
		negative = c == '-'
		pos++
	}
	limit := min(len(text), pos+most)
	n := int64(0)
	i := pos
	for ; i < limit; i++ {
		d := text[i] - '0'
		if d > 9 {
			break
		}
		if n = n*10 + int64(d); n > math.MaxInt32+1 {
			return 0, -1
		}
	}
	if i == pos {
		return 0, -1
	}
	if negative {
		n = -n
	}
	if n != int64(int32(n)) {
		return 0, -1
	}
	return int32(n), i
}

// twoDigitYear reads two digits as one of the hundred years around the pivot.  When lenient, any other number of digits,
// and digits behind a sign, are the year itself.
func twoDigitYear(text []byte, pos int, pivot int32, lenient bool) (int32, int) {
	if lenient {
		start := pos
		for pos < len(text) && text[pos] == '+' {
			pos++
		}
		if pos < len(text) && text[pos] == '-' {
			if pos+1 < len(text) && text[pos+1]-'0' > 9 {
				// Joda-Time takes the character behind a lone minus for a digit, without passing it.
				r, _ := utf8.DecodeRune(text[pos+1:])
				return '0' - int32(min(r, 0xffff)), pos + 1
			}
			return number(text, pos, len(text), true)
		}
		if n := digits(text, pos, len(text)); n != 2 || pos > start {
			return number(text, pos, max(n, 1), false)
		}
	}
	if len(text)-pos < 2 || text[pos]-'0' > 9 || text[pos+1]-'0' > 9 {
		return 0, -1
	}
	year := twoDigits(text, pos)
	low := pivot - 50
	t := int32(floorMod(int64(low), 100))
	if year < t {
		year += 100
	}
	return year + low - t, pos + 2
}

// fraction reads digits behind the decimal point of a unit and gives them in whole milliseconds.
func fraction(text []byte, pos, most int, unit int64) (int32, int) {
	limit := min(len(text), pos+most)
	value, n := int64(0), unit*10
	i := pos
	for ; i < limit; i++ {
		d := text[i] - '0'
		if d > 9 {
			break
		}
		n /= 10
		value += int64(d) * n
	}
	if i == pos {
		return 0, -1
	}
	return int32(value / 10), i
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c |= 0x20
	}
	return c
}

// sameByte compares one ASCII character in either case with a lower-case one.
func sameByte(text []byte, pos int, lit byte) bool {
	c := text[pos]
	return c == lit || lower(c) == lit
}

// matchFold compares literal text character by character, in either case, and gives the position behind it or -1.
func matchFold(text []byte, pos int, lit string) int {
	if len(text)-pos >= len(lit) && string(text[pos:pos+len(lit)]) == lit {
		return pos + len(lit)
	}
	for _, want := range lit {
		if pos >= len(text) {
			return -1
		}
		got, n := utf8.DecodeRune(text[pos:])
		if !sameFold(got, want) {
			return -1
		}
		pos += n
	}
	return pos
}

// sameFold compares as Joda-Time does: Java knows no case beyond the 16 bits of one char.
func sameFold(a, b rune) bool {
	if a == b {
		return true
	}
	if a > 0xffff || b > 0xffff {
		return false
	}
	return unicode.ToUpper(a) == unicode.ToUpper(b) || unicode.ToLower(a) == unicode.ToLower(b)
}

// readOffset reads a Z when that is allowed, or a sign, two digits of hours and optional minutes, seconds and milliseconds, with or without colons.
func (z *zoneFound) readOffset(text []byte, pos int, zero bool) int {
	if zero && pos < len(text) && lower(text[pos]) == 'z' {
		z.offset, z.hasOffset = 0, true
		return pos + 1
	}
	if len(text)-pos < 3 {
		return -1
	}
	sign := text[pos]
	if sign != '-' && sign != '+' {
		return -1
	}
	if len(text)-pos == 5 { // +hhmm at the end
		a, b, c, d := text[pos+1]-'0', text[pos+2]-'0', text[pos+3]-'0', text[pos+4]-'0'
		if hours, minutes := int32(a)*10+int32(b), int32(c)*10+int32(d); a <= 9 && b <= 9 && c <= 9 && d <= 9 && hours <= 23 && minutes <= 59 {
			z.offset, z.hasOffset = hours*msHour+minutes*msMinute, true
			if sign == '-' {
				z.offset = -z.offset
			}
			return pos + 5
		}
	}
	value, end := offsetValue(text, pos+1)
	if end < 0 {
		return -1
	}
	if sign == '-' {
		value = -value
	}
	z.offset, z.hasOffset = value, true
	return end
}

// digits counts digits, up to most.
func digits(text []byte, pos, most int) int {
	n := 0
	for n < most && pos+n < len(text) && text[pos+n]-'0' <= 9 {
		n++
	}
	return n
}

func twoDigits(text []byte, pos int) int32 { return int32(text[pos]-'0')*10 + int32(text[pos+1]-'0') }

// offsetValue reads an offset behind its sign.
func offsetValue(text []byte, pos int) (int32, int) {
	if digits(text, pos, 2) < 2 {
		return 0, -1
	}
	hours := twoDigits(text, pos)
	if hours > 23 {
		return 0, -1
	}
	pos += 2
	value := hours * msHour
	if pos >= len(text) {
		return value, pos
	}
	colons := text[pos] == ':'
	if colons {
		pos++
	} else if text[pos]-'0' > 9 {
		return value, pos
	}
	for _, unit := range [2]int32{msMinute, msSecond} {
		n := digits(text, pos, 2)
		if n == 0 && !colons {
			return value, pos
		}
		if n < 2 {
			return 0, -1
		}
		part := twoDigits(text, pos)
		if part > 59 {
			return 0, -1
		}
		value += part * unit
		pos += 2
		if pos >= len(text) {
			return value, pos
		}
		if colons {
			if c := text[pos]; unit == msMinute && c != ':' || unit == msSecond && c != '.' && c != ',' {
				return value, pos
			}
			pos++
		}
	}
	n := digits(text, pos, 3)
	if n == 0 {
		if colons {
			return 0, -1
		}
		return value, pos
	}
	for i, unit := 0, int32(100); i < n; i, unit = i+1, unit/10 {
		value += int32(text[pos+i]-'0') * unit
	}
	return value, pos + n
}

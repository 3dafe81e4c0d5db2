package joda

import (
	"math"
	"slices"
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

package joda

import "slices"

// field is a field of Joda-Time's DateTimeFieldType that a pattern can set.
type field uint8

const (
	fieldEra field = iota
	fieldCentury
	fieldYear
	fieldYearOfEra
	fieldWeekyear
	fieldMonth
	fieldWeek
	fieldDayOfYear
	fieldDay
	fieldDayOfWeek
	fieldHalfday
	fieldHour
	fieldClockHour       // 1–24
	fieldHourOfHalfday   // 0–11
	fieldClockHourOfHalf // 1–12
	fieldMinute
	fieldFractionOfHour // milliseconds
	fieldSecond
	fieldFractionOfMinute // milliseconds
	fieldFractionOfSecond // milliseconds
)

// rank is the order in which DateTimeParserBucket applies fields: the larger the range first, then the larger the unit.
// Fields of equal rank keep the order of the text.
func (f field) rank() int {
	switch f {
	case fieldEra, fieldCentury:
		return int(f)
	case fieldYear, fieldYearOfEra, fieldWeekyear:
		return int(fieldYear)
	case fieldHour, fieldClockHour:
		return int(fieldHour)
	case fieldHourOfHalfday, fieldClockHourOfHalf:
		return int(fieldHourOfHalfday)
	}
	return int(f)
}

// fieldValue is a field that a text has given.
type fieldValue struct {
	field field
	value int32
}

// needsYear tells whether the default year is added to sorted fields: when the largest unit is a month, week or day.
func needsYear(first field) bool { return first >= fieldMonth && first <= fieldDayOfWeek }

// resolve applies fields to 1970-01-01T00:00 as DateTimeParserBucket.computeMillis does and gives the local time
// in milliseconds.  Each field is set twice: first every unit below it is cleared, then all values are checked against each other.
// The fields are in the order of rank.
func resolve(fields []fieldValue) (int64, error) {
	var ms int64
	var ok bool
	for _, fv := range fields {
		if ms, ok = fv.field.set(ms, fv.value); !ok {
			return 0, ErrRange
		}
		ms = fv.field.floor(ms)
	}
	for i, fv := range fields {
		if ms, ok = fv.field.set(ms, fv.value); !ok {
			return 0, ErrRange
		}
		if i == len(fields)-1 {
			ms = fv.field.floor(ms)
		}
	}
	return ms, nil
}

func sortFields(fields []fieldValue) {
	slices.SortStableFunc(fields, func(a, b fieldValue) int { return a.field.rank() - b.field.rank() })
}

func yearOf(ms int64) int64 {
	y, _, _ := civil(floorDiv(ms, msDay))
	return y
}

// setYear keeps the day: of the year before March, else of the month; 29 February becomes 28 February.
func setYear(ms, year int64) int64 {
	days := floorDiv(ms, msDay)
	old, _, _ := civil(days)
	doy := days - dayNumber(old, 1, 1) + 1
	if doy > 31+28 {
		switch oldLeap, newLeap := isLeap(old), isLeap(year); {
		case oldLeap && !newLeap:
			doy--
		case !oldLeap && newLeap:
			doy++
		}
	}
	return (dayNumber(year, 1, 1)+doy-1)*msDay + floorMod(ms, msDay)
}

func setWeekyear(ms, year int64) int64 {
	days := floorDiv(ms, msDay)
	old, week := isoWeek(days)
	if old == year {
		return ms
	}
	week = min(week, weeksInYear(old), weeksInYear(year))
	return (firstWeek(year)+(week-1)*7+weekday(days)-1)*msDay + floorMod(ms, msDay)
}

// set sets the field of a local time; false when the value is out of range.
func (f field) set(ms int64, value int32) (int64, bool) {
	v := int64(value)
	switch f {
	case fieldEra:
		if year := yearOf(ms); (year > 0) != (v == 1) {
			return setYear(ms, -year), true
		}
		return ms, true
	case fieldCentury:
		year := yearOf(ms)
		if v < 0 || v > maxYear/100 {
			return 0, false
		}
		return setYearOfISOEra(ms, v*100+abs(year)%100)
	case fieldYear:
		if v < minYear-1 || v > maxYear+1 {
			return 0, false
		}
		return setYear(ms, v), true
	case fieldYearOfEra:
		if v < 1 || v > maxYear {
			return 0, false
		}
		if yearOf(ms) <= 0 {
			v = 1 - v
		}
		return setYear(ms, v), true
	case fieldWeekyear:
		if abs(v) > maxYear {
			return 0, false
		}
		return setWeekyear(ms, v), true
	case fieldMonth:
		if v < 1 || v > 12 {
			return 0, false
		}
		y, _, d := civil(floorDiv(ms, msDay))
		d = min(d, daysInMonth(y, int(v)))
		return dayNumber(y, int(v), d)*msDay + floorMod(ms, msDay), true
	case fieldWeek:
		year, week := isoWeek(floorDiv(ms, msDay))
		if v < 1 || v > 52 && v > weeksInYear(year) {
			return 0, false
		}
		return ms + (v-week)*msWeek, true
	case fieldDayOfYear:
		days := floorDiv(ms, msDay)
		y, _, _ := civil(days)
		if v < 1 || v > daysInYear(y) {
			return 0, false
		}
		return ms + (dayNumber(y, 1, 1)+v-1-days)*msDay, true
	case fieldDay:
		y, m, d := civil(floorDiv(ms, msDay))
		if v < 1 || v > int64(daysInMonth(y, m)) {
			return 0, false
		}
		return ms + (v-int64(d))*msDay, true
	case fieldDayOfWeek:
		if v < 1 || v > 7 {
			return 0, false
		}
		return ms + (v-weekday(floorDiv(ms, msDay)))*msDay, true
	case fieldClockHour, fieldClockHourOfHalf:
		unit, span := f.unit()
		most := span / unit
		if v < 1 || v > most {
			return 0, false
		}
		return setUnit(ms, v%most, unit, span)
	}
	unit, span := f.unit()
	return setUnit(ms, v, unit, span)
}

// setUnit sets how many units lie in the present span; 0 ≤ v < span/unit.
func setUnit(ms, v, unit, span int64) (int64, bool) {
	if v < 0 || v >= span/unit {
		return 0, false
	}
	return ms + (v-floorMod(ms, span)/unit)*unit, true
}

func setYearOfISOEra(ms, v int64) (int64, bool) {
	if v < 0 || v > maxYear {
		return 0, false
	}
	if yearOf(ms) < 0 {
		v = -v
	}
	return setYear(ms, v), true
}

// unit gives the unit and the span of a field of fixed length, in milliseconds.
func (f field) unit() (unit, span int64) {
	switch f {
	case fieldHalfday:
		return msHalfday, msDay
	case fieldHour, fieldClockHour:
		return msHour, msDay
	case fieldHourOfHalfday, fieldClockHourOfHalf:
		return msHour, msHalfday
	case fieldMinute:
		return msMinute, msHour
	case fieldSecond:
		return msSecond, msMinute
	case fieldFractionOfHour:
		return 1, msHour
	case fieldFractionOfMinute:
		return 1, msMinute
	case fieldFractionOfSecond:
		return 1, msSecond
	}
	return msDay, msDay
}

// floor clears all units below the field's.
func (f field) floor(ms int64) int64 {
	days := floorDiv(ms, msDay)
	switch f {
	case fieldEra:
		if yearOf(ms) > 0 {
			return dayNumber(1, 1, 1) * msDay
		}
		return -1 << 63
	case fieldCentury:
		year := yearOf(ms)
		century := abs(year) / 100 * 100
		if year < 0 {
			century = -century
		}
		return dayNumber(century, 1, 1) * msDay
	case fieldYear, fieldYearOfEra:
		return dayNumber(yearOf(ms), 1, 1) * msDay
	case fieldWeekyear:
		year, _ := isoWeek(days)
		return firstWeek(year) * msDay
	case fieldMonth:
		y, m, _ := civil(days)
		return dayNumber(y, m, 1) * msDay
	case fieldWeek:
		return (days - weekday(days) + 1) * msDay
	}
	unit, _ := f.unit()
	return ms - floorMod(ms, unit)
}

func abs(v int64) int64 {
	if v < 0 {
		return -v
	}
	return v
}

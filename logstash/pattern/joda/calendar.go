package joda

// Milliseconds of units.
const (
	msSecond  = 1000
	msMinute  = 60 * msSecond
	msHour    = 60 * msMinute
	msHalfday = 12 * msHour
	msDay     = 24 * msHour
	msWeek    = 7 * msDay
)

// Years of ISOChronology: those whose milliseconds fit into 64 bits.
const (
	minYear = -292275054
	maxYear = 292278993
)

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func floorMod(a, b int64) int64 {
	m := a % b
	if m < 0 {
		m += b
	}
	return m
}

func isLeap(y int64) bool { return y&3 == 0 && (y%100 != 0 || y%400 == 0) }

func daysInMonth(y int64, m int) int {
	switch m {
	case 2:
		if isLeap(y) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

func daysInYear(y int64) int64 {
	if isLeap(y) {
		return 366
	}
	return 365
}

// dayNumber counts days from 1970-01-01 in the proleptic Gregorian calendar.
func dayNumber(y int64, m, d int) int64 {
	if m <= 2 {
		y--
		m += 12
	}
	if uint64(y) < 1<<20 {
		year := uint32(y)
		century := year / 100
		days := year*1461/4 - century + century/4 + (979*uint32(m)-2919)/32 + uint32(d) - 1
		return int64(days) - 719468
	}
	var era int64
	if y >= 0 {
		era = y / 400
	} else {
		era = (y - 399) / 400
	}
	yoe := y - era*400
	doy := int64((153*(m-3)+2)/5 + d - 1)
	return era*146097 + yoe*365 + yoe/4 - yoe/100 + doy - 719468
}

// civil gives the date of a day number.
func civil(days int64) (y int64, m, d int) {
	days += 719468
	if uint64(days) < 1<<30 {
		return civil32(uint32(days))
	}
	era := days / 146097
	if days < 0 {
		era = (days - 146096) / 146097
	}
	doe := uint64(days - era*146097)
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d = int(doy-(153*mp+2)/5) + 1
	m = int(mp) + 3
	y = int64(yoe) + era*400
	if m > 12 {
		m -= 12
		y++
	}
	return y, m, d
}

// civil32 gives the date of days from 0000-03-01 (Neri and Schneider, Euclidean affine functions and their application to calendar algorithms).
func civil32(days uint32) (int64, int, int) {
	n1 := 4*days + 3
	century := n1 / 146097
	n2 := n1%146097 | 3
	p2 := 2939745 * uint64(n2)
	yoc := uint32(p2 >> 32)
	doy := uint32(p2) / 2939745 / 4
	n3 := 2141*doy + 197913
	y, m, d := 100*century+yoc, n3>>16, (n3&0xffff)/2141
	if doy >= 306 {
		y++
		m -= 12
	}
	return int64(y), int(m), int(d) + 1
}

// weekday is 1 for Monday to 7 for Sunday.
func weekday(days int64) int64 { return floorMod(days+3, 7) + 1 }

// firstWeek is the day number of the Monday of the first ISO week of a week year.
func firstWeek(weekyear int64) int64 {
	fourth := dayNumber(weekyear, 1, 4)
	return fourth - weekday(fourth) + 1
}

// isoWeek gives the ISO week year and week (1–53) of a day number.
func isoWeek(days int64) (weekyear, week int64) {
	y, _, _ := civil(days - weekday(days) + 4) // the Thursday decides
	return y, (days-firstWeek(y))/7 + 1
}

func weeksInYear(weekyear int64) int64 { return (firstWeek(weekyear+1) - firstWeek(weekyear)) / 7 }

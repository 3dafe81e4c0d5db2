package joda

import "errors"

// isoFields is what a text of ISO 8601 has given, in the order of rank.
type isoFields struct {
	list [8]fieldValue
	n    int
}

func (f *isoFields) add(name field, value int32) {
	f.list[f.n] = fieldValue{name, value}
	f.n++
}

// parseISO reads a text as the date filter's ISO8601: Joda-Time's ISODateTimeFormat.dateTimeParser, then the patterns of isoAlso.
func (p *Parser) parseISO(text []byte, zone *Zone) (int64, error) {
	ms, err := parseISO(text, zone)
	if err == nil {
		return ms, nil
	}
	for _, f := range p.formats {
		local, found, formatErr := f.parse.local(text)
		if formatErr == nil {
			if ms, formatErr = found.instant(local, zone); formatErr == nil {
				return ms, nil
			}
		}
		if !errors.Is(formatErr, ErrNoMatch) {
			err = formatErr
		}
	}
	return 0, err
}

// parseISO reads
//
//	datetime = time / date [ "T" [ time ] [ offset ] ]
//	date     = year [ "-" month [ "-" day ] ] / weekyear "-W" week [ "-" weekday ] / year "-" day-of-year
//	time     = hour [ ":" minute [ ":" second ] ] [ ( "." / "," ) fraction of the last unit ]
//
// where a text of time alone begins with T and lies in 1970.  Years have up to nine digits, other numbers may lack zeros.
// The longest of the three dates counts.
func parseISO(text []byte, zone *Zone) (int64, error) {
	var found zoneFound
	if local, pos := isoCommon(text); pos >= 0 {
		if pos < len(text) {
			pos = found.readOffset(text, pos, true)
		}
		if pos == len(text) {
			return found.instant(local, zone)
		}
		found = zoneFound{}
	}
	var fields isoFields
	pos := 0
	if len(text) == 0 || lower(text[0]) != 't' {
		if pos = isoDate(text, &fields); pos < 0 {
			return 0, ErrNoMatch
		}
	}
	if pos < len(text) && lower(text[pos]) == 't' {
		pos++
		if end := isoTime(text, pos, &fields); end >= 0 {
			pos = end
		} else if pos == 1 {
			return 0, ErrNoMatch
		}
		if end := found.readOffset(text, pos, true); end >= 0 {
			pos = end
		}
	}
	if pos != len(text) {
		return 0, ErrNoMatch
	}
	list := fields.list[:fields.n]
	sortFields(list)
	local, err := resolve(list)
	if err != nil {
		return 0, err
	}
	return found.instant(local, zone)
}

// isoCommon reads the usual yyyy-MM-ddTHH:mm:ss with an optional fraction; -1 says that it is something else.
func isoCommon(b []byte) (int64, int) {
	if len(b) < 19 || b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' {
		return 0, -1
	}
	for _, i := range [...]int{0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18} {
		if b[i]-'0' > 9 {
			return 0, -1
		}
	}
	year := int64(twoDigits(b, 0))*100 + int64(twoDigits(b, 2))
	month, day := int(twoDigits(b, 5)), int(twoDigits(b, 8))
	hour, minute, second := twoDigits(b, 11), twoDigits(b, 14), twoDigits(b, 17)
	if month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month) || hour > 23 || minute > 59 || second > 59 {
		return 0, -1
	}
	ms, pos := int32(0), 19
	if len(b) > 20 && (b[19] == '.' || b[19] == ',') {
		if ms, pos = fraction(b, 20, 9, msSecond); pos < 0 {
			return 0, -1
		}
	}
	return dayNumber(year, month, day)*msDay + int64(hour*msHour+minute*msMinute+second*msSecond+ms), pos
}

func isoDate(text []byte, fields *isoFields) int {
	year, afterYear := number(text, 0, 9, true)
	if afterYear < 0 {
		return -1
	}
	var best isoFields
	best.add(fieldYear, year)
	end := afterYear
	if month, pos := isoPart(text, afterYear, '-', 2); pos >= 0 {
		best.add(fieldMonth, month)
		end = pos
		if day, pos := isoPart(text, pos, '-', 2); pos >= 0 {
			best.add(fieldDay, day)
			end = pos
		}
	}
	if pos := matchFold(text, afterYear, "-W"); pos >= 0 {
		if week, pos := number(text, pos, 2, false); pos > end {
			best = isoFields{}
			best.add(fieldWeekyear, year)
			best.add(fieldWeek, week)
			end = pos
			if day, pos := isoPart(text, pos, '-', 1); pos >= 0 {
				best.add(fieldDayOfWeek, day)
				end = pos
			}
		}
	}
	if day, pos := isoPart(text, afterYear, '-', 3); pos > end {
		best = isoFields{}
		best.add(fieldYear, year)
		best.add(fieldDayOfYear, day)
		end = pos
	}
	*fields = best
	return end
}

func isoTime(text []byte, pos int, fields *isoFields) int {
	hour, pos := number(text, pos, 2, false)
	if pos < 0 {
		return -1
	}
	fields.add(fieldHour, hour)
	name, unit := fieldFractionOfHour, int64(msHour)
	if minute, end := isoPart(text, pos, ':', 2); end >= 0 {
		fields.add(fieldMinute, minute)
		name, unit, pos = fieldFractionOfMinute, msMinute, end
		if second, end := isoPart(text, pos, ':', 2); end >= 0 {
			fields.add(fieldSecond, second)
			name, unit, pos = fieldFractionOfSecond, msSecond, end
		}
	}
	if pos < len(text) && (text[pos] == '.' || text[pos] == ',') {
		if ms, end := fraction(text, pos+1, 9, unit); end >= 0 {
			fields.add(name, ms)
			pos = end
		}
	}
	return pos
}

// isoPart reads a separator and a number of up to most digits.
func isoPart(text []byte, pos int, separator byte, most int) (int32, int) {
	if pos >= len(text) || text[pos] != separator {
		return 0, -1
	}
	return number(text, pos+1, most, false)
}

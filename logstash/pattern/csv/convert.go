package csv

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/pattern/number"
)

// A Converter makes a value of a text. What it cannot read stays a text.
type Converter func(string) event.Value

// Kinds are the names of converters, for people.
const Kinds = "integer, float, date, date_time or boolean"

// NewConverter gives the converter of a name; nil if there is none.
func NewConverter(kind string) Converter {
	switch kind {
	case "integer":
		return integer
	case "float":
		return float
	case "date":
		return Date
	case "date_time":
		return DateTime
	case "boolean":
		return boolean
	}
	return nil
}

func integer(s string) event.Value {
	if v, err := number.Integer(s); err == nil {
		return v
	}
	return event.StringValue(s)
}

func float(s string) event.Value {
	if f, err := number.Float(strings.Trim(s, " \t\n\v\f\r")); err == nil {
		return event.FloatValue(f)
	}
	return event.StringValue(s)
}

// boolean is true, false, or the text in lower case and without blanks around it, as in the original.
func boolean(s string) event.Value {
	s = strings.Trim(s, "\x00\t\n\v\f\r ")
	switch s = strings.ToLower(strings.ReplaceAll(s, "\u0130", "i\u0307")); s { // as String#downcase
	case "true":
		return event.BoolValue(true)
	case "false":
		return event.BoolValue(false)
	}
	return event.StringValue(s)
}

// What Ruby's CSV takes for dates and times: ISO 8601, or names of months. \w and \s are ASCII.
var (
	namedDate = regexp.MustCompile(`^(?:\w+,?\s+)?(\w+)\s+(\d{1,2}),?\s+(\d{2,4})$`)
	namedTime = regexp.MustCompile(`^(?:\w+,?\s+)?(\w+)\s+(\d{1,2})\s+(\d{1,2}):(\d{1,2}):(\d{1,2}),?\s+(\d{2,4})$`)
	isoTime   = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2})(?:[T\s](\d{2}):(\d{2})(?::(\d{2})(\.\d+)?([+-]\d{2}:\d{2}|Z)?)?)?$`)
)

// Date reads a day: its midnight where the program runs.
func Date(s string) event.Value {
	if len(s) == len(time.DateOnly) {
		if t, err := time.ParseInLocation(time.DateOnly, s, time.Local); err == nil {
			return event.TimeValue(t)
		}
	}
	if m := namedDate.FindStringSubmatch(s); m != nil {
		if t, ok := namedDay(m[1], m[2], m[3], time.Local); ok {
			return event.TimeValue(t)
		}
	}
	return event.StringValue(s)
}

// DateTime reads a time; it is UTC if it has no offset.
func DateTime(s string) event.Value {
	if m := isoTime.FindStringSubmatch(s); m != nil {
		day, err := time.Parse(time.DateOnly, m[1])
		if t, ok := atClock(day, m[2], m[3], m[4]); ok && err == nil {
			nanos, _ := strconv.Atoi((cmp.Or(m[5], ".") + "000000000")[1:10])
			t = t.Add(time.Duration(nanos))
			if at, err := time.Parse("Z07:00", cmp.Or(m[6], "Z")); err == nil {
				_, offset := at.Zone()
				return event.TimeValue(t.Add(-time.Duration(offset) * time.Second))
			}
		}
		return event.StringValue(s)
	}
	if m := namedTime.FindStringSubmatch(s); m != nil {
		day, ok := namedDay(m[1], m[2], m[6], time.UTC)
		if t, valid := atClock(day, m[3], m[4], m[5]); ok && valid {
			return event.TimeValue(t)
		}
	}
	return event.StringValue(s)
}

// atClock adds a time of day, whose parts may be missing. 24:00 is the next day, and the 60th second counts as the one before.
func atClock(day time.Time, hour, minute, second string) (time.Time, bool) {
	h, _ := strconv.Atoi(hour)
	m, _ := strconv.Atoi(minute)
	s, _ := strconv.Atoi(second)
	if h > 24 || m > 59 || s > 60 || h == 24 && m+s > 0 {
		return day, false
	}
	return day.Add(time.Duration(h*3600+m*60+min(s, 59)) * time.Second), true
}

// namedDay makes a day of a month's name, a day and a year, which may have two digits.
func namedDay(month, day, year string, zone *time.Location) (time.Time, bool) {
	if len(month) < 3 {
		return time.Time{}, false
	}
	d, _ := strconv.Atoi(day)
	y, _ := strconv.Atoi(year)
	if len(year) == 2 {
		y += 1900
		if y < 1969 {
			y += 100
		}
	}
	for m := time.January; m <= time.December; m++ {
		name := m.String()
		if !strings.EqualFold(month, name) && !strings.EqualFold(month, name[:3]) {
			continue
		}
		t := time.Date(y, m, d, 0, 0, 0, 0, zone)
		return t, t.Day() == d && t.Month() == m
	}
	return time.Time{}, false
}

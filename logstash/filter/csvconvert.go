package filter

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/narudata/naru/logstash/event"
)

// csvConverters are the types of convert but boolean. What they cannot read stays a text.
var csvConverters = map[string]func(string) event.Value{
	"integer": func(s string) event.Value {
		if v, err := strictInt(s); err == nil {
			return v
		}
		return event.StringValue(s)
	},
	"float": func(s string) event.Value {
		if f, err := strictFloat(strings.Trim(s, " \t\n\v\f\r")); err == nil {
			return event.FloatValue(f)
		}
		return event.StringValue(s)
	},
	"date":      csvDate,
	"date_time": csvDateTime,
}

// csvBoolean is true, false, or the text in lower case and without blanks around it, as in the original.
func csvBoolean(s string) event.Value {
	switch s = string(appendLower(nil, rubyStrip(s))); s {
	case "true":
		return event.BoolValue(true)
	case "false":
		return event.BoolValue(false)
	}
	return event.StringValue(s)
}

// What Ruby's CSV takes for dates and times: ISO 8601, or names of months. \w and \s are ASCII.
var (
	csvNamedDate = regexp.MustCompile(`^(?:\w+,?\s+)?(\w+)\s+(\d{1,2}),?\s+(\d{2,4})$`)
	csvNamedTime = regexp.MustCompile(`^(?:\w+,?\s+)?(\w+)\s+(\d{1,2})\s+(\d{1,2}):(\d{1,2}):(\d{1,2}),?\s+(\d{2,4})$`)
	csvISOTime   = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2})(?:[T\s](\d{2}:\d{2})(?:(:\d{2})(\.\d+)?([+-]\d{2}:\d{2}|Z)?)?)?$`)
)

// csvDate reads a day: its midnight where the program runs.
func csvDate(s string) event.Value {
	if len(s) == len(time.DateOnly) {
		if t, err := time.ParseInLocation(time.DateOnly, s, time.Local); err == nil {
			return event.TimeValue(t)
		}
	}
	if m := csvNamedDate.FindStringSubmatch(s); m != nil {
		if t, ok := namedDay(m[1], m[2], m[3], time.Local); ok {
			return event.TimeValue(t)
		}
	}
	return event.StringValue(s)
}

// csvDateTime reads a time; it is UTC if it has no offset.
func csvDateTime(s string) event.Value {
	if m := csvISOTime.FindStringSubmatch(s); m != nil {
		text, layout := m[1]+"T"+m[2]+m[3], "2006-01-02T"
		if m[2] != "" {
			layout += "15:04"
		}
		if m[3] != "" {
			layout += ":05"
		}
		zone := m[5]
		if zone == "" {
			zone = "Z"
		}
		if t, err := time.Parse(layout+"Z07:00", text+fraction(m[4])+zone); err == nil {
			return event.TimeValue(t)
		}
		return event.StringValue(s)
	}
	if m := csvNamedTime.FindStringSubmatch(s); m != nil {
		day, ok := namedDay(m[1], m[2], m[6], time.UTC)
		clock := [3]int{}
		for i := range clock {
			clock[i], _ = strconv.Atoi(m[3+i])
		}
		if ok && clock[0] < 24 && clock[1] < 60 && clock[2] < 60 {
			return event.TimeValue(day.Add(time.Duration(clock[0])*time.Hour + time.Duration(clock[1])*time.Minute + time.Duration(clock[2])*time.Second))
		}
	}
	return event.StringValue(s)
}

// fraction cuts a fraction of a second to nanoseconds.
func fraction(s string) string { return s[:min(len(s), 10)] }

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

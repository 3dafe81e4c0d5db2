package input

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A schedule says when something is done: a cron line as rufus-scheduler reads it.
//
//	[second] minute hour day-of-month month day-of-week [zone]
//
// A field is *, a number, a range a-b, each with a step /n, or a list of such; months and days of the week have names, too; 7 is
// Sunday as well as 0. Where both days are given, either is enough. @hourly, @daily, @weekly, @monthly and @yearly stand for lines.
type schedule struct {
	second, minute, hour, day, month, weekday uint64 // bits
	either                                    bool   // of day and weekday
	zone                                      *time.Location
}

var shortSchedules = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0", "@daily": "0 0 * * *",
	"@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

var (
	monthNames   = []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}
	weekdayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
)

func parseSchedule(line string) (*schedule, error) {
	fields := strings.Fields(line)
	if len(fields) > 0 && strings.HasPrefix(fields[0], "@") {
		long, ok := shortSchedules[strings.ToLower(fields[0])]
		if !ok {
			return nil, fmt.Errorf("%q is none of @hourly, @daily, @weekly, @monthly and @yearly", fields[0])
		}
		fields = append(strings.Fields(long), fields[1:]...)
	}
	s := &schedule{zone: time.Local}
	if n := len(fields); n > 5 {
		if last := fields[n-1]; strings.ContainsFunc(last, func(r rune) bool { return r >= 'A' && r <= 'Z' || r == '_' }) && !slices.Contains(weekdayNames, strings.ToLower(last[:min(3, len(last))])) {
			zone, err := time.LoadLocation(last)
			if err != nil {
				return nil, fmt.Errorf("the time zone %q: %w", last, err)
			}
			s.zone, fields = zone, fields[:n-1]
		}
	}
	switch len(fields) {
	case 5:
		fields = append([]string{"0"}, fields...)
	case 6:
	default:
		return nil, fmt.Errorf("expected 5 or 6 fields, found %d: minute hour day month weekday", len(fields))
	}
	for i, f := range []struct {
		to        *uint64
		low, high int
		names     []string
		what      string
	}{
		{&s.second, 0, 59, nil, "second"}, {&s.minute, 0, 59, nil, "minute"}, {&s.hour, 0, 23, nil, "hour"}, {&s.day, 1, 31, nil, "day"},
		{&s.month, 1, 12, monthNames, "month"}, {&s.weekday, 0, 7, weekdayNames, "weekday"},
	} {
		bits, err := scheduleField(fields[i], f.low, f.high, f.names)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.what, err)
		}
		*f.to = bits
	}
	if s.weekday&(1<<7) != 0 {
		s.weekday |= 1
	}
	s.either = !strings.HasPrefix(fields[3], "*") && !strings.HasPrefix(fields[5], "*")
	if s.next(time.Date(2024, 1, 1, 0, 0, 0, 0, s.zone)).IsZero() {
		return nil, fmt.Errorf("%q never comes", line)
	}
	return s, nil
}

// scheduleField gives the numbers of a field as bits.
func scheduleField(text string, low, high int, names []string) (bits uint64, err error) {
	number := func(text string) (int, error) {
		if i := slices.Index(names, strings.ToLower(text)); i >= 0 {
			return low + i, nil
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < low || n > high {
			return 0, fmt.Errorf("expected a number from %d to %d, found %q", low, high, text)
		}
		return n, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		span, stepText, stepped := strings.Cut(part, "/")
		step := 1
		if stepped {
			if step, err = strconv.Atoi(stepText); err != nil || step < 1 {
				return 0, fmt.Errorf("expected a step of 1 or more, found %q", part)
			}
		}
		from, to := low, high
		if names != nil && low == 0 && span == "*" {
			to = high - 1 // Sunday once
		}
		if span != "*" {
			first, last, isRange := strings.Cut(span, "-")
			if from, err = number(first); err != nil {
				return 0, err
			}
			switch {
			case isRange:
				if to, err = number(last); err != nil {
					return 0, err
				}
			case !stepped:
				to = from
			}
		}
		if from > to {
			return 0, fmt.Errorf("%q ends before it begins", part)
		}
		for n := from; n <= to; n += step {
			bits |= 1 << n
		}
	}
	return bits, nil
}

// next gives the first time after a time; zero if there is none within eight years.
func (s *schedule) next(after time.Time) time.Time {
	t := after.In(s.zone).Truncate(time.Second).Add(time.Second)
	end := t.AddDate(8, 0, 0)
	for t.Before(end) {
		switch {
		case s.month>>int(t.Month())&1 == 0:
			t = time.Date(t.Year(), t.Month()+1, 1, 0, 0, 0, 0, s.zone)
		case !s.onDay(t):
			t = time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, s.zone)
		case s.hour>>t.Hour()&1 == 0:
			t = t.Truncate(time.Minute).Add(time.Duration(60-t.Minute()) * time.Minute) // also over a change of the clock
		case s.minute>>t.Minute()&1 == 0:
			t = t.Add(time.Duration(60-t.Second()) * time.Second)
		case s.second>>t.Second()&1 == 0:
			t = t.Add(time.Second)
		default:
			return t
		}
	}
	return time.Time{}
}

func (s *schedule) onDay(t time.Time) bool {
	day, weekday := s.day>>t.Day()&1 == 1, s.weekday>>int(t.Weekday())&1 == 1
	if s.either {
		return day || weekday
	}
	return day && weekday
}

package ruby

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/narudata/naru/logstash/event"
)

type (
	// A timeValue is a Time, with its zone.
	timeValue struct{ t time.Time }
	// A timestamp is a LogStash::Timestamp.
	timestamp struct{ t time.Time }
)

func (t *timestamp) String() string { return string(event.AppendTime(nil, t.t.UTC())) }

// utc says whether a time is in UTC, and not only without an offset.
func (t *timeValue) utc() bool { return t.t.Location() == time.UTC }

// String is to_s.
func (t *timeValue) String() string {
	if t.utc() {
		return t.t.Format("2006-01-02 15:04:05") + " UTC"
	}
	return t.t.Format("2006-01-02 15:04:05 -0700")
}

func (t *timeValue) inspect() string {
	s := t.String()
	if n := t.t.Nanosecond(); n != 0 {
		fraction := strings.TrimRight("."+pad(int64(n), 9, '0'), "0")
		s = s[:19] + fraction + s[19:]
	}
	return s
}

func (x *exec) now() time.Time {
	if x.Now != nil {
		return x.Now()
	}
	return time.Now()
}

// maxShift is how many seconds are added as a duration.
const maxShift = 2_000_000_000

// shift adds seconds.
func (x *exec) shift(t time.Time, by any, sign float64) any {
	switch v := by.(type) {
	case int64:
		if v > maxShift || v < -maxShift {
			return &timeValue{time.Unix(t.Unix()+int64(sign)*v, int64(t.Nanosecond())).In(t.Location())}
		}
		return &timeValue{t.Add(time.Duration(int64(sign)*v) * time.Second)}
	case float64, *decimal:
		f := floatOf(v) * sign
		if math.IsNaN(f) || math.Abs(f) > 1e15 {
			x.raise(classRangeError, floatText(f)+" out of Time range")
		}
		whole := math.Floor(f)
		return &timeValue{time.Unix(t.Unix()+int64(whole), int64(t.Nanosecond())+nanosOf(f-whole)).In(t.Location())}
	}
	x.raise(classTypeError, "can't convert "+implicit(by)+" into an exact number")
	return nil
}

func nanosOf(f float64) int64 { return int64(math.Floor(f * 1e9)) }

// between gives the seconds from b to a.
func between(a, b time.Time) any {
	d := float64(a.Unix()-b.Unix()) + float64(a.Nanosecond()-b.Nanosecond())/1e9
	return d
}

// timeAt is Time.at.
func (x *exec) timeAt(args []any) time.Time {
	var t time.Time
	switch v := args[0].(type) {
	case *timeValue:
		t = v.t
	case int64:
		t = time.Unix(v, 0)
	case float64:
		if math.IsNaN(v) || math.Abs(v) > 1e15 {
			x.raise(classFloatDomainError, floatText(v))
		}
		whole := math.Floor(v)
		exact := new(big.Rat)
		exact.SetFloat64(v)
		exact.Sub(exact, new(big.Rat).SetInt64(int64(whole)))
		exact.Mul(exact, big.NewRat(1e9, 1))
		t = time.Unix(int64(whole), new(big.Int).Quo(exact.Num(), exact.Denom()).Int64())
	case *decimal:
		r := v.rat()
		r.Mul(r, big.NewRat(1e9, 1))
		n := new(big.Int).Quo(r.Num(), r.Denom())
		s, ns := new(big.Int).DivMod(n, big.NewInt(1e9), new(big.Int))
		t = time.Unix(s.Int64(), ns.Int64())
	default:
		x.raise(classTypeError, "can't convert "+implicit(v)+" into an exact number")
	}
	if len(args) > 1 && isNumber(args[1]) {
		unit := 1e3
		if len(args) > 2 {
			switch name, _ := textValue(args[2]); name {
			case "millisecond":
				unit = 1e6
			case "nsec", "nanosecond":
				unit = 1
			}
		}
		t = t.Add(time.Duration(floatOf(args[1]) * unit))
	}
	if len(args) > 1 {
		if h, ok := args[len(args)-1].(*hash); ok {
			if z, ok := h.get(x, symbol("in")); ok {
				return t.In(x.zone(z))
			}
		}
	}
	return t.Local()
}

// zone reads "+08:00", "UTC" or seconds.
func (x *exec) zone(v any) *time.Location {
	if n, ok := v.(int64); ok {
		return time.FixedZone("", int(n))
	}
	s := x.text(v)
	if s == "UTC" || s == "Z" {
		return time.UTC
	}
	digits := strings.ReplaceAll(s, ":", "")
	if len(digits) >= 5 && (digits[0] == '+' || digits[0] == '-') {
		h, err := strconv.Atoi(digits[1:3])
		m, err2 := strconv.Atoi(digits[3:5])
		if err == nil && err2 == nil && h < 24 && m < 60 {
			seconds := h*3600 + m*60
			if digits[0] == '-' {
				seconds = -seconds
			}
			return time.FixedZone("", seconds)
		}
	}
	x.raise(classArgumentError, `"+HH:MM", "-HH:MM", "UTC" or "A".."I","K".."Z" expected for utc_offset: `+s)
	return nil
}

// newTime is Time.new, mktime, gm with parts.
func (x *exec) newTime(args []any, loc *time.Location) any {
	parts := [6]int{0, 1, 1, 0, 0, 0}
	nanos := 0
	for i, a := range args {
		if i == 6 && a != nil {
			loc = x.zone(a)
			break
		}
		if i > 5 || a == nil {
			continue
		}
		if s, ok := a.(*str); ok && i == 1 && len(s.s) == 3 && !isDigits(s.s) {
			for m := time.January; m <= time.December; m++ {
				if strings.EqualFold(m.String()[:3], s.s) {
					a = int64(m)
				}
			}
		}
		if s, ok := a.(*str); ok {
			a = x.leadingInteger(s.s, 10)
		}
		if f, ok := a.(float64); ok && i == 5 {
			nanos = int(nanosOf(f - math.Floor(f)))
		}
		parts[i] = x.integer(a)
	}
	if parts[1] < 1 || parts[1] > 12 || parts[2] < 1 || parts[2] > 31 || parts[3] < 0 || parts[3] > 24 || parts[4] < 0 || parts[4] > 59 || parts[5] < 0 || parts[5] > 60 {
		x.raise(classArgumentError, "argument out of range")
	}
	return &timeValue{time.Date(parts[0], time.Month(parts[1]), parts[2], parts[3], parts[4], parts[5], nanos, loc)}
}

// stamp gives the time of a Time or a Timestamp.
func stamp(v any) (time.Time, bool) {
	switch v := v.(type) {
	case *timeValue:
		return v.t, true
	case *timestamp:
		return v.t, true
	}
	return time.Time{}, false
}

func timePart(f func(t time.Time) int) builtin {
	return builtin{0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return int64(f(s.(*timeValue).t)) }, false}
}

func weekday(d time.Weekday) builtin {
	return builtin{0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return s.(*timeValue).t.Weekday() == d }, false}
}

func inUTC(_ *exec, s any, _ []any, _ *proc) any { s.(*timeValue).t = s.(*timeValue).t.UTC(); return s }

func getUTC(_ *exec, s any, _ []any, _ *proc) any { return &timeValue{s.(*timeValue).t.UTC()} }

func toLocal(x *exec, s any, a []any, _ *proc) any {
	loc := time.Local
	if len(a) > 0 && a[0] != nil {
		loc = x.zone(a[0])
	}
	s.(*timeValue).t = s.(*timeValue).t.In(loc)
	return s
}

func iso8601(x *exec, s any, a []any, _ *proc) any {
	t := s.(*timeValue)
	digits := 0
	if len(a) > 0 {
		digits = min(9, max(0, x.integer(a[0])))
	}
	text := t.t.Format("2006-01-02T15:04:05")
	if digits > 0 {
		text += "." + pad(int64(t.t.Nanosecond()), 9, '0')[:digits]
	}
	if t.utc() {
		return x.str(text + "Z")
	}
	return x.str(text + t.t.Format("-07:00"))
}

var timeMethods = table{
	"to_i":   {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return s.(*timeValue).t.Unix() }, false},
	"tv_sec": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return s.(*timeValue).t.Unix() }, false},
	"to_f":   {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return secondsOf(s.(*timeValue).t) }, false},
	"to_r":   {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return secondsOf(s.(*timeValue).t) }, false},
	"year":   timePart(time.Time.Year), "month": timePart(func(t time.Time) int { return int(t.Month()) }), "mon": timePart(func(t time.Time) int { return int(t.Month()) }),
	"day": timePart(time.Time.Day), "mday": timePart(time.Time.Day), "hour": timePart(time.Time.Hour), "min": timePart(time.Time.Minute),
	"sec": timePart(time.Time.Second), "usec": timePart(func(t time.Time) int { return t.Nanosecond() / 1000 }),
	"nsec": timePart(time.Time.Nanosecond), "wday": timePart(func(t time.Time) int { return int(t.Weekday()) }), "yday": timePart(time.Time.YearDay),
	"utc_offset": timePart(func(t time.Time) int { _, o := t.Zone(); return o }), "gmt_offset": timePart(func(t time.Time) int { _, o := t.Zone(); return o }),
	"sunday?": weekday(time.Sunday), "monday?": weekday(time.Monday), "tuesday?": weekday(time.Tuesday), "wednesday?": weekday(time.Wednesday),
	"thursday?": weekday(time.Thursday), "friday?": weekday(time.Friday), "saturday?": weekday(time.Saturday),
	"utc": {0, 0, inUTC, false}, "gmtime": {0, 0, inUTC, false}, "getutc": {0, 0, getUTC, false}, "getgm": {0, 0, getUTC, false},
	"utc?":      {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return s.(*timeValue).utc() }, false},
	"localtime": {0, 1, toLocal, false},
	"getlocal": {0, 1, func(x *exec, s any, a []any, b *proc) any {
		return toLocal(x, &timeValue{s.(*timeValue).t}, a, b)
	}, false},
	"zone": {0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		name, _ := s.(*timeValue).t.Zone()
		if name == "" {
			return nil
		}
		return x.str(name)
	}, false},
	"+": {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.shift(s.(*timeValue).t, a[0], 1) }, false},
	"-": {1, 1, func(x *exec, s any, a []any, _ *proc) any {
		if t, ok := stamp(a[0]); ok {
			return between(s.(*timeValue).t, t)
		}
		return x.shift(s.(*timeValue).t, a[0], -1)
	}, false},
	"strftime": {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.str(x.strftime(s.(*timeValue), x.text(a[0]))) }, false},
	"iso8601":  {0, 1, iso8601, false}, "xmlschema": {0, 1, iso8601, false},
	"httpdate": {0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		return x.str(s.(*timeValue).t.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))
	}, false},
	"rfc2822": {0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		return x.str(s.(*timeValue).t.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	}, false},
	"round":   {0, 1, func(x *exec, s any, a []any, _ *proc) any { return x.roundTime(s, a, 5) }, false},
	"floor":   {0, 1, func(x *exec, s any, a []any, _ *proc) any { return x.roundTime(s, a, 0) }, false},
	"to_time": {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return s }, false},
	"to_a": {0, 0, func(x *exec, s any, _ []any, _ *proc) any {
		t := s.(*timeValue).t
		name, _ := t.Zone()
		return x.array([]any{int64(t.Second()), int64(t.Minute()), int64(t.Hour()), int64(t.Day()), int64(t.Month()), int64(t.Year()),
			int64(t.Weekday()), int64(t.YearDay()), t.IsDST(), x.str(name)})
	}, false},
}

func (x *exec) roundTime(s any, a []any, half int64) any {
	digits := 0
	if len(a) > 0 {
		digits = min(9, max(0, x.integer(a[0])))
	}
	unit := int64(math.Pow10(9 - digits))
	t := s.(*timeValue).t
	n := (int64(t.Nanosecond()) + unit*half/10) / unit * unit
	return &timeValue{time.Unix(t.Unix(), n).In(t.Location())}
}

func secondsOf(t time.Time) float64 { return float64(t.Unix()) + float64(t.Nanosecond())/1e9 }

var timestampMethods = table{
	"time":       {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return &timeValue{s.(*timestamp).t.Local()} }, false},
	"to_i":       {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return s.(*timestamp).t.Unix() }, false},
	"to_f":       {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return secondsOf(s.(*timestamp).t) }, false},
	"to_s":       {0, 0, func(x *exec, s any, _ []any, _ *proc) any { return x.str(s.(*timestamp).String()) }, false},
	"to_iso8601": {0, 0, func(x *exec, s any, _ []any, _ *proc) any { return x.str(s.(*timestamp).String()) }, false},
	"utc":        {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return s }, false},
	"gmtime":     {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return s }, false},
	"year":       {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return int64(s.(*timestamp).t.UTC().Year()) }, false},
	"usec":       {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return int64(s.(*timestamp).t.Nanosecond() / 1000) }, false},
	"tv_usec":    {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return int64(s.(*timestamp).t.Nanosecond() / 1000) }, false},
	"nsec":       {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return int64(s.(*timestamp).t.Nanosecond()) }, false},
	"tv_nsec":    {0, 0, func(_ *exec, s any, _ []any, _ *proc) any { return int64(s.(*timestamp).t.Nanosecond()) }, false},
	"+":          {1, 1, func(x *exec, s any, a []any, _ *proc) any { return x.shift(s.(*timestamp).t.Local(), a[0], 1) }, false},
	"-": {1, 1, func(x *exec, s any, a []any, _ *proc) any {
		if t, ok := stamp(a[0]); ok {
			return between(s.(*timestamp).t, t)
		}
		return x.shift(s.(*timestamp).t.Local(), a[0], -1)
	}, false},
}

func isDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }

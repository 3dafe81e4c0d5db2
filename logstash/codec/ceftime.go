package codec

import (
	"fmt"
	"math/big"
	"strings"
	"time"
)

// A cefClock reads times: milliseconds since 1970, or "Jan 02[ 2006] 15:04:05[.999999999][ zone]".
//
// Source: timestamp_normalizer.rb of logstash-codec-cef 6.2.
type cefClock struct {
	zone *time.Location // of times that name none
}

// parse reads a time; zone, if not empty, is where the device is.
func (c *cefClock) parse(text, zone string, now time.Time) (time.Time, error) {
	if t, ok := cefMillis(text); ok {
		return t, nil
	}
	at := c.zone
	if zone != "" {
		var err error
		if at, err = cefZone(zone); err != nil {
			return time.Time{}, err
		}
	}
	// The zone is what follows the time of day.
	rest := text
	if i := strings.LastIndexByte(text, ' '); i > 0 && !strings.Contains(text[i:], ":") || strings.Contains(text[max(i, 0):], "GMT") {
		own, err := cefZone(text[i+1:])
		if err != nil {
			return time.Time{}, err
		}
		rest, at = text[:i], own
	}
	if t, err := time.ParseInLocation("Jan 02 2006 15:04:05", rest, at); err == nil {
		return t, nil
	}
	t, err := time.ParseInLocation("Jan 02 15:04:05", rest, at)
	if err != nil {
		// February 29 is a day of some years only.
		if t, err = time.ParseInLocation("2006 Jan 02 15:04:05", fmt.Sprint(now.In(at).Year(), " ", rest), at); err != nil {
			return time.Time{}, fmt.Errorf("%q is no time of CEF", text)
		}
	}
	return cefYear(t, now.In(at)), nil
}

// cefYear gives a time without a year the one that is the nearest: no more than two days from now.
func cefYear(t, now time.Time) time.Time {
	in := func(year int) time.Time {
		return time.Date(year, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), now.Location())
	}
	soon := now.AddDate(0, 0, 2)
	this := in(now.Year())
	switch {
	case this.After(soon):
		return in(now.Year() - 1)
	case now.Month() == time.December && !in(now.Year()+1).After(soon):
		return in(now.Year() + 1)
	}
	return this
}

// cefMillis reads milliseconds, which may have decimals.
func cefMillis(text string) (time.Time, bool) {
	whole, decimals, point := strings.Cut(text, ".")
	if whole == "" || whole[0] < '1' || whole[0] > '9' || strings.Trim(text, "0123456789.") != "" ||
		point && (decimals == "" || strings.Contains(decimals, ".")) || len(text) > 40 {
		return time.Time{}, false
	}
	millis, ok := new(big.Rat).SetString(text)
	if !ok {
		return time.Time{}, false
	}
	nanos := new(big.Rat).Mul(millis, big.NewRat(int64(time.Millisecond), 1))
	total := new(big.Int).Quo(nanos.Num(), nanos.Denom())
	seconds, rest := new(big.Int).QuoRem(total, big.NewInt(int64(time.Second)), new(big.Int))
	if !seconds.IsInt64() || seconds.Int64() > 1e11 {
		return time.Time{}, false
	}
	return time.Unix(seconds.Int64(), rest.Int64()).UTC(), true
}

// cefZones are zones by their short names, in hours from UTC.
var cefZones = map[string]int{
	"Z": 0, "UTC": 0, "GMT": 0, "UT": 0, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
	"WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3, "MSK": 3, "JST": 9,
}

func cefZone(name string) (*time.Location, error) {
	if hours, ok := cefZones[name]; ok {
		return time.FixedZone(name, hours*3600), nil
	}
	for _, prefix := range []string{"GMT", "UTC", "UT", ""} {
		offset, ok := strings.CutPrefix(name, prefix)
		if !ok || offset == "" || offset[0] != '+' && offset[0] != '-' {
			continue
		}
		for _, layout := range []string{"-07:00", "-0700", "-07"} {
			if t, err := time.Parse(layout, offset); err == nil {
				_, seconds := t.Zone()
				return time.FixedZone(name, seconds), nil
			}
		}
	}
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("%q is no time zone", name)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%q is no time zone: %w", name, err)
	}
	return zone, nil
}

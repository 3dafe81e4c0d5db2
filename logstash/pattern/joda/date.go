package joda

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
)

// Parser reads one format of Logstash's date filter: a Joda-Time pattern, or one of the words ISO8601, UNIX, UNIX_MS and TAI64N.
type Parser struct {
	kind    parserKind
	name    string
	zone    *Zone
	clock   func() time.Time
	format  *Format   // patterns
	formats []*Format // ISO8601: what is tried after it
	guess   bool      // the pattern has no year
	zoned   bool      // the pattern has a Z, even in quotes
}

type parserKind uint8

const (
	kindPattern parserKind = iota
	kindISO
	kindUnix
	kindUnixMillis
	kindTAI64N
)

// isoAlso is what the date filter tries for ISO8601 when the text is not of that standard.
var isoAlso = []string{
	"yyyy-MM-dd HH:mm:ss.SSSZ",
	"yyyy-MM-dd HH:mm:ss.SSS",
	"yyyy-MM-dd HH:mm:ss,SSSZ",
	"yyyy-MM-dd HH:mm:ss,SSS",
}

// NewParser compiles a format of the date filter.
//
// A pattern without a y or Y takes the year from the clock: in January a December is of last year, in December a January is
// of next year.  As in the date filter, letters in quotes count, and the day is checked against the year of compilation.
func NewParser(format string, o Options) (*Parser, error) {
	p := &Parser{name: format, zone: o.Zone, clock: o.now}
	if p.zone == nil {
		p.zone = UTC
	}
	switch format {
	case "ISO8601":
		p.kind = kindISO
		for _, pattern := range isoAlso {
			f, err := Compile(pattern, o)
			if err != nil {
				return nil, err
			}
			p.formats = append(p.formats, f)
		}
		return p, nil
	case "UNIX":
		p.kind = kindUnix
		return p, nil
	case "UNIX_MS":
		p.kind = kindUnixMillis
		return p, nil
	case "TAI64N":
		p.kind = kindTAI64N
		return p, nil
	}
	f, err := compile(format, o, o.now().Year())
	if err != nil {
		return nil, err
	}
	if f.parse.printOnly {
		return nil, fmt.Errorf("date format %q: %w", format, ErrPrintOnly)
	}
	p.format = f
	p.guess = !strings.ContainsAny(format, "yY")
	p.zoned = strings.Contains(format, "Z")
	return p, nil
}

// String gives the format.
func (p *Parser) String() string { return p.name }

// Parse reads a text.  The result is in UTC.
func (p *Parser) Parse(text []byte) (time.Time, error) { return p.ParseIn(text, p.zone) }

// ParseIn is Parse with another zone for texts that name none.
func (p *Parser) ParseIn(text []byte, zone *Zone) (time.Time, error) {
	var ms int64
	var err error
	switch {
	case p.kind == kindISO:
		ms, err = p.parseISO(text, zone)
	case p.kind == kindUnix:
		ms, err = unixText(text)
	case p.kind == kindUnixMillis:
		ms, err = parseLong(text)
	case p.kind == kindTAI64N:
		ms, err = tai64n(text)
	case p.guess:
		ms, err = p.parseGuess(text, zone)
	default:
		return p.format.ParseIn(text, zone)
	}
	if err != nil {
		return time.Time{}, err
	}
	return fromMillis(ms), nil
}

// parseGuess reads a text without a year.
func (p *Parser) parseGuess(text []byte, zone *Zone) (int64, error) {
	local, found, err := p.format.parse.local(text)
	if err != nil {
		return 0, err
	}
	var ms int64
	if p.zoned {
		if ms, err = found.instant(local, zone); err != nil {
			return 0, err
		}
		local = ms + int64(zone.offsetAt(ms))
	} else {
		// The date filter reads the local time apart from its zone; a zone by name only has to have such a time.
		if _, err = found.instant(local, UTC); err != nil {
			return 0, err
		}
		if ms, err = zone.instant(local); err != nil {
			return 0, err
		}
	}
	now := p.clock()
	year := int64(now.Year())
	_, month, _ := civil(floorDiv(local, msDay))
	switch {
	case month == 12 && now.Month() == time.January:
		year--
	case month == 1 && now.Month() == time.December:
		year++
	}
	moved := setYear(local, year)
	ms = zone.moved(moved, ms)
	if yearOf(ms+int64(zone.offsetAt(ms))) != year {
		return 0, ErrGap
	}
	return ms, nil
}

// moved gives the moment of a local time that was reached from another moment, whose offset it keeps where that is right.
func (z *Zone) moved(local, from int64) int64 {
	offset := z.offsetAt(from)
	if ms := local - int64(offset); z.offsetAt(ms) == offset {
		return ms
	}
	first := z.offsetAt(local)
	second := z.offsetAt(local - int64(first))
	if first != second && first < 0 && z.periodEnd(local-int64(first)) != z.periodEnd(local-int64(second)) {
		second = first
	}
	return local - int64(second)
}

// ParseInt reads a number that is no text; only UNIX and UNIX_MS take one.
func (p *Parser) ParseInt(v int64) (time.Time, error) {
	switch p.kind {
	case kindUnix:
		ms, err := unixSeconds(v)
		if err != nil {
			return time.Time{}, err
		}
		return fromMillis(ms), nil
	case kindUnixMillis:
		return fromMillis(v), nil
	}
	return time.Time{}, ErrKind
}

// ParseFloat reads a floating-point number; only UNIX and UNIX_MS take one.
func (p *Parser) ParseFloat(v float64) (time.Time, error) {
	switch p.kind {
	case kindUnix:
		if toLong(v) > math.MaxInt32 {
			return time.Time{}, ErrRange
		}
		return fromMillis(toLong(v * 1000)), nil
	case kindUnixMillis:
		return fromMillis(toLong(v)), nil
	}
	return time.Time{}, ErrKind
}

// ParseDecimal reads a decimal number of any precision (a BigDecimal of Logstash) in its written form, as in 1.5 and 15E-1.
func (p *Parser) ParseDecimal(v string) (time.Time, error) {
	if p.kind != kindUnix && p.kind != kindUnixMillis {
		return time.Time{}, ErrKind
	}
	if i := strings.IndexAny(v, "eE"); i >= 0 {
		if exp, err := strconv.Atoi(v[i+1:]); err != nil || exp > 400 || exp < -400 {
			return time.Time{}, ErrRange
		}
	}
	if len(v) > 1000 || strings.ContainsAny(v, "/xXbBoOpP_") {
		return time.Time{}, ErrNoMatch
	}
	r, ok := new(big.Rat).SetString(v)
	if !ok {
		return time.Time{}, ErrNoMatch
	}
	most := int64(math.MaxInt32)
	whole := low64(r)
	if p.kind == kindUnix {
		r.Mul(r, big.NewRat(1000, 1))
	} else {
		most *= 1000
	}
	if whole > most {
		return time.Time{}, ErrRange
	}
	return fromMillis(low64(r)), nil
}

// low64 is the lowest 64 bits of the whole part, as BigDecimal.longValue gives them.
func low64(r *big.Rat) int64 {
	q := new(big.Int).Quo(r.Num(), r.Denom())
	low := new(big.Int).And(q, new(big.Int).SetUint64(math.MaxUint64))
	return int64(low.Uint64())
}

// toLong casts as Java does: towards zero, to the nearest number there is, and NaN to 0.
func toLong(v float64) int64 {
	switch {
	case v != v:
		return 0
	case v >= math.MaxInt64:
		return math.MaxInt64
	case v <= math.MinInt64:
		return math.MinInt64
	}
	return int64(v)
}

// unixSeconds gives the milliseconds of seconds up to the largest of 32 bits.
func unixSeconds(v int64) (int64, error) {
	if v > math.MaxInt32 {
		return 0, ErrRange
	}
	return v * 1000, nil
}

// unixText reads seconds; of a fraction the first three digits count, and are added whatever the sign.
func unixText(text []byte) (int64, error) {
	whole, rest := text, []byte(nil)
	for i, c := range text {
		if c == '.' {
			whole, rest = text[:i], text[i+1:]
			if len(rest) == 0 {
				return 0, ErrNoMatch
			}
			break
		}
	}
	seconds, err := parseLong(whole)
	if err != nil {
		return 0, err
	}
	ms, err := unixSeconds(seconds)
	if err != nil || rest == nil {
		return ms, err
	}
	n := min(3, len(rest))
	part, err := parseLong(rest[:n])
	if err != nil {
		return 0, err
	}
	return ms + part*pow10[3-n], nil
}

// parseLong reads a whole number with an optional sign.
func parseLong(text []byte) (int64, error) {
	i, negative := 0, false
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		negative = text[0] == '-'
		i = 1
	}
	if i == len(text) {
		return 0, ErrNoMatch
	}
	v := int64(0) // negative, which has one number more
	for ; i < len(text); i++ {
		d := int64(text[i] - '0')
		if d > 9 {
			return 0, ErrNoMatch
		}
		if v < (math.MinInt64+d)/10 {
			return 0, ErrRange
		}
		v = v*10 - d
	}
	if !negative {
		if v == math.MinInt64 {
			return 0, ErrRange
		}
		v = -v
	}
	return v, nil
}

// tai64n reads an external TAI64N label: an optional @, 16 hexadecimal digits of seconds and 8 of nanoseconds.
// What follows is not looked at, and leap seconds are a constant 10, both as in the date filter.
func tai64n(text []byte) (int64, error) {
	if len(text) > 0 && text[0] == '@' {
		text = text[1:]
	}
	if len(text) < 24 {
		return 0, ErrNoMatch
	}
	seconds, err := strconv.ParseInt(string(text[:16]), 16, 64)
	if err != nil {
		return 0, ErrNoMatch
	}
	nanos, err := strconv.ParseInt(string(text[16:24]), 16, 32)
	if err != nil {
		return 0, ErrNoMatch
	}
	seconds = seconds&(1<<62-1) - 10
	return seconds*1000 + nanos/1e6, nil
}

// Package joda reads and prints dates in the pattern languages of Joda-Time and java.time,
// as Logstash's date filter and its %{+FORMAT} and %{{FORMAT}} references use them.
//
// A pattern is compiled once into a list of small steps; parsing and printing walk that list
// and do not allocate.  The meaning of each letter, the leniency of the parser and the order
// in which fields are applied follow Joda-Time 2.12 (DateTimeFormat, DateTimeFormatterBuilder,
// DateTimeParserBucket, ISOChronology); printing for %{{FORMAT}} follows java.time of Java 17
// (DateTimeFormatterBuilder.appendPattern).
//
// The resolution is Joda's: milliseconds.  Only JavaFormat prints nanoseconds.
//
// Time zones come from the time package.  A static binary has to import time/tzdata to have
// them where the host has no zone files.
//
// All types are safe for concurrent use once made.
package joda

import (
	"errors"
	"fmt"
	"time"
)

// Errors of parsing.  They are constant, so that trying several formats in turn costs no memory.
var (
	// ErrNoMatch says that the text does not have the form of the pattern.
	ErrNoMatch = errors.New("text does not match the date format")
	// ErrRange says that a number is outside of its field, as in 30 February.
	ErrRange = errors.New("a field of the date is out of range")
	// ErrGap says that the local time is skipped in its time zone.
	ErrGap = errors.New("local time does not exist in its time zone")
	// ErrKind says that a number was given to a format of text.
	ErrKind = errors.New("this date format needs text, not a number")
	// ErrPrintOnly says that the pattern has a letter that Joda-Time can only print (zzzz).
	ErrPrintOnly = errors.New("the date format has a long zone name, which can be printed but not parsed")
)

// Options are the settings of a format.  The zero value is English, UTC and the clock of the machine.
type Options struct {
	// Locale is a BCP 47 tag that gives the names of months, weekdays, halves of the day and eras.
	// "" is English.  An unknown language has the names of Java's root locale.
	Locale string
	// Zone is the zone of texts that name none; nil is UTC.
	Zone *Zone
	// Clock gives the present, from which years that a text does not name, or names with two digits
	// only, are taken.  nil is time.Now.
	Clock func() time.Time
}

func (o Options) now() time.Time {
	if o.Clock != nil {
		return o.Clock()
	}
	return time.Now()
}

// Format is a compiled Joda-Time pattern.
type Format struct {
	pattern string
	parse   program
	print   []printStep
	needs   needs
	zone    *Zone
}

// Compile compiles a pattern of Joda-Time's DateTimeFormat: letters G C Y x w e E y D M d a K h H k m s S z Z,
// text in single quotes, and any other character as itself.  An unknown letter is an error.
//
// Two-digit years lie between 80 years before and 19 years after the present at compilation.
// A text without a year that has a month or a day is of the year 2000.
func Compile(pattern string, o Options) (*Format, error) {
	return compile(pattern, o, 2000)
}

func compile(pattern string, o Options, defaultYear int) (*Format, error) {
	items, err := tokens(pattern)
	if err != nil {
		return nil, fmt.Errorf("date format %q: %w", pattern, err)
	}
	names := localeNames(o.Locale)
	f := &Format{pattern: pattern, zone: o.Zone}
	if f.zone == nil {
		f.zone = UTC
	}
	if f.parse, err = compileParse(items, names, o.now().Year()-30, defaultYear); err != nil {
		return nil, fmt.Errorf("date format %q: %w", pattern, err)
	}
	f.print, f.needs = compilePrint(items, names)
	return f, nil
}

// String gives the pattern.
func (f *Format) String() string { return f.pattern }

// Parse reads text that has the form of the pattern from its first to its last byte.
// A zone in the text wins over the zone of the format.  The result is in UTC.
func (f *Format) Parse(text []byte) (time.Time, error) { return f.ParseIn(text, f.zone) }

// ParseIn is Parse with another zone for texts that name none.
func (f *Format) ParseIn(text []byte, zone *Zone) (time.Time, error) {
	local, found, err := f.parse.local(text)
	if err != nil {
		return time.Time{}, err
	}
	ms, err := found.instant(local, zone)
	if err != nil {
		return time.Time{}, err
	}
	return fromMillis(ms), nil
}

// fromMillis makes a time in UTC out of milliseconds since 1970.
func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

package compare

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Classes of changes: how the value after differs from the one before.
const (
	classNull       = "null"                // added or removed: the value is null
	classEmpty      = "empty"               // added or removed: the value is "", [] or {}
	classOther      = "another value"       //
	classWasNull    = "was null"            //
	classNowNull    = "now null"            //
	classWasEmpty   = "was empty"           //
	classNowEmpty   = "now empty"           //
	classSpace      = "white space"         //
	classCase       = "case"                //
	classFormat     = "number format"       // the same number, written otherwise
	classRounded    = "rounded"             // numbers that differ by less than a millionth
	classSameTime   = "time format or zone" // the same moment, written otherwise
	classPrecision  = "time precision"      // the same moment but for digits that one of the two does not have
	classShift      = "time shifted by "    // followed by a duration: whole quarters of an hour
	classOtherTime  = "another time"        //
	classLonger     = "longer"              // the value before is its beginning
	classCutOff     = "cut off"             // it is the beginning of the value before
	classOrder      = "order"               // of a list: the same elements
	classElements   = "elements"            // of a list
	classHas        = "has "                // of a list of strings: an element is new
	classHasNot     = "has no more "        // an element is gone
	classNesting    = "dotted name"         // the same value under {"a.b": …} and {"a": {"b": …}}
	classSameValue  = ", the same value"    // behind the types
	classInList     = ", alone in a list"   // behind the types
	classOutOfList  = ", out of its list"   // behind the types
	classTransition = " → "                 // between types
)

// class says how two scalars of one kind, other than null, differ; they are not equal.
func class(a, b *node) string {
	switch a.kind {
	case number:
		return numberClass(string(a.raw), string(b.raw))
	case text:
		return textClass(a.text(), b.text())
	case null, boolean, list, object:
	}
	return classOther
}

func textClass(a, b string) string {
	switch {
	case a == "":
		return classWasEmpty
	case b == "":
		return classNowEmpty
	case strings.Join(strings.Fields(a), " ") == strings.Join(strings.Fields(b), " "):
		return classSpace
	case strings.EqualFold(a, b):
		return classCase
	}
	if c, ok := timeClass(a, b); ok {
		return c
	}
	if isNumber(a) && isNumber(b) {
		if c := numberClass(a, b); c != classOther {
			return c
		}
		return classOther
	}
	switch {
	case strings.HasPrefix(b, a):
		return classLonger
	case strings.HasPrefix(a, b):
		return classCutOff
	}
	return classOther
}

// timeLayouts are those in which ISO 8601 is written in documents.
var timeLayouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02 15:04:05.999999999", "2006-01-02T15:04Z07:00", "2006-01-02",
}

// readTime reads a time, and how many digits its second has behind the point.
func readTime(s string) (t time.Time, digits int, ok bool) {
	if len(s) < 10 || len(s) > 40 || s[0] < '0' || s[0] > '9' || s[4] != '-' {
		return t, 0, false
	}
	s = strings.Replace(s, ",", ".", 1)
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			if _, fraction, ok := strings.Cut(s, "."); ok {
				for digits < len(fraction) && fraction[digits] >= '0' && fraction[digits] <= '9' {
					digits++
				}
			}
			return t, digits, true
		}
	}
	return t, 0, false
}

func timeClass(a, b string) (string, bool) {
	ta, da, ok := readTime(a)
	if !ok {
		return "", false
	}
	tb, db, ok := readTime(b)
	if !ok {
		return "", false
	}
	unit := time.Second
	for range min(da, db, 9) {
		unit /= 10
	}
	const quarter = 15 * time.Minute
	by := tb.Sub(ta)
	switch {
	case by == 0 && da != db:
		return classPrecision, true
	case by == 0:
		return classSameTime, true
	case da != db && ta.Truncate(unit).Equal(tb.Truncate(unit)):
		return classPrecision, true
	case by%quarter == 0 && by.Abs() <= 14*time.Hour:
		sign := "+"
		if by < 0 {
			sign = "-"
		}
		return classShift + sign + strings.Replace(strings.TrimSuffix(by.Abs().String(), "0s"), "h0m", "h", 1), true
	}
	return classOtherTime, true
}

func numberClass(a, b string) string {
	if sameNumber(a, b) {
		return classFormat
	}
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	whole := !strings.ContainsAny(a, ".eE") && !strings.ContainsAny(b, ".eE")
	if errX == nil && errY == nil && !whole && math.Abs(x-y) <= 1e-6*max(math.Abs(x), math.Abs(y)) {
		return classRounded
	}
	return classOther
}

func isNumber(s string) bool {
	p := parser{in: []byte(s)}
	return s != "" && (s[0] == '-' || s[0] >= '0' && s[0] <= '9') && p.number() == nil && p.i == len(s)
}

// sameNumber reports that two numbers are exactly equal, however they are written.
func sameNumber(a, b string) bool {
	return a == b || isNumber(a) && isNumber(b) && decimalOf(a) == decimalOf(b)
}

// A decimal is digits without zeros at the ends, times ten to the power of exp.
type decimal struct {
	negative bool
	digits   string
	exp      int
}

func decimalOf(s string) (d decimal) {
	s, d.negative = strings.TrimPrefix(s, "-"), strings.HasPrefix(s, "-")
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		e, err := strconv.Atoi(s[i+1:])
		if err != nil {
			return decimal{digits: s} // equal to itself only
		}
		s, d.exp = s[:i], e
	}
	whole, fraction, _ := strings.Cut(s, ".")
	d.exp -= len(fraction)
	d.digits = strings.TrimLeft(whole+fraction, "0")
	short := strings.TrimRight(d.digits, "0")
	d.exp += len(d.digits) - len(short)
	d.digits = short
	if short == "" {
		return decimal{}
	}
	return d
}

// typeClass says how values of two kinds differ, and whether that is a change of type: one from or to null is not.
func typeClass(a, b *node) (c string, typed bool) {
	switch {
	case a.kind == null:
		return classWasNull, false
	case b.kind == null:
		return classNowNull, false
	}
	c = a.kind.String() + classTransition + b.kind.String()
	switch {
	case a.scalar() && b.scalar() && (a.text() == b.text() || sameNumber(a.text(), b.text())):
		c += classSameValue
	case b.kind == list && len(b.items) == 1 && bytes.Equal(a.json(), b.items[0].json()):
		c += classInList
	case a.kind == list && len(a.items) == 1 && bytes.Equal(b.json(), a.items[0].json()):
		c += classOutOfList
	}
	return c, true
}

// listDifference gives the elements that only one of two lists has; a list that has one twice has it twice.
func listDifference(a, b *node) (gone, come []*node) {
	count := map[string]int{}
	for _, n := range b.items {
		count[string(n.json())]++
	}
	for _, n := range a.items {
		if k := string(n.json()); count[k] > 0 {
			count[k]--
		} else {
			gone = append(gone, n)
		}
	}
	for _, n := range slices.Backward(b.items) {
		if k := string(n.json()); count[k] > 0 {
			count[k]--
			come = append(come, n)
		}
	}
	slices.Reverse(come)
	return gone, come
}

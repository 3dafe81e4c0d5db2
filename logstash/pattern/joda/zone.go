package joda

import (
	_ "embed"
	"fmt"
	"math"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// Zone is a time zone: a fixed offset from UTC or a zone of the time zone database.
type Zone struct {
	id      string
	offset  int32 // fixed zones: milliseconds east of UTC
	periods []period
	loc     *time.Location
	last    atomic.Int32 // the period of the last look-up
}

// period is a span of time with one offset; it ends where the next begins.
type period struct {
	start  int64 // milliseconds since 1970
	offset int32 // milliseconds east of UTC
}

// UTC is the zone of coordinated universal time.
var UTC = &Zone{id: "UTC"}

// lastPeriods is where the list of periods ends; later times are looked up in the zone itself.
var lastPeriods = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

// ZoneOf makes a zone out of one of the time package.
func ZoneOf(loc *time.Location) *Zone {
	if loc == nil || loc == time.UTC {
		return UTC
	}
	z := &Zone{id: loc.String(), loc: loc}
	at := time.Date(1800, 1, 1, 0, 0, 0, 0, time.UTC)
	start := int64(math.MinInt64)
	for {
		t := at.In(loc)
		_, offset := t.Zone()
		if n := len(z.periods); n == 0 || z.periods[n-1].offset != int32(offset)*msSecond {
			z.periods = append(z.periods, period{start, int32(offset) * msSecond})
		}
		_, end := t.ZoneBounds()
		if end.IsZero() {
			z.loc = nil
			break
		}
		if end.After(lastPeriods) {
			break
		}
		if !end.After(at) {
			// ZoneBounds ends the rules of a leap year a day early; nothing changes on that day.
			end = at.Add(24 * time.Hour)
		}
		at, start = end, end.UnixMilli()
	}
	if len(z.periods) == 1 && z.loc == nil {
		z.offset, z.periods = z.periods[0].offset, nil
	}
	return z
}

// LoadZone finds a zone by the identifiers that Joda-Time's DateTimeZone.forID takes: those of the time zone database
// as they are spelled there, UT, GMT and Z, and offsets as in +05:30, -0800, UTC+3:00.
func LoadZone(id string) (*Zone, error) {
	if z, ok := zoneCache.Load(id); ok {
		return z.(*Zone), nil
	}
	if _, ok := zoneIDs()[id]; ok && id != "UTC" {
		loc, err := time.LoadLocation(id)
		if err != nil {
			return nil, fmt.Errorf("time zone %q: %w", id, err)
		}
		z := ZoneOf(loc)
		z.id = id
		zoneCache.Store(id, z)
		return z, nil
	}
	switch id {
	case "UTC", "UT", "GMT", "Z":
		return UTC, nil
	}
	text := id
	for _, prefix := range []string{"UTC", "GMT", "UT"} {
		if rest, ok := strings.CutPrefix(id, prefix); ok && rest != "" && (rest[0] == '+' || rest[0] == '-') {
			text = rest
			break
		}
	}
	var found zoneFound
	if len(text) > 1 && found.readOffset([]byte(text), 0, false) == len(text) {
		return fixedZone(found.offset), nil
	}
	return nil, fmt.Errorf("time zone %q is not known: expected a name such as Europe/Berlin or an offset such as +05:30", id)
}

// fixedZone gives the zone of an offset in milliseconds.
func fixedZone(offset int32) *Zone {
	if offset == 0 {
		return UTC
	}
	z := &Zone{offset: offset}
	z.id = string(appendOffset(nil, offset, offsetAsNeeded))
	return z
}

var zoneCache sync.Map // of *Zone by identifier

// zoneList is the identifiers that Joda-Time 2.12.7 knows, sorted.
//
//go:embed data/zones.txt
var zoneList string

var zoneIDs = sync.OnceValue(func() map[string]struct{} {
	ids := make(map[string]struct{})
	for _, id := range strings.Fields(zoneList) {
		ids[id] = struct{}{}
	}
	return ids
})

// String gives the identifier.
func (z *Zone) String() string { return z.id }

// offsetAt gives the offset at a moment, in milliseconds.
func (z *Zone) offsetAt(ms int64) int32 {
	if z.periods == nil {
		return z.offset
	}
	return z.periodAt(ms).offset
}

// periodAt gives the period of a moment.
func (z *Zone) periodAt(ms int64) period {
	p := z.periods
	i := int(z.last.Load())
	if p[i].start > ms || i+1 < len(p) && p[i+1].start <= ms {
		i = sort.Search(len(p), func(i int) bool { return p[i].start > ms }) - 1
		z.last.Store(int32(i))
	}
	if i == len(p)-1 && z.loc != nil && ms >= lastPeriods.UnixMilli()-2*366*msDay {
		t := time.UnixMilli(ms).In(z.loc)
		_, offset := t.Zone()
		start, _ := t.ZoneBounds()
		return period{start.UnixMilli(), int32(offset) * msSecond}
	}
	return p[i]
}

// periodEnd gives the end of the period of a moment, or the greatest number.
func (z *Zone) periodEnd(ms int64) int64 {
	if z.loc != nil && ms >= lastPeriods.UnixMilli()-2*366*msDay {
		if _, end := time.UnixMilli(ms).In(z.loc).ZoneBounds(); !end.IsZero() {
			return end.UnixMilli()
		}
		return math.MaxInt64
	}
	i := sort.Search(len(z.periods), func(i int) bool { return z.periods[i].start > ms })
	if i == len(z.periods) {
		return math.MaxInt64
	}
	return z.periods[i].start
}

// instant gives the moment of a local time.  A local time that comes twice is the earlier one; one that is skipped is ErrGap.
func (z *Zone) instant(local int64) (int64, error) {
	if z.periods == nil {
		return local - int64(z.offset), nil
	}
	p := z.periodAt(local)
	ms := local - int64(p.offset)
	if ms < p.start || z.offsetAt(ms) != p.offset {
		p = z.periodAt(ms)
		ms = local - int64(p.offset)
		if z.offsetAt(ms) != p.offset {
			return 0, ErrGap
		}
	}
	if p.start != math.MinInt64 {
		before := z.offsetAt(p.start - 1)
		if ms-p.start < int64(before-p.offset) {
			ms = local - int64(before)
		}
	}
	return ms, nil
}

// shortZones are the names that z reads, as DateTimeUtils.getDefaultTimeZoneNames has them.
var shortZones = []struct{ name, id string }{
	{"UTC", "UTC"}, {"UT", "UTC"}, {"GMT", "UTC"},
	{"EST", "America/New_York"}, {"EDT", "America/New_York"},
	{"CST", "America/Chicago"}, {"CDT", "America/Chicago"},
	{"MST", "America/Denver"}, {"MDT", "America/Denver"},
	{"PST", "America/Los_Angeles"}, {"PDT", "America/Los_Angeles"},
}

// matchZoneName reads a short zone name; the longest wins.
func matchZoneName(text []byte, pos int) (*Zone, int) {
	rest := text[pos:]
	for _, z := range shortZones {
		if len(rest) >= len(z.name) && string(rest[:len(z.name)]) == z.name {
			zone, err := LoadZone(z.id)
			if err != nil {
				return nil, -1
			}
			return zone, pos + len(z.name)
		}
	}
	return nil, -1
}

var zoneIDMost = sync.OnceValue(func() int {
	most := 0
	for id := range zoneIDs() {
		most = max(most, len(id))
	}
	return most
})

// areaMost is the length of the longest area of a zone identifier with its slash: Antarctica/.
const areaMost = len("Antarctica/")

// matchZoneID reads the longest zone identifier at a position.  As in Joda-Time a slash near the position must belong to it.
func matchZoneID(text []byte, pos int) (*Zone, int) {
	rest := text[pos:]
	least := 1
	for i, chars := 0, 0; i < len(rest) && chars < areaMost; chars++ {
		if rest[i] == '/' {
			least = i + 2
			break
		}
		_, n := utf8.DecodeRune(rest[i:])
		i += n
	}
	ids := zoneIDs()
	for n := min(len(rest), zoneIDMost()); n >= least; n-- {
		if _, ok := ids[string(rest[:n])]; ok {
			zone, err := LoadZone(string(rest[:n]))
			if err != nil {
				return nil, -1
			}
			return zone, pos + n
		}
	}
	return nil, -1
}

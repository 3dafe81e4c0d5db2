package kafka

import (
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A Bound is a place in each partition of a topic.
type Bound struct {
	kind   boundKind
	time   time.Time
	offset int64
}

type boundKind int

const (
	unset boundKind = iota
	earliest
	latest
	none
	atTime
	ago
	atOffset
)

// Bounds that are not times.
var (
	Earliest = Bound{kind: earliest}
	Latest   = Bound{kind: latest}
	None     = Bound{kind: none} // for a Group: to fail where nothing is committed
)

// At is the first record from t on.
func At(t time.Time) Bound { return Bound{kind: atTime, time: t} }

// Offset is the same offset in every partition.
func Offset(n int64) Bound { return Bound{kind: atOffset, offset: n} }

// UnmarshalText reads earliest, latest, none, a time (2026-01-31T15:04:05Z), a duration ago (2h), or an offset.
func (b *Bound) UnmarshalText(text []byte) error {
	s := string(text)
	switch s {
	case "":
		*b = Bound{}
		return nil
	case "earliest", "beginning":
		*b = Earliest
		return nil
	case "latest", "end":
		*b = Latest
		return nil
	case "none":
		*b = None
		return nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= 0 {
		*b = Offset(n)
		return nil
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		*b = Bound{kind: ago, offset: int64(d)}
		return nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			*b = At(t)
			return nil
		}
	}
	return fmt.Errorf("%q: want earliest, latest, a time like 2026-01-31T15:04:05Z, a duration ago like 2h, or an offset", s)
}

// MarshalText writes what UnmarshalText reads.
func (b Bound) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

func (b Bound) String() string {
	switch b.kind {
	case earliest:
		return "earliest"
	case latest:
		return "latest"
	case none:
		return "none"
	case atTime:
		return b.time.UTC().Format(time.RFC3339Nano)
	case ago:
		return time.Duration(b.offset).String()
	case atOffset:
		return strconv.FormatInt(b.offset, 10)
	case unset:
	}
	return ""
}

// IsZero reports that b is not given.
func (b Bound) IsZero() bool { return b.kind == unset }

// moment gives the time of a bound that is one.
func (b Bound) moment(now time.Time) (time.Time, bool) {
	switch b.kind {
	case atTime:
		return b.time, true
	case ago:
		return now.Add(-time.Duration(b.offset)), true
	case unset, earliest, latest, none, atOffset:
	}
	return time.Time{}, false
}

// starts gives the client's options for where a group without commits begins.
func (b Bound) starts(now time.Time) []kgo.Opt {
	offset := kgo.NewOffset()
	switch b.kind {
	case latest:
		return []kgo.Opt{kgo.ConsumeStartOffset(offset.AtEnd())}
	case none:
		return []kgo.Opt{kgo.ConsumeStartOffset(offset.AtCommitted()), kgo.ConsumeResetOffset(kgo.NoResetOffset())}
	case atOffset:
		return []kgo.Opt{kgo.ConsumeStartOffset(offset.At(b.offset))}
	case unset, earliest, atTime, ago:
	}
	if t, ok := b.moment(now); ok {
		return []kgo.Opt{kgo.ConsumeStartOffset(offset.AfterMilli(t.UnixMilli()))}
	}
	return []kgo.Opt{kgo.ConsumeStartOffset(offset.AtStart())}
}

// Ago is the first record from so long ago on.
func Ago(d time.Duration) Bound { return Bound{kind: ago, offset: int64(d)} }

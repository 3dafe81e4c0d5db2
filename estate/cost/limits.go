package cost

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bytes is a size. As JSON it is a number of bytes, or a text with a unit: 500GiB, 1.5TiB, 200GB. Units of 1024 have
// an i, others are of 1000.
type Bytes int64

// Units of sizes.
const (
	KiB Bytes = 1 << (10 * (iota + 1))
	MiB
	GiB
	TiB
	PiB
)

var units = []struct {
	name string
	size float64
}{ // the longer names first: "GiB" ends with "B" too
	{"KiB", float64(KiB)}, {"MiB", float64(MiB)}, {"GiB", float64(GiB)}, {"TiB", float64(TiB)}, {"PiB", float64(PiB)},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"PB", 1e15}, {"B", 1},
}

// ParseBytes reads a size with its unit, or a bare number of bytes.
func ParseBytes(s string) (Bytes, error) {
	number, factor := strings.TrimSpace(s), 1.0
	for _, u := range units {
		if before, ok := strings.CutSuffix(number, u.name); ok {
			number, factor = strings.TrimSpace(before), u.size
			break
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(n) || n < 0 || n*factor > 1<<62 {
		return 0, fmt.Errorf("%q is no size: want one like 500GiB, 1.5TiB or 200GB", s)
	}
	return Bytes(n * factor), nil
}

// UnmarshalJSON reads a number, or a text with a unit.
func (b *Bytes) UnmarshalJSON(text []byte) error {
	var s string
	if len(text) > 0 && text[0] == '"' {
		if err := json.Unmarshal(text, &s); err != nil {
			return err
		}
	} else {
		s = string(text)
	}
	n, err := ParseBytes(s)
	*b = n
	return err
}

// String writes the size with a unit of 1024, in at most four digits.
func (b Bytes) String() string {
	if b < 0 {
		return "-" + (-b).String()
	}
	v, name := float64(b), "B"
	for _, u := range units[:5] {
		if float64(b) < u.size {
			break
		}
		v, name = float64(b)/u.size, u.name
	}
	digits := 0
	switch {
	case name == "B":
	case v < 9.95:
		digits = 2
	case v < 99.5:
		digits = 1
	}
	return strconv.FormatFloat(v, 'f', digits, 64) + " " + name
}

// Limits are what an environment may take at most: `limits` of env.yaml. What is zero is not limited.
type Limits struct {
	Storage Bytes   `json:"storage,omitempty"` // of the disks that its indices need, with replicas and reserves
	Shards  int     `json:"shards,omitempty"`  // copies of shards
	Nodes   int     `json:"nodes,omitempty"`   // with data
	Brokers int     `json:"brokers,omitempty"` // of Kafka
	Monthly float64 `json:"monthly,omitempty"` // in the currency of the price file
}

// Zero reports that nothing is limited.
func (l Limits) Zero() bool { return l == Limits{} }

// Validate checks the limits.
func (l Limits) Validate() error {
	if l.Shards < 0 || l.Nodes < 0 || l.Brokers < 0 || l.Monthly < 0 || math.IsNaN(l.Monthly) || math.IsInf(l.Monthly, 0) {
		return errors.New("a limit is not negative; leave it out for none")
	}
	return nil
}

// UnmarshalJSON reads the limits; a key that there is not is an error.
func (l *Limits) UnmarshalJSON(text []byte) error {
	type plain Limits
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode((*plain)(l)); err != nil {
		return fmt.Errorf("limits (storage, shards, nodes, brokers, monthly): %w", err)
	}
	return l.Validate()
}

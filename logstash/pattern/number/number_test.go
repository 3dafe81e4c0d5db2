package number

import (
	"strconv"
	"strings"
	"testing"
)

// More of it is compared with JRuby in the tests of filters.
func TestNumbersAreReadAsAWhole(t *testing.T) {
	for _, c := range []struct{ in, integer, float string }{
		{"12", "12", "12"}, {" -1_000 ", "-1000", "-1000"}, {"0x1f", "31", "31"}, {"0b101", "5", "error"}, {"017", "15", "17"},
		{"123456789012345678901", "123456789012345678901", "1.2345678901234568e+20"},
		{"1.5", "error", "1.5"}, {"1e3", "error", "1000"}, {"1.", "error", "error"}, {"12a", "error", "error"},
		{"1__0", "error", "error"}, {"", "error", "error"}, {"+-1", "error", "error"},
		{strings.Repeat("9", MostDigits+1), "error", "+Inf"},
	} {
		integer := "error"
		if v, err := Integer(c.in); err == nil {
			integer = v.Text()
		}
		if integer != c.integer {
			t.Errorf("Integer(%.30q): %s, not %s", c.in, integer, c.integer)
		}
		float := "error"
		if f, err := Float(c.in); err == nil {
			float = shown(f)
		}
		if float != c.float {
			t.Errorf("Float(%.30q): %s, not %s", c.in, float, c.float)
		}
	}
}

func shown(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

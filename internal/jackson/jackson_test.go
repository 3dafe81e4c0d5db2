package jackson

import (
	"math"
	"math/big"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"encoding/json"
)

func TestFloatsArePrintedAsJavaPrintsThem(t *testing.T) {
	text, err := os.ReadFile("testdata/floats.tsv")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		width, _ := strconv.Atoi(f[0])
		bits, err := strconv.ParseUint(f[1], 16, width)
		if err != nil {
			t.Fatal(err)
		}
		got := string(AppendFloat64(nil, math.Float64frombits(bits)))
		if width == 32 {
			got = string(AppendFloat32(nil, math.Float32frombits(uint32(bits))))
		}
		if got = strings.Trim(got, `"`); got != f[2] {
			t.Errorf("float%d %s is %s, Java prints %s", width, f[1], got, f[2])
		}
		n++
	}
	if n < 1000 {
		t.Errorf("only %d floats were compared", n)
	}
}

func TestDecimalsArePrintedAsJavaPrintsThem(t *testing.T) {
	// The table in the documentation of java.math.BigDecimal.toString, and the borders of its rules.
	for _, c := range []struct {
		unscaled int64
		scale    int32
		want     string
	}{
		{123, 0, "123"}, {-123, 0, "-123"}, {123, -1, "1.23E+3"}, {123, -3, "1.23E+5"}, {123, 1, "12.3"},
		{123, 5, "0.00123"}, {123, 10, "1.23E-8"}, {-123, 12, "-1.23E-10"}, {0, 2, "0.00"}, {0, 6, "0.000000"},
		{0, 7, "0E-7"}, {0, -5, "0E+5"}, {1, 6, "0.000001"}, {1, 7, "1E-7"}, {12, math.MinInt32, "1.2E+2147483649"},
		{12, math.MaxInt32, "1.2E-2147483646"}, {123, 3, "0.123"},
	} {
		if got := string(AppendDecimal(nil, big.NewInt(c.unscaled), c.scale)); got != c.want {
			t.Errorf("%d with scale %d is %s, want %s", c.unscaled, c.scale, got, c.want)
		}
	}
}

func TestStringsAreEscapedAsLittleAsJacksonDoes(t *testing.T) {
	got := string(AppendString(nil, "a/\"\\\b\f\n\r\t\x00\x1f\x7f한\u2028😀"))
	if want := `"a/\"\\\b\f\n\r\t\u0000\u001F` + "\x7f한\u2028" + `\uD83D\uDE00"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzAppendString(f *testing.F) {
	f.Add("a\"\\\n한😀")
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			AppendString(nil, s) // must not panic
			return
		}
		var back string
		if err := json.Unmarshal(AppendString(nil, s), &back); err != nil || back != s {
			t.Fatalf("%q came back as %q, %v", s, back, err)
		}
	})
}

package syntax

import (
	"os"
	"strings"
	"testing"
)

// thousandLines is a configuration of about a thousand lines, made of what is common in them.
func thousandLines(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/cases/more/long_web_shop.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "-- config --\n")
	config, _, _ := strings.Cut(rest, "\n-- ")
	var out strings.Builder
	for n := 0; n < 1000; n += strings.Count(config, "\n") + 1 {
		out.WriteString(config + "\n")
	}
	return []byte(out.String())
}

func BenchmarkParseThousandLines(b *testing.B) {
	src := thousandLines(b)
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("bench.conf", src); err != nil {
			b.Fatal(err)
		}
	}
}

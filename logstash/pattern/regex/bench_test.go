package regex

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// accessLog makes lines as Apache writes them in its combined format, about 205 bytes each.
func accessLog(n int) [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	paths := []string{"/", "/index.html", "/images/logo-large.png", "/blog/2024/05/how-to-read-logs", "/api/v1/items?id=%d&full=true", "/static/css/site.min.css"}
	agents := []string{
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:121.0) Gecko/20100101 Firefox/121.0",
		"curl/8.5.0",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.2 Mobile/15E148 Safari/604.1",
	}
	lines := make([][]byte, n)
	for i := range lines {
		path := pick(paths...)
		if strings.Contains(path, "%d") {
			path = fmt.Sprintf(path, r.IntN(100000))
		}
		size := fmt.Sprint(r.IntN(200000))
		if r.IntN(20) == 0 {
			size = "-"
		}
		lines[i] = fmt.Appendf(nil, `%d.%d.%d.%d - %s [%02d/%s/2024:%02d:%02d:%02d +0000] "%s %s HTTP/1.1" %s %s "%s" "%s"`,
			1+r.IntN(254), r.IntN(256), r.IntN(256), r.IntN(256), pick("-", "-", "frank"), 1+r.IntN(28), pick("Jan", "Feb", "May", "Oct", "Dec"),
			r.IntN(24), r.IntN(60), r.IntN(60), pick("GET", "GET", "POST", "HEAD"), path, pick("200", "200", "304", "404", "500"), size,
			pick("-", "https://www.example.com/start/page.html", "https://search.example.org/?q=logs"), pick(agents...))
	}
	return lines
}

func combinedApacheLog(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("testdata/combinedapachelog.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			return strings.TrimSuffix(line, "\n")
		}
	}
	t.Fatal("no pattern")
	return ""
}

const simpleAccess = `^(?<ip>\S+) (?<ident>\S+) (?<auth>\S+) \[(?<ts>[^\]]+)\] "(?<verb>\S+) (?<path>\S+) (?<proto>[^"]*)" (?<code>\d+) (?<size>\S+) "(?<ref>[^"]*)" "(?<agent>[^"]*)"`

func BenchmarkAccessLog(b *testing.B) {
	lines := accessLog(1000)
	total := 0
	for _, l := range lines {
		total += len(l)
	}
	for _, c := range []struct{ name, pattern string }{
		{"combined", combinedApacheLog(b)},
		{"simple", simpleAccess},
	} {
		b.Run(c.name, func(b *testing.B) {
			re := compiled(b, c.pattern, "m")
			var m Match
			b.SetBytes(int64(total / len(lines)))
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if ok, err := re.Match(lines[i], 0, &m); !ok || err != nil {
					b.Fatalf("%s: %v, %v", lines[i], ok, err)
				}
				if i++; i == len(lines) {
					i = 0
				}
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	b.Run("check", func(b *testing.B) { compileOften(b, false) })
	b.Run("program", func(b *testing.B) { compileOften(b, true) })
}

func compileOften(b *testing.B, program bool) {
	pattern := combinedApacheLog(b)
	b.ReportAllocs()
	for b.Loop() {
		re, err := Compile(pattern, Options{Multiline: true})
		if err != nil {
			b.Fatal(err)
		}
		if program {
			re.Literal() // needs the program
		}
	}
}

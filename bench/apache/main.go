// Command apache writes lines of an access log in Apache's combined format, always the same ones: apache LINES.
package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"
)

var (
	paths   = []string{"/", "/index.html", "/products/%d", "/cart", "/api/v2/orders/%d?expand=items,customer&lang=ko", "/images/banner-%d.png", "/search?q=winter+coat&page=%d", "/assets/app.%d.js"}
	methods = []string{"GET", "GET", "GET", "GET", "POST", "PUT", "DELETE", "HEAD"}
	status  = []int{200, 200, 200, 200, 200, 301, 304, 404, 500, 503}
	users   = []string{"-", "-", "-", "-", "alice", "bob"}
	agents  = []string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Mobile/15E148 Safari/604.1",
		"curl/8.4.0",
		"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
	}
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: apache LINES")
		os.Exit(2)
	}
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	rng := rand.New(rand.NewPCG(7, 11))
	w := bufio.NewWriterSize(os.Stdout, 1<<20)
	at := time.Date(2024, 3, 1, 0, 0, 0, 0, time.FixedZone("", 9*3600))
	for range n {
		at = at.Add(time.Duration(rng.IntN(900)) * time.Millisecond)
		path := paths[rng.IntN(len(paths))]
		if strings.Contains(path, "%d") {
			path = fmt.Sprintf(path, rng.IntN(100_000))
		}
		referrer := "-"
		if rng.IntN(3) > 0 {
			referrer = fmt.Sprintf("https://shop.example.com/category/%d?from=home", rng.IntN(500))
		}
		fmt.Fprintf(w, "%d.%d.%d.%d - %s [%s] \"%s %s HTTP/1.1\" %d %d \"%s\" \"%s\"\n", 1+rng.IntN(223), rng.IntN(256), rng.IntN(256), rng.IntN(256),
			users[rng.IntN(len(users))], at.Format("02/Jan/2006:15:04:05 -0700"), methods[rng.IntN(len(methods))], path,
			status[rng.IntN(len(status))], rng.IntN(60_000), referrer, agents[rng.IntN(len(agents))])
	}
	if err := w.Flush(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

package gitops

import (
	"io"
	"net"
	"sync"
	"testing"
)

// forwardTo listens at an address of its own, and carries what is said there to another and back, until the test ends.
func forwardTo(tb testing.TB, target string) (address string) {
	tb.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0") //nolint:noctx // closed by Cleanup
	if err != nil {
		tb.Fatal(err)
	}
	var running sync.WaitGroup
	var mu sync.Mutex // guards open and over
	open, over := map[net.Conn]bool{}, false
	keep := func(c net.Conn) bool {
		mu.Lock()
		defer mu.Unlock()
		if over {
			c.Close()
			return false
		}
		open[c] = true
		return true
	}
	tb.Cleanup(func() {
		l.Close()
		mu.Lock()
		over = true
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	running.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp4", target) //nolint:noctx // ends with the test
			if err != nil {
				from.Close()
				continue
			}
			if !keep(from) || !keep(to) {
				continue
			}
			carry := func(dst, src net.Conn) {
				_, _ = io.Copy(dst, src) // either end may close it
				dst.Close()
				src.Close()
				mu.Lock()
				delete(open, src)
				mu.Unlock()
			}
			running.Go(func() { carry(to, from) })
			running.Go(func() { carry(from, to) })
		}
	})
	return l.Addr().String()
}

// Redis is a server of the Redis protocol in memory, for Argo CD in tests: what Argo CD keeps there is only a cache and its
// notifications of changed ones. It listens at the address that is its argument, which must be of the loopback interface, and
// ends when its standard input does, so that it never outlives a test.
package main

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/alicebob/miniredis/v2"
)

func main() {
	if err := serve(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "redis:", err)
		os.Exit(1)
	}
}

func serve(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one argument, the address to listen at, like 127.0.0.1:6379; got %d", len(args))
	}
	address, err := netip.ParseAddrPort(args[0])
	if err != nil {
		return fmt.Errorf("address to listen at: %w", err)
	}
	if !address.Addr().IsLoopback() {
		return fmt.Errorf("listen at %s: it has no password, and is for the loopback interface only", address)
	}
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr(address.String()); err != nil {
		return fmt.Errorf("listen at %s: %w", address, err)
	}
	defer server.Close()

	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, os.Stdin) // any end of it is the end
	}()
	// Keys expire only when the server is told that time has gone by.
	last := time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return nil
		case now := <-tick.C:
			server.FastForward(now.Sub(last))
			last = now
		}
	}
}

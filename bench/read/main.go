//go:build linux

// Read drains one index of a snapshot repository with one worker, as the engine's workers do, and counts: naru's
// side of bench.sh, beside lucene/ReadSource.java.
//
//	read ROUNDS REPOSITORY INDEX
//
// Prints a line per round (documents, bytes of their sources, wall and CPU nanoseconds, allocations), then the peak
// of resident memory in kB.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/narudata/naru/connect/snapshot"
	"github.com/narudata/naru/flow"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return errors.New("usage: read ROUNDS REPOSITORY INDEX")
	}
	rounds, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	for range rounds {
		if err := round(ctx, args[1], args[2]); err != nil {
			return err
		}
	}
	peak, err := peakKB()
	fmt.Println("peak", peak)
	return err
}

// round opens the repository anew, so that planning is part of what is measured, as it is on the Java side.
func round(ctx context.Context, repo, index string) (err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start, cpu := time.Now(), cpuTime()
	src, err := snapshot.Config{URL: repo, Snapshot: "snap-1", Indices: flow.Patterns{index}}.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	b := flow.Batch{MaxRecords: 10_000, MaxBytes: 1 << 20} // the engine's bounds
	docs, size := 0, 0
	for part, err := range src.Parts(ctx) {
		if err != nil {
			return err
		}
		n, s, err := drain(ctx, src, part, &b)
		if err != nil {
			return fmt.Errorf("part %s: %w", part.ID, err)
		}
		docs, size = docs+n, size+s
	}
	wall, used := time.Since(start), cpuTime()-cpu
	runtime.ReadMemStats(&after)
	fmt.Println(docs, size, wall.Nanoseconds(), used.Nanoseconds(), after.Mallocs-before.Mallocs)
	return nil
}

func drain(ctx context.Context, src flow.Source, part flow.Part, b *flow.Batch) (docs, size int, err error) {
	r, err := src.Open(ctx, part, nil)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for {
		b.Reset()
		err := r.Read(ctx, b)
		if err != nil && !errors.Is(err, io.EOF) {
			return docs, size, err
		}
		docs += len(b.Records)
		for i := range b.Records {
			size += len(b.Records[i].Body)
		}
		if err != nil {
			return docs, size, nil
		}
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakKB is VmHWM of /proc/self/status.
func peakKB() (string, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmHWM:" {
			return f[1], nil
		}
	}
	return "", errors.New("no VmHWM in /proc/self/status")
}

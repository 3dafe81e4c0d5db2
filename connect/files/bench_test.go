package files

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// readAll reads what a source that reads once has, and gives how many records there were.
func readAll(b *testing.B, c Config) int {
	b.Helper()
	s, err := New(c, Options{})
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	done := make(chan struct{})
	err = s.Run(b.Context(), func(st stream.Stream) {
		go func() {
			defer close(done)
			var batch flow.Batch
			for {
				if err := st.Wait(b.Context()); err != nil {
					if !errors.Is(err, io.EOF) {
						b.Error(err)
					}
					break
				}
				batch.Reset()
				if err := st.Read(b.Context(), &batch); err != nil {
					b.Error(err)
				}
				n += len(batch.Records)
				if err := st.Ack(b.Context(), batch.Next); err != nil {
					b.Error(err)
				}
			}
			if err := st.Close(); err != nil {
				b.Error(err)
			}
		}()
	})
	<-done
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// BenchmarkReadFile cuts a big file in the page cache into lines, and, to compare with, only counts its line feeds as wc -l
// does.
func BenchmarkReadFile(b *testing.B) {
	const size = 512 << 20
	for _, length := range []int{100, 300} {
		p := filepath.Join(b.TempDir(), "big.log")
		l := strings.Repeat("x", length-1) + "\n"
		block := strings.Repeat(l, (1<<20)/length)
		f, err := os.Create(p)
		if err != nil {
			b.Fatal(err)
		}
		written := 0
		for written < size {
			n, err := f.WriteString(block)
			if err != nil {
				b.Fatal(err)
			}
			written += n
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("lines/%dB", length), func(b *testing.B) {
			b.SetBytes(int64(written))
			b.ReportAllocs()
			for b.Loop() {
				if n := readAll(b, Config{Paths: []string{p}, Mode: Read, Once: true, ScanInterval: time.Millisecond}); n != written/length {
					b.Fatalf("%d lines, want %d", n, written/length)
				}
			}
		})
		b.Run(fmt.Sprintf("count/%dB", length), func(b *testing.B) {
			b.SetBytes(int64(written))
			room := make([]byte, blockBytes)
			for b.Loop() {
				f, err := os.Open(p)
				if err != nil {
					b.Fatal(err)
				}
				n := 0
				for {
					got, err := f.Read(room)
					n += bytes.Count(room[:got], []byte("\n"))
					if err != nil {
						break
					}
				}
				if err := f.Close(); err != nil || n != written/length {
					b.Fatal(n, err)
				}
			}
		})
	}
}

// BenchmarkScan asks ten thousand files that do not grow for their state, and looks for new ones among them.
func BenchmarkScan(b *testing.B) {
	const n = 10_000
	dir := b.TempDir()
	for i := range n {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05d.log", i)), []byte(fmt.Sprintf("line of %d\n", i)), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	s, err := New(Config{Paths: []string{filepath.Join(dir, "*.log")}, StartAt: End}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s.restore(nil, true)
	s.discover(time.Now())
	s.born = true
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.Run("poll", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.poll(time.Now())
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/file")
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "heap-B/file")
	})
	b.Run("discover", func(b *testing.B) {
		for b.Loop() {
			s.discover(time.Now())
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/file")
	})
}

// BenchmarkSave saves the positions of ten thousand files that have all grown.
func BenchmarkSave(b *testing.B) {
	r := NewRegistryFile(filepath.Join(b.TempDir(), "registry"), nil)
	if _, _, err := r.Load(); err != nil {
		b.Fatal(err)
	}
	var all []Entry
	for i := range uint64(10_000) {
		all = append(all, entry(i+1, fmt.Sprintf("/var/log/pods/some-namespace_some-pod_%d/container/0.log", i), 0))
	}
	for b.Loop() {
		for i := range all {
			all[i].Offset++
		}
		if err := r.Save(all, nil); err != nil {
			b.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		b.Fatal(err)
	}
}

package joda

import (
	"testing"
	"time"
)

func TestAnAccessLogDateIsReadAndPrinted(t *testing.T) {
	f, err := Compile("dd/MMM/yyyy:HH:mm:ss Z", Options{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.Parse([]byte("10/Oct/2015:13:55:36 -0700"))
	if err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2015, 10, 10, 20, 55, 36, 0, time.UTC); !got.Equal(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := string(f.Append(nil, got)), "10/Oct/2015:20:55:36 +0000"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

func BenchmarkParse(b *testing.B) {
	for _, c := range []struct{ pattern, text string }{
		{"dd/MMM/yyyy:HH:mm:ss Z", "10/Oct/2015:13:55:36 -0700"},
		{"yyyy-MM-dd HH:mm:ss.SSS", "2015-10-10 13:55:36.123"},
		{"MMM dd HH:mm:ss", "Oct 10 13:55:36"},
		{"ISO8601", "2015-10-10T13:55:36.123Z"},
		{"UNIX", "1447163736.123"},
	} {
		b.Run(c.pattern, func(b *testing.B) {
			p, err := NewParser(c.pattern, Options{})
			if err != nil {
				b.Fatal(err)
			}
			text := []byte(c.text)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Parse(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, pattern := range []string{"dd/MMM/yyyy:HH:mm:ss Z", "yyyy.MM.dd", "yyyy-MM-dd'T'HH:mm:ss.SSSZZ"} {
		b.Run(pattern, func(b *testing.B) {
			f, err := Compile(pattern, Options{})
			if err != nil {
				b.Fatal(err)
			}
			at := time.Date(2015, 10, 10, 20, 55, 36, 123e6, time.UTC)
			var buf [64]byte
			b.ReportAllocs()
			for b.Loop() {
				f.Append(buf[:0], at)
			}
		})
	}
}

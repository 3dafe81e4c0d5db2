package joda

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestATimeThatIsPrintedWithAllItsFieldsIsReadBack(t *testing.T) {
	patterns := []string{
		"yyyy-MM-dd HH:mm:ss.SSSZ", "dd/MMM/YYYY:HH:mm:ss.SSS ZZ", "EEEE, d MMMM y G hh:mm:ss.SSS a Z",
		"xxxx-'W'ww-e kk:mm:ss,SSS Z", "yyyy-DDD'T'KK.mm.ss.SSS a ZZ", "yyyyMMddHHmmssSSSZ", "EEE MMM dd HH:mm:ss.SSS ZZZ yyyy",
	}
	locales := []string{"", "de", "fr", "es", "it", "pt", "nl", "pl", "cs", "ru", "sv", "da", "nb", "fi", "tr", "ja", "ko", "zh", "xx"}
	rapid.Check(t, func(t *rapid.T) {
		f, err := Compile(rapid.SampledFrom(patterns).Draw(t, "pattern"), Options{Locale: rapid.SampledFrom(locales).Draw(t, "locale")})
		if err != nil {
			t.Fatal(err)
		}
		at := time.UnixMilli(rapid.Int64Range(-30_000_000_000_000, 253402300799999).Draw(t, "millis")).UTC()
		text := f.Append(nil, at)
		got, err := f.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if !got.Equal(at) {
			t.Fatalf("%s is read as %v, want %v", text, got, at)
		}
	})
}

func TestAYearThatIsMissingIsTheOneNearTheTurnOfTheYear(t *testing.T) {
	for _, c := range []struct{ now, text, want string }{
		{"2026-01-10T12:00:00Z", "Dec 31 23:59:59", "2025-12-31T23:59:59Z"},
		{"2026-12-31T12:00:00Z", "Jan 1 00:00:01", "2027-01-01T00:00:01Z"},
		{"2026-12-31T12:00:00Z", "Feb 1 00:00:01", "2026-02-01T00:00:01Z"},
		{"2024-03-01T00:00:00Z", "Feb 29 10:00:00", "2024-02-29T10:00:00Z"},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		p, err := NewParser("MMM d HH:mm:ss", Options{Clock: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Parse([]byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		if got.Format(time.RFC3339) != c.want {
			t.Errorf("at %s %q is %s, want %s", c.now, c.text, got.Format(time.RFC3339), c.want)
		}
	}
}

func TestNumbersAreReadByUNIXAndUNIXMSOnly(t *testing.T) {
	parser := func(format string) *Parser {
		p, err := NewParser(format, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	check := func(what string, got time.Time, err error, want int64) {
		t.Helper()
		if err != nil || got.UnixMilli() != want {
			t.Errorf("%s: got %d, %v, want %d", what, got.UnixMilli(), err, want)
		}
	}
	unix, millis := parser("UNIX"), parser("UNIX_MS")
	got, err := unix.ParseInt(1000000000)
	check("int", got, err, 1000000000000)
	got, err = unix.ParseFloat(1000000000.25)
	check("float", got, err, 1000000000250)
	got, err = unix.ParseDecimal("-1.2345")
	check("decimal", got, err, -1234)
	got, err = unix.ParseDecimal("15E-1")
	check("decimal with an exponent", got, err, 1500)
	got, err = millis.ParseFloat(1.9)
	check("float milliseconds", got, err, 1)
	if _, err = unix.ParseInt(1 << 31); !errors.Is(err, ErrRange) {
		t.Errorf("2^31 seconds: %v, want %v", err, ErrRange)
	}
	if _, err = millis.ParseDecimal("2147483647001"); !errors.Is(err, ErrRange) {
		t.Errorf("milliseconds past the limit: %v, want %v", err, ErrRange)
	}
	if _, err = parser("yyyy").ParseInt(2001); !errors.Is(err, ErrKind) {
		t.Errorf("number for a pattern: %v, want %v", err, ErrKind)
	}
}

func TestALocalTimeThatIsSkippedFailsAndOneThatComesTwiceIsTheEarlier(t *testing.T) {
	zone, err := LoadZone("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewParser("yyyy-MM-dd HH:mm", Options{Zone: zone})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Parse([]byte("2021-03-28 02:30")); !errors.Is(err, ErrGap) {
		t.Errorf("skipped: %v, want %v", err, ErrGap)
	}
	got, err := p.Parse([]byte("2021-10-31 02:30"))
	if want := "2021-10-31T00:30:00Z"; err != nil || got.Format(time.RFC3339) != want {
		t.Errorf("twice: %v, %v, want %s", got, err, want)
	}
	// Also where the list of periods has ended.
	got, err = p.Parse([]byte("2150-07-01 12:00"))
	if want := "2150-07-01T10:00:00Z"; err != nil || got.Format(time.RFC3339) != want {
		t.Errorf("far future: %v, %v, want %s", got, err, want)
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range [][2]string{
		{"dd/MMM/yyyy:HH:mm:ss Z", "10/Oct/2015:13:55:36 -0700"}, {"ISO8601", "2020-W19-3T10:20,5Z"}, {"UNIX", "1.5"}, {"TAI64N", "@4000000050d506482dbdf024"},
		{"G C xx ww e 'é' ZZZ", "AD 20 20 1 1 É Europe/Paris"}, {"yy-z", "-x"}, {"MMM d", "Feb 29"}, {"'", ""}, {"yyyyyyyyyyyyyyyy", "999999999999"},
	} {
		f.Add(c[0], "de", []byte(c[1]), int64(1e12))
	}
	f.Fuzz(func(t *testing.T, pattern, locale string, text []byte, at int64) {
		o := Options{Locale: locale}
		if p, err := NewParser(pattern, o); err == nil {
			if got, err := p.Parse(text); err != nil && !got.IsZero() {
				t.Errorf("a time beside an error: %v", got)
			}
		}
		for _, when := range []time.Time{time.UnixMilli(at).UTC(), time.Unix(at%1e12, 5).In(time.FixedZone("x", int(at%86400)))} {
			if format, err := Compile(pattern, o); err == nil {
				if got := format.Append(nil, when); len(got) > 64*len(pattern)+64 {
					t.Errorf("%d bytes printed for a pattern of %d", len(got), len(pattern))
				}
			}
			if format, err := CompileJava(pattern); err == nil {
				format.Append(nil, when)
			}
		}
		_, _ = LoadZone(string(text)) // must not panic
	})
}

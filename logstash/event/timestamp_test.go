package event

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTimestampsAreRead(t *testing.T) {
	local := time.Local
	defer func() { time.Local = local }()
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Skip("no time zones here:", err)
	}
	time.Local = paris
	for _, c := range []struct{ text, want string }{
		{"2019-03-04T05:06:07Z", "2019-03-04T05:06:07.000Z"},
		{"2019-03-04T05:06:07.1Z", "2019-03-04T05:06:07.100Z"},
		{"2019-03-04T05:06:07.123456Z", "2019-03-04T05:06:07.123456Z"},
		{"2019-03-04T05:06:07.123456789Z", "2019-03-04T05:06:07.123456789Z"},
		{"2019-03-04T05:06:07.Z", "2019-03-04T05:06:07.000Z"},
		{"2019-03-04T05:06:07+02:00", "2019-03-04T03:06:07.000Z"},
		{"2019-03-04T05:06:07-0230", "2019-03-04T07:36:07.000Z"},
		{"2019-03-04T05:06:07+02", "2019-03-04T03:06:07.000Z"},
		{"2019-03-04T05:06:07+01:02:03", "2019-03-04T04:04:04.000Z"},
		{"2019-03-04T05:06Z", "2019-03-04T05:06:00.000Z"},
		{"2019-03-04t05:06:07z", "2019-03-04T05:06:07.000Z"},
		{"2019-03-04Z", "2019-03-04T00:00:00.000Z"},
		{"2019-03-04T05:06:07", "2019-03-04T04:06:07.000Z"}, // local
		{"2019-07-04", "2019-07-03T22:00:00.000Z"},
		{"2019-03-31T02:30:00", "2019-03-31T01:30:00.000Z"}, // skipped: as if there was no gap
		{"2019-10-27T02:30:00", "2019-10-27T00:30:00.000Z"}, // there twice: the earlier
		{"2019-03-04T05:06:07America/New_York", "2019-03-04T10:06:07.000Z"},
		{"2019-03-04T05:06:07UTC", "2019-03-04T05:06:07.000Z"},
		{"2019-03-04T05:06:07GMT+01:00", "2019-03-04T04:06:07.000Z"},
		{"2019-02-30T00:00:00Z", "2019-02-28T00:00:00.000Z"}, // the last day of the month
		{"2020-02-31Z", "2020-02-29T00:00:00.000Z"},
		{"2019-12-31T24:00:00Z", "2020-01-01T00:00:00.000Z"},
		{"+12019-03-04T05:06:07Z", "+12019-03-04T05:06:07.000Z"},
		{"-0001-03-04T05:06:07Z", "-0001-03-04T05:06:07.000Z"},
		{"0000-03-01T00:00:00Z", "0000-03-01T00:00:00.000Z"},
		{"1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59.999999999Z"},
	} {
		got, ok := ParseTimestamp(c.text)
		if text := string(AppendTime(nil, got)); !ok || text != c.want {
			t.Errorf("%q: %s, %t, want %s", c.text, text, ok, c.want)
		}
	}
	for _, text := range []string{"", "yesterday", "2019", "2019-03", "2019-3-4", "20190304", "2019-13-01Z", "2019-00-01Z", "2019-01-32Z", "2019-01-00Z",
		"2019-03-04 05:06:07", "2019-03-04T25:00:00Z", "2019-03-04T24:00:01Z", "2019-03-04T05:60:00Z", "2019-03-04T05:06:60Z", "2019-03-04T05", "2019-03-04T05:06:07,5Z",
		"2019-03-04T05:06:07+5", "2019-03-04T05:06:07+19:00", "2019-03-04T05:06:07+18:01", "2019-03-04T05:06:07Zx", "2019-03-04T05:06:07Nowhere", "2019-03-04T05:06:07.1234567891Z",
		"+2019-03-04Z", "12019-03-04Z", "2019-03-04T05:06:07+02:0", "2019-03-04T05:06:07+0200:00", "2019-03-04T05:06:07+", "2019-03-04TZ", "2019-03-04T05:06:07local", "2019-03-04T05:06:07../UTC"} {
		if got, ok := ParseTimestamp(text); ok {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
}

func TestTimestampsThatPrintAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-1e11, 1e12).Draw(t, "seconds"), rapid.SampledFrom([]int64{0, 1, 1000, 1e6, 999_000_000, 123_456_789}).Draw(t, "nanos")).UTC()
		text := string(AppendTime(nil, at))
		if got, ok := ParseTimestamp(text); !ok || !got.Equal(at) {
			t.Fatalf("%s prints %s, which reads %s, %t", at, text, got, ok)
		}
		if at.Year() >= 0 && at.Year() <= 9999 {
			decimals := map[bool]string{true: ".000", false: ".000000"}[at.Nanosecond()%1e6 == 0]
			if at.Nanosecond()%1000 != 0 {
				decimals = ".000000000"
			}
			if want := at.Format("2006-01-02T15:04:05" + decimals + "Z"); text != want {
				t.Fatalf("%s, want %s", text, want)
			}
		}
	})
}

func FuzzParseTimestamp(f *testing.F) {
	for _, s := range []string{"2019-03-04T05:06:07Z", "2019-03-04", "+12019-03-04T05:06:07.123+02", "2019-03-04T05:06:07Europe/Paris"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, ok := ParseTimestamp(s)
		if !ok {
			return
		}
		text := string(AppendTime(nil, at))
		if again, ok := ParseTimestamp(text); !ok || !again.Equal(at) {
			if strings.HasPrefix(text, "+1000000000") || strings.HasPrefix(text, "-1000000000") {
				return // a zone moved it behind what can be read
			}
			t.Fatalf("%q is %s, which reads %s, %t", s, text, again, ok)
		}
	})
}

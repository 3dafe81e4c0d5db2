package archive

import (
	"testing"
	"time"
)

func TestDatesAreReadByTheirFormat(t *testing.T) {
	for _, c := range []struct{ format, text, want string }{ // want "": it does not fit
		{"", "2024-02-29T12:34:56.789Z", "2024-02-29T12:34:56.789Z"},
		{"", "2024-02-29T12:34:56.789123456+09:00", "2024-02-29T03:34:56.789123456Z"},
		{"", "2024-02-29T12:34:56,5-0130", "2024-02-29T14:04:56.5Z"},
		{"", "2024-02-29T12:34+05", "2024-02-29T07:34:00Z"},
		{"", "2024-02-29T12", "2024-02-29T12:00:00Z"},
		{"", "2024-02-29", "2024-02-29T00:00:00Z"},
		{"", "2024-02", "2024-02-01T00:00:00Z"},
		{"", "2024", "2024-01-01T00:00:00Z"},
		{"", "1546300800123", "2019-01-01T00:00:00.123Z"},
		{"", "-1", "1969-12-31T23:59:59.999Z"},
		{"", "1.5", "1970-01-01T00:00:00.0015Z"},
		{"", "2023-02-29", ""},
		{"", "2024-13-01", ""},
		{"", "2024-1-1", ""},
		{"", "2024-01-01 00:00:00", ""},
		{"", "2024-01-01T24:00:00Z", ""},
		{"", "2024-01-01T00:00:00.Z", ""},
		{"", "2024-01-01T00:00:00+1", ""},
		{"", "2024-01-01Z", ""},
		{"", "", ""},
		{"", "now", ""},
		{"", "1e12", ""},
		{"epoch_second", "1546300800", "2019-01-01T00:00:00Z"},
		{"epoch_second", "1546300800.25", "2019-01-01T00:00:00.25Z"},
		{"epoch_second", "2019-01-01", ""},
		{"yyyy-MM-dd HH:mm:ss", "2019-12-31 23:59:59", "2019-12-31T23:59:59Z"},
		{"yyyy-MM-dd HH:mm:ss", "2019-12-31 23:59:59.1", ""},
		{"yyyy/MM/dd||yyyyMMdd||epoch_millis", "20191231", "2019-12-31T00:00:00Z"},
		{"yyyy/MM/dd||yyyyMMdd||epoch_millis", "2019/12/31", "2019-12-31T00:00:00Z"},
		{"8uuuu-MM-dd'T'HH:mm:ss.SSSSSSXXX", "2019-12-31T01:02:03.000004+01:00", "2019-12-31T00:02:03.000004Z"},
		{"d.M.yyyy H:mm", "1.2.2019 3:04", "2019-02-01T03:04:00Z"},
		{"strict_date_time_no_millis", "2019-12-31T01:02:03Z", "2019-12-31T01:02:03Z"},
		{"basic_date_time", "20191231T010203.004Z", "2019-12-31T01:02:03.004Z"},
		{"strict_year", "1850", "1850-01-01T00:00:00Z"},
	} {
		f, ok := parseDateFormat(c.format)
		if !ok {
			t.Errorf("format %q is not known", c.format)
			continue
		}
		got, ok := f.parse([]byte(c.text))
		if ok != (c.want != "") || ok && got.Format(time.RFC3339Nano) != c.want {
			t.Errorf("%q by %q is %v, %v; want %q", c.text, c.format, got.Format(time.RFC3339Nano), ok, c.want)
		}
	}
}

func TestFormatsThatAreNotKnownAreToldApart(t *testing.T) {
	for _, format := range []string{
		"EEE MMM dd HH:mm:ss Z yyyy", "yyyy-DDD", "week_date", "YYYY-MM-dd", "yy-MM-dd", "yyyy-MM-dd hh:mm a", "epoch_millis||nonsense",
		"yyyy-MM-dd yyyy", "HH:mm", "yyyy'open", "yyyy[-MM]", "||", "yyyy''MM",
	} {
		if _, ok := parseDateFormat(format); ok {
			t.Errorf("format %q is taken as known", format)
		}
	}
}

func FuzzParseDate(f *testing.F) {
	f.Add("", "2024-02-29T12:34:56.789+01:00")
	f.Add("epoch_second", "-1546300800.123")
	f.Add("yyyy-MM-dd'T'HH:mm:ss.SSSZ", "2019-12-31T01:02:03.004+0000")
	f.Fuzz(func(t *testing.T, format, text string) {
		dates, ok := parseDateFormat(format)
		if !ok {
			return
		}
		got, ok := dates.parse([]byte(text))
		if want, err := time.Parse(time.RFC3339Nano, text); err == nil && format == "" && len(text) < 36 {
			// What is an RFC 3339 time is that time, but for what only the one or the other allows.
			if ok && !got.Equal(want) {
				t.Fatalf("%q is %v, want %v", text, got, want)
			}
		}
	})
}

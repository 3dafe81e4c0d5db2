package joda

import (
	"testing"
	"time"
)

func TestDayNumbersAndDatesAreThoseOfTheTimePackage(t *testing.T) {
	check := func(days int64) {
		at := time.Unix(days*86400, 0).UTC()
		y, m, d := civil(days)
		if y != int64(at.Year()) || m != int(at.Month()) || d != at.Day() {
			t.Fatalf("day %d is %d-%d-%d, want %s", days, y, m, d, at.Format(time.DateOnly))
		}
		if got := dayNumber(y, m, d); got != days {
			t.Fatalf("%d-%d-%d is day %d, want %d", y, m, d, got, days)
		}
		if year, week := at.ISOWeek(); true {
			if gotYear, gotWeek := isoWeek(days); gotYear != int64(year) || gotWeek != int64(week) {
				t.Fatalf("day %d is in week %d of %d, want %d of %d", days, gotWeek, gotYear, week, year)
			}
		}
	}
	for days := int64(-750_000); days < 200_000; days++ {
		check(days)
	}
	for days := int64(-100_000_000); days < 400_000_000; days += 99_991 {
		check(days)
	}
	for days := int64(1<<30 - 719468 - 400); days < 1<<30-719468+400; days++ {
		check(days)
	}
}

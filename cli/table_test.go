package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func namesTable() *table {
	t := &table{columns: []column{
		{title: "INDEX", shrink: true}, {title: "DOCUMENTS", right: true},
		{title: "DEAD", right: true, optional: true}, {title: "STATE"},
	}}
	t.row("logs-2024.01.01-000001-of-a-rather-long-name", "1,234", "0", "done")
	t.row("한국어-색인", "5", "0", "failed")
	return t
}

func TestATableLinesUpWideLettersAndLeavesEmptyColumnsOut(t *testing.T) {
	var b bytes.Buffer
	if err := namesTable().write(&b, 0); err != nil {
		t.Fatal(err)
	}
	want := `INDEX                                         DOCUMENTS  STATE
logs-2024.01.01-000001-of-a-rather-long-name      1,234  done
한국어-색인                                           5  failed
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestATableFitsItsWidth(t *testing.T) {
	for _, width := range []int{40, 50, 60} {
		var b bytes.Buffer
		if err := namesTable().write(&b, width); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if n := cellWidth(strings.TrimSuffix(line, "\n")); n > width {
				t.Errorf("width %d: a line of %d columns: %s", width, n, line)
			}
		}
		if !strings.Contains(b.String(), "…") {
			t.Errorf("width %d: nothing was cut:\n%s", width, b.String())
		}
	}
}

func TestALongTableShowsTroubleFirstAndThenTheHeaviest(t *testing.T) {
	weights := []int64{5, 1, 9, 2, 8}
	got := some(5, 3, func(i int) bool { return i == 1 }, func(i int) int64 { return weights[i] })
	if diff := cmp.Diff([]int{1, 2, 4}, got); diff != "" {
		t.Error(diff)
	}
	if got := some(5, 0, nil, nil); len(got) != 5 {
		t.Errorf("without a limit %d of 5 rows are shown", len(got))
	}
}

func TestNumbersAreWrittenForPeople(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -999: "-999"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) = %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 12_345: "12 kB", 999_499: "999 kB", 999_999: "1.0 MB", 5_300_000_000: "5.3 GB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int64]string{1: "1 index", 2: "2 indices", 1000: "1,000 indices"} {
		if got := plural(n, "index"); got != want {
			t.Errorf("plural(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestForeignNamesCannotWriteToTheTerminal(t *testing.T) {
	if got := printable("a\x1b[2Jb\nc"); strings.ContainsAny(got, "\x1b\n") {
		t.Errorf("%q", got)
	}
	if got := printable("한국어 🙂"); got != "한국어 🙂" {
		t.Errorf("%q", got)
	}
}

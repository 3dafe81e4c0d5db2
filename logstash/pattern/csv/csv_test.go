package csv

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/logstash/event"
)

// rowOf shows texts and nulls.
func rowOf(values []event.Value) []any {
	row := make([]any, len(values))
	for i, v := range values {
		if !v.Nil() {
			row[i] = v.Str()
		}
	}
	return row
}

func TestOneLineOfManyIsReadOnce(t *testing.T) {
	rows, err := Read(NewFormat(",", `"`), strings.Repeat("a,b\n", 3))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for {
		_, ok, err := rows.Next(nil)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		n++
	}
	if n != 3 {
		t.Errorf("%d rows", n)
	}
}

// What CSV.generate_line of the JRuby of Logstash 8.19 writes.
func TestRowsAreWrittenAsRubyWritesThem(t *testing.T) {
	null, text := event.NullValue, event.StringValue
	for _, c := range []struct {
		separator, quote string
		row              []event.Value
		want             string
	}{
		{",", `"`, []event.Value{null, text(""), text(" a"), text("a\tb"), text("=1"), text("é, ")}, ",\"\", a,a\tb,=1,\"é, \"\n"},
		{",", `"`, []event.Value{text(`a"b`), text("a,b"), text("a\nb"), text("a\rb")}, "\"a\"\"b\",\"a,b\",\"a\nb\",\"a\rb\"\n"},
		{",", `"`, nil, "\n"},
		{",", `"`, []event.Value{null}, "\n"},
		{",", `"`, []event.Value{null, null}, ",\n"},
		{"||", "'", []event.Value{text("a||b"), text("|a"), text("b")}, "'a||b'||'|a'||b\n"},
		{"|", "'", []event.Value{text("a'b"), text("|a"), text("a|")}, "'a''b'|'|a'|'a|'\n"},
		{"|", `\x00`, []event.Value{text("a\x00b"), text("|a")}, "\x00a\x00\x00b\x00|\x00|a\x00\n"},
		{"ab", `"`, []event.Value{text("xab"), text("a"), text(" ")}, "\"xab\"ab\"a\"ab \n"},
		{"]", `"`, []event.Value{text("x-y"), text("^"), text("]")}, "x-y]^]\"]\"\n"},
	} {
		if got := string(NewFormat(c.separator, c.quote).Append([]byte("<"), c.row, nil)); got != "<"+c.want {
			t.Errorf("%v with %q and %q: %q, not %q", rowOf(c.row), c.separator, c.quote, got, c.want)
		}
	}
}

func TestAFormatNeedsASeparatorAndOneQuote(t *testing.T) {
	for _, f := range []Format{{"", `"`}, {",", ""}, {",", "''"}} {
		if f.Check() == nil {
			t.Errorf("%q can be used", f)
		}
	}
	if err := NewFormat("||", `\x00`).Check(); err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBeConvertedStaysAText(t *testing.T) {
	for _, c := range []struct{ kind, in, want string }{
		{"integer", "0x1f", `31`}, {"integer", "1.5", `"1.5"`}, {"float", " 1e3 ", `1000.0`}, {"float", "x", `"x"`},
		{"boolean", " TRUE ", `true`}, {"boolean", "False", `false`}, {"boolean", " Maybe İ", `"maybe i̇"`},
		{"date_time", "2020-01-02 03:04:05", `"2020-01-02T03:04:05.000Z"`}, {"date", "soon", `"soon"`},
	} {
		if got := string(event.AppendJSON(nil, NewConverter(c.kind)(c.in))); got != c.want {
			t.Errorf("%q as %s: %s, not %s", c.in, c.kind, got, c.want)
		}
	}
	if NewConverter("complex") != nil {
		t.Error("there is no such type")
	}
}

// What is written as CSV is read as the same.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{"a,b", "\"a,\"\"b\",c\n", "a\r\nb", "x\"y", ",,", "\"", "ä;ö"} {
		f.Add(s, ",", `"`)
	}
	f.Add("a||b|c||'d'", "||", "'")
	f.Fuzz(func(t *testing.T, in, separator, quote string) {
		format := NewFormat(separator, quote)
		if format.Check() != nil || !utf8.ValidString(separator) || !utf8.ValidString(quote) {
			return
		}
		rows, err := Read(format, in)
		if err != nil {
			return
		}
		for range len(in) + 2 {
			row, ok, err := rows.Next(nil)
			if err != nil || !ok {
				return
			}
			checkRow(t, format, row)
		}
		t.Fatalf("%q has more rows than bytes", in)
	})
}

func checkRow(t *testing.T, format Format, row []event.Value) {
	t.Helper()
	if strings.ContainsAny(format.Separator+format.Quote, "\r\n") || strings.Contains(format.Separator, format.Quote) {
		return
	}
	again, err := Read(format, string(format.Append(nil, row, nil)))
	if err != nil {
		t.Fatal(err)
	}
	read, ok, err := again.Next(nil)
	if err != nil || !ok && len(row) > 1 {
		t.Fatalf("%q: %v", again.text, err)
	}
	if d := cmp.Diff(rowOf(row), rowOf(read)); d != "" && ok && again.end == "\n" {
		t.Fatalf("%q: (-want +got)\n%s", again.text, d)
	}
}

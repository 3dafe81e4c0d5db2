package filter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/pattern/csv"
)

// CSV cuts a line of comma-separated values into fields. Values are texts, or null where there is nothing between two
// separators. Quotes stand around whole values, and are doubled inside of them; other quotes are a failure.
//
// A field that is missing, null or false is passed over; an empty one is a failure. A name of a column that begins with a
// bracket is a reference to a field inside of others.
//
// Source: logstash-filter-csv 3.1, Ruby's csv 3.2.
//
// Differences:
//   - a source that is no field reference is an error of the configuration; Logstash finds it with the first event;
//   - with autodetect_column_names an empty text is dropped and the next one has the names; Logstash fails from then on;
//   - with several workers the columns of autodetect_column_names are those of the first line for all workers;
//   - convert to date and date_time knows English names of months; what else Ruby's parser can read stays a text.
type CSV struct {
	option.Common
	Source                  *event.Ref  `ls:"source" default:"message" doc:"the field that has the line"`
	Columns                 []string    `ls:"columns" doc:"the names of the columns; those that are not named here are column1, column2 and so on"`
	Separator               string      `ls:"separator" default:"," doc:"what stands between values; it may be several characters"`
	QuoteChar               string      `ls:"quote_char" default:"\"" doc:"what stands around values; \\x00 for none"`
	Target                  *event.Ref  `ls:"target" doc:"the field that gets the columns as a map; the root of the event if there is none"`
	AutogenerateColumnNames bool        `ls:"autogenerate_column_names" default:"true" doc:"whether values without a column's name get a name; they are left out otherwise"`
	SkipHeader              bool        `ls:"skip_header" default:"false" doc:"whether a line that is equal to columns is dropped"`
	SkipEmptyColumns        bool        `ls:"skip_empty_columns" default:"false" doc:"whether empty values are left out"`
	SkipEmptyRows           bool        `ls:"skip_empty_rows" default:"false" doc:"whether an empty text gets the tag _csvskippedemptyfield instead of _csvparsefailure"`
	Convert                 option.Hash `ls:"convert" doc:"which column becomes which type: integer, float, date, date_time or boolean; what cannot be converted stays a text"`
	AutodetectColumnNames   bool        `ls:"autodetect_column_names" default:"false" doc:"whether the first line, which is dropped, has the columns' names"`
	ECS                     string      `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"has no effect: the fields are the columns"`
}

type csvFilter struct {
	*CSV
	where   string
	style   event.EscapeStyle
	format  csv.Format
	bad     error // why no line can be read
	target  string
	columns *csvColumns
	// Each worker has its own.
	row       []event.Value
	automatic []csvColumn // columns without a name, by their place
}

// csvColumns are the names that all workers share.
type csvColumns struct {
	mu    sync.Mutex // held by who detects the columns
	named atomic.Pointer[[]csvColumn]
}

// A csvColumn is where a column's values go.
type csvColumn struct {
	name    string
	known   bool // false: there is nothing in the line that names the columns
	ref     *event.Ref
	err     error // why there is no ref
	convert csv.Converter
	boolean bool
}

// Setup implements Plugin.
func (c *CSV) Setup(s *Setup) (Filter, error) {
	f := &csvFilter{CSV: c, where: s.Where, style: s.Style, format: csv.NewFormat(c.Separator, c.QuoteChar), columns: &csvColumns{}}
	if f.bad = f.format.Check(); f.bad != nil {
		s.Log.Warn("csv can read no line", "filter", s.Where, "error", f.bad)
	}
	var problems []error
	for _, p := range c.Convert {
		if kind := option.Text(p.Value); csv.NewConverter(kind) == nil {
			problems = append(problems, option.Errorf("convert", "invalid type %q of %s: expected %s", kind, p.Key, csv.Kinds))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if c.Target != nil {
		f.target = c.Target.Source()
		if !strings.HasPrefix(f.target, "[") {
			f.target = "[" + f.target + "]"
		}
	}
	var named []csvColumn
	for _, name := range c.Columns {
		named = append(named, f.column(name))
	}
	f.columns.named.Store(&named)
	return f, nil
}

// column makes a column of its name.
func (f *csvFilter) column(name string) csvColumn {
	c := csvColumn{name: name, known: true}
	path := name
	if !strings.HasPrefix(name, "[") {
		path = "[" + name + "]"
	}
	c.ref, c.err = f.style.Parse(f.target + path)
	if kind, ok := f.Convert.Get(name); ok {
		c.convert = csv.NewConverter(option.Text(kind))
		c.boolean = option.Text(kind) == "boolean"
	}
	return c
}

// Fork implements Forker.
func (f *csvFilter) Fork() Filter {
	own := *f
	own.row, own.automatic = nil, nil
	return &own
}

// Filter implements Filter.
func (f *csvFilter) Filter(x *Context, e *event.Event) {
	source := e.Get(f.Source)
	if source.Nil() || source.Kind() == event.Bool && !source.Bool() {
		return
	}
	if err := f.read(e, source); err != nil {
		x.Log.Warn("csv cannot read a line", "filter", f.where, "source", f.Source.String(), "error", err)
		e.Tag("_csvparsefailure")
	}
}

var (
	errCSVSource = errors.New("csv: the source is no text")
	errCSVEmpty  = errors.New("csv: the text is empty")
)

func (f *csvFilter) read(e *event.Event, source event.Value) error {
	switch {
	case f.bad != nil:
		return f.bad
	case source.Kind() != event.String:
		return errCSVSource
	}
	rows, err := csv.Read(f.format, source.Str())
	if err != nil {
		return err
	}
	row, ok, err := rows.Next(f.row[:0])
	f.row = row[:0]
	if err != nil {
		return err
	}
	columns := *f.columns.named.Load()
	if f.AutodetectColumnNames && len(columns) == 0 {
		if columns = f.detect(row); columns == nil {
			e.Cancel()
			return nil
		}
	}
	if f.SkipHeader && len(columns) > 0 && ok && slices.EqualFunc(columns, row, isHeader) {
		e.Cancel()
		return nil
	}
	if !ok {
		if f.SkipEmptyRows {
			e.Tag("_csvskippedemptyfield")
			return nil
		}
		return errCSVEmpty
	}
	for i, v := range row {
		if f.SkipEmptyColumns && v.Str() == "" {
			continue
		}
		if i < len(columns) && columns[i].known {
			err = columns[i].set(e, v)
		} else if f.AutogenerateColumnNames {
			err = f.automaticColumn(i).set(e, v)
		}
		if err != nil {
			return err
		}
	}
	return f.Matched(e)
}

// detect makes columns of a row, unless another worker has done that: it gives them then.
func (f *csvFilter) detect(row []event.Value) []csvColumn {
	f.columns.mu.Lock()
	defer f.columns.mu.Unlock()
	if columns := *f.columns.named.Load(); len(columns) > 0 {
		return columns
	}
	columns := make([]csvColumn, len(row))
	for i, v := range row {
		if !v.Nil() {
			columns[i] = f.column(strings.Clone(v.Str()))
		}
	}
	f.columns.named.Store(&columns)
	return nil
}

func isHeader(c csvColumn, v event.Value) bool {
	return c.known && v.Kind() == event.String && c.name == v.Str() || !c.known && v.Nil()
}

// automaticColumn gives the column at a place that has no name.
func (f *csvFilter) automaticColumn(i int) *csvColumn {
	for len(f.automatic) <= i {
		f.automatic = append(f.automatic, f.column(fmt.Sprintf("column%d", len(f.automatic)+1)))
	}
	return &f.automatic[i]
}

// set sets the field of a column.
func (c *csvColumn) set(e *event.Event, v event.Value) error {
	switch {
	case c.err != nil:
		return c.err
	case c.boolean && v.Nil():
		return fmt.Errorf("csv: column %s is empty and cannot be a boolean", c.name)
	case c.convert != nil && !v.Nil():
		v = c.convert(v.Str())
	}
	return e.Set(c.ref, v)
}

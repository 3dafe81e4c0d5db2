package codec

import (
	"errors"
	"strconv"
	"strings"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/pattern/csv"
)

// CSV takes the first row of a message, with values between separators, for the fields of an event, and writes events as such
// rows. What is no row becomes the message of an event with the tag _csvparsefailure.
//
// Values are texts, or null where there is nothing between two separators. Written values are in quotes where they must be; a
// field that is not there is written as nothing, lists and maps as Ruby inspects them. What a spreadsheet takes for a formula is
// written as it is.
//
// Source: csv.rb of logstash-codec-csv 1.1, Ruby's csv 3.2.
//
// Differences:
//   - a stream is cut into lines, and each line is a row; the original takes the first line of what it happens to read at
//     a time and loses the others. A value in quotes cannot have a line end in a stream;
//   - an empty message, an empty value that should become a boolean, and a column @metadata get the tag _csvparsefailure; the
//     original's input fails. With autodetect_column_names an empty message is not the names of columns;
//   - a separator or quote that cannot be used is an error of the configuration; the original's input or output fails;
//   - convert to date and date_time knows English names of months; what else Ruby's parser can read stays a text;
//   - without columns the fields are written in the order in which they were set; the original's order is that of a hash
//     table;
//   - a decimal number that a filter set is written as 1.5; the original writes 0.15e1;
//   - a column that is no field reference is written as nothing; the original's output fails.
type CSV struct {
	common
	Columns                 []string    `ls:"columns" doc:"the names of the columns, those without one are column1, column2 and so on; for outputs, which fields are written"`
	Separator               string      `ls:"separator" default:"," doc:"what stands between values; it may be several characters"`
	QuoteChar               string      `ls:"quote_char" default:"\"" doc:"what stands around values; \\x00 for none"`
	IncludeHeaders          bool        `ls:"include_headers" default:"false" doc:"whether an output writes the names of columns before the first event; there is only one worker then"`
	AutogenerateColumnNames bool        `ls:"autogenerate_column_names" default:"true" doc:"whether values without a column's name get a name; they are left out otherwise"`
	AutodetectColumnNames   bool        `ls:"autodetect_column_names" default:"false" doc:"whether the first message has the columns' names, if columns has none; there is only one worker then"`
	SkipEmptyColumns        bool        `ls:"skip_empty_columns" default:"false" doc:"whether empty values are left out"`
	Convert                 option.Hash `ls:"convert" doc:"which column becomes which type: integer, float, date, date_time or boolean; what cannot be converted stays a text"`
	Charset                 string      `ls:"charset" default:"UTF-8" doc:"what the bytes of messages mean"`
	Target                  *event.Ref  `ls:"target" doc:"the field that gets the columns as a map; without it, they are the event's fields"`
	ECSCompatibility        string      `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"whether event.original is set (v1, v8); that of the pipeline if not given"`
}

// csvCodec is the codec of one stream.
type csvCodec struct {
	*CSV
	charset   *charset
	format    csv.Format
	delimiter string
	original  *event.Ref   // nil: it is not set
	fields    []*event.Ref // what is written for each of Columns; nil for what is no reference

	columns   []csvColumn // those with names
	automatic []csvColumn // those without, by their place
	headed    bool        // the header is written
	row       []event.Value
}

// A csvColumn is what becomes of a column's values.
type csvColumn struct {
	name    string
	known   bool // false: the line with the names has nothing here
	convert csv.Converter
	boolean bool
}

// Setup implements Plugin.
func (c *CSV) Setup(s *Setup) (Codec, error) {
	own := &csvCodec{CSV: c, format: csv.NewFormat(c.Separator, c.QuoteChar)}
	var err error
	if own.charset, err = charsetOf(c.Charset); err != nil {
		return nil, err
	}
	var problems []error
	if err := own.format.Check(); err != nil {
		name := "quote_char"
		if c.Separator == "" {
			name = "separator"
		}
		problems = append(problems, option.Errorf(name, "%w", err))
	}
	for _, p := range c.Convert {
		if kind := option.Text(p.Value); csv.NewConverter(kind) == nil {
			problems = append(problems, option.Errorf("convert", "invalid type %q of %s: expected %s", kind, p.Key, csv.Kinds))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	ecs := c.ECSCompatibility
	if ecs == "" {
		ecs = s.ECS
	}
	if ecs != "" && ecs != "disabled" {
		if own.original, err = event.ParseRef("[event][original]"); err != nil {
			return nil, err
		}
	}
	if s.Stream {
		own.delimiter = "\n"
	}
	for _, name := range c.Columns {
		own.columns = append(own.columns, own.column(name))
		field, err := s.Style.Parse(name)
		if err != nil {
			field = nil // it may be decoded, nevertheless
		}
		own.fields = append(own.fields, field)
	}
	return own, nil
}

// column makes a column of its name.
func (c *csvCodec) column(name string) csvColumn {
	made := csvColumn{name: name, known: true}
	if v, ok := c.Convert.Get(name); ok {
		kind := option.Text(v)
		made.convert, made.boolean = csv.NewConverter(kind), kind == "boolean"
	}
	return made
}

// Fork implements Forker: each stream has names of its own, if they are detected, and a header.
func (c *csvCodec) Fork() Codec {
	own := *c
	own.automatic, own.row, own.headed = nil, nil, false
	if len(c.Columns) == 0 {
		own.columns = nil
	}
	return &own
}

// Alone implements Ordered: the first message or event is not as the others.
func (c *csvCodec) Alone() bool {
	return c.IncludeHeaders || c.AutodetectColumnNames && len(c.Columns) == 0
}

// Delimiter implements Decoder.
func (c *csvCodec) Delimiter() string { return c.delimiter }

var (
	errCSVEmpty    = errors.New("csv: the message is empty")
	errCSVBoolean  = errors.New("csv: an empty value cannot be a boolean")
	errCSVMetadata = errors.New("csv: a column cannot be @metadata")
)

// Decode implements Decoder.
func (c *csvCodec) Decode(x *Context, message []byte) {
	text := c.charset.text(message)
	row, err := c.first(text)
	if err == nil && c.AutodetectColumnNames && len(c.columns) == 0 {
		c.detect(row)
		return
	}
	if err == nil {
		err = c.emit(x, text, row)
	}
	if err != nil {
		x.Log.Warn("this is no row of CSV and becomes the event's message", "error", err)
		failed(x, text, "_csvparsefailure")
	}
}

// first reads the first row of a message. It is valid until the next one is read.
func (c *csvCodec) first(text string) ([]event.Value, error) {
	rows, err := csv.Read(c.format, text)
	if err != nil {
		return nil, err
	}
	row, ok, err := rows.Next(c.row[:0])
	c.row = row[:0]
	if err == nil && !ok {
		err = errCSVEmpty
	}
	return row, err
}

// detect takes a row for the names of columns.
func (c *csvCodec) detect(row []event.Value) {
	for _, v := range row {
		column := csvColumn{}
		if !v.Nil() {
			column = c.column(strings.Clone(v.Str()))
		}
		c.columns = append(c.columns, column)
	}
}

// emit makes an event of a row.
func (c *csvCodec) emit(x *Context, text string, row []event.Value) error {
	e := x.New()
	fields, decoded := e.Fields(), event.NullValue
	if c.Target != nil {
		decoded = event.MapValue()
		fields = decoded.Map()
	}
	for i, v := range row {
		if c.SkipEmptyColumns && v.Str() == "" {
			continue
		}
		var column *csvColumn
		switch {
		case i < len(c.columns) && c.columns[i].known:
			column = &c.columns[i]
		case c.AutogenerateColumnNames:
			column = c.automaticColumn(i)
		default:
			continue
		}
		switch {
		case v.Nil() && column.boolean:
			return errCSVBoolean
		case !v.Nil() && column.convert != nil:
			v = column.convert(v.Str())
		}
		fields.Set(column.name, v)
	}
	if c.Target != nil {
		into(x, e, c.Target, decoded)
	} else {
		if badMetadata(fields) {
			return errCSVMetadata
		}
		e.Complete(x.Now)
	}
	if c.original != nil {
		if err := e.Set(c.original, event.StringValue(text)); err != nil {
			x.Log.Warn("a column is in the way of event.original, which is not set", "error", err)
		}
	}
	x.Emit(e)
	return nil
}

// automaticColumn gives the column at a place that has no name.
func (c *csvCodec) automaticColumn(i int) *csvColumn {
	for len(c.automatic) <= i {
		c.automatic = append(c.automatic, c.column("column"+strconv.Itoa(len(c.automatic)+1)))
	}
	return &c.automatic[i]
}

// Encode implements Encoder.
func (c *csvCodec) Encode(dst []byte, e *event.Event) []byte {
	if c.IncludeHeaders && !c.headed {
		c.headed = true
		row := c.row[:0]
		for _, name := range c.Columns {
			row = append(row, event.StringValue(name))
		}
		if len(c.Columns) == 0 {
			for _, f := range e.Fields().Entries() {
				row = append(row, event.StringValue(f.Key))
			}
		}
		dst = c.format.Append(dst, row, appendRuby)
		c.row = row[:0]
	}
	row := c.row[:0]
	for _, ref := range c.fields {
		v := event.NullValue
		if ref != nil {
			v = e.Get(ref)
		}
		row = append(row, v)
	}
	if len(c.Columns) == 0 {
		for _, f := range e.Fields().Entries() {
			row = append(row, f.Value)
		}
	}
	dst = c.format.Append(dst, row, appendRuby)
	clear(row) // of values of the event
	c.row = row[:0]
	return dst
}

// appendRuby appends a value as to_s of Ruby; what is inside of lists and maps as inspect.
func appendRuby(dst []byte, v event.Value) []byte {
	switch v.Kind() {
	case event.Float:
		return append(dst, option.Text(v.Float())...)
	case event.List:
		dst = append(dst, '[')
		for i, inner := range v.List() {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = appendRubyInside(dst, inner)
		}
		return append(dst, ']')
	case event.Map:
		dst = append(dst, '{')
		for i, f := range v.Map().Entries() {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = append(appendInspect(dst, f.Key), "=>"...)
			dst = appendRubyInside(dst, f.Value)
		}
		return append(dst, '}')
	default:
		return v.AppendText(dst)
	}
}

func appendRubyInside(dst []byte, v event.Value) []byte {
	switch v.Kind() {
	case event.String:
		return appendInspect(dst, v.Str())
	case event.Null, event.Absent:
		return append(dst, "nil"...)
	default:
		return appendRuby(dst, v)
	}
}

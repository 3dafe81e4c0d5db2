// Package csv reads and writes rows of comma-separated values as Ruby's CSV does, and converts their values.
//
// Source: lib/csv/parser.rb, lib/csv/writer.rb and the converters of Ruby's csv 3.2.
package csv

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/narudata/naru/logstash/event"
)

// A Format is what separates and quotes values.
type Format struct {
	Separator string // of values: at least one character
	Quote     string // one character
}

// NewFormat is the format of two options of Logstash: the quote \x00, as it is written there, is the byte of zero.
func NewFormat(separator, quote string) Format {
	if quote == `\x00` {
		quote = "\x00"
	}
	return Format{separator, quote}
}

// Check says why a format cannot be used.
func (f Format) Check() error {
	switch {
	case f.Separator == "":
		return errors.New("the separator is empty")
	case utf8.RuneCountInString(f.Quote) != 1:
		return fmt.Errorf("the quote must be one character, not %q", f.Quote)
	}
	return nil
}

// Rows reads the rows of a text, as Ruby's CSV does: values may be quoted, a quote inside of quotes is doubled, and quotes
// may stand nowhere else. What ends a row is what ends the first line of the text.
//
// Source: lib/csv/parser.rb of Ruby's csv 3.2.
type Rows struct {
	format Format
	text   string
	at     int
	end    string // of a row
	strict bool   // the rest is read character by character
}

var errEncoding = errors.New("csv: the text is not UTF-8")

// Read begins to read a text, which must be UTF-8. The format must be one that Check takes.
func Read(f Format, text string) (Rows, error) {
	if !utf8.ValidString(text) {
		return Rows{}, errEncoding
	}
	return Rows{format: f, text: text, end: rowEnd(text)}, nil
}

// rowEnd finds what ends the rows of a text.
func rowEnd(text string) string {
	i := strings.IndexAny(text, "\r\n")
	if i < 0 || text[i] == '\n' {
		return "\n"
	}
	if strings.HasPrefix(text[i:], "\r\n") {
		return "\r\n"
	}
	return "\r"
}

// Next appends the values of the next row to dst: texts, or null for a value that is empty and without quotes. It is false at
// the end. Values are parts of the text, unless they have quotes in them.
func (c *Rows) Next(dst []event.Value) ([]event.Value, bool, error) {
	if c.at >= len(c.text) {
		return dst, false, nil
	}
	if c.strict {
		return c.strictly(dst)
	}
	line, next := c.text[c.at:], len(c.text)
	if i := strings.Index(line, c.end); i >= 0 {
		line, next = line[:i], c.at+i+len(c.end)
	}
	if row, ok := c.simply(dst, line); ok {
		c.at = next
		return row, true, nil
	}
	c.strict = true
	return c.strictly(dst)
}

// simply cuts a line in which quotes stand around whole values only; false if it is not so simple.
func (c *Rows) simply(dst []event.Value, line string) ([]event.Value, bool) {
	if line == "" {
		return dst, true
	}
	if strings.ContainsAny(line, "\r\n") {
		return nil, false
	}
	quoted := strings.Contains(line, c.format.Quote)
	for {
		value, rest, more := strings.Cut(line, c.format.Separator)
		switch {
		case value == "":
			dst = append(dst, event.NullValue)
		case !quoted || !strings.Contains(value, c.format.Quote):
			dst = append(dst, event.StringValue(value))
		case len(value) >= 2*len(c.format.Quote) && strings.HasPrefix(value, c.format.Quote) && strings.HasSuffix(value, c.format.Quote) && strings.Count(value, c.format.Quote) == 2:
			dst = append(dst, event.StringValue(value[len(c.format.Quote):len(value)-len(c.format.Quote)]))
		default:
			return nil, false
		}
		if !more {
			return dst, true
		}
		line = rest
	}
}

// strictly reads a row character by character.
func (c *Rows) strictly(dst []event.Value) ([]event.Value, bool, error) {
	start := len(dst)
	for {
		quoted := strings.HasPrefix(c.text[c.at:], c.format.Quote)
		value := event.NullValue
		if quoted {
			s, err := c.quoted()
			if err != nil {
				return dst, false, err
			}
			value = event.StringValue(s)
		} else if s := c.plain(); s != "" {
			value = event.StringValue(s)
		}
		rest := c.text[c.at:]
		switch {
		case strings.HasPrefix(rest, c.format.Separator):
			c.at += len(c.format.Separator)
			dst = append(dst, value)
		case strings.HasPrefix(rest, c.end):
			c.at += len(c.end)
			if len(dst) > start || !value.Nil() {
				dst = append(dst, value)
			}
			return dst, true, nil
		case rest == "":
			if len(dst) == start && value.Nil() {
				return dst, false, nil
			}
			return append(dst, value), true, nil
		case quoted:
			return dst, false, fmt.Errorf("csv: byte %d: text behind a quoted value", c.at)
		case rest[0] == '\r' || rest[0] == '\n':
			return dst, false, fmt.Errorf("csv: byte %d: a line ends in a value without quotes, or with something else than %q", c.at, c.end)
		default:
			return dst, false, fmt.Errorf("csv: byte %d: a quote inside of a value without quotes", c.at)
		}
	}
}

// plain reads a value without quotes.
func (c *Rows) plain() string {
	start := c.at
	quote, separator := c.format.Quote[0], c.format.Separator[0]
	if _, n := utf8.DecodeRuneInString(c.format.Separator); strings.HasPrefix(c.text[start:], c.format.Separator[:n]) {
		return "" // as the original: what begins as the separator does begins no value
	}
	for ; c.at < len(c.text); c.at++ {
		switch b := c.text[c.at]; {
		case b == '\r' || b == '\n',
			b == quote && strings.HasPrefix(c.text[c.at:], c.format.Quote),
			b == separator && strings.HasPrefix(c.text[c.at:], c.format.Separator):
			return c.text[start:c.at]
		}
	}
	return c.text[start:]
}

// quotes counts the quotes that stand here, and passes them.
func (c *Rows) quotes() int {
	n := 0
	for strings.HasPrefix(c.text[c.at:], c.format.Quote) {
		c.at += len(c.format.Quote)
		n++
	}
	return n
}

// quoted reads a value in quotes.
func (c *Rows) quoted() (string, error) {
	begin := c.at
	n := c.quotes()
	if n%2 == 0 {
		return strings.Repeat(c.format.Quote, (n-2)/2), nil
	}
	var b strings.Builder
	b.WriteString(strings.Repeat(c.format.Quote, n/2))
	for {
		i := strings.Index(c.text[c.at:], c.format.Quote)
		if i < 0 {
			return "", fmt.Errorf("csv: byte %d: a quoted value that is not closed", begin)
		}
		part := c.text[c.at : c.at+i]
		c.at += i
		n := c.quotes()
		if n == 1 && b.Len() == 0 {
			return part, nil
		}
		b.WriteString(part)
		b.WriteString(strings.Repeat(c.format.Quote, n/2))
		if n%2 == 1 {
			return b.String(), nil
		}
	}
}

// Append appends a row, with a line end behind it. Values are in quotes if there is a line end, the quote, or a character of
// the separator in them, or if they are empty; those that are not there are written as nothing. Other values than texts are
// written by text, which appends one.
func (f Format) Append(dst []byte, row []event.Value, text func([]byte, event.Value) []byte) []byte {
	for i, v := range row {
		if i > 0 {
			dst = append(dst, f.Separator...)
		}
		if v.Nil() {
			continue
		}
		start := len(dst)
		if v.Kind() == event.String {
			dst = append(dst, v.Str()...)
		} else {
			dst = text(dst, v)
		}
		if field := dst[start:]; len(field) == 0 || bytes.ContainsAny(field, "\r\n") || bytes.ContainsAny(field, f.Separator) || bytes.Contains(field, []byte(f.Quote)) {
			doubled := strings.ReplaceAll(string(field), f.Quote, f.Quote+f.Quote)
			dst = append(append(append(dst[:start], f.Quote...), doubled...), f.Quote...)
		}
	}
	return append(dst, '\n')
}

package filter

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/narudata/naru/logstash/event"
)

// csvFormat is what separates and quotes values.
type csvFormat struct {
	separator string // of values
	quote     string // one character
}

// check says why a format cannot be used.
func (f csvFormat) check() error {
	switch {
	case f.separator == "":
		return errors.New("the separator is empty")
	case utf8.RuneCountInString(f.quote) != 1:
		return fmt.Errorf("the quote must be one character, not %q", f.quote)
	}
	return nil
}

// csvRows reads the rows of a text, as Ruby's CSV does: values may be quoted, a quote inside of quotes is doubled, and quotes
// may stand nowhere else. What ends a row is what ends the first line of the text.
//
// Source: lib/csv/parser.rb of Ruby's csv 3.2.
type csvRows struct {
	csvFormat
	text   string
	at     int
	end    string // of a row
	strict bool   // the rest is read character by character
}

var errCSVEncoding = errors.New("csv: the text is not UTF-8")

func newCSVRows(f csvFormat, text string) (csvRows, error) {
	if !utf8.ValidString(text) {
		return csvRows{}, errCSVEncoding
	}
	return csvRows{csvFormat: f, text: text, end: rowEnd(text)}, nil
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

// next appends the values of the next row to dst: texts, or null for a value that is empty and without quotes. It is false at
// the end. Values are parts of the text, unless they have quotes in them.
func (c *csvRows) next(dst []event.Value) ([]event.Value, bool, error) {
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
func (c *csvRows) simply(dst []event.Value, line string) ([]event.Value, bool) {
	if line == "" {
		return dst, true
	}
	if strings.ContainsAny(line, "\r\n") {
		return nil, false
	}
	quoted := strings.Contains(line, c.quote)
	for {
		value, rest, more := strings.Cut(line, c.separator)
		switch {
		case value == "":
			dst = append(dst, event.NullValue)
		case !quoted || !strings.Contains(value, c.quote):
			dst = append(dst, event.StringValue(value))
		case len(value) >= 2*len(c.quote) && strings.HasPrefix(value, c.quote) && strings.HasSuffix(value, c.quote) && strings.Count(value, c.quote) == 2:
			dst = append(dst, event.StringValue(value[len(c.quote):len(value)-len(c.quote)]))
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
func (c *csvRows) strictly(dst []event.Value) ([]event.Value, bool, error) {
	start := len(dst)
	for {
		quoted := strings.HasPrefix(c.text[c.at:], c.quote)
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
		case strings.HasPrefix(rest, c.separator):
			c.at += len(c.separator)
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
func (c *csvRows) plain() string {
	start := c.at
	quote, separator := c.quote[0], c.separator[0]
	if _, n := utf8.DecodeRuneInString(c.separator); strings.HasPrefix(c.text[start:], c.separator[:n]) {
		return "" // as the original: what begins as the separator does begins no value
	}
	for ; c.at < len(c.text); c.at++ {
		switch b := c.text[c.at]; {
		case b == '\r' || b == '\n',
			b == quote && strings.HasPrefix(c.text[c.at:], c.quote),
			b == separator && strings.HasPrefix(c.text[c.at:], c.separator):
			return c.text[start:c.at]
		}
	}
	return c.text[start:]
}

// quotes counts the quotes that stand here, and passes them.
func (c *csvRows) quotes() int {
	n := 0
	for strings.HasPrefix(c.text[c.at:], c.quote) {
		c.at += len(c.quote)
		n++
	}
	return n
}

// quoted reads a value in quotes.
func (c *csvRows) quoted() (string, error) {
	begin := c.at
	n := c.quotes()
	if n%2 == 0 {
		return strings.Repeat(c.quote, (n-2)/2), nil
	}
	var b strings.Builder
	b.WriteString(strings.Repeat(c.quote, n/2))
	for {
		i := strings.Index(c.text[c.at:], c.quote)
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
		b.WriteString(strings.Repeat(c.quote, n/2))
		if n%2 == 1 {
			return b.String(), nil
		}
	}
}

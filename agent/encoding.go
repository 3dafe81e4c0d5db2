package agent

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
)

// An Encoding says how bytes of a file are its characters. The zero value is UTF-8, whose mistakes become U+FFFD.
type Encoding struct {
	of      encoding.Encoding // nil: UTF-8
	newline string            // "": a line feed
	bom     bool              // the file may begin with a mark of the byte order
}

// encodingOf gives the encoding that Filebeat has under a name.
func encodingOf(name string) (Encoding, error) {
	utf16 := func(order unicode.Endianness) Encoding {
		e := Encoding{of: unicode.UTF16(order, unicode.IgnoreBOM), newline: "\n\x00", bom: true}
		if order == unicode.BigEndian {
			e.newline = "\x00\n"
		}
		return e
	}
	name = strings.ToLower(name)
	switch name {
	case "", "plain", "nop", "utf-8", "utf8", "utf8-bom", "utf-8-bom":
		return Encoding{bom: true}, nil
	case "utf-16le", "utf-16le-bom":
		return utf16(unicode.LittleEndian), nil
	case "utf-16be", "utf-16be-bom", "utf-16", "utf-16-bom":
		return utf16(unicode.BigEndian), nil
	}
	for _, c := range charmap.All {
		if m, ok := c.(*charmap.Charmap); ok && plainName(m.String()) == plainName(name) {
			return Encoding{of: m}, nil
		}
	}
	switch alias := map[string]string{"latin1": "iso8859-1", "hz-gb-2312": "hz-gb-2312", "cp1252": "windows-1252", "cp1251": "windows-1251"}[name]; alias {
	case "":
	case "iso8859-1":
		return Encoding{of: charmap.ISO8859_1}, nil
	default:
		name = alias
	}
	e, err := htmlindex.Get(strings.Replace(name, "iso8859", "iso-8859", 1))
	if err != nil {
		return Encoding{}, fmt.Errorf("an encoding of the name %q is not known", name)
	}
	return Encoding{of: e}, nil
}

// plainName makes names comparable: "ISO 8859-1" and "iso8859-1", "IBM Code Page 850" and "cp850".
func plainName(s string) string {
	s = strings.ToLower(s)
	s = strings.NewReplacer("ibm code page ", "cp", "codepage ", "cp", "codepage", "cp", " ", "", "-", "", "_", "").Replace(s)
	return s
}

// decode makes UTF-8 of a line. It may give back what it was given.
func (e *Encoding) decode(b []byte, first bool) []byte {
	if e.of == nil {
		if first && e.bom {
			b = bytes.TrimPrefix(b, []byte("\ufeff"))
		}
		if utf8.Valid(b) {
			return b
		}
		return bytes.ToValidUTF8(b, []byte("\uFFFD"))
	}
	out, err := e.of.NewDecoder().Bytes(b)
	if err != nil {
		return bytes.ToValidUTF8(b, []byte("\uFFFD"))
	}
	if first && e.bom {
		out = bytes.TrimPrefix(out, []byte("\ufeff"))
	}
	return out
}

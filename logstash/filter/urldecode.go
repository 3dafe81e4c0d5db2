package filter

import (
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// URLDecode replaces %XX by the byte that it means. A plus sign stays. Texts in lists and maps are decoded, too. The common
// options are always run.
//
// Source: logstash-filter-urldecode 3.0, LogStash::Util::Charset.
//
// Differences:
//   - a field that is no reference is an error of the configuration; Logstash tags every event;
//   - of Ruby's charsets there are UTF-8, US-ASCII, BINARY, ISO-8859-1, ISO-8859-15, Windows-1252, UTF-16BE and UTF-16LE.
type URLDecode struct {
	option.Common
	Field        *event.Ref `ls:"field" default:"message" doc:"the field that is decoded; one that is missing becomes null"`
	AllFields    bool       `ls:"all_fields" default:"false" doc:"whether all fields are decoded"`
	TagOnFailure []string   `ls:"tag_on_failure" default:"_urldecodefailure" doc:"the tags of an event with a field that cannot be set"`
	Charset      string     `ls:"charset" default:"UTF-8" doc:"the encoding of the bytes; what is no UTF-8 is written as escapes (\\xFF)"`
}

type urlDecode struct {
	*URLDecode
	where  string
	decode func(dst, in []byte) []byte
	room   textRoom // each worker has its own
	bytes  []byte
}

// Setup implements Plugin.
func (u *URLDecode) Setup(s *Setup) (Filter, error) {
	f := &urlDecode{URLDecode: u, where: s.Where}
	var ok bool
	if f.decode, ok = charsets[strings.ToUpper(u.Charset)]; !ok {
		names := make([]string, 0, len(charsets))
		for name := range charsets {
			names = append(names, name)
		}
		slices.Sort(names)
		return nil, option.Errorf("charset", "there is no %q, only %s", u.Charset, strings.Join(names, ", "))
	}
	return f, nil
}

// Fork implements Forker.
func (f *urlDecode) Fork() Filter {
	return &urlDecode{URLDecode: f.URLDecode, where: f.where, decode: f.decode}
}

// Filter implements Filter.
func (f *urlDecode) Filter(x *Context, e *event.Event) {
	if f.AllFields {
		entries := e.Fields().Entries()
		for i := range entries {
			entries[i].Value = f.value(x, entries[i].Value)
		}
	} else if err := e.Set(f.Field, f.value(x, e.Get(f.Field))); err != nil {
		x.Log.Warn("urldecode failed", "filter", f.where, "error", err)
		for _, tag := range f.TagOnFailure {
			e.Tag(tag)
		}
	}
	succeed(x, f.where, &f.Common, e)
}

// value decodes a value; a list or map in place.
func (f *urlDecode) value(x *Context, v event.Value) event.Value {
	switch v.Kind() {
	case event.String:
		return event.StringValue(f.text(x, v.Str()))
	case event.List:
		list := v.List()
		for i := range list {
			list[i] = f.value(x, list[i])
		}
	case event.Map:
		entries := v.Map().Entries()
		for i := range entries {
			entries[i].Value = f.value(x, entries[i].Value)
		}
	}
	return v
}

func (f *urlDecode) text(x *Context, s string) string {
	f.bytes = appendUnescaped(f.bytes[:0], s)
	x.Buf = f.decode(x.Buf[:0], f.bytes)
	if string(x.Buf) == s {
		return s
	}
	return f.room.keep(x.Buf)
}

// appendUnescaped appends s with the bytes that %XX means.
func appendUnescaped(dst []byte, s string) []byte {
	for {
		i := strings.IndexByte(s, '%')
		if i < 0 {
			return append(dst, s...)
		}
		dst = append(dst, s[:i]...)
		high, low := -1, -1
		if i+2 < len(s) {
			high, low = hexDigit(s[i+1]), hexDigit(s[i+2])
		}
		if high < 0 || low < 0 {
			dst = append(dst, '%')
			s = s[i+1:]
			continue
		}
		dst = append(dst, byte(high<<4|low))
		s = s[i+3:]
	}
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// charsets are the encodings that can be decoded. A byte that means nothing becomes U+FFFD.
var charsets = map[string]func(dst, in []byte) []byte{
	"UTF-8":        decodeUTF8,
	"US-ASCII":     decodeASCII,
	"ASCII":        decodeASCII,
	"BINARY":       decodeASCII,
	"ASCII-8BIT":   decodeASCII,
	"ISO-8859-1":   func(dst, in []byte) []byte { return decodeLatin(dst, in, nil) },
	"ISO-8859-15":  func(dst, in []byte) []byte { return decodeLatin(dst, in, latin9) },
	"WINDOWS-1252": func(dst, in []byte) []byte { return decodeLatin(dst, in, windows1252) },
	"CP1252":       func(dst, in []byte) []byte { return decodeLatin(dst, in, windows1252) },
	"UTF-16BE":     func(dst, in []byte) []byte { return decodeUTF16(dst, in, 0) },
	"UTF-16LE":     func(dst, in []byte) []byte { return decodeUTF16(dst, in, 1) },
}

// decodeUTF8 writes what is not UTF-8 as Ruby's inspect does.
func decodeUTF8(dst, in []byte) []byte {
	if utf8.Valid(in) {
		return append(dst, in...)
	}
	start := len(dst)
	dst = appendQuoted(dst, string(in))
	copy(dst[start:], dst[start+1:])
	return dst[:len(dst)-2]
}

func decodeASCII(dst, in []byte) []byte {
	for _, c := range in {
		if c >= utf8.RuneSelf {
			dst = utf8.AppendRune(dst, utf8.RuneError)
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

var (
	latin9 = map[byte]rune{0xa4: '€', 0xa6: 'Š', 0xa8: 'š', 0xb4: 'Ž', 0xb8: 'ž', 0xbc: 'Œ', 0xbd: 'œ', 0xbe: 'Ÿ'}

	windows1252 = map[byte]rune{
		0x80: '€', 0x81: utf8.RuneError, 0x82: '‚', 0x83: 'ƒ', 0x84: '„', 0x85: '…', 0x86: '†', 0x87: '‡',
		0x88: 'ˆ', 0x89: '‰', 0x8a: 'Š', 0x8b: '‹', 0x8c: 'Œ', 0x8d: utf8.RuneError, 0x8e: 'Ž', 0x8f: utf8.RuneError,
		0x90: utf8.RuneError, 0x91: '‘', 0x92: '’', 0x93: '“', 0x94: '”', 0x95: '•', 0x96: '–', 0x97: '—',
		0x98: '˜', 0x99: '™', 0x9a: 'š', 0x9b: '›', 0x9c: 'œ', 0x9d: utf8.RuneError, 0x9e: 'ž', 0x9f: 'Ÿ',
	}
)

// decodeLatin decodes ISO-8859-1 with the bytes that mean something else.
func decodeLatin(dst, in []byte, other map[byte]rune) []byte {
	for _, c := range in {
		r, ok := other[c]
		if !ok {
			r = rune(c)
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// decodeUTF16 decodes pairs of bytes; little is 1 if the lower byte comes first, 0 if it is the higher one.
func decodeUTF16(dst, in []byte, little int) []byte {
	units := make([]uint16, 0, len(in)/2+1)
	for ; len(in) >= 2; in = in[2:] {
		units = append(units, uint16(in[little])<<8|uint16(in[1-little]))
	}
	for _, r := range utf16.Decode(units) {
		dst = utf8.AppendRune(dst, r)
	}
	if len(in) > 0 {
		dst = utf8.AppendRune(dst, utf8.RuneError)
	}
	return dst
}

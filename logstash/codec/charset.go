package codec

import (
	"fmt"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// A charset says how the bytes of a text are its characters. nil is UTF-8.
type charset struct {
	high [128]rune // what the bytes from 128 on are
}

// charsets are those that naru knows, by the names that Ruby has for them.
var charsets = map[string]*charset{
	"UTF-8": nil, "utf-8": nil, "CP65001": nil, "UTF8": nil,
	"US-ASCII": questioned(), "ASCII": questioned(), "ASCII-8BIT": questioned(), "BINARY": questioned(),
	"ISO-8859-1": latin1(), "ISO8859-1": latin1(),
	"ISO-8859-15": latin9(), "ISO8859-15": latin9(),
	"Windows-1252": cp1252(), "windows-1252": cp1252(), "CP1252": cp1252(), "cp1252": cp1252(),
}

const charsetNames = "UTF-8, US-ASCII, ISO-8859-1, ISO-8859-15 and Windows-1252 (CP1252)"

func questioned() *charset {
	c := &charset{}
	for i := range c.high {
		c.high[i] = utf8.RuneError
	}
	return c
}

func latin1() *charset {
	c := &charset{}
	for i := range c.high {
		c.high[i] = rune(i + 128)
	}
	return c
}

func latin9() *charset {
	c := latin1()
	for at, r := range map[int]rune{0xa4: '€', 0xa6: 'Š', 0xa8: 'š', 0xb4: 'Ž', 0xb8: 'ž', 0xbc: 'Œ', 0xbd: 'œ', 0xbe: 'Ÿ'} {
		c.high[at-128] = r
	}
	return c
}

// cp1252 is Windows-1252; five of its bytes are no characters.
func cp1252() *charset {
	c := latin1()
	for i, r := range []rune("€\uFFFD‚ƒ„…†‡ˆ‰Š‹Œ\uFFFDŽ\uFFFD\uFFFD‘’“”•–—˜™š›œ\uFFFDžŸ") {
		c.high[i] = r
	}
	return c
}

// text makes a text of bytes, without a copy if they are UTF-8 already. Bytes that should be UTF-8 and are not are written as
// Ruby inspects them (\xE9). Source: LogStash::Util::Charset.
func (c *charset) text(in []byte) string {
	s := unsafe.String(unsafe.SliceData(in), len(in))
	if c == nil {
		if utf8.ValidString(s) {
			return s
		}
		quoted := Inspect(s)
		return quoted[1 : len(quoted)-1]
	}
	var b strings.Builder
	for i := range in {
		if in[i] < utf8.RuneSelf {
			continue
		}
		b.Grow(len(in) + len(in)/2)
		for _, x := range in {
			if x < utf8.RuneSelf {
				b.WriteByte(x)
			} else {
				b.WriteRune(c.high[x-128])
			}
		}
		return b.String()
	}
	return s
}

// Inspect quotes a text as Ruby's String#inspect.
func Inspect(s string) string {
	b := make([]byte, 0, len(s)+2)
	return string(appendInspect(b, s))
}

func appendInspect(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			dst = fmt.Appendf(dst, `\x%02X`, s[i])
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '#' && i+1 < len(s) && strings.IndexByte("{$@", s[i+1]) >= 0:
			dst = append(dst, `\#`...)
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r == '\f':
			dst = append(dst, `\f`...)
		case r == '\v':
			dst = append(dst, `\v`...)
		case r == '\b':
			dst = append(dst, `\b`...)
		case r == '\a':
			dst = append(dst, `\a`...)
		case r == 0x1b:
			dst = append(dst, `\e`...)
		case r < 0x20 || r == 0x7f:
			dst = fmt.Appendf(dst, `\u%04X`, r)
		default:
			dst = append(dst, s[i:i+n]...)
		}
		i += n
	}
	return append(dst, '"')
}

package event

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// An EscapeStyle says how brackets are written inside of the parts of a reference: the setting
// config.field_reference.escape_style. Source: org.logstash.util.EscapeHandler.
type EscapeStyle int

// The styles.
const (
	None      EscapeStyle = iota // not at all
	Percent                      // %5B, with upper-case digits; a text that has one also has "+" for a space
	Ampersand                    // &#91;
)

// ParseEscapeStyle gives the style of a name: none, percent or ampersand.
func ParseEscapeStyle(name string) (EscapeStyle, error) {
	switch name {
	case "none", "":
		return None, nil
	case "percent":
		return Percent, nil
	case "ampersand":
		return Ampersand, nil
	}
	return None, fmt.Errorf(`escape style %q: expected "none", "percent" or "ampersand"`, name)
}

// String gives the style's name.
func (s EscapeStyle) String() string {
	switch s {
	case Percent:
		return "percent"
	case Ampersand:
		return "ampersand"
	default:
		return "none"
	}
}

func (s EscapeStyle) unescape(text string) (string, error) {
	switch s {
	case Percent:
		return unescapePercent(text), nil
	case Ampersand:
		return unescapeAmpersand(text)
	default:
		return text, nil
	}
}

func unescapePercent(s string) string {
	found := false
	for i := range len(s) {
		found = found || isPercent(s[i:])
	}
	if !found {
		return s
	}
	var b []byte
	for i := 0; i < len(s); i++ {
		switch {
		case isPercent(s[i:]):
			b = append(b, upperHex(s[i+1])<<4|upperHex(s[i+2]))
			i += 2
		case s[i] == '+':
			b = append(b, ' ')
		default:
			b = append(b, s[i])
		}
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

func isPercent(s string) bool {
	return len(s) >= 3 && s[0] == '%' && upperHex(s[1]) < 16 && upperHex(s[2]) < 16
}

func upperHex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 16
}

func unescapeAmpersand(s string) (string, error) {
	var b []byte
	from := 0
	for i := 0; i < len(s); i++ {
		if s[i] != '&' || i+1 == len(s) || s[i+1] != '#' {
			continue
		}
		end := i + 2
		for end < len(s) && s[end] >= '0' && s[end] <= '9' {
			end++
		}
		if end-i < 4 || end == len(s) || s[end] != ';' {
			continue
		}
		code, err := strconv.ParseInt(s[i+2:end], 10, 32)
		if err != nil || code > utf8.MaxRune {
			return "", fmt.Errorf("%s is no character", s[i:end+1])
		}
		b = append(b, s[from:i]...)
		b = utf8.AppendRune(b, rune(code))
		from = end + 1
		i = end
	}
	if from == 0 {
		return s, nil
	}
	return string(append(b, s[from:]...)), nil
}

package joda

import (
	"errors"
	"fmt"
	"strings"
)

// item is one part of a pattern: a letter with its count, or literal text.
type item struct {
	letter byte // 0 for literal text
	count  int
	text   string
}

const maxPattern = 4096 // bytes; longer patterns are refused

var errTooManyFields = errors.New("the date format has more than 254 fields")

// tokens splits a pattern as DateTimeFormat.parseToken does.
func tokens(pattern string) ([]item, error) {
	if pattern == "" {
		return nil, errors.New("a date format must not be empty")
	}
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("a date format has at most %d bytes, this one has %d", maxPattern, len(pattern))
	}
	var items []item
	for i := 0; i < len(pattern); {
		c := pattern[i]
		if isLetter(c) {
			n := 1
			for i+n < len(pattern) && pattern[i+n] == c {
				n++
			}
			if strings.IndexByte("GCYxweEyDMdaKhHkmsSzZ", c) < 0 {
				return nil, fmt.Errorf("illegal pattern component %q: the letter has no meaning here, literal text stands in single quotes", pattern[i:i+n])
			}
			items = append(items, item{letter: c, count: n})
			i += n
			continue
		}
		text, next := literal(pattern, i)
		if text != "" {
			items = append(items, item{text: text})
		}
		i = next
	}
	if len(items) == 0 {
		return nil, errors.New("the date format has neither fields nor text")
	}
	return items, nil
}

// literal reads literal text, with and without quotes, up to the next letter outside of quotes.
func literal(pattern string, i int) (string, int) {
	var text strings.Builder
	quoted := false
	for ; i < len(pattern); i++ {
		c := pattern[i]
		switch {
		case c == '\'' && i+1 < len(pattern) && pattern[i+1] == '\'':
			text.WriteByte(c)
			i++
		case c == '\'':
			quoted = !quoted
		case !quoted && isLetter(c):
			return text.String(), i
		default:
			text.WriteByte(c)
		}
	}
	return text.String(), i
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// numeric tells whether an item reads digits, so that a year in front of it must not take them.
func (it item) numeric() bool {
	if it.letter == 'M' {
		return it.count <= 2
	}
	return it.letter != 0 && strings.IndexByte("CxyYdhHmsSeDwkK", it.letter) >= 0
}

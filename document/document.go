// Package document knows what a _source may be: JSON, or what a client sent instead of it. It gives a source
// as one line of JSON, and replaces values in JSON without touching any other byte.
package document

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/narudata/naru/format/cbor"
	"github.com/narudata/naru/format/smile"
	"github.com/narudata/naru/format/yaml"
	"github.com/narudata/naru/internal/jackson"
)

// ErrMalformed marks every error about the content of a document.
var ErrMalformed = errors.New("malformed document")

// OneLine gives the source as one line of JSON: without a line feed. JSON that has none is returned as it is;
// else the result is appended to dst[:0], which must not overlap src. Nothing is checked that need not be
// understood to tell line feeds apart.
//
// In JSON a line feed between tokens becomes a space, one within a string (which the servers refuse) the
// escape \n, and a // comment (which they allow) that a line feed ends is left out; every other byte stays,
// carriage returns too. A byte order mark is left out. SMILE, CBOR and YAML are printed as the servers print
// them in a search response.
func OneLine(dst, src []byte) ([]byte, error) {
	switch formatOf(src) {
	case formatJSON:
		src = bytes.TrimPrefix(src, byteOrderMark)
		if bytes.IndexByte(src, '\n') < 0 {
			return src, nil
		}
		return appendOneLine(dst[:0], src)
	case formatSmile:
		return marked(smile.AppendJSON(dst[:0], src))
	case formatCBOR:
		return marked(cbor.AppendJSON(dst[:0], src))
	case formatYAML:
		return marked(yaml.AppendJSON(dst[:0], src))
	default:
		if len(src) == 0 {
			return nil, fmt.Errorf("%w: no content", ErrMalformed)
		}
		return nil, fmt.Errorf("%w: begins with %q, neither JSON, SMILE, CBOR nor YAML", ErrMalformed, src[:min(len(src), 8)])
	}
}

func marked(out []byte, err error) ([]byte, error) {
	if err != nil && !errors.Is(err, ErrMalformed) {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return out, err
}

type format uint8

const (
	formatUnknown format = iota
	formatJSON
	formatSmile
	formatCBOR
	formatYAML
)

var byteOrderMark = []byte("\xef\xbb\xbf")

// formatOf tells formats apart as the servers do, by the first bytes of an object: 0xA0-0xBF begins a map in
// CBOR, D9 D9 F7 is its magic number.
func formatOf(src []byte) format {
	if len(src) == 0 {
		return formatUnknown
	}
	switch c := src[0]; {
	case c == '{':
		return formatJSON
	case c >= 0xa0 && c <= 0xbf:
		return formatCBOR
	case hasPrefix(src, smile.Header):
		return formatSmile
	case hasPrefix(src, "\xd9\xd9\xf7"):
		return formatCBOR
	case hasPrefix(src, "---"):
		return formatYAML
	}
	rest := bytes.TrimLeft(bytes.TrimPrefix(src, byteOrderMark), " \t\r\n")
	if len(rest) > 0 && (rest[0] == '{' || rest[0] == '/' || rest[0] == '[') {
		return formatJSON
	}
	return formatUnknown
}

func hasPrefix(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}

// appendOneLine appends JSON without its line feeds.
func appendOneLine(dst, src []byte) ([]byte, error) {
	for i := 0; i < len(src); {
		switch c := src[i]; c {
		case '\n':
			dst = append(dst, ' ')
			i++
		case '"':
			end, err := endOfString(src, i)
			if err != nil {
				return nil, err
			}
			dst = appendEscaped(dst, src[i:end])
			i = end
		case '/':
			end, err := endOfComment(src, i)
			if err != nil {
				return nil, err
			}
			comment := src[i:end]
			i = end
			if hasPrefix(comment, "//") && end < len(src) && src[end] == '\n' {
				continue
			}
			from := len(dst)
			dst = append(dst, comment...)
			for k := from; k < len(dst); k++ {
				if dst[k] == '\n' {
					dst[k] = ' '
				}
			}
		default:
			// Up to the next byte that matters.
			n := bytes.IndexAny(src[i:], "\n\"/")
			if n < 0 {
				n = len(src) - i
			}
			dst = append(dst, src[i:i+n]...)
			i += n
		}
	}
	return dst, nil
}

// endOfString gives the place after the string that begins at i.
func endOfString(src []byte, i int) (int, error) {
	for k := i + 1; k < len(src); k++ {
		switch src[k] {
		case '"':
			return k + 1, nil
		case '\\':
			k++
			if k < len(src) && src[k] == '\n' {
				return 0, malformed(k, "a line feed after a backslash")
			}
		}
	}
	return 0, malformed(i, "a string without an end")
}

// endOfComment gives the place after the comment that begins at i: of // the line's end, which is not part of
// it.
func endOfComment(src []byte, i int) (int, error) {
	if i+1 < len(src) && src[i+1] == '/' {
		if n := bytes.IndexAny(src[i:], "\r\n"); n >= 0 {
			return i + n, nil
		}
		return len(src), nil
	}
	if i+1 < len(src) && src[i+1] == '*' {
		if n := bytes.Index(src[i+2:], []byte("*/")); n >= 0 {
			return i + 2 + n + 2, nil
		}
		return 0, malformed(i, "a comment without an end")
	}
	return 0, malformed(i, "a slash that begins no comment")
}

// appendEscaped appends a string whose line feeds, if any, are not escaped.
func appendEscaped(dst, s []byte) []byte {
	for {
		n := bytes.IndexByte(s, '\n')
		if n < 0 {
			return append(dst, s...)
		}
		dst = append(dst, s[:n]...)
		dst = jackson.AppendEscape(dst, '\n')
		s = s[n+1:]
	}
}

func malformed(at int, format string, args ...any) error {
	return fmt.Errorf("%w: byte %d: %s", ErrMalformed, at, fmt.Sprintf(format, args...))
}

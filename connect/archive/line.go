package archive

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"unicode/utf8"

	"github.com/narudata/naru/document"
	"github.com/narudata/naru/flow"
)

// A record is one line of JSON:
//
//	{"_index":"logs","_type":"event","_id":"1","_routing":"r","_source":{…}}
//
// _type and _routing are there only when the record has one; no _source means that the source does not keep
// the body. The body is what stands between the colon after "_source" and the brace or comma after the value:
// its bytes are those of the record, white space around them included; nothing but the brace that ends the line
// comes after it, save in dead letters. A name or id that is not valid UTF-8
// has U+FFFD where it is not, and its exact bytes in a member of the same name with _base64 behind it.

const hexDigits = "0123456789abcdef"

// plain marks the ASCII bytes that a JSON string holds as they are.
var plain = func() (t [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// appendString appends s as a JSON string. What is not ASCII stays as it is; bytes that are not valid UTF-8
// become U+FFFD each.
func appendString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			if r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
		}
		dst = append(dst, s[start:i]...)
		i++
		start = i
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		default:
			if c >= utf8.RuneSelf {
				dst = append(dst, "\uFFFD"...)
			} else {
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
		}
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// appendMember appends a member with its separator; name is a plain word.
func appendMember[T string | []byte](dst []byte, name string, value T) []byte {
	if len(dst) > 0 && dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(dst, '"')
	dst = append(dst, name...)
	dst = append(dst, '"', ':')
	start := len(dst)
	dst = appendString(dst, value)
	// Only a string in which something was replaced can be invalid.
	if bytes.Contains(dst[start:], []byte("\uFFFD")) && !utf8.ValidString(string(value)) {
		dst = append(dst, `,"`...)
		dst = append(dst, name...)
		dst = append(dst, `_base64":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, []byte(value))
		dst = append(dst, '"')
	}
	return dst
}

// An envelope writes what comes before the body of a record.
type envelope struct {
	index, typ string
	prefix     []byte // {"_index":…,"_type":… of those
}

// appendHead appends the line of r up to where its body begins, or up to its closing brace.
func (e *envelope) appendHead(dst []byte, r *flow.Record) []byte {
	if e.prefix == nil || r.Index != e.index || r.Type != e.typ {
		e.index, e.typ = r.Index, r.Type
		e.prefix = appendMember(append(e.prefix[:0], '{'), "_index", r.Index)
		if r.Type != "" {
			e.prefix = appendMember(e.prefix, "_type", r.Type)
		}
	}
	dst = append(dst, e.prefix...)
	dst = appendMember(dst, "_id", r.Key)
	if r.Routing != nil {
		dst = appendMember(dst, "_routing", r.Routing)
	}
	if r.Body != nil {
		dst = append(dst, `,"_source":`...)
	}
	return dst
}

// line is a parsed line. The strings are as they stand between their quotes, nil when absent.
type line struct {
	index, typ, key, routing         []byte
	index64, typ64, key64, routing64 []byte
	body                             []byte // nil: none
	sourceLast                       bool   // set by the caller: _source is the last member and a value, and is not looked into
}

// parse finds the members of a line. Members that it does not know are passed over; of a repeated one the
// last counts.
func (l *line) parse(b []byte) error {
	*l = line{sourceLast: l.sourceLast}
	end, err := eachMember(b, skipSpace(b, 0), func(key []byte, start int) (int, error) {
		var field *[]byte
		switch string(key) {
		case "_source":
			end := len(b) - 1
			if !l.sourceLast {
				if end = skipValue(b, skipSpace(b, start)); end < 0 {
					return -1, errJSON
				}
				end = skipSpace(b, end)
			}
			if end < start {
				return -1, errJSON
			}
			l.body = b[start:end:end]
			return end, nil
		case "_index":
			field = &l.index
		case "_type":
			field = &l.typ
		case "_id":
			field = &l.key
		case "_routing":
			field = &l.routing
		case "_index_base64":
			field = &l.index64
		case "_type_base64":
			field = &l.typ64
		case "_id_base64":
			field = &l.key64
		case "_routing_base64":
			field = &l.routing64
		default:
			return -1, nil
		}
		i := skipSpace(b, start)
		if i >= len(b) || b[i] != '"' {
			return -1, fmt.Errorf("%s is not a string", key)
		}
		end := skipString(b, i)
		if end < 0 {
			return -1, errJSON
		}
		*field = b[i+1 : end-1 : end-1]
		return end, nil
	})
	if err != nil {
		return err
	}
	if skipSpace(b, end) != len(b) {
		return errJSON
	}
	if l.index == nil {
		return fmt.Errorf("_index is missing")
	}
	if l.key == nil {
		return fmt.Errorf("_id is missing")
	}
	return nil
}

// appendField appends what a field of a line stands for: raw between its quotes, and exact in base64 if given.
func appendField(dst, raw, exact []byte) ([]byte, error) {
	if exact != nil {
		return base64.StdEncoding.AppendDecode(dst, exact)
	}
	dst, ok := document.Unescape(dst, raw)
	if !ok {
		return dst, fmt.Errorf("%w: bad escape in %.40q", errJSON, raw)
	}
	return dst, nil
}

package document

import (
	"bytes"
	"fmt"
	"strings"
)

// Kind is what a JSON value is.
type Kind uint8

// The kinds of the values that Replace hands out.
const (
	Null Kind = iota
	Bool
	Number
	String
)

// A Value is one scalar of a document.
type Value struct {
	Kind Kind
	Raw  []byte // as it stands in the document, a string with its quotation marks
}

// AppendText appends the text of a string without quotation marks and escapes; of another value, Raw. A
// surrogate that stands alone becomes U+FFFD.
func (v Value) AppendText(dst []byte) []byte {
	if v.Kind != String {
		return append(dst, v.Raw...)
	}
	return appendUnquoted(dst, v.Raw[1:len(v.Raw)-1])
}

// Paths is a set of field paths.
type Paths struct {
	exact    []string
	patterns []string
}

// ParsePaths reads paths such as "user.email". A path names a field however the document spells it, nested
// ({"user":{"email":…}}), dotted ({"user.email":…}) or mixed, within arrays too, and with it all that lies
// below it. A "*" stands for any characters, dots as well: "user.*", "*.email", "*".
func ParsePaths(paths []string) (*Paths, error) {
	p := &Paths{}
	for _, path := range paths {
		switch {
		case path == "":
			return nil, fmt.Errorf("a field path is empty")
		case strings.Contains(path, "*"):
			p.patterns = append(p.patterns, path)
		default:
			p.exact = append(p.exact, path)
		}
	}
	return p, nil
}

// Has reports whether path, or a field that it lies below, is in the set.
func (p *Paths) Has(path []byte) bool {
	for _, e := range p.exact {
		if hasPrefix(path, e) && (len(path) == len(e) || path[len(e)] == '.') {
			return true
		}
	}
	for _, pattern := range p.patterns {
		for end := 0; end < len(path); {
			if n := bytes.IndexByte(path[end+1:], '.'); n >= 0 {
				end += 1 + n
			} else {
				end = len(path)
			}
			if matches(pattern, path[:end]) {
				return true
			}
		}
	}
	return false
}

// matches compares in time linear in len(path) for each star.
func matches(pattern string, path []byte) bool {
	star, from := -1, 0
	i, k := 0, 0
	for k < len(path) {
		switch {
		case i < len(pattern) && pattern[i] == '*':
			star, from = i, k
			i++
		case i < len(pattern) && pattern[i] == path[k]:
			i++
			k++
		case star >= 0:
			from++
			i, k = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[i:], "*") == ""
}

// A Replacer replaces values of JSON documents. It is for use by one goroutine at a time.
type Replacer struct {
	Paths *Paths
	// Replace appends what v is replaced by, JSON, to dst; v.Raw as it is leaves the value.
	Replace func(dst []byte, v Value) ([]byte, error)
	// Visit is shown each value instead if Replace is nil; the document stays as it is. v is valid during the call.
	Visit func(v Value)

	src  []byte
	dst  []byte
	done int // src[:done] is in dst
	n    int
	path []byte
}

// Apply appends src with every scalar at one of the paths replaced to dst[:0], which must not overlap src;
// all other bytes stay. It returns src itself when there is nothing to replace, and how many values were
// replaced. A key counts as what it spells without escapes; equal keys count each. src must be one JSON value,
// as strict as encoding/json, whether or not anything is replaced: else nothing could be said about what it
// holds.
func (r *Replacer) Apply(dst, src []byte) (out []byte, n int, err error) {
	r.src, r.dst, r.done, r.n, r.path = src, dst[:0], 0, 0, r.path[:0]
	defer func() { r.src, r.dst = nil, nil }()
	end, err := r.value(r.space(0), false, 0)
	if err != nil {
		return nil, 0, err
	}
	if end = r.space(end); end != len(src) {
		return nil, 0, malformed(end, "%q after the value", src[end])
	}
	if r.n == 0 {
		return src, 0, nil
	}
	return append(r.dst, src[r.done:]...), r.n, nil
}

// value scans the value that begins at i and gives the place after it. hit: it is to be replaced.
func (r *Replacer) value(i int, hit bool, depth int) (int, error) {
	if i >= len(r.src) {
		return 0, malformed(i, "ends where a value should begin")
	}
	var end int
	var err error
	var kind Kind
	switch c := r.src[i]; {
	case c == '{':
		return r.object(i, hit, depth+1)
	case c == '[':
		return r.array(i, hit, depth+1)
	case c == '"':
		kind = String
		end, err = r.text(i)
	case c == 't':
		kind = Bool
		end, err = r.word(i, "true")
	case c == 'f':
		kind = Bool
		end, err = r.word(i, "false")
	case c == 'n':
		end, err = r.word(i, "null")
	case c == '-' || c >= '0' && c <= '9':
		kind = Number
		end, err = r.number(i)
	default:
		return 0, malformed(i, "%q where a value should begin", c)
	}
	if err != nil || !hit {
		return end, err
	}
	if r.Replace == nil {
		r.Visit(Value{kind, r.src[i:end]})
		return end, nil
	}
	r.dst = append(r.dst, r.src[r.done:i]...)
	if r.dst, err = r.Replace(r.dst, Value{kind, r.src[i:end]}); err != nil {
		return 0, fmt.Errorf("replace %s: %w", r.path, err)
	}
	r.done = end
	r.n++
	return end, nil
}

// maxReplaceDepth is the bound of encoding/json.
const maxReplaceDepth = 10000

func (r *Replacer) object(i int, hit bool, depth int) (int, error) {
	if depth > maxReplaceDepth {
		return 0, malformed(i, "nested deeper than %d", maxReplaceDepth)
	}
	above := len(r.path)
	i = r.space(i + 1)
	if i < len(r.src) && r.src[i] == '}' {
		return i + 1, nil
	}
	for {
		if i >= len(r.src) || r.src[i] != '"' {
			return 0, malformed(i, "no key where one should begin")
		}
		end, err := r.text(i)
		if err != nil {
			return 0, err
		}
		below := hit
		if !hit {
			if above > 0 {
				r.path = append(r.path, '.')
			}
			r.path = appendUnquoted(r.path, r.src[i+1:end-1])
			below = r.Paths.Has(r.path)
		}
		i = r.space(end)
		if i >= len(r.src) || r.src[i] != ':' {
			return 0, malformed(i, "no colon after a key")
		}
		if i, err = r.value(r.space(i+1), below, depth); err != nil {
			return 0, err
		}
		r.path = r.path[:above]
		i = r.space(i)
		switch {
		case i < len(r.src) && r.src[i] == ',':
			i = r.space(i + 1)
		case i < len(r.src) && r.src[i] == '}':
			return i + 1, nil
		default:
			return 0, malformed(i, "no comma or end in an object")
		}
	}
}

func (r *Replacer) array(i int, hit bool, depth int) (int, error) {
	if depth > maxReplaceDepth {
		return 0, malformed(i, "nested deeper than %d", maxReplaceDepth)
	}
	i = r.space(i + 1)
	if i < len(r.src) && r.src[i] == ']' {
		return i + 1, nil
	}
	for {
		var err error
		if i, err = r.value(i, hit, depth); err != nil {
			return 0, err
		}
		i = r.space(i)
		switch {
		case i < len(r.src) && r.src[i] == ',':
			i = r.space(i + 1)
		case i < len(r.src) && r.src[i] == ']':
			return i + 1, nil
		default:
			return 0, malformed(i, "no comma or end in an array")
		}
	}
}

func (r *Replacer) space(i int) int {
	for i < len(r.src) && (r.src[i] == ' ' || r.src[i] == '\n' || r.src[i] == '\t' || r.src[i] == '\r') {
		i++
	}
	return i
}

func (r *Replacer) word(i int, word string) (int, error) {
	if !hasPrefix(r.src[i:], word) {
		return 0, malformed(i, "no value where one should begin")
	}
	return i + len(word), nil
}

// number scans -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][-+]?[0-9]+)?
func (r *Replacer) number(i int) (int, error) {
	k := i
	if r.src[k] == '-' {
		k++
	}
	from := k
	if k = r.digits(k); k == from || r.src[from] == '0' && k > from+1 {
		return 0, malformed(i, "a number that is none")
	}
	if k < len(r.src) && r.src[k] == '.' {
		from = k + 1
		if k = r.digits(from); k == from {
			return 0, malformed(i, "a number without digits after its point")
		}
	}
	if k < len(r.src) && (r.src[k] == 'e' || r.src[k] == 'E') {
		k++
		if k < len(r.src) && (r.src[k] == '-' || r.src[k] == '+') {
			k++
		}
		from = k
		if k = r.digits(from); k == from {
			return 0, malformed(i, "a number without digits in its exponent")
		}
	}
	return k, nil
}

func (r *Replacer) digits(i int) int {
	for i < len(r.src) && r.src[i] >= '0' && r.src[i] <= '9' {
		i++
	}
	return i
}

// text scans the string that begins at i.
func (r *Replacer) text(i int) (int, error) {
	for k := i + 1; k < len(r.src); k++ {
		switch c := r.src[k]; {
		case c == '"':
			return k + 1, nil
		case c < 0x20:
			return 0, malformed(k, "a control character in a string")
		case c == '\\':
			k++
			if k >= len(r.src) {
				break
			}
			if r.src[k] == 'u' {
				if _, ok := hex4(r.src[k+1:]); !ok {
					return 0, malformed(k-1, "an escape that is none")
				}
				k += 4
			} else if bytes.IndexByte([]byte(`"\/bfnrt`), r.src[k]) < 0 {
				return 0, malformed(k-1, "an escape that is none")
			}
		}
	}
	return 0, malformed(i, "a string without an end")
}

// appendUnquoted appends the inside of a string that text has scanned without its escapes.
func appendUnquoted(dst, s []byte) []byte {
	dst, ok := Unescape(dst, s)
	if !ok {
		panic("BUG: a string with an escape that is none was scanned")
	}
	return dst
}

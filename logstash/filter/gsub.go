package filter

import (
	"bytes"
	"strings"

	"github.com/narudata/naru/logstash/pattern/regex"
)

// A needle is the pattern of a gsub, compiled. It is safe for concurrent use.
type needle struct {
	re   *regex.Regexp
	text []byte // the pattern itself if it is a plain text; nil if it is not
}

// compileNeedle compiles a pattern of Ruby.
func compileNeedle(pattern string) (*needle, error) {
	re, err := regex.Compile(pattern, regex.Options{})
	if err != nil {
		return nil, err
	}
	n := &needle{re: re}
	if pattern != "" && !strings.ContainsAny(pattern, `\.[]{}()*+?^$|`) {
		n.text = []byte(pattern)
	}
	return n, nil
}

// replaceAll appends s with all matches replaced, see regex.Regexp.Replace. It is false, and dst is as it was, if there are
// none.
func (n *needle) replaceAll(dst []byte, s, replacement string, m *regex.Match) ([]byte, bool, error) {
	in := bytesOf(s)
	if n.text == nil || strings.IndexByte(replacement, '\\') >= 0 {
		out, count, err := n.re.Replace(dst, in, bytesOf(replacement), m)
		if err != nil || count == 0 {
			return dst, false, err
		}
		return out, true, nil
	}
	i := bytes.Index(in, n.text)
	if i < 0 {
		return dst, false, nil
	}
	for ; i >= 0; i = bytes.Index(in, n.text) {
		dst = append(append(dst, in[:i]...), replacement...)
		in = in[i+len(n.text):]
	}
	return append(dst, in...), true, nil
}

package web

import (
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/narudata/naru/internal/sized"
)

// A Request is what a record's Meta says of the request that it came by. Its strings are parts of the Meta.
type Request struct {
	Remote  string // the client's address, without a port
	Method  string
	Target  string // path and query, as the client wrote them
	Version string // "HTTP/1.1"
	Host    string // empty: none
	Header  []Field
}

// A Field is one line of a request's header, in the order of names. A name that comes more than once is there once, with the last
// value.
type Field struct{ Name, Value string }

// appendMeta appends what a request's head says, beside credentials: texts, each an uvarint length and bytes, first the five
// of Request, then names and values in turn. The length of the body is what it is after it was decoded.
func appendMeta(dst []byte, r *http.Request, remote string, body int, decoded bool) []byte {
	for _, s := range []string{remote, r.Method, r.RequestURI, r.Proto, r.Host} {
		dst = sized.Append(dst, s)
	}
	names := make([]string, 0, len(r.Header)+1)
	for name := range r.Header {
		switch name {
		case "Authorization", "Content-Length", "Host":
			continue
		case "Content-Encoding":
			if decoded {
				continue
			}
		}
		names = append(names, name)
	}
	names = append(names, "Content-Length")
	slices.Sort(names)
	for _, name := range names {
		value := strconv.Itoa(body)
		if values := r.Header[name]; name != "Content-Length" && len(values) > 0 {
			value = values[len(values)-1]
		}
		dst = sized.Append(sized.Append(dst, name), value)
	}
	return dst
}

var errMeta = errors.New("this says of no request")

// ParseRequest reads the Meta of a record.
func ParseRequest(meta []byte) (Request, error) {
	from := sized.Reader{Left: meta}
	r := Request{Remote: from.Text(), Method: from.Text(), Target: from.Text(), Version: from.Text(), Host: from.Text()}
	for len(from.Left) > 0 {
		f := Field{Name: from.Text()}
		if len(from.Left) > 0 { // a name may be the end
			f.Value = from.Text()
		}
		r.Header = append(r.Header, f)
	}
	if from.Short {
		return Request{}, errMeta
	}
	return r, nil
}

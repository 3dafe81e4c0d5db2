package web

import (
	"encoding/binary"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"unsafe"
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
		dst = appendSized(dst, s)
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
		dst = appendSized(appendSized(dst, name), value)
	}
	return dst
}

func appendSized(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

var errMeta = errors.New("this says of no request")

// ParseRequest reads the Meta of a record.
func ParseRequest(meta []byte) (Request, error) {
	var r Request
	for i := 0; i < 5 || len(meta) > 0; i++ {
		n, size := binary.Uvarint(meta)
		if size <= 0 || n > uint64(len(meta)-size) {
			return Request{}, errMeta
		}
		end := size + int(n) //nolint:gosec // it is less than the length
		s := unsafe.String(unsafe.SliceData(meta[size:end]), end-size)
		meta = meta[end:]
		switch {
		case i < 5:
			*[]*string{&r.Remote, &r.Method, &r.Target, &r.Version, &r.Host}[i] = s
		case i%2 == 1:
			r.Header = append(r.Header, Field{Name: s})
		default:
			r.Header[len(r.Header)-1].Value = s
		}
	}
	return r, nil
}

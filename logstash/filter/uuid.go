package filter

import (
	"crypto/rand"
	"encoding/hex"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// UUID gives events a random identifier (RFC 4122, version 4).
//
// Source: logstash-filter-uuid 3.0.
//
// Differences:
//   - a field that is no reference is an error of the configuration; Logstash finds it with the first event.
type UUID struct {
	option.Common
	Target    *event.Ref `ls:"target,required" doc:"the field that gets the identifier"`
	Overwrite bool       `ls:"overwrite" default:"false" doc:"whether a field that is there is replaced"`
}

type uuid struct {
	*UUID
	where string
	room  textRoom
}

// Setup implements Plugin.
func (u *UUID) Setup(s *Setup) (Filter, error) { return &uuid{UUID: u, where: s.Where}, nil }

// Fork implements Forker.
func (f *uuid) Fork() Filter { return &uuid{UUID: f.UUID, where: f.where} }

// Filter implements Filter.
func (f *uuid) Filter(x *Context, e *event.Event) {
	if f.Overwrite || e.Get(f.Target).Nil() {
		x.Buf = appendUUID(x.Buf[:0])
		set(x, f.where, e, f.Target, event.StringValue(f.room.keep(x.Buf)))
	}
	succeed(x, f.where, &f.Common, e)
}

// appendUUID appends a random identifier.
func appendUUID(dst []byte) []byte {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	for i, from := range [...]int{0, 4, 6, 8, 10} {
		to := [...]int{4, 6, 8, 10, 16}[i]
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, b[from:to])
	}
	return dst
}

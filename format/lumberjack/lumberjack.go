// Package lumberjack reads and writes the frames that Beats, Elastic Agent and logstash-forwarder send events in, and that
// acknowledge them: the Lumberjack protocol, versions 1 and 2. It does no I/O. All that is read is foreign: every length is
// held against a limit before anything is made of it.
//
// A frame begins with its version and its kind, both ASCII; numbers are big-endian and have 32 bits:
//
//	'1'|'2' 'W' events                                     a window begins: so many events until an acknowledgement is due
//	'1'|'2' 'D' sequence pairs {length key length value}…  an event: texts with names (version 1)
//	'1'|'2' 'J' sequence length bytes                      an event: a JSON object (version 2)
//	'1'|'2' 'C' length bytes                               frames as a zlib stream
//	'1'|'2' 'A' sequence                                   an acknowledgement of all events of the window up to this one
//
// The sequence begins at 1 in each window; clients of version 1 may go on counting. An acknowledgement of 0 acknowledges
// nothing: it says that the receiver is alive, or answers a window of no events.
//
// Sources: PROTOCOL.md and org.logstash.beats.BeatsParser of logstash-input-beats, go-lumber's client, PROTOCOL.md of
// logstash-forwarder.
package lumberjack

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/narudata/naru/internal/jackson"
)

// The versions.
const (
	V1 byte = '1'
	V2 byte = '2'
)

// A Kind says what a frame is.
type Kind byte

// The kinds.
const (
	Window     Kind = 'W'
	Data       Kind = 'D'
	JSON       Kind = 'J'
	Compressed Kind = 'C'
	Ack        Kind = 'A'
)

// String names the kind.
func (k Kind) String() string {
	switch k {
	case Window:
		return "window"
	case Data:
		return "data"
	case JSON:
		return "JSON"
	case Compressed:
		return "compressed"
	case Ack:
		return "acknowledgement"
	}
	return "unknown (" + strconv.QuoteRune(rune(k)) + ")"
}

// Event reports that a frame of this kind is an event.
func (k Kind) Event() bool { return k == Data || k == JSON }

// A Frame is one frame.
type Frame struct {
	Version byte
	Kind    Kind
	N       uint32 // Window: how many events; Data, JSON, Ack: the sequence
	Body    []byte // Data: the pairs; JSON: the object, perhaps; Compressed: zlib. A part of what it was cut from
}

// Errors of frames.
var (
	// ErrFrame says that bytes are no frame.
	ErrFrame = errors.New("no lumberjack frame")
	// ErrLimit says that a frame is larger than it may be.
	ErrLimit = errors.New("beyond the limit of a lumberjack frame")
)

// Limits bound what is read. Those that are 0 have a default.
type Limits struct {
	Window     uint32 // events of a window; 1<<24
	Event      int    // bytes of an event; 32 MiB
	Pairs      int    // of an event of version 1; 4096
	Compressed int    // bytes of a compressed frame; 64 MiB
	Inflated   int64  // bytes of the frames in it; 1 GiB
}

// The default limits.
const (
	DefaultWindow     = 1 << 24
	DefaultEvent      = 32 << 20
	DefaultPairs      = 4096
	DefaultCompressed = 64 << 20
	DefaultInflated   = 1 << 30
)

const (
	headBytes = 2               // version and kind
	shortHead = headBytes + 4   // with one number
	longHead  = headBytes + 2*4 // with two
)

// MostHead is how long a frame is at most in front of what it says the length of.
const MostHead = longHead

// Cut takes the first frame off in; size is how long it is. If in ends before the frame does it is not ok, and size is how
// many bytes it takes to know more: a caller reads so many and tries again. An error is an ErrFrame or an ErrLimit.
func (l *Limits) Cut(in []byte) (f Frame, size int, ok bool, err error) {
	if len(in) > 0 && in[0] != V1 && in[0] != V2 {
		return f, 0, false, fmt.Errorf("%w: found %s where a version, '1' or '2', is expected", ErrFrame, quoted(in[0]))
	}
	if len(in) < headBytes {
		return f, shortHead, false, nil
	}
	f.Version, f.Kind = in[0], Kind(in[1])
	switch f.Kind {
	case Window, Ack:
		if len(in) < shortHead {
			return f, shortHead, false, nil
		}
		f.N = binary.BigEndian.Uint32(in[headBytes:])
		if most := cmp.Or(l.Window, DefaultWindow); f.Kind == Window && f.N > most {
			return f, 0, false, fmt.Errorf("%w: a window of %d events, more than %d", ErrLimit, f.N, most)
		}
		return f, shortHead, true, nil
	case JSON:
		if len(in) < longHead {
			return f, longHead, false, nil
		}
		f.N = binary.BigEndian.Uint32(in[headBytes:])
		return body(f, in, longHead, binary.BigEndian.Uint32(in[headBytes+4:]), cmp.Or(l.Event, DefaultEvent))
	case Compressed:
		if len(in) < shortHead {
			return f, shortHead, false, nil
		}
		return body(f, in, shortHead, binary.BigEndian.Uint32(in[headBytes:]), cmp.Or(l.Compressed, DefaultCompressed))
	case Data:
		return l.cutData(f, in)
	}
	return f, 0, false, fmt.Errorf("%w: found %s where a kind, 'W', 'D', 'J', 'C' or 'A', is expected", ErrFrame, quoted(in[1]))
}

func quoted(c byte) string {
	if c < utf8.RuneSelf {
		return strconv.QuoteRune(rune(c))
	}
	return fmt.Sprintf("the byte 0x%02x", c)
}

// body cuts what follows a frame's head.
func body(f Frame, in []byte, head int, length uint32, most int) (Frame, int, bool, error) {
	switch {
	case length == 0:
		return f, 0, false, fmt.Errorf("%w: a %s frame has no bytes", ErrFrame, f.Kind)
	case int64(length) > int64(most):
		return f, 0, false, fmt.Errorf("%w: a %s frame of %d bytes, more than %d", ErrLimit, f.Kind, length, most)
	}
	size := head + int(length)
	if len(in) < size {
		return f, size, false, nil
	}
	f.Body = in[head:size:size]
	return f, size, true, nil
}

// cutData cuts an event of version 1, which does not say how long it is.
func (l *Limits) cutData(f Frame, in []byte) (Frame, int, bool, error) {
	if len(in) < longHead {
		return f, longHead, false, nil
	}
	f.N = binary.BigEndian.Uint32(in[headBytes:])
	pairs := binary.BigEndian.Uint32(in[headBytes+4:])
	if most := cmp.Or(l.Pairs, DefaultPairs); int64(pairs) > int64(most) {
		return f, 0, false, fmt.Errorf("%w: a data frame of %d pairs, more than %d", ErrLimit, pairs, most)
	}
	if pairs == 0 {
		return f, 0, false, fmt.Errorf("%w: a data frame has no pairs", ErrFrame)
	}
	most := cmp.Or(l.Event, DefaultEvent)
	at := longHead
	for range 2 * pairs {
		if len(in)-at < 4 {
			return f, at + 4, false, nil
		}
		n := binary.BigEndian.Uint32(in[at:])
		at += 4
		if int64(n) > int64(most-at) {
			return f, 0, false, fmt.Errorf("%w: a data frame of more than %d bytes", ErrLimit, most)
		}
		if len(in)-at < int(n) {
			return f, at + int(n), false, nil
		}
		at += int(n)
	}
	f.Body = in[longHead:at:at]
	return f, at, true, nil
}

// A Pair is a text of an event of version 1.
type Pair struct{ Key, Value string }

// AppendObject appends the event of a Data frame that Cut gave, as a JSON object. Bytes that are not UTF-8 become U+FFFD.
func AppendObject(dst []byte, f Frame) []byte {
	dst = append(dst, '{')
	in := f.Body
	for i := 0; len(in) > 0; i++ {
		key, rest := sized(in)
		value, rest := sized(rest)
		in = rest
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(append(appendText(dst, key), ':'), value)
	}
	return append(dst, '}')
}

// sized takes a text off, behind its length. What is cut off is empty; Cut gives nothing of that kind.
func sized(in []byte) (text, rest []byte) {
	if len(in) < 4 {
		return nil, nil
	}
	n := binary.BigEndian.Uint32(in)
	in = in[4:]
	if uint64(n) > uint64(len(in)) {
		return nil, nil
	}
	return in[:n], in[n:]
}

func appendText(dst, text []byte) []byte {
	dst = append(dst, '"')
	for len(text) > 0 {
		plain := 0
		for plain < len(text) && text[plain] >= 0x20 && text[plain] < utf8.RuneSelf && text[plain] != '"' && text[plain] != '\\' {
			plain++
		}
		dst = append(dst, text[:plain]...)
		if text = text[plain:]; len(text) == 0 {
			break
		}
		if text[0] < utf8.RuneSelf {
			dst, text = jackson.AppendEscape(dst, text[0]), text[1:]
			continue
		}
		r, n := utf8.DecodeRune(text)
		dst, text = utf8.AppendRune(dst, r), text[n:]
	}
	return append(dst, '"')
}

package filter

import "unsafe"

// A textRoom is where texts are written that events keep. Many share a block, so that a text costs no allocation of its
// own; a block goes when no event has a text of it. It is not safe for concurrent use: each worker has its own.
type textRoom struct{ block []byte }

const (
	roomBlock   = 8 << 10
	roomLargest = 1 << 10 // longer texts get room of their own
)

// keep gives a copy of text that stays as it is.
func (r *textRoom) keep(text []byte) string {
	if len(text) == 0 {
		return ""
	}
	if len(text) > roomLargest {
		return string(text)
	}
	if cap(r.block)-len(r.block) < len(text) {
		r.block = make([]byte, 0, roomBlock)
	}
	start := len(r.block)
	r.block = append(r.block, text...)
	return unsafe.String(&r.block[start], len(text))
}

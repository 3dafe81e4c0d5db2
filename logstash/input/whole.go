package input

import (
	"bytes"

	"github.com/narudata/naru/logstash/codec"
)

// whole decodes messages that are whole by themselves, as packets and bodies of requests are: a codec that reads lines gets
// the lines of each, and what it holds back is given at its end.
type whole struct {
	codec.Decoder
	delimiter []byte
}

func newWhole(of codec.Decoder) *whole { return &whole{of, []byte(of.Delimiter())} }

// Fork implements codec.Forker.
func (w *whole) Fork() codec.Codec {
	own := *w
	if forker, ok := w.Decoder.(codec.Forker); ok {
		if d, ok := forker.Fork().(codec.Decoder); ok {
			own.Decoder = d
		}
	}
	return &own
}

// Delimiter implements codec.Decoder: nothing cuts what is whole.
func (*whole) Delimiter() string { return "" }

// Decode implements codec.Decoder.
func (w *whole) Decode(x *codec.Context, message []byte) {
	for len(w.delimiter) > 0 {
		i := bytes.Index(message, w.delimiter)
		if i < 0 {
			break
		}
		w.Decoder.Decode(x, message[:i:i])
		if message = message[i+len(w.delimiter):]; len(message) == 0 {
			w.flush(x)
			return
		}
	}
	w.Decoder.Decode(x, message)
	w.flush(x)
}

func (w *whole) flush(x *codec.Context) {
	if f, ok := w.Decoder.(codec.Flusher); ok {
		f.Flush(x)
	}
}

// kinds decodes messages that begin with a byte that says which decoder is theirs.
type kinds struct {
	*whole
	others []*whole // of the bytes 1, 2, …
}

// Fork implements codec.Forker.
func (k *kinds) Fork() codec.Codec {
	own := &kinds{others: make([]*whole, len(k.others))}
	own.whole, _ = k.whole.Fork().(*whole)
	for i, o := range k.others {
		own.others[i], _ = o.Fork().(*whole)
	}
	return own
}

// Decode implements codec.Decoder.
func (k *kinds) Decode(x *codec.Context, message []byte) {
	if len(message) == 0 {
		return // not of this source
	}
	kind := int(message[0])
	message = message[1:]
	if kind > 0 && kind <= len(k.others) {
		k.others[kind-1].Decode(x, message)
		return
	}
	k.whole.Decode(x, message)
}

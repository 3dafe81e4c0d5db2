// Package codec holds Logstash's codecs, one file each: what inputs make events with, and outputs make bytes of them. A codec
// is a struct whose tagged fields are its options, as a filter is; table.go lists them all.
package codec

import (
	"context"
	"log/slog"
	"time"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// A Codec decodes, encodes, or both: it is a Decoder, an Encoder, or both. It may be used by several workers at a time, unless
// it is a Forker.
type Codec interface{ codec() }

// A Decoder makes events of messages.
type Decoder interface {
	Codec
	// Decode makes the events of one message and emits them. Events may have parts of the message, which must not be changed
	// as long as they are in use. It never fails: what cannot be decoded is an event with a tag.
	Decode(x *Context, message []byte)
	// Delimiter is what messages end in where the input is a stream; "" if the codec takes all that an input reads at
	// a time for one message.
	Delimiter() string
}

// An Encoder makes bytes of events.
type Encoder interface {
	Codec
	// Encode appends what an output writes of an event, delimiters included.
	Encode(dst []byte, e *event.Event) []byte
}

// A Checked is an encoder for which some events are wrong. Outputs make dead letters of those.
type Checked interface {
	Encoder
	// EncodeChecked is Encode, which may fail; then it gives dst as it was.
	EncodeChecked(dst []byte, e *event.Event) ([]byte, error)
}

// Encode encodes an event. The error is of a Checked encoder, and of that event alone.
func Encode(encoder Encoder, dst []byte, e *event.Event) ([]byte, error) {
	if c, ok := encoder.(Checked); ok {
		return c.EncodeChecked(dst, e)
	}
	return encoder.Encode(dst, e), nil
}

// An Opener is a codec that needs something before the first message, such as a schema. A run opens it before its inputs and outputs,
// and does not begin if that fails. It may be called several times, and concurrently with the rest.
type Opener interface {
	Codec
	Open(ctx context.Context) error
}

// A Forker is a codec with a state for each stream.
type Forker interface {
	Codec
	Fork() Codec
}

// An Ordered is a codec that perhaps must see all messages or events of an input or output, in their order: when Alone says so,
// only one worker may use it.
type Ordered interface {
	Codec
	Alone() bool
}

// A Flusher is a decoder that holds events back.
type Flusher interface {
	Decoder
	// Flush emits what is held, at the end of a stream or when nothing came for a while.
	Flush(x *Context)
}

// A Holder is a decoder that may keep something of a message for the next one. Each stream, file or connection has its own.
type Holder interface {
	Decoder
	// Holds reports that it does now.
	Holds() bool
}

// A Due is a decoder whose Flush may be due while nothing comes.
type Due interface {
	Decoder
	Due(now time.Time) bool
}

// A Plugin is a codec with its options filled in and not yet set up.
type Plugin interface {
	// Setup checks the options and gives the codec. An error is one of the configuration.
	Setup(s *Setup) (Codec, error)
}

// A Setup is what a codec is set up with.
type Setup struct {
	ECS   string // disabled, v1 or v8
	Style event.EscapeStyle
	Dir   string // what relative paths are relative to
	Log   *slog.Logger
	Where string // "pipeline.conf:12:3"
	// Stream says that the input gives bytes without regard to where messages end.
	Stream bool
}

// A Context is a worker's own.
type Context struct {
	// New gives an event without any fields; it is reused when the batch is done.
	New func() *event.Event
	// Emit takes an event.
	Emit func(*event.Event)
	// Now is the @timestamp of events that have none.
	Now time.Time
	Log *slog.Logger
}

// common are the options that all codecs have.
type common struct {
	ID           string `ls:"id" doc:"a name for this codec, for logs and figures"`
	EnableMetric bool   `ls:"enable_metric" default:"true" doc:"whether figures are kept of this codec"`
}

func (common) codec() {}

// failed emits an event for a message that could not be decoded.
func failed(x *Context, message, tag string) {
	e := x.New()
	e.Fields().Set("message", event.StringValue(message))
	e.Complete(x.Now)
	e.Tag(tag)
	x.Emit(e)
}

// setsOriginal tells whether a codec sets [event][original]: by its option, or else by the pipeline's.
func (s *Setup) setsOriginal(option string) bool {
	if option == "" {
		option = s.ECS
	}
	return option != "" && option != "disabled"
}

// refOriginal is the field that gets a message as it came.
var refOriginal = func() *event.Ref {
	r, err := event.ParseRef("[event][original]")
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return r
}()

// into puts what was decoded below a field, and completes the event. It is not ok if there is something in the way.
func into(x *Context, e *event.Event, target *event.Ref, decoded event.Value) {
	e.Complete(x.Now)
	if err := e.Set(target, decoded); err != nil {
		e.Tag("_targetfailure")
	}
}

// textSetup is what codecs with a charset and a format have in common.
func charsetOf(name string) (*charset, error) {
	c, ok := charsets[name]
	if !ok {
		return nil, option.Errorf("charset", "naru knows %s, not %q", charsetNames, name)
	}
	return c, nil
}

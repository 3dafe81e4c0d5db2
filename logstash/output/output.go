// Package output has Logstash's outputs, one file each: their options by Logstash's names, how an event becomes the record
// that is written, and the sink it goes to. Table lists them. What moves bytes is in connect/*.
package output

import (
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/input"
	"github.com/narudata/naru/logstash/option"
)

// Options are the options that all outputs have. An output embeds them.
//
// Source: LogStash::Outputs::Base.
type Options struct {
	Codec        option.Codec `ls:"codec" doc:"how events are written"`
	Workers      int64        `ls:"workers" default:"1" doc:"how many threads write"`
	ID           string       `ls:"id" doc:"a name for this plugin, for logs and figures"`
	EnableMetric bool         `ls:"enable_metric" default:"true" doc:"whether figures are kept of this plugin"`
}

// PluginID gives the option id.
func (o *Options) PluginID() string { return o.ID }

// Common gives the options that all outputs have.
func (o *Options) Common() *Options { return o }

// A Plugin is the options of an output: a pointer to a struct that embeds Options, filled in from the configuration.
type Plugin interface {
	Common() *Options
	// DefaultCodec is the codec it has if none is given.
	DefaultCodec() string
	// Setup checks the options together (option.Errorf) and gives the output. It opens nothing.
	Setup(s *Setup) (Output, error)
}

// A Setup is what an output is set up with.
type Setup struct {
	ECS    string // disabled, v1 or v8
	Style  event.EscapeStyle
	Dir    string
	Log    *slog.Logger
	Now    func() time.Time
	Where  string // "pipeline.conf:12:3"
	Getenv func(name string) string
	Role   *input.Role // nil: the pipeline takes part in no route
}

// An Output is one that is set up.
type Output interface {
	// Former gives what makes records of events: one for each worker, with an encoder of its own.
	Former(e codec.Encoder) Former
	// Open makes the sink of one run.
	Open(r *Run) (stream.Sink, error)
}

// A Former makes the record that is to be written of an event. It is used by one worker.
type Former interface {
	// Form appends what is written to dst, which it returns, and fills r, whose slices may be parts of dst. Strings must be
	// kept ones: not parts of dst or of the event. The port is set by the caller. ErrNothing: there is nothing to write of this
	// event. Any other error is why the event cannot be written: a dead letter with what r has then, so r should have the event as
	// its Body.
	Form(dst []byte, r *flow.Record, e *event.Event) ([]byte, error)
}

// ErrNothing says that an event gives no record.
var ErrNothing = errors.New("nothing to write")

// A Run is what an output has of the run of its pipeline.
type Run struct {
	ID        string // of the plugin
	Pipeline  string // the pipeline's id
	Stdout    io.Writer
	Data      string // the folder for what must outlive the process (path.data)
	Log       *slog.Logger
	Ordered   bool // the pipeline has one worker: what is written must keep the order of what was read
	Addresses *input.Addresses
}

// Encoded is a Former for outputs that write what the codec gives.
type Encoded struct{ Encoder codec.Encoder }

// Form implements Former.
func (f Encoded) Form(dst []byte, r *flow.Record, e *event.Event) ([]byte, error) {
	start := len(dst)
	dst, err := codec.Encode(f.Encoder, dst, e)
	if err != nil {
		dst = e.AppendJSON(dst)
	}
	r.Body = dst[start:len(dst):len(dst)]
	return dst, err
}

// Package input has Logstash's inputs, one file each: their options by Logstash's names, and the source that they become.
// Table lists them. What moves bytes is in connect/*; an input maps options onto it, and says how records become events.
package input

import (
	"io"
	"log/slog"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// Options are the options that all inputs have. An input embeds them.
//
// Source: LogStash::Inputs::Base.
type Options struct {
	Type         string          `ls:"type" doc:"the field type of events that have none"`
	Codec        option.Codec    `ls:"codec" doc:"how events are made of what is read"`
	Tags         []*event.Format `ls:"tags" doc:"tags to add to events"`
	AddField     option.Hash     `ls:"add_field" doc:"fields to add to events"`
	ID           string          `ls:"id" doc:"a name for this plugin, for logs and figures"`
	EnableMetric bool            `ls:"enable_metric" default:"true" doc:"whether figures are kept of this plugin"`
}

// PluginID gives the option id.
func (o *Options) PluginID() string { return o.ID }

// Common gives the options that all inputs have.
func (o *Options) Common() *Options { return o }

// A Plugin is the options of an input: a pointer to a struct that embeds Options, filled in from the configuration.
type Plugin interface {
	Common() *Options
	// Traits says how the input reads.
	Traits() Traits
	// Setup checks the options together (option.Errorf) and gives the input. It opens nothing: a configuration is also
	// checked where there is nothing to connect to.
	Setup(s *Setup) (Input, error)
}

// Traits say how an input reads.
type Traits struct {
	Codec string // the codec it has if none is given
	// Bytes says that it gives bytes without regard to where messages end; the codec's delimiter cuts them. It decides what
	// some codecs (json, plain) make of them.
	Bytes bool
}

// A Setup is what an input is set up with.
type Setup struct {
	ECS    string // disabled, v1 or v8: that of the pipeline, for inputs without an option of their own
	Style  event.EscapeStyle
	Dir    string // what relative paths are relative to
	Log    *slog.Logger
	Now    func() time.Time
	Where  string // "pipeline.conf:12:3"
	Getenv func(name string) string
	Role   *Role // nil: the pipeline takes part in no route
}

// An Input is one that is set up.
type Input interface {
	// Open makes the source of one run. It may fail at what only a run can know: a port that is taken, a file that cannot
	// be read.
	Open(r *Run) (stream.Source, error)
}

// A Run is what an input has of the run of its pipeline.
type Run struct {
	Port     int32  // of the records it gives: flow.Record.Port must be this
	ID       string // of the plugin
	Pipeline string // the pipeline's id
	// Delimiter is what the codec wants messages to be cut at, where the input gives bytes; empty: take all that is read at
	// a time for one message.
	Delimiter []byte
	Stdin     io.Reader
	Data      string // the folder for what must outlive the process (Logstash's path.data); it need not exist yet
	Log       *slog.Logger
	BatchSize int // most events of a batch where nothing else bounds it; 0: what is good
	Addresses *Addresses
}

// A Describer adds to events what the source says of their record: hosts, paths, offsets. It is called concurrently, after
// the codec, before the options type, tags and add_field; e may be one of several of the record.
type Describer interface {
	Describe(e *event.Event, r *flow.Record)
}

// A DescriberForker is a Describer that remembers what it said: each worker has one of its own, which is not called concurrently.
type DescriberForker interface {
	Describer
	ForkDescriber() Describer
}

// A Decoder makes another decoder of the codec's, for records that are not messages but have some: documents of Beats.
type Decoder interface {
	Decoder(of codec.Decoder) codec.Decoder
}

// An Identifier says what records belong together for codecs that hold messages back, such as multiline: a file, a
// connection. Without it, an input's records with equal Meta do.
type Identifier interface {
	Identity(r *flow.Record) []byte
}

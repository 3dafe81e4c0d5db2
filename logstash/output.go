package logstash

import (
	"maps"
	"slices"

	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/syntax"
)

// An Output is where events go.
type Output struct {
	Name    string
	ID      string
	Pos     syntax.Pos
	Encoder codec.Encoder
	// Options is the struct with the output's own options, a *File for one.
	Options any
}

// OutputOptions are the options that all outputs have.
//
// Source: LogStash::Outputs::Base.
type OutputOptions struct {
	Codec        option.Codec `ls:"codec" doc:"how events are written"`
	Workers      int64        `ls:"workers" default:"1" doc:"how many threads write"`
	ID           string       `ls:"id" doc:"a name for this plugin, for logs and figures"`
	EnableMetric bool         `ls:"enable_metric" default:"true" doc:"whether figures are kept of this plugin"`
}

// PluginID gives the option id.
func (o *OutputOptions) PluginID() string { return o.ID }

func (o *OutputOptions) common() *OutputOptions { return o }

// An outputPlugin is the options of an output.
type outputPlugin interface {
	common() *OutputOptions
	// codecName is the codec it has if none is given.
	codecName() string
	check() error
}

// outputs are those that are built in.
var outputs = map[string]func() outputPlugin{
	"stdout":      func() outputPlugin { return new(Stdout) },
	"java_stdout": func() outputPlugin { return new(Stdout) },
	"file":        func() outputPlugin { return new(File) },
	"null":        func() outputPlugin { return new(Null) },
	"sink":        func() outputPlugin { return new(Null) },
}

// Stdout writes to standard output.
//
// Source: LogStash::Outputs::Stdout of logstash-output-stdout 3.1.
type Stdout struct{ OutputOptions }

func (*Stdout) codecName() string { return "rubydebug" }
func (*Stdout) check() error      { return nil }

// Null writes nothing.
//
// Source: LogStash::Outputs::Null of logstash-output-null 3.0.
type Null struct{ OutputOptions }

func (*Null) codecName() string { return "plain" }
func (*Null) check() error      { return nil }

// File writes events to files, whose names may have parts of the events.
//
// Source: LogStash::Outputs::File of logstash-output-file 4.3.
type File struct {
	OutputOptions
	Path                 *event.Format `ls:"path,required" doc:"the file's name; it may have references to fields, but for its first folder"`
	FlushInterval        int64         `ls:"flush_interval" default:"2" doc:"after how many seconds written events are in the file; 0: after every event"`
	Gzip                 bool          `ls:"gzip" default:"false" doc:"whether the file is compressed with gzip"`
	FilenameFailure      string        `ls:"filename_failure" default:"_filepath_failures" doc:"the file that gets events whose path lies outside of the first folder"`
	CreateIfDeleted      bool          `ls:"create_if_deleted" default:"true" doc:"whether a file that was deleted is made again"`
	DirMode              int64         `ls:"dir_mode" default:"-1" doc:"the access rights of folders that are made; -1: those of the system"`
	FileMode             int64         `ls:"file_mode" default:"-1" doc:"the access rights of files that are made; -1: those of the system"`
	WriteBehavior        string        `ls:"write_behavior" enum:"append|overwrite" default:"append" doc:"whether events are written behind what is there"`
	StaleCleanupInterval int64         `ls:"stale_cleanup_interval" default:"10" doc:"after how many seconds without an event a file is closed"`
}

func (*File) codecName() string { return "json_lines" }
func (*File) check() error      { return nil }

// Obsolete lists options that there were once.
func (*File) Obsolete() map[string]string {
	return map[string]string{"max_size": "rotate the files with logrotate", "message_format": "use codec => line { format => … }"}
}

// output makes an output, and gives its number.
func (c *compiler) output(p *syntax.Plugin) int {
	create, ok := outputs[p.Name]
	if !ok {
		c.unknown("output", p.Pos, p.Name, slices.Collect(maps.Keys(outputs)), shipped[syntax.Output])
		return -1
	}
	plugin := create()
	if c.problems(option.Decode(p, plugin, c.env(syntax.Output, ""))) {
		return -1
	}
	if err := plugin.check(); err != nil {
		c.invalid(p, string(syntax.Output), err)
		return -1
	}
	made := c.codec(p, plugin.common().Codec, plugin.codecName(), false)
	if made == nil {
		return -1
	}
	encoder, ok := made.(codec.Encoder)
	if !ok {
		c.errorf(p.Pos, "the codec of %s output cannot write: it only reads", p.Name)
		return -1
	}
	c.p.Outputs = append(c.p.Outputs, &Output{Name: p.Name, Pos: p.Pos, ID: c.id(p, plugin), Encoder: encoder, Options: plugin})
	return len(c.p.Outputs) - 1
}

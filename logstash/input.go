package logstash

import (
	"maps"
	"slices"

	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/syntax"
)

// An Input is where events come from.
type Input struct {
	Name    string
	ID      string
	Pos     syntax.Pos
	Decoder codec.Decoder
	// Options is the struct with the input's own options, a *Stdin for one.
	Options any

	typ      event.Value // what the option type says; Absent without
	decorate *option.Common
}

// InputOptions are the options that all inputs have.
//
// Source: LogStash::Inputs::Base.
type InputOptions struct {
	Type         string          `ls:"type" doc:"the field type of events that have none"`
	Codec        option.Codec    `ls:"codec" doc:"how events are made of what is read"`
	Tags         []*event.Format `ls:"tags" doc:"tags to add to events"`
	AddField     option.Hash     `ls:"add_field" doc:"fields to add to events"`
	ID           string          `ls:"id" doc:"a name for this plugin, for logs and figures"`
	EnableMetric bool            `ls:"enable_metric" default:"true" doc:"whether figures are kept of this plugin"`
}

// PluginID gives the option id.
func (o *InputOptions) PluginID() string { return o.ID }

func (o *InputOptions) common() *InputOptions { return o }

// An inputPlugin is the options of an input.
type inputPlugin interface {
	common() *InputOptions
	// traits says how the input reads: the codec it has if none is given, and whether it reads a stream.
	traits() (codec string, stream bool)
	// check looks for what is wrong with the options together.
	check() error
}

// inputs are those that are built in.
var inputs = map[string]func() inputPlugin{
	"stdin":      func() inputPlugin { return new(Stdin) },
	"java_stdin": func() inputPlugin { return new(Stdin) },
	"generator":  func() inputPlugin { return new(Generator) },
}

// Stdin reads standard input.
//
// Source: LogStash::Inputs::Stdin of logstash-input-stdin 3.4.
//
// Differences:
//   - The host is not set.
type Stdin struct {
	InputOptions
	ECSCompatibility string `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"which names of fields are used; without it, those of the pipeline"`
}

func (*Stdin) traits() (string, bool) { return "line", true }
func (*Stdin) check() error           { return nil }

// Generator gives the same messages again and again.
//
// Source: LogStash::Inputs::Generator of logstash-input-generator 3.1.
//
// Differences:
//   - The host is not set.
type Generator struct {
	InputOptions
	Message          string   `ls:"message" default:"Hello world!" doc:"the message; stdin reads it once from standard input"`
	Lines            []string `ls:"lines" doc:"messages to give in turn, instead of message"`
	Count            int64    `ls:"count" default:"0" doc:"how often; 0 goes on for ever"`
	Threads          int64    `ls:"threads" default:"1" doc:"how many threads give all of it"`
	ECSCompatibility string   `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"which names of fields are used; without it, those of the pipeline"`
}

func (*Generator) traits() (string, bool) { return "plain", false }

func (g *Generator) check() error {
	if g.Count < 0 {
		return option.Errorf("count", "expected 0 or more, found %d", g.Count)
	}
	if g.Threads < 1 {
		return option.Errorf("threads", "expected 1 or more, found %d", g.Threads)
	}
	return nil
}

// input makes an input.
func (c *compiler) input(s syntax.Statement) {
	if b, ok := s.(*syntax.Branch); ok {
		c.errorf(b.Pos, "an input section has no conditions: put them into a filter section")
		for p := range syntax.Plugins([]syntax.Statement{b}) {
			c.input(p)
		}
		return
	}
	p, ok := s.(*syntax.Plugin)
	if !ok {
		return
	}
	create, ok := inputs[p.Name]
	if !ok {
		c.unknown("input", p.Pos, p.Name, slices.Collect(maps.Keys(inputs)), shipped[syntax.Input])
		return
	}
	plugin := create()
	if c.problems(option.Decode(p, plugin, c.env(syntax.Input, ""))) {
		return
	}
	if err := plugin.check(); err != nil {
		c.invalid(p, string(syntax.Input), err)
		return
	}
	o := plugin.common()
	in := &Input{Name: p.Name, Pos: p.Pos, ID: c.id(p, plugin), Options: plugin}
	name, stream := plugin.traits()
	made := c.codec(p, o.Codec, name, stream)
	if made == nil {
		return
	}
	if in.Decoder, ok = made.(codec.Decoder); !ok {
		c.errorf(p.Pos, "the codec of %s input cannot read: it only writes", p.Name)
		return
	}
	if o.Type != "" {
		in.typ = event.StringValue(o.Type)
	}
	if len(o.Tags) > 0 || len(o.AddField) > 0 {
		in.decorate = &option.Common{AddTag: o.Tags, AddField: o.AddField}
		in.decorate.Compile(c.o.EscapeStyle)
	}
	c.p.Inputs = append(c.p.Inputs, in)
}

// codec makes the codec of an input or output; nil if it is wrong.
func (c *compiler) codec(of *syntax.Plugin, given option.Codec, name string, stream bool) codec.Codec {
	pos := of.Pos
	if given.Name != "" {
		name, pos = given.Name, given.Pos
	}
	table := codec.Table()
	create, ok := table[codecAliases(name)]
	if !ok {
		c.unknown("codec", pos, name, slices.Collect(maps.Keys(table)), shippedCodecs)
		return nil
	}
	plugin := create()
	p := given.Plugin
	if p == nil {
		p = &syntax.Plugin{Pos: pos, Name: name}
	}
	if c.problems(option.Decode(p, plugin, c.env("codec", name+" codec"))) {
		return nil
	}
	made, err := plugin.Setup(&codec.Setup{ECS: string(c.o.ECS), Style: c.o.EscapeStyle, Log: c.o.Log, Where: pos.String(), Stream: stream})
	if err != nil {
		c.invalid(p, "codec", err)
		return nil
	}
	return made
}

// codecAliases gives the name of the codec that one in Java is the same as.
func codecAliases(name string) string {
	switch name {
	case "java_line":
		return "line"
	case "java_plain":
		return "plain"
	case "jdots":
		return "dots"
	}
	return name
}

// Decorate does with an event what the input's options ask for.
func (in *Input) Decorate(e *event.Event) error {
	if in.typ.Is() && !e.GetField("type").Is() {
		if err := e.SetField("type", in.typ); err != nil {
			return err
		}
	}
	if in.decorate == nil {
		return nil
	}
	return in.decorate.Matched(e)
}

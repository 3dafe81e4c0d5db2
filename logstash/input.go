package logstash

import (
	"cmp"
	"maps"
	"slices"

	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/input"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/syntax"
)

// An Input is where events come from.
type Input struct {
	Name    string
	ID      string
	Pos     syntax.Pos
	Decoder codec.Decoder
	Plugin  input.Plugin

	node      *syntax.Plugin
	codec     codec.Codec
	made      input.Input
	describer input.Describer  // nil: the source says nothing
	identity  input.Identifier // nil: Meta
	typ       event.Value      // what the option type says; Absent without
	decorate  *option.Common
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
	table := input.Table()
	create, ok := table[p.Name]
	if !ok {
		c.unknown("input", p.Pos, p.Name, slices.Collect(maps.Keys(table)), shipped[syntax.Input])
		return
	}
	plugin := create()
	if c.problems(option.Decode(p, plugin, c.env(syntax.Input, ""))) {
		return
	}
	made, err := plugin.Setup(&input.Setup{
		ECS: string(c.o.ECS), Style: c.o.EscapeStyle, Dir: c.o.Dir, Log: c.o.Log, Now: c.o.Now, Where: p.Pos.String(), Getenv: c.getenv, Role: c.o.Role,
	})
	if err != nil {
		c.invalid(p, string(syntax.Input), err)
		return
	}
	o := plugin.Common()
	in := &Input{Name: p.Name, Pos: p.Pos, ID: c.id(p, plugin), Plugin: plugin, node: p, made: made}
	if in.Decoder = c.decoder(p, in); in.Decoder == nil {
		return
	}
	in.describer, _ = made.(input.Describer)
	in.identity, _ = made.(input.Identifier)
	if o.Type != "" {
		in.typ = event.StringValue(o.Type)
	}
	if len(o.Tags) > 0 || len(o.AddField) > 0 {
		in.decorate = &option.Common{AddTag: o.Tags, AddField: o.AddField}
		in.decorate.Compile(c.o.EscapeStyle)
	}
	c.p.Inputs = append(c.p.Inputs, in)
}

// decoder makes the decoder of an input; nil if it is wrong.
func (c *compiler) decoder(p *syntax.Plugin, in *Input) codec.Decoder {
	traits := in.Plugin.Traits()
	made := c.codec(p, in.Plugin.Common().Codec, traits.Codec, traits.Bytes)
	if made == nil {
		return nil
	}
	in.codec = made
	d, ok := made.(codec.Decoder)
	if !ok {
		c.errorf(p.Pos, "the codec of %s input cannot read: it only writes", p.Name)
		return nil
	}
	if other, ok := in.made.(input.Decoder); ok {
		return other.Decoder(d)
	}
	return d
}

// getenv gives the value of a variable; "" if there is none.
func (c *compiler) getenv(name string) string {
	v, _ := c.o.lookup(name)
	return v
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
	made, err := plugin.Setup(&codec.Setup{ECS: string(c.o.ECS), Style: c.o.EscapeStyle, Dir: c.o.Dir, Log: c.o.Log, Where: pos.String(), Stream: stream})
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

// Codec is the name of the input's codec.
func (in *Input) Codec() string {
	return cmp.Or(in.Plugin.Common().Codec.Name, in.Plugin.Traits().Codec)
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

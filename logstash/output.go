package logstash

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/output"
	"github.com/narudata/naru/logstash/syntax"
)

// An Output is where events go.
type Output struct {
	Name    string
	ID      string
	Pos     syntax.Pos
	Encoder codec.Encoder
	Plugin  output.Plugin

	node *syntax.Plugin
	made output.Output
}

// Codec is the name of the output's codec.
func (o *Output) Codec() string { return cmp.Or(o.Plugin.Common().Codec.Name, o.Plugin.DefaultCodec()) }

// output makes an output, and gives its number.
func (c *compiler) output(p *syntax.Plugin) int {
	table := output.Table()
	create, ok := table[p.Name]
	if !ok {
		c.unknown("output", p.Pos, p.Name, slices.Collect(maps.Keys(table)), shipped[syntax.Output])
		return -1
	}
	plugin := create()
	if c.problems(option.Decode(p, plugin, c.env(syntax.Output, ""))) {
		return -1
	}
	made, err := plugin.Setup(&output.Setup{
		ECS: string(c.o.ECS), Style: c.o.EscapeStyle, Dir: c.o.Dir, Log: c.o.Log, Now: c.o.Now, Where: p.Pos.String(), Getenv: c.getenv, Role: c.o.Role,
	})
	if err != nil {
		c.invalid(p, string(syntax.Output), err)
		return -1
	}
	made = output.Beside(made, c.outputName(p, plugin), p.Pos.String(), c.o.Role)
	with := c.codec(p, plugin.Common().Codec, plugin.DefaultCodec(), false)
	if with == nil {
		return -1
	}
	encoder, ok := with.(codec.Encoder)
	if !ok {
		c.errorf(p.Pos, "the codec of %s output cannot write: it only reads", p.Name)
		return -1
	}
	c.p.Outputs = append(c.p.Outputs, &Output{Name: p.Name, Pos: p.Pos, ID: c.id(p, plugin), Encoder: encoder, Plugin: plugin, node: p, made: made})
	return len(c.p.Outputs) - 1
}

// outputName is what both versions of a pipeline call an output: its id, or its name, with a number if there are more of that name.
func (c *compiler) outputName(p *syntax.Plugin, plugin output.Plugin) string {
	if id := plugin.Common().ID; id != "" {
		return id
	}
	before := 0
	for _, o := range c.p.Outputs {
		if o.Name == p.Name && o.Plugin.Common().ID == "" {
			before++
		}
	}
	if before == 0 {
		return p.Name
	}
	return p.Name + "-" + strconv.Itoa(before+1)
}

package logstash

import (
	"slices"
	"strings"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/logstash/input"
	"github.com/narudata/naru/logstash/output"
)

// route says what does not go with a role in a route.
func (c *compiler) route() {
	if c.o.Role == nil {
		return
	}
	var first *Input
	for _, in := range c.p.Inputs {
		r, ok := in.made.(input.Routed)
		switch {
		case in.Name == "pipeline":
		case !ok:
			c.errorf(in.Pos, "the input %s does not go with a route: a canary cannot read it beside the running version; inputs are kafka, or pipeline", in.Name)
		case first == nil:
			first = in
		default:
			of, _ := first.made.(input.Routed)
			if a, b := of.Route(), r.Route(); !sameGroup(&a, &b) {
				c.errorf(in.Pos, "a route is of one consumer group: this input is a member of %s, and that at %s of %s", b.Group, first.Pos, a.Group)
			}
		}
	}
}

func sameGroup(a, b *kafka.Group) bool {
	brokers := func(g *kafka.Group) []string { return slices.Sorted(slices.Values(g.Brokers)) }
	return a.Group == b.Group && slices.Equal(brokers(a), brokers(b))
}

// Route gives the consumer group that the inputs are members of, with the topics of all of them; false: none is a member of one.
func (p *Pipeline) Route() (kafka.Group, bool) {
	var g kafka.Group
	found := false
	for _, in := range p.Inputs {
		r, ok := in.made.(input.Routed)
		if !ok {
			continue
		}
		of := r.Route()
		if !found {
			g, found = of, true
			continue
		}
		for _, t := range of.Topics {
			if !slices.Contains(g.Topics, t) {
				g.Topics = append(slices.Clone(g.Topics), t)
			}
		}
	}
	return g, found
}

// SideEffects names the filters that ask or tell others while they work: what they do is done by a shadow, too.
func (p *Pipeline) SideEffects() []string {
	var out []string
	for i := range p.Plugins {
		switch name := p.Plugins[i].Name; name {
		case "http", "elasticsearch", "opensearch", "memcached", "jdbc_streaming", "jdbc_static", "dns":
			out = append(out, strings.TrimSpace(name+" "+p.Plugins[i].Pos.String()))
		}
	}
	return out
}

// Sweepers are the outputs that shadows may have left something with.
func (p *Pipeline) Sweepers() []output.Sweeper {
	var out []output.Sweeper
	for _, o := range p.Outputs {
		if s, ok := o.made.(output.Sweeper); ok {
			out = append(out, s)
		}
	}
	return out
}

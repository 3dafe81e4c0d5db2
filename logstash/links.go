package logstash

import (
	"github.com/narudata/naru/logstash/input"
	"github.com/narudata/naru/logstash/output"
)

// SendsTo gives the addresses of other pipelines that the pipeline's outputs send to.
func (p *Pipeline) SendsTo() []string {
	var out []string
	for _, o := range p.Outputs {
		if to, ok := o.Plugin.(*output.Pipeline); ok {
			out = append(out, to.SendTo...)
		}
	}
	return out
}

// Addresses gives the addresses that the pipeline takes events at. only says that it has no other inputs.
func (p *Pipeline) Addresses() (names []string, only bool) {
	only = len(p.Inputs) > 0
	for _, in := range p.Inputs {
		if at, ok := in.Plugin.(*input.Pipeline); ok {
			names = append(names, at.Address)
		} else {
			only = false
		}
	}
	return names, only
}

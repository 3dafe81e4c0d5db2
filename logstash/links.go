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

// Keeps reports that a run keeps something in RunOptions.Data that two processes must not share, as positions and queues. Dead
// letters they may.
func (p *Pipeline) Keeps() bool {
	for _, in := range p.Inputs {
		switch in.Plugin.(type) {
		case *input.Stdin, *input.Generator, *input.Heartbeat, *input.Pipeline:
		default:
			return true
		}
	}
	for _, out := range p.Outputs {
		if _, ok := out.Plugin.(*output.S3); ok {
			return true
		}
	}
	return false
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

package logstash

import (
	"fmt"
	"slices"

	"github.com/narudata/naru/logstash/input"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/output"
	"github.com/narudata/naru/logstash/syntax"
)

// A Planned pipeline is one that is to run.
type Planned struct {
	*Pipeline
	ID   string // "": main
	Data string // as in RunOptions; "": nobody looks whether folders can be written
}

// Inspect looks for what runs of pipelines in one process would fail at and that can be seen beforehand without the network:
// certificates and other files that cannot be read, folders that cannot be written, and what two inputs or outputs both want for
// themselves, as a port. It changes nothing. warnings are what will not fail, and is hardly meant.
func Inspect(pipelines []Planned) (wrong, warnings syntax.Errors) {
	i := &inspector{}
	for n := range pipelines {
		i.pipeline(&pipelines[n])
	}
	for n := range pipelines {
		i.addresses(&pipelines[n])
	}
	return i.wrong, i.warnings
}

// inspector collects what is wrong.
type inspector struct {
	wrong, warnings syntax.Errors
	claims          []claimed
	receivers       []string // addresses that pipelines have
}

// claimed is what a plugin before has claimed.
type claimed struct {
	input.Claim
	by string // "tcp input at a.conf:1:9"
}

func (i *inspector) pipeline(p *Planned) {
	if p.ID == "" {
		p.ID = "main"
	}
	var wrong syntax.Errors
	for _, in := range p.Inputs {
		i.plugin(p, &wrong, in.node, string(syntax.Input), in.made)
	}
	for _, out := range p.Outputs {
		i.plugin(p, &wrong, out.node, string(syntax.Output), out.made)
	}
	sortErrors(wrong, p.config.Files)
	i.wrong = append(i.wrong, wrong...)
	names, _ := p.Addresses()
	i.receivers = append(i.receivers, names...)
}

func (i *inspector) plugin(p *Planned, wrong *syntax.Errors, node *syntax.Plugin, section string, made any) {
	report := func(err error) {
		at, message := located(node, section, err)
		*wrong = append(*wrong, p.config.ErrorAt(at, "%s", message))
	}
	if of, ok := made.(input.Inspector); ok {
		look := &input.Inspection{Pipeline: p.ID, Data: p.Data}
		of.Inspect(look)
		for _, err := range look.Problems {
			report(err)
		}
	}
	of, ok := made.(input.Claimer)
	if !ok {
		return
	}
	by := fmt.Sprintf("the %s %s at %s", node.Name, section, node.Pos)
	for _, c := range of.Claims(p.ID, p.Data) {
		if first := slices.IndexFunc(i.claims, func(other claimed) bool { return other.Collides(c) }); first >= 0 {
			report(option.Errorf(c.Option, "%s is that of %s, too: only one can have it", c.What, i.claims[first].by))
			return // of several, as of TCP and UDP, one is enough
		}
		i.claims = append(i.claims, claimed{c, by})
	}
}

// addresses warns of addresses that no pipeline has: what is sent there waits for one.
func (i *inspector) addresses(p *Planned) {
	for _, out := range p.Outputs {
		to, ok := out.Plugin.(*output.Pipeline)
		if !ok {
			continue
		}
		for _, name := range to.SendTo {
			if slices.Contains(i.receivers, name) {
				continue
			}
			at, message := located(out.node, string(syntax.Output), option.Errorf("send_to", "no pipeline has the address %q: what is sent to it waits", name))
			i.warnings = append(i.warnings, p.config.ErrorAt(at, "%s", message))
		}
	}
}

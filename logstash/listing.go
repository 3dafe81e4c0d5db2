package logstash

import (
	"strings"

	"github.com/narudata/naru/logstash/syntax"
)

// A Listing is a pipeline as the flow that it becomes: a source for each input, a stage that runs a program of filters and one
// that chooses outputs, a sink for each output.
type Listing struct {
	Sources []Listed      `json:"sources"`
	Filters []Instruction `json:"filters"`
	Outputs []Instruction `json:"outputs"`
	Workers int           `json:"most_workers,omitempty"` // 0: as many as there are
}

// Listed is a plugin.
type Listed struct {
	Name  string `json:"name"`
	Place string `json:"place,omitempty"`
}

// An Instruction is a step of a program. An event goes from one to the next unless it is told where to go on.
type Instruction struct {
	At    int    `json:"at"`
	Place string `json:"place,omitempty"`
	Call  string `json:"call,omitempty"`   // the plugin
	If    string `json:"unless,omitempty"` // the condition; if it does not hold: go on at To
	To    int    `json:"to,omitempty"`     // where to go on; behind the last instruction the program ends
}

// Listing lists the program that the pipeline becomes, with its inputs and outputs as they are written.
func (i *Isolated) Listing() Listing {
	written := func(pos syntax.Pos, name string) string {
		if p := i.plugins[pos].plugin; p != nil {
			return p.Name
		}
		return name
	}
	p := i.Pipeline
	l := Listing{Workers: p.MaxWorkers(), Filters: []Instruction{}, Outputs: []Instruction{}, Sources: []Listed{}}
	for _, in := range p.Inputs {
		l.Sources = append(l.Sources, Listed{written(in.Pos, in.Name), placeOf(in.Pos)})
	}
	l.Filters = listed(p.filters, func(n int) string { return p.Plugins[n].Name })
	l.Outputs = listed(p.outputs, func(n int) string { return written(p.Outputs[n].Pos, p.Outputs[n].Name) })
	return l
}

func listed(prog program, name func(n int) string) []Instruction {
	out := make([]Instruction, 0, len(prog))
	for at, i := range prog {
		step := Instruction{At: at, Place: placeOf(i.pos)}
		switch i.do {
		case call:
			step.Call = name(i.plugin)
		case branch:
			step.If, step.To = i.text, i.to
		case jump:
			step.To = i.to
		}
		out = append(out, step)
	}
	return out
}

func placeOf(p syntax.Pos) string {
	if p.IsZero() {
		return ""
	}
	return p.String()
}

// conditionText is a condition as it was written, in one line.
func conditionText(c syntax.Cond) string {
	if c == nil {
		return ""
	}
	return strings.Join(strings.Fields(syntax.Print(c)), " ")
}

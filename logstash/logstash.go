// Package logstash runs Logstash's pipelines: it compiles a configuration into a program, in which every plugin has its
// options checked and set up, and every condition is a closure, and runs events through it.
//
// Compile finds every problem at once. A Pipeline is what it gives; each worker of it has its own Worker, which takes
// events one after the other, each to its end before the next one begins: the order of pipeline.ordered.
//
// Source: logstash-core/lib/logstash/compiler/lscl.rb, org.logstash.config.ir.CompiledPipeline,
// org.logstash.config.ir.compiler.EventCondition.
package logstash

import (
	"log/slog"
	"time"

	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/filter"
	"github.com/narudata/naru/logstash/input"
	"github.com/narudata/naru/logstash/syntax"
)

// Options say how a configuration is compiled. The zero Options are Logstash's defaults.
type Options struct {
	// ECS is pipeline.ecs_compatibility; v8 unless given.
	ECS filter.ECS
	// EscapeStyle is config.field_reference.escape_style.
	EscapeStyle event.EscapeStyle
	// Lookup gives the value of a variable, ${NAME}; without it there are none.
	Lookup func(name string) (string, bool)
	// Dir is what relative paths are relative to; the working folder unless given.
	Dir string
	// Log is where filters log to; nowhere unless given.
	Log *slog.Logger
	// Now is the clock; that of the system unless given.
	Now func() time.Time
	// Filters are those that there are; those of the package filter unless given.
	Filters map[string]func() filter.Plugin
	// Role is how the pipeline takes part in a route; nil: in none. All of its inputs are kafka then, or pipeline, and of one group.
	// In shadow its outputs opensearch and elasticsearch write into other indices, and others but pipeline write nothing.
	Role *input.Role
}

func (o Options) withDefaults() Options {
	if o.ECS == "" {
		o.ECS = filter.ECSv8
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Filters == nil {
		o.Filters = filter.Table()
	}
	return o
}

func (o *Options) lookup(name string) (string, bool) {
	if o.Lookup == nil {
		return "", false
	}
	return o.Lookup(name)
}

// A Pipeline is a compiled configuration. It may be used by several workers, each with its own Worker.
type Pipeline struct {
	// Inputs and Outputs are in the order of the text. A configuration without any reads JSON lines from standard input, and
	// writes them to standard output.
	Inputs  []*Input
	Outputs []*Output
	// Plugins are the filters, in the order of the text.
	Plugins []Plugin

	filters program
	outputs program
	o       Options
	config  *syntax.Config
	counts  counts
	taps    taps
}

// A Plugin is a filter of a pipeline.
type Plugin struct {
	Name   string
	ID     string // what the option id says; or the name and the place
	Pos    syntax.Pos
	Filter filter.Filter
	// Alone says that only one worker may use the filter: it has a state that all events share.
	Alone bool
}

// Close closes the filters that have something to let go of.
func (p *Pipeline) Close() error {
	return closeAll(p.Plugins)
}

// MaxWorkers is how many workers may run the pipeline at a time; 0 if that does not matter.
func (p *Pipeline) MaxWorkers() int {
	for i := range p.Plugins {
		if p.Plugins[i].Alone {
			return 1
		}
	}
	for _, in := range p.Inputs {
		if a, ok := in.Decoder.(codec.Ordered); ok && a.Alone() {
			return 1
		}
	}
	for _, out := range p.Outputs {
		if a, ok := out.Encoder.(codec.Ordered); ok && a.Alone() {
			return 1
		}
	}
	return 0
}

// A program is a section, flat. An event begins at the first instruction and goes on until it is behind the last.
type program []instruction

// An instruction is one step: a plugin to call, or a place to go on at.
type instruction struct {
	do     operation
	plugin int // of call: which one
	to     int // of jump and branch: where to go on
	cond   condition
	where  int // of branch: which of the worker's counts of failures
	pos    syntax.Pos
	text   string // of branch: the condition
}

type operation uint8

const (
	call   operation = iota // the plugin
	branch                  // go to "to" if the condition does not hold
	jump                    // go to "to"
)

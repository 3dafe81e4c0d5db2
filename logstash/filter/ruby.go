package filter

import (
	"errors"
	"log/slog"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/ruby"
)

// Ruby runs code for each event. The code is a part of Ruby that naru interprets: docs/adr/0013 says which, and why.
//
// Source: LogStash::Filters::Ruby of logstash-filter-ruby 3.1.
//
// Differences:
//   - What the subset does not have is an error of the configuration.
//   - Code has no access to files, the network, the environment or other programs.
//   - Each run is bounded in steps and memory; one that exceeds them is an exception that the code cannot rescue.
//   - Code that uses instance or global variables runs for one event at a time.
//   - Global variables belong to the filter.
//   - Script files (path) are refused.
type Ruby struct {
	option.Common
	Init         string      `ls:"init" doc:"code that runs once, when the pipeline starts"`
	Code         string      `ls:"code" doc:"code that runs for each event, which is the variable event"`
	Path         string      `ls:"path" doc:"refused: a script file with the methods register and filter"`
	ScriptParams option.Hash `ls:"script_params" doc:"parameters of the script file"`
	TagOn        string      `ls:"tag_on_exception" default:"_rubyexception" doc:"the tag of an event whose code raises an exception"`
	TagMessage   bool        `ls:"tag_with_exception_message" default:"false" doc:"add a tag with the exception's message too"`
	program      *ruby.Program
	log          *slog.Logger
}

// Setup implements Plugin.
func (r *Ruby) Setup(s *Setup) (Filter, error) {
	r.log = s.Log
	switch {
	case r.Path != "":
		return nil, option.Errorf("path", "script files are not supported: put the code into the options init and code")
	case r.Code == "":
		return nil, errors.New("the option code is missing")
	}
	state := ruby.NewState()
	if r.Init != "" {
		first, err := ruby.Compile(r.Init, ruby.Options{State: state})
		if err != nil {
			return nil, option.Errorf("init", "%w", err)
		}
		if err := first.Run(ruby.Env{Log: s.Log, Now: s.Now}); err != nil {
			return nil, option.Errorf("init", "%w", err)
		}
	}
	var err error
	if r.program, err = ruby.Compile(r.Code, ruby.Options{State: state, Params: []string{"event", "new_event_block"}}); err != nil {
		return nil, option.Errorf("code", "%w", err)
	}
	return r, nil
}

// env gives what code runs with.
func env(x *Context) ruby.Env {
	return ruby.Env{Log: x.Log, Now: x.Now, Emit: x.Emit, New: x.New, Refs: &x.Refs}
}

// Filter implements Filter.
func (r *Ruby) Filter(x *Context, e *event.Event) {
	err := r.program.Run(env(x), e, ruby.Block{})
	if err == nil {
		err = r.Matched(e)
	}
	if err == nil {
		return
	}
	if r.log != nil {
		r.log.Error("ruby exception occurred", "error", err)
	}
	if r.TagMessage {
		message := err.Error()
		if exc, ok := errors.AsType[*ruby.Exception](err); ok {
			message = exc.Message
		}
		e.Tag(r.TagOn + ": " + message)
	}
	e.Tag(r.TagOn)
}

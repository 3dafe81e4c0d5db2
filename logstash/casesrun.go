package logstash

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/syntax"
)

// A CaseResult says how a case went.
type CaseResult struct {
	Name        string        `json:"name"`
	Passed      bool          `json:"passed"`
	Differences []Difference  `json:"differences,omitempty"`
	Took        time.Duration `json:"nanoseconds"`
}

// A Difference is what came out otherwise than expected, in JSON. Without Expected it should not be there, without Found it is
// missing.
type Difference struct {
	Event    int             `json:"event"`           // its number among those of the case, from 1
	Field    string          `json:"field,omitempty"` // a reference; the whole event without
	Expected json.RawMessage `json:"expected,omitempty"`
	Found    json.RawMessage `json:"found,omitempty"`
}

// Run runs the cases of a file against a configuration, one after the other through the same pipeline. What codecs and filters
// hold back comes out at the end of each case. Problems are those of the configuration; an error is one of the cases.
func (s *Suite) Run(files []syntax.File, so syntax.Options, o Options) ([]CaseResult, Problems, error) {
	if s.ECS != "" {
		o.ECS = s.ECS
	}
	if !s.Now.IsZero() {
		o.Now = func() time.Time { return s.Now }
	}
	if outer := o.Lookup; len(s.Env) > 0 {
		o.Lookup = func(name string) (string, bool) {
			if v, ok := s.Env[name]; ok {
				return v, true
			}
			if outer == nil {
				return "", false
			}
			return outer(name)
		}
	}
	if s.Filter != "" {
		files = []syntax.File{{Name: "filter", Text: []byte("filter {\n" + s.Filter + "\n}\n")}}
	}
	p, problems := readIsolated(files, s.codec(files, so), so, o)
	if p == nil {
		return nil, problems, nil
	}
	r, err := s.runner(p)
	if err != nil {
		return nil, problems, errors.Join(err, p.Close())
	}
	var out []CaseResult
	for i := range s.Cases {
		result, err := r.run(&s.Cases[i])
		if err != nil {
			return nil, problems, errors.Join(fmt.Errorf("%s: %w", s.Cases[i].Name, err), p.Close())
		}
		out = append(out, result)
	}
	return out, problems, p.Close()
}

// codec gives the codec that lines are read with instead of the configuration's inputs; "" to keep these.
func (s *Suite) codec(files []syntax.File, so syntax.Options) string {
	if s.Codec != "" || s.Input != "" {
		return s.Codec
	}
	if config, err := so.ParseAll(files); err == nil && len(config.Statements(syntax.Input)) == 0 {
		return "plain"
	}
	return ""
}

// suiteRunner runs the cases of a suite.
type suiteRunner struct {
	s      *Suite
	i      *Isolated
	w      *Worker
	feed   *feed
	fields []setField // of the case
	found  []json.RawMessage
	failed error
}

// A setField is a field that is set before the filters.
type setField struct {
	ref   *event.Ref
	value event.Value
}

func (s *Suite) runner(p *Isolated) (*suiteRunner, error) {
	in, err := p.input(s.Input)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(s.Cases, func(c Case) bool { return len(c.Lines) > 0 }) {
		if err := p.readable(in); err != nil {
			return nil, err
		}
	}
	r := &suiteRunner{s: s, i: p, w: p.Pipeline.NewWorker()}
	r.feed = p.newFeed(r.w, in, r.take)
	return r, nil
}

func (r *suiteRunner) run(c *Case) (CaseResult, error) {
	start := time.Now()
	r.fields, r.found = nil, nil
	for _, list := range []json.RawMessage{r.s.Fields, c.Fields} {
		if err := r.set(list); err != nil {
			return CaseResult{}, err
		}
	}
	for _, line := range c.Lines {
		r.feed.line([]byte(line))
	}
	for _, e := range c.Events {
		if err := r.feed.object(e); err != nil {
			return CaseResult{}, err
		}
	}
	r.feed.flush()
	r.w.Flush(true, true, r.out)
	r.w.EndBatch()
	if r.failed != nil {
		return CaseResult{}, r.failed
	}
	differences, err := r.compare(c)
	return CaseResult{Name: c.Name, Passed: len(differences) == 0, Differences: differences, Took: time.Since(start)}, err
}

// set adds fields to those that events get.
func (r *suiteRunner) set(object json.RawMessage) error {
	if len(object) == 0 || string(object) == "null" {
		return nil
	}
	v, err := event.ParseJSON(object, event.JSONOptions{})
	if err != nil {
		return fmt.Errorf("fields: %w", err)
	}
	if v.Kind() != event.Map {
		return errors.New("fields: expected a map")
	}
	for _, e := range v.Map().Entries() {
		ref, err := r.i.Pipeline.o.EscapeStyle.Parse(e.Key)
		if err != nil {
			return fmt.Errorf("fields: %w", err)
		}
		r.fields = append(r.fields, setField{ref, e.Value})
	}
	return nil
}

// take takes an event of the feed: keys that are references are resolved, fields are set, and it goes through the filters.
func (r *suiteRunner) take(e *event.Event) {
	var moved []setField
	for _, f := range e.Fields().Entries() {
		if strings.HasPrefix(f.Key, "[") {
			if ref, err := r.i.Pipeline.o.EscapeStyle.Parse(f.Key); err == nil {
				moved = append(moved, setField{ref, f.Value})
			}
		}
	}
	for _, m := range moved {
		e.Fields().Delete(m.ref.Source())
	}
	for _, list := range [][]setField{moved, r.fields} {
		for _, f := range list {
			v := f.value.Clone()
			if err := setEvent(e, f.ref, v); err != nil && r.failed == nil {
				r.failed = fmt.Errorf("set %s: %w", f.ref, err)
			}
		}
	}
	r.w.Run(e, r.out)
}

// setEvent sets a field. A text for @timestamp is read.
func setEvent(e *event.Event, ref *event.Ref, v event.Value) error {
	if v.Kind() == event.String && ref.Top() && ref.Name() == "@timestamp" {
		if t, ok := event.ParseTimestamp(v.Str()); ok {
			v = event.TimeValue(t)
		}
	}
	return e.Set(ref, v)
}

// out takes what comes out of the filters.
func (r *suiteRunner) out(e *event.Event) {
	names := r.outputs(e)
	switch {
	case r.s.verifier && r.s.Input != "": // once for each output
		for _, name := range names {
			text := r.text(e, r.s.metadata)
			if r.s.passed {
				text = withMember(text, "__lfv_out_passed", event.StringValue(name))
			}
			r.found = append(r.found, text)
		}
	case r.s.verifier:
		r.found = append(r.found, r.text(e, r.s.metadata))
	default:
		r.found = append(r.found, withMember(r.text(e, true), "@outputs", event.StringsValue(names...)))
	}
}

func (r *suiteRunner) text(e *event.Event, metadata bool) json.RawMessage {
	if metadata {
		return whole(e)
	}
	return e.AppendJSON(nil)
}

// withMember adds a member to an object.
func withMember(object json.RawMessage, name string, v event.Value) json.RawMessage {
	sep := ","
	if len(object) == 2 {
		sep = ""
	}
	out := append(object[:len(object)-1:len(object)-1], sep...)
	out = event.AppendJSON(out, event.StringValue(name))
	return append(event.AppendJSON(append(out, ':'), v), '}')
}

// outputs gives the ids of the outputs that get an event.
func (r *suiteRunner) outputs(e *event.Event) []string {
	var out []string
	program := r.i.Pipeline.outputs
	for at := 0; at < len(program) && !e.Cancelled(); {
		in := &program[at]
		at++
		switch in.do {
		case call:
			out = append(out, r.i.outputID(r.i.Pipeline.Outputs[in.plugin]))
		case branch:
			if !r.w.holds(in, e) {
				at = in.to
			}
		case jump:
			at = in.to
		}
	}
	return out
}

package logstash

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/input"
	"github.com/narudata/naru/logstash/output"
	"github.com/narudata/naru/logstash/syntax"
)

// An Isolated is a pipeline that is given its events, instead of reading them, and whose outputs write nothing: for those who
// look at what filters do. Its filters, its conditions and what its inputs add to events are those of the configuration.
type Isolated struct {
	Pipeline *Pipeline

	plugins map[syntax.Pos]place
	arms    map[syntax.Pos]place
	codecs  map[syntax.Pos]string // of inputs that are given one: its name
}

// A place is where a plugin or a condition stands.
type place struct {
	plugin *syntax.Plugin // nil for a condition
	word   string         // if, else if
	cond   string         // the condition, on one line
	depth  int            // how many branches it is in
}

// ReadIsolated parses and compiles the files of one pipeline, without inputs and outputs: each input takes lines with the
// codec, the type, the tags and the fields that the configuration gives it, and outputs only have their conditions. So inputs
// and outputs need not be built into naru. Without an input, lines are JSON objects, or else messages. The pipeline is nil if
// there are errors.
func ReadIsolated(files []syntax.File, s syntax.Options, o Options) (*Isolated, Problems) {
	return readIsolated(files, "", s, o)
}

// readIsolated is ReadIsolated with one input that reads with a codec, as it is written in a configuration, instead of those
// of the files; "" keeps them.
func readIsolated(files []syntax.File, codec string, s syntax.Options, o Options) (*Isolated, Problems) {
	config, err := s.ParseAll(files)
	if err != nil {
		var wrong syntax.Errors
		if !errors.As(err, &wrong) {
			wrong = syntax.Errors{{Message: err.Error()}}
		}
		return nil, Problems{Errors: wrong}
	}
	if codec != "" {
		instead, err := s.Parse("codec", []byte("input { stdin { codec => "+codec+" } }"))
		if err != nil {
			return nil, Problems{Errors: syntax.Errors{{Message: fmt.Sprintf("codec %q: %v", codec, err)}}}
		}
		config.Sections = append(slices.DeleteFunc(config.Sections, func(s *syntax.Section) bool { return s.Kind == syntax.Input }), instead.Sections...)
	}
	i := &Isolated{plugins: map[syntax.Pos]place{}, arms: map[syntax.Pos]place{}, codecs: map[syntax.Pos]string{}}
	for _, section := range config.Sections {
		i.note(section.Body, 0)
	}
	for p := range syntax.Plugins(config.Statements(syntax.Input)) {
		if a := p.Attribute("codec"); a != nil {
			i.codecs[p.Pos] = codecAliases(nameOf(a.Value))
		}
	}
	p, problems := Compile(isolate(config), o)
	if p == nil {
		return nil, problems
	}
	i.Pipeline = p
	return i, problems
}

// Close closes the filters.
func (i *Isolated) Close() error { return i.Pipeline.Close() }

// note notes where plugins and conditions stand.
func (i *Isolated) note(body []syntax.Statement, depth int) {
	for _, s := range body {
		switch s := s.(type) {
		case *syntax.Plugin:
			i.plugins[s.Pos] = place{plugin: s, depth: depth}
		case *syntax.Branch:
			for n, arm := range s.Arms {
				word := "if"
				if n > 0 {
					word = "else if"
				}
				i.arms[arm.Pos] = place{word: word, cond: oneLine(syntax.Print(arm.Cond)), depth: depth}
				i.note(arm.Body, depth+1)
			}
			if s.Else != nil {
				i.note(s.Else.Body, depth+1)
			}
		}
	}
}

// keptOptions are the options of an input that change its events.
var keptOptions = []string{"id", "codec", "type", "tags", "add_field"}

// jsonInputs are those whose events are JSON if they have no codec.
var jsonInputs = []string{"elasticsearch", "http_poller", "rabbitmq", "redis", "sqs"}

// isolate gives a configuration with the same filters and conditions, whose inputs and outputs touch nothing. What does not
// exist at all stays, so that compiling names it.
func isolate(c *syntax.Config) *syntax.Config {
	out := &syntax.Config{Files: c.Files, Warnings: c.Warnings}
	for _, s := range c.Sections {
		n := *s
		switch s.Kind {
		case syntax.Input:
			n.Body = replaced(s.Body, func(p *syntax.Plugin) *syntax.Plugin {
				if _, built := input.Table()[p.Name]; !built && !slices.Contains(shipped[syntax.Input], p.Name) {
					return p
				}
				return isolatedInput(p)
			})
		case syntax.Output:
			n.Body = replaced(s.Body, func(p *syntax.Plugin) *syntax.Plugin {
				if _, built := output.Table()[p.Name]; !built && !slices.Contains(shipped[syntax.Output], p.Name) {
					return p
				}
				return &syntax.Plugin{Pos: p.Pos, Name: "null", End: p.End, Attributes: options(p, "id")}
			})
		case syntax.Filter:
		}
		out.Sections = append(out.Sections, &n)
	}
	return out
}

// replaced gives a body with other plugins.
func replaced(body []syntax.Statement, by func(*syntax.Plugin) *syntax.Plugin) []syntax.Statement {
	out := make([]syntax.Statement, 0, len(body))
	for _, s := range body {
		switch s := s.(type) {
		case *syntax.Plugin:
			out = append(out, by(s))
		case *syntax.Branch:
			b := &syntax.Branch{Pos: s.Pos, End: s.End}
			for _, arm := range s.Arms {
				b.Arms = append(b.Arms, &syntax.Arm{Pos: arm.Pos, Cond: arm.Cond, Body: replaced(arm.Body, by)})
			}
			if s.Else != nil {
				b.Else = &syntax.Block{Pos: s.Else.Pos, Body: replaced(s.Else.Body, by)}
			}
			out = append(out, b)
		}
	}
	return out
}

func isolatedInput(p *syntax.Plugin) *syntax.Plugin {
	out := &syntax.Plugin{Pos: p.Pos, Name: "stdin", End: p.End, Attributes: options(p, keptOptions...)}
	given := p.Attribute("codec")
	if given == nil {
		if slices.Contains(jsonInputs, p.Name) {
			out.Attributes = append(out.Attributes, &syntax.Attribute{Pos: p.Pos, Name: "codec", Value: &syntax.Bareword{Pos: p.Pos, Text: "json"}})
		}
		return out
	}
	if unbuiltCodec(nameOf(given.Value)) {
		out.Attributes = slices.DeleteFunc(out.Attributes, func(a *syntax.Attribute) bool { return a.Name == "codec" })
	}
	return out
}

// nameOf gives the name of a codec, whose value is a plugin or a word.
func nameOf(v syntax.Value) string {
	switch v := v.(type) {
	case *syntax.Plugin:
		return v.Name
	case *syntax.String:
		return v.Value
	case *syntax.Bareword:
		return v.Text
	}
	return ""
}

// unbuiltCodec reports that a codec is known and not built in.
func unbuiltCodec(name string) bool {
	_, built := codec.Table()[codecAliases(name)]
	return !built && slices.Contains(shippedCodecs, name)
}

// readable says why lines cannot be read as an input reads them; nil if they can.
func (i *Isolated) readable(in *Input) error {
	if name := i.codecs[in.Pos]; unbuiltCodec(name) {
		return fmt.Errorf("the codec %s of the input at %s is known and not built into naru yet: give events instead of lines", name, in.Pos)
	}
	return nil
}

// options gives the options of a plugin that have one of these names.
func options(p *syntax.Plugin, names ...string) []*syntax.Attribute {
	var out []*syntax.Attribute
	for _, a := range p.Attributes {
		if slices.Contains(names, a.Name) {
			out = append(out, a)
		}
	}
	return out
}

// input gives the input with an id or a name; the first one for "".
func (i *Isolated) input(name string) (*Input, error) {
	names := map[string]bool{}
	for _, in := range i.Pipeline.Inputs {
		p := i.plugins[in.Pos].plugin
		if name == "" || in.ID == name || p != nil && p.Name == name {
			return in, nil
		}
		names[in.ID] = true
		if p != nil {
			names[p.Name] = true
		}
	}
	return nil, fmt.Errorf("there is no input %q: there are %v", name, slices.Sorted(maps.Keys(names)))
}

// outputID names an output: by its option id, or by its plugin and place.
func (i *Isolated) outputID(o *Output) string {
	p := i.plugins[o.Pos].plugin
	if p == nil {
		return o.Name
	}
	if p.Attribute("id") != nil {
		return o.ID
	}
	return fmt.Sprintf("%s:%d:%d", p.Name, o.Pos.Line, o.Pos.Column)
}

// A feed makes events of lines and of JSON, as an input does.
type feed struct {
	in      *Input
	decoder codec.Decoder
	x       codec.Context
	cut     string // what messages are cut at; "" for a codec that takes them whole
	mixed   bool   // there is no input: what is no JSON object is a text
	context func() *codec.Context
}

// newFeed makes a feed of a worker, which gives the events to take.
func (i *Isolated) newFeed(w *Worker, in *Input, take func(*event.Event)) *feed {
	f := &feed{in: in, decoder: in.Decoder, mixed: in.Pos.IsZero()}
	if forker, ok := f.decoder.(codec.Forker); ok {
		if own, ok := forker.Fork().(codec.Decoder); ok {
			f.decoder = own
		}
	}
	if name := i.codecs[in.Pos]; name != "" && name != "plain" && name != "json" {
		f.cut = f.decoder.Delimiter()
	}
	f.x = codec.Context{New: w.empty, Log: w.x.Log, Emit: func(e *event.Event) {
		if err := in.Decorate(e); err != nil {
			w.x.Log.Warn("what an input adds cannot be set", "input", in.ID, "error", err)
		}
		take(e)
	}}
	f.context = func() *codec.Context {
		f.x.Now = w.x.Now()
		return &f.x
	}
	return f
}

// line takes one message, which a codec of lines cuts. It must stay as it is while the events are in use.
func (f *feed) line(message []byte) {
	if f.cut != "" {
		for {
			first, rest, more := bytes.Cut(message, []byte(f.cut))
			if !more || len(rest) == 0 {
				message = first
				break
			}
			f.decoder.Decode(f.context(), first)
			message = rest
		}
	}
	if f.mixed && !bytes.HasPrefix(bytes.TrimSpace(message), []byte("{")) {
		x := f.context()
		e := x.New()
		e.Fields().Set("message", event.StringValue(string(message)))
		e.Complete(x.Now)
		x.Emit(e)
		return
	}
	f.decoder.Decode(f.context(), message)
}

// object takes an event as JSON, past the codec. It must stay as it is while the event is in use.
func (f *feed) object(text []byte) error {
	x := f.context()
	e := x.New()
	if err := e.ParseJSON(text, event.JSONOptions{}); err != nil {
		return err
	}
	e.Complete(x.Now)
	x.Emit(e)
	return nil
}

// flush gives what the codec holds back.
func (f *feed) flush() {
	if flusher, ok := f.decoder.(codec.Flusher); ok {
		flusher.Flush(f.context())
	}
}

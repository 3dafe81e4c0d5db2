package logstash

import (
	"encoding/json"
	"slices"

	"github.com/narudata/naru/logstash/event"
)

// A Passage takes lines through an isolated pipeline and gives what comes out at its end. It is not safe for concurrent use.
type Passage struct {
	i    *Isolated
	w    *Worker
	in   *Input
	feed *feed
	out  func(event []byte)
}

// Passage makes a passage whose lines are read as the input with an id or a name reads them; "" is the first one. Each event
// that reaches the outputs is given to out as JSON, with its metadata as @metadata, if it has any, and the names of the outputs
// that get it, or their ids where the configuration gives them one, as @outputs.
func (i *Isolated) Passage(input string, out func(event []byte)) (*Passage, error) {
	in, err := i.input(input)
	if err != nil {
		return nil, err
	}
	p := &Passage{i: i, w: i.Pipeline.NewWorker(), in: in, out: out}
	p.feed = i.newFeed(p.w, in, func(e *event.Event) { p.w.Run(e, p.give) })
	return p, nil
}

// Line takes a line through the pipeline.
func (p *Passage) Line(text []byte) error {
	if err := p.i.readable(p.in); err != nil {
		return err
	}
	p.feed.line(text)
	p.w.EndBatch()
	return nil
}

// End asks the codec and the filters for what they hold, as at the end of all inputs.
func (p *Passage) End() {
	p.feed.flush()
	p.w.Flush(true, true, p.give)
	p.w.EndBatch()
}

// give finds the outputs of an event.
func (p *Passage) give(e *event.Event) {
	outputs := []string{}
	program := p.w.p.outputs
	for at := 0; at < len(program) && !e.Cancelled(); {
		switch in := &program[at]; in.do {
		case call:
			at++
			if name := p.i.outputName(p.i.Pipeline.Outputs[in.plugin]); name != "" {
				outputs = append(outputs, name)
			}
		case branch:
			if p.w.holds(in, e) {
				at++
			} else {
				at = in.to
			}
		case jump:
			at = in.to
		}
	}
	if e.Cancelled() {
		return // a condition failed
	}
	slices.Sort(outputs)
	names, err := json.Marshal(outputs)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	out := whole(e)
	sep := ","
	if len(out) == 2 {
		sep = ""
	}
	out = append(append(out[:len(out)-1], sep+`"@outputs":`...), names...)
	p.out(append(out, '}'))
}

// outputName names an output whatever its place: by its option id, or by its plugin; "" if naru stands in with one.
func (i *Isolated) outputName(o *Output) string {
	p := i.plugins[o.Pos].plugin
	switch {
	case p == nil:
		return ""
	case p.Attribute("id") != nil:
		return o.ID
	}
	return p.Name
}

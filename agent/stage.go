package agent

import (
	"context"
	"strings"
	"time"
	"unsafe"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/format/tree"
)

// A builder makes events of lines. It is used by several workers.
type builder struct {
	c      *Config
	inputs []builtInput
	agent  tree.Object
	now    func() time.Time
}

// builtInput is what events of an input have in common.
type builtInput struct {
	*Input
	seed   string
	before tree.Object // input, fields, tags
	after  tree.Object // ecs, host, agent
}

// ecsVersion is the version of the Elastic Common Schema that events of Filebeat 8 say they are of.
const ecsVersion = "8.0.0"

func newBuilder(c *Config, agentID string, seeds []string) *builder {
	b := &builder{c: c, now: c.env.now}
	b.agent = tree.Object{
		{Name: "ephemeral_id", Value: uuid()}, {Name: "id", Value: agentID}, {Name: "name", Value: c.Name},
		{Name: "type", Value: beatName}, {Name: "version", Value: Version},
	}
	for i, in := range c.Inputs {
		n := builtInput{Input: in, seed: seeds[i]}
		n.before = tree.Object{{Name: "input", Value: tree.Object{{Name: "type", Value: in.Type}}}}
		n.before = merge(merge(n.before, c.Fields, true), in.Fields, true)
		if tags := append(append([]string{}, c.Tags...), in.Tags...); len(tags) > 0 {
			list := make([]any, len(tags))
			for i, t := range tags {
				list[i] = t
			}
			n.before = append(n.before, tree.Member{Name: "tags", Value: list})
		}
		n.after = tree.Object{{Name: "ecs", Value: tree.Object{{Name: "version", Value: ecsVersion}}}}
		if !in.HideHost {
			n.after = append(n.after, tree.Member{Name: "host", Value: tree.Object{{Name: "name", Value: c.Name}}})
		}
		n.after = append(n.after, tree.Member{Name: "agent", Value: b.agent})
		b.inputs = append(b.inputs, n)
	}
	return b
}

// event makes the event of a record; nil: it is left out.
func (b *builder) event(r *flow.Record) (*Event, *builtInput, error) {
	in := &b.inputs[r.Port]
	l := line{body: r.Body, offset: r.Version}
	if err := l.parseMeta(r.Meta); err != nil {
		return nil, in, err
	}
	text := textOf(l.body)
	if len(in.Include) > 0 && !anyMatch(in.Include, text) || anyMatch(in.Exclude, text) {
		return nil, in, nil
	}
	e := &Event{Time: b.now()}
	if l.flags&timed != 0 {
		e.Time = time.Unix(0, l.nanos)
	}
	log := tree.Object{{Name: "offset", Value: l.offset}, {Name: "file", Value: tree.Object{{Name: "path", Value: string(l.path)}}}}
	if flags := flagsOf(l.flags); flags != nil {
		log = append(log, tree.Member{Name: "flags", Value: flags})
	}
	e.Fields = make(tree.Object, 0, 12)
	e.Fields = append(e.Fields, tree.Member{Name: "log", Value: log}, tree.Member{Name: "message", Value: text})
	if l.stream != 0 {
		e.Fields = append(e.Fields, tree.Member{Name: "stream", Value: streams[l.stream]})
	}
	if l.flags&unread != 0 {
		e.Put("error.message", "the line is not of a container's format")
	}
	e.Fields = merge(e.Fields, in.before, true)
	e.Meta = tree.Object{{Name: "naru_id", Value: eventID(in.seed, &l)}}
	if l.fields != nil {
		b.objectBefore(e, in, &l, text)
	}
	for _, j := range in.JSON {
		if v, _ := e.Get("message"); v != nil {
			if message, ok := v.(string); ok {
				j.apply(e, []byte(message), nil)
			}
		}
	}
	if !process(e, in.Processors) {
		return nil, in, nil
	}
	e.Fields = merge(e.Fields, in.after, false)
	if host, _ := e.Fields.Get("host"); host != nil {
		if _, isMap := host.(tree.Object); !isMap && !in.HideHost {
			e.Put("host.name", b.c.Name)
		}
	}
	if !process(e, b.c.Processors) {
		return nil, in, nil
	}
	return e, in, nil
}

// objectBefore puts in the object that the text was cut out of before lines were joined.
func (b *builder) objectBefore(e *Event, in *builtInput, l *line, text string) {
	for i := range in.Reading.Steps {
		if j := in.Reading.Steps[i].JSON; j != nil {
			j.apply(e, l.fields, &text)
			if _, ok := e.Get("message"); !ok && (j.Target != "" || j.MessageKey == "") {
				e.Put("message", text)
			}
			return
		}
	}
}

func flagsOf(f byte) []any {
	var out []any
	if f&joined != 0 {
		out = append(out, "multiline")
	}
	if f&truncated != 0 {
		out = append(out, "truncated")
	}
	return out
}

// textOf gives bytes, which must not change any more, as a text.
func textOf(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	return unsafe.String(&b[0], len(b))
}

// A stage is a worker's.
type stage struct {
	*builder
	scratch []byte
}

// Process implements stream.Stage.
func (s *stage) Process(_ context.Context, b *flow.Batch, _ uint64) error {
	kept := b.Records[:0]
	var failed flow.Failures
	for i := range b.Records {
		r := b.Records[i]
		e, in, err := s.event(&r)
		if err == nil && e == nil {
			continue
		}
		body := r.Body
		if err == nil {
			r.Meta, r.Key, r.Version, r.Time = nil, nil, 0, time.Time{}
			s.scratch, err = s.c.Output.form(s.scratch[:0], &r, e, in.Input)
		}
		if err != nil {
			failed = append(failed, flow.Failure{Index: len(kept), Err: err})
			r.Body = deadBody(e, body)
			r.Meta = nil
		} else {
			r.Body = b.Copy(s.scratch)
		}
		r.Port = 0
		kept = append(kept, r)
	}
	clear(b.Records[len(kept):])
	b.Records = kept
	const keep = 1 << 20
	if cap(s.scratch) > keep {
		s.scratch = nil
	}
	if len(failed) > 0 {
		return failed
	}
	return nil
}

// deadBody is what is kept of an event that cannot be written.
func deadBody(e *Event, line []byte) []byte {
	if e != nil {
		if body, err := e.AppendJSON(nil, e.metadata(beatName)); err == nil {
			return body
		}
	}
	return []byte(strings.ToValidUTF8(string(line), "\uFFFD"))
}

// End implements stream.Stage.
func (*stage) End(*flow.Batch, uint64) error { return nil }

// Flush implements stream.Stage.
func (*stage) Flush(*flow.Batch, bool) error { return nil }

// Held implements stream.Stage: lines are held back in front of it.
func (*stage) Held(uint64) int { return 0 }

// Holds implements stream.Stage.
func (*stage) Holds() bool { return false }

// Flushes implements stream.Stage.
func (*stage) Flushes() bool { return false }

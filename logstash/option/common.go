package option

import (
	"fmt"

	"github.com/narudata/naru/logstash/event"
)

// Common are the options that all filters have. A filter embeds it and calls Matched where it has succeeded.
//
// Source: LogStash::Filters::Base (filter_matched), LogStash::Util::Decorators.
type Common struct {
	AddField      Hash            `ls:"add_field" doc:"fields to add if the filter succeeds, with their values; where there is a field, a list of both"`
	RemoveField   []*event.Format `ls:"remove_field" doc:"fields to remove if the filter succeeds"`
	AddTag        []*event.Format `ls:"add_tag" doc:"tags to add if the filter succeeds, be they there or not"`
	RemoveTag     []*event.Format `ls:"remove_tag" doc:"tags to remove if the filter succeeds"`
	ID            string          `ls:"id" doc:"a name for this plugin, for logs and figures"`
	EnableMetric  bool            `ls:"enable_metric" default:"true" doc:"whether figures are kept of this plugin"`
	PeriodicFlush bool            `ls:"periodic_flush" default:"false" doc:"whether the filter is called from time to time to give events of its own"`

	add        []addition
	remove     []name
	staticTags []string // what add_tag is, if no tag refers to fields
	style      event.EscapeStyle
}

// PluginID gives the option id.
func (c *Common) PluginID() string { return c.ID }

// An addition is one value of add_field.
type addition struct {
	field name
	value *event.Format
}

// A name is a reference that may have references to values in it.
type name struct {
	ref    *event.Ref // nil: not the same for all events
	err    error      // it is, and it is illegal
	format *event.Format
}

func newName(f *event.Format, style event.EscapeStyle) name {
	n := name{format: f}
	if text, ok := f.Static(); ok {
		n.ref, n.err = style.Parse(text)
	}
	return n
}

// get gives the reference for an event.
func (n *name) get(e *event.Event, style event.EscapeStyle) (*event.Ref, error) {
	if n.ref != nil || n.err != nil {
		return n.ref, n.err
	}
	text, err := n.format.Text(e)
	if err != nil {
		return nil, err
	}
	return style.Parse(text)
}

// Compile prepares Matched. Decode calls it.
func (c *Common) Compile(style event.EscapeStyle) {
	c.style = style
	c.add, c.remove, c.staticTags = nil, nil, nil
	for _, p := range c.AddField {
		field := newName(style.ParseFormat(p.Key), style)
		for _, v := range values(p.Value) {
			c.add = append(c.add, addition{field, style.ParseFormat(Text(v))})
		}
	}
	for _, f := range c.RemoveField {
		c.remove = append(c.remove, newName(f, style))
	}
	for _, f := range c.AddTag {
		tag, ok := f.Static()
		if !ok {
			c.staticTags = nil
			break
		}
		c.staticTags = append(c.staticTags, tag)
	}
}

// values is Ruby's Array(v).
func values(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	case Hash:
		pairs := make([]any, len(v))
		for i, p := range v {
			pairs[i] = []any{p.Key, p.Value}
		}
		return pairs
	}
	return []any{v}
}

// Matched does what the options ask for: add_field, remove_field, add_tag, remove_tag, in this order. The first thing that
// cannot be done (an illegal reference, a field inside of what is no map) ends it with an error; what was done before stays.
// In Logstash that error reaches the filter, too: mutate tags the event with it, most others stop the pipeline.
func (c *Common) Matched(e *event.Event) error {
	for i := range c.add {
		if err := c.add[i].run(e, c.style); err != nil {
			return fmt.Errorf("add_field: %w", err)
		}
	}
	for i := range c.remove {
		ref, err := c.remove[i].get(e, c.style)
		if err != nil {
			return fmt.Errorf("remove_field: %w", err)
		}
		e.Remove(ref)
	}
	if err := c.addTags(e); err != nil {
		return fmt.Errorf("add_tag: %w", err)
	}
	for _, f := range c.RemoveTag {
		tag, err := f.Text(e)
		if err != nil {
			return fmt.Errorf("remove_tag: %w", err)
		}
		e.RemoveTag(tag)
	}
	return nil
}

// run adds one value. What is there already becomes a list: a map one of its members, null an empty one.
func (a *addition) run(e *event.Event, style event.EscapeStyle) error {
	ref, err := a.field.get(e, style)
	if err != nil {
		return err
	}
	text, err := a.value.Text(e)
	if err != nil {
		return err
	}
	v := event.StringValue(text)
	if !e.Includes(ref) {
		return e.Set(ref, v)
	}
	old := e.Get(ref)
	switch old.Kind() {
	case event.List:
		if ref.Top() && ref.Name() == "tags" {
			e.AddTag(text)
			return nil
		}
		old.Append(v)
		return nil
	case event.Map:
		list := make([]event.Value, 0, old.Map().Len()+1)
		for _, m := range old.Map().Entries() {
			list = append(list, event.ListValue([]event.Value{event.StringValue(m.Key), m.Value}))
		}
		return e.Set(ref, event.ListValue(append(list, v)))
	case event.Null, event.Absent:
		return e.Set(ref, event.ListValue([]event.Value{v}))
	}
	return e.Set(ref, event.ListValue([]event.Value{old, v}))
}

// addTags adds the tags. A tag that refers to tags sees those that were there before.
func (c *Common) addTags(e *event.Event) error {
	if c.staticTags != nil {
		for _, tag := range c.staticTags {
			e.AddTag(tag)
		}
		return nil
	}
	var room [8]string
	tags := room[:0]
	for _, f := range c.AddTag {
		tag, err := f.Text(e)
		if err != nil {
			return err
		}
		tags = append(tags, tag)
	}
	for _, tag := range tags {
		e.AddTag(tag)
	}
	return nil
}

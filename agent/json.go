package agent

import (
	"strings"
	"time"

	"github.com/narudata/naru/format/tree"
)

// JSON says what is done with lines that are objects.
type JSON struct {
	Target     string // where its members go; "": beside the others
	Overwrite  bool   // members replace what is there
	Expand     bool   // names with dots are those of members of members
	AddError   bool   // what is no object gets error.message
	MessageKey string // the member that is the text; "": none
	DocumentID string // the member that becomes @metadata._id; "": none
}

// text makes a line of its text, and keeps the object beside it. What is no object stays as it is.
func (j *JSON) text(l *line) {
	o, err := tree.ObjectFromJSON(l.body)
	if err != nil {
		return
	}
	l.fields = l.body
	l.body = nil
	if v, ok := get(o, j.MessageKey); ok && j.MessageKey != "" {
		l.body = []byte(tree.Text(v))
	}
}

// apply puts the members of an object into an event. text: it is the value of MessageKey, of several lines perhaps.
func (j *JSON) apply(e *Event, raw []byte, text *string) {
	o, err := tree.ObjectFromJSON(raw)
	if err != nil {
		if j.AddError {
			e.Put("error.message", "no JSON object: "+err.Error())
			e.Put("error.type", "json")
		}
		return
	}
	e.Delete("message")
	if j.MessageKey != "" {
		if text == nil {
			if v, ok := get(o, j.MessageKey); ok {
				t := tree.Text(v)
				text = &t
			}
		}
		if text != nil {
			o = put(o, j.MessageKey, *text)
			if j.MessageKey != "message" && j.Target != "" {
				e.Put("message", *text)
			}
		}
	}
	if j.DocumentID != "" {
		if v, ok := get(o, j.DocumentID); ok {
			if id := tree.Text(v); id != "" {
				e.Put("@metadata._id", id)
				o, _ = remove(o, j.DocumentID)
			}
		}
	}
	if j.Expand {
		o = expand(o)
	}
	e.put(j.Target, o, j.Overwrite)
}

// put merges an object into the event, or into a field of it.
func (e *Event) put(target string, o tree.Object, over bool) {
	if target != "" {
		old, _ := e.Get(target)
		if under, ok := old.(tree.Object); ok {
			e.Put(target, merge(under, o, over))
		} else if old == nil || over {
			e.Put(target, o)
		}
		return
	}
	if v, ok := o.Get("@timestamp"); ok {
		o, _ = remove(o, "@timestamp")
		if over {
			if t, err := time.Parse(time.RFC3339Nano, tree.Text(v)); err == nil {
				e.Time = t
			} else {
				e.Put("error.message", "@timestamp is no time: "+tree.Text(v))
			}
		}
	}
	if v, ok := o.Get("@metadata"); ok {
		o, _ = remove(o, "@metadata")
		if m, ok := v.(tree.Object); ok && over {
			e.Meta = merge(e.Meta, m, true)
		}
	}
	e.Fields = merge(e.Fields, o, over)
}

// expand makes members of members of names with dots.
func expand(o tree.Object) tree.Object {
	var out tree.Object
	for _, m := range o {
		v := m.Value
		if under, ok := v.(tree.Object); ok {
			v = expand(under)
		}
		if !strings.Contains(m.Name, ".") {
			if under, ok := v.(tree.Object); ok {
				old, _ := out.Get(m.Name)
				inner, _ := old.(tree.Object)
				v = merge(inner, under, true)
			}
			out = put1(out, m.Name, v)
			continue
		}
		parts := strings.Split(m.Name, ".")
		for i := len(parts) - 1; i > 0; i-- {
			v = tree.Object{{Name: parts[i], Value: v}}
		}
		out = merge(out, tree.Object{{Name: parts[0], Value: v}}, true)
	}
	return out
}

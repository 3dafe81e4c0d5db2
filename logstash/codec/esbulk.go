package codec

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"github.com/narudata/naru/logstash/event"
)

// ESBulk takes messages for bodies of Elasticsearch's _bulk requests: a line that says what to do (index, create, update,
// delete), and but for delete a line with a document, which is the event. What the first line says is in the metadata, with
// the action: in [@metadata], or with the Elastic Common Schema in [@metadata][codec][es_bulk].
//
// Source: es_bulk.rb of logstash-codec-es_bulk 3.1.
//
// Differences:
//   - A last line that does not end is a line; the original waits for its end, in vain at the end of a request.
//   - A line that is JSON and no action is left out, with an error in the log, as one that is no JSON; the original stops.
type ESBulk struct {
	common
	Target           *event.Ref `ls:"target" doc:"the field that gets the document; without it, that is the event"`
	ECSCompatibility string     `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"where the metadata are; that of the pipeline if not given"`
}

// esBulk is the codec of one stream.
type esBulk struct {
	*ESBulk
	delimiter string
	metadata  *event.Ref

	action event.Value // of the document that comes next; Absent if an action comes next
}

// Setup implements Plugin.
func (b *ESBulk) Setup(s *Setup) (Codec, error) {
	c := &esBulk{ESBulk: b}
	if s.Stream {
		c.delimiter = "\n"
	}
	ecs := b.ECSCompatibility
	if ecs == "" {
		ecs = s.ECS
	}
	name := "[@metadata]"
	if ecs != "" && ecs != "disabled" {
		name = "[@metadata][codec][es_bulk]"
	}
	var err error
	c.metadata, err = event.ParseRef(name)
	return c, err
}

// Alone implements Ordered: an action and its document may be in different batches.
func (c *esBulk) Alone() bool { return true }

// Holds implements Holder.
func (c *esBulk) Holds() bool { return c.action.Is() }

// Fork implements Forker: an action and its document may be in two messages.
func (c *esBulk) Fork() Codec {
	own := *c
	own.action = event.Value{}
	return &own
}

// Delimiter implements Decoder.
func (c *esBulk) Delimiter() string { return c.delimiter }

// Decode implements Decoder.
func (c *esBulk) Decode(x *Context, message []byte) {
	text := (*charset)(nil).text(message)
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimRight(line, "\r"); strings.TrimSpace(line) == "" {
			continue
		}
		if err := c.line(x, unsafe.Slice(unsafe.StringData(line), len(line))); err != nil {
			x.Log.Error("a line of a _bulk request cannot be read and is left out", "error", err)
		}
	}
}

func (c *esBulk) line(x *Context, line []byte) error {
	v, err := event.ParseJSON(line, event.JSONOptions{Trailing: true})
	if err != nil {
		return err
	}
	if v.Kind() != event.Map {
		return fmt.Errorf("expected an object, found a value of type %s", v.Kind())
	}
	if c.action.Is() {
		if badMetadata(v.Map()) {
			return errors.New("the @metadata of the document is no object")
		}
		c.emit(x, v, c.action)
		c.action = event.Value{}
		return nil
	}
	if v.Map().Len() == 0 {
		return errors.New("expected an action, found an empty object")
	}
	first := v.Map().Entries()[0]
	if first.Value.Kind() != event.Map {
		return fmt.Errorf("the action %s has no object", first.Key)
	}
	action := first.Value.Own() // its document may come in another batch
	action.Map().Set("action", event.StringValue(strings.Clone(first.Key)))
	if first.Key == "delete" {
		c.emit(x, event.MapValue(), action)
		return nil
	}
	c.action = action
	return nil
}

// emit emits a document as an event.
func (c *esBulk) emit(x *Context, document, action event.Value) {
	e := x.New()
	if c.Target != nil {
		into(x, e, c.Target, document)
	} else {
		for _, f := range document.Map().Entries() {
			e.Fields().Set(f.Key, f.Value)
		}
		e.Complete(x.Now)
	}
	if err := e.Set(c.metadata, action); err != nil {
		x.Log.Error("the metadata of a _bulk request cannot be set", "error", err)
	}
	x.Emit(e)
}

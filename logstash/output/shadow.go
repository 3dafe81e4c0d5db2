package output

import (
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/input"
	"github.com/narudata/naru/logstash/witness"
)

// Beside gives an output that does no harm in a role: in shadow, one that would be seen outside forms its records, so that what cannot be
// written is noticed and the work is the same, and lets go of them. Those of OpenSearch and Elasticsearch write into other
// indices, and pipeline sends to a pipeline of this process, which is in shadow, too.
//
// What the others form is told to the role's witness, in shadow and live, under the name that both versions have for the output.
func Beside(o Output, name, where string, role *input.Role) Output {
	if role == nil {
		return o
	}
	switch o.(type) {
	case *bulkOutput, *Pipeline, *Null:
		return o
	}
	if role.Witness != nil {
		o = witnessed{o, name, role.Witness}
	}
	if role.Shadow {
		o = withheld{o, name, where}
	}
	return o
}

// withheld is an output whose records are not written.
type withheld struct {
	Output
	name, where string
}

// Open implements Output.
func (w withheld) Open(r *Run) (stream.Sink, error) {
	log := r.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	log.Warn("an output is not written in shadow: what it would write is counted, and kept for a while to be compared", "output", w.name, "at", w.where)
	return stream.Sink{Sink: nothing{}}, nil
}

// witnessed is an output whose records are told.
type witnessed struct {
	Output
	name string
	by   *witness.Witness
}

// Former implements Output.
func (w witnessed) Former(e codec.Encoder) Former {
	return &witnessedFormer{Former: w.Output.Former(e), of: w}
}

type witnessedFormer struct {
	Former
	of   witnessed
	last string // the record that the last event was from
	nth  int    // which of its events that was
}

// Form implements Former.
func (f *witnessedFormer) Form(dst []byte, r *flow.Record, e *event.Event) ([]byte, error) {
	dst, err := f.Former.Form(dst, r, e)
	if err != nil || !f.of.by.Keeps() {
		return dst, err
	}
	id := ""
	if under := e.Metadata().Get("kafka").Map(); under != nil {
		id = under.Get("id").Text()
	}
	if id == "" {
		return dst, nil // it is from no record
	}
	if id == f.last { // events of one record come one after the other
		f.nth++
	} else {
		f.last, f.nth = strings.Clone(id), 0
	}
	f.of.by.Made(id, f.nth, f.of.name, r)
	return dst, nil
}

// routed sets up what a role changes: documents have ids that say where their records are from, unless the configuration has other
// ones, so that those of two versions can be paired, and what is read twice is there once; in shadow indices have other names.
func (b *bulkOutput) routed(role *input.Role) {
	if role == nil {
		return
	}
	b.ids = b.DocumentID == nil
	if role.Shadow {
		b.prefix = role.Prefix()
		b.mark = shadowMark{Group: role.Group, Hash: role.Hash}
		b.template.prefix, b.template.mark = b.prefix, b.mark
		if b.lifetime != nil {
			b.template.alias = b.lifetime.alias
			b.lifetime = nil
		}
	}
}

// origin appends the id of the record that an event is from, and behind it which of the events of the record it is, but for the
// first one; false: the event is from no record of Kafka.
func (f *bulkFormer) origin(dst []byte, e *event.Event) ([]byte, bool) {
	under := e.Metadata().Get("kafka").Map()
	if under == nil {
		return dst, false
	}
	id := under.Get("id").Text()
	if id == "" {
		return dst, false
	}
	// Events of one record come one after the other: an event goes to its end before the next one begins.
	if id == string(f.last) {
		f.nth++
	} else {
		f.last, f.nth = append(f.last[:0], id...), 0
	}
	dst = append(dst, id...)
	if f.nth > 0 {
		dst = strconv.AppendInt(append(dst, ':'), int64(f.nth), 10)
	}
	return dst, true
}

// besides puts the prefix into a name that begins at from, with its quote. Names with date math are in angle brackets.
func (b *bulkOutput) besides(dst []byte, from int) []byte {
	if b.prefix == "" {
		return dst
	}
	at := from + 1
	if at < len(dst) && dst[at] == '<' {
		at++
	}
	return slices.Insert(dst, at, []byte(b.prefix)...)
}

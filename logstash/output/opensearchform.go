package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/logstash/event"
)

// bulkFormer makes the lines of an operation of an event: of one worker.
type bulkFormer struct {
	*bulkOutput
	index indexName

	action    string // of all events; "": from each
	simple    bool   // the action's line is {"action":{"_index":…}}, whatever the event
	head      []byte // {"action":{"_index":
	lang      string // of scripts; "": not said
	parameter string
	retries   int64
	last      []byte // id of the record that an event was of
	nth       int    // event of it
	patch     []byte // ,"data_stream":{…}} for events without one
}

func newBulkFormer(b *bulkOutput) *bulkFormer {
	f := &bulkFormer{bulkOutput: b, index: newIndexName(b.index), lang: "painless", parameter: "event", retries: 1}
	if f.action = "index"; b.Action != nil {
		f.action = ""
		if text, static := b.Action.Static(); static {
			f.action = text
		}
	}
	f.head = []byte(`{"` + f.action + `":{"_index":`)
	f.simple = (f.action == "index" || f.action == "create") && b.DocumentID == nil && b.Routing == nil && b.Pipeline == nil &&
		b.Version == nil && b.VersionType == "" && b.JoinField == nil && b.streams == nil && !b.ids
	if b.ScriptLang != nil {
		f.lang = *b.ScriptLang
	}
	if b.ScriptVarName != nil {
		f.parameter = *b.ScriptVarName
	}
	if b.RetryOnConflict != nil {
		f.retries = *b.RetryOnConflict
	}
	if b.streams != nil && b.streams.sync {
		f.patch = fmt.Appendf(nil, `,"data_stream":{"type":%q,"dataset":%q,"namespace":%q}}`, b.streams.typ, b.streams.dataset, b.streams.namespace)
	}
	return f
}

// Form implements Former.
func (f *bulkFormer) Form(dst []byte, r *flow.Record, e *event.Event) ([]byte, error) {
	start := len(dst)
	var err error
	if f.simple && (!f.metadata || e.Metadata().Len() == 0) {
		dst = append(dst, f.head...)
		if dst, err = f.indexed(dst, e); err == nil {
			dst = append(dst, "}}\n"...)
			dst = append(e.AppendJSON(dst), '\n')
		}
	} else {
		dst, err = f.form(dst, e)
	}
	if err != nil {
		dst = e.AppendJSON(dst[:start])
	}
	r.Body = dst[start:len(dst):len(dst)]
	return dst, err
}

// indexed appends the name of the index as JSON.
func (f *bulkFormer) indexed(dst []byte, e *event.Event) ([]byte, error) {
	from := len(dst)
	dst, err := f.index.append(dst, e)
	if err != nil {
		return dst, fmt.Errorf("index: %w", err)
	}
	if f.strict && f.index.refs {
		if open := bytes.Index(dst[from:], []byte("%{")); open >= 0 && bytes.IndexByte(dst[from+open:], '}') >= 0 {
			return dst, fmt.Errorf("the index %s has a reference to a field that the event does not have", dst[from:])
		}
	}
	return f.besides(dst, from), nil
}

// An ingest is what [@metadata][_ingest_document] says of an event.
type ingest struct{ id, index, pipeline, routing, version, versionType event.Value }

func ingestOf(e *event.Event) (in ingest) {
	m := e.Metadata().Get("_ingest_document").Map()
	if m == nil {
		return in
	}
	return ingest{m.Get("id"), m.Get("index"), m.Get("pipeline"), m.Get("routing"), m.Get("version"), m.Get("version_type")}
}

func (f *bulkFormer) form(dst []byte, e *event.Event) ([]byte, error) {
	var in ingest
	if f.metadata && e.Metadata().Len() > 0 {
		in = ingestOf(e)
	}
	action := f.action
	if action == "" {
		text, err := f.Action.Text(e)
		if err != nil {
			return dst, fmt.Errorf("action: %w", err)
		}
		if !slices.Contains(actions, text) {
			return dst, fmt.Errorf("there is no action %q: expected one of %s", text, strings.Join(actions, ", "))
		}
		action = text
	}
	dst = append(append(append(dst, `{"`...), action...), `":{"_index":`...)
	var err error
	from := len(dst)
	if name, ok := f.stream(e); ok {
		dst = f.besides(event.AppendJSON(dst, event.StringValue(name)), from)
	} else if dst, err = f.indexed(dst, e); err != nil {
		return dst, err
	}
	if f.placed && truthy(in.index) {
		dst = f.besides(event.AppendJSON(dst[:from], event.StringValue(in.index.Text())), from)
	}
	if dst, err = f.parameters(dst, e, &in, action); err != nil {
		return dst, err
	}
	dst = append(dst, "}}\n"...)
	switch action {
	case "delete":
		return dst, nil
	case "update":
		dst, err = f.update(dst, e)
	default:
		dst = f.source(dst, e)
	}
	return append(dst, '\n'), err
}

// truthy reports what counts as given in Ruby.
func truthy(v event.Value) bool { return !v.Nil() && (v.Kind() != event.Bool || v.Bool()) }

// parameters appends what else an action's line has.
func (f *bulkFormer) parameters(dst []byte, e *event.Event, in *ingest, action string) ([]byte, error) {
	var err error
	member := func(name string, format *event.Format, given event.Value) {
		switch {
		case err != nil:
		case format != nil:
			before := len(dst)
			if dst, err = appendFormat(append(append(append(dst, `,"`...), name...), `":`...), format, e); err != nil {
				err = fmt.Errorf("%s: %w", name, err)
			} else if name == "pipeline" && bytes.HasSuffix(dst, []byte(`:""`)) {
				dst = dst[:before]
			}
		case truthy(given):
			dst = event.AppendJSON(append(append(append(dst, `,"`...), name...), `":`...), event.StringValue(given.Text()))
		}
	}
	if f.ids && !truthy(in.id) && (action == "index" || action == "create") {
		if with, ok := f.origin(append(dst, `,"_id":"`...), e); ok { // names of topics and clusters need no escapes
			dst = append(with, '"')
		}
	} else {
		member("_id", f.DocumentID, in.id)
	}
	if f.JoinField != nil && f.Parent != nil {
		member("routing", f.Parent, event.Value{})
	} else {
		member("routing", f.Routing, in.routing)
	}
	if given := in.pipeline; f.Pipeline != nil || truthy(given) {
		member("pipeline", f.Pipeline, given)
	} else if f.metadata {
		target := e.Metadata().Get("target_ingest_pipeline")
		switch text := target.Text(); {
		case !truthy(target) || text == "":
		case strings.Contains(text, "%{"):
			member("pipeline", event.ParseFormat(text), event.Value{})
		default:
			member("pipeline", nil, target)
		}
	}
	if err != nil {
		return dst, err
	}
	if action == "update" {
		dst = strconv.AppendInt(append(dst, `,"retry_on_conflict":`...), f.retries, 10)
	}
	return f.version(dst, e, in)
}

// version appends the version, which must be a number: the whole request fails otherwise.
func (f *bulkFormer) version(dst []byte, e *event.Event, in *ingest) ([]byte, error) {
	text := ""
	switch {
	case f.Version != nil:
		var err error
		if text, err = f.Version.Text(e); err != nil {
			return dst, fmt.Errorf("version: %w", err)
		}
	case truthy(in.version):
		text = in.version.Text()
	}
	if text != "" || f.Version != nil {
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil {
			return dst, fmt.Errorf("the version %q is no whole number", text)
		}
		dst = strconv.AppendInt(append(dst, `,"version":`...), n, 10)
	}
	typ := f.VersionType
	if typ == "" && truthy(in.versionType) {
		typ = in.versionType.Text()
	}
	if typ != "" {
		dst = event.AppendJSON(append(dst, `,"version_type":`...), event.StringValue(typ))
	}
	return dst, nil
}

// source appends the event as the document.
func (f *bulkFormer) source(dst []byte, e *event.Event) []byte {
	switch {
	case f.streams != nil && f.streams.sync:
		return f.synced(dst, e)
	case f.JoinField == nil || f.Parent == nil:
		return e.AppendJSON(dst)
	}
	// The event is as it was afterwards: other outputs have it, too.
	before := e.Get(f.JoinField)
	parent, err := f.Parent.Text(e)
	join := event.MapValue()
	join.Map().Set("name", before)
	join.Map().Set("parent", event.StringValue(parent))
	if before.Kind() == event.Absent {
		join.Map().Set("name", event.NullValue)
	}
	if err != nil || e.Set(f.JoinField, join) != nil {
		return e.AppendJSON(dst)
	}
	dst = e.AppendJSON(dst)
	if before.Kind() == event.Absent {
		e.Remove(f.JoinField)
	} else {
		_ = e.Set(f.JoinField, before) // it was there
	}
	return dst
}

// stream gives the data stream that an event chooses.
func (f *bulkFormer) stream(e *event.Event) (string, bool) {
	if f.streams == nil || !f.streams.routed {
		return "", false
	}
	m := e.GetField("data_stream").Map()
	if m == nil {
		return "", false
	}
	part := func(name, otherwise string) string {
		if v := m.Get(name); truthy(v) {
			return v.Text()
		}
		return otherwise
	}
	return part("type", f.streams.typ) + "-" + part("dataset", f.streams.dataset) + "-" + part("namespace", f.streams.namespace), true
}

// synced appends the event with the fields of the data stream that it is written to.
func (f *bulkFormer) synced(dst []byte, e *event.Event) []byte {
	own := e.GetField("data_stream")
	m := own.Map()
	if m == nil {
		if own.Kind() != event.Absent {
			f.log.Debug("a data_stream that is no object is replaced", "value", own.Text())
			e.RemoveField("data_stream")
			defer func() { _ = e.SetField("data_stream", own) }() // it was there
		}
		dst = e.AppendJSON(dst)
		patch := f.patch
		if dst[len(dst)-2] == '{' {
			patch = patch[1:]
		}
		return append(dst[:len(dst)-1], patch...)
	}
	var changed event.Value
	for _, part := range [...][2]string{{"type", f.streams.typ}, {"dataset", f.streams.dataset}, {"namespace", f.streams.namespace}} {
		v := m.Get(part[0])
		if truthy(v) && (f.streams.routed || v.Text() == part[1]) {
			continue
		}
		if changed.Kind() == event.Absent {
			changed = own.Clone()
		}
		changed.Map().Set(part[0], event.StringValue(part[1]))
	}
	if changed.Kind() == event.Absent {
		return e.AppendJSON(dst)
	}
	_ = e.SetField("data_stream", changed) // a field at the top can be any value
	dst = e.AppendJSON(dst)
	_ = e.SetField("data_stream", own)
	return dst
}

// update appends the line of an update.
//
// Source: update_action_builder in http_client.rb.
func (f *bulkFormer) update(dst []byte, e *event.Event) ([]byte, error) {
	script := ""
	if f.Script != nil {
		var err error
		if script, err = f.Script.Text(e); err != nil {
			return dst, fmt.Errorf("script: %w", err)
		}
	}
	if script == "" {
		dst = f.source(append(dst, `{"doc":`...), e)
		if is(f.DocAsUpsert) {
			return append(dst, `,"doc_as_upsert":true}`...), nil
		}
		dst, err := f.upsert(dst, e)
		return append(dst, '}'), err
	}
	dst = append(dst, `{"script":{`...)
	if slices.Contains(f.ScriptType, "indexed") {
		dst = event.AppendJSON(append(dst, `"id":`...), event.StringValue(script))
	} else {
		dst = event.AppendJSON(append(dst, `"source":`...), event.StringValue(script))
		if f.lang != "" {
			dst = event.AppendJSON(append(dst, `,"lang":`...), event.StringValue(f.lang))
		}
	}
	dst = event.AppendJSON(append(dst, `,"params":{`...), event.StringValue(f.parameter))
	dst = f.source(append(dst, ':'), e)
	dst = append(dst, "}}"...)
	switch {
	case is(f.ScriptedUpsert):
		return append(dst, `,"scripted_upsert":true,"upsert":{}}`...), nil
	case is(f.DocAsUpsert):
		return append(f.source(append(dst, `,"upsert":`...), e), '}'), nil
	}
	dst, err := f.upsert(dst, e)
	return append(dst, '}'), err
}

func (f *bulkFormer) upsert(dst []byte, e *event.Event) ([]byte, error) {
	if f.Upsert == nil {
		return dst, nil
	}
	text, err := f.Upsert.Text(e)
	if err != nil {
		return dst, fmt.Errorf("upsert: %w", err)
	}
	if text == "" {
		return dst, nil
	}
	var line bytes.Buffer
	if err := json.Compact(&line, []byte(text)); err != nil {
		return dst, fmt.Errorf("upsert is no JSON: %w", err)
	}
	return append(append(dst, `,"upsert":`...), line.Bytes()...), nil
}

// appendFormat appends a text as a JSON string.
func appendFormat(dst []byte, f *event.Format, e *event.Event) ([]byte, error) {
	dst = append(dst, '"')
	from := len(dst)
	dst, err := f.Append(dst, e)
	if err != nil {
		return dst, err
	}
	for _, c := range dst[from:] {
		if c < 0x20 || c == '"' || c == '\\' || c >= 0x80 {
			return event.AppendJSON(dst[:from-1], event.StringValue(string(dst[from:]))), nil
		}
	}
	return append(dst, '"'), nil
}

// An indexName makes the names of indices as JSON. What only depends on the day or hour is made once for it.
type indexName struct {
	format *event.Format
	refs   bool  // it has references to fields
	unit   int64 // seconds for which the name is the same; 0: not known
	always []byte
	recent [4]struct {
		period int64
		name   []byte // nil: none
	}
}

func newIndexName(f *event.Format) indexName {
	n := indexName{format: f, refs: len(f.Refs()) > 0}
	if text, static := f.Static(); static {
		n.always = event.AppendJSON(nil, event.StringValue(text))
	} else if !n.refs && f.Err() == nil {
		n.unit = unitOf(f.String())
	}
	return n
}

func (n *indexName) append(dst []byte, e *event.Event) ([]byte, error) {
	if n.always != nil {
		return append(dst, n.always...), nil
	}
	if n.unit == 0 {
		return appendFormat(dst, n.format, e)
	}
	t, ok := e.Timestamp()
	if !ok {
		return appendFormat(dst, n.format, e)
	}
	second := t.Unix()
	period := second / n.unit
	if second%n.unit < 0 {
		period--
	}
	r := &n.recent[period&3]
	if r.name == nil || r.period != period {
		name, err := appendFormat(r.name[:0], n.format, e)
		if err != nil {
			return dst, err
		}
		r.period, r.name = period, name
	}
	return append(dst, r.name...), nil
}

// unitOf says for how many seconds a text with dates by patterns of Joda-Time, in UTC, stays the same: a day or an hour; 0 where
// that is not plain to see.
func unitOf(text string) int64 {
	unit := int64(24 * 60 * 60)
	for {
		_, rest, ok := strings.Cut(text, "%{")
		if !ok {
			return unit
		}
		pattern, after, ok := strings.Cut(rest, "}")
		pattern, joda := strings.CutPrefix(pattern, "+")
		if !ok || !joda || pattern == "%s" {
			return 0
		}
		for i := range len(pattern) {
			switch c := pattern[i]; {
			case strings.IndexByte("GCYyxMwDdeE.-_/ ", c) >= 0, c >= '0' && c <= '9':
			case c == 'H':
				unit = 60 * 60
			default:
				return 0
			}
		}
		text = after
	}
}

package logstash

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/narudata/naru/logstash/event"
)

// changes gives the fields that differ between two states of an event, those inside of maps by themselves, and the tags.
func changes(before, after *event.Event) ([]Change, *ChangedTags) {
	var d differ
	d.fields("", before.Fields(), after.Fields())
	d.fields("[@metadata]", before.Metadata(), after.Metadata())
	var tags ChangedTags
	old, now := before.Tags(), after.Tags()
	for _, t := range now {
		if !slices.Contains(old, t) {
			tags.Added = append(tags.Added, t)
		}
	}
	for _, t := range old {
		if !slices.Contains(now, t) {
			tags.Removed = append(tags.Removed, t)
		}
	}
	if len(tags.Added)+len(tags.Removed) == 0 {
		return d.out, nil
	}
	return d.out, &tags
}

type differ struct{ out []Change }

// fields compares two maps; path is where they are.
func (d *differ) fields(path string, before, after *event.Fields) {
	for _, e := range before.Entries() {
		if path != "" || e.Key != "tags" {
			d.value(path+"["+e.Key+"]", e.Value, after.Get(e.Key))
		}
	}
	for _, e := range after.Entries() {
		if (path != "" || e.Key != "tags") && !before.Get(e.Key).Is() {
			d.value(path+"["+e.Key+"]", event.Value{}, e.Value)
		}
	}
}

// none is a map without members: what a map is compared with that comes or goes.
var none event.Fields

func (d *differ) value(path string, before, after event.Value) {
	old, now := before.Kind() == event.Map, after.Kind() == event.Map
	switch {
	case old && now:
		d.fields(path, before.Map(), after.Map())
		return
	case now && !before.Is() && after.Map().Len() > 0:
		d.fields(path, &none, after.Map())
		return
	case old && !after.Is() && before.Map().Len() > 0:
		d.fields(path, before.Map(), &none)
		return
	}
	c := Change{Field: path}
	if before.Is() {
		c.Before = event.AppendJSON(nil, before)
	}
	if after.Is() {
		c.After = event.AppendJSON(nil, after)
	}
	// A string and a time may print alike.
	if before.Kind() != after.Kind() || !bytes.Equal(c.Before, c.After) {
		d.out = append(d.out, c)
	}
}

// noteHandler notes what filters log, for the step that runs.
type noteHandler struct {
	x     *Explainer
	attrs []slog.Attr
}

// Enabled implements slog.Handler: what is worth a warning is a note.
func (noteHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// Handle implements slog.Handler.
func (h noteHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	sep := ": "
	add := func(a slog.Attr) bool {
		if a.Key != "filter" { // the step says it
			fmt.Fprintf(&b, "%s%s=%v", sep, a.Key, a.Value)
			sep = " "
		}
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	h.x.notes = append(h.x.notes, b.String())
	return nil
}

// WithAttrs implements slog.Handler.
func (h noteHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return noteHandler{h.x, append(slices.Clone(h.attrs), attrs...)}
}

// WithGroup implements slog.Handler.
func (h noteHandler) WithGroup(string) slog.Handler { return h }

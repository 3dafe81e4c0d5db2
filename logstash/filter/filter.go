// Package filter holds Logstash's filters, one file each: the listing of the folder is the list of what there is, and
// table.go names them all. A filter is a struct whose tagged fields are its options; package option fills them in.
package filter

import (
	"log/slog"
	"time"

	"github.com/narudata/naru/logstash/event"
)

// A Filter changes events. It is made once for a pipeline and may be used by several workers at a time: what a worker
// needs for itself is in the Context, or the filter is a Forker.
type Filter interface {
	// Filter changes e, cancels it (e.Cancel), or emits more. It calls its Matched where the original calls
	// filter_matched. It never fails: what goes wrong is a tag on the event.
	Filter(x *Context, e *event.Event)
}

// A Plugin is a filter with its options filled in and not yet set up.
type Plugin interface {
	// Setup checks the options, compiles what can be, and gives the filter. An error is one of the configuration.
	Setup(s *Setup) (Filter, error)
}

// A Setup is what a plugin is set up with.
type Setup struct {
	ECS    ECS
	Dir    string // what relative paths are relative to
	Log    *slog.Logger
	Now    func() time.Time
	Getenv func(string) string
	Style  event.EscapeStyle // how field references are escaped
	// Shared is what the filters of one pipeline share; nil: each has its own.
	Shared *Shared
	// Where the plugin stands, for messages: "pipeline.conf:12:3".
	Where string
}

// ECS is a version of the Elastic Common Schema that names of fields follow.
type ECS string

// The versions.
const (
	ECSDisabled ECS = "disabled"
	ECSv1       ECS = "v1"
	ECSv8       ECS = "v8"
)

// A Forker is a filter with state for each worker.
type Forker interface {
	Filter
	Fork() Filter
}

// A Flusher is a filter that makes events of its own from time to time (periodic_flush). Flush is called by one worker at a
// time, about every five seconds, and a last time when the pipeline ends.
type Flusher interface {
	Filter
	Flush(x *Context, final bool)
}

// A Closer has something to let go of.
type Closer interface{ Close() error }

// A Context is a worker's own.
type Context struct {
	// Emit gives a new event to the rest of the pipeline, behind the filter that is running.
	Emit func(e *event.Event)
	// New makes an event, for Emit. It is reused when the batch is done.
	New  func() *event.Event
	Now  func() time.Time
	Log  *slog.Logger
	Refs event.Refs // references that are made at run time
	Buf  []byte     // scratch, for use within one call
}

package filter

import (
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// succeed runs the common options of a filter that has no tag for what goes wrong with them. Logstash stops the pipeline when
// they cannot be run (a field is added inside of a text); here it is logged, and the event goes on.
func succeed(x *Context, where string, c *option.Common, e *event.Event) {
	if err := c.Matched(e); err != nil {
		x.Log.Warn("what a filter adds cannot be set", "filter", where, "error", err)
	}
}

// set sets a field of a filter that has no tag for failures, as succeed does.
func set(x *Context, where string, e *event.Event, r *event.Ref, v event.Value) bool {
	if err := e.Set(r, v); err != nil {
		x.Log.Warn("what a filter makes cannot be set", "filter", where, "error", err)
		return false
	}
	return true
}

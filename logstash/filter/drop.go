package filter

import (
	"math/rand/v2"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// Drop drops events: the filters behind it do not see them, nor do the outputs.
//
// Source: LogStash::Filters::Drop of logstash-filter-drop 3.0.
type Drop struct {
	option.Common
	Percentage float64 `ls:"percentage" default:"100" doc:"how many events of a hundred to drop, by chance"`
}

// Setup implements Plugin.
func (d *Drop) Setup(*Setup) (Filter, error) {
	if d.Percentage < 0 {
		return nil, option.Errorf("percentage", "expected 0 to 100, found %v", d.Percentage)
	}
	return d, nil
}

// Filter implements Filter.
func (d *Drop) Filter(_ *Context, e *event.Event) {
	if d.Percentage >= 100 || rand.Float64()*100 < d.Percentage { //nolint:gosec // a share of events, no secret
		e.Cancel()
	}
}

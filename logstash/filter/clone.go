package filter

import (
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// Clone makes copies of each event. A copy has its name in the field type; with the Elastic Common Schema it has it as a tag.
// The common options are run on the copies only.
//
// Source: logstash-filter-clone 4.2.
type Clone struct {
	option.Common
	Clones []string `ls:"clones,required" doc:"the names of the copies: one is made for each"`
	ECS    string   `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"whether the name of a copy is its type (disabled) or a tag; that of the pipeline if not given"`
}

type clone struct {
	*Clone
	where  string
	tagged bool
}

// Setup implements Plugin.
func (c *Clone) Setup(s *Setup) (Filter, error) {
	return &clone{c, s.Where, s.ecs(c.ECS) != ECSDisabled}, nil
}

// Filter implements Filter.
func (f *clone) Filter(x *Context, e *event.Event) {
	for _, name := range f.Clones {
		made := x.New()
		e.CopyTo(made)
		if f.tagged {
			made.AddTag(name)
		} else {
			made.Fields().Set("type", event.StringValue(name))
		}
		succeed(x, f.where, &f.Common, made)
		x.Emit(made)
	}
}

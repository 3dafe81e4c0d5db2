package filter

import (
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// JSONEncode writes a field as JSON. A field that is missing is null.
//
// Source: logstash-filter-json_encode 3.0.
//
// Differences:
//   - a field that is no reference is an error of the configuration; Logstash finds it with the first event.
type JSONEncode struct {
	option.Common
	Source *event.Ref `ls:"source,required" doc:"the field that is written"`
	Target *event.Ref `ls:"target" doc:"the field that gets the text; the source itself if there is none"`
}

type jsonEncode struct {
	*JSONEncode
	where string
	room  textRoom
}

// Setup implements Plugin.
func (j *JSONEncode) Setup(s *Setup) (Filter, error) {
	if j.Target == nil {
		j.Target = j.Source
	}
	return &jsonEncode{JSONEncode: j, where: s.Where}, nil
}

// Fork implements Forker.
func (f *jsonEncode) Fork() Filter { return &jsonEncode{JSONEncode: f.JSONEncode, where: f.where} }

// Filter implements Filter.
func (f *jsonEncode) Filter(x *Context, e *event.Event) {
	x.Buf = event.AppendJSON(x.Buf[:0], e.Get(f.Source))
	err := e.Set(f.Target, event.StringValue(f.room.keep(x.Buf)))
	if err == nil {
		err = f.Matched(e)
	}
	if err != nil {
		x.Log.Warn("json_encode failed", "filter", f.where, "error", err)
		e.Tag("_jsongeneratefailure")
	}
}

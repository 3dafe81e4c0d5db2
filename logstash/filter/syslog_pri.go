package filter

import (
	"math"
	"math/big"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// SyslogPri takes the priority of a syslog message apart: the facility is priority / 8, the severity the rest. Without a
// priority it is 13: user-level, notice. A text counts by the number it begins with, a list by its first element.
//
// Source: logstash-filter-syslog_pri 3.2.
//
// Differences:
//   - a field that is no reference is an error of the configuration; Logstash finds it with the first event;
//   - a map or true as the priority gets the tag _syslogpriparsefailure; Logstash fails for it.
type SyslogPri struct {
	option.Common
	UseLabels      bool       `ls:"use_labels" default:"true" doc:"whether facility and severity get their names, too"`
	Field          *event.Ref `ls:"syslog_pri_field_name" doc:"the field that has the priority; syslog_pri, or [log][syslog][priority] with the schema, if not given"`
	FacilityLabels []string   `ls:"facility_labels" default:"kernel,user-level,mail,daemon,security/authorization,syslogd,line printer,network news,uucp,clock,security/authorization,ftp,ntp,log audit,log alert,clock,local0,local1,local2,local3,local4,local5,local6,local7" doc:"the names of facilities, from 0 on"`
	SeverityLabels []string   `ls:"severity_labels" default:"emergency,alert,critical,error,warning,notice,informational,debug" doc:"the names of severities, from 0 on"`
	ECS            string     `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"whether fields have names of the Elastic Common Schema; that of the pipeline if not given"`
}

type syslogPri struct {
	*SyslogPri
	where                                     string
	field                                     *event.Ref
	facility, facilityName, severity, sevName *event.Ref
}

// Setup implements Plugin.
func (p *SyslogPri) Setup(s *Setup) (Filter, error) {
	ecs := s.ecs(p.ECS)
	f := &syslogPri{SyslogPri: p, where: s.Where, field: p.Field}
	for _, r := range []struct {
		ref              **event.Ref
		disabled, schema string
	}{
		{&f.field, "syslog_pri", "[log][syslog][priority]"},
		{&f.facility, "syslog_facility_code", "[log][syslog][facility][code]"},
		{&f.severity, "syslog_severity_code", "[log][syslog][severity][code]"},
		{&f.facilityName, "syslog_facility", "[log][syslog][facility][name]"},
		{&f.sevName, "syslog_severity", "[log][syslog][severity][name]"},
	} {
		if *r.ref != nil {
			continue
		}
		var err error
		if *r.ref, err = event.ParseRef(ecs.named(r.disabled, r.schema)); err != nil {
			return nil, err
		}
	}
	return f, nil
}

const tagBadPriority = "_syslogpriparsefailure"

// Filter implements Filter.
func (f *syslogPri) Filter(x *Context, e *event.Event) {
	f.parse(x, e)
	succeed(x, f.where, &f.Common, e)
}

func (f *syslogPri) parse(x *Context, e *event.Event) {
	v, ok := priority(e.Get(f.field))
	if !ok {
		e.Tag(tagBadPriority)
		return
	}
	severity, facility := v.Int()&7, event.IntValue(v.Int()>>3)
	if n := v.Big(); n != nil {
		severity = new(big.Int).And(n, big.NewInt(7)).Int64()
		facility = event.BigValue(new(big.Int).Rsh(n, 3))
	}
	set(x, f.where, e, f.severity, event.IntValue(severity))
	set(x, f.where, e, f.facility, facility)
	if !f.UseLabels {
		return
	}
	code := facility.Int()
	if n := facility.Big(); n != nil {
		code = math.MinInt64
		if n.Sign() > 0 {
			code = math.MaxInt64
		}
	}
	if code >= int64(len(f.FacilityLabels)) {
		e.Tag(tagBadPriority)
		return
	}
	if name, ok := label(f.FacilityLabels, code); ok {
		set(x, f.where, e, f.facilityName, event.StringValue(name))
	}
	if name, ok := label(f.SeverityLabels, severity); ok {
		set(x, f.where, e, f.sevName, event.StringValue(name))
	}
}

// label gives a name; a negative number counts from the end, as in Ruby.
func label(labels []string, i int64) (string, bool) {
	if i < 0 {
		i += int64(len(labels))
	}
	if i < 0 || i >= int64(len(labels)) {
		return "", false
	}
	return labels[i], true
}

// priority gives a priority as an integer; false for what is none.
func priority(v event.Value) (event.Value, bool) {
	if v.Kind() == event.List {
		switch list := v.List(); {
		case len(list) == 0 || list[0].Nil():
			return event.IntValue(0), true
		default:
			v = list[0]
		}
	} else if v.Nil() || v.Kind() == event.Bool && !v.Bool() {
		return event.IntValue(13), true
	}
	switch v.Kind() {
	case event.String:
		return rubyInt(v.Str()), true
	case event.Bool, event.List, event.Map:
		return v, false
	}
	n, err := toInteger(v)
	return n, err == nil
}

package input

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/narudata/naru/connect/network"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/filter"
	"github.com/narudata/naru/logstash/option"
)

// Syslog receives syslog messages by TCP and UDP, at one port, and takes them apart: RFC 3164, with dates of that or of ISO 8601.
// What does not match gets the tag _grokparsefailure_sysloginput, and priority 0.
//
// Source: LogStash::Inputs::Syslog of logstash-input-syslog 3.7.
//
// Differences:
//   - By TCP, messages may also begin with their length (RFC 6587); what is no length is read line by line. As in the
//     original, a line's end is a part of the message.
//   - rfc5424 is naru's own.
//   - Messages of TCP are bounded like those of the input tcp.
//   - Names of months are English without locale.
//   - If the port is taken the pipeline does not start; Logstash tries again and again.
//   - add_field and tags come after the message was taken apart.
type Syslog struct {
	Options
	Host             string   `ls:"host" default:"0.0.0.0" doc:"the address to listen at"`
	Port             int64    `ls:"port" default:"514" doc:"the port to listen at, with TCP and UDP"`
	SyslogField      string   `ls:"syslog_field" default:"message" doc:"the field with the syslog message, if the codec has put it into another one"`
	GrokPattern      string   `ls:"grok_pattern" doc:"the pattern of messages; without it, that of RFC 3164"`
	RFC5424          bool     `ls:"rfc5424" default:"false" doc:"whether messages of RFC 5424 are taken apart, too, by the pattern SYSLOG5424LINE with the names of fields that other messages have; only without grok_pattern"`
	ProxyProtocol    bool     `ls:"proxy_protocol" default:"false" doc:"whether connections begin with a header of the PROXY protocol, version 1"`
	UseLabels        bool     `ls:"use_labels" default:"true" doc:"whether facility and severity get their names, too"`
	FacilityLabels   []string `ls:"facility_labels" default:"kernel,user-level,mail,system,security/authorization,syslogd,line printer,network news,UUCP,clock,security/authorization,FTP,NTP,log audit,log alert,clock,local0,local1,local2,local3,local4,local5,local6,local7" doc:"the names of facilities, from 0 on"`
	SeverityLabels   []string `ls:"severity_labels" default:"Emergency,Alert,Critical,Error,Warning,Notice,Informational,Debug" doc:"the names of severities, from 0 on"`
	Timezone         string   `ls:"timezone" doc:"the zone of dates that name none; without it, that of the host"`
	Locale           string   `ls:"locale" doc:"the language of the names of months, as in de or en-US"`
	ServiceType      string   `ls:"service_type" default:"system" doc:"what [service][type] is, with the schema"`
	ECSCompatibility string   `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"which names of fields are used; without it, those of the pipeline"`
}

// Traits implements Plugin.
func (*Syslog) Traits() Traits { return Traits{Codec: "plain"} }

const (
	syslogTag = "_grokparsefailure_sysloginput"

	// What SYSLOG5424LINE is, with names of fields that RFC 3164 has where both have the same.
	syslog5424Legacy = `\A<%{NONNEGINT:priority}>%{NONNEGINT:syslog5424_ver} +(?:%{TIMESTAMP_ISO8601:timestamp8601}|-) +(?:%{IPORHOST:logsource}|-) +(?:-|%{SYSLOG5424PRINTASCII:program}) +(?:-|%{SYSLOG5424PRINTASCII:pid}) +(?:-|%{SYSLOG5424PRINTASCII:syslog5424_msgid}) +(?:%{SYSLOG5424SD:syslog5424_sd}|-|) *%{GREEDYDATA:message}`
	syslog5424Schema = `\A%{SYSLOG5424BASE} *%{GREEDYDATA:message}`
)

// Setup implements Plugin.
func (i *Syslog) Setup(s *Setup) (Input, error) {
	schema := s.schema(i.ECSCompatibility)
	in := &syslogInput{
		Syslog: i, schema: schema, now: s.Now,
		priority:      named(schema, "priority", "[log][syslog][priority]"),
		facility:      named(schema, "facility", "[log][syslog][facility][code]"),
		severity:      named(schema, "severity", "[log][syslog][severity][code]"),
		facilityLabel: named(schema, "facility_label", "[log][syslog][facility][name]"),
		severityLabel: named(schema, "severity_label", "[log][syslog][severity][name]"),
		host:          named(schema, "host", "[host][ip]"),
		timestamp8601: named(false, "timestamp8601", ""),
		timestamp:     named(false, "timestamp", ""),
		original:      named(false, "[event][original]", ""),
		service:       named(false, "[service][type]", ""),
	}
	var err error
	if in.address, err = joinAddress(i.Host, i.Port); err != nil {
		return nil, err
	}
	if in.field, err = s.Style.Parse(i.SyslogField); err != nil {
		return nil, option.Errorf("syslog_field", "%w", err)
	}
	if in.now == nil {
		in.now = time.Now
	}
	return in, in.filters(s)
}

// filters sets up the filters that take messages apart.
func (i *syslogInput) filters(s *Setup) error {
	ecs := filter.ECSDisabled
	patterns := []any{"<%{POSINT:priority}>%{SYSLOGLINE}", syslog5424Legacy}
	if i.schema {
		ecs = filter.ECSv8
		patterns = []any{"<%{POSINT:[log][syslog][priority]:int}>%{SYSLOGLINE}", syslog5424Schema}
	}
	switch {
	case i.GrokPattern != "" && i.RFC5424:
		return option.Errorf("rfc5424", "there is grok_pattern, too: give one of them")
	case i.GrokPattern != "":
		patterns = []any{i.GrokPattern}
	case !i.RFC5424:
		patterns = patterns[:1]
	}
	setup := &filter.Setup{ECS: ecs, Dir: s.Dir, Log: s.Log, Now: i.now, Getenv: s.Getenv, Style: s.Style, Where: s.Where}
	grok := &filter.Grok{
		Match: option.Hash{{Key: i.SyslogField, Value: patterns}}, Overwrite: []string{i.SyslogField}, TagOnFailure: []string{syslogTag},
		BreakOnMatch: true, NamedCapturesOnly: true, TimeoutMillis: 30000, TimeoutScope: "pattern", TagOnTimeout: "_groktimeout", PatternsFilesGlob: "*",
	}
	date := &filter.Date{
		Match:  []string{"timestamp", "MMM dd HH:mm:ss", "MMM  d HH:mm:ss", "MMM d HH:mm:ss", "ISO8601"},
		Target: "@timestamp", Locale: i.Locale, TagOnFailure: []string{"_dateparsefailure"},
	}
	if i.Timezone != "" {
		date.Timezone = s.Style.ParseFormat(i.Timezone)
	}
	var err error
	if i.grok, err = grok.Setup(setup); err != nil {
		if invalid, ok := errors.AsType[*option.Invalid](err); ok {
			return option.Errorf("grok_pattern", "%w", invalid.Err)
		}
		return err
	}
	if i.date, err = date.Setup(setup); err != nil {
		return err
	}
	i.log = s
	return nil
}

// syslogInput is a Syslog that is set up.
type syslogInput struct {
	*Syslog
	schema  bool
	address string
	field   *event.Ref
	now     func() time.Time
	log     *Setup

	priority, facility, severity, facilityLabel, severityLabel *event.Ref
	host, timestamp, timestamp8601, original, service          *event.Ref

	grok, date filter.Filter
	workers    sync.Pool // of *syslogWorker
}

// A syslogWorker has the filters for one event at a time.
type syslogWorker struct {
	grok, date filter.Filter
	x          filter.Context
}

func forkOf(f filter.Filter) filter.Filter {
	if forker, ok := f.(filter.Forker); ok {
		return forker.Fork()
	}
	return f
}

func (i *syslogInput) worker() *syslogWorker {
	if w, ok := i.workers.Get().(*syslogWorker); ok {
		return w
	}
	return &syslogWorker{grok: forkOf(i.grok), date: forkOf(i.date), x: filter.Context{Now: i.now, Log: i.log.Log, Emit: func(*event.Event) {}, New: event.New}}
}

// Claims implements Claimer.
func (i *syslogInput) Claims(string, string) []Claim {
	return append(ClaimPort("tcp", i.Host, i.Port), ClaimPort("udp", i.Host, i.Port)...)
}

// Describe implements Describer.
func (i *syslogInput) Describe(e *event.Event, r *flow.Record) {
	if p, err := network.ParsePeer(r.Meta); err == nil {
		setField(e, i.host, event.StringValue(p.IP))
	}
	w := i.worker()
	defer i.workers.Put(w)
	if i.schema {
		setField(e, i.original, e.Get(i.field).Clone())
	}
	w.grok.Filter(&w.x, e)
	if i.schema && i.ServiceType != "" && !e.Includes(i.service) {
		setField(e, i.service, event.StringValue(i.ServiceType))
	}
	// The original means 13 for what does not match, but asks for the wrong tag: there is no priority then, which counts as 0.
	priority := leadingInt(e.Get(i.priority))
	setField(e, i.priority, event.IntValue(priority))
	setField(e, i.severity, event.IntValue(priority&7))
	setField(e, i.facility, event.IntValue(priority>>3))
	if !i.schema {
		if v := e.Get(i.timestamp8601); v.Is() {
			setField(e, i.timestamp, v.Clone())
		}
	}
	w.date.Filter(&w.x, e)
	if i.schema {
		e.Remove(i.timestamp)
	}
	if i.UseLabels {
		if n := priority >> 3; n < int64(len(i.FacilityLabels)) {
			setField(e, i.facilityLabel, event.StringValue(i.FacilityLabels[n]))
		}
		if n := priority & 7; n < int64(len(i.SeverityLabels)) {
			setField(e, i.severityLabel, event.StringValue(i.SeverityLabels[n]))
		}
	}
}

// leadingInt is Ruby's to_i of what a pattern has matched, where that is no negative number and not too large; else 0.
func leadingInt(v event.Value) int64 {
	switch v.Kind() {
	case event.Int:
		return max(0, v.Int())
	case event.String:
	default:
		return 0
	}
	n := int64(0)
	for _, c := range []byte(v.Str()) {
		if c < '0' || c > '9' || n > 1<<50 {
			break
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

// Open implements Input.
func (i *syslogInput) Open(r *Run) (stream.Source, error) {
	tcp, err := network.TCP{
		Address: i.address, Framing: network.Framing{Delimiter: []byte("\n"), Counted: true, KeepDelimiter: true},
		ProxyProtocol: i.ProxyProtocol, Port: r.Port, Log: r.Log,
	}.Open()
	if err != nil {
		return nil, err
	}
	address := i.address
	if i.Port == 0 {
		address = tcp.Addr().String()
	}
	udp, err := network.UDP{Address: address, Port: r.Port, Log: r.Log}.Open()
	if err != nil {
		return nil, errors.Join(err, tcp.Close())
	}
	return &volatileBoth{tcp, udp}, nil
}

// volatileBoth is two sources in one.
type volatileBoth struct {
	tcp *network.Server
	udp *network.Packets
}

// Volatile implements stream.Volatile.
func (*volatileBoth) Volatile() bool { return true }

// Run implements stream.Source. If one of the two fails the other one stops, too.
func (b *volatileBoth) Run(ctx context.Context, open func(stream.Stream)) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var errs [2]error
	var both sync.WaitGroup
	for n, s := range []stream.Source{b.tcp, b.udp} {
		both.Go(func() {
			errs[n] = s.Run(ctx, open)
			stop()
		})
	}
	both.Wait()
	return errors.Join(errs[:]...)
}

var _ Describer = (*syslogInput)(nil)

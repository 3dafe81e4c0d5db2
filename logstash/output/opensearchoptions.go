package output

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/input"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/tlsoption"
)

// Bulk are the options that say what is done with an event: those that the outputs opensearch and elasticsearch have in common.
type Bulk struct {
	Action            *event.Format `ls:"action" doc:"what is done: index, create, update, delete, or a reference; without it, index"`
	Index             *event.Format `ls:"index" doc:"the index that is written to; without it, logstash-%{+yyyy.MM.dd}, or ecs-logstash-%{+yyyy.MM.dd} with ECS"`
	DocumentType      *string       `ls:"document_type,deprecated" doc:"the type of the document: it has no meaning, as there are no types any more" instead:"leave it out"`
	DocumentID        *event.Format `ls:"document_id" doc:"the document's id; without it, the target makes one"`
	ManageTemplate    *bool         `ls:"manage_template" doc:"whether a template for indices is installed if it is not there; without it, true"`
	TemplateName      string        `ls:"template_name" doc:"the template's name; without it, logstash, or ecs-logstash with ECS"`
	Template          string        `ls:"template,path" doc:"a file with the template; without it, naru's own"`
	TemplateOverwrite *bool         `ls:"template_overwrite" doc:"whether a template that is there is replaced; without it, false"`
	Version           *event.Format `ls:"version" doc:"the document's version, a number"`
	VersionType       string        `ls:"version_type" enum:"internal|external|external_gt|external_gte|force" doc:"how versions are compared"`
	Routing           *event.Format `ls:"routing" doc:"what decides about the shard"`
	Parent            *event.Format `ls:"parent" doc:"the id of the parent, for join_field"`
	JoinField         *event.Ref    `ls:"join_field" doc:"the field of the type join, whose value names the relation"`
	Upsert            *event.Format `ls:"upsert" doc:"the document (JSON) that an update makes if there is none"`
	DocAsUpsert       *bool         `ls:"doc_as_upsert" doc:"whether an update makes the document of the event if there is none; without it, false"`
	Script            *event.Format `ls:"script" doc:"the script of updates, or its name"`
	ScriptType        []string      `ls:"script_type" enum:"inline|indexed|file" doc:"what script is: the script itself (inline), or the name of one that the target keeps (indexed); without it, inline"`
	ScriptLang        *string       `ls:"script_lang" doc:"the script's language; without it, painless"`
	ScriptVarName     *string       `ls:"script_var_name" doc:"the name of the parameter that the script gets the event by; without it, event"`
	ScriptedUpsert    *bool         `ls:"scripted_upsert" doc:"whether the script is run if there is no document, too; without it, false"`
	RetryOnConflict   *int64        `ls:"retry_on_conflict" doc:"how often the target tries an update again whose document has changed meanwhile; without it, 1"`
	Pipeline          *event.Format `ls:"pipeline" doc:"the ingest pipeline that documents go through"`
}

// Cluster are the options that say where the target is and how it is talked to: those that the outputs opensearch and elasticsearch
// have in common.
type Cluster struct {
	Hosts                       []string         `ls:"hosts,uri" doc:"the target's nodes, as https://node-1:9200 or node-1:9200; the port is 9200 unless given; names and passwords may stand in them; without it, 127.0.0.1"`
	User                        string           `ls:"user" doc:"the name for basic authentication"`
	Password                    *option.Password `ls:"password" doc:"the password for basic authentication"`
	Path                        string           `ls:"path" doc:"the path that the target lives at, behind a proxy"`
	BulkPath                    string           `ls:"bulk_path" doc:"the path of requests; without it, _bulk behind path"`
	Parameters                  option.Hash      `ls:"parameters" doc:"parameters of the query of every request"`
	CustomHeaders               option.Hash      `ls:"custom_headers" doc:"headers of every request"`
	Sniffing                    bool             `ls:"sniffing" default:"false" doc:"accepted, and without effect: naru writes to the nodes in hosts"`
	SniffingDelay               float64          `ls:"sniffing_delay" default:"5" doc:"accepted, and without effect"`
	SniffingPath                string           `ls:"sniffing_path" doc:"accepted, and without effect"`
	Proxy                       *string          `ls:"proxy" doc:"the address of a proxy; without it, what HTTP_PROXY, HTTPS_PROXY and NO_PROXY say"`
	Timeout                     float64          `ls:"timeout" default:"60" doc:"for how many seconds an answer is waited for"`
	FailureTypeLoggingWhitelist []string         `ls:"failure_type_logging_whitelist" doc:"types of errors that are not logged"`
	PoolMax                     int64            `ls:"pool_max" default:"1000" doc:"the most connections; naru opens as many as it writes requests at a time"`
	PoolMaxPerRoute             int64            `ls:"pool_max_per_route" default:"100" doc:"the most connections to a node"`
	HealthcheckPath             string           `ls:"healthcheck_path" doc:"the path that is asked of a node that was away, before it is written to; without it, the path itself"`
	ResurrectDelay              float64          `ls:"resurrect_delay" default:"5" doc:"for how many seconds a node that cannot be reached is passed over"`
	ValidateAfterInactivity     int64            `ls:"validate_after_inactivity" default:"10000" doc:"after how many milliseconds without use a connection is checked: naru notices by itself when one has ended"`
	RetryInitialInterval        float64          `ls:"retry_initial_interval" default:"2" doc:"how many seconds to wait before the first time that something is tried again, at most"`
	RetryMaxInterval            float64          `ls:"retry_max_interval" default:"64" doc:"how many seconds to wait before any further time, at most"`
	ECSCompatibility            string           `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"which names of fields the template and the default index are for; without it, those of the pipeline"`
}

// bulkOutput is an output that is set up.
type bulkOutput struct {
	*Bulk
	*Cluster
	ecs      string
	log      *slog.Logger
	getenv   func(string) string
	index    *event.Format
	endpoint opensearch.Endpoint
	events   opensearch.EventsOptions
	tls      *tlsoption.Config
	template *template
	lifetime *lifetime   // nil: no rollover alias
	streams  *dataStream // nil: indices
	placed   bool        // the index may come from [@metadata][_ingest_document]
	metadata bool        // [@metadata][_ingest_document] and [@metadata][target_ingest_pipeline] count
	ids      bool        // documents are told by where their records are from
	prefix   string      // of indices; "": it does not write in shadow
	mark     shadowMark  // of what it makes in shadow
	strict   bool        // an index with a reference that is not replaced is a dead letter

	fingerprints []string // of authorities that are trusted
	major        int      // version of a target that does not say what it is
}

// setup checks what both outputs have in common.
func (b *bulkOutput) setup(s *Setup) error {
	b.ecs = cmp.Or(b.ECSCompatibility, s.ECS, "disabled")
	if b.index = b.Index; b.index == nil {
		b.index = event.ParseFormat(b.defaultName() + "-%{+yyyy.MM.dd}")
	}
	if err := b.checkAction(); err != nil {
		return err
	}
	if name, ok := b.index.Static(); ok {
		if err := checkIndex(name); err != nil {
			return option.Errorf("index", "%w", err)
		}
	}
	if b.Parent != nil && b.JoinField == nil {
		return option.Errorf("parent", "documents have had no parents since version 6: give join_field, too")
	}
	if slices.Contains(b.ScriptType, "file") {
		return option.Errorf("script_type", "no target has scripts in files any more: use inline or indexed")
	}
	if len(b.ScriptType) > 1 {
		return option.Errorf("script_type", "expected one value, found %d", len(b.ScriptType))
	}
	if b.Sniffing {
		s.Log.Warn("sniffing has no effect: naru writes to the nodes in hosts", "at", s.Where)
	}
	for name, v := range map[string]float64{
		"timeout": b.Timeout, "retry_initial_interval": b.RetryInitialInterval, "retry_max_interval": b.RetryMaxInterval,
	} {
		if v <= 0 {
			return option.Errorf(name, "expected more than 0 seconds, found %v", v)
		}
	}
	for name, v := range map[string]int64{"pool_max": b.PoolMax, "pool_max_per_route": b.PoolMaxPerRoute} {
		if v < 1 {
			return option.Errorf(name, "expected 1 or more, found %d", v)
		}
	}
	b.events.Silent = slices.Clone(b.FailureTypeLoggingWhitelist)
	return nil
}

// defaultName is what index, template and alias are called.
func (b *bulkOutput) defaultName() string {
	if b.ecs == "disabled" {
		return "logstash"
	}
	return "ecs-logstash"
}

func (b *bulkOutput) templateName() string { return cmp.Or(b.TemplateName, b.defaultName()) }

var actions = []string{"index", "create", "update", "delete"}

func (b *bulkOutput) checkAction() error {
	action, external := "", strings.HasPrefix(b.VersionType, "external")
	if b.Action != nil {
		text, static := b.Action.Static()
		switch action = text; {
		case static && text == "":
			return option.Errorf("action", "expected one of %s, found none", strings.Join(actions, ", "))
		case static && !slices.Contains(actions, text):
			return option.Errorf("action", "expected one of %s, or a reference to a field, found %q", strings.Join(actions, ", "), text)
		}
	}
	switch {
	case external && b.Version == nil && !b.metadata:
		return option.Errorf("version_type", "%s needs the option version", b.VersionType)
	case external && action == "create", external && action == "update":
		return option.Errorf("version_type", "the action %s takes no external version", action)
	case is(b.DocAsUpsert) && is(b.ScriptedUpsert):
		return option.Errorf("scripted_upsert", "there is doc_as_upsert, too: give one of them")
	case action == "update" && b.DocumentID == nil:
		return option.Errorf("action", "update needs the option document_id")
	}
	return nil
}

// checkIndex says what is wrong with the name of an index or an alias: only the latter may have capital letters. <name-{now/d}> is
// a name, too.
//
// Source: org.opensearch.cluster.metadata.MetadataCreateIndexService.
func checkIndex(name string) error {
	if strings.HasPrefix(name, "<") && strings.HasSuffix(name, ">") {
		return nil
	}
	if name == "" || name == "." || name == ".." || len(name) > 255 || strings.ContainsAny(name[:1], "_-+") {
		return fmt.Errorf("%q is no name of an index: expected 1 to 255 bytes, that do not begin with _, - or +", name)
	}
	if i := strings.IndexAny(name, `\/*?"<>| ,#:`); i >= 0 {
		return fmt.Errorf("%q is no name of an index: it has a %q", name, name[i])
	}
	return nil
}

func is(b *bool) bool { return b != nil && *b }

// A host without a scheme: name, name:port, //name.
var bareHost = regexp.MustCompile(`^(//)?([^/@]+@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]+)?(/.*)?$`)

// setupHosts makes the endpoint of the options. ssl says whether it is https, if it is given; option is its name.
func (b *bulkOutput) setupHosts(ssl *bool, name string) error {
	hosts := b.Hosts
	if len(hosts) == 0 {
		hosts = []string{"127.0.0.1"}
	}
	if b.PasswordText() != "" && b.User == "" || b.PasswordText() == "" && b.User != "" {
		return option.Errorf("user", "user and password come together")
	}
	anyHTTPS := slices.ContainsFunc(hosts, func(h string) bool { return strings.HasPrefix(h, "https://") })
	scheme := "http"
	if is(ssl) || ssl == nil && anyHTTPS {
		scheme = "https"
	}
	for _, raw := range hosts {
		if bareHost.MatchString(raw) {
			raw = scheme + "://" + strings.TrimPrefix(raw, "//")
		}
		u, err := url.Parse(raw)
		switch {
		case err != nil:
			return option.Errorf("hosts", "%w", err)
		case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
			return option.Errorf("hosts", "expected something like https://node-1:9200, found %q", u.Redacted())
		case ssl != nil && (u.Scheme == "https") != *ssl:
			return option.Errorf("hosts", "%s, but %s is %t", u.Redacted(), name, *ssl)
		case strings.Trim(u.Path, "/") != "" && b.Path != "" && strings.Trim(u.Path, "/") != strings.Trim(b.Path, "/"):
			return option.Errorf("path", "there is another one in hosts: %s", u.Redacted())
		}
		if password, ok := u.User.Password(); u.User != nil && (!ok || b.User != "" && (u.User.Username() != b.User || password != b.PasswordText())) {
			return option.Errorf("hosts", "a name without a password, or another one than user and password say: %s", u.Redacted())
		}
		if u.Port() == "" {
			u.Host += ":9200"
		}
		if err := input.CheckURL(u); err != nil {
			return option.Errorf("hosts", "%w", err)
		}
		if strings.Trim(u.Path, "/") == "" {
			u.Path = joined(b.Path)
		}
		b.endpoint.URLs = append(b.endpoint.URLs, u.String())
	}
	if b.Proxy != nil && *b.Proxy != "" {
		u, err := url.Parse(*b.Proxy)
		if err != nil || u.Host == "" {
			return option.Errorf("proxy", "expected something like http://proxy:3128, found %q", *b.Proxy)
		}
		b.endpoint.Proxy = u
	}
	if b.getenv == nil {
		b.getenv = func(string) string { return "" }
	}
	b.endpoint.Username, b.endpoint.Password = b.User, b.PasswordText()
	b.endpoint.Timeout = seconds(b.Timeout)
	b.endpoint.Resurrect = seconds(b.ResurrectDelay)
	b.endpoint.Connections = int(min(b.PoolMaxPerRoute, b.PoolMax))
	b.endpoint.HealthPath = joined(b.HealthcheckPath)
	b.endpoint.Parameters = url.Values{}
	for _, p := range b.Parameters {
		for _, v := range list(p.Value) {
			b.endpoint.Parameters.Add(p.Key, v)
		}
	}
	b.endpoint.Headers = http.Header{}
	for _, p := range b.CustomHeaders {
		for _, v := range list(p.Value) {
			b.endpoint.Headers.Add(p.Key, v)
		}
	}
	b.events.Path = opensearch.WithShortAnswer("/_bulk")
	if b.BulkPath != "" {
		b.events.Path = opensearch.WithShortAnswer(joined(b.BulkPath))
	}
	return b.tls.CheckClient()
}

// PasswordText gives the option password; "" if there is none.
func (c *Cluster) PasswordText() string {
	if c.Password == nil {
		return ""
	}
	return string(*c.Password)
}

func list(v any) []string {
	values, ok := v.([]any)
	if !ok {
		return []string{option.Text(v)}
	}
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = option.Text(v)
	}
	return texts
}

// joined is a path with one slash in front; "" stays "".
func joined(path string) string {
	if path = strings.TrimLeft(path, "/"); path == "" {
		return ""
	}
	return "/" + path
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Inspect implements input.Inspector.
func (b *bulkOutput) Inspect(in *input.Inspection) {
	if b.encrypted() {
		in.TLS(b.tls, false)
	}
	if b.Template != "" && (b.ManageTemplate == nil || *b.ManageTemplate) {
		if _, err := b.template.read(true); err != nil {
			in.Report(option.Errorf("template", "%w", err))
		}
	}
}

func (b *bulkOutput) encrypted() bool {
	return slices.ContainsFunc(b.endpoint.URLs, func(u string) bool { return strings.HasPrefix(u, "https://") })
}

// dial gives a client of the hosts.
func (b *bulkOutput) dial() (*opensearch.Client, error) {
	e := b.endpoint
	if b.encrypted() {
		conf, err := b.tls.Client()
		if err != nil {
			return nil, err
		}
		e.TLS = opensearch.Trust(conf, b.fingerprints)
	}
	return e.Dial(context.Background())
}

// Open implements Output.
func (b *bulkOutput) Open(r *Run) (stream.Sink, error) {
	c, err := b.dial()
	if err != nil {
		return stream.Sink{}, err
	}
	o := b.events
	if o.Log = r.Log; o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	var sink flow.Sink
	if b.prefix == "" {
		o.Begin = b.begin
		sink = opensearch.NewEvents(c, o)
	} else {
		sink = &marking{Sink: opensearch.NewEvents(c, o), client: c, begin: b.begin, mark: b.mark, log: o.Log, known: map[string]bool{}}
	}
	return stream.Sink{
		Sink: sink, InOrder: r.Ordered,
		Retry: flow.Retry{First: seconds(b.RetryInitialInterval), Max: seconds(max(b.RetryInitialInterval, b.RetryMaxInterval))},
		Dead:  opensearch.DocumentOf,
	}, nil
}

// begin installs what the events need, before the first of them is written.
func (b *bulkOutput) begin(ctx context.Context, c *opensearch.Client) error {
	managed := b.ManageTemplate == nil && b.streams == nil || is(b.ManageTemplate)
	if !managed && b.lifetime == nil && b.streams == nil {
		return nil
	}
	info, err := c.Ask(ctx)
	switch statusOf(err) {
	case 0:
		if err != nil {
			return err
		}
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed:
		// It does not say what it is: Amazon OpenSearch Serverless, or this user may not ask.
		b.log.Info("the target does not say what it is, it is taken for OpenSearch", "error", err)
		info = opensearch.Info{Distribution: "opensearch", Major: b.major}
	default:
		return err
	}
	if managed {
		if err := b.template.install(ctx, c, info, b.lifetime); err != nil {
			return err
		}
	}
	if b.lifetime != nil {
		if err := b.lifetime.begin(ctx, c, info); err != nil {
			return err
		}
	}
	if b.streams != nil && b.prefix == "" {
		return b.streams.begin(ctx, c, info)
	}
	return nil
}

// Former implements Output: events are written as JSON, whatever the codec.
func (b *bulkOutput) Former(codec.Encoder) Former { return newBulkFormer(b) }

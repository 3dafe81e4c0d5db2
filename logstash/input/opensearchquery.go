package input

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"

	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/tlsoption"
)

// Hits are the options that the inputs opensearch and elasticsearch have in common.
type Hits struct {
	Hosts                 []string         `ls:"hosts" doc:"the nodes to ask, as https://node-1:9200 or node-1:9200; without it, 127.0.0.1"`
	Index                 string           `ls:"index" default:"logstash-*" doc:"the indices, by names and patterns with commas between"`
	Query                 string           `ls:"query" default:"{ \"sort\": [ \"_doc\" ] }" doc:"the search, as JSON"`
	Size                  int64            `ls:"size" default:"1000" doc:"how many hits are asked for at a time"`
	Scroll                string           `ls:"scroll" default:"1m" doc:"how long the target keeps a search open between two pages"`
	Slices                *int64           `ls:"slices" doc:"how many parts the search is cut into, which are read side by side"`
	DocInfo               bool             `ls:"docinfo" default:"false" doc:"whether events get what the hit says beside the document"`
	DocInfoTarget         *event.Ref       `ls:"docinfo_target" doc:"the field for it; without it, [@metadata], or with ECS [@metadata][input] and below it the name of the input"`
	DocInfoFields         []string         `ls:"docinfo_fields" default:"_index,_type,_id" doc:"which members of the hit"`
	User                  string           `ls:"user" doc:"the name for basic authentication"`
	Password              *option.Password `ls:"password" doc:"the password for basic authentication"`
	ConnectTimeoutSeconds int64            `ls:"connect_timeout_seconds" default:"10" doc:"for how many seconds a connection is waited for"`
	RequestTimeoutSeconds int64            `ls:"request_timeout_seconds" default:"60" doc:"for how many seconds an answer is waited for"`
	SocketTimeoutSeconds  int64            `ls:"socket_timeout_seconds" default:"60" doc:"for how many seconds more of an answer is waited for; the larger one of this and request_timeout_seconds counts"`
	Proxy                 *string          `ls:"proxy" doc:"the address of a proxy; without it, what HTTP_PROXY, HTTPS_PROXY and NO_PROXY say"`
	Schedule              string           `ls:"schedule" doc:"when the search is made, as a cron line; without it, once"`
	Target                *event.Ref       `ls:"target" doc:"the field that gets the document; without it, that is the event"`
	ECSCompatibility      string           `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"which names of fields are used; without it, those of the pipeline"`
}

// hitsInput is an input that is set up.
type hitsInput struct {
	*Hits
	name     string // of the plugin
	info     *event.Ref
	schedule *schedule
	endpoint opensearch.Endpoint
	tls      *tlsoption.Config
	encrypt  func(*tls.Config) *tls.Config // changes what tls gives; nil: not
	query    opensearch.QueryOptions
	tracking *event.Ref // nil: none
	seed     string
	file     string // where the value of tracking is kept; "": in the folder of the pipeline
}

var hostWithoutScheme = regexp.MustCompile(`^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]+)?$`)

// setup checks what both inputs have in common. ssl says whether hosts without a scheme are encrypted.
func (h *hitsInput) setup(s *Setup, ssl *bool) error {
	ecs := cmp.Or(h.ECSCompatibility, s.ECS, "disabled")
	if h.info = h.DocInfoTarget; h.info == nil {
		text := "@metadata"
		if ecs != "disabled" {
			text = "[@metadata][input][" + h.name + "]"
		}
		ref, err := event.ParseRef(text)
		if err != nil {
			panic("BUG: " + err.Error())
		}
		h.info = ref
	}
	var body map[string]json.RawMessage
	if err := json.Unmarshal([]byte(h.Query), &body); err != nil && !strings.Contains(h.Query, ":last_value") && !strings.Contains(h.Query, ":present") || err == nil && body == nil {
		return option.Errorf("query", "expected a JSON object, found what is none (%w)", cmp.Or(err, errNull))
	}
	h.query = opensearch.QueryOptions{Index: h.Index, Body: h.Query, Size: int(h.Size), KeepAlive: h.Scroll, Log: s.Log}
	if h.Size < 1 {
		return option.Errorf("size", "expected 1 or more, found %d", h.Size)
	}
	if h.Slices != nil {
		if *h.Slices < 1 || *h.Slices > 1024 {
			return option.Errorf("slices", "expected 1 to 1024, found %d", *h.Slices)
		}
		if _, ok := body["slice"]; ok {
			return option.Errorf("slices", "the query has a slice, too: give one of them")
		}
		h.query.Slices = int(*h.Slices)
		if *h.Slices > 8 {
			s.Log.Warn("so many slices may be slower than few", "at", s.Where, "slices", *h.Slices)
		}
	}
	if h.DocInfo {
		h.query.Members = h.DocInfoFields
	}
	if h.Schedule != "" {
		var err error
		if h.schedule, err = parseSchedule(h.Schedule); err != nil {
			return option.Errorf("schedule", "%w", err)
		}
		h.query.Next = h.schedule.next
	}
	for name, n := range map[string]int64{
		"connect_timeout_seconds": h.ConnectTimeoutSeconds, "request_timeout_seconds": h.RequestTimeoutSeconds, "socket_timeout_seconds": h.SocketTimeoutSeconds,
	} {
		if n < 1 {
			return option.Errorf(name, "expected 1 or more, found %d", n)
		}
	}
	return h.hosts(ssl)
}

// errNull says what is wrong with a query that can be read.
var errNull = errors.New("it is null")

func (h *hitsInput) hosts(ssl *bool) error {
	hosts := h.Hosts
	if len(hosts) == 0 {
		hosts = []string{"127.0.0.1"}
	}
	scheme := "http"
	if ssl != nil && *ssl {
		scheme = "https"
	}
	for _, raw := range hosts {
		if hostWithoutScheme.MatchString(raw) {
			raw = scheme + "://" + raw
		}
		u, err := url.Parse(raw)
		switch {
		case err != nil:
			return option.Errorf("hosts", "%w", err)
		case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
			return option.Errorf("hosts", "expected something like https://node-1:9200, found %q", u.Redacted())
		case ssl != nil && *ssl && u.Scheme != "https":
			return option.Errorf("hosts", "%s, but connections are to be encrypted", u.Redacted())
		}
		if u.Port() == "" {
			u.Host += ":9200"
		}
		if err := CheckURL(u); err != nil {
			return option.Errorf("hosts", "%w", err)
		}
		h.endpoint.URLs = append(h.endpoint.URLs, u.String())
	}
	if (h.User == "") != (h.Password == nil) {
		return option.Errorf("user", "user and password come together")
	}
	if h.Password != nil {
		h.endpoint.Username, h.endpoint.Password = h.User, string(*h.Password)
	}
	if h.Proxy != nil && *h.Proxy != "" {
		u, err := url.Parse(*h.Proxy)
		if err != nil || u.Host == "" {
			return option.Errorf("proxy", "expected something like http://proxy:3128, found %q", *h.Proxy)
		}
		h.endpoint.Proxy = u
	}
	h.endpoint.Connect = time.Duration(h.ConnectTimeoutSeconds) * time.Second
	h.endpoint.Timeout = time.Duration(max(h.RequestTimeoutSeconds, h.SocketTimeoutSeconds)) * time.Second
	h.endpoint.Headers = http.Header{}
	return h.tls.CheckClient()
}

// Inspect implements Inspector.
func (h *hitsInput) Inspect(in *Inspection) {
	if slices.ContainsFunc(h.endpoint.URLs, func(u string) bool { return strings.HasPrefix(u, "https://") }) {
		in.TLS(h.tls, false)
	}
	if h.tracking != nil && h.file != "" {
		in.File("last_run_metadata_path", h.file, true)
	}
}

// Open implements Input.
func (h *hitsInput) Open(r *Run) (stream.Source, error) {
	e := h.endpoint
	for _, u := range e.URLs {
		if !strings.HasPrefix(u, "https://") || e.TLS != nil {
			continue
		}
		conf, err := h.tls.Client()
		if err != nil {
			return nil, err
		}
		if h.encrypt != nil {
			conf = h.encrypt(conf)
		}
		e.TLS = conf
	}
	c, err := e.Dial(context.Background())
	if err != nil {
		return nil, err
	}
	q := h.query
	q.Port = r.Port
	if r.Log != nil {
		q.Log = r.Log
	}
	if h.tracking != nil {
		file := h.file
		if file == "" {
			file = filepath.Join(r.Data, "plugins", "inputs", h.name, cmp.Or(r.Pipeline, "main"), "last_run_value")
		}
		field := h.tracking.Keys()
		if h.Target != nil { // the field is one of the event
			for i, key := range h.Target.Keys() {
				if i < len(field) && field[0] == key {
					field = field[1:]
				}
			}
		}
		q.Cursor = &opensearch.Cursor{File: file, Field: field, Seed: h.seed}
	}
	return opensearch.NewQuery(c, q), nil
}

// Decoder implements Decoder: a document is an event, whatever the codec.
func (h *hitsInput) Decoder(of codec.Decoder) codec.Decoder {
	return &hitDecoder{Decoder: of, target: h.Target, tag: "_" + h.name + "_input_failure"}
}

// Describe implements Describer.
func (h *hitsInput) Describe(e *event.Event, r *flow.Record) {
	if !h.DocInfo || len(r.Meta) == 0 {
		return
	}
	said, err := event.ParseJSON(r.Meta, event.JSONOptions{})
	if err != nil {
		return
	}
	info := e.Get(h.info)
	if info.Nil() {
		info = event.MapValue()
	}
	m := info.Map()
	if m == nil {
		e.Tag("_" + h.name + "_input_failure")
		return
	}
	for _, name := range h.DocInfoFields {
		v := said.Map().Get(name)
		if !v.Is() {
			v = event.NullValue
		}
		m.Set(name, v)
	}
	if err := e.Set(h.info, info); err != nil {
		e.Tag("_" + h.name + "_input_failure")
	}
}

var (
	_ Decoder   = (*hitsInput)(nil)
	_ Describer = (*hitsInput)(nil)
)

// hitDecoder makes an event of a document.
type hitDecoder struct {
	codec.Decoder // not used
	target        *event.Ref
	tag           string
}

// Decode implements codec.Decoder.
func (d *hitDecoder) Decode(x *codec.Context, document []byte) {
	e := x.New()
	var err error
	if d.target == nil {
		err = e.ParseJSON(document, event.JSONOptions{})
		e.Complete(x.Now)
	} else {
		var v event.Value
		if v, err = event.ParseJSON(document, event.JSONOptions{}); err == nil {
			e.Complete(x.Now)
			err = e.Set(d.target, v)
		}
	}
	if err != nil {
		x.Log.Warn("a hit cannot become an event and is kept as text", "error", err)
		e.Reset()
		e.Complete(x.Now)
		original := event.MapValue()
		original.Map().Set("original", event.StringValue(strings.ToValidUTF8(string(document), "\uFFFD")))
		e.Fields().Set("event", original)
		e.Tag(d.tag)
	}
	x.Emit(e)
}

package input

import (
	"bytes"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/narudata/naru/connect/web"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/syntax"
	"github.com/narudata/naru/logstash/tlsoption"
)

// HTTP is an HTTP server, for clients that send events. A client is answered once what it sent is in the queue of the pipeline,
// on the disk: who got the answer can forget the event. 401: the password is wrong; 413: the body is too large; 429: the
// pipeline has no room; 503: it stops.
//
// Source: LogStash::Inputs::Http of logstash-input-http 4.1, org.logstash.plugins.inputs.http.NettyHttpServer, MessageProcessor.
//
// Differences:
//   - threads and max_pending_requests together are how many requests there may be at a time; the bodies of all of them may
//     have 256 MiB.
//   - A client that sends nothing for a minute in the middle of a request gets 408.
//   - The charset of a Content-Type is not looked at: that of the codec counts.
//   - ssl_certificate_authorities without ssl_client_authentication is an error, as in the original.
type HTTP struct {
	Options
	tlsoption.Server
	tlsoption.Keystore
	tlsoption.Truststore
	Host             string           `ls:"host" default:"0.0.0.0" doc:"the address to listen at"`
	Port             int64            `ls:"port" default:"8080" doc:"the port to listen at"`
	User             string           `ls:"user" doc:"the name that clients must give (basic authentication)"`
	Password         *option.Password `ls:"password" doc:"the password that clients must give"`
	Handshake        int64            `ls:"ssl_handshake_timeout" default:"10000" doc:"how many milliseconds a handshake of TLS, and a request's header, may take"`
	AdditionalCodecs option.Hash      `ls:"additional_codecs" doc:"codecs for media types, by their names; application/json => json, if not given"`
	ResponseHeaders  option.Hash      `ls:"response_headers" doc:"more headers of answers"`
	RemoteHost       *event.Ref       `ls:"remote_host_target_field" doc:"the field that gets the client's address; host, or [host][ip] with the schema, if not given"`
	RequestHeaders   *event.Ref       `ls:"request_headers_target_field" doc:"the field that gets the request's headers; headers, or [@metadata][input][http][request][headers] with the schema, if not given"`
	Threads          *int64           `ls:"threads" doc:"how many requests there may be at a time, beside max_pending_requests; as many as there are processors, if not given"`
	MaxPending       int64            `ls:"max_pending_requests" default:"200" doc:"how many more requests may wait; others get 429"`
	MaxContentLength int64            `ls:"max_content_length" default:"104857600" doc:"the size of the largest body, decompressed, in bytes; others get 413"`
	ResponseCode     int64            `ls:"response_code" enum:"200|201|202|204" default:"200" doc:"the status of answers"`
	ECSCompatibility string           `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"which names of fields are used; without it, those of the pipeline"`
}

// Traits implements Plugin.
func (*HTTP) Traits() Traits { return Traits{Codec: "plain"} }

// Obsolete lists options that there were once.
func (*HTTP) Obsolete() map[string]string {
	return map[string]string{
		"ssl": "use ssl_enabled", "keystore": "use ssl_keystore_path", "keystore_password": "use ssl_keystore_password",
		"verify_mode": "use ssl_client_authentication", "ssl_verify_mode": "use ssl_client_authentication",
		"cipher_suites":   "use ssl_cipher_suites",
		"tls_min_version": "use ssl_supported_protocols", "tls_max_version": "use ssl_supported_protocols",
	}
}

// Setup implements Plugin.
func (h *HTTP) Setup(s *Setup) (Input, error) {
	in := &httpInput{HTTP: h, schema: s.schema(h.ECSCompatibility), remote: h.RemoteHost, headers: h.RequestHeaders}
	var err error
	if in.address, err = joinAddress(h.Host, h.Port); err != nil {
		return nil, err
	}
	threads := int64(runtime.GOMAXPROCS(0))
	if h.Threads != nil {
		threads = *h.Threads
	}
	for _, o := range []struct {
		name       string
		value, low int64
	}{{"threads", threads, 1}, {"max_pending_requests", h.MaxPending, 0}, {"max_content_length", h.MaxContentLength, 1}, {"ssl_handshake_timeout", h.Handshake, 1}} {
		if o.value < o.low || o.value > 1<<31 {
			return nil, option.Errorf(o.name, "expected %d or more, found %d", o.low, o.value)
		}
	}
	in.pending = int(threads + h.MaxPending)
	if h.User == "" && h.Password != nil || h.User != "" && h.Password == nil {
		s.Log.Warn("user and password belong together: without both, nobody is asked for a password", "input", s.Where)
	}
	if in.remote == nil {
		in.remote = named(in.schema, "host", "[host][ip]")
	}
	if in.headers == nil {
		in.headers = named(in.schema, "headers", "[@metadata][input][http][request][headers]")
	}
	in.answer = http.Header{}
	for _, p := range h.ResponseHeaders {
		in.answer.Set(p.Key, option.Text(p.Value))
	}
	if err := in.codecs(s); err != nil {
		return nil, err
	}
	return in, in.secure(s)
}

// secure checks the options of TLS.
func (h *httpInput) secure(s *Setup) error {
	unusedTLS(s, &h.Server)
	if !h.Enabled {
		return nil
	}
	if asks := h.ClientAuth == "optional" || h.ClientAuth == "required"; !asks {
		if len(h.CertificateAuthorities) > 0 {
			return option.Errorf("ssl_certificate_authorities", "it needs ssl_client_authentication => optional or required")
		}
		if h.TruststorePath != "" {
			return option.Errorf("ssl_truststore_path", "it needs ssl_client_authentication => optional or required")
		}
	}
	h.tls = h.Server.Of(tlsoption.Config{Dir: s.Dir, Log: s.Log, Keystore: h.Keystore.Store(), Truststore: h.Truststore.Store(), KeystoreIsTrusted: true})
	return h.tls.CheckServer()
}

// codecs makes those of additional_codecs. They have no options.
func (h *httpInput) codecs(s *Setup) error {
	wanted := h.AdditionalCodecs
	if wanted == nil {
		wanted = option.Hash{{Key: "application/json", Value: "json"}}
	}
	h.kinds = map[string]byte{}
	table := codec.Table()
	for _, p := range wanted {
		name := option.Text(p.Value)
		create, ok := table[name]
		if !ok {
			return option.Errorf("additional_codecs", "there is no codec %q: there are %s", name, strings.Join(slices.Sorted(maps.Keys(table)), ", "))
		}
		plugin := create()
		if problems := option.Decode(&syntax.Plugin{Name: name}, plugin, option.Env{Title: name + " codec", Style: s.Style, Dir: s.Dir}); len(problems) > 0 {
			return option.Errorf("additional_codecs", "codec %s: %s", name, problems[0].Message)
		}
		made, err := plugin.Setup(&codec.Setup{ECS: s.ECS, Style: s.Style, Log: s.Log, Where: s.Where})
		if err != nil {
			return option.Errorf("additional_codecs", "codec %s: %w", name, err)
		}
		d, ok := made.(codec.Decoder)
		if !ok {
			return option.Errorf("additional_codecs", "codec %s cannot read: it only writes", name)
		}
		if len(h.others) == 255 {
			return option.Errorf("additional_codecs", "there are more than 255")
		}
		h.others = append(h.others, newWhole(d))
		h.kinds[strings.ToLower(p.Key)] = byte(len(h.others)) //nolint:gosec // see above
	}
	return nil
}

// httpInput is an HTTP that is set up.
type httpInput struct {
	*HTTP
	schema          bool
	address         string
	pending         int
	remote, headers *event.Ref
	answer          http.Header
	tls             *tlsoption.Config // nil: none
	kinds           map[string]byte
	others          []*whole
}

// Decoder implements Decoder: the media type says which codec is the body's.
func (h *httpInput) Decoder(of codec.Decoder) codec.Decoder { return &kinds{newWhole(of), h.others} }

// Inspect implements Inspector.
func (h *httpInput) Inspect(in *Inspection) { in.TLS(h.tls, true) }

// Claims implements Claimer.
func (h *httpInput) Claims(string, string) []Claim { return ClaimPort("tcp", h.Host, h.Port) }

// Open implements Input.
func (h *httpInput) Open(r *Run) (stream.Source, error) {
	c := web.Listen{
		Address: h.address, Realm: "Logstash HTTP Input", MaxBody: h.MaxContentLength, MaxPending: h.pending, Status: int(h.ResponseCode), Header: h.answer,
		Kind: func(mediaType string) byte { return h.kinds[mediaType] }, Handshake: time.Duration(h.Handshake) * time.Millisecond, Port: r.Port, Log: r.Log,
	}
	if h.User != "" && h.HTTP.Password != nil {
		c.User, c.Password = h.User, string(*h.HTTP.Password)
	}
	if h.tls != nil {
		var err error
		if c.TLS, err = h.tls.Server(); err != nil {
			return nil, err
		}
	}
	return c.Open()
}

// Describe implements Describer.
func (h *httpInput) Describe(e *event.Event, rec *flow.Record) {
	if r, err := web.ParseRequest(rec.Meta); err == nil {
		h.describe(e, &r)
	}
}

// ForkDescriber implements DescriberForker.
func (h *httpInput) ForkDescriber() Describer { return &httpDescriber{of: h} }

// An httpDescriber describes the events of one request after the other. From the second one of a request on it copies what was
// said.
type httpDescriber struct {
	of    *httpInput
	meta  []byte // of the request; events have parts of it, so it is never written again
	r     web.Request
	wrong bool
	once  bool
	said  *event.Event // what a request says of an event without fields; nil: it is not known yet
}

// Describe implements Describer.
func (d *httpDescriber) Describe(e *event.Event, rec *flow.Record) {
	if d.meta == nil || !bytes.Equal(d.meta, rec.Meta) {
		var err error
		d.meta, d.said, d.once = append([]byte{}, rec.Meta...), nil, false
		d.r, err = web.ParseRequest(d.meta)
		d.wrong = err != nil
	}
	switch {
	case d.wrong:
		return
	case !d.once:
		d.once = true
		d.of.describe(e, &d.r)
		return
	case d.said == nil:
		d.said = new(event.Event)
		d.of.describe(d.said, &d.r)
	}
	if !e.Join(d.said) { // the event has such fields itself
		d.of.describe(e, &d.r)
	}
}

func (h *httpInput) describe(e *event.Event, r *web.Request) {
	headers := event.MapValue()
	set := func(name, value string) { headers.Map().Set(name, event.StringValue(value)) }
	agent, accept, host := event.NullValue, event.NullValue, event.NullValue
	for _, f := range r.Header {
		switch f.Name {
		case "User-Agent":
			agent = event.StringValue(f.Value)
		case "Accept":
			accept = event.StringValue(f.Value)
		default:
			set(strings.ReplaceAll(strings.ToLower(f.Name), "-", "_"), f.Value)
		}
	}
	headers.Map().Set("http_accept", accept)
	if r.Host != "" {
		host = event.StringValue(r.Host)
	}
	headers.Map().Set("http_host", host)
	headers.Map().Set("http_user_agent", agent)
	set("request_method", r.Method)
	set("request_path", r.Target)
	set("http_version", r.Version)
	if h.schema {
		h.describeSchema(e, r, headers.Map())
	}
	setField(e, h.headers, headers)
	setField(e, h.remote, event.StringValue(r.Remote))
}

// The fields of the Elastic Common Schema that an event gets.
var (
	refHTTPVersion = named(false, "[http][version]", "")
	refUserAgent   = named(false, "[user_agent][original]", "")
	refURLDomain   = named(false, "[url][domain]", "")
	refURLPort     = named(false, "[url][port]", "")
	refURLPath     = named(false, "[url][path]", "")
	refHTTPMethod  = named(false, "[http][method]", "")
	refBodyBytes   = named(false, "[http][request][body][bytes]", "")
	refMimeType    = named(false, "[http][request][mime_type]", "")
)

func (h *httpInput) describeSchema(e *event.Event, r *web.Request, headers *event.Fields) {
	set := func(ref *event.Ref, v event.Value) {
		if !v.Nil() {
			setField(e, ref, v)
		}
	}
	set(refHTTPVersion, event.StringValue(r.Version))
	set(refUserAgent, headers.Get("http_user_agent"))
	if r.Host != "" {
		domain, port := domainPort(r.Host)
		set(refURLDomain, event.StringValue(domain))
		if port >= 0 {
			set(refURLPort, event.IntValue(port))
		}
	}
	set(refHTTPMethod, event.StringValue(r.Method))
	set(refURLPath, event.StringValue(r.Target))
	set(refBodyBytes, headers.Get("content_length"))
	set(refMimeType, headers.Get("content_type"))
}

// domainPort takes the port off a host: "127.0.0.1:8080", "[2001:db8::1]:8080". -1: there is none.
func domainPort(host string) (string, int64) {
	domain, digits := host, ""
	if i := strings.LastIndexByte(host, ':'); i > 0 {
		domain, digits = host[:i], host[i+1:]
	}
	inner, bracketed := domain, strings.HasPrefix(domain, "[") && strings.HasSuffix(domain, "]")
	if bracketed {
		inner = domain[1 : len(domain)-1]
	}
	port, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || port < 0 || !bracketed && strings.Contains(domain, ":") {
		return host, -1
	}
	return inner, port
}

var (
	_ DescriberForker = (*httpInput)(nil)
	_ Decoder         = (*httpInput)(nil)
)

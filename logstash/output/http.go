package output

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/narudata/naru/connect/web"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/input"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/tlsoption"
)

// HTTP sends events by HTTP requests: one for each event, or one for up to 125 of them (format => json_batch).
//
// What fails for now (retryable_codes, no answer) is tried again without an end; what fails for good is a dead letter.
//
// Source: LogStash::Outputs::Http of logstash-output-http 6.0, LogStash::PluginMixins::HttpClient of logstash-mixin-http_client 7.5.
//
// Differences:
//   - What Logstash drops (an answer that is neither a success nor retryable, a failure with retry_failed => false) is a dead
//     letter here.
//   - Any failure without an answer is tried again, an unknown one, too.
//   - A password that is given belongs to user; both are sent with every request.
type HTTP struct {
	Options
	tlsoption.Client
	tlsoption.Keystore
	tlsoption.Truststore
	SSLEnabled       bool             `ls:"ssl_enabled" default:"true" doc:"whether the other options of TLS have an effect; the URL says whether a connection is encrypted"`
	URL              *event.Format    `ls:"url,required" doc:"where requests are sent to, which may have references to fields"`
	Method           string           `ls:"http_method,required" enum:"put|post|patch|delete|get|head" doc:"the method of requests"`
	Headers          option.Hash      `ls:"headers" doc:"the header of requests, whose values may have references to fields"`
	ContentType      string           `ls:"content_type" doc:"the media type of bodies; without it, that of the format"`
	RetryFailed      bool             `ls:"retry_failed" default:"true" doc:"whether what has failed is tried again"`
	RetryableCodes   []int64          `ls:"retryable_codes" default:"429,500,502,503,504" doc:"answers after which a request is made again"`
	IgnorableCodes   []int64          `ls:"ignorable_codes" doc:"answers that count as a success, beside those from 200 to 299"`
	Mapping          option.Hash      `ls:"mapping" doc:"what is sent instead of the event: names, and values that may have references to fields"`
	Format           string           `ls:"format" enum:"json|json_batch|form|message" default:"json" doc:"what a body is: the event as JSON, a list of events, a form, a text"`
	Compression      bool             `ls:"http_compression" default:"false" doc:"whether bodies are compressed with gzip"`
	Message          *event.Format    `ls:"message" doc:"the text of format => message"`
	RequestTimeout   float64          `ls:"request_timeout" default:"60" doc:"how many seconds a request may take"`
	SocketTimeout    float64          `ls:"socket_timeout" default:"10" doc:"how many seconds an answer may be waited for"`
	ConnectTimeout   float64          `ls:"connect_timeout" default:"10" doc:"how many seconds a connection may take"`
	FollowRedirects  bool             `ls:"follow_redirects" default:"true" doc:"whether redirects are followed"`
	PoolMax          int64            `ls:"pool_max" default:"50" doc:"how many requests there are at a time, at most"`
	PoolMaxPerRoute  int64            `ls:"pool_max_per_route" default:"25" doc:"how many connections there are to one host, at most"`
	KeepAlive        bool             `ls:"keepalive" default:"true" doc:"whether connections are used again"`
	AutomaticRetries int64            `ls:"automatic_retries" default:"1" doc:"how often a request that got no answer is made again at once"`
	RetryAll         bool             `ls:"retry_non_idempotent" default:"false" doc:"whether automatic_retries is for post and patch, too"`
	ValidateAfter    int64            `ls:"validate_after_inactivity" default:"200" doc:"it has no meaning here: closed connections are noticed at once"`
	Cookies          bool             `ls:"cookies" default:"true" doc:"whether cookies are kept and sent"`
	Proxy            any              `ls:"proxy" doc:"a proxy: its URL, or a hash with host, port and scheme, or url, and user and password"`
	User             string           `ls:"user" doc:"the name to send (basic authentication)"`
	Password         *option.Password `ls:"password" doc:"the password to send"`
}

// togetherHTTP is how many events are a list at most: as many as a batch of Logstash has.
const togetherHTTP = 125

// DefaultCodec implements Plugin.
func (*HTTP) DefaultCodec() string { return "plain" }

// Obsolete lists options that there were once.
func (*HTTP) Obsolete() map[string]string {
	return map[string]string{
		"cacert": "use ssl_certificate_authorities", "client_cert": "use ssl_certificate", "client_key": "use ssl_key",
		"keystore": "use ssl_keystore_path", "keystore_password": "use ssl_keystore_password", "keystore_type": "use ssl_keystore_type",
		"truststore": "use ssl_truststore_path", "truststore_password": "use ssl_truststore_password", "truststore_type": "use ssl_truststore_type",
		"verify_ssl": "use ssl_verification_mode",
	}
}

// Setup implements Plugin.
func (h *HTTP) Setup(s *Setup) (Output, error) {
	out := &httpOutput{HTTP: h}
	for name, v := range map[string]float64{"request_timeout": h.RequestTimeout, "socket_timeout": h.SocketTimeout, "connect_timeout": h.ConnectTimeout} {
		if !(v >= 0 && v < 1e6) {
			return nil, option.Errorf(name, "expected seconds, found %v", v)
		}
	}
	for name, v := range map[string]int64{"pool_max": h.PoolMax, "pool_max_per_route": h.PoolMaxPerRoute} {
		if v < 1 || v > 1e6 {
			return nil, option.Errorf(name, "expected 1 or more, found %d", v)
		}
	}
	switch {
	case h.Format == "message" && h.Message == nil:
		return nil, option.Errorf("message", "format => message needs it")
	case h.User != "" && h.Password == nil:
		return nil, option.Errorf("user", "it needs password")
	case len(h.CertificateAuthorities) > 1:
		return nil, option.Errorf("ssl_certificate_authorities", "expected one file, found %d", len(h.CertificateAuthorities))
	}
	if h.Format == "message" && h.Mapping != nil {
		s.Log.Warn("mapping has no effect with format => message", "output", s.Where)
	}
	if text, ok := h.URL.Static(); ok {
		if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, option.Errorf("url", "%q is no URL of HTTP", text)
		} else if err := input.CheckURL(u); err != nil {
			return nil, option.Errorf("url", "%w", err)
		}
	} else if h.Format == "json_batch" {
		s.Log.Warn("url of format => json_batch is sent as it is written: a list has no fields to refer to", "output", s.Where)
	}
	out.contentType = h.ContentType
	if out.contentType == "" {
		out.contentType = map[string]string{"form": "application/x-www-form-urlencoded", "message": "text/plain"}[h.Format]
	}
	if out.contentType == "" {
		out.contentType = "application/json"
	}
	for _, p := range h.Headers {
		out.header = append(out.header, headerLine{p.Key, s.Style.ParseFormat(option.Text(p.Value))})
	}
	if h.Mapping != nil {
		out.mapping, _ = newMapping(s, h.Mapping).(mappedHash)
	}
	var err error
	if out.proxy, err = h.proxyURL(); err != nil {
		return nil, err
	}
	if h.SSLEnabled {
		out.tls = h.Client.Of(tlsoption.Config{Dir: s.Dir, Log: s.Log, Keystore: h.Keystore.Store(), Truststore: h.Truststore.Store()})
		return out, out.tls.CheckClient()
	}
	return out, nil
}

// proxyURL gives the proxy; nil: none but what the environment says.
func (h *HTTP) proxyURL() (*url.URL, error) {
	var text, user, password string
	switch p := h.Proxy.(type) {
	case nil:
		return nil, nil
	case string:
		if text = p; p == "" {
			return nil, nil
		}
	case option.Hash:
		get := func(name string) string {
			v, _ := p.Get(name)
			return option.Text(v)
		}
		user, password = get("user"), get("password")
		if text = get("url"); text == "" {
			scheme, host := get("scheme"), get("host")
			if scheme == "" {
				scheme = "http"
			}
			if port := get("port"); port != "" {
				host = net.JoinHostPort(host, port)
			}
			text = scheme + "://" + host
		}
	default:
		return nil, option.Errorf("proxy", "expected a URL or a hash")
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return nil, option.Errorf("proxy", "it is no URL with a host")
	}
	if err := input.CheckURL(u); err != nil {
		return nil, option.Errorf("proxy", "%w", err)
	}
	if user != "" {
		u.User = url.UserPassword(user, password)
	}
	return u, nil
}

type headerLine struct {
	name  string
	value *event.Format
}

// httpOutput is an HTTP that is set up.
type httpOutput struct {
	*HTTP
	contentType string
	header      []headerLine
	mapping     mappedHash // nil: the event
	proxy       *url.URL
	tls         *tlsoption.Config
}

// Former implements Output. The codec has no part in it, as in the original.
func (h *httpOutput) Former(codec.Encoder) Former { return &httpFormer{httpOutput: h} }

// Inspect implements input.Inspector.
func (h *httpOutput) Inspect(in *input.Inspection) { in.TLS(h.tls, false) }

// Open implements Output.
func (h *httpOutput) Open(r *Run) (stream.Sink, error) {
	client, err := h.client()
	if err != nil {
		return stream.Sink{}, err
	}
	c := web.Send{Client: client, Method: strings.ToUpper(h.Method), Header: http.Header{}, Parallel: int(min(h.PoolMax, 1000)), Gzip: h.Compression, Once: !h.RetryFailed}
	c.Success = func(status int) bool { return status/100 == 2 || slices.Contains(h.IgnorableCodes, int64(status)) }
	c.Retry = func(status int) bool { return slices.Contains(h.RetryableCodes, int64(status)) }
	if idempotent := c.Method != http.MethodPost && c.Method != http.MethodPatch; idempotent || h.RetryAll {
		c.AtOnce = int(max(0, h.AutomaticRetries))
	}
	c.Header.Set("Content-Type", h.contentType)
	if h.User != "" {
		auth := &http.Request{Header: http.Header{}}
		auth.SetBasicAuth(h.User, string(*h.HTTP.Password))
		c.Header.Set("Authorization", auth.Header.Get("Authorization"))
	}
	if h.Format == "json_batch" {
		c.Together, c.URL = togetherHTTP, h.URL.String()
		for _, l := range h.header {
			if !strings.EqualFold(l.name, "Content-Type") {
				c.Header.Set(l.name, l.value.String())
			}
		}
	}
	s := stream.Sink{Sink: c.Open(), InFlight: 2, Retry: flow.Retry{First: time.Second, Max: time.Minute}}
	if r.Ordered {
		c.Parallel = 1
		s.Sink, s.InFlight, s.InOrder = c.Open(), 0, true
	}
	return s, nil
}

func (h *httpOutput) client() (*http.Client, error) {
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	t := &http.Transport{
		Proxy:       http.ProxyFromEnvironment,
		DialContext: (&net.Dialer{Timeout: seconds(h.ConnectTimeout)}).DialContext, TLSHandshakeTimeout: seconds(h.ConnectTimeout),
		ResponseHeaderTimeout: seconds(h.SocketTimeout), MaxConnsPerHost: int(h.PoolMaxPerRoute), MaxIdleConnsPerHost: int(h.PoolMaxPerRoute),
		MaxIdleConns: int(h.PoolMax), IdleConnTimeout: 90 * time.Second, DisableKeepAlives: !h.KeepAlive,
	}
	if h.proxy != nil {
		t.Proxy = http.ProxyURL(h.proxy)
	}
	if h.tls != nil {
		conf, err := h.tls.Client()
		if err != nil {
			return nil, err
		}
		t.TLSClientConfig = conf
	} else {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	c := &http.Client{Transport: t, Timeout: seconds(h.RequestTimeout)}
	if !h.FollowRedirects {
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	if h.Cookies {
		jar, err := cookiejar.New(nil)
		if err != nil {
			return nil, err
		}
		c.Jar = jar
	}
	return c, nil
}

// httpFormer makes the record of a request: its key is the URL, its meta the header.
type httpFormer struct {
	*httpOutput
	texts []byte
}

// Form implements Former.
func (f *httpFormer) Form(dst []byte, r *flow.Record, e *event.Event) ([]byte, error) {
	start := len(dst)
	dst, err := f.body(dst, e)
	body := dst[start:len(dst):len(dst)]
	r.Body = body
	if err != nil || f.Format == "json_batch" {
		return dst, err
	}
	start = len(dst)
	if dst, err = f.URL.Append(dst, e); err != nil {
		return dst, fmt.Errorf("url: %w", err)
	}
	r.Key = dst[start:len(dst):len(dst)]
	start = len(dst)
	for _, l := range f.header {
		if strings.EqualFold(l.name, "Content-Type") {
			continue // content_type wins, as in the original
		}
		if f.texts, err = l.value.Append(f.texts[:0], e); err != nil {
			return dst, fmt.Errorf("headers: %s: %w", l.name, err)
		}
		dst = web.AppendHeader(dst, l.name, string(f.texts))
	}
	r.Meta = dst[start:len(dst):len(dst)]
	return dst, nil
}

// body appends the body of an event.
func (f *httpFormer) body(dst []byte, e *event.Event) ([]byte, error) {
	switch f.Format {
	case "message":
		return f.Message.Append(dst, e)
	case "form":
		return f.form(dst, e)
	}
	if f.mapping == nil {
		return e.AppendJSON(dst), nil
	}
	v, err := f.mapping.value(e)
	if err != nil {
		return dst, err
	}
	return event.AppendJSON(dst, v), nil
}

// form appends a form. Values that are no texts are written as %{…} writes them.
func (f *httpFormer) form(dst []byte, e *event.Event) ([]byte, error) {
	fields := e.Fields()
	if f.mapping != nil {
		v, err := f.mapping.value(e)
		if err != nil {
			return dst, err
		}
		fields = v.Map()
	}
	for i, m := range fields.Entries() {
		if i > 0 {
			dst = append(dst, '&')
		}
		f.texts = m.Value.AppendText(f.texts[:0])
		dst = append(append(append(dst, url.QueryEscape(m.Key)...), '='), url.QueryEscape(string(f.texts))...)
	}
	return dst, nil
}

// A mapped value is one of the option mapping.
type mapped interface {
	value(e *event.Event) (event.Value, error)
}

type (
	mappedText struct{ format *event.Format }
	mappedList []mapped
	mappedHash []mappedPair
	mappedPair struct {
		key   string
		value mapped
	}
)

func newMapping(s *Setup, v any) mapped {
	switch v := v.(type) {
	case option.Hash:
		h := make(mappedHash, 0, len(v))
		for _, p := range v {
			h = append(h, mappedPair{p.Key, newMapping(s, p.Value)})
		}
		return h
	case []any:
		l := make(mappedList, 0, len(v))
		for _, e := range v {
			l = append(l, newMapping(s, e))
		}
		return l
	}
	return mappedText{s.Style.ParseFormat(option.Text(v))}
}

func (m mappedText) value(e *event.Event) (event.Value, error) {
	text, err := m.format.Text(e)
	return event.StringValue(text), err
}

func (m mappedList) value(e *event.Event) (event.Value, error) {
	list := make([]event.Value, len(m))
	for i := range m {
		var err error
		if list[i], err = m[i].value(e); err != nil {
			return event.Value{}, err
		}
	}
	return event.ListValue(list), nil
}

func (m mappedHash) value(e *event.Event) (event.Value, error) {
	v := event.MapValue()
	for _, p := range m {
		member, err := p.value.value(e)
		if err != nil {
			return event.Value{}, err
		}
		v.Map().Set(p.key, member)
	}
	return v, nil
}

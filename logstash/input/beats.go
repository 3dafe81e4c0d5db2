package input

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	lumber "github.com/narudata/naru/connect/beats"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/tlsoption"
)

// Beats takes events from Beats, Elastic Agent and whatever else speaks the Lumberjack protocol, version 1 or 2. The field
// message of an event (or line, if it has no message) goes through the codec; the other fields join what it makes of it.
//
// Events are acknowledged to their client when they are delivered, be that a part of what it sent at once. Until then it is
// told every five seconds that naru is at work, so it does not give up while the pipeline is blocked. Certificates are read
// again when their files change.
//
// Differences:
//   - An event is acknowledged when the outputs have it; Logstash does so when its queue has it.
//   - What is no JSON object is the message of an event with the tag _jsonparsefailure; Logstash closes the connection, and
//     gets the same again for ever.
//   - The tag of the codec comes before those of the option tags.
//   - Addresses of IPv6 are written in the short form (::1).
//   - Options of TLS that were deprecated in version 6 of the plugin, and are errors in version 7, still work.
//   - Versions of TLS before 1.1 are not spoken.
//
// Source: LogStash::Inputs::Beats of logstash-input-beats 6.9 and 7.0, org.logstash.beats.
type Beats struct {
	Options
	tlsoption.Server
	Host              string   `ls:"host" default:"0.0.0.0" doc:"the address to listen at"`
	Port              int64    `ls:"port,required" doc:"the port to listen at"`
	InactivityTimeout int64    `ls:"client_inactivity_timeout" default:"60" doc:"after how many seconds a client is disconnected that sends nothing and waits for nothing; 0: never"`
	HandshakeTimeout  int64    `ls:"ssl_handshake_timeout" default:"10000" doc:"how many milliseconds a client may take for the TLS handshake"`
	Enrich            []string `ls:"enrich" enum:"source_metadata|codec_metadata|ssl_peer_metadata|none|all" doc:"what is added to events: the client's address (source_metadata), a tag that names the codec (codec_metadata), the client's certificate (ssl_peer_metadata); none or all of it; without it, the first two"`
	ECSCompatibility  string   `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"which names of fields are used; without it, those of the pipeline"`
	ExecutorThreads   *int64   `ls:"executor_threads" doc:"has no effect: events are decoded by the workers of the pipeline"`
	EventLoopThreads  int64    `ls:"event_loop_threads" default:"0" doc:"has no effect: connections need no threads"`
	AddHostname       bool     `ls:"add_hostname,deprecated" default:"false" instead:"use the fields that Beats send" doc:"whether the field host is what [beat][hostname] is, if there is none"`
	IncludeCodecTag   *bool    `ls:"include_codec_tag,deprecated" instead:"use enrich" doc:"whether events get a tag that names the codec; without it, they do"`

	SSL             *bool    `ls:"ssl,deprecated" instead:"use ssl_enabled" doc:"the same as ssl_enabled"`
	SSLPeerMetadata *bool    `ls:"ssl_peer_metadata,deprecated" instead:"use enrich" doc:"whether the client's certificate is added to events"`
	SSLVerifyMode   *string  `ls:"ssl_verify_mode,deprecated" enum:"none|peer|force_peer" instead:"use ssl_client_authentication" doc:"whether clients must show a certificate: none, peer (optional) or force_peer (required)"`
	CipherSuites    []string `ls:"cipher_suites,deprecated" instead:"use ssl_cipher_suites" doc:"the same as ssl_cipher_suites"`
	TLSMinVersion   *float64 `ls:"tls_min_version,deprecated" instead:"use ssl_supported_protocols" doc:"the oldest version of TLS that is spoken: 1, 1.1, 1.2 or 1.3"`
	TLSMaxVersion   *float64 `ls:"tls_max_version,deprecated" instead:"use ssl_supported_protocols" doc:"the newest version of TLS that is spoken: 1.1, 1.2 or 1.3"`
}

// Traits implements Plugin.
func (*Beats) Traits() Traits { return Traits{Codec: "plain"} }

// Obsolete lists options that there were once.
func (*Beats) Obsolete() map[string]string {
	return map[string]string{
		"congestion_threshold":   "clients wait while the pipeline is blocked",
		"target_field_for_codec": "the codec is for the field message",
	}
}

// Setup implements Plugin.
func (b *Beats) Setup(s *Setup) (Input, error) {
	if b.Codec.Name == "multiline" {
		return nil, option.Errorf("codec", "multiline cannot be used here: the lines of several files come through one connection; use multiline of Filebeat's inputs")
	}
	if b.InactivityTimeout < 0 {
		return nil, option.Errorf("client_inactivity_timeout", "expected 0 or more, found %d", b.InactivityTimeout)
	}
	if b.HandshakeTimeout <= 0 {
		return nil, option.Errorf("ssl_handshake_timeout", "expected 1 or more, found %d", b.HandshakeTimeout)
	}
	address, err := joinAddress(b.Host, b.Port)
	if err != nil {
		return nil, err
	}
	in := &beatsInput{address: address, host: b.Host, port: b.Port, inactivity: time.Duration(b.InactivityTimeout) * time.Second, handshake: time.Duration(b.HandshakeTimeout) * time.Millisecond}
	schema := s.schema(b.ECSCompatibility)
	if in.enrichment, err = b.enrichment(schema); err != nil {
		return nil, err
	}
	if in.tls, err = b.tls(s); err != nil {
		return nil, err
	}
	if in.tls == nil || in.tls.ClientAuth == "" || in.tls.ClientAuth == "none" {
		in.peer = false // nobody is asked
	}
	if b.AddHostname {
		in.hostname = named(schema, "host", "[@metadata][input][beats][host][name]")
		in.beatHostname = named(false, "[beat][hostname]", "")
	}
	return in, nil
}

// enrichment resolves enrich and what it replaced.
func (b *Beats) enrichment(schema bool) (enrichment, error) {
	given := b.Enrich
	if len(given) > 0 {
		switch {
		case b.IncludeCodecTag != nil:
			return enrichment{}, option.Errorf("include_codec_tag", "enrich is given, too: give only that")
		case b.SSLPeerMetadata != nil:
			return enrichment{}, option.Errorf("ssl_peer_metadata", "enrich is given, too: give only that")
		case len(given) > 1 && (slices.Contains(given, "none") || slices.Contains(given, "all")):
			return enrichment{}, option.Errorf("enrich", "none and all stand alone")
		}
	}
	has := func(what string) bool { return slices.Contains(given, what) || slices.Contains(given, "all") }
	e := enrichment{
		source: len(given) == 0 || has("source_metadata"),
		codec:  len(given) == 0 || has("codec_metadata"),
		peer:   has("ssl_peer_metadata"),
		ip:     named(schema, "[@metadata][ip_address]", "[@metadata][input][beats][host][ip]"),

		status:   named(false, "[@metadata][tls_peer]", ""),
		protocol: named(schema, "[@metadata][tls_peer][protocol]", "[@metadata][input][beats][tls][version_protocol]"),
		subject:  named(schema, "[@metadata][tls_peer][subject]", "[@metadata][input][beats][tls][client][subject]"),
		cipher:   named(schema, "[@metadata][tls_peer][cipher_suite]", "[@metadata][input][beats][tls][cipher]"),
	}
	if b.IncludeCodecTag != nil {
		e.codec = *b.IncludeCodecTag
	}
	if b.SSLPeerMetadata != nil {
		e.peer = *b.SSLPeerMetadata
	}
	name := b.Codec.Name
	if name == "" {
		name = b.Traits().Codec
	}
	if e.codec {
		e.applied, e.raw = "beats_input_codec_"+name+"_applied", "beats_input_raw_event"
	}
	return e, nil
}

// tls resolves the options of TLS and those that they replaced; nil: there is none.
func (b *Beats) tls(s *Setup) (*tlsoption.Config, error) {
	group := b.Server
	if b.SSL != nil {
		if b.Enabled && !*b.SSL {
			return nil, option.Errorf("ssl", "ssl_enabled says something else: give only that")
		}
		group.Enabled = *b.SSL
	}
	unusedTLS(s, &group)
	if !group.Enabled {
		return nil, nil
	}
	if len(b.CipherSuites) > 0 {
		if len(group.CipherSuites) > 0 {
			return nil, option.Errorf("cipher_suites", "ssl_cipher_suites is given, too: give only that")
		}
		group.CipherSuites = b.CipherSuites
	}
	var err error
	if group.SupportedProtocols, err = b.protocols(); err != nil {
		return nil, err
	}
	c := tlsoption.Config{Dir: s.Dir, Log: s.Log}
	switch {
	case b.SSLVerifyMode != nil && group.ClientAuth != "":
		return nil, option.Errorf("ssl_verify_mode", "ssl_client_authentication is given, too: give only that")
	case b.SSLVerifyMode != nil && *b.SSLVerifyMode != "none":
		group.ClientAuth = map[string]string{"peer": "optional", "force_peer": "required"}[*b.SSLVerifyMode]
	case group.ClientAuth == "" && len(group.CertificateAuthorities) > 0:
		group.ClientAuth = "required" // as the original does
	case group.ClientAuth == "none" && len(group.CertificateAuthorities) > 0:
		return nil, option.Errorf("ssl_certificate_authorities", "ssl_client_authentication is none: it must be optional or required")
	}
	config := group.Of(c)
	return config, config.CheckServer()
}

// protocols resolves ssl_supported_protocols, and the versions that stood for it.
func (b *Beats) protocols() ([]string, error) {
	if b.TLSMinVersion == nil && b.TLSMaxVersion == nil {
		return b.SupportedProtocols, nil
	}
	if len(b.SupportedProtocols) > 0 {
		return nil, option.Errorf("tls_min_version", "ssl_supported_protocols is given, too: give only that")
	}
	low, high := 1.2, 1.3
	if b.TLSMinVersion != nil {
		low = *b.TLSMinVersion
	}
	if b.TLSMaxVersion != nil {
		high = *b.TLSMaxVersion
	}
	var out []string
	for _, v := range []float64{1.1, 1.2, 1.3} {
		if v >= low && v <= high {
			out = append(out, "TLSv"+strconv.FormatFloat(v, 'f', 1, 64))
		}
	}
	if len(out) == 0 {
		return nil, option.Errorf("tls_max_version", "no version of TLS from 1.1 on is between %v and %v", low, high)
	}
	return out, nil
}

// enrichment is what is added to events.
type enrichment struct {
	source, codec, peer       bool
	applied, raw              string // tags; empty: none
	ip                        *event.Ref
	status                    *event.Ref
	protocol, subject, cipher *event.Ref
	hostname, beatHostname    *event.Ref // nil: not wanted
}

// beatsInput is a Beats, or a Lumberjack, that is set up.
type beatsInput struct {
	enrichment
	address, host         string
	port                  int64
	inactivity, handshake time.Duration
	tls                   *tlsoption.Config // nil: none
}

var (
	_ Describer = (*beatsInput)(nil)
	_ Decoder   = (*beatsInput)(nil)
)

// Inspect implements Inspector.
func (b *beatsInput) Inspect(in *Inspection) { in.TLS(b.tls, true) }

// Claims implements Claimer.
func (b *beatsInput) Claims(string, string) []Claim { return ClaimPort("tcp", b.host, b.port) }

// Open implements Input.
func (b *beatsInput) Open(r *Run) (stream.Source, error) {
	host, port, err := net.SplitHostPort(b.address)
	if err != nil {
		return nil, err
	}
	c := lumber.Config{Host: host, InactivityTimeout: b.inactivity, HandshakeTimeout: b.handshake}
	if c.Port, err = strconv.Atoi(port); err != nil {
		return nil, err
	}
	if c.InactivityTimeout == 0 {
		c.InactivityTimeout = -1
	}
	if b.tls != nil {
		if c.TLS, err = b.tls.Server(); err != nil {
			return nil, err
		}
	}
	return lumber.Listen(c, r.Port, r.Log)
}

// Decoder implements Decoder.
func (b *beatsInput) Decoder(of codec.Decoder) codec.Decoder {
	return newDocuments(of, b.applied, b.raw)
}

// verified and unverified are what is said of a client's certificate.
const (
	verified   = "verified"
	unverified = "unverified"
)

// Describe implements Describer.
func (b *beatsInput) Describe(e *event.Event, r *flow.Record) {
	if b.source || b.peer {
		b.describe(e, lumber.ParsePeer(r.Meta))
	}
	if b.hostname != nil {
		if name := e.Get(b.beatHostname); !name.Nil() && e.Get(b.hostname).Nil() {
			setField(e, b.hostname, name.Clone())
		}
	}
}

func (b *beatsInput) describe(e *event.Event, p lumber.Peer) {
	if b.source && p.Address != "" {
		setField(e, b.ip, event.StringValue(p.Address))
	}
	if !b.peer {
		return
	}
	status := event.MapValue()
	if !p.Verified {
		status.Map().Set("status", event.StringValue(unverified))
		setField(e, b.status, status)
		return
	}
	status.Map().Set("status", event.StringValue(verified))
	setField(e, b.status, status)
	setField(e, b.protocol, event.StringValue(p.TLS))
	setField(e, b.subject, event.StringValue(p.Subject))
	setField(e, b.cipher, event.StringValue(p.Cipher))
}

// Lumberjack takes events from logstash-forwarder and the output lumberjack of Logstash: version 1 of the protocol that Beats
// speaks version 2 of, always encrypted. Clients of both versions are taken.
//
// Differences:
//   - An event is acknowledged when the outputs have it; Logstash does so when its queue has it.
//
// Source: LogStash::Inputs::Lumberjack of logstash-input-lumberjack 3.1.
type Lumberjack struct {
	Options
	Host                string           `ls:"host" default:"0.0.0.0" doc:"the address to listen at"`
	Port                int64            `ls:"port,required" doc:"the port to listen at"`
	Certificate         string           `ls:"ssl_certificate,required,path" doc:"the file (PEM) with the certificate to show, and with what it is signed by"`
	Key                 string           `ls:"ssl_key,required,path" doc:"the file (PEM) with the certificate's key"`
	KeyPassphrase       *option.Password `ls:"ssl_key_passphrase" doc:"the passphrase of the key"`
	CongestionThreshold int64            `ls:"congestion_threshold" default:"5" doc:"has no effect: clients wait while the pipeline is blocked"`
}

// Traits implements Plugin.
func (*Lumberjack) Traits() Traits { return Traits{Codec: "plain"} }

// Obsolete lists options that there were once.
func (*Lumberjack) Obsolete() map[string]string {
	return map[string]string{"max_clients": "there is no such bound any more"}
}

// Setup implements Plugin.
func (l *Lumberjack) Setup(s *Setup) (Input, error) {
	if strings.EqualFold(l.Codec.Name, "multiline") {
		return nil, option.Errorf("codec", "multiline cannot be used here: the lines of several files come through one connection")
	}
	address, err := joinAddress(l.Host, l.Port)
	if err != nil {
		return nil, err
	}
	in := &beatsInput{address: address, inactivity: 0, handshake: 10 * time.Second}
	in.tls = &tlsoption.Config{Dir: s.Dir, Log: s.Log, Identity: tlsoption.Identity{Certificate: l.Certificate, Key: l.Key, KeyPassphrase: l.KeyPassphrase}}
	return in, in.tls.CheckServer()
}

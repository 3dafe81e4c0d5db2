package input

import (
	"strconv"

	"github.com/narudata/naru/connect/network"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/tlsoption"
)

// TCP reads messages from connections: of clients, or one to a server.
//
// Differences:
//   - What was received is kept in the queue of the pipeline before anything else is read: a crash loses only what was on
//     its way to naru.
//   - A message may have 16 MiB, and all messages that have begun and not ended 256 MiB together; what is longer is cut
//     into several messages. Logstash keeps what comes, until its memory is full.
//   - With mode => client the server's name is checked, too, if ssl_verification_mode is full, and its passphrase is optional.
//   - The header of the PROXY protocol may come before TLS, as proxies send it, or inside of it, as Logstash expects it.
//   - A server that cannot be reached is tried again, with pauses of up to 30 seconds.
//
// Source: LogStash::Inputs::Tcp of logstash-input-tcp 7.0, org.logstash.tcp.InputLoop.
type TCP struct {
	Options
	tlsoption.Server
	tlsoption.Verification
	Host             string   `ls:"host" default:"0.0.0.0" doc:"the address to listen at, or the server to connect to"`
	Port             int64    `ls:"port,required" doc:"the port to listen at, or to connect to"`
	Mode             string   `ls:"mode" enum:"server|client" default:"server" doc:"whether clients connect to naru (server), or naru connects to a server (client)"`
	ProxyProtocol    bool     `ls:"proxy_protocol" default:"false" doc:"whether connections begin with a header of the PROXY protocol, version 1"`
	ExtraChain       []string `ls:"ssl_extra_chain_certs" doc:"more files (PEM) with certificates to show after ssl_certificate"`
	KeepAlive        bool     `ls:"tcp_keep_alive" default:"false" doc:"whether connections that are silent are probed"`
	LookUp           bool     `ls:"dns_reverse_lookup_enabled" default:"true" doc:"whether the names of peers are looked up; without, their addresses stand for them"`
	ECSCompatibility string   `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"which names of fields are used; without it, those of the pipeline"`
}

// Traits implements Plugin.
func (*TCP) Traits() Traits { return Traits{Codec: "line", Bytes: true} }

// Obsolete lists options that there were once.
func (*TCP) Obsolete() map[string]string {
	return map[string]string{
		"ssl_enable":   "use ssl_enabled",
		"ssl_verify":   "use ssl_client_authentication, or ssl_verification_mode with mode => client",
		"ssl_cert":     "use ssl_certificate",
		"ssl_cacert":   "use ssl_certificate_authorities",
		"data_timeout": "connections have no time limit",
	}
}

// Setup implements Plugin.
func (i *TCP) Setup(s *Setup) (Input, error) {
	in := &tcpInput{TCP: i, peerFields: newPeerFields(s.schema(i.ECSCompatibility))}
	var err error
	if in.address, err = joinAddress(i.Host, i.Port); err != nil {
		return nil, err
	}
	unusedTLS(s, &i.Server)
	if !i.Enabled {
		return in, nil
	}
	c := tlsoption.Config{Dir: s.Dir, Chain: i.ExtraChain, Log: s.Log, Verification: i.Verification}
	if i.Mode == "client" {
		if i.ClientAuth != "" {
			return nil, option.Errorf("ssl_client_authentication", "it is for mode => server: use ssl_verification_mode")
		}
		c.ExtendSystem = true
		in.tls = i.Server.Of(c)
		return in, in.tls.CheckClient()
	}
	if i.VerificationMode != "" {
		return nil, option.Errorf("ssl_verification_mode", "it is for mode => client: use ssl_client_authentication")
	}
	if i.ClientAuth == "" {
		// Without more, the original wants certificates that the system's authorities have signed.
		c.ClientAuth, c.ExtendSystem = "required", len(i.CertificateAuthorities) == 0
	}
	in.tls = i.Server.Of(c)
	return in, in.tls.CheckServer()
}

// tcpInput is a TCP that is set up.
type tcpInput struct {
	*TCP
	*peerFields
	address string
	tls     *tlsoption.Config // nil: none
}

// Inspect implements Inspector.
func (i *tcpInput) Inspect(in *Inspection) { in.TLS(i.tls, i.Mode == "server") }

// Claims implements Claimer.
func (i *tcpInput) Claims(string, string) []Claim {
	if i.Mode == "client" {
		return nil
	}
	return ClaimPort("tcp", i.Host, i.Port)
}

// Open implements Input.
func (i *tcpInput) Open(r *Run) (stream.Source, error) {
	c := network.TCP{
		Address: i.address, Dial: i.Mode == "client", Framing: network.Framing{Delimiter: r.Delimiter}, KeepAlive: i.KeepAlive,
		ProxyProtocol: i.ProxyProtocol, LookUp: i.LookUp, Port: r.Port, Log: r.Log,
	}
	if i.tls != nil {
		make := i.tls.Server
		if c.Dial {
			make = i.tls.Client
		}
		var err error
		if c.TLS, err = make(); err != nil {
			return nil, err
		}
	}
	return c.Open()
}

// peerFields are the fields that say who sent an event.
type peerFields struct{ host, ip, port, proxyIP, proxyPort, subject *event.Ref }

func newPeerFields(schema bool) *peerFields {
	return &peerFields{
		host:      named(schema, "host", "[@metadata][input][tcp][source][name]"),
		ip:        named(schema, "[@metadata][ip_address]", "[@metadata][input][tcp][source][ip]"),
		port:      named(schema, "port", "[@metadata][input][tcp][source][port]"),
		proxyIP:   named(schema, "proxy_host", "[@metadata][input][tcp][proxy][ip]"),
		proxyPort: named(schema, "proxy_port", "[@metadata][input][tcp][proxy][port]"),
		subject:   named(schema, "sslsubject", "[@metadata][input][tcp][tls][client][subject]"),
	}
}

// Describe implements Describer. Ports that a header of the PROXY protocol says are texts, as in the original.
func (f *peerFields) Describe(e *event.Event, r *flow.Record) {
	p, err := network.ParsePeer(r.Meta)
	if err != nil {
		return // it came from nobody
	}
	port := event.IntValue(int64(p.Port))
	if p.ProxyIP != "" {
		port = event.StringValue(strconv.Itoa(int(p.Port)))
		setMissing(e, f.proxyIP, event.StringValue(p.ProxyIP))
		setMissing(e, f.proxyPort, event.StringValue(strconv.Itoa(int(p.ProxyPort))))
	}
	setMissing(e, f.host, event.StringValue(p.Host))
	setMissing(e, f.ip, event.StringValue(p.IP))
	setMissing(e, f.port, port)
	if p.Subject != "" {
		setMissing(e, f.subject, event.StringValue(p.Subject))
	}
}

var _ Describer = (*tcpInput)(nil)

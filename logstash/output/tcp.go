package output

import (
	"net"
	"strconv"
	"time"

	"github.com/narudata/naru/connect/network"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/input"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/tlsoption"
)

// TCP writes events to a server, or to all clients that connect. TCP does not tell whether what was written was read: what
// is on its way when a connection breaks may be lost.
//
// Source: LogStash::Outputs::Tcp of logstash-output-tcp 7.0.
//
// Differences:
//   - With mode => server, a client that takes nothing for ten seconds is cut off; Logstash keeps all for it. As in the original, an
//     event that comes while no client is there is written to none.
//   - An event whose writing breaks off is written again as a whole to the next connection.
type TCP struct {
	Options
	tlsoption.Server
	tlsoption.Verification
	Host              string  `ls:"host,required" doc:"the server to connect to, or the address to listen at"`
	Port              int64   `ls:"port,required" doc:"the port to connect to, or to listen at"`
	Mode              string  `ls:"mode" enum:"server|client" default:"client" doc:"whether naru connects to a server (client), or clients connect to naru (server)"`
	ReconnectInterval float64 `ls:"reconnect_interval" default:"10" doc:"after how many seconds a server is tried again that could not be reached"`
}

// DefaultCodec implements Plugin.
func (*TCP) DefaultCodec() string { return "json" }

// Obsolete lists options that there were once.
func (*TCP) Obsolete() map[string]string {
	return map[string]string{
		"ssl_enable": "use ssl_enabled", "ssl_cert": "use ssl_certificate", "ssl_cacert": "use ssl_certificate_authorities",
		"ssl_verify": "use ssl_verification_mode, or ssl_client_authentication with mode => server", "message_format": "use codec => line { format => … }",
	}
}

// Setup implements Plugin.
func (o *TCP) Setup(s *Setup) (Output, error) {
	if o.Port < 0 || o.Port > 65535 {
		return nil, option.Errorf("port", "expected 0 to 65535, found %d", o.Port)
	}
	if !(o.ReconnectInterval >= 0 && o.ReconnectInterval < 1e6) {
		return nil, option.Errorf("reconnect_interval", "expected seconds, found %v", o.ReconnectInterval)
	}
	if err := input.CheckHost(o.Host); err != nil {
		return nil, option.Errorf("host", "%w", err)
	}
	out := &tcpOutput{TCP: o, address: net.JoinHostPort(o.Host, strconv.FormatInt(o.Port, 10))}
	if !o.Enabled {
		return out, nil
	}
	out.tls = o.Server.Of(tlsoption.Config{Dir: s.Dir, Log: s.Log, Verification: o.Verification, ExtendSystem: o.Mode == "client"})
	if o.Mode == "client" {
		if o.ClientAuth != "" {
			return nil, option.Errorf("ssl_client_authentication", "it is for mode => server: use ssl_verification_mode")
		}
		return out, out.tls.CheckClient()
	}
	if o.VerificationMode != "" {
		return nil, option.Errorf("ssl_verification_mode", "it is for mode => client: use ssl_client_authentication")
	}
	return out, out.tls.CheckServer()
}

type tcpOutput struct {
	*TCP
	address string
	tls     *tlsoption.Config // nil: none
}

// Former implements Output.
func (*tcpOutput) Former(e codec.Encoder) Former { return Encoded{e} }

// Inspect implements input.Inspector.
func (o *tcpOutput) Inspect(in *input.Inspection) { in.TLS(o.tls, o.Mode == "server") }

// Claims implements input.Claimer.
func (o *tcpOutput) Claims(string, string) []input.Claim {
	if o.Mode == "client" {
		return nil
	}
	return input.ClaimPort("tcp", o.Host, o.Port)
}

// Open implements Output.
func (o *tcpOutput) Open(r *Run) (stream.Sink, error) {
	if o.Mode == "server" {
		c := network.Serve{Address: o.address, Log: r.Log}
		if o.tls != nil {
			var err error
			if c.TLS, err = o.tls.Server(); err != nil {
				return stream.Sink{}, err
			}
		}
		b, err := c.Open()
		return stream.Sink{Sink: b, InOrder: true}, err
	}
	c := network.Send{Address: o.address, Log: r.Log}
	if o.tls != nil {
		var err error
		if c.TLS, err = o.tls.Client(); err != nil {
			return stream.Sink{}, err
		}
	}
	pause := max(time.Millisecond, time.Duration(o.ReconnectInterval*float64(time.Second)))
	return stream.Sink{Sink: c.Open(), InOrder: true, Retry: flow.Retry{First: pause, Max: pause}}, nil
}

// UDP sends every event as a packet. Packets can be lost without anybody's notice.
//
// Source: LogStash::Outputs::UDP of logstash-output-udp 3.2.
//
// Differences:
//   - A packet that cannot be sent, because it is too long, say, is a dead letter; Logstash drops it.
type UDP struct {
	Options
	Host         string        `ls:"host,required" doc:"where packets are sent to"`
	Port         *event.Format `ls:"port,required" doc:"the port, which may have references to fields"`
	RetryCount   int64         `ls:"retry_count" default:"0" doc:"how often a packet that cannot be sent is tried again"`
	RetryBackoff int64         `ls:"retry_backoff_ms" default:"100" doc:"how many milliseconds lie between two tries"`
}

// DefaultCodec implements Plugin.
func (*UDP) DefaultCodec() string { return "json" }

// Setup implements Plugin.
func (o *UDP) Setup(*Setup) (Output, error) {
	if text, ok := o.Port.Static(); ok {
		if _, err := strconv.ParseUint(text, 10, 16); err != nil {
			return nil, option.Errorf("port", "expected 0 to 65535, found %q", text)
		}
	}
	if err := input.CheckHost(o.Host); err != nil {
		return nil, option.Errorf("host", "%w", err)
	}
	if o.RetryCount < 0 || o.RetryBackoff < 0 || o.RetryBackoff > 1e9 {
		return nil, option.Errorf("retry_count", "it, and retry_backoff_ms, must be 0 or more")
	}
	return o, nil
}

// Former implements Output.
func (o *UDP) Former(e codec.Encoder) Former { return &packetFormer{Encoded{e}, o.Port} }

// packetFormer gives records whose key is the port.
type packetFormer struct {
	Encoded
	port *event.Format
}

// Form implements Former.
func (f *packetFormer) Form(dst []byte, r *flow.Record, e *event.Event) ([]byte, error) {
	dst, err := f.Encoded.Form(dst, r, e)
	if err != nil {
		return dst, err
	}
	start := len(dst)
	if dst, err = f.port.Append(dst, e); err != nil {
		return dst, err
	}
	r.Key = dst[start:len(dst):len(dst)]
	if _, err := strconv.ParseUint(string(r.Key), 10, 16); err != nil {
		return dst, option.Errorf("port", "%q is no port", r.Key)
	}
	return dst, nil
}

// Open implements Output.
func (o *UDP) Open(*Run) (stream.Sink, error) {
	p, err := network.Datagrams{Host: o.Host, Retries: int(o.RetryCount), Pause: time.Duration(o.RetryBackoff) * time.Millisecond}.Open()
	return stream.Sink{Sink: p, InOrder: true}, err
}

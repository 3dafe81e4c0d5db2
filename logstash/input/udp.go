package input

import (
	"github.com/narudata/naru/connect/network"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// UDP takes every packet for a message.
//
// Packets that the kernel drops because there is no room for them are counted and logged, where it says how many there
// were (Linux).
//
// Source: LogStash::Inputs::Udp of logstash-input-udp 3.5.
//
// Differences:
//   - workers is how many goroutines receive; with one, packets keep their order.
//   - When queue_size packets wait, no more are received, so that the kernel keeps them as long as it has room
//     (receive_buffer_bytes).
type UDP struct {
	Options
	Host             string     `ls:"host" default:"0.0.0.0" doc:"the address to listen at"`
	Port             int64      `ls:"port,required" doc:"the port to listen at"`
	BufferSize       int64      `ls:"buffer_size" default:"65536" doc:"packets are cut at this size, in bytes"`
	ReceiveBuffer    int64      `ls:"receive_buffer_bytes" default:"0" doc:"how many bytes the kernel keeps of packets that are not received yet; 0: what the system has; it bounds it, too"`
	Workers          int64      `ls:"workers" default:"2" doc:"how many goroutines receive packets"`
	QueueSize        int64      `ls:"queue_size" default:"2000" doc:"how many packets wait, at most, when the pipeline is slow"`
	SourceIP         *event.Ref `ls:"source_ip_fieldname" doc:"the field that gets the sender's address; host, or [host][ip] with the schema, if not given"`
	ECSCompatibility string     `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"which names of fields are used; without it, those of the pipeline"`
}

// Traits implements Plugin.
func (*UDP) Traits() Traits { return Traits{Codec: "plain"} }

// Setup implements Plugin.
func (i *UDP) Setup(s *Setup) (Input, error) {
	in := &udpInput{UDP: i, source: i.SourceIP}
	var err error
	if in.address, err = joinAddress(i.Host, i.Port); err != nil {
		return nil, err
	}
	for _, o := range []struct {
		name       string
		value, low int64
	}{{"buffer_size", i.BufferSize, 1}, {"receive_buffer_bytes", i.ReceiveBuffer, 0}, {"workers", i.Workers, 1}, {"queue_size", i.QueueSize, 1}} {
		if o.value < o.low || o.value > 1<<30 {
			return nil, option.Errorf(o.name, "expected %d or more, found %d", o.low, o.value)
		}
	}
	if in.source == nil {
		in.source = named(s.schema(i.ECSCompatibility), "host", "[host][ip]")
	}
	return in, nil
}

type udpInput struct {
	*UDP
	address string
	source  *event.Ref
}

// Decoder implements Decoder: a packet may have several lines.
func (*udpInput) Decoder(of codec.Decoder) codec.Decoder { return newWhole(of) }

// Claims implements Claimer.
func (i *udpInput) Claims(string, string) []Claim { return ClaimPort("udp", i.Host, i.Port) }

// Open implements Input.
func (i *udpInput) Open(r *Run) (stream.Source, error) {
	return network.UDP{
		Address: i.address, MaxPacket: int(i.BufferSize), ReceiveBuffer: int(i.ReceiveBuffer), Readers: int(i.Workers),
		Queue: int(i.QueueSize), Port: r.Port, Log: r.Log,
	}.Open()
}

// Describe implements Describer.
func (i *udpInput) Describe(e *event.Event, r *flow.Record) {
	if p, err := network.ParsePeer(r.Meta); err == nil && e.Get(i.source).Nil() {
		setField(e, i.source, event.StringValue(p.IP))
	}
}

var (
	_ Describer = (*udpInput)(nil)
	_ Decoder   = (*udpInput)(nil)
)

package input

import (
	"cmp"
	"net"
	"strconv"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/tlsoption"
)

// joinAddress checks a port and a host, and joins them.
func joinAddress(host string, port int64) (string, error) {
	if port < 0 || port > 65535 {
		return "", option.Errorf("port", "expected 0 to 65535, found %d", port)
	}
	if err := CheckHost(host); err != nil {
		return "", option.Errorf("host", "%w", err)
	}
	return net.JoinHostPort(host, strconv.FormatInt(port, 10)), nil
}

// schema reports that fields have the names of the Elastic Common Schema: by the option of the input, or the pipeline's.
func (s *Setup) schema(own string) bool {
	ecs := cmp.Or(own, s.ECS)
	return ecs != "" && ecs != "disabled"
}

// named is a reference to a field, by the name without the schema or by that of the schema. Both are references of the input's own.
func named(schema bool, without, with string) *event.Ref {
	if schema {
		without = with
	}
	r, err := event.ParseRef(without)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return r
}

// setMissing sets a field that the event does not have, or has as null or false.
func setMissing(e *event.Event, r *event.Ref, v event.Value) {
	if old := e.Get(r); old.Nil() || old.Kind() == event.Bool && !old.Bool() {
		setField(e, r, v)
	}
}

// setField sets a field. Where what an event has is in the way of it, the event stays as it is.
func setField(e *event.Event, r *event.Ref, v event.Value) { _ = e.Set(r, v) }

// unusedTLS warns of options of TLS that have no effect.
func unusedTLS(s *Setup, t *tlsoption.Server) {
	if !t.Enabled && (t.Certificate != "" || t.Key != "" || len(t.CertificateAuthorities) > 0 || t.ClientAuth != "") {
		s.Log.Warn("ssl_enabled is false: the other options of TLS have no effect, and connections are not encrypted", "input", s.Where)
	}
}

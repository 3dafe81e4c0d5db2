package network

import (
	"encoding/binary"
	"errors"

	"github.com/narudata/naru/internal/sized"
)

// A Peer is who sent a message: what the Meta of a record says.
type Peer struct {
	Host      string // its name, or its address where that was not asked for
	IP        string
	Port      uint16
	ProxyIP   string // of the proxy that it was received by, as its header says; empty: there was none
	ProxyPort uint16
	Subject   string // of its certificate (RFC 2253); empty: it has shown none
}

// AppendMeta appends the peer as the Meta of a record:
//
//	host, ip   uvarint length, bytes
//	port       2 bytes, big-endian
//	proxy ip   uvarint length, bytes
//	proxy port 2 bytes
//	subject    uvarint length, bytes
func (p *Peer) AppendMeta(dst []byte) []byte {
	dst = sized.Append(sized.Append(dst, p.Host), p.IP)
	dst = sized.Append(binary.BigEndian.AppendUint16(dst, p.Port), p.ProxyIP)
	return sized.Append(binary.BigEndian.AppendUint16(dst, p.ProxyPort), p.Subject)
}

var errMeta = errors.New("this says of no peer")

// ParsePeer reads the Meta of a record. The strings are parts of meta.
func ParsePeer(meta []byte) (Peer, error) {
	r := sized.Reader{Left: meta}
	p := Peer{Host: r.Text(), IP: r.Text(), Port: r.Uint16(), ProxyIP: r.Text(), ProxyPort: r.Uint16(), Subject: r.Text()}
	if !r.Done() {
		return Peer{}, errMeta
	}
	return p, nil
}

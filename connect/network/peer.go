package network

import (
	"encoding/binary"
	"errors"
	"unsafe"
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
	dst = appendSized(appendSized(dst, p.Host), p.IP)
	dst = appendSized(binary.BigEndian.AppendUint16(dst, p.Port), p.ProxyIP)
	return appendSized(binary.BigEndian.AppendUint16(dst, p.ProxyPort), p.Subject)
}

func appendSized(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

var errMeta = errors.New("this says of no peer")

// ParsePeer reads the Meta of a record. The strings are parts of meta.
func ParsePeer(meta []byte) (Peer, error) {
	var p Peer
	ok := true
	text := func() string {
		n, size := binary.Uvarint(meta)
		if !ok || size <= 0 || n > uint64(len(meta)-size) {
			ok = false
			return ""
		}
		end := size + int(n) //nolint:gosec // it is less than the length
		s := unsafe.String(unsafe.SliceData(meta[size:end]), end-size)
		meta = meta[end:]
		return s
	}
	number := func() uint16 {
		if !ok || len(meta) < 2 {
			ok = false
			return 0
		}
		n := binary.BigEndian.Uint16(meta)
		meta = meta[2:]
		return n
	}
	p.Host, p.IP, p.Port = text(), text(), number()
	p.ProxyIP, p.ProxyPort, p.Subject = text(), number(), text()
	if !ok || len(meta) > 0 {
		return Peer{}, errMeta
	}
	return p, nil
}

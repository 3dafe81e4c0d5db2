package beats

import (
	"bytes"
	"crypto/tls"
	"net"
	"net/netip"
	"strings"
	"unsafe"
)

// A Peer is what is known of a client beside what it sends: the Meta of its records.
type Peer struct {
	Address  string // IP address
	TLS      string // "TLSv1.3"; empty: the connection is plain
	Cipher   string // "TLS_AES_128_GCM_SHA256"
	Verified bool   // it has shown a certificate that is trusted
	Subject  string // the certificate's: "CN=web1,O=example"
}

// address gives the IP address of a client, IPv4 as such.
func address(a net.Addr) string {
	if p, err := netip.ParseAddrPort(a.String()); err == nil {
		return p.Addr().Unmap().WithZone("").String()
	}
	return ""
}

func (p *Peer) secured(s tls.ConnectionState) {
	p.TLS = strings.Replace(tls.VersionName(s.Version), " ", "v", 1)
	p.Cipher = tls.CipherSuiteName(s.CipherSuite)
	if p.Verified = len(s.VerifiedChains) > 0; p.Verified {
		p.Subject = s.PeerCertificates[0].Subject.String()
	}
}

// separator stands between the parts of a Meta; what is a part has none.
const separator = 0

// AppendMeta appends what ParsePeer reads: the address, and for TLS its version, its cipher suite, "verified" or nothing, and
// the subject, with a NUL in front of each.
func (p *Peer) AppendMeta(dst []byte) []byte {
	dst = append(dst, p.Address...)
	if p.TLS == "" {
		return dst
	}
	verified := ""
	if p.Verified {
		verified = "verified"
	}
	for _, part := range []string{p.TLS, p.Cipher, verified, strings.ReplaceAll(p.Subject, "\x00", "\uFFFD")} {
		dst = append(append(dst, separator), part...)
	}
	return dst
}

// ParsePeer reads the Meta of a record, whose bytes the texts of the Peer are.
func ParsePeer(meta []byte) Peer {
	var parts [5]string
	for i := range parts {
		part, rest, _ := bytes.Cut(meta, []byte{separator})
		parts[i], meta = unsafe.String(unsafe.SliceData(part), len(part)), rest //nolint:gosec // the contract says so
	}
	return Peer{Address: parts[0], TLS: parts[1], Cipher: parts[2], Verified: parts[3] != "", Subject: parts[4]}
}

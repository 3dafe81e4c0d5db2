package network

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
)

// mostProxyHeader is how long the line can be, its end included.
//
// Source: the PROXY protocol, version 1 (haproxy, doc/proxy-protocol.txt, section 2.1).
const mostProxyHeader = 107

var errProxyHeader = errors.New(`expected a header of the PROXY protocol ("PROXY TCP4 …")`)

// readProxyHeader reads the first line of a connection, and no byte more.
func readProxyHeader(r io.Reader) ([]byte, error) {
	line := make([]byte, 0, mostProxyHeader)
	for len(line) < cap(line) {
		n, err := r.Read(line[len(line) : len(line)+1])
		line = line[:len(line)+n]
		if n > 0 && len(line) <= len(proxyMark) && !bytes.HasPrefix(proxyMark, line) {
			return nil, errProxyHeader
		}
		if bytes.HasSuffix(line, []byte("\r\n")) {
			return line[:len(line)-2], nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the header of the PROXY protocol: %w", err)
		}
	}
	return nil, errProxyHeader
}

var proxyMark = []byte("PROXY ")

// proxied puts what a header says into the peer. A header that says UNKNOWN changes nothing.
func (p *Peer) proxied(header []byte) error {
	fields := bytes.Fields(header)
	if len(fields) < 2 || string(fields[0]) != "PROXY" {
		return errProxyHeader
	}
	if string(fields[1]) == "UNKNOWN" {
		return nil
	}
	if len(fields) != 6 || string(fields[1]) != "TCP4" && string(fields[1]) != "TCP6" {
		return fmt.Errorf("%w: %q", errProxyHeader, header)
	}
	var addrs [2]netip.Addr
	var ports [2]uint16
	for i := range addrs {
		addr, err := netip.ParseAddr(string(fields[2+i]))
		if err != nil {
			return fmt.Errorf("header of the PROXY protocol: %w", err)
		}
		port, err := strconv.ParseUint(string(fields[4+i]), 10, 16)
		if err != nil {
			return fmt.Errorf("header of the PROXY protocol: port %q: %w", fields[4+i], err)
		}
		addrs[i], ports[i] = addr, uint16(port)
	}
	p.IP, p.Port = addrs[0].String(), ports[0]
	p.Host = p.IP
	p.ProxyIP, p.ProxyPort = addrs[1].String(), ports[1]
	return nil
}

// prefixed is a connection of which some bytes were read.
type prefixed struct {
	net.Conn
	read []byte
}

// Read implements io.Reader.
func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.read) > 0 {
		n := copy(b, p.read)
		p.read = p.read[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}

package filter

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// errNoAnswer says that no server has answered in time.
var errNoAnswer = errors.New("no answer")

// A dnsHosts has the names of addresses, as /etc/hosts has them.
type dnsHosts struct {
	addresses map[string]string // of a name: the last in the file
	names     map[string]string // of an address: the first
}

// readHosts reads a file of hosts: lines with an address, its name, and other names.
func readHosts(in io.Reader) (*dnsHosts, error) {
	h := &dnsHosts{map[string]string{}, map[string]string{}}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		if _, known := h.names[fields[0]]; !known {
			h.names[fields[0]] = fields[1]
		}
		for _, name := range fields[1:] {
			h.addresses[name] = fields[0]
		}
	}
	return h, lines.Err()
}

func openHosts(name string) (*dnsHosts, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	h, err := readHosts(f)
	return h, errors.Join(err, f.Close())
}

// A dnsClient asks name servers, one after another.
//
// Source: RFC 1035; the order of what is asked is that of Ruby's Resolv::DNS.
type dnsClient struct {
	servers []string // with ports
	search  []string
	ndots   int
	timeout time.Duration // for each answer
}

// readResolvConf reads the name servers of a machine.
func readResolvConf(in io.Reader, c *dnsClient) error {
	c.ndots = 1
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		line, _, _ = strings.Cut(line, ";")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "nameserver":
			c.servers = append(c.servers, withPort(fields[1]))
		case "domain":
			c.search = fields[1:2]
		case "search":
			c.search = fields[1:]
		case "options":
			for _, o := range fields[1:] {
				if digits, ok := strings.CutPrefix(o, "ndots:"); ok {
					if n, err := strconv.Atoi(digits); err == nil && n >= 0 {
						c.ndots = n
					}
				}
			}
		}
	}
	return lines.Err()
}

// withPort gives the port 53 to an address that has none.
func withPort(server string) string {
	if _, err := netip.ParseAddrPort(server); err == nil {
		return server
	}
	return net.JoinHostPort(strings.Trim(server, "[]"), "53")
}

// candidates are the names that a name may be short for.
func (c *dnsClient) candidates(name string) []string {
	if strings.HasSuffix(name, ".") {
		return []string{name}
	}
	var out []string
	add := func(n string) {
		if n += "."; !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	if c.ndots <= strings.Count(name, ".") {
		add(name)
	}
	for _, domain := range c.search {
		add(name + "." + strings.Trim(domain, "."))
	}
	add(name)
	return out
}

// address gives the first address of a name; "" if there is none.
func (c *dnsClient) address(name string) (string, error) {
	for _, kind := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA} {
		if found, err := c.look(name, kind); found != "" || err != nil {
			return found, err
		}
	}
	return "", nil
}

// name gives the first name of an address; "" if there is none.
func (c *dnsClient) name(ip netip.Addr) (string, error) {
	var b strings.Builder
	if ip.Is4() {
		for _, octet := range slices.Backward(ip.AsSlice()) {
			fmt.Fprintf(&b, "%d.", octet)
		}
		b.WriteString("in-addr.arpa.")
	} else {
		for _, octet := range slices.Backward(ip.AsSlice()) {
			fmt.Fprintf(&b, "%x.%x.", octet&15, octet>>4)
		}
		b.WriteString("ip6.arpa.")
	}
	name, err := c.look(b.String(), dnsmessage.TypePTR)
	return strings.TrimSuffix(name, "."), err
}

// look asks for the first record of a kind. A server that does not know ends the search; one that says there is no such name
// lets the next candidate be tried, one that says nothing lets the next server be asked. If none says anything it is an
// errNoAnswer.
func (c *dnsClient) look(name string, kind dnsmessage.Type) (string, error) {
	for _, candidate := range c.candidates(name) {
		full, err := dnsmessage.NewName(candidate)
		if err != nil {
			return "", fmt.Errorf("%s: %w", candidate, err)
		}
		answered := false
		for _, server := range c.servers {
			reply, err := c.ask(server, dnsmessage.Question{Name: full, Type: kind, Class: dnsmessage.ClassINET})
			if errors.Is(err, errNoAnswer) {
				continue
			} else if err != nil {
				return "", err
			}
			if reply.RCode != dnsmessage.RCodeNameError {
				return firstRecord(reply, kind), nil
			}
			answered = true
			break
		}
		if !answered {
			return "", fmt.Errorf("%w from %s to the question for %s", errNoAnswer, strings.Join(c.servers, ", "), candidate)
		}
	}
	return "", nil
}

// firstRecord gives the first record of a kind, behind whatever aliases it is.
func firstRecord(m *dnsmessage.Message, kind dnsmessage.Type) string {
	if m.RCode != dnsmessage.RCodeSuccess {
		return ""
	}
	for _, answer := range m.Answers {
		if answer.Header.Type != kind {
			continue
		}
		switch body := answer.Body.(type) {
		case *dnsmessage.AResource:
			return netip.AddrFrom4(body.A).String()
		case *dnsmessage.AAAAResource:
			return netip.AddrFrom16(body.AAAA).String()
		case *dnsmessage.PTRResource:
			return body.PTR.String()
		}
	}
	return ""
}

// ask asks one server: by UDP, and by TCP if the answer does not fit.
func (c *dnsClient) ask(server string, q dnsmessage.Question) (*dnsmessage.Message, error) {
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: uint16(rand.Uint32()), RecursionDesired: true}, //nolint:gosec // as good as the port beside it
		Questions: []dnsmessage.Question{q},
	}
	packed, err := m.Pack()
	if err != nil {
		return nil, fmt.Errorf("the question for %s: %w", q.Name, err)
	}
	reply, err := c.exchange("udp", server, packed, &m)
	if err == nil && reply.Truncated {
		reply, err = c.exchange("tcp", server, packed, &m)
	}
	return reply, err
}

// exchange sends a question and waits for its answer. Whatever goes wrong with the network is an errNoAnswer.
func (c *dnsClient) exchange(network, server string, packed []byte, m *dnsmessage.Message) (reply *dnsmessage.Message, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, network, server)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	defer func() {
		if closing := conn.Close(); closing != nil && err == nil {
			err = fmt.Errorf("%w: %w", errNoAnswer, closing)
		}
	}()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, fmt.Errorf("%w: %w", errNoAnswer, err)
		}
	}
	stream := network == "tcp"
	out := packed
	if stream {
		out = append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...) //nolint:gosec // a question is short
	}
	if _, err := conn.Write(out); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	buf := make([]byte, 1<<16)
	for {
		n, err := readMessage(conn, buf, stream)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNoAnswer, err)
		}
		var got dnsmessage.Message
		if err := got.Unpack(buf[:n]); err != nil || !got.Response || got.ID != m.ID || !sameQuestion(&got, m) {
			if stream {
				return nil, fmt.Errorf("%w that fits", errNoAnswer)
			}
			continue // not for this question
		}
		return &got, nil
	}
}

func readMessage(conn net.Conn, buf []byte, stream bool) (int, error) {
	if !stream {
		return conn.Read(buf)
	}
	if _, err := io.ReadFull(conn, buf[:2]); err != nil {
		return 0, err
	}
	return io.ReadFull(conn, buf[:binary.BigEndian.Uint16(buf)])
}

func sameQuestion(a, b *dnsmessage.Message) bool {
	return len(a.Questions) == 1 && a.Questions[0].Type == b.Questions[0].Type &&
		strings.EqualFold(a.Questions[0].Name.String(), b.Questions[0].Name.String())
}

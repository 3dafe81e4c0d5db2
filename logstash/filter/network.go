package filter

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// parseNetwork reads an address or a network, as IPAddr of Ruby: 10.0.0.0/8, 10.0.0.0/255.0.0.0, an address alone is a network
// of its own. Brackets around an address of version 6 and a zone are let be.
func parseNetwork(s string) (netip.Prefix, error) {
	address, length, masked := strings.Cut(s, "/")
	if inner, ok := strings.CutPrefix(address, "["); ok {
		address = strings.TrimSuffix(inner, "]")
	}
	a, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%.60q is no address", s)
	}
	a = a.WithZone("")
	n := a.BitLen()
	if masked {
		if n, err = prefixLength(length, a); err != nil {
			return netip.Prefix{}, fmt.Errorf("%.60q is no network: %w", s, err)
		}
	}
	p, err := a.Prefix(n)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%.60q is no network: %w", s, err)
	}
	return p, nil
}

// prefixLength reads what stands behind the slash: a number, or a mask.
func prefixLength(s string, a netip.Addr) (int, error) {
	if n, err := strconv.Atoi(s); err == nil {
		if strconv.Itoa(n) != s {
			return 0, fmt.Errorf("%.60q is no prefix", s)
		}
		return n, nil
	}
	mask, err := netip.ParseAddr(s)
	if err != nil || mask.BitLen() != a.BitLen() {
		return 0, fmt.Errorf("%.60q is no prefix", s)
	}
	for n := range a.BitLen() + 1 {
		if p, err := allOnes(a).Prefix(n); err == nil && p.Addr() == mask {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%.60q is no mask", s)
}

func allOnes(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.AddrFrom4([4]byte{255, 255, 255, 255})
	}
	return netip.AddrFrom16([16]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255})
}

// networks are networks to look addresses up in. The zero networks are empty.
type networks struct {
	lengths []int // of the prefixes that there are, each once
	set     map[netip.Prefix]struct{}
}

func (n *networks) add(p netip.Prefix) {
	if n.set == nil {
		n.set = map[netip.Prefix]struct{}{}
	}
	if !slices.Contains(n.lengths, p.Bits()) {
		n.lengths = append(n.lengths, p.Bits())
	}
	n.set[p] = struct{}{}
}

// contain reports that all of p is in one of the networks.
func (n *networks) contain(p netip.Prefix) bool {
	for _, length := range n.lengths {
		if length > p.Bits() {
			continue
		}
		outer, err := p.Addr().Prefix(length)
		if err != nil {
			continue
		}
		if _, ok := n.set[outer]; ok {
			return true
		}
	}
	return false
}

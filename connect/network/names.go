package network

import (
	"context"
	"net"
	"strings"
	"sync"
	"time"
)

const (
	nameTimeout = 2 * time.Second
	nameLife    = 5 * time.Minute
	mostNames   = 10_000
)

// nameCache keeps names of addresses. The zero value is ready.
type nameCache struct {
	mu    sync.Mutex // guards known
	known map[string]knownName
}

type knownName struct {
	name  string
	until time.Time
}

// lookUp gives the name of an address, or the address if it has none.
func (n *nameCache) lookUp(ctx context.Context, r *net.Resolver, ip string) string {
	now := time.Now()
	n.mu.Lock()
	k, ok := n.known[ip]
	n.mu.Unlock()
	if ok && now.Before(k.until) {
		return k.name
	}
	if r == nil {
		r = net.DefaultResolver
	}
	asking, cancel := context.WithTimeout(ctx, nameTimeout)
	defer cancel()
	name := ip
	if names, err := r.LookupAddr(asking, ip); err == nil && len(names) > 0 {
		name = strings.TrimSuffix(names[0], ".")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known == nil || len(n.known) >= mostNames {
		n.known = map[string]knownName{}
	}
	n.known[ip] = knownName{name, now.Add(nameLife)}
	return name
}

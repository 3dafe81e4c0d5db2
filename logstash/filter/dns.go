package filter

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// DNS looks up addresses of names (resolve), and names of addresses (reverse).
//
// Files of hosts are looked at first, then name servers are asked. A list of one text counts as the text. A field that is
// missing is passed by; one that cannot be looked up, or is not found, ends the filter without the common options.
//
// Source: dns.rb of logstash-filter-dns 3.2, resolv.rb of JRuby 9.4.
//
// Differences:
//   - An answer that does not come in time is asked for again (max_retries) and tagged (tag_on_timeout), as the documentation
//     of the original says; its resolver takes it for an answer without addresses.
//   - A name server may have a port: "127.0.0.1:5353".
//   - hostsfile is read once, when the pipeline starts, and must be there.
type DNS struct {
	option.Common
	Resolve         []*event.Ref `ls:"resolve" doc:"fields with names to look up"`
	Reverse         []*event.Ref `ls:"reverse" doc:"fields with addresses to look up"`
	Action          string       `ls:"action" default:"append" enum:"append|replace" doc:"whether what is found is put behind the field's value, as a list, or replaces it"`
	Nameserver      any          `ls:"nameserver" doc:"the name servers: their addresses, or a hash of address, search (domains that names may be short of) and ndots (how many points a name has that is complete); without it those of the machine"`
	Timeout         float64      `ls:"timeout" default:"0.5" doc:"how many seconds to wait for an answer of each server"`
	MaxRetries      int64        `ls:"max_retries" default:"2" doc:"how often to ask again where no answer has come"`
	HitCacheSize    int64        `ls:"hit_cache_size" default:"0" doc:"how many of the last finds are kept"`
	HitCacheTTL     float64      `ls:"hit_cache_ttl" default:"60" doc:"for how many seconds a find is kept"`
	FailedCacheSize int64        `ls:"failed_cache_size" default:"0" doc:"how many of what was not found are kept"`
	FailedCacheTTL  float64      `ls:"failed_cache_ttl" default:"5" doc:"for how many seconds it is kept that something was not found"`
	HostsFile       []string     `ls:"hostsfile" doc:"files of names and addresses, as /etc/hosts; with them, name servers are asked only if they are given"`
	TagOnTimeout    []string     `ls:"tag_on_timeout" default:"_dnstimeout" doc:"the tags of an event for which no answer has come"`
}

type dnsFilter struct {
	*DNS
	where        string
	hosts        []*dnsHosts
	client       *dnsClient // nil: no server is asked
	hits, failed *lru[string]
}

// Setup implements Plugin.
func (d *DNS) Setup(s *Setup) (Filter, error) {
	if d.Timeout <= 0 {
		return nil, option.Errorf("timeout", "it must be more than 0 seconds")
	}
	f := &dnsFilter{DNS: d, where: s.Where}
	f.hits = newLRU[string](int(d.HitCacheSize), seconds(d.HitCacheTTL))
	f.failed = newLRU[string](int(d.FailedCacheSize), seconds(d.FailedCacheTTL))
	var problems []error
	for _, name := range d.HostsFile {
		if !filepath.IsAbs(name) {
			name = filepath.Join(s.Dir, name)
		}
		h, err := openHosts(name)
		if err != nil {
			problems = append(problems, option.Errorf("hostsfile", "%w", err))
		}
		f.hosts = append(f.hosts, h)
	}
	if h, err := openHosts("/etc/hosts"); err == nil {
		f.hosts = append(f.hosts, h)
	} else if !errors.Is(err, fs.ErrNotExist) {
		s.Log.Warn("the file of hosts cannot be read", "filter", s.Where, "error", err)
	}
	switch {
	case d.Nameserver != nil:
		f.client = &dnsClient{}
		if err := d.nameserver(f.client); err != nil {
			problems = append(problems, option.Errorf("nameserver", "%w", err))
		}
	case len(d.HostsFile) == 0:
		f.client = &dnsClient{}
		if err := machineServers(f.client); err != nil {
			s.Log.Warn("the name servers of this machine cannot be read", "filter", s.Where, "error", err)
		}
		if len(f.client.servers) == 0 {
			f.client.servers = []string{"0.0.0.0:53"} // as the original
		}
	}
	if f.client != nil {
		f.client.timeout = seconds(d.Timeout)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return f, nil
}

func machineServers(c *dnsClient) error {
	file, err := os.Open("/etc/resolv.conf")
	if err != nil {
		return err
	}
	return errors.Join(readResolvConf(file, c), file.Close())
}

// nameserver reads the option: a text, a list of texts, or a hash.
func (d *DNS) nameserver(c *dnsClient) error {
	c.ndots = 1
	value := d.Nameserver
	if list, ok := value.([]any); ok && len(list) == 1 {
		if h, ok := list[0].(option.Hash); ok {
			value = h
		}
	}
	addresses := value
	if h, ok := value.(option.Hash); ok {
		addresses = nil
		for _, p := range h {
			switch p.Key {
			case "address":
				addresses = p.Value
			case "search":
				c.search = optionTexts(p.Value)
			case "ndots":
				n, ok := p.Value.(int64)
				if !ok || n <= 0 {
					return fmt.Errorf("ndots must be a positive number, not %s", option.Text(p.Value))
				}
				c.ndots = int(n)
			default:
				return fmt.Errorf("there is no %q: expected address, search or ndots", p.Key)
			}
		}
	}
	if len(c.search) > 6 {
		return fmt.Errorf("at most 6 domains may be searched, not %d", len(c.search))
	}
	for _, a := range optionTexts(addresses) {
		c.servers = append(c.servers, withPort(a))
		if _, err := netip.ParseAddrPort(withPort(a)); err != nil {
			return fmt.Errorf("%q is no address of a server", a)
		}
	}
	if len(c.servers) == 0 {
		return errors.New("it needs an address")
	}
	return nil
}

// optionTexts gives an option's value as a list of texts.
func optionTexts(v any) []string {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		out := make([]string, len(v))
		for i, e := range v {
			out[i] = option.Text(e)
		}
		return out
	default:
		return []string{option.Text(v)}
	}
}

// Filter implements Filter.
func (f *dnsFilter) Filter(x *Context, e *event.Event) {
	for _, field := range f.Resolve {
		if !f.lookUp(x, e, field, f.address) {
			return
		}
	}
	for _, field := range f.Reverse {
		if !f.lookUp(x, e, field, f.name) {
			return
		}
	}
	succeed(x, f.where, &f.Common, e)
}

// lookUp looks up what is in a field. It reports that the filter goes on.
func (f *dnsFilter) lookUp(x *Context, e *event.Event, field *event.Ref, ask func(string) (string, error)) bool {
	v := e.Get(field)
	if v.Nil() {
		x.Log.Warn("dns cannot look up a missing field", "filter", f.where, "field", field.String())
		return true
	}
	raw, isList := v, v.Kind() == event.List
	if isList && len(v.List()) == 1 {
		raw = v.List()[0]
	}
	if raw.Kind() != event.String {
		x.Log.Warn("dns needs one text", "filter", f.where, "field", field.String(), "type", raw.Kind().String())
		return false
	}
	found, err := f.cached(x, raw.Str(), ask)
	if errors.Is(err, errNoAnswer) {
		x.Log.Debug("dns has no answer", "filter", f.where, "field", field.String(), "error", err)
		for _, tag := range f.TagOnTimeout {
			e.Tag(tag)
		}
		return false
	} else if err != nil {
		x.Log.Error("dns cannot look up a field", "filter", f.where, "field", field.String(), "error", err)
		return false
	}
	if found == "" {
		return false
	}
	result := event.StringValue(found)
	switch {
	case isList && f.Action != "replace":
		v.Append(result)
		return true
	case isList:
		result = event.ListValue([]event.Value{result})
	case f.Action != "replace":
		result = event.ListValue([]event.Value{raw, result})
	}
	return set(x, f.where, e, field, result)
}

// cached asks, unless it is known what was found, or that nothing was.
func (f *dnsFilter) cached(x *Context, raw string, ask func(string) (string, error)) (string, error) {
	now := time.Time{}
	if f.HitCacheSize > 0 || f.FailedCacheSize > 0 {
		now = x.Now()
	}
	if _, ok := f.failed.get(raw, now); ok {
		return "", nil
	}
	if found, ok := f.hits.get(raw, now); ok {
		return found, nil
	}
	found, err := ask(raw)
	for tries := int64(0); tries < f.MaxRetries && errors.Is(err, errNoAnswer); tries++ {
		found, err = ask(raw)
	}
	if found != "" {
		f.hits.put(strings.Clone(raw), found, now)
	} else if err == nil || errors.Is(err, errNoAnswer) {
		f.failed.put(strings.Clone(raw), "", now)
	}
	return found, err
}

// address gives an address of a name; "" if there is none. An address is its own.
func (f *dnsFilter) address(name string) (string, error) {
	if _, err := netip.ParseAddr(name); err == nil {
		return strings.Clone(name), nil
	}
	for _, r := range name {
		if r < utf8.RuneSelf {
			continue
		}
		ascii, err := idna.Lookup.ToASCII(name)
		if err != nil {
			return "", fmt.Errorf("%q is no name of a host: %w", name, err)
		}
		name = ascii
		break
	}
	for _, h := range f.hosts {
		if address, ok := h.addresses[name]; ok {
			return address, nil
		}
	}
	if f.client == nil || name == "" {
		return "", nil
	}
	return f.client.address(name)
}

// name gives a name of an address; "" if there is none, or if it is no address.
func (f *dnsFilter) name(address string) (string, error) {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return "", nil //nolint:nilerr // it is passed by
	}
	name := ""
	for _, h := range f.hosts {
		if name = h.names[address]; name != "" {
			break
		}
	}
	if name == "" && f.client != nil {
		if name, err = f.client.name(ip.WithZone("")); err != nil {
			return "", err
		}
	}
	if !strings.Contains(name, "xn--") {
		return name, nil
	}
	unicode, err := idna.Display.ToUnicode(name)
	if err != nil {
		return name, nil //nolint:nilerr // it stays as it is
	}
	return unicode, nil
}

package filter

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// CIDR looks whether addresses are in networks. The common options are run if one of the addresses is in one of the networks:
// add_tag says so then. What is no address or no network is passed over, with a warning.
//
// Source: logstash-filter-cidr 3.2.
//
// Differences:
//   - a file without networks is an error of the configuration; Logstash fails for each event;
//   - what is no network is warned of when it is read, and not with each event.
type CIDR struct {
	option.Common
	Address         []*event.Format `ls:"address" doc:"the addresses; they may refer to fields"`
	AddressField    *event.Ref      `ls:"address_field" doc:"the field that has the address, or a list of addresses; instead of address"`
	Network         []*event.Format `ls:"network" doc:"the networks, as 10.0.0.0/8 or several of them separated by commas; they may refer to fields"`
	NetworkPath     string          `ls:"network_path,path" doc:"a file of networks; instead of network"`
	RefreshInterval float64         `ls:"refresh_interval" default:"600" doc:"after how many seconds the file is read again"`
	Separator       string          `ls:"separator" default:"\n" doc:"what stands between the networks of the file"`
}

type cidr struct {
	*CIDR
	where string
	fixed networks        // those that are the same for all events
	other []*event.Format // those that are not
	file  *refreshed[networks]
}

// Setup implements Plugin.
func (c *CIDR) Setup(s *Setup) (Filter, error) {
	switch {
	case c.NetworkPath != "" && len(c.Network) > 0:
		return nil, option.Errorf("network_path", "give either network or network_path")
	case c.AddressField != nil && len(c.Address) > 0:
		return nil, option.Errorf("address_field", "give either address or address_field")
	}
	f := &cidr{CIDR: c, where: s.Where}
	for _, n := range c.Network {
		if text, ok := n.Static(); ok {
			addNetworks(&f.fixed, strings.Split(text, ","), true, s.Log, s.Where)
		} else {
			f.other = append(f.other, n)
		}
	}
	if c.NetworkPath == "" {
		return f, nil
	}
	path := c.NetworkPath
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.Dir, path)
	}
	f.file = &refreshed[networks]{every: seconds(c.RefreshInterval), load: func(*networks) (*networks, error) {
		return readNetworks(path, c.Separator, s.Log, s.Where)
	}}
	if err := f.file.first(s.Now()); err != nil {
		return nil, option.Errorf("network_path", "%w", err)
	}
	return f, nil
}

// readNetworks reads a file of networks.
func readNetworks(path, separator string, log *slog.Logger, where string) (*networks, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var parts []string
	for _, v := range rubySplit(string(bytes.ToValidUTF8(text, []byte("?"))), separator) {
		parts = append(parts, v.Str())
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("%s has no networks", path)
	}
	n := new(networks)
	addNetworks(n, parts, false, log, where)
	return n, nil
}

func addNetworks(to *networks, texts []string, strip bool, log *slog.Logger, where string) {
	for _, text := range texts {
		if strip {
			text = rubyStrip(text)
		}
		p, err := parseNetwork(text)
		if err != nil {
			log.Warn("cidr passes over what is no network", "filter", where, "error", err)
			continue
		}
		to.add(p)
	}
}

// Filter implements Filter.
func (f *cidr) Filter(x *Context, e *event.Event) {
	all := [2]*networks{&f.fixed}
	if f.file != nil {
		all[0] = f.file.get(x, f.where)
	} else if len(f.other) > 0 {
		all[1] = f.ofEvent(x, e)
	}
	if f.matches(x, e, all) {
		succeed(x, f.where, &f.Common, e)
	}
}

// ofEvent gives the networks that are fields of an event.
func (f *cidr) ofEvent(x *Context, e *event.Event) *networks {
	n := new(networks)
	for _, format := range f.other {
		text, err := format.Text(e)
		if err != nil {
			x.Log.Warn("cidr cannot make a network", "filter", f.where, "error", err)
			continue
		}
		addNetworks(n, strings.Split(text, ","), true, x.Log, f.where)
	}
	return n
}

func (f *cidr) matches(x *Context, e *event.Event, all [2]*networks) bool {
	if f.AddressField == nil {
		for _, a := range f.Address {
			text, err := a.Text(e)
			if err != nil {
				x.Log.Warn("cidr cannot make an address", "filter", f.where, "error", err)
				continue
			}
			if f.contained(x, event.StringValue(text), all) {
				return true
			}
		}
		return false
	}
	v := e.Get(f.AddressField)
	if v.Kind() != event.List {
		return !v.Nil() && f.contained(x, v, all)
	}
	for _, element := range v.List() {
		if f.contained(x, element, all) {
			return true
		}
	}
	return false
}

func (f *cidr) contained(x *Context, address event.Value, all [2]*networks) bool {
	p, err := parseNetwork(address.Str())
	if err != nil {
		x.Log.Warn("cidr passes over what is no address", "filter", f.where, "error", err)
		return false
	}
	for _, n := range all {
		if n != nil && n.contain(p) {
			return true
		}
	}
	return false
}

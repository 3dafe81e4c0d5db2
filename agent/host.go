package agent

import (
	"bufio"
	"net"
	"os"
	"runtime"
	"strings"

	"github.com/narudata/naru/format/filebeat"
	"github.com/narudata/naru/format/tree"
)

// addHost adds what is known of this machine, as it is when the agent starts.
func addHost(s *filebeat.Section, env *environment) Processor {
	netinfo, replace := s.Bool("netinfo.enabled", true), s.Bool("replace_fields", true)
	s.Know("cache.ttl")
	var geo tree.Object
	if s.Has("geo") {
		geo = fieldsOf(s, "geo")
	}
	host := tree.Object{{Name: "name", Value: env.name}}
	if h, err := os.Hostname(); err == nil {
		host = append(host, tree.Member{Name: "hostname", Value: strings.ToLower(h)})
	}
	host = append(host, tree.Member{Name: "architecture", Value: architecture()})
	if id := machineID(); id != "" {
		host = append(host, tree.Member{Name: "id", Value: id})
	}
	host = append(host, tree.Member{Name: "os", Value: system()})
	if netinfo {
		ips, macs := addresses()
		host = append(host, tree.Member{Name: "ip", Value: ips}, tree.Member{Name: "mac", Value: macs})
	}
	if len(geo) > 0 {
		host = put(host, "geo", geo)
	}
	return func(e *Event) bool {
		if _, there := e.Get("host.os"); there && !replace {
			return true
		}
		e.putOver("host", host)
		return true
	}
}

func architecture() string {
	if a, ok := map[string]string{"amd64": "x86_64", "arm64": "aarch64", "386": "i686"}[runtime.GOARCH]; ok {
		return a
	}
	return runtime.GOARCH
}

func machineID() string {
	for _, f := range []string{"/etc/machine-id", "/var/lib/dbus/machine-id"} {
		if b, err := os.ReadFile(f); err == nil {
			return strings.TrimSpace(string(b))
		}
	}
	return ""
}

// system describes the operating system by /etc/os-release, where there is one.
func system() tree.Object {
	o := tree.Object{{Name: "type", Value: runtime.GOOS}}
	f, err := os.Open("/etc/os-release")
	if err != nil {
		return append(o, tree.Member{Name: "platform", Value: runtime.GOOS})
	}
	defer f.Close() //nolint:errcheck // it is read only
	known := map[string]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if k, v, ok := strings.Cut(lines.Text(), "="); ok {
			known[k] = strings.Trim(v, `"'`)
		}
	}
	version := known["VERSION"]
	if version == "" {
		version = known["VERSION_ID"]
	}
	for _, m := range []tree.Member{{Name: "platform", Value: known["ID"]}, {Name: "name", Value: known["NAME"]}, {Name: "version", Value: version}, {Name: "codename", Value: known["VERSION_CODENAME"]}} {
		if m.Value != "" {
			o = append(o, m)
		}
	}
	family := known["ID"]
	if like, _, _ := strings.Cut(known["ID_LIKE"], " "); like != "" {
		family = like
	}
	if kernel, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		o = append(o, tree.Member{Name: "kernel", Value: strings.TrimSpace(string(kernel))})
	}
	return append(o, tree.Member{Name: "family", Value: family})
}

func addresses() (ips, macs []any) {
	ips, macs = []any{}, []any{}
	all, err := net.Interfaces()
	if err != nil {
		return ips, macs
	}
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 {
			continue
		}
		if mac := i.HardwareAddr.String(); mac != "" {
			macs = append(macs, strings.ToUpper(strings.ReplaceAll(mac, ":", "-")))
		}
		of, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range of {
			if n, ok := a.(*net.IPNet); ok {
				ips = append(ips, n.IP.String())
			}
		}
	}
	return ips, macs
}

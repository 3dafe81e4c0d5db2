package estate

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/narudata/naru/estate/measure"
)

// ManifestOptions say what a directory cannot: where in Kubernetes it is for, and which Secrets have what in a directory is files and
// variables of a process.
type ManifestOptions struct {
	Name      string // of the Environment; the environment's name unless told
	Namespace string // "": where they are applied

	SearchSecret     string // username and password for the cluster
	KafkaSecret      string // username and password, or token, for the brokers
	DashboardsSecret string // username and password; SearchSecret unless told
	CASecret         string // ca.crt: the authorities
	CertSecret       string // tls.crt and tls.key: naru's own certificate
}

// ManifestVersion is the API of the operator that manifests are for.
const ManifestVersion = "naru.dev/v1alpha1"

const (
	caKey           = "ca.crt"
	largestManifest = 1 << 20 // bytes of JSON; etcd takes 1.5 MiB with what the API server adds
)

// Manifests gives what is declared as objects of the operator: an Environment with its objects in it, then a Flow for each flow and
// pipeline. The same directory gives the same, byte by byte. Nothing secret is in them: of credentials there are names of Secrets.
func (d *Desired) Manifests(o ManifestOptions) ([]Body, error) {
	m := manifests{d: d, o: o}
	if m.o.Name == "" {
		m.o.Name = strings.ToLower(d.Environment)
	}
	if m.o.DashboardsSecret == "" {
		m.o.DashboardsSecret = m.o.SearchSecret
	}
	if !regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`).MatchString(m.o.Name) {
		m.fail("the name %q is none that Kubernetes has: small letters, digits and - inside; say another by --name", m.o.Name)
	}
	spec := Body{"environment": d.Environment, "target": m.search(), "objects": m.objects()}
	if d.Estate != d.Environment {
		spec["estate"] = d.Estate
	}
	if d.Kafka != nil {
		spec["kafka"] = m.kafka()
	}
	if d.Dashboards != nil {
		spec["dashboards"] = m.dashboards()
	}
	if len(d.Repair) > 0 {
		list := make([]any, len(d.Repair))
		for i, pattern := range d.Repair {
			list[i] = pattern
		}
		spec["drift"] = map[string]any{"repair": list}
	}
	if !d.Limits.Zero() {
		spec["limits"] = plainBody(d.Limits)
	}
	m.sections(spec)
	all := []Body{m.manifest("Environment", m.o.Name, spec)}
	for _, key := range d.keys() {
		if key.Kind == Pipelines || key.Kind == FlowSpecs {
			all = append(all, m.manifest("Flow", key.Name, clone(d.Objects[key].Body)))
		}
	}
	for _, x := range all {
		if n := len(text(x)); n > largestManifest {
			m.fail("the %s %v has %d bytes, and Kubernetes takes about 1 MiB: keep some kinds in ConfigMaps, and name them as sources of the Environment", x["kind"], object(x, "metadata")["name"], n)
		}
	}
	return all, errors.Join(m.errs...)
}

type manifests struct {
	d    *Desired
	o    ManifestOptions
	errs []error
}

func (m *manifests) fail(format string, args ...any) {
	m.errs = append(m.errs, fmt.Errorf(format, args...))
}

func (m *manifests) manifest(kind, name string, spec Body) Body {
	metadata := map[string]any{"name": name}
	if m.o.Namespace != "" {
		metadata["namespace"] = m.o.Namespace
	}
	return Body{"apiVersion": ManifestVersion, "kind": kind, "metadata": metadata, "spec": spec}
}

// tls is the part of a target that says which certificates count.
func (m *manifests) tls(where, caFile, certFile string, insecure bool) map[string]any {
	out := map[string]any{}
	switch {
	case m.o.CASecret != "":
		out["caSecretRef"] = map[string]any{"name": m.o.CASecret, "key": caKey}
	case caFile != "":
		m.fail("%s.tls.caFile is a file of this machine: say which Secret has it as %s, by --ca-secret NAME", where, caKey)
	}
	switch {
	case certFile != "" && m.o.CertSecret == "":
		m.fail("%s.tls.certFile is a file of this machine: say which Secret of type kubernetes.io/tls has it, by --cert-secret NAME", where)
	case certFile != "":
		out["certSecretRef"] = map[string]any{"name": m.o.CertSecret}
	}
	if insecure {
		out["insecure"] = true
	}
	return out
}

// auth is the part of a target that says who asks.
func (m *manifests) auth(where, flag, secret, username, passwordFile, sigv4, region string) map[string]any {
	switch {
	case sigv4 != "":
		out := map[string]any{"sigv4": sigv4}
		if region != "" {
			out["region"] = region
		}
		return out
	case secret != "":
		return map[string]any{"secretRef": map[string]any{"name": secret}}
	case username != "" || passwordFile != "":
		m.fail("%s.auth needs a Secret with username and password: say which, by %s NAME", where, flag)
	}
	return nil
}

func put(body map[string]any, name string, part map[string]any) {
	if len(part) > 0 {
		body[name] = part
	}
}

func (m *manifests) search() map[string]any {
	t := &m.d.Target
	urls := make([]any, len(t.URLs))
	for i, u := range t.URLs {
		urls[i] = escaped(u)
	}
	out := map[string]any{"urls": urls}
	put(out, "tls", m.tls("target", t.TLS.CAFile, t.TLS.CertFile, t.TLS.Insecure))
	put(out, "auth", m.auth("target", "--search-secret", m.o.SearchSecret, t.Auth.Username, t.Auth.PasswordFile, t.Auth.SigV4, t.Auth.Region))
	return out
}

func (m *manifests) kafka() map[string]any {
	k := m.d.Kafka
	brokers := make([]any, len(k.Brokers))
	for i, b := range k.Brokers {
		brokers[i] = escaped(b)
	}
	out := map[string]any{"brokers": brokers}
	if k.TLS != nil {
		out["tls"] = m.tls("kafka", k.TLS.CAFile, k.TLS.CertFile, k.TLS.Insecure)
		if k.TLS.ServerName != "" || k.TLS.InsecureServerName {
			m.fail("kafka.tls.serverName and insecureServerName are nothing that an Environment has")
		}
	}
	if s := k.SASL; s != nil {
		sasl := map[string]any{"mechanism": s.Mechanism}
		switch {
		case m.o.KafkaSecret != "":
			sasl["secretRef"] = map[string]any{"name": m.o.KafkaSecret}
		case s.Mechanism != "AWS_MSK_IAM":
			m.fail("kafka.sasl needs a Secret with username and password, or token: say which, by --kafka-secret NAME")
		}
		out["sasl"] = sasl
	}
	return out
}

func (m *manifests) dashboards() map[string]any {
	t := m.d.Dashboards.target()
	out := map[string]any{"url": escaped(t.URLs[0])}
	put(out, "tls", m.tls("dashboards", t.TLS.CAFile, t.TLS.CertFile, t.TLS.Insecure))
	put(out, "auth", m.auth("dashboards", "--dashboards-secret", m.o.DashboardsSecret, t.Auth.Username, t.Auth.PasswordFile, t.Auth.SigV4, t.Auth.Region))
	if m.d.Dashboards.Tenant != "" {
		out["tenant"] = escaped(m.d.Dashboards.Tenant)
	}
	return out
}

// sections are those of env.yaml that an Environment has under the same names.
func (m *manifests) sections(spec Body) {
	if len(m.d.Retention) > 0 {
		retention := map[string]any{}
		for pattern, age := range m.d.Retention {
			retention[escaped(pattern)] = plainAge(age)
		}
		spec["retention"] = retention
	}
	if m.d.Sampling != nil {
		spec["sampling"] = escapedValue(plainBody(m.d.Sampling))
	}
	if m.d.Masking != nil {
		spec["masking"] = escapedValue(plainBody(m.d.Masking))
	}
	if m.d.ChangeManaged {
		spec["ism"] = map[string]any{"changeManaged": true}
	}
	windows := map[string]any{}
	for name, d := range map[string]measure.Duration{"before": m.d.Measure.Before, "after": m.d.Measure.After} {
		if d > 0 {
			windows[name] = time.Duration(d).String()
		}
	}
	if m.d.Measure.Off {
		windows["disabled"] = true
	}
	put(spec, "measure", windows)
}

// plainAge is a duration in the largest unit of which it is a whole number.
func plainAge(d time.Duration) string {
	for _, u := range []struct {
		of   time.Duration
		unit string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if d%u.of == 0 {
			return strconv.FormatInt(int64(d/u.of), 10) + u.unit
		}
	}
	return strconv.FormatInt(int64(d), 10) + "nanos"
}

// objects are what is declared but flows and pipelines, by kind and name. Variables have their values, and what looks like a
// reference is escaped, since the operator replaces references too.
func (m *manifests) objects() map[string]any {
	out := map[string]any{}
	for _, key := range m.d.keys() {
		if key.Kind == Pipelines || key.Kind == FlowSpecs {
			continue
		}
		if out[string(key.Kind)] == nil {
			out[string(key.Kind)] = map[string]any{}
		}
		object(out, string(key.Kind))[key.Name] = escapedValue(m.d.Objects[key].Body)
	}
	return out
}

// escaped is a text that stands for itself after references were replaced.
func escaped(s string) string {
	return reference.ReplaceAllStringFunc(s, func(ref string) string { return "$" + ref })
}

func escapedValue(v any) any {
	switch v := v.(type) {
	case string:
		return escaped(v)
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = escapedValue(x)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, x := range v {
			out[escaped(name)] = escapedValue(x)
		}
		return out
	}
	return v
}

package bridge

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Secret is the part of a Kubernetes secret that the bridge reads and writes.
type Secret struct {
	Name        string
	Namespace   string
	Type        string
	Labels      map[string]string
	Annotations map[string]string
	Data        map[string][]byte
}

const (
	// TypeLabel marks a secret as one of Argo CD's, of the kind "cluster".
	TypeLabel = "argocd.argoproj.io/secret-type"
	// RecordAnnotation says how to read the other annotations, as {"NAME": {"type": …, "annotation": …, "label": …}}.
	RecordAnnotation = "naru.dev/bridge"
	// InCluster is the server of the cluster that Argo CD runs in.
	InCluster = "https://kubernetes.default.svc"

	lastApplied      = "kubectl.kubernetes.io/last-applied-configuration"
	inClusterConfig  = `{"tlsClientConfig":{"insecure":false}}`
	annotationsLimit = 256 << 10 // bytes of all keys and values. Source: k8s.io/apimachinery/pkg/api/validation, TotalAnnotationSizeLimitB
	longestLabel     = 63
	longestName      = 253
)

// SecretOptions say which secret it is.
type SecretOptions struct {
	Name      string // "": the value of cluster_name
	Namespace string // "": argocd
	Server    string // "": InCluster
	// Config is Argo CD's configuration of the connection, JSON. It may hold credentials, which Terraform or a secret store
	// writes better: without one, a cluster other than InCluster gets none, and server-side apply leaves that which is there.
	Config []byte
	// MetadataOnly leaves out all data: another keeps the connection, and the bridge adds labels and annotations.
	MetadataOnly bool
}

// record is how a value is read back, and where it stands. With neither of the two it stands in the annotation of its name.
type record struct {
	Type       Type   `json:"type"`
	Annotation string `json:"annotation,omitempty"`
	Label      string `json:"label,omitempty"`
}

// NewSecret puts values into the secret of a cluster. All that Kubernetes would refuse is reported at once.
func NewSecret(values Values, o SecretOptions) (*Secret, error) {
	var errs []error
	cluster, _ := values.Get("cluster_name")
	name, _ := cluster.Value.(string)
	for _, needed := range []string{"cluster_name", "environment"} {
		if v, ok := values.Get(needed); !ok || empty(v.Value) {
			errs = append(errs, fmt.Errorf("%s is missing: give Terraform an output %s, or --set %s=…", needed, needed, needed))
		}
	}
	s := &Secret{
		Name: cmp.Or(o.Name, name), Namespace: cmp.Or(o.Namespace, "argocd"), Type: "Opaque",
		Labels:      map[string]string{TypeLabel: "cluster", "enable_argocd": "true"},
		Annotations: map[string]string{},
	}
	records := map[string]record{}
	for _, v := range values {
		if v.Label != "" {
			s.Labels[v.Label] = texted(v.Value)
			errs = append(errs, checkLabel(v))
		}
		r := record{v.Type, v.Annotation, v.Label}
		if v.Label == "" && v.Annotation == v.Name {
			r.Annotation = ""
		}
		records[v.Name] = r
		if v.Annotation != "" {
			s.Annotations[v.Annotation] = texted(v.Value)
			errs = append(errs, checkKey("annotation", v.Annotation, v.Output))
		}
	}
	b, err := json.Marshal(records)
	if err != nil {
		panic("BUG: " + err.Error()) // it is made of texts
	}
	s.Annotations[RecordAnnotation] = string(b)
	if !o.MetadataOnly {
		server := strings.TrimRight(cmp.Or(o.Server, InCluster), "/")
		s.Data = map[string][]byte{"name": []byte(name), "server": []byte(server)}
		switch {
		case len(o.Config) > 0:
			var config map[string]any
			if err := json.Unmarshal(o.Config, &config); err != nil {
				errs = append(errs, fmt.Errorf("the configuration of the connection: want a JSON object, as Argo CD has it: %w", err))
			}
			s.Data["config"] = bytes.TrimSpace(o.Config)
		case server == InCluster:
			s.Data["config"] = []byte(inClusterConfig)
		}
	}
	errs = append(errs, checkName("secret", s.Name, "--name"), checkName("namespace", s.Namespace, "--namespace"), s.checkSize())
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

var (
	labelValue = regexp.MustCompile(`^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?$`)
	keyName    = regexp.MustCompile(`^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$`)
	dnsName    = regexp.MustCompile(`^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$`)
	notInNames = regexp.MustCompile(`[^a-z0-9.-]+`)
)

// checkLabel holds a label against the rules of Kubernetes. Source: kubernetes.io/docs/concepts/overview/working-with-objects/labels.
func checkLabel(v Value) error {
	text := texted(v.Value)
	switch {
	case v.Type == List || v.Type == Object:
		return fmt.Errorf("%s: a label holds no %s; as an annotation it can be written", v.Output, v.Type)
	case len(text) > longestLabel:
		return fmt.Errorf("%s: the label %s has %d bytes; a label has at most %d", v.Output, v.Label, len(text), longestLabel)
	case !labelValue.MatchString(text):
		return fmt.Errorf("%s: the label %s cannot be %q: a label has letters, digits, and - _ . inside", v.Output, v.Label, text)
	}
	return checkKey("label", v.Label, v.Output)
}

// checkKey holds the key of a label or an annotation against the rules of Kubernetes: [DOMAIN/]NAME.
func checkKey(what, key, output string) error {
	domain, name, prefixed := strings.Cut(key, "/")
	if !prefixed {
		domain, name = "", key
	}
	switch {
	case key == RecordAnnotation || key == lastApplied || key == TypeLabel:
		return fmt.Errorf("%s: the %s %s has another meaning; give it another name in the mapping", output, what, key)
	case len(name) > longestLabel || !keyName.MatchString(name), prefixed && (len(domain) > longestName || !dnsName.MatchString(domain)):
		return fmt.Errorf("%s: %q cannot be the key of %ss: at most %d letters, digits, and - _ . inside; give it another name in the mapping", output, key, what, longestLabel)
	}
	return nil
}

func checkName(what, name, flag string) error {
	if name == "" || len(name) <= longestName && dnsName.MatchString(name) { // an empty one has been reported
		return nil
	}
	hint := ""
	if near := strings.Trim(notInNames.ReplaceAllString(strings.ToLower(name), "-"), "-."); dnsName.MatchString(near) && len(near) <= longestName {
		hint = fmt.Sprintf("; perhaps %s %s", flag, near)
	}
	return fmt.Errorf("a %s cannot be called %q: lower-case letters, digits, - and . inside%s", what, name, hint)
}

// size is what Kubernetes counts.
func (s *Secret) size() int {
	n := 0
	for k, v := range s.Annotations {
		n += len(k) + len(v)
	}
	return n
}

// checkSize names the largest annotations where they are too large together.
func (s *Secret) checkSize() error {
	total := s.size()
	if total <= annotationsLimit {
		return nil
	}
	keys := slices.SortedFunc(maps.Keys(s.Annotations), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(s.Annotations[b]), len(s.Annotations[a])), strings.Compare(a, b))
	})
	var large []string
	for _, k := range keys[:min(3, len(keys))] {
		large = append(large, fmt.Sprintf("%s (%d)", k, len(s.Annotations[k])))
	}
	return fmt.Errorf("the annotations have %d bytes; Kubernetes takes %d of all together; the largest are %s: leave one out (leaveOut in the mapping)",
		total, annotationsLimit, strings.Join(large, ", "))
}

// YAML writes the secret as a manifest for `kubectl apply --server-side`. It is the same for the same secret, and each value
// is quoted, so that every version of YAML reads it as the text that it is.
func (s *Secret) YAML() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\n  namespace: %s\n", quoted(s.Name), quoted(s.Namespace))
	writeTexts(&b, "  labels", s.Labels)
	writeTexts(&b, "  annotations", s.Annotations)
	if s.Type != "" {
		fmt.Fprintf(&b, "type: %s\n", s.Type)
	}
	data := map[string]string{}
	for k, v := range s.Data {
		data[k] = encoded(v)
	}
	writeTexts(&b, "data", data)
	return []byte(b.String())
}

func writeTexts(b *strings.Builder, title string, texts map[string]string) {
	if len(texts) == 0 {
		return
	}
	indent := strings.Repeat(" ", len(title)-len(strings.TrimLeft(title, " "))+2)
	fmt.Fprintf(b, "%s:\n", title)
	for _, k := range slices.Sorted(maps.Keys(texts)) {
		fmt.Fprintf(b, "%s%s: %s\n", indent, key(k), quoted(texts[k]))
	}
}

var plainKey = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./-]*$`)

// key writes a key as it is, if no YAML takes it for anything but a text.
func key(k string) string {
	switch strings.ToLower(k) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		return quoted(k)
	}
	if plainKey.MatchString(k) {
		return k
	}
	return quoted(k)
}

// quoted writes a text in single quotes, or in double ones if something in it must be escaped.
// Source: yaml.org/spec/1.1, 4.1 (printable characters).
func quoted(s string) string {
	if !strings.ContainsFunc(s, escaped) {
		if !strings.ContainsAny(s, `"\`) {
			return `"` + s + `"`
		}
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case escaped(r) && r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		case escaped(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// escaped reports that YAML does not take the character as it is, or takes it for the end of a line.
func escaped(r rune) bool {
	return r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff || r&0xfffe == 0xfffe || r == utf8.RuneError
}

package operator

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing/fstest"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/estate/bridge"

	"github.com/narudata/naru/operator/v1alpha1"
)

// An Environment becomes the files that `naru plan -f DIR -e NAME` reads, so that both mean the same:
//
//	base/env.yaml                    variables of the bridge's secret
//	base/KIND/NAME.json              objects of sources, of which later ones replace earlier ones
//	overlays/ENV/env.yaml            spec: estate, target, kafka, dashboards, variables, drift, limits, retention, sampling, masking, …
//	overlays/ENV/KIND/NAME.json      spec.objects, and patches of sources
//
// Credentials are in none of them.

// A missingError is that something an object refers to is not there, or lacks a key. When it comes, the object is looked at again.
type missingError struct{ what string }

func (e *missingError) Error() string { return e.what }

// references reads what objects of a namespace refer to. Contents of Secrets stay in it, and in what connects by them.
type references struct {
	reader    client.Reader
	namespace string
}

func (r references) secret(ctx context.Context, name string) (*corev1.Secret, error) {
	return r.secretOf(ctx, r.namespace, name)
}

func (r references) secretOf(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	var s corev1.Secret
	err := r.reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &s)
	if apierrors.IsNotFound(err) {
		return nil, &missingError{fmt.Sprintf("there is no Secret %s/%s", namespace, name)}
	}
	if err != nil {
		return nil, fmt.Errorf("read the Secret %s/%s: %w", namespace, name, err)
	}
	return &s, nil
}

func (r references) configMap(ctx context.Context, name string) (*corev1.ConfigMap, error) {
	var c corev1.ConfigMap
	err := r.reader.Get(ctx, types.NamespacedName{Namespace: r.namespace, Name: name}, &c)
	if apierrors.IsNotFound(err) {
		return nil, &missingError{fmt.Sprintf("there is no ConfigMap %s/%s", r.namespace, name)}
	}
	if err != nil {
		return nil, fmt.Errorf("read the ConfigMap %s/%s: %w", r.namespace, name, err)
	}
	return &c, nil
}

// keys gives values of a Secret, all of which must be there.
func (r references) keys(ctx context.Context, name string, keys ...string) ([][]byte, error) {
	s, err := r.secret(ctx, name)
	if err != nil {
		return nil, err
	}
	values := make([][]byte, len(keys))
	for i, k := range keys {
		if values[i] = s.Data[k]; len(values[i]) == 0 {
			return nil, &missingError{fmt.Sprintf("the Secret %s/%s has no key %s", r.namespace, name, k)}
		}
	}
	return values, nil
}

// certificates are PEM texts.
type certificates struct{ ca, cert, key []byte }

func (r references) certificates(ctx context.Context, t *v1alpha1.TLSFields) (c certificates, err error) {
	if t == nil {
		return c, nil
	}
	switch {
	case t.CASecretRef != nil:
		values, err := r.keys(ctx, t.CASecretRef.Name, t.CASecretRef.Key)
		if err != nil {
			return c, err
		}
		c.ca = values[0]
	case t.CAConfigMapRef != nil:
		m, err := r.configMap(ctx, t.CAConfigMapRef.Name)
		if err != nil {
			return c, err
		}
		text, ok := m.Data[t.CAConfigMapRef.Key]
		if !ok {
			return c, &missingError{fmt.Sprintf("the ConfigMap %s/%s has no key %s", r.namespace, m.Name, t.CAConfigMapRef.Key)}
		}
		c.ca = []byte(text)
	}
	if t.CertSecretRef != nil {
		values, err := r.keys(ctx, t.CertSecretRef.Name, corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
		if err != nil {
			return c, err
		}
		c.cert, c.key = values[0], values[1]
	}
	return c, nil
}

// account is a name and a password.
type account struct{ name, password string }

func (r references) account(ctx context.Context, ref *v1alpha1.SecretRef) (account, error) {
	if ref == nil {
		return account{}, nil
	}
	values, err := r.keys(ctx, ref.Name, "username", "password")
	if err != nil {
		return account{}, err
	}
	return account{string(values[0]), strings.TrimRight(string(values[1]), "\r\n")}, nil
}

// A declaration is what an Environment and what it refers to declare.
type declaration struct {
	environment string
	files       fstest.MapFS
	variables   map[string]any // of the bridge and of spec

	search struct {
		certificates
		account
		secret string // that the bridge names
	}
	kafka struct {
		certificates
		account
		token string
	}
	dashboards struct {
		certificates
		account
	}
}

// declare reads all that an Environment refers to.
func (r *Environments) declare(ctx context.Context, e *v1alpha1.Environment) (*declaration, error) {
	refs := references{r.Reader, e.Namespace}
	d := &declaration{environment: e.Spec.Environment, files: fstest.MapFS{}, variables: map[string]any{}}
	if err := r.bridged(ctx, refs, e, d); err != nil {
		return nil, err
	}
	own, err := jsonObject(e.Spec.Variables, "spec.variables")
	if err != nil {
		return nil, err
	}
	maps.Copy(d.variables, own)
	if err := d.sources(ctx, refs, e.Spec.Sources); err != nil {
		return nil, err
	}
	if err := d.objects(e.Spec.Objects); err != nil {
		return nil, err
	}
	env, err := d.settings(ctx, refs, e, own)
	if err != nil {
		return nil, err
	}
	return d, d.put(path.Join("overlays", d.environment, "env.yaml"), env)
}

// bridged reads the variables of the bridge's secret. What an Environment needs and is not there is an error that names it.
func (r *Environments) bridged(ctx context.Context, refs references, e *v1alpha1.Environment, d *declaration) error {
	if e.Spec.Bridge == nil {
		return nil
	}
	ref := e.Spec.Bridge.SecretRef
	namespace := cmp.Or(ref.Namespace, e.Namespace)
	if namespace != e.Namespace && !slices.Contains(r.BridgeNamespaces, namespace) {
		return &missingError{fmt.Sprintf("the operator may not read the bridge's Secret in the namespace %s for others: --bridge-namespace allows it", namespace)}
	}
	secret, err := refs.secretOf(ctx, namespace, ref.Name)
	if err != nil {
		return err
	}
	s := &bridge.Secret{Name: secret.Name, Namespace: secret.Namespace, Labels: secret.Labels, Annotations: secret.Annotations}
	mapping := bridge.Default()
	variables, err := mapping.Variables(s, bridge.ForEnvironment)
	if err != nil {
		return fmt.Errorf("the bridge's Secret %s/%s: %w", namespace, ref.Name, err)
	}
	if of := variables["environment"]; of != e.Spec.Environment {
		return fmt.Errorf("the bridge's Secret %s/%s is of the environment %v, not of %s", namespace, ref.Name, of, e.Spec.Environment)
	}
	values, err := mapping.Read(s)
	if err != nil {
		return fmt.Errorf("the bridge's Secret %s/%s: %w", namespace, ref.Name, err)
	}
	values = slices.DeleteFunc(values, func(v bridge.Value) bool { return v.Name == "environment" }) // it is so by itself
	text, err := values.EnvironmentYAML()
	if err != nil {
		return fmt.Errorf("the bridge's Secret %s/%s: %w", namespace, ref.Name, err)
	}
	d.variables = variables
	d.files["base/env.yaml"] = &fstest.MapFile{Data: text}
	return nil
}

func jsonObject(j *apiextensionsv1.JSON, what string) (map[string]any, error) {
	if j == nil || len(j.Raw) == 0 {
		return nil, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(j.Raw))
	decoder.UseNumber()
	var o map[string]any
	if err := decoder.Decode(&o); err != nil {
		return nil, fmt.Errorf("%s: want keys with values: %w", what, err)
	}
	return o, nil
}

// put writes a value as JSON, which is YAML, too.
func (d *declaration) put(name string, v any) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return err
	}
	d.files[name] = &fstest.MapFile{Data: b.Bytes()}
	return nil
}

// sources puts the objects of ConfigMaps into files.
func (d *declaration) sources(ctx context.Context, refs references, sources []v1alpha1.ObjectSource) error {
	of := map[string]string{} // which ConfigMap a patch is of
	for _, source := range sources {
		m, err := refs.configMap(ctx, source.ConfigMapRef.Name)
		if err != nil {
			return err
		}
		if err := fileName(source.Kind); err != nil {
			return fmt.Errorf("spec.sources: kind %w", err)
		}
		for _, key := range slices.Sorted(maps.Keys(m.Data)) {
			name, patch := objectOf(key)
			file := path.Join("base", source.Kind, key)
			if patch {
				file = path.Join("overlays", d.environment, source.Kind, key)
				id := source.Kind + "/" + name
				if other := of[id]; other != "" {
					return fmt.Errorf("the ConfigMaps %s and %s both patch %s: put the two patches into one", other, m.Name, id)
				}
				of[id] = m.Name
			} else {
				d.forget(path.Join("base", source.Kind), name)
			}
			d.files[file] = &fstest.MapFile{Data: []byte(m.Data[key])}
		}
	}
	return nil
}

// objectOf takes the endings off a file's name.
func objectOf(file string) (name string, patch bool) {
	name = strings.TrimSuffix(file, path.Ext(file))
	return strings.CutSuffix(name, ".patch")
}

// forget removes the object's files from a folder.
func (d *declaration) forget(folder, name string) {
	for file := range d.files {
		if path.Dir(file) != folder {
			continue
		}
		if n, patch := objectOf(path.Base(file)); n == name && !patch {
			delete(d.files, file)
		}
	}
}

// objects puts spec.objects into files.
func (d *declaration) objects(declared *apiextensionsv1.JSON) error {
	all, err := jsonObject(declared, "spec.objects")
	if err != nil {
		return err
	}
	for kind, v := range all {
		byName, ok := v.(map[string]any)
		if !ok {
			return fmt.Errorf("spec.objects.%s: want names with bodies", kind)
		}
		if err := fileName(kind); err != nil {
			return fmt.Errorf("spec.objects: kind %w", err)
		}
		for name, body := range byName {
			if err := fileName(name); err != nil {
				return fmt.Errorf("spec.objects.%s: name %w", kind, err)
			}
			if err := d.put(path.Join("overlays", d.environment, kind, name+".json"), body); err != nil {
				return err
			}
		}
	}
	return nil
}

// fileName refuses what is no name of a file.
func fileName(name string) error {
	if name == "" || strings.ContainsAny(name, "/\\\x00") || strings.HasPrefix(name, ".") {
		return fmt.Errorf("%q: it has no /, and does not begin with a dot", name)
	}
	return nil
}

// settings is the env.yaml of the overlay; credentials go to d.
func (d *declaration) settings(ctx context.Context, refs references, e *v1alpha1.Environment, own map[string]any) (map[string]any, error) {
	s := map[string]any{}
	if e.Spec.Estate != "" {
		s["estate"] = e.Spec.Estate
	}
	if len(own) > 0 {
		s["variables"] = own
	}
	if e.Spec.Drift != nil && len(e.Spec.Drift.Repair) > 0 {
		s["drift"] = map[string]any{"repair": e.Spec.Drift.Repair}
	}
	limits, err := jsonObject(e.Spec.Limits, "spec.limits")
	if err != nil {
		return nil, err
	}
	if limits != nil {
		s["limits"] = limits
	}
	sections(&e.Spec, s)
	if s["target"], err = d.searchTarget(ctx, refs, e); err != nil {
		return nil, fmt.Errorf("spec.target: %w", err)
	}
	if e.Spec.Kafka != nil {
		if s["kafka"], err = d.kafkaTarget(ctx, refs, e.Spec.Kafka); err != nil {
			return nil, fmt.Errorf("spec.kafka: %w", err)
		}
	}
	if e.Spec.Dashboards != nil {
		if s["dashboards"], err = d.dashboardsTarget(ctx, refs, e.Spec.Dashboards); err != nil {
			return nil, fmt.Errorf("spec.dashboards: %w", err)
		}
	}
	return s, nil
}

// sections are those of env.yaml that are in the spec under the same names.
func sections(spec *v1alpha1.EnvironmentSpec, s map[string]any) {
	if len(spec.Retention) > 0 {
		s["retention"] = spec.Retention
	}
	if spec.Sampling != nil {
		s["sampling"] = spec.Sampling
	}
	if spec.Masking != nil {
		s["masking"] = spec.Masking
	}
	if spec.ISM != nil {
		s["ism"] = map[string]any{"changeManaged": spec.ISM.ChangeManaged}
	}
	if m := spec.Measure; m != nil {
		measure := map[string]any{"off": m.Disabled}
		if m.Before != nil {
			measure["before"] = m.Before.Duration.String()
		}
		if m.After != nil {
			measure["after"] = m.After.Duration.String()
		}
		s["measure"] = measure
	}
}

func (d *declaration) dashboardsTarget(ctx context.Context, refs references, t *v1alpha1.DashboardsTarget) (map[string]any, error) {
	target := map[string]any{"url": t.URL}
	if t.Tenant != "" {
		target["tenant"] = t.Tenant
	}
	var err error
	if t.TLS != nil {
		target["tls"] = map[string]any{"insecure": t.TLS.Insecure}
		if d.dashboards.certificates, err = refs.certificates(ctx, t.TLS); err != nil {
			return nil, err
		}
	} else {
		d.dashboards.certificates = d.search.certificates
	}
	if t.Auth == nil {
		return target, nil // as the cluster is asked
	}
	auth := map[string]any{}
	if t.Auth.SigV4 != "" {
		auth["sigv4"], auth["region"] = t.Auth.SigV4, t.Auth.Region
	}
	if d.dashboards.account, err = refs.account(ctx, t.Auth.SecretRef); err != nil {
		return nil, err
	}
	if d.dashboards.name != "" {
		auth["username"] = d.dashboards.name
	}
	target["auth"] = auth
	return target, nil
}

func (d *declaration) searchTarget(ctx context.Context, refs references, e *v1alpha1.Environment) (map[string]any, error) {
	t := e.Spec.Target
	if t == nil {
		// The bridge says where the cluster is, and whose secret opens it.
		if e.Spec.Bridge == nil {
			return nil, errors.New("it is missing, and there is no bridge: say the urls of the OpenSearch cluster")
		}
		t = &v1alpha1.SearchTarget{URLs: []string{"${opensearch_url}"}}
		if name, ok := d.variables["opensearch_secret"].(string); ok && name != "" {
			t.Auth = &v1alpha1.Auth{SecretRef: &v1alpha1.SecretRef{Name: name}}
			d.search.secret = name
		}
	}
	target := map[string]any{"urls": d.list(t.URLs)}
	if t.TLS != nil && t.TLS.Insecure {
		target["tls"] = map[string]any{"insecure": true}
	}
	var err error
	if d.search.certificates, err = refs.certificates(ctx, t.TLS); err != nil {
		return nil, err
	}
	if a := t.Auth; a != nil {
		if a.SigV4 != "" {
			target["auth"] = map[string]any{"sigv4": a.SigV4, "region": a.Region}
		}
		if d.search.account, err = refs.account(ctx, a.SecretRef); err != nil {
			return nil, err
		}
	}
	return target, nil
}

func (d *declaration) kafkaTarget(ctx context.Context, refs references, t *v1alpha1.KafkaTarget) (map[string]any, error) {
	target := map[string]any{"brokers": d.list(t.Brokers)}
	if t.TLS != nil {
		target["tls"] = map[string]any{"insecure": t.TLS.Insecure}
	}
	var err error
	if d.kafka.certificates, err = refs.certificates(ctx, t.TLS); err != nil {
		return nil, err
	}
	if t.SASL == nil {
		return target, nil
	}
	sasl := map[string]any{"mechanism": t.SASL.Mechanism}
	target["sasl"] = sasl
	switch ref := t.SASL.SecretRef; {
	case ref == nil:
	case t.SASL.Mechanism == kafka.OAuthBearer:
		values, err := refs.keys(ctx, ref.Name, "token")
		if err != nil {
			return nil, err
		}
		d.kafka.token = strings.TrimSpace(string(values[0]))
	default:
		if d.kafka.account, err = refs.account(ctx, ref); err != nil {
			return nil, err
		}
	}
	return target, nil
}

var lone = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_.-]*)\}$`)

// list is a list of texts, of which those that are only a variable may stand for several.
func (d *declaration) list(texts []string) any {
	out := make([]any, 0, len(texts))
	for _, text := range texts {
		if m := lone.FindStringSubmatch(text); m != nil {
			if several, ok := d.variables[m[1]].([]any); ok {
				out = append(out, several...)
				continue
			}
		}
		out = append(out, text)
	}
	return out
}

// desired is what the declaration says, with what it takes to connect. Variables of the operator's process are nobody's to use.
func (d *declaration) desired(ctx context.Context) (*estate.Desired, error) {
	desired, err := estate.ReadFS(ctx, d.files, d.environment, func(string) string { return "" })
	if err != nil {
		return nil, err
	}
	t := &desired.Target.TLS
	t.CAPEM, t.CertPEM, t.KeyPEM = d.search.ca, d.search.cert, d.search.key
	if b := desired.Dashboards; b != nil {
		if b.TLS == nil {
			b.TLS = &opensearch.TLS{}
		}
		b.TLS.CAPEM, b.TLS.CertPEM, b.TLS.KeyPEM = d.dashboards.ca, d.dashboards.cert, d.dashboards.key
		if b.Auth != nil {
			b.Auth.Password = opensearch.Password(d.dashboards.password)
		}
	}
	if k := desired.Kafka; k != nil {
		if k.TLS != nil {
			k.TLS.CAPEM = d.kafka.ca
			if d.kafka.cert != nil {
				k.TLS.CertPEM = slices.Concat(d.kafka.cert, []byte("\n"), d.kafka.key)
			}
		}
		if k.SASL != nil {
			k.SASL.Token = kafka.Secret(d.kafka.token)
		}
	}
	return desired, nil
}

// getenv gives credentials by the names under which a command finds them in its process.
func (d *declaration) getenv(name string) string {
	switch name {
	case "NARU_USERNAME":
		return d.search.name
	case "NARU_PASSWORD":
		return d.search.password
	case "NARU_KAFKA_USERNAME":
		return d.kafka.name
	case "NARU_KAFKA_PASSWORD":
		return d.kafka.password
	}
	return ""
}

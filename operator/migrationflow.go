package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/narudata/naru/connect"
	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/operator/v1alpha1"
)

// carriageFile is the key of the ConfigMap, and the file in pods.
const carriageFile = "flow.yaml"

// A carriage is what a Migration carries, as a flow file.
type carriage struct {
	text []byte // JSON, which is YAML, too
	flow *connect.Flow
}

// carriageOf makes a flow file of a Migration. What `naru run` would not take is an error. pinned is the snapshot that "latest" means,
// once that is known: pods that begin later must read the same one.
func carriageOf(m *v1alpha1.Migration, pinned string) (*carriage, error) {
	from, err := jsonObject(&m.Spec.From, "spec.from")
	if err != nil {
		return nil, err
	}
	to, err := jsonObject(&m.Spec.To, "spec.to")
	if err != nil {
		return nil, err
	}
	for kind, v := range from {
		source, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("spec.from.%s: want keys with values", kind)
		}
		if len(m.Spec.Indices) > 0 {
			if _, twice := source["indices"]; twice {
				return nil, fmt.Errorf("spec.indices and spec.from.%s.indices are given; give one of them", kind)
			}
			source["indices"] = m.Spec.Indices
		}
		if kind == "snapshot" && pinned != "" {
			source["snapshot"] = pinned
		}
	}
	file := map[string]any{"source": from, "sink": to}
	if len(m.Spec.Stages) > 0 {
		stages := make([]json.RawMessage, len(m.Spec.Stages))
		for i, s := range m.Spec.Stages {
			stages[i] = s.Raw
		}
		file["stages"] = stages
	}
	c := &carriage{flow: new(connect.Flow)}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(file); err != nil {
		return nil, err
	}
	c.text = b.Bytes()
	if err := connect.Decode("spec", c.text, c.flow); err != nil {
		return nil, err
	}
	return c, c.check(m)
}

// check refuses what pods cannot do.
func (c *carriage) check(m *v1alpha1.Migration) error {
	dir := c.flow.Sink.Dir()
	switch {
	case c.flow.Sink.Stream():
		return errors.New("spec.to: a pod's standard output keeps nothing; give a directory or a cluster")
	case dir != "" && parallelism(m) > 1:
		return errors.New("spec.parallelism: an archive is written by one pod; several share the work into a cluster only")
	case dir != "" && !path.IsAbs(dir):
		return fmt.Errorf("spec.to: %s: give an absolute path, on a volume that spec.template mounts", dir)
	case dir == "" && m.Spec.Cutover == nil, c.flow.Sink.OpenSearch != nil:
	case m.Spec.Cutover != nil && len(m.Spec.Cutover.Aliases) > 0:
		return errors.New("spec.cutover: an archive has no aliases")
	}
	if c.flow.Source.DeadLetters != nil {
		return errors.New("spec.from: dead letters are carried again by naru dlq")
	}
	return nil
}

func parallelism(m *v1alpha1.Migration) int32 {
	if m.Spec.Parallelism == nil {
		return 1
	}
	return max(1, *m.Spec.Parallelism)
}

// ledger connects to the cluster that a Migration carries into, as its pods do: with the variables and files that its template gives
// them. nil: it carries into none, or only pods can be who asks there.
func (c *carriage) ledger(ctx context.Context, refs references, f *v1alpha1.PodFields) (*opensearch.Client, error) {
	sink := c.flow.Sink.OpenSearch
	if sink == nil || sink.Auth.SigV4 != "" { // signed by the pods' role; the operator's is another's
		return nil, nil
	}
	p := podView{refs: refs, fields: f}
	t := opensearch.Target{URLs: sink.URLs, TLS: opensearch.TLS{Insecure: sink.TLS.Insecure}, Auth: opensearch.Auth{Username: sink.Auth.Username}}
	var err error
	if t.TLS.CAPEM, err = p.file(ctx, sink.TLS.CAFile); err != nil {
		return nil, err
	}
	if t.TLS.CertPEM, err = p.file(ctx, sink.TLS.CertFile); err != nil {
		return nil, err
	}
	if t.TLS.KeyPEM, err = p.file(ctx, sink.TLS.KeyFile); err != nil {
		return nil, err
	}
	variables := map[string]string{}
	for _, name := range []string{"NARU_USERNAME", "NARU_PASSWORD"} {
		if variables[name], err = p.variable(ctx, name); err != nil {
			return nil, err
		}
	}
	if sink.Auth.PasswordFile != "" {
		b, err := p.file(ctx, sink.Auth.PasswordFile)
		if err != nil {
			return nil, err
		}
		variables["NARU_PASSWORD"] = strings.TrimRight(string(b), "\r\n")
	}
	return t.Connect(ctx, func(name string) string { return variables[name] })
}

// A podView finds what a pod would see.
type podView struct {
	refs   references
	fields *v1alpha1.PodFields
}

// variable is the value of a variable; "": it has none.
func (p podView) variable(ctx context.Context, name string) (string, error) {
	for i := range p.fields.Env {
		e := &p.fields.Env[i]
		if e.Name != name {
			continue
		}
		switch from := e.ValueFrom; {
		case from == nil:
			return e.Value, nil
		case from.SecretKeyRef != nil:
			values, err := p.refs.keys(ctx, from.SecretKeyRef.Name, from.SecretKeyRef.Key)
			if err != nil {
				return "", err
			}
			return string(values[0]), nil
		case from.ConfigMapKeyRef != nil:
			c, err := p.refs.configMap(ctx, from.ConfigMapKeyRef.Name)
			if err != nil {
				return "", err
			}
			return c.Data[from.ConfigMapKeyRef.Key], nil
		}
		return "", nil
	}
	for i := len(p.fields.EnvFrom) - 1; i >= 0; i-- { // the last one counts
		from := &p.fields.EnvFrom[i]
		key, ok := strings.CutPrefix(name, from.Prefix)
		if !ok {
			continue
		}
		switch {
		case from.SecretRef != nil:
			s, err := p.refs.secret(ctx, from.SecretRef.Name)
			if err != nil {
				return "", err
			}
			if v, ok := s.Data[key]; ok {
				return string(v), nil
			}
		case from.ConfigMapRef != nil:
			c, err := p.refs.configMap(ctx, from.ConfigMapRef.Name)
			if err != nil {
				return "", err
			}
			if v, ok := c.Data[key]; ok {
				return v, nil
			}
		}
	}
	return "", nil
}

// file is what a file of a mounted Secret or ConfigMap holds; nil for no name.
func (p podView) file(ctx context.Context, name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	var mount *corev1.VolumeMount
	for i := range p.fields.VolumeMounts {
		v := &p.fields.VolumeMounts[i]
		if at := path.Clean(v.MountPath); (name == at || strings.HasPrefix(name, at+"/")) && (mount == nil || len(at) > len(path.Clean(mount.MountPath))) {
			mount = v
		}
	}
	if mount == nil {
		return nil, &missingError{fmt.Sprintf("no volume is mounted where %s is", name)}
	}
	rel := path.Join(mount.SubPath, strings.TrimPrefix(strings.TrimPrefix(name, path.Clean(mount.MountPath)), "/"))
	for i := range p.fields.Volumes {
		v := &p.fields.Volumes[i]
		switch {
		case v.Name != mount.Name:
		case v.Secret != nil:
			values, err := p.refs.keys(ctx, v.Secret.SecretName, keyAt(rel, v.Secret.Items))
			if err != nil {
				return nil, err
			}
			return values[0], nil
		case v.ConfigMap != nil:
			c, err := p.refs.configMap(ctx, v.ConfigMap.Name)
			if err != nil {
				return nil, err
			}
			key := keyAt(rel, v.ConfigMap.Items)
			if text, ok := c.Data[key]; ok {
				return []byte(text), nil
			}
			return nil, &missingError{fmt.Sprintf("the ConfigMap %s has no key %s", c.Name, key)}
		}
	}
	return nil, &missingError{fmt.Sprintf("%s is in no Secret and no ConfigMap", name)}
}

// keyAt is the key that stands at a path of a volume.
func keyAt(rel string, items []corev1.KeyToPath) string {
	for _, item := range items {
		if path.Clean(item.Path) == rel {
			return item.Key
		}
	}
	return rel
}

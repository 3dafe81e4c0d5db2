package cluster

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// folders are where a pod's volumes are, by name.
type folders map[string]string

// replace puts folders in the place of the paths that the container would have them mounted at.
func (f folders) replace(c *corev1.Container, text string) string {
	mounts := slices.Clone(c.VolumeMounts)
	slices.SortFunc(mounts, func(a, b corev1.VolumeMount) int { return cmp.Compare(len(b.MountPath), len(a.MountPath)) })
	var pairs []string
	for _, m := range mounts {
		if at, ok := f[m.Name]; ok { // also one that is mounted where it is, at the longest path
			pairs = append(pairs, strings.TrimSuffix(m.MountPath, "/"), filepath.Join(at, m.SubPath))
		}
	}
	if len(pairs) == 0 {
		return text
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// volumes makes the folders of a pod's volumes, and brings those that show objects up to date.
func (p *pod) volumes(ctx context.Context, latest *corev1.Pod) (folders, error) {
	if err := os.MkdirAll(filepath.Join(p.dir, "tmp"), 0o755); err != nil {
		return nil, err
	}
	out := folders{}
	for i := range latest.Spec.Volumes {
		v := &latest.Spec.Volumes[i]
		at := filepath.Join(p.dir, "volumes", v.Name)
		switch {
		case v.HostPath != nil:
			out[v.Name] = v.HostPath.Path
			continue
		case v.PersistentVolumeClaim != nil:
			at = filepath.Join(p.kubelet.kube.Dir, "claims", p.namespace, v.PersistentVolumeClaim.ClaimName)
		}
		if err := os.MkdirAll(at, 0o755); err != nil {
			return nil, err
		}
		out[v.Name] = at
		files, err := p.projected(ctx, latest, v)
		if err != nil {
			return nil, fmt.Errorf("volume %s: %w", v.Name, err)
		}
		for name, text := range files {
			if err := put(filepath.Join(at, name), text); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// put writes a file in one step, if it has something else.
func put(name string, text []byte) error {
	if old, err := os.ReadFile(name); err == nil && bytes.Equal(old, text) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(name+".new", text, 0o644); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// projected are the files of a volume that shows objects; none of others.
func (p *pod) projected(ctx context.Context, latest *corev1.Pod, v *corev1.Volume) (map[string][]byte, error) {
	switch {
	case v.ConfigMap != nil:
		return p.configMap(ctx, v.ConfigMap.Name, v.ConfigMap.Items, v.ConfigMap.Optional)
	case v.Secret != nil:
		return p.secret(ctx, v.Secret.SecretName, v.Secret.Items, v.Secret.Optional)
	case v.DownwardAPI != nil:
		return p.downward(latest, v.DownwardAPI.Items)
	case v.Projected != nil:
		out := map[string][]byte{}
		for _, s := range v.Projected.Sources {
			var files map[string][]byte
			var err error
			switch {
			case s.ConfigMap != nil:
				files, err = p.configMap(ctx, s.ConfigMap.Name, s.ConfigMap.Items, s.ConfigMap.Optional)
			case s.Secret != nil:
				files, err = p.secret(ctx, s.Secret.Name, s.Secret.Items, s.Secret.Optional)
			case s.DownwardAPI != nil:
				files, err = p.downward(latest, s.DownwardAPI.Items)
			}
			if err != nil {
				return nil, err
			}
			maps.Copy(out, files)
		}
		return out, nil
	}
	return nil, nil
}

func optional(o *bool, err error) bool { return o != nil && *o && apierrors.IsNotFound(err) }

func (p *pod) configMap(ctx context.Context, name string, items []corev1.KeyToPath, maybe *bool) (map[string][]byte, error) {
	m, err := p.kubelet.client.CoreV1().ConfigMaps(p.namespace).Get(ctx, name, metav1.GetOptions{})
	if optional(maybe, err) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	all := maps.Clone(m.BinaryData)
	if all == nil {
		all = map[string][]byte{}
	}
	for k, v := range m.Data {
		all[k] = []byte(v)
	}
	return pick("ConfigMap "+name, all, items, maybe)
}

func (p *pod) secret(ctx context.Context, name string, items []corev1.KeyToPath, maybe *bool) (map[string][]byte, error) {
	s, err := p.kubelet.client.CoreV1().Secrets(p.namespace).Get(ctx, name, metav1.GetOptions{})
	if optional(maybe, err) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return pick("Secret "+name, s.Data, items, maybe)
}

func pick(of string, all map[string][]byte, items []corev1.KeyToPath, maybe *bool) (map[string][]byte, error) {
	if items == nil {
		return all, nil
	}
	out := map[string][]byte{}
	for _, i := range items {
		v, ok := all[i.Key]
		if !ok && (maybe == nil || !*maybe) {
			return nil, fmt.Errorf("%s has no key %s", of, i.Key)
		}
		out[i.Path] = v
	}
	return out, nil
}

func (p *pod) downward(latest *corev1.Pod, items []corev1.DownwardAPIVolumeFile) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, i := range items {
		if i.FieldRef == nil {
			continue
		}
		v, err := p.field(latest, i.FieldRef.FieldPath)
		if err != nil {
			return nil, err
		}
		out[i.Path] = []byte(v)
	}
	return out, nil
}

// field is a field of the pod, as the Downward API gives it.
func (p *pod) field(latest *corev1.Pod, path string) (string, error) {
	if name, rest, ok := strings.Cut(strings.TrimSuffix(path, "']"), "['"); ok {
		switch name {
		case "metadata.labels":
			return latest.Labels[rest], nil
		case "metadata.annotations":
			return latest.Annotations[rest], nil
		}
	}
	lines := func(m map[string]string) string {
		var b strings.Builder
		for _, k := range slices.Sorted(maps.Keys(m)) {
			fmt.Fprintf(&b, "%s=%s\n", k, strconv.Quote(m[k]))
		}
		return b.String()
	}
	switch path {
	case "metadata.name":
		return p.name, nil
	case "metadata.namespace":
		return p.namespace, nil
	case "metadata.uid":
		return string(p.uid), nil
	case "metadata.labels":
		return lines(latest.Labels), nil
	case "metadata.annotations":
		return lines(latest.Annotations), nil
	case "spec.nodeName":
		return nodeName, nil
	case "spec.serviceAccountName":
		return latest.Spec.ServiceAccountName, nil
	case "status.podIP", "status.podIPs":
		return p.ip, nil
	case "status.hostIP", "status.hostIPs":
		return "127.0.0.1", nil
	}
	return "", fmt.Errorf("the Downward API has no field %s", path)
}

// environment are the variables of a container. Of this process's own it has only PATH.
func (p *pod) environment(ctx context.Context, latest *corev1.Pod, c *corev1.Container, files folders) (map[string]string, error) {
	out := map[string]string{"PATH": os.Getenv("PATH"), "HOME": p.dir, "HOSTNAME": p.name, "TMPDIR": filepath.Join(p.dir, "tmp")}
	for _, from := range c.EnvFrom {
		var all map[string][]byte
		var err error
		switch {
		case from.ConfigMapRef != nil:
			all, err = p.configMap(ctx, from.ConfigMapRef.Name, nil, from.ConfigMapRef.Optional)
		case from.SecretRef != nil:
			all, err = p.secret(ctx, from.SecretRef.Name, nil, from.SecretRef.Optional)
		}
		if err != nil {
			return nil, err
		}
		for k, v := range all {
			out[from.Prefix+k] = string(v)
		}
	}
	for i := range c.Env {
		e := &c.Env[i]
		if e.ValueFrom == nil {
			out[e.Name] = files.replace(c, expander(out)(e.Value))
			continue
		}
		v, ok, err := p.valueFrom(ctx, latest, c, e.ValueFrom)
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", e.Name, err)
		}
		if ok {
			out[e.Name] = v
		}
	}
	return out, nil
}

func (p *pod) valueFrom(ctx context.Context, latest *corev1.Pod, c *corev1.Container, from *corev1.EnvVarSource) (value string, ok bool, err error) {
	var all map[string][]byte
	var key string
	var maybe *bool
	switch {
	case from.FieldRef != nil:
		value, err = p.field(latest, from.FieldRef.FieldPath)
		return value, true, err
	case from.ResourceFieldRef != nil:
		return resourceField(c, from.ResourceFieldRef), true, nil
	case from.ConfigMapKeyRef != nil:
		key, maybe = from.ConfigMapKeyRef.Key, from.ConfigMapKeyRef.Optional
		all, err = p.configMap(ctx, from.ConfigMapKeyRef.Name, nil, maybe)
	case from.SecretKeyRef != nil:
		key, maybe = from.SecretKeyRef.Key, from.SecretKeyRef.Optional
		all, err = p.secret(ctx, from.SecretKeyRef.Name, nil, maybe)
	}
	if err != nil {
		return "", false, err
	}
	v, ok := all[key]
	if !ok && (maybe == nil || !*maybe) {
		return "", false, fmt.Errorf("there is no key %s", key)
	}
	return string(v), ok, nil
}

// resourceField is a limit or request of the container, or of the node where it has none.
func resourceField(c *corev1.Container, f *corev1.ResourceFieldSelector) string {
	from, name, _ := strings.Cut(f.Resource, ".")
	list := c.Resources.Limits
	if from == "requests" {
		list = c.Resources.Requests
	}
	q, ok := list[corev1.ResourceName(name)]
	if !ok {
		return map[string]string{"cpu": "2", "memory": "4294967296"}[name]
	}
	divisor := max(f.Divisor.Value(), 1)
	return strconv.FormatInt((q.Value()+divisor-1)/divisor, 10)
}

// expander gives what replaces $(NAME) by the variable, and $$ by $.
func expander(vars map[string]string) func(string) string {
	return func(s string) string {
		var b strings.Builder
		for i := 0; i < len(s); i++ {
			if s[i] == '$' && i+1 < len(s) {
				if s[i+1] == '$' {
					b.WriteByte('$')
					i++
					continue
				}
				if end := strings.IndexByte(s[i:], ')'); s[i+1] == '(' && end > 0 {
					if v, ok := vars[s[i+2:i+end]]; ok {
						b.WriteString(v)
						i += end
						continue
					}
				}
			}
			b.WriteByte(s[i])
		}
		return b.String()
	}
}

func list(vars map[string]string) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(vars)) {
		out = append(out, k+"="+vars[k])
	}
	return out
}

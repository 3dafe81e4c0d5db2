package bridge

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

func encoded(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// ParseSecret reads a secret as YAML or JSON: a manifest, or what `kubectl get secret NAME -o yaml` prints. A list of one
// secret is that one. Errors begin with file:line.
func ParseSecret(file string, data []byte) (*Secret, error) {
	if len(data) > LargestFile {
		return nil, fmt.Errorf("%s has %d bytes; a secret has at most 1 MiB", file, len(data))
	}
	root, err := document(file, data)
	if err != nil {
		return nil, err
	}
	p := manifest{file}
	switch kind, err := p.text(root, "kind"); {
	case err != nil:
		return nil, err
	case kind == "List" || kind == "SecretList":
		items := member(root, "items")
		if items == nil || items.Kind != yaml.SequenceNode || len(items.Content) != 1 {
			return nil, fmt.Errorf("%s:%d: a list of other than one secret; name it: kubectl get secret NAME -o yaml", file, root.Line)
		}
		if root = items.Content[0]; root.Kind != yaml.MappingNode {
			return nil, fmt.Errorf("%s:%d: want a secret", file, root.Line)
		}
	case kind != "Secret":
		return nil, fmt.Errorf("%s:%d: want a Secret, found kind %q", file, root.Line, kind)
	}
	s := &Secret{Data: map[string][]byte{}}
	meta := member(root, "metadata")
	if meta == nil || meta.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: the secret has no metadata", file, root.Line)
	}
	var errs [7]error
	s.Name, errs[0] = p.text(meta, "name")
	s.Namespace, errs[1] = p.text(meta, "namespace")
	s.Type, errs[2] = p.text(root, "type")
	s.Labels, errs[3] = p.texts(meta, "labels")
	s.Annotations, errs[4] = p.texts(meta, "annotations")
	coded, err := p.texts(root, "data")
	errs[5] = err
	for k, v := range coded {
		b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(v), ""))
		if err != nil {
			return nil, fmt.Errorf("%s: data.%s is not base64", file, k) // what it is stays unsaid
		}
		s.Data[k] = b
	}
	plain, err := p.texts(root, "stringData")
	errs[6] = err
	for k, v := range plain {
		s.Data[k] = []byte(v)
	}
	return s, errors.Join(errs[:]...)
}

// IsManifest reports that data are an object of Kubernetes, and not outputs of Terraform.
func IsManifest(data []byte) bool {
	root, err := document("", data)
	if err != nil {
		return !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) && len(bytes.TrimSpace(data)) > 0
	}
	kind, version := member(root, "kind"), member(root, "apiVersion")
	return version != nil && kind != nil && kind.Kind == yaml.ScalarNode
}

type manifest struct{ file string }

// member gives the value under key; nil if there is none.
func member(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func (p manifest) text(n *yaml.Node, key string) (string, error) {
	v := member(n, key)
	if v == nil || v.Tag == "!!null" {
		return "", nil
	}
	return p.scalar(v, key)
}

func (p manifest) scalar(v *yaml.Node, key string) (string, error) {
	if v.Kind != yaml.ScalarNode || v.Tag != "!!str" {
		return "", fmt.Errorf("%s:%d: %s: want a text, which Kubernetes asks for; put it in quotes", p.file, v.Line, key)
	}
	return v.Value, nil
}

func (p manifest) texts(n *yaml.Node, key string) (map[string]string, error) {
	out := map[string]string{}
	v := member(n, key)
	if v == nil || v.Tag == "!!null" {
		return out, nil
	}
	if v.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: %s: want keys with texts", p.file, v.Line, key)
	}
	var errs []error
	for i := 0; i+1 < len(v.Content); i += 2 {
		name := v.Content[i].Value
		if _, twice := out[name]; twice {
			errs = append(errs, fmt.Errorf("%s:%d: %s: %s stands twice", p.file, v.Content[i].Line, key, name))
		}
		text, err := p.scalar(v.Content[i+1], key+"."+name)
		errs = append(errs, err)
		out[name] = text
	}
	return out, errors.Join(errs...)
}

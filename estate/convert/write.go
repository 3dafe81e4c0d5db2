package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/estate"
)

// File is a file to be written.
type File struct {
	Path string // with slashes, relative to the directory: base/roles/reader.yaml
	Data []byte
}

// Files are the objects as files of folder, base or overlays/ENV.
func (r *Result) Files(folder string) ([]File, error) {
	out := make([]File, 0, len(r.Objects))
	for i := range r.Objects {
		o := &r.Objects[i]
		write, end := o.yaml, ".yaml"
		if o.Kind == estate.SavedObjects {
			write, end = o.export, ".ndjson"
		}
		data, err := write()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o.Key, err)
		}
		out = append(out, File{path.Join(folder, string(o.Kind), o.Name+end), data})
	}
	return out, nil
}

// yaml is the object's file: notes as comments, then the body. ${name} in its texts is written so that it stays a text.
func (o *Object) yaml() ([]byte, error) {
	var b bytes.Buffer
	for _, n := range o.Notes {
		fmt.Fprintf(&b, "# %s\n", strings.Join(strings.Fields(n), " "))
	}
	body, err := encoded(o.Body)
	if err != nil {
		return nil, err
	}
	return append(b.Bytes(), body...), nil
}

// export is a bundle of saved objects as Dashboards exports them: one a line. It has no comments.
func (o *Object) export() ([]byte, error) {
	objects, _ := o.Body["objects"].(map[string]any)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		saved, ok := objects[key].(map[string]any)
		typ, id, fits := strings.Cut(key, "/")
		if !ok || !fits {
			return nil, fmt.Errorf("BUG: %s is no saved object", key)
		}
		line := maps.Clone(saved)
		line["type"], line["id"] = typ, id
		if err := e.Encode(line); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

func encoded(body map[string]any) ([]byte, error) {
	n, err := yamlNode(body)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	err = errors.Join(e.Encode(n), e.Close())
	return b.Bytes(), err
}

// first are the keys that are written before the others, since people read them first.
var first = []string{"name", "description", "index_patterns", "priority", "default_state", "state_name"}

func yamlNode(v any) (*yaml.Node, error) {
	switch v := v.(type) {
	case map[string]any:
		n := &yaml.Node{Kind: yaml.MappingNode}
		if len(v) == 0 {
			n.Style = yaml.FlowStyle
		}
		keys := slices.Sorted(maps.Keys(v))
		slices.SortStableFunc(keys, func(a, b string) int { return rank(a) - rank(b) })
		for _, k := range keys {
			value, err := yamlNode(v[k])
			if err != nil {
				return nil, err
			}
			key, err := yamlText(k)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, key, value)
		}
		return n, nil
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		short := len(v) <= 8
		for _, x := range v {
			item, err := yamlNode(x)
			if err != nil {
				return nil, err
			}
			s, scalar := x.(string)
			short = short && scalar && len(s) <= 40 && !strings.Contains(s, "\n")
			n.Content = append(n.Content, item)
		}
		if short {
			n.Style = yaml.FlowStyle
		}
		return n, nil
	case string:
		return yamlText(v)
	case json.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: numberTag(v), Value: v.String()}, nil
	case bool, nil:
		n := &yaml.Node{}
		return n, n.Encode(v)
	}
	return nil, fmt.Errorf("BUG: a %T is no JSON", v)
}

func rank(key string) int {
	if i := slices.Index(first, key); i >= 0 {
		return i - len(first)
	}
	return 0
}

func numberTag(n json.Number) string {
	if strings.ContainsAny(n.String(), ".eE") {
		return "!!float"
	}
	return "!!int"
}

var reference = regexp.MustCompile(`\$\{[A-Za-z_][A-Za-z0-9_.-]*\}`)

// yamlText is a text, with what would be a variable written as the plain text that it is.
func yamlText(s string) (*yaml.Node, error) {
	s = reference.ReplaceAllStringFunc(s, func(ref string) string { return "$" + ref })
	n := &yaml.Node{}
	if err := n.Encode(s); err != nil {
		return nil, err
	}
	if n.Tag != "!!str" {
		return nil, fmt.Errorf("%q is no text that YAML can hold", cut(s))
	}
	return n, nil
}

// ErrOther is that a file is there already, with another content.
var ErrOther = errors.New("there is such a file already, with another content")

// Write writes files below dir. What is there already and differs is left as it is and is an ErrOther, unless replace: then
// nothing at all is written. It gives how many are new or changed.
func Write(dir string, files []File, replace bool) (int, error) {
	var todo []File
	var errs []error
	lower := map[string]string{}
	for _, f := range files {
		if other, twice := lower[strings.ToLower(f.Path)]; twice {
			errs = append(errs, fmt.Errorf("%s and %s are one file where case does not count (macOS, Windows): rename one of the objects", other, f.Path))
		}
		lower[strings.ToLower(f.Path)] = f.Path
		there, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(f.Path)))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			todo = append(todo, f)
		case err != nil:
			errs = append(errs, err)
		case bytes.Equal(there, f.Data):
		case replace:
			todo = append(todo, f)
		default:
			errs = append(errs, fmt.Errorf("%s: %w", f.Path, ErrOther))
		}
		if err := beside(dir, f.Path); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return 0, err
	}
	for i, f := range todo {
		if err := writeFile(filepath.Join(dir, filepath.FromSlash(f.Path)), f.Data); err != nil {
			return i, err
		}
	}
	return len(todo), nil
}

// beside refuses to put an object beside a file that declares it in another form.
func beside(dir, name string) error {
	stem := strings.TrimSuffix(name, ".yaml")
	for _, end := range []string{".json", ".yml", ".patch.json", ".patch.yaml", ".patch.yml"} {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(stem+end))); err == nil && stem != name && !strings.HasSuffix(stem, "/env") {
			return fmt.Errorf("%s: %s declares the same object; take it away first", name, stem+end)
		}
	}
	return nil
}

// writeFile writes a file whole, or not at all.
func writeFile(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil { //nolint:gosec // it is to be committed: all may read it
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".naru-convert-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), os.Remove(f.Name()))
	}
	return nil
}

// Env is what a first env.yaml has.
type Env struct {
	Name    string // the environment's
	Estate  string // "": the environment's name
	URLs    []string
	TLS     opensearch.TLS
	Brokers []string
}

// File is the env.yaml.
func (e Env) File() (File, error) {
	target := map[string]any{"urls": listOf(e.URLs)}
	tls := map[string]any{}
	put(tls, "caFile", e.TLS.CAFile)
	put(tls, "certFile", e.TLS.CertFile)
	put(tls, "keyFile", e.TLS.KeyFile)
	put(tls, "insecure", e.TLS.Insecure)
	put(target, "tls", tls)
	body := map[string]any{"target": target}
	put(body, "estate", e.Estate)
	if len(e.Brokers) > 0 {
		body["kafka"] = map[string]any{"brokers": listOf(e.Brokers)}
	}
	data, err := encoded(body)
	return File{path.Join("overlays", e.Name, "env.yaml"), data}, err
}

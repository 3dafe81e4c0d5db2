package estate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/narudata/naru/connect"
)

// variables are what ${name} stands for.
type variables map[string]any

var reference = regexp.MustCompile(`\$?\$\{([A-Za-z_][A-Za-z0-9_.-]*)\}`)

// in puts values in the place of references. A text that is one reference becomes the value, with its type; "$${x}" is
// the text "${x}".
func (v variables) in(s string) (any, error) {
	return v.fill(s, func(string) bool { return false })
}

// fill is in, but for references to names that are foreign, which stay as they are.
func (v variables) fill(s string, foreign func(name string) bool) (any, error) {
	if !strings.Contains(s, "${") {
		return s, nil
	}
	if m := reference.FindStringSubmatch(s); m != nil && m[0] == s && !strings.HasPrefix(s, "$$") {
		if foreign(m[1]) {
			return s, nil
		}
		return v.value(m[1])
	}
	var failed error
	out := reference.ReplaceAllStringFunc(s, func(ref string) string {
		name := ref[strings.IndexByte(ref, '{')+1 : len(ref)-1]
		if foreign(name) {
			return ref
		}
		if strings.HasPrefix(ref, "$$") {
			return ref[1:]
		}
		value, err := v.value(name)
		if err != nil {
			failed = errors.Join(failed, err)
			return ref
		}
		switch value := value.(type) {
		case string:
			return value
		case nil, []any, map[string]any:
			failed = errors.Join(failed, fmt.Errorf("variable %s is no text, and cannot be a part of one", ref))
			return ref
		}
		return fmt.Sprint(value)
	})
	return out, failed
}

// known puts values in the place of references below x, in which only those to variables that are declared count: what else looks
// like one is somebody else's. "$${x}" is the text "${x}" where x is declared.
func (v variables) known(x any) (any, error) {
	switch x := x.(type) {
	case string:
		return v.inKnown(x)
	case []any:
		for i := range x {
			filled, err := v.known(x[i])
			if err != nil {
				return nil, err
			}
			x[i] = filled
		}
	case map[string]any:
		for name := range x {
			filled, err := v.known(x[name])
			if err != nil {
				return nil, err
			}
			x[name] = filled
		}
	}
	return x, nil
}

func (v variables) inKnown(s string) (any, error) {
	return v.fill(s, func(name string) bool { _, ours := v[name]; return !ours })
}

func (v variables) value(name string) (any, error) {
	if value, ok := v[name]; ok {
		return clone(value), nil
	}
	known := make([]string, 0, len(v))
	for n := range v {
		known = append(known, n)
	}
	slices.Sort(known)
	if near := connect.Nearest(name, known); near != "" {
		return nil, fmt.Errorf("no variable ${%s}; did you mean ${%s}? (as plain text: $${%s})", name, near, name)
	}
	return nil, fmt.Errorf("no variable ${%s}: give it a value under variables in env.yaml, or write $${%s} for the plain text", name, name)
}

// parse reads a JSON or YAML file with one value. Duplicate keys, anchors and a second document are errors, which begin
// with file:line:column.
func parse(file string, data []byte, vars variables) (any, error) {
	if strings.HasSuffix(file, ".json") {
		p := jsonParser{file: file, data: data, vars: vars, d: json.NewDecoder(bytes.NewReader(data))}
		p.d.UseNumber()
		return p.document()
	}
	root, err := yamlDocument(file, data)
	if err != nil {
		return nil, err
	}
	return yamlParser{file, vars}.value(root, 0)
}

// deepest is how deep values may be nested.
const deepest = 200

type jsonParser struct {
	file string
	data []byte
	vars variables
	d    *json.Decoder

	plain bool // texts are what they are: references are not replaced
	above int  // lines of the file before data
}

func (p *jsonParser) document() (any, error) {
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := p.d.Token(); !errors.Is(err, io.EOF) {
		return nil, p.fail(errors.New("more after the end of the value; a file holds one"))
	}
	return v, nil
}

// fail adds the place to err.
func (p *jsonParser) fail(err error) error {
	at := p.d.InputOffset()
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		at = max(s.Offset-1, 0)
	}
	before := p.data[:min(int(at), len(p.data))]
	line := p.above + bytes.Count(before, []byte{'\n'}) + 1
	return fmt.Errorf("%s:%d:%d: %w", p.file, line, len(before)-bytes.LastIndexByte(before, '\n'), err)
}
func (p *jsonParser) token() (json.Token, error) {
	t, err := p.d.Token()
	if errors.Is(err, io.EOF) {
		return nil, p.fail(errors.New("the file ends in the middle of a value, or is empty"))
	}
	if err != nil {
		return nil, p.fail(err)
	}
	return t, nil
}

func (p *jsonParser) value(depth int) (any, error) {
	t, err := p.token()
	if err != nil {
		return nil, err
	}
	if depth > deepest {
		return nil, p.fail(fmt.Errorf("nested deeper than %d levels", deepest))
	}
	switch t := t.(type) {
	case string:
		return p.substituted(t)
	case json.Delim:
		if t == '[' {
			return p.list(depth)
		}
		return p.object(depth)
	}
	return t, nil
}

func (p *jsonParser) substituted(s string) (any, error) {
	if p.plain {
		return s, nil
	}
	v, err := p.vars.in(s)
	if err != nil {
		return nil, p.fail(err)
	}
	return v, nil
}

func (p *jsonParser) list(depth int) (any, error) {
	list := []any{}
	for p.d.More() {
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := p.token()
	return list, err
}

func (p *jsonParser) object(depth int) (any, error) {
	o := map[string]any{}
	for p.d.More() {
		t, err := p.token()
		if err != nil {
			return nil, err
		}
		key, err := p.substituted(t.(string)) //nolint:errcheck,forcetypeassert // the decoder lets only texts be keys
		if err != nil {
			return nil, err
		}
		name := fmt.Sprint(key)
		if _, twice := o[name]; twice {
			return nil, p.fail(fmt.Errorf("the key %q stands twice", name))
		}
		if o[name], err = p.value(depth + 1); err != nil {
			return nil, err
		}
	}
	_, err := p.token()
	return o, err
}

// yamlDocument gives the one value of a file.
func yamlDocument(file string, data []byte) (*yaml.Node, error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	if err := d.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: the file is empty", file)
	} else if err != nil {
		return nil, yamlError(file, err)
	}
	if err := d.Decode(&more); err == nil {
		return nil, fmt.Errorf("%s:%d:%d: a second document; a file holds one", file, more.Line, more.Column)
	} else if !errors.Is(err, io.EOF) {
		return nil, yamlError(file, err)
	}
	return doc.Content[0], nil
}

// yamlError turns "yaml: line 3: …" into "file:3: …".
func yamlError(file string, err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		return fmt.Errorf("%s:%s", file, rest)
	}
	return fmt.Errorf("%s: %s", file, text)
}

type yamlParser struct {
	file string
	vars variables
}

func (p yamlParser) fail(n *yaml.Node, err error) error {
	return fmt.Errorf("%s:%d:%d: %w", p.file, n.Line, n.Column, err)
}

func (p yamlParser) value(n *yaml.Node, depth int) (any, error) {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return nil, p.fail(n, errors.New("anchors and aliases are not allowed; write the value out"))
	case depth > deepest:
		return nil, p.fail(n, fmt.Errorf("nested deeper than %d levels", deepest))
	case n.Kind == yaml.MappingNode:
		o := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, err := p.vars.in(n.Content[i].Value)
			if n.Content[i].Kind != yaml.ScalarNode || n.Content[i].Tag == "!!merge" {
				err = errors.New("a key must be a text")
			}
			if err != nil {
				return nil, p.fail(n.Content[i], err)
			}
			name := fmt.Sprint(key)
			if _, twice := o[name]; twice {
				return nil, p.fail(n.Content[i], fmt.Errorf("the key %q stands twice", name))
			}
			if o[name], err = p.value(n.Content[i+1], depth+1); err != nil {
				return nil, err
			}
		}
		return o, nil
	case n.Kind == yaml.SequenceNode:
		list := []any{}
		for _, c := range n.Content {
			v, err := p.value(c, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	}
	return p.scalar(n)
}

func (p yamlParser) scalar(n *yaml.Node) (any, error) {
	switch n.Tag {
	case "!!null":
		return nil, nil
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err != nil {
			return nil, p.fail(n, err)
		}
		return b, nil
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			return json.Number(n.Value), nil
		}
		var v any
		if err := n.Decode(&v); err != nil {
			return nil, p.fail(n, err)
		}
		b, err := json.Marshal(v)
		if err != nil {
			return nil, p.fail(n, fmt.Errorf("%s is no number that JSON has", n.Value))
		}
		return json.Number(b), nil
	}
	v, err := p.vars.in(n.Value)
	if err != nil {
		return nil, p.fail(n, err)
	}
	return v, nil
}

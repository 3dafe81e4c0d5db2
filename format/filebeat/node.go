// Package filebeat reads the YAML files that Beats are configured with, with the place of everything in them: names with dots
// stand for names within names, ${NAME:default} for variables. What the settings mean is not known here; a Section is asked for
// those that a reader knows, and then says which others there are.
package filebeat

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Place is a line and a column of a file, both from 1 on.
type Place struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// String gives file:line:column.
func (p Place) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// A Kind says what a node is.
type Kind uint8

// The kinds.
const (
	Null Kind = iota
	Scalar
	List
	Map
)

// A Node is a value of a configuration.
type Node struct {
	Kind     Kind
	Place    Place
	Text     string // of a scalar, with variables put in
	Quoted   bool   // it is a text, whatever it looks like
	Expanded bool   // it is, or has, the value of a variable
	Items    []*Node
	Members  []Member
}

// A Member is a setting.
type Member struct {
	Name  string // without dots
	Place Place  // of the name
	Value *Node
}

// Get gives the member of a map with a name, in which dots lead into maps; nil if there is none.
func (n *Node) Get(name string) *Node {
	for n != nil {
		first, rest, more := strings.Cut(name, ".")
		i := slices.IndexFunc(n.Members, func(m Member) bool { return m.Name == first })
		if i < 0 {
			return nil
		}
		if n = n.Members[i].Value; !more {
			return n
		}
		name = rest
	}
	return nil
}

// Value gives a node as a value of JSON: nil, bool, int64, float64, string, []any, or map[string]any.
func (n *Node) Value() any {
	switch n.Kind {
	case Scalar:
		if n.Quoted {
			return n.Text
		}
		var v any
		if err := yaml.Unmarshal([]byte(n.Text), &v); err != nil {
			return n.Text
		}
		switch v := v.(type) {
		case int:
			return int64(v)
		case uint64:
			return strconv.FormatUint(v, 10)
		case bool, float64:
			return v
		}
		return n.Text
	case List:
		out := make([]any, len(n.Items))
		for i, item := range n.Items {
			out[i] = item.Value()
		}
		return out
	case Map:
		out := make(map[string]any, len(n.Members))
		for _, m := range n.Members {
			out[m.Name] = m.Value.Value()
		}
		return out
	case Null:
	}
	return nil
}

const (
	maxNodes = 100_000 // also of what aliases stand for
	maxPutIn = 10_000  // variables, also within others
	maxDepth = 64
)

// reader makes nodes of YAML.
type reader struct {
	file   string
	lookup func(string) (string, bool)
	root   *Node
	nodes  int
	putIn  int // variables
	found  *[]Problem
}

// parse reads a text. Problems that do not keep it from being read are added to found.
func parse(file string, text []byte, lookup func(string) (string, bool), found *[]Problem) *Node {
	r := &reader{file: file, lookup: lookup, found: found}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		p := Place{file, 1, 1}
		message := strings.TrimPrefix(err.Error(), "yaml: ")
		if m := lineOf.FindStringSubmatch(message); m != nil {
			p.Line, _ = strconv.Atoi(m[1])
			message = m[2]
		}
		*found = append(*found, Problem{Place: p, Level: Wrong, Text: "no YAML: " + message})
		return nil
	}
	if len(doc.Content) == 0 {
		return &Node{Kind: Map, Place: Place{file, 1, 1}}
	}
	n, err := r.node(doc.Content[0], 0)
	if err != nil {
		*found = append(*found, Problem{Place: r.place(doc.Content[0]), Level: Wrong, Text: err.Error()})
		return nil
	}
	r.root = n
	r.expand(n)
	return n
}

var lineOf = regexp.MustCompile(`(?s)^line (\d+): (.*)$`)

func (r *reader) place(y *yaml.Node) Place { return Place{r.file, y.Line, y.Column} }

func (r *reader) node(y *yaml.Node, depth int) (*Node, error) {
	if r.nodes++; r.nodes > maxNodes || depth > maxDepth {
		return nil, errors.New("it has too many values, or they are nested too deep")
	}
	n := &Node{Place: r.place(y)}
	switch y.Kind {
	case yaml.AliasNode:
		return r.node(y.Alias, depth+1)
	case yaml.ScalarNode:
		if y.Tag == "!!null" {
			return n, nil
		}
		n.Kind, n.Text = Scalar, y.Value
		n.Quoted = y.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	case yaml.SequenceNode:
		n.Kind = List
		for _, c := range y.Content {
			item, err := r.node(c, depth+1)
			if err != nil {
				return nil, err
			}
			n.Items = append(n.Items, item)
		}
	case yaml.MappingNode:
		n.Kind = Map
		for i := 0; i+1 < len(y.Content); i += 2 {
			k, v := y.Content[i], y.Content[i+1]
			value, err := r.node(v, depth+1)
			if err != nil {
				return nil, err
			}
			if k.Tag == "!!merge" {
				for _, m := range value.Members {
					if n.Get(m.Name) == nil {
						n.Members = append(n.Members, m)
					}
				}
				continue
			}
			if err := r.put(n, k.Value, r.place(k), value); err != nil {
				return nil, err
			}
		}
	case yaml.DocumentNode: // of which this is the root
	}
	return n, nil
}

// put sets a member, whose name may lead into maps.
func (r *reader) put(n *Node, name string, at Place, value *Node) error {
	first, rest, more := strings.Cut(name, ".")
	if more && (first == "" || rest == "" || strings.Count(rest, ".") > maxDepth) {
		first, more = name, false
	}
	i := slices.IndexFunc(n.Members, func(m Member) bool { return m.Name == first })
	if !more {
		if i < 0 {
			n.Members = append(n.Members, Member{first, at, value})
			return nil
		}
		if old := n.Members[i].Value; old.Kind == Map && value.Kind == Map {
			for _, m := range value.Members {
				if err := r.put(old, m.Name, m.Place, m.Value); err != nil {
					return err
				}
			}
			return nil
		}
		*r.found = append(*r.found, Problem{Place: at, Level: Wrong, Setting: name, Text: fmt.Sprintf("%s is given twice, the first time in line %d", name, n.Members[i].Place.Line)})
		n.Members[i].Value = value
		return nil
	}
	if i < 0 || n.Members[i].Value.Kind == Null {
		under := &Node{Kind: Map, Place: at}
		if i < 0 {
			n.Members = append(n.Members, Member{first, at, under})
		} else {
			n.Members[i].Value = under
		}
		return r.put(under, rest, at, value)
	}
	if n.Members[i].Value.Kind != Map {
		return fmt.Errorf("line %d: %s is given, and %s, too", at.Line, first, name)
	}
	return r.put(n.Members[i].Value, rest, at, value)
}

// expand puts the values of variables into a node and those in it.
func (r *reader) expand(n *Node) {
	switch n.Kind {
	case Scalar:
		if !strings.Contains(n.Text, "${") {
			return
		}
		text, err := r.variables(n.Text, 0)
		if err != nil {
			*r.found = append(*r.found, Problem{Place: n.Place, Level: Wrong, Text: err.Error(),
				Hint: "set it in the environment, or give a default: ${NAME:default}. Secrets of a Filebeat keystore go into the environment"})
			return
		}
		n.Text, n.Expanded = text, true
	case List:
		for _, i := range n.Items {
			r.expand(i)
		}
	case Map:
		for _, m := range n.Members {
			if m.Name == "pattern" {
				continue // regular expressions may have ${
			}
			r.expand(m.Value)
		}
	case Null:
	}
}

// variables puts in what ${NAME}, ${NAME:default} and ${NAME:?message} stand for: another setting of the file, or a variable of
// the environment.
func (r *reader) variables(text string, depth int) (string, error) {
	if depth > 8 {
		return "", fmt.Errorf("variables in %q refer to each other without an end", text)
	}
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(text, "${")
		b.WriteString(before)
		if !ok {
			return b.String(), nil
		}
		if r.putIn++; r.putIn > maxPutIn {
			return "", fmt.Errorf("there are more than %d variables", maxPutIn)
		}
		end, level := -1, 1
		for i := range len(after) {
			if strings.HasPrefix(after[i:], "${") {
				level++
			} else if after[i] == '}' {
				if level--; level == 0 {
					end = i
					break
				}
			}
		}
		if end < 0 {
			return "", fmt.Errorf("expected } after ${ in %q", text)
		}
		name, fallback, has := strings.Cut(after[:end], ":")
		text = after[end+1:]
		value, found := "", false
		if set := r.root.Get(name); set != nil && set.Kind == Scalar && !strings.Contains(set.Text, "${"+name) {
			v, err := r.variables(set.Text, depth+1)
			if err != nil {
				return "", err
			}
			value, found = v, true
		}
		if !found && r.lookup != nil {
			value, found = r.lookup(name)
		}
		if !found {
			message, required := strings.CutPrefix(fallback, "?")
			switch {
			case has && required:
				return "", fmt.Errorf("the variable %s is not set: %s", name, message)
			case !has:
				return "", fmt.Errorf("the variable %s is not set", name)
			}
			var err error
			if value, err = r.variables(fallback, depth+1); err != nil {
				return "", err
			}
		}
		b.WriteString(value)
		if b.Len() > 64<<10 {
			return "", errors.New("variables are longer than 64 KiB")
		}
	}
}

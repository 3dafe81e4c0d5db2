// Package yaml prints YAML as JSON the way Elasticsearch and OpenSearch do, which keep a document as the client
// sent it and print it as JSON when asked. They read it with SnakeYAML, which is of YAML 1.1, through Jackson.
package yaml

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/narudata/naru/internal/jackson"
)

// ErrCorrupt marks every error about the content.
var ErrCorrupt = errors.New("corrupt yaml")

// maxDepth bounds nesting.
const maxDepth = 1000

// maxDigits bounds integers in another base than ten, whose digits take more than linear time.
const maxDigits = 16 << 10

// The plain scalars of YAML 1.1 that are no text, as SnakeYAML, the servers' reader, tells them apart.
var (
	yamlInt = regexp.MustCompile(`^[-+]?(?:0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)$`)
	yamlNum = regexp.MustCompile(`^[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?)$`)
	yamlInf = regexp.MustCompile(`^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$`)
)

var yamlWords = map[string]string{
	"": "null", "~": "null", "null": "null", "Null": "null", "NULL": "null",
	"yes": "true", "Yes": "true", "YES": "true", "no": "false", "No": "false", "NO": "false",
	"true": "true", "True": "true", "TRUE": "true", "false": "false", "False": "false", "FALSE": "false",
	"on": "true", "On": "true", "ON": "true", "off": "false", "Off": "false", "OFF": "false",
}

// AppendJSON appends the first document as JSON, in the order of the content: numbers as the integers and
// doubles that they are read as, binary in base64. An alias is the text of its name, not what it stands for,
// and a merge key is a key like any other.
func AppendJSON(dst, data []byte) (out []byte, err error) {
	defer func() {
		if p := recover(); p != nil { // the library has panicked on content before
			err = fmt.Errorf("%v", p)
		}
		if err != nil {
			out, err = dst, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	}()
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, errors.New("no content")
	}
	return appendNode(dst, doc.Content[0], 0)
}

func appendNode(dst []byte, n *yaml.Node, depth int) ([]byte, error) {
	if depth >= maxDepth && len(n.Content) > 0 {
		return nil, fmt.Errorf("line %d: nested deeper than %d", n.Line, maxDepth)
	}
	var err error
	switch n.Kind {
	case yaml.MappingNode:
		dst = append(dst, '{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode {
				return nil, fmt.Errorf("line %d: a key that is no scalar", key.Line)
			}
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = jackson.AppendString(dst, key.Value)
			dst = append(dst, ':')
			if dst, err = appendNode(dst, n.Content[i+1], depth+1); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	case yaml.SequenceNode:
		dst = append(dst, '[')
		for i, item := range n.Content {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = appendNode(dst, item, depth+1); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case yaml.AliasNode:
		return jackson.AppendString(dst, n.Value), nil
	default:
		if dst, err = appendScalar(dst, n); err != nil {
			return nil, fmt.Errorf("line %d: %w", n.Line, err)
		}
		return dst, nil
	}
}

func appendScalar(dst []byte, n *yaml.Node) ([]byte, error) {
	v := n.Value
	if n.Style&yaml.TaggedStyle != 0 {
		return appendTagged(dst, n.ShortTag(), v)
	}
	if n.Style != 0 {
		return jackson.AppendString(dst, v), nil
	}
	if word, ok := yamlWords[v]; ok {
		return append(dst, word...), nil
	}
	if c := v[0]; c != '-' && c != '+' && c != '.' && (c < '0' || c > '9') {
		return jackson.AppendString(dst, v), nil
	}
	switch {
	case yamlInt.MatchString(v):
		return appendInt(dst, v)
	case yamlNum.MatchString(v):
		return appendNumber(dst, v)
	case yamlInf.MatchString(v):
		return nil, fmt.Errorf("the number %s, which the servers do not print", v)
	}
	return jackson.AppendString(dst, v), nil
}

func appendTagged(dst []byte, tag, v string) ([]byte, error) {
	switch tag {
	case "!!binary":
		raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(v), ""))
		if err != nil {
			return nil, err
		}
		return jackson.AppendBase64(dst, raw), nil
	case "!!bool":
		switch strings.ToLower(v) {
		case "y", "yes", "on", "true":
			return append(dst, "true"...), nil
		case "n", "no", "off", "false":
			return append(dst, "false"...), nil
		}
	case "!!int":
		if yamlInt.MatchString(v) {
			return appendInt(dst, v)
		}
	case "!!float":
		if v != "" {
			return appendNumber(dst, v)
		}
	case "!!null":
		if v != "" {
			return append(dst, "null"...), nil
		}
	}
	return jackson.AppendString(dst, v), nil
}

// appendInt appends what yamlInt matches.
func appendInt(dst []byte, v string) ([]byte, error) {
	v = strings.TrimPrefix(strings.ReplaceAll(v, "_", ""), "+")
	digits := strings.TrimPrefix(v, "-")
	base := 8
	switch {
	case digits == "0":
		return append(dst, '0'), nil
	case digits[0] != '0':
		return append(dst, v...), nil
	case digits[1] == 'b':
		base, digits = 2, digits[2:]
	case digits[1] == 'x':
		base, digits = 16, digits[2:]
	}
	if len(digits) > maxDigits {
		return nil, fmt.Errorf("an integer of %d digits", len(digits))
	}
	i, ok := new(big.Int).SetString(digits, base)
	if !ok {
		return nil, fmt.Errorf("the integer %.40q", v)
	}
	if v[0] == '-' {
		i.Neg(i)
	}
	return i.Append(dst, 10), nil
}

// appendNumber appends v, read as a double.
func appendNumber(dst []byte, v string) ([]byte, error) {
	f, err := strconv.ParseFloat(strings.ReplaceAll(v, "_", ""), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return nil, err
	}
	return jackson.AppendFloat64(dst, f), nil
}

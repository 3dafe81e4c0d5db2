package filter

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/narudata/naru/logstash/event"
)

// mostRepeated is how many values the references of a YAML dictionary may repeat.
const mostRepeated = 1_000_000

var errYAMLSize = errors.New("it is nested too deeply, or its references repeat too much")

// parseYAML reads the map at the root. A root that is no map has no keys.
func (f *dictionaryFile) parseYAML(d *dictionary, text []byte) error {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return err
	}
	if document.Kind != yaml.DocumentNode || len(document.Content) == 0 || document.Content[0].Kind != yaml.MappingNode {
		return nil
	}
	r := yamlReader{file: f, left: mostRepeated}
	var bad error
	err := r.members(document.Content[0], 0, func(key event.Value, v event.Value, line int) {
		switch {
		case key.Kind() == event.String:
			d.set(key.Str(), v)
		case f.regex || !f.exact:
			bad = fmt.Errorf("line %d: the key %s is no text: put it in quotes", line, rubyText(key))
		default:
			f.warnKey(line, rubyText(key))
		}
	})
	return errors.Join(err, bad)
}

type yamlReader struct {
	file   *dictionaryFile
	left   int // how many more values may be repeated
	inside int // of how many references
}

// enter says whether there may be one more value.
func (r *yamlReader) enter(depth int) error {
	if r.inside > 0 {
		r.left--
	}
	if r.left < 0 || depth > event.MaxDepth {
		return errYAMLSize
	}
	return nil
}

// members gives the members of a map, those of << before its own.
func (r *yamlReader) members(n *yaml.Node, depth int, give func(key, v event.Value, line int)) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Tag == "!!merge" && !r.file.streaming {
			if err := r.merge(value, depth+1, give); err != nil {
				return err
			}
			continue
		}
		k, err := r.value(key, depth+1)
		if err != nil {
			return err
		}
		v, err := r.value(value, depth+1)
		if err != nil {
			return err
		}
		give(k, v, key.Line)
	}
	return nil
}

func (r *yamlReader) merge(n *yaml.Node, depth int, give func(key, v event.Value, line int)) error {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
		r.inside++
		defer func() { r.inside-- }()
	}
	if err := r.enter(depth); err != nil {
		return err
	}
	switch n.Kind {
	case yaml.MappingNode:
		return r.members(n, depth, give)
	case yaml.SequenceNode:
		for _, e := range n.Content {
			if err := r.merge(e, depth+1, give); err != nil {
				return err
			}
		}
	case yaml.DocumentNode, yaml.ScalarNode, yaml.AliasNode: // nothing to merge
	}
	return nil
}

func (r *yamlReader) value(n *yaml.Node, depth int) (event.Value, error) {
	if err := r.enter(depth); err != nil {
		return event.Value{}, err
	}
	switch n.Kind {
	case yaml.AliasNode:
		r.inside++
		defer func() { r.inside-- }()
		return r.value(n.Alias, depth+1)
	case yaml.SequenceNode:
		list := make([]event.Value, 0, len(n.Content))
		for _, e := range n.Content {
			v, err := r.value(e, depth+1)
			if err != nil {
				return v, err
			}
			list = append(list, v)
		}
		return event.ListValue(list), nil
	case yaml.MappingNode:
		m := event.MapValue()
		err := r.members(n, depth, func(key, v event.Value, _ int) { m.Map().Set(rubyText(key), v) })
		return m, err
	case yaml.DocumentNode, yaml.ScalarNode:
	}
	switch {
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0, n.Tag == "!!str" && n.Style&yaml.TaggedStyle != 0:
		return event.StringValue(n.Value), nil
	case r.file.streaming:
		return streamedScalar(n.Value), nil
	}
	return psychScalar(n.Value), nil
}

// streamedScalar is what yaml_load_strategy streaming makes of a text without quotes.
func streamedScalar(s string) event.Value {
	switch s {
	case "", "~", "null":
		return event.NullValue
	case "true":
		return event.BoolValue(true)
	case "false":
		return event.BoolValue(false)
	}
	whole, fraction, isFloat := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	digits := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	switch {
	case digits(whole) && !isFloat:
		return rubyInt(s)
	case digits(whole) && digits(fraction):
		return rubyFloat(s)
	}
	return event.StringValue(s)
}

// What Ruby's Psych takes for numbers. Source: lib/psych/scalar_scanner.rb.
var (
	psychInt        = regexp.MustCompile(`^(?:[-+]?0b[01_,]+|[-+]?0[0-7_,]+|[-+]?(?:0|[1-9](?:[0-9]|,[0-9]|_[0-9])*)|[-+]?0x[0-9a-fA-F_,]+)$`)
	psychFloat      = regexp.MustCompile(`^(?:[-+]?([0-9][0-9_,]*)?\.[0-9]*([eE][+-][0-9]+)?)$`)
	psychBase60     = regexp.MustCompile(`^[-+]?[0-9][0-9_]*(:[0-5]?[0-9]){1,2}$`)
	psychBase60Real = regexp.MustCompile(`^[-+]?[0-9][0-9_]*(:[0-5]?[0-9]){1,2}\.[0-9_]*$`)
)

// psychScalar is what Ruby's Psych makes of a text without quotes. Dates and symbols stay texts here.
func psychScalar(s string) event.Value {
	switch lower := strings.ToLower(s); {
	case s == "" || s == "~" || lower == "null":
		return event.NullValue
	case lower == "yes" || lower == "true" || lower == "on":
		return event.BoolValue(true)
	case lower == "no" || lower == "false" || lower == "off":
		return event.BoolValue(false)
	case lower == ".inf" || lower == "+.inf":
		return event.FloatValue(math.Inf(1))
	case lower == "-.inf":
		return event.FloatValue(math.Inf(-1))
	case lower == ".nan":
		return event.FloatValue(math.NaN())
	case psychBase60.MatchString(s):
		return base60(s)
	case psychBase60Real.MatchString(s):
		return base60(s)
	case psychInt.MatchString(s):
		if n, ok := new(big.Int).SetString(strings.NewReplacer(",", "", "_", "", "+", "").Replace(s), 0); ok {
			return event.BigValue(n)
		}
	case psychFloat.MatchString(s) && strings.ContainsAny(s, "0123456789"):
		if f, err := strconv.ParseFloat(strings.NewReplacer(",", "", "_", "").Replace(s), 64); err == nil {
			return event.FloatValue(f)
		}
	}
	return event.StringValue(s)
}

// base60 reads 1:30:00 as Psych does, which takes 1:30 for hours and minutes.
func base60(s string) event.Value {
	n, isFloat := 0.0, strings.Contains(s, ".")
	for i, part := range strings.Split(strings.ReplaceAll(s, "_", ""), ":") {
		f, err := strconv.ParseFloat(part, 64)
		if err != nil {
			return event.StringValue(s)
		}
		n += f * [...]float64{3600, 60, 1}[i]
	}
	if !isFloat && n > -1<<53 && n < 1<<53 {
		return event.IntValue(int64(n))
	}
	return event.FloatValue(n)
}

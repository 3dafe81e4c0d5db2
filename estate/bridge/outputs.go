package bridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// An Output is one output of a Terraform configuration.
type Output struct {
	Value     any
	Sensitive bool
}

// Outputs are a configuration's outputs, by name.
type Outputs map[string]Output

// LargestFile is the most bytes that a file of outputs, a secret or a mapping may have.
const LargestFile = 16 << 20

// ReadOutputs reads what `terraform output -json`, or `tofu output -json`, prints:
//
//	{"NAME": {"sensitive": false, "type": "string", "value": …}, …}
//
// The type is not looked at: it says no more than the value does. Outputs that are null are not printed.
// Source: developer.hashicorp.com/terraform/cli/commands/output.
func ReadOutputs(data []byte) (Outputs, error) {
	if len(data) > LargestFile {
		return nil, fmt.Errorf("more than %d bytes; outputs for a secret have at most %d", LargestFile, annotationsLimit)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, errors.New("nothing there; want what `terraform output -json` prints")
	}
	v, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("want what `terraform output -json` prints: %w", err)
	}
	top, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("this is one value; want all outputs: `terraform output -json`, without a name")
	}
	if top["format_version"] != nil || top["terraform_version"] != nil {
		return nil, errors.New("this is a state; want what `terraform output -json` prints")
	}
	out := make(Outputs, len(top))
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(top)) {
		o, ok := top[name].(map[string]any)
		value, has := o["value"]
		if !ok || !has {
			errs = append(errs, fmt.Errorf("output %s has no value; want what `terraform output -json` prints, {%q: {\"value\": …}}, without the name of an output", name, name))
			continue
		}
		sensitive, ok := o["sensitive"].(bool)
		if !ok && o["sensitive"] != nil {
			errs = append(errs, fmt.Errorf("output %s: sensitive: want true or false", name))
			continue
		}
		out[name] = Output{value, sensitive}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if len(out) == 0 {
		return nil, errors.New("there are no outputs; has `terraform apply` run in this directory?")
	}
	return out, nil
}

// deepest is how deep values may be nested.
const deepest = 100

// decode decodes one JSON value with numbers as they are written. Text that Go would change on the way is refused.
func decode(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("it is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, errors.New("it ends in the middle of a value")
		}
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after the value")
	}
	replaced := !bytes.ContainsRune(data, utf8.RuneError) && !bytes.Contains(bytes.ToLower(data), []byte(`\ufffd`))
	return v, sound(v, replaced, 0)
}

// sound reports nesting that is too deep, and text with half of a surrogate pair, which comes out as U+FFFD.
func sound(v any, replaced bool, depth int) error {
	if depth > deepest {
		return fmt.Errorf("it is nested deeper than %d levels", deepest)
	}
	switch v := v.(type) {
	case string:
		if replaced && strings.ContainsRune(v, utf8.RuneError) {
			return errors.New("a text has half of a surrogate pair")
		}
	case []any:
		for _, x := range v {
			if err := sound(x, replaced, depth+1); err != nil {
				return err
			}
		}
	case map[string]any:
		for k, x := range v {
			if err := errors.Join(sound(k, replaced, depth), sound(x, replaced, depth+1)); err != nil {
				return err
			}
		}
	}
	return nil
}

var (
	secretName = regexp.MustCompile(`(?i)(?:^|[_-])(?:password|passwd|passphrase|secret|token|private_?key|secret_?key|secret_?access_?key|api_?key|access_?key|kubeconfig|credentials)$`)
	privateKey = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY`)
	userinfo   = regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s:@]*:[^/\s@]+@`)
)

// secretIn says where in a value, which Terraform does not call sensitive, there seems to be a secret; "" if none does.
// The name of a Secret is none, so names that the mapping has are not looked at.
func (m *Mapping) secretIn(name, path string, v any) string {
	switch v := v.(type) {
	case string:
		_, known := m.Names[name]
		switch {
		case v == "":
		case !known && secretName.MatchString(name):
			return path + " is called as if it were a secret"
		case privateKey.MatchString(v):
			return path + " has a private key"
		case userinfo.MatchString(v):
			return path + " has a URL with a password"
		}
	case []any:
		for _, x := range v {
			if why := m.secretIn(name, path, x); why != "" {
				return why
			}
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if why := m.secretIn(k, path+"."+k, v[k]); why != "" {
				return why
			}
		}
	}
	return ""
}

package bridge

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/narudata/naru/internal/words"
)

// A Need is a value that something needs.
type Need struct {
	Name    string   `json:"name"`
	About   string   `json:"about,omitempty"`
	By      []string `json:"by"`   // purposes, and places FILE:LINE of an estate
	From    []string `json:"from"` // outputs that would give it
	Missing string   `json:"missing,omitempty"`
}

// Needs says what the purposes need, and which of it is missing in values, or is empty.
func (m *Mapping) Needs(values Values, purposes []Purpose, references []Reference) []Need {
	by := map[string][]string{}
	for name, n := range m.Names {
		for _, p := range n.Needed {
			if slices.Contains(purposes, p) {
				by[name] = append(by[name], string(p))
			}
		}
	}
	for _, r := range references {
		by[r.Name] = append(by[r.Name], r.Place)
	}
	needs := make([]Need, 0, len(by))
	for _, name := range slices.Sorted(maps.Keys(by)) {
		n := m.Names[name]
		need := Need{Name: name, About: n.About, By: by[name], From: append([]string{name}, n.From...)}
		switch v, ok := values.Get(name); {
		case !ok:
			need.Missing = "missing"
		case empty(v.Value) && !n.MayBeEmpty:
			need.Missing = "empty"
		}
		needs = append(needs, need)
	}
	return needs
}

// A MissingError names what is needed and not there.
type MissingError struct{ Needs []Need }

func (e *MissingError) Error() string {
	lines := make([]string, len(e.Needs))
	for i, n := range e.Needs {
		lines[i] = fmt.Sprintf("%s is %s, which is for %s: give Terraform an output %s", n.Name, n.Missing, words.First(n.By, 3), strings.Join(n.From[:min(3, len(n.From))], " or "))
	}
	return strings.Join(lines, "\n")
}

// Missing gives a *MissingError for what is missing of needs; nil if nothing is.
func Missing(needs []Need) error {
	if gone := slices.DeleteFunc(slices.Clone(needs), func(n Need) bool { return n.Missing == "" }); len(gone) > 0 {
		return &MissingError{gone}
	}
	return nil
}

// Variables reads what an Environment, or whatever the purposes are, needs of a secret: its values by name. A *MissingError
// names what is needed and not there.
func (m *Mapping) Variables(s *Secret, purposes ...Purpose) (map[string]any, error) {
	values, err := m.Read(s)
	if err != nil {
		return nil, err
	}
	if err := Missing(m.Needs(values, purposes, nil)); err != nil {
		return nil, err
	}
	return values.Map(), nil
}

// A Reference is a ${name} in the files of an estate.
type Reference struct {
	Name  string
	Place string // FILE:LINE, the first in a file
}

var reference = regexp.MustCompile(`\$?\$\{([A-Za-z_][A-Za-z0-9_.-]*)\}`)

// References lists the variables that the files for an environment use (base/ and overlays/NAME/ in dir), and that neither
// their env.yaml gives a value nor naru itself, as it does for ${environment}.
func References(dir, environment string) ([]Reference, error) {
	overlay := filepath.Join("overlays", environment)
	if info, err := os.Stat(filepath.Join(dir, overlay)); err != nil || !info.IsDir() || filepath.Base(overlay) != environment {
		return nil, fmt.Errorf("%s has no folder overlays/%s", dir, environment)
	}
	given := map[string]bool{"environment": true}
	var found []Reference
	var errs []error
	for _, folder := range []string{"base", overlay} {
		err := filepath.WalkDir(filepath.Join(dir, folder), func(path string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist) && folder == "base":
				return nil
			case err != nil:
				return err
			case d.IsDir() && strings.HasPrefix(d.Name(), "."):
				return fs.SkipDir
			case d.IsDir() || !slices.Contains([]string{".json", ".yaml", ".yml"}, filepath.Ext(path)):
				return nil
			}
			data, err := readFile(path)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			in, err := referencesIn(filepath.ToSlash(rel), data, given)
			found = append(found, in...)
			errs = append(errs, err)
			return nil
		})
		errs = append(errs, err)
	}
	return slices.DeleteFunc(found, func(r Reference) bool { return given[r.Name] }), errors.Join(errs...)
}

// readFile reads a file that is not too large.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > LargestFile {
		return nil, fmt.Errorf("%s has %d bytes; a declared object has at most %d", path, info.Size(), LargestFile)
	}
	return os.ReadFile(path)
}

// referencesIn lists the references of a file, each name once, and adds to given what an env.yaml gives a value. Comments of
// YAML are not looked at.
func referencesIn(file string, data []byte, given map[string]bool) ([]Reference, error) {
	seen := map[string]bool{}
	var found []Reference
	look := func(text string, line int) {
		for _, m := range reference.FindAllStringSubmatchIndex(text, -1) {
			name := text[m[2]:m[3]]
			if strings.HasPrefix(text[m[0]:], "$$") || seen[name] {
				continue
			}
			seen[name] = true
			found = append(found, Reference{name, fmt.Sprintf("%s:%d", file, line+strings.Count(text[:m[0]], "\n"))})
		}
	}
	if filepath.Ext(file) == ".json" {
		look(string(data), 1)
		return found, nil
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := d.Decode(&doc); err != nil {
		return nil, yamlError(file, err)
	}
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode {
			look(n.Value, n.Line)
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	walk(&doc)
	if filepath.Base(file) == "env.yaml" && len(doc.Content) == 1 {
		if vars := member(doc.Content[0], "variables"); vars != nil {
			for i := 0; i+1 < len(vars.Content); i += 2 {
				given[vars.Content[i].Value] = true
			}
		}
	}
	return found, nil
}

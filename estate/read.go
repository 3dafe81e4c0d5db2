package estate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/narudata/naru/connect"
	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/estate/cost"
	"github.com/narudata/naru/estate/measure"
	"github.com/narudata/naru/flow/stage"
)

// Desired is what a directory declares for one environment.
type Desired struct {
	Dir         string // "": it was not read from a directory
	Environment string
	Estate      string // who owns what it declares, in the cluster's records
	Target      opensearch.Target
	Kafka       *kafka.Config     // nil: the environment has none
	Dashboards  *DashboardsTarget // nil: the environment has none
	Objects     map[Key]*Declared
	// ChangeManaged has an apply that changes an ISM policy give the new version to the indices that it manages.
	ChangeManaged bool
	Repair        []string // patterns KIND/NAME of what `naru drift --repair` may put back
	Limits        cost.Limits
	Costs         cost.Model // prices.yaml and sizing.yaml beside base/ and overlays/
	Measure       measure.Settings
	Commit        Commit

	Retention map[string]time.Duration // how old indices of a pattern become
	Sampling  *stage.Sample            // of flows, and of clones; nil: all records
	Masking   *stage.Mask              // of flows, and of clones; nil: nothing
	Notes     []string                 // what is worth a look, and no mistake
}

// Declared is one object that is declared.
type Declared struct {
	Key
	Body  Body
	Files []string // where it stands: the base's, the overlay's; relative to the directory
}

// where is the last file that says what it is.
func (o *Declared) where() string { return o.Files[len(o.Files)-1] }

// environment is env.yaml.
type environment struct {
	Estate string            `json:"estate"`
	Target opensearch.Target `json:"target"`
	Kafka  json.RawMessage   `json:"kafka"`

	Dashboards *DashboardsTarget `json:"dashboards"`
	Retention  map[string]string `json:"retention"`
	Sampling   json.RawMessage   `json:"sampling"`
	Masking    json.RawMessage   `json:"masking"`

	Drift struct {
		Repair []string `json:"repair"`
	} `json:"drift"`
	ISM     ismSection       `json:"ism"`
	Limits  cost.Limits      `json:"limits"`
	Measure measure.Settings `json:"measure"`
}

const (
	baseFolder    = "base"
	overlayFolder = "overlays"
	environFile   = "env.yaml"
	kustomizeFile = "kustomization.yaml" // by which the same files become ConfigMaps, for the operator
	largestFile   = 16 << 20
)

// Environments lists the environments that dir declares.
func Environments(dir string) ([]string, error) {
	const wanted = "want a folder with base/ for all environments and overlays/NAME/ for each"
	names, err := environments(os.DirFS(dir))
	if err == nil && len(names) > 0 {
		return names, nil
	}
	switch is, statErr := os.Stat(dir); {
	case errors.Is(statErr, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no folder %s: %s", dir, wanted)
	case statErr != nil:
		return nil, fmt.Errorf("%w: %s", statErr, wanted)
	case !is.IsDir():
		return nil, fmt.Errorf("%s is a file: %s", dir, wanted)
	case errors.Is(err, fs.ErrNotExist):
		hint := ""
		if parent := filepath.Dir(filepath.Clean(dir)); hasOverlays(parent) {
			hint = "; is it " + parent + "?"
		} else if parent = filepath.Dir(parent); hasOverlays(parent) {
			hint = "; is it " + parent + "?"
		}
		return nil, fmt.Errorf("%s declares no environments, it has no folder %s: %s%s", dir, overlayFolder, wanted, hint)
	case err != nil:
		return nil, fmt.Errorf("%s declares no environments: %w", dir, err)
	}
	return nil, fmt.Errorf("%s declares no environments, its folder %s has no folder: %s", dir, overlayFolder, wanted)
}

func hasOverlays(dir string) bool {
	is, err := os.Stat(filepath.Join(dir, overlayFolder))
	return err == nil && is.IsDir()
}

func environments(fsys fs.FS) ([]string, error) {
	entries, err := fs.ReadDir(fsys, overlayFolder)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Read reads what dir declares for the environment, as ReadFS does, and what Git says of dir.
func Read(ctx context.Context, dir, name string, getenv func(string) string) (*Desired, error) {
	if _, err := Environments(dir); err != nil {
		return nil, err
	}
	d, err := ReadFS(ctx, os.DirFS(dir), name, getenv)
	if missing, ok := errors.AsType[*noOverlayError](err); ok {
		missing.dir = dir
	}
	if d != nil {
		d.Dir, d.Commit = dir, commitOf(ctx, dir)
	}
	return d, err
}

// A noOverlayError is that an environment is not declared.
type noOverlayError struct{ dir, name, hint string }

func (e *noOverlayError) Error() string {
	return fmt.Sprintf("there is no folder %s; %s", filepath.Join(e.dir, overlayFolder, e.name), e.hint)
}

// ReadFS reads what fsys declares for the environment: base/, then overlays/NAME over it. All that is wrong is reported
// at once, each with file:line:column. Which commit it is of it does not know.
func ReadFS(ctx context.Context, fsys fs.FS, name string, getenv func(string) string) (*Desired, error) {
	names, err := environments(fsys)
	if err != nil {
		return nil, fmt.Errorf("no environments are declared: %w", err)
	}
	if !slices.Contains(names, name) {
		hint := "the environments here are " + strings.Join(names, ", ")
		if near := connect.Nearest(name, names); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		return nil, &noOverlayError{name: name, hint: hint}
	}
	overlay := path.Join(overlayFolder, name)
	r := reader{root: fsys, getenv: getenv, vars: variables{"environment": name}, objects: map[Key]*Declared{}}
	var env environment
	err = errors.Join(r.environ(path.Join(baseFolder, environFile), &env), r.environ(path.Join(overlay, environFile), &env))
	if err != nil {
		return nil, err
	}
	if len(env.Target.URLs) == 0 {
		return nil, fmt.Errorf("%s: target.urls is missing: like [https://node-1:9200]", path.Join(overlay, environFile))
	}
	if err := env.Target.Validate(); err != nil {
		return nil, fmt.Errorf("%s: target: %w", path.Join(overlay, environFile), err)
	}
	if err := errors.Join(r.folder(baseFolder), r.folder(overlay)); err != nil {
		return nil, err
	}
	costs, err := readModel(fsys)
	if err != nil {
		return nil, err
	}
	d := &Desired{
		Environment: name, Estate: cmp.Or(env.Estate, name), Target: env.Target, Objects: r.objects, Repair: env.Drift.Repair, ChangeManaged: env.ISM.ChangeManaged,
		Limits: env.Limits, Costs: costs, Measure: env.Measure,
	}
	if err := errors.Join(env.Limits.Validate(), env.Measure.Validate()); err != nil {
		return nil, fmt.Errorf("%s: %w", path.Join(overlay, environFile), err)
	}
	if d.Dashboards = env.Dashboards; d.Dashboards != nil {
		if d.Dashboards.Auth == nil {
			d.Dashboards.Auth = &d.Target.Auth
		}
		if d.Dashboards.TLS == nil {
			d.Dashboards.TLS = &d.Target.TLS
		}
		if err := d.Dashboards.Validate(); err != nil {
			return nil, fmt.Errorf("%s: dashboards: %w", path.Join(overlay, environFile), err)
		}
	}
	if d.Retention, err = retentionOf(env.Retention); err == nil {
		d.Sampling, d.Masking, err = env.stages()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path.Join(overlay, environFile), err)
	}
	d.Notes = append(r.strangers, d.disagreements()...)
	if d.Kafka, err = env.kafka(); err == nil && d.Kafka != nil {
		err = d.Kafka.Validate()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: kafka: %w", path.Join(overlay, environFile), err)
	}
	err = errors.Join(context.Cause(ctx), d.check())
	d.prepend()
	return d, err
}

type reader struct {
	root    fs.FS
	getenv  func(string) string
	vars    variables
	objects map[Key]*Declared

	strangers []string // references that may be misspelled
}

func (r *reader) read(file string) ([]byte, error) {
	info, err := fs.Stat(r.root, file)
	if err != nil {
		return nil, err
	}
	if info.Size() > largestFile {
		return nil, fmt.Errorf("%s has %d bytes; a declared object has at most %d", file, info.Size(), largestFile)
	}
	return fs.ReadFile(r.root, file)
}

// environ reads an env.yaml over what is in env and in r.vars; there may be none.
func (r *reader) environ(file string, env *environment) error {
	data, err := r.read(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	root, err := yamlDocument(file, data)
	if err != nil {
		return err
	}
	p := yamlParser{file: file}
	if root.Kind != yaml.MappingNode {
		return p.fail(root, errors.New("want keys with values"))
	}
	rest := *root
	rest.Content = nil
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		if key.Value == "variables" {
			if err := r.variables(p, value); err != nil {
				return err
			}
			continue
		}
		rest.Content = append(rest.Content, key, value)
	}
	p.vars = r.vars // of the base and this file
	v, err := p.value(&rest, 0)
	if err != nil {
		return err
	}
	d := json.NewDecoder(strings.NewReader(string(text(v))))
	d.DisallowUnknownFields()
	under, sampling, masking := slices.Clone(env.Kafka), slices.Clone(env.Sampling), slices.Clone(env.Masking) // a decoder writes into what is there
	if err := d.Decode(env); err != nil {
		return environError(p, &rest, err)
	}
	env.Kafka, env.Sampling, env.Masking = merged(under, env.Kafka), merged(sampling, env.Sampling), merged(masking, env.Masking)
	if _, err := env.kafka(); err != nil {
		return environError(p, &rest, err)
	}
	return nil
}

// merged is one section of env.yaml over that of the base; a section that is null takes it away.
func merged(under, over json.RawMessage) json.RawMessage {
	a, _ := decodeBody(under) // what is not there is {}
	b, err := decodeBody(over)
	if err != nil || b == nil || a == nil {
		return over
	}
	return text(mergePatch(a, b))
}

// kafka gives the section kafka, whose keys are those of the file that `naru kafka --config` takes. nil: there is none.
func (env *environment) kafka() (*kafka.Config, error) {
	if nothing(env.Kafka) {
		return nil, nil
	}
	var c kafkaSection
	if err := section("kafka", env.Kafka, &c); err != nil {
		return nil, err
	}
	return &c.Config, nil
}

// kafkaSection is what one env.yaml says of it, which may be a part.
type kafkaSection struct{ kafka.Config }

// Validate accepts it for now.
func (*kafkaSection) Validate() error { return nil }

// section decodes a section of env.yaml. The place that the decoder would name is not that in the file, and is left out.
func section(name string, data json.RawMessage, into any) error {
	err := connect.Decode("", data, into)
	if err == nil {
		return nil
	}
	text := err.Error()
	if _, rest, ok := strings.Cut(text, ": "); ok && strings.HasPrefix(text, ":") {
		text = rest
	}
	return &sectionError{name, text}
}

// A sectionError is a mistake in a section of env.yaml.
type sectionError struct{ section, text string }

func (e *sectionError) Error() string { return e.section + ": " + e.text }

// environError adds the place of the key that err is about.
func environError(p yamlParser, root *yaml.Node, err error) error {
	key := ""
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		key = t.Field[strings.LastIndexByte(t.Field, '.')+1:]
		err = fmt.Errorf("%s: want %s, found %s", t.Field, map[bool]string{true: "a list", false: "a text, or keys with values"}[strings.HasPrefix(t.Type.String(), "[]")], t.Value)
	} else if _, name, ok := strings.Cut(err.Error(), `unknown field "`); ok {
		key = strings.TrimSuffix(name, `"`)
		err = fmt.Errorf("unknown key %q; env.yaml has estate, target (urls, auth, tls), kafka (brokers, tls, sasl), dashboards (url, tenant, auth, tls), retention, sampling (rate, by), masking (fields, keyFile), variables, drift (repair), ism (changeManaged), limits (storage, shards, nodes, brokers, monthly) and measure (before, after, every, groups, off)", key)
	} else if s, ok := errors.AsType[*sectionError](err); ok {
		key = s.section
		if _, name, ok := strings.Cut(s.text, `unknown key "`); ok {
			key, _, _ = strings.Cut(name, `"`)
		}
	}
	if at := find(root, key); at != nil {
		return p.fail(at, err)
	}
	return fmt.Errorf("%s: %w", p.file, err)
}

func find(n *yaml.Node, key string) *yaml.Node {
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && c.Value == key {
			return c
		}
		if at := find(c, key); at != nil {
			return at
		}
	}
	return nil
}

// variables reads the values: what they are, or {env: NAME} for one of the process's environment.
func (r *reader) variables(p yamlParser, n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return p.fail(n, errors.New("variables: want names with values"))
	}
	var errs []error
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, node := n.Content[i].Value, n.Content[i+1]
		value, err := p.value(node, 0)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if !reference.MatchString("${" + name + "}") {
			errs = append(errs, p.fail(n.Content[i], fmt.Errorf("variable %q: a name has letters, digits, and _ . - inside", name)))
		}
		if o, ok := value.(map[string]any); ok && len(o) == 1 {
			if from, ok := o["env"].(string); ok {
				if value = r.getenv(from); value == "" {
					errs = append(errs, p.fail(node, fmt.Errorf("variable %s comes from the environment variable %s, which is not set", name, from)))
				}
			}
		}
		r.vars[name] = value
	}
	return errors.Join(errs...)
}

// folder reads base or an overlay over what is there.
func (r *reader) folder(folder string) error {
	entries, err := fs.ReadDir(r.root, folder)
	if errors.Is(err, fs.ErrNotExist) && folder == baseFolder {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		switch {
		case e.Name() == environFile, e.Name() == kustomizeFile, strings.HasPrefix(e.Name(), "."), strings.EqualFold(e.Name(), "README.md"):
		case !e.IsDir():
			errs = append(errs, fmt.Errorf("%s: objects stand in folders by kind: %s", path.Join(folder, e.Name()), kindNames()))
		case !slices.Contains(Kinds, Kind(e.Name())):
			hint := "the kinds are " + kindNames()
			if near := connect.Nearest(e.Name(), strings.Split(kindNames(), ", ")); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			errs = append(errs, fmt.Errorf("%s is no kind of object; %s", path.Join(folder, e.Name()), hint))
		default:
			errs = append(errs, r.kind(folder, Kind(e.Name())))
		}
	}
	return errors.Join(errs...)
}

func kindNames() string {
	names := make([]string, len(Kinds))
	for i, k := range Kinds {
		names[i] = string(k)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func (r *reader) kind(folder string, kind Kind) error {
	dir := path.Join(folder, string(kind))
	entries, err := fs.ReadDir(r.root, dir)
	if err != nil {
		return err
	}
	var errs []error
	seen := map[string]string{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || strings.EqualFold(e.Name(), "README.md") {
			continue
		}
		file := path.Join(dir, e.Name())
		name, patch, ok := objectName(e.Name())
		of := "NAME.json or NAME.yaml"
		if end := kinds[kind].ending; end != "" {
			of = "NAME" + end
			if whole, own := strings.CutSuffix(e.Name(), end); own {
				name, ok = whole, true
			}
		}
		if !ok || name == "" || e.IsDir() {
			errs = append(errs, fmt.Errorf("%s: an object is a file %s, a patch NAME.patch.json or NAME.patch.yaml", file, of))
			continue
		}
		if other, twice := seen[name]; twice {
			errs = append(errs, fmt.Errorf("%s: %s stands beside it, for the same object", file, other))
			continue
		}
		seen[name] = e.Name()
		errs = append(errs, r.object(file, Key{kind, name}, patch, folder == baseFolder))
	}
	return errors.Join(errs...)
}

// objectName takes the endings off a file's name.
func objectName(file string) (name string, patch, ok bool) {
	for _, end := range []string{".json", ".yaml", ".yml"} {
		if name, ok = strings.CutSuffix(file, end); ok {
			name, patch = strings.CutSuffix(name, ".patch")
			return name, patch, name != ""
		}
	}
	return "", false, false
}

func (r *reader) object(file string, key Key, patch, base bool) error {
	data, err := r.read(file)
	if err != nil {
		return err
	}
	read := parse
	if own := kinds[key.Kind].parse; own != nil && strings.HasSuffix(file, kinds[key.Kind].ending) {
		read = func(file string, data []byte, vars variables) (any, error) { return own(file, data, vars) }
		r.strangers = append(r.strangers, strangers(file, data, r.vars)...)
	}
	v, err := read(file, data, r.vars)
	if err != nil {
		return err
	}
	under := r.objects[key]
	switch {
	case patch && base:
		return fmt.Errorf("%s: a patch stands in an overlay; the base holds whole objects", file)
	case patch && under == nil:
		return fmt.Errorf("%s patches %s, which the base does not have; without .patch it is an object of its own", file, key)
	case patch && v == nil: // null removes, as in RFC 7386
		delete(r.objects, key)
		return nil
	case v == nil:
		return fmt.Errorf("%s: null removes an object of the base only in a patch: call it %s.patch%s", file, key.Name, path.Ext(file))
	}
	body, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("%s: want an object, keys with values", file)
	}
	files := []string{file}
	if patch {
		body, _ = mergePatch(under.Body, v).(map[string]any)
		files = append(slices.Clone(under.Files), file)
	}
	r.objects[key] = &Declared{key, body, files}
	return nil
}

// check says what is wrong with what is declared as far as it can be known without the cluster.
func (d *Desired) check() error {
	var errs []error
	settings := map[string]string{}
	for _, key := range d.keys() {
		o := d.Objects[key]
		where := o.where()
		if err := kinds[key.Kind].check(o.Body); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", where, err))
		}
		if key.Kind == ClusterSettings {
			for name := range object(canonical(key, o.Body), "persistent") {
				if other, twice := settings[name]; twice {
					errs = append(errs, fmt.Errorf("%s: %s has the setting %s too", where, other, name))
				}
				settings[name] = where
			}
		}
	}
	errs = append(errs, checkScopes(d), checkEntities(d), checkOwners(d), checkFlows(d))
	for _, pattern := range d.Repair {
		kind, _, _ := strings.Cut(pattern, "/")
		if _, err := path.Match(pattern, ""); err != nil || !slices.Contains(Kinds, Kind(kind)) {
			errs = append(errs, fmt.Errorf("%s: drift.repair: %q is not KIND or KIND/NAME; the kinds are %s", environFile, pattern, kindNames()))
		}
	}
	return errors.Join(errs...)
}

// keys gives the declared objects' keys in order.
func (d *Desired) keys() []Key {
	return slices.SortedFunc(maps.Keys(d.Objects), compareKeys)
}

// repairs reports that the object may be put back when it drifts.
func (d *Desired) repairs(key Key) bool {
	return slices.ContainsFunc(d.Repair, func(pattern string) bool {
		if kind, name, ok := strings.Cut(pattern, "/"); ok {
			match, err := path.Match(name, key.Name)
			return Kind(kind) == key.Kind && err == nil && match
		}
		return Kind(pattern) == key.Kind
	})
}

// List gives what is declared, in the order in which it is applied.
func (d *Desired) List() []*Declared {
	var out []*Declared
	for _, key := range d.keys() {
		out = append(out, d.Objects[key])
	}
	return out
}

// Package agent collects log files as Filebeat does, by Filebeat's own configuration: filebeat.yml is read as it is, what naru
// cannot do of it is named with its place, and the rest runs on naru's engine. A line is acknowledged to its file once the
// output has it, and its place is kept in a registry; what is held back (lines that may go on) is not acknowledged. So files
// are the queue, and memory is bounded whatever the output does.
//
// What Filebeat knew of the files can be taken over once: nothing is read twice or missed.
package agent

import (
	"cmp"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/narudata/naru/format/filebeat"
	"github.com/narudata/naru/format/tree"
)

// Version is the version of Filebeat that events say they come from: templates and pipelines are chosen by it.
const Version = "8.19.0"

const beatName = "filebeat"

// A Config is a configuration that is read, and can run.
type Config struct {
	Name       string // of this machine, as events have it
	Inputs     []*Input
	Output     output
	OutputName string
	Data       string // path.data; "": not given
	Fields     tree.Object
	Tags       []string
	Processors []Processor
	// Problems are what is to be said of it, by place.
	Problems []filebeat.Problem

	home, config, logs string
	env                *environment
	doc                *filebeat.Document
}

// environment is what processors have of their surroundings.
type environment struct {
	now      func() time.Time
	log      *slog.Logger
	name     string
	lookup   func(string) (string, bool)
	account  string // where a pod's credentials are
	lists    map[string]*podList
	checking bool // nothing will run
}

func (e *environment) variable(name string) string {
	if e.lookup == nil {
		return ""
	}
	v, _ := e.lookup(name)
	return v
}

// pods gives the list of a node's pods, which processors share.
func (e *environment) pods(node string) *podList {
	if e.checking {
		return nil
	}
	if l, ok := e.lists[node]; ok {
		return l
	}
	l := newPodList(node, e.account, e.variable, e.log, e.now)
	if e.lists == nil {
		e.lists = map[string]*podList{}
	}
	e.lists[node] = l
	return l
}

// LoadOptions say how a configuration is read. The zero value works.
type LoadOptions struct {
	Lookup func(string) (string, bool) // variables; nil: there are none
	Log    *slog.Logger
	Check  bool     // it will not run: nothing outside of its files is looked at
	Set    []string // NAME=VALUE: settings instead of those of the file
	// Home, Config, Data and Logs are the folders path.home … path.logs instead of those of the file.
	Home, Config, Data, Logs string

	account string
}

// logID stands for ${data.kubernetes.container.id} and the like: whatever an autodiscover provider would put there.
const logID = "\x00id\x00"

// Load reads the configuration in a file. An error says that the file cannot be read; what is wrong in it is among Problems.
// It can run unless Worst is filebeat.Wrong or filebeat.Unsupported.
func Load(file string, o LoadOptions) (*Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	log := o.Log
	if log == nil {
		log = discardLog()
	}
	home, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return nil, err
	}
	home = cmp.Or(o.Home, home)
	folders := map[string]string{"path.home": home, "path.config": cmp.Or(o.Config, home), "path.data": cmp.Or(o.Data, filepath.Join(home, "data")), "path.logs": cmp.Or(o.Logs, filepath.Join(home, "logs"))}
	lookup := func(name string) (string, bool) {
		if strings.HasPrefix(name, "data.") {
			return logID, true
		}
		if f, ok := folders[name]; ok {
			return f, true
		}
		if o.Lookup == nil {
			return "", false
		}
		return o.Lookup(name)
	}
	account := o.account
	if account == "" {
		account = serviceAccount
	}
	c := &Config{doc: filebeat.NewDocument(lookup), env: &environment{now: time.Now, log: log, lookup: o.Lookup, account: account, checking: o.Check}}
	root := c.doc.Read(file, text)
	if root != nil {
		for _, set := range o.Set {
			c.doc.Set(root, set)
		}
		c.home, c.config, c.Data, c.logs = o.Home, o.Config, o.Data, o.Logs
		c.read(c.doc.Section(root, ""), filepath.Dir(file))
	}
	c.doc.Sort()
	c.Problems = c.doc.Problems
	return c, nil
}

// Worst is the worst level among the problems.
func (c *Config) Worst() filebeat.Level { return c.doc.Worst() }

func (c *Config) inHome(path string) string { return in(c.home, path) }

func (c *Config) inConfig(path string) string { return in(c.config, path) }

func in(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// read reads a whole file.
func (c *Config) read(s *filebeat.Section, dir string) {
	defer s.Done()
	c.readFolders(s, dir)
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	c.Name = s.Text("name", strings.ToLower(host))
	c.env.name = c.Name
	c.Fields, c.Tags = c.customFields(s), s.Texts("tags")
	c.Processors = readProcessors(s.Sections("processors"), c.env)
	for _, in := range s.Sections("filebeat.inputs") {
		c.addInput(in)
	}
	for _, in := range s.Sections("filebeat.prospectors") {
		in.Say(filebeat.Wrong, "", "inputs stand under filebeat.inputs since version 6.3", "")
	}
	c.readInputFiles(s)
	c.readAutodiscover(s)
	c.readModules(s)
	if len(c.Inputs) == 0 && c.doc.Worst() != filebeat.Wrong && c.doc.Worst() != filebeat.Unsupported {
		s.Say(filebeat.Wrong, "", "there is no input that is enabled", "enabled: true is missing, perhaps: it is false in the file that comes with Filebeat")
	}
	c.readOutput(s)
	c.readOthers(s)
}

func (c *Config) addInput(s *filebeat.Section) {
	in := c.readInput(s)
	if in == nil {
		return
	}
	for _, other := range c.Inputs {
		if in.ID != "" && other.ID == in.ID {
			s.Say(filebeat.Wrong, "id", "another input has this id: "+other.Place.String(), "each input keeps its own places of files: give it another one")
			return
		}
		if in.ID == "" && other.ID == "" && in.Type == other.Type && slices.Equal(in.Files.Paths, other.Files.Paths) {
			s.Say(filebeat.Wrong, "paths", "another input of this type has the same paths: "+other.Place.String(), "give both an id, or make one of them")
			return
		}
	}
	c.Inputs = append(c.Inputs, in)
}

func (c *Config) readFolders(s *filebeat.Section, dir string) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		absolute = dir
	}
	or := func(key, given, otherwise string) string {
		set := s.Text(key, "")
		if given != "" {
			set = given
		}
		if set == "" {
			return otherwise
		}
		return in(absolute, set)
	}
	c.home = or("path.home", c.home, absolute)
	c.config = or("path.config", c.config, c.home)
	c.logs = or("path.logs", c.logs, filepath.Join(c.home, "logs"))
	c.Data = or("path.data", c.Data, "")
}

// readInputFiles reads the files of inputs that filebeat.config.inputs names.
func (c *Config) readInputFiles(s *filebeat.Section) {
	if !s.Has("filebeat.config.inputs") {
		return
	}
	under := s.Sub("filebeat.config.inputs")
	defer under.Done()
	pattern := c.inConfig(under.Text("path", ""))
	if under.Bool("reload.enabled", false) {
		under.Say(filebeat.Different, "reload.enabled", "files of inputs are read when the agent starts", "start it again when they change: nothing is read twice")
	}
	under.Know("reload.period")
	if !under.Bool("enabled", true) || pattern == "" {
		return
	}
	names, err := filepath.Glob(pattern)
	if err != nil {
		under.Say(filebeat.Wrong, "path", err.Error(), "")
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			under.Say(filebeat.Wrong, "path", err.Error(), "")
			continue
		}
		n := c.doc.Read(name, text)
		if n == nil {
			continue
		}
		items := n.Items
		if n.Kind == filebeat.Map && len(n.Members) > 0 {
			items = []*filebeat.Node{n}
		}
		for _, item := range items {
			c.addInput(c.doc.Section(item, ""))
		}
	}
}

// readAutodiscover takes the logs of all containers for what a provider for Kubernetes would find.
func (c *Config) readAutodiscover(s *filebeat.Section) {
	if !s.Has("filebeat.autodiscover") {
		return
	}
	under := s.Sub("filebeat.autodiscover")
	defer under.Done()
	for _, p := range under.Sections("providers") {
		c.readProvider(p)
	}
}

func (c *Config) readProvider(p *filebeat.Section) {
	defer p.Done()
	kind := p.Text("type", "")
	if kind != "kubernetes" {
		p.Say(filebeat.Unsupported, "type", "containers are found by the paths of their logs, not by "+kind, "use an input of the type container with the paths of the logs")
		for _, m := range p.Node.Members {
			p.Know(m.Name)
		}
		return
	}
	before := len(c.Inputs)
	if p.Bool("hints.enabled", false) {
		p.Say(filebeat.Different, "hints.enabled", "all logs of containers are read alike: annotations co.elastic.logs/* are not looked at", "use an input for those that differ, with their paths")
		if p.Has("hints.default_config") {
			d := p.Sub("hints.default_config")
			if d.Bool("enabled", true) {
				c.addInput(d)
			}
		} else {
			text := []byte("type: container\npaths: ['/var/log/containers/*.log']\n")
			c.addInput(c.doc.Section(c.doc.Read(p.Node.Place.File, text), p.Path))
		}
	}
	for _, t := range p.Sections("templates") {
		if t.Has("condition") {
			t.Say(filebeat.Different, "condition", "the template counts for all containers that its paths name", "put it into the processors: drop_event with when")
		}
		t.Know("condition")
		for _, in := range t.Sections("config") {
			c.addInput(in)
		}
		t.Done()
	}
	p.Know("node", "in_cluster", "host", "scope", "namespace", "kube_config", "resource", "unique", "leader_lease", "sync_period", "cleanup_timeout", "labels.dedot", "annotations.dedot", "add_resource_metadata", "include_annotations", "include_labels", "exclude_labels", "hints.enabled", "hints.default_config")
	// What the provider adds to events is what the processor does.
	add := c.doc.Section(&filebeat.Node{Kind: filebeat.Map}, p.Path)
	if n := p.Node.Get("include_annotations"); n != nil {
		add.Node.Members = append(add.Node.Members, filebeat.Member{Name: "include_annotations", Value: n})
	}
	if n := p.Node.Get("node"); n != nil {
		add.Node.Members = append(add.Node.Members, filebeat.Member{Name: "node", Value: n})
	}
	k := addKubernetes(add, c.env)
	for _, in := range c.Inputs[before:] {
		in.Processors = append([]Processor{k}, in.Processors...)
	}
}

func (c *Config) readModules(s *filebeat.Section) {
	const hint = "write an input with the module's paths, and parse where the events go: naru logstash, or the module's ingest pipeline in the cluster"
	for _, m := range s.Sections("filebeat.modules") {
		if m.Bool("enabled", true) {
			m.Say(filebeat.Unsupported, "module", "naru has no modules", hint)
		}
	}
	if s.Has("filebeat.config.modules") {
		under := s.Sub("filebeat.config.modules")
		if names, _ := filepath.Glob(c.inConfig(under.Text("path", ""))); len(names) > 0 && under.Bool("enabled", true) {
			under.Say(filebeat.Unsupported, "path", "naru has no modules, and "+names[0]+" is on", hint)
		}
		under.Know("enabled", "reload")
		under.Done()
	}
}

// readOthers reads what is neither input nor output.
func (c *Config) readOthers(s *filebeat.Section) {
	s.Each(filebeat.Note, "events are not kept in a queue: files are the queue, and reading waits", "", "queue.mem", "queue.disk", "queue.spool", "filebeat.spool_size", "filebeat.publish_async", "filebeat.idle_timeout")
	if _, ok := c.Output.(*Search); ok && s.Bool("setup.template.enabled", true) {
		s.Say(filebeat.Different, "setup.template", "index templates, ILM policies and ingest pipelines are not installed",
			"install them once with Filebeat (filebeat setup --index-management), or by hand, and set setup.template.enabled: false")
	}
	s.Each(filebeat.Note, "nothing is set up in the cluster", "", "setup")
	s.Each(filebeat.Note, "what the agent logs goes to standard error", "", "logging")
	s.Each(filebeat.Note, "what is not acknowledged when the agent stops is read again", "", "filebeat.shutdown_timeout", "filebeat.registry.flush", "filebeat.registry.file_permissions", "filebeat.registry.migrate_file")
	s.Each(filebeat.Note, "the registry is in path.data", "", "filebeat.registry.path", "filebeat.registry_file", "filebeat.registry_flush")
	s.Each(filebeat.Different, "figures are not served, and not sent to a monitoring cluster", "", "http", "monitoring", "xpack.monitoring", "instrumentation")
	s.Each(filebeat.Unsupported, "naru reads no keystore", "put its values into the environment by their names: ${NAME} finds them there", "keystore")
	s.Each(filebeat.Note, "Go decides", "", "max_procs", "seccomp", "features", "timestamp.precision", "path.keystore", "gc_percent", "license")
	s.Each(filebeat.Note, "it has no effect", "", "filebeat.overwrite_pipelines", "filebeat.config_dir", "filebeat.disable_module_on_first_run")
	s.Each(filebeat.Unsupported, "the agent is not managed from elsewhere", "", "management")
	if n := s.Node.Get("http.enabled"); n == nil || n.Text == "false" {
		c.forget("http")
	}
	if n := s.Node.Get("monitoring.enabled"); n != nil && n.Text == "false" {
		c.forget("monitoring")
	}
}

// forget takes back what was said of a setting.
func (c *Config) forget(setting string) {
	c.doc.Problems = slices.DeleteFunc(c.doc.Problems, func(p filebeat.Problem) bool { return p.Setting == setting })
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

package operator

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/narudata/naru/connect"
	"github.com/narudata/naru/logstash"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/filter"
	"github.com/narudata/naru/logstash/syntax"
	"github.com/narudata/naru/operator/v1alpha1"
)

// A pipeline is compiled before a pod gets it, so that a mistake is said with its place and changes nothing that runs. The operator is
// not the pod: it has neither its files nor its secrets, and must not look at its own for somebody else. So plugins that name files are
// left to the pods, whose rollout goes no further than the first that cannot run; and so are mistakes of plugins with variables that
// only pods know.

// mostProblems is how many mistakes a message names.
const mostProblems = 5

// check says what is wrong with a pipeline, or with its settings; "" if nothing.
func (l *look) check(text string) string {
	spec := &l.flow.Spec
	sum := digest(text, spec.Pipeline.Settings, spec.Env, len(spec.EnvFrom), spec.Route != nil)
	if l.memory.checked != sum {
		l.memory.wrong = checkSettings(spec.Pipeline.Settings)
		if l.memory.wrong == "" {
			l.memory.wrong = checkPipeline(text, spec)
		}
		l.memory.checked = sum
	}
	return l.memory.wrong
}

// fixedSettings are what the operator says by flags.
var fixedSettings = []string{
	"path.config", "config.string", "path.data", "path.settings", "pipeline.id", "config.test_and_exit", "config.reload.automatic", "config.reload.interval",
	"api.enabled", "api.http.host", "api.http.port", "http.host", "http.port", "api.auth.type", "api.auth.basic.username", "api.auth.basic.password", "log.level", "log.format",
}

func checkSettings(settings map[string]v1alpha1.SettingValue) string {
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		switch {
		case slices.Contains(fixedSettings, name):
			return "settings: " + name + " is set by the operator"
		case secretName(name) && !strings.HasPrefix(string(settings[name]), "${"):
			return "settings: " + name + " looks like a secret: write ${NAME}, and give the variable by a Secret"
		}
	}
	return ""
}

func checkPipeline(text string, spec *v1alpha1.FlowSpec) string {
	settings := spec.Pipeline.Settings
	style, err := event.ParseEscapeStyle(stringOr(settings["config.field_reference.escape_style"], "none"))
	if err != nil {
		return "settings: config.field_reference.escape_style: " + err.Error()
	}
	read := syntax.Options{SupportEscapes: settings["config.support_escapes"] == "true"}
	config, err := read.ParseAll([]syntax.File{{Name: pipelineFile, Text: []byte(text)}})
	var wrong syntax.Errors
	if errors.As(err, &wrong) {
		return listed(wrong)
	} else if err != nil {
		return err.Error()
	}
	vars := variablesOf(text, spec)
	var undecided []*syntax.Plugin
	inputs := 0
	for _, s := range config.Sections {
		for p := range syntax.Plugins(s.Body) {
			if s.Kind == syntax.Input {
				inputs++
				if p.Name == "stdin" {
					return config.ErrorAt(p.Pos, "a pod has no standard input").Error()
				}
			}
			if vars.unknownIn(p) {
				undecided = append(undecided, p)
			}
		}
	}
	if inputs == 0 {
		return "the pipeline has no input"
	}
	for _, s := range config.Sections {
		s.Body = logstash.WithoutFiles(s.Body)
	}
	p, problems := logstash.Compile(config, logstash.Options{ECS: filter.ECS(stringOr(settings["pipeline.ecs_compatibility"], "v8")), EscapeStyle: style, Lookup: vars.lookup, Dir: "/nonexistent"})
	if p != nil {
		if err := p.Close(); err != nil {
			return "the pipeline cannot be closed: " + err.Error()
		}
	}
	return listed(slices.DeleteFunc(problems.Errors, func(e syntax.Error) bool {
		return slices.ContainsFunc(undecided, func(p *syntax.Plugin) bool { return p.Pos.Offset <= e.Pos.Offset && e.Pos.Offset <= p.End.Offset })
	}))
}

func stringOr(v v1alpha1.SettingValue, otherwise string) string {
	if v == "" || strings.HasPrefix(string(v), "${") {
		return otherwise
	}
	return string(v)
}

// listed puts mistakes into lines: file:line:column, and what is wrong.
func listed(wrong syntax.Errors) string {
	var lines []string
	for i := range wrong {
		if i == mostProblems {
			lines = append(lines, fmt.Sprintf("and %d more", len(wrong)-i))
			break
		}
		lines = append(lines, wrong[i].Error())
	}
	return strings.Join(lines, "\n")
}

// variables are what is known of a pod's environment.
type variables struct {
	known     map[string]string
	unknown   map[string]bool // only the pod knows the value
	anyOthers bool            // there may be others
	defaulted map[string]bool // stand with a default, which counts here
}

var variable = regexp.MustCompile(`\$\{([a-zA-Z_.][a-zA-Z0-9_.]*)(:[^}]*)?\}`)

func variablesOf(text string, spec *v1alpha1.FlowSpec) *variables {
	v := &variables{known: map[string]string{}, unknown: map[string]bool{}, anyOthers: len(spec.EnvFrom) > 0, defaulted: map[string]bool{}}
	for _, name := range []string{"POD_IP", "POD_NAME", "POD_NAMESPACE", "NARU_API_USERNAME", "NARU_API_PASSWORD", "HOSTNAME", "HOME", "PATH"} {
		v.unknown[name] = true
	}
	for i := range spec.Env {
		e := &spec.Env[i]
		if e.ValueFrom != nil || strings.Contains(e.Value, "$(") {
			v.unknown[e.Name] = true
		} else {
			v.known[e.Name] = e.Value
		}
	}
	for _, m := range variable.FindAllStringSubmatch(text, -1) {
		if m[2] != "" {
			v.defaulted[m[1]] = true
		}
	}
	return v
}

// placeholder stands for what only the pod knows. Most options take it.
const placeholder = "1"

// lookup implements logstash.Options.Lookup. It never looks into the operator's own environment.
func (v *variables) lookup(name string) (string, bool) {
	if value, ok := v.known[name]; ok && !strings.Contains(value, "/") {
		return value, true
	} else if ok {
		return placeholder, true // it may name a file
	}
	if v.unknown[name] {
		return placeholder, true
	}
	if v.anyOthers && !v.defaulted[name] {
		return placeholder, true
	}
	return "", false
}

// unknownIn says whether a plugin has variables of which only the pod knows the value.
func (v *variables) unknownIn(p *syntax.Plugin) bool {
	return slices.ContainsFunc(p.Attributes, func(a *syntax.Attribute) bool { return v.unknownInValue(a.Value) })
}

func (v *variables) unknownInValue(value syntax.Value) bool {
	switch value := value.(type) {
	case *syntax.String:
		return slices.ContainsFunc(variable.FindAllStringSubmatch(value.Value, -1), func(m []string) bool {
			known, ok := v.known[m[1]]
			return ok && strings.Contains(known, "/") || v.unknown[m[1]] || !ok && v.anyOthers
		})
	case *syntax.Array:
		return slices.ContainsFunc(value.Values, v.unknownInValue)
	case *syntax.Hash:
		return slices.ContainsFunc(value.Entries, func(e *syntax.Entry) bool { return v.unknownInValue(e.Key) || v.unknownInValue(e.Value) })
	case *syntax.Plugin:
		return v.unknownIn(value)
	}
	return false
}

// decodedFlow reads the content of a flow file; wrong is what `naru run` would not take, or what a pod cannot do.
func decodedFlow(content []byte) (flow *connect.Flow, wrong string) {
	f := new(connect.Flow)
	if err := connect.Decode("flow", content, f); err != nil {
		return nil, err.Error()
	}
	if f.Sink.Stream() {
		return nil, "flow: sink: nobody reads a pod's standard output: name a directory or a cluster"
	}
	if dir := f.Sink.Dir(); dir != "" && !path.IsAbs(dir) {
		return nil, fmt.Sprintf("flow: sink: %s: give an absolute path, on a volume that the Flow mounts", dir)
	}
	return f, ""
}

package estate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/narudata/naru/connect"
	"github.com/narudata/naru/logstash"
	"github.com/narudata/naru/logstash/filter"
	"github.com/narudata/naru/logstash/syntax"
)

// Flows are declared as flows/NAME.yaml, the spec of a Flow: {pipeline: {config: TEXT}} or {flow: {source, stages, sink}}, with what its
// pods need beside it. Pipelines are declared as pipelines/NAME.conf, the text of a Logstash configuration, whose body is the same spec
// with nothing but the text. Both run in one place (Target.Flows), under one namespace of names.

// longestFlow is how long a flow's name may be: names of its pods are longer.
const longestFlow = 48

var flowName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// parsePipeline reads the text of a Logstash configuration. ${NAME} is a variable of env.yaml if there is one of that name, and
// Logstash's own else.
func parsePipeline(file string, data []byte, vars variables) (Body, error) {
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("%s: it is not UTF-8", file)
	}
	if strings.TrimSpace(string(data)) == "" {
		return nil, fmt.Errorf("%s: the file is empty", file)
	}
	config := string(data)
	if m := reference.FindString(config); m != config { // a text, whatever is in it
		filled, err := vars.inKnown(config)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		config = fmt.Sprint(filled)
	}
	return Body{"pipeline": map[string]any{"config": config}}, nil
}

func checkFlow(body Body) error {
	pipeline, flow := body["pipeline"], body["flow"]
	switch p, _ := pipeline.(map[string]any); {
	case (pipeline == nil) == (flow == nil):
		return errors.New("want exactly one of pipeline (a Logstash configuration) and flow (a flow file)")
	case pipeline != nil && p == nil:
		return errors.New("pipeline: want keys with values: config, and perhaps settings")
	case pipeline != nil:
		if _, text := p["config"].(string); (p["config"] == nil) == (p["configMapRef"] == nil) || p["config"] != nil && !text {
			return errors.New("pipeline: want exactly one of config, a text, and configMapRef")
		}
		return nil
	}
	f, _ := flow.(map[string]any)
	for _, name := range []string{"source", "sink"} {
		if object(f, name) == nil {
			return fmt.Errorf("flow.%s is missing: as in a flow file", name)
		}
	}
	if f["stages"] != nil {
		if _, ok := f["stages"].([]any); !ok {
			return errors.New("flow.stages: want a list")
		}
	}
	return nil
}

// checkFlows finds names that no Flow can have, two flows of one name, and mistakes in pipelines.
func checkFlows(d *Desired) error {
	var errs []error
	for _, key := range d.keys() {
		if key.Kind != FlowSpecs && key.Kind != Pipelines {
			continue
		}
		o := d.Objects[key]
		if len(key.Name) > longestFlow || !flowName.MatchString(key.Name) {
			errs = append(errs, fmt.Errorf("%s: a flow's name has small letters, digits and - inside, and at most %d of them", o.where(), longestFlow))
		}
		if other := d.Objects[Key{FlowSpecs, key.Name}]; key.Kind == Pipelines && other != nil {
			errs = append(errs, fmt.Errorf("%s: %s is a flow of the same name, and both run in one place", o.where(), other.where()))
		}
		if text, ok := object(o.Body, "pipeline")["config"].(string); ok {
			file := o.Files[0]
			if path.Ext(file) != ".conf" {
				file += " (pipeline.config)"
			}
			errs = append(errs, checkPipeline(file, text))
		}
	}
	return errors.Join(errs...)
}

// checkPipeline compiles a configuration, so that a mistake is said with its line. Where it runs is not known: plugins that name files
// are left out, and mistakes of plugins with variables that only the pods know count for nothing.
func checkPipeline(file, text string) error {
	config, err := syntax.ParseAll([]syntax.File{{Name: file, Text: []byte(text)}})
	if err != nil {
		return err
	}
	var undecided []*syntax.Plugin
	inputs := 0
	for _, s := range config.Sections {
		for p := range syntax.Plugins(s.Body) {
			if s.Kind == syntax.Input {
				inputs++
			}
			if strings.Contains(text[p.Pos.Offset:p.End.Offset], "${") {
				undecided = append(undecided, p)
			}
		}
		s.Body = logstash.WithoutFiles(s.Body)
	}
	if inputs == 0 {
		return fmt.Errorf("%s: the pipeline has no input, and would never read anything", file)
	}
	p, problems := logstash.Compile(config, logstash.Options{
		ECS: filter.ECSv8, Dir: "/nonexistent", Lookup: func(string) (string, bool) { return "1", true },
	})
	if p != nil {
		return p.Close()
	}
	wrong := slices.DeleteFunc(problems.Errors, func(e syntax.Error) bool {
		return slices.ContainsFunc(undecided, func(p *syntax.Plugin) bool { return p.Pos.Offset <= e.Pos.Offset && e.Pos.Offset <= p.End.Offset })
	})
	if len(wrong) == 0 {
		return nil
	}
	return wrong
}

// strangers names what looks like a misspelled variable: a reference that is left to Logstash, and is nearly the name of a variable.
func strangers(file string, data []byte, vars variables) []string {
	var out []string
	for _, m := range reference.FindAllSubmatch(data, -1) {
		name := string(m[1])
		if _, ours := vars[name]; ours || strings.HasPrefix(string(m[0]), "$$") {
			continue
		}
		if near := connect.Nearest(name, slices.Sorted(maps.Keys(vars))); near != "" {
			line := fmt.Sprintf("%s: ${%s} is no variable of env.yaml, and is left as it is; did you mean ${%s}?", file, name, near)
			if !slices.Contains(out, line) {
				out = append(out, line)
			}
		}
	}
	return out
}

// canonFlow leaves out what a Flow has if nothing is said.
func canonFlow(_ string, body Body) Body {
	if body["workload"] == "Deployment" {
		delete(body, "workload")
	}
	if body["suspend"] == false {
		delete(body, "suspend")
	}
	if settings := object(body, "pipeline", "settings"); settings != nil {
		scalarsAsText(settings)
	}
	if p := object(body, "pipeline"); p != nil {
		dropEmpty(p, "settings")
	}
	for name, v := range body {
		switch v := v.(type) {
		case nil:
			delete(body, name)
		case []any:
			if len(v) == 0 {
				delete(body, name)
			}
		case map[string]any:
			if len(v) == 0 {
				delete(body, name)
			}
		}
	}
	return body
}

// flowView leaves the number of pods out where nobody declares it: an autoscaler may set it.
func flowView(live *Live, bodies ...Body) *Live {
	i := slices.IndexFunc(bodies, func(b Body) bool { return b != nil })
	if i < 0 || bodies[i]["replicas"] != nil || live.Body["replicas"] == nil {
		return live
	}
	out := *live
	out.Body = maps.Clone(live.Body)
	delete(out.Body, "replicas")
	return &out
}

func listFlows(ctx context.Context, t *Target) (map[string]*Live, error) { return t.Flows.List(ctx) }

func getFlow(ctx context.Context, t *Target, name string) (*Live, error) {
	return t.Flows.Get(ctx, name)
}

func putFlow(ctx context.Context, t *Target, name string, body Body, live *Live) error {
	return t.Flows.Put(ctx, name, body, live)
}

func removeFlow(ctx context.Context, t *Target, name string, live *Live) error {
	return t.Flows.Remove(ctx, name, live)
}

// twin is the object of the other kind that stands for the same thing where flows run.
func (k Key) twin() Key {
	switch k.Kind { //nolint:exhaustive // others have none
	case FlowSpecs:
		return Key{Pipelines, k.Name}
	case Pipelines:
		return Key{FlowSpecs, k.Name}
	}
	return Key{}
}

func explainFlow(ch *Change, o *Observed) {
	live := o.view(ch.Key, ch.bodies(o.Records[ch.Key])...)
	if ch.Action == Delete {
		ch.Risk = High
		ch.Effects = append(ch.Effects, "its pods end: they write what they have read, and nobody reads on")
		return
	}
	if ch.Action != Update {
		return
	}
	body := decoded(ch.Body)
	if live != nil && (live.Body["pipeline"] == nil) != (body["pipeline"] == nil) {
		ch.Problem, ch.Risk = "a pipeline cannot become a flow that ends, nor the other way round: give it another name", High
		return
	}
	for i := range ch.Fields {
		f := &ch.Fields[i]
		switch {
		case under(f.Path, "replicas"):
			f.Risk, f.Means = Low, "more or fewer pods share the partitions or parts"
		case under(f.Path, "suspend"):
			f.Risk, f.Means = Medium, "whether it runs at all"
		case under(f.Path, "pipeline"):
			f.Risk, f.Means = Medium, "pods are replaced one by one; what they have read is written first"
		case under(f.Path, "flow"):
			f.Risk, f.Means = Medium, "it is another flow: it runs again, with the new content"
		default:
			f.Risk, f.Means = Low, "pods are replaced one by one"
		}
	}
}

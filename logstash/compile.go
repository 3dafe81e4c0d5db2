package logstash

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/narudata/naru/connect"
	"github.com/narudata/naru/logstash/filter"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/ruby"
	"github.com/narudata/naru/logstash/syntax"
)

// Problems is all that is wrong with a configuration, and what is worth a warning, each in the order of the text.
type Problems struct {
	Errors   syntax.Errors
	Warnings syntax.Errors
	// Unbuilt are the plugins that are known and not built into naru yet, "input beats" for one. Each place of one is among
	// the errors, too.
	Unbuilt []string
	unbuilt int // how many errors these are
}

// OnlyUnbuilt reports that there are errors, and that all of them are of plugins that naru does not have yet.
func (p Problems) OnlyUnbuilt() bool { return p.unbuilt > 0 && p.unbuilt == len(p.Errors) }

// Err gives the errors as an error; nil if there are none.
func (p Problems) Err() error {
	if len(p.Errors) == 0 {
		return nil
	}
	return p.Errors
}

// Read parses and compiles the files of one pipeline. The pipeline is nil if there are errors.
func Read(files []syntax.File, s syntax.Options, o Options) (*Pipeline, Problems) {
	config, err := s.ParseAll(files)
	var wrong syntax.Errors
	if errors.As(err, &wrong) {
		// What could be read is checked all the same, so that one run finds everything.
		p, problems := Compile(config, o)
		if p != nil {
			problems.Errors = syntax.Errors{}
			if err := p.Close(); err != nil {
				wrong = append(wrong, config.ErrorAt(syntax.Pos{}, "%v", err))
			}
		}
		problems.Errors = append(wrong, problems.Errors...)
		sortErrors(problems.Errors, files)
		return nil, problems
	}
	return Compile(config, o)
}

// Compile checks and compiles a configuration. The pipeline is nil if there are errors.
func Compile(config *syntax.Config, o Options) (*Pipeline, Problems) {
	c := &compiler{o: o.withDefaults(), config: config, p: &Pipeline{config: config}}
	c.p.o = c.o
	c.warnings = append(c.warnings, config.Warnings...)
	for _, s := range config.Statements(syntax.Input) {
		c.input(s)
	}
	c.body(&c.p.filters, config.Statements(syntax.Filter), c.filter)
	c.body(&c.p.outputs, config.Statements(syntax.Output), c.output)
	c.implicit()
	c.route()
	c.p.counts.all = c.p.newTally()
	sortErrors(c.errors, config.Files)
	sortErrors(c.warnings, config.Files)
	slices.Sort(c.unbuilt)
	problems := Problems{c.errors, c.warnings, slices.Compact(slices.Clone(c.unbuilt)), len(c.unbuilt)}
	if len(c.errors) > 0 {
		if err := c.p.Close(); err != nil {
			c.o.Log.Warn("a plugin cannot be closed", "error", err)
		}
		return nil, problems
	}
	return c.p, problems
}

// implicit gives a configuration of filters only the input and the output that it lacks.
func (c *compiler) implicit() {
	const lines = "{ codec => json_lines }"
	if len(c.config.Statements(syntax.Input)) == 0 {
		c.given("input { stdin "+lines+" }", func(p *syntax.Plugin) {
			c.input(p)
			in := c.p.Inputs[len(c.p.Inputs)-1]
			in.Pos, in.ID = syntax.Pos{}, in.Name
		})
	}
	if len(c.config.Statements(syntax.Output)) == 0 {
		c.given("output { stdout "+lines+" }", func(p *syntax.Plugin) {
			out := c.p.Outputs[c.output(p)]
			out.Pos, out.ID = syntax.Pos{}, out.Name
			c.p.outputs = program{{do: call}}
		})
	}
}

// given compiles a plugin that is none of the configuration.
func (c *compiler) given(text string, plugin func(*syntax.Plugin)) {
	config, err := syntax.Options{}.Parse("", []byte(text))
	if err != nil {
		panic("BUG: " + err.Error())
	}
	for _, s := range config.Sections {
		for p := range syntax.Plugins(s.Body) {
			plugin(p)
		}
	}
}

// sortErrors puts errors into the order of the files, and removes doubles.
func sortErrors(list syntax.Errors, files []syntax.File) {
	at := map[string]int{}
	for i, f := range files {
		at[f.Name] = i
	}
	slices.SortStableFunc(list, func(a, b syntax.Error) int {
		return cmp.Or(cmp.Compare(at[a.Pos.File], at[b.Pos.File]), cmp.Compare(a.Pos.Offset, b.Pos.Offset))
	})
}

type compiler struct {
	o        Options
	config   *syntax.Config
	p        *Pipeline
	errors   syntax.Errors
	warnings syntax.Errors
	unbuilt  []string
	branches int
	ids      map[string]syntax.Pos
	shared   filter.Shared
}

func (c *compiler) errorf(pos syntax.Pos, format string, args ...any) {
	c.errors = append(c.errors, c.config.ErrorAt(pos, format, args...))
}

func (c *compiler) warnf(pos syntax.Pos, format string, args ...any) {
	c.warnings = append(c.warnings, c.config.ErrorAt(pos, format, args...))
}

// problems takes over what is wrong with a plugin's options. It reports that there are errors.
func (c *compiler) problems(list []option.Problem) (failed bool) {
	for _, p := range list {
		if p.Warning {
			c.warnf(p.Pos, "%s", p.Message)
		} else {
			c.errorf(p.Pos, "%s", p.Message)
			failed = true
		}
	}
	return failed
}

// body compiles statements. plugin compiles one plugin, and gives its number; -1 if it is wrong.
func (c *compiler) body(to *program, body []syntax.Statement, plugin func(*syntax.Plugin) int) {
	for _, s := range body {
		switch s := s.(type) {
		case *syntax.Plugin:
			if n := plugin(s); n >= 0 {
				*to = append(*to, instruction{do: call, plugin: n, pos: s.Pos})
			}
		case *syntax.Branch:
			c.branch(to, s, plugin)
		}
	}
}

func (c *compiler) branch(to *program, s *syntax.Branch, plugin func(*syntax.Plugin) int) {
	var ends []int // jumps to behind the branch
	for i, arm := range s.Arms {
		at := len(*to)
		*to = append(*to, instruction{do: branch, cond: c.condition(arm.Cond), where: c.branches, pos: arm.Pos, text: conditionText(arm.Cond)})
		c.branches++
		c.body(to, arm.Body, plugin)
		if i+1 < len(s.Arms) || s.Else != nil {
			ends = append(ends, len(*to))
			*to = append(*to, instruction{do: jump})
		}
		(*to)[at].to = len(*to)
	}
	if s.Else != nil {
		c.body(to, s.Else.Body, plugin)
	}
	for _, at := range ends {
		(*to)[at].to = len(*to)
	}
}

// env is what options of a plugin are read with.
func (c *compiler) env(section syntax.Kind, title string) option.Env {
	return option.Env{Lookup: c.o.lookup, Style: c.o.EscapeStyle, Dir: c.o.Dir, Section: section, Title: title}
}

// filter makes a filter.
func (c *compiler) filter(p *syntax.Plugin) int {
	create, ok := c.o.Filters[p.Name]
	if !ok {
		c.unknown("filter", p.Pos, p.Name, slices.Collect(maps.Keys(c.o.Filters)), shipped[syntax.Filter])
		return -1
	}
	plugin := create()
	if c.problems(option.Decode(p, plugin, c.env(syntax.Filter, ""))) {
		return -1
	}
	f, err := plugin.Setup(&filter.Setup{
		ECS: c.o.ECS, Dir: c.o.Dir, Log: c.o.Log, Now: c.o.Now, Style: c.o.EscapeStyle, Where: p.Pos.String(), Shared: &c.shared,
		Getenv: c.getenv,
	})
	if err != nil {
		c.invalid(p, string(syntax.Filter), err)
		return -1
	}
	made := Plugin{Name: p.Name, Pos: p.Pos, Filter: f, ID: c.id(p, plugin)}
	if a, ok := f.(interface{ Alone() bool }); ok {
		made.Alone = a.Alone()
	}
	c.p.Plugins = append(c.p.Plugins, made)
	return len(c.p.Plugins) - 1
}

// id gives a plugin's name for logs. Two plugins cannot have the same.
func (c *compiler) id(p *syntax.Plugin, plugin any) string {
	id := ""
	if has, ok := plugin.(interface{ PluginID() string }); ok {
		id = has.PluginID()
	}
	if id == "" {
		return fmt.Sprintf("%s:%d:%d", p.Name, p.Pos.Line, p.Pos.Column)
	}
	if c.ids == nil {
		c.ids = map[string]syntax.Pos{}
	}
	if other, taken := c.ids[id]; taken {
		c.errorf(p.Pos, "the id %q is that of the plugin at %s, too: give each its own", id, other)
	}
	c.ids[id] = p.Pos
	return id
}

// invalid notes what a plugin's set-up finds wrong, at the option that it is about.
func (c *compiler) invalid(p *syntax.Plugin, section string, err error) {
	at, message := located(p, section, err)
	c.errorf(at, "%s", message)
}

// located gives the place of what is wrong with a plugin: that of the option that it is about, or the plugin's.
func located(p *syntax.Plugin, section string, err error) (syntax.Pos, string) {
	if of, ok := errors.AsType[*option.Invalid](err); ok {
		if a := p.Attribute(of.Option); a != nil && a.Value != nil {
			at, reason := within(a.Value, of.Err)
			return at, fmt.Sprintf("%s of %s %s: %v", of.Option, p.Name, section, reason)
		}
	}
	return p.Pos, fmt.Sprintf("%s %s: %v", p.Name, section, err)
}

// within gives the place that an error in code has in the configuration that the code is in.
func within(value syntax.Value, err error) (syntax.Pos, error) {
	at := value.At()
	s, isString := value.(*syntax.String)
	e, ok := errors.AsType[*ruby.Error](err)
	if !ok || !isString || s.Raw != s.Raw[:1]+s.Value+s.Raw[:1] {
		return at, err
	}
	for range e.Line - 1 {
		n := strings.IndexByte(s.Raw[at.Offset-s.Pos.Offset:], '\n') + 1
		if n == 0 {
			return value.At(), err
		}
		at.Line, at.Column, at.Offset = at.Line+1, 1, at.Offset+n
	}
	if e.Line == 1 {
		at.Column, at.Offset = at.Column+1, at.Offset+1 // the quote
	}
	for _, r := range s.Raw[at.Offset-s.Pos.Offset:] {
		if e.Column == 1 || r == '\n' {
			break
		}
		e = &ruby.Error{Line: e.Line, Column: e.Column - 1, Reason: e.Reason, Hint: e.Hint}
		at.Column, at.Offset = at.Column+1, at.Offset+utf8.RuneLen(r)
	}
	return at, errors.New(e.Text())
}

// unknown notes a plugin that is not there.
func (c *compiler) unknown(kind string, pos syntax.Pos, name string, built, shipped []string) {
	if slices.Contains(shipped, name) {
		c.unbuilt = append(c.unbuilt, kind+" "+name)
	}
	c.errorf(pos, "%s", unknownPlugin(kind, name, built, shipped))
}

// unknownPlugin says of a plugin whether it is known and not built in, or what may have been meant.
func unknownPlugin(kind, name string, built, shipped []string) string {
	if slices.Contains(shipped, name) {
		return fmt.Sprintf("the %s %s is known and not built into naru yet", kind, name)
	}
	if inner := strings.Trim(name, `"'`); inner != name {
		return fmt.Sprintf("there is no %s %s: plugin names stand without quotes", kind, name)
	}
	if near := connect.Nearest(name, append(slices.Clone(built), shipped...)); near != "" {
		return fmt.Sprintf("there is no %s %q: did you mean %q?", kind, name, near)
	}
	slices.Sort(built)
	return fmt.Sprintf("there is no %s %q: there are %s", kind, name, strings.Join(built, ", "))
}

func closeAll(plugins []Plugin) error {
	var all []error
	for _, p := range plugins {
		if closer, ok := p.Filter.(filter.Closer); ok {
			all = append(all, closer.Close())
		}
	}
	return errors.Join(all...)
}

package logstash_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
	"go4.org/netipx"

	"github.com/narudata/naru/logstash"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/filter"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/syntax"
)

var update = flag.Bool("update", false, "write docs/filters.md")

const examples = "testdata/examples"

const introduction = `# Logstash filters and codecs

Made by ` + "`make generate`" + ` from the sources of filters and codecs, and from their examples; do not edit.

The semantics are those of Logstash 8.19 and of the plugins that come with it; each plugin here says which version it follows.
[Logstash pipelines in naru](logstash.md) says what is the same and what is not for pipelines as a whole.

**ECS.** Both modes are there: with ` + "`pipeline.ecs_compatibility`" + ` ` + "`v8`" + `, the default, names of fields follow the Elastic Common Schema
(` + "`v1`" + ` has the same names); with ` + "`disabled`" + ` they are the older ones. A plugin's own ` + "`ecs_compatibility`" + ` wins over that of the pipeline.

**Other filters.** ` + "`naru logstash check`" + ` names a filter that does not exist, with the nearest one that does. A filter of Logstash's that
naru does not have is told from it; a file with no other errors is *incomplete* instead of *wrong*. The exit status is 2 for both.

` + "```" + `
%s
` + "```" + `

**Examples.** The tests run every example through a whole pipeline. A *recorded* one has the output of a real Logstash 8.19; others
were written for this page. Unless an example has its own inputs and outputs, a line of input and of output is an event in JSON.
` + "`@version`" + ` is left out, and so is an ` + "`@timestamp`" + ` that is the time of the run.
`

func TestTheReferenceOfFiltersIsWhatTheySay(t *testing.T) {
	const path = "../docs/filters.md"
	page := referencePage(t)
	if *update {
		if err := os.WriteFile(path, []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(page, string(have)); diff != "" {
		t.Errorf("docs/filters.md is stale: make generate\n%s", diff)
	}
}

func TestExamplesOfTheReferenceComeOutAsWritten(t *testing.T) {
	names, err := filepath.Glob(examples + "/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for name := range filter.Table() {
		if !slices.Contains(names, filepath.Join(examples, name+".txt")) {
			t.Errorf("the filter %s has no example: write logstash/%s/%s.txt", name, examples, name)
		}
	}
	for _, path := range names {
		name := strings.TrimSuffix(filepath.Base(path), ".txt")
		t.Run(name, func(t *testing.T) { readExample(t, name).check(t) })
	}
}

// referencePage writes the page.
func referencePage(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, introduction, unknownFilters(t))
	b.WriteString("\n## Options of all filters\n\n")
	common := option.Describe(new(struct{ option.Common }))
	writeOptions(t, &b, common)

	filters := docComments(t, "filter")
	b.WriteString("\n## Filters\n")
	for _, name := range slices.Sorted(maps.Keys(filter.Table())) {
		writePlugin(t, &b, name, name, filter.Table()[name](), filters, common)
	}
	codecs := docComments(t, "codec")
	b.WriteString("\n## Codecs\n")
	for _, name := range slices.Sorted(maps.Keys(codec.Table())) {
		writePlugin(t, &b, "codec "+name, "codec-"+name, codec.Table()[name](), codecs, nil)
	}
	return b.String()
}

// unknownFilters is what is said of a filter that does not exist, and of one that is not built in.
func unknownFilters(t *testing.T) string {
	t.Helper()
	var unbuilt string
	for _, name := range []string{"jdbc_streaming", "wurfl_device_detection", "elastic_integration"} {
		if filter.Table()[name] == nil {
			unbuilt = name
			break
		}
	}
	var lines []string
	for _, name := range []string{"grokk", unbuilt} {
		text := "filter {\n  " + name + " { }\n}\n"
		_, problems := logstash.Read([]syntax.File{{Name: "site.conf", Text: []byte(text)}}, syntax.Options{}, logstash.Options{})
		if len(problems.Errors) != 1 || problems.OnlyUnbuilt() != (name == unbuilt) {
			t.Fatalf("%s: %v", name, problems.Err())
		}
		lines = append(lines, problems.Err().Error())
	}
	return strings.Join(lines, "\n")
}

// writePlugin writes the part of one plugin. Options that all plugins have are left out.
func writePlugin(t *testing.T, b *strings.Builder, title, example string, plugin any, docs map[string]string, common []*option.Description) {
	t.Helper()
	structName := reflect.TypeOf(plugin).Elem().Name()
	text := docs[structName]
	if text == "" {
		t.Errorf("%s: the type %s has no doc comment", title, structName)
	}
	var own []*option.Description
	for _, d := range option.Describe(plugin) {
		if !slices.ContainsFunc(common, func(c *option.Description) bool { return c.Name == d.Name }) {
			own = append(own, d)
		}
	}
	summary, source, differences := describedBy(text, structName, own)
	if summary == "" || source == "" {
		t.Errorf("%s: the doc comment of %s lacks a summary, or a paragraph \"Source: …\"", title, structName)
	}
	fmt.Fprintf(b, "\n### %s\n\n%s\n%s\n\n", title, summary, source)
	switch {
	case len(own) > 0:
		writeOptions(t, b, own)
	case common != nil:
		b.WriteString("No options but the common ones.\n")
	default:
		b.WriteString("No options.\n")
	}
	if o, ok := plugin.(interface{ Obsolete() map[string]string }); ok {
		obsolete := o.Obsolete()
		for i, name := range slices.Sorted(maps.Keys(obsolete)) {
			if i == 0 {
				b.WriteString("\nObsolete:\n\n")
			}
			fmt.Fprintf(b, "- `%s`: %s\n", name, markdown(obsolete[name]))
		}
	}
	fmt.Fprintf(b, "\n**Differences from Logstash**\n\n%s", differences)
	if _, err := os.Stat(filepath.Join(examples, example+".txt")); err == nil {
		readExample(t, example).write(t, b)
	}
}

// writeOptions writes a table of options.
func writeOptions(t *testing.T, b *strings.Builder, options []*option.Description) {
	t.Helper()
	b.WriteString("| option | value | default | |\n|---|---|---|---|\n")
	for _, d := range options {
		if d.Doc == "" && !d.Deprecated {
			t.Errorf("the option %s is not explained", d.Name)
		}
		value := d.Type
		if len(d.Enum) > 0 {
			value = "`" + strings.Join(d.Enum, "`, `") + "`"
			if strings.HasPrefix(d.Type, "list") {
				value = "list of " + value
			}
		}
		standard := ""
		switch {
		case d.Required:
			standard = "*required*"
		case d.HasDefault:
			standard = "`" + literal(d.Default, d.Type) + "`"
		}
		doc := markdown(d.Doc)
		if d.Deprecated {
			doc = strings.TrimSuffix("deprecated; "+doc, "; ")
			if d.Instead != "" {
				doc += "; instead: " + markdown(d.Instead)
			}
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", d.Name, value, strings.ReplaceAll(standard, "|", `\|`), strings.ReplaceAll(doc, "|", `\|`))
	}
}

// literal is a default as a configuration has it.
func literal(text, kind string) string {
	quote := func(s string) string {
		q := `"`
		if strings.Contains(s, q) {
			q = "'"
		}
		return q + strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(s) + q
	}
	switch {
	case strings.HasPrefix(kind, "list") && text == "":
		return "[]"
	case strings.HasPrefix(kind, "list"):
		var elements []string
		for e := range strings.SplitSeq(text, ",") {
			elements = append(elements, quote(e))
		}
		return "[" + strings.Join(elements, ", ") + "]"
	case kind == "number" || kind == "boolean" || kind == "bytes":
		return text
	}
	return quote(text)
}

// docComments gives the doc comments of the types of a package.
func docComments(t *testing.T, dir string) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, s := range g.Specs {
				if s, ok := s.(*ast.TypeSpec); ok {
					out[s.Name.Name] = cmp.Or(s.Doc, g.Doc).Text()
				}
			}
		}
	}
	return out
}

// describedBy takes the doc comment of a plugin apart: what it does, the line "Source: …", and the list after "Differences:".
func describedBy(text, structName string, options []*option.Description) (summary, source, differences string) {
	var parts []string
	var listed bool
	differences = "None known.\n"
	for _, block := range new(comment.Parser).Parse(text).Content {
		words := blockText(block)
		list, isList := block.(*comment.List)
		switch {
		case strings.HasPrefix(words, "Source: "):
			source = "\n" + markdown(words)
		case strings.HasPrefix(words, "Differences:"):
			listed, differences = true, ""
			if rest := strings.TrimSpace(strings.TrimPrefix(words, "Differences:")); rest != "" {
				differences = markdown(sentence(rest)) + "\n"
			}
		case isList && listed:
			for _, item := range list.Items {
				differences += "- " + difference(item, options) + "\n"
			}
		case isList:
			var items []string
			for _, item := range list.Items {
				items = append(items, "- "+markdown(itemText(item)))
			}
			parts = append(parts, strings.Join(items, "\n"))
		default:
			if code, ok := block.(*comment.Code); ok {
				parts = append(parts, "```\n"+code.Text+"```")
				continue
			}
			if rest, ok := strings.CutPrefix(words, structName+" "); ok && len(parts) == 0 {
				words = sentence(rest)
			}
			parts = append(parts, markdown(words))
		}
	}
	if listed && differences == "" {
		differences = "None known.\n"
	}
	return strings.Join(parts, "\n\n"), source, differences
}

// difference is an item of the list of differences as a sentence. An option that it begins with is set as code.
func difference(item *comment.ListItem, options []*option.Description) string {
	words := strings.TrimRight(itemText(item), ".;") + "."
	first, rest, _ := strings.Cut(words, " ")
	if slices.ContainsFunc(options, func(d *option.Description) bool { return d.Name == first }) {
		return "`" + first + "` " + markdown(rest)
	}
	if at := codeLike.FindStringIndex(words); at != nil && at[0] == 0 {
		return markdown(words)
	}
	return markdown(sentence(words))
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func itemText(item *comment.ListItem) string {
	var words []string
	for _, block := range item.Content {
		words = append(words, blockText(block))
	}
	return strings.Join(words, " ")
}

// blockText is the text of a paragraph on one line.
func blockText(block comment.Block) string {
	p, ok := block.(*comment.Paragraph)
	if !ok {
		return ""
	}
	var b strings.Builder
	var walk func(list []comment.Text)
	walk = func(list []comment.Text) {
		for _, x := range list {
			switch x := x.(type) {
			case comment.Plain:
				b.WriteString(string(x))
			case comment.Italic:
				b.WriteString(string(x))
			case *comment.Link:
				walk(x.Text)
			case *comment.DocLink:
				walk(x.Text)
			}
		}
	}
	walk(p.Text)
	return strings.Join(strings.Fields(b.String()), " ")
}

// codeLike are options with values, names of plugins, references to fields, names with underscores, and parts of formats.
var codeLike = regexp.MustCompile(`[a-z_]+ => [a-z]+|logstash-[a-z]+-[a-z_]+|(?:\[@?[a-z_]+\])+|@[a-z]+|%\{[^}]*\}|\{"[^}]*\}|` +
	`\b[a-zA-Z0-9]*(?:_[a-zA-Z0-9]+)+(?:\.rb)?\b`)

var escaped = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `_`, `\_`, `<`, `&lt;`, `[`, `\[`, "`", "\\`")

// markdown sets a text: what looks like code as code, other characters that mean something to Markdown escaped.
func markdown(text string) string {
	var b strings.Builder
	at := 0
	for _, m := range codeLike.FindAllStringIndex(text, -1) {
		b.WriteString(escaped.Replace(text[at:m[0]]))
		b.WriteString("`" + text[m[0]:m[1]] + "`")
		at = m[1]
	}
	b.WriteString(escaped.Replace(text[at:]))
	return b.String()
}

// An example is a file of the form of recorded cases: "# what it shows", "# options: ecs=v8", and the sections config, input,
// output and "file NAME", of which @DIR@ in the configuration is the folder. A configuration with an output of its own is
// a whole one; input and output are then text.
type example struct {
	name, title string
	ecs         filter.ECS
	files       map[string]string
	config      string
	input       []string
	output      []string
	recorded    bool // it is one of the recorded cases
}

var exampleSection = regexp.MustCompile(`^-- (config|input|output|file (\S+)) --$`)

func readExample(t *testing.T, name string) *example {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(examples, name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	e := &example{name: name, ecs: filter.ECSDisabled, files: map[string]string{}, recorded: isRecorded(t, text)}
	sections, section := map[string][]string{}, ""
	for line := range strings.SplitSeq(strings.TrimRight(string(text), "\n"), "\n") {
		if m := exampleSection.FindStringSubmatch(line); m != nil {
			section = m[1]
			continue
		}
		options, hasOptions := strings.CutPrefix(line, "# options:")
		switch {
		case section != "":
			sections[section] = append(sections[section], line)
		case hasOptions:
			for o := range strings.FieldsSeq(options) {
				version, ok := strings.CutPrefix(o, "ecs=")
				if !ok {
					t.Fatalf("%s: an example cannot have the option %s", name, o)
				}
				e.ecs = filter.ECS(version)
			}
		default:
			e.title = strings.TrimPrefix(line, "# ")
		}
	}
	for section, lines := range sections {
		if file, ok := strings.CutPrefix(section, "file "); ok {
			e.files[file] = strings.Join(lines, "\n") + "\n"
		}
	}
	e.config, e.input, e.output = strings.Join(sections["config"], "\n"), sections["input"], sections["output"]
	if e.title == "" || e.config == "" || len(e.input) == 0 {
		t.Fatalf("%s: an example has a line that says what it shows, a configuration and input", name)
	}
	return e
}

// isRecorded reports whether a recorded case has just this text.
func isRecorded(t *testing.T, text []byte) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir("testdata/cases", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || found {
			return err
		}
		have, err := os.ReadFile(path)
		found = bytes.Equal(have, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// write writes the example for the page.
func (e *example) write(t *testing.T, b *strings.Builder) {
	t.Helper()
	kind := "Example"
	if e.recorded {
		kind = "Recorded example"
	}
	fmt.Fprintf(b, "\n**%s** (`pipeline.ecs_compatibility: %s`): %s.\n", kind, e.ecs, markdown(e.title))
	block := func(title, text string) {
		fmt.Fprintf(b, "\n%s:\n\n```\n%s\n```\n", title, strings.TrimRight(text, "\n"))
	}
	fmt.Fprintf(b, "\n```\n%s\n```\n", strings.ReplaceAll(e.config, "@DIR@/", ""))
	for _, name := range slices.Sorted(maps.Keys(e.files)) {
		block("The file `"+name+"`", e.files[name])
	}
	block("Input", strings.Join(e.input, "\n"))
	block("Output", strings.Join(e.output, "\n"))
}

// check runs the example, and compares what comes out.
func (e *example) check(t *testing.T) {
	config, err := syntax.Parse("example.conf", []byte(e.config))
	if err != nil {
		t.Fatal(err)
	}
	if name, ok := strings.CutPrefix(e.name, "codec-"); ok {
		if codec.Table()[name] == nil || !strings.Contains(e.config, "codec => "+name+" ") {
			t.Fatalf("this is no example of a codec %s that there is", name)
		}
	} else {
		shown := false
		for p := range syntax.Plugins(config.Statements(syntax.Filter)) {
			shown = shown || p.Name == e.name
		}
		if !shown || filter.Table()[e.name] == nil {
			t.Fatalf("this is no example of a filter %s that there is", e.name)
		}
	}
	dir := t.TempDir()
	for name, text := range e.files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(e.config, "@DIR@/places.mmdb") {
		writePlaces(t, filepath.Join(dir, "places.mmdb"))
	}
	text, events := strings.ReplaceAll(e.config, "@DIR@", dir), false
	if len(config.Statements(syntax.Output)) == 0 {
		text, events = text+"\ninput { stdin { codec => json_lines } }\noutput { stdout { codec => json_lines } }\n", true
	}
	p, problems := logstash.Read([]syntax.File{{Name: "example.conf", Text: []byte(text)}}, syntax.Options{}, logstash.Options{ECS: e.ecs, Dir: dir})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	in := strings.NewReader(strings.Join(e.input, "\n") + "\n")
	if _, err := p.Run(t.Context(), logstash.RunOptions{Stdin: in, Stdout: &out}); err != nil {
		t.Error(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	got := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
	if out.Len() == 0 {
		got = nil
	}
	if diff := gocmp.Diff(eventsOf(t, e.output, events), eventsOf(t, got, events)); diff != "" {
		t.Errorf("other events than written (-written +came):\n%s", diff)
	}
}

// eventsOf decodes lines that are events, without @version and a @timestamp of now. Numbers stay as they are written. Where
// a line need not be an event, one that is none stays a text.
func eventsOf(t *testing.T, lines []string, all bool) []any {
	t.Helper()
	var out []any
	for _, line := range lines {
		d := json.NewDecoder(strings.NewReader(line))
		d.UseNumber()
		var e map[string]any
		if err := d.Decode(&e); err != nil || e == nil || d.More() {
			if all {
				t.Fatalf("no event: %s", line)
			}
			out = append(out, line)
			continue
		}
		delete(e, "@version")
		if s, ok := e["@timestamp"].(string); ok {
			if at, err := time.Parse(time.RFC3339Nano, s); err == nil && time.Since(at).Abs() < time.Hour {
				delete(e, "@timestamp")
			}
		}
		out = append(out, e)
	}
	return out
}

// writePlaces writes a database in MaxMind's format, of a kind as GeoLite2 City, with one network that documentation may use.
func writePlaces(t *testing.T, path string) {
	t.Helper()
	w, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "GeoLite2-City", IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	name := func(s string) mmdbtype.Map { return mmdbtype.Map{"en": mmdbtype.String(s)} }
	if err := w.Insert(netipx.PrefixIPNet(netip.MustParsePrefix("198.51.100.0/24")), mmdbtype.Map{
		"city":     mmdbtype.Map{"names": name("Milton")},
		"country":  mmdbtype.Map{"iso_code": mmdbtype.String("US"), "names": name("United States")},
		"location": mmdbtype.Map{"latitude": mmdbtype.Float64(47.25), "longitude": mmdbtype.Float64(-122.25)},
	}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

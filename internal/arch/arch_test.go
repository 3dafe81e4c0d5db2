package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/narudata/naru"

// layers is the layout from top to bottom. A package imports only what stands in a line below its own; packages
// in one line are siblings, and so are the packages inside of a folder (connect/*, format/*).
var layers = [][]string{
	{"."},
	{"cli"},
	{"web", "operator"},
	{"survey", "estate"},
	{"migrate", "logstash", "tap", "agent"},
	{"connect"},
	{"flow"},
	{"document"},
	{"format", "blob"},
	{"internal"}, // what several formats are written with, beside the tools below
}

// siblings are the imports between siblings that are right, each with its reason.
var siblings = map[string]string{
	"format/snapshot -> format/smile": "a repository keeps its metadata as SMILE",
	"format/smile -> format/tree":     "SMILE is decoded into a tree where the order matters",
	"format/snapshot -> format/tree":  "metadata are changed as trees",

	"operator/kubetest -> operator/v1alpha1": "tests make the kinds and read their status",

	"flow/queue -> flow/stream": "a queue is a stream, and keeps what streams give",

	"logstash/pattern/grok -> logstash/pattern/regex": "a grok pattern becomes a regular expression",
	"logstash/pattern/csv -> logstash/pattern/number": "columns become numbers",
	"logstash/pattern/csv -> logstash/event":          "rows are values of events",
	"logstash/pattern/number -> logstash/event":       "numbers are values of events",
	"logstash/event -> logstash/pattern/joda":         "%{+FORMAT} prints a date",
	"logstash/option -> logstash/syntax":              "options are read from the syntax tree",
	"logstash/option -> logstash/event":               "options are references and formats",
	"logstash/tlsoption -> logstash/option":           "options of TLS are options",
	"logstash/tlsoption -> logstash/syntax":           "tests read options",
	"logstash/monitor -> logstash/syntax":             "tests compile pipelines",
	"logstash/input -> logstash/event":                "inputs describe events",
	"logstash/input -> logstash/witness":              "what was read is told where two versions are compared",
	"logstash/output -> logstash/witness":             "what is made is told where two versions are compared",
	"logstash/monitor -> logstash/witness":            "the API tells what was made",
	"logstash/input -> logstash/option":               "inputs say what their options are",
	"logstash/input -> logstash/codec":                "inputs have decoders",
	"logstash/input -> logstash/syntax":               "tests read options",
	"logstash/input -> logstash/tlsoption":            "inputs listen with TLS",
	"logstash/input -> logstash/pattern/grok":         "syslog messages match a pattern",
	"logstash/input -> logstash/pattern/joda":         "syslog messages have dates",
	"logstash/input -> logstash/pattern/regex":        "keys of objects match a pattern",
	"logstash/output -> logstash/event":               "outputs form records of events",
	"logstash/output -> logstash/option":              "outputs say what their options are",
	"logstash/output -> logstash/codec":               "outputs have encoders",
	"logstash/output -> logstash/input":               "pipelines send to each other",
	"logstash/output -> logstash/syntax":              "tests read options",
	"logstash/output -> logstash/tlsoption":           "outputs connect with TLS",
	"logstash/input -> logstash/filter":               "the syslog input has the filters grok and date",
	"logstash/codec -> logstash/event":                "codecs make events, and bytes of them",
	"logstash/codec -> logstash/pattern/csv":          "csv reads and writes rows",
	"logstash/codec -> logstash/pattern/grok":         "multiline has a grok pattern",
	"logstash/codec -> logstash/pattern/regex":        "multiline has a grok pattern",
	"logstash/codec -> logstash/syntax":               "tests read options",
	"logstash/codec -> logstash/tlsoption":            "avro may fetch its schema with TLS",
	"logstash/codec -> logstash/option":               "codecs say what their options are",
	"logstash/ruby -> logstash/event":                 "scripts change events",
	"logstash/ruby -> logstash/pattern/regex":         "scripts have regular expressions",
	"logstash/ruby -> logstash/pattern/joda":          "scripts print times",
	"logstash/filter -> logstash/event":               "filters change events",
	"logstash/filter -> logstash/syntax":              "options that are plugins or conditions",
	"logstash/filter -> logstash/option":              "filters say what their options are",
	"logstash/filter -> logstash/ruby":                "filters run scripts",
	"logstash/filter -> logstash/pattern/csv":         "filters read rows",
	"logstash/filter -> logstash/pattern/number":      "filters read numbers as Ruby does",
	"logstash/filter -> logstash/pattern/grok":        "filters match patterns",
	"logstash/filter -> logstash/pattern/dissect":     "filters cut texts at delimiters",
	"logstash/filter -> logstash/pattern/joda":        "filters read dates",
	"logstash/filter -> logstash/pattern/regex":       "filters have regular expressions",
}

// testOnly may be imported by the tests of any package, and by no other file.
var testOnly = []string{"internal/testbed", "flow/flowtest", "connect/opensearch/osfake"}

// doors says which folders may import a module, and why not more. A module that is not here may stand in
// any package, if docs/dependencies.md has it.
var doors = map[string][]string{
	"github.com/spf13/cobra":               {"cli"},
	"github.com/spf13/pflag":               {"cli"},
	"github.com/vbauerster/mpb/v8":         {"cli"},
	"golang.org/x/net":                     {"logstash/filter"},
	"golang.org/x/term":                    {"cli"},
	"golang.org/x/text":                    {"agent"},
	"github.com/prometheus/client_golang":  {"cli", "logstash/monitor", "operator"},
	"github.com/parquet-go/parquet-go":     {"connect/archive"},
	"sigs.k8s.io/yaml":                     {"cli", "operator"},
	"go.yaml.in/yaml/v3":                   {"connect", "connect/snapshot", "estate", "format/filebeat", "format/yaml", "logstash/filter", "logstash/input"},
	"github.com/pierrec/lz4/v4":            {"format"},
	"github.com/klauspost/compress":        {"blob", "flow/queue", "format", "connect/archive", "connect/files", "connect/opensearch", "migrate/compare"},
	"go.etcd.io/bbolt":                     {"flow/ledger", "connect/archive"},
	"github.com/twmb/franz-go":             {"connect/kafka", "tap"},
	"github.com/twmb/franz-go/pkg/kfake":   {},
	"github.com/twmb/avro":                 {"connect/kafka", "logstash/codec"},
	"github.com/bufbuild/protocompile":     {"connect/kafka"},
	"google.golang.org/protobuf":           {"connect/kafka"},
	"software.sslmate.com/src/go-pkcs12":   {"connect/kafka", "logstash/tlsoption"},
	"github.com/aws/aws-sdk-go-v2":         {"blob", "connect/opensearch", "connect/kafka"}, // S3; signed requests to a managed OpenSearch, signed logins to MSK
	"k8s.io/client-go":                     {"operator", "flow/ledger", "cli"},              // cli: only which cluster, and as whom
	"github.com/argoproj/argo-rollouts":    {"operator/argo"},
	"github.com/hashicorp/go-plugin":       {"operator/argo"},
	"sigs.k8s.io/controller-runtime":       {"operator"},
	"github.com/youmark/pkcs8":             {"logstash/tlsoption"},
	"github.com/antchfx/xpath":             {"logstash/filter"},
	"github.com/oschwald/maxminddb-golang": {"logstash/filter"},
	"github.com/maxmind/mmdbwriter":        {},
	"go4.org/netipx":                       {},
	"github.com/ua-parser/uap-go":          {"logstash/filter"},
	"github.com/elastic/go-lumber":         {},
	"github.com/google/go-cmp":             {},
	"github.com/johannesboyne/gofakes3":    {},
	"pgregory.net/rapid":                   {},
	"github.com/rogpeppe/go-internal":      {},
	"github.com/yuin/gopher-lua":           {},
	"github.com/stretchr/testify":          {},
}

// tools are folders beside the layers: programs that tests and benchmarks run.
var tools = []string{"internal/arch", "internal/testbed", "bench", "deploy", "examples"}

// interpreters raise and return by panics of their own types, which the calls into them recover, and have tables of methods
// that look up each other: set in init, as initial values they would depend on themselves.
var interpreters = []string{"logstash/ruby"}

// maxLines is where a file is too long to be read from top to bottom.
const maxLines = 800

type source struct {
	path string // slash-separated, from the root of the module
	dir  string
	test bool
	ast  *ast.File
	text []byte
}

func TestImportsPointDown(t *testing.T) {
	for _, f := range parsed(t) {
		for _, imported := range importsOf(t, f) {
			dir, ok := ours(imported)
			if !ok || dir == f.dir {
				continue
			}
			if why := mayNot(f, dir); why != "" {
				t.Errorf("%s imports %s: %s", f.path, dir, why)
			}
		}
	}
}

func TestEachHeavyDependencyHasOneDoor(t *testing.T) {
	for _, f := range parsed(t) {
		if f.test || slices.ContainsFunc(tools, func(d string) bool { return within(f.dir, d) }) {
			continue // a test may look at what is written with the module that others use
		}
		for _, imported := range importsOf(t, f) {
			for _, m := range slices.Sorted(maps.Keys(doors)) {
				if !within(imported, m) {
					continue
				}
				folders := doors[m]
				if !slices.ContainsFunc(folders, func(d string) bool { return within(f.dir, d) }) {
					t.Errorf("%s imports %s, which is for %s only", f.path, m, orTests(folders))
				}
			}
		}
	}
}

func TestNothingRegistersItself(t *testing.T) {
	for _, f := range parsed(t) {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" && !slices.Contains(interpreters, f.dir) {
				t.Errorf("%s has an init function: list the thing where it is used (connect/table.go, say)", f.path)
			}
		}
	}
}

func TestFilesAreShortEnoughToBeRead(t *testing.T) {
	for _, f := range parsed(t) {
		if n := strings.Count(string(f.text), "\n"); n > maxLines && !ast.IsGenerated(f.ast) {
			t.Errorf("%s has %d lines, more than %d: split it by concept", f.path, n, maxLines)
		}
	}
}

func TestNothingPanicsButForABug(t *testing.T) {
	for _, f := range parsed(t) {
		if f.test || within(f.dir, "internal/testbed") || slices.Contains(interpreters, f.dir) {
			continue // tests may: panic(http.ErrAbortHandler), say, cuts a connection
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 1 {
				return true
			}
			if fn, ok := call.Fun.(*ast.Ident); ok && fn.Name == "panic" && !strings.HasPrefix(leading(call.Args[0]), "BUG: ") {
				t.Errorf("%s panics at byte %d: return an error, or say panic(\"BUG: …\")", f.path, call.Pos()-f.ast.FileStart)
			}
			return true
		})
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	says := map[string]bool{}
	for _, f := range parsed(t) {
		if !f.test {
			says[f.dir] = says[f.dir] || f.ast.Doc != nil
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(says)) {
		if !says[dir] {
			t.Errorf("package %s has no package comment", dir)
		}
	}
}

func TestEveryDirectDependencyIsAccountedFor(t *testing.T) {
	direct, known := directDependencies(t)
	listed := map[string]bool{}
	text, err := os.ReadFile("../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if name, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " | "); ok && strings.Contains(name, "/") {
			listed[name] = true
		}
	}
	for m := range direct {
		if !listed[m] {
			t.Errorf("docs/dependencies.md has no line for %s", m)
		}
	}
	for m := range listed {
		if !slices.Contains(known, m) {
			t.Errorf("docs/dependencies.md has a line for %s, which go.mod does not have", m)
		}
	}
}

// directDependencies gives the modules of go.mod that a file imports, and all of them.
func directDependencies(t *testing.T) (direct map[string]bool, modules []string) {
	t.Helper()
	text, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(fields) >= 2 && strings.HasPrefix(fields[1], "v") {
			modules = append(modules, fields[0])
		}
	}
	direct = map[string]bool{}
	for _, f := range parsed(t) {
		for _, imported := range importsOf(t, f) {
			for _, m := range modules {
				if within(imported, m) {
					direct[m] = true
				}
			}
		}
	}
	return direct, modules
}

// TestTheRulesBite holds the rules against imports that must not be.
func TestTheRulesBite(t *testing.T) {
	for _, c := range []struct {
		from, to string
		test, ok bool
	}{
		{"flow", "connect/snapshot", false, false},
		{"flow", "blob", false, true},
		{"connect/archive", "connect/snapshot", false, false},
		{"connect/archive", "connect", false, false},
		{"connect", "connect/archive", false, true},
		{"connect/archive", "format/lucene", false, true},
		{"format/lucene", "format/snapshot", false, false},
		{"format/snapshot", "format/smile", false, true},
		{"format/lucene/lz4", "format/lucene", false, true},
		{"migrate/verify", "tap", false, false},
		{"flow/stage", "flow", false, true},
		{"flow", "flow/stage", false, false},
		{"flow", "flow/stage", true, true},
		{"connect/archive", "connect/snapshot", true, false},
		{"flow", "flow/flowtest", false, false},
		{"flow", "flow/flowtest", true, true},
		{"cli", "internal/testbed", false, false},
		{"cli", "internal/testbed", true, true},
		{"connect/snapshot", "cli", true, false},
		{"newfolder", "flow", false, false},
	} {
		why := mayNot(source{dir: c.from, test: c.test}, c.to)
		if (why == "") != c.ok {
			t.Errorf("%s -> %s (test: %t): %q", c.from, c.to, c.test, why)
		}
	}
}

// mayNot says why f may not import the package in dir; "" if it may.
func mayNot(f source, dir string) string {
	for _, only := range testOnly {
		if within(dir, only) {
			if f.test || within(f.dir, only) {
				return ""
			}
			return "for tests only"
		}
	}
	if slices.ContainsFunc(append(tools, testOnly...), func(d string) bool { return within(f.dir, d) }) {
		return "" // a test bed may use all that it sets up
	}
	from, to := layer(f.dir), layer(dir)
	switch {
	case from < 0:
		return f.dir + " has no place in the layers of internal/arch: give it one"
	case to < 0:
		return dir + " has no place in the layers of internal/arch: give it one"
	case from < to:
		return ""
	case from > to:
		return "imports point down"
	case within(f.dir, dir) && path.Dir(f.dir) == dir && top(f.dir) != "connect" && top(f.dir) != "format":
		return "" // flow/stage -> flow: a part of a folder builds on its root
	case within(f.dir, dir) && top(f.dir) == "format":
		return ""
	case f.test && top(f.dir) == top(dir) && top(f.dir) == "flow":
		return "" // the engine is tested with what is built on it
	case within(dir, f.dir) && f.dir != "flow":
		return "" // connect -> connect/archive: the table lists what the folder has
	}
	if _, ok := siblings[f.dir+" -> "+dir]; ok {
		return ""
	}
	return "siblings do not import each other: what both need stands below them"
}

func layer(dir string) int {
	return slices.IndexFunc(layers, func(l []string) bool { return slices.Contains(l, top(dir)) })
}

func top(dir string) string {
	first, _, _ := strings.Cut(dir, "/")
	return first
}

func ours(imported string) (dir string, ok bool) {
	if imported == module {
		return ".", true
	}
	return strings.CutPrefix(imported, module+"/")
}

// within reports that name is root or lies under it.
func within(name, root string) bool { return name == root || strings.HasPrefix(name, root+"/") }

func orTests(folders []string) string {
	if len(folders) == 0 {
		return "tests"
	}
	return strings.Join(folders, ", ")
}

// leading is the constant text that an expression begins with: a literal, the left of a sum, the format of a
// call like fmt.Sprintf or fmt.Errorf.
func leading(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, _ := strconv.Unquote(e.Value)
		return s
	case *ast.BinaryExpr:
		return leading(e.X)
	case *ast.CallExpr:
		if len(e.Args) > 0 {
			return leading(e.Args[0])
		}
	}
	return ""
}

func importsOf(t *testing.T, f source) []string {
	t.Helper()
	var out []string
	for _, i := range f.ast.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			t.Fatalf("%s: %v", f.path, err)
		}
		out = append(out, p)
	}
	return out
}

// parsed gives every Go file of the module.
func parsed(t *testing.T) []source {
	t.Helper()
	root := "../.."
	var out []source
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			name := d.Name()
			if p != root && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata") {
				return fs.SkipDir
			}
			if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil && p != root {
				return fs.SkipDir // a module of its own: tools
			}
			return nil
		}
		if filepath.Ext(p) != ".go" {
			return nil
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(fset, p, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("parse %s: %w", p, err)
		}
		slash := filepath.ToSlash(rel)
		out = append(out, source{slash, path.Dir(slash), strings.HasSuffix(p, "_test.go"), file, text})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 5 {
		t.Fatalf("found only %d Go files under %s", len(out), root)
	}
	return out
}

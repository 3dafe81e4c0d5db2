package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/narudata/naru/logstash"
	"github.com/narudata/naru/logstash/syntax"
)

func newLogstashTestCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "test PATH…",
		short: "run test cases against pipelines of Logstash",
		long: `Runs test cases: lines or events go through the filters of a pipeline, and what comes
out is compared with what is expected. PATH is a file of cases, or a folder, of which
all *.yaml, *.yml and *.json files with cases are read, also those in folders below.
Inputs and outputs are not touched. Times without a zone are in UTC.

A file of cases is one of logstash-filter-verifier, for either of its modes, or has this
form:

  config: apache.conf     # or a list; without it the *.conf files in the folder of the
                          # file, or in the nearest folder above that is in PATH
  filter: |               # instead of config: what stands between the braces of filter { }
  input: beats            # lines are read as this input of the configuration reads them
  codec: json_lines       # or with this codec
  ecs: disabled           # pipeline.ecs_compatibility
  now: 2024-02-29T12:00:00Z
  env: {REGION: eu}       # variables for ${REGION}
  fields: {type: apache}  # set in every event before the filters
  ignore: ["[host]"]      # fields that are not compared
  partial: true           # only fields that expected events have are compared
  cases:
    - name: an error is an alarm
      lines: ["…"]        # or events: [{message: …}]
      expect:             # what comes out, in this order; [] for nothing
        - message: …

A case may have fields, ignore and partial, too. @version, @timestamp, @metadata and
@outputs (the ids of the outputs that get the event) are compared where an expected
event has them.`,
		examples: []example{
			{"naru logstash test tests", "all cases in a folder"},
			{"naru logstash test -f conf.d tests/syslog.json", "a file of logstash-filter-verifier"},
		},
		exits: []exit{
			{exitOK, "all cases passed"},
			{exitFailed, "a configuration or a file of cases is wrong"},
			{exitDifference, "cases failed"},
		},
	})
	cmd.Args = someArgs("PATH")
	var f isolatedFlags
	f.add(cmd)
	cmd.Flags().Lookup("path.config").Usage = "the configuration for cases that do not name one: a `FILE`, a folder, or a pattern"
	cmd.Flags().Lookup("config.string").Usage = "the same as `TEXT`"
	output := outputFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		local := time.Local
		time.Local = time.UTC
		defer func() { time.Local = local }()
		start := time.Now()
		var report testReport
		for _, path := range args {
			if err := report.run(c, &f, path); err != nil {
				return err
			}
		}
		report.Took = time.Since(start)
		if len(report.Files) == 0 {
			return fmt.Errorf("no test case is in %s: expected *.yaml, *.yml or *.json files with the key cases or testcases", strings.Join(args, ", "))
		}
		if err := c.print(output, &report, report.write); err != nil {
			return err
		}
		switch {
		case report.Wrong > 0:
			return &exitError{code: exitFailed}
		case report.Failed > 0:
			return &exitError{code: exitDifference}
		}
		return nil
	}
	return cmd
}

// A testReport is the result of `naru logstash test`.
type testReport struct {
	Files  []testedFile  `json:"files"`
	Passed int           `json:"passed"`
	Failed int           `json:"failed"`
	Wrong  int           `json:"wrong"` // files that could not be run
	Took   time.Duration `json:"nanoseconds"`
}

type testedFile struct {
	File  string                `json:"file"`
	Error string                `json:"error,omitempty"`
	Cases []logstash.CaseResult `json:"cases,omitempty"`
}

// run runs a file, or those of a folder.
func (r *testReport) run(c *common, f *isolatedFlags, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("read cases: %w", err)
	}
	if !info.IsDir() {
		suite, err := readSuite(path)
		r.add(c, f, path, filepath.Dir(path), suite, err)
		return nil
	}
	return filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("read cases: %w", err)
		}
		if d.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name)) {
			return nil
		}
		suite, err := readSuite(name)
		if !errors.Is(err, logstash.ErrNoCases) {
			r.add(c, f, name, path, suite, err)
		}
		return nil
	})
}

// readSuite reads a file of cases. A file that cannot be read, and does not look like one of cases either, has none.
func readSuite(name string) (*logstash.Suite, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	asJSON, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		if !strings.Contains(string(text), "cases") {
			return nil, logstash.ErrNoCases
		}
		return nil, err
	}
	return logstash.ReadSuite(asJSON)
}

// add runs the cases of a file; unread is why there are none.
func (r *testReport) add(c *common, f *isolatedFlags, name, root string, s *logstash.Suite, unread error) {
	t := testedFile{File: name}
	err := unread
	if err == nil {
		t.Cases, err = runSuite(c, f, name, root, s)
	}
	if err != nil {
		t.Error = err.Error()
		r.Wrong++
	}
	for _, result := range t.Cases {
		if result.Passed {
			r.Passed++
		} else {
			r.Failed++
		}
	}
	r.Files = append(r.Files, t)
}

func runSuite(c *common, f *isolatedFlags, name, root string, s *logstash.Suite) ([]logstash.CaseResult, error) {
	var files []syntax.File
	if s.Filter == "" {
		var err error
		if files, err = suiteConfig(f, name, root, s.Config); err != nil {
			return nil, err
		}
	}
	read, compile := f.options(c)
	results, problems, err := s.Run(files, read, compile)
	for _, e := range problems.Errors {
		writeProblem(c.Stderr, "", e)
	}
	if len(problems.Errors) > 0 {
		return nil, fmt.Errorf("the configuration is wrong: %s", plural(int64(len(problems.Errors)), "error"))
	}
	return results, err
}

// suiteConfig reads the configuration that a file of cases is for: the one it names, that of the flags, or the *.conf files in
// its folder or the nearest one above, up to root.
func suiteConfig(f *isolatedFlags, name, root string, named []string) ([]syntax.File, error) {
	dir := filepath.Dir(name)
	var files []syntax.File
	for _, path := range named {
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		more, err := syntax.ReadFiles(path)
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	if len(named) > 0 {
		return files, nil
	}
	if f.path != "" || f.text != "" {
		return f.files()
	}
	for {
		files, err := syntax.ReadFiles(filepath.Join(dir, "*.conf"))
		if !errors.Is(err, fs.ErrNotExist) {
			return files, err
		}
		up := filepath.Dir(dir)
		if rel, err := filepath.Rel(root, up); err != nil || !filepath.IsLocal(rel) || up == dir {
			return nil, errors.New("there is no configuration: give -f FILE, name it with config, or put a *.conf file beside")
		}
		dir = up
	}
}

// write writes what failed, and the numbers.
func (r *testReport) write(w io.Writer, width int) error {
	for i := range r.Files {
		f := &r.Files[i]
		if f.Error != "" {
			fmt.Fprintf(w, "ERROR %s: %s\n\n", printable(f.File), f.Error)
		}
		for _, result := range f.Cases {
			if !result.Passed {
				writeFailedCase(w, width, f.File, &result)
			}
		}
	}
	t := table{columns: []column{
		{title: "FILE", shrink: true}, {title: "CASES", right: true}, {title: "FAILED", right: true, optional: true}, {title: "TOOK", right: true},
	}}
	for i := range r.Files {
		f := &r.Files[i]
		if f.Error != "" {
			continue
		}
		failed, took := 0, time.Duration(0)
		for _, result := range f.Cases {
			took += result.Took
			if !result.Passed {
				failed++
			}
		}
		t.row(printable(f.File), fmt.Sprint(len(f.Cases)), fmt.Sprint(failed), nanos(took))
	}
	if len(t.rows) > 0 {
		if err := t.write(w, width); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%s passed, %d failed", plural(int64(r.Passed), "case"), r.Failed)
	if r.Wrong > 0 {
		fmt.Fprintf(w, "; %s could not be run", plural(int64(r.Wrong), "file"))
	}
	fmt.Fprintf(w, ", in %s\n", nanos(r.Took))
	return nil
}

// writeFailedCase writes each difference on lines of their own: what was expected above what was found.
func writeFailedCase(w io.Writer, width int, file string, result *logstash.CaseResult) {
	fmt.Fprintf(w, "FAIL %s: %s\n", printable(file), printable(result.Name))
	last := 0
	for _, d := range result.Differences {
		if d.Field == "" {
			if d.Expected != nil {
				fmt.Fprintf(w, "  event %d is missing\n    expected  %s\n", d.Event, printable(string(d.Expected)))
			} else {
				fmt.Fprintf(w, "  event %d is not expected\n    found     %s\n", d.Event, printable(string(d.Found)))
			}
			continue
		}
		if d.Event != last {
			fmt.Fprintf(w, "  event %d\n", d.Event)
			last = d.Event
		}
		fmt.Fprintf(w, "    %s\n", printable(d.Field))
		for _, side := range []struct {
			name  string
			value []byte
		}{{"expected", d.Expected}, {"found   ", d.Found}} {
			text := "nothing"
			if side.value != nil {
				text = printable(string(side.value))
			}
			if width > 0 {
				text = cut(text, max(width-16, legible))
			}
			fmt.Fprintf(w, "      %s  %s\n", side.name, text)
		}
	}
	fmt.Fprintln(w)
}

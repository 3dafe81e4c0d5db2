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

	"github.com/spf13/cobra"

	"github.com/narudata/naru/logstash"
	"github.com/narudata/naru/logstash/syntax"
)

func newLogstashCheckCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "check PATH…",
		short: "look whether configurations of Logstash are right, and can run in naru",
		long: `Reads and compiles each file on its own, and runs nothing. PATH is a file, or a folder
of which all *.conf files are read, also those in folders below. All problems of a file
are named, each with its place and what was expected there. A file is

  ok          naru runs it
  incomplete  it is right, and has plugins that are not built into naru yet
  wrong       it has mistakes, or names files or variables that are not there, or
              certificates and keys that cannot be read, or one port twice

Folders are not looked at, as the files may be for another machine: naru logstash -t does
so where they are to run.`,
		examples: []example{
			{"naru logstash check /etc/logstash/conf.d", "a verdict for each file"},
			{"naru logstash check a.conf b.conf -o json", "the same for a machine"},
		},
		exits: []exit{
			{exitOK, "naru runs all of them"},
			{exitFailed, "a file cannot be read"},
			{exitDifference, "there are problems"},
		},
	})
	cmd.Args = someArgs("PATH")
	var s logstashSettings
	s.addLanguage(cmd)
	output := outputFlag(cmd)
	warnings := cmd.Flags().Bool("warnings", false, "print the warnings, too")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		files, err := configurations(args)
		if err != nil {
			return err
		}
		report := logstashCheck{warnings: *warnings}
		read, compile := s.options(c)
		for _, f := range files {
			p, problems := logstash.Read([]syntax.File{f}, read, compile)
			if p != nil {
				problems.Errors, _ = logstash.Inspect([]logstash.Planned{{Pipeline: p}})
				if err := p.Close(); err != nil {
					return err
				}
			}
			report.add(f.Name, problems)
		}
		if err := c.print(output, report.result(), report.write); err != nil {
			return err
		}
		if report.Incomplete+report.Wrong > 0 {
			return &exitError{code: exitDifference}
		}
		return nil
	}
	return cmd
}

// configurations reads files, and the *.conf files of folders.
func configurations(paths []string) ([]syntax.File, error) {
	var names []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("read configurations: %w", err)
		}
		if !info.IsDir() {
			names = append(names, path)
			continue
		}
		found := len(names)
		err = filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && strings.HasSuffix(name, ".conf") {
				names = append(names, name)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read configurations: %w", err)
		}
		if len(names) == found {
			return nil, fmt.Errorf("read configurations: no *.conf file is in %s", path)
		}
		slices.Sort(names[found:])
	}
	files := make([]syntax.File, len(names))
	for i, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read configurations: %w", err)
		}
		files[i] = syntax.File{Name: name, Text: text}
	}
	return files, nil
}

// A logstashCheck is the result of `naru logstash check`.
type logstashCheck struct {
	Files      []checkedFile `json:"files"`
	OK         int           `json:"ok"`
	Incomplete int           `json:"incomplete"`
	Wrong      int           `json:"wrong"`
	warnings   bool
}

type checkedFile struct {
	File     string           `json:"file"`
	Verdict  string           `json:"verdict"` // ok, incomplete, wrong
	Unbuilt  []string         `json:"unbuilt,omitempty"`
	Errors   []checkedProblem `json:"errors,omitempty"`
	Warnings []checkedProblem `json:"warnings,omitempty"`
	problems logstash.Problems
}

type checkedProblem struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
}

func (r *logstashCheck) result() *logstashCheck { return r }

func (r *logstashCheck) add(name string, problems logstash.Problems) {
	f := checkedFile{File: name, Verdict: "ok", Unbuilt: problems.Unbuilt, problems: problems}
	switch {
	case len(problems.Errors) == 0:
		r.OK++
	case problems.OnlyUnbuilt():
		f.Verdict = "incomplete"
		r.Incomplete++
	default:
		f.Verdict = "wrong"
		r.Wrong++
	}
	for _, e := range problems.Errors {
		f.Errors = append(f.Errors, checkedProblem{e.Pos.Line, e.Pos.Column, e.Message})
	}
	for _, e := range problems.Warnings {
		f.Warnings = append(f.Warnings, checkedProblem{e.Pos.Line, e.Pos.Column, e.Message})
	}
	r.Files = append(r.Files, f)
}

// write prints a line for each file, and below it what is wrong with it.
func (r *logstashCheck) write(w io.Writer, _ int) error {
	var all []error
	for _, f := range r.Files {
		_, err := fmt.Fprintf(w, "%-10s  %s\n", f.Verdict, f.File)
		all = append(all, err)
		for _, e := range f.problems.Errors {
			writeProblem(w, "  ", e)
		}
		if r.warnings {
			for _, e := range f.problems.Warnings {
				writeProblem(w, "  warning: ", e)
			}
		}
	}
	_, err := fmt.Fprintf(w, "%s: %d ok, %d incomplete, %d wrong\n", plural(int64(len(r.Files)), "file"), r.OK, r.Incomplete, r.Wrong)
	return errors.Join(append(all, err)...)
}

package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/agent"
	"github.com/narudata/naru/format/filebeat"
)

func newFilebeatCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "filebeat",
		short: "look at configurations and registries of Filebeat",
		long: `naru agent runs Filebeat's configurations and goes on where a Filebeat stopped. These
commands say beforehand what will come of it.`,
		examples: []example{
			{"naru filebeat check /etc/filebeat/filebeat.yml", "can naru agent run it?"},
			{"naru filebeat registry /var/lib/filebeat", "how far Filebeat has read"},
		},
		exits: []exit{{exitOK, "done"}, {exitFailed, "a file cannot be read"}, {exitDifference, "there are findings"}},
	})
	cmd.AddCommand(newFilebeatCheckCommand(c), newFilebeatRegistryCommand(c))
	return cmd
}

func newFilebeatCheckCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "check FILE…",
		short: "look whether naru agent can run configurations of Filebeat",
		long: `Reads each filebeat.yml with the files of inputs that it names, and runs nothing. What
there is to say has its place, and what to do about it:

  wrong        it is a mistake, also for Filebeat
  unsupported  naru cannot do it: the agent does not start before it is changed
  different    the agent runs, and what comes out differs
  note         the agent runs, and needs nothing of the kind (with --notes)

The verdict of a file is ok, differs, or does not run.`,
		examples: []example{
			{"naru filebeat check /etc/filebeat/filebeat.yml", "all that is to be said of it"},
			{"naru filebeat check *.yml -o json", "the same for a machine"},
		},
		exits: []exit{
			{exitOK, "naru agent runs all of them as Filebeat does"},
			{exitFailed, "a file cannot be read"},
			{exitDifference, "there are findings: something is wrong, unsupported or different"},
		},
	})
	cmd.Args = someArgs("FILE")
	var f filebeatFlags
	f.add(cmd)
	for _, hidden := range []string{"config", "path.data"} {
		if err := cmd.Flags().MarkHidden(hidden); err != nil {
			panic("BUG: " + err.Error())
		}
	}
	output := outputFlag(cmd)
	notes := cmd.Flags().Bool("notes", false, "print the notes, too")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		report := filebeatCheck{Files: []checkedFilebeat{}}
		findings := false
		for _, name := range args {
			f.file = name
			config, err := f.load(c, true)
			if err != nil {
				return err
			}
			one := checkedFilebeat{File: name, Verdict: "ok", Problems: []filebeat.Problem{}}
			for _, p := range config.Problems {
				if p.Level == filebeat.Note {
					one.Notes++
					if !*notes {
						continue
					}
				}
				one.Problems = append(one.Problems, p)
			}
			switch config.Worst() {
			case filebeat.Wrong, filebeat.Unsupported:
				one.Verdict, findings = "does not run", true
			case filebeat.Different:
				one.Verdict, findings = "differs", true
			case filebeat.Note:
			}
			one.Inputs, one.Output = len(config.Inputs), config.OutputName
			report.Files = append(report.Files, one)
		}
		if err := c.print(output, report, report.write); err != nil {
			return err
		}
		if findings {
			return &exitError{code: exitDifference}
		}
		return nil
	}
	return cmd
}

// A filebeatCheck is the result of `naru filebeat check`.
type filebeatCheck struct {
	Files []checkedFilebeat `json:"files"`
}

type checkedFilebeat struct {
	File     string             `json:"file"`
	Verdict  string             `json:"verdict"`
	Inputs   int                `json:"inputs"`
	Output   string             `json:"output"`
	Notes    int                `json:"notes"`
	Problems []filebeat.Problem `json:"problems"`
}

func (r filebeatCheck) write(w io.Writer, _ int) error {
	for _, f := range r.Files {
		for _, p := range f.Problems {
			setting := ""
			if p.Setting != "" {
				setting = p.Setting + ": "
			}
			fmt.Fprintf(w, "%s: %s: %s%s\n", p.Place, p.Level, setting, p.Text)
			if p.Hint != "" {
				fmt.Fprintf(w, "    %s\n", p.Hint)
			}
		}
		more := ""
		if f.Notes > 0 {
			more = fmt.Sprintf(", %s", plural(int64(f.Notes), "note"))
		}
		fmt.Fprintf(w, "%s: %s (%s, output %s%s)\n", f.File, f.Verdict, plural(int64(f.Inputs), "input"), orNone(f.Output), more)
	}
	return nil
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func newFilebeatRegistryCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "registry DIR",
		short: "show how far a Filebeat has read its files",
		long: `Reads the registry of a Filebeat, and changes nothing. DIR is its path.data, or
path.data/registry/filebeat, or a data.json of versions before 7.9. naru agent
--filebeat-registry DIR goes on from there, once, when its inputs run for the first time.`,
		examples: []example{{"naru filebeat registry /var/lib/filebeat", "a table of files"}},
		exits: []exit{
			{exitOK, "all files can be taken over"}, {exitFailed, "the registry cannot be read"},
			{exitDifference, "some files cannot be taken over"},
		},
	})
	cmd.Aliases = []string{"import"}
	cmd.Args = exactArgs("DIR")
	output := outputFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		taken, torn, err := agent.ReadTaken(args[0])
		if err != nil {
			return err
		}
		if torn {
			fmt.Fprintln(c.Stderr, "the registry ends in the middle of something, as after a crash: what was there before counts")
		}
		if err := c.print(output, taken, func(w io.Writer, width int) error { return writeTaken(w, width, taken) }); err != nil {
			return err
		}
		for i := range taken {
			if taken[i].Why != "" {
				return &exitError{code: exitDifference}
			}
		}
		return nil
	}
	return cmd
}

func writeTaken(w io.Writer, width int, all []agent.Taken) error {
	t := table{columns: []column{
		{title: "PATH", shrink: true}, {title: "OFFSET", right: true}, {title: "UNREAD", right: true}, {title: "INPUT"}, {title: "ID", optional: true}, {title: "KNOWN BY"}, {title: "NOT TAKEN OVER", optional: true},
	}}
	for _, f := range all {
		unread := "gone"
		if f.Size >= 0 {
			unread = count(max(0, f.Size-f.Offset))
		}
		t.row(f.Path, count(f.Offset), unread, f.Input, f.ID, f.Known, f.Why)
	}
	return t.write(w, width)
}

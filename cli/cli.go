// Package cli is the command line: one file per command. Commands read their surroundings from an Env and have
// no globals; results go to standard output, everything else to standard error.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/internal/termination"
)

// Env is the process as a command sees it.
type Env struct {
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Getenv func(string) string
	// Columns is the width of the terminal behind w; 0: w is no terminal.
	Columns func(w io.Writer) int
	// Interrupts gives SIGINT and SIGTERM until stop is called.
	Interrupts func() (signals <-chan os.Signal, stop func())

	wrap   func(flow.Source) flow.Source // tests slow a source down with it; nil: as it is
	ending *termination.Message          // what is left for Kubernetes at the end; nil: nothing
}

// Process is the Env of this process.
func Process() Env {
	return Env{
		Stdin:  os.Stdin,
		Stdout: os.Stdout,
		Stderr: os.Stderr,
		Getenv: os.Getenv,
		Columns: func(w io.Writer) int {
			f, ok := w.(*os.File)
			if !ok || !term.IsTerminal(int(f.Fd())) {
				return 0
			}
			columns, _, err := term.GetSize(int(f.Fd()))
			if err != nil || columns <= 0 {
				return defaultColumns
			}
			return columns
		},
		Interrupts: func() (<-chan os.Signal, func()) {
			c := make(chan os.Signal, 2)
			signal.Notify(c, os.Interrupt, syscall.SIGTERM)
			return c, func() { signal.Stop(c) }
		},
	}
}

const defaultColumns = 80

// columns is how wide output to w may be. Where w is no terminal COLUMNS decides, else nothing is cut.
func (env Env) columns(w io.Writer) int {
	if n, err := strconv.Atoi(env.Getenv("COLUMNS")); err == nil && n >= 40 {
		return n
	}
	return env.Columns(w)
}

// Main runs the command line args (without the program's name) and returns the exit status.
func Main(ctx context.Context, env Env, args []string) int {
	env.ending = new(termination.Message)
	root := newRootCommand(env)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	e := &exitError{code: exitOK}
	if err != nil && !errors.As(err, &e) {
		e = &exitError{exitFailed, err}
	}
	if e.err != nil {
		fmt.Fprintf(env.Stderr, "%s: %v\n", cmd.CommandPath(), e.err)
	}
	env.leave(cmd.CommandPath(), e)
	return e.code
}

// common is what all commands share: the Env and the flags of the root.
type common struct {
	Env
	logLevel  slog.Level
	logFormat choice
}

// log is the logger that the flags ask for.
func (c *common) log() *slog.Logger {
	options := &slog.HandlerOptions{Level: c.logLevel}
	if c.logFormat.value == "json" {
		return slog.New(slog.NewJSONHandler(c.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(c.Stderr, options))
}

func newRootCommand(env Env) *cobra.Command {
	c := &common{Env: env, logLevel: slog.LevelWarn, logFormat: choice{value: "text", of: []string{"text", "json"}}}
	root := newCommand(page{
		use:   "naru",
		short: "take over an ELK estate: its data, its pipelines, its environments",
		long: `naru reads the snapshot repositories of Elasticsearch 5 to 8 and OpenSearch 1 to 3
as files: no cluster, no JVM. Every live document arrives byte for byte in an
archive on disk, or in a cluster; it is counted and compared, and what cannot be
carried is said. It makes OpenSearch restore snapshots of Elasticsearch by itself,
runs Logstash's pipelines unchanged, says how Kafka's topics and groups are, keeps
OpenSearch and Kafka as Git declares them, and does all that on Kubernetes, too.`,
		examples: []example{
			{"naru snapshot show /backups/es", "what is in a repository"},
			{"naru carry /backups/es parquet:/archive --index 'logs-*'", "carry it into an archive"},
			{"naru carry s3://backups/es https://node-1:9200", "or from S3 into OpenSearch"},
			{"naru verify /backups/es /archive", "compare the two, document by document"},
			{"naru graft /backups/es /backups/os --restore https://node-1:9200", "restore it in OpenSearch, with no reindexing"},
			{"naru logstash check conf.d", "can these Logstash pipelines run in naru?"},
			{"naru plan -f estate -e prod", "what does production lack to be what Git says?"},
		},
		exits: []exit{{exitOK, "it worked"}, {exitFailed, "it did not; standard error says why"}},
	})
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { writeHelp(env.Stdout, cmd) })
	root.SetFlagErrorFunc(flagError)
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(newHelpCommand(c))
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(cmd, args[0])
		}
		return cmd.Help()
	}
	root.Args = cobra.ArbitraryArgs
	flags := root.PersistentFlags()
	flags.TextVar(&c.logLevel, "log-level", slog.LevelWarn, "log what is at least as grave: `LEVEL` debug, info, warn or error")
	flags.Var(&c.logFormat, "log-format", "write the log to standard error as `FORMAT` text or json")
	for _, g := range []struct {
		title    string
		commands []*cobra.Command
	}{
		{"DATA", []*cobra.Command{
			newCarryCommand(c), newExplainCommand(c), newRunCommand(c), newVerifyCommand(c), newDiffCommand(c), newDLQCommand(c), newCutoverCommand(c),
			newStatusCommand(c), newPauseCommand(c), newResumeCommand(c),
		}},
		{"SNAPSHOTS", []*cobra.Command{newSnapshotCommand(c), newGraftCommand(c), newMoveCommand(c), newLuceneCommand(c)}},
		{"PIPELINES AND KAFKA", []*cobra.Command{
			newLogstashCommand(c), newTopCommand(c), newTapCommand(c), newAgentCommand(c), newFilebeatCommand(c), newKafkaCommand(c),
		}},
		{"ENVIRONMENTS", []*cobra.Command{newConvertCommand(c), newPlanCommand(c), newApplyCommand(c), newDriftCommand(c), newEnvCommand(c), newCostCommand(c)}},
		{"KUBERNETES", []*cobra.Command{newOperatorCommand(c), newBridgeCommand(c), newInstallCommand(c)}},
		{"NARU", []*cobra.Command{newVersionCommand(c), newCompletionCommand(c), newReferenceCommand(c)}},
	} {
		root.AddGroup(&cobra.Group{ID: g.title, Title: g.title})
		for _, cmd := range g.commands {
			cmd.GroupID = g.title
		}
		root.AddCommand(g.commands...)
	}
	return root
}

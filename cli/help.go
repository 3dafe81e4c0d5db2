package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/narudata/naru/connect"
)

// Exit statuses, the same for every command.
const (
	exitOK          = 0
	exitFailed      = 1
	exitDifference  = 2 // differences or findings
	exitMismatch    = 3 // a verification found that what arrived is not what was sent
	exitPartial     = 4 // done, but not everything could be carried whole
	exitInterrupted = 130
)

// exitError ends a command with a status. A nil err: what there is to say has been said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// A page is what a command's help says.
type page struct {
	use      string // "carry FROM TO"
	short    string // one line, no full stop
	long     string // a paragraph, broken at 80 columns
	examples []example
	exits    []exit
	hidden   bool
}

type example struct{ line, what string }

type exit struct {
	code int
	when string
}

// Annotations of a cobra.Command that writeHelp and the reference read.
const (
	exitAnnotation    = "exit"
	exampleAnnotation = "example"
)

func newCommand(p page) *cobra.Command {
	var exits, examples strings.Builder
	for _, e := range p.exits {
		fmt.Fprintf(&exits, "  %-3d  %s\n", e.code, e.when)
	}
	for _, e := range p.examples {
		fmt.Fprintf(&examples, "  # %s\n  %s\n", e.what, e.line)
	}
	return &cobra.Command{
		Use:                   p.use,
		Short:                 p.short,
		Long:                  p.long,
		Hidden:                p.hidden,
		SilenceErrors:         true,
		SilenceUsage:          true,
		DisableFlagsInUseLine: true,
		Annotations:           map[string]string{exitAnnotation: exits.String(), exampleAnnotation: examples.String()},
	}
}

// writeHelp writes the whole help of cmd.
func writeHelp(w io.Writer, cmd *cobra.Command) {
	fmt.Fprintf(w, "%s - %s\n\n%s\n\nUSAGE\n", cmd.CommandPath(), cmd.Short, cmd.Long)
	if cmd.Runnable() && cmd.HasParent() {
		fmt.Fprintf(w, "  %s [flags]\n", cmd.UseLine())
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "  %s COMMAND\n", cmd.CommandPath())
		groups := cmd.Groups()
		if len(groups) == 0 {
			groups = []*cobra.Group{{Title: "COMMANDS"}} // what has no group
		}
		for _, g := range groups {
			fmt.Fprintf(w, "\n%s\n", g.Title)
			for _, sub := range cmd.Commands() {
				if sub.IsAvailableCommand() && sub.GroupID == g.ID {
					fmt.Fprintf(w, "  %-11s %s\n", sub.Name(), sub.Short)
				}
			}
		}
	}
	fmt.Fprintf(w, "\nEXAMPLES\n%s", cmd.Annotations[exampleAnnotation])
	if flags := cmd.LocalFlags(); flags.HasAvailableFlags() {
		fmt.Fprintf(w, "\nFLAGS\n%s", flags.FlagUsagesWrapped(defaultColumns))
	}
	if flags := cmd.InheritedFlags(); flags.HasAvailableFlags() {
		fmt.Fprintf(w, "\nFLAGS OF EVERY COMMAND\n%s", flags.FlagUsagesWrapped(defaultColumns))
	}
	fmt.Fprintf(w, "\nEXIT STATUS\n%s", cmd.Annotations[exitAnnotation])
}

func newHelpCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:      "help [COMMAND]",
		short:    "say how a command is used",
		long:     "Prints what `naru COMMAND --help` prints.",
		examples: []example{{"naru help carry", "how to carry"}},
		exits:    []exit{{exitOK, "printed"}, {exitFailed, "there is no such command"}},
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		found, rest, err := cmd.Root().Find(args)
		if err != nil || len(rest) > 0 {
			return unknownCommand(cmd.Root(), strings.Join(args, " "))
		}
		writeHelp(c.Stdout, found)
		return nil
	}
	return cmd
}

// unknownCommand names the command that was perhaps meant.
func unknownCommand(parent *cobra.Command, name string) error {
	var names []string
	for _, sub := range parent.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	if near := connect.Nearest(name, names); near != "" {
		return fmt.Errorf("unknown command %q; did you mean %q?", name, near)
	}
	return fmt.Errorf("unknown command %q; `%s --help` lists the commands", name, parent.CommandPath())
}

// flagError adds to pflag's message what to do.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				names = append(names, f.Name)
			}
		})
		if near := connect.Nearest(unknown.GetSpecifiedName(), names); near != "" {
			return fmt.Errorf("%w; did you mean --%s?", err, near)
		}
	}
	return fmt.Errorf("%w; `%s --help` lists the flags", err, cmd.CommandPath())
}

// exactArgs checks the number of arguments and says which one is missing or too many.
func exactArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return fmt.Errorf("%s is missing; usage: %s", names[len(args)], cmd.UseLine())
		case len(args) > len(names):
			return fmt.Errorf("%q is one argument too many; usage: %s", args[len(names)], cmd.UseLine())
		}
		return nil
	}
}

// someArgs checks that there is an argument; more are welcome.
func someArgs(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return exactArgs(name)(cmd, args)
		}
		return nil
	}
}

// parent makes cmd a command that only has subcommands.
func parent(cmd *cobra.Command, subs ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(subs...)
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(cmd, args[0])
		}
		return cmd.Help()
	}
	return cmd
}

// A choice is a flag with a few values.
type choice struct {
	value string
	of    []string
}

func (c *choice) String() string { return c.value }
func (c *choice) Type() string   { return "string" }

func (c *choice) Set(s string) error {
	for _, v := range c.of {
		if s == v {
			c.value = s
			return nil
		}
	}
	return fmt.Errorf("it is one of %s", strings.Join(c.of, ", "))
}

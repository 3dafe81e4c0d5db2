package cli

import (
	"encoding"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/narudata/naru/connect"
	"github.com/narudata/naru/migrate/graft"
)

func newReferenceCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:      "reference",
		short:    "print the reference of commands and flow files",
		long:     "Prints docs/reference.md: every command as its help has it, and every key of a flow\nfile, both made from the code.",
		examples: []example{{"naru reference > docs/reference.md", "what `make generate` does"}},
		exits:    []exit{{exitOK, "printed"}},
		hidden:   true,
	})
	cmd.Args = exactArgs()
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return writeReference(c.Stdout, cmd.Root()) }
	return cmd
}

// writeReference writes docs/reference.md.
func writeReference(w io.Writer, root *cobra.Command) error {
	var b strings.Builder
	b.WriteString("# Reference\n\nMade by `make generate` from the commands and the types of the configuration; do not edit.\n\n## Commands\n")
	writeCommand(&b, root)
	b.WriteString("\n## Flow files\n\n")
	b.WriteString("`naru run FLOW.yaml` and `naru explain FLOW.yaml` read these keys. An unknown key is an error with its line.\n")
	writeKeys(&b, "", reflect.TypeFor[connect.Flow](), "the file")
	b.WriteString("\n## Graft rules\n\nWhat `naru graft` decides by. Plans name the rules; they are never renamed.\n\n| rule | | why |\n|---|---|---|\n")
	for _, r := range graft.Rules() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.ID, cell(sentence(r.Title)), cell(sentence(r.Why)))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeCommand(b *strings.Builder, cmd *cobra.Command) {
	if cmd.Hidden || cmd.Name() == "help" {
		return
	}
	cmd.InitDefaultHelpFlag()
	fmt.Fprintf(b, "\n### %s\n\n%s.\n\n%s\n\n", cmd.CommandPath(), sentence(cmd.Short), cmd.Long)
	if cmd.HasParent() {
		fmt.Fprintf(b, "```\n%s [flags]\n```\n\n", cmd.UseLine())
	}
	fmt.Fprintf(b, "```sh\n%s```\n", unindent(cmd.Annotations[exampleAnnotation]))
	flags := cmd.NonInheritedFlags()
	if flags.HasAvailableFlags() {
		b.WriteString("\n| flag | default | |\n|---|---|---|\n")
		flags.VisitAll(func(f *pflag.Flag) {
			if f.Hidden {
				return
			}
			name, usage := pflag.UnquoteUsage(f)
			short := ""
			if f.Shorthand != "" {
				short = "-" + f.Shorthand + ", "
			}
			if name != "" {
				name = " " + name
			}
			standard := f.DefValue
			if standard == "[]" || standard == "false" {
				standard = ""
			}
			fmt.Fprintf(b, "| `%s--%s%s` | %s | %s |\n", short, f.Name, name, code(standard), cell(usage))
		})
	}
	b.WriteString("\n| exit status | |\n|---|---|\n")
	for line := range strings.Lines(cmd.Annotations[exitAnnotation]) {
		number, when, _ := strings.Cut(strings.TrimSpace(line), " ")
		fmt.Fprintf(b, "| %s | %s |\n", number, cell(strings.TrimSpace(when)))
	}
	for _, sub := range cmd.Commands() {
		writeCommand(b, sub)
	}
}

// writeKeys writes a table of the keys of t, then those of the structs in it.
func writeKeys(b *strings.Builder, path string, t reflect.Type, title string) {
	fmt.Fprintf(b, "\n### %s\n\n| key | value | |\n|---|---|---|\n", sentence(title))
	type deeper struct {
		path string
		t    reflect.Type
	}
	var below []deeper
	for _, f := range connect.Fields(t) {
		kind, inner := valueOf(f.Type)
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", f.Name, kind, cell(f.Doc))
		if inner != nil {
			below = append(below, deeper{strings.TrimPrefix(path+"."+f.Name, "."), inner})
		}
	}
	for _, d := range below {
		writeKeys(b, d.path, d.t, "`"+d.path+"`")
	}
}

// valueOf says what a key's value is, and gives the struct that it is made of, if it is.
func valueOf(t reflect.Type) (kind string, inner reflect.Type) {
	if t.Kind() == reflect.Pointer {
		return valueOf(t.Elem())
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return "text", nil
	}
	switch t.Kind() {
	case reflect.Struct:
		return "keys", t
	case reflect.Slice:
		of, inner := valueOf(t.Elem())
		return "list of " + of, inner
	case reflect.Bool:
		return "true or false", nil
	case reflect.String:
		return "text", nil
	case reflect.Int64:
		if t == reflect.TypeFor[time.Duration]() {
			return "duration", nil
		}
	}
	return "number", nil
}

func sentence(s string) string {
	if s == "" || s[0] == '`' {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

func unindent(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString(strings.TrimPrefix(line, "  "))
	}
	return b.String()
}

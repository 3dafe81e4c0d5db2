package cli

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

func TestTheReferenceIsWhatTheCommandsSay(t *testing.T) {
	var b bytes.Buffer
	if err := writeReference(&b, newRootCommand(Process())); err != nil {
		t.Fatal(err)
	}
	const path = "../docs/reference.md"
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b.String(), string(want)); diff != "" {
		t.Errorf("docs/reference.md is stale: make generate\n%s", diff)
	}
}

func TestEveryCommandSaysHowAndWithWhichStatus(t *testing.T) {
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		name := cmd.CommandPath()
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") || strings.ToLower(cmd.Short[:1]) != cmd.Short[:1] {
			t.Errorf("%s: the one line %q is not one that begins small and has no full stop", name, cmd.Short)
		}
		if cmd.Long == "" || cmd.Annotations[exampleAnnotation] == "" || cmd.Annotations[exitAnnotation] == "" {
			t.Errorf("%s lacks a paragraph, examples or exit statuses", name)
		}
		for line := range strings.Lines(cmd.Long) {
			if n := cellWidth(strings.TrimSuffix(line, "\n")); n > 92 {
				t.Errorf("%s: a line of %d columns in its paragraph", name, n)
			}
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(newRootCommand(Process()))
}

func TestEveryKeyOfAFlowFileIsExplained(t *testing.T) {
	var b bytes.Buffer
	if err := writeReference(&b, newRootCommand(Process())); err != nil {
		t.Fatal(err)
	}
	_, keys, ok := strings.Cut(b.String(), "## Flow files")
	if !ok {
		t.Fatal("the reference has no chapter on flow files")
	}
	for line := range strings.Lines(keys) {
		if strings.HasPrefix(line, "| `") && strings.HasSuffix(line, "|  |\n") {
			t.Errorf("a key without a word: %s", line)
		}
	}
}

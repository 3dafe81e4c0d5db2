package logstash_test

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/logstash/input"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/output"
)

const introductionIO = `# Logstash inputs and outputs

Made by ` + "`make generate`" + ` from the sources of inputs and outputs; do not edit.

Options have the names, types and defaults of Logstash's plugins; each plugin here says which version it follows. What an event became is
delivered to every output, or kept as a dead letter, before its input is told so: Beats get their acknowledgement then, offsets of Kafka are
committed then, and the position in a file is saved then. What a source cannot give again (sockets, HTTP) is kept on the disk first.
[Logstash pipelines in naru](logstash.md) has more about delivery; [filters and codecs](filters.md) are on a page of their own.
`

func TestTheReferenceOfInputsAndOutputsIsWhatTheySay(t *testing.T) {
	const path = "../docs/inputs-outputs.md"
	var b strings.Builder
	b.WriteString(introductionIO)
	section(t, &b, "input", plugins(input.Table()), option.Describe(new(struct{ input.Options })))
	section(t, &b, "output", plugins(output.Table()), option.Describe(new(struct{ output.Options })))
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(b.String(), string(have)); diff != "" {
		t.Errorf("docs/inputs-outputs.md is stale: make generate\n%s", diff)
	}
}

// plugins makes one plugin of each name.
func plugins[P any](table map[string]func() P) map[string]any {
	out := map[string]any{}
	for name, create := range table {
		out[name] = create()
	}
	return out
}

// section writes the plugins of a kind. Names of the same plugin are one part.
func section(t *testing.T, b *strings.Builder, kind string, plugins map[string]any, common []*option.Description) {
	t.Helper()
	docs := docComments(t, kind)
	fmt.Fprintf(b, "\n## Options of all %ss\n\n", kind)
	writeOptions(t, b, common)
	fmt.Fprintf(b, "\n## %ss\n", sentence(kind))
	names := map[reflect.Type][]string{}
	for _, name := range slices.Sorted(maps.Keys(plugins)) {
		of := reflect.TypeOf(plugins[name])
		names[of] = append(names[of], name)
	}
	written := map[reflect.Type]bool{}
	for _, name := range slices.Sorted(maps.Keys(plugins)) {
		of := reflect.TypeOf(plugins[name])
		if written[of] {
			continue
		}
		written[of] = true
		writePlugin(t, b, kind+" "+strings.Join(names[of], ", "), kind+"-"+name, plugins[name], docs, common)
	}
}

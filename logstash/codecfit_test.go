package logstash

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAnEventThatDoesNotFitItsCodecIsADeadLetter(t *testing.T) {
	schema := filepath.Join(t.TempDir(), "s.avsc")
	if err := os.WriteFile(schema, []byte(`{"type":"record","name":"r","fields":[{"name":"a","type":"long"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{"stdout { codec => avro { schema_uri => %q } }", "file { path => '/dev/null' codec => avro { schema_uri => %q } }"} {
		p, problems := compileText(t, "input { stdin { codec => json_lines } } output { "+fmt.Sprintf(out, schema)+" }")
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		dead := &buried{}
		tally, err := p.Run(t.Context(), RunOptions{Stdin: strings.NewReader("{\"a\":1}\n{\"a\":\"one\"}\n{\"a\":2}\n"), Stdout: io.Discard, Dead: dead})
		if err != nil {
			t.Fatal(err)
		}
		if tally.Records != 2 || tally.Dead != 1 || len(dead.dead) != 1 || !strings.Contains(dead.dead[0], `"a":"one"`) || !strings.Contains(dead.dead[0], "Avro type long") {
			t.Errorf("%s: %+v, dead %q", out, tally, dead.dead)
		}
	}
}

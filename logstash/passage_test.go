package logstash

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/logstash/syntax"
)

func TestAPassageGivesWhatReachesWhichOutputs(t *testing.T) {
	const text = `
input { kafka { topics => "x" tags => "in" } }
filter {
  if [message] == "drop" { drop {} }
  if [message] == "two" { clone { clones => "second" ecs_compatibility => disabled } }
  mutate { add_field => { "[@metadata][m]" => "%{message}" } }
}
output {
  if [message] == "two" { opensearch { id => "search" } file { path => "/x" } } else { stdout {} }
}`
	o := Options{Now: func() time.Time { return time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC) }}
	i, problems := ReadIsolated([]syntax.File{{Name: "a", Text: []byte(text)}}, syntax.Options{}, o)
	if i == nil {
		t.Fatal(problems)
	}
	defer i.Close() //nolint:errcheck // of a test
	var got []string
	p, err := i.Passage("", func(event []byte) { got = append(got, string(event)) })
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"one", "drop", "two"} {
		if err := p.Line([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	p.End()
	want := []string{
		`{"message":"one","@version":"1","@timestamp":"2026-11-24T10:00:00.000Z","event":{"original":"one"},"tags":["in"],"@metadata":{"m":"one"},"@outputs":["stdout"]}`,
		`{"message":"two","@version":"1","@timestamp":"2026-11-24T10:00:00.000Z","event":{"original":"two"},"tags":["in"],"@metadata":{"m":"two"},"@outputs":["file","search"]}`,
		`{"message":"two","@version":"1","@timestamp":"2026-11-24T10:00:00.000Z","event":{"original":"two"},"tags":["in"],"type":"second","@metadata":{"m":"two"},"@outputs":["file","search"]}`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if _, err := i.Passage("nowhere", nil); err == nil {
		t.Error("an input that is not there")
	}
}

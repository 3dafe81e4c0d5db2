package bridge_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/estate/bridge"
)

// TestAnEnvironmentReadsTheVariablesOfTheBridge writes env.yaml as `naru bridge read -o env` does, and lets estate read it.
func TestAnEnvironmentReadsTheVariablesOfTheBridge(t *testing.T) {
	want := map[string]any{
		"url": "https://os:9200", "shards": json.Number("3"), "tiered": true, "list": []any{"a", json.Number("1.50"), nil},
		"reference": "${shards} $${shards} $$${shards}", "text": "[1]", "number": "012", "says": "a: \"b\"\n# 'c' ü 🎉\x00",
		"deep": map[string]any{"${k}": map[string]any{"x": []any{"${y}"}}, strings.Repeat("k", 2000): "v"}, "huge": json.Number("1e999"),
	}
	outputs := bridge.Outputs{"cluster_name": {Value: "prod-1"}, "environment": {Value: "prod"}}
	body := map[string]any{}
	for name, v := range want {
		outputs[name] = bridge.Output{Value: v}
		body[name] = "${" + name + "}"
	}
	m := bridge.Default()
	values, _, err := m.Values(outputs, bridge.Choices{})
	if err != nil {
		t.Fatal(err)
	}
	secret, err := bridge.NewSecret(values, bridge.SecretOptions{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := bridge.ParseSecret("secret.yaml", secret.YAML())
	if err != nil {
		t.Fatal(err)
	}
	if values, err = m.Read(again); err != nil {
		t.Fatal(err)
	}
	variables, err := values.EnvironmentYAML()
	if err != nil {
		t.Fatal(err)
	}
	pipeline, err := json.Marshal(map[string]any{"processors": []any{}, "_meta": body})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, data := range map[string][]byte{
		"overlays/prod/env.yaml":                append([]byte("target: {urls: [\"https://node-1:9200\"]}\n"), variables...),
		"overlays/prod/ingest-pipelines/p.json": pipeline,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := estate.Read(t.Context(), dir, "prod", func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	got := d.Objects[estate.Key{Kind: estate.IngestPipelines, Name: "p"}].Body["_meta"]
	if d := cmp.Diff(any(want), got); d != "" {
		t.Errorf("(-bridge +environment):\n%s", d)
	}
}

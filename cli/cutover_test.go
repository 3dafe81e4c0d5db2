package cli

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/connect/opensearch/osfake"
)

func TestCutoverShowsAsksAndSwitchesAllAliasesAtOnce(t *testing.T) {
	s := osfake.Start(t, osfake.Options{})
	client, err := opensearch.Target{URLs: s.URLs}.Connect(t.Context(), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"old", "logs-2018", "logs-2019", "users-2"} {
		if err := client.JSON(t.Context(), http.MethodPut, "/"+name, map[string]any{"aliases": map[string]any{}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	is := map[string]any{"actions": []any{map[string]any{"add": map[string]any{"index": "old", "alias": "logs"}}}}
	if err := client.JSON(t.Context(), http.MethodPost, "/_aliases", is, nil); err != nil {
		t.Fatal(err)
	}
	flow := filepath.Join(t.TempDir(), "flow.yaml")
	text := "source: {snapshot: {url: nowhere}}\nsink: {opensearch: {urls: ['" + s.URL() + "']}}\n"
	if err := os.WriteFile(flow, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{[]string{s.URL(), "logs=logs-*", "users=users-2", "--plan"}, exitDifference, "logs   old        logs-2018, logs-2019  logs-2019", ""},
		{[]string{s.URL(), "logs=logs-*", "users=users-2"}, exitFailed, "users  nothing    users-2", "nobody is there to say yes: add --yes"},
		{[]string{flow, "logs=logs-*", "users=users-2", "--yes"}, exitOK, "Switched 2 aliases.", ""},
		{[]string{s.URL(), "logs=logs-*", "users=users-2"}, exitOK, "Nothing is to be switched.", ""},
		{[]string{s.URL(), "logs=old", "--yes", "-o", "json"}, exitOK, `"from": [`, ""},
		{[]string{s.URL(), "logs=nothing-*", "--yes"}, exitFailed, "", "alias logs: no index matches nothing-*"},
		{[]string{s.URL(), "logs"}, exitFailed, "", "logs: want ALIAS=PATTERN"},
		{[]string{s.URL()}, exitFailed, "", "want CLUSTER ALIAS=PATTERN"},
		{[]string{"/backups", "logs=x"}, exitFailed, "", "want the address of a cluster"},
	} {
		stdout, stderr, code := run(t, nil, append([]string{"cutover"}, step.args...)...)
		if code != step.code || !strings.Contains(stdout, step.stdout) || !strings.Contains(stderr, step.stderr) {
			t.Errorf("%v: status %d, want %d\n%s%s", step.args, code, step.code, stdout, stderr)
		}
	}
}

package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/narudata/naru/connect/opensearch/osfake"
)

func TestAnEnvironmentIsClonedAndTakenAwayFromTheCommandLine(t *testing.T) {
	b := newEstateBench(t)
	other := osfake.Start(t, osfake.Options{Cluster: "other", Plugins: []string{osfake.IndexManagement}})
	b.file("d/overlays/staging/env.yaml", "target: {urls: [\""+other.URL()+"\"]}\n")
	b.put("/web-1", `{"mappings": {"properties": {"trace": {"properties": {"id": {"type": "keyword"}}}, "email": {"type": "keyword"}, "phone": {"type": "keyword"}}}}`)
	for i := range 200 {
		b.put(fmt.Sprintf("/web-1/_doc/%d?refresh=true", i), fmt.Sprintf(`{"trace": {"id": "t%d"}, "email": "u%d@example.com"}`, i/5, i%7))
	}
	b.file("key", "0123456789abcdef0123456789abcdef\n")
	args := []string{"env", "clone", "prod", "staging", "-f", "d", "--sample", "25%", "--by", "trace.id", "--mask", "email", "--mask-key-file", "key", "--ttl", "7d"}

	out, _ := b.naru(exitOK, append(args, "--plan")...)
	b.has(out, "Clone of prod into staging", "web-1", "~50", "25% of the documents, all of one trace.id or none", "Masked: email, in 1 index", "It vanishes after",
		"look like personal data and are not masked: phone")
	_, stderr := b.naru(exitFailed, args...)
	b.has(stderr, "nobody is there to say yes")
	_, stderr = b.naru(exitFailed, "env", "clone", "prod", "staging", "-f", "d", "--sample", "25%", "--mask", "emial", "--mask-key-file", "key", "--yes")
	b.has(stderr, "nothing was begun", "did you mean email?")
	out, stderr = b.naru(exitOK, append(args, "--yes")...)
	b.has(out, "Verified:", "It vanishes after")
	b.has(stderr, "create index web-1")
	out, _ = b.naru(exitOK, append(args, "--yes")...)
	b.has(out, "is complete since", "naru env rm -f d -e staging")
	out, _ = b.naru(exitOK, append(args, "-o", "json")...)
	var report cloneReport
	if err := json.Unmarshal([]byte(out), &report); err != nil || report.Plan.Record.Done.IsZero() || report.Plan.Record.Documents%5 != 0 {
		t.Errorf("%v: %s", err, out)
	}
	out, _ = b.naru(exitOK, "env", "expire", "-f", "d")
	b.has(out, "staging", "stays")
	out, _ = b.naru(exitOK, "env", "rm", "-f", "d", "-e", "staging", "--plan")
	b.has(out, "to go", "web-1")
	out, _ = b.naru(exitOK, "env", "rm", "-f", "d", "-e", "staging", "--yes")
	b.has(out, "gone")
	out, _ = b.naru(exitOK, "env", "rm", "-f", "d", "-e", "staging", "--yes")
	b.has(out, "There is no clone.")
	if other.Documents("web-1") != nil {
		t.Error("the index is left")
	}
	b.naru(exitOK, "apply", "-f", "d", "-e", "staging", "--yes")
	out, _ = b.naru(exitOK, "env", "rm", "-f", "d", "-e", "staging", "--declared", "--yes")
	b.has(out, "2 to delete")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, other.URL()+"/_index_template/web", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("what was applied is left: %s, %v", resp.Status, err)
	}
}

func TestMistakesOfClonesSayWhatToDo(t *testing.T) {
	b := newEstateBench(t)
	for want, flags := range map[string]string{
		"neither a sample nor a budget": "",
		"--ttl":                         "--sample 1% --ttl soon",
		"--budget":                      "--budget many",
		"cannot be a clone of itself":   "--sample 1%",
	} {
		_, stderr := b.naru(exitFailed, append([]string{"env", "clone", "prod", "prod", "-f", "d"}, strings.Fields(flags)...)...)
		b.has(stderr, want)
	}
	for text, want := range map[string]time.Duration{"7d": 7 * 24 * time.Hour, "1.5d": 36 * time.Hour, "36h": 36 * time.Hour, "90m": 90 * time.Minute} {
		if d, err := daysOrDuration(text); err != nil || d != want {
			t.Errorf("%s is %s, %v", text, d, err)
		}
	}
	for _, text := range []string{"", "d", "7", "-1d", "0d", "7days", "NaNd"} {
		if d, err := daysOrDuration(text); err == nil {
			t.Errorf("%q is %s", text, d)
		}
	}
}

package cli

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/estate"
)

// An estateBench is a declared directory beside a cluster.
type estateBench struct {
	t    *testing.T
	fake *osfake.Server
}

func newEstateBench(t *testing.T) *estateBench {
	t.Helper()
	b := &estateBench{t, osfake.Start(t, osfake.Options{Plugins: []string{osfake.IndexManagement}})}
	t.Chdir(t.TempDir())
	b.file("d/base/env.yaml", "estate: shop\nvariables: {shards: 1}\nmeasure: {off: true}\n")
	b.file("d/overlays/prod/env.yaml", "target: {urls: [\""+b.fake.URL()+"\"]}\nvariables: {shards: 3}\ndrift: {repair: [ingest-pipelines]}\n")
	b.file("d/base/index-templates/web.yaml", "index_patterns: web-*\ntemplate: {settings: {number_of_shards: \"${shards}\"}}\n")
	b.file("d/base/ingest-pipelines/web.json", `{"processors": [{"set": {"field": "a", "value": "<b>|x"}}]}`)
	return b
}

func (b *estateBench) file(name, content string) {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// naru runs a command, wants its exit status, and gives what it wrote.
func (b *estateBench) naru(want int, args ...string) (stdout, stderr string) {
	b.t.Helper()
	var out, errs bytes.Buffer
	env := Process()
	env.Stdin, env.Stdout, env.Stderr = strings.NewReader(""), &out, &errs
	env.Getenv = func(string) string { return "" }
	if got := Main(b.t.Context(), env, args); got != want {
		b.t.Errorf("naru %s: exit status %d, want %d\n%s%s", strings.Join(args, " "), got, want, &out, &errs)
	}
	return out.String(), errs.String()
}

func (b *estateBench) put(path, body string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPut, b.fake.URL()+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode >= 300 {
		b.t.Fatalf("PUT %s: %s", path, resp.Status)
	}
}

func (b *estateBench) has(text string, parts ...string) {
	b.t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			b.t.Errorf("%q is not in\n%s", p, text)
		}
	}
}

var applyID = regexp.MustCompile(`\d{8}-\d{6}-[0-9a-f]{6}`)

func TestAnEnvironmentIsPlannedAppliedChangedAndUndone(t *testing.T) {
	b := newEstateBench(t)
	in := []string{"-f", "d", "-e", "prod"}
	run := func(want int, args ...string) (string, string) { return b.naru(want, append(args, in...)...) }

	out, _ := run(exitDifference, "plan", "--out", "prod.plan")
	b.has(out, "Plan for prod, estate shop", "+ create  ingest-pipelines/web  risk low", "+ create  index-templates/web", "2 to create, 0 unchanged")
	_, stderr := run(exitFailed, "apply")
	b.has(stderr, "nobody is there to say yes")
	out, stderr = b.naru(exitOK, "apply", "prod.plan")
	b.has(out, "Applied 2 changes to prod")
	b.has(stderr, "2/2  create index-templates/web")
	_, stderr = b.naru(exitFailed, "apply", "prod.plan")
	b.has(stderr, "the cluster has moved since the plan was made", "make a new plan")
	out, _ = run(exitOK, "plan")
	b.has(out, "No changes")
	out, _ = run(exitOK, "drift")
	b.has(out, "No drift")

	b.file("d/overlays/prod/index-templates/web.patch.yaml", "template: {settings: {number_of_shards: 5}, mappings: {properties: {n: {type: long}}}}\n")
	b.put("/web-1", `{}`)
	out, _ = run(exitDifference, "plan")
	b.has(out, `template.settings.index.number_of_shards  "3" → "5"`, "static: needs a new index; the 1 index that matches now stays as it is",
		`template.mappings  + {"properties":{"n":{"type":"long"}}}`, "needs a rollover (1 index without it until then)", "base/index-templates/web.yaml + overlays/prod/index-templates/web.patch.yaml")
	out, _ = run(exitDifference, "plan", "-o", "markdown")
	b.has(out, "### naru plan: prod", "| change | <code>index-templates/web</code> | medium |", "<details>")
	out, _ = run(exitDifference, "plan", "-o", "html")
	b.has(out, "<!doctype html>", "index-templates/web", "number_of_shards")
	out, _ = run(exitOK, "apply", "--yes", "-o", "json")
	var applied appliedResult
	if err := json.Unmarshal([]byte(out), &applied); err != nil || applied.Apply == nil || applied.Apply.Done != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	out, _ = run(exitOK, "env", "log")
	if ids := applyID.FindAllString(out, -1); len(ids) != 2 || ids[0] != applied.Apply.ID {
		t.Errorf("the log: %s", out)
	}
	out, _ = run(exitOK, "apply", "--yes", "--undo", applied.Apply.ID)
	b.has(out, "Undo of "+applied.Apply.ID+" on prod", "Undone 1 change to prod")
	run(exitDifference, "plan")
	_, stderr = run(exitFailed, "apply", "--yes", "--undo", "nothing")
	b.has(stderr, "no apply nothing of the environment prod")
}

func TestDriftIsSaidAndPutBackFromTheCommandLine(t *testing.T) {
	b := newEstateBench(t)
	in := []string{"-f", "d", "-e", "prod"}
	run := func(want int, args ...string) (string, string) { return b.naru(want, append(args, in...)...) }
	run(exitOK, "apply", "--yes")
	b.put("/_ingest/pipeline/web", `{"processors": []}`)
	b.put("/_index_template/web", `{"index_patterns": ["web-*", "more-*"], "template": {"settings": {"index.number_of_shards": "3"}}}`)
	out, _ := run(exitDifference, "drift")
	b.has(out, "ingest-pipelines/web  changed", "--repair puts it back", `index_patterns  ["web-*"] → ["more-*","web-*"]`, "2 objects not as applied")
	out, _ = run(exitDifference, "drift", "--repair", "--yes")
	b.has(out, "Repair of prod", "Repaired 1 change to prod")
	out, _ = run(exitDifference, "drift", "-o", "json")
	if strings.Contains(out, `"name": "web",`+"\n"+`      "kind": "ingest`) || !strings.Contains(out, "index-templates") {
		t.Errorf("after the repair: %s", out)
	}
	out, _ = run(exitDifference, "plan")
	b.has(out, "somebody changed it since it was applied; what they set is lost")
}

func TestAPlanInHTMLOrMarkdownKeepsForeignTextAsText(t *testing.T) {
	b := newEstateBench(t)
	b.naru(exitOK, "apply", "--yes", "-f", "d", "-e", "prod")
	b.file("d/base/ingest-pipelines/web.json", `{"description": "<script>alert(1)</script> | *x*", "processors": []}`)
	for _, format := range []string{"html", "markdown"} {
		out, _ := b.naru(exitDifference, "plan", "-f", "d", "-e", "prod", "-o", format)
		if strings.Contains(out, "<script>") || strings.Contains(out, "<b>|x") {
			t.Errorf("%s: %s", format, out)
		}
	}
}

func TestMistakesOfEnvironmentsSayWhatToDo(t *testing.T) {
	b := newEstateBench(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"plan"}, "-f DIR is missing"},
		{[]string{"plan", "-f", "d"}, "-e ENV is missing: one of prod"},
		{[]string{"plan", "-f", "d", "-e", "prd"}, `did you mean "prod"?`},
		{[]string{"plan", "-f", "nowhere/at/all", "-e", "x"}, "there is no folder nowhere/at/all: want a folder with base/ for all environments and overlays/NAME/ for each"},
		{[]string{"plan", "-f", "d/overlays/prod", "-e", "prod"}, "d/overlays/prod declares no environments, it has no folder overlays: want a folder with base/ for all environments and overlays/NAME/ for each; is it d?"},
		{[]string{"plan", "-f", "d/overlays/prod/env.yaml", "-e", "prod"}, "d/overlays/prod/env.yaml is a file: want a folder"},
		{[]string{"plan", "-f", "d", "-e", "nothing-like-it"}, "there is no folder d/overlays/nothing-like-it; the environments here are prod"},
		{[]string{"env", "ls"}, "-f DIR is missing"},
		{[]string{"apply", "x.plan", "-e", "prod"}, "leave -f, -e and --undo out"},
		{[]string{"env", "log", "-f", "d"}, "-e ENV is missing"},
	} {
		_, stderr := b.naru(exitFailed, c.args...)
		b.has(stderr, c.want)
	}
	out, _ := b.naru(exitOK, "env", "ls", "-f", "d")
	b.has(out, "prod", "shop")
	out, _ = b.naru(exitOK, "env", "show", "-f", "d", "-e", "prod", "-o", "json")
	b.has(out, `"number_of_shards": 3`)
}

func TestAPlanSaysByWhichIDAnEnvironmentInKubernetesApprovesIt(t *testing.T) {
	b := newEstateBench(t)
	plan := func(want int, format string) string {
		out, _ := b.naru(want, "plan", "-f", "d", "-e", "prod", "-o", format)
		return out
	}
	var p estate.Plan
	if err := json.Unmarshal([]byte(plan(exitDifference, "json")), &p); err != nil || p.Approval == "" || p.Approval != p.Fingerprint() {
		t.Fatalf("%q, %v", p.Approval, err)
	}
	for _, format := range []string{"table", "markdown", "html", "yaml"} {
		out := plan(exitDifference, format)
		b.has(out, p.Approval)
		if format != "yaml" {
			b.has(out, "naru.dev/approve-plan="+p.Approval)
		}
	}
	b.naru(exitOK, "apply", "--yes", "-f", "d", "-e", "prod")
	for _, format := range []string{"table", "markdown", "html"} {
		if out := plan(exitOK, format); strings.Contains(out, "approve-plan") {
			t.Errorf("nothing is to be approved: %s", out)
		}
	}
}

func TestEnvironmentsAreListedWithTheirClonesAndUntilWhenTheyLive(t *testing.T) {
	b := newEstateBench(t)
	b.file("d/overlays/pr-7/env.yaml", "target: {urls: [\""+b.fake.URL()+"\"]}\n")
	b.file("d/overlays/gone/env.yaml", "target: {urls: [\"http://127.0.0.1:1\"]}\n")
	b.put("/web-1", `{}`)
	b.put("/web-1/_doc/1?refresh=true", `{"a": 1}`)
	out, _ := b.naru(exitOK, "env", "clone", "prod", "pr-7", "-f", "d", "--sample", "100%", "--prefix", "pr7-", "--ttl", "7d", "--yes")
	b.has(out, "Verified:")
	out, _ = b.naru(exitOK, "env", "ls", "-f", "d")
	b.has(out, "CLONE OF", "UNTIL (UTC)", "7d", "complete, 6 days left", "cannot be asked", "note: gone cannot be asked which clones it has")
	out, _ = b.naru(exitOK, "env", "ls", "-f", "d", "--offline")
	if strings.Contains(out, "CLONE OF") || strings.Contains(out, "cannot") {
		t.Errorf("offline: %s", out)
	}
	out, _ = b.naru(exitOK, "env", "ls", "-f", "d", "-o", "json")
	var list []listedEnvironment
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list) != 3 || len(list[1].Clones) != 1 || list[1].Clones[0].Of != "prod" || list[1].Clones[0].Until.IsZero() {
		t.Errorf("%v: %s", err, out)
	}
	list[1].Clones[0].Until = time.Now()
	if got := list[1].Clones[0].cells(time.Now())[3]; !strings.Contains(got, "naru env expire") {
		t.Errorf("%s", got)
	}
	for text, want := range map[string]string{"168h0m0s": "7d", "36h0m0s": "36h", "1h30m0s": "1h30m", "90s": "1m30s", "20m0s": "20m", "10h0m0s": "10h"} {
		if got := ttlText(text); got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
}

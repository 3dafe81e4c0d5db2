package cli

import (
	"os"
	"strings"
	"testing"
)

// An inherited cluster becomes Git: one command writes it, the plan only adopts, and after the apply there is nothing to do.
func TestAnInheritedClusterBecomesGitWithOneCommand(t *testing.T) {
	b := newEstateBench(t)
	b.put("/_ingest/pipeline/theirs", `{"description": "theirs", "processors": [{"set": {"field": "a", "value": "${kept}"}}]}`)
	b.put("/_index_template/web", `{"index_patterns": ["web-*"], "priority": 3, "template": {"settings": {"number_of_shards": 3}}}`)
	b.put("/_plugins/_ism/policies/hot", `{"policy": {"description": "d", "default_state": "a", "states": [{"name": "a", "actions": [{"delete": {}}], "transitions": []}]}}`)
	out, errs := b.naru(exitOK, "convert", "--from", b.fake.URL(), "--to", "g", "-e", "prod")
	if !strings.Contains(out, "ism-policies      hot") || !strings.Contains(errs, "4 files written below g") {
		t.Errorf("%s%s", out, errs)
	}
	out, _ = b.naru(exitDifference, "plan", "-f", "g", "-e", "prod")
	if strings.Count(out, "= adopt") != 3 || !strings.Contains(out, "3 to adopt, 0 unchanged") {
		t.Errorf("%s", out)
	}
	b.naru(exitOK, "apply", "-f", "g", "-e", "prod", "--yes")
	b.naru(exitOK, "plan", "-f", "g", "-e", "prod")
	b.naru(exitOK, "convert", "--from", b.fake.URL(), "--to", "g", "-e", "prod") // the same again
	b.put("/_ingest/pipeline/theirs", `{"processors": []}`)
	_, errs = b.naru(exitFailed, "convert", "--from", b.fake.URL(), "--to", "g", "-e", "prod")
	if !strings.Contains(errs, "base/ingest-pipelines/theirs.yaml: there is such a file already") {
		t.Errorf("%s", errs)
	}
	env, err := os.ReadFile("g/overlays/prod/env.yaml")
	if err != nil || !strings.Contains(string(env), b.fake.URL()) {
		t.Errorf("%s %v", env, err)
	}
	b.naru(exitFailed, "convert", "--from", "http://127.0.0.1:1", "--to", "h")
}

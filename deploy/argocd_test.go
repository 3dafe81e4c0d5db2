package deploy_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/narudata/naru/internal/testbed"
)

var update = flag.Bool("update", false, "write what is made: argocd/argocd-cm*.yaml, kustomize/operator.yaml, testdata/charts")

// actionsOf each kind, sorted.
var actionsOf = map[string][]string{
	"Flow":        {"approve-partial", "reconcile", "resume", "suspend"},
	"Migration":   {"approve-cutover", "approve-delete", "approve-partial", "reconcile", "resume", "suspend"},
	"Environment": {"approve-delete", "approve-plan", "reconcile", "resume", "suspend"},
}

const customizationsHead = `# What Argo CD knows of naru's kinds: how well they are, and what can be done with them. Made of health.lua and actions/*.lua
# by "make generate"; docs/kubernetes.md says how it is installed.
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
  namespace: argocd
  labels: {app.kubernetes.io/name: argocd-cm, app.kubernetes.io/part-of: argocd}
data:
`

// block is text as a YAML literal, indented by n.
func block(n int, text string) string {
	indent := strings.Repeat(" ", n)
	var b strings.Builder
	b.WriteString("|\n")
	for line := range strings.Lines(text) {
		if line != "\n" {
			b.WriteString(indent)
		}
		b.WriteString(line)
	}
	return b.String()
}

// actionsText is the value of a key resource.customizations.actions.GROUP_KIND.
func actionsText(t *testing.T, actions []string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("discovery.lua: " + block(2, luaFile(t, "actions/discovery.lua")))
	b.WriteString("definitions:\n")
	for _, a := range actions {
		b.WriteString("- name: " + a + "\n  action.lua: " + block(4, luaFile(t, "actions/"+a+".lua")))
	}
	return b.String()
}

// customizations makes the ConfigMap. It has keys of their own for each kind, which stand beside those of others: a pattern in
// resource.customizations (naru.dev/*) gives kinds a health, but Argo CD takes no actions from it.
func customizations(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(customizationsHead)
	for _, kind := range []string{"Flow", "Migration", "Environment"} {
		b.WriteString("  resource.customizations.health.naru.dev_" + kind + ": " + block(4, luaFile(t, "health.lua")))
		b.WriteString("  resource.customizations.actions.naru.dev_" + kind + ": " + block(4, actionsText(t, actionsOf[kind])))
	}
	return b.String()
}

func TestTheCustomizationsOfArgoCDAreMadeOfTheLuaFiles(t *testing.T) {
	text := customizations(t)
	golden(t, filepath.Join("argocd", "argocd-cm.yaml"), text)
	var cm struct{ Data map[string]string }
	if err := yaml.Unmarshal([]byte(text), &cm); err != nil || len(cm.Data) != 6 {
		t.Errorf("not a ConfigMap with six keys: %d, %v", len(cm.Data), err)
	}
}

// golden holds got against a file, or writes it with -update.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is stale: go test ./deploy -update (-stands +made)\n%s", path, diff)
	}
}

// The real thing says the same as the Lua machine of these tests.
func TestArgoCDUnderstandsTheCustomizations(t *testing.T) {
	if ok, missing := testbed.HasArgo(t, "argocd"); !ok {
		t.Skip("make test-argo builds Argo CD and runs this: " + missing) // a quarter of an hour is too much for make test
	}
	argocd := filepath.Join(testbed.ArgoPrograms(t, "argocd"), "argocd")
	settings := func(t *testing.T, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), argocd, append([]string{"admin", "settings", "resource-overrides"}, args...)...)
		cmd.Args = append(cmd.Args, "--argocd-cm-path", filepath.Join("argocd", "argocd-cm.yaml"))
		home := t.TempDir()
		cmd.Env = append(os.Environ(), "HOME="+home, "KUBECONFIG="+filepath.Join(home, "none"), "XDG_CONFIG_HOME="+home)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			t.Fatalf("argocd %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
		}
		return stdout.String()
	}
	for _, e := range examples(t, "health") {
		t.Run("health/"+e.name, func(t *testing.T) {
			t.Parallel()
			status, message, _ := strings.Cut(e.want, " ")
			out := settings(t, "health", e.path)
			if !strings.Contains(out, "STATUS: "+status+"\n") || !strings.Contains(out, "MESSAGE: "+message+"\n") {
				t.Errorf("want %s %s\n%s", status, message, out)
			}
		})
	}
	for _, e := range examples(t, "actions") {
		t.Run("actions/"+e.name, func(t *testing.T) {
			t.Parallel()
			listed := settings(t, "list-actions", e.path)
			var on []string
			for line := range strings.Lines(listed) {
				if f := strings.Fields(line); len(f) == 2 && f[1] == "false" { // NAME DISABLED
					on = append(on, f[0])
				}
			}
			slices.Sort(on)
			if got := strings.Join(on, " "); got != e.want {
				t.Errorf("got actions %q, want %q\n%s", got, e.want, listed)
			}
			for _, action := range on {
				// What it prints is a difference of two YAML texts: only lines of annotations may be in it.
				out := settings(t, "run-action", e.path, action)
				changed := 0
				for line := range strings.Lines(out) {
					if !strings.HasPrefix(line, "> ") && !strings.HasPrefix(line, "< ") {
						continue
					}
					changed++
					if text := strings.TrimLeft(line, "<> "); !strings.HasPrefix(text, "annotations:") && !strings.HasPrefix(text, "naru.dev/") {
						t.Errorf("%s changes more than annotations of naru's:\n%s", action, out)
					}
				}
				if changed == 0 {
					t.Errorf("%s changes nothing:\n%s", action, out)
				}
			}
		})
	}
}

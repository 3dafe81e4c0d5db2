package bridge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"
	sigs "sigs.k8s.io/yaml"
)

// The ApplicationSets of examples/gitops, rendered as Argo CD's controller does it: each text of the template by itself, by
// text/template with the functions of sprig, of which those here are the ones that are used.
// Source: argoproj/argo-cd, applicationset/generators/cluster.go (getClusterParameters), applicationset/utils/utils.go (Render).

const gitops = "../../examples/gitops"

var functions = template.FuncMap{
	"toJson": func(v any) (string, error) { b, err := json.Marshal(v); return string(b), err },
	"fromJson": func(s string) any {
		var v any
		_ = json.Unmarshal([]byte(s), &v) // sprig gives nil, too
		return v
	},
	"join": func(sep string, list []any) string {
		texts := make([]string, len(list))
		for i, x := range list {
			texts[i] = fmt.Sprint(x)
		}
		return strings.Join(texts, sep)
	},
	"omit": func(o map[string]any, keys ...string) map[string]any {
		out := maps.Clone(o)
		for _, k := range keys {
			delete(out, k)
		}
		return out
	},
}

var notInDNS = regexp.MustCompile(`[^a-z0-9-.]`)

// parameters are what the cluster generator gives for a secret.
func parameters(s *Secret) map[string]any {
	normalized := strings.Trim(notInDNS.ReplaceAllString(strings.ToLower(string(s.Data["name"])), "-"), "-.")
	return map[string]any{
		"name": string(s.Data["name"]), "nameNormalized": normalized, "server": string(s.Data["server"]), "project": "",
		"metadata": map[string]any{"labels": s.Labels, "annotations": s.Annotations},
	}
}

func render(v any, options []string, params map[string]any) (any, error) {
	switch v := v.(type) {
	case string:
		t, err := template.New("").Funcs(functions).Option(options...).Parse(v)
		if err != nil {
			return nil, err
		}
		var b strings.Builder
		err = t.Execute(&b, params)
		return b.String(), err
	case []any:
		out := make([]any, len(v))
		for i := range v {
			var err error
			if out[i], err = render(v[i], options, params); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			key, err := render(k, options, params)
			if err != nil {
				return nil, err
			}
			if out[key.(string)], err = render(x, options, params); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

type applicationSet struct {
	Name string
	text string
	all  map[string]any
}

func applicationSets(t *testing.T) []applicationSet {
	t.Helper()
	var out []applicationSet
	for _, name := range []string{"operator", "environment", "flows"} {
		text, err := os.ReadFile(filepath.Join(gitops, "bootstrap", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		a := applicationSet{Name: name, text: string(text)}
		if err := sigs.UnmarshalStrict(text, &a.all); err != nil {
			t.Fatal(err)
		}
		out = append(out, a)
	}
	return out
}

// at follows keys and positions.
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, p := range path {
		switch p := p.(type) {
		case string:
			o, ok := v.(map[string]any)
			if !ok || o[p] == nil {
				t.Fatalf("there is no %v in %v", p, v)
			}
			v = o[p]
		case int:
			list, ok := v.([]any)
			if !ok || p >= len(list) {
				t.Fatalf("there is no %d in %v", p, v)
			}
			v = list[p]
		}
	}
	return v
}

func (a *applicationSet) render(t *testing.T, s *Secret) (map[string]any, error) {
	t.Helper()
	if at(t, a.all, "spec", "goTemplate") != true {
		t.Fatal("it is no Go template")
	}
	v, err := render(at(t, a.all, "spec", "template"), []string{at(t, a.all, "spec", "goTemplateOptions", 0).(string)}, parameters(s))
	if err != nil {
		return nil, err
	}
	return v.(map[string]any), nil
}

// exampleSecret is what examples/gitops/terraform gives.
func exampleSecret(t *testing.T) (Values, *Secret) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "example.json"))
	if err != nil {
		t.Fatal(err)
	}
	return secretOf(t, parsed(t, data), Choices{})
}

func TestApplicationSetsAreRenderedFromTheBridge(t *testing.T) {
	_, s := exampleSecret(t)
	var all bytes.Buffer
	for i, a := range applicationSets(t) {
		if got := at(t, a.all, "metadata", "annotations", "argocd.argoproj.io/sync-wave"); got != fmt.Sprint(min(i, 1)) {
			t.Errorf("%s is in wave %v, want %d", a.Name, got, min(i, 1))
		}
		for label, value := range at(t, a.all, "spec", "generators", 0, "clusters", "selector", "matchLabels").(map[string]any) {
			if s.Labels[label] != value {
				t.Errorf("%s does not select the secret: %s is %q", a.Name, label, s.Labels[label])
			}
		}
		app, err := a.render(t, s)
		if err != nil {
			t.Fatalf("%s: %v", a.Name, err)
		}
		if got := at(t, app, "metadata", "annotations", "argocd.argoproj.io/sync-wave"); got != fmt.Sprint(min(i, 1)) {
			t.Errorf("the Application of %s is in wave %v, want %d", a.Name, got, min(i, 1))
		}
		text, err := sigs.Marshal(app)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "# %s\n%s", a.Name, text)
	}
	golden(t, "applications.yaml", all.Bytes())
}

func TestWhatTheMappingSaysIsNeededIsWhatApplicationSetsNeed(t *testing.T) {
	_, s := exampleSecret(t)
	purposes := map[string][]Purpose{"operator": {ForApplicationSets}, "environment": {ForApplicationSets, ForEnvironment}, "flows": {ForApplicationSets, ForFlows}}
	needed := map[string]bool{}
	for _, a := range applicationSets(t) {
		for key := range s.Annotations {
			without := &Secret{Labels: s.Labels, Annotations: maps.Clone(s.Annotations), Data: s.Data}
			delete(without.Annotations, key)
			_, err := a.render(t, without)
			if err == nil {
				continue
			}
			if !strings.Contains(err.Error(), "map has no entry for key") {
				t.Errorf("%s without %s: %v", a.Name, key, err)
			}
			needed[key] = true
			if by := Default().Names[key].Needed; !slices.ContainsFunc(by, func(p Purpose) bool { return slices.Contains(purposes[a.Name], p) }) {
				t.Errorf("%s needs %s, and the mapping says that it is needed by %v only", a.Name, key, by)
			}
		}
	}
	for name, n := range Default().Names {
		if slices.Contains(n.Needed, ForApplicationSets) && n.Label == "" && !needed[name] {
			t.Errorf("no ApplicationSet needs %s", name)
		}
	}
}

// patched applies the JSON patch of an Application's first source to the Secret naru-bridge: additions of whole members.
func patched(t *testing.T, app map[string]any) map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(gitops, "bridge", "secret.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var secret map[string]any
	if err := sigs.UnmarshalStrict(text, &secret); err != nil {
		t.Fatal(err)
	}
	var operations []struct {
		Op, Path string
		Value    any
	}
	if err := sigs.UnmarshalStrict([]byte(at(t, app, "spec", "sources", 0, "kustomize", "patches", 0, "patch").(string)), &operations); err != nil {
		t.Fatal(err)
	}
	for _, o := range operations {
		steps := strings.Split(strings.TrimPrefix(o.Path, "/"), "/")
		in := secret
		for _, step := range steps[:len(steps)-1] {
			in = in[step].(map[string]any)
		}
		if o.Op != "add" {
			t.Fatalf("a patch that does %s", o.Op)
		}
		in[strings.ReplaceAll(steps[len(steps)-1], "~1", "/")] = o.Value
	}
	return secret
}

func TestTheBridgeReachesTheClusterWithAllThatStandsInIt(t *testing.T) {
	nasty := map[string]any{
		"cluster_name": "Prod_1", "kafka_brokers": []any{"a:1", "b:2"}, "opensearch_url": "https://os", "addons_repo_url": "u", "addons_repo_revision": "r", "addons_repo_basepath": "",
		"says": "a <b> & \"c\"\n  'ü' 🎉 # ${x} {{ .y }}\\", "deep": map[string]any{"a": []any{nil, json.Number("1.50"), "- x\n"}}, "empty": "",
	}
	values, _, err := Default().Values(outputsOf(nasty), Choices{Enable: []string{"naru"}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSecret(values, SecretOptions{Name: "prod-1"})
	if err != nil {
		t.Fatal(err)
	}
	s.Annotations[lastApplied] = `{"stringData":{"config":"hunter2"}}`
	s.Annotations["argocd.argoproj.io/tracking-id"] = "app:/Secret:argocd/prod-1"
	s.Labels["app.kubernetes.io/instance"] = "clusters"
	for _, a := range applicationSets(t)[1:] {
		app, err := a.render(t, s)
		if err != nil {
			t.Fatal(err)
		}
		if name := at(t, app, "metadata", "name").(string); !dnsName.MatchString(name) {
			t.Errorf("an Application cannot be called %s", name)
		}
		manifest, err := sigs.Marshal(patched(t, app))
		if err != nil {
			t.Fatal(err)
		}
		for _, hidden := range []string{"hunter2", "tracking-id", "secret-type", "kubernetes.io/instance"} {
			if bytes.Contains(manifest, []byte(hidden)) {
				t.Errorf("%s carries %s:\n%s", a.Name, hidden, manifest)
			}
		}
		there, err := ParseSecret("secret.yaml", manifest)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Default().Variables(there, ForEnvironment, ForFlows)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(values.Map(), got); d != "" {
			t.Errorf("%s (-bridge +cluster):\n%s", a.Name, d)
		}
		kustomized(t, app, there)
	}
}

// kustomized compares with what kustomize makes of the same patch, where kubectl is there.
func kustomized(t *testing.T, app map[string]any, want *Secret) {
	t.Helper()
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Log("there is no kubectl here to run kustomize with")
		return
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(gitops, "bridge"))); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "kustomization.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	patches, err := sigs.Marshal(map[string]any{"patches": at(t, app, "spec", "sources", 0, "kustomize", "patches")})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(text, patches...), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), kubectl, "kustomize", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl kustomize: %v\n%s", err, out)
	}
	got, err := ParseSecret("kustomized", out)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-patched here +by kustomize):\n%s", d)
	}
}

func TestAnAnnotationThatIsOptionalMayBeMissing(t *testing.T) {
	_, s := exampleSecret(t)
	operator := applicationSets(t)[0]
	role := func() any {
		app, err := operator.render(t, s)
		if err != nil {
			t.Fatal(err)
		}
		return at(t, app, "spec", "sources", 2, "helm", "valuesObject", "serviceAccount", "annotations", "eks.amazonaws.com/role-arn")
	}
	if got := role(); got != "" {
		t.Errorf("a role: %v", got)
	}
	s.Annotations["naru_role_arn"] = "arn:aws:iam::1:role/naru"
	if got := role(); got != "arn:aws:iam::1:role/naru" {
		t.Errorf("the role is %v", got)
	}
}

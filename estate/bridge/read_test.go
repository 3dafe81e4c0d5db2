package bridge

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

// anyValue draws what an output may hold.
func anyValue(depth int) *rapid.Generator[any] {
	number := rapid.Custom(func(t *rapid.T) any {
		return json.Number(rapid.StringMatching(`-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,9})?([eE][-+]?[0-9]{1,3})?`).Draw(t, "number"))
	})
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`\$?\$?\{?[a-z]{1,3}\}?`), rapid.SampledFrom([]string{"[]", "{}", "true", "1", "null", `"`, "${x}", "$${x}", "a ${b.c-d} $$${e}"}))
	kinds := []*rapid.Generator[any]{number, text.AsAny(), rapid.Bool().AsAny()}
	if depth > 0 {
		kinds = append(kinds,
			rapid.Custom(func(t *rapid.T) any {
				list := []any{}
				for range rapid.IntRange(0, 4).Draw(t, "n") {
					list = append(list, rapid.OneOf(anyValue(depth-1), rapid.Just[any](nil)).Draw(t, "item"))
				}
				return list
			}),
			rapid.Custom(func(t *rapid.T) any {
				o := map[string]any{}
				for range rapid.IntRange(0, 4).Draw(t, "n") {
					o[rapid.String().Draw(t, "key")] = anyValue(depth-1).Draw(t, "member")
				}
				return o
			}))
	}
	return rapid.OneOf(kinds...)
}

func TestAnyOutputsComeBackExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		outputs := outputsOf(rapid.MapOfN(rapid.StringMatching(`[a-z][a-z0-9_-]{0,20}[a-z0-9]`), anyValue(2), 0, 8).Draw(t, "outputs"))
		for name := range outputs {
			if strings.HasPrefix(name, "enable_") || Default().leftOut(name) {
				delete(outputs, name)
			}
		}
		printed := map[string]any{}
		for name, o := range outputs {
			printed[name] = map[string]any{"sensitive": o.Sensitive, "type": "dynamic", "value": o.Value}
		}
		data, err := json.Marshal(printed)
		if err != nil {
			t.Fatal(err)
		}
		read, err := ReadOutputs(data)
		if err != nil {
			t.Fatal(err)
		}
		m := &Mapping{Names: map[string]Name{"cluster_name": {Type: Text, Label: "cluster_name"}, "environment": {Type: Text, Label: "environment"}}, Prefix: "terraform_"}
		values, left, err := m.Values(read, Choices{Allow: suspicious(m, read)})
		if err != nil || len(left) > 0 {
			t.Fatal(left, err)
		}
		for name, o := range outputs {
			if v, ok := values.Get(name); !ok || !cmp.Equal(v.Value, o.Value) {
				t.Fatalf("%s: %v, want %v", name, v.Value, o.Value)
			}
		}
		s, err := NewSecret(values, SecretOptions{Name: "x"})
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseSecret("secret.yaml", s.YAML())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(s, again); d != "" {
			t.Fatalf("the manifest (-written +read):\n%s", d)
		}
		back, err := Default().Read(again) // whatever the mapping
		if err != nil {
			t.Fatal(err)
		}
		for i := range values {
			values[i].Output = ""
		}
		if d := cmp.Diff(values, back); d != "" {
			t.Fatalf("the values (-written +read):\n%s", d)
		}
		if changes, err := Diff(again, s); err != nil || len(changes) > 0 {
			t.Fatal("a secret differs from itself:", changes, err)
		}
		var asYAML map[string]yaml.Node
		if err := yaml.Unmarshal(back.YAML(), &asYAML); err != nil || len(asYAML) != len(back) {
			t.Fatalf("%v\n%s", err, back.YAML())
		}
	})
}

// suspicious lists what looks like a secret, by chance.
func suspicious(m *Mapping, outputs Outputs) []string {
	var out []string
	for name, o := range outputs {
		if m.secretIn(name, name, o.Value) != "" {
			out = append(out, name)
		}
	}
	return out
}

// TestVariablesOfAnEnvironmentAreWhatTheValuesAre reads env.yaml back as an environment does, which takes one $ from $${x}.
func TestVariablesOfAnEnvironmentAreWhatTheValuesAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := anyValue(2).Draw(t, "value")
		if o, ok := value.(map[string]any); ok && len(o) == 1 && o["env"] != nil {
			t.Skip("not to be said in env.yaml")
		}
		text, err := Values{{Name: "x", Value: value}}.EnvironmentYAML()
		if err != nil {
			t.Fatal(err)
		}
		var doc struct{ Variables map[string]yaml.Node }
		if err := yaml.Unmarshal(text, &doc); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		x := doc.Variables["x"]
		if got := understood(t, &x); !cmp.Equal(got, value) {
			t.Fatalf("%s is read as %#v, want %#v", text, got, value)
		}
	})
	if _, err := (Values{{Name: "x", Value: map[string]any{"env": "HOME"}}}).EnvironmentYAML(); err == nil {
		t.Error("an object that env.yaml takes for a variable of the process is written")
	}
}

// understood reads YAML with references resolved: there are none but $${x}.
func understood(t *rapid.T, n *yaml.Node) any {
	resolve := func(s string) string {
		return reference.ReplaceAllStringFunc(s, func(ref string) string {
			if !strings.HasPrefix(ref, "$$") {
				t.Fatalf("%q has the reference %s", s, ref)
			}
			return ref[1:]
		})
	}
	switch n.Kind {
	case yaml.SequenceNode:
		list := []any{}
		for _, c := range n.Content {
			list = append(list, understood(t, c))
		}
		return list
	case yaml.MappingNode:
		o := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			o[resolve(n.Content[i].Value)] = understood(t, n.Content[i+1])
		}
		return o
	}
	switch n.Tag {
	case "!!null":
		return nil
	case "!!bool":
		return n.Value == "true"
	case "!!int", "!!float":
		return json.Number(n.Value)
	}
	return resolve(n.Value)
}

func manifestOf(t *testing.T, text string) *Secret {
	t.Helper()
	s, err := ParseSecret("secret.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const foreign = `
apiVersion: v1
kind: Secret
metadata:
  name: dev-1
  namespace: argocd
  labels: {argocd.argoproj.io/secret-type: cluster, cluster_name: dev-1, environment: dev, enable_argocd: "true", enable_odd: maybe}
  annotations:
    cluster_name: dev-1
    addons_repo_url: https://git.example/estate.git
    addons_repo_revision: HEAD
    addons_repo_basepath: ""
    kafka_brokers: k1:9092,k2:9092
    opensearch_url: os.example
    argocd.argoproj.io/refresh: "now"
stringData: {name: dev-1, server: https://kubernetes.default.svc}
`

func TestASecretOfTheGitOpsBridgeModuleIsRead(t *testing.T) {
	values, err := Default().Read(manifestOf(t, foreign))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"cluster_name": "dev-1", "environment": "dev", "addons_repo_url": "https://git.example/estate.git", "addons_repo_revision": "HEAD",
		"addons_repo_basepath": "", "kafka_brokers": []any{"k1:9092", "k2:9092"}, "opensearch_url": "https://os.example", "enable_argocd": true,
	}
	if d := cmp.Diff(want, values.Map()); d != "" {
		t.Error(d)
	}
}

func TestWhatIsNeededAndNotThereIsNamed(t *testing.T) {
	m := Default()
	_, err := m.Variables(manifestOf(t, foreign), ForApplicationSets, ForEnvironment)
	missing, ok := errors.AsType[*MissingError](err)
	if !ok {
		t.Fatal(err)
	}
	var names []string
	for _, n := range missing.Needs {
		names = append(names, n.Name+" "+n.Missing)
	}
	if d := cmp.Diff([]string{"naru_chart_repo missing", "naru_version missing"}, names); d != "" {
		t.Error(d)
	}
	if !strings.Contains(err.Error(), "naru_version is missing, which is for applicationsets") {
		t.Error(err)
	}
	if _, err := m.Variables(manifestOf(t, foreign), ForEnvironment); err != nil {
		t.Error(err)
	}
	empty := strings.Replace(foreign, "opensearch_url: os.example", `opensearch_url: ""`, 1)
	if _, err := m.Variables(manifestOf(t, empty), ForEnvironment); err == nil || !strings.Contains(err.Error(), "opensearch_url is empty") || !strings.Contains(err.Error(), "opensearch_endpoint") {
		t.Error(err)
	}
}

func TestAnEnvironmentsFilesSayWhatTheyNeed(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"base/env.yaml":                            "target: {urls: [\"${opensearch_url}\"]}\nvariables: {owner: logs}\n",
		"base/ism-policies/p.json":                 "{\n\t\"a\": \"${owner} ${shards} $${not_this}\",\n\t\"b\": \"${shards}\"}",
		"base/index-templates/t.yaml":              "# ${comment}\nindex_patterns: ['logs-${environment}-*']\n\"${key}\": |\n  one\n  ${zones}\n",
		"base/README.md":                           "${readme}",
		"overlays/prod/env.yaml":                   "variables: {shards: {env: SHARDS}}\n",
		"overlays/dev/env.yaml":                    "variables: {}\n",
		"overlays/prod/roles/r.patch.json":         `{"x": "${role_arn}"}`,
		"overlays/prod/.hidden/aliases/hidden.yml": "a: ${hidden}",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	references := func(environment string) map[string]string {
		t.Helper()
		refs, err := References(dir, environment)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, r := range refs {
			out[r.Name] = r.Place
		}
		return out
	}
	prod := map[string]string{
		"opensearch_url": "base/env.yaml:1", "key": "base/index-templates/t.yaml:3", "zones": "base/index-templates/t.yaml:4", "role_arn": "overlays/prod/roles/r.patch.json:1",
	}
	if d := cmp.Diff(prod, references("prod")); d != "" {
		t.Error(d)
	}
	dev := maps.Clone(prod)
	delete(dev, "role_arn")
	dev["shards"] = "base/ism-policies/p.json:2"
	if d := cmp.Diff(dev, references("dev")); d != "" {
		t.Error(d)
	}
	for _, name := range []string{"staging", "", "../overlays/prod", "."} {
		if _, err := References(dir, name); err == nil {
			t.Errorf("the environment %q is found", name)
		}
	}
	refs, err := References(dir, "prod")
	if err != nil {
		t.Fatal(err)
	}
	err = Missing(Default().Needs(Values{{Name: "key", Value: "k"}}, nil, refs))
	if err == nil || !strings.Contains(err.Error(), "role_arn is missing, which is for overlays/prod/roles/r.patch.json:1") || strings.Contains(err.Error(), "key is") {
		t.Error(err)
	}
}

func TestABrokenValueIsNamed(t *testing.T) {
	_, s := secretOf(t, outputsOf(map[string]any{"kafka_brokers": []any{"a:1"}, "n": json.Number("1"), "addons": map[string]any{"enable_x": true}}), Choices{})
	for _, c := range []struct {
		what   string
		change func(s *Secret)
		want   string
	}{
		{"no JSON", func(s *Secret) { s.Annotations["kafka_brokers"] = "a:1,b:1" }, "kafka_brokers: the annotation kafka_brokers: want JSON of the type list"},
		{"another type", func(s *Secret) { s.Annotations["terraform_n"] = `"1"` }, "n: the annotation terraform_n: want number, found text"},
		{"gone", func(s *Secret) { delete(s.Annotations, "terraform_n") }, "n: the annotation terraform_n, which `naru bridge` wrote, is gone"},
		{"a label gone", func(s *Secret) { delete(s.Labels, "enable_x") }, "enable_x: the label enable_x"},
		{"a label changed", func(s *Secret) { s.Labels["environment"] = "prod" }, `the annotation environment is "dev", and the label environment is "prod"`},
		{"the record", func(s *Secret) { s.Annotations[RecordAnnotation] = "{" }, "naru.dev/bridge is not what this naru wrote"},
		{"the record of a later naru", func(s *Secret) { s.Annotations[RecordAnnotation] = `{"a":{"type":"date"}}` }, `a is of the type "date"`},
		{"null as record", func(s *Secret) { s.Annotations[RecordAnnotation] = `null` }, "is null"},
	} {
		broken := &Secret{Labels: maps.Clone(s.Labels), Annotations: maps.Clone(s.Annotations)}
		c.change(broken)
		if _, err := Default().Read(broken); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
	}
}

func TestManifestsThatAreNoClusterSecretAreSaidToBe(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "the file is empty"},
		{"kind: ConfigMap", `want a Secret, found kind "ConfigMap"`},
		{"- a", "want keys with values"},
		{"kind: Secret", "no metadata"},
		{"kind: Secret\nmetadata:\n  annotations:\n    a: true", "s:4: annotations.a: want a text"},
		{"kind: Secret\nmetadata:\n  annotations: {a: x, a: y}", "a stands twice"},
		{"kind: Secret\nmetadata: {name: x}\ndata: {config: '%%%'}", "data.config is not base64"},
		{"kind: Secret\nmetadata: {name: x}\n---\nkind: Secret", "a second document"},
		{"kind: List\nitems: []", "a list of other than one secret"},
		{"kind: List\nitems: [a]", "want a secret"},
		{"kind: [", "s:1"},
	} {
		if _, err := ParseSecret("s", []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.text, err, c.want)
		}
	}
	s := manifestOf(t, "kind: List\nitems:\n- kind: Secret\n  metadata: {name: x, labels: null}\n  data: {name: eA==}\n")
	if s.Name != "x" || string(s.Data["name"]) != "x" {
		t.Error(s)
	}
}

func TestJSONIsReadAsJSON(t *testing.T) {
	s := manifestOf(t, "{\n\t\"kind\": \"Secret\", \"metadata\": {\"name\": \"x\", \"annotations\": {\"a\": \"\\ud83c\\udf89\\/\x7f\u2028\"}}}")
	if got := s.Annotations["a"]; got != "🎉/\x7f\u2028" {
		t.Errorf("%q", got)
	}
	if _, err := ParseSecret("s", []byte(`{"kind": "Secret", "metadata": {"annotations": {"a": true}}}`)); err == nil || !strings.Contains(err.Error(), "s:5: annotations.a") {
		t.Error(err)
	}
}

func TestADiffSaysWhatApplyingWouldChange(t *testing.T) {
	_, current := secretOf(t, outputsOf(map[string]any{"opensearch_url": "https://a", "gone": "x", "list": []any{"a", "b"}, "enable_old": true}), Choices{})
	_, want := secretOf(t, outputsOf(map[string]any{"opensearch_url": "https://b", "new": "y", "list": []any{"a", "b"}}), Choices{})
	current.Annotations["terraform_list"] = `["a", "b"]`
	current.Annotations["argocd.argoproj.io/refresh"] = "now" // another's
	current.Labels["team"] = "logs"
	current.Data["config"] = []byte(`{"bearerToken": "hunter2"}`)
	current.Data["server"] = []byte(InCluster + "/")
	changes, err := Diff(current, want)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range changes {
		line := c.Place + " " + c.Key
		if c.Was != nil && c.Key != RecordAnnotation {
			line += " -" + *c.Was
		}
		if c.Is != nil && c.Key != RecordAnnotation {
			line += " +" + *c.Is
		}
		got = append(got, line)
	}
	wanted := []string{
		"label enable_old -true",
		"annotation naru.dev/bridge",
		"annotation opensearch_url -https://a +https://b",
		"annotation terraform_gone -x",
		"annotation terraform_new +y",
		"data config -(not shown, 26 bytes, differs) +(not shown, 38 bytes, differs)",
	}
	if d := cmp.Diff(wanted, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestAMappingIsLaidOverTheDefault(t *testing.T) {
	m, err := ParseMapping("m.yaml", []byte(`
values:
  opensearch_url: {from: [search_host]}
  kafka_brokers: null
  retention: {type: number, from: [retention_days], annotation: naru.dev/retention, label: retention, needed: [environment]}
leaveOut: [tmp_*]
unknown: leaveOut
`))
	if err != nil {
		t.Fatal(err)
	}
	values, left, err := m.Values(outputsOf(map[string]any{"search_host": "os", "retention_days": "30", "tmp_x": "1", "kubeconfig": "k", "kafka_brokers": "a:1"}), Choices{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"cluster_name": "dev-1", "environment": "dev", "opensearch_url": "https://os", "retention": json.Number("30")}
	if d := cmp.Diff(want, values.Map()); d != "" {
		t.Error(d)
	}
	if len(left) != 3 {
		t.Error(left)
	}
	s, err := NewSecret(values, SecretOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Annotations["naru.dev/retention"] != "30" || s.Labels["retention"] != "30" {
		t.Error(s.Annotations, s.Labels)
	}
	for _, which := range []*Mapping{m, Default(), {}} {
		if back, err := which.Read(s); err != nil || !cmp.Equal(want, back.Map()) {
			t.Error(back, err)
		}
	}
	if got := Default().Names["opensearch_url"]; !slices.Contains(got.From, "domain_endpoint") || got.Type != URL {
		t.Error("the default was changed:", got)
	}
}

func TestMistakesInAMappingHaveTheirLine(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "m: the file is empty"},
		{"valuse: {}", `m:1: unknown key "valuse"; did you mean "values"?`},
		{"values:\n  a: {frm: [x]}", `m:2: unknown key "frm"; did you mean "from"?`},
		{"values:\n  a: {type: date}", `m:2: a: type "date"; want one of text`},
		{"values:\n  a: {needed: [x]}", `m:2: a: needed: "x"`},
		{"values:\n  a: {from: x}", "m:2"},
		{"values: []", "m:1: values"},
		{"values:\n  a b: {}", `m:2: "a b"`},
		{"values:\n  a: {annotation: opensearch_url}", "a and opensearch_url are both the annotation opensearch_url"},
		{"values:\n  a: {label: environment}", "a and environment are both the label environment"},
		{"spread: {metadat: []}", "m:1: unknown key"},
		{"unknown: drop", `unknown: "drop"`},
		{"leaveOut: ['[']", "is no pattern"},
		{"a: [", "m:1"},
	} {
		if _, err := ParseMapping("m", []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.text, err, c.want)
		}
	}
}

func FuzzASecretOrOutputsOfAnybody(f *testing.F) {
	f.Add([]byte(foreign))
	for _, name := range []string{"secret.yaml", "terraform-1.11.json"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		IsManifest(data)
		if m, err := ParseMapping("m", data); err == nil && m == nil {
			t.Fatal("neither a mapping nor an error")
		}
		if outputs, err := ReadOutputs(data); err == nil {
			if values, _, err := Default().Values(outputs, Choices{}); err == nil {
				if s, err := NewSecret(values, SecretOptions{}); err == nil {
					if again, err := ParseSecret("s", s.YAML()); err != nil || !cmp.Equal(s, again) {
						t.Fatal(err, cmp.Diff(s, again))
					}
				}
			}
		}
		s, err := ParseSecret("s", data)
		if err != nil {
			return
		}
		values, err := Default().Read(s)
		if err != nil {
			return
		}
		values.YAML()
		if again, err := ParseSecret("s", s.YAML()); err != nil || !cmp.Equal(s.Annotations, again.Annotations) {
			t.Fatal(err, cmp.Diff(s, again))
		}
	})
}

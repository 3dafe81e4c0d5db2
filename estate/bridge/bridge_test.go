package bridge

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	sigs "sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the goldens")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-want +got):\n%s", file, d)
	}
}

// recorded is what Terraform 1.11.4 printed for testdata/terraform.
func recorded(t *testing.T) Outputs {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "terraform-1.11.json"))
	if err != nil {
		t.Fatal(err)
	}
	return parsed(t, data)
}

func parsed(t *testing.T, data []byte) Outputs {
	t.Helper()
	outputs, err := ReadOutputs(data)
	if err != nil {
		t.Fatal(err)
	}
	return outputs
}

// secretOf is the secret of outputs that are right.
func secretOf(t *testing.T, outputs Outputs, c Choices) (Values, *Secret) {
	t.Helper()
	values, _, err := Default().Values(outputs, c)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSecret(values, SecretOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return values, s
}

// outputsOf makes outputs of values, as Terraform prints them, with the two that each secret needs.
func outputsOf(values map[string]any) Outputs {
	out := Outputs{"cluster_name": {Value: "dev-1"}, "environment": {Value: "dev"}}
	for name, v := range values {
		out[name] = Output{Value: v}
	}
	return out
}

func TestOutputsOfTerraformBecomeTheClusterSecret(t *testing.T) {
	outputs := recorded(t)
	delete(outputs, "annotations")
	delete(outputs, "labels")
	outputs["password"] = Output{Value: "hunter2"}
	m := Default()
	m.LeaveOut = append(m.LeaveOut, "password")
	values, left, err := m.Values(outputs, Choices{Enable: []string{"argo_rollouts"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []LeftOut{{"kubeconfig", "leaveOut names it"}, {"password", "leaveOut names it"}}
	if d := cmp.Diff(want, left); d != "" {
		t.Errorf("left out (-want +got):\n%s", d)
	}
	s, err := NewSecret(values, SecretOptions{})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "secret.yaml", s.YAML())
	variables, err := values.EnvironmentYAML()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "env.yaml", variables)
}

func TestTheTerraformModuleAndTheCommandGiveTheSame(t *testing.T) {
	outputs := recorded(t)
	_, s := secretOf(t, Outputs{"gitops_metadata": outputs["gitops_metadata"]}, Choices{})
	same(t, outputs, s)
}

// same compares what the module calls labels and annotations with those of a secret.
func same(t *testing.T, outputs Outputs, s *Secret) {
	t.Helper()
	for what, got := range map[string]map[string]string{"labels": s.Labels, "annotations": s.Annotations} {
		want := map[string]any{}
		for k, v := range outputs[what].Value.(map[string]any) {
			want[k] = v
		}
		have := map[string]any{}
		for k, v := range got {
			have[k] = v
		}
		for _, texts := range []map[string]any{want, have} {
			if text, ok := texts[RecordAnnotation].(string); ok { // its keys have another order
				var record map[string]any
				if err := json.Unmarshal([]byte(text), &record); err != nil {
					t.Fatal(err)
				}
				texts[RecordAnnotation] = record
			}
		}
		if d := cmp.Diff(want, have); d != "" {
			t.Errorf("%s (-module +command):\n%s", what, d)
		}
	}
}

// terraform runs a command of Terraform in dir.
func terraform(t *testing.T, dir string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "terraform", args...)
	cmd.Dir = dir
	config := filepath.Join(dir, "terraformrc")
	if err := os.WriteFile(config, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+config, "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("terraform %s: %v\n%s\n%s", strings.Join(args, " "), err, out, &stderr)
	}
	return out
}

func TestTheModuleRunsInTerraform(t *testing.T) {
	if _, err := exec.LookPath("terraform"); err != nil {
		if os.Getenv("CI") != "" {
			t.Skip("there is no terraform here; what it printed elsewhere, testdata/terraform-1.11.json, is tested by TestTheTerraformModuleAndTheCommandGiveTheSame")
		}
		t.Skip("there is no terraform here")
	}
	root := t.TempDir()
	for from, to := range map[string]string{
		"../../deploy/terraform/naru-bridge": "deploy/terraform/naru-bridge",
		"testdata/terraform":                 "a/b/c/d",
	} {
		if err := os.CopyFS(filepath.Join(root, to), os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(root, "a/b/c/d")
	terraform(t, dir, "init", "-input=false")
	terraform(t, dir, "apply", "-auto-approve", "-input=false")
	outputs := parsed(t, terraform(t, dir, "output", "-json"))
	if d := cmp.Diff(recorded(t), outputs); d != "" {
		t.Errorf("testdata/terraform-1.11.json is not what this terraform prints (-want +got):\n%s", d)
	}
	_, s := secretOf(t, Outputs{"gitops_metadata": outputs["gitops_metadata"]}, Choices{})
	same(t, outputs, s)

	module := filepath.Join(root, "deploy/terraform/naru-bridge")
	terraform(t, module, "init", "-input=false")
	if out := string(terraform(t, module, "test", "-no-color")); !strings.Contains(out, "passed, 0 failed") {
		t.Error(out)
	}
}

func TestOutputsThatCannotBeReadAreSaidToBe(t *testing.T) {
	for _, c := range []struct{ data, want string }{
		{"", "nothing there"},
		{"{}", "there are no outputs"},
		{`"https://x"`, "this is one value"},
		{`["a"]`, "this is one value"},
		{`{"a": 1}`, "output a has no value"},
		{`{"url": "x", "port": 1}`, "output port has no value"},
		{`{"a": {"value": 1}`, "ends in the middle"},
		{`{"a": {"value": 1}} {}`, "more after the value"},
		{`{"a": {"value": 1, "sensitive": "no"}}`, "true or false"},
		{`{"format_version": "1.0", "values": {}}`, "this is a state"},
		{`{"version": 4, "terraform_version": "1.11.4", "outputs": {}}`, "this is a state"},
		{"{\"a\": {\"value\": \"\xff\"}}", "not UTF-8"},
		{`{"a": {"value": "\ud800"}}`, "surrogate"},
		{`{"a": {"value": ` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}}`, "nested deeper"},
	} {
		if _, err := ReadOutputs([]byte(c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s: %v, want %q", c.data, err, c.want)
		}
	}
	if _, err := ReadOutputs(make([]byte, LargestFile+1)); err == nil {
		t.Error("a file without end is read")
	}
	if o := parsed(t, []byte(`{"a": {"value": "\ufffd"}}`)); o["a"].Value != "\ufffd" {
		t.Error("U+FFFD itself is refused")
	}
}

func TestSecretsStayOutOfAnnotations(t *testing.T) {
	object := map[string]any{"user": "naru", "password": "p"}
	for _, c := range []struct {
		outputs Outputs
		want    string // "": it is written
		allow   string
	}{
		{Outputs{"x": {"v", true}}, "x is sensitive", "x"},
		{Outputs{"opensearch_url": {"https://os", true}}, "opensearch_url is sensitive", "opensearch_url"},
		{Outputs{"opensearch_endpoint": {"os", true}}, "opensearch_endpoint is sensitive", "opensearch_endpoint"},
		{Outputs{"metadata": {map[string]any{"a": "b"}, true}}, "metadata.a is sensitive", "metadata"},
		{Outputs{"master_password": {"v", false}}, "called as if it were a secret", "master_password"},
		{Outputs{"db": {object, false}}, "db.password is called as if it were a secret", "db"},
		{Outputs{"pem": {"-----BEGIN RSA PRIVATE KEY-----\n", false}}, "pem has a private key", "pem"},
		{Outputs{"urls": {[]any{"https://a", "https://u:p@b"}, false}}, "urls has a URL with a password", "urls"},
		{Outputs{"kafka_secret": {"kafka-login", false}}, "", ""},
		{Outputs{"secret_arn": {"arn:aws:secretsmanager:x", false}}, "", ""},
		{Outputs{"empty_password": {"", false}}, "", ""},
		{Outputs{"archive_url": {"s3://bucket/a@b:c", false}}, "", ""},
	} {
		_, _, err := Default().Values(c.outputs, Choices{})
		if c.want == "" {
			if err != nil {
				t.Errorf("%v: %v", c.outputs, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "secretRef") {
			t.Errorf("%v: %v, want %q", c.outputs, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter") {
			t.Error("the message tells the secret")
		}
		if _, _, err := Default().Values(c.outputs, Choices{Allow: []string{c.allow}}); err != nil {
			t.Errorf("%v, allowed: %v", c.outputs, err)
		}
	}
	if _, _, err := Default().Values(Outputs{"a": {"b", false}}, Choices{Allow: []string{"passwrod"}}); err == nil {
		t.Error("--allow of what nobody refused is accepted")
	}
}

func TestAnOutputGivesItsNameByTheMapping(t *testing.T) {
	for _, c := range []struct {
		what    string
		outputs map[string]any
		name    string
		want    any
	}{
		{"a host becomes a URL", map[string]any{"domain_endpoint": "os.example"}, "opensearch_url", "https://os.example"},
		{"a URL stays", map[string]any{"domain_endpoint": "http://os:9200"}, "opensearch_url", "http://os:9200"},
		{"the name itself comes first", map[string]any{"opensearch_url": "https://a", "opensearch_endpoint": "b"}, "opensearch_url", "https://a"},
		{"and what is empty does not count", map[string]any{"kafka_brokers": []any{}, "bootstrap_brokers_sasl_iam": "", "bootstrap_brokers_tls": "a:1, b:2,"}, "kafka_brokers", []any{"a:1", "b:2"}},
		{"a list as JSON", map[string]any{"kafka_brokers": `["a:1"]`}, "kafka_brokers", []any{"a:1"}},
		{"an account is a text", map[string]any{"aws_account_id": json.Number("123456789012")}, "aws_account_id", "123456789012"},
		{"another output keeps its type", map[string]any{"subnets": []any{"a", json.Number("1")}}, "subnets", []any{"a", json.Number("1")}},
		{"the rest of what was not chosen stays", map[string]any{"opensearch_url": "https://a", "opensearch_endpoint": "b"}, "opensearch_endpoint", "b"},
		{"enable_* is a label", map[string]any{"enable_naru": "true"}, "enable_naru", true},
		{"members of addons are labels", map[string]any{"addons": map[string]any{"enable_naru": true, "tier": json.Number("1")}}, "tier", json.Number("1")},
		{"members of metadata are values", map[string]any{"gitops_metadata": map[string]any{"opensearch_url": "a"}}, "opensearch_url", "https://a"},
	} {
		values, s := secretOf(t, outputsOf(c.outputs), Choices{})
		v, ok := values.Get(c.name)
		if d := cmp.Diff(c.want, v.Value); d != "" || !ok {
			t.Errorf("%s (-want +got):\n%s", c.what, d)
		}
		back, err := Default().Read(s)
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
		if v, _ := back.Get(c.name); !cmp.Equal(c.want, v.Value) {
			t.Errorf("%s: read back %v", c.what, v.Value)
		}
	}
}

func TestWhatDoesNotFitIsNamed(t *testing.T) {
	refuse := Default()
	refuse.Unknown = Refuse
	for _, c := range []struct {
		m      *Mapping
		output map[string]any
		want   string
	}{
		{nil, map[string]any{"kafka_brokers": json.Number("1")}, "kafka_brokers, as kafka_brokers: want list, found number"},
		{nil, map[string]any{"opensearch_endpoint": []any{"a"}}, "opensearch_endpoint, as opensearch_url: want url, found list"},
		{nil, map[string]any{"kafka_brokers": "[1"}, "ends in the middle"},
		{nil, map[string]any{"enable_naru": "perhaps"}, "enable_naru: a label enable_* is true or false"},
		{nil, map[string]any{"a": "x", "metadata": map[string]any{"a": "y"}}, "a and metadata.a are both called a, and differ"},
		{nil, map[string]any{"x": "1", "metadata": map[string]any{"terraform_x": "y"}}, "both the annotation terraform_x"},
		{nil, map[string]any{"größe": "x"}, "no name for a variable"},
		{refuse, map[string]any{"vpn": "x"}, "does not know the output vpn"},
		{nil, map[string]any{"cluster_name": strings.Repeat("a", 64)}, "the label cluster_name has 64 bytes"},
		{nil, map[string]any{"environment": "a/b"}, `the label environment cannot be "a/b"`},
		{nil, map[string]any{"cluster_name": "Prod_1"}, "--name prod-1"},
		{nil, map[string]any{"addons": map[string]any{"zones": []any{"a"}}}, "a label holds no list"},
		{nil, map[string]any{"cluster_name": ""}, "cluster_name is missing"},
		{nil, map[string]any{"x_": "v"}, "cannot be the key of annotations"},
		{nil, map[string]any{strings.Repeat("x", 60): "v"}, "cannot be the key"},
		{nil, map[string]any{"long": strings.Repeat("x", annotationsLimit)}, "the largest are terraform_long (262144)"},
	} {
		m := c.m
		if m == nil {
			m = Default()
		}
		values, _, err := m.Values(outputsOf(c.output), Choices{})
		if err == nil {
			_, err = NewSecret(values, SecretOptions{})
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.80v: %v, want %q", c.output, err, c.want)
		}
	}
	if _, _, err := Default().Values(outputsOf(map[string]any{"a": "x", "metadata": map[string]any{"a": "x"}}), Choices{}); err != nil {
		t.Errorf("the same value twice is refused: %v", err)
	}
}

func TestAnnotationsFillWhatKubernetesTakesToTheByte(t *testing.T) {
	fill := func(n int) error {
		values, _, err := Default().Values(outputsOf(map[string]any{"long": strings.Repeat("é", n/2) + strings.Repeat("x", n%2)}), Choices{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = NewSecret(values, SecretOptions{})
		return err
	}
	_, s := secretOf(t, outputsOf(map[string]any{"long": ""}), Choices{})
	room := annotationsLimit - s.size()
	if err := fill(room); err != nil {
		t.Error(err)
	}
	if err := fill(room + 1); err == nil {
		t.Error("a byte more is taken")
	}
}

func TestThreeHundredBrokersFit(t *testing.T) {
	var brokers []any
	for i := range 300 {
		brokers = append(brokers, fmt.Sprintf("b-%d.logs.abc123.c2.kafka.eu-central-1.amazonaws.com:9098", i))
	}
	_, s := secretOf(t, outputsOf(map[string]any{"kafka_brokers": brokers}), Choices{})
	again, err := ParseSecret("x", s.YAML())
	if err != nil {
		t.Fatal(err)
	}
	vars, err := Default().Variables(again)
	if err != nil || !cmp.Equal(vars["kafka_brokers"], any(brokers)) {
		t.Error(err, vars["kafka_brokers"])
	}
}

// nastyOutputs have texts that YAML, JSON, templates and references might take for something else.
func nastyOutputs() Outputs {
	nasty := map[string]any{}
	for i, text := range []string{
		"", " ", "no", "Yes", "on", "~", "null", "1e3", "0x1f", "012", "1:20", "2024-01-01", "'", `"`, `\`, "a: b", "# c", "- d", "{", "[", "*a", "&a", "!x", "%y", "@z", "`",
		"line\nbreak\n", "cr\r\n", "\t", "\x00", "\x7f", "\u0085", "\u2028\u2029", "\ufeff", "\ufffe", "🎉", "\U0010ffff", "{{ .x }}", "${x}", "$${x}", strings.Repeat("x ", 500),
	} {
		nasty[fmt.Sprintf("v%d", i)] = text
	}
	nasty["deep"] = map[string]any{"a\n": []any{nil, true, json.Number("1.50"), map[string]any{strings.Repeat("k", 1100): "v"}}}
	return outputsOf(nasty)
}

// TestEveryReaderOfYAMLSeesTheSame compares the YAML 1.2 of yaml.v3 with the YAML 1.1 that kubectl and Argo CD read.
func TestEveryReaderOfYAMLSeesTheSame(t *testing.T) {
	values, s := secretOf(t, nastyOutputs(), Choices{})
	text := s.YAML()
	var a, b struct {
		Metadata struct {
			Labels, Annotations map[string]string
		}
		Data map[string][]byte
	}
	if err := sigs.UnmarshalStrict(text, &struct {
		APIVersion, Kind, Type string
		Data                   map[string][]byte
		Metadata               any
	}{}); err != nil {
		t.Fatal(err)
	}
	if err := sigs.Unmarshal(text, &a); err != nil {
		t.Fatal(err)
	}
	parsed, err := ParseSecret("x", text)
	if err != nil {
		t.Fatal(err)
	}
	b.Metadata.Labels, b.Metadata.Annotations, b.Data = parsed.Labels, parsed.Annotations, parsed.Data
	if d := cmp.Diff(a, b); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(s, parsed); d != "" {
		t.Errorf("(-written +read)\n%s", d)
	}
	back, err := Default().Read(parsed)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(values.Map(), back.Map()); d != "" {
		t.Errorf("(-values +read)\n%s", d)
	}
}

func TestKubectlReadsTheSecretAsItWasWritten(t *testing.T) {
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("there is no kubectl here; TestEveryReaderOfYAMLSeesTheSame reads the manifest with the library that kubectl has")
	}
	_, s := secretOf(t, nastyOutputs(), Choices{})
	file := filepath.Join(t.TempDir(), "secret.yaml")
	if err := os.WriteFile(file, s.YAML(), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), kubectl, "annotate", "--local", "-f", file, "added=here", "-o", "json") // asks no server
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	got, err := ParseSecret("kubectl", out)
	if err != nil {
		t.Fatal(err)
	}
	s.Annotations["added"] = "here"
	if d := cmp.Diff(s, got); d != "" {
		t.Errorf("(-written +read by kubectl):\n%s", d)
	}
}

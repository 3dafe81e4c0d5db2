package deploy_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/narudata/naru/internal/testbed"
)

// helm runs helm, and gives what it prints; err has what it says when it fails.
func helm(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	return program(t, "helm", args...)
}

func program(t *testing.T, name string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ok, missing := testbed.CanBuildArgo(t, name)
	testbed.Need(t, ok, missing)
	cmd := exec.CommandContext(t.Context(), filepath.Join(testbed.ArgoPrograms(t, name), name), args...)
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+home, "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home, "KUBECONFIG="+filepath.Join(home, "none"))
	var out, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errors
	err = cmd.Run()
	return out.String(), errors.String(), err
}

// render gives what a chart makes of values.
func render(t *testing.T, chart string, args ...string) string {
	t.Helper()
	out, stderr, err := helm(t, append([]string{"template", chart, filepath.Join("charts", chart), "--namespace", "naru-system"}, args...)...)
	if err != nil {
		t.Fatalf("helm template %s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	return out
}

// valueSets are the files of values that the charts are rendered with.
func valueSets(t *testing.T) []string {
	t.Helper()
	sets, err := filepath.Glob("testdata/charts/*.values.yaml")
	if err != nil || len(sets) < 3 {
		t.Fatalf("sets of values: %v (%v)", sets, err)
	}
	return sets
}

func TestTheChartsPassHelmsLint(t *testing.T) {
	if out, stderr, err := helm(t, "lint", "--strict", "charts/naru-crds"); err != nil {
		t.Errorf("naru-crds: %v\n%s%s", err, out, stderr)
	}
	for _, set := range valueSets(t) {
		if out, stderr, err := helm(t, "lint", "--strict", "charts/naru", "--values", set); err != nil {
			t.Errorf("naru with %s: %v\n%s%s", set, err, out, stderr)
		}
	}
}

func TestTheChartRendersAsBefore(t *testing.T) {
	for _, set := range valueSets(t) {
		name := strings.TrimSuffix(filepath.Base(set), ".values.yaml")
		t.Run(name, func(t *testing.T) {
			golden(t, filepath.Join("testdata", "charts", name+".golden.yaml"), render(t, "naru", "--values", set, "--api-versions", "monitoring.coreos.com/v1"))
		})
	}
}

// A value that is wrong is refused before anything is installed, and the message says which.
func TestWrongValuesAreRefusedByName(t *testing.T) {
	for _, c := range []struct{ set, says string }{
		{"replicas=two", "replicas"},
		{"replica=2", "'replica' not allowed"},
		{"image.tag=a b", "image/tag"},
		{"image.digest=sha256:12", "image/digest"},
		{"image.pullPolicy=always", "pullPolicy"},
		{"operator.namespaces={Flows}", "operator/namespaces/0"},
		{"operator.log.level=loud", "operator/log/level"},
		{"metrics.port=8081", "metrics/port"},
		{"metrics.port=80", "metrics/port"},
		{"networkPolicy.apiServer.cidrs={10.0.0.1}", "networkPolicy/apiServer/cidrs/0"},
		{"networkPolicy.targetPorts={99999}", "networkPolicy/targetPorts/0"},
		{"deletionProtection.kinds={pods}", "deletionProtection/kinds/0"},
		{"serviceAccount.annotations.a=1", "serviceAccount/annotations/a"},
		{"podDisruptionBudget.maxUnavailable=half", "podDisruptionBudget/maxUnavailable"},
		{"resources.memory=1Gi", "'memory' not allowed"},
		// What a schema cannot say:
		{"replicas=2,operator.leaderElection=false", "Set operator.leaderElection=true"},
		{"flowNetworkPolicy.enabled=true", "flowNetworkPolicy.namespaces"},
		{"metrics.serviceMonitor.enabled=true,metrics.service.enabled=false", "needs metrics.service.enabled"},
	} {
		_, stderr, err := helm(t, "template", "naru", "charts/naru", "--set", c.set)
		if err == nil || !strings.Contains(stderr, c.says) {
			t.Errorf("--set %s: want an error with %q, got %v\n%s", c.set, c.says, err, stderr)
		}
	}
	if _, stderr, err := helm(t, "template", "crds", "charts/naru-crds", "--set", "install=false"); err == nil || !strings.Contains(stderr, "'install' not allowed") {
		t.Errorf("naru-crds: got %v\n%s", err, stderr)
	}
}

// What users are told to set is what there is: each key of values.yaml is in the schema, and the other way round.
func TestTheSchemaKnowsWhatTheValuesAre(t *testing.T) {
	var values, schema map[string]any
	for path, into := range map[string]*map[string]any{"charts/naru/values.yaml": &values, "charts/naru/values.schema.json": &schema} {
		text, err := os.ReadFile(path)
		if err == nil {
			err = yaml.Unmarshal(text, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var compare func(path string, values, schema map[string]any)
	compare = func(path string, values, schema map[string]any) {
		properties, _ := schema["properties"].(map[string]any)
		if properties == nil {
			return // free
		}
		for key, value := range values {
			property, ok := properties[key].(map[string]any)
			if !ok {
				t.Errorf("values.schema.json does not know %s%s", path, key)
				continue
			}
			if inner, ok := value.(map[string]any); ok {
				compare(path+key+".", inner, property)
			}
		}
		for key := range properties {
			if _, ok := values[key]; !ok && key != "global" && path != "resources." {
				t.Errorf("values.yaml does not say %s%s", path, key)
			}
		}
	}
	compare("", values, schema)
}

// The versions of the two charts, and of what they install, are one.
func TestTheChartsHaveOneVersion(t *testing.T) {
	type chart struct{ Version, AppVersion, KubeVersion string }
	var charts []chart
	for _, name := range []string{"naru", "naru-crds"} {
		text, err := os.ReadFile(filepath.Join("charts", name, "Chart.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var c chart
		if err := yaml.Unmarshal(text, &c); err != nil {
			t.Fatal(err)
		}
		charts = append(charts, c)
	}
	if charts[0] != charts[1] || charts[0].Version != charts[0].AppVersion {
		t.Errorf("%+v", charts)
	}
	for _, path := range []string{"rollouts/controller.yaml", "rollouts/values-argo-rollouts.yaml"} {
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), "image: ghcr.io/narudata/naru:"+charts[0].AppVersion+"\n") {
			t.Errorf("%s names another image than that of version %s (%v)", path, charts[0].AppVersion, err)
		}
	}
}

// The CRDs stay when the chart is uninstalled: with them every Flow would go.
func TestTheDefinitionsStayWhenTheChartGoes(t *testing.T) {
	var names []string
	for _, d := range documents(t, render(t, "naru-crds")) {
		metadata := d["metadata"].(map[string]any)
		names = append(names, metadata["name"].(string))
		if policy := metadata["annotations"].(map[string]any)["helm.sh/resource-policy"]; d["kind"] != "CustomResourceDefinition" || policy != "keep" {
			t.Errorf("%s %s has the resource policy %v, want keep", d["kind"], metadata["name"], policy)
		}
	}
	if len(names) != 3 {
		t.Errorf("got the definitions %v, want three", names)
	}
}

func documents(t *testing.T, text string) (all []map[string]any) {
	t.Helper()
	for _, part := range regexp.MustCompile(`(?m)^---.*$`).Split(text, -1) {
		var d map[string]any
		if err := yaml.Unmarshal([]byte(part), &d); err != nil {
			t.Fatalf("%v in\n%s", err, part)
		}
		if len(d) > 0 {
			all = append(all, d)
		}
	}
	return all
}

// kustomize's base is what the chart renders with its values as they are, without Helm's own marks.
func TestKustomizeInstallsWhatTheChartDoes(t *testing.T) {
	helms := regexp.MustCompile(`(?m)^ +(app\.kubernetes\.io/managed-by: Helm|helm\.sh/chart: .*)\n|^# Source: .*\n`)
	text := helms.ReplaceAllString(render(t, "naru"), "")
	golden(t, "kustomize/operator.yaml", "# Made of deploy/charts/naru by \"make generate\".\n"+text)
	if *update {
		return
	}
	out, stderr, err := program(t, "kustomize", "build", "kustomize")
	if err != nil {
		t.Fatalf("kustomize build: %v\n%s", err, stderr)
	}
	kinds := map[string]int{}
	for _, d := range documents(t, out) {
		kinds[d["kind"].(string)]++
		metadata := d["metadata"].(map[string]any)
		if namespace, ok := metadata["namespace"]; ok && namespace != "naru-system" {
			t.Errorf("%s %s is in the namespace %v", d["kind"], metadata["name"], namespace)
		}
	}
	for kind, n := range map[string]int{"CustomResourceDefinition": 3, "Namespace": 1, "Deployment": 1, "ServiceAccount": 1, "NetworkPolicy": 1} {
		if kinds[kind] != n {
			t.Errorf("got %d of %s, want %d: %v", kinds[kind], kind, n, kinds)
		}
	}
}

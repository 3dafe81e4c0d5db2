// Package gitops_test holds this folder to what it says: every environment can be read, every manifest is one of its kind, and what
// the operator is given means the same as the files that naru plan reads.
package gitops_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	rollouts "github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	kyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/narudata/naru/cli"
	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/estate/bridge"
	"github.com/narudata/naru/internal/testbed"
	"github.com/narudata/naru/internal/testbed/cluster"
	"github.com/narudata/naru/operator/v1alpha1"
)

var environments = []string{"dev", "staging", "prod"}

// known is what Terraform would tell of an environment, as terraform/main.tf has it.
func known(env string) map[string]any {
	shards := json.Number("1")
	if env == "prod" {
		shards = "6"
	}
	return map[string]any{
		"opensearch_url": "https://search." + env + ".example:9200",
		"kafka_brokers":  []any{"kafka-1." + env + ".example:9092", "kafka-2." + env + ".example:9092"}, "shards": shards,
	}
}

func noEnv(string) string { return "" }

// kustomize builds a folder.
func kustomize(t *testing.T, dir string) []*unstructured.Unstructured {
	t.Helper()
	_, err := exec.LookPath("kubectl")
	testbed.Need(t, err == nil, "kubectl, which has kustomize in it, is not there")
	out, err := exec.CommandContext(t.Context(), "kubectl", "kustomize", dir).Output()
	if err != nil {
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("%s: %s", dir, e.Stderr)
		}
		t.Fatal(err)
	}
	return manifests(t, out)
}

func manifests(t *testing.T, text []byte) []*unstructured.Unstructured {
	t.Helper()
	var out []*unstructured.Unstructured
	for d := kyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		o := &unstructured.Unstructured{}
		if err := d.Decode(&o.Object); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		if len(o.Object) > 0 {
			out = append(out, o)
		}
	}
}

// find gives the objects of a kind by name.
func find(all []*unstructured.Unstructured, kind string) map[string]*unstructured.Unstructured {
	out := map[string]*unstructured.Unstructured{}
	for _, o := range all {
		if o.GetKind() == kind {
			out[o.GetName()] = o
		}
	}
	return out
}

// into decodes strictly: an unknown field is an error.
func into(t *testing.T, o *unstructured.Unstructured, v any) {
	t.Helper()
	text, err := yaml.Marshal(o.Object)
	if err == nil {
		err = yaml.UnmarshalStrict(text, v)
	}
	if err != nil {
		t.Fatalf("%s %s: %v", o.GetKind(), o.GetName(), err)
	}
}

// asOperator reads what an Environment and its ConfigMaps declare, in the way in which the operator does: what the bridge knows, then
// its variables; its sources in their order, patches over the others.
func asOperator(t *testing.T, env string) (*v1alpha1.Environment, *estate.Desired) {
	t.Helper()
	all := kustomize(t, "environments/"+env)
	found := find(all, "Environment")["shop"]
	if found == nil {
		t.Fatalf("environments/%s has no Environment", env)
	}
	e := &v1alpha1.Environment{}
	into(t, found, e)
	variables := known(env)
	own := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(e.Spec.Variables.Raw))
	d.UseNumber()
	if err := d.Decode(&own); err != nil {
		t.Fatal(err)
	}
	maps.Copy(variables, own)
	text, err := json.Marshal(map[string]any{
		"estate": e.Spec.Estate, "variables": variables, "target": map[string]any{"urls": e.Spec.Target.URLs}, "kafka": map[string]any{"brokers": variables["kafka_brokers"]},
		"drift": map[string]any{"repair": e.Spec.Drift.Repair},
	})
	if err != nil {
		t.Fatal(err)
	}
	fsys := fstest.MapFS{"overlays/" + env + "/env.yaml": {Data: text}}
	configs := find(all, "ConfigMap")
	for _, s := range e.Spec.Sources {
		m := configs[s.ConfigMapRef.Name]
		if m == nil {
			t.Fatalf("%s: there is no ConfigMap %s", env, s.ConfigMapRef.Name)
		}
		delete(configs, s.ConfigMapRef.Name)
		data, _, err := unstructured.NestedStringMap(m.Object, "data")
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range data {
			folder := "base"
			if strings.Contains(name, ".patch.") {
				folder = "overlays/" + env
			}
			fsys[folder+"/"+s.Kind+"/"+name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	if len(configs) > 0 {
		t.Errorf("%s: no source names the ConfigMaps %v", env, slices.Sorted(maps.Keys(configs)))
	}
	desired, err := estate.ReadFS(t.Context(), fsys, env, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	return e, desired
}

// TestTheOperatorAndThePlanHaveTheSameEnvironment: two ways to the same objects, of which a file that one of them forgot would be
// deleted by the other.
func TestTheOperatorAndThePlanHaveTheSameEnvironment(t *testing.T) {
	for _, env := range environments {
		files, err := estate.Read(t.Context(), "estate", env, noEnv)
		if err != nil {
			t.Fatal(err)
		}
		_, operator := asOperator(t, env)
		if files.Estate != operator.Estate || fmt.Sprint(files.Target.URLs, files.Kafka.Brokers, files.Repair) != fmt.Sprint(operator.Target.URLs, operator.Kafka.Brokers, operator.Repair) {
			t.Errorf("%s: %s at %v and %v; the operator's is %s at %v and %v", env, files.Estate, files.Target.URLs, files.Kafka.Brokers, operator.Estate, operator.Target.URLs, operator.Kafka.Brokers)
		}
		for key, o := range files.Objects {
			other := operator.Objects[key]
			if other == nil || fmt.Sprint(other.Body) != fmt.Sprint(o.Body) {
				t.Errorf("%s: %s is %v for naru plan, and %v for the operator", env, key, o.Body, other)
			}
			delete(operator.Objects, key)
		}
		if len(operator.Objects) > 0 || len(files.Objects) < 14 {
			t.Errorf("%s: the operator has also %v, of %d", env, operator.Objects, len(files.Objects))
		}
	}
}

func TestEnvironmentsDiffer(t *testing.T) {
	want := map[string][4]string{"dev": {"1", "0", "3d", "3"}, "staging": {"1", "1", "7d", "6"}, "prod": {"6", "1", "30d", "12"}}
	for _, env := range environments {
		d, err := estate.Read(t.Context(), "estate", env, noEnv)
		if err != nil {
			t.Fatal(err)
		}
		settings := d.Objects[estate.Key{Kind: estate.ComponentTemplates, Name: "logs-settings"}].Body["template"].(map[string]any)["settings"].(map[string]any)
		states := d.Objects[estate.Key{Kind: estate.ISMPolicies, Name: "logs"}].Body["states"].([]any)
		age := states[1].(map[string]any)["transitions"].([]any)[0].(map[string]any)["conditions"].(map[string]any)["min_index_age"]
		got := [4]string{fmt.Sprint(settings["number_of_shards"]), fmt.Sprint(settings["number_of_replicas"]), fmt.Sprint(age), fmt.Sprint(d.Objects[estate.Key{Kind: estate.KafkaTopics, Name: "logs"}].Body["partitions"])}
		if got != want[env] {
			t.Errorf("%s: %v", env, got)
		}
	}
}

// TestTheBridgeHasWhatEnvironmentsNeed: each ${name} that spec.variables has no value for is one that Terraform gives.
func TestTheBridgeHasWhatEnvironmentsNeed(t *testing.T) {
	_, err := exec.LookPath("terraform")
	testbed.Need(t, err == nil, "terraform is not there")
	for _, env := range environments {
		secret := secretOf(t, env, "https://git.example/estate.git")
		read, err := bridge.ParseSecret("secret", secret)
		if err != nil {
			t.Fatal(err)
		}
		variables, err := bridge.Default().Variables(read, bridge.ForEnvironment)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range known(env) {
			if fmt.Sprint(variables[name]) != fmt.Sprint(want) {
				t.Errorf("%s: %s is %v, and not %v", env, name, variables[name], want)
			}
		}
	}
}

// secretOf runs terraform on a copy of terraform/, and naru bridge on what it gives.
func secretOf(t *testing.T, env, repository string, args ...string) []byte {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"examples/gitops/terraform", "deploy/terraform"} {
		if err := os.CopyFS(filepath.Join(root, dir), os.DirFS(filepath.Join("../..", dir))); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(root, "examples/gitops/terraform")
	terraform := func(args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "terraform", append([]string{"-chdir=" + dir}, args...)...)
		out, err := cmd.Output()
		if err != nil {
			if e, ok := errors.AsType[*exec.ExitError](err); ok {
				t.Fatalf("terraform %v: %s%s", args, out, e.Stderr)
			}
			t.Fatal(err)
		}
		return out
	}
	terraform("init", "-input=false", "-no-color")
	terraform("apply", "-input=false", "-no-color", "-auto-approve", "-var", "environment="+env, "-var", "repository="+repository)
	out, errs, status := naru(t, string(terraform("output", "-json")), append([]string{"bridge"}, args...)...)
	if status != 0 {
		t.Fatalf("naru bridge: %s", errs)
	}
	return []byte(out)
}

// naru runs a command of naru.
func naru(t *testing.T, stdin string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, errs bytes.Buffer
	env := cli.Process()
	env.Stdin, env.Stdout, env.Stderr = strings.NewReader(stdin), &out, &errs
	status = cli.Main(t.Context(), env, args)
	return out.String(), errs.String(), status
}

// TestEveryManifestIsTakenByTheAPIServer asks a real one, which checks schemas and rules, field by field.
func TestEveryManifestIsTakenByTheAPIServer(t *testing.T) {
	ok, missing := cluster.CanStartKube(t)
	testbed.Need(t, ok, missing)
	argo, missing := testbed.HasArgo(t)
	kube := cluster.StartKube(t, cluster.KubeOptions{})
	crds, err := filepath.Glob("../../deploy/charts/naru-crds/templates/*.yaml")
	if err != nil || len(crds) != 3 {
		t.Fatal(crds, err)
	}
	known := map[string]string{"Environment": "environments", "Flow": "flows", "Migration": "migrations", "ConfigMap": "configmaps", "Secret": "secrets"}
	if argo {
		more, err := filepath.Glob(filepath.Join(testbed.ArgoPrograms(t), "manifests", "argo-*", "*-crd.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		crds = append(crds, more...)
		maps.Copy(known, map[string]string{"Rollout": "rollouts", "AnalysisTemplate": "analysistemplates", "ApplicationSet": "applicationsets", "Application": "applications"})
	} else {
		t.Logf("kinds of Argo are not looked at: %s", missing)
	}
	kube.ApplyFiles(t, "default", crds...)
	client, err := dynamic.NewForConfig(kube.Config())
	if err != nil {
		t.Fatal(err)
	}
	all := kustomize(t, "bridge")
	for _, env := range environments {
		all = append(all, kustomize(t, "environments/"+env)...)
		all = append(all, kustomize(t, "flows/overlays/"+env)...)
	}
	files := []string{"root.yaml"}
	for _, pattern := range []string{"migrations/*.yaml", "bootstrap/*.yaml"} {
		more, err := filepath.Glob(pattern)
		if err != nil || len(more) == 0 {
			t.Fatal(pattern, err)
		}
		files = append(files, more...)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, manifests(t, text)...)
	}
	taken := map[string]int{}
	for _, o := range all {
		resource, ok := known[o.GetKind()]
		if !ok {
			if argo {
				t.Errorf("%s %s: a kind that nobody looks at", o.GetKind(), o.GetName())
			}
			continue
		}
		gv, err := schema.ParseGroupVersion(o.GetAPIVersion())
		if err != nil {
			t.Fatal(err)
		}
		body, err := o.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		namespace := o.GetNamespace()
		if namespace != "" { // Argo CD's own, which is not there
			o.SetNamespace("default")
			if body, err = o.MarshalJSON(); err != nil {
				t.Fatal(err)
			}
		}
		_, err = client.Resource(gv.WithResource(resource)).Namespace("default").Patch(t.Context(), o.GetName(), types.ApplyPatchType, body,
			metav1.PatchOptions{FieldManager: "test", DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
		if err != nil {
			t.Errorf("%s %s: %v", o.GetKind(), o.GetName(), err)
		}
		taken[o.GetKind()]++
	}
	if taken["Environment"] != 3 || taken["Flow"] != 3 || taken["Migration"] != 1 || argo && (taken["Rollout"] != 2 || taken["ApplicationSet"] != 3) {
		t.Errorf("%v", taken)
	}
}

// TestTheValuesFitTheChart renders the chart with the values of each environment, and what the ApplicationSet adds to them.
func TestTheValuesFitTheChart(t *testing.T) {
	ok, missing := testbed.CanBuildArgo(t, "helm")
	testbed.Need(t, ok, missing)
	helm := filepath.Join(testbed.ArgoPrograms(t, "helm"), "helm")
	for _, env := range environments {
		cmd := exec.CommandContext(t.Context(), helm, "template", "naru", "../../deploy/charts/naru", "-n", "naru-system", "-f", "values/naru.yaml", "-f", "values/naru-"+env+".yaml",
			"--set-json", `serviceAccount={"annotations":{"eks.amazonaws.com/role-arn":""}}`)
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", env, err, out)
		}
		all := manifests(t, out)
		replicas, _, _ := unstructured.NestedFieldNoCopy(find(all, "Deployment")["naru"].Object, "spec", "replicas")
		if want := map[string]string{"dev": "1", "staging": "2", "prod": "2"}[env]; fmt.Sprint(replicas) != want {
			t.Errorf("%s: %v replicas", env, replicas)
		}
		if protected := len(find(all, "ValidatingAdmissionPolicy")) > 0; protected != (env == "prod") {
			t.Errorf("%s: deletions are protected: %t", env, protected)
		}
	}
}

func TestRolloutsNameTheFlowTheirTemplatesAndThePlugin(t *testing.T) {
	for _, env := range environments {
		all := kustomize(t, "flows/overlays/"+env)
		flow := &v1alpha1.Flow{}
		into(t, find(all, "Flow")["logs-to-opensearch"], flow)
		pipeline := find(all, "ConfigMap")[flow.Spec.Pipeline.ConfigMapRef.Name]
		if text, _, err := unstructured.NestedString(pipeline.Object, "data", flow.Spec.Pipeline.ConfigMapRef.Key); err != nil || text == "" {
			t.Errorf("%s: the pipeline is not in its ConfigMap: %v", env, err)
		}
		found := find(all, "Rollout")["logs-to-opensearch"]
		if (found != nil) != (flow.Spec.Workload == v1alpha1.Rollout) || (flow.Spec.Route != nil) != (found != nil) {
			t.Errorf("%s: workload %s, a Rollout: %t", env, flow.Spec.Workload, found != nil)
		}
		if found == nil {
			continue
		}
		r := &rollouts.Rollout{}
		into(t, found, r)
		if ref := r.Spec.WorkloadRef; ref.Kind != "Deployment" || ref.Name != flow.Name {
			t.Errorf("%s: the Rollout runs %v", env, ref)
		}
		desired, err := estate.Read(t.Context(), "estate", env, noEnv)
		if err != nil {
			t.Fatal(err)
		}
		topic := desired.Objects[estate.Key{Kind: estate.KafkaTopics, Name: flow.Spec.Route.Topic}]
		if topic == nil {
			t.Fatalf("%s: no topic %s", env, flow.Spec.Route.Topic)
		}
		if partitions, err := topic.Body["partitions"].(json.Number).Int64(); err != nil || int64(*r.Spec.Replicas) > partitions {
			t.Errorf("%s: %d pods for %d partitions", env, *r.Spec.Replicas, partitions)
		}
		templates := find(all, "AnalysisTemplate")
		for i, s := range r.Spec.Strategy.Canary.Steps {
			if s.Analysis == nil {
				continue
			}
			for _, ref := range s.Analysis.Templates {
				template := templates[ref.TemplateName]
				if template == nil || template.GetAnnotations()["argocd.argoproj.io/sync-wave"] != "-1" {
					t.Errorf("%s: step %d: template %s is not there in an earlier wave", env, i+1, ref.TemplateName)
				}
			}
		}
		for name, raw := range r.Spec.Strategy.Canary.TrafficRouting.Plugins {
			var c struct{ Group, Topic string }
			if err := json.Unmarshal(raw, &c); err != nil || name != "narudata/naru" || c.Group != flow.Spec.Route.Group || c.Topic != flow.Spec.Route.Topic {
				t.Errorf("%s: plugin %s: %s, %v", env, name, raw, err)
			}
		}
	}
}

func TestThePipelineIsRight(t *testing.T) {
	flow := &v1alpha1.Flow{}
	into(t, find(kustomize(t, "flows/base"), "Flow")["logs-to-opensearch"], flow)
	for _, e := range flow.Spec.Env { // all that it needs is what the Flow gives it
		if e.Value != "" || e.ValueFrom == nil || e.ValueFrom.SecretKeyRef == nil {
			t.Errorf("%s is not out of a Secret", e.Name)
		}
		t.Setenv(e.Name, map[bool]string{true: "https://search.example:9200", false: "kafka-1.example:9092"}[e.Name == "OPENSEARCH_URL"])
	}
	out, errs, status := naru(t, "", "logstash", "check", "flows/base/pipeline.conf")
	if status != 0 {
		t.Errorf("status %d\n%s%s", status, out, errs)
	}
}

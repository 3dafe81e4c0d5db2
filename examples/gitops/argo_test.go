//go:build argo

package gitops_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/narudata/naru/internal/testbed"
	"github.com/narudata/naru/internal/testbed/cluster"
	"github.com/narudata/naru/internal/testbed/gitops"
)

var (
	applications    = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "applications"}
	applicationSets = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "applicationsets"}
	shops           = schema.GroupVersionResource{Group: "naru.dev", Version: "v1alpha1", Resource: "environments"}
)

// An fleet is Argo CD in one cluster, dev, and beside it two more.
type fleet struct {
	t        *testing.T
	argo     *gitops.Argo
	clusters map[string]*cluster.Kube
	hub      dynamic.Interface
}

// health is what Argo CD is told of naru's kinds.
func health(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/argocd/argocd-cm.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var m corev1.ConfigMap
	if err := yaml.UnmarshalStrict(text, &m); err != nil {
		t.Fatal(err)
	}
	return m.Data
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	gitops.Need(t)
	f := &fleet{t: t, clusters: map[string]*cluster.Kube{}}
	crds, err := filepath.Glob("../../deploy/charts/naru-crds/templates/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	rollouts, err := filepath.Glob(filepath.Join(testbed.ArgoPrograms(t), "manifests", "argo-rollouts", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, env := range environments {
		f.clusters[env] = cluster.StartKube(t, cluster.KubeOptions{})
		f.clusters[env].ApplyFiles(t, "default", append(crds, rollouts...)...)
	}
	f.argo = gitops.StartArgo(t, f.clusters["dev"], gitops.Options{Settings: health(t)})
	if f.hub, err = dynamic.NewForConfig(f.clusters["dev"].Config()); err != nil {
		t.Fatal(err)
	}
	return f
}

// register gives Argo CD the cluster of an environment, by the secret that naru bridge makes of what Terraform says.
func (f *fleet) register(env, repository string) {
	f.t.Helper()
	args := []string{"--enable", "naru"}
	if env != "dev" {
		c, err := cluster.RESTConfigFrom(f.clusters[env].Kubeconfig()) // with the certificates in it
		if err != nil {
			f.t.Fatal(err)
		}
		encode := base64.StdEncoding.EncodeToString
		text, err := json.Marshal(map[string]any{"tlsClientConfig": map[string]any{"caData": encode(c.CAData), "certData": encode(c.CertData), "keyData": encode(c.KeyData)}})
		if err != nil {
			f.t.Fatal(err)
		}
		config := filepath.Join(f.t.TempDir(), "config.json")
		if err := os.WriteFile(config, text, 0o600); err != nil {
			f.t.Fatal(err)
		}
		args = append(args, "--server", c.Host, "--config", config)
	}
	f.clusters["dev"].Apply(f.t, "argocd", secretOf(f.t, env, repository, args...))
}

// until waits until something is so; why says what is not.
func (f *fleet) until(within time.Duration, what string, try func() (why string)) {
	f.t.Helper()
	why := ""
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(500 * time.Millisecond) {
		if why = try(); why == "" {
			return
		}
	}
	f.t.Fatalf("%s: not after %v: %s\n%s", what, within, why, f.argo.Log("applicationset-controller"))
}

func (f *fleet) application(name string) *unstructured.Unstructured {
	f.t.Helper()
	o, err := f.hub.Resource(applications).Namespace("argocd").Get(f.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		return nil
	}
	return o
}

// state is how an Application is: its sync, its health, and what went wrong.
func state(o *unstructured.Unstructured) string {
	if o == nil {
		return "it is not there"
	}
	sync, _, _ := unstructured.NestedString(o.Object, "status", "sync", "status")
	health, _, _ := unstructured.NestedString(o.Object, "status", "health", "status")
	operation, _, _ := unstructured.NestedString(o.Object, "status", "operationState", "message")
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	return fmt.Sprintf("%s %s %s %v", sync, health, operation, conditions)
}

// ready says of an Environment what the operator says when all is applied and verified.
func (f *fleet) ready(env string) {
	f.t.Helper()
	client, err := dynamic.NewForConfig(f.clusters[env].Config())
	if err != nil {
		f.t.Fatal(err)
	}
	at := client.Resource(shops).Namespace("naru-system")
	o, err := at.Get(f.t.Context(), "shop", metav1.GetOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	now := time.Now().UTC().Format(time.RFC3339)
	var conditions []any
	for name, status := range map[string]string{"Ready": "True", "Reconciling": "False", "Stalled": "False", "Drifted": "False"} {
		conditions = append(conditions, map[string]any{"type": name, "status": status, "reason": "Applied", "message": "all is there", "lastTransitionTime": now, "observedGeneration": o.GetGeneration()})
	}
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"observedGeneration": o.GetGeneration(), "conditions": conditions}})
	if err == nil {
		_, err = at.Patch(f.t.Context(), "shop", types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// TestArgoBringsTheRepositoryFromDevToProd runs the real controllers on this folder: what Terraform says becomes cluster secrets, the
// root installs the ApplicationSets, these make an Application of each part for each cluster, and an environment's change reaches the
// next one when naru says that it is Ready in the one before.
func TestArgoBringsTheRepositoryFromDevToProd(t *testing.T) {
	f := newFleet(t)
	repository := gitops.NewRepository(t)
	repository.Copy(t, ".", "examples/gitops")
	commit := repository.Commit(t, "all of it", map[string]string{"examples/gitops/argo_test.go": "", "examples/gitops/gitops_test.go": ""})
	for _, env := range environments {
		f.register(env, repository.URL)
	}
	root, err := os.ReadFile("root.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f.clusters["dev"].Apply(t, "argocd", []byte(strings.ReplaceAll(string(root), "https://git.example/estate.git", repository.URL)))

	start := time.Now()
	f.until(2*time.Minute, "Applications", func() string {
		list, err := f.hub.Resource(applications).Namespace("argocd").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return err.Error()
		}
		var names []string
		for i := range list.Items {
			names = append(names, list.Items[i].GetName())
		}
		want := []string{"naru-bootstrap"}
		for _, env := range environments {
			for _, part := range []string{"environment", "flows", "operator"} {
				want = append(want, "naru-"+part+"-"+env+"-1")
			}
		}
		slices.Sort(names)
		slices.Sort(want)
		if !slices.Equal(names, want) {
			return fmt.Sprintf("%q, and the root is %s", names, state(f.application("naru-bootstrap")))
		}
		return ""
	})
	defer func() {
		if t.Failed() {
			for _, env := range environments {
				t.Logf("environment %s: %s", env, state(f.application("naru-environment-"+env+"-1")))
			}
		}
	}()
	t.Logf("nine Applications after %v", time.Since(start).Round(100*time.Millisecond))
	f.generated()

	// dev syncs, and is Progressing, as long as the operator says nothing; the others wait.
	synced := func(env string) func() string {
		return func() string {
			o := f.application("naru-environment-" + env + "-1")
			if s := state(o); !strings.HasPrefix(s, "Synced ") {
				return s
			}
			if revisions, _, _ := unstructured.NestedStringSlice(o.Object, "status", "sync", "revisions"); !slices.Contains(revisions, commit) {
				return fmt.Sprintf("it is at %q", revisions)
			}
			return ""
		}
	}
	for i, env := range environments {
		start = time.Now()
		f.until(2*time.Minute, env, synced(env))
		t.Logf("%s is synced after %v", env, time.Since(start).Round(100*time.Millisecond))
		f.bridged(env)
		for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
			if s := state(f.application("naru-environment-" + env + "-1")); !strings.HasPrefix(s, "Synced Progressing") {
				t.Errorf("%s, of which the operator has said nothing, is %s", env, s)
			}
			for _, later := range environments[i+1:] {
				if s := state(f.application("naru-environment-" + later + "-1")); strings.HasPrefix(s, "Synced ") {
					t.Fatalf("%s is %s before %s is Ready", later, s, env)
				}
			}
		}
		f.ready(env)
	}
	f.until(time.Minute, "prod is Healthy", func() string {
		if s := state(f.application("naru-environment-prod-1")); !strings.HasPrefix(s, "Synced Healthy") {
			return s
		}
		return ""
	})

	// A value that Terraform does not give any more is an error that names it, and what was made stays.
	secrets := kubernetes.NewForConfigOrDie(f.clusters["dev"].Config()).CoreV1().Secrets("argocd")
	if _, err := secrets.Patch(t.Context(), "prod-1", types.MergePatchType, []byte(`{"metadata": {"annotations": {"opensearch_url": null}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	f.until(time.Minute, "an error of the ApplicationSet", func() string {
		o, err := f.hub.Resource(applicationSets).Namespace("argocd").Get(t.Context(), "naru-environment", metav1.GetOptions{})
		if err != nil {
			return err.Error()
		}
		conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
		for _, c := range conditions {
			if c, ok := c.(map[string]any); ok && c["type"] == "ErrorOccurred" && c["status"] == "True" && strings.Contains(fmt.Sprint(c["message"]), "opensearch_url") {
				return ""
			}
		}
		return fmt.Sprint(conditions)
	})
	if s := state(f.application("naru-environment-prod-1")); !strings.HasPrefix(s, "Synced Healthy") {
		t.Errorf("prod is %s after its address went away", s)
	}
}

// generated looks at what the controller made of the templates.
func (f *fleet) generated() {
	f.t.Helper()
	o := f.application("naru-operator-prod-1")
	sources, _, err := unstructured.NestedSlice(o.Object, "spec", "sources")
	if err != nil || len(sources) != 3 {
		f.t.Fatalf("%v %v", sources, err)
	}
	chart, _ := sources[2].(map[string]any)
	files, _, _ := unstructured.NestedStringSlice(chart, "helm", "valueFiles")
	if chart["chart"] != "naru" || chart["repoURL"] != "registry.example/charts" || chart["targetRevision"] != "0.1.0" ||
		!slices.Equal(files, []string{"$repo/examples/gitops/values/naru.yaml", "$repo/examples/gitops/values/naru-prod.yaml"}) {
		f.t.Errorf("%v", chart)
	}
	flows := f.application("naru-flows-staging-1")
	namespace, _, _ := unstructured.NestedString(flows.Object, "spec", "destination", "namespace")
	if brokers := flows.GetAnnotations()["naru.dev/kafka-brokers"]; namespace != "flows-staging" || brokers != "kafka-1.staging.example:9092,kafka-2.staging.example:9092" {
		f.t.Errorf("%s, %s", namespace, brokers)
	}
}

// bridged looks at the Secret naru-bridge of an environment's cluster: what Terraform said has come through all of it as it was.
func (f *fleet) bridged(env string) {
	f.t.Helper()
	s, err := kubernetes.NewForConfigOrDie(f.clusters[env].Config()).CoreV1().Secrets("naru-system").Get(f.t.Context(), "naru-bridge", metav1.GetOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	s.ManagedFields, s.APIVersion, s.Kind = nil, "v1", "Secret"
	text, err := yaml.Marshal(s)
	if err != nil {
		f.t.Fatal(err)
	}
	out, errs, status := naru(f.t, string(text), "bridge", "read", "-", "-o", "json")
	var values map[string]any
	if err := json.Unmarshal([]byte(out), &values); status != 0 || err != nil {
		f.t.Fatalf("%d %v\n%s%s", status, err, out, errs)
	}
	for name, want := range known(env) {
		if fmt.Sprint(values[name]) != fmt.Sprint(want) {
			f.t.Errorf("%s: %s is %v in the cluster, and not %v", env, name, values[name], want)
		}
	}
}

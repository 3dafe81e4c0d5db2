//go:build argo

package deploy_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/narudata/naru/internal/testbed/cluster"
	"github.com/narudata/naru/internal/testbed/gitops"
)

// slow is how long Argo CD and the operator may take for one step, on a machine that is busy.
const slow = 3 * time.Minute

// operatorValues are the chart's values for an operator that runs as a process of this machine: as who its account is, and at
// addresses of its pod only.
const operatorValues = `
image: {repository: proc/naru, tag: test}
operator:
  extraArgs: ["--health-address=$(POD_IP):8081", "--metrics-address=$(POD_IP):8080", "--interval=1s"]
extraEnv:
- {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
- {name: KUBECONFIG, value: /run/naru/config}
extraVolumes: [{name: who, secret: {secretName: naru-account}}]
extraVolumeMounts: [{name: who, mountPath: /run/naru, readOnly: true}]
`

// flow is a Flow that an operator makes ready, in an environment.
func flow(config string) string {
	return `apiVersion: naru.dev/v1alpha1
kind: Flow
metadata: {name: heart}
spec:
  image: proc/naru
  pipeline: {config: '` + config + `'}
`
}

const (
	good = `input { heartbeat { interval => 1 } } output { null {} }`
	bad  = `input { heartbeat { interval => 1 } } output { nil {} }`
)

// An estate is a cluster whose operator Argo CD installs from a repository.
type estate struct {
	t          *testing.T
	kube       *cluster.Kube
	argo       *gitops.Argo
	repository *gitops.Repository
	client     dynamic.Interface
	start      time.Time
}

var flows = schema.GroupVersionResource{Group: "naru.dev", Version: "v1alpha1", Resource: "flows"}

func newEstate(t *testing.T) *estate {
	t.Helper()
	gitops.Need(t)
	naru := buildNaru(t)
	e := &estate{t: t, start: time.Now()}
	e.kube = cluster.StartKube(t, cluster.KubeOptions{Images: map[string]string{"proc/naru": naru}})
	var err error
	if e.client, err = dynamic.NewForConfig(e.kube.Config()); err != nil {
		t.Fatal(err)
	}
	var cm struct{ Data map[string]string }
	text, err := os.ReadFile("argocd/argocd-cm.yaml")
	if err == nil {
		err = yaml.Unmarshal(text, &cm)
	}
	if err != nil {
		t.Fatal(err)
	}
	e.argo = gitops.StartArgo(t, e.kube, gitops.Options{Settings: cm.Data})
	e.repository = gitops.NewRepository(t)

	// The operator's account: the rights that the chart gives it, and no others.
	_, kubeconfig := e.kube.As(t, "system:serviceaccount:naru-system:naru", "system:serviceaccounts", "system:serviceaccounts:naru-system", "system:authenticated")
	account, err := os.ReadFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	e.kube.ApplyFiles(t, "", "kustomize/namespace.yaml")
	e.kube.Apply(t, "naru-system", []byte(`{apiVersion: v1, kind: Secret, metadata: {name: naru-account}, data: {config: `+base64.StdEncoding.EncodeToString(account)+`}}`))
	e.repository.Copy(t, "charts", "charts")
	e.repository.Commit(t, "naru's charts", map[string]string{"values.yaml": operatorValues})
	return e
}

// application is a manifest of one that syncs by itself.
func (e *estate) application(name, path, namespace, more string) string {
	return `apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: ` + name + `, namespace: argocd}
spec:
  project: default
  source: {repoURL: "` + e.repository.URL + `", targetRevision: main, path: ` + path + more + `}
  destination: {server: "https://kubernetes.default.svc", namespace: ` + namespace + `}
  syncPolicy:
    automated: {prune: true, selfHeal: true}
    syncOptions: [CreateNamespace=true, ServerSideApply=true]
`
}

// installOperator has Argo CD install the charts, and waits until the operator works.
func (e *estate) installOperator() {
	e.t.Helper()
	e.kube.Apply(e.t, "argocd",
		[]byte(e.application("naru-crds", "charts/naru-crds", "naru-system", "")),
		[]byte(e.application("naru", "charts/naru", "naru-system", `, helm: {releaseName: naru, valueFiles: [../../values.yaml]}`)))
	for _, name := range []string{"naru-crds", "naru"} {
		e.argo.AwaitHealth(e.t, name, "", "Healthy", slow)
		e.say("%s is installed", name)
	}
	e.t.Cleanup(func() {
		if e.t.Failed() {
			logs, _ := filepath.Glob(filepath.Join(e.kube.Dir, "pods", "naru-system", "*", "*.log"))
			for _, l := range logs {
				text, _ := os.ReadFile(l)
				e.t.Logf("%s\n%s", filepath.Base(l), text[max(0, len(text)-6000):])
			}
		}
	})
}

func (e *estate) say(format string, args ...any) {
	e.t.Helper()
	e.t.Logf("%6.1f s: %s", time.Since(e.start).Seconds(), fmt.Sprintf(format, args...))
}

func (e *estate) flow(namespace string) *unstructured.Unstructured {
	e.t.Helper()
	f, err := e.client.Resource(flows).Namespace(namespace).Get(e.t.Context(), "heart", metav1.GetOptions{})
	if err != nil {
		e.t.Fatal(err)
	}
	return f
}

// act does what an action does in Argo CD's user interface: the script runs on what is there, and what it changes is sent as a patch.
func (e *estate) act(namespace, action string) {
	e.t.Helper()
	live := e.flow(namespace)
	value, err := runLua(e.t, luaFile(e.t, "actions/"+action+".lua"), normal(e.t, live.Object))
	if err != nil {
		e.t.Fatal(err)
	}
	changed, _ := fromLua(value, live.Object).(map[string]any)
	annotations, _, _ := unstructured.NestedMap(changed, "metadata", "annotations")
	for name := range live.GetAnnotations() {
		if _, ok := annotations[name]; !ok {
			annotations[name] = nil
		}
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations}})
	if err != nil {
		e.t.Fatal(err)
	}
	if _, err := e.client.Resource(flows).Namespace(namespace).Patch(e.t.Context(), "heart", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		e.t.Fatal(err)
	}
}

// normal is an object as JSON has it, where all numbers are of one type.
func normal(t *testing.T, object map[string]any) (out map[string]any) {
	t.Helper()
	text, err := json.Marshal(object)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestArgoCDInstallsTheOperatorAndSeesHowFlowsAre(t *testing.T) {
	e := newEstate(t)

	// Flows are there before the operator is: they are not healthy only because nobody says anything of them.
	first := e.repository.Commit(t, "a flow", map[string]string{"flows/heart.yaml": flow(good)})
	e.kube.Apply(t, "argocd", []byte(e.application("naru-crds", "charts/naru-crds", "naru-system", "")))
	e.argo.AwaitHealth(t, "naru-crds", "", "Healthy", slow)
	e.argo.Apply(t, "flows", e.repository, "flows", "flows")
	e.argo.AwaitHealth(t, "flows", first, "Progressing", slow)
	e.say("without an operator the Flow is Progressing")

	e.installOperator()
	app := e.argo.AwaitHealth(t, "flows", first, "Healthy", slow)
	e.say("the Flow is ready\n%v", app)
	if _, health, message := app.Resource("Flow", "heart"); health != "Healthy" || !strings.Contains(message, "1 of 1 pods") {
		t.Errorf("the Flow is %s, %q; want what the operator says of its pods", health, message)
	}

	t.Run("what the operator writes is no difference", func(t *testing.T) {
		// Defaults of the CRD, status, annotations, finalizers, and replicas by an autoscaler: none of it is Git's.
		scale := func(replicas int) {
			patch := fmt.Appendf(nil, `{"spec": {"replicas": %d}}`, replicas)
			if _, err := e.client.Resource(flows).Namespace("flows").Patch(t.Context(), "heart", types.MergePatchType, patch, metav1.PatchOptions{}, "scale"); err != nil {
				t.Fatal(err)
			}
			until(t, slow, func(context.Context) error {
				if n, _, _ := unstructured.NestedInt64(e.flow("flows").Object, "status", "readyReplicas"); int(n) != replicas {
					return fmt.Errorf("%d pods are ready, want %d", n, replicas)
				}
				return nil
			})
		}
		scale(2)
		defer scale(1)
		for range 3 {
			e.act("flows", "reconcile")
			e.argo.Refresh(t, "flows")
			e.argo.Await(t, "flows", slow, "refreshed", func(*gitops.Application) bool {
				o, err := e.client.Resource(schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "applications"}).Namespace("argocd").Get(t.Context(), "flows", metav1.GetOptions{})
				return err == nil && o.GetAnnotations()["argocd.argoproj.io/refresh"] == ""
			})
			app, err := e.argo.Application(t, "flows")
			if err != nil || app.Status.Sync.Status != "Synced" {
				t.Fatalf("(%v) %v", err, app)
			}
			if n, _, _ := unstructured.NestedInt64(e.flow("flows").Object, "spec", "replicas"); n != 2 {
				t.Fatalf("Argo CD put back what an autoscaler had set: %d replicas", n)
			}
		}
	})

	t.Run("an action holds against self-heal", func(t *testing.T) {
		e.act("flows", "suspend")
		app := e.argo.Await(t, "flows", slow, "Suspended and synced", func(a *gitops.Application) bool {
			return a.Status.Health.Status == "Suspended" && a.Status.Sync.Status == "Synced"
		})
		e.say("suspended by an action\n%v", app)
		e.argo.Refresh(t, "flows")
		until(t, slow, func(context.Context) error {
			f := e.flow("flows")
			if replicas, _, _ := unstructured.NestedInt64(f.Object, "status", "replicas"); replicas != 0 {
				return fmt.Errorf("there are still %d pods", replicas)
			}
			return nil
		})
		if f := e.flow("flows"); f.GetAnnotations()["naru.dev/suspended"] != "true" {
			t.Errorf("Argo CD took the annotation away: %v", f.GetAnnotations())
		}
		e.act("flows", "resume")
		e.argo.AwaitHealth(t, "flows", first, "Healthy", slow)
		e.say("resumed")
	})

	t.Run("a bad commit is Degraded with the reason, and a revert heals", func(t *testing.T) {
		before := e.flow("flows").GetGeneration()
		wrong := e.repository.Commit(t, "a mistake", map[string]string{"flows/heart.yaml": flow(bad)})
		began := time.Now()
		e.argo.Refresh(t, "flows")
		app := e.argo.AwaitHealth(t, "flows", wrong, "Degraded", slow)
		e.say("degraded %.1f s after the commit\n%v", time.Since(began).Seconds(), app)
		if _, _, message := app.Resource("Flow", "heart"); !strings.Contains(message, "nil") {
			t.Errorf("the message does not name the mistake: %q", message)
		}
		if e.flow("flows").GetGeneration() == before {
			t.Error("nothing was changed")
		}
		// The pods of the revision before still run.
		pods, err := e.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace("flows").List(t.Context(), metav1.ListOptions{LabelSelector: "naru.dev/flow=heart"})
		if err != nil || !slices.ContainsFunc(pods.Items, func(p unstructured.Unstructured) bool {
			phase, _, _ := unstructured.NestedString(p.Object, "status", "phase")
			return phase == "Running"
		}) {
			t.Errorf("no pod runs (%v)", err)
		}
		began = time.Now()
		back := e.repository.Revert(t)
		e.argo.Refresh(t, "flows")
		e.argo.AwaitHealth(t, "flows", back, "Healthy", slow)
		e.say("healed %.1f s after the revert", time.Since(began).Seconds())
	})

	t.Run("a Flow that Git forgets is gone with its pods", func(t *testing.T) {
		gone := e.repository.Commit(t, "no flow", map[string]string{"flows/heart.yaml": "", "flows/other.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n"})
		e.argo.Refresh(t, "flows")
		e.argo.AwaitHealth(t, "flows", gone, "Healthy", slow)
		until(t, slow, func(ctx context.Context) error {
			pods, err := e.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace("flows").List(ctx, metav1.ListOptions{})
			if err == nil && len(pods.Items) > 0 {
				err = fmt.Errorf("there are still %d pods", len(pods.Items))
			}
			return err
		})
		e.say("the Flow and its pods are gone")
	})
}

// A change reaches the next environment when naru says that it works in the one before.
func TestArgoProgressiveSyncWaitsForReady(t *testing.T) {
	e := newEstate(t)
	e.installOperator()
	for _, env := range []string{"dev", "prod"} {
		e.argo.AddCluster(t, env, map[string]string{"enable_naru": "true", "environment": env}, map[string]string{"addons_repo_url": e.repository.URL})
	}
	first := e.repository.Commit(t, "flows", map[string]string{"flows/heart.yaml": flow(good)})
	e.kube.Apply(t, "argocd", []byte(`apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: flows, namespace: argocd}
spec:
  goTemplate: true
  goTemplateOptions: ["missingkey=error"]
  generators: [{clusters: {selector: {matchLabels: {enable_naru: "true"}}}}]
  strategy:
    type: RollingSync
    rollingSync:
      steps:
      - matchExpressions: [{key: environment, operator: In, values: [dev]}]
      - matchExpressions: [{key: environment, operator: In, values: [prod]}]
  template:
    metadata: {name: 'flows-{{.name}}', labels: {environment: '{{.metadata.labels.environment}}'}}
    spec:
      project: default
      source: {repoURL: '{{.metadata.annotations.addons_repo_url}}', path: flows, targetRevision: main}
      destination: {name: '{{.name}}', namespace: 'flows-{{.metadata.labels.environment}}'}
      syncPolicy: {syncOptions: [CreateNamespace=true, ServerSideApply=true]}
`))
	e.argo.AwaitHealth(t, "flows-dev", first, "Healthy", slow)
	e.say("dev is ready")
	e.argo.AwaitHealth(t, "flows-prod", first, "Healthy", slow)
	e.say("prod is ready, after dev")

	wrong := e.repository.Commit(t, "a mistake", map[string]string{"flows/heart.yaml": flow(bad)})
	e.argo.Refresh(t, "flows-dev")
	e.argo.Refresh(t, "flows-prod")
	e.argo.AwaitHealth(t, "flows-dev", wrong, "Degraded", slow)
	e.argo.Await(t, "flows-prod", slow, "OutOfSync", func(a *gitops.Application) bool { return a.Status.Sync.Status == "OutOfSync" })
	e.say("dev is degraded, prod waits")
	// It goes on waiting: that nothing happens can only be seen by looking for a while.
	for until := time.Now().Add(10 * time.Second); time.Now().Before(until); {
		config, _, _ := unstructured.NestedString(e.flow("flows-prod").Object, "spec", "pipeline", "config")
		if config != good {
			t.Fatalf("the mistake reached prod: %s", config)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
	better := strings.ReplaceAll(good, "interval => 1", "interval => 2")
	fixed := e.repository.Commit(t, "a repair", map[string]string{"flows/heart.yaml": flow(better)})
	e.argo.Refresh(t, "flows-dev")
	e.argo.Refresh(t, "flows-prod")
	e.argo.AwaitHealth(t, "flows-prod", fixed, "Healthy", slow)
	if config, _, _ := unstructured.NestedString(e.flow("flows-prod").Object, "spec", "pipeline", "config"); config != better {
		t.Errorf("prod has %s", config)
	}
	e.say("repaired in dev, then in prod")
}

// The ApplicationSet of examples/gitops installs the operator of a cluster from a repository of charts: values from Git, and over them
// what the cluster's secret knows. An upgrade is a change of one annotation.
func TestArgoInstallsTheOperatorFromARepositoryOfCharts(t *testing.T) {
	e := newEstate(t)
	charts := t.TempDir()
	publish := func(version string) {
		t.Helper()
		for _, c := range []string{"naru-crds", "naru"} {
			if _, stderr, err := helm(t, "package", filepath.Join("charts", c), "--version", version, "--destination", charts); err != nil {
				t.Fatalf("%v\n%s", err, stderr)
			}
		}
		if _, stderr, err := helm(t, "repo", "index", charts); err != nil {
			t.Fatalf("%v\n%s", err, stderr)
		}
	}
	publish("0.1.0")
	server := httptest.NewServer(http.FileServer(http.Dir(charts)))
	t.Cleanup(server.Close)
	e.repository.Commit(t, "values", map[string]string{
		"estate/values/naru.yaml":     operatorValues,
		"estate/values/naru-dev.yaml": "operator: {log: {level: debug}}\n",
	})
	metadata := func(version string) map[string]string {
		return map[string]string{
			"addons_repo_url": e.repository.URL, "addons_repo_revision": "main", "addons_repo_basepath": "estate/", "naru_chart_repo": server.URL,
			"naru_version": version, "naru_role_arn": "arn:aws:iam::123456789012:role/naru-" + version,
		}
	}
	e.argo.AddCluster(t, "dev", map[string]string{"enable_naru": "true", "environment": "dev"}, metadata("0.1.0"))
	e.kube.ApplyFiles(t, "argocd", "../examples/gitops/bootstrap/operator.yaml")
	healthyWith := func(version string) func(*gitops.Application) bool {
		return func(a *gitops.Application) bool {
			account, err := e.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}).Namespace("naru-system").Get(t.Context(), "naru", metav1.GetOptions{})
			return err == nil && strings.HasSuffix(account.GetAnnotations()["eks.amazonaws.com/role-arn"], "naru-"+version) &&
				a.Status.Sync.Status == "Synced" && a.Status.Health.Status == "Healthy"
		}
	}
	app := e.argo.Await(t, "naru-operator-dev", slow, "installed", healthyWith("0.1.0"))
	e.say("installed from %s\n%v", server.URL, app)
	if sync, health, _ := app.Resource("CustomResourceDefinition", "flows.naru.dev"); sync != "Synced" || health != "Healthy" {
		t.Errorf("the definitions are %s, %s", sync, health)
	}
	deployment, err := e.client.Resource(schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}).Namespace("naru-system").Get(t.Context(), "naru", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if text, err := json.Marshal(deployment.Object); err != nil || !strings.Contains(string(text), "--log-level=debug") || !strings.Contains(string(text), "proc/naru:test") {
		t.Errorf("the values of Git are not in the Deployment (%v)\n%s", err, text)
	}

	publish("0.2.0")
	e.argo.AddCluster(t, "dev", map[string]string{"enable_naru": "true", "environment": "dev"}, metadata("0.2.0"))
	app = e.argo.Await(t, "naru-operator-dev", slow, "upgraded", healthyWith("0.2.0"))
	e.say("upgraded\n%v", app)
}

package kubetest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/internal/testbed"
	"github.com/narudata/naru/operator/v1alpha1"
)

// migration reads it.
func (b *bed) migration(t *testing.T, namespace, name string) *v1alpha1.Migration {
	t.Helper()
	var m v1alpha1.Migration
	if err := b.client.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: name}, &m); err != nil {
		t.Fatal(err)
	}
	return &m
}

// becomes waits for a phase and conditions.
func (b *bed) becomes(t *testing.T, namespace, name string, phase v1alpha1.MigrationPhase, want string) *v1alpha1.Migration {
	t.Helper()
	var m *v1alpha1.Migration
	within(t, patience, func() (bool, string) {
		m = b.migration(t, namespace, name)
		is := conditions(m.Status.Conditions)
		return m.Status.Phase == phase && is == want, fmt.Sprintf("%s %s: %s", m.Status.Phase, is, message(m.Status.Conditions))
	})
	return m
}

// annotate says something as a person does.
func (b *bed) annotate(t *testing.T, o client.Object, key, value string) {
	t.Helper()
	patch := fmt.Sprintf(`{"metadata": {"annotations": {%q: %q}}}`, key, value)
	if err := b.client.Patch(t.Context(), o, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		t.Fatal(err)
	}
}

func (b *bed) pods(t *testing.T, m *v1alpha1.Migration, stage string) []corev1.Pod {
	t.Helper()
	var pods corev1.PodList
	if err := b.client.List(t.Context(), &pods, client.InNamespace(m.Namespace), client.MatchingLabels{v1alpha1.MigrationLabel: m.Name, "naru.dev/stage": stage}); err != nil {
		t.Fatal(err)
	}
	return pods.Items
}

// process finds the process of a pod, by its working folder.
func (b *bed) process(t *testing.T, p *corev1.Pod) int {
	t.Helper()
	cwds, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	for _, cwd := range cwds {
		if at, err := os.Readlink(cwd); err == nil && strings.Contains(at, "/"+p.Namespace+"/"+p.Name+"/") {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(cwd)))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	return 0
}

func search(t *testing.T, o osfake.Options) (*osfake.Server, *opensearch.Client) {
	t.Helper()
	o.Cluster = cmp.Or(o.Cluster, t.Name()) // Environments of other tests have another cluster
	s := osfake.Start(t, o)
	c, err := opensearch.Target{URLs: s.URLs, TLS: opensearch.TLS{CAFile: s.CAFile}, Auth: opensearch.Auth{Username: o.Username}}.Connect(t.Context(), func(name string) string {
		return map[string]string{"NARU_PASSWORD": o.Password}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func documents(t *testing.T, c *opensearch.Client, index string) int64 {
	t.Helper()
	if err := c.JSON(t.Context(), http.MethodPost, "/"+index+"/_refresh", nil, nil); err != nil {
		return 0
	}
	var answer struct {
		Count int64 `json:"count"`
	}
	if err := c.JSON(t.Context(), http.MethodGet, "/"+index+"/_count", nil, &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Count
}

func TestAMigrationOutlivesAKilledPodAndAPauseAndSwitchesAliasesWhenItMay(t *testing.T) {
	t.Parallel()
	b := kube(t)
	s, c := search(t, osfake.Options{Username: "naru", Password: "hunter2"})
	repository := filepath.Join(testbed.Fixture(t, "os29"), "main")
	ns := b.namespace(t)
	b.apply(t, ns, `
apiVersion: v1
kind: Secret
metadata: {name: target}
stringData: {username: naru, password: hunter2}
---
apiVersion: naru.dev/v1alpha1
kind: Migration
metadata: {name: move}
spec:
  from: {snapshot: {url: %q, snapshot: snap-2}}
  to: {opensearch: {urls: [%q], rate: 150/s}}
  indices: [logs-2019, best, churn, zstd]
  parallelism: 3
  cutover: {aliases: {logs: logs-*, all: "best,zstd"}}
  template:
    env:
    - {name: NARU_USERNAME, valueFrom: {secretKeyRef: {name: target, key: username}}}
    - {name: NARU_PASSWORD, valueFrom: {secretKeyRef: {name: target, key: password}}}
`, repository, s.URL())
	var m *v1alpha1.Migration
	within(t, patience, func() (bool, string) {
		m = b.migration(t, ns, "move")
		p := m.Status.Progress
		return p != nil && p.Records.Read > 0 && p.Parts.Done > 0 && p.Pods == 3, string(m.Status.Phase) + ": " + message(m.Status.Conditions)
	})
	if p := m.Status.Plan; p == nil || p.Indices != 4 || p.Parts == 0 || p.Records != 3742 {
		t.Errorf("plan: %s", asJSON(t, p))
	}
	if got := conditions(m.Status.Conditions); got != "Reconciling/Carrying" {
		t.Error(got)
	}
	t.Logf("while it carries: %s", message(m.Status.Conditions))

	// One pod dies in the middle.
	pods := b.pods(t, m, "carry")
	pid := b.process(t, &pods[0])
	if pid == 0 {
		t.Fatalf("no process of pod %s", pods[0].Name)
	}
	if p, err := os.FindProcess(pid); err != nil {
		t.Fatal(err)
	} else if err := p.Kill(); err != nil {
		t.Fatal(err)
	}

	// Then it is suspended: no pods, and what they had is saved.
	b.annotate(t, m, v1alpha1.SuspendedAnnotation, "true")
	m = b.becomes(t, ns, "move", v1alpha1.MigrationSuspended, "-/Suspended")
	within(t, patience, func() (bool, string) {
		for _, p := range b.pods(t, m, "carry") {
			if p.Status.Phase == corev1.PodRunning {
				return false, p.Name + " runs"
			}
		}
		return true, ""
	})
	saved := documents(t, c, "logs-2019") + documents(t, c, "best") + documents(t, c, "churn") + documents(t, c, "zstd")
	if saved == 0 || saved == 3742 {
		t.Errorf("%d documents are there while it is suspended", saved)
	}
	b.annotate(t, m, v1alpha1.SuspendedAnnotation, "false")

	m = b.becomes(t, ns, "move", v1alpha1.MigrationAwaitingApproval, "-/AwaitingApproval")
	if !meta.IsStatusConditionTrue(m.Status.Conditions, v1alpha1.Verified) || m.Status.Verification == nil || m.Status.Verification.Compared != 3742 {
		t.Errorf("verification: %s", asJSON(t, m.Status.Verification))
	}
	if p := m.Status.Progress; p.Records.Delivered != 3742 || p.Records.DeadLetters != 0 || p.Parts.Done != p.Parts.Total || p.Parts.Done == 0 {
		t.Errorf("progress: %s", asJSON(t, p))
	}
	if n := documents(t, c, "logs-2019"); n != 2100 {
		t.Errorf("logs-2019 has %d documents", n)
	}
	if text := asJSON(t, m); strings.Contains(text, "hunter2") {
		t.Error("the password is in the Migration")
	}
	if err := c.JSON(t.Context(), http.MethodGet, "/_alias/logs", nil, nil); err == nil {
		t.Error("the alias is there before anybody approved")
	}
	requests := s.Count("aliases")
	b.annotate(t, m, v1alpha1.ApproveCutoverAnnotation, "true")
	m = b.becomes(t, ns, "move", v1alpha1.MigrationCompleted, "Ready/Completed")
	if !meta.IsStatusConditionTrue(m.Status.Conditions, v1alpha1.CutOver) || m.Status.FinishedAt == nil {
		t.Errorf("status: %s", asJSON(t, m.Status))
	}
	var aliases map[string]struct {
		Aliases map[string]any `json:"aliases"`
	}
	if err := c.JSON(t.Context(), http.MethodGet, "/_alias/logs,all", nil, &aliases); err != nil || len(aliases) != 3 {
		t.Errorf("aliases: %v, %v", aliases, err)
	}
	if n := s.Count("aliases") - requests; n != 1 {
		t.Errorf("the aliases were switched by %d requests", n)
	}

	// What is done stays done, whatever becomes of the Jobs.
	if err := b.client.DeleteAllOf(t.Context(), &batchv1.Job{}, client.InNamespace(ns), client.PropagationPolicy("Background")); err != nil {
		t.Fatal(err)
	}
	b.annotate(t, m, v1alpha1.ReconcileAtAnnotation, "now")
	time.Sleep(time.Second) // nothing is to happen in it
	var jobs batchv1.JobList
	if err := b.client.List(t.Context(), &jobs, client.InNamespace(ns)); err != nil || len(jobs.Items) > 0 {
		t.Errorf("%d Jobs after all was done, %v", len(jobs.Items), err)
	}
	b.becomes(t, ns, "move", v1alpha1.MigrationCompleted, "Ready/Completed")
}

func TestAMigrationWhoseTargetHasSomethingElseIsNotReadyUntilItIsMended(t *testing.T) {
	t.Parallel()
	b := kube(t)
	s, c := search(t, osfake.Options{})
	truth := testbed.Truth(t, "os29", "snap-3")["best"][0]
	document := "/best/_doc/" + url.PathEscape(truth.ID) + "?refresh=true"
	if truth.Routing != "" {
		document += "&routing=" + url.QueryEscape(truth.Routing)
	}
	if err := c.JSON(t.Context(), http.MethodPut, document, map[string]any{"other": true}, nil); err != nil {
		t.Fatal(err)
	}
	ns := b.namespace(t)
	b.apply(t, ns, `
apiVersion: naru.dev/v1alpha1
kind: Migration
metadata: {name: broken}
spec:
  from: {snapshot: {url: %q}}
  to: {opensearch: {urls: [%q]}}
  indices: [joined, best]
  cutover: {approval: Automatic, aliases: {all: best}}
`, filepath.Join(testbed.Fixture(t, "os29"), "main"), s.URL())
	m := b.becomes(t, ns, "broken", v1alpha1.MigrationFailed, "Stalled/Mismatch")
	if got := message(m.Status.Conditions); !strings.Contains(got, "1 of 2 indices differ: best: other body: 1 document") {
		t.Error(got)
	}
	if v := m.Status.Verification; v == nil || v.Different != 1 || meta.IsStatusConditionTrue(m.Status.Conditions, v1alpha1.Verified) {
		t.Errorf("verification: %s", asJSON(t, m.Status))
	}
	if meta.FindStatusCondition(m.Status.Conditions, v1alpha1.CutOver) != nil {
		t.Error("it was cut over")
	}

	// Somebody mends it, and asks for another look.
	if err := c.JSON(t.Context(), http.MethodPut, document, json.RawMessage(truth.Source), nil); err != nil {
		t.Fatal(err)
	}
	b.annotate(t, m, v1alpha1.ReconcileAtAnnotation, "2026-11-24T10:00")
	m = b.becomes(t, ns, "broken", v1alpha1.MigrationCompleted, "Ready/Completed")
	if !meta.IsStatusConditionTrue(m.Status.Conditions, v1alpha1.Verified) || !meta.IsStatusConditionTrue(m.Status.Conditions, v1alpha1.CutOver) {
		t.Errorf("status: %s", asJSON(t, m.Status))
	}
	b.pinned(t, ns)

	// What the status lost, as when the write that said it first was refused, is said again.
	meta.SetStatusCondition(&m.Status.Conditions, metav1.Condition{Type: v1alpha1.CutOver, Status: metav1.ConditionFalse, Reason: "CuttingOver"})
	if err := b.client.Status().Update(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	b.annotate(t, m, v1alpha1.ReconcileAtAnnotation, "2026-11-24T11:00")
	within(t, patience, func() (bool, string) {
		m = b.migration(t, ns, "broken")
		return meta.IsStatusConditionTrue(m.Status.Conditions, v1alpha1.CutOver), asJSON(t, m.Status)
	})
}

// pinned checks that the snapshot that "latest" was is written down.
func (b *bed) pinned(t *testing.T, ns string) {
	t.Helper()
	var config corev1.ConfigMapList
	if err := b.client.List(t.Context(), &config, client.InNamespace(ns), client.MatchingLabels{v1alpha1.MigrationLabel: "broken"}); err != nil {
		t.Fatal(err)
	}
	pinned := 0
	for _, c := range config.Items {
		if strings.Contains(c.Data["flow.yaml"], `"snapshot":"snap-3"`) && *c.Immutable {
			pinned++
		}
	}
	if pinned != 1 {
		t.Error("what latest means is not written down: pods that begin later may read another snapshot")
	}
}

func TestWhatCannotBeCarriedWholeWaitsForApproval(t *testing.T) {
	t.Parallel()
	b := kube(t)
	ns := b.namespace(t)
	archive := filepath.Join(t.TempDir(), "archive")
	b.apply(t, ns, `
apiVersion: naru.dev/v1alpha1
kind: Migration
metadata: {name: partial}
spec:
  from: {snapshot: {url: %q, snapshot: snap-2}}
  to: {ndjson: {dir: %q}}
  indices: [nosource, best]
`, filepath.Join(testbed.Fixture(t, "os29"), "main"), archive)
	m := b.becomes(t, ns, "partial", v1alpha1.MigrationFailed, "Stalled/Partial")
	if got := message(m.Status.Conditions); !strings.Contains(got, "nosource is not readable: _source.enabled: false") {
		t.Error(got)
	}
	b.annotate(t, m, "naru.dev/approve-partial", "true")
	m = b.becomes(t, ns, "partial", v1alpha1.MigrationCompleted, "Ready/Completed")
	if got := message(m.Status.Conditions); !strings.Contains(got, "approved as partial") || m.Status.Progress.Records.Delivered != 620 {
		t.Errorf("%s; %s", got, asJSON(t, m.Status.Progress))
	}
}

func TestWhatAMigrationCannotDoIsSaidBeforeAnythingRuns(t *testing.T) {
	t.Parallel()
	b := kube(t)
	ns := b.namespace(t)
	for name, c := range map[string]struct{ spec, want string }{
		"typo":     {`{from: {snapshot: {urll: x}}, to: {ndjson: {dir: /x}}}`, `unknown key "urll"; did you mean "url"?`},
		"several":  {`{from: {snapshot: {url: x}}, to: {ndjson: {dir: /x}}, parallelism: 2}`, "an archive is written by one pod"},
		"stream":   {`{from: {snapshot: {url: x}}, to: {ndjson: {dir: "-"}}}`, "standard output keeps nothing"},
		"relative": {`{from: {snapshot: {url: x}}, to: {ndjson: {dir: x}}}`, "give an absolute path"},
		"aliases":  {`{from: {snapshot: {url: x}}, to: {ndjson: {dir: /x}}, cutover: {aliases: {a: b}}}`, "an archive has no aliases"},
		"twice":    {`{from: {snapshot: {url: x, indices: [a]}}, to: {ndjson: {dir: /x}}, indices: [b]}`, "give one of them"},
		"secret":   {`{from: {snapshot: {url: x}}, to: {ndjson: {dir: /x}}, template: {env: [{name: NARU_PASSWORD, value: x}]}}`, "looks like a secret"},
		"stages":   {`{from: {snapshot: {url: x}}, to: {ndjson: {dir: /x}}, stages: [{sampel: {rate: 1%}}]}`, `did you mean "sample"?`},
	} {
		b.apply(t, ns, "apiVersion: naru.dev/v1alpha1\nkind: Migration\nmetadata: {name: %s}\nspec: %s", name, c.spec)
		var m *v1alpha1.Migration
		within(t, patience, func() (bool, string) {
			m = b.migration(t, ns, name)
			return conditions(m.Status.Conditions) == "Stalled/InvalidSpec", name + ": " + conditions(m.Status.Conditions)
		})
		if got := message(m.Status.Conditions); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q is not in: %s", name, c.want, got)
		}
	}
	var jobs batchv1.JobList
	if err := b.client.List(t.Context(), &jobs, client.InNamespace(ns)); err != nil || len(jobs.Items) > 0 {
		t.Errorf("%d Jobs, %v", len(jobs.Items), err)
	}
}

func TestWhyPodsFailIsInTheStatusWhileTheyAreTriedAgainAndDeletingEndsThem(t *testing.T) {
	t.Parallel()
	b := kube(t)
	ns := b.namespace(t)
	b.apply(t, ns, `
apiVersion: naru.dev/v1alpha1
kind: Migration
metadata: {name: nowhere}
spec: {from: {snapshot: {url: /no/such/repository}}, to: {ndjson: {dir: /tmp/x}}}
`)
	within(t, patience, func() (bool, string) {
		m := b.migration(t, ns, "nowhere")
		got := message(m.Status.Conditions)
		return conditions(m.Status.Conditions) == "Reconciling/Planning" && strings.Contains(got, "no such file or directory"), got
	})
	m := b.migration(t, ns, "nowhere")
	if err := b.client.Delete(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	within(t, patience, func() (bool, string) {
		var jobs batchv1.JobList
		if err := b.client.List(t.Context(), &jobs, client.InNamespace(ns)); err != nil {
			t.Fatal(err)
		}
		return len(jobs.Items) == 0, fmt.Sprintf("%d Jobs are there", len(jobs.Items))
	})
}

package operator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/internal/testbed"
	"github.com/narudata/naru/internal/testbed/proc"
	"github.com/narudata/naru/operator/v1alpha1"
)

var flowJSON = apiextensionsv1.JSON{Raw: []byte(`{"archive": {"dir": "/a"}}`)}

func answered(h http.Handler, r *http.Request) int {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

// naru runs the binary that pods run.
func (b *kubeBed) naru(args ...string) *exec.Cmd {
	b.Helper()
	binary := os.Getenv("NARU_TEST_BINARY")
	if binary == "" {
		binary = filepath.Join(testbed.Cache(b.T), "operator-test", "naru")
	}
	return exec.CommandContext(b.Context(), binary, args...)
}

// archive is one with the documents of a small real repository.
func (b *kubeBed) archive() (dir string, documents int64) {
	b.Helper()
	dir = filepath.Join(b.outside("archives"), "shop")
	out, err := b.naru("carry", filepath.Join(testbed.Root(b.T), "examples/snapshot/repo"), "ndjson:"+dir, "-i", "shop-logs-*").CombinedOutput()
	if err != nil {
		b.Fatalf("carry: %v\n%s", err, out)
	}
	return dir, 1800
}

// mounted are volumes by which pods have a folder of the test. Host paths are for privileged namespaces only.
func (b *kubeBed) mounted(dir string) string {
	b.Helper()
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: b.namespace}}
	change(b, n, func(n *corev1.Namespace) { n.Labels["pod-security.kubernetes.io/enforce"] = "privileged" })
	return fmt.Sprintf("volumes: [{name: test, hostPath: {path: %q}}]\nvolumeMounts: [{name: test, mountPath: %q}]\n", dir, dir)
}

// slowly lets a cluster take its time for each bulk, so that a carry is not over before a test has done something to it.
func slowly(r *osfake.Request) osfake.Fault {
	if r.API == "bulk" {
		return osfake.Fault{Latency: 3 * time.Second}
	}
	return osfake.Fault{}
}

func TestPodsOfAJobShareAnArchiveIntoACluster(t *testing.T) {
	t.Parallel()
	b := kubeTest(t)
	b.operate(Options{})
	search := osfake.Start(t, osfake.Options{Username: "carrier", Password: "s3cret-words"})
	search.SetHook(slowly)
	dir, documents := b.archive()
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "search", Namespace: b.namespace}, StringData: map[string]string{"NARU_USERNAME": "carrier", "NARU_PASSWORD": "s3cret-words"}}
	if err := b.client.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	b.flow("shop", fmt.Sprintf(`
flow:
  source: {archive: {dir: %q}}
  sink: {opensearch: {urls: [%q]}}
  options: {workers: 1, batchRecords: 50}
replicas: 3
envFrom: [{secretRef: {name: search}}]
`, dir, search.URL())+b.mounted(b.dir))
	// A node is emptied in the middle.
	var pods corev1.PodList
	b.await("three pods carry", func() string {
		b.list(&pods)
		n := 0
		for i := range pods.Items {
			if pods.Items[i].Status.Phase == corev1.PodRunning {
				n++
			}
		}
		if n < 3 {
			return fmt.Sprint(n)
		}
		return ""
	})
	if err := b.client.SubResource("eviction").Create(t.Context(), &pods.Items[0], &policyv1.Eviction{ObjectMeta: pods.Items[0].ObjectMeta}); err != nil {
		t.Fatal(err)
	}
	search.SetHook(nil)
	f := b.awaitFlow("shop", "True Arrived")
	if f.Status.Parts == nil || f.Status.Parts.Total == 0 || f.Status.Parts.Done != f.Status.Parts.Total || f.Status.Records == nil || f.Status.Records.Delivered != documents {
		t.Errorf("parts %+v, records %+v", f.Status.Parts, f.Status.Records)
	}
	if !strings.Contains(message(f), "were compared") {
		t.Error(message(f))
	}
	var jobs batchv1.JobList
	b.list(&jobs)
	names := map[string]int32{}
	for i := range jobs.Items {
		names[jobs.Items[i].Name] = *jobs.Items[i].Spec.Completions
	}
	carry := "shop-" + f.Status.Revision
	if names[carry] != 3 || names[carry+"-c"] != 1 {
		t.Errorf("Jobs and their pods: %v", names)
	}
	// Cleared away, it is not carried again.
	for i := range jobs.Items {
		if err := b.client.Delete(t.Context(), &jobs.Items[i], client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
			t.Fatal(err)
		}
	}
	b.await("the Jobs go", func() string {
		if b.list(&jobs); len(jobs.Items) > 0 {
			return jobs.Items[0].Name
		}
		return ""
	})
	change(b, f, func(f *v1alpha1.Flow) { f.Spec.PodLabels = map[string]string{"a": "b"} })
	b.awaitFlow("shop", "True Arrived")
	if b.list(&jobs); len(jobs.Items) > 0 {
		t.Errorf("it is carried again by %s", jobs.Items[0].Name)
	}
}

func TestAFlowIsScaledAndSuspendedWhileItIsCarried(t *testing.T) {
	t.Parallel()
	b := kubeTest(t)
	b.operate(Options{})
	search := osfake.Start(t, osfake.Options{})
	dir, documents := b.archive()
	b.flow("shop", fmt.Sprintf(`
flow:
  source: {archive: {dir: %q}}
  sink: {opensearch: {urls: [%q], rate: 100/s}}
  options: {workers: 1, batchRecords: 20}
`, dir, search.URL())+b.mounted(b.dir))
	running := func(want int) {
		b.Helper()
		b.await(fmt.Sprintf("%d pods run", want), func() string {
			var pods corev1.PodList
			n := 0
			b.list(&pods)
			for i := range pods.Items {
				if pods.Items[i].Status.Phase == corev1.PodRunning && pods.Items[i].DeletionTimestamp.IsZero() {
					n++
				}
			}
			if n != want {
				return fmt.Sprint(n)
			}
			return ""
		})
	}
	running(1)
	f := b.awaitFlow("shop", "False Running")
	var before, after batchv1.Job
	b.get(&before, "shop-"+f.Status.Revision)
	change(b, f, func(f *v1alpha1.Flow) { f.Spec.Replicas = new(int32(3)) })
	running(3)
	change(b, f, func(f *v1alpha1.Flow) { f.Spec.Suspend = true })
	f = b.awaitFlow("shop", "False Suspended")
	running(0)
	if holds(f.Status.Conditions, v1alpha1.Stalled) {
		t.Error(message(f))
	}
	// What the pods had read is written, and nobody goes on.
	pause(t, time.Second)
	written := count(t, search.URL()+"/shop-logs-*/_count")
	if written == 0 || written >= documents {
		t.Errorf("%d of %d documents are written", written, documents)
	}
	pause(t, 2*time.Second)
	if later := count(t, search.URL()+"/shop-logs-*/_count"); later != written {
		t.Errorf("suspended, it writes: %d documents, then %d", written, later)
	}
	change(b, f, func(f *v1alpha1.Flow) { f.Spec.Suspend = false })
	f = b.awaitFlow("shop", "True Arrived")
	if f.Status.Records.Delivered != documents {
		t.Errorf("%+v", f.Status.Records)
	}
	if b.get(&after, "shop-"+f.Status.Revision); after.UID != before.UID {
		t.Error("another Job took the place of the one that was scaled")
	}
}

// count asks how many documents there are.
func count(t *testing.T, url string) int64 {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var c struct{ Count int64 }
	if err := json.NewDecoder(answer.Body).Decode(&c); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(answer.StatusCode, err)
	}
	return c.Count
}

func TestAFlowIntoAnArchiveHasOnePodAndAnotherFlowTakesItsPlace(t *testing.T) {
	t.Parallel()
	b := kubeTest(t)
	b.operate(Options{})
	dir, _ := b.archive()
	spec := func(to string) string {
		return fmt.Sprintf("flow: {source: {archive: {dir: %q}}, sink: {ndjson: {dir: %q}}}\nreplicas: 3\n", dir, to) + b.mounted(b.dir)
	}
	f := b.flow("copy", spec(filepath.Join(b.dir, "one")))
	b.awaitFlow("copy", "True Arrived")
	var pods corev1.PodList
	if b.list(&pods); len(pods.Items) != 1 {
		t.Errorf("%d pods wrote one archive", len(pods.Items))
	}
	first := pods.Items[0].Labels[v1alpha1.RevisionLabel]
	change(b, f, func(f *v1alpha1.Flow) {
		f.Spec.Flow.Raw = []byte(strings.ReplaceAll(string(f.Spec.Flow.Raw), filepath.Join(b.dir, "one"), filepath.Join(b.dir, "two")))
	})
	f = b.awaitFlow("copy", "True Arrived")
	if _, err := os.Stat(filepath.Join(b.dir, "two", "manifest.json")); err != nil || f.Status.Revision == first {
		t.Errorf("revision %s after %s: %v", f.Status.Revision, first, err)
	}
	var jobs batchv1.JobList
	if b.list(&jobs); len(jobs.Items) != 1 || jobs.Items[0].Name != "copy-"+f.Status.Revision {
		t.Errorf("there are %d Jobs", len(jobs.Items))
	}
}

func TestAJobThatFailsSaysWhyAndIsTriedAgainWhenAsked(t *testing.T) {
	t.Parallel()
	b := kubeTest(t)
	b.operate(Options{})
	dir, _ := b.archive()
	// The archive is damaged: what can be carried is, and the rest is named: status 4.
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.zst"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	damaged := append([]byte(nil), text...)
	damaged[len(damaged)/2] ^= 0xff
	if err := os.WriteFile(files[0], damaged, 0o644); err != nil {
		t.Fatal(err)
	}
	b.flow("copy", fmt.Sprintf("flow: {source: {archive: {dir: %q}}, sink: {ndjson: {dir: %q}}}\n", dir, filepath.Join(b.dir, "copy"))+b.mounted(b.dir))
	f := b.awaitFlow("copy", "False Partial")
	if !holds(f.Status.Conditions, v1alpha1.Stalled) || !strings.Contains(message(f), filepath.Base(files[0])) {
		t.Errorf("%s\nwant the file's name, %s", message(f), files[0])
	}
	change(b, f, func(f *v1alpha1.Flow) { f.Annotations = map[string]string{ApprovePartialAnnotation: "true"} })
	if f = b.awaitFlow("copy", "True Arrived"); !strings.Contains(message(f), filepath.Base(files[0])) {
		t.Errorf("what was accepted is not said: %s", message(f))
	}
	change(b, f, func(f *v1alpha1.Flow) { f.Annotations = nil })
	b.awaitFlow("copy", "False Partial")
	if err := os.WriteFile(files[0], text, 0o644); err != nil {
		t.Fatal(err)
	}
	change(b, f, func(f *v1alpha1.Flow) { f.Annotations = map[string]string{v1alpha1.ReconcileAtAnnotation: "later"} })
	b.awaitFlow("copy", "True Arrived")
}

// TestAnotherOperatorTakesOver runs operators as processes, as they run in a cluster, and kills one.
func TestAnotherOperatorTakesOver(t *testing.T) {
	t.Parallel()
	b := kubeTest(t)
	_, kubeconfig := b.kube.As(t, operatorUser)
	start := func() *exec.Cmd {
		cmd := b.naru("operator", "--kubeconfig", kubeconfig, "--namespace", b.namespace, "--image", "proc/naru", "--leader-elect", "--leader-elect-namespace", b.namespace)
		cmd.Env = append(os.Environ(), "KUBECONFIG=")
		proc.Group(cmd)
		var said strings.Builder
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill() // it may be over
			_ = cmd.Wait()
			if t.Failed() {
				t.Logf("an operator said:\n%s", said.String())
			}
		})
		return cmd
	}
	first := start()
	b.flow("web", beats)
	b.awaitFlow("web", "True Running")
	second := start()
	// Killed in the middle of its work: some of what it was to make is there, and some is not.
	for i := range 10 {
		b.flow(fmt.Sprintf("more-%d", i), beats)
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		b.awaitFlow(fmt.Sprintf("more-%d", i), "True Running")
	}
	// Asked to end, it gives the lease back and ends well.
	if err := second.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- second.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("asked to end, the operator ended with: %v", err)
		}
	case <-time.After(patience):
		t.Error("asked to end, the operator does not")
	}
	var lease coordinationv1.Lease
	if !b.get(&lease, LeaseName) || deref(lease.Spec.HolderIdentity) != "" {
		t.Errorf("the lease was not given back: %+v", lease.Spec)
	}
	start()
	b.flow("last", beats)
	b.awaitFlow("last", "True Running")
}

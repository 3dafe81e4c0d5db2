// Package kubetest runs the operator against a real Kubernetes API server, whose pods are processes of this machine: Migrations with
// real carries, Environments whose ConfigMaps change.
package kubetest

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	crlog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/narudata/naru/internal/testbed"
	"github.com/narudata/naru/internal/testbed/cluster"
	"github.com/narudata/naru/operator"
	"github.com/narudata/naru/operator/v1alpha1"
)

// bed is the cluster that the tests of this package share, with an operator in it.
type bed struct {
	*cluster.Kube
	client client.WithWatch
	stop   func()
}

var shared struct {
	sync.Mutex
	*bed
	dir string
}

func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue { // they wait for the cluster, and not for the processor
		if err := flag.Set(f.Name, "8"); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	if b := shared.bed; b != nil {
		b.stop()
		b.Kube.Stop()
	}
	if shared.dir != "" {
		_ = os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

// kube gives the shared cluster, starting it for the first who asks.
func kube(t *testing.T) *bed {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.bed != nil {
		return shared.bed
	}
	ok, missing := cluster.CanStartKube(t)
	testbed.Need(t, ok, missing)
	var err error
	if shared.dir, err = os.MkdirTemp("", "naru-kubetest-"); err != nil { //nolint:usetesting // it outlives the test
		t.Fatal(err)
	}
	program := filepath.Join(shared.dir, "naru")
	built := make(chan error, 1)
	go func() { // while the cluster starts
		out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/narudata/naru").CombinedOutput() //nolint:gosec // of this module
		if err != nil {
			err = fmt.Errorf("build naru: %w\n%s", err, out)
		}
		built <- err
	}()
	crlog.SetLogger(logr.Discard()) // of clients that begin before the operator does
	crds, err := filepath.Glob(filepath.Join(testbed.Root(t), "deploy", "charts", "naru-crds", "templates", "*.yaml"))
	if err != nil || len(crds) != 3 {
		t.Fatalf("%d definitions of kinds, %v", len(crds), err)
	}
	k := cluster.StartKube(t, cluster.KubeOptions{Shared: true, CRDs: crds, Images: map[string]string{"proc/naru": program}})
	if err := <-built; err != nil {
		k.Stop()
		t.Fatal(err)
	}
	b := &bed{Kube: k}
	scheme, err := operator.Scheme()
	if err == nil {
		b.client, err = client.NewWithWatch(k.Config(), client.Options{Scheme: scheme})
	}
	if err != nil {
		k.Stop()
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError + 1}))
	go func() {
		over <- operator.Run(ctx, k.Config(), operator.Options{Image: "proc/naru", Interval: 500 * time.Millisecond, Log: log})
	}()
	b.stop = func() {
		cancel()
		if err := <-over; err != nil {
			fmt.Fprintln(os.Stderr, "the operator ended:", err)
		}
	}
	shared.bed = b
	return b
}

// namespace makes one for a test.
func (b *bed) namespace(t *testing.T) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := b.client.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = b.client.Delete(context.Background(), ns) //nolint:usetesting // the test's own context is over
	})
	return ns.Name
}

// apply applies manifests of YAML, with %s and the like filled in.
func (b *bed) apply(t *testing.T, namespace, manifests string, args ...any) {
	t.Helper()
	b.Apply(t, namespace, fmt.Appendf(nil, manifests, args...))
}

// patience is how long tests wait for what takes seconds, on a machine that has much else to do.
const patience = 90 * time.Second

// within waits until f is true, and fails with what it says otherwise.
func within(t *testing.T, patience time.Duration, f func() (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		ok, what := f()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// conditions are those of kstatus that hold, and the reason of Ready: "Ready/Completed", "Stalled/Mismatch", "-/AwaitingApproval".
func conditions(all []metav1.Condition) string {
	text := ""
	for _, name := range []string{v1alpha1.Ready, v1alpha1.Reconciling, v1alpha1.Stalled} {
		if meta.IsStatusConditionTrue(all, name) {
			text += name
		}
	}
	if text == "" {
		text = "-"
	}
	if c := meta.FindStatusCondition(all, v1alpha1.Ready); c != nil {
		text += "/" + c.Reason
	}
	return text
}

func message(all []metav1.Condition) string {
	if c := meta.FindStatusCondition(all, v1alpha1.Ready); c != nil {
		return c.Message
	}
	return ""
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

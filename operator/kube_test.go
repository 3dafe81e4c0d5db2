package operator

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/narudata/naru/internal/testbed"
	"github.com/narudata/naru/internal/testbed/cluster"
	"github.com/narudata/naru/operator/v1alpha1"
)

// shared is the cluster that all tests of the package have, with the CRDs, and with a user who has exactly the rights that the chart
// gives the operator.
var shared struct {
	once sync.Once
	kube *cluster.Kube
	user *rest.Config
	next atomic.Int32
}

const operatorUser = "naru-operator"

func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue { // they wait for the cluster, and not for the processor
		if err := flag.Set(f.Name, "8"); err != nil {
			panic(err)
		}
	}
	m.Run()
	if shared.kube != nil {
		shared.kube.Stop()
	}
}

// A kubeBed is a namespace of the real API server, and an administrator's client.
type kubeBed struct {
	*testing.T
	kube      *cluster.Kube
	user      *rest.Config // the operator's
	client    client.Client
	namespace string
	dir       string // of the test; pods may mount it by its own name
}

// kubeTest gives a test a namespace of its own, in which pods must be restricted.
func kubeTest(t *testing.T) *kubeBed {
	t.Helper()
	shared.once.Do(func() { startShared(t) })
	if shared.kube == nil {
		testbed.Need(t, false, "there is no Kubernetes API server")
	}
	s, err := Scheme()
	if err != nil {
		t.Fatal(err)
	}
	config := shared.kube.Config()
	config.QPS, config.Burst = 1000, 1000
	c, err := client.New(config, client.Options{Scheme: s})
	if err != nil {
		t.Fatal(err)
	}
	b := &kubeBed{T: t, kube: shared.kube, user: shared.user, client: c, namespace: fmt.Sprintf("t%d", shared.next.Add(1)), dir: t.TempDir()}
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: b.namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}}
	if err := c.Create(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Delete(context.Background(), n) }) // nobody waits for it
	return b
}

func startShared(t *testing.T) {
	t.Helper()
	ok, missing := cluster.CanStartKube(t)
	testbed.Need(t, ok, missing)
	root := testbed.Root(t)
	binary := filepath.Join(testbed.Cache(t), "operator-test", "naru")
	built := make(chan error, 1)
	if given := os.Getenv("NARU_TEST_BINARY"); given != "" {
		binary = given
		built <- nil
	} else {
		go func() { // while the cluster starts
			out, err := exec.CommandContext(t.Context(), "go", "build", "-C", root, "-o", binary, ".").CombinedOutput()
			if err != nil {
				err = fmt.Errorf("build naru: %w\n%s", err, out)
			}
			built <- err
		}()
	}
	crds, err := filepath.Glob(filepath.Join(root, "deploy/charts/naru-crds/templates/*.yaml"))
	if err != nil || len(crds) != 3 {
		t.Fatalf("CRDs: %v, %v", crds, err)
	}
	k := cluster.StartKube(t, cluster.KubeOptions{Shared: true, CRDs: crds, Images: map[string]string{"proc/naru": binary}})
	if err := <-built; err != nil {
		k.Stop()
		t.Fatal(err)
	}
	shared.kube = k
	for i, rules := range operatorRules(t, filepath.Join(root, "deploy/kustomize/operator.yaml")) {
		name := fmt.Sprintf("naru-operator-%d", i)
		k.Apply(t, "default", manifest(t, &rbacv1.ClusterRole{
			TypeMeta: metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole"}, ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules,
		}), manifest(t, &rbacv1.ClusterRoleBinding{
			TypeMeta: metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRoleBinding"}, ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef: rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: name}, Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: "rbac.authorization.k8s.io", Name: operatorUser}},
		}))
	}
	shared.user, _ = k.As(t, operatorUser)
	shared.user.QPS, shared.user.Burst = 0, 0 // what the operator says
}

// operatorRules are those of the roles that the rendered chart binds to the operator.
func operatorRules(t *testing.T, file string) (rules [][]rbacv1.PolicyRule) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bound := map[string]bool{}
	roles := map[string][]rbacv1.PolicyRule{}
	for d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		var o struct {
			Kind     string
			Metadata struct{ Name string }
			Rules    []rbacv1.PolicyRule
			RoleRef  rbacv1.RoleRef
		}
		if err := d.Decode(&o); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		switch o.Kind {
		case "ClusterRole", "Role":
			roles[o.Kind+"/"+o.Metadata.Name] = o.Rules
		case "ClusterRoleBinding", "RoleBinding":
			bound[o.RoleRef.Kind+"/"+o.RoleRef.Name] = true
		}
	}
	for name := range bound {
		rules = append(rules, roles[name])
	}
	if len(rules) < 2 {
		t.Fatalf("%s binds %d roles: want the operator's and that of its leases", file, len(rules))
	}
	return rules
}

func manifest(t *testing.T, o any) []byte {
	t.Helper()
	text, err := jsonOf(o)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// operate runs an operator for the namespace, with no more rights than the chart gives it, until the test ends or stop is called.
func (b *kubeBed) operate(o Options) (stop func()) {
	b.Helper()
	o.Namespaces = append(o.Namespaces, b.namespace)
	if o.Image == "" {
		o.Image = "proc/naru"
	}
	if o.Interval == 0 {
		o.Interval = time.Second
	}
	o.Log = slog.New(slog.NewTextHandler(testWriter{b.T}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	m, err := newManager(b.user, &o)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Start(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			b.Errorf("the operator ended with: %v", err)
		}
	})
	b.Cleanup(stop)
	return stop
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "level=ERROR") || testing.Verbose() {
		w.t.Logf("%s", bytes.TrimSpace(p))
	}
	return len(p), nil
}

// flow makes a Flow of YAML: its spec.
func (b *kubeBed) flow(name, spec string) *v1alpha1.Flow {
	b.Helper()
	f, err := b.create(name, spec)
	if err != nil {
		b.Fatal(err)
	}
	return f
}

func (b *kubeBed) create(name, spec string) (*v1alpha1.Flow, error) {
	b.Helper()
	f := &v1alpha1.Flow{}
	if err := yaml.Unmarshal([]byte("spec:\n"+indented(spec)), f); err != nil {
		b.Fatalf("%v\n%s", err, spec)
	}
	f.Name, f.Namespace = name, b.namespace
	return f, b.client.Create(b.Context(), f)
}

func indented(s string) string {
	var out strings.Builder
	for line := range strings.Lines(strings.Trim(s, "\n")) {
		out.WriteString("  " + line)
	}
	return out.String()
}

// change changes an object, against whoever changes it meanwhile.
func change[T client.Object](b *kubeBed, o T, f func(T)) {
	b.Helper()
	for range 20 {
		if err := b.client.Get(b.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			b.Fatal(err)
		}
		f(o)
		err := b.client.Update(b.Context(), o, client.FieldOwner("test"))
		if err == nil {
			return
		}
		if !strings.Contains(err.Error(), "modified") {
			b.Fatal(err)
		}
	}
	b.Fatal("somebody else changes it all the time")
}

// get reads an object anew; false: it is not there.
func (b *kubeBed) get(o client.Object, name string) bool {
	b.Helper()
	err := b.client.Get(b.Context(), types.NamespacedName{Namespace: b.namespace, Name: name}, o)
	if client.IgnoreNotFound(err) != nil {
		b.Fatal(err)
	}
	return err == nil
}

// list reads objects of the namespace.
func (b *kubeBed) list(l client.ObjectList, o ...client.ListOption) {
	b.Helper()
	if err := b.client.List(b.Context(), l, append(o, client.InNamespace(b.namespace))...); err != nil {
		b.Fatal(err)
	}
}

// patience is how long a test waits for what takes seconds, on a machine that has much else to do.
const patience = 90 * time.Second

// await waits until is says "", which else says what there is instead.
func (b *kubeBed) await(what string, is func() string) {
	b.Helper()
	last := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if last = is(); last == "" {
			return
		}
		select {
		case <-b.Context().Done():
			b.Fatal(b.Context().Err())
		case <-time.After(30 * time.Millisecond):
		}
	}
	b.dump()
	b.Fatalf("not after %v: %s; but %s", patience, what, last)
}

// dump shows what the namespace's pods are.
func (b *kubeBed) dump() {
	b.Helper()
	var pods corev1.PodList
	b.list(&pods)
	for i := range pods.Items {
		p := &pods.Items[i]
		text, _ := os.ReadFile(filepath.Join(b.kube.Dir, "pods", p.Namespace, p.Name, containerIs+".log"))
		b.Logf("pod %s: %s %s\n%s", p.Name, p.Status.Phase, trouble([]corev1.Pod{*p}, ""), text[max(0, len(text)-2000):])
	}
}

// awaitFlow waits until a Flow's Ready is what is wanted: "True Running".
func (b *kubeBed) awaitFlow(name, want string) *v1alpha1.Flow {
	b.Helper()
	f := &v1alpha1.Flow{}
	b.await(name+" is "+want, func() string {
		if !b.get(f, name) {
			return "it is not there"
		}
		if f.Status.ObservedGeneration != f.Generation {
			return fmt.Sprintf("generation %d was seen, and it has %d", f.Status.ObservedGeneration, f.Generation)
		}
		i := slices.IndexFunc(f.Status.Conditions, func(c metav1.Condition) bool { return c.Type == v1alpha1.Ready })
		if i < 0 {
			return "it has no condition Ready"
		}
		c := f.Status.Conditions[i]
		if got := string(c.Status) + " " + c.Reason; got != want {
			return got + ": " + c.Message
		}
		return ""
	})
	return f
}

// message is that of a Flow's condition Ready.
func message(f *v1alpha1.Flow) string {
	for _, c := range f.Status.Conditions {
		if c.Type == v1alpha1.Ready {
			return c.Message
		}
	}
	return ""
}

// events are the reasons of a Flow's events, in order.
func (b *kubeBed) events(name string) (reasons []string) {
	b.Helper()
	var l eventsv1.EventList
	b.list(&l)
	slices.SortFunc(l.Items, func(x, y eventsv1.Event) int { return x.EventTime.Compare(y.EventTime.Time) })
	for i := range l.Items {
		if l.Items[i].Regarding.Name == name && l.Items[i].Regarding.Kind == "Flow" {
			reasons = append(reasons, l.Items[i].Reason)
		}
	}
	return reasons
}

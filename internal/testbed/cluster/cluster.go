// Package cluster gives tests a real Kubernetes API server without containers: etcd, kube-apiserver and kube-controller-manager,
// built from their Go modules by internal/testbed/kube, and a kubelet of its own that runs containers whose image is proc/NAME as
// processes of this machine. So Deployments become ready and Jobs complete by what real processes do.
package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/narudata/naru/internal/testbed"
	"github.com/narudata/naru/internal/testbed/proc"
)

// KubeOptions of a cluster; the zero value works.
type KubeOptions struct {
	// Images are the programs that containers run whose image is a key, like "proc/naru": without a command, that program. A key has
	// no tag; proc/naru:2 is proc/naru, too. Without Images, containers are said to be running, and nothing runs.
	Images map[string]string
	// APIArgs are more arguments of kube-apiserver, like --emulated-version=kube=1.34.
	APIArgs []string
	// CRDs are files with definitions of kinds that are there from the start. The garbage collector looks for kinds that come later every
	// 30 s only, and leaves what belongs to them until then.
	CRDs []string
	// Shared leaves it running when the test ends: whoever asks for it calls Stop, in TestMain say. It ends with the process anyhow.
	Shared bool
}

// Kube is a running cluster on the loopback interface, with one node.
type Kube struct {
	Dir string // of its own; pods/NAMESPACE/NAME has what containers wrote, CONTAINER.log

	kubeconfig string
	config     *rest.Config
	pki        *pki
	tether     *tether
	servers    []*server // in the order in which they were started
	kubelet    *kubelet
	stop       func()
}

// The clock of StartKube.
const (
	buildPatience = 45 * time.Minute // the first time, on two busy cores
	startPatience = 2 * time.Minute
	stopPatience  = 10 * time.Second
)

// CanStartKube reports whether this machine has what StartKube needs, and what is missing if not.
func CanStartKube(tb testing.TB) (ok bool, missing string) {
	tb.Helper()
	check := build(tb.Context(), tb, "CHECK=1")
	out, err := check.CombinedOutput()
	if err != nil {
		return false, fmt.Sprintf("%s(%v)", out, err)
	}
	return true, ""
}

func build(ctx context.Context, tb testing.TB, environment ...string) *exec.Cmd {
	tb.Helper()
	cmd := exec.CommandContext(ctx, filepath.Join(testbed.Root(tb), "internal", "testbed", "kube", "build.sh"))
	cmd.Env = append(os.Environ(), append(environment, "NARU_CACHE="+testbed.Cache(tb))...)
	return cmd
}

// StartKube starts a cluster with nothing in it, and waits until it answers; the test fails with the end of a log when it does not. It
// is stopped when the test ends, and its processes end by themselves should the test's process die. The test is skipped where the
// servers cannot be built.
func StartKube(tb testing.TB, o KubeOptions) *Kube {
	tb.Helper()
	ok, missing := CanStartKube(tb)
	testbed.Need(tb, ok, missing)
	ctx, cancel := context.WithTimeout(context.Background(), buildPatience)
	defer cancel()
	var stderr bytes.Buffer
	prepare := build(ctx, tb)
	prepare.Stderr = &stderr
	out, err := prepare.Output()
	if err != nil {
		tb.Fatalf("build Kubernetes: %v\n%s", err, tail(stderr.Bytes()))
	}
	k := &Kube{}
	k.stop = sync.OnceFunc(k.end)
	if o.Shared {
		k.Dir, err = os.MkdirTemp("", "naru-kube-") //nolint:usetesting // it outlives the test
	} else {
		k.Dir = filepath.Join(tb.TempDir(), "kube")
		tb.Cleanup(k.Stop)
	}
	if err == nil {
		err = k.start(string(bytes.TrimSpace(out)), &o)
	}
	if err != nil {
		k.Stop()
		tb.Fatal(err)
	}
	return k
}

// Stop ends it: pods first, then the servers.
func (k *Kube) Stop() { k.stop() }

func (k *Kube) end() {
	if k.kubelet != nil {
		k.kubelet.stop()
	}
	for i := len(k.servers) - 1; i >= 0; i-- {
		k.servers[i].end()
	}
	if k.tether != nil {
		k.tether.end()
	}
	if k.Dir != "" {
		_ = os.RemoveAll(k.Dir) // of the system's temporary folder
	}
}

func (k *Kube) start(bin string, o *KubeOptions) (err error) {
	if err := os.MkdirAll(k.Dir, 0o755); err != nil {
		return err
	}
	if k.tether, err = newTether(); err != nil {
		return err
	}
	if k.pki, err = newPKI(filepath.Join(k.Dir, "pki")); err != nil {
		return err
	}
	ports, err := testbed.FreePorts(4)
	if err != nil {
		return err
	}
	etcd, peer := "http://127.0.0.1:"+ports[0], "http://127.0.0.1:"+ports[1]
	if err := k.launch("etcd", filepath.Join(bin, "etcd"), "--name=only", "--data-dir="+filepath.Join(k.Dir, "etcd"), "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls="+etcd, "--advertise-client-urls="+etcd, "--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer,
		"--initial-cluster=only="+peer); err != nil {
		return err
	}
	p := k.pki
	args := []string{
		"--etcd-servers=" + etcd, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port=" + ports[2],
		"--tls-cert-file=" + p.file("api.crt"), "--tls-private-key-file=" + p.file("api.key"), "--client-ca-file=" + p.file("ca.crt"),
		"--kubelet-client-certificate=" + p.file("admin.crt"), "--kubelet-client-key=" + p.file("admin.key"),
		"--kubelet-preferred-address-types=InternalIP", "--cert-dir=" + filepath.Join(k.Dir, "certs"),
		"--service-account-key-file=" + p.file("sa.pub"), "--service-account-signing-key-file=" + p.file("sa.key"),
		"--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.0.0.0/24", "--authorization-mode=RBAC",
		"--disable-admission-plugins=ServiceAccount", "--endpoint-reconciler-type=none", "--allow-privileged=true",
	}
	if err := k.launch("kube-apiserver", filepath.Join(bin, "kube-apiserver"), append(args, o.APIArgs...)...); err != nil {
		return err
	}
	host := "https://127.0.0.1:" + ports[2]
	k.config = p.config(host, "admin")
	if k.kubeconfig, err = p.kubeconfig(filepath.Join(k.Dir, "kubeconfig"), host, "admin"); err != nil {
		return err
	}
	if err := k.wait("/readyz"); err != nil {
		return err
	}
	if err := k.applyFiles(context.Background(), "", o.CRDs...); err != nil {
		return err
	}
	if err := k.launch("kube-controller-manager", filepath.Join(bin, "kube-controller-manager"), "--kubeconfig="+k.kubeconfig, "--bind-address=127.0.0.1",
		"--secure-port="+ports[3], "--leader-elect=false", "--cert-dir="+filepath.Join(k.Dir, "certs-kcm"), "--kube-api-qps=200", "--kube-api-burst=400",
		"--service-account-private-key-file="+p.file("sa.key"), "--root-ca-file="+p.file("ca.crt"), "--use-service-account-credentials=false",
		"--controllers="+controllers); err != nil {
		return err
	}
	k.kubelet, err = newKubelet(k, o.Images)
	return err
}

// controllers are those of kube-controller-manager that do something where there are no machines.
const controllers = "deployment-controller,replicaset-controller,statefulset-controller,daemonset-controller,job-controller,cronjob-controller," +
	"garbage-collector-controller,namespace-controller,serviceaccount-controller,serviceaccount-token-controller,root-ca-certificate-publisher-controller," +
	"endpoints-controller,endpointslice-controller,disruption-controller,ttl-after-finished-controller,resourcequota-controller,horizontal-pod-autoscaler-controller," +
	"clusterrole-aggregation-controller,pod-garbage-collector-controller"

// wait waits until the API server answers ok at path.
func (k *Kube) wait(path string) error {
	transport, err := rest.TransportFor(k.config)
	if err != nil {
		return err
	}
	client := http.Client{Transport: transport, Timeout: 5 * time.Second}
	api := k.servers[len(k.servers)-1]
	for deadline := time.Now().Add(startPatience); ; {
		request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, k.config.Host+path, http.NoBody)
		if err != nil {
			return err
		}
		answer, err := client.Do(request)
		if err == nil {
			_, _ = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-api.ended:
			return fmt.Errorf("%s ended before it was ready\n%s", api.name, api.tail())
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is not ready after %v: %w\n%s", api.name, startPatience, err, api.tail())
		}
	}
}

// Kubeconfig is a file with which kubectl and others are the cluster's administrator.
func (k *Kube) Kubeconfig() string { return k.kubeconfig }

// Config gives clients of the cluster's administrator.
func (k *Kube) Config() *rest.Config {
	c := rest.CopyConfig(k.config)
	c.QPS, c.Burst = 200, 400
	return c
}

// As gives clients of another user, who may do what RBAC says, and a kubeconfig for it.
func (k *Kube) As(tb testing.TB, user string, groups ...string) (config *rest.Config, kubeconfig string) {
	tb.Helper()
	name := strings.Join(append([]string{"user-" + user}, groups...), "+")
	if err := k.pki.client(name, user, groups...); err != nil {
		tb.Fatal(err)
	}
	file, err := k.pki.kubeconfig(filepath.Join(k.Dir, name+".kubeconfig"), k.config.Host, name)
	if err != nil {
		tb.Fatal(err)
	}
	c := k.pki.config(k.config.Host, name)
	c.QPS, c.Burst = 200, 400
	return c, file
}

// Apply applies manifests (YAML or JSON, several in one with ---) by server-side apply, those of CRDs first, and waits until the
// API server knows their kinds. namespace is for those that have none and need one.
func (k *Kube) Apply(tb testing.TB, namespace string, manifests ...[]byte) {
	tb.Helper()
	if err := k.apply(tb.Context(), namespace, manifests...); err != nil {
		tb.Fatal(err)
	}
}

// ApplyFiles applies files, as Apply does.
func (k *Kube) ApplyFiles(tb testing.TB, namespace string, files ...string) {
	tb.Helper()
	if err := k.applyFiles(tb.Context(), namespace, files...); err != nil {
		tb.Fatal(err)
	}
}

func (k *Kube) applyFiles(ctx context.Context, namespace string, files ...string) error {
	var manifests [][]byte
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		manifests = append(manifests, text)
	}
	return k.apply(ctx, namespace, manifests...)
}

func (k *Kube) apply(ctx context.Context, namespace string, manifests ...[]byte) error {
	var crds, others []*unstructured.Unstructured
	for _, m := range manifests {
		for d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(m), 4096); ; {
			o := &unstructured.Unstructured{}
			if err := d.Decode(&o.Object); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return fmt.Errorf("read a manifest: %w", err)
			}
			switch {
			case len(o.Object) == 0:
			case o.GetKind() == "CustomResourceDefinition":
				crds = append(crds, o)
			default:
				others = append(others, o)
			}
		}
	}
	client, err := dynamic.NewForConfig(k.Config())
	if err != nil {
		return err
	}
	known, err := discovery.NewDiscoveryClientForConfig(k.Config())
	if err != nil {
		return err
	}
	cached := memory.NewMemCacheClient(known)
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(cached)
	for _, o := range append(crds, others...) {
		gvk := o.GroupVersionKind()
		mapping, err := mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		if err != nil {
			return fmt.Errorf("%s %s: %w", gvk.Kind, o.GetName(), err)
		}
		var at dynamic.ResourceInterface = client.Resource(mapping.Resource)
		if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
			if o.GetNamespace() == "" {
				o.SetNamespace(namespace)
			}
			at = client.Resource(mapping.Resource).Namespace(o.GetNamespace())
		}
		body, err := o.MarshalJSON()
		if err != nil {
			return err
		}
		if _, err := at.Patch(ctx, o.GetName(), types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: "testbed", Force: new(true)}); err != nil {
			return fmt.Errorf("apply %s %s: %w", gvk.Kind, o.GetName(), err)
		}
		if gvk.Kind == "CustomResourceDefinition" {
			if err := established(ctx, at, o.GetName()); err != nil {
				return err
			}
			cached.Invalidate()
			mapper.Reset()
		}
	}
	return nil
}

// established waits until the API server serves the kind that a CRD defines.
func established(ctx context.Context, at dynamic.ResourceInterface, name string) error {
	for deadline := time.Now().Add(startPatience); time.Now().Before(deadline); {
		crd, err := at.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		conditions, _, _ := unstructured.NestedSlice(crd.Object, "status", "conditions") // null before there are any
		for _, c := range conditions {
			if c, ok := c.(map[string]any); ok && c["type"] == "Established" && c["status"] == "True" {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return fmt.Errorf("CRD %s is not established after %v", name, startPatience)
}

// RESTConfigFrom reads a kubeconfig.
func RESTConfigFrom(kubeconfig string) (*rest.Config, error) {
	return clientcmd.BuildConfigFromFlags("", kubeconfig)
}

// A server is a process of the cluster.
type server struct {
	name  string
	cmd   *exec.Cmd
	ended chan struct{}
	log   string // its file
}

func (k *Kube) launch(name, program string, args ...string) error {
	s := &server{name: name, ended: make(chan struct{}), log: filepath.Join(k.Dir, name+".log")}
	out, err := os.Create(s.log)
	if err != nil {
		return err
	}
	defer out.Close()
	s.cmd = exec.Command(program, args...) //nolint:noctx // it ends with the cluster
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = k.Dir, out, out
	untie, err := k.tether.start(s.cmd)
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = s.cmd.Wait() // how it ended is in its log
		untie()
		close(s.ended)
	}()
	k.servers = append(k.servers, s)
	return nil
}

func (s *server) end() {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := proc.SignalGroup(s.cmd.Process.Pid, signal); err != nil {
			return
		}
		select {
		case <-s.ended:
			return
		case <-time.After(stopPatience):
		}
	}
}

func (s *server) tail() []byte {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return []byte(err.Error())
	}
	return tail(text)
}

func tail(text []byte) []byte {
	const shown = 6000
	return text[max(0, len(text)-shown):]
}

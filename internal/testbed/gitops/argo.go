// Package gitops gives tests the real Argo CD and Argo Rollouts on a cluster of internal/testbed/cluster: their controllers as
// processes, Git repositories in folders, and what it takes to wait for an Application. internal/testbed/argo builds the programs.
package gitops

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/narudata/naru/internal/testbed"
	"github.com/narudata/naru/internal/testbed/cluster"
	"github.com/narudata/naru/internal/testbed/proc"
)

// The namespaces of Argo CD and Argo Rollouts.
const (
	Namespace         = "argocd"
	RolloutsNamespace = "argo-rollouts"
)

// The clock of StartArgo.
const (
	startPatience = 2 * time.Minute
	stopPatience  = 3 * time.Second
)

// Options of Argo; the zero value is Argo CD with its controllers of Applications and ApplicationSets.
type Options struct {
	// Settings go over those of the ConfigMap argocd-cm that Argo CD has by itself: resource.customizations.*, say.
	Settings map[string]string
	// Rollouts starts Argo Rollouts' controller.
	Rollouts bool
	// Plugins are Argo Rollouts': the programs that the keys of the ConfigMap argo-rollouts-config name, by key
	// (metricProviderPlugins, stepPlugins, trafficRouterPlugins) and the plugin's name.
	Plugins map[string]map[string]string
	// RolloutsEnvironment is for the controller of Argo Rollouts, and so for its plugins: NAME=VALUE.
	RolloutsEnvironment []string
	// WithoutArgoCD starts Argo Rollouts only.
	WithoutArgoCD bool
}

// Argo is running, until the test ends.
type Argo struct {
	Dir string // of its own; NAME.log has what a process wrote

	kube    *cluster.Kube
	client  dynamic.Interface
	bin     string
	servers []*process
}

// Resources of Argo CD, Argo Rollouts and Kubernetes that tests look at.
var (
	applications = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "applications"}
)

// Need skips the test if the programs are not built, and says which: make test-argo builds them first. So CI runs such tests when its
// cache is warm, and tells when it is not.
func Need(tb testing.TB) {
	tb.Helper()
	if ok, missing := testbed.HasArgo(tb); !ok {
		tb.Skip("make test-argo builds what this needs: " + missing)
	}
	_, err := exec.LookPath("git")
	testbed.Need(tb, err == nil, "Argo CD needs git")
}

// StartArgo starts Argo CD, and what o asks for, on a cluster, and waits until all answers; the test fails with the end of a log when
// one does not. The processes are stopped when the test ends, and end by themselves should the test's process die. They are the
// cluster's administrator. All listen at the loopback interface, but for the metrics of the controllers of Applications and Rollouts,
// whose address cannot be told.
func StartArgo(tb testing.TB, kube *cluster.Kube, o Options) *Argo {
	tb.Helper()
	Need(tb)
	a := &Argo{Dir: filepath.Join(tb.TempDir(), "argo"), kube: kube, bin: testbed.ArgoPrograms(tb)}
	var err error
	if a.client, err = dynamic.NewForConfig(kube.Config()); err != nil {
		tb.Fatal(err)
	}
	for _, dir := range []string{"home", "tls", "ssh", "gpg", "tmp", "rollouts"} {
		if err := os.MkdirAll(filepath.Join(a.Dir, dir), 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	tb.Cleanup(a.end)
	if !o.WithoutArgoCD {
		a.startArgoCD(tb, &o)
	}
	if o.Rollouts || o.WithoutArgoCD {
		a.startRollouts(tb, &o)
	}
	for _, s := range a.servers {
		s.wait(tb)
	}
	return a
}

func (a *Argo) startArgoCD(tb testing.TB, o *Options) {
	tb.Helper()
	a.apply(tb, Namespace, "argo-cd")
	var settings struct {
		Data map[string]string `json:"data"`
	}
	text, err := os.ReadFile(filepath.Join(a.bin, "manifests", "argo-cd", "argocd-cm.yaml"))
	if err == nil {
		err = yaml.Unmarshal(text, &settings)
	}
	if err != nil {
		tb.Fatal(err)
	}
	maps.Copy(settings.Data, o.Settings)
	labels := map[string]any{"app.kubernetes.io/part-of": "argocd"}
	a.applyObjects(tb,
		map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "argocd-cm", "namespace": Namespace, "labels": labels}, "data": settings.Data,
		},
		map[string]any{
			"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "argocd-secret", "namespace": Namespace, "labels": labels},
			"stringData": map[string]string{"server.secretkey": "of-a-test", "admin.password": "", "admin.passwordMtime": "2026-01-01T00:00:00Z"},
		},
		map[string]any{
			"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": map[string]any{"name": "default", "namespace": Namespace},
			"spec": map[string]any{
				"sourceRepos":              []string{"*"},
				"destinations":             []any{map[string]string{"namespace": "*", "server": "*"}},
				"clusterResourceWhitelist": []any{map[string]string{"group": "*", "kind": "*"}},
			},
		})

	ports, err := testbed.FreePorts(7)
	if err != nil {
		tb.Fatal(err)
	}
	redis, repo := "127.0.0.1:"+ports[0], "127.0.0.1:"+ports[1]
	a.launch(tb, "redis", nil, redis, filepath.Join(a.bin, "redis"), redis)
	argocd := func(name, listens string, args ...string) {
		at := func(dir string) string { return filepath.Join(a.Dir, dir) }
		environment := []string{
			"ARGOCD_BINARY_NAME=" + name, "ARGOCD_FAKE_IN_CLUSTER=true", "ARGOCD_TLS_DATA_PATH=" + at("tls"), "ARGOCD_SSH_DATA_PATH=" + at("ssh"),
			"ARGOCD_GPG_ENABLED=false", "ARGOCD_GPG_DATA_PATH=" + at("gpg"), "ARGOCD_GNUPGHOME=" + at("gpg"), "ARGOCD_PLUGINSOCKFILEPATH=" + at("cmp"),
			"ARGOCD_ASK_PASS_SOCK=" + at("ask"), "HOSTNAME=argo-0", "GOMAXPROCS=2",
		}
		a.launch(tb, strings.TrimPrefix(name, "argocd-"), environment, listens, filepath.Join(a.bin, "argocd"), args...)
	}
	argocd("argocd-repo-server", repo, "--disable-tls", "--address=127.0.0.1", "--port="+ports[1],
		"--metrics-address=127.0.0.1", "--metrics-port="+ports[2], "--redis="+redis)
	argocd("argocd-application-controller", "127.0.0.1:"+ports[3], "--namespace="+Namespace, "--redis="+redis, "--repo-server="+repo, "--repo-server-plaintext",
		"--metrics-port="+ports[3], "--app-resync=30", "--app-resync-jitter=0", "--persist-resource-health", "--status-processors=4", "--operation-processors=4")
	argocd("argocd-applicationset-controller", "127.0.0.1:"+ports[5], "--enable-progressive-syncs", "--namespace="+Namespace, "--argocd-repo-server="+repo,
		"--repo-server-plaintext", "--metrics-addr=127.0.0.1:"+ports[4], "--probe-addr=127.0.0.1:"+ports[5], "--webhook-addr=127.0.0.1:"+ports[6])
}

func (a *Argo) startRollouts(tb testing.TB, o *Options) {
	tb.Helper()
	a.apply(tb, RolloutsNamespace, "argo-rollouts")
	if len(o.Plugins) > 0 {
		data := map[string]string{}
		for key, programs := range o.Plugins {
			var list []map[string]string
			for _, name := range slices.Sorted(maps.Keys(programs)) {
				list = append(list, map[string]string{"name": name, "location": "file://" + programs[name]})
			}
			text, err := yaml.Marshal(list)
			if err != nil {
				tb.Fatal(err)
			}
			data[key] = string(text)
		}
		a.applyObjects(tb, map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "argo-rollouts-config", "namespace": RolloutsNamespace}, "data": data,
		})
	}
	ports, err := testbed.FreePorts(2)
	if err != nil {
		tb.Fatal(err)
	}
	a.launch(tb, "rollouts", append([]string{"GOMAXPROCS=2"}, o.RolloutsEnvironment...), "127.0.0.1:"+ports[1],
		filepath.Join(a.bin, "rollouts-controller"), "--kubeconfig="+a.kube.Kubeconfig(), "--namespace="+RolloutsNamespace, "--leader-elect=false",
		"--metricsPort="+ports[0], "--healthzPort="+ports[1])
}

// apply makes a namespace, and in it what the folder of manifests has.
func (a *Argo) apply(tb testing.TB, namespace, folder string) {
	tb.Helper()
	a.applyObjects(tb, map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": namespace}})
	files, err := filepath.Glob(filepath.Join(a.bin, "manifests", folder, "*.yaml"))
	if err != nil || len(files) == 0 {
		tb.Fatalf("no manifests of %s in %s (%v)", folder, a.bin, err)
	}
	a.kube.ApplyFiles(tb, namespace, files...)
}

func (a *Argo) applyObjects(tb testing.TB, objects ...any) {
	tb.Helper()
	for _, o := range objects {
		text, err := json.Marshal(o)
		if err != nil {
			tb.Fatal(err)
		}
		a.kube.Apply(tb, Namespace, text)
	}
}

// AddCluster registers a cluster with Argo CD, with the labels and annotations of the GitOps Bridge: it is the same API server, at
// another address, so that Applications of several "clusters" must keep to namespaces of their own.
func (a *Argo) AddCluster(tb testing.TB, name string, labels, annotations map[string]string) {
	tb.Helper()
	config := a.kube.Config()
	if err := rest.LoadTLSFiles(config); err != nil {
		tb.Fatal(err)
	}
	forward := forwardTo(tb, strings.TrimPrefix(config.Host, "https://"))
	encode := base64.StdEncoding.EncodeToString
	credentials, err := json.Marshal(map[string]any{"tlsClientConfig": map[string]any{
		"caData": encode(config.CAData), "certData": encode(config.CertData), "keyData": encode(config.KeyData),
	}})
	if err != nil {
		tb.Fatal(err)
	}
	all := map[string]string{"argocd.argoproj.io/secret-type": "cluster"}
	maps.Copy(all, labels)
	a.applyObjects(tb, map[string]any{
		"apiVersion": "v1", "kind": "Secret",
		"metadata":   map[string]any{"name": name, "namespace": Namespace, "labels": all, "annotations": annotations},
		"stringData": map[string]string{"name": name, "server": "https://" + forward, "config": string(credentials)},
	})
}

// Log gives what a process wrote last: redis, repo-server, application-controller, applicationset-controller or rollouts.
func (a *Argo) Log(name string) string {
	text, err := os.ReadFile(filepath.Join(a.Dir, name+".log"))
	if err != nil {
		return err.Error()
	}
	return string(tail(text))
}

// A process of Argo.
type process struct {
	name    string
	cmd     *exec.Cmd
	ended   chan struct{}
	log     string
	listens string
}

// tethered runs a program, and kills it and all that it started when there is nothing to read any more.
const tethered = `"$@" </dev/null &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server"; exit' TERM INT
(cat; kill -KILL -- "-$$") <&0 >/dev/null 2>&1 &
wait "$server"`

// launch starts a program, whose log is NAME.log, and which listens at an address once it is ready.
func (a *Argo) launch(tb testing.TB, name string, environment []string, listens, program string, args ...string) {
	tb.Helper()
	s := &process{name: name, ended: make(chan struct{}), log: filepath.Join(a.Dir, name+".log"), listens: listens}
	out, err := os.Create(s.log)
	if err != nil {
		tb.Fatal(err)
	}
	defer out.Close()
	run := append([]string{"-c", tethered, name, program}, args...)
	if name == "redis" { // ends with its input by itself
		s.cmd = exec.Command(program, args...)
	} else {
		s.cmd = exec.Command("bash", run...)
	}
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = filepath.Join(a.Dir, "rollouts"), out, out
	s.cmd.Env = append(os.Environ(), "KUBECONFIG="+a.kube.Kubeconfig(), "HOME="+filepath.Join(a.Dir, "home"), "TMPDIR="+filepath.Join(a.Dir, "tmp"),
		"PATH="+a.bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	s.cmd.Env = append(s.cmd.Env, environment...)
	proc.Group(s.cmd)
	if _, err := s.cmd.StdinPipe(); err != nil { // it ends with this process
		tb.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		tb.Fatalf("start %s: %v", name, err)
	}
	go func() {
		_ = s.cmd.Wait() // how it ended is in its log
		close(s.ended)
	}()
	a.servers = append(a.servers, s)
}

// wait waits until the process listens.
func (s *process) wait(tb testing.TB) {
	tb.Helper()
	dialer := net.Dialer{Timeout: time.Second}
	for deadline := time.Now().Add(startPatience); ; {
		c, err := dialer.DialContext(tb.Context(), "tcp", s.listens)
		if err == nil {
			c.Close()
			return
		}
		select {
		case <-s.ended:
			tb.Fatalf("%s ended before it was ready\n%s", s.name, s.tail())
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			tb.Fatalf("%s is not ready after %v: %v\n%s", s.name, startPatience, err, s.tail())
		}
	}
}

func (s *process) tail() []byte {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return []byte(err.Error())
	}
	return tail(text)
}

func tail(text []byte) []byte {
	const shown = 6000
	return bytes.Clone(text[max(0, len(text)-shown):])
}

// end stops the processes, all at once: they keep nothing that the next test needs.
func (a *Argo) end() {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		for _, s := range a.servers {
			_ = proc.SignalGroup(s.cmd.Process.Pid, signal) // it may have ended
		}
		patience := time.After(stopPatience)
		for _, s := range a.servers {
			select {
			case <-s.ended:
			case <-patience:
				patience = time.After(0)
			}
		}
	}
}

// get gives an object as JSON has it.
func (a *Argo) get(ctx context.Context, what schema.GroupVersionResource, namespace, name string) (*unstructured.Unstructured, error) {
	o, err := a.client.Resource(what).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("get %s %s/%s: %w", what.Resource, namespace, name, err)
	}
	return o, nil
}

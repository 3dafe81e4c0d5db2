package cluster_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/narudata/naru/internal/testbed/cluster"
)

const things = `
apiVersion: v1
kind: Namespace
metadata: {name: things, labels: {pod-security.kubernetes.io/enforce: baseline}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: text, namespace: things}
data: {hello.txt: "hello\n"}
---
apiVersion: v1
kind: Secret
metadata: {name: secret, namespace: things}
stringData: {WORD: xyzzy}
---
apiVersion: batch/v1
kind: Job
metadata: {name: works, namespace: things}
spec:
  completions: 3
  parallelism: 3
  completionMode: Indexed
  template:
    spec:
      restartPolicy: Never
      volumes: [{name: text, configMap: {name: text}}]
      containers:
        - name: main
          image: proc/sh:1
          args: [-c, 'cat /etc/text/hello.txt; echo $WORD $JOB_COMPLETION_INDEX $POD $(WHO); echo done > $NARU_TERMINATION_LOG']
          env:
            - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
            - {name: WHO, value: me}
          envFrom: [{secretRef: {name: secret}}]
          volumeMounts: [{name: text, mountPath: /etc/text}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: fails, namespace: things}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: proc/sh, args: [-c, "echo why >&2; exit 3"], terminationMessagePolicy: FallbackToLogsOnError}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: serves, namespace: things}
spec:
  replicas: 2
  selector: {matchLabels: {app: serves}}
  template:
    metadata: {labels: {app: serves}}
    spec:
      terminationGracePeriodSeconds: 20
      containers:
        - name: main
          image: proc/sh
          args: [-c, 'trap "echo bye; exit 0" TERM; echo up; while :; do sleep 0.1; done']
        - {name: other, image: "nginx:1"}
`

// TestPodsAreRealProcesses holds the kubelet against what a real one does, as far as tests need it.
func TestPodsAreRealProcesses(t *testing.T) {
	k := cluster.StartKube(t, cluster.KubeOptions{Images: map[string]string{"proc/sh": "/bin/bash"}})
	began := time.Now()
	k.Apply(t, "things", []byte(things))
	c := kubernetes.NewForConfigOrDie(k.Config())
	ctx := t.Context()

	eventually(t, "the Job completes", func() bool { return job(t, c, "works").Status.Succeeded == 3 })
	pods, err := c.CoreV1().Pods("things").List(ctx, metav1.ListOptions{LabelSelector: "job-name=works"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range pods.Items {
		p := &pods.Items[i]
		text, err := c.CoreV1().Pods("things").GetLogs(p.Name, &corev1.PodLogOptions{}).DoRaw(ctx)
		want := "hello\nxyzzy " + p.Annotations["batch.kubernetes.io/job-completion-index"] + " " + p.Name + " me\n"
		if err != nil || string(text) != want {
			t.Errorf("log of %s: %q, %v; want %q", p.Name, text, err, want)
		}
		text, err = c.CoreV1().Pods("things").GetLogs(p.Name, &corev1.PodLogOptions{TailLines: new(int64(1))}).DoRaw(ctx)
		if _, last, _ := strings.Cut(want, "\n"); err != nil || string(text) != last {
			t.Errorf("last line of %s: %q, %v; want %q", p.Name, text, err, last)
		}
		if m := p.Status.ContainerStatuses[0].State.Terminated.Message; m != "done\n" {
			t.Errorf("termination message of %s: %q", p.Name, m)
		}
	}

	eventually(t, "the other Job fails", func() bool { return job(t, c, "fails").Status.Failed == 1 })
	pods, err = c.CoreV1().Pods("things").List(ctx, metav1.ListOptions{LabelSelector: "job-name=fails"})
	if err != nil {
		t.Fatal(err)
	}
	if s := pods.Items[0].Status.ContainerStatuses[0].State.Terminated; s.ExitCode != 3 || s.Message != "why" && s.Message != "why\n" {
		t.Errorf("it ended with %d, %q", s.ExitCode, s.Message)
	}

	eventually(t, "the Deployment is ready", func() bool {
		d, err := c.AppsV1().Deployments("things").Get(ctx, "serves", metav1.GetOptions{})
		return err == nil && d.Status.ReadyReplicas == 2
	})
	t.Logf("two Jobs and a Deployment after %v", time.Since(began).Round(time.Millisecond))
	pods, err = c.CoreV1().Pods("things").List(ctx, metav1.ListOptions{LabelSelector: "app=serves"})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := pods.Items[0].Status.PodIP, pods.Items[1].Status.PodIP; a == b || !strings.HasPrefix(a, "127.") {
		t.Errorf("the pods' addresses are %s and %s", a, b)
	}
	first := pods.Items[0].Name
	follow, err := c.CoreV1().Pods("things").GetLogs(first, &corev1.PodLogOptions{Follow: true, Container: "main"}).Stream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer follow.Close()
	if err := c.CoreV1().Pods("things").Delete(ctx, first, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for buffer := make([]byte, 64); !strings.Contains(said.String(), "bye"); {
		n, err := follow.Read(buffer)
		said.Write(buffer[:n])
		if err != nil {
			t.Fatalf("the pod said %q, then %v", said.String(), err)
		}
	}
	eventually(t, "another pod takes its place", func() bool {
		_, err := c.CoreV1().Pods("things").Get(ctx, first, metav1.GetOptions{})
		d, derr := c.AppsV1().Deployments("things").Get(ctx, "serves", metav1.GetOptions{})
		return apierrors.IsNotFound(err) && derr == nil && d.Status.ReadyReplicas == 2
	})

	config, _ := k.As(t, "nobody")
	if _, err := kubernetes.NewForConfigOrDie(config).CoreV1().Pods("things").List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a user without rights may list pods: %v", err)
	}
	if err := c.CoreV1().Namespaces().Delete(ctx, "things", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the namespace ends", func() bool {
		_, err := c.CoreV1().Namespaces().Get(ctx, "things", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}

func job(t *testing.T, c kubernetes.Interface, name string) *batchv1.Job {
	t.Helper()
	j, err := c.BatchV1().Jobs("things").Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if is() {
			return
		}
		select {
		case <-t.Context().Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Fatalf("not after 30 s: %s", what)
}

// TestServersEndWithTheirTest starts this test once more as a process, kills it, and looks whether what it had started ends.
func TestServersEndWithTheirTest(t *testing.T) {
	if os.Getenv("NARU_TEST_DIE") != "" {
		k := cluster.StartKube(t, cluster.KubeOptions{Shared: true})
		os.Stdout.WriteString("DIR " + k.Dir + "\n")
		select {} // until it is killed
	}
	ok, missing := cluster.CanStartKube(t)
	if !ok {
		t.Skip(missing)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestServersEndWithTheirTest$", "-test.v")
	cmd.Env = append(os.Environ(), "NARU_TEST_DIE=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	dir := ""
	var said strings.Builder
	for buffer := make([]byte, 256); dir == ""; {
		n, err := out.Read(buffer)
		said.Write(buffer[:n])
		if _, rest, ok := strings.Cut(said.String(), "DIR "); ok {
			dir, _, ok = strings.Cut(rest, "\n")
			if !ok {
				dir = ""
			}
		}
		if err != nil {
			t.Fatalf("%v: %s", err, said.String())
		}
	}
	if running(t, dir) < 3 {
		t.Fatalf("%d servers run in %s", running(t, dir), dir)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	eventually(t, "the servers end", func() bool { return running(t, dir) == 0 })
	_ = os.RemoveAll(dir)
}

// running counts the processes that work in dir.
func running(t *testing.T, dir string) (n int) {
	t.Helper()
	all, err := os.ReadDir("/proc")
	if err != nil {
		t.Skip("there is no /proc here")
	}
	for _, e := range all {
		if at, err := os.Readlink("/proc/" + e.Name() + "/cwd"); err == nil && at == dir {
			n++
		}
	}
	return n
}

package deploy_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/narudata/naru/internal/testbed"
	"github.com/narudata/naru/internal/testbed/cluster"
)

// until tries something again until it is so; the test fails with why it is not.
func until(t *testing.T, within time.Duration, try func(context.Context) error) {
	t.Helper()
	for deadline := time.Now().Add(within); ; {
		err := try(t.Context())
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %v", within, err)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// buildNaru gives the program of this tree.
func buildNaru(t *testing.T) string {
	t.Helper()
	naru := filepath.Join(testbed.Cache(t), "deploy-test", "naru")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-C", testbed.Root(t), "-o", naru, ".").CombinedOutput(); err != nil {
		t.Fatalf("build naru: %v\n%s", err, out)
	}
	return naru
}

func TestARealAPIServerTakesWhatTheChartsRender(t *testing.T) {
	kube := cluster.StartKube(t, cluster.KubeOptions{Images: map[string]string{"proc/naru": buildNaru(t)}})
	client, err := kubernetes.NewForConfig(kube.Config())
	if err != nil {
		t.Fatal(err)
	}
	kube.ApplyFiles(t, "", "kustomize/namespace.yaml")
	kube.Apply(t, "naru-system", []byte(render(t, "naru-crds")))
	for _, namespace := range []string{"flows-dev", "flows-staging", "argocd"} {
		kube.Apply(t, "", []byte("{apiVersion: v1, kind: Namespace, metadata: {name: "+namespace+"}}"))
	}

	t.Run("every set of values", func(t *testing.T) {
		for _, set := range valueSets(t) {
			kube.Apply(t, "naru-system", []byte(render(t, "naru", "--values", set, "--set", "metrics.serviceMonitor.enabled=false")))
			if err := client.AppsV1().Deployments("naru-system").DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	})

	t.Run("pods pass the restricted standard", func(t *testing.T) {
		bad := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "bad"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "bad", Image: "bad:1"}}}}
		if _, err := client.CoreV1().Pods("naru-system").Create(t.Context(), bad, metav1.CreateOptions{}); err == nil || !strings.Contains(err.Error(), "restricted") {
			t.Fatalf("the namespace lets any pod in (%v): this test would show nothing", err)
		}
		kube.Apply(t, "naru-system", []byte(render(t, "naru", "--set", "replicas=2,image.repository=registry.example/naru")))
		until(t, time.Minute, func(ctx context.Context) error {
			d, err := client.AppsV1().Deployments("naru-system").Get(ctx, "naru", metav1.GetOptions{})
			if err != nil {
				return err
			}
			return availableWith(d, 2)
		})
	})

	t.Run("Helm installs, upgrades and uninstalls, and Flows stay", func(t *testing.T) { helmComesAndGoes(t, kube) })

	t.Run("naru is a plugin of Argo Rollouts", func(t *testing.T) { installsThePlugin(t, kube, client) })

	t.Run("protected objects are deleted when it is approved", func(t *testing.T) { deletionsAreProtected(t, kube) })
}

func availableWith(d *appsv1.Deployment, replicas int32) error {
	if d.Status.AvailableReplicas == replicas && d.Status.ObservedGeneration == d.Generation {
		return nil
	}
	var b strings.Builder
	b.WriteString("the Deployment is not available:")
	for _, c := range d.Status.Conditions {
		b.WriteString(" " + string(c.Type) + "=" + string(c.Status) + " " + c.Message)
	}
	return errors.New(b.String())
}

// helmComesAndGoes does what a user does with Helm. Objects of naru's kinds outlive the charts.
func helmComesAndGoes(t *testing.T, kube *cluster.Kube) {
	run := func(args ...string) string {
		t.Helper()
		out, stderr, err := helm(t, append(args, "--namespace", "by-helm", "--kubeconfig", kube.Kubeconfig())...)
		if err != nil {
			t.Fatalf("helm %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr)
		}
		return out
	}
	// The definitions are there already, and not Helm's: it takes them over when it is told to.
	run("upgrade", "--install", "naru-crds", "charts/naru-crds", "--create-namespace", "--take-ownership")
	out := run("upgrade", "--install", "naru", "charts/naru", "--set", "replicas=2,fullnameOverride=by-helm", "--wait", "--timeout", "60s")
	if !strings.Contains(out, "is installed as by-helm in by-helm") || !strings.Contains(out, "kubectl rollout status -n by-helm deployment/by-helm") {
		t.Errorf("the notes do not say what is there:\n%s", out)
	}
	kube.Apply(t, "by-helm", []byte(`{apiVersion: naru.dev/v1alpha1, kind: Flow, metadata: {name: stays}, spec: {pipeline: {config: "input { stdin {} }"}}}`))
	run("upgrade", "naru", "charts/naru", "--set", "replicas=1,fullnameOverride=by-helm,operator.log.level=debug", "--wait", "--timeout", "60s")
	run("rollback", "naru", "1", "--wait", "--timeout", "60s")
	run("uninstall", "naru", "--wait", "--timeout", "60s")
	run("uninstall", "naru-crds", "--wait", "--timeout", "60s")
	client, err := dynamic.NewForConfig(kube.Config())
	if err != nil {
		t.Fatal(err)
	}
	flow := schema.GroupVersionResource{Group: "naru.dev", Version: "v1alpha1", Resource: "flows"}
	if _, err := client.Resource(flow).Namespace("by-helm").Get(t.Context(), "stays", metav1.GetOptions{}); err != nil {
		t.Errorf("with the charts the Flow went: %v", err)
	}
	run("install", "naru-crds", "charts/naru-crds") // again, over what stayed
}

func deletionsAreProtected(t *testing.T, kube *cluster.Kube) {
	dynamicClient, err := dynamic.NewForConfig(kube.Config())
	if err != nil {
		t.Fatal(err)
	}
	of := func(resource, namespace string) dynamic.ResourceInterface {
		return dynamicClient.Resource(schema.GroupVersionResource{Group: "naru.dev", Version: "v1alpha1", Resource: resource}).Namespace(namespace)
	}
	kube.Apply(t, "naru-system", []byte(render(t, "naru", "--set", "deletionProtection.enabled=true")))
	const objects = `
{apiVersion: v1, kind: Namespace, metadata: {name: NS}}
---
{apiVersion: naru.dev/v1alpha1, kind: Migration, metadata: {name: shop, namespace: NS}, spec: {from: {archive: {path: /a}}, to: {archive: {path: /b}}}}
---
{apiVersion: naru.dev/v1alpha1, kind: Environment, metadata: {name: kept, namespace: NS}, spec: {environment: prod}}
---
{apiVersion: naru.dev/v1alpha1, kind: Environment, metadata: {name: taken, namespace: NS}, spec: {environment: prod, deletionPolicy: Delete}}
`
	kube.Apply(t, "", []byte(strings.ReplaceAll(objects, "NS", "protected")))
	until(t, 30*time.Second, func(ctx context.Context) error { // until the API server knows the policy
		err := of("migrations", "protected").Delete(ctx, "shop", metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}})
		if apierrors.IsForbidden(err) && strings.Contains(err.Error(), "Migration shop is protected: annotate naru.dev/approve-delete=true first") {
			return nil
		}
		return fmt.Errorf("deleting a protected Migration gives: %w", cmp.Or(err, errors.New("no error")))
	})
	if err := of("environments", "protected").Delete(t.Context(), "taken", metav1.DeleteOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("an Environment that deletes what it declared may be deleted: %v", err)
	}
	if err := of("environments", "protected").Delete(t.Context(), "kept", metav1.DeleteOptions{}); err != nil {
		t.Errorf("an Environment that leaves what it declared: %v", err)
	}
	config, _ := kube.As(t, "system:serviceaccount:naru-system:naru", "system:serviceaccounts")
	operator, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	environments := schema.GroupVersionResource{Group: "naru.dev", Version: "v1alpha1", Resource: "environments"}
	if err := operator.Resource(environments).Namespace("protected").Delete(t.Context(), "taken", metav1.DeleteOptions{}); err != nil {
		t.Errorf("the operator cannot delete an Environment whose time is over: %v", err)
	}
	approve := []byte(`{"metadata": {"annotations": {"naru.dev/approve-delete": "true"}}}`)
	if _, err := of("migrations", "protected").Patch(t.Context(), "shop", types.MergePatchType, approve, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := of("migrations", "protected").Delete(t.Context(), "shop", metav1.DeleteOptions{}); err != nil {
		t.Errorf("an approved deletion: %v", err)
	}

	// A namespace goes with all that it has, protected or not.
	kube.Apply(t, "", []byte(strings.ReplaceAll(objects, "NS", "leaving")))
	namespaces := dynamicClient.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
	if err := namespaces.Delete(t.Context(), "leaving", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, time.Minute, func(ctx context.Context) error {
		ns, err := namespaces.Get(ctx, "leaving", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		conditions, _, _ := unstructured.NestedSlice(ns.Object, "status", "conditions")
		text := "the namespace is still there:"
		for _, c := range conditions {
			if c, ok := c.(map[string]any); ok && c["status"] == "True" {
				text += fmt.Sprint(" ", c["type"], " ", c["message"])
			}
		}
		return errors.New(text)
	})
}

package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/narudata/naru/internal/testbed/cluster"
)

func decodeFile(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// The values for the chart argo-rollouts say what the patches for kustomize say.
func TestBothWaysToInstallThePluginAreTheSame(t *testing.T) {
	var values struct {
		Controller struct {
			InitContainers []corev1.Container
			Volumes        []corev1.Volume
			VolumeMounts   []corev1.VolumeMount

			MetricProviderPlugins, StepPlugins, TrafficRouterPlugins []map[string]string
		}
	}
	var controller appsv1.Deployment
	var config corev1.ConfigMap
	decodeFile(t, "rollouts/values-argo-rollouts.yaml", &values)
	decodeFile(t, "rollouts/controller.yaml", &controller)
	decodeFile(t, "rollouts/config.yaml", &config)
	spec := controller.Spec.Template.Spec
	for _, c := range []struct{ what, diff string }{
		{"init containers", cmp.Diff(spec.InitContainers, values.Controller.InitContainers)},
		{"volumes", cmp.Diff(spec.Volumes, values.Controller.Volumes)},
		{"mounts", cmp.Diff(spec.Containers[0].VolumeMounts, values.Controller.VolumeMounts)},
	} {
		if c.diff != "" {
			t.Errorf("%s (-kustomize +Helm):\n%s", c.what, c.diff)
		}
	}
	for key, plugins := range map[string][]map[string]string{
		"metricProviderPlugins": values.Controller.MetricProviderPlugins, "stepPlugins": values.Controller.StepPlugins,
		"trafficRouterPlugins": values.Controller.TrafficRouterPlugins,
	} {
		var want []map[string]string
		if err := yaml.Unmarshal([]byte(config.Data[key]), &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, plugins); diff != "" || len(want) != 1 {
			t.Errorf("%s (-kustomize +Helm):\n%s", key, diff)
		}
	}
}

// installsThePlugin has the init container run: it copies the program to where the ConfigMap says that the plugin is.
func installsThePlugin(t *testing.T, kube *cluster.Kube, client kubernetes.Interface) {
	out, stderr, err := program(t, "kustomize", "build", "--load-restrictor=LoadRestrictionsNone", "testdata/rollouts")
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	kube.Apply(t, "", []byte("{apiVersion: v1, kind: Namespace, metadata: {name: argo-rollouts, labels: {pod-security.kubernetes.io/enforce: restricted}}}"))
	kube.Apply(t, "argo-rollouts", []byte(out))
	until(t, time.Minute, func(ctx context.Context) error {
		d, err := client.AppsV1().Deployments("argo-rollouts").Get(ctx, "argo-rollouts", metav1.GetOptions{})
		if err != nil {
			return err
		}
		return availableWith(d, 1)
	})
	found, err := filepath.Glob(filepath.Join(kube.Dir, "pods", "argo-rollouts", "*", "*", "naru-plugin", "naru"))
	if len(found) == 0 {
		deeper, _ := filepath.Glob(filepath.Join(kube.Dir, "pods", "argo-rollouts", "*", "*"))
		t.Fatalf("the plugin is not there (%v): %v", err, deeper)
	}
	info, err := os.Stat(found[0])
	if err == nil && (info.Mode().Perm() != 0o755 || info.Size() < 1<<20) {
		err = errors.New("it is no program")
	}
	if err != nil {
		t.Errorf("%s: %v", fmt.Sprint(info), err)
	}
}

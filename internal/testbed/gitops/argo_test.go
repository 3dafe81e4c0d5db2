package gitops_test

import (
	"strings"
	"testing"
	"time"

	"github.com/narudata/naru/internal/testbed/cluster"
	"github.com/narudata/naru/internal/testbed/gitops"
)

const configMap = `apiVersion: v1
kind: ConfigMap
metadata: {name: greeting}
data: {text: TEXT}
`

const rollout = `apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  strategy: {canary: {}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "web:1"}]}
`

func TestArgoBringsACommitToTheCluster(t *testing.T) {
	gitops.Need(t)
	kube := cluster.StartKube(t, cluster.KubeOptions{})
	start := time.Now()
	argo := gitops.StartArgo(t, kube, gitops.Options{Rollouts: true})
	t.Logf("Argo runs after %v", time.Since(start).Round(time.Millisecond))
	repository := gitops.NewRepository(t)
	first := repository.Commit(t, "greet", map[string]string{"app/greeting.yaml": strings.ReplaceAll(configMap, "TEXT", "hello"), "app/rollout.yaml": rollout})
	start = time.Now()
	argo.Apply(t, "greeting", repository, "app", "greetings")
	argo.AwaitHealth(t, "greeting", first, "Healthy", 2*time.Minute)
	t.Logf("the first commit is there after %v", time.Since(start).Round(time.Millisecond))

	repository.Commit(t, "shout", map[string]string{"app/greeting.yaml": strings.ReplaceAll(configMap, "TEXT", "HELLO")})
	back := repository.Revert(t)
	start = time.Now()
	argo.Refresh(t, "greeting")
	app := argo.AwaitHealth(t, "greeting", back, "Healthy", time.Minute)
	t.Logf("another is there after %v\n%v", time.Since(start).Round(time.Millisecond), app)
}

package gitops

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// InCluster is the address of the cluster that Argo CD runs in.
const InCluster = "https://kubernetes.default.svc"

// An Application is what tests look at in one.
type Application struct {
	Metadata struct {
		Name string
	}
	Status struct {
		Sync struct {
			Status   string
			Revision string
		}
		Health struct {
			Status  string
			Message string
		}
		OperationState struct {
			Phase   string
			Message string
		}
		Conditions []struct{ Type, Message string }
		Resources  []struct {
			Kind, Namespace, Name, Status string
			Health                        struct{ Status, Message string }
		}
	}
}

// String says how it is, in lines.
func (a *Application) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s of %s, %s %s, operation %s %s\n", a.Metadata.Name, a.Status.Sync.Status, a.Status.Sync.Revision, a.Status.Health.Status,
		a.Status.Health.Message, a.Status.OperationState.Phase, a.Status.OperationState.Message)
	for _, c := range a.Status.Conditions {
		fmt.Fprintf(&b, "  %s: %s\n", c.Type, c.Message)
	}
	for _, r := range a.Status.Resources {
		fmt.Fprintf(&b, "  %s %s/%s: %s, %s %s\n", r.Kind, r.Namespace, r.Name, r.Status, r.Health.Status, r.Health.Message)
	}
	return b.String()
}

// Resource gives the status and health of one resource, "" if it is not there.
func (a *Application) Resource(kind, name string) (sync, health, message string) {
	for _, r := range a.Status.Resources {
		if r.Kind == kind && r.Name == name {
			return r.Status, r.Health.Status, r.Health.Message
		}
	}
	return "", "", ""
}

// Apply makes an Application of a folder of a repository, which syncs by itself, prunes and heals, into a namespace of the cluster
// that Argo CD runs in.
func (a *Argo) Apply(tb testing.TB, name string, r *Repository, path, namespace string) {
	tb.Helper()
	a.applyObjects(tb, map[string]any{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": map[string]any{"name": name, "namespace": Namespace},
		"spec": map[string]any{
			"project":     "default",
			"source":      map[string]any{"repoURL": r.URL, "targetRevision": "main", "path": path},
			"destination": map[string]any{"server": InCluster, "namespace": namespace},
			"syncPolicy": map[string]any{
				"automated":   map[string]any{"prune": true, "selfHeal": true},
				"syncOptions": []string{"CreateNamespace=true", "ServerSideApply=true"},
			},
		},
	})
}

// Application gives one as it is now.
func (a *Argo) Application(tb testing.TB, name string) (*Application, error) {
	tb.Helper()
	o, err := a.get(tb.Context(), applications, Namespace, name)
	if err != nil {
		return nil, err
	}
	app := &Application{}
	text, err := json.Marshal(o.Object)
	if err == nil {
		err = json.Unmarshal(text, app)
	}
	return app, err
}

// Refresh has Argo CD look at the repository at once.
func (a *Argo) Refresh(tb testing.TB, name string) {
	tb.Helper()
	a.Annotate(tb, name, map[string]string{"argocd.argoproj.io/refresh": "normal"})
}

// Annotate sets annotations of an Application.
func (a *Argo) Annotate(tb testing.TB, name string, annotations map[string]string) {
	tb.Helper()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations}})
	if err == nil {
		_, err = a.client.Resource(applications).Namespace(Namespace).Patch(tb.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{})
	}
	if err != nil {
		tb.Fatalf("annotate Application %s with %s: %v", name, strings.Join(slices.Sorted(maps.Keys(annotations)), ", "), err)
	}
}

// Sync starts a sync of an Application that does not sync by itself.
func (a *Argo) Sync(tb testing.TB, name string) {
	tb.Helper()
	patch := []byte(`{"operation": {"initiatedBy": {"username": "test"}, "sync": {}}}`)
	if _, err := a.client.Resource(applications).Namespace(Namespace).Patch(tb.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		tb.Fatalf("sync Application %s: %v", name, err)
	}
}

// Await waits until an Application is as wanted, and gives it as it was then; the test fails with how it is, and the end of the
// controllers' logs, when it is not within the time. what says what is waited for.
func (a *Argo) Await(tb testing.TB, name string, within time.Duration, what string, wanted func(*Application) bool) *Application {
	tb.Helper()
	for deadline := time.Now().Add(within); ; {
		app, err := a.Application(tb, name)
		if err != nil && !apierrors.IsNotFound(err) {
			tb.Fatal(err)
		}
		if err == nil && wanted(app) {
			return app
		}
		if time.Now().After(deadline) {
			tb.Fatalf("Application %s is not %s after %v (%v)\n%v\n--- application-controller\n%s\n--- applicationset-controller\n%s", name, what, within, err, app,
				a.Log("application-controller"), a.Log("applicationset-controller"))
		}
		select {
		case <-tb.Context().Done():
			tb.Fatal(tb.Context().Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// AwaitHealth waits until an Application is synced with a commit ("" is any) and has a health.
func (a *Argo) AwaitHealth(tb testing.TB, name, commit, health string, within time.Duration) *Application {
	tb.Helper()
	what := health + " and synced"
	if commit != "" {
		what += " with " + commit
	}
	return a.Await(tb, name, within, what, func(app *Application) bool {
		return app.Status.Sync.Status == "Synced" && app.Status.Health.Status == health && (commit == "" || app.Status.Sync.Revision == commit)
	})
}

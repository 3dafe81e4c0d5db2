package operator

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/operator/v1alpha1"
)

// envBed is a reconciler with a fake API server and a fake cluster.
type envBed struct {
	*testing.T
	kube   client.WithWatch
	search *osfake.Server
	at     *opensearch.Client
	r      *Environments
	events *events.FakeRecorder
	clock  time.Time
}

const envNamespace = "naru-system"

func newEnvBed(t *testing.T, objects ...client.Object) *envBed {
	t.Helper()
	s, err := Scheme()
	if err != nil {
		t.Fatal(err)
	}
	b := &envBed{T: t, search: osfake.Start(t, osfake.Options{}), events: events.NewFakeRecorder(1000), clock: time.Now().Truncate(time.Second)}
	b.kube = fake.NewClientBuilder().WithScheme(s).WithObjects(objects...).
		WithObjects(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: envNamespace}}).
		WithStatusSubresource(&v1alpha1.Environment{}, &v1alpha1.Flow{}).
		WithIndex(&v1alpha1.Environment{}, refersIndex, environmentRefers).Build()
	b.r = b.operator()
	if b.at, err = (opensearch.Target{URLs: b.search.URLs}).Connect(t.Context(), func(string) string { return "" }); err != nil {
		t.Fatal(err)
	}
	return b
}

// operator is a new one, that knows nothing.
func (b *envBed) operator() *Environments {
	return &Environments{Client: b.kube, Reader: b.kube, Events: b.events, Now: func() time.Time { return b.clock }}
}

func (b *envBed) environment(name string, change ...func(*v1alpha1.EnvironmentSpec)) *v1alpha1.Environment {
	e := &v1alpha1.Environment{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: envNamespace, Name: name, UID: types.UID("uid-" + name), Generation: 1, CreationTimestamp: metav1.NewTime(b.clock),
			Annotations: map[string]string{CommitAnnotation: "23ca4420f1aa"},
		},
		Spec: v1alpha1.EnvironmentSpec{
			Environment: "prod", Estate: "shop", Target: &v1alpha1.SearchTarget{URLs: b.search.URLs}, DeletionPolicy: v1alpha1.OrphanObjects, Mode: v1alpha1.ApplyMode,
		},
	}
	for _, f := range change {
		f(&e.Spec)
	}
	if err := b.kube.Create(b.Context(), e); err != nil {
		b.Fatal(err)
	}
	return e
}

func raw(v any) *apiextensionsv1.JSON {
	b, err := json.Marshal(v)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return &apiextensionsv1.JSON{Raw: b}
}

func pipeline(field string) map[string]any {
	return map[string]any{"processors": []any{map[string]any{"set": map[string]any{"field": field, "value": "x"}}}}
}

// look has the operator look once, later than the last time.
func (b *envBed) look(name string) (*v1alpha1.Environment, ctrl.Result) {
	b.Helper()
	b.clock = b.clock.Add(2 * time.Second)
	key := types.NamespacedName{Namespace: envNamespace, Name: name}
	result, err := b.r.Reconcile(b.Context(), ctrl.Request{NamespacedName: key})
	if err != nil {
		b.Fatal(err)
	}
	var e v1alpha1.Environment
	if err := b.kube.Get(b.Context(), key, &e); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, result
		}
		b.Fatal(err)
	}
	return &e, result
}

// is wants the conditions of kstatus: "Ready/Applied", "Stalled/Conflict", "Reconciling/Busy", or "-/AwaitingApproval" for none of them.
func (b *envBed) is(e *v1alpha1.Environment, want string) {
	b.Helper()
	if e == nil {
		b.Fatalf("the Environment is gone, and not %s", want)
	}
	if got := conditionsText(e.Status.Conditions); got != want {
		b.Fatalf("%s, want %s: %s", got, want, readyMessage(e.Status.Conditions))
	}
}

func conditionsText(conditions []metav1.Condition) string {
	text := ""
	for _, name := range []string{v1alpha1.Ready, v1alpha1.Reconciling, v1alpha1.Stalled} {
		if holds(conditions, name) {
			text += name
		}
	}
	if text == "" {
		text = "-"
	}
	c := readyOf(conditions)
	if c == nil {
		return text
	}
	return text + "/" + c.Reason
}

func readyMessage(conditions []metav1.Condition) string {
	c := readyOf(conditions)
	if c == nil {
		return ""
	}
	return c.Message
}

func (b *envBed) update(e *v1alpha1.Environment, f func(*v1alpha1.Environment)) {
	b.Helper()
	var now v1alpha1.Environment
	if err := b.kube.Get(b.Context(), client.ObjectKeyFromObject(e), &now); err != nil {
		b.Fatal(err)
	}
	f(&now)
	now.Generation++
	if err := b.kube.Update(b.Context(), &now); err != nil {
		b.Fatal(err)
	}
}

func (b *envBed) put(o client.Object) {
	b.Helper()
	err := b.kube.Update(b.Context(), o)
	if apierrors.IsNotFound(err) {
		o.SetResourceVersion("")
		err = b.kube.Create(b.Context(), o)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// field is the field that the pipeline called name sets in the cluster; "": there is none.
func (b *envBed) field(name string) string {
	b.Helper()
	var answer map[string]struct {
		Processors []map[string]struct {
			Field string `json:"field"`
		} `json:"processors"`
	}
	err := b.at.JSON(b.Context(), http.MethodGet, "/_ingest/pipeline/"+name, nil, &answer)
	if err != nil {
		return ""
	}
	return answer[name].Processors[0]["set"].Field
}

func (b *envBed) change(name, field string) {
	b.Helper()
	if err := b.at.JSON(b.Context(), http.MethodPut, "/_ingest/pipeline/"+name, pipeline(field), nil); err != nil {
		b.Fatal(err)
	}
}

// told gives the events since it was last called.
func (b *envBed) told() (all []string) {
	for {
		select {
		case e := <-b.events.Events:
			all = append(all, e)
		default:
			return all
		}
	}
}

func (b *envBed) wasTold(parts ...string) {
	b.Helper()
	all := b.told()
	for _, p := range parts {
		if !slices.ContainsFunc(all, func(e string) bool { return strings.Contains(e, p) }) {
			b.Errorf("no event has %q: %q", p, all)
		}
	}
}

func configMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: envNamespace, Name: name}, Data: data}
}

func secret(name string, data map[string]string) *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: envNamespace, Name: name}, Data: map[string][]byte{}}
	for k, v := range data {
		s.Data[k] = []byte(v)
	}
	return s
}

func TestAnEnvironmentBecomesWhatItsObjectsAndConfigMapsSay(t *testing.T) {
	b := newEnvBed(t, configMap("pipelines", map[string]string{"api.yaml": `processors: [{set: {field: "${prefix}-api", value: x}}]`, "web.patch.json": `{"description": "patched"}`}))
	b.environment("shop", func(s *v1alpha1.EnvironmentSpec) {
		s.Variables = raw(map[string]any{"prefix": "p"})
		s.Sources = []v1alpha1.ObjectSource{{Kind: "ingest-pipelines", ConfigMapRef: v1alpha1.ConfigMapRef{Name: "pipelines"}}}
		s.Objects = raw(map[string]any{"index-templates": map[string]any{"web": map[string]any{"index_patterns": []any{"web-*"}}}})
	})
	e, _ := b.look("shop")
	b.is(e, "Stalled/InvalidSpec") // the patch has nothing under it
	if m := readyMessage(e.Status.Conditions); !strings.Contains(m, "patches ingest-pipelines/web, which the base does not have") {
		t.Error(m)
	}
	b.put(configMap("pipelines", map[string]string{"api.yaml": `processors: [{set: {field: "${prefix}-api", value: x}}]`}))
	e, result := b.look("shop")
	b.is(e, "Ready/Applied")
	if b.field("api") != "p-api" {
		t.Errorf("the pipeline sets %q", b.field("api"))
	}
	if a := e.Status.LastApplied; a == nil || a.Changes != 2 || a.Commit != "23ca4420f1aa" {
		t.Errorf("last applied: %+v", a)
	}
	if result.RequeueAfter < 5*time.Minute || result.RequeueAfter > 6*time.Minute || e.Status.ObservedGeneration != 1 {
		t.Errorf("again in %s; generation %d", result.RequeueAfter, e.Status.ObservedGeneration)
	}
	b.wasTold("Warning InvalidSpec", "Normal Applied 2 of 2 changes")

	// A commit changes the ConfigMap.
	b.put(configMap("pipelines", map[string]string{"api.json": `{"processors": [{"set": {"field": "other", "value": "x"}}]}`}))
	if e, _ = b.look("shop"); b.field("api") != "other" {
		t.Errorf("the pipeline sets %q: %s", b.field("api"), readyMessage(e.Status.Conditions))
	}
	b.is(e, "Ready/Applied")

	// Nothing differs: a look only asks, and the status stays.
	before := len(b.search.Requests())
	again, _ := b.look("shop")
	if again.Status.LastApplied.ID != e.Status.LastApplied.ID {
		t.Error("it was applied again")
	}
	for _, r := range b.search.Requests()[before:] {
		if r.Method != http.MethodGet && !strings.HasSuffix(r.Path, "_search") && !strings.HasSuffix(r.Path, "_refresh") {
			t.Errorf("a look that finds nothing asks %s %s", r.Method, r.Path)
		}
	}
	if n := len(b.search.Requests()) - before; n > 12 {
		t.Errorf("a look that finds nothing takes %d requests", n)
	}
	b.is(again, "Ready/Applied")
}

func TestLooksAtTheSameSystemsHaveATimeBetweenThem(t *testing.T) {
	b := newEnvBed(t)
	e := b.environment("shop", func(s *v1alpha1.EnvironmentSpec) {
		s.Objects = raw(map[string]any{"ingest-pipelines": map[string]any{"web": pipeline("a")}})
	})
	if e, _ := b.look("shop"); e != nil {
		b.is(e, "Ready/Applied")
	}
	before := len(b.search.Requests())
	for range 20 {
		if _, err := b.r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(e)}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(b.search.Requests()) - before; n != 0 {
		t.Errorf("%d requests in the same second", n)
	}
	result, err := b.r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(e)})
	if err != nil || result.RequeueAfter <= 0 || result.RequeueAfter > time.Second {
		t.Errorf("it is looked at again in %s, %v", result.RequeueAfter, err)
	}
}

func TestDriftIsPutBackWhereItMayBeAndSaidWhereNot(t *testing.T) {
	b := newEnvBed(t)
	e := b.environment("shop", func(s *v1alpha1.EnvironmentSpec) {
		s.Objects = raw(map[string]any{"ingest-pipelines": map[string]any{"mended": pipeline("a"), "left": pipeline("b")}})
		s.Drift = &v1alpha1.DriftPolicy{Repair: []string{"ingest-pipelines/mended"}}
	})
	b.look("shop")
	b.told()
	b.change("mended", "hand")
	b.change("left", "hand")
	got, _ := b.look("shop")
	if b.field("mended") != "a" || b.field("left") != "hand" {
		t.Errorf("mended sets %q, left sets %q", b.field("mended"), b.field("left"))
	}
	if !holds(got.Status.Conditions, v1alpha1.Drifted) || len(got.Status.Drift) != 1 || got.Status.Drift[0].Object != "ingest-pipelines/left" {
		t.Errorf("drift: %+v", got.Status.Drift)
	}
	b.is(got, "Ready/Applied")
	b.wasTold("Warning Drifted", "Normal Repaired 1 of 1 changes")
	since := got.Status.Drift[0].Since
	if got, _ = b.look("shop"); !got.Status.Drift[0].Since.Equal(since) {
		t.Error("since when it drifts was forgotten")
	}
	if slices.ContainsFunc(got.Status.Drift[0].Fields, func(f string) bool { return strings.Contains(f, "hand") }) {
		t.Errorf("values are in the status: %v", got.Status.Drift[0].Fields)
	}

	// Somebody approves the plan that the status shows.
	b.update(e, func(e *v1alpha1.Environment) {
		e.Annotations[v1alpha1.ApprovePlanAnnotation] = got.Status.Plan.ID
	})
	got, _ = b.look("shop")
	if b.field("left") != "b" || holds(got.Status.Conditions, v1alpha1.Drifted) {
		t.Errorf("left sets %q: %+v", b.field("left"), got.Status)
	}
	b.is(got, "Ready/Applied")

	// Another declaration is applied whatever somebody did.
	b.change("left", "hand")
	b.update(e, func(e *v1alpha1.Environment) {
		e.Spec.Objects = raw(map[string]any{"ingest-pipelines": map[string]any{"mended": pipeline("a"), "left": pipeline("c")}})
	})
	got, _ = b.look("shop")
	if b.field("left") != "c" {
		t.Errorf("left sets %q: %s", b.field("left"), readyMessage(got.Status.Conditions))
	}
}

func TestAPlanThatIsTooRiskyWaitsForItsApproval(t *testing.T) {
	b := newEnvBed(t)
	e := b.environment("shop", func(s *v1alpha1.EnvironmentSpec) {
		s.Approval = &v1alpha1.PlanApproval{AboveRisk: "low"}
		s.Objects = raw(map[string]any{"ingest-pipelines": map[string]any{"web": pipeline("a"), "old": pipeline("b")}})
	})
	got, _ := b.look("shop")
	b.is(got, "Ready/Applied") // to create is not risky
	b.update(e, func(e *v1alpha1.Environment) {
		e.Spec.Objects = raw(map[string]any{"ingest-pipelines": map[string]any{"web": pipeline("a")}})
	})
	got, _ = b.look("shop")
	b.is(got, "-/AwaitingApproval")
	if got.Status.Plan.Delete != 1 || got.Status.Plan.Risk == "low" || b.field("old") != "b" {
		t.Errorf("plan: %+v", got.Status.Plan)
	}
	if m := readyMessage(got.Status.Conditions); !strings.Contains(m, "naru.dev/approve-plan="+got.Status.Plan.ID) {
		t.Errorf("nobody learns how to approve: %s", m)
	}
	id := got.Status.Plan.ID
	if got, _ = b.look("shop"); got.Status.Plan.ID != id {
		t.Errorf("the same plan has another id: %s and %s", id, got.Status.Plan.ID)
	}
	b.update(e, func(e *v1alpha1.Environment) { e.Annotations[v1alpha1.ApprovePlanAnnotation] = "another" })
	got, _ = b.look("shop")
	b.is(got, "-/AwaitingApproval")
	b.update(e, func(e *v1alpha1.Environment) { e.Annotations[v1alpha1.ApprovePlanAnnotation] = id })
	got, _ = b.look("shop")
	b.is(got, "Ready/Applied")
	if b.field("old") != "" {
		t.Error("it is still there")
	}
}

func TestAnEnvironmentThatOnlyPlansChangesNothing(t *testing.T) {
	b := newEnvBed(t)
	b.environment("shop", func(s *v1alpha1.EnvironmentSpec) {
		s.Mode = v1alpha1.PlanMode
		s.Objects = raw(map[string]any{"ingest-pipelines": map[string]any{"web": pipeline("a")}})
	})
	got, _ := b.look("shop")
	b.is(got, "-/Differs")
	want := &v1alpha1.PlanStatus{ID: got.Status.Plan.ID, Create: 1, Risk: "low", Summary: "create ingest-pipelines/web"}
	if d := cmp.Diff(want, got.Status.Plan); d != "" {
		t.Error(d)
	}
	if b.field("web") != "" || got.Status.LastApplied != nil {
		t.Error("it was applied")
	}
}

func TestASuspendedEnvironmentIsLeftAlone(t *testing.T) {
	b := newEnvBed(t)
	e := b.environment("shop", func(s *v1alpha1.EnvironmentSpec) {
		s.Suspend = true
		s.Objects = raw(map[string]any{"ingest-pipelines": map[string]any{"web": pipeline("a")}})
	})
	before := len(b.search.Requests())
	got, _ := b.look("shop")
	b.is(got, "-/Suspended")
	if n := len(b.search.Requests()) - before; n != 0 {
		t.Errorf("%d requests", n)
	}
	b.update(e, func(e *v1alpha1.Environment) { e.Spec.Suspend = false })
	got, _ = b.look("shop")
	b.is(got, "Ready/Applied")
	b.update(e, func(e *v1alpha1.Environment) { e.Annotations[v1alpha1.SuspendedAnnotation] = "true" })
	got, _ = b.look("shop")
	b.is(got, "-/Suspended")
}

func TestTwoEnvironmentsThatClaimTheSameAreAConflict(t *testing.T) {
	b := newEnvBed(t)
	objects := func(s *v1alpha1.EnvironmentSpec) {
		s.Objects = raw(map[string]any{"ingest-pipelines": map[string]any{"web": pipeline("a")}})
	}
	b.environment("first", objects)
	b.clock = b.clock.Add(time.Second)
	second := b.environment("second", objects, func(s *v1alpha1.EnvironmentSpec) { s.Estate = "other" })
	b.clock = b.clock.Add(time.Second)
	b.environment("third", func(s *v1alpha1.EnvironmentSpec) { // the same estate: it would delete what the first has
		s.Objects = raw(map[string]any{"ingest-pipelines": map[string]any{"api": pipeline("a")}})
	})
	got, _ := b.look("third")
	b.is(got, "Reconciling/Settling") // the first was not looked at yet
	got, _ = b.look("first")
	b.is(got, "Ready/Applied")
	got, _ = b.look("second")
	b.is(got, "Stalled/Conflict")
	if m := readyMessage(got.Status.Conditions); !strings.Contains(m, "it belongs to the environment prod of the estate shop") {
		t.Error(m)
	}
	got, _ = b.look("third")
	b.is(got, "Stalled/Conflict")
	if m := readyMessage(got.Status.Conditions); !strings.Contains(m, "the Environment naru-system/first has the same environment and estate") {
		t.Error(m)
	}
	if b.field("web") != "a" || b.field("api") != "" {
		t.Error("somebody's objects were changed")
	}

	// The first one goes, and orphans what it had.
	var first v1alpha1.Environment
	if err := b.kube.Get(t.Context(), types.NamespacedName{Namespace: envNamespace, Name: "first"}, &first); err != nil {
		t.Fatal(err)
	}
	if err := b.kube.Delete(t.Context(), &first); err != nil {
		t.Fatal(err)
	}
	if n := len(b.r.rivals(t.Context(), &first)); n != 1 {
		t.Errorf("%d Environments waited for it, not 1", n)
	}
	if got, _ := b.look("first"); got != nil {
		t.Error("it is not gone")
	}
	got, _ = b.look("third")
	b.is(got, "Ready/Applied")
	if b.field("web") != "" || b.field("api") != "a" { // the estate is the third's now
		t.Errorf("web sets %q, api sets %q", b.field("web"), b.field("api"))
	}
	_ = second
}

func TestAClusterThatIsAwayIsWaitedForLongerEachTime(t *testing.T) {
	b := newEnvBed(t)
	b.environment("shop", func(s *v1alpha1.EnvironmentSpec) {
		s.Objects = raw(map[string]any{"ingest-pipelines": map[string]any{"web": pipeline("a")}})
	})
	b.search.StopNode(0)
	last := time.Duration(0)
	for range 4 {
		got, result := b.look("shop")
		b.is(got, "Reconciling/Unreachable")
		if result.RequeueAfter <= last || result.RequeueAfter > 3*time.Minute {
			t.Errorf("again in %s, after %s", result.RequeueAfter, last)
		}
		last = result.RequeueAfter
		b.clock = b.clock.Add(result.RequeueAfter)
	}
	b.search.StartNode(0)
	got, _ := b.look("shop")
	b.is(got, "Ready/Applied")
	for _, c := range []struct {
		status int
		want   string
	}{{429, "Reconciling/Busy"}, {503, "Reconciling/Busy"}, {401, "Stalled/Forbidden"}, {403, "Stalled/Forbidden"}, {400, "Stalled/Refused"}} {
		b.search.SetHook(func(*osfake.Request) osfake.Fault {
			return osfake.Fault{Status: c.status, Type: "some_exception", Reason: "no"}
		})
		got, _ := b.look("shop")
		b.is(got, c.want)
	}
	b.search.SetHook(nil)
	got, _ = b.look("shop")
	b.is(got, "Ready/Applied")
}

func TestAnApplyThatIsCutShortHasItsRestInTheNextLook(t *testing.T) {
	b := newEnvBed(t)
	b.environment("shop", func(s *v1alpha1.EnvironmentSpec) {
		s.Objects = raw(map[string]any{"ingest-pipelines": map[string]any{"a": pipeline("a"), "b": pipeline("b"), "c": pipeline("c")}})
	})
	n := 0
	b.search.SetHook(func(r *osfake.Request) osfake.Fault {
		if r.Method == http.MethodPut && strings.HasPrefix(r.Path, "/_ingest/pipeline/") {
			if n++; n == 2 {
				return osfake.Fault{Status: 503, Type: "some_exception", Reason: "no time"}
			}
		}
		return osfake.Fault{}
	})
	got, _ := b.look("shop")
	b.is(got, "Reconciling/Busy")
	done := int32(0) // several are changed at a time: those beside the one that failed may be
	for _, name := range []string{"a", "b", "c"} {
		if b.field(name) != "" {
			done++
		}
	}
	if last := got.Status.LastApplied; last == nil || last.Changes != done || done == 0 || done == 3 {
		t.Errorf("%d of 3 are there, last applied: %+v", done, last)
	}
	b.search.SetHook(nil)
	got, _ = b.look("shop")
	b.is(got, "Ready/Applied")
	if b.field("a") != "a" || b.field("b") != "b" || b.field("c") != "c" {
		t.Error("not all is there")
	}
}

func TestTheOperatorThatEndsLeavesAnApplyBetweenTwoChanges(t *testing.T) {
	b := newEnvBed(t)
	objects := map[string]any{}
	const all = 60
	for i := range all {
		objects[fmt.Sprintf("p%02d", i)] = pipeline("a")
	}
	e := b.environment("shop", func(s *v1alpha1.EnvironmentSpec) { s.Objects = raw(map[string]any{"ingest-pipelines": objects}) })
	ctx, cancel := context.WithCancel(t.Context())
	var come, late atomic.Int32 // late: after the end was asked for
	var last string
	b.search.SetHook(func(r *osfake.Request) osfake.Fault {
		if r.Method != http.MethodPut || !strings.HasPrefix(r.Path, "/_ingest/pipeline/p") {
			return osfake.Fault{}
		}
		if ctx.Err() != nil {
			late.Add(1)
		}
		if come.Add(1) == 6 {
			last = path.Base(r.Path)
			cancel()
		}
		return osfake.Fault{}
	})
	b.clock = b.clock.Add(2 * time.Second)
	if _, err := b.r.Reconcile(ctx, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(e)}); err == nil {
		t.Error("a look that was cut short is no error")
	}
	b.search.SetHook(nil)
	done := 0
	for name := range objects {
		if b.field(name) == "a" {
			done++
		}
	}
	const atATime = 8
	if b.field(last) != "a" || done > all/2 || late.Load() >= atATime {
		t.Errorf("it did not end after the changes that were under way: %d of %d are there, %d came after the end", done, all, late.Load())
	}
	b.r = b.operator()
	got, _ := b.look("shop")
	b.is(got, "Ready/Applied")
	for name := range objects {
		if b.field(name) != "a" {
			t.Errorf("the next one did not do %s", name)
		}
	}
}

package operator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/narudata/naru/operator/v1alpha1"
)

// Flows runs Flows: a pipeline as a Deployment, a flow that ends as an Indexed Job.
type Flows struct {
	Client client.Client        // reads from a cache
	Reader client.Reader        // reads from the API server: contents of Secrets and ConfigMaps are not kept
	Pods   kubernetes.Interface // for their logs
	Events events.EventRecorder
	Log    *slog.Logger

	Image    string        // of pods whose Flow names none
	Interval time.Duration // how often pods are asked how far they are
	Keep     time.Duration // how long a revision's configuration is kept at least
	HTTP     *http.Client  // to the pods

	mu        sync.Mutex // guards what follows
	known     map[types.NamespacedName]*flowMemory
	passwords map[string]apiAccess // of pods' APIs, by namespace
}

// flowMemory is what is remembered of a Flow between looks. Nothing of it has to survive: what is not known is done once more.
type flowMemory struct {
	checked  string                // digest of the configuration that was checked last
	wrong    string                // what was found wrong with it; "": nothing
	sent     map[string]sentObject // what was applied last, by kind and name
	measured time.Time             // when the pods were asked last
	silent   int                   // how often in a row none of them answered
	lags     lags                  // what the metrics say
	knew     time.Time             // when all pods said it last
}

// sentObject is an object as it was sent, and what became of it.
type sentObject struct {
	digest     string
	generation int64
}

const (
	measureInterval = 30 * time.Second
	keepRevisions   = 10 * time.Minute
	flowsAtATime    = 8
	goneInterval    = 10 * time.Second
	// configMapIndex finds Flows by the ConfigMap that has their configuration.
	configMapIndex = "configMap"
)

func setupFlows(m manager.Manager, o *Options) error {
	pods, err := kubernetes.NewForConfigAndClient(m.GetConfig(), m.GetHTTPClient())
	if err != nil {
		return err
	}
	r := &Flows{
		Client: m.GetClient(), Reader: m.GetAPIReader(), Pods: pods, Events: m.GetEventRecorder("naru-operator"), Log: o.Log, Image: o.Image,
		Interval: o.Interval, Keep: o.Keep, HTTP: podClient(),
	}
	return r.setup(m)
}

func (r *Flows) setup(m manager.Manager) error {
	r.Interval, r.Keep = cmp.Or(r.Interval, measureInterval), cmp.Or(r.Keep, keepRevisions)
	index := func(o client.Object) []string {
		if p := o.(*v1alpha1.Flow).Spec.Pipeline; p != nil && p.ConfigMapRef != nil {
			return []string{p.ConfigMapRef.Name}
		}
		return nil
	}
	if err := m.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.Flow{}, configMapIndex, index); err != nil {
		return err
	}
	meant := builder.WithPredicates(predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))
	byLabel := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
		if name := o.GetLabels()[v1alpha1.FlowLabel]; name != "" {
			return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: o.GetNamespace(), Name: name}}}
		}
		return nil
	})
	referring := handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []reconcile.Request {
		var flows v1alpha1.FlowList
		if err := r.Client.List(ctx, &flows, client.InNamespace(o.GetNamespace()), client.MatchingFields{configMapIndex: o.GetName()}); err != nil {
			r.Log.Error("flows of a ConfigMap cannot be listed", "configmap", o.GetNamespace()+"/"+o.GetName(), "error", err)
			return nil
		}
		var out []reconcile.Request
		for i := range flows.Items {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&flows.Items[i])})
		}
		return out
	})
	return ctrl.NewControllerManagedBy(m).Named("flow").
		For(&v1alpha1.Flow{}, meant).
		Owns(&appsv1.Deployment{}).
		Owns(&batchv1.Job{}).
		Owns(&policyv1.PodDisruptionBudget{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&corev1.Pod{}, byLabel, builder.WithPredicates(podTurned{})).
		WatchesMetadata(&corev1.ConfigMap{}, referring).
		WithOptions(controller.Options{MaxConcurrentReconciles: flowsAtATime}).
		Complete(r)
}

// podTurned lets those changes of pods through that a Flow's status may say: not each heartbeat.
type podTurned struct{ predicate.Funcs }

// Create says no: the workload's own status follows.
func (podTurned) Create(e event.CreateEvent) bool { return false }

// Update looks whether the pod's phase, or one of its containers, turned.
func (podTurned) Update(e event.UpdateEvent) bool {
	a, aok := e.ObjectOld.(*corev1.Pod)
	b, bok := e.ObjectNew.(*corev1.Pod)
	if !aok || !bok {
		return false
	}
	state := func(p *corev1.Pod) string {
		return fmt.Sprint(p.Status.Phase, podReady(p), p.DeletionTimestamp != nil, trouble([]corev1.Pod{*p}, ""))
	}
	return state(a) != state(b)
}

func podReady(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue })
}

// remembered gives what is known of a Flow. One Flow is looked at by one goroutine at a time.
func (r *Flows) remembered(name types.NamespacedName) *flowMemory {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = map[types.NamespacedName]*flowMemory{}
	}
	if r.known[name] == nil {
		r.known[name] = &flowMemory{sent: map[string]sentObject{}}
	}
	return r.known[name]
}

func (r *Flows) forget(name types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, name)
	unexport(name)
}

// Reconcile makes one Flow's workload what the Flow says, and its status what the workload is.
func (r *Flows) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var f v1alpha1.Flow
	err := r.Client.Get(ctx, req.NamespacedName, &f)
	if apierrors.IsNotFound(err) || err == nil && !f.DeletionTimestamp.IsZero() {
		r.forget(req.NamespacedName) // its children go by their owner references
		return ctrl.Result{}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	l := &look{Flows: r, flow: &f, before: f.DeepCopy(), memory: r.remembered(req.NamespacedName)}
	o, err := l.flowOutcome(ctx)
	if err != nil {
		if gone(err) || ctx.Err() != nil {
			return ctrl.Result{RequeueAfter: goneInterval}, ctx.Err() // the namespace goes, or the operator does
		}
		known, ok := obstacle(err)
		if !ok {
			return ctrl.Result{}, err
		}
		o = known
		o.again = time.Minute // somebody may change something that is not watched: a quota, a policy
	}
	f.Status.ObservedGeneration = f.Generation
	o.write(&f.Status.Conditions, f.Generation)
	if err := r.save(ctx, l.before, &f); err != nil {
		return ctrl.Result{}, err
	}
	r.tell(l.before, &f, &o)
	return ctrl.Result{RequeueAfter: jittered(o.again)}, nil
}

// jittered spreads looks, so that a thousand Flows that began together are not asked together for ever.
func jittered(d time.Duration) time.Duration {
	if d < 10*time.Second {
		return d
	}
	return d + time.Duration(rand.Int64N(int64(d)/5)) //nolint:gosec // no secret
}

// save writes the status if it says something else.
func (r *Flows) save(ctx context.Context, before, f *v1alpha1.Flow) error {
	if equality.Semantic.DeepEqual(before.Status, f.Status) {
		return nil
	}
	err := r.Client.Status().Patch(ctx, f, client.MergeFrom(before), client.FieldOwner(v1alpha1.FieldManager))
	return client.IgnoreNotFound(err)
}

// tell makes an event of a condition that turned.
func (r *Flows) tell(before, f *v1alpha1.Flow, o *outcome) {
	was := func(name string) bool { return holds(before.Status.Conditions, name) }
	kind := corev1.EventTypeNormal
	switch {
	case o.state == ready && !was(v1alpha1.Ready), o.state == suspended && readyReason(before) != reasonSuspended:
	case o.state == stalled && (!was(v1alpha1.Stalled) || readyReason(before) != o.reason):
		kind = corev1.EventTypeWarning
	case o.state == progressing && was(v1alpha1.Ready) && before.Generation == f.Generation && before.Status.ObservedGeneration == f.Generation:
		kind = corev1.EventTypeWarning // it was ready, and nobody asked for anything else
	case o.state == progressing && !was(v1alpha1.Reconciling):
	default:
		return
	}
	r.Events.Eventf(f, nil, kind, o.reason, "Reconcile", "%s", shortened(o.message, mostOfAnEvent))
}

const mostOfAnEvent = 1000

func readyReason(f *v1alpha1.Flow) string {
	for _, c := range f.Status.Conditions {
		if c.Type == v1alpha1.Ready {
			return c.Reason
		}
	}
	return ""
}

// A look is one pass over a Flow.
type look struct {
	*Flows
	flow, before *v1alpha1.Flow
	memory       *flowMemory
	pods         []corev1.Pod
	accepted     string // what was not carried whole, and somebody accepted
}

func (l *look) flowOutcome(ctx context.Context) (outcome, error) {
	if name := secretInTheClear(&l.flow.Spec.PodFields); name != "" {
		return outcome{state: stalled, reason: "SecretInTheClear", message: "env " + name + " looks like a secret and is written out: name a Secret by valueFrom.secretKeyRef"}, nil
	}
	if err := l.list(ctx); err != nil {
		return outcome{}, err
	}
	if l.flow.Spec.Pipeline != nil {
		return l.pipeline(ctx)
	}
	return l.bounded(ctx)
}

// selecting are the labels that select a Flow's pods. They never change: a Deployment's selector cannot.
func (l *look) selecting() map[string]string {
	return map[string]string{v1alpha1.FlowLabel: l.flow.Name}
}

// list finds the Flow's pods.
func (l *look) list(ctx context.Context) error {
	var pods corev1.PodList
	if err := l.Client.List(ctx, &pods, client.InNamespace(l.flow.Namespace), client.MatchingLabels(l.selecting())); err != nil {
		return err
	}
	l.pods = slices.DeleteFunc(pods.Items, func(p corev1.Pod) bool {
		return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	})
	s := &l.flow.Status
	s.Replicas, s.ReadyReplicas, s.Selector = 0, 0, v1alpha1.FlowLabel+"="+l.flow.Name
	for i := range l.pods {
		if l.pods[i].DeletionTimestamp.IsZero() {
			s.Replicas++
			if podReady(&l.pods[i]) {
				s.ReadyReplicas++
			}
		}
	}
	return nil
}

func (l *look) suspended() bool { return l.flow.Spec.Suspend || v1alpha1.Suspended(l.flow) }

func (l *look) replicas() int32 {
	if l.flow.Spec.Replicas == nil {
		return 1
	}
	return *l.flow.Spec.Replicas
}

// send applies a child, unless it is there as it was sent. live is the one that is there; nil: none.
func (l *look) send(ctx context.Context, live, child client.Object) error {
	u, err := applied(l.Client, l.flow, child)
	if err != nil {
		return err
	}
	key := u.GetKind() + "/" + u.GetName()
	sum := digest(u.Object)
	if live != nil {
		if err := own(l.flow, u.GetKind(), live); err != nil {
			return err
		}
		if s := l.memory.sent[key]; s.digest == sum && s.generation == live.GetGeneration() {
			return nil
		}
	} else if err := l.free(ctx, u.GroupVersionKind(), u.GetName()); err != nil {
		return err
	}
	u, err = apply(ctx, l.Client, l.flow, child)
	if err != nil {
		delete(l.memory.sent, key)
		return err
	}
	l.memory.sent[key] = sentObject{sum, u.GetGeneration()}
	return nil
}

// free says whether the name of a child that is to be made is nobody else's. The cache knows only what naru has made, and server-side
// apply would take over what it finds.
func (l *look) free(ctx context.Context, kind schema.GroupVersionKind, name string) error {
	there := metadataOnly(kind)
	err := l.Reader.Get(ctx, types.NamespacedName{Namespace: l.flow.Namespace, Name: name}, there)
	if apierrors.IsNotFound(err) {
		return nil
	}
	return cmp.Or(err, own(l.flow, kind.Kind, there))
}

// find gets a child by name; false: it is not there.
func (l *look) find(ctx context.Context, name string, into client.Object) (bool, error) {
	err := l.Client.Get(ctx, types.NamespacedName{Namespace: l.flow.Namespace, Name: name}, into)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// remove deletes a child, if it is one and is there.
func (l *look) remove(ctx context.Context, o client.Object) error {
	if !metav1.IsControlledBy(o, l.flow) || !o.GetDeletionTimestamp().IsZero() {
		return nil
	}
	uid := o.GetUID()
	err := l.Client.Delete(ctx, o, client.PropagationPolicy(metav1.DeletePropagationBackground), client.Preconditions{UID: &uid})
	if apierrors.IsConflict(err) {
		return nil // another one has that name now
	}
	return client.IgnoreNotFound(err)
}

// configMap names the configuration of a revision.
func (l *look) configMap(revision string) string { return "flow-" + l.flow.Name + "-" + revision }

// keep writes the configuration of a revision, which never changes.
func (l *look) keep(ctx context.Context, revision string, files map[string]string) error {
	name := l.configMap(revision)
	m := &corev1.ConfigMap{}
	m.Name = name
	m.Labels = labelled(nil, l.selecting())
	m.Labels[v1alpha1.RevisionLabel] = revision
	m.Data, m.Immutable = files, new(true)
	u, err := applied(l.Client, l.flow, m)
	if err != nil {
		return err
	}
	key := "ConfigMap/" + name
	if l.memory.sent[key].digest == digest(u.Object) {
		live := metadataOnly(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
		if there, err := l.find(ctx, name, live); err != nil || there {
			return errors.Join(err, own(l.flow, "ConfigMap", live))
		}
	}
	live := &corev1.ConfigMap{}
	err = l.Reader.Get(ctx, types.NamespacedName{Namespace: l.flow.Namespace, Name: name}, live)
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	if err == nil {
		if err := own(l.flow, "ConfigMap", live); err != nil {
			return err
		}
		if !maps.Equal(live.Data, files) {
			return &refusedError{"ConfigMap " + name, errors.New("it does not have what the Flow says, and cannot be changed: delete it")}
		}
	} else if _, err := apply(ctx, l.Client, l.flow, m); err != nil {
		return err
	}
	l.memory.sent[key] = sentObject{digest: digest(u.Object)}
	return nil
}

// sweep deletes configurations of revisions that no pod, ReplicaSet or Job has any more, once they are old enough that none is on its
// way. It says when the next one may be.
func (l *look) sweep(ctx context.Context, present string) (again time.Duration, err error) {
	in := []client.ListOption{client.InNamespace(l.flow.Namespace), client.MatchingLabels(l.selecting())}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMapList"))
	if err := l.Client.List(ctx, list, in...); err != nil {
		return 0, err
	}
	if len(list.Items) <= 1 {
		return 0, nil
	}
	used := map[string]bool{present: true}
	var pods corev1.PodList // those that are over, too: a Job starts others like them
	if err := l.Client.List(ctx, &pods, in...); err != nil {
		return 0, err
	}
	for i := range pods.Items {
		used[pods.Items[i].Labels[v1alpha1.RevisionLabel]] = true
	}
	sets := &metav1.PartialObjectMetadataList{}
	sets.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("ReplicaSetList"))
	if err := l.Client.List(ctx, sets, in...); err != nil {
		return 0, err
	}
	for i := range sets.Items {
		used[sets.Items[i].Labels[v1alpha1.RevisionLabel]] = true
	}
	for i := range list.Items {
		m := &list.Items[i]
		if used[m.Labels[v1alpha1.RevisionLabel]] {
			continue
		}
		if left := l.Keep - time.Since(m.CreationTimestamp.Time); left > 0 {
			if again == 0 || left < again {
				again = left
			}
			continue
		}
		if err := l.remove(ctx, m); err != nil {
			return 0, err
		}
		delete(l.memory.sent, "ConfigMap/"+m.Name)
	}
	return again, nil
}

// sooner is the earlier of two times to look again, of which 0 is never.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

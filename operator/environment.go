package operator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/estate/bridge"
	"github.com/narudata/naru/estate/measure"
	"github.com/narudata/naru/operator/v1alpha1"
)

// CommitAnnotation says which commit of Git an Environment is of. The records of applies say it. Argo CD sets it where an
// Application has kustomize.commonAnnotations {naru.dev/commit: $ARGOCD_APP_REVISION} and commonAnnotationsEnvsubst.
const CommitAnnotation = "naru.dev/commit"

// EnvironmentFinalizer keeps an Environment with deletionPolicy Delete until what it owns is deleted, or cannot be.
const EnvironmentFinalizer = "naru.dev/environment"

// Environments brings systems to what Environments declare. It is a thin caller of package estate: what it does, `naru plan` and
// `naru apply` do with the same files.
type Environments struct {
	Client client.Client // reads from a cache
	Reader client.Reader // reads from the API server: contents of Secrets and ConfigMaps are not kept
	Events events.EventRecorder
	Now    func() time.Time // nil: time.Now

	// BridgeNamespaces are those whose Secrets an Environment of another namespace may name as its bridge.
	BridgeNamespaces []string
	// Interval is how often systems are looked at unless an Environment says it; 0: 5 min.
	Interval time.Duration
	// Gap is the least time between two looks at the same Environment's systems; 0: 1 s.
	Gap time.Duration
	// GiveUp is how long a deletion waits for systems that cannot be reached; 0: 10 min.
	GiveUp time.Duration
	// Parallel is how many Environments are looked at at a time; 0: 4.
	Parallel int

	// Window is how long is measured before and after an apply; 0: 30 s.
	Window time.Duration

	mu        sync.Mutex // guards what follows
	known     map[types.NamespacedName]*acquaintance
	base      context.Context // of what goes on beside looks; nil: nothing does
	measured  int             // Environments that are being measured
	wake      chan event.GenericEvent
	measuring sync.WaitGroup
}

// acquaintance is what is remembered of an Environment between looks. Nothing of it has to survive.
type acquaintance struct {
	looked   time.Time // when the last look at its systems began
	failures int       // in a row
	cluster  string    // its UUID; "": not reached yet
	urls     []string  // of it
	seen     bool      // a look at it has ended
	secret   string    // that the bridge names, beside those of the spec

	measuring bool            // beside looks
	before    *measure.Window // the last one in which nothing was applied
	after     *measured       // of the last apply
}

// Bounds and defaults.
const (
	defaultInterval = 5 * time.Minute
	defaultGap      = time.Second
	defaultGiveUp   = 10 * time.Minute
	defaultParallel = 4
	lookTimeout     = 2 * time.Minute  // to connect, observe and plan
	applyTimeout    = 15 * time.Minute // to apply one plan
	leastBackoff    = 5 * time.Second
	mostBackoff     = 2 * time.Minute
	fewFailures     = 5 // in a row, before somebody is asked to help
)

func (r *Environments) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}

// acquainted gives what is known of an Environment, for f, which must be quick.
func (r *Environments) acquainted(name types.NamespacedName, f func(*acquaintance)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = map[types.NamespacedName]*acquaintance{}
	}
	if r.known[name] == nil {
		r.known[name] = &acquaintance{}
	}
	f(r.known[name])
}

func (r *Environments) forget(name types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, name)
}

// Reconcile looks at one Environment, and changes its systems if they differ and may be changed.
func (r *Environments) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var e v1alpha1.Environment
	if err := r.Client.Get(ctx, req.NamespacedName, &e); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(req.NamespacedName)
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, err
	}
	if !e.DeletionTimestamp.IsZero() {
		before := e.DeepCopy()
		again, err := r.finalize(ctx, &e)
		return ctrl.Result{RequeueAfter: again}, errors.Join(err, r.save(ctx, before, &e))
	}
	if err := r.finalizer(ctx, &e); err != nil { // before anything is there that it is for
		return ctrl.Result{}, err
	}
	before := e.DeepCopy()
	if gone, err := r.expire(ctx, &e); gone || err != nil {
		return ctrl.Result{}, err
	}
	r.writeNumbers(&e)
	o := r.look(ctx, &e)
	if ctx.Err() != nil {
		return ctrl.Result{}, ctx.Err()
	}
	r.conclude(before, &e, &o)
	return ctrl.Result{RequeueAfter: r.until(&e, o.again)}, r.save(ctx, before, &e)
}

// until is when to look again: after d, or when the Environment expires.
func (r *Environments) until(e *v1alpha1.Environment, d time.Duration) time.Duration {
	if at := e.Status.ExpiresAt; at != nil {
		if left := at.Sub(r.now()); d == 0 || left < d {
			return max(left, time.Millisecond)
		}
	}
	return d
}

// conclude writes the outcome into the status, and tells people when it is another one than before.
func (r *Environments) conclude(before, e *v1alpha1.Environment, o *outcome) {
	e.Status.ObservedGeneration = e.Generation
	o.write(&e.Status.Conditions, e.Generation)
	was := readyOf(before.Status.Conditions)
	if was != nil && was.Reason == o.reason && (was.Status == metav1.ConditionTrue) == (o.state == ready) {
		return
	}
	kind := corev1.EventTypeNormal
	if o.state == stalled || o.state == progressing && o.reason != reasonSettling {
		kind = corev1.EventTypeWarning
	}
	r.event(e, kind, o.reason, "Reconcile", o.message)
}

// readyOf gives the condition Ready; nil: there is none yet.
func readyOf(conditions []metav1.Condition) *metav1.Condition {
	return meta.FindStatusCondition(conditions, v1alpha1.Ready)
}

// event tells people something. An event holds 1 kB.
func (r *Environments) event(e *v1alpha1.Environment, kind, reason, action, message string) {
	const longest = 1000
	r.Events.Eventf(e, nil, kind, reason, action, "%s", shortened(message, longest))
}

// save writes the status if it changed.
func (r *Environments) save(ctx context.Context, before, e *v1alpha1.Environment) error {
	if equality.Semantic.DeepEqual(before.Status, e.Status) {
		return nil
	}
	status := e.DeepCopy()
	status.ObjectMeta = *before.ObjectMeta.DeepCopy()
	err := r.Client.Status().Patch(ctx, status, client.MergeFrom(before), client.FieldOwner(v1alpha1.FieldManager))
	return client.IgnoreNotFound(err)
}

// Reasons of Environments.
const (
	reasonApplied     = "Applied"          // ready: the systems have what is declared
	reasonNothing     = "NothingToApply"   // ready: they had it already, and the operator never changed anything
	reasonInvalid     = "InvalidSpec"      // what is declared has mistakes
	reasonMissing     = "MissingReference" // a Secret, a ConfigMap, or a key
	reasonValues      = "MissingValues"    // of the bridge
	reasonConflict    = "Conflict"         // another Environment has it
	reasonRefused     = "Refused"          // a system does not take it
	reasonForbidden   = "Forbidden"        // a system does not let naru do it
	reasonUnreachable = "Unreachable"      // a system does not answer
	reasonBusy        = "Busy"             // a system has no time now
	reasonMoved       = "Moved"            // somebody changes it at the same time
	reasonDiffers     = "Differs"          // mode Plan: it only says so
	reasonSettling    = "Settling"         // each apply finds more to do
	reasonFailed      = "Failed"           // something else
)

// look finds out how the systems differ from what is declared, and applies what may be applied.
func (r *Environments) look(ctx context.Context, e *v1alpha1.Environment) outcome {
	name := client.ObjectKeyFromObject(e)
	if e.Spec.Suspend || v1alpha1.Suspended(e) {
		r.acquainted(name, func(a *acquaintance) {
			a.know(e, nil)
			a.seen = true
		})
		return outcome{state: suspended, reason: reasonSuspended, message: "suspended: nothing is looked at or changed"}
	}
	if wait := r.tooSoon(name); wait > 0 {
		if c := readyOf(e.Status.Conditions); c != nil && c.ObservedGeneration == e.Generation {
			return outcome{stateOf(e.Status.Conditions), c.Reason, c.Message, wait}
		}
		return outcome{progressing, reasonSettling, "looked at a moment ago; again in a second", wait}
	}
	defer r.acquainted(name, func(a *acquaintance) {
		a.know(e, nil)
		a.seen = true
	})
	var target *estate.Target
	o, err := func() (outcome, error) {
		looking, cancel := context.WithTimeout(ctx, lookTimeout)
		defer cancel()
		d, err := r.declare(looking, e)
		if err != nil {
			return outcome{}, &invalidError{err}
		}
		desired, err := d.desired(looking)
		if err != nil {
			return outcome{}, &invalidError{err}
		}
		desired.Commit = estate.Commit{ID: e.Annotations[CommitAnnotation]}
		r.acquainted(name, func(a *acquaintance) {
			a.know(e, desired.Target.URLs)
			a.secret = d.search.secret
		})
		if target, err = desired.Connect(looking, d.getenv); err != nil {
			return outcome{}, err
		}
		target.Flows = &kubeFlows{r.Client, e}
		r.acquainted(name, func(a *acquaintance) { a.cluster = target.Search.Info().UUID })
		if err := r.claim(looking, e, desired); err != nil {
			return outcome{}, err
		}
		o, err := r.settle(ctx, e, desired, target)
		if err == nil && e.Spec.Mode != v1alpha1.PlanMode {
			if next := r.clones(ctx, e, desired, target); next > 0 && (o.again == 0 || next < o.again) {
				o.again = min(next, r.interval(e))
			}
		}
		switch {
		case err != nil:
		case o.applied != "":
			r.measureAfter(e, desired, d.getenv, o.applied)
		case o.state == ready:
			r.measureBefore(e, desired, d.getenv)
		}
		return o.outcome, err
	}()
	if target != nil {
		target.Close()
	}
	e.Status.CheckedAt = &metav1.Time{Time: r.now()}
	if err != nil {
		return r.failed(e, err)
	}
	r.acquainted(name, func(a *acquaintance) { a.failures = 0 })
	if o.again == 0 {
		o.again = r.interval(e)
	}
	return o
}

// stateOf is the state that conditions say.
func stateOf(conditions []metav1.Condition) state {
	for name, s := range map[string]state{v1alpha1.Ready: ready, v1alpha1.Stalled: stalled, v1alpha1.Reconciling: progressing} {
		if holds(conditions, name) {
			return s
		}
	}
	return waiting
}

// tooSoon bounds how often systems are asked, whatever changes how often: 0: it may be looked at now.
func (r *Environments) tooSoon(name types.NamespacedName) (wait time.Duration) {
	gap := r.Gap
	if gap == 0 {
		gap = defaultGap
	}
	now := r.now()
	r.acquainted(name, func(a *acquaintance) {
		if wait = gap - now.Sub(a.looked); wait <= 0 || a.looked.IsZero() {
			wait, a.looked = 0, now
		}
	})
	return wait
}

// interval is the time to the next look, not the same for all, so that a restart does not have all of them at once for ever.
func (r *Environments) interval(e *v1alpha1.Environment) time.Duration {
	d := r.Interval
	if d == 0 {
		d = defaultInterval
	}
	if e.Spec.Interval != nil && e.Spec.Interval.Duration > 0 {
		d = max(e.Spec.Interval.Duration, time.Second)
	}
	return d + time.Duration(rand.Float64()*0.1*float64(d)) //nolint:gosec // spreads load
}

// invalidError is a mistake in what is declared.
type invalidError struct{ error }

func (e *invalidError) Unwrap() error { return e.error }

// conflictError is that another Environment is meant to do the same.
type conflictError struct{ other types.NamespacedName }

func (e *conflictError) Error() string {
	return fmt.Sprintf("the Environment %s has the same environment and estate in the same cluster, and was there first: each would delete what the other declares; give this one another estate, or delete one of them", e.other)
}

// errWait is that another Environment has to be looked at first.
var errWait = errors.New("waits until an older Environment of the same environment and estate was looked at")

// failed says what an error means: whether a person has to do something, or time helps, and when to try again.
func (r *Environments) failed(e *v1alpha1.Environment, err error) outcome {
	var n int
	r.acquainted(client.ObjectKeyFromObject(e), func(a *acquaintance) {
		n = a.failures
		a.failures++
	})
	backoff := mostBackoff
	if n < 10 {
		backoff = min(mostBackoff, leastBackoff<<n)
	}
	backoff += time.Duration(rand.Float64() * 0.2 * float64(backoff)) //nolint:gosec // spreads load
	o := outcome{stalled, reasonInvalid, err.Error(), r.interval(e)}
	status, refused := errors.AsType[*opensearch.StatusError](err)
	_, missing := errors.AsType[*missingError](err)
	_, values := errors.AsType[*bridge.MissingError](err)
	_, invalid := errors.AsType[*invalidError](err)
	_, conflict := errors.AsType[*conflictError](err)
	_, moved := errors.AsType[*estate.MovedError](err)
	kube := apierrors.ReasonForError(err) != metav1.StatusReasonUnknown
	switch {
	case missing:
		o.reason = reasonMissing // its coming calls
	case values:
		o.reason = reasonValues
	case conflict:
		o.reason = reasonConflict
	case invalid && !kube && !unreachable(err):
	case errors.Is(err, errWait):
		o.state, o.reason, o.again = progressing, reasonSettling, time.Second
	case moved:
		o.state, o.reason, o.again = progressing, reasonMoved, leastBackoff
	case refused && (status.Status == 401 || status.Status == 403):
		o.reason, o.again = reasonForbidden, mostBackoff
	case refused && status.Temporary(), refused && status.Status >= 500:
		o.state, o.reason, o.again = progressing, reasonBusy, backoff
	case refused && status.Status == 409:
		o.state, o.reason, o.again = progressing, reasonMoved, leastBackoff
	case refused:
		o.reason = reasonRefused
	case kube:
		o.state, o.reason, o.again = progressing, reasonBusy, backoff
	case unreachable(err):
		o.state, o.reason, o.again = progressing, reasonUnreachable, backoff
	default: // time may help, until it has not
		o.reason, o.again = reasonFailed, backoff
		if n < fewFailures {
			o.state = progressing
		}
	}
	return o
}

// unreachable reports that an error is one of the network, or that an answer took too long.
func unreachable(err error) bool {
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func setupEnvironments(mgr ctrl.Manager, o *Options) error {
	r := &Environments{
		Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("naru-environment"), BridgeNamespaces: o.BridgeNamespaces,
	}
	return errors.Join(mgr.Add(r), r.SetupWithManager(mgr))
}

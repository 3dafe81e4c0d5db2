package operator

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/estate/clone"
	"github.com/narudata/naru/internal/words"
	"github.com/narudata/naru/operator/v1alpha1"
)

// ApproveDeleteAnnotation is what the chart's deletion protection wants of an object that is to be deleted.
const ApproveDeleteAnnotation = "naru.dev/approve-delete"

// finalizer adds the finalizer to an Environment that is to delete what it owns, and takes it from one that is not.
func (r *Environments) finalizer(ctx context.Context, e *v1alpha1.Environment) error {
	before, change := e.DeepCopy(), controllerutil.RemoveFinalizer
	if e.Spec.DeletionPolicy == v1alpha1.DeleteObjects {
		change = controllerutil.AddFinalizer
	}
	if !change(e, EnvironmentFinalizer) {
		return nil
	}
	return r.patchMeta(ctx, before, e)
}

// patchMeta writes what was changed of an object's metadata, if nobody else changed the object in between.
func (r *Environments) patchMeta(ctx context.Context, before, e *v1alpha1.Environment) error {
	err := r.Client.Patch(ctx, e, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), client.FieldOwner(v1alpha1.FieldManager))
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// expire deletes an Environment whose time is over.
func (r *Environments) expire(ctx context.Context, e *v1alpha1.Environment) (gone bool, err error) {
	if e.Spec.TTL == nil {
		e.Status.ExpiresAt = nil
		return false, nil
	}
	at := metav1.NewTime(e.CreationTimestamp.Add(e.Spec.TTL.Duration)).Rfc3339Copy()
	if e.Status.ExpiresAt = &at; r.now().Before(at.Time) {
		return false, nil
	}
	what := "what it declared stays, by its deletionPolicy"
	if e.Spec.DeletionPolicy == v1alpha1.DeleteObjects {
		what = "what it owns is deleted"
	}
	r.event(e, corev1.EventTypeNormal, "Expired", "Expire", fmt.Sprintf("its ttl of %s is over: the Environment is deleted, and %s", e.Spec.TTL.Duration, what))
	if e.Annotations[ApproveDeleteAnnotation] != "true" { // whoever gave it a ttl approved
		before := e.DeepCopy()
		metav1.SetMetaDataAnnotation(&e.ObjectMeta, ApproveDeleteAnnotation, "true")
		if err := r.patchMeta(ctx, before, e); err != nil {
			return true, err
		}
	}
	err = r.Client.Delete(ctx, e, client.Preconditions{UID: &e.UID})
	return true, client.IgnoreNotFound(err)
}

// finalize deletes what an Environment owns that is being deleted, and lets it go. Where that is not possible for too long, or the
// namespace goes and with it the credentials, it lets it go all the same, and says what stays.
func (r *Environments) finalize(ctx context.Context, e *v1alpha1.Environment) (again time.Duration, err error) {
	if !controllerutil.ContainsFinalizer(e, EnvironmentFinalizer) {
		return 0, nil
	}
	if e.Spec.DeletionPolicy != v1alpha1.DeleteObjects {
		return 0, r.release(ctx, e)
	}
	deleting, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	n, failure := r.deleteOwned(deleting, e)
	if failure == nil {
		r.event(e, corev1.EventTypeNormal, "Deleted", "Delete", fmt.Sprintf("%s deleted", words.Count(n, "object")))
		return 0, r.release(ctx, e)
	}
	if ctx.Err() != nil {
		return 0, ctx.Err() // the operator ends; the next one goes on
	}
	patience := r.GiveUp
	if patience == 0 {
		patience = defaultGiveUp
	}
	left := patience - r.now().Sub(e.DeletionTimestamp.Time)
	why := ""
	switch {
	case r.terminating(ctx, e.Namespace):
		why = "its namespace goes"
	case left <= 0:
		why = fmt.Sprintf("it was tried for %s", patience)
	}
	if why != "" {
		message := fmt.Sprintf("what the Environment owns in %s may still be there, as %s, and it cannot be deleted: %v", e.Spec.Environment, why, failure)
		ctrl.LoggerFrom(ctx).Info(message) // a namespace that goes takes no events
		r.event(e, corev1.EventTypeWarning, "GaveUp", "Delete", message)
		return 0, r.release(ctx, e)
	}
	o := r.failed(e, failure)
	o.state, o.message = progressing, fmt.Sprintf("what it owns cannot be deleted yet (given up in %s): %v", left.Round(time.Second), failure)
	r.conclude(e.DeepCopy(), e, &o)
	return min(max(o.again, time.Second), leastBackoff*6, left+time.Second), nil
}

// deleteOwned deletes what the Environment's records say that it owns, and nothing else. Whether its sources and the bridge's values
// are still there does not matter as long as the systems can be reached.
func (r *Environments) deleteOwned(ctx context.Context, e *v1alpha1.Environment) (deleted int, err error) {
	bare := e.DeepCopy()
	bare.Spec.Objects, bare.Spec.Sources, bare.Spec.Limits = nil, nil, nil
	declared, err := r.declare(ctx, bare)
	if err != nil {
		return 0, err
	}
	d, err := declared.desired(ctx)
	if err != nil {
		return 0, err
	}
	t, err := d.Connect(ctx, declared.getenv)
	if err != nil {
		return 0, err
	}
	defer t.Close()
	t.Flows = &kubeFlows{r.Client, e}
	if err := r.claim(ctx, e, d); err != nil {
		if _, conflict := errors.AsType[*conflictError](err); conflict {
			return 0, nil // they are the other's
		}
		return 0, err
	}
	if _, err := r.removeClones(ctx, e, clone.Side{Desired: d, Target: t}, func(*clone.Record) bool { return true }); err != nil {
		return 0, err
	}
	for range mostRounds {
		o, err := estate.Observe(ctx, t, d)
		if err != nil {
			return deleted, err
		}
		p, err := estate.NewPlan(ctx, t, d, o, false, r.now())
		if err != nil || len(p.Changes) == 0 {
			return deleted, err
		}
		if n := p.Problems(); n > 0 {
			return deleted, fmt.Errorf("%s cannot be deleted: %s", words.Count(n, "object"), changesOf(p.Changes))
		}
		run, err := r.apply(ctx, e, t, p, nil)
		if run != nil {
			deleted += run.Done
		}
		if err != nil {
			return deleted, err
		}
	}
	return deleted, errors.New("each deletion left something to delete")
}

// terminating reports that a namespace is being deleted, or gone, as far as the operator may know.
func (r *Environments) terminating(ctx context.Context, name string) bool {
	var ns corev1.Namespace
	err := r.Reader.Get(ctx, types.NamespacedName{Name: name}, &ns)
	return apierrors.IsNotFound(err) || err == nil && !ns.DeletionTimestamp.IsZero()
}

// release lets the Environment go.
func (r *Environments) release(ctx context.Context, e *v1alpha1.Environment) error {
	before := e.DeepCopy()
	controllerutil.RemoveFinalizer(e, EnvironmentFinalizer)
	return r.patchMeta(ctx, before, e)
}

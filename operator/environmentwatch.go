package operator

import (
	"cmp"
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/narudata/naru/operator/v1alpha1"
)

// refersIndex finds the Environments that refer to a Secret or a ConfigMap: KIND/NAMESPACE/NAME.
const refersIndex = "naru.dev/refers"

func refersTo(kind, namespace, name string) string { return kind + "/" + namespace + "/" + name }

// environmentRefers lists what an Environment refers to.
func environmentRefers(o client.Object) []string {
	e, ok := o.(*v1alpha1.Environment)
	if !ok {
		return nil
	}
	var refs []string
	secret := func(ref *v1alpha1.SecretRef) {
		if ref != nil {
			refs = append(refs, refersTo("Secret", e.Namespace, ref.Name))
		}
	}
	tls := func(t *v1alpha1.TLSFields) {
		if t == nil {
			return
		}
		secret(t.CertSecretRef)
		if t.CASecretRef != nil {
			refs = append(refs, refersTo("Secret", e.Namespace, t.CASecretRef.Name))
		}
		if t.CAConfigMapRef != nil {
			refs = append(refs, refersTo("ConfigMap", e.Namespace, t.CAConfigMapRef.Name))
		}
	}
	if t := e.Spec.Target; t != nil {
		tls(t.TLS)
		if t.Auth != nil {
			secret(t.Auth.SecretRef)
		}
	}
	if t := e.Spec.Kafka; t != nil {
		tls(t.TLS)
		if t.SASL != nil {
			secret(t.SASL.SecretRef)
		}
	}
	if t := e.Spec.Dashboards; t != nil {
		tls(t.TLS)
		if t.Auth != nil {
			secret(t.Auth.SecretRef)
		}
	}
	if b := e.Spec.Bridge; b != nil {
		refs = append(refs, refersTo("Secret", cmp.Or(b.SecretRef.Namespace, e.Namespace), b.SecretRef.Name))
	}
	for _, s := range e.Spec.Sources {
		refs = append(refs, refersTo("ConfigMap", e.Namespace, s.ConfigMapRef.Name))
	}
	return refs
}

// SetupWithManager has the manager call Reconcile: when an Environment's spec or annotations change, when a Secret or a ConfigMap does
// that it refers to, and when a Flow of its namespace does. Of Secrets and ConfigMaps only the metadata are kept in memory.
func (r *Environments) SetupWithManager(mgr ctrl.Manager) error {
	if err := mgr.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.Environment{}, refersIndex, environmentRefers); err != nil {
		return fmt.Errorf("index Environments: %w", err)
	}
	changed := predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})
	return ctrl.NewControllerManagedBy(mgr).
		Named("environment").
		For(&v1alpha1.Environment{}, builder.WithPredicates(changed)).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.referring("Secret")), builder.WithPredicates(predicate.ResourceVersionChangedPredicate{})).
		WatchesMetadata(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(r.referring("ConfigMap")), builder.WithPredicates(predicate.ResourceVersionChangedPredicate{})).
		Watches(&v1alpha1.Environment{}, handler.EnqueueRequestsFromMapFunc(r.rivals), builder.WithPredicates(predicate.Funcs{
			CreateFunc: func(event.CreateEvent) bool { return false },
			UpdateFunc: func(event.UpdateEvent) bool { return false },
			DeleteFunc: func(event.DeleteEvent) bool { return true },
		})).
		WatchesRawSource(source.Channel(r.wakes(), &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: cmp.Or(r.Parallel, defaultParallel)}).
		Complete(r)
}

// referring finds the Environments that refer to an object of the kind.
func (r *Environments) referring(kind string) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		var list v1alpha1.EnvironmentList
		err := r.Client.List(ctx, &list, client.MatchingFields{refersIndex: refersTo(kind, o.GetNamespace(), o.GetName())})
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "find who refers to an object", "kind", kind, "name", o.GetName())
			return nil
		}
		requests := make([]reconcile.Request, 0, len(list.Items))
		for i := range list.Items {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
		if kind != "Secret" {
			return requests
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for name, a := range r.known {
			if name.Namespace == o.GetNamespace() && a.secret == o.GetName() {
				requests = append(requests, reconcile.Request{NamespacedName: name})
			}
		}
		return requests
	}
}

// rivals finds the Environments that may have waited for one that is gone.
func (r *Environments) rivals(ctx context.Context, o client.Object) []reconcile.Request {
	gone, ok := o.(*v1alpha1.Environment)
	if !ok {
		return nil
	}
	var list v1alpha1.EnvironmentList
	if err := r.Client.List(ctx, &list); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "find Environments that waited for another")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		e := &list.Items[i]
		if e.UID != gone.UID && e.Spec.Environment == gone.Spec.Environment && estateOf(e) == estateOf(gone) {
			requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: e.Namespace, Name: e.Name}})
		}
	}
	return requests
}

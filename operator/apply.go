package operator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/narudata/naru/operator/v1alpha1"
)

// Labels of everything that the operator makes.
const (
	managedByLabel = "app.kubernetes.io/managed-by"
	managedBy      = "naru"
	nameLabel      = "app.kubernetes.io/name"
	instanceLabel  = "app.kubernetes.io/instance"
)

// A refusedError is what the API server will not take, whoever asks again: it stays until somebody changes something.
type refusedError struct {
	what string
	err  error
}

func (e *refusedError) Error() string { return e.what + ": " + e.err.Error() }
func (e *refusedError) Unwrap() error { return e.err }

// apply writes child as a child of owner by server-side apply: the fields that are set become so, whoever set them before, and those
// that were set by naru and are not any more go. It returns what is there then.
func apply(ctx context.Context, c client.Client, owner, child client.Object) (*unstructured.Unstructured, error) {
	u, err := applied(c, owner, child)
	if err != nil {
		return nil, err
	}
	what := u.GetKind() + " " + u.GetName()
	err = c.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(v1alpha1.FieldManager), client.ForceOwnership)
	switch {
	case err == nil:
		return u, nil
	case apierrors.IsInvalid(err), apierrors.IsForbidden(err) && !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err):
		return nil, &refusedError{what, err}
	}
	return nil, fmt.Errorf("apply %s: %w", what, err)
}

// applied is child as it is sent: with its kind and its owner, without what is not set.
func applied(c client.Client, owner, child client.Object) (*unstructured.Unstructured, error) {
	kind, err := apiutil.GVKForObject(child, c.Scheme())
	if err != nil {
		return nil, err
	}
	ownerKind, err := apiutil.GVKForObject(owner, c.Scheme())
	if err != nil {
		return nil, err
	}
	child.SetOwnerReferences([]metav1.OwnerReference{*metav1.NewControllerRef(owner, ownerKind)})
	child.SetNamespace(owner.GetNamespace())
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(child)
	if err != nil {
		return nil, err
	}
	delete(fields, "status")
	unset(fields)
	u := &unstructured.Unstructured{Object: fields}
	u.SetGroupVersionKind(kind)
	return u, nil
}

// unset takes away what Go writes for fields that nobody set: nulls, and empty structs that have no omitempty.
func unset(fields map[string]any) {
	for name, v := range fields {
		switch v := v.(type) {
		case nil:
			delete(fields, name)
		case map[string]any:
			unset(v)
			if len(v) == 0 && (name == "resources" || name == "strategy" || name == "template" || name == "metadata") {
				delete(fields, name)
			}
		case []any:
			for _, e := range v {
				if m, ok := e.(map[string]any); ok {
					unset(m)
				}
			}
		}
	}
}

// digest is a short name of a value.
func digest(values ...any) string {
	h := sha256.New()
	for _, v := range values {
		text, err := json.Marshal(v)
		if err != nil {
			panic("BUG: " + err.Error())
		}
		fmt.Fprintf(h, "%d\n", len(text))
		h.Write(text)
	}
	return hex.EncodeToString(h.Sum(nil))[:revisionLength]
}

// revisionLength is that of a revision's name. Names of Jobs are NAME-REVISION, and of their pods' hosts NAME-REVISION-INDEX.
const revisionLength = 8

// A notOursError is that a name is taken by something that is not a child of the object.
type notOursError struct{ kind, name string }

func (e *notOursError) Error() string {
	return fmt.Sprintf("there is a %s %s which is not of this object: rename one of them", e.kind, e.name)
}

// own says whether o, which was found by name, is a child of owner.
func own(owner client.Object, kind string, o client.Object) error {
	if metav1.IsControlledBy(o, owner) {
		return nil
	}
	return &notOursError{kind, o.GetName()}
}

// gone reports an error that only says that the thing, or its namespace, is not there any more.
func gone(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

// obstacle is what err means for an object that waits for it; ok is false for an error after which one tries again.
func obstacle(err error) (o outcome, ok bool) {
	if e, is := errors.AsType[*refusedError](err); is {
		return outcome{state: stalled, reason: "Refused", message: plain(e.Error())}, true
	}
	if e, is := errors.AsType[*notOursError](err); is {
		return outcome{state: stalled, reason: "NameTaken", message: e.Error()}, true
	}
	return outcome{}, false
}

// plain puts a message into one line.
func plain(s string) string { return strings.Join(strings.Fields(s), " ") }

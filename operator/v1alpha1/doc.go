// Package v1alpha1 has the kinds that naru's operator reconciles: Flow, Migration and Environment of the API group naru.dev.
//
// The types are the source of the custom resource definitions in deploy/charts/naru-crds/templates and of the deep copies beside
// them; `make generate` writes both. Bodies of other systems (flow files, objects of OpenSearch and Kafka) are free JSON, which
// naru validates against the system that it is for. All that validation rules look at is bounded, so that their estimated cost
// stays within what the API server allows.
//
// Status follows kstatus: Ready is True when what was meant is there and verified, Reconciling while it is on the way, Stalled when
// it cannot come without somebody's help. A condition that does not hold is False or absent.
//
// +kubebuilder:object:generate=true
// +groupName=naru.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion of the kinds.
var GroupVersion = schema.GroupVersion{Group: "naru.dev", Version: "v1alpha1"}

// AddToScheme lets clients with the scheme read and write the kinds.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion, &Flow{}, &FlowList{}, &Migration{}, &MigrationList{}, &Environment{}, &EnvironmentList{})
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}

// Conditions. The first three are kstatus's.
const (
	Ready       = "Ready"
	Reconciling = "Reconciling"
	Stalled     = "Stalled"
	Verified    = "Verified" // of a Migration: what arrived was compared with what was read
	CutOver     = "CutOver"  // of a Migration: the aliases point at the new indices
	Drifted     = "Drifted"  // of an Environment: somebody changed what was applied
)

// Annotations by which people and Argo CD's actions ask for something. They are not in Git, so that nothing puts them back.
const (
	ApproveCutoverAnnotation = "naru.dev/approve-cutover" // "true": a Migration may switch its aliases
	ApprovePlanAnnotation    = "naru.dev/approve-plan"    // the id of the plan that an Environment may apply
	SuspendedAnnotation      = "naru.dev/suspended"       // "true": as spec.suspend
	ReconcileAtAnnotation    = "naru.dev/reconcile-at"    // any text: when it changes, the object is looked at once more
)

// Labels of what the operator makes.
const (
	FlowLabel      = "naru.dev/flow"      // name of the Flow
	MigrationLabel = "naru.dev/migration" // name of the Migration
	RevisionLabel  = "naru.dev/revision"  // hash of the configuration that pods run
)

// FieldManager is who the operator is in server-side apply.
const FieldManager = "naru"

// Suspended reports whether a person asked to suspend the object by its annotation.
func Suspended(o metav1.Object) bool { return o.GetAnnotations()[SuspendedAnnotation] == "true" }

// A SecretRef names a Secret of the same namespace.
type SecretRef struct {
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// A KeyRef names one key of a Secret or ConfigMap of the same namespace.
type KeyRef struct {
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key"`
}

// A ConfigMapRef names a ConfigMap of the same namespace.
type ConfigMapRef struct {
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

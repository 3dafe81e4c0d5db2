package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A Migration carries indices to a target, compares them, and switches aliases over when it may.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=naru,shortName=nmig
// +kubebuilder:metadata:annotations="helm.sh/resource-policy=keep"
// +kubebuilder:printcolumn:name=Phase,type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name=Ready,type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name=Verified,type=string,JSONPath=`.status.conditions[?(@.type=="Verified")].status`
// +kubebuilder:printcolumn:name=Parts,type=integer,JSONPath=`.status.progress.parts.total`
// +kubebuilder:printcolumn:name=Done,type=integer,JSONPath=`.status.progress.parts.done`
// +kubebuilder:printcolumn:name=Dead,type=integer,JSONPath=`.status.progress.records.deadLetters`,priority=1
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 48",message="the name has more than 48 characters: those of its Jobs and pods are longer"
// +kubebuilder:validation:XValidation:rule="!self.metadata.name.contains('.')",message="the name has a dot: names of pods are made of it"
type Migration struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              MigrationSpec `json:"spec"`
	// +optional
	Status MigrationStatus `json:"status,omitempty"`
}

// MigrationSpec is what a Migration shall do.
//
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.cutover) || !has(self.cutover) || !has(oldSelf.cutover.aliases) || has(self.cutover.aliases)",message="aliases that were declared stay declared: make another Migration"
type MigrationSpec struct {
	// Where records come from: a source as in flow files.
	// +kubebuilder:validation:Type=object
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=1
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="the source of a Migration is what it was begun with: make another Migration"
	From apiextensionsv1.JSON `json:"from"`
	// Where they go: a sink as in flow files.
	// +kubebuilder:validation:Type=object
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=1
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="the target of a Migration is what it was begun with: make another Migration"
	To apiextensionsv1.JSON `json:"to"`
	// What happens to records on the way: stages as in flow files.
	// +kubebuilder:validation:MaxItems=32
	// +listType=atomic
	// +optional
	Stages []Object `json:"stages,omitempty"`
	// Patterns of index names like logs-*; one that begins with - or ! excludes, the last that matches decides; all without it.
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	// +listType=atomic
	// +optional
	Indices []string `json:"indices,omitempty"`
	// How many pods share the parts.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	// +kubebuilder:default=1
	// +optional
	Parallelism *int32 `json:"parallelism,omitempty"`
	// Read back what was written, and compare.
	// +kubebuilder:default=true
	// +optional
	Verify *bool `json:"verify,omitempty"`
	// No pods, until it is false again; then it goes on where it was.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
	// +optional
	Cutover *Cutover `json:"cutover,omitempty"`
	// +optional
	Template PodFields `json:"template,omitempty"`
}

// An Object is a JSON object of a form that the API server does not know.
// +kubebuilder:validation:Type=object
// +kubebuilder:pruning:PreserveUnknownFields
type Object struct {
	apiextensionsv1.JSON `json:",inline"`
}

// Cutover says how readers and writers get to the new indices.
type Cutover struct {
	// Manual waits for the annotation naru.dev/approve-cutover: "true".
	// +kubebuilder:validation:Enum=Manual;Automatic
	// +kubebuilder:default=Manual
	// +optional
	Approval CutoverApproval `json:"approval,omitempty"`
	// Aliases, and a pattern of the indices that each shall have then.
	// +kubebuilder:validation:MaxProperties=64
	// +optional
	Aliases map[string]IndexPattern `json:"aliases,omitempty"`
}

// A CutoverApproval says who decides.
type CutoverApproval string

// The approvals.
const (
	ManualCutover    CutoverApproval = "Manual"
	AutomaticCutover CutoverApproval = "Automatic"
)

// An IndexPattern is a pattern of names like logs-*.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=255
type IndexPattern string

// A MigrationPhase is how far a Migration has come.
// +kubebuilder:validation:Enum=Pending;Planning;Carrying;Verifying;AwaitingApproval;CuttingOver;Completed;Suspended;Failed
type MigrationPhase string

// The phases.
const (
	MigrationPending          MigrationPhase = "Pending"
	MigrationPlanning         MigrationPhase = "Planning"
	MigrationCarrying         MigrationPhase = "Carrying"
	MigrationVerifying        MigrationPhase = "Verifying"
	MigrationAwaitingApproval MigrationPhase = "AwaitingApproval"
	MigrationCuttingOver      MigrationPhase = "CuttingOver"
	MigrationCompleted        MigrationPhase = "Completed"
	MigrationSuspended        MigrationPhase = "Suspended"
	MigrationFailed           MigrationPhase = "Failed"
)

// MigrationStatus is how far a Migration has come.
type MigrationStatus struct {
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// +optional
	Phase MigrationPhase `json:"phase,omitempty"`
	// Ready: all indices arrived, were compared, and the aliases that were asked for are switched.
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// +optional
	Plan *MigrationPlan `json:"plan,omitempty"`
	// +optional
	Progress *MigrationProgress `json:"progress,omitempty"`
	// +optional
	Verification *Verification `json:"verification,omitempty"`
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`
}

// MigrationPlan is what was found at the source.
type MigrationPlan struct {
	// +optional
	Indices int64 `json:"indices"`
	// +optional
	Parts int64 `json:"parts"`
	// +optional
	Records int64 `json:"records"`
	// +optional
	Bytes int64 `json:"bytes"`
}

// MigrationProgress is what was carried, as the ledger has it.
type MigrationProgress struct {
	// +optional
	Parts Parts `json:"parts"`
	// +optional
	Records Records `json:"records"`
	// +optional
	Pods int32 `json:"pods,omitempty"`
	// +optional
	MeasuredAt *metav1.Time `json:"measuredAt,omitempty"`
}

// Verification is what the comparison found.
type Verification struct {
	// +optional
	Compared int64 `json:"compared"`
	// +optional
	Missing int64 `json:"missing"`
	// +optional
	Different int64 `json:"different"`
	// Indices that are not the same, some of them.
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=255
	// +listType=atomic
	// +optional
	Indices []string `json:"indices,omitempty"`
	// +optional
	At *metav1.Time `json:"at,omitempty"`
}

// MigrationList is a list of Migrations.
// +kubebuilder:object:root=true
type MigrationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Migration `json:"items"`
}

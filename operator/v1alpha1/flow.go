package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A Flow moves records: a Logstash configuration without an end, which runs as a Deployment, or a flow file with an end, which runs
// as an Indexed Job whose pods share the parts.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.replicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:resource:categories=naru,shortName=nflow
// +kubebuilder:metadata:annotations="helm.sh/resource-policy=keep"
// +kubebuilder:printcolumn:name=Ready,type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name=Why,type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name=Pods,type=integer,JSONPath=`.status.readyReplicas`
// +kubebuilder:printcolumn:name=Of,type=integer,JSONPath=`.spec.replicas`
// +kubebuilder:printcolumn:name=Lag,type=integer,JSONPath=`.status.lag.records`
// +kubebuilder:printcolumn:name=Parts,type=integer,JSONPath=`.status.parts.total`,priority=1
// +kubebuilder:printcolumn:name=Done,type=integer,JSONPath=`.status.parts.done`,priority=1
// +kubebuilder:printcolumn:name=Dead,type=integer,JSONPath=`.status.records.deadLetters`,priority=1
// +kubebuilder:printcolumn:name=Revision,type=string,JSONPath=`.status.revision`,priority=1
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 48",message="the name has more than 48 characters: those of its ConfigMaps and pods are longer"
// +kubebuilder:validation:XValidation:rule="!self.metadata.name.contains('.')",message="the name has a dot: names of pods are made of it"
type Flow struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              FlowSpec `json:"spec"`
	// +optional
	Status FlowStatus `json:"status,omitempty"`
}

// FlowSpec is what a Flow shall be.
//
// +kubebuilder:validation:XValidation:rule="has(self.pipeline) != has(self.flow)",message="exactly one of pipeline (a Logstash configuration) and flow (a flow file) must be there"
// +kubebuilder:validation:XValidation:rule="has(self.pipeline) == has(oldSelf.pipeline)",message="a pipeline cannot become a flow, nor the other way round: make another Flow"
// +kubebuilder:validation:XValidation:rule="!has(self.flow) || self.workload == 'Deployment'",message="workload Rollout is for pipelines: a flow that ends runs as a Job"
// +kubebuilder:validation:XValidation:rule="!has(self.flow) || !has(self.route)",message="a route is for pipelines"
type FlowSpec struct {
	// A Logstash configuration.
	// +optional
	Pipeline *Pipeline `json:"pipeline,omitempty"`
	// A flow file's content: source, stages, sink, options.
	// +kubebuilder:validation:Type=object
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	Flow *apiextensionsv1.JSON `json:"flow,omitempty"`
	// How many pods. More than a topic has partitions, or a flow has parts, is of no use.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	// +kubebuilder:default=1
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`
	// What runs a pipeline. With Rollout the Deployment has no pods of its own: an Argo Rollout names it by workloadRef.
	// +kubebuilder:validation:Enum=Deployment;Rollout
	// +kubebuilder:default=Deployment
	// +optional
	Workload Workload `json:"workload,omitempty"`
	// No pods, until it is false again. What was read is written before they end.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
	// How a canary and the stable version share a topic.
	// +optional
	Route *Route `json:"route,omitempty"`

	PodFields `json:",inline"`
}

// A Workload says what runs a pipeline's pods.
type Workload string

// The workloads.
const (
	Deployment Workload = "Deployment"
	Rollout    Workload = "Rollout"
)

// A Pipeline is a Logstash configuration.
//
// +kubebuilder:validation:XValidation:rule="has(self.config) != has(self.configMapRef)",message="exactly one of config and configMapRef must be there"
type Pipeline struct {
	// The configuration. Secrets are ${NAME} of the environment.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=524288
	// +optional
	Config string `json:"config,omitempty"`
	// A key of a ConfigMap that has it. Its text at the time counts: a change makes a new revision.
	// +optional
	ConfigMapRef *KeyRef `json:"configMapRef,omitempty"`
	// Settings by Logstash's names: pipeline.workers, pipeline.batch.size, queue.type and others.
	// +kubebuilder:validation:MaxProperties=64
	// +optional
	Settings map[string]SettingValue `json:"settings,omitempty"`
}

// A SettingValue is a setting's text.
// +kubebuilder:validation:MaxLength=4096
type SettingValue string

// A Route is a Kafka group that a canary and the stable version of a pipeline share.
type Route struct {
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=249
	Group string `json:"group"`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=249
	Topic string `json:"topic"`
}

// FlowStatus is what a Flow is.
type FlowStatus struct {
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Ready: the pods of the present revision are; of a flow that ends, every part has arrived and was compared.
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Hash of the configuration that the workload has now; the ConfigMap is flow-NAME-REVISION.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Revision string `json:"revision,omitempty"`
	// Pods there are, of all revisions.
	// +optional
	Replicas int32 `json:"replicas,omitempty"`
	// +optional
	ReadyReplicas int32 `json:"readyReplicas,omitempty"`
	// Selects the pods, for autoscalers.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Selector string `json:"selector,omitempty"`
	// How far a pipeline is behind its topics.
	// +optional
	Lag *Lag `json:"lag,omitempty"`
	// What the pods that there are have moved since they began.
	// +optional
	Records *Records `json:"records,omitempty"`
	// Parts of a flow that ends.
	// +optional
	Parts *Parts `json:"parts,omitempty"`
	// When lag, records and parts were looked at.
	// +optional
	MeasuredAt *metav1.Time `json:"measuredAt,omitempty"`
}

// Lag is what waits.
type Lag struct {
	// +optional
	Records int64 `json:"records"`
	// Age of the oldest record that waits, where that is known.
	// +optional
	Seconds *int64 `json:"seconds,omitempty"`
}

// Records are counts.
type Records struct {
	// +optional
	Read int64 `json:"read"`
	// +optional
	Delivered int64 `json:"delivered"`
	// +optional
	DeadLetters int64 `json:"deadLetters"`
}

// Parts are counts of the pieces that a source is cut into.
type Parts struct {
	// +optional
	Total int64 `json:"total"`
	// +optional
	Done int64 `json:"done"`
}

// FlowList is a list of Flows.
// +kubebuilder:object:root=true
type FlowList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Flow `json:"items"`
}

package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// An Environment is what one environment's systems are to have beside their data: templates, policies, pipelines, topics, roles.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=naru,shortName=nenv
// +kubebuilder:metadata:annotations="helm.sh/resource-policy=keep"
// +kubebuilder:printcolumn:name=Environment,type=string,JSONPath=`.spec.environment`
// +kubebuilder:printcolumn:name=Ready,type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name=Why,type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name=Drifted,type=string,JSONPath=`.status.conditions[?(@.type=="Drifted")].status`
// +kubebuilder:printcolumn:name=Plan,type=string,JSONPath=`.status.plan.id`,priority=1
// +kubebuilder:printcolumn:name=Risk,type=string,JSONPath=`.status.plan.risk`
// +kubebuilder:printcolumn:name=Summary,type=string,JSONPath=`.status.plan.summary`,priority=1
// +kubebuilder:printcolumn:name=Applied,type=date,JSONPath=`.status.lastApplied.at`
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type Environment struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              EnvironmentSpec `json:"spec"`
	// +optional
	Status EnvironmentStatus `json:"status,omitempty"`
}

// EnvironmentSpec is what an environment shall be.
//
// +kubebuilder:validation:XValidation:rule="self.environment == oldSelf.environment",message="the name of an environment stays: its records are under it"
// +kubebuilder:validation:XValidation:rule="has(self.estate) == has(oldSelf.estate) && (!has(self.estate) || self.estate == oldSelf.estate)",message="the estate stays: it says what this Environment owns"
type EnvironmentSpec struct {
	// The environment's name: prod, staging, dev.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-zA-Z0-9]([-_.a-zA-Z0-9]*[a-zA-Z0-9])?$`
	Environment string `json:"environment"`
	// Who owns the objects in the systems' records; the environment's name without it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Estate string `json:"estate,omitempty"`
	// The OpenSearch cluster.
	// +optional
	Target *SearchTarget `json:"target,omitempty"`
	// The Kafka cluster.
	// +optional
	Kafka *KafkaTarget `json:"kafka,omitempty"`
	// OpenSearch Dashboards.
	// +optional
	Dashboards *DashboardsTarget `json:"dashboards,omitempty"`
	// Values for ${name} in bodies and in the targets above, of any JSON type.
	// +kubebuilder:validation:Type=object
	// +kubebuilder:validation:MaxProperties=256
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	Variables *apiextensionsv1.JSON `json:"variables,omitempty"`
	// More values, from what Terraform knows; variables above count first.
	// +optional
	Bridge *Bridge `json:"bridge,omitempty"`
	// What is declared here: by kind (index-templates, say) and name, the system's own JSON.
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	Objects *apiextensionsv1.JSON `json:"objects,omitempty"`
	// What is declared in ConfigMaps: keys are NAME.json, NAME.yaml, NAME.patch.json. Later ones go over earlier ones.
	// +kubebuilder:validation:MaxItems=128
	// +listType=atomic
	// +optional
	Sources []ObjectSource `json:"sources,omitempty"`
	// Apply changes what differs, Plan only says it.
	// +kubebuilder:validation:Enum=Apply;Plan
	// +kubebuilder:default=Apply
	// +optional
	Mode EnvironmentMode `json:"mode,omitempty"`
	// Which plans wait for the annotation naru.dev/approve-plan: PLAN.
	// +optional
	Approval *PlanApproval `json:"approval,omitempty"`
	// +optional
	Drift *DriftPolicy `json:"drift,omitempty"`
	// What becomes of the objects when the Environment is deleted: Orphan leaves them, Delete takes away what it owns.
	// +kubebuilder:validation:Enum=Orphan;Delete
	// +kubebuilder:default=Orphan
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
	// How often the systems are looked at; 5m without it.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^([0-9]{1,6}(\.[0-9]{1,9})?h)?([0-9]{1,7}(\.[0-9]{1,9})?m)?([0-9]{1,9}(\.[0-9]{1,9})?s)?([0-9]{1,9}(\.[0-9]{1,9})?ms)?$`
	// +optional
	Interval *metav1.Duration `json:"interval,omitempty"`
	// How long the environment lives from its creation on; for ever without it. Then it is deleted.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^([0-9]{1,6}(\.[0-9]{1,9})?h)?([0-9]{1,7}(\.[0-9]{1,9})?m)?([0-9]{1,9}(\.[0-9]{1,9})?s)?([0-9]{1,9}(\.[0-9]{1,9})?ms)?$`
	// +optional
	TTL *metav1.Duration `json:"ttl,omitempty"`
	// What the environment may have at most: limits as in env.yaml.
	// +kubebuilder:validation:Type=object
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	Limits *apiextensionsv1.JSON `json:"limits,omitempty"`
	// How old indices of a pattern are meant to become: {"logs-*": "30d"}. ISM policies do it; where those that are declared say something
	// else, status.plan.notes has it.
	// +kubebuilder:validation:MaxProperties=128
	// +optional
	Retention map[string]Age `json:"retention,omitempty"`
	// Which share of the records flows take: the first stage of each declared flow that has no sample of its own.
	// +optional
	Sampling *Sampling `json:"sampling,omitempty"`
	// What flows make unrecognizable: the first stage, behind sampling, of each declared flow that has no mask of its own.
	// +optional
	Masking *Masking `json:"masking,omitempty"`
	// What an apply does about ISM beside the policies.
	// +optional
	ISM *ISMSettings `json:"ism,omitempty"`
	// How applies are measured.
	// +optional
	Measure *MeasureSettings `json:"measure,omitempty"`
	// Nothing is changed, until it is false again.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// An Age is a time like 30d or 12h, or a variable.
// +kubebuilder:validation:MaxLength=255
// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(micros|nanos|ms|s|m|h|d)|\$\{[A-Za-z_][A-Za-z0-9_.-]*\})$`
type Age string

// Sampling is a share of the records.
type Sampling struct {
	// 1%, or 0.01, or a variable.
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?%?|\$\{[A-Za-z_][A-Za-z0-9_.-]*\})$`
	Rate string `json:"rate"`
	// Path of a field like trace.id: all records with one value of it are taken, or none; without it they go by their ids.
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="!self.contains('*')",message="by names one field"
	// +optional
	By string `json:"by,omitempty"`
}

// Masking is a list of fields whose values are replaced by pseudonyms: equal ones by equal ones.
type Masking struct {
	// Paths like user.email.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	// +listType=atomic
	Fields []string `json:"fields"`
	// The file that holds the key in the pods of flows, on a volume that these mount; without it the key is in their variable
	// NARU_MASK_KEY.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	KeyFile string `json:"keyFile,omitempty"`
}

// ISMSettings say what an apply does about ISM beside the policies.
type ISMSettings struct {
	// Indices get the new version of a policy that manages them when an apply changes it.
	// +optional
	ChangeManaged bool `json:"changeManaged,omitempty"`
}

// MeasureSettings say how applies are measured.
type MeasureSettings struct {
	// How long the cluster is sampled before an apply; half a minute without it.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^([0-9]{1,6}(\.[0-9]{1,9})?h)?([0-9]{1,7}(\.[0-9]{1,9})?m)?([0-9]{1,9}(\.[0-9]{1,9})?s)?([0-9]{1,9}(\.[0-9]{1,9})?ms)?$`
	// +optional
	Before *metav1.Duration `json:"before,omitempty"`
	// How long after it.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^([0-9]{1,6}(\.[0-9]{1,9})?h)?([0-9]{1,7}(\.[0-9]{1,9})?m)?([0-9]{1,9}(\.[0-9]{1,9})?s)?([0-9]{1,9}(\.[0-9]{1,9})?ms)?$`
	// +optional
	After *metav1.Duration `json:"after,omitempty"`
	// Applies are not measured. (env.yaml calls it off, which is no key but false for YAML in Kubernetes.)
	// +optional
	Disabled bool `json:"disabled,omitempty"`
}

// TLSFields say which certificates count.
type TLSFields struct {
	// PEM of the authorities that vouch for the servers, in a Secret; without it the image's.
	// +optional
	CASecretRef *KeyRef `json:"caSecretRef,omitempty"`
	// The same, in a ConfigMap.
	// +optional
	CAConfigMapRef *KeyRef `json:"caConfigMapRef,omitempty"`
	// A Secret with naru's own certificate, of type kubernetes.io/tls: tls.crt and tls.key.
	// +optional
	CertSecretRef *SecretRef `json:"certSecretRef,omitempty"`
	// Do not check the certificate: anyone can read and change what is said.
	// +optional
	Insecure bool `json:"insecure,omitempty"`
}

// Auth says who asks an OpenSearch cluster or OpenSearch Dashboards.
type Auth struct {
	// A Secret with the keys username and password.
	// +optional
	SecretRef *SecretRef `json:"secretRef,omitempty"`
	// Sign requests for this AWS service: es (Amazon OpenSearch Service) or aoss (Serverless).
	// +kubebuilder:validation:Enum=es;aoss
	// +optional
	SigV4 string `json:"sigv4,omitempty"`
	// AWS region for sigv4; without it the operator's own.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Region string `json:"region,omitempty"`
}

// A SearchTarget is an OpenSearch cluster.
type SearchTarget struct {
	// Nodes like https://node-1:9200; ${name} is a variable.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=2048
	// +listType=atomic
	URLs []string `json:"urls"`
	// +optional
	TLS *TLSFields `json:"tls,omitempty"`
	// +optional
	Auth *Auth `json:"auth,omitempty"`
}

// A KafkaTarget is a Kafka cluster.
type KafkaTarget struct {
	// Addresses like kafka-1:9092; ${name} is a variable, which may be a list.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=2048
	// +listType=atomic
	Brokers []string `json:"brokers"`
	// Speak TLS; with nothing under it, the image's authorities count.
	// +optional
	TLS *TLSFields `json:"tls,omitempty"`
	// +optional
	SASL *KafkaSASL `json:"sasl,omitempty"`
}

// KafkaSASL says who asks brokers.
type KafkaSASL struct {
	// +kubebuilder:validation:Enum=PLAIN;SCRAM-SHA-256;SCRAM-SHA-512;OAUTHBEARER;AWS_MSK_IAM
	Mechanism string `json:"mechanism"`
	// A Secret with the keys username and password, or token for OAUTHBEARER.
	// +optional
	SecretRef *SecretRef `json:"secretRef,omitempty"`
}

// A DashboardsTarget is an OpenSearch Dashboards.
type DashboardsTarget struct {
	// Its address, like https://dashboards:5601; ${name} is a variable.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	URL string `json:"url"`
	// The tenant of the security plugin whose objects are meant: global, private or a name; without it the user's default.
	// +kubebuilder:validation:MaxLength=255
	// +optional
	Tenant string `json:"tenant,omitempty"`
	// +optional
	TLS *TLSFields `json:"tls,omitempty"`
	// +optional
	Auth *Auth `json:"auth,omitempty"`
}

// A Bridge is where Terraform's outputs are.
type Bridge struct {
	// The Argo CD cluster secret, or the Secret naru-bridge that is made of it.
	SecretRef BridgeSecretRef `json:"secretRef"`
}

// A BridgeSecretRef names a Secret, maybe of another namespace if the operator allows that one.
type BridgeSecretRef struct {
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// The Environment's own without it.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Namespace string `json:"namespace,omitempty"`
}

// An ObjectSource is a ConfigMap with declared objects of a kind.
type ObjectSource struct {
	// index-templates, ism-policies, kafka-topics, flows and so on.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind         string       `json:"kind"`
	ConfigMapRef ConfigMapRef `json:"configMapRef"`
}

// An EnvironmentMode says what is done about a difference.
type EnvironmentMode string

// The modes.
const (
	ApplyMode EnvironmentMode = "Apply"
	PlanMode  EnvironmentMode = "Plan"
)

// A DeletionPolicy says what becomes of what an Environment owns.
type DeletionPolicy string

// The policies.
const (
	OrphanObjects DeletionPolicy = "Orphan"
	DeleteObjects DeletionPolicy = "Delete"
)

// A Risk says how much care a change wants.
// +kubebuilder:validation:Enum=none;low;medium;high
type Risk string

// PlanApproval says which plans wait for a person.
type PlanApproval struct {
	// Plans whose risk is higher wait: with none every plan that changes something does, with high none does.
	AboveRisk Risk `json:"aboveRisk"`
}

// DriftPolicy says what is put back.
type DriftPolicy struct {
	// Patterns KIND or KIND/NAME of objects that are put back as they were applied when somebody changes them.
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	// +listType=atomic
	// +optional
	Repair []string `json:"repair,omitempty"`
}

// EnvironmentStatus is what an environment is.
type EnvironmentStatus struct {
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Ready: the systems have what is declared. Drifted: somebody changed what was applied.
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// What differs now.
	// +optional
	Plan *PlanStatus `json:"plan,omitempty"`
	// The last apply that changed something.
	// +optional
	LastApplied *AppliedStatus `json:"lastApplied,omitempty"`
	// What somebody changed since, some of it.
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	// +optional
	Drift []DriftStatus `json:"drift,omitempty"`
	// When the systems were looked at.
	// +optional
	CheckedAt *metav1.Time `json:"checkedAt,omitempty"`
	// When the environment is deleted by its ttl.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
}

// PlanStatus is a plan in short.
type PlanStatus struct {
	// +kubebuilder:validation:MaxLength=128
	// +optional
	ID string `json:"id,omitempty"`
	// +optional
	Create int32 `json:"create"`
	// +optional
	Change int32 `json:"change"`
	// +optional
	Delete int32 `json:"delete"`
	// +optional
	Adopt int32 `json:"adopt"`
	// +optional
	Risk Risk `json:"risk,omitempty"`
	// What would be done, in lines.
	// +kubebuilder:validation:MaxLength=32768
	// +optional
	Summary string `json:"summary,omitempty"`
	// What is worth a look, and no mistake: limits that are exceeded, ages of indices that are not those of retention.
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=1024
	// +listType=atomic
	// +optional
	Notes []string `json:"notes,omitempty"`
}

// AppliedStatus is an apply in short.
type AppliedStatus struct {
	// +kubebuilder:validation:MaxLength=128
	// +optional
	ID string `json:"id,omitempty"`
	// +kubebuilder:validation:MaxLength=128
	// +optional
	Commit string `json:"commit,omitempty"`
	// +optional
	At *metav1.Time `json:"at,omitempty"`
	// +optional
	Changes int32 `json:"changes"`
	// What was measured before and after, by name.
	// +kubebuilder:validation:Type=object
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	Numbers *apiextensionsv1.JSON `json:"numbers,omitempty"`
}

// DriftStatus is an object that somebody changed.
type DriftStatus struct {
	// KIND/NAME.
	// +kubebuilder:validation:MaxLength=512
	Object string `json:"object"`
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=1024
	// +listType=atomic
	// +optional
	Fields []string `json:"fields,omitempty"`
	// When it was seen first.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
}

// EnvironmentList is a list of Environments.
// +kubebuilder:object:root=true
type EnvironmentList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Environment `json:"items"`
}

// Package estate brings an environment's systems to what a directory in Git declares: of OpenSearch index and component templates,
// ISM and snapshot policies, ingest pipelines, aliases, roles and their mappings, cluster settings; of Kafka topics, ACLs, quotas and
// where groups begin; saved objects of OpenSearch Dashboards; flows and pipelines, where there is a place that runs them. Bodies are
// the systems' own JSON; nothing is modelled anew here.
//
// Read gives what is Desired, Observe what is there and what was applied last, NewPlan the difference as data. Apply does
// exactly a plan, and leaves a record in the cluster, by which the next plan, Undo and FindDrift know what naru did.
package estate

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// A Kind is one kind of object. Its name is that of its folder.
type Kind string

// The kinds.
const (
	ClusterSettings    Kind = "cluster-settings"
	IngestPipelines    Kind = "ingest-pipelines"
	ComponentTemplates Kind = "component-templates"
	ISMPolicies        Kind = "ism-policies"
	IndexTemplates     Kind = "index-templates"
	Aliases            Kind = "aliases"
	SnapshotPolicies   Kind = "snapshot-policies"
	ActionGroups       Kind = "action-groups"
	Tenants            Kind = "tenants"
	Roles              Kind = "roles"
	RoleMappings       Kind = "role-mappings"
	KafkaTopics        Kind = "kafka-topics"
	KafkaACLs          Kind = "kafka-acls"
	KafkaQuotas        Kind = "kafka-quotas"
	KafkaGroups        Kind = "kafka-groups"
	SavedObjects       Kind = "dashboards"
	Pipelines          Kind = "pipelines"
	FlowSpecs          Kind = "flows"
)

// Kinds lists the kinds in the order in which they are applied: what others name comes first.
var Kinds = []Kind{
	ClusterSettings, IngestPipelines, ComponentTemplates, ISMPolicies, IndexTemplates, Aliases, SnapshotPolicies, ActionGroups, Tenants, Roles, RoleMappings,
	KafkaTopics, KafkaACLs, KafkaQuotas, KafkaGroups, SavedObjects, Pipelines, FlowSpecs,
}

// A Key names an object of a cluster.
type Key struct {
	Kind Kind   `json:"kind"`
	Name string `json:"name"`
}

func (k Key) String() string { return string(k.Kind) + "/" + k.Name }

// compareKeys orders by when kinds are applied, then by name.
func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(slices.Index(Kinds, a.Kind), slices.Index(Kinds, b.Kind)), strings.Compare(a.Name, b.Name))
}

// A Body is an object's JSON: nil, bool, string, json.Number, []any and map[string]any below it.
type Body = map[string]any

// text is a body as canonical JSON: sorted keys, nothing escaped for HTML.
func text(v any) json.RawMessage {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("BUG: " + err.Error()) // it came from JSON
	}
	return json.RawMessage(strings.TrimSuffix(b.String(), "\n"))
}

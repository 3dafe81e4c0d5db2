package convert

import (
	"slices"
	"strings"

	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/internal/words"
)

// The nine configuration kinds of the OpenSearch operator, and what it sends of them.
// Source: opensearch-project/opensearch-k8s-operator, api/opensearch.org/v1 and api/v1 (the same), opensearch-gateway/requests,
// pkg/helpers/translate.go and pkg/reconcilers.

type operatorKind struct {
	plural string
	take   func(b *Batch, t *tale, r operated)
}

var operatorKinds = map[string]operatorKind{
	"OpenSearchISMPolicy":         {"opensearchismpolicies", declared(estate.ISMPolicies, ismPolicy, "policyId")},
	"OpensearchISMPolicy":         {"opensearchismpolicies", declared(estate.ISMPolicies, ismPolicy, "policyId")},
	"OpensearchIndexTemplate":     {"opensearchindextemplates", declared(estate.IndexTemplates, indexTemplate, "name")},
	"OpensearchComponentTemplate": {"opensearchcomponenttemplates", declared(estate.ComponentTemplates, componentTemplate, "name")},
	"OpensearchSnapshotPolicy":    {"opensearchsnapshotpolicies", declared(estate.SnapshotPolicies, snapshotPolicy, "policyName")},
	"OpensearchActionGroup":       {"opensearchactiongroups", declared(estate.ActionGroups, actionGroup, "")},
	"OpensearchTenant":            {"opensearchtenants", declared(estate.Tenants, tenant, "")},
	"OpensearchRole":              {"opensearchroles", declared(estate.Roles, role, "")},
	"OpensearchUserRoleBinding":   {"opensearchuserrolebindings", takeBinding},
	"OpensearchUser":              {"opensearchusers", takeUser},
}

// declared makes an object of the spec. Its name is the spec's field called override, or the manifest's own.
func declared(kind estate.Kind, s record, override string) func(*Batch, *tale, operated) {
	return func(b *Batch, t *tale, r operated) {
		body, _ := s.write(t, "spec", r.spec).(map[string]any)
		if len(t.errs) > 0 {
			return
		}
		key := estate.Key{Kind: kind, Name: r.name}
		if name, _ := r.spec[override].(string); name != "" {
			key.Name = name
		}
		if r.existed {
			t.note("status", "the operator found it in the cluster and left it alone: what the cluster has may be something else; the plan shows it")
		}
		if b.add(key, body, r.String(), t.notes...) {
			b.operator = append(b.operator, r)
		}
	}
}

// cluster is a reference to the OpenSearchCluster, which the environment says.
var cluster = member{of: record{keys: map[string]member{"name": {of: text}}}}

var index = record{keys: map[string]member{
	"settings": {as: "settings", of: free}, "mappings": {as: "mappings", of: free},
	"aliases": {as: "aliases", zero: true, of: table{record{keys: map[string]member{
		"filter": {as: "filter", of: free}, "routing": {as: "routing", of: text, zero: true}, "isWriteIndex": {as: "is_write_index", of: flag, zero: true},
		"index": {of: meaningless("the alias of a template names no index: its indices are those that are made by it")},
		"alias": {of: meaningless("the alias is called like its key")},
	}}}},
}}

var indexTemplate = record{keys: map[string]member{
	"opensearchCluster": cluster, "name": {of: text},
	"indexPatterns": {as: "index_patterns", of: list{text}, required: true},
	"dataStream":    {as: "data_stream", of: record{keys: map[string]member{"timestamp_field": {as: "timestamp_field", zero: true, of: record{keys: map[string]member{"name": {as: "name", of: text, zero: true}}}}}}},
	"template":      {as: "template", of: index, zero: true},
	"composedOf":    {as: "composed_of", of: list{text}, zero: true},
	"priority":      {as: "priority", of: whole, zero: true},
	"version":       {as: "version", of: whole, zero: true},
	"_meta":         {as: "_meta", of: free},
}}

var componentTemplate = record{keys: map[string]member{
	"opensearchCluster": cluster, "name": {of: text},
	"template":        {as: "template", of: index, required: true},
	"version":         {as: "version", of: whole, zero: true},
	"allowAutoCreate": {of: meaningless("the API has it for index templates only, and the operator does not send it")},
	"_meta":           {as: "_meta", of: free},
}}

var schedule = record{keys: map[string]member{"cron": {as: "cron", required: true, of: cronExpression}}}

var cronExpression = record{keys: map[string]member{
	"expression": {as: "expression", of: text, required: true}, "timezone": {as: "timezone", of: text, required: true},
}}

var snapshotPolicy = record{keys: map[string]member{
	"opensearchCluster": cluster, "policyName": {of: text},
	"description": {as: "description", of: text}, "enabled": {as: "enabled", of: flag},
	"snapshotConfig": {as: "snapshot_config", required: true, of: record{keys: map[string]member{
		"dateFormat": {as: "date_format", of: text, zero: true}, "dateFormatTimezone": {as: "date_format_timezone", of: text, zero: true},
		"indices": {as: "indices", of: text, zero: true}, "repository": {as: "repository", of: text, required: true},
		"ignoreUnavailable": {as: "ignore_unavailable", of: flag}, "includeGlobalState": {as: "include_global_state", of: flag},
		"partial": {as: "partial", of: flag}, "metadata": {as: "metadata", of: table{text}, zero: true},
	}}},
	"creation": {as: "creation", required: true, of: record{keys: map[string]member{
		"schedule": {as: "schedule", of: schedule, required: true}, "timeLimit": {as: "time_limit", of: text},
	}}},
	"deletion": {as: "deletion", of: record{keys: map[string]member{
		"schedule": {as: "schedule", of: schedule}, "timeLimit": {as: "time_limit", of: text},
		"deleteCondition": {as: "condition", of: record{keys: map[string]member{
			"maxCount": {as: "max_count", of: whole}, "maxAge": {as: "max_age", of: text}, "minCount": {as: "min_count", of: whole},
		}}},
	}}},
	"notification": {as: "notification", of: record{keys: map[string]member{
		"channel": {as: "channel", required: true, of: record{keys: map[string]member{"id": {as: "id", of: text, required: true}}}},
		"conditions": {as: "conditions", of: record{keys: map[string]member{
			"creation": {as: "creation", of: flag}, "deletion": {as: "deletion", of: flag}, "failure": {as: "failure", of: flag},
		}}},
	}}},
}}

var actionGroup = record{keys: map[string]member{
	"opensearchCluster": cluster,
	"allowedActions":    {as: "allowed_actions", of: list{text}, required: true},
	"type":              {as: "type", of: text, zero: true}, "description": {as: "description", of: text, zero: true},
}}

var tenant = record{
	keys: map[string]member{"opensearchCluster": cluster, "description": {as: "description", of: text}},
	after: func(_ *tale, _ string, _, out map[string]any) any {
		if out["description"] == nil {
			out["description"] = "" // as the operator sends it
		}
		return out
	},
}

var role = record{keys: map[string]member{
	"opensearchCluster":  cluster,
	"clusterPermissions": {as: "cluster_permissions", of: list{text}, zero: true},
	"indexPermissions": {as: "index_permissions", zero: true, of: list{record{keys: map[string]member{
		"indexPatterns": {as: "index_patterns", of: list{text}, zero: true}, "dls": {as: "dls", of: text, zero: true}, "fls": {as: "fls", of: list{text}, zero: true},
		"allowedActions": {as: "allowed_actions", of: list{text}, zero: true}, "maskedFields": {as: "masked_fields", of: list{text}, zero: true},
	}}}},
	"tenantPermissions": {as: "tenant_permissions", zero: true, of: list{record{keys: map[string]member{
		"tenantPatterns": {as: "tenant_patterns", of: list{text}, zero: true}, "allowedActions": {as: "allowed_actions", of: list{text}, zero: true},
	}}}},
}}

var roleBinding = record{keys: map[string]member{
	"opensearchCluster": cluster, "roles": {as: "roles", of: list{text}, required: true},
	"users": {as: "users", of: list{text}}, "backendRoles": {as: "backendRoles", of: list{text}},
}}

var user = record{keys: map[string]member{
	"opensearchCluster": cluster,
	"passwordFrom": {as: "passwordFrom", required: true, of: record{keys: map[string]member{
		"name": {as: "name", of: text}, "key": {as: "key", of: text}, "optional": {of: flag},
	}}},
	"opendistroSecurityRoles": {as: "roles", of: list{text}}, "backendRoles": {as: "backendRoles", of: list{text}}, "attributes": {as: "attributes", of: table{text}},
}}

// takeBinding adds what the binding gives to the mapping of each of its roles.
func takeBinding(b *Batch, t *tale, r operated) {
	body, _ := roleBinding.write(t, "spec", r.spec).(map[string]any)
	if len(t.errs) > 0 {
		return
	}
	if b.bindings == nil {
		b.bindings = map[string]*binding{}
	}
	for _, name := range textsOf(body["roles"]) {
		x := b.bindings[name]
		if x == nil {
			x = &binding{users: map[string]bool{}, backendRoles: map[string]bool{}}
			b.bindings[name] = x
		}
		for _, u := range textsOf(body["users"]) {
			x.users[u] = true
		}
		for _, role := range textsOf(body["backendRoles"]) {
			x.backendRoles[role] = true
		}
		if from := r.String(); !slices.Contains(x.from, from) {
			x.from = append(x.from, from)
		}
	}
	b.operator = append(b.operator, r)
}

// takeUser says what is known of a user. Its password is in a Secret, and no file holds one.
func takeUser(b *Batch, t *tale, r operated) {
	body, _ := user.write(t, "spec", r.spec).(map[string]any)
	if len(t.errs) > 0 {
		return
	}
	var has []string
	for _, x := range []struct{ name, key string }{{"backend roles", "backendRoles"}, {"roles", "roles"}} {
		if all := textsOf(body[x.key]); len(all) > 0 {
			has = append(has, x.name+" "+strings.Join(all, ", "))
		}
	}
	if attributes, _ := body["attributes"].(map[string]any); len(attributes) > 0 {
		has = append(has, words.Count(len(attributes), "attribute"))
	}
	if len(has) == 0 {
		has = []string{"no roles"}
	}
	from, _ := body["passwordFrom"].(map[string]any)
	b.leave(NoHome, r.String(), "users have passwords, which stay out of files: the cluster keeps the user as it is, and the Secret %s (key %s) its password; it has %s",
		from["name"], from["key"], strings.Join(has, "; "))
}

// meaningless is a field that the API has no place for, and why.
type meaningless string

func (m meaningless) write(t *tale, path string, v any) any {
	if !isZero(v) {
		t.note(path, "left out: %s", string(m))
	}
	return absent{}
}

func textsOf(v any) []string {
	var out []string
	list, _ := v.([]any)
	for _, x := range list {
		if s, ok := x.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

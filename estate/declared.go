package estate

import (
	"encoding/json"
)

// AsDeclared is a live body as one would write it: without what the system adds to each body by itself, which a plan does not
// take for a difference. It may share nothing with body.
func AsDeclared(key Key, body Body) Body {
	body = clone(body)
	switch key.Kind {
	case ISMPolicies:
		return ismAsDeclared(unwrap(body, "policy"))
	case SnapshotPolicies:
		body = unwrap(body, "sm_policy")
		dropEmpty(body, "description", "notification", "creation", "deletion")
		return body
	case IndexTemplates, ComponentTemplates:
		if stream := object(body, "data_stream"); stream != nil && object(stream, "timestamp_field")["name"] == "@timestamp" {
			delete(stream, "timestamp_field")
		}
		if t := object(body, "template"); t != nil {
			dropEmpty(t, "settings", "mappings", "aliases")
		}
		dropEmpty(body, "composed_of", "_meta", "version", "priority")
		return body
	case ActionGroups, Tenants, Roles, RoleMappings:
		return canonSecurity(key.Name, body)
	case ClusterSettings, IngestPipelines, Aliases, KafkaTopics, KafkaACLs, KafkaQuotas, KafkaGroups, SavedObjects, Pipelines, FlowSpecs:
	}
	return body
}

// ismAsDeclared takes away what each policy and action has if nothing is said.
func ismAsDeclared(body Body) Body {
	dropEmpty(body, "error_notification", "ism_template")
	templates, _ := body["ism_template"].([]any)
	for _, x := range templates {
		if t, ok := x.(map[string]any); ok {
			delete(t, "last_updated_time")
		}
	}
	states, _ := body["states"].([]any)
	for _, x := range states {
		state, _ := x.(map[string]any)
		actions, _ := state["actions"].([]any)
		for _, a := range actions {
			action, _ := a.(map[string]any)
			if retry := object(action, "retry"); equal(retry, map[string]any{"count": json.Number("3"), "backoff": "exponential", "delay": "1m"}) {
				delete(action, "retry")
			}
			if rollover := object(action, "rollover"); rollover != nil {
				for _, name := range []string{"copy_alias", "prevent_empty_rollover"} {
					if rollover[name] == false {
						delete(rollover, name)
					}
				}
			}
		}
		dropEmpty(state, "transitions")
	}
	return body
}

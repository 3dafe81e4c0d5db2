package convert

import (
	"slices"
	"strings"

	"github.com/narudata/naru/internal/words"
)

// An ISM policy of the operator. What it does not send, or sends in a form that the plugin does not take, has never been in a
// cluster: that is written as it was meant where the plugin's API has it, and is a note. Source: IsmPolicyReconciler in
// pkg/reconcilers/ismpolicy.go; for the API, toXContent and parse of the action classes in opensearch-project/index-management.
var ismPolicy = record{keys: map[string]member{
	"opensearchCluster": cluster, "policyId": {of: text},
	"applyToExistingIndices": {of: existing{}},
	"defaultState":           {as: "default_state", of: text, required: true},
	"description":            {as: "description", of: text, required: true},
	"errorNotification":      {as: "error_notification", of: errorNotification},
	"ismTemplate": {as: "ism_template", of: record{
		keys:  map[string]member{"indexPatterns": {as: "index_patterns", of: list{text}, required: true}, "priority": {as: "priority", of: whole, zero: true}},
		after: func(_ *tale, _ string, _, out map[string]any) any { return []any{out} },
	}},
	"states": {as: "states", required: true, of: list{record{keys: map[string]member{
		"name":    {as: "name", of: text, required: true},
		"actions": {as: "actions", of: list{ismAction}},
		"transitions": {as: "transitions", of: list{record{keys: map[string]member{
			"stateName": {as: "state_name", of: text, required: true},
			"conditions": {as: "conditions", zero: true, of: record{keys: map[string]member{
				"minDocCount": {as: "min_doc_count", of: whole}, "minIndexAge": {as: "min_index_age", of: text},
				"minRolloverAge": {as: "min_rollover_age", of: text}, "minSize": {as: "min_size", of: text},
				"cron": {as: "cron", of: record{keys: map[string]member{"cron": {as: "cron", of: cronExpression, required: true}}}},
			}}},
		}}}},
	}}}},
}}

// existing is what the operator does once, to indices that are there when it makes the policy.
type existing struct{}

func (existing) write(t *tale, path string, v any) any {
	if flag.write(t, path, v) == true {
		t.note(path, "left out: the operator did so once, when it made the policy; a policy's own template takes care of new indices only")
	}
	return absent{}
}

var destination = record{keys: map[string]member{
	"slack": {as: "slack", of: url}, "chime": {as: "chime", of: url}, "customWebhook": {as: "custom_webhook", of: url},
	"amazon": {of: meaningless("the plugin has no such destination; chime is Amazon's")},
}}

var url = record{keys: map[string]member{"url": {as: "url", of: text, zero: true}}}

// message is a template, with the language that the plugin adds.
var message = record{
	keys: map[string]member{"source": {as: "source", of: text}},
	after: func(_ *tale, _ string, _, out map[string]any) any {
		out["lang"] = "mustache"
		return out
	},
}

var errorNotification = record{
	keys: map[string]member{
		"destination": {as: "destination", of: destination}, "channel": {as: "channel", of: text, zero: true}, "messageTemplate": {as: "message_template", of: message},
	},
	after: func(t *tale, path string, _, out map[string]any) any {
		to, _ := out["destination"].(map[string]any)
		channel, hasChannel := out["channel"].(string)
		switch {
		case len(to) > 0 && out["message_template"] != nil:
			if hasChannel {
				t.note(path+".channel", "left out: a notification has a destination or a channel, and this one has both")
				delete(out, "channel")
			}
			return out
		case hasChannel && out["message_template"] != nil:
			t.note(path, "the operator does not send a notification without a destination: the cluster's policy has none, and the plan adds this one")
			out["channel"] = map[string]any{"id": channel}
			delete(out, "destination")
			return out
		}
		t.note(path, "left out: the operator does not send one that lacks a destination or a message, and the plugin does not take it")
		return absent{}
	},
}

// actionNames are the actions of a state, as the API calls them.
var actionNames = []string{
	"alias", "allocation", "close", "delete", "force_merge", "index_priority", "open", "read_only", "read_write", "replica_count", "rollover", "shrink", "snapshot",
}

var nothing = record{}

var aliasDetails = record{keys: map[string]member{
	"index": {as: "index", of: text}, "aliases": {as: "aliases", of: list{text}, zero: true}, "routing": {as: "routing", of: text}, "isWriteIndex": {as: "is_write_index", of: flag},
}}

var ismAction = record{
	keys: map[string]member{
		"alias": {as: "alias", of: record{keys: map[string]member{"actions": {as: "actions", required: true, of: list{record{keys: map[string]member{
			"add": {as: "add", of: aliasDetails}, "remove": {as: "remove", of: aliasDetails},
		}}}}}}},
		"allocation": {as: "allocation", of: record{keys: map[string]member{
			"exclude": {as: "exclude", of: attributes{}}, "include": {as: "include", of: attributes{}}, "require": {as: "require", of: attributes{}}, "waitFor": {as: "wait_for", of: flagText{}},
		}}},
		"close": {as: "close", of: nothing}, "delete": {as: "delete", of: nothing}, "open": {as: "open", of: nothing},
		"readOnly": {as: "read_only", of: nothing}, "readWrite": {as: "read_write", of: nothing},
		"forceMerge":    {as: "force_merge", of: record{keys: map[string]member{"maxNumSegments": {as: "max_num_segments", of: whole, required: true}}}},
		"indexPriority": {as: "index_priority", of: record{keys: map[string]member{"priority": {as: "priority", of: whole, required: true}}}},
		"replicaCount":  {as: "replica_count", of: record{keys: map[string]member{"numberOfReplicas": {as: "number_of_replicas", of: whole, required: true}}}},
		"rollover": {as: "rollover", of: record{keys: map[string]member{
			"minDocCount": {as: "min_doc_count", of: whole}, "minIndexAge": {as: "min_index_age", of: text},
			"minPrimaryShardSize": {as: "min_primary_shard_size", of: text}, "minSize": {as: "min_size", of: text},
		}}},
		"shrink": {as: "shrink", of: record{keys: map[string]member{
			"forceUnsafe": {as: "force_unsafe", of: flag}, "maxShardSize": {as: "max_shard_size", of: text}, "numNewShards": {as: "num_new_shards", of: whole},
			"percentageOfSourceShards": {as: "percentage_of_source_shards", of: whole}, "targetIndexNameTemplate": {as: "target_index_name_template", of: nameTemplate{}},
		}}},
		"snapshot": {as: "snapshot", of: record{keys: map[string]member{
			"repository": {as: "repository", of: text, required: true}, "snapshot": {as: "snapshot", of: text, required: true},
		}}},
		"notification": {of: meaningless("the operator does not send it, and its destination is a text, which the plugin does not take")},
		"rollup":       {of: rollup{}},
		"retry": {as: "retry", of: record{keys: map[string]member{
			"backoff": {as: "backoff", of: text, zero: true}, "count": {as: "count", of: whole, required: true}, "delay": {as: "delay", of: text, zero: true},
		}}},
		"timeout": {as: "timeout", of: text},
	},
	after: func(t *tale, path string, _, out map[string]any) any {
		n := 0
		for _, name := range actionNames {
			if out[name] != nil {
				n++
			}
		}
		switch n {
		case 0:
			if len(t.notes) == 0 || !slices.ContainsFunc(t.notes, func(s string) bool { return strings.HasPrefix(s, path+".") }) {
				t.note(path, "left out: there is no action in it")
			}
			return absent{}
		case 1:
			return out
		}
		t.fail(path, "has %s; each action of a state is an element of its own", words.Count(n, "action"))
		return absent{}
	},
}

// rollup is an action whose content the operator does not know.
type rollup struct{}

func (rollup) write(t *tale, path string, _ any) any {
	t.note(path, "left out: the operator does not send it; write the action by hand")
	return absent{}
}

// attributes are those of nodes: the plugin takes {NAME: VALUE}, where the operator has a text.
type attributes struct{}

func (attributes) write(t *tale, path string, v any) any {
	s, ok := text.write(t, path, v).(string)
	if !ok || s == "" {
		return absent{}
	}
	docs, err := jsonDocuments([]byte(s))
	if err == nil && len(docs) == 1 {
		if o, ok := docs[0].(map[string]any); ok {
			t.note(path, "the operator sends it as a text, which the plugin does not take; it is written as the attributes that the text has")
			return o
		}
	}
	t.note(path, "left out: %q is a text, and the plugin takes attributes of nodes with values, {temp: hot}, say; write them by hand", cut(s))
	return absent{}
}

// flagText is true or false as a text.
type flagText struct{}

func (flagText) write(t *tale, path string, v any) any {
	switch s := text.write(t, path, v); s {
	case "true":
		return true
	case "false":
		return false
	case "", any(absent{}):
	default:
		t.fail(path, "want true or false, found %s", what(s))
	}
	return absent{}
}

// nameTemplate is the name of a shrunken index: the plugin takes a script, where the operator has a text.
type nameTemplate struct{}

func (nameTemplate) write(t *tale, path string, v any) any {
	s, ok := text.write(t, path, v).(string)
	if !ok || s == "" {
		return absent{}
	}
	t.note(path, "the operator sends it as a text, which the plugin does not take; it is written as a template")
	return map[string]any{"source": s, "lang": "mustache"}
}

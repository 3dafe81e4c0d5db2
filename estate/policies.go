package estate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// ISM and snapshot policies are documents of the index management plugin: changed by compare-and-set, given back with
// what it adds.

const policyPage = 1000 // policies of one answer; the plugin gives 20 unless told

// listPolicies is for answers {"policies":[{"_id":…,"_seq_no":…,"_primary_term":…,MEMBER:…}],"total_policies":n}.
func listPolicies(path, member, suffix string) func(context.Context, *Target) (map[string]*Live, error) {
	return func(ctx context.Context, t *Target) (map[string]*Live, error) {
		all := map[string]*Live{}
		for from := 0; ; from += policyPage {
			answer, err := call(ctx, t.Search, http.MethodGet, fmt.Sprintf("%s?size=%d&from=%d", path, policyPage, from), nil)
			if err != nil {
				return nil, err
			}
			list, _ := answer["policies"].([]any)
			for _, x := range list {
				entry, _ := x.(map[string]any)
				id, _ := entry["_id"].(string)
				if l := policyOf(entry, member); l != nil && id != "" {
					all[strings.TrimSuffix(id, suffix)] = l
				}
			}
			if len(list) < policyPage {
				return all, nil
			}
		}
	}
}

func getPolicy(path, member string) func(context.Context, *Target, string) (*Live, error) {
	return func(ctx context.Context, t *Target, name string) (*Live, error) {
		answer, err := call(ctx, t.Search, http.MethodGet, at(path, name), nil)
		if isMissing(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return policyOf(answer, member), nil
	}
}

func policyOf(entry Body, member string) *Live {
	body, ok := entry[member].(map[string]any)
	if !ok {
		return nil
	}
	l := &Live{Body: body, SeqNo: whole(entry["_seq_no"]), Term: whole(entry["_primary_term"])}
	if ms := whole(body["last_updated_time"]); ms > 0 {
		l.Updated = time.UnixMilli(ms).UTC()
	}
	return l
}

func whole(v any) int64 {
	n, ok := v.(json.Number)
	if !ok {
		return 0
	}
	i, err := n.Int64()
	if err != nil {
		return 0
	}
	return i
}

// putISM creates the policy, or changes the one that was seen.
func putISM(ctx context.Context, t *Target, name string, body Body, live *Live) error {
	_, err := call(ctx, t.Search, http.MethodPut, at("/_plugins/_ism/policies", name)+condition(live), map[string]any{"policy": unwrap(clone(body), "policy")})
	return err
}

// putSM creates by POST and changes by PUT, as the plugin has it.
func putSM(ctx context.Context, t *Target, name string, body Body, live *Live) error {
	method := http.MethodPost
	if live != nil {
		method = http.MethodPut
	}
	_, err := call(ctx, t.Search, method, at("/_plugins/_sm/policies", name)+condition(live), unwrap(clone(body), "sm_policy"))
	return err
}

func condition(live *Live) string {
	if live == nil || live.Term == 0 {
		return ""
	}
	return fmt.Sprintf("?if_seq_no=%d&if_primary_term=%d", live.SeqNo, live.Term)
}

// unwrap takes off the member that bodies may be wrapped in, and what the plugin adds at the top.
func unwrap(body Body, member string) Body {
	if inner, ok := body[member].(map[string]any); ok && len(body) == 1 {
		body = inner
	} else if ok { // as the answer to GET has it
		body = inner
	}
	for _, name := range []string{"policy_id", "last_updated_time", "schema_version", "user", "enabled_time"} {
		delete(body, name)
	}
	if member == "sm_policy" {
		delete(body, "name")
		if job, ok := body["schedule"].(map[string]any); ok && job["interval"] != nil {
			delete(body, "schedule") // how often the job looks, set by the plugin
		}
	}
	return body
}

// canonISM is a policy with what the plugin adds to each. Source: toXContent of Policy, State, Action, ActionRetry and
// ISMTemplate in opensearch-project/index-management.
func canonISM(_ string, body Body) Body {
	body = unwrap(body, "policy")
	dropEmpty(body, "error_notification", "ism_template")
	if one, ok := body["ism_template"].(map[string]any); ok {
		body["ism_template"] = []any{one}
	}
	templates, _ := body["ism_template"].([]any)
	for _, x := range templates {
		if t, ok := x.(map[string]any); ok {
			delete(t, "last_updated_time")
			t["index_patterns"] = sorted(listOf(t["index_patterns"]))
			if t["priority"] == nil {
				t["priority"] = json.Number("0")
			}
		}
	}
	states, _ := body["states"].([]any)
	for _, x := range states {
		state, ok := x.(map[string]any)
		if !ok {
			continue
		}
		actions, _ := state["actions"].([]any)
		for _, a := range actions {
			if action, ok := a.(map[string]any); ok {
				canonAction(action)
			}
		}
		transitions, _ := state["transitions"].([]any)
		for _, t := range transitions {
			if transition, ok := t.(map[string]any); ok {
				dropEmpty(transition, "conditions")
			}
		}
		dropEmpty(state, "actions", "transitions")
	}
	return scalarsAsText(body).(map[string]any) //nolint:errcheck,forcetypeassert // as it was
}

// canonAction fills in what an action has when nothing is said.
func canonAction(action map[string]any) {
	retry, _ := action["retry"].(map[string]any)
	if retry == nil {
		retry = map[string]any{}
	}
	for name, value := range map[string]any{"count": json.Number("3"), "backoff": "exponential", "delay": "1m"} {
		if retry[name] == nil {
			retry[name] = value
		}
	}
	action["retry"] = retry
	for name, defaults := range map[string]map[string]any{
		"rollover":   {"copy_alias": false, "prevent_empty_rollover": false},
		"allocation": {"wait_for": false, "require": map[string]any{}, "include": map[string]any{}, "exclude": map[string]any{}},
	} {
		if a, ok := action[name].(map[string]any); ok {
			for k, v := range defaults {
				if a[k] == nil {
					a[k] = clone(v)
				}
			}
		}
	}
}

// canonSM is a snapshot policy with what the plugin adds. Source: SMPolicy in opensearch-project/index-management.
func canonSM(_ string, body Body) Body {
	body = unwrap(body, "sm_policy")
	dropEmpty(body, "description", "notification", "creation", "deletion")
	if body["enabled"] == nil {
		body["enabled"] = true
	}
	if deletion := object(body, "deletion"); deletion != nil {
		if deletion["schedule"] == nil {
			if s := object(body, "creation", "schedule"); s != nil {
				deletion["schedule"] = clone(s)
			}
		}
		if condition := object(deletion, "condition"); condition != nil && condition["min_count"] == nil {
			condition["min_count"] = json.Number("1")
		}
		dropEmpty(deletion, "time_limit")
	}
	return scalarsAsText(body).(map[string]any) //nolint:errcheck,forcetypeassert // as it was
}

// canonAliasEntry writes "routing" as the two that it stands for.
func canonAliasEntry(alias map[string]any) {
	if r, ok := alias["routing"]; ok {
		delete(alias, "routing")
		for _, name := range []string{"index_routing", "search_routing"} {
			if alias[name] == nil {
				alias[name] = scalarText(r)
			}
		}
	}
	dropEmpty(alias, "filter")
}

func checkClusterSettings(body Body) error {
	for name, v := range body {
		if _, ok := v.(map[string]any); !ok || name != "persistent" {
			return errors.New(`cluster settings are {"persistent": {…}}; transient ones are gone after a restart, and are not declared`)
		}
	}
	return nil
}

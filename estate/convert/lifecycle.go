package convert

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/narudata/naru/estate"
)

// A lifecycle policy (ILM) of Elasticsearch becomes an ISM policy: each phase a state, min_age the condition of the transition
// to it. What ISM lacks is a note; where leaving it out would delete what is kept, or roll over at once, the policy is left.
// Source: Elastic's reference of index lifecycle actions; OpenSearch's of ISM policies.

// order is in which ILM does the actions of a phase.
var order = strings.Fields("set_priority unfollow rollover readonly downsample shrink forcemerge wait_for_snapshot searchable_snapshot allocate migrate freeze delete")

func lifecycle(b *Batch, t *tale, name, from string, phases map[string]any) {
	l := ilm{t: t}
	for _, k := range slices.Sorted(maps.Keys(phases)) {
		if !slices.Contains(phaseNames, k) {
			t.fail("phases."+k, "unknown phase")
		}
	}
	for _, phase := range phaseNames {
		p, ok := phases[phase].(map[string]any)
		if !ok {
			continue
		}
		l.phase(phase, p)
	}
	if len(t.errs) > 0 {
		return
	}
	if l.refused != "" {
		b.leave(NoHome, from, "%s: write an ISM policy by hand", l.refused)
		return
	}
	if len(l.states) == 0 {
		b.leave(NoHome, from, "it has no phases")
		return
	}
	first, _ := l.states[0].(map[string]any)
	t.note("policy", "it is Elasticsearch's, and this is what an ISM policy has of it: ism_template has to name its indices, which index.lifecycle.name does in Elasticsearch")
	b.add(estate.Key{Kind: estate.ISMPolicies, Name: name}, estate.Body{
		"description": "from the lifecycle policy " + name, "default_state": first["name"], "states": l.states,
	}, from)
}

type ilm struct {
	t       *tale
	states  []any
	rolls   bool // an index rolls over: ages count from then
	refused string
}

func (l *ilm) phase(name string, p map[string]any) {
	actions, _ := p["actions"].(map[string]any)
	for _, k := range slices.Sorted(maps.Keys(p)) {
		if k != "min_age" && k != "actions" {
			l.t.fail("phases."+name+"."+k, "unknown field")
		}
	}
	for _, k := range slices.Sorted(maps.Keys(actions)) {
		if !slices.Contains(order, k) {
			l.t.fail("phases."+name+".actions."+k, "unknown action")
		}
	}
	age, _ := p["min_age"].(string)
	conditions := map[string]any{}
	if rest := strings.TrimLeft(age, "0"); rest != "" && strings.ContainsAny(rest, ".123456789") { // 0ms is at once
		conditions["min_index_age"] = age
		if l.rolls {
			conditions = map[string]any{"min_rollover_age": age}
		}
	}
	if len(l.states) == 0 && len(conditions) > 0 {
		l.states = append(l.states, map[string]any{"name": "new", "actions": []any{}})
	}
	state := map[string]any{"name": name, "actions": []any{}}
	var list []any
	for _, k := range order {
		if a, ok := actions[k].(map[string]any); ok {
			list = append(list, l.action(fmt.Sprintf("phases.%s.actions.%s", name, k), k, a)...)
		}
	}
	if len(list) > 0 {
		state["actions"] = list
	}
	if n := len(l.states); n > 0 {
		before, _ := l.states[n-1].(map[string]any)
		transition := map[string]any{"state_name": name}
		put(transition, "conditions", conditions)
		before["transitions"] = []any{transition}
	}
	l.states = append(l.states, state)
}

// action gives what ISM has of an action of ILM.
func (l *ilm) action(path, kind string, a map[string]any) []any {
	one := func(name string, body map[string]any) []any { return []any{map[string]any{name: body}} }
	switch kind {
	case "set_priority":
		return one("index_priority", map[string]any{"priority": l.number(path, a, "priority")})
	case "readonly":
		return one("read_only", map[string]any{})
	case "delete":
		return one("delete", map[string]any{})
	case "forcemerge":
		l.lost(path, a, "max_num_segments")
		return one("force_merge", map[string]any{"max_num_segments": l.number(path, a, "max_num_segments")})
	case "rollover":
		return l.rollover(path, a)
	case "shrink":
		l.lost(path, a, "number_of_shards", "max_primary_shard_size")
		body := map[string]any{}
		put(body, "num_new_shards", a["number_of_shards"])
		put(body, "max_shard_size", a["max_primary_shard_size"])
		l.t.note(path, "the index that comes of it is called NAME_shrunken, where ILM puts shrink- before the name")
		return one("shrink", body)
	case "allocate":
		l.lost(path, a, "number_of_replicas", "include", "exclude", "require")
		var out []any
		if a["number_of_replicas"] != nil {
			out = one("replica_count", map[string]any{"number_of_replicas": l.number(path, a, "number_of_replicas")})
		}
		body := map[string]any{}
		for _, k := range []string{"include", "exclude", "require"} {
			put(body, k, a[k])
		}
		if len(body) > 0 {
			out = append(out, one("allocation", body)...)
		}
		return out
	case "wait_for_snapshot":
		l.refused = "it deletes only what a snapshot has, which ISM does not look at"
		return nil
	}
	l.t.note(path, "left out: ISM has no such action%s", map[string]string{
		"searchable_snapshot": "; snapshot and convert_index_to_remote come near to it", "migrate": ": OpenSearch has no data tiers",
	}[kind])
	return nil
}

func (l *ilm) rollover(path string, a map[string]any) []any {
	body := map[string]any{}
	for from, to := range map[string]string{
		"max_age": "min_index_age", "max_size": "min_size", "max_docs": "min_doc_count", "max_primary_shard_size": "min_primary_shard_size",
	} {
		put(body, to, a[from])
	}
	l.lost(path, a, "max_age", "max_size", "max_docs", "max_primary_shard_size")
	if len(body) == 0 {
		l.refused = "none of the conditions of its rollover is one of ISM, which would roll over at once"
	}
	l.rolls = true
	return []any{map[string]any{"rollover": body}}
}

func (l *ilm) number(path string, a map[string]any, name string) json.Number {
	switch v := a[name].(type) {
	case json.Number:
		return v
	case string:
		if n := json.Number(v); json.Valid([]byte(v)) {
			return n
		}
	}
	l.t.fail(path+"."+name, "want a number, found %s", what(a[name]))
	return "0"
}

// lost notes what of an action is not taken.
func (l *ilm) lost(path string, a map[string]any, taken ...string) {
	for _, k := range slices.Sorted(maps.Keys(a)) {
		if !slices.Contains(taken, k) && !isZero(a[k]) {
			l.t.note(path+"."+k, "left out: ISM has nothing like it")
		}
	}
}

package estate

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/narudata/naru/internal/words"
)

// An index that a policy manages keeps the version of the policy with which it came under it. Where that is declared
// (env.yaml: ism: {changeManaged: true}), an apply that changes a policy has its indices go on with the new version: those whose
// state the new version has too. The plugin does so with its next run, or when the action that is under way is done.

// ismSection is what env.yaml says of ISM.
type ismSection struct {
	ChangeManaged bool `json:"changeManaged"`
}

// manages says how an index is managed.
type manages struct {
	policy string
	seqNo  int64 // of the version of the policy that the index has; -1: not known
	state  string
}

func managesOf(entry map[string]any) manages {
	m := manages{seqNo: -1}
	for _, name := range []string{"policy_id", "index.plugins.index_state_management.policy_id"} {
		if id, ok := entry[name].(string); ok && id != "" {
			m.policy = id
		}
	}
	if n, ok := entry["policy_seq_no"].(json.Number); ok {
		if i, err := n.Int64(); err == nil {
			m.seqNo = i
		}
	}
	m.state, _ = object(entry, "state")["name"].(string)
	return m
}

// statesOf names the states of a policy.
func statesOf(policy Body) []string {
	var names []string
	states, _ := unwrap(clone(policy), "policy")["states"].([]any)
	for _, x := range states {
		state, _ := x.(map[string]any)
		if name, ok := state["name"].(string); ok {
			names = append(names, name)
		}
	}
	return names
}

// explainManaged says how many indices get the new version, from which states, and which do not.
func explainManaged(ch *Change, o *Observed) {
	policy := decoded(ch.Body)
	if policy == nil {
		policy = decoded(ch.Declared)
	}
	states := statesOf(policy)
	going, staying := map[string]int{}, map[string]int{}
	n := 0
	for _, m := range o.manages {
		switch {
		case m.policy != ch.Name:
		case m.state == "" || slices.Contains(states, m.state):
			going[m.state]++
			n++
		default:
			staying[m.state]++
		}
	}
	ch.Effects = append(ch.Effects, fmt.Sprintf("then gives this version to %s that it manages%s", words.Count(n, "index"), fromStates(going)))
	for _, state := range slices.Sorted(maps.Keys(staying)) {
		ch.Effects = append(ch.Effects, fmt.Sprintf("this version has no state %s: %s in it keep the one they have", state, words.Count(staying[state], "index")))
	}
	if n > 0 {
		ch.Risk = worse(ch.Risk, Medium)
	}
}

func fromStates(n map[string]int) string {
	var parts []string
	for _, state := range slices.Sorted(maps.Keys(n)) {
		if state != "" {
			parts = append(parts, fmt.Sprintf("%d in %s", n[state], state))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return ": " + strings.Join(parts, ", ")
}

// changeManaged has the indices that a policy manages go on with the version that is there now. It asks anew which these are.
func changeManaged(ctx context.Context, t *Target, name string, live *Live) error {
	all, err := managed(ctx, t.Search)
	if err != nil {
		return err
	}
	states := statesOf(live.Body)
	var behind []string
	for _, index := range slices.Sorted(maps.Keys(all)) {
		m := all[index]
		if m.policy == name && m.seqNo != live.SeqNo && (m.state == "" || slices.Contains(states, m.state)) {
			behind = append(behind, url.PathEscape(index))
		}
	}
	const atATime = 50 // that an address has room for
	for some := range slices.Chunk(behind, atATime) {
		answer, err := call(ctx, t.Search, http.MethodPost, "/_plugins/_ism/change_policy/"+strings.Join(some, ","), map[string]any{"policy_id": name})
		if err != nil {
			return fmt.Errorf("give the new version to the indices that it manages: %w", err)
		}
		failed, _ := answer["failed_indices"].([]any)
		if len(failed) > 0 {
			first, _ := failed[0].(map[string]any)
			return fmt.Errorf("the new version is there, and %s did not get it: %v: %v", words.Count(len(failed), "index"), first["index_name"], first["reason"])
		}
	}
	return nil
}

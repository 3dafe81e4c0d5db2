package estate

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/narudata/naru/flow/stage"
)

// Sections of env.yaml that are about several objects at once.

// retention is {"logs-*": "30d"}: how old indices of a pattern become.
func retentionOf(raw map[string]string) (map[string]time.Duration, error) {
	out := map[string]time.Duration{}
	for _, pattern := range slices.Sorted(maps.Keys(raw)) {
		age, ok := timeValue(raw[pattern])
		if !ok || age <= 0 {
			return nil, fmt.Errorf("retention: %q for %s: want a time like 30d or 12h", raw[pattern], pattern)
		}
		out[pattern] = age
	}
	return out, nil
}

// disagreements says where ISM policies that are declared delete at another age than retention says.
func (d *Desired) disagreements() []string {
	var out []string
	for _, pattern := range slices.Sorted(maps.Keys(d.Retention)) {
		want, found := d.Retention[pattern], false
		for _, key := range d.keys() {
			if key.Kind != ISMPolicies {
				continue
			}
			policy := canonical(key, d.Objects[key].Body)
			if !managesPattern(policy, pattern) {
				continue
			}
			found = true
			switch age := deleteAge(policy); {
			case age == nil:
				out = append(out, fmt.Sprintf("retention of %s is %s, and %s, which manages such indices, deletes none by age", pattern, days(want), key))
			case *age != want:
				out = append(out, fmt.Sprintf("retention of %s is %s, and %s deletes such indices at %s", pattern, days(want), key, days(*age)))
			}
		}
		if !found {
			out = append(out, fmt.Sprintf("retention of %s is %s, and no ISM policy that is declared manages such indices", pattern, days(want)))
		}
	}
	return out
}

// managesPattern reports that a policy's template takes some index of the pattern.
func managesPattern(policy Body, pattern string) bool {
	templates, _ := policy["ism_template"].([]any)
	for _, x := range templates {
		t, _ := x.(map[string]any)
		for _, p := range texts(t["index_patterns"]) {
			if overlap(p, pattern) {
				return true
			}
		}
	}
	return false
}

// prepend puts the environment's sampling and masking before the stages of flows that have none of their own.
func (d *Desired) prepend() {
	for _, key := range d.keys() {
		f := object(d.Objects[key].Body, "flow")
		if key.Kind != FlowSpecs || f == nil {
			continue
		}
		stages, _ := f["stages"].([]any)
		has := func(name string) bool {
			return slices.ContainsFunc(stages, func(x any) bool { o, _ := x.(map[string]any); return o[name] != nil })
		}
		var first []any
		if d.Sampling != nil && !has("sample") {
			first = append(first, map[string]any{"sample": plainBody(d.Sampling)})
		}
		if d.Masking != nil && !has("mask") {
			first = append(first, map[string]any{"mask": plainBody(d.Masking)})
		}
		if len(first) > 0 {
			f["stages"] = append(first, stages...)
		}
	}
}

// plainBody is a value's JSON.
func plainBody(v any) Body {
	raw, err := json.Marshal(v)
	if err == nil {
		var body Body
		if body, err = decodeBody(raw); err == nil {
			return body
		}
	}
	panic("BUG: " + err.Error()) // it came from JSON
}

// sampling and masking are what stages are called in a flow file.
func (env *environment) stages() (sampling *stage.Sample, masking *stage.Mask, err error) {
	if !nothing(env.Sampling) {
		sampling = new(stage.Sample)
		if err := section("sampling", env.Sampling, sampling); err != nil {
			return nil, nil, err
		}
	}
	if !nothing(env.Masking) {
		masking = new(stage.Mask)
		if err := section("masking", env.Masking, masking); err != nil {
			return nil, nil, err
		}
	}
	return sampling, masking, nil
}

func nothing(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

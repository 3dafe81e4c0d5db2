package cost

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The kinds of objects that say what indices and topics are to be; as the folders of declared environments.
const (
	IndexTemplates     = "index-templates"
	ComponentTemplates = "component-templates"
	ISMPolicies        = "ism-policies"
	KafkaTopics        = "kafka-topics"
)

// Objects are templates and policies: bodies as the system has them, by kind and name.
type Objects struct {
	all map[string]map[string]map[string]any
}

func newObjects() *Objects { return &Objects{map[string]map[string]map[string]any{}} }

// Set sets the body of an object; nil removes it. Kinds that say nothing of indices or topics are ignored.
func (o *Objects) Set(kind, name string, body map[string]any) {
	if !slices.Contains([]string{IndexTemplates, ComponentTemplates, ISMPolicies, KafkaTopics}, kind) {
		return
	}
	if o.all[kind] == nil {
		o.all[kind] = map[string]map[string]any{}
	}
	if body == nil {
		delete(o.all[kind], name)
		return
	}
	if inner, ok := body["policy"].(map[string]any); ok && kind == ISMPolicies {
		body = inner
	}
	o.all[kind][name] = body
}

// Clone gives objects of which some can be set without changing o.
func (o *Objects) Clone() *Objects {
	out := newObjects()
	if o != nil {
		for kind, all := range o.all {
			out.all[kind] = maps.Clone(all)
		}
	}
	return out
}

// A Life is what templates and policies make of the indices of a family.
type Life struct {
	Template  string  `json:"template,omitempty"`
	Policy    string  `json:"policy,omitempty"`
	Primaries int     `json:"primaries"` // 0: nothing says
	Replicas  int     `json:"replicas"`  // of a new index; -1: nothing says
	Codec     string  `json:"codec,omitempty"`
	Steps     []Step  `json:"steps,omitempty"`          // by age
	Retention float64 `json:"retention_days,omitempty"` // after which it is deleted; 0: never
	Size      Bytes   `json:"rollover_bytes,omitempty"` // of primary shards, at which there is a new index; 0: none
	ShardSize Bytes   `json:"rollover_shard_bytes,omitempty"`
	Days      float64 `json:"rollover_days,omitempty"`
	Unclear   string  `json:"unclear,omitempty"` // what of the policy cannot be told beforehand
}

// A Step is a number of replicas from an age on.
type Step struct {
	Days     float64 `json:"days"`
	Replicas int     `json:"replicas"`
}

// at is how many replicas an index of that age has.
func (l *Life) at(days float64, replicas int) int {
	for _, s := range l.Steps {
		if days >= s.Days {
			replicas = s.Replicas
		}
	}
	return replicas
}

// life says what becomes of new indices of the family whose newest has that name.
func (o *Objects) life(index string) Life {
	l := Life{Replicas: -1}
	if o == nil {
		return l
	}
	name := index
	if stream, ok := strings.CutPrefix(name, ".ds-"); ok { // a template knows the stream, not its indices
		name = stream
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			name = name[:i]
		}
	}
	settings := map[string]any{}
	if l.Template = o.best(IndexTemplates, name, func(body map[string]any) []map[string]any { return []map[string]any{body} }, "index_patterns"); l.Template != "" {
		body := o.all[IndexTemplates][l.Template]
		for _, component := range list(body["composed_of"]) {
			flatten(settings, o.all[ComponentTemplates][component])
		}
		flatten(settings, body)
		l.Primaries, l.Replicas = 1, 1 // what the system has when nothing is said
		l.Primaries = whole(settings["number_of_shards"], l.Primaries)
		l.Replicas = whole(settings["number_of_replicas"], l.Replicas)
		l.Codec, _ = settings["codec"].(string)
	}
	policy, _ := settings["plugins.index_state_management.policy_id"].(string)
	if o.all[ISMPolicies][policy] == nil {
		policy = o.best(ISMPolicies, index, ismTemplates, "index_patterns")
	}
	if policy == "" && index != name {
		policy = o.best(ISMPolicies, name, ismTemplates, "index_patterns")
	}
	if l.Policy = policy; policy != "" {
		l.walk(o.all[ISMPolicies][policy])
	}
	return l
}

func ismTemplates(body map[string]any) (all []map[string]any) {
	switch t := body["ism_template"].(type) {
	case map[string]any:
		return []map[string]any{t}
	case []any:
		for _, x := range t {
			if m, ok := x.(map[string]any); ok {
				all = append(all, m)
			}
		}
	}
	return all
}

// best is the object of the highest priority that has a pattern which matches the name.
func (o *Objects) best(kind, name string, of func(map[string]any) []map[string]any, patterns string) (best string) {
	highest := -1
	for _, object := range slices.Sorted(maps.Keys(o.all[kind])) {
		for _, t := range of(o.all[kind][object]) {
			priority := whole(t["priority"], 0)
			if priority > highest && matches(list(t[patterns]), name) {
				best, highest = object, priority
			}
		}
	}
	return best
}

// matches reports that one of the patterns, less those that begin with -, matches the name.
func matches(patterns []string, name string) bool {
	found := false
	for _, p := range patterns {
		if without, ok := strings.CutPrefix(p, "-"); ok {
			if yes, err := path.Match(without, name); err == nil && yes {
				return false
			}
			continue
		}
		yes, err := path.Match(p, name)
		found = found || err == nil && yes
	}
	return found
}

func list(v any) (out []string) {
	switch v := v.(type) {
	case string:
		return strings.Split(v, ",")
	case []any:
		for _, x := range v {
			if s, ok := x.(string); ok {
				out = append(out, s)
			}
		}
	}
	return out
}

// whole is a number as JSON has it, or a text of one.
func whole(v any, otherwise int) int {
	n, err := strconv.Atoi(strings.TrimSuffix(fmt.Sprint(v), ".0"))
	if err != nil || n < 0 || n > 1<<20 {
		return otherwise
	}
	return n
}

// flatten adds the settings of a template's body, without "index.".
func flatten(to map[string]any, body map[string]any) {
	template, _ := body["template"].(map[string]any)
	var walk func(prefix string, v any)
	walk = func(prefix string, v any) {
		if o, ok := v.(map[string]any); ok {
			for name, x := range o {
				walk(strings.TrimPrefix(prefix+"."+name, "."), x)
			}
			return
		}
		to[strings.TrimPrefix(prefix, "index.")] = v
	}
	walk("", template["settings"])
}

// walk follows a policy's states as time goes by. Transitions that depend on something else than time end the walk: what
// comes then is not known.
func (l *Life) walk(policy map[string]any) {
	states := map[string]map[string]any{}
	var first string
	for i, x := range array(policy["states"]) {
		s, _ := x.(map[string]any)
		name, _ := s["name"].(string)
		if i == 0 {
			first = name
		}
		states[name] = s
	}
	if name, ok := policy["default_state"].(string); ok {
		first = name
	}
	age, since := 0.0, 0.0 // days since creation; of these, before the rollover
	for name := first; states[name] != nil; {
		state := states[name]
		delete(states, name) // a policy may go round
		for _, x := range array(state["actions"]) {
			action, _ := x.(map[string]any)
			if l.act(action, age) {
				return
			}
			if action["rollover"] != nil {
				since = l.Days
			}
		}
		next, at, ok := "", 0.0, false
		for _, x := range array(state["transitions"]) {
			t, _ := x.(map[string]any)
			to, _ := t["state_name"].(string)
			conditions, _ := t["conditions"].(map[string]any)
			when := age
			switch {
			case len(conditions) == 0:
			case conditions["min_index_age"] != nil:
				when = days(conditions["min_index_age"])
			case conditions["min_rollover_age"] != nil:
				when = since + days(conditions["min_rollover_age"])
			default:
				l.Unclear = fmt.Sprintf("when state %s of policy %s ends depends on %s", name, l.Policy, strings.Join(slices.Sorted(maps.Keys(conditions)), ", "))
				continue
			}
			if !ok || when < at {
				next, at, ok = to, when, true
			}
		}
		if !ok {
			return
		}
		name, age = next, max(age, at)
	}
}

// act does what an action does at that age; true: the index is deleted.
func (l *Life) act(action map[string]any, age float64) (deleted bool) {
	if action["delete"] != nil {
		l.Retention = max(age, 1.0/24)
		return true
	}
	if r, ok := action["replica_count"].(map[string]any); ok {
		l.Steps = append(l.Steps, Step{age, whole(r["number_of_replicas"], 0)})
	}
	if r, ok := action["rollover"].(map[string]any); ok {
		l.Size, l.ShardSize, l.Days = size(r["min_size"]), size(r["min_primary_shard_size"]), days(r["min_index_age"])
	}
	return false
}

func array(v any) []any {
	a, _ := v.([]any)
	return a
}

// days reads the system's way to write times: 30d, 12h.
func days(v any) float64 {
	s := strings.ToLower(strings.TrimSpace(fmt.Sprint(v)))
	for _, u := range []struct {
		name string
		days float64
	}{{"ms", 1.0 / 86400000}, {"d", 1}, {"h", 1.0 / 24}, {"m", 1.0 / 1440}, {"s", 1.0 / 86400}} {
		if n, ok := strings.CutSuffix(s, u.name); ok {
			f, err := strconv.ParseFloat(n, 64)
			if err != nil || f < 0 || f > 1e6 {
				return 0
			}
			return f * u.days
		}
	}
	return 0
}

// size reads the system's way to write sizes: 50gb, of 1024.
func size(v any) Bytes {
	s := strings.ToLower(strings.TrimSpace(fmt.Sprint(v)))
	for _, u := range []struct {
		name string
		unit Bytes
	}{{"pb", PiB}, {"tb", TiB}, {"gb", GiB}, {"mb", MiB}, {"kb", KiB}, {"b", 1}} {
		if n, ok := strings.CutSuffix(s, u.name); ok {
			f, err := strconv.ParseFloat(n, 64)
			if err != nil || f < 0 || f*float64(u.unit) > 1<<60 {
				return 0
			}
			return Bytes(f * float64(u.unit))
		}
	}
	return 0
}

// Body reads a body of an object as JSON.
func Body(text json.RawMessage) (map[string]any, error) {
	var body map[string]any
	err := json.Unmarshal(text, &body)
	return body, err
}

func shortDays(d float64) string {
	switch {
	case d >= 1 || d == 0:
		return strconv.FormatFloat(d, 'f', -1, 64) + "d"
	default:
		return time.Duration(d * 24 * float64(time.Hour)).Round(time.Minute).String()
	}
}

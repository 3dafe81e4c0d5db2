package estate

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/narudata/naru/internal/words"
)

// staticSettings are those of an index that are set when it is made, and stay.
var staticSettings = []string{
	"index.number_of_shards", "index.number_of_routing_shards", "index.routing_partition_size", "index.codec", "index.sort", "index.soft_deletes.enabled",
	"index.analysis", "index.similarity", "index.store.type", "index.mode", "index.knn", "index.replication.type", "index.shard.check_on_startup",
	"index.load_fixed_bitset_filters_eagerly", "index.hidden", "index.mapping.nested_fields.limit", "index.data_path",
}

// explain says what a change means: for each field, and beyond.
func explain(ch *Change, d *Desired, o *Observed, now time.Time) {
	if ch.Problem == "" && ch.Kind == IndexTemplates && len(ch.Body) > 0 {
		ch.Problem = conflicts(ch.Name, decoded(ch.Body), d, o)
	}
	if ch.Problem == "" && ch.Kind == RoleMappings && len(ch.Body) > 0 {
		ch.Problem = o.roleless(ch.Name, d)
	}
	if ch.Problem != "" {
		ch.Risk = High
		return
	}
	switch ch.Action {
	case Adopt:
		if len(ch.Fields) > 0 {
			ch.Effects = append(ch.Effects, fmt.Sprintf("it is taken over as it is; the next plan shows what is different as a change (%d so far)", len(ch.Fields)))
		} else {
			ch.Effects = append(ch.Effects, "it is as declared; only the record is written")
		}
		return
	case Forget:
		ch.Effects = append(ch.Effects, "it is not in the cluster, or not naru's: only the record goes")
		return
	case Create:
		ch.Risk = Low
		if ch.Before.Record.Term != 0 && !ch.pending {
			ch.Effects = append(ch.Effects, "somebody deleted it since it was applied")
		}
	case Update, Delete:
		ch.Risk = Low
	}
	switch ch.Kind {
	case IndexTemplates, ComponentTemplates:
		explainTemplate(ch, d, o)
	case ISMPolicies:
		explainISM(ch, o, now)
	case IngestPipelines:
		explainPipeline(ch, d, o)
	case Aliases:
		explainAlias(ch)
	case ClusterSettings:
		ch.Risk = worse(ch.Risk, Medium)
		ch.Effects = append(ch.Effects, "takes effect at once, on all nodes")
	case SnapshotPolicies:
		explainSnapshots(ch)
	case ActionGroups, Roles, RoleMappings:
		explainAccess(ch)
		ch.unmapped(d, o)
	case Tenants:
	case KafkaTopics:
		explainTopic(ch, d, o)
	case KafkaACLs:
		explainACLs(ch, d, o)
	case KafkaQuotas:
		explainQuota(ch)
	case KafkaGroups:
		explainGroup(ch)
	case SavedObjects:
		explainSaved(ch)
	case Pipelines, FlowSpecs:
		explainFlow(ch, o)
	}
	if ch.grave {
		ch.Risk = High
	}
	for i := range ch.Fields {
		ch.Risk = worse(ch.Risk, ch.Fields[i].Risk)
	}
	if ch.Kind == KafkaGroups {
		ch.Outside = false // partitions were added, or offsets expired
	}
	if ch.Outside && ch.Action != Create {
		ch.Effects = append(ch.Effects, "somebody changed it since it was applied; what they set is lost")
		ch.Risk = worse(ch.Risk, Medium)
	}
}

// matching gives the indices that one of the patterns matches.
func (o *Observed) matching(patterns []string) []IndexFact {
	var out []IndexFact
	for _, x := range o.Indices {
		if slices.ContainsFunc(patterns, func(p string) bool { ok, err := path.Match(p, x.Name); return err == nil && ok }) {
			out = append(out, x)
		}
	}
	return out
}

// patternsOf are those of the template; of a component, those of all templates that name it.
func patternsOf(key Key, d *Desired, o *Observed) (patterns, templates []string) {
	r := o.references(d)
	switch key.Kind {
	case IndexTemplates:
		if own, ok := r.patterns[key.Name]; ok {
			return own, []string{key.Name}
		}
	case ComponentTemplates:
		templates = r.components[key.Name]
		for _, name := range templates {
			patterns = append(patterns, r.patterns[name]...)
		}
	default:
	}
	return patterns, templates
}

func explainTemplate(ch *Change, d *Desired, o *Observed) {
	patterns, templates := patternsOf(ch.Key, d, o)
	n := len(o.matching(patterns))
	stay := "existing indices stay as they are"
	if n > 0 {
		stay = fmt.Sprintf("the %s that match now stay as they are", words.Count(n, "index"))
		if n == 1 {
			stay = "the 1 index that matches now stays as it is"
		}
	}
	if ch.Kind == ComponentTemplates && len(templates) > 0 {
		ch.Effects = append(ch.Effects, "part of "+words.Of(len(templates), "index template", "index templates")+": "+shortList(templates))
	}
	switch ch.Action {
	case Create:
		if n > 0 {
			ch.Effects = append(ch.Effects, "for new indices only: "+stay)
		}
		return
	case Delete:
		ch.Risk = worse(ch.Risk, Medium)
		ch.Effects = append(ch.Effects, "new indices are made without it; "+stay)
		return
	case Update, Adopt, Forget:
	}
	rollover := "needs a rollover"
	if n > 0 {
		rollover += fmt.Sprintf(" (%s without it until then)", words.Count(n, "index"))
	}
	for i := range ch.Fields {
		f := &ch.Fields[i]
		f.Risk = Low
		setting := strings.TrimPrefix(f.Path, "template.settings.")
		switch {
		case under(f.Path, "index_patterns"):
			f.Risk, f.Means = Medium, newlyMatching(f, o)
		case under(f.Path, "priority"):
			f.Risk, f.Means = Medium, "another template may win for indices that several match"
		case under(f.Path, "composed_of"):
			f.Risk, f.Means = Medium, rollover
		case setting != f.Path && under(setting, staticSettings...):
			f.Risk, f.Means = Medium, "static: needs a new index; "+stay
		case setting != f.Path:
			f.Means = rollover + ", or set it on them"
		case strings.HasSuffix(f.Path, ".type") && under(f.Path, "template.mappings") && len(f.From) > 0 && len(f.To) > 0:
			f.Risk, f.Means = Medium, rollover+"; searches over old and new indices see both types; old documents need a reindex"
		case under(f.Path, "template.mappings"):
			f.Means = rollover
		case under(f.Path, "template.aliases"):
			f.Means = "for new indices only"
		case under(f.Path, "version", "_meta"):
			f.Risk, f.Means = NoRisk, "a note; nothing depends on it"
		case under(f.Path, "data_stream"):
			f.Risk, f.Means = High, "decides whether new names are data streams or indices"
		}
	}
}

func newlyMatching(f *Field, o *Observed) string {
	before, after := o.matching(patternList(f.From)), o.matching(patternList(f.To))
	gained, lost := 0, 0
	for _, x := range after {
		if !slices.Contains(before, x) {
			gained++
		}
	}
	for _, x := range before {
		if !slices.Contains(after, x) {
			lost++
		}
	}
	return fmt.Sprintf("names like those of %s more and %s fewer get it from now on", words.Count(gained, "index"), words.Count(lost, "index"))
}

func patternList(raw json.RawMessage) []string {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return nil
	}
	return texts(v)
}

func shortList(names []string) string {
	const most = 5
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

func explainPipeline(ch *Change, d *Desired, o *Observed) {
	ch.Risk = worse(ch.Risk, Medium)
	users := o.references(d).pipelines[ch.Name]
	switch ch.Action {
	case Create:
		ch.Risk = Low
	case Update:
		ch.Effects = append(ch.Effects, "documents from now on; what is indexed stays as it is")
		ch.Irreversible = "what it does to documents in the meantime"
	case Delete:
		ch.Effects = append(ch.Effects, "writes that name it fail")
		ch.Risk = High
	case Adopt, Forget:
	}
	if len(users) > 0 {
		ch.Effects = append(ch.Effects, "named by "+shortList(users))
	}
}

func explainAlias(ch *Change) {
	for i := range ch.Fields {
		f := &ch.Fields[i]
		name := strings.TrimPrefix(f.Path, "indices.")
		switch {
		case strings.HasSuffix(f.Path, ".is_write_index"):
			f.Risk, f.Means = High, "writes by the alias go to another index, or to none"
		case strings.HasSuffix(f.Path, ".filter") || strings.Contains(f.Path, ".filter."):
			f.Risk, f.Means = Medium, "searches by the alias see other documents"
		case strings.HasSuffix(f.Path, "_routing"):
			f.Risk, f.Means = Medium, "searches and writes by the alias go to other shards"
		case len(f.From) == 0:
			f.Risk, f.Means = Low, "searches by the alias see "+name+" too"
		case len(f.To) == 0:
			f.Risk, f.Means = Medium, "searches by the alias do not see "+name+" any more"
		}
	}
	if ch.Action == Delete {
		ch.Risk = High
		ch.Effects = append(ch.Effects, "requests that name it fail, or make an index of that name; its indices stay")
	}
}

func explainSnapshots(ch *Change) {
	for i := range ch.Fields {
		f := &ch.Fields[i]
		switch {
		case under(f.Path, "deletion.condition"), under(f.Path, "deletion") && len(f.From) == 0:
			f.Risk, f.Means = High, "the next run deletes the snapshots that are too old or too many by it"
			ch.Irreversible = "snapshots that are deleted in the meantime"
		case under(f.Path, "creation"):
			f.Risk, f.Means = Medium, "when snapshots are taken"
		case under(f.Path, "snapshot_config"):
			f.Risk, f.Means = Medium, "what is in snapshots from now on"
		case under(f.Path, "enabled"):
			f.Risk, f.Means = Medium, "whether snapshots are taken at all"
		}
	}
	if ch.Action == Delete {
		ch.Risk = High
		ch.Effects = append(ch.Effects, "no more snapshots are taken or deleted by it; those there stay")
	}
}

func explainAccess(ch *Change) {
	for i := range ch.Fields {
		f := &ch.Fields[i]
		f.Risk = Medium
		switch gained, lost := listChange(f); {
		case under(f.Path, "description"):
			f.Risk, f.Means = NoRisk, ""
		case len(gained)+len(lost) > 0:
			var parts []string
			if len(gained) > 0 {
				parts = append(parts, "gives "+shortList(gained))
				f.Risk = High
			}
			if len(lost) > 0 {
				parts = append(parts, "takes "+shortList(lost))
			}
			f.Means = strings.Join(parts, "; ")
		default:
			f.Means = "who may do what changes at once"
		}
	}
	switch ch.Action {
	case Create:
		ch.Risk = Medium
	case Delete:
		ch.Risk = High
		ch.Effects = append(ch.Effects, "who has it loses what it allows, at once")
	case Update, Adopt, Forget:
	}
}

// listChange gives what a list of texts gains and loses.
func listChange(f *Field) (gained, lost []string) {
	before, after := patternList(f.From), patternList(f.To)
	for _, x := range after {
		if !slices.Contains(before, x) {
			gained = append(gained, x)
		}
	}
	for _, x := range before {
		if !slices.Contains(after, x) {
			lost = append(lost, x)
		}
	}
	return gained, lost
}

// explainISM says what a change of a policy does to the indices that it manages. An index keeps the version of the policy
// with which it came under it, until somebody gives it the new one (_plugins/_ism/change_policy).
func explainISM(ch *Change, o *Observed, now time.Time) {
	var own []IndexFact
	for _, x := range o.Indices {
		if o.manages[x.Name].policy == ch.Name {
			own = append(own, x)
		}
	}
	live := o.view(ch.Key)
	switch ch.Action {
	case Create:
		return
	case Delete:
		ch.Risk = Medium
		ch.Effects = append(ch.Effects, words.Of(len(own), "index that it manages keeps", "indices that it manages keep")+" the version they have; new ones have none")
		return
	case Update, Adopt, Forget:
	}
	was, will := deleteAge(canonical(ch.Key, bodyOf(live))), deleteAge(canonical(ch.Key, decoded(ch.Body)))
	for i := range ch.Fields {
		f := &ch.Fields[i]
		f.Risk = Low
		switch {
		case under(f.Path, "description"):
			f.Risk = NoRisk
		case under(f.Path, "ism_template"):
			f.Risk, f.Means = Medium, "which new indices it manages"
		case strings.HasSuffix(f.Path, "min_index_age") && will != nil && (was == nil || *will != *was):
			f.Means, f.Risk = "when indices are deleted", Medium
		}
	}
	if ch.ChangeManaged {
		explainManaged(ch, o)
	} else if len(own) > 0 {
		keep := "keep the version they have"
		if len(own) == 1 {
			keep = "keeps the version it has"
		}
		ch.Effects = append(ch.Effects, fmt.Sprintf("manages %s now, which %s until change_policy; new indices get this one", words.Count(len(own), "index"), keep))
	}
	if will == nil || was != nil && *will >= *was {
		return
	}
	n, bytes := 0, int64(0)
	for _, x := range own {
		age := now.Sub(x.Created)
		if age >= *will && (was == nil || age < *was) {
			n++
			bytes += x.Bytes
		}
	}
	ch.Risk = High
	ch.Irreversible = "indices that are deleted in the meantime"
	what := "deletes indices " + days(*will) + " old"
	if was != nil {
		what += ", not " + days(*was)
	}
	switch {
	case o.manages == nil:
		what += "; which it manages is not known"
	case n > 0:
		what += fmt.Sprintf(": %s of %s now, with the new version", words.Count(n, "index"), gibibytes(bytes))
	default:
		what += ": none of those there now"
	}
	ch.Effects = append(ch.Effects, what)
}

// deleteAge is the least age at which a policy deletes: that of the transition to a state with a delete action. nil: it
// deletes nothing by age.
func deleteAge(policy Body) *time.Duration {
	states, _ := policy["states"].([]any)
	deletes := map[string]bool{}
	for _, x := range states {
		state, _ := x.(map[string]any)
		actions, _ := state["actions"].([]any)
		for _, a := range actions {
			if action, ok := a.(map[string]any); ok && action["delete"] != nil {
				name, _ := state["name"].(string)
				deletes[name] = true
			}
		}
	}
	var least *time.Duration
	for _, x := range states {
		state, _ := x.(map[string]any)
		transitions, _ := state["transitions"].([]any)
		for _, t := range transitions {
			transition, _ := t.(map[string]any)
			to, _ := transition["state_name"].(string)
			text, _ := object(transition, "conditions")["min_index_age"].(string)
			if age, ok := timeValue(text); ok && deletes[to] && (least == nil || age < *least) {
				least = &age
			}
		}
	}
	return least
}

// timeValue reads a time as the system writes it: 30d, 12h, 5m.
func timeValue(s string) (time.Duration, bool) {
	for _, u := range []struct {
		suffix string
		unit   time.Duration
	}{{"nanos", 1}, {"micros", time.Microsecond}, {"ms", time.Millisecond}, {"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}, {"d", 24 * time.Hour}} {
		if digits, ok := strings.CutSuffix(strings.ToLower(strings.TrimSpace(s)), u.suffix); ok {
			n, err := strconv.ParseFloat(digits, 64)
			if err != nil || n < 0 || n*float64(u.unit) > float64(1<<62) {
				continue
			}
			return time.Duration(n * float64(u.unit)), true
		}
	}
	return 0, false
}

// days writes a duration as people say ages.
func days(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= day && d%day == 0 {
		return words.Of(int(d/day), "day", "days")
	}
	if d >= time.Hour && d%time.Hour == 0 {
		return words.Of(int(d/time.Hour), "hour", "hours")
	}
	return d.String()
}

func gibibytes(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d B", n)
}

package estate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/internal/words"
)

// inquired is what was asked about the changes of a plan, for what they mean.
type inquired struct {
	topics map[string]*kafka.TopicFacts
	older  map[string]int64 // records of topics that come before the bound of a retention to be
}

// inquire has systems that can say whether they would do a change, and what it touches. What they would refuse is the change's
// problem.
func (o *Observed) inquire(ctx context.Context, t *Target, changes []Change, now time.Time) error {
	o.inquired = &inquired{topics: map[string]*kafka.TopicFacts{}, older: map[string]int64{}}
	var touched []string
	for i := range changes {
		ch := &changes[i]
		if ch.Kind == KafkaTopics && (ch.Action == Update || ch.Action == Delete) {
			touched = append(touched, ch.Name)
		}
	}
	var mu sync.Mutex // guards o.inquired.older
	g, ctx := errgroup.WithContext(ctx)
	const questions = 8 // at a time
	g.SetLimit(questions)
	if len(touched) > 0 {
		g.Go(func() (err error) {
			o.inquired.topics, err = t.Kafka.TopicFacts(ctx, touched)
			return err
		})
	}
	for i := range changes {
		ch := &changes[i]
		if ch.Problem != "" || ch.Action != Create && ch.Action != Update && (ch.Action != Delete || ch.Kind != SavedObjects) {
			continue
		}
		live := o.view(ch.Key, ch.bodies(o.Records[ch.Key])...)
		if ask := kinds[ch.Kind].inquire; ask != nil {
			g.Go(func() error {
				err := ask(ctx, t, ch, live)
				if r, no := errors.AsType[*kafka.RefusedError](err); no {
					ch.Problem = r.Why
					return nil
				}
				if err != nil {
					return fmt.Errorf("ask about %s: %w", ch.Key, err)
				}
				return nil
			})
		}
		if ch.Kind != KafkaTopics || ch.Action != Update {
			continue
		}
		if keep, ok := shorterRetention(ch, live); ok {
			g.Go(func() error {
				n, err := t.Kafka.Older(ctx, ch.Name, now.Add(-keep))
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					o.inquired.older[ch.Name] = n
				}
				return ctx.Err() // else: not known
			})
		}
	}
	return g.Wait()
}

// loses adds what an undo does not bring back.
func (ch *Change) loses(what string) {
	switch {
	case ch.Irreversible == "":
		ch.Irreversible = what
	case !strings.Contains(ch.Irreversible, what):
		ch.Irreversible += "; " + what
	}
}

func stateOf(live *Live) *kafka.TopicState {
	if live == nil {
		return nil
	}
	s, _ := live.state.(*kafka.TopicState)
	return s
}

// becomes gives what a configuration is and will be, by default where it is not set. "": not known.
func becomes(ch *Change, live *Live, name string) (is, will string) {
	s := stateOf(live)
	if s == nil {
		return "", ""
	}
	will, ok := topicConfigs(decoded(ch.Body))[name]
	if !ok {
		will = s.Defaults[name]
	}
	return configText(name, s.Value(name)), configText(name, will)
}

// shorterRetention gives the age at which records will be deleted, if that is less than now.
func shorterRetention(ch *Change, live *Live) (time.Duration, bool) {
	bound := func(policy, ms string) int64 {
		n, err := strconv.ParseInt(ms, 10, 64)
		if err != nil || n < 0 || policy == "compact" {
			return -1
		}
		return n
	}
	wasPolicy, policy := becomes(ch, live, "cleanup.policy")
	was, will := becomes(ch, live, "retention.ms")
	before, after := bound(wasPolicy, was), bound(policy, will)
	if after < 0 || before >= 0 && before <= after {
		return 0, false
	}
	const longest = 100 * 365 * 24 * time.Hour
	return min(time.Duration(min(after, longest.Milliseconds()))*time.Millisecond, longest), true
}

func explainTopic(ch *Change, d *Desired, o *Observed) {
	live := o.view(ch.Key, ch.bodies(o.Records[ch.Key])...)
	facts := o.inquired.topics[ch.Name]
	if ch.Action == Delete {
		ch.Risk = High
		ch.loses("its records")
		if facts != nil {
			ch.Effects = append(ch.Effects, "deletes "+contents(facts))
			ch.readers(facts)
		}
		return
	}
	if why := inSync(decoded(ch.Body), live); why != "" {
		ch.Problem, ch.Risk = why, High
		return
	}
	if ch.Action == Create {
		if ch.Before.Record.Term != 0 && !ch.pending {
			ch.Effects = append(ch.Effects, "what was in it is gone, and offsets that groups have of it are of another topic")
		}
		return
	}
	for i := range ch.Fields {
		f := &ch.Fields[i]
		f.Risk = Low
		name, config := strings.CutPrefix(f.Path, "configs.")
		switch {
		case f.Path == "partitions":
			f.Risk = Medium
			f.Means = "keys go to other partitions from now on: records of one key from before and after are not in order; partitions cannot be taken away again"
			if _, policy := becomes(ch, live, "cleanup.policy"); strings.Contains(policy, "compact") {
				f.Risk = High
				f.Means += "; compaction keeps the old value of a key where it was, beside the new one"
			}
			ch.loses("the number of partitions")
			ch.beginsLater(d)
		case f.Path == "replicationFactor":
			explainCopies(f, facts)
		case config:
			explainConfig(ch, f, name, o, live)
		}
	}
	if keep, ok := shorterRetention(ch, live); ok {
		explainRetention(ch, o, keep)
	}
}

// beginsLater names the declared groups that have no offsets in partitions that are added.
func (ch *Change) beginsLater(d *Desired) {
	var groups []string
	for _, key := range d.keys() {
		if key.Kind == KafkaGroups && object(d.Objects[key].Body, "topics")[ch.Name] != nil {
			groups = append(groups, key.Name)
		}
	}
	if len(groups) > 0 {
		ch.Effects = append(ch.Effects, "where "+shortList(groups)+" begins in the partitions that are added is a change of the next plan")
	}
}

func contents(f *kafka.TopicFacts) string {
	s := words.Of(int(f.Records), "record", "records")
	if f.Bytes >= 0 {
		s += fmt.Sprintf(", %s in all copies", gibibytes(f.Bytes))
	}
	return s
}

// readers names the groups that read the topic.
func (ch *Change) readers(f *kafka.TopicFacts) {
	var names []string
	for _, g := range f.Groups {
		name := g.Group
		if g.Members > 0 {
			name += " (" + words.Of(g.Members, "member", "members") + ")"
		}
		names = append(names, name)
	}
	if f.Unknown != "" {
		ch.Effects = append(ch.Effects, "other groups may read it: "+f.Unknown)
	}
	if len(names) > 0 {
		ch.Effects = append(ch.Effects, "read by "+words.Of(len(names), "group", "groups")+": "+shortList(names))
	}
}

func explainCopies(f *Field, facts *kafka.TopicFacts) {
	is, err1 := strconv.Atoi(string(f.From))
	will, err2 := strconv.Atoi(string(f.To))
	f.Risk = Medium
	switch {
	case err1 != nil || err2 != nil:
		f.Means = "partitions have different numbers of copies now; a reassignment makes them the same"
	case will < is:
		f.Means = "a reassignment takes copies away: fewer brokers may be lost"
	default:
		f.Means = "a reassignment copies it to other brokers"
		if facts != nil && facts.Copies >= 0 {
			f.Means += fmt.Sprintf(", %s, as fast as they can (set leader.replication.throttled.rate first to slow it down)", gibibytes(facts.Copies*int64(will-is)))
		}
	}
}

func explainConfig(ch *Change, f *Field, name string, o *Observed, live *Live) {
	was, will := becomes(ch, live, name)
	before, err1 := strconv.ParseInt(was, 10, 64)
	after, err2 := strconv.ParseInt(will, 10, 64)
	numbers := err1 == nil && err2 == nil
	facts := o.inquired.topics[ch.Name]
	if len(f.To) == 0 && will != "" {
		f.Means = "back to the brokers' " + will
	}
	means := func(risk Risk, text string) {
		f.Risk = risk
		if f.Means != "" {
			text = f.Means + ": " + text
		}
		f.Means = text
	}
	switch name {
	case "retention.ms":
		if numbers && (after < 0 || before >= 0 && after > before) {
			means(Low, "records are kept for longer: the topic grows")
		} else if numbers && after != before {
			means(Medium, "when records are deleted")
		}
	case "retention.bytes":
		if !numbers || after < 0 || before >= 0 && before <= after {
			break
		}
		means(High, "the oldest records of partitions beyond it are deleted")
		ch.loses("records that are deleted in the meantime")
		if facts != nil && len(facts.Largest) > 0 {
			n, over := 0, int64(0)
			for _, size := range facts.Largest {
				if size > after {
					n++
					over += size - after
				}
			}
			ch.Effects = append(ch.Effects, fmt.Sprintf("%s larger than that now, by %s in each copy", words.Of(n, "partition is", "partitions are"), gibibytes(over)))
		}
	case "cleanup.policy":
		explainPolicy(ch, was, will, means)
	case "compression.type":
		means(Medium, "the brokers write batches anew as "+will+" from now on, and what is in it stays")
		if will == "producer" {
			means(Low, "batches stay as producers send them")
		}
		if facts != nil {
			for _, g := range facts.Groups {
				if why := kafka.Codec(will).Unread(g.Library); why != "" {
					f.Risk = High
					ch.Effects = append(ch.Effects, fmt.Sprintf("group %s reads it, with %s as it seems (%s): %s", g.Group, g.Library, g.Because, why))
				}
			}
		}
	case "min.insync.replicas":
		if numbers && after > before {
			means(Medium, "writes with acks=all fail while fewer copies are in sync")
		} else {
			means(Medium, "writes with acks=all are confirmed with fewer copies")
		}
	case "max.message.bytes":
		if numbers && after < before {
			means(Medium, "producers' larger batches are refused")
		}
	case "unclean.leader.election.enable":
		if will == "true" {
			means(High, "a copy that lags behind may lead: records that were confirmed can be lost")
		}
	case "message.timestamp.type", "message.format.version":
		means(Medium, "what the time of a record is, for retention and for readers, from now on")
	}
}

func explainPolicy(ch *Change, was, will string, means func(Risk, string)) {
	compacted, compacts := strings.Contains(was, "compact"), strings.Contains(will, "compact")
	switch {
	case compacts && !compacted:
		means(High, "all but the last record of each key goes, and records without a key are refused")
		ch.loses("records that are compacted away in the meantime")
	case compacted && !compacts:
		means(High, "retention deletes the last record of a key too")
		ch.loses("records that are deleted in the meantime")
	default:
		means(Medium, "what is deleted")
	}
}

func explainRetention(ch *Change, o *Observed, keep time.Duration) {
	line := "deletes records older than " + days(keep)
	n, known := o.inquired.older[ch.Name]
	facts := o.inquired.topics[ch.Name]
	switch {
	case !known:
		line += "; how many is not known"
	case n == 0:
		line += ": none of those there now"
	default:
		line += fmt.Sprintf(": up to %s now", words.Of(int(n), "record", "records"))
		if facts != nil && facts.Records > 0 {
			line += fmt.Sprintf(" of %d", facts.Records)
			if facts.Bytes > 0 {
				line += fmt.Sprintf(", about %s in all copies", gibibytes(int64(float64(facts.Bytes)*min(1, float64(n)/float64(facts.Records)))))
			}
		}
	}
	ch.Effects = append(ch.Effects, line)
	ch.loses("records that are deleted in the meantime")
	if ch.Risk = worse(ch.Risk, Medium); n > 0 || !known {
		ch.Risk = High
	}
	if facts != nil && n > 0 {
		ch.readers(facts)
	}
}

func explainACLs(ch *Change, d *Desired, o *Observed) {
	for i := range ch.Fields {
		f := &ch.Fields[i]
		deny := strings.HasPrefix(f.Path, "acls.DENY ")
		if (len(f.From) == 0) != deny {
			f.Risk, f.Means = High, "gives access"
		} else {
			f.Risk, f.Means = Medium, "takes access, at once"
		}
	}
	ch.Risk = worse(ch.Risk, Medium)
	if ch.Action == Delete {
		ch.Risk = High
		ch.Effects = append(ch.Effects, "all of them go, at once")
	}
	body := decoded(ch.Body)
	if first := o.firstACLs(body); len(first) > 0 {
		ch.Effects = append(ch.Effects, "the first ACL of "+shortList(first)+": with allow.everyone.if.no.acl.found, which brokers do not tell, it shuts out all others")
	}
	if ch.Action == Delete {
		body = o.Records[ch.Key].declared()
	}
	if k := d.Kafka; k != nil && k.SASL != nil && k.SASL.Username != "" && scopeOf(body).principal == "User:"+k.SASL.Username {
		ch.Effects = append(ch.Effects, "naru itself asks as this principal")
	}
}

// firstACLs names the resources of a list that have no ACL yet.
func (o *Observed) firstACLs(body Body) []string {
	acls, err := aclsOf(body)
	whole := o.live[KafkaACLs][wholeCluster]
	if err != nil || whole == nil {
		return nil
	}
	all, _ := whole.state.([]kafka.ACL)
	var out []string
	for _, a := range acls {
		name := a.ResourceType + " " + a.ResourceName
		has := func(b kafka.ACL) bool { return b.ResourceType == a.ResourceType && b.ResourceName == a.ResourceName }
		if a.PatternType == "LITERAL" && a.ResourceType != "CLUSTER" && !slices.ContainsFunc(all, has) && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

func explainQuota(ch *Change) {
	for i := range ch.Fields {
		f := &ch.Fields[i]
		was, err1 := strconv.ParseFloat(string(f.From), 64)
		will, err2 := strconv.ParseFloat(string(f.To), 64)
		switch {
		case len(f.To) == 0:
			f.Risk, f.Means = Medium, "no bound any more, or that of a wider entity"
		case len(f.From) == 0 || err1 == nil && err2 == nil && will < was:
			f.Risk, f.Means = Medium, "clients beyond it are slowed down at once"
		default:
			f.Risk = Low
		}
	}
	switch ch.Action {
	case Create:
		ch.Risk = Medium
		ch.Effects = append(ch.Effects, "clients beyond it are slowed down at once")
	case Delete:
		ch.Risk = Medium
		ch.Effects = append(ch.Effects, "no bound any more, or that of a wider entity")
	case Update, Adopt, Forget:
	}
}

func explainGroup(ch *Change) {
	for i := range ch.Fields {
		f := &ch.Fields[i]
		if strings.HasSuffix(f.Path, ".move") {
			var name string
			_ = json.Unmarshal(f.To, &name) // it is a text
			f.Risk, f.Means = High, "the group is moved, once"
			ch.loses("what the group does with records that it reads again, or skips")
		} else {
			f.Risk, f.Means = Low, "offsets where it has none"
		}
	}
}

// undoTopic says what an undo of a topic's change cannot do.
func undoTopic(ch *Change, live *Live) {
	switch ch.Action {
	case Delete:
		ch.Risk = High
		ch.loses("its records")
	case Create:
		ch.Effects = append(ch.Effects, "its records do not come back")
	case Update:
		before := decoded(ch.Body)
		is := whole(live.Body["partitions"])
		if whole(before["partitions"]) >= is {
			return
		}
		before["partitions"] = live.Body["partitions"]
		ch.Body, ch.Declared = text(before), text(before)
		if ch.Then != nil {
			then := *ch.Then
			then.Declared, then.Observed = withPartitions(then.Declared, is), withPartitions(then.Observed, is)
			ch.Then = &then
		}
		ch.Fields = slices.DeleteFunc(ch.Fields, func(f Field) bool { return f.Path == "partitions" })
		ch.Effects = append(ch.Effects, fmt.Sprintf("it keeps its %d partitions, which cannot be taken away; declare them", is))
		if len(ch.Fields) == 0 {
			ch.Action, ch.Body = Adopt, nil
		}
	case Adopt, Forget:
	}
}

func withPartitions(raw json.RawMessage, n int64) json.RawMessage {
	body := decoded(raw)
	if body == nil {
		return raw
	}
	body["partitions"] = json.Number(strconv.FormatInt(n, 10))
	return text(body)
}

package kafka

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/narudata/naru/flow"
)

// LagOptions say of which groups the lag is asked, and what is too much.
type LagOptions struct {
	Which                  // groups
	Topics   flow.Patterns // of topics; none: all
	For      time.Duration // between the two samples; at least a second or so
	MaxLag   int64         // records of a group in a topic; 0: any number is fine
	MaxLate  time.Duration // age of the oldest unread record; 0: any is fine
	WarnLoss time.Duration // time until retention may delete unread records; 0: not looked at
}

// A LagReport is the lag of groups.
type LagReport struct {
	Cluster  string     `json:"cluster"`
	At       time.Time  `json:"at"`
	Seconds  float64    `json:"seconds"` // between the samples
	Lags     []TopicLag `json:"lags"`
	Findings []string   `json:"findings,omitempty"` // what is more than was allowed, or lost
	Notes    []string   `json:"notes,omitempty"`
}

// Trends of a lag.
const (
	TrendNone     = "caught up"   // nothing is unread
	TrendCatching = "catching up" // more is read than is written
	TrendSteady   = "steady"      // as much is read as is written
	TrendGrows    = "grows"       // less is read than is written
	TrendStands   = "stands"      // nothing is read and nothing is written
)

// A TopicLag is how far a group is behind in a topic. Durations that are nil are not known, or do not come.
type TopicLag struct {
	Group       string         `json:"group"`
	Kind        string         `json:"kind"`
	State       string         `json:"state"`
	Members     int            `json:"members"`
	Topic       string         `json:"topic"`
	Lag         int64          `json:"lag"`            // records unread
	Late        *float64       `json:"late_seconds"`   // age of the oldest unread record, by this machine's clock
	Behind      *float64       `json:"behind_seconds"` // from its timestamp to the newest one of its partition
	Consumed    float64        `json:"consumed_per_second"`
	Produced    float64        `json:"produced_per_second"`
	Trend       string         `json:"trend"`
	CaughtUp    *float64       `json:"caught_up_in_seconds"`
	Retention   *float64       `json:"retention_in_seconds"`  // until unread records may be deleted; 0: now
	Lost        int64          `json:"lost"`                  // records deleted before they were read
	Beyond      int            `json:"beyond,omitempty"`      // partitions whose offset is behind their end: the topic was made anew, or cut
	Uncommitted int            `json:"uncommitted,omitempty"` // partitions without an offset
	Skew        float64        `json:"skew"`                  // the worst partition's lag by the mean; 1 is even
	Worst       int32          `json:"worst_partition"`
	Partitions  []PartitionLag `json:"partitions"`
}

// A PartitionLag is how far a group is behind in a partition.
type PartitionLag struct {
	Partition int32    `json:"partition"`
	Committed int64    `json:"committed"` // -1: nothing
	Start     int64    `json:"start"`
	End       int64    `json:"end"`
	Lag       int64    `json:"lag"`
	Markers   int64    `json:"markers,omitempty"` // of transactions, at the end, which no consumer reads: not in lag
	Late      *float64 `json:"late_seconds"`
	Behind    *float64 `json:"behind_seconds"`
	Consumed  float64  `json:"consumed_per_second"`
	Produced  float64  `json:"produced_per_second"`
	Retention *float64 `json:"retention_in_seconds"`
	Lost      int64    `json:"lost"`
	Member    string   `json:"member,omitempty"` // client id and host of who reads it
}

// position is where a group is in a partition.
type position struct {
	at  int64 // -1: nowhere
	lag int64 // as the cluster tells it, for share groups; -1: it is to be counted
}

// positions are those of groups by topic and partition.
type positions map[string]map[spot]position

// Lag measures the lag of groups by two samples.
func (a *Admin) Lag(ctx context.Context, o LagOptions) (*LagReport, error) {
	notes := new(Notes)
	l, err := a.look(ctx, Which{Internal: true}, notes)
	if err != nil {
		return nil, err
	}
	groups, err := a.groups(ctx, l, o.Which)
	if err != nil {
		return nil, err
	}
	m, err := a.measure(ctx, l, groups, o)
	if err != nil {
		return nil, err
	}
	r := &LagReport{Cluster: l.meta.Cluster, At: m.second.at.UTC(), Seconds: m.elapsed().Seconds(), Lags: m.lags, Notes: notes.Lines()}
	for i := range r.Lags {
		r.Findings = append(r.Findings, r.Lags[i].findings(o)...)
	}
	return r, nil
}

// A measurement is two samples of the positions of groups and the ends of their topics.
type measurement struct {
	look          *look
	first, second ends
	before, now   positions
	lags          []TopicLag
}

func (m *measurement) elapsed() time.Duration { return m.second.at.Sub(m.first.at) }

func (a *Admin) measure(ctx context.Context, l *look, groups []GroupReport, o LagOptions) (*measurement, error) {
	m := &measurement{look: l, before: a.positions(ctx, groups, l.notes)}
	topics := map[string]bool{}
	for i := range groups {
		groups[i].read(l, m.before[groups[i].Name], topics)
	}
	l.topics = slices.DeleteFunc(slices.Sorted(maps.Keys(topics)), func(t string) bool { return !o.Topics.Match(t) })
	var err error
	if m.first, err = a.ends(ctx, l); err != nil {
		return nil, err
	}
	if err := pause(ctx, o.For); err != nil {
		return nil, err
	}
	// Ends are asked for first: what is committed after that makes the lag smaller than it is, never larger.
	if m.second, err = a.ends(ctx, l); err != nil {
		return nil, err
	}
	m.now = a.positions(ctx, groups, l.notes)
	unread := map[spot]int64{} // several groups may be at one partition: each offset is fetched by itself
	var rounds []map[spot]int64
	for _, at := range m.now {
		for s, p := range at {
			from := max(p.at, listedOffset(m.second.start, s.topic, s.partition))
			if p.at < 0 || from < 0 || from >= listedOffset(m.second.end, s.topic, s.partition) || !slices.Contains(l.topics, s.topic) {
				continue
			}
			if had, ok := unread[s]; ok && had != from {
				rounds = intoRound(rounds, s, from)
				continue
			}
			unread[s] = from
		}
	}
	const firstRecords = 64 << 10
	looks := map[spot]map[int64]*glimpse{}
	for _, round := range append([]map[spot]int64{unread}, rounds...) {
		for s, g := range a.glimpse(ctx, l, round, firstRecords) {
			if looks[s] == nil {
				looks[s] = map[int64]*glimpse{}
			}
			looks[s][round[s]] = g
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	_, newest := a.times(ctx, l)
	for i := range groups {
		m.group(&groups[i], looks, newest)
	}
	return m, nil
}

// intoRound puts an offset into the first round that has none of its partition.
func intoRound(rounds []map[spot]int64, s spot, at int64) []map[spot]int64 {
	for _, r := range rounds {
		if had, ok := r[s]; !ok || had == at {
			r[s] = at
			return rounds
		}
	}
	return append(rounds, map[spot]int64{s: at})
}

// positions asks where groups are.
func (a *Admin) positions(ctx context.Context, groups []GroupReport, notes *Notes) positions {
	all := positions{}
	for name, commits := range a.commits(ctx, groups, notes) {
		at := map[spot]position{}
		for topic, partitions := range commits {
			for p, o := range partitions {
				if o.Err == nil && o.At >= 0 {
					at[spot{topic, p}] = position{o.At, -1}
				}
			}
		}
		all[name] = at
	}
	var shares []string
	for i := range groups {
		if groups[i].Kind == ShareGroup {
			shares = append(shares, groups[i].Name)
		}
	}
	if len(shares) == 0 {
		return all
	}
	described, err := a.adm.DescribeShareGroupOffsets(ctx, shares...)
	notes.add("offsets of share groups are not known", err)
	for name, d := range described {
		notes.add("offsets of group "+name+" are not known", d.Err)
		at := map[spot]position{}
		for topic, partitions := range d.Offsets {
			for p, o := range partitions {
				if o.Err == nil && o.StartOffset >= 0 {
					at[spot{topic, p}] = position{o.StartOffset, o.Lag}
				}
			}
		}
		all[name] = at
	}
	return all
}

// read adds the topics that the group reads, or has an offset in, and that are there.
func (g *GroupReport) read(l *look, at map[spot]position, topics map[string]bool) {
	for s := range at {
		if _, known := l.meta.Topics[s.topic]; known {
			topics[s.topic] = true
		}
	}
	for _, m := range g.Members {
		for t := range m.Assigned {
			if _, known := l.meta.Topics[t]; known {
				topics[t] = true
			}
		}
	}
}

// group adds the lags of a group.
func (m *measurement) group(g *GroupReport, looks map[spot]map[int64]*glimpse, newest kadm.ListedOffsets) {
	topics := map[string]bool{}
	g.read(m.look, m.now[g.Name], topics)
	for _, topic := range slices.Sorted(maps.Keys(topics)) {
		if !slices.Contains(m.look.topics, topic) {
			continue
		}
		t := TopicLag{Group: g.Name, Kind: g.Kind, State: g.State, Members: len(g.Members), Topic: topic, Worst: -1, Partitions: []PartitionLag{}}
		for _, d := range m.look.partitions(topic) {
			s := spot{topic, d.Partition}
			p := m.partition(s, m.before[g.Name], m.now[g.Name])
			if g := looks[s][max(p.Committed, p.Start)]; g != nil && p.Lag > 0 {
				m.timed(&p, s, g, newest)
			}
			p.Member = g.reader(s)
			t.add(&p)
		}
		t.finish()
		m.lags = append(m.lags, t)
	}
}

// partition counts what is unread.
func (m *measurement) partition(s spot, before, now map[spot]position) PartitionLag {
	p := PartitionLag{
		Partition: s.partition, Committed: -1, Start: listedOffset(m.second.start, s.topic, s.partition), End: listedOffset(m.second.end, s.topic, s.partition),
	}
	d := m.elapsed()
	p.Produced = perSecond(listedOffset(m.first.end, s.topic, s.partition), p.End, d)
	at, ok := now[s]
	if !ok {
		return p
	}
	p.Committed = at.at
	if was, ok := before[s]; ok {
		p.Consumed = perSecond(was.at, at.at, d)
	}
	if p.Start < 0 || p.End < 0 {
		return p
	}
	p.Lost = max(0, p.Start-p.Committed)
	p.Lag = max(0, p.End-max(p.Committed, p.Start))
	if at.lag >= 0 {
		p.Lag = at.lag
	}
	return p
}

// timed adds what follows from the timestamp of the first unread record.
func (m *measurement) timed(p *PartitionLag, s spot, g *glimpse, newest kadm.ListedOffsets) {
	if g.err != nil {
		m.look.notes.add(fmt.Sprintf("the oldest unread record of %s/%d is not known", s.topic, s.partition), g.err)
		return
	}
	if g.head.Control && len(g.records) == 0 && g.head.LastOffset+1 >= p.End {
		p.Markers, p.Lag = p.Lag, 0
		return
	}
	at := g.timestamp()
	if at.IsZero() || at.UnixMilli() < 0 {
		return
	}
	p.Late = seconds(max(0, m.second.at.Sub(at)))
	if x, ok := newest.Lookup(s.topic, s.partition); ok && x.Err == nil && x.Timestamp >= 0 {
		p.Behind = seconds(max(0, timeOfMillis(x.Timestamp).Sub(at)))
	}
	if policy, known := m.look.configs[s.topic]["cleanup.policy"]; known && !strings.Contains(policy, "delete") {
		return
	}
	if ms := m.look.number(s.topic, "retention.ms"); ms >= 0 {
		p.Retention = seconds(max(0, at.Add(time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond)/2))*time.Millisecond).Sub(m.second.at)))
	}
	if d := m.bySize(p, s); d != nil && (p.Retention == nil || *d < *p.Retention) {
		p.Retention = d
	}
}

// bySize is when retention.bytes may reach the unread records: the room that is left by how fast it is filled.
func (m *measurement) bySize(p *PartitionLag, s spot) *float64 {
	bound := m.look.number(s.topic, "retention.bytes")
	all := p.End - p.Start
	if bound < 0 || all <= 0 || p.Produced <= 0 {
		return nil
	}
	d := m.look.meta.Topics[s.topic].Partitions[s.partition]
	size, known := m.look.sizes(s.topic, s.partition)[d.Leader]
	if !known || size == 0 {
		return nil
	}
	each := float64(size) / float64(all)
	room := float64(bound) - each*float64(p.Lag)
	left := max(0, room) / (each * p.Produced)
	return &left
}

func seconds(d time.Duration) *float64 {
	s := math.Round(d.Seconds()*1000) / 1000
	return &s
}

// reader names the member that a partition is assigned to.
func (g *GroupReport) reader(s spot) string {
	var readers []string
	for _, m := range g.Members {
		if slices.Contains(m.Assigned[s.topic], int(s.partition)) {
			readers = append(readers, strings.TrimSpace(m.ClientID+" "+m.Host))
		}
	}
	return strings.Join(readers, ", ")
}

// add sums a partition up.
func (t *TopicLag) add(p *PartitionLag) {
	t.Lag += p.Lag
	t.Lost += p.Lost
	t.Consumed += p.Consumed
	t.Produced += p.Produced
	if p.Committed < 0 {
		t.Uncommitted++
	}
	if p.End >= 0 && p.Committed > p.End {
		t.Beyond++
	}
	worst := func(have, x *float64) *float64 {
		if have == nil || x != nil && *x > *have {
			return x
		}
		return have
	}
	t.Late, t.Behind = worst(t.Late, p.Late), worst(t.Behind, p.Behind)
	if p.Retention != nil && (t.Retention == nil || *p.Retention < *t.Retention) {
		t.Retention = p.Retention
	}
	t.Partitions = append(t.Partitions, *p)
}

// finish says what the sums mean.
func (t *TopicLag) finish() {
	most := int64(0)
	for i := range t.Partitions {
		if p := &t.Partitions[i]; p.Lag > most {
			most, t.Worst = p.Lag, p.Partition
		}
	}
	if t.Lag > 0 {
		t.Skew = float64(most) * float64(len(t.Partitions)) / float64(t.Lag)
	}
	const alike = 0.01 // of the larger rate
	gain := t.Consumed - t.Produced
	switch {
	case t.Lag == 0:
		t.Trend, t.CaughtUp = TrendNone, new(float64)
	case t.Consumed == 0 && t.Produced == 0:
		t.Trend = TrendStands
	case math.Abs(gain) <= alike*max(t.Consumed, t.Produced):
		t.Trend = TrendSteady
	case gain > 0:
		left := float64(t.Lag) / gain
		t.Trend, t.CaughtUp = TrendCatching, &left
	default:
		t.Trend = TrendGrows
	}
}

// findings are what is more than o allows.
func (t *TopicLag) findings(o LagOptions) []string {
	var out []string
	say := func(format string, args ...any) {
		out = append(out, t.Group+" in "+t.Topic+": "+fmt.Sprintf(format, args...))
	}
	if t.Lost > 0 {
		say("%d records were deleted before they were read", t.Lost)
	}
	if t.Beyond > 0 {
		say("the offsets of %d partitions are beyond their end: the topic was made anew, or records were lost in an election", t.Beyond)
	}
	if o.MaxLag > 0 && t.Lag > o.MaxLag {
		say("%d records are unread, more than %d", t.Lag, o.MaxLag)
	}
	if o.MaxLate > 0 && t.Late != nil && *t.Late > o.MaxLate.Seconds() {
		say("the oldest unread record is %s old, more than %s", round(*t.Late), o.MaxLate)
	}
	if o.WarnLoss > 0 && t.endangered(o.WarnLoss) {
		say("unread records may be deleted in %s", round(*t.Retention))
	}
	return out
}

// endangered reports that retention may reach unread records within d, and that the group will not have caught up by then.
func (t *TopicLag) endangered(d time.Duration) bool {
	if t.Lag == 0 || t.Retention == nil || *t.Retention > d.Seconds() {
		return false
	}
	return t.CaughtUp == nil || *t.CaughtUp > *t.Retention
}

func round(seconds float64) time.Duration {
	d := time.Duration(min(seconds, float64(math.MaxInt64/int64(time.Second)-1)) * float64(time.Second))
	return cmp.Or(d.Round(time.Second), d.Round(time.Millisecond))
}

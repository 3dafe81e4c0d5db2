package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/narudata/naru/internal/words"
)

// Severities of findings.
const (
	Critical = "critical" // records are lost or not available, or will be
	Warning  = "warning"  // it is one failure or one mistake away from that
	Info     = "info"     // worth knowing
)

var severities = []string{Critical, Warning, Info}

// A Finding is something that is not as it should be, why that matters, and what to do.
type Finding struct {
	Severity string   `json:"severity"`
	Check    string   `json:"check"`    // its name, which does not change: under-replicated
	Subjects []string `json:"subjects"` // topics, groups, brokers
	What     string   `json:"what"`
	Why      string   `json:"why"`
	Fix      string   `json:"fix"`
	Guessed  string   `json:"guessed,omitempty"` // what of it is not known but guessed, and from what
}

// A Diagnosis is what doctor found.
type Diagnosis struct {
	Cluster  ClusterReport `json:"cluster"`
	Topics   int           `json:"topics"`
	Groups   int           `json:"groups"`
	Checked  []string      `json:"checked"` // names of the checks
	Findings []Finding     `json:"findings"`
	Notes    []string      `json:"notes,omitempty"` // what could not be checked, and why
}

// Worst is the gravest severity there is; "": nothing was found.
func (d *Diagnosis) Worst() string {
	for _, s := range severities {
		if slices.ContainsFunc(d.Findings, func(f Finding) bool { return f.Severity == s }) {
			return s
		}
	}
	return ""
}

// DoctorOptions say what is looked at, and what is too much.
type DoctorOptions struct {
	Topics        Which
	Groups        Which
	For           time.Duration // between the samples
	WarnLoss      time.Duration // unread records that retention may reach within this time
	MaxPartitions int           // copies of partitions on a broker; 0: 4000
	Keys          bool          // sample keys
}

// An examination is everything that the checks look at.
type examination struct {
	*Admin
	o      DoctorOptions
	look   *look
	topics []TopicReport
	groups []GroupReport // at the second sample
	before []GroupReport // at the first
	lags   []TopicLag
	d      *Diagnosis
	named  map[string]*Finding // by severity, check and text: subjects of the same finding are put together
}

// Doctor examines a cluster.
func (a *Admin) Doctor(ctx context.Context, o DoctorOptions) (*Diagnosis, error) {
	notes := new(Notes)
	topicsLook, err := a.look(ctx, o.Topics, notes)
	if err != nil {
		return nil, err
	}
	e := &examination{Admin: a, o: o, look: topicsLook, named: map[string]*Finding{}}
	if e.before, err = a.groups(ctx, topicsLook, o.Groups); err != nil {
		notes.add("groups are not known", err)
	}
	var both sync.WaitGroup // they sample the same interval
	var failed error
	both.Go(func() { e.topics, failed = a.topics(ctx, topicsLook, o.For) })
	lagLook := *topicsLook
	m, err := a.measure(ctx, &lagLook, e.before, LagOptions{For: o.For, Topics: o.Topics.Patterns})
	both.Wait()
	if err := errors.Join(err, failed); err != nil {
		return nil, err
	}
	e.lags = m.lags
	if e.groups, err = a.groups(ctx, topicsLook, o.Groups); err != nil {
		notes.add("groups are not known", err)
	}
	for i := range e.groups {
		e.groups[i].count(topicsLook, nil)
	}
	e.d = &Diagnosis{Cluster: topicsLook.cluster(), Topics: len(e.topics), Groups: len(e.groups), Findings: []Finding{}}
	for _, check := range []struct {
		name string
		run  func(context.Context)
	}{
		{"replication", func(context.Context) { e.replication() }}, {"brokers", func(context.Context) { e.brokers() }},
		{"configuration", func(context.Context) { e.configuration() }}, {"timestamps", func(context.Context) { e.timestamps() }},
		{"groups", func(context.Context) { e.membership() }}, {"lag", func(context.Context) { e.lag() }},
		{"codecs", func(context.Context) { e.codecs() }}, {"keys", e.keys}, {"transactions", e.transactions}, {"security", e.security},
	} {
		check.run(ctx)
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		e.d.Checked = append(e.d.Checked, check.name)
	}
	for _, f := range e.named {
		slices.Sort(f.Subjects)
		e.d.Findings = append(e.d.Findings, *f)
	}
	slices.SortFunc(e.d.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(severities, a.Severity), slices.Index(severities, b.Severity)), cmp.Compare(a.Check, b.Check), cmp.Compare(a.What, b.What))
	})
	e.d.Notes = notes.Lines()
	return e.d, nil
}

// find adds a finding; of one that is there already only the subject is added.
func (e *examination) find(f Finding, subject string) {
	key := f.Severity + "\x00" + f.Check + "\x00" + f.What
	known := e.named[key]
	if known == nil {
		known = &f
		e.named[key] = known
	}
	if !slices.Contains(known.Subjects, subject) {
		known.Subjects = append(known.Subjects, subject)
	}
}

func (e *examination) replication() {
	brokers := len(e.look.meta.Brokers)
	for i := range e.topics {
		t := &e.topics[i]
		if n := len(t.Offline); n > 0 {
			e.find(Finding{
				Severity: Critical, Check: "offline", What: "partitions have no leader",
				Why: "Nothing can be written to them or read from them.",
				Fix: "Start the brokers that have their copies again. If none comes back, an unclean election is what is left, and it loses records.",
			}, fmt.Sprintf("%s (%s: %s)", t.Name, words.Count(n, "partition"), numbers(t.Offline)))
		}
		if n := len(t.UnderReplicated); n > 0 {
			e.find(Finding{
				Severity: Critical, Check: "under-replicated", What: "copies on " + t.missing() + " are missing or behind",
				Why: "Each failure of another broker may make them unavailable, or lose records.",
				Fix: "See which broker is missing or slow: kafka-topics.sh --describe --under-replicated-partitions, and the broker's log.",
			}, fmt.Sprintf("%s (%d of %d)", t.Name, n, t.Partitions))
		}
		e.copies(t, brokers)
		if t.LeaderSkew >= 2 && t.Partitions >= brokers {
			e.find(Finding{
				Severity: Warning, Check: "leader-skew", What: fmt.Sprintf("one broker leads %.1f times its share of the partitions", t.LeaderSkew),
				Why: "It does more of the work than the others, and its loss stops more of it.",
				Fix: "kafka-leader-election.sh --election-type preferred; if that is not enough, reassign partitions.",
			}, t.Name)
		} else if len(t.NotPreferred) > 0 && len(t.Offline) == 0 && len(t.UnderReplicated) == 0 {
			e.find(Finding{
				Severity: Info, Check: "not-preferred", What: "partitions are not led by their preferred replica",
				Why: "After a broker was away, the load stays where it went unless auto.leader.rebalance.enable moves it back.",
				Fix: "kafka-leader-election.sh --election-type preferred --all-topic-partitions",
			}, t.Name)
		}
	}
}

// missing names the brokers whose copies are not in sync.
func (t *TopicReport) missing() string {
	var brokers []int32
	for _, p := range t.Detail {
		for _, b := range p.Replicas {
			if p.Leader >= 0 && !slices.Contains(p.InSync, b) && !slices.Contains(brokers, b) {
				brokers = append(brokers, b)
			}
		}
	}
	slices.Sort(brokers)
	if len(brokers) == 1 {
		return "broker " + numbers(brokers)
	}
	return "brokers " + numbers(brokers)
}

// copies checks how many copies there are and how many must be written.
func (e *examination) copies(t *TopicReport, brokers int) {
	few := 0 // partitions that writers with acks=all cannot write to now
	for _, p := range t.Detail {
		if p.Leader >= 0 && int64(len(p.InSync)) < t.MinISR {
			few++
		}
	}
	if few > 0 && t.MinISR <= int64(t.Replicas) {
		e.find(Finding{
			Severity: Critical, Check: "below-min-insync", What: "partitions have fewer copies in sync than min.insync.replicas",
			Why: "Writers with acks=all are refused now.",
			Fix: "Bring the missing brokers back.",
		}, fmt.Sprintf("%s (%d of %d)", t.Name, few, t.Partitions))
	}
	switch {
	case t.Replicas > 0 && t.MinISR > int64(t.Replicas):
		e.find(Finding{
			Severity: Critical, Check: "min-insync-beyond", What: fmt.Sprintf("min.insync.replicas is %d, with %s", t.MinISR, words.Count(t.Replicas, "copy")),
			Why: "Writers with acks=all are always refused: there never are as many copies.",
			Fix: fmt.Sprintf("More copies, or kafka-configs.sh --alter --topic … --add-config min.insync.replicas=%d", max(1, t.Replicas-1)),
		}, t.Name)
	case t.Replicas == 1 && brokers > 1:
		e.find(Finding{
			Severity: Warning, Check: "one-copy", What: "each record is on one broker only",
			Why: "While that broker is away the partition cannot be used, and what its disk loses is lost.",
			Fix: "Reassign the partitions to three brokers each (kafka-reassign-partitions.sh), and set min.insync.replicas=2.",
		}, t.Name)
	case t.Replicas > 1 && t.MinISR >= int64(t.Replicas):
		e.find(Finding{
			Severity: Warning, Check: "min-insync-all", What: fmt.Sprintf("min.insync.replicas is %d of %d copies", t.MinISR, t.Replicas),
			Why: "No broker may be away: with one less, writers with acks=all are refused, also during a rolling restart.",
			Fix: fmt.Sprintf("kafka-configs.sh --alter --topic … --add-config min.insync.replicas=%d, or one copy more.", max(1, t.Replicas-1)),
		}, t.Name)
	case t.Replicas > 2 && t.MinISR == 1:
		e.find(Finding{
			Severity: Warning, Check: "min-insync-one", What: fmt.Sprintf("min.insync.replicas is 1 of %d copies", t.Replicas),
			Why: "acks=all then means: all that are in sync, which may be the leader alone. What only it has is lost with it.",
			Fix: "kafka-configs.sh --alter --topic … --add-config min.insync.replicas=2",
		}, t.Name)
	}
}

func (e *examination) brokers() {
	most := cmp.Or(e.o.MaxPartitions, 4000)
	for _, b := range e.d.Cluster.Brokers {
		name := fmt.Sprintf("broker %d", b.ID)
		if b.Replicas > most {
			e.find(Finding{
				Severity: Warning, Check: "too-many-partitions", What: fmt.Sprintf("%d copies of partitions, more than %d", b.Replicas, most),
				Why: "Each costs memory, open files, and time when the broker starts or fails.",
				Fix: "Give topics fewer partitions, or the cluster more brokers. Managed services have bounds of their own (--max-partitions).",
			}, name)
		}
		if used := b.DiskBytes - b.DiskUsable; b.DiskBytes > 0 && float64(used) > 0.85*float64(b.DiskBytes) {
			severity := Warning
			if float64(used) > 0.95*float64(b.DiskBytes) {
				severity = Critical
			}
			e.find(Finding{
				Severity: severity, Check: "disk-full", What: fmt.Sprintf("its disks are %d%% full", used*100/b.DiskBytes),
				Why: "A broker whose disk is full stops.",
				Fix: "Shorten retention of the largest topics (naru kafka topics), or give it more disk.",
			}, name)
		}
	}
	for id, dirs := range e.look.dirs {
		for dir, d := range dirs {
			if d.Err != nil {
				e.find(Finding{
					Severity: Critical, Check: "log-dir", What: "the log directory " + dir + " is not usable: " + because(d.Err),
					Why: "Copies of partitions in it are not served.", Fix: "Look at the disk and at the broker's log, then start the broker again.",
				}, fmt.Sprintf("broker %d", id))
			}
		}
	}
}

func (e *examination) configuration() {
	if e.look.broker["auto.create.topics.enable"] == "true" {
		e.find(Finding{
			Severity: Warning, Check: "auto-create", What: "topics are made when somebody names them",
			Why: "A mistyped name makes a topic with default partitions and copies, and nobody reads it.",
			Fix: "auto.create.topics.enable=false, and make topics on purpose.",
		}, "cluster")
	}
	if n := e.look.brokerNumber("default.replication.factor"); n == 1 && len(e.look.meta.Brokers) > 1 {
		e.find(Finding{
			Severity: Warning, Check: "default-one-copy", What: "new topics get one copy, unless told otherwise",
			Why: "One broker's loss then stops them.", Fix: "default.replication.factor=3, min.insync.replicas=2",
		}, "cluster")
	}
	minutes := e.look.brokerNumber("offsets.retention.minutes")
	kept := time.Duration(minutes) * time.Minute
	if minutes >= 0 && kept < 24*time.Hour {
		e.find(Finding{
			Severity: Warning, Check: "offsets-expire", What: fmt.Sprintf("offsets of a group without members are dropped after %s", kept),
			Why: "A consumer that was away for longer begins at auto.offset.reset: it skips records, or reads all of them again.",
			Fix: "offsets.retention.minutes=10080 (a week, the default) or more",
		}, "cluster")
	}
	for i := range e.topics {
		t := &e.topics[i]
		if t.UncleanElection {
			e.find(Finding{
				Severity: Warning, Check: "unclean-election", What: "unclean.leader.election.enable is on",
				Why: "When all copies in sync are away, one that is behind becomes the leader, and what it does not have is lost without a word.",
				Fix: "kafka-configs.sh --alter --topic … --add-config unclean.leader.election.enable=false",
			}, t.Name)
		}
		const small = 16 << 20
		if compacted := strings.Contains(t.CleanupPolicy, "compact"); !t.Internal && !compacted && (t.SegmentBytes > 0 && t.SegmentBytes < small || t.SegmentMs > 0 && t.SegmentMs < int64(10*time.Minute/time.Millisecond)) {
			e.find(Finding{
				Severity: Info, Check: "small-segments", What: fmt.Sprintf("segments end at %d bytes or %s", t.SegmentBytes, time.Duration(t.SegmentMs)*time.Millisecond),
				Why: "Each segment is several open files and mapped indices; many small ones slow the broker down, and its start most of all.",
				Fix: "segment.bytes of 256 MiB or more, segment.ms of an hour or more",
			}, t.Name)
		}
	}
}

func (e *examination) timestamps() {
	const ahead = 5 * time.Minute // clocks differ by less
	for i := range e.topics {
		t := &e.topics[i]
		if t.Newest.Sub(e.look.at) > ahead {
			e.find(Finding{
				Severity: Warning, Check: "future-timestamps", What: "the newest timestamp is " + t.Newest.Format(time.RFC3339) + ", which is yet to come",
				Why: "Retention counts from the greatest timestamp of a segment, so its records stay until long after their time; searching by time goes wrong, too.",
				Fix: "Mend the producer's clock or units (microseconds?), or message.timestamp.type=LogAppendTime; message.timestamp.after.max.ms refuses such records (Kafka 3.6).",
			}, t.Name)
		}
		if ms := t.RetentionMs; ms >= 0 && t.TimestampType == "CreateTime" && strings.Contains(t.CleanupPolicy, "delete") && !t.Newest.IsZero() && t.PerSecond > 0 && e.look.at.Sub(t.Newest) > time.Duration(ms)*time.Millisecond {
			e.find(Finding{
				Severity: Critical, Check: "born-expired", What: "records are written with timestamps that are past retention already",
				Why: "They are deleted as soon as their segment is closed, read or not.",
				Fix: "message.timestamp.type=LogAppendTime, or a retention.ms that covers the age of what is written.",
			}, t.Name)
		}
	}
}

// numbers lists some numbers of partitions.
func numbers(list []int32) string {
	const few = 8
	var out []string
	for i, p := range list {
		if i == few {
			out = append(out, "…")
			break
		}
		out = append(out, fmt.Sprint(p))
	}
	return strings.Join(out, ", ")
}

// codecsOf gives which codecs the newest batches of a topic have.
func (e *examination) codecsOf(topic string) []string {
	for i := range e.topics {
		if e.topics[i].Name == topic {
			return e.topics[i].Codecs
		}
	}
	return nil
}

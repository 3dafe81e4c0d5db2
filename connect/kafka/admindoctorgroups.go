package kafka

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/narudata/naru/internal/words"
)

func (e *examination) membership() {
	for i := range e.groups {
		g := &e.groups[i]
		if was := e.earlier(g.Name); was != nil && was.Rebalancing() && g.Rebalancing() {
			e.find(Finding{
				Severity: Critical, Check: "stuck-rebalance", What: fmt.Sprintf("it was %s and %s later it is %s", was.State, e.o.For, g.State),
				Why: "While partitions are being assigned little or nothing is read. A member that is slow to join (it is still busy with its last batch), or keeps coming and going, holds up the others.",
				Fix: "Look for members that restart or take longer than max.poll.interval.ms; static membership (group.instance.id), cooperative assignors or the protocol of KIP-848 keep the others reading.",
			}, g.Name)
		}
		if n := len(g.Members); n > 0 && g.Partitions > 0 && g.Kind != ShareGroup && n > g.Partitions {
			e.find(Finding{
				Severity: Warning, Check: "idle-members", What: fmt.Sprintf("%d members, %s to read, %d idle", n, words.Count(g.Partitions, "partition"), g.Idle),
				Why: "A partition is read by one member of a group: those beyond the number of partitions do nothing.",
				Fix: "Fewer members, more partitions, or a share group (KIP-932).",
			}, g.Name)
		}
		if g.Kind == ShareGroup {
			e.find(Finding{
				Severity: Info, Check: "share-group", What: "a share group (KIP-932)",
				Why: "Records are handed out one by one and may come out of order, or more than once. A new one begins at the end unless its configuration share.auto.offset.reset says earliest.",
				Fix: "Nothing, if the order does not matter.",
			}, g.Name)
		}
		for _, m := range g.Members {
			if m.Library == LibraryKafkaJS {
				e.find(Finding{
					Severity: Info, Check: "kafkajs", What: "members use KafkaJS",
					Why:     "It is not maintained since 2023; it sends heartbeats only between messages, so one that takes longer than sessionTimeout costs the membership and stops the whole group; it reads gzip and no other codec unless one is registered.",
					Fix:     "Short handlers, a sessionTimeout beyond the slowest of them; register codecs; in the long run another client.",
					Guessed: "that it is KafkaJS: " + m.Because,
				}, g.Name)
			}
		}
	}
}

func (e *examination) earlier(name string) *GroupReport {
	for i := range e.before {
		if e.before[i].Name == name {
			return &e.before[i]
		}
	}
	return nil
}

func (e *examination) lag() {
	for i := range e.lags {
		t := &e.lags[i]
		subject := t.Group + " in " + t.Topic
		if t.Lost > 0 {
			e.find(Finding{
				Severity: Critical, Check: "lost-unread", What: fmt.Sprintf("%d records were deleted before they were read", t.Lost),
				Why: "The first offset of the log is behind what the group has committed: retention, or a deletion, was faster than it.",
				Fix: "They are gone from Kafka. Raise retention.ms before the consumer starts again, and find out why it was so far behind.",
			}, subject)
		}
		if t.Beyond > 0 {
			e.find(Finding{
				Severity: Critical, Check: "offset-beyond-end", What: fmt.Sprintf("the offsets of %s are beyond the end", words.Count(t.Beyond, "partition")),
				Why: "The topic was made anew, or an unclean election lost records. The consumer begins at auto.offset.reset, or waits until the end has come as far.",
				Fix: "Stop the group and set its offsets: kafka-consumer-groups.sh --reset-offsets --to-earliest --execute",
			}, subject)
		}
		if e.o.WarnLoss > 0 && t.endangered(e.o.WarnLoss) {
			e.find(Finding{
				Severity: Critical, Check: "retention-eats-unread", What: fmt.Sprintf("unread records may be deleted in %s", round(*t.Retention)),
				Why: fmt.Sprintf("%d records are unread, the lag %s, and the oldest of them reaches the bound of retention then.", t.Lag, t.Trend),
				Fix: "Raise retention.ms (it takes effect at once), then make the consumer faster or start it.",
			}, subject)
		}
		if t.Lag > 0 && t.Members == 0 && (t.State == EmptyGroup || t.State == "Dead") {
			kept := ""
			if m := e.look.brokerNumber("offsets.retention.minutes"); m > 0 {
				kept = fmt.Sprintf(" Its offsets are kept for %s after its last member has left; when that was is not told.", shortly(time.Duration(m)*time.Minute))
			}
			e.find(Finding{
				Severity: Warning, Check: "nobody-reads", What: fmt.Sprintf("the group has no members, and %d records are unread", t.Lag),
				Why: "Nobody reads, and the lag grows until retention deletes what is unread." + kept,
				Fix: "Start the consumer; or delete the group if it is not used any more: kafka-consumer-groups.sh --delete",
			}, subject)
		}
		if t.Trend == TrendStands && t.Members > 0 || t.Trend == TrendGrows && t.Members > 0 && t.Consumed == 0 {
			e.find(Finding{
				Severity: Warning, Check: "does-not-move", What: fmt.Sprintf("%d records are unread, and no offset was committed for %s", t.Lag, e.o.For),
				Why: "The group has members, but they do not get on: a record that fails again and again, a target that does not take anything, or commits that come less often than that.",
				Fix: "Look at the consumer's log; ask again with a longer --for if it commits seldom.",
			}, subject)
		}
		const much, skewed = 1000, 3
		if len(t.Partitions) > 1 && t.Lag > much && t.Skew >= skewed && t.Skew >= 0.8*float64(len(t.Partitions)) {
			e.find(Finding{
				Severity: Warning, Check: "lag-skew", What: fmt.Sprintf("partition %d has nearly all of the lag", t.Worst),
				Why: "One reader is slow, or one key has most of the records.",
				Fix: "Compare the partitions: naru kafka lag --partitions. If all are written alike it is the reader.",
			}, subject)
		}
	}
}

func shortly(d time.Duration) string {
	if d >= 48*time.Hour && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return strings.TrimSuffix(strings.TrimSuffix(d.String(), "0s"), "0m")
}

// codecs looks for codecs that a reader may not have.
func (e *examination) codecs() {
	for i := range e.groups {
		g := &e.groups[i]
		for _, topic := range g.Topics {
			for _, codec := range e.codecsOf(topic) {
				for _, u := range g.unread(topic, Codec(codec)) {
					severity := Info
					if u.library == LibraryKafkaJS {
						severity = Warning
					}
					e.find(Finding{
						Severity: severity, Check: "codec", What: "the newest batches are " + codec + ", which the group's client may not read: " + u.why,
						Why:     "A consumer without the codec stops at the first such batch, and comes back only to stop again.",
						Fix:     "Give the consumer the codec, or let producers use gzip or none.",
						Guessed: "that it is " + u.library + ": " + u.because + "; whether it has the codec is not known",
					}, g.Name+" in "+topic)
				}
			}
		}
	}
}

// An unreadable is a client library that may not have a codec.
type unreadable struct{ library, because, why string }

// unread gives the libraries of members reading topic that may not read codec.
func (g *GroupReport) unread(topic string, codec Codec) []unreadable {
	var out []unreadable
	for i := range g.Members {
		m := &g.Members[i]
		if len(m.Assigned[topic]) == 0 && !slices.Contains(m.Topics, topic) || slices.ContainsFunc(out, func(u unreadable) bool { return u.library == m.Library }) {
			continue
		}
		if why := codec.Unread(m.Library); why != "" {
			out = append(out, unreadable{m.Library, m.Because, why})
		}
	}
	return out
}

// Unread warns of groups that read a topic with clients that may not read a codec: each line names the group, and what the
// guess rests on.
func (a *Admin) Unread(ctx context.Context, topic string, codec Codec) ([]string, error) {
	if codec.Unread(LibraryKafkaJS) == "" {
		return nil, nil // everybody reads it
	}
	notes := new(Notes)
	l, err := a.look(ctx, Which{Internal: true}, notes)
	if err != nil {
		return nil, err
	}
	groups, err := a.groups(ctx, l, Which{Internal: true})
	if err != nil {
		return nil, err
	}
	var out []string
	for i := range groups {
		for _, u := range groups[i].unread(topic, codec) {
			out = append(out, fmt.Sprintf("group %s reads %s, with %s as it seems (%s): %s", groups[i].Name, topic, u.library, u.because, u.why))
		}
	}
	return out, nil
}

// keys looks for topics whose keys are spread by different partitioners.
func (e *examination) keys(ctx context.Context) {
	if !e.o.Keys {
		return
	}
	for i := range e.topics {
		t := &e.topics[i]
		if t.Partitions < 2 || t.Internal || t.Records <= 0 {
			continue
		}
		s := e.keySpread(ctx, e.look, t)
		if s.Sampled < keysAtLeast {
			continue
		}
		f := s.finding()
		if f != nil {
			e.find(*f, t.Name)
		}
	}
}

// finding says what is wrong with how keys are spread; nil: nothing.
func (s *KeySpread) finding() *Finding {
	const stray = 0.03
	var shares []string
	several := 0
	for _, name := range []string{Murmur2, CRC32, FNV1a} {
		if share := s.Shares[name]; share > 0 {
			shares = append(shares, fmt.Sprintf("%s %.0f%%", name, math.Round(share*100)))
			if share > stray {
				several++
			}
		}
	}
	if s.Neither > 0 {
		shares = append(shares, fmt.Sprintf("none of these %.0f%%", math.Round(s.Neither*100)))
		if s.Neither > stray {
			several++
		}
	}
	mixed := several > 1
	if !mixed && s.Scattered == 0 {
		return nil
	}
	f := &Finding{
		Severity: Warning, Check: "partitioners",
		What: fmt.Sprintf("of %d records with a key, by which partitioner would have put them where they are: %s", s.Sampled, strings.Join(shares, ", ")),
		Why:  "Records of one key are in order, and compacted, within a partition only. Java and most clients use murmur2, librdkafka crc32 unless it is told murmur2_random, sarama fnv1a; segmentio/kafka-go ignores keys unless it is given a balancer.",
		Fix:  "One partitioner for all producers of the topic; for librdkafka partitioner=murmur2_random.",
	}
	if s.Scattered > 0 {
		f.What += fmt.Sprintf("; %s in several partitions, like %q in %s", words.Count(s.Scattered, "key"), s.Example, numbers(s.Where))
	} else {
		f.Severity = Info
	}
	f.Guessed = "the partitioners, from the newest records only; records written while the topic had fewer partitions are elsewhere, too"
	return f
}

// transactions looks for those that are open for longer than they may be.
func (e *examination) transactions(ctx context.Context) {
	listed, err := e.adm.ListTransactions(ctx, nil, []string{"Ongoing"})
	e.look.notes.add("transactions are not known", err)
	if ids := listed.TransactionalIDs(); len(ids) > 0 {
		described, err := e.adm.DescribeTransactions(ctx, ids...)
		e.look.notes.add("transactions are not known", err)
		for _, t := range described {
			open := e.look.at.Sub(time.UnixMilli(t.StartTimestamp))
			allowed := time.Duration(t.TimeoutMillis) * time.Millisecond
			if t.Err != nil || t.StartTimestamp < 0 || t.State != "Ongoing" || open <= allowed+time.Minute {
				continue
			}
			e.find(Finding{
				Severity: Critical, Check: "hanging-transaction", What: fmt.Sprintf("a transaction is open for %s, its timeout is %s", open.Round(time.Second), allowed),
				Why: "Readers with read_committed do not get beyond its first record.",
				Fix: "kafka-transactions.sh find-hanging, then abort; look at its producer.",
			}, t.TxnID)
		}
	}
	e.stable(ctx)
}

// stable looks for partitions whose readers of committed records stand before an open transaction.
func (e *examination) stable(ctx context.Context) {
	if len(e.look.topics) == 0 {
		return
	}
	stable, err := e.adm.ListCommittedOffsets(ctx, e.look.topics...)
	e.look.notes.add("last stable offsets are not known", err)
	behind := kadm.TopicsSet{}
	for i := range e.topics {
		t := &e.topics[i]
		for _, p := range t.Detail {
			if at := listedOffset(stable, t.Name, p.Partition); at >= 0 && p.End > at {
				behind.Add(t.Name, p.Partition)
			}
		}
	}
	if len(behind) == 0 {
		return
	}
	producers, err := e.adm.DescribeProducers(ctx, behind)
	e.look.notes.add("producers are not known", err)
	const old = 15 * time.Minute // transaction.max.timeout.ms of a broker, unless it is set
	for topic, t := range producers {
		for partition, p := range t.Partitions {
			for _, producer := range p.ActiveProducers {
				age := e.look.at.Sub(time.UnixMilli(producer.LastTimestamp))
				if producer.CurrentTxnStartOffset < 0 || age < old {
					continue
				}
				e.find(Finding{
					Severity: Critical, Check: "blocked-readers", What: fmt.Sprintf("producer %d opened a transaction at offset %d of partition %d and has written nothing for %s", producer.ProducerID, producer.CurrentTxnStartOffset, partition, age.Round(time.Second)),
					Why: "Readers with read_committed, Kafka Streams and KafkaJS among them, stand before it.",
					Fix: fmt.Sprintf("kafka-transactions.sh abort --topic %s --partition %d --start-offset %d", topic, partition, producer.CurrentTxnStartOffset),
				}, topic)
			}
		}
	}
}

// security says whether anybody may do anything, and as much of it as he likes.
func (e *examination) security(ctx context.Context) {
	results, err := e.adm.DescribeACLs(ctx, kadm.NewACLs().AnyResource().ResourcePatternType(kadm.ACLPatternAny).Allow().AllowHosts().Deny().DenyHosts().Operations())
	for _, r := range results {
		err = errors.Join(err, r.Err)
	}
	if errors.Is(err, kerr.SecurityDisabled) {
		e.find(Finding{
			Severity: Info, Check: "no-authorizer", What: "the brokers have no authorizer",
			Why: "Who reaches a broker may read, write and delete everything.", Fix: "authorizer.class.name, with ACLs; at least a network that keeps others out.",
		}, "cluster")
	} else {
		e.look.notes.add("ACLs are not known", err)
	}
	quotas, err := e.adm.DescribeClientQuotas(ctx, false, nil)
	if err != nil {
		e.look.notes.add("quotas are not known", err)
		return
	}
	if len(quotas) == 0 {
		e.find(Finding{
			Severity: Info, Check: "no-quotas", What: "no client has a quota",
			Why: "One client, a replay say, can take the network and the page cache from all others.",
			Fix: "kafka-configs.sh --alter --entity-type clients --entity-default --add-config consumer_byte_rate=…",
		}, "cluster")
	}
	e.unnamed()
}

// unnamed looks for groups whose members have the names that their libraries give.
func (e *examination) unnamed() {
	plain := []string{"rdkafka", "kgo", "sarama", "kafkajs"}
	for i := range e.groups {
		g := &e.groups[i]
		if slices.ContainsFunc(g.Members, func(m GroupMember) bool { return slices.Contains(plain, m.ClientID) }) {
			e.find(Finding{
				Severity: Info, Check: "default-client-id", What: "members go by the name that their library has by itself",
				Why: "Logs and quotas of the brokers cannot tell them apart.", Fix: "Give each application a client.id.",
			}, g.Name)
		}
	}
}

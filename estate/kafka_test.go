package estate_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/estate"
)

// A kafkaBench is a bench whose environment has Kafka, too.
type kafkaBench struct {
	*bench
	brokers []string
	client  *kgo.Client
	adm     *kadm.Client
}

func newKafkaBench(t *testing.T, brokers int) *kafkaBench {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(brokers))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return kafkaBenchAt(t, c.ListenAddrs())
}

func kafkaBenchAt(t *testing.T, brokers []string) *kafkaBench {
	t.Helper()
	b := &kafkaBench{bench: newBench(t), brokers: brokers}
	b.env("")
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	b.client, b.adm = client, kadm.NewClient(client)
	if b.kafka, err = (&kafka.Config{Brokers: brokers}).Admin(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.kafka.Close)
	return b
}

// env writes env.yaml, with variables.
func (b *kafkaBench) env(more string) {
	b.file("overlays/prod/env.yaml", fmt.Sprintf("estate: shop\ntarget: {urls: [%q]}\nkafka: {brokers: [%s]}\n%s\n", b.url, strings.Join(quoted(b.brokers), ", "), more))
}

func quoted(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = fmt.Sprintf("%q", s)
	}
	return out
}

// produce writes n records of 100 bytes into each partition, a minute apart, the last one now.
func (b *kafkaBench) produce(topic string, partitions, n int) {
	b.t.Helper()
	var recs []*kgo.Record
	for p := range partitions {
		for i := range n {
			recs = append(recs, &kgo.Record{Topic: topic, Partition: int32(p), Key: fmt.Append(nil, i), Value: []byte(strings.Repeat("x", 100)), Timestamp: b.now.Add(time.Duration(i+1-n) * time.Minute)})
		}
	}
	if err := b.client.ProduceSync(b.t.Context(), recs...).FirstErr(); err != nil {
		b.t.Fatal(err)
	}
}

func (b *kafkaBench) commit(group, topic string, at map[int32]int64) {
	b.t.Helper()
	o := kadm.Offsets{}
	for p, n := range at {
		o.AddOffset(topic, p, n, -1)
	}
	if err := b.adm.CommitAllOffsets(b.t.Context(), group, o); err != nil {
		b.t.Fatal(err)
	}
}

// offsets are a group's in a topic, by partition; -1: none.
func (b *kafkaBench) offsets(group, topic string, partitions int) []int64 {
	b.t.Helper()
	r, err := b.adm.FetchOffsets(b.t.Context(), group)
	if err != nil {
		b.t.Fatal(err)
	}
	out := make([]int64, partitions)
	for p := range out {
		out[p] = -1
		if o, ok := r.Lookup(topic, int32(p)); ok {
			out[p] = o.At
		}
	}
	return out
}

func (b *kafkaBench) undo(run *estate.Applied) *estate.Plan {
	b.t.Helper()
	d, _ := b.observe()
	p, err := estate.NewUndo(b.t.Context(), b.target(), d, run.ID, b.now)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// said is all that the only change of a plan says of what it means.
func (b *kafkaBench) said(p *estate.Plan) (string, *estate.Change) {
	b.t.Helper()
	if len(p.Changes) != 1 {
		b.t.Fatalf("%d changes", len(p.Changes))
	}
	ch := &p.Changes[0]
	lines := slices.Clone(ch.Effects)
	for _, f := range ch.Fields {
		lines = append(lines, f.Path+": "+f.Means)
	}
	return strings.Join(append(lines, "irreversible: "+ch.Irreversible, ch.Problem), "\n"), ch
}

func (b *kafkaBench) says(p *estate.Plan, risk estate.Risk, parts ...string) {
	b.t.Helper()
	text, ch := b.said(p)
	for _, part := range parts {
		if !strings.Contains(text, part) {
			b.t.Errorf("%q is not in\n%s", part, text)
		}
	}
	if ch.Risk != risk {
		b.t.Errorf("risk %s, not %s:\n%s", ch.Risk, risk, text)
	}
}

func TestTopicsACLsQuotasAndGroupsAreNoDifferenceOnceApplied(t *testing.T) {
	b := newKafkaBench(t, 3)
	kafkaLifecycle(t, b, 3)
}

// kafkaLifecycle creates, changes, undoes and deletes what is declared.
func kafkaLifecycle(t *testing.T, b *kafkaBench, brokers int) {
	t.Helper()
	b.file("base/kafka-topics/orders.yaml", "partitions: 3\nreplicationFactor: 1\nconfigs: {retention.ms: 6.048e8, cleanup.policy: [delete, compact], min.compaction.lag.ms: \"60000\", compression.type: lz4, preallocate: false}\n")
	b.file("base/kafka-topics/clicks.json", `{"partitions": 2}`)
	b.file("base/kafka-acls/indexer.yaml", `
principal: User:indexer
acls:
  - {resourceType: topic, resourceName: orders, operations: [Read, Describe]}
  - {resourceType: GROUP, resourceName: indexer, patternType: prefixed, operation: READ}
`)
	b.file("base/kafka-acls/audit-topic.yaml", "resourceType: TOPIC\nresourceName: audit\nacls: [{principal: User:auditor, operations: [WRITE, DESCRIBE]}, {principal: User:eve, operation: ALL, permissionType: DENY, host: 10.0.0.1}]\n")
	b.file("base/kafka-quotas/indexer.yaml", "entity: {user: indexer, client-id: replay}\nquotas: {consumer_byte_rate: 1048576, request_percentage: 12.5}\n")
	b.file("base/kafka-quotas/all.yaml", "entity: {client-id: <default>}\nquotas: {producer_byte_rate: 1.0e+7}\n")
	b.file("base/kafka-groups/indexer.yaml", "topics: {orders: earliest, clicks: {begin: latest}}\n")
	keys := []string{
		"kafka-topics/clicks", "kafka-topics/orders", "kafka-acls/audit-topic", "kafka-acls/indexer", "kafka-quotas/all", "kafka-quotas/indexer", "kafka-groups/indexer",
	}
	p := b.plan()
	b.wants(p, prefixed("create ", keys)...)
	first := b.apply(p)
	b.wants(b.plan())
	if d := b.drift(); len(d) > 0 {
		t.Errorf("drift of what nobody touched: %q", d)
	}
	if got := append(b.offsets("indexer", "orders", 3), b.offsets("indexer", "clicks", 2)...); !slices.Equal(got, []int64{0, 0, 0, 0, 0}) {
		t.Errorf("offsets %v", got)
	}

	b.produce("orders", 3, 5)
	b.file("base/kafka-topics/orders.yaml", "partitions: 3\nreplicationFactor: 1\nconfigs: {retention.ms: 86400000, cleanup.policy: \"compact, delete\", compression.type: lz4}\n")
	b.file("base/kafka-acls/indexer.yaml", "principal: User:indexer\nacls: [{resourceType: TOPIC, resourceName: orders, operation: READ}, {resourceType: TOPIC, resourceName: clicks, operation: READ}]\n")
	b.file("base/kafka-quotas/indexer.yaml", "entity: {client-id: replay, user: indexer}\nquotas: {consumer_byte_rate: 2097152}\n")
	changed := []string{"change kafka-topics/orders", "change kafka-acls/indexer", "change kafka-quotas/indexer"}
	p = b.plan()
	b.wants(p, changed...)
	second := b.apply(p)
	b.wants(b.plan())
	if d := b.drift(); len(d) > 0 {
		t.Errorf("drift of what nobody touched: %q", d)
	}
	undo := b.undo(second)
	b.wants(undo, changed...)
	b.apply(undo)
	b.wants(b.plan(), changed...)
	undo = b.undo(first)
	if undo.Count(estate.Delete) != len(keys) {
		t.Errorf("%s", undo.Summary())
	}
	b.apply(undo)
	if topics, err := b.adm.ListTopics(t.Context()); err != nil || topics.Has("orders") {
		t.Errorf("a topic outlived its undo: %v %v", topics.Names(), err)
	}
	if got := b.offsets("indexer", "clicks", 2); !slices.Equal(got, []int64{-1, -1}) {
		t.Errorf("offsets outlived their undo: %v", got)
	}
	b.wants(b.plan(), prefixed("create ", keys)...)
	b.apply(b.plan())
	if err := os.RemoveAll(filepath.Join(b.dir, "base")); err != nil {
		t.Fatal(err)
	}
	p = b.plan()
	if p.Count(estate.Delete) != len(keys)-1 || p.Count(estate.Forget) != 1 {
		t.Errorf("nothing is declared any more: %s", p.Summary())
	}
	b.apply(p)
	b.wants(b.plan())
	acls, err := b.kafka.ACLs(t.Context())
	quotas, err2 := b.kafka.Quotas(t.Context())
	if len(acls)+len(quotas) > 0 || err != nil || err2 != nil {
		t.Errorf("left: %v %v %v %v", acls, quotas, err, err2)
	}
}

func TestATopicThatIsThereIsAdoptedWithWhatWasSetForIt(t *testing.T) {
	b := newKafkaBench(t, 3)
	seven := "604800000"
	if _, err := b.adm.CreateTopic(t.Context(), 4, 2, map[string]*string{"retention.ms": &seven}, "orders"); err != nil {
		t.Fatal(err)
	}
	b.file("base/kafka-topics/orders.yaml", "partitions: 4\nconfigs: {retention.ms: 604800000}\n")
	p := b.plan()
	b.wants(p, "adopt kafka-topics/orders")
	if len(p.Changes[0].Fields) > 0 {
		t.Errorf("a topic without replicationFactor says nothing of it: %s", fields(p))
	}
	b.apply(p)
	b.wants(b.plan())
	three := "3"
	if _, err := b.adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "segment.ms", Value: &three}}, "orders"); err != nil {
		t.Fatal(err)
	}
	if d := b.drift(); !slices.Equal(d, []string{"kafka-topics/orders configs.segment.ms"}) {
		t.Errorf("drift: %q", d)
	}
	b.wants(b.plan(), "change kafka-topics/orders")
}

func TestAPlanSaysWhatAChangeOfATopicMeans(t *testing.T) {
	b := newKafkaBench(t, 3)
	topic := func(format string, args ...any) {
		b.file("base/kafka-topics/orders.yaml", fmt.Sprintf(format, args...))
	}
	topic("partitions: 2\nreplicationFactor: 2\nconfigs: {retention.ms: 604800000}\n")
	b.apply(b.plan())
	b.produce("orders", 2, 10)
	b.commit("billing", "orders", map[int32]int64{0: 3, 1: 3})

	topic("partitions: 2\nreplicationFactor: 2\nconfigs: {retention.ms: 270000}\n")
	b.says(b.plan(), estate.High, "deletes records older than 4m30s: up to 10 records now of 20", "read by 1 group: billing", "irreversible: records that are deleted")
	topic("partitions: 2\nreplicationFactor: 2\nconfigs: {retention.ms: 86400000}\n")
	b.says(b.plan(), estate.Medium, "deletes records older than 1 day: none of those there now")
	topic("partitions: 2\nreplicationFactor: 2\nconfigs: {retention.ms: -1}\n")
	b.says(b.plan(), estate.Low, "kept for longer")
	topic("partitions: 5\nreplicationFactor: 2\nconfigs: {retention.ms: 604800000}\n")
	p := b.plan()
	b.says(p, estate.Medium, "keys go to other partitions", "irreversible: the number of partitions")
	grown := b.apply(p)
	undo := b.undo(grown)
	b.wants(undo, "adopt kafka-topics/orders")
	b.says(undo, estate.Low, "it keeps its 5 partitions, which cannot be taken away")
	b.apply(undo)
	if d := b.drift(); len(d) > 0 {
		t.Errorf("%q", d)
	}
	topic("partitions: 2\nreplicationFactor: 2\nconfigs: {retention.ms: 604800000}\n")
	b.says(b.plan(), estate.High, "it has 5 partitions, and partitions can only be added")
	topic("partitions: 5\nreplicationFactor: 3\nconfigs: {retention.ms: 604800000}\n")
	b.says(b.plan(), estate.Medium, "a reassignment copies it to other brokers")
	topic("partitions: 5\nreplicationFactor: 4\nconfigs: {retention.ms: 604800000}\n")
	b.says(b.plan(), estate.High, "4 copies need as many brokers; there are 3")
	topic("partitions: 5\nreplicationFactor: 2\nconfigs: {retention.ms: 604800000, min.insync.replicas: 4}\n")
	b.says(b.plan(), estate.High, "min.insync.replicas is 4 by its configuration, and it has 2 copies")
	topic("partitions: 5\nreplicationFactor: 2\nconfigs: {retention.ms: 604800000, cleanup.policy: compact}\n")
	b.says(b.plan(), estate.High, "all but the last record of each key goes")
	topic("partitions: 5\nreplicationFactor: 2\nconfigs: {retention.ms: 604800000, retention.bytes: 100}\n")
	b.says(b.plan(), estate.High, "the oldest records of partitions beyond it are deleted")
	topic("partitions: 5\nreplicationFactor: 1\nconfigs: {retention.ms: 604800000}\n")
	b.says(b.plan(), estate.Medium, "fewer brokers may be lost")

	member, err := kgo.NewClient(kgo.SeedBrokers(b.brokers...), kgo.ConsumerGroup("js"), kgo.ConsumeTopics("orders"), kgo.ClientID("kafkajs"))
	if err != nil {
		t.Fatal(err)
	}
	defer member.Close()
	polled, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	member.PollFetches(polled)
	topic("partitions: 5\nreplicationFactor: 2\nconfigs: {retention.ms: 604800000, compression.type: zstd}\n")
	b.says(b.plan(), estate.High, "group js reads it, with KafkaJS as it seems")
	b.file("base/kafka-topics/orders.yaml", "")
	b.says(b.plan(), estate.High, "deletes 20 records", "read by 2 groups: billing, js (1 member)", "irreversible: its records")
}

func TestATopicThatWasMadeAnewIsNotTheOneThatAPlanSaw(t *testing.T) {
	b := newKafkaBench(t, 1)
	b.file("base/kafka-topics/orders.yaml", "partitions: 1\nreplicationFactor: 1\n")
	b.apply(b.plan())
	b.file("base/kafka-topics/orders.yaml", "")
	p := b.plan()
	b.wants(p, "delete kafka-topics/orders")
	if _, err := b.adm.DeleteTopic(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.adm.CreateTopic(t.Context(), 1, 1, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	b.produce("orders", 1, 1)
	if _, err := b.try(t.Context(), p); err == nil || !strings.Contains(err.Error(), "kafka-topics/orders changed") {
		t.Errorf("%v", err)
	}
}

func TestMistakesInKafkasObjectsAreSaidWithTheirPlace(t *testing.T) {
	for _, c := range []struct{ file, content, want string }{
		{"kafka-topics/a.yaml", "partitions: 1\nconfigs: {retention.ms: 7d}\n", `base/kafka-topics/a.yaml: configs.retention.ms: "7d" is no number of milliseconds, and Kafka knows no units`},
		{"kafka-topics/a.yaml", "replicationFactor: 1\n", "partitions is missing"},
		{"kafka-topics/a.yaml", "partitions: 0\n", "partitions: want a number from 1"},
		{"kafka-topics/a.yaml", "partitions: 3\nreplicas: 2\n", `unknown key "replicas"; a topic has partitions, replicationFactor and configs`},
		{"kafka-topics/a.yaml", "partitions: 3\nconfigs: {retention: {ms: 2}}\n", "write names with dots as one"},
		{"kafka-acls/a.yaml", "acls: []\n", "say whose ACLs they are"},
		{"kafka-acls/a.yaml", "principal: User:a\nacls: [{resourceType: topic, resourceName: x, operation: PEEK}]\n", `acls[0]: operation "PEEK": want ALL, READ`},
		{"kafka-acls/a.yaml", "principal: User:a\nacls: [{resourceType: topic, operation: READ}]\n", "resourceName is missing"},
		{"kafka-acls/a.yaml", "principal: User:a\nacls: [{principal: User:b, resourceType: topic, resourceName: x, operation: READ}]\n", "is not of the object's own principal"},
		{"kafka-quotas/a.yaml", "entity: {users: a}\nquotas: {producer_byte_rate: 1}\n", "entity.users: want user, client-id or ip"},
		{"kafka-quotas/a.yaml", "entity: {user: a}\nquotas: {producer_byte_rate: 1MB}\n", "quotas.producer_byte_rate: want a number"},
		{"kafka-groups/a.yaml", "topics: {t: yesterday}\n", `topics.t: begin "yesterday": want earliest, latest, or a time`},
		{"kafka-groups/a.yaml", "topics: {t: {begin: latest, copyFrom: g}}\n", "want either begin or copyFrom"},
	} {
		b := &bench{t: t, dir: t.TempDir()}
		b.file("overlays/prod/env.yaml", "target: {urls: [\"http://127.0.0.1:1\"]}\nkafka: {brokers: [\"127.0.0.1:1\"]}\n")
		b.file("base/"+c.file, c.content)
		if _, err := estate.Read(t.Context(), b.dir, "prod", noEnv); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\ngot  %v\nwant %s", c.content, err, c.want)
		}
	}
	b := &bench{t: t, dir: t.TempDir()}
	b.file("overlays/prod/env.yaml", "target: {urls: [\"http://127.0.0.1:1\"]}\n")
	b.file("base/kafka-acls/a.yaml", "principal: User:a\nacls: [{resourceType: topic, resourceName: x, operation: READ}]\n")
	b.file("base/kafka-acls/b.yaml", "principal: User:a\nacls: []\n")
	b.file("base/kafka-acls/c.yaml", "resourceType: topic\nresourceName: x\nacls: [{principal: User:c, operation: READ}]\n")
	b.file("base/kafka-quotas/a.yaml", "entity: {user: null}\nquotas: {producer_byte_rate: 1}\n")
	b.file("base/kafka-quotas/b.yaml", "entity: {user: <default>}\nquotas: {producer_byte_rate: 1}\n")
	_, err := estate.Read(t.Context(), b.dir, "prod", noEnv)
	for _, want := range []string{
		"base/kafka-acls/b.yaml: base/kafka-acls/a.yaml has the ACLs of the same principal",
		"base/kafka-acls/a.yaml: ALLOW User:a READ on TOPIC x is one of the list of base/kafka-acls/c.yaml too",
		"base/kafka-quotas/b.yaml: base/kafka-quotas/a.yaml has the quota of user <default> too",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestWhatTheBrokersWouldRefuseIsAProblemOfThePlan(t *testing.T) {
	b := newKafkaBench(t, 1)
	b.file("base/kafka-topics/a.yaml", "partitions: 1\nreplicationFactor: 3\n")
	p := b.plan()
	if p.Problems() != 1 {
		t.Errorf("%+v", p.Changes)
	}
	if _, err := b.try(t.Context(), p); err == nil || !strings.Contains(err.Error(), "cannot be applied") {
		t.Errorf("%v", err)
	}
}

func TestAccessIsGivenBeforeItIsTakenAndOthersACLsAreLeftAlone(t *testing.T) {
	b := newKafkaBench(t, 1)
	theirs := kafka.ACL{ResourceType: "TOPIC", ResourceName: "t", Principal: "User:other", Operation: "READ"}
	byHand := kafka.ACL{ResourceType: "TOPIC", ResourceName: "t", Principal: "User:a", Operation: "WRITE"}
	if err := b.kafka.AddACLs(t.Context(), []kafka.ACL{theirs, byHand}); err != nil {
		t.Fatal(err)
	}
	b.file("base/kafka-acls/b.yaml", "principal: User:new\nacls: [{resourceType: topic, resourceName: t, operation: READ}, {resourceType: topic, resourceName: u, operation: READ}]\n")
	b.says(b.plan(), estate.Medium, "the first ACL of TOPIC u: with allow.everyone.if.no.acl.found")
	b.file("base/kafka-acls/b.yaml", "")
	b.file("base/kafka-acls/a.yaml", "principal: User:a\nacls: [{resourceType: topic, resourceName: t, operation: READ}]\n")
	p := b.plan()
	b.wants(p, "adopt kafka-acls/a")
	b.apply(p)
	p = b.plan()
	b.wants(p, "change kafka-acls/a")
	text, ch := b.said(p)
	if ch.Risk != estate.High || !strings.Contains(text, "acls.ALLOW User:a READ on TOPIC t: gives access") || !strings.Contains(text, "acls.ALLOW User:a WRITE on TOPIC t: takes access") {
		t.Errorf("%s", text)
	}
	run := b.apply(p)
	b.wants(b.plan())
	acls, err := b.kafka.ACLs(t.Context())
	if err != nil || len(acls) != 2 {
		t.Errorf("%v %v", acls, err)
	}
	b.apply(b.undo(run))
	if acls, err = b.kafka.ACLs(t.Context()); err != nil || len(acls) != 2 || !slices.ContainsFunc(acls, func(a kafka.ACL) bool { return a.Operation == "WRITE" }) {
		t.Errorf("%v %v", acls, err)
	}
	b.file("base/kafka-acls/a.yaml", "principal: User:b\nacls: [{resourceType: topic, resourceName: t, operation: READ}]\n")
	b.apply(b.plan())
	if p := b.plan(); p.Problems() != 0 && !strings.Contains(p.Changes[0].Problem, "another principal") {
		t.Errorf("%+v", p.Changes)
	}
}

func TestAGroupBeginsWhereItIsDeclaredAndIsNotMovedUnlessTold(t *testing.T) {
	b := newKafkaBench(t, 1)
	b.file("base/kafka-topics/orders.yaml", "partitions: 2\nreplicationFactor: 1\n")
	b.apply(b.plan())
	b.produce("orders", 2, 10)
	b.commit("old", "orders", map[int32]int64{0: 7, 1: 8})
	group := func(value string) { b.file("base/kafka-groups/indexer.yaml", "topics: {orders: "+value+"}\n") }
	wantOffsets := func(want ...int64) {
		t.Helper()
		if got := b.offsets("indexer", "orders", len(want)); !slices.Equal(got, want) {
			t.Errorf("offsets %v, not %v", got, want)
		}
	}

	group("{copyFrom: old}")
	p := b.plan()
	b.wants(p, "create kafka-groups/indexer")
	b.says(p, estate.Low, "orders: begins at where group old stands in 2 partitions, with 5 records to read")
	run := b.apply(p)
	wantOffsets(7, 8)
	undo := b.undo(run)
	b.wants(undo, "delete kafka-groups/indexer")
	b.apply(undo)
	wantOffsets(-1, -1)

	group("{begin: \"" + b.now.Add(-4*time.Minute-30*time.Second).Format(time.RFC3339) + "\"}")
	b.apply(b.plan())
	wantOffsets(5, 5)
	b.commit("indexer", "orders", map[int32]int64{0: 6, 1: 7}) // it has read
	group("earliest")
	b.wants(b.plan(), "adopt kafka-groups/indexer") // a group that has offsets stays
	b.apply(b.plan())
	b.wants(b.plan())
	wantOffsets(6, 7)

	group("{begin: earliest, move: again-1}")
	p = b.plan()
	b.wants(p, "change kafka-groups/indexer")
	b.says(p, estate.High, "moved, once", "reads 13 records again", "irreversible: what the group does")
	moved := b.apply(p)
	wantOffsets(0, 0)
	b.wants(b.plan())
	if d := b.drift(); len(d) > 0 {
		t.Errorf("%q", d)
	}
	undo = b.undo(moved)
	b.wants(undo, "change kafka-groups/indexer")
	b.apply(undo)
	wantOffsets(6, 7)
	b.wants(b.plan(), "change kafka-groups/indexer")
	moved = b.apply(b.plan())
	b.commit("indexer", "orders", map[int32]int64{0: 2, 1: 2})
	b.wants(b.plan())
	undo = b.undo(moved)
	b.wants(undo, "adopt kafka-groups/indexer")
	b.says(undo, estate.NoRisk, "the group has read since")

	// New partitions have no offsets: the policy is for them, too.
	b.file("base/kafka-topics/orders.yaml", "partitions: 3\nreplicationFactor: 1\n")
	b.apply(b.plan())
	p = b.plan()
	b.wants(p, "change kafka-groups/indexer")
	b.apply(p)
	wantOffsets(2, 2, 0)
	b.wants(b.plan())

	member, err := kgo.NewClient(kgo.SeedBrokers(b.brokers...), kgo.ConsumerGroup("indexer"), kgo.ConsumeTopics("orders"), kgo.DisableAutoCommit())
	if err != nil {
		t.Fatal(err)
	}
	defer member.Close()
	polled, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	member.PollFetches(polled)
	group("{begin: latest, move: again-2}")
	b.says(b.plan(), estate.High, "it has 1 member, and can be moved in orders once they have stopped")
	b.file("base/kafka-groups/indexer.yaml", "")
	p = b.plan()
	b.wants(p, "forget kafka-groups/indexer")
	b.apply(p)
	wantOffsets(2, 2, 0)
}

func TestAnEnvironmentWithoutKafkaSaysWhichFileWantsIt(t *testing.T) {
	b := newKafkaBench(t, 1)
	b.file("base/kafka-topics/orders.yaml", "partitions: 1\nreplicationFactor: 1\n")
	b.apply(b.plan())
	b.kafka = nil
	d, err := estate.Read(t.Context(), b.dir, "prod", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := estate.Observe(t.Context(), b.target(), d); err == nil || !strings.Contains(err.Error(), "base/kafka-topics/orders.yaml: the cluster does not have it: env.yaml has no kafka") {
		t.Errorf("%v", err)
	}
	b.file("base/kafka-topics/orders.yaml", "")
	b.file("base/ingest-pipelines/a.json", `{"processors": []}`)
	p := b.plan()
	b.wants(p, "create ingest-pipelines/a") // and the topic's record stays
	if len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "1 object of kafka-topics is left alone, which was applied once") {
		t.Errorf("%q", p.Notes)
	}
}

// TestAnApplyToKafkaThatIsCutShortHasItsRestInTheNextPlan cuts the connection to the record index at each request in turn, before
// and after its effect: between a change of Kafka and its record, too.
func TestAnApplyToKafkaThatIsCutShortHasItsRestInTheNextPlan(t *testing.T) {
	for _, cut := range []osfake.Cut{osfake.CutBefore, osfake.CutAfter} {
		for at := 0; ; at++ {
			b := newKafkaBench(t, 1)
			b.file("base/kafka-topics/a.yaml", "partitions: 1\nreplicationFactor: 1\n")
			b.file("base/kafka-acls/a.yaml", "principal: User:a\nacls: [{resourceType: topic, resourceName: a, operation: READ}]\n")
			b.file("base/kafka-groups/g.yaml", "topics: {a: earliest}\n")
			p := b.plan()
			n := 0
			b.fake.SetHook(func(*osfake.Request) osfake.Fault {
				if n++; n > at {
					if n == at+1 {
						return osfake.Fault{Cut: cut}
					}
					return osfake.Fault{Cut: osfake.CutBefore}
				}
				return osfake.Fault{}
			})
			run, err := b.try(t.Context(), p)
			b.fake.SetHook(nil)
			if err == nil {
				if at < 5 {
					t.Fatalf("an apply of %d requests", at)
				}
				break
			}
			if at%2 == 0 && run != nil {
				d, _ := b.observe()
				if undo, err := estate.NewUndo(t.Context(), b.target(), d, run.ID, b.now); err == nil {
					b.apply(undo)
				} else if !strings.Contains(err.Error(), "no apply") {
					t.Fatal(err)
				}
			}
			b.apply(b.plan())
			b.wants(b.plan())
			if d := b.drift(); len(d) > 0 {
				t.Errorf("drift: %q", d)
			}
			if got := b.offsets("g", "a", 1); got[0] != 0 {
				t.Errorf("offsets %v", got)
			}
			if t.Failed() {
				t.Fatalf("%v at request %d", cut, at)
			}
		}
	}
}

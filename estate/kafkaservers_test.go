//go:build servers

package estate_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/internal/testbed"
)

// TestServersOfKafkaHaveNoDifferenceAfterAnApply holds topics, ACLs, quotas and groups against real brokers, with an authorizer.
func TestServersOfKafkaHaveNoDifferenceAfterAnApply(t *testing.T) {
	for _, version := range testbed.KafkaVersions {
		t.Run(version, func(t *testing.T) {
			ok, missing := testbed.CanStartKafka(t, version)
			testbed.Need(t, ok, missing)
			k := testbed.StartKafka(t, version, testbed.KafkaOptions{Settings: map[string]string{
				"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users": "User:ANONYMOUS;User:" + testbed.KafkaUser,
			}})
			b := kafkaBenchAt(t, []string{k.Plain})
			kafkaLifecycle(t, b, 1)
			kafkaRewrites(t, b)
			kafkaRefuses(t, b)
		})
	}
}

// kafkaRewrites declares what brokers write in their own way, and adopts what somebody made by hand.
func kafkaRewrites(t *testing.T, b *kafkaBench) {
	values := map[string]*string{}
	for name, v := range map[string]string{"retention.ms": "604800000", "cleanup.policy": "compact,delete", "min.cleanable.dirty.ratio": "0.10", "preallocate": "TRUE"} {
		values[name] = &v
	}
	if _, err := b.adm.CreateTopic(t.Context(), 2, 1, values, "theirs"); err != nil {
		t.Fatal(err)
	}
	b.file("base/kafka-topics/theirs.yaml", "partitions: 2\nreplicationFactor: 1\nconfigs: {retention.ms: 604800000, cleanup.policy: [delete, compact], min.cleanable.dirty.ratio: \"0.10\", preallocate: TRUE}\n")
	p := b.plan()
	b.wants(p, "adopt kafka-topics/theirs")
	b.apply(p)
	b.apply(b.plan())
	b.wants(b.plan())
	if d := b.drift(); len(d) > 0 {
		t.Errorf("drift: %q", d)
	}
	b.file("base/kafka-acls/first.yaml", "principal: User:first\nacls: [{resourceType: cluster, operations: [DESCRIBE, IDEMPOTENT_WRITE]}, {resourceType: transactional_id, resourceName: t-, patternType: prefixed, operation: write}]\n")
	b.apply(b.plan())
	b.wants(b.plan())
	b.file("base/kafka-topics/theirs.yaml", "partitions: 4\nreplicationFactor: 1\n")
	run := b.apply(b.plan())
	b.wants(b.plan())
	b.apply(b.undo(run))
	if d := b.drift(); len(d) > 0 {
		t.Errorf("drift: %q", d)
	}
}

// kafkaRefuses plans what brokers do not take.
func kafkaRefuses(t *testing.T, b *kafkaBench) {
	for content, want := range map[string]string{
		"partitions: 1\nconfigs: {cleanup.policy: sometimes}\n":                    "cleanup.policy",
		"partitions: 1\nconfigs: {no.such.thing: 1}\n":                             "no.such.thing",
		"partitions: 1\nreplicationFactor: 3\n":                                    "",
		"partitions: 1\nconfigs: {min.insync.replicas: 5}\nreplicationFactor: 1\n": "min.insync.replicas is 5",
	} {
		b.file("base/kafka-topics/odd.yaml", content)
		p := b.plan()
		i := slices.IndexFunc(p.Changes, func(ch estate.Change) bool { return ch.Name == "odd" })
		if p.Problems() == 0 || !strings.Contains(p.Changes[i].Problem, want) {
			t.Errorf("%s: %+v", content, p.Changes)
		}
	}
	b.file("base/kafka-topics/odd.yaml", "")
	b.file("base/kafka-quotas/odd.yaml", "entity: {user: x}\nquotas: {bytes_of_joy: 1}\n")
	if p := b.plan(); p.Problems() == 0 {
		t.Errorf("a quota that there is not: %+v", p.Changes)
	}
	b.file("base/kafka-quotas/odd.yaml", "")
	topics, err := b.adm.ListTopics(t.Context())
	if err != nil || topics.Has("odd") {
		t.Errorf("asking made it: %v %v", topics.Names(), err)
	}
}

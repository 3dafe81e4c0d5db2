package cli

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func (b *kafkaBench) offsets(group string) map[string]int64 {
	b.t.Helper()
	all, err := kadm.NewClient(b.client).FetchOffsets(b.t.Context(), group)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		b.t.Fatal(err)
	}
	out := map[string]int64{}
	all.Each(func(r kadm.OffsetResponse) {
		out[r.Topic+"/"+string('0'+r.Partition)] = r.At
	})
	return out
}

func TestANewGroupGetsTheOffsetsOfAnother(t *testing.T) {
	b := newKafkaBench(t, "orders", "other")
	for range 10 {
		b.write(&kgo.Record{Topic: "orders", Partition: 1, Value: []byte("x")})
	}
	b.commit("v1", "orders", 0, 4, 0)
	b.commit("v1", "other", 0)
	out, _ := b.naru(exitOK, "groups", "copy", "v1", "v2", "--topic", "orders", "--plan")
	if len(b.offsets("v2")) > 0 || !strings.Contains(out, "v2 would get the offsets of v1 in 3 partitions.") {
		t.Errorf("%v\n%s", b.offsets("v2"), out)
	}
	out, _ = b.naru(exitOK, "groups", "copy", "v1", "v2", "--topic", "orders")
	want := map[string]int64{"orders/0": 0, "orders/1": 4, "orders/2": 0}
	if d := cmp.Diff(want, b.offsets("v2")); d != "" || !strings.Contains(out, "orders          1       4        6\n") {
		t.Errorf("%s\n%s", d, out)
	}
	_, stderr := b.naru(exitFailed, "groups", "copy", "v1", "v2")
	if !strings.Contains(stderr, "v2 has offsets of orders") {
		t.Error(stderr)
	}
	b.commit("v1", "orders", 0, 7, 0)
	b.naru(exitOK, "groups", "copy", "v1", "v2", "--overwrite")
	if got := b.offsets("v2"); got["orders/1"] != 7 || got["other/0"] != 0 || len(got) != 4 {
		t.Errorf("%v", got)
	}
	if _, stderr := b.naru(exitFailed, "groups", "copy", "nobody", "v3"); !strings.Contains(stderr, "group nobody has no offsets") {
		t.Error(stderr)
	}
	if _, stderr := b.naru(exitFailed, "groups", "copy", "v1", "v1"); !strings.Contains(stderr, "the same") {
		t.Error(stderr)
	}
}

func TestOffsetsOfAGroupThatIsInUseAreLeftAlone(t *testing.T) {
	b := newKafkaBench(t, "orders")
	b.write(&kgo.Record{Topic: "orders", Value: []byte("x")})
	b.commit("v1", "orders", 0)
	member, err := kgo.NewClient(kgo.SeedBrokers(b.brokers...), kgo.ConsumerGroup("busy"), kgo.ConsumeTopics("orders"))
	if err != nil {
		t.Fatal(err)
	}
	defer member.Close()
	for end := time.Now().Add(20 * time.Second); member.PollFetches(t.Context()).NumRecords() == 0; {
		if time.Now().After(end) {
			t.Fatal("the member reads nothing")
		}
	}
	before := b.offsets("busy")
	_, stderr := b.naru(exitFailed, "groups", "copy", "v1", "busy", "--overwrite")
	if !strings.Contains(stderr, "stop them first") || !cmp.Equal(before, b.offsets("busy")) {
		t.Errorf("%v %v\n%s", before, b.offsets("busy"), stderr)
	}
}

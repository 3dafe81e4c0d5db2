package kafka

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestCopiesGoToOtherRacksFirstAndTheLeaderStays(t *testing.T) {
	rack := func(s string) *string { return &s }
	meta := kadm.Metadata{Brokers: kadm.BrokerDetails{{NodeID: 1, Rack: rack("a")}, {NodeID: 2, Rack: rack("a")}, {NodeID: 3, Rack: rack("b")}, {NodeID: 4, Rack: rack("c")}}}
	for _, c := range []struct {
		now  []int32
		n    int
		want []int32
	}{
		{[]int32{1}, 2, []int32{1, 3}},
		{[]int32{1}, 3, []int32{1, 3, 4}},
		{[]int32{1}, 4, []int32{1, 3, 4, 2}},
		{[]int32{1}, 5, []int32{1, 3, 4, 2}}, // there are no more
		{[]int32{2, 1, 3}, 2, []int32{2, 3}}, // two in one rack
		{[]int32{4, 3, 1}, 2, []int32{4, 3}}, // the last
		{[]int32{3}, 1, []int32{3}},          // nothing to do
		{[]int32{9, 1}, 3, []int32{9, 1, 3}}, // one that is down stays
		{[]int32{1, 2, 3, 4}, 1, []int32{1}}, // the leader
		{[]int32{2, 3, 1, 4}, 3, []int32{2, 3, 4}},
	} {
		if got := newSpread(meta).replicas(slices.Clone(c.now), c.n); !slices.Equal(got, c.want) {
			t.Errorf("%d copies, now on %v: %v, not %v", c.n, c.now, got, c.want)
		}
	}
	s := newSpread(meta)
	for range 30 { // load is spread, too
		s.replicas([]int32{1}, 2)
	}
	if s.copies[3] != 15 || s.copies[4] != 15 || s.copies[2] != 0 {
		t.Errorf("%v", s.copies)
	}
}

func TestACLsAreWrittenInOneWay(t *testing.T) {
	a, err := ACL{ResourceType: "topic", ResourceName: "orders-", PatternType: "Prefixed", Principal: "User:a", Operation: "describe-configs"}.Normal()
	want := ACL{"TOPIC", "orders-", "PREFIXED", "User:a", "*", "DESCRIBE_CONFIGS", "ALLOW"}
	if err != nil || a != want {
		t.Errorf("%+v %v", a, err)
	}
	if again, err := a.Normal(); err != nil || again != a {
		t.Errorf("%+v %v", again, err)
	}
	if s := a.String(); s != "ALLOW User:a DESCRIBE_CONFIGS on TOPIC orders- (PREFIXED)" {
		t.Error(s)
	}
	for _, bad := range []ACL{
		{ResourceType: "any", ResourceName: "x", Principal: "User:a", Operation: "READ"},
		{ResourceType: "topic", ResourceName: "x", Principal: "User:a", Operation: "any"},
		{ResourceType: "topic", ResourceName: "x", Principal: "User:a", Operation: "READ", PatternType: "MATCH"},
		{ResourceType: "topic", ResourceName: "x", Principal: "User:a", Operation: "READ", PermissionType: "ANY"},
		{ResourceType: "topic", Principal: "User:a", Operation: "READ"},
		{ResourceType: "topic", ResourceName: "x", Operation: "READ"},
	} {
		if got, err := bad.Normal(); err == nil {
			t.Errorf("%+v is %s", bad, got)
		}
	}
}

func TestWhatBrokersRefuseIsToldFromWhatFailed(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(2, "t"))
	a := newAdmin(t, c.ListenAddrs())
	err := a.CreateTopic(t.Context(), "t", 1, 1, nil, true)
	if r, ok := errors.AsType[*RefusedError](err); !ok || !strings.Contains(r.Why, "already exists") {
		t.Errorf("%v", err)
	}
	if err := a.GrowTopic(t.Context(), "t", 1, true); err == nil {
		t.Error("a topic shrank")
	}
	if err := a.RemoveTopic(t.Context(), "nope"); err != nil {
		t.Error(err)
	}
	if err := a.ReplicateTopic(t.Context(), "t", 9); err == nil || !strings.Contains(err.Error(), "9 copies need as many brokers") {
		t.Errorf("%v", err)
	}
	c.ControlKey(19, func(req kmsg.Request) (kmsg.Response, error, bool) { // CreateTopics
		resp, ok := req.ResponseKind().(*kmsg.CreateTopicsResponse)
		if !ok {
			return nil, nil, false
		}
		topic := kmsg.NewCreateTopicsResponseTopic()
		topic.Topic, topic.ErrorCode = "u", kerr.TopicAuthorizationFailed.Code
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
	if err := a.CreateTopic(t.Context(), "u", 1, 1, nil, false); err == nil || !strings.Contains(err.Error(), "not allowed") {
		t.Errorf("%v", err)
	} else if _, ok := errors.AsType[*RefusedError](err); ok {
		t.Errorf("who may not ask is not told what is wrong with what he asks: %v", err)
	}
}

func TestOffsetsOfAGroupWithMembersAreNotSet(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	produce(t, c.ListenAddrs(), "t", 0, 5)
	member := newClient(t, c.ListenAddrs(), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if fetches := member.PollFetches(t.Context()); fetches.Err() != nil {
		t.Fatal(fetches.Err())
	}
	a := newAdmin(t, c.ListenAddrs())
	set := map[string]map[int32]Committed{"t": {0: {At: 1}}}
	if err := a.CommitOffsets(t.Context(), "g", set); err == nil || !strings.Contains(err.Error(), "group g has members") {
		t.Errorf("%v", err)
	}
	if err := a.CommitOffsets(t.Context(), "other", set); err != nil {
		t.Error(err)
	}
	states, err := a.GroupStates(t.Context(), "g", "other", "nobody")
	if err != nil || states["g"].Members != 1 || states["other"].Topics["t"][0].At != 1 || states["nobody"] == nil || len(states["nobody"].Topics) != 0 {
		t.Errorf("%+v %v", states, err)
	}
	if err := a.ForgetOffsets(t.Context(), "other", map[string][]int32{"t": {0}}); err != nil {
		t.Error(err)
	}
	if err := a.ForgetOffsets(t.Context(), "nobody", map[string][]int32{"t": {0}}); err != nil {
		t.Error(err)
	}
}

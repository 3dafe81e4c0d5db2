package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A GroupsReport is the groups of a cluster.
type GroupsReport struct {
	Cluster ClusterReport `json:"cluster"`
	Groups  []GroupReport `json:"groups"`
	Notes   []string      `json:"notes,omitempty"`
}

// Kinds of groups.
const (
	ClassicGroup  = "classic"  // JoinGroup and SyncGroup
	ConsumerGroup = "consumer" // KIP-848
	ShareGroup    = "share"    // KIP-932
	StreamsGroup  = "streams"  // KIP-1071
)

// EmptyGroup is the state of a group without members.
const EmptyGroup = "Empty"

// A GroupMember is one consumer of a group.
type GroupMember struct {
	ID         string           `json:"id"`
	Instance   string           `json:"instance,omitempty"` // static membership
	ClientID   string           `json:"client_id"`
	Host       string           `json:"host"`
	Topics     []string         `json:"topics"` // what it subscribes to
	Assigned   map[string][]int `json:"assigned"`
	Partitions int              `json:"partitions"`
	Library    string           `json:"library,omitempty"` // a guess; empty: none
	Because    string           `json:"because,omitempty"` // what the guess rests on
}

// A GroupReport is one of a cluster's.
type GroupReport struct {
	Name        string        `json:"group"`
	Kind        string        `json:"kind"`
	State       string        `json:"state"`
	Protocol    string        `json:"protocol,omitempty"` // how partitions are assigned
	Type        string        `json:"protocol_type,omitempty"`
	Coordinator int32         `json:"coordinator"`
	Members     []GroupMember `json:"members"`
	Topics      []string      `json:"topics"`     // subscribed, assigned or committed
	Partitions  int           `json:"partitions"` // of these
	Idle        int           `json:"idle"`       // members that have no partition
	Committed   int           `json:"committed"`  // partitions with an offset
	Error       string        `json:"error,omitempty"`
}

// Rebalancing reports that the group is not reading, or not all of it, as its partitions are being assigned.
func (g *GroupReport) Rebalancing() bool {
	switch g.State {
	case "PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling":
		return true
	}
	return false
}

// Groups looks at the chosen groups.
func (a *Admin) Groups(ctx context.Context, which Which) (*GroupsReport, error) {
	notes := new(Notes)
	l, err := a.look(ctx, Which{}, notes)
	if err != nil {
		return nil, err
	}
	groups, err := a.groups(ctx, l, which)
	if err != nil {
		return nil, err
	}
	commits := a.commits(ctx, groups, notes)
	for i := range groups {
		groups[i].count(l, commits[groups[i].Name])
	}
	return &GroupsReport{Cluster: l.cluster(), Groups: groups, Notes: notes.Lines()}, nil
}

// errNoGroup says that no group was chosen.
var errNoGroup = errors.New("no group of that name")

// groups lists and describes the chosen groups.
func (a *Admin) groups(ctx context.Context, l *look, which Which) ([]GroupReport, error) {
	found := map[string]*GroupReport{}
	var refused error
	for _, shard := range a.client.RequestSharded(ctx, kmsg.NewPtrListGroupsRequest()) {
		if shard.Err != nil {
			l.notes.add(fmt.Sprintf("groups that broker %d coordinates are not known", shard.Meta.NodeID), shard.Err)
			refused = shard.Err
			continue
		}
		resp, ok := shard.Resp.(*kmsg.ListGroupsResponse)
		if !ok {
			continue
		}
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
			l.notes.add(fmt.Sprintf("groups that broker %d coordinates are not known", shard.Meta.NodeID), err)
			refused = err
			continue
		}
		for _, g := range resp.Groups {
			// The offsets of a group that keeps a route say nothing of how far anybody has read.
			if which.match(g.Group, false) && (!isRouteGroup(g.Group) || slices.Contains(which.Patterns, g.Group)) {
				kind := strings.ToLower(cmp.Or(g.GroupType, ClassicGroup))
				found[g.Group] = &GroupReport{
					Name: g.Group, Kind: kind, Type: g.ProtocolType, State: cmp.Or(g.GroupState, "unknown"), Coordinator: shard.Meta.NodeID,
					Members: []GroupMember{}, Topics: []string{},
				}
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(found) == 0 && refused != nil {
		return nil, fmt.Errorf("list groups: %s", because(refused))
	}
	if len(found) == 0 && len(which.Patterns) > 0 && !strings.ContainsAny(strings.Join(which.Patterns, ""), "*?[") {
		return nil, fmt.Errorf("%s: %w", strings.Join(which.Patterns, ", "), errNoGroup)
	}
	byKind := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		byKind[found[name].Kind] = append(byKind[found[name].Kind], name)
	}
	a.describe(ctx, l, byKind, found)
	groups := make([]GroupReport, 0, len(found))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		groups = append(groups, *found[name])
	}
	return groups, ctx.Err()
}

func (a *Admin) describe(ctx context.Context, l *look, byKind map[string][]string, found map[string]*GroupReport) {
	if names := byKind[ClassicGroup]; len(names) > 0 {
		described, err := a.adm.DescribeGroups(ctx, names...)
		l.notes.add("members of classic groups are not known", err)
		for _, d := range described {
			if g := found[d.Group]; g != nil {
				g.classic(&d)
			}
		}
	}
	if names := byKind[ConsumerGroup]; len(names) > 0 {
		described, err := a.adm.DescribeConsumerGroups(ctx, names...)
		l.notes.add("members of consumer groups are not known", err)
		for _, d := range described {
			g := found[d.Group]
			if g == nil || g.failed(d.Err) {
				continue
			}
			g.State, g.Protocol = d.State, d.AssignorName
			for _, m := range d.Members {
				x := GroupMember{ID: m.MemberID, ClientID: m.ClientID, Host: m.ClientHost, Topics: m.SubscribedTopics}
				if m.InstanceID != nil {
					x.Instance = *m.InstanceID
				}
				if m.SubscribedTopicRegex != nil && *m.SubscribedTopicRegex != "" {
					x.Topics = append(x.Topics, "/"+*m.SubscribedTopicRegex+"/")
				}
				g.member(x, m.Assignment)
			}
		}
	}
	if names := byKind[ShareGroup]; len(names) > 0 {
		described, err := a.adm.DescribeShareGroups(ctx, names...)
		l.notes.add("members of share groups are not known", err)
		for _, d := range described {
			g := found[d.GroupID]
			if g == nil || g.failed(d.Err) {
				continue
			}
			g.State, g.Protocol = d.GroupState, d.Assignor
			for _, m := range d.Members {
				g.member(GroupMember{ID: m.MemberID, ClientID: m.ClientID, Host: m.ClientHost, Topics: m.SubscribedTopicNames}, m.Assignment)
			}
		}
	}
	if n := len(byKind[StreamsGroup]); n > 0 {
		l.notes.add(fmt.Sprintf("members of %d streams groups are not known", n), errors.New("naru does not ask for them"))
	}
}

// failed takes down why a group could not be described.
func (g *GroupReport) failed(err error) bool {
	if err != nil {
		g.Error = because(err)
	}
	return err != nil
}

func (g *GroupReport) classic(d *kadm.DescribedGroup) {
	if g.failed(d.Err) {
		return
	}
	g.State, g.Protocol, g.Type = d.State, d.Protocol, d.ProtocolType
	for _, m := range d.Members {
		x := GroupMember{ID: m.MemberID, ClientID: m.ClientID, Host: m.ClientHost}
		if m.InstanceID != nil {
			x.Instance = *m.InstanceID
		}
		if c, ok := m.Join.AsConsumer(); ok {
			x.Topics = c.Topics
		}
		assigned := kadm.TopicsSet{}
		if c, ok := m.Assigned.AsConsumer(); ok {
			for _, t := range c.Topics {
				assigned.Add(t.Topic, t.Partitions...)
			}
		}
		g.member(x, assigned)
	}
}

// member adds a member with what it is assigned.
func (g *GroupReport) member(m GroupMember, assigned kadm.TopicsSet) {
	m.Assigned = map[string][]int{}
	if m.Topics == nil {
		m.Topics = []string{}
	}
	for topic, partitions := range assigned {
		for p := range partitions {
			m.Assigned[topic] = append(m.Assigned[topic], int(p))
		}
		slices.Sort(m.Assigned[topic])
		m.Partitions += len(partitions)
	}
	m.Library, m.Because = guessLibrary(g, &m)
	g.Members = append(g.Members, m)
}

// commits are the committed offsets of groups, but of share groups, which have none.
func (a *Admin) commits(ctx context.Context, groups []GroupReport, notes *Notes) map[string]kadm.OffsetResponses {
	var names []string
	for i := range groups {
		if groups[i].Kind != ShareGroup {
			names = append(names, groups[i].Name)
		}
	}
	commits := make(map[string]kadm.OffsetResponses, len(names))
	for name, r := range a.adm.FetchManyOffsets(ctx, names...) {
		notes.add("offsets of group "+name+" are not known", r.Err)
		commits[name] = r.Fetched
	}
	return commits
}

// count sums up what the group reads.
func (g *GroupReport) count(l *look, commits kadm.OffsetResponses) {
	topics := map[string]bool{}
	for _, m := range g.Members {
		if m.Partitions == 0 {
			g.Idle++
		}
		for t := range m.Assigned {
			topics[t] = true
		}
		for _, t := range m.Topics {
			if _, known := l.meta.Topics[t]; known {
				topics[t] = true
			}
		}
	}
	for topic, partitions := range commits {
		for _, p := range partitions {
			if p.Err == nil && p.At >= 0 {
				topics[topic] = true
				g.Committed++
			}
		}
	}
	g.Topics = append(g.Topics, slices.Sorted(maps.Keys(topics))...)
	for _, t := range g.Topics {
		g.Partitions += len(l.meta.Topics[t].Partitions)
	}
}

var javaClient = regexp.MustCompile(`^consumer-.*-?[0-9]+$`)

// defaultClientIDs are what libraries call themselves unless they are told otherwise.
var defaultClientIDs = []struct{ prefix, library string }{
	{"kafkajs", LibraryKafkaJS}, {"rdkafka", LibraryRdkafka}, {"kgo", "franz-go"}, {"sarama", "sarama"}, {"kafka-python", "kafka-python"},
	{"aiokafka", "aiokafka"}, {"logstash", "Logstash (Java)"}, {"naru", "naru (franz-go)"},
}

// Libraries that doctor has to say something of.
const (
	LibraryKafkaJS = "KafkaJS"
	LibraryRdkafka = "librdkafka"
)

// guessLibrary guesses which client library a member uses, and says what the guess rests on. The protocol does not tell:
// names and versions of clients (KIP-511) are known to the broker only. What can be seen are the name of the assignor and
// the client id, which is the library's own where nobody has set one.
func guessLibrary(g *GroupReport, m *GroupMember) (library, why string) {
	if g.Kind == ClassicGroup && g.Protocol == "RoundRobinAssigner" {
		return LibraryKafkaJS, "the assignor is called RoundRobinAssigner"
	}
	if strings.Contains(m.ClientID, "segmentio/kafka-go") {
		return "segmentio/kafka-go", "the client id has its address"
	}
	for _, d := range defaultClientIDs {
		if m.ClientID == d.library || strings.HasPrefix(m.ClientID, d.prefix) {
			return d.library, "the client id is " + strconv.Quote(m.ClientID)
		}
	}
	if javaClient.MatchString(m.ClientID) {
		return "Java", "the client id is " + strconv.Quote(m.ClientID)
	}
	return "", ""
}

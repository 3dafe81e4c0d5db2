package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/narudata/naru/flow"
)

// An Admin asks a cluster how its topics and groups are. It joins no group, and changes nothing but where a method says so: what
// is declared of topics, ACLs, quotas and groups (TopicStates and the like).
type Admin struct {
	client *kgo.Client
	adm    *kadm.Client
}

// Admin connects to the cluster to ask about it.
func (c *Config) Admin(ctx context.Context) (*Admin, error) {
	client, err := c.Connect(ctx, kgo.RequestRetries(3), kgo.RetryTimeout(15*time.Second), kgo.MetadataMinAge(100*time.Millisecond))
	if err != nil {
		return nil, err
	}
	return &Admin{client, kadm.NewClient(client)}, nil
}

// Close closes the connections.
func (a *Admin) Close() { a.client.Close() }

// HasTopic says with what to do about it that a topic is not there, or may not be seen.
func (a *Admin) HasTopic(ctx context.Context, name string) error {
	meta, err := a.adm.Metadata(ctx, name)
	if err == nil {
		err = meta.Topics[name].Err
	}
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return fmt.Errorf("topic %s does not exist; make it first: kafka-topics.sh --create --topic %s --partitions N", name, name)
	}
	if err != nil {
		return fmt.Errorf("topic %s: %s", name, because(err))
	}
	return nil
}

// Notes are what could not be found out, and why, in the order in which it was asked.
type Notes struct {
	mu    sync.Mutex // guards lines
	lines []string
}

// add notes that what is not known because of err, which may be nil.
func (n *Notes) add(what string, err error) {
	if err == nil || errors.Is(err, kerr.GroupIDNotFound) { // a group that has just gone
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if line := what + ": " + because(err); !slices.Contains(n.lines, line) {
		n.lines = append(n.lines, line)
	}
}

// unlisted is add for what leaders are asked. That a partition has none is one note, whatever was asked.
func (n *Notes) unlisted(what string, err error) {
	shards, ok := errors.AsType[*kadm.ShardErrors](err)
	if !ok {
		n.add(what, err)
		return
	}
	for _, s := range shards.Errs {
		if errors.Is(s.Err, kerr.LeaderNotAvailable) {
			n.add("offsets and times of some partitions are not known", errors.New("they have no leader"))
		} else {
			n.add(what, s.Err)
		}
	}
}

// because says why a broker did not answer, and which permission is missing if that is the reason.
func because(err error) string {
	if shards, ok := errors.AsType[*kadm.ShardErrors](err); ok && len(shards.Errs) > 0 {
		err = shards.Errs[0].Err
	}
	switch {
	case errors.Is(err, kerr.ClusterAuthorizationFailed):
		return "not allowed: it takes Describe on the cluster (and DescribeConfigs for configurations)"
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return "not allowed: it takes Describe on the topic (Read to look at records, DescribeConfigs for configurations)"
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		return "not allowed: it takes Describe on the group"
	case errors.Is(err, kerr.UnsupportedVersion), strings.Contains(err.Error(), "does not support"), strings.Contains(err.Error(), "too old"):
		return "the brokers are too old to say"
	}
	return err.Error()
}

// A ClusterReport is what answers, as the reports name it.
type ClusterReport struct {
	ID         string         `json:"id"`
	Controller int32          `json:"controller"`
	Brokers    []BrokerReport `json:"brokers"`
}

// A BrokerReport is one of a cluster. Sizes in bytes; -1: not known.
type BrokerReport struct {
	ID         int32  `json:"id"`
	Address    string `json:"address"`
	Rack       string `json:"rack,omitempty"`
	Leaders    int    `json:"leaders"`  // partitions it leads
	Replicas   int    `json:"replicas"` // partitions it has a copy of
	Bytes      int64  `json:"bytes"`    // of these copies
	DiskBytes  int64  `json:"disk_bytes"`
	DiskUsable int64  `json:"disk_usable"`
}

// Which chooses topics or groups by name.
type Which struct {
	Patterns flow.Patterns
	Internal bool // also those of the cluster's own whose names begin with two underscores
}

func (w Which) match(name string, internal bool) bool {
	if !w.Patterns.Match(name) {
		return false
	}
	if w.Internal || !internal && !strings.HasPrefix(name, "__") {
		return true
	}
	return slices.ContainsFunc(w.Patterns, func(p string) bool { return strings.HasPrefix(p, "__") })
}

// A look is what a cluster is made of at one time.
type look struct {
	at      time.Time
	meta    kadm.Metadata
	topics  []string // chosen, sorted
	configs map[string]map[string]string
	broker  map[string]string // configuration of the controller, or of any broker
	dirs    kadm.DescribedAllLogDirs
	notes   *Notes
}

// errNothing says that no topic was chosen.
var errNothing = errors.New("no topic of that name")

// look asks for topics, their configurations and sizes.
func (a *Admin) look(ctx context.Context, which Which, notes *Notes) (*look, error) {
	meta, err := a.adm.Metadata(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %s", because(err))
	}
	l := &look{at: time.Now(), meta: meta, configs: map[string]map[string]string{}, broker: map[string]string{}, notes: notes}
	for name, t := range meta.Topics {
		if which.match(name, t.IsInternal) {
			l.topics = append(l.topics, name)
		}
	}
	slices.Sort(l.topics)
	if len(l.topics) == 0 && len(which.Patterns) > 0 && !strings.ContainsAny(strings.Join(which.Patterns, ""), "*?[") {
		return nil, fmt.Errorf("%s: %w", strings.Join(which.Patterns, ", "), errNothing)
	}
	configs, err := a.adm.DescribeTopicConfigs(ctx, l.topics...)
	notes.add("configurations of topics are not known", err)
	for _, c := range configs {
		if c.Err != nil {
			notes.add("configuration of topic "+c.Name+" is not known", c.Err)
			continue
		}
		l.configs[c.Name] = configValues(c.Configs)
	}
	if ids := meta.Brokers.NodeIDs(); len(ids) > 0 {
		of := ids[0]
		if slices.Contains(ids, meta.Controller) {
			of = meta.Controller
		}
		brokers, err := a.adm.DescribeBrokerConfigs(ctx, of)
		notes.add("configurations of brokers are not known", err)
		for _, c := range brokers {
			if c.Err != nil {
				notes.add("configurations of brokers are not known", c.Err)
				continue
			}
			l.broker = configValues(c.Configs)
		}
	}
	l.dirs, err = a.adm.DescribeAllLogDirs(ctx, nil)
	notes.add("sizes on disk are not known", err)
	return l, nil
}

func configValues(configs []kadm.Config) map[string]string {
	m := make(map[string]string, len(configs))
	for _, c := range configs {
		if c.Value != nil {
			m[c.Key] = *c.Value
		}
	}
	return m
}

// number is a configuration's value of a topic; -1 if it is not known.
func (l *look) number(topic, key string) int64 {
	if n, err := strconv.ParseInt(l.configs[topic][key], 10, 64); err == nil {
		return n
	}
	return -1
}

// brokerNumber is a configuration's value of the brokers; -1 if it is not known.
func (l *look) brokerNumber(key string) int64 {
	if n, err := strconv.ParseInt(l.broker[key], 10, 64); err == nil {
		return n
	}
	return -1
}

// partitions gives the details of a topic's partitions by number.
func (l *look) partitions(topic string) []kadm.PartitionDetail {
	return l.meta.Topics[topic].Partitions.Sorted()
}

// sizes are the bytes of a partition's copies by broker. Nil: not known.
func (l *look) sizes(topic string, partition int32) map[int32]int64 {
	if len(l.dirs) == 0 {
		return nil
	}
	sizes := map[int32]int64{}
	for broker, dirs := range l.dirs {
		for _, d := range dirs {
			if p, ok := d.Topics[topic][partition]; ok && !p.IsFuture {
				sizes[broker] += p.Size
			}
		}
	}
	return sizes
}

// cluster sums up the brokers, over all topics, chosen or not.
func (l *look) cluster() ClusterReport {
	c := ClusterReport{ID: l.meta.Cluster, Controller: l.meta.Controller, Brokers: []BrokerReport{}}
	at := map[int32]*BrokerReport{}
	for _, b := range l.meta.Brokers {
		x := &BrokerReport{ID: b.NodeID, Address: b.Host + ":" + strconv.Itoa(int(b.Port)), Bytes: -1, DiskBytes: -1, DiskUsable: -1}
		if b.Rack != nil {
			x.Rack = *b.Rack
		}
		at[b.NodeID] = x
	}
	for _, t := range l.meta.Topics {
		for _, p := range t.Partitions {
			if b := at[p.Leader]; b != nil {
				b.Leaders++
			}
			for _, r := range p.Replicas {
				if b := at[r]; b != nil {
					b.Replicas++
				}
			}
		}
	}
	for id, dirs := range l.dirs {
		b := at[id]
		if b == nil {
			continue
		}
		b.Bytes, b.DiskBytes, b.DiskUsable = 0, 0, 0
		for _, d := range dirs {
			b.Bytes += d.Size()
			if d.TotalBytes < 0 || d.Err != nil {
				b.DiskBytes, b.DiskUsable = -1, -1
				continue
			}
			if b.DiskBytes >= 0 {
				b.DiskBytes += d.TotalBytes
				b.DiskUsable += d.UsableBytes
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(at)) {
		c.Brokers = append(c.Brokers, *at[id])
	}
	return c
}

// Lines gives the notes.
func (n *Notes) Lines() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.lines)
}

// pause waits for d.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// timeOfMillis is a time of milliseconds since 1970; zero for a negative one, which is Kafka's "none".
func timeOfMillis(ms int64) time.Time {
	if ms < 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

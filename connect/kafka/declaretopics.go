package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrNotKept is that the cluster does not keep such things: ACLs without an authorizer, say.
var ErrNotKept = errors.New("it keeps none")

// A RefusedError is that a broker would not do what it was asked, and says why. Asked again it says the same.
type RefusedError struct{ Why string }

func (e *RefusedError) Error() string { return e.Why }

// refused turns what a broker answered into an error: a RefusedError where asking again does not help.
func refused(err error, message string) error {
	if err == nil {
		return nil
	}
	k, ok := errors.AsType[*kerr.Error](err)
	if !ok {
		return err
	}
	if k.Retriable || errors.Is(err, kerr.ClusterAuthorizationFailed) || errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.GroupAuthorizationFailed) {
		return errors.New(because(err))
	}
	return &RefusedError{cmp.Or(message, k.Description)}
}

// fresh makes the client ask for metadata, and not answer from what it was told a moment ago: before the last change, say.
func fresh(ctx context.Context) context.Context { return kadm.WithAuthorizedOps(ctx) }

// TopicState is a topic as it is declared: what was set for it, without what the brokers have by default.
type TopicState struct {
	ID         string // a topic that was made anew has another; "": brokers of that age give none
	Partitions int
	Replicas   [][]int32 // by partition, as they will be once reassignments that are under way have ended
	Configs    map[string]string
	Defaults   map[string]string // what a configuration that is set would be if it was not
	Internal   bool
}

// Replication gives the least and the most copies that a partition has.
func (t *TopicState) Replication() (least, most int) {
	for i, r := range t.Replicas {
		if n := len(r); i == 0 {
			least, most = n, n
		} else {
			least, most = min(least, n), max(most, n)
		}
	}
	return least, most
}

// TopicStates gives all topics, or the named ones that there are.
func (a *Admin) TopicStates(ctx context.Context, names ...string) (map[string]*TopicState, error) {
	ctx = fresh(ctx)
	meta, err := a.adm.Metadata(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("list topics: %s", because(err))
	}
	states := map[string]*TopicState{}
	for name, t := range meta.Topics {
		if errors.Is(t.Err, kerr.UnknownTopicOrPartition) {
			continue
		}
		if t.Err != nil {
			return nil, fmt.Errorf("topic %s: %s", name, because(t.Err))
		}
		s := &TopicState{Partitions: len(t.Partitions), Configs: map[string]string{}, Defaults: map[string]string{}}
		s.Internal = t.IsInternal || strings.HasPrefix(name, "__")
		if t.ID != (kadm.TopicID{}) {
			s.ID = t.ID.String()
		}
		for _, p := range t.Partitions.Sorted() {
			s.Replicas = append(s.Replicas, p.Replicas)
		}
		states[name] = s
	}
	if len(states) == 0 {
		return states, nil
	}
	if under, err := a.adm.ListPartitionReassignments(ctx, nil); err == nil { // who may not ask, or asks an old broker, sees them once they have ended
		for _, r := range under.Sorted() {
			if s := states[r.Topic]; s != nil && int(r.Partition) < len(s.Replicas) {
				s.Replicas[r.Partition] = slices.DeleteFunc(slices.Clone(r.Replicas), func(b int32) bool { return slices.Contains(r.RemovingReplicas, b) })
			}
		}
	}
	configs, err := a.adm.DescribeTopicConfigs(ctx, slices.Sorted(maps.Keys(states))...)
	if err != nil {
		return nil, fmt.Errorf("configurations of topics: %s", because(err))
	}
	for _, c := range configs {
		s := states[c.Name]
		switch {
		case errors.Is(c.Err, kerr.UnknownTopicOrPartition): // deleted in between
			delete(states, c.Name)
		case c.Err != nil:
			return nil, fmt.Errorf("configuration of topic %s: %s", c.Name, because(c.Err))
		case s != nil:
			s.configure(c.Configs)
		}
	}
	return states, nil
}

func (t *TopicState) configure(configs []kadm.Config) {
	for _, c := range configs {
		if c.Value == nil {
			continue
		}
		if c.Source != kmsg.ConfigSourceDynamicTopicConfig {
			t.Defaults[c.Key] = *c.Value
			continue
		}
		t.Configs[c.Key] = *c.Value
		for _, s := range c.Synonyms {
			if s.Source != kmsg.ConfigSourceDynamicTopicConfig && s.Value != nil {
				t.Defaults[c.Key] = *s.Value
				break
			}
		}
	}
}

// Value is what a configuration is now, set or by default; "": not known.
func (t *TopicState) Value(name string) string {
	if v, ok := t.Configs[name]; ok {
		return v
	}
	return t.Defaults[name]
}

func pointers(configs map[string]string) map[string]*string {
	out := make(map[string]*string, len(configs))
	for k, v := range configs {
		out[k] = &v
	}
	return out
}

// CreateTopic makes a topic; replication 0 is the brokers' default. With dry it is only asked whether it would be made.
func (a *Admin) CreateTopic(ctx context.Context, name string, partitions, replication int, configs map[string]string, dry bool) error {
	ctx = fresh(ctx)
	create := a.adm.CreateTopics
	if dry {
		create = a.adm.ValidateCreateTopics
	}
	if replication == 0 {
		replication = -1
	}
	responses, err := create(ctx, int32(partitions), int16(replication), pointers(configs), name) //nolint:gosec // both are looked at when they are read
	if err != nil {
		return refused(err, "")
	}
	r := responses[name]
	if r.Err != nil || dry {
		return refused(r.Err, r.ErrMessage)
	}
	// The brokers learn of it one after the other.
	const patience = 10 * time.Second
	for until := time.Now().Add(patience); ; {
		if err := a.HasTopic(ctx, name); err == nil || time.Now().After(until) {
			return err
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// GrowTopic gives a topic so many partitions.
func (a *Admin) GrowTopic(ctx context.Context, name string, partitions int, dry bool) error {
	grow := a.adm.UpdatePartitions
	if dry {
		grow = a.adm.ValidateUpdatePartitions
	}
	responses, err := grow(ctx, partitions, name)
	if err == nil {
		err = responses[name].Err
	}
	if err == nil && !dry {
		return a.until(ctx, name, func(t *TopicState) bool { return t.Partitions >= partitions })
	}
	return refused(err, responses[name].ErrMessage)
}

// until waits until the topic is as it was asked to be, as far as the broker that answers knows.
func (a *Admin) until(ctx context.Context, name string, is func(*TopicState) bool) error {
	return a.shown(ctx, "topic "+name, func() (bool, error) {
		states, err := a.TopicStates(ctx, name)
		t := states[name]
		return t != nil && is(t), err
	})
}

// ConfigureTopic sets configurations of a topic, and takes others away.
func (a *Admin) ConfigureTopic(ctx context.Context, name string, set map[string]string, unset []string, dry bool) error {
	var changes []kadm.AlterConfig
	for _, k := range slices.Sorted(maps.Keys(set)) {
		v := set[k]
		changes = append(changes, kadm.AlterConfig{Op: kadm.SetConfig, Name: k, Value: &v})
	}
	for _, k := range unset {
		changes = append(changes, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: k})
	}
	if len(changes) == 0 {
		return nil
	}
	var before map[string]string
	if !dry {
		states, err := a.TopicStates(ctx, name)
		if err != nil {
			return err
		}
		if t := states[name]; t != nil {
			before = t.Configs
		}
	}
	alter := a.adm.AlterTopicConfigs
	if dry {
		alter = a.adm.ValidateAlterTopicConfigs
	}
	responses, err := alter(ctx, changes, name)
	message := ""
	for _, r := range responses {
		err, message = errors.Join(err, r.Err), r.ErrMessage
	}
	if err != nil || dry {
		return refused(err, message)
	}
	// Brokers may write a value in their own way, so that it never is what was sent: once it is not what it was, or after a while,
	// what they show is what they made of it.
	began := time.Now()
	const settled = 2 * time.Second
	return a.until(ctx, name, func(t *TopicState) bool {
		if time.Since(began) > settled {
			return true
		}
		for k, v := range set {
			got, ok := t.Configs[k]
			if was, had := before[k]; !ok || got != v && had && got == was {
				return false
			}
		}
		return !slices.ContainsFunc(unset, func(k string) bool { _, ok := t.Configs[k]; return ok })
	})
}

// ReplicateTopic gives each partition of a topic so many copies, by a reassignment, and returns once the controller has begun it.
// The first of the copies, which leads, stays where it is.
func (a *Admin) ReplicateTopic(ctx context.Context, name string, replication int) error {
	ctx = fresh(ctx)
	meta, err := a.adm.Metadata(ctx)
	if err != nil {
		return errors.New(because(err))
	}
	states, err := a.TopicStates(ctx, name)
	if err != nil {
		return err
	}
	t := states[name]
	if t == nil {
		return fmt.Errorf("topic %s does not exist", name)
	}
	if n := len(meta.Brokers); replication > n {
		return &RefusedError{fmt.Sprintf("%d copies need as many brokers; there are %d", replication, n)}
	}
	s := newSpread(meta)
	var request kadm.AlterPartitionAssignmentsReq
	for p, now := range t.Replicas {
		if then := s.replicas(now, replication); !slices.Equal(then, now) {
			request.Assign(name, int32(p), then) //nolint:gosec // a number of partitions
		}
	}
	responses, err := a.adm.AlterPartitionAssignments(ctx, request)
	if err != nil {
		return refused(err, "")
	}
	for _, r := range responses.Sorted() {
		if r.Err != nil {
			return fmt.Errorf("partition %d: %w", r.Partition, refused(r.Err, r.ErrMessage))
		}
	}
	return a.until(ctx, name, func(t *TopicState) bool {
		least, most := t.Replication()
		return least == replication && most == replication
	})
}

// A spread chooses brokers for copies.
type spread struct {
	racks  map[int32]string
	copies map[int32]int // that a broker has, of all topics
}

func newSpread(meta kadm.Metadata) *spread {
	s := &spread{racks: map[int32]string{}, copies: map[int32]int{}}
	for _, b := range meta.Brokers {
		s.copies[b.NodeID] = 0
		if b.Rack != nil {
			s.racks[b.NodeID] = *b.Rack
		}
	}
	for _, t := range meta.Topics {
		for _, p := range t.Partitions {
			for _, r := range p.Replicas {
				if _, up := s.copies[r]; up {
					s.copies[r]++
				}
			}
		}
	}
	return s
}

// replicas gives n brokers for a partition whose copies are on now: those it has, then brokers in racks that have none of it,
// then those with the fewest copies. What is too much goes from the end, first where two share a rack.
func (s *spread) replicas(now []int32, n int) []int32 {
	then := slices.Clone(now)
	for len(then) > n {
		last := len(then) - 1
		for i := last; i > 0; i-- {
			if rack := s.racks[then[i]]; rack != "" && slices.ContainsFunc(then, func(b int32) bool { return b != then[i] && s.racks[b] == rack }) {
				last = i
				break
			}
		}
		s.copies[then[last]]--
		then = slices.Delete(then, last, last+1)
	}
	for len(then) < n {
		used := map[string]bool{}
		for _, b := range then {
			used[s.racks[b]] = true
		}
		best, found := int32(0), false
		for _, b := range slices.Sorted(maps.Keys(s.copies)) {
			if slices.Contains(then, b) {
				continue
			}
			better := !found
			if found {
				newRack, bestNew := !used[s.racks[b]], !used[s.racks[best]]
				better = newRack && !bestNew || newRack == bestNew && s.copies[b] < s.copies[best]
			}
			if better {
				best, found = b, true
			}
		}
		if !found {
			break
		}
		s.copies[best]++
		then = append(then, best)
	}
	return then
}

// RemoveTopic deletes a topic with all that is in it. One that is not there is no error.
func (a *Admin) RemoveTopic(ctx context.Context, name string) error {
	r, err := a.adm.DeleteTopic(ctx, name)
	if err == nil {
		err = r.Err
	}
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return nil
	}
	if err != nil {
		return refused(err, r.ErrMessage)
	}
	return a.shown(ctx, "topic "+name, func() (bool, error) {
		states, err := a.TopicStates(ctx, name)
		return states[name] == nil, err
	})
}

// Brokers counts the brokers that are up.
func (a *Admin) Brokers(ctx context.Context) (int, error) {
	ctx = fresh(ctx)
	list, err := a.adm.ListBrokers(ctx)
	if err != nil {
		return 0, errors.New(because(err))
	}
	return len(list), nil
}

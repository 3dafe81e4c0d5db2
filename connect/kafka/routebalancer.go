package kafka

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// routeProtocol is what members that know routes call their way to divide partitions.
const routeProtocol = "naru-route"

// A routeBalancer divides the partitions of a group by its route. It is cooperative: partitions that stay are read on, and one that
// moves is given away, with a commit, before another member gets it.
//
// Each member says in its metadata of which version it is, and which route it knows; the leader takes the newest of these and of
// what Kafka says at that moment, and says in each assignment which it took. So a change of the route costs one rebalance, whoever
// notices it first.
//
// Beside it members offer cooperative-sticky. While a group has members that do not know routes, the brokers choose that: both move
// partitions in the same way, and the group goes over from one to the other without giving anything away.
type routeBalancer struct {
	hash string
	// ask gives the route as Kafka has it now; nil: nobody is asked.
	ask atomic.Pointer[func(context.Context) (*Route, error)]

	mu      sync.Mutex // guards what follows
	known   *Route     // nil: there is none
	applied int64      // version of the route that the last assignment is by; -1: it is by none
}

var _ kgo.GroupBalancer = (*routeBalancer)(nil)

// routeNote is what members tell each other: of members which version they are, of assignments by which route they are. JSON.
type routeNote struct {
	Hash  string `json:"hash,omitempty"`
	Route *Route `json:"route,omitempty"`
}

func (n routeNote) encode() []byte {
	b, err := json.Marshal(n)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return b
}

// parseNote reads what another member said; false: it said nothing that makes sense.
func parseNote(b []byte) (routeNote, bool) {
	var n routeNote
	if len(b) == 0 || len(b) > 2*mostRoute || json.Unmarshal(b, &n) != nil {
		return routeNote{}, false
	}
	if n.Hash != "" && CheckRouteHash(n.Hash) != nil || n.Route != nil && n.Route.Validate() != nil {
		return routeNote{}, false
	}
	return n, true
}

// learn takes over a route that is newer than the known one, and gives the one that is known then.
func (b *routeBalancer) learn(r *Route) *Route {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.known = newer(b.known, r)
	return b.known
}

// state gives the route that is known, and whether the last assignment is by it, or by a newer one.
func (b *routeBalancer) state() (known *Route, applied bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.known, b.known == nil || b.applied >= b.known.Version
}

// ProtocolName implements kgo.GroupBalancer.
func (*routeBalancer) ProtocolName() string { return routeProtocol }

// IsCooperative implements kgo.GroupBalancer.
func (*routeBalancer) IsCooperative() bool { return true }

// JoinGroupMetadata implements kgo.GroupBalancer. The brokers see by it that the route has changed.
func (b *routeBalancer) JoinGroupMetadata(topics []string, owned map[string][]int32, generation int32) []byte {
	meta := kmsg.NewConsumerMemberMetadata()
	meta.Version, meta.Topics, meta.Generation = 3, topics, generation
	for _, topic := range slices.Sorted(maps.Keys(owned)) {
		o := kmsg.NewConsumerMemberMetadataOwnedPartition()
		o.Topic, o.Partitions = topic, owned[topic]
		meta.OwnedPartitions = append(meta.OwnedPartitions, o)
	}
	known, _ := b.state()
	meta.UserData = routeNote{b.hash, known}.encode()
	return meta.AppendTo(nil)
}

// ParseSyncAssignment implements kgo.GroupBalancer.
func (b *routeBalancer) ParseSyncAssignment(assignment []byte) (map[string][]int32, error) {
	var a kmsg.ConsumerMemberAssignment
	if err := a.ReadFrom(assignment); err == nil {
		if n, ok := parseNote(a.UserData); ok {
			b.mu.Lock()
			if b.applied = 0; n.Route != nil {
				b.known, b.applied = newer(b.known, n.Route), n.Route.Version
			}
			b.mu.Unlock()
		}
	}
	return kgo.ParseConsumerSyncAssignment(assignment)
}

// MemberBalancer implements kgo.GroupBalancer.
func (b *routeBalancer) MemberBalancer(members []kmsg.JoinGroupResponseMember) (kgo.GroupMemberBalancer, map[string]struct{}, error) {
	c, err := kgo.NewConsumerBalancer(b, members)
	return c, c.MemberTopics(), err
}

// askingTakes is how long the leader waits for what Kafka says. The group waits as long.
const askingTakes = 2 * time.Second

// Balance implements kgo.ConsumerBalancerBalance.
func (b *routeBalancer) Balance(c *kgo.ConsumerBalancer, topics map[string]int32) kgo.IntoSyncAssignment {
	route, _ := b.state()
	var members []routeMember
	c.EachMember(func(m *kmsg.JoinGroupResponseMember, meta *kmsg.ConsumerMemberMetadata) {
		note, _ := parseNote(meta.UserData)
		route = newer(route, note.Route)
		one := routeMember{id: m.MemberID, hash: note.Hash, generation: meta.Generation, topics: map[string]bool{}}
		for _, t := range meta.Topics {
			one.topics[t] = true
		}
		for _, o := range meta.OwnedPartitions {
			for _, p := range o.Partitions {
				one.owned = append(one.owned, tp{o.Topic, p})
			}
		}
		members = append(members, one)
	})
	if ask := b.ask.Load(); ask != nil {
		ctx, cancel := context.WithTimeout(context.Background(), askingTakes)
		if is, err := (*ask)(ctx); err == nil {
			route = newer(route, is)
		}
		cancel()
	}
	route = b.learn(route)
	plan := c.NewPlan()
	to := plan.AsMemberIDMap()
	for at, id := range divide(route, members, topics) {
		to[id][at.topic] = append(to[id][at.topic], at.partition)
	}
	for _, partitions := range to {
		for t := range partitions {
			slices.Sort(partitions[t])
		}
	}
	plan.AdjustCooperative(c)
	return notedPlan{plan, routeNote{Route: route}.encode()}
}

// notedPlan is a plan whose assignments say by which route they are.
type notedPlan struct {
	*kgo.BalancePlan
	note []byte
}

// IntoSyncAssignment implements kgo.IntoSyncAssignment.
func (p notedPlan) IntoSyncAssignment() []kmsg.SyncGroupRequestGroupAssignment {
	all := p.BalancePlan.IntoSyncAssignment()
	for i := range all {
		var a kmsg.ConsumerMemberAssignment
		if err := a.ReadFrom(all[i].MemberAssignment); err != nil {
			panic("BUG: " + err.Error())
		}
		a.UserData = p.note
		all[i].MemberAssignment = a.AppendTo(nil)
	}
	return all
}

// A routeMember is a member of a group as its leader sees it.
type routeMember struct {
	id         string
	hash       string // "": it did not say
	topics     map[string]bool
	owned      []tp
	generation int32 // in which it got what it owns
}

// divide gives each partition a member. What can stay where it is does: a partition moves only if the shares of the versions, or
// the evenness of the members of a version, cannot be had otherwise. Partitions that nobody may have are left out. Members are in
// a fixed order.
func divide(route *Route, members []routeMember, topics map[string]int32) map[tp]string {
	d := division{owner: map[tp]int{}, members: members}
	d.claims()
	var stable, canary []int
	for i, m := range members {
		switch {
		case route.free() || m.hash == route.Stable:
			stable = append(stable, i)
		case m.hash == route.Canary && route.Canary != "":
			canary = append(canary, i)
		}
	}
	// Topics that both versions read are shared. What only one of them reads is that one's, whatever the weight, but that a
	// canary without weight has nothing.
	var shared, ofStable, ofCanary []tp
	for _, topic := range slices.Sorted(maps.Keys(topics)) {
		s, c := d.reads(stable, topic), d.reads(canary, topic) && route.Weight > 0
		for p := range topics[topic] {
			switch at := (tp{topic, p}); {
			case s && c:
				shared = append(shared, at)
			case s:
				ofStable = append(ofStable, at)
			case c:
				ofCanary = append(ofCanary, at)
			}
		}
	}
	if len(shared) > 0 {
		mine := d.choose(shared, canary, route.CanaryShare(len(shared)))
		for _, at := range shared {
			if mine[at] {
				ofCanary = append(ofCanary, at)
			} else {
				ofStable = append(ofStable, at)
			}
		}
	}
	out := map[tp]string{}
	d.spread(ofStable, stable, out)
	d.spread(ofCanary, canary, out)
	return out
}

type division struct {
	members []routeMember
	owner   map[tp]int // the member that has a partition now; of several that say so, the one that got it last
}

func (d *division) claims() {
	for i, m := range d.members {
		for _, at := range m.owned {
			if o, taken := d.owner[at]; !taken || d.members[o].generation < m.generation {
				d.owner[at] = i
			}
		}
	}
}

func (d *division) reads(side []int, topic string) bool {
	return slices.ContainsFunc(side, func(i int) bool { return d.members[i].topics[topic] })
}

// choose says which n of the partitions the canary has: those that it has, as far as they are not too many; then those that nobody
// has, then others, from each topic as near to its part as can be.
func (d *division) choose(shared []tp, canary []int, n int) map[tp]bool {
	mine := map[tp]bool{}
	of := map[string]int{}   // partitions of a topic
	have := map[string]int{} // of these, the canary's
	load := map[int]int{}    // partitions of a member
	for _, at := range shared {
		of[at.topic]++
		i, owned := d.owner[at]
		if !owned {
			continue
		}
		load[i]++
		if slices.Contains(canary, i) {
			mine[at] = true
			have[at.topic]++
		}
	}
	// missing is how far a topic is below its part: n of all partitions, of which this topic has so many. In units of 1 / len(shared).
	missing := func(topic string) int { return n*of[topic] - have[topic]*len(shared) }
	move := func(take bool) {
		best, found := tp{}, false
		better := func(a, b tp) int {
			owner := func(at tp) (int, int) {
				i, owned := d.owner[at]
				if !owned {
					return 0, 0
				}
				return 1, load[i]
			}
			ao, al := owner(a)
			bo, bl := owner(b)
			m := cmp.Compare(missing(a.topic), missing(b.topic))
			if take {
				// What is free first: so the second half of a cooperative rebalance gives what the first one has freed.
				return cmp.Or(cmp.Compare(bo, ao), m, cmp.Compare(al, bl), cmp.Compare(a.partition, b.partition))
			}
			return cmp.Or(-m, cmp.Compare(al, bl), cmp.Compare(a.partition, b.partition))
		}
		for _, at := range shared {
			if mine[at] != take && (!found || better(at, best) > 0) {
				best, found = at, true
			}
		}
		if i, owned := d.owner[best]; owned {
			load[i]--
		}
		if take {
			mine[best] = true
			have[best.topic]++
		} else {
			delete(mine, best)
			have[best.topic]--
		}
	}
	for len(mine) < n {
		move(true)
	}
	for len(mine) > n {
		move(false)
	}
	return mine
}

// spread gives the partitions to the members of a version that read their topics: each as many as the others, or one more, as far
// as topics allow. What is over stays without a member, and members that are over without a partition.
func (d *division) spread(partitions []tp, side []int, out map[tp]string) {
	if len(side) == 0 {
		return
	}
	slices.SortFunc(partitions, func(a, b tp) int {
		return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.partition, b.partition))
	})
	with := map[int][]tp{}
	var free []tp
	for _, at := range partitions {
		if i, owned := d.owner[at]; owned && slices.Contains(side, i) && d.members[i].topics[at.topic] {
			with[i] = append(with[i], at)
		} else {
			free = append(free, at)
		}
	}
	// least gives the member with the fewest partitions that reads a topic; one that had the partition in an older generation
	// counts for nothing here.
	least := func(topic string) int {
		best := -1
		for _, i := range side {
			if d.members[i].topics[topic] && (best < 0 || len(with[i]) < len(with[best])) {
				best = i
			}
		}
		return best
	}
	for _, at := range free {
		if i := least(at.topic); i >= 0 {
			with[i] = append(with[i], at)
		}
	}
	// Each move makes two members more even, so this ends.
	for moved := true; moved; {
		moved = false
		byLoad := slices.Clone(side)
		slices.SortStableFunc(byLoad, func(a, b int) int { return cmp.Compare(len(with[b]), len(with[a])) })
		for _, from := range byLoad {
			for n := len(with[from]) - 1; n >= 0 && !moved; n-- {
				at := with[from][n]
				if to := least(at.topic); to >= 0 && len(with[to])+1 < len(with[from]) {
					with[from] = slices.Delete(with[from], n, n+1)
					with[to] = append(with[to], at)
					moved = true
				}
			}
			if moved {
				break
			}
		}
	}
	for i, all := range with {
		for _, at := range all {
			out[at] = d.members[i].id
		}
	}
}

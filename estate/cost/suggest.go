package cost

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/narudata/naru/internal/words"
)

// A Suggestion is something that could be saved, with the arithmetic behind it.
type Suggestion struct {
	What    string   `json:"what"`
	Where   string   `json:"where"` // families, indices, topics
	Bytes   Bytes    `json:"saves_bytes,omitempty"`
	Disk    Bytes    `json:"saves_disk,omitempty"` // with what is kept free beside the bytes
	Shards  int      `json:"saves_shards,omitempty"`
	Nodes   int      `json:"saves_nodes,omitempty"`
	Monthly float64  `json:"saves_monthly,omitempty"`
	How     []string `json:"how"`
	Do      string   `json:"do"`
	Beware  string   `json:"beware,omitempty"`
}

// suggester collects suggestions.
type suggester struct {
	*Model
	k    *Constants
	f    *Facts
	e    *Estimate
	list []Suggestion
}

// suggest looks for what could be saved, the largest saving first. What two of them save may be the same bytes.
func (m *Model) suggest(f *Facts, families []*Family, e *Estimate) []Suggestion {
	s := &suggester{Model: m, k: m.constants(), f: f, e: e, list: []Suggestion{}}
	for _, x := range families {
		if x.system() {
			continue
		}
		s.small(x)
		s.oldReplicas(x)
		s.codec(x)
		s.retention(x)
		s.deleted(x)
	}
	s.unused(families)
	s.topics()
	s.idleNodes()
	slices.SortStableFunc(s.list, func(a, b Suggestion) int {
		return cmp.Or(cmp.Compare(b.Monthly, a.Monthly), cmp.Compare(b.Nodes, a.Nodes), cmp.Compare(b.Disk, a.Disk), cmp.Compare(b.Shards, a.Shards), strings.Compare(a.Where, b.Where))
	})
	return s.list
}

// add notes a suggestion that saves bytes of indices, with the disk for them.
func (s *suggester) add(x Suggestion) {
	if x.Bytes > 0 && x.Disk == 0 {
		before, _ := Disk(s.e.Now.Copies, s.e.Now.Need.Nodes, s.f.Managed, s.k)
		after, _ := Disk(s.e.Now.Copies-x.Bytes, s.e.Now.Need.Nodes, s.f.Managed, s.k)
		x.Disk = before - after
		x.How = append(x.How, fmt.Sprintf("with what is kept free: disks of %s less", x.Disk))
	}
	if p := s.Prices; p != nil {
		u := p.uses(s.f.Environment)
		if price := p.GiBMonth[u.Storage]; price > 0 && x.Disk > 0 && x.Monthly == 0 {
			x.Monthly = float64(x.Disk) / float64(GiB) * price
			x.How = append(x.How, fmt.Sprintf("%s × %g %s a GiB-month (%s) = %.2f %s, if the disks become smaller by it", x.Disk, price, p.Currency, u.Storage, x.Monthly, p.Currency))
		}
	}
	s.list = append(s.list, x)
}

func (s *suggester) worth(b Bytes) bool { return float64(b) >= s.k.bytes(leastSaving) }

// small is about families whose shards are far below what they could be.
func (s *suggester) small(x *Family) {
	primaries := x.primaries()
	if primaries == 0 {
		return
	}
	average := x.primary() / Bytes(primaries)
	if float64(average) >= s.k.bytes(smallShard) {
		return
	}
	var least int
	var how string
	copies := max(1, (x.shards()+primaries-1)/primaries)
	switch {
	case x.Counts && len(x.Indices) > 1: // as many as the bytes need, of the size that logs are to have; one for each policy's sake
		least = Primaries(x.primary(), true, s.k)
		how = fmt.Sprintf("%s in %d primary shards is %s a shard; at %g GiB, with a tenth to grow, %d would do", x.primary(), primaries, average, s.k.of(logsShard), least)
	case x.Indices[0].Primaries > 1:
		least = Primaries(x.primary(), false, s.k)
		how = fmt.Sprintf("%s in %d primary shards is %s a shard; at %g GiB, with a tenth to grow, %d would do", x.primary(), primaries, average, s.k.of(searchShard), least)
	default:
		return
	}
	saved := (primaries - least) * copies
	if saved < 2 {
		return
	}
	do := "give the template fewer shards; naru run with one target index, or _shrink, for what is there"
	if x.Counts {
		do = fmt.Sprintf("number_of_shards: 1 in the template, and a rollover by size (min_primary_shard_size: %ggb) instead of by day", s.k.of(logsShard))
	}
	s.add(Suggestion{
		What: "too many shards", Where: x.Name, Shards: saved, Do: do,
		How: []string{how, fmt.Sprintf("(%d − %d) × %s = %d shards less", primaries, least, copiesText(copies), saved)},
	})
}

// oldReplicas is about replicas of logs that are old.
func (s *suggester) oldReplicas(x *Family) {
	if !x.Counts {
		return
	}
	var saved, primary Bytes
	n, shards := 0, 0
	for _, i := range x.Indices[:len(x.Indices)-1] {
		if i.age(s.f.At) < s.k.of(oldDays) || i.Replicas == 0 {
			continue
		}
		n++
		primary += i.Primary
		saved += i.Primary * Bytes(i.Replicas)
		shards += i.Primaries * i.Replicas
	}
	if !s.worth(saved) {
		return
	}
	s.add(Suggestion{
		What: "replicas of what is old", Where: x.Name, Bytes: saved, Shards: shards,
		How:    []string{fmt.Sprintf("%d indices older than %g days have %s of primary shards, and %s of replicas", n, s.k.of(oldDays), primary, saved)},
		Do:     fmt.Sprintf("a state with replica_count: {number_of_replicas: 0} after min_index_age: %gd; try it by --what-if replicas=0@%gd:%s", s.k.of(oldDays), s.k.of(oldDays), x.Name),
		Beware: "when a node is lost, what it had of them comes back from a snapshot only; there has to be one",
	})
}

// codec is about families that are not compressed as they could be.
func (s *suggester) codec(x *Family) {
	if !x.Counts {
		return
	}
	var plain Bytes
	n := 0
	for _, i := range x.Indices {
		if i.Codec == "default" || i.Codec == "lz4" {
			n++
			plain += i.Configured()
		}
	}
	name, left := "best_compression", s.k.of(ratioCompressed)
	if s.f.Zstd {
		name, left = "zstd", s.k.of(ratioZstd)
	}
	saved := Bytes(float64(plain) * (1 - left))
	if !s.worth(saved) {
		return
	}
	s.add(Suggestion{
		What: "codec " + name, Where: x.Name, Bytes: saved,
		How: []string{
			fmt.Sprintf("%d indices with the default codec take %s; × (1 − %g) = %s", n, plain, left, saved),
			"the ratio is of published benchmarks; measure it on one index of yours and set " + map[bool]string{true: ratioZstd, false: ratioCompressed}[s.f.Zstd],
		},
		Do:     "index.codec: " + name + " in the template: for new indices; those that are there keep theirs until they are reindexed",
		Beware: map[bool]string{true: "UltraWarm and cold storage of Amazon's service may not take zstd: look at your version's list", false: "indexing takes somewhat more processor"}[s.f.Zstd],
	})
}

// retention is about logs that nothing deletes.
func (s *suggester) retention(x *Family) {
	life := s.f.Objects.life(x.newest().Name)
	if !x.Counts || life.Retention > 0 || s.f.Objects == nil {
		return
	}
	var old Bytes
	n, shards := 0, 0
	for _, i := range x.Indices[:len(x.Indices)-1] {
		if i.age(s.f.At) > s.k.of(retentionDays) {
			n++
			old += i.Configured()
			shards += i.Shards()
		}
	}
	why := "no policy deletes them"
	if life.Policy != "" {
		why = "policy " + life.Policy + " has no delete"
		if life.Unclear != "" {
			why = life.Unclear
		}
	}
	how := []string{fmt.Sprintf("%s; %d indices older than %g days take %s", why, n, s.k.of(retentionDays), old)}
	if x.Growth != nil {
		replicas := Bytes(1 + x.newest().Replicas)
		how = append(how, fmt.Sprintf("they grow by %s a day (%s to %s) × %s × %g days = %s more in that time", x.Growth.Likely, x.Growth.Low, x.Growth.High, copiesText(int(replicas)), s.k.of(horizonDays),
			Bytes(float64(x.Growth.Likely*replicas)*s.k.of(horizonDays))))
	}
	if !s.worth(old) {
		if x.Growth == nil || !s.worth(Bytes(float64(x.Growth.Likely)*s.k.of(horizonDays))) {
			return
		}
		old, shards = 0, 0
	}
	s.add(Suggestion{
		What: "retention", Where: x.Name, Bytes: old, Shards: shards, How: how,
		Do:     fmt.Sprintf("a policy that deletes them after as long as they are needed; try it by --what-if retention=%gd:%s", s.k.of(retentionDays), x.Name),
		Beware: "what is deleted is gone: archive it first (naru carry) if anybody may ask for it",
	})
}

// deleted is about indices that are full of deleted documents and are not written to any more.
func (s *suggester) deleted(x *Family) {
	var saved Bytes
	var names, how []string
	for _, i := range x.Indices {
		all := i.Documents + i.Deleted
		if all == 0 || float64(i.Deleted)/float64(all) < s.k.of(deletedShare) || x.Counts && i == x.newest() {
			continue
		}
		share := float64(i.Deleted) / float64(all)
		gain := Bytes(float64(i.Configured()) * share)
		if !s.worth(gain) {
			continue
		}
		saved += gain
		names = append(names, i.Name)
		if len(how) < 5 {
			how = append(how, fmt.Sprintf("%s: %d of %d documents are deleted, %.0f %% of %s = %s", i.Name, i.Deleted, all, 100*share, i.Configured(), gain))
		}
	}
	if len(names) == 0 {
		return
	}
	s.add(Suggestion{
		What: "deleted documents", Where: words.First(names, 3), Bytes: saved, How: how,
		Do: "_forcemerge?only_expunge_deletes=true, at a quiet time", Beware: "merging reads and writes all of it once, and needs room for that",
	})
}

// unused is about indices that nobody asked anything of since their counters count.
func (s *suggester) unused(families []*Family) {
	byDay := map[*Family][]*Index{}
	var order []*Family
	for _, x := range families {
		if x.system() {
			continue
		}
		for _, i := range x.Indices {
			if i.Open && i.Queries == 0 && !i.Counting.IsZero() && i.Unassigned == 0 && s.f.At.Sub(i.Counting) >= time.Duration(s.k.of(unusedDays)*24*float64(time.Hour)) && i.Configured() > 0 {
				if byDay[x] == nil {
					order = append(order, x)
				}
				byDay[x] = append(byDay[x], i)
			}
		}
	}
	for _, x := range order {
		var saved Bytes
		shards := 0
		var names []string
		var latest time.Time
		for _, i := range byDay[x] {
			saved += i.Configured()
			shards += i.Shards()
			names = append(names, i.Name)
			if i.Counting.After(latest) {
				latest = i.Counting
			}
		}
		if !s.worth(saved) {
			continue
		}
		s.add(Suggestion{
			What: "never searched", Where: words.First(names, 3), Bytes: saved, Shards: shards,
			How: []string{fmt.Sprintf("no query of any copy of these %d indices since %s UTC, when the last of their counters began: a node that restarts and a shard that moves count from zero, and what was before is not known",
				len(names), latest.Format(time.DateTime))},
			Do:     "ask who needs them; archive them (naru carry), then delete them",
			Beware: "reports that run once a month or a year",
		})
	}
}

// topics is about topics with more copies than there need be, and those that nobody reads.
func (s *suggester) topics() {
	if s.f.Kafka == nil {
		return
	}
	most := int(s.k.of(topicReplicas))
	kafkaDisk := func(x Suggestion, saved Bytes) Suggestion {
		x.Bytes = saved
		x.Disk = Bytes(float64(saved) * s.k.of(brokerHeadroom))
		x.How = append(x.How, fmt.Sprintf("with the headroom of brokers: %s × %g = %s", saved, s.k.of(brokerHeadroom), x.Disk))
		if p := s.Prices; p != nil {
			u := p.uses(s.f.Environment)
			if price := p.GiBMonth[u.KafkaStorage]; price > 0 {
				x.Monthly = float64(x.Disk) / float64(GiB) * price
				x.How = append(x.How, fmt.Sprintf("%s × %g %s a GiB-month (%s) = %.2f %s, if the disks become smaller by it", x.Disk, price, p.Currency, u.KafkaStorage, x.Monthly, p.Currency))
			}
		}
		return x
	}
	for i := range s.f.Kafka.Topics {
		t := &s.f.Kafka.Topics[i]
		if strings.HasPrefix(t.Name, "__") {
			continue
		}
		if t.Replicas > most {
			saved := t.Stored * Bytes(t.Replicas-most) / Bytes(t.Replicas)
			if s.worth(saved) {
				s.list = append(s.list, kafkaDisk(Suggestion{
					What: "copies of a topic", Where: "topic " + t.Name,
					How:    []string{fmt.Sprintf("%s in %d copies × (%d − %d) / %d = %s", t.Stored, t.Replicas, t.Replicas, most, t.Replicas, saved)},
					Do:     fmt.Sprintf("replicationFactor: %d, by a reassignment of its partitions", most),
					Beware: "min.insync.replicas has to stay below it",
				}, saved))
			}
		}
		if len(t.Groups) == 0 && s.worth(t.Stored) && !t.Compacted {
			s.list = append(s.list, kafkaDisk(Suggestion{
				What: "a topic that no group reads", Where: "topic " + t.Name,
				How:    []string{fmt.Sprintf("%s in %d copies; no consumer group has an offset in it or is subscribed to it", t.Stored, t.Replicas)},
				Do:     "ask who writes it; a shorter retention.ms, or none of it",
				Beware: "consumers that assign partitions by hand and commit nothing are not seen",
			}, t.Stored))
		}
	}
}

// idleNodes is about nodes that nothing asks for.
func (s *suggester) idleNodes() {
	shape := s.f.shape(s.k)
	need := s.e.Now.Need
	if s.e.Steady.Need.Nodes > need.Nodes {
		need = s.e.Steady.Need // it will grow into them
	}
	if idle := shape.nodes - need.Nodes; idle > 0 && shape.known {
		full := 0.0
		for _, n := range s.f.Nodes {
			full = max(full, n.Used/100)
		}
		x := Suggestion{
			What: "nodes that nothing needs", Where: fmt.Sprintf("%d of %d data nodes", idle, shape.nodes), Nodes: idle, Disk: Bytes(shape.disk * float64(idle)),
			Do:     "exclude one from allocation (cluster.routing.allocation.exclude._name), look at the cluster for a while, then stop it",
			Beware: "the rules know of disks, heap, shards and processors, not of how hard your queries are",
		}
		for _, p := range need.Parts {
			x.How = append(x.How, fmt.Sprintf("%s: %.2f nodes: %s", p.What, p.Need, p.How))
		}
		x.How = append(x.How, fmt.Sprintf("the largest, by %s: %d nodes of %d", need.By, need.Nodes, shape.nodes))
		if full > s.k.of(heapFull) {
			return // what they do is more than they hold
		}
		x.How = append(x.How, fmt.Sprintf("the fullest heap is at %.0f %%, below %.0f %%", 100*full, 100*s.k.of(heapFull)))
		if p := s.Prices; p != nil {
			u := p.uses(s.f.Environment)
			if u.Data != "" {
				x.Monthly = float64(idle) * p.InstanceHour[u.Data] * p.hours()
				x.How = append(x.How, fmt.Sprintf("%d × %g %s an hour (%s) × %g h = %.2f %s", idle, p.InstanceHour[u.Data], p.Currency, u.Data, p.hours(), x.Monthly, p.Currency))
			}
			if price := p.GiBMonth[u.Storage]; price > 0 {
				disk := float64(x.Disk) / float64(GiB) * price
				x.Monthly += disk
				x.How = append(x.How, fmt.Sprintf("and their disks: %s × %g = %.2f %s", x.Disk, price, disk, p.Currency))
			}
		}
		s.list = append(s.list, x)
	}
}

package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/narudata/naru/flow/stream"
)

// A Group is a member of a consumer group: a source with a stream for each partition that it is assigned. What is
// acknowledged is committed, nothing else: at intervals, before a partition is given to another member, and at the end. A
// partition that is to be given away is read no further; it goes when all that was read of it is delivered, or when the time
// that the group has for it is nearly up.
type Group struct {
	Config
	Reading

	Group             string        `json:"group" doc:"name of the consumer group"`
	Topics            []string      `json:"topics,omitempty" doc:"topics to read"`
	Pattern           string        `json:"pattern,omitempty" doc:"regular expression that the names of topics to read match as a whole; topics that are made later count, too"`
	Start             Bound         `json:"start,omitzero" doc:"where to begin in partitions that the group never read: earliest (the default), latest, a time, a duration ago, or none: then it is an error"`
	Protocol          string        `json:"protocol,omitempty" doc:"classic (the default), or consumer: the brokers assign partitions (KIP-848; Kafka 4.0 or later, better 4.3; otherwise it is classic)"`
	Assignors         []string      `json:"assignors,omitempty" doc:"how members divide partitions: cooperative-sticky (the default), sticky, range, roundrobin; what all members know is taken. One that all know should be the only one: records may come twice when a group changes from one to another"`
	Instance          string        `json:"instance,omitempty" doc:"a name for this member that stays the same over restarts (static membership); each member needs its own"`
	SessionTimeout    time.Duration `json:"sessionTimeout,omitempty" doc:"after how long without a sign of life a member is taken for dead; the default is 45s"`
	HeartbeatInterval time.Duration `json:"heartbeatInterval,omitempty" doc:"how often there is a sign of life; the default is 3s"`
	RebalanceTimeout  time.Duration `json:"rebalanceTimeout,omitempty" doc:"how long a member may take to give partitions away; the default is 60s"`
	CommitInterval    time.Duration `json:"commitInterval,omitempty" doc:"how often what is delivered is committed; the default is 1s"`

	// Route has the members of the group divide its partitions by the group's Route; nil: they do so among all alike.
	Route *Routing `json:"-"`
}

var _ stream.Source = (*Group)(nil)

// Validate says what is wrong with g.
func (g *Group) Validate() error {
	errs := []error{g.Config.Validate(), g.validate()}
	if g.Group == "" {
		errs = append(errs, errors.New("group is missing: the name of the consumer group"))
	}
	if (len(g.Topics) == 0) == (g.Pattern == "") {
		errs = append(errs, errors.New("give either topics or a pattern"))
	}
	if _, err := regexp.Compile(g.Pattern); err != nil {
		errs = append(errs, fmt.Errorf("pattern: %w", err))
	}
	if g.Protocol != "" && g.Protocol != "classic" && g.Protocol != "consumer" {
		errs = append(errs, fmt.Errorf("protocol %q: want classic or consumer", g.Protocol))
	}
	if g.Start.kind == atOffset {
		errs = append(errs, errors.New("start: an offset has no meaning for a group"))
	}
	if _, err := balancers(g.Assignors); err != nil {
		errs = append(errs, err)
	}
	if g.Route != nil {
		errs = append(errs, g.checkRoute())
	}
	if g.SessionTimeout < 0 || g.HeartbeatInterval < 0 || g.RebalanceTimeout < 0 || g.CommitInterval < 0 {
		errs = append(errs, errors.New("times must not be negative"))
	}
	if g.heartbeat() >= orElse(g.SessionTimeout, 45*time.Second) {
		errs = append(errs, errors.New("heartbeatInterval must be shorter than sessionTimeout"))
	}
	return errors.Join(errs...)
}

// checkRoute says what does not go with a route.
func (g *Group) checkRoute() error {
	if g.Protocol == "consumer" {
		return errors.New("a route needs members that divide partitions themselves: protocol consumer leaves it to the brokers")
	}
	if len(g.Assignors) > 0 && (len(g.Assignors) > 1 || g.Assignors[0] != "cooperative-sticky") {
		return fmt.Errorf("a route goes with cooperative-sticky (the default) only, not with %s: members of the other kind would give everything away at each change", strings.Join(g.Assignors, ", "))
	}
	return CheckRouteHash(g.Route.Hash)
}

func balancers(names []string) ([]kgo.GroupBalancer, error) {
	var out []kgo.GroupBalancer
	for _, n := range names {
		switch n {
		case "cooperative-sticky":
			out = append(out, kgo.CooperativeStickyBalancer())
		case "sticky":
			out = append(out, kgo.StickyBalancer())
		case "range":
			out = append(out, kgo.RangeBalancer())
		case "roundrobin":
			out = append(out, kgo.RoundRobinBalancer())
		default:
			return nil, fmt.Errorf("assignor %q: want cooperative-sticky, sticky, range or roundrobin", n)
		}
	}
	if out == nil {
		out = append(out, kgo.CooperativeStickyBalancer())
	}
	return out, nil
}

func (g *Group) heartbeat() time.Duration { return orElse(g.HeartbeatInterval, 3*time.Second) }

// options gives the client's options.
func (g *Group) options(now time.Time) ([]kgo.Opt, error) {
	if err := g.Validate(); err != nil {
		return nil, err
	}
	options, err := g.Options()
	if err != nil {
		return nil, err
	}
	options = append(options, g.bounds()...)
	options = append(options,
		kgo.ConsumerGroup(g.Group), kgo.DisableAutoCommit(),
		kgo.SessionTimeout(orElse(g.SessionTimeout, 45*time.Second)),
		kgo.HeartbeatInterval(g.heartbeat()),
		kgo.RebalanceTimeout(g.rebalance()),
	)
	switch {
	case g.Protocol == "consumer" && len(g.Assignors) > 0 && g.Assignors[0] == "range":
		options = append(options, kgo.ServerSideBalancer(), kgo.Balancers(kgo.RangeBalancer()))
	case g.Protocol == "consumer":
		options = append(options, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
	case g.Route != nil: // Run adds them
	default:
		b, err := balancers(g.Assignors)
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.Balancers(b...))
	}
	if g.Instance != "" {
		options = append(options, kgo.InstanceID(g.Instance))
	}
	if g.Pattern != "" {
		options = append(options, kgo.ConsumeRegex(), kgo.ConsumeTopics("^(?:"+g.Pattern+")$"))
	} else {
		options = append(options, kgo.ConsumeTopics(g.Topics...))
	}
	return append(options, g.Start.starts(now)...), nil
}

func (g *Group) rebalance() time.Duration { return orElse(g.RebalanceTimeout, time.Minute) }

// Run implements stream.Source.
func (g *Group) Run(ctx context.Context, open func(stream.Stream)) error {
	log := g.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	options, err := g.options(time.Now())
	if err != nil {
		return err
	}
	cluster, err := g.clusterID(ctx, log)
	if err != nil {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was told to stop
		}
		return err
	}
	m := &member{reader: newReader(&g.Reading, cluster, log.With("group", g.Group)), g: g, open: open, failed: make(chan error, 1), left: map[tp]*partition{}, look: make(chan struct{}, 1)}
	if g.Route != nil {
		if m.route, err = g.routed(ctx, m.log); err != nil {
			return nil //nolint:nilerr // it was told to stop
		}
		options = append(options, kgo.Balancers(m.route, kgo.CooperativeStickyBalancer()))
	}
	m.client, err = kgo.NewClient(append(options,
		kgo.OnPartitionsAssigned(m.assigned), kgo.OnPartitionsRevoked(m.revoked), kgo.OnPartitionsLost(m.lost), kgo.AdjustFetchOffsetsFn(m.beginAt), kgo.KeepControlRecords())...)
	if err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	if m.route != nil {
		m.route.asks(m.client, g.Group)
	}
	return m.run(ctx)
}

// member is one run of a Group.
type member struct {
	*reader
	g    *Group
	open func(stream.Stream)

	// committing is held while offsets are committed. Once a partition is marked as gone under it, nothing more is committed
	// of it: another member may have it.
	committing sync.Mutex

	failed  chan error // why the source cannot go on; has room for one
	closing bool       // nothing new is taken; guarded by mu

	route *routeBalancer // nil: the group has none

	// left are partitions that the group took away without a commit, as it does when its broker is away for a moment. If they
	// come back, and nobody has gone on meanwhile, what was delivered is not read again. Guarded by mu.
	left map[tp]*partition

	look chan struct{} // partitions began: their ends are to be asked for; has room for one
}

// fail ends the source.
func (m *member) fail(err error) {
	select {
	case m.failed <- err:
	default:
	}
}

func (m *member) run(ctx context.Context) error {
	defer m.g.Lag.join(m.reader, m.g.Group)()
	done := make(chan struct{})
	var commits sync.WaitGroup
	commits.Go(func() { m.commitAtIntervals(done) })

	polling, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	commits.Go(func() { m.watchEnds(polling) })
	if m.route != nil {
		commits.Go(func() { m.follow(polling, m.route) })
	}
	go func() {
		select {
		case err := <-m.failed:
			stop(err)
		case <-polling.Done():
		}
	}()
	failed := m.poll(polling)
	if cause := context.Cause(polling); failed == nil && ctx.Err() == nil {
		failed = cause
	}
	stop(nil)

	// The client stays a member, and goes on answering to rebalances, until all is delivered.
	m.mu.Lock()
	m.closing = true
	for _, p := range m.parts {
		m.held.Add(int64(-p.finish(false)))
	}
	m.mu.Unlock()
	m.waitClosed()
	close(done)
	commits.Wait()
	last, cancel := context.WithTimeout(context.Background(), m.patience())
	defer cancel()
	if err := m.commitAll(last); err != nil {
		m.log.Error("the last offsets cannot be committed: what was delivered since comes again", "error", err)
	}
	m.leave()
	return failed
}

// leaving is how long leaving the group may take. The client waits for a rebalance that is going on, which a member that died
// can hold up for minutes; the coordinator notices all the same that this one is gone.
const leaving = 10 * time.Second

// leave leaves the group and closes the client.
func (m *member) leave() {
	left := make(chan struct{})
	go func() {
		defer close(left)
		m.client.CloseAllowingRebalance()
	}()
	late := time.NewTimer(leaving)
	defer late.Stop()
	select {
	case <-left:
	case <-late.C:
		m.log.Warn("the group is not left in time, as it is in a rebalance: it will notice", "group", m.g.Group)
	}
}

// patience is how long partitions that are taken away may wait for what was read of them. The rest of the group's time is for
// noticing it, and for the commit.
func (m *member) patience() time.Duration {
	all := m.g.rebalance()
	return max(all-2*m.g.heartbeat()-5*time.Second, all/2)
}

// begin settles where partitions that nobody read begin, if that is their end: it is committed, so that what comes from now on
// is read, even if this member ends before it has delivered anything.
func (m *member) begin(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	m.resume(offsets)
	switch m.g.Start.kind {
	case latest:
	case none:
		for topic, partitions := range offsets {
			for partition, o := range partitions {
				if o.EpochOffset().Offset < 0 {
					m.fail(fmt.Errorf("topic %s partition %d: group %s has committed no offset there, and start is none", topic, partition, m.g.Group))
				}
			}
		}
		return offsets, nil
	case unset, earliest, atTime, ago, atOffset:
		return offsets, nil
	}
	var topics []string
	for topic, partitions := range offsets {
		for _, o := range partitions {
			if o.EpochOffset().Offset == endOffset {
				topics = append(topics, topic)
				break
			}
		}
	}
	if len(topics) == 0 {
		return offsets, nil
	}
	ends, err := kadm.NewClient(m.client).ListEndOffsets(ctx, topics...)
	if err != nil {
		return nil, err
	}
	for _, topic := range topics {
		for partition, o := range offsets[topic] {
			end, ok := ends.Lookup(topic, partition)
			if o.EpochOffset().Offset != endOffset || !ok || end.Err != nil {
				continue
			}
			offsets[topic][partition] = kgo.NewOffset().At(end.Offset)
			m.mu.Lock()
			p := m.parts[tp{topic, partition}]
			m.mu.Unlock()
			if p != nil {
				p.startAt(mark{end.Offset, end.LeaderEpoch})
			}
		}
	}
	return offsets, nil
}

// resume has partitions that were taken away and came back go on behind what was delivered, where that was not committed any
// more. An offset that was set back meanwhile counts.
func (m *member) resume(offsets map[string]map[int32]kgo.Offset) {
	for topic, partitions := range offsets {
		for n, o := range partitions {
			committed := o.EpochOffset().Offset
			m.mu.Lock()
			p, before := m.parts[tp{topic, n}], m.left[tp{topic, n}]
			delete(m.left, tp{topic, n})
			m.mu.Unlock()
			if p == nil || committed < 0 {
				continue
			}
			p.committed(committed)
			if before == nil {
				continue
			}
			if at, ok := before.beyond(committed); ok {
				partitions[n] = kgo.NewOffset().At(at.next).WithEpoch(at.epoch)
				p.startAt(at)
			}
		}
	}
}

// endOffset is what the client calls the end.
const endOffset = -1

func (m *member) assigned(_ context.Context, _ *kgo.Client, added map[string][]int32) {
	for topic, partitions := range added {
		for _, n := range partitions {
			m.mu.Lock()
			closing := m.closing
			m.mu.Unlock()
			if closing {
				return
			}
			p := newPartition(m.reader, tp{topic, n})
			p.unmarked = true
			m.opened(p)
			m.log.Debug("kafka: a partition is assigned", "topic", topic, "partition", n)
			m.open(p)
		}
	}
}

// of gives the partitions that are named, and have streams.
func (m *member) of(named map[string][]int32) (parts []*partition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for topic, partitions := range named {
		for _, n := range partitions {
			if p := m.parts[tp{topic, n}]; p != nil {
				parts = append(parts, p)
			}
		}
	}
	return parts
}

// forget takes partitions out of the table.
func (m *member) forget(parts []*partition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range parts {
		if m.parts[p.tp] == p {
			delete(m.parts, p.tp)
		}
	}
}

// revoked gives partitions away. The group waits as long as it runs.
func (m *member) revoked(_ context.Context, _ *kgo.Client, named map[string][]int32) {
	parts := m.of(named)
	if len(parts) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), m.patience())
	defer cancel()
	m.barrier()
	for _, p := range parts {
		m.held.Add(int64(-p.finish(false)))
	}
	for _, p := range parts {
		if !p.waitSettled(ctx) {
			m.log.Warn("a partition is given away before all that was read of it is delivered: another member will deliver the rest again",
				"topic", p.tp.topic, "partition", p.tp.partition)
		}
	}
	// The commit has time of its own: what is delivered should not come again because something else was late.
	last, stop := context.WithTimeout(context.Background(), commitPatience)
	defer stop()
	m.committing.Lock()
	err := m.commit(last, parts)
	for wait := 50 * time.Millisecond; err != nil && last.Err() == nil; wait = min(2*wait, time.Second) {
		sleep(last, wait)
		err = m.commit(last, parts)
	}
	for _, p := range parts {
		p.finish(true)
	}
	m.committing.Unlock()
	if err != nil {
		m.log.Error("offsets of partitions that are given away cannot be committed: another member will deliver again what was delivered since", "error", err)
	}
	m.forget(parts)
}

// commitPatience is how long commits that must not be left out are tried.
const commitPatience = 5 * time.Second

// lost ends the streams of partitions that others may have by now.
func (m *member) lost(_ context.Context, _ *kgo.Client, named map[string][]int32) {
	parts := m.of(named)
	m.barrier()
	for _, p := range parts {
		m.held.Add(int64(-p.finish(true)))
		m.mu.Lock()
		m.left[p.tp] = p
		m.mu.Unlock()
		m.log.Warn("the group has taken a partition away: another member will deliver again what is not committed", "topic", p.tp.topic, "partition", p.tp.partition)
	}
	m.forget(parts)
}

func (m *member) commitAtIntervals(done <-chan struct{}) {
	tick := time.NewTicker(orElse(m.g.CommitInterval, time.Second))
	defer tick.Stop()
	for failures := 0; ; {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*commitPatience)
		err := m.commitAll(ctx)
		cancel()
		if err == nil {
			failures = 0
			continue
		}
		if failures++; failures == 5 { // before that, it is a rebalance
			m.log.Warn("offsets cannot be committed now; it is tried again", "error", err)
			failures = 0
		}
	}
}

func (m *member) commitAll(ctx context.Context) error {
	m.mu.Lock()
	parts := make([]*partition, 0, len(m.parts))
	for _, p := range m.parts {
		parts = append(parts, p)
	}
	m.mu.Unlock()
	m.committing.Lock()
	defer m.committing.Unlock()
	return m.commit(ctx, parts)
}

// commit commits what is acknowledged of parts. m.committing is held.
func (m *member) commit(ctx context.Context, parts []*partition) error {
	offsets := map[string]map[int32]kgo.EpochOffset{}
	byName := map[tp]*partition{}
	for _, p := range parts {
		at, ok := p.uncommitted()
		if !ok {
			continue
		}
		if offsets[p.tp.topic] == nil {
			offsets[p.tp.topic] = map[int32]kgo.EpochOffset{}
		}
		offsets[p.tp.topic][p.tp.partition] = kgo.EpochOffset{Epoch: at.epoch, Offset: at.next}
		byName[p.tp] = p
	}
	if len(offsets) == 0 {
		return nil
	}
	var failed error
	m.client.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error) {
		if err != nil {
			failed = err
			return
		}
		for _, t := range answer.Topics {
			for _, a := range t.Partitions {
				p := byName[tp{t.Topic, a.Partition}]
				if err := kerr.ErrorForCode(a.ErrorCode); err != nil {
					failed = fmt.Errorf("topic %s partition %d: %w", t.Topic, a.Partition, err)
				} else if p != nil {
					p.committed(offsets[t.Topic][a.Partition].Offset)
				}
			}
		}
	})
	return failed
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

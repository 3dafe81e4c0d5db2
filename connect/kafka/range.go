package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// A Range reads topics between two bounds, without a group: nothing is committed, and no group notices. Its streams, one for
// each partition that has something, end at the upper bound. Acknowledgements move nothing; Acked is told of them.
type Range struct {
	Config
	Reading

	Topics     []string `json:"topics,omitempty" doc:"topics to read"`
	Pattern    string   `json:"pattern,omitempty" doc:"regular expression that the names of topics to read match as a whole"`
	Partitions []int32  `json:"partitions,omitempty" doc:"only these partitions"`
	From       Bound    `json:"from,omitzero" doc:"where to begin: earliest (the default), latest, a time, a duration ago, or an offset"`
	To         Bound    `json:"to,omitzero" doc:"where to end, before: latest (the default: what is there at the start), a time, a duration ago, or an offset"`

	// Begin and End are exact offsets by topic and partition, which go before From and To. Where Begin names a partition and
	// End does not, To counts.
	Begin, End map[string]map[int32]int64 `json:"-"`
	// Acked, if not nil, is told how far a partition is safe: everything before next is.
	Acked func(topic string, partition int32, next int64) `json:"-"`
}

var _ stream.Source = (*Range)(nil)

// Validate says what is wrong with r.
func (r *Range) Validate() error {
	errs := []error{r.Config.Validate(), r.validate()}
	if (len(r.Topics) == 0) == (r.Pattern == "") {
		errs = append(errs, errors.New("give either topics or a pattern"))
	}
	if _, err := regexp.Compile(r.Pattern); err != nil {
		errs = append(errs, fmt.Errorf("pattern: %w", err))
	}
	if r.From.kind == none || r.To.kind == none {
		errs = append(errs, errors.New("none is no bound of a range"))
	}
	return errors.Join(errs...)
}

// A Span is what there is to read of a partition: records with offsets from Begin on and before End, as far as they exist.
type Span struct {
	Topic      string
	Partition  int32
	Begin, End int64
}

// Spans asks the cluster what the range is, in the order of topics and partitions, and for the cluster's id. Spans without
// records are left out.
func (r *Range) Spans(ctx context.Context) (cluster string, spans []Span, err error) {
	if err := r.Validate(); err != nil {
		return "", nil, err
	}
	client, err := r.Connect(ctx)
	if err != nil {
		return "", nil, err
	}
	defer client.CloseAllowingRebalance()
	admin := kadm.NewClient(client)
	topics := r.Topics
	if r.Pattern != "" {
		if topics, err = matching(ctx, admin, r.Pattern); err != nil || len(topics) == 0 {
			return "", nil, err
		}
	}
	meta, err := admin.Metadata(ctx, topics...)
	if err != nil {
		return "", nil, err
	}
	for _, t := range topics {
		if d := meta.Topics[t]; d.Err != nil {
			return "", nil, fmt.Errorf("topic %s: %w", t, d.Err)
		}
	}
	starts, err := admin.ListStartOffsets(ctx, topics...)
	if err != nil {
		return "", nil, err
	}
	last := admin.ListCommittedOffsets // what readers of committed records may see
	if r.ReadUncommitted {
		last = admin.ListEndOffsets
	}
	ends, err := last(ctx, topics...)
	if err != nil {
		return "", nil, err
	}
	now := time.Now()
	from, err := r.From.offsets(ctx, admin, topics, now, Earliest)
	if err != nil {
		return "", nil, err
	}
	to, err := r.To.offsets(ctx, admin, topics, now, Latest)
	if err != nil {
		return "", nil, err
	}
	for topic, partitions := range ends {
		for n, end := range partitions {
			start, ok := starts.Lookup(topic, n)
			if err := errors.Join(end.Err, start.Err); err != nil || !ok {
				return "", nil, fmt.Errorf("topic %s partition %d: %w", topic, n, errors.Join(err, errOffsets(ok)))
			}
			if len(r.Partitions) > 0 && !slices.Contains(r.Partitions, n) {
				continue
			}
			begin, until := from(topic, n, start.Offset, end.Offset), to(topic, n, start.Offset, end.Offset)
			if exact, ok := r.Begin[topic][n]; ok {
				begin = exact
			}
			if exact, ok := r.End[topic][n]; ok {
				until = exact
			}
			if begin, until = max(begin, start.Offset), min(until, end.Offset); begin < until {
				spans = append(spans, Span{topic, n, begin, until})
			}
		}
	}
	slices.SortFunc(spans, func(a, b Span) int {
		if a.Topic != b.Topic {
			if a.Topic < b.Topic {
				return -1
			}
			return 1
		}
		return int(a.Partition - b.Partition)
	})
	return meta.Cluster, spans, nil
}

func errOffsets(ok bool) error {
	if ok {
		return nil
	}
	return errors.New("the brokers do not say where it begins")
}

func matching(ctx context.Context, admin *kadm.Client, pattern string) (topics []string, err error) {
	p, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil {
		return nil, err
	}
	all, err := admin.ListTopics(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range all.Names() {
		if p.MatchString(name) {
			topics = append(topics, name)
		}
	}
	return topics, nil
}

// offsets gives what the bound is in a partition that begins and ends where it does.
func (b Bound) offsets(ctx context.Context, admin *kadm.Client, topics []string, now time.Time, otherwise Bound) (func(topic string, partition int32, begin, end int64) int64, error) {
	if b.IsZero() {
		b = otherwise
	}
	if t, ok := b.moment(now); ok {
		at, err := admin.ListOffsetsAfterMilli(ctx, t.UnixMilli(), topics...)
		if err != nil {
			return nil, err
		}
		if err := at.Error(); err != nil {
			return nil, err
		}
		return func(topic string, partition int32, _, end int64) int64 {
			if o, ok := at.Lookup(topic, partition); ok && o.Offset >= 0 {
				return o.Offset
			}
			return end
		}, nil
	}
	return func(_ string, _ int32, begin, end int64) int64 {
		switch b.kind {
		case latest:
			return end
		case atOffset:
			return b.offset
		case unset, earliest, none, atTime, ago:
		}
		return begin
	}, nil
}

// Run implements stream.Source.
func (r *Range) Run(ctx context.Context, open func(stream.Stream)) error {
	log := r.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	cluster, spans, err := r.Spans(ctx)
	if err != nil || len(spans) == 0 {
		return err
	}
	options, err := r.Options()
	if err != nil {
		return err
	}
	begin := map[string]map[int32]kgo.Offset{}
	for _, s := range spans {
		if begin[s.Topic] == nil {
			begin[s.Topic] = map[int32]kgo.Offset{}
		}
		begin[s.Topic][s.Partition] = kgo.NewOffset().At(s.Begin)
	}
	// Control records are let through so that ends of transactions, too, show how far reading is.
	options = append(append(options, r.bounds()...), kgo.ConsumePartitions(begin), kgo.KeepControlRecords(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	rd := newReader(&r.Reading, cluster, log)
	if rd.client, err = kgo.NewClient(options...); err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	defer rd.client.CloseAllowingRebalance()
	run := ranging{reader: rd, r: r, left: len(spans)}
	polling, stop := context.WithCancel(ctx)
	defer stop()
	run.finished = stop
	for _, s := range spans {
		p := newPartition(rd, tp{s.Topic, s.Partition})
		p.end, p.read = s.End, s.Begin
		rd.opened(p)
		open(&ranged{p, &run})
	}
	var watch sync.WaitGroup
	watch.Go(func() { run.watch(polling) })
	err = rd.poll(polling)
	stop()
	watch.Wait()
	rd.mu.Lock()
	for _, p := range rd.parts {
		rd.held.Add(int64(-p.finish(false)))
	}
	rd.mu.Unlock()
	rd.waitClosed()
	return err
}

// ranging is one run of a Range.
type ranging struct {
	*reader
	r        *Range
	finished func()

	count sync.Mutex
	left  int // streams that have not ended; guarded by count
}

func (g *ranging) ended() {
	g.count.Lock()
	defer g.count.Unlock()
	if g.left--; g.left == 0 {
		g.finished()
	}
}

// stillness is after how long without progress of a partition it is looked at whether there is anything left to read.
const stillness = 3 * time.Second

// watch ends partitions whose last records of the range have been deleted while it is read: nothing comes that would show the
// end.
func (g *ranging) watch(ctx context.Context) {
	tick := time.NewTicker(stillness)
	defer tick.Stop()
	admin := kadm.NewClient(g.client)
	before := map[*partition]int64{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var still []*partition
		topics := map[string]bool{}
		g.mu.Lock()
		for _, p := range g.parts {
			p.mu.Lock()
			if last, ok := before[p]; ok && last == p.read && p.held == 0 && !p.over {
				still = append(still, p)
				topics[p.tp.topic] = true
			}
			before[p] = p.read
			p.mu.Unlock()
		}
		g.mu.Unlock()
		for topic := range topics {
			starts, err := admin.ListStartOffsets(ctx, topic)
			if err != nil {
				continue
			}
			for _, p := range still {
				if start, ok := starts.Lookup(p.tp.topic, p.tp.partition); ok && start.Err == nil && start.Offset >= p.end {
					g.log.Warn("records were deleted before they were read", "topic", p.tp.topic, "partition", p.tp.partition, "from", p.read, "to", p.end)
					p.finish(false)
				}
			}
		}
	}
}

// ranged is a stream of a Range.
type ranged struct {
	*partition
	g *ranging
}

// Ack implements stream.Stream.
func (s *ranged) Ack(ctx context.Context, next flow.Position) error {
	if err := s.partition.Ack(ctx, next); err != nil || s.g.r.Acked == nil {
		return err
	}
	at, err := parseMark(next)
	if err == nil {
		s.g.r.Acked(s.tp.topic, s.tp.partition, at.next)
	}
	return err
}

// Close implements stream.Stream.
func (s *ranged) Close() error {
	defer s.g.ended()
	return s.partition.Close()
}

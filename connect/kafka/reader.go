package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Reading are the options that a Group and a Range have in common. The zero value works.
type Reading struct {
	ReadUncommitted bool          `json:"readUncommitted,omitempty" doc:"also give records of transactions that are not, or never, committed"`
	MemoryBytes     int64         `json:"memoryBytes,omitempty" doc:"most bytes that are fetched and not yet taken; the default is 8 MiB. Beside it each broker may have one answer on its way"`
	FetchMinBytes   int32         `json:"fetchMinBytes,omitempty" doc:"how much a broker should gather before it answers; the default is 1"`
	FetchMaxWait    time.Duration `json:"fetchMaxWait,omitempty" doc:"how long a broker waits for fetchMinBytes; the default is 500ms"`
	FetchMaxBytes   int32         `json:"fetchMaxBytes,omitempty" doc:"most compressed bytes of a broker's answer; the default is a quarter of memoryBytes, up to 16 MiB, and less while that is enough to keep up. A larger record still comes"`
	PartitionBytes  int32         `json:"partitionBytes,omitempty" doc:"most compressed bytes of one partition in an answer; the default is 1 MiB. A larger record still comes"`
	BatchBytes      int           `json:"batchBytes,omitempty" doc:"most bytes that one batch of producers may become when it is decompressed: a guard against bombs; the default is 256 MiB"`
	MetadataMaxAge  time.Duration `json:"metadataMaxAge,omitempty" doc:"after how long new topics and partitions are noticed; the default is 1m"`

	// Port is what the records have for flow.Record.Port.
	Port int32 `json:"-"`
	// Schemas, if not nil, are fetched before records are given that need them.
	Schemas Fetcher `json:"-"`
	// Lag, if not nil, tells how far its readers are behind.
	Lag *Lag `json:"-"`

	endsInterval time.Duration // for tests
}

// A Fetcher gets what is needed to understand values, before they are given to those who cannot wait.
type Fetcher interface {
	// Known reports that nothing is missing. It is quick.
	Known(value []byte) bool
	// Fetch gets what is missing. An error is one of now: it is tried again.
	Fetch(ctx context.Context, value []byte) error
}

func (r *Reading) validate() error {
	if r.MemoryBytes < 0 || r.FetchMinBytes < 0 || r.FetchMaxWait < 0 || r.FetchMaxBytes < 0 || r.PartitionBytes < 0 || r.BatchBytes < 0 || r.MetadataMaxAge < 0 {
		return errors.New("sizes and times of reading must not be negative")
	}
	return nil
}

func orElse[T int | int32 | int64 | time.Duration](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}

func (r *Reading) memory() int64 { return orElse(r.MemoryBytes, 8<<20) }

// fetchBytes is how much an answer of a broker may have, and how much of one partition.
func (r *Reading) fetchBytes() (all, one int32) {
	all = orElse(r.FetchMaxBytes, int32(min(16<<20, max(r.memory()/4, 64<<10)))) //nolint:gosec // up to 16 MiB
	return all, min(orElse(r.PartitionBytes, 1<<20), all)
}

// bounds gives the client's options.
func (r *Reading) bounds() []kgo.Opt {
	age := orElse(r.MetadataMaxAge, time.Minute)
	fetch, one := r.fetchBytes()
	memory := &recycler{}
	options := []kgo.Opt{
		kgo.FetchMinBytes(orElse(r.FetchMinBytes, 1)),
		kgo.FetchMaxWait(orElse(r.FetchMaxWait, 500*time.Millisecond)),
		kgo.FetchMaxBytes(fetch),
		kgo.BrokerMaxReadBytes(max(100<<20, min(fetch, 1<<29)*2+1<<20)),
		kgo.FetchMaxPartitionBytes(one),
		kgo.MaxDecompressBatchBytes(orElse(r.BatchBytes, 256<<20)),
		kgo.MetadataMaxAge(age),
		kgo.MetadataMinAge(min(age, 2500*time.Millisecond)),
		kgo.WithPools(memory), kgo.WithHooks(memory),
	}
	if !r.ReadUncommitted {
		options = append(options, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	return options
}

// reader fetches for partitions that come and go.
type reader struct {
	o       *Reading
	cluster string
	port    int32
	log     *slog.Logger
	client  *kgo.Client

	held atomic.Int64  // bytes that wait in partitions
	room chan struct{} // something was taken

	mu      sync.Mutex // guards what follows
	parts   map[tp]*partition
	streams int           // that the engine has
	idle    chan struct{} // closed and made anew when streams gets 0
	cancel  context.CancelFunc
	polls   int
	polled  *sync.Cond

	said map[string]time.Time // complaints that were logged; used by poll only
}

func newReader(o *Reading, cluster string, log *slog.Logger) *reader {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	r := &reader{
		o: o, cluster: cluster, port: o.Port, log: log, room: make(chan struct{}, 1), parts: map[tp]*partition{}, idle: make(chan struct{}),
		said: map[string]time.Time{},
	}
	r.polled = sync.NewCond(&r.mu)
	return r
}

// took notes that bytes do not wait any more.
func (r *reader) took(n int) {
	if n == 0 {
		return
	}
	r.held.Add(int64(-n))
	select {
	case r.room <- struct{}{}:
	default:
	}
}

// opened notes that the engine has p.
func (r *reader) opened(p *partition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.parts[p.tp] = p
	r.streams++
}

// closed notes that the engine has closed p.
func (r *reader) closed(*partition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.streams--; r.streams == 0 {
		close(r.idle)
		r.idle = make(chan struct{})
	}
}

// waitClosed waits until the engine has closed all streams.
func (r *reader) waitClosed() {
	for {
		r.mu.Lock()
		n, idle := r.streams, r.idle
		r.mu.Unlock()
		if n == 0 {
			return
		}
		<-idle
	}
}

// starvation is after how long fetching goes on for those that have nothing, when others hold all the memory and do not read.
const starvation = time.Second

// poll fetches until ctx is done. It returns an error if that makes no sense any more.
func (r *reader) poll(ctx context.Context) error {
	paused, size := map[tp]*partition{}, sizing{r: r, less: 2}
	size.ask()
	for ctx.Err() == nil {
		r.resume(paused)
		if !r.waitRoom(ctx, paused) {
			continue
		}
		one, cancel := context.WithCancel(ctx)
		r.mu.Lock()
		r.cancel = cancel
		r.mu.Unlock()
		if len(paused) > 0 { // so that they are not forgotten while nothing else comes
			time.AfterFunc(starvation, cancel)
		}
		fetches := r.client.PollRecords(one, 0)
		got, starved := 0, r.held.Load() == 0
		r.mu.Lock()
		fetches.EachPartition(func(f kgo.FetchTopicPartition) {
			if p := r.parts[tp{f.Topic, f.Partition}]; p != nil {
				got += p.push(f.Records)
				p.ends(r.readable(&f), time.Time{}) // it may have waited for long
			}
		})
		r.held.Add(int64(got))
		r.cancel = nil
		r.polls++
		r.polled.Broadcast()
		r.mu.Unlock()
		cancel()
		size.fit(got, starved)
		for _, f := range fetches.Errors() {
			if err := r.complain(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// readable is the end of a partition, as far as it may be read.
func (r *reader) readable(f *kgo.FetchTopicPartition) int64 {
	if !r.o.ReadUncommitted && f.LastStableOffset >= 0 {
		return f.LastStableOffset
	}
	return f.HighWatermark
}

// sizing asks brokers for as much at a time as is needed to keep up: small answers while there is always something left to
// read, larger ones when readers have to wait for them, and less again when what comes becomes much more once it is decompressed.
type sizing struct {
	r    *reader
	less int // how often it was halved
}

// fit looks at what a poll gave, in bytes, and at whether nothing was left before it.
func (s *sizing) fit(got int, starved bool) {
	limit := int(s.r.o.memory())
	switch {
	case got > limit/2 && s.less < 8, got > limit/8 && !starved && s.less < 4:
		s.less++
	case got > limit/16 && got < limit/4 && starved && s.less > 0, got > 0 && got < limit/64 && s.less > 4:
		s.less--
	default:
		return
	}
	s.ask()
}

func (s *sizing) ask() {
	all, one := s.r.o.fetchBytes()
	s.r.client.UpdateFetchMaxBytes(max(all>>s.less, 16<<10), max(one>>s.less, 4<<10))
}

// barrier waits until what the client gave before is in the partitions: what it gives from now on is of its present
// assignment.
func (r *reader) barrier() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for polls := r.polls; r.cancel != nil && r.polls == polls; {
		r.cancel()
		r.polled.Wait()
	}
}

// waitRoom waits until there is memory for more, and reports that there is. Partitions that hold memory and are not read
// for a while, when others wait for records, are paused, and what they hold does not count, up to four times the limit.
func (r *reader) waitRoom(ctx context.Context, paused map[tp]*partition) bool {
	limit := r.o.memory()
	full := func() bool {
		held := r.held.Load()
		if held >= 4*limit {
			return true
		}
		for _, p := range paused {
			p.mu.Lock()
			held -= int64(p.held)
			p.mu.Unlock()
		}
		return held >= limit
	}
	for since := time.Now(); full(); {
		select {
		case <-ctx.Done():
			return false
		case <-r.room:
			r.resume(paused)
		case <-time.After(starvation / 4):
			if time.Since(since) >= starvation {
				r.pause(paused)
				since = time.Now()
			}
		}
	}
	return true
}

func (r *reader) pause(paused map[tp]*partition) {
	r.mu.Lock()
	var full []*partition
	starving := false
	for _, p := range r.parts {
		p.mu.Lock()
		if p.held > 0 {
			full = append(full, p)
		} else if p.wanted {
			starving = true
		}
		p.mu.Unlock()
	}
	r.mu.Unlock()
	if !starving {
		return
	}
	for _, p := range full {
		paused[p.tp] = p
		r.client.PauseFetchPartitions(map[string][]int32{p.tp.topic: {p.tp.partition}})
	}
}

// resume lets those be fetched again that have nothing left.
func (r *reader) resume(paused map[tp]*partition) {
	for at, p := range paused {
		p.mu.Lock()
		empty := p.held == 0
		p.mu.Unlock()
		if empty {
			delete(paused, at)
			r.client.ResumeFetchPartitions(map[string][]int32{at.topic: {at.partition}})
		}
	}
}

// understood reports that a value can be given.
func (r *reader) understood(value []byte) bool { return r.o.Schemas == nil || r.o.Schemas.Known(value) }

// understand waits until a value can be given, the partition is over or ctx is done.
func (r *reader) understand(ctx context.Context, p *partition, value []byte) error {
	for wait := 250 * time.Millisecond; !r.understood(value); wait = min(2*wait, 15*time.Second) {
		err := r.o.Schemas.Fetch(ctx, value)
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r.log.Error("the schema of a record cannot be had now; its partition waits", "topic", p.tp.topic, "partition", p.tp.partition, "error", err)
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		}
		if p.isOver() {
			return nil
		}
	}
	return nil
}

// repeated is how long the same complaint is not logged again.
const repeated = 30 * time.Second

// complain logs what is wrong, and returns it if it will stay wrong.
func (r *reader) complain(f kgo.FetchError) error {
	err := f.Err
	if errors.Is(err, context.Canceled) || errors.Is(err, kgo.ErrClientClosed) {
		return nil
	}
	var large *kgo.ErrDecompressTooLarge
	var loss *kgo.ErrDataLoss
	switch {
	case errors.As(err, &large):
		return fmt.Errorf("topic %s partition %d: a batch is larger than batchBytes allows: %w", f.Topic, f.Partition, err)
	case errors.Is(err, kerr.OffsetOutOfRange):
		return fmt.Errorf("topic %s partition %d: there is no offset to start at, and start is none: %w", f.Topic, f.Partition, err)
	case errors.Is(err, kerr.FencedInstanceID):
		return fmt.Errorf("another member of the group has the same instance: %w", err)
	}
	text := f.Topic + "\x00" + err.Error()
	if time.Since(r.said[text]) < repeated {
		return nil
	}
	if len(r.said) > 1000 {
		clear(r.said)
	}
	r.said[text] = time.Now()
	if errors.As(err, &loss) {
		r.log.Warn("kafka lost records that were there: reading goes on behind them", "topic", f.Topic, "partition", f.Partition, "error", err)
		return nil
	}
	r.log.Error("kafka: reading fails, and is tried again", "topic", f.Topic, "partition", f.Partition, "error", err)
	return nil
}

// clusterID asks for the cluster's id, again and again until a broker answers or ctx is done.
func (c *Config) clusterID(ctx context.Context, log *slog.Logger) (string, error) {
	if _, err := c.Options(); err != nil {
		return "", err
	}
	for wait := 250 * time.Millisecond; ; wait = min(2*wait, 15*time.Second) {
		id, err := c.askCluster(ctx)
		if err == nil {
			return id, nil
		}
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		log.Error("kafka cannot be reached; it is tried again", "brokers", c.Brokers, "error", err)
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return "", context.Cause(ctx)
		}
	}
}

func (c *Config) askCluster(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	client, err := c.Connect(ctx)
	if err != nil {
		return "", err
	}
	defer client.CloseAllowingRebalance()
	meta, err := kadm.NewClient(client).BrokerMetadata(ctx)
	return meta.Cluster, err
}

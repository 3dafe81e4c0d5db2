package kafka

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A Lag tells how far the readers that have it are behind. Its zero value is good; several readers may have the same one.
type Lag struct {
	mu      sync.Mutex // guards readers
	readers map[*reader]string
}

// Unread is how far readers are behind in a topic: in those of its partitions that they have.
type Unread struct {
	Group, Topic string
	Records      int64 // between what is acknowledged and the ends of the partitions
	// Late is how old the first record of them is, by its timestamp: of the partition where it is oldest. It is within a tenth
	// of a second what Admin.Lag says. nil: it is not known.
	Late *time.Duration
}

// Unread gives the topics that are read, by group and name. The end of a partition is the one that it had when it was fetched or
// asked for last, endsInterval ago at most while brokers answer. A topic is missing as long as nothing is known of it.
func (l *Lag) Unread(now time.Time) []Unread {
	l.mu.Lock()
	defer l.mu.Unlock()
	type name struct{ group, topic string }
	all := map[name]*Unread{}
	unknown := map[name]bool{} // the age of something unread
	for r, group := range l.readers {
		r.mu.Lock()
		for at, p := range r.parts {
			n, since, known := p.behind()
			if !known {
				continue
			}
			key := name{group, at.topic}
			u := all[key]
			if u == nil {
				u = &Unread{Group: group, Topic: at.topic, Late: new(time.Duration)}
				all[key] = u
			}
			u.Records += n
			switch {
			case n == 0:
			case since.IsZero():
				unknown[key] = true
			default:
				*u.Late = max(*u.Late, now.Sub(since))
			}
		}
		r.mu.Unlock()
	}
	out := make([]Unread, 0, len(all))
	for key, u := range all {
		if unknown[key] && *u.Late == 0 {
			u.Late = nil
		}
		out = append(out, *u)
	}
	slices.SortFunc(out, func(a, b Unread) int { return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Topic, b.Topic)) })
	return out
}

// join adds a reader of a group until leave is called.
func (l *Lag) join(r *reader, group string) (leave func()) {
	if l == nil {
		return func() {}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.readers == nil {
		l.readers = map[*reader]string{}
	}
	l.readers[r] = group
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.readers, r)
	}
}

// trail is what a partition remembers of the records that are not acknowledged yet. It is guarded by the partition's mu.
type trail struct {
	next   int64     // behind the last record that was fetched, or where reading begins; < 0: not known
	passed int64     // behind the markers of transactions that were fetched after that
	high   int64     // where the partition ends; < 0: not known
	full   time.Time // when all of the partition was fetched, as far as is known; zero: never
	stamps []stamp   // of fetched records, but for those that are acknowledged
	last   int64     // timestamp of the record that was acknowledged last
}

// A stamp is the timestamp, in milliseconds since 1970, of a record and those behind it that are hardly younger or older.
type stamp struct {
	at  int64
	end int64 // behind the last of them
}

// stampMillis is how much two records may differ to have the same stamp.
const stampMillis = 100

func newTrail() trail { return trail{next: -1, high: -1, last: -1} }

// fetched notes records that came.
func (t *trail) fetched(recs []*kgo.Record) {
	for _, r := range recs {
		if r.Attrs.IsControl() {
			t.passed = r.Offset + 1
			continue
		}
		t.next = r.Offset + 1
		at, n := r.Timestamp.UnixMilli(), len(t.stamps)
		if n == 0 || at-t.stamps[n-1].at >= stampMillis || t.stamps[n-1].at-at >= stampMillis {
			t.stamps = append(t.stamps, stamp{at: at, end: t.next})
		} else {
			t.stamps[n-1].end = t.next
		}
	}
}

// acknowledged forgets what is safe.
func (t *trail) acknowledged(next int64) {
	n := 0
	for n < len(t.stamps) && t.stamps[n].end <= next {
		t.last = t.stamps[n].at
		n++
	}
	t.stamps = slices.Delete(t.stamps, 0, n)
}

// begins notes where reading begins.
func (p *partition) begins(at int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.trail.next < 0 {
		p.trail.next = at
	}
	if p.first < 0 {
		p.first = at
	}
}

// ends notes where the partition ended at a time; zero: at some time.
func (p *partition) ends(high int64, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.trail
	t.high = high
	if t.next >= 0 && high <= max(t.next, t.passed) {
		t.full = at
	}
}

// behind tells how many records are not acknowledged, and since when the first of them is there; zero: that is not known.
func (p *partition) behind() (n int64, since time.Time, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.trail
	from := p.first
	if p.acked.next >= 0 {
		from = p.acked.next
	}
	if p.gone || t.high < 0 || from < 0 {
		return 0, time.Time{}, false
	}
	at := t.last
	waits := len(t.stamps) > 0
	if waits {
		at = t.stamps[0].at
	} else {
		from = max(from, t.passed)
	}
	if n = min(t.high, p.end) - from; n <= 0 {
		return 0, time.Time{}, true
	}
	if at >= 0 {
		since = time.UnixMilli(at)
	}
	if !waits && t.full.After(since) { // it is not fetched, and younger than what was acknowledged last: it came since
		since = t.full
	}
	return n, since, true
}

// endsInterval is how often the ends of partitions are asked for: those that are held up are not fetched, and nothing is fetched of
// those where nothing comes.
const endsInterval = 10 * time.Second

// beginAt settles where partitions begin, and notes it.
func (m *member) beginAt(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	offsets, err := m.begin(ctx, offsets)
	for topic, partitions := range offsets {
		for n, o := range partitions {
			m.mu.Lock()
			p := m.parts[tp{topic, n}]
			m.mu.Unlock()
			if at := o.EpochOffset().Offset; p != nil && at >= 0 {
				p.begins(at)
			}
		}
	}
	select {
	case m.look <- struct{}{}:
	default:
	}
	return offsets, err
}

// watchEnds asks where partitions end: when some are assigned, and at intervals.
func (m *member) watchEnds(ctx context.Context) {
	if m.g.Lag == nil {
		return
	}
	tick := time.NewTicker(orElse(m.o.endsInterval, endsInterval))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.look:
		case <-tick.C:
		}
		m.askEnds(ctx)
	}
}

func (m *member) askEnds(ctx context.Context) {
	m.mu.Lock()
	var topics []string
	parts := make([]*partition, 0, len(m.parts))
	for at, p := range m.parts {
		topics, parts = append(topics, at.topic), append(parts, p)
	}
	m.mu.Unlock()
	if len(parts) == 0 {
		return
	}
	slices.Sort(topics)
	topics = slices.Compact(topics)
	ctx, cancel := context.WithTimeout(ctx, endsInterval)
	defer cancel()
	adm, asked := kadm.NewClient(m.client), time.Now()
	list := adm.ListCommittedOffsets // as far as the reader may read
	if m.o.ReadUncommitted {
		list = adm.ListEndOffsets
	}
	ends, err := list(ctx, topics...)
	if err != nil {
		m.log.Debug("where partitions end cannot be asked now", "error", err)
	}
	starts := kadm.ListedOffsets{}
	for _, p := range parts {
		if p.unbegun() {
			if starts, err = adm.ListStartOffsets(ctx, topics...); err != nil {
				m.log.Debug("where partitions start cannot be asked now", "error", err)
			}
			break
		}
	}
	for _, p := range parts {
		end, ok := ends.Lookup(p.tp.topic, p.tp.partition)
		if !ok || end.Err != nil || end.Offset < 0 {
			continue
		}
		// Where nothing was committed and nothing comes, the partition is empty, or was emptied.
		if start, ok := starts.Lookup(p.tp.topic, p.tp.partition); ok && start.Err == nil && start.Offset == end.Offset {
			p.begins(end.Offset)
		}
		p.ends(end.Offset, asked)
	}
}

// unbegun reports that it is not known where reading begins.
func (p *partition) unbegun() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.trail.next < 0
}

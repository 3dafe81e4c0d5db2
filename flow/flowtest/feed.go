// Package flowtest tests sources, sinks, ledgers and stores against the contracts in flow and blob, and has
// fakes and troublemakers to test the engine and its users with.
package flowtest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/narudata/naru/flow"
)

// A Feed is a source in memory: a piece for each part.
type Feed struct {
	Pieces []Piece
	About  []flow.Group // what Groups says

	// Step bounds a batch further than the engine does; 0: no bound.
	Step int
	// EndWithLast has the last batch of a part come together with io.EOF.
	EndWithLast bool

	mu    sync.Mutex     // guards acked
	acked map[string]int // how far each part is acknowledged, in records

	opened atomic.Int64
	open   atomic.Int64
}

// A Piece is one part of a Feed.
type Piece struct {
	flow.Part
	Records []flow.Record
	Broken  error // yielded with the part
}

var (
	_ flow.Source    = (*Feed)(nil)
	_ flow.Describer = (*Feed)(nil)
)

// NewFeed makes parts of that many records each, spread over groups.
func NewFeed(parts, groups, recordsPerPart int) *Feed {
	f := new(Feed)
	for p := range parts {
		group := fmt.Sprintf("index-%d", p%groups)
		piece := Piece{Part: flow.Part{
			ID: fmt.Sprintf("%s/%d", group, p/groups), Group: group, Records: int64(recordsPerPart), Bytes: int64(recordsPerPart) * 100,
		}}
		for i := range recordsPerPart {
			piece.Records = append(piece.Records, flow.Record{
				Index: group, Key: fmt.Appendf(nil, "%d-%d", p, i), Body: fmt.Appendf(nil, `{"part":%d,"n":%d}`, p, i),
			})
		}
		f.Pieces = append(f.Pieces, piece)
	}
	for g := range min(groups, parts) {
		f.About = append(f.About, flow.Group{Name: fmt.Sprintf("index-%d", g), Records: -1, Grade: flow.Lossless})
	}
	return f
}

// All gives every record of the feed.
func (f *Feed) All() []flow.Record {
	var all []flow.Record
	for _, p := range f.Pieces {
		all = append(all, p.Records...)
	}
	return all
}

// Readers gives how many readers were opened, and how many of them are open.
func (f *Feed) Readers() (opened, open int) { return int(f.opened.Load()), int(f.open.Load()) }

// Acknowledged gives how many records of all parts are acknowledged.
func (f *Feed) Acknowledged() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	sum := 0
	for _, n := range f.acked {
		sum += n
	}
	return sum
}

// Groups implements flow.Describer.
func (f *Feed) Groups(context.Context) ([]flow.Group, error) { return f.About, nil }

// Parts implements flow.Source.
func (f *Feed) Parts(ctx context.Context) iter.Seq2[flow.Part, error] {
	return func(yield func(flow.Part, error) bool) {
		for _, p := range f.Pieces {
			if err := ctx.Err(); err != nil {
				yield(flow.Part{}, err)
				return
			}
			if !yield(p.Part, p.Broken) {
				return
			}
		}
	}
}

// Open implements flow.Source.
func (f *Feed) Open(ctx context.Context, p flow.Part, from flow.Position) (flow.Reader, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for i := range f.Pieces {
		if f.Pieces[i].ID != p.ID {
			continue
		}
		at, err := offset(from, len(f.Pieces[i].Records))
		if err != nil {
			return nil, err
		}
		f.opened.Add(1)
		f.open.Add(1)
		return &feedReader{feed: f, part: p.ID, records: f.Pieces[i].Records, at: at}, nil
	}
	return nil, flow.Permanent(fmt.Errorf("no part %q", p.ID))
}

func offset(from flow.Position, most int) (int, error) {
	if len(from) == 0 {
		return 0, nil
	}
	if len(from) != 8 {
		return 0, flow.Permanent(fmt.Errorf("position %x is none of this source", []byte(from)))
	}
	at := binary.BigEndian.Uint64(from)
	if at > uint64(most) {
		return 0, flow.Permanent(fmt.Errorf("position %d is past the end, %d", at, most))
	}
	return int(at), nil
}

type feedReader struct {
	feed    *Feed
	part    string
	records []flow.Record
	at      int
	closed  bool
}

func (r *feedReader) Read(ctx context.Context, b *flow.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.closed {
		return errors.New("read of a closed reader")
	}
	for n := 0; r.at < len(r.records) && !b.Full() && (r.feed.Step == 0 || n < r.feed.Step); n++ {
		rec := r.records[r.at]
		rec.Key, rec.Body = b.Copy(rec.Key), copyOrNil(b, rec.Body)
		rec.Routing = copyOrNil(b, rec.Routing)
		b.Records = append(b.Records, rec)
		r.at++
	}
	b.Next = binary.BigEndian.AppendUint64(b.Alloc(8)[:0], uint64(r.at))
	if r.at == len(r.records) && (r.feed.EndWithLast || len(b.Records) == 0) {
		return io.EOF
	}
	return nil
}

func copyOrNil(b *flow.Batch, p []byte) []byte {
	if p == nil {
		return nil
	}
	return b.Copy(p)
}

func (r *feedReader) Ack(ctx context.Context, next flow.Position) error {
	if r.closed {
		return errors.New("acknowledgement to a closed reader")
	}
	at, err := offset(next, len(r.records))
	if err != nil {
		return err
	}
	r.feed.mu.Lock()
	defer r.feed.mu.Unlock()
	if r.feed.acked == nil {
		r.feed.acked = make(map[string]int)
	}
	r.feed.acked[r.part] = max(r.feed.acked[r.part], at)
	return ctx.Err()
}

func (r *feedReader) Close() error {
	if !r.closed {
		r.closed = true
		r.feed.open.Add(-1)
	}
	return nil
}

package cli

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"

	"github.com/narudata/naru/flow"
)

// countingSource gives perGroup records in each of several groups, one part each.
type countingSource struct {
	groups, perGroup int
	wait             time.Duration // before each batch
}

func (s *countingSource) Groups(context.Context) ([]flow.Group, error) {
	var out []flow.Group
	for i := range s.groups {
		out = append(out, flow.Group{Name: fmt.Sprintf("index-%03d", i), Records: int64(s.perGroup), Bytes: int64(s.perGroup), Grade: flow.Lossless})
	}
	return out, nil
}

func (s *countingSource) Parts(context.Context) iter.Seq2[flow.Part, error] {
	return func(yield func(flow.Part, error) bool) {
		for i := range s.groups {
			name := fmt.Sprintf("index-%03d", i)
			if !yield(flow.Part{ID: name + "/0", Group: name, Records: int64(s.perGroup), Bytes: int64(s.perGroup)}, nil) {
				return
			}
		}
	}
}

func (s *countingSource) Open(_ context.Context, p flow.Part, from flow.Position) (flow.Reader, error) {
	at, _ := strconv.Atoi(string(from))
	return &countingReader{s, p.Group, at}, nil
}

type countingReader struct {
	s     *countingSource
	index string
	at    int
}

func (r *countingReader) Read(ctx context.Context, b *flow.Batch) error {
	if err := pause(ctx, r.s.wait); err != nil {
		return err
	}
	for ; r.at < r.s.perGroup && !b.Full(); r.at++ {
		b.Records = append(b.Records, flow.Record{
			Index: r.index, Key: b.Copy(fmt.Appendf(nil, "id-%d", r.at)), Body: b.Copy(fmt.Appendf(nil, `{"n":%d}`, r.at)),
		})
	}
	b.Next = fmt.Appendf(nil, "%d", r.at)
	if r.at == r.s.perGroup {
		return io.EOF
	}
	return nil
}

func (r *countingReader) Ack(context.Context, flow.Position) error { return nil }
func (r *countingReader) Close() error                             { return nil }

// pause waits, but not beyond the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

type discard struct{}

func (discard) Write(context.Context, []flow.Record) error { return nil }
func (discard) Close(context.Context) error                { return nil }

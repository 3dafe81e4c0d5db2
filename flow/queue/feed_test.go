package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// clients is a source of streams that give events and remember what is acknowledged.
type clients struct {
	streams int
	events  int           // of each stream; negative: for ever
	per     int           // of a batch
	pause   time.Duration // between batches
	fails   error         // what streams end with; nil: io.EOF
	err     error         // what Run ends with

	mu     sync.Mutex
	acked  map[int]int // by stream; guarded by mu
	read   map[int]int // guarded by mu
	closed int         // guarded by mu
	ack    func(stream, n int)
}

func (c *clients) Run(ctx context.Context, open func(stream.Stream)) error {
	c.acked, c.read = map[int]int{}, map[int]int{}
	var all sync.WaitGroup
	for i := range c.streams {
		all.Add(1)
		open(&client{c: c, number: i, all: &all})
	}
	all.Wait()
	return c.err
}

type client struct {
	c      *clients
	number int
	given  int
	all    *sync.WaitGroup
}

func (c *client) Wait(ctx context.Context) error {
	if c.c.pause > 0 {
		select {
		case <-time.After(c.c.pause):
		case <-ctx.Done():
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if c.given == c.c.events {
		return io.EOF
	}
	return nil
}

func (c *client) Read(_ context.Context, b *flow.Batch) error {
	for n := 0; n < c.c.per && c.given != c.c.events; n++ {
		b.Records = append(b.Records, flow.Record{Port: int32(c.number), Version: int64(c.given + 1), Body: b.Copy([]byte("body"))})
		c.given++
	}
	b.Next = flow.Position(fmt.Sprint(c.given))
	c.c.mu.Lock()
	c.c.read[c.number] = c.given
	c.c.mu.Unlock()
	if c.given == c.c.events {
		if c.c.fails != nil {
			return c.c.fails
		}
		return io.EOF
	}
	return nil
}

func (c *client) Ack(_ context.Context, next flow.Position) error {
	n := 0
	if _, err := fmt.Sscan(string(next), &n); err != nil {
		return err
	}
	c.c.mu.Lock()
	defer c.c.mu.Unlock()
	if n <= c.c.acked[c.number] {
		return fmt.Errorf("acknowledged up to %d after %d", n, c.c.acked[c.number])
	}
	c.c.acked[c.number] = n
	if c.c.ack != nil {
		c.c.ack(c.number, n)
	}
	return nil
}

func (c *client) Close() error {
	c.c.mu.Lock()
	c.c.closed++
	c.c.mu.Unlock()
	c.all.Done()
	return nil
}

func TestAFeedAcknowledgesWhatIsDurable(t *testing.T) {
	d := newMemory()
	log := &logged{}
	q := opened(t, d, Options{Log: slog.New(log)})
	c := &clients{streams: 50, events: 200, per: 7}
	c.ack = func(number, n int) {
		// It is on the disk: the process may be killed now.
		if number == 3 && n > 100 {
			d.mu.Lock()
			left := d.copy()
			d.mu.Unlock()
			c.ack = nil
			q := opened(t, left, Options{})
			s, done := streamOf(t, q)
			recs, _ := readAll(t, s)
			found := 0
			for _, r := range recs {
				if r.Port == 3 {
					found++
				}
			}
			if found < n {
				t.Errorf("%d events of %d that were acknowledged are there", found, n)
			}
			done()
		}
	}
	if err := q.Feed(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if c.ack != nil {
		t.Error("nothing was looked at")
	}
	s, done := streamOf(t, q)
	defer done()
	recs, _ := readAll(t, s)
	next := map[int32]int64{}
	for _, r := range recs {
		if next[r.Port]++; r.Version != next[r.Port] || string(r.Body) != "body" {
			t.Fatalf("stream %d gives event %d as its %d.", r.Port, r.Version, next[r.Port])
		}
	}
	for i := range c.streams {
		if c.acked[i] != c.events || next[int32(i)] != int64(c.events) {
			t.Errorf("stream %d: %d acknowledged, %d kept", i, c.acked[i], next[int32(i)])
		}
	}
	if w := log.warnings(); len(w) > 0 || c.closed != c.streams {
		t.Errorf("%d closed, %v", c.closed, w)
	}
	if st := q.Stats(); st.Syncs >= int64(c.streams*c.events/c.per) {
		t.Errorf("no commits together: %+v", st)
	}
}

func TestAStreamThatFailsHasWhatItGaveKept(t *testing.T) {
	log := &logged{}
	q := opened(t, newMemory(), Options{Log: slog.New(log)})
	broken := errors.New("connection reset by peer")
	c := &clients{streams: 2, events: 10, per: 4, fails: broken, err: errors.New("the port is gone")}
	if err := q.Feed(t.Context(), c); !errors.Is(err, c.err) {
		t.Error(err)
	}
	s, done := streamOf(t, q)
	defer done()
	recs, _ := readAll(t, s)
	if len(recs) != 20 || c.acked[0] != 10 || c.acked[1] != 10 || c.closed != 2 {
		t.Errorf("%d events, %v", len(recs), c.acked)
	}
	if w := log.warnings(); len(w) != 2 || !strings.Contains(w[0], broken.Error()) {
		t.Error(w)
	}
}

func TestADrainAcknowledgesWhatWasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := opened(t, newMemory(), Options{})
		c := &clients{streams: 20, events: -1, per: 3, pause: 10 * time.Millisecond}
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, stop)
		if err := q.Feed(ctx, c); err != nil {
			t.Error(err)
		}
		for i := range c.streams {
			if c.acked[i] != c.read[i] || c.read[i] < 50 {
				t.Errorf("stream %d: %d read, %d acknowledged", i, c.read[i], c.acked[i])
			}
		}
		if c.closed != c.streams {
			t.Errorf("%d closed", c.closed)
		}
		_ = q.Close()
	})
}

func TestADrainOfAFullQueueEndsAfterTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logged{}
		q := opened(t, newMemory(), Options{MaxBytes: 2000, Grace: 3 * time.Second, Log: slog.New(log)})
		c := &clients{streams: 100, events: -1, per: 3, pause: 10 * time.Millisecond}
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, stop)
		began := time.Now()
		if err := q.Feed(ctx, c); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != time.Minute+3*time.Second {
			t.Errorf("it took %v", took)
		}
		read, acked := 0, 0
		for i := range c.streams {
			read += c.read[i]
			acked += c.acked[i]
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
		if st := q.Stats(); int64(acked) > st.Events || read == acked || c.closed != 100 {
			t.Errorf("%d read, %d acknowledged, %d closed: %+v", read, acked, c.closed, st)
		}
		w := log.warnings()
		if last := w[len(w)-1]; !strings.Contains(last, fmt.Sprintf("events=%d", read-acked)) {
			t.Errorf("%d were read and not acknowledged: %s", read-acked, last)
		}
	})
}

func TestBeforeEndsWhenItsSourcesHaveAndAllIsRead(t *testing.T) {
	q := opened(t, newMemory(), Options{})
	a, b := &clients{streams: 3, events: 100, per: 9}, &clients{streams: 1, events: 5, per: 9}
	for round := range 2 {
		got := 0
		var reader sync.WaitGroup
		err := q.Before(a, b).Run(t.Context(), func(s stream.Stream) {
			reader.Go(func() {
				for s.Wait(t.Context()) == nil {
					recs, next := readAll(t, s)
					got += len(recs)
					if err := s.Ack(t.Context(), next); err != nil {
						t.Error(err)
					}
				}
				_ = s.Close()
			})
		})
		reader.Wait()
		if err != nil || got != 305 || q.Stats().Events != 0 {
			t.Errorf("round %d: %v, %d events, %+v", round, err, got, q.Stats())
		}
	}
	a.err = errors.New("the port is taken")
	err := q.Before(a, b).Run(t.Context(), func(s stream.Stream) {
		go func() {
			for s.Wait(t.Context()) == nil {
				readAll(t, s)
			}
			_ = s.Close()
		}()
	})
	if !errors.Is(err, a.err) {
		t.Error(err)
	}
}

func TestARecordThatNoFrameCanHoldIsRefused(t *testing.T) {
	q := opened(t, newMemory(), Options{})
	huge := make([]byte, maxFrame)
	if err := q.Append(t.Context(), []flow.Record{event(1), {Body: huge}}); !errors.Is(err, ErrTooLarge) || !flow.IsPermanent(err) {
		t.Error(err)
	}
	if err := q.Append(t.Context(), events(0, 1)); err != nil {
		t.Error(err)
	}
	if st := q.Stats(); st.Events != 1 {
		t.Errorf("%+v", st)
	}
}

package beats

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/elastic/go-lumber/client/v2"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// through is a stage that changes nothing.
type through struct{}

func (through) Process(context.Context, *flow.Batch, uint64) error { return nil }
func (through) End(*flow.Batch, uint64) error                      { return nil }
func (through) Flush(*flow.Batch, bool) error                      { return nil }
func (through) Held(uint64) int                                    { return 0 }
func (through) Holds() bool                                        { return false }
func (through) Flushes() bool                                      { return false }

// shelf is a sink that refuses some writes for now, and knows what it has.
type shelf struct {
	mu   sync.Mutex // guards what follows
	has  map[string]int
	rand *rand.Rand
}

var errBusy = errors.New("busy")

// Write implements flow.Sink.
func (s *shelf) Write(_ context.Context, recs []flow.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rand.IntN(4) == 0 {
		return errBusy
	}
	for _, r := range recs {
		s.has[string(r.Body)]++
	}
	return nil
}

// Close implements flow.Sink.
func (*shelf) Close(context.Context) error { return nil }

// lacks gives the first event of some that the shelf does not have.
func (s *shelf) lacks(from, n int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range list(from, n) {
		if s.has[o] == 0 {
			return o
		}
	}
	return ""
}

func TestWhatTheEngineHasAcknowledgedIsInTheSinkWhateverHappens(t *testing.T) {
	const clients, each, most = 4, 15_000, 100
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	sink := &shelf{has: map[string]int{}, rand: rand.New(rand.NewPCG(seed, 1))}
	first, err := Listen(Config{Host: "127.0.0.1"}, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	address := first.Addr().String()
	_ = first.Close()
	_, text, _ := net.SplitHostPort(address)
	port, _ := strconv.Atoi(text)

	var all sync.WaitGroup
	over := make(chan struct{})
	for i := range clients {
		all.Go(func() { sendAll(t, address, sink, i*each, each, most, rand.New(rand.NewPCG(seed, uint64(i+2)))) })
	}
	go func() {
		all.Wait()
		close(over)
	}()
	r := rand.New(rand.NewPCG(seed, 99))
	for runs := 0; ; runs++ {
		source, err := Listen(Config{Host: "127.0.0.1", Port: port, KeepAlive: 10 * time.Millisecond}, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, kill := context.WithCancel(context.Background())
		drain, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			ended <- stream.Run(ctx, stream.Pipe{
				Sources: []stream.Input{{ID: "beats", Source: source}},
				Sinks:   []stream.Output{{ID: "shelf", Sink: stream.Sink{Sink: sink, Retry: flow.Retry{First: time.Millisecond, Max: 5 * time.Millisecond}}}},
				Stage:   func(bool) stream.Stage { return through{} },
			}, stream.Options{Workers: 2, MaxRecords: 64, Drain: drain})
		}()
		done := false
		select {
		case <-over:
			done = true
			close(drain)
		case <-time.After(time.Duration(20+r.IntN(150)) * time.Millisecond):
			if runs%2 == 0 {
				kill()
			} else {
				close(drain)
			}
		case <-time.After(time.Minute):
			t.Fatal("no end")
		}
		select {
		case err := <-ended:
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the engine does not end")
		}
		kill()
		if done {
			t.Logf("%d runs", runs+1)
			break
		}
	}
	if o := sink.lacks(0, clients*each); o != "" {
		t.Errorf("%s is lost", o)
	}
	if len(sink.has) != clients*each {
		t.Errorf("%d different events of %d", len(sink.has), clients*each)
	}
}

// sendAll sends events until all are acknowledged, through connections that are cut, and looks at each acknowledgement whether
// the sink has what it says.
func sendAll(t *testing.T, address string, sink *shelf, from, n, most int, r *rand.Rand) {
	for sent := 0; sent < n; {
		raw, err := new(net.Dialer).DialContext(context.Background(), "tcp", address)
		if err != nil {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		c, err := v2.NewSyncClientWithConn(&dying{Conn: raw, after: 1000 + r.IntN(20_000)}, v2.CompressionLevel(r.IntN(2)), v2.Timeout(5*time.Second))
		if err != nil {
			t.Error(err)
			return
		}
		for sent < n {
			window := min(1+r.IntN(most), n-sent)
			got, err := c.Send(events(from+sent, window))
			if o := sink.lacks(from+sent, got); o != "" {
				t.Errorf("%s is acknowledged, and not in the sink", o)
			}
			sent += got
			if err != nil {
				break
			}
		}
		_ = c.Close()
	}
}

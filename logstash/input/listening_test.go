package input

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/syntax"
)

// setting is what an input of a test is set up with.
type setting struct {
	ecs string
	dir string
	now func() time.Time
}

// decoded fills in an input of a configuration.
func decoded(t *testing.T, text string, s setting) (*syntax.Plugin, Plugin) {
	t.Helper()
	cfg, err := syntax.Parse("test.conf", []byte("input { "+text+" }"))
	if err != nil {
		t.Fatal(err)
	}
	for node := range syntax.Plugins(cfg.Statements(syntax.Input)) {
		p := Table()[node.Name]()
		if problems := option.Decode(node, p, option.Env{Section: syntax.Input, Dir: s.dir}); len(problems) > 0 {
			t.Fatal(problems)
		}
		return node, p
	}
	t.Fatal("there is no input")
	return nil, nil
}

func setUp(t *testing.T, text string, s setting) (Plugin, Input, error) {
	t.Helper()
	_, p := decoded(t, text, s)
	if s.now == nil {
		s.now = time.Now
	}
	in, err := p.Setup(&Setup{ECS: s.ecs, Dir: s.dir, Log: slog.New(slog.DiscardHandler), Now: s.now, Where: "test.conf:1:9", Getenv: func(string) string { return "" }})
	return p, in, err
}

// running is an input whose events are collected.
type running struct {
	t      *testing.T
	source stream.Source
	stop   context.CancelFunc
	done   chan error

	mu      sync.Mutex // guards what follows
	events  []string   // as JSON
	meta    []string
	changed chan struct{}
	reads   int
	ack     bool // acknowledge what is read
}

// runInput sets an input up and runs it.
func runInput(t *testing.T, text string, s setting) *running {
	t.Helper()
	p, in, err := setUp(t, text, s)
	if err != nil {
		t.Fatal(err)
	}
	name := p.Common().Codec.Name
	if name == "" {
		name = p.Traits().Codec
	}
	c := codec.Table()[name]()
	if node := p.Common().Codec.Plugin; node != nil {
		if problems := option.Decode(node, c, option.Env{Section: syntax.Input, Title: name}); len(problems) > 0 {
			t.Fatal(problems)
		}
	} else if problems := option.Decode(&syntax.Plugin{Name: name}, c, option.Env{Section: syntax.Input, Title: name}); len(problems) > 0 {
		t.Fatal(problems)
	}
	made, err := c.Setup(&codec.Setup{ECS: s.ecs, Log: slog.New(slog.DiscardHandler), Stream: p.Traits().Bytes})
	if err != nil {
		t.Fatal(err)
	}
	dec := made.(codec.Decoder)
	r := &running{t: t, done: make(chan error, 1), changed: make(chan struct{}), ack: true}
	delimiter := []byte(dec.Delimiter())
	if d, ok := in.(Decoder); ok {
		dec = d.Decoder(dec)
	}
	r.source, err = in.Open(&Run{Port: 3, Delimiter: delimiter, Data: filepath.Join(t.TempDir(), "data"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	r.stop = stop
	go func() {
		var feeds sync.WaitGroup
		err := r.source.Run(ctx, func(s stream.Stream) { feeds.Go(func() { r.carry(ctx, s, in, dec) }) })
		feeds.Wait()
		r.done <- err
	}()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-r.done:
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Error("the input does not stop")
		}
	})
	return r
}

func (r *running) carry(ctx context.Context, s stream.Stream, in Input, dec codec.Decoder) {
	for {
		err := s.Wait(ctx)
		if err == nil {
			var b flow.Batch
			err = s.Read(ctx, &b)
			r.decode(&b, in, dec)
			if r.ack && len(b.Next) > 0 {
				if err := s.Ack(ctx, b.Next); err != nil {
					r.t.Error(err)
				}
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				r.t.Error(err)
			}
			break
		}
	}
	if err := s.Close(); err != nil {
		r.t.Error(err)
	}
}

func (r *running) decode(b *flow.Batch, in Input, dec codec.Decoder) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads++
	describer, _ := in.(Describer)
	if forker, ok := in.(DescriberForker); ok {
		describer = forker.ForkDescriber()
	}
	for i := range b.Records {
		rec := &b.Records[i]
		if rec.Port != 3 {
			r.t.Errorf("a record has port %d", rec.Port)
		}
		x := &codec.Context{New: func() *event.Event { return &event.Event{} }, Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Log: slog.New(slog.DiscardHandler)}
		x.Emit = func(e *event.Event) {
			if describer != nil {
				describer.Describe(e, rec)
			}
			r.events = append(r.events, string(e.AppendJSON(nil)))
			meta := event.MapValue()
			for _, f := range e.Metadata().Entries() {
				meta.Map().Set(f.Key, f.Value)
			}
			r.meta = append(r.meta, string(event.AppendJSON(nil, meta)))
		}
		dec.Decode(x, rec.Body)
		if f, ok := dec.(codec.Flusher); ok {
			f.Flush(x)
		}
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// got waits for events, and gives them without their times and versions.
func (r *running) got(n int) (events, meta []string) {
	r.t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		r.mu.Lock()
		events, meta, changed := r.events, r.meta, r.changed
		r.mu.Unlock()
		if len(events) >= n {
			return events, meta
		}
		select {
		case <-changed:
		case <-timeout:
			r.t.Fatalf("%d events of %d: %q", len(events), n, events)
		}
	}
}

// without removes a member of a JSON object that has a text.
func without(text string, names ...string) string {
	for _, name := range names {
		if i := strings.Index(text, `"`+name+`":"`); i >= 0 {
			end := i + len(name) + 4 + strings.IndexByte(text[i+len(name)+4:], '"') + 1
			if end < len(text) && text[end] == ',' {
				end++
			} else if i > 0 && text[i-1] == ',' {
				i--
			}
			text = text[:i] + text[end:]
		}
	}
	return text
}

func write(t *testing.T, c io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

func connect(t *testing.T, network string, addr net.Addr) net.Conn {
	t.Helper()
	c, err := net.Dial(network, addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// wrong sets an input up that must not be, and gives the message.
func wrong(t *testing.T, text string, s setting) string {
	t.Helper()
	_, _, err := setUp(t, text, s)
	if err == nil {
		t.Errorf("%s is fine", text)
		return ""
	}
	return err.Error()
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

//go:build linux

// Moves measures what happens to events on their way through Kafka while something moves: members of a group come and go, or a
// server is restarted. It starts a broker, writes numbered events to a topic at a steady rate, starts naru processes that
// read them, and is itself the OpenSearch that they write to, where it looks which events arrive, when, and how often.
//
//	moves -naru BINARY -broker internal/testbed/kafka/broker.sh -dir DIR [-version 4.4.0] [-rate 2000] [-partitions 12]
//	      [-session 6s] [-seconds 12] [-away 3s] classic|consumer|broker|opensearch …
//
//	classic, consumer   four members, whose group is divided by themselves (cooperatively) or by the broker (KIP-848); a fifth
//	                    joins, one is told to end (SIGTERM), and one is killed (SIGKILL) and not missed before -session is over
//	broker              one member, rate times ten; the broker is killed and started again
//	opensearch          one member, rate times ten; OpenSearch is gone for -away, with all connections
//
// Prints, tab-separated: what, then of groups seconds until all partitions were read again, longest standstill of a partition in
// seconds, events in, doubled, lost; of restarts seconds that the server was away, seconds that nothing arrived, events/s over
// all, events in, doubled, lost. A lost event is an error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

func main() {
	runtime.LockOSThread() // children end with the thread that started them: see child
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "moves:", err)
		os.Exit(1)
	}
}

type options struct {
	naru, script, dir, version string
	rate, partitions           int
	session, away              time.Duration
	seconds                    int
}

func run(ctx context.Context) (err error) {
	var o options
	flag.StringVar(&o.naru, "naru", "", "the binary")
	flag.StringVar(&o.script, "broker", "", "what starts a broker")
	flag.StringVar(&o.dir, "dir", "", "an empty folder")
	flag.StringVar(&o.version, "version", "4.4.0", "the broker's")
	flag.IntVar(&o.rate, "rate", 2000, "events a second")
	flag.IntVar(&o.partitions, "partitions", 12, "partitions of the topic")
	flag.DurationVar(&o.session, "session", 6*time.Second, "after how long a silent member is missed")
	flag.DurationVar(&o.away, "away", 3*time.Second, "for how long OpenSearch is gone")
	flag.IntVar(&o.seconds, "seconds", 12, "how long events are written, with restarts")
	flag.Parse()
	b, err := startBroker(ctx, o)
	if err != nil {
		return err
	}
	defer func() { b.end() }()
	s, err := listen()
	if err != nil {
		return err
	}
	defer s.close()
	for i, what := range flag.Args() {
		e := &experiment{options: o, broker: b, sink: s, topic: fmt.Sprintf("%s-%d", what, i), name: what}
		switch what {
		case "classic", "consumer":
			err = e.measure(ctx, e.group)
		case "broker":
			e.rate *= 10
			err = e.measure(ctx, func(ctx context.Context) error { return e.restart(ctx, b.again) })
		case "opensearch":
			e.rate *= 10
			err = e.measure(ctx, func(ctx context.Context) error {
				return e.restart(ctx, func(ctx context.Context) error {
					s.close()
					return errors.Join(sleep(ctx, o.away), s.open())
				})
			})
		default:
			err = fmt.Errorf("%q is not known", what)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}

// An experiment is one topic, a group that reads it, and what is done to them.
type experiment struct {
	options
	broker  *broker
	sink    *sink
	topic   string
	name    string
	load    *load
	members []*child
}

// measure runs the experiment under load and sees to it that nothing of it is left.
func (e *experiment) measure(ctx context.Context, what func(context.Context) error) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if e.load, err = newLoad(ctx, e.broker.address, e.topic, e.partitions, e.rate); err != nil {
		return err
	}
	defer e.load.close()
	defer func() {
		for _, m := range e.members {
			m.kill()
		}
		if err != nil && len(e.members) > 0 {
			err = fmt.Errorf("%w\n%s", err, e.members[len(e.members)-1].said())
		}
	}()
	e.sink.reset(e.partitions)
	return what(ctx)
}

// join starts a member, which writes to a path of its own.
func (e *experiment) join() (*child, error) {
	n := len(e.members)
	protocol := fmt.Sprintf(`group_protocol => "classic" session_timeout_ms => %d heartbeat_interval_ms => 1000`, e.session.Milliseconds())
	if e.name == "consumer" {
		protocol = `group_protocol => "consumer"` // the broker has the rest
	}
	dir := filepath.Join(e.dir, fmt.Sprintf("%s-%d", e.topic, n))
	conf := fmt.Sprintf(`input { kafka { bootstrap_servers => "%s" topics => ["%s"] group_id => "%s" auto_offset_reset => "earliest" codec => json
	%s } }
output { opensearch { hosts => ["%s/%d"] index => "events" manage_template => false retry_initial_interval => 1 retry_max_interval => 2 } }
`, e.broker.address, e.topic, e.topic, protocol, e.sink.url(), n)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "naru.conf"), []byte(conf), 0o600); err != nil {
		return nil, err
	}
	m, err := start(filepath.Join(dir, "log"), nil, e.naru, "logstash", "-f", filepath.Join(dir, "naru.conf"), "--path.data", dir)
	if err == nil {
		e.members = append(e.members, m)
	}
	return m, err
}

// Standstill is what is more than usual between two events of a partition; quiet is how long there must be none for a group to
// be settled.
const (
	standstill = 500 * time.Millisecond
	quiet      = 3 * time.Second
	patience   = 90 * time.Second
)

// group has members come and go.
func (e *experiment) group(ctx context.Context) error {
	for range 4 {
		if _, err := e.join(); err != nil {
			return err
		}
	}
	began := time.Now()
	if _, err := e.settle(ctx, began, 0, 1, 2, 3); err != nil {
		return err
	}
	kind := map[string]string{"classic": "cooperative", "consumer": "KIP-848"}[e.name]
	steps := []struct {
		what string
		do   func() error
		all  []int // members that must read then
	}{
		{"a fifth member joins", func() error { _, err := e.join(); return err }, []int{0, 1, 2, 3, 4}},
		{"one leaves (SIGTERM)", func() error { return e.members[0].terminate() }, []int{1, 2, 3, 4}},
		{fmt.Sprintf("one is killed (missed after %s)", e.session), func() error { e.members[1].kill(); return nil }, []int{2, 3, 4}},
	}
	type row struct {
		what          string
		again, pause  time.Duration
		sent, doubled int64
	}
	var rows []row
	for _, step := range steps {
		sent, doubled := e.load.sent(), e.sink.doubled()
		at := time.Now()
		if err := step.do(); err != nil {
			return err
		}
		r, err := e.settle(ctx, at, step.all...)
		r.again = max(r.again, e.sink.firstOf(len(e.members)-1).Sub(at)) // a new member reads, too
		if err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
		rows = append(rows, row{step.what, r.again, r.pause, e.load.sent() - sent, e.sink.doubled() - doubled})
	}
	in, lost, err := e.drain(ctx)
	if err != nil {
		return err
	}
	for i, r := range rows {
		missing := int64(0)
		if i == len(rows)-1 {
			missing = lost
		}
		fmt.Printf("%s: %s\t%.1f\t%.1f\t%d\t%d\t%d\n", kind, r.what, r.again.Seconds(), r.pause.Seconds(), r.sent, r.doubled, missing)
	}
	return none(lost, in)
}

func none(lost, in int64) error {
	if lost != 0 {
		return fmt.Errorf("%d of %d events are lost", lost, in)
	}
	return nil
}

// settle waits until every partition is read, all of the members read something, and no partition has stood still for a while.
func (e *experiment) settle(ctx context.Context, since time.Time, members ...int) (flow, error) {
	for begun := time.Now(); ; {
		select {
		case <-ctx.Done():
			return flow{}, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
		f := e.sink.flow(since, members)
		if f.all && time.Since(since)-f.again > quiet {
			return f, nil
		}
		if time.Since(begun) > patience {
			return f, fmt.Errorf("not every partition is read after %s", patience)
		}
		if err := e.load.err(); err != nil {
			return f, err
		}
		for _, m := range members {
			if e.members[m].over() {
				return f, fmt.Errorf("a member ended: %s", e.members[m].said())
			}
		}
	}
}

// drain stops the load, waits until all has arrived, and tells how many events there were and how many did not come.
func (e *experiment) drain(ctx context.Context) (in, lost int64, err error) {
	if err := e.load.stop(); err != nil {
		return 0, 0, err
	}
	in = e.load.sent()
	for begun := time.Now(); e.sink.distinct() < in && time.Since(begun) < patience/2; {
		select {
		case <-ctx.Done():
			return 0, 0, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return in, in - e.sink.distinct(), nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// restart has a server be away for a while in the midst of a load.
func (e *experiment) restart(ctx context.Context, do func(context.Context) error) error {
	m, err := e.join()
	if err != nil {
		return err
	}
	begun := time.Now()
	if _, err := e.settle(ctx, begun, 0); err != nil {
		return err
	}
	at := time.Now()
	sent := e.load.sent()
	part := time.Duration(e.seconds) * time.Second / 3
	if err := sleep(ctx, part); err != nil {
		return err
	}
	gone := time.Now()
	if err := do(ctx); err != nil {
		return err
	}
	away := time.Since(gone)
	if err := sleep(ctx, 2*part); err != nil {
		return err
	}
	in, lost, err := e.drain(ctx)
	if err != nil {
		return err
	}
	// What the writer had to write again is not what the reader read again.
	written, err := e.load.records(ctx)
	if err != nil {
		return err
	}
	doubled := e.sink.doubled() - (written - in)
	pause, last := e.sink.still(at)
	if err := m.terminate(); err != nil {
		return err
	}
	if err := m.wait(30 * time.Second); err != nil {
		return err
	}
	what := map[string]string{"broker": "Kafka is killed and started again", "opensearch": "OpenSearch is gone and back"}[e.name]
	fmt.Printf("%s\t%.1f\t%.1f\t%.0f\t%d\t%d\t%d\n", what, away.Seconds(), pause.Seconds(), float64(in-sent)/last.Sub(at).Seconds(), in, doubled, lost)
	return errors.Join(none(lost, in), e.load.err())
}

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A child is a process, and all that it starts. It ends with this one.
type child struct {
	cmd   *exec.Cmd
	log   *os.File
	stdin io.Closer
	ended chan struct{}
}

// start runs a command that writes to a log. What it starts itself must end with its standard input.
func start(log string, environment []string, name string, args ...string) (*child, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.CommandContext(context.Background(), name, args...), log: f, ended: make(chan struct{})}
	c.cmd.Stdout, c.cmd.Stderr, c.cmd.Env = f, f, append(os.Environ(), environment...)
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := c.cmd.Start(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	go func() {
		_ = c.cmd.Wait()
		close(c.ended)
	}()
	return c, nil
}

func (c *child) over() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// kill ends the process and those that it started, at once.
func (c *child) kill() {
	if c.over() {
		return
	}
	_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
	<-c.ended
	_ = c.log.Close()
}

func (c *child) terminate() error { return c.cmd.Process.Signal(syscall.SIGTERM) }

// wait waits for the end of a process that was told to end.
func (c *child) wait(patience time.Duration) error {
	select {
	case <-c.ended:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("%s does not end within %s", c.cmd.Path, patience)
	}
}

// said gives the end of the log.
func (c *child) said() string {
	text, err := os.ReadFile(c.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}

// A broker is a Kafka of its own.
type broker struct {
	address string
	script  string
	dir     string
	args    []string
	process *child
}

func startBroker(ctx context.Context, o options) (*broker, error) {
	port, err := freeRow(5)
	if err != nil {
		return nil, err
	}
	b := &broker{address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), script: o.script, dir: o.dir}
	session, beat := strconv.FormatInt(o.session.Milliseconds(), 10), "1000"
	b.args = []string{
		o.version, strconv.Itoa(port), filepath.Join(o.dir, "kafka"),
		"group.consumer.session.timeout.ms=" + session, "group.consumer.min.session.timeout.ms=" + session,
		"group.consumer.heartbeat.interval.ms=" + beat, "group.consumer.min.heartbeat.interval.ms=" + beat,
		// A broker that was killed may come back once the controller has missed it.
		"broker.session.timeout.ms=3000", "broker.heartbeat.interval.ms=500",
	}
	return b, b.launch(ctx)
}

// freeRow finds n ports in a row that nobody listens at.
func freeRow(n int) (first int, err error) {
	for range 50 {
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp4", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		a, _ := l.Addr().(*net.TCPAddr)
		first = a.Port
		_ = l.Close()
		free := first+n < 1<<16
		for i := 0; free && i < n; i++ {
			l, err := new(net.ListenConfig).Listen(context.Background(), "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(first+i)))
			if free = err == nil; free {
				_ = l.Close()
			}
		}
		if free {
			return first, nil
		}
	}
	return 0, fmt.Errorf("no %d free ports in a row", n)
}

// launch starts it and waits until it answers.
func (b *broker) launch(ctx context.Context) (err error) {
	if b.process, err = start(filepath.Join(b.dir, "kafka.log"), []string{"TETHER=1"}, b.script, b.args...); err != nil {
		return err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(b.address))
	if err != nil {
		b.end()
		return err
	}
	defer client.Close()
	for begun := time.Now(); ; {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := kadm.NewClient(client).ListBrokers(ctx)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-b.process.ended:
			return fmt.Errorf("the broker ended: %s", b.process.said())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Since(begun) > patience || errors.Is(err, context.Canceled) {
			b.end()
			return fmt.Errorf("the broker does not answer: %w; %s", err, b.process.said())
		}
	}
}

func (b *broker) again(ctx context.Context) error {
	b.process.kill()
	return b.launch(ctx)
}

func (b *broker) end() {
	if b.process != nil {
		b.process.kill()
	}
}

// A load writes events, each with the partition that it is in and its number there.
type load struct {
	client *kgo.Client
	topic  string
	acked  atomic.Int64
	cancel context.CancelFunc
	ended  chan struct{}

	mu     sync.Mutex // guards failed
	failed error
}

// records tells how many records the topic has.
func (l *load) records(ctx context.Context) (n int64, err error) {
	ends, err := kadm.NewClient(l.client).ListEndOffsets(ctx, l.topic)
	if err == nil {
		err = ends.Error()
	}
	ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
	return n, err
}

func newLoad(ctx context.Context, address, topic string, partitions, rate int) (*load, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(2*time.Millisecond), kgo.MaxBufferedRecords(1_000_000), kgo.RecordDeliveryTimeout(0),
		kgo.MetadataMinAge(100*time.Millisecond), kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }))
	if err != nil {
		return nil, err
	}
	if _, err := kadm.NewClient(client).CreateTopic(ctx, int32(partitions), 1, nil, topic); err != nil {
		client.Close()
		return nil, err
	}
	writing, cancel := context.WithCancel(ctx)
	l := &load{client: client, topic: topic, cancel: cancel, ended: make(chan struct{})}
	go l.write(ctx, writing, partitions, rate)
	return l, nil
}

// write writes until it is told to stop. What it could not write yet while the broker was away is written then.
func (l *load) write(ctx, writing context.Context, partitions, rate int) {
	defer close(l.ended)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	next := make([]int64, partitions)
	begun, written := time.Now(), 0
	for {
		select {
		case <-writing.Done():
			if err := l.client.Flush(ctx); err != nil {
				l.fail(err)
			}
			return
		case <-tick.C:
		}
		for due := int(time.Since(begun).Seconds() * float64(rate)); written < due; written++ {
			p := written % partitions
			r := &kgo.Record{Partition: int32(p), Value: fmt.Appendf(nil, `{"p":%d,"n":%d,"message":"an event that is on its way"}`, p, next[p])}
			next[p]++
			l.client.Produce(ctx, r, func(_ *kgo.Record, err error) {
				if err != nil {
					l.fail(err)
					return
				}
				l.acked.Add(1)
			})
		}
	}
}

func (l *load) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = errors.Join(l.failed, err)
	if l.failed != nil && len(l.failed.Error()) > 1000 {
		l.failed = err
	}
}

func (l *load) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

func (l *load) sent() int64 { return l.acked.Load() }

// stop ends the load once all is acknowledged.
func (l *load) stop() error {
	l.cancel()
	<-l.ended
	return l.err()
}

func (l *load) close() {
	l.cancel()
	<-l.ended
	l.client.Close()
}

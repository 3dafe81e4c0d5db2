package testbed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/narudata/naru/internal/testbed/proc"
)

// KafkaVersions are those that the long tests run against: today's, the last one of generation 3, and one of the age that
// managed clusters have.
var KafkaVersions = []string{"4.4.0", "3.9.2", "3.6.2"}

// KafkaOptions of a broker; the zero value works.
type KafkaOptions struct {
	HeapMB   int               // 400 if zero
	TLS      bool              // listen with TLS, too: takes a while, for certificates
	Settings map[string]string // of the broker, as in server.properties
}

// Kafka is a running broker on the loopback interface, alone in its cluster.
type Kafka struct {
	Version string
	Plain   string // address of the listener without anything
	SASL    string // PLAIN and SCRAM
	SASLTLS string // the same with TLS, if that was asked for
	TLS     string // clients show a certificate, if that was asked for
	Dir     string // with TLS it has ca.pem; client.p12, trust.p12 and trust.jks, whose password is changeit

	args        []string
	environment []string
	server      *exec.Cmd // nil: it does not run
	ended       chan error
	log         *kafkaLog
}

// What the listeners with SASL ask for.
const (
	KafkaUser     = "naru"
	KafkaPassword = "naru-secret"
)

// CanStartKafka reports whether this machine has what StartKafka needs, and what is missing if not.
func CanStartKafka(tb testing.TB, version string) (ok bool, missing string) {
	tb.Helper()
	check := exec.CommandContext(tb.Context(), kafkaScript(tb), version)
	check.Env = append(os.Environ(), "CHECK=1", "NARU_CACHE="+Cache(tb))
	out, err := check.CombinedOutput()
	if err != nil {
		return false, fmt.Sprintf("%s(%v)", out, err)
	}
	return true, ""
}

func kafkaScript(tb testing.TB) string {
	return filepath.Join(Root(tb), "internal", "testbed", "kafka", "broker.sh")
}

// StartKafka starts a broker with a data folder of its own, and waits until it answers; the test fails with the end of its log
// when it does not. It is stopped when the test ends, and ends by itself should the test's process die.
func StartKafka(tb testing.TB, version string, o KafkaOptions) *Kafka {
	tb.Helper()
	heap := o.HeapMB
	if heap == 0 {
		heap = 400
	}
	k := &Kafka{Version: version, Dir: filepath.Join(tb.TempDir(), "kafka")}
	k.environment = append(os.Environ(), "HEAP="+strconv.Itoa(heap)+"m", "NARU_CACHE="+Cache(tb))
	if o.TLS {
		k.environment = append(k.environment, "TLS=1")
	}
	build, cancel := context.WithTimeout(tb.Context(), buildPatience)
	defer cancel()
	prepare := exec.CommandContext(build, kafkaScript(tb), version)
	prepare.Env = append(k.environment, "PREPARE=1")
	if out, err := prepare.CombinedOutput(); err != nil {
		tb.Fatalf("download Kafka %s: %v\n%s", version, err, tail(out))
	}
	port, err := freeRow(5)
	if err != nil {
		tb.Fatal(err)
	}
	at := func(n int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port+n)) }
	k.Plain, k.SASL, k.SASLTLS, k.TLS = at(0), at(2), at(3), at(4)
	k.args = []string{version, strconv.Itoa(port), k.Dir}
	for name, value := range o.Settings {
		k.args = append(k.args, name+"="+value)
	}
	tb.Cleanup(k.end)
	k.launch(tb)
	return k
}

// freeRow finds n ports in a row that nobody listens at.
func freeRow(n int) (first int, err error) {
	for range 50 {
		ports, err := FreePorts(1)
		if err != nil {
			return 0, err
		}
		first, err = strconv.Atoi(ports[0])
		if err != nil {
			return 0, err
		}
		free := first+n < 65536
		for i := 0; free && i < n; i++ {
			l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(first+i)))
			if err != nil {
				free = false
				break
			}
			l.Close()
		}
		if free {
			return first, nil
		}
	}
	return 0, fmt.Errorf("no %d free ports in a row", n)
}

func (k *Kafka) launch(tb testing.TB) {
	tb.Helper()
	k.server = exec.Command(kafkaScript(tb), k.args...)
	k.server.Env = append(k.environment, "TETHER=1")
	proc.Group(k.server)
	k.log = &kafkaLog{serverLog: serverLog{started: make(chan struct{})}, up: make(chan struct{})}
	k.server.Stdout, k.server.Stderr = k.log, k.log
	if _, err := k.server.StdinPipe(); err != nil { // it ends with this process
		tb.Fatal(err)
	}
	if err := k.server.Start(); err != nil {
		tb.Fatal(err)
	}
	k.ended = make(chan error, 1)
	server, ended := k.server, k.ended
	go func() { ended <- server.Wait() }()
	select {
	case <-k.log.up:
	case err := <-ended:
		ended <- err
		tb.Fatalf("Kafka %s ended before it was ready: %v\n%s", k.Version, err, k.log.tail())
	case <-time.After(startPatience):
		tb.Fatalf("Kafka %s is not ready after %v\n%s", k.Version, startPatience, k.log.tail())
	}
}

// A kafkaLog sees the line by which a broker says that it is ready.
type kafkaLog struct {
	serverLog
	up   chan struct{}
	once sync.Once
	seen atomic.Bool
}

func (l *kafkaLog) Write(p []byte) (int, error) {
	n, err := l.serverLog.Write(p)
	if !l.seen.Load() && bytes.Contains(l.tail(), []byte("Kafka Server started")) {
		l.seen.Store(true)
		l.once.Do(func() { close(l.up) })
	}
	return n, err
}

func (k *Kafka) end() {
	if k.server == nil {
		return
	}
	stop(k.server.Process.Pid, k.ended)
	k.server = nil
}

// Kill ends the broker at once, as a crash does (kill -9).
func (k *Kafka) Kill(tb testing.TB) {
	tb.Helper()
	if err := proc.SignalGroup(k.server.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		tb.Fatal(err)
	}
	<-k.ended
	k.server = nil
}

// Restart stops the broker, if it runs, and starts it again with what it has and at the same addresses.
func (k *Kafka) Restart(tb testing.TB) {
	tb.Helper()
	k.end()
	k.launch(tb)
}

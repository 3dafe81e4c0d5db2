package network

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// UDP says how packets are received. The zero value of all but Address works.
type UDP struct {
	Address       string // host:port
	MaxPacket     int    // longer packets are cut; 0: 65536
	ReceiveBuffer int    // of the socket, in bytes; 0: the system's
	Readers       int    // goroutines that receive; 0: one, which keeps the order
	// Queue is how many packets wait to be read before no more are received, so that the kernel drops what comes; 0: 2000.
	Queue int
	Port  int32        // of the records
	Log   *slog.Logger // nil: nowhere
}

// queuedBytes bounds what waits, in bytes.
const queuedBytes = 32 << 20

// Packets is the source of a UDP. It has one stream.
type Packets struct {
	UDP
	conn   *net.UDPConn
	socket string // how the kernel calls it in its lists: the inode
	closed chan struct{}
	ready  chan struct{} // has room for one
	lost   atomic.Int64

	mu     sync.Mutex // guards what follows
	room   sync.Cond  // there is room, or it is over
	bytes  []byte     // of the packets that wait, one after the other
	queue  []packet
	over   bool // nothing more is received
	spareB []byte
	spareQ []packet
}

type packet struct {
	from netip.AddrPort
	size int
}

var _ stream.Volatile = (*Packets)(nil)

// Open listens, so that a port that is taken is known at once.
func (c UDP) Open() (*Packets, error) {
	c.MaxPacket = cmp.Or(c.MaxPacket, 65536)
	c.Queue = max(1, cmp.Or(c.Queue, 2000))
	c.Readers = max(1, c.Readers)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	addr, err := net.ResolveUDPAddr("udp", c.Address)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", c.Address, err)
	}
	conn, err := net.ListenUDP("udp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", c.Address, err)
	}
	if c.ReceiveBuffer > 0 {
		if err := conn.SetReadBuffer(c.ReceiveBuffer); err != nil {
			return nil, errors.Join(fmt.Errorf("receive buffer of %d bytes: %w", c.ReceiveBuffer, err), conn.Close())
		}
		if got := receiveBuffer(conn); got > 0 && got < c.ReceiveBuffer {
			c.Log.Warn("the receive buffer is smaller than wanted: the system bounds it (net.core.rmem_max)", "address", c.Address, "wanted", c.ReceiveBuffer, "bytes", got)
		}
	}
	p := &Packets{UDP: c, conn: conn, socket: inode(conn), closed: make(chan struct{}), ready: make(chan struct{}, 1)}
	p.room.L = &p.mu
	return p, nil
}

// Addr is where it listens.
func (p *Packets) Addr() net.Addr { return p.conn.LocalAddr() }

// Volatile implements stream.Volatile.
func (*Packets) Volatile() bool { return true }

// Lost is how many packets the kernel has dropped because nobody received them in time, as far as it says so.
func (p *Packets) Lost() int64 { return p.lost.Load() }

// lookEvery is how often the kernel is asked what it dropped.
const lookEvery = 10 * time.Second

// Run implements stream.Source.
func (p *Packets) Run(ctx context.Context, open func(stream.Stream)) error {
	open(packetStream{p})
	var readers sync.WaitGroup
	for range p.Readers {
		readers.Go(func() { p.receive(ctx) })
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for done := false; !done; {
		select {
		case <-ctx.Done():
			done = true
		case <-p.closed:
			done = true
		case <-tick.C:
			p.look()
		}
	}
	p.look()
	_ = p.conn.Close()
	p.finish()
	readers.Wait()
	<-p.closed
	return nil
}

// look asks the kernel what it dropped.
func (p *Packets) look() {
	if n := kernelDrops(p.socket); n > p.lost.Load() {
		p.Log.Warn("packets were lost: the kernel had no room for them; a larger receive buffer may help", "address", p.Address,
			"packets", n-p.lost.Load(), "in all", n)
		p.lost.Store(n)
	}
}

// finish lets nobody wait any more.
func (p *Packets) finish() {
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
	p.room.Broadcast()
	p.wake()
}

func (p *Packets) wake() {
	select {
	case p.ready <- struct{}{}:
	default:
	}
}

func (p *Packets) receive(ctx context.Context) {
	room := make([]byte, p.MaxPacket)
	for failures := 0; ; {
		n, from, err := p.conn.ReadFromUDPAddrPort(room)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			failures++
			if failures&(failures-1) == 0 {
				p.Log.Warn("a packet cannot be received", "address", p.Address, "error", err, "failures", failures)
			}
			sleep(ctx, backoff(failures, 5*time.Millisecond, time.Second))
			continue
		}
		failures = 0
		if !p.put(room[:n], from) {
			return
		}
	}
}

// put adds a packet to what waits, when there is room for it.
func (p *Packets) put(b []byte, from netip.AddrPort) bool {
	p.mu.Lock()
	for !p.over && (len(p.queue) >= p.Queue || len(p.queue) > 0 && len(p.bytes)+len(b) > queuedBytes) {
		p.room.Wait()
	}
	if p.over && len(p.queue) >= p.Queue {
		p.mu.Unlock()
		return false
	}
	p.bytes = append(p.bytes, b...)
	p.queue = append(p.queue, packet{from, len(b)})
	first := len(p.queue) == 1
	p.mu.Unlock()
	if first {
		p.wake()
	}
	return true
}

// take gives what waits. giveBack makes its memory the next one's.
func (p *Packets) take() ([]byte, []packet) {
	p.mu.Lock()
	b, q := p.bytes, p.queue
	p.bytes, p.queue = p.spareB[:0], p.spareQ[:0]
	p.spareB, p.spareQ = nil, nil
	p.mu.Unlock()
	p.room.Broadcast()
	return b, q
}

func (p *Packets) giveBack(b []byte, q []packet) {
	if cap(b) > 1<<20 {
		b = nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spareB, p.spareQ = b, q
}

// packetStream is the stream of Packets.
type packetStream struct{ p *Packets }

// Wait implements stream.Stream. What was received before ctx was done can still be read.
func (s packetStream) Wait(ctx context.Context) error {
	for {
		s.p.mu.Lock()
		some, over := len(s.p.queue) > 0, s.p.over
		s.p.mu.Unlock()
		switch {
		case some:
			return nil
		case over:
			return io.EOF
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		select {
		case <-s.p.ready:
		case <-ctx.Done():
		}
	}
}

// Read implements stream.Stream: it gives all that waits, in one piece.
func (s packetStream) Read(_ context.Context, b *flow.Batch) error {
	bytes, queue := s.p.take()
	all := b.Copy(bytes)
	var last netip.AddrPort
	var meta, room []byte
	for _, q := range queue {
		if q.from != last || meta == nil {
			last = q.from
			ip := q.from.Addr().Unmap().WithZone("").String()
			peer := Peer{Host: ip, IP: ip, Port: q.from.Port()}
			room = peer.AppendMeta(room[:0])
			meta = b.Copy(room)
		}
		if q.size > 0 {
			b.Records = append(b.Records, flow.Record{Port: s.p.Port, Body: all[:q.size:q.size], Meta: meta})
		}
		all = all[q.size:]
	}
	s.p.giveBack(bytes, queue)
	return nil
}

// Ack implements stream.Stream.
func (packetStream) Ack(context.Context, flow.Position) error { return nil }

// Close implements stream.Stream.
func (s packetStream) Close() error {
	_ = s.p.conn.Close()
	s.p.finish()
	close(s.p.closed)
	return nil
}

package opensearch

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Guard says when naru goes easy on the target. The zero value works.
type Guard struct {
	Off      bool          // do not look
	Every    time.Duration // how often to look; 0: 5 s
	HeapHigh int           // percent of a node's heap from which naru slows down; 0: 85
	HeapStop int           // and from which it stops until it is lower; 0: 95
}

// guardian looks after the target while a sink writes to it: it slows the sink down when a node's write queue fills,
// when a node has rejected writes, or when heaps are full, and holds it while the window is closed.
type guardian struct {
	sink *Sink
	end  context.CancelFunc
	done sync.WaitGroup

	rejected map[string]int64 // by node, as of the last look
}

func startGuard(s *Sink) *guardian {
	if s.o.Guard.Every <= 0 {
		s.o.Guard.Every = 5 * time.Second
	}
	if s.o.Guard.HeapHigh <= 0 {
		s.o.Guard.HeapHigh = 85
	}
	if s.o.Guard.HeapStop <= 0 {
		s.o.Guard.HeapStop = 95
	}
	g := &guardian{sink: s}
	ctx, cancel := context.WithCancel(context.Background())
	g.end = cancel
	g.heedWindow(time.Now())
	if s.o.Guard.Off && s.o.Window == (Window{}) {
		return g
	}
	g.done.Go(func() { g.watch(ctx) })
	return g
}

func (g *guardian) stop() {
	g.end()
	g.done.Wait()
}

func (g *guardian) watch(ctx context.Context) {
	t := time.NewTicker(g.sink.o.Guard.Every)
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			if g.heedWindow(now) && !g.sink.o.Guard.Off {
				g.look(ctx)
			}
		case <-ctx.Done():
			return
		}
	}
}

// heedWindow holds the sink while the window is closed, and reports that it is open.
func (g *guardian) heedWindow(now time.Time) bool {
	open, next := g.sink.o.Window.Open(now)
	if !open {
		g.sink.pace.hold(fmt.Sprintf("the window %s is closed until %s", g.sink.o.Window, next.Format(time.RFC3339)))
		return false
	}
	if g.sink.o.Guard.Off {
		g.sink.pace.hold("")
	}
	return true
}

// nodeStats is what the guard reads of a node.
type nodeStats struct {
	Name string `json:"name"`
	JVM  struct {
		Mem struct {
			HeapPercent int `json:"heap_used_percent"`
		} `json:"mem"`
	} `json:"jvm"`
	ThreadPool struct {
		Write struct {
			Queue    int64 `json:"queue"`
			Rejected int64 `json:"rejected"`
			Threads  int64 `json:"threads"`
		} `json:"write"`
	} `json:"thread_pool"`
}

const statsPath = "/_nodes/stats/jvm,thread_pool?filter_path=nodes.*.name,nodes.*.jvm.mem.heap_used_percent,nodes.*.thread_pool.write"

// look asks the nodes how they are. A target that does not say (Serverless, or a user that may not ask) is not guarded
// beyond what its answers to writes tell.
func (g *guardian) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, g.sink.o.Guard.Every)
	defer cancel()
	var answer struct {
		Nodes map[string]nodeStats `json:"nodes"`
	}
	if err := g.sink.client.JSON(ctx, http.MethodGet, statsPath, nil, &answer); err != nil {
		g.sink.pace.hold("")
		if ctx.Err() == nil {
			g.sink.o.Log.Debug("the target does not say how it is", "err", err)
		}
		return
	}
	hold := ""
	rejected := make(map[string]int64, len(answer.Nodes))
	for id, n := range answer.Nodes {
		write := n.ThreadPool.Write
		rejected[id] = write.Rejected
		before, known := g.rejected[id]
		switch heap := n.JVM.Mem.HeapPercent; {
		case heap >= g.sink.o.Guard.HeapStop:
			hold = fmt.Sprintf("the heap of node %s is %d%% full", n.Name, heap)
		case heap >= g.sink.o.Guard.HeapHigh, known && write.Rejected > before, write.Queue > 50*max(write.Threads, 1):
			g.sink.o.Log.Info("the target is under strain, slowing down", "node", n.Name, "heap", heap, "queue", write.Queue, "rejected", write.Rejected)
			g.sink.pace.strained()
		}
	}
	g.rejected = rejected
	g.sink.pace.hold(hold)
}

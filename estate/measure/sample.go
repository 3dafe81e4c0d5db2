package measure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/narudata/naru/connect/opensearch"
)

// A Sample is the counters of a cluster at one time.
type Sample struct {
	At    time.Time
	Took  time.Duration
	Nodes map[string]*Node // by id
	// Indexed is how many documents the primaries of each index have taken, since they are where they are.
	Indexed   map[string]int64
	Documents int64            // in primaries
	Stored    int64            // bytes of all copies
	Lag       map[string]int64 // unread records by group; nil: not known
	Missing   []string         // what could not be asked, and why
}

// A Node is the counters of one node since its process began, and how it is now. Times in milliseconds.
type Node struct {
	Name string `json:"name"`
	JVM  struct {
		Uptime int64 `json:"uptime_in_millis"`
		Mem    struct {
			Used int64 `json:"heap_used_in_bytes"`
			Max  int64 `json:"heap_max_in_bytes"`
		} `json:"mem"`
		GC struct {
			Collectors map[string]struct {
				Time int64 `json:"collection_time_in_millis"`
			} `json:"collectors"`
		} `json:"gc"`
	} `json:"jvm"`
	OS struct {
		CPU struct {
			Percent float64 `json:"percent"`
		} `json:"cpu"`
	} `json:"os"`
	Pools map[string]struct {
		Rejected int64 `json:"rejected"`
	} `json:"thread_pool"`
	Pressure struct {
		Memory struct {
			Total struct {
				Coordinating int64 `json:"coordinating_rejections"`
				Primary      int64 `json:"primary_rejections"`
				Replica      int64 `json:"replica_rejections"`
			} `json:"total"`
		} `json:"memory"`
	} `json:"indexing_pressure"`
	Indices struct {
		Indexing struct {
			Total  int64 `json:"index_total"` // of all copies on the node
			Time   int64 `json:"index_time_in_millis"`
			Failed int64 `json:"index_failed"`
		} `json:"indexing"`
		Bulk struct { // Elasticsearch since 7.14
			Total int64 `json:"total_operations"`
			Time  int64 `json:"total_time_in_millis"`
		} `json:"bulk"`
		Search struct {
			Queries int64 `json:"query_total"` // on shards
			Time    int64 `json:"query_time_in_millis"`
			Request struct {
				Took struct { // OpenSearch since 2.11: whole searches, as their coordinator sees them
					Total int64 `json:"total"`
					Time  int64 `json:"time_in_millis"`
				} `json:"took"`
			} `json:"request"`
		} `json:"search"`
		Merges struct {
			Time int64 `json:"total_time_in_millis"`
		} `json:"merges"`
		Refresh struct {
			Time int64 `json:"total_time_in_millis"`
		} `json:"refresh"`
		Segments struct {
			Count int64 `json:"count"`
		} `json:"segments"`
	} `json:"indices"`
}

// nodesPath asks for no more than Node has. Source: the nodes stats API of OpenSearch 2.19, as a node of it answered.
const nodesPath = "/_nodes/stats/indices,jvm,os,thread_pool%s?filter_path=nodes.*.name,nodes.*.jvm.uptime_in_millis," +
	"nodes.*.jvm.mem.heap_used_in_bytes,nodes.*.jvm.mem.heap_max_in_bytes,nodes.*.jvm.gc.collectors.*.collection_time_in_millis,nodes.*.os.cpu.percent," +
	"nodes.*.thread_pool.write.rejected,nodes.*.thread_pool.bulk.rejected,nodes.*.thread_pool.search.rejected,nodes.*.thread_pool.get.rejected,nodes.*.indexing_pressure.memory.total.*_rejections,nodes.*.indices.indexing.index_*,nodes.*.indices.bulk.total_*," +
	"nodes.*.indices.search.query_t*,nodes.*.indices.search.request.took,nodes.*.indices.merges.total_time_in_millis,nodes.*.indices.refresh.total_time_in_millis," +
	"nodes.*.indices.segments.count,_nodes.failed,error"

// indicesPath asks for the indices' documents. Counters of nodes count a document once on each copy; these do not.
const indicesPath = "/_stats/indexing,docs,store?level=indices&expand_wildcards=all&filter_path=indices.*.primaries.indexing.index_total,_all.primaries.docs.count,_all.total.store.size_in_bytes,_shards.failed,error"

// sample asks once.
func (s Source) sample(ctx context.Context) (*Sample, error) {
	began := time.Now()
	pressure := ",indexing_pressure"
	if info := s.Search.Info(); !info.OpenSearch() && info.Major < 8 {
		pressure = ""
	}
	b, err := s.Search.Do(ctx, opensearch.Request{Method: http.MethodGet, Path: fmt.Sprintf(nodesPath, pressure)})
	if err != nil {
		return nil, err
	}
	x := &Sample{}
	if err := x.decodeNodes(b); err != nil {
		return nil, fmt.Errorf("answer to _nodes/stats: %w", err)
	}
	middle := time.Now()
	if b, err = s.Search.Do(ctx, opensearch.Request{Method: http.MethodGet, Path: indicesPath}); err != nil {
		return nil, err
	}
	if err := x.decodeIndices(b); err != nil {
		return nil, fmt.Errorf("answer to _stats: %w", err)
	}
	x.At, x.Took = middle, time.Since(began)
	if s.Lag == nil {
		return x, nil
	}
	if x.Lag, err = s.Lag(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		x.Lag, x.Missing = nil, append(x.Missing, "the lag of consumer groups: "+err.Error())
	}
	x.Took = time.Since(began)
	return x, nil
}

func (x *Sample) decodeNodes(b []byte) error {
	var answer struct {
		Summary struct {
			Failed int `json:"failed"`
		} `json:"_nodes"`
		Nodes map[string]*Node `json:"nodes"`
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return err
	}
	if answer.Summary.Failed > 0 {
		return fmt.Errorf("%d nodes did not answer", answer.Summary.Failed)
	}
	for id, n := range answer.Nodes {
		if n == nil || n.JVM.Uptime <= 0 {
			return fmt.Errorf("node %s says nothing of its process", id)
		}
	}
	if len(answer.Nodes) == 0 {
		return errors.New("it has no nodes")
	}
	x.Nodes = answer.Nodes
	return nil
}

func (x *Sample) decodeIndices(b []byte) error {
	var answer struct {
		Shards struct {
			Failed int `json:"failed"`
		} `json:"_shards"`
		All struct {
			Primaries struct {
				Docs struct {
					Count int64 `json:"count"`
				} `json:"docs"`
			} `json:"primaries"`
			Total struct {
				Store struct {
					Bytes int64 `json:"size_in_bytes"`
				} `json:"store"`
			} `json:"total"`
		} `json:"_all"`
		Indices map[string]struct {
			Primaries struct {
				Indexing struct {
					Total int64 `json:"index_total"`
				} `json:"indexing"`
			} `json:"primaries"`
		} `json:"indices"`
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return err
	}
	if answer.Shards.Failed > 0 {
		return fmt.Errorf("%d shards did not answer", answer.Shards.Failed)
	}
	x.Documents, x.Stored = answer.All.Primaries.Docs.Count, answer.All.Total.Store.Bytes
	x.Indexed = make(map[string]int64, len(answer.Indices))
	for name, index := range answer.Indices {
		x.Indexed[name] = index.Primaries.Indexing.Total
	}
	return nil
}

// sum adds up a counter of the nodes.
func (x *Sample) sum(of func(*Node) int64) float64 {
	var all int64
	for _, n := range x.Nodes {
		all += of(n)
	}
	return float64(all)
}

// Heap is the share of the nodes' heaps that is in use, in percent.
func (x *Sample) heap() float64 {
	most := x.sum(func(n *Node) int64 { return n.JVM.Mem.Max })
	if most == 0 {
		return 0
	}
	return 100 * x.sum(func(n *Node) int64 { return n.JVM.Mem.Used }) / most
}

func (x *Sample) cpu() float64 {
	var all float64
	for _, n := range x.Nodes {
		all += n.OS.CPU.Percent
	}
	return all / float64(max(1, len(x.Nodes)))
}

func (n *Node) gc() (ms int64) {
	for _, c := range n.JVM.GC.Collectors {
		ms += c.Time
	}
	return ms
}

// rejected is what the node sent back because it had too much to do: searches, writes, and writes for which it had no memory.
func (n *Node) rejected() int64 {
	t := &n.Pressure.Memory.Total
	all := t.Coordinating + t.Primary + t.Replica
	for _, pool := range []string{"write", "bulk", "search", "get"} {
		all += n.Pools[pool].Rejected
	}
	return all
}

// counters are all those of a node that only grow.
func (n *Node) counters() [12]int64 {
	i := &n.Indices
	return [12]int64{
		i.Indexing.Total, i.Indexing.Time, i.Indexing.Failed, i.Bulk.Total, i.Bulk.Time, i.Search.Queries, i.Search.Time,
		i.Search.Request.Took.Total, i.Search.Request.Took.Time, i.Merges.Time, i.Refresh.Time, n.gc() + n.rejected(),
	}
}

// follows says why the counters of x cannot be compared with those of before; "": they can be. What a node did between
// its last sample and its end is lost with it, so the sum over the others would look like less work.
func (x *Sample) follows(before *Sample) string {
	for id, old := range before.Nodes {
		now := x.Nodes[id]
		switch {
		case now == nil:
			return fmt.Sprintf("node %s left", old.Name)
		case now.JVM.Uptime < old.JVM.Uptime:
			return fmt.Sprintf("node %s was restarted", now.Name)
		}
		was := old.counters()
		for i, n := range now.counters() {
			if n < was[i] {
				return fmt.Sprintf("counters of node %s went back", now.Name)
			}
		}
	}
	for id, now := range x.Nodes {
		if before.Nodes[id] == nil {
			return fmt.Sprintf("node %s joined", now.Name)
		}
	}
	for name, n := range x.Indexed {
		if n < before.Indexed[name] {
			return fmt.Sprintf("a primary shard of %s moved", name)
		}
	}
	return ""
}

// indexed is how many documents were written between two samples. Indices that are gone do not count.
func (x *Sample) indexed(before *Sample) (n int64) {
	for name, now := range x.Indexed {
		n += now - before.Indexed[name]
	}
	return n
}

// unread is the lag of all groups.
func (x *Sample) unread() float64 {
	var all int64
	for _, n := range x.Lag {
		all += n
	}
	return float64(all)
}

// idle reports that nothing was indexed, nobody searched and nobody lags.
func idle(samples []*Sample) bool {
	first, last := samples[0], samples[len(samples)-1]
	if first == nil || last == nil || last.follows(first) != "" {
		return false
	}
	queries := func(n *Node) int64 { return n.Indices.Search.Queries }
	return last.indexed(first) == 0 && last.sum(queries) == first.sum(queries) && last.unread() == 0
}

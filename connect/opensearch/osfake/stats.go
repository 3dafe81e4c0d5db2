package osfake

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Stats is what _nodes/stats says. Counters are of the process: a restart sets them to zero, as Restarted has it.
type Stats struct {
	HeapPercent   int
	WriteThreads  int
	WriteActive   int
	WriteQueue    int
	WriteRejected int64
	DiskTotal     int64 // bytes; 0: 100 GiB
	DiskAvailable int64 // 0: 60 GiB
	IndexMicros   int64 // of a document; 0: 10
	QueryMicros   int64 // of a query on a shard; 0: 1000
	GCMillis      int64 // since the process began
	RefreshMillis int64
	MergeMillis   int64
	CPUPercent    int
	Restarted     bool // the process begins now, and counts from zero
}

// SetStats says what _nodes/stats says.
func (s *Server) SetStats(stats Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	if stats.Restarted {
		s.began, s.searches, s.settled = time.Now(), 0, settled{}
		for _, ix := range s.indices {
			ix.counted, ix.queries = ix.writes, 0
		}
	}
	s.stats = stats
}

// settled is the work whose time is known: what was done before the stats were set says nothing of how long it took.
type settled struct{ writes, writeMicros, queries, queryMicros int64 }

// settle counts the time of what was done since the last time, by the stats as they are.
func (s *Server) settle() {
	var writes, queries int64
	for _, ix := range s.indices {
		writes += ix.writes - ix.counted
		queries += ix.asked()
	}
	t := &s.settled
	t.writeMicros += max(0, writes-t.writes) * micros(s.stats.IndexMicros, 10)
	t.queryMicros += max(0, queries-t.queries) * micros(s.stats.QueryMicros, 1000)
	t.writes, t.queries = writes, queries
}

// A Size is what a test has an index be, where its documents are too few to be it. What is zero is as the documents have it.
type Size struct {
	Documents    int64
	PrimaryBytes int64 // of all its primary shards
	Queries      int64 // of each shard
	Created      time.Time
}

// SetSize has an index, which there must be, say that it is of that size.
func (s *Server) SetSize(index string, size Size) {
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	ix := s.indices[index]
	if ix == nil {
		s.tb.Fatalf("there is no index %s", index)
	}
	ix.size = size
	if !size.Created.IsZero() {
		ix.created = size.Created
		ix.settings["index.creation_date"] = strconv.FormatInt(size.Created.UnixMilli(), 10)
	}
}

// primaryBytes is the size of the index's primary shards: what a test says, or 208 bytes for each, as if they were empty;
// with Options.Sizes beside what their documents have.
func (ix *index) primaryBytes() int64 {
	if ix.size.PrimaryBytes > 0 {
		return ix.size.PrimaryBytes
	}
	n := 208 * int64(len(ix.shards))
	if ix.sized {
		n += int64(ix.sourceBytes())
	}
	return n
}

func (ix *index) documents() int64 {
	if ix.size.Documents > 0 {
		return ix.size.Documents
	}
	return int64(ix.luceneDocs())
}

// asked is how many queries its shards have answered.
func (ix *index) asked() int64 { return ix.queries + ix.size.Queries*int64(len(ix.shards)) }

func (ix *index) segments() int {
	n := 0
	for _, sh := range ix.shards {
		if len(sh.order) > 0 {
			n++
		}
	}
	return n
}

func micros(n, usual int64) int64 {
	if n == 0 {
		return usual
	}
	return n
}

// nodesStats has what a node of OpenSearch 2.19 says, with less detail.
func (s *Server) nodesStats(c *call) (int, any, *apiError) {
	s.settle()
	var docs, writes, queries, stored int64
	segments := 0
	for _, ix := range s.indices {
		writes += ix.writes - ix.counted
		queries += ix.asked()
		segments += ix.segments()
		stored += ix.primaryBytes()
		docs += ix.documents()
	}
	st := s.stats
	const heap = int64(512 << 20)
	total, available := micros(st.DiskTotal, 100<<30), micros(st.DiskAvailable, 60<<30)
	queried := s.settled.queryMicros / 1000
	all := object{
		{"fs", object{{"total", object{{"total_in_bytes", total}, {"free_in_bytes", available}, {"available_in_bytes", available}, {"cache_reserved_in_bytes", 0}}}}},
		{"indices", object{
			{"docs", object{{"count", docs}, {"deleted", 0}}}, {"store", object{{"size_in_bytes", stored}, {"reserved_in_bytes", 0}}},
			{"indexing", object{
				{"index_total", writes}, {"index_time_in_millis", s.settled.writeMicros / 1000}, {"index_current", 0}, {"index_failed", 0},
				{"is_throttled", false}, {"throttle_time_in_millis", 0},
			}},
			{"search", object{
				{"open_contexts", len(s.contexts)}, {"query_total", queries}, {"query_time_in_millis", queried}, {"query_current", 0},
				{"request", object{{"took", object{{"time_in_millis", queried}, {"current", 0}, {"total", s.searches}}}}},
			}},
			{"merges", object{{"current", 0}, {"total", 0}, {"total_time_in_millis", st.MergeMillis}}},
			{"refresh", object{{"total", 0}, {"total_time_in_millis", st.RefreshMillis}}},
			{"segments", object{{"count", segments}}},
		}},
		{"os", object{{"cpu", object{{"percent", st.CPUPercent}}}}},
		{"jvm", object{
			{"uptime_in_millis", time.Since(s.began).Milliseconds() + 1},
			{"mem", object{
				{"heap_used_in_bytes", heap * int64(st.HeapPercent) / 100}, {"heap_used_percent", st.HeapPercent}, {"heap_committed_in_bytes", heap}, {"heap_max_in_bytes", heap},
			}},
			{"gc", object{{"collectors", object{
				{"young", object{{"collection_count", st.GCMillis / 10}, {"collection_time_in_millis", st.GCMillis}}},
				{"old", object{{"collection_count", 0}, {"collection_time_in_millis", 0}}},
			}}}},
		}},
		{"thread_pool", object{
			{"search", object{{"threads", 4}, {"queue", 0}, {"active", 0}, {"rejected", 0}, {"largest", 4}, {"completed", queries}}},
			{"write", object{
				{"threads", st.WriteThreads}, {"queue", st.WriteQueue}, {"active", st.WriteActive}, {"rejected", st.WriteRejected}, {"largest", st.WriteThreads}, {"completed", writes},
			}},
		}},
		{"indexing_pressure", object{{"memory", object{{"total", object{{"coordinating_rejections", 0}, {"primary_rejections", 0}, {"replica_rejections", 0}}}}}}},
	}
	node := object{{"timestamp", time.Now().UnixMilli()}, {"name", "fake"}, {"transport_address", "127.0.0.1:9300"}, {"host", "127.0.0.1"}, {"ip", "127.0.0.1:9300"}, {"roles", []string{"data", "ingest"}}}
	return s.oneNode(append(node, chosen(all, c.param("metric"))...))
}

// chosen are the members whose names metrics lists.
func chosen(all object, metrics string) object {
	out := object{}
	for _, f := range all {
		if metrics == "" || metrics == "_all" || slices.Contains(strings.Split(metrics, ","), f.name) {
			out = append(out, f)
		}
	}
	return out
}

func (s *Server) oneNode(node object) (int, any, *apiError) {
	return http.StatusOK, object{{"_nodes", object{{"total", 1}, {"successful", 1}, {"failed", 0}}}, {"cluster_name", "fake"}, {"nodes", object{{nodeID, node}}}}, nil
}

func (s *Server) nodesInfo(c *call) (int, any, *apiError) {
	const heap = int64(512 << 20)
	node := object{{"name", "fake"}, {"transport_address", "127.0.0.1:9300"}, {"host", "127.0.0.1"}, {"ip", "127.0.0.1"}, {"version", s.version.Number}, {"roles", []string{"data", "ingest"}}, {"attributes", object{}}}
	return s.oneNode(append(node, chosen(object{
		{"os", object{{"name", "Linux"}, {"available_processors", 2}, {"allocated_processors", 2}}},
		{"jvm", object{{"start_time_in_millis", s.began.UnixMilli()}, {"mem", object{{"heap_init_in_bytes", heap}, {"heap_max_in_bytes", heap}}}}},
	}, c.param("metric"))...))
}

// indicesStats has the totals and those of each index; the fake has no replicas, so primaries are all.
func (s *Server) indicesStats(c *call) (int, any, *apiError) {
	found, err := s.named("", c)
	if err != nil {
		return 0, nil, err
	}
	shards := 0
	of := func(list []*index) object {
		var docs, bytes, writes, queries int64
		for _, ix := range list {
			docs, bytes, writes, queries = docs+ix.documents(), bytes+ix.primaryBytes(), writes+ix.writes-ix.counted, queries+ix.asked()
		}
		numbers := chosen(object{
			{"docs", object{{"count", docs}, {"deleted", 0}}}, {"store", object{{"size_in_bytes", bytes}, {"reserved_in_bytes", 0}}},
			{"indexing", object{{"index_total", writes}, {"index_time_in_millis", writes / 100}, {"index_current", 0}, {"index_failed", 0}}},
			{"search", object{{"query_total", queries}, {"query_time_in_millis", queries}}},
		}, c.param("metric"))
		return object{{"primaries", numbers}, {"total", numbers}}
	}
	each := object{}
	for _, ix := range found {
		ix.refreshIfDue()
		shards += len(ix.shards)
		each = append(each, field{ix.name, append(object{{"uuid", ix.uuid}}, of([]*index{ix})...)})
	}
	o := object{{"_shards", object{{"total", shards}, {"successful", shards}, {"failed", 0}}}, {"_all", of(found)}}
	if c.query.Get("level") != "cluster" {
		o = append(o, field{"indices", each})
	}
	return http.StatusOK, o, nil
}

// picked are the columns of a row of _cat that h asks for.
func picked(row object, h string) object {
	if h == "" {
		return row
	}
	out := object{}
	for name := range strings.SplitSeq(h, ",") {
		if row.has(name) {
			out = append(out, field{name, row.get(name)})
		}
	}
	return out
}

func (s *Server) catIndices(c *call) (int, any, *apiError) {
	found, err := s.named(c.param("index"), c)
	if err != nil {
		return 0, nil, err
	}
	rows := []any{}
	for _, ix := range found {
		ix.refreshIfDue()
		size := strconv.FormatInt(ix.primaryBytes(), 10)
		if c.query.Get("bytes") == "" {
			size += "b"
		}
		status := "open"
		if ix.closed {
			status = "close"
		}
		row := object{
			{"health", ix.colour()}, {"status", status}, {"index", ix.name}, {"uuid", ix.uuid}, {"pri", ix.setting("index.number_of_shards")}, {"rep", ix.setting("index.number_of_replicas")},
			{"docs.count", strconv.FormatInt(ix.documents(), 10)}, {"docs.deleted", "0"}, {"store.size", size}, {"pri.store.size", size},
		}
		if s.version.es(8) {
			row = append(row, field{"dataset.size", size})
		}
		if h := c.query.Get("h"); h != "" { // not among the usual columns
			row = append(row, field{"creation.date", ix.setting("index.creation_date")}, field{"segments.count", strconv.Itoa(ix.segments())})
		}
		rows = append(rows, picked(row, c.query.Get("h")))
	}
	return http.StatusOK, rows, nil
}

// catShards lists the shards: a primary each, and replicas that one node cannot have.
func (s *Server) catShards(c *call) (int, any, *apiError) {
	rows := []any{}
	for _, name := range slices.Sorted(maps.Keys(s.indices)) {
		ix := s.indices[name]
		if ix.closed {
			continue
		}
		total, _ := ix.copies()
		n := int64(len(ix.shards))
		for i := range ix.shards {
			number := func(of int64) string { return strconv.FormatInt(of/n, 10) }
			rows = append(rows, picked(object{
				{"index", name}, {"shard", strconv.Itoa(i)}, {"prirep", "p"}, {"state", "STARTED"}, {"docs", number(ix.documents())}, {"store", number(ix.primaryBytes())},
				{"ip", "127.0.0.1"}, {"id", nodeID}, {"node", "fake"}, {"search.query_total", number(ix.asked())}, {"indexing.index_total", number(ix.writes - ix.counted)},
			}, c.query.Get("h")))
			for range total - 1 {
				rows = append(rows, picked(object{
					{"index", name}, {"shard", strconv.Itoa(i)}, {"prirep", "r"}, {"state", "UNASSIGNED"}, {"docs", nil}, {"store", nil},
					{"ip", nil}, {"id", nil}, {"node", nil}, {"search.query_total", nil}, {"indexing.index_total", nil},
				}, c.query.Get("h")))
			}
		}
	}
	return http.StatusOK, rows, nil
}

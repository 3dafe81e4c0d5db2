package monitor

import (
	"io/fs"
	"math"
	"path"
	"runtime"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A machine tells of the process and of what it runs on. Logstash tells of its JVM here; dashboards draw that, so these fields
// are filled in with what comes nearest in Go:
//
//   - threads are goroutines;
//   - heap_used is what objects on the heap take, free ones that are not collected yet among them; heap_committed what the heap
//     has from the system; heap_max is GOMEMLIMIT, or the bound of the container, or the machine's memory; non_heap is all else that
//     Go's runtime has: stacks, and its own books;
//   - the pool old is the whole heap; young and survivor are empty, as Go's heap has no generations;
//   - collections of the collector young are those that the runtime begins by itself, of old those that it is told to do;
//     their time is how long the program stood still.
//
// What Linux alone tells is -1 elsewhere.
type machine struct {
	root fs.FS

	mu         sync.Mutex // guards what follows
	peak       int        // goroutines
	peakFiles  int64
	peakHeap   int64
	sampled    time.Time
	sampledCPU time.Duration
	percent    int
}

func newMachine(root fs.FS) *machine { return &machine{root: root, percent: -1} }

// sample notes what is told of the time since the last one, and peaks.
func (m *machine) sample(now time.Time) {
	cpu, ok := m.cpu()
	files, heap, n := m.openFiles(), readHeap().used, runtime.NumGoroutine()
	m.mu.Lock()
	defer m.mu.Unlock()
	if took := now.Sub(m.sampled); ok && !m.sampled.IsZero() && took > 0 {
		m.percent = int(100 * (cpu - m.sampledCPU).Seconds() / took.Seconds() / float64(runtime.NumCPU()))
	}
	m.sampled, m.sampledCPU = now, cpu
	m.peak, m.peakFiles, m.peakHeap = max(m.peak, n), max(m.peakFiles, files), max(m.peakHeap, heap)
}

// heap is what the runtime says of its memory.
type heap struct{ used, committed, other, cycles, forced int64 }

func readHeap() heap {
	s := []runtimemetrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/released:bytes"}, {Name: "/memory/classes/total:bytes"},
		{Name: "/gc/cycles/automatic:gc-cycles"}, {Name: "/gc/cycles/forced:gc-cycles"},
	}
	runtimemetrics.Read(s)
	value := func(i int) int64 {
		if s[i].Value.Kind() != runtimemetrics.KindUint64 {
			return 0
		}
		return int64(min(s[i].Value.Uint64(), math.MaxInt64)) //nolint:gosec // bounded
	}
	h := heap{used: value(0), cycles: value(5), forced: value(6)}
	h.committed = value(0) + value(1) + value(2)
	h.other = max(value(4)-h.committed-value(3), 0)
	return h
}

// memory is the bound of the heap.
func (m *machine) memory() int64 {
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		return limit
	}
	if _, dir := m.group(); dir != "" {
		if n, err := strconv.ParseInt(m.line(path.Join(dir, "memory.max")), 10, 64); err == nil {
			return n
		}
	}
	if kb, ok := m.field("proc/meminfo", "MemTotal:"); ok {
		return kb << 10
	}
	return -1
}

func (m *machine) jvm(now, began time.Time) object {
	h, n := readHeap(), runtime.NumGoroutine()
	var gc debug.GCStats
	debug.ReadGCStats(&gc)
	m.mu.Lock()
	m.peak, m.peakHeap = max(m.peak, n), max(m.peakHeap, h.used)
	peak, peakHeap := m.peak, m.peakHeap
	m.mu.Unlock()
	limit, percent := m.memory(), int64(0)
	if limit > 0 {
		percent = 100 * h.used / limit
	}
	pool := func(used, committed, peak, most int64) object {
		return object{"used_in_bytes": used, "committed_in_bytes": committed, "peak_used_in_bytes": peak, "max_in_bytes": most, "peak_max_in_bytes": most}
	}
	return object{
		"threads": object{"count": n, "peak_count": peak},
		"mem": object{
			"heap_used_percent": percent, "heap_committed_in_bytes": h.committed, "heap_max_in_bytes": limit, "heap_used_in_bytes": h.used,
			"non_heap_used_in_bytes": h.other, "non_heap_committed_in_bytes": h.other,
			"pools": object{"young": pool(0, 0, 0, -1), "survivor": pool(0, 0, 0, -1), "old": pool(h.used, h.committed, peakHeap, limit)},
		},
		"gc": object{"collectors": object{
			"young": object{"collection_count": h.cycles, "collection_time_in_millis": gc.PauseTotal.Milliseconds()},
			"old":   object{"collection_count": h.forced, "collection_time_in_millis": 0},
		}},
		"uptime_in_millis": now.Sub(began).Milliseconds(),
	}
}

// runtime is what /_node says of the JVM.
func (m *machine) runtime(began time.Time) object {
	return object{
		"pid": pid(), "version": strings.TrimPrefix(runtime.Version(), "go"), "vm_version": runtime.Version(), "vm_vendor": "The Go Authors", "vm_name": "Go",
		"start_time_in_millis": began.UnixMilli(), "gc_collectors": []string{"young", "old"},
		"mem": object{"heap_init_in_bytes": 0, "heap_max_in_bytes": m.memory(), "non_heap_init_in_bytes": 0, "non_heap_max_in_bytes": 0},
	}
}

func (m *machine) process() object {
	files := m.openFiles()
	m.mu.Lock()
	m.peakFiles = max(m.peakFiles, files)
	peak, percent := m.peakFiles, m.percent
	m.mu.Unlock()
	most, total := int64(-1), int64(-1)
	if n, ok := m.field("proc/self/limits", "Max open files"); ok {
		most = n
	}
	if kb, ok := m.field("proc/self/status", "VmSize:"); ok {
		total = kb << 10
	}
	millis := int64(-1)
	if cpu, ok := m.cpu(); ok {
		millis = cpu.Milliseconds()
	}
	load := object{}
	if f := strings.Fields(m.line("proc/loadavg")); len(f) >= 3 {
		for i, name := range []string{"1m", "5m", "15m"} {
			if v, err := strconv.ParseFloat(f[i], 64); err == nil {
				load[name] = v
			}
		}
	}
	return object{
		"open_file_descriptors": files, "peak_open_file_descriptors": peak, "max_file_descriptors": most,
		"mem": object{"total_virtual_in_bytes": total},
		"cpu": object{"total_in_millis": millis, "percent": percent, "load_average": load},
	}
}

// openFiles counts them; -1: nobody says.
func (m *machine) openFiles() int64 {
	entries, err := fs.ReadDir(m.root, "proc/self/fd")
	if err != nil {
		return -1
	}
	return int64(len(entries))
}

// cpu is the time that the process was running: fields 14 and 15 of stat, in hundredths of a second.
func (m *machine) cpu() (time.Duration, bool) {
	line := m.line("proc/self/stat")
	f := strings.Fields(line[strings.LastIndexByte(line, ')')+1:]) // from field 3 on: the name may have spaces
	if len(f) < 13 {
		return 0, false
	}
	user, err := strconv.ParseInt(f[11], 10, 64)
	if err != nil {
		return 0, false
	}
	system, err := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, err == nil
}

func (m *machine) kernel() string { return m.line("proc/sys/kernel/osrelease") }

// group gives the control group of the process and its folder; "" where there is none.
func (m *machine) group() (name, dir string) {
	const root = "sys/fs/cgroup"
	name, ok := strings.CutPrefix(m.line("proc/self/cgroup"), "0::")
	if !ok {
		return "", ""
	}
	// In a container the folder of the group is the root that is seen there.
	for _, dir := range []string{path.Join(root, name), root} {
		if _, err := fs.Stat(m.root, path.Join(dir, "cpu.stat")); err == nil {
			return name, dir
		}
	}
	return "", ""
}

// os tells of the control group, of version 2, by the names of version 1.
func (m *machine) os() object {
	name, dir := m.group()
	if dir == "" {
		return object{}
	}
	value := func(field string) int64 {
		n, _ := m.field(path.Join(dir, "cpu.stat"), field)
		return n
	}
	quota, period := int64(-1), int64(100_000)
	if f := strings.Fields(m.line(path.Join(dir, "cpu.max"))); len(f) == 2 {
		if n, err := strconv.ParseInt(f[0], 10, 64); err == nil {
			quota = n
		}
		if n, err := strconv.ParseInt(f[1], 10, 64); err == nil {
			period = n
		}
	}
	return object{"cgroup": object{
		"cpuacct": object{"control_group": name, "usage_nanos": value("usage_usec") * 1000},
		"cpu": object{
			"control_group": name, "cfs_period_micros": period, "cfs_quota_micros": quota,
			"stat": object{
				"number_of_elapsed_periods": value("nr_periods"), "number_of_times_throttled": value("nr_throttled"),
				"time_throttled_nanos": value("throttled_usec") * 1000,
			},
		},
	}}
}

// line is the first one of a file, or "".
func (m *machine) line(name string) string {
	text, err := fs.ReadFile(m.root, name)
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(first)
}

// field is the number behind a name at the beginning of a line.
func (m *machine) field(file, name string) (int64, bool) {
	text, err := fs.ReadFile(m.root, file)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		rest, ok := strings.CutPrefix(line, name)
		f := strings.Fields(rest)
		if !ok || len(f) == 0 {
			continue
		}
		if n, err := strconv.ParseInt(f[0], 10, 64); err == nil {
			return n, true
		}
	}
	return 0, false
}

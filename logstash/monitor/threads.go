package monitor

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// stackBytes bounds what is read of goroutines.
const stackBytes = 8 << 20

// hotThreads answers with goroutines: those with the same stack together, those that work first. Go does not say how much time
// each has used, so the percentage is 0.
//
// Source: logstash-core/lib/logstash/api/commands/hot_threads_reporter.rb.
func (m *Monitor) hotThreads(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	most, depth, idle := 10, 50, true
	for name, n := range map[string]*int{"threads": &most, "stacktrace_size": &depth} {
		if text := q.Get(name); text != "" {
			v, err := strconv.Atoi(text)
			if err != nil || v < 0 {
				fail(w, r, http.StatusBadRequest, name+" must be a number from 0 on")
				return
			}
			*n = v
		}
	}
	if text := q.Get("ignore_idle_threads"); text != "" {
		v, ok := boolean(text)
		if !ok {
			fail(w, r, http.StatusBadRequest, fmt.Sprintf("invalid value for Boolean: %q", text))
			return
		}
		idle = v
	}
	all := goroutines(idle)
	all = all[:min(len(all), most)]
	now := m.o.Now()
	_, given := q["human"]
	if human, _ := boolean(q.Get("human")); given && (human || q.Get("human") == "") {
		w.Header().Set("Content-Type", "text/plain")
		var b strings.Builder
		fmt.Fprintf(&b, "::: {%s}\nHot threads at %s, busiestThreads=%d:\n%s\n", m.host, stamp(now), most, strings.Repeat("=", 80))
		for _, g := range all {
			fmt.Fprintf(&b, "0.0 %% of cpu usage, state: %s, thread name: '%s', thread id: %d\n", g.state, g.name(), g.id)
			for _, line := range g.stack[:min(len(g.stack), depth)] {
				b.WriteString("\t" + line + "\n")
			}
			b.WriteString(strings.Repeat("-", 80) + "\n")
		}
		_, _ = w.Write([]byte(b.String()))
		return
	}
	threads := []object{}
	for _, g := range all {
		threads = append(threads, object{"name": g.name(), "thread_id": g.id, "percent_of_cpu_time": 0.0, "state": g.state, "traces": g.stack[:min(len(g.stack), depth)]})
	}
	out := m.metadata(m.look())
	out["hot_threads"] = object{"time": stamp(now), "busiest_threads": most, "threads": threads}
	answer(w, r, http.StatusOK, out)
}

// goroutine is one of those with the same stack.
type goroutine struct {
	id, count int
	state     string
	stack     []string
}

func (g *goroutine) name() string {
	if g.count > 1 {
		return fmt.Sprintf("%d goroutines", g.count)
	}
	return "goroutine"
}

// goroutines gives them without those that wait for work, unless idle is false: for a channel, the network, a timer, a lock.
func goroutines(ignoreIdle bool) []*goroutine {
	buf := make([]byte, 64<<10)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) || len(buf) >= stackBytes {
			return parseGoroutines(string(buf[:n]), ignoreIdle)
		}
		buf = make([]byte, min(2*len(buf), stackBytes))
	}
}

func parseGoroutines(text string, ignoreIdle bool) []*goroutine {
	var out []*goroutine
	by := map[string]*goroutine{}
	for part := range strings.SplitSeq(text, "\n\n") {
		head, stack, ok := strings.Cut(part, "\n")
		rest, isHead := strings.CutPrefix(head, "goroutine ")
		number, state, hasState := strings.Cut(rest, " [")
		id, err := strconv.Atoi(number)
		if !ok || !isHead || !hasState || err != nil {
			continue
		}
		state, _, _ = strings.Cut(strings.TrimSuffix(state, "]:"), ",")
		works := slices.Contains([]string{"running", "runnable", "syscall"}, state)
		if ignoreIdle && !works {
			continue
		}
		key := state + "\n" + withoutAddresses(stack)
		if g := by[key]; g != nil {
			g.count++
			continue
		}
		g := &goroutine{id: id, count: 1, state: state}
		for line := range strings.SplitSeq(strings.TrimSpace(stack), "\n") {
			g.stack = append(g.stack, strings.TrimSpace(line))
		}
		by[key] = g
		out = append(out, g)
	}
	busy := func(g *goroutine) int {
		if slices.Contains([]string{"running", "runnable", "syscall"}, g.state) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(out, func(a, b *goroutine) int {
		if x := busy(a) - busy(b); x != 0 {
			return x
		}
		return b.count - a.count
	})
	return out
}

// withoutAddresses removes the arguments of calls, which differ.
func withoutAddresses(stack string) string {
	var b strings.Builder
	for line := range strings.Lines(stack) {
		if !strings.HasPrefix(line, "\t") {
			if i := strings.LastIndexByte(line, '('); i > 0 {
				line = line[:i]
			}
		} else if i := strings.Index(line, " +0x"); i > 0 {
			line = line[:i]
		}
		b.WriteString(line)
	}
	return b.String()
}

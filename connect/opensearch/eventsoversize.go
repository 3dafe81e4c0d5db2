package opensearch

import (
	"errors"
	"fmt"
	"hash/maphash"
	"math/bits"
	"net/http"
	"regexp"
	"strconv"
	"sync"

	"github.com/narudata/naru/flow"
)

// MostOversize is how often an event is sent to a target that says each time that the event alone needs more memory than the node
// allows all requests together. Nodes may have different limits, and a limit can be raised; an event that is refused so more often
// is a dead letter. With the waits between tries (retry_initial_interval, doubled up to retry_max_interval) these are some minutes.
const MostOversize = 8

// What servers say of what they refuse for lack of memory: its own bytes, and the limit.
//
// Source: org.opensearch.index.IndexingPressure, org.elasticsearch.index.IndexingPressure,
// HierarchyCircuitBreakerService.checkParentLimit of both.
var (
	ofPressure = regexp.MustCompile(`(?:coordinating|primary|replica)_operation_bytes=(\d+), max_[a-z_]+_bytes=(\d+)`)
	ofBreaker  = regexp.MustCompile(`larger than the limit of \[(\d+)/[^\]]*\].*new bytes reserved: \[(\d+)/`)
)

// oversize reports that a refusal (429) says that what was sent needs, by itself, more than the target ever gives.
func oversize(err error) bool {
	s, ok := errors.AsType[*StatusError](err)
	if !ok || s.Status != http.StatusTooManyRequests {
		return false
	}
	var needs, limit string
	if m := ofPressure.FindStringSubmatch(s.Reason); m != nil {
		needs, limit = m[1], m[2]
	} else if m := ofBreaker.FindStringSubmatch(s.Reason); m != nil {
		needs, limit = m[2], m[1]
	}
	n, err1 := strconv.ParseUint(needs, 10, 64)
	most, err2 := strconv.ParseUint(limit, 10, 64)
	return err1 == nil && err2 == nil && n > most
}

// alone counts how often events were refused for lack of memory that had a request to themselves.
type alone struct {
	mu   sync.Mutex // guards what follows
	seed maphash.Seed
	seen map[uint64]int // by what is sent
}

// mostSeen bounds how many events are remembered.
const mostSeen = 10_000

// again counts a refusal of an event, and gives how many there were.
func (a *alone) again(body []byte) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seen == nil || len(a.seen) >= mostSeen {
		a.seen, a.seed = map[uint64]int{}, maphash.MakeSeed()
	}
	key := maphash.Bytes(a.seed, body)
	a.seen[key]++
	return a.seen[key]
}

// forget takes what was counted of an event.
func (a *alone) forget(body []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.seen, maphash.Bytes(a.seed, body))
}

// single deals with an event that was refused for lack of memory (429) although it had a request, or an item, to itself. One that the
// target can never take is a dead letter after MostOversize tries; others are tried again for ever, and that is said: at the fourth
// time, and at each that is twice as late.
func (w *eventWriting) single(i int, why error) {
	body := w.recs[i].Body
	tries, never := w.refusals.again(body), oversize(why)
	if never && tries >= MostOversize {
		w.refusals.forget(body)
		w.bury(i, fmt.Errorf("an event of %d bytes needs more memory than the target allows for all requests, as it said %d times: %w", len(body), tries, why))
		return
	}
	w.stats.Alone.Add(1)
	if bits.OnesCount(uint(tries)) == 1 && (never || tries >= 4) && w.loud(why) { //nolint:gosec // a count
		if never {
			w.o.Log.Error("an event needs more memory than the target allows for all requests: it becomes a dead letter unless the target takes it",
				"bytes", len(body), "tries", tries, "most", MostOversize, "error", why)
		} else {
			w.o.Log.Error("the target refuses an event for lack of memory although nothing else was sent with it: it is tried again until it is taken, and what is behind it waits",
				"bytes", len(body), "tries", tries, "error", why)
		}
	}
	w.failures = append(w.failures, flow.Failure{Index: i, Err: why})
	w.stats.Again.Add(1)
}

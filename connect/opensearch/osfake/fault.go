package osfake

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A Request is one that the fake was sent.
type Request struct {
	N      int    // 1 for the first
	API    string // "bulk", "search", …: see routes; "" for what it does not know
	Method string
	Path   string
	Query  string
	Body   []byte // decompressed; not kept in the log
	Header http.Header
	Node   int
	Fault  bool // something was done to it
}

// A Hook says what is to go wrong with a request; the zero Fault: nothing. It is called by one goroutine at a time.
type Hook func(r *Request) Fault

// A Fault is what goes wrong.
type Fault struct {
	Latency time.Duration // before anything happens
	Status  int           // answered instead of doing what was asked
	Type    string        // of the error
	Reason  string
	Body    string        // instead of an error as the server puts it, as a proxy would
	Cut     Cut           // of the connection
	Slow    time.Duration // how long the answer's body takes

	// Items says which items of a _bulk are refused, and why; nil for one that is not.
	Items func(index, action, id string, source []byte) *Refusal
}

// A Refusal is why an item failed.
type Refusal struct {
	Status       int
	Type, Reason string
}

// A Cut is when the connection is cut.
type Cut int

// The cuts.
const (
	NoCut     Cut = iota
	CutBefore     // nothing was done
	CutAfter      // all was done; no answer
	CutMiddle     // all was done; half of the answer
)

func (f *Fault) answer(v Version) any {
	if f.Body != "" {
		return raw(f.Body)
	}
	if f.Type == "" && f.Reason == "" {
		return nil
	}
	e := apiError{status: f.Status, typ: v.dialect(f.Type), reason: f.Reason}
	return e.body()
}

// Faults as the servers have them.
var (
	Busy         = Fault{Status: http.StatusTooManyRequests, Type: "rejected_execution_exception", Reason: "rejected execution of coordinating operation [coordinating_and_primary_bytes=1, replica_bytes=0, all_bytes=1, coordinating_operation_bytes=1, max_coordinating_and_primary_bytes=1]"}
	Breaker      = Fault{Status: http.StatusTooManyRequests, Type: "circuit_breaking_exception", Reason: "[parent] Data too large, data for [<http_request>] would be [1/1b], which is larger than the limit of [1/1b]"}
	Unavailable  = Fault{Status: http.StatusServiceUnavailable, Body: "<html><body>503 Service Temporarily Unavailable</body></html>"}
	BadGateway   = Fault{Status: http.StatusBadGateway, Body: "<html><body>502 Bad Gateway</body></html>"}
	NoMaster     = Fault{Status: http.StatusServiceUnavailable, Type: "cluster_manager_not_discovered_exception", Reason: ""}
	Unauthorized = Fault{Status: http.StatusUnauthorized, Body: "Unauthorized"}
	Forbidden    = Fault{Status: http.StatusForbidden, Type: "security_exception", Reason: "no permissions for [indices:data/write/bulk] and User [name=reader, backend_roles=[], requestedTenant=null]"}
	ReadOnly     = Fault{Status: http.StatusForbidden, Type: "cluster_block_exception", Reason: "index [x] blocked by: [FORBIDDEN/12/index read-only / allow delete (api)];"} // Elasticsearch before 7.9
	FloodStage   = Fault{Status: http.StatusTooManyRequests, Type: "cluster_block_exception", Reason: "index [x] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block];"}
	LostAnswer   = Fault{Cut: CutAfter}
	LostRequest  = Fault{Cut: CutBefore}
	TornAnswer   = Fault{Cut: CutMiddle}
)

// dialect is an error's type as that server has it, of faults that name it as OpenSearch does.
func (v Version) dialect(typ string) string {
	switch {
	case v.OpenSearch:
	case typ == "rejected_execution_exception":
		return "es_rejected_execution_exception"
	case typ == "cluster_manager_not_discovered_exception":
		return "master_not_discovered_exception"
	}
	return typ
}

// Sometimes has one of the faults happen to a share of the requests (of these APIs, if any are named). The same seed and
// the same requests in the same order give the same faults.
func Sometimes(seed uint64, rate float64, faults []Fault, apis ...string) Hook {
	rng := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test that can be repeated
	return func(r *Request) Fault {
		if len(apis) > 0 && !slices.Contains(apis, r.API) {
			return Fault{}
		}
		if rng.Float64() >= rate {
			return Fault{}
		}
		return faults[rng.IntN(len(faults))]
	}
}

// Passing is what a client has to live with: the faults that pass.
var Passing = []Fault{Busy, Breaker, Unavailable, BadGateway, LostAnswer, LostRequest, TornAnswer, {Latency: 20 * time.Millisecond}, {Slow: 40 * time.Millisecond}}

// Above answers 413 to bodies of more than so many bytes, as a proxy does that limits them more than the server.
func Above(bytes int) Hook {
	return func(r *Request) Fault {
		if len(r.Body) <= bytes {
			return Fault{}
		}
		return Fault{Status: http.StatusRequestEntityTooLarge, Body: fmt.Sprintf(`{"Message":"Request size exceeded %d bytes"}`, bytes)}
	}
}

// Memory answers 429 to bodies of more than so many bytes, as a server does that would need more memory for one than it allows
// for all.
func Memory(bytes int) Hook {
	return func(r *Request) Fault {
		if len(r.Body) <= bytes {
			return Fault{}
		}
		return Fault{Status: http.StatusTooManyRequests, Type: "rejected_execution_exception", Reason: fmt.Sprintf("rejected execution of coordinating operation "+
			"[coordinating_and_primary_bytes=0, replica_bytes=0, all_bytes=0, coordinating_operation_bytes=%d, max_coordinating_and_primary_bytes=%d]", len(r.Body), bytes)}
	}
}

// Pressed refuses a share of the items of each _bulk for now.
func Pressed(seed uint64, rate float64) Hook {
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // a test that can be repeated
	full := Refusal{
		http.StatusTooManyRequests, "rejected_execution_exception",
		"rejected execution of primary operation [shard_coordinating_and_primary_bytes=1, shard_max_coordinating_and_primary_bytes=1]",
	}
	return items(func(string, string, string, []byte) *Refusal {
		mu.Lock()
		defer mu.Unlock()
		if rng.Float64() >= rate {
			return nil
		}
		return &full
	})
}

// Poison refuses chosen documents for good.
func Poison(chosen func(id string) bool) Hook {
	return items(func(_, _, id string, _ []byte) *Refusal {
		if !chosen(id) {
			return nil
		}
		return &Refusal{http.StatusBadRequest, "mapper_parsing_exception", "failed to parse field [poison] of type [long] in document with id '" + id + "'. Preview of field's value: 'x'"}
	})
}

func items(refuse func(index, action, id string, source []byte) *Refusal) Hook {
	return func(r *Request) Fault {
		if r.API != "bulk" {
			return Fault{}
		}
		return Fault{Items: refuse}
	}
}

// Any asks several hooks; the first that has a fault counts, and what the others say of items.
func Any(hooks ...Hook) Hook {
	return func(r *Request) Fault {
		var all Fault
		var refuse []func(string, string, string, []byte) *Refusal
		for _, h := range hooks {
			f := h(r)
			if f.Items != nil {
				refuse = append(refuse, f.Items)
				f.Items = nil
			}
			if !all.some() {
				all = f
			}
		}
		if len(refuse) > 0 {
			all.Items = func(index, action, id string, source []byte) *Refusal {
				for _, f := range refuse {
					if r := f(index, action, id, source); r != nil {
						return r
					}
				}
				return nil
			}
		}
		return all
	}
}

func (f *Fault) some() bool {
	return f.Latency != 0 || f.Status != 0 || f.Cut != NoCut || f.Slow != 0 || f.Items != nil
}

// SetHook says what goes wrong from now on; nil: nothing.
func (s *Server) SetHook(h Hook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = h
}

// record enters a request in the log, and gives what is to go wrong with it.
func (s *Server) record(r *Request) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[r.API]++
	r.N = len(s.log) + 1
	var f Fault
	if s.hook != nil {
		f = s.hook(r)
	}
	kept := *r
	kept.Body, kept.Fault = nil, f.some()
	s.log = append(s.log, kept)
	return f
}

// Requests gives the log.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// Count gives how many requests of an API there were.
func (s *Server) Count(api string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[api]
}

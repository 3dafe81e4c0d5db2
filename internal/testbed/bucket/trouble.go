package bucket

import (
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"time"
)

// Trouble is what goes wrong at random, each with the probability Rate, where the answer is one that has something
// to read.
type Trouble struct {
	Rate   float64
	Silent bool // also connections that give nothing any more and stay open; they cost a client its patience

	mu   sync.Mutex // guards what follows
	rng  *rand.Rand
	made map[string]int // how often, by kind
}

// NewTrouble makes trouble that depends on the seed.
func NewTrouble(seed uint64, rate float64) *Trouble {
	return &Trouble{Rate: rate, rng: rand.New(rand.NewPCG(seed, 7)), made: map[string]int{}}
}

// Made is how often what happened.
func (t *Trouble) Made() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]int{}
	for k, n := range t.made {
		out[k] = n
	}
	return out
}

// kinds of trouble.
var kinds = []string{"slow down", "internal error", "too many requests", "request timeout", "cut", "short", "reset", "reset at once", "trickle", "silent"}

// draw says what happens to an answer of n bytes: "" for nothing, and after how many bytes.
func (t *Trouble) draw(n int) (kind string, after int) {
	if t == nil {
		return "", 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rng.Float64() >= t.Rate {
		return "", 0
	}
	kind = kinds[t.rng.IntN(len(kinds))]
	if kind == "silent" && !t.Silent {
		kind = "cut"
	}
	t.made[kind]++
	return kind, t.rng.IntN(max(1, n))
}

// body reads a request's body. With trouble, which is counted as "upload cut", the connection ends within it.
func (t *Trouble) body(w http.ResponseWriter, r *http.Request) (body []byte, ok bool) {
	if t != nil && r.ContentLength > 0 {
		t.mu.Lock()
		cut := t.rng.Float64() < t.Rate/4
		after := t.rng.Int64N(r.ContentLength)
		if cut {
			t.made["upload cut"]++
		}
		t.mu.Unlock()
		if cut {
			_, _ = io.CopyN(io.Discard, r.Body, after)
			reset(w)
		}
	}
	body, err := io.ReadAll(r.Body)
	return body, err == nil
}

// answer writes an answer, with trouble.
func (t *Trouble) answer(w http.ResponseWriter, r *http.Request, answer *httptest.ResponseRecorder) {
	body := answer.Body.Bytes()
	header := w.Header()
	for k, v := range answer.Header() {
		if k != "Date" {
			header[k] = v
		}
	}
	kind, after := t.draw(len(body))
	for _, e := range []struct {
		kind string
		Error
	}{
		{"slow down", Error{http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.", ""}},
		{"internal error", Error{http.StatusInternalServerError, "InternalError", "We encountered an internal error. Please try again.", ""}},
		{"too many requests", Error{http.StatusTooManyRequests, "TooManyRequests", "Slow down", ""}},
		{"request timeout", Error{http.StatusBadRequest, "RequestTimeout", "Your socket connection to the server was not read from or written to within the timeout period.", ""}},
	} {
		if kind == e.kind {
			for k := range header {
				if k != "Date" {
					delete(header, k)
				}
			}
			e.write(w)
			return
		}
	}
	if kind == "reset at once" {
		reset(w)
	}
	if kind == "silent" && (len(body) == 0 || r.Method == http.MethodHead) {
		<-r.Context().Done() // with its header, the answer would be whole
		return
	}
	if kind == "short" {
		body = body[:after] // and everything else says that this is all
	}
	if r.Method != http.MethodHead {
		header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(answer.Code)
	flush := func() { _ = http.NewResponseController(w).Flush() }
	switch kind {
	case "cut", "reset", "silent":
		_, _ = w.Write(body[:after])
		flush()
		switch kind {
		case "cut":
			panic(http.ErrAbortHandler)
		case "reset":
			reset(w)
		}
		<-r.Context().Done()
		return
	case "trickle":
		for len(body) > 0 {
			n := min(len(body), max(1, after/8))
			_, _ = w.Write(body[:n])
			flush()
			body = body[n:]
			if !sleep(r.Context(), time.Millisecond) {
				return
			}
		}
		return
	}
	_, _ = w.Write(body)
}

// reset ends the connection with a TCP reset.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
	panic(http.ErrAbortHandler)
}

package opensearch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/narudata/naru/flow"
)

// Paused gives a channel that is closed when this ledger learns that the carry is paused, which it looks for with
// each Claim and Save. As Options.Drain of a flow it has the flow finish what is on its way, save it and give its
// parts back. Nothing is claimed until the carry is resumed.
func (l *Ledger) Paused() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pausing
}

// AwaitResume returns when the carry is not paused, or ctx ends. A channel that Paused gave before stays closed.
func (l *Ledger) AwaitResume(ctx context.Context) error {
	for {
		l.mu.Lock()
		l.heeded = time.Time{}
		l.mu.Unlock()
		if !l.heed(ctx) {
			return ctx.Err()
		}
		select {
		case <-time.After(pauseInterval):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// heed reports that the carry is paused, and asks again at intervals. When the cluster does not say, it is as it was.
func (l *Ledger) heed(ctx context.Context) bool {
	l.mu.Lock()
	was := l.paused
	due := l.now().Sub(l.heeded) >= pauseInterval
	if due {
		l.heeded = l.now()
	}
	l.mu.Unlock()
	if !due {
		return was
	}
	var doc got[ledgerCarry]
	err := l.client.JSON(ctx, http.MethodGet, l.path("/_doc/"+l.id), nil, &doc)
	if err != nil {
		l.o.Log.Debug("carry's document not read", "err", err)
		return was
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case doc.Source.Paused && !l.paused:
		close(l.pausing)
	case !doc.Source.Paused && l.paused:
		l.pausing = make(chan struct{})
	}
	l.paused = doc.Source.Paused
	return l.paused
}

// ErrNoCarry says that a ledger does not know a carry.
var ErrNoCarry = errors.New("the ledger knows no such carry")

// SetPaused pauses a carry, or resumes it. Its workers heed it within seconds. An empty index is the default one.
func SetPaused(ctx context.Context, c *Client, index, carry string, paused bool) error {
	index = cmp.Or(index, DefaultLedgerIndex)
	path := "/" + url.PathEscape(index) + "/_doc/" + carryID(carry)
	err := patiently(ctx, func() error {
		// The fields of a later version of naru must stay: so the source is changed, not replaced.
		var doc got[map[string]json.RawMessage]
		if err := c.JSON(ctx, http.MethodGet, path, nil, &doc); err != nil {
			return err
		}
		doc.Source["paused"] = json.RawMessage(fmt.Sprint(paused))
		err := c.JSON(ctx, http.MethodPut, fmt.Sprintf("%s?if_seq_no=%d&if_primary_term=%d", path, doc.SeqNo, doc.Term), doc.Source, nil)
		if statusOf(err) == http.StatusConflict {
			return errors.New("somebody else is changing the carry") // tried again
		}
		return err
	})
	if statusOf(err) == http.StatusNotFound {
		return fmt.Errorf("%s in %s at %s: %w", carry, index, c, ErrNoCarry)
	}
	return err
}

// A Status is how far a carry is, as its ledger has it.
type Status struct {
	Carry   string          `json:"carry"`
	Index   string          `json:"ledger"`
	At      time.Time       `json:"at"`
	Started time.Time       `json:"started"`
	Paused  bool            `json:"paused"`
	Options json.RawMessage `json:"options,omitempty"`
	Parts   int             `json:"parts"` // that were ever claimed; the workers alone know how many are still to come
	Done    int             `json:"done"`
	Taken   int             `json:"taken"` // somebody has them, dead or alive
	Total   flow.Tally      `json:"total"`
	Records int64           `json:"records"` // expected in all groups; -1: not known
	Groups  []GroupStatus   `json:"groups"`
	Workers []WorkerStatus  `json:"workers"`
	// What workers reported at the end of their runs: parts that failed and are not done since, and why records became
	// dead letters, the most frequent first. Of a worker that was killed there is nothing.
	Failed  []flow.PartFailure `json:"failed,omitempty"`
	Reasons []flow.Reason      `json:"dead_letters,omitempty"`

	states map[string]ledgerState // of the documents, by key
}

// A GroupStatus is how far an index is.
type GroupStatus struct {
	Name    string     `json:"name"`
	Records int64      `json:"records"` // expected; -1: not known
	Parts   int        `json:"parts"`
	Done    int        `json:"done"`
	Tally   flow.Tally `json:"tally"`
}

// A WorkerStatus is what a worker has.
type WorkerStatus struct {
	Name    string    `json:"name"`
	Parts   []string  `json:"parts"`
	Updated time.Time `json:"updated"` // by its own clock
	// Alive: it has saved since the status before, or, without one, it says that its lease lasts. The latter is as
	// right as the two clocks are.
	Alive bool `json:"alive"`
}

// StatusOf reads how far a carry is. With the status before, if there is one, it tells who is alive by what has changed.
// An empty index is the default one.
func StatusOf(ctx context.Context, c *Client, index, carry string, before *Status) (*Status, error) {
	index = cmp.Or(index, DefaultLedgerIndex)
	id := carryID(carry)
	var doc got[ledgerCarry]
	err := patiently(ctx, func() error { return c.JSON(ctx, http.MethodGet, "/"+url.PathEscape(index)+"/_doc/"+id, nil, &doc) })
	switch {
	case statusOf(err) == http.StatusNotFound:
		return nil, fmt.Errorf("%s in %s at %s: %w", carry, index, c, ErrNoCarry)
	case err != nil:
		return nil, err
	}
	s := summary{before: before, groups: map[string]*GroupStatus{}, workers: map[string]*WorkerStatus{}, done: map[string]bool{}}
	s.Status = Status{
		Carry: carry, Index: index, At: time.Now(), Started: time.UnixMilli(doc.Source.Started), Paused: doc.Source.Paused, Options: doc.Source.Options,
		states: map[string]ledgerState{},
	}
	for _, g := range doc.Source.Groups {
		s.groups[g.Name] = &GroupStatus{Name: g.Name, Records: g.Records}
	}
	if err := patiently(ctx, func() error { s.reset(); return eachPart(ctx, c, index, id, s.add) }); err != nil {
		return nil, err
	}
	reports, err := reportsOf(ctx, c, index, id)
	if err != nil {
		return nil, err
	}
	s.report(reports)
	return s.finish(), nil
}

// Carries lists the carries that a ledger's index knows, the latest first, at most a thousand. An empty index is the
// default one.
func Carries(ctx context.Context, c *Client, index string) ([]string, error) {
	base := "/" + url.PathEscape(cmp.Or(index, DefaultLedgerIndex))
	var answer struct {
		Hits struct {
			Hits []got[ledgerCarry] `json:"hits"`
		} `json:"hits"`
	}
	query := map[string]any{"size": 1000, "query": map[string]any{"term": map[string]any{"kind": "carry"}}, "sort": []any{map[string]any{"started": "desc"}}}
	err := patiently(ctx, func() error {
		if err := c.JSON(ctx, http.MethodPost, base+"/_refresh", nil, nil); err != nil {
			return err
		}
		return c.JSON(ctx, http.MethodPost, base+"/_search", query, &answer)
	})
	if isIndexMissing(err) {
		return nil, nil
	}
	var names []string
	for _, h := range answer.Hits.Hits {
		names = append(names, h.Source.Identity)
	}
	return names, err
}

// Rate is how many records were read each second since the status before.
func (s *Status) Rate(before *Status) float64 {
	seconds := s.At.Sub(before.At).Seconds()
	if seconds <= 0 {
		return 0
	}
	return max(0, float64(s.Total.Read-before.Total.Read)/seconds)
}

// A summary becomes a Status, part by part.
type summary struct {
	Status
	before  *Status
	groups  map[string]*GroupStatus
	workers map[string]*WorkerStatus
	done    map[string]bool // parts
}

// reset forgets the parts, to read them again.
func (s *summary) reset() {
	s.Parts, s.Done, s.Taken, s.Total = 0, 0, 0, flow.Tally{}
	clear(s.states)
	clear(s.done)
	clear(s.workers)
	for _, g := range s.groups {
		*g = GroupStatus{Name: g.Name, Records: g.Records}
	}
}

func (s *summary) add(d *got[ledgerPart]) {
	p := &d.Source
	s.states[p.Key] = d.state()
	g := s.groups[p.Group]
	if g == nil {
		g = &GroupStatus{Name: p.Group, Records: -1}
		s.groups[p.Group] = g
	}
	s.Parts++
	g.Parts++
	s.Total.Add(p.Checkpoint.Tally)
	g.Tally.Add(p.Checkpoint.Tally)
	switch {
	case p.Done:
		s.Done++
		g.Done++
		s.done[p.Part] = true
		return
	case p.Worker == "":
		return
	}
	s.Taken++
	w := s.workers[p.Worker]
	if w == nil {
		w = &WorkerStatus{Name: p.Worker}
		s.workers[p.Worker] = w
	}
	w.Parts = append(w.Parts, p.Part)
	updated := time.UnixMilli(p.Updated)
	if updated.After(w.Updated) {
		w.Updated = updated
	}
	if s.before != nil {
		if old, ok := s.before.states[p.Key]; !ok || old != d.state() {
			w.Alive = true
		}
	} else if s.At.Sub(updated) < time.Duration(p.LeaseMillis)*time.Millisecond {
		w.Alive = true
	}
}

func (s *summary) finish() *Status {
	for _, name := range slices.Sorted(maps.Keys(s.groups)) {
		g := s.groups[name]
		s.Groups = append(s.Groups, *g)
		if g.Records < 0 || s.Records < 0 {
			s.Records = -1
		} else {
			s.Records += g.Records
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.workers)) {
		s.Workers = append(s.Workers, *s.workers[name])
	}
	return &s.Status
}

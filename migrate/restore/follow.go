package restore

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// shardHealth is a shard's, as _cluster/health has it.
type shardHealth struct {
	Status       string
	Primary      bool `json:"primary_active"`
	Active       int  `json:"active_shards"`
	Initializing int  `json:"initializing_shards"`
	Unassigned   int  `json:"unassigned_shards"`
}

type indexHealth struct {
	Status   string
	Replicas int `json:"number_of_replicas"`
	Shards   map[string]shardHealth
}

type health struct {
	DataNodes int `json:"number_of_data_nodes"`
	Indices   map[string]indexHealth
}

// health asks how indices are. An index that is gone is not in the answer.
func (r *runner) health(ctx context.Context, names []string) (health, error) {
	all := health{Indices: map[string]indexHealth{}}
	var escaped []string
	for _, name := range names {
		escaped = append(escaped, url.PathEscape(name))
	}
	for _, some := range chunked(escaped) {
		var answer health
		err := r.insist(ctx, func() error {
			err := r.client.JSON(ctx, http.MethodGet, "/_cluster/health/"+strings.Join(some, ",")+"?level=shards&timeout=1s", nil, &answer)
			if statusOf(err) != http.StatusRequestTimeout {
				return err
			}
			// One of them is gone, which is waited for: ask for each.
			for _, name := range some {
				var one health
				err := r.client.JSON(ctx, http.MethodGet, "/_cluster/health/"+name+"?level=shards&timeout=1s", nil, &one)
				if err != nil && statusOf(err) != http.StatusRequestTimeout {
					return err
				}
				if answer.Indices == nil {
					answer.Indices = map[string]indexHealth{}
				}
				maps.Copy(answer.Indices, one.Indices)
				answer.DataNodes = max(answer.DataNodes, one.DataNodes)
			}
			return nil
		})
		if err != nil {
			return all, fmt.Errorf("health of what is restored: %w", err)
		}
		all.DataNodes = answer.DataNodes
		maps.Copy(all.Indices, answer.Indices)
	}
	return all, nil
}

// pacer waits between two looks, longer and longer, and knows for how long nothing has moved.
type pacer struct {
	r     *runner
	most  time.Duration
	wait  time.Duration
	last  string
	moved time.Time
}

func (r *runner) pacer(most time.Duration) *pacer {
	return &pacer{r: r, most: most, wait: max(r.o.Poll/20, time.Millisecond), moved: time.Now()}
}

// next waits, and reports that something has moved lately; what looks otherwise has.
func (p *pacer) next(ctx context.Context, looks string) (bool, error) {
	if looks != p.last {
		p.last, p.moved = looks, time.Now()
	} else if time.Since(p.moved) > p.most {
		return false, nil
	}
	err := sleep(ctx, p.wait)
	p.wait = min(p.wait*3/2, p.r.o.Poll)
	return true, err
}

// follow waits until the primary shards of all indices of a unit are there, and gives those that will not be, with the
// reason.
func (r *runner) follow(ctx context.Context, u *unit) (broken map[string]string, err error) {
	broken = map[string]string{}
	most := r.o.Patience
	if u.outcomes[0].State == WasThere { // what it waits for is not a copy that takes long
		most = min(most, time.Minute)
	}
	p := r.pacer(most)
	for {
		var open []string
		for _, name := range u.targets() {
			if broken[name] == "" {
				open = append(open, name)
			}
		}
		h, err := r.health(ctx, open)
		if err != nil {
			return nil, err
		}
		var waiting []string
		for _, name := range open {
			one, there := h.Indices[name]
			if !there {
				broken[name] = "it was deleted while it was restored"
				continue
			}
			missing, why, err := r.shards(ctx, name, one)
			if err != nil {
				return nil, err
			}
			if why != "" {
				broken[name] = why
			} else if missing > 0 {
				waiting = append(waiting, name)
			}
		}
		looks, err := r.copied(ctx, u, h, broken)
		if err != nil {
			return nil, err
		}
		if len(waiting) == 0 {
			return broken, nil
		}
		moving, err := p.next(ctx, looks)
		if err != nil {
			return nil, err
		}
		if !moving {
			for _, name := range waiting {
				broken[name], err = r.stuck(ctx, name, h.Indices[name], most)
				if err != nil {
					return nil, err
				}
			}
			return broken, nil
		}
	}
}

// shards counts the shards of an index that are not there yet, and says why one will never be.
func (r *runner) shards(ctx context.Context, name string, h indexHealth) (missing int, why string, err error) {
	for _, id := range slices.Sorted(maps.Keys(h.Shards)) {
		s := h.Shards[id]
		if s.Primary {
			continue
		}
		missing++
		if s.Status != "red" || s.Initializing > 0 {
			continue
		}
		x, err := r.explain(ctx, name, id)
		if err != nil {
			return 0, "", err
		}
		if x.final() {
			return missing, fmt.Sprintf("shard %s: %s", id, x.why()), nil
		}
	}
	return missing, "", nil
}

// stuck says what an index waits for that has not moved for long.
func (r *runner) stuck(ctx context.Context, name string, h indexHealth, most time.Duration) (string, error) {
	for _, id := range slices.Sorted(maps.Keys(h.Shards)) {
		if h.Shards[id].Primary {
			continue
		}
		x, err := r.explain(ctx, name, id)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("shard %s has not moved for %v: %s", id, most, x.why()), nil
	}
	return fmt.Sprintf("nothing has moved for %v", most), nil
}

// explanation is why a shard is where it is, as _cluster/allocation/explain has it.
type explanation struct {
	State string `json:"current_state"`
	Info  struct {
		Reason   string
		Attempts int `json:"failed_allocation_attempts"`
		Details  string
	} `json:"unassigned_info"`
	Can     string `json:"can_allocate"`
	Explain string `json:"allocate_explanation"`
	Nodes   []struct {
		Name     string `json:"node_name"`
		Deciders []struct{ Decider, Decision, Explanation string }
	} `json:"node_allocation_decisions"`
}

func (r *runner) explain(ctx context.Context, index, shard string) (*explanation, error) {
	n, err := strconv.Atoi(shard)
	if err != nil {
		return nil, fmt.Errorf("health of %s names a shard %q", index, shard)
	}
	var x explanation
	err = r.call(ctx, http.MethodPost, "/_cluster/allocation/explain", map[string]any{"index": index, "shard": n, "primary": true}, &x)
	if denied(err) { // it may be there by now, or this user may not ask
		return &explanation{Explain: err.Error()}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("why shard %s of %s is not there: %w", shard, index, err)
	}
	return &x, nil
}

// restoreDecider says no of shards whose restore has failed. A cluster tries that once, and not at all when it finds no
// node for the shard.
const restoreDecider = "restore_in_progress"

// final reports that the shard could not be restored.
func (x *explanation) final() bool {
	if x.State != "unassigned" || x.Can != "no" {
		return false
	}
	for _, n := range x.Nodes {
		for _, d := range n.Deciders {
			if d.Decider == restoreDecider && d.Decision == "NO" {
				return true
			}
		}
	}
	return x.Info.Attempts > 0 || x.Info.Reason == "ALLOCATION_FAILED"
}

// why is what the cluster says, without the chain of exceptions that its innermost came through.
func (x *explanation) why() string {
	if x.Info.Details != "" && x.Info.Attempts > 0 {
		return innermost(x.Info.Details)
	}
	var texts []string
	for _, n := range x.Nodes {
		for _, d := range n.Deciders {
			if d.Decision == "NO" && d.Decider != restoreDecider {
				texts = append(texts, n.Name+": "+d.Explanation)
			}
		}
	}
	if len(texts) == 0 {
		return x.Explain
	}
	return strings.Join(texts, "; ")
}

// innermost gives the last of exceptions that are in each other: "…; nested: CorruptIndexException[checksum failed]; ".
func innermost(details string) string {
	all := strings.Split(strings.TrimRight(details, "; "), "; nested: ")
	return strings.TrimSpace(all[len(all)-1])
}

// copied gives the progress of a unit, and how it looks, to be compared: the same means that nothing has moved.
func (r *runner) copied(ctx context.Context, u *unit, h health, broken map[string]string) (string, error) {
	var names []string
	for _, o := range u.outcomes {
		if broken[o.Target] == "" {
			names = append(names, url.PathEscape(o.Target))
		}
	}
	var looks strings.Builder
	for _, some := range chunked(names) {
		answer, err := r.recovery(ctx, some)
		if statusOf(err) == http.StatusNotFound { // one is gone, as the next look will show
			continue
		}
		if err != nil {
			return "", err
		}
		for i, o := range u.outcomes {
			shards, ok := answer[o.Target]
			if !ok {
				continue
			}
			var done, all, verified int64
			for _, s := range shards.Shards {
				if s.Type == "SNAPSHOT" {
					done, all, verified = done+s.Index.Size.Recovered, all+s.Index.Size.Total, verified+s.Verify.Took
				}
				fmt.Fprint(&looks, o.Target, s.ID, s.Stage, s.Index.Size.Recovered)
				if s.Stage != "DONE" && s.Stage != "INDEX" && s.Stage != "INIT" { // it reads, and says nothing of how far it is
					fmt.Fprint(&looks, time.Now().UnixNano())
				}
			}
			o.Bytes = max(o.Bytes, done)
			there := 0
			for _, s := range h.Indices[o.Target].Shards {
				if s.Primary {
					there++
				}
			}
			fmt.Fprint(&looks, there, ";")
			if o.Index != "" {
				r.progress(Progress{
					Index: o.Index, Step: Copying, Shards: there, AllShards: max(u.indices[i].Shards, len(h.Indices[o.Target].Shards)),
					Bytes: done, AllBytes: max(all, u.indices[i].Bytes),
				})
			}
			o.noteVerified(r.o.CheckOnStartup && u.stream == "", verified, there, len(h.Indices[o.Target].Shards))
		}
	}
	return looks.String(), nil
}

// settle waits until an index has its replicas, as far as there are nodes for them, and notes its health.
func (r *runner) settle(ctx context.Context, out *Outcome) error {
	p := r.pacer(r.o.Patience)
	for {
		h, err := r.health(ctx, []string{out.Target})
		if err != nil {
			return err
		}
		x := h.Indices[out.Target]
		switch {
		case x.Status == "green":
			out.Checks = append(out.Checks, Check{"health", Holds, "green"})
			return nil
		case x.Status == "yellow" && x.Replicas >= h.DataNodes:
			found := fmt.Sprintf("yellow: %d replicas need %d data nodes, there are %d", x.Replicas, x.Replicas+1, h.DataNodes)
			out.Checks = append(out.Checks, Check{"health", Holds, found})
			return nil
		}
		var looks strings.Builder
		for _, id := range slices.Sorted(maps.Keys(x.Shards)) {
			fmt.Fprint(&looks, id, x.Shards[id])
		}
		answer, err := r.recovery(ctx, []string{url.PathEscape(out.Target)})
		if err != nil {
			return err
		}
		for _, s := range answer[out.Target].Shards {
			fmt.Fprint(&looks, s.ID, s.Stage, s.Index.Size.Recovered)
		}
		moving, err := p.next(ctx, looks.String())
		if err != nil {
			return err
		}
		if !moving {
			out.Checks = append(out.Checks, Check{"health", Differs, fmt.Sprintf("%s, and nothing has moved for %v", x.Status, r.o.Patience)})
			return nil
		}
	}
}

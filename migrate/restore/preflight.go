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
)

// state is what the cluster has.
type state struct {
	indices   map[string]existing
	streams   map[string]bool
	dataNodes int
	nodes     map[string]map[string]bool // plugins and modules by node; nil: not known
}

type existing struct {
	uuid     string
	created  int64
	shards   int
	replicas int
	closed   bool
	health   string // "" of what is closed, in some versions
}

// preflight looks at the cluster and gives the units that are to be restored, or looked at because an earlier run did. The
// others get their outcome.
func (r *runner) preflight(ctx context.Context, units []*unit) ([]*unit, error) {
	if err := r.look(ctx); err != nil {
		return nil, err
	}
	held, err := r.snapshots(ctx, units)
	if err != nil {
		return nil, err
	}
	ours, err := r.recoveries(ctx, units)
	if err != nil {
		return nil, err
	}
	var todo []*unit
	var taken []string
	var bytes int64
	var shards int
	for _, u := range units {
		if why := r.lacking(u, held); why != "" {
			u.end(Failed, why)
			r.over(u)
			continue
		}
		switch why := r.taken(u, ours); {
		case why != "":
			u.end(Skipped, why)
			r.over(u)
			taken = append(taken, u.targets()...)
			continue
		case r.there(u.outcomes[0].Target):
			for _, o := range u.outcomes {
				o.State = WasThere
			}
		default:
			for _, x := range u.indices {
				bytes, shards = bytes+x.Bytes, shards+x.Shards
			}
		}
		todo = append(todo, u)
	}
	if len(taken) > 0 && r.o.Existing == Refuse {
		for _, u := range todo {
			u.end(NotBegun, "")
		}
		return nil, fmt.Errorf("the cluster has these already, and not out of this snapshot: %s; leave them out, rename them, or delete them", strings.Join(taken, ", "))
	}
	return todo, r.room(ctx, bytes, shards)
}

func (r *runner) there(name string) bool { _, ok := r.cluster.indices[name]; return ok }

// lacking says why a unit cannot be restored at all; "": it can.
func (r *runner) lacking(u *unit, held map[string][]string) string {
	for _, x := range u.indices {
		if len(x.Missing) > 0 && !r.o.Partial {
			return fmt.Sprintf("%d of its %d shards are not in the snapshot, which is PARTIAL; the others are restored only when that is asked for", len(x.Missing), x.Shards)
		}
	}
	names, ok := held[u.snapshot]
	if !ok {
		return "the repository has no snapshot " + u.snapshot
	}
	for _, x := range u.indices {
		if !slices.Contains(names, x.Name) {
			return "the snapshot " + u.snapshot + " has no index " + x.Name
		}
		for _, plugin := range x.Plugins {
			var without []string
			for _, node := range slices.Sorted(maps.Keys(r.cluster.nodes)) {
				if !r.cluster.nodes[node][plugin] {
					without = append(without, node)
				}
			}
			if len(without) > 0 {
				return fmt.Sprintf("%s needs the plugin %s; without it: node %s", x.Name, plugin, strings.Join(without, ", "))
			}
		}
	}
	return ""
}

// taken says by what the names of a unit are taken; "": by nothing, or by what an earlier run made of them.
func (r *runner) taken(u *unit, ours map[string]bool) string {
	there := 0
	for i, x := range u.indices {
		name := u.outcomes[i].Target
		e, ok := r.cluster.indices[name]
		if !ok {
			continue
		}
		there++
		same := x.Created != 0 && e.created == x.Created && (x.Shards == 0 || e.shards == x.Shards)
		switch {
		case ours[name]:
			u.outcomes[i].Notes = append(u.outcomes[i].Notes, "the cluster says that it restored it out of this snapshot")
		case same:
			u.outcomes[i].Notes = append(u.outcomes[i].Notes, "it is the same index, by its name and the time of its creation")
		default:
			return "the cluster has an index " + name + " already, which was not restored out of this snapshot"
		}
	}
	switch {
	case u.stream == "":
		return ""
	case there > 0 && there < len(u.indices):
		return fmt.Sprintf("the cluster has %d of the %d indices of the data stream %s already; delete the data stream to have it restored", there, len(u.indices), u.stream)
	case there == 0 && r.cluster.streams[u.stream]:
		return "the cluster has a data stream " + u.stream + " already, with other indices"
	}
	return ""
}

// look asks the cluster what it has.
func (r *runner) look(ctx context.Context) error {
	var err error
	if r.cluster.indices, err = r.catalog(ctx); err != nil {
		return err
	}
	var streams struct {
		Streams []struct{ Name string } `json:"data_streams"`
	}
	err = r.get(ctx, "/_data_stream?expand_wildcards=all", &streams)
	if denied(err) {
		err = r.get(ctx, "/_data_stream", &streams)
	}
	if err != nil && !denied(err) {
		return fmt.Errorf("list the data streams: %w", err)
	}
	r.cluster.streams = map[string]bool{}
	for _, s := range streams.Streams {
		r.cluster.streams[s.Name] = true
	}
	var health struct {
		Status string
		Nodes  int `json:"number_of_data_nodes"`
	}
	if err := r.get(ctx, "/_cluster/health", &health); err != nil {
		return fmt.Errorf("health of the cluster: %w", err)
	}
	r.cluster.dataNodes = health.Nodes
	if health.Status == "red" {
		r.note("the cluster was red before: some of its indices have shards without a copy")
	}
	return r.plugins(ctx)
}

// catalog lists all indices, hidden and closed ones too.
func (r *runner) catalog(ctx context.Context) (map[string]existing, error) {
	var rows []struct {
		Index, UUID, Status, Health, Pri, Rep string
		Created                               string `json:"creation.date"`
	}
	const list = "/_cat/indices?format=json&h=index,uuid,status,health,pri,rep,creation.date"
	err := r.get(ctx, list+"&expand_wildcards=all", &rows)
	if statusOf(err) == http.StatusBadRequest { // before 7.7 there was nothing to expand
		err = r.get(ctx, list, &rows)
	}
	if err != nil {
		return nil, fmt.Errorf("list the indices: %w", err)
	}
	all := make(map[string]existing, len(rows))
	for _, row := range rows {
		all[row.Index] = existing{row.UUID, number(row.Created), int(number(row.Pri)), int(number(row.Rep)), row.Status == "close", row.Health}
	}
	return all, nil
}

// number is 0 of what is none.
func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// plugins asks what the nodes have. A cluster that does not say is taken to have all.
func (r *runner) plugins(ctx context.Context) error {
	type named []struct{ Name string }
	var answer struct {
		Nodes map[string]struct {
			Name             string
			Plugins, Modules named
		}
	}
	err := r.get(ctx, "/_nodes/plugins?filter_path=nodes.*.name,nodes.*.plugins.name,nodes.*.modules.name", &answer)
	if err == nil {
		r.cluster.nodes = map[string]map[string]bool{}
		for _, n := range answer.Nodes {
			has := map[string]bool{}
			for _, p := range append(n.Plugins, n.Modules...) {
				has[p.Name] = true
			}
			r.cluster.nodes[n.Name] = has
		}
		return nil
	}
	if !denied(err) {
		return fmt.Errorf("plugins of the nodes: %w", err)
	}
	r.note("the cluster does not say which plugins its nodes have: %v", err)
	return nil
}

// recoveries finds which existing indices the cluster itself says it restored out of the same index.
func (r *runner) recoveries(ctx context.Context, units []*unit) (map[string]bool, error) {
	source, snapshot := map[string]string{}, map[string]string{}
	var names []string
	for _, u := range units {
		for _, o := range u.outcomes {
			if e, ok := r.cluster.indices[o.Target]; ok && !e.closed {
				names = append(names, url.PathEscape(o.Target))
				source[o.Target], snapshot[o.Target] = o.Index, o.Snapshot
			}
		}
	}
	ours := map[string]bool{}
	for _, some := range chunked(names) {
		answer, err := r.recovery(ctx, some)
		if err != nil {
			return nil, fmt.Errorf("how indices came to be: %w", err)
		}
		for name, shards := range answer {
			if shards.from(recoverySource{r.repo.Name, snapshot[name], source[name]}) {
				ours[name] = true
			}
		}
	}
	return ours, nil
}

type recoverySource struct{ Repository, Snapshot, Index string }

type shardRecovery struct {
	ID      int
	Type    string
	Stage   string
	Primary bool
	Source  recoverySource
	Index   struct {
		Size struct {
			Total     int64 `json:"total_in_bytes"`
			Recovered int64 `json:"recovered_in_bytes"`
		}
	}
	Verify struct {
		Took int64 `json:"check_index_time_in_millis"`
	} `json:"verify_index"`
}

type recovery map[string]indexRecovery

type indexRecovery struct{ Shards []shardRecovery }

// from reports that shards came, or are coming, out of a snapshot.
func (x indexRecovery) from(source recoverySource) bool {
	return slices.ContainsFunc(x.Shards, func(s shardRecovery) bool { return s.Type == "SNAPSHOT" && s.Source == source })
}

// recovery says how shards of indices came, or are coming, to where they are; names are escaped.
func (r *runner) recovery(ctx context.Context, names []string) (recovery, error) {
	var answer recovery
	return answer, r.get(ctx, "/"+strings.Join(names, ",")+"/_recovery", &answer)
}

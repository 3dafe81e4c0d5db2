package restore

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// disk is one of a data node, in bytes.
type disk struct{ total, available int64 }

// usable is how much can be put on it before the cluster allocates no more shards to it, by the low watermark: a share of
// the disk that may be full (85%, 0.85), or what must stay free (50gb).
func (d disk) usable(watermark string) int64 {
	keep := int64(0)
	if percent, ok := strings.CutSuffix(watermark, "%"); ok {
		if p, err := strconv.ParseFloat(percent, 64); err == nil {
			keep = int64(float64(d.total) * (1 - p/100))
		}
	} else if ratio, err := strconv.ParseFloat(watermark, 64); err == nil && ratio <= 1 {
		keep = int64(float64(d.total) * (1 - ratio))
	} else if n, ok := parseBytes(watermark); ok {
		keep = n
	}
	return max(0, d.available-keep)
}

// parseBytes parses a size as the servers write it: 40mb, 512b.
func parseBytes(text string) (int64, bool) {
	units := []string{"pb", "tb", "gb", "mb", "kb", "p", "t", "g", "m", "k", "b"}
	powers := []int{50, 40, 30, 20, 10, 50, 40, 30, 20, 10, 0}
	for i, unit := range units {
		if rest, ok := strings.CutSuffix(strings.ToLower(text), unit); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil || n < 0 || n > 1<<20 && powers[i] >= 40 {
				return 0, false
			}
			return int64(n * float64(int64(1)<<powers[i])), true
		}
	}
	return 0, false
}

// room says what speaks against restoring so many bytes and shards. A cluster that does not say how it is, is not asked
// again.
func (r *runner) room(ctx context.Context, bytes int64, shards int) error {
	if bytes == 0 && shards == 0 {
		return nil
	}
	copies := int64(1)
	if r.o.Replicas != nil {
		copies += int64(min(*r.o.Replicas, max(r.cluster.dataNodes-1, 0)))
		if *r.o.Replicas >= r.cluster.dataNodes {
			r.note("%d replicas need %d data nodes; there are %d, so that indices stay yellow", *r.o.Replicas, *r.o.Replicas+1, r.cluster.dataNodes)
		}
	}
	settings, err := r.clusterSettings(ctx)
	if err != nil {
		return err
	}
	if most := number(settings["cluster.max_shards_per_node"]) * int64(r.cluster.dataNodes); most > 0 {
		have := int64(0)
		for _, e := range r.cluster.indices {
			if !e.closed {
				have += int64(e.shards) * int64(1+e.replicas)
			}
		}
		if have+int64(shards)*copies > most {
			r.note("the cluster takes %d shards (cluster.max_shards_per_node), has %d and is to get %d: it will refuse some", most, have, int64(shards)*copies)
		}
	}
	if limit := settings["indices.recovery.max_bytes_per_sec"]; limit != "" {
		if n, ok := parseBytes(limit); ok && n > 0 && n <= 40<<20 && bytes > 10<<30 {
			r.note("each node copies at most %s a second (indices.recovery.max_bytes_per_sec): raise it while this runs to be quicker", limit)
		}
	}
	watermark := settings["cluster.routing.allocation.disk.watermark.low"]
	if settings["cluster.routing.allocation.disk.threshold_enabled"] == "false" {
		watermark = ""
	}
	disks, err := r.disks(ctx)
	if err != nil || len(disks) == 0 {
		return err
	}
	usable := int64(0)
	for _, d := range disks {
		usable += d.usable(watermark)
	}
	if need := bytes * copies; need > usable {
		why := fmt.Sprintf("the indices take %d bytes on disk, and the data nodes have room for %d", need, usable)
		if watermark != "" {
			why += " (below the watermark, cluster.routing.allocation.disk.watermark.low: " + watermark + ")"
		}
		if !r.o.IgnoreDisk {
			return fmt.Errorf("%s: restore fewer at a time, or free some", why)
		}
		r.note("%s", why)
	}
	return nil
}

func (r *runner) clusterSettings(ctx context.Context) (map[string]string, error) {
	var answer map[string]map[string]any
	err := r.get(ctx, "/_cluster/settings?include_defaults=true&flat_settings=true", &answer)
	if err != nil && !denied(err) {
		return nil, fmt.Errorf("settings of the cluster: %w", err)
	}
	all := map[string]string{}
	for _, kind := range []string{"defaults", "persistent", "transient"} {
		for name, v := range answer[kind] {
			if text, ok := v.(string); ok {
				all[name] = text
			}
		}
	}
	return all, nil
}

func (r *runner) disks(ctx context.Context) ([]disk, error) {
	var answer struct {
		Nodes map[string]struct {
			Roles []string
			FS    struct {
				Total struct {
					Total     int64 `json:"total_in_bytes"`
					Available int64 `json:"available_in_bytes"`
				}
			}
		}
	}
	err := r.get(ctx, "/_nodes/stats/fs?filter_path=nodes.*.roles,nodes.*.fs.total", &answer)
	if err != nil && !denied(err) {
		return nil, fmt.Errorf("disks of the nodes: %w", err)
	}
	var all []disk
	for _, n := range answer.Nodes {
		holds := slices.ContainsFunc(n.Roles, func(role string) bool { return strings.HasPrefix(role, "data") })
		if t := n.FS.Total; holds && t.Total > 0 {
			all = append(all, disk{t.Total, t.Available})
		}
	}
	return all, nil
}

package cost

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/narudata/naru/connect/opensearch"
)

// A cell is one of _cat: a text, or null.
type cell struct{ *string }

func (c *cell) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	s := strings.Trim(string(b), `"`)
	c.string = &s
	return nil
}

func (c cell) number() int64 {
	if c.string == nil {
		return 0
	}
	n, err := strconv.ParseInt(*c.string, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

func (c cell) text() string {
	if c.string == nil {
		return ""
	}
	return *c.string
}

// Look asks a cluster what it has: some ten requests, however large it is. What cannot be asked is in Facts.Missing; only the lists of
// indices and nodes have to be there.
func Look(ctx context.Context, c *opensearch.Client, environment string, now time.Time) (*Facts, error) {
	info := c.Info()
	f := &Facts{
		Environment: environment, Cluster: info.Name, Version: info.String(), At: now.UTC(),
		Managed: managed(c.String()), Zstd: info.OpenSearch() && (info.Major > 2 || info.Major == 2 && info.Minor >= 9),
	}
	if err := f.lookIndices(ctx, c); err != nil {
		return nil, err
	}
	if err := f.lookNodes(ctx, c); err != nil {
		return nil, err
	}
	for what, look := range map[string]func(context.Context, *opensearch.Client) error{
		"shards (what is searched, and where)": f.lookShards,
		"codecs":                               f.lookCodecs,
		"cluster.max_shards_per_node":          f.lookSettings,
		"templates and policies":               f.lookObjects,
	} {
		if err := look(ctx, c); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			f.Missing = append(f.Missing, what+": "+err.Error())
		}
	}
	slices.Sort(f.Missing)
	return f, nil
}

// managed reports that a cloud's service has the address.
func managed(urls string) bool {
	for u := range strings.SplitSeq(urls, ",") {
		if parsed, err := url.Parse(u); err == nil && (strings.HasSuffix(parsed.Hostname(), ".es.amazonaws.com") || strings.HasSuffix(parsed.Hostname(), ".aos.amazonaws.com")) {
			return true
		}
	}
	return false
}

func (f *Facts) lookIndices(ctx context.Context, c *opensearch.Client) error {
	var rows []struct {
		Index   string `json:"index"`
		Status  string `json:"status"`
		Pri     cell   `json:"pri"`
		Rep     cell   `json:"rep"`
		Docs    cell   `json:"docs.count"`
		Deleted cell   `json:"docs.deleted"`
		Stored  cell   `json:"store.size"`
		Primary cell   `json:"pri.store.size"`
		Created cell   `json:"creation.date"`
	}
	const path = "/_cat/indices?format=json&bytes=b&expand_wildcards=all&h=index,status,pri,rep,docs.count,docs.deleted,store.size,pri.store.size,creation.date"
	if err := c.JSON(ctx, http.MethodGet, path, nil, &rows); err != nil {
		return fmt.Errorf("list the indices of %s: %w", c, err)
	}
	for _, r := range rows {
		x := &Index{
			Name: r.Index, Open: r.Status != "close", Primaries: int(r.Pri.number()), Replicas: int(r.Rep.number()), Documents: r.Docs.number(), Deleted: r.Deleted.number(),
			Stored: Bytes(r.Stored.number()), Primary: Bytes(r.Primary.number()), Codec: "default",
		}
		if ms := r.Created.number(); ms > 0 {
			x.Created = time.UnixMilli(ms).UTC()
		}
		f.Indices = append(f.Indices, x)
	}
	slices.SortFunc(f.Indices, func(a, b *Index) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

func (f *Facts) lookNodes(ctx context.Context, c *opensearch.Client) error {
	var infos struct {
		Nodes map[string]struct {
			Name  string   `json:"name"`
			Roles []string `json:"roles"`
			OS    struct {
				CPUs int `json:"allocated_processors"`
			} `json:"os"`
			JVM struct {
				Started int64 `json:"start_time_in_millis"`
				Mem     struct {
					Heap int64 `json:"heap_max_in_bytes"`
				} `json:"mem"`
			} `json:"jvm"`
		} `json:"nodes"`
	}
	if err := c.JSON(ctx, http.MethodGet, "/_nodes/os,jvm?filter_path=nodes.*.name,nodes.*.roles,nodes.*.os.allocated_processors,nodes.*.jvm.start_time_in_millis,nodes.*.jvm.mem.heap_max_in_bytes,error", nil, &infos); err != nil {
		return fmt.Errorf("list the nodes of %s: %w", c, err)
	}
	var stats struct {
		Nodes map[string]struct {
			OS struct {
				Mem struct {
					Total int64 `json:"total_in_bytes"`
				} `json:"mem"`
			} `json:"os"`
			JVM struct {
				Mem struct {
					Used float64 `json:"heap_used_percent"`
				} `json:"mem"`
			} `json:"jvm"`
			FS struct {
				Total struct {
					Total     int64 `json:"total_in_bytes"`
					Available int64 `json:"available_in_bytes"`
				} `json:"total"`
			} `json:"fs"`
		} `json:"nodes"`
	}
	if err := c.JSON(ctx, http.MethodGet, "/_nodes/stats/os,jvm,fs?filter_path=nodes.*.os.mem.total_in_bytes,nodes.*.jvm.mem.heap_used_percent,nodes.*.fs.total.total_in_bytes,nodes.*.fs.total.available_in_bytes,error", nil, &stats); err != nil {
		f.Missing = append(f.Missing, "disks of the nodes: "+err.Error())
	}
	for id, n := range infos.Nodes {
		s := stats.Nodes[id]
		node := Node{
			ID: id, Name: n.Name, CPUs: n.OS.CPUs, Heap: Bytes(max(0, n.JVM.Mem.Heap)), Used: s.JVM.Mem.Used, Memory: Bytes(max(0, s.OS.Mem.Total)),
			Disk: Bytes(max(0, s.FS.Total.Total)), Free: Bytes(max(0, s.FS.Total.Available)), Started: time.UnixMilli(n.JVM.Started).UTC(),
		}
		for _, role := range n.Roles {
			node.Data = node.Data || role == "data" || strings.HasPrefix(role, "data_")
			node.Manager = node.Manager || role == "cluster_manager" || role == "master"
		}
		f.Nodes = append(f.Nodes, node)
	}
	if len(f.Nodes) == 0 {
		return fmt.Errorf("%s lists no nodes", c)
	}
	slices.SortFunc(f.Nodes, func(a, b Node) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) })
	return nil
}

// lookShards counts what each index was asked, and since when.
func (f *Facts) lookShards(ctx context.Context, c *opensearch.Client) error {
	var rows []struct {
		Index   string `json:"index"`
		Shard   cell   `json:"shard"`
		State   string `json:"state"`
		Node    cell   `json:"id"`
		Queries cell   `json:"search.query_total"`
		Written cell   `json:"indexing.index_total"`
		Primary string `json:"prirep"`
	}
	if err := c.JSON(ctx, http.MethodGet, "/_cat/shards?format=json&bytes=b&h=index,shard,prirep,state,id,search.query_total,indexing.index_total", nil, &rows); err != nil {
		return err
	}
	var recoveries map[string]struct {
		Shards []struct {
			ID     int64 `json:"id"`
			Stop   int64 `json:"stop_time_in_millis"`
			Target struct {
				ID string `json:"id"`
			} `json:"target"`
		} `json:"shards"`
	}
	if err := c.JSON(ctx, http.MethodGet, "/_recovery?expand_wildcards=all&filter_path=*.shards.id,*.shards.stop_time_in_millis,*.shards.target.id,error", nil, &recoveries); err != nil {
		f.Missing = append(f.Missing, "since when shards are on their nodes: "+err.Error())
	}
	type copyOf struct {
		index, node string
		shard       int64
	}
	arrived := map[copyOf]time.Time{}
	for index, r := range recoveries {
		for _, s := range r.Shards {
			if s.Stop > 0 {
				arrived[copyOf{index, s.Target.ID, s.ID}] = time.UnixMilli(s.Stop).UTC()
			}
		}
	}
	started := map[string]time.Time{}
	at := map[string]int{}
	for i, n := range f.Nodes {
		started[n.ID], at[n.ID] = n.Started, i
	}
	byName := map[string]*Index{}
	for _, x := range f.Indices {
		byName[x.Name] = x
	}
	var oldest time.Time
	var queries, written int64
	for _, r := range rows {
		x := byName[r.Index]
		if x == nil {
			continue
		}
		if r.State != "STARTED" && r.State != "RELOCATING" {
			x.Unassigned++
			continue
		}
		id := r.Node.text()
		if i, ok := at[id]; ok {
			f.Nodes[i].Shards++
		}
		since := started[id]
		if t := arrived[copyOf{r.Index, id, r.Shard.number()}]; t.After(since) {
			since = t
		}
		if since.IsZero() { // then nobody knows since when it counts
			since = f.At
		}
		if since.After(x.Counting) {
			x.Counting = since
		}
		if oldest.IsZero() || since.Before(oldest) {
			oldest = since
		}
		x.Queries += r.Queries.number()
		queries += r.Queries.number()
		if r.Primary == "p" {
			x.Written += r.Written.number()
			written += r.Written.number()
		}
	}
	if seconds := f.At.Sub(oldest).Seconds(); seconds > 0 && !oldest.IsZero() {
		f.Documents, f.Searches = float64(written)/seconds, float64(queries)/seconds
	}
	return nil
}

func (f *Facts) lookCodecs(ctx context.Context, c *opensearch.Client) error {
	var all map[string]struct {
		Settings struct {
			Index struct {
				Codec json.RawMessage `json:"codec"`
			} `json:"index"`
		} `json:"settings"`
	}
	if err := c.JSON(ctx, http.MethodGet, "/_settings?expand_wildcards=all&filter_path=*.settings.index.codec,error", nil, &all); err != nil {
		return err
	}
	for _, x := range f.Indices {
		var name string
		if err := json.Unmarshal(all[x.Name].Settings.Index.Codec, &name); err == nil && name != "" {
			x.Codec = name
		}
	}
	return nil
}

func (f *Facts) lookSettings(ctx context.Context, c *opensearch.Client) error {
	type level struct {
		Cluster struct {
			Most json.RawMessage `json:"max_shards_per_node"`
		} `json:"cluster"`
	}
	var answer struct {
		Persistent level `json:"persistent"`
		Transient  level `json:"transient"`
		Defaults   level `json:"defaults"`
	}
	if err := c.JSON(ctx, http.MethodGet, "/_cluster/settings?include_defaults=true&filter_path=*.cluster.max_shards_per_node,error", nil, &answer); err != nil {
		return err
	}
	for _, l := range []level{answer.Transient, answer.Persistent, answer.Defaults} {
		if n, err := strconv.Atoi(strings.Trim(string(l.Cluster.Most), `"`)); err == nil && n > 0 {
			f.MaxShards = n
			return nil
		}
	}
	return nil
}

// lookObjects reads the templates and policies. A cluster may have no policies.
func (f *Facts) lookObjects(ctx context.Context, c *opensearch.Client) error {
	o := newObjects()
	var templates struct {
		Templates []struct {
			Name string         `json:"name"`
			Body map[string]any `json:"index_template"`
		} `json:"index_templates"`
	}
	var components struct {
		Templates []struct {
			Name string         `json:"name"`
			Body map[string]any `json:"component_template"`
		} `json:"component_templates"`
	}
	if err := errors.Join(
		c.JSON(ctx, http.MethodGet, "/_index_template", nil, &templates),
		c.JSON(ctx, http.MethodGet, "/_component_template", nil, &components),
	); err != nil {
		return err
	}
	for _, t := range templates.Templates {
		o.Set(IndexTemplates, t.Name, t.Body)
	}
	for _, t := range components.Templates {
		o.Set(ComponentTemplates, t.Name, t.Body)
	}
	f.Objects = o
	const page = 1000
	for from := 0; ; from += page {
		var policies struct {
			Policies []struct {
				ID     string         `json:"_id"`
				Policy map[string]any `json:"policy"`
			} `json:"policies"`
		}
		err := c.JSON(ctx, http.MethodGet, fmt.Sprintf("/_plugins/_ism/policies?size=%d&from=%d", page, from), nil, &policies)
		if e, ok := errors.AsType[*opensearch.StatusError](err); ok && (e.Status == http.StatusBadRequest || e.Status == http.StatusNotFound || e.Status == http.StatusMethodNotAllowed) {
			return nil // the plugin is not there
		}
		if err != nil {
			return err
		}
		for _, p := range policies.Policies {
			o.Set(ISMPolicies, p.ID, p.Policy)
		}
		if len(policies.Policies) < page {
			return nil
		}
	}
}

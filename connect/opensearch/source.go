package opensearch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/narudata/naru/flow"
)

// SourceOptions say what is read, and how. The zero value reads everything that is not hidden.
type SourceOptions struct {
	// Indices choose indices by name, and by the name of their data stream. Hidden indices, and those whose names
	// begin with a dot, are chosen only by their name or by a pattern that begins with a dot, too.
	Indices flow.Patterns
	// Aliases has Indices match the names of aliases also: these stand for all of their indices, whatever the
	// alias filters.
	Aliases bool
	// Absent has an index that is not there be no error, as if it had no documents.
	Absent bool
	// Streams has the indices behind a data stream be one group of its name, and their records be of the index of that
	// name, as they were written. Its Meta are those of the index that is written to.
	Streams bool
	// Versions has records carry the version of their documents.
	Versions bool
	// AsIs leaves it to the cluster when what was written becomes visible; else the indices are refreshed first.
	AsIs bool

	PageBytes int           // what an answer should have at most; a document may be larger; 0: 8 MiB
	KeepAlive time.Duration // how long the cluster keeps what it reads from between two requests; 0: 10 min
	Log       *slog.Logger  // nil: nowhere
}

// A Source reads a cluster. Its groups are the indices, its parts their shards.
//
// A shard is read as of one moment, in the order in which its documents lie on the disk, which is the fast one: with a
// point in time where the cluster has it (OpenSearch from 2.4, Elasticsearch 7.10 with the default distribution and
// later), else with a scroll. A position names the point in time, the last document of it, and how many documents come
// before, with a hash of their ids. As long as the point in time lives (KeepAlive after its last use), reading goes on
// right there, in another process too. After that, or with a scroll, the documents before the position are passed over
// and their ids hashed again: if the shard has not changed, reading goes on; if it has, that is a Permanent error,
// as what was read and what was not can no longer be told apart.
type Source struct {
	client  *Client
	o       SourceOptions
	indices []catalogued

	mu     sync.Mutex // guards the rest
	scroll bool       // there are no points in time
	kept   []string   // points in time that no reader has, the least recently used first
}

var (
	_ flow.Source    = (*Source)(nil)
	_ flow.Describer = (*Source)(nil)
)

// keptContexts is how many points in time stay open for readers that may come back.
const keptContexts = 64

// NewSource looks up what the cluster has. An index that is named and not there is an error, and so is it if nothing
// matches, unless Absent says otherwise.
func NewSource(ctx context.Context, client *Client, o SourceOptions) (*Source, error) {
	if err := o.Indices.Validate(); err != nil {
		return nil, err
	}
	if o.PageBytes <= 0 {
		o.PageBytes = 8 << 20
	}
	if o.KeepAlive <= 0 {
		o.KeepAlive = 10 * time.Minute
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	all, some, err := client.catalog(ctx, o.Aliases, o.Indices)
	if err != nil {
		return nil, err
	}
	s := &Source{client: client, o: o}
	for _, x := range all {
		if x.chosen(o.Indices) {
			s.indices = append(s.indices, x)
		}
	}
	if names := missing(o.Indices, s.indices); len(names) > 0 && !o.Absent {
		return nil, fmt.Errorf("%s: there is no index %s", client, strings.Join(names, ", "))
	}
	if len(s.indices) == 0 && len(o.Indices) > 0 && !o.Absent {
		return nil, fmt.Errorf("%s: no index matches %s", client, strings.Join(o.Indices, " "))
	}
	if err := client.measure(ctx, s.indices, some); err != nil {
		return nil, err
	}
	if !o.AsIs {
		s.refresh(ctx)
		if err := client.measure(ctx, s.indices, some); err != nil {
			return nil, err
		}
	}
	info := client.Info()
	s.scroll = !(info.OpenSearch() && (info.Major > 2 || info.Major == 2 && info.Minor >= 4) ||
		!info.OpenSearch() && (info.Major > 7 || info.Minor >= 10))
	return s, nil
}

func (s *Source) String() string { return s.client.String() }

// Identity says what exactly is read: the cluster, at whatever address, and the indices.
func (s *Source) Identity() string {
	info := s.client.Info()
	identity := fmt.Sprintf("cluster %s (%s)", info.Name, info.UUID)
	if len(s.o.Indices) > 0 {
		identity += ", indices " + strings.Join(s.o.Indices, " ")
		if s.o.Aliases {
			identity += " and aliases"
		}
	}
	return identity
}

// Close gives back what the cluster keeps for the readers, which must be closed.
func (s *Source) Close() error {
	s.mu.Lock()
	kept := s.kept
	s.kept = nil
	s.mu.Unlock()
	for _, id := range kept {
		s.forget(id, false)
	}
	return nil
}

// refresh makes what was written visible. Who may only read is not allowed to; the cluster does it by itself then,
// sooner or later.
func (s *Source) refresh(ctx context.Context) {
	_ = s.each(ctx, func(ctx context.Context, x *catalogued) error {
		if x.red || x.why() != "" { // a refresh waits a minute for shards that are not there
			return nil
		}
		if err := s.client.JSON(ctx, http.MethodPost, "/"+url.PathEscape(x.name)+"/_refresh", nil, nil); err != nil {
			s.o.Log.Debug("refresh failed", "index", x.name, "err", err)
		}
		return nil
	})
}

// each calls do for all indices, several at a time, and gives the first error.
func (s *Source) each(ctx context.Context, do func(context.Context, *catalogued) error) error {
	const atATime = 8
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan *catalogued)
	var workers sync.WaitGroup
	for range min(atATime, len(s.indices)) {
		workers.Go(func() {
			for x := range next {
				if err := do(ctx, x); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range s.indices {
		if ctx.Err() != nil {
			break
		}
		next <- &s.indices[i]
	}
	close(next)
	workers.Wait()
	return context.Cause(ctx)
}

// Groups implements flow.Describer. The numbers of documents are those of the moment.
func (s *Source) Groups(ctx context.Context) ([]flow.Group, error) {
	groups := make([]flow.Group, len(s.indices))
	at := make(map[string]int, len(s.indices))
	for i := range s.indices {
		at[s.indices[i].name] = i
	}
	err := s.each(ctx, func(ctx context.Context, x *catalogued) error {
		g, err := s.describe(ctx, x)
		groups[at[x.name]] = g
		return err
	})
	if err != nil {
		return nil, err
	}
	if s.o.Streams {
		groups = s.together(groups)
	}
	return groups, nil
}

// group is the name of the group of an index.
func (s *Source) group(x *catalogued) string {
	if s.o.Streams && x.stream != "" {
		return x.stream
	}
	return x.name
}

// together makes one group of those of a data stream, whose indices are in the order of their names.
func (s *Source) together(groups []flow.Group) []flow.Group {
	var out []flow.Group
	at := map[string]int{}
	for i, g := range groups {
		g.Name = s.group(&s.indices[i])
		first, more := at[g.Name]
		if !more {
			at[g.Name] = len(out)
			out = append(out, g)
			continue
		}
		all := &out[first]
		all.Meta = g.Meta
		all.Bytes += g.Bytes
		if all.Records < 0 || g.Records < 0 {
			all.Records = -1
		} else {
			all.Records += g.Records
		}
		if all.Grade == flow.Lossless || g.Grade == flow.Unreadable {
			all.Grade, all.Why = g.Grade, g.Why
		}
	}
	return out
}

func (s *Source) describe(ctx context.Context, x *catalogued) (flow.Group, error) {
	g := flow.Group{Name: x.name, Records: -1, Bytes: x.bytes, Grade: flow.Lossless}
	var about map[string]struct {
		Mappings json.RawMessage `json:"mappings"`
		Settings map[string]any  `json:"settings"`
		Aliases  json.RawMessage `json:"aliases"`
	}
	at := "/" + url.PathEscape(x.name)
	if err := s.client.JSON(ctx, http.MethodGet, at+"?flat_settings=true&expand_wildcards=all", nil, &about); err != nil {
		return g, fmt.Errorf("describe %s: %w", x.name, err)
	}
	it := about[x.name]
	if it.Mappings == nil {
		it.Mappings = json.RawMessage("{}")
	}
	meta, err := json.Marshal(map[string]any{
		"mappings": map[string]json.RawMessage{"_doc": it.Mappings}, "settings": it.Settings, "aliases": it.Aliases,
	})
	if err != nil {
		return g, fmt.Errorf("describe %s: %w", x.name, err)
	}
	g.Meta = meta
	g.Grade, g.Why = grade(it.Mappings, it.Settings)
	if why := x.why(); why != "" {
		g.Grade, g.Why = flow.Unreadable, why
		return g, nil
	}
	var n struct {
		Count  int64
		Shards shardsOf `json:"_shards"`
	}
	switch err := s.client.JSON(ctx, http.MethodGet, at+"/_count", nil, &n); {
	case err != nil && x.red: // said by the parts
	case err != nil:
		return g, fmt.Errorf("count %s: %w", x.name, err)
	case n.Shards.Failed == 0:
		g.Records = n.Count
		if n.Count < x.documents && !nested(it.Mappings) {
			return g, s.concealed(ctx, x, &g)
		}
	}
	return g, nil
}

// nested reports that an index may have more documents than people see: each nested object is one.
func nested(mappings json.RawMessage) bool { return bytes.Contains(mappings, []byte(`"nested"`)) }

// concealed looks whether roles hide documents of an index from who asks. All that can be seen of it is that the index's own
// statistics, which know no roles, count more; so may they where documents are deleted at this moment.
func (s *Source) concealed(ctx context.Context, x *catalogued, g *flow.Group) error {
	if s.client.nobody() {
		return nil
	}
	at := "/" + url.PathEscape(x.name)
	var has [2]int64 // before and after
	var n struct{ Count int64 }
	for i := range has {
		of := []catalogued{*x}
		if err := s.client.measureAt(ctx, of, at); err != nil {
			return err
		}
		has[i] = of[0].documents
		if i > 0 {
			break
		}
		if err := s.client.JSON(ctx, http.MethodGet, at+"/_count", nil, &n); err != nil {
			return fmt.Errorf("count %s: %w", x.name, err)
		}
	}
	if n.Count < min(has[0], has[1]) && g.Grade == flow.Lossless {
		g.Grade, g.Why = flow.Partial, "roles hide documents from this user (document-level security): fewer can be read than the index has"
	}
	return nil
}

// grade judges by mapping and settings what of its documents an index can give.
func grade(mappings json.RawMessage, settings map[string]any) (flow.Grade, string) {
	var m struct {
		Source struct {
			Enabled            any
			Mode               string
			Includes, Excludes []string
		} `json:"_source"`
	}
	if err := json.Unmarshal(mappings, &m); err != nil {
		return flow.Lossless, ""
	}
	setting := func(name string) string { return fmt.Sprint(settings["index."+name]) }
	mode := m.Source.Mode
	if mode == "" && settings["index.mapping.source.mode"] != nil {
		mode = setting("mapping.source.mode")
	}
	if mode == "" && (setting("mode") == "time_series" || setting("mode") == "logsdb") {
		mode = "synthetic"
	}
	switch {
	case fmt.Sprint(m.Source.Enabled) == "false" || mode == "disabled":
		return flow.Unreadable, "_source is disabled: the index keeps ids only"
	case mode == "synthetic" || setting("derived_source.enabled") == "true":
		return flow.Partial, "_source is not kept: the cluster makes documents up out of its index"
	case len(m.Source.Includes)+len(m.Source.Excludes) > 0:
		return flow.Partial, "_source leaves fields out"
	}
	return flow.Lossless, ""
}

// spec is a part's own description.
type spec struct {
	Index    string `json:"index"`
	Stream   string `json:"stream,omitempty"` // whose its records are
	UUID     string `json:"uuid"`
	Shard    int    `json:"shard"`
	Replicas int    `json:"replicas"`
	Window   int    `json:"window"`
	Document int64  `json:"document"` // guess of a document's size
}

// Parts implements flow.Source: the shards, in the order of their indices. One that cannot be read comes with the
// reason.
func (s *Source) Parts(ctx context.Context) iter.Seq2[flow.Part, error] {
	return func(yield func(flow.Part, error) bool) {
		for i := range s.indices {
			if err := ctx.Err(); err != nil {
				yield(flow.Part{}, err)
				return
			}
			x := &s.indices[i]
			if why := x.why(); why != "" {
				if !yield(flow.Part{ID: x.name, Group: s.group(x)}, flow.Permanent(errors.New(why))) {
					return
				}
				continue
			}
			var red map[int]bool
			if x.red {
				var err error
				if red, err = s.client.redShards(ctx, x.name); err != nil {
					if !yield(flow.Part{ID: x.name, Group: s.group(x)}, err) {
						return
					}
					continue
				}
			}
			sp := spec{Index: x.name, UUID: x.uuid, Replicas: x.replicas, Window: x.window, Document: 1 << 10}
			if s.o.Streams {
				sp.Stream = x.stream
			}
			if x.documents > 0 {
				const inflated = 6 // how much larger documents are than what the index takes on the disk
				sp.Document = max(x.bytes/x.documents*inflated, 100)
			}
			for n := range x.shards {
				sp.Shard = n
				raw, err := json.Marshal(sp)
				if err != nil {
					panic("BUG: a part's description is not JSON: " + err.Error())
				}
				part := flow.Part{ID: x.name + "/" + strconv.Itoa(n), Group: s.group(x), Spec: raw, Bytes: x.bytes / int64(x.shards)}
				if red[n] {
					err = fmt.Errorf("shard %d has no copy that can be read: the index is red", n)
				}
				if !yield(part, err) {
					return
				}
			}
		}
	}
}

// Open implements flow.Source. Nothing is asked of the cluster before the first Read.
func (s *Source) Open(ctx context.Context, p flow.Part, from flow.Position) (flow.Reader, error) {
	r := &reader{s: s, part: p.ID, hit: &hit{}, total: -1}
	if err := json.Unmarshal(p.Spec, &r.spec); err != nil {
		return nil, flow.Permanent(fmt.Errorf("part %q is none of a cluster's: %w", p.ID, err))
	}
	r.size = s.firstSize(&r.spec)
	r.chain = seed(r.spec.UUID, r.spec.Shard)
	if len(from) > 0 {
		at, err := parsePlace(from)
		if err != nil {
			return nil, flow.Permanent(fmt.Errorf("part %s: %w", p.ID, err))
		}
		r.resume(at)
	}
	r.ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return r, nil
}

func (s *Source) firstSize(sp *spec) int {
	const most = 1000 // what is a guess should not be large
	return int(min(max(int64(s.o.PageBytes)/max(sp.Document, 1), 1), most, int64(max(sp.Window, 1))))
}

// keep leaves a point in time open for whoever comes back with a position in it.
func (s *Source) keep(id string) {
	s.mu.Lock()
	s.kept = append(s.kept, id)
	oldest := ""
	if len(s.kept) > keptContexts {
		oldest = s.kept[0]
		s.kept = slices.Delete(s.kept, 0, 1)
	}
	s.mu.Unlock()
	if oldest != "" {
		s.forget(oldest, false)
	}
}

func (s *Source) take(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.kept, id); i >= 0 {
		s.kept = slices.Delete(s.kept, i, i+1)
	}
}

// forget tells the cluster that a point in time or scroll is needed no longer; if that fails, it finds out by itself.
func (s *Source) forget(id string, scroll bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	path, body := "/_pit", any(map[string]string{"id": id})
	switch {
	case scroll:
		path, body = "/_search/scroll", map[string][]string{"scroll_id": {id}}
	case s.client.Info().OpenSearch():
		path, body = "/_search/point_in_time", map[string][]string{"pit_id": {id}}
	}
	if err := s.client.JSON(ctx, http.MethodDelete, path, body, nil); err != nil {
		s.o.Log.Debug("closing a point in time or scroll failed", "err", err)
	}
}

var _ io.Closer = (*Source)(nil)

package clone

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/narudata/naru/connect"
	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stage"
)

// Flow is what carries the documents. It may be run again, and by several processes at a time. Beyond the budget it ends with
// a BudgetError.
func (p *Plan) Flow(from, to Side) *connect.Flow {
	r := p.Record
	var stages []connect.Stage
	if r.Rate < 1 {
		stages = append(stages, connect.Stage{Sample: &stage.Sample{Rate: r.Rate, By: r.By}})
	}
	if len(r.Mask) > 0 {
		stages = append(stages, connect.Stage{Mask: &stage.Mask{Fields: r.Mask, KeyFile: p.keyFile}})
	}
	sink := &connect.ClusterSink{Access: access(to.Desired.Target), Unprocessed: true, Streams: true}
	if r.Budget > 0 {
		sink.Admit = p.meter(to.Search).admit
	}
	return &connect.Flow{
		Source:  connect.Source{OpenSearch: &connect.ClusterSource{Access: access(from.Desired.Target), Indices: r.exactly(), Absent: true, Streams: true}},
		Stages:  stages,
		Sink:    connect.Sink{OpenSearch: sink},
		Through: func(s flow.Source) flow.Source { return &through{Source: s, record: r} },
	}
}

func access(t opensearch.Target) connect.Access {
	return connect.Access{URLs: t.URLs, Auth: t.Auth, TLS: t.TLS}
}

// through gives a source's records, groups and parts the names and metadata of the clone.
type through struct {
	flow.Source
	record *Record
}

var (
	_ flow.Source    = (*through)(nil)
	_ flow.Describer = (*through)(nil)
)

// Identity is the same as long as the clone is.
func (t *through) Identity() string { return t.record.identity() }

// identity is what the names of the clone's carries in the ledger begin with.
func (r *Record) identity() string { return "clone " + r.ID + " of " + r.Of }

// Groups implements flow.Describer.
func (t *through) Groups(ctx context.Context) ([]flow.Group, error) {
	d, ok := t.Source.(flow.Describer)
	if !ok {
		return nil, nil
	}
	groups, err := d.Groups(ctx)
	if err != nil {
		return nil, err
	}
	for i := range groups {
		if groups[i], err = t.record.group(groups[i]); err != nil {
			return nil, err
		}
	}
	return groups, nil
}

// Parts implements flow.Source.
func (t *through) Parts(ctx context.Context) iter.Seq2[flow.Part, error] {
	return func(yield func(flow.Part, error) bool) {
		for p, err := range t.Source.Parts(ctx) {
			if p.Group != "" {
				p.Group = t.record.Prefix + p.Group
			}
			if !yield(p, err) {
				return
			}
		}
	}
}

// Open implements flow.Source.
func (t *through) Open(ctx context.Context, p flow.Part, from flow.Position) (flow.Reader, error) {
	r, err := t.Source.Open(ctx, p, from)
	if err != nil || t.record.Prefix == "" {
		return r, err
	}
	return &renaming{Reader: r, prefix: t.record.Prefix}, nil
}

// renaming gives the records of a part, which are all of one index, its new name.
type renaming struct {
	flow.Reader
	prefix   string
	old, new string
}

func (r *renaming) Read(ctx context.Context, b *flow.Batch) error {
	first := len(b.Records)
	err := r.Reader.Read(ctx, b)
	for i := first; i < len(b.Records); i++ {
		rec := &b.Records[i]
		if rec.Index != r.old || r.new == "" {
			r.old, r.new = rec.Index, r.prefix+rec.Index
		}
		rec.Index = r.new
	}
	return err
}

// later are settings that an index gets when all is carried: what changes documents, or what the carry does not give it.
var later = []string{
	"index.default_pipeline", "index.final_pipeline", "index.search.", "index.indexing.slowlog.", "index.translog.", "index.merge.", "index.hidden", "index.priority",
	"index.gc_deletes", "index.highlight.", "index.unassigned.",
}

func isLater(setting string) bool {
	for _, name := range later {
		if setting == name || strings.HasSuffix(name, ".") && strings.HasPrefix(setting, name) {
			return true
		}
	}
	return false
}

// mark is what the mapping of an index of the clone has in its _meta.
func (r *Record) mark() map[string]any {
	m := map[string]any{"id": r.ID, "of": r.Of}
	if !r.Until.IsZero() {
		m["until"] = r.Until.UTC().Format(time.RFC3339)
	}
	return m
}

const markName = "naru_clone"

// group is a group of the source as one of the clone: with its name, the clone's mark, and aliases of the clone.
func (r *Record) group(g flow.Group) (flow.Group, error) {
	var meta sourceMeta
	if err := json.Unmarshal(g.Meta, &meta); err != nil {
		return g, fmt.Errorf("what is said of %s: %w", g.Name, err)
	}
	g.Name = r.Prefix + g.Name
	mapping := meta.Mappings["_doc"]
	if mapping == nil {
		mapping = map[string]any{}
	}
	own, _ := mapping["_meta"].(map[string]any)
	if own == nil {
		own = map[string]any{}
	}
	delete(own, "naru") // of another carry
	own[markName] = r.mark()
	mapping["_meta"] = own
	delete(mapping, "_data_stream_timestamp")
	settings := map[string]any{}
	for name, v := range meta.Settings {
		if !isLater(name) && !strings.HasPrefix(name, "index.plugins.index_state_management") && !strings.HasPrefix(name, "index.blocks.") {
			settings[name] = v
		}
	}
	if r.Replicas >= 0 {
		settings["index.number_of_replicas"] = strconv.Itoa(r.Replicas)
		delete(settings, "index.auto_expand_replicas")
	}
	aliases := map[string]map[string]any{}
	for alias, a := range meta.Aliases {
		aliases[r.Prefix+alias] = a
	}
	b, err := json.Marshal(sourceMeta{Mappings: map[string]map[string]any{"_doc": mapping}, Settings: settings, Aliases: aliases})
	g.Meta = b
	return g, err
}

// A BudgetError is that a clone would take more than its budget. What is carried stays; with a larger budget the clone goes
// on.
type BudgetError struct{ Takes, Budget int64 }

func (e *BudgetError) Error() string {
	return fmt.Sprintf("the clone takes %s, and its budget is %s: give it a larger one to go on (the documents that are there are not all that belong together), "+
		"or take it away and begin with a lower rate", bytesText(e.Takes), bytesText(e.Budget))
}

// A meter sees to it that a clone stays within its budget. It counts what is written as what the documents took in the other
// environment, and asks the cluster now and then what it really is; the larger number counts. What the cluster has not
// written to its disks yet it does not tell, so that a clone may end a little above its budget.
type meter struct {
	client *opensearch.Client
	record *Record
	every  time.Duration
	each   map[string]float64 // bytes of a document with all copies, by index
	copies map[string]int64

	mu    sync.Mutex // guards what follows
	asked time.Time
	count float64 // bytes: what was there at the beginning, and was written since
	then  float64 // what it was when the cluster was asked last
	takes int64   // that the cluster said then
}

func (p *Plan) meter(c *opensearch.Client) *meter {
	const every = 2 * time.Second
	m := &meter{client: c, record: p.Record, every: every, each: map[string]float64{}, copies: map[string]int64{}}
	for _, x := range p.Indices {
		m.copies[x.As] = x.Copies
		if x.Documents > 0 {
			m.each[x.As] = float64(x.Bytes) * float64(x.Copies) / float64(x.Documents)
		}
	}
	return m
}

// admit is asked before records are written.
func (m *meter) admit(ctx context.Context, recs []flow.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	const step = 20 // parts of the budget: after each the cluster is asked again
	if m.asked.IsZero() || time.Since(m.asked) >= m.every || m.count-m.then > float64(m.record.Budget)/step {
		takes, err := m.measure(ctx)
		switch {
		case err == nil:
			if m.asked.IsZero() {
				m.count = float64(takes)
			}
			m.takes, m.asked, m.then = takes, time.Now(), m.count
		case m.asked.IsZero(): // without a beginning nothing can be counted
			return fmt.Errorf("what the clone takes: %w", err)
		}
	}
	for i := range recs {
		m.count += m.each[recs[i].Index]
	}
	if takes := max(m.takes, int64(m.count)); takes > m.record.Budget {
		return &BudgetError{takes, m.record.Budget}
	}
	return nil
}

// measure asks what the clone's indices take, with the replicas that they are to get.
func (m *meter) measure(ctx context.Context) (int64, error) {
	sizes, err := sizesOf(ctx, m.client)
	if err != nil {
		return 0, err
	}
	var all int64
	for _, x := range m.record.Made {
		all += sizes.of(x) * max(m.copies[x.Name], 1)
	}
	return all, nil
}

// sizes are the bytes of the primary shards of a cluster's indices.
type sizes map[string]int64

func sizesOf(ctx context.Context, c *opensearch.Client) (sizes, error) {
	var rows []struct {
		Index string  `json:"index"`
		Bytes *string `json:"pri.store.size"`
	}
	if err := c.JSON(ctx, http.MethodGet, "/_cat/indices?format=json&bytes=b&h=index,pri.store.size&expand_wildcards=all", nil, &rows); err != nil {
		return nil, fmt.Errorf("sizes of the indices of %s: %w", c, err)
	}
	out := sizes{}
	for _, r := range rows {
		if r.Bytes == nil {
			continue
		}
		if n, err := strconv.ParseInt(*r.Bytes, 10, 64); err == nil {
			out[r.Index] = n
		}
	}
	return out, nil
}

// of is what an index takes, or all that are behind a data stream.
func (s sizes) of(m *Made) int64 {
	if !m.Stream {
		return s[m.Name]
	}
	var n int64
	for name, bytes := range s {
		if strings.HasPrefix(name, ".ds-"+m.Name+"-") {
			n += bytes
		}
	}
	return n
}

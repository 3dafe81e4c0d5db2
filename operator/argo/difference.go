package argo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/logstash/input"
	"github.com/narudata/naru/migrate/compare"
)

// difference compares what the stable version and the canary in shadow have made of the same records.
func (p *platform) difference(ctx context.Context, namespace, of string, m *Metric) (*measured, error) {
	admin, err := p.admin(ctx, namespace, m.Kafka)
	if err != nil {
		return nil, err
	}
	route, err := canaryRoute(ctx, admin, m.Group, of)
	if err != nil {
		return nil, err
	}
	client, err := p.client(ctx, namespace, m.OpenSearch)
	if err != nil {
		return nil, err
	}
	o := compare.Options{Key: m.Key, Ignore: m.ignored(), MemoryBytes: 64 << 20, Examples: 1}
	shadow := beside(m.Index, route.Canary)
	records := int64(0)
	var stable, canary compare.Source
	if m.TimeField == "" {
		spans, err := admin.ShadowSpan(ctx, m.Group, route.Canary, orElse(m.MostRecord, usualRecords))
		if err != nil {
			return nil, err
		}
		for _, s := range spans {
			records += s.To - s.From
		}
		if least := orElse(m.Least, usualLeast); records < least {
			return nil, noData("both versions have delivered %d records since the shadow began, and %d are needed", records, least)
		}
		cluster, err := admin.ClusterID(ctx)
		if err != nil {
			return nil, err
		}
		stable, canary = &documents{client, m.Index, cluster, spans}, &documents{client, shadow, cluster, spans}
	} else {
		o.TimeField, o.Window = m.TimeField, compare.Window{Since: route.At, Until: time.Now().Add(-span(m.SettleTime, 30*time.Second))}
		if !o.Window.Until.After(o.Window.Since) {
			return nil, noData("the shadow has begun %s ago: there is nothing to compare yet", time.Since(route.At).Round(time.Second))
		}
		for side, index := range map[*compare.Source]string{&stable: m.Index, &canary: shadow} {
			source, end, err := compare.Cluster(ctx, client, index, m.TimeField, o.Window, p.log)
			if err != nil {
				return nil, err
			}
			defer func() { _ = end() }()
			*side = source
		}
	}
	r, err := compare.Compare(ctx, stable, canary, o)
	if err != nil {
		return nil, err
	}
	out, all := resultOf(r, records)
	if all == 0 {
		return nil, noData("neither version has documents of these records in %s and %s: are they told by document ids of their own? then give timeField and key", m.Index, shadow)
	}
	if m.TimeField != "" && all < orElse(m.Least, usualLeast) {
		return nil, noData("there are %d documents to compare, and %d are needed", all, orElse(m.Least, usualLeast))
	}
	if m.TimeField != "" {
		delete(out, "records") // they were not counted
	}
	return &measured{out, map[string]string{"canary": route.Canary, "stable": route.Stable, "fields": topFields(r), "index": m.Index, "shadow": shadow}}, nil
}

// ignored are the fields that are not compared.
func (m *Metric) ignored() []string {
	if m.Ignore != nil {
		return *m.Ignore
	}
	return []string{"@timestamp"}
}

// resultOf gives what a comparison found, and of how many documents.
func resultOf(r *compare.Report, records int64) (out result, all int64) {
	all = r.Pairs() + r.OnlyA + r.OnlyB
	return result{
		"share": float64(r.Different+r.OnlyA+r.OnlyB) / float64(max(all, 1)), "documents": float64(all), "equal": float64(r.Equal), "different": float64(r.Different),
		"onlyStable": float64(r.OnlyA), "onlyCanary": float64(r.OnlyB), "records": float64(records),
	}, all
}

// canaryRoute gives the route of a group, of which a Rollout's canary is the canary.
func canaryRoute(ctx context.Context, admin *kafka.Admin, group, canary string) (*kafka.Route, error) {
	route, err := admin.Route(ctx, group)
	if err == nil {
		err = isCanary(route, group, canary)
	}
	return route, err
}

// isCanary says why there is nothing to measure of a canary: while the router has not told its version yet, what the version before did
// is no news of this one. canary "": whichever it is.
func isCanary(route *kafka.Route, group, canary string) error {
	switch {
	case route == nil || route.Canary == "":
		return noData("group %s has no canary", group)
	case canary != "" && route.Canary != canary:
		return noData("the canary of group %s is still %s, and %s is to be measured", group, route.Canary, canary)
	}
	return nil
}

// beside gives the indices that a canary writes in shadow for those of the stable version.
func beside(indices, hash string) string {
	names := strings.Split(indices, ",")
	for i, n := range names {
		names[i] = input.ShadowPrefix(hash) + strings.TrimSpace(n)
	}
	return strings.Join(names, ",")
}

const mostFields = 5

// topFields says in a line what changed most.
func topFields(r *compare.Report) string {
	var parts []string
	for i := range r.Moves {
		m := &r.Moves[i]
		parts = append(parts, fmt.Sprintf("%s is now %s (%d)", m.From, m.To, m.Documents))
	}
	for i := range r.Changes {
		c := &r.Changes[i]
		text := fmt.Sprintf("%s (%d", c.What(), c.Documents)
		if len(c.Examples) > 0 {
			text += ": " + clip(c.Examples[0].Before) + " → " + clip(c.Examples[0].After)
		}
		parts = append(parts, text+")")
	}
	if len(parts) > mostFields {
		parts = append(parts[:mostFields], fmt.Sprintf("and %d more", len(parts)-mostFields))
	}
	return strings.Join(parts, "; ")
}

// clip is the beginning of a value; a message in a Rollout's status is short.
func clip(s string) string {
	if s == "" {
		return "nothing"
	}
	if runes := []rune(s); len(runes) > 40 {
		return string(runes[:40]) + "…"
	}
	return s
}

// documents are those of spans of records in indices, by their ids: the first event of each record has the id that names the record,
// the next ones a number behind it.
type documents struct {
	client  *opensearch.Client
	index   string
	cluster string
	spans   []kafka.OffsetSpan
}

var _ compare.Source = (*documents)(nil)

const (
	idsAtATime = 1000 // fewer than index.max_result_window and indices.query.bool.max_clause_count allow
	mostEvents = 1000 // of a record
)

// Read implements compare.Source.
func (d *documents) Read(ctx context.Context, visit func([]flow.Record) error) error {
	path := make([]string, 0, 4)
	for name := range strings.SplitSeq(d.index, ",") {
		path = append(path, url.PathEscape(name))
	}
	at := "/" + strings.Join(path, ",")
	const missing = "?ignore_unavailable=true&allow_no_indices=true"
	if err := d.client.JSON(ctx, http.MethodPost, at+"/_refresh"+missing, nil, nil); err != nil {
		return err
	}
	ids := make([]string, 0, idsAtATime)
	ask := func() error {
		first := slices.Clone(ids)
		ids = ids[:0]
		for n := 0; len(first) > 0 && n < mostEvents; n++ {
			wanted := first
			if n > 0 {
				wanted = make([]string, len(first))
				for i, id := range first {
					wanted[i] = id + ":" + strconv.Itoa(n)
				}
			}
			found, err := d.search(ctx, at+"/_search"+missing, wanted, visit)
			if err != nil {
				return err
			}
			there := first[:0:0]
			for i, id := range first { // the next event can only be there if this one is
				if found[wanted[i]] {
					there = append(there, id)
				}
			}
			first = there
		}
		return nil
	}
	for _, s := range d.spans {
		for offset := s.From; offset < s.To; offset++ {
			ids = append(ids, kafka.EventID(d.cluster, s.Topic, s.Partition, offset))
			if len(ids) == idsAtATime {
				if err := ask(); err != nil {
					return err
				}
			}
		}
	}
	return ask()
}

// search gives the documents that have ids, and says which were there.
func (d *documents) search(ctx context.Context, path string, ids []string, visit func([]flow.Record) error) (map[string]bool, error) {
	var answer struct {
		TimedOut bool `json:"timed_out"`
		Shards   struct {
			Failed int `json:"failed"`
		} `json:"_shards"`
		Hits struct {
			Hits []struct {
				Index   string          `json:"_index"`
				ID      string          `json:"_id"`
				Routing *string         `json:"_routing"`
				Source  json.RawMessage `json:"_source"`
			} `json:"hits"`
		} `json:"hits"`
	}
	body := map[string]any{"size": 10 * idsAtATime, "query": map[string]any{"ids": map[string]any{"values": ids}}, "sort": []string{"_doc"}}
	if err := d.client.JSON(ctx, http.MethodPost, path, body, &answer); err != nil {
		return nil, err
	}
	if answer.TimedOut || answer.Shards.Failed > 0 {
		return nil, fmt.Errorf("%d shards of %s did not answer", answer.Shards.Failed, d.index)
	}
	found := map[string]bool{}
	recs := make([]flow.Record, 0, len(answer.Hits.Hits))
	for _, h := range answer.Hits.Hits {
		found[h.ID] = true
		r := flow.Record{Index: h.Index, Key: []byte(h.ID), Body: h.Source}
		if h.Routing != nil {
			r.Routing = []byte(*h.Routing)
		}
		recs = append(recs, r)
	}
	return found, visit(recs)
}

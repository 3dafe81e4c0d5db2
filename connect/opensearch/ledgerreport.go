package opensearch

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/narudata/naru/flow"
)

// ledgerReport is the document of what a worker reported: with the id CARRY-WORKER, the latter a hash.
type ledgerReport struct {
	Kind    string             `json:"kind"` // "report"
	Carry   string             `json:"carry"`
	Key     string             `json:"key"`
	Worker  string             `json:"worker"`
	Updated int64              `json:"updated"`
	Failed  []flow.PartFailure `json:"failed,omitempty"`
	Reasons []flow.Reason      `json:"reasons,omitempty"`
}

// Bounds of what is kept of reports.
const (
	mostFailures = 200
	mostReports  = 1000
)

// Report keeps what a run of this worker's came to, for whoever asks for the carry's status: which parts failed in it,
// and why records became dead letters in this and its earlier runs.
func (l *Ledger) Report(ctx context.Context, r *flow.Report) error {
	doc := ledgerReport{Kind: "report", Carry: l.id, Key: l.key("worker " + l.o.Worker), Worker: l.o.Worker, Updated: l.now().UnixMilli()}
	doc.Failed = r.Failed[:min(len(r.Failed), mostFailures)]
	l.mu.Lock()
	if l.reasons == nil {
		l.reasons = map[string]*flow.Reason{}
	}
	addReasons(l.reasons, r.Reasons)
	doc.Reasons = frequent(l.reasons)
	l.mu.Unlock()
	err := patiently(ctx, func() error { return l.client.JSON(ctx, http.MethodPut, l.path("/_doc/"+doc.Key), doc, nil) })
	if err != nil {
		return fmt.Errorf("keep the report in ledger %s at %s: %w", l.o.Index, l.client, err)
	}
	return nil
}

func addReasons(to map[string]*flow.Reason, more []flow.Reason) {
	for _, r := range more {
		if known := to[r.Message]; known != nil {
			known.Count += r.Count
			continue
		}
		to[r.Message] = &r
	}
}

func frequent(reasons map[string]*flow.Reason) []flow.Reason {
	var list []flow.Reason
	for _, r := range reasons {
		list = append(list, *r)
	}
	slices.SortFunc(list, func(a, b flow.Reason) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Message, b.Message))
	})
	return list
}

// reportsOf reads what the workers of a carry reported, the latest first. The index has been refreshed.
func reportsOf(ctx context.Context, c *Client, index, carry string) ([]ledgerReport, error) {
	var answer struct {
		Hits struct {
			Hits []got[ledgerReport] `json:"hits"`
		} `json:"hits"`
	}
	query := map[string]any{
		"size": mostReports, "sort": []any{map[string]any{"updated": "desc"}},
		"query": map[string]any{"bool": map[string]any{"filter": []any{
			map[string]any{"term": map[string]any{"carry": carry}}, map[string]any{"term": map[string]any{"kind": "report"}},
		}}},
	}
	err := patiently(ctx, func() error {
		return c.JSON(ctx, http.MethodPost, "/"+url.PathEscape(index)+"/_search", query, &answer)
	})
	var reports []ledgerReport
	for _, h := range answer.Hits.Hits {
		reports = append(reports, h.Source)
	}
	return reports, err
}

// report enters what workers reported. Of a part that failed several times the last failure counts.
func (s *summary) report(reports []ledgerReport) {
	failed := map[string]flow.PartFailure{}
	reasons := map[string]*flow.Reason{}
	for _, r := range reports {
		addReasons(reasons, r.Reasons)
		for _, f := range r.Failed {
			if _, later := failed[f.Part]; !later && !s.done[f.Part] {
				failed[f.Part] = f
			}
		}
	}
	for _, part := range slices.Sorted(maps.Keys(failed)) {
		s.Failed = append(s.Failed, failed[part])
	}
	s.Reasons = frequent(reasons)
}

package argo

import (
	"context"
	"math"
	"net/http"
	"time"

	"github.com/narudata/naru/logstash/witness"
	"github.com/narudata/naru/migrate/compare"
)

// outputs compares what outputs that cannot be read back (kafka, http, s3, files, …) made of the same records: what the processes of the
// stable version made, and those of the canary in shadow, which wrote nothing. Both tell it by their API.
func (p *platform) outputs(ctx context.Context, namespace, canary string, m *Metric) (*measured, error) {
	admin, err := p.admin(ctx, namespace, m.Kafka)
	if err != nil {
		return nil, err
	}
	route, err := canaryRoute(ctx, admin, m.Group, canary)
	if err != nil {
		return nil, err
	}
	if !route.Compares() || route.Stable == "" {
		return nil, noData("the canary %s does not read in shadow: its outputs are compared while it does", route.Canary)
	}
	// What is delivered is asked for first: it was made before.
	delivered, err := admin.ShadowSpan(ctx, m.Group, route.Canary, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	var sides [2][]*witness.Report
	for i, hash := range []string{route.Stable, route.Canary} {
		if sides[i], err = p.reports(ctx, namespace, hash, m); err != nil {
			return nil, err
		}
	}
	made := witness.Pair(sides[0], sides[1], delivered, orElse(m.MostRecord, usualRecords))
	if least := orElse(m.Least, usualLeast); made.Records < least {
		return nil, noData("there are %d records of which both versions tell what they made, and %d are needed", made.Records, least)
	}
	o := compare.Options{Ignore: m.ignored(), MemoryBytes: 64 << 20, Examples: 1}
	r, err := compare.Compare(ctx, made.A, made.B, o)
	if err != nil {
		return nil, err
	}
	out, all := resultOf(r, made.Records)
	if all == 0 {
		return nil, noData("neither version has made anything of %d records but documents: the measure %s compares those", made.Records, measureDifference)
	}
	return &measured{out, map[string]string{"canary": route.Canary, "stable": route.Stable, "fields": topFields(r)}}, nil
}

const (
	reportBytes = 96 << 20 // of all pods of a version
	reportTakes = 30 * time.Second
)

// reports asks the pods of a version.
func (p *platform) reports(ctx context.Context, namespace, hash string, m *Metric) ([]*witness.Report, error) {
	var out []*witness.Report
	client := *podClient
	client.Timeout = reportTakes
	err := p.eachPod(ctx, namespace, hash, m, func(_ string, req *http.Request, pods int) error {
		r, err := witness.Ask(&client, req, reportBytes/pods)
		if err == nil && r.Hash == hash {
			out = append(out, r)
		}
		return err
	})
	return out, err
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/connect"
	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/migrate/graft"
)

func newMoveCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "move FROM TO",
		short: "bring a snapshot's indices into OpenSearch, each by the cheapest safe way",
		long: `Plans like naru graft, and takes for each index the cheapest way that is known to be
safe: what OpenSearch can restore from rewritten metadata is grafted, the rest is carried
document by document, like naru carry does. FROM is a snapshot repository of
Elasticsearch, TO an OpenSearch cluster. --via is where the rewritten repository is
written for the cluster to restore: a directory below its path.repo that is in the same
file system as FROM, or s3://bucket/prefix.`,
		examples: []example{
			{"naru move /backups/es https://node-1:9200 --via /backups/os --plan", "which index would go which way"},
			{"naru move /backups/es https://node-1:9200 --via /backups/os", "move everything"},
			{"naru move s3://backups/es https://node-1:9200 --via s3://backups/os -i 'logs-*'", "from S3; data are copied by S3 itself"},
		},
		exits: graftExits,
	})
	cmd.Args = exactArgs("FROM", "TO")
	f := addGraftFlags(cmd)
	restore := &restoreFlags{}
	restore.add(cmd)
	var via string
	var plan bool
	run := &runFlags{verify: true, progress: progressChoice(), output: f.output}
	var pace connect.ClusterSink
	flags := cmd.Flags()
	flags.StringVar(&via, "via", "", "write the rewritten repository to `PLACE`")
	flags.BoolVar(&plan, "plan", false, "say which index would go which way, write nothing")
	flags.IntVar(&run.workers, "workers", 0, "read `N` parts at a time of what is carried; 0: one per processor")
	flags.StringVar(&pace.Rate, "rate", "", "carry at most `N` documents a second (5k/s)")
	flags.StringVar(&pace.Window, "window", "", "carry in this `TIME` of the day only (22:00-06:00 Asia/Seoul)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		from, err := repositoryAt(args[0])
		if err != nil {
			return err
		}
		if !isCluster(args[1]) {
			return fmt.Errorf("%s: give the address of the OpenSearch cluster, like https://node-1:9200", args[1])
		}
		restore.cluster = args[1]
		g := &grafting{common: c, f: f, from: from, to: via, restore: restore}
		if plan {
			return g.planOnly(cmd.Context())
		}
		if via == "" {
			return errors.New("say where the rewritten repository is written for the cluster to restore: --via PLACE (or --plan, to see if there is one to write)")
		}
		if sameRepository(from, via) {
			return fmt.Errorf("--via %s is FROM itself: give another place", via)
		}
		m := &moving{grafting: g, run: run, pace: pace}
		return m.move(cmd.Context())
	}
	return cmd
}

// A moving is one run of move.
type moving struct {
	*grafting
	run  *runFlags
	pace connect.ClusterSink
}

func (m *moving) move(ctx context.Context) error {
	started := time.Now()
	grafting, stop := m.interruptible(ctx)
	result, err := m.grafted(grafting)
	interrupted := grafting.Err() != nil
	stop()
	if err != nil {
		if interrupted {
			return &exitError{exitInterrupted, errors.New("interrupted; the same command goes on")}
		}
		return err
	}
	result.Next = nil
	f, err := m.rest(ctx, result)
	if err != nil {
		return err
	}
	var flowErr error
	if f != nil {
		m.run.progress.value = m.f.progress.value
		m.run.all = m.f.all
		m.run.verify = m.restore.verify
		if result.Carry, flowErr, err = m.carried(ctx, f, m.run); err != nil {
			return err
		}
	}
	result.finish(started)
	if err := m.print(m.f.output, result, func(w io.Writer, width int) error { return result.write(w, width, m.f) }); err != nil {
		return err
	}
	switch code := result.code(); {
	case flowErr != nil:
		return &exitError{exitFailed, flowErr}
	case code != exitOK:
		return &exitError{code: code}
	}
	return nil
}

// rest is the flow of what cannot be grafted; nil: there is nothing.
func (m *moving) rest(ctx context.Context, r *graftReport) (*connect.Flow, error) {
	var names []string
	for _, x := range r.Plan.Newest() {
		if x.Lane == graft.Reindex {
			names = append(names, x.Name)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	taken, err := m.taken(ctx, r.Plan)
	if err != nil {
		return nil, fmt.Errorf("which names are taken: %w", err)
	}
	var patterns []string
	for _, x := range r.Plan.Newest() {
		switch name := printable(x.Name); {
		case x.Lane != graft.Reindex:
		case taken[x.Name]:
			r.Taken = append(r.Taken, x.Name)
			r.Notes = append(r.Notes, name+" was not carried: the cluster has an index of that name, which no carry out of this repository has made")
		default:
			patterns = append(patterns, strings.ReplaceAll(x.Name, "[", `\[`))
			if x.DataStream != "" {
				r.Notes = append(r.Notes, fmt.Sprintf("%s is of the data stream %s and was carried as a plain index: the data stream is not there", name, printable(x.DataStream)))
			}
		}
	}
	if len(patterns) == 0 {
		return nil, nil
	}
	sink := m.pace
	sink.Access = m.restore.access.to(m.restore.cluster)
	return &connect.Flow{
		Source: connect.Source{Snapshot: &connect.Snapshot{URL: m.from, Snapshot: m.f.snapshot, Indices: patterns}},
		Sink:   connect.Sink{OpenSearch: &sink},
	}, nil
}

// taken gives the indices of the cluster that no carry out of the plan's repository knows: documents of these must not
// be mixed with others.
func (m *moving) taken(ctx context.Context, p *graft.Plan) (map[string]bool, error) {
	var rows []struct {
		Index string `json:"index"`
	}
	if err := m.client.JSON(ctx, http.MethodGet, "/_cat/indices?h=index&format=json&expand_wildcards=all", nil, &rows); err != nil {
		return nil, err
	}
	carries, err := opensearch.Carries(ctx, m.client, "")
	if err != nil {
		return nil, err
	}
	ours := make(map[string]bool)
	for _, identity := range carries {
		if !strings.HasPrefix(identity, "snapshot repository "+p.From) {
			continue
		}
		_, list, _ := strings.Cut(identity, ", indices ")
		list, _, _ = strings.Cut(list, ";")
		for name := range strings.FieldsSeq(list) {
			ours[strings.ReplaceAll(name, `\[`, "[")] = true
		}
	}
	taken := make(map[string]bool, len(rows))
	for _, r := range rows {
		taken[r.Index] = !ours[r.Index]
	}
	return taken, nil
}

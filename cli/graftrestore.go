package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/connect"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/migrate/graft"
	"github.com/narudata/naru/migrate/restore"
	"github.com/narudata/naru/migrate/verify"
)

// restoreFlags say where and how what was grafted is restored.
type restoreFlags struct {
	access     accessFlags
	cluster    string // "": not at all
	repository string
	location   string
	settings   []string
	replicas   int
	check      bool
	partial    bool
	ignore     []string
	existing   choice
	templates  choice
	at         int
	repairRate int
	verify     bool
}

func addRestoreFlags(cmd *cobra.Command) *restoreFlags {
	f := &restoreFlags{}
	cmd.Flags().StringVar(&f.cluster, "restore", "", "have the OpenSearch at `URL` restore what is grafted")
	f.add(cmd)
	return f
}

// add adds all flags but the one that names the cluster.
func (f *restoreFlags) add(cmd *cobra.Command) {
	f.access.add(cmd)
	f.existing = choice{value: string(restore.Skip), of: []string{string(restore.Skip), string(restore.Refuse)}}
	f.templates = choice{value: "auto", of: []string{"auto", "yes", "no"}}
	flags := cmd.Flags()
	flags.StringVar(&f.repository, "repository", "", "register the repository with OpenSearch as `NAME`, read-only; the default is naru- and the last part of its path")
	flags.StringVar(&f.location, "location", "", "the `PATH` (or S3 prefix) of the repository as the nodes of OpenSearch see it, if they see another than naru")
	flags.StringArrayVar(&f.settings, "repository-setting", nil, "a setting of the repository in OpenSearch, `KEY=VALUE`; repeatable")
	flags.IntVar(&f.replicas, "replicas", -1, "give restored indices `N` replicas; -1: as many as in the snapshot")
	flags.BoolVar(&f.check, "check-on-startup", false, "have Lucene check every restored shard whole, which reads all of it")
	flags.BoolVar(&f.partial, "partial", false, "restore also indices of which the snapshot lacks shards, without these shards")
	flags.StringSliceVar(&f.ignore, "ignore-setting", nil, "do not restore the indices' setting `NAME` (index.routing.allocation.*); repeatable")
	flags.Var(&f.existing, "existing", "what to do about names that are taken: `HOW` skip (that index) or refuse (everything)")
	flags.Var(&f.templates, "templates", "put templates and ingest pipelines that are missing: `WHEN` auto (unless --index chooses), yes or no")
	flags.IntVar(&f.at, "restores", 0, "restore `N` indices at a time; 0: 4")
	flags.IntVar(&f.repairRate, "repair-rate", 0, "repair at most `N` documents a second and index; 0: as fast as it goes")
	flags.BoolVar(&f.verify, "verify", true, "compare every restored document with the segments in the snapshot")
	complete(cmd, "existing", f.existing.of...)
	complete(cmd, "templates", f.templates.of...)
}

// repositoryOf is the repository at a place, as the cluster registers it.
func (f *restoreFlags) repositoryOf(kind string, settings map[string]any) (restore.Repository, error) {
	for _, s := range f.settings {
		key, value, ok := strings.Cut(s, "=")
		if !ok || key == "" {
			return restore.Repository{}, fmt.Errorf("--repository-setting %s: want KEY=VALUE", s)
		}
		settings[key] = value
	}
	return restore.Repository{Name: cmp.Or(f.repository, repositoryName(settings)), Type: kind, Settings: settings}, nil
}

// repositoryName makes a name of where a repository is, so that several can be registered.
func repositoryName(settings map[string]any) string {
	for _, key := range []string{"location", "base_path", "bucket"} {
		text, _ := settings[key].(string)
		name := strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
				return r
			}
			return '-'
		}, strings.ToLower(path.Base(strings.TrimRight(text, "/"))))
		if name = strings.Trim(name, "-"); text != "" && name != "" {
			return "naru-" + name
		}
	}
	return "naru-served"
}

// restored has the cluster restore what was written, and compares it.
func (g *grafting) restored(ctx context.Context, result *graftReport) error {
	kind, settings, err := placeSettings(result.To, g.restore.location)
	if err != nil {
		return err
	}
	return g.restoreFrom(ctx, result, kind, settings)
}

func (g *grafting) restoreFrom(ctx context.Context, result *graftReport, kind string, settings map[string]any) error {
	started := time.Now()
	repository, err := g.restore.repositoryOf(kind, settings)
	if err != nil {
		return err
	}
	if g.restore.templates.value == "yes" || g.restore.templates.value == "auto" && len(g.f.indices) == 0 {
		if err := g.putTemplates(ctx, result); err != nil {
			return err
		}
	}
	o := restore.Options{
		CheckOnStartup: g.restore.check, Partial: g.restore.partial, IgnoreSettings: g.restore.ignore, Concurrency: g.restore.at, Existing: restore.Existing(g.restore.existing.value),
		RepairRate: g.restore.repairRate, Log: g.log(), Progress: g.follow(),
	}
	if g.restore.replicas >= 0 {
		o.Replicas = &g.restore.replicas
	}
	var indices []restore.Index
	for _, x := range g.plan.Newest() {
		if x.Lane.Grafted() {
			indices = append(indices, g.restorable(&x))
		}
	}
	report, err := restore.Run(ctx, g.client, repository, indices, o)
	result.Restore = &report
	if err != nil {
		return err
	}
	result.Seconds.Restore = time.Since(started).Seconds()
	if !g.restore.verify {
		return nil
	}
	return g.compare(ctx, result)
}

// restorable is an index of the plan as package restore takes it.
func (g *grafting) restorable(x *graft.Index) restore.Index {
	out := restore.Index{
		Name: x.Name, Snapshot: x.Snapshot, Shards: x.Shards, Bytes: x.Bytes, Created: x.Date, Closed: x.Closed, DataStream: x.DataStream,
		Plugins: x.Plugins, Live: x.Live, Nested: x.Nested,
		Missing: x.Missing,
	}
	if g.inPlace {
		out.Snapshot += graft.TwinSuffix
	}
	for _, r := range x.Repairs {
		out.Repairs = append(out.Repairs, restore.Repair{Kind: restore.UpdateByQuery, Field: r.Field, Why: r.Why})
	}
	return out
}

// follow prints a line when an index is there.
func (g *grafting) follow() func(restore.Progress) {
	if g.f.progress.value == "none" {
		return nil
	}
	tell := g.teller()
	done := 0
	return func(p restore.Progress) {
		switch {
		case p.Step == restore.Over:
			done++
			tell("%s indices are over, the last is %s: %s", count(int64(done)), printable(p.Index), p.FinalState)
		case p.Step == restore.Copying && p.AllBytes > 0:
			tell("%s: %s of %s", printable(p.Index), size(p.Bytes), size(p.AllBytes))
		case p.Step == restore.Repairing && p.AllToMend > 0:
			tell("%s: %s of %s repaired", printable(p.Index), count(p.Documents), plural(p.AllToMend, "document"))
		}
	}
}

// compare compares what was restored with the segments in the snapshot.
func (g *grafting) compare(ctx context.Context, result *graftReport) (err error) {
	started := time.Now()
	states := make(map[string]restore.State, len(result.Restore.Indices))
	for i := range result.Restore.Indices {
		states[result.Restore.Indices[i].Index] = result.Restore.Indices[i].State
	}
	var names, patterns []string
	for _, x := range g.plan.Newest() {
		if s := states[x.Name]; s != restore.Restored && s != restore.WasThere {
			continue
		}
		switch {
		case x.Source == flow.Unreadable:
			result.Notes = append(result.Notes, fmt.Sprintf("%s keeps no sources, so its documents were counted and not compared", printable(x.Name)))
			continue
		case x.Closed:
			result.Notes = append(result.Notes, fmt.Sprintf("%s is closed, so its documents were not compared", printable(x.Name)))
			continue
		case len(x.Missing) > 0:
			result.Notes = append(result.Notes, fmt.Sprintf("%s lacks shards in the snapshot, so its documents were not compared", printable(x.Name)))
			continue
		}
		names = append(names, x.Name)
		patterns = append(patterns, strings.ReplaceAll(x.Name, "[", `\[`))
	}
	if len(names) == 0 {
		return nil
	}
	config := connect.Source{Snapshot: &connect.Snapshot{URL: g.from, Snapshot: g.f.snapshot, Indices: patterns}}
	a, closeA, err := config.Open(ctx, g.Getenv)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeA()) }()
	access := g.restore.access.to(g.restore.cluster)
	b, closeB, err := access.Written(ctx, g.Getenv, names)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeB()) }()
	p := newReadBack(nil)
	mode := g.f.progress.value
	w := g.watch(ctx, p.snapshot, mode)
	messages := *g.common
	messages.Stderr = w
	report, err := verify.Compare(ctx, a, b, verify.Options{Progress: p.add, Log: messages.log()})
	w.stop()
	if err != nil {
		return err
	}
	v := &verification{
		Verified: report.Equal, Documents: report.A.Records, Indices: len(report.Groups),
		Seconds: time.Since(started).Seconds(), Failed: report.Failed,
	}
	for _, group := range report.Groups {
		if !agrees(&group) {
			v.Different = append(v.Different, group)
		}
	}
	result.Verification = v
	result.Seconds.Verify = v.Seconds
	return nil
}

// putTemplates puts templates and pipelines that the cluster does not have.
func (g *grafting) putTemplates(ctx context.Context, result *graftReport) error {
	cluster, _, err := g.plan.Cluster(ctx)
	if err != nil || cluster == nil {
		return err
	}
	result.Templates, err = restore.Templates(ctx, g.client, cluster, restore.Options{Log: g.log()})
	if err != nil {
		return fmt.Errorf("templates: %w", err)
	}
	return nil
}

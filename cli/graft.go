package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/migrate/graft"
	"github.com/narudata/naru/migrate/graft/rules"
)

// graftFlags say what is grafted, and for whom.
type graftFlags struct {
	target   string
	snapshot string
	indices  []string
	twoHop   bool
	all      bool
	wide     bool
	progress choice
	output   *choice
}

func addGraftFlags(cmd *cobra.Command) *graftFlags {
	f := &graftFlags{progress: choice{value: "auto", of: []string{"auto", "none"}}, output: outputFlag(cmd)}
	flags := cmd.Flags()
	flags.StringVar(&f.target, "target", "", "the `VERSION` of OpenSearch that is to restore, like 2.19; with a cluster, the cluster's")
	flags.StringVar(&f.snapshot, "snapshot", "", "the snapshot `NAME`, latest (the default) or a pattern: every snapshot that matches is kept")
	flags.StringSliceVarP(&f.indices, "index", "i", nil, "only indices or data streams that match `PATTERN` (logs-*); system indices only if a pattern begins with a dot; repeatable")
	flags.BoolVar(&f.twoHop, "two-hop", false, "allow the second hop of Elasticsearch 7 indices to OpenSearch 3, which passes a guard of Lucene's: read docs/graft.md first")
	flags.BoolVar(&f.all, "all", false, "show every index, however many there are")
	flags.BoolVar(&f.wide, "wide", false, "show every change of the metadata")
	flags.Var(&f.progress, "progress", "show progress on standard error as `HOW` auto or none")
	complete(cmd, "progress", f.progress.of...)
	return f
}

func (f *graftFlags) limit() int {
	if f.all {
		return 0
	}
	return defaultRows
}

// graftExits are the statuses of whatever grafts.
var graftExits = []exit{
	{exitOK, "everything is grafted, and restored and compared if that was asked for"},
	{exitFailed, "stopped by an error; the same command goes on"},
	{exitDifference, "--plan: not every index can be grafted"},
	{exitMismatch, "what was restored is not what the snapshot holds, or a check failed"},
	{exitPartial, "done, but not every index could be grafted or restored: the report says why"},
	{exitInterrupted, "interrupted; the same command goes on"},
}

func newGraftCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "graft FROM [TO]",
		short: "make OpenSearch restore an Elasticsearch snapshot by itself",
		long: `OpenSearch refuses snapshots of Elasticsearch 7.11 and later for a few fields of their
metadata, not for the data. naru graft writes the metadata anew, some kilobytes for each
shard, into TO: a directory, or s3://bucket/prefix. The data are not changed, and in the
same file system or S3 not copied through naru either: hard links, and copies by S3. So
years of data move in the time of a restore. The source stays as it is.

What can be grafted is judged for each index from metadata alone (--plan), and denied where
it is not known to work; naru move carries the rest document by document.
docs/graft.md says how it works, and when not to use it.`,
		examples: []example{
			{"naru graft /backups/es --target 2.19 --plan", "which index can be grafted, and why not"},
			{"naru graft /backups/es /backups/os --target 2.19", "write the repository that OpenSearch restores"},
			{"naru graft /backups/es /backups/os --restore https://node-1:9200", "and restore it, follow it, compare it with the segments"},
			{"naru graft /backups/es --in-place --target 2.19", "add snapshots for OpenSearch to the same repository"},
			{"naru graft /backups/es --undo", "and take them back"},
			{"naru graft serve /backups/es --target 2.19", "write nothing: serve it to OpenSearch over HTTP"},
		},
		exits: graftExits,
	})
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 2 {
			return nil
		}
		return exactArgs("FROM")(cmd, args)
	}
	f := addGraftFlags(cmd)
	restore := addRestoreFlags(cmd)
	var plan, inPlace, undo bool
	cmd.Flags().BoolVar(&plan, "plan", false, "say what can be grafted, write nothing")
	cmd.Flags().BoolVar(&inPlace, "in-place", false, "add snapshots named …"+graft.TwinSuffix+" to FROM itself; nothing that is there is changed")
	cmd.Flags().BoolVar(&undo, "undo", false, "remove from FROM what --in-place added")
	cmd.AddCommand(newGraftServeCommand(c))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		from, err := repositoryAt(args[0])
		if err != nil {
			return err
		}
		to := ""
		if len(args) == 2 {
			to = args[1]
		}
		switch {
		case undo && (plan || inPlace || to != "" || restore.cluster != ""):
			return errors.New("--undo goes with FROM alone")
		case inPlace && to != "":
			return fmt.Errorf("--in-place adds to %s itself; leave %s out", from, to)
		case !plan && !undo && !inPlace && to == "":
			return errors.New("say where to write the repository that OpenSearch restores: naru graft FROM TO; or --plan, --in-place, or naru graft serve FROM")
		case undo:
			return c.undoGraft(cmd.Context(), from)
		}
		if to != "" && sameRepository(from, to) {
			return fmt.Errorf("%s is FROM itself: give another place, or use --in-place, which only adds to it", to)
		}
		g := &grafting{common: c, f: f, from: from, to: to, inPlace: inPlace, restore: restore}
		if plan {
			return g.planOnly(cmd.Context())
		}
		return g.run(cmd.Context())
	}
	return cmd
}

// undoGraft takes back what was added in place.
func (c *common) undoGraft(ctx context.Context, from string) (err error) {
	w, err := blob.Create(ctx, from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	n, err := graft.Undo(ctx, w)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.Stdout, "Removed %s that were added. The repository is what it was.\n", plural(int64(n), "blob"))
	return nil
}

// A grafting is one run of a command that grafts.
type grafting struct {
	*common
	f       *graftFlags
	from    string
	to      string // "": in place, or nowhere
	inPlace bool
	restore *restoreFlags

	client *opensearch.Client // nil: nothing is restored
	plan   *graft.Plan
}

// open connects to the cluster, if there is one, and plans.
func (g *grafting) open(ctx context.Context) error {
	if g.restore.cluster != "" {
		access := g.restore.access.to(g.restore.cluster)
		client, err := access.Connect(ctx, g.Getenv)
		if err != nil {
			return err
		}
		g.client = client
	}
	target, err := targetOf(g.f.target, g.client)
	if err != nil {
		return err
	}
	tell := g.teller()
	config := graft.Config{
		Snapshot: g.f.snapshot, Indices: g.f.indices, Target: target, TwoHop: g.f.twoHop,
		Progress: func(done, of int) { tell("looked at %s of %s", count(int64(done)), plural(int64(of), "index")) },
	}
	g.plan, err = config.Open(ctx, g.from)
	return err
}

// targetOf is the version that is asked for, or the cluster's.
func targetOf(version string, client *opensearch.Client) (rules.Target, error) {
	var zero rules.Target
	if client == nil {
		if version == "" {
			return zero, errors.New("say which version of OpenSearch is to restore: --target 2.19, or --restore with the address of the cluster")
		}
		return rules.ParseTarget(version)
	}
	info := client.Info()
	if !info.OpenSearch() {
		return zero, fmt.Errorf("%s is %s: Elasticsearch restores its own snapshots, and is not what this is for", client, info)
	}
	target, err := rules.ParseTarget(info.Version)
	if err != nil || version == "" {
		return target, err
	}
	asked, err := rules.ParseTarget(version)
	if err == nil && asked != target {
		return zero, fmt.Errorf("--target is %s, and %s is %s", asked, client, info)
	}
	return target, err
}

// teller gives what prints a line on standard error, at most one in ten seconds.
func (g *grafting) teller() func(format string, args ...any) {
	if g.f.progress.value == "none" {
		return func(string, ...any) {}
	}
	var mu sync.Mutex
	last := time.Now()
	return func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(last) < lineInterval {
			return
		}
		last = time.Now()
		fmt.Fprintf(g.Stderr, format+"\n", args...)
	}
}

func (g *grafting) planOnly(ctx context.Context) (err error) {
	if err := g.open(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.plan.Close()) }()
	if err := g.print(g.f.output, g.plan, func(w io.Writer, width int) error {
		if err := writePlan(w, width, g.f, g.plan); err != nil {
			return err
		}
		writeList(w, "NEXT", g.next(g.plan))
		return nil
	}); err != nil {
		return err
	}
	for _, x := range g.plan.Indices {
		if !x.Lane.Grafted() && x.Lane != graft.Left {
			return &exitError{code: exitDifference}
		}
	}
	return nil
}

// next says what to do after a plan.
func (g *grafting) next(p *graft.Plan) []string {
	target := ""
	if g.restore.cluster == "" {
		target = " --target " + p.Target
	}
	chosen := g.chosen()
	var out []string
	if p.Grafts() > 0 {
		out = append(out, "naru graft "+quote(g.from)+" TO"+target+chosen+"   # write it, into a place that the nodes of OpenSearch see")
	}
	for _, x := range p.Newest() {
		if x.Lane == graft.Reindex {
			return append(out, "naru move "+quote(g.from)+" https://HOST:9200 --via PLACE"+chosen+"   # graft what can be, carry the rest")
		}
	}
	return out
}

// chosen repeats the flags that say what is chosen.
func (g *grafting) chosen() string {
	line := ""
	if g.f.snapshot != "" {
		line += " --snapshot " + quote(g.f.snapshot)
	}
	for _, p := range g.f.indices {
		line += " -i " + quote(p)
	}
	if g.f.twoHop {
		line += " --two-hop"
	}
	return line
}

// run plans, writes, restores if that is asked for, and reports.
func (g *grafting) run(ctx context.Context) (err error) {
	ctx, stop := g.interruptible(ctx)
	defer stop()
	result, err := g.grafted(ctx)
	if err != nil {
		return g.ended(ctx, err)
	}
	if err := g.print(g.f.output, result, func(w io.Writer, width int) error { return result.write(w, width, g.f) }); err != nil {
		return err
	}
	if code := result.code(); code != exitOK {
		return &exitError{code: code}
	}
	return nil
}

// interruptible gives a context that ends with the first signal.
func (g *grafting) interruptible(parent context.Context) (context.Context, func()) {
	ctx, drain, release := g.heed(parent)
	ctx, stop := until(ctx, drain)
	return ctx, func() { stop(); release() }
}

// ended turns an error into what an interrupted command ends with.
func (g *grafting) ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return &exitError{exitInterrupted, errors.New("interrupted; the same command goes on")}
	}
	return err
}

// grafted is run without printing.
func (g *grafting) grafted(ctx context.Context) (result *graftReport, err error) {
	started := time.Now()
	if err := g.open(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.plan.Close()) }()
	result = &graftReport{Plan: g.plan, To: cmp.Or(g.to, g.from)}
	if g.plan.Grafts() == 0 {
		result.finish(started)
		return result, nil
	}
	if err := g.write(ctx, result); err != nil {
		return nil, err
	}
	result.Seconds.Write = time.Since(started).Seconds()
	if g.client != nil {
		if err := g.restored(ctx, result); err != nil {
			return nil, err
		}
	}
	result.Next = g.after(result)
	result.finish(started)
	return result, nil
}

// write writes the repository, or adds to the one that is there.
func (g *grafting) write(ctx context.Context, result *graftReport) (err error) {
	place := result.To
	w, err := blob.Create(ctx, place)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if g.inPlace {
		result.Written, err = g.plan.Twin(ctx, w)
		return err
	}
	tell := g.teller()
	result.Written, err = g.plan.Write(ctx, w, graft.Options{Progress: func(s graft.Written) {
		tell("wrote %s of %s", count(int64(s.Shards)), plural(int64(s.OfShards), "shard"))
	}})
	return err
}

// after says what to do with what was written.
func (g *grafting) after(r *graftReport) []string {
	if r.Restore != nil {
		return nil
	}
	target := "https://HOST:9200"
	line := "naru graft " + quote(g.from)
	if g.inPlace {
		line += " --in-place"
	} else {
		line += " " + quote(g.to)
	}
	return []string{line + g.chosen() + " --restore " + target + "   # restore it, follow it, compare it"}
}

// placeSettings are the type and settings of a repository at a place, as OpenSearch registers it.
func placeSettings(place, location string) (kind string, settings map[string]any, err error) {
	if blob.Remote(place) {
		c, err := blob.ParseS3(place)
		if err != nil {
			return "", nil, err
		}
		settings = map[string]any{"bucket": c.Bucket}
		if prefix := cmp.Or(location, c.Prefix); prefix != "" {
			settings["base_path"] = prefix
		}
		return "s3", settings, nil
	}
	if location == "" {
		if location, err = filepath.Abs(strings.TrimPrefix(place, "file://")); err != nil {
			return "", nil, err
		}
		if resolved, err := filepath.EvalSymlinks(location); err == nil {
			location = resolved
		}
	}
	return "fs", map[string]any{"location": location}, nil
}

// sameRepository reports that two places are one.
func sameRepository(a, b string) bool {
	if blob.Remote(a) || blob.Remote(b) {
		return strings.TrimSuffix(a, "/") == strings.TrimSuffix(b, "/")
	}
	x, errX := os.Stat(strings.TrimPrefix(a, "file://"))
	y, errY := os.Stat(strings.TrimPrefix(b, "file://"))
	return errX == nil && errY == nil && os.SameFile(x, y)
}

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/connect/snapshot"
	"github.com/narudata/naru/flow"
)

func newSnapshotCommand(c *common) *cobra.Command {
	return parent(newCommand(page{
		use:      "snapshot",
		short:    "look into a snapshot repository",
		long:     "Lists the snapshots of a repository, or shows what is in one. URL is its directory, or\ns3://bucket/prefix. Only metadata are read: thousands of indices take seconds.",
		examples: []example{{"naru snapshot ls /backups/es", "which snapshots there are"}},
		exits:    []exit{{exitOK, "printed"}, {exitFailed, "there is no repository, or it cannot be read"}},
	}), newSnapshotListCommand(c), newSnapshotShowCommand(c))
}

// A snapshotRow is a snapshot, as `naru snapshot ls` has it.
type snapshotRow struct {
	Name     string    `json:"name"`
	UUID     string    `json:"uuid"`
	State    string    `json:"state"`
	Version  string    `json:"version"`
	Start    time.Time `json:"start"`
	End      time.Time `json:"end,omitzero"`
	Indices  int       `json:"indices"`
	Failures int       `json:"failed_shards,omitempty"`
}

func newSnapshotRow(s *snapshot.Selected) snapshotRow {
	return snapshotRow{
		Name: s.Snapshot.Name, UUID: s.Ref.UUID, State: s.Snapshot.State, Version: s.Snapshot.ServerVersion(),
		Start: s.Snapshot.Start.UTC(), End: s.Snapshot.End.UTC(), Indices: len(s.Snapshot.Indices), Failures: len(s.Snapshot.Failures),
	}
}

func newSnapshotListCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "ls URL",
		short: "list the snapshots of a repository, the newest first",
		long:  "Lists every snapshot: its state, the version of the server that took it, when, and how\nmany indices are in it. A PARTIAL snapshot lacks shards.",
		examples: []example{
			{"naru snapshot ls /backups/es", "a directory"},
			{"naru snapshot ls file:///backups/es -o json", "for a script"},
		},
		exits: []exit{{exitOK, "listed"}, {exitFailed, "there is no repository, or it cannot be read"}},
	})
	cmd.Args = exactArgs("URL")
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		path, err := repositoryAt(args[0])
		if err != nil {
			return err
		}
		repo, err := snapshot.OpenRepository(cmd.Context(), path)
		if err != nil {
			return err
		}
		if closer, ok := repo.Store.(io.Closer); ok {
			defer func() { err = errors.Join(err, closer.Close()) }()
		}
		list, err := repo.List(cmd.Context())
		if err != nil {
			return err
		}
		rows := make([]snapshotRow, len(list))
		for i := range list {
			rows[i] = newSnapshotRow(&list[i])
		}
		return c.print(output, map[string]any{"repository": path, "uuid": repo.UUID, "snapshots": rows}, func(w io.Writer, width int) error {
			return writeSnapshots(w, width, rows)
		})
	}
	return cmd
}

func writeSnapshots(w io.Writer, width int, rows []snapshotRow) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintln(w, "The repository has no snapshots.")
		return err
	}
	t := table{columns: []column{
		{title: "SNAPSHOT", shrink: true}, {title: "STATE"}, {title: "VERSION", shrink: true}, {title: "STARTED (UTC)"},
		{title: "TOOK", right: true}, {title: "INDICES", right: true}, {title: "FAILED SHARDS", right: true, optional: true},
	}}
	for i := range rows {
		r := &rows[i]
		took := "-"
		if r.End.After(r.Start) {
			took = elapsed(r.End.Sub(r.Start))
		}
		t.row(printable(r.Name), r.State, cmp.Or(r.Version, "-"), r.Start.Format("2006-01-02 15:04"), took,
			count(int64(r.Indices)), count(int64(r.Failures)))
	}
	return t.write(w, width)
}

// repositoryAt takes the prefixes off that carry allows, and says so if there is no repository.
func repositoryAt(arg string) (string, error) {
	p, err := sourcePlace(arg)
	if err != nil {
		return "", err
	}
	if p.kind != kindSnapshot {
		return "", fmt.Errorf("%s is an archive; its manifest.json says what is in it", p.path)
	}
	return p.path, nil
}

// A snapshotReport is what `naru snapshot show` has.
type snapshotReport struct {
	Repository string               `json:"repository"`
	Snapshots  []snapshotRow        `json:"snapshots"`
	Indices    []snapshot.IndexInfo `json:"indices"`
	Notes      []string             `json:"notes,omitempty"`
}

func newSnapshotShowCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "show URL [NAME]",
		short: "show the indices of a snapshot, and how whole they can be read",
		long: `Shows each index of a snapshot: live and deleted Lucene documents (children of nested
documents are counted too), bytes, segments, codecs, versions, and the verdict: lossless,
partial or not readable, with the reason. NAME is a snapshot, latest (the default) or a
pattern: then each index is shown as of the newest snapshot that has it.`,
		examples: []example{
			{"naru snapshot show /backups/es", "the latest"},
			{"naru snapshot show /backups/es 'nightly-*' -i 'logs-*' --all", "all that any of them has"},
			{"naru snapshot show /backups/es -o json | jq '.indices[] | select(.grade != \"lossless\")'", "what cannot be read whole"},
		},
		exits: []exit{
			{exitOK, "every index can be read whole"},
			{exitFailed, "there is no such repository or snapshot, or it cannot be read"},
			{exitDifference, "an index cannot be read whole, or the snapshot lacks shards"},
		},
	})
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 2 {
			return nil
		}
		return exactArgs("URL")(cmd, args)
	}
	var indices []string
	var all, wide bool
	cmd.Flags().StringSliceVarP(&indices, "index", "i", nil, "only indices that match `PATTERN`; repeatable")
	cmd.Flags().BoolVar(&all, "all", false, "show every index, however many there are")
	cmd.Flags().BoolVar(&wide, "wide", false, "show codecs and versions of each index")
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		path, err := repositoryAt(args[0])
		if err != nil {
			return err
		}
		config := snapshot.Config{URL: path, Indices: indices}
		if len(args) == 2 {
			config.Snapshot = args[1]
		}
		source, err := config.Open(cmd.Context())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, source.Close()) }()
		r, err := newSnapshotReport(cmd.Context(), path, source)
		if err != nil {
			return err
		}
		limit := defaultRows
		if all {
			limit = 0
		}
		if err := c.print(output, r, func(w io.Writer, width int) error { return r.write(w, width, limit, wide) }); err != nil {
			return err
		}
		if r.findings() {
			return &exitError{code: exitDifference}
		}
		return nil
	}
	return cmd
}

func newSnapshotReport(ctx context.Context, path string, source *snapshot.Source) (*snapshotReport, error) {
	r := &snapshotReport{Repository: path, Snapshots: []snapshotRow{}, Indices: []snapshot.IndexInfo{}, Notes: snapshotNotes(source)}
	for _, s := range source.Snapshots() {
		r.Snapshots = append(r.Snapshots, newSnapshotRow(&s))
	}
	for info, err := range source.Inspect(ctx) {
		if err != nil {
			return nil, err
		}
		r.Indices = append(r.Indices, info)
	}
	return r, nil
}

// findings reports that something cannot be read whole.
func (r *snapshotReport) findings() bool {
	return slices.ContainsFunc(r.Indices, func(i snapshot.IndexInfo) bool { return i.Grade != flow.Lossless }) ||
		slices.ContainsFunc(r.Snapshots, func(s snapshotRow) bool { return s.Failures > 0 })
}

func (r *snapshotReport) write(w io.Writer, width, limit int, wide bool) error {
	if err := writeSnapshots(w, width, r.Snapshots); err != nil {
		return err
	}
	fmt.Fprintln(w)
	several := len(r.Snapshots) > 1
	t := table{columns: []column{
		{title: "INDEX", shrink: true}, {title: "SNAPSHOT", shrink: true, optional: true}, {title: "LIVE", right: true},
		{title: "DELETED", right: true, optional: true}, {title: "SIZE", right: true}, {title: "SEGMENTS", right: true},
		{title: "SHARDS", right: true}, {title: "CREATED BY", optional: true}, {title: "CODEC", optional: true}, {title: "VERDICT"},
	}}
	var total snapshot.IndexInfo
	add := func(i *snapshot.IndexInfo, name string) {
		from, created, codec := "", "", ""
		if several {
			from = i.Snapshot
		}
		if wide {
			created, codec = i.Created, strings.Join(i.Codecs, ", ")
		}
		verdict := string(i.Grade)
		if i.Closed {
			verdict += " (closed)"
		}
		t.row(printable(name), printable(from), count(i.Live), count(i.Deleted), size(i.Bytes), count(int64(i.Segments)),
			count(int64(i.Shards)), created, printable(codec), verdict)
	}
	for i := range r.Indices {
		sum(&total, &r.Indices[i], 1)
	}
	rows := some(len(r.Indices), limit, func(i int) bool { return r.Indices[i].Grade != flow.Lossless },
		func(i int) int64 { return r.Indices[i].Bytes })
	rest := total
	for _, n := range rows {
		add(&r.Indices[n], r.Indices[n].Name)
		sum(&rest, &r.Indices[n], -1)
	}
	if hidden := len(r.Indices) - len(rows); hidden > 0 {
		add(&rest, t.more(hidden))
	}
	if len(r.Indices) == 0 {
		fmt.Fprintln(w, "No index is in it.")
		return nil
	}
	if len(r.Indices) > 1 {
		add(&total, fmt.Sprintf("total of %s", plural(int64(len(r.Indices)), "index")))
	}
	if err := t.write(w, width); err != nil {
		return err
	}
	var reasons, codecs []string
	for i := range r.Indices {
		x := &r.Indices[i]
		if x.Grade != flow.Lossless {
			reasons = append(reasons, reason(string(x.Grade), x.Why, x.Name))
		}
		for _, codec := range x.Codecs {
			codecs = append(codecs, printable(codec)+"\x00"+printable(x.Name))
		}
	}
	writeReasons(w, width, "NOT LOSSLESS", reasons, limit)
	if !wide {
		writeReasons(w, width, "CODECS", codecs, defaultRows)
	}
	writeList(w, "NOTES", r.Notes)
	return nil
}

// sum adds (or takes away) what can be added up.
func sum(to, i *snapshot.IndexInfo, sign int64) {
	to.Live += sign * i.Live
	to.Deleted += sign * i.Deleted
	to.Bytes += sign * i.Bytes
	to.Segments += int(sign) * i.Segments
	to.Shards += int(sign) * i.Shards
}

// snapshotNotes says what of the snapshots themselves a reader must know.
func snapshotNotes(source *snapshot.Source) []string {
	var out []string
	for _, s := range source.Snapshots() {
		if s.Snapshot.State != "SUCCESS" && s.Snapshot.State != "" {
			note := fmt.Sprintf("snapshot %s is %s", printable(s.Snapshot.Name), s.Snapshot.State)
			if n := len(s.Snapshot.Failures); n > 0 {
				f := s.Snapshot.Failures[0]
				note += fmt.Sprintf(": %s failed when it was taken, the first: %s [%d]", plural(int64(n), "shard"), printable(f.Index), f.Shard)
			}
			out = append(out, note)
		}
	}
	return out
}

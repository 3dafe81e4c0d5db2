package cli

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/connect"
	"github.com/narudata/naru/connect/archive"
	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/ledger"
)

func newKafkaReplayCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "replay TOPIC[,TOPIC]... TO",
		short: "carry records of topics again, by time or offset, without touching any group",
		long: `Reads topics between --from and --to and writes their records to TO: an index
(https://host:9200/INDEX), another topic (topic:NAME), an archive (ndjson:DIR,
parquet:DIR) or standard output (ndjson:-). No group is joined, no offset committed: those
who read the topics do not notice. The ends are fixed when it begins; the same command goes
on where it was after an interruption or a crash, and does nothing once it is done
(--again).

Into an index each record is a document, created as CLUSTER:TOPIC:PARTITION:OFFSET: carried
twice it is there once. With --id key the key is the id and the offset the version,
so that the last record of a key is its document, and a record without a value deletes it.
That holds as long as a key stays in its partition. Without --id key records without a value
are dropped. Values that are no JSON objects become {"message": …}. Into a topic records go
as they are, with key, headers and timestamp; after a crash some may be there twice.`,
		examples: []example{
			{"naru kafka replay orders https://node-1:9200/orders-again --from 2026-11-20T10:00Z --to 2026-11-20T12:00Z", "two hours into an index"},
			{"naru kafka replay customers https://node-1:9200/customers-2 --id key", "the state of a compacted topic"},
			{"naru kafka replay orders ndjson:- --partition 3 --from-offset 118000 --to-offset 118010", "look at some records"},
			{"naru kafka replay orders topic:orders-test --from 24h --to 23h", "an hour of yesterday into another topic"},
		},
		exits: []exit{
			{exitOK, "everything has arrived, or had before"}, {exitFailed, "stopped by an error; the same command goes on"},
			{exitPartial, "done, but some records could not be written: they are dead letters"}, {exitInterrupted, "interrupted; the same command goes on"},
		},
	})
	cmd.Args = exactArgs("TOPIC", "TO")
	p := &replay{common: c, id: choice{value: "event", of: []string{"event", "key"}}}
	p.kafka.add(cmd)
	p.access.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&p.from, "from", "", "begin at the `TIME` 2026-11-20T10:00Z, or a duration ago (2h); the default is the first record")
	flags.StringVar(&p.to, "to", "", "end before the `TIME`; the default is what is there when it begins")
	flags.Int64Var(&p.fromOffset, "from-offset", -1, "begin at offset `N` of each partition")
	flags.Int64Var(&p.toOffset, "to-offset", -1, "end before offset `N` of each partition")
	flags.Int32SliceVar(&p.partitions, "partition", nil, "only the partition `N`; repeatable")
	flags.BoolVar(&p.uncommitted, "read-uncommitted", false, "also records of transactions that are not committed")
	flags.Var(&p.id, "id", "the id of a document is where it is from (`WHAT` event) or its key (key)")
	flags.StringVar(&p.field, "source-field", "", "put topic, partition, offset, timestamp, key and headers into the `FIELD` of each document")
	flags.StringVar(&p.state, "state", "naru-replay", "keep how far it is in `DIR`")
	flags.BoolVar(&p.again, "again", false, "begin anew, although it was begun, or done, before")
	flags.StringVar(&p.toConfig, "to-config", "", "YAML `FILE` of the cluster of topic:NAME; without it the same cluster")
	flags.StringVar(&p.codec, "compression", "none", "write to a topic with the `CODEC` none, gzip, snappy, lz4 or zstd")
	p.run = &runFlags{progress: progressChoice(), output: outputFlag(cmd)}
	flags.BoolVar(&p.run.plan, "plan", false, "say what would be done, write nothing")
	flags.IntVar(&p.run.workers, "workers", 0, "read `N` partitions at a time; 0: one per processor")
	flags.Var(&p.run.progress, "progress", "show progress on standard error as `HOW` auto, bar, line, json or none")
	complete(cmd, "progress", p.run.progress.of...)
	complete(cmd, "id", p.id.of...)
	complete(cmd, "compression", "none", "gzip", "snappy", "lz4", "zstd")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return p.do(cmd.Context(), args[0], args[1]) }
	return cmd
}

// A replay is one run of the command.
type replay struct {
	*common
	kafka                kafkaFlags
	access               accessFlags
	run                  *runFlags
	from, to             string
	fromOffset, toOffset int64
	partitions           []int32
	uncommitted          bool
	id                   choice
	field, state         string
	again                bool
	toConfig, codec      string
}

// bound reads a time, a duration ago, or an offset.
func bound(flag, text string, offset int64) (kafka.Bound, error) {
	var b kafka.Bound
	if offset >= 0 {
		if text != "" {
			return b, fmt.Errorf("give --%s or --%s-offset, not both", flag, flag)
		}
		return kafka.Offset(offset), nil
	}
	for _, layout := range []string{"2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			return kafka.At(t), nil
		}
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n float64
		if _, err := fmt.Sscanf(days, "%g", &n); err == nil && n >= 0 {
			text = time.Duration(n * float64(24*time.Hour)).String()
		}
	}
	if err := b.UnmarshalText([]byte(text)); err != nil {
		return b, fmt.Errorf("--%s: %w", flag, err)
	}
	return b, nil
}

func (p *replay) ranged(topics string) (r *kafka.Range, err error) {
	config, err := p.kafka.connection(p.common)
	if err != nil {
		return nil, err
	}
	r = &kafka.Range{Config: *config, Topics: strings.Split(topics, ","), Partitions: p.partitions}
	r.ReadUncommitted = p.uncommitted
	if r.From, err = bound("from", p.from, p.fromOffset); err != nil {
		return nil, err
	}
	if r.To, err = bound("to", p.to, p.toOffset); err != nil {
		return nil, err
	}
	return r, r.Validate()
}

// replayPlan is what a replay is to do: fixed when it begins, kept until it is begun anew.
type replayPlan struct {
	From    string       `json:"from"`
	To      string       `json:"to"`
	Begun   time.Time    `json:"begun"`
	Cluster string       `json:"cluster"`
	Spans   []kafka.Span `json:"spans"`
}

func (p *replay) do(ctx context.Context, topics, to string) error {
	r, err := p.ranged(topics)
	if err != nil {
		return err
	}
	target, err := p.target(to, r)
	if err != nil {
		return err
	}
	name := p.name(r, to)
	plan, earlier, err := p.plan(ctx, r, name, to)
	if err != nil {
		return err
	}
	if p.run.plan {
		return p.print(p.run.output, plan, plan.write)
	}
	source := r.Again(plan.Cluster, plan.Spans)
	return p.carry(ctx, source, target, plan, name, earlier)
}

// name is that of the files of a replay: what it reads and where to, as the command line has it.
func (p *replay) name(r *kafka.Range, to string) string {
	what, err := json.Marshal([]any{r.Brokers, r.Topics, r.Partitions, p.from, p.to, p.fromOffset, p.toOffset, p.uncommitted, to, p.toConfig, p.id.value, p.field})
	if err != nil {
		panic("BUG: " + err.Error())
	}
	sum := sha256.Sum256(what)
	return filepath.Join(p.state, strings.Join(r.Topics, ",")[:min(40, len(strings.Join(r.Topics, ",")))]+"-"+hex.EncodeToString(sum[:6]))
}

// plan takes up the plan of an earlier run, or makes one.
func (p *replay) plan(ctx context.Context, r *kafka.Range, name, to string) (plan *replayPlan, earlier bool, err error) {
	data, err := os.ReadFile(name + ".json")
	switch {
	case err == nil && !p.again:
		plan = new(replayPlan)
		if err := json.Unmarshal(data, plan); err != nil {
			return nil, false, fmt.Errorf("%s.json is no plan of a replay (--again begins anew): %w", name, err)
		}
		return plan, true, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, false, err
	}
	fixed, err := r.Replay(ctx)
	if err != nil {
		return nil, false, err
	}
	plan = &replayPlan{From: strings.Join(r.Topics, ","), To: to, Begun: time.Now().UTC().Truncate(time.Second), Cluster: fixed.Cluster, Spans: fixed.Spans}
	return plan, false, nil
}

// keep writes the plan before anything else is.
func (p *replay) keep(plan *replayPlan, name string) error {
	if err := os.MkdirAll(p.state, 0o777); err != nil {
		return err
	}
	if err := os.Remove(name + ".ledger"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	data, err := json.MarshalIndent(plan, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(name+".new", data, 0o666); err != nil { //nolint:gosec // no secret
		return err
	}
	return os.Rename(name+".new", name+".json")
}

// A replayTarget is where records go.
type replayTarget struct {
	kind    string // opensearch, topic, ndjson, parquet
	path    string // an address, a name, a directory
	index   string
	kafka   *kafka.Config
	codec   kafka.Codec
	printed string
}

// target reads TO.
func (p *replay) target(to string, r *kafka.Range) (*replayTarget, error) {
	t := &replayTarget{printed: to}
	if err := t.codec.UnmarshalText([]byte(p.codec)); err != nil {
		return nil, fmt.Errorf("--compression: %w", err)
	}
	if name, ok := strings.CutPrefix(to, "topic:"); ok {
		t.kind, t.path, t.kafka = "topic", name, &r.Config
		if p.toConfig != "" {
			other := kafkaFlags{config: p.toConfig}
			var err error
			if t.kafka, err = other.connection(p.common); err != nil {
				return nil, err
			}
		} else if strings.Contains(","+strings.Join(r.Topics, ",")+",", ","+name+",") {
			return nil, fmt.Errorf("%s is what is read: give another topic", name)
		}
		if p.id.value != "event" || p.field != "" {
			return nil, errors.New("--id and --source-field make documents, and a topic has none")
		}
		return t, nil
	}
	if p.toConfig != "" {
		return nil, errors.New("--to-config is for topic:NAME")
	}
	place, err := sinkPlace(to)
	if err != nil {
		return nil, fmt.Errorf("%w; or topic:NAME", err)
	}
	t.kind, t.path = place.kind, place.path
	if t.kind == kindCluster {
		at := strings.LastIndex(to, "/")
		if host := strings.Index(to, "://"); at <= host+2 || to[at+1:] == "" {
			return nil, fmt.Errorf("%s: say which index: %s/INDEX", to, strings.TrimSuffix(to, "/"))
		}
		t.path, t.index = to[:at], to[at+1:]
		return t, nil
	}
	if t.kind == kindArchive {
		return nil, fmt.Errorf("%s: say in which format: ndjson:%s or parquet:%s", to, t.path, t.path)
	}
	if p.id.value != "event" {
		return nil, errors.New("--id key is for an index: an archive keeps every record")
	}
	return t, nil
}

// An openedReplay is what is needed to run one.
type openedReplay struct {
	connect.Opened
	close  func() error
	notes  []string
	silent bool // the report goes to standard error
}

// open opens the target and its ledger.
func (p *replay) open(ctx context.Context, t *replayTarget, source *kafka.Replay, name string) (o *openedReplay, err error) {
	o = &openedReplay{close: func() error { return nil }}
	o.Source = source
	documents := &kafka.Documents{Index: t.index, ByKey: p.id.value == "key", Deletes: t.kind == kindCluster, Field: p.field}
	if t.kind != "topic" {
		o.Stages = []flow.Stage{documents}
	}
	switch t.kind {
	case kindNDJSON, kindParquet:
		if t.path == "-" {
			o.Sink, o.silent = archive.Stream(p.Stdout), true
			return o, nil
		}
		sink, err := archive.OpenSink(archive.Config{Dir: t.path, Format: t.kind, Flow: source.Identity()})
		if err != nil {
			return nil, err
		}
		o.Sink, o.Ledger, o.DeadLetters = sink, sink, sink
		o.close = func() error { return sink.Close(context.WithoutCancel(ctx)) }
		return o, nil
	}
	if t.kind == "topic" {
		if o.notes, err = p.unread(ctx, t); err != nil {
			return nil, err
		}
	}
	books, err := ledger.Open(name+".ledger", source.Identity()+" to "+t.printed)
	if err != nil {
		return nil, err
	}
	store, err := archive.OpenDeadStore(connect.DefaultDeadLetters)
	if err != nil {
		return nil, errors.Join(err, books.Close())
	}
	o.Ledger, o.DeadLetters = books, store
	var sink flow.Sink
	if t.kind == "topic" {
		sink, err = (&kafka.Sink{Config: *t.kafka, Writing: kafka.Writing{Compression: t.codec}}).Open()
		o.Stages = []flow.Stage{renamed{t.path}}
	} else {
		access := p.access.to(t.path)
		var client *opensearch.Client
		if client, err = access.Connect(ctx, p.Getenv); err == nil {
			sink = indexSink{opensearch.NewEvents(client, opensearch.EventsOptions{Log: p.log()})}
		}
	}
	if err != nil {
		return nil, errors.Join(err, store.Close(), books.Close())
	}
	o.Sink = sink
	o.close = func() error {
		err := errors.Join(sink.Close(context.WithoutCancel(ctx)), store.Close(), books.Close())
		if store.File() != "" {
			o.notes = append(o.notes, "what was refused is in "+connect.DefaultDeadLetters+": naru dlq ls "+connect.DefaultDeadLetters)
		}
		return err
	}
	return o, nil
}

// unread looks whether the topic is there, and warns of groups that cannot read the codec.
func (p *replay) unread(ctx context.Context, t *replayTarget) ([]string, error) {
	admin, err := t.kafka.Admin(ctx)
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	if err := admin.HasTopic(ctx, t.path); err != nil {
		return nil, err
	}
	lines, err := admin.Unread(ctx, t.path, t.codec)
	for _, l := range lines {
		fmt.Fprintln(p.Stderr, "warning:", l)
	}
	return lines, err
}

// renamed gives records to another topic.
type renamed struct{ topic string }

// Process implements flow.Stage.
func (s renamed) Process(_ context.Context, b *flow.Batch) error {
	for i := range b.Records {
		b.Records[i].Index = s.topic
	}
	return nil
}

func (p *replay) carry(ctx context.Context, source *kafka.Replay, t *replayTarget, plan *replayPlan, name string, earlier bool) error {
	keeps := t.path != "-"
	if keeps && !earlier {
		if err := p.keep(plan, name); err != nil {
			return fmt.Errorf("keep the plan: %w", err)
		}
	}
	messages := *p.common
	runner := newRunner(&messages)
	w := p.watch(ctx, runner.snapshot, p.run.progress.value)
	messages.Stderr = w
	opened, err := p.open(ctx, t, source, name)
	if err != nil {
		w.stop()
		return err
	}
	if p.wrap != nil {
		opened.Source = p.wrap(opened.Source)
	}
	o := flow.Options{Workers: p.run.workers, Log: messages.log()}
	if t.kind == "topic" {
		o.InFlight = 1 // in the order of each partition
	}
	running, drain, release := messages.heed(ctx)
	o.Drain = drain
	report, flowErr := runner.run(running, &opened.Opened, o)
	w.stop()
	if errors.Is(context.Cause(running), errStopped) {
		flowErr, report.Drained = nil, true
	}
	release()
	if err := opened.close(); err != nil && flowErr == nil {
		flowErr = err
	}
	deletes := int64(0)
	for i := range report.Groups { // what has no body deletes, and is whole
		deletes += report.Groups[i].Tally.Bodiless
		report.Groups[i].Tally.Bodiless, report.Total.Tally.Bodiless = 0, 0
	}
	if report.Drained || flowErr != nil {
		plan.expect(&report)
	}
	result := newCarryReport("kafka:"+plan.From, t.printed, &report, flowErr)
	result.Notes = append(p.notes(plan, result, earlier), opened.notes...)
	if deletes > 0 {
		result.Notes = append(result.Notes, count(deletes)+" of them are records without a value, which delete")
	}
	if result.State == stateInterrupted && keeps {
		result.Next = []string{"the same command goes on where this one was"}
	}
	env := p.Env
	if opened.silent {
		env.Stdout = p.Stderr
	}
	if err := env.print(p.run.output, result, func(w io.Writer, width int) error { return result.write(w, width, 0) }); err != nil {
		return err
	}
	switch code := result.code(); code {
	case exitOK:
		return nil
	case exitFailed:
		return &exitError{code, flowErr}
	default:
		return &exitError{code: code}
	}
}

// expect says how much there was to read of each topic, at most: offsets need not all have a record.
func (r *replayPlan) expect(report *flow.Report) {
	for i := range report.Groups {
		g := &report.Groups[i]
		g.Expected = 0
		for _, s := range r.Spans {
			if s.Topic == g.Name {
				g.Expected += s.End - s.Begin
			}
		}
	}
}

// notes say which records these are, and what became of those that are no documents.
func (p *replay) notes(plan *replayPlan, r *carryReport, earlier bool) []string {
	offsets := int64(0)
	for _, s := range plan.Spans {
		offsets += s.End - s.Begin
	}
	line := fmt.Sprintf("%s offsets of %s in cluster %s, fixed %s", count(offsets), plural(int64(len(plan.Spans)), "partition"), printable(cmp.Or(plan.Cluster, "-")), plan.Begun.Format(time.RFC3339))
	if earlier {
		line += "; --again begins anew"
	}
	out := []string{line}
	if r.Total.Dropped > 0 {
		out = append(out, count(r.Total.Dropped)+" records without a value were dropped: they are no documents (--id key deletes by them)")
	}
	return out
}

// write writes the plan as text.
func (r *replayPlan) write(w io.Writer, width int) error {
	if len(r.Spans) == 0 {
		_, err := fmt.Fprintln(w, "No record: there is none between these bounds.")
		return err
	}
	t := table{columns: []column{{title: "TOPIC", shrink: true}, {title: "PARTITION", right: true}, {title: "FROM", right: true}, {title: "BEFORE", right: true}, {title: "OFFSETS", right: true}}}
	total := int64(0)
	for _, s := range r.Spans {
		t.row(printable(s.Topic), fmt.Sprint(s.Partition), count(s.Begin), count(s.End), count(s.End-s.Begin))
		total += s.End - s.Begin
	}
	if len(r.Spans) > 1 {
		t.row("total", "", "", "", count(total))
	}
	return t.write(w, width)
}

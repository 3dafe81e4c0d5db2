package connect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/narudata/naru/connect/archive"
	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/ledger"
)

// Access says which cluster, and who asks.
type Access struct {
	URLs []string        `json:"urls" doc:"the cluster's nodes, like https://node-1:9200; requests are spread over them"`
	Auth opensearch.Auth `json:"auth,omitzero" doc:"who asks; without it the environment variables NARU_USERNAME and NARU_PASSWORD, if they are set"`
	TLS  opensearch.TLS  `json:"tls,omitzero" doc:"how the cluster is known, and naru to it"`
}

func (a *Access) target() opensearch.Target {
	return opensearch.Target{URLs: a.URLs, Auth: a.Auth, TLS: a.TLS}
}

func (a *Access) String() string { return strings.Join(a.URLs, ",") }

// ClusterSource is the source that reads a cluster.
type ClusterSource struct {
	Access
	Indices flow.Patterns `json:"indices,omitempty" doc:"patterns of index names, as for snapshot; indices that begin with a dot only if a pattern does"`

	// As opensearch.SourceOptions has them.
	Absent, Streams bool `json:"-"`
}

// Validate says what is missing.
func (c *ClusterSource) Validate() error {
	t := c.target()
	return errors.Join(t.Validate(), c.Indices.Validate())
}

// ClusterSink is the sink that writes into a cluster.
type ClusterSink struct {
	Access
	Rate         string        `json:"rate,omitempty" doc:"most documents a second, like 5k/s; the default is as many as the cluster takes"`
	Window       string        `json:"window,omitempty" doc:"time of day in which is written, like 22:00-06:00 Asia/Seoul; the default is always"`
	Requests     int           `json:"requests,omitempty" doc:"most requests under way at a time; the default is 16. How many there are is found out"`
	RequestBytes int           `json:"requestBytes,omitempty" doc:"most bytes of a request, before compression; the default is 10 MiB. How large they are is found out"`
	Compress     *bool         `json:"compress,omitempty" doc:"compress requests; the default is yes, unless the cluster is on this machine"`
	Patience     time.Duration `json:"patience,omitempty" doc:"how long the cluster may take nothing before the flow stops; the default is 30m"`
	Ledger       string        `json:"ledger,omitempty" doc:"index of the cluster that keeps the checkpoints; the default is .naru"`
	DeadLetters  string        `json:"deadLetters,omitempty" doc:"directory for records that the cluster refuses; the default is naru-dead, or where they come from when dead letters are carried again"`

	// As opensearch.Options has them.
	Admit       func(ctx context.Context, recs []flow.Record) error `json:"-"`
	Unprocessed bool                                                `json:"-"`
	Streams     bool                                                `json:"-"` // what is written may be data streams
}

// Validate says what is wrong.
func (c *ClusterSink) Validate() error {
	t := c.target()
	_, err := c.options()
	if c.Requests < 0 || c.RequestBytes < 0 || c.Patience < 0 {
		err = errors.Join(err, errors.New("a bound is negative; leave it out for the default"))
	}
	return errors.Join(t.Validate(), err)
}

func (c *ClusterSink) options() (o opensearch.Options, err error) {
	o = opensearch.Options{MaxRequests: c.Requests, RequestBytes: c.RequestBytes, Compress: c.Compress, Patience: c.Patience, Admit: c.Admit, Unprocessed: c.Unprocessed}
	if c.Rate != "" {
		if o.Rate, err = opensearch.ParseRate(c.Rate); err != nil {
			return o, err
		}
	}
	if c.Window != "" {
		o.Window, err = opensearch.ParseWindow(c.Window)
	}
	return o, err
}

// Connect opens a client of the cluster.
func (a *Access) Connect(ctx context.Context, getenv func(string) string) (*opensearch.Client, error) {
	return a.target().Connect(ctx, getenv)
}

// Open opens the cluster's indices.
func (c *ClusterSource) Open(ctx context.Context, getenv func(string) string) (flow.Source, func() error, error) {
	client, err := c.Connect(ctx, getenv)
	if err != nil {
		return nil, nothing, err
	}
	source, err := opensearch.NewSource(ctx, client, opensearch.SourceOptions{Indices: c.Indices, Absent: c.Absent, Streams: c.Streams})
	if err != nil {
		return nil, nothing, err
	}
	return source, func() error { return source.Close() }, nil
}

// Written opens indices that a flow has written, by their names. One that is not there has no documents.
func (a *Access) Written(ctx context.Context, getenv func(string) string, names []string) (flow.Source, func() error, error) {
	return a.written(ctx, getenv, names, false)
}

// Written is that of Access, for data streams too if the sink may write to some.
func (c *ClusterSink) Written(ctx context.Context, getenv func(string) string, names []string) (flow.Source, func() error, error) {
	return c.written(ctx, getenv, names, c.Streams)
}

func (a *Access) written(ctx context.Context, getenv func(string) string, names []string, streams bool) (flow.Source, func() error, error) {
	client, err := a.Connect(ctx, getenv)
	if err != nil {
		return nil, nothing, err
	}
	o := opensearch.SourceOptions{Indices: flow.Patterns{"-*"}, Absent: true, Streams: streams}
	for _, name := range names {
		o.Indices = append(o.Indices, strings.ReplaceAll(name, "[", `\[`))
	}
	source, err := opensearch.NewSource(ctx, client, o)
	if err != nil {
		return nil, nothing, err
	}
	return source, source.Close, nil
}

// sinkPatience is how long the sink waits for a cluster that takes nothing, unless told.
const sinkPatience = 30 * time.Minute

// closeTimeout bounds what is asked of a cluster when a flow ends early. What it does not get then, a later run gives it.
const closeTimeout = 5 * time.Second

// open opens the sink and the ledger for the flow of that identity.
func (c *ClusterSink) open(ctx context.Context, o *Opened, identity string, e *Env) error {
	client, err := c.Connect(ctx, e.Getenv)
	if err != nil {
		return err
	}
	options, err := c.options()
	if err != nil {
		return err
	}
	options.Log = e.Log
	letters, again := o.Source.(*archive.DeadLetters)
	dir := cmp.Or(c.DeadLetters, DefaultDeadLetters)
	if again {
		dir = cmp.Or(c.DeadLetters, letters.Store(), DefaultDeadLetters)
	}
	store, err := archive.OpenDeadStore(dir)
	if err != nil {
		return err
	}
	sink := opensearch.NewSink(client, options)
	o.Sink, o.DeadLetters = sink, store
	o.closeSink = func() error {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		return errors.Join(sink.Close(closing), store.Close())
	}
	o.notes = func() []string {
		notes := clusterNotes(sink)
		if store.File() != "" {
			notes = append(notes, "what the cluster refused is in "+dir+": naru dlq ls "+dir)
		}
		return notes
	}
	o.State = sink.State
	if again { // the letters themselves know which of them are done
		o.Ledger = new(ledger.Memory)
		return nil
	}
	var groups []flow.Group
	if d, ok := o.Source.(flow.Describer); ok {
		if groups, err = d.Groups(ctx); err != nil {
			return fmt.Errorf("describe the source: %w", err)
		}
	}
	shared, err := opensearch.OpenLedger(ctx, client, identity, opensearch.LedgerOptions{Index: c.Ledger, Groups: groups, Log: e.Log})
	if err != nil {
		return err
	}
	o.Ledger, o.Shared = shared, shared
	return nil
}

// clusterNotes says what the cluster did not accept.
func clusterNotes(s *opensearch.Sink) []string {
	// What is left out is mostly the same for many indices.
	indices := map[string][]string{}
	var order []string
	for _, p := range s.Prepared() {
		for _, what := range p.LeftOut {
			if indices[what] == nil {
				order = append(order, what)
			}
			indices[what] = append(indices[what], p.Index)
		}
	}
	slices.Sort(order)
	var notes []string
	for _, what := range order {
		of := indices[what]
		names := strings.Join(of[:min(len(of), 3)], ", ")
		if more := len(of) - 3; more > 0 {
			names += fmt.Sprintf(" and %d more", more)
		}
		notes = append(notes, "left out of "+names+": "+what)
	}
	return notes
}

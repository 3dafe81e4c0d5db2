// Package connect lists the kinds of sources, stages and sinks that flows are made of, and decodes flow files.
// Nothing registers itself: what is here is what there is.
package connect

import (
	"errors"
	"time"

	"github.com/narudata/naru/connect/archive"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stage"
)

// A Flow is what a flow file says.
type Flow struct {
	Source  Source  `json:"source" doc:"where records come from; exactly one kind"`
	Stages  []Stage `json:"stages,omitempty" doc:"what happens to them on the way, in this order; each exactly one kind"`
	Sink    Sink    `json:"sink" doc:"where they go; exactly one kind"`
	Options Options `json:"options,omitzero" doc:"how the flow is run"`

	// Through, if it is set, stands between the opened source and all else, and may give it another identity
	// (Identity() string).
	Through func(flow.Source) flow.Source `json:"-"`
}

// Validate says what is missing.
func (f *Flow) Validate() error {
	if f.Source == (Source{}) {
		return exactlyOne("source", f.Source)
	}
	if f.Sink == (Sink{}) {
		return exactlyOne("sink", f.Sink)
	}
	return nil
}

// A Source is one of the kinds of sources.
type Source struct {
	Snapshot    *Snapshot      `json:"snapshot,omitempty" doc:"a snapshot repository of Elasticsearch or OpenSearch, read as files"`
	Archive     *Archive       `json:"archive,omitempty" doc:"an archive that naru wrote"`
	OpenSearch  *ClusterSource `json:"opensearch,omitempty" doc:"a cluster of OpenSearch or Elasticsearch"`
	DeadLetters *DeadLetters   `json:"deadLetters,omitempty" doc:"records that a flow could not deliver, to be carried again"`
}

// A Stage is one of the kinds of stages.
type Stage struct {
	Sample *stage.Sample `json:"sample,omitempty" doc:"lets a part of the records through, always the same ones"`
	Mask   *stage.Mask   `json:"mask,omitempty" doc:"replaces values by a keyed hash: equal values stay equal, and cannot be read"`
}

// A Sink is one of the kinds of sinks.
type Sink struct {
	NDJSON     *NDJSON      `json:"ndjson,omitempty" doc:"lines of JSON: compressed files in a directory, or standard output"`
	Parquet    *Parquet     `json:"parquet,omitempty" doc:"Parquet files in a directory, with typed columns from the mapping"`
	OpenSearch *ClusterSink `json:"opensearch,omitempty" doc:"a cluster of OpenSearch, or of Elasticsearch 7 or 8"`
}

// Validate says whether exactly one kind is given.
func (s *Source) Validate() error { return exactlyOne("", *s) }

// Validate says whether exactly one kind is given.
func (s *Stage) Validate() error { return exactlyOne("", *s) }

// Validate says whether exactly one kind is given.
func (s *Sink) Validate() error { return exactlyOne("", *s) }

// Snapshot is the source that reads a snapshot repository.
type Snapshot struct {
	URL      string        `json:"url" doc:"path, file:// URL or s3:// URL of the repository"`
	Snapshot string        `json:"snapshot,omitempty" doc:"name of the snapshot, a pattern, or latest (the default)"`
	Indices  flow.Patterns `json:"indices,omitempty" doc:"patterns of index names like logs-*; one that begins with - or ! excludes, the last that matches decides; the default is all"`
}

// Validate says what is missing.
func (s *Snapshot) Validate() error {
	if s.URL == "" {
		return errors.New("url is missing: the path of the repository")
	}
	return nil
}

// Archive is the source that reads an archive.
type Archive struct {
	Dir     string        `json:"dir" doc:"directory of the archive"`
	Indices flow.Patterns `json:"indices,omitempty" doc:"patterns of index names, as for snapshot"`
}

// Validate says what is missing.
func (a *Archive) Validate() error {
	if a.Dir == "" {
		return errors.New("dir is missing: the directory of the archive")
	}
	return nil
}

// NDJSON is the sink that writes lines.
type NDJSON struct {
	Dir         string `json:"dir" doc:"directory of the archive: new, empty, or begun by the same flow; - is standard output"`
	FileBytes   int64  `json:"fileBytes,omitempty" doc:"compressed size in bytes at which the next file is begun; the default is 256 MiB"`
	Level       int    `json:"level,omitempty" doc:"effort of compression, 1 (fast, the default) to 4 (small)"`
	BufferBytes int64  `json:"bufferBytes,omitempty" doc:"bound of what a worker holds in memory, in bytes; the default is 64 MiB"`
}

func (n *NDJSON) config() archive.Config {
	return archive.Config{Dir: n.Dir, Format: archive.NDJSON, FileBytes: n.FileBytes, Level: n.Level, BufferBytes: n.BufferBytes}
}

// Validate asks the archive.
func (n *NDJSON) Validate() error {
	c := n.config()
	return c.Validate()
}

// Parquet is the sink that writes Parquet files.
type Parquet struct {
	Dir         string `json:"dir" doc:"directory of the archive: new, empty, or begun by the same flow"`
	FileBytes   int64  `json:"fileBytes,omitempty" doc:"compressed size in bytes at which the next file is begun; the default is 256 MiB"`
	Columns     int    `json:"columns,omitempty" doc:"most typed columns of a file; the default is 1000, -1 is none"`
	BufferBytes int64  `json:"bufferBytes,omitempty" doc:"bound of what a worker holds in memory, in bytes; the default is 64 MiB"`
}

func (p *Parquet) config() archive.Config {
	return archive.Config{Dir: p.Dir, Format: archive.Parquet, FileBytes: p.FileBytes, Columns: p.Columns, BufferBytes: p.BufferBytes}
}

// Validate asks the archive.
func (p *Parquet) Validate() error {
	c := p.config()
	return c.Validate()
}

// Options say how a flow is run.
type Options struct {
	Workers      int           `json:"workers,omitempty" doc:"parts read at a time; the default is one per processor"`
	InFlight     int           `json:"inFlight,omitempty" doc:"writes at a time for each part; the default is 4, into a cluster 2. Archives have one"`
	BatchRecords int           `json:"batchRecords,omitempty" doc:"most records of a batch; the default is 10000"`
	BatchBytes   int           `json:"batchBytes,omitempty" doc:"most bytes of a batch; the default is 1 MiB, into a cluster 4 MiB"`
	MemoryBytes  int64         `json:"memoryBytes,omitempty" doc:"most bytes of all batches together; the default is 256 MiB"`
	SaveInterval time.Duration `json:"saveInterval,omitempty" doc:"longest time between checkpoints; the default is 10s"`
}

// Validate says what is out of range.
func (o *Options) Validate() error {
	if o.Workers < 0 || o.InFlight < 0 || o.BatchRecords < 0 || o.BatchBytes < 0 || o.MemoryBytes < 0 || o.SaveInterval < 0 {
		return errors.New("a bound is negative; leave it out for the default")
	}
	return nil
}

// Package flow is the engine: it carries records from a source through stages into a sink, and keeps the
// books. A source yields parts; a part is read in batches; a batch is the unit of work, of acknowledgement
// and of memory. A record is delivered, dead-lettered with its reason, dropped by a stage, or the flow stops.
package flow

import (
	"context"
	"encoding/json"
	"iter"
	"time"
)

// A Source says where records come from. Its methods are called concurrently.
type Source interface {
	// Parts yields independent pieces, each exactly once; the flow is bounded when it ends. A part yielded
	// with an error could not be planned (its metadata are damaged, say): the engine books it as failed and
	// goes on. An error with a zero Part, or one that is Fatal, stops the flow.
	Parts(ctx context.Context) iter.Seq2[Part, error]
	// Open starts reading p at from; an empty position is the beginning.
	Open(ctx context.Context, p Part, from Position) (Reader, error)
}

// A Part is a piece of a source that one worker reads: a segment, a range of documents, a partition.
type Part struct {
	ID      string `json:"id"`    // stable across runs: "logs-2024/3/_7k", never an ordinal
	Group   string `json:"group"` // what the books of this part are kept under: an index, a topic
	Spec    []byte `json:"-"`     // the source's own; opaque to the engine
	Records int64  `json:"records"`
	Bytes   int64  `json:"bytes"` // work, in the source's own measure (stored bytes of a segment); for progress only
}

// A Position is a place in a part, opaque to the engine. Empty: the beginning.
type Position []byte

// A Reader reads one part. Its methods are called by one goroutine at a time.
type Reader interface {
	// Read fills b (until b.Full) and sets b.Next. It returns io.EOF itself (not wrapped) once all is read; a
	// batch that comes together with io.EOF is delivered, and needs no Next. On any other error the batch is
	// thrown away and reading is tried again from the last Next, with a new reader, unless the error is
	// Permanent: then the part is booked as failed and the rest of the flow goes on; or Fatal: then the flow
	// delivers and saves what was read of the part, and stops. The same holds for Open. A reader that has to
	// wait for records returns without any after a second or so.
	Read(ctx context.Context, b *Batch) error
	// Ack says that everything before next is safe in the sink, and saved. It may come after io.EOF, and for
	// positions that an earlier reader of the part gave; a reader at its end should keep no more than it
	// needs for it, as it may wait for a commit.
	Ack(ctx context.Context, next Position) error
	Close() error
}

// A Record is one document or event. Its bytes belong to the batch and are valid until the batch is reset.
type Record struct {
	Index   string // the index (or stream) it belongs to
	Type    string // the mapping type; empty where there is none or it is the version's default
	Key     []byte // the id
	Routing []byte // nil: none
	Body    []byte // one line of JSON; nil: the source does not keep it
	Version int64  // of the document at its source, from 1 on; 0: not known
	Time    time.Time

	Meta []byte // what a stream tells of the record beside its body, in the stream's own form; no part of the digest
	Port int32  // of a pipeline: the number of the input it came in by, or of the output it goes out by
}

// A Stage changes batches: records may be altered, removed or added. Process is called concurrently for
// different batches unless the stage is a Forker. When it returns Failures (indices into b.Records as it left
// them), those records become dead letters, whatever their errors, and the rest of the batch goes on. Any
// other error stops the flow.
type Stage interface {
	Process(ctx context.Context, b *Batch) error
}

// A Forker is a stage with state of its own: each part gets its own fork.
type Forker interface {
	Stage
	Fork() Stage
}

// A Flusher is a stage that holds records back across batches. The engine flushes it at the end of a part
// and when it drains, and saves no position while Held is not zero.
type Flusher interface {
	Stage
	Flush(ctx context.Context, b *Batch) error // appends what is held to b
	Held() int
}

// A Sink says where records go.
type Sink interface {
	// Write returns nil when all of recs are safe (for a Committer: taken), Failures for some of them, or an
	// error for all. Permanent failures become dead letters, others are tried again. A Permanent error for
	// all stops the flow. Called concurrently, except on a branch and on a Committer. It must not alter recs.
	Write(ctx context.Context, recs []Record) error
	Close(ctx context.Context) error
}

// A Brancher gives each worker a sink of its own, whose methods are then called by that worker alone.
type Brancher interface {
	Sink
	Branch(ctx context.Context) (Sink, error)
}

// A Committer is a sink (or branch) whose records become visible in one step with the checkpoints. What was
// written and not committed when the process dies, or Close is called, is as if it had never been written.
type Committer interface {
	Sink
	// Commit makes all written so far visible together with cs, which cover exactly those records.
	Commit(ctx context.Context, cs []Checkpoint) error
	// Due reports that the sink would like to be committed now: a file is full, say. The engine commits
	// also at intervals, when it drains, and at the end.
	Due() bool
}

// DeadLetters keeps records that cannot be delivered, with the reason of each. A sink or branch that
// implements it is given its own dead letters; a Committer makes them durable by its Commit. An error is
// tried again unless it is Permanent; the flow stops with it.
type DeadLetters interface {
	Bury(ctx context.Context, recs []Record, why []error) error
}

// A Ledger keeps checkpoints and lends parts to workers. Its methods are called concurrently.
type Ledger interface {
	// Claim gives the last checkpoint of p (zero if there is none) and the right to go on with it. ErrTaken:
	// another worker has it. ErrDone: nothing is left to do; the checkpoint is returned with it.
	Claim(ctx context.Context, p Part) (Checkpoint, error)
	// Save makes cs durable in one step and renews the claims; a checkpoint that is Done ends its claim. It
	// is called at intervals also when nothing has changed. ErrLost: another has taken over; stop at once.
	Save(ctx context.Context, cs ...Checkpoint) error
}

// A Releaser is a ledger that takes claims back: the engine gives up the parts that it leaves unfinished, so
// that others need not wait until its claims expire.
type Releaser interface {
	Release(ctx context.Context, part string) error
}

// A Checkpoint says how far a part has got, and its books from its beginning.
type Checkpoint struct {
	Part     string   `json:"part"`
	Group    string   `json:"group"`
	Position Position `json:"position,omitempty"`
	Done     bool     `json:"done,omitempty"`
	Tally    Tally    `json:"tally"`
}

// A Tally is the books of a part or a group. Read = Delivered + Dead + Dropped.
type Tally struct {
	Read      int64  `json:"read"`               // records the source gave
	Delivered int64  `json:"delivered"`          // records the sink has
	There     int64  `json:"there,omitempty"`    // delivered ones among them that it had before
	Dead      int64  `json:"dead,omitempty"`     // records among the dead letters
	Dropped   int64  `json:"dropped,omitempty"`  // records a stage removed, less those it added
	Bodiless  int64  `json:"bodiless,omitempty"` // delivered ones among them that have no body
	Bytes     int64  `json:"bytes"`              // body bytes delivered
	Digest    Digest `json:"digest"`             // of what was delivered
}

// Add adds o to t.
func (t *Tally) Add(o Tally) {
	t.Read += o.Read
	t.Delivered += o.Delivered
	t.There += o.There
	t.Dead += o.Dead
	t.Dropped += o.Dropped
	t.Bodiless += o.Bodiless
	t.Bytes += o.Bytes
	t.Digest.Merge(o.Digest)
}

// A Group is what books are kept under: an index, a topic.
type Group struct {
	Name    string          `json:"name"`
	Records int64           `json:"records"` // expected; -1: not known
	Bytes   int64           `json:"bytes"`   // in the measure of Part.Bytes
	Grade   Grade           `json:"grade"`
	Why     string          `json:"why,omitempty"`  // the reason when Grade is not Lossless
	Meta    json.RawMessage `json:"meta,omitempty"` // of an index: {"mappings":…,"settings":…,"aliases":…}
}

// A Grade says how much of its records a source can give.
type Grade string

// The grades. They stand in reports and manifests.
const (
	Lossless   Grade = "lossless"     // every record byte for byte
	Partial    Grade = "partial"      // every record, some without a part of its body
	Unreadable Grade = "not readable" // ids only, or nothing
)

// A Describer is a source that knows its groups beforehand.
type Describer interface {
	Groups(ctx context.Context) ([]Group, error)
}

// A Preparer is a sink that is told what will come, before the first Write or Branch.
type Preparer interface {
	Prepare(ctx context.Context, groups []Group) error
}

// A Finisher is a sink that is told that every part of the flow is done, after the last Write and Commit.
type Finisher interface {
	Finish(ctx context.Context) error
}

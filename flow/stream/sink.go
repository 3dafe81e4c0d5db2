package stream

import "github.com/narudata/naru/flow"

// A Sink is where records with one port go, and how they are written. Records that a Write refuses for now are tried again
// until it takes them or the pipeline is stopped; what it refuses for good (flow.Permanent) is a dead letter.
type Sink struct {
	flow.Sink
	// InOrder: one write at a time, in the order in which the records were read.
	InOrder bool
	// InFlight is how many writes there are at a time; 0: 4. Not with InOrder.
	InFlight int
	// What waits to be written is written together up to these bounds; 0: 4096 records, 4 MiB. A write may be larger by what
	// came of one batch.
	MaxRecords int
	MaxBytes   int
	// Retry says how patiently writes are tried again; Attempts is not used: there is no end. The zero value waits up to
	// 30 s.
	Retry flow.Retry
	// Dead makes the dead letter of a record, for sinks whose records are more than a document; nil: the record itself.
	Dead func(r flow.Record) flow.Record
}

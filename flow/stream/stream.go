// Package stream runs flows without an end: several sources, whose streams (connections, partitions, files) come and go,
// one program that every worker has a copy of, and several sinks. A batch is acknowledged to its stream once everything
// that came of it is safe: in the sinks, among the dead letters, or dropped on purpose.
package stream

import (
	"context"

	"github.com/narudata/naru/flow"
)

// A Source opens streams.
type Source interface {
	// Run hands over streams as they come up, until ctx is done or there will be no more. open does not block; once it is
	// called the stream is the engine's, which closes it. Run returns an error only if the source cannot go on: the
	// pipeline stops with it.
	//
	// When ctx is done the source takes nothing new, but what acknowledgements need (connections, group memberships) must
	// stay up until the streams are closed, so Run returns only when all of its streams are: the engine delivers what was
	// read, acknowledges and closes them meanwhile.
	Run(ctx context.Context, open func(Stream)) error
}

// A Stream is a sequence of batches. Wait, Read are called by one goroutine; Ack by another one, concurrently with them.
type Stream interface {
	// Wait blocks until there is something to read, without holding any memory for it, until the stream has ended (io.EOF,
	// not wrapped) or ctx is done. A stream that never waits returns nil.
	Wait(ctx context.Context) error
	// Read appends what there is to b, up to b.Full, and sets b.Next. It must not wait long for more. Bytes of the records
	// live in the batch's arena (Alloc, Copy) or are never changed again. It may return no records, and io.EOF beside the last ones.
	// Any other error ends the stream: what was read before is still delivered and acknowledged, then it is closed. Its source
	// opens another one if it can go on.
	Read(ctx context.Context, b *flow.Batch) error
	// Ack says that everything up to and including the batch whose Next was next is safe. It is called in the order of the
	// batches, not for each of them: a later one covers those before. It may block for a while: that holds up this stream only.
	// An error is logged; it must not lose anything: what is not acknowledged comes again.
	Ack(ctx context.Context, next flow.Position) error
	// Close is called once, after the last Ack, when everything that was read is settled or, if the pipeline was stopped hard,
	// given up.
	Close() error
}

// A Volatile source cannot be read again: what it gave is lost unless it is kept until it is delivered.
type Volatile interface {
	Source
	Volatile() bool
}

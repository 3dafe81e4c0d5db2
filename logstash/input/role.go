package input

import (
	"context"
	"log/slog"
	"time"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/witness"
)

// A Role is how a run of a pipeline takes part in the route of a consumer group (kafka.Route). The input kafka reads by it, and
// outputs write by it. Nil: the pipeline takes part in none.
type Role struct {
	Group  string // the consumer group
	Hash   string // of the version that this process is
	Shadow bool   // it reads by a group of its own, and writes beside
	// Witness keeps what outputs make that cannot be read back, while the route compares two versions; nil: it is not kept.
	Witness *witness.Witness
}

// witnessed tells a role's witness what is read.
func (r *Role) witnessed(open func(stream.Stream)) func(stream.Stream) {
	if r == nil || r.Witness == nil {
		return open
	}
	return func(s stream.Stream) { open(&seenStream{Stream: s, by: r.Witness}) }
}

// seenStream is the stream of a partition.
type seenStream struct {
	stream.Stream
	by    *witness.Witness
	known bool // the witness knows that it began
}

// Read implements stream.Stream.
func (s *seenStream) Read(ctx context.Context, b *flow.Batch) error {
	before := len(b.Records)
	err := s.Stream.Read(ctx, b)
	if !s.by.Keeps() {
		s.known = false
		return err
	}
	if n := len(b.Records); n > before {
		first, wrong := kafka.ParseMeta(b.Records[before].Meta)
		last, wrong2 := kafka.ParseMeta(b.Records[n-1].Meta)
		if wrong == nil && wrong2 == nil {
			s.by.Read(first.Topic, first.Partition, first.Offset, last.Offset+1, !s.known)
			s.known = true
		}
	}
	return err
}

// InShadow reports that nothing may be written where it usually is.
func (r *Role) InShadow() bool { return r != nil && r.Shadow }

// Prefix is what names have in front of what is written beside.
func (r *Role) Prefix() string { return ShadowPrefix(r.Hash) }

// ShadowPrefix is what the names of indices have in front that a version of a pipeline writes in shadow.
func ShadowPrefix(hash string) string { return "shadow-" + hash + "-" }

// A Routed input is one that takes part in routes.
type Routed interface {
	// Route gives the consumer group it is a member of, and how the cluster is reached, without what it needs for a role.
	Route() kafka.Group
}

// seen is a source whose role has a witness.
type seen struct {
	kafkaMembers
	role *Role
}

// Run implements stream.Source.
func (s seen) Run(ctx context.Context, open func(stream.Stream)) error {
	return s.kafkaMembers.Run(ctx, s.role.witnessed(open))
}

// shadowed is a source that begins where the live group is, if its own group has not begun.
type shadowed struct {
	kafkaMembers
	role *Role
	live kafka.Group
	log  *slog.Logger
}

// Run implements stream.Source.
func (s shadowed) Run(ctx context.Context, open func(stream.Stream)) error {
	for wait := 250 * time.Millisecond; ; wait = min(2*wait, 15*time.Second) {
		err := s.begin(ctx)
		if err == nil {
			return s.kafkaMembers.Run(ctx, s.role.witnessed(open))
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was told to stop
		}
		s.log.Error("where to begin in shadow is not known; it is tried again", "error", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

func (s shadowed) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	admin, err := s.live.Admin(ctx)
	if err != nil {
		return err
	}
	defer admin.Close()
	group, err := admin.BeginShadow(ctx, s.live.Group, s.role.Hash, s.live.Topics)
	if err == nil {
		s.log.Info("reading in shadow", "group", group, "of", s.live.Group)
	}
	return err
}

package input

import (
	"context"
	"log/slog"
	"time"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/flow/stream"
)

// A Role is how a run of a pipeline takes part in the route of a consumer group (kafka.Route). The input kafka reads by it, and
// outputs write by it. Nil: the pipeline takes part in none.
type Role struct {
	Hash   string // of the version that this process is
	Shadow bool   // it reads by a group of its own, and writes beside
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

// shadowed is a source that begins where the live group is, if its own group has not begun.
type shadowed struct {
	kafkaMembers
	live kafka.Group
	hash string
	log  *slog.Logger
}

// Run implements stream.Source.
func (s shadowed) Run(ctx context.Context, open func(stream.Stream)) error {
	for wait := 250 * time.Millisecond; ; wait = min(2*wait, 15*time.Second) {
		err := s.begin(ctx)
		if err == nil {
			return s.kafkaMembers.Run(ctx, open)
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
	group, err := admin.BeginShadow(ctx, s.live.Group, s.hash, s.live.Topics)
	if err == nil {
		s.log.Info("reading in shadow", "group", group, "of", s.live.Group)
	}
	return err
}

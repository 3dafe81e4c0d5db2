package connect

import (
	"context"
	"strings"

	"github.com/narudata/naru/connect/archive"
	"github.com/narudata/naru/connect/snapshot"
	"github.com/narudata/naru/flow"
)

// Open opens the source; what it has open is closed by closer. Its String and Identity say which records it gives.
func (s *Source) Open(ctx context.Context, getenv func(string) string) (source flow.Source, closer func() error, err error) {
	switch {
	case s.Snapshot != nil:
		source, err := s.Snapshot.Config().Open(ctx)
		if err != nil {
			return nil, nothing, err
		}
		return source, source.Close, nil
	case s.Archive != nil:
		return s.Archive.Open(ctx)
	case s.OpenSearch != nil:
		return s.OpenSearch.Open(ctx, getenv)
	case s.DeadLetters != nil:
		return s.DeadLetters.Open(ctx)
	}
	return nil, nothing, exactlyOne("source", *s)
}

// Config is what the connector takes.
func (s *Snapshot) Config() snapshot.Config {
	return snapshot.Config{URL: s.URL, Snapshot: s.Snapshot, Indices: s.Indices}
}

// Open opens a complete archive.
func (a *Archive) Open(ctx context.Context) (flow.Source, func() error, error) {
	return a.open(ctx, archive.OpenSource)
}

// OpenCommitted opens what is committed of an archive that need not be complete.
func (a *Archive) OpenCommitted(ctx context.Context) (flow.Source, func() error, error) {
	return a.open(ctx, archive.OpenCommitted)
}

func (a *Archive) open(ctx context.Context, open func(context.Context, string) (*archive.Source, error)) (flow.Source, func() error, error) {
	if err := a.Indices.Validate(); err != nil {
		return nil, nothing, err
	}
	source, err := open(ctx, a.Dir)
	if err != nil {
		return nil, nothing, err
	}
	if len(a.Indices) == 0 {
		return source, source.Close, nil
	}
	return only{source, a.Indices}, source.Close, nil
}

// identity says which records the opened source gives, so that an archive is continued only by the flow that
// began it.
func (s *Source) identity(source flow.Source) string {
	if i, ok := source.(interface{ Identity() string }); ok {
		return i.Identity()
	}
	if s.OpenSearch != nil && len(s.OpenSearch.Indices) > 0 {
		return s.String() + ", indices " + strings.Join(s.OpenSearch.Indices, " ")
	}
	if s.Archive == nil {
		return s.String()
	}
	identity := "archive " + absolute(s.Archive.Dir)
	if len(s.Archive.Indices) > 0 {
		identity += ", indices " + strings.Join(s.Archive.Indices, " ")
	}
	return identity
}

package cli

import (
	"context"
	"iter"
	"os"
	"strconv"
	"time"

	"github.com/narudata/naru/flow"
)

// slowed makes the sources of the test binary's naru give a few records at a time and wait in between, if the
// tests ask for it by NARU_TEST_WAIT (a duration) and NARU_TEST_RECORDS: time enough to be interrupted or killed. A
// read that is told to stop does so only NARU_TEST_DEAF later.
func slowed(env Env) Env {
	wait, err := time.ParseDuration(os.Getenv("NARU_TEST_WAIT"))
	if err != nil {
		return env
	}
	records, err := strconv.Atoi(os.Getenv("NARU_TEST_RECORDS"))
	if err != nil {
		records = 100
	}
	deaf, err := time.ParseDuration(os.Getenv("NARU_TEST_DEAF"))
	if err != nil {
		deaf = 0
	}
	env.wrap = func(s flow.Source) flow.Source { return &slowSource{s, wait, deaf, records} }
	return env
}

type slowSource struct {
	of         flow.Source
	wait, deaf time.Duration
	records    int // of a batch
}

func (s *slowSource) Groups(ctx context.Context) ([]flow.Group, error) {
	return s.of.(flow.Describer).Groups(ctx)
}

func (s *slowSource) Parts(ctx context.Context) iter.Seq2[flow.Part, error] { return s.of.Parts(ctx) }

func (s *slowSource) Open(ctx context.Context, p flow.Part, from flow.Position) (flow.Reader, error) {
	r, err := s.of.Open(ctx, p, from)
	if err != nil {
		return nil, err
	}
	return &slowReader{r, s}, nil
}

type slowReader struct {
	flow.Reader
	s *slowSource
}

func (r *slowReader) Read(ctx context.Context, b *flow.Batch) error {
	if err := pause(ctx, r.s.wait); err != nil {
		_ = pause(context.WithoutCancel(ctx), r.s.deaf)
		return err
	}
	b.MaxRecords = r.s.records
	return r.Reader.Read(ctx, b)
}

package testbed_test

import (
	"context"
	"iter"
	"math/rand/v2"
	"testing"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/flowtest"
	"github.com/narudata/naru/internal/testbed"
)

func TestDrainGivesEveryRecordOnceWhereverPartsAreReopened(t *testing.T) {
	feed := flowtest.NewFeed(6, 2, 500)
	want := map[string][]testbed.Line{}
	for _, piece := range feed.Pieces {
		for _, r := range piece.Records {
			want[r.Index] = append(want[r.Index], testbed.Line{Index: r.Index, ID: string(r.Key), Source: r.Body})
		}
	}
	for seed := range uint64(20) {
		got, err := testbed.Drain(t.Context(), feed, rand.New(rand.NewPCG(seed, 0)))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if diff := testbed.Diff(want, got); diff != "" {
			t.Fatalf("seed %d:\n%s", seed, diff)
		}
	}
}

// altered changes what a feed yields.
type altered struct {
	*flowtest.Feed
	parts func(iter.Seq2[flow.Part, error]) iter.Seq2[flow.Part, error]
	open  func(flow.Reader) flow.Reader
}

func (a altered) Parts(ctx context.Context) iter.Seq2[flow.Part, error] {
	if a.parts == nil {
		return a.Feed.Parts(ctx)
	}
	return a.parts(a.Feed.Parts(ctx))
}

func (a altered) Open(ctx context.Context, p flow.Part, from flow.Position) (flow.Reader, error) {
	r, err := a.Feed.Open(ctx, p, from)
	if err == nil && a.open != nil {
		r = a.open(r)
	}
	return r, err
}

// still never says where it is.
type still struct{ flow.Reader }

func (s still) Read(ctx context.Context, b *flow.Batch) error {
	err := s.Reader.Read(ctx, b)
	b.Next = nil
	return err
}

func TestDrainSeesWhereASourceBreaksItsContract(t *testing.T) {
	about := func(records int64, grade flow.Grade) *flowtest.Feed {
		f := flowtest.NewFeed(2, 1, 500)
		f.About = []flow.Group{{Name: "index-0", Records: records, Grade: grade}}
		return f
	}
	bodiless := about(1000, flow.Lossless)
	bodiless.Pieces[0].Records[3].Body = nil
	stray := about(1000, flow.Lossless)
	stray.Pieces[0].Records[3].Index = "another"
	unrouted := about(1000, flow.Lossless)
	unrouted.Pieces[0].Records[3].Routing = []byte{}
	for name, src := range map[string]flow.Source{
		"a part twice": altered{Feed: about(2000, flow.Lossless), parts: func(parts iter.Seq2[flow.Part, error]) iter.Seq2[flow.Part, error] {
			return func(yield func(flow.Part, error) bool) {
				for p, err := range parts {
					for range 2 {
						if !yield(p, err) {
							return
						}
					}
				}
			}
		}},
		"batches without a position":              altered{Feed: about(1000, flow.Lossless), open: func(r flow.Reader) flow.Reader { return still{r} }},
		"another number of records than was said": about(999, flow.Lossless),
		"a lossless record without a body":        bodiless,
		"a record of another index":               stray,
		"an empty routing":                        unrouted,
	} {
		if _, err := testbed.Drain(t.Context(), src, rand.New(rand.NewPCG(1, 0))); err == nil {
			t.Errorf("%s is not seen", name)
		}
	}
	if _, err := testbed.Drain(t.Context(), about(1000, flow.Lossless), rand.New(rand.NewPCG(1, 0))); err != nil {
		t.Errorf("nothing is wrong, but: %v", err)
	}
}

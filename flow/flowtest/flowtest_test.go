package flowtest_test

import (
	"testing"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/flowtest"
)

func TestAFeedIsASource(t *testing.T) {
	for _, feed := range []*flowtest.Feed{
		flowtest.NewFeed(5, 2, 40), flowtest.NewFeed(3, 3, 0), {}, {Pieces: flowtest.NewFeed(2, 1, 30).Pieces, About: []flow.Group{{Name: "index-0"}}, EndWithLast: true, Step: 4},
	} {
		flowtest.Source(t, func(*testing.T) flow.Source { return feed }, feed.All())
	}
}

func TestAShelfIsASink(t *testing.T) {
	flowtest.Sink(t, func(*testing.T) (flow.Sink, func(*testing.T) []flow.Record) {
		s := new(flowtest.Shelf)
		return s, func(*testing.T) []flow.Record { return s.Records() }
	})
}

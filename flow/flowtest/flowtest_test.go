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

func TestAVaultIsACommitter(t *testing.T) {
	vaults := make(map[string]*flowtest.Vault)
	flowtest.Committer(t, flowtest.Transactional{
		Open: func(_ *testing.T, dir string) (flow.Sink, flow.Ledger) {
			if v := vaults[dir]; v != nil {
				vaults[dir] = v.Crash()
			} else {
				vaults[dir] = flowtest.NewVault()
			}
			return vaults[dir], vaults[dir]
		},
		Records: func(_ *testing.T, dir string) []flow.Record { return vaults[dir].Records() },
	})
}

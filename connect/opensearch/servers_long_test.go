//go:build servers

package opensearch_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/internal/testbed"
)

// TestServersAreReadByteForByte is the long test of this package: each of the servers that a Source reads is filled with a
// random corpus and read back. NARU_SEED repeats a corpus.
func TestServersAreReadByteForByte(t *testing.T) {
	for _, name := range testbed.Asked("es710", "es717", "es8", "os13", "os29", "os219", "os3") {
		t.Run(name, func(t *testing.T) {
			readsWhatIsThere(t, name, testbed.Recipe{Indices: 12, Rounds: 4, Documents: 250, Large: 8})
		})
	}
}

// TestServersTakeEveryKindOfOperation writes events to each of the servers that a pipeline may write to, and kills it meanwhile.
func TestServersTakeEveryKindOfOperation(t *testing.T) {
	for _, name := range testbed.Asked("os3", "os219", "es8", "es717") {
		t.Run(name, func(t *testing.T) { takesEveryKindOfOperation(t, name, true) })
	}
}

// TestServersRefuseWhatIsTooLarge writes records that a node's limits for requests and for memory refuse, among others that arrive.
func TestServersRefuseWhatIsTooLarge(t *testing.T) {
	for _, name := range testbed.Asked("os3", "os219", "es8", "es717") {
		for setting, why := range map[string]string{"http.max_content_length": "413", "indexing_pressure.memory.limit": "429"} {
			t.Run(name+" "+setting, func(t *testing.T) {
				ok, missing := testbed.CanStart(t, name)
				testbed.Need(t, ok, missing)
				node := testbed.Start(t, name, testbed.Options{Settings: map[string]string{setting: "1mb"}})
				for level := range 2 {
					index := fmt.Sprintf("large-%d", level)
					node.Call(t, "PUT", "/"+index, map[string]any{"mappings": map[string]any{"properties": map[string]any{"m": map[string]any{"type": "text", "index": false}}}})
					s := dialEvents(t, opensearch.Endpoint{URLs: []string{node.URL}}, opensearch.EventsOptions{Compression: level})
					recs := make([]flow.Record, 300)
					for i := range recs {
						size := 10_000
						switch i {
						case 100:
							size = 1_500_000
						case 200:
							size = 40_000_000
						}
						recs[i].Body = fmt.Appendf(nil, `{"index":{"_index":%q,"_id":"%d"}}`+"\n"+`{"m":%q}`+"\n", index, i, strings.Repeat("x", size))
					}
					dead, _, writes := deliver(t, s, recs)
					if len(dead) != 2 || dead[100] == nil || dead[200] == nil {
						t.Fatalf("%d dead letters: %v", len(dead), dead)
					}
					for _, i := range []int{100, 200} {
						if !strings.Contains(dead[i].Error(), why) {
							t.Errorf("record %d: %v, want the status %s", i, dead[i], why)
						}
					}
					if n := len(documentsOf(t, node, index)); n != 298 {
						t.Errorf("%d documents arrived, not 298", n)
					}
					if most := map[string]int{"413": 1, "429": opensearch.MostOversize}[why]; writes > most {
						t.Errorf("%d writes, want up to %d", writes, most)
					}
				}
			})
		}
	}
}

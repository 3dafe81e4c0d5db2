package flow

import (
	"strings"
	"testing"
)

func TestHashingARecordAllocatesNothingHoweverLongItsIndexIsCalled(t *testing.T) {
	var h Hasher
	r := &Record{Index: strings.Repeat("logs-application-", 8) + "2019.01.01", Key: []byte("1"), Routing: []byte("r"), Body: []byte(`{"a":1}`)}
	h.Add(r)
	if n := testing.AllocsPerRun(100, func() { h.Add(r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	big := &Record{Index: r.Index, Key: r.Key, Body: []byte(strings.Repeat("x", 1<<20))}
	h.Add(big)
	if n := testing.AllocsPerRun(10, func() { h.Add(big) }); n != 0 {
		t.Errorf("%v allocations for a large body", n)
	}
}

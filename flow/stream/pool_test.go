package stream

import (
	"testing"
)

func TestJobsAreKeptAsLongAsTheyFitIntoTheMemoryOfThePipe(t *testing.T) {
	const limit = 16 << 20
	p := newPool(limit, mostJobs, 2, 1)
	fill := func() (jobs []*job) {
		for p.room() {
			j, err := p.take(t.Context(), 0, &Clock{})
			if err != nil {
				t.Fatal(err)
			}
			j.input = 0
			j.batch.Alloc(1 << 20)
			p.reweigh(j)
			jobs = append(jobs, j)
		}
		return jobs
	}
	first := fill()
	for _, j := range first {
		p.put(j)
	}
	if len(p.idle) != len(first) || p.weight != 0 || p.spare < limit {
		t.Fatalf("%d of %d jobs are kept, of %d bytes; %d bytes are on their way", len(p.idle), len(first), p.spare, p.weight)
	}
	again := fill()
	if p.spare != 0 || len(p.idle) != 0 {
		t.Errorf("%d jobs of %d bytes are kept while all are on their way", len(p.idle), p.spare)
	}
	big := again[0]
	big.batch.Alloc(7 << 20)
	p.reweigh(big)
	kept := 0
	for _, j := range again {
		p.put(j)
		if kept = len(p.idle); p.weight+p.spare > limit+limit/4 && kept > 2 {
			t.Fatalf("%d bytes are kept beside %d on their way", p.spare, p.weight)
		}
	}
	if kept == len(again) {
		t.Errorf("all %d jobs are kept, although one has grown", kept)
	}
}

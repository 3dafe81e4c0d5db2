package filter

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// rateMinutes are the minutes over which there are rates.
var rateMinutes = [...]int64{1, 5, 15}

// rateStep is how often rates change.
const rateStep = 5 * time.Second

// rateWeights are how much the latest step weighs in each rate.
var rateWeights = func() (w [len(rateMinutes)]float64) {
	for i, minutes := range rateMinutes {
		w[i] = 1 - math.Exp(-rateStep.Minutes()/float64(minutes))
	}
	return w
}()

// rates count events, and average how many there are in a second: in steps of five seconds, as the load of a Unix system. The
// first step sets the rates; each further one moves them towards its own by its weight.
//
// Source: Metriks::Meter and Metriks::EWMA of metriks 0.9.9, which follow Codahale's Metrics.
type rates struct {
	count     int64
	fresh     int64 // events since the latest step
	ticked    time.Time
	begun     bool
	perSecond [len(rateMinutes)]float64
}

// mark counts an event.
func (r *rates) mark(now time.Time) {
	r.tick(now)
	r.count++
	r.fresh++
}

// tick does the steps that are due. As in the original what is left of a step is lost, and exactly five seconds are none.
func (r *rates) tick(now time.Time) {
	age := now.Sub(r.ticked)
	if age <= rateStep {
		return
	}
	r.ticked = now
	latest := float64(r.fresh) / rateStep.Seconds()
	r.fresh = 0
	idle := float64(age/rateStep - 1) // steps without events
	for i, weight := range rateWeights {
		if !r.begun {
			r.perSecond[i] = latest
		} else {
			r.perSecond[i] += weight * (latest - r.perSecond[i])
		}
		if idle > 0 {
			r.perSecond[i] *= math.Pow(1-weight, idle)
		}
	}
	r.begun = true
}

// sampleSize is how many values are kept for percentiles.
const sampleSize = 1028

// sampleDecay is how fast older values lose their place in the sample, per second.
const sampleDecay = 0.015

// measured are the values of a timer: exact sums of all, and a sample for percentiles in which the newer ones are more likely.
//
// Source: Metriks::Histogram and Metriks::ExponentiallyDecayingSample of metriks 0.9.9. A priority here is the logarithm of one
// there: the order is the same, and it needs no scaling down as time goes on.
type measured struct {
	begun         time.Time
	count         int64
	least, most   float64
	sum           float64
	center, moved float64 // Welford's mean, and sum of squares of distances from it
	sample        sample
}

func (m *measured) add(value float64, now time.Time) {
	m.count++
	m.sum += value
	if m.count == 1 {
		m.least, m.most, m.center = value, value, value
	} else {
		m.least, m.most = min(m.least, value), max(m.most, value)
		before := m.center
		m.center += (value - before) / float64(m.count)
		m.moved += (value - before) * (value - m.center)
	}
	entry := sampled{sampleDecay*now.Sub(m.begun).Seconds() - math.Log(rand.Float64()), value} //nolint:gosec // no secret
	switch {
	case len(m.sample) < sampleSize:
		heap.Push(&m.sample, entry)
	case m.sample[0].priority < entry.priority:
		m.sample[0] = entry
		heap.Fix(&m.sample, 0)
	}
}

func (m *measured) mean() float64 {
	if m.count == 0 {
		return 0
	}
	return m.sum / float64(m.count)
}

// deviation gives the standard deviation of a sample.
func (m *measured) deviation() float64 {
	if m.count <= 1 {
		return 0
	}
	return math.Sqrt(m.moved / float64(m.count-1))
}

// sorted gives the values of the sample in their order.
func (m *measured) sorted() []float64 {
	values := make([]float64, len(m.sample))
	for i, s := range m.sample {
		values[i] = s.value
	}
	slices.Sort(values)
	return values
}

// quantile gives the value below which a part of sorted values is, between two values in proportion; 0 if there are none.
func quantile(sorted []float64, part float64) float64 {
	n := len(sorted)
	if n == 0 {
		return 0
	}
	at := part * float64(n+1)
	switch {
	case at < 1:
		return sorted[0]
	case at >= float64(n):
		return sorted[n-1]
	}
	below := int(at)
	lower, upper := sorted[below-1], sorted[below]
	return lower + (at-math.Floor(at))*(upper-lower)
}

// sample is a heap with the lowest priority at its top.
type sample []sampled

type sampled struct{ priority, value float64 }

// Len implements heap.Interface.
func (s sample) Len() int { return len(s) }

// Less implements heap.Interface.
func (s sample) Less(i, j int) bool { return s[i].priority < s[j].priority }

// Swap implements heap.Interface.
func (s sample) Swap(i, j int) { s[i], s[j] = s[j], s[i] }

// Push implements heap.Interface.
func (s *sample) Push(x any) { *s = append(*s, x.(sampled)) }

// Pop implements heap.Interface.
func (s *sample) Pop() any {
	last := len(*s) - 1
	x := (*s)[last]
	*s = (*s)[:last]
	return x
}

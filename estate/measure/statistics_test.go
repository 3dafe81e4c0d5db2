package measure_test

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/estate/measure"
)

// Published values: Mann and Whitney's table (n = 5 and 5, U = 2: 0.016 one-sided), Student's quantiles, and Benjamini
// and Hochberg's definition by hand.
func TestTheTestsGiveThePublishedValues(t *testing.T) {
	near := func(what string, got, want, within float64) {
		t.Helper()
		if math.Abs(got-want) > within {
			t.Errorf("%s: %v, not %v", what, got, want)
		}
	}
	near("U = 0 of 5 and 5", measure.MannWhitney([]float64{1, 2, 3, 4, 5}, []float64{6, 7, 8, 9, 10}, 0), 2.0/252, 1e-12)
	near("U = 2 of 5 and 5", measure.MannWhitney([]float64{1, 2, 3, 4, 7}, []float64{5, 6, 8, 9, 10}, 0), 2*4.0/252, 1e-12)
	near("all the same", measure.MannWhitney([]float64{1, 1, 1}, []float64{1, 1, 1}, 0), 1, 0)
	near("t of 10", measure.StudentTail(2.228, 10), 0.025, 1e-4)
	near("t of 1", measure.StudentTail(12.706, 1), 0.025, 1e-5)
	near("t of many", measure.StudentTail(1.959964, 1e6), 0.025, 1e-6)
	near("t = 0", measure.StudentTail(0, 5), 0.5, 1e-12)
	want := []float64{0.04, 0.04, 0.005, 0.5}
	got := measure.Adjusted([]float64{0.02, 0.03, 0.00125, 0.5})
	for i := range got {
		near("corrected", got[i], want[i], 1e-12)
	}
}

// TestTheExactDistributionIsThatOfAllOrders counts the orders of 3 and 4 values one by one.
func TestTheExactDistributionIsThatOfAllOrders(t *testing.T) {
	distance := func(chosen int) (d int, a, b []float64) { // twice that of U from its mean
		u := 0
		for i := range 7 {
			if chosen>>i&1 == 1 {
				a = append(a, float64(i))
				u += len(b)
			} else {
				b = append(b, float64(i))
			}
		}
		return max(2*u-12, 12-2*u), a, b
	}
	var all []int
	for chosen := range 1 << 7 {
		if bits.OnesCount(uint(chosen)) == 3 {
			all = append(all, chosen)
		}
	}
	for _, chosen := range all {
		d, a, b := distance(chosen)
		as := 0
		for _, other := range all {
			if e, _, _ := distance(other); e >= d {
				as++
			}
		}
		if got, want := measure.MannWhitney(a, b, 0), float64(as)/35; math.Abs(got-want) > 1e-12 {
			t.Errorf("%v and %v: %v, not %v", a, b, got, want)
		}
	}
}

// With many values, the exact and the normal distribution agree.
func TestTheNormalDistributionTakesOverWhereTheExactOneEnds(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 50 {
		a, b := make([]float64, 20), make([]float64, 20)
		for i := range a {
			a[i], b[i] = r.NormFloat64(), r.NormFloat64()+0.5
		}
		exact := measure.MannWhitney(a, b, 0)
		normal := measure.MannWhitney(a, b, 1e-9)
		if math.Abs(exact-normal) > 0.02 {
			t.Errorf("exact %v, normal %v", exact, normal)
		}
	}
}

// series is autocorrelated noise around a level of 100, with an outlier now and then if it is heavy.
func series(r *rand.Rand, n int, rho float64, heavy bool) []float64 {
	step := func() float64 {
		x := r.NormFloat64()
		if heavy && r.Float64() < 0.1 {
			x *= 5
		}
		return x
	}
	out := make([]float64, n)
	x := step() / math.Sqrt(1-rho*rho)
	for i := range out {
		out[i] = 100 + 10*x
		x = rho*x + step()
	}
	return out
}

// TestNoiseIsSeldomTakenForAnEffect judges windows between which nothing changed: a thousand times for each length, kind
// of noise and autocorrelation. What is called better or worse is a false alarm.
func TestNoiseIsSeldomTakenForAnEffect(t *testing.T) {
	const times = 1000
	for _, c := range []struct {
		n     int
		rho   float64
		heavy bool
	}{{8, 0.3, true}, {14, 0, false}, {14, 0.5, true}, {14, 0.9, false}, {40, 0, true}, {40, 0.5, false}, {40, 0.9, true}} {
		r := rand.New(rand.NewPCG(uint64(c.n), uint64(100*c.rho)))
		alarms := 0
		for range times {
			s := series(r, 2*c.n, c.rho, c.heavy)
			if v := judge(s[:c.n], s[c.n:]).Verdict; v == measure.Better || v == measure.Worse {
				alarms++
			}
		}
		t.Logf("%+v: %d false alarms of %d", c, alarms, times)
		if alarms > times*5/100 {
			t.Errorf("%+v: %d false alarms of %d", c, alarms, times)
		}
	}
}

// A record has many metrics, most of which go up and down together. That any of them is called changed is the false alarm
// here.
func TestNoiseOfManyMetricsIsSeldomTakenForAnEffect(t *testing.T) {
	const times, n = 400, 14
	names := []string{"ingest", "indexing time", "search rate", "query time", "search time", "rejected", "lag", "heap", "gc", "cpu", "refresh", "merge", "segments", "size"}
	for _, shared := range []float64{0, 0.7} { // how much of each metric is what all have in common
		r := rand.New(rand.NewPCG(7, uint64(10*shared)))
		alarms := 0
		for range times {
			before, after := map[string][]float64{}, map[string][]float64{}
			common := series(r, 2*n, 0.5, false)
			for i, name := range names {
				own := series(r, 2*n, 0.5, i%2 == 0)
				for j := range own {
					own[j] = math.Sqrt(shared)*common[j] + math.Sqrt(1-shared)*own[j]
				}
				before[name], after[name] = own[:n], own[n:]
			}
			changed := false
			for _, c := range measure.Judge(measure.WindowOf(before), measure.WindowOf(after), "x") {
				changed = changed || c.Verdict == measure.Better || c.Verdict == measure.Worse || c.Verdict == measure.Higher || c.Verdict == measure.Lower
			}
			if changed {
				alarms++
			}
		}
		t.Logf("share in common %v: %d of %d records have a false alarm", shared, alarms, times)
		if alarms > times*5/100 {
			t.Errorf("share in common %v: %d of %d records have a false alarm", shared, alarms, times)
		}
	}
}

func TestAnEffectIsFound(t *testing.T) {
	const times = 200
	for _, c := range []struct {
		n       int
		rho     float64
		shift   float64 // in percent of the level; the noise has 10
		atLeast int
	}{{14, 0, 30, 95}, {14, 0.3, 50, 70}, {30, 0.3, 30, 95}, {60, 0.6, 30, 95}, {120, 0.6, 20, 90}} {
		r := rand.New(rand.NewPCG(9, uint64(c.n)))
		found, wrong := 0, 0
		for range times {
			s := series(r, 2*c.n, c.rho, false)
			for i := c.n; i < 2*c.n; i++ {
				s[i] += c.shift
			}
			switch judge(s[:c.n], s[c.n:]).Verdict {
			case measure.Worse: // of "query time", less is better
				found++
			case measure.Better:
				wrong++
			default:
			}
		}
		t.Logf("%d samples, autocorrelation %v, %v %% more: found %d of %d", c.n, c.rho, c.shift, found, times)
		if found < times*c.atLeast/100 || wrong > 0 {
			t.Errorf("%d samples, autocorrelation %v, %v %% more: found %d of %d, %d the wrong way", c.n, c.rho, c.shift, found, times, wrong)
		}
	}
}

func TestADifferenceThatDoesNotMatterIsNoChangeHoweverSure(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	before, after := make([]float64, 100), make([]float64, 100)
	for i := range before {
		before[i], after[i] = 1000+r.NormFloat64(), 1010+r.NormFloat64()
	}
	if c := judge(before, after); c.Verdict != measure.NoChange || c.Q > 1e-10 || c.Percent.Change < 0.9 || c.Percent.Change > 1.1 {
		t.Errorf("%+v", c)
	}
}

func TestWhatCannotBeSaidIsSaid(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	wild := func(n int) []float64 {
		out := make([]float64, n)
		for i := range out {
			out[i] = 100 + 60*r.NormFloat64()
		}
		return out
	}
	same := func(v float64, n int) []float64 { return slices.Repeat([]float64{v}, n) }
	for name, c := range map[string]struct {
		before, after []float64
		want          measure.Verdict
	}{
		"few values":                      {wild(5), wild(30), measure.TooFew},
		"none afterwards":                 {wild(30), nil, measure.TooFew},
		"noise larger than what is asked": {wild(10), wild(10), measure.Noisy},
		"the same number all the time":    {same(7, 10), same(7, 10), measure.NoChange},
		"zero all the time":               {same(0, 10), same(0, 10), measure.NoChange},
		"one step is one observation":     {same(7, 8), same(9, 8), measure.TooFew},
		"one step between many":           {same(7, 40), same(9, 40), measure.Worse},
		"from nothing to something":       {same(0, 30), wild(30), measure.Worse},
		"all of it is gone":               {wild(30), same(0, 30), measure.Better},
	} {
		if got := judge(c.before, c.after); got.Verdict != c.want {
			t.Errorf("%s: %s, not %s: %+v", name, got.Verdict, c.want, got)
		}
	}
}

func TestTheSameWindowsAreJudgedTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	values := map[string][]float64{"query time": series(r, 30, 0.5, true), "heap": series(r, 30, 0.9, false)}
	other := map[string][]float64{"query time": series(r, 30, 0.5, true), "heap": series(r, 30, 0.9, false)}
	first := measure.Judge(measure.WindowOf(values), measure.WindowOf(other), "apply")
	if again := measure.Judge(measure.WindowOf(values), measure.WindowOf(other), "apply"); !cmp.Equal(first, again) {
		t.Error(cmp.Diff(first, again))
	}
}

// judge compares one metric of which less is better.
func judge(before, after []float64) measure.Comparison {
	return measure.Judge(measure.WindowOf(map[string][]float64{"query time": before}), measure.WindowOf(map[string][]float64{"query time": after}), "seed")[0]
}

func BenchmarkJudge(b *testing.B) {
	r := rand.New(rand.NewPCG(3, 3))
	before, after := map[string][]float64{}, map[string][]float64{}
	for _, name := range []string{"ingest", "query time", "heap", "gc", "cpu", "refresh", "merge", "segments", "size"} {
		before[name], after[name] = series(r, 120, 0.5, false), series(r, 120, 0.5, false)
	}
	for b.Loop() {
		measure.Judge(measure.WindowOf(before), measure.WindowOf(after), "x")
	}
}

package measure

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// quantile is the q-quantile of sorted, between the two nearest (R's type 7). NaN of nothing.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	low := int(at)
	if low+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

// ranks gives each value its place among all, from 1, and equal values the mean of theirs. ties is the sum of t³−t over
// groups of t equal values.
func ranks(values []float64) (r []float64, ties float64) {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case values[a] < values[b]:
			return -1
		case values[a] > values[b]:
			return 1
		}
		return a - b
	})
	r = make([]float64, len(values))
	for from := 0; from < len(order); {
		to := from
		for to < len(order) && values[order[to]] == values[order[from]] {
			to++
		}
		for _, i := range order[from:to] {
			r[i] = float64(from+to+1) / 2
		}
		t := float64(to - from)
		ties += t*t*t - t
		from = to
	}
	return r, ties
}

// autocorrelation is how much a sample says of the next one, from 0 (nothing) to 1: lag one, of the ranks within each
// series, so that one outlier does not decide, over both together. The estimate from n values is too low by about
// (1+3ρ)/n (Kendall 1954), and in short series by chance; it is moved up by both.
func autocorrelation(series ...[]float64) float64 {
	var with, of, n float64
	for _, s := range series {
		r, _ := ranks(s)
		mean := float64(len(r)+1) / 2
		for i, x := range r {
			of += (x - mean) * (x - mean)
			if i > 0 {
				with += (x - mean) * (r[i-1] - mean)
			}
		}
		n += float64(len(s))
	}
	if of == 0 || n < 4 {
		return 0
	}
	each := n / float64(len(series))
	rho := with / of
	rho = (rho + 1/each) / max(1-3/each, 0.5)
	rho += math.Sqrt(max(1-rho*rho, 0)/n) / 2
	return min(max(rho, 0), 0.97)
}

// independent is how many independent values n values are worth whose autocorrelation is rho.
func independent(n int, rho float64) float64 {
	return float64(n) * (1 - rho) / (1 + rho)
}

// exactMost is the size of a series up to which p values are counted out.
const exactMost = 20

// mannWhitney is the two-sided p value of Mann and Whitney's test (1947): how likely it would be for the values of a and b to
// be as far apart, or more, if nothing but chance told them apart. Few values without ties and without autocorrelation
// have the exact distribution; others the normal one, with the variance for ties, made larger by what autocorrelation
// takes from the number of independent values, and Student's instead where these are few.
func mannWhitney(a, b []float64, rho float64) float64 {
	na, nb := float64(len(a)), float64(len(b))
	if na == 0 || nb == 0 {
		return 1
	}
	r, ties := ranks(slices.Concat(a, b))
	u := -na * (na + 1) / 2
	for _, x := range r[:len(a)] {
		u += x
	}
	mean := na * nb / 2
	if ties == 0 && rho == 0 && len(a) <= exactMost && len(b) <= exactMost {
		return exactMannWhitney(len(a), len(b), int(min(u, na*nb-u)))
	}
	n := na + nb
	variance := na * nb / 12 * (n + 1 - ties/(n*(n-1)))
	if variance <= 0 {
		return 1
	}
	variance *= (1 + rho) / (1 - rho)
	z := max(math.Abs(u-mean)-0.5, 0) / math.Sqrt(variance)
	freedom := independent(len(a), rho) + independent(len(b), rho) - 2
	if freedom < 1 {
		return 1
	}
	return 2 * studentTail(z, freedom)
}

// exactMannWhitney is how likely U is at most u or at least na·nb−u, by counting the orders of na and nb values that give
// each U.
func exactMannWhitney(na, nb, u int) float64 {
	// counts[i][j][k]: orders of i and j values with U = k; the last in order is of the first kind, above j others, or not.
	counts := make([][]float64, nb+1)
	for j := range counts {
		counts[j] = make([]float64, na*nb+1)
		counts[j][0] = 1
	}
	for i := 1; i <= na; i++ {
		next := make([][]float64, nb+1)
		for j := range next {
			next[j] = make([]float64, na*nb+1)
			for k := range next[j] {
				if k >= j {
					next[j][k] = counts[j][k-j]
				}
				if j > 0 {
					next[j][k] += next[j-1][k]
				}
			}
		}
		counts = next
	}
	var all, tail float64
	for k, c := range counts[nb] {
		all += c
		if k <= u {
			tail += c
		}
	}
	return min(1, 2*tail/all)
}

// studentTail is the probability that Student's t is larger than t ≥ 0.
func studentTail(t, freedom float64) float64 {
	return betaFraction(freedom/2, 0.5, freedom/(freedom+t*t)) / 2
}

// betaFraction is the regularized incomplete beta function I_x(a, b), by its continued fraction (DLMF 8.17.22), which
// converges fast below (a+1)/(a+b+2); above, the function's symmetry helps.
func betaFraction(a, b, x float64) float64 {
	switch {
	case x <= 0:
		return 0
	case x >= 1:
		return 1
	case x > (a+1)/(a+b+2):
		return 1 - betaFraction(b, a, 1-x)
	}
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	front := math.Exp(lab-la-lb+a*math.Log(x)+b*math.Log1p(-x)) / a
	const tiny, most, enough = 1e-300, 500, 1e-14
	c, d := 1.0, 1-(a+b)*x/(a+1)
	if math.Abs(d) < tiny {
		d = tiny
	}
	d = 1 / d
	sum := d
	for m := 1.0; m < most; m++ {
		for _, k := range []float64{
			m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m)),
			-(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1)),
		} {
			if d = 1 + k*d; math.Abs(d) < tiny {
				d = tiny
			}
			if c = 1 + k/c; math.Abs(c) < tiny {
				c = tiny
			}
			d = 1 / d
			sum *= d * c
			if math.Abs(d*c-1) < enough {
				return front * sum
			}
		}
	}
	return front * sum
}

// An interval is where a value is believed to be.
type interval struct{ low, high float64 }

const (
	resamples  = 1000
	confidence = 0.95
)

// bootstrap is the interval in which the difference of the medians, after less before, lies with 95 % confidence: by the circular
// block bootstrap (Politis and Romano 1992), which resamples runs of neighbours, so that their dependence stays. The same
// seed gives the same interval.
func bootstrap(before, after []float64, rho float64, seed uint64) interval {
	r := rand.New(rand.NewPCG(seed, 0x6e617275)) //nolint:gosec // it is to be the same again
	x, y := newResampler(before, rho), newResampler(after, rho)
	differences := make([]float64, resamples)
	for i := range differences {
		m := x.median(r)
		differences[i] = y.median(r) - m
	}
	slices.Sort(differences)
	const tail = (1 - confidence) / 2
	return interval{quantile(differences, tail), quantile(differences, 1-tail)}
}

// A resampler draws series of the same length from one, and gives their medians. It counts how often each value was drawn, in the
// order of size, since sorting each draw would take most of the time.
type resampler struct {
	sorted []float64
	place  []int // of each value in sorted
	drawn  []int // how often
	block  int
}

func newResampler(values []float64, rho float64) *resampler {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(values[a], values[b]), a-b) })
	s := &resampler{place: make([]int, len(values)), drawn: make([]int, len(values)), block: blockLength(len(values), rho)}
	for place, i := range order {
		s.place[i] = place
		s.sorted = append(s.sorted, values[i])
	}
	return s
}

func (s *resampler) median(r *rand.Rand) float64 {
	clear(s.drawn)
	n := len(s.place)
	for i := 0; i < n; i += s.block {
		at := r.IntN(n)
		for range min(s.block, n-i) {
			s.drawn[s.place[at]]++
			if at++; at == n {
				at = 0
			}
		}
	}
	low, high := (n-1)/2, n/2 // the middle, or the two around it
	seen, first := 0, 0.0
	for place, times := range s.drawn {
		if seen <= low && low < seen+times {
			first = s.sorted[place]
		}
		if seen += times; high < seen {
			return (first + s.sorted[place]) / 2
		}
	}
	panic("BUG: fewer drawn than there are")
}

// blockLength is how long the runs are: what is best for a series of first order (Carlstein 1986), and no more than a
// third of it.
func blockLength(n int, rho float64) int {
	dependence := rho / (1 - rho*rho)
	best := math.Cbrt(6 * dependence * dependence * float64(n))
	return max(1, min(int(math.Ceil(best)), n/3))
}

// adjusted corrects p values for their number by the method of Benjamini and Hochberg (1995): of those that are called
// significant at a level, no larger share is so by chance, and if all is chance, that anything is called so has no larger
// probability.
func adjusted(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case p[a] > p[b]:
			return -1
		case p[a] < p[b]:
			return 1
		}
		return a - b
	})
	out := make([]float64, len(p))
	least := 1.0
	for i, at := range order {
		rank := float64(len(p) - i)
		least = min(least, p[at]*float64(len(p))/rank)
		out[at] = least
	}
	return out
}

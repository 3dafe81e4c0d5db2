// Package measure says by numbers what a change did: it takes samples of a cluster before and after (Window), makes values
// of the differences of its counters, and judges them (Judge) so that noise is not taken for an effect.
//
// A sample is one request for the nodes' counters, one for the indices', and where there is Kafka those for the lag of groups.
// They are asked seldom enough that a cluster does not notice.
package measure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/narudata/naru/connect/opensearch"
)

// Defaults and bounds of windows.
const (
	DefaultWindow = 30 * time.Second
	DefaultEvery  = 2 * time.Second
	LongestWindow = time.Hour
	mostSamples   = 121 // of a window: 120 values of each metric
	shareOfTime   = 20  // a sample is not taken more often than every 20 times as long as it takes,
	leastSamples  = 15  // unless there would be fewer of them in the window,
	leastShare    = 3   // and then no more often than every 3 times
	idleSamples   = 3   // after which a window ends in which nothing is indexed and nobody searches
)

// Settings are `measure` of env.yaml. Zeros are the defaults.
type Settings struct {
	Before Duration `json:"before,omitempty"` // the window before an apply; "0s" is the default's, Off measures nothing
	After  Duration `json:"after,omitempty"`  // the window after it
	Every  Duration `json:"every,omitempty"`  // between two samples, at least
	Groups []string `json:"groups,omitempty"` // patterns of the consumer groups whose lag counts; none: all
	Off    bool     `json:"off,omitempty"`    // an apply is not measured unless told to
}

// Validate checks the settings.
func (s Settings) Validate() error {
	for name, d := range map[string]Duration{"before": s.Before, "after": s.After} {
		if d < 0 || time.Duration(d) > LongestWindow {
			return fmt.Errorf("measure.%s: %s is not between 0s and %s", name, time.Duration(d), LongestWindow)
		}
	}
	if every := time.Duration(s.Every); every < 0 || every > 0 && every < 100*time.Millisecond || every > time.Minute {
		return fmt.Errorf("measure.every: %s is not between 100ms and 1m", every)
	}
	return nil
}

// A Duration is written as Go writes it: 30s, 5m.
type Duration time.Duration

// UnmarshalText reads one.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// MarshalText writes one.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// A Source is what is measured.
type Source struct {
	Search *opensearch.Client
	// Lag gives the unread records of each consumer group; nil: there is no Kafka.
	Lag func(context.Context) (map[string]int64, error)
	// Cost gives what the sample's cluster costs in a month, and in which currency; nil: there are no prices.
	Cost func(*Sample) (monthly float64, currency string)
}

// Options of a Window; the zero value works.
type Options struct {
	For   time.Duration // DefaultWindow unless told
	Every time.Duration // DefaultEvery unless told
	Stop  <-chan struct{}
	// Step is told of each sample; nil: nobody is.
	Step func(taken, of int)
	// Whole takes the window to its end also if nothing happens in it.
	Whole bool
}

// ErrStopped is that Stop was closed before there were two samples.
var ErrStopped = errors.New("stopped before there were two samples")

// Take takes samples for a while. A sample that fails is a gap, unless none can be taken at all. Closing Stop ends the
// window with the samples that there are; so does a cluster in which nothing happens. It waits for the window's end, or for ctx.
func Take(ctx context.Context, s Source, o Options) (*Window, error) {
	if o.For <= 0 {
		o.For = DefaultWindow
	}
	if o.Every <= 0 {
		o.Every = DefaultEvery
	}
	usual := max(o.Every, o.For/(mostSamples-1))
	every := usual
	var took []time.Duration
	w := &Window{From: time.Now().UTC()}
	began := time.Now()
	var samples []*Sample
	var failed error
	timer := time.NewTimer(0)
	defer timer.Stop()
	for running := true; running; {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-o.Stop:
			w.Cut = true
			running = false
			continue
		case <-timer.C:
		}
		sample, err := s.sample(ctx)
		passed := time.Since(began)
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			failed = err
			w.gap("a sample could not be taken: " + err.Error())
			if w.Failed++; w.Failed == 3 && len(samples) == 2 {
				return nil, fmt.Errorf("the cluster cannot be measured: %w", err)
			}
			samples = append(samples, nil)
		} else {
			samples = append(samples, sample)
			took = append(took, sample.Took)
			every = pace(usual, o.For, took)
		}
		if o.Step != nil {
			o.Step(len(samples), len(samples)+int(max(0, o.For-passed+every/2)/every))
		}
		if !o.Whole && len(samples) == idleSamples && idle(samples) {
			w.Idle = true
			break
		}
		if running = passed+every/2 < o.For && len(samples) < mostSamples; running {
			timer.Reset(every)
		}
	}
	w.To, w.Every = time.Now().UTC(), every.Seconds()
	w.take(samples, s.Cost)
	if w.Samples < 2 && !w.Cut {
		return nil, fmt.Errorf("no two samples could be taken: %w", failed)
	}
	if w.Samples < 2 {
		return w, ErrStopped
	}
	return w, nil
}

// pace is how long after one sample the next is taken: a small share of the time, by how long samples take usually, but one that is
// slow now does not spoil the window.
func pace(usual, window time.Duration, took []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(took))
	typical := sorted[len(sorted)/2]
	return max(usual, min(shareOfTime*typical, window/leastSamples), leastShare*typical)
}

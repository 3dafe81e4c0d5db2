package operator

import (
	"context"
	"encoding/json"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/estate/measure"
	"github.com/narudata/naru/operator/v1alpha1"
)

// Applies are measured beside the looks, never in them: a commit takes effect at once. What a cluster does is sampled for half a
// minute after a look that finds all as declared, so that there are numbers from before when an apply comes, and for as long after it.
// The numbers come into the record of the apply, as those of `naru apply` do, and in short into the status.

// Bounds of measurements.
const (
	samplesOfWindow = 15 // at most; a sample is two requests
	mostMeasured    = 4  // Environments at a time; others are left out
	oldestBefore    = 20 * time.Minute
	measureTimeout  = 10 * time.Minute
)

// Start implements manager.Runnable: measurements end with it.
func (r *Environments) Start(ctx context.Context) error {
	r.mu.Lock()
	r.base = ctx
	r.mu.Unlock()
	<-ctx.Done()
	r.measuring.Wait()
	return nil
}

// measured is the numbers of an apply, in short.
type measured struct {
	apply   string
	numbers []byte // JSON
}

// beside starts f with a connection of its own to the Environment's systems, unless something is measured there, or enough elsewhere.
func (r *Environments) beside(e *v1alpha1.Environment, d *estate.Desired, getenv func(string) string, f func(context.Context, *estate.Target) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.known[client.ObjectKeyFromObject(e)]
	if r.base == nil || r.base.Err() != nil || a == nil || a.measuring || r.measured == mostMeasured || d.Measure.Off {
		return
	}
	a.measuring = true
	r.measured++
	log := ctrl.Log.WithValues("environment", e.Namespace+"/"+e.Name)
	base := r.base
	r.measuring.Go(func() {
		ctx, cancel := context.WithTimeout(base, measureTimeout)
		defer cancel()
		t, err := d.Connect(ctx, getenv)
		if err == nil {
			err = f(ctx, t)
			t.Close()
		}
		if err != nil && base.Err() == nil {
			log.V(1).Info("not measured", "err", err.Error())
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		a.measuring = false
		r.measured--
	})
}

// window is how long a measurement takes.
func (r *Environments) window(d *estate.Desired) (length, every time.Duration) {
	length = max(r.Window, time.Duration(d.Measure.Before))
	if length == 0 {
		length = measure.DefaultWindow
	}
	return length, length / samplesOfWindow
}

// measureBefore samples the cluster, unless what there is of it is new enough.
func (r *Environments) measureBefore(e *v1alpha1.Environment, d *estate.Desired, getenv func(string) string) {
	fresh := false
	name := client.ObjectKeyFromObject(e)
	length, every := r.window(d)
	r.acquainted(name, func(a *acquaintance) {
		fresh = a.before != nil && r.now().Sub(a.before.To) < oldestBefore/4 && r.Window == 0
	})
	if fresh {
		return
	}
	r.beside(e, d, getenv, func(ctx context.Context, t *estate.Target) error {
		w, err := measure.Take(ctx, measure.Source{Search: t.Search}, measure.Options{For: length, Every: every})
		if err != nil {
			return err
		}
		r.acquainted(name, func(a *acquaintance) { a.before = w })
		return nil
	})
}

// before gives what was measured before an apply; nil: nothing that is worth comparing with.
func (r *Environments) before(e *v1alpha1.Environment) (n *measure.Numbers) {
	r.acquainted(client.ObjectKeyFromObject(e), func(a *acquaintance) {
		if a.before != nil && !a.before.Idle && r.now().Sub(a.before.To) < oldestBefore {
			n = &measure.Numbers{Before: a.before}
			a.before = nil // what comes is after this apply
		}
	})
	return n
}

// measureAfter samples the cluster after an apply, and keeps the comparison.
func (r *Environments) measureAfter(e *v1alpha1.Environment, d *estate.Desired, getenv func(string) string, apply string) {
	name, of := client.ObjectKeyFromObject(e), e.DeepCopy()
	_, every := r.window(d)
	r.beside(e, d, getenv, func(ctx context.Context, t *estate.Target) error {
		m := estate.Measuring{Settings: d.Measure}
		m.Every = measure.Duration(every)
		_, look, err := m.Look(ctx, t, d, apply)
		if err != nil {
			return err
		}
		numbers, err := json.Marshal(shortNumbers(look))
		if err != nil {
			return err
		}
		r.acquainted(name, func(a *acquaintance) { a.after = &measured{apply, numbers} })
		select {
		case r.wakes() <- event.GenericEvent{Object: of}:
		default: // the next look writes them
		}
		return nil
	})
}

// wakes is where it is said that there is something new to write about an Environment.
func (r *Environments) wakes() chan event.GenericEvent {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wake == nil {
		const waiting = 100
		r.wake = make(chan event.GenericEvent, waiting)
	}
	return r.wake
}

// A shortNumber is one metric before and after an apply: medians, and what they allow to be said.
type shortNumber struct {
	Before  float64 `json:"before"`
	After   float64 `json:"after"`
	Unit    string  `json:"unit,omitempty"`
	Verdict string  `json:"verdict"`
}

func shortNumbers(l *measure.Look) map[string]shortNumber {
	const most = 64
	out := map[string]shortNumber{}
	for i := range l.Comparisons[:min(most, len(l.Comparisons))] {
		c := &l.Comparisons[i]
		out[c.Metric] = shortNumber{c.Before.Median, c.After.Median, c.Unit, string(c.Verdict)}
	}
	return out
}

// writeNumbers writes what was measured since into the status, if it is of the last apply.
func (r *Environments) writeNumbers(e *v1alpha1.Environment) {
	last := e.Status.LastApplied
	r.acquainted(client.ObjectKeyFromObject(e), func(a *acquaintance) {
		if last != nil && a.after != nil && a.after.apply == last.ID {
			last.Numbers = &apiextensionsv1.JSON{Raw: a.after.numbers}
		}
	})
}

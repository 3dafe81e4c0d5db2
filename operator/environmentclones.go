package operator

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/estate/clone"
	"github.com/narudata/naru/internal/words"
	"github.com/narudata/naru/operator/v1alpha1"
)

// clones takes away what `naru env clone --ttl` made in the Environment's cluster, once its time is over, as `naru env expire` does. next
// is when the next one ends; 0: none does. A clone that cannot be taken away is no reason for the Environment not to be Ready.
func (r *Environments) clones(ctx context.Context, e *v1alpha1.Environment, d *estate.Desired, t *estate.Target) (next time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	next, err := r.removeClones(ctx, e, clone.Side{Desired: d, Target: t}, func(c *clone.Record) bool { return c.Expired(r.now()) })
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "clones whose time is over are not taken away")
		r.event(e, corev1.EventTypeWarning, "CloneStays", "Expire", err.Error())
	}
	return next
}

// removeClones takes away those of the Environment's clones that over chooses.
func (r *Environments) removeClones(ctx context.Context, e *v1alpha1.Environment, at clone.Side, over func(*clone.Record) bool) (next time.Duration, err error) {
	records, err := clone.Records(ctx, at)
	if err != nil {
		return 0, err
	}
	for _, c := range records {
		if !over(c) {
			if left := c.Until.Sub(r.now()); !c.Until.IsZero() && (next == 0 || left < next) {
				next = max(left, time.Second)
			}
			continue
		}
		removal, err := clone.NewRemoval(ctx, at, c, r.now())
		if err == nil {
			err = removal.Remove(ctx, at, r.now)
		}
		if err != nil {
			return next, fmt.Errorf("the clone of %s: %w", c.Of, err)
		}
		message := fmt.Sprintf("the clone of %s of %s is gone, with %s", c.Of, c.Began.UTC().Format(time.DateTime), words.Count(len(removal.Indices), "index"))
		if len(removal.Left) > 0 {
			message += "; what stays: " + strings.Join(removal.Left, "; ")
		}
		r.event(e, corev1.EventTypeNormal, "CloneExpired", "Expire", message)
	}
	return next, nil
}

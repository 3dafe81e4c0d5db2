package operator

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/internal/words"
	"github.com/narudata/naru/operator/v1alpha1"
)

// progress writes how far the carry is into the status, and says it in a line: by the ledger in the target, which knows of all pods, or,
// where the operator cannot ask the target, or there is no ledger in it (an archive), by what the pods themselves write.
func (c *course) progress(ctx context.Context, res *result) string {
	p := c.m.Status.Progress
	if p == nil {
		p = &v1alpha1.MigrationProgress{Parts: v1alpha1.Parts{Total: int64(c.record.Plan.Parts)}}
		c.m.Status.Progress = p
	}
	p.Pods = running(res.pods)
	status, rate, err := c.ledger(ctx)
	if err != nil {
		ctrl.LoggerFrom(ctx).V(1).Info("how far the carry is cannot be asked", "err", err.Error())
	}
	held, all := "", c.record.Plan.Records
	var told *podProgress
	if status == nil {
		told = c.told(ctx, res)
	}
	switch {
	case status != nil:
		p.Parts = v1alpha1.Parts{Total: max(int64(c.record.Plan.Parts), int64(status.Parts)), Done: int64(status.Done)}
		p.Records = v1alpha1.Records{Read: status.Total.Read, Delivered: status.Total.Delivered, DeadLetters: status.Total.Dead}
	case told != nil:
		t := &told.Total
		all = max(all, t.ExpectedRecords) // a cluster's are known when it is read
		rate, held = told.rate()*float64(max(p.Pods, 1)), told.Held
		// One of several pods knows of what the others have finished only: it never goes back.
		p.Parts = v1alpha1.Parts{Total: max(int64(c.record.Plan.Parts), t.Parts), Done: max(p.Parts.Done, t.Done)}
		p.Records = v1alpha1.Records{Read: max(p.Records.Read, t.Records), Delivered: max(p.Records.Delivered, t.Delivered), DeadLetters: max(p.Records.DeadLetters, t.Dead)}
	default:
		text := fmt.Sprintf("%s carry %s", words.Count(int(p.Pods), "pod"), words.Count(c.record.Plan.Indices, "index"))
		if err != nil {
			text += "; how far they are is not known: " + shortened(err.Error(), 300)
		}
		return text
	}
	p.MeasuredAt = &metav1.Time{Time: c.now()}
	text := fmt.Sprintf("%d of %d records, %d of %d parts, %s", p.Records.Read, max(all, p.Records.Read), p.Parts.Done, p.Parts.Total, words.Count(int(p.Pods), "pod"))
	if left := all - p.Records.Read; left > 0 && rate > 0 {
		text += fmt.Sprintf(", %.0f records/s, about %s left", rate, (time.Duration(float64(left) / rate * float64(time.Second))).Round(time.Second))
	}
	if held != "" {
		text += "; nothing is written for now: " + shortened(held, 300)
	}
	return text
}

// told is what the pods write of how far they are; nil: nothing yet.
func (c *course) told(ctx context.Context, res *result) *podProgress {
	return podLogs{c.Pods}.furthest(ctx, res.pods, func(p *corev1.Pod, err error) {
		ctrl.LoggerFrom(ctx).V(1).Info("a pod's log cannot be read", "pod", p.Name, "err", err.Error())
	})
}

// ledger asks the target how far the carry is; nil: nobody has begun, or it has no ledger. rate is in records per second, since it was
// last asked.
func (c *course) ledger(ctx context.Context) (s *opensearch.Status, rate float64, err error) {
	identity := c.record.Plan.Identity
	if identity == "" || c.what.flow.Sink.OpenSearch == nil {
		return nil, 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	at, err := c.what.ledger(ctx, references{c.Reader, c.m.Namespace}, &c.m.Spec.Template)
	if at == nil || err != nil {
		return nil, 0, err
	}
	defer at.Close()
	name := client.ObjectKeyFromObject(c.m)
	c.mu.Lock()
	before := c.last[name]
	c.mu.Unlock()
	s, err = opensearch.StatusOf(ctx, at, c.what.flow.Sink.OpenSearch.Ledger, identity, before)
	if errors.Is(err, opensearch.ErrNoCarry) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	if before != nil {
		rate = s.Rate(before)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil {
		c.Migrations.last = map[types.NamespacedName]*opensearch.Status{}
	}
	c.last[name] = s
	return s, rate, nil
}

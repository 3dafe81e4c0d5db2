package operator

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/estate/measure"
	"github.com/narudata/naru/internal/words"
	"github.com/narudata/naru/operator/v1alpha1"
)

// mostRounds is how often one look applies: what was adopted is changed by the plan after, and an object may become possible once
// another is there.
const mostRounds = 4

// A settlement is an outcome, with the first apply that led to it and is to be measured; "": none.
type settlement struct {
	outcome
	applied string
}

// settle plans and applies until there is nothing left that may be applied.
func (r *Environments) settle(ctx context.Context, e *v1alpha1.Environment, d *estate.Desired, t *estate.Target) (s settlement, err error) {
	applied := 0
	for range mostRounds {
		p, repair, err := r.plan(ctx, e, d, t)
		if err != nil {
			return s, err
		}
		todo, what := repair, "Repaired"
		if len(repair.Changes) == 0 || e.Spec.Mode == v1alpha1.PlanMode {
			if o := verdict(e, p, applied); o != nil {
				s.outcome = *o
				return s, nil
			}
			todo, what = p, "Applied"
		}
		var numbers *measure.Numbers
		if todo.Count(estate.Create)+todo.Count(estate.Update)+todo.Count(estate.Delete) > 0 {
			numbers = r.before(e)
		}
		run, err := r.apply(ctx, e, t, todo, numbers)
		if run != nil {
			if numbers != nil {
				s.applied = run.ID
			}
			applied += run.Done
			e.Status.LastApplied = &v1alpha1.AppliedStatus{
				ID: run.ID, Commit: shortened(run.Commit.ID, 128), At: &metav1.Time{Time: r.now()}, Changes: int32(run.Done), //nolint:gosec // a plan has fewer
			}
			r.event(e, corev1.EventTypeNormal, what, "Apply", fmt.Sprintf("%d of %d changes of apply %s: %s", run.Done, run.Changes, run.ID, changesOf(todo.Changes)))
		}
		if err != nil {
			return s, err
		}
	}
	s.outcome = outcome{progressing, reasonSettling, fmt.Sprintf("%d times something was applied, and there is still a difference: %s", mostRounds, e.Status.Plan.Summary), leastBackoff}
	return s, nil
}

// plan looks at the systems. p has what follows from the declaration, repair what is to be put back of what somebody changed. The
// status says all that differs.
func (r *Environments) plan(ctx context.Context, e *v1alpha1.Environment, d *estate.Desired, t *estate.Target) (p, repair *estate.Plan, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	o, err := estate.Observe(ctx, t, d)
	if err != nil {
		return nil, nil, err
	}
	drifted := estate.FindDrift(d, o)
	repair = estate.NewRepair(d, o, drifted, r.now())
	if p, err = estate.NewPlan(ctx, t, d, o, false, r.now()); err != nil {
		return nil, nil, err
	}
	e.Status.Plan = planStatus(p)
	r.drift(e, drifted)
	p.Changes = slices.DeleteFunc(p.Changes, func(ch estate.Change) bool { return onlyOutside(&ch, o.Records[ch.Key]) && !approved(e) })
	return p, repair, nil
}

// onlyOutside reports a change that nobody declared: the declaration is the one that was applied, and somebody changed or deleted
// the object since. That is drift, which is put back where drift.repair lists it, and said elsewhere.
func onlyOutside(ch *estate.Change, r *estate.Record) bool {
	if r == nil || r.Pending != nil || !ch.Outside || ch.Action != estate.Update && ch.Action != estate.Create {
		return false
	}
	return sameJSON(ch.Declared, r.Declared)
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	return reflect.DeepEqual(x, y)
}

// approved reports that somebody approved the plan that the status shows.
func approved(e *v1alpha1.Environment) bool {
	id := e.Annotations[v1alpha1.ApprovePlanAnnotation]
	return id != "" && e.Status.Plan != nil && id == e.Status.Plan.ID
}

// verdict says why p is not to be applied; nil: it is.
func verdict(e *v1alpha1.Environment, p *estate.Plan, applied int) *outcome {
	switch {
	case len(p.Changes) == 0 && applied > 0:
		return &outcome{state: ready, reason: reasonApplied, message: fmt.Sprintf("%s applied, and there; %d objects are as declared", words.Count(applied, "change"), p.Unchanged)}
	case len(p.Changes) == 0:
		o := &outcome{state: ready, reason: reasonNothing, message: fmt.Sprintf("%s as declared", words.Count(p.Unchanged, "object"))}
		if e.Status.LastApplied != nil {
			o.reason = reasonApplied
		}
		return o
	case p.Problems() > 0:
		reason, problems := reasonRefused, []string{}
		for i := range p.Changes {
			if ch := &p.Changes[i]; ch.Problem != "" {
				problems = append(problems, ch.Key.String()+": "+ch.Problem)
				if strings.HasPrefix(ch.Problem, "it belongs to the environment") {
					reason = reasonConflict
				}
			}
		}
		return &outcome{state: stalled, reason: reason, message: fmt.Sprintf("%s cannot be applied, so nothing is: %s", words.Count(len(problems), "change"), strings.Join(problems, "; "))}
	case e.Spec.Mode == v1alpha1.PlanMode:
		return &outcome{state: waiting, reason: reasonDiffers, message: "mode is Plan, so nothing is changed: " + e.Status.Plan.Summary}
	case e.Spec.Approval != nil && above(riskOf(p), e.Spec.Approval.AboveRisk) && !approved(e):
		return &outcome{state: waiting, reason: reasonAwaitingApproval, message: fmt.Sprintf("the risk is %s: annotate %s=%s to apply it: %s",
			riskOf(p), v1alpha1.ApprovePlanAnnotation, e.Status.Plan.ID, e.Status.Plan.Summary)}
	}
	return nil
}

var risks = []estate.Risk{estate.NoRisk, estate.Low, estate.Medium, estate.High}

func riskOf(p *estate.Plan) estate.Risk {
	worst := 0
	for i := range p.Changes {
		worst = max(worst, slices.Index(risks, p.Changes[i].Risk))
	}
	return risks[worst]
}

func above(risk estate.Risk, bound v1alpha1.Risk) bool {
	return slices.Index(risks, risk) > slices.Index(risks, estate.Risk(bound))
}

// apply applies a plan. When the operator is told to end, it ends between two changes.
func (r *Environments) apply(ctx context.Context, e *v1alpha1.Environment, t *estate.Target, p *estate.Plan, before *measure.Numbers) (*estate.Applied, error) {
	by := fmt.Sprintf("naru operator, Environment %s/%s", e.Namespace, e.Name)
	a := estate.Applier{Target: t, By: by, Now: r.now, Stop: ctx.Done(), Numbers: before}
	const grace = 20 * time.Second // below what a manager grants its controllers
	running, cancel := context.WithTimeout(context.WithoutCancel(ctx), applyTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(grace, cancel)
		context.AfterFunc(running, func() { timer.Stop() })
	})
	defer stop()
	return a.Apply(running, p)
}

// drift writes what somebody changed into the status.
func (r *Environments) drift(e *v1alpha1.Environment, drifted []estate.Drifted) {
	drifted = slices.DeleteFunc(drifted, func(x estate.Drifted) bool { return x.Pending }) // the plan has the rest of an apply
	since := map[string]*metav1.Time{}
	for _, x := range e.Status.Drift {
		since[x.Object] = x.Since
	}
	e.Status.Drift = nil
	const most, mostFields, longestField = 64, 32, 1024
	var names []string
	for i := range drifted {
		x := &drifted[i]
		names = append(names, x.Key.String())
		if i >= most {
			continue
		}
		s := v1alpha1.DriftStatus{Object: shortened(x.Key.String(), 512), Since: since[shortened(x.Key.String(), 512)]}
		if s.Since == nil {
			s.Since = &metav1.Time{Time: r.now()}
		}
		if x.Gone {
			s.Fields = []string{"deleted"}
		}
		for _, f := range x.Fields[:min(mostFields, len(x.Fields))] {
			s.Fields = append(s.Fields, shortened(f.Path, longestField)) // values may be long, and nobody's to read here
		}
		e.Status.Drift = append(e.Status.Drift, s)
	}
	was := holds(e.Status.Conditions, v1alpha1.Drifted)
	if len(drifted) == 0 {
		setCondition(&e.Status.Conditions, e.Generation, v1alpha1.Drifted, metav1.ConditionFalse, "AsApplied", "all is as it was applied")
		return
	}
	message := fmt.Sprintf("%s not as applied: %s", words.Count(len(names), "object"), words.First(names, 5))
	setCondition(&e.Status.Conditions, e.Generation, v1alpha1.Drifted, metav1.ConditionTrue, "ChangedOutside", message)
	if !was {
		r.event(e, corev1.EventTypeWarning, "Drifted", "Look", message)
	}
}

// planStatus is a plan in short.
func planStatus(p *estate.Plan) *v1alpha1.PlanStatus {
	count := func(actions ...estate.Action) (n int32) {
		for i := range p.Changes {
			if slices.Contains(actions, p.Changes[i].Action) {
				n++
			}
		}
		return n
	}
	s := &v1alpha1.PlanStatus{
		Create: count(estate.Create), Change: count(estate.Update), Delete: count(estate.Delete), Adopt: count(estate.Adopt), Risk: v1alpha1.Risk(riskOf(p)),
	}
	const mostNotes, longestNote = 32, 1024
	for _, note := range p.Notes[:min(mostNotes, len(p.Notes))] {
		s.Notes = append(s.Notes, shortened(note, longestNote))
	}
	if len(p.Changes) == 0 {
		s.Summary = "nothing differs"
		return s
	}
	s.ID = p.Fingerprint()
	const longest = 8192
	s.Summary = shortened(changesOf(p.Changes), longest)
	return s
}

// changesOf lists changes with what they mean, for people: KIND/NAME and paths of fields, no values.
func changesOf(changes []estate.Change) string {
	const most, mostFields = 50, 5
	var lines []string
	for i := range changes {
		ch := &changes[i]
		if i == most {
			lines = append(lines, fmt.Sprintf("and %d more", len(changes)-most))
			break
		}
		line := string(ch.Action) + " " + ch.Key.String()
		var paths []string
		for _, f := range ch.Fields[:min(mostFields, len(ch.Fields))] {
			paths = append(paths, f.Path)
		}
		if more := len(ch.Fields) - len(paths); more > 0 {
			paths = append(paths, fmt.Sprintf("%d more", more))
		}
		if len(paths) > 0 {
			line += " (" + strings.Join(paths, ", ") + ")"
		}
		if ch.Risk != estate.NoRisk && ch.Risk != estate.Low {
			line += ", risk " + string(ch.Risk)
		}
		for _, effect := range ch.Effects {
			line += "; " + effect
		}
		if ch.Problem != "" {
			line += "; cannot be applied: " + ch.Problem
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// know keeps where an Environment's cluster is; without urls, as its spec says, if it says it without variables.
func (a *acquaintance) know(e *v1alpha1.Environment, urls []string) {
	if urls == nil && a.urls == nil && e.Spec.Target != nil {
		urls = e.Spec.Target.URLs
	}
	if urls != nil {
		a.urls = urls
	}
}

// claim refuses an Environment that would own the same objects as another, older one does.
func (r *Environments) claim(ctx context.Context, e *v1alpha1.Environment, d *estate.Desired) error {
	var all v1alpha1.EnvironmentList
	if err := r.Client.List(ctx, &all); err != nil {
		return fmt.Errorf("list Environments: %w", err)
	}
	var me acquaintance
	r.acquainted(client.ObjectKeyFromObject(e), func(a *acquaintance) { me = *a })
	for i := range all.Items {
		other := &all.Items[i]
		if other.UID == e.UID || other.Spec.Environment != e.Spec.Environment || estateOf(other) != d.Estate || !older(other, e) {
			continue
		}
		name := client.ObjectKeyFromObject(other)
		var known acquaintance
		r.acquainted(name, func(a *acquaintance) { known = *a })
		switch {
		case !known.seen:
			return fmt.Errorf("%w: %s", errWait, name)
		case known.cluster != "" && known.cluster == me.cluster,
			known.cluster == "" && slices.ContainsFunc(known.urls, func(u string) bool { return slices.Contains(me.urls, u) }):
			return &conflictError{name}
		}
	}
	return nil
}

func estateOf(e *v1alpha1.Environment) string {
	if e.Spec.Estate != "" {
		return e.Spec.Estate
	}
	return e.Spec.Environment
}

// older reports that a was there before b.
func older(a, b *v1alpha1.Environment) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name) < 0
}

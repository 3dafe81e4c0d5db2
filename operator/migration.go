package operator

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/internal/termination"
	"github.com/narudata/naru/internal/words"
	"github.com/narudata/naru/operator/v1alpha1"
)

// ApprovePartialAnnotation lets a Migration go on, "true", although something could not be carried whole: parts that cannot be read,
// documents that the cluster refuses.
const ApprovePartialAnnotation = "naru.dev/approve-partial"

// recordAnnotation is on the ConfigMap of a begun Migration: which stages are done, and with what result. It outlives their Jobs.
const recordAnnotation = "naru.dev/record"

// Migrations runs the stages of Migrations, each of them a Job whose pods run the command that anybody may run as well:
//
//	plan     naru explain flow.yaml
//	carry    naru run flow.yaml, in several pods, which share the parts by the target's ledger
//	verify   naru verify flow.yaml
//	cutover  naru cutover flow.yaml ALIAS=PATTERN…
//
// Only the pods reach the source, with the credentials and volumes that the Migration's template gives them.
type Migrations struct {
	Client client.Client        // reads from a cache
	Reader client.Reader        // reads from the API server: contents of Secrets and ConfigMaps are not kept
	Pods   kubernetes.Interface // for their logs
	Events events.EventRecorder
	Image  string           // of pods whose Migration names none
	Now    func() time.Time // nil: time.Now
	// Interval is how often it is asked how far a carry is; 0: 5 s.
	Interval time.Duration
	// Parallel is how many Migrations are looked at at a time; 0: 4.
	Parallel int

	mu   sync.Mutex // guards last
	last map[types.NamespacedName]*opensearch.Status
}

const (
	progressInterval = 5 * time.Second
	ledgerTimeout    = 5 * time.Second
	carryTries       = 6 // of each pod: the times between them double from 10 s on
	otherTries       = 2
)

// Reasons of Migrations.
const (
	reasonPlanning     = "Planning"
	reasonCarrying     = "Carrying"
	reasonVerifying    = "Verifying"
	reasonCuttingOver  = "CuttingOver"
	reasonCompleted    = "Completed"
	reasonPlanFailed   = "PlanFailed"
	reasonCarryFailed  = "CarryFailed"
	reasonPartial      = "Partial"  // something could not be carried whole
	reasonMismatch     = "Mismatch" // what arrived is not what was read
	reasonVerifyFailed = "VerifyFailed"
	reasonCutFailed    = "CutoverFailed"
)

func (r *Migrations) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}

func setupMigrations(mgr ctrl.Manager, o *Options) error {
	pods, err := kubernetes.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return err
	}
	r := &Migrations{Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Pods: pods, Events: mgr.GetEventRecorder("naru-migration"), Image: o.Image, Interval: min(cmp.Or(o.Interval, progressInterval), progressInterval)}
	return r.SetupWithManager(mgr)
}

// SetupWithManager has the manager call Reconcile when a Migration changes, or one of its Jobs.
func (r *Migrations) SetupWithManager(mgr ctrl.Manager) error {
	changed := predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})
	return ctrl.NewControllerManagedBy(mgr).
		Named("migration").
		For(&v1alpha1.Migration{}, builder.WithPredicates(changed)).
		Owns(&batchv1.Job{}).
		WithOptions(controller.Options{MaxConcurrentReconciles: cmp.Or(r.Parallel, defaultParallel)}).
		Complete(r)
}

// Reconcile brings one Migration a stage further, or says how far it is.
func (r *Migrations) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var m v1alpha1.Migration
	if err := r.Client.Get(ctx, req.NamespacedName, &m); err != nil {
		if apierrors.IsNotFound(err) {
			r.mu.Lock()
			delete(r.last, req.NamespacedName)
			r.mu.Unlock()
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, err
	}
	if !m.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil // its Jobs go with it, and their pods save what is on its way
	}
	before := m.DeepCopy()
	o, err := r.advance(ctx, &m)
	if err != nil {
		var ok bool
		if o, ok = obstacle(err); !ok {
			if gone(err) {
				return ctrl.Result{}, nil
			}
			return ctrl.Result{}, err
		}
	}
	m.Status.ObservedGeneration = m.Generation
	o.write(&m.Status.Conditions, m.Generation)
	if was := readyOf(before.Status.Conditions); was == nil || was.Reason != o.reason {
		kind := corev1.EventTypeNormal
		if o.state == stalled {
			kind = corev1.EventTypeWarning
		}
		r.Events.Eventf(&m, nil, kind, o.reason, "Reconcile", "%s", shortened(o.message, 1000))
	}
	return ctrl.Result{RequeueAfter: o.again}, r.save(ctx, before, &m)
}

func (r *Migrations) save(ctx context.Context, before, m *v1alpha1.Migration) error {
	if equality.Semantic.DeepEqual(before.Status, m.Status) {
		return nil
	}
	err := r.Client.Status().Patch(ctx, m, client.MergeFrom(before), client.FieldOwner(v1alpha1.FieldManager))
	return client.IgnoreNotFound(err)
}

// A record is what stages came to.
type record struct {
	Plan     *termination.Plan         `json:"plan"`
	Lossy    string                    `json:"lossy,omitempty"` // what the plan says that cannot be carried whole
	Carry    *termination.Carry        `json:"carry,omitempty"`
	Partial  string                    `json:"partial,omitempty"` // why the carry was not whole, which somebody approved
	Verified *termination.Verification `json:"verified,omitempty"`
	Checked  *metav1.Time              `json:"checked,omitempty"`
	Cutover  string                    `json:"cutover,omitempty"` // the aliases that were switched, as a digest
	Finished *metav1.Time              `json:"finished,omitempty"`
}

// A course is a Migration on its way.
type course struct {
	*Migrations
	m      *v1alpha1.Migration
	what   *carriage // with the snapshot that is read, once it is known
	config string    // the ConfigMap that has it
	record record
}

// advance goes through the stages to the first that is not done.
func (r *Migrations) advance(ctx context.Context, m *v1alpha1.Migration) (outcome, error) {
	if name := secretInTheClear(&m.Spec.Template); name != "" {
		return outcome{state: stalled, reason: reasonInvalid, message: fmt.Sprintf("spec.template.env: %s looks like a secret: give it by valueFrom.secretKeyRef", name)}, nil
	}
	what, err := carriageOf(m, "")
	if err != nil {
		m.Status.Phase = v1alpha1.MigrationFailed
		return outcome{state: stalled, reason: reasonInvalid, message: err.Error()}, nil //nolint:nilerr // it is the outcome
	}
	if m.Status.StartedAt == nil {
		m.Status.StartedAt = &metav1.Time{Time: r.now()}
	}
	c := &course{Migrations: r, m: m, what: what}
	o, err := c.planned(ctx)
	for _, next := range []func(context.Context) (*outcome, error){c.carried, c.verified, c.switched} {
		if o != nil || err != nil {
			break
		}
		o, err = next(ctx)
	}
	c.status()
	if err != nil {
		return outcome{}, err
	}
	if o == nil {
		m.Status.Phase = v1alpha1.MigrationCompleted
		o = &outcome{state: ready, reason: reasonCompleted, message: c.summary()}
		if c.record.Finished == nil {
			c.record.Finished = &metav1.Time{Time: r.now()}
			if err := c.keep(ctx); err != nil {
				return outcome{}, err
			}
		}
		m.Status.FinishedAt = c.record.Finished
		return *o, nil
	}
	if isSuspended(m) && o.state != stalled {
		m.Status.Phase = v1alpha1.MigrationSuspended
		*o = outcome{suspended, reasonSuspended, "suspended; " + o.message, o.again}
	}
	return *o, nil
}

// planned finds out what there is to carry, and which snapshot it is in.
func (c *course) planned(ctx context.Context) (*outcome, error) {
	revision := digest(string(c.what.text))
	c.config = c.m.Name + "-r" + revision
	var kept corev1.ConfigMap
	err := c.Reader.Get(ctx, types.NamespacedName{Namespace: c.m.Namespace, Name: c.config}, &kept)
	if err == nil {
		return nil, c.resume(&kept)
	}
	if !apierrors.IsNotFound(err) {
		return nil, err
	}
	c.m.Status.Phase = v1alpha1.MigrationPlanning
	asked := c.m.Name + "-f" + revision
	if err := c.configMap(ctx, asked, nil); err != nil {
		return nil, err
	}
	s := &stage{name: "plan", args: []string{"explain", path.Join(configFolder, carriageFile)}, config: asked, pods: 1, tries: otherTries}
	res, err := c.run(ctx, c.m, s)
	if err != nil {
		return nil, err
	}
	if res.message == nil || res.message.Plan == nil {
		return c.pending(res, reasonPlanning, reasonPlanFailed, "what there is to carry is being found out"), nil
	}
	c.record.Plan = res.message.Plan
	if res.message.Exit != 0 {
		c.record.Lossy = res.message.Reason
	}
	if c.what, err = carriageOf(c.m, c.record.Plan.Snapshot); err != nil {
		return nil, err
	}
	c.Events.Eventf(c.m, nil, corev1.EventTypeNormal, "Planned", "Plan", "%s", shortened(c.planText(), 1000))
	return nil, c.keep(ctx)
}

// resume goes on with what was begun, from the ConfigMap that has it.
func (c *course) resume(kept *corev1.ConfigMap) error {
	if err := own(c.m, "ConfigMap", kept); err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(kept.Annotations[recordAnnotation]), &c.record); err != nil || c.record.Plan == nil {
		return &refusedError{"ConfigMap " + kept.Name, errors.New("its annotation " + recordAnnotation + " is not what naru wrote: delete the ConfigMap to plan anew")}
	}
	var err error
	c.what, err = carriageOf(c.m, c.record.Plan.Snapshot)
	return err
}

// keep writes the flow and the record.
func (c *course) keep(ctx context.Context) error {
	b, err := json.Marshal(&c.record)
	if err != nil {
		return err
	}
	return c.configMap(ctx, c.config, map[string]string{recordAnnotation: string(b)})
}

func (c *course) configMap(ctx context.Context, name string, annotations map[string]string) error {
	_, err := apply(ctx, c.Client, c.m, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labelled(nil, map[string]string{v1alpha1.MigrationLabel: c.m.Name}), Annotations: annotations},
		Immutable:  new(true), Data: map[string]string{carriageFile: string(c.what.text)},
	})
	return err
}

// pending is the outcome of a stage that is not done.
func (c *course) pending(res *result, doing, failed, message string) *outcome {
	if res.failed {
		c.m.Status.Phase = v1alpha1.MigrationFailed
		return &outcome{state: stalled, reason: failed, message: fmt.Sprintf("%s (another try: annotate %s with the time)", res.why, v1alpha1.ReconcileAtAnnotation)}
	}
	if isSuspended(c.m) && res.active > 0 {
		message += fmt.Sprintf("; %s being stopped", words.Count(int(res.active), "pod"))
	}
	if why := trouble(res.pods, ""); why != "" {
		message += "; " + why
	} else if res.why != "" {
		message += "; it was tried before: " + res.why
	}
	return &outcome{progressing, doing, message, c.interval()}
}

func (c *course) interval() time.Duration { return cmp.Or(c.Interval, progressInterval) }

// carried carries.
func (c *course) carried(ctx context.Context) (*outcome, error) {
	if c.record.Carry != nil {
		return nil, nil
	}
	c.m.Status.Phase = v1alpha1.MigrationCarrying
	s := &stage{
		name: "carry", args: []string{"run", path.Join(configFolder, carriageFile), "--verify=false", "--progress", "json"}, config: c.config,
		pods: parallelism(c.m), tries: carryTries,
	}
	res, err := c.run(ctx, c.m, s)
	if err != nil {
		return nil, err
	}
	if !res.done && !c.partial(res) {
		return c.pending(res, reasonCarrying, c.whyNot(res, reasonCarryFailed, reasonPartial), c.progress(ctx, res)), nil
	}
	c.record.Carry = &termination.Carry{Records: c.record.Plan.Records, Parts: c.record.Plan.Parts, PartsDone: c.record.Plan.Parts}
	if res.message != nil && res.message.Carry != nil {
		c.record.Carry = res.message.Carry
	}
	c.progress(ctx, res)
	c.Events.Eventf(c.m, nil, corev1.EventTypeNormal, "Carried", "Run", "%d records are delivered, %d dead letters", c.record.Carry.Delivered, c.record.Carry.DeadLetters)
	return nil, c.keep(ctx)
}

// partial reports a result that is not whole, and that somebody approved.
func (c *course) partial(res *result) bool {
	const partial = 4 // exit status
	if !res.failed || res.message == nil || res.message.Exit != partial || c.m.Annotations[ApprovePartialAnnotation] != "true" {
		return false
	}
	c.record.Partial = cmp.Or(res.message.Reason, "something could not be carried whole")
	return true
}

// whyNot tells a stage that ended with a result from one that could not be done.
func (*course) whyNot(res *result, failed, found string) string {
	if res.message != nil && slices.Contains(final, int32(res.message.Exit)) { //nolint:gosec // an exit status
		return found
	}
	return failed
}

// verified compares what arrived with what was read.
func (c *course) verified(ctx context.Context) (*outcome, error) {
	if c.record.Verified != nil || c.m.Spec.Verify != nil && !*c.m.Spec.Verify {
		return nil, nil
	}
	c.m.Status.Phase = v1alpha1.MigrationVerifying
	s := &stage{name: "verify", args: []string{"verify", path.Join(configFolder, carriageFile), "--progress", "json"}, config: c.config, pods: 1, tries: otherTries}
	res, err := c.run(ctx, c.m, s)
	if err != nil {
		return nil, err
	}
	if res.message != nil && res.message.Verification != nil {
		c.verification(res.message.Verification)
	}
	if !res.done && !c.partial(res) {
		o := c.pending(res, reasonVerifying, c.whyNot(res, reasonVerifyFailed, reasonMismatch), "what arrived is being compared with what was read")
		if o.reason == reasonMismatch {
			setCondition(&c.m.Status.Conditions, c.m.Generation, v1alpha1.Verified, metav1.ConditionFalse, reasonMismatch, res.why)
		}
		return o, nil
	}
	c.record.Verified, c.record.Checked = &termination.Verification{Equal: true}, &metav1.Time{Time: c.now()}
	if res.message != nil && res.message.Verification != nil {
		c.record.Verified = res.message.Verification
	}
	return nil, c.keep(ctx)
}

// verification writes what a comparison found into the status.
func (c *course) verification(v *termination.Verification) {
	s := &v1alpha1.Verification{Compared: v.Records, Different: int64(v.Different), Missing: int64(v.Unread), At: c.record.Checked}
	const most, longest = 32, 255
	for _, d := range v.Differences[:min(most, len(v.Differences))] {
		s.Indices = append(s.Indices, shortened(d, longest))
	}
	if s.At == nil && c.m.Status.Verification != nil {
		s.At = c.m.Status.Verification.At
	}
	if s.At == nil {
		s.At = &metav1.Time{Time: c.now()}
	}
	c.m.Status.Verification = s
}

// switched switches the aliases, once somebody approved.
func (c *course) switched(ctx context.Context) (*outcome, error) {
	cutover := c.m.Spec.Cutover
	if cutover == nil || len(cutover.Aliases) == 0 {
		return nil, nil
	}
	aliases := digest(cutover.Aliases)
	names := slices.Sorted(maps.Keys(cutover.Aliases))
	if c.record.Cutover == aliases { // said again each time: the write of the status that said it first may have been refused
		setCondition(&c.m.Status.Conditions, c.m.Generation, v1alpha1.CutOver, metav1.ConditionTrue, "Switched", words.First(names, 5)+" switched")
		return nil, nil
	}
	if cutover.Approval != v1alpha1.AutomaticCutover && c.m.Annotations[v1alpha1.ApproveCutoverAnnotation] != "true" {
		c.m.Status.Phase = v1alpha1.MigrationAwaitingApproval
		message := fmt.Sprintf("all has arrived; to point %s at the new indices, annotate %s=true", words.First(names, 5), v1alpha1.ApproveCutoverAnnotation)
		setCondition(&c.m.Status.Conditions, c.m.Generation, v1alpha1.CutOver, metav1.ConditionFalse, reasonAwaitingApproval, message)
		return &outcome{state: waiting, reason: reasonAwaitingApproval, message: message}, nil
	}
	c.m.Status.Phase = v1alpha1.MigrationCuttingOver
	s := &stage{name: "cutover", args: []string{"cutover", path.Join(configFolder, carriageFile), "--yes"}, config: c.config, pods: 1, tries: otherTries}
	for _, alias := range names {
		s.args = append(s.args, alias+"="+string(cutover.Aliases[alias]))
	}
	res, err := c.run(ctx, c.m, s)
	if err != nil {
		return nil, err
	}
	if !res.done {
		o := c.pending(res, reasonCuttingOver, reasonCutFailed, "aliases are being switched")
		setCondition(&c.m.Status.Conditions, c.m.Generation, v1alpha1.CutOver, metav1.ConditionFalse, o.reason, o.message)
		return o, nil
	}
	c.record.Cutover = aliases
	setCondition(&c.m.Status.Conditions, c.m.Generation, v1alpha1.CutOver, metav1.ConditionTrue, "Switched", words.First(names, 5)+" switched")
	return nil, c.keep(ctx)
}

// status writes what the stages came to.
func (c *course) status() {
	if p := c.record.Plan; p != nil {
		c.m.Status.Plan = &v1alpha1.MigrationPlan{Indices: int64(p.Indices), Parts: int64(p.Parts), Records: p.Records, Bytes: p.Bytes}
	}
	if k := c.record.Carry; k != nil {
		p := c.m.Status.Progress
		if p == nil {
			p = &v1alpha1.MigrationProgress{MeasuredAt: &metav1.Time{Time: c.now()}}
			c.m.Status.Progress = p
		}
		p.Pods = 0
		p.Parts = v1alpha1.Parts{Total: int64(k.Parts), Done: int64(k.PartsDone)}
		p.Records = v1alpha1.Records{Read: k.Delivered + k.DeadLetters + k.Dropped, Delivered: k.Delivered, DeadLetters: k.DeadLetters}
	}
	if v := c.record.Verified; v != nil {
		c.verification(v)
		message := fmt.Sprintf("%d records in %s were compared, and are what was read", v.Records, words.Count(v.Indices, "index"))
		if c.record.Partial != "" {
			message += ", but for what could not be carried whole: " + c.record.Partial
		}
		setCondition(&c.m.Status.Conditions, c.m.Generation, v1alpha1.Verified, metav1.ConditionTrue, "Equal", message)
	}
}

func (c *course) planText() string {
	p := c.record.Plan
	text := fmt.Sprintf("%d records in %s, %s", p.Records, words.Count(p.Indices, "index"), words.Count(p.Parts, "part"))
	if p.AtMost {
		text = "at most " + text
	}
	if p.Snapshot != "" {
		text += ", of snapshot " + p.Snapshot
	}
	if c.record.Lossy != "" {
		text += "; not all can be carried whole: " + c.record.Lossy
	}
	return text
}

// summary says how a Migration ended.
func (c *course) summary() string {
	text := fmt.Sprintf("%d records delivered", c.record.Carry.Delivered)
	if n := c.record.Carry.DeadLetters; n > 0 {
		text += fmt.Sprintf(", %d dead letters", n)
	}
	if c.record.Verified != nil {
		text += ", compared"
	} else {
		text += ", not compared"
	}
	if c.record.Cutover != "" {
		text += ", aliases switched"
	}
	if c.record.Partial != "" {
		text += "; approved as partial: " + c.record.Partial
	}
	return text
}

package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/narudata/naru/internal/termination"
	"github.com/narudata/naru/operator/v1alpha1"
)

// The phases of a flow that ends: it is carried by pods that share the parts through the ledger, and complete when one of them finds
// that nothing is left. What arrived in a cluster a second Job compares once; the one pod that writes an archive does it by itself.
const (
	carryPhase   = "carry"
	comparePhase = "compare"
)

// flowFile is the key of the ConfigMap of a flow that ends, and the file in pods.
const flowFile = "flow.yaml"

// templateAnnotation is the digest of what a Job's pods are. A Job's template cannot change: another one takes its place.
const templateAnnotation = "naru.dev/template"

// Reasons of Flows that end.
const (
	reasonArrived = "Arrived"
	reasonRuns    = "Running"
)

// bounded makes the Job of a flow that ends what the Flow says.
func (l *look) bounded(ctx context.Context) (outcome, error) {
	content, err := canonical(l.flow.Spec.Flow.Raw)
	if err != nil {
		return outcome{state: stalled, reason: "InvalidFlow", message: err.Error()}, nil //nolint:nilerr // it is said in the status
	}
	what, wrong := decodedFlow(content)
	if wrong != "" {
		return outcome{state: stalled, reason: "InvalidFlow", message: wrong}, nil
	}
	files := map[string]string{flowFile: string(content)}
	revision := digest(files)
	s := &l.flow.Status
	if s.Revision == revision && holds(l.before.Status.Conditions, v1alpha1.Ready) && s.Parts != nil && s.Parts.Done == s.Parts.Total && l.retryAsked() == "" {
		if there, err := l.find(ctx, l.jobName(revision, carryPhase), &batchv1.Job{}); err != nil || !there {
			// It has arrived, and somebody cleared the Job away. It is not carried again.
			return outcome{state: ready, reason: reasonArrived, message: "everything has arrived"}, err
		}
	}
	waits, err := l.retire(ctx, revision)
	if err != nil {
		return outcome{}, err
	}
	if waits != "" {
		return outcome{state: progressing, reason: "Replacing", message: waits}, nil
	}
	if err := l.keep(ctx, revision, files); err != nil {
		return outcome{}, err
	}
	s.Revision = revision
	alone := what.Sink.Dir() != "" // an archive is written by one process
	pods := l.replicas()
	if alone {
		pods = min(pods, 1)
	}
	o, err := l.phase(ctx, revision, carryPhase, pods, []string{"run", configFolder + "/" + flowFile, fmt.Sprintf("--verify=%t", alone), "--progress", "json"})
	if err == nil && o == nil && !alone {
		o, err = l.phase(ctx, revision, comparePhase, 1, []string{"verify", configFolder + "/" + flowFile, "--progress", "json"})
	}
	if err != nil {
		return outcome{}, err
	}
	again, err := l.sweep(ctx, revision)
	if err != nil {
		return outcome{}, err
	}
	if o == nil {
		o = &outcome{state: ready, reason: reasonArrived, message: "everything has arrived, and was compared"}
		if r := s.Records; r != nil {
			o.message = fmt.Sprintf("%d records have arrived, and were compared", r.Delivered)
		}
		if l.accepted != "" {
			o.message += "; not all of them whole, which " + ApprovePartialAnnotation + " accepts: " + l.accepted
		}
	}
	if l.suspended() && o.state == progressing {
		*o = outcome{state: suspended, reason: reasonSuspended, message: "suspended; " + o.message}
	}
	o.again = sooner(o.again, again)
	return *o, nil
}

// canonical is JSON with its keys in order, so that a flow's revision is that of what it says.
func canonical(raw []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("flow: %w", err)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}

func (l *look) jobName(revision, phase string) string {
	if phase == carryPhase {
		return l.flow.Name + "-" + revision
	}
	return l.flow.Name + "-" + revision + "-" + phase[:1]
}

// retryAsked is what the annotation says by which somebody asks for another try.
func (l *look) retryAsked() string { return l.flow.Annotations[v1alpha1.ReconcileAtAnnotation] }

// retire lets Jobs of other revisions end: two flows must not write to one target together. It says what is waited for.
func (l *look) retire(ctx context.Context, revision string) (waits string, err error) {
	var jobs batchv1.JobList
	if err := l.Client.List(ctx, &jobs, client.InNamespace(l.flow.Namespace), client.MatchingLabels(l.selecting())); err != nil {
		return "", err
	}
	for i := range jobs.Items {
		j := &jobs.Items[i]
		if j.Labels[v1alpha1.RevisionLabel] == revision || !metav1.IsControlledBy(j, l.flow) {
			continue
		}
		if err := l.remove(ctx, j); err != nil {
			return "", err
		}
		waits = "Job " + j.Name + " of the revision before ends"
	}
	for i := range l.pods {
		if l.pods[i].Labels[v1alpha1.RevisionLabel] != revision {
			return "pod " + l.pods[i].Name + " of the revision before writes what it has read", nil
		}
	}
	return waits, nil
}

// phase lets a Job run. It gives nil when that is done, and else how it is.
func (l *look) phase(ctx context.Context, revision, phase string, pods int32, args []string) (*outcome, error) {
	name := l.jobName(revision, phase)
	live := &batchv1.Job{}
	there, err := l.find(ctx, name, live)
	if err != nil {
		return nil, err
	}
	child := l.job(name, revision, phase, pods, args)
	if !there {
		for i := range l.pods {
			if p := &l.pods[i]; p.Labels[StageLabel] == phase {
				return &outcome{state: progressing, reason: "Replacing", message: "pod " + p.Name + " writes what it has read"}, nil
			}
		}
		return &outcome{state: progressing, reason: reasonRuns, message: "Job " + name + " begins"}, l.send(ctx, nil, child)
	}
	if err := own(l.flow, "Job", live); err != nil {
		return nil, err
	}
	failed, why := "", ""
	for _, c := range live.Status.Conditions {
		switch {
		case c.Status != corev1.ConditionTrue:
		case c.Type == batchv1.JobComplete, c.Type == batchv1.JobSuccessCriteriaMet:
			return nil, l.finished(ctx, live)
		case c.Type == batchv1.JobFailed:
			failed, why = c.Reason, plain(c.Message)
		}
	}
	switch {
	case failed != "" && live.Annotations[v1alpha1.ReconcileAtAnnotation] != l.retryAsked():
		return &outcome{state: progressing, reason: "Replacing", message: "it is tried again"}, l.remove(ctx, live)
	case failed != "":
		o, err := l.failure(ctx, live, why)
		if err == nil && o.reason == reasonPartial && l.flow.Annotations[ApprovePartialAnnotation] == "true" {
			l.accepted = o.message
			return nil, nil
		}
		return o, err
	case live.Annotations[templateAnnotation] != child.Annotations[templateAnnotation]:
		return &outcome{state: progressing, reason: "Replacing", message: "Job " + name + " ends, and begins again with other pods"}, l.remove(ctx, live)
	}
	if !live.DeletionTimestamp.IsZero() {
		return &outcome{state: progressing, reason: "Replacing", message: "Job " + name + " ends"}, nil
	}
	if err := l.send(ctx, live, child); err != nil {
		return nil, err
	}
	o := &outcome{state: progressing, reason: reasonRuns, message: l.progress(ctx, phase, live), again: l.Interval}
	if why := trouble(l.pods, revision); why != "" {
		o.message += "; " + why
	} else if t := l.lastFailure(ctx, live); t != nil {
		o.message += "; it was tried before, and ended with status " + fmt.Sprint(t.ExitCode) + told(t)
	}
	return o, nil
}

// tries are how often each pod may fail; the pauses between them grow from 10 s on.
const tries = 6

// job is a phase's Job.
func (l *look) job(name, revision, phase string, pods int32, args []string) *batchv1.Job {
	labels := l.selecting()
	labels[v1alpha1.RevisionLabel], labels[StageLabel] = revision, phase
	template := podTemplate(&l.flow.Spec.PodFields, &podKind{
		image: l.Image, args: args, labels: l.selecting(), more: map[string]string{v1alpha1.RevisionLabel: revision, StageLabel: phase},
		config: l.configMap(revision), restart: corev1.RestartPolicyNever,
	})
	several := phase == carryPhase
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labelled(nil, labels), Annotations: map[string]string{
		templateAnnotation: digest(template), v1alpha1.ReconcileAtAnnotation: l.retryAsked(),
	}}}
	suspend := l.suspended() || pods == 0
	action := batchv1.PodFailurePolicyActionFailJob
	j.Spec = batchv1.JobSpec{
		Suspend: &suspend, Parallelism: new(max(pods, 1)), Completions: new(max(pods, 1)), Template: template, PodReplacementPolicy: new(batchv1.Failed),
	}
	if several {
		action = batchv1.PodFailurePolicyActionFailIndex
		j.Spec.CompletionMode = new(batchv1.IndexedCompletion)
		j.Spec.BackoffLimitPerIndex = new(int32(tries))
		j.Spec.SuccessPolicy = &batchv1.SuccessPolicy{Rules: []batchv1.SuccessPolicyRule{{SucceededCount: new(int32(1))}}}
	} else {
		j.Spec.BackoffLimit = new(int32(tries))
	}
	j.Spec.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{
		{Action: batchv1.PodFailurePolicyActionIgnore, OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}}},
		{Action: action, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{ContainerName: new(containerIs), Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: final}},
	}}
	return j
}

// podsOf lists a Job's pods, those that are over, too.
func (l *look) podsOf(ctx context.Context, j *batchv1.Job) ([]corev1.Pod, error) {
	var pods corev1.PodList
	err := l.Client.List(ctx, &pods, client.InNamespace(j.Namespace), client.MatchingLabels{batchv1.ControllerUidLabel: string(j.UID)})
	return pods.Items, err
}

// finished notes what a Job that is complete has done.
func (l *look) finished(ctx context.Context, j *batchv1.Job) error {
	pods, err := l.podsOf(ctx, j)
	if err != nil {
		return err
	}
	if p := lastEnded(pods, true); p != nil {
		if m, ok := termination.Parse(ended(p).Message); ok {
			l.note(m.Carry)
		}
	}
	if s := &l.flow.Status; s.Parts != nil {
		s.Parts.Done = s.Parts.Total
	} else {
		s.Parts = &v1alpha1.Parts{}
	}
	return nil
}

func (l *look) note(c *termination.Carry) {
	if c == nil {
		return
	}
	s := &l.flow.Status
	s.Parts = &v1alpha1.Parts{Total: int64(c.Parts), Done: int64(c.PartsDone)}
	s.Records = &v1alpha1.Records{Read: c.Delivered + c.DeadLetters + c.Dropped, Delivered: c.Delivered, DeadLetters: c.DeadLetters}
}

// lastFailure is how the pod ended that failed last; nil if none did.
func (l *look) lastFailure(ctx context.Context, j *batchv1.Job) *corev1.ContainerStateTerminated {
	pods, err := l.podsOf(ctx, j)
	if err != nil {
		return nil // it is only said beside something else
	}
	if p := lastEnded(pods, false); p != nil {
		return ended(p)
	}
	return nil
}

// failure says of a Job that has given up why.
func (l *look) failure(ctx context.Context, j *batchv1.Job, why string) (*outcome, error) {
	pods, err := l.podsOf(ctx, j)
	if err != nil {
		return nil, err
	}
	reason := "Failed"
	if p := lastEnded(pods, false); p != nil {
		t := ended(p)
		why = fmt.Sprintf("pod %s ended with status %d%s", p.Name, t.ExitCode, told(t))
		if m, ok := termination.Parse(t.Message); ok {
			l.note(m.Carry)
		}
		const mismatch, partial = 3, 4 // exit statuses of naru
		switch t.ExitCode {
		case mismatch:
			reason = reasonMismatch
		case partial:
			reason = reasonPartial
		}
	}
	hint := "another try: annotate " + v1alpha1.ReconcileAtAnnotation + " with the time"
	if reason == reasonPartial {
		hint += "; accept it: " + ApprovePartialAnnotation + "=true"
	}
	return &outcome{state: stalled, reason: reason, message: why + " (" + hint + ")"}, nil
}

// progress says how far a Job is, by what its pods write, and notes it in the status.
func (l *look) progress(ctx context.Context, phase string, j *batchv1.Job) string {
	message := fmt.Sprintf("%d of %d pods run", j.Status.Active, deref(j.Spec.Parallelism))
	if phase == comparePhase {
		return "what arrived is compared with what was read"
	}
	s := &l.flow.Status
	if now := time.Now(); now.Sub(l.memory.measured) >= l.Interval*9/10 {
		l.memory.measured = now
		told := func(p *corev1.Pod, err error) {
			l.Log.Debug("a pod's log cannot be read", "pod", p.Namespace+"/"+p.Name, "error", err)
		}
		if best := (podLogs{l.Pods}).furthest(ctx, l.pods, told); best != nil {
			t := &best.Total
			s.Parts = &v1alpha1.Parts{Total: t.Parts, Done: t.Done}
			s.Records = &v1alpha1.Records{Read: t.Records, Delivered: t.Delivered, DeadLetters: t.Dead}
			s.MeasuredAt = new(metav1.NewTime(now.Truncate(time.Second)))
		}
	}
	if p := s.Parts; p != nil && s.MeasuredAt != nil {
		message += fmt.Sprintf("; %d of %d parts are done", p.Done, p.Total)
	}
	return message
}

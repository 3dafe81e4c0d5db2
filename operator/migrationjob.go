package operator

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/narudata/naru/internal/termination"
	"github.com/narudata/naru/internal/words"
	"github.com/narudata/naru/operator/v1alpha1"
)

// StageLabel says of a Job and its pods which stage of a Migration they are: plan, carry, verify, cutover.
const StageLabel = "naru.dev/stage"

// A stage is one Job of a Migration.
type stage struct {
	name   string // plan, …
	args   []string
	config string // the ConfigMap with the flow file
	pods   int32  // > 1: an Indexed Job, which is complete when one pod says that all is done
	tries  int32  // that may fail, of each pod
}

// final are exit statuses that the next try would have, too: a difference, a mismatch, something that cannot be carried.
var final = []int32{2, 3, 4}

// job is the stage's Job.
func (r *Migrations) job(m *v1alpha1.Migration, s *stage) *batchv1.Job {
	labels := map[string]string{v1alpha1.MigrationLabel: m.Name, StageLabel: s.name}
	template := podTemplate(&m.Spec.Template, &podKind{
		image: r.Image, args: s.args, labels: labels, config: s.config, restart: corev1.RestartPolicyNever,
	})
	action := batchv1.PodFailurePolicyActionFailJob
	j := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name: m.Name + "-" + s.name[:1] + digest(template, s.pods > 1), Labels: labelled(nil, labels),
			Annotations: map[string]string{v1alpha1.ReconcileAtAnnotation: m.Annotations[v1alpha1.ReconcileAtAnnotation]},
		},
		Spec: batchv1.JobSpec{
			Suspend: new(isSuspended(m)), Parallelism: new(s.pods), Completions: new(s.pods), Template: template,
			PodReplacementPolicy: new(batchv1.Failed),
		},
	}
	if s.pods > 1 {
		action = batchv1.PodFailurePolicyActionFailIndex
		j.Spec.CompletionMode = new(batchv1.IndexedCompletion)
		j.Spec.BackoffLimitPerIndex = new(s.tries)
		j.Spec.SuccessPolicy = &batchv1.SuccessPolicy{Rules: []batchv1.SuccessPolicyRule{{SucceededCount: new(int32(1))}}}
	} else {
		j.Spec.BackoffLimit = new(s.tries)
	}
	j.Spec.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{
		{Action: batchv1.PodFailurePolicyActionIgnore, OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}}},
		{Action: action, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
			ContainerName: new(containerIs), Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: final,
		}},
	}}
	return j
}

func isSuspended(m *v1alpha1.Migration) bool { return m.Spec.Suspend || v1alpha1.Suspended(m) }

// A result is how far a stage is.
type result struct {
	done   bool // a pod did it
	failed bool // the Job has given up
	// message is what the pod left that did it, or the one that failed last; nil: nothing.
	message *termination.Message
	why     string // it failed, or does not go on; of a Job that goes on: how it failed last
	active  int32  // pods
	pods    []corev1.Pod
}

// run lets a stage's Job run, or suspends it, and says how far it is. Jobs of the same stage that were made for another template go:
// their pods save what is on its way.
func (r *Migrations) run(ctx context.Context, m *v1alpha1.Migration, s *stage) (*result, error) {
	want := r.job(m, s)
	if err := r.retire(ctx, m, s.name, want.Name); err != nil {
		return nil, err
	}
	var is batchv1.Job
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: m.Namespace, Name: want.Name}, &is)
	switch {
	case apierrors.IsNotFound(err):
		if isSuspended(m) {
			return &result{}, nil
		}
		_, err := apply(ctx, r.Client, m, want)
		if err == nil {
			r.Events.Eventf(m, nil, corev1.EventTypeNormal, "Started", "Run", "%s begins: Job %s, %s", s.name, want.Name, words.Count(int(s.pods), "pod"))
		}
		return &result{}, err
	case err != nil:
		return nil, err
	}
	if err := own(m, "Job", &is); err != nil {
		return nil, err
	}
	res, err := r.resultOf(ctx, &is)
	if err != nil || res.done {
		return res, err
	}
	if res.failed {
		if is.Annotations[v1alpha1.ReconcileAtAnnotation] == want.Annotations[v1alpha1.ReconcileAtAnnotation] {
			return res, nil
		}
		// Somebody asks for another try.
		return &result{why: res.why}, client.IgnoreNotFound(r.Client.Delete(ctx, &is, client.PropagationPolicy(metav1.DeletePropagationForeground)))
	}
	if is.DeletionTimestamp.IsZero() && (deref(is.Spec.Suspend) != deref(want.Spec.Suspend) || deref(is.Spec.Parallelism) != deref(want.Spec.Parallelism)) {
		if _, err := apply(ctx, r.Client, m, want); err != nil {
			return nil, err
		}
	}
	return res, nil
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// retire deletes the Jobs of a stage but the one called keep.
func (r *Migrations) retire(ctx context.Context, m *v1alpha1.Migration, stage, keep string) error {
	var jobs batchv1.JobList
	err := r.Client.List(ctx, &jobs, client.InNamespace(m.Namespace), client.MatchingLabels{v1alpha1.MigrationLabel: m.Name, StageLabel: stage})
	if err != nil {
		return err
	}
	for i := range jobs.Items {
		j := &jobs.Items[i]
		if j.Name == keep || !metav1.IsControlledBy(j, m) || !j.DeletionTimestamp.IsZero() {
			continue
		}
		err := r.Client.Delete(ctx, j, client.PropagationPolicy(metav1.DeletePropagationBackground), client.Preconditions{UID: &j.UID})
		if client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	return nil
}

// resultOf reads a Job and its pods.
func (r *Migrations) resultOf(ctx context.Context, j *batchv1.Job) (*result, error) {
	res := &result{active: j.Status.Active}
	for _, c := range j.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		res.done = res.done || c.Type == batchv1.JobComplete || c.Type == batchv1.JobSuccessCriteriaMet
		if c.Type == batchv1.JobFailed {
			res.failed, res.why = true, plain(c.Message)
		}
	}
	var pods corev1.PodList
	err := r.Client.List(ctx, &pods, client.InNamespace(j.Namespace), client.MatchingLabels{batchv1.ControllerUidLabel: string(j.UID)})
	if err != nil {
		return nil, err
	}
	res.pods = pods.Items
	last := lastEnded(pods.Items, res.done)
	if last == nil {
		return res, nil
	}
	t := ended(last)
	if m, ok := termination.Parse(t.Message); ok {
		res.message = &m
	}
	if res.done {
		return res, nil
	}
	res.why = fmt.Sprintf("pod %s ended with status %d", last.Name, t.ExitCode)
	switch {
	case res.message != nil && res.message.Reason != "":
		res.why = res.message.Reason
	case res.message == nil && t.Message != "":
		res.why += ": " + plain(shortened(t.Message, 1000))
	case t.Reason != "" && t.Reason != "Error":
		res.why += ": " + t.Reason // OOMKilled
	}
	return res, nil
}

// ended says how a pod's container ended; nil: it did not.
func ended(p *corev1.Pod) *corev1.ContainerStateTerminated {
	for i := range p.Status.ContainerStatuses {
		if s := &p.Status.ContainerStatuses[i]; s.Name == containerIs {
			return s.State.Terminated
		}
	}
	return nil
}

// lastEnded is the pod that ended last: with success, or without.
func lastEnded(pods []corev1.Pod, success bool) *corev1.Pod {
	var over []*corev1.Pod
	for i := range pods {
		if t := ended(&pods[i]); t != nil && (t.ExitCode == 0) == success && (success || pods[i].DeletionTimestamp.IsZero()) {
			over = append(over, &pods[i])
		}
	}
	if len(over) == 0 {
		return nil
	}
	return slices.MaxFunc(over, func(a, b *corev1.Pod) int {
		return cmp.Or(ended(a).FinishedAt.Compare(ended(b).FinishedAt.Time), cmp.Compare(a.Name, b.Name))
	})
}

// running counts the pods that run.
func running(pods []corev1.Pod) (n int32) {
	for i := range pods {
		if pods[i].Status.Phase == corev1.PodRunning {
			n++
		}
	}
	return n
}

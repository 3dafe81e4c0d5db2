package operator

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/narudata/naru/operator/v1alpha1"
)

// Files of a pipeline's ConfigMap.
const (
	pipelineFile = "pipeline.conf"
	settingsFile = "logstash.yml"
)

// progressDeadline is how long a rollout may take without any progress until it counts as stalled, in seconds.
const progressDeadline = 300

// pipeline makes the Deployment of a pipeline what the Flow says.
func (l *look) pipeline(ctx context.Context) (outcome, error) {
	text, o, err := l.configuration(ctx)
	if err != nil {
		return outcome{}, err
	}
	if o == nil {
		if wrong := l.check(text); wrong != "" {
			o = &outcome{state: stalled, reason: "InvalidPipeline", message: wrong}
		}
	}
	live := &appsv1.Deployment{}
	there, err := l.find(ctx, l.flow.Name, live)
	if err != nil {
		return outcome{}, err
	}
	if o != nil { // what runs goes on running
		if there {
			err = l.scaleOnly(ctx, live)
		}
		l.measure(ctx)
		o.again = sooner(o.again, l.againWith(there))
		return *o, err
	}
	settings, err := yaml.Marshal(l.flow.Spec.Pipeline.Settings)
	if err != nil {
		return outcome{}, err
	}
	files := map[string]string{pipelineFile: text, settingsFile: string(settings)}
	revision := digest(files)
	if err := l.keep(ctx, revision, files); err != nil {
		return outcome{}, err
	}
	if trouble(l.pods, revision) != "" {
		l.doubt(l.flow.Namespace) // pods begin only where the Secret is
	}
	if _, err := l.access(ctx, l.flow.Namespace); err != nil {
		return outcome{}, err
	}
	child := l.deployment(revision, live)
	if !there {
		live = nil
	}
	var sent client.Object
	if live != nil {
		sent = live
	}
	if err := l.send(ctx, sent, child); err != nil {
		return outcome{}, err
	}
	if err := l.budget(ctx); err != nil {
		return outcome{}, err
	}
	l.flow.Status.Revision = revision
	again, err := l.sweep(ctx, revision)
	if err != nil {
		return outcome{}, err
	}
	l.measure(ctx)
	out := l.judge(live, child, revision)
	out.again = sooner(sooner(out.again, again), l.againWith(len(l.pods) > 0))
	return out, nil
}

// againWith is when to look again although nothing changes: pods move records without telling.
func (l *look) againWith(pods bool) time.Duration {
	if !pods || l.suspended() {
		return 0
	}
	return l.Interval
}

// configuration is the pipeline's text. o is not nil if it is not to be had.
func (l *look) configuration(ctx context.Context) (text string, o *outcome, err error) {
	ref := l.flow.Spec.Pipeline.ConfigMapRef
	if ref == nil {
		return l.flow.Spec.Pipeline.Config, nil, nil
	}
	var m corev1.ConfigMap
	err = l.Reader.Get(ctx, types.NamespacedName{Namespace: l.flow.Namespace, Name: ref.Name}, &m)
	if apierrors.IsNotFound(err) {
		return "", &outcome{state: progressing, reason: "ConfigMapMissing", message: fmt.Sprintf("there is no ConfigMap %s, which has the pipeline", ref.Name)}, nil
	}
	if err != nil {
		return "", nil, err
	}
	text, ok := m.Data[ref.Key]
	if !ok {
		return "", &outcome{state: progressing, reason: "ConfigMapMissing", message: fmt.Sprintf("the ConfigMap %s has no key %s, which is the pipeline", ref.Name, ref.Key)}, nil
	}
	const most = 512 << 10
	if len(text) > most {
		return "", &outcome{state: stalled, reason: "InvalidPipeline", message: fmt.Sprintf("the pipeline has %d bytes; it may have %d", len(text), most)}, nil
	}
	return text, nil, nil
}

// wanted is how many pods the Deployment shall have; nil: somebody else says so, by the Deployment's own scale.
func (l *look) wanted(live *appsv1.Deployment) *int32 {
	switch {
	case l.suspended(), l.flow.Spec.Workload == v1alpha1.Rollout:
		return new(int32(0))
	case live.Spec.Replicas != nil && *live.Spec.Replicas > 0 && scaledBy(live) != "":
		return nil
	}
	return new(l.replicas())
}

// scaledBy names who else scales a Deployment, by its scale subresource; "" if nobody does.
func scaledBy(d *appsv1.Deployment) string {
	for _, f := range d.ManagedFields {
		if f.Subresource == "scale" && f.Manager != v1alpha1.FieldManager && f.FieldsV1 != nil && strings.Contains(string(f.FieldsV1.GetRawBytes()), `"f:replicas"`) {
			return f.Manager
		}
	}
	return ""
}

// scaleOnly suspends, resumes and scales what runs, without anything else.
func (l *look) scaleOnly(ctx context.Context, live *appsv1.Deployment) error {
	n := l.wanted(live)
	if n == nil || live.Spec.Replicas != nil && *live.Spec.Replicas == *n || !metav1.IsControlledBy(live, l.flow) {
		return nil
	}
	before := live.DeepCopy()
	live.Spec.Replicas = n
	return l.Client.Patch(ctx, live, client.MergeFrom(before), client.FieldOwner(v1alpha1.FieldManager))
}

// deployment is the pipeline's Deployment.
func (l *look) deployment(revision string, live *appsv1.Deployment) *appsv1.Deployment {
	d := &appsv1.Deployment{}
	d.Name = l.flow.Name
	d.Labels = labelled(nil, l.selecting())
	hash := "pod-template-hash"
	if l.flow.Spec.Workload == v1alpha1.Rollout {
		hash = "rollouts-pod-template-hash"
	}
	k := &podKind{
		image: l.Image, labels: l.selecting(), more: map[string]string{v1alpha1.RevisionLabel: revision}, config: l.configMap(revision),
		restart: corev1.RestartPolicyAlways,
		args: []string{
			"logstash", "-f", configFolder + "/" + pipelineFile, "--path.settings", configFolder, "--path.data", dataFolder, "--pipeline.id", l.flow.Name,
			"--api.http.host", "$(POD_IP)", "--api.http.port", fmt.Sprint(apiPort), "--log-level", "info", "--log-format", "json",
		},
		env: []corev1.EnvVar{
			fromField("POD_IP", "status.podIP"), fromField("POD_NAME", "metadata.name"), fromField("POD_NAMESPACE", "metadata.namespace"),
			{Name: "NARU_API_USERNAME", ValueFrom: secretKey(apiSecret, "username")}, {Name: "NARU_API_PASSWORD", ValueFrom: secretKey(apiSecret, "password")},
		},
		ports:     []corev1.ContainerPort{{Name: "api", ContainerPort: apiPort, Protocol: corev1.ProtocolTCP}},
		readiness: &corev1.Probe{PeriodSeconds: 5, TimeoutSeconds: 3, FailureThreshold: 3, SuccessThreshold: 1, ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/ready", Port: intstr.FromString("api"), Scheme: corev1.URISchemeHTTP}}},
	}
	if l.flow.Spec.Route != nil {
		k.args = append(k.args, "--route")
		k.env = append(k.env, fromField("NARU_ROUTE_HASH", "metadata.labels['"+hash+"']"))
	}
	d.Spec = appsv1.DeploymentSpec{
		Replicas: l.wanted(live), Selector: &metav1.LabelSelector{MatchLabels: l.selecting()}, Template: podTemplate(&l.flow.Spec.PodFields, k),
		RevisionHistoryLimit: new(int32(2)), ProgressDeadlineSeconds: new(int32(progressDeadline)),
		Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{
			MaxUnavailable: new(intstr.FromInt32(0)), MaxSurge: new(intstr.FromString("25%")), // a pod that cannot run takes nobody's place
		}},
	}
	if slices.ContainsFunc(l.flow.Spec.Volumes, func(v corev1.Volume) bool { return v.PersistentVolumeClaim != nil }) {
		d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType} // two pods cannot have one queue
	}
	return d
}

func fromField(name, path string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: path}}}
}

func secretKey(name, key string) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key}}
}

// budget lets a node be emptied one pod at a time.
func (l *look) budget(ctx context.Context) error {
	live := &policyv1.PodDisruptionBudget{}
	there, err := l.find(ctx, l.flow.Name, live)
	if err != nil {
		return err
	}
	if l.replicas() < 2 || l.suspended() {
		if there {
			return l.remove(ctx, live)
		}
		return nil
	}
	b := &policyv1.PodDisruptionBudget{}
	b.Name = l.flow.Name
	b.Labels = labelled(nil, l.selecting())
	b.Spec = policyv1.PodDisruptionBudgetSpec{
		MaxUnavailable: new(intstr.FromInt32(1)), Selector: &metav1.LabelSelector{MatchLabels: l.selecting()},
		UnhealthyPodEvictionPolicy: new(policyv1.AlwaysAllow),
	}
	if !there {
		return l.send(ctx, nil, b)
	}
	return l.send(ctx, live, b)
}

// judge says how the pipeline is. live is the Deployment before it was sent; nil: there was none.
func (l *look) judge(live, meant *appsv1.Deployment, revision string) outcome {
	s := &l.flow.Status
	switch {
	case l.suspended():
		if s.Replicas > 0 {
			return outcome{state: suspended, reason: reasonSuspended, message: fmt.Sprintf("suspended; %d of its pods still write what they have read", s.Replicas)}
		}
		return outcome{state: suspended, reason: reasonSuspended, message: "suspended: it has no pods"}
	case l.flow.Spec.Workload == v1alpha1.Rollout:
		return l.judgeRollout(revision)
	case live == nil || live.Status.ObservedGeneration < max(live.Generation, l.memory.sent["Deployment/"+live.Name].generation) || live.Spec.Template.Labels[v1alpha1.RevisionLabel] != revision:
		return outcome{state: progressing, reason: "RollingOut", message: "revision " + revision + " is rolled out"}
	}
	want := int32(1)
	if live.Spec.Replicas != nil {
		want = *live.Spec.Replicas
	}
	if n := meant.Spec.Replicas; n != nil {
		want = *n
	}
	by := ""
	if meant.Spec.Replicas == nil {
		by = ", whose number " + scaledBy(live) + " sets"
	}
	st := &live.Status
	why := trouble(l.pods, revision)
	for _, c := range st.Conditions {
		switch {
		case c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue:
			return outcome{state: stalled, reason: "PodsRefused", message: plain(c.Message), again: time.Minute}
		case c.Type == appsv1.DeploymentProgressing && c.Reason == "ProgressDeadlineExceeded":
			return outcome{state: stalled, reason: "PodsFail", message: cmp.Or(why, plain(c.Message))}
		}
	}
	if st.UpdatedReplicas < want || st.AvailableReplicas < want || st.Replicas > st.UpdatedReplicas {
		message := fmt.Sprintf("%d of %d pods of revision %s are ready%s", l.readyOf(revision), want, revision, by)
		if why != "" {
			return outcome{state: progressing, reason: "PodsFail", message: message + "; " + why}
		}
		return outcome{state: progressing, reason: "RollingOut", message: message}
	}
	if want == 0 {
		return outcome{state: ready, reason: "Running", message: "it has no pods, as it is said" + by}
	}
	return outcome{state: ready, reason: "Running", message: fmt.Sprintf("%d of %d pods are ready%s", st.AvailableReplicas, want, by)}
}

// judgeRollout says how a pipeline is that an Argo Rollout runs: its revision is there to be taken. How far it is taken, the Rollout says.
func (l *look) judgeRollout(revision string) outcome {
	s := &l.flow.Status
	if why := trouble(l.pods, revision); why != "" {
		return outcome{state: progressing, reason: "PodsFail", message: why}
	}
	return outcome{state: ready, reason: "Rendered", message: fmt.Sprintf("revision %s is there for an Argo Rollout, which has %d pods of it ready, and %d pods in all", revision, l.readyOf(revision), s.Replicas)}
}

// readyOf counts the pods of a revision that are ready.
func (l *look) readyOf(revision string) (n int) {
	for i := range l.pods {
		if p := &l.pods[i]; p.Labels[v1alpha1.RevisionLabel] == revision && podReady(p) && p.DeletionTimestamp.IsZero() {
			n++
		}
	}
	return n
}

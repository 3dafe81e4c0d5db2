package operator

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/narudata/naru/internal/termination"
	"github.com/narudata/naru/operator/v1alpha1"
)

// Where things are in a pod.
const (
	configFolder = "/etc/naru/config" // of the ConfigMap
	dataFolder   = "/var/lib/naru"    // what must outlive the process, and the working folder
	scratch      = "/tmp"             // nothing else can be written
	containerIs  = "naru"             // the container's name
	configVolume = "naru-config"      // names of volumes
	dataVolume   = "naru-data"        //
	tmpVolume    = "naru-tmp"         //
	user         = 65532              // of images that ko builds
	defaultGrace = 60                 // seconds in which a pod writes what it has read
)

// A podKind is what pods of one kind of workload are, beside what the user says.
type podKind struct {
	image     string            // unless the user names one
	args      []string          // of naru
	labels    map[string]string // which also select
	more      map[string]string // labels that do not select
	env       []corev1.EnvVar   // those that the user gives count first
	config    string            // the ConfigMap at configFolder; "": none
	restart   corev1.RestartPolicy
	ports     []corev1.ContainerPort
	readiness *corev1.Probe
}

// podTemplate gives the pods of a workload: what the user says, and the rest so that they run without any rights.
func podTemplate(f *v1alpha1.PodFields, k *podKind) corev1.PodTemplateSpec {
	grace := int64(defaultGrace)
	if f.TerminationGracePeriodSeconds != nil {
		grace = *f.TerminationGracePeriodSeconds
	}
	ours := maps.Clone(k.labels)
	maps.Copy(ours, k.more)
	c := corev1.Container{
		Name: containerIs, Image: cmp.Or(f.Image, k.image), ImagePullPolicy: f.ImagePullPolicy, Args: k.args, WorkingDir: dataFolder,
		Resources: f.Resources, Env: environment(f, k), EnvFrom: f.EnvFrom, Ports: k.ports, ReadinessProbe: k.readiness,
		VolumeMounts:             slices.Clone(f.VolumeMounts),
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
	}
	spec := corev1.PodSpec{
		Containers: []corev1.Container{c}, Volumes: slices.Clone(f.Volumes), RestartPolicy: k.restart, TerminationGracePeriodSeconds: &grace,
		ServiceAccountName: f.ServiceAccountName, AutomountServiceAccountToken: new(false), EnableServiceLinks: new(false),
		NodeSelector: f.NodeSelector, Tolerations: f.Tolerations, PriorityClassName: f.PriorityClassName, ImagePullSecrets: f.ImagePullSecrets,
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: new(true), RunAsUser: new(int64(user)), RunAsGroup: new(int64(user)), FSGroup: new(int64(user)),
			FSGroupChangePolicy: new(corev1.FSGroupChangeOnRootMismatch), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		TopologySpreadConstraints: slices.Clone(f.TopologySpreadConstraints),
	}
	for i := range spec.TopologySpreadConstraints {
		if t := &spec.TopologySpreadConstraints[i]; t.LabelSelector == nil {
			t.LabelSelector = &metav1.LabelSelector{MatchLabels: k.labels}
		}
	}
	main := &spec.Containers[0]
	mount := func(name, at string, source corev1.VolumeSource, readOnly bool) {
		if mounted(f, at) {
			return
		}
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: name, VolumeSource: source})
		main.VolumeMounts = append(main.VolumeMounts, corev1.VolumeMount{Name: name, MountPath: at, ReadOnly: readOnly})
	}
	if k.config != "" {
		mount(configVolume, configFolder, corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: k.config}}}, true)
	}
	mount(dataVolume, dataFolder, corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}, false)
	mount(tmpVolume, scratch, corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}, false)
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labelled(f.PodLabels, ours), Annotations: f.PodAnnotations}, Spec: spec}
}

// mounted says whether the user mounts something at a path.
func mounted(f *v1alpha1.PodFields, at string) bool {
	return slices.ContainsFunc(f.VolumeMounts, func(m corev1.VolumeMount) bool { return path.Clean(m.MountPath) == at })
}

// labelled puts the operator's labels over the user's.
func labelled(users, ours map[string]string) map[string]string {
	out := map[string]string{nameLabel: "naru", managedByLabel: managedBy}
	for k, v := range users {
		if !strings.HasPrefix(k, v1alpha1.GroupVersion.Group+"/") && k != managedByLabel {
			out[k] = v
		}
	}
	maps.Copy(out, ours)
	return out
}

// environment are the user's variables, and those of the kind whose names the user does not give.
func environment(f *v1alpha1.PodFields, k *podKind) []corev1.EnvVar {
	var out []corev1.EnvVar
	given := func(name string) bool {
		return slices.ContainsFunc(f.Env, func(e corev1.EnvVar) bool { return e.Name == name })
	}
	for _, e := range append(slices.Clone(k.env), memoryLimit(&f.Resources)...) {
		if !given(e.Name) {
			out = append(out, e)
		}
	}
	return append(out, f.Env...)
}

// memoryLimit lets the garbage collector work harder before the kernel kills: at nine tenths of the limit.
func memoryLimit(r *corev1.ResourceRequirements) []corev1.EnvVar {
	limit, ok := r.Limits[corev1.ResourceMemory]
	if !ok || limit.Cmp(resource.MustParse("16Mi")) < 0 {
		return nil
	}
	return []corev1.EnvVar{{Name: "GOMEMLIMIT", Value: strconv.FormatInt(limit.Value()/10*9, 10)}}
}

// secretInTheClear names a variable of the user's that looks like a secret and is written out; "" if there is none.
func secretInTheClear(f *v1alpha1.PodFields) string {
	for i := range f.Env {
		if e := &f.Env[i]; e.Value != "" && !strings.Contains(e.Value, "$(") && secretName(e.Name) {
			return e.Name
		}
	}
	return ""
}

// secretName says whether what has that name is a secret by the look of it.
func secretName(name string) bool {
	name = strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(name))
	for _, s := range []string{"PASSWORD", "PASSWD", "SECRET", "TOKEN", "API_KEY", "APIKEY", "PRIVATE_KEY", "SECRET_KEY", "ACCESS_KEY", "PASSPHRASE", "MASK_KEY"} {
		if name == s || strings.HasSuffix(name, "_"+s) {
			return true
		}
	}
	return false
}

// trouble says why pods do not run, in a line; "" if nothing is known to be wrong. revision is that of the pods that matter; "": all.
func trouble(pods []corev1.Pod, revision string) string {
	for i := range pods {
		p := &pods[i]
		if revision != "" && p.Labels[v1alpha1.RevisionLabel] != revision || !p.DeletionTimestamp.IsZero() {
			continue
		}
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
				return p.Name + " cannot be scheduled: " + plain(c.Message)
			}
		}
		for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			last := s.LastTerminationState.Terminated
			if t := s.State.Terminated; t != nil && t.ExitCode != 0 {
				last = t
			}
			switch w := s.State.Waiting; {
			case w != nil && w.Reason != "ContainerCreating" && w.Reason != "PodInitializing" && w.Reason != "CrashLoopBackOff":
				return p.Name + ": " + w.Reason + ": " + plain(w.Message)
			case last != nil && last.ExitCode != 0 && !s.Ready:
				return p.Name + " ended with status " + strconv.Itoa(int(last.ExitCode)) + told(last)
			}
		}
	}
	return ""
}

// told is what a container left when it ended, behind a colon.
func told(t *corev1.ContainerStateTerminated) string {
	if m, ok := termination.Parse(t.Message); ok && m.Reason != "" {
		return ": " + plain(m.Reason)
	}
	lines := strings.Split(strings.TrimSpace(t.Message), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		return ": " + shortened(plain(last), 500)
	}
	if t.Reason != "" && t.Reason != "Error" {
		return ": " + t.Reason // OOMKilled
	}
	return ""
}

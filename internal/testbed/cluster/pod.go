package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/narudata/naru/internal/testbed/proc"
)

// A pod is one that the kubelet runs. One goroutine (run) decides; others wait for processes and tell it by changed.
type pod struct {
	kubelet         *kubelet
	uid             types.UID
	namespace, name string
	ip, dir         string
	latest          atomic.Pointer[corev1.Pod]
	gone            atomic.Bool // it was removed from the API server
	changed         chan struct{}

	// What follows is run's own.
	started    time.Time
	containers []*container
	inits      []*container
	reported   []byte // the status that was written last, as JSON
	waits      string // why no container can start
}

// A container is one of a pod's.
type container struct {
	spec     *corev1.Container
	program  string // "": it is only said to be running
	restarts int32
	pause    time.Duration // before the next start
	at       time.Time     // not before; zero: at once
	last     *corev1.ContainerStateTerminated

	mu      sync.Mutex // guards what follows
	cmd     *exec.Cmd  // nil: it does not run
	begun   time.Time
	ended   *corev1.ContainerStateTerminated // nil: it runs, or has not begun
	ready   bool
	unprobe context.CancelFunc
}

// Pauses before a container is started anew. A kubelet's go from 10 s to 5 min.
const (
	firstPause   = 250 * time.Millisecond
	longestPause = 10 * time.Second
)

func (p *pod) run(ctx context.Context) {
	defer p.kill()
	if !p.bind(ctx) {
		return
	}
	spec := &p.latest.Load().Spec
	for i := range spec.InitContainers {
		p.inits = append(p.inits, p.container(&spec.InitContainers[i]))
	}
	for i := range spec.Containers {
		p.containers = append(p.containers, p.container(&spec.Containers[i]))
	}
	p.started = time.Now()
	for {
		latest := p.latest.Load()
		if p.gone.Load() {
			return
		}
		if latest.DeletionTimestamp != nil {
			p.end(ctx, latest)
			return
		}
		wake := p.step(ctx, latest)
		status := p.status()
		p.write(ctx, &status)
		if status.Phase == corev1.PodSucceeded || status.Phase == corev1.PodFailed {
			if !p.awaitDeletion(ctx) {
				return
			}
			continue
		}
		var timer <-chan time.Time
		if wake > 0 {
			timer = time.After(wake)
		}
		select {
		case <-ctx.Done():
			return
		case <-p.changed:
		case <-timer:
		}
	}
}

func (p *pod) container(spec *corev1.Container) *container {
	return &container{spec: spec, program: p.kubelet.image(spec.Image), pause: firstPause}
}

// bind gives the pod to the node; false: there is no need any more.
func (p *pod) bind(ctx context.Context) bool {
	latest := p.latest.Load()
	if latest.DeletionTimestamp != nil && latest.Spec.NodeName == "" {
		p.kubelet.remove(ctx, latest)
		return false
	}
	if latest.Spec.NodeName != "" {
		return true
	}
	err := p.kubelet.client.CoreV1().Pods(p.namespace).Bind(ctx, &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: p.name, Namespace: p.namespace, UID: p.uid}, Target: corev1.ObjectReference{Kind: "Node", Name: nodeName},
	}, metav1.CreateOptions{})
	return err == nil || !p.gone.Load() && ctx.Err() == nil
}

// step starts what is to be started, and says when it wants to be called again at the latest (0: when something changes).
func (p *pod) step(ctx context.Context, latest *corev1.Pod) (wake time.Duration) {
	files, err := p.volumes(ctx, latest)
	if err != nil {
		p.waits = err.Error() // a ConfigMap that is not there yet, say
		return time.Second
	}
	for _, c := range p.inits {
		switch ended := c.over(); {
		case ended != nil && ended.ExitCode == 0:
			continue
		case c.spec.RestartPolicy != nil && *c.spec.RestartPolicy == corev1.ContainerRestartPolicyAlways:
			wake = earlier(wake, p.startIfDue(ctx, latest, c, files, true))
			continue // a sidecar
		default:
			return earlier(wake, p.startIfDue(ctx, latest, c, files, latest.Spec.RestartPolicy != corev1.RestartPolicyNever))
		}
	}
	for _, c := range p.containers {
		again := latest.Spec.RestartPolicy == corev1.RestartPolicyAlways
		if ended := c.over(); ended != nil && ended.ExitCode != 0 && latest.Spec.RestartPolicy == corev1.RestartPolicyOnFailure {
			again = true
		}
		wake = earlier(wake, p.startIfDue(ctx, latest, c, files, again))
	}
	return wake
}

func earlier(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// over is how the container's last run ended; nil: it runs, or has not begun.
func (c *container) over() *corev1.ContainerStateTerminated {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// startIfDue starts a container that does not run, for the first time or, where it may, again.
func (p *pod) startIfDue(ctx context.Context, latest *corev1.Pod, c *container, files folders, again bool) (wake time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cmd != nil || c.program == "" && !c.begun.IsZero() {
		return 0
	}
	if c.ended != nil {
		if !again {
			return 0
		}
		if c.at.IsZero() {
			c.at = time.Now().Add(c.pause)
			c.pause = min(2*c.pause, longestPause)
		}
		if left := time.Until(c.at); left > 0 {
			return left
		}
		c.last, c.ended, c.at = c.ended, nil, time.Time{}
		c.restarts++
	}
	c.begun = time.Now()
	if c.program == "" {
		c.ready = true
		return 0
	}
	if err := p.start(ctx, latest, c, files); err != nil {
		c.ended = &corev1.ContainerStateTerminated{ExitCode: 128, Reason: "StartError", Message: err.Error(), StartedAt: metav1.NewTime(c.begun), FinishedAt: metav1.Now()}
		p.tell()
	}
	return 0
}

// start starts the process; c.mu is held.
func (p *pod) start(ctx context.Context, latest *corev1.Pod, c *container, files folders) error {
	environment, err := p.environment(ctx, latest, c.spec, files)
	if err != nil {
		return err
	}
	program, args := c.program, c.spec.Args
	if len(c.spec.Command) > 0 {
		args = append(slices.Clone(c.spec.Command[1:]), c.spec.Args...)
		if first := c.spec.Command[0]; first != filepath.Base(program) && first != "/"+filepath.Base(program) {
			program = first
		}
	}
	log := filepath.Join(p.dir, c.spec.Name+".log")
	if c.restarts > 0 {
		_ = os.Rename(log, filepath.Join(p.dir, c.spec.Name+".previous.log"))
	}
	out, err := os.Create(log)
	if err != nil {
		return err
	}
	defer out.Close()
	message := filepath.Join(p.dir, c.spec.Name+".termination")
	if err := os.WriteFile(message, nil, 0o644); err != nil {
		return err
	}
	vars := expander(environment)
	for i := range args {
		args = slices.Clone(args)
		args[i] = files.replace(c.spec, vars(args[i]))
	}
	cmd := exec.Command(program, args...) //nolint:gosec,noctx // what the pod says; it ends with the pod
	cmd.Dir = cmp.Or(files.replace(c.spec, c.spec.WorkingDir), p.dir)
	cmd.Env = append(list(environment), "NARU_TERMINATION_LOG="+message)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = time.Second
	untie, err := p.kubelet.kube.tether.start(cmd)
	if err != nil {
		return err
	}
	c.cmd, c.ready = cmd, c.spec.ReadinessProbe == nil
	probing, stop := context.WithCancel(ctx)
	c.unprobe = stop
	if c.spec.ReadinessProbe != nil {
		p.kubelet.all.Go(func() { p.probe(probing, c) })
	}
	p.kubelet.all.Go(func() {
		_ = cmd.Wait()
		untie()
		stop()
		_ = proc.SignalGroup(cmd.Process.Pid, syscall.SIGKILL) // what it has left behind
		c.finish(cmd, log, message)
		p.tell()
	})
	return nil
}

// finish notes how a process has ended.
func (c *container) finish(cmd *exec.Cmd, log, message string) {
	s := cmd.ProcessState.Sys().(syscall.WaitStatus)
	t := &corev1.ContainerStateTerminated{ExitCode: int32(s.ExitStatus()), Reason: "Completed", FinishedAt: metav1.Now()}
	if s.Signaled() {
		t.ExitCode, t.Signal = 128+int32(s.Signal()), int32(s.Signal())
	}
	if t.ExitCode != 0 {
		t.Reason = "Error"
	}
	text, err := os.ReadFile(message)
	if err == nil && len(text) == 0 && t.ExitCode != 0 && c.spec.TerminationMessagePolicy == corev1.TerminationMessageFallbackToLogsOnError {
		text, _ = os.ReadFile(log)
		text = lastLines(text[max(0, len(text)-2048):], 80)
	}
	const limit = 4096
	t.Message = string(text[:min(len(text), limit)])
	c.mu.Lock()
	defer c.mu.Unlock()
	t.StartedAt = metav1.NewTime(c.begun)
	const steady = 10 * time.Second
	if time.Since(c.begun) > steady {
		c.pause = firstPause
	}
	c.cmd, c.ended, c.ready = nil, t, false
}

func (p *pod) tell() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// probe asks whether a container is ready, until its process ends. It asks four times a second, however seldom the probe says.
func (p *pod) probe(ctx context.Context, c *container) {
	probe := c.spec.ReadinessProbe
	failed := 0
	for {
		err := p.ask(ctx, c, probe)
		if ctx.Err() != nil {
			return
		}
		ready := err == nil
		if !ready {
			failed++
		} else {
			failed = 0
		}
		c.mu.Lock()
		changed := false
		if ready != c.ready && (ready || failed >= int(max(probe.FailureThreshold, 1))) {
			c.ready, changed = ready, true
		}
		c.mu.Unlock()
		if changed {
			p.tell()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(250 * time.Millisecond):
		}
	}
}

func (p *pod) ask(ctx context.Context, c *container, probe *corev1.Probe) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(max(probe.TimeoutSeconds, 1))*time.Second)
	defer cancel()
	switch {
	case probe.TCPSocket != nil:
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(cmp.Or(probe.TCPSocket.Host, p.ip), port(c.spec, probe.TCPSocket.Port)))
		if err != nil {
			return err
		}
		return conn.Close()
	case probe.HTTPGet != nil:
		g := probe.HTTPGet
		scheme := "http"
		if g.Scheme == corev1.URISchemeHTTPS {
			return fmt.Errorf("probes by https are not known to the testbed")
		}
		url := scheme + "://" + net.JoinHostPort(cmp.Or(g.Host, p.ip), port(c.spec, g.Port)) + g.Path
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		for _, h := range g.HTTPHeaders {
			request.Header.Add(h.Name, h.Value)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if answer.StatusCode >= 400 {
			return fmt.Errorf("status %d", answer.StatusCode)
		}
		return nil
	}
	return nil // by a command: it is said to be ready
}

func port(c *corev1.Container, p intstr.IntOrString) string {
	if p.Type == intstr.String {
		for _, o := range c.Ports {
			if o.Name == p.StrVal {
				return strconv.Itoa(int(o.ContainerPort))
			}
		}
	}
	return strconv.Itoa(p.IntValue())
}

// status is what there is to say of the pod.
func (p *pod) status() corev1.PodStatus {
	s := corev1.PodStatus{
		Phase: corev1.PodRunning, HostIP: "127.0.0.1", HostIPs: []corev1.HostIP{{IP: "127.0.0.1"}}, PodIP: p.ip, PodIPs: []corev1.PodIP{{IP: p.ip}},
		StartTime: new(metav1.NewTime(p.started)),
	}
	policy := p.latest.Load().Spec.RestartPolicy
	initialized := true
	for _, c := range p.inits {
		cs := c.status(p.waits)
		s.InitContainerStatuses = append(s.InitContainerStatuses, cs)
		sidecar := c.spec.RestartPolicy != nil
		if t := cs.State.Terminated; !sidecar && (t == nil || t.ExitCode != 0) {
			initialized = false
			if t != nil && policy == corev1.RestartPolicyNever {
				s.Phase = corev1.PodFailed
			}
		}
	}
	ready, over, failed := initialized, true, false
	begun := false
	for _, c := range p.containers {
		cs := c.status(p.waits)
		s.ContainerStatuses = append(s.ContainerStatuses, cs)
		ready = ready && cs.Ready
		begun = begun || cs.State.Waiting == nil || cs.RestartCount > 0
		t := cs.State.Terminated
		if t == nil || policy == corev1.RestartPolicyAlways || t.ExitCode != 0 && policy == corev1.RestartPolicyOnFailure {
			over = false
		} else {
			failed = failed || t.ExitCode != 0
		}
	}
	switch {
	case over && failed:
		s.Phase = corev1.PodFailed
	case over:
		s.Phase = corev1.PodSucceeded
	case !begun && s.Phase == corev1.PodRunning:
		s.Phase = corev1.PodPending
	}
	truth := map[bool]corev1.ConditionStatus{true: corev1.ConditionTrue, false: corev1.ConditionFalse}
	now := metav1.Now()
	for _, c := range []struct {
		kind corev1.PodConditionType
		is   bool
	}{{corev1.PodScheduled, true}, {corev1.PodInitialized, initialized}, {corev1.ContainersReady, ready && !over}, {corev1.PodReady, ready && !over}} {
		s.Conditions = append(s.Conditions, corev1.PodCondition{Type: c.kind, Status: truth[c.is], LastTransitionTime: now})
	}
	return s
}

func (c *container) status(waits string) corev1.ContainerStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := corev1.ContainerStatus{Name: c.spec.Name, Image: c.spec.Image, ImageID: c.spec.Image, Ready: c.ready, RestartCount: c.restarts, Started: new(!c.begun.IsZero() && c.ended == nil)}
	if c.last != nil {
		s.LastTerminationState.Terminated = c.last
	}
	switch {
	case c.ended != nil && !c.at.IsZero():
		s.State.Waiting = &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: fmt.Sprintf("back-off %v", c.pause)}
		s.LastTerminationState.Terminated = c.ended
	case c.ended != nil:
		s.State.Terminated = c.ended
	case c.begun.IsZero():
		s.State.Waiting = &corev1.ContainerStateWaiting{Reason: cmp.Or(map[bool]string{true: "CreateContainerConfigError"}[waits != ""], "PodInitializing"), Message: waits}
	default:
		s.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(c.begun)}
	}
	return s
}

// write tells the API server the status, unless it knows.
func (p *pod) write(ctx context.Context, s *corev1.PodStatus) {
	known := s.DeepCopy()
	for i := range known.Conditions {
		known.Conditions[i].LastTransitionTime = metav1.Time{}
	}
	text, err := json.Marshal(known)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	if string(text) == string(p.reported) {
		return
	}
	if err := p.kubelet.report(ctx, p, s); err == nil {
		p.reported = text
	} else if ctx.Err() == nil {
		time.AfterFunc(time.Second, p.tell)
	}
}

// awaitDeletion waits, with a pod that is over, until it is to be deleted; false: it is gone.
func (p *pod) awaitDeletion(ctx context.Context) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-p.changed:
		}
		if p.gone.Load() {
			return false
		}
		if p.latest.Load().DeletionTimestamp != nil {
			return true
		}
	}
}

// end asks the pod's processes to end, kills them after the grace period, and takes the pod away.
func (p *pod) end(ctx context.Context, latest *corev1.Pod) {
	grace := 30 * time.Second
	if s := latest.DeletionGracePeriodSeconds; s != nil {
		grace = time.Duration(*s) * time.Second
	}
	for _, c := range slices.Concat(p.containers, p.inits) {
		c.signal(syscall.SIGTERM)
	}
	deadline := time.After(grace)
	for killed := false; p.alive(); {
		select {
		case <-p.changed:
			// A second deletion may be more impatient, and a kubelet obeys; here the first counts.
		case <-deadline:
			if !killed {
				p.kill()
				killed = true
			}
		case <-ctx.Done():
			return
		}
	}
	for _, c := range p.containers {
		c.mu.Lock()
		if c.program == "" && c.ended == nil {
			c.ended = &corev1.ContainerStateTerminated{Reason: "Completed", FinishedAt: metav1.Now()}
			c.ready = false
		}
		c.mu.Unlock()
	}
	s := p.status()
	if s.Phase == corev1.PodRunning {
		s.Phase = corev1.PodSucceeded // of pods whose containers would be started anew
	}
	p.write(ctx, &s)
	p.kubelet.remove(ctx, latest)
}

func (c *container) signal(s syscall.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cmd == nil {
		return
	}
	if s == syscall.SIGKILL {
		_ = proc.SignalGroup(c.cmd.Process.Pid, s) // and all that it has started; it may have ended
		return
	}
	_ = c.cmd.Process.Signal(s)
}

func (p *pod) alive() bool {
	return slices.ContainsFunc(slices.Concat(p.containers, p.inits), func(c *container) bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.cmd != nil
	})
}

func (p *pod) kill() {
	for _, c := range slices.Concat(p.containers, p.inits) {
		c.signal(syscall.SIGKILL)
	}
}

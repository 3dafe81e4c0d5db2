package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/retry"
)

// A kubelet is scheduler and kubelet of the one node. Every pod is bound to it. Containers whose image is proc/NAME run as processes of
// this machine, without any isolation:
//
//   - environment, envFrom, the Downward API; ConfigMaps, Secrets, projected volumes, emptyDirs, hostPaths and claims as folders.
//     Nothing is mounted: where a mountPath stands in command, arguments or the value of a variable, the folder's name stands instead;
//   - each pod has an address of its own in 127.0.0.0/8, which status.podIP says;
//   - init containers one after the other, readiness probes, restarts with growing pauses, exit statuses, termination messages (their
//     file's name is in NARU_TERMINATION_LOG), logs by the API server (kubectl logs), SIGTERM and SIGKILL after the grace period.
//
// Other containers are said to be running, and ready. Limits, liveness probes, hooks and security contexts have no effect.
type kubelet struct {
	kube   *Kube
	client kubernetes.Interface
	images map[string]string
	api    *http.Server
	cancel context.CancelFunc
	all    sync.WaitGroup

	mu   sync.Mutex // guards pods and last
	pods map[types.UID]*pod
	last int // of the addresses that were given
}

const nodeName = "node-1"

func newKubelet(k *Kube, images map[string]string) (*kubelet, error) {
	client, err := kubernetes.NewForConfig(k.Config())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &kubelet{kube: k, client: client, images: images, cancel: cancel, pods: map[types.UID]*pod{}}
	port, err := l.serve(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	if err := l.register(ctx, port); err != nil {
		cancel()
		return nil, fmt.Errorf("register the node: %w", err)
	}
	// Every second all pods are looked at once more: projected volumes follow their ConfigMaps.
	factory := informers.NewSharedInformerFactory(client, time.Second)
	_, err = factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { l.see(ctx, o.(*corev1.Pod)) },
		UpdateFunc: func(_, o any) { l.see(ctx, o.(*corev1.Pod)) },
		DeleteFunc: func(o any) {
			if gone, ok := o.(cache.DeletedFinalStateUnknown); ok {
				o = gone.Obj
			}
			l.forget(o.(*corev1.Pod))
		},
	})
	if err != nil {
		cancel()
		return nil, err
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	return l, nil
}

func (l *kubelet) register(ctx context.Context, port int) error {
	much := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("1000"), corev1.ResourceMemory: resource.MustParse("1Ti"), corev1.ResourcePods: resource.MustParse("100000"),
	}
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName, Labels: map[string]string{
		corev1.LabelHostname: nodeName, corev1.LabelOSStable: "linux", corev1.LabelTopologyZone: "zone-1",
	}}}
	n, err := l.client.CoreV1().Nodes().Create(ctx, n, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	now := metav1.Now()
	n.Status = corev1.NodeStatus{
		Capacity: much, Allocatable: much,
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "Testbed", LastTransitionTime: now, LastHeartbeatTime: now}},
		Addresses:  []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}, {Type: corev1.NodeHostName, Address: nodeName}},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{
			KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(port)},
		},
	}
	_, err = l.client.CoreV1().Nodes().UpdateStatus(ctx, n, metav1.UpdateOptions{})
	return err
}

// stop kills what runs.
func (l *kubelet) stop() {
	l.cancel()
	_ = l.api.Close()
	l.all.Wait()
}

// see is told of a pod that is there or has changed.
func (l *kubelet) see(ctx context.Context, p *corev1.Pod) {
	l.mu.Lock()
	defer l.mu.Unlock()
	running := l.pods[p.UID]
	if running == nil {
		if ctx.Err() != nil || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			if p.DeletionTimestamp != nil {
				l.all.Go(func() { l.remove(ctx, p) })
			}
			return
		}
		l.last++
		running = &pod{
			kubelet: l, uid: p.UID, namespace: p.Namespace, name: p.Name, ip: fmt.Sprintf("127.%d.%d.%d", 1+l.last>>16, l.last>>8&255, l.last&255),
			dir: filepath.Join(l.kube.Dir, "pods", p.Namespace, p.Name), changed: make(chan struct{}, 1),
		}
		l.pods[p.UID] = running
		running.latest.Store(p)
		l.all.Go(func() { running.run(ctx) })
		return
	}
	running.latest.Store(p)
	select {
	case running.changed <- struct{}{}:
	default:
	}
}

// forget is told of a pod that is gone.
func (l *kubelet) forget(p *corev1.Pod) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if running := l.pods[p.UID]; running != nil {
		delete(l.pods, p.UID)
		running.gone.Store(true)
		select {
		case running.changed <- struct{}{}:
		default:
		}
	}
}

// remove takes away a pod whose processes have ended.
func (l *kubelet) remove(ctx context.Context, p *corev1.Pod) {
	now := int64(0)
	_ = l.client.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{ // it may be gone already
		GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &p.UID},
	})
}

// report writes a pod's status, if it says something else than the one that is there.
func (l *kubelet) report(ctx context.Context, p *pod, status *corev1.PodStatus) error {
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		latest, err := l.client.CoreV1().Pods(p.namespace).Get(ctx, p.name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if latest.UID != p.uid {
			return nil
		}
		s := status.DeepCopy()
		keepTimes(s.Conditions, latest.Status.Conditions)
		for _, c := range latest.Status.Conditions { // of others, the Job controller, say
			if !slices.ContainsFunc(s.Conditions, func(o corev1.PodCondition) bool { return o.Type == c.Type }) {
				s.Conditions = append(s.Conditions, c)
			}
		}
		s.QOSClass = latest.Status.QOSClass
		if reflect.DeepEqual(*s, latest.Status) {
			return nil
		}
		latest.Status = *s
		_, err = l.client.CoreV1().Pods(p.namespace).UpdateStatus(ctx, latest, metav1.UpdateOptions{})
		return err
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// keepTimes keeps when conditions that are the same became so.
func keepTimes(conditions, before []corev1.PodCondition) {
	for i := range conditions {
		for _, b := range before {
			if b.Type == conditions[i].Type && b.Status == conditions[i].Status {
				conditions[i].LastTransitionTime = b.LastTransitionTime
			}
		}
	}
}

// serve answers the API server, which asks for logs.
func (l *kubelet) serve(ctx context.Context) (port int, err error) {
	if err := l.kube.pki.issue("kubelet", serving("kubelet")); err != nil {
		return 0, err
	}
	pair, err := tls.LoadX509KeyPair(l.kube.pki.file("kubelet.crt"), l.kube.pki.file("kubelet.key"))
	if err != nil {
		return 0, err
	}
	var conf net.ListenConfig
	at, err := conf.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", l.logs)
	l.api = &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx },
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
	}
	l.all.Go(func() {
		if err := l.api.ServeTLS(at, "", ""); !errors.Is(err, http.ErrServerClosed) {
			panic("BUG: the kubelet's server: " + err.Error())
		}
	})
	return at.Addr().(*net.TCPAddr).Port, nil
}

// image is the program of an image; "": it is not one that runs.
func (l *kubelet) image(name string) string {
	for _, key := range slices.Sorted(maps.Keys(l.images)) {
		if rest, ok := strings.CutPrefix(name, key); ok && (rest == "" || rest[0] == ':' || rest[0] == '@') {
			return l.images[key]
		}
	}
	return ""
}

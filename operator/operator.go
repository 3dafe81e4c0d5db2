// Package operator reconciles naru's kinds in Kubernetes: a Flow becomes a Deployment or a Job, a Migration a row of Jobs, an Environment
// what its systems have. It is a thin caller of packages flow, logstash and estate, and of the commands that its pods run: what it
// does, `naru run`, `naru logstash`, `naru plan` and `naru apply` do as well.
//
// Children are written by server-side apply as v1alpha1.FieldManager, and have the object as their controller, so that Kubernetes
// removes them with it. Status is written only when it says something else than before; an event only when a condition turns.
package operator

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	crlog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/narudata/naru/operator/v1alpha1"
)

// Options of an operator.
type Options struct {
	Namespaces []string // that it works on; none: all
	Image      string   // of pods whose object names none
	// LeaderElection lets one of several operators work; the others wait.
	LeaderElection  bool
	LeaderNamespace string // of the lease; needed out of a cluster
	HealthAddress   string // of /healthz and /readyz; "": none
	MetricsAddress  string // of /metrics; "": none
	MetricsToken    string // that who asks for metrics must show; "": everybody who reaches the address
	Log             *slog.Logger

	// Interval is how often pods are asked how far they are; 0: 30 s, and of Migrations 5 s, which is the longest for these.
	Interval time.Duration
	// Keep is how long the configuration of a revision is kept at least; 0: 10 min.
	Keep time.Duration
	// BridgeNamespaces are those whose Secrets an Environment of another namespace may name as its bridge.
	BridgeNamespaces []string

	// For tests, which do not want to wait.
	lease, renew, retry time.Duration
}

// LeaseName is the lease of the operator that works.
const LeaseName = "naru-operator.naru.dev"

// Scheme knows the kinds that the operator reads and writes.
func Scheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	return s, errors.Join(scheme.AddToScheme(s), v1alpha1.AddToScheme(s))
}

// Run works until ctx ends, then gives the lease back. It ends with an error when the lease is lost, or a kind is not there.
func Run(ctx context.Context, c *rest.Config, o Options) error {
	m, err := newManager(c, &o)
	if err != nil {
		return err
	}
	return m.Start(ctx)
}

func newManager(c *rest.Config, o *Options) (manager.Manager, error) {
	s, err := Scheme()
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c = rest.CopyConfig(c)
	c.UserAgent = "naru-operator"
	if c.QPS == 0 {
		c.QPS, c.Burst = 50, 100 // the API server's own fairness decides beyond that
	}
	quiet(o.Log)
	ours := labels.SelectorFromSet(labels.Set{managedByLabel: managedBy})
	mo := manager.Options{
		Scheme: s, Logger: logr.FromSlogHandler(o.Log.Handler()),
		Metrics:                       metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress:        cmp.Or(o.HealthAddress, "0"),
		LeaderElection:                o.LeaderElection,
		LeaderElectionID:              LeaseName,
		LeaderElectionNamespace:       o.LeaderNamespace,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       new(30 * time.Second),
		Controller:                    config.Controller{RecoverPanic: new(true), UsePriorityQueue: new(true), SkipNameValidation: new(true)},
		Cache: cache.Options{
			DefaultTransform: cache.TransformStripManagedFields(),
			ByObject: map[client.Object]cache.ByObject{
				// Of these there are many that are not naru's.
				&corev1.Pod{}: {Label: ours}, &batchv1.Job{}: {Label: ours}, &policyv1.PodDisruptionBudget{}: {Label: ours},
				&appsv1.Deployment{}: {Label: ours, Transform: func(o any) (any, error) { return o, nil }}, // managed fields say who scales it
				metadataOnly(appsv1.SchemeGroupVersion.WithKind("ReplicaSet")): {Label: ours},
			},
		},
	}
	if o.lease > 0 {
		mo.LeaseDuration, mo.RenewDeadline, mo.RetryPeriod = &o.lease, &o.renew, &o.retry
	}
	if len(o.Namespaces) > 0 {
		mo.Cache.DefaultNamespaces = map[string]cache.Config{}
		for _, n := range o.Namespaces {
			mo.Cache.DefaultNamespaces[n] = cache.Config{}
		}
	}
	m, err := manager.New(c, mo)
	if err != nil {
		return nil, fmt.Errorf("start the operator: %w", err)
	}
	for _, kind := range []string{"Flow", "Migration", "Environment"} {
		_, err := m.GetRESTMapper().RESTMapping(v1alpha1.GroupVersion.WithKind(kind).GroupKind(), v1alpha1.GroupVersion.Version)
		if meta.IsNoMatchError(err) {
			return nil, fmt.Errorf("the cluster has no kind %s of %s: install the chart naru-crds, or apply its templates, first", kind, v1alpha1.GroupVersion)
		} else if err != nil {
			return nil, fmt.Errorf("ask the API server for its kinds: %w", err)
		}
	}
	if o.HealthAddress != "" {
		if err := errors.Join(m.AddHealthzCheck("ping", healthz.Ping), m.AddReadyzCheck("caches", cached(m))); err != nil {
			return nil, err
		}
	}
	if o.MetricsAddress != "" {
		if err := m.Add(&metricsServer{address: o.MetricsAddress, token: o.MetricsToken, log: o.Log}); err != nil {
			return nil, err
		}
	}
	for _, setup := range controllers {
		if err := setup(m, o); err != nil {
			return nil, fmt.Errorf("start the operator: %w", err)
		}
	}
	return m, nil
}

// controllers are what the operator does.
var controllers = []func(manager.Manager, *Options) error{setupFlows, setupMigrations, setupEnvironments}

func metadataOnly(kind schema.GroupVersionKind) *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(kind)
	return o
}

// cached says whether the operator has seen what there is. One that stands by has, too.
func cached(m manager.Manager) healthz.Checker {
	return func(r *http.Request) error {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		if !m.GetCache().WaitForCacheSync(ctx) {
			return errors.New("what there is in the cluster is not known yet")
		}
		return nil
	}
}

var once sync.Once

// quiet makes libraries that only have a global logger use this one, the first that comes.
func quiet(l *slog.Logger) {
	once.Do(func() {
		crlog.SetLogger(logr.FromSlogHandler(l.Handler()))
		klog.SetSlogLogger(l)
	})
}

// A metricsServer answers /metrics. Operators that stand by answer, too.
type metricsServer struct {
	address, token string
	log            *slog.Logger
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (*metricsServer) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable.
func (s *metricsServer) Start(ctx context.Context) error {
	var conf net.ListenConfig
	l, err := conf.Listen(ctx, "tcp", s.address)
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	if host, _, err := net.SplitHostPort(l.Addr().String()); err == nil && s.token == "" && !net.ParseIP(host).IsLoopback() {
		s.log.Info("metrics are shown to everybody who reaches them; a token would be in NARU_METRICS_TOKEN", "address", l.Addr().String())
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", s.guard(promhttp.HandlerFor(metrics.Registry, promhttp.HandlerOpts{})))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, MaxHeaderBytes: 64 << 10}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	select {
	case err := <-done:
		return fmt.Errorf("metrics: %w", err)
	case <-ctx.Done():
		err := server.Close()
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}
}

func (s *metricsServer) guard(next http.Handler) http.Handler {
	if s.token == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || subtle.ConstantTimeCompare([]byte(given), []byte(s.token)) != 1 {
			http.Error(w, "show the token: Authorization: Bearer …", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

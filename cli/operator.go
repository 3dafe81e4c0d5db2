//go:build !nokube

package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/narudata/naru/operator"
)

// operatorFlags are the flags of `naru operator`.
type operatorFlags struct {
	operator.Options
	kubeconfig, context string
}

func newOperatorCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "operator",
		short: "run flows, migrations and environments that Kubernetes has",
		long: `Works on the kinds Flow, Migration and Environment of the API group naru.dev: runs
pipelines as Deployments, flows that end as Jobs, and brings clusters to what
Environments declare. In a pod it asks the API server as the pod's service account;
elsewhere --kubeconfig, KUBECONFIG or ~/.kube/config says which cluster, and as whom.
With --leader-elect one of several works, and another takes over when it ends.
Deployed by the chart deploy/charts/naru; docs/operator.md says what it does.`,
		examples: []example{
			{"naru operator --namespace flows-prod --image ghcr.io/narudata/naru", "work on one namespace, as who kubectl is"},
			{"naru operator --leader-elect --health-address :8081", "in a pod"},
		},
		exits: []exit{
			{exitOK, "SIGTERM or Ctrl-C ended it, and the lease is given back"},
			{exitFailed, "there is no cluster, the kinds are not installed, or the lease is lost"},
		},
	})
	cmd.Args = exactArgs()
	f := &operatorFlags{}
	flags := cmd.Flags()
	flags.StringSliceVarP(&f.Namespaces, "namespace", "n", nil, "work on the `NAMESPACE` only; repeatable; the default is all")
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "the `FILE` that says which cluster, and as whom")
	flags.StringVar(&f.context, "context", "", "the `NAME` of the kubeconfig's context")
	flags.StringVar(&f.Image, "image", "", "the `IMAGE` of pods whose object names none; the default is in NARU_IMAGE")
	flags.BoolVar(&f.LeaderElection, "leader-elect", false, "work only while the lease "+operator.LeaseName+" is held")
	flags.StringVar(&f.LeaderNamespace, "leader-elect-namespace", "", "the `NAMESPACE` of the lease; the default is the pod's own")
	flags.StringVar(&f.HealthAddress, "health-address", "", "answer /healthz and /readyz at `ADDRESS`; the default is nowhere")
	flags.StringVar(&f.MetricsAddress, "metrics-address", "", "answer /metrics at `ADDRESS`; with NARU_METRICS_TOKEN only to who shows that token; the default is nowhere")
	flags.DurationVar(&f.Interval, "interval", 0, "ask pods how far they are every `DURATION`; the default is 30s")
	flags.StringSliceVar(&f.BridgeNamespaces, "bridge-namespace", nil, "let Environments name a bridge's Secret in `NAMESPACE`, too; repeatable")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.operate(cmd.Context(), f, cmd.Flags().Changed("log-level"))
	}
	return cmd
}

// accountNamespace is the file in which a pod finds its namespace.
const accountNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// operate runs the operator until it is interrupted.
func (c *common) operate(ctx context.Context, f *operatorFlags, leveled bool) error {
	if f.Image == "" {
		f.Image = c.Getenv("NARU_IMAGE")
	}
	if f.Image == "" {
		return errors.New("which image pods run is not known: give --image, or NARU_IMAGE in the environment")
	}
	for _, address := range []string{f.HealthAddress, f.MetricsAddress} {
		if _, _, err := net.SplitHostPort(address); address != "" && err != nil {
			return fmt.Errorf("%q is no address: want one like 127.0.0.1:8081, or :8081 for all", address)
		}
	}
	if f.Interval < 0 {
		return fmt.Errorf("--interval must not be negative, and is %v", f.Interval)
	}
	if f.LeaderElection && f.LeaderNamespace == "" {
		f.LeaderNamespace = c.Getenv("POD_NAMESPACE")
	}
	f.MetricsToken = strings.TrimSpace(c.Getenv("NARU_METRICS_TOKEN"))
	if !leveled {
		c.logLevel = slog.LevelInfo // whoever runs a service reads its log
	}
	f.Log = c.log()
	config, err := f.config(c)
	if err != nil {
		return err
	}
	signals, stop := c.Interrupts()
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if f.LeaderElection && f.LeaderNamespace == "" {
		if _, err := os.Stat(accountNamespace); err != nil {
			return errors.New("--leader-elect: outside of a cluster the lease needs a namespace: give --leader-elect-namespace")
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- operator.Run(ctx, config, f.Options) }()
	select {
	case err := <-ended:
		return err
	case s := <-signals:
		fmt.Fprintf(c.Stderr, "%v: giving the lease back (once more: stop at once)\n", s)
		stop() // a second signal ends the process
		cancel()
		return <-ended
	}
}

// config says how to reach the API server: as a pod, or as kubectl does.
func (f *operatorFlags) config(c *common) (*rest.Config, error) {
	if f.kubeconfig == "" && f.context == "" && c.Getenv("KUBECONFIG") == "" {
		config, err := rest.InClusterConfig()
		if !errors.Is(err, rest.ErrNotInCluster) {
			return config, err
		}
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.kubeconfig
	if env := c.Getenv("KUBECONFIG"); f.kubeconfig == "" && env != "" {
		rules.Precedence = strings.Split(env, string(os.PathListSeparator))
	}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: f.context}).ClientConfig()
	if err != nil {
		if f.kubeconfig != "" {
			return nil, fmt.Errorf("--kubeconfig: %w", err)
		}
		return nil, fmt.Errorf("there is no cluster to work on: %w; give --kubeconfig", err)
	}
	return config, nil
}

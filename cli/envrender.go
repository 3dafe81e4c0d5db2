package cli

import (
	"fmt"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/narudata/naru/estate"
)

func newEnvRenderCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "render",
		short: "print an environment as manifests for the operator",
		long: `Prints an Environment with all that is declared in it, overlays and variables applied,
and a Flow for each flow and pipeline, as YAML for Kubernetes. The same directory gives
the same text, so that CI can commit it. No cluster is asked. Passwords and certificates
stay out: the flags name the Secrets that have them.`,
		examples: []example{
			{"naru env render -f estate -e prod > manifests/prod.yaml", "what Argo CD is to apply"},
			{"naru env render -f estate -e prod --search-secret opensearch-naru --ca-secret opensearch-ca", "with credentials and an authority"},
		},
		exits: []exit{{exitOK, "printed"}, {exitFailed, "the directory has mistakes, or has what a manifest cannot hold"}},
	})
	cmd.Args = exactArgs()
	var f estateFlags
	f.add(cmd)
	output := &choice{value: "kubernetes", of: []string{"kubernetes"}}
	cmd.Flags().VarP(output, "output", "o", "print it as `FORMAT` kubernetes")
	complete(cmd, "output", output.of...)
	var o estate.ManifestOptions
	flags := cmd.Flags()
	flags.StringVar(&o.Name, "name", "", "call the Environment `NAME`; without it as the environment")
	flags.StringVarP(&o.Namespace, "namespace", "n", "", "put them into `NAMESPACE`; without it where they are applied")
	flags.StringVar(&o.SearchSecret, "search-secret", "", "the Secret `NAME` has username and password for the cluster")
	flags.StringVar(&o.KafkaSecret, "kafka-secret", "", "the Secret `NAME` has username and password, or token, for the brokers")
	flags.StringVar(&o.DashboardsSecret, "dashboards-secret", "", "the Secret `NAME` has username and password for Dashboards; without it those of the cluster")
	flags.StringVar(&o.CASecret, "ca-secret", "", "the Secret `NAME` has the authorities, as ca.crt")
	flags.StringVar(&o.CertSecret, "cert-secret", "", "the Secret `NAME` has naru's own certificate, as tls.crt and tls.key")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		d, err := f.read(cmd.Context(), c)
		if err != nil {
			return err
		}
		all, err := d.Manifests(o)
		if err != nil {
			return err
		}
		for _, note := range d.Notes {
			fmt.Fprintf(c.Stderr, "note: %s\n", printable(note))
		}
		for i, m := range all {
			text, err := yaml.Marshal(m)
			if err != nil {
				return err
			}
			if i > 0 {
				text = append([]byte("---\n"), text...)
			}
			if _, err := c.Stdout.Write(text); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

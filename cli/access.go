package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/connect"
	"github.com/narudata/naru/connect/opensearch"
)

// accessFlags say how a cluster is known, and who asks. Passwords come from the environment.
type accessFlags struct {
	tls  opensearch.TLS
	auth opensearch.Auth
}

func (f *accessFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.tls.CAFile, "ca-file", "", "trust the authorities in `FILE` (PEM) to vouch for a cluster")
	flags.StringVar(&f.tls.CertFile, "cert-file", "", "show a cluster the certificate in `FILE` (PEM)")
	flags.StringVar(&f.tls.KeyFile, "key-file", "", "with the key in `FILE` (PEM)")
	flags.BoolVar(&f.tls.Insecure, "insecure", false, "do not check a cluster's certificate")
	flags.StringVar(&f.auth.SigV4, "sigv4", "", "sign requests to a cluster for the AWS `SERVICE` es or aoss")
}

// to is the access to the cluster at addresses that are separated by commas.
func (f *accessFlags) to(addresses string) connect.Access {
	return connect.Access{URLs: strings.Split(addresses, ","), Auth: f.auth, TLS: f.tls}
}

// accessOf is the access as flags, each after a space.
func accessOf(a *connect.Access) string {
	line := ""
	for _, f := range []struct{ name, value string }{
		{"--ca-file", a.TLS.CAFile}, {"--cert-file", a.TLS.CertFile}, {"--key-file", a.TLS.KeyFile}, {"--sigv4", a.Auth.SigV4},
	} {
		if f.value != "" {
			line += " " + f.name + " " + quote(f.value)
		}
	}
	if a.TLS.Insecure {
		line += " --insecure"
	}
	return line
}

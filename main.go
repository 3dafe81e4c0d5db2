// Command naru takes over an ELK estate: `naru help` says how.
package main

import (
	"context"
	"fmt"
	"os"
	_ "time/tzdata" // time zones where the host has none

	"github.com/narudata/naru/cli"
	"github.com/narudata/naru/operator/argo"
)

func main() {
	// The controller of Argo Rollouts starts a plugin without arguments, and says by the environment which kind of one it wants.
	if kind := os.Getenv(argo.Variable); kind != "" && len(os.Args) == 1 {
		if err := argo.Serve(kind, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(cli.Main(context.Background(), cli.Process(), os.Args[1:]))
}

//go:build !nokube

package main

import (
	"io"
	"os"

	"github.com/narudata/naru/operator/argo"
)

// plugin serves the controller of Argo Rollouts, if that started this process: without arguments, saying by the environment
// which kind of plugin it wants. It reports whether it did.
func plugin(stderr io.Writer) (was bool, err error) {
	kind := os.Getenv(argo.Variable)
	if kind == "" || len(os.Args) > 1 {
		return false, nil
	}
	return true, argo.Serve(kind, stderr)
}

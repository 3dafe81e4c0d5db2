//go:build nokube

package main

import "io"

// plugin reports that this process is none of Argo Rollouts' plugins.
func plugin(io.Writer) (was bool, err error) { return false, nil }

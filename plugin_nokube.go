//go:build nokube

package main

// plugin reports that this process is none of Argo Rollouts' plugins.
func plugin() (was bool, err error) { return false, nil }

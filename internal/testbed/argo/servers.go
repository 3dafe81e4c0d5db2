//go:build servers_argo

// Package argo names what Argo CD, Argo Rollouts, Helm and kustomize are built from, for tests: build.sh builds them.
package argo

import (
	_ "github.com/argoproj/argo-cd/v3/cmd"
	_ "github.com/argoproj/argo-rollouts/cmd/rollouts-controller"
	_ "helm.sh/helm/v3/cmd/helm"
	_ "sigs.k8s.io/kustomize/kustomize/v5"
)

//go:build servers_kube

// Package kube names what a Kubernetes API server is built from, for tests: build.sh builds it.
package kube

import (
	_ "go.etcd.io/etcd/server/v3"
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
)

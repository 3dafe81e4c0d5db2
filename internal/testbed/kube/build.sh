#!/usr/bin/env bash
# build.sh: builds etcd, kube-apiserver and kube-controller-manager of the versions in go.mod, static and without symbols, into
# $NARU_CACHE/kube/SUM, once; prints that folder. It takes some 15 minutes of CPU time and 3 GB of memory the first time.
# CHECK=1 only says whether it can: with what is there already, or with a Go that can build it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here"
cache=${NARU_CACHE:-$here/../../../.cache}
sum=$(cat go.mod go.sum build.sh | sha256sum | cut -c1-12)
dir=$cache/kube/$sum

if [ -x "$dir/etcd" ] && [ -x "$dir/kube-controller-manager" ] && [ -x "$dir/kube-apiserver" ]; then
	echo "$dir"
	exit 0
fi
if ! command -v go >/dev/null; then
	echo "no go in the PATH: it builds the API server" >&2
	exit 1
fi
if [ "${CHECK:-}" = 1 ]; then
	exit 0
fi

mkdir -p "$dir"
exec 9>"$cache/kube/lock"
flock 9

version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
minor=$(echo "$version" | cut -d. -f2)
stamp=k8s.io/component-base/version
flags="-s -w -X $stamp.gitVersion=$version -X $stamp.gitMajor=1 -X $stamp.gitMinor=$minor -X $stamp.gitTreeState=clean -X $stamp.buildDate=1970-01-01T00:00:00Z"

build() { # name package
	[ -x "$dir/$1" ] && return
	CGO_ENABLED=0 nice -n 5 go build -trimpath -ldflags "$flags" -o "$dir/$1.new" "$2" >&2
	mv "$dir/$1.new" "$dir/$1"
}
build etcd go.etcd.io/etcd/server/v3
build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
build kube-controller-manager k8s.io/kubernetes/cmd/kube-controller-manager
echo "$dir"

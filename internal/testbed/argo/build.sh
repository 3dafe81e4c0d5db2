#!/usr/bin/env bash
# build.sh [NAME...]: builds helm, kustomize, a redis in memory, Argo Rollouts' controller and argocd (all of Argo CD's servers are
# that one program), or only those that are named, of the versions in go.mod, static and without symbols, into $NARU_CACHE/argo/SUM,
# once; prints that folder. Beside them are the CRDs of both and Argo CD's usual configuration, as their modules have them. helm and kustomize take a minute or two of
# CPU time, all some 15 minutes and 4 GB of memory, the first time.
# CHECK=1 only says whether it can: with what is there already, or with a Go that can build it. CHECK=built: whether all is there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here"
cache=${NARU_CACHE:-$here/../../../.cache}
sum=$(cat go.mod go.sum build.sh redis/*.go | sha256sum | cut -c1-12)
dir=$cache/argo/$sum

declare -A package=(
	[helm]=helm.sh/helm/v3/cmd/helm
	[kustomize]=sigs.k8s.io/kustomize/kustomize/v5
	[redis]=./redis
	[rollouts-controller]=github.com/argoproj/argo-rollouts/cmd/rollouts-controller
	[argocd]=github.com/argoproj/argo-cd/v3/cmd
)
names=("$@")
if [ $# = 0 ]; then
	names=(helm kustomize redis rollouts-controller argocd)
fi

missing=()
for name in "${names[@]}"; do
	if [ -z "${package[$name]:-}" ]; then
		echo "build.sh: no program $name: there are ${!package[*]}" >&2
		exit 2
	fi
	[ -x "$dir/$name" ] || missing+=("$name")
done
if [ ${#missing[@]} = 0 ]; then
	echo "$dir"
	exit 0
fi
if [ "${CHECK:-}" = built ]; then
	echo "not built yet: ${missing[*]} (internal/testbed/argo/build.sh builds them)" >&2
	exit 1
fi
if ! command -v go >/dev/null; then
	echo "no go in the PATH: it builds ${missing[*]}" >&2
	exit 1
fi
if [ "${CHECK:-}" = 1 ]; then
	exit 0
fi

mkdir -p "$dir"
exec 9>"$cache/argo/lock"
flock 9

# manifests FOLDER MODULE FILE...: copies what the API server must have before the program starts
manifests() {
	local to=$dir/manifests/$1 from
	from=$(go list -m -f '{{.Dir}}' "$2")
	shift 2
	rm -rf "$to" "$to.new"
	mkdir -p "$to.new"
	(cd "$from/manifests" && install -m 644 "$@" "$to.new")
	mv "$to.new" "$to"
}

for name in "${missing[@]}"; do
	[ -x "$dir/$name" ] && continue
	flags="-s -w"
	case $name in
	argocd)
		version=$(go list -m -f '{{.Version}}' github.com/argoproj/argo-cd/v3)
		flags="$flags -X github.com/argoproj/argo-cd/v3/common.version=${version#v}"
		go mod download github.com/argoproj/argo-cd/v3 >&2
		manifests argo-cd github.com/argoproj/argo-cd/v3 crds/{application,applicationset,appproject}-crd.yaml base/config/argocd-{cm,rbac-cm,ssh-known-hosts-cm,tls-certs-cm,gpg-keys-cm}.yaml
		;;
	rollouts-controller)
		go mod download github.com/argoproj/argo-rollouts >&2
		manifests argo-rollouts github.com/argoproj/argo-rollouts crds/{rollout,experiment,analysis-run,analysis-template,cluster-analysis-template}-crd.yaml
		;;
	helm)
		version=$(go list -m -f '{{.Version}}' helm.sh/helm/v3)
		minor=$(go list -m -f '{{.Version}}' k8s.io/client-go | cut -d. -f2)
		flags="$flags -X helm.sh/helm/v3/internal/version.version=$version"
		for where in pkg/lint/rules pkg/chartutil; do # the Kubernetes that it renders for, if nothing else is said
			flags="$flags -X helm.sh/helm/v3/$where.k8sVersionMajor=1 -X helm.sh/helm/v3/$where.k8sVersionMinor=$minor"
		done
		;;
	esac
	CGO_ENABLED=0 nice -n 15 go build -trimpath -buildvcs=false -ldflags "$flags" -o "$dir/$name.new" "${package[$name]}" >&2
	mv "$dir/$name.new" "$dir/$name"
done
echo "$dir"

#!/usr/bin/env bash
# build.sh [FOLDER]: makes all that a release has in FOLDER (dist, if none is named), of the commit that is checked out:
#   naru-VERSION-OS-ARCH         programs, static and without symbols, that say their version by themselves
#   naru-VERSION-OS-ARCH.cdx.json  what is in each (CycloneDX), as the program itself says (go version -m)
#   naru-VERSION.tgz, naru-crds-VERSION.tgz  the charts
#   install.yaml                 operator and CRDs without Helm
#   SHA256SUMS                   of all of these
# The version is that of the tag vVERSION on the commit. SNAPSHOT=1 takes any commit, changed files, too, as 0.0.0-COMMIT.
# It publishes nothing. docs/releasing.md says what comes then: the image (ko), charts, signatures (cosign).
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:-dist}
platforms=${PLATFORMS:-linux/amd64 linux/arm64 darwin/amd64 darwin/arm64}
tool() { go tool -modfile=tools/release/go.mod "$@"; }

if tag=$(git describe --tags --exact-match --match 'v*' 2>/dev/null) && [ -z "$(git status --porcelain)" ]; then
	version=${tag#v}
elif [ "${SNAPSHOT:-}" = 1 ]; then
	version=0.0.0-$(git rev-parse --short=12 HEAD)
else
	echo "build.sh: this is not a commit with a tag v…, or files are changed: check out the tag, or say SNAPSHOT=1" >&2
	exit 1
fi
chart=$(sed -n 's/^appVersion: *//p' deploy/charts/naru/Chart.yaml)
if [ "${SNAPSHOT:-}" != 1 ] && [ "$chart" != "$version" ]; then
	echo "build.sh: the tag says $version, deploy/charts say $chart: change version and appVersion in both Chart.yaml" >&2
	exit 1
fi
if [ -e "$out" ] && [ -n "$(ls -A "$out")" ]; then
	echo "build.sh: $out is not empty: what is there would be taken for a part of this release" >&2
	exit 1
fi
mkdir -p "$out"
out=$(cd "$out" && pwd)
programs=$(internal/testbed/argo/build.sh helm kustomize)

for platform in $platforms; do
	name=naru-$version-${platform%/*}-${platform#*/}
	GOOS=${platform%/*} GOARCH=${platform#*/} CGO_ENABLED=0 go build -buildvcs=true -trimpath -ldflags "-s -w" -o "$out/$name" .
	tool cyclonedx-gomod bin -json -licenses -output "$out/$name.cdx.json" -version "v$version" "$out/$name" 2>&1 | grep -v ' INF ' >&2 || true
	[ -s "$out/$name.cdx.json" ]
	echo "$name"
done
for c in naru-crds naru; do
	"$programs/helm" lint --strict --quiet "deploy/charts/$c"
	"$programs/helm" package "deploy/charts/$c" --version "$version" --app-version "$version" --destination "$out"
done
"$programs/kustomize" build deploy/kustomize | sed "s#ghcr.io/narudata/naru:$chart\\b#ghcr.io/narudata/naru:$version#; s#app.kubernetes.io/version: $chart\$#app.kubernetes.io/version: $version#" >"$out/install.yaml"
grep -q "image: ghcr.io/narudata/naru:$version\$" "$out/install.yaml"
(cd "$out" && sha256sum -- * >SHA256SUMS.new && mv SHA256SUMS.new SHA256SUMS)
echo "$out"

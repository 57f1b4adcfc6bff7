#!/usr/bin/env bash
# Builds the image of deploy/Dockerfile with buildah and runs it, where no
# registry can be reached: this machine's own Go stands in for the builder
# image. Needs root and buildah.
set -euo pipefail
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
buildah=(buildah --root "$tmp/root" --runroot "$tmp/run" --storage-driver vfs)
trap 'rm -rf "$tmp"' EXIT

builder=$("${buildah[@]}" from scratch)
"${buildah[@]}" config --env "PATH=$(go env GOROOT)/bin:/usr/bin:/bin" --env HOME="$HOME" --env GOFLAGS="$(go env GOFLAGS)" --env GOPROXY="$(go env GOPROXY)" "$builder"
"${buildah[@]}" commit -q "$builder" builder >/dev/null
mkdir "$tmp/tmp"
mounts=()
for dir in /usr /bin /lib /lib64 /etc; do [ ! -e "$dir" ] || mounts+=(-v "$dir:$dir:ro"); done
"${buildah[@]}" bud --build-arg BUILDER=localhost/builder --build-arg VERSION=v0.0.0-image --build-arg REVISION=tested "${mounts[@]}" -v "$HOME:$HOME" -v "$tmp/tmp:/tmp" -f deploy/Dockerfile -t shenscan .
"${buildah[@]}" inspect --type image localhost/shenscan | grep -q '"User": "65532:65532"'

container=$("${buildah[@]}" from localhost/shenscan)
# Nothing to run but the binary, and no shell.
root=$("${buildah[@]}" mount "$container")
[ -z "$(find "$root" -path "$root/usr/share/zoneinfo" -prune -o -type f -perm /111 ! -name shenscan -print)" ]
[ ! -e "$root/bin" ]
run() { "${buildah[@]}" run "$container" -- /shenscan "$@"; }
run version | grep -q '^shenscan v0.0.0-image tested$'
"${buildah[@]}" inspect --type image localhost/shenscan | grep -q '"org.opencontainers.image.version": "v0.0.0-image"'
run classify 'CentOS 5.8' | grep -q '"legacy":true'
run demo --instances 500 --regions 3 --html '' >"$tmp/report"
grep -q 500 "$tmp/report"
echo "the image runs, as an ordinary user and without a shell"

#!/bin/sh
# The first minutes with shenscan, as the README has them, timed: from the clone
# to the first report, the first command on an account of one's own, which lacks
# keys, and the first plan. It works in a folder of its own and removes it.
# Usage: benchmarks/newcomer.sh [REPOSITORY]
set -eu
repository=${1:-$(git rev-parse --show-toplevel)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
HOME_BEFORE=$HOME
export HOME="$work/home" GOFLAGS="${GOFLAGS:--trimpath}"
export GOPATH="${GOPATH:-$HOME_BEFORE/go}" GOCACHE="${GOCACHE:-$HOME_BEFORE/.cache/go-build}"
unset ALIBABA_CLOUD_ACCESS_KEY_ID ALIBABA_CLOUD_ACCESS_KEY_SECRET ALIBABA_CLOUD_PROFILE 2>/dev/null || true
mkdir -p "$HOME"
start=$(date +%s.%N)

# since MOMENT: seconds from then on.
since() { awk -v a="$1" -v b="$(date +%s.%N)" 'BEGIN { print b - a }'; }

# step NAME EXPECTED COMMAND...: runs it, expects its exit code, says how long all took so far.
step() {
	name=$1 expected=$2
	shift 2
	began=$(date +%s.%N) code=0
	"$@" >"$work/out" 2>"$work/err" || code=$?
	printf '%-34s %7.1f s, %7.1f s in all, exit code %s\n' "$name" "$(since "$began")" "$(since "$start")" "$code"
	if [ "$code" != "$expected" ]; then
		echo "expected exit code $expected; it said:" >&2
		tail -20 "$work/err" >&2
		exit 1
	fi
}

step "clone" 0 git clone -q "$repository" "$work/shenscan"
cd "$work/shenscan"
step "first report (go run, demo)" 0 go run ./cmd/shenscan demo --no-progress --store "$work/demo-store" --html "$work/demo.html"
head -6 "$work/out" | sed 's/^/    /'
step "a binary (make build)" 0 make -s build
PATH="$work/shenscan/bin:$PATH"
step "first plan" 0 shenscan plan --store "$work/demo-store" --target shenlong-6 --out "$work/plan.html"
step "how far it is" 0 shenscan plan --store "$work/demo-store" --progress
head -3 "$work/out" | sed 's/^/    /'
step "own account, without keys" 1 shenscan scan --region cn-hangzhou --store "$work/own"
sed 's/^/    /' "$work/err"
if [ "$(wc -l <"$work/err")" != 1 ] || ! grep -q '^shenscan: no Alibaba Cloud credentials were found: ' "$work/err"; then
	echo "what lacks keys does not say so in one line, the cause first" >&2
	exit 1
fi

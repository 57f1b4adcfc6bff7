# Starts what a block of the guide counts on and runs the block, in namespaces
# of its own: loopback alone, and every process ends with this script.
# It is told what to start and the file of the block, and writes what failed
# into $SANDBOX_OUT.
set -euo pipefail
with=$1 block=$2

until_ok() { # until_ok COMMAND...: asks again for a minute
  for _ in $(seq 600); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done
  echo "sandbox: never succeeded: $*" >&2
  return 1
}

cloud() {
  export ALIBABA_CLOUD_ACCESS_KEY_ID=LTAISIMULATORDEMO ALIBABA_CLOUD_ACCESS_KEY_SECRET=shenscan-simulator-demo-secret
  shenscan-program simulate --instances 300 --regions 3 >sandbox.cloud.log 2>&1 &
  until_ok curl -sf 127.0.0.1:10471/_sim/fleet
  export SHENSCAN_ENDPOINT=http://127.0.0.1:10471
}

server() { # server CONFIGURATION
  nats-server -c "$1" >sandbox.nats.log 2>&1 &
  until_ok curl -sf '127.0.0.1:8222/healthz'
}

role() { # role NAME PORT ARGUMENTS...
  local name=$1 port=$2
  shift 2
  shenscan-program "$name" --config deploy/shenscan.yaml --nats-url nats://127.0.0.1:4222 --nats-nkey "deploy/nats/keys/$name.nk" \
    --listen "127.0.0.1:$port" "$@" >"sandbox.$name.log" 2>&1 &
  until_ok curl -sf "127.0.0.1:$port/readyz"
}

case $with in
  cloud) cloud ;;
  store)
    cloud
    shenscan-program scan --store /var/lib/shenscan >/dev/null
    export SHENSCAN_STORE=/var/lib/shenscan
    grep -q 'store backup' "$block" || shenscan-program store backup shenscan-backup.db >/dev/null
    ;;
  server)
    cloud
    printf 'listen: "127.0.0.1:4222"\nhttp: "127.0.0.1:8222"\njetstream { store_dir: "%s", max_file_store: 20GB }\n' "$PWD/sandbox.nats" >sandbox.nats.conf
    server sandbox.nats.conf
    ;;
  deployment)
    cloud
    cp -R "$SANDBOX_KEYS" deploy/nats/keys
    sed "s#\"/data\"#\"$PWD/sandbox.nats\"#" deploy/nats/nats-server.conf >deploy/nats/sandbox.conf
    server deploy/nats/sandbox.conf
    role producer 10473
    role sink 10470 --store /var/lib/shenscan
    role worker 10472
    shenscan-program rescan --all --nats-url nats://127.0.0.1:4222 --nats-nkey deploy/nats/keys/operator.nk >/dev/null
    # Who asks is the operator, as docs/OPERATIONS.md says.
    export NATS_NKEY=$PWD/deploy/nats/keys/operator.nk SHENSCAN_NATS_NKEY=$PWD/deploy/nats/keys/operator.nk
    ;;
esac

# A command that goes on until it is stopped is one of those that a reader gives
# a terminal of its own: the next command finds it running.
shenscan() {
  case "$1 $*" in
    serve*|producer*|worker*|sink*|simulate*|*" --serve "*|*" --serve")
      SHENSCAN_LOG_LEVEL=info shenscan-program "$@" &
      local process=$! port=
      echo "$process shenscan $*" >>"$SANDBOX_OUT/going"
      case $1 in serve|sink|demo) port=10470 ;; simulate) port=10471 ;; esac
      local listens='--listen [^ ]*:([0-9]+)'
      [[ "$*" =~ $listens ]] && port=${BASH_REMATCH[1]}
      if [ -n "$port" ]; then
        until_ok bash -c "</dev/tcp/127.0.0.1/$port"
        case $1 in serve|sink) until_ok curl -sf "127.0.0.1:$port/readyz" ;; esac
      else
        # It has no port to ask: it counts as started when it has not ended after two seconds.
        for _ in $(seq 20); do kill -0 "$process" 2>/dev/null && sleep 0.1; done
      fi
      ;;
    *) shenscan-program "$@" ;;
  esac
}

# So does a subscription.
nats() {
  case " $* " in
    *" sub "*)
      command nats "$@" &
      echo "$! nats $*" >>"$SANDBOX_OUT/going"
      ;;
    *) command nats "$@" ;;
  esac
}

# An answer that says no is a failure, whatever the page asks of curl.
curl() { command curl --fail "$@"; }

# Every command that fails is told, with its status; so is one that should go on
# and does not.
set +eu
trap 'printf "%s %s\n" "$?" "$(sed -n "${LINENO}p" "$block")" >>"$SANDBOX_OUT/failed"' ERR
# shellcheck source=/dev/null
source "$block"
trap - ERR
if [ -e "$SANDBOX_OUT/going" ]; then
  while read -r process command; do
    kill -0 "$process" 2>/dev/null || echo "ended $command" >>"$SANDBOX_OUT/failed"
  done <"$SANDBOX_OUT/going"
fi
for log in sandbox.*.log; do
  [ ! -e "$log" ] || { printf -- '--- %s\n' "$log"; tail -n 20 "$log"; } >>"$SANDBOX_OUT/logs"
done

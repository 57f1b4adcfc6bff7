#!/usr/bin/env bash
# Makes an nkey for each of shenscan's NATS users: FOLDER/producer.nk, worker.nk,
# sink.nk, viewer.nk, operator.nk, admin.nk and system.nk are secrets, keys.conf holds
# the public halves for nats-server.conf. What is there already is kept.
#
#   deploy/nats/keys.sh [FOLDER]
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=${1:-$root/deploy/nats/keys}
umask 022
# The folder is closed; the files in it are readable for the containers that
# get one of them mounted.
mkdir -p "$folder"
chmod 0700 "$folder"
folder=$(cd "$folder" && pwd)
: > "$folder/keys.conf"
for role in producer worker sink viewer operator admin system; do
  if [ ! -s "$folder/$role.nk" ]; then
    (cd "$root" && go run github.com/nats-io/nkeys/nk -gen user) > "$folder/$role.nk"
  fi
  public=$(cd "$root" && go run github.com/nats-io/nkeys/nk -inkey "$folder/$role.nk" -pubout)
  printf '%s_KEY: "%s"\n' "$(tr '[:lower:]' '[:upper:]' <<<"$role")" "$public" >> "$folder/keys.conf"
done

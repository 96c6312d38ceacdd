#!/usr/bin/env bash
# Starts the JobManagers of conf/masters and the TaskManagers of conf/workers, here or over ssh. Ends with 0 only when each of them
# is ready: JobManagers lead or stand by, TaskManagers are registered.
# usage: start-cluster.sh [-D key=value ...]
set -euo pipefail
# shellcheck source=bin/flott-env.sh
. "$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)/flott-env.sh"

began=$(date +%s%3N)
settings=$(flott_config "$@" high-availability.type env.ssh.opts jobmanager.data.dir rest.port jobmanager.rpc.address)
{ read -r ha && read -r FLOTT_SSH_OPTS && read -r data_dir && read -r rest_port && read -r rpc_address; } <<< "$settings"
export FLOTT_SSH_OPTS
started=() # pid of the waiting script, and what it starts

if [ "$ha" = zookeeper ]; then
  masters=$(flott_hosts "$FLOTT_CONF_DIR/masters")
  [ -n "$masters" ] || flott_die 78 "$FLOTT_CONF_DIR/masters names no host"
  echo "Starting HA cluster with $(wc -l <<< "$masters") masters."
  while read -r line; do
    host=${line%%:*} port=${line#*:}
    [ "$port" != "$line" ] || port=0
    own=()
    # Several on one host: a data directory each.
    [ "$(grep -c "^$host\(:\|$\)" <<< "$masters")" -le 1 ] || own=(-D "jobmanager.data.dir=$data_dir-$port")
    flott_on_host "$host" jobmanager.sh start "$host" "$port" "${own[@]}" "$@" &
    started+=("$! JobManager on $host (REST port $port)")
  done <<< "$masters"
else
  echo "Starting cluster."
  "$FLOTT_HOME/bin/jobmanager.sh" start "$rpc_address" "$rest_port" "$@" &
  started+=("$! JobManager")
fi
while read -r host; do
  flott_on_host "$host" taskmanager.sh start "$@" &
  started+=("$! TaskManager on $host")
done < <(flott_hosts "$FLOTT_CONF_DIR/workers")

failed=0
for entry in "${started[@]}"; do
  wait "${entry%% *}" || { code=$?; echo "[ERROR] ${entry#* } did not start (exit code $code)." >&2; failed=$code; }
done
[ "$failed" -ne 0 ] || echo "All ${#started[@]} daemons are ready after $(($(date +%s%3N) - began)) ms."
exit "$failed"

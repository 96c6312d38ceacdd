#!/usr/bin/env bash
# Stops the TaskManagers of conf/workers, then the JobManagers of conf/masters. Jobs go on from their last checkpoint when they start again.
# usage: stop-cluster.sh [-D key=value ...]
set -euo pipefail
# shellcheck source=bin/flott-env.sh
. "$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)/flott-env.sh"

settings=$(flott_config "$@" env.ssh.opts high-availability.type)
{ read -r FLOTT_SSH_OPTS && read -r ha; } <<< "$settings"
export FLOTT_SSH_OPTS
failed=0
not_stopped() { # EXIT_CODE WHAT
  echo "[ERROR] $2 was not stopped (exit code $1)." >&2
  failed=$1
}
while read -r host; do
  flott_on_host "$host" taskmanager.sh stop --now || not_stopped $? "TaskManager on $host"
done < <(flott_hosts "$FLOTT_CONF_DIR/workers")
if [ "$ha" = zookeeper ]; then
  while read -r line; do
    flott_on_host "${line%%:*}" jobmanager.sh stop || not_stopped $? "JobManager on ${line%%:*}"
  done < <(flott_hosts "$FLOTT_CONF_DIR/masters")
else
  "$FLOTT_HOME/bin/jobmanager.sh" stop || not_stopped $? JobManager
fi
exit "$failed"

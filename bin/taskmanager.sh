#!/usr/bin/env bash
# Starts or stops a TaskManager on this host. start returns when it is registered with the leading JobManager.
# usage: taskmanager.sh start|start-foreground [-D key=value ...] | stop | stop-all
set -euo pipefail
bin=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -ge 1 ] || { echo "usage: taskmanager.sh start|start-foreground [-D key=value ...] | stop | stop-all" >&2; exit 2; }
verb=$1
shift
exec "$bin/flott-daemon.sh" "$verb" taskmanager "$@"

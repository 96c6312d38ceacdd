#!/usr/bin/env bash
# Starts or stops a TaskManager on this host. start returns when it is registered with the leading JobManager.
# stop returns when its tasks have moved to others and it has ended, within taskmanager.drain.timeout; with --now it ends at once.
# usage: taskmanager.sh start|start-foreground [-D key=value ...] | stop [--now] | stop-all [--now]
set -euo pipefail
case ${1:-} in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
bin=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -ge 1 ] || { echo "usage: taskmanager.sh start|start-foreground [-D key=value ...] | stop [--now] | stop-all [--now]" >&2; exit 2; }
verb=$1
shift
exec "$bin/flott-daemon.sh" "$verb" taskmanager "$@"

#!/usr/bin/env bash
# Starts or stops a JobManager on this host. start returns when it is ready: it leads, or stands by.
# usage: jobmanager.sh start|start-foreground [HOST [REST_PORT]] [-D key=value ...] | stop | stop-all
set -euo pipefail
case ${1:-} in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
bin=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -ge 1 ] || { echo "usage: jobmanager.sh start|start-foreground [HOST [REST_PORT]] [-D key=value ...] | stop | stop-all" >&2; exit 2; }
verb=$1
shift
arguments=()
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then
  arguments+=(-D "jobmanager.rpc.address=$1")
  shift
  if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then
    arguments+=(-D "rest.port=$1")
    shift
  fi
fi
exec "$bin/flott-daemon.sh" "$verb" jobmanager "${arguments[@]}" "$@"

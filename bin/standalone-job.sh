#!/usr/bin/env bash
# Application mode: starts or stops a JobManager on this host that runs one program, FILE, and ends with its job: exit code 0 when the job
# is FINISHED, 3 FAILED, 4 CANCELED, 1 when the program itself failed. start returns when the job is accepted, or when this one stands by.
# TaskManagers are started by taskmanager.sh as ever, and stay.
# usage: standalone-job.sh start|start-foreground --job FILE [OPTIONS] [ARGUMENTS] | stop | stop-all
#   -j, --job FILE          the program: TypeScript or JavaScript, bundled with what it imports; as flott run takes it
#   -jid, --job-id ID       32 hex digits. A job id stands for one run: a job that is there, or has ended, is not started again.
#                           Default: zeros, or with ZooKeeper what high-availability.cluster-id gives
#   -s, --fromSavepoint PATH  begin from a retained checkpoint; -n, --allowNonRestoredState: leave state of no operator behind
#   --host HOST             the name by which others reach this JobManager (jobmanager.rpc.address)
#   -r, --webui-port PORT   rest.port
#   -D key=value            configuration, over conf/config.yaml and over what the program sets
#   ARGUMENTS               of the program: all from the first on that is no option, or all after --
set -euo pipefail
case ${1:-} in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
bin=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)

refuse() { # MESSAGE
  echo "[ERROR] $*" >&2
  echo "usage: standalone-job.sh start|start-foreground --job FILE [OPTIONS] [ARGUMENTS] | stop | stop-all (--help says more)" >&2
  exit 2
}
[ $# -ge 1 ] || refuse "a verb is missing"
verb=$1
shift
case $verb in
  start | start-foreground) ;;
  stop | stop-all) exec "$bin/flott-daemon.sh" "$verb" standalonejob "$@" ;;
  *) refuse "unknown verb $verb" ;;
esac

settings=() own=() file=
while [ $# -gt 0 ]; do
  case $1 in
    --) shift; break ;;
    -D?*) settings+=(-D "${1#-D}"); shift; continue ;;
    -n | --allowNonRestoredState) settings+=(-D execution.state-recovery.ignore-unclaimed-state=true); shift; continue ;;
    -D | -s | --fromSavepoint | -j | --job | --job-classname | -jid | --job-id | --host | -r | --webui-port) [ $# -ge 2 ] || refuse "$1 expects a value" ;;
    -*) refuse "unknown option $1: arguments of the program that begin with a dash come after --" ;;
    *) break ;;
  esac
  case $1 in
    -D) settings+=(-D "$2") ;;
    -j | --job | --job-classname) file=$2 ;;
    -jid | --job-id) own+=(--job-id "$2") ;;
    -s | --fromSavepoint) settings+=(-D "execution.state-recovery.path=$2") ;;
    --host) settings+=(-D "jobmanager.rpc.address=$2") ;;
    -r | --webui-port) settings+=(-D "rest.port=$2") ;;
  esac
  shift 2
done
[ -n "$file" ] || refuse "--job FILE is missing"
exec "$bin/flott-daemon.sh" "$verb" standalonejob "${settings[@]}" --job "$file" "${own[@]}" -- "$@"

#!/bin/sh
# Runs a daemon as a child that holds its lock, says its pid on descriptor 3, and waits for its end. One that died without closing its
# ZooKeeper session gets it closed, so that nobody need wait for the time-out: not the next leader, nor a leader that looks for the tasks
# of a TaskManager. Ends with the daemon's exit code.
# A shell of its own, and not bash, since it stays as long as the daemon: about 1 MB.
# usage: flott-supervise.sh MAIN_FILE RUNTIME_PREFIX [-D key=value ...]   (environment of flott-env.sh)
set -u
main=$1 runtime=$2
shift 2
export FLOTT_LOCK_FILE="$runtime.lock"
(umask 077 && : >> "$FLOTT_LOCK_FILE") || exit 1
exec 9>> "$FLOTT_LOCK_FILE" || exit 1
flock -w 5 9 || # A predecessor may be on its way out.
  { echo "[ERROR] another process holds $FLOTT_LOCK_FILE" >&2; exit 1; }
trap : HUP INT TERM # They are for the daemon.
# shellcheck disable=SC2086 # the options are several words
"$FLOTT_NODE" --max-semi-space-size=4 ${FLOTT_NODE_OPTIONS:-} "$main" --configDir "$FLOTT_CONF_DIR" "$@" 3>&- &
pid=$!
exec 9>&- # From now on the lock ends with the daemon.
if (: >&3) 2> /dev/null; then
  echo "$pid" >&3
  exec 3>&-
fi
while :; do
  wait "$pid"
  code=$?
  kill -0 "$pid" 2> /dev/null || break # Else a signal to this shell broke the waiting.
done
"$FLOTT_HOME/bin/flott-release.sh" "$FLOTT_LOCK_FILE"
exit "$code"

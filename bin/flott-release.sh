#!/bin/sh
# Closes the ZooKeeper sessions that dead JobManagers left behind: for the supervisors that saw them die. A JobManager that lives holds
# its lock, and is left alone.
# usage: flott-release.sh RUNTIME_DIRECTORY   (env.pid.dir; of all JobManagers in it)
#        flott-release.sh FILE.lock           (of this one)
set -u
home=$(cd -P "$(dirname "$0")/.." && pwd)
conflict=75 # The lock is held.
release() { # LOCK_FILE
  [ ! -e "${1%.lock}.session" ] || flock --nonblock --conflict-exit-code "$conflict" --no-fork "$1" \
    "${FLOTT_NODE:-node}" "$home/dist/daemon/ha/zookeeper/release-main.js" "$1"
}
[ $# -eq 1 ] || { echo "usage: $(basename "$0") RUNTIME_DIRECTORY|FILE.lock" >&2; exit 2; }
failed=0
if [ -d "$1" ]; then
  for lock in "$1"/*.lock; do
    release "$lock" || { code=$?; [ "$code" -eq "$conflict" ] || failed=$code; }
  done
else
  release "$1" || failed=$?
  [ "$failed" -ne "$conflict" ] || echo "[ERROR] the JobManager that holds $1 lives" >&2
fi
exit "$failed"

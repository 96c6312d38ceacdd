#!/usr/bin/env bash
# Starts and stops the daemons of this host.
# usage: flott-daemon.sh start|start-foreground|stop|stop-all jobmanager|taskmanager [-D key=value ...] [--now]
#        flott-daemon.sh start|start-foreground|stop|stop-all standalonejob [-D key=value ...] --job FILE [--job-id ID] -- [ARGUMENTS]
set -euo pipefail
# shellcheck source=bin/flott-env.sh
. "$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)/flott-env.sh"

usage() { flott_die 2 "usage: $(basename "$0") start|start-foreground|stop|stop-all jobmanager|standalonejob|taskmanager [-D key=value ...]"; }
[ $# -ge 2 ] || usage
verb=$1 daemon=$2
shift 2
case $daemon in
  jobmanager | taskmanager) main=$FLOTT_HOME/dist/daemon/$daemon/main.js ;;
  standalonejob) main=$FLOTT_HOME/dist/daemon/jobmanager/application/standalone-job-entry.js ;;
  *) usage ;;
esac

stop_signal=TERM
case $verb in stop | stop-all) if [ "${1:-}" = --now ]; then stop_signal=INT; shift; fi ;; esac

dynamic=("$@")
for ((i = 0; i < $#; i++)); do # What comes after is not configuration.
  if [ "${dynamic[i]}" = --job ]; then dynamic=("${dynamic[@]:0:i}"); break; fi
done
settings=$(flott_config "${dynamic[@]}" env.pid.dir env.log.dir)
{ read -r pid_dir && read -r log_dir; } <<< "$settings"
pid_dir=$(flott_path "$pid_dir") log_dir=$(flott_path "$log_dir")
mkdir -p "$pid_dir" "$log_dir" || flott_die 1 "can not write to $pid_dir or $log_dir (env.pid.dir, env.log.dir)"
# One line a running daemon: its pid and the number in its log's name.
pids=$pid_dir/flott-$FLOTT_IDENT_STRING-$daemon.pid
ready_timeout_s=60
# A TaskManager waits for its tasks to move (taskmanager.drain.timeout), unless it is stopped by the other signal.
[ "$daemon" = taskmanager ] && stop_timeout_s=${FLOTT_STOP_TIMEOUT_S:-45} || stop_timeout_s=${FLOTT_STOP_TIMEOUT_S:-15}

alive() { # PID -> true while it is this daemon, not a later process that got its number
  [ -r "/proc/$1/cmdline" ] && tr '\0' ' ' 2> /dev/null < "/proc/$1/cmdline" | grep -qF "$main"
}

prefix() { echo "$pid_dir/flott-$FLOTT_IDENT_STRING-$daemon-$1"; } # INDEX -> of the files of one daemon
is_locked() { [ -e "$(prefix "$1").lock" ] && ! flock -n "$(prefix "$1").lock" true; } # INDEX -> true while a daemon holds it

# In the foreground this process becomes the daemon: whoever started it sees it end, and calls flott-release.sh then (systemd does).
start_foreground() {
  local index=0
  while :; do
    FLOTT_LOCK_FILE=$(prefix "$index").lock
    (umask 077 && : >> "$FLOTT_LOCK_FILE")
    exec 9>> "$FLOTT_LOCK_FILE"
    ! flock -n 9 || break
    index=$((index + 1))
  done
  export FLOTT_LOCK_FILE
  exec "$FLOTT_NODE" --max-semi-space-size=4 ${FLOTT_NODE_OPTIONS:-} "$main" --configDir "$FLOTT_CONF_DIR" "$@"
}

rotate() { # FILE: keeps five older ones
  local i
  [ -s "$1" ] || return 0
  for i in 4 3 2 1; do [ ! -e "$1.$i" ] || mv "$1.$i" "$1.$((i + 1))"; done
  mv "$1" "$1.1"
}

start() {
  local index=0 entries=() pid parent log ready
  exec 8> "$pid_dir/.lock"
  flock 8
  if [ -e "$pids" ]; then mapfile -t entries < "$pids"; fi
  local kept=() entry
  for entry in "${entries[@]}"; do if alive "${entry% *}"; then kept+=("$entry"); fi; done
  while printf '%s\n' "${kept[@]}" | grep -q " $index$" || is_locked "$index"; do index=$((index + 1)); done
  log=$log_dir/flott-$FLOTT_IDENT_STRING-$daemon-$index-$(hostname).log
  ready=$(prefix "$index").ready
  rotate "$log"
  rm -f "$ready"
  [ ${#kept[@]} -eq 0 ] || echo "[INFO] ${#kept[@]} instance(s) of $daemon are already running on $(hostname)."
  # In a session of its own: a Ctrl-C in the terminal that started it is not for the daemon.
  export FLOTT_READY_FILE=$ready
  exec 7< <(exec setsid "$FLOTT_HOME/bin/flott-supervise.sh" "$main" "$(prefix "$index")" "$@" 3>&1 >> "$log" 2>&1 < /dev/null 8>&-)
  parent=$!
  read -r pid <&7 || pid=$parent # It ended at once, and says why in the log.
  exec 7<&-
  { [ ${#kept[@]} -eq 0 ] || printf '%s\n' "${kept[@]}"; echo "$pid $index"; } > "$pids"
  flock -u 8
  await_ready "$pid" "$parent" "$ready" "$log"
  echo "Started $daemon ($(cat "$ready"), pid $pid, log $log)."
}

await_ready() { # PID PARENT FILE LOG: the parent ends with the daemon's exit code
  local tick
  for ((tick = 0; tick < ready_timeout_s * 20; tick++)); do
    [ ! -s "$3" ] || return 0
    if ! kill -0 "$1" 2> /dev/null; then
      local code=0
      wait "$2" || code=$?
      echo "[ERROR] $daemon ended with exit code $code while it started; the end of $4:" >&2
      tail -n 15 "$4" >&2
      [ "$code" -ne 0 ] || code=1
      exit "$code"
    fi
    sleep 0.05
  done
  echo "[ERROR] $daemon (pid $1) has not become ready within $ready_timeout_s s; it goes on trying. The end of $4:" >&2
  tail -n 15 "$4" >&2
  exit 7
}

stop_one() { # PID
  if ! alive "$1"; then
    echo "No $daemon (pid $1) is running any more on $(hostname)."
    return
  fi
  kill -"$stop_signal" "$1"
  local tick
  for ((tick = 0; tick < stop_timeout_s * 20; tick++)); do
    alive "$1" || { echo "Stopped $daemon (pid $1) on $(hostname)."; return; }
    sleep 0.05
  done
  echo "[WARN] $daemon (pid $1) did not stop within $stop_timeout_s s: killed." >&2
  kill -KILL "$1" 2> /dev/null || true
}

stop() { # the last started one, or all
  local entries=() count entry
  exec 8> "$pid_dir/.lock"
  flock 8
  if [ -e "$pids" ]; then mapfile -t entries < "$pids"; fi
  if [ ${#entries[@]} -eq 0 ]; then
    echo "No $daemon to stop on $(hostname)."
    return
  fi
  # One that has ended by itself does not count: the last one that runs is meant.
  count=1
  [ "$1" != all ] || count=${#entries[@]}
  while [ "$count" -gt 0 ] && [ ${#entries[@]} -gt 0 ]; do
    entry=${entries[-1]}
    unset 'entries[-1]'
    if alive "${entry% *}"; then count=$((count - 1)); fi
    stop_one "${entry% *}"
    rm -f "$(prefix "${entry#* }").ready"
  done
  if [ ${#entries[@]} -eq 0 ]; then rm -f "$pids"; else printf '%s\n' "${entries[@]}" > "$pids"; fi
}

case $verb in
  start) start "$@" ;;
  start-foreground) start_foreground "$@" ;;
  stop) stop last ;;
  stop-all) stop all ;;
  *) usage ;;
esac

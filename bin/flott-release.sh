#!/usr/bin/env bash
# Closes the ZooKeeper sessions that dead daemons left behind: for the supervisors that saw them die. A daemon that lives holds its
# lock, and is left alone. Gives up when the session has expired by itself.
# It speaks to ZooKeeper itself, the two messages that this takes: a leader waits for it, and node would take 0.2 s of CPU time to start,
# which on a busy machine is a second.
# usage: flott-release.sh RUNTIME_DIRECTORY   (env.pid.dir; of all daemons in it)
#        flott-release.sh FILE.lock           (of this one)
set -u
export LC_ALL=C # Characters are bytes.
try_s=2         # For one server to answer, and before another try.
released=42 locked=75

send() { # HEX: to descriptor 3
  local escaped='' i
  for ((i = 0; i < ${#1}; i += 2)); do escaped+="\\x${1:i:2}"; done
  printf '%b' "$escaped" >&3
}

# Attaches to the session, waits for the server's answer, and only then closes the session: a request before that could be lost. The
# server ends the connection when it has answered, and when it knows no such session. Answers are read without their zero bytes.
close_at() { # HOST:PORT ID PASSWORD TIMEOUT_MS
  local host=${1%:*} id=0000000000000000$2 connect answer
  host=${host#[} host=${host%]}
  # Length, protocol version, last zxid seen, time-out, session, length of the password, password, read only.
  printf -v connect '%08x%08x%016x%08x%s%08x%s00' $((29 + ${#3} / 2)) 0 0 "$4" "${id: -16}" $((${#3} / 2)) "$3"
  exec 3<> "/dev/tcp/$host/${1##*:}" || return 1
  send "$connect"
  IFS= read -r -N 1 -t "$try_s" -u 3 answer || return 1 # It serves nobody at the moment, and hung up.
  [[ $answer = [%$] ]] || return 1                      # The length of the answer; else it is no ZooKeeper.
  send 0000000800000001fffffff5                         # Length, number of the request, closeSession.
  IFS= read -r -N 1000000 -t "$try_s" -u 3 answer
  [ $? -eq 1 ] || return 1 # 1: the end of the connection.
  # Expired: time-out, session and password are zero. Closed: the last is the answer to request 1.
  [[ $answer = $'\x10' || $answer = *$'\x10\x01'?* ]] && return "$released"
}

try_all() { # ID PASSWORD TIMEOUT_MS SERVER... -> all at once, so that one that does not answer is not waited for
  local credentials=("$1" "$2" "$3") server failed=0 code
  shift 3
  for server in "$@"; do close_at "$server" "${credentials[@]}" 2> /dev/null & done
  sleep "$try_s" &
  while [ "$failed" -lt $# ]; do
    wait -n
    code=$?
    if [ "$code" -eq 0 ] || [ "$code" -eq "$released" ]; then break; fi # 0: the time is over.
    failed=$((failed + 1))
  done
  # shellcheck disable=SC2046 # several words
  kill $(jobs -p) 2> /dev/null
  wait
  [ "$code" -eq "$released" ]
}

close_session() { # SESSION_FILE
  local json id password timeout_ms quorum until
  json=$(< "$1")
  [[ $json =~ \"id\":\"([0-9a-f]+)\" ]] && id=${BASH_REMATCH[1]} &&
    [[ $json =~ \"password\":\"([0-9A-F]+)\" ]] && password=${BASH_REMATCH[1]} &&
    [[ $json =~ \"quorum\":\"([^\"]+)\" ]] && quorum=${BASH_REMATCH[1]} &&
    [[ $json =~ \"timeoutMs\":([0-9]+) ]] && timeout_ms=${BASH_REMATCH[1]} || return 1
  until=$((SECONDS + timeout_ms / 1000 + 1))
  # shellcheck disable=SC2086 # several words
  until try_all "$id" "$password" "$timeout_ms" ${quorum//,/ }; do
    [ "$SECONDS" -lt "$until" ] || return 1
    sleep 0.1
  done
}

release() { # LOCK_FILE
  local session=${1%.lock}.session
  [ -e "$session" ] || return 0
  exec 9>> "$1" || return 1
  flock -n 9 || return "$locked"
  if close_session "$session" 9>&-; then
    rm -f "$session"
    echo "Closed the ZooKeeper session that a dead daemon left ($1)."
  else
    echo "[WARN] could not close the ZooKeeper session that a dead daemon left ($1): it ends by its time-out." >&2
    return 1
  fi
}

[ $# -eq 1 ] || { echo "usage: $(basename "$0") RUNTIME_DIRECTORY|FILE.lock" >&2; exit 2; }
failed=0
if [ -d "$1" ]; then
  for lock in "$1"/*.lock; do
    release "$lock" || { code=$?; [ "$code" -eq "$locked" ] || failed=$code; }
  done
else
  release "$1" || failed=$?
  [ "$failed" -ne "$locked" ] || echo "[ERROR] the daemon that holds $1 lives" >&2
fi
exit "$failed"

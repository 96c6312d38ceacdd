#!/usr/bin/env bash
# Starts or stops a ZooKeeper server of this host from conf/zoo.cfg, with the ZooKeeper of Debian's package.
# usage: zookeeper.sh start|start-foreground PEER_ID | stop | stop-all
set -euo pipefail
# shellcheck source=bin/flott-env.sh
. "$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)/flott-env.sh"

usage() { flott_die 2 "usage: zookeeper.sh start|start-foreground PEER_ID | stop | stop-all"; }
[ $# -ge 1 ] || usage
verb=$1 peer=${2:-}
jar=/usr/share/java/zookeeper.jar
settings=$(flott_config env.pid.dir env.log.dir)
{ read -r pid_dir && read -r log_dir; } <<< "$settings"
pid_dir=$(flott_path "$pid_dir") log_dir=$(flott_path "$log_dir")
mkdir -p "$pid_dir" "$log_dir"
pids=$pid_dir/flott-$FLOTT_IDENT_STRING-zookeeper.pid

server_of() { # the peer's own configuration, with its data directory and myid
  local source=$FLOTT_CONF_DIR/zoo.cfg data
  [ -r "$source" ] || flott_die 78 "$source can not be read"
  [ -e "$jar" ] || flott_die 1 "$jar is missing: apt-get install zookeeper"
  command -v java > /dev/null || flott_die 1 "java is missing: apt-get install default-jre-headless"
  [[ $peer =~ ^[0-9]+$ ]] || usage
  data=$(sed -n 's/^[[:space:]]*dataDir[[:space:]]*=[[:space:]]*//p' "$source" | tail -n 1)
  data=$(flott_path "${data:-var/zookeeper}")/$peer
  mkdir -p "$data"
  echo "$peer" > "$data/myid"
  # A cluster of one is a plain server: without server.N lines.
  local several=0
  [ "$(grep -c '^[[:space:]]*server\.[0-9]' "$source")" -le 1 ] || several=1
  { grep -v '^[[:space:]]*dataDir' "$source" | { if [ "$several" = 1 ]; then cat; else grep -v '^[[:space:]]*server\.'; fi; }; echo "dataDir=$data"; } > "$data/zoo.cfg"
  echo "$data/zoo.cfg"
}
port_of() { sed -n 's/^[[:space:]]*clientPort[[:space:]]*=[[:space:]]*//p' "$1" | tail -n 1; }
java_command() { echo java -Xmx"${FLOTT_ZK_HEAP_MB:-256}m" -cp /etc/zookeeper/conf:$jar org.apache.zookeeper.server.quorum.QuorumPeerMain; }
alive() { [ -r "/proc/$1/cmdline" ] && tr '\0' ' ' 2> /dev/null < "/proc/$1/cmdline" | grep -q QuorumPeerMain; }

stop_last() {
  local pid tick
  [ -s "$pids" ] || { echo "No zookeeper to stop on $(hostname)."; return 1; }
  pid=$(tail -n 1 "$pids")
  sed -i '$d' "$pids"
  [ -s "$pids" ] || rm -f "$pids"
  alive "$pid" || { echo "No zookeeper (pid $pid) is running any more on $(hostname)."; return 0; }
  kill -TERM "$pid"
  for ((tick = 0; tick < 200; tick++)); do alive "$pid" || break; sleep 0.05; done
  ! alive "$pid" || kill -KILL "$pid"
  echo "Stopped zookeeper (pid $pid) on $(hostname)."
}

case $verb in
  start)
    config=$(server_of)
    log=$log_dir/flott-$FLOTT_IDENT_STRING-zookeeper-$peer-$(hostname).log
    # shellcheck disable=SC2046 # several words
    setsid $(java_command) "$config" >> "$log" 2>&1 < /dev/null &
    pid=$!
    echo "$pid" >> "$pids"
    for ((tick = 0; tick < 600; tick++)); do
      if ! kill -0 "$pid" 2> /dev/null; then
        tail -n 15 "$log" >&2
        flott_die 1 "zookeeper ended while it started; see $log"
      fi
      if (exec 3<> "/dev/tcp/127.0.0.1/$(port_of "$config")") 2> /dev/null; then
        echo "Started zookeeper $peer (port $(port_of "$config"), pid $pid, log $log)."
        exit 0
      fi
      sleep 0.05
    done
    flott_die 7 "zookeeper (pid $pid) does not listen after 30 s; see $log"
    ;;
  start-foreground)
    config=$(server_of)
    # shellcheck disable=SC2046 # several words
    exec $(java_command) "$config"
    ;;
  stop) stop_last || true ;;
  stop-all) while [ -s "$pids" ]; do stop_last || break; done ;;
  *) usage ;;
esac

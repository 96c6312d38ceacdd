#!/usr/bin/env bash
# Starts the ZooKeeper server of each server.N line of conf/zoo.cfg, here or over ssh.
# usage: start-zookeeper-quorum.sh
set -euo pipefail
# shellcheck source=bin/flott-env.sh
. "$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)/flott-env.sh"
FLOTT_SSH_OPTS=$(flott_config env.ssh.opts)
export FLOTT_SSH_OPTS
failed=0 found=0
while IFS='=' read -r name value; do
  [[ $name =~ ^[[:space:]]*server\.([0-9]+)[[:space:]]*$ ]] || continue
  peer=${BASH_REMATCH[1]} host=${value%%:*} found=1
  flott_on_host "${host//[[:space:]]/}" zookeeper.sh start "$peer" || failed=$?
done < "$FLOTT_CONF_DIR/zoo.cfg"
[ "$found" = 1 ] || flott_die 78 "$FLOTT_CONF_DIR/zoo.cfg has no server.N=host:port:port line"
exit "$failed"

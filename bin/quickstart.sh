#!/usr/bin/env bash
# From a fresh clone to a running cluster: installs what is missing, builds, starts two JobManagers and two TaskManagers, counts the
# words of about 30 MB of text exactly once while the leading JobManager is killed, checks every count, and measures the same job at
# full speed. The cluster keeps running; bin/quickstart.sh stop ends it. Everything it makes is in var/quickstart.
# usage: quickstart.sh [stop]
set -euo pipefail
case ${1:-} in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
home=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$home"
dir=$home/var/quickstart
export FLOTT_CONF_DIR=$dir/conf

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
fail() { echo "[ERROR] $*" >&2; exit 1; }
json() { node -e 'let s="";process.stdin.on("data",(d)=>s+=d).on("end",()=>{const v=eval(`(d)=>${process.argv[1]}`)(JSON.parse(s));console.log(v)})' "$1"; }
now_ms() { date +%s%3N; }

stop_all() {
  [ -e "$dir/conf/config.yaml" ] || return 0
  bin/taskmanager.sh stop-all
  bin/jobmanager.sh stop-all
  bin/zookeeper.sh stop-all
}

if [ "${1:-}" = stop ]; then
  stop_all
  exit 0
fi
[ $# -eq 0 ] || { echo "usage: quickstart.sh [stop]" >&2; exit 2; }

say '1. Install what is missing, and build'
ha=zookeeper
sh bin/install-missing.sh --zookeeper || { [ $? = 3 ] || exit 1; ha=none; echo 'Going on without ZooKeeper: one JobManager (high-availability.type none).'; }

say '2. Configure and start a cluster'
stop_all > /dev/null 2>&1 || true
rm -rf "$dir"
mkdir -p "$dir/conf" "$dir/text"
# Free ports, so that it disturbs nothing that runs here; the usual ones where they are free.
read -r rest1 rest2 rpc zk <<< "$(node -e '
const net = require("node:net")
const free = (port) => new Promise((ok) => { const s = net.createServer(); s.once("error", () => ok(free(0))); s.listen(port, "127.0.0.1", () => { const p = s.address().port; s.close(() => ok(p)) }) })
;(async () => console.log(await free(8081), await free(8082), await free(6123), await free(2181)))()')"
cat > "$dir/conf/config.yaml" <<C
high-availability.type: $ha
high-availability.zookeeper.quorum: $([ $ha = none ] && echo "''" || echo "127.0.0.1:$zk")
high-availability.cluster-id: quickstart
taskmanager.numberOfTaskSlots: 2
jobmanager.rpc.port: $rpc
rest.port: $rest1
jobmanager.data.dir: $dir/data/jobmanager
io.tmp.dirs: $dir/tmp
env.pid.dir: $dir/run
env.log.dir: $dir/log
C
printf 'localhost:%s\nlocalhost:%s\n' "$rest1" "$rest2" > "$dir/conf/masters"
printf 'localhost\nlocalhost\n' > "$dir/conf/workers"
sed -e "s|^clientPort=.*|clientPort=$zk|" -e "s|^dataDir=.*|dataDir=$dir/data/zookeeper|" conf/zoo.cfg > "$dir/conf/zoo.cfg"
[ $ha = none ] || bin/zookeeper.sh start 1
began=$(now_ms)
bin/start-cluster.sh
echo "Two TaskManagers and their JobManagers are ready after $(($(now_ms) - began)) ms."
bin/flott status

say '3. Text: licences and manuals of this machine, about 30 MB'
find /usr/share/common-licenses /usr/share/doc /usr/share/perl* \( -name copyright -o -name '*.pod' -o -name '*.txt' -o -path '*/common-licenses/*' \) -type f -size +1k 2> /dev/null |
  LC_ALL=C sort | head -n 4000 | xargs -d '\n' cat > "$dir/one.txt" 2> /dev/null || true
[ -s "$dir/one.txt" ] || cat LICENSE README.md > "$dir/one.txt"
part=0
while [ "$(cat "$dir"/text/*.txt 2> /dev/null | wc -c)" -lt 30000000 ]; do
  part=$((part + 1))
  head -c 2500000 "$dir/one.txt" > "$dir/text/part-$part.txt"
  echo >> "$dir/text/part-$part.txt"
done
lines=$(cat "$dir"/text/*.txt | wc -l) bytes=$(cat "$dir"/text/*.txt | wc -c)
cat "$dir"/text/*.txt | LC_ALL=C tr -cs A-Za-z '\n' | sed '/^$/d' | LC_ALL=C sort | uniq -c | awk '{ print $1, $2 }' | LC_ALL=C sort > "$dir/expected"
words=$(awk '{ n += $1 } END { print n }' "$dir/expected")
echo "$bytes bytes, $lines lines, $words words, $(wc -l < "$dir/expected") different ones."

check() { # OUTPUT_DIRECTORY
  cat "$1"/part-* 2> /dev/null | LC_ALL=C sort > "$dir/actual"
  cmp -s "$dir/expected" "$dir/actual" || { diff "$dir/expected" "$dir/actual" | head -n 10; fail "the counts in $1 are wrong"; }
  echo "Every count equals that of tr | sort | uniq -c: $(wc -l < "$dir/actual") words, none lost, none counted twice."
}
overview() { curl_any "/overview"; }
curl_any() { # PATH -> of the first JobManager that answers
  local port
  for port in $rest1 $rest2; do
    node -e 'fetch(process.argv[1],{signal:AbortSignal.timeout(1000)}).then(async(r)=>{if(!r.ok)process.exit(1);process.stdout.write(await r.text())},()=>process.exit(1))' "http://localhost:$port$1" && return 0
  done
  return 1
}

say '4. Count words exactly once, at a limited rate, and kill the leading JobManager in the middle'
bin/flott run -p 4 client/examples/word-count.ts --input "$dir/text/*.txt" --output "$dir/counts" --rate $((lines / 30)) --checkpoint-interval '500 ms' &
client=$!
job=
for _ in $(seq 600); do
  job=$(curl_any /jobs/overview | json 'd.jobs.find((j)=>j.state==="RUNNING")?.jid ?? ""') || true
  [ -z "$job" ] || [ "$(curl_any "/jobs/$job/checkpoints" | json 'd.counts.completed')" -lt 8 ] || break
  sleep 0.1
done
[ -n "$job" ] || fail 'the job does not run'
leader=$(overview | json 'd.leader.address')
ready=$(grep -lF "$leader" "$dir"/run/*-jobmanager-*.ready | head -n 1)
index=${ready%.ready}
index=${index##*-}
pid=$(awk -v i="$index" '$2 == i { print $1 }' "$dir"/run/*-jobmanager.pid)
echo "The leader is $leader (pid $pid): kill -9."
kill -KILL "$pid"
killed=$(now_ms)
if [ $ha = none ]; then bin/jobmanager.sh start localhost "$rest1"; fi
for _ in $(seq 600); do
  next=$(overview 2> /dev/null | json 'd.leader.address' 2> /dev/null) && { [ $ha = none ] || [ "$next" != "$leader" ]; } && break
  sleep 0.05
done
echo "After $(($(now_ms) - killed)) ms $next leads; the tasks have run on."
wait "$client" || fail "flott run ended with $?"
check "$dir/counts"
[ $ha = none ] || bin/jobmanager.sh start localhost "${leader##*:}" -D "jobmanager.data.dir=$dir/data/jobmanager-${leader##*:}"

say '5. The same text once more, at full speed'
result=$(bin/flott run --json -p 4 client/examples/word-count.ts --input "$dir/text/*.txt" --output "$dir/counts-fast" --checkpoint-interval '500 ms')
check "$dir/counts-fast"
ms=$(echo "$result" | json 'd.netRuntimeMs')
speed="$((words / ms)) thousand words/s, $((bytes / 1000 / ms)) MB/s, in $ms ms from start to the last commit"

say 'Summary'
echo "Word count of $((bytes / 1000000)) MB, exactly once, through a kill -9 of the leader: right."
echo "At full speed: $speed."
echo "REST API:   $next (any JobManager answers: http://localhost:$rest1 http://localhost:$rest2)"
echo "Look at it: FLOTT_CONF_DIR=$dir/conf bin/flott status"
echo "Stop it:    bin/quickstart.sh stop"

#!/bin/sh
# Installs what a fresh machine lacks, and says what it does: npm packages (with the compiler that one of them needs), and, with
# --zookeeper, Debian's package zookeeper. Then builds. Does nothing where nothing is missing.
# usage: install-missing.sh [--zookeeper]      exit code 3: ZooKeeper is missing and can't be installed here
set -eu
case ${1:-} in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
home=$(cd "$(dirname "$0")/.." && pwd)
cd "$home"

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo > /dev/null && sudo -n true 2> /dev/null; then sudo -n "$@"; else return 3; fi
}
updated=
debian() { # PACKAGE...
  command -v apt-get > /dev/null || return 3
  echo "installing Debian's packages: $*"
  if [ -z "$updated" ]; then as_root apt-get update -qq || return 3; updated=1; fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" > /dev/null || return 3
}

command -v node > /dev/null || { echo 'Node.js 20.19 or later is needed: https://nodejs.org' >&2; exit 1; }
node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
  { echo "Node.js 20.19 or later is needed; this is $(node --version)" >&2; exit 1; }

# A link would be followed, and what it leads to emptied.
if [ -h node_modules ]; then
  echo 'node_modules is a link: taken as it is'
elif [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  missing=
  for tool in make g++ python3; do command -v $tool > /dev/null || missing=1; done
  if [ -n "$missing" ]; then
    debian make g++ python3 || { echo 'make, g++ and python3 are needed to build the npm package zookeeper: apt-get install make g++ python3' >&2; exit 1; }
  fi
  echo 'installing npm packages (npm ci)'
  npm ci --no-audit --no-fund --loglevel=error
  touch node_modules/.package-lock.json
fi

echo 'building'
npm run --silent build

[ "${1:-}" = --zookeeper ] || exit 0
if [ ! -e /usr/share/java/zookeeper.jar ] || ! command -v java > /dev/null; then
  debian zookeeper default-jre-headless || { echo "ZooKeeper is missing and can't be installed here: apt-get install zookeeper" >&2; exit 3; }
fi
